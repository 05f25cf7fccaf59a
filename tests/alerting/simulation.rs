//! The engine on virtual time under everything that may go wrong at once: flapping alerts, sinks
//! that fail, hang or lose their answer, silences, acknowledgements, reloads, wall clocks that
//! jump, and a process that dies at any write. What has to be true of it is in `oracle.rs`.
//!
//! `WATCHBELL_SEEDS=0..5000` chooses the seeds. A failure prints its seed and the last events.

use super::oracle::{Damped, Hush, KNOWN_AFTER_END, Message, Now, Oracle, State, Sure};
use super::plan::{Dice, Millis, Pairs, Plan, RECEIVERS, RESOLVE_TIMEOUT, WINDOWS};
use super::world::World;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use watchbell::alerts::matchers::{Mode, parse_list};
use watchbell::alerts::{
    AckDraft, AlertDraft, Answer, Config, Damping, Delivery, DeliveryOutcome, Event, Options,
    RECURS, SilenceDraft, SilenceState, Table, complete_all,
};
use watchbell::model::{Alert, AlertStatus, Annotations, Labels, SilenceId, Timestamp};

/// Seeds of an ordinary run.
const SEEDS: std::ops::Range<u64> = 0..20;
/// So many events are shown of a failure.
const SHOWN: usize = 70;
/// Names of alerts.
const NAMES: [&str; 8] = ["A", "B", "C", "D", "E", "F", "G", "H"];
/// A delivery that nobody reports on is given up this long after its deadline.
const GIVEN_UP_AFTER: Millis = 15_000;

/// How an alert is told of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// By a rule of ours: with its beginning and its end.
    Rule,
    /// By a program elsewhere, that says when it ends.
    Program,
    /// By a program elsewhere, that stops to tell of it.
    Careless,
}

