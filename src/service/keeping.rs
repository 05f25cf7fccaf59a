//! What has to be looked after every few seconds: the store, the history, and memory.

use super::pressure::Pressure;
use super::queries::Queries;
use super::revision::Revision;
use super::start::World;
use crate::model::Timestamp;
use crate::storage::Storage;
use crate::storage::state::{HISTORY_ROWS_MAX, HistoryKept, StateDb};
use crate::sys::metrics::Cell;
use crate::sys::{memory, process};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How often the disk is looked at while it is a reason to take nothing.
const RECOVERY_EVERY: Duration = Duration::from_millis(250);
/// How often a cut that is due is looked for: an import brings hours of samples in seconds, and
/// until they are cut the head is larger than it must be.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often all due work is done.
const KEEPING_EVERY: Duration = Duration::from_secs(5);

/// How often old history is looked for, which is kept for months.
const PRUNING_EVERY: Duration = Duration::from_secs(600);
/// A wall clock that was set ahead is believed after this time: nobody has set it back.
const BELIEVED_AFTER: Duration = Duration::from_secs(86_400);

/// What there is to do after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    /// Whether it takes samples again.
    Disk,
    All,
}

/// When what is due.
#[derive(Debug, Default)]
struct Rhythm {
    /// Since all was done.
    waited: Duration,
    /// Whether it failed then: it is not tried again for each cut that is due.
    failed: bool,
}

impl Rhythm {
    /// How long to wait when samples are refused, or are not.
    const fn pause(is_refusing: bool) -> Duration {
        if is_refusing { RECOVERY_EVERY } else { LOOK_EVERY }
    }

    /// What is due after that pause.
    fn due(&mut self, is_refusing: bool, cut_is_due: impl FnOnce() -> bool) -> Due {
        self.waited += Self::pause(is_refusing);
        if self.waited >= KEEPING_EVERY || (!is_refusing && !self.failed && cut_is_due()) {
            return Due::All;
        }
        if is_refusing { Due::Disk } else { Due::Nothing }
    }

    fn done(&mut self, is_well: bool) {
        *self = Self { waited: Duration::ZERO, failed: !is_well };
    }
}

/// What is looked after.
#[derive(Debug)]
pub(super) struct Keeping {
    world: World,
    revision: Arc<Revision>,
    storage: Arc<Storage>,
    state: Arc<StateDb>,
    queries: Arc<Queries>,
    /// Bytes that this process may use; without it memory is not watched.
    allowance: Option<u64>,
    pressure: Cell,
    /// Why nothing is taken in, as it was told last.
    refusing: Option<String>,
    pruning: Pruning,
    /// How old history may be.
    history_retention: Duration,
}

/// When old history is looked for, and by which time. Of what is removed there is no copy, and a
/// wall clock that was set ahead makes everything old: for a day no time counts that has not
/// passed.
#[derive(Debug, Default)]
struct Pruning {
    /// When the clock was looked at, in elapsed time, and by how many milliseconds it was ahead of
    /// that: over the last day, the oldest first.
    ahead: VecDeque<(Duration, i64)>,
    /// By which time more is to be removed.
    unfinished: Option<Timestamp>,
}

impl Pruning {
    /// The time by which to look, when that is due. The first one is after a while: at a start the
    /// clock may not be right yet.
    fn due(&mut self, wall: Timestamp, elapsed: Duration) -> Option<Timestamp> {
        let last = self.ahead.back().map(|(at, _)| *at);
        if last.is_some_and(|last| elapsed.saturating_sub(last) < PRUNING_EVERY) {
            return self.unfinished.take();
        }
        let passed = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        self.ahead.push_back((elapsed, wall.as_millis().saturating_sub(passed)));
        // One look before the day stays: until the next one the clock may have been so.
        let is_over = |at: Duration| elapsed.saturating_sub(at) >= BELIEVED_AFTER;
        while self.ahead.get(1).is_some_and(|(at, _)| is_over(*at)) {
            self.ahead.pop_front();
        }
        let least = self.ahead.iter().map(|(_, ahead)| *ahead).min();
        last.and(least).map(|ahead| Timestamp::from_millis(ahead).plus(elapsed))
    }

