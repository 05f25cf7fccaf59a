//! `watchbell query`: one question to a running server.

use super::flags::{QueryCommon, Question};
use super::{Status, output, server};
use crate::model::{TimeRange, Timestamp, duration};
use crate::sys::clock::{Clock as _, SystemClock};
use crate::wire::{Answer, Call, Core, Error, InstantQuery, RangeQuery, SeriesRequest};
use anyhow::Context as _;
use std::io::{self, Write as _};
use std::time::Duration;

/// Points that fill a wide terminal, and Grafana's default.
const POINTS: u32 = 250;
/// As Prometheus' own query timeout.
const PATIENCE: Duration = Duration::from_secs(120);

/// Asks, and prints the answer.
pub(super) fn run(question: Question) -> anyhow::Result<Status> {
    let now = SystemClock::new().now();
    let call = Call::with_timeout(PATIENCE);
    match question {
        Question::Instant { expr, time, common } => {
            let core = server::connect(&common.server)?;
            let time = time.map(|text| instant(&text, now)).transpose()?;
            let query = InstantQuery { time, ..InstantQuery::now(expr) };
            print(core.query(&call, &query), |data, out| output::query(data, common.output, out))
        }
        Question::Range { expr, start, end, step, common } => {
            let core = server::connect(&common.server)?;
            let start = instant(&start, now)?;
            let end = end.map_or(Ok(now), |text| instant(&text, now))?;
            let step =
                step.unwrap_or_else(|| (end.since(start) / POINTS).max(Duration::from_secs(1)));
            let query =
                RangeQuery { expr, start, end, step, timeout: None, lookback: None, limit: 0 };
            print(core.query_range(&call, &query), |data, out| {
                output::query(data, common.output, out)
            })
        }
        Question::Series { selectors, common } => {
            let core = server::connect(&common.server)?;
            let request = request(core.as_ref(), &selectors)?;
            print(core.series(&call, &request), |data, out| {
                let words: Vec<_> = data.iter().map(output::series_text).collect();
                output::words(&words, common.output, out)
            })
        }
        Question::Labels { name, common } => labels(&call, name.as_deref(), &common),
    }
}

fn labels(call: &Call, name: Option<&str>, common: &QueryCommon) -> anyhow::Result<Status> {
    let core = server::connect(&common.server)?;
    let request = request(core.as_ref(), &[])?;
    let answer = match name {
        Some(name) => core.label_values(call, name, &request),
        None => core.label_names(call, &request),
    };
    print(answer, |words, out| output::words(words, common.output, out))
}

fn request(core: &dyn Core, selectors: &[String]) -> Result<SeriesRequest, Error> {
    let matchers =
        selectors.iter().map(|text| core.parse_matchers(text)).collect::<Result<_, _>>()?;
    Ok(SeriesRequest { matchers, range: TimeRange::ALL, limit: 0 })
}

/// Prints the answer to standard output, and what was noticed to standard error.
fn print<T>(
    answer: Result<Answer<T>, Error>,
    show: impl FnOnce(&T, &mut dyn io::Write) -> io::Result<()>,
) -> anyhow::Result<Status> {
    let answer = answer?;
    for note in answer.warnings.iter().chain(&answer.infos) {
        writeln!(io::stderr(), "{note}")?;
    }
    show(&answer.data, &mut io::stdout().lock())?;
    Ok(Status::Fine)
}

/// RFC 3339, seconds since the epoch, or a span before `now`.
fn instant(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Timestamp::from_seconds(seconds).context("the time is out of range");
    }
    if let Ok(span) = duration::parse(text) {
        return Ok(now.minus(span));
    }
    let instant: jiff::Timestamp = text.parse().with_context(|| {
        format!(
            "cannot read time {text:?}; write 2026-01-31T12:00:00Z, seconds, or 1h for an hour ago"
        )
    })?;
    Ok(Timestamp::from_millis(instant.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_three_forms() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        for (text, millis) in [
            ("1h", 1_699_996_400_000),
            ("1700000000.5", 1_700_000_000_500),
            ("2023-11-14T22:13:20Z", 1_700_000_000_000),
        ] {
            assert_eq!(instant(text, now).expect(text).as_millis(), millis, "{text}");
        }
        assert!(instant("yesterday", now).is_err());
    }
}
