//! Targets as the API lists them.

use crate::ingest::config::SkippedJob;
use crate::ingest::scrape::{DroppedView, Health, PoolView, TargetView};
use crate::model::relabel::{self, Action, Outcome, Rule};
use crate::model::{Labels, duration};
use crate::wire::{
    DroppedTarget, MetadataEntry, TargetForm, TargetHealth, TargetMetadata, TargetMetadataRequest,
    TargetState, TargetsAnswer,
};
use crate::wire::{RelabelRule, RelabelStep, RelabelSteps};

/// The targets of `state`, optionally of one job.
pub(in crate::service) fn targets_answer(
    active: Vec<TargetView>,
    dropped: Vec<DroppedView>,
    pools: &[PoolView],
    skipped: &[SkippedJob],
    state: TargetState,
    pool: Option<&str>,
) -> TargetsAnswer {
    let wanted = |name: &str| pool.is_none_or(|pool| pool == name);
    let mut answer = TargetsAnswer::default();
    if state != TargetState::Dropped {
        answer.active_targets =
            active.into_iter().filter(|one| wanted(&one.pool)).map(target_form).collect();
    }
    if state != TargetState::Active {
        answer.dropped_targets = dropped
            .into_iter()
            .filter(|one| wanted(&one.pool))
            .map(|one| DroppedTarget {
                discovered_labels: one.discovered,
                scrape_pool: one.pool,
                reason: one.reason,
            })
            .collect();
    }
    answer.dropped_target_counts = pools
        .iter()
        .filter(|one| wanted(&one.name))
        .map(|one| (one.name.clone(), one.dropped as u64))
        .collect();
    let told = pools.iter().filter(|one| wanted(&one.name) && !one.problems.is_empty());
    let told = told.map(|one| (one.name.clone(), one.problems.clone()));
    let skipped = skipped.iter().filter(|job| wanted(&job.name));
    let skipped = skipped.map(|job| (job.name.clone(), vec![format!("skipped: {}", job.reason)]));
    answer.job_problems = told.chain(skipped).collect();
    answer
}

/// What the targets say, one after another.
pub(in crate::service) fn targets_metadata(
    targets: Vec<TargetView>,
    request: &TargetMetadataRequest,
) -> Vec<TargetMetadata> {
    let mut found = Vec::new();
    for target in targets {
        if request.limit.is_some_and(|limit| found.len() >= limit) {
            break;
        }
        if !request.targets.iter().all(|matcher| matcher.matches(&target.labels)) {
            continue;
        }
        let said = match &request.metric {
            Some(metric) => target.heard.of(metric).map(|said| (None, said)).into_iter().collect(),
            None => {
                let all = target.heard.all().into_iter();
                all.map(|(metric, said)| (Some(metric), said)).collect::<Vec<_>>()
            }
        };
        found.extend(said.into_iter().map(|(metric, said)| TargetMetadata {
            target: target.labels.clone(),
            metric,
            said: MetadataEntry {
                kind: said.kind.as_str().to_owned(),
                help: said.help,
                unit: said.unit,
            },
        }));
    }
    found
}

/// What each rule makes of the labels; after the one that drops them there are none.
pub(in crate::service) fn relabel_steps(rules: &[Rule], labels: &Labels) -> RelabelSteps {
    let mut labels = labels.to_builder();
    let mut keep = true;
    let mut steps = Vec::with_capacity(rules.len());
    for rule in rules {
        keep = keep && relabel::apply_one(rule, &mut labels) == Outcome::Keep;
        let output = if keep { labels.build() } else { Labels::empty() };
        steps.push(RelabelStep { rule: rule_form(rule), output, keep });
    }
    RelabelSteps { steps }
}

