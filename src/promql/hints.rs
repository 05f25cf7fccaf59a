//! Why an expression may answer nothing: selectors that no series fits and labels that no series
//! has, with the nearest names that there are.
//!
//! Any server's names will do: `Names` is a store, or the API of another server.

use super::syntax::{AggregateOp, Duration, Expr, ExprKind, Function, VectorSelector};
use crate::model::value_text::quoted;
use crate::model::{METRIC_NAME, MatchOp, Matcher, TimeRange, nearest_name};
use std::collections::BTreeSet;

/// Selectors that are looked at; further ones of an expression are not.
const SELECTORS_MAX: usize = 16;
/// Hints that are given; more would not be read.
const HINTS_MAX: usize = 8;
/// Names or values that a hint lists.
const LISTED_MAX: usize = 5;
/// Names or values among which the nearest is looked for.
const NAMES_MAX: usize = 100_000;

/// How far back an instant selector looks unless the server is told otherwise.
const LOOKBACK_MS: i64 = 300_000;

/// What knows which series there are.
pub trait Names {
    /// Why it could not tell.
    type Error;

    /// Names of the labels of series that match all of `matchers`.
    ///
    /// # Errors
    /// It could not tell.
    fn label_names(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
    ) -> Result<Vec<String>, Self::Error>;

    /// At most `limit` values of a label of series that match all of `matchers`.
    ///
    /// # Errors
    /// It could not tell.
    fn label_values(
        &self,
        label: &str,
        range: TimeRange,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, Self::Error>;
}

/// One sentence for each selector of `expr` that no series fits when it is evaluated in `range`,
/// and for each label of a `by` that no series has. Costs a few questions a selector.
///
/// # Errors
/// `names` could not tell.
pub fn hints<N: Names>(expr: &Expr, names: &N, range: TimeRange) -> Result<Vec<String>, N::Error> {
    let range = reach(expr).map_or(TimeRange::ALL, |reach| {
        let reach = reach.saturating_add(LOOKBACK_MS);
        let (from, to) = (range.from().plus_millis(-reach), range.to().plus_millis(reach));
        TimeRange::new(from, to).unwrap_or(TimeRange::ALL)
    });
    let mut hinter = Hinter { names, range, hints: Vec::new() };
    let mut seen: Vec<&[Matcher]> = Vec::new();
    for selector in super::syntax::selectors(expr) {
        if !seen.contains(&selector.matchers.as_slice()) && seen.len() < SELECTORS_MAX {
            seen.push(&selector.matchers);
            hinter.selector(selector)?;
        }
    }
    // Where a selector finds nothing, its labels are not to blame.
    if hinter.hints.is_empty() {
        hinter.labels_of(expr)?;
    }
    hinter.hints.truncate(HINTS_MAX);
    Ok(hinter.hints)
}

/// The labels that some `by` of `expr` wants.
pub fn grouping_labels(expr: &Expr) -> BTreeSet<&str> {
    let mut labels: BTreeSet<&str> = BTreeSet::new();
    if let ExprKind::Aggregation(aggregation) = &expr.kind
        && !aggregation.grouping.without
    {
        labels.extend(aggregation.grouping.labels.iter().map(String::as_str));
    }
    labels.extend(expr.children().into_iter().flat_map(grouping_labels));
    labels
}

/// How far from the time of evaluation an expression looks at most, in milliseconds: all ranges
/// and offsets together. `None` where only the evaluation knows.
fn reach(expr: &Expr) -> Option<i64> {
    let spans = match &expr.kind {
        ExprKind::Vector(selector) if selector.at.is_none() => vec![selector.offset.as_ref()],
        ExprKind::Matrix(matrix) if matrix.selector.at.is_none() => {
            vec![Some(&matrix.range), matrix.selector.offset.as_ref()]
        }
        ExprKind::Subquery(subquery) if subquery.at.is_none() => {
            vec![Some(&subquery.range), subquery.offset.as_ref()]
        }
        ExprKind::Vector(_) | ExprKind::Matrix(_) | ExprKind::Subquery(_) => return None,
        _other => Vec::new(),
    };
    let mut sum = 0_i64;
    for span in spans.into_iter().flatten() {
        let Duration::Millis(ms) = span else { return None };
        sum = sum.saturating_add(ms.saturating_abs());
    }
    expr.children().into_iter().try_fold(sum, |sum, child| Some(sum.saturating_add(reach(child)?)))
}

struct Hinter<'a, N> {
    names: &'a N,
    range: TimeRange,
    hints: Vec<String>,
}

