//! What the server said, prepared once for drawing.

use super::fmt::{self, Unit};
use super::theme::Role;
use super::widgets::chart::Line;
use crate::model::{Labels, Timestamp};
use crate::wire::{AlertRow, AlertState, MatrixSeries, SendingStatus};
use std::collections::{BTreeMap, BTreeSet};

/// Remote data, as far as it is here.
#[derive(Clone, Debug)]
pub(crate) struct Loadable<T> {
    /// The last good answer; stays when a later one fails.
    pub(crate) value: Option<T>,
    /// Why the last question failed.
    pub(crate) error: Option<String>,
}

impl<T> Default for Loadable<T> {
    fn default() -> Self {
        Self { value: None, error: None }
    }
}

impl<T> Loadable<T> {
    /// Takes an answer.
    pub(crate) fn take(&mut self, outcome: Result<T, String>) {
        match outcome {
            Ok(value) => *self = Self { value: Some(value), error: None },
            Err(error) => self.error = Some(error),
        }
    }
}

/// How bad an alert is; orders from worst to least.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// `critical`, `page`
    Critical,
    /// `error`
    Error,
    /// `warning`
    Warning,
    /// `info`
    Info,
    /// No label, or `none`.
    None,
    /// Any other word.
    Other(String),
}

impl Severity {
    /// The severity that a label's value names.
    pub(crate) fn of(value: &str) -> Self {
        match value.to_ascii_lowercase().as_str() {
            "critical" | "crit" | "page" => Self::Critical,
            "error" => Self::Error,
            "warning" | "warn" => Self::Warning,
            "info" => Self::Info,
            "" | "none" => Self::None,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Four letters.
    pub(crate) fn word(&self) -> String {
        match self {
            Self::Critical => "CRIT".to_owned(),
            Self::Error => "ERR".to_owned(),
            Self::Warning => "WARN".to_owned(),
            Self::Info => "INFO".to_owned(),
            Self::None => "-".to_owned(),
            Self::Other(word) => word.chars().take(4).collect::<String>().to_uppercase(),
        }
    }

    /// Its color.
    pub(crate) const fn role(&self) -> Role {
        match self {
            Self::Critical | Self::Error => Role::Crit,
            Self::Warning => Role::Warn,
            Self::Info => Role::Info,
            Self::None | Self::Other(_) => Role::Text,
        }
    }
}

/// The sign of an alert that somebody works on.
const ACKED: &str = "a";

/// The sign of a state.
const fn mark(state: AlertState) -> &'static str {
    match state {
        AlertState::Firing => "!",
        AlertState::Pending => "~",
        AlertState::KeepFiring => "k",
        AlertState::Silenced => "z",
        AlertState::Inhibited => "i",
        AlertState::Muted => "m",
        AlertState::Resolved => ".",
        AlertState::Unknown => "?",
    }
}

/// The state in words.
pub(crate) const fn state_word(state: AlertState) -> &'static str {
    match state {
        AlertState::Firing => "firing",
        AlertState::Pending => "pending",
        AlertState::KeepFiring => "kept firing",
        AlertState::Silenced => "silenced",
        AlertState::Inhibited => "inhibited",
        AlertState::Muted => "muted",
        AlertState::Resolved => "resolved",
        AlertState::Unknown => "unknown",
    }
}

/// Where an alert without an expression comes from.
pub(crate) fn without_rule(row: &AlertRow) -> &'static str {
    match row.source.as_str() {
        "rules" => {
            "its rule is no longer in the rule files: the alert ends unless it is sent again"
        }
        "watch" => "this server raised it: what watchbell.expected names does not come",
        "drill" => "a fire drill: `watchbell alerts drill` raised it",
        _ => "it came from outside: no rule of this server raised it",
    }
}

/// An alert, ready to be drawn.
#[derive(Clone, Debug)]
pub(crate) struct AlertView {
    /// As the server gave it.
    pub(crate) row: AlertRow,
    /// How bad it is.
    pub(crate) severity: Severity,
    /// `alertname`.
    pub(crate) name: String,
    /// The labels that tell it from its siblings.
    pub(crate) place: String,
    /// The value with its unit.
    pub(crate) value: String,
    /// `> 90%`.
    pub(crate) limit: String,
    /// Of the compared expression.
    pub(crate) unit: Unit,
    /// Since when it is in its state.
    pub(crate) since: Option<Timestamp>,
}