/// A rule as it was written, defaults filled in.
fn rule_form(rule: &Rule) -> RelabelRule {
    let mut form = RelabelRule {
        source_labels: rule.source_labels.clone(),
        separator: rule.separator.clone(),
        regex: rule.regex.as_str().to_owned(),
        replacement: "$1".to_owned(),
        ..RelabelRule::default()
    };
    let (action, target) = match &rule.action {
        Action::Keep => ("keep", None),
        Action::Drop => ("drop", None),
        Action::LabelDrop => ("labeldrop", None),
        Action::LabelKeep => ("labelkeep", None),
        Action::KeepEqual { target } => ("keepequal", Some(target)),
        Action::DropEqual { target } => ("dropequal", Some(target)),
        Action::Lowercase { target } => ("lowercase", Some(target)),
        Action::Uppercase { target } => ("uppercase", Some(target)),
        Action::HashMod { target, modulus } => {
            form.modulus = *modulus;
            ("hashmod", Some(target))
        }
        Action::Replace { target, replacement } => {
            form.replacement.clone_from(replacement);
            ("replace", Some(target))
        }
        Action::LabelMap { replacement } => {
            form.replacement.clone_from(replacement);
            ("labelmap", None)
        }
    };
    action.clone_into(&mut form.action);
    form.target_label = target.cloned().unwrap_or_default();
    form
}

fn target_form(view: TargetView) -> TargetForm {
    TargetForm {
        discovered_labels: view.discovered,
        labels: view.labels,
        scrape_pool: view.pool,
        scrape_url: view.url.clone(),
        global_url: view.url,
        last_error: view.last_error,
        last_scrape: view.last_scrape,
        last_scrape_duration: view.last_scrape_duration.as_secs_f64(),
        health: match view.health {
            Health::Up => TargetHealth::Up,
            Health::Down => TargetHealth::Down,
            Health::Unknown => TargetHealth::Unknown,
        },
        scrape_interval: duration::format(view.interval),
        scrape_timeout: duration::format(view.timeout),
        samples: view.samples,
        since: view.since,
        notes: view.notes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NameValidation;
    use crate::sys::settings::{RelabelSettings, Scalar, relabel_rules};

    fn rules() -> Vec<Rule> {
        let label = |name: &str| vec![name.to_owned()];
        let text = |text: &str| Scalar(text.to_owned());
        let set = RelabelSettings {
            source_labels: label("__meta_x"),
            target_label: text("x"),
            ..RelabelSettings::default()
        };
        let drop = RelabelSettings {
            source_labels: label("x"),
            regex: Some(text("a.*")),
            action: text("drop"),
            ..RelabelSettings::default()
        };
        let hash = RelabelSettings {
            source_labels: label("x"),
            modulus: 4,
            target_label: text("shard"),
            action: text("hashmod"),
            ..RelabelSettings::default()
        };
        relabel_rules("r", &[set, drop, hash], NameValidation::Utf8).expect("valid")
    }

    #[test]
    fn each_rule_is_a_step_and_after_a_drop_nothing_is_left() {
        let kept = relabel_steps(&rules(), &Labels::from_pairs([("__meta_x", "b")]));
        let outputs: Vec<_> = kept.steps.iter().map(|step| step.output.to_string()).collect();
        let expected = [
            "{__meta_x=\"b\", x=\"b\"}",
            "{__meta_x=\"b\", x=\"b\"}",
            "{__meta_x=\"b\", shard=\"3\", x=\"b\"}",
        ];
        assert_eq!(outputs, expected);
        let dropped = relabel_steps(&rules(), &Labels::from_pairs([("__meta_x", "ab")]));
        let keeps: Vec<_> = dropped.steps.iter().map(|step| step.keep).collect();
        assert_eq!(keeps, [true, false, false]);
        assert!(dropped.steps[2].output.is_empty());
    }

    #[test]
    fn rules_have_upstreams_json() {
        let steps = relabel_steps(&rules(), &Labels::empty());
        let json = |place: usize| serde_json::to_string(&steps.steps[place].rule).expect("writes");
        let set = r#"{"source_labels":["__meta_x"],"separator":";","regex":"(.*)","target_label":"x","replacement":"$1","action":"replace"}"#;
        assert_eq!(json(0), set);
        let hash = r#"{"source_labels":["x"],"separator":";","regex":"(.*)","modulus":4,"target_label":"shard","replacement":"$1","action":"hashmod"}"#;
        assert_eq!(json(2), hash);
    }
}
