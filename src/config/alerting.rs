//! What `watchbell` says about alerts beside `alertmanager.yml`.

use super::document::WatchbellSection;
use super::error::{Error, Located};
use crate::alerts::config::{Options, check_damping, check_expected};
use crate::model::Problem;
use crate::notify::config::{Allowed, File, Receiver};

/// What the section says about alerts, and where it stands.
pub(super) struct Own<'a> {
    /// The section.
    pub(super) section: &'a WatchbellSection,
    /// The place of a problem in the file of the section.
    pub(super) locate: &'a dyn Fn(&Problem) -> Located,
}

/// What the section says about alerts, checked.
#[derive(Debug, Default)]
pub(super) struct OwnAlerts {
    /// Receivers of its own.
    pub(super) receivers: Vec<Receiver>,
    /// What the engine is to know.
    pub(super) options: Options,
    /// What is to be told about them.
    pub(super) notes: Vec<String>,
}

impl Own<'_> {
    /// Checks the section against `file`, whose global settings and receivers it shares; what
    /// flags say is in `options`.
    pub(super) fn check(&self, file: &File, options: &Options) -> Result<OwnAlerts, Error> {
        let section = self.section;
        let allowed =
            Allowed { commands: section.exec_allowed.clone(), files: section.file_allowed.clone() };
        let locate = |problem: &Problem| (self.locate)(&problem.clone().below("watchbell"));
        let named = file.receivers.iter().map(|one| one.name.as_str());
        let names: Vec<_> =
            named.chain(section.receivers.iter().map(|one| one.name.as_str())).collect();
        let own = file.check_own(&section.receivers, &allowed);
        let damping = check_damping(&section.damping, &names, options.matcher_mode);
        let expected = check_expected(&section.expected, options.matcher_mode);
        match (own, damping, expected) {
            (Ok(own), Ok(damping), Ok(expected)) => Ok(OwnAlerts {
                notes: own.warnings.iter().map(|one| locate(one).to_string()).collect(),
                receivers: own.receivers,
                options: Options { damping, expected, ..options.clone() },
            }),
            (own, damping, expected) => {
                let all = [own.err(), damping.err(), expected.err()];
                let faults = all.into_iter().flatten().flatten();
                Err(Error { faults: faults.map(|problem| locate(&problem)).collect() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::{Config, Sources, load};
    use super::*;
    use std::time::Duration;

    /// A `p.yml` with an `a.yml` beside it.
    fn loaded(section: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().expect("temporary folder");
        let file = dir.path().join("p.yml");
        std::fs::write(&file, format!("watchbell:\n{section}")).expect("writes");
        let routes = "route: {receiver: team}\nreceivers: [{name: team}]\n";
        std::fs::write(dir.path().join("a.yml"), routes).expect("writes");
        let sources = Sources { config_file: Some(file), ..Sources::default() };
        let text = |err: Error| err.to_string().replace(&format!("{}/", dir.path().display()), "");
        load(&sources).map_err(text)
    }

    const ALL: &str = "
  alertmanager: a.yml
  receivers: [{name: own}]
  damping:
  - {receiver: own, matchers: ['severity=\"warning\"'], changes: 6, within: 20m, stable: 5m}
  - {}
  expected:
  - {name: dog, alert_matchers: [alertname=Watchdog], within: 5m, labels: {severity: page}}
  - {name: backup, push_matchers: ['{job=\"backup\"}'], within: 26h}
  heartbeats:
  - {name: hc, url: 'https://canary@x/canary', interval: 30s, http_config: {bearer_token: canary}}
  - {name: file, url_file: url, method: POST}
";

    #[test]
    fn what_the_section_says_reaches_engine_and_heartbeats_and_no_secret_is_shown() {
        let config = loaded(ALL).expect("valid");
        let alerts = &config.alertmanager.alerts;
        let damping: Vec<_> = alerts.damping.iter().map(|one| (one.changes, one.stable)).collect();
        let minutes = |count: u64| Duration::from_secs(60 * count);
        assert_eq!(damping, [(6, minutes(5)), (4, minutes(10))]);
        let expected: Vec<_> =
            alerts.expected.iter().map(|one| (one.awaited.as_str(), one.within)).collect();
        assert_eq!(expected, [("alert", minutes(5)), ("push", minutes(26 * 60))]);
        let beats: Vec<_> = config.heartbeats.iter().map(|one| one.interval).collect();
        assert_eq!(beats, [Duration::from_secs(30), minutes(1)]);
        assert!(config.shown.contains("heartbeats"), "{}", config.shown);
        let shown = format!("{} {:?}", config.shown, config.heartbeats);
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn every_fault_of_the_section_is_told_at_once_with_its_place() {
        let section = "  alertmanager: a.yml
  damping:
  - {receiver: teem, changes: 1}
  - {matchers: ['a=~\"(\"'], wihtin: 1m}
  expected:
  - {name: dog, within: 5m}
  heartbeats:
  - {name: a, url: 'ftp://x', interval: 1s}
  - {name: a, url: 'http://x', methd: GET}
";
        let told = loaded(section).expect_err("wrong");
        for expected in [
            "p.yml:4:16: undefined receiver \"teem\" in damping; did you mean \"team\"?",
            "p.yml:4:31: changes must be from 2 to 32, found 1",
            "p.yml:5:28: unknown field \"wihtin\"; did you mean \"within\"?",
            "p.yml:7:5: one of alert_matchers and push_matchers must say what is expected",
            "p.yml:9:20: unsupported scheme \"ftp\" for URL",
            "p.yml:9:41: interval must be from 5s to 1d, found 1s",
            "p.yml:10:12: heartbeat \"a\" is not unique",
            "p.yml:10:32: unknown field \"methd\"; did you mean \"method\"?",
        ] {
            assert!(told.contains(expected), "no {expected}:\n{told}");
        }
        let told = loaded("  damping:\n  - {matchers: ['a=~\"(\"']}\n").expect_err("wrong");
        assert!(told.starts_with("p.yml:3:17: "), "{told}");
        let told = loaded("  heartbeats: [{name: a, interval: soon}]\n").expect_err("wrong");
        assert!(told.contains("p.yml:2:36: interval: "), "{told}");
    }
}
