//! The life of the alerts of one rule: pending, firing, kept firing, resolved, forgotten.
//!
//! Source: prometheus, rules/alerting.go.

use super::config::RuleConfig;
use super::error::RuleError;
use super::query::{QuerySample, unnamed};
use super::recall::Recall;
use super::view::{ActiveAlert, AlertChange, AlertPhase, Turn};
use crate::model::{Alert, Annotations, Labels, LabelsBuilder, METRIC_NAME, Matcher, Timestamp};
use crate::template::{Functions, Limits, Map, Record, Template, TemplateError, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// A resolved alert is kept, and sent again, for so long: messages may get lost.
const RESOLVED_KEPT: Duration = Duration::from_secs(15 * 60);

/// What every template of a rule begins with, so that the short names exist.
pub(super) const PREAMBLE: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
                                   {{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// The series that tells since when an alert's condition holds.
const FOR_STATE: &str = "ALERTS_FOR_STATE";

/// The alerting half of a rule.
#[derive(Debug)]
pub(super) struct Alerting {
    name: String,
    /// `for`.
    pub(super) hold: Duration,
    /// `keep_firing_for`.
    pub(super) keep_firing_for: Duration,
    labels: Vec<(String, Text)>,
    annotations: Vec<(String, Text)>,
    annotations_written: Annotations,
    labels_written: Labels,
    /// By labels: those are an alert's identity.
    pub(super) alerts: BTreeMap<Labels, AlertState>,
    /// What the store remembers of alerts of which the state was lost.
    recall: Option<Recall>,
}

/// A text of the rule file.
#[derive(Debug)]
enum Text {
    /// Nothing to expand.
    Fixed(String),
    Template(Template),
    /// It does not parse: `check` tells so, and here it must not stop the alert.
    Broken(TemplateError),
}

/// What is known about one alert.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AlertState {
    /// What is said about it, as of the last evaluation that saw it.
    pub(super) annotations: Annotations,
    /// Its value then.
    pub(super) value: f64,
    /// The first evaluation that saw it.
    pub(super) active_at: Timestamp,
    /// How far it has come.
    pub(super) phase: Phase,
    /// When it was last sent on.
    pub(super) last_sent: Option<Timestamp>,
    /// How far it had come when that was last told as a change.
    pub(super) told: AlertPhase,
    /// After a restart or a jump of the wall clock, until it is seen again: before this it says
    /// nothing that it is not.
    pub(super) trusted_from: Option<Timestamp>,
}

/// How far an alert has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The condition holds, but not yet for long enough.
    Pending,
    /// It holds, or `keep_firing_for` holds the alert since `kept_since`.
    Firing { fired_at: Timestamp, kept_since: Option<Timestamp> },
    /// It fired once and does no longer.
    Resolved { fired_at: Timestamp, resolved_at: Timestamp },
}

/// What the expansion of templates needs.
pub(super) struct Expansion<'a> {
    /// The functions, with `query` bound to the evaluation.
    pub(super) functions: &'a Functions<'a>,
    /// Labels of this server.
    pub(super) external_labels: &'a Labels,
    /// Under which URL people reach the server.
    pub(super) external_url: &'a str,
    /// Called before each expansion: its budget of queries begins anew.
    pub(super) begin: &'a dyn Fn(),
    /// Called after each expansion with whether it failed.
    pub(super) count: &'a dyn Fn(bool),
}

/// When and within what an alerting rule is evaluated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// The evaluation's time.
    pub(super) at: Timestamp,
    /// The group's limit of alerts; 0 is any number.
    pub(super) limit: u64,
}

impl Alerting {
    /// A rule without alerts. `labels` are those of rule and group together.
    pub(super) fn new(config: &RuleConfig, labels: &BTreeMap<String, String>) -> Self {
        let name = config.alert.clone();
        let text = |(key, text): (&String, &str)| (key.clone(), Text::new(&name, text));
        Self {
            labels: labels.iter().map(|(key, value)| text((key, value.as_str()))).collect(),
            annotations: config
                .annotations
                .iter()
                .map(|(key, v)| text((key, v.0.as_str())))
                .collect(),
            hold: config.hold.unwrap_or_default().0,
            keep_firing_for: config.keep_firing_for.unwrap_or_default().0,
            annotations_written: Annotations::from_pairs(
                config.annotations.iter().map(|(key, text)| (key.as_str(), text.0.as_str())),
            ),
            labels_written: Labels::from_pairs(labels),
            alerts: BTreeMap::new(),
            recall: None,
            name,
        }
    }

