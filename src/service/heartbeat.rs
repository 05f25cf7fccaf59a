//! The dead man's switch: servers elsewhere are told again and again that this one works, and
//! raise an alarm when that stops. A beat goes out only after all of this was seen, at the same
//! moment:
//!
//! - the alert engine takes a step, its timer runs, and none of its rows waits for the disk;
//! - `state.db` takes a transaction;
//! - the store takes a sample, and PromQL reads that sample back;
//! - every group of rules has been evaluated in its last two intervals and the time of a query.
//!
//! A part that hangs is a part that does not work: a look that takes too long is a failed one.
//! A rule that fails, a target that is down and a receiver that cannot be reached are no reason:
//! those are what alerts are for.

use super::alerting::Alerting;
use super::queries::Queries;
use super::query_log::RuleGroup;
use super::revision::Revision;
use super::ruling::Ruling;
use super::start::host_name;
use crate::model::{Labels, Timestamp, duration};
use crate::notify::heartbeat::Heart;
use crate::promql::Value;
use crate::storage::append::{Commit, SharedAppender};
use crate::storage::state::{StateDb, StateOp, Table};
use crate::sys::clock::SharedClock;
use crate::sys::locks::lock;
use crate::sys::metrics::Registry;
use crate::sys::tasks::{self, Shutdown};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// A look that takes longer has failed.
const LOOK_MAX: Duration = Duration::from_secs(10);
/// So much later than two of its intervals a group of rules may be, and at least as late as one of
/// its queries may run.
const RULES_LATE: Duration = Duration::from_secs(30);
/// The query that reads the sample back is small.
const QUERY_MAX: Duration = Duration::from_secs(5);
/// Where `state.db` keeps when it was last written for a beat.
const STATE_KEY: &str = "watchbell.heartbeat";
/// The series that is written and read back: the time of the look, in seconds.
const SERIES: &str = "watchbell_heartbeat_look_timestamp_seconds";

/// A part that has to work.
pub(super) trait Vital: Send + Sync + fmt::Debug {
    /// What it is, for people.
    fn name(&self) -> &'static str;

    /// Tries it. Blocks, maybe for ever.
    ///
    /// # Errors
    /// Why it does not work.
    fn look(&self) -> Result<(), String>;
}

/// How a heartbeat does.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct BeatReport {
    /// Its name.
    pub(super) name: String,
    /// Time between beats.
    pub(super) interval: Duration,
    /// The last one that arrived.
    pub(super) last_ok: Option<Timestamp>,
    /// Since when none arrives; `None` when the last one did.
    pub(super) failing_since: Option<Timestamp>,
    /// Why not.
    pub(super) last_error: String,
}

/// What heartbeats take from the world.
#[derive(Debug)]
pub(super) struct Deps {
    pub(super) clock: SharedClock,
    pub(super) registry: Registry,
    pub(super) revision: Arc<Revision>,
}

/// All heartbeats.
#[derive(Debug)]
pub(super) struct Heartbeats {
    deps: Deps,
    vitals: Arc<Vec<Box<dyn Vital>>>,
    /// The part that a look is at; a look is under way as long as there is one.
    looking_at: Arc<Mutex<Option<&'static str>>>,
    hearts: Mutex<Vec<Beating>>,
    changed: watch::Sender<()>,
}

/// One heartbeat at work.
#[derive(Debug)]
struct Beating {
    heart: Arc<Heart>,
    /// When the next one is due, in elapsed time.
    due: Duration,
    report: BeatReport,
}

impl Heartbeats {
    /// Heartbeats of a server whose parts are these.
    pub(super) fn new(vitals: Vec<Box<dyn Vital>>, deps: Deps) -> Arc<Self> {
        Arc::new(Self {
            deps,
            vitals: Arc::new(vitals),
            looking_at: Arc::default(),
            hearts: Mutex::default(),
            changed: watch::channel(()).0,
        })
    }

