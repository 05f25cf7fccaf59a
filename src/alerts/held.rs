//! The alerts that are known, by identity, and in the order in which something is due with them.

use super::engine::Moment;
use crate::model::{Alert, AlertStatus, Fingerprint, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

/// Resolved alerts stay visible for this long.
const RESOLVED_KEPT: Duration = Duration::from_secs(15 * 60);
/// For so long it is tried to tell that an alert has ended.
pub(super) const RESOLVED_TRIED: Duration = Duration::from_secs(24 * 3600);
/// So many turns of an alert are remembered, for damping.
pub(super) const TURNS_MAX: usize = 32;

/// A point of the clock that never jumps, in milliseconds since the process started. Negative for
/// what was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Uptime(i64);

impl Uptime {
    /// The start of the process.
    const START: Self = Self(0);

    /// Now.
    pub(super) fn of(now: Moment) -> Self {
        Self(to_millis(now.elapsed))
    }

    /// The point that has this wall time, if the wall clock goes on evenly.
    pub(super) fn of_wall(at: Timestamp, now: Moment) -> Self {
        Self(Self::of(now).0.saturating_add(at.millis_since(now.wall)))
    }

    /// The wall time of this point, if the wall clock went evenly.
    pub(super) fn to_wall(self, now: Moment) -> Timestamp {
        now.wall.plus_millis(self.0.saturating_sub(Self::of(now).0))
    }

    pub(super) fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(to_millis(span)))
    }

    /// How long after `earlier` this is; zero when it is before.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The same as time since the start; zero for what was before.
    pub(super) fn elapsed(self) -> Duration {
        self.since(Self::START)
    }
}

fn to_millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Who sends an alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Source {
    /// A rule of ours. The rule tells the history when it fires and resolves.
    Rules,
    /// A program elsewhere, by the API.
    #[default]
    Outside,
    /// The engine itself: something that is expected does not come.
    Watch,
    /// A fire drill that does not wait as a real alert would.
    Drill,
}

impl Source {
    /// The word in records and in the history.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Outside => "api",
            Self::Watch => "watch",
            Self::Drill => "drill",
        }
    }

    pub(super) fn from_text(text: &str) -> Self {
        let all = [Self::Rules, Self::Outside, Self::Watch, Self::Drill];
        all.into_iter().find(|one| one.as_str() == text).unwrap_or_default()
    }
}

/// An alert and what is remembered beside it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) alert: Alert,
    pub(super) source: Source,
    /// When it ended, or ends unless it is sent again. A wall clock that jumps ends nothing and
    /// brings nothing back.
    pub(super) ends: Uptime,
    /// Its end has been noticed: only a new firing takes that back.
    pub(super) ended: bool,
    /// Grows with every change: tells whether it changed during a flush.
    pub(super) version: u64,
    /// Groups that it is in; none once its end has been told.
    pub(super) groups: usize,
    /// What keeps it quiet, as the history was last told.
    pub(super) quiet: Option<Quiet>,
    /// When it began to fire or ended, the latest last; at most `TURNS_MAX`.
    pub(super) turns: VecDeque<Uptime>,
    /// The end that its row has.
    pub(super) stored_end: Timestamp,
    /// Where it stands in `Alerts`, which alone changes this.
    pub(super) due: Due,
}

/// In which order the alert stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Due {
    #[default]
    Nowhere,
    Ends(Uptime),
    Gone(Uptime),
}

/// What keeps an alert quiet, whatever its route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Quiet {
    pub(super) by: QuietBy,
    /// The silence, or the alert that inhibits.
    pub(super) id: String,
}

/// What may keep an alert quiet, whatever its route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QuietBy {
    /// Somebody does not want to hear of it.
    Silence,
    /// Another alert says enough.
    Inhibition,
}

impl QuietBy {
    /// The word in records and in the history.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Inhibition => "inhibition",
        }
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        [Self::Silence, Self::Inhibition].into_iter().find(|one| one.as_str() == text)
    }
}

impl Held {
    /// An alert that came in; it ends as it says.
    pub(super) fn new(alert: Alert, source: Source, now: Moment) -> Self {
        Self {
            ends: Uptime::of_wall(alert.ends_at, now),
            ended: alert.ends_at <= now.wall,
            stored_end: Timestamp::MIN,
            alert,
            source,
            version: 0,
            groups: 0,
            quiet: None,
            turns: VecDeque::new(),
            due: Due::Nowhere,
        }
    }

    /// Firing until its end, resolved from then on.
    pub(super) fn status(&self, now: Moment) -> AlertStatus {
        match self.ended || self.ends <= Uptime::of(now) {
            true => AlertStatus::Resolved,
            false => AlertStatus::Firing,
        }
    }

