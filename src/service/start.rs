//! The service: made before anything can fail slowly, opened once, closed in the reverse of the
//! flow.

use super::active::Active;
use super::alert_metrics;
use super::alerting::{self, Alerting};
use super::backfilling::Backfills;
use super::core::ALERTMANAGER_VERSION;
use super::error::Error;
use super::forwarding::{self, Forwarding};
use super::heartbeat::{self, EngineVital, Heartbeats, RulesVital, StateVital, StoreVital, Vital};
use super::importing::Imports;
use super::keeping::Keeping;
use super::options::{Options, WalSync};
use super::pushing::Pushing;
use super::queries::{self, Queries};
use super::query_log::QueryLog;
use super::recording::Recording;
use super::revision::Revision;
use super::ruling::{self, Ruling};
use super::scraping::{Locals, OwnMetrics};
use super::workers::Workers;
use crate::alerts;
use crate::config::{self, Config, Sources};
use crate::ingest::discover::{HostFiles, Means};
use crate::ingest::probe::Prober;
use crate::ingest::scrape::{self, ScrapeManager};
use crate::model::{Problem, Timestamp};
use crate::notify::heartbeat::Heart;
use crate::notify::{EventOutput, Outside, Receivers, Revealed, Templates};
use crate::promql::{self, Engine};
use crate::rules;
use crate::storage::append::SharedAppender;
use crate::storage::state::{StateDb, StateOp, Table};
use crate::storage::{self, ReplayProgress, Storage};
use crate::sys::clock::SharedClock;
use crate::sys::dns::Dns;
use crate::sys::entropy::Entropy;
use crate::sys::event_loop::EventLoop;
use crate::sys::files::SystemFiles;
use crate::sys::http::Http;
use crate::sys::local::SystemLocal;
use crate::sys::locks::lock;
use crate::sys::memory;
use crate::sys::metrics::Registry;
use crate::sys::tasks::{self, Shutdown};
use crate::wire::PROMETHEUS_VERSION;
use arc_swap::ArcSwap;
use std::num::NonZero;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use tokio::runtime::Handle;

/// Resident bytes of one series, everything counted.
const SERIES_BYTES: u64 = 400;
/// However small the machine is, so many series are tried.
const SERIES_MAX_LEAST: usize = 20_000;
/// The feature of rules that are evaluated at the same time.
pub(super) const CONCURRENT_RULES: &str = "concurrent-rule-eval";
/// The feature without which `event_recorder` has no effect, as upstream has it.
const EVENT_RECORDER: &str = "event-recorder";
/// Where this server's part of every target's offset is kept.
const SEED_KEY: &str = "watchbell.seed";

/// What the service takes from the world.
#[derive(Clone, Debug)]
pub struct World {
    /// Time.
    pub clock: SharedClock,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Outbound HTTP.
    pub http: Arc<dyn Http>,
    /// Records of the name service, for discovery.
    pub dns: Arc<dyn Dns>,
    /// Own metrics.
    pub registry: Registry,
    /// Where tasks run.
    pub runtime: Handle,
    /// Asks everything to stop.
    pub shutdown: Shutdown,
}

/// The running server, apart from its sockets.
#[derive(Debug)]
pub struct Service {
    pub(super) options: Options,
    pub(super) world: World,
    pub(super) revision: Arc<Revision>,
    pub(super) started: Timestamp,
    pub(super) progress: ReplayProgress,
    pub(super) config: ArcSwap<Loaded>,
    parts: OnceLock<Parts>,
    pub(super) imports: Imports,
    pub(super) backfills: Backfills,
    /// One reload at a time.
    reloading: Mutex<()>,
    /// What the sockets have to tell.
    pub(super) notices: Mutex<Vec<String>>,
    /// Files that receivers add to have one lock, over reloads too.
    local: Arc<SystemLocal>,
}

/// The configuration in force and how the last reload went.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) config: Arc<Config>,
    pub(super) at: Timestamp,
    pub(super) error: Option<String>,
}

/// What exists once the store is open.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) storage: Arc<Storage>,
    pub(super) queries: Arc<Queries>,
    pub(super) scrapes: ScrapeManager,
    pub(super) ruling: Arc<Ruling>,
    pub(super) alerting: Arc<Alerting>,
    pub(super) forwarding: Arc<Forwarding>,
    recording: Arc<Recording>,
    pub(super) heartbeats: Arc<Heartbeats>,
    pub(super) own: OwnMetrics,
    pub(super) pushing: Arc<Pushing>,
    pub(super) prober: Prober,
    pub(super) state: Arc<StateDb>,
    locals: Locals,
}