impl<N: Names> Hinter<'_, N> {
    fn exists(&self, range: TimeRange, matchers: &[Matcher]) -> Result<bool, N::Error> {
        // Not by names of labels: VictoriaMetrics has __name__ among them in any case.
        Ok(!self.names.label_values(METRIC_NAME, range, matchers, 1)?.is_empty())
    }

    fn selector(&mut self, selector: &VectorSelector) -> Result<(), N::Error> {
        if self.exists(self.range, &selector.matchers)? {
            return Ok(());
        }
        if self.exists(TimeRange::ALL, &selector.matchers)? {
            let text = shown(&selector.matchers);
            self.hints.push(format!("{text} has samples, but none at this time"));
            return Ok(());
        }
        let is_name = |one: &&Matcher| one.name() == METRIC_NAME && one.op() == MatchOp::Equal;
        let name: Vec<Matcher> = selector.matchers.iter().filter(is_name).cloned().collect();
        if let [name] = name.as_slice()
            && !self.exists(TimeRange::ALL, std::slice::from_ref(name))?
        {
            return self.metric(name.value());
        }
        let count_before = self.hints.len();
        for matcher in selector.matchers.iter().filter(|one| one.name() != METRIC_NAME) {
            let both: Vec<Matcher> = name.iter().chain([matcher]).cloned().collect();
            if !self.exists(TimeRange::ALL, &both)? {
                self.matcher(&name, matcher)?;
            }
        }
        if self.hints.len() == count_before {
            let text = shown(&selector.matchers);
            self.hints.push(format!("no series fits all of {text}, though some fit each part"));
        }
        Ok(())
    }

    fn metric(&mut self, written: &str) -> Result<(), N::Error> {
        let all = self.names.label_values(METRIC_NAME, TimeRange::ALL, &[], NAMES_MAX)?;
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let what = match suggestion(written, &all) {
            Some(near) => format!("did you mean {near}?"),
            None => {
                let alike: Vec<&str> =
                    all.iter().copied().filter(|name| name.contains(written)).collect();
                match alike.as_slice() {
                    [] if all.is_empty() => "there are no series at all".to_owned(),
                    [] => "no name is like it".to_owned(),
                    alike => format!("names that contain it: {}", listed(alike, str::to_owned)),
                }
            }
        };
        self.hints.push(format!("no series has the name {written}; {what}"));
        Ok(())
    }

    /// A comparison that no series of the metric passes.
    fn matcher(&mut self, name: &[Matcher], matcher: &Matcher) -> Result<(), N::Error> {
        let label = matcher.name();
        let labels = self.names.label_names(TimeRange::ALL, name)?;
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let of = name.first().map_or("", Matcher::value);
        if !labels.contains(&label) {
            let subject = match of {
                "" => "no series has the label".to_owned(),
                metric => format!("{metric} has no label"),
            };
            self.lacks(&subject, label, &labels);
            return Ok(());
        }
        let values = self.names.label_values(label, TimeRange::ALL, name, NAMES_MAX)?;
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let near = match matcher.op() {
            MatchOp::Equal => suggestion(matcher.value(), &values),
            MatchOp::NotEqual | MatchOp::Regex | MatchOp::NotRegex => None,
        };
        let what = match near {
            Some(near) => format!("did you mean {}?", quoted(near)),
            None => format!("values are {}", listed(&values, quoted)),
        };
        let subject = if of.is_empty() { String::new() } else { format!(" of {of}") };
        self.hints.push(format!("no series{subject} has {matcher}; {what}"));
        Ok(())
    }

    fn lacks(&mut self, subject: &str, label: &str, there: &[&str]) {
        let there: Vec<&str> = there.iter().copied().filter(|name| *name != METRIC_NAME).collect();
        let what = match suggestion(label, &there) {
            Some(near) => format!("did you mean {near}?"),
            None if there.is_empty() => "there are none".to_owned(),
            None => format!("labels are {}", listed(&there, str::to_owned)),
        };
        self.hints.push(format!("{subject} {label}; {what}"));
    }

    /// The labels that series of a vector may have; `None` where that is not known.
    fn labels_of(&mut self, expr: &Expr) -> Result<Option<BTreeSet<String>>, N::Error> {
        Ok(match &expr.kind {
            ExprKind::Number(_) | ExprKind::String(_) => Some(BTreeSet::new()),
            ExprKind::Vector(selector) => {
                let found = self.names.label_names(self.range, &selector.matchers)?;
                Some(found.into_iter().collect())
            }
            ExprKind::Matrix(matrix) => {
                let found = self.names.label_names(self.range, &matrix.selector.matchers)?;
                Some(found.into_iter().collect())
            }
            ExprKind::Aggregation(_) => self.aggregated_labels(expr)?,
            ExprKind::Call(call) => {
                let inner = self.union(expr)?;
                match call.function {
                    Function::Info | Function::Absent | Function::AbsentOverTime => None,
                    Function::HistogramQuantiles => None,
                    Function::LabelReplace | Function::LabelJoin => {
                        let target = call.args.get(1).map(|arg| &arg.kind);
                        inner.zip(target).map(|(mut labels, target)| {
                            if let ExprKind::String(target) = target {
                                labels.insert(target.clone());
                            }
                            labels
                        })
                    }
                    _other => inner,
                }
            }
            ExprKind::Paren(_)
            | ExprKind::Unary { .. }
            | ExprKind::Binary(_)
            | ExprKind::Subquery(_) => self.union(expr)?,
        })
    }

    fn union(&mut self, expr: &Expr) -> Result<Option<BTreeSet<String>>, N::Error> {
        let mut all = Some(BTreeSet::new());
        for child in expr.children() {
            // Every child is walked, so that each `by` is seen.
            let labels = self.labels_of(child)?;
            all = all.zip(labels).map(|(mut all, labels)| {
                all.extend(labels);
                all
            });
        }
        Ok(all)
    }

    fn aggregated_labels(&mut self, expr: &Expr) -> Result<Option<BTreeSet<String>>, N::Error> {
        let ExprKind::Aggregation(aggregation) = &expr.kind else { return Ok(None) };
        if let Some(param) = &aggregation.param {
            self.labels_of(param)?;
        }
        let Some(inner) = self.labels_of(&aggregation.expr)? else { return Ok(None) };
        let listed = &aggregation.grouping.labels;
        let there: Vec<&str> = inner.iter().map(String::as_str).collect();
        if !aggregation.grouping.without && !inner.is_empty() {
            for label in listed.iter().filter(|label| !inner.contains(*label)) {
                let subject = format!("no series in {} has the label", aggregation.expr);
                self.lacks(&subject, label, &there);
            }
        }
        let keeps_series = matches!(
            aggregation.op,
            AggregateOp::Topk
                | AggregateOp::Bottomk
                | AggregateOp::Limitk
                | AggregateOp::LimitRatio
        );
        let mut labels: BTreeSet<String> = if keeps_series {
            inner
        } else if aggregation.grouping.without {
            inner.into_iter().filter(|label| !listed.contains(label)).collect()
        } else {
            listed.iter().cloned().collect()
        };
        if let (AggregateOp::CountValues, Some(ExprKind::String(label))) =
            (aggregation.op, aggregation.param.as_ref().map(|param| &param.kind))
        {
            labels.insert(label.clone());
        }
        Ok(Some(labels))
    }
}

