//! What became of a test, in promtool's words.
//!
//! Source: prometheus, cmd/promtool/unittest.go.

use crate::model::{Labels, Timestamp, duration, value_text, write_braced};
use crate::storage::source::Columns;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

/// Elements of a list that are told: nobody reads more, and a test can yield a million.
const TOLD_MAX: usize = 1_000;

/// What became of one test.
#[derive(Debug)]
pub struct TestOutcome {
    /// Its name; `unnamed#3` when it has none.
    pub name: String,
    /// What was wrong; nothing when it passed.
    pub failures: Vec<Failure>,
    /// How long it took.
    pub took: Duration,
    /// All that was stored, by labels, when that was asked for.
    pub data: Vec<(Labels, Columns)>,
}

/// One thing that was wrong. Displays as promtool does, over several lines.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Path in the test file, as `tests[0].promql_expr_test[2].expr`.
    pub at: String,
    /// Byte in the text at that path.
    pub offset: Option<usize>,
    /// The test's name, empty when it has none.
    pub test: String,
    /// What was wrong.
    pub fault: Fault,
}

/// What was wrong.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// A rule could not be evaluated, which ends the test.
    Rule {
        /// Its name.
        rule: String,
        /// When.
        at: Timestamp,
        /// Why.
        error: String,
    },
    /// Other alerts fired than expected.
    Alerts {
        /// Their name.
        alertname: String,
        /// Since the test's beginning.
        eval_time: Duration,
        /// What was expected.
        exp: Listed<AlertText>,
        /// What fired.
        got: Listed<AlertText>,
    },
    /// An expression yielded something else.
    Samples {
        /// The expression.
        expr: String,
        /// Since the test's beginning.
        eval_time: Duration,
        /// What was expected.
        exp: Listed<SampleText>,
        /// What it yielded.
        got: Listed<SampleText>,
    },
    /// An expression could not be evaluated, or what is expected of it not be read.
    Expr {
        /// The expression.
        expr: String,
        /// Since the test's beginning.
        eval_time: Duration,
        /// Why.
        error: String,
    },
    /// The test could not be run.
    Test(String),
}

/// An alert as it is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AlertText {
    /// Its labels, those of no value among them.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// An element of a vector as it is compared.
#[derive(Clone, Debug)]
pub struct SampleText {
    /// Its labels.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

/// The first of some things, and how many there are.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// At most 1,000 of them.
    pub items: Vec<T>,
    /// All of them.
    pub count: usize,
}

impl<T> Listed<T> {
    /// Lists what is told.
    pub(super) fn new(mut all: Vec<T>) -> Self {
        let count = all.len();
        all.truncate(TOLD_MAX);
        Self { items: all, count }
    }

    fn more(&self) -> usize {
        self.count - self.items.len()
    }
}

impl Failure {
    /// What was expected and what came instead, as lines that begin with `-` and `+`, and with a
    /// blank where both agree; `None` when nothing was compared.
    pub fn diff(&self) -> Option<Vec<String>> {
        match &self.fault {
            Fault::Alerts { exp, got, .. } => {
                let text = |alert: &AlertText| alert.to_string();
                Some(diff(&exp.items, &got.items, AlertText::cmp, text))
            }
            Fault::Samples { exp, got, .. } => {
                let order = |a: &SampleText, b: &SampleText| {
                    a.labels.cmp(&b.labels).then_with(|| a.value.total_cmp(&b.value))
                };
                Some(diff(&exp.items, &got.items, order, SampleText::to_string))
            }
            Fault::Rule { .. } | Fault::Expr { .. } | Fault::Test(_) => None,
        }
    }

    /// The first line: what was asked, and when.
    pub fn head(&self) -> String {
        let mut head = String::new();
        if let Fault::Alerts { alertname, eval_time, .. } = &self.fault {
            if !self.test.is_empty() {
                let _ = writeln!(head, "    name: {},", self.test);
            }
            let time = duration::format(*eval_time);
            let _ = write!(head, "    alertname: {alertname}, time: {time}, ");
        }
        if let Fault::Samples { expr, eval_time, .. } | Fault::Expr { expr, eval_time, .. } =
            &self.fault
        {
            let (expr, time) = (value_text::quoted(expr), duration::format(*eval_time));
            let _ = write!(head, "    expr: {expr}, time: {time},");
        }
        head
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head())?;
        match &self.fault {
            Fault::Rule { rule, at, error } => {
                let minus = if at.as_millis() < 0 { "-" } else { "" };
                let time = Duration::from_millis(at.as_millis().unsigned_abs());
                let time = duration::go_text(time);
                write!(f, "    rule: {rule}, time: {minus}{time}, err: {error}")
            }
            Fault::Alerts { exp, got, .. } => {
                write!(f, "\n        exp:{}, \n        got:{}", alerts(exp), alerts(got))
            }
            Fault::Samples { exp, got, .. } => {
                write!(f, "\n        exp: {}\n        got: {}", samples(exp), samples(got))
            }
            Fault::Expr { error, .. } => write!(f, " err: {error}"),
            Fault::Test(error) => write!(f, "    {error}"),
        }
    }
}

impl fmt::Display for AlertText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Labels:")?;
        write_braced(f, pairs(&self.labels))?;
        f.write_str("\nAnnotations:")?;
        write_braced(f, pairs(&self.annotations))
    }
}

impl fmt::Display for SampleText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = value_text::exponent(self.value).replace('e', "E");
        write!(f, "{} {value}", self.labels)
    }
}

fn pairs(map: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    map.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

fn alerts(list: &Listed<AlertText>) -> String {
    if list.items.is_empty() {
        return "[]".to_owned();
    }
    let mut text = String::from("[");
    for (place, alert) in list.items.iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        let alert = alert.to_string().replace('\n', "\n  ");
        let _ = write!(text, "{comma}\n{place}:\n  {alert}");
    }
    if list.more() > 0 {
        let _ = write!(text, ",\n{} more", list.more());
    }
    text.push_str("\n]");
    text.replace('\n', "\n            ")
}

fn samples(list: &Listed<SampleText>) -> String {
    if list.items.is_empty() {
        return "nil".to_owned();
    }
    let mut texts: Vec<_> = list.items.iter().map(ToString::to_string).collect();
    if list.more() > 0 {
        texts.push(format!("{} more", list.more()));
    }
    texts.join(", ")
}

/// Two sorted lists as one, line by line.
fn diff<T>(
    exp: &[T],
    got: &[T],
    order: impl Fn(&T, &T) -> std::cmp::Ordering,
    text: impl Fn(&T) -> String,
) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |mark: char, one: &T| {
        lines.extend(text(one).lines().map(|line| format!("{mark} {line}")));
    };
    let (mut exp, mut got) = (exp.iter().peekable(), got.iter().peekable());
    loop {
        let side = match (exp.peek(), got.peek()) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(exp), Some(got)) => order(exp, got),
        };
        match side {
            std::cmp::Ordering::Less => exp.next().into_iter().for_each(|one| say('-', one)),
            std::cmp::Ordering::Greater => got.next().into_iter().for_each(|one| say('+', one)),
            std::cmp::Ordering::Equal => {
                got.next();
                exp.next().into_iter().for_each(|one| say(' ', one));
            }
        }
    }
    lines
}
