//! Requests counted, with upstream's names.

use super::message::Response;
use crate::sys::locks::lock;
use crate::sys::metrics::{Buckets, Cell, Registry};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// Buckets of Prometheus' own request durations.
/// Source: prometheus, web/web.go (newMetrics).
const DURATION_BOUNDS: [f64; 9] = [0.1, 0.2, 0.4, 1.0, 3.0, 8.0, 20.0, 60.0, 120.0];
const SIZE_BOUNDS: [f64; 8] = [1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// Counts of requests, by pattern and status.
#[derive(Debug)]
pub(super) struct Counts {
    metrics: Registry,
    known: Mutex<BTreeMap<(&'static str, u16), Counted>>,
}

#[derive(Clone, Debug)]
struct Counted {
    requests: Cell,
    durations: Buckets,
    sizes: Buckets,
}

impl Counts {
    /// Counts in `metrics`.
    pub(super) const fn new(metrics: Registry) -> Self {
        Self { metrics, known: Mutex::new(BTreeMap::new()) }
    }

    /// Counts a request that was answered.
    pub(super) fn count(&self, handler: &'static str, response: &Response, took: Duration) {
        let counted = {
            let mut known = lock(&self.known);
            let key = (handler, response.status);
            known.entry(key).or_insert_with(|| self.register(handler, response.status)).clone()
        };
        counted.requests.inc();
        counted.durations.observe(took.as_secs_f64());
        counted.sizes.observe(response.body.len() as f64);
    }

    fn register(&self, handler: &str, status: u16) -> Counted {
        let code = status.to_string();
        let by_handler = [("handler", handler)];
        let labels = [("handler", handler), ("code", code.as_str())];
        let metrics = &self.metrics;
        let total = "prometheus_http_requests_total";
        let duration = "prometheus_http_request_duration_seconds";
        let size = "prometheus_http_response_size_bytes";
        let durations_help = "Histogram of latencies for HTTP requests.";
        let sizes_help = "Histogram of response size for HTTP requests.";
        Counted {
            requests: metrics.counter(total, "Counter of HTTP requests.", &labels),
            durations: metrics.histogram(duration, durations_help, &by_handler, &DURATION_BOUNDS),
            sizes: metrics.histogram(size, sizes_help, &by_handler, &SIZE_BOUNDS),
        }
    }
}
