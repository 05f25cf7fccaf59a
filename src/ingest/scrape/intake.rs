//! From an answer to the samples of a commit: lines, labels, limits, relabelling, duplicates.

use super::super::config::ScrapeJob;
use super::super::limits::{HELP_BYTES_MAX, METADATA_MAX, SafetyLimits};
use super::cache::{CommentRun, Known, SeriesCache};
use crate::exposition::{Entry, Format, Media, Pairs, ParseError, Parser, SampleLine, normalized};
use crate::model::{
    Labels, LabelsBuilder, METRIC_NAME, MetricType, NameValidation, Timestamp,
    is_legacy_label_name, is_legacy_metric_name, relabel,
};
use crate::storage::append::{AppendExemplar, AppendSample, Commit, SeriesKey};
use crate::sys::metrics::Family;
use std::borrow::Cow;

/// Lines remembered for each sample that a scrape may have: those that relabelling drops are
/// remembered too, but not without bound.
const LINES_PER_SAMPLE_MAX: usize = 2;

/// Why a scrape counts for nothing, as far as it is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    /// Too many samples.
    Samples(String),
    /// Too many or too long labels.
    Labels(String),
    /// Anything else.
    Other(String),
}

impl Rejected {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Samples(text) | Self::Labels(text) | Self::Other(text) => text,
        }
    }
}

/// What a scrape is taken in by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'a> {
    pub(super) job: &'a ScrapeJob,
    pub(super) safety: &'a SafetyLimits,
    /// Labels of the target.
    pub(super) target: &'a Labels,
    /// Series that the scrape itself writes.
    pub(super) own_series: &'a [Labels],
}

/// The samples of one scrape, growing.
#[derive(Debug)]
pub(super) struct Intake<'a> {
    pub(super) terms: Terms<'a>,
    pub(super) cache: &'a mut SeriesCache,
    ts: Timestamp,
    /// What will be committed.
    pub(super) commit: Commit,
    /// Samples before and after relabelling.
    pub(super) scraped: u64,
    pub(super) kept: u64,
    /// Native histograms that are not kept.
    pub(super) native: u64,
    pub(super) notes: Vec<String>,
    /// More are too many.
    samples_max: u64,
}

impl<'a> Intake<'a> {
    /// An empty scrape at `ts`, whose samples go into this list.
    pub(super) fn new(
        terms: Terms<'a>,
        cache: &'a mut SeriesCache,
        ts: Timestamp,
        samples: Vec<AppendSample>,
    ) -> Self {
        let own = terms.job.limits.samples;
        let safety = u64::try_from(terms.safety.samples_max).unwrap_or(u64::MAX);
        Self {
            samples_max: if own > 0 { own.min(safety) } else { safety },
            terms,
            cache,
            ts,
            commit: Commit { samples, ..Commit::default() },
            scraped: 0,
            kept: 0,
            native: 0,
            notes: Vec::new(),
        }
    }

    /// Takes in a body.
    pub(super) fn body(
        &mut self,
        body: &[u8],
        media: Media,
        length_known: bool,
    ) -> Result<(), Rejected> {
        match media {
            Media::Text(format) => self.text(body, format, length_known)?,
            Media::Protobuf => self.protobuf(body)?,
        }
        self.check_sample_count()
    }

    /// T12: text that came without a length must end in a line break, or its last number may be
    /// cut.
    fn text(&mut self, body: &[u8], format: Format, length_known: bool) -> Result<(), Rejected> {
        let cut =
            format == Format::Text && !length_known && body.last().is_some_and(|b| *b != b'\n');
        if cut {
            let text = "the body has no length and does not end in a line break; it may be cut";
            return Err(Rejected::Other(text.to_owned()));
        }
        let other = |err: ParseError| Rejected::Other(err.to_string());
        let mut parser = Parser::new(body, format);
        loop {
            let passed = match parser.is_at_comment() {
                true => {
                    self.expected_comments(&mut parser, format)
                        || self.known_comments(&mut parser, body, format)
                }
                false => self.expected_line(&mut parser),
            };
            if passed {
                continue;
            }
            let comment = parser.comment_ahead();
            let comment_key = comment.map(|line| self.cache.key_of((line, format)));
            let Some(entry) = parser.next() else { break };
            match entry.map_err(other)? {
                Entry::Sample(line) => {
                    let key = self.cache.line_key(line.series.raw(), line.series.normalize());
                    self.line(&line, key)?;
                }
                Entry::Type { name, kind } => {
                    let key = comment_key.unwrap_or_else(|| self.cache.key_of((&name, kind)));
                    self.describe(key, &name, Some(kind), None, None);
                }
                Entry::Help { name, text } => {
                    let key = comment_key.unwrap_or_else(|| self.cache.key_of((&name, &text)));
                    self.describe(key, &name, None, Some(&text), None);
                }
                Entry::Unit { name, unit } => {
                    let key = self.cache.key_of((&name, "unit", &unit));
                    self.describe(key, &name, None, None, Some(&unit));
                }
            }
        }
        Ok(())
    }

