//! `watchbell serve`: the server without a terminal, and the settings that flags make.

use super::Status;
use super::flags::{LogFormat, LogLevel, ServerFlags};
use crate::alerts::Limits as AlertLimits;
use crate::app::{self, Options, SendOptions, Settings, WalSync};
use crate::ingest::push::PushRules;
use crate::model::{NameValidation, duration};
use crate::sys::log::{Destination, LogSettings};
use anyhow::Context as _;
use clap::{Args as _, Command};
use std::collections::BTreeMap;

/// Runs the server until it is asked to stop.
pub(super) fn run(flags: &ServerFlags, meaningless: &[String]) -> anyhow::Result<Status> {
    let settings = settings(flags, meaningless, Destination::Stderr)?;
    app::start(settings)?.wait()?;
    Ok(Status::Fine)
}

/// The settings that the flags and the environment make.
pub(super) fn settings(
    flags: &ServerFlags,
    meaningless: &[String],
    log: Destination,
) -> anyhow::Result<Settings> {
    let data = flags
        .storage_path
        .clone()
        .unwrap_or_else(|| app::default_data(flags.config_file.is_some()));
    let warnings = meaningless
        .iter()
        .map(|name| format!("the flag --{name} means nothing here and is ignored"))
        .collect();
    let first = flags.listen.first().map_or("127.0.0.1:9090", String::as_str);
    let options = Options {
        config_file: flags.config_file.clone(),
        alertmanager_file: flags.alertmanager_file.clone(),
        retention_time: flags.retention_time,
        retention_size: flags.retention_size,
        wal_sync: wal_sync(&flags.wal_sync)?,
        min_free: flags.min_free,
        series_max: flags.storage_series_max,
        external_url: flags.external_url.clone().unwrap_or_else(|| own_url(first)),
        lookback: flags.lookback,
        query_timeout: flags.query_timeout,
        query_concurrency: flags.query_concurrency.max(1),
        query_samples: flags.query_samples,
        query_bytes: flags.query_bytes,
        resend_delay: flags.resend_delay,
        outage_tolerance: flags.outage_tolerance,
        grace_period: flags.grace_period,
        rule_concurrency: flags.rule_concurrency.max(1),
        data_retention: flags.data_retention,
        history_retention: flags.history_retention,
        limits: flags.limits(),
        push: PushRules {
            names: if flags.push_utf8 { NameValidation::Utf8 } else { NameValidation::Legacy },
            unchecked: flags.push_unchecked,
        },
        alert_limits: AlertLimits {
            silences_max: flags.silences_max,
            silence_bytes_max: flags.silence_bytes_max,
            alerts_per_name_max: flags.alerts_per_name_max,
        },
        sending: SendOptions {
            capacity: flags.notification_queue.max(1),
            batch_max: flags.notification_batch.max(1),
            drain: !flags.no_drain,
            built_in: !flags.no_built_in,
        },
        features: flags.features.clone(),
        flags: flag_page(flags),
        warnings,
        listen: flags.listen.clone(),
        data: data.clone(),
    };
    Ok(Settings {
        socket: flags.socket.clone().unwrap_or_else(|| app::default_socket(&data)),
        listen: flags.listen.clone(),
        route_prefix: flags.route_prefix.clone(),
        lifecycle: flags.lifecycle,
        admin: flags.admin,
        remote_write: flags.remote_write,
        otlp: flags.otlp,
        max_connections: flags.max_connections,
        log: log_settings(flags, log),
        service: options,
    })
}

fn wal_sync(text: &str) -> anyhow::Result<WalSync> {
    Ok(match text {
        "always" => WalSync::Always,
        "off" => WalSync::Off,
        span => {
            let span = duration::parse(span).map_err(anyhow::Error::msg).with_context(|| {
                format!("cannot use --storage.wal-sync={text}; write always, off or an interval")
            })?;
            if span.is_zero() { WalSync::Always } else { WalSync::Every(span) }
        }
    })
}

/// As Prometheus makes it up: the host's name and the port.
fn own_url(listen: &str) -> String {
    let port = listen.rsplit(':').next().unwrap_or("9090");
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("http://{host}:{port}")
}

fn log_settings(flags: &ServerFlags, destination: Destination) -> LogSettings {
    let level = match flags.log_level {
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Error => tracing::Level::ERROR,
    };
    LogSettings { level, json: flags.log_format == LogFormat::Json, destination }
}

