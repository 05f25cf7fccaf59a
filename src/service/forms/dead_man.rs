//! The dead man's switch, both ways: what is sent out and what is expected.

use crate::alerts::ExpectedView;
use crate::alerts::matchers::format_list;
use crate::service::heartbeat::BeatReport;
use crate::wire::{ExpectedStatus, HeartbeatStatus, rfc3339};

/// One heartbeat.
pub(in crate::service) fn heartbeat_status(report: BeatReport) -> HeartbeatStatus {
    HeartbeatStatus {
        name: report.name,
        interval_seconds: report.interval.as_secs_f64(),
        last_ok: report.last_ok,
        failing_since: report.failing_since,
        last_error: report.last_error,
    }
}

/// What every screen tells of heartbeats that do not arrive.
pub(in crate::service) fn silent_heartbeats(reports: &[BeatReport]) -> Vec<String> {
    let tell = |one: &BeatReport| {
        let since = rfc3339(one.failing_since?);
        let (name, why) = (&one.name, &one.last_error);
        Some(format!("heartbeat {name:?} has not arrived since {since}: {why}"))
    };
    reports.iter().filter_map(tell).collect()
}

/// Something that is expected.
pub(in crate::service) fn expected_status(view: ExpectedView) -> ExpectedStatus {
    let expected = view.expected;
    ExpectedStatus {
        kind: expected.awaited.as_str().to_owned(),
        matchers: format_list(&expected.matchers),
        within_seconds: expected.within.as_secs_f64(),
        name: expected.name,
        last_seen: view.last_seen,
        missing: view.is_missing,
    }
}
