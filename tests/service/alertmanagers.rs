//! Alertmanagers beside the built-in one: found by file and by a server, relabelled, told what the
//! built-in one is told, each for itself.

use super::{CONFIG, Scene, TARGET, values};
use serde_json::{Value, json};
use watchbell::service::Service;
use watchbell::sys::clock::Clock as _;
use watchbell::sys::http::HttpError;
use watchbell::sys::sim_http::ScriptedHttp;
use watchbell::wire::Core as _;

const OTHERS: &str = "
alerting:
  alert_relabel_configs:
  - {target_label: every, replacement: one}
  alertmanagers:
  - static_configs: [{targets: ['10.0.0.3:9093']}]
    alert_relabel_configs: [{regex: severity, action: labeldrop}]
  - http_sd_configs: [{url: 'http://10.0.0.9/am', refresh_interval: 1s}]
    file_sd_configs: [{files: [am.yml], refresh_interval: 1s}]
    path_prefix: /am
    relabel_configs: [{source_labels: [zone], regex: far, action: drop}]
";
const STATIC: &str = "http://10.0.0.3:9093/api/v2/alerts";
const BY_FILE: &str = "http://10.0.0.4:9093/am/api/v2/alerts";
const BY_SERVER: &str = "http://10.0.0.5:9093/am/api/v2/alerts";
const LATER: &str = "http://10.0.0.6:9093/am/api/v2/alerts";
const FAR: &str = "http://10.0.0.7:9093/am/api/v2/alerts";
const OWN: &str = "http://localhost:9090/alertmanager/api/v2/alerts";

fn targets(list: &[(&str, &str)]) -> String {
    let group =
        |(host, zone): &(&str, &str)| json!({ "targets": [host], "labels": { "zone": zone } });
    json!(list.iter().map(group).collect::<Vec<_>>()).to_string()
}

fn scene(config: &str) -> Scene {
    let world = Scene::new();
    let folder = world.folder.path();
    std::fs::write(folder.join("p.yml"), config).expect("writes");
    let file = "- {targets: ['10.0.0.4:9093'], labels: {zone: near}}\n";
    std::fs::write(folder.join("am.yml"), file).expect("writes");
    let found = targets(&[("10.0.0.5:9093", "near"), ("10.0.0.7:9093", "far")]);
    world.http.on("http://10.0.0.9/am", ScriptedHttp::answer(200, "application/json", found));
    world.http.on_error(TARGET, HttpError::Timeout);
    for url in [STATIC, BY_FILE, LATER] {
        world.http.on(url, ScriptedHttp::answer(200, "application/json", ""));
    }
    // This one takes nothing, and holds up nobody.
    world.http.on(BY_SERVER, ScriptedHttp::answer(503, "text/plain", "no"));
    world
}

/// The labels of the first alert of each message to `url`.
fn told(world: &Scene, url: &str) -> Vec<Value> {
    let asked = world.http.requests().into_iter().filter(|request| request.url == url);
    let read = |body: &[u8]| serde_json::from_slice::<Value>(body).expect("alerts are JSON");
    let labels = |body: &[u8]| read(body).pointer("/0/labels").expect("an alert").clone();
    asked.map(|request| labels(&request.body)).collect()
}

fn active(service: &Service) -> Vec<String> {
    let found = service.alertmanagers().expect("answers").active_alertmanagers;
    found.into_iter().map(|one| one.url).collect()
}

fn metric(service: &Service, line: &str) -> Option<f64> {
    let text = service.own_metrics().expect("metrics");
    let found = text.lines().find_map(|one| one.strip_prefix(line)?.strip_prefix(' '))?;
    Some(found.parse().expect("a number"))
}