    /// Takes over the alerts of the same rule of an older configuration.
    pub(super) fn adopt(&mut self, old: Alerting) {
        self.alerts = old.alerts;
        self.recall = old.recall;
    }

    /// The wall clock was set by so many milliseconds: what counts time goes on as before, and
    /// before `trusted_from` it says nothing that an alert is not seen.
    pub(super) fn shift(&mut self, millis: i64, trusted_from: Timestamp) {
        for alert in self.alerts.values_mut() {
            alert.shift(millis);
            alert.trusted_from = alert.trusted_from.max(Some(trusted_from));
        }
    }

    /// Brings the alerts to the state that `result` asks for, and returns the series that show it.
    /// What changed is added to `changes`.
    ///
    /// # Errors
    /// Two alerts got the same labels: nothing changes. More alerts than the limit: all are
    /// forgotten, without a word to anybody who is notified.
    pub(super) fn step(
        &mut self,
        moment: Moment,
        result: &[QuerySample],
        expansion: &Expansion<'_>,
        changes: &mut Vec<AlertChange>,
    ) -> Result<Vec<(Labels, f64)>, RuleError> {
        let seen = self.expand_all(moment.at, result, expansion)?;
        for (labels, new) in &seen {
            match self.alerts.get_mut(labels) {
                Some(alert) if !matches!(alert.phase, Phase::Resolved { .. }) => {
                    alert.value = new.value;
                    alert.annotations = new.annotations.clone();
                }
                Some(_) | None => {
                    self.alerts.insert(labels.clone(), new.clone());
                }
            }
        }
        self.recall_active(moment.at);
        let (hold, keep) = (self.hold, self.keep_firing_for);
        let teller = Teller { rule: &self.name, external_labels: expansion.external_labels };
        self.alerts.retain(|labels, alert| {
            if seen.contains_key(labels) {
                alert.holds(moment.at, hold);
                return true;
            }
            if alert.is_awaited(moment.at) {
                return true;
            }
            let is_kept = alert.is_gone(moment.at, hold, keep);
            if !is_kept && alert.told == AlertPhase::Pending {
                changes.push(teller.change(Turn::PendingEnded, labels, alert));
            }
            is_kept
        });
        // What is only awaited must not drive over the limit what is there.
        let counts = |alert: &&AlertState| alert.is_active() && !alert.is_awaited(moment.at);
        let active = self.alerts.values().filter(counts).count();
        if moment.limit > 0 && u64::try_from(active).unwrap_or(u64::MAX) > moment.limit {
            changes.extend(self.forget(expansion.external_labels));
            return Err(RuleError::Limit { limit: moment.limit, found: active, what: "alerts" });
        }
        self.tell(expansion.external_labels, changes);
        Ok(self.series())
    }

    /// Whether an alert has been pending for as long as `for` asks.
    pub(super) fn has_due(&self, at: Timestamp) -> bool {
        self.alerts.values().any(|alert| alert.is_due(at, self.hold))
    }

    /// Fires the pending alerts whose time has come and that `result` shows; all else stays as it
    /// is. Returns and adds to `changes` as `step` does.
    ///
    /// # Errors
    /// Two alerts got the same labels: nothing changes.
    pub(super) fn fire_due(
        &mut self,
        at: Timestamp,
        result: &[QuerySample],
        expansion: &Expansion<'_>,
        changes: &mut Vec<AlertChange>,
    ) -> Result<Vec<(Labels, f64)>, RuleError> {
        let hold = self.hold;
        for (labels, new) in self.expand_all(at, result, expansion)? {
            if let Some(alert) = self.alerts.get_mut(&labels).filter(|one| one.is_due(at, hold)) {
                (alert.value, alert.annotations) = (new.value, new.annotations);
                alert.holds(at, hold);
            }
        }
        self.tell(expansion.external_labels, changes);
        Ok(self.series())
    }

    /// Forgets all alerts; returns what that changes.
    pub(super) fn forget(&mut self, external_labels: &Labels) -> Vec<AlertChange> {
        let teller = Teller { rule: &self.name, external_labels };
        let alerts = std::mem::take(&mut self.alerts);
        let known = alerts.iter().filter(|(_, alert)| alert.told >= AlertPhase::Pending);
        known.map(|(labels, alert)| teller.change(Turn::Forgotten, labels, alert)).collect()
    }

