//! Running groups on a clock that the test moves, over a store in which some queries take as long
//! as the test wants: reloads and slow groups.

// All of this file is test code; from this line on the checks of the house know it too.
#[cfg(test)]
use super::active::Active;
use super::heartbeat::{RulesVital, Vital as _};
use super::queries::{self, Queries};
use super::query_log::QueryLog;
use super::ruling::{Deps, Ruling};
use super::slow::Slow;
use super::start::{Service, World};
use super::workers::Workers;
use super::{Options, SendOptions, WalSync};
use crate::config::LoadedGroup;
use crate::ingest::limits::SafetyLimits;
use crate::model::{Labels, Timestamp};
use crate::promql::{self, Engine};
use crate::rules::config::RuleFile;
use crate::rules::{AlertPhase, Context, GroupView, Health, RuleKindView, RuleView};
use crate::storage::state::{HistoryQuery, Table};
use crate::sys::clock::SharedClock;
use crate::sys::dns::HostResolver;
use crate::sys::files::SystemFiles;
use crate::sys::metrics::Registry;
use crate::sys::sim::{SeededEntropy, VirtualClock};
use crate::sys::sim_http::ScriptedHttp;
use crate::sys::tasks::{self, Shutdown};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Lets time pass a quarter of a second at a time until `holds`; false when it does not within a
/// thousand seconds.
pub(super) fn comes_true(
    service: &Service,
    clock: &VirtualClock,
    holds: impl Fn() -> bool,
) -> bool {
    for _ in 0..4_000 {
        if holds() {
            return true;
        }
        let before = service.revision.wait_after(u64::MAX, Duration::ZERO);
        clock.advance(Duration::from_millis(250));
        service.revision.wait_after(before, Duration::from_millis(5));
    }
    false
}

/// The service gives the store and the alert engine; its own configuration has no rules.
struct Scene {
    clock: VirtualClock,
    source: Arc<Slow>,
    ruling: Arc<Ruling>,
    service: Arc<Service>,
    context: Context,
    _runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// So many quick groups are evaluated at a time.
    fn new(width: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let clock = VirtualClock::at(Timestamp::from_millis(1_700_000_000_000));
        let (shared, registry): (SharedClock, _) = (Arc::new(clock.clone()), Registry::new());
        let world = World {
            clock: shared.clone(),
            entropy: Arc::new(SeededEntropy::new(1)),
            http: Arc::new(ScriptedHttp::new()),
            dns: Arc::new(HostResolver::forgetful()),
            registry: registry.clone(),
            runtime: runtime.handle().clone(),
            shutdown: Shutdown::new(),
        };
        let file = folder.path().join("p.yml");
        std::fs::write(&file, "scrape_configs: []\n").expect("writes");
        let service = Service::new(options(file), world).expect("a valid file");
        service.open().expect("opens");
        let parts = service.parts().expect("is open");
        let source = Arc::new(Slow::default());
        let engine = Engine::new(promql::Config::default(), shared.clone());
        let world = queries::World {
            active: Active::open(&SystemFiles, folder.path(), shared.clone()).0,
            log: QueryLog::new(&registry),
            workers: Workers::start(1, 1).expect("threads"),
            clock: shared.clone(),
            registry: registry.clone(),
        };
        let ruling = Arc::new(Ruling::new(Deps {
            queries: Arc::new(Queries::new(engine, source.clone(), 1, world)),
            appender: parts.storage.clone(),
            state: parts.state.clone(),
            clock: shared,
            alerting: parts.alerting.clone(),
            forwarding: parts.forwarding.clone(),
            revision: service.revision.clone(),
            runtime: runtime.handle().clone(),
            concurrency: width,
            concurrent_rules: false,
        }));
        let context = Context {
            interval: Duration::from_secs(10),
            scrape_interval: Duration::from_secs(15),
            query_offset: Duration::ZERO,
            resend_delay: Duration::from_secs(60),
            outage_tolerance: Duration::from_secs(3600),
            grace_period: Duration::from_secs(600),
            external_labels: Labels::empty(),
            external_url: String::new(),
            registry,
            slots: None,
        };
        Self { clock, source, ruling, service, context, _runtime: runtime, _folder: folder }
    }

    fn start(&self, yaml: &str) {
        self.ruling.start(&groups(yaml), &self.context, &[]).expect("starts");
    }

    fn reload(&self, yaml: &str) {
        self.ruling.reload(&groups(yaml), &self.context, &[]);
    }

