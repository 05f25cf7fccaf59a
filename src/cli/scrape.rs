//! `watchbell scrape`: one scrape, shown and not stored.

use super::Status;
use super::flags::{LookForm, ScrapeFlags};
use super::output::{self, series_text};
use super::store::size;
use crate::config;
use crate::exposition::{Fault, Format, Media, Survey};
use crate::ingest::config::{Global, ScrapeConfig, ScrapeJob, check};
use crate::ingest::limits::SafetyLimits;
use crate::ingest::scrape::{Look, LookSample, Subject, look};
use crate::ingest::target::{Populated, Target, is_loopback, populate};
use crate::model::{Labels, Matcher, nearest_name, printable, value_text};
use crate::promql::syntax;
use crate::sys::clock::SystemClock;
use crate::sys::http::{Http as _, SystemHttp};
use crate::sys::settings::TlsSettings;
use crate::sys::tasks::BlockingRuntime;
use crate::wire::PROMETHEUS_VERSION;
use anyhow::{Context as _, bail};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;

/// Characters of the line with a fault that are shown on each side of it.
const AROUND_CHARS: usize = 60;
/// Labels with the most values.
const LABELS_SHOWN: usize = 5;

/// Scrapes, and prints what came of it.
pub(super) fn run(flags: &ScrapeFlags) -> anyhow::Result<Status> {
    let matchers = match &flags.matching {
        Some(text) => {
            syntax::parse_selector(text).map_err(|err| anyhow::Error::msg(err.explain(text)))?
        }
        None => Vec::new(),
    };
    let (job, target) = subject(flags)?;
    let client = SystemHttp::new().client(&job.client, &job.base);
    let client = client.map_err(|problem| anyhow::Error::msg(problem.message))?;
    let runtime = BlockingRuntime::new("scrape").context("cannot start a thread")?;
    let clock = SystemClock::new();
    let safety = SafetyLimits::default();
    let user_agent = format!("Prometheus/{PROMETHEUS_VERSION}");
    let subject = Subject { job: &job, target: &target, safety: &safety, user_agent: &user_agent };
    let found = runtime.wait(look(client.as_ref(), &clock, subject));
    let report = Report::new(&target.url, found, &matchers);
    let mut out = io::stdout().lock();
    match flags.output {
        LookForm::Json => output::json(&report.form(flags.samples), &mut out)?,
        LookForm::Text => report.lines(&mut out)?,
        LookForm::Table => report.table(flags.samples, &mut out)?,
    }
    Ok(if report.look.error.is_none() { Status::Fine } else { Status::Wrong })
}

/// The job and the target that the flags mean.
fn subject(flags: &ScrapeFlags) -> anyhow::Result<(ScrapeJob, Target)> {
    let url = Address::parse(&flags.url)?;
    let mut job = match (&flags.config_file, &flags.job) {
        (Some(file), Some(name)) => named_job(file, name)?,
        _ => own_job(flags)?,
    };
    if !flags.protocols.is_empty() {
        job.protocols.clone_from(&flags.protocols);
    }
    job.fallback = flags.fallback.or(job.fallback);
    if let Some(timeout) = flags.timeout {
        job.timeout = timeout;
        job.interval = job.interval.max(timeout);
    }
    for (name, value) in &flags.headers {
        let header = job.client.http_headers.entry(name.clone()).or_default();
        header.values.push(value.clone());
    }
    job.client.check("").map_err(|problem| anyhow::Error::msg(problem.message))?;
    let mut target = if flags.job.is_some() {
        url.target_of(&job)?
    } else {
        Target {
            discovered: Labels::empty(),
            labels: Labels::empty(),
            url: url.whole(),
            interval: job.interval,
            timeout: job.timeout,
            unix_socket: None,
            is_local: is_loopback(&url.authority),
        }
    };
    if let Some(socket) = &flags.unix_socket {
        target.unix_socket = Some(socket.clone());
        target.is_local = true;
    }
    Ok((job, target))
}

