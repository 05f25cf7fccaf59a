//! What ends the screens against the user's will.

use std::io;

/// Why the screens cannot be shown, or ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Input or output is a pipe or a file.
    #[error(
        "cannot show the screens: standard input or output is no terminal; use --once or -o json"
    )]
    NoTerminal,
    /// The terminal refused something, or went away.
    #[error("cannot {action} the terminal")]
    Terminal {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start the thread {name:?}")]
    Thread {
        /// Its name.
        name: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A programmer's error in the screens; the log has its text.
    #[error("the screens stopped after an internal error; the log has its text")]
    Panicked,
}
