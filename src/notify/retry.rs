//! When a failed attempt is made again.

use std::time::Duration;

/// The first pause is about this long.
const FIRST: Duration = Duration::from_millis(500);
/// No pause is longer, unless the sink asks for it.
const LONGEST: Duration = Duration::from_secs(60);

/// How one attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The sink has it.
    Done,
    /// It may work later.
    Retry {
        /// Why it did not.
        reason: String,
        /// The word of the metric.
        class: FailureClass,
        /// How long the sink asks to wait.
        after: Option<Duration>,
    },
    /// It will never work.
    Final {
        /// Why.
        reason: String,
        /// The word of the metric.
        class: FailureClass,
    },
}

/// Whose fault a failure is, as `alertmanager_notifications_failed_total` counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum FailureClass {
    /// The sink refused what we sent.
    Client,
    /// The sink is in trouble.
    Server,
    /// The time was over.
    Deadline,
    /// Anything else: no connection, a template.
    Other,
}

impl FailureClass {
    /// The word of the metric.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "clientError",
            Self::Server => "serverError",
            Self::Deadline => "contextDeadlineExceeded",
            Self::Other => "other",
        }
    }
}

/// Pauses that grow by half, each between half and one and a half of its length, so that many
/// senders do not come back at once.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// The next pause; `random` spreads it.
    pub(super) fn pause(&mut self, random: u64) -> Duration {
        let base = self.next;
        self.next = base.saturating_mul(3).min(LONGEST * 2) / 2;
        // 0 to 1023 parts of 1024 of the base, on top of its half.
        let part = u32::try_from(random % 1024).unwrap_or(0);
        base / 2 + base * part / 1024
    }
}

/// How long the header `Retry-After` asks to wait, when it gives seconds.
pub(super) fn retry_after(value: Option<&str>) -> Option<Duration> {
    value?.trim().parse().ok().map(Duration::from_secs)
}

/// What the status of an answer means: 2xx is done, 429 and 5xx may work later, anything else
/// never will.
pub(super) fn by_status(status: u16, retry_after: Option<Duration>, body: &str) -> Attempt {
    let detail = if body.is_empty() { String::new() } else { format!(": {body}") };
    let reason = format!("unexpected status code {status}{detail}");
    match status {
        200..=299 => Attempt::Done,
        429 => Attempt::Retry { reason, class: FailureClass::Client, after: retry_after },
        500..=599 => Attempt::Retry { reason, class: FailureClass::Server, after: retry_after },
        _ => Attempt::Final { reason, class: FailureClass::Client },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_are_spread() {
        let mut backoff = Backoff::default();
        let least: Vec<_> = (0..20).map(|_| backoff.pause(0).as_millis()).collect();
        assert_eq!(&least[..3], [250, 375, 562]);
        assert_eq!(least[19], 30_000);
        let most = Backoff::default().pause(1023);
        assert!(Duration::from_millis(740) < most && most < Duration::from_millis(750), "{most:?}");
    }

    #[test]
    fn statuses_are_retried_as_promised() {
        for (status, expected) in [
            (200, "done"),
            (204, "done"),
            (301, "final"),
            (400, "final"),
            (404, "final"),
            (429, "retry"),
            (500, "retry"),
            (503, "retry"),
        ] {
            let found = match by_status(status, None, "") {
                Attempt::Done => "done",
                Attempt::Retry { .. } => "retry",
                Attempt::Final { .. } => "final",
            };
            assert_eq!(found, expected, "{status}");
        }
        assert_eq!(retry_after(Some(" 7 ")), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(Some("Wed, 21 Oct 2015 07:28:00 GMT")), None);
    }
}
