//! An engine on virtual time with a database and sinks made of maps: scripts drive it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use watchbell::alerts::{
    AlertDraft, Answer, Changes, Config, Delivery, DeliveryOutcome, Effect, Engine, Event,
    Happening, Moment, Occurrence, Options, Record, SilenceDraft, Table, complete_all,
};
use watchbell::model::{AlertStatus, Annotations, Labels, SilenceId, Timestamp};
use watchbell::notify::config::File;

/// The wall clock at the start of every script: 2024-01-01T00:00:00Z, a Monday.
const START_MS: i64 = 1_704_067_200_000;

/// A configuration; every receiver has the integrations that it writes.
#[track_caller]
pub(crate) fn config(yaml: &str, options: &Options) -> Arc<Config> {
    let file: File = serde_yaml::from_str(yaml).expect("reads");
    match file.check(options) {
        Ok(checked) => Arc::new(checked.alerts),
        Err(problems) => panic!("{problems:?}"),
    }
}

/// Labels from `a=1 b=2`.
pub(crate) fn labels(text: &str) -> Labels {
    text.split_whitespace().map(|pair| pair.split_once('=').expect("name=value")).collect()
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) engine: Engine,
    config: Arc<Config>,
    options: Options,
    /// Since the script began.
    elapsed: Duration,
    /// When the process began: its own clock counts from there.
    booted: Duration,
    wall: Timestamp,
    /// What SQLite would hold.
    pub(crate) rows: BTreeMap<(Table, String), String>,
    /// What arrived, with its second: `10 hook[0] first notification f=A r=B`.
    pub(crate) told: Vec<String>,
    /// Keys that arrived, for duplicates.
    pub(crate) keys: Vec<String>,
    /// Integrations that fail, as `receiver/webhook[0]`.
    pub(crate) failing: BTreeSet<String>,
    /// Integrations that do not answer: their deliveries stay open.
    pub(crate) hanging: BTreeSet<String>,
    pub(crate) open: Vec<Delivery>,
    wake: Option<Duration>,
    pub(crate) answers: Vec<Answer>,
    /// What sinks leave behind for the next notification.
    pub(crate) left_behind: BTreeMap<String, String>,
    /// What went into the history.
    pub(crate) happened: Vec<Happening>,
    /// What recorders of events were told.
    pub(crate) occurred: Vec<Occurrence>,
    /// What was decided to be sent, whatever became of it.
    pub(crate) decided: Vec<Delivery>,
    /// The process dies at this many-th write, send or report from now on.
    pub(crate) dies_in: Option<usize>,
    /// It has died, and does nothing until `restart`.
    pub(crate) dead: bool,
    silences_made: u128,
}

impl World {
    pub(crate) fn new(yaml: &str) -> Self {
        let external_url = "http://am".to_owned();
        Self::with(yaml, Options { external_url, ..Options::default() })
    }

    pub(crate) fn with(yaml: &str, options: Options) -> Self {
        let config = config(yaml, &options);
        Self {
            engine: Engine::new(config.clone()),
            config,
            options,
            elapsed: Duration::ZERO,
            booted: Duration::ZERO,
            wall: Timestamp::from_millis(START_MS),
            rows: BTreeMap::new(),
            told: Vec::new(),
            keys: Vec::new(),
            failing: BTreeSet::new(),
            hanging: BTreeSet::new(),
            open: Vec::new(),
            wake: None,
            answers: Vec::new(),
            left_behind: BTreeMap::new(),
            happened: Vec::new(),
            occurred: Vec::new(),
            decided: Vec::new(),
            dies_in: None,
            dead: false,
            silences_made: 0,
        }
    }

    pub(crate) fn now(&self) -> Moment {
        Moment { wall: self.wall, elapsed: self.elapsed.saturating_sub(self.booted) }
    }

    /// Time since the script began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// When the process began, in time since the script began.
    pub(crate) fn booted(&self) -> Duration {
        self.booted
    }

