//! `alertmanager_notification*` of the process' own metrics.
//!
//! Source: prometheus/alertmanager, notify/metrics.go.

use super::retry::FailureClass;
use crate::sys::metrics::{Buckets, Registry};
use std::time::Duration;

/// Counters of all integrations of a kind.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    registry: Registry,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self { registry: registry.clone() }
    }

    /// Makes all series of a kind, so that they are there before the first notification.
    pub(super) fn register(&self, kind: &str) {
        self.count("alertmanager_notifications_total", TOTAL, kind, 0.0);
        self.count("alertmanager_notification_requests_total", REQUESTS, kind, 0.0);
        self.count("alertmanager_notification_requests_failed_total", REQUESTS_FAILED, kind, 0.0);
        for class in FailureClass::ALL {
            self.count_failed(kind, class, 0.0);
        }
        self.latencies(kind);
    }

    pub(super) fn started(&self, kind: &str) {
        self.count("alertmanager_notifications_total", TOTAL, kind, 1.0);
    }

    pub(super) fn attempt(&self, kind: &str, ok: bool) {
        self.count("alertmanager_notification_requests_total", REQUESTS, kind, 1.0);
        if !ok {
            let name = "alertmanager_notification_requests_failed_total";
            self.count(name, REQUESTS_FAILED, kind, 1.0);
        }
    }

    pub(super) fn failed(&self, kind: &str, class: FailureClass) {
        self.count_failed(kind, class, 1.0);
    }

    pub(super) fn latency(&self, kind: &str, span: Duration) {
        self.latencies(kind).observe(span.as_secs_f64());
    }

    fn latencies(&self, kind: &str) -> Buckets {
        let name = "alertmanager_notification_latency_seconds";
        let help = "The latency of notifications in seconds.";
        let labels = [("integration", kind)];
        self.registry.histogram(name, help, &labels, &[1.0, 5.0, 10.0, 15.0, 20.0])
    }

    fn count(&self, name: &str, help: &'static str, kind: &str, by: f64) {
        self.registry.counter(name, help, &[("integration", kind)]).add(by);
    }

    fn count_failed(&self, kind: &str, class: FailureClass, by: f64) {
        let name = "alertmanager_notifications_failed_total";
        let help = "The total number of failed notifications.";
        let labels = [("integration", kind), ("reason", class.as_str())];
        self.registry.counter(name, help, &labels).add(by);
    }
}

const TOTAL: &str = "The total number of attempted notifications.";
const REQUESTS: &str = "The total number of attempted notification requests.";
const REQUESTS_FAILED: &str = "The total number of failed notification requests.";