    /// More is to be removed by this time, as soon as the database was free for others.
    fn goes_on(&mut self, now: Timestamp) {
        self.unfinished = Some(now);
    }
}

impl Keeping {
    /// The keeper of these.
    pub(super) fn new(
        world: World,
        revision: Arc<Revision>,
        storage: Arc<Storage>,
        state: Arc<StateDb>,
        queries: Arc<Queries>,
        history_retention: Duration,
    ) -> Self {
        let allowance = memory::limit_bytes();
        let help = "Bytes that this process may use.";
        let shown = world.registry.gauge("watchbell_memory_allowance_bytes", help, &[]);
        shown.set(allowance.unwrap_or(0) as f64);
        let help = "What is refused to save memory: 0 nothing, 1 new series, 2 queries too.";
        let pressure = world.registry.gauge("watchbell_memory_pressure", help, &[]);
        Self {
            world,
            revision,
            storage,
            state,
            queries,
            allowance,
            pressure,
            refusing: None,
            pruning: Pruning::default(),
            history_retention,
        }
    }

    /// Looks after them until the server stops.
    pub(super) fn run(mut self) {
        let mut rhythm = Rhythm::default();
        loop {
            let pause = Rhythm::pause(self.refusing.is_some());
            if self.world.shutdown.wait_for(pause) {
                return;
            }
            match rhythm.due(self.refusing.is_some(), || self.storage.cut_is_due()) {
                Due::Nothing => {}
                Due::Disk => {
                    let looked = self.storage.look_at_disk();
                    self.tell(looked);
                }
                Due::All => {
                    self.look_at_memory(process::resident_bytes());
                    let kept = self.storage.maintain();
                    rhythm.done(kept.is_ok());
                    self.tell(kept);
                    self.prune_history();
                    self.storage.check_state(&self.state);
                }
            }
        }
    }

    fn prune_history(&mut self) {
        let clock = &self.world.clock;
        let Some(now) = self.pruning.due(clock.now(), clock.elapsed()) else { return };
        let kept = HistoryKept { age: self.history_retention, rows: HISTORY_ROWS_MAX };
        match self.state.prune_history(now, kept) {
            Ok(pruned) if !pruned.is_done => self.pruning.goes_on(now),
            Ok(_) => {}
            Err(err) => tracing::warn!(%err, "old history stays"),
        }
    }

    /// Refuses what costs memory when `resident` bytes are much of the allowance.
    fn look_at_memory(&self, resident: u64) {
        let Some(allowance) = self.allowance else { return };
        let before = self.queries.pressure();
        let now = before.next(resident, allowance);
        if now == before {
            return;
        }
        self.storage.set_memory_short(now >= Pressure::NoNewSeries);
        self.queries.set_pressure(now);
        self.pressure.set(now.number());
        if now > before {
            tracing::error!(resident, allowance, "{now}");
        } else {
            tracing::info!(resident, allowance, "{now}");
        }
        self.revision.bump();
    }

