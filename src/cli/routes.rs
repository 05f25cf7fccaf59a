//! `watchbell routes`: the routing tree, and where an alert with some labels would go.

use super::flags::{ServerChoice, StatusForm};
use super::{Status, ask, matchers, output, server};
use crate::alerts::config::{Config, Options};
use crate::alerts::matchers::format_list;
use crate::alerts::{GroupBy, Route};
use crate::app;
use crate::config;
use crate::model::{Labels, Timestamp, duration, printable};
use crate::sys::clock::{Clock as _, SystemClock};
use crate::wire::{
    Core, ErrorKind, GroupingRequest, RouteFinal, RouteTest, RouteTestRequest, rfc3339,
};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

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
                      with -o plain: the routes that were looked at, with the first matcher that \
                      did not match, then where it goes. A running watchbell also says what keeps \
                      such an alert quiet.\nExit status: 0 answered, 1 other receivers than \
                      --verify.receivers or no tree, 2 a wrong flag."
    )]
    Test(TestFlags),
    /// Say into which groups the alerts of now would go if they were grouped by other labels
    #[command(
        name = "group-by",
        after_help = "Examples:\n  watchbell routes group-by alertname,instance\n  watchbell routes \
                      group-by cluster --route '{}/{team=\"db\"}'\n  watchbell routes group-by ... -o \
                      json\n\nNothing is changed. Routes have their paths in routes \
                      test.\nExit status: 0 answered, 1 there is no such route, or the server \
                      cannot be asked, 2 a \
                      wrong flag."
    )]
    GroupBy(GroupByFlags),
}

/// Flags of `watchbell routes group-by`.
#[derive(Clone, Debug, Args)]
pub(super) struct GroupByFlags {
    /// Labels, joined by commas; ... for all, an empty text for none
    #[arg(value_name = "LABELS")]
    labels: String,
    /// Only alerts of the route with this path [default: all routes]
    #[arg(long, value_name = "PATH")]
    route: Option<String>,
    /// Which server
    #[command(flatten)]
    server: ServerChoice,
    /// How the answer looks
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: StatusForm,
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
    /// When: RFC 3339, seconds since the epoch, or a span ago; for time intervals and silences
    /// [default: now]
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
        RoutesQuestion::GroupBy(flags) => group_by(flags),
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
    routes_of(server::connect_alerting(&choice.server)?.as_ref())
}