/// A job of a file.
fn named_job(file: &Path, name: &str) -> anyhow::Result<ScrapeJob> {
    let sources = config::Sources { config_file: Some(file.to_owned()), ..Default::default() };
    let config = config::load(&sources)?;
    let names: Vec<String> = config.jobs.jobs.iter().map(|job| job.name.clone()).collect();
    let Some(job) = config.jobs.jobs.into_iter().find(|job| job.name == name) else {
        if let Some(skipped) = config.jobs.skipped.iter().find(|job| job.name == name) {
            bail!("job {name:?} is skipped: {}", skipped.reason);
        }
        let hint = nearest_name(name, names.iter().map(String::as_str)).map_or_else(
            || format!("; there are: {}", names.join(", ")),
            |name| format!("; did you mean {name:?}?"),
        );
        bail!("no job {name:?} in {}{hint}", file.display());
    };
    Ok(job)
}

/// A job with the defaults of a file that says nothing.
fn own_job(flags: &ScrapeFlags) -> anyhow::Result<ScrapeJob> {
    let config = ScrapeConfig {
        job_name: "scrape".to_owned(),
        bearer_token_file: flags.bearer_token_file.clone(),
        tls_config: flags
            .insecure
            .then(|| TlsSettings { insecure_skip_verify: true, ..TlsSettings::default() }),
        ..ScrapeConfig::default()
    };
    let checked = check(&Global::default(), &[config], Path::new(""), &mut BTreeSet::new());
    let checked = checked.map_err(|problems| {
        let texts: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
        anyhow::Error::msg(texts.join("\n"))
    })?;
    checked.jobs.into_iter().next().context("no job came of the flags")
}

/// What is scraped, as it was written.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    scheme: Option<String>,
    /// With a name and password, where it has them.
    authority: String,
    /// With its slash; empty when nothing was written.
    path: String,
    query: String,
}

impl Address {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => (Some(scheme.to_owned()), rest),
            Some((scheme, _)) => bail!("cannot scrape {scheme}://; write http:// or https://"),
            None => (None, text),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if authority.is_empty() {
            bail!("cannot scrape {text:?}; write http://HOST:PORT/metrics or HOST:PORT");
        }
        let (authority, path, query) = (authority.to_owned(), path.to_owned(), query.to_owned());
        Ok(Self { scheme, authority, path, query })
    }

    fn whole(&self) -> String {
        let scheme = self.scheme.as_deref().unwrap_or("http");
        let path = if self.path.is_empty() { "/metrics" } else { &self.path };
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        format!("{scheme}://{}{path}{query}", self.authority)
    }

    /// The target that it is in a job, relabelled.
    fn target_of(&self, job: &ScrapeJob) -> anyhow::Result<Target> {
        let mut labels = BTreeMap::new();
        if let Some(scheme) = &self.scheme {
            labels.insert("__scheme__".to_owned(), scheme.clone());
        }
        if !self.path.is_empty() {
            labels.insert("__metrics_path__".to_owned(), self.path.clone());
        }
        if !self.query.is_empty() {
            bail!("a job's own params are sent; write the address without ?{}", self.query);
        }
        match populate(job, &self.authority, &Labels::from_pairs(labels)) {
            Populated::Target(target) => Ok(target),
            Populated::Dropped { reason: Some(reason), .. } => {
                bail!("the job does not scrape {:?}: {reason}", self.authority)
            }
            Populated::Dropped { reason: None, .. } => bail!(
                "the job's relabel_configs drop {:?}; see why: watchbell targets explain {}",
                self.authority,
                job.name
            ),
        }
    }
}

/// What came of a scrape, for all forms.
struct Report<'a> {
    url: &'a str,
    look: Look,
    survey: Option<Survey>,
    /// Those that were asked for.
    samples: Vec<LookSample>,
}

impl<'a> Report<'a> {
    fn new(url: &'a str, mut look: Look, matchers: &[Matcher]) -> Self {
        let body = look.response.as_ref().map(|response| response.body.clone());
        let survey = body.zip(look.media).map(|(body, media)| Survey::of(&body, media));
        let mut samples = std::mem::take(&mut look.samples);
        samples.retain(|sample| matchers.iter().all(|one| one.matches(&sample.labels)));
        Self { url, look, survey, samples }
    }

