//! What cannot change while the server runs: made out of flags by `cli`.

use crate::service;
use crate::sys::log::LogSettings;
use std::env;
use std::path::{Path, PathBuf};

/// Everything that flags and the environment say.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the parts need.
    pub service: service::Options,
    /// Addresses of HTTP.
    pub listen: Vec<String>,
    /// The unix socket.
    pub socket: PathBuf,
    /// Prefix of all paths.
    pub route_prefix: Option<String>,
    /// Reload and quit over TCP.
    pub lifecycle: bool,
    /// Administration over TCP.
    pub admin: bool,
    /// Remote writes from other hosts.
    pub remote_write: bool,
    /// OTLP from other hosts.
    pub otlp: bool,
    /// The most connections.
    pub max_connections: usize,
    /// The log.
    pub log: LogSettings,
}

/// Where samples and state are kept when no flag says so: beside a configuration file `data/`,
/// else the state folder of the system or of the user.
pub fn default_data(with_config_file: bool) -> PathBuf {
    if with_config_file {
        return PathBuf::from("data");
    }
    if let Some(folder) = first_folder("STATE_DIRECTORY") {
        return folder;
    }
    if let Some(folder) = env::var_os("XDG_STATE_HOME").filter(|value| !value.is_empty()) {
        return PathBuf::from(folder).join("watchbell");
    }
    match env::var_os("HOME").filter(|value| !value.is_empty()) {
        Some(home) => PathBuf::from(home).join(".local/state/watchbell"),
        None => PathBuf::from("data"),
    }
}

/// The unix socket when no flag names one.
pub fn default_socket(data: &Path) -> PathBuf {
    let folder = first_folder("RUNTIME_DIRECTORY")
        .or_else(|| first_folder("XDG_RUNTIME_DIR"))
        .unwrap_or_else(|| data.to_owned());
    folder.join("watchbell.sock")
}

/// systemd separates several folders with colons; the first is ours.
fn first_folder(variable: &str) -> Option<PathBuf> {
    let value = env::var(variable).ok()?;
    let first = value.split(':').next().filter(|folder| !folder.is_empty())?;
    Some(PathBuf::from(first))
}
