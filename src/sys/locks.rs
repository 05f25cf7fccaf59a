//! Locks that outlive a panic.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The value behind a lock; a panic elsewhere leaves it as it is.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::tasks;

    #[test]
    fn a_panic_leaves_what_is_behind_the_lock() {
        let value = Mutex::new(1);
        let done = tasks::guarded("it panics", || {
            *lock(&value) = 2;
            let _held = lock(&value);
            panic!("as the test wants it");
        });
        assert_eq!((done, *lock(&value)), (None::<()>, 2));
    }
}