    /// It began to fire, or ended.
    pub(super) fn turn(&mut self, now: Moment) {
        if self.turns.len() >= TURNS_MAX {
            self.turns.pop_front();
        }
        self.turns.push_back(Uptime::of(now));
    }

    fn place(&self) -> Due {
        if !self.ended {
            return Due::Ends(self.ends);
        }
        let span = if self.groups == 0 { RESOLVED_KEPT } else { RESOLVED_TRIED };
        let gone = self.ends.plus(span);
        // Wherever the wall clock stood at the start: an end that is said again is no new alert,
        // and what has not been told is tried. But one whose end is days old goes at once, or a
        // process that never lives for long would keep all.
        let is_recent = self.ends.plus(RESOLVED_TRIED) > Uptime::START;
        Due::Gone(match self.groups > 0 || is_recent {
            true => gone.max(Uptime::START.plus(RESOLVED_KEPT)),
            false => gone,
        })
    }
}

/// All alerts.
#[derive(Debug, Default)]
pub(super) struct Alerts {
    by_print: BTreeMap<Fingerprint, Held>,
    /// Those that fire, by when they end.
    ends: BTreeSet<(Uptime, Fingerprint)>,
    /// Those that have ended, by when they are forgotten or given up.
    gone: BTreeSet<(Uptime, Fingerprint)>,
    /// How many fire, by name.
    names: HashMap<String, usize>,
    versions_made: u64,
}

impl Alerts {
    pub(super) fn get(&self, print: &Fingerprint) -> Option<&Held> {
        self.by_print.get(print)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Fingerprint, &Held)> {
        self.by_print.iter()
    }

    pub(super) fn prints(&self) -> Vec<Fingerprint> {
        self.by_print.keys().copied().collect()
    }

    pub(super) fn is_firing(&self, print: Fingerprint, now: Moment) -> bool {
        self.get(&print).is_some_and(|held| held.status(now) == AlertStatus::Firing)
    }

    /// How many alerts of this name fire.
    pub(super) fn firing_of(&self, name: &str) -> usize {
        self.names.get(name).copied().unwrap_or(0)
    }

    /// Puts an alert in, in place of the one of that identity.
    pub(super) fn put(&mut self, print: Fingerprint, mut held: Held) {
        self.take_out(print);
        held.version = self.next_version();
        self.by_print.insert(print, held);
        self.put_in(print);
    }

    /// Changes an alert.
    pub(super) fn change<T>(
        &mut self,
        print: Fingerprint,
        change: impl FnOnce(&mut Held) -> T,
    ) -> Option<T> {
        self.take_out(print);
        let done = self.by_print.get_mut(&print).map(change);
        self.put_in(print);
        done
    }

    /// Those whose end has come since this was last asked, now ended.
    pub(super) fn notice_ends(&mut self, now: Moment) -> Vec<Fingerprint> {
        let mut noticed = Vec::new();
        while let Some((ends, print)) = self.ends.first().copied()
            && ends <= Uptime::of(now)
        {
            let version = self.next_version();
            self.change(print, |held| {
                held.ended = true;
                held.version = version;
            });
            noticed.push(print);
        }
        noticed
    }

    /// The next one that is to be forgotten or given up.
    pub(super) fn next_over(&self, now: Moment) -> Option<Fingerprint> {
        let (at, print) = self.gone.first().copied()?;
        (at <= Uptime::of(now)).then_some(print)
    }

    pub(super) fn remove(&mut self, print: Fingerprint) -> Option<Held> {
        self.take_out(print);
        self.by_print.remove(&print)
    }

    /// When the next one ends, is forgotten or given up.
    pub(super) fn next_due(&self) -> Option<Uptime> {
        let first = |set: &BTreeSet<(Uptime, Fingerprint)>| set.first().map(|(at, _)| *at);
        first(&self.ends).into_iter().chain(first(&self.gone)).min()
    }

    /// A number that was never used.
    pub(super) fn next_version(&mut self) -> u64 {
        self.versions_made += 1;
        self.versions_made
    }

    /// The wall clock jumped: promised ends are as far away as before.
    pub(super) fn shift(&mut self, millis: i64) {
        for held in self.by_print.values_mut().filter(|held| !held.ended) {
            held.alert.ends_at = held.alert.ends_at.plus_millis(millis);
            held.alert.updated_at = held.alert.updated_at.plus_millis(millis);
            held.stored_end = held.stored_end.plus_millis(millis);
        }
    }

