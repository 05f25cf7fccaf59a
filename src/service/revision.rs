//! One number that grows when something a screen shows has changed, and those who wait for it.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The number and its waiters.
#[derive(Debug, Default)]
pub(super) struct Revision {
    number: Mutex<u64>,
    changed: Condvar,
}

impl Revision {
    /// Something has changed.
    pub(super) fn bump(&self) {
        *self.number.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }

    /// Waits until the number is past `after`, or `patience` is over; says which it is now.
    pub(super) fn wait_after(&self, after: u64, patience: Duration) -> u64 {
        let number = self.number.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(number, patience, |number| *number <= after);
        let (number, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
