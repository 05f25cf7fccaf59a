//! Deliveries that are on their way, and the groups that wait for them.

use super::group::Group;
use super::notification::{DeliveryId, OpenDelivery};
use crate::model::GroupKey;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// A delivery that nobody reports on for this long past its deadline has failed.
const REPORT_GRACE: Duration = Duration::from_secs(15);

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Open {
    by_id: BTreeMap<DeliveryId, OpenDelivery>,
    /// How many are on their way about a group, by receiver.
    busy: HashMap<GroupKey, Vec<(String, usize)>>,
}

impl Open {
    pub(super) fn insert(&mut self, open: OpenDelivery) {
        let notification = &open.delivery.notification;
        let receivers = self.busy.entry(notification.group_key.clone()).or_default();
        match receivers.iter_mut().find(|(name, _)| *name == notification.receiver) {
            Some((_, count)) => *count += 1,
            None => receivers.push((notification.receiver.clone(), 1)),
        }
        self.by_id.insert(open.delivery.id, open);
    }

    pub(super) fn remove(&mut self, id: DeliveryId) -> Option<OpenDelivery> {
        let open = self.by_id.remove(&id)?;
        let notification = &open.delivery.notification;
        if let Some(receivers) = self.busy.get_mut(&notification.group_key) {
            for (_, count) in
                receivers.iter_mut().filter(|(name, _)| *name == notification.receiver)
            {
                *count -= 1;
            }
            receivers.retain(|(_, count)| *count > 0);
            if receivers.is_empty() {
                self.busy.remove(&notification.group_key);
            }
        }
        Some(open)
    }

    /// Whether a delivery about this group is on its way: the next look waits until it is back, or
    /// the log would be read before it is written.
    pub(super) fn is_busy(&self, group: &Group) -> bool {
        !self.busy.is_empty()
            && self
                .busy
                .get(&group.key)
                .is_some_and(|receivers| receivers.iter().any(|(name, _)| *name == group.receiver))
    }

    /// All of them, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = &OpenDelivery> {
        self.by_id.values()
    }

    /// Those without a report long after their deadline.
    pub(super) fn overdue(&self, now: Duration) -> Vec<DeliveryId> {
        let late = self.by_id.values().filter(|open| report_by(open) <= now);
        late.map(|open| open.delivery.id).collect()
    }

    /// When the next one is overdue.
    pub(super) fn next_report(&self) -> Option<Duration> {
        self.by_id.values().map(report_by).min()
    }
}

fn report_by(open: &OpenDelivery) -> Duration {
    open.delivery.deadline.saturating_add(REPORT_GRACE)
}
