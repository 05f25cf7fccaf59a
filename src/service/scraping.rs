//! What is scraped inside this process: the host, and the process itself.

use super::alerting::Alerting;
use super::core::ALERTMANAGER_VERSION;
use super::probing;
use super::pushing::Pushing;
use super::queries::Queries;
use super::start::{World, host_name};
use crate::config::Config;
use crate::ingest::host::HostCollector;
use crate::ingest::probe::Prober;
use crate::ingest::scrape::{LocalJob, LocalTarget};
use crate::model::Labels;
use crate::sys::metrics::{Family, Registry};
use crate::sys::{process, tasks};
use crate::wire::PROMETHEUS_VERSION;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use tokio::runtime::Handle;

/// The job of pushed groups, and what it is called where the configuration has one of that name.
const PUSH_JOBS: [&str; 2] = ["push", "watchbell-push"];

/// The collectors of this process. They are made once, so that a reload finds them unchanged.
#[derive(Debug)]
pub(super) struct Locals {
    host: Arc<HostMetrics>,
    own: Arc<dyn LocalTarget>,
    pushing: Arc<Pushing>,
    prober: Prober,
    runtime: Handle,
    instance: String,
}

impl Locals {
    /// Collectors of this host and this process, whose `instance` is the host's name, and groups.
    pub(super) fn new(
        world: &World,
        config: &Config,
        own: OwnMetrics,
        pushing: Arc<Pushing>,
        prober: Prober,
    ) -> Self {
        let options = config.host_metrics.clone().unwrap_or_default();
        let host = HostCollector::new(PathBuf::from("/"), world.clock.clone(), options);
        let host = Arc::new(HostMetrics(host));
        let (own, runtime) = (Arc::new(own), world.runtime.clone());
        Self { host, own, pushing, prober, runtime, instance: host_name() }
    }

    /// The jobs that the configuration switches on.
    pub(super) fn jobs(&self, config: &Config) -> Vec<LocalJob> {
        let job = |name: &str, target: Arc<dyn LocalTarget>| LocalJob {
            name: name.to_owned(),
            interval: config.local_interval,
            target,
            labels: Labels::from_pairs([("job", name), ("instance", &self.instance)]),
            honor_labels: false,
            members: Vec::new(),
        };
        let mut jobs = Vec::new();
        if let Some(options) = &config.host_metrics {
            self.host.0.reconfigure(options.clone());
            jobs.push(job("node", self.host.clone()));
        }
        if config.self_metrics {
            jobs.push(job("watchbell", self.own.clone()));
        }
        jobs.extend(probing::jobs(config, &self.prober, &self.runtime));
        jobs.extend(self.pushing.is_used().then(|| self.push_job(config)));
        jobs
    }

    /// Pushed groups, whose labels are their own: without an `instance` they stay without.
    fn push_job(&self, config: &Config) -> LocalJob {
        let is_free = |name: &&str| config.jobs.jobs.iter().all(|job| job.name != *name);
        let name = PUSH_JOBS.into_iter().find(is_free).unwrap_or(PUSH_JOBS[0]);
        LocalJob {
            name: name.to_owned(),
            interval: config.local_interval,
            target: self.pushing.clone(),
            labels: Labels::from_pairs([("job", name)]),
            honor_labels: true,
            members: Vec::new(),
        }
    }
}

#[derive(Debug)]
struct HostMetrics(HostCollector);

impl LocalTarget for HostMetrics {
    fn gather(&self) -> Vec<Family> {
        self.0.gather()
    }
}

/// The registry, with what is only counted when somebody asks.
#[derive(Clone, Debug)]
pub(super) struct OwnMetrics {
    registry: Registry,
    /// The alert engine and the queries outlive scraping, but must not be kept alive by it.
    alerting: Weak<Alerting>,
    queries: Weak<Queries>,
}

impl OwnMetrics {
    /// The registry's metrics with those of the process and of the alert engine.
    pub(super) fn new(
        registry: Registry,
        alerting: &Arc<Alerting>,
        queries: &Arc<Queries>,
    ) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let help = "A metric with a constant value of 1 and what was built as labels.";
        let labels = [("version", PROMETHEUS_VERSION), ("watchbell", version)];
        registry.gauge("prometheus_build_info", help, &labels).set(1.0);
        let labels = [("version", ALERTMANAGER_VERSION), ("watchbell", version)];
        registry.gauge("alertmanager_build_info", help, &labels).set(1.0);
        let (alerting, queries) = (Arc::downgrade(alerting), Arc::downgrade(queries));
        Self { registry, alerting, queries }
    }
}

impl LocalTarget for OwnMetrics {
    fn gather(&self) -> Vec<Family> {
        let registry = &self.registry;
        process::record(registry);
        let help = "Panics of tasks and threads.";
        let panics = registry.counter("watchbell_task_panics_total", help, &[]);
        panics.set(tasks::panics_total() as f64);
        if let Some(alerting) = self.alerting.upgrade() {
            alerting.write_metrics();
        }
        if let Some(queries) = self.queries.upgrade() {
            let help = "Bytes that running queries and their answers hold.";
            let held = registry.gauge("watchbell_query_memory_bytes", help, &[]);
            held.set(queries.engine().pool().used() as f64);
        }
        registry.gather()
    }
}
