//! What must survive a restart: one record an alert, one a group, as JSON with a version.
//!
//! A key is `<group>` or `<group>/<rule>/<number>/<alert>`, each part a fingerprint: the group of
//! file and name, the rule of kind, name and labels, the number counts equal rules.

use super::alert::{AlertState, Phase};
use crate::model::{Annotations, Fingerprint, Labels, Timestamp, value_text};
use crate::sys::glob;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// The version of both records.
const VERSION: u32 = 1;

/// The record of a group.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedGroup {
    v: u32,
    file: String,
    name: String,
    last_evaluation_ms: i64,
}

/// The record of an alert.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedAlert {
    v: u32,
    rule: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    value: String,
    active_at_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    last_sent_ms: Option<i64>,
    phase: SavedPhase,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum SavedPhase {
    Pending,
    Firing {
        fired_at_ms: i64,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        kept_since_ms: Option<i64>,
    },
    Resolved {
        fired_at_ms: i64,
        resolved_at_ms: i64,
    },
}

/// The key of an alert's record.
pub(super) fn alert_key(
    group: Fingerprint,
    rule: Fingerprint,
    number: usize,
    labels: &Labels,
) -> String {
    format!("{group}/{rule}/{number}/{}", labels.fingerprint())
}

/// The record of a group that was last evaluated at `last`.
pub(super) fn group_record(file: &str, name: &str, last: Timestamp) -> String {
    let saved = SavedGroup {
        v: VERSION,
        file: file.to_owned(),
        name: name.to_owned(),
        last_evaluation_ms: last.as_millis(),
    };
    serde_json::to_string(&saved).expect("strings and numbers always serialize")
}

/// When the group of this record was last evaluated; `None` for a record of another kind.
pub(super) fn read_group(json: &str) -> Option<Timestamp> {
    let saved: SavedGroup = serde_json::from_str(json).ok()?;
    (saved.v == VERSION).then(|| Timestamp::from_millis(saved.last_evaluation_ms))
}

/// Gives records of earlier versions, which took the names of files as they were written, the keys
/// that belong to the cleaned names: `./r.yml` is `r.yml` now. Returns what has to be stored anew:
/// the key before, the one of now, and the record. Those of a file that `is_loaded` under its name
/// as it was written stay.
pub fn respell(
    records: &mut [(String, String)],
    is_loaded: impl Fn(&str) -> bool,
) -> Vec<(String, String, String)> {
    let mut groups = BTreeMap::new();
    for (key, json) in records.iter() {
        let Ok(saved) = serde_json::from_str::<SavedGroup>(json) else { continue };
        if is_loaded(&saved.file) {
            continue;
        }
        let file = glob::clean(Path::new(&saved.file)).display().to_string();
        let cleaned = group_fingerprint(&file, &saved.name).to_string();
        // A record that has its new key already still has the old name inside.
        if cleaned != *key {
            groups.insert(key.clone(), cleaned);
        }
    }
    let taken: BTreeSet<String> = records.iter().map(|(key, _)| key.clone()).collect();
    let mut moved = Vec::new();
    for (key, json) in records {
        let (group, rest) = key.split_at(key.find('/').unwrap_or(key.len()));
        let Some(cleaned) = groups.get(group).filter(|cleaned| !taken.contains(*cleaned)) else {
            continue;
        };
        let after = format!("{cleaned}{rest}");
        moved.push((std::mem::replace(key, after.clone()), after, json.clone()));
    }
    moved
}

/// What keys of a group's records begin with.
pub(super) fn group_fingerprint(file: &str, name: &str) -> Fingerprint {
    Labels::from_pairs([("file", file), ("name", name)]).fingerprint()
}

/// The record of an alert.
pub(super) fn alert_record(rule: &str, labels: &Labels, alert: &AlertState) -> String {
    let phase = match alert.phase {
        Phase::Pending => SavedPhase::Pending,
        Phase::Firing { fired_at, kept_since } => SavedPhase::Firing {
            fired_at_ms: fired_at.as_millis(),
            kept_since_ms: kept_since.map(Timestamp::as_millis),
        },
        Phase::Resolved { fired_at, resolved_at } => SavedPhase::Resolved {
            fired_at_ms: fired_at.as_millis(),
            resolved_at_ms: resolved_at.as_millis(),
        },
    };
    let saved = SavedAlert {
        v: VERSION,
        rule: rule.to_owned(),
        labels: strings(labels),
        annotations: strings(&alert.annotations),
        value: value_text::go_default(alert.value),
        active_at_ms: alert.active_at.as_millis(),
        last_sent_ms: alert.last_sent.map(Timestamp::as_millis),
        phase,
    };
    serde_json::to_string(&saved).expect("strings and numbers always serialize")
}

