//! What must be true of notifications, written from the specification and knowing of the engine
//! only what was said to it, what it answered, and what it sent.
//!
//! Time is the simulation's own, which neither jumps nor begins anew with a process. What a crash
//! leaves open is `Maybe` until somebody says it again: of that nothing is demanded.

use super::plan::{Millis, Pairs, Place, Plan, in_window};
use std::collections::{BTreeMap, BTreeSet};
use watchbell::alerts::Reason;

/// How much later than it must be something may be: a sink takes its time to answer.
const SLACK: Millis = 4_000;
/// How long an alert that has ended is known.
pub(crate) const KNOWN_AFTER_END: Millis = 15 * 60_000;

/// A moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Now {
    pub(crate) at: Millis,
    pub(crate) wall: Millis,
}

/// A group and an integration.
pub(crate) type Channel = (String, String);

/// Names of alerts.
pub(crate) type Names = BTreeSet<&'static str>;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sure {
    Yes,
    No,
    Maybe,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum State {
    /// Nobody has told of it.
    Never,
    Firing,
    Ended,
    Maybe,
}

/// An alert, as its sender has told of it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    labels: Pairs,
    /// How long it fires when it is not said again.
    promise: Millis,
    pub(crate) state: State,
    until: Option<Millis>,
    ended_at: Millis,
    /// Whether a step has been stored since it ended.
    settled: bool,
    pub(crate) acked: Sure,
    /// When it began to fire, or ended.
    turns: Vec<Millis>,
    places: Vec<Place>,
    /// Where its end need not be told: it was quiet when it ended.
    excused: BTreeSet<Channel>,
}

/// A silence.
#[derive(Clone, Debug)]
pub(crate) struct Hush {
    pub(crate) label: (&'static str, &'static str),
    pub(crate) window: Option<usize>,
    /// From when until when it may act by the wall clock; several while nobody knows which.
    pub(crate) spans: Vec<Option<(Millis, Millis)>>,
    pub(crate) over: bool,
    /// Whether what was last changed of it is stored.
    pub(crate) settled: bool,
}

/// What an integration was last told of a group.
#[derive(Clone, Debug, Default)]
struct Told {
    firing: Names,
    /// Those that may have been among them.
    maybe: Names,
    resolved: Names,
    at: Millis,
    wall: Millis,
    repeat: Millis,
    /// Whether the log may have changed, or gone, without a notification.
    unsure: bool,
    /// Whether the log may have forgotten it.
    was_over: bool,
}

/// What was decided to be sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) key: String,
    pub(crate) channel: Channel,
    pub(crate) receiver: String,
    pub(crate) firing: Names,
    pub(crate) resolved: Names,
    pub(crate) reason: Reason,
    pub(crate) resumed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Debt {
    Firing,
    End,
    /// The log, where no ends are sent.
    Forget,
    /// What was told at that time.
    Repeat(Millis),
}

/// Flapping alerts to this receiver are held back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Damped {
    pub(crate) receiver: &'static str,
    pub(crate) changes: usize,
    pub(crate) within: Millis,
    pub(crate) stable: Millis,
}

#[derive(Debug)]
pub(crate) struct Oracle {
    plan: Plan,
    damped: Option<Damped>,
    pub(crate) alerts: BTreeMap<&'static str, Known>,
    pub(crate) silences: BTreeMap<String, Hush>,
    told: BTreeMap<Channel, Told>,
    /// What was decided, with what the log will hold.
    decided: BTreeMap<String, (Message, Told)>,
    /// When a group was last looked at and told of, and who fired then.
    looks: BTreeMap<(String, String), (Millis, Names)>,
    /// Reports in which the process died.
    doubtful: Vec<(String, Now)>,
    debts: Debts,
    /// Until when something was wrong with a receiver's sinks.
    disturbed: BTreeMap<String, Millis>,
    pub(crate) faults: Vec<String>,
}

