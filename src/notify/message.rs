//! A notification as receivers' templates and the web hook's JSON see it.
//!
//! Source: prometheus/alertmanager, template/template.go (Data, Alert), notify/webhook/webhook.go.

use crate::alerts::{Notification, NotifiedAlert};
use crate::model::{AlertStatus, Annotations, Labels, Timestamp};
use crate::template::{Kv, List, Object, Record, Takes, Time, Value};
use serde::{Serialize, Serializer};

/// Go's zero time, which stands for the end of a firing alert.
pub(super) const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// What templates get as their dot.
pub(super) fn template_data(notification: &Notification, route_labels: &Labels) -> Value {
    let alerts: Vec<_> = notification.alerts.iter().map(alert_value).collect();
    Value::object(Record::new(
        "template.Data",
        [
            ("Receiver", "receiver", Value::from(quoted_meta(&notification.receiver))),
            ("Status", "status", Value::from(notification.status().as_str())),
            ("Alerts", "alerts", Value::object(Alerts(alerts))),
            ("NotificationReason", "notification_reason", notification.reason.as_str().into()),
            ("GroupLabels", "groupLabels", kv(&notification.group_labels)),
            ("CommonLabels", "commonLabels", kv(&notification.common_labels())),
            ("CommonAnnotations", "commonAnnotations", kv(&notification.common_annotations())),
            ("RouteLabels", "routeLabels", kv(route_labels)),
            ("ExternalURL", "externalURL", Value::string(&notification.external_url)),
        ],
    ))
}

/// The web hook's body, version 4, as Go's encoder writes it.
pub(super) fn webhook_json(
    notification: &Notification,
    route_labels: &Labels,
    truncated: usize,
) -> String {
    versioned_json("4", notification, route_labels, truncated, usize::MAX)
}

/// The same under another version, with the first `alerts_max` alerts alone: all else is said
/// about all of them.
pub(super) fn versioned_json(
    version: &'static str,
    notification: &Notification,
    route_labels: &Labels,
    truncated: usize,
    alerts_max: usize,
) -> String {
    let form = WebhookForm {
        receiver: quoted_meta(&notification.receiver),
        status: notification.status().as_str(),
        alerts: notification.alerts.iter().take(alerts_max).map(AlertForm::new).collect(),
        notification_reason: notification.reason.as_str(),
        group_labels: Sorted(notification.group_labels.clone()),
        common_labels: Sorted(notification.common_labels()),
        common_annotations: Sorted(notification.common_annotations()),
        route_labels: Sorted(route_labels.clone()),
        external_url: &notification.external_url,
        version,
        group_key: notification.group_key.as_str(),
        truncated_alerts: truncated,
    };
    go_json(&form)
}

/// A body as Go's encoder writes it, with its escapes and a line end. The form must be one that
/// has maps with text keys alone and no serializer that fails.
pub(super) fn go_json(form: &impl Serialize) -> String {
    let json = serde_json::to_string(form).expect("a form of plain JSON");
    go_escaped(&json)
}

/// What Go's encoder escapes beyond the need: these characters occur inside strings alone.
fn go_escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    out.push('\n');
    out
}

/// RFC 3339 in UTC, the fraction without trailing zeros: Go's `RFC3339Nano`.
pub(super) fn rfc3339(at: Timestamp) -> String {
    let Ok(instant) = jiff::Timestamp::from_millisecond(at.as_millis()) else {
        return ZERO_TIME.to_owned();
    };
    instant.to_string()
}

/// Go's `regexp.QuoteMeta`: upstream quotes the receiver, since its UI filters by an expression.
fn quoted_meta(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn kv<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    Value::object(Kv::new(pairs))
}

fn alert_value(alert: &NotifiedAlert) -> (AlertStatus, Value) {
    let ends_at = alert.ends_at.map_or_else(Time::zero, Time::utc);
    let value = Value::object(Record::new(
        "template.Alert",
        [
            ("Status", "status", Value::from(alert.status().as_str())),
            ("Labels", "labels", kv(&alert.labels)),
            ("Annotations", "annotations", kv(&alert.annotations)),
            ("StartsAt", "startsAt", Value::Time(Time::utc(alert.starts_at))),
            ("EndsAt", "endsAt", Value::Time(ends_at)),
            ("GeneratorURL", "generatorURL", Value::string(&alert.generator_url)),
            ("Fingerprint", "fingerprint", Value::from(alert.fingerprint().to_string())),
        ],
    ));
    (alert.status(), value)
}

