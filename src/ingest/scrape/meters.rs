//! Numbers about scraping, under the names that published dashboards read.

use super::super::config::Discovery;
use crate::storage::append::{Committed, Refusal};
use crate::sys::metrics::{Cell, Registry};

const NATIVE_SKIPPED: &str = "watchbell_scrape_native_histograms_skipped_total";
const REFRESH_FAILURES: &str = "prometheus_sd_refresh_failures_total";
const REFRESH_FAILURES_HELP: &str = "Times targets could not be asked for.";

/// Counters of all scrapes.
#[derive(Clone, Debug)]
pub(super) struct Meters {
    registry: Registry,
    pub(super) over_sample_limit: Cell,
    pub(super) over_body_limit: Cell,
    pub(super) over_label_limit: Cell,
    pub(super) over_target_limit: Cell,
    pub(super) duplicates: Cell,
    out_of_order: Cell,
    out_of_bounds: Cell,
    exemplars_out_of_order: Cell,
    pub(super) pools: Cell,
    pub(super) failed_configs: Cell,
}

impl Meters {
    /// Counters in this registry.
    pub(super) fn new(registry: &Registry) -> Self {
        let counter = |name: &str, help: &'static str| registry.counter(name, help, &[]);
        Self {
            registry: registry.clone(),
            over_sample_limit: counter(
                "prometheus_target_scrapes_exceeded_sample_limit_total",
                "Scrapes that were refused because of the sample limit.",
            ),
            over_body_limit: counter(
                "prometheus_target_scrapes_exceeded_body_size_limit_total",
                "Scrapes that were refused because of the body size limit.",
            ),
            over_label_limit: counter(
                "prometheus_target_scrape_pool_exceeded_label_limits_total",
                "Scrapes that were refused because of the label limits.",
            ),
            over_target_limit: counter(
                "prometheus_target_scrape_pool_exceeded_target_limit_total",
                "Times a job had more targets than its limit.",
            ),
            duplicates: counter(
                "prometheus_target_scrapes_sample_duplicate_timestamp_total",
                "Samples dropped because their series had another value at the same time.",
            ),
            out_of_order: counter(
                "prometheus_target_scrapes_sample_out_of_order_total",
                "Samples dropped because they were older than their series.",
            ),
            out_of_bounds: counter(
                "prometheus_target_scrapes_sample_out_of_bounds_total",
                "Samples dropped because their time was too far from now.",
            ),
            exemplars_out_of_order: counter(
                "prometheus_target_scrapes_exemplar_out_of_order_total",
                "Exemplars dropped because they were older than those of their series.",
            ),
            pools: counter(
                "prometheus_target_scrape_pools_total",
                "Scrape jobs that were started.",
            ),
            failed_configs: registry.gauge(
                "prometheus_sd_failed_configs",
                "Jobs whose discovery cannot be used.",
                &[("name", "scrape")],
            ),
        }
    }

    /// Counts refused samples and exemplars.
    pub(super) fn refused(&self, committed: &Committed) {
        #[expect(clippy::cast_precision_loss, reason = "a scrape has fewer than 2^52 exemplars")]
        self.exemplars_out_of_order.add(committed.exemplars_out_of_order as f64);
        for (_, why) in &committed.refused {
            match why {
                Refusal::OutOfOrder => self.out_of_order.inc(),
                Refusal::Duplicate => self.duplicates.inc(),
                Refusal::TooOld | Refusal::TooFarAhead => self.out_of_bounds.inc(),
                // The store counts these itself: they say nothing about the target's clock.
                Refusal::SeriesLimit | Refusal::Memory | Refusal::BadLabels => {}
            }
        }
    }

    /// A scrape had so many native histograms that are not kept.
    pub(super) fn native_skipped(&self, job: &str, histograms: u64) {
        let help = "Native histograms of scrapes of which only the classic part is kept.";
        let counter = self.registry.counter(NATIVE_SKIPPED, help, &[("job", job)]);
        #[expect(clippy::cast_precision_loss, reason = "a scrape has fewer than 2^52 histograms")]
        counter.add(histograms as f64);
    }

    /// A job's targets were brought up to date.
    pub(super) fn synced(&self, job: &str, targets: usize) {
        let labels = [("scrape_job", job)];
        let help = "Times the targets of a job were brought up to date.";
        self.registry.counter("prometheus_target_scrape_pool_sync_total", help, &labels).inc();
        #[expect(clippy::cast_precision_loss, reason = "a host has fewer than 2^52 targets")]
        let targets = targets as f64;
        self.registry
            .gauge("prometheus_target_scrape_pool_targets", "Targets of a job.", &labels)
            .set(targets);
        self.registry
            .gauge(
                "prometheus_sd_discovered_targets",
                "Targets that discovery found.",
                &[("name", "scrape"), ("config", job)],
            )
            .set(targets);
    }

    /// So much was wrong when a section of this kind was asked for targets; 0 makes its counter.
    pub(super) fn discovery_failed(&self, discovery: &Discovery, job: &str, problems: usize) {
        let count = |name, help, labels: &[(&str, &str)], by: usize| {
            #[expect(clippy::cast_precision_loss, reason = "a section has fewer than 2^52 faults")]
            self.registry.counter(name, help, labels).add(by as f64);
        };
        match discovery {
            Discovery::Files(_) => {
                let help = "Files of targets that could not be read.";
                count("prometheus_sd_file_read_errors_total", help, &[], problems);
            }
            Discovery::Dns(_) => {
                let help = "Names whose records could not be asked for.";
                count("prometheus_sd_dns_lookup_failures_total", help, &[], problems);
            }
            Discovery::Http(_) => {
                let labels = [("mechanism", "http"), ("config", job)];
                count(REFRESH_FAILURES, REFRESH_FAILURES_HELP, &labels, problems.min(1));
            }
            Discovery::Docker(_) => {
                let labels = [("mechanism", "docker"), ("config", job)];
                count(REFRESH_FAILURES, REFRESH_FAILURES_HELP, &labels, problems.min(1));
            }
        }
    }

    /// A job is gone.
    pub(super) fn forget(&self, job: &str) {
        self.registry.remove(NATIVE_SKIPPED, &[("job", job)]);
        let labels = [("scrape_job", job)];
        self.registry.remove("prometheus_target_scrape_pool_sync_total", &labels);
        self.registry.remove("prometheus_target_scrape_pool_targets", &labels);
        let labels = [("name", "scrape"), ("config", job)];
        self.registry.remove("prometheus_sd_discovered_targets", &labels);
        for mechanism in ["http", "docker"] {
            let labels = [("mechanism", mechanism), ("config", job)];
            self.registry.remove(REFRESH_FAILURES, &labels);
        }
    }
}