#[derive(Clone, Debug)]
struct Sender {
    kind: Kind,
    labels: Labels,
    interval: Millis,
    promise: Millis,
    /// Whether it is true.
    on: bool,
    /// When it began, by the sender's clock, once it was told of.
    starts: Option<Timestamp>,
    /// When it ended, once that was taken.
    ended: Option<Timestamp>,
    /// So often the end is still told.
    ends_left: i64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sink {
    Well,
    /// Says to try again later.
    Refuses,
    /// Says that it will never take it.
    Rejects,
    /// Takes it, and the answer gets lost.
    Deaf,
    Hangs,
    /// The task that sends is lost with what it knows.
    Lost,
}

#[derive(Debug)]
struct Flight {
    delivery: Delivery,
    message: Message,
    began: Millis,
    deadline: Millis,
    pause: Millis,
}

#[derive(Clone, Debug)]
enum Next {
    Send(&'static str),
    Flip(&'static str),
    Attempt(u64),
    /// A delivery, whether it arrived, whether the engine has given it up before.
    Report(u64, bool, bool),
    Sink(String),
    Trouble,
    Boot,
    Beat,
    Calm,
}

/// What may go wrong in this run.
#[derive(Debug)]
struct Troubles {
    sinks: bool,
    silences: bool,
    acks: bool,
    reloads: bool,
    crashes: bool,
    jumps: bool,
}

/// What happened in a run.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    sent: u64,
    deaths: u64,
    resumed: u64,
    quiet: u64,
}

struct Simulation {
    dice: Dice,
    world: World,
    oracle: Oracle,
    plan: Plan,
    troubles: Troubles,
    queue: BTreeMap<(Millis, u64), Next>,
    queued: u64,
    senders: BTreeMap<&'static str, Sender>,
    sinks: BTreeMap<String, Sink>,
    /// Deliveries on their way, each with a number that no other process has given.
    flights: BTreeMap<u64, Flight>,
    flown: u64,
    /// What sinks got by its key, and whether they may get it once more.
    heard: BTreeMap<String, (Message, bool)>,
    silences_made: u128,
    is_down: bool,
    is_calm: bool,
    /// The latest that the wall clock ever was.
    wall_max: Millis,
    trace: VecDeque<String>,
    /// When it was last woken, and how often at that time.
    ticks: (Millis, u32),
    counts: Counts,
}

fn ms(span: Duration) -> Millis {
    Millis::try_from(span.as_millis()).expect("not that long")
}

fn span(millis: Millis) -> Duration {
    Duration::from_millis(u64::try_from(millis).expect("no sign"))
}

fn name_of(labels: &Labels) -> &'static str {
    NAMES.into_iter().find(|name| labels.value_of("n") == *name).expect("an alert of ours")
}

fn message(delivery: &Delivery) -> Message {
    let notification = &delivery.notification;
    let names = |wanted: AlertStatus| {
        let alerts = notification.alerts.iter().filter(|alert| alert.status() == wanted);
        alerts.map(|alert| name_of(&alert.labels)).collect()
    };
    Message {
        key: delivery.idempotency_key(),
        channel: (notification.group_key.as_str().to_owned(), delivery.integration.to_string()),
        receiver: notification.receiver.clone(),
        firing: names(AlertStatus::Firing),
        resolved: names(AlertStatus::Resolved),
        reason: notification.reason,
        resumed: delivery.resumed,
    }
}

fn sender(dice: &Dice, pairs: &Pairs) -> Sender {
    let kind = dice.pick(&[Kind::Rule, Kind::Rule, Kind::Program, Kind::Careless]);
    let interval = dice.between(3, 15) * 1_000;
    let promise = match kind {
        Kind::Rule => 4 * interval,
        Kind::Program => 3 * interval + 5_000,
        Kind::Careless => RESOLVE_TIMEOUT,
    };
    let labels = pairs.iter().map(|(name, value)| (*name, *value));
    Sender {
        kind,
        labels: Labels::from_pairs(labels),
        interval,
        promise,
        on: false,
        starts: None,
        ended: None,
        ends_left: 0,
    }
}

impl Sender {
    /// What it sends.
    fn event(
        &self,
        ends: Timestamp,
        annotations: Annotations,
        wall: Timestamp,
        config: &Config,
    ) -> Event {
        if self.kind == Kind::Rule {
            return Event::RulesSent(vec![Alert {
                labels: self.labels.clone(),
                annotations,
                starts_at: self.starts.unwrap_or(wall),
                ends_at: ends,
                generator_url: String::new(),
                updated_at: wall,
                ends_by_timeout: false,
            }]);
        }
        // A wall clock that was set back must not make it end before it began: that is refused.
        let draft = AlertDraft {
            labels: self.labels.clone(),
            annotations,
            starts_at: self.starts.map(|starts| starts.min(ends)),
            ends_at: Some(ends),
            generator_url: String::new(),
        };
        let draft = match self.kind {
            Kind::Careless => AlertDraft { starts_at: None, ends_at: None, ..draft },
            _ => draft,
        };
        let (alerts, errors) = complete_all(vec![draft], wall, config);
        assert_eq!(errors, []);
        Event::AlertsReceived(alerts)
    }
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let dice = Dice::new(seed);
        let plan = Plan::random(&dice);
        let mut senders = BTreeMap::new();
        let mut alerts = Vec::new();
        let count = usize::try_from(dice.between(2, 9)).expect("small");
        for name in NAMES.into_iter().take(count) {
            let mut pairs = Pairs::from([("n", name), ("g", dice.pick(&["1", "2"]))]);
            pairs.insert("sev", dice.pick(&["page", "warn", "info"]));
            if !dice.one_in(5) {
                pairs.insert("team", dice.pick(&["x", "y", "z"]));
            }
            let sender = sender(&dice, &pairs);
            alerts.push((pairs, sender.promise));
            senders.insert(name, sender);
        }
        let damped = Damped { receiver: "one", changes: 4, within: 120_000, stable: 45_000 };
        let damped = dice.one_in(3).then_some(damped);
        let damping = damped.map(|damped| Damping {
            receiver: Some(damped.receiver.to_owned()),
            matchers: Vec::new(),
            changes: damped.changes,
            within: span(damped.within),
            stable: span(damped.stable),
        });
        let options = Options { damping: damping.into_iter().collect(), ..Options::default() };
        let often = || !dice.one_in(3);
        let troubles = Troubles {
            sinks: often(),
            silences: often(),
            acks: often(),
            reloads: often(),
            crashes: often(),
            jumps: dice.one_in(3),
        };
        let mut world = World::with(&plan.yaml(), options);
        world.pass(span(dice.between(0, 3_600_000)));
        world.boot(None);
        let mut sinks = BTreeMap::new();
        for (receiver, hooks) in RECEIVERS {
            for place in 0..hooks.len() {
                sinks.insert(format!("{receiver}/webhook[{place}]"), Sink::Well);
            }
        }
        // Nothing is heard at once: the simulation brings it to the sinks.
        world.hanging = sinks.keys().cloned().collect();
        Self {
            oracle: Oracle::new(plan.clone(), damped, &alerts),
            dice,
            world,
            plan,
            troubles,
            queue: BTreeMap::new(),
            queued: 0,
            senders,
            sinks,
            flights: BTreeMap::new(),
            flown: 0,
            heard: BTreeMap::new(),
            silences_made: 0,
            is_down: false,
            is_calm: false,
            wall_max: 0,
            trace: VecDeque::new(),
            ticks: (0, 0),
            counts: Counts::default(),
        }
    }