    fn view(&self, name: &str) -> Arc<GroupView> {
        let views = self.ruling.views();
        views.into_iter().find(|view| view.name == name).expect("there is such a group")
    }

    fn rule(&self, group: &str) -> RuleView {
        self.view(group).rules.first().expect("a rule").clone()
    }

    fn now(&self) -> Timestamp {
        self.service.world.clock.now()
    }

    /// Whether the group was evaluated in the last slot.
    fn is_up_to_date(&self, name: &str) -> bool {
        let view = self.view(name);
        view.last_evaluation.is_some_and(|last| self.now().since(last) < view.interval)
    }

    /// Lets time pass a quarter of a second at a time until `holds`.
    #[track_caller]
    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        assert!(comes_true(&self.service, &self.clock, || holds(self)), "{what} did not happen");
    }

    /// Waits for real work only: no time passes.
    #[track_caller]
    fn at_once(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..1_000 {
            let before = self.service.revision.wait_after(u64::MAX, Duration::ZERO);
            if holds(self) {
                return;
            }
            self.service.revision.wait_after(before, Duration::from_millis(20));
        }
        panic!("{what} did not happen");
    }

    /// Kinds of the history's entries about alerts of rules, the oldest first.
    fn history(&self) -> Vec<String> {
        let state = &self.service.parts().expect("is open").state;
        let all = HistoryQuery { limit: 1000, ..HistoryQuery::default() };
        let entries = state.history(&all).expect("reads");
        let kinds = entries.into_iter().rev().map(|entry| entry.kind);
        kinds.filter(|kind| ["firing", "forgotten"].contains(&kind.as_str())).collect()
    }

    fn end(self) {
        self.source.release();
        self.ruling.stop();
        self.service.close();
    }
}

fn groups(yaml: &str) -> Vec<LoadedGroup> {
    let file: RuleFile = serde_yaml::from_str(yaml).expect("a rule file");
    let loaded = |group| LoadedGroup { file: "r.yml".to_owned(), group };
    file.groups.into_iter().map(loaded).collect()
}

/// Options of a server with this file and its data beside it.
pub(super) fn options(config_file: std::path::PathBuf) -> Options {
    Options {
        data: config_file.with_extension("data"),
        config_file: Some(config_file),
        alertmanager_file: None,
        retention_time: None,
        retention_size: None,
        wal_sync: WalSync::Off,
        min_free: Some(0),
        series_max: None,
        external_url: "http://localhost:9090".to_owned(),
        lookback: Duration::from_secs(300),
        query_timeout: Duration::from_secs(30),
        query_concurrency: 4,
        query_samples: 1_000_000,
        query_bytes: None,
        resend_delay: Duration::from_secs(60),
        outage_tolerance: Duration::from_secs(3600),
        grace_period: Duration::from_secs(600),
        rule_concurrency: 2,
        alert_limits: crate::alerts::Limits::default(),
        data_retention: Duration::from_secs(3600),
        history_retention: Duration::from_secs(86_400),
        limits: SafetyLimits::default(),
        push: crate::ingest::push::PushRules::default(),
        sending: SendOptions::default(),
        features: Vec::new(),
        flags: BTreeMap::new(),
        warnings: Vec::new(),
        listen: Vec::new(),
    }
}

const QUICK: &str = "{name: quick, rules: [{alert: Always, expr: vector(1)}]}";

/// The file with a quick group and a slow one whose first rule has this name.
fn with_slow(name: &str) -> String {
    format!("groups: [{QUICK}, {{name: slow, rules: [{{record: {name}, expr: heavy}}]}}]")
}

#[test]
fn a_reload_waits_for_no_evaluation_and_stops_no_other_group() {
    let scene = Scene::new(2);
    scene.start(&with_slow("a"));
    scene.until("the slow evaluation", |scene| scene.source.waiting() == 1);
    scene.until("a quick one", |scene| scene.is_up_to_date("quick"));
    let quick = |scene: &Scene| {
        let running = scene.ruling.running();
        running.into_iter().find(|group| group.key() == "r.yml;quick").expect("is there")
    };
    let before = quick(&scene);
    // Were it to wait for the evaluation, this would never return.
    scene.reload(&with_slow("b"));
    assert!(Arc::ptr_eq(&before, &quick(&scene)), "it goes on as if nothing had happened");
    assert_eq!(scene.rule("slow").name, "a", "the old one is shown while it is evaluated");
    let last = scene.now();
    let later = |scene: &Scene| scene.view("quick").last_evaluation > Some(last);
    scene.until("a quick evaluation after the reload", later);
    // Removed and back while it still runs, it goes on from there.
    scene.reload(&format!("groups: [{QUICK}]"));
    assert_eq!(scene.ruling.views().len(), 1);
    scene.reload(&with_slow("c"));
    scene.until("a quick evaluation after three reloads", |scene| scene.is_up_to_date("quick"));
    assert_eq!(scene.source.waiting(), 1, "no second evaluation of the same group");
    scene.source.release();
    scene.until("the new group's evaluation", |scene| {
        let rule = scene.rule("slow");
        rule.name == "c" && rule.last_evaluation.is_some()
    });
    scene.until("it is up to date", |scene| scene.is_up_to_date("slow"));
    assert_eq!(scene.history().iter().filter(|kind| *kind == "firing").count(), 1);
    scene.end();
}

