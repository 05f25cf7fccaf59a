//! How many queries run at a time: a permit for each, and an answer when none comes in time.

use crate::sys::locks::lock;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Permits for queries.
#[derive(Debug)]
pub(super) struct Gate {
    free: Mutex<usize>,
    returned: Condvar,
}

impl Gate {
    /// A gate through which `count` may pass at a time.
    pub(super) const fn new(count: usize) -> Self {
        Self { free: Mutex::new(count), returned: Condvar::new() }
    }

    /// A permit, within `patience`; it is given back when dropped.
    pub(super) fn enter(&self, patience: Duration) -> Option<Permit<'_>> {
        let free = lock(&self.free);
        let waited = self.returned.wait_timeout_while(free, patience, |free| *free == 0);
        let (mut free, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *free = free.checked_sub(1)?;
        Some(Permit { gate: self })
    }
}

/// The right to run one query.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    gate: &'a Gate,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *lock(&self.gate.free) += 1;
        self.gate.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_pass_than_there_are_permits() {
        let gate = Gate::new(1);
        let first = gate.enter(Duration::ZERO).expect("free");
        assert!(gate.enter(Duration::ZERO).is_none());
        drop(first);
        assert!(gate.enter(Duration::ZERO).is_some());
    }
}
