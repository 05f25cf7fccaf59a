//! `watchbell check`: files are loaded as the server would, and every fault is printed.

use super::flags::{StatusForm, span};
use super::{Status, output};
use crate::config::{self, CheckOptions, Error, Lint, Located, Report, Unknown};
use crate::model::printable;
use crate::promql::syntax::Features;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The largest text that is taken from standard input; a file has the same limit.
const STDIN_BYTES_MAX: u64 = 16 << 20;
/// Lint found something, and that is fatal: promtool's status.
const LINT: u8 = 3;

/// What kind of file is checked.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum CheckKind {
    /// prometheus.yml, with the rule files that it names
    #[command(
        after_help = "Examples:\n  watchbell check config prometheus.yml\n  watchbell check \
                      config --syntax-only prometheus.yml\n  watchbell check config --lint all \
                      --lint-fatal prometheus.yml\n\nExit status: 0 it can be used, 1 it cannot, 2 \
                      a wrong flag, 3 it can be used and lint found something, with --lint-fatal."
    )]
    Config(ConfigFlags),
    /// Rule files; standard input without a file
    #[command(
        after_help = "Examples:\n  watchbell check rules rules/*.yml\n  watchbell check rules \
                      --lint all --lint-fatal rules.yml -o json\n  watchbell check rules < \
                      rules.yml\n\nExit status: 0 they can be used, 1 one cannot, 2 a wrong flag, \
                      3 they can be used and lint found something, with --lint-fatal."
    )]
    Rules(RulesFlags),
    /// alertmanager.yml
    #[command(after_help = "Examples:\n  watchbell check alertmanager alertmanager.yml\n\nExit \
                      status: 0 it can be used, 1 it cannot, 2 a wrong flag.")]
    Alertmanager(AlertmanagerFlags),
}

/// Flags of `watchbell check config`.
#[derive(Clone, Debug, Args)]
pub(super) struct ConfigFlags {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Leave other files that the configuration names unread
    #[arg(long)]
    syntax_only: bool,
    /// How far back an instant query looks: jobs must be scraped more often
    #[arg(long = "query.lookback-delta", value_name = "TIME", default_value = "5m", value_parser = span)]
    lookback: Duration,
    /// What is looked for
    #[command(flatten)]
    common: CommonFlags,
}

/// Flags of `watchbell check rules`.
#[derive(Clone, Debug, Args)]
pub(super) struct RulesFlags {
    /// The files [default: standard input]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What is looked for
    #[command(flatten)]
    common: CommonFlags,
}

/// Flags of `watchbell check alertmanager`.
#[derive(Clone, Debug, Args)]
pub(super) struct AlertmanagerFlags {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How the answer looks
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: StatusForm,
}

/// What is looked for.
#[derive(Clone, Debug, Args)]
struct CommonFlags {
    /// What is looked for that works and is hardly meant, separated by commas
    #[arg(long, value_name = "CHECKS", value_delimiter = ',', default_value = "duplicate-rules")]
    lint: Vec<LintChoice>,
    /// End with status 3 when lint finds something
    #[arg(long)]
    lint_fatal: bool,
    /// Pass over fields of rule files that are not known
    #[arg(long)]
    ignore_unknown_fields: bool,
    /// Features that rules may use, separated by commas; may stand more than once
    #[arg(long = "enable-feature", value_name = "NAMES", value_delimiter = ',')]
    features: Vec<String>,
    /// How the answer looks
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: StatusForm,
}

/// What lint looks for; promtool's names, and one of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LintChoice {
    /// All of them.
    All,
    /// The same rule twice.
    DuplicateRules,
    /// Nothing.
    None,
    /// Jobs whose series are stale before the next scrape.
    TooLongScrapeInterval,
    /// Alerts with the value in a label.
    VolatileLabels,
}