#[test]
fn slow_groups_hold_up_no_quick_one() {
    let scene = Scene::new(1);
    let slow: Vec<String> = (0..6)
        .map(|number| format!("{{name: slow{number}, rules: [{{record: a, expr: heavy}}]}}"))
        .collect();
    scene.start(&format!("groups: [{}, {QUICK}]", slow.join(", ")));
    scene.until("all slow evaluations", |scene| scene.source.waiting() == 6);
    for _ in 0..4 {
        let now = scene.now();
        scene.until("a quick one", |scene| scene.view("quick").last_evaluation > Some(now));
    }
    assert_eq!(scene.source.waiting(), 6, "and none of them has ended");
    scene.end();
}

#[test]
fn rules_work_as_long_as_each_group_is_evaluated_in_its_time() {
    let scene = Scene::new(2);
    let vital = RulesVital::new(scene.ruling.clone(), scene.service.world.clock.clone());
    scene.start(&with_slow("a"));
    scene.until("the slow evaluation", |scene| scene.source.waiting() == 1);
    assert_eq!(vital.look(), Ok(()));
    let began = scene.now();
    scene.until("two intervals and some", |scene| {
        vital.look().is_err() || {
            assert!(scene.now().since(began) <= Duration::from_secs(150), "it is late by then");
            false
        }
    });
    assert!(scene.now().since(began) > Duration::from_secs(140), "it has as long as a query");
    let why = vital.look().expect_err("it still hangs");
    assert_eq!(why, "group \"slow\" of r.yml was not evaluated for 2m20s");
    scene.source.release();
    scene.until("it works again", |_| vital.look().is_ok());
    scene.end();
}

#[test]
fn a_wall_clock_that_is_set_moves_slots_and_no_alert() {
    let scene = Scene::new(2);
    scene.start(
        "groups: [{name: g, rules: [{alert: Long, expr: vector(1), for: 1h}, \
         {alert: Short, expr: vector(1), for: 30s}]}]",
    );
    let phases = |scene: &Scene| -> Vec<AlertPhase> {
        let view = scene.view("g");
        let phase = |rule: &RuleView| match &rule.kind {
            RuleKindView::Alerting { phase, .. } => *phase,
            RuleKindView::Recording => AlertPhase::Unknown,
        };
        view.rules.iter().map(phase).collect()
    };
    let wanted = [AlertPhase::Pending, AlertPhase::Firing];
    scene.until("one fires", |scene| phases(scene) == wanted);
    for hours in [-3, 5] {
        scene.clock.set_wall(scene.now().plus_millis(hours * 3_600_000));
        let set = scene.now();
        scene.until("evaluations by the new clock", |scene| {
            let last = scene.view("g").last_evaluation.expect("was evaluated");
            last <= scene.now() && last.since(set) > Duration::from_secs(15)
        });
        assert_eq!(phases(&scene), wanted, "set by {hours} h");
    }
    scene.end();
}

#[test]
fn a_rule_may_run_for_as_long_as_a_query() {
    let scene = Scene::new(2);
    scene.start("groups: [{name: slow, rules: [{record: a, expr: heavy or b}]}]");
    for (seconds, health) in [(45, Health::Ok), (121, Health::Err)] {
        scene.source.hold();
        let waiting = scene.source.waiting();
        scene.until("the slow query", |scene| scene.source.waiting() > waiting);
        let runs = scene.rule("slow").runs.len();
        scene.clock.advance(Duration::from_secs(seconds));
        scene.source.release();
        // Were time to go on, the query might run out of it before it ends.
        scene.at_once("its end", |scene| scene.rule("slow").runs.len() > runs);
        let rule = scene.rule("slow");
        assert_eq!(rule.runs[runs].error.is_some(), health == Health::Err, "{seconds} {rule:?}");
    }
    scene.end();
}

