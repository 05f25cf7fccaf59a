//! `watchbell routes`: the routing tree, and where an alert with some labels would go.

use super::flags::ServerChoice;
use super::{Status, ask, matchers, output, server};
use crate::alerts::config::{Config, Options};
use crate::alerts::matchers::format_list;
use crate::alerts::{GroupBy, Route};
use crate::config;
use crate::model::{GroupKey, Labels, Timestamp, duration, printable};
use crate::sys::clock::{Clock as _, SystemClock};
use crate::wire::rfc3339;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What is asked about routes.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum RoutesQuestion {
    /// Print the routing tree
    #[command(
        after_help = "Examples:\n  watchbell routes show\n  watchbell routes show --config.file \
                      alertmanager.yml\n  watchbell routes show --alertmanager \
                      http://alertmanager:9093 -o json"
    )]
    Show(ShowFlags),
    /// Say where an alert with these labels would go
    #[command(
        after_help = "Examples:\n  watchbell routes test severity=critical team=db\n  watchbell \
                      routes test --config.file alertmanager.yml --tree service=mysql\n  watchbell \
                      routes test --verify.receivers=pager,mail severity=critical\n  watchbell \
                      routes test --at 2026-02-01T03:00:00Z team=web -o json\n\nThe first line \
                      names the receivers, joined by commas, as amtool does; the rest is left out \
                      with -o plain.\nExit status: 0 answered, 1 other receivers than \
                      --verify.receivers or no tree, 2 a wrong flag."
    )]
    Test(TestFlags),
}

/// Which tree is meant.
#[derive(Clone, Debug, Args)]
struct TreeChoice {
    /// alertmanager.yml, instead of a server's routes
    #[arg(long = "config.file", value_name = "FILE", conflicts_with_all = ["url", "alertmanager"])]
    config_file: Option<PathBuf>,
    /// Which server
    #[command(flatten)]
    server: ServerChoice,
}

/// Flags of `watchbell routes show`.
#[derive(Clone, Debug, Args)]
pub(super) struct ShowFlags {
    /// Which tree
    #[command(flatten)]
    tree: TreeChoice,
    /// How the answer looks
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: RoutesForm,
}

/// Flags of `watchbell routes test`.
#[derive(Clone, Debug, Args)]
pub(super) struct TestFlags {
    /// Labels of the alert
    #[arg(value_name = "NAME=VALUE")]
    labels: Vec<String>,
    /// Print the part of the tree that matches, too
    #[arg(long)]
    tree: bool,
    /// Receivers that are expected, joined by commas
    #[arg(long = "verify.receivers", value_name = "NAMES")]
    expected: Option<String>,
    /// When: RFC 3339, seconds since the epoch, or a span ago; for time intervals [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Which tree
    #[command(flatten)]
    choice: TreeChoice,
    /// How the answer looks
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: RoutesForm,
}

/// How routes are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RoutesForm {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// amtool's lines.
    Plain,
}

/// Reads the routes, and prints them or the answer.
pub(super) fn run(question: &RoutesQuestion) -> anyhow::Result<Status> {
    match question {
        RoutesQuestion::Show(flags) => show(flags),
        RoutesQuestion::Test(flags) => test(flags),
    }
}

/// The routes of the file or the server.
fn routes(choice: &TreeChoice) -> anyhow::Result<Config> {
    let options = Options::default();
    if let Some(file) = &choice.config_file {
        let loaded = config::load_alertmanager(file, &options)?;
        loaded.notes.iter().try_for_each(|note| writeln!(io::stderr(), "NOTE: {note}"))?;
        return Ok(loaded.alerts);
    }
    let status = server::connect_alerting(&choice.server)?.alertmanager_status()?;
    let name = Path::new("(the server's configuration)");
    Ok(config::routing(name, &status.config.original, &options)?)
}

fn show(flags: &ShowFlags) -> anyhow::Result<Status> {
    let config = routes(&flags.tree)?;
    let mut out = io::stdout().lock();
    if flags.output == RoutesForm::Json {
        output::json(&RouteForm::of(&config.route), &mut out)?;
        return Ok(Status::Fine);
    }
    writeln!(out, "Routing tree:\n.")?;
    let text = |route: &Route| slug(route, true, true);
    tree(&Branch::whole(&config.route), "", true, &text, &mut out)?;
    writeln!(out)?;
    Ok(Status::Fine)
}

