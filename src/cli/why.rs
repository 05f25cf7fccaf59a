//! `watchbell why` and `watchbell alerts show`: one alert, and the way from its data to a message.

use super::alerts::{SCHEMA, WhichFlags, alert_json};
use super::flags::StatusForm;
use super::{Status, Usage, ask, explain, output, server};
use crate::model::{TimeRange, Timestamp, nearest_name, printable};
use crate::sys::clock::{Clock as _, SystemClock};
use crate::tui::{self, Around, Explanation, Step, Told, state_word};
use crate::wire::{
    AlertRow, Call, Core, Detail, Explain, InstantQuery, RuleForm, RuleKind, RulesRequest,
    SilenceForm, WatchStatus, rfc3339,
};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::time::Duration;

/// Alerts of one name that are explained at most.
const ALERTS_MAX: usize = 20;
/// As a query's.
const PATIENCE: Duration = Duration::from_secs(120);

/// Says why alerts were told, or why a rule raises none.
pub(super) fn why(flags: &WhichFlags) -> anyhow::Result<Status> {
    let core = server::connect_alerting(&flags.server)?;
    let known = Known::of(core.as_ref(), flags)?;
    let found = known.alerts(&flags.which)?;
    let mut out = io::stdout().lock();
    if found.is_empty() {
        not_firing(core.as_ref(), flags, known.now, &mut out)?;
        return Ok(Status::Own(exit_status(Told::NotFiring)));
    }
    let more = found.len().saturating_sub(ALERTS_MAX);
    let explained: Vec<_> =
        found.iter().take(ALERTS_MAX).map(|row| (*row, known.explain(row))).collect();
    match flags.output {
        StatusForm::Json => {
            let alerts: Vec<_> = explained.iter().map(|(row, told)| why_json(row, told)).collect();
            output::json(&json!({ "schema": SCHEMA, "alerts": alerts }), &mut out)?;
        }
        StatusForm::Table => {
            for (place, (row, told)) in explained.iter().enumerate() {
                if place > 0 {
                    writeln!(out)?;
                }
                writeln!(out, "Why: {}", printable(&row.labels.to_string()))?;
                steps(&told.steps, &mut out)?;
                verdict(&told.verdict, &mut out)?;
            }
        }
    }
    if more > 0 {
        writeln!(io::stderr(), "{more} more alerts of this name; give a fingerprint")?;
    }
    let worst = explained.iter().map(|(_, told)| told.told).max_by_key(|told| match told {
        Told::NotFiring => 0,
        Told::Notified => 1,
        Told::NotNotified => 2,
    });
    Ok(Status::Own(exit_status(worst.unwrap_or(Told::NotFiring))))
}

/// Shows everything about one alert.
pub(super) fn show(flags: &WhichFlags) -> anyhow::Result<Status> {
    let core = server::connect_alerting(&flags.server)?;
    let known = Known::of(core.as_ref(), flags)?;
    let found = known.alerts(&flags.which)?;
    let [row] = found.as_slice() else {
        let prints: Vec<_> = found.iter().map(|row| row.fingerprint.as_str()).collect();
        let text = match prints.is_empty() {
            true => format!("no alert has the fingerprint or name {:?}", flags.which),
            false => format!("more than one alert is meant: {}", prints.join(", ")),
        };
        return Err(Usage(text).into());
    };
    let told = known.explain(row);
    let mut out = io::stdout().lock();
    if flags.output == StatusForm::Json {
        let mut shown = alert_json(row);
        if let Value::Object(fields) = &mut shown {
            fields.insert("schema".to_owned(), SCHEMA.into());
            fields.insert("why".to_owned(), json!(told));
        }
        output::json(&shown, &mut out)?;
        return Ok(Status::Fine);
    }
    facts(row, &mut out)?;
    steps(&told.steps, &mut out)?;
    verdict(&told.verdict, &mut out)?;
    Ok(Status::Fine)
}

/// What the server tells, asked once.
#[derive(Debug)]
struct Known {
    rows: Vec<AlertRow>,
    silences: Vec<SilenceForm>,
    status: Option<WatchStatus>,
    now: Timestamp,
    zone: TimeZone,
}

