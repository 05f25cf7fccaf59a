//! `watchbell alerts drill`: an alert that says TEST goes the whole way to the real receivers, and
//! each step of it is told.

use super::flags::{ServerChoice, StatusForm, span};
use super::{Status, Usage, matchers, output, server};
use crate::alerts::drill;
use crate::model::{duration, printable};
use crate::sys::clock::{Clock as _, SystemClock};
use crate::wire::{Core, Drill, DrillReport, DrillStep, RouteFinal, RouteTest, RouteTestRequest};
use clap::Args;
use std::collections::BTreeSet;
use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::time::Duration;

/// How long one wait for news takes.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// For a notification on its way.
const DELIVERY: Duration = Duration::from_secs(60);
/// The longest drill that a server takes.
const SPAN_MAX: Duration = Duration::from_secs(3600);

/// Flags of `watchbell alerts drill`.
#[derive(Clone, Debug, Args)]
pub(super) struct DrillFlags {
    /// Labels of the alert, by which it is routed; alertname is FireDrill unless it is given
    #[arg(value_name = "NAME=VALUE")]
    labels: Vec<String>,
    /// An annotation; may stand more than once
    #[arg(long = "annotation", value_name = "NAME=VALUE")]
    annotations: Vec<String>,
    /// Go on without asking
    #[arg(short, long)]
    yes: bool,
    /// Wait group_wait and group_interval as a real alert does
    #[arg(long)]
    real_time: bool,
    /// How long it is waited for those who are to be told, and again for its end [default: 1m, and
    /// with --real-time what the routes wait]
    #[arg(long, value_name = "TIME", value_parser = span)]
    timeout: Option<Duration>,
    /// Which server
    #[command(flatten)]
    server: ServerChoice,
    /// How the answer looks
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: StatusForm,
}

/// Says who will be told, asks, and then tells what happens until the end is told.
pub(super) fn run(flags: &DrillFlags) -> anyhow::Result<Status> {
    let labels = matchers::labels(&flags.labels)?;
    let annotations = matchers::labels(&flags.annotations)?;
    let core = server::connect(&flags.server)?;
    let marked = drill::labels(&labels, &drill::id(0));
    let way = core.route_test(&RouteTestRequest { labels: marked, at: None })?;
    if let Some(why) = quiet(&way) {
        writeln!(io::stderr(), "nobody would be told: {why}; see: watchbell routes test")?;
        return Ok(Status::Wrong);
    }
    tell_plan(&way, flags.real_time)?;
    if !flags.yes && !is_confirmed()? {
        writeln!(io::stderr(), "nothing was sent")?;
        return Ok(Status::Wrong);
    }
    let wait = flags.timeout.unwrap_or_else(|| patience(&way, flags.real_time));
    // It must not end before those who wait have been told.
    let span = wait.saturating_add(DELIVERY).min(SPAN_MAX);
    let asked = Drill { labels, annotations, span: duration::format(span), waits: flags.real_time };
    let mut told = Told { form: flags.output, steps: 0 };
    let begun = core.begin_drill(&asked)?;
    let report = follow(core.as_ref(), begun, wait, &mut told)?;
    let not_told = report.waits_for.clone();
    let ending = core.end_drill(&report.fingerprint)?;
    let report = follow(core.as_ref(), ending, wait, &mut told)?;
    if flags.output == StatusForm::Json {
        output::json(&report, &mut io::stdout().lock())?;
    }
    let mut is_well = true;
    let mut err = io::stderr();
    for one in not_told {
        is_well = false;
        let text = format!("{} {} was not told that it fires", one.receiver, one.integration);
        writeln!(err, "{}", printable(&text))?;
    }
    for one in &report.waits_for {
        is_well = false;
        let text = format!("{} {} was not told that it ended", one.receiver, one.integration);
        writeln!(err, "{}", printable(&text))?;
    }
    is_well &= !has_failed(&report);
    if is_well {
        writeln!(err, "all were told that it fires, and those who want to know that it ended")?;
    }
    Ok(if is_well { Status::Fine } else { Status::Wrong })
}

/// Why nobody would be told; `None` when somebody would.
fn quiet(way: &RouteTest) -> Option<String> {
    let heard = |one: &RouteFinal| one.muted_by.is_empty() && !one.integrations.is_empty();
    match (way.silenced_by.first(), way.inhibited_by.first()) {
        (Some(id), _) => Some(format!("silence {id} acts on it")),
        (None, Some(print)) => Some(format!("alert {print} inhibits it")),
        (None, None) if !way.finals.iter().any(heard) => {
            Some("its receivers have no integration, or its routes are muted".to_owned())
        }
        (None, None) => None,
    }
}

