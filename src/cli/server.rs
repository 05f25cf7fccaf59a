//! Which server a command means, and the way to it.

use super::flags::ServerChoice;
use crate::app;
use crate::client::Remote;
use crate::sys::clock::SystemClock;
use crate::sys::http::SystemHttp;
use crate::sys::settings::HttpClientSettings;
use crate::wire::{Core, Readiness};
use anyhow::{Context as _, bail};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A connection to the chosen server, or to the one that runs here.
pub(super) fn connect(choice: &ServerChoice) -> anyhow::Result<Arc<dyn Core>> {
    let address = match choice.url.as_deref() {
        Some(url) => checked(url)?.to_owned(),
        None => format!("unix:{}", find_socket()?.display()),
    };
    let alertmanager = choice.alertmanager.as_deref().map(checked).transpose()?;
    remote(&address, alertmanager)
}

/// As `connect`; an Alertmanager that is named alone is asked without a server beside it.
pub(super) fn connect_alerting(choice: &ServerChoice) -> anyhow::Result<Arc<dyn Core>> {
    match (&choice.url, &choice.alertmanager) {
        (None, Some(url)) => remote(checked(url)?, Some(checked(url)?)),
        (_, _) => connect(choice),
    }
}

/// Whether an Alertmanager is named alone.
pub(super) fn is_alertmanager(choice: &ServerChoice) -> bool {
    choice.url.is_none() && choice.alertmanager.is_some()
}

/// A connection to the server at this URL.
pub(super) fn at(url: &str) -> anyhow::Result<Arc<dyn Core>> {
    remote(checked(url)?, None)
}

/// A connection to the server that runs here, if one does.
pub(super) fn running() -> Option<Arc<dyn Core>> {
    on_socket(&find_socket().ok()?)
}

/// A connection over this socket when a server answers on it.
pub(super) fn on_socket(path: &Path) -> Option<Arc<dyn Core>> {
    UnixStream::connect(path).ok()?;
    let core = remote(&format!("unix:{}", path.display()), None).ok()?;
    // A server that stops right now is no server to attach to.
    (core.readiness() != Readiness::Stopping).then_some(core)
}

fn remote(address: &str, alertmanager: Option<&str>) -> anyhow::Result<Arc<dyn Core>> {
    let settings = HttpClientSettings::default();
    let clock = Arc::new(SystemClock::new());
    let remote = Remote::new(&SystemHttp::new(), &settings, clock, address, alertmanager)?;
    Ok(Arc::new(remote))
}

fn checked(url: &str) -> anyhow::Result<&str> {
    let known = ["http://", "https://", "unix:"].iter().any(|scheme| url.starts_with(scheme));
    if !known {
        bail!("cannot reach {url:?}; write http://HOST:PORT, https://HOST or unix:PATH");
    }
    Ok(url.trim_end_matches('/'))
}

/// The first socket at the places where a server of this host or user puts it.
fn find_socket() -> anyhow::Result<PathBuf> {
    let data = app::default_data(false);
    let usual = app::default_socket(&data);
    let places = [
        usual.clone(),
        data.join("watchbell.sock"),
        PathBuf::from("/run/watchbell/watchbell.sock"),
        PathBuf::from("data/watchbell.sock"),
    ];
    let found = places.into_iter().find(|path| path.exists());
    found.with_context(|| {
        format!(
            "no watchbell on unix:{} (no such file); start one: watchbell; or ask another: \
             --url http://host:9090",
            usual.display()
        )
    })
}
