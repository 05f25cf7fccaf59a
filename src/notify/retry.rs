//! When a failed attempt is made again.

use super::outside::Outside;
use super::truncate;
use crate::model::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// The first pause is about this long.
const FIRST: Duration = Duration::from_millis(500);
/// No pause is longer, unless the sink asks for it.
const LONGEST: Duration = Duration::from_secs(60);

/// A sink may have much to say about a failure.
const REASON_RUNES_MAX: usize = 500;

/// How one attempt ended, and what the sink said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// Whether it worked.
    pub(super) end: End,
    /// The status code of the answer, where answers have one.
    pub(super) status: Option<u16>,
    /// The beginning of the answer as it came; empty for none.
    pub(super) answer: String,
    /// What the next notification about the group is to know.
    pub(super) data: BTreeMap<String, String>,
}

/// How one attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
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

impl Attempt {
    fn new(end: End) -> Self {
        Self { end, status: None, answer: String::new(), data: BTreeMap::new() }
    }

    /// The sink has it.
    pub(super) fn done() -> Self {
        Self::new(End::Done)
    }

    /// It may work later.
    pub(super) fn retry(class: FailureClass, reason: impl Into<String>) -> Self {
        Self::new(End::Retry { reason: reason.into(), class, after: None })
    }

    /// It will never work.
    pub(super) fn refused(class: FailureClass, reason: impl Into<String>) -> Self {
        Self::new(End::Final { reason: reason.into(), class })
    }

    /// The same with words before the reason that it failed for.
    pub(super) fn about(mut self, words: &str) -> Self {
        match &mut self.end {
            End::Done => {}
            End::Retry { reason, .. } | End::Final { reason, .. } => reason.insert_str(0, words),
        }
        self
    }

    /// No message can be made of the notification: a template fails, a secret's file is missing.
    pub(super) fn unsendable(reason: impl Into<String>) -> Self {
        Self::refused(FailureClass::Other, reason)
    }

    /// The same, fit to be shown: secrets of the attempt that ended so are hidden in its texts.
    pub(super) fn without_secrets(mut self, outside: &Outside) -> Self {
        match &mut self.end {
            End::Done => {}
            End::Retry { reason, .. } | End::Final { reason, .. } => {
                // Hidden before it is cut: half a secret would not be found.
                *reason = truncate::runes(&outside.hide_secrets(reason), REASON_RUNES_MAX);
            }
        }
        self.answer = outside.hide_secrets(&self.answer);
        self
    }
}

/// Whose fault a failure is, as `alertmanager_notifications_failed_total` counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum FailureClass {
    /// The sink refused what we sent.
    Client,
    /// The sink is in trouble.
    Server,
    /// The sink does not know our credentials.
    Auth,
    /// The sink gets more than it takes.
    RateLimited,
    /// The time was over.
    Deadline,
    /// The delivery was called off; never so here, and counted as 0 since upstream does.
    Canceled,
    /// Anything else: no connection, a template.
    Other,
}

impl FailureClass {
    /// All of them.
    pub(super) const ALL: [Self; 7] = [
        Self::Client,
        Self::Server,
        Self::Auth,
        Self::RateLimited,
        Self::Deadline,
        Self::Canceled,
        Self::Other,
    ];

    /// The word of the metric.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "clientError",
            Self::Server => "serverError",
            Self::Auth => "authError",
            Self::RateLimited => "rateLimited",
            Self::Deadline => "contextDeadlineExceeded",
            Self::Canceled => "contextCanceled",
            Self::Other => "other",
        }
    }

    /// What a status code tells.
    pub(super) const fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::Auth,
            429 => Self::RateLimited,
            400..=499 => Self::Client,
            500..=599 => Self::Server,
            _ => Self::Other,
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
    /// The next pause; `random` spreads it. What the sink asks for makes it longer, never shorter:
    /// one that asks for none would be called without end.
    pub(super) fn pause(&mut self, random: u64, asked: Option<Duration>) -> Duration {
        let base = self.next;
        self.next = base.saturating_mul(3).min(LONGEST * 2) / 2;
        // 0 to 1023 parts of 1024 of the base, on top of its half.
        let part = u32::try_from(random % 1024).unwrap_or(0);
        let own = base / 2 + base * part / 1024;
        asked.map_or(own, |asked| own.max(asked))
    }
}

/// How long the header `Retry-After` asks to wait: seconds, or until a date.
pub(super) fn retry_after(value: Option<&str>, now: Timestamp) -> Option<Duration> {
    let value = value?.trim();
    let seconds = value.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| Timestamp::from_http(value).map(|until| until.since(now)))
}

/// What the status of an answer means: 2xx is done, 429, 5xx and what is `retried` beside them
/// may work later, anything else never will. `detail` is what the sink says about it.
pub(super) fn by_status(
    status: u16,
    retried: &[u16],
    retry_after: Option<Duration>,
    detail: &str,
) -> End {
    let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
    let reason = format!("unexpected status code {status}{detail}");
    let class = FailureClass::of_status(status);
    match status {
        200..=299 => End::Done,
        429 | 500..=599 => End::Retry { reason, class, after: retry_after },
        _ if retried.contains(&status) => End::Retry { reason, class, after: retry_after },
        _ => End::Final { reason, class },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_are_spread() {
        let mut backoff = Backoff::default();
        let least: Vec<_> = (0..20).map(|_| backoff.pause(0, None).as_millis()).collect();
        assert_eq!(&least[..3], [250, 375, 562]);
        assert_eq!(least[19], 30_000);
        let most = Backoff::default().pause(1023, None);
        assert!(Duration::from_millis(740) < most && most < Duration::from_millis(750), "{most:?}");
    }

    #[test]
    fn a_sink_makes_a_pause_longer_and_never_shorter() {
        // RFC 9110, section 10.2.3: a minimum.
        let mut backoff = Backoff::default();
        let asked = [Some(0), Some(1), Some(9_000), None];
        let pauses = asked.map(|millis| backoff.pause(0, millis.map(Duration::from_millis)));
        assert_eq!(pauses.map(|pause| pause.as_millis()), [250, 375, 9_000, 843]);
    }

    #[test]
    fn statuses_are_retried_as_promised() {
        for (status, expected) in [
            (200, "done"),
            (204, "done"),
            (301, "final other"),
            (400, "final clientError"),
            (401, "final authError"),
            (404, "final clientError"),
            (409, "retry clientError"),
            (429, "retry rateLimited"),
            (500, "retry serverError"),
            (503, "retry serverError"),
        ] {
            let found = match by_status(status, &[409], None, "") {
                End::Done => "done".to_owned(),
                End::Retry { class, .. } => format!("retry {}", class.as_str()),
                End::Final { class, .. } => format!("final {}", class.as_str()),
            };
            assert_eq!(found, expected, "{status}");
        }
    }

    #[test]
    fn a_sink_asks_to_wait_for_seconds_or_until_a_date() {
        // 2015-10-21T07:27:00Z.
        let now = Timestamp::from_millis(1_445_412_420_000);
        for (value, wait) in [
            (" 7 ", Some(7)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(60)),
            ("Wed, 21 Oct 2015 07:26:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(retry_after(Some(value), now), wait.map(Duration::from_secs), "{value}");
        }
        assert_eq!(retry_after(None, now), None);
    }
}