    fn now(&self) -> Now {
        Now { at: ms(self.world.elapsed()), wall: self.world.now().wall.as_millis() }
    }

    fn wall(&self) -> Timestamp {
        self.world.now().wall
    }

    fn note(&mut self, text: String) {
        let at = self.now().at;
        if self.trace.len() >= SHOWN {
            self.trace.pop_front();
        }
        self.trace.push_back(format!("{:>9.3} {text}", at as f64 / 1_000.0));
    }

    fn plan_next(&mut self, after: Millis, next: Next) {
        self.queued += 1;
        let at = self.now().at + after;
        self.queue.insert((at, self.queued), next);
    }

    /// Everything, from a quiet beginning to the end of all alerts.
    fn run(&mut self) -> Result<(), String> {
        for name in self.senders.keys().copied().collect::<Vec<_>>() {
            let (send, flip) = (self.dice.between(0, 5_000), self.dice.between(0, 60_000));
            self.plan_next(send, Next::Send(name));
            self.plan_next(flip, Next::Flip(name));
        }
        for sink in self.sinks.keys().cloned().collect::<Vec<_>>() {
            let at = self.dice.between(10_000, 100_000);
            self.plan_next(at, Next::Sink(sink));
        }
        self.plan_next(5_000, Next::Trouble);
        self.plan_next(0, Next::Beat);
        let length = self.dice.between(200, 900) * 1_000;
        self.plan_next(length, Next::Calm);
        let end = self.now().at + length + 25 * 60_000;
        while self.now().at < end {
            self.turn()?;
        }
        self.run_out()
    }

    /// The next thing that happens.
    fn turn(&mut self) -> Result<(), String> {
        let wake = self.world.wakes_at().filter(|_| !self.is_down).map_or(Millis::MAX, ms);
        let (at, _) = *self.queue.first_key_value().expect("a beat").0;
        let then = wake.min(at).max(self.now().at);
        self.world.pass(span(then - self.now().at));
        let now = self.now();
        self.wall_max = self.wall_max.max(now.wall);
        if !self.is_down {
            self.oracle.pass(now);
        }
        if wake <= at {
            self.tick()?;
        } else if let Some((_, next)) = self.queue.pop_first() {
            self.happen(next);
        }
        self.settle()
    }

    /// The engine wakes, and never again and again at the same time.
    fn tick(&mut self) -> Result<(), String> {
        let at = self.now().at;
        self.ticks = if self.ticks.0 == at { (at, self.ticks.1 + 1) } else { (at, 0) };
        if self.ticks.1 > 100 {
            return Err("it wants to be woken again and again".to_owned());
        }
        self.step(Event::Tick);
        Ok(())
    }

    fn happen(&mut self, next: Next) {
        match next {
            Next::Send(name) => self.send(name),
            Next::Flip(name) => self.flip(name),
            Next::Attempt(id) => self.attempt(id),
            Next::Report(id, arrived, late) => self.report(id, arrived, late),
            Next::Sink(name) => self.change_sink(name),
            Next::Trouble => self.trouble(),
            Next::Boot => self.boot(),
            Next::Beat => {
                if !self.is_down && self.dice.one_in(10) {
                    self.verify();
                }
                self.plan_next(1_000, Next::Beat);
            }
            Next::Calm => self.calm(),
        }
    }

    /// Steps the engine; whether it lives.
    fn step(&mut self, event: Event) -> bool {
        self.world.step(event);
        if !self.world.dead {
            self.oracle.lived();
        }
        !self.world.dead
    }