    /// Whether samples are taken is told when it changes, not at every sample.
    fn tell(&mut self, kept: crate::storage::Result<()>) {
        if let Err(err) = kept {
            tracing::error!(%err, "the store's upkeep failed; it is tried again");
            self.revision.bump();
        }
        let refusing = self.storage.status().refusing;
        if refusing == self.refusing {
            return;
        }
        match &refusing {
            Some(reason) => tracing::error!(reason, "no samples are taken in; queries go on"),
            None => tracing::info!("samples are taken in again"),
        }
        self.revision.bump();
        self.refusing = refusing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_that_is_due_is_made_within_a_second_but_not_again_and_again_where_it_fails() {
        let mut rhythm = Rhythm::default();
        let quiet: Vec<Due> = (0..5).map(|_| rhythm.due(false, || false)).collect();
        assert_eq!(quiet, [Due::Nothing, Due::Nothing, Due::Nothing, Due::Nothing, Due::All]);
        rhythm.done(true);
        assert_eq!(rhythm.due(false, || true), Due::All);
        rhythm.done(false);
        let failed = (0..5).map(|_| rhythm.due(false, || true)).filter(|due| *due == Due::All);
        assert_eq!(failed.count(), 1);
        rhythm.done(true);
        assert_eq!(rhythm.due(false, || true), Due::All);
    }

    #[test]
    fn history_ages_with_the_time_that_has_passed_whatever_the_clock_is_set_to() {
        let day = Duration::from_secs(86_400);
        let seconds = |count: u64| Duration::from_secs(count);
        let wall = |count: u64| Timestamp::EPOCH.plus(seconds(count));
        let mut pruning = Pruning::default();
        assert_eq!(pruning.due(wall(1_000), seconds(0)), None);
        assert_eq!(pruning.due(wall(1_599), seconds(599)), None);
        assert_eq!(pruning.due(wall(1_600), seconds(600)), Some(wall(1_600)));
        // Set ahead by 90 days, and back again.
        let ahead = |count| wall(count).plus(day * 90);
        assert_eq!(pruning.due(ahead(2_200), seconds(1_200)), Some(wall(2_200)));
        assert_eq!(pruning.due(ahead(2_800), seconds(1_800)), Some(wall(2_800)));
        assert_eq!(pruning.due(wall(3_400), seconds(2_400)), Some(wall(3_400)));
        assert_eq!(pruning.due(wall(100), seconds(3_000)), Some(wall(100)));
        // What is behind for one look is so for a day, and then no longer.
        assert_eq!(pruning.due(wall(10_000), seconds(3_600)), Some(wall(700)));
        let a_day = |count| day + seconds(count);
        assert_eq!(pruning.due(wall(92_800), a_day(0)), Some(wall(83_500)));
        assert_eq!(pruning.due(wall(96_400), a_day(3_600)), Some(wall(96_400)));
        // Neither is that a day in which a clock may be set ahead.
        assert_eq!(pruning.due(ahead(97_000), a_day(4_200)), Some(wall(97_000)));
        assert_eq!(pruning.due(ahead(183_399), a_day(90_599)), Some(wall(183_399)));
        assert_eq!(pruning.due(ahead(184_000), a_day(91_200)), Some(ahead(184_000)));
    }

    #[test]
    fn a_clock_that_was_wrong_at_the_start_is_believed_a_day_after_it_was_set() {
        let mut pruning = Pruning::default();
        let look = |count: u64| Duration::from_secs(count * 600);
        let wall = |count: u64| Timestamp::from_millis(1_700_000_000_000).plus(look(count));
        assert_eq!(pruning.due(Timestamp::EPOCH, look(0)), None);
        let times: Vec<_> =
            (1..=145).filter_map(|count| pruning.due(wall(count), look(count))).collect();
        assert_eq!(times.first(), Some(&Timestamp::EPOCH.plus(look(1))));
        assert_eq!(times.get(143), Some(&Timestamp::EPOCH.plus(look(144))));
        assert_eq!(times.last(), Some(&wall(145)));
    }

    #[test]
    fn what_was_not_removed_at_once_is_removed_at_the_next_round() {
        let mut pruning = Pruning::default();
        let wall = |count: u64| Timestamp::EPOCH.plus(Duration::from_secs(count));
        assert_eq!(pruning.due(wall(0), Duration::ZERO), None);
        assert_eq!(pruning.due(wall(600), Duration::from_secs(600)), Some(wall(600)));
        assert_eq!(pruning.due(wall(605), Duration::from_secs(605)), None);
        pruning.goes_on(wall(600));
        assert_eq!(pruning.due(wall(610), Duration::from_secs(610)), Some(wall(600)));
        assert_eq!(pruning.due(wall(615), Duration::from_secs(615)), None);
    }

    #[test]
    fn while_samples_are_refused_the_disk_is_looked_at_four_times_a_second() {
        let mut rhythm = Rhythm::default();
        let each: Vec<Due> = (0..20).map(|_| rhythm.due(true, || true)).collect();
        assert_eq!(Rhythm::pause(true) * 20, KEEPING_EVERY);
        assert!(each.iter().take(19).all(|due| *due == Due::Disk), "{each:?}");
        assert_eq!(each.last(), Some(&Due::All));
    }
}