    /// Where the body has a fault: the place, and for text the line with a caret.
    fn fault(&self) -> Option<Shown> {
        let fault = self.survey.as_ref()?.fault.as_ref()?;
        let body = &self.look.response.as_ref()?.body;
        Some(match fault {
            Fault::Protobuf(err) => Shown {
                place: format!("byte {}", err.offset),
                lines: None,
                message: err.message.clone(),
            },
            Fault::Text(err) => {
                let line = body.split(|byte| *byte == b'\n').nth(err.line - 1).unwrap_or_default();
                Shown {
                    place: format!("{}:{}", err.line, err.column),
                    lines: Some(with_caret(line, err.column)),
                    message: err.message.clone(),
                }
            }
        })
    }

    /// Everything, for people.
    fn table(&self, samples_max: usize, out: &mut dyn Write) -> io::Result<()> {
        self.exchange(out)?;
        if let Some(survey) = &self.survey {
            numbers(&self.look, survey, out)?;
        }
        if let Some(error) = &self.look.error {
            writeln!(out, "\nFAILED: {}", printable(error))?;
        }
        if let Some(fault) = self.fault() {
            let is_told =
                self.look.error.as_ref().is_some_and(|text| text.contains(&fault.message));
            if !is_told {
                writeln!(out, "  also {}: {}", fault.place, printable(&fault.message))?;
            }
            for line in fault.lines.iter().flatten() {
                writeln!(out, "    {line}")?;
            }
            if let Some(advice) = advice_for(&fault.message) {
                writeln!(out, "  {advice}")?;
            }
        }
        let advice = self.survey.iter().flat_map(|survey| &survey.advice);
        let advice: Vec<&String> = self.look.notes.iter().chain(advice).collect();
        if !advice.is_empty() {
            writeln!(out, "\nTo mend:")?;
            advice.iter().try_for_each(|text| writeln!(out, "  {}", printable(text)))?;
        }
        self.head(samples_max, out)
    }

    fn exchange(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "GET {}", printable(&without_user(self.url)))?;
        for (name, value) in &self.look.request {
            writeln!(out, "  > {}: {}", printable(name), printable(value))?;
        }
        let Some(response) = &self.look.response else { return Ok(()) };
        writeln!(out, "  < {}", response.status)?;
        for (name, value) in &response.headers {
            writeln!(out, "  < {}: {}", printable(name), printable(value))?;
        }
        Ok(())
    }

    fn head(&self, samples_max: usize, out: &mut dyn Write) -> io::Result<()> {
        if samples_max == 0 || self.samples.is_empty() {
            return Ok(());
        }
        let verb = if self.look.error.is_none() { "Samples" } else { "Samples before the fault" };
        writeln!(out, "\n{verb}:")?;
        for sample in self.samples.iter().take(samples_max) {
            writeln!(out, "  {}", line(sample))?;
        }
        match self.samples.len().saturating_sub(samples_max) {
            0 => Ok(()),
            more => writeln!(out, "  {more} more; --samples {}", self.samples.len()),
        }
    }

    /// The samples alone.
    fn lines(&self, out: &mut dyn Write) -> io::Result<()> {
        self.samples.iter().try_for_each(|sample| writeln!(out, "{}", line(sample)))?;
        match &self.look.error {
            Some(error) => writeln!(io::stderr(), "watchbell: {}", printable(error)),
            None => Ok(()),
        }
    }

    fn form(&self, samples_max: usize) -> Form<'_> {
        let response = self.look.response.as_ref();
        let survey = self.survey.as_ref();
        let fault = self.fault();
        Form {
            url: without_user(self.url),
            request_headers: &self.look.request,
            status: response.map(|response| response.status),
            response_headers: response.map_or(&[], |response| &response.headers),
            format: self.look.media.map(format_name),
            body_bytes: response.map_or(0, |response| response.body.len()),
            fetched_in_seconds: self.look.fetched_in.as_secs_f64(),
            read_in_seconds: self.look.read_in.as_secs_f64(),
            error: self.look.error.as_deref(),
            fault: fault.map(|fault| FaultForm { place: fault.place, message: fault.message }),
            samples_scraped: self.look.scraped,
            series: survey.map_or(0, |survey| survey.series),
            families: survey.map_or_else(BTreeMap::new, |survey| {
                let families = survey.families.iter();
                families.map(|(kind, count)| (kind.as_str(), *count)).collect()
            }),
            exemplars: survey.map_or(0, |survey| survey.exemplars),
            label_values: survey.map_or(&[], |survey| &survey.label_values),
            advice: self
                .look
                .notes
                .iter()
                .chain(survey.iter().flat_map(|one| &one.advice))
                .collect(),
            samples: self.samples.iter().take(samples_max).map(SampleForm::of).collect(),
        }
    }
}