#[test]
fn a_removed_group_leaves_nothing_behind_and_its_end_is_told() {
    let scene = Scene::new(2);
    let state = scene.service.parts().expect("is open").state.clone();
    scene.start(&format!("groups: [{QUICK}]"));
    let records = || state.load(Table::RuleState).expect("reads").len();
    scene.until("its records", |_| records() == 2);
    let metric = |scene: &Scene| {
        let families = scene.context.registry.gather();
        let group = families.iter().find(|one| one.name == "prometheus_rule_group_rules");
        group.map_or(0, |group| group.samples.len())
    };
    assert_eq!(metric(&scene), 1);
    scene.reload("groups: []");
    scene.until("the end", |scene| records() == 0 && metric(scene) == 0);
    assert_eq!(scene.history(), ["firing", "forgotten"]);
    // It comes back as a new one.
    scene.reload(&format!("groups: [{QUICK}]"));
    scene.until("its records", |_| records() == 2);
    assert_eq!(scene.history(), ["firing", "forgotten", "firing"]);
    scene.end();
}

#[test]
fn groups_that_are_dismissed_begin_no_rule_when_their_query_ends() {
    let scene = Scene::new(2);
    scene.start(
        "groups: [{name: slow, rules: [{record: a, expr: heavy}, {record: b, expr: heavy}]}]",
    );
    scene.until("the evaluation", |scene| scene.source.waiting() == 1);
    scene.ruling.dismiss_all();
    // The query ends before the groups are stopped, as one does that is canceled.
    scene.source.release();
    scene.at_once("the end of the task", |scene| {
        scene.ruling.running().iter().all(|group| Arc::strong_count(group) == 2)
    });
    assert_eq!(scene.source.waiting(), 1, "the second rule was not begun");
    scene.end();
}

#[test]
fn stopping_ends_an_evaluation_before_its_next_rule() {
    let scene = Scene::new(2);
    scene.start(
        "groups: [{name: slow, rules: [{record: a, expr: heavy}, {record: b, expr: heavy}]}]",
    );
    scene.until("the evaluation", |scene| scene.source.waiting() == 1);
    let (source, ruling) = (scene.source.clone(), &scene.ruling);
    let release = || {
        while !ruling.views().is_empty() {
            std::thread::yield_now();
        }
        source.release();
    };
    tasks::beside("stop", || ruling.stop(), release).expect("a thread");
    assert_eq!(scene.source.waiting(), 1, "the second rule was not begun");
    scene.end();
}

#[test]
fn a_group_that_is_listed_twice_runs_once_and_ends_with_its_removal() {
    let scene = Scene::new(2);
    let of = |group: &str| format!("groups: [{group}, {group}]");
    scene.start(&of(QUICK));
    let running = || scene.ruling.running().iter().map(Arc::downgrade).collect::<Vec<_>>();
    let mut all = running();
    assert_eq!(all.len(), 1);
    let other = QUICK.replace("vector(1)", "vector(2)");
    for group in [QUICK, &other] {
        scene.reload(&of(group));
        all.extend(running());
        assert_eq!(scene.ruling.running().len(), 1, "{group}");
    }
    scene.reload("groups: []");
    scene.until("the end of each", |_| all.iter().all(|group| group.strong_count() == 0));
    scene.end();
}

#[test]
fn what_was_stored_of_a_file_whose_name_was_not_cleaned_goes_on() {
    let scene = Scene::new(2);
    let state = scene.service.parts().expect("is open").state.clone();
    let keys = || {
        let records = state.load(Table::RuleState).expect("reads");
        records.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    let yaml = format!("groups: [{QUICK}]");
    let mut before = groups(&yaml);
    before.iter_mut().for_each(|one| one.file = "./r.yml".to_owned());
    scene.ruling.start(&before, &scene.context, &[]).expect("starts");
    scene.until("its records", |_| keys().len() == 2);
    let old = keys();
    scene.ruling.stop();
    scene.start(&yaml);
    assert_eq!((keys().len(), keys().iter().any(|key| old.contains(key))), (2, false));
    let stopped = scene.now();
    scene.until("an evaluation", |scene| {
        scene.view("quick").last_evaluation.is_some_and(|last| last > stopped)
    });
    assert_eq!(scene.history(), ["firing"], "it goes on, and does not fire again");
    scene.end();
}