impl Known {
    fn of(core: &dyn Core, flags: &WhichFlags) -> anyhow::Result<Self> {
        let alone = server::is_alertmanager(&flags.server);
        let status = if alone { None } else { Some(core.status()?) };
        let now = status.as_ref().map_or_else(|| SystemClock::new().now(), |status| status.now);
        // Without silences and receivers the rest is still told.
        let silences = core.silences(&[]).unwrap_or_default();
        Ok(Self { rows: core.alert_rows()?, silences, status, now, zone: TimeZone::system() })
    }

    /// The alert of a fingerprint or the only one that begins so, or all alerts of a name.
    fn alerts(&self, which: &str) -> Result<Vec<&AlertRow>, Usage> {
        let named: Vec<_> =
            self.rows.iter().filter(|row| row.labels.value_of("alertname") == which).collect();
        if !named.is_empty() {
            return Ok(named);
        }
        let lower = which.to_ascii_lowercase();
        let is_print = !lower.is_empty() && lower.bytes().all(|byte| byte.is_ascii_hexdigit());
        let found: Vec<_> = self
            .rows
            .iter()
            .filter(|row| is_print && row.fingerprint.starts_with(&lower))
            .collect();
        if found.len() > 1 {
            let prints: Vec<_> = found.iter().map(|row| row.fingerprint.as_str()).collect();
            let text = format!("{which} begins more than one fingerprint: {}", prints.join(", "));
            return Err(Usage(text));
        }
        Ok(found)
    }

    fn explain(&self, row: &AlertRow) -> Explanation {
        let receivers = self.status.as_ref().map(|status| status.receivers.as_slice());
        let around = Around {
            rows: &self.rows,
            silences: &self.silences,
            receivers: receivers.unwrap_or_default(),
            now: self.now,
            zone: &self.zone,
        };
        tui::explain(row, &around)
    }
}

const fn exit_status(told: Told) -> u8 {
    match told {
        Told::Notified => 0,
        Told::NotNotified => 1,
        Told::NotFiring => 2,
    }
}

fn why_json(row: &AlertRow, told: &Explanation) -> Value {
    let labels: std::collections::BTreeMap<_, _> = row.labels.iter().collect();
    let mut shown = json!(told);
    if let Value::Object(fields) = &mut shown {
        fields.insert("fingerprint".to_owned(), json!(row.fingerprint));
        fields.insert("labels".to_owned(), json!(labels));
    }
    shown
}

fn steps(steps: &[Step], out: &mut dyn Write) -> io::Result<()> {
    let wide = steps.iter().map(|step| step.name.len()).max().unwrap_or(0);
    writeln!(out)?;
    for (number, step) in steps.iter().enumerate() {
        let (name, answer) = (&step.name, step.answer);
        for (place, line) in step.lines.iter().enumerate() {
            let line = printable(line);
            match place {
                0 => writeln!(out, "{:>3} {name:wide$}  {answer:<4}  {line}", number + 1)?,
                _ => writeln!(out, "{:4}{:wide$}  {:4}  {line}", "", "", "")?,
            }
        }
    }
    Ok(())
}

fn verdict(text: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n verdict  {}", printable(text))
}

fn facts(row: &AlertRow, out: &mut dyn Write) -> io::Result<()> {
    let mut fact = |name: &str, text: &str| writeln!(out, "{name:<12} {}", printable(text));
    fact("alert", &row.labels.to_string())?;
    fact("fingerprint", &row.fingerprint)?;
    fact("state", state_word(row.state))?;
    if let Some(value) = &row.value {
        fact("value", value)?;
    }
    for (name, time) in
        [("active", row.active_at), ("fired", row.fired_at), ("resolved", row.resolved_at)]
    {
        if let Some(at) = time {
            fact(name, &rfc3339(at))?;
        }
    }
    if let Some(ack) = &row.ack {
        let said = if ack.comment.is_empty() { "" } else { ": " };
        let text = format!("by {} {}{said}{}", ack.by, rfc3339(ack.at), ack.comment);
        fact("acknowledged", &text)?;
    }
    row.annotations.iter().try_for_each(|(name, text)| fact(name, text))
}