/// The list of alerts, with its two methods.
#[derive(Debug)]
struct Alerts(Vec<(AlertStatus, Value)>);

impl Alerts {
    fn of(&self, wanted: AlertStatus) -> Value {
        let found = self.0.iter().filter(|(status, _)| *status == wanted).cloned();
        Value::List(List::typed("[]template.Alert", found.map(|(_, value)| value)))
    }
}

impl Object for Alerts {
    fn type_name(&self) -> &str {
        "template.Alerts"
    }

    fn takes(&self, method: &str) -> Option<Takes> {
        matches!(method, "Firing" | "Resolved").then_some(Takes::exactly(&[]))
    }

    fn call(&self, method: &str, _: &[Value]) -> Result<Value, String> {
        let firing = method == "Firing";
        Ok(self.of(if firing { AlertStatus::Firing } else { AlertStatus::Resolved }))
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::list(self.0.iter().map(|(_, value)| value.clone())))
    }
}

/// Labels or annotations as a map in the order of their names.
struct Sorted<T>(T);

impl<T> Serialize for Sorted<T>
where
    for<'a> &'a T: IntoIterator<Item = (&'a str, &'a str)>,
{
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(&self.0)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WebhookForm<'a> {
    receiver: String,
    status: &'static str,
    alerts: Vec<AlertForm<'a>>,
    #[serde(rename = "notification_reason")]
    notification_reason: &'static str,
    group_labels: Sorted<Labels>,
    common_labels: Sorted<Labels>,
    common_annotations: Sorted<Annotations>,
    route_labels: Sorted<Labels>,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    version: &'static str,
    group_key: &'a str,
    truncated_alerts: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertForm<'a> {
    status: &'static str,
    labels: Sorted<Labels>,
    annotations: Sorted<Annotations>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: String,
}

impl<'a> AlertForm<'a> {
    fn new(alert: &'a NotifiedAlert) -> Self {
        Self {
            status: alert.status().as_str(),
            labels: Sorted(alert.labels.clone()),
            annotations: Sorted(alert.annotations.clone()),
            starts_at: rfc3339(alert.starts_at),
            ends_at: alert.ends_at.map_or_else(|| ZERO_TIME.to_owned(), rfc3339),
            generator_url: &alert.generator_url,
            fingerprint: alert.fingerprint().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::testing::notification;

    #[test]
    fn the_body_of_a_web_hook_is_go_s_byte_for_byte() {
        let (first, left_out) = notification().truncated(1);
        let expected = concat!(
            r#"{"receiver":"team\\.x","status":"firing","alerts":[{"status":"firing","#,
            r#""labels":{"alertname":"X","sev":"a"},"annotations":{"s":"\u003cb\u003e\u0026"},"#,
            r#""startsAt":"2024-01-01T00:00:00.5Z","endsAt":"0001-01-01T00:00:00Z","#,
            r#""generatorURL":"http://gen/x?a=1\u0026b=2","fingerprint":"476f33eddce37ce9"}],"#,
            r#""notification_reason":"first notification","groupLabels":{"alertname":"X"},"#,
            r#""commonLabels":{"alertname":"X","sev":"a"},"commonAnnotations":{"s":"\u003cb\u003e\u0026"},"#,
            r#""routeLabels":{},"externalURL":"http://am","version":"4","#,
            r#""groupKey":"{}:{alertname=\"X\"}","truncatedAlerts":1}"#,
            "\n",
        );
        assert_eq!(webhook_json(&first, &Labels::empty(), left_out), expected);
    }

    #[test]
    fn fractions_of_seconds_have_no_trailing_zeros() {
        for (millis, text) in [
            (1_704_067_200_000, "2024-01-01T00:00:00Z"),
            (1_704_067_200_120, "2024-01-01T00:00:00.12Z"),
            (1_704_067_200_001, "2024-01-01T00:00:00.001Z"),
        ] {
            assert_eq!(rfc3339(Timestamp::from_millis(millis)), text);
        }
    }
}