/// The routes that a server shows.
fn routes_of(core: &dyn Core) -> anyhow::Result<Config> {
    let status = core.alertmanager_status()?;
    let name = Path::new("(the server's configuration)");
    Ok(config::routing(name, &status.config.original, &Options::default())?)
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

/// What a test is made of: the routes, what the server says of them if it is watchbell, and
/// whether the integrations of receivers are known.
fn tried(
    flags: &TestFlags,
    labels: &Labels,
    at: Timestamp,
) -> anyhow::Result<(Config, RouteTest, bool)> {
    let choice = &flags.choice;
    if choice.config_file.is_none() && choice.server.alertmanager.is_none() {
        let core = server::connect(&choice.server)?;
        let request = RouteTestRequest { labels: labels.clone(), at: Some(at) };
        match core.route_test(&request) {
            Ok(test) => return Ok((routes_of(core.as_ref())?, test, true)),
            // Another server: only its routes are known.
            Err(err) if err.kind == ErrorKind::Unavailable => {}
            Err(err) => return Err(err.into()),
        }
    }
    let config = routes(choice)?;
    let test = app::route_test(&config.route_test(labels, at));
    // What a server tells of its file is read for the routes alone.
    Ok((config, test, choice.config_file.is_some()))
}

fn test(flags: &TestFlags) -> anyhow::Result<Status> {
    let labels = matchers::labels(&flags.labels)?;
    let now = SystemClock::new().now();
    let at = flags.at.as_ref().map_or(Ok(now), |text| ask::instant(text, now))?;
    let (config, test, knows_integrations) = tried(flags, &labels, at)?;
    let names: Vec<_> = test.finals.iter().map(|one| one.receiver.as_str()).collect();
    let names = names.join(",");
    let mut out = io::stdout().lock();
    if flags.output == RoutesForm::Json {
        output::json(&test, &mut out)?;
    } else {
        if flags.tree {
            let found = config.route.matching(&labels);
            writeln!(out, "Matching routes:\n.")?;
            let is_end = |route: &Route| found.iter().any(|end| end.id == route.id);
            let text = |route: &Route| slug(route, false, is_end(route));
            tree(&Branch::matching(&config.route, &labels), "", true, &text, &mut out)?;
            writeln!(out, "\n")?;
        }
        writeln!(out, "{}", printable(&names))?;
    }
    if flags.output == RoutesForm::Table {
        print_way(&test, &mut out)?;
    }
    if knows_integrations {
        tell_silent(&test)?;
    }
    tell_quiet(&test, at)?;
    if flags.expected.as_ref().is_some_and(|expected| *expected != names) {
        writeln!(out, "WARNING: Expected receivers did not match resolved receivers.")?;
        return Ok(Status::Wrong);
    }
    Ok(Status::Fine)
}

/// Which receivers tell nobody whatever happens, on standard error.
fn tell_silent(test: &RouteTest) -> io::Result<()> {
    let silent = test.finals.iter().filter(|one| one.integrations.is_empty());
    for receiver in silent.map(|one| one.receiver.as_str()).collect::<BTreeSet<_>>() {
        let text = format!(
            "receiver {receiver:?} tells nobody: it has no integration (webhook_configs and the \
             like in alertmanager.yml, see --alertmanager.config-file)"
        );
        writeln!(io::stderr(), "{}", printable(&text))?;
    }
    Ok(())
}

/// What keeps somebody from being told, on standard error.
fn tell_quiet(test: &RouteTest, at: Timestamp) -> io::Result<()> {
    let mut err = io::stderr();
    if test.finals.iter().any(|one| !one.muted_by.is_empty()) {
        writeln!(err, "muted routes tell nobody at {}", rfc3339(at))?;
    }
    for (what, list) in [("silence", &test.silenced_by), ("alert", &test.inhibited_by)] {
        for id in list {
            writeln!(err, "{what} {} keeps it quiet", printable(id))?;
        }
    }
    Ok(())
}

/// The routes that were looked at, and those where the alert ends up.
fn print_way(test: &RouteTest, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out)?;
    for node in &test.nodes {
        let indent = "  ".repeat(node.depth);
        let said = match (&node.closest_miss, node.continues) {
            (Some(miss), _) if miss.found.is_empty() => {
                format!("no: {} fails, the label is missing", miss.matcher)
            }
            (Some(miss), _) => format!("no: {} fails, found {:?}", miss.matcher, miss.found),
            (None, true) => "yes, and goes on".to_owned(),
            (None, false) => "yes".to_owned(),
        };
        writeln!(out, "{indent}{}", printable(&format!("{}  {said}", node.matchers)))?;
    }
    writeln!(out)?;
    let rows: Vec<_> = test.finals.iter().map(row).collect();
    let heading = ["RECEIVER", "BY", "WAIT", "INTERVAL", "REPEAT", "MUTED BY", "ALERTS", "GROUP"];
    output::columns(&heading, &rows, out)
}

fn row(one: &RouteFinal) -> Vec<String> {
    let or_none = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let span = |seconds: f64| {
        Duration::try_from_secs_f64(seconds).map_or("-".to_owned(), duration::format)
    };
    vec![
        one.receiver.clone(),
        or_none(one.integrations.join(" ")),
        span(one.group_wait_seconds),
        span(one.group_interval_seconds),
        span(one.repeat_interval_seconds),
        or_none(one.muted_by.join(" ")),
        one.group.as_ref().map_or("-".to_owned(), |group| group.members.to_string()),
        one.group_key.clone(),
    ]
}

fn group_by(flags: &GroupByFlags) -> anyhow::Result<Status> {
    let names = flags.labels.split(',').map(str::trim).filter(|name| !name.is_empty());
    let request = GroupingRequest {
        route: flags.route.clone(),
        group_by: names.map(str::to_owned).collect(),
    };
    let preview = server::connect(&flags.server)?.grouping_preview(&request)?;
    let mut out = io::stdout().lock();
    if flags.output == StatusForm::Json {
        output::json(&preview, &mut out)?;
        return Ok(Status::Fine);
    }
    for (what, groups) in [("now", &preview.before), ("then", &preview.after)] {
        let alerts: usize = groups.iter().map(|group| group.alerts.len()).sum();
        writeln!(out, "{what}: {} in {}", count(alerts, "alert"), count(groups.len(), "group"))?;
        for group in groups {
            let text = format!("{:>7}  {}", group.alerts.len(), group.labels);
            writeln!(out, "{}", printable(&text))?;
        }
    }
    Ok(Status::Fine)
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
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