type Debts = BTreeMap<(&'static str, Channel, Debt), Millis>;

impl Oracle {
    pub(crate) fn new(plan: Plan, damped: Option<Damped>, alerts: &[(Pairs, Millis)]) -> Self {
        let known = |(labels, promise): &(Pairs, Millis)| {
            let known = Known {
                labels: labels.clone(),
                promise: *promise,
                state: State::Never,
                until: None,
                ended_at: 0,
                settled: true,
                acked: Sure::No,
                turns: Vec::new(),
                places: plan.places(labels),
                excused: BTreeSet::new(),
            };
            (*labels.get("n").expect("a name"), known)
        };
        Self {
            damped,
            alerts: alerts.iter().map(known).collect(),
            silences: BTreeMap::new(),
            told: BTreeMap::new(),
            decided: BTreeMap::new(),
            looks: BTreeMap::new(),
            doubtful: Vec::new(),
            debts: BTreeMap::new(),
            disturbed: BTreeMap::new(),
            faults: Vec::new(),
            plan,
        }
    }

    pub(crate) fn fault(&mut self, text: String) {
        self.faults.push(text);
    }

    fn known(&self, name: &str) -> &Known {
        self.alerts.get(name).expect("an alert of the simulation")
    }

    fn known_mut(&mut self, name: &str) -> &mut Known {
        self.alerts.get_mut(name).expect("an alert of the simulation")
    }

    /// Time has passed while the process runs.
    pub(crate) fn pass(&mut self, now: Now) {
        for known in self.alerts.values_mut() {
            if let Some(until) = known.until.filter(|until| *until <= now.at) {
                known.end(until, false);
            }
        }
        self.pass_silences(now);
    }

    /// A process sees which silences are over by its clock; whether that is stored is not known.
    fn pass_silences(&mut self, now: Now) {
        for hush in self.silences.values_mut().filter(|hush| !hush.over) {
            let mut spans = hush.spans.iter().flatten().peekable();
            if spans.peek().is_some() && spans.all(|(_, to)| *to <= now.wall) {
                (hush.over, hush.settled) = (true, false);
            }
        }
    }

    /// A step was carried out whole: what it noticed is stored.
    pub(crate) fn lived(&mut self) {
        self.alerts.values_mut().for_each(|known| known.settled = true);
        self.silences.values_mut().for_each(|hush| hush.settled = true);
    }

    /// A sender said that an alert fires, or has ended; whether that was answered.
    pub(crate) fn said(&mut self, name: &'static str, firing: bool, answered: bool, now: Now) {
        let known = self.known_mut(name);
        match (firing, answered) {
            (true, true) => {
                if known.state != State::Firing {
                    known.turns.push(now.at);
                    known.acked = if known.state == State::Maybe { known.acked } else { Sure::No };
                    known.excused.clear();
                }
                known.state = State::Firing;
                known.until = Some(now.at + known.promise);
            }
            (false, true) if known.state == State::Ended => self.said_again(name, now),
            (false, true) => known.end(now.at, true),
            // It fires, or has ended, whether or not this was taken.
            (true, false) if known.state == State::Firing => {}
            (false, false) if known.state == State::Ended => {}
            (_, false) => {
                known.turns.push(now.at);
                known.state = State::Maybe;
                known.until = None;
                if known.acked == Sure::Yes {
                    known.acked = Sure::Maybe;
                }
            }
        }
    }

    /// An end that was kept quiet is told when its sender says it again.
    fn said_again(&mut self, name: &'static str, now: Now) {
        if self.quiet(name, now) != Sure::No {
            return;
        }
        let places = self.known(name).places.clone();
        for place in places.iter().filter(|place| !place.is_muted(now.wall)) {
            for (integration, _) in self.plan.integrations(place.receiver) {
                let channel = (place.group.clone(), integration);
                let is_kept = |told: &Told| !told.may_be_forgotten(now);
                if self.told.get(&channel).is_some_and(is_kept) {
                    self.known_mut(name).excused.remove(&channel);
                }
            }
        }
    }

    /// The wall clock jumped to `now`; a process that runs has noticed, or died of it.
    pub(crate) fn jumped(&mut self, by: Millis, running: bool, lived: bool, now: Now) {
        for hush in self.silences.values_mut().filter(|hush| running && !hush.over) {
            let before = now.wall - by;
            let acted = |(from, to): (Millis, Millis)| from <= before && before < to;
            let moved = hush.spans.iter().map(|span| match span {
                Some(span) if acted(*span) && hush.window.is_none() => {
                    Some((span.0 + by, span.1 + by))
                }
                span => *span,
            });
            let moved: Vec<_> = moved.collect();
            if lived {
                hush.spans = moved;
            } else {
                hush.spans.extend(moved);
            }
        }
    }

    /// All that may be told of now: where, and whether of ends too.
    fn channels(&self) -> BTreeMap<Channel, (Place, bool)> {
        let places = self.alerts.values().flat_map(|known| &known.places);
        let all = places.flat_map(|place| {
            let all = self.plan.integrations(place.receiver).into_iter();
            all.map(|(name, resolved)| ((place.group.clone(), name), (place.clone(), resolved)))
        });
        all.collect()
    }

    /// Somebody makes, changes or ends a silence; nobody knows whether when it was not answered.
    pub(crate) fn hushed(&mut self, id: &str, hush: Hush, answered: bool) {
        let before = self.silences.get(id).map_or_else(|| vec![None], |old| old.spans.clone());
        let mut hush = Hush { settled: answered, ..hush };
        if !answered {
            hush.spans.extend(before);
        }
        self.silences.insert(id.to_owned(), hush);
    }

    /// What the engine says of a silence: when it acts, and whether it is over. Of several that
    /// can be it tells which it is.
    pub(crate) fn check_hush(&mut self, id: &str, found: Option<(Millis, Millis, bool)>, now: Now) {
        let Some(hush) = self.silences.get_mut(id) else {
            return self.fault(format!("a silence that nobody made: {id} {found:?}"));
        };
        let span = found.map(|(from, to, _)| (from, to));
        let over = found.is_none_or(|(_, _, over)| over);
        let by_time = span.is_none_or(|(_, to)| to <= now.wall);
        let fits = hush.spans.contains(&span)
            && if hush.over && hush.settled { over } else { over == by_time || hush.over };
        if !fits {
            let text = format!("of silence {id} {found:?} is known, and not {hush:?}");
            return self.fault(text);
        }
        hush.spans = vec![span];
        hush.over = over;
    }

    /// Whether the engine says that somebody works on an alert.
    pub(crate) fn check_ack(&mut self, name: &'static str, found: bool) {
        let known = self.known_mut(name);
        let expected = known.acked;
        known.acked = if found { Sure::Yes } else { Sure::No };
        if expected != Sure::Maybe && expected != known.acked {
            self.fault(format!("acknowledged {found}: {name}, which is {expected:?}"));
        }
    }

    pub(crate) fn reloaded(&mut self, plan: Plan) {
        for known in self.alerts.values_mut() {
            known.places = plan.places(&known.labels);
        }
        self.plan = plan;
        self.debts.clear();
        self.looks.clear();
    }

    /// A process began with what was stored. `resumed` are the keys that it sends once more.
    pub(crate) fn restarted(&mut self, now: Now, resumed: &BTreeSet<String>) {
        self.pass_silences(now);
        for known in self.alerts.values_mut() {
            if known.state == State::Ended && !known.settled {
                (known.state, known.acked) = (State::Maybe, Sure::Maybe);
            }
            if matches!(known.state, State::Firing | State::Maybe) {
                // Its sender could not be heard.
                known.until = Some(now.at + known.promise);
            }
            // A wall clock that was set meanwhile moves its turns.
            known.turns.extend(known.turns.last().map(|_| now.at));
        }
        for (key, at) in std::mem::take(&mut self.doubtful) {
            if !resumed.contains(&key) {
                self.recorded(&key, at, true);
            }
        }
        for told in self.told.values_mut() {
            told.at = now.at - (now.wall - told.wall).max(0);
        }
        self.debts.clear();
        self.looks.clear();
    }

    /// A delivery was reported as arrived: stored, or the process died with it.
    pub(crate) fn reported(&mut self, key: &str, stored: bool, now: Now) {
        if stored {
            self.recorded(key, now, false);
        } else {
            self.doubtful.push((key.to_owned(), now));
        }
    }

    fn recorded(&mut self, key: &str, now: Now, doubtful: bool) {
        let Some((message, told)) = self.decided.get(key) else {
            return self.fault(format!("a report on {key}, which was never decided"));
        };
        let kept = self.plan.integrations(&message.receiver);
        // Of a receiver that went with a reload nobody knows whether it was stored.
        let unsure = doubtful && kept.iter().all(|(name, _)| *name != message.channel.1);
        let told = Told { at: now.at, wall: now.wall, unsure, ..told.clone() };
        self.told.insert(message.channel.clone(), told);
    }

    /// Somebody acknowledged an alert, or took that back.
    pub(crate) fn set_ack(&mut self, name: &str, acked: bool) {
        self.known_mut(name).acked = if acked { Sure::Yes } else { Sure::No };
    }

    /// Nobody knows whether an alert is acknowledged.
    pub(crate) fn doubt_ack(&mut self, name: &str) {
        self.known_mut(name).acked = Sure::Maybe;
    }

    /// Whether an alert is kept quiet, whatever its route.
    pub(crate) fn quiet(&self, name: &str, now: Now) -> Sure {
        let known = self.known(name);
        let mut quiet = Sure::No;
        for hush in self.silences.values() {
            let (label, value) = hush.label;
            if known.labels.get(label) == Some(&value) {
                quiet = quiet.or(hush.acts(now.wall));
            }
        }
        if self.plan.inhibits() && known.labels.get("sev") == Some(&"warn") {
            for other in self.alerts.values() {
                let is_source = other.labels.get("sev") == Some(&"page")
                    && other.labels.get("g") == known.labels.get("g");
                quiet = match other.state {
                    State::Firing if is_source => Sure::Yes,
                    State::Maybe if is_source => quiet.or(Sure::Maybe),
                    _ => quiet,
                };
            }
        }
        quiet
    }

    /// A notification is to be sent. In a step in which the process dies it knows more than was
    /// answered: then only what the log will hold is noted.
    pub(crate) fn decided(&mut self, message: Message, now: Now, lived: bool) {
        if message.resumed {
            let first = Message { resumed: false, ..message.clone() };
            if self.decided.get(&message.key).is_none_or(|(before, _)| *before != first) {
                self.fault(format!("sent once more as something else: {message:?}"));
            }
            return;
        }
        let all: Vec<_> = message.firing.union(&message.resolved).copied().collect();
        let group = &message.channel.0;
        let place = all.first().and_then(|name| self.place(name, group, &message.receiver));
        if !lived {
            let before = self.told.get(&message.channel).cloned().unwrap_or_default();
            let told = Told {
                maybe: before.firing.difference(&message.firing).copied().collect(),
                firing: message.firing.clone(),
                resolved: message.resolved.clone(),
                repeat: place.map_or(Plan::repeat_max(), |place| place.repeat),
                ..Told::default()
            };
            self.decided.insert(message.key.clone(), (message, told));
            return;
        }
        let Some(place) = place.cloned() else {
            return self.fault(format!("to nobody that it is routed to: {message:?}"));
        };
        for name in &all {
            if self.place(name, group, &message.receiver).is_none() {
                self.fault(format!("{name} does not belong into {message:?}"));
            }
            if self.quiet(name, now) == Sure::Yes || place.is_muted(now.wall) {
                self.fault(format!("{name} is quiet and told of: {message:?}"));
            }
        }
        self.check_members(&message, now);
        self.check_look(&message, &place, now);
        let told = self.check_reason(&message, &place, now);
        self.decided.insert(message.key.clone(), (message, told));
    }

    fn place(&self, name: &str, group: &str, receiver: &str) -> Option<&Place> {
        let mut places = self.known(name).places.iter();
        places.find(|place| place.group == group && place.receiver == receiver)
    }

    /// The message tells the truth, and all of it.
    fn check_members(&mut self, message: &Message, now: Now) {
        let mut faults = Vec::new();
        let sends_resolved = self.sends_resolved(message);
        let told = self.told.get(&message.channel).filter(|told| !told.unsure);
        for (name, known) in &self.alerts {
            let flaps = self.may_flap(name, &message.receiver, now);
            let in_place = self.place(name, &message.channel.0, &message.receiver).is_some();
            let loud = in_place && self.quiet(name, now) == Sure::No;
            let (firing, resolved) =
                (message.firing.contains(name), message.resolved.contains(name));
            let owed = told.is_some_and(|told| told.firing.contains(name))
                && !known.excused.contains(&message.channel);
            match known.state {
                State::Firing if resolved => faults.push(format!("{name} fires")),
                State::Firing
                    if loud
                        && !firing
                        && !(message.reason == Reason::Repeat && known.acked != Sure::No) =>
                {
                    faults.push(format!("{name} is left out"));
                }
                State::Ended | State::Never if firing && !flaps => {
                    faults.push(format!("{name} does not fire"));
                }
                State::Ended if loud && owed && !resolved && sends_resolved && !flaps => {
                    faults.push(format!("the end of {name} is left out"));
                }
                State::Never if resolved => faults.push(format!("{name} was never told of")),
                _ => {}
            }
        }
        for fault in faults {
            self.fault(format!("{fault}: {message:?}"));
        }
    }

    fn sends_resolved(&self, message: &Message) -> bool {
        let all = self.plan.integrations(&message.receiver);
        all.iter().any(|(name, resolved)| *name == message.channel.1 && *resolved)
    }

    /// A group that lasts is looked at once in its interval, however many integrations it tells.
    fn check_look(&mut self, message: &Message, place: &Place, now: Now) {
        let key = (message.channel.0.clone(), message.receiver.clone());
        let (at, firing) = self.looks.get(&key).cloned().unwrap_or_default();
        let lasted = |name: &&str| {
            let known = self.known(name);
            known.is_firing() && known.turns.last().is_some_and(|turn| *turn < at)
        };
        if now.at != at && now.at - at < place.interval && firing.iter().any(lasted) {
            self.fault(format!("told of {} ms after the last look: {message:?}", now.at - at));
        }
        self.looks.insert(key, (now.at, message.firing.clone()));
    }

    /// There is a reason to send it, and it is the one that is named. Answers with what the log
    /// will hold when it has arrived.
    fn check_reason(&mut self, message: &Message, place: &Place, now: Now) -> Told {
        let (firing, resolved) = (&message.firing, &message.resolved);
        let mut after = Told {
            firing: firing.clone(),
            resolved: resolved.clone(),
            repeat: place.repeat,
            ..Told::default()
        };
        let before = self.told.get(&message.channel).cloned().unwrap_or_default();
        if message.reason == Reason::Repeat {
            self.check_repeat(message, &mut after, now);
        }
        if before.unsure || before.may_be_forgotten(now) && now.at - before.at <= place.repeat {
            return after;
        }
        let sends_resolved = self.sends_resolved(message);
        let expected = if !firing.is_subset(&before.firing) {
            Some(if before.firing.is_empty() { Reason::First } else { Reason::NewAlerts })
        } else if firing.is_empty() {
            (!before.firing.is_empty()).then_some(Reason::AllResolved)
        } else if sends_resolved && !resolved.is_subset(&before.resolved) {
            Some(Reason::SomeResolved)
        } else {
            (now.at - before.at > place.repeat).then_some(Reason::Repeat)
        };
        let Some(expected) = expected else {
            self.fault(format!("no reason for {message:?} after {before:?}"));
            return after;
        };
        let sure = !before.may_be_forgotten(now) && before.maybe.is_empty();
        if expected != message.reason && sure {
            self.fault(format!("{} is meant: {message:?} after {before:?}", expected.as_str()));
        }
        after
    }

    /// Nobody is told again of what somebody works on, but it stays in the log.
    fn check_repeat(&mut self, message: &Message, after: &mut Told, now: Now) {
        for (name, known) in &self.alerts {
            let told = message.firing.contains(name);
            if told && known.acked == Sure::Yes {
                self.faults.push(format!("{name} is acknowledged: {message:?}"));
            }
            let in_place = self.place(name, &message.channel.0, &message.receiver).is_some();
            if told || !in_place || known.acked == Sure::No {
                continue;
            }
            let is_sure = known.acked == Sure::Yes && known.is_firing();
            match self.quiet(name, now) {
                Sure::Yes => false,
                Sure::No if is_sure => after.firing.insert(name),
                _ => after.maybe.insert(name),
            };
        }
    }

    /// Whether the alert may be held back as flapping.
    fn may_flap(&self, name: &str, receiver: &str, now: Now) -> bool {
        let Some(damped) = self.damped.filter(|damped| damped.receiver == receiver) else {
            return false;
        };
        let turns = &self.known(name).turns;
        let close = |some: &[Millis]| match some {
            [first, .., last] => last - first <= damped.within + SLACK,
            _ => false,
        };
        turns.windows(damped.changes).any(close)
            && turns.last().is_some_and(|last| now.at - last < damped.stable + SLACK)
    }

    /// What has not been told in time. To be called whenever something may have changed.
    pub(crate) fn observe(&mut self, now: Now, running: bool, disturbed: &BTreeSet<String>) {
        for receiver in disturbed {
            self.disturbed.insert(receiver.clone(), now.at);
        }
        if !running {
            return self.debts.clear();
        }
        let mut debts = Debts::new();
        self.forget_told(now, &mut debts);
        let mut excused = Vec::new();
        for (name, known) in &self.alerts {
            for place in &known.places {
                let calm = self.disturbed.get(place.receiver).copied().unwrap_or(0);
                let loud = self.quiet(name, now) == Sure::No && !place.is_muted(now.wall);
                for (integration, resolved) in self.plan.integrations(place.receiver) {
                    let channel = (place.group.clone(), integration);
                    if known.state == State::Ended && !loud {
                        excused.push((*name, channel));
                    } else if loud
                        && let Some((debt, span)) = self.debt(known, place, &channel, resolved)
                    {
                        let key = (*name, channel, debt);
                        let since = self.debts.get(&key).copied().unwrap_or(now.at);
                        if now.at - since.max(calm) > span {
                            self.faults.push(format!("not told for {span} ms: {key:?}"));
                        }
                        debts.insert(key, since);
                    }
                }
            }
        }
        self.debts = debts;
        for (name, channel) in excused {
            self.known_mut(name).excused.insert(channel);
        }
        for (channel, told) in &mut self.told {
            let alert = |name: &&str| self.alerts.get(*name);
            let is_over = |name: &&str| {
                alert(name).is_some_and(|one| !one.is_firing() && one.excused.contains(channel))
            };
            // Nobody waits for the end: no clock that is set back brings back what is forgotten.
            told.was_over |= told.may_be_forgotten(now) && told.firing.iter().all(is_over);
        }
    }

    /// What an integration has to be told of an alert that is heard, and how soon.
    fn debt(
        &self,
        known: &Known,
        place: &Place,
        channel: &Channel,
        resolved: bool,
    ) -> Option<(Debt, Millis)> {
        let name = *known.labels.get("n").expect("a name");
        let soon = place.wait.max(place.interval) + SLACK;
        let told = self.told.get(channel);
        let is_told = told.is_some_and(|told| told.firing.contains(name));
        let is_open = |told: &Told| told.unsure || told.was_over;
        if told.is_some_and(|told| told.maybe.contains(name) || is_open(told) && is_told) {
            return None;
        }
        match (known.state, told) {
            (State::Firing, _) if !is_told => Some((Debt::Firing, soon)),
            (State::Firing, Some(told)) if known.acked == Sure::No => {
                // Since the last message, or since nothing is in the way.
                Some((Debt::Repeat(told.at), place.repeat + place.interval + SLACK))
            }
            (State::Ended, _) if is_told && resolved && !known.excused.contains(channel) => {
                let damped = self.damped.filter(|damped| damped.receiver == place.receiver);
                Some((Debt::End, soon + damped.map_or(0, |damped| damped.stable)))
            }
            _ => None,
        }
    }

    /// What the log forgets without a notification.
    fn forget_told(&mut self, now: Now, debts: &mut Debts) {
        let channels = self.channels();
        let is_loud = |(name, known): &(&&'static str, &Known)| {
            known.is_firing() && self.quiet(name, now) == Sure::No
        };
        let loud: Names = self.alerts.iter().filter(is_loud).map(|(name, _)| *name).collect();
        let mut excused = Vec::new();
        for (channel, told) in &mut self.told {
            let Some((place, resolved)) = channels.get(channel) else {
                // The route is away. When it comes back its log may be over, or the alert.
                let late = told.may_be_forgotten(now);
                for name in &told.firing {
                    let known = self.alerts.get(name).expect("an alert");
                    let forgotten = now.at - known.ended_at > KNOWN_AFTER_END - SLACK;
                    if known.state == State::Ended && (late || forgotten) {
                        excused.push((*name, channel.clone()));
                    }
                }
                continue;
            };
            if *resolved {
                continue;
            }
            // Where no end is sent the log still forgets those that fired, once none fires.
            let ended = |name: &&&str| self.alerts.get(**name).is_some_and(Known::has_ended);
            let alerts = &self.alerts;
            let is_member = |name: &&str| alerts.get(*name).is_some_and(|known| known.is_in(place));
            told.unsure |= told.firing.iter().any(|name| !loud.contains(name) || !is_member(name));
            let calm = self.disturbed.get(place.receiver).copied().unwrap_or(0);
            let mut members = self.alerts.values().filter(|known| known.is_in(place));
            if members.any(|known| !known.has_ended()) {
                continue;
            }
            let Some(name) = told.firing.iter().find(ended).filter(|name| {
                let known = self.alerts.get(**name).expect("it was told");
                known.is_in(place) && !known.excused.contains(channel)
            }) else {
                continue;
            };
            let damped = self.damped.map_or(0, |damped| damped.stable);
            let key = (*name, channel.clone(), Debt::Forget);
            let since = self.debts.get(&key).copied().unwrap_or(now.at);
            if now.at - since.max(calm) > place.wait.max(place.interval) + damped + SLACK {
                told.firing.clear();
                told.unsure = false;
            } else {
                debts.insert(key, since);
            }
        }
        for (name, channel) in excused {
            self.known_mut(name).excused.insert(channel);
        }
    }
}

impl Told {
    /// The log keeps for twice the repeat interval what is not about an alert that is open; after
    /// a restart by the wall clock.
    fn may_be_forgotten(&self, now: Now) -> bool {
        self.was_over || (now.wall - self.wall).max(now.at - self.at) > 2 * self.repeat - SLACK
    }
}

impl Sure {
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::No, Self::No) => Self::No,
            _ => Self::Maybe,
        }
    }
}

