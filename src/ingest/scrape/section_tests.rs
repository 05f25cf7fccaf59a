//! Claims about what discovery tells a job: when its targets change, and what a reload keeps.

use super::ScrapeManager;
use super::tests::{Bench, jobs};
use crate::sys::http::HttpError;
use crate::sys::sim_http::ScriptedHttp;
use std::sync::Arc;
use std::time::Duration;

const URL: &str = "http://sd:1/t";
const JOB: &str =
    "[{job_name: j, http_sd_configs: [{url: 'http://sd:1/t', refresh_interval: 1s}]}]";

fn groups(http: &ScriptedHttp, url: &str, target: &str) {
    let body = format!("[{{\"targets\": [\"{target}\"]}}]");
    http.on(url, ScriptedHttp::answer(200, "application/json", body));
}

fn asked(http: &ScriptedHttp) -> usize {
    http.requests().iter().filter(|request| request.url.starts_with("http://sd:1/")).count()
}

fn instances(manager: &ScrapeManager) -> Vec<String> {
    let targets = manager.targets();
    targets.iter().map(|one| one.labels.value_of("instance").to_owned()).collect()
}

/// Lets others work until `holds`.
#[track_caller]
fn until(holds: impl Fn() -> bool) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        for _ in 0..2_000_000 {
            if holds() {
                return;
            }
            std::thread::yield_now();
            tokio::task::yield_now().await;
        }
        panic!("never held: {place}");
    }
}

#[tokio::test]
async fn the_first_answer_counts_at_once_and_later_ones_after_a_pause() {
    let http = ScriptedHttp::new();
    for target in ["a:1", "b:1", "c:1"] {
        groups(&http, URL, target);
    }
    let bench = Bench::over(Arc::new(http.clone()));
    let manager = &bench.manager;
    manager.apply(jobs(JOB), Vec::new());
    until(|| instances(manager) == ["a:1"]).await;
    let mut changed_after = Duration::ZERO;
    for second in 1..=6 {
        let before = asked(&http);
        bench.clock.advance(Duration::from_secs(1));
        until(|| asked(&http) > before).await;
        // Two more answers have come and wait; the pause ends with the fifth second.
        if second == 5 {
            until(|| instances(manager) == ["c:1"]).await;
        }
        if instances(manager) != ["a:1"] && changed_after.is_zero() {
            changed_after = Duration::from_secs(second);
        }
    }
    assert_eq!(changed_after, Duration::from_secs(5));
    manager.stop().await;
}

#[tokio::test]
async fn t44_a_reload_leaves_sections_alone_that_did_not_change() {
    let http = ScriptedHttp::new();
    groups(&http, URL, "a:1");
    let other = "http://sd:1/other";
    http.on_error(other, HttpError::Timeout);
    let bench = Bench::over(Arc::new(http.clone()));
    let manager = &bench.manager;
    manager.apply(jobs(JOB), Vec::new());
    until(|| instances(manager) == ["a:1"]).await;
    manager.apply(
        jobs(&JOB.replace("{job_name: j,", "{job_name: j, honor_labels: true,")),
        Vec::new(),
    );
    assert_eq!((instances(manager), asked(&http)), (vec!["a:1".to_owned()], 1));
    // Another section takes its place: its word counts once it has spoken.
    manager.apply(jobs(&JOB.replace(URL, other)), Vec::new());
    assert_eq!(instances(manager), ["a:1"]);
    until(|| manager.pools().iter().any(|pool| !pool.problems.is_empty())).await;
    assert!(instances(manager).is_empty());
    assert_eq!(
        manager.pools()[0].problems,
        ["cannot read http://sd:1/other: context deadline exceeded"]
    );
    let name = "prometheus_sd_refresh_failures_total";
    let families = bench.registry.gather();
    let failures = families.iter().find(|family| family.name == name).expect("counted");
    assert_eq!(failures.samples[0].value, 1.0);
    // A job without sections has no targets from them, and nobody is asked any more.
    manager.apply(jobs("[{job_name: j}]"), Vec::new());
    let before = asked(&http);
    bench.clock.advance(Duration::from_secs(10));
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(asked(&http), before);
    manager.stop().await;
}

#[tokio::test]
async fn targets_that_are_others_each_time_do_not_fill_the_memory() {
    let bench = Bench::over(Arc::new(ScriptedHttp::new()));
    let targets: Vec<_> = (0..1_500).map(|number| format!("'a:{number}'")).collect();
    for round in 0..5 {
        let yaml = format!(
            "[{{job_name: j, static_configs: [{{targets: [{}], labels: {{round: {round}}}}}]}}]",
            targets.join(",")
        );
        bench.manager.apply(jobs(&yaml), Vec::new());
        let loops = bench.manager.lock().pools["j"].loop_count();
        assert_eq!(loops, if round == 0 { 1_500 } else { 3_000 });
    }
    bench.manager.apply(jobs("[{job_name: j}]"), Vec::new());
    assert_eq!(bench.manager.lock().pools["j"].loop_count(), 1_000);
    bench.manager.stop().await;
}
