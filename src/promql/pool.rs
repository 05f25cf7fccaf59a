//! The memory that all running queries share.

use super::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Of the pool one part in so many is only for rules, so that no dashboard makes them fail.
const RULES_SHARE: usize = 8;

/// A query takes memory out of the pool in pieces of this size,
const PIECE_BYTES: usize = 64 << 10;
/// and gives back what it no longer needs once that is so much.
const IDLE_BYTES_MAX: usize = 1 << 20;

/// For whom a query runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum User {
    /// People and programs that ask.
    #[default]
    Client,
    /// Recording and alerting rules.
    Rules,
}

/// The memory that all running queries share. A query alone may use all of it, apart from the
/// part that is kept for rules.
#[derive(Debug)]
pub struct Pool {
    bytes_max: usize,
    used: AtomicUsize,
}

impl Pool {
    /// A pool of so many bytes.
    pub const fn new(bytes_max: usize) -> Self {
        Self { bytes_max, used: AtomicUsize::new(0) }
    }

    /// Bytes that all queries together hold now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes that queries of `user` may hold together.
    pub const fn bytes_max(&self, user: User) -> usize {
        match user {
            User::Client => self.bytes_max - self.bytes_max / RULES_SHARE,
            User::Rules => self.bytes_max,
        }
    }

    fn take(&self, bytes: usize, user: User) -> bool {
        let most = self.bytes_max(user);
        let take = |used: usize| used.checked_add(bytes).filter(|used| *used <= most);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What one query, or its answer, holds of the pool; given back when dropped.
#[derive(Debug)]
pub struct Lease {
    pool: Arc<Pool>,
    user: User,
    /// The query's own limit, if it is lower than the pool's.
    bytes_max: usize,
    taken: usize,
}

impl Lease {
    /// A lease of nothing yet, of at most `bytes_max`.
    pub fn new(pool: Arc<Pool>, user: User, bytes_max: usize) -> Self {
        let bytes_max = bytes_max.min(pool.bytes_max(user));
        Self { pool, user, bytes_max, taken: 0 }
    }

    /// Bytes that it may grow to if nobody else holds any.
    pub const fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Takes what is missing to `bytes`.
    ///
    /// # Errors
    /// That is more than a query may hold, or than others leave.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), Error> {
        if bytes <= self.taken {
            return Ok(());
        }
        if bytes > self.bytes_max {
            return Err(Error::TooManyBytes { limit: self.bytes_max });
        }
        let wanted = bytes.next_multiple_of(PIECE_BYTES).min(self.bytes_max);
        if !self.pool.take(wanted - self.taken, self.user) {
            return Err(Error::MemoryBusy { limit: self.pool.bytes_max(self.user) });
        }
        self.taken = wanted;
        Ok(())
    }

    /// Gives back what is more than `bytes`, if that is worth it.
    pub fn shrink_to(&mut self, bytes: usize) {
        if self.taken.saturating_sub(bytes) >= IDLE_BYTES_MAX {
            self.pool.give_back(self.taken - bytes);
            self.taken = bytes;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.give_back(self.taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: usize = 1 << 20;

    fn lease(pool: &Arc<Pool>, user: User) -> Lease {
        Lease::new(pool.clone(), user, usize::MAX)
    }

    #[test]
    fn one_query_may_have_all_but_the_part_of_the_rules() {
        let pool = Arc::new(Pool::new(256 * MIB));
        let mut alone = lease(&pool, User::Client);
        let most = 224 * MIB;
        assert!(alone.grow_to(most).is_ok());
        let err = alone.grow_to(most + 1).expect_err("more than there is");
        assert!(matches!(err, Error::TooManyBytes { limit } if limit == most));
        let err = lease(&pool, User::Client).grow_to(1).expect_err("nothing is left");
        assert!(matches!(err, Error::MemoryBusy { .. }), "{err}");
        let mut rule = lease(&pool, User::Rules);
        assert!(rule.grow_to(32 * MIB).is_ok());
        drop(alone);
        assert!(rule.grow_to(256 * MIB).is_ok());
        drop(rule);
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn the_limit_of_a_query_is_below_that_of_the_pool() {
        let pool = Arc::new(Pool::new(256 * MIB));
        let mut small = Lease::new(pool.clone(), User::Client, 100);
        assert!(small.grow_to(100).is_ok());
        assert!(matches!(small.grow_to(101), Err(Error::TooManyBytes { limit: 100 })));
        assert_eq!(pool.used(), 100);
    }

    proptest! {
        #[test]
        fn the_pool_knows_the_sum_of_what_is_held(
            steps in proptest::collection::vec((0_usize..4, 0_usize..16 * MIB), 1..60)
        ) {
            let pool = Arc::new(Pool::new(32 * MIB));
            let mut leases: Vec<Lease> = (0..4).map(|_| lease(&pool, User::Client)).collect();
            for (place, bytes) in steps {
                let one = &mut leases[place];
                let grown = one.grow_to(bytes).is_ok();
                prop_assert!(!grown || one.taken >= bytes);
                one.shrink_to(bytes);
                let sum: usize = leases.iter().map(|lease| lease.taken).sum();
                prop_assert_eq!(pool.used(), sum);
                prop_assert!(sum <= 28 * MIB);
            }
            drop(leases);
            prop_assert_eq!(pool.used(), 0);
        }
    }
}