impl Service {
    /// A service that answers that it is not ready yet.
    ///
    /// # Errors
    /// Every fault of the configuration.
    pub fn new(options: Options, world: World) -> Result<Arc<Self>, config::Error> {
        let config = config::load(&sources(&options))?;
        let started = world.clock.now();
        for note in config.notes.iter().chain(&options.warnings) {
            tracing::warn!("{note}");
        }
        let loaded = Loaded { config: Arc::new(config), at: started, error: None };
        Ok(Arc::new(Self {
            options,
            revision: Arc::default(),
            started,
            progress: ReplayProgress::new(),
            config: ArcSwap::from_pointee(loaded),
            parts: OnceLock::new(),
            imports: Imports::default(),
            backfills: Backfills::default(),
            reloading: Mutex::new(()),
            notices: Mutex::default(),
            local: Arc::default(),
            world,
        }))
    }

    /// Opens the store and starts all parts. Blocks while the log is read.
    ///
    /// # Errors
    /// The store cannot be opened, or a receiver cannot be made.
    pub fn open(self: &Arc<Self>) -> Result<(), Error> {
        let config = self.config.load().config.clone();
        let storage = self.open_storage(&config)?;
        let state = Arc::new(storage.open_state().map_err(Error::Storage)?);
        let parts = self.start_parts(&config, storage, &state)?;
        self.run_keeping(&parts)?;
        let timer = parts.alerting.clone().run_timer(self.world.shutdown.clone());
        let _runtime = self.world.runtime.enter();
        tasks::spawn("alert timer", timer);
        tasks::spawn("heartbeats", parts.heartbeats.clone().run(self.world.shutdown.clone()));
        parts.scrapes.apply(config.jobs.jobs.clone(), parts.locals.jobs(&config));
        self.parts.set(parts).unwrap_or_else(|_| panic!("BUG: the service was opened twice"));
        self.record_reload(true);
        self.revision.bump();
        tracing::info!(took_ms = self.world.clock.now().millis_since(self.started), "ready");
        Ok(())
    }

    /// Stops everything, from the edge inwards: no scrape, no rule, then the store is closed.
    pub fn close(&self) {
        self.world.shutdown.trigger();
        let Some(parts) = self.parts.get() else { return };
        // A group whose query is canceled would begin its next rule, and that would run for long.
        parts.ruling.dismiss_all();
        parts.queries.active().cancel_all();
        self.world.runtime.block_on(parts.scrapes.stop());
        parts.ruling.stop();
        self.world.runtime.block_on(parts.forwarding.stop());
        self.world.runtime.block_on(parts.recording.stop());
        if let Err(err) = parts.storage.close() {
            tracing::error!(%err, "the store could not be closed; its log holds everything");
        }
        if let Err(err) = parts.state.close() {
            tracing::warn!(%err, "the next start takes this for an unclean stop");
        }
    }

    /// What exists once the store is open.
    pub(super) fn parts(&self) -> Option<&Parts> {
        self.parts.get()
    }

    /// Something the operator should see on every screen.
    pub fn notice(&self, text: String) {
        tracing::warn!("{text}");
        lock(&self.notices).push(text);
    }

    /// Scrapes what there is to scrape now: the configuration's jobs and those in this process.
    pub(super) fn apply_jobs(&self, parts: &Parts) {
        let _not_while_reloading = lock(&self.reloading);
        let config = self.config.load().config.clone();
        let _runtime = self.world.runtime.enter();
        parts.scrapes.apply(config.jobs.jobs.clone(), parts.locals.jobs(&config));
    }

    /// Loads the configuration again: all of it or nothing.
    ///
    /// # Errors
    /// Why the running configuration stays in force.
    pub(super) fn load_again(&self) -> Result<(), Error> {
        let _one_at_a_time = lock(&self.reloading);
        let outcome = self.apply_files();
        self.record_reload(outcome.is_ok());
        match &outcome {
            Ok(()) => tracing::info!("the configuration was loaded again"),
            Err(err) => {
                tracing::error!("the running configuration stays in force:\n{err}");
                let before = self.config.load_full();
                self.config.store(Arc::new(Loaded {
                    error: Some(err.to_string()),
                    ..Loaded::clone(&before)
                }));
            }
        }
        self.revision.bump();
        outcome
    }

