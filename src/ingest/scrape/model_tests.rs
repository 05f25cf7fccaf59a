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
use super::support::{Names, Written};
use super::worker::{Settings, Shared, Source};
use crate::model::{Labels, Timestamp, is_stale_nan};
use crate::storage::append::{AppendError, Appender, Commit, Committed, SeriesRef};
use crate::sys::http::Response;
use crate::sys::metrics::Registry;
use crate::sys::sim::VirtualClock;
use proptest::prelude::*;
use std::collections::BTreeMap;
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
        let commit = self.store.last.lock().expect("whole").take()?;
        let mut found = BTreeMap::new();
        for sample in &commit.samples {
            let name = sample.labels.metric_name().expect("named").to_owned();
            let value = (!is_stale_nan(sample.value)).then_some(sample.value);
            assert!(found.insert(name, value).is_none(), "a series twice in one commit");
        }
        found.retain(|name, _| name != "up" && !name.starts_with("scrape_"));
        Some(found)
    }
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
