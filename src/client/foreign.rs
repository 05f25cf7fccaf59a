//! What the screens need of servers that are not watchbell, made up of what those tell.

use crate::model::Timestamp;
use crate::wire::{
    AlertForm, AlertRow, AlertState, BuildInfo, Error, GettableAlert, ReceiverForm, ReceiverStatus,
    RuleForm, RuleGroupForm, RulesAnswer, RuntimeInfo, StorageStatus, TsdbStatus, WatchStatus,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a Prometheus tells of itself.
pub(super) struct Facts {
    pub(super) server: String,
    pub(super) address: String,
    pub(super) now: Timestamp,
    pub(super) build: BuildInfo,
    pub(super) runtime: RuntimeInfo,
    pub(super) tsdb: TsdbStatus,
    pub(super) rules: RulesAnswer,
    pub(super) receivers: Vec<ReceiverForm>,
}

/// The first page of the screens.
pub(super) fn status(facts: Facts) -> WatchStatus {
    let groups = &facts.rules.groups;
    let newest = groups.iter().filter_map(|group| group.last_evaluation).max();
    let intervals = groups.iter().map(|group| group.interval);
    let interval = intervals.fold(f64::INFINITY, f64::min);
    let receiver = |name: ReceiverForm| ReceiverStatus {
        name: name.name,
        integration: String::new(),
        last_ok: None,
        failing_since: None,
        last_error: String::new(),
        sent: 0,
        failed: 0,
    };
    let reload = "the last reload of the configuration failed".to_owned();
    WatchStatus {
        server: facts.server,
        version: String::new(),
        now: facts.now,
        started: facts.runtime.start_time,
        pid: 0,
        resident_bytes: 0,
        newest,
        evaluation_interval_seconds: if interval.is_finite() { interval } else { 0.0 },
        storage: StorageStatus {
            series: facts.tsdb.head_stats.num_series,
            retention: facts.runtime.storage_retention,
            ..StorageStatus::default()
        },
        receivers: facts.receivers.into_iter().map(receiver).collect(),
        heartbeats: Vec::new(),
        expected: Vec::new(),
        config_file: String::new(),
        config_error: (!facts.runtime.reload_config_success).then_some(reload),
        warnings: vec![format!("this is Prometheus {}, not watchbell", facts.build.version)],
        listen: vec![facts.address],
        last_resolved: None,
    }
}

/// Every alert of the rules with what Alertmanager says of it, then Alertmanager's others.
pub(super) fn alert_rows(rules: &RulesAnswer, sent: &[GettableAlert]) -> Vec<AlertRow> {
    let mut by_name: BTreeMap<&str, Vec<(usize, &GettableAlert)>> = BTreeMap::new();
    for (place, alert) in sent.iter().enumerate() {
        by_name.entry(alert.labels.value_of("alertname")).or_default().push((place, alert));
    }
    let mut used = vec![false; sent.len()];
    let mut rows = Vec::new();
    for group in &rules.groups {
        for rule in &group.rules {
            for mut row in rule_rows(group, rule) {
                let name = row.labels.value_of("alertname").to_owned();
                let candidates = by_name.get(name.as_str()).map_or(&[][..], Vec::as_slice);
                // What was sent has the external labels on top.
                let found = candidates.iter().find(|(_, alert)| {
                    row.labels.iter().all(|(name, value)| alert.labels.get(name) == Some(value))
                });
                if let Some((place, alert)) = found {
                    if let Some(used) = used.get_mut(*place) {
                        *used = true;
                    }
                    add_sent(&mut row, alert);
                }
                rows.push(row);
            }
        }
    }
    let others = sent.iter().zip(used).filter(|(_, used)| !used);
    rows.extend(others.map(|(alert, _)| outside_row(alert)));
    rows
}

fn rule_rows(group: &RuleGroupForm, rule: &RuleForm) -> Vec<AlertRow> {
    let RuleForm::Alerting { query, duration, alerts, limit, .. } = rule else {
        return Vec::new();
    };
    let row = |alert: &AlertForm| {
        let state = match (alert.state.as_str(), alert.keep_firing_since) {
            ("pending", _) => AlertState::Pending,
            ("firing", None) => AlertState::Firing,
            ("firing", Some(_)) => AlertState::KeepFiring,
            (_, _) => AlertState::Unknown,
        };
        let fires = matches!(state, AlertState::Firing | AlertState::KeepFiring);
        let for_ms = (duration * 1000.0).round();
        AlertRow {
            annotations: alert.annotations.clone(),
            state,
            value: Some(alert.value.clone()),
            active_at: alert.active_at,
            fired_at: alert
                .active_at
                .filter(|_| fires)
                .and_then(|at| Timestamp::from_seconds(at.as_seconds() + for_ms / 1000.0)),
            for_seconds: *duration,
            expr: query.clone(),
            limit: limit.clone(),
            rule_file: group.file.clone(),
            rule_group: group.name.clone(),
            interval_seconds: group.interval,
            ..AlertRow::bare(&alert.labels)
        }
    };
    alerts.iter().flatten().map(row).collect()
}

fn outside_row(alert: &GettableAlert) -> AlertRow {
    let mut row = AlertRow {
        annotations: alert.annotations.clone(),
        active_at: Some(alert.starts_at),
        fired_at: Some(alert.starts_at),
        ..AlertRow::bare(&alert.labels)
    };
    add_sent(&mut row, alert);
    row
}

fn add_sent(row: &mut AlertRow, alert: &GettableAlert) {
    row.fingerprint.clone_from(&alert.fingerprint);
    row.receivers = alert.receivers.iter().map(|receiver| receiver.name.clone()).collect();
    row.silenced_by.clone_from(&alert.status.silenced_by);
    row.inhibited_by.clone_from(&alert.status.inhibited_by);
    row.muted_by.clone_from(&alert.status.muted_by);
    if alert.status.state == "suppressed" {
        row.state = if !alert.status.silenced_by.is_empty() {
            AlertState::Silenced
        } else if !alert.status.inhibited_by.is_empty() {
            AlertState::Inhibited
        } else {
            AlertState::Muted
        };
    }
}

/// `runtimeinfo` of any version: older ones lack fields.
pub(super) fn runtime_info(mut found: Value) -> Result<RuntimeInfo, Error> {
    let missing = serde_json::json!({
        "startTime": "", "CWD": "", "hostname": "", "serverTime": "",
        "reloadConfigSuccess": true, "lastConfigTime": "", "corruptionCount": 0,
        "goroutineCount": 0, "GOMAXPROCS": 0, "GOGC": "", "GODEBUG": "", "GOMEMLIMIT": 0,
        "storageRetention": "",
    });
    if let (Some(found), Value::Object(missing)) = (found.as_object_mut(), missing) {
        for (name, value) in missing {
            found.entry(name).or_insert(value);
        }
    }
    serde_json::from_value(found)
        .map_err(|err| Error::internal(format!("cannot read runtimeinfo: {err}")))
}