/// A fault, ready to be shown.
struct Shown {
    place: String,
    lines: Option<[String; 2]>,
    message: String,
}

/// The answer for programs.
#[derive(Debug, Serialize)]
struct Form<'a> {
    url: String,
    request_headers: &'a [(String, String)],
    status: Option<u16>,
    response_headers: &'a [(String, String)],
    format: Option<&'static str>,
    body_bytes: usize,
    fetched_in_seconds: f64,
    read_in_seconds: f64,
    error: Option<&'a str>,
    fault: Option<FaultForm>,
    samples_scraped: u64,
    series: usize,
    families: BTreeMap<&'static str, usize>,
    exemplars: usize,
    label_values: &'a [(String, usize)],
    advice: Vec<&'a String>,
    samples: Vec<SampleForm<'a>>,
}

#[derive(Debug, Serialize)]
struct FaultForm {
    place: String,
    message: String,
}

#[derive(Debug, Serialize)]
struct SampleForm<'a> {
    labels: BTreeMap<&'a str, &'a str>,
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exemplar: Option<BTreeMap<&'a str, &'a str>>,
}

impl<'a> SampleForm<'a> {
    fn of(sample: &'a LookSample) -> Self {
        Self {
            labels: sample.labels.iter().collect(),
            value: value_text::api(sample.value),
            timestamp_ms: sample.ts.map(|ts| ts.as_millis()),
            exemplar: sample.exemplar.as_ref().map(|one| one.labels.iter().collect()),
        }
    }
}

fn numbers(look: &Look, survey: &Survey, out: &mut dyn Write) -> io::Result<()> {
    let Some((response, media)) = look.response.as_ref().zip(look.media) else { return Ok(()) };
    let bytes = |count: usize| size(u64::try_from(count).unwrap_or(u64::MAX));
    let is_packed = response.header("content-encoding").is_some_and(|one| one != "identity");
    let packed = match response.header("content-length").and_then(|text| text.parse().ok()) {
        Some(packed) if is_packed => format!(", {} as sent", size(packed)),
        None if is_packed => ", compressed when sent".to_owned(),
        Some(_) | None => String::new(),
    };
    writeln!(out)?;
    writeln!(out, "read as   {}", format_name(media))?;
    writeln!(out, "body      {}{packed}", bytes(response.body.len()))?;
    let millis = |span: std::time::Duration| format!("{:.1} ms", span.as_secs_f64() * 1000.0);
    let (fetched, read) = (millis(look.fetched_in), millis(look.read_in));
    writeln!(out, "time      {fetched} to the last byte, {read} to read it")?;
    let (samples, series, exemplars) = (survey.samples, survey.series, survey.exemplars);
    writeln!(out, "samples   {samples}, of {series} series, {exemplars} with an exemplar")?;
    let kinds: Vec<_> =
        survey.families.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    writeln!(
        out,
        "families  {}",
        if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") }
    )?;
    let labels = survey.label_values.iter().take(LABELS_SHOWN);
    let labels: Vec<_> =
        labels.map(|(name, count)| format!("{} {count}", printable(name))).collect();
    if !labels.is_empty() {
        writeln!(out, "values    {}", labels.join(", "))?;
    }
    Ok(())
}

