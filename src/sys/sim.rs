//! Simulated twins of the outside world, for tests that repeat.

use super::clock::{Clock, Sleep};
use super::entropy::Entropy;
use crate::model::Timestamp;
use crate::sys::locks::lock;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

/// A clock that stands still until it is told to go on; sleepers wake when it passes them.
#[derive(Clone, Debug)]
pub struct VirtualClock {
    state: Arc<Mutex<VirtualTime>>,
}

#[derive(Debug)]
struct VirtualTime {
    now: Timestamp,
    elapsed: Duration,
    sleepers: Vec<(Duration, Waker)>,
}

impl VirtualClock {
    /// A clock that reads `now`.
    pub fn at(now: Timestamp) -> Self {
        let time = VirtualTime { now, elapsed: Duration::ZERO, sleepers: Vec::new() };
        Self { state: Arc::new(Mutex::new(time)) }
    }

    /// Lets `span` pass and wakes those whose deadline is reached.
    pub fn advance(&self, span: Duration) {
        let woken: Vec<_> = {
            let mut time = self.lock();
            time.now = time.now.plus(span);
            time.elapsed += span;
            let elapsed = time.elapsed;
            time.sleepers.extract_if(.., |(deadline, _)| *deadline <= elapsed).collect()
        };
        for (_, waker) in woken {
            waker.wake();
        }
    }

    /// Sets the time of day without letting time pass, as an administrator would.
    pub fn set_wall(&self, now: Timestamp) {
        self.lock().now = now;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VirtualTime> {
        lock(&self.state)
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    fn elapsed(&self) -> Duration {
        self.lock().elapsed
    }

    fn sleep_until(&self, deadline: Duration) -> Sleep {
        let clock = self.clone();
        Box::pin(std::future::poll_fn(move |context| {
            let mut time = clock.lock();
            if time.elapsed >= deadline {
                return Poll::Ready(());
            }
            time.sleepers.push((deadline, context.waker().clone()));
            Poll::Pending
        }))
    }
}

/// Random numbers that repeat with their seed (splitmix64).
#[derive(Debug)]
pub struct SeededEntropy(Mutex<u64>);

impl SeededEntropy {
    /// The sequence of this seed.
    pub const fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = lock(&self.0);
        for chunk in bytes.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = *state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            for (byte, random) in chunk.iter_mut().zip(z.to_le_bytes()) {
                *byte = random;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn sleepers_wake_when_their_time_has_come_and_not_before() {
        let clock = VirtualClock::at(Timestamp::EPOCH);
        let mut sleep = clock.sleep(Duration::from_secs(2));
        assert!((&mut sleep).now_or_never().is_none());
        clock.advance(Duration::from_secs(1));
        assert!((&mut sleep).now_or_never().is_none());
        clock.advance(Duration::from_secs(1));
        assert!(sleep.now_or_never().is_some());
        assert_eq!(clock.now(), Timestamp::from_millis(2000));
    }

    #[test]
    fn a_seed_repeats_its_sequence() {
        let (a, b) = (SeededEntropy::new(7), SeededEntropy::new(7));
        assert_eq!(a.next_16(), b.next_16());
        assert_ne!(a.next_u64(), SeededEntropy::new(8).next_u64());
    }
}
