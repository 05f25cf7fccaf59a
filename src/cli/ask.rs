//! `watchbell query`: one question to a running server.

use super::flags::{OutputForm, PlotFlags, QueryCommon, Question};
use super::{Status, explain, output, server};
use crate::model::{Labels, Matcher, TimeRange, Timestamp, duration, printable};
use crate::promql::hints;
use crate::promql::syntax::{self, Features};
use crate::sys::clock::{Clock as _, SystemClock};
use crate::tui::{self, Plot};
use crate::wire::{
    Answer, Call, Core, Detail, Error, ErrorKind, InstantQuery, MatrixSeries, QueryData,
    RangeQuery, SeriesRequest,
};
use anyhow::{Context as _, bail};
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
        Question::Instant { expr, time, explain, plot, common } => {
            let core = server::connect(&common.server)?;
            let time = time.map(|text| instant(&text, now)).transpose()?;
            let detail = Detail { explain, ..Detail::default() };
            let query = InstantQuery { time, detail, ..InstantQuery::now(expr.as_str()) };
            let answer = core.query(&call, &query).map_err(|err| explained(&expr, err))?;
            notice(&answer)?;
            let at = TimeRange::at(time.unwrap_or(now));
            hint(core.as_ref(), &call, &expr, at, &answer.data)?;
            if explain {
                return tell_work(&answer, common.output);
            }
            if !plot.plot {
                return values(&answer.data, common.output);
            }
            draw_samples(&expr, &answer.data, &plot)
        }
        Question::Range { expr, start, end, step, explain, plot, common } => {
            let core = server::connect(&common.server)?;
            let start = instant(&start, now)?;
            let end = end.map_or(Ok(now), |text| instant(&text, now))?;
            let step =
                step.unwrap_or_else(|| (end.since(start) / POINTS).max(Duration::from_secs(1)));
            let query = RangeQuery {
                expr: expr.clone(),
                start,
                end,
                step,
                timeout: None,
                lookback: None,
                limit: 0,
                detail: Detail { explain, ..Detail::default() },
            };
            let answer = core.query_range(&call, &query).map_err(|err| explained(&expr, err))?;
            notice(&answer)?;
            if let Some(range) = TimeRange::new(start, end) {
                hint(core.as_ref(), &call, &expr, range, &answer.data)?;
            }
            if explain {
                return tell_work(&answer, common.output);
            }
            match &answer.data {
                QueryData::Matrix(series) if plot.plot => draw(
                    &expr,
                    series,
                    Some((start, end)),
                    millis(step).saturating_mul(3) / 2,
                    &plot,
                ),
                data => values(data, common.output),
            }
        }
        Question::Series { selectors, common } => {
            let core = server::connect(&common.server)?;
            let answer = core.series(&call, &request(&selectors)?)?;
            notice(&answer)?;
            note_empty(answer.data.is_empty(), "no series")?;
            output::series(&answer.data, common.output, &mut io::stdout().lock())?;
            Ok(Status::Fine)
        }
        Question::Labels { name, common } => labels(&call, name.as_deref(), &common),
    }
}

fn labels(call: &Call, name: Option<&str>, common: &QueryCommon) -> anyhow::Result<Status> {
    let core = server::connect(&common.server)?;
    let request = request(&[])?;
    let answer = match name {
        Some(name) => core.label_values(call, name, &request),
        None => core.label_names(call, &request),
    }?;
    notice(&answer)?;
    note_empty(answer.data.is_empty(), "no series has it")?;
    let heading = name.unwrap_or("label");
    output::words(&answer.data, heading, common.output, &mut io::stdout().lock())?;
    Ok(Status::Fine)
}

fn request(selectors: &[String]) -> anyhow::Result<SeriesRequest> {
    let read = |text: &String| {
        syntax::parse_selector(text).map_err(|err| anyhow::Error::msg(err.explain(text)))
    };
    let matchers = selectors.iter().map(read).collect::<Result<_, _>>()?;
    Ok(SeriesRequest { matchers, range: TimeRange::ALL, limit: 0 })
}

