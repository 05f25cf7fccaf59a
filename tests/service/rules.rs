//! Rules over restarts and reloads of a whole server.

use super::{CONFIG, Scene, copy_folder, values};
use std::time::Duration;
use watchbell::model::Timestamp;
use watchbell::service::Service;
use watchbell::sys::http::HttpError;
use watchbell::wire::{AlertForm, Core, RuleEvaluationForm, RuleForm, RulesRequest};

/// Waits for real work only: no time passes.
#[track_caller]
fn at_once(service: &Service, what: &str, holds: impl Fn(&Service) -> bool) {
    for _ in 0..1_000 {
        let before = service.changes_after(0, Duration::ZERO).expect("answers").revision;
        if holds(service) {
            return;
        }
        service.changes_after(before, Duration::from_millis(20)).expect("answers");
    }
    panic!("{what} did not happen");
}

fn write(scene: &Scene, file: &str, text: &str) {
    std::fs::write(scene.folder.path().join(file), text).expect("writes");
}

fn alerts(service: &Service) -> Vec<AlertForm> {
    service.alerts().expect("answers").alerts
}

fn is(service: &Service, state: &str) -> bool {
    alerts(service).iter().any(|alert| alert.state == state)
}

/// The evaluations of the first rule of the first group.
fn evaluations(service: &Service) -> Vec<RuleEvaluationForm> {
    let request = RulesRequest { evaluations: true, ..RulesRequest::default() };
    let answer = service.rules(&request).expect("answers");
    match answer.groups.into_iter().next().and_then(|group| group.rules.into_iter().next()) {
        Some(RuleForm::Alerting { evaluations, .. } | RuleForm::Recording { evaluations, .. }) => {
            evaluations
        }
        None => Vec::new(),
    }
}

const MINUTELY: &str = "
groups:
- name: g
  interval: 1m
  rules: [{alert: Down, expr: up == 0, for: 90s, labels: {severity: page}}]
";

/// What a server leaves that was killed while its alert was pending, the slot in which that was
/// first seen, and where its rules are: their slots depend on the name of the file.
fn killed_while_pending() -> (Scene, Timestamp, tempfile::TempDir) {
    let scene = Scene::new();
    write(&scene, "rules.yml", MINUTELY);
    scene.http.on_error(super::TARGET, HttpError::Timeout);
    let service = scene.start();
    scene.until(&service, "the alert", |core| is(core, "pending"));
    let pending = evaluations(&service).last().expect("an evaluation").at;
    let copy = Scene::new();
    let rules = scene.folder.path().join("rules.yml");
    write(&copy, "p.yml", &CONFIG.replace("rules.yml", &rules.display().to_string()));
    copy_folder(&scene.folder.path().join("data"), &copy.folder.path().join("data"));
    service.close();
    (copy, pending, scene.folder)
}

#[test]
fn an_alert_that_was_due_while_the_process_was_dead_fires_at_once() {
    let (scene, pending, _rules) = killed_while_pending();
    scene.http.on_error(super::TARGET, HttpError::Timeout);
    // It was due in the second slot after; the third is 35 seconds away.
    scene.clock.set_wall(pending.plus_millis(145_000));
    let service = scene.start();
    at_once(&service, "the alert", |core| is(core, "firing"));
    scene.until(&service, "the page", |_| scene.told() == ["firing"]);
    service.close();
}

#[test]
fn an_alert_whose_time_has_not_come_or_of_which_nothing_is_known_waits_for_its_slot() {
    // The second slot has not passed yet; after ten minutes the samples are too old.
    for downtime in [110_000, 610_000] {
        let (scene, pending, _rules) = killed_while_pending();
        scene.clock.set_wall(pending.plus_millis(downtime));
        let service = scene.start();
        scene.until(&service, "an evaluation", |core| !evaluations(core).is_empty());
        let first = evaluations(&service).first().expect("one").at;
        assert_eq!(first.since(pending).as_secs() % 60, 0);
        assert!(first > pending.plus_millis(downtime), "nothing was evaluated before");
        // The target is back: the alert has ended without a word.
        assert_eq!((alerts(&service), scene.told()), (vec![], vec![]));
        service.close();
    }
}

#[test]
fn without_state_an_alert_goes_on_as_the_stored_history_says() {
    let scene = Scene::new();
    write(&scene, "rules.yml", "groups: []");
    scene.http.on_error(super::TARGET, HttpError::Timeout);
    let service = scene.start();
    let now = service.status().expect("status").now.as_millis() / 1000;
    // It was active for 700 seconds when the other server went, 300 seconds ago.
    let labels = "alertname=\"Down\",instance=\"10.0.0.1:9100\",job=\"node\",severity=\"page\"";
    let line = |ago: i64| format!("ALERTS_FOR_STATE{{{labels}}} {} {}\n", now - 1000, now - ago);
    let text = format!("# TYPE ALERTS_FOR_STATE gauge\n{}{}# EOF\n", line(360), line(300));
    service.import(text.into_bytes(), None).expect("takes it");
    service.close();
    // The next one has rules, and no record of any alert.
    let next = Scene::new();
    copy_folder(&scene.folder.path().join("data"), &next.folder.path().join("data"));
    next.http.on_error(super::TARGET, HttpError::Timeout);
    next.clock.set_wall(Timestamp::from_millis(now * 1000));
    write(&next, "rules.yml", &MINUTELY.replace("90s", "30m"));
    let service = next.start();
    next.until(&service, "the alert", |core| is(core, "pending"));
    let seen = evaluations(&service).last().expect("an evaluation").at;
    // The time in which nobody looked does not count.
    let active = alerts(&service).first().expect("one alert").active_at;
    assert_eq!(active, Some(seen.plus_millis(-700_000)));
    service.close();
}

#[test]
fn the_step_of_subqueries_follows_a_reload() {
    let scene = Scene::new();
    let service = scene.start();
    let steps = "count_over_time(vector(1)[1m:])";
    assert_eq!(values(service.as_ref(), steps), [60.0]);
    write(&scene, "p.yml", &CONFIG.replace("evaluation_interval: 1s", "evaluation_interval: 30s"));
    service.reload().expect("a good file");
    assert_eq!(values(service.as_ref(), steps), [2.0]);
    service.close();
}
