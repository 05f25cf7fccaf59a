//! What is counted of queries, with upstream's names where upstream has them.
//!
//! Source: prometheus, promql/engine.go (NewEngine).

use crate::promql::{self, Output, Stats};
use crate::sys::metrics::{Cell, QUANTILES, Quantiles, Registry};
use std::time::Duration;

/// Where the time of a query went.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    pub(super) queued: Duration,
    /// All of the evaluation.
    pub(super) evaluated: Duration,
    /// Of that, planning.
    pub(super) prepared: Duration,
    /// Of that, putting the result in order.
    pub(super) sorted: Duration,
}

impl Times {
    /// Those of a query that came to this end.
    pub(super) fn of(queued: Duration, evaluated: Duration, outcome: &Outcome) -> Self {
        let stats = outcome.as_ref().map_or_else(|_| Stats::default(), |output| output.stats);
        Self { queued, evaluated, prepared: stats.prepared, sorted: stats.sorted }
    }
}

/// What an evaluation comes to.
type Outcome = Result<Output, promql::Error>;

/// What is counted of queries.
#[derive(Debug)]
pub(super) struct QueryMetrics {
    running: Cell,
    samples: Cell,
    queued: Quantiles,
    prepared: Quantiles,
    evaluated: Quantiles,
    sorted: Quantiles,
    pub(super) refused_for_memory: Cell,
    pub(super) refused_for_pool: Cell,
    pub(super) refused_for_number: Cell,
    pub(super) refused_for_time: Cell,
}

impl QueryMetrics {
    /// Nothing yet, of at most `concurrency` heavy queries.
    pub(super) fn new(registry: &Registry, concurrency: usize) -> Self {
        let refused = |reason| {
            let help = "Queries that were refused or gave up waiting, by reason.";
            registry.counter("watchbell_queries_refused_total", help, &[("reason", reason)])
        };
        let slice = |slice| {
            let name = "prometheus_engine_query_duration_seconds";
            registry.summary(name, "Query timings", &[("slice", slice)], QUANTILES)
        };
        let help = "The max number of concurrent queries.";
        registry
            .gauge("prometheus_engine_queries_concurrent_max", help, &[])
            .set(concurrency as f64);
        let help = "The current number of queries being executed or waiting.";
        let running = registry.gauge("prometheus_engine_queries", help, &[]);
        let help = "The total number of samples loaded by all queries.";
        let samples = registry.counter("prometheus_engine_query_samples_total", help, &[]);
        Self {
            running,
            samples,
            queued: slice("queue_time"),
            prepared: slice("prepare_time"),
            evaluated: slice("inner_eval"),
            sorted: slice("result_sort"),
            refused_for_memory: refused("memory"),
            refused_for_pool: refused("query_memory"),
            refused_for_number: refused("concurrency"),
            refused_for_time: refused("timeout"),
        }
    }

    /// Counts a query as running until the result is dropped.
    pub(super) fn begin(&self) -> Running {
        self.running.add(1.0);
        Running(self.running.clone())
    }

    /// Counts a query that has ended.
    pub(super) fn end(&self, times: Times, samples: usize) {
        self.samples.add(samples as f64);
        self.queued.observe(times.queued.as_secs_f64());
        self.prepared.observe(times.prepared.as_secs_f64());
        let inner = times.evaluated.saturating_sub(times.prepared + times.sorted);
        self.evaluated.observe(inner.as_secs_f64());
        self.sorted.observe(times.sorted.as_secs_f64());
    }
}

/// A query that runs.
#[derive(Debug)]
pub(super) struct Running(Cell);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.add(-1.0);
    }
}
