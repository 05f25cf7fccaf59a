//! The queue of one Alertmanager beside the built-in one, and the task that empties it.
//!
//! Source: prometheus/prometheus, notifier/sendloop.go, notifier/metric.go.

use crate::model::Alert;
use crate::notify::upstream::AlertmanagerSet;
use crate::sys::clock::SharedClock;
use crate::sys::http::HttpClient;
use crate::sys::locks::lock;
use crate::sys::metrics::{Buckets, Cell, QUANTILES, Quantiles, Registry};
use crate::sys::tasks::{self, Shutdown};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, Weak};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Bounds of `prometheus_notifications_latency_histogram_seconds`.
const LATENCY_BOUNDS: [f64; 4] = [0.01, 0.1, 1.0, 10.0];

/// What flags say about where alerts of rules go, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendOptions {
    /// Alerts that wait for one Alertmanager; the oldest make room.
    pub capacity: usize,
    /// Alerts in one request.
    pub batch_max: usize,
    /// Whether what waits is still sent when this server stops.
    pub drain: bool,
    /// Whether the built-in Alertmanager is told as well.
    pub built_in: bool,
}

impl Default for SendOptions {
    fn default() -> Self {
        Self { capacity: 10_000, batch_max: 256, drain: true, built_in: true }
    }
}

/// What a loop takes from the world.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    pub(super) client: Arc<dyn HttpClient>,
    pub(super) clock: SharedClock,
    pub(super) meters: Arc<AllMeters>,
    pub(super) options: SendOptions,
}

/// One Alertmanager that is told.
#[derive(Debug)]
pub(super) struct SendLoop {
    inner: Arc<Inner>,
    task: Option<JoinHandle<Option<()>>>,
}

#[derive(Debug)]
struct Inner {
    url: String,
    set: Arc<AlertmanagerSet>,
    wire: Wire,
    meters: Arc<Meters>,
    waiting: Mutex<VecDeque<Arc<Alert>>>,
    work: Notify,
    stop: Shutdown,
}

/// The numbers of all Alertmanagers that are told. One that is told under new settings goes on with
/// its numbers while the loop of before empties its queue.
#[derive(Debug)]
pub(super) struct AllMeters {
    registry: Registry,
    by_url: Mutex<BTreeMap<String, Weak<Meters>>>,
}

/// The numbers of one; shown as long as somebody counts.
#[derive(Debug)]
struct Meters {
    all: Arc<AllMeters>,
    url: String,
    sent: Cell,
    errors: Cell,
    dropped: Cell,
    length: Cell,
    latency: Quantiles,
    latencies: Buckets,
}

impl SendLoop {
    /// Starts to tell the Alertmanager at `url`. Must be called on the async runtime.
    pub(super) fn start(url: &str, set: Arc<AlertmanagerSet>, wire: Wire) -> Self {
        let inner = Arc::new(Inner {
            url: url.to_owned(),
            set,
            meters: wire.meters.of(url),
            wire,
            waiting: Mutex::default(),
            work: Notify::new(),
            stop: Shutdown::new(),
        });
        let task = tasks::spawn(format!("send alerts to {url}"), inner.clone().run());
        Self { inner, task: Some(task) }
    }

    /// Whom it tells.
    pub(super) fn url(&self) -> &str {
        &self.inner.url
    }

    /// Queues alerts; never waits.
    pub(super) fn add(&self, alerts: &[Arc<Alert>]) {
        let inner = &self.inner;
        let mut waiting = lock(&inner.waiting);
        waiting.extend(alerts.iter().cloned());
        let over = waiting.len().saturating_sub(inner.wire.options.capacity);
        waiting.drain(..over);
        inner.meters.length.set(waiting.len() as f64);
        drop(waiting);
        if over > 0 {
            inner.meters.dropped.add(over as f64);
            tracing::warn!(
                alertmanager = inner.url,
                over,
                "the queue is full; its oldest are dropped"
            );
        }
        inner.work.notify_one();
    }

    /// Asks it to end once what waits has been sent, if that is wanted; what it waits for then.
    pub(super) fn stop(mut self) -> Option<JoinHandle<Option<()>>> {
        self.inner.stop.trigger();
        self.task.take()
    }
}

impl Drop for SendLoop {
    fn drop(&mut self) {
        self.inner.stop.trigger();
    }
}

