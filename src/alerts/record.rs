//! The engine's memory as it is stored: one JSON object a row, with the version of its form.
//!
//! `service` keeps the rows in SQLite, one transaction for each step, before it acts on the step's
//! other effects.

use super::ack::Ack;
use super::engine::Moment;
use super::error::RecordError;
use super::held::{Held, Quiet, QuietBy, Source, TURNS_MAX, Uptime};
use super::log::{LogEntry, LogKey};
use super::notification::{
    Delivery, DeliveryId, IntegrationId, Notification, NotifiedAlert, OpenDelivery, Reason,
};
use super::silence::Silence;
use crate::model::{
    Alert, Annotations, Fingerprint, GroupKey, Labels, MatchOp, Matcher, SilenceId, Timestamp,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// The version that is written; older ones are read.
const VERSION: u32 = 1;

/// Which table a row is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Alerts by fingerprint.
    Alert,
    /// Silences by identity.
    Silence,
    /// The notification log by group, receiver and integration.
    Log,
    /// Deliveries on their way, by number.
    Outbox,
    /// Counters by name.
    Counter,
    /// Acknowledgements by the alert's fingerprint.
    Ack,
    /// When an alert that is expected was last seen, by its name.
    Watch,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Alert,
        Self::Silence,
        Self::Log,
        Self::Outbox,
        Self::Counter,
        Self::Ack,
        Self::Watch,
    ];

    /// Its name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Silence => "silence",
            Self::Log => "nlog",
            Self::Outbox => "outbox",
            Self::Counter => "counter",
            Self::Ack => "ack",
            Self::Watch => "watch",
        }
    }
}

/// One row to write, or to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The table.
    pub table: Table,
    /// The row's key.
    pub key: String,
    /// JSON; `None` removes the row.
    pub value: Option<String>,
}

impl Record {
    /// The removal of a row.
    pub(super) fn removal(table: Table, key: String) -> Self {
        Self { table, key, value: None }
    }

