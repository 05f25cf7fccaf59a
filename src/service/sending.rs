//! Notifications that are on their way: the engine knows which they are, and their tasks how it
//! goes. Joined here for those who look.

use crate::alerts::{DeliveryId, Moment, OpenReport};
use crate::model::Fingerprint;
use crate::notify::FailedAttempt;
use crate::sys::locks::lock;
use crate::wire::SendingStatus;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard};

/// The last failed attempt of each delivery that is tried again.
#[derive(Debug, Default)]
pub(super) struct Sending {
    failed: Mutex<HashMap<DeliveryId, FailedAttempt>>,
}

impl Sending {
    /// An attempt failed, and another one follows.
    pub(super) fn note(&self, id: DeliveryId, attempt: FailedAttempt) {
        self.lock().insert(id, attempt);
    }

    /// The delivery has ended.
    pub(super) fn forget(&self, id: DeliveryId) {
        self.lock().remove(&id);
    }

    /// What is on its way about each alert, the oldest first.
    pub(super) fn by_alert(
        &self,
        open: &[OpenReport],
        now: Moment,
    ) -> BTreeMap<Fingerprint, Vec<SendingStatus>> {
        let failed = self.lock();
        let mut by_alert: BTreeMap<Fingerprint, Vec<SendingStatus>> = BTreeMap::new();
        for report in open {
            let status = status(report, failed.get(&report.id), now);
            for print in &report.alerts {
                by_alert.entry(*print).or_default().push(status.clone());
            }
        }
        by_alert
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeliveryId, FailedAttempt>> {
        lock(&self.failed)
    }
}

fn status(report: &OpenReport, failed: Option<&FailedAttempt>, now: Moment) -> SendingStatus {
    let next = failed.filter(|failed| failed.next > now.elapsed);
    SendingStatus {
        receiver: report.integration.receiver.clone(),
        integration: report.integration.kind.clone(),
        since: report.since,
        attempts: failed.map_or(0, |failed| failed.attempts),
        error: failed.map(|failed| failed.error.clone()),
        code: failed.and_then(|failed| failed.status),
        answer: failed.map(|failed| failed.answer.clone()).unwrap_or_default(),
        next_attempt: next.map(|failed| now.wall.plus(failed.next.saturating_sub(now.elapsed))),
        until: report.until,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::IntegrationId;
    use crate::model::{Labels, Timestamp};
    use std::time::Duration;

    const WALL: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    #[test]
    fn what_an_attempt_left_behind_is_told_with_each_alert_until_the_delivery_ends() {
        let seconds = Duration::from_secs;
        let now = Moment { wall: WALL, elapsed: seconds(100) };
        let delivery = crate::alerts::Delivery::trial(
            7,
            &IntegrationId { receiver: "ops".to_owned(), kind: "webhook".to_owned(), index: 0 },
            crate::alerts::Notification {
                group_key: crate::model::GroupKey::from_text("{}:{}"),
                receiver: "ops".to_owned(),
                group_labels: Labels::empty(),
                route_labels: Vec::new(),
                alerts: Vec::new(),
                reason: crate::alerts::Reason::First,
                external_url: String::new(),
                at: WALL,
            },
            seconds(300),
        );
        let prints = ["a", "b"].map(|name| Labels::from_pairs([("x", name)]).fingerprint());
        let open = [OpenReport {
            id: delivery.id,
            integration: delivery.integration,
            since: WALL.minus(seconds(30)),
            until: WALL.plus(seconds(200)),
            alerts: prints.into(),
        }];
        let sending = Sending::default();
        let status = |now| {
            let by_alert = sending.by_alert(&open, now);
            assert!(by_alert.keys().eq(&open[0].alerts), "{by_alert:?}");
            by_alert[&prints[0]][0].clone()
        };
        assert_eq!((status(now).attempts, status(now).error), (0, None));
        sending.note(
            delivery.id,
            FailedAttempt {
                attempts: 3,
                error: "unexpected status code 503".to_owned(),
                status: Some(503),
                answer: "later".to_owned(),
                next: seconds(112),
            },
        );
        let found = status(now);
        assert_eq!((found.attempts, found.code, found.answer.as_str()), (3, Some(503), "later"));
        assert_eq!(found.next_attempt, Some(WALL.plus(seconds(12))));
        // Its time has come: it is being tried.
        let later = Moment { wall: WALL.plus(seconds(12)), elapsed: seconds(112) };
        assert_eq!(status(later).next_attempt, None);
        sending.forget(delivery.id);
        assert_eq!(status(now).attempts, 0);
    }
}
