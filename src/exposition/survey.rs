//! A look at a body as a whole: what is in it, in numbers, and what its author might want to mend.
//!
//! Source of the advice on names: prometheus/client_golang, prometheus/testutil/promlint.

use super::parse::{Entry, Format, Media, Parser};
use super::proto::{Families, Metric, MetricSample, ProtoError};
use super::series::Pairs;
use super::{ParseError, error::excerpt};
use crate::model::{METRIC_NAME, MetricType};
use foldhash::quality::RandomState;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasher as _;

/// Pieces of advice of one kind that are written out; the others are counted.
const ALIKE_MAX: usize = 5;

/// Bytes of a name in a sentence.
const NAME_BYTES_MAX: usize = 200;

/// Where a body stops being one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// In a line of text.
    Text(ParseError),
    /// In a message.
    Protobuf(ProtoError),
}

/// What is in a body.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Where it ended, when that was too early.
    pub fault: Option<Fault>,
    /// Families of each type.
    pub families: BTreeMap<MetricType, usize>,
    /// Samples, before relabelling.
    pub samples: usize,
    /// Series: samples of different labels.
    pub series: usize,
    /// Samples with an exemplar.
    pub exemplars: usize,
    /// Names of labels with the number of their values, the largest first.
    pub label_values: Vec<(String, usize)>,
    /// What to mend, in words.
    pub advice: Vec<String>,
}

impl Survey {
    /// Reads a body whole, up to its first fault.
    ///
    /// Its memory grows with the body: about 50 bytes a series and a label's value.
    pub fn of(body: &[u8], media: Media) -> Self {
        let mut surveyor = Surveyor { body, ..Surveyor::default() };
        let fault = match media {
            Media::Text(format) => surveyor.text(format).err().map(Fault::Text),
            Media::Protobuf => surveyor.protobuf().err().map(Fault::Protobuf),
        };
        Self { fault, ..surveyor.finish() }
    }
}

/// What was said about a family, and what came of it.
#[derive(Debug, Default)]
struct About {
    kind: Option<MetricType>,
    has_help: bool,
    has_samples: bool,
    /// Whether a sample's name ends in `_total`: OpenMetrics announces counters without it.
    has_total: bool,
}

#[derive(Debug, Default)]
struct Surveyor<'a> {
    body: &'a [u8],
    keys: RandomState,
    families: BTreeMap<String, About>,
    /// Keys of series, and the line of the first sample of each.
    series: HashMap<u64, usize>,
    values: BTreeMap<String, HashSet<u64>>,
    samples: usize,
    exemplars: usize,
    stamped: usize,
    twice: Vec<String>,
    twice_count: usize,
    /// A place in the body whose line is known.
    known: (usize, usize),
}

impl<'a> Surveyor<'a> {
    fn text(&mut self, format: Format) -> Result<(), ParseError> {
        let mut pairs = Pairs::new();
        for entry in Parser::new(self.body, format) {
            match entry? {
                Entry::Type { name, kind } => self.about(&name).kind = Some(kind),
                Entry::Help { name, .. } => self.about(&name).has_help = true,
                Entry::Unit { .. } => {}
                Entry::Sample(line) => {
                    line.series.read(&mut pairs)?;
                    let place = self.line_of(line.series.raw());
                    self.sample(&pairs, place, line.ts.is_some(), line.exemplar.is_some());
                }
            }
        }
        Ok(())
    }