    /// When the engine wants to be woken, in time since the script began.
    pub(crate) fn wakes_at(&self) -> Option<Duration> {
        let wake = self.wake.filter(|wake| *wake != Duration::MAX)?;
        Some(self.booted.saturating_add(wake))
    }

    /// The wall clock `seconds` after the start of the script.
    pub(crate) fn at(&self, seconds: i64) -> Timestamp {
        Timestamp::from_millis(START_MS + seconds * 1000)
    }

    /// An alert fires until it is resolved or `seconds` have passed.
    pub(crate) fn fire_until(&mut self, text: &str, seconds: i64) {
        self.post(text, None, Some(self.at(seconds)));
    }

    pub(crate) fn fire(&mut self, text: &str) {
        self.fire_until(text, 1_000_000);
    }

    pub(crate) fn resolve(&mut self, text: &str) {
        self.post(text, None, Some(self.wall));
    }

    pub(crate) fn post(&mut self, text: &str, starts: Option<Timestamp>, ends: Option<Timestamp>) {
        let draft = AlertDraft {
            labels: labels(text),
            starts_at: starts.or(Some(self.wall)),
            ends_at: ends,
            ..AlertDraft::default()
        };
        let (alerts, errors) = complete_all(vec![draft], self.wall, &self.config);
        assert_eq!(errors, []);
        self.step(Event::AlertsReceived(alerts));
    }

    /// Makes a silence that acts from now for `seconds`.
    pub(crate) fn silence(&mut self, matcher: &str, seconds: i64) -> SilenceId {
        self.silence_with(matcher, seconds, Labels::empty());
        self.silence_answer()
    }

    /// The same with annotations. Returns its identity; whether it was taken is among `answers`.
    pub(crate) fn silence_with(
        &mut self,
        matcher: &str,
        seconds: i64,
        annotations: Labels,
    ) -> SilenceId {
        use watchbell::alerts::matchers::{Mode, parse_list};
        self.silences_made += 1;
        let draft = SilenceDraft {
            id: None,
            matchers: parse_list(matcher, Mode::Fallback).expect("valid"),
            starts_at: self.wall,
            ends_at: self.wall.plus_millis(seconds * 1000),
            created_by: "me".to_owned(),
            comment: "c".to_owned(),
            annotations: Annotations::from_pairs(&annotations),
        };
        let new_id = SilenceId::from_random(self.silences_made.to_be_bytes());
        self.step(Event::SilenceSet { draft, new_id: new_id.clone() });
        new_id
    }

    pub(crate) fn expire(&mut self, id: &SilenceId) {
        self.step(Event::SilenceExpired(id.clone()));
        self.silence_answer();
    }