    /// Takes up what the last step has left, and looks whether all is as it must be.
    fn settle(&mut self) -> Result<(), String> {
        let now = self.now();
        let died = self.world.dead && !self.is_down;
        for delivery in std::mem::take(&mut self.world.decided) {
            let message = message(&delivery);
            for alert in &delivery.notification.alerts {
                let sender = self.senders.get(name_of(&alert.labels));
                if sender.is_none_or(|sender| sender.labels != alert.labels) {
                    self.oracle.fault(format!("nobody told of {}", alert.labels));
                }
            }
            self.note(format!("decided {message:?}"));
            self.counts.resumed += u64::from(message.resumed);
            self.oracle.decided(message, now, !self.world.dead);
        }
        if died {
            self.die();
        }
        for delivery in std::mem::take(&mut self.world.open) {
            let flight = Flight {
                message: message(&delivery),
                began: now.at,
                deadline: ms(self.world.booted() + delivery.deadline),
                pause: 1_000,
                delivery,
            };
            self.flown += 1;
            let id = self.flown;
            self.flights.insert(id, flight);
            let after = self.dice.between(1, 500);
            self.plan_next(after, Next::Attempt(id));
        }
        let mut disturbed: BTreeSet<String> = BTreeSet::new();
        let ill = self.sinks.iter().filter(|(_, sink)| **sink != Sink::Well);
        disturbed.extend(ill.filter_map(|(name, _)| Some(name.split_once('/')?.0.to_owned())));
        let slow = self.flights.values().filter(|flight| now.at - flight.began > 2_000);
        disturbed.extend(slow.map(|flight| flight.message.receiver.clone()));
        self.oracle.observe(now, !self.is_down, &disturbed);
        match self.oracle.faults.is_empty() {
            true => Ok(()),
            false => Err(std::mem::take(&mut self.oracle.faults).join("\n")),
        }
    }

    fn die(&mut self) {
        self.note("it dies".to_owned());
        self.counts.deaths += 1;
        self.is_down = true;
        self.flights.clear();
        self.world.open.clear();
        self.heard.values_mut().for_each(|(_, again)| *again = true);
        let down = match self.dice.between(0, 12) {
            0 => self.dice.between(60_000, 4_000_000),
            1..4 => self.dice.between(5_000, 60_000),
            _ => self.dice.between(50, 5_000),
        };
        self.plan_next(down, Next::Boot);
    }

    fn boot(&mut self) {
        let dies_in = (!self.is_calm && self.dice.one_in(5))
            .then(|| usize::try_from(self.dice.between(0, 5)).expect("small"));
        self.note(format!("it begins, to die in {dies_in:?}"));
        self.world.boot(dies_in);
        let decided = self.world.decided.iter().filter(|delivery| delivery.resumed);
        let resumed = decided.map(Delivery::idempotency_key).collect();
        let now = self.now();
        self.oracle.restarted(now, &resumed);
        self.is_down = false;
        if !self.world.dead {
            self.oracle.pass(now);
            self.verify();
            self.oracle.lived();
        }
    }

    /// What the engine says of silences, acknowledgements and alerts is what was said to it.
    fn verify(&mut self) {
        let (now, moment) = (self.now(), self.world.now());
        let mut silences: BTreeMap<String, _> =
            self.oracle.silences.keys().map(|id| (id.clone(), None)).collect();
        for view in self.world.engine.silences(moment) {
            let (from, to) = (view.silence.starts_at.as_millis(), view.silence.ends_at.as_millis());
            let over = view.state == SilenceState::Expired;
            silences.insert(view.silence.id.as_str().to_owned(), Some((from, to, over)));
        }
        for (id, found) in silences {
            self.oracle.check_hush(&id, found, now);
        }
        for told in self.world.happened.drain(..) {
            if told.body.get("what").is_none_or(|what| what != "ended") {
                continue;
            }
            let ends = told.body.get("ends_at_ms").and_then(|ends| ends.as_i64());
            let (ends, at) = (ends.unwrap_or(Millis::MIN), told.at.as_millis());
            if at > ends {
                let id = told.body.get("id");
                self.oracle.fault(format!("silence {id:?} ended at {ends}, and is told at {at}"));
            }
        }
        for (name, sender) in &self.senders {
            let view = self.world.engine.alert(sender.labels.fingerprint(), moment);
            self.oracle.check_ack(name, view.as_ref().is_some_and(|view| view.ack.is_some()));
            let fires = view.is_some_and(|view| view.status == AlertStatus::Firing);
            let state = self.oracle.alerts.get(name).map(|known| known.state);
            let expected = match state {
                Some(State::Firing) => true,
                Some(State::Ended | State::Never) => false,
                _ => continue,
            };
            if fires != expected {
                self.oracle.fault(format!("that {name} fires is {fires}, not {expected}"));
            }
        }
    }