    /// Takes in the next line if it is the one that came here last time, with a number and nothing
    /// else behind it; whether it is.
    #[inline]
    fn expected_line(&mut self, parser: &mut Parser<'_>) -> bool {
        let Some(len) = self.cache.expected_len() else { return false };
        let value = parser.known_value(len, |raw, normalize| {
            self.cache.is_expected(self.cache.line_key(raw, normalize))
        });
        let Some(value) = value else { return false };
        let Some(known) = self.cache.pass_expected() else { return false };
        self.count(known, None, value);
        true
    }

    /// Passes over the comments that came here last time, all that follow each other at once;
    /// whether they did.
    #[inline]
    fn expected_comments(&mut self, parser: &mut Parser<'_>, format: Format) -> bool {
        let Some(run) = self.cache.expected_run() else { return false };
        let len = usize::try_from(run.bytes).unwrap_or(usize::MAX);
        let is_known = |lines: &[u8]| self.cache.key_of((lines, format)) == run.key;
        let passed = parser.pass_comments(len, run.has_type, is_known);
        if passed {
            self.cache.pass_run(run);
        }
        passed
    }

    /// Passes over comments that came before and need not be read, one by one; whether there was
    /// one.
    fn known_comments(&mut self, parser: &mut Parser<'_>, body: &[u8], format: Format) -> bool {
        let start = parser.offset();
        let mut run = CommentRun::default();
        while let Some(line) = parser.comment_ahead() {
            let key = self.cache.key_of((line, format));
            if !self.cache.is_heard(key) || run.comments == u16::MAX || !parser.pass_comment(line) {
                break;
            }
            self.cache.heard(key);
            run.comments += 1;
            run.has_type |= line.starts_with(b"# TYPE ");
        }
        let lines = body.get(start..parser.offset()).unwrap_or_default();
        // Longer ones are passed one by one each time.
        if let Ok(bytes) = u32::try_from(lines.len())
            && bytes > 0
        {
            self.cache.learn_run(CommentRun {
                key: self.cache.key_of((lines, format)),
                bytes,
                ..run
            });
        }
        run.comments > 0
    }

