//! The series cache against a plain model: whatever a target answers, each series that was there
//! at the last good scrape and is not now gets one marker, and memory stays bounded.

use super::super::config::ScrapeJob;
use super::super::limits::SafetyLimits;
use super::super::target::Target;
use super::fetch::{Answer, Failure};
use super::lengths::Lengths;
use super::meters::Meters;
use super::once::{Memory, Scrape};
use super::report::Report;
use super::rooms::Rooms;
use super::support::{Names, Row, Written};
use super::worker::{Settings, Shared, Source};
use crate::model::{Labels, Metadata, MetricType, Timestamp, is_stale_nan};
use crate::storage::append::{AppendError, Appender, Commit, Committed, SeriesRef};
use crate::sys::http::Response;
use crate::sys::metrics::Registry;
use crate::sys::sim::VirtualClock;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Keeps the last commit; refuses when told.
#[derive(Debug, Default)]
struct Store {
    names: Names,
    last: Mutex<Option<Written>>,
    refuses: Mutex<bool>,
}

impl Appender for Store {
    fn commit(&self, commit: &Commit) -> Result<Committed, AppendError> {
        if *self.refuses.lock().expect("whole") {
            return Err(AppendError::Closed);
        }
        *self.last.lock().expect("whole") = Some(self.names.written(commit).0);
        commit.labels.iter().for_each(|labels| self.names.make(labels));
        Ok(Committed { refs: self.names.find(&commit.labels), ..Committed::default() })
    }

    fn find(&self, labels: &[Labels]) -> Vec<Option<SeriesRef>> {
        self.names.find(labels)
    }

    fn commit_synced(&self, commit: &Commit) -> Result<Committed, AppendError> {
        self.commit(commit)
    }
}

struct Bench {
    shared: Shared,
    store: Arc<Store>,
    settings: Settings,
    memory: Memory,
    now: Timestamp,
}

