//! `watchbell alerts`: alerts for people and for scripts, by what they are asked for.
//!
//! The exit status says what fires, so a script needs no other answer; a wrong argument is 64.

use super::flags::{OutputForm, ServerChoice, StatusForm};
use super::{Status, Usage, acks, drill, happened, matchers, output, server, why};
use crate::model::{Matcher, Regex, Timestamp, printable};
use crate::sys::clock::{Clock as _, SystemClock};
use crate::tui::{AlertView, Alerts, Severity, state_word};
use crate::wire::{AlertRow, AlertState, Core, WatchStatus, rfc3339};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

/// Of `alerts list`: nobody can tell whether something fires.
const CANNOT_TELL: u8 = 3;
/// A wrong argument, where 1 and 2 say what fires: `EX_USAGE` of sysexits.h.
pub(super) const USAGE: u8 = 64;
/// The form of the JSON.
pub(super) const SCHEMA: u32 = 1;
/// Data is stale after so many intervals without an evaluation, but not before `STALE_MIN`.
const STALE_INTERVALS: f64 = 3.0;
/// A busy machine may be this late.
const STALE_MIN: Duration = Duration::from_secs(30);
/// How long one wait for changes takes.
const WATCH_WAIT: Duration = Duration::from_secs(30);

/// Flags of `watchbell alerts`.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct AlertsFlags {
    /// What is asked
    #[command(subcommand)]
    question: Option<AlertsQuestion>,
    /// Flags of the list, which is the default
    #[command(flatten)]
    list: ListFlags,
}

/// What is asked about alerts.
#[derive(Clone, Debug, Subcommand)]
enum AlertsQuestion {
    /// List alerts; the exit status says what fires
    #[command(after_help = "Examples:\n  watchbell alerts list\n  watchbell alerts list \
                      severity=critical 'instance=~db.*' -o json\n  watchbell alerts list DiskFull \
                      --state all --sort age\n  watchbell alerts list --alertmanager \
                      http://alertmanager:9093 --receiver 'team-.*'\n\nExit status, of the alerts \
                      that match: 0 nothing fires, 1 something does, 2 something critical does, 3 \
                      nobody can tell, 64 a wrong flag.")]
    List(ListFlags),
    /// Show everything about one alert, and why it was told or not
    #[command(after_help = "Examples:\n  watchbell alerts show 5f3759df\n  watchbell alerts show \
                      DiskFull -o json\n\nExit status: 0 shown, 3 the server cannot be asked, 64 \
                      there is no such alert.")]
    Show(WhichFlags),
    /// Say why an alert was told, was not, or does not fire; watchbell why for short
    #[command(after_help = WHY_HELP)]
    Why(WhichFlags),
    /// Say that somebody works on alerts: they are not told again until something new comes
    #[command(after_help = "Examples:\n  watchbell alerts ack 5f3759df8ac56cc5 -c 'disk \
                      ordered'\n  watchbell alerts ack DiskFull instance=db-1 -a ops\n\nMatchers \
                      mean all firing alerts that have these labels. It ends when the alert \
                      does. An Alertmanager that is named with --alertmanager knows no \
                      acknowledgements: there it is a silence of 30 minutes.\nExit status: 0 \
                      done, 3 the server cannot be asked or cannot store it, 64 no such alert \
                      fires.")]
    Ack(acks::AckFlags),
    /// Take an acknowledgement back
    #[command(
        after_help = "Example:\n  watchbell alerts unack 5f3759df8ac56cc5\n\nExit status: 0 \
                      done, 3 the server cannot be asked, 64 the alert is not acknowledged."
    )]
    Unack(acks::UnackFlags),
    /// Let an alert that says TEST go the whole way to the real receivers, and tell each step
    #[command(after_help = "Examples:\n  watchbell alerts drill\n  watchbell alerts drill \
                      severity=critical team=db --yes\n  watchbell alerts drill severity=critical \
                      --real-time -o json\n\nIt says who will be told and asks first. The alert \
                      has a group of its own and keeps no other alert quiet; when all have been \
                      told it ends, and that is told as well.\nExit status: 0 all were told, 1 \
                      somebody was not, or would not be, 3 the server cannot be asked, 64 a wrong \
                      flag.")]
    Drill(drill::DrillFlags),
    /// Show what happened: alerts, notifications, silences, acknowledgements
    #[command(
        after_help = "Examples:\n  watchbell alerts history DiskFull --from 7d\n  watchbell \
                      alerts history --kind notified -n 20\n  watchbell alerts history \
                      --fingerprint 5f3759df8ac56cc5 -o json\n\nA notification has the labels that \
                      all of its alerts share; --fingerprint finds it by each of them.\nExit \
                      status: 0 shown, 3 the server cannot be asked, 64 a wrong flag."
    )]
    History(happened::HistoryFlags),
    /// Print what happens, line by line, until interrupted
    #[command(after_help = "Examples:\n  watchbell alerts tail\n  watchbell alerts tail --kind \
                      notified -n 0")]
    Tail(happened::TailFlags),
}

