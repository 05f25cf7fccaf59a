//! Why a collector has nothing, or not everything, to tell.

use crate::sys::dbus::DbusError;
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
    /// The system call for the clock fails.
    #[error("cannot read the clock: {0}")]
    Clock(io::Error),
    /// systemd cannot be asked.
    #[error("cannot ask systemd: {0}")]
    Bus(DbusError),
    /// Somebody did not answer a moment ago, and is left alone.
    #[error("{0} did not answer in time and is not asked for a while")]
    Resting(&'static str),
}

impl CollectError {
    /// Whether the machine lacks what the collector reads, which needs nobody's attention.
    pub(super) fn is_absence(&self) -> bool {
        match self {
            // No socket: a container, or another init.
            Self::Read { source, .. } | Self::Bus(DbusError::Io(source)) => {
                source.kind() == io::ErrorKind::NotFound
            }
            Self::Form { .. } | Self::Clock(_) | Self::Bus(_) | Self::Resting(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_systemd_is_no_failure_and_one_that_refuses_is() {
        let bus = |kind: io::ErrorKind| CollectError::Bus(DbusError::Io(kind.into()));
        assert!(bus(io::ErrorKind::NotFound).is_absence());
        assert!(!bus(io::ErrorKind::PermissionDenied).is_absence());
        assert!(!CollectError::Bus(DbusError::Damaged).is_absence());
    }
}