    fn flip(&mut self, name: &'static str) {
        let dice = &self.dice;
        let after = match dice.between(0, 4) {
            0 => dice.between(1_000, 10_000),
            1 => dice.between(100_000, 400_000),
            _ => dice.between(5_000, 60_000),
        };
        if let Some(sender) = self.senders.get_mut(name)
            && !self.is_calm
        {
            sender.on = !sender.on;
            self.plan_next(after, Next::Flip(name));
        }
    }

    /// A sender tells of its alert, if there is something to tell.
    fn send(&mut self, name: &'static str) {
        let wall = self.wall();
        let Some(sender) = self.senders.get_mut(name) else { return };
        let interval = sender.interval;
        let ends = match (sender.on, sender.starts) {
            _ if self.is_down => None,
            (true, began) => {
                sender.starts = began.filter(|_| sender.ended.is_none()).or(Some(wall));
                sender.ended = None;
                sender.ends_left = 4;
                Some(wall.plus(span(sender.promise)))
            }
            (false, Some(_)) if sender.ends_left > 0 && sender.kind != Kind::Careless => {
                Some(sender.ended.unwrap_or(wall))
            }
            (false, _) => {
                // The next time it is true is another time.
                sender.ended = Some(wall);
                None
            }
        };
        if let Some(ends) = ends {
            let firing = sender.on;
            let annotations =
                Annotations::from_pairs([("v", if self.dice.one_in(5) { "1" } else { "2" })]);
            let event = sender.event(ends, annotations, wall, self.world.engine.config());
            self.note(format!("{name} fires {firing}"));
            let answered = self.step(event);
            let now = self.now();
            self.oracle.said(name, firing, answered, now);
            if let Some(sender) = self.senders.get_mut(name).filter(|_| answered && !firing) {
                sender.ended = Some(ends);
                sender.ends_left -= 1;
            }
        }
        if !self.is_calm || self.senders.get(name).is_some_and(|sender| sender.ends_left > 0) {
            self.plan_next(interval, Next::Send(name));
        }
    }

    fn attempt(&mut self, id: u64) {
        let now = self.now();
        let Some(flight) = self.flights.get_mut(&id) else { return };
        let sink = self.sinks.get(&flight.message.channel.1).copied().expect("a sink");
        let left = flight.deadline - now.at;
        let (message, pause) = (flight.message.clone(), flight.pause);
        flight.pause = (pause * 2).min(8_000);
        let again = |after: Millis| match left <= after {
            true => (left.max(0), Next::Report(id, false, false)),
            false => (after, Next::Attempt(id)),
        };
        let taken = self.dice.between(1, 500);
        let (after, next) = match sink {
            _ if left <= 0 => (0, Next::Report(id, false, false)),
            Sink::Well if taken < left => (taken, Next::Report(id, true, false)),
            Sink::Well | Sink::Deaf | Sink::Refuses => again(pause),
            Sink::Rejects => (taken, Next::Report(id, false, false)),
            Sink::Hangs => again(10_000),
            Sink::Lost => {
                let late = left + GIVEN_UP_AFTER + 1_000;
                (late, Next::Report(id, self.dice.one_in(2), true))
            }
        };
        if left > 0 && matches!(sink, Sink::Well | Sink::Deaf) {
            self.hear(message, !matches!(next, Next::Report(_, true, _)));
        }
        self.plan_next(after, next);
    }

    /// A sink gets a message, and may get it again if its answer is lost.
    fn hear(&mut self, message: Message, again: bool) {
        self.note(format!("heard {} (its answer is lost: {again})", message.key));
        self.counts.sent += 1;
        let same = |before: &Message| {
            let parts = |one: &Message| {
                (one.channel.clone(), one.firing.clone(), one.resolved.clone(), one.reason)
            };
            parts(before) == parts(&message)
        };
        if let Some((before, may)) = self.heard.get(&message.key) {
            if !same(before) {
                self.oracle.fault(format!("one key, two messages: {before:?} {message:?}"));
            }
            if !may {
                self.oracle.fault(format!("sent twice: {message:?}"));
            }
        }
        self.heard.insert(message.key.clone(), (message, again));
    }