impl Bench {
    fn new() -> Self {
        let store = Arc::new(Store::default());
        let shared = Shared {
            clock: Arc::new(VirtualClock::at(Timestamp::EPOCH)),
            appender: store.clone(),
            safety: SafetyLimits::default(),
            server_seed: 0,
            user_agent: String::new(),
            on_commit: Arc::new(|| ()),
            meters: Meters::new(&Registry::new()),
            lengths: Lengths::new(&Registry::new()),
            rooms: Rooms::default(),
            parsing: Semaphore::new(1),
            event_loop: None,
        };
        let labels = Labels::from_pairs([("job", "j")]);
        let target = Target {
            discovered: Labels::empty(),
            labels: labels.clone(),
            url: String::new(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            unix_socket: None,
            is_local: true,
        };
        let job = Arc::new(ScrapeJob::local("j", Duration::from_secs(1)));
        let source = Source::Broken(String::new());
        let memory = Memory { report: Report::new(&labels, false), ..Memory::default() };
        let settings = Settings { job, target, source };
        Self { shared, store, settings, memory, now: Timestamp::EPOCH }
    }

    /// One scrape of this body; answers what was committed, by metric, `None` for a marker.
    fn scrape(&mut self, body: Option<String>) -> Option<BTreeMap<String, Option<f64>>> {
        let commit = self.commit(body)?;
        let mut found = BTreeMap::new();
        for sample in &commit.samples {
            let name = sample.labels.metric_name().expect("named").to_owned();
            let value = (!is_stale_nan(sample.value)).then_some(sample.value);
            assert!(found.insert(name, value).is_none(), "a series twice in one commit");
        }
        found.retain(|name, _| name != "up" && !name.starts_with("scrape_"));
        Some(found)
    }

    /// One scrape of this body; answers what was committed.
    fn commit(&mut self, body: Option<String>) -> Option<Written> {
        self.now = self.now.plus_millis(1000);
        let answer = body.ok_or_else(|| Failure { text: "x".to_owned(), too_large: false });
        let answer = answer.map(|body| {
            Answer::Body(Response {
                status: 200,
                headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
                body: body.into(),
                length_known: true,
            })
        });
        let (shared, settings) = (&self.shared, &self.settings);
        let scrape = Scrape { shared, settings, ts: self.now, started: Duration::ZERO };
        let _ = scrape.run(&mut self.memory, answer);
        self.store.last.lock().expect("whole").take()
    }

    /// One scrape of this body; answers the series that have a sample, and what is known of these
    /// metrics.
    fn told(&mut self, body: &str, metrics: &[Family]) -> (BTreeSet<String>, Vec<Metadata>) {
        let commit = self.commit(Some(body.to_owned())).expect("committed");
        let of_body = |row: &&Row| {
            let name = row.labels.metric_name().expect("named");
            name.starts_with('f') && !is_stale_nan(row.value)
        };
        let samples = commit.samples.iter().filter(of_body);
        let samples = samples.map(|row| format!("{} {}", row.labels, row.value)).collect();
        let known = |family: &Family| {
            let said = self.memory.cache.heard.of(&format!("f{}", family.number));
            let said = said.unwrap_or_default();
            // What a body does not say stays as it was said before.
            Metadata {
                kind: if family.kind.is_some() { said.kind } else { MetricType::default() },
                help: if family.help.is_some() { said.help } else { String::new() },
                ..Metadata::default()
            }
        };
        (samples, metrics.iter().map(known).collect())
    }
}

/// A metric as a body describes it.
#[derive(Clone, Debug)]
struct Family {
    number: usize,
    help: Option<u8>,
    kind: Option<&'static str>,
    /// Bounds of its series.
    bounds: Vec<u8>,
}

impl Family {
    fn text(&self) -> String {
        let Self { number, help, kind, bounds } = self;
        let help = help.map(|help| format!("# HELP f{number} help {help}\n"));
        let kind = kind.map(|kind| format!("# TYPE f{number} {kind}\n"));
        let mut text = help.unwrap_or_default() + &kind.unwrap_or_default();
        // Written anew where the metric is a histogram or a summary, and nowhere else.
        for bound in bounds {
            text += &format!("f{number}_bucket{{le=\"{bound}\"}} {bound}\n");
            text += &format!("f{number}{{quantile=\"{bound}\"}} {bound}\n");
        }
        text
    }
}

/// Some of four metrics, in any order.
fn families() -> impl Strategy<Value = Vec<Family>> {
    let kinds = prop::sample::select(vec!["gauge", "counter", "untyped", "histogram", "summary"]);
    let family =
        (prop::option::of(0..2_u8), prop::option::of(kinds), prop::collection::vec(0..3_u8, 0..3));
    let all = prop::collection::vec(family, 4).prop_map(|all| {
        let numbered = all.into_iter().enumerate();
        numbered
            .map(|(number, (help, kind, mut bounds))| {
                bounds.sort_unstable();
                bounds.dedup();
                Family { number, help, kind, bounds }
            })
            .collect::<Vec<_>>()
    });
    (all, 0..=4_usize).prop_flat_map(|(all, count)| {
        Just(all).prop_shuffle().prop_map(move |mut all| {
            all.truncate(count);
            all
        })
    })
}

/// What one scrape meets.
#[derive(Clone, Debug)]
enum Event {
    /// These series, by number.
    Body(Vec<u8>),
    /// These series, then a line that cannot be read.
    Broken(Vec<u8>),
    /// No answer.
    Nothing,
    /// These series, and a store that refuses.
    Refused(Vec<u8>),
}

fn event() -> impl Strategy<Value = Event> {
    let series = || proptest::collection::vec(0..8u8, 0..8);
    prop_oneof![
        6 => series().prop_map(Event::Body),
        1 => series().prop_map(Event::Broken),
        1 => Just(Event::Nothing),
        1 => series().prop_map(Event::Refused),
    ]
}

fn text(series: &[u8]) -> String {
    series.iter().map(|number| format!("m{number} {number}\n")).collect()
}

proptest! {
    #[test]
    fn t5_staleness_is_that_of_a_plain_model(events in proptest::collection::vec(event(), 1..30)) {
        let mut bench = Bench::new();
        let mut live: BTreeMap<String, Option<f64>> = BTreeMap::new();
        for event in &events {
            let (body, refused) = match event {
                Event::Body(series) => (Some(text(series)), false),
                Event::Broken(series) => (Some(text(series) + "m0 x\n"), false),
                Event::Nothing => (None, false),
                Event::Refused(series) => (Some(text(series)), true),
            };
            *bench.store.refuses.lock().expect("whole") = refused;
            let found = bench.scrape(body);
            if refused {
                prop_assert_eq!(found, None);
                continue;
            }
            let there: BTreeMap<_, _> = match event {
                Event::Body(series) => series
                    .iter()
                    .map(|number| (format!("m{number}"), Some(f64::from(*number))))
                    .collect(),
                Event::Broken(_) | Event::Nothing | Event::Refused(_) => BTreeMap::new(),
            };
            let mut expected: BTreeMap<_, _> =
                live.keys().map(|name| (name.clone(), None)).collect();
            expected.extend(there.clone());
            prop_assert_eq!(found, Some(expected));
            live = there;
        }
    }
}

proptest! {
    /// Bodies come two times each, as a target says the same again: what is passed over because it
    /// came before must mean what it means where nothing came before.
    #[test]
    fn a_body_means_the_same_whatever_came_before(
        bodies in prop::collection::vec((families(), 1..4_usize), 1..8),
    ) {
        let mut bench = Bench::new();
        for (families, times) in &bodies {
            let body: String = families.iter().map(Family::text).collect();
            let expected = Bench::new().told(&body, families);
            for _ in 0..*times {
                prop_assert_eq!(&bench.told(&body, families), &expected, "{}", body);
            }
        }
    }
}

#[test]
fn a_metric_that_is_described_in_turns_is_what_the_last_scrape_said() {
    let family = |number, kind| Family { number, help: Some(0), kind: Some(kind), bounds: vec![1] };
    let histogram = [family(0, "histogram"), family(1, "gauge")];
    let summary = [family(1, "gauge"), family(0, "summary")];
    // Described twice in one answer: the last one counts, and comes back when it is alone.
    let both = [family(0, "gauge"), family(1, "gauge"), family(0, "counter")];
    let mut bench = Bench::new();
    for families in [&histogram[..], &summary, &histogram, &both, &summary, &both, &both[..2]] {
        let body: String = families.iter().map(Family::text).collect();
        for _ in 0..3 {
            assert_eq!(bench.told(&body, families), Bench::new().told(&body, families), "{body}");
        }
    }
}

#[test]
fn t46_a_target_that_changes_its_series_each_time_is_not_remembered_for_ever() {
    let mut bench = Bench::new();
    for round in 0..200 {
        let series = (0..100).map(|n| format!("m{{round=\"{round}\",n=\"{n}\"}} 1\n"));
        let body: String = series.map(|line| line.replacen('m', "m_", 1)).collect();
        bench.now = bench.now.plus_millis(1000);
        let answer = Answer::Body(Response {
            status: 200,
            headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
            body: body.into(),
            length_known: true,
        });
        let (shared, settings) = (&bench.shared, &bench.settings);
        let scrape = Scrape { shared, settings, ts: bench.now, started: Duration::ZERO };
        let _ = scrape.run(&mut bench.memory, Ok(answer));
        let commit = bench.store.last.lock().expect("whole").take().expect("committed");
        let ends = commit.samples.iter().filter(|sample| is_stale_nan(sample.value)).count();
        assert_eq!(ends, if round == 0 { 0 } else { 100 });
        bench.memory.cache.begin();
        assert_eq!(bench.memory.cache.all_live().len(), 100);
    }
}
