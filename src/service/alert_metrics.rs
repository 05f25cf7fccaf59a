//! Alertmanager's metrics about its configuration, by upstream's names.
//!
//! Source: prometheus/alertmanager, app/metrics.go, config/coordinator.go, provider/mem/mem.go.

use crate::config::Alertmanager;
use crate::model::Timestamp;
use crate::sys::metrics::Registry;
use sha2::{Digest as _, Sha256};

/// Writes what a reload decided; what is in force stays told when it failed.
pub(super) fn write(registry: &Registry, config: &Alertmanager, succeeded: bool, at: Timestamp) {
    let gauge = |name: &str, help: &'static str, value: f64| {
        registry.gauge(name, help, &[]).set(value);
    };
    let help = "Whether the last configuration reload attempt was successful.";
    let value = f64::from(u8::from(succeeded));
    gauge("alertmanager_config_last_reload_successful", help, value);
    if succeeded {
        let help = "Timestamp of the last successful configuration reload.";
        let name = "alertmanager_config_last_reload_success_timestamp_seconds";
        gauge(name, help, at.as_seconds());
    }
    let alerts = &config.alerts;
    let integrations: usize = alerts.receivers.iter().map(|one| one.integrations.len()).sum();
    for (name, help, count) in [
        ("alertmanager_receivers", "Number of configured receivers.", alerts.receivers.len()),
        ("alertmanager_integrations", "Number of configured integrations.", integrations),
        (
            "alertmanager_inhibition_rules",
            "Number of configured inhibition rules.",
            alerts.inhibit_rules.len(),
        ),
        (
            "alertmanager_alerts_per_alert_limit",
            "Current limit on number of alerts per alert name.",
            alerts.limits.alerts_per_name_max,
        ),
        ("alertmanager_cluster_enabled", "Indicates whether the clustering is enabled or not.", 0),
    ] {
        gauge(name, help, count as f64);
    }
    let help = "Hash of the currently loaded configuration; not a cryptographic one.";
    gauge("alertmanager_config_hash", help, hash(&config.shown));
}

/// 48 bits, which a float holds exactly.
fn hash(text: &str) -> f64 {
    let digest = Sha256::digest(text);
    digest.iter().take(6).fold(0.0, |sum, byte| sum.mul_add(256.0, f64::from(*byte)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_hash_is_whole_and_another_text_has_another() {
        // SHA-256 of nothing begins with e3b0c44298fc.
        assert_eq!(super::hash(""), 250_348_346_448_124_f64);
        assert_ne!(super::hash("a"), super::hash("b"));
    }
}