    /// Takes in what a target inside this process said.
    pub(super) fn families(&mut self, families: &[Family]) -> Result<(), Rejected> {
        for family in families {
            let key = self.cache.key_of((&family.name, family.kind, &family.help));
            self.describe(key, &family.name, Some(family.kind), Some(&family.help), None);
            for sample in &family.samples {
                let key = self.cache.key_of((&family.name, sample.suffix, &sample.labels));
                let read = |labels: &mut Pairs<'_>| {
                    let name = format!("{}{}", family.name, sample.suffix);
                    labels.push((Cow::Borrowed(METRIC_NAME), Cow::Owned(name)));
                    labels.extend(sample.labels.iter().map(|(name, value)| {
                        // T4, as if it had been text: the same series over HTTP has these bounds.
                        let value = uniform(family.kind, name, value);
                        (Cow::Owned(name.to_owned()), Cow::Owned(value))
                    }));
                    Ok(())
                };
                self.sample((key, 0), None, sample.value, read)?;
            }
        }
        self.check_sample_count()
    }

    fn line(&mut self, line: &SampleLine<'_>, key: u64) -> Result<(), Rejected> {
        let ts = line.ts.filter(|_| self.terms.job.honor_timestamps);
        let place = self.commit.samples.len();
        self.sample((key, line.series.raw().len()), ts, line.value, |pairs| {
            line.series.read(pairs).map_err(|err| err.to_string())
        })?;
        // Only a sample that is kept has one.
        if let Some(text) = line.exemplar
            && let Some(sample) = self.commit.samples.get(place)
            && let Some(exemplar) = text.read(sample.ts)
        {
            self.commit.exemplars.push(AppendExemplar { series: sample.series, exemplar });
        }
        Ok(())
    }

    /// One sample, of a line with this key and a series part of so many bytes. `read` gives its
    /// labels and is asked only for a line that is not known.
    pub(super) fn sample<'l>(
        &mut self,
        (key, len): (u64, usize),
        own_ts: Option<Timestamp>,
        value: f64,
        read: impl FnOnce(&mut Pairs<'l>) -> Result<(), String>,
    ) -> Result<(), Rejected> {
        let tracked = own_ts.is_none() || self.terms.job.track_timestamps_staleness;
        let known = self.cache.look_up(key, len, tracked);
        if known != Known::Unknown {
            self.count(known, own_ts, value);
            return Ok(());
        }
        let mut pairs = Pairs::new();
        read(&mut pairs).map_err(Rejected::Other)?;
        // What cannot be read is no sample.
        self.scraped += 1;
        if let Some(series) = self.learn((key, len), tracked, &pairs)? {
            self.keep(series, own_ts, value);
        }
        Ok(())
    }

    /// One sample of a line that is known.
    #[inline]
    fn count(&mut self, known: Known, own_ts: Option<Timestamp>, value: f64) {
        self.scraped += 1;
        if let Known::Series(series) = known {
            self.kept += 1;
            self.keep(SeriesKey::Known(series), own_ts, value);
        }
    }

    #[inline]
    fn keep(&mut self, series: SeriesKey, own_ts: Option<Timestamp>, value: f64) {
        if !self.is_over() {
            let ts = own_ts.unwrap_or(self.ts);
            self.commit.samples.push(AppendSample { series, ts, value });
        }
    }

    /// The series of a line that is not known; `None` when nothing is kept of it.
    fn learn(
        &mut self,
        (key, len): (u64, usize),
        tracked: bool,
        pairs: &Pairs<'_>,
    ) -> Result<Option<SeriesKey>, Rejected> {
        // T9: past the limit samples are only counted, so nothing more is remembered.
        let may_remember =
            self.cache.line_count() < LINES_PER_SAMPLE_MAX * self.terms.safety.samples_max;
        let Some(labels) = self.labels(pairs)? else {
            if may_remember {
                self.cache.learn_dropped(key, len);
            }
            return Ok(None);
        };
        if self.terms.own_series.contains(&labels) {
            self.note(format!(
                "the target exposes {labels}, which the scrape writes itself; dropped"
            ));
            self.cache.learn_dropped(key, len);
            return Ok(None);
        }
        self.kept += 1;
        if self.is_over() || !may_remember {
            return Ok(None);
        }
        if self.commit.labels.len() >= self.terms.safety.series_max {
            let limit = self.terms.safety.series_max;
            let text = format!("series limit exceeded: more than {limit} (--scrape.max-series)");
            return Err(Rejected::Samples(text));
        }
        let series = self.commit.name(labels);
        if let SeriesKey::New(place) = series {
            self.cache.learn_new((key, len), place, tracked);
        }
        Ok(Some(series))
    }

    /// The labels of a series as they are stored; `None` when relabelling drops it.
    fn labels(&self, pairs: &Pairs<'_>) -> Result<Option<Labels>, Rejected> {
        let job = self.terms.job;
        let mut labels = with_target(pairs, self.terms.target, job.honor_labels);
        if relabel::apply(&job.metric_relabel, &mut labels) == relabel::Outcome::Drop {
            return Ok(None);
        }
        let labels = labels.build();
        if labels.is_empty() {
            return Ok(None);
        }
        check_names(&labels, job.validation)?;
        self.check_labels(&labels)?;
        Ok(Some(labels))
    }

    /// T9: limits of labels, those of the file and the safety limits.
    fn check_labels(&self, labels: &Labels) -> Result<(), Rejected> {
        let (limits, safety) = (&self.terms.job.limits, self.terms.safety);
        let metric: String = labels.metric_name().unwrap_or_default().chars().take(50).collect();
        let over = |found: usize, own: u64, flag_limit: usize| {
            let own = usize::try_from(own).unwrap_or(usize::MAX);
            match own {
                own if own > 0 && found > own => Some((own, "")),
                _ if found > flag_limit => Some((flag_limit, ", a safety limit")),
                _ => None,
            }
        };
        let count = labels.len();
        if let Some((limit, why)) = over(count, limits.labels, safety.labels_max) {
            let text = format!(
                "label_limit exceeded (metric: {metric}, number of labels: {count}, \
                 limit: {limit}{why})"
            );
            return Err(Rejected::Labels(text));
        }
        for (name, value) in labels {
            let name_max = safety.label_name_bytes_max;
            if let Some((limit, why)) = over(name.len(), limits.label_name_bytes, name_max) {
                let shown: String = name.chars().take(50).collect();
                let length = name.len();
                let text = format!(
                    "label_name_length_limit exceeded (metric: {metric}, label name: {shown}, \
                     length: {length}, limit: {limit}{why})"
                );
                return Err(Rejected::Labels(text));
            }
            let value_max = safety.label_value_bytes_max;
            if let Some((limit, why)) = over(value.len(), limits.label_value_bytes, value_max) {
                let shown: String = value.chars().take(50).collect();
                let length = value.len();
                let text = format!(
                    "label_value_length_limit exceeded (metric: {metric}, label name: {name}, \
                     value: {shown:?}, length: {length}, limit: {limit}{why})"
                );
                return Err(Rejected::Labels(text));
            }
        }
        Ok(())
    }

    const fn is_over(&self) -> bool {
        self.kept > self.samples_max
    }

    fn check_sample_count(&self) -> Result<(), Rejected> {
        if !self.is_over() {
            return Ok(());
        }
        let own = self.terms.job.limits.samples;
        let text = if own > 0 && self.kept > own {
            format!("sample limit exceeded: {} samples, limit {own}", self.kept)
        } else {
            let limit = self.terms.safety.samples_max;
            format!(
                "sample limit exceeded: {} samples, safety limit {limit} (--scrape.max-samples)",
                self.kept
            )
        };
        Err(Rejected::Samples(text))
    }

    /// Remembers what is said about a metric, unless the comment with this key came here before.
    pub(super) fn describe(
        &mut self,
        key: u64,
        name: &str,
        kind: Option<MetricType>,
        help: Option<&str>,
        unit: Option<&str>,
    ) {
        if self.cache.heard(key) {
            return;
        }
        let help = help.map(|help| cut(help, HELP_BYTES_MAX));
        self.cache.hear(name, METADATA_MAX, kind, [help, unit]);
    }

    pub(super) fn note(&mut self, text: String) {
        if self.notes.len() < super::super::limits::NOTES_MAX && !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }
}