impl Known {
    fn end(&mut self, at: Millis, settled: bool) {
        if self.state != State::Ended {
            self.turns.push(at);
            self.settled = settled;
            self.ended_at = at;
        }
        self.state = State::Ended;
        self.until = None;
        self.acked = Sure::No;
    }

    fn is_firing(&self) -> bool {
        self.state == State::Firing
    }

    fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended | State::Never)
    }

    fn is_in(&self, place: &Place) -> bool {
        let same = |one: &Place| one.group == place.group && one.receiver == place.receiver;
        self.places.iter().any(same)
    }
}

impl Hush {
    pub(crate) fn new(
        label: (&'static str, &'static str),
        window: Option<usize>,
        span: (Millis, Millis),
    ) -> Self {
        Self { label, window, spans: vec![Some(span)], over: false, settled: false }
    }

    /// Whether it keeps alerts quiet.
    fn acts(&self, wall: Millis) -> Sure {
        let acts = |span: &Option<(Millis, Millis)>| {
            span.is_some_and(|(from, to)| from <= wall && wall < to)
                && self.window.is_none_or(|window| in_window(window, wall))
        };
        match (self.over, self.spans.iter().all(acts), self.spans.iter().any(acts)) {
            (true, _, _) | (_, _, false) => Sure::No,
            (_, true, _) => Sure::Yes,
            _ => Sure::Maybe,
        }
    }
}