/// The alert of a record; `None` when the record is damaged or of another version.
pub(super) fn read_alert(json: &str) -> Option<(Labels, AlertState)> {
    let saved: SavedAlert = serde_json::from_str(json).ok()?;
    if saved.v != VERSION {
        return None;
    }
    let at = Timestamp::from_millis;
    let phase = match saved.phase {
        SavedPhase::Pending => Phase::Pending,
        SavedPhase::Firing { fired_at_ms, kept_since_ms } => {
            Phase::Firing { fired_at: at(fired_at_ms), kept_since: kept_since_ms.map(at) }
        }
        SavedPhase::Resolved { fired_at_ms, resolved_at_ms } => {
            Phase::Resolved { fired_at: at(fired_at_ms), resolved_at: at(resolved_at_ms) }
        }
    };
    let alert = AlertState {
        annotations: Annotations::from_pairs(saved.annotations),
        value: saved.value.parse().ok()?,
        active_at: at(saved.active_at_ms),
        phase,
        last_sent: saved.last_sent_ms.map(at),
        told: phase.view(),
        trusted_from: None,
    };
    Some((Labels::from_pairs(saved.labels), alert))
}

/// Shifts what counts time by the part of the downtime that does not count: while the process is
/// down nobody knows whether a condition holds, and so much of that time is taken as holding.
pub(super) fn shift(alert: &mut AlertState, downtime: Duration, counted: Duration) {
    let uncounted = downtime.saturating_sub(counted);
    alert.active_at = alert.active_at.plus(uncounted);
    if let Phase::Firing { kept_since: Some(since), .. } = &mut alert.phase {
        *since = since.plus(uncounted);
    }
}

/// What of an alert is worth a new record: annotations and value come with the next evaluation.
pub(super) type Mark = (Timestamp, Option<Timestamp>, Phase);

/// As `Mark`.
pub(super) fn mark(alert: &AlertState) -> Mark {
    (alert.active_at, alert.last_sent, alert.phase)
}

fn strings<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::AlertPhase;
    use proptest::prelude::*;

    #[test]
    fn the_record_on_disk_stays_as_it_is() {
        let alert = AlertState {
            annotations: Annotations::from_pairs([("summary", "s")]),
            value: f64::INFINITY,
            active_at: Timestamp::from_millis(1),
            phase: Phase::Firing { fired_at: Timestamp::from_millis(2), kept_since: None },
            last_sent: Some(Timestamp::from_millis(3)),
            told: AlertPhase::Firing,
            trusted_from: None,
        };
        let labels = Labels::from_pairs([("alertname", "A")]);
        let json = alert_record("A", &labels, &alert);
        assert_eq!(
            json,
            r#"{"v":1,"rule":"A","labels":{"alertname":"A"},"annotations":{"summary":"s"},"value":"+Inf","active_at_ms":1,"last_sent_ms":3,"phase":{"firing":{"fired_at_ms":2}}}"#
        );
        assert_eq!(read_alert(&json), Some((labels, alert)));
        assert_eq!(read_alert(&json.replace("\"v\":1", "\"v\":2")), None);
    }

    fn phase() -> impl Strategy<Value = Phase> {
        let time = || any::<i64>().prop_map(Timestamp::from_millis);
        prop_oneof![
            Just(Phase::Pending),
            (time(), proptest::option::of(time()))
                .prop_map(|(fired_at, kept_since)| Phase::Firing { fired_at, kept_since }),
            (time(), time())
                .prop_map(|(fired_at, resolved_at)| Phase::Resolved { fired_at, resolved_at }),
        ]
    }

    proptest! {
        #[test]
        fn a_record_reads_as_it_was_written(
            pairs in proptest::collection::vec((".{1,5}", ".{1,9}"), 0..4),
            value in -1e300f64..1e300, active in any::<i64>(), sent in any::<Option<i64>>(), phase in phase(),
        ) {
            let labels = Labels::from_pairs(pairs);
            let alert = AlertState {
                annotations: Annotations::from_pairs(&labels).with("none", ""),
                value,
                active_at: Timestamp::from_millis(active),
                phase,
                last_sent: sent.map(Timestamp::from_millis),
                told: phase.view(),
                trusted_from: None,
            };
            prop_assert_eq!(read_alert(&alert_record("r", &labels, &alert)), Some((labels, alert)));
        }

        #[test]
        fn damaged_records_never_panic(text in ".{0,80}", cut in 0usize..200) {
            let _ = read_alert(&text);
            let whole = group_record("f", "g", Timestamp::from_millis(1));
            let _ = read_group(&whole.chars().take(cut).collect::<String>());
        }
    }
}
