//! What rules did, as entries of the history: alerts that came further or ended, and rules that
//! began to fail or fail no longer.

use crate::model::relabel::{self, Rule};
use crate::model::{Labels, Timestamp, value_text};
use crate::rules::{AlertChange, Evaluation, HealthChange};
use crate::storage::state::{HistoryEntry, StateOp};
use serde_json::{Value, json};

/// Entries of one evaluation. A rule that makes new alerts each time would fill the disk; what is
/// beyond is one entry that tells how many there were.
const ENTRIES_MAX: usize = 1_000;
/// Bytes of a failed rule's reason that are kept.
const ERROR_BYTES_MAX: usize = 1_024;

/// Which group it was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a> {
    /// The file of the group.
    pub(super) file: &'a str,
    /// Its name.
    pub(super) group: &'a str,
    /// What changes every alert on its way out: identities are those of the alerts as sent.
    pub(super) alert_relabel: &'a [Rule],
    /// When it happened.
    pub(super) at: Timestamp,
}

impl Told<'_> {
    /// What an evaluation changed.
    pub(super) fn evaluation(&self, evaluation: &Evaluation) -> Vec<StateOp> {
        let mut entries = self.alerts(&evaluation.changes);
        entries.extend(evaluation.health.iter().map(|change| self.health(change)));
        entries
    }

    /// What became of alerts: kinds `pending`, `firing`, `resolved`, `pending_ended`, `forgotten`.
    pub(super) fn alerts(&self, changes: &[AlertChange]) -> Vec<StateOp> {
        let (told, rest) = changes.split_at(changes.len().min(ENTRIES_MAX));
        let mut entries: Vec<StateOp> = told.iter().map(|change| self.alert(change)).collect();
        if !rest.is_empty() {
            let body = json!({
                "rule_file": self.file, "rule_group": self.group, "left_out": rest.len(),
            });
            entries.push(self.entry("alerts_left_out", &Labels::empty(), &body));
        }
        entries
    }

    fn alert(&self, change: &AlertChange) -> StateOp {
        let mut labels = change.labels.to_builder();
        // An alert that is dropped on its way out is a fact all the same.
        relabel::apply(self.alert_relabel, &mut labels);
        let body = json!({
            "rule_file": self.file, "rule_group": self.group, "rule": change.rule,
            "value": value_text::go_default(change.value),
            "active_at_ms": change.active_at.as_millis(),
        });
        self.entry(change.turn.as_str(), &labels.build(), &body)
    }

    /// A rule that fails, or does no longer: kinds `rule_failed` and `rule_recovered`.
    fn health(&self, change: &HealthChange) -> StateOp {
        let (file, group, rule) = (self.file, self.group, &change.rule);
        let (kind, body) = match &change.error {
            None => {
                let body = json!({"rule_file": file, "rule_group": group, "rule": rule});
                ("rule_recovered", body)
            }
            Some(error) => {
                let end = error.floor_char_boundary(ERROR_BYTES_MAX);
                let error = error.get(..end).unwrap_or_default();
                let body =
                    json!({"rule_file": file, "rule_group": group, "rule": rule, "error": error});
                ("rule_failed", body)
            }
        };
        self.entry(kind, &Labels::empty(), &body)
    }

    fn entry(&self, kind: &str, labels: &Labels, body: &Value) -> StateOp {
        let map: serde_json::Map<String, Value> =
            labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let fingerprint = match labels.is_empty() {
            true => String::new(),
            false => labels.fingerprint().to_string(),
        };
        StateOp::Record(HistoryEntry {
            at: self.at,
            kind: kind.to_owned(),
            fingerprint,
            labels: Value::Object(map).to_string(),
            body: body.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Turn;

    const TOLD: Told<'static> =
        Told { file: "r.yml", group: "g", alert_relabel: &[], at: Timestamp::from_millis(5) };

    fn entries(ops: Vec<StateOp>) -> Vec<HistoryEntry> {
        let entry = |op| match op {
            StateOp::Record(entry) => entry,
            StateOp::Put { .. } | StateOp::Delete { .. } => panic!("no entry"),
        };
        ops.into_iter().map(entry).collect()
    }

    fn change(number: usize) -> AlertChange {
        AlertChange {
            turn: Turn::Firing,
            rule: "Down".to_owned(),
            labels: Labels::from_pairs([("alertname", "Down"), ("n", &number.to_string())]),
            value: f64::INFINITY,
            active_at: Timestamp::from_millis(3),
        }
    }

    #[test]
    fn an_entry_has_the_identity_of_the_alert_that_is_sent() {
        let entry = entries(TOLD.alerts(&[change(1)])).remove(0);
        assert_eq!(
            (entry.at, entry.kind.as_str(), entry.fingerprint, entry.labels.as_str()),
            (
                TOLD.at,
                "firing",
                change(1).labels.fingerprint().to_string(),
                r#"{"alertname":"Down","n":"1"}"#
            )
        );
        assert_eq!(
            entry.body,
            r#"{"rule_file":"r.yml","rule_group":"g","rule":"Down","value":"+Inf","active_at_ms":3}"#
        );
    }

    #[test]
    fn a_rule_that_fails_is_told_with_the_beginning_of_its_reason() {
        let error = Some("ä".repeat(ERROR_BYTES_MAX));
        let health = [
            HealthChange { rule: "r".to_owned(), error },
            HealthChange { rule: "r".to_owned(), error: None },
        ];
        let evaluation = Evaluation { health: health.into(), ..Evaluation::default() };
        let found = entries(TOLD.evaluation(&evaluation));
        let kinds: Vec<&str> = found.iter().map(|entry| entry.kind.as_str()).collect();
        assert_eq!(kinds, ["rule_failed", "rule_recovered"]);
        assert!(found[0].body.contains(&"ä".repeat(ERROR_BYTES_MAX / 2)));
        assert!(!found[0].body.contains(&"ä".repeat(ERROR_BYTES_MAX / 2 + 1)));
        assert_eq!((found[0].fingerprint.as_str(), found[0].labels.as_str()), ("", "{}"));
    }

    #[test]
    fn too_many_changes_are_counted() {
        let changes: Vec<_> = (0..ENTRIES_MAX + 7).map(change).collect();
        let found = entries(TOLD.alerts(&changes));
        assert_eq!(found.len(), ENTRIES_MAX + 1);
        let last = &found[ENTRIES_MAX];
        assert_eq!(last.kind, "alerts_left_out");
        assert!(last.body.contains(r#""left_out":7"#), "{}", last.body);
    }
}