    /// Beats for these from now on; what stays the same keeps its rhythm.
    pub(super) fn replace(&self, hearts: Vec<Heart>) {
        let now = self.deps.clock.elapsed();
        let mut held = lock(&self.hearts);
        let mut before: BTreeMap<String, Beating> =
            held.drain(..).map(|one| (one.report.name.clone(), one)).collect();
        for heart in hearts {
            let heartbeat = heart.heartbeat();
            let (name, interval) = (heartbeat.name.clone(), heartbeat.interval);
            let same = before.remove(&name).filter(|one| one.heart.heartbeat() == heartbeat);
            let (due, report) = match same {
                Some(one) => (one.due, one.report),
                None => (now, BeatReport { name, interval, ..BeatReport::default() }),
            };
            held.push(Beating { heart: Arc::new(heart), due, report });
        }
        drop(held);
        self.changed.send_replace(());
    }

    /// How each of them does, in the order of the configuration.
    pub(super) fn reports(&self) -> Vec<BeatReport> {
        lock(&self.hearts).iter().map(|one| one.report.clone()).collect()
    }

    /// Beats until the server stops.
    pub(super) async fn run(self: Arc<Self>, shutdown: Shutdown) {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            let due = lock(&self.hearts).iter().map(|one| one.due).min();
            tokio::select! {
                () = self.deps.clock.sleep_until(due.unwrap_or(Duration::MAX)) => {}
                _ = changed.changed() => continue,
                () = shutdown.wait() => return,
            }
            let works = self.look().await;
            for heart in self.take_due() {
                match &works {
                    Ok(()) => {
                        let this = self.clone();
                        let name = format!("heartbeat {}", heart.heartbeat().name);
                        tasks::spawn(name, async move {
                            let outcome = heart.beat().await;
                            let result = if outcome.is_ok() { "sent" } else { "failed" };
                            this.note(&heart.heartbeat().name, result, outcome);
                        });
                    }
                    Err(why) => {
                        let text = format!("withheld, since this server does not work: {why}");
                        self.note(&heart.heartbeat().name, "withheld", Err(text));
                    }
                }
            }
        }
    }

    /// Those that are due, which then wait for their next time.
    fn take_due(&self) -> Vec<Arc<Heart>> {
        let now = self.deps.clock.elapsed();
        let mut held = lock(&self.hearts);
        let due = held.iter_mut().filter(|one| one.due <= now).map(|one| {
            one.due = now.saturating_add(one.report.interval);
            one.heart.clone()
        });
        due.collect()
    }

    /// Whether everything works.
    async fn look(&self) -> Result<(), String> {
        {
            let mut at = lock(&self.looking_at);
            if let Some(part) = *at {
                return Err(format!("{part} has been stuck since the beat before"));
            }
            *at = Some("a free thread");
        }
        let (vitals, looking_at) = (self.vitals.clone(), self.looking_at.clone());
        let look = tokio::task::spawn_blocking(move || {
            let _until_the_end = Looking(&looking_at);
            vitals.iter().try_for_each(|vital| {
                *lock(&looking_at) = Some(vital.name());
                vital.look().map_err(|why| format!("{}: {why}", vital.name()))
            })
        });
        tokio::select! {
            looked = look => looked.unwrap_or_else(|_| Err("the look at it failed".to_owned())),
            () = self.deps.clock.sleep(LOOK_MAX) => {
                let part = lock(&self.looking_at).unwrap_or("the last part");
                let limit = duration::format(LOOK_MAX);
                Err(format!("{part} did not answer within {limit}"))
            }
        }
    }

    /// What became of a beat.
    fn note(&self, name: &str, result: &str, outcome: Result<(), String>) {
        let now = self.deps.clock.now();
        let help = "Heartbeats by what became of them.";
        let labels = [("heartbeat", name), ("result", result)];
        self.deps.registry.counter("watchbell_heartbeats_total", help, &labels).inc();
        let mut held = lock(&self.hearts);
        // It may be gone by a reload.
        let Some(one) = held.iter_mut().find(|one| one.report.name == name) else { return };
        let report = &mut one.report;
        let was_failing = report.failing_since.is_some();
        match &outcome {
            Ok(()) => {
                report.last_ok = Some(now);
                report.failing_since = None;
                report.last_error.clear();
                let help = "When a heartbeat last arrived.";
                let metric = "watchbell_heartbeat_last_success_timestamp_seconds";
                let labels = [("heartbeat", name)];
                self.deps.registry.gauge(metric, help, &labels).set(now.as_seconds());
            }
            Err(why) => {
                report.failing_since.get_or_insert(now);
                report.last_error.clone_from(why);
            }
        }
        drop(held);
        match &outcome {
            Err(why) => tracing::error!(heartbeat = name, why, "no heartbeat arrived"),
            Ok(()) if was_failing => tracing::info!(heartbeat = name, "heartbeats arrive again"),
            Ok(()) => {}
        }
        if was_failing == outcome.is_ok() {
            self.deps.revision.bump();
        }
    }
}

