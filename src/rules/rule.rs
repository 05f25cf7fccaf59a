//! One rule with what is remembered about it from evaluation to evaluation.

use super::alert::Alerting;
use super::config::{RuleConfig, RuleGroup};
use super::trust;
use super::view::{Health, RuleRun};
use crate::model::{Fingerprint, Labels, Timestamp};
use crate::promql::syntax::{self, Features};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Evaluations of a rule that are remembered.
const RUNS_KEPT: usize = 20;

/// A rule.
#[derive(Debug)]
pub(super) struct Rule {
    /// The alert's name or the recorded one.
    pub(super) name: String,
    /// The expression as written.
    pub(super) expr: String,
    /// The expression as Prometheus prints it; as written when it is none.
    pub(super) query: String,
    /// How far the expression looks back.
    pub(super) window: Duration,
    /// Labels with the group's, by name; an empty one deletes.
    pub(super) labels: BTreeMap<String, String>,
    /// Which of the two kinds.
    pub(super) kind: Kind,
    /// How the last evaluation went.
    pub(super) health: Health,
    /// Why it failed.
    pub(super) last_error: String,
    /// How long it took.
    pub(super) evaluation_time: Duration,
    /// When it was.
    pub(super) last_evaluation: Option<Timestamp>,
    /// Its latest evaluations, the newest last.
    pub(super) runs: Arc<VecDeque<RuleRun>>,
    /// Series of the last successful evaluation: those that vanish get a marker.
    pub(super) written: Written,
}

/// Series that were written.
pub(super) type Written = BTreeSet<Labels>;

/// What a rule makes of its expression.
#[derive(Debug)]
pub(super) enum Kind {
    /// Series.
    Recording,
    /// Alerts.
    Alerting(Box<Alerting>),
}

impl Rule {
    /// The rule as configured, never evaluated.
    pub(super) fn new(group: &RuleGroup, config: &RuleConfig) -> Self {
        // Only to show it: whoever evaluates it decides what is allowed.
        let expr = syntax::parse(&config.expr, &Features::ALL).ok();
        let labels = group.labels_of(config);
        let kind = if config.alert.is_empty() {
            Kind::Recording
        } else {
            Kind::Alerting(Box::new(Alerting::new(config, &labels)))
        };
        Self {
            name: config.name().to_owned(),
            query: expr.as_ref().map_or_else(|| config.expr.clone(), ToString::to_string),
            window: expr.as_ref().map_or(Duration::ZERO, trust::window),
            expr: config.expr.clone(),
            labels,
            kind,
            health: Health::Unknown,
            last_error: String::new(),
            evaluation_time: Duration::ZERO,
            last_evaluation: None,
            runs: Arc::default(),
            written: Written::new(),
        }
    }

    /// What makes it the same rule after a reload: kind, name and labels, but not the expression.
    pub(super) fn identity(&self) -> Fingerprint {
        let kind = match self.kind {
            Kind::Recording => "record",
            Kind::Alerting(_) => "alert",
        };
        let labels: String =
            self.labels.iter().map(|(name, value)| format!("{name}\0{value}\0")).collect();
        Labels::from_pairs([("kind", kind), ("labels", &labels), ("name", &self.name)])
            .fingerprint()
    }

    /// The alerting half, if it is one.
    pub(super) fn alerting(&self) -> Option<&Alerting> {
        match &self.kind {
            Kind::Alerting(alerting) => Some(alerting),
            Kind::Recording => None,
        }
    }

    /// As `alerting`.
    pub(super) fn alerting_mut(&mut self) -> Option<&mut Alerting> {
        match &mut self.kind {
            Kind::Alerting(alerting) => Some(alerting),
            Kind::Recording => None,
        }
    }

    /// Remembers an evaluation.
    pub(super) fn note(&mut self, run: RuleRun) {
        self.health = if run.error.is_some() { Health::Err } else { Health::Ok };
        self.last_error = run.error.clone().unwrap_or_default();
        self.evaluation_time = run.took;
        self.last_evaluation = Some(run.at);
        let runs = Arc::make_mut(&mut self.runs);
        if runs.len() >= RUNS_KEPT {
            runs.pop_front();
        }
        runs.push_back(run);
    }

    /// Takes over what is remembered about the same rule of an older configuration.
    pub(super) fn adopt(&mut self, old: Rule) {
        self.health = old.health;
        self.last_error = old.last_error;
        self.evaluation_time = old.evaluation_time;
        self.last_evaluation = old.last_evaluation;
        self.runs = old.runs;
        self.written = old.written;
        if let (Kind::Alerting(new), Kind::Alerting(old)) = (&mut self.kind, old.kind) {
            new.adopt(*old);
        }
    }
}
