//! Lanes: heavy requests never take the last thread, so that cheap ones always find one. What a
//! query costs is seen by `Core`, which lets few heavy ones run and refuses more; here is room for
//! those that wait there, and for some to be looked at.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a request costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Health, targets, rules: a look at what is in memory.
    Cheap,
    /// A query. It is asked to hurry first, on a thread that must not wait: its handler asks the
    /// core for nothing that does not heed that.
    Query {
        /// Probably small: takes a spare cheap place when there is no other.
        small: bool,
    },
    /// May run for long: series, reports.
    Heavy,
    /// Waits for a change and does nothing meanwhile.
    Wait,
    /// Waits for another server.
    Probe,
}

/// Threads that queries may hold beside as many as `Core` admits: these are on their way in.
const QUERY_SPARE: usize = 12;
/// Threads that other heavy requests may hold.
const HEAVY_MAX: usize = 20;
/// Threads kept for cheap requests.
const CHEAP_MAX: usize = 12;
/// Of these, the ones that small queries leave alone.
const CHEAP_KEPT: usize = 4;
/// Screens that wait for changes.
const WAIT_MAX: usize = 64;
/// Probes that are waited for: as many as are made at a time.
const PROBE_MAX: usize = 64;
/// Heavy requests that wait for a thread; more are refused at once.
const HEAVY_QUEUE_MAX: usize = 200;
/// The longest wait for a thread.
const QUEUE_DEADLINE: Duration = Duration::from_secs(10);

/// The places of all lanes. A place is free again when its permit is dropped.
#[derive(Debug)]
pub(super) struct Lanes {
    cheap: Arc<Semaphore>,
    query: Arc<Semaphore>,
    heavy: Arc<Semaphore>,
    wait: Arc<Semaphore>,
    probe: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

impl Lanes {
    /// Lanes before a core that admits so many queries.
    pub(super) fn new(queries: usize) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self {
            cheap: places(CHEAP_MAX),
            query: places(queries.saturating_add(QUERY_SPARE).min(Semaphore::MAX_PERMITS)),
            heavy: places(HEAVY_MAX),
            wait: places(WAIT_MAX),
            probe: places(PROBE_MAX),
            queue: places(HEAVY_QUEUE_MAX),
        }
    }

    /// A place in the lane; `None` when it stays full.
    pub(super) async fn enter(&self, lane: Lane) -> Option<OwnedSemaphorePermit> {
        match lane {
            Lane::Cheap => queued(&self.cheap).await,
            Lane::Wait => Arc::clone(&self.wait).try_acquire_owned().ok(),
            Lane::Probe => self.wait_for(&self.probe).await,
            Lane::Heavy => self.wait_for(&self.heavy).await,
            Lane::Query { small } => {
                let spare = small && self.cheap.available_permits() > CHEAP_KEPT;
                let query = Arc::clone(&self.query).try_acquire_owned().ok();
                let cheap = || Arc::clone(&self.cheap).try_acquire_owned().ok();
                match query.or_else(|| if spare { cheap() } else { None }) {
                    Some(permit) => Some(permit),
                    None => self.wait_for(&self.query).await,
                }
            }
        }
    }

    async fn wait_for(&self, lane: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        let _place_in_queue = self.queue.try_acquire().ok()?;
        queued(lane).await
    }
}

async fn queued(lane: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    let entered = tokio::time::timeout(QUEUE_DEADLINE, Arc::clone(lane).acquire_owned()).await;
    entered.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn heavy_requests_leave_room_for_small_and_cheap_ones() {
        let lanes = Lanes::new(5);
        let mut held = Vec::new();
        for _ in 0..HEAVY_MAX {
            held.push(lanes.enter(Lane::Heavy).await.expect("a heavy place"));
        }
        for _ in 0..5 + QUERY_SPARE {
            held.push(lanes.enter(Lane::Query { small: false }).await.expect("a query's place"));
        }
        for _ in 0..CHEAP_MAX - CHEAP_KEPT {
            let small = Lane::Query { small: true };
            held.push(lanes.enter(small).await.expect("a spare cheap place"));
        }
        for _ in 0..CHEAP_KEPT {
            held.push(lanes.enter(Lane::Cheap).await.expect("a kept place"));
        }
        assert!(lanes.enter(Lane::Wait).await.is_some());
    }
}