/// What a server refuses as no expression, with its place and what to write instead; any other
/// error as it is.
fn explained(expr: &str, err: Error) -> anyhow::Error {
    // VictoriaMetrics refuses expressions with 422.
    if !matches!(err.kind, ErrorKind::BadData | ErrorKind::Execution) {
        return err.into();
    }
    // Whether the server has experiments switched on is not known: its own words decide.
    let problem = syntax::parse(expr, &Features::ALL).err().or_else(|| {
        let problem = syntax::parse(expr, &Features::default()).err()?;
        err.message.contains(&problem.message).then_some(problem)
    });
    match problem {
        Some(problem) if err.message.contains(&problem.message) => {
            anyhow::Error::msg(problem.explain(expr))
        }
        Some(problem) => anyhow::Error::msg(format!(
            "{}\nPrometheus' parser says: {}",
            printable(&err.message),
            problem.explain(expr)
        )),
        None => err.into(),
    }
}

/// The names that a server tells, be it watchbell or another.
struct Known<'a> {
    core: &'a dyn Core,
    call: &'a Call,
}

impl hints::Names for Known<'_> {
    type Error = Error;

    fn label_names(&self, range: TimeRange, matchers: &[Matcher]) -> Result<Vec<String>, Error> {
        Ok(self.core.label_names(self.call, &of(matchers, range, 0))?.data)
    }

    fn label_values(
        &self,
        label: &str,
        range: TimeRange,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, Error> {
        Ok(self.core.label_values(self.call, label, &of(matchers, range, limit))?.data)
    }
}

/// A request for all that fits `matchers`; without any, for all there is.
fn of(matchers: &[Matcher], range: TimeRange, limit: usize) -> SeriesRequest {
    let matchers = if matchers.is_empty() { Vec::new() } else { vec![matchers.to_vec()] };
    SeriesRequest { matchers, range, limit }
}

/// Says on standard error why there may be nothing, or groups without the label that was meant.
fn hint(
    core: &dyn Core,
    call: &Call,
    expr: &str,
    range: TimeRange,
    data: &QueryData,
) -> io::Result<()> {
    let found: Vec<&Labels> = match data {
        QueryData::Vector(samples) => samples.iter().map(|sample| &sample.metric).collect(),
        QueryData::Matrix(series) => series.iter().map(|one| &one.metric).collect(),
        QueryData::Scalar(..) | QueryData::String(..) => return Ok(()),
    };
    note_empty(found.is_empty(), "no series")?;
    let Ok(parsed) = syntax::parse(expr, &Features::ALL) else { return Ok(()) };
    let lacks = |label: &&str| found.iter().all(|labels| labels.get(label).is_none());
    if !found.is_empty() && !hints::grouping_labels(&parsed).iter().any(lacks) {
        return Ok(());
    }
    let hints = hints(core, call, expr, range);
    hints.iter().try_for_each(|hint| writeln!(io::stderr(), "hint: {}", printable(hint)))
}

/// Why an expression may answer nothing, of any server; none when it does not tell its names.
pub(super) fn hints(core: &dyn Core, call: &Call, expr: &str, range: TimeRange) -> Vec<String> {
    let Ok(parsed) = syntax::parse(expr, &Features::ALL) else { return Vec::new() };
    hints::hints(&parsed, &Known { core, call }, range).unwrap_or_default()
}

fn values(data: &QueryData, form: OutputForm) -> anyhow::Result<Status> {
    output::query(data, form, &mut io::stdout().lock())?;
    Ok(Status::Fine)
}

fn tell_work(answer: &Answer<QueryData>, form: OutputForm) -> anyhow::Result<Status> {
    let told = answer.account.as_ref().and_then(|account| account.explain.as_ref());
    let told = told.context("this server cannot explain a query; watchbell can")?;
    let mut out = io::stdout().lock();
    match form {
        OutputForm::Json => output::json(told, &mut out)?,
        OutputForm::Table | OutputForm::Csv | OutputForm::Plain => {
            explain::explain(told, &mut out)?;
        }
    }
    Ok(Status::Fine)
}

/// Says on standard error what was noticed on the way to an answer.
fn notice<T>(answer: &Answer<T>) -> io::Result<()> {
    let notes = answer.warnings.iter().chain(&answer.infos);
    notes.into_iter().try_for_each(|note| writeln!(io::stderr(), "{}", printable(note)))
}