    /// What selects the series in which the store remembers this rule's alerts.
    pub(super) fn memory(&self) -> Vec<Matcher> {
        let fixed = self.labels.iter().filter_map(|(name, text)| match text {
            Text::Fixed(value) => Some(Matcher::equal(name, value)),
            Text::Template(_) | Text::Broken(_) => None,
        });
        let own = [(METRIC_NAME, FOR_STATE), ("alertname", &self.name)];
        own.into_iter().map(|(name, value)| Matcher::equal(name, value)).chain(fixed).collect()
    }

    /// Alerts that appear soon go on as the store remembers them.
    pub(super) fn remember(&mut self, recall: Recall) {
        self.recall = Some(recall);
    }

    fn recall_active(&mut self, at: Timestamp) {
        let Some(mut recall) = self.recall.take() else { return };
        for (labels, alert) in self.alerts.iter_mut().filter(|(_, alert)| alert.is_active()) {
            let series = series_labels(&self.labels_written, &self.name, labels).build();
            if let Some(active_at) = recall.active_since(&series, at, self.hold) {
                alert.active_at = active_at;
            }
        }
        self.recall = recall.after_evaluation();
    }

    /// Adds what was not told yet of alerts that are still known.
    fn tell(&mut self, external_labels: &Labels, changes: &mut Vec<AlertChange>) {
        let teller = Teller { rule: &self.name, external_labels };
        for (labels, alert) in &mut self.alerts {
            let phase = alert.phase.view();
            if phase == alert.told {
                continue;
            }
            let turn = match phase {
                AlertPhase::Firing => Turn::Firing,
                AlertPhase::Pending => Turn::Pending,
                AlertPhase::Inactive | AlertPhase::Unknown => Turn::Resolved,
            };
            changes.push(teller.change(turn, labels, alert));
            alert.told = phase;
        }
    }

    /// The alerts that must be sent now, marked as sent.
    pub(super) fn due(&mut self, sending: &Sending<'_>) -> Vec<Alert> {
        let mut due = Vec::new();
        for (labels, alert) in &mut self.alerts {
            let Some((starts_at, ends_at)) = alert.due(sending) else { continue };
            alert.last_sent = Some(sending.at);
            due.push(Alert {
                labels: with_external(labels, sending.external_labels),
                annotations: alert.annotations.clone(),
                starts_at,
                ends_at,
                generator_url: sending.generator_url.to_owned(),
                updated_at: sending.at,
                ends_by_timeout: false,
            });
        }
        due
    }

    /// The furthest phase of its alerts.
    pub(super) fn phase(&self) -> AlertPhase {
        let phases = self.alerts.values().map(|alert| alert.phase.view());
        phases.max().unwrap_or(AlertPhase::Inactive)
    }

    /// Pending and firing alerts.
    pub(super) fn active(&self) -> Vec<ActiveAlert> {
        let active = self.alerts.iter().filter(|(_, alert)| alert.is_active());
        active
            .map(|(labels, alert)| ActiveAlert {
                labels: labels.clone(),
                annotations: alert.annotations.clone(),
                phase: alert.phase.view(),
                active_at: alert.active_at,
                keep_firing_since: alert.phase.kept_since(),
                value: alert.value,
            })
            .collect()
    }

    /// Annotations before templating.
    pub(super) fn annotations_as_written(&self) -> Annotations {
        self.annotations_written.clone()
    }

    fn expand_all(
        &self,
        at: Timestamp,
        result: &[QuerySample],
        expansion: &Expansion<'_>,
    ) -> Result<BTreeMap<Labels, AlertState>, RuleError> {
        let mut alerts = BTreeMap::new();
        for sample in result {
            let data = template_data(sample, expansion);
            let mut labels = unnamed(&sample.labels).to_builder();
            for (name, text) in &self.labels {
                labels.set(name, text.expand(&self.name, &data, expansion));
            }
            labels.set("alertname", &self.name);
            let annotations = self
                .annotations
                .iter()
                .map(|(name, text)| (name.clone(), text.expand(&self.name, &data, expansion)));
            let alert = AlertState {
                annotations: Annotations::from_pairs(annotations),
                value: sample.value,
                active_at: at,
                phase: Phase::Pending,
                last_sent: None,
                told: AlertPhase::Inactive,
                trusted_from: None,
            };
            if alerts.insert(labels.build(), alert).is_some() {
                return Err(RuleError::Duplicate { kind: "alert" });
            }
        }
        Ok(alerts)
    }

