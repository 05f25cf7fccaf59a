//! Rules and their alerts as the API lists them.

use super::rule_limit;
use crate::model::{Annotations, Labels, Matcher, value_text};
use crate::rules::{ActiveAlert, GroupView, RuleKindView, RuleRun, RuleView};
use crate::wire::{
    AlertForm, AlertsAnswer, Error, RuleEvaluationForm, RuleForm, RuleGroupForm, RuleKind,
    RulesAnswer, RulesRequest,
};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// The rules that the request asks for.
pub(in crate::service) fn rules_answer(
    views: &[Arc<GroupView>],
    request: &RulesRequest,
) -> Result<RulesAnswer, Error> {
    let named = |list: &[String], name: &str| list.is_empty() || list.iter().any(|one| one == name);
    let first = match request.page.as_ref().and_then(|page| page.token.as_deref()) {
        None => 0,
        Some(token) => {
            views.iter().position(|view| page_token(view) == token).ok_or_else(|| {
                let text = format!("invalid group_next_token '{token}'. were rule groups changed?");
                Error::bad_data(format!("invalid parameter \"group_next_token\": {text}"))
            })?
        }
    };
    let limit = request.page.as_ref().map_or(usize::MAX, |page| page.limit);
    let mut answer = RulesAnswer::default();
    for view in views.iter().skip(first) {
        if !named(&request.files, &view.file) || !named(&request.rule_groups, &view.name) {
            continue;
        }
        let form = group_form(view, request);
        if form.rules.is_empty() {
            continue;
        }
        if answer.groups.len() == limit {
            answer.group_next_token = Some(page_token(view));
            break;
        }
        answer.groups.push(form);
    }
    Ok(answer)
}

/// The token of the page that begins with this group: it depends on nothing that a reload of the
/// same files changes.
/// Source: prometheus/prometheus, web/api/v1/api.go (getRuleGroupNextToken).
fn page_token(view: &GroupView) -> String {
    let digest = Sha256::digest(format!("{};{}", view.file, view.name));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every pending and firing alert.
pub(in crate::service) fn alerts_answer(views: &[Arc<GroupView>]) -> AlertsAnswer {
    let rules = views.iter().flat_map(|group| &group.rules);
    let alerts = rules.flat_map(|rule| match &rule.kind {
        RuleKindView::Alerting { alerts, .. } => alerts.as_slice(),
        RuleKindView::Recording => &[],
    });
    AlertsAnswer { alerts: alerts.map(alert_form).collect() }
}

fn group_form(view: &GroupView, request: &RulesRequest) -> RuleGroupForm {
    let wanted = |rule: &&RuleView| {
        let kind = match rule.kind {
            RuleKindView::Recording => RuleKind::Recording,
            RuleKindView::Alerting { .. } => RuleKind::Alerting,
        };
        request.kind.is_none_or(|asked| asked == kind)
            && (request.rule_names.is_empty() || request.rule_names.contains(&rule.name))
            && matches_one(&request.matchers, &rule.labels)
    };
    RuleGroupForm {
        name: view.name.clone(),
        file: view.file.clone(),
        rules: view.rules.iter().filter(wanted).map(|rule| rule_form(rule, request)).collect(),
        interval: view.interval.as_secs_f64(),
        limit: view.limit,
        evaluation_time: view.evaluation_time.as_secs_f64(),
        last_evaluation: view.last_evaluation,
    }
}

fn matches_one(lists: &[Vec<Matcher>], labels: &Annotations) -> bool {
    if lists.is_empty() {
        return true;
    }
    let labels = Labels::from_pairs(labels);
    lists.iter().any(|matchers| matchers.iter().all(|matcher| matcher.matches(&labels)))
}

fn rule_form(rule: &RuleView, request: &RulesRequest) -> RuleForm {
    let (name, query) = (rule.name.clone(), rule.query.clone());
    let health = rule.health.as_str().to_owned();
    let last_error = rule.last_error.clone();
    let evaluation_time = rule.evaluation_time.as_secs_f64();
    let last_evaluation = rule.last_evaluation;
    let labels = rule.labels.clone();
    let runs = rule.runs.iter().filter(|_| request.evaluations);
    let evaluations = runs.map(run_form).collect();
    match &rule.kind {
        RuleKindView::Recording => RuleForm::Recording {
            name,
            query,
            labels,
            health,
            last_error,
            evaluation_time,
            last_evaluation,
            evaluations,
        },
        RuleKindView::Alerting { phase, hold, keep_firing_for, annotations, alerts } => {
            RuleForm::Alerting {
                state: phase.as_str().to_owned(),
                name,
                limit: if request.limits { rule_limit(&query) } else { None },
                query,
                duration: hold.as_secs_f64(),
                keep_firing_for: keep_firing_for.as_secs_f64(),
                labels,
                annotations: annotations.clone(),
                alerts: (!request.exclude_alerts).then(|| alerts.iter().map(alert_form).collect()),
                health,
                last_error,
                evaluation_time,
                last_evaluation,
                evaluations,
            }
        }
    }
}

fn run_form(run: &RuleRun) -> RuleEvaluationForm {
    RuleEvaluationForm {
        at: run.at,
        evaluation_time: run.took.as_secs_f64(),
        samples: run.samples,
        error: run.error.clone().unwrap_or_default(),
    }
}

fn alert_form(alert: &ActiveAlert) -> AlertForm {
    AlertForm {
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        state: alert.phase.as_str().to_owned(),
        active_at: Some(alert.active_at),
        keep_firing_since: alert.keep_firing_since,
        value: value_text::exponent(alert.value),
    }
}
