//! Shows on a terminal how far something is; says nothing elsewhere.

use crate::sys::clock::{Clock as _, SystemClock};
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

/// Between two lines.
const TOLD_EVERY: Duration = Duration::from_millis(200);

/// A line on standard error that is written anew.
#[derive(Debug)]
pub(super) struct Teller {
    clock: SystemClock,
    told: Duration,
    shows: bool,
}

impl Teller {
    /// Shows lines if standard error is a terminal.
    pub(super) fn on_terminal() -> Self {
        let shows = io::stderr().is_terminal();
        Self { clock: SystemClock::new(), told: Duration::ZERO, shows }
    }

    /// Shows nothing.
    pub(super) fn silent() -> Self {
        Self { clock: SystemClock::new(), told: Duration::ZERO, shows: false }
    }

    /// Shows the line for the time that went by, unless the last one is new still.
    pub(super) fn tell(&mut self, line: impl FnOnce(Duration) -> String) {
        let elapsed = self.clock.elapsed();
        if !self.shows || elapsed.saturating_sub(self.told) < TOLD_EVERY {
            return;
        }
        self.told = elapsed;
        // A terminal that went away is no reason to stop.
        let _ = write!(io::stderr(), "\r\x1b[K{}", line(elapsed));
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        if self.shows {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