    fn protobuf(&mut self) -> Result<(), ProtoError> {
        for family in Families::new(self.body) {
            let family = family?;
            if family.metric_count == 0 {
                continue;
            }
            let about = self.about(family.name);
            about.kind = Some(family.kind);
            about.has_help = !family.help.is_empty();
            let mut pairs = Pairs::new();
            for metric in family.metrics() {
                let metric: Metric<'_> = metric?;
                let stamped = metric.timestamp_ms.is_some_and(|ms| ms != 0);
                metric.each_sample(|sample: MetricSample<'_>| {
                    metric.read_series(&family, &sample, &mut pairs)?;
                    self.sample(&pairs, 0, stamped, sample.exemplar.is_some());
                    Ok::<_, ProtoError>(())
                })?;
            }
        }
        Ok(())
    }

    fn about(&mut self, name: &str) -> &mut About {
        if !self.families.contains_key(name) {
            self.families.insert(name.to_owned(), About::default());
        }
        self.families.entry(name.to_owned()).or_default()
    }

    /// `line` is 0 where there are none.
    fn sample(&mut self, pairs: &Pairs<'_>, line: usize, stamped: bool, has_exemplar: bool) {
        self.samples += 1;
        self.exemplars += usize::from(has_exemplar);
        self.stamped += usize::from(stamped);
        let name = pairs.iter().find(|(name, _)| name == METRIC_NAME);
        let name = name.map(|(_, value)| value.as_ref()).unwrap_or_default();
        let family = self.family_of(name);
        let about = self.about(&family);
        about.has_samples = true;
        about.has_total |= name.ends_with("_total");
        let mut sorted: Vec<_> = pairs.iter().filter(|(_, value)| !value.is_empty()).collect();
        sorted.sort_unstable();
        for (label, value) in sorted.iter().filter(|(label, _)| label != METRIC_NAME) {
            let key = self.keys.hash_one(value);
            match self.values.get_mut(label.as_ref()) {
                Some(values) => {
                    values.insert(key);
                }
                None => {
                    self.values.insert(label.clone().into_owned(), HashSet::from([key]));
                }
            }
        }
        let key = self.keys.hash_one(&sorted);
        match self.series.get(&key) {
            // Other times are other samples.
            Some(_) if stamped => {}
            Some(first) => {
                self.twice_count += 1;
                if self.twice.len() < ALIKE_MAX {
                    let series = excerpt(name.as_bytes());
                    self.twice.push(match line {
                        0 => format!("a series of {series} stands twice; the first counts"),
                        line => format!(
                            "line {line}: this series of {series} stands in line {first} already; \
                             the first counts"
                        ),
                    });
                }
            }
            None => {
                self.series.insert(key, line);
            }
        }
    }

    /// The family that was announced and that a sample of this name belongs to.
    fn family_of(&self, name: &str) -> String {
        const SUFFIXES: [&str; 8] =
            ["_bucket", "_count", "_sum", "_total", "_created", "_info", "_gcount", "_gsum"];
        let known = |family: &&str| self.families.contains_key(*family);
        let stems = SUFFIXES.iter().filter_map(|suffix| name.strip_suffix(suffix));
        let found = std::iter::once(name).chain(stems).find(known);
        found.unwrap_or(name).to_owned()
    }

    /// The line of a part of the body; asked for one part after another.
    fn line_of(&mut self, part: &[u8]) -> usize {
        let at = (part.as_ptr() as usize).saturating_sub(self.body.as_ptr() as usize);
        let (known_at, known_line) = self.known;
        let between = self.body.get(known_at..at).unwrap_or_default();
        let line = known_line.max(1) + memchr::memchr_iter(b'\n', between).count();
        self.known = (at, line);
        line
    }

    /// Names of families with samples that are `wrong`.
    fn named(&self, wrong: impl Fn(&About) -> bool) -> Vec<&str> {
        let families = self.families.iter();
        let found = families.filter(|(_, about)| about.has_samples && wrong(about));
        found.map(|(name, _)| name.as_str()).collect()
    }

    fn advice(&self) -> Vec<String> {
        let mut advice = self.twice.clone();
        if self.twice_count > self.twice.len() {
            let more = self.twice_count - self.twice.len();
            advice.push(format!("{more} more samples of series that stand there already"));
        }
        let is_counter = |about: &About| about.kind == Some(MetricType::Counter);
        for (names, what) in [
            (self.named(|about| about.kind.is_none()), "no type; write # TYPE before its samples"),
            (self.named(|about| !about.has_help), "no help; write # HELP with a sentence"),
            (
                self.named(|about| is_counter(about) && !about.has_total),
                "counter whose name does not end in _total",
            ),
            (
                self.named(|about| about.has_total && about.kind.is_some() && !is_counter(about)),
                "name ends in _total and it is no counter",
            ),
        ] {
            let shown = names.iter().take(ALIKE_MAX);
            advice.extend(shown.map(|name| format!("{}: {what}", short(name))));
            if names.len() > ALIKE_MAX {
                advice.push(format!("{} more families: {what}", names.len() - ALIKE_MAX));
            }
        }
        if self.stamped > 0 {
            let count = self.stamped;
            advice.push(format!(
                "{count} samples say their own time; their series are not marked when they end"
            ));
        }
        advice
    }

    fn finish(self) -> Survey {
        let mut families: BTreeMap<MetricType, usize> = BTreeMap::new();
        for about in self.families.values().filter(|about| about.has_samples) {
            *families.entry(about.kind.unwrap_or_default()).or_default() += 1;
        }
        let values = self.values.iter();
        let mut label_values: Vec<_> =
            values.map(|(name, values)| (name.clone(), values.len())).collect();
        label_values.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Survey {
            fault: None,
            families,
            samples: self.samples,
            series: self.series.len(),
            exemplars: self.exemplars,
            label_values,
            advice: self.advice(),
        }
    }
}