/// Says why a rule raises no alert.
fn not_firing(
    core: &dyn Core,
    flags: &WhichFlags,
    now: Timestamp,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let unknown = || Usage(format!("no alert has the fingerprint or name {:?}", flags.which));
    if server::is_alertmanager(&flags.server) {
        return Err(unknown().into());
    }
    let request = RulesRequest {
        kind: Some(RuleKind::Alerting),
        exclude_alerts: true,
        ..RulesRequest::default()
    };
    let groups = core.rules(&request)?.groups;
    let mut names = Vec::new();
    let mut found = Vec::new();
    for group in &groups {
        for rule in &group.rules {
            let RuleForm::Alerting { name, query, health, last_error, .. } = rule else { continue };
            names.push(name.as_str());
            if *name == flags.which {
                let place = format!("rule {} > {}", group.file, group.name);
                found.push(Silent { place, query, health, error: last_error });
            }
        }
    }
    if found.is_empty() {
        let Usage(mut text) = unknown();
        text.push_str(", and no rule");
        if let Some(name) = nearest_name(&flags.which, names) {
            text.push_str(&format!("; did you mean {name:?}?"));
        }
        return Err(Usage(text).into());
    }
    let told: Vec<_> = found.iter().map(|rule| rule.told(core, now)).collect();
    if flags.output == StatusForm::Json {
        let alerts: Vec<_> = told.iter().map(|(told, _)| json!(told)).collect();
        output::json(&json!({ "schema": SCHEMA, "alerts": alerts }), out)?;
        return Ok(());
    }
    for (told, nearest) in &told {
        writeln!(out, "Why: {}", printable(&flags.which))?;
        steps(&told.steps, out)?;
        if let Some(limit) = nearest.as_ref().and_then(|told| told.limit.as_ref()) {
            explain::closest(limit, out)?;
        }
        verdict(&told.verdict, out)?;
    }
    Ok(())
}

/// A rule that raises no alert.
#[derive(Debug)]
struct Silent<'a> {
    place: String,
    query: &'a str,
    health: &'a str,
    error: &'a str,
}

impl Silent<'_> {
    /// Why, and how near its series are to the limit.
    fn told(&self, core: &dyn Core, now: Timestamp) -> (Explanation, Option<Explain>) {
        let call = Call::with_timeout(PATIENCE);
        let rule = match self.health {
            "err" => ("FAIL", self.error.to_owned()),
            "ok" => ("yes", "its last evaluation went well".to_owned()),
            _ => ("-", "it was not evaluated yet".to_owned()),
        };
        let query = InstantQuery {
            detail: Detail { explain: true, ..Detail::default() },
            ..InstantQuery::now(self.query)
        };
        let answer = core.query(&call, &query);
        let hints = ask::hints(core, &call, self.query, TimeRange::at(now));
        let no_data = !hints.is_empty();
        let (condition, verdict) = match (&answer, rule.0) {
            (_, "FAIL") => ("-", format!("not firing: its rule fails: {}", self.error)),
            (Err(err), _) => ("FAIL", format!("cannot tell: {err}")),
            (Ok(_), _) if no_data => ("no", "not firing: it has no data".to_owned()),
            (Ok(answer), _) if holds(&answer.data) => {
                ("yes", "not firing yet: its condition holds since its last evaluation".to_owned())
            }
            (Ok(_), _) => ("no", "not firing: its condition does not hold".to_owned()),
        };
        let step = |name: &str, answer, lines| Step { name: name.to_owned(), answer, lines };
        let found = vec!["each selector finds series".to_owned()];
        let data = if no_data { ("no", hints) } else { ("yes", found) };
        let steps = vec![
            step("rule", rule.0, vec![rule.1, self.place.clone()]),
            step("data", data.0, data.1),
            step("condition", condition, vec![self.query.to_owned()]),
        ];
        let nearest = answer.ok().and_then(|answer| answer.account?.explain);
        (Explanation { steps, told: Told::NotFiring, verdict }, nearest)
    }
}

/// Whether the answer to a rule's expression would raise an alert.
fn holds(data: &crate::wire::QueryData) -> bool {
    matches!(data, crate::wire::QueryData::Vector(samples) if !samples.is_empty())
}
