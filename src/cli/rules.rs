//! `watchbell rules`: the rules that run, and whether they work.

use super::flags::{ServerChoice, StatusForm};
use super::{Status, output, server};
use crate::model::{nearest_name, printable};
use crate::promql::syntax::{self, Features};
use crate::wire::{
    AlertForm, Core, RuleForm, RuleGroupForm, RuleKind, RulesAnswer, RulesRequest, rfc3339,
};
use crate::{config, tui};
use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;

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
    /// Show all about one rule: its expression, its state, where it is written, its alerts
    #[command(
        after_help = "Examples:\n  watchbell rules show DiskFull\n  watchbell rules show DiskFull \
                      --group node -o json\n\nWhere several rules have the name all are shown. The \
                      line is told when the rule's file can be read from here.\nExit status: 0 \
                      shown, 1 it fails, there is no such rule, or the server cannot be asked, 2 a \
                      wrong flag."
    )]
    Show(ShowFlags),
}

/// Flags of `watchbell rules show`.
#[derive(Clone, Debug, Args)]
struct ShowFlags {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// Only rules of this group
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Which server
    #[command(flatten)]
    server: ServerChoice,
    /// How the answer looks
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: StatusForm,
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
        Some(RulesQuestion::Show(flags)) => return show(flags),
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
    // That none fails is good news, that there is none is not.
    let has_rules = answer.groups.iter().any(|group| !group.rules.is_empty());
    let nothing = if flags.failing && has_rules { "no rule fails" } else { "no rules" };
    if flags.failing {
        for group in &mut answer.groups {
            group.rules.retain(|rule| Facts::of(rule).health == "err");
        }
        answer.groups.retain(|group| !group.rules.is_empty());
    }
    print(&answer, nothing, flags.output)?;
    let all = answer.groups.iter().flat_map(|group| &group.rules);
    let fails = all.map(Facts::of).any(|facts| facts.health == "err");
    Ok(if fails { Status::Wrong } else { Status::Fine })
}

fn show(flags: &ShowFlags) -> anyhow::Result<Status> {
    let core = server::connect(&flags.server)?;
    let request = RulesRequest {
        rule_names: vec![flags.name.clone()],
        rule_groups: flags.group.iter().cloned().collect(),
        limits: true,
        evaluations: true,
        ..RulesRequest::default()
    };
    let answer = core.rules(&request)?;
    let shown: Vec<_> = answer
        .groups
        .iter()
        .flat_map(|group| (0..group.rules.len()).filter_map(|place| Shown::of(group, place)))
        .collect();
    if shown.is_empty() {
        bail!("{}", missing(core.as_ref(), &flags.name)?);
    }
    let mut out = io::stdout().lock();
    match flags.output {
        StatusForm::Json => output::json(&shown, &mut out)?,
        StatusForm::Table => {
            for (place, one) in shown.iter().enumerate() {
                if place > 0 {
                    writeln!(out)?;
                }
                one.print(&mut out)?;
            }
        }
    }
    let fails = shown.iter().any(|one| Facts::of(one.rule).health == "err");
    Ok(if fails { Status::Wrong } else { Status::Fine })
}

/// That there is no such rule, and which name is near.
fn missing(core: &dyn Core, name: &str) -> anyhow::Result<String> {
    let all = core.rules(&RulesRequest { exclude_alerts: true, ..RulesRequest::default() })?;
    let rules = all.groups.iter().flat_map(|group| &group.rules);
    let near = nearest_name(name, rules.map(|rule| Facts::of(rule).name));
    let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
    Ok(format!("no rule has the name {name:?}{hint}"))
}

/// One rule with where it stands.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    group: &'a str,
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    interval: f64,
    rule: &'a RuleForm,
}

impl<'a> Shown<'a> {
    /// The rule at this place of a group whose rules have one name.
    fn of(group: &'a RuleGroupForm, place: usize) -> Option<Self> {
        let rule = group.rules.get(place)?;
        let Facts { kind, name, .. } = Facts::of(rule);
        let before = group.rules.iter().take(place);
        let ordinal = before.filter(|one| Facts::of(one).kind == kind).count();
        let found = config::rule_line(Path::new(&group.file), &group.name, (kind, name), ordinal);
        // A file of that name may be another one here, or younger than the rules that run.
        let line = found.filter(|(_, expr)| {
            let read = syntax::parse(expr, &Features::ALL);
            read.is_ok_and(|read| read.to_string() == query(rule))
        });
        Some(Self {
            group: &group.name,
            file: &group.file,
            line: line.map(|(line, _)| line),
            interval: group.interval,
            rule,
        })
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let facts = Facts::of(self.rule);
        let place = self.line.map_or(String::new(), |line| format!(":{line}"));
        let mut lines = vec![
            ("rule", format!("{} ({})", facts.name, facts.kind)),
            ("where", format!("{}{place}, group {}", self.file, self.group)),
            ("expression", query(self.rule).to_owned()),
        ];
        if let RuleForm::Alerting { duration, keep_firing_for, .. } = self.rule {
            lines.push(("for", tui::seconds_text(*duration)));
            if *keep_firing_for > 0.0 {
                lines.push(("keep firing for", tui::seconds_text(*keep_firing_for)));
            }
        }
        let (labels, annotations, last) = match self.rule {
            RuleForm::Alerting { labels, annotations, last_evaluation, .. } => {
                (labels, Some(annotations), last_evaluation)
            }
            RuleForm::Recording { labels, last_evaluation, .. } => (labels, None, last_evaluation),
        };
        for (name, value) in labels {
            lines.push(("label", format!("{name}={value:?}")));
        }
        for (name, value) in annotations.into_iter().flatten() {
            lines.push(("annotation", format!("{name}: {value}")));
        }
        lines.push(("state", facts.state.to_owned()));
        let last = last.map_or("never".to_owned(), rfc3339);
        let took = tui::seconds_text(facts.took);
        let every = tui::seconds_text(self.interval);
        lines.push(("evaluated", format!("{last}, took {took}, every {every}")));
        lines.push(("health", facts.health.to_owned()));
        if !facts.error.is_empty() {
            lines.push(("error", facts.error.to_owned()));
        }
        for (what, text) in lines {
            writeln!(out, "{what:<16}{}", printable(&text))?;
        }
        let RuleForm::Alerting { alerts, .. } = self.rule else { return Ok(()) };
        let alerts = alerts.as_deref().unwrap_or_default();
        if alerts.is_empty() {
            return writeln!(out, "{:<16}none", "alerts");
        }
        let row = |alert: &AlertForm| {
            let since = alert.active_at.map_or("-".to_owned(), rfc3339);
            vec![alert.state.clone(), alert.value.clone(), since, alert.labels.to_string()]
        };
        let rows: Vec<_> = alerts.iter().map(row).collect();
        writeln!(out)?;
        output::columns(&["STATE", "VALUE", "SINCE", "LABELS"], &rows, out)
    }
}

const fn query(rule: &RuleForm) -> &str {
    match rule {
        RuleForm::Alerting { query, .. } | RuleForm::Recording { query, .. } => query.as_str(),
    }
}

/// Prints the rules; without any says `nothing`.
fn print(answer: &RulesAnswer, nothing: &str, form: StatusForm) -> io::Result<()> {
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
        writeln!(io::stderr(), "{nothing}")?;
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
