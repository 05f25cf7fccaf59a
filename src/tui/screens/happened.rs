//! One entry of the history in words: its sign, its line in the list, and all of it.
//!
//! What the bodies hold by kind is told in `alerts::Happening` and `service::rule_history`; a kind
//! or a field that is not known here is shown as it is.

use crate::model::Timestamp;
use crate::tui::data::place_alone;
use crate::tui::fmt::{self, Unit};
use crate::tui::model::Model;
use crate::tui::theme::Role;
use crate::wire::HistoryRow;
use serde_json::Value;

/// Alerts of an entry that are named; how many more there are is told.
const NAMED_MAX: usize = 8;

/// Fields that are told first, in this order; others follow after the labels, by name.
const ORDER: [&str; 12] = [
    "receiver", "error", "code", "answer", "attempts", "took_ms", "reason", "what", "by", "why",
    "comment", "matchers",
];

/// The sign in the first column, the kind in a word, and how both look.
pub(super) fn kind(row: &HistoryRow) -> (&'static str, &str, Role) {
    match row.kind.as_str() {
        "firing" => ("!", "firing", Role::Crit),
        "pending" => ("~", "pending", Role::Pending),
        "resolved" => (".", "resolved", Role::Ok),
        "pending_ended" => (".", "not fired", Role::Dim),
        "notified" if text(row, "status") == "failed" => ("F", "FAILED", Role::Error),
        "notified" => ("n", "notified", Role::Text),
        "given_up" => ("F", "GIVEN UP", Role::Error),
        "suppressed" => match text(row, "by") {
            "silence" => ("z", "silenced", Role::Pending),
            "inhibition" => ("i", "inhibited", Role::Pending),
            _ => ("m", "muted", Role::Pending),
        },
        "unsuppressed" => ("-", "audible", Role::Text),
        "silence" => ("z", "silence", Role::Text),
        "ack" => ("a", "ack", Role::Text),
        "ack_ended" => ("-", "ack ended", Role::Text),
        "rule_failed" => ("?", "RULE FAIL", Role::Error),
        "rule_recovered" => ("-", "rule ok", Role::Text),
        other => (" ", other, Role::Text),
    }
}

/// Which alert, in short.
pub(super) fn subject(model: &Model, row: &HistoryRow) -> String {
    let known = model.server.alerts.value.as_ref().and_then(|all| all.get(&row.fingerprint));
    let name = row.labels.value_of("alertname");
    let place = known.map_or_else(|| place_alone(&row.labels), |view| view.place.clone());
    match (name, place.as_str(), row.kind.as_str()) {
        ("", "", "silence") => text(row, "matchers").to_owned(),
        ("", "", "rule_failed" | "rule_recovered") => text(row, "rule").to_owned(),
        ("", "", "notified") => format!("{} alerts", told(row)),
        ("", place, _) => place.to_owned(),
        (name, "", _) => name.to_owned(),
        (name, place, _) => format!("{name} {place}"),
    }
}

/// What happened, in one line; with the receiver in front where it has no column of its own.
pub(super) fn line(model: &Model, row: &HistoryRow, names_receiver: bool) -> String {
    match row.kind.as_str() {
        "firing" | "pending" | "resolved" | "pending_ended" | "forgotten" => turned(row),
        "notified" => notified(row, names_receiver),
        "suppressed" => suppressed(model, row),
        "unsuppressed" | "flapping" | "stable" => receiver(row).to_owned(),
        "silence" => {
            let ends = number(row, "ends_at_ms").map(|ms| when(model, ms));
            let (what, by, comment) = (text(row, "what"), text(row, "by"), text(row, "comment"));
            let until = ends.map(|at| format!(" until {at}")).unwrap_or_default();
            format!("{what} by {by}{until} {comment:?} {}", text(row, "matchers"))
        }
        "ack" => match text(row, "comment") {
            "" => format!("by {}", text(row, "by")),
            comment => format!("by {}: {comment}", text(row, "by")),
        },
        "ack_ended" => match text(row, "by") {
            "" => text(row, "why").to_owned(),
            by => format!("{} by {by}", text(row, "why")),
        },
        "rule_failed" => text(row, "error").to_owned(),
        _ => {
            let fields = row.body.as_object();
            let all = fields.into_iter().flatten().filter_map(|(name, value)| {
                Some(format!("{name}={}", plain(value).filter(|text| !text.is_empty())?))
            });
            all.collect::<Vec<_>>().join(" ")
        }
    }
}

/// The receiver of a notification.
pub(super) fn receiver(row: &HistoryRow) -> &str {
    text(row, "receiver")
}

/// How long a notification took.
pub(super) fn took(row: &HistoryRow) -> String {
    let seconds = row.body.get("took_ms").and_then(Value::as_f64).map(|ms| ms / 1000.0);
    seconds.map(fmt::seconds).unwrap_or_default()
}

/// An alert came further, or ended.
fn turned(row: &HistoryRow) -> String {
    let short = |text: String| text.parse().map_or(text, |value| Unit::Plain.text(value));
    let value = row.body.get("value").and_then(plain).map(|text| format!("value {}", short(text)));
    let why = Some(text(row, "why")).filter(|why| !why.is_empty()).map(str::to_owned);
    let from = match (text(row, "rule_group"), text(row, "source")) {
        ("", "api") => Some("from outside".to_owned()),
        ("", "watch") => Some("expected, and not there".to_owned()),
        ("", _) => None,
        (group, _) => Some(format!("{} > {group}", text(row, "rule_file"))),
    };
    [value, why, from].into_iter().flatten().collect::<Vec<_>>().join("   ")
}