impl AlertView {
    /// Whether it is listed without being asked for.
    pub(crate) const fn is_active(&self) -> bool {
        match self.row.state {
            AlertState::Firing
            | AlertState::Pending
            | AlertState::KeepFiring
            | AlertState::Unknown => true,
            AlertState::Silenced
            | AlertState::Inhibited
            | AlertState::Muted
            | AlertState::Resolved => false,
        }
    }

    /// Whether its condition holds for long enough and nobody holds it back.
    pub(crate) const fn is_firing(&self) -> bool {
        matches!(self.row.state, AlertState::Firing | AlertState::KeepFiring)
    }

    /// Whether it fires and somebody works on it.
    pub(crate) const fn is_acked(&self) -> bool {
        self.row.ack.is_some() && self.is_firing()
    }

    /// The mark in the first column.
    pub(crate) const fn mark(&self) -> &'static str {
        if self.is_acked() { ACKED } else { mark(self.row.state) }
    }

    /// Where it stands in one word or two.
    pub(crate) const fn state_word(&self) -> &'static str {
        if self.is_acked() { "acknowledged" } else { state_word(self.row.state) }
    }

    /// The notification with it that is tried again, and longest.
    pub(crate) fn retrying(&self) -> Option<&SendingStatus> {
        self.row.sending.iter().find(|one| one.attempts > 0)
    }

    /// Whether `notified` says that telling somebody fails.
    pub(crate) fn is_untold(&self) -> bool {
        let held = match self.row.state {
            AlertState::Pending
            | AlertState::Silenced
            | AlertState::Inhibited
            | AlertState::Muted => true,
            AlertState::Firing
            | AlertState::KeepFiring
            | AlertState::Resolved
            | AlertState::Unknown => self.is_acked(),
        };
        let failed = self.row.deliveries.iter().any(|sent| sent.error.is_some());
        !held && (failed || self.retrying().is_some())
    }

    /// How long it is in its state.
    pub(crate) fn age(&self, now: Timestamp) -> String {
        self.since.map_or_else(String::new, |since| fmt::since(now, since))
    }

    /// What was sent for it, or what it waits for.
    pub(crate) fn notified(&self, now: Timestamp) -> String {
        let row = &self.row;
        match row.state {
            AlertState::Pending => return self.pending(now),
            AlertState::Silenced => return "silenced".to_owned(),
            AlertState::Inhibited => return "inhibited".to_owned(),
            AlertState::Muted => return format!("muted {}", row.muted_by.join(" ")),
            AlertState::Firing
            | AlertState::KeepFiring
            | AlertState::Resolved
            | AlertState::Unknown => {}
        }
        if let Some(ack) = row.ack.as_ref().filter(|_| self.is_acked()) {
            return format!("ack {} {}", ack.by, fmt::since(now, ack.at));
        }
        if let Some(one) = self.retrying() {
            return format!("RETRY {}x {}", one.attempts, one.receiver);
        }
        if let Some(failed) = row.deliveries.iter().find(|sent| sent.error.is_some()) {
            return format!("FAILED {}x {}", failed.attempts, failed.receiver);
        }
        if let Some(sent) = row.deliveries.iter().max_by_key(|sent| sent.at) {
            return format!("{} {} ago", sent.receiver, fmt::since(now, sent.at));
        }
        if let Some(one) = row.sending.first() {
            return format!("sending to {}", one.receiver);
        }
        match (row.next_flush, row.receivers.first()) {
            (Some(at), _) if at > now => format!("waits {}", fmt::age(at.millis_since(now))),
            (_, Some(_)) => "waits for group".to_owned(),
            (_, None) => "no receiver".to_owned(),
        }
    }

    fn pending(&self, now: Timestamp) -> String {
        let held = self.row.active_at.map_or(0, |since| now.millis_since(since));
        let whole = fmt::whole(self.row.for_seconds * 1000.0);
        let whole = i64::try_from(whole).unwrap_or(i64::MAX);
        format!("pending {}/{}", fmt::age(held), fmt::age(whole))
    }

    /// `{alertname="X", instance="y"}`.
    pub(crate) fn selector(&self) -> String {
        self.row.labels.to_string()
    }

    /// The link of its runbook.
    pub(crate) fn runbook(&self) -> Option<&str> {
        ["runbook_url", "runbook"].into_iter().find_map(|name| self.row.annotations.get(name))
    }

    /// What is said about it.
    pub(crate) fn summary(&self) -> String {
        let found = ["summary", "description", "message"]
            .into_iter()
            .find_map(|name| self.row.annotations.get(name));
        found.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Numbers of the title row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Firing, critical or error.
    pub(crate) critical: usize,
    /// Firing, warning.
    pub(crate) warning: usize,
    /// Firing, anything else.
    pub(crate) other: usize,
    /// Pending.
    pub(crate) pending: usize,
    /// Silenced.
    pub(crate) silenced: usize,
    /// Firing, and somebody works on them.
    pub(crate) acked: usize,
}

