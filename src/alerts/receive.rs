//! Alerts as they come in: missing times filled, then merged with what is known.
//!
//! Source: prometheus/alertmanager, api/v2/api.go, provider/mem/mem.go, alert/alert.go.

use super::config::Config;
use super::error::AlertError;
use super::matchers::Mode;
use crate::model::{Alert, AlertStatus, Annotations, Labels, Timestamp};

/// An alert as a sender gives it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertDraft {
    /// Its identity.
    pub labels: Labels,
    /// What is said about it.
    pub annotations: Annotations,
    /// When it began, if the sender says so.
    pub starts_at: Option<Timestamp>,
    /// When it ended or will end, if the sender says so.
    pub ends_at: Option<Timestamp>,
    /// Where it came from.
    pub generator_url: String,
}

impl AlertDraft {
    /// The alert, received at `now`.
    ///
    /// # Errors
    /// It has no labels, a name that cannot be, or ends before it begins.
    pub fn complete(self, now: Timestamp, config: &Config) -> Result<Alert, AlertError> {
        let starts_at = self.starts_at.or(self.ends_at).unwrap_or(now);
        let ends_at = self.ends_at.unwrap_or_else(|| now.plus(config.resolve_timeout));
        if ends_at < starts_at {
            return Err(AlertError::EndsBeforeStart);
        }
        if self.labels.is_empty() {
            return Err(AlertError::NoLabels);
        }
        check_names("label", &self.labels, config.matcher_mode)?;
        check_names("annotation", &self.annotations, config.matcher_mode)?;
        Ok(Alert {
            labels: self.labels,
            annotations: self.annotations,
            starts_at,
            ends_at,
            generator_url: self.generator_url,
            updated_at: now,
            ends_by_timeout: self.ends_at.is_none(),
        })
    }
}

/// Makes alerts of the drafts that can be, and says what is wrong with the others: T36 keeps the
/// valid ones of a request that is refused.
pub fn complete_all(
    drafts: Vec<AlertDraft>,
    now: Timestamp,
    config: &Config,
) -> (Vec<Alert>, Vec<AlertError>) {
    let mut alerts = Vec::new();
    let mut errors = Vec::new();
    for draft in drafts {
        match draft.complete(now, config) {
            Ok(alert) => alerts.push(alert),
            Err(err) => errors.push(err),
        }
    }
    (alerts, errors)
}

/// What is known after `new` came in while `old` was known, which has ended or not.
pub(super) fn merge(old: &Alert, old_ended: bool, new: Alert, now: Timestamp) -> Alert {
    // An end in the future is from before the wall clock was set back: it compares with nothing.
    if old_ended && old.ends_at > now {
        return new;
    }
    let ends_inside = new.ends_at > old.starts_at && new.ends_at < old.ends_at;
    let starts_inside = new.starts_at > old.starts_at && new.starts_at < old.ends_at;
    if !ends_inside && !starts_inside {
        return new;
    }
    // Alerts come in in their order: the one that comes later is the younger one.
    let new_ended = new.status(now) == AlertStatus::Resolved;
    let keep_old_end =
        old.ends_at > new.ends_at && if new_ended { old_ended } else { !old.ends_by_timeout };
    Alert {
        starts_at: new.starts_at.min(old.starts_at),
        ends_at: if keep_old_end { old.ends_at } else { new.ends_at },
        ..new
    }
}

fn check_names<'a>(
    what: &'static str,
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    mode: Mode,
) -> Result<(), AlertError> {
    let bad = pairs.into_iter().map(|(name, _)| name).find(|name| !mode.is_label_name(name));
    match bad {
        Some(name) => Err(AlertError::BadName { what, name: name.to_owned() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::testing::{config, labels};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn alert(starts: i64, ends: i64, by_timeout: bool, updated: i64) -> Alert {
        Alert {
            labels: labels(&[("a", "1")]),
            annotations: Annotations::from_pairs([("by", updated.to_string())]),
            starts_at: at(starts),
            ends_at: at(ends),
            generator_url: String::new(),
            updated_at: at(updated),
            ends_by_timeout: by_timeout,
        }
    }

    #[test]
    fn t36_overlapping_alerts_merge() {
        // Name; old; new; at; expected start and end.
        for (name, old, new, now, expected) in [
            ("no overlap", alert(0, 10, false, 5), alert(20, 40, false, 20), 20, (20, 40)),
            ("earliest start", alert(0, 40, true, 10), alert(20, 60, true, 20), 20, (0, 60)),
            ("both resolved", alert(0, 50, false, 50), alert(0, 40, false, 60), 60, (0, 50)),
            ("explicit end", alert(0, 90, false, 10), alert(0, 60, false, 20), 20, (0, 90)),
            ("end by timeout", alert(0, 90, true, 10), alert(0, 60, false, 20), 20, (0, 60)),
            ("resolved now", alert(0, 90, false, 10), alert(0, 20, false, 20), 20, (0, 20)),
        ] {
            let ended = old.status(at(now)) == AlertStatus::Resolved;
            let merged = merge(&old, ended, new, at(now));
            assert_eq!(
                (merged.starts_at, merged.ends_at),
                (at(expected.0), at(expected.1)),
                "{name}"
            );
            assert_ne!(merged.annotations, old.annotations, "{name}: the younger one's are kept");
        }
    }

    #[test]
    fn t36_missing_times_are_filled_and_the_valid_ones_are_kept() {
        let config = config("route: {receiver: r}");
        let draft = |starts: Option<i64>, ends: Option<i64>| AlertDraft {
            labels: labels(&[("a", "1")]),
            starts_at: starts.map(at),
            ends_at: ends.map(at),
            ..AlertDraft::default()
        };
        for (draft, expected) in [
            (draft(None, None), Some((100, 400, true))),
            (draft(None, Some(50)), Some((50, 50, false))),
            (draft(Some(10), None), Some((10, 400, true))),
            (draft(Some(10), Some(5)), None),
        ] {
            let found = draft.complete(at(100), &config).ok();
            let found = found.map(|a| (a.starts_at, a.ends_at, a.ends_by_timeout));
            assert_eq!(found, expected.map(|(s, e, timeout)| (at(s), at(e), timeout)));
        }
        let drafts = vec![AlertDraft::default(), draft(None, None)];
        let (alerts, errors) = complete_all(drafts, at(100), &config);
        assert_eq!((alerts.len(), errors), (1, vec![AlertError::NoLabels]));
    }
}