fn notified(row: &HistoryRow, names_receiver: bool) -> String {
    let mut words = Vec::new();
    if names_receiver {
        words.push(receiver(row).to_owned());
    }
    let attempts = number(row, "attempts").unwrap_or(0);
    if text(row, "status") == "failed" {
        let error = text(row, "error");
        // `404: no such channel` says the same, and fits.
        let error = error.strip_prefix("unexpected status code ").unwrap_or(error);
        words.push(format!("{attempts}x {error}"));
        return words.join(" ");
    }
    words.extend(number(row, "code").map(|code| code.to_string()));
    words.push("ok".to_owned());
    if attempts > 1 {
        words.push(format!("at attempt {attempts}"));
    }
    let mut line = words.join(" ");
    if names_receiver {
        line.push_str(&format!(", {}", took(row)));
    }
    let count = told(row);
    let alerts = if count == 1 { "1 alert".to_owned() } else { format!("{count} alerts") };
    format!("{line}, {}, {alerts}", text(row, "reason"))
}

fn suppressed(model: &Model, row: &HistoryRow) -> String {
    let id = text(row, "id");
    match text(row, "by") {
        "silence" => {
            let mut all = model.server.silences.value.iter().flatten();
            let found = all.find(|silence| silence.id == id);
            let said = found.map(|one| format!(" {:?} of {}", one.comment, one.created_by));
            let short: String = id.chars().take(8).collect();
            format!("by {short}{}", said.unwrap_or_default())
        }
        "inhibition" => format!("by {}", alert_named(model, id)),
        _ => format!("by {id}   {}", receiver(row)),
    }
}

/// Everything, as names and texts.
pub(super) fn facts(model: &Model, row: &HistoryRow) -> Vec<(String, String)> {
    let age = fmt::since(model.now(), row.at);
    let mut facts = vec![("at".to_owned(), format!("{}, {age} ago", exact(model, row.at)))];
    let fields = row.body.as_object();
    let known = ORDER.iter().filter_map(|name| fields?.get_key_value(*name));
    facts.extend(known.filter_map(|(name, value)| fact(model, row, name, value)));
    if !row.labels.is_empty() {
        facts.push(("labels".to_owned(), row.labels.to_string()));
    }
    if !row.fingerprint.is_empty() {
        facts.push(("fingerprint".to_owned(), row.fingerprint.clone()));
    }
    facts.push(("kind".to_owned(), row.kind.clone()));
    let others = fields.into_iter().flatten().filter(|(name, _)| !ORDER.contains(&name.as_str()));
    facts.extend(others.filter_map(|(name, value)| fact(model, row, name, value)));
    facts
}

/// One field in words; nothing for one that says nothing.
fn fact(model: &Model, row: &HistoryRow, name: &str, value: &Value) -> Option<(String, String)> {
    let (name, text) = match value {
        Value::Number(_) if name == "took_ms" => ("took", took(row)),
        Value::Number(number) if name.ends_with("_at_ms") => {
            let at = Timestamp::from_millis(number.as_i64()?);
            (name.trim_end_matches("_ms"), exact(model, at))
        }
        Value::Array(list) => (name, list_text(model, list)),
        value => (name, plain(value)?),
    };
    (!text.is_empty()).then(|| (name.to_owned(), text))
}

/// Alerts by name as far as they are known, or words; the first few of them.
fn list_text(model: &Model, list: &[Value]) -> String {
    let words = list.iter().filter_map(Value::as_str).take(NAMED_MAX);
    let mut words: Vec<_> = words.map(|word| alert_named(model, word)).collect();
    if list.len() > NAMED_MAX {
        words.push(format!("+{}", list.len() - NAMED_MAX));
    }
    words.join("   ")
}

/// The alert of a fingerprint by its name, or the fingerprint.
fn alert_named(model: &Model, print: &str) -> String {
    let all = model.server.alerts.value.as_ref();
    all.and_then(|all| all.get(print))
        .map_or_else(|| print.to_owned(), |view| format!("{} {}", view.name, view.place))
}

/// How many alerts a notification told of.
fn told(row: &HistoryRow) -> usize {
    let listed = ["firing", "resolved"].into_iter().filter_map(|name| row.body.get(name));
    let listed: usize = listed.filter_map(Value::as_array).map(Vec::len).sum();
    let more = number(row, "more").and_then(|more| usize::try_from(more).ok()).unwrap_or(0);
    listed + more
}

fn text<'a>(row: &'a HistoryRow, name: &str) -> &'a str {
    row.body.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(row: &HistoryRow, name: &str) -> Option<i64> {
    row.body.get(name).and_then(Value::as_i64)
}

/// A value in words; lists are counted.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(list) => Some(list.len().to_string()),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => Some(value.to_string()),
    }
}

fn when(model: &Model, ms: i64) -> String {
    fmt::moment(Timestamp::from_millis(ms), model.now(), &model.look.zone)
}

fn exact(model: &Model, at: Timestamp) -> String {
    let zone = &model.look.zone;
    let (date, clock) = (fmt::date(at, zone), fmt::clock_seconds(at, zone));
    format!("{date} {clock} {}", fmt::zone_name(at, zone))
}
