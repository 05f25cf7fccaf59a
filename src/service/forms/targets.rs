//! Targets as the API lists them.

use crate::ingest::scrape::{DroppedView, Health, PoolView, TargetView};
use crate::model::duration;
use crate::wire::{DroppedTarget, TargetForm, TargetHealth, TargetState, TargetsAnswer};

/// The targets of `state`, optionally of one job.
pub(in crate::service) fn targets_answer(
    active: Vec<TargetView>,
    dropped: Vec<DroppedView>,
    pools: &[PoolView],
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
            .map(|one| DroppedTarget { discovered_labels: one.discovered, scrape_pool: one.pool })
            .collect();
    }
    answer.dropped_target_counts = pools
        .iter()
        .filter(|one| wanted(&one.name))
        .map(|one| (one.name.clone(), one.dropped as u64))
        .collect();
    answer
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