/// Examples and exit status of `watchbell why`.
pub(super) const WHY_HELP: &str = "Examples:\n  watchbell why DiskFull\n  watchbell why 5f3759df\n  \
     watchbell why NodeDown --url http://prometheus:9090 --alertmanager http://alertmanager:9093\n\n\
     Exit status: 0 notified, 1 not notified, 2 not firing, 3 the server cannot be asked, 64 there \
     is no such alert or rule.";

/// Flags of `watchbell alerts list`.
#[derive(Clone, Debug, Args)]
struct ListFlags {
    /// Matchers on labels, as amtool takes them; a first word without one is the alert's name
    #[arg(value_name = "MATCHER")]
    matchers: Vec<String>,
    /// States to show, separated by commas
    #[arg(long, value_name = "STATES", value_delimiter = ',', default_value = "active")]
    state: Vec<StateChoice>,
    /// By what the list is sorted
    #[arg(long, value_name = "KEY", default_value = "severity")]
    sort: Sort,
    /// Only alerts of receivers that match this regular expression, anchored
    #[arg(short, long, value_name = "REGEX")]
    receiver: Option<String>,
    /// Print the list again whenever an alert changes, until interrupted
    #[arg(long)]
    watch: bool,
    /// Which server
    #[command(flatten)]
    server: ServerChoice,
    /// How the answer looks
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: OutputForm,
}

/// Which alert is meant.
#[derive(Clone, Debug, Args)]
pub(super) struct WhichFlags {
    /// The alert's fingerprint or the start of it, or its name
    #[arg(value_name = "FINGERPRINT|NAME")]
    pub which: String,
    /// Which server
    #[command(flatten)]
    pub server: ServerChoice,
    /// How the answer looks
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: StatusForm,
}

/// States that are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StateChoice {
    /// Firing, pending and unknown.
    Active,
    /// Firing, and held by `keep_firing_for`.
    Firing,
    /// `for` is not over.
    Pending,
    /// Held back by a silence.
    Silenced,
    /// Held back by another alert.
    Inhibited,
    /// Held back by a time interval.
    Muted,
    /// Ended in the last 15 minutes.
    Resolved,
    /// The rule fails, or its data is stale.
    Unknown,
    /// Firing, and somebody works on it.
    Acknowledged,
    /// All of them.
    All,
}

impl StateChoice {
    fn shows(self, view: &AlertView) -> bool {
        match (self, view.row.state) {
            (Self::Active, _) => view.is_active(),
            (Self::All, _)
            | (Self::Firing, AlertState::Firing | AlertState::KeepFiring)
            | (Self::Pending, AlertState::Pending)
            | (Self::Silenced, AlertState::Silenced)
            | (Self::Inhibited, AlertState::Inhibited)
            | (Self::Muted, AlertState::Muted)
            | (Self::Resolved, AlertState::Resolved)
            | (Self::Unknown, AlertState::Unknown) => true,
            (Self::Acknowledged, _) => view.is_acked(),
            (_, _) => false,
        }
    }
}

/// The order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// The worst first, then the oldest.
    Severity,
    /// The oldest first.
    Age,
    /// By name and labels.
    Name,
}