    /// The engine is told how deliveries ended, several at once when they end together.
    fn report(&mut self, id: u64, arrived: bool, late: bool) {
        let mut all = vec![(id, arrived, late)];
        let until = self.now().at + 100;
        while let Some(entry) = self.queue.first_entry()
            && entry.key().0 <= until
            && let Next::Report(id, arrived, late) = *entry.get()
        {
            entry.remove();
            all.push((id, arrived, late));
        }
        let mut finished = Vec::new();
        let mut arrivals = Vec::new();
        for (id, arrived, late) in all {
            let Some(flight) = self.flights.remove(&id) else { continue };
            let error = (!arrived).then(|| "it did not arrive".to_owned());
            let outcome = DeliveryOutcome { error, attempts: 1, ..DeliveryOutcome::default() };
            finished.push((flight.delivery.id, outcome));
            if arrived && !late {
                arrivals.push(flight.message.key);
            }
        }
        if finished.is_empty() {
            return;
        }
        self.note(format!("reported as arrived: {arrivals:?} of {}", finished.len()));
        let lived = self.step(Event::DeliveriesFinished(finished));
        let now = self.now();
        for key in arrivals {
            self.oracle.reported(&key, lived, now);
        }
    }

    fn change_sink(&mut self, name: String) {
        if self.is_calm || !self.troubles.sinks {
            return;
        }
        let all = [Sink::Refuses, Sink::Rejects, Sink::Deaf, Sink::Hangs, Sink::Lost];
        let well = self.dice.one_in(2) || self.sinks.get(&name) != Some(&Sink::Well);
        let sink = if well { Sink::Well } else { self.dice.pick(&all) };
        self.note(format!("{name} is now {sink:?}"));
        self.sinks.insert(name.clone(), sink);
        let after = self.dice.between(10_000, if well { 200_000 } else { 90_000 });
        self.plan_next(after, Next::Sink(name));
    }

    fn trouble(&mut self) {
        if self.is_calm {
            return;
        }
        match self.dice.between(0, 10) {
            0 if self.troubles.crashes => {
                let dies_in = usize::try_from(self.dice.between(0, 8)).expect("small");
                self.note(format!("it will die in {dies_in}"));
                self.world.dies_in = Some(dies_in);
            }
            1 if self.troubles.crashes && !self.is_down => self.world.dead = true,
            2 if self.troubles.reloads => self.reload(),
            3 if self.troubles.jumps => self.jump(),
            4..=6 if self.troubles.silences && !self.is_down => self.silence(),
            7..=8 if self.troubles.acks && !self.is_down => self.acknowledge(),
            _ => {}
        }
        let after = self.dice.between(1_000, 15_000);
        self.plan_next(after, Next::Trouble);
    }

    fn reload(&mut self) {
        self.plan = self.plan.changed(&self.dice);
        self.note(format!("reload: {}", self.plan.shown()));
        self.world.reload(&self.plan.yaml());
        if !self.world.dead {
            self.oracle.lived();
        }
        self.oracle.reloaded(self.plan.clone());
    }

    fn jump(&mut self) {
        let seconds = self.dice.pick(&[-3_600, -60, -5, 5, 60, 3_600, 40_000, -40_000]);
        // Never whole seconds, as all else here takes: an alert that begins or ends in the same
        // millisecond as one before it is the same alert, as far as anybody can know.
        let millis = seconds * 1_000 + self.dice.between(1, 999);
        self.note(format!("the wall clock jumps by {millis} ms"));
        self.world.jump_wall_millis(millis);
        let running = !self.is_down;
        let lived = self.step(Event::Tick);
        let now = self.now();
        self.oracle.jumped(millis, running, lived, now);
    }

    fn silence(&mut self) {
        let open = self.oracle.silences.iter().filter(|(_, hush)| !hush.over);
        let open: Vec<_> = open.map(|(id, hush)| (id.clone(), hush.clone())).collect();
        match self.dice.between(0, 4) {
            0 if !open.is_empty() => self.expire(&open),
            1 if !open.is_empty() => self.extend(&open),
            _ => self.make_silence(),
        }
    }