    fn apply_files(&self) -> Result<(), Error> {
        let options = &self.options;
        let config = config::load(&sources(options)).map_err(Error::Config)?;
        config.notes.iter().for_each(|note| tracing::warn!("{note}"));
        let config = Arc::new(config);
        if let Some(parts) = self.parts.get() {
            // What can fail comes first: nothing has changed until all of it exists.
            let receivers = self.receivers(&config)?;
            let hearts = self.hearts(&config)?;
            let outputs = self.event_outputs(&config)?;
            let others = parts.forwarding.prepare(&config.alerting.others, &config.base);
            parts.forwarding.apply(others.map_err(Error::Receivers)?);
            parts.heartbeats.replace(hearts);
            parts.recording.apply(outputs);
            parts.alerting.reconfigure(Arc::new(config.alertmanager.alerts.clone()), receivers);
            parts.queries.set_evaluation_interval(config.evaluation_interval);
            let context = self.rule_context(&config);
            parts.ruling.reload(&config.groups, &context, &config.alerting.alert_relabel);
            parts.storage.reconfigure(&config.storage);
            self.open_query_log(parts.queries.log(), &config);
            let _runtime = self.world.runtime.enter();
            parts.scrapes.apply(config.jobs.jobs.clone(), parts.locals.jobs(&config));
        }
        let at = self.world.clock.now();
        self.config.store(Arc::new(Loaded { config, at, error: None }));
        Ok(())
    }

    fn record_reload(&self, succeeded: bool) {
        let registry = &self.world.registry;
        let name = "prometheus_config_last_reload_successful";
        let help = "Whether the last configuration reload attempt was successful.";
        registry.gauge(name, help, &[]).set(f64::from(u8::from(succeeded)));
        if succeeded {
            let name = "prometheus_config_last_reload_success_timestamp_seconds";
            let help = "Timestamp of the last successful configuration reload.";
            registry.gauge(name, help, &[]).set(self.world.clock.now().as_seconds());
        }
        let loaded = self.config.load();
        let config = &loaded.config.alertmanager;
        alert_metrics::write(registry, config, succeeded, self.world.clock.now());
    }

    fn open_storage(&self, config: &Config) -> Result<Arc<Storage>, Error> {
        let options = &self.options;
        let mut settings = storage::config::Config::at(&options.data);
        if options.retention_time.is_some() || options.retention_size.is_some() {
            settings.retention_time = options.retention_time;
        }
        settings.retention_bytes = options.retention_size;
        settings.min_free_bytes = options.min_free;
        settings.wal_sync = match options.wal_sync {
            WalSync::Always => storage::config::WalSync::Always,
            WalSync::Every(span) => storage::config::WalSync::Every(span),
            WalSync::Off => storage::config::WalSync::Off,
        };
        settings.series_max = options.series_max.unwrap_or_else(|| {
            // Half of the memory, at what a series takes at most in the long run.
            let limit = memory::limit_bytes().unwrap_or(u64::MAX);
            let room = usize::try_from(limit / 2 / SERIES_BYTES).unwrap_or(usize::MAX);
            room.max(SERIES_MAX_LEAST)
        });
        settings.labels_max = options.limits.labels_max;
        settings.label_name_bytes_max = options.limits.label_name_bytes_max;
        settings.label_value_bytes_max = options.limits.label_value_bytes_max;
        settings.apply(&config.storage);
        let deps = storage::Deps {
            files: Arc::new(SystemFiles),
            clock: self.world.clock.clone(),
            entropy: self.world.entropy.clone(),
            registry: self.world.registry.clone(),
        };
        let storage = Storage::open(settings, &deps, &self.progress).map_err(Error::Storage)?;
        Ok(Arc::new(storage))
    }

