//! What the engine puts into the history, for people: it decides nothing.

use super::notification::{DeliveryOutcome, NotifiedAlert, OpenDelivery};
use super::silence::Silence;
use crate::model::{Fingerprint, Labels, MatchOp, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Identities of alerts that one entry names; how many more there were is told beside them.
const PRINTS_MAX: usize = 200;
/// Bytes of the labels by which a notification's alerts are found, beside those that all share; a
/// group of thousands would fill the disk.
const MEMBERS_BYTES_MAX: usize = 16 * 1_024;
/// Bytes of a text that is kept.
const TEXT_BYTES_MAX: usize = 1_024;

/// Something that happened. The kinds, and what `body` holds of each (times in milliseconds since
/// 1970; what is in brackets may be missing):
///
/// | kind | body |
/// |---|---|
/// | `firing`, `resolved` | `source` (`api`, `watch`, `rules`), `starts_at_ms`, `ends_at_ms`, [`why`]; of a rule's alert only an end that the rule did not tell |
/// | `suppressed`, `unsuppressed` | `by` (`silence`, `inhibition`), `id`; for a muted group `by` is `interval`, with `id`, `receiver`, `alerts`, [`more`] |
/// | `flapping`, `stable` | `receiver` |
/// | `notified` | `key`, `group`, `receiver`, `integration`, `index`, `reason`, `status` (`ok`, `failed`), `attempts`, `took_ms`, `code`, `answer`, `error`, `firing`, `resolved`, [`more`], [`members`] (labels of each alert that not all of them have), [`members_more`] |
/// | `given_up` | `receivers`, `hours` |
/// | `silence` | `id`, `what` (`created`, `updated`, `expired`, `ended`, `interval_gone`, `interval_back`), `by`, `comment`, `matchers`, `ends_at_ms` |
/// | `ack`, `ack_ended` | `by`, `comment`; `why` (`withdrawn`, `resolved`), [`by`] |
/// | `alerts_left_out` | `left_out` |
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// When.
    pub at: Timestamp,
    /// What kind of thing.
    pub kind: &'static str,
    /// Which alert; `None` when it is about none, or about several.
    pub fingerprint: Option<Fingerprint>,
    /// By what it is found.
    pub labels: Labels,
    /// The rest.
    pub body: Value,
}

/// What became of a silence.
pub(super) fn of_silence(silence: &Silence, what: &str, at: Timestamp) -> Happening {
    let equal = silence.matchers.iter().filter(|one| one.op() == MatchOp::Equal);
    let matchers: Vec<_> = silence.matchers.iter().map(ToString::to_string).collect();
    Happening {
        at,
        kind: "silence",
        fingerprint: None,
        labels: equal.map(|one| (one.name().to_owned(), one.value().to_owned())).collect(),
        body: json!({
            "id": silence.id.as_str(),
            "what": what,
            "by": silence.created_by,
            "comment": head(&silence.comment),
            "matchers": format!("{{{}}}", matchers.join(",")),
            "ends_at_ms": silence.ends_at.as_millis(),
        }),
    }
}

/// How a notification went.
pub(super) fn of_delivery(
    open: &OpenDelivery,
    outcome: &DeliveryOutcome,
    at: Timestamp,
) -> Happening {
    let (delivery, notification) = (&open.delivery, &open.delivery.notification);
    let mut body = json!({
        "key": delivery.idempotency_key(),
        "group": notification.group_key.as_str(),
        "receiver": delivery.integration.receiver,
        "integration": delivery.integration.kind,
        "index": delivery.integration.index,
        "reason": notification.reason.as_str(),
        "status": if outcome.error.is_some() { "failed" } else { "ok" },
        "attempts": outcome.attempts,
        "took_ms": u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX),
        "code": outcome.status,
        "answer": outcome.answer,
        "error": outcome.error.as_deref().map(head),
    });
    let more =
        name(&mut body, "firing", &open.firing) + name(&mut body, "resolved", &open.resolved);
    if more > 0 {
        put(&mut body, "more", json!(more));
    }
    let labels = notification.common_labels();
    put_members(&mut body, &notification.alerts, &labels);
    Happening { at, kind: "notified", fingerprint: None, labels, body }
}

/// Which intervals keep a group's alerts quiet.
pub(super) fn muted(by: &[String], receiver: &str, alerts: &BTreeSet<Fingerprint>) -> Value {
    let mut body = json!({ "by": "interval", "id": by.join(","), "receiver": receiver });
    let more = name(&mut body, "alerts", alerts);
    if more > 0 {
        put(&mut body, "more", json!(more));
    }
    body
}

/// Puts the first identities into `body`, and says how many are left out.
fn name(body: &mut Value, key: &str, prints: &BTreeSet<Fingerprint>) -> usize {
    let named: Vec<_> = prints.iter().take(PRINTS_MAX).map(ToString::to_string).collect();
    let more = prints.len() - named.len();
    put(body, key, json!(named));
    more
}

/// Puts in by what the alerts are found beside the labels that all of them share, and how many
/// are left out. One that has nothing else is named with nothing, if others have more: it is the
/// one that is found by what it does not have.
fn put_members(body: &mut Value, alerts: &[NotifiedAlert], shared: &Labels) {
    let own = |alert: &NotifiedAlert| -> BTreeMap<String, String> {
        let own = alert.labels.iter().filter(|(name, _)| shared.get(name).is_none());
        own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let members: BTreeSet<_> = alerts.iter().map(own).collect();
    if members.iter().all(BTreeMap::is_empty) {
        return;
    }
    let mut bytes = 0;
    let mut has_room = |own: &BTreeMap<String, String>| {
        bytes += own.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        bytes <= MEMBERS_BYTES_MAX
    };
    let kept: Vec<_> = members.iter().take_while(|own| has_room(own)).collect();
    let more = members.len() - kept.len();
    put(body, "members", json!(kept));
    if more > 0 {
        put(body, "members_more", json!(more));
    }
}

/// Adds to a body, which is an object.
pub(super) fn put(body: &mut Value, key: &str, value: Value) {
    if let Some(map) = body.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
}

fn head(text: &str) -> &str {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    text.get(..end).unwrap_or_default()
}