/// The word that was probably meant: another case, or a few letters.
fn suggestion<'a>(written: &str, all: &[&'a str]) -> Option<&'a str> {
    let same = all.iter().copied().find(|one| one.eq_ignore_ascii_case(written));
    // Words much longer or shorter are not near, and need no comparison.
    let length = written.chars().count();
    let near = || {
        let similar = all.iter().copied().filter(|one| one.chars().count().abs_diff(length) <= 3);
        nearest_name(written, similar)
    };
    same.or_else(near)
}

/// The first few, and how many more there are.
fn listed(all: &[&str], text: impl Fn(&str) -> String) -> String {
    let first: Vec<String> = all.iter().take(LISTED_MAX).map(|one| text(one)).collect();
    match all.len().checked_sub(LISTED_MAX) {
        None | Some(0) => first.join(", "),
        Some(more) => format!("{} and {more} more", first.join(", ")),
    }
}

/// `name{label="value"}`
fn shown(matchers: &[Matcher]) -> String {
    let is_name = |one: &&Matcher| one.name() == METRIC_NAME && one.op() == MatchOp::Equal;
    let name = matchers.iter().find(is_name).map_or("", Matcher::value);
    let rest: Vec<String> =
        matchers.iter().filter(|one| !is_name(one)).map(ToString::to_string).collect();
    if rest.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", rest.join(",")) }
}

#[cfg(test)]
mod tests {
    use super::super::syntax::{Features, parse};
    use super::*;
    use crate::model::{Labels, Timestamp};
    use std::cell::Cell;
    use std::convert::Infallible;

    /// Series that all have samples at one instant.
    struct Known {
        series: Vec<Labels>,
        asked: Cell<usize>,
    }

    const AT: Timestamp = Timestamp::from_millis(1_000_000);

    impl Known {
        fn new() -> Self {
            let cpu = |mode: &str, job: &str| {
                let pairs = [("__name__", "node_cpu_seconds_total"), ("mode", mode), ("job", job)];
                Labels::from_pairs(pairs)
            };
            let series = vec![
                cpu("idle", "node"),
                cpu("user", "other"),
                Labels::from_pairs([("__name__", "up"), ("job", "node"), ("instance", "a")]),
                Labels::from_pairs([("__name__", "up"), ("job", "db"), ("instance", "b")]),
            ];
            Self { series, asked: Cell::new(0) }
        }