impl CommonFlags {
    fn options(&self, lookback: Duration) -> CheckOptions {
        let wants = |choice| {
            !self.lint.contains(&LintChoice::None)
                && (self.lint.contains(&choice) || self.lint.contains(&LintChoice::All))
        };
        CheckOptions {
            features: Features::named(&self.features),
            event_recorder: self.features.iter().any(|name| name == "event-recorder"),
            unknown_in_rules: match self.ignore_unknown_fields {
                true => Unknown::PassedOver,
                false => Unknown::Refused,
            },
            one_file: false,
            lint: Lint {
                duplicate_rules: wants(LintChoice::DuplicateRules),
                volatile_labels: wants(LintChoice::VolatileLabels),
                scrape_interval: wants(LintChoice::TooLongScrapeInterval).then_some(lookback),
            },
        }
    }
}

/// Checks all files; wrong when one of them is.
pub(super) fn run(kind: &CheckKind) -> anyhow::Result<Status> {
    match kind {
        CheckKind::Config(flags) => {
            let options = CheckOptions {
                one_file: flags.syntax_only,
                ..flags.common.options(flags.lookback)
            };
            let mut told = Told::new(flags.common.output, flags.common.lint_fatal);
            for file in &flags.files {
                told.one(&file.display().to_string(), config::check_config(file, &options))?;
            }
            told.end()
        }
        CheckKind::Rules(flags) => {
            let options = flags.common.options(Duration::ZERO);
            let mut told = Told::new(flags.common.output, flags.common.lint_fatal);
            for file in &flags.files {
                told.one(&file.display().to_string(), config::check_rules(file, &options))?;
            }
            if flags.files.is_empty() {
                let mut text = String::new();
                io::stdin().take(STDIN_BYTES_MAX + 1).read_to_string(&mut text)?;
                let name = Path::new("(standard input)");
                told.one("standard input", config::check_rules_text(name, &text, &options))?;
            }
            told.end()
        }
        CheckKind::Alertmanager(flags) => {
            let mut told = Told::new(flags.output, false);
            for file in &flags.files {
                told.one(&file.display().to_string(), config::check_alertmanager(file))?;
            }
            told.end()
        }
    }
}

/// Prints what was found, and remembers how bad it was.
#[derive(Debug)]
struct Told {
    form: StatusForm,
    lint_is_fatal: bool,
    faults: bool,
    lint: bool,
    files: Vec<serde_json::Value>,
}

impl Told {
    const fn new(form: StatusForm, lint_is_fatal: bool) -> Self {
        Self { form, lint_is_fatal, faults: false, lint: false, files: Vec::new() }
    }

    fn one(&mut self, name: &str, found: Result<Report, Error>) -> io::Result<()> {
        self.faults |= found.is_err();
        self.lint |= found.as_ref().is_ok_and(|report| !report.lint.is_empty());
        if self.form == StatusForm::Json {
            let (lines, faults, lint) = match found {
                Ok(report) => (report.lines, Vec::new(), report.lint),
                Err(err) => (Vec::new(), err.faults, Vec::new()),
            };
            let forms = |all: Vec<Located>| all.iter().map(located).collect::<Vec<_>>();
            let (faults, lint) = (forms(faults), forms(lint));
            self.files
                .push(json!({ "file": name, "notes": lines, "faults": faults, "lint": lint }));
            return Ok(());
        }
        let (mut out, mut err) = (io::stdout().lock(), io::stderr());
        writeln!(out, "Checking {}", printable(name))?;
        match found {
            Ok(report) if report.lint.is_empty() => {
                report.lines.iter().try_for_each(|line| writeln!(out, "  {line}"))
            }
            Ok(report) => {
                writeln!(err, "  FAILED:")?;
                report.lint.into_iter().try_for_each(|mut one| {
                    one.message = format!("lint error: {}", one.message);
                    writeln!(err, "{one}")
                })
            }
            Err(faults) => writeln!(err, "  FAILED:\n{faults}"),
        }
    }

    fn end(self) -> anyhow::Result<Status> {
        if self.form == StatusForm::Json {
            output::json(&self.files, &mut io::stdout().lock())?;
        }
        Ok(match (self.faults, self.lint && self.lint_is_fatal) {
            (true, _) => Status::Wrong,
            (false, true) => Status::Own(LINT),
            (false, false) => Status::Fine,
        })
    }
}

fn located(one: &Located) -> serde_json::Value {
    json!({
        "file": one.file.display().to_string(),
        "line": one.at.map(|at| at.line),
        "column": one.at.map(|at| at.column),
        "message": one.message,
    })
}
