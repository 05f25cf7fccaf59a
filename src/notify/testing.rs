//! What the tests of this module share.

use crate::alerts::{Notification, NotifiedAlert, Reason};
use crate::model::{Annotations, GroupKey, Labels, Timestamp};

/// A firing and a resolved alert of one group.
pub(super) fn notification() -> Notification {
    let alert = |sev: &str, ends_at: Option<i64>| NotifiedAlert {
        labels: Labels::from_pairs([("alertname", "X"), ("sev", sev)]),
        annotations: Annotations::from_pairs([("s", "<b>&")]),
        starts_at: Timestamp::from_millis(1_704_067_200_500),
        ends_at: ends_at.map(Timestamp::from_millis),
        generator_url: "http://gen/x?a=1&b=2".to_owned(),
    };
    Notification {
        group_key: GroupKey::from_text(r#"{}:{alertname="X"}"#),
        receiver: "team.x".to_owned(),
        group_labels: Labels::from_pairs([("alertname", "X")]),
        route_labels: Vec::new(),
        alerts: vec![alert("a", None), alert("b", Some(1_704_067_260_000))],
        reason: Reason::First,
        external_url: "http://am".to_owned(),
        at: Timestamp::from_millis(1_704_067_300_000),
    }
}