/// Asks, and prints the answer.
pub(super) fn run(flags: &AlertsFlags) -> anyhow::Result<Status> {
    answered(match &flags.question {
        None => list(&flags.list),
        Some(AlertsQuestion::List(flags)) => list(flags),
        Some(AlertsQuestion::Show(flags)) => why::show(flags),
        Some(AlertsQuestion::Why(flags)) => why::why(flags),
        Some(AlertsQuestion::Ack(flags)) => acks::ack(flags),
        Some(AlertsQuestion::Unack(flags)) => acks::unack(flags),
        Some(AlertsQuestion::Drill(flags)) => drill::run(flags),
        Some(AlertsQuestion::History(flags)) => happened::history(flags),
        Some(AlertsQuestion::Tail(flags)) => happened::tail(flags),
    })
}

/// `watchbell why`.
pub(super) fn run_why(flags: &WhichFlags) -> anyhow::Result<Status> {
    answered(why::why(flags))
}

/// Errors with the exit status that they have here.
fn answered(outcome: anyhow::Result<Status>) -> anyhow::Result<Status> {
    match outcome {
        Err(err) if !super::is_closed_pipe(&err) => {
            writeln!(io::stderr(), "watchbell: {err:#}")?;
            Ok(Status::Own(if err.is::<Usage>() { USAGE } else { CANNOT_TELL }))
        }
        outcome => outcome,
    }
}

/// Which alerts are meant, whatever their state.
#[derive(Debug)]
struct Wanted {
    matchers: Vec<Matcher>,
    receiver: Option<Regex>,
}

impl Wanted {
    fn new(flags: &ListFlags) -> Result<Self, Usage> {
        let receiver = flags.receiver.as_deref().map(|text| {
            Regex::anchored(text)
                .map_err(|err| Usage(format!("cannot use --receiver {text:?}: {err}")))
        });
        Ok(Self { matchers: matchers::of_args(&flags.matchers)?, receiver: receiver.transpose()? })
    }

    fn has(&self, row: &AlertRow) -> bool {
        let receives = |regex: &Regex| row.receivers.iter().any(|name| regex.is_match(name));
        self.matchers.iter().all(|matcher| matcher.matches(&row.labels))
            && self.receiver.as_ref().is_none_or(receives)
    }
}

/// What a list was made of.
#[derive(Debug)]
struct Answer {
    /// The alerts that are meant.
    alerts: Vec<AlertView>,
    /// The server's time.
    now: Timestamp,
    /// Why they may be wrong.
    stale: Option<String>,
}

fn list(flags: &ListFlags) -> anyhow::Result<Status> {
    let wanted = Wanted::new(flags)?;
    let core = server::connect_alerting(&flags.server)?;
    let mut before = None;
    let mut revision = 0;
    loop {
        let answer = ask(&core, flags, &wanted)?;
        let shown: Vec<_> = answer.alerts.iter().filter(|view| is_shown(view, flags)).collect();
        let news: Vec<_> =
            shown.iter().map(|view| (view.row.fingerprint.clone(), view.row.state)).collect();
        if before.as_ref() != Some(&news) {
            print(&shown, &answer, flags, &mut io::stdout().lock())?;
            tell_hidden(&answer, shown.len())?;
            before = Some(news);
        }
        if !flags.watch {
            return Ok(Status::Own(exit_status(&answer)));
        }
        revision = core.changes_after(revision, WATCH_WAIT)?.revision;
    }
}

fn ask(core: &Arc<dyn Core>, flags: &ListFlags, wanted: &Wanted) -> anyhow::Result<Answer> {
    let (now, stale) = if server::is_alertmanager(&flags.server) {
        (SystemClock::new().now(), None)
    } else {
        let status = core.status()?;
        (status.now, staleness(&status))
    };
    let rows = core.alert_rows()?.into_iter().filter(|row| wanted.has(row)).collect();
    let mut alerts = Alerts::new(rows).rows;
    match flags.sort {
        Sort::Severity => {}
        Sort::Age => alerts.sort_by_key(|view| view.since),
        Sort::Name => {
            alerts.sort_by(|a, b| (&a.name, &a.row.labels).cmp(&(&b.name, &b.row.labels)))
        }
    }
    Ok(Answer { alerts, now, stale })
}

