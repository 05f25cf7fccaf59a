//! What can go wrong with the store as a whole. Refusals of samples are in `append.rs`, failures
//! of reads in `source.rs`.

use rusqlite::ErrorCode;
use std::io;
use std::path::{Path, PathBuf};

/// Why the store cannot be opened, kept or closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process works on the directory.
    #[error(
        "cannot open data folder {dir}: held by pid {pid}; stop it or pass another --storage.path"
    )]
    Held {
        /// The directory.
        dir: PathBuf,
        /// The process.
        pid: u32,
    },
    /// A file operation failed.
    #[error("cannot {verb} {path}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        cause: io::Error,
    },
    /// A database operation failed.
    #[error("cannot {verb} {path}")]
    Sql {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        cause: rusqlite::Error,
    },
    /// Written by a later version.
    #[error(
        "cannot read {path}: its format is {found}, this version reads up to {known}; install a later watchbell"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The latest that is known here.
        known: u32,
    },
    /// The file is not what its name says.
    #[error("cannot read {path}: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A thread of the store cannot be started.
    #[error("cannot start a thread of the store")]
    Thread(#[source] io::Error),
}

/// The result of a store operation.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// For `map_err`: a file operation failed.
    pub(crate) fn io(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Io { verb, path, cause }
    }

    /// For `map_err`: a database operation failed.
    pub(crate) fn sql(verb: &'static str, path: &Path) -> impl FnOnce(rusqlite::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Sql { verb, path, cause }
    }

    /// Whether a database is not what it should be; not whether it cannot be reached or written.
    pub(super) fn is_damage(&self) -> bool {
        let Self::Sql { cause, .. } = self else { return matches!(self, Self::Damaged { .. }) };
        let rusqlite::Error::SqliteFailure(failure, _) = cause else {
            // A value that is not of its column's kind, text that is no text, a missing row.
            return true;
        };
        match failure.code {
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown => true,
            ErrorCode::SystemIoFailure => {
                use rusqlite::ffi::{SQLITE_IOERR_READ, SQLITE_IOERR_SHORT_READ};
                matches!(failure.extended_code, SQLITE_IOERR_READ | SQLITE_IOERR_SHORT_READ)
            }
            _of_the_world_around => false,
        }
    }

    /// The error with its causes, in one line, for texts that have no place for a chain.
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(err) = cause {
            text.push_str(": ");
            text.push_str(&err.to_string());
            cause = err.source();
        }
        text
    }
}
