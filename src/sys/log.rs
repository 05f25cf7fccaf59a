//! The log: where lines go and how they look. Label values reach it escaped.

use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Standard error: the server without a terminal interface.
    Stderr,
    /// A file that grows: while screens own the terminal.
    File(PathBuf),
}

/// How much is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Lines below this level are left out.
    pub level: Level,
    /// JSON instead of text.
    pub json: bool,
    /// Where lines go.
    pub destination: Destination,
}

/// Starts logging for the whole process; a second call changes nothing.
///
/// # Errors
/// The file cannot be opened.
pub fn init(settings: &LogSettings) -> io::Result<()> {
    let writer = match &settings.destination {
        Destination::Stderr => BoxMakeWriter::new(io::stderr),
        Destination::File(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            BoxMakeWriter::new(Mutex::new(file))
        }
    };
    install(settings, writer);
    Ok(())
}

fn install(settings: &LogSettings, writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static) {
    let builder = tracing_subscriber::fmt()
        .with_max_level(settings.level)
        .with_writer(writer)
        .with_ansi(false)
        .with_target(false);
    // A second start (tests, a server inside another program) keeps the first logger.
    let _ = if settings.json {
        tracing::subscriber::set_global_default(builder.json().flatten_event(true).finish())
    } else {
        tracing::subscriber::set_global_default(builder.finish())
    };
}