fn test(flags: &TestFlags) -> anyhow::Result<Status> {
    let labels = matchers::labels(&flags.labels)?;
    let now = SystemClock::new().now();
    let at = flags.at.as_ref().map_or(Ok(now), |text| ask::instant(text, now))?;
    let config = routes(&flags.choice)?;
    let found = config.route.matching(&labels);
    let names: Vec<_> = found.iter().map(|route| route.receiver.as_str()).collect();
    let names = names.join(",");
    let mut out = io::stdout().lock();
    let ends: Vec<_> = found.iter().map(|route| End::of(&config, route, &labels, at)).collect();
    if flags.output == RoutesForm::Json {
        output::json(&ends, &mut out)?;
    } else {
        if flags.tree {
            writeln!(out, "Matching routes:\n.")?;
            let is_end = |route: &Route| found.iter().any(|end| end.id == route.id);
            let text = |route: &Route| slug(route, false, is_end(route));
            tree(&Branch::matching(&config.route, &labels), "", true, &text, &mut out)?;
            writeln!(out, "\n")?;
        }
        writeln!(out, "{}", printable(&names))?;
    }
    if flags.output == RoutesForm::Table {
        writeln!(out)?;
        let rows: Vec<_> = ends.iter().map(End::row).collect();
        let heading = ["RECEIVER", "WAIT", "INTERVAL", "REPEAT", "MUTED BY", "GROUP"];
        output::columns(&heading, &rows, &mut out)?;
    }
    if ends.iter().any(|end| !end.muted_by.is_empty()) {
        writeln!(io::stderr(), "muted routes tell nobody at {}", rfc3339(at))?;
    }
    if flags.expected.as_ref().is_some_and(|expected| *expected != names) {
        writeln!(out, "WARNING: Expected receivers did not match resolved receivers.")?;
        return Ok(Status::Wrong);
    }
    Ok(Status::Fine)
}

/// A route where an alert ends up, for programs.
#[derive(Debug, Serialize)]
struct End {
    receiver: String,
    route: String,
    group_key: String,
    group_wait: String,
    group_interval: String,
    repeat_interval: String,
    muted_by: Vec<String>,
}

impl End {
    fn of(config: &Config, route: &Route, labels: &Labels, at: Timestamp) -> Self {
        Self {
            receiver: route.receiver.clone(),
            route: route.key.to_string(),
            group_key: GroupKey::new(&route.key, &route.group_by.group_labels(labels)).to_string(),
            group_wait: duration::format(route.group_wait),
            group_interval: duration::format(route.group_interval),
            repeat_interval: duration::format(route.repeat_interval),
            muted_by: config.quiet_by(route, at),
        }
    }

    fn row(&self) -> Vec<String> {
        let muted = self.muted_by.join(" ");
        vec![
            self.receiver.clone(),
            self.group_wait.clone(),
            self.group_interval.clone(),
            self.repeat_interval.clone(),
            if muted.is_empty() { "-".to_owned() } else { muted },
            self.group_key.clone(),
        ]
    }
}

/// A route and those below it, for programs.
#[derive(Debug, Serialize)]
struct RouteForm {
    receiver: String,
    matchers: Vec<String>,
    #[serde(rename = "continue")]
    continues: bool,
    group_by: Vec<String>,
    group_wait: String,
    group_interval: String,
    repeat_interval: String,
    mute_time_intervals: Vec<String>,
    active_time_intervals: Vec<String>,
    routes: Vec<Self>,
}

impl RouteForm {
    fn of(route: &Route) -> Self {
        Self {
            receiver: route.receiver.clone(),
            matchers: route.matchers.iter().map(ToString::to_string).collect(),
            continues: route.continues,
            group_by: match &route.group_by {
                GroupBy::All => vec!["...".to_owned()],
                GroupBy::Labels(names) => names.iter().cloned().collect(),
            },
            group_wait: duration::format(route.group_wait),
            group_interval: duration::format(route.group_interval),
            repeat_interval: duration::format(route.repeat_interval),
            mute_time_intervals: route.mute_intervals.clone(),
            active_time_intervals: route.active_intervals.clone(),
            routes: route.routes.iter().map(Self::of).collect(),
        }
    }
}

/// A node of a tree that is printed.
#[derive(Debug)]
struct Branch<'a> {
    route: &'a Route,
    below: Vec<Self>,
}

impl<'a> Branch<'a> {
    fn whole(route: &'a Route) -> Self {
        Self { route, below: route.routes.iter().map(Self::whole).collect() }
    }

    /// The nodes that take an alert with these labels.
    fn matching(route: &'a Route, labels: &Labels) -> Self {
        let mut below = Vec::new();
        let holds = |route: &Route| route.matchers.iter().all(|one| one.matches(labels));
        for child in route.routes.iter().filter(|child| holds(child)) {
            below.push(Self::matching(child, labels));
            if !child.continues {
                break;
            }
        }
        Self { route, below }
    }
}

/// The text of a node, as amtool has it.
/// Source: prometheus/alertmanager, cli/routing.go.
fn slug(route: &Route, shows_continue: bool, shows_receiver: bool) -> String {
    let mut text = match route.matchers.is_empty() {
        true => "default-route".to_owned(),
        false => format_list(&route.matchers),
    };
    if route.continues && shows_continue {
        text.push_str("  continue: true");
    }
    if shows_receiver {
        text.push_str("  receiver: ");
        text.push_str(&route.receiver);
    }
    text
}

fn tree(
    branch: &Branch<'_>,
    lead: &str,
    is_last: bool,
    text: &dyn Fn(&Route) -> String,
    out: &mut dyn Write,
) -> io::Result<()> {
    let joint = if is_last { "└── " } else { "├── " };
    writeln!(out, "{lead}{joint}{}", printable(&text(branch.route)))?;
    let lead = format!("{lead}{}", if is_last { "    " } else { "│   " });
    let last = branch.below.len().saturating_sub(1);
    for (place, child) in branch.below.iter().enumerate() {
        tree(child, &lead, place == last, text, out)?;
    }
    Ok(())
}