fn note_empty(is_empty: bool, text: &str) -> io::Result<()> {
    if is_empty { writeln!(io::stderr(), "{text}") } else { Ok(()) }
}

/// Draws a range vector: samples as they were scraped.
fn draw_samples(expr: &str, data: &QueryData, flags: &PlotFlags) -> anyhow::Result<Status> {
    let QueryData::Matrix(series) = data else {
        bail!(
            "a {} has no course over time to plot; ask for a range vector, as in {}[1h], or \
             with: watchbell query range",
            data.type_name(),
            printable(expr.trim())
        );
    };
    draw(expr, series, ends(series), usual_gap_ms(series), flags)
}

fn draw(
    expr: &str,
    series: &[MatrixSeries],
    ends: Option<(Timestamp, Timestamp)>,
    gap_ms: i64,
    flags: &PlotFlags,
) -> anyhow::Result<Status> {
    let Some((from, to)) = ends.filter(|_| !series.is_empty()) else {
        return Ok(Status::Fine);
    };
    let (charset, color) = (flags.charset.into(), flags.color.into());
    let (width, utc) = (tui::width(), flags.utc);
    let plot = Plot { expr, series, from, to, gap_ms, width, charset, color, utc };
    io::stdout().lock().write_all(plot.text().as_bytes())?;
    Ok(Status::Fine)
}

/// The first and the last instant of samples as they were scraped.
fn ends(series: &[MatrixSeries]) -> Option<(Timestamp, Timestamp)> {
    let all = || series.iter().flat_map(|one| &one.values).map(|(ts, _)| *ts);
    Some((all().min()?, all().max()?))
}

/// Samples as they were scraped are joined when they are nearer than one and a half of the usual
/// distance: one that is missing leaves a gap.
fn usual_gap_ms(series: &[MatrixSeries]) -> i64 {
    let apart = |pair: &[(Timestamp, f64)]| match pair {
        [(before, _), (after, _)] => after.millis_since(*before),
        _ => 0,
    };
    let mut all: Vec<i64> =
        series.iter().flat_map(|one| one.values.windows(2)).map(apart).collect();
    all.sort_unstable();
    all.get(all.len() / 2).map_or(0, |usual| usual.saturating_mul(3) / 2)
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// RFC 3339, seconds since the epoch, or a span before `now`.
///
/// # Errors
/// It is none of them.
pub(super) fn instant(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
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

    #[test]
    fn a_missing_scrape_is_wider_than_the_usual_gap() {
        let at = |second: i64| (Timestamp::from_millis(second * 1000), 1.0);
        let values = [0, 15, 30, 46, 75, 90].map(at).to_vec();
        let series = [MatrixSeries { metric: Labels::empty(), values }];
        let gap = usual_gap_ms(&series);
        assert!((16_000..29_000).contains(&gap), "{gap}");
        assert_eq!(ends(&series), Some((at(0).0, at(90).0)));
        assert_eq!(usual_gap_ms(&[]), 0);
    }

    #[test]
    fn a_refused_expression_is_explained_and_other_errors_stay() {
        let refused = Error::bad_data("1:1: parse error: unknown function with name \"rat\"");
        let told = explained("rat(a[5m])", refused).to_string();
        assert!(
            told.starts_with("1:1: parse error") && told.contains("did you mean rate?"),
            "{told}"
        );
        let foreign = Error::new(ErrorKind::Execution, "unsupported function \"rat\"");
        let told = explained("rat(a[5m])", foreign.clone()).to_string();
        assert!(
            told.starts_with("unsupported function \"rat\"\nPrometheus' parser says: "),
            "{told}"
        );
        assert_eq!(explained("up", foreign).to_string(), "unsupported function \"rat\"");
        // The text parses where experiments are on; the server's words say that they are off.
        let off = Error::bad_data("1:1: parse error: function \"info\" is not enabled");
        let told = explained("info(a)", off).to_string();
        assert!(told.contains("promql-experimental-functions"), "{told}");
        let busy = Error::new(ErrorKind::Busy, "too busy");
        assert_eq!(explained("rat(a[5m])", busy).to_string(), "too busy");
    }
}
