//! A whole server with a real clock and network, and programs that run beside it.

use super::options;
pub(super) use super::real::{Agent, Real, flag};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use watchbell::api::tcp::{self, TcpLimits};
use watchbell::api::{Api, ApiSettings};
use watchbell::service::{Service, World};
use watchbell::sys::clock::{Clock as _, SystemClock};
use watchbell::sys::dns::HostResolver;
use watchbell::sys::entropy::SystemEntropy;
use watchbell::sys::http::SystemHttp;
use watchbell::sys::metrics::Registry;
use watchbell::sys::tasks::{self, Shutdown};
use watchbell::wire::Core;

/// A server with a real clock, on a port of loopback.
pub(super) struct Live {
    pub(super) service: Arc<Service>,
    pub(super) address: SocketAddr,
    shutdown: Shutdown,
    runtime: tokio::runtime::Runtime,
    pub(super) folder: tempfile::TempDir,
}

impl Live {
    pub(super) fn start(config: &str, features: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let routes = "{route: {receiver: none}, receivers: [{name: none}]}";
        for (name, text) in [("p.yml", config), ("a.yml", routes)] {
            std::fs::write(folder.path().join(name), text).expect("writes");
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let (clock, shutdown) = (Arc::new(SystemClock::new()), Shutdown::new());
        let registry = Registry::new();
        let world = World {
            clock: clock.clone(),
            entropy: Arc::new(SystemEntropy),
            http: Arc::new(SystemHttp::new()),
            dns: Arc::new(HostResolver::forgetful()),
            registry: registry.clone(),
            runtime: runtime.handle().clone(),
            shutdown: shutdown.clone(),
        };
        let mut options = options(folder.path());
        options.features = features.iter().map(|name| (*name).to_owned()).collect();
        let service = Service::new(options, world).expect("a valid file");
        service.open().expect("opens");
        let core: Arc<dyn Core> = service.clone();
        let api = Arc::new(Api::new(core, ApiSettings::default(), registry, clock));
        let listener = tcp::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("bound");
        let serve = tcp::serve(api, listener, TcpLimits::default(), shutdown.clone());
        runtime.block_on(async { drop(tasks::spawn("serve", serve)) });
        Self { service, address, shutdown, runtime, folder }
    }

    /// Status, head and body of the answer to a POST.
    pub(super) fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (u16, String, String) {
        ask(self.address, "POST", path, headers, body)
    }

    /// Waits for writes until `holds`.
    #[track_caller]
    pub(super) fn until(&self, what: &str, holds: impl Fn(&Service) -> bool) {
        for _ in 0..300 {
            let before = self.service.changes_after(0, Duration::ZERO).expect("answers").revision;
            if holds(&self.service) {
                return;
            }
            self.service.changes_after(before, Duration::from_millis(200)).expect("answers");
        }
        panic!("{what} did not happen");
    }

    /// Milliseconds since 1970.
    pub(super) fn clock_ms() -> i64 {
        SystemClock::new().now().as_millis()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.shutdown.trigger();
        self.service.close();
        let _ = &self.runtime;
    }
}

/// Status, head in lower case, and body of an answer over HTTP.
pub(super) fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).expect("listens");
    // 1.0: the answer comes in one piece, and ends with the connection.
    let mut head = format!(
        "{method} {path} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).expect("sends");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answers");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (status, head.to_ascii_lowercase(), body.to_owned())
}

/// As a part of a query's text in a URL.
pub(super) fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

impl Agent {
    /// `None` when it is not installed.
    pub(super) fn start(program: &str, args: &[String]) -> Option<Self> {
        let started = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        started.ok().map(Self)
    }
}

impl Real {
    /// Prometheus with this file, beside which its data lie, and these features.
    pub(super) fn prometheus(config: &Path, features: &str) -> Option<Self> {
        let data = config.with_extension("data");
        let args = [
            flag("--config.file", config),
            flag("--storage.tsdb.path", &data),
            format!("--enable-feature={features}"),
            "--web.listen-address=127.0.0.1:0".to_owned(),
        ];
        Self::start("prometheus", &args)
    }
}