/// The value of a label of a family inside this process, with uniform bounds and quantiles.
fn uniform(kind: MetricType, name: &str, value: &str) -> String {
    let is_number =
        matches!((kind, name), (MetricType::Histogram, "le") | (MetricType::Summary, "quantile"));
    let normal = if is_number { normalized(value) } else { None };
    normal.unwrap_or_else(|| value.to_owned())
}

/// `text`, or as much of it as fits `bytes_max`.
fn cut(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or(text)
}

/// T8: scraped labels and the target's, one of which wins.
///
/// Source: prometheus, scrape/scrape.go (mutateSampleLabels, resolveConflictingExposedLabels).
fn with_target(pairs: &Pairs<'_>, target: &Labels, honor_labels: bool) -> LabelsBuilder {
    let mut labels = LabelsBuilder::default();
    for (name, value) in pairs {
        labels.set(name.as_ref(), value.as_ref());
    }
    if honor_labels {
        for (name, value) in target {
            // Present and empty keeps the target's label out, and is not stored itself.
            if !pairs.iter().any(|(scraped, _)| scraped == name) {
                labels.set(name, value);
            }
        }
        return labels;
    }
    let mut conflicts: Vec<(&str, String)> = Vec::new();
    for (name, value) in target {
        if let Some(scraped) = labels.get(name) {
            conflicts.push((name, scraped.to_owned()));
        }
        labels.set(name, value);
    }
    conflicts.sort_by_key(|(name, _)| name.len());
    for (name, value) in conflicts {
        let mut renamed = format!("exported_{name}");
        while labels.get(&renamed).is_some() {
            renamed.insert_str(0, "exported_");
        }
        labels.set(renamed, value);
    }
    labels
}

/// Names are checked after relabelling; a bad one fails the scrape.
fn check_names(labels: &Labels, validation: NameValidation) -> Result<(), Rejected> {
    let Some(metric) = labels.metric_name() else {
        return Err(Rejected::Other(format!("missing metric name ({METRIC_NAME} label)")));
    };
    let valid = match validation {
        NameValidation::Utf8 => labels.iter().all(|(name, _)| !name.is_empty()),
        NameValidation::Legacy => {
            is_legacy_metric_name(metric)
                && labels.iter().all(|(name, _)| is_legacy_label_name(name))
        }
    };
    if valid {
        return Ok(());
    }
    Err(Rejected::Other(format!("invalid metric name or label names: {labels}")))
}