/// All alerts, worst first, then the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alerts {
    /// The alerts.
    pub(crate) rows: Vec<AlertView>,
    /// Their numbers.
    pub(crate) counts: Counts,
}

impl Alerts {
    /// Prepares the server's answer.
    pub(crate) fn new(rows: Vec<AlertRow>) -> Self {
        let mut siblings: BTreeMap<String, Vec<Labels>> = BTreeMap::new();
        for row in &rows {
            let name = row.labels.value_of("alertname").to_owned();
            siblings.entry(name).or_default().push(row.labels.clone());
        }
        let telling: BTreeMap<_, _> =
            siblings.iter().map(|(name, all)| (name.clone(), telling_labels(all))).collect();
        let mut rows: Vec<AlertView> = rows.into_iter().map(|row| view_of(row, &telling)).collect();
        rows.sort_by(|a, b| {
            let age = a.since.cmp(&b.since);
            a.severity.cmp(&b.severity).then(age).then_with(|| a.row.labels.cmp(&b.row.labels))
        });
        let mut counts = Counts::default();
        for row in &rows {
            counts.acked += usize::from(row.is_acked());
            match (row.row.state, &row.severity) {
                (AlertState::Pending, _) => counts.pending += 1,
                (AlertState::Silenced, _) => counts.silenced += 1,
                (
                    AlertState::Inhibited
                    | AlertState::Muted
                    | AlertState::Resolved
                    | AlertState::Unknown,
                    _,
                ) => {}
                (_, Severity::Critical | Severity::Error) => counts.critical += 1,
                (_, Severity::Warning) => counts.warning += 1,
                (_, Severity::Info | Severity::None | Severity::Other(_)) => counts.other += 1,
            }
        }
        Self { rows, counts }
    }

    /// The alert with this fingerprint.
    pub(crate) fn get(&self, fingerprint: &str) -> Option<&AlertView> {
        self.rows.iter().find(|view| view.row.fingerprint == fingerprint)
    }
}

fn view_of(row: AlertRow, telling: &BTreeMap<String, Vec<String>>) -> AlertView {
    let name = row.labels.value_of("alertname").to_owned();
    let unit = Unit::of_expr(row.limit.as_ref().map_or(&row.expr, |limit| &limit.left));
    let show = |text: &str| match text.parse::<f64>() {
        Ok(value) => unit.text(value),
        Err(_) => text.to_owned(),
    };
    let value = row.value.as_deref().map(show).unwrap_or_default();
    let limit = row.limit.as_ref().map(|limit| {
        let right = limit.value.map_or_else(|| limit.right.clone(), |value| unit.text(value));
        format!("{} {right}", limit.op)
    });
    let since = match row.state {
        AlertState::Pending => row.active_at,
        AlertState::Resolved => row.resolved_at,
        AlertState::Firing
        | AlertState::KeepFiring
        | AlertState::Silenced
        | AlertState::Inhibited
        | AlertState::Muted
        | AlertState::Unknown => row.fired_at.or(row.active_at),
    };
    let names = telling.get(&name).map(Vec::as_slice).unwrap_or_default();
    let place = place_of(&row.labels, names);
    AlertView {
        severity: Severity::of(row.labels.value_of("severity")),
        name,
        place,
        value,
        limit: limit.unwrap_or_default(),
        unit,
        since,
        row,
    }
}

/// Labels by how much they tell a person, then by name.
fn rank(name: &str) -> (usize, &str) {
    let known = ["instance", "mountpoint", "device", "name", "job"];
    (known.iter().position(|known| *known == name).unwrap_or(known.len()), name)
}

