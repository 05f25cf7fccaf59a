//! What every kind of receiver is made of: settings that are checked give an `Integration`, that
//! gives a `Sender`, and that one tries to do a `Job`.

use super::outside::Outside;
use super::retry::Attempt;
use super::templates::Rendering;
use crate::alerts::{Delivery, Notification, NotifiedAlert};
use crate::model::{AlertStatus, Problem};
use std::borrow::Cow;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// One delivery that is to be tried once.
#[derive(Debug)]
pub(super) struct Job<'a> {
    /// What to whom.
    pub(super) delivery: &'a Delivery,
    /// Expands templates over the whole notification.
    pub(super) rendering: Rendering<'a>,
    /// The world.
    pub(super) outside: &'a Outside,
    /// The attempt is given up after this long.
    pub(super) time_left: Duration,
}

impl<'a> Job<'a> {
    /// A text template, expanded.
    pub(super) fn text(&self, template: &str) -> Result<String, String> {
        self.rendering.text(template).map_err(|err| err.to_string())
    }

    /// What its alerts say together: firing when any is.
    pub(super) fn status(&self) -> AlertStatus {
        self.delivery.notification.status()
    }

    /// The identity of the group for services that want it short.
    pub(super) fn hash(&self) -> String {
        self.delivery.notification.group_key.hash()
    }

    /// The templates over one alert of the notification, as if it were the only one.
    pub(super) fn over(&self, alert: &NotifiedAlert) -> Rendering<'a> {
        let whole = &self.delivery.notification;
        self.rendering.over(&Notification {
            group_key: whole.group_key.clone(),
            receiver: whole.receiver.clone(),
            group_labels: whole.group_labels.clone(),
            // Expanded already.
            route_labels: Vec::new(),
            alerts: vec![alert.clone()],
            reason: whole.reason,
            external_url: whole.external_url.clone(),
            at: whole.at,
        })
    }

    /// The notification with its first `alerts_max` alerts (0: all), the templates over them, and
    /// how many alerts were left out.
    pub(super) fn cut_to(
        &self,
        alerts_max: usize,
    ) -> (Cow<'a, Notification>, Rendering<'a>, usize) {
        let whole = &self.delivery.notification;
        if alerts_max == 0 || whole.alerts.len() <= alerts_max {
            return (Cow::Borrowed(whole), self.rendering.clone(), 0);
        }
        let (cut, left_out) = whole.clone().truncated(alerts_max);
        let rendering = self.rendering.over(&cut);
        (Cow::Owned(cut), rendering, left_out)
    }
}

/// The end of an attempt, to come.
pub(super) type Trying<'a> = Pin<Box<dyn Future<Output = Attempt> + Send + 'a>>;

/// One way of sending, ready.
pub(super) trait Sender: Send + Sync + Debug {
    /// Tries once. What it awaits may be dropped at any time.
    fn attempt<'a>(&'a self, job: &'a Job<'a>) -> Trying<'a>;
}

/// One item of a `*_configs` list, checked, with the global defaults.
pub(super) trait Integration: Send + Sync + Debug {
    /// The word before `_configs`, as in messages and metrics.
    fn kind(&self) -> &'static str;

    /// Whether it is told about resolved alerts.
    fn send_resolved(&self) -> bool;

    /// Makes what sends; the problem's place is below the item.
    fn sender(&self, outside: &Outside) -> Result<Box<dyn Sender>, Problem>;
}

/// An integration that is made of one item.
pub(super) type Made = Arc<dyn Integration>;