    fn take_out(&mut self, print: Fingerprint) {
        let Some(held) = self.by_print.get(&print) else { return };
        match held.due {
            Due::Nowhere => {}
            Due::Ends(at) => {
                self.ends.remove(&(at, print));
                let name = held.alert.name();
                if let Some(count) = self.names.get_mut(name) {
                    *count -= 1;
                    if *count == 0 {
                        self.names.remove(name);
                    }
                }
            }
            Due::Gone(at) => {
                self.gone.remove(&(at, print));
            }
        }
    }

    fn put_in(&mut self, print: Fingerprint) {
        let Some(held) = self.by_print.get_mut(&print) else { return };
        held.due = held.place();
        match held.due {
            Due::Nowhere => {}
            Due::Ends(at) => {
                self.ends.insert((at, print));
                match self.names.get_mut(held.alert.name()) {
                    Some(count) => *count += 1,
                    None => {
                        self.names.insert(held.alert.name().to_owned(), 1);
                    }
                }
            }
            Due::Gone(at) => {
                self.gone.insert((at, print));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::testing::labels;
    use crate::model::Annotations;

    fn now(wall: i64, elapsed: u64) -> Moment {
        Moment { wall: Timestamp::from_millis(wall * 1_000), elapsed: Duration::from_secs(elapsed) }
    }

    fn alert(name: &str, ends: i64) -> Alert {
        Alert {
            labels: labels(&[("alertname", name)]),
            annotations: Annotations::empty(),
            starts_at: Timestamp::EPOCH,
            ends_at: Timestamp::from_millis(ends * 1_000),
            generator_url: String::new(),
            updated_at: Timestamp::EPOCH,
            ends_by_timeout: false,
        }
    }

    #[test]
    fn ends_are_noticed_in_their_order_on_the_clock_that_never_jumps() {
        let mut alerts = Alerts::default();
        for (name, ends) in [("B", 1_060), ("A", 1_030)] {
            let held = Held::new(alert(name, ends), Source::Outside, now(1_000, 10));
            alerts.put(held.alert.fingerprint(), held);
        }
        assert_eq!((alerts.firing_of("A"), alerts.firing_of("B")), (1, 1));
        // The wall clock has jumped far ahead.
        assert_eq!(alerts.notice_ends(now(9_000, 39)), []);
        let print = |name| alert(name, 0).fingerprint();
        assert_eq!(alerts.notice_ends(now(9_001, 40)), [print("A")]);
        assert_eq!((alerts.firing_of("A"), alerts.firing_of("B")), (0, 1));
        assert!(!alerts.is_firing(print("A"), now(0, 41)), "nor back by a clock set back");
        assert_eq!(alerts.notice_ends(now(0, 70)), [print("B")]);
        assert_eq!(alerts.next_over(now(0, 939)), None);
        assert_eq!(alerts.next_over(now(0, 940)), Some(print("A")));
        alerts.change(print("A"), |held| held.groups = 1);
        assert_eq!(alerts.next_over(now(0, 940)), None, "its end has not been told");
        assert_eq!(alerts.next_over(now(0, 970)), Some(print("B")));
        alerts.remove(print("B"));
        assert_eq!(alerts.next_over(now(0, 40 + 24 * 3600)), Some(print("A")));
    }

    #[test]
    fn what_ended_before_the_start_is_known_for_a_while_unless_that_was_days_ago() {
        let day = 24 * 3600;
        // Wall time of its end; groups that have not told it; when it is forgotten.
        for (ended, groups, gone) in
            [(-60, 0, 900), (-60, 1, day - 60), (-day, 0, 0), (-9 * day, 1, 900)]
        {
            let mut alerts = Alerts::default();
            let held = Held {
                ended: true,
                groups,
                ..Held::new(alert("A", ended), Source::Outside, now(0, 0))
            };
            let print = held.alert.fingerprint();
            alerts.put(print, held);
            let at = |seconds: i64| now(0, u64::try_from(seconds).expect("not before the start"));
            assert_eq!(alerts.next_over(at(gone)), Some(print), "{ended} {groups}");
            if gone > 0 {
                assert_eq!(alerts.next_over(at(gone - 1)), None, "{ended} {groups}");
            }
        }
    }

    #[test]
    fn a_point_before_the_start_keeps_its_distance() {
        let at = Uptime::of_wall(Timestamp::from_millis(400_000), now(1_000, 10));
        assert_eq!(at.to_wall(now(1_005, 15)), Timestamp::from_millis(400_000));
        assert_eq!(Uptime::of(now(0, 10)).since(at), Duration::from_secs(600));
        assert_eq!(at.elapsed(), Duration::ZERO);
    }
}
