//! Fire drills: an alert that goes the whole way to the real receivers, and that nobody can take
//! for a real one, whatever a template shows of it.
//!
//! It has a label of its own, which is also one of its group's labels, so that it shares no group
//! and stands in the usual subjects. What is sent of it says TEST in its name and its texts.

use super::inhibit::DRILL_LABEL;
use super::notification::Notification;
use super::receive::AlertDraft;
use crate::model::{Annotations, Labels, Timestamp};

/// What every text of a drill begins with.
const MARK: &str = "TEST";
/// What is said of one of which nothing is said.
const SUMMARY: &str = "a fire drill of watchbell: nothing is wrong";

/// The label's value for the drill of this number.
pub fn id(number: u64) -> String {
    format!("{MARK}-{number:016x}")
}

/// Whether an alert is one of a drill.
pub(super) fn is_one(labels: &Labels) -> bool {
    labels.get(DRILL_LABEL).is_some()
}

/// The labels of a drill's alert: those that are asked for, a name, and the mark; `id` tells drills
/// apart.
pub fn labels(asked: &Labels, id: &str) -> Labels {
    let mut labels = asked.to_builder();
    labels.set(DRILL_LABEL, id);
    if asked.get("alertname").is_none() {
        labels.set("alertname", "FireDrill");
    }
    labels.build()
}

/// The alert of a drill, as its sender gives it; `labels` are such as `labels` makes them.
pub fn draft(
    labels: Labels,
    annotations: &Labels,
    starts_at: Timestamp,
    ends_at: Timestamp,
) -> AlertDraft {
    AlertDraft {
        labels,
        annotations: said(annotations.iter()),
        starts_at: Some(starts_at),
        ends_at: Some(ends_at),
        generator_url: String::new(),
    }
}

/// What is sent of a notification: one of a drill says so wherever a template may look. Its group
/// key, by which sinks and the log know it, stays.
#[must_use]
pub fn marked(mut notification: Notification) -> Notification {
    if !is_one(&notification.group_labels) {
        return notification;
    }
    notification.group_labels = named(&notification.group_labels);
    for alert in &mut notification.alerts {
        alert.labels = named(&alert.labels);
        alert.annotations = said(alert.annotations.iter());
    }
    notification
}

/// The labels with a name that says what it is, where there is one.
fn named(labels: &Labels) -> Labels {
    let Some(name) = labels.get("alertname").map(with_mark) else { return labels.clone() };
    let mut labels = labels.to_builder();
    labels.set("alertname", name.as_str());
    labels.build()
}

/// The texts, and one that says what this is when nothing else is a summary.
fn said<'a>(annotations: impl Iterator<Item = (&'a str, &'a str)>) -> Annotations {
    let summary = [("summary".to_owned(), with_mark(SUMMARY))];
    let marked = annotations.map(|(name, text)| (name.to_owned(), with_mark(text)));
    Annotations::from_pairs(summary.into_iter().chain(marked))
}

fn with_mark(text: &str) -> String {
    if text.starts_with(MARK) { text.to_owned() } else { format!("{MARK}: {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::testing::labels as set;
    use crate::alerts::{NotifiedAlert, Reason};
    use crate::model::GroupKey;

    #[test]
    fn whatever_is_shown_of_a_drill_says_test() {
        let asked = set(&[("alertname", "DiskFull"), (DRILL_LABEL, "mine"), ("a", "b")]);
        let texts = set(&[("description", "it is full"), ("runbook", "TEST: x")]);
        let at = Timestamp::EPOCH;
        let draft = draft(labels(&asked, &id(7)), &texts, at, at);
        assert_eq!(draft.labels.get(DRILL_LABEL), Some("TEST-0000000000000007"));
        assert_eq!(draft.labels.get("alertname"), Some("DiskFull"), "as routes know it");
        let alert = |labels: &Labels, annotations: &Annotations| NotifiedAlert {
            labels: labels.clone(),
            annotations: annotations.clone(),
            starts_at: at,
            ends_at: None,
            generator_url: String::new(),
        };
        let notification = Notification {
            group_key: GroupKey::from_text("{}:{}"),
            receiver: "r".to_owned(),
            group_labels: draft.labels.clone(),
            route_labels: Vec::new(),
            alerts: vec![alert(&draft.labels, &draft.annotations)],
            reason: Reason::First,
            external_url: String::new(),
            at,
        };
        let sent = marked(notification.clone());
        assert_eq!(sent.group_key, notification.group_key);
        assert_eq!(sent.group_labels.get("alertname"), Some("TEST: DiskFull"));
        let told = &sent.alerts[0];
        assert_eq!(told.labels.get("alertname"), Some("TEST: DiskFull"));
        assert!(told.annotations.iter().all(|(_, text)| text.starts_with("TEST: ")), "{told:?}");
        assert_eq!(told.annotations.len(), 3, "it gets a summary");
        let real = Notification {
            group_labels: set(&[("alertname", "DiskFull")]),
            alerts: vec![alert(
                &set(&[("alertname", "DiskFull")]),
                &Annotations::from_pairs(&texts),
            )],
            ..notification
        };
        assert_eq!(marked(real.clone()), real);
        let unnamed = super::draft(labels(&Labels::empty(), "x"), &Labels::empty(), at, at);
        assert_eq!(unnamed.labels.get("alertname"), Some("FireDrill"));
        assert!(unnamed.annotations.value_of("summary").starts_with("TEST: "));
    }
}