    fn expire(&mut self, open: &[(String, Hush)]) {
        let (id, hush) = self.dice.pick(open);
        let lived = self.step(Event::SilenceExpired(SilenceId::from_text(&id)));
        let wall = self.now().wall;
        let from = hush.spans.first().copied().flatten().map_or(wall, |(from, _)| from.min(wall));
        let expired = Hush { spans: vec![Some((from, wall))], over: true, ..hush };
        self.answer_silence(&id, expired, lived, "expired");
    }

    /// The same silence, for longer or not.
    fn extend(&mut self, open: &[(String, Hush)]) {
        let (id, hush) = self.dice.pick(open);
        let wall = self.now().wall;
        let (from, _) = hush.spans.first().copied().flatten().expect("it is known");
        if from > wall {
            return;
        }
        let to = wall + self.dice.between(1_000, 100_000);
        let draft = SilenceDraft { id: Some(SilenceId::from_text(&id)), ..draft(&hush, from, to) };
        let lived = self.set_silence(draft).1;
        let extended = Hush { spans: vec![Some((from, to))], ..hush };
        self.answer_silence(&id, extended, lived, "changed");
    }

    fn make_silence(&mut self) {
        let wall = self.now().wall;
        let name = self.dice.pick(&NAMES);
        let label = self.dice.pick(&[("n", name), ("n", name), ("team", "x"), ("sev", "warn")]);
        let later = if self.dice.one_in(4) { self.dice.between(1_000, 60_000) } else { 0 };
        let window = self.dice.one_in(5).then_some(1);
        let from = wall + later;
        let to = from + self.dice.between(2_000, 200_000);
        let hush = Hush::new(label, window, (from, to));
        let (id, lived) = self.set_silence(draft(&hush, from, to));
        self.answer_silence(id.as_str(), hush, lived, "made");
    }

    fn set_silence(&mut self, draft: SilenceDraft) -> (SilenceId, bool) {
        self.silences_made += 1;
        let new_id = SilenceId::from_random(self.silences_made.to_be_bytes());
        let id = draft.id.clone().unwrap_or_else(|| new_id.clone());
        let lived = self.step(Event::SilenceSet { draft, new_id });
        (id, lived)
    }

    fn answer_silence(&mut self, id: &str, hush: Hush, lived: bool, what: &str) {
        self.note(format!("silence {id} {what}: {hush:?}"));
        self.counts.quiet += 1;
        // Somebody who got no answer does not know; what was answered is stored.
        let answer = self.world.answers.pop();
        match &answer {
            Some(Answer::Silence(Ok(found))) if found.as_str() == id => {}
            None if !lived => {}
            other => self.oracle.fault(format!("silence {id} {what}: {other:?}")),
        }
        self.oracle.hushed(id, hush, answer.is_some());
    }

    fn acknowledge(&mut self) {
        let names: Vec<_> = self.senders.keys().copied().collect();
        let name = self.dice.pick(&names);
        let print = self.senders.get(name).expect("a sender").labels.fingerprint();
        let Some(known) = self.oracle.alerts.get(name).cloned() else { return };
        let wanted = known.acked != Sure::Yes || self.dice.one_in(2);
        self.note(format!("{name} is acknowledged: {wanted}"));
        self.step(match wanted {
            true => Event::Acknowledged(AckDraft {
                fingerprints: vec![print],
                by: "me".to_owned(),
                comment: String::new(),
            }),
            false => Event::AckWithdrawn(vec![print], "me".to_owned()),
        });
        let answer = self.world.answers.pop();
        let taken = match answer {
            Some(Answer::Ack(Ok(_))) => true,
            Some(Answer::Ack(Err(_))) => false,
            _ => return self.oracle.doubt_ack(name),
        };
        let possible = match (wanted, known.state) {
            (true, State::Firing) => Sure::Yes,
            (true, State::Maybe) => Sure::Maybe,
            (true, _) => Sure::No,
            (false, _) => known.acked,
        };
        let expected = if taken { Sure::Yes } else { Sure::No };
        if possible != Sure::Maybe && possible != expected {
            self.oracle.fault(format!("acknowledged {wanted}, {name}: {answer:?}"));
        }
        if taken {
            self.oracle.set_ack(name, wanted);
        }
    }

