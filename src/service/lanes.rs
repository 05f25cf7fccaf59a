//! Two lanes for evaluations of rule groups: a slow group takes its turn among slow ones, and
//! never holds up one that is quick.

use crate::sys::clock::SharedClock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;

/// A group whose evaluation took longer is a slow one, the next time as well.
const SLOW: Duration = Duration::from_secs(2);
/// Slow groups that are evaluated at a time. They wait for the disk or compute for long: more of
/// them would take the processor from everybody.
const SLOW_WIDTH: usize = 4;
/// Groups that may have turned out to be slow in the quick lane and have left it. One more stays
/// there: each takes a thread.
const SHOULDER_WIDTH: usize = 64;

/// The lanes.
#[derive(Debug)]
pub(super) struct Lanes {
    quick: Arc<Semaphore>,
    slow: Arc<Semaphore>,
    shoulder: Arc<Semaphore>,
}

/// A place in one of the lanes.
#[derive(Debug)]
pub(super) struct Place {
    permit: OwnedSemaphorePermit,
    is_slow: bool,
}

impl Lanes {
    /// A quick lane for so many groups at a time, and a slow one.
    pub(super) fn new(width: usize) -> Self {
        let lane = |width| Arc::new(Semaphore::new(width));
        Self { quick: lane(width), slow: lane(SLOW_WIDTH), shoulder: lane(SHOULDER_WIDTH) }
    }

    /// Waits for a place for a group whose last evaluation took so long.
    pub(super) async fn enter(&self, took: Duration) -> Place {
        let is_slow = took > SLOW;
        let lane = if is_slow { &self.slow } else { &self.quick };
        let permit = lane.clone().acquire_owned().await.expect("lanes are never closed");
        Place { permit, is_slow }
    }

    /// Does blocking `work` from this place. Once it takes long it leaves the quick lane, and goes
    /// on beside it.
    ///
    /// # Errors
    /// It panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        place: Place,
        clock: &SharedClock,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let mut place = place;
        let mut working = tokio::task::spawn_blocking(work);
        if !place.is_slow {
            tokio::select! {
                biased;
                done = &mut working => return done,
                () = clock.sleep(SLOW) => {}
            }
            if let Ok(permit) = self.shoulder.clone().try_acquire_owned() {
                place.permit = permit;
            }
        }
        let done = working.await;
        drop(place);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::sys::sim::VirtualClock;
    use std::sync::mpsc;

    const QUICK: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_secs(3);

    /// Work that goes on until the sender is dropped.
    fn endless() -> (mpsc::Sender<()>, impl FnOnce() + Send + 'static) {
        let (release, released) = mpsc::channel::<()>();
        (release, move || {
            let _ended = released.recv();
        })
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(test);
    }

    /// Lets time pass, and others do what they have to do.
    async fn pass(clock: &VirtualClock, span: Duration) {
        tokio::task::yield_now().await;
        clock.advance(span);
        tokio::task::yield_now().await;
    }

    #[test]
    fn work_that_turns_out_to_be_slow_makes_way() {
        use futures_util::FutureExt as _;
        run(async {
            let clock = VirtualClock::at(Timestamp::EPOCH);
            let shared: SharedClock = Arc::new(clock.clone());
            let lanes = Arc::new(Lanes::new(1));
            let (release, work) = endless();
            let place = lanes.enter(QUICK).await;
            let mut running = Box::pin(lanes.run(place, &shared, work));
            assert!((&mut running).now_or_never().is_none());
            assert!(lanes.enter(QUICK).now_or_never().is_none(), "the lane is one wide");
            pass(&clock, SLOW).await;
            assert!((&mut running).now_or_never().is_none());
            let place = lanes.enter(QUICK).now_or_never().expect("it has made way");
            assert_eq!(lanes.run(place, &shared, || 7).await.expect("ends"), 7);
            drop(release);
            running.await.expect("ends");
            assert_eq!(lanes.shoulder.available_permits(), SHOULDER_WIDTH);
            assert_eq!(shared.elapsed(), SLOW);
        });
    }

    #[test]
    fn slow_groups_wait_for_slow_groups_alone() {
        use futures_util::FutureExt as _;
        run(async {
            let lanes = Lanes::new(1);
            let mut slow = Vec::new();
            for _ in 0..SLOW_WIDTH {
                slow.push(lanes.enter(LONG).now_or_never().expect("there is room"));
            }
            assert!(lanes.enter(LONG).now_or_never().is_none());
            lanes.enter(QUICK).now_or_never().expect("quick ones pass by");
            slow.pop();
            lanes.enter(LONG).now_or_never().expect("there is room again");
        });
    }

    #[test]
    fn a_full_shoulder_keeps_work_in_its_lane() {
        use futures_util::FutureExt as _;
        run(async {
            let clock = VirtualClock::at(Timestamp::EPOCH);
            let shared: SharedClock = Arc::new(clock.clone());
            let lanes = Lanes::new(1);
            let all = u32::try_from(SHOULDER_WIDTH).expect("small");
            let full = lanes.shoulder.clone().try_acquire_many_owned(all).expect("is free");
            let (release, work) = endless();
            let place = lanes.enter(QUICK).await;
            let mut running = Box::pin(lanes.run(place, &shared, work));
            assert!((&mut running).now_or_never().is_none());
            pass(&clock, SLOW).await;
            assert!((&mut running).now_or_never().is_none());
            assert!(lanes.enter(QUICK).now_or_never().is_none());
            drop(release);
            running.await.expect("ends");
            drop(full);
            lanes.enter(QUICK).now_or_never().expect("it has left");
        });
    }
}
