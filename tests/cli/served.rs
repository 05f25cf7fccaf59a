//! A server of this binary, and a real Alertmanager, to ask.

use super::programs::{Real, flag};
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use watchbell::client::Remote;
use watchbell::sys::clock::SystemClock;
use watchbell::sys::http::SystemHttp;
use watchbell::sys::settings::HttpClientSettings;
use watchbell::wire::Core;

/// Routes of both.
pub(super) const ROUTES: &str = r#"
route:
  receiver: ops
  group_wait: 1s
  routes:
  - {matchers: ['severity="critical"'], receiver: pager, group_by: [alertname], continue: true}
  - {matchers: ['team=~"web|db"'], receiver: team, active_time_intervals: [nights], routes: [{match: {team: db}, receiver: dba}]}
time_intervals:
- {name: nights, time_intervals: [{times: [{start_time: '00:00', end_time: '06:00'}]}]}
receivers: [{name: ops}, {name: team}, {name: dba}, {name: pager}]
"#;

/// `prometheus.yml` with the rules.
pub(super) const CONFIG: &str = "global: {evaluation_interval: 1s}\nrule_files: [r.yml]\n";

/// A server.
pub(super) struct Served {
    pub(super) url: String,
    pub(super) core: Arc<dyn Core>,
    pub(super) folder: tempfile::TempDir,
    _process: Real,
}

impl Served {
    /// A watchbell with these rules.
    pub(super) fn watchbell(rules: &str) -> Self {
        Self::watchbell_with(CONFIG, rules, ROUTES)
    }

    /// A watchbell with these files.
    pub(super) fn watchbell_with(config: &str, rules: &str, routes: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in [("p.yml", config), ("r.yml", rules), ("a.yml", routes)] {
            fs::write(folder.path().join(name), text).expect("writes");
        }
        let at = |name: &str| folder.path().join(name);
        let args = [
            "serve".to_owned(),
            flag("--config.file", &at("p.yml")),
            flag("--alertmanager.config-file", &at("a.yml")),
            flag("--storage.path", &at("data")),
            flag("--web.unix-socket", &at("s")),
            "--web.listen-address=127.0.0.1:0".to_owned(),
        ];
        let (mut address, mut ready) = (None, false);
        let says = |line: &str| {
            let told = line.split_once("address=").filter(|_| line.contains("HTTP"));
            let told = told.and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
            address = address.or(told);
            ready |= line.contains("ready");
            address.filter(|_| ready)
        };
        let process = Real::start_saying(env!("CARGO_BIN_EXE_watchbell"), &args, says);
        let process = process.expect("our own binary");
        let url = format!("http://{}", process.address);
        Self { core: remote(&url, None), url, folder, _process: process }
    }

    /// The Alertmanager of the field; `None` where it is not installed.
    pub(super) fn alertmanager() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.yml");
        fs::write(&file, ROUTES).expect("writes");
        let args = [
            flag("--config.file", &file),
            flag("--storage.path", &folder.path().join("data")),
            "--web.listen-address=127.0.0.1:0".to_owned(),
            "--cluster.listen-address=".to_owned(),
        ];
        let says = |line: &str| -> Option<SocketAddr> {
            line.split_once("address=")
                .filter(|_| line.contains("Listening on"))?
                .1
                .trim()
                .parse()
                .ok()
        };
        let process = Real::start_saying("prometheus-alertmanager", &args, says)?;
        let url = format!("http://{}", process.address);
        Some(Self { core: remote(&url, Some(&url)), url, folder, _process: process })
    }

    /// Waits until `holds`.
    #[track_caller]
    pub(super) fn until(&self, what: &str, holds: impl Fn(&dyn Core) -> bool) {
        let mut revision = 0;
        for _ in 0..300 {
            if holds(self.core.as_ref()) {
                return;
            }
            let wait = Duration::from_millis(200);
            revision = self.core.changes_after(revision, wait).expect("answers").revision;
        }
        panic!("{what} did not happen");
    }
}

fn remote(url: &str, alertmanager: Option<&str>) -> Arc<dyn Core> {
    let (http, settings) = (SystemHttp::new(), HttpClientSettings::default());
    let clock = Arc::new(SystemClock::new());
    Arc::new(Remote::new(&http, &settings, clock, url, alertmanager).expect("an address"))
}