    fn start_parts(
        &self,
        config: &Arc<Config>,
        storage: Arc<Storage>,
        state: &Arc<StateDb>,
    ) -> Result<Parts, Error> {
        let world = &self.world;
        let appender: SharedAppender = storage.clone();
        let engine = Engine::new(self.query_config(config), world.clock.clone());
        let source = storage.clone();
        let queries = Arc::new(self.queries(engine, source, config)?);
        let alerts = alerts::Engine::new(Arc::new(config.alertmanager.alerts.clone()));
        let recording = self.recording(config)?;
        let deps = alerting::Deps {
            state: state.clone(),
            clock: world.clock.clone(),
            entropy: world.entropy.clone(),
            registry: world.registry.clone(),
            revision: self.revision.clone(),
            recording: recording.clone(),
            runtime: world.runtime.clone(),
        };
        let alerting =
            Alerting::restore(alerts, self.receivers(config)?, deps).map_err(Error::Storage)?;
        let forwarding = Arc::new(Forwarding::new(self.forwarding_deps()));
        let others = forwarding.prepare(&config.alerting.others, &config.base);
        forwarding.apply(others.map_err(Error::Receivers)?);
        let ruling = Arc::new(Ruling::new(ruling::Deps {
            queries: queries.clone(),
            appender: appender.clone(),
            state: state.clone(),
            clock: world.clock.clone(),
            alerting: alerting.clone(),
            forwarding: forwarding.clone(),
            revision: self.revision.clone(),
            runtime: world.runtime.clone(),
            concurrency: self.options.rule_concurrency,
            concurrent_rules: has_feature(&self.options, CONCURRENT_RULES),
        }));
        let context = self.rule_context(config);
        ruling
            .start(&config.groups, &context, &config.alerting.alert_relabel)
            .map_err(Error::Storage)?;
        let vitals = self.vitals(&alerting, state, &queries, &storage, &ruling);
        let heartbeats = self.heartbeats(vitals, config)?;
        let scrapes = ScrapeManager::new(self.scrape_deps(appender, server_seed(state, world)));
        let own = OwnMetrics::new(world.registry.clone(), &alerting, &queries);
        let (clock, registry) = (world.clock.clone(), &world.registry);
        let bounds = (self.options.limits, self.options.push);
        let pushing = Pushing::restore(state.clone(), clock, registry, bounds);
        let pushing = Arc::new(pushing.map_err(Error::Storage)?);
        let prober = Prober::new(world.entropy.clone());
        let locals = Locals::new(world, config, own.clone(), pushing.clone(), prober.clone());
        let state = state.clone();
        Ok(Parts {
            storage,
            queries,
            scrapes,
            ruling,
            alerting,
            forwarding,
            recording,
            heartbeats,
            own,
            pushing,
            prober,
            state,
            locals,
        })
    }

    /// The queries, and a notice of those that ran when the last process ended.
    fn queries(
        &self,
        engine: Engine,
        source: Arc<Storage>,
        config: &Config,
    ) -> Result<Queries, Error> {
        let (world, concurrency) = (&self.world, self.options.query_concurrency);
        let (active, left) = Active::open(&SystemFiles, &self.options.data, world.clock.clone());
        for query in left {
            self.notice(format!("this query was running when the last process ended: {query}"));
        }
        let log = QueryLog::new(&world.registry);
        self.open_query_log(&log, config);
        // A heavy query takes one thread: as many as there are cores, and no fewer than two, so
        // that one of two minutes does not hold up all others.
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let threads = cores.max(2).min(concurrency);
        let workers = Workers::start(threads, concurrency).map_err(Error::Thread)?;
        let (clock, registry) = (world.clock.clone(), world.registry.clone());
        let world = queries::World { clock, registry, active, log, workers };
        Ok(Queries::new(engine, source, concurrency, world))
    }

    /// A log that cannot be written is told, and is no reason not to run.
    fn open_query_log(&self, log: &QueryLog, config: &Config) {
        let file = config.query_log_file.as_deref();
        if let Err(err) = log.reopen(file) {
            let file = file.unwrap_or_else(|| Path::new("")).display();
            self.notice(format!("cannot open the query log {file}: {err}"));
        }
    }

    fn scrape_deps(&self, appender: SharedAppender, server_seed: u64) -> scrape::Deps {
        let (revision, clock) = (self.revision.clone(), self.world.clock.clone());
        let runtime = self.world.runtime.clone();
        scrape::Deps {
            clock: self.world.clock.clone(),
            http: self.world.http.clone(),
            dns: self.world.dns.clone(),
            appender,
            registry: self.world.registry.clone(),
            server_seed,
            parse_groups: Arc::new(config::parse_target_groups),
            files: Arc::new(HostFiles),
            user_agent: user_agent(),
            safety: self.options.limits,
            // Without room for one more thread the targets' tasks run beside all other tasks.
            event_loop: EventLoop::start("scrape", runtime).ok().map(Arc::new),
            on_commit: Arc::new(move || revision.nudge(clock.elapsed())),
        }
    }