/// A look that goes on.
struct Looking<'a>(&'a Mutex<Option<&'static str>>);

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        *lock(self.0) = None;
    }
}

/// The alert engine.
#[derive(Debug)]
pub(super) struct EngineVital(pub(super) Arc<Alerting>);

impl Vital for EngineVital {
    fn name(&self) -> &'static str {
        "the alert engine"
    }

    fn look(&self) -> Result<(), String> {
        self.0.look()
    }
}

/// The database of alerts, silences and notifications.
#[derive(Debug)]
pub(super) struct StateVital {
    pub(super) state: Arc<StateDb>,
    pub(super) clock: SharedClock,
}

impl Vital for StateVital {
    fn name(&self) -> &'static str {
        "state.db"
    }

    fn look(&self) -> Result<(), String> {
        let value = self.clock.now().as_millis().to_string();
        let put = StateOp::Put { table: Table::Meta, key: STATE_KEY.to_owned(), value };
        self.state.apply(&[put]).map_err(|err| err.to_string())
    }
}

/// The store, and the queries that read it.
#[derive(Debug)]
pub(super) struct StoreVital {
    pub(super) appender: SharedAppender,
    pub(super) queries: Arc<Queries>,
    pub(super) clock: SharedClock,
}

impl Vital for StoreVital {
    fn name(&self) -> &'static str {
        "the store"
    }

    fn look(&self) -> Result<(), String> {
        let (now, host) = (self.clock.now(), host_name());
        let labels = Labels::from_pairs([("__name__", SERIES), ("instance", host.as_str())]);
        let commit = Commit::of([(labels, now, now.as_seconds())]);
        let committed = self.appender.commit(&commit).map_err(|err| err.to_string())?;
        if let Some((_, refusal)) = committed.refused.first() {
            return Err(format!("it refuses a sample: {}", refusal.as_str()));
        }
        let group = RuleGroup { file: "", name: "heartbeat" };
        let expr = format!("{SERIES}{{instance={host:?}}}");
        let found = self.queries.rule(&expr, now, QUERY_MAX, group);
        match found.map_err(|err| err.to_string())?.value {
            Value::Vector(samples)
                if samples.iter().any(|one| one.value.to_bits() == now.as_seconds().to_bits()) =>
            {
                Ok(())
            }
            _ => Err("it does not answer with what was just written".to_owned()),
        }
    }
}

/// The groups of rules.
#[derive(Debug)]
pub(super) struct RulesVital {
    ruling: Arc<Ruling>,
    clock: SharedClock,
    /// By file and name.
    seen: Mutex<BTreeMap<(String, String), Evaluated>>,
}

/// The last evaluation of a group, and when that was seen to be a new one, in elapsed time.
type Evaluated = (Option<Timestamp>, Duration);

impl RulesVital {
    pub(super) fn new(ruling: Arc<Ruling>, clock: SharedClock) -> Self {
        Self { ruling, clock, seen: Mutex::default() }
    }
}