/// A name for a sentence.
fn short(name: &str) -> &str {
    name.get(..name.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(body: &str) -> Vec<String> {
        Survey::of(body.as_bytes(), Media::Text(Format::Text)).advice
    }

    #[test]
    fn a_body_is_counted() {
        let body = "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"1\",y=\"1\"} 1\n\
                    a_total{x=\"2\",y=\"1\"} 1\n# HELP h H.\n# TYPE h histogram\n\
                    h_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n";
        let survey = Survey::of(body.as_bytes(), Media::Text(Format::Text));
        assert_eq!((survey.samples, survey.series, survey.fault), (5, 5, None));
        let families = [(MetricType::Counter, 1), (MetricType::Histogram, 1)];
        assert_eq!(survey.families, BTreeMap::from(families));
        let (first, count) = &survey.label_values[0];
        assert_eq!((first.as_str(), *count), ("x", 2));
        assert_eq!(survey.advice, Vec::<String>::new());
    }

    #[test]
    fn what_to_mend_is_told() {
        let help = "# HELP a A.\n# TYPE a gauge\n";
        for (body, expected) in [
            (
                format!("{help}a{{x=\"1\",y=\"2\"}} 1\na{{y=\"2\",x=\"1\"}} 2\n"),
                "line 4: this series of \"a\" stands in line 3 already; the first counts",
            ),
            ("# HELP a A.\na 1\n".to_owned(), "a: no type; write # TYPE before its samples"),
            ("# TYPE a gauge\na 1\n".to_owned(), "a: no help; write # HELP with a sentence"),
            (
                "# HELP a A.\n# TYPE a counter\na 1\n".to_owned(),
                "a: counter whose name does not end in _total",
            ),
            (
                "# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n".to_owned(),
                "a_total: name ends in _total and it is no counter",
            ),
            (
                format!("{help}a 1 1700000000000\n"),
                "1 samples say their own time; their series are not marked when they end",
            ),
        ] {
            assert_eq!(advice(&body), [expected], "{body}");
        }
        let many: String = (0..8).map(|n| format!("a{n} 1\n")).collect();
        let found = advice(&many);
        assert!(
            found.contains(&"3 more families: no help; write # HELP with a sentence".to_owned()),
            "{found:?}"
        );
        let open = "# TYPE a counter\n# HELP a A.\na_total 1\n# EOF\n";
        let open = Survey::of(open.as_bytes(), Media::Text(Format::OpenMetrics));
        assert_eq!((open.advice.len(), open.families[&MetricType::Counter]), (0, 1));
    }

    #[test]
    fn the_place_of_a_fault_is_told_and_what_was_before_is_counted() {
        let survey = Survey::of(b"a 1\nb x\n", Media::Text(Format::Text));
        assert_eq!(survey.samples, 1);
        let Some(Fault::Text(fault)) = survey.fault else { panic!("a fault in text") };
        assert_eq!((fault.line, fault.column), (2, 3));
    }
}