    fn write<T: Serialize>(table: Table, key: String, form: T) -> Self {
        let versioned = Versioned { v: VERSION, form };
        // All keys are strings, and no form has a map with other keys or a failing serializer.
        let json = serde_json::to_string(&versioned).expect("forms of records are plain JSON");
        Self { table, key, value: Some(json) }
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, RecordError> {
        let fail = |reason: String| RecordError {
            table: self.table.as_str(),
            key: self.key.clone(),
            reason,
        };
        let text = self.value.as_deref().ok_or_else(|| fail("no value".to_owned()))?;
        let versioned: Versioned<T> =
            serde_json::from_str(text).map_err(|err| fail(err.to_string()))?;
        if versioned.v > VERSION {
            let text = format!("version {} is newer than {VERSION}", versioned.v);
            return Err(fail(text));
        }
        Ok(versioned.form)
    }

    fn fail(&self, reason: impl ToString) -> RecordError {
        RecordError {
            table: self.table.as_str(),
            key: self.key.clone(),
            reason: reason.to_string(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u32,
    #[serde(flatten)]
    form: T,
}

/// An alert as it is kept, and whether every group has told its end.
pub(super) struct StoredAlert {
    pub(super) held: Held,
    pub(super) settled: bool,
}

#[derive(Serialize, Deserialize)]
struct AlertForm {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    starts_at: i64,
    ends_at: i64,
    updated_at: i64,
    ends_by_timeout: bool,
    generator_url: String,
    settled: bool,
    #[serde(default)]
    ended: bool,
    #[serde(default)]
    source: String,
    /// What keeps it quiet: how, and the identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quiet: Option<(String, String)>,
    /// When it began to fire or ended, by the wall clock of the writing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    turns: Vec<i64>,
}

pub(super) fn write_alert(held: &Held, now: Moment) -> Record {
    let alert = &held.alert;
    let form = AlertForm {
        labels: to_map(&alert.labels),
        annotations: to_map(&alert.annotations),
        starts_at: alert.starts_at.as_millis(),
        ends_at: alert.ends_at.as_millis(),
        updated_at: alert.updated_at.as_millis(),
        ends_by_timeout: alert.ends_by_timeout,
        generator_url: alert.generator_url.clone(),
        settled: held.ended && held.groups == 0,
        ended: held.ended,
        source: held.source.as_str().to_owned(),
        quiet: held.quiet.as_ref().map(|quiet| (quiet.by.as_str().to_owned(), quiet.id.clone())),
        turns: held.turns.iter().map(|at| at.to_wall(now).as_millis()).collect(),
    };
    Record::write(Table::Alert, alert.fingerprint().to_string(), form)
}

pub(super) fn read_alert(record: &Record, now: Moment) -> Result<StoredAlert, RecordError> {
    let form: AlertForm = record.read()?;
    let alert = Alert {
        labels: Labels::from_pairs(form.labels),
        annotations: Annotations::from_pairs(form.annotations),
        starts_at: Timestamp::from_millis(form.starts_at),
        ends_at: Timestamp::from_millis(form.ends_at),
        generator_url: form.generator_url,
        updated_at: Timestamp::from_millis(form.updated_at),
        ends_by_timeout: form.ends_by_timeout,
    };
    let quiet = form.quiet.and_then(|(by, id)| Some(Quiet { by: QuietBy::from_text(&by)?, id }));
    let turns = form.turns.iter().rev().take(TURNS_MAX).rev();
    let turns = turns.map(|at| Uptime::of_wall(Timestamp::from_millis(*at), now));
    let mut turns: VecDeque<_> = turns.collect();
    if turns.back().is_some_and(|last| *last > Uptime::of(now)) {
        // The wall clock was set back: nobody knows how long ago they were.
        turns.clear();
    }
    let held = Held {
        ended: form.ended,
        quiet,
        turns,
        ..Held::new(alert, Source::from_text(&form.source), now)
    };
    Ok(StoredAlert { held, settled: form.settled })
}

#[derive(Serialize, Deserialize)]
struct SilenceForm {
    matchers: Vec<(String, String, String)>,
    starts_at: i64,
    ends_at: i64,
    updated_at: i64,
    created_by: String,
    comment: String,
    annotations: BTreeMap<String, String>,
    /// Whether its end is in the history.
    #[serde(default)]
    ended: bool,
}

pub(super) fn write_silence(silence: &Silence, ended: bool) -> Record {
    let matcher = |one: &Matcher| {
        (one.name().to_owned(), one.op().as_str().to_owned(), one.value().to_owned())
    };
    let form = SilenceForm {
        matchers: silence.matchers.iter().map(matcher).collect(),
        starts_at: silence.starts_at.as_millis(),
        ends_at: silence.ends_at.as_millis(),
        updated_at: silence.updated_at.as_millis(),
        created_by: silence.created_by.clone(),
        comment: silence.comment.clone(),
        annotations: to_map(&silence.annotations),
        ended,
    };
    Record::write(Table::Silence, silence.id.as_str().to_owned(), form)
}

/// The silence, and whether its end is in the history.
pub(super) fn read_silence(record: &Record) -> Result<(Silence, bool), RecordError> {
    let form: SilenceForm = record.read()?;
    let matcher = |(name, op, value): &(String, String, String)| {
        let op = match op.as_str() {
            "=" => MatchOp::Equal,
            "!=" => MatchOp::NotEqual,
            "=~" => MatchOp::Regex,
            "!~" => MatchOp::NotRegex,
            other => return Err(record.fail(format!("unknown operator {other:?}"))),
        };
        Matcher::of_alerts(name.as_str(), op, value.as_str()).map_err(|err| record.fail(err))
    };
    let silence = Silence {
        id: SilenceId::from_text(&record.key),
        matchers: form.matchers.iter().map(matcher).collect::<Result<_, _>>()?,
        starts_at: Timestamp::from_millis(form.starts_at),
        ends_at: Timestamp::from_millis(form.ends_at),
        updated_at: Timestamp::from_millis(form.updated_at),
        created_by: form.created_by,
        comment: form.comment,
        annotations: Annotations::from_pairs(form.annotations),
    };
    Ok((silence, form.ended))
}

#[derive(Serialize, Deserialize)]
struct LogForm {
    group: String,
    receiver: String,
    kind: String,
    index: u32,
    firing: Vec<u64>,
    resolved: Vec<u64>,
    sent_at: i64,
    expires_at: i64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    data: BTreeMap<String, String>,
}

pub(super) fn log_row_key(key: &LogKey) -> String {
    format!("{}\u{1f}{}", key.group, key.integration)
}

pub(super) fn write_log(key: &LogKey, entry: &LogEntry) -> Record {
    let form = LogForm {
        group: key.group.as_str().to_owned(),
        receiver: key.integration.receiver.clone(),
        kind: key.integration.kind.clone(),
        index: key.integration.index,
        firing: from_set(&entry.firing),
        resolved: from_set(&entry.resolved),
        sent_at: entry.sent_at.as_millis(),
        expires_at: entry.sent_at.plus(entry.kept).as_millis(),
        data: entry.data.clone(),
    };
    Record::write(Table::Log, log_row_key(key), form)
}

/// What was told. A time in the future is from a wall clock that has been set back: a repeat must
/// not wait until it catches up.
pub(super) fn read_log(record: &Record, now: Moment) -> Result<(LogKey, LogEntry), RecordError> {
    let form: LogForm = record.read()?;
    let sent_at = Timestamp::from_millis(form.sent_at);
    let integration = IntegrationId { receiver: form.receiver, kind: form.kind, index: form.index };
    let key = LogKey { group: GroupKey::from_text(&form.group), integration };
    let entry = LogEntry {
        firing: to_set(form.firing),
        resolved: to_set(form.resolved),
        sent_at,
        sent: Uptime::of_wall(sent_at, now).min(Uptime::of(now)),
        kept: Timestamp::from_millis(form.expires_at).since(sent_at),
        data: form.data,
    };
    Ok((key, entry))
}

#[derive(Serialize, Deserialize)]
struct OutboxForm {
    group: String,
    receiver: String,
    kind: String,
    index: u32,
    group_labels: BTreeMap<String, String>,
    route_labels: Vec<(String, String)>,
    alerts: Vec<NotifiedForm>,
    reason: String,
    external_url: String,
    at: i64,
    firing: Vec<u64>,
    resolved: Vec<u64>,
    repeat_ms: u64,
    timeout_ms: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    data: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct NotifiedForm {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    starts_at: i64,
    ends_at: Option<i64>,
    generator_url: String,
}

pub(super) fn outbox_row_key(id: DeliveryId) -> String {
    format!("{:020}", id.number())
}

pub(super) fn write_outbox(open: &OpenDelivery) -> Record {
    let Delivery { id, integration, notification, .. } = &open.delivery;
    let alert = |alert: &NotifiedAlert| NotifiedForm {
        labels: to_map(&alert.labels),
        annotations: to_map(&alert.annotations),
        starts_at: alert.starts_at.as_millis(),
        ends_at: alert.ends_at.map(Timestamp::as_millis),
        generator_url: alert.generator_url.clone(),
    };
    let form = OutboxForm {
        group: notification.group_key.as_str().to_owned(),
        receiver: integration.receiver.clone(),
        kind: integration.kind.clone(),
        index: integration.index,
        group_labels: to_map(&notification.group_labels),
        route_labels: notification.route_labels.clone(),
        alerts: notification.alerts.iter().map(alert).collect(),
        reason: notification.reason.as_str().to_owned(),
        external_url: notification.external_url.clone(),
        at: notification.at.as_millis(),
        firing: from_set(&open.firing),
        resolved: from_set(&open.resolved),
        repeat_ms: to_ms(open.repeat),
        timeout_ms: to_ms(open.timeout),
        data: open.delivery.data.clone(),
    };
    Record::write(Table::Outbox, outbox_row_key(*id), form)
}

/// A delivery that was on its way, to be sent again with the same key.
pub(super) fn read_outbox(record: &Record, now: Moment) -> Result<OpenDelivery, RecordError> {
    let form: OutboxForm = record.read()?;
    let number: u64 = record.key.parse().map_err(|err| record.fail(err))?;
    let reason = Reason::ALL.into_iter().find(|reason| reason.as_str() == form.reason);
    let alert = |form: NotifiedForm| NotifiedAlert {
        labels: Labels::from_pairs(form.labels),
        annotations: Annotations::from_pairs(form.annotations),
        starts_at: Timestamp::from_millis(form.starts_at),
        ends_at: form.ends_at.map(Timestamp::from_millis),
        generator_url: form.generator_url,
    };
    let timeout = Duration::from_millis(form.timeout_ms);
    let notification = Notification {
        group_key: GroupKey::from_text(&form.group),
        receiver: form.receiver.clone(),
        group_labels: Labels::from_pairs(form.group_labels),
        route_labels: form.route_labels,
        alerts: form.alerts.into_iter().map(alert).collect(),
        reason: reason.unwrap_or(Reason::Unknown),
        external_url: form.external_url,
        at: Timestamp::from_millis(form.at),
    };
    let delivery = Delivery {
        id: DeliveryId(number),
        integration: IntegrationId { receiver: form.receiver, kind: form.kind, index: form.index },
        notification,
        data: form.data,
        deadline: now.elapsed.saturating_add(timeout),
        resumed: true,
    };
    Ok(OpenDelivery {
        delivery,
        firing: to_set(form.firing),
        resolved: to_set(form.resolved),
        repeat: Duration::from_millis(form.repeat_ms),
        timeout,
        flush: None,
        started: now,
    })
}

#[derive(Serialize, Deserialize)]
struct AckForm {
    by: String,
    comment: String,
    at: i64,
}

pub(super) fn write_ack(print: Fingerprint, ack: &Ack) -> Record {
    let form = AckForm { by: ack.by.clone(), comment: ack.comment.clone(), at: ack.at.as_millis() };
    Record::write(Table::Ack, print.to_string(), form)
}

pub(super) fn read_ack(record: &Record) -> Result<(Fingerprint, Ack), RecordError> {
    let form: AckForm = record.read()?;
    let print: Fingerprint = record.key.parse().map_err(|err| record.fail(err))?;
    Ok((print, Ack { by: form.by, comment: form.comment, at: Timestamp::from_millis(form.at) }))
}

#[derive(Serialize, Deserialize)]
struct WatchForm {
    seen_at: i64,
    /// Without it, it has come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    awaited: bool,
}

/// What is expected came, or is `awaited` since then and has never come.
pub(super) fn write_watch(name: &str, at: Timestamp, awaited: bool) -> Record {
    Record::write(Table::Watch, name.to_owned(), WatchForm { seen_at: at.as_millis(), awaited })
}

/// When that was, and whether it has never come.
pub(super) fn read_watch(record: &Record) -> Result<(Timestamp, bool), RecordError> {
    let form: WatchForm = record.read()?;
    Ok((Timestamp::from_millis(form.seen_at), form.awaited))
}

#[derive(Serialize, Deserialize)]
struct CounterForm {
    value: u64,
}

/// The counter of deliveries.
pub(super) const DELIVERIES: &str = "deliveries";

pub(super) fn write_counter(name: &str, value: u64) -> Record {
    Record::write(Table::Counter, name.to_owned(), CounterForm { value })
}

pub(super) fn read_counter(record: &Record) -> Result<u64, RecordError> {
    Ok(record.read::<CounterForm>()?.value)
}

fn to_map<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn from_set(prints: &BTreeSet<Fingerprint>) -> Vec<u64> {
    prints.iter().map(|print| print.bits()).collect()
}

fn to_set(bits: Vec<u64>) -> BTreeSet<Fingerprint> {
    bits.into_iter().map(Fingerprint::from_bits).collect()
}

fn to_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::matchers::{Mode, parse_list};
    use proptest::prelude::*;

    #[test]
    fn what_is_written_reads_back() {
        let now = Moment { wall: Timestamp::from_millis(7), elapsed: Duration::from_secs(7) };
        let silence = Silence {
            id: SilenceId::from_text("x"),
            matchers: parse_list(r#"{a="1",b=~"x|y",c!~"z"}"#, Mode::Fallback).expect("valid"),
            starts_at: Timestamp::from_millis(1),
            ends_at: Timestamp::from_millis(2),
            updated_at: Timestamp::from_millis(3),
            created_by: "me".to_owned(),
            comment: "\u{e4}\"".to_owned(),
            annotations: Annotations::from_pairs([("k", "v")]),
        };
        assert_eq!(read_silence(&write_silence(&silence, true)), Ok((silence, true)));
        let key = LogKey {
            group: GroupKey::from_text("{}:{}"),
            integration: IntegrationId {
                receiver: "r".to_owned(),
                kind: "webhook".to_owned(),
                index: 1,
            },
        };
        let entry = LogEntry {
            firing: to_set(vec![u64::MAX, 1]),
            resolved: to_set(vec![2]),
            sent_at: now.wall,
            sent: Uptime::of(now),
            kept: Duration::from_secs(60),
            data: BTreeMap::from([("threadTs".to_owned(), "1.2".to_owned())]),
        };
        assert_eq!(read_log(&write_log(&key, &entry), now), Ok((key, entry)));
        let (print, ack) = (
            Fingerprint::from_bits(3),
            Ack { by: "me".to_owned(), comment: "\"".to_owned(), at: Timestamp::from_millis(5) },
        );
        assert_eq!(read_ack(&write_ack(print, &ack)), Ok((print, ack)));
    }

    #[test]
    fn a_newer_version_is_left_out_with_its_reason() {
        let record = Record {
            table: Table::Counter,
            key: "deliveries".to_owned(),
            value: Some(r#"{"v":2,"value":1}"#.to_owned()),
        };
        let err = read_counter(&record).expect_err("newer");
        assert!(err.to_string().contains("version 2 is newer than 1"), "{err}");
    }

    proptest! {
        #[test]
        fn an_alert_reads_back(
            pairs in proptest::collection::btree_map("[a-z]{1,4}", ".{1,8}", 1..5),
            starts in any::<i64>(),
            ends in any::<i64>(),
            (ended, told) in (any::<bool>(), any::<bool>()),
            turns in proptest::collection::vec(-1_000_000_i64..0, 0..9),
        ) {
            let alert = Alert {
                labels: Labels::from_pairs(pairs.clone()),
                annotations: Annotations::from_pairs(pairs),
                starts_at: Timestamp::from_millis(starts),
                ends_at: Timestamp::from_millis(ends),
                generator_url: "http://x".to_owned(),
                updated_at: Timestamp::EPOCH,
                ends_by_timeout: true,
            };
            let now = Moment { wall: Timestamp::EPOCH, elapsed: Duration::from_secs(7) };
            let turns = turns.into_iter().map(|at| Uptime::of_wall(Timestamp::from_millis(at), now));
            let held = Held {
                ended,
                groups: usize::from(!told),
                quiet: told.then(|| Quiet { by: QuietBy::Silence, id: "x".to_owned() }),
                turns: turns.collect(),
                ..Held::new(alert, Source::Watch, now)
            };
            let back = read_alert(&write_alert(&held, now), now).expect("reads");
            prop_assert_eq!(back.settled, ended && told);
            let back = back.held;
            prop_assert_eq!(
                (&back.alert, back.ended, back.ends, back.source),
                (&held.alert, ended, held.ends, held.source)
            );
            prop_assert_eq!((back.quiet, back.turns), (held.quiet, held.turns));
        }

        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let record = Record { table: Table::Outbox, key: "1".to_owned(), value: Some(text) };
            let now = Moment { wall: Timestamp::EPOCH, elapsed: Duration::ZERO };
            prop_assert!(read_outbox(&record, now).is_err());
            prop_assert!(read_alert(&record, now).is_err());
            prop_assert!(read_silence(&record).is_err());
        }
    }
}