/// The first labels, in order of rank, that together tell all of `siblings` apart; for a single
/// alert those that say where it is.
fn telling_labels(siblings: &[Labels]) -> Vec<String> {
    let names: BTreeSet<&str> =
        siblings.iter().flat_map(Labels::iter).map(|(name, _)| name).collect();
    let mut names: Vec<&str> =
        names.into_iter().filter(|name| !matches!(*name, "alertname" | "severity")).collect();
    names.sort_by_key(|name| rank(name));
    if let [alone] = siblings {
        let known = names.iter().filter(|name| rank(name).0 < 3).copied();
        let known: Vec<_> = known.map(str::to_owned).collect();
        let first = names.iter().find(|name| !alone.value_of(name).is_empty());
        return if known.is_empty() {
            first.map(|name| (*name).to_owned()).into_iter().collect()
        } else {
            known
        };
    }
    let mut chosen: Vec<String> = Vec::new();
    let mut told = 1;
    for name in names {
        let with = |labels: &Labels| {
            let mut key: Vec<String> =
                chosen.iter().map(|name| labels.value_of(name).to_owned()).collect();
            key.push(labels.value_of(name).to_owned());
            key
        };
        let apart = siblings.iter().map(with).collect::<BTreeSet<_>>().len();
        if apart > told {
            told = apart;
            chosen.push(name.to_owned());
        }
        if told == siblings.len() {
            break;
        }
    }
    chosen
}

/// Where an alert is whose siblings are not known.
pub(crate) fn place_alone(labels: &Labels) -> String {
    place_of(labels, &telling_labels(std::slice::from_ref(labels)))
}

fn place_of(labels: &Labels, names: &[String]) -> String {
    let value = |name: &String| {
        let value = labels.get(name)?;
        let known = rank(name).0 < 4;
        Some(if known { value.to_owned() } else { format!("{name}={value}") })
    };
    names.iter().filter_map(value).collect::<Vec<_>>().join(" ")
}

/// A severity, its number of alerts, and the oldest of them.
pub(crate) fn worst_first(alerts: &Alerts) -> impl Iterator<Item = &AlertView> {
    alerts.rows.iter().filter(|view| view.is_firing())
}

/// Series as lines for a chart, greatest last value first, labelled by what tells them apart.
pub(crate) fn lines_of(series: &[MatrixSeries]) -> Vec<Line> {
    let all: Vec<&Labels> = series.iter().map(|one| &one.metric).collect();
    let first = all.first().copied().cloned().unwrap_or_default();
    let differs = |name: &str| all.iter().any(|labels| labels.get(name) != first.get(name));
    let mut lines: Vec<(f64, Line)> = series
        .iter()
        .map(|one| {
            let label: Vec<String> = one
                .metric
                .iter()
                .filter(|(name, _)| all.len() == 1 || differs(name))
                .map(|(name, value)| {
                    if name == "__name__" || all.len() > 1 {
                        value.to_owned()
                    } else {
                        format!("{name}={value}")
                    }
                })
                .collect();
            let last = one.values.last().map_or(f64::NEG_INFINITY, |(_, value)| *value);
            (last, Line { label: label.join(" "), points: one.values.clone() })
        })
        .collect();
    lines.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.label.cmp(&b.1.label)));
    lines.into_iter().map(|(_, line)| line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied())
    }

    #[test]
    fn shared_labels_are_dropped_and_the_shortest_telling_set_stays() {
        let a = labels(&[("alertname", "X"), ("instance", "a"), ("job", "n"), ("mountpoint", "/")]);
        let b = labels(&[("alertname", "X"), ("instance", "b"), ("job", "n"), ("mountpoint", "/")]);
        let c =
            labels(&[("alertname", "X"), ("instance", "b"), ("job", "n"), ("mountpoint", "/d")]);
        assert_eq!(telling_labels(&[a.clone(), b.clone()]), ["instance"]);
        let names = telling_labels(&[a.clone(), b, c.clone()]);
        assert_eq!(names, ["instance", "mountpoint"]);
        assert_eq!(place_of(&c, &names), "b /d");
        assert_eq!(telling_labels(&[a]), ["instance", "mountpoint"]);
        let odd = labels(&[("alertname", "X"), ("team", "db"), ("severity", "info")]);
        assert_eq!(place_of(&odd, &telling_labels(std::slice::from_ref(&odd))), "team=db");
    }

    #[test]
    fn severities_order_from_worst_to_least() {
        let mut words: Vec<_> =
            ["custom", "info", "", "warning", "critical", "error"].map(Severity::of).into();
        words.sort();
        let words: Vec<_> = words.iter().map(Severity::word).collect();
        assert_eq!(words, ["CRIT", "ERR", "WARN", "INFO", "-", "CUST"]);
    }
}
