//! After a restart or a jump of the wall clock: from when on it says something that an alert is not
//! seen. Until samples have come in again a condition that still holds yields nothing, just like
//! one that is over.

use crate::model::Timestamp;
use crate::promql::syntax::{Duration as Written, Expr, ExprKind};
use std::time::Duration;

/// A first and a second sample have come after two scrape intervals, and are stored so soon.
const SCRAPED_BY: Duration = Duration::from_secs(5);
/// Targets that are scraped less often than twice in the lookback are no measure: of them no
/// selector sees a sample at all times.
const SCRAPE_INTERVAL_MAX: Duration = Duration::from_secs(150);
/// A window is waited for no longer: an alert that is over must end.
const WINDOW_MAX: Duration = Duration::from_secs(5 * 60);

/// For how long nobody evaluated a group, or how far the wall clock jumped, and how soon it can
/// know again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    /// The end of it, as the group sees it.
    pub(super) now: Timestamp,
    /// How long it was.
    pub(super) downtime: Duration,
    /// Time between evaluations.
    pub(super) interval: Duration,
    /// The longest time between two samples of a target.
    pub(super) scrape_interval: Duration,
}

impl Outage {
    /// When an alert that is not seen is over, given how far its expression looks back.
    ///
    /// A rate needs two new samples; where a recording rule stands in between, it needs one more
    /// evaluation to see them. A window of which the outage took more than a quarter may hold too
    /// few samples to say anything: it is waited for until it lies behind the outage.
    pub(super) fn trusted_from(&self, window: Duration) -> Timestamp {
        let scraped = self.scrape_interval.min(SCRAPE_INTERVAL_MAX) * 2 + SCRAPED_BY;
        let sampled = self.interval.saturating_add(scraped);
        let has_hole = self.downtime.saturating_mul(4) > window;
        let filled = if has_hole { window.min(WINDOW_MAX) } else { Duration::ZERO };
        self.now.plus(sampled.max(filled))
    }
}

/// How far an expression looks back at most: its longest range, with the subqueries around it.
pub(super) fn window(expr: &Expr) -> Duration {
    let own = match &expr.kind {
        ExprKind::Matrix(matrix) => millis(&matrix.range),
        ExprKind::Subquery(subquery) => millis(&subquery.range),
        _other => Duration::ZERO,
    };
    let inner = expr.children().into_iter().map(window).max().unwrap_or_default();
    own.saturating_add(inner)
}

/// A range that only the evaluation knows counts as none.
fn millis(range: &Written) -> Duration {
    match range {
        Written::Millis(millis) => Duration::from_millis(u64::try_from(*millis).unwrap_or(0)),
        Written::Expr(_) => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::syntax::{self, Features};

    #[test]
    fn the_window_is_the_longest_range_of_the_expression() {
        for (text, seconds) in [
            ("up == 0", 0),
            ("rate(x[1m]) > 0 and x > 1", 60),
            ("rate(x[1m]) / rate(y[5m] offset 1h) > 1", 300),
            ("max_over_time(rate(x[1m])[10m:]) > 1", 660),
        ] {
            let expr = syntax::parse(text, &Features::ALL).expect("parses");
            assert_eq!(window(&expr), Duration::from_secs(seconds), "{text}");
        }
    }

    #[test]
    fn an_alert_is_waited_for_until_two_samples_can_have_come() {
        let outage = |downtime: u64, interval, scrape_interval| Outage {
            now: Timestamp::EPOCH,
            downtime: Duration::from_secs(downtime),
            interval: Duration::from_secs(interval),
            scrape_interval: Duration::from_secs(scrape_interval),
        };
        for (outage, window, wanted) in [
            (outage(45, 15, 15), 0, 50),
            (outage(45, 60, 15), 60, 95),
            (outage(45, 15, 15), 60, 60),
            // Hardly anything of it is missing.
            (outage(45, 15, 15), 3600, 50),
            (outage(2000, 15, 15), 3600, 300),
            (outage(45, 15, 3600), 0, 320),
        ] {
            let found = outage.trusted_from(Duration::from_secs(window));
            assert_eq!(found.since(Timestamp::EPOCH).as_secs(), wanted, "{outage:?} {window}");
        }
    }
}
