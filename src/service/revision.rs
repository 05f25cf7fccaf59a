//! One number that grows when something a screen shows has changed, and those who wait for it.

use crate::sys::locks::lock;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What only moves ages and values wakes the screens this often at most: scrapes do so anyway.
const QUIET: Duration = Duration::from_secs(5);

/// The number and its waiters.
#[derive(Debug, Default)]
pub(super) struct Revision {
    number: Mutex<Number>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Number {
    value: u64,
    /// When it last grew, on the monotonic clock, as far as callers told.
    grown_at: Duration,
}

impl Revision {
    /// Something has changed.
    pub(super) fn bump(&self) {
        lock(&self.number).value += 1;
        self.changed.notify_all();
    }

    /// Something small has changed: told at `now` unless something was told shortly before.
    pub(super) fn nudge(&self, now: Duration) {
        {
            let mut number = lock(&self.number);
            if now < number.grown_at + QUIET {
                return;
            }
            number.grown_at = now;
            number.value += 1;
        }
        self.changed.notify_all();
    }

    /// Waits until the number is past `after`, or `patience` is over; says which it is now.
    pub(super) fn wait_after(&self, after: u64, patience: Duration) -> u64 {
        let number = lock(&self.number);
        let waited =
            self.changed.wait_timeout_while(number, patience, |number| number.value <= after);
        let (number, _) = waited.unwrap_or_else(PoisonError::into_inner);
        number.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_changes_are_told_together() {
        let revision = Revision::default();
        for (second, expected) in [(10, 1), (11, 1), (14, 1), (15, 2), (16, 2)] {
            revision.nudge(Duration::from_secs(second));
            assert_eq!(revision.wait_after(9, Duration::ZERO), expected, "{second}");
        }
    }

    #[test]
    fn a_waiter_sees_the_change_it_waited_for() {
        let revision = std::sync::Arc::new(Revision::default());
        assert_eq!(revision.wait_after(0, Duration::ZERO), 0);
        let waiting = revision.clone();
        let waiter = crate::sys::tasks::spawn_thread("waiter", move || {
            waiting.wait_after(0, Duration::from_secs(60))
        });
        revision.bump();
        let seen = waiter.expect("a thread").join().expect("ends");
        assert_eq!(seen, Some(1));
    }
}
