//! The cores that queries share: a large one works on two while no other wants the second.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Cores that no query uses.
#[derive(Debug)]
pub(super) struct Cores {
    free: AtomicUsize,
}

/// A core that a query uses until it is dropped.
#[derive(Debug)]
pub(super) struct Core<'a>(&'a Cores);

impl Cores {
    pub(super) const fn new(count: usize) -> Self {
        Self { free: AtomicUsize::new(count) }
    }

    /// One that is free.
    pub(super) fn take(&self) -> Option<Core<'_>> {
        let less = |free: usize| free.checked_sub(1);
        let taken = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.ok().map(|_| Core(self))
    }
}

impl Drop for Core<'_> {
    fn drop(&mut self) {
        self.0.free.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_used_by_one_at_a_time() {
        let cores = Cores::new(2);
        let both = (cores.take().expect("free"), cores.take().expect("free"));
        assert!(cores.take().is_none());
        drop(both.0);
        let again = cores.take();
        assert!(again.is_some() && cores.take().is_none());
    }
}
