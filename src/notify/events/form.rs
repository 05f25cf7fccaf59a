//! An event as one line of JSON: the form that protobuf gives to upstream's schema, in which
//! numbers of 64 bits are texts and what holds its default is left out.
//!
//! Source: prometheus/alertmanager, eventrecorder/eventrecorderpb/eventrecorder.proto,
//! eventrecorder/events.go, notify/event.go. Three fields differ: `hash` is the fingerprint where
//! upstream has another hash of the same labels; there is no `groupUuid`; the annotations of a
//! silence, which the schema has, are told.

use crate::alerts::{
    GroupInfo, InhibitRule, Notified, NotifiedAlert, Occurrence, Reason, Silence, What,
};
use crate::model::{
    Alert, AlertStatus, Annotations, Fingerprint, Labels, MatchOp, Matcher, Timestamp,
};
use crate::notify::message::{ZERO_TIME, rfc3339};
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Something that outputs are told. It becomes a text when the first of them asks for it.
#[derive(Debug)]
pub struct Event {
    at: Timestamp,
    instance: Arc<str>,
    told: Told,
    line: OnceLock<String>,
}

#[derive(Debug)]
enum Told {
    Started { version: String, build: String },
    Stopped,
    Occurred(What),
}

impl Event {
    /// This server works.
    pub fn started(at: Timestamp, instance: Arc<str>, version: &str, build: String) -> Self {
        Self::new(at, instance, Told::Started { version: version.to_owned(), build })
    }

    /// This server stops.
    pub fn stopped(at: Timestamp, instance: Arc<str>) -> Self {
        Self::new(at, instance, Told::Stopped)
    }

    /// What the engine tells.
    pub fn occurred(occurrence: Occurrence, instance: Arc<str>) -> Self {
        Self::new(occurrence.at, instance, Told::Occurred(occurrence.what))
    }

    fn new(at: Timestamp, instance: Arc<str>, told: Told) -> Self {
        Self { at, instance, told, line: OnceLock::new() }
    }

    /// The type, as metrics name it.
    pub const fn kind(&self) -> &'static str {
        match &self.told {
            Told::Started { .. } => "alertmanager_startup_event",
            Told::Stopped => "alertmanager_shutdown_event",
            Told::Occurred(what) => match what {
                What::AlertCreated(_) => "alert_created",
                What::AlertGrouped(..) => "alert_grouped",
                What::AlertResolved(..) => "alert_resolved",
                What::Notified(_) => "notification",
                What::SilenceCreated(_) => "silence_created",
                What::SilenceUpdated(_) => "silence_updated",
                What::SilenceMuted(..) => "silence_muted_alert",
                What::InhibitionMuted { .. } => "inhibition_muted_alert",
            },
        }
    }

    /// The JSON, without a line end.
    pub fn line(&self) -> &str {
        self.line.get_or_init(|| {
            let (key, body) = self.data();
            let data = json!({ key: body });
            message([
                ("@timestamp", rfc3339(self.at).into()),
                ("instance", (*self.instance).into()),
                ("data", data),
            ])
            .to_string()
        })
    }

    fn data(&self) -> (&'static str, Value) {
        let what = match &self.told {
            Told::Started { version, build } => {
                let fields = [("version", json!(version)), ("buildContext", json!(build))];
                return ("alertmanagerStartupEvent", message(fields));
            }
            Told::Stopped => return ("alertmanagerShutdownEvent", json!({})),
            Told::Occurred(what) => what,
        };
        let grouped = |alert: &Alert, group: &GroupInfo| {
            let alert = grouped(alert.fingerprint(), Some(self.alert(alert)));
            message([("alert", alert), ("groupInfo", group_info(group, &[]))])
        };
        let of_silence = |one: &Silence| message([("silence", silence(one))]);
        match what {
            What::AlertCreated(alert) => ("alertCreated", message([("alert", self.alert(alert))])),
            What::AlertGrouped(alert, group) => ("alertGrouped", grouped(alert, group)),
            What::AlertResolved(alert, group) => ("alertResolved", grouped(alert, group)),
            What::Notified(notified) => ("notification", notification(notified)),
            What::SilenceCreated(one) => ("silenceCreated", of_silence(one)),
            What::SilenceUpdated(one) => ("silenceUpdated", of_silence(one)),
            What::SilenceMuted(one, labels) => {
                let fields = [("silence", silence(one)), ("mutedAlert", muted(labels))];
                ("silenceMutedAlert", message(fields))
            }
            What::InhibitionMuted { rule, labels, by } => {
                let fields = [
                    ("inhibitRules", json!([inhibit_rule(rule)])),
                    ("mutedAlert", muted(labels)),
                    ("inhibitingFingerprints", json!([by.bits().to_string()])),
                ];
                ("inhibitionMutedAlert", message(fields))
            }
        }
    }

    fn alert(&self, alert: &Alert) -> Value {
        let resolved = alert.status(self.at) == AlertStatus::Resolved;
        let times = (alert.starts_at, rfc3339(alert.ends_at));
        alert_of(&alert.labels, &alert.annotations, times, resolved)
    }
}

/// What holds its default is left out.
fn message<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let is_told = |value: &Value| match value {
        Value::Null => false,
        Value::Bool(is_set) => *is_set,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Number(_) | Value::Object(_) => true,
    };
    fields.into_iter().filter(|(_, value)| is_told(value)).collect()
}