#[test]
fn others_are_found_relabelled_and_told_each_for_itself() {
    let world = scene(&format!("{CONFIG}{OTHERS}"));
    let service = world.start();
    let all = [OWN, STATIC, BY_FILE, BY_SERVER];
    world.until(&service, "all are found", |core| active(core) == all);
    let dropped = service.alertmanagers().expect("answers").dropped_alertmanagers;
    assert_eq!(dropped.iter().map(|one| one.url.as_str()).collect::<Vec<_>>(), [FAR]);

    world.until(&service, "all are told", |_| {
        all[1..].iter().all(|url| !told(&world, url).is_empty())
    });
    let labels = json!({
        "alertname": "Down", "every": "one", "instance": "10.0.0.1:9100", "job": "node",
        "severity": "page",
    });
    assert_eq!(told(&world, BY_FILE)[0], labels);
    assert_eq!(told(&world, BY_SERVER)[0], labels);
    let mut bare = labels.clone();
    bare.as_object_mut().expect("an object").remove("severity");
    assert_eq!(told(&world, STATIC)[0], bare, "its own rules come last");
    // The built-in one was told as well.
    let own = service.alertmanager_alerts(&Default::default()).expect("answers");
    assert_eq!(own[0].labels.get("severity"), Some("page"));

    let name = |what: &str, url: &str| {
        format!("prometheus_notifications_{what}_total{{alertmanager=\"{url}\"}}")
    };
    world.until(&service, "the failure is counted", |core| {
        metric(core, &name("errors", BY_SERVER)) > Some(0.0)
    });
    let sent = |url: &str| metric(&service, &name("sent", url));
    assert!(sent(OWN) > Some(0.0) && sent(STATIC) > Some(0.0) && sent(BY_FILE) > Some(0.0));
    assert_eq!(sent(BY_SERVER), Some(0.0));
    assert_eq!(metric(&service, &name("errors", STATIC)), Some(0.0));
    let discovered = "prometheus_notifications_alertmanagers_discovered";
    assert_eq!(metric(&service, discovered), Some(4.0));

    // Another answer of the server: one goes with its counters, one comes.
    let found = targets(&[("10.0.0.6:9093", "near")]);
    world.http.on("http://10.0.0.9/am", ScriptedHttp::answer(200, "application/json", found));
    world.until(&service, "another is found", |core| active(core) == [OWN, STATIC, BY_FILE, LATER]);
    world.until(&service, "it is told", |_| told(&world, LATER).contains(&labels));
    world.until(&service, "the other is forgotten", |core| {
        metric(core, &name("errors", BY_SERVER)).is_none()
    });

    // An end reaches them, and a reload that changes nothing about them leaves them alone.
    service.reload().expect("a good file");
    assert_eq!(active(&service), [OWN, STATIC, BY_FILE, LATER]);
    let before = sent(STATIC);
    assert!(before > Some(0.0), "its counter goes on");
    // So it does when the settings of the item change.
    let slower = OTHERS.replace("- static_configs:", "- timeout: 7s\n    static_configs:");
    let file = world.folder.path().join("p.yml");
    std::fs::write(&file, format!("{CONFIG}{slower}")).expect("writes");
    service.reload().expect("a good file");
    world.until(&service, "it is told under new settings", |core| {
        metric(core, &name("sent", STATIC)) > before
    });
    std::fs::write(&file, CONFIG).expect("writes");
    service.reload().expect("a good file");
    assert_eq!(active(&service), [OWN]);
    assert_eq!(metric(&service, discovered), Some(1.0));
    service.close();
}

#[test]
fn the_built_in_one_can_be_left_out() {
    let world = scene(&format!("{CONFIG}{OTHERS}"));
    let service = world.start_with(|options| options.sending.built_in = false);
    world.until(&service, "another is told", |_| !told(&world, STATIC).is_empty());
    assert!(!active(&service).contains(&OWN.to_owned()));
    assert_eq!(service.alertmanager_alerts(&Default::default()).expect("answers"), []);
    assert_eq!(values(service.as_ref(), "count(ALERTS{alertstate=\"firing\"})"), [1.0]);
    service.close();
}

#[test]
fn what_is_queued_when_the_server_stops_is_sent() {
    let world = scene(&format!("{CONFIG}{OTHERS}"));
    let service = world.start();
    world.until(&service, "it is told", |_| !told(&world, STATIC).is_empty());
    world.http.on(TARGET, ScriptedHttp::answer(200, "text/plain; version=0.0.4", "heat 1\n"));
    let ended = |core: &Service| values(core, "ALERTS") == Vec::<f64>::new();
    world.until(&service, "the end", ended);
    service.close();
    let ends: Vec<_> = world
        .http
        .requests()
        .into_iter()
        .filter(|request| request.url == STATIC)
        .map(|request| serde_json::from_slice::<Value>(&request.body).expect("JSON")[0].clone())
        .collect();
    let last = ends.last().expect("a message");
    let ended: jiff::Timestamp = last["endsAt"].as_str().expect("a time").parse().expect("a time");
    assert!(ended.as_millisecond() <= world.clock.now().as_millis(), "{last}");
}