impl Inner {
    async fn run(self: Arc<Self>) {
        loop {
            let is_stopped = self.stop.is_triggered();
            let batch = self.next_batch(is_stopped && !self.wire.options.drain);
            if batch.is_empty() {
                if is_stopped {
                    break;
                }
                tokio::select! {
                    () = self.work.notified() => {}
                    () = self.stop.wait() => {}
                }
                continue;
            }
            // Who does not take alerts while this server stops will not take the next ones either.
            if !self.send(&batch).await && self.stop.is_triggered() {
                self.next_batch(true);
                break;
            }
        }
    }

    /// What goes out next; nothing when all that waits is to be dropped.
    fn next_batch(&self, drop_all: bool) -> Vec<Arc<Alert>> {
        let mut waiting = lock(&self.waiting);
        if drop_all {
            self.meters.dropped.add(waiting.len() as f64);
            waiting.clear();
        }
        let count = waiting.len().min(self.wire.options.batch_max.max(1));
        let batch = waiting.drain(..count).collect();
        self.meters.length.set(waiting.len() as f64);
        batch
    }

    /// Posts a batch once; whether it was accepted.
    async fn send(&self, batch: &[Arc<Alert>]) -> bool {
        let (meters, clock) = (&self.meters, &self.wire.clock);
        let began = clock.elapsed();
        let sent = self.set.post(self.wire.client.as_ref(), &self.url, batch).await;
        let count = batch.len() as f64;
        if let Err(reason) = sent {
            meters.errors.add(count);
            meters.dropped.add(count);
            tracing::warn!(alertmanager = self.url, reason, "alerts were not accepted");
            return false;
        }
        let took = clock.elapsed().saturating_sub(began).as_secs_f64();
        meters.latency.observe(took);
        meters.latencies.observe(took);
        meters.sent.add(count);
        true
    }
}

const SENT: (&str, &str) = ("prometheus_notifications_sent_total", "Total number of alerts sent.");
const ERRORS: (&str, &str) =
    ("prometheus_notifications_errors_total", "Total number of sent alerts affected by errors.");
const DROPPED: (&str, &str) = (
    "prometheus_notifications_dropped_total",
    "Total number of alerts dropped due to errors when sending to Alertmanager.",
);
const LENGTH: (&str, &str) =
    ("prometheus_notifications_queue_length", "The number of alert notifications in the queue.");
const LATENCY: (&str, &str) = (
    "prometheus_notifications_latency_seconds",
    "Latency quantiles for sending alert notifications.",
);
const LATENCIES: (&str, &str) = (
    "prometheus_notifications_latency_histogram_seconds",
    "Latency histogram for sending alert notifications.",
);

impl AllMeters {
    pub(super) fn new(registry: &Registry) -> Arc<Self> {
        Arc::new(Self { registry: registry.clone(), by_url: Mutex::default() })
    }

    /// Counts alerts that reached the Alertmanager at `url`.
    pub(super) fn sent(&self, url: &str) -> Cell {
        self.registry.counter(SENT.0, SENT.1, &[("alertmanager", url)])
    }

    fn of(self: &Arc<Self>, url: &str) -> Arc<Meters> {
        let mut by_url = lock(&self.by_url);
        if let Some(known) = by_url.get(url).and_then(Weak::upgrade) {
            return known;
        }
        let (registry, labels) = (&self.registry, [("alertmanager", url)]);
        let meters = Arc::new(Meters {
            all: self.clone(),
            url: url.to_owned(),
            sent: self.sent(url),
            errors: registry.counter(ERRORS.0, ERRORS.1, &labels),
            dropped: registry.counter(DROPPED.0, DROPPED.1, &labels),
            length: registry.gauge(LENGTH.0, LENGTH.1, &labels),
            latency: registry.summary(LATENCY.0, LATENCY.1, &labels, QUANTILES),
            latencies: registry.histogram(LATENCIES.0, LATENCIES.1, &labels, &LATENCY_BOUNDS),
        });
        by_url.insert(url.to_owned(), Arc::downgrade(&meters));
        meters
    }
}

impl Drop for Meters {
    fn drop(&mut self) {
        let mut by_url = lock(&self.all.by_url);
        // Another may have begun to count meanwhile.
        if by_url.get(&self.url).is_none_or(|known| known.strong_count() > 0) {
            return;
        }
        by_url.remove(&self.url);
        for (name, _) in [SENT, ERRORS, DROPPED, LENGTH, LATENCY, LATENCIES] {
            self.all.registry.remove(name, &[("alertmanager", &self.url)]);
        }
    }
}