const fn format_name(media: Media) -> &'static str {
    match media {
        Media::Text(Format::Text) => "text",
        Media::Text(Format::OpenMetrics) => "OpenMetrics",
        Media::Protobuf => "protobuf",
    }
}

/// A sample as a line of text.
fn line(sample: &LookSample) -> String {
    let mut text = format!("{} {}", series_text(&sample.labels), value_text::api(sample.value));
    if let Some(ts) = sample.ts {
        text.push_str(&format!(" {}", ts.as_millis()));
    }
    if let Some(exemplar) = &sample.exemplar {
        let labels = exemplar.labels.to_string();
        let value = value_text::api(exemplar.value);
        text.push_str(&format!(" # {} {value}", printable(&labels)));
    }
    text
}

/// The part of a line around a column (in bytes, from 1), and a caret below it.
fn with_caret(line: &[u8], column: usize) -> [String; 2] {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (before, after) = line.split_at_checked(column.saturating_sub(1)).unwrap_or((line, b""));
    let before: Vec<char> = text(before).chars().collect();
    let from = before.len().saturating_sub(AROUND_CHARS);
    let lead = if from > 0 { "..." } else { "" };
    let before: String = before.get(from..).unwrap_or_default().iter().collect();
    let after: String = text(after).chars().take(AROUND_CHARS).collect();
    let before = format!("{lead}{}", printable(&before));
    let blanks = unicode_width::UnicodeWidthStr::width(before.as_str());
    [format!("{before}{}", printable(&after)), format!("{:blanks$}^", "")]
}

/// What to write instead.
fn advice_for(message: &str) -> Option<&'static str> {
    const TABLE: [(&str, &str); 9] = [
        ("does not end with # EOF", "write # EOF as the last line, or answer as text/plain"),
        ("after # EOF", "write # EOF once, as the last line"),
        ("expected a value", "write NAME{LABEL=\"VALUE\"} NUMBER; NaN, +Inf and -Inf are numbers"),
        ("invalid timestamp", "write milliseconds in text/plain, seconds in OpenMetrics, or none"),
        ("expected a label value", "write label values in double quotes"),
        (
            "expected a label name",
            "write {LABEL=\"VALUE\",...}; other names than [a-zA-Z_][a-zA-Z0-9_]* in double quotes",
        ),
        ("expected an equals sign", "write LABEL=\"VALUE\""),
        ("invalid metric type", "write counter, gauge, histogram, summary or untyped"),
        (
            "expected HELP, TYPE",
            "OpenMetrics has no other comments; answer as text/plain to keep them",
        ),
    ];
    TABLE.iter().find(|(part, _)| message.contains(part)).map(|(_, advice)| *advice)
}

/// The URL without a name and a password.
fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    match authority.rfind('@') {
        Some(at) => format!("{scheme}://{}", rest.get(at + 1..).unwrap_or_default()),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_people_write() {
        for (text, expected) in [
            ("h:1", "http://h:1/metrics"),
            ("h:1/x?a=b", "http://h:1/x?a=b"),
            ("https://u:p@h/m#f", "https://u:p@h/m"),
            ("http://[::1]:9100", "http://[::1]:9100/metrics"),
        ] {
            assert_eq!(Address::parse(text).expect(text).whole(), expected, "{text}");
        }
        for text in ["ftp://h", "", "/metrics", "http://"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
        assert_eq!(without_user("https://u:p@h/m"), "https://h/m");
        assert_eq!(without_user("https://h/m@x"), "https://h/m@x");
    }

    #[test]
    fn the_caret_stands_below_the_fault_and_nothing_reaches_the_terminal() {
        assert_eq!(with_caret(b"a{b=1} 2", 5), ["a{b=1} 2", "    ^"]);
        assert_eq!(with_caret(b"\x1b[2Ja x", 7), ["\\x1b[2Ja x", "         ^"]);
        let long = "x".repeat(100);
        let [line, caret] = with_caret(format!("{long}!").as_bytes(), 101);
        assert_eq!(line, format!("...{}!", "x".repeat(60)));
        assert_eq!(caret.len(), 64);
        assert_eq!(with_caret(b"a", 9), ["a", " ^"]);
    }
}
