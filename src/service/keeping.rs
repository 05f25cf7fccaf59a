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
/// wall clock that was set ahead makes everything old: no time counts that has not passed.
#[derive(Debug, Default)]
struct Pruning {
    /// The last time that counted, and when that was.
    last: Option<(Timestamp, Duration)>,
}

impl Pruning {
    /// The time by which to look, when that is due. The first one is after a while: at a start the
    /// clock may not be right yet.
    fn due(&mut self, wall: Timestamp, elapsed: Duration) -> Option<Timestamp> {
        let Some((last, at)) = self.last else {
            self.last = Some((wall, elapsed));
            return None;
        };
        let passed = elapsed.saturating_sub(at);
        if passed < PRUNING_EVERY {
            return None;
        }
        let now = wall.min(last.plus(passed));
        self.last = Some((now, elapsed));
        Some(now)
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
        if let Err(err) = self.state.prune_history(now, kept) {
            tracing::warn!(%err, "old history stays");
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
