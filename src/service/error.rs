//! Why the service cannot start, or go on with another configuration.

use crate::model::Problem;

/// Why the service cannot start, or go on with another configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store cannot be opened.
    #[error("cannot open the store")]
    Storage(#[source] crate::storage::Error),
    /// The configuration is wrong.
    #[error("{0}")]
    Config(crate::config::Error),
    /// A receiver's settings contradict each other.
    #[error("cannot use the receivers: {}", list(.0))]
    Receivers(Vec<Problem>),
    /// No thread could be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

fn list(problems: &[Problem]) -> String {
    let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
