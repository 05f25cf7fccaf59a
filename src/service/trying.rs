//! Trying a receiver out: a message that everybody can tell from a real one, sent once.

use super::start::Service;
use crate::alerts::{
    Delivery, DeliveryOutcome, IntegrationId, Notification, NotifiedAlert, Reason, ReceiverPlan,
};
use crate::model::{Annotations, GroupKey, Labels, Timestamp};
use crate::notify::Receivers;
use crate::storage::state::{HistoryEntry, StateOp};
use crate::wire::{Error, IntegrationTest, ReceiverTest};
use futures_util::future::join_all;
use serde_json::json;
use std::time::Duration;

/// How long a test waits for an answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// Kinds that keep an incident open until they are told of its end.
const KEEPS_OPEN: [&str; 4] = ["pagerduty", "opsgenie", "victorops", "incidentio"];

impl Service {
    /// Sends a test to the integrations that are meant, all at once.
    pub(super) fn try_receiver(&self, test: &ReceiverTest) -> Result<Vec<IntegrationTest>, Error> {
        let parts = self.running()?;
        let find = |engine: &crate::alerts::Engine, _| {
            engine.receivers().iter().find(|plan| plan.name == test.receiver).cloned()
        };
        let plan = parts.alerting.view(find).ok_or_else(|| {
            Error::not_found(format!("no receiver has the name {:?}", test.receiver))
        })?;
        let ids = meant(&plan, test)?;
        let clock = &self.world.clock;
        let url = &self.options.external_url;
        let message = |resolved| notification(test, resolved, url, clock.now());
        let receivers = parts.alerting.receivers();
        let deadline = clock.elapsed().saturating_add(PATIENCE);
        let number = self.world.entropy.next_u64();
        let tries = ids.iter().map(|id| {
            let first = message(test.resolved);
            let end = message(true);
            let receivers = receivers.as_ref();
            async move {
                let send = |notification| Delivery::trial(number, id, notification, deadline);
                let outcome = receivers.try_once(&send(first)).await;
                let stays = outcome.error.is_none() && KEEPS_OPEN.contains(&id.kind.as_str());
                match stays && !test.resolved {
                    true => closed(receivers, &send(end), outcome).await,
                    false => outcome,
                }
            }
        });
        let outcomes = self.world.runtime.block_on(join_all(tries));
        let told: Vec<_> = ids.iter().zip(outcomes).map(|(id, one)| form(id, one)).collect();
        let at = clock.now();
        let rows: Vec<_> = told.iter().map(|one| row(test, one, at)).collect();
        if let Err(err) = parts.state.apply(&rows) {
            tracing::warn!(%err, "the test of a receiver is not in the history");
        }
        Ok(told)
    }
}

/// The test's end, so that nobody works on an incident that is none.
async fn closed(receivers: &Receivers, end: &Delivery, sent: DeliveryOutcome) -> DeliveryOutcome {
    let ended = receivers.try_once(end).await;
    let error = ended.error.map(|err| format!("it arrived, but its end did not: {err}"));
    DeliveryOutcome { error, took: sent.took.saturating_add(ended.took), ..sent }
}

fn meant(plan: &ReceiverPlan, test: &ReceiverTest) -> Result<Vec<IntegrationId>, Error> {
    let wanted = plan.integrations.iter().filter(|one| {
        test.integration.as_ref().is_none_or(|kind| *kind == one.kind)
            && test.index.is_none_or(|index| index == one.index)
    });
    let ids: Vec<_> = wanted
        .map(|one| IntegrationId {
            receiver: plan.name.clone(),
            kind: one.kind.clone(),
            index: one.index,
        })
        .collect();
    match ids.is_empty() {
        true => Err(Error::not_found(format!("receiver {:?} has no such integration", plan.name))),
        false => Ok(ids),
    }
}