        fn found(&self, range: TimeRange, matchers: &[Matcher]) -> impl Iterator<Item = &Labels> {
            self.asked.set(self.asked.get() + 1);
            let fits = move |labels: &&Labels| {
                range.from() <= AT
                    && AT <= range.to()
                    && matchers.iter().all(|one| one.matches(labels))
            };
            self.series.iter().filter(fits)
        }
    }

    impl Names for Known {
        type Error = Infallible;

        fn label_names(
            &self,
            range: TimeRange,
            matchers: &[Matcher],
        ) -> Result<Vec<String>, Infallible> {
            let found = self.found(range, matchers);
            let names: BTreeSet<&str> =
                found.flat_map(|labels| labels.iter().map(|(name, _)| name)).collect();
            Ok(names.into_iter().map(str::to_owned).collect())
        }

        fn label_values(
            &self,
            label: &str,
            range: TimeRange,
            matchers: &[Matcher],
            limit: usize,
        ) -> Result<Vec<String>, Infallible> {
            let found = self.found(range, matchers);
            let values: BTreeSet<&str> = found.filter_map(|labels| labels.get(label)).collect();
            Ok(values.into_iter().take(limit).map(str::to_owned).collect())
        }
    }

    fn told(text: &str, range: TimeRange) -> Vec<String> {
        let expr = parse(text, &Features::ALL).expect(text);
        let known = Known::new();
        let found = hints(&expr, &known, range).unwrap_or_else(|never| match never {});
        assert!(known.asked.get() <= 20, "{text}: {} questions", known.asked.get());
        found
    }

    #[test]
    fn what_no_series_fits_is_named_with_what_is_nearest() {
        for (text, expected) in [
            ("up", vec![]),
            (
                "rate(node_cpu_second_total[5m])",
                vec![
                    "no series has the name node_cpu_second_total; did you mean \
                      node_cpu_seconds_total?",
                ],
            ),
            ("UP", vec!["no series has the name UP; did you mean up?"]),
            (
                "node_cpu",
                vec![
                    "no series has the name node_cpu; names that contain it: \
                      node_cpu_seconds_total",
                ],
            ),
            ("zzzzzz", vec!["no series has the name zzzzzz; no name is like it"]),
            (
                "node_cpu_seconds_total{jbo=\"node\"}",
                vec!["node_cpu_seconds_total has no label jbo; did you mean job?"],
            ),
            ("up{zone=\"x\"}", vec!["up has no label zone; labels are instance, job"]),
            ("up{job=\"nod\"}", vec!["no series of up has job=\"nod\"; did you mean \"node\"?"]),
            (
                "up{job=~\"x.*\"}",
                vec!["no series of up has job=~\"x.*\"; values are \"db\", \"node\""],
            ),
            (
                "up{job=\"db\",instance=\"a\"}",
                vec![
                    "no series fits all of up{job=\"db\",instance=\"a\"}, though some fit each \
                      part",
                ],
            ),
            ("{job=\"dbb\"}", vec!["no series has job=\"dbb\"; did you mean \"db\"?"]),
            ("up and upp", vec!["no series has the name upp; did you mean up?"]),
        ] {
            assert_eq!(told(text, TimeRange::ALL), expected, "{text}");
        }
        for (text, later_ms, expected) in [
            ("up", 299_999, vec![]),
            ("up", 300_001, vec!["up has samples, but none at this time"]),
            ("rate(up[5m] offset 1m)", 300_001, vec![]),
            ("up @ 1000", i64::MAX / 2, vec![]),
        ] {
            let later = TimeRange::at(AT.plus_millis(later_ms));
            assert_eq!(told(text, later), expected, "{text} {later_ms}");
        }
    }

    #[test]
    fn a_label_to_group_by_that_no_series_has_is_named() {
        for (text, expected) in [
            ("sum by (job) (up)", vec![]),
            (
                "sum by (jbo) (rate(up[5m]))",
                vec!["no series in rate(up[5m]) has the label jbo; did you mean job?"],
            ),
            (
                "max by (instance) (sum by (job) (up))",
                vec!["no series in sum by (job) (up) has the label instance; labels are job"],
            ),
            ("sum by (x) (label_replace(up, 'x', '$1', 'job', '(.*)'))", vec![]),
            ("sum by (v) (count_values by (job) ('v', up))", vec![]),
            ("sum by (job) (topk by (instance) (1, up))", vec![]),
            ("sum without (nothing) (up)", vec![]),
        ] {
            assert_eq!(told(text, TimeRange::ALL), expected, "{text}");
        }
        let expr = parse("sum by (a) (max by (b) (x)) + count without (c) (y)", &Features::ALL);
        let expr = expr.expect("parses");
        assert_eq!(grouping_labels(&expr).into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }
}