/// How long it may take until all are told.
fn patience(way: &RouteTest, real_time: bool) -> Duration {
    let longest = |of: fn(&RouteFinal) -> f64| {
        let seconds = way.finals.iter().map(of).fold(0.0, f64::max);
        Duration::try_from_secs_f64(seconds).unwrap_or(SPAN_MAX)
    };
    match real_time {
        true => {
            let wait = longest(|one| one.group_wait_seconds);
            wait.max(longest(|one| one.group_interval_seconds)).saturating_add(DELIVERY)
        }
        false => DELIVERY,
    }
}

/// Who will be told, on standard error: the answer is what happened.
fn tell_plan(way: &RouteTest, real_time: bool) -> io::Result<()> {
    let mut err = io::stderr();
    writeln!(err, "this drill tells")?;
    for one in &way.finals {
        let by = match (one.integrations.is_empty(), one.muted_by.is_empty()) {
            (true, _) => "nobody: it has no integration".to_owned(),
            (false, false) => format!("nobody: muted by {}", one.muted_by.join(", ")),
            (false, true) => format!("by {}", one.integrations.join(", ")),
        };
        let text = format!("  {} {by}, over the route {}", one.receiver, one.route);
        writeln!(err, "{}", printable(&text))?;
        let (wait, interval) = (one.group_wait_seconds, one.group_interval_seconds);
        let would = if real_time { "it waits" } else { "a real alert would wait" };
        writeln!(err, "    {would} {wait} s, and its end up to {interval} s")?;
    }
    writeln!(err, "everything that is sent of it says TEST, and it ends by itself")
}

/// Asks on the terminal.
///
/// # Errors
/// There is nobody to ask.
fn is_confirmed() -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        let text = "a drill tells real people; there is no terminal to ask on: say --yes";
        return Err(Usage(text.to_owned()).into());
    }
    write!(io::stderr(), "go on? [y/N] ")?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(["y", "yes"].contains(&line.trim().to_ascii_lowercase().as_str()))
}

/// What was printed.
struct Told {
    form: StatusForm,
    steps: usize,
}

impl Told {
    /// Prints the steps that are new.
    fn tell(&mut self, report: &DrillReport) -> io::Result<()> {
        if self.form == StatusForm::Json {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        for step in report.steps.iter().skip(self.steps) {
            let seconds = step.at.since(report.started).as_secs_f64();
            writeln!(out, "{seconds:7.1} s  {}", printable(&line(step)))?;
            if step.what == "received" {
                for one in &report.route.finals {
                    let text = format!("{}: in the group {}", one.receiver, one.group_key);
                    writeln!(out, "{seconds:7.1} s  {}", printable(&text))?;
                }
            }
        }
        self.steps = self.steps.max(report.steps.len());
        Ok(())
    }
}

fn line(step: &DrillStep) -> String {
    let mut text = match step.what.as_str() {
        "received" => "the alert fires".to_owned(),
        "ended" => "the alert has ended".to_owned(),
        "suppressed" => "it is kept quiet".to_owned(),
        "unsuppressed" => "it is not kept quiet any more".to_owned(),
        what => format!("{} {}: {what}", step.receiver, step.integration),
    };
    if let Some(took) = step.took_ms {
        text.push_str(&format!(" in {took} ms"));
    }
    if step.attempts > 1 {
        text.push_str(&format!(" and {} attempts", step.attempts));
    }
    if let Some(code) = step.code {
        text.push_str(&format!(", status {code}"));
    }
    if !step.said.is_empty() {
        text.push_str(&format!(": {}", step.said));
    }
    text
}

/// Tells what happens until nobody is waited for, or `wait` is over.
fn follow(
    core: &dyn Core,
    first: DrillReport,
    wait: Duration,
    told: &mut Told,
) -> anyhow::Result<DrillReport> {
    let clock = SystemClock::new();
    let mut report = first;
    let mut revision = 0;
    loop {
        told.tell(&report)?;
        if report.waits_for.is_empty() || clock.elapsed() > wait {
            return Ok(report);
        }
        revision = core.changes_after(revision, LOOK_EVERY)?.revision;
        report = core.drill(&report.fingerprint)?;
    }
}

/// Whether the last that an integration was told of the firing alert, or of its end, failed.
fn has_failed(report: &DrillReport) -> bool {
    let mut seen = BTreeSet::new();
    let newest = report.steps.iter().rev().filter(|step| !step.integration.is_empty());
    let is_end = |step: &DrillStep| step.what.starts_with("end");
    newest
        .filter(|step| seen.insert((&step.receiver, &step.integration, is_end(step))))
        .any(|step| step.what.ends_with("failed"))
}