fn is_shown(view: &AlertView, flags: &ListFlags) -> bool {
    flags.state.iter().any(|state| state.shows(view))
}

/// Why what a server tells may be wrong: nothing was evaluated or scraped for long.
fn staleness(status: &WatchStatus) -> Option<String> {
    let newest = status.newest?;
    let limit = Duration::try_from_secs_f64(status.evaluation_interval_seconds * STALE_INTERVALS)
        .unwrap_or_default()
        .max(STALE_MIN);
    let age = status.now.since(newest);
    (age > limit).then(|| {
        let seconds = age.as_secs();
        format!(
            "the newest evaluation of {} is {seconds} s old: its alerts may be wrong",
            status.server
        )
    })
}

fn exit_status(answer: &Answer) -> u8 {
    if answer.stale.is_some() {
        return CANNOT_TELL;
    }
    let firing = answer.alerts.iter().filter(|view| view.is_firing());
    firing.map(|view| if view.severity == Severity::Critical { 2 } else { 1 }).max().unwrap_or(0)
}

fn tell_hidden(answer: &Answer, shown: usize) -> io::Result<()> {
    let mut err = io::stderr();
    if let Some(stale) = &answer.stale {
        writeln!(err, "{}", printable(stale))?;
    }
    match answer.alerts.len().saturating_sub(shown) {
        0 if shown == 0 => writeln!(err, "no alerts"),
        0 => Ok(()),
        hidden => writeln!(err, "{hidden} of other states; --state all shows them"),
    }
}

fn print(
    shown: &[&AlertView],
    answer: &Answer,
    flags: &ListFlags,
    out: &mut dyn Write,
) -> io::Result<()> {
    match flags.output {
        OutputForm::Table => {
            let rows: Vec<_> = shown.iter().map(|view| table_row(view, answer.now)).collect();
            let heading =
                ["FINGERPRINT", "STATE", "SEV", "ALERT", "WHERE", "VALUE", "AGE", "NOTIFIED"];
            output::columns(&heading, &rows, out)
        }
        OutputForm::Json => {
            let alerts: Vec<_> = shown.iter().map(|view| alert_json(&view.row)).collect();
            output::json(&json!({ "schema": SCHEMA, "alerts": alerts }), out)
        }
        OutputForm::Csv => {
            output::record(CSV.into_iter(), out)?;
            shown.iter().try_for_each(|view| {
                let cells = csv_row(view);
                output::record(cells.iter().map(String::as_str), out)
            })
        }
        OutputForm::Plain => shown.iter().try_for_each(|view| {
            let text = plain_line(view);
            writeln!(out, "{}", printable(&text))
        }),
    }
}

fn table_row(view: &AlertView, now: Timestamp) -> Vec<String> {
    let value = format!("{} {}", view.value, view.limit);
    vec![
        view.row.fingerprint.clone(),
        view.state_word().to_owned(),
        view.severity.word(),
        view.name.clone(),
        view.place.clone(),
        value.trim().to_owned(),
        view.age(now),
        view.notified(now),
    ]
}

const CSV: [&str; 9] = [
    "fingerprint",
    "state",
    "severity",
    "alertname",
    "value",
    "since",
    "receivers",
    "summary",
    "labels",
];

fn csv_row(view: &AlertView) -> [String; 9] {
    [
        view.row.fingerprint.clone(),
        state_word(view.row.state).to_owned(),
        view.row.labels.value_of("severity").to_owned(),
        view.name.clone(),
        view.row.value.clone().unwrap_or_default(),
        view.since.map(rfc3339).unwrap_or_default(),
        view.row.receivers.join(" "),
        view.summary(),
        view.selector(),
    ]
}

