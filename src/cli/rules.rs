//! `watchbell rules`: the rules that run, and whether they work.

use super::flags::{ServerChoice, StatusForm};
use super::{Status, output, server};
use crate::tui;
use crate::wire::{RuleForm, RuleGroupForm, RuleKind, RulesAnswer, RulesRequest};
use clap::{Args, Subcommand, ValueEnum};
use std::io::{self, Write as _};

/// Flags of `watchbell rules`.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct RulesFlags {
    /// What is asked
    #[command(subcommand)]
    question: Option<RulesQuestion>,
    /// Flags of the list, which is the default
    #[command(flatten)]
    list: ListFlags,
}

/// What is asked about rules.
#[derive(Clone, Debug, Subcommand)]
enum RulesQuestion {
    /// List rules, their state, and what their last evaluation took
    #[command(
        after_help = "Examples:\n  watchbell rules list\n  watchbell rules list --type alert \
                      --failing\n  watchbell rules list --group node --url \
                      http://prometheus:9090 -o json\n\nExit status: 0 no listed rule fails, 1 one \
                      does, or the server cannot be asked, 2 a wrong flag."
    )]
    List(ListFlags),
}

/// Flags of `watchbell rules list`.
#[derive(Clone, Debug, Args)]
struct ListFlags {
    /// Rules of these names [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Only rules of these groups
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,
    /// Only rules of this kind
    #[arg(long = "type", value_name = "KIND")]
    kind: Option<KindChoice>,
    /// Only rules whose last evaluation failed
    #[arg(long)]
    failing: bool,
    /// Which server
    #[command(flatten)]
    server: ServerChoice,
    /// How the answer looks
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: StatusForm,
}

/// The kinds of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KindChoice {
    /// Raise alerts.
    Alert,
    /// Record series.
    Record,
}

/// Asks, and prints the answer.
pub(super) fn run(flags: &RulesFlags) -> anyhow::Result<Status> {
    let flags = match &flags.question {
        None => &flags.list,
        Some(RulesQuestion::List(flags)) => flags,
    };
    let core = server::connect(&flags.server)?;
    let request = RulesRequest {
        kind: flags.kind.map(|kind| match kind {
            KindChoice::Alert => RuleKind::Alerting,
            KindChoice::Record => RuleKind::Recording,
        }),
        rule_names: flags.names.clone(),
        rule_groups: flags.groups.clone(),
        exclude_alerts: flags.output == StatusForm::Table,
        ..RulesRequest::default()
    };
    let mut answer = core.rules(&request)?;
    if flags.failing {
        for group in &mut answer.groups {
            group.rules.retain(|rule| Facts::of(rule).health == "err");
        }
        answer.groups.retain(|group| !group.rules.is_empty());
    }
    print(&answer, flags.output)?;
    let all = answer.groups.iter().flat_map(|group| &group.rules);
    let fails = all.map(Facts::of).any(|facts| facts.health == "err");
    Ok(if fails { Status::Wrong } else { Status::Fine })
}

fn print(answer: &RulesAnswer, form: StatusForm) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if form == StatusForm::Json {
        return output::json(answer, &mut out);
    }
    let row = |group: &RuleGroupForm, rule: &RuleForm| {
        let facts = Facts::of(rule);
        let took = tui::seconds_text(facts.took);
        let cells = [group.name.as_str(), facts.kind, facts.name, facts.state, facts.health];
        let mut cells: Vec<_> = cells.into_iter().map(str::to_owned).collect();
        cells.extend([took, facts.error.to_owned()]);
        cells
    };
    let mut rows = Vec::new();
    for group in &answer.groups {
        rows.extend(group.rules.iter().map(|rule| row(group, rule)));
    }
    let heading = ["GROUP", "KIND", "RULE", "STATE", "HEALTH", "TOOK", "ERROR"];
    output::columns(&heading, &rows, &mut out)?;
    if rows.is_empty() {
        writeln!(io::stderr(), "no rules")?;
    }
    Ok(())
}

/// What both kinds of rules have.
#[derive(Debug)]
struct Facts<'a> {
    kind: &'static str,
    name: &'a str,
    state: &'a str,
    health: &'a str,
    took: f64,
    error: &'a str,
}

impl<'a> Facts<'a> {
    fn of(rule: &'a RuleForm) -> Self {
        match rule {
            RuleForm::Alerting { name, state, health, evaluation_time, last_error, .. } => Self {
                kind: "alert",
                name,
                state,
                health,
                took: *evaluation_time,
                error: last_error,
            },
            RuleForm::Recording { name, health, evaluation_time, last_error, .. } => Self {
                kind: "record",
                name,
                state: "-",
                health,
                took: *evaluation_time,
                error: last_error,
            },
        }
    }
}
