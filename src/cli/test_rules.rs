//! `watchbell test rules`: unit tests of rules in promtool's format.
//!
//! Standard output and standard error say what promtool says, and where in the file it is about.

use super::{Status, output};
use crate::config::{self, Located, UnitTests, Unknown, load_unit_tests};
use crate::model::{Labels, Problem, Regex, duration, printable, value_text};
use crate::promql::Features;
use crate::rules::unittest::{Failure, Limits, Run, TestOutcome};
use crate::storage::source::Columns;
use crate::sys::clock::{SharedClock, SystemClock};
use crate::wire::rfc3339;
use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Of what unit tests are run.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum TestKind {
    /// Rules, with the files that promtool takes
    #[command(after_help = "Examples:\n  watchbell test rules rules_test.yml\n  \
                      watchbell test rules tests/*.yml --run 'disk' --diff\n  \
                      watchbell test rules rules_test.yml --junit report.xml\n\n\
                      A test file names rule files, samples over time, and what must come of \
                      them:\n\n  rule_files: [rules.yml]\n  evaluation_interval: 1m\n  tests:\n  \
                      - name: an instance that is down for five minutes\n    interval: 1m\n    \
                      input_series:\n    - {series: 'up{job=\"node\"}', values: '1 0x10'}\n    \
                      alert_rule_test:\n    - eval_time: 6m\n      alertname: InstanceDown\n      \
                      exp_alerts: [{exp_labels: {job: node}}]\n    promql_expr_test:\n    \
                      - {expr: 'up', eval_time: 5m, exp_samples: [{labels: 'up{job=\"node\"}', \
                      value: 0}]}\n\nExit status: 0 all tests passed, 1 one did not or a file is \
                      wrong, 2 a wrong flag.")]
    Rules(Box<TestRulesFlags>),
}

/// Flags of `watchbell test rules`.
#[derive(Clone, Debug, Args)]
pub(super) struct TestRulesFlags {
    /// The files of unit tests
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Run only tests in whose name this expression is found; may stand more than once
    #[arg(long, value_name = "REGEX")]
    pub run: Vec<String>,
    /// Tell which test runs, how long it took, and all that was stored
    #[arg(long)]
    pub debug: bool,
    /// Show what was expected (-) and what came (+) line by line
    #[arg(long)]
    pub diff: bool,
    /// Write the results into this file as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Features of PromQL to switch on, separated by commas; may stand more than once
    #[arg(long = "enable-feature", value_name = "NAMES", value_delimiter = ',')]
    pub features: Vec<String>,
    /// Pass over fields of rule files that are not known
    #[arg(long)]
    pub ignore_unknown_fields: bool,
    /// How long one test may take
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
    pub timeout: Duration,
    /// What standard output shows
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: TestForm,
}

/// What standard output shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TestForm {
    /// promtool's lines.
    Table,
    /// One document with each test and its failures.
    Json,
}

/// What became of one file.
struct Suite {
    file: String,
    started: String,
    /// Why no test could be run.
    error: Option<config::Error>,
    cases: Vec<Case>,
}

/// What became of one test.
struct Case {
    name: String,
    took: Duration,
    failures: Vec<(Located, Failure)>,
}

/// Runs the tests of all files.
pub(super) fn run(kind: &TestKind) -> anyhow::Result<Status> {
    let TestKind::Rules(flags) = kind;
    let only = match flags.run.as_slice() {
        [] => None,
        parts => {
            let text = parts.join("|");
            Some(Regex::searching(&text).with_context(|| format!("cannot read --run {text:?}"))?)
        }
    };
    let clock: SharedClock = Arc::new(SystemClock::new());
    let mut suites = Vec::new();
    for file in &flags.files {
        suites.push(suite(file, flags, only.as_ref(), &clock)?);
    }
    if let Some(file) = &flags.junit {
        let text = junit(&suites);
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if flags.output == TestForm::Json {
        output::json(&suites.iter().map(Suite::json).collect::<Vec<_>>(), &mut io::stdout())?;
    }
    let passed = suites.iter().all(Suite::passed);
    Ok(if passed { Status::Fine } else { Status::Wrong })
}

fn suite(
    file: &Path,
    flags: &TestRulesFlags,
    only: Option<&Regex>,
    clock: &SharedClock,
) -> io::Result<Suite> {
    let shown = printable(&file.display().to_string()).to_string();
    if flags.output == TestForm::Table {
        writeln!(io::stdout(), "Unit Testing:  {shown}")?;
    }
    let (file_name, started) = (file.display().to_string(), rfc3339(clock.now()));
    let mut suite = Suite { file: file_name, started, error: None, cases: Vec::new() };
    let unknown = if flags.ignore_unknown_fields { Unknown::PassedOver } else { Unknown::Refused };
    match load_unit_tests(file, &Features::named(&flags.features), unknown) {
        Ok(tests) => suite.cases = cases(&tests, flags, only, clock)?,
        Err(err) => suite.error = Some(err),
    }
    if flags.output == TestForm::Table {
        match suite.passed() {
            true => writeln!(io::stdout(), "  SUCCESS\n")?,
            false => {
                suite.tell(flags.diff)?;
                writeln!(io::stdout())?;
            }
        }
    }
    Ok(suite)
}

fn cases(
    tests: &UnitTests,
    flags: &TestRulesFlags,
    only: Option<&Regex>,
    clock: &SharedClock,
) -> io::Result<Vec<Case>> {
    let mut err = io::stderr();
    for note in &tests.notes {
        writeln!(err, "  WARNING: {}", printable(note))?;
    }
    let run = Run {
        file: &tests.file,
        groups: tests.groups.iter().map(|one| (one.file.clone(), &one.group)).collect(),
        features: Features::named(&flags.features),
        delayed_name_removal: flags
            .features
            .iter()
            .any(|name| name == "promql-delayed-name-removal"),
        only,
        limits: Limits { timeout: flags.timeout, ..Limits::default() },
        keeps_data: flags.debug,
        clock: clock.clone(),
    };
    let mut cases = Vec::new();
    for (place, name) in run.chosen() {
        if flags.debug {
            writeln!(err, "DEBUG: Starting test {}", printable(&name))?;
        }
        let TestOutcome { name, failures, took, data } = run.run(place, name);
        if flags.debug {
            let shown = printable(&name);
            writeln!(err, "DEBUG: Dump of all data (input_series and rules) of test {shown}:")?;
            dump(&data, &mut err)?;
            writeln!(err, "DEBUG: Test {shown} finished, took {took:?}")?;
        }
        let failures = failures.into_iter().map(|failure| {
            let at = failure.at.clone();
            let problem = Problem { at, offset: failure.offset, message: String::new() };
            (tests.source.place_one(&problem), failure)
        });
        cases.push(Case { name, took, failures: failures.collect() });
    }
    Ok(cases)
}

/// All samples, as Prometheus prints a matrix.
fn dump(data: &[(Labels, Columns)], out: &mut dyn Write) -> io::Result<()> {
    for (labels, columns) in data {
        writeln!(out, "{} =>", printable(&labels.to_string()))?;
        for (ts, value) in columns.ts.iter().zip(&columns.values) {
            writeln!(out, "{} @[{ts}]", value_text::plain(*value))?;
        }
    }
    Ok(())
}

impl Suite {
    fn passed(&self) -> bool {
        self.error.is_none() && self.cases.iter().all(|case| case.failures.is_empty())
    }

    /// Tells all failures on standard error.
    fn tell(&self, diff: bool) -> io::Result<()> {
        let mut out = io::stderr();
        let colors = out.is_terminal();
        writeln!(out, "  FAILED:")?;
        if let Some(err) = &self.error {
            writeln!(out, "{err}")?;
        }
        for (located, failure) in self.cases.iter().flat_map(|case| &case.failures) {
            writeln!(out, "  {}:", place(located))?;
            match failure.diff().filter(|_| diff) {
                Some(lines) => {
                    lines_of(&failure.head(), &mut out)?;
                    writeln!(out, "        diff:")?;
                    lines.iter().try_for_each(|line| colored(line, colors, &mut out))?;
                }
                None => lines_of(&failure.to_string(), &mut out)?,
            }
            writeln!(out)?;
        }
        Ok(())
    }

    fn json(&self) -> serde_json::Value {
        let failure = |(located, failure): &(Located, Failure)| {
            let at = located.at.unwrap_or(config::Position { line: 0, column: 0 });
            serde_json::json!({
                "line": at.line,
                "column": at.column,
                "message": failure.to_string(),
            })
        };
        let case = |case: &Case| {
            serde_json::json!({
                "name": case.name,
                "passed": case.failures.is_empty(),
                "seconds": case.took.as_secs_f64(),
                "failures": case.failures.iter().map(failure).collect::<Vec<_>>(),
            })
        };
        serde_json::json!({
            "file": self.file,
            "passed": self.passed(),
            "error": self.error.as_ref().map(ToString::to_string),
            "tests": self.cases.iter().map(case).collect::<Vec<_>>(),
        })
    }
}

/// `file:line:column`.
fn place(located: &Located) -> String {
    let file = printable(&located.file.display().to_string());
    match located.at {
        Some(at) => format!("{file}:{}:{}", at.line, at.column),
        None => file.to_string(),
    }
}

fn lines_of(text: &str, out: &mut dyn Write) -> io::Result<()> {
    text.lines().try_for_each(|line| writeln!(out, "{}", printable(line)))
}

fn colored(line: &str, colors: bool, out: &mut dyn Write) -> io::Result<()> {
    let code = match line.chars().next().filter(|_| colors) {
        Some('-') => "31",
        Some('+') => "32",
        Some(_) | None => return writeln!(out, "            {}", printable(line)),
    };
    writeln!(out, "            \x1b[{code}m{}\x1b[0m", printable(line))
}

/// The results as JUnit has them.
///
/// Source: prometheus, util/junitxml/junitxml.go.
fn junit(suites: &[Suite]) -> String {
    let mut text = String::from("<testsuites>");
    for suite in suites {
        let errors = usize::from(suite.error.is_some());
        let failures: usize = suite.cases.iter().map(|case| case.failures.len()).sum();
        let _ = write!(
            text,
            "<testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" \
             skipped=\"0\" timestamp=\"{}\">",
            escaped(&suite.file),
            suite.cases.len().max(errors),
            escaped(&suite.started)
        );
        if let Some(err) = &suite.error {
            let err = escaped(&err.to_string());
            let _ = write!(text, "<testcase name=\"unknown\"><error>{err}</error></testcase>");
        }
        for case in &suite.cases {
            let (name, took) = (escaped(&case.name), case.took.as_secs_f64());
            let _ = write!(text, "<testcase name=\"{name}\" time=\"{took:.3}\">");
            for (located, failure) in &case.failures {
                let failure = escaped(&format!("{}:\n{failure}", place(located)));
                let _ = write!(text, "<failure>{failure}</failure>");
            }
            text.push_str("</testcase>");
        }
        text.push_str("</testsuite>");
    }
    text.push_str("</testsuites>\n");
    text
}

/// Text for XML 1.0, which has no place for most control characters.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&#34;"),
            '\n' => out.push_str("&#xA;"),
            '\t' => out.push_str("&#x9;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_holds_no_markup_and_no_control_character() {
        assert_eq!(
            escaped("<a b=\"c\">&\n\u{1b}\u{0}"),
            "&lt;a b=&#34;c&#34;&gt;&amp;&#xA;\u{fffd}\u{fffd}"
        );
    }
}