    fn receivers(&self, config: &Config) -> Result<Receivers, Error> {
        let settings = &config.alertmanager;
        let templates = Templates::new(&settings.templates).map_err(|faults| {
            let text = |(name, err): (String, _)| Problem::new(name, format!("{err}"));
            Error::Receivers(faults.into_iter().map(text).collect())
        })?;
        let outside = self.outside(&settings.base);
        let (receivers, problems) =
            Receivers::new(&settings.receivers, templates, outside, &self.world.registry);
        if problems.is_empty() { Ok(receivers) } else { Err(Error::Receivers(problems)) }
    }

    /// Who is told of events, and that this server works.
    fn recording(&self, config: &Config) -> Result<Arc<Recording>, Error> {
        let world = &self.world;
        let (clock, runtime) = (world.clock.clone(), world.runtime.clone());
        let recording = Recording::new(clock, runtime, world.registry.clone(), host_name());
        recording.apply(self.event_outputs(config)?);
        recording.started(ALERTMANAGER_VERSION);
        Ok(Arc::new(recording))
    }

    fn event_outputs(&self, config: &Config) -> Result<Vec<EventOutput>, Error> {
        let settings = &config.alertmanager;
        let make = |plan| EventOutput::new(plan, self.outside(&settings.base));
        let outputs: Result<_, Problem> = settings.events.iter().map(make).collect();
        outputs.map_err(|problem| Error::Receivers(vec![problem.below("event_recorder")]))
    }

    fn forwarding_deps(&self) -> forwarding::Deps {
        let (world, options) = (&self.world, &self.options);
        let own = || format!("{}/alertmanager/api/v2/alerts", options.external_url);
        forwarding::Deps {
            means: Means {
                clock: world.clock.clone(),
                http: world.http.clone(),
                dns: world.dns.clone(),
                files: Arc::new(HostFiles),
                parse: Arc::new(config::parse_target_groups),
                user_agent: user_agent(),
            },
            registry: world.registry.clone(),
            runtime: world.runtime.clone(),
            options: options.sending,
            built_in: options.sending.built_in.then(own),
        }
    }

    /// What has to work for a heartbeat to be sent.
    fn vitals(
        &self,
        alerting: &Arc<Alerting>,
        state: &Arc<StateDb>,
        queries: &Arc<Queries>,
        storage: &Arc<Storage>,
        ruling: &Arc<Ruling>,
    ) -> Vec<Box<dyn Vital>> {
        let clock = &self.world.clock;
        vec![
            Box::new(EngineVital(alerting.clone())),
            Box::new(StateVital { state: state.clone(), clock: clock.clone() }),
            Box::new(StoreVital {
                appender: storage.clone(),
                queries: queries.clone(),
                clock: clock.clone(),
            }),
            Box::new(RulesVital::new(ruling.clone(), clock.clone())),
        ]
    }

    fn heartbeats(
        &self,
        vitals: Vec<Box<dyn Vital>>,
        config: &Config,
    ) -> Result<Arc<Heartbeats>, Error> {
        let (world, revision) = (&self.world, self.revision.clone());
        let deps = heartbeat::Deps {
            clock: world.clock.clone(),
            registry: world.registry.clone(),
            revision,
        };
        let heartbeats = Heartbeats::new(vitals, deps);
        heartbeats.replace(self.hearts(config)?);
        Ok(heartbeats)
    }

    fn hearts(&self, config: &Config) -> Result<Vec<Heart>, Error> {
        let make = |(place, heartbeat)| {
            let at = format!("watchbell.heartbeats[{place}]");
            let made = Heart::new(heartbeat, self.outside(&config.base));
            made.map_err(|problem| Error::Receivers(vec![problem.below(&at)]))
        };
        config.heartbeats.iter().enumerate().map(make).collect()
    }

    /// The world as receivers see it; relative names of files start at `base`.
    fn outside(&self, base: &Path) -> Outside {
        Outside {
            http: self.world.http.clone(),
            local: self.local.clone(),
            clock: self.world.clock.clone(),
            entropy: self.world.entropy.clone(),
            read_file: Arc::new(|path: &Path| std::fs::read(path)),
            read_yaml: Arc::new(config::parse_plain_yaml),
            hostname: host_name(),
            base: base.to_owned(),
            revealed: Revealed::default(),
        }
    }

