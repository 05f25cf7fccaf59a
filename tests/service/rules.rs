//! Rules over restarts and reloads of a whole server.

use super::{CONFIG, Scene, copy_folder, values};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use watchbell::model::Timestamp;
use watchbell::service::Service;
use watchbell::sys::http::HttpError;
use watchbell::wire::{
    AlertForm, Core, RuleEvaluationForm, RuleForm, RuleKind, RulesPage, RulesRequest,
};

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
        // The target is back: once that can be known the alert has ended, without a word.
        scene.until(&service, "the end", |core| alerts(core).is_empty());
        assert_eq!(scene.told(), [""; 0]);
        let last = evaluations(&service).last().expect("one").at;
        assert!(last.since(first) <= Duration::from_secs(300), "it is soon");
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

const PAGED: &str = "
groups:
- {name: c, rules: [{record: 'a:b', expr: '1', labels: {team: x}}]}
- {name: a, rules: [{alert: A, expr: 'vector(1)', annotations: {none: '', s: '{{ if false }}x{{ end }}'}}]}
- {name: none, rules: []}
- {name: b, rules: [{alert: B, expr: 'vector(0) > 1'}, {record: 'b:c', expr: '2'}]}
";

#[test]
fn groups_come_in_pages_that_filters_thin_out_first() {
    let scene = Scene::new();
    write(&scene, "rules.yml", PAGED);
    let service = scene.start();
    let page = |limit: usize, token: Option<String>, request: RulesRequest| {
        let page = Some(RulesPage { limit, token });
        let answer = service.rules(&RulesRequest { page, ..request }).expect("answers");
        let names: Vec<_> = answer.groups.into_iter().map(|group| group.name).collect();
        (names.join(" "), answer.group_next_token)
    };
    let all = service.rules(&RulesRequest::default()).expect("answers");
    let names: Vec<_> = all.groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!((names, all.group_next_token), (vec!["a", "b", "c"], None), "by name, none empty");
    let (first, token) = page(2, None, RulesRequest::default());
    assert_eq!(first, "a b");
    // Source: prometheus/prometheus, web/api/v1/api.go (getRuleGroupNextToken).
    let file = scene.folder.path().join("rules.yml").display().to_string();
    let digest = Sha256::digest(format!("{file};c"));
    let expected: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(token.as_deref(), Some(expected.as_str()));
    assert_eq!(page(2, token, RulesRequest::default()), ("c".to_owned(), None));
    let records = || RulesRequest { kind: Some(RuleKind::Recording), ..RulesRequest::default() };
    let (first, token) = page(1, None, records());
    assert_eq!((first.as_str(), token.is_some()), ("b", true));
    assert_eq!(page(1, token, records()), ("c".to_owned(), None));
    let gone = Some(RulesPage { limit: 1, token: Some("ab".to_owned()) });
    let refused = service.rules(&RulesRequest { page: gone, ..RulesRequest::default() });
    let text = "invalid parameter \"group_next_token\": invalid group_next_token 'ab'. were rule \
                groups changed?";
    assert_eq!(refused.expect_err("no such group").message, text);
    service.close();
}

#[test]
fn an_annotation_that_comes_to_nothing_is_shown_and_told() {
    let scene = Scene::new();
    write(&scene, "rules.yml", PAGED);
    let service = scene.start();
    scene.until(&service, "the page", |_| !scene.told().is_empty());
    let empty = serde_json::json!({ "none": "", "s": "" });
    let hook = scene.http.requests().into_iter().find(|request| request.url == super::HOOK);
    let body: serde_json::Value =
        serde_json::from_slice(&hook.expect("a message").body).expect("JSON");
    assert_eq!(body["alerts"][0]["annotations"], empty);
    assert_eq!(body["commonAnnotations"], empty);
    let shown =
        |form: serde_json::Result<serde_json::Value>| form.expect("JSON")[0]["annotations"].clone();
    assert_eq!(shown(serde_json::to_value(alerts(&service))), empty);
    let own = service.alertmanager_alerts(&Default::default()).expect("answers");
    assert_eq!(shown(serde_json::to_value(own)), empty);
    service.close();
}

/// The newest evaluation of the rule that raises this alert.
fn newest_of(service: &Service, alert: &str) -> Option<Timestamp> {
    let rule_names = vec![alert.to_owned()];
    let request = RulesRequest { evaluations: true, rule_names, ..RulesRequest::default() };
    let groups = service.rules(&request).expect("answers").groups;
    match groups.first()?.rules.first()? {
        RuleForm::Alerting { evaluations, .. } => evaluations.last().map(|one| one.at),
        RuleForm::Recording { .. } => None,
    }
}

#[test]
fn an_alert_that_moves_into_another_group_over_a_restart_goes_on() {
    let scene = Scene::new();
    let groups = |first: &str, second: &str| {
        let other = "{record: r, expr: up}";
        let group = |name: &str, more: &str| {
            format!("- {{name: {name}, interval: 1m, rules: [{other}{more}]}}\n")
        };
        format!("groups:\n{}{}", group("first", first), group("second", second))
    };
    let alert = ", {alert: Down, expr: up == 0, for: 30m}";
    write(&scene, "rules.yml", &groups(alert, ""));
    scene.http.on_error(super::TARGET, HttpError::Timeout);
    let service = scene.start();
    scene.until(&service, "the alert", |core| is(core, "pending"));
    let began = alerts(&service).first().and_then(|one| one.active_at).expect("it is active");
    let far =
        |core: &Service| newest_of(core, "Down").is_some_and(|at| at.since(began).as_secs() >= 300);
    scene.until(&service, "five minutes", far);
    let last = newest_of(&service, "Down").expect("an evaluation");
    service.close();
    write(&scene, "rules.yml", &groups("", alert));
    let next = Scene::new();
    let rules = scene.folder.path().join("rules.yml");
    write(&next, "p.yml", &CONFIG.replace("rules.yml", &rules.display().to_string()));
    copy_folder(&scene.folder.path().join("data"), &next.folder.path().join("data"));
    next.http.on_error(super::TARGET, HttpError::Timeout);
    next.clock.set_wall(last.plus_millis(30_000));
    let service = next.start();
    next.until(&service, "the alert", |core| is(core, "pending"));
    let seen = newest_of(&service, "Down").expect("an evaluation");
    // The time in which nobody looked does not count, and the stored series has whole seconds.
    let passed = i64::try_from(seen.since(last).as_millis()).expect("fits");
    let active = alerts(&service).first().and_then(|one| one.active_at);
    assert_eq!(active, Some(began.plus_millis(passed - began.as_millis() % 1_000)));
    service.close();
}

#[test]
fn labels_of_rules_are_shown_as_they_are_written() {
    let scene = Scene::new();
    let text = "
groups:
- name: g
  rules:
  - {record: none, expr: up}
  - {record: one, expr: up, labels: {drop: '', team: a}}
  - {alert: both, expr: up, labels: {drop: ''}, annotations: {empty: ''}}
";
    write(&scene, "rules.yml", text);
    let service = scene.start();
    let answer = service.rules(&RulesRequest::default()).expect("answers");
    let answer = serde_json::to_value(answer).expect("serializes");
    let labels = |rule: usize| answer["groups"][0]["rules"][rule]["labels"].to_string();
    assert_eq!(labels(0), "{}");
    assert_eq!(labels(1), r#"{"drop":"","team":"a"}"#);
    assert_eq!(labels(2), r#"{"drop":""}"#);
    service.close();
}