fn notification(test: &ReceiverTest, resolved: bool, url: &str, at: Timestamp) -> Notification {
    let mut labels = test.labels.to_builder();
    if test.labels.get("alertname").is_none() {
        labels.set("alertname", "TestAlert");
    }
    labels.set("receiver", test.receiver.as_str());
    labels.set("watchbell_test", "true");
    let labels = labels.build();
    let text = format!("TEST: watchbell tries the receiver {} out", test.receiver);
    let own = test.annotations.get("summary").map(|summary| format!("TEST: {summary}"));
    let annotations = Annotations::from_pairs(&test.annotations);
    let group_labels = Labels::from_pairs([("alertname", labels.value_of("alertname"))]);
    Notification {
        group_key: GroupKey::new("{}", &group_labels),
        receiver: test.receiver.clone(),
        group_labels,
        route_labels: Vec::new(),
        alerts: vec![NotifiedAlert {
            labels,
            annotations: annotations.with("summary", &own.unwrap_or(text)),
            starts_at: at.minus(Duration::from_secs(60)),
            ends_at: resolved.then_some(at),
            generator_url: String::new(),
        }],
        reason: Reason::Unknown,
        external_url: url.to_owned(),
        at,
    }
}

fn form(id: &IntegrationId, outcome: DeliveryOutcome) -> IntegrationTest {
    IntegrationTest {
        integration: id.kind.clone(),
        index: id.index,
        error: outcome.error,
        code: outcome.status,
        answer: outcome.answer,
        took_ms: u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX),
    }
}

/// As the engine tells of a notification, and that it was a test.
fn row(test: &ReceiverTest, told: &IntegrationTest, at: Timestamp) -> StateOp {
    let body = json!({
        "receiver": test.receiver,
        "integration": told.integration,
        "index": told.index,
        "status": if told.error.is_some() { "failed" } else { "ok" },
        "attempts": 1,
        "took_ms": told.took_ms,
        "code": told.code,
        "answer": told.answer,
        "error": told.error,
        "test": true,
    });
    StateOp::Record(HistoryEntry {
        at,
        kind: "notified".to_owned(),
        fingerprint: String::new(),
        labels: "{}".to_owned(),
        body: body.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::IntegrationPlan;

    fn test() -> ReceiverTest {
        ReceiverTest { receiver: "team".to_owned(), ..ReceiverTest::default() }
    }

    #[test]
    fn a_test_can_be_told_from_a_real_alert_whatever_it_is_made_of() {
        let asked = ReceiverTest {
            labels: Labels::from_pairs([("alertname", "Disk"), ("watchbell_test", "false")]),
            annotations: Labels::from_pairs([("summary", "full"), ("a", "b")]),
            ..test()
        };
        let at = Timestamp::from_millis(1_700_000_000_000);
        let made = notification(&asked, true, "http://w", at);
        let alert = made.alerts.first().expect("one");
        let labels = [("alertname", "Disk"), ("receiver", "team"), ("watchbell_test", "true")];
        assert_eq!(alert.labels, Labels::from_pairs(labels));
        let annotations = Annotations::from_pairs([("a", "b"), ("summary", "TEST: full")]);
        assert_eq!(alert.annotations, annotations);
        assert_eq!(
            (alert.ends_at, made.group_key.as_str()),
            (Some(at), r#"{}:{alertname="Disk"}"#)
        );
        let made = notification(&test(), false, "http://w", at);
        let summary = made.alerts.first().map(|one| one.annotations.value_of("summary"));
        assert_eq!(summary, Some("TEST: watchbell tries the receiver team out"));
    }

    #[test]
    fn integrations_are_chosen_by_kind_and_place() {
        let one = |kind: &str, index| IntegrationPlan {
            kind: kind.to_owned(),
            index,
            send_resolved: true,
        };
        let plan = ReceiverPlan {
            name: "team".to_owned(),
            integrations: vec![one("webhook", 0), one("webhook", 1), one("email", 0)],
            ..ReceiverPlan::default()
        };
        let chosen = |integration: Option<&str>, index| {
            let integration = integration.map(str::to_owned);
            let ids = meant(&plan, &ReceiverTest { integration, index, ..test() });
            ids.map(|ids| ids.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(chosen(None, None).expect("all").len(), 3);
        assert_eq!(chosen(Some("webhook"), Some(1)).expect("one"), ["team/webhook[1]"]);
        assert!(chosen(Some("slack"), None).is_err());
    }
}