/// Every flag with its value, as `status/flags` shows them.
fn flag_page(flags: &ServerFlags) -> BTreeMap<String, String> {
    let optional =
        |span: Option<std::time::Duration>| span.map(duration::format).unwrap_or_default();
    let path = |path: &Option<std::path::PathBuf>| {
        path.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
    };
    let set = BTreeMap::from([
        ("config.file", path(&flags.config_file)),
        ("alertmanager.config-file", path(&flags.alertmanager_file)),
        ("storage.path", path(&flags.storage_path)),
        ("storage.tsdb.path", path(&flags.storage_path)),
        ("storage.tsdb.retention.time", optional(flags.retention_time)),
        ("storage.tsdb.retention.size", flags.retention_size.unwrap_or(0).to_string()),
        ("storage.wal-sync", flags.wal_sync.clone()),
        ("storage.max-series", flags.storage_series_max.unwrap_or(0).to_string()),
        ("storage.min-free", flags.min_free.unwrap_or(0).to_string()),
        ("web.listen-address", flags.listen.join(",")),
        ("web.unix-socket", path(&flags.socket)),
        ("web.external-url", flags.external_url.clone().unwrap_or_default()),
        ("web.route-prefix", flags.route_prefix.clone().unwrap_or_else(|| "/".to_owned())),
        ("web.enable-lifecycle", flags.lifecycle.to_string()),
        ("web.enable-admin-api", flags.admin.to_string()),
        ("web.enable-remote-write-receiver", flags.remote_write.to_string()),
        ("web.enable-otlp-receiver", flags.otlp.to_string()),
        ("push.enable-utf8-names", flags.push_utf8.to_string()),
        ("push.disable-consistency-check", flags.push_unchecked.to_string()),
        ("web.max-connections", flags.max_connections.to_string()),
        ("query.lookback-delta", duration::format(flags.lookback)),
        ("query.timeout", duration::format(flags.query_timeout)),
        ("query.max-concurrency", flags.query_concurrency.to_string()),
        ("query.max-samples", flags.query_samples.to_string()),
        ("query.max-bytes", flags.query_bytes.unwrap_or(0).to_string()),
        ("rules.alert.resend-delay", duration::format(flags.resend_delay)),
        ("rules.alert.for-outage-tolerance", duration::format(flags.outage_tolerance)),
        ("rules.alert.for-grace-period", duration::format(flags.grace_period)),
        ("rules.max-concurrent-evals", flags.rule_concurrency.to_string()),
        ("data.retention", duration::format(flags.data_retention)),
        ("alertmanager.history-retention", duration::format(flags.history_retention)),
        ("silences.max-silences", flags.silences_max.to_string()),
        ("silences.max-silence-size-bytes", flags.silence_bytes_max.to_string()),
        ("alerts.per-alertname-limit", flags.alerts_per_name_max.to_string()),
        ("alertmanager.notification-queue-capacity", flags.notification_queue.to_string()),
        ("alertmanager.notification-batch-size", flags.notification_batch.to_string()),
        ("alertmanager.drain-notification-queue-on-shutdown", (!flags.no_drain).to_string()),
        ("no-alertmanager.drain-notification-queue-on-shutdown", flags.no_drain.to_string()),
        ("no-alertmanager.built-in", flags.no_built_in.to_string()),
        ("scrape.max-body-bytes", flags.body_max.to_string()),
        ("scrape.max-samples", flags.samples_max.to_string()),
        ("scrape.max-series", flags.series_max.to_string()),
        ("scrape.max-labels", flags.labels_max.to_string()),
        ("scrape.max-label-name-bytes", flags.label_name_max.to_string()),
        ("scrape.max-label-value-bytes", flags.label_value_max.to_string()),
        ("enable-feature", flags.features.join(",")),
        ("log.level", format!("{:?}", flags.log_level).to_lowercase()),
        ("log.format", format!("{:?}", flags.log_format).to_lowercase()),
    ]);
    // The table of flags is the one list: a flag that is missing above shows as empty, not as gone.
    let table = ServerFlags::augment_args(Command::new("serve"));
    let names = table.get_arguments().filter_map(|arg| arg.get_long());
    let mut page: BTreeMap<String, String> =
        names.map(|name| (name.to_owned(), String::new())).collect();
    page.extend(set.into_iter().map(|(name, value)| (name.to_owned(), value)));
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_synced_as_asked() {
        for (text, expected) in [
            ("always", WalSync::Always),
            ("off", WalSync::Off),
            ("200ms", WalSync::Every(std::time::Duration::from_millis(200))),
        ] {
            assert_eq!(wal_sync(text).expect(text), expected);
        }
        assert!(wal_sync("sometimes").is_err());
    }
}