impl Vital for RulesVital {
    fn name(&self) -> &'static str {
        "the rules"
    }

    fn look(&self) -> Result<(), String> {
        let now = self.clock.elapsed();
        let late_by = RULES_LATE.max(self.ruling.query_timeout());
        let mut before = lock(&self.seen);
        let mut seen = BTreeMap::new();
        let mut late = None;
        for group in self.ruling.views() {
            let key = (group.file.clone(), group.name.clone());
            let last = group.last_evaluation;
            let same = before.get(&key).filter(|(before, _)| *before == last);
            let since = same.map_or(now, |(_, since)| *since);
            let limit = group.interval.saturating_mul(2).saturating_add(late_by);
            if now.saturating_sub(since) > limit {
                let (name, file) = (&group.name, &group.file);
                let limit = duration::format(limit);
                late = Some(format!("group {name:?} of {file} was not evaluated for {limit}"));
            }
            seen.insert(key, (last, since));
        }
        *before = seen;
        late.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ruling_life::{comes_true, options};
    use super::super::start::{Service, World};
    use super::*;
    use crate::sys::dns::HostResolver;
    use crate::sys::sim::{SeededEntropy, VirtualClock};
    use crate::sys::sim_http::ScriptedHttp;
    use crate::wire::Core as _;
    use std::sync::mpsc;

    const URL: &str = "http://watcher/canary";

    /// A server that beats every 5 s.
    struct Scene {
        clock: VirtualClock,
        http: Arc<ScriptedHttp>,
        service: Arc<Service>,
        folder: tempfile::TempDir,
        _runtime: tokio::runtime::Runtime,
    }

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime");
            let clock = VirtualClock::at(Timestamp::from_millis(1_700_000_000_000));
            let http = Arc::new(ScriptedHttp::new());
            http.on(URL, ScriptedHttp::answer(200, "text/plain", "OK"));
            let world = World {
                clock: Arc::new(clock.clone()),
                entropy: Arc::new(SeededEntropy::new(1)),
                http: http.clone(),
                dns: Arc::new(HostResolver::forgetful()),
                registry: Registry::new(),
                runtime: runtime.handle().clone(),
                shutdown: Shutdown::new(),
            };
            let file = folder.path().join("p.yml");
            std::fs::write(&file, config("5s")).expect("writes");
            let service = Service::new(options(file), world).expect("a valid file");
            service.open().expect("opens");
            Self { clock, http, service, folder, _runtime: runtime }
        }

        fn beats(&self) -> usize {
            self.http.requests().len()
        }

        fn report(&self) -> BeatReport {
            let parts = self.service.parts().expect("is open");
            parts.heartbeats.reports().remove(0)
        }

        /// Lets time pass a quarter of a second at a time until `holds`.
        #[track_caller]
        fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
            let came = comes_true(&self.service, &self.clock, || holds(self));
            assert!(came, "{what} did not happen: {:?}", self.report());
        }

        /// Waits for a beat that was not sent for this reason, and sees that none is sent then.
        #[track_caller]
        fn expect_silence(&self, why: &str) {
            self.until(why, |scene| scene.report().last_error.contains(why));
            let (beats, began) = (self.beats(), self.service.world.clock.elapsed());
            self.until("a minute", |scene| {
                scene.service.world.clock.elapsed() > began + Duration::from_secs(60)
            });
            assert_eq!(self.beats(), beats, "{:?}", self.report());
            assert!(self.report().failing_since.is_some());
        }
    }

    fn config(interval: &str) -> String {
        format!("watchbell:\n  heartbeats:\n  - {{name: hc, url: '{URL}', interval: {interval}}}\n")
    }

    #[test]
    fn beats_go_out_in_their_rhythm_and_a_failing_one_is_told_everywhere() {
        let scene = Scene::new();
        scene.until("three beats", |scene| scene.beats() >= 3);
        assert!(scene.service.world.clock.elapsed() >= Duration::from_secs(10));
        scene.until("its arrival", |scene| scene.report().last_ok.is_some());
        assert_eq!(scene.service.status().expect("answers").warnings, [""; 0]);
        scene.http.on(URL, ScriptedHttp::answer(503, "text/plain", "canary"));
        scene.until("a failure", |scene| scene.report().failing_since.is_some());
        assert_eq!(scene.report().last_error, "unexpected status code 503");
        let status = scene.service.status().expect("answers");
        assert_eq!(status.heartbeats[0].last_error, "unexpected status code 503");
        assert!(status.warnings[0].starts_with("heartbeat \"hc\" has not arrived since"));
        let metrics = scene.service.own_metrics().expect("answers");
        for line in [
            "watchbell_heartbeats_total{heartbeat=\"hc\",result=\"failed\"}",
            "watchbell_heartbeats_total{heartbeat=\"hc\",result=\"sent\"}",
            "watchbell_heartbeat_last_success_timestamp_seconds{heartbeat=\"hc\"}",
        ] {
            assert!(metrics.contains(line), "{metrics}");
        }
        scene.http.on(URL, ScriptedHttp::answer(204, "text/plain", ""));
        scene.until("it arrives again", |scene| scene.report().failing_since.is_none());
        scene.service.close();
    }

    #[test]
    fn a_stuck_engine_stops_the_beat() {
        let scene = Scene::new();
        scene.until("a beat", |scene| scene.beats() >= 1);
        let alerting = scene.service.parts().expect("is open").alerting.clone();
        let (held, is_held) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let holder = tasks::spawn_thread("holder", move || {
            alerting.view(|_, _| {
                held.send(()).expect("somebody waits");
                let _ = released.recv();
            });
        });
        is_held.recv().expect("it is held");
        scene.expect_silence("withheld, since this server does not work: the alert engine ");
        scene.until("the next one", |scene| {
            scene.report().last_error.contains("the alert engine has been stuck")
        });
        release.send(()).expect("it waits");
        holder.expect("a thread").join().expect("no panic");
        scene.until("it beats again", |scene| scene.report().failing_since.is_none());
        scene.service.close();
    }

    #[test]
    fn a_store_that_takes_nothing_stops_the_beat() {
        let scene = Scene::new();
        scene.until("a beat", |scene| scene.beats() >= 1);
        scene.service.parts().expect("is open").storage.close().expect("closes");
        scene.expect_silence("withheld, since this server does not work: the store: ");
        scene.service.close();
    }

    #[test]
    fn a_reload_changes_the_rhythm_and_ends_the_beat() {
        let scene = Scene::new();
        scene.until("a beat", |scene| scene.report().last_ok.is_some());
        let file = scene.folder.path().join("p.yml");
        std::fs::write(&file, config("1h")).expect("writes");
        scene.service.load_again().expect("reloads");
        scene.until("the first of the new ones", |scene| scene.report().last_ok.is_some());
        let (beats, began) = (scene.beats(), scene.service.world.clock.elapsed());
        scene.until("ten minutes", |scene| {
            scene.service.world.clock.elapsed() > began + Duration::from_secs(600)
        });
        assert_eq!(scene.beats(), beats);
        std::fs::write(&file, "").expect("writes");
        scene.service.load_again().expect("reloads");
        assert_eq!(scene.service.status().expect("answers").heartbeats, []);
        scene.service.close();
    }

    #[derive(Debug)]
    struct Broken;

    impl Vital for Broken {
        fn name(&self) -> &'static str {
            "a part"
        }

        fn look(&self) -> Result<(), String> {
            panic!("it is broken");
        }
    }

    #[tokio::test]
    async fn a_part_that_panics_does_not_work() {
        let deps = Deps {
            clock: Arc::new(VirtualClock::at(Timestamp::EPOCH)),
            registry: Registry::new(),
            revision: Arc::default(),
        };
        let heartbeats = Heartbeats::new(vec![Box::new(Broken)], deps);
        for _ in 0..2 {
            assert_eq!(heartbeats.look().await, Err("the look at it failed".to_owned()));
        }
    }
}
