//! `event_recorder` of a whole server: a file and a web hook, over a reload and to the stop.

use super::{ROUTES, Scene, TARGET};
use serde_json::Value;
use std::fs;
use watchbell::model::Annotations;
use watchbell::service::Service;
use watchbell::sys::http::HttpError;
use watchbell::sys::sim_http::ScriptedHttp;
use watchbell::wire::{Core as _, MatcherForm, PostableSilence};

const EVENTS: &str = "http://10.0.0.2/events";

/// The fields of `data` in each whole line of a file; none while it is not there. It may be
/// written to meanwhile.
fn kinds(world: &Scene, name: &str) -> Vec<String> {
    let text = fs::read_to_string(world.folder.path().join(name)).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| kind(&serde_json::from_str(line).expect("JSON"))).collect()
}

fn kind(event: &Value) -> String {
    let data = event.get("data").and_then(Value::as_object);
    data.expect("an event").keys().cloned().collect()
}

/// The same of what was posted, list by list.
fn posted(world: &Scene) -> Vec<String> {
    let posts = world.http.requests().into_iter().filter(|request| request.url == EVENTS);
    let list = |body: &[u8]| serde_json::from_slice::<Vec<Value>>(body).expect("a list");
    posts.flat_map(|request| list(&request.body).iter().map(kind).collect::<Vec<_>>()).collect()
}

fn write_routes(world: &Scene, outputs: &str) {
    let text = format!("{ROUTES}event_recorder: {outputs}\n");
    fs::write(world.folder.path().join("a.yml"), text).expect("writes");
}

fn silence(world: &Scene, service: &Service) {
    use watchbell::sys::clock::Clock as _;
    let now = world.clock.now();
    let silence = PostableSilence {
        id: None,
        matchers: vec![MatcherForm {
            name: "a".to_owned(),
            value: "b".to_owned(),
            is_regex: false,
            is_equal: true,
        }],
        starts_at: now,
        ends_at: now.plus_millis(3_600_000),
        created_by: "me".to_owned(),
        comment: "c".to_owned(),
        annotations: Annotations::empty(),
    };
    service.post_silence(silence).expect("taken");
}

#[test]
fn what_happens_is_in_a_file_and_at_a_web_hook_until_the_stop() {
    let world = Scene::new();
    write_routes(
        &world,
        "{file_outputs: [{path: e.jsonl}], webhook_outputs: [{url: 'http://10.0.0.2/events', \
         batch: true, workers: 1}]}",
    );
    world.http.on(EVENTS, ScriptedHttp::answer(200, "text/plain", ""));
    world.http.on_error(TARGET, HttpError::Connect("dial tcp: connection refused".to_owned()));
    let service = world.start_with(|options| options.features = vec!["event-recorder".to_owned()]);
    let first = ["alertmanagerStartupEvent", "alertCreated", "alertGrouped", "notification"];
    world.until(&service, "all is in the file", |_| kinds(&world, "e.jsonl") == first);
    world.until(&service, "all is posted", |_| posted(&world) == first);
    let metrics = |service: &Service| service.own_metrics().expect("metrics");
    let counted = format!(
        "alertmanager_events_recorded_total{{event_type=\"notification\",\
         output=\"file:{}/e.jsonl\",result=\"success\"}} 1\n",
        world.folder.path().display()
    );
    // An event is counted after it has arrived.
    world.until(&service, "it is counted", |service| metrics(service).contains(&counted));
    let metrics = metrics(&service);
    assert!(metrics.contains("\nalertmanager_event_recorder_queue_length 0\n"), "{metrics}");

    // Somebody sets the file aside.
    let path = |name: &str| world.folder.path().join(name);
    fs::rename(path("e.jsonl"), path("old.jsonl")).expect("renames");
    silence(&world, &service);
    world.until(&service, "a new file", |_| kinds(&world, "e.jsonl") == ["silenceCreated"]);
    // A web hook that is gone after the reload has only so much time for what waits.
    let since = |world: &Scene| posted(world).split_off(first.len());
    world.until(&service, "it is posted too", |_| since(&world) == ["silenceCreated"]);

    write_routes(&world, "{webhook_outputs: [{}]}");
    let err = service.reload().expect_err("no url").message;
    assert!(err.contains("a.yml:6:"), "{err}");
    assert!(err.contains("missing url in webhook output"), "{err}");
    write_routes(&world, "{file_outputs: [{path: f.jsonl}]}");
    service.reload().expect("a good file");
    silence(&world, &service);
    world.until(&service, "another file", |_| kinds(&world, "f.jsonl") == ["silenceCreated"]);
    service.close();
    let last = ["silenceCreated", "alertmanagerShutdownEvent"];
    assert_eq!(kinds(&world, "f.jsonl"), last);
    assert_eq!(kinds(&world, "e.jsonl"), ["silenceCreated"]);
    assert_eq!(since(&world), ["silenceCreated"]);
}

#[test]
fn nothing_is_recorded_without_the_feature_and_that_is_told() {
    let world = Scene::new();
    write_routes(&world, "{file_outputs: [{path: e.jsonl}]}");
    let service = world.start();
    silence(&world, &service);
    service.close();
    assert_eq!(kinds(&world, "e.jsonl"), Vec::<String>::new());
    let metrics = service.own_metrics().expect("metrics");
    assert!(!metrics.contains("alertmanager_events_recorded_total"), "{metrics}");
    let notes = service.status().expect("status").warnings;
    let told = "event_recorder has no effect without --enable-feature=event-recorder";
    assert!(notes.iter().any(|note| note.contains(told)), "{notes:?}");
}
