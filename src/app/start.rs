//! From settings to a running server and back: the order of start and stop.

use super::settings::Settings;
use crate::api::{self, Api, ApiSettings, socket, tcp};
use crate::model::printable;
use crate::service::{Service, World};
use crate::sys::clock::{SharedClock, SystemClock};
use crate::sys::dns::HostResolver;
use crate::sys::entropy::SystemEntropy;
use crate::sys::http::SystemHttp;
use crate::sys::metrics::Registry;
use crate::sys::signal::{Asked, Signals};
use crate::sys::tasks::{self, Shutdown};
use crate::sys::{log, ports, process};
use crate::wire::Core;
use anyhow::Context as _;
use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Threads that read requests and write answers, at most. There is one for two cores: they do short
/// work only, and each that wakes another costs more than that. On two cores one thread answers as
/// many small queries as two do, for a quarter less of CPU.
const HTTP_THREADS_MAX: usize = 4;

/// How long tasks may take to end once they are asked to.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// A running server.
#[derive(Debug)]
pub struct Running {
    service: Arc<Service>,
    shutdown: Shutdown,
    socket: Option<socket::SocketServer>,
    runtime: Runtime,
    /// For HTTP: queries that take no time to speak of are answered on its threads, and whatever
    /// holds one of them up does not hold up a scrape.
    http: Runtime,
}

/// Starts the server: configuration, sockets, store, parts. What cannot work ends it here, with
/// the reason.
///
/// # Errors
/// The configuration is wrong, the address is taken, or the store cannot be opened.
pub fn start(settings: Settings) -> anyhow::Result<Running> {
    process::keep_files_private();
    log::init(&settings.log).context("cannot open the log file")?;
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = |name: &str, count: usize| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let built = builder.enable_all().thread_name(name).worker_threads(count).build();
        built.context("cannot start the async runtime")
    };
    let http = threads("http", (cores / 2).clamp(1, HTTP_THREADS_MAX))?;
    let runtime = threads("async", cores)?;
    let clock: SharedClock = Arc::new(SystemClock::new());
    let world = World {
        clock: clock.clone(),
        entropy: Arc::new(SystemEntropy),
        http: Arc::new(SystemHttp::new()),
        dns: Arc::new(HostResolver::forgetful()),
        registry: Registry::new(),
        runtime: runtime.handle().clone(),
        shutdown: Shutdown::new(),
    };
    let (registry, shutdown) = (world.registry.clone(), world.shutdown.clone());
    let service = Service::new(settings.service.clone(), world)?;
    let mut running = Running { service, shutdown, socket: None, runtime, http };
    running.listen(&settings, registry, clock)?;
    running.service.open()?;
    Ok(running)
}

impl Running {
    /// The server's door.
    pub fn core(&self) -> Arc<dyn Core> {
        self.service.clone()
    }

    /// Waits until a signal or a request asks it to stop, and stops. SIGHUP loads the
    /// configuration again.
    ///
    /// # Errors
    /// Signals cannot be received.
    pub fn wait(self) -> anyhow::Result<()> {
        self.runtime.block_on(async {
            let mut signals = Signals::listen().context("cannot listen to signals")?;
            loop {
                tokio::select! {
                    asked = signals.next() => match asked {
                        Asked::Stop => return Ok(()),
                        Asked::Reload => {
                            let service = self.service.clone();
                            // The reason of a failure is in the log and on every screen.
                            let _ = tokio::task::spawn_blocking(move || service.reload()).await;
                        }
                    },
                    () = self.shutdown.wait() => return anyhow::Ok(()),
                }
            }
        })?;
        self.stop();
        Ok(())
    }

    /// Stops everything: no new work, then the parts, then the store.
    pub fn stop(self) {
        self.shutdown.trigger();
        if let Some(socket) = self.socket {
            socket.stop();
        }
        self.service.close();
        self.http.shutdown_timeout(STOP_PATIENCE);
        self.runtime.shutdown_timeout(STOP_PATIENCE);
        tracing::info!("stopped");
    }

    /// Opens TCP and the unix socket. With the built-in configuration a taken port is told and
    /// lived with; with a file of their own people rely on the address.
    fn listen(
        &mut self,
        settings: &Settings,
        registry: Registry,
        clock: SharedClock,
    ) -> anyhow::Result<()> {
        let core: Arc<dyn Core> = self.service.clone();
        let api = Arc::new(Api::new(core, api_settings(settings), registry, clock));
        for address in &settings.listen {
            match tcp::bind(address) {
                Ok(listener) => self.serve_tcp(&api, listener, settings),
                Err(err) => {
                    let text = refusal(address, &err);
                    if settings.service.config_file.is_some() {
                        anyhow::bail!(text);
                    }
                    self.service.notice(format!("{text}; going on with the unix socket alone"));
                }
            }
        }
        if let Some(folder) = settings.socket.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make folder {}", folder.display()))?;
        }
        match socket::serve(api, &settings.socket, socket::SocketLimits::default()) {
            Ok(server) => self.socket = Some(server),
            Err(err) => {
                let path = settings.socket.display();
                self.service
                    .notice(format!("cannot listen on unix:{path}: {err}; going on without"));
            }
        }
        Ok(())
    }

    fn serve_tcp(&self, api: &Arc<Api>, listener: std::net::TcpListener, settings: &Settings) {
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, "HTTP");
            if tcp::is_open(address.ip()) {
                let text = format!(
                    "anybody who reaches {address} can read everything; changes are refused there"
                );
                self.service.notice(text);
            }
        }
        let limits =
            tcp::TcpLimits { connections_max: settings.max_connections, ..Default::default() };
        let (api, shutdown) = (api.clone(), self.shutdown.clone());
        let _runtime = self.http.enter();
        tasks::spawn("http", async move {
            if let Err(err) = tcp::serve(api, listener, limits, shutdown).await {
                tracing::error!(%err, "HTTP has ended");
            }
        });
    }
}

fn refusal(address: &str, err: &std::io::Error) -> String {
    let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
    let holder = port
        .filter(|_| err.kind() == ErrorKind::AddrInUse)
        .and_then(ports::holder_of)
        .map(|holder| format!(": held by {}", printable(&holder)))
        .unwrap_or_else(|| format!(": {err}"));
    format!("cannot listen on {address}{holder}")
}

fn api_settings(settings: &Settings) -> ApiSettings {
    let external = &settings.service.external_url;
    // As Prometheus: without a prefix of its own, the path of the external URL.
    let path = external
        .split_once("://")
        .and_then(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..)));
    let prefix = settings.route_prefix.clone().or_else(|| path.map(str::to_owned));
    api::ApiSettings {
        enable_lifecycle: settings.lifecycle,
        enable_admin: settings.admin,
        enable_remote_write: true,
        enable_otlp: true,
        push_unchecked: settings.service.push.unchecked,
        external_url: external.clone(),
        route_prefix: prefix.unwrap_or_else(|| "/".to_owned()),
        query_timeout: settings.service.query_timeout,
        query_concurrency: settings.service.query_concurrency,
        ..ApiSettings::default()
    }
}