    /// `ALERTS` and `ALERTS_FOR_STATE` of the active alerts.
    fn series(&self) -> Vec<(Labels, f64)> {
        let mut out = Vec::new();
        for (labels, alert) in self.alerts.iter().filter(|(_, alert)| alert.is_active()) {
            let mut named = series_labels(&self.labels_written, &self.name, labels);
            named.set(METRIC_NAME, FOR_STATE);
            let since = alert.active_at.as_millis().div_euclid(1000);
            out.push((named.build(), since as f64));
            named.set(METRIC_NAME, "ALERTS").set("alertstate", alert.phase.view().as_str());
            out.push((named.build(), 1.0));
        }
        out
    }
}

/// What sending needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sending<'a> {
    /// The evaluation's time.
    pub(super) at: Timestamp,
    /// How often an alert is sent again while nothing changes.
    pub(super) resend_delay: Duration,
    /// Time between evaluations.
    pub(super) interval: Duration,
    /// Labels of this server.
    pub(super) external_labels: &'a Labels,
    /// Where people see the expression.
    pub(super) generator_url: &'a str,
}

impl AlertState {
    /// Moves all its times.
    pub(super) fn shift(&mut self, millis: i64) {
        self.change_times(|at| at.plus_millis(millis));
    }

    /// Times in the future are of a wall clock that has been set back.
    pub(super) fn clamp(&mut self, now: Timestamp) {
        self.change_times(|at| at.min(now));
    }

    fn change_times(&mut self, change: impl Fn(Timestamp) -> Timestamp) {
        self.active_at = change(self.active_at);
        self.last_sent = self.last_sent.map(&change);
        self.trusted_from = self.trusted_from.map(&change);
        self.phase = match self.phase {
            Phase::Pending => Phase::Pending,
            Phase::Firing { fired_at, kept_since } => {
                Phase::Firing { fired_at: change(fired_at), kept_since: kept_since.map(&change) }
            }
            Phase::Resolved { fired_at, resolved_at } => {
                Phase::Resolved { fired_at: change(fired_at), resolved_at: change(resolved_at) }
            }
        };
    }

    /// Whether it has been pending for as long as `hold`.
    fn is_due(&self, at: Timestamp, hold: Duration) -> bool {
        self.phase == Phase::Pending && at.since(self.active_at) >= hold
    }

    fn is_active(&self) -> bool {
        !matches!(self.phase, Phase::Resolved { .. })
    }

    /// Whether nothing is known of it yet since a restart or a jump of the wall clock. One that
    /// only `keep_firing_for` held was not seen before that either, and runs out as it would have.
    fn is_awaited(&self, at: Timestamp) -> bool {
        let may_hold =
            matches!(self.phase, Phase::Pending | Phase::Firing { kept_since: None, .. });
        may_hold && self.trusted_from.is_some_and(|from| at < from)
    }

    /// An evaluation saw it.
    fn holds(&mut self, at: Timestamp, hold: Duration) {
        self.trusted_from = None;
        if let Phase::Firing { kept_since, .. } = &mut self.phase {
            *kept_since = None;
        }
        self.settle(at, hold);
    }

    /// Fires what was pending for long enough; what fired under a shorter `for` waits again.
    fn settle(&mut self, at: Timestamp, hold: Duration) {
        let held_long_enough = at.since(self.active_at) >= hold;
        match self.phase {
            Phase::Pending if held_long_enough => {
                self.phase = Phase::Firing { fired_at: at, kept_since: None };
            }
            Phase::Firing { .. } if !held_long_enough => {
                self.phase = Phase::Pending;
                self.last_sent = None;
            }
            Phase::Pending | Phase::Firing { .. } | Phase::Resolved { .. } => {}
        }
    }

    /// An evaluation did not see it; answers whether it is still remembered.
    fn is_gone(&mut self, at: Timestamp, hold: Duration, keep_firing_for: Duration) -> bool {
        match self.phase {
            Phase::Pending => return false,
            Phase::Resolved { resolved_at, .. } => return at.since(resolved_at) <= RESOLVED_KEPT,
            Phase::Firing { fired_at, kept_since } => {
                let since = kept_since.unwrap_or(at);
                if keep_firing_for > Duration::ZERO && at.since(since) < keep_firing_for {
                    self.phase = Phase::Firing { fired_at, kept_since: Some(since) };
                    self.settle(at, hold);
                } else {
                    self.phase = Phase::Resolved { fired_at, resolved_at: at };
                }
            }
        }
        true
    }