    fn silence_answer(&mut self) -> SilenceId {
        match self.answers.pop() {
            Some(Answer::Silence(Ok(id))) => id,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn reload(&mut self, yaml: &str) {
        self.config = config(yaml, &self.options);
        self.step(Event::ConfigChanged(self.config.clone()));
    }

    pub(crate) fn step(&mut self, event: Event) {
        if self.dead {
            return;
        }
        let effects = self.engine.step(self.now(), event);
        self.carry_out(effects, usize::MAX);
    }

    /// Carries out the first `count` effects; a crash loses the others.
    pub(crate) fn carry_out(&mut self, effects: Vec<Effect>, count: usize) {
        let mut sent = Vec::new();
        self.wake = None;
        let decided = effects.iter().filter_map(|effect| match effect {
            Effect::Deliver(delivery) => Some((**delivery).clone()),
            _ => None,
        });
        self.decided.extend(decided);
        for effect in effects.into_iter().take(count) {
            if self.dies() {
                return;
            }
            match effect {
                Effect::Persist(changes) => self.store(changes),
                Effect::Answered(answer) => self.answers.push(answer),
                Effect::Deliver(delivery) => sent.push(*delivery),
                Effect::WakeAt(at) => self.wake = Some(at),
                Effect::Changed => {}
                Effect::Occurred(occurred) => self.occurred.extend(occurred),
                Effect::AlertRefused(err) => panic!("{err}"),
                Effect::RecordLeftOut(err) => panic!("{err}"),
            }
        }
        for delivery in sent {
            self.deliver(delivery);
        }
    }

    fn store(&mut self, changes: Changes) {
        self.happened.extend(changes.happened);
        for record in changes.records {
            let key = (record.table, record.key);
            match record.value {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        let name = delivery.integration.to_string();
        if self.hanging.contains(&name) {
            self.open.push(delivery);
            return;
        }
        let failed = self.failing.contains(&name);
        if self.dies() {
            return;
        }
        if !failed {
            self.hear(&delivery);
        }
        if !self.dies() {
            self.report(&delivery, failed);
        }
    }

    /// Whether the process is dead, maybe from now on.
    fn dies(&mut self) -> bool {
        match &mut self.dies_in {
            _ if self.dead => {}
            Some(0) => self.dead = true,
            Some(left) => *left -= 1,
            None => {}
        }
        self.dead
    }

    /// The sink gets a delivery.
    pub(crate) fn hear(&mut self, delivery: &Delivery) {
        let names = |wanted: AlertStatus| {
            let alerts = delivery.notification.alerts.iter();
            let found: Vec<_> = alerts
                .filter(|alert| alert.status() == wanted)
                .map(|alert| alert.labels.value_of("n").to_owned())
                .collect();
            found.join(",")
        };
        self.told.push(format!(
            "{} {} {}: f={} r={}",
            self.elapsed.as_secs(),
            delivery.integration,
            delivery.notification.reason.as_str(),
            names(AlertStatus::Firing),
            names(AlertStatus::Resolved),
        ));
        self.keys.push(delivery.idempotency_key());
    }

    pub(crate) fn report(&mut self, delivery: &Delivery, failed: bool) {
        let error = failed.then(|| "unexpected status code 500".to_owned());
        let data = self.left_behind.clone();
        let outcome = DeliveryOutcome { error, attempts: 1, data, ..DeliveryOutcome::default() };
        self.step(Event::DeliveriesFinished(vec![(delivery.id, outcome)]));
    }

    /// Lets time pass up to this second of the script, waking the engine when it wants to be.
    pub(crate) fn run_to(&mut self, seconds: u64) {
        let target = Duration::from_secs(seconds);
        for _ in 0..100_000 {
            let Some(wake) = self.wakes_at().filter(|wake| *wake <= target) else { break };
            assert!(wake >= self.elapsed, "woken in the past");
            self.pass(wake.saturating_sub(self.elapsed));
            self.step(Event::Tick);
        }
        self.pass(target.saturating_sub(self.elapsed));
        self.step(Event::Tick);
    }

    pub(crate) fn pass(&mut self, span: Duration) {
        self.elapsed += span;
        self.wall = self.wall.plus(span);
    }

    /// Sets the wall clock without letting time pass.
    pub(crate) fn jump_wall(&mut self, seconds: i64) {
        self.jump_wall_millis(seconds * 1000);
    }

    pub(crate) fn jump_wall_millis(&mut self, millis: i64) {
        self.wall = self.wall.plus_millis(millis);
    }

    /// The process dies and comes back `seconds` later with what was stored.
    pub(crate) fn restart(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
        self.boot(None);
    }

    /// A process begins with what was stored, and dies at this many-th write or send.
    pub(crate) fn boot(&mut self, dies_in: Option<usize>) {
        self.booted = self.elapsed;
        self.engine = Engine::new(self.config.clone());
        self.open.clear();
        (self.dead, self.dies_in) = (false, dies_in);
        let records = self
            .rows
            .iter()
            .map(|((table, key), value)| Record {
                table: *table,
                key: key.clone(),
                value: Some(value.clone()),
            })
            .collect();
        self.step(Event::Restored(records));
    }

    /// What was told, and forgets it.
    #[track_caller]
    pub(crate) fn expect(&mut self, expected: &[&str]) {
        assert_eq!(self.told, expected);
        self.told.clear();
    }
}