fn plain_line(view: &AlertView) -> String {
    let since = view.since.map(|at| format!(" since {}", rfc3339(at))).unwrap_or_default();
    let value = view.row.value.as_ref().map(|value| format!(" value {value}")).unwrap_or_default();
    let summary = view.summary();
    let summary = if summary.is_empty() { summary } else { format!(": {summary}") };
    let state = state_word(view.row.state);
    format!("{} {state} {}{value}{since}{summary}", view.row.fingerprint, view.selector())
}

/// The row as the API has it, but a value that is a number as one, and no time as none.
pub(super) fn alert_json(row: &AlertRow) -> Value {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(row) else { return Value::Null };
    let number = row.value.as_deref().and_then(|value| value.parse::<f64>().ok());
    if let Some(number) = number.and_then(serde_json::Number::from_f64) {
        fields.insert("value".to_owned(), Value::Number(number));
    }
    for (name, time) in [
        ("active_at", row.active_at),
        ("fired_at", row.fired_at),
        ("resolved_at", row.resolved_at),
        ("next_flush", row.next_flush),
    ] {
        if time.is_none() {
            fields.insert(name.to_owned(), Value::Null);
        }
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Labels;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn answer(rows: &[(AlertState, &str)], stale: Option<&str>) -> Answer {
        let row = |(state, severity): &(AlertState, &str)| {
            let labels = Labels::from_pairs([("alertname", "A"), ("severity", severity)]);
            AlertRow { state: *state, ..AlertRow::bare(&labels) }
        };
        let alerts = Alerts::new(rows.iter().map(row).collect()).rows;
        Answer { alerts, now: NOW, stale: stale.map(str::to_owned) }
    }

    #[test]
    fn the_exit_status_says_what_fires() {
        use AlertState::{Firing, KeepFiring, Pending, Silenced};
        for (rows, expected) in [
            (&[][..], 0),
            (&[(Pending, "critical"), (Silenced, "critical")], 0),
            (&[(Firing, "warning"), (Silenced, "critical")], 1),
            (&[(KeepFiring, "")], 1),
            (&[(Firing, "info"), (Firing, "critical")], 2),
        ] {
            assert_eq!(exit_status(&answer(rows, None)), expected, "{rows:?}");
        }
        assert_eq!(exit_status(&answer(&[(Firing, "critical")], Some("old"))), CANNOT_TELL);
    }

    #[test]
    fn json_has_numbers_and_no_made_up_times() {
        let labels = Labels::from_pairs([("alertname", "A")]);
        let row = AlertRow { value: Some("91.5".to_owned()), ..AlertRow::bare(&labels) };
        let shown = alert_json(&row);
        assert_eq!(shown.get("value"), Some(&json!(91.5)));
        assert_eq!(shown.get("fired_at"), Some(&Value::Null));
        let row = AlertRow { value: Some("NaN".to_owned()), fired_at: Some(NOW), ..row };
        let shown = alert_json(&row);
        assert_eq!(shown.get("value"), Some(&json!("NaN")));
        assert_eq!(shown.get("fired_at"), Some(&json!("2023-11-14T22:13:20.000Z")));
    }

    #[test]
    fn data_is_stale_after_three_intervals() {
        for (interval, age, stale) in
            [(60.0, 179, false), (60.0, 181, true), (1.0, 29, false), (1.0, 31, true)]
        {
            let status = WatchStatus {
                newest: Some(NOW.minus(Duration::from_secs(age))),
                now: NOW,
                evaluation_interval_seconds: interval,
                ..status()
            };
            assert_eq!(staleness(&status).is_some(), stale, "{interval} {age}");
        }
        assert_eq!(staleness(&status()), None);
    }

    fn status() -> WatchStatus {
        WatchStatus {
            server: "here".to_owned(),
            version: String::new(),
            now: NOW,
            started: NOW,
            pid: 0,
            resident_bytes: 0,
            newest: None,
            evaluation_interval_seconds: 0.0,
            storage: crate::wire::StorageStatus::default(),
            heartbeats: Vec::new(),
            expected: Vec::new(),
            receivers: Vec::new(),
            config_file: String::new(),
            config_error: None,
            warnings: Vec::new(),
            listen: Vec::new(),
            last_resolved: None,
        }
    }
}
