//! Why a collector has nothing, or not everything, to tell.

use std::io;
use std::path::PathBuf;

/// Why a collector failed. The others go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum CollectError {
    /// A file cannot be read: often this kernel does not have it.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file does not read as the kernel documents it.
    #[error("cannot understand {}: {what}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
}