    fn rule_context(&self, config: &Config) -> rules::Context {
        rules::Context {
            interval: config.evaluation_interval,
            scrape_interval: config.longest_scrape_interval(),
            query_offset: config.rule_query_offset,
            resend_delay: self.options.resend_delay,
            outage_tolerance: self.options.outage_tolerance,
            grace_period: self.options.grace_period,
            external_labels: config.external_labels.clone(),
            external_url: self.options.external_url.trim_end_matches('/').to_owned(),
            registry: self.world.registry.clone(),
            slots: None,
        }
    }

    fn query_config(&self, config: &Config) -> promql::Config {
        promql::Config {
            lookback: self.options.lookback,
            timeout: self.options.query_timeout,
            samples_max: self.options.query_samples,
            bytes_max: query_bytes(self.options.query_bytes, memory::limit_bytes()),
            evaluation_interval: config.evaluation_interval,
            cores: std::thread::available_parallelism().map_or(1, NonZero::get),
            features: promql::Features::named(&self.options.features),
            delayed_name_removal: has_feature(&self.options, "promql-delayed-name-removal"),
            start_timestamps: has_feature(&self.options, "use-start-timestamps"),
            ..promql::Config::default()
        }
    }

    fn run_keeping(&self, parts: &Parts) -> Result<(), Error> {
        let keeping = Keeping::new(
            self.world.clone(),
            self.revision.clone(),
            parts.storage.clone(),
            parts.state.clone(),
            parts.queries.clone(),
            self.options.history_retention,
        );
        tasks::spawn_thread("keeping", move || keeping.run()).map_err(Error::Thread)?;
        Ok(())
    }
}

/// What all queries may hold together: what the flag says, or a fifth of what this process may
/// use, and no more than the default.
fn query_bytes(flag: Option<u64>, limit: Option<u64>) -> usize {
    let default = promql::Config::default().bytes_max;
    let bytes = flag.or(limit.map(|limit| (limit / 5).min(default as u64)));
    bytes.map_or(default, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// Who asks targets and servers that name targets.
fn user_agent() -> String {
    format!("Prometheus/{PROMETHEUS_VERSION}")
}

/// The host's name.
pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn sources(options: &Options) -> Sources {
    Sources {
        config_file: options.config_file.clone(),
        alertmanager_file: options.alertmanager_file.clone(),
        alerts: alert_options(options),
        features: promql::Features::named(&options.features),
        ..Sources::default()
    }
}

pub(super) fn has_feature(options: &Options, name: &str) -> bool {
    options.features.iter().any(|feature| feature == name)
}

fn alert_options(options: &Options) -> alerts::Options {
    let classic = has_feature(options, "classic-mode");
    let matcher_mode = match (classic, has_feature(options, "utf8-strict-mode")) {
        (true, _) => alerts::matchers::Mode::Classic,
        (false, true) => alerts::matchers::Mode::Utf8Strict,
        (false, false) => alerts::matchers::Mode::Fallback,
    };
    alerts::Options {
        external_url: format!("{}/alertmanager", options.external_url.trim_end_matches('/')),
        retention: options.data_retention,
        limits: options.alert_limits.clone(),
        matcher_mode,
        event_recorder: has_feature(options, EVENT_RECORDER),
        ..alerts::Options::default()
    }
}

/// This server's part of every target's offset: the same over restarts, another on every server.
fn server_seed(state: &StateDb, world: &World) -> u64 {
    let stored = state.get(Table::Meta, SEED_KEY).ok().flatten();
    if let Some(seed) = stored.and_then(|text| text.parse().ok()) {
        return seed;
    }
    let seed = world.entropy.next_u64();
    let op = StateOp::Put { table: Table::Meta, key: SEED_KEY.to_owned(), value: seed.to_string() };
    if let Err(err) = state.apply(&[op]) {
        tracing::warn!(%err, "the offsets of targets will move with the next start");
    }
    seed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_have_a_fifth_of_the_memory_and_no_more_than_256_mib_unless_it_is_said() {
        // reliability.md, section 3.
        const MIB: u64 = 1 << 20;
        for (flag, limit, expected) in [
            (None, None, 256),
            (None, Some(500), 100),
            (None, Some(64_000), 256),
            (Some(1000), Some(500), 1000),
            (Some(10), None, 10),
        ] {
            let bytes = query_bytes(flag.map(|flag| flag * MIB), limit.map(|limit| limit * MIB));
            assert_eq!(bytes as u64 / MIB, expected, "{flag:?} {limit:?}");
        }
    }
}
