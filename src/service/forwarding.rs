//! Alerts on to Alertmanagers beside the built-in one.

use crate::model::Alert;
use crate::notify::upstream::Upstreams;
use crate::sys::metrics::{Cell, Registry};
use crate::sys::tasks;
use arc_swap::ArcSwap;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Batches on their way at a time. Rules send again what still fires, so that a batch that finds
/// no room is dropped and counted instead of waiting behind a dead server.
const BATCHES_MAX: usize = 64;

/// The other Alertmanagers, until the next reload.
#[derive(Debug)]
pub(super) struct Forwarding {
    upstreams: ArcSwap<Upstreams>,
    room: Arc<Semaphore>,
    dropped: Cell,
    runtime: Handle,
}

impl Forwarding {
    /// Sends to `upstreams`.
    pub(super) fn new(upstreams: Upstreams, runtime: Handle, registry: &Registry) -> Self {
        let help = "Total number of alerts dropped due to errors when sending to Alertmanager.";
        Self {
            upstreams: ArcSwap::from_pointee(upstreams),
            room: Arc::new(Semaphore::new(BATCHES_MAX)),
            dropped: registry.counter("prometheus_notifications_dropped_total", help, &[]),
            runtime,
        }
    }

    /// Sends to others from now on.
    pub(super) fn replace(&self, upstreams: Upstreams) {
        self.upstreams.store(Arc::new(upstreams));
    }

    /// Sends the alerts without waiting.
    pub(super) fn send(&self, alerts: &[Alert]) {
        let upstreams = self.upstreams.load_full();
        if alerts.is_empty() || upstreams.is_empty() {
            return;
        }
        let Ok(room) = self.room.clone().try_acquire_owned() else {
            self.dropped.add(alerts.len() as f64);
            return;
        };
        let alerts = alerts.to_vec();
        let _runtime = self.runtime.enter();
        tasks::spawn("forward alerts", async move {
            upstreams.send(&alerts).await;
            drop(room);
        });
    }

    /// Where alerts go.
    pub(super) fn urls(&self) -> Vec<String> {
        self.upstreams.load().urls().map(str::to_owned).collect()
    }
}