    /// Start and end with which it must be sent now, if it must.
    fn due(&self, sending: &Sending<'_>) -> Option<(Timestamp, Timestamp)> {
        let resend = match self.last_sent {
            None => true,
            Some(sent) => sent.plus(sending.resend_delay) < sending.at,
        };
        match self.phase {
            Phase::Pending => None,
            Phase::Firing { fired_at, .. } => {
                // Four chances to be sent again before the receiver takes it for resolved.
                let valid = sending.interval.max(sending.resend_delay).saturating_mul(4);
                resend.then(|| (fired_at, sending.at.plus(valid)))
            }
            Phase::Resolved { fired_at, resolved_at } => {
                let news = self.last_sent.is_none_or(|sent| sent < resolved_at);
                (news || resend).then_some((fired_at, resolved_at))
            }
        }
    }
}

impl Phase {
    /// The phase as it is shown.
    pub(super) const fn view(self) -> AlertPhase {
        match self {
            Self::Pending => AlertPhase::Pending,
            Self::Firing { .. } => AlertPhase::Firing,
            Self::Resolved { .. } => AlertPhase::Inactive,
        }
    }

    fn kept_since(self) -> Option<Timestamp> {
        match self {
            Self::Firing { kept_since, .. } => kept_since,
            Self::Pending | Self::Resolved { .. } => None,
        }
    }
}

impl Text {
    fn new(alert: &str, text: &str) -> Self {
        if !text.contains("{{") {
            return Self::Fixed(text.to_owned());
        }
        match super::check::parse_template(alert, text) {
            Ok(template) => Self::Template(template),
            Err(err) => Self::Broken(err),
        }
    }

    /// The expanded text; what goes wrong is said in its place, since the alert matters more.
    fn expand(&self, alert: &str, data: &Value, expansion: &Expansion<'_>) -> String {
        let failed = match self {
            Self::Fixed(text) => return text.clone(),
            Self::Broken(err) => format!("error parsing template __alert_{alert}: {err}"),
            Self::Template(template) => {
                (expansion.begin)();
                match template.execute(data, expansion.functions, Limits::default()) {
                    Ok(text) => {
                        (expansion.count)(false);
                        return text;
                    }
                    Err(err) => format!("error executing template __alert_{alert}: {err}"),
                }
            }
        };
        (expansion.count)(true);
        format!("<error expanding template: {failed}>")
    }
}

/// `.Labels`, `.ExternalLabels`, `.ExternalURL`, `.Value`: the series' labels, not the alert's.
fn template_data(sample: &QuerySample, expansion: &Expansion<'_>) -> Value {
    let strings = |labels: &Labels| Value::Map(Map::of_strings(labels.iter()));
    Value::object(Record::new(
        "struct { Labels map[string]string; ExternalLabels map[string]string; \
         ExternalURL string; Value interface {} }",
        [
            ("Labels", "Labels", strings(&sample.labels)),
            ("ExternalLabels", "ExternalLabels", strings(expansion.external_labels)),
            ("ExternalURL", "ExternalURL", Value::string(expansion.external_url)),
            ("Value", "Value", Value::Float(sample.value)),
        ],
    ))
}

/// What changes of a rule's alerts have in common.
struct Teller<'a> {
    rule: &'a str,
    external_labels: &'a Labels,
}

impl Teller<'_> {
    fn change(&self, turn: Turn, labels: &Labels, alert: &AlertState) -> AlertChange {
        AlertChange {
            turn,
            rule: self.rule.to_owned(),
            labels: with_external(labels, self.external_labels),
            value: alert.value,
            active_at: alert.active_at,
        }
    }
}

/// Labels of an alert's series but for the name. Where the alert lost a label, because its text
/// expanded to nothing, the text itself stands, as in Prometheus.
fn series_labels(written: &Labels, name: &str, labels: &Labels) -> LabelsBuilder {
    let mut builder = written.to_builder();
    for (name, value) in labels {
        builder.set(name, value);
    }
    builder.set("alertname", name);
    builder
}

/// The labels with those of the server where the alert has none of its own.
fn with_external(labels: &Labels, external: &Labels) -> Labels {
    let mut both = labels.to_builder();
    for (name, value) in external {
        if labels.get(name).is_none() {
            both.set(name, value);
        }
    }
    both.build()
}