    /// Everything works again, and everything ends.
    fn calm(&mut self) {
        self.note("all ends and all works".to_owned());
        self.is_calm = true;
        self.world.dies_in = None;
        self.sinks.values_mut().for_each(|sink| *sink = Sink::Well);
        self.senders.values_mut().for_each(|sender| sender.on = false);
        if self.is_down {
            self.queue.retain(|_, next| !matches!(next, Next::Boot));
            self.plan_next(1_000, Next::Boot);
        }
    }

    /// Nothing is left when all that is kept for a while is over.
    fn run_out(&mut self) -> Result<(), String> {
        let kept = (2 * Plan::repeat_max()).max(KNOWN_AFTER_END) + 120_000;
        self.run_until(self.wall_max + kept)?;
        let left = |table: &Table| !matches!(table, Table::Counter | Table::Silence);
        let rows: Vec<_> = self.world.rows.iter().filter(|((table, _), _)| left(table)).collect();
        if !rows.is_empty() {
            return Err(format!("left when all was over: {rows:?}"));
        }
        let retention = ms(Options::default().retention);
        self.run_until(self.wall_max + retention + 3_600_000)?;
        let rows: Vec<_> = self.world.rows.keys().filter(|key| key.0 != Table::Counter).collect();
        match rows.is_empty() {
            true => Ok(()),
            false => Err(format!("left after the retention: {rows:?}")),
        }
    }

    fn run_until(&mut self, wall: Millis) -> Result<(), String> {
        while self.now().wall < wall {
            let wake = self.world.wakes_at().map_or(Millis::MAX, ms);
            let now = self.now();
            let after = (wall - now.wall).min(wake.saturating_sub(now.at).max(0));
            self.world.pass(span(after));
            self.oracle.pass(self.now());
            self.tick()?;
            self.settle()?;
        }
        Ok(())
    }
}

fn draft(hush: &Hush, from: Millis, to: Millis) -> SilenceDraft {
    let (label, value) = hush.label;
    let window = hush.window.and_then(|window| WINDOWS.get(window));
    SilenceDraft {
        id: None,
        matchers: parse_list(&format!("{label}={value:?}"), Mode::Fallback).expect("valid"),
        starts_at: Timestamp::from_millis(from),
        ends_at: Timestamp::from_millis(to),
        created_by: "me".to_owned(),
        comment: "c".to_owned(),
        annotations: Annotations::from_pairs(window.map(|(name, _, _)| (RECURS, *name))),
    }
}

/// One life; what went wrong, with what was before.
fn run(seed: u64) -> Result<Counts, String> {
    let mut simulation = Simulation::new(seed);
    let plan = simulation.plan.shown();
    let outcome = catch_unwind(AssertUnwindSafe(|| simulation.run()));
    let fault = match outcome {
        Ok(Ok(())) => return Ok(simulation.counts),
        Ok(Err(fault)) => fault,
        Err(_) => "it panicked, see above".to_owned(),
    };
    let trace: Vec<_> = simulation.trace.into_iter().collect();
    Err(format!(
        "seed {seed}: {plan}\n{:?}\n{:?}\n{}\nseed {seed}: {fault}",
        simulation.troubles,
        simulation.senders,
        trace.join("\n")
    ))
}

fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("WATCHBELL_SEEDS") else { return SEEDS };
    let range =
        text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    range.unwrap_or_else(|| panic!("WATCHBELL_SEEDS={text}: a range as 0..5000 is wanted"))
}

#[test]
fn whatever_goes_wrong_nothing_is_lost_and_nothing_told_without_a_reason() {
    let mut all = Counts::default();
    let mut failed = Vec::new();
    for seed in seeds() {
        match run(seed) {
            Ok(counts) => {
                all.sent += counts.sent;
                all.deaths += counts.deaths;
                all.resumed += counts.resumed;
                all.quiet += counts.quiet;
            }
            Err(text) => {
                println!("{text}\n");
                failed.push(seed);
            }
        }
    }
    println!("{all:?}");
    assert!(failed.is_empty(), "these seeds failed, see above: {failed:?}");
    let seldom = [all.sent, all.deaths, all.resumed, all.quiet].into_iter().min();
    let is_some = seeds() != SEEDS;
    assert!(is_some || seldom > Some(0), "something never happened: {all:?}");
}
