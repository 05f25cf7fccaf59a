//! Alerts as the screens show them: what the rules know and what the alert engine knows, joined by
//! identity.

use super::rule_limit;
use crate::alerts::{Ack, AlertView, DeliveryReport};
use crate::model::relabel::{self, Outcome, Rule};
use crate::model::{AlertStatus, Fingerprint, Labels, Timestamp, value_text};
use crate::rules::{ActiveAlert, AlertPhase, GroupView, RuleKindView, RuleView};
use crate::wire::{AckStatus, AlertRow, AlertState, DeliveryStatus, SendingStatus};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long an ended alert stays on the screens.
const RESOLVED_SHOWN: Duration = Duration::from_secs(15 * 60);

/// All alerts: those of rules, then those from outside.
pub(in crate::service) fn alert_rows(
    groups: &[Arc<GroupView>],
    mut engine: BTreeMap<Fingerprint, AlertView>,
    external_labels: &Labels,
    relabelling: &[Rule],
    now: Timestamp,
) -> Vec<AlertRow> {
    let mut rows = Vec::new();
    for group in groups {
        for rule in &group.rules {
            let RuleKindView::Alerting { alerts, hold, .. } = &rule.kind else { continue };
            let limit = if alerts.is_empty() { None } else { rule_limit(&rule.query) };
            for alert in alerts {
                let print = sent_labels(&alert.labels, external_labels, relabelling).fingerprint();
                let mut row = match engine.remove(&print) {
                    Some(view) => engine_row(&view),
                    None => rule_row(alert, print),
                };
                add_rule(&mut row, alert, rule, group);
                row.limit.clone_from(&limit);
                row.for_seconds = hold.as_secs_f64();
                rows.push(row);
            }
        }
    }
    let others = engine.values().filter(|view| {
        view.status == AlertStatus::Firing || view.alert.ends_at.plus(RESOLVED_SHOWN) >= now
    });
    rows.extend(others.map(engine_row));
    rows
}

/// Adds what is on its way about each alert.
pub(in crate::service) fn add_sending(
    rows: &mut [AlertRow],
    mut sending: BTreeMap<Fingerprint, Vec<SendingStatus>>,
) {
    if sending.is_empty() {
        return;
    }
    for row in rows {
        let found = row.fingerprint.parse().ok().and_then(|print| sending.remove(&print));
        row.sending = found.unwrap_or_default();
    }
}

/// The labels under which the engine knows a rule's alert.
fn sent_labels(labels: &Labels, external: &Labels, relabelling: &[Rule]) -> Labels {
    let mut builder = labels.to_builder();
    for (name, value) in external {
        if builder.get(name).is_none() {
            builder.set(name, value);
        }
    }
    match relabel::apply(relabelling, &mut builder) {
        Outcome::Keep => builder.build(),
        Outcome::Drop => labels.clone(),
    }
}

/// An alert that was not sent yet, under the identity that it will be sent and told with.
fn rule_row(alert: &ActiveAlert, sent: Fingerprint) -> AlertRow {
    AlertRow {
        fingerprint: sent.to_string(),
        state: AlertState::Pending,
        source: "rules".to_owned(),
        ..AlertRow::bare(&alert.labels)
    }
}

fn engine_row(view: &AlertView) -> AlertRow {
    let quiet = &view.quiet;
    let state = match view.status {
        AlertStatus::Resolved => AlertState::Resolved,
        AlertStatus::Firing if !quiet.silenced_by.is_empty() => AlertState::Silenced,
        AlertStatus::Firing if !quiet.inhibited_by.is_empty() => AlertState::Inhibited,
        AlertStatus::Firing if !quiet.muted_by.is_empty() => AlertState::Muted,
        AlertStatus::Firing => AlertState::Firing,
    };
    let first = view.groups.first();
    let alert = &view.alert;
    AlertRow {
        fingerprint: view.fingerprint.to_string(),
        annotations: alert.annotations.clone(),
        state,
        source: view.source.to_owned(),
        active_at: Some(alert.starts_at),
        fired_at: Some(alert.starts_at),
        resolved_at: (view.status == AlertStatus::Resolved).then_some(alert.ends_at),
        receivers: view.receivers.clone(),
        route: first.map(|group| group.route.clone()).unwrap_or_default(),
        group_key: first.map(|group| group.group.to_string()).unwrap_or_default(),
        silenced_by: quiet.silenced_by.iter().map(ToString::to_string).collect(),
        inhibited_by: quiet.inhibited_by.iter().map(ToString::to_string).collect(),
        muted_by: quiet.muted_by.clone(),
        deliveries: view.deliveries.iter().map(delivery).collect(),
        ack: view.ack.as_ref().map(ack),
        next_flush: view.groups.iter().map(|group| group.next_flush).min(),
        ..AlertRow::bare(&alert.labels)
    }
}

fn ack(ack: &Ack) -> AckStatus {
    AckStatus { by: ack.by.clone(), comment: ack.comment.clone(), at: ack.at }
}

fn delivery(report: &DeliveryReport) -> DeliveryStatus {
    DeliveryStatus {
        receiver: report.integration.receiver.clone(),
        integration: report.integration.kind.clone(),
        at: report.at,
        error: report.error.clone(),
        attempts: report.attempts,
    }
}

/// What the rule knows better than the engine: the value, the times, where it stands.
fn add_rule(row: &mut AlertRow, alert: &ActiveAlert, rule: &RuleView, group: &GroupView) {
    row.annotations = alert.annotations.clone();
    row.value = Some(value_text::api(alert.value));
    row.active_at = Some(alert.active_at);
    row.expr.clone_from(&rule.query);
    row.rule_file.clone_from(&group.file);
    row.rule_group.clone_from(&group.name);
    row.interval_seconds = group.interval.as_secs_f64();
    match alert.phase {
        AlertPhase::Firing
            if row.state == AlertState::Resolved || row.state == AlertState::Pending =>
        {
            row.state = AlertState::Firing;
        }
        AlertPhase::Firing => {}
        AlertPhase::Pending => row.state = AlertState::Pending,
        AlertPhase::Inactive | AlertPhase::Unknown => row.state = AlertState::Unknown,
    }
    if alert.keep_firing_since.is_some() && row.state == AlertState::Firing {
        row.state = AlertState::KeepFiring;
    }
}
