//! Time of day and elapsed time, as one seam.

use super::event_loop;
use crate::model::Timestamp;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A future that ends when a deadline is reached.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A source of time. Wall time stamps samples; elapsed time drives every timer, since the wall
/// clock may be set.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time of day.
    fn now(&self) -> Timestamp;

    /// Time since the clock was made; never goes back, and does not run while the host sleeps.
    fn elapsed(&self) -> Duration;

    /// Ends once `elapsed()` has reached `deadline`.
    fn sleep_until(&self, deadline: Duration) -> Sleep;

    /// Ends after `span`.
    fn sleep(&self, span: Duration) -> Sleep {
        self.sleep_until(self.elapsed().saturating_add(span))
    }
}

/// The clock as parts hold it.
pub type SharedClock = Arc<dyn Clock>;

/// A difference of the clocks that changed by no more than this is the usual correction of a clock.
const JUMP_MILLIS: u64 = 1_000;

/// Notices when the wall clock is set, by the other one.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallJumps {
    /// By how many milliseconds the wall clock was ahead.
    ahead: Option<i64>,
}

impl WallJumps {
    /// By how many milliseconds the wall clock was set since this was last asked. Corrections of
    /// up to a second are none: the answer is 0.
    pub fn noticed(&mut self, wall: Timestamp, elapsed: Duration) -> i64 {
        let elapsed = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        let ahead = wall.as_millis().saturating_sub(elapsed);
        let before = self.ahead.replace(ahead).unwrap_or(ahead);
        match ahead.abs_diff(before) > JUMP_MILLIS {
            true => ahead.saturating_sub(before),
            false => 0,
        }
    }
}

/// The host's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose elapsed time starts now.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the host's clock")]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the host's clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::EPOCH.plus(since)
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep_until(&self, deadline: Duration) -> Sleep {
        let deadline = self.started.checked_add(deadline);
        Box::pin(async move {
            match deadline {
                Some(deadline) => event_loop::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        })
    }
}