fn label_set<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    let pairs: Vec<_> =
        pairs.map(|(key, value)| message([("key", key.into()), ("value", value.into())])).collect();
    message([("labels", pairs.into())])
}

fn alert_of(
    labels: &Labels,
    annotations: &Annotations,
    (starts_at, ends_at): (Timestamp, String),
    resolved: bool,
) -> Value {
    message([
        ("fingerprint", labels.fingerprint().bits().to_string().into()),
        ("name", labels.value_of("alertname").into()),
        ("labels", label_set(labels.iter())),
        ("annotations", label_set(annotations.iter())),
        ("startsAt", rfc3339(starts_at).into()),
        ("endsAt", ends_at.into()),
        ("resolved", resolved.into()),
    ])
}

fn grouped(print: Fingerprint, details: Option<Value>) -> Value {
    let details = details.unwrap_or_default();
    message([("hash", print.bits().to_string().into()), ("details", details)])
}

fn group_info(group: &GroupInfo, of_route: &[Matcher]) -> Value {
    message([
        ("groupKey", group.key.as_str().into()),
        ("groupLabels", label_set(group.labels.iter())),
        ("groupId", group.key.hash().into()),
        ("receiverName", group.receiver.as_str().into()),
        ("matchers", matchers(of_route)),
    ])
}

fn notification(notified: &Notified) -> Value {
    let Notified { notification, integration, .. } = notified;
    let hashes = |prints: &[Fingerprint]| -> Value {
        prints.iter().map(|print| grouped(*print, None)).collect::<Vec<_>>().into()
    };
    let group = GroupInfo {
        key: notification.group_key.clone(),
        labels: notification.group_labels.clone(),
        receiver: notification.receiver.clone(),
    };
    let told = |alert: &NotifiedAlert| {
        let ends_at = alert.ends_at.map_or_else(|| ZERO_TIME.to_owned(), rfc3339);
        let times = (alert.starts_at, ends_at);
        let resolved = alert.ends_at.is_some();
        let details = alert_of(&alert.labels, &alert.annotations, times, resolved);
        grouped(alert.fingerprint(), Some(details))
    };
    let index = Some(integration.index).filter(|index| *index > 0);
    let integration = message([
        ("name", integration.kind.as_str().into()),
        ("index", index.map(|index| index.to_string()).into()),
    ]);
    message([
        ("alerts", notification.alerts.iter().map(told).collect::<Vec<_>>().into()),
        ("firingAlerts", hashes(&notified.firing)),
        ("resolvedAlerts", hashes(&notified.resolved)),
        ("mutedAlerts", hashes(&notified.muted)),
        ("groupInfo", group_info(&group, &notified.matchers)),
        ("repeatInterval", duration(notified.repeat).into()),
        ("reason", reason(notification.reason).into()),
        ("flushId", notified.flush.map(|id| id.to_string()).into()),
        ("integration", integration),
    ])
}

const fn reason(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::First => "NOTIFY_REASON_FIRST_NOTIFICATION",
        Reason::NewAlerts => "NOTIFY_REASON_NEW_ALERTS_IN_GROUP",
        Reason::SomeResolved => "NOTIFY_REASON_NEW_RESOLVED_ALERTS",
        Reason::AllResolved => "NOTIFY_REASON_ALL_ALERTS_RESOLVED",
        Reason::Repeat => "NOTIFY_REASON_REPEAT_INTERVAL_ELAPSED",
        Reason::Unknown => return None,
    })
}

fn silence(silence: &Silence) -> Value {
    let all = matchers(&silence.matchers);
    message([
        ("id", silence.id.as_str().into()),
        ("matchers", all.clone()),
        ("annotations", label_set(silence.annotations.iter())),
        ("startsAt", rfc3339(silence.starts_at).into()),
        ("endsAt", rfc3339(silence.ends_at).into()),
        ("updatedAt", rfc3339(silence.updated_at).into()),
        ("createdBy", silence.created_by.as_str().into()),
        ("comment", silence.comment.as_str().into()),
        ("matcherSets", json!([message([("matchers", all)])])),
    ])
}

fn muted(labels: &Labels) -> Value {
    let print = labels.fingerprint().bits().to_string();
    message([("labels", label_set(labels.iter())), ("fingerprint", print.into())])
}

fn inhibit_rule(rule: &InhibitRule) -> Value {
    message([
        ("sourceMatchers", matchers(&rule.source)),
        ("targetMatchers", matchers(&rule.target)),
        ("equalLabels", json!(rule.equal)),
        ("name", rule.name.as_str().into()),
    ])
}

fn matchers(matchers: &[Matcher]) -> Value {
    let form = |matcher: &Matcher| {
        let kind = match matcher.op() {
            MatchOp::Equal => "TYPE_EQUAL",
            MatchOp::Regex => "TYPE_REGEXP",
            MatchOp::NotEqual => "TYPE_NOT_EQUAL",
            MatchOp::NotRegex => "TYPE_NOT_REGEXP",
        };
        message([
            ("type", kind.into()),
            ("name", matcher.name().into()),
            ("pattern", matcher.value().into()),
            ("rendered", matcher.to_string().into()),
        ])
    };
    matchers.iter().map(form).collect::<Vec<_>>().into()
}

/// Seconds, with three digits after the point or none.
fn duration(span: Duration) -> String {
    match span.subsec_millis() {
        0 => format!("{}s", span.as_secs()),
        millis => format!("{}.{millis:03}s", span.as_secs()),
    }
}
