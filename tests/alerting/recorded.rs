//! `event_recorder`: which events the engine tells, and the JSON of each against upstream's schema.

use crate::world::{World, labels};
use serde_json::Value;
use watchbell::alerts::matchers::{Mode, parse_list};
use watchbell::alerts::{Event as Input, Options, SilenceDraft};
use watchbell::model::{Annotations, SilenceId, Timestamp};
use watchbell::notify::Event;

const YAML: &str = "
route:
  receiver: hook
  group_by: [g]
  group_wait: 10s
  group_interval: 30s
  repeat_interval: 90m
  routes: [{matchers: [team=x]}]
inhibit_rules:
- {name: pages, source_matchers: [sev=page], target_matchers: ['sev=~warn|info'], equal: [g]}
receivers:
- {name: hook, webhook_configs: [{url: 'http://x'}, {url: 'http://y', send_resolved: false}]}
event_recorder: {stdout_outputs: [{}]}
";

/// eventrecorder.proto of Alertmanager 0.34: each message with its fields, by their names in JSON.
const SCHEMA: &str = "
Event: @timestamp=time instance=text data=EventData clusterPosition=number
EventData: alertmanagerStartupEvent=Startup alertmanagerShutdownEvent=Nothing alertCreated=Created
EventData: alertResolved=Grouping alertGrouped=Grouping notification=Notification
EventData: silenceCreated=OfSilence silenceUpdated=OfSilence silenceMutedAlert=SilenceMuted
EventData: inhibitionMutedAlert=InhibitionMuted
Startup: version=text buildContext=text
Nothing:
LabelPair: key=text value=text
LabelSet: labels=[LabelPair]
Alert: fingerprint=digits name=text labels=LabelSet annotations=LabelSet startsAt=time endsAt=time
Alert: resolved=flag
GroupedAlert: hash=digits details=Alert
AlertGroupInfo: groupKey=text groupLabels=LabelSet groupId=text receiverName=text groupUuid=text
AlertGroupInfo: matchers=[Matcher]
Created: alert=Alert
Grouping: alert=GroupedAlert groupInfo=AlertGroupInfo
Integration: name=text index=digits
Notification: alerts=[GroupedAlert] firingAlerts=[GroupedAlert] resolvedAlerts=[GroupedAlert]
Notification: mutedAlerts=[GroupedAlert] groupInfo=AlertGroupInfo repeatInterval=span reason=enum
Notification: flushId=digits integration=Integration
Silence: id=text matchers=[Matcher] annotations=LabelSet startsAt=time endsAt=time updatedAt=time
Silence: createdBy=text comment=text matcherSets=[MatcherSet]
Matcher: type=enum name=text pattern=text rendered=text
MatcherSet: matchers=[Matcher]
OfSilence: silence=Silence
MutedAlert: labels=LabelSet fingerprint=digits
SilenceMuted: silence=Silence mutedAlert=MutedAlert
InhibitRule: sourceMatchers=[Matcher] targetMatchers=[Matcher] equalLabels=[text] name=text
InhibitionMuted: inhibitRules=[InhibitRule] mutedAlert=MutedAlert inhibitingFingerprints=[digits]
";

/// What `value` has that a `kind` of the schema has not.
fn faults(value: &Value, kind: &str, at: &str, found: &mut Vec<String>) {
    if let Some(item) = kind.strip_prefix('[').and_then(|kind| kind.strip_suffix(']')) {
        let Some(items) = value.as_array().filter(|items| !items.is_empty()) else {
            return found.push(format!("{at}: no list, or an empty one: {value}"));
        };
        return items.iter().for_each(|value| faults(value, item, at, found));
    }
    let text = value.as_str().unwrap_or_default();
    let fits = match kind {
        "text" => !text.is_empty(),
        "digits" => text.parse::<u64>().is_ok_and(|number| number > 0),
        "time" => text.parse::<jiff::Timestamp>().is_ok(),
        "span" => text.strip_suffix('s').is_some_and(|span| span.parse::<f64>().is_ok()),
        "enum" => text.starts_with("NOTIFY_REASON_") || text.starts_with("TYPE_"),
        "flag" => *value == Value::Bool(true),
        "number" => value.as_u64().is_some(),
        message => {
            let Some(fields) = value.as_object() else {
                return found.push(format!("{at}: no {message}: {value}"));
            };
            for (name, value) in fields {
                match field(message, name) {
                    Some(kind) => faults(value, kind, &format!("{at}.{name}"), found),
                    None => found.push(format!("{at}: {message} has no {name}")),
                }
            }
            true
        }
    };
    if !fits {
        found.push(format!("{at}: no {kind}: {value}"));
    }
}

fn field(message: &str, name: &str) -> Option<&'static str> {
    let lines = SCHEMA.lines().filter_map(|line| line.split_once(':'));
    let fields = lines.filter(|(found, _)| *found == message).flat_map(|(_, fields)| {
        fields.split_whitespace().filter_map(|field| field.split_once('='))
    });
    fields.into_iter().find(|(found, _)| *found == name).map(|(_, kind)| kind)
}

/// Kinds and JSON of what was told since the last time, which fits the schema.
fn told(world: &mut World) -> Vec<(&'static str, Value)> {
    let occurred = std::mem::take(&mut world.occurred);
    occurred.into_iter().map(|one| form(&Event::occurred(one, "host".into()))).collect()
}

fn form(event: &Event) -> (&'static str, Value) {
    let value: Value = serde_json::from_str(event.line()).expect("JSON");
    let mut found = Vec::new();
    faults(&value, "Event", "", &mut found);
    assert_eq!(found, [""; 0], "{}", event.line());
    let data = value.get("data").and_then(Value::as_object).expect("data");
    assert_eq!(data.len(), 1, "{data:?}");
    // The one field of `data` is the kind in JSON's spelling.
    let (camel, body) = data.iter().next().expect("one");
    let snake: String = camel
        .chars()
        .flat_map(|c| match c.is_uppercase() {
            true => vec!['_', c.to_ascii_lowercase()],
            false => vec![c],
        })
        .collect();
    assert_eq!(snake, event.kind());
    assert_eq!(value.get("instance"), Some(&Value::from("host")));
    (event.kind(), body.clone())
}

fn kinds(told: &[(&'static str, Value)]) -> Vec<&'static str> {
    told.iter().map(|(kind, _)| *kind).collect()
}

fn recorded() -> World {
    World::with(YAML, Options { event_recorder: true, ..Options::default() })
}

fn print(text: &str) -> String {
    labels(text).fingerprint().bits().to_string()
}

const PAGE: &str = "alertname=Down g=1 n=A sev=page team=x";
const WARN: &str = "g=1 n=B sev=warn team=x";
const QUIET: &str = "g=1 n=C team=x";

#[test]
fn alerts_are_told_when_they_come_are_grouped_kept_quiet_and_leave() {
    let mut world = recorded();
    world.fire(PAGE);
    world.fire(PAGE);
    let came = told(&mut world);
    assert_eq!(kinds(&came), ["alert_created", "alert_grouped"], "once");
    let alert = &came[0].1["alert"];
    assert_eq!((&alert["name"], &alert["fingerprint"]), (&"Down".into(), &print(PAGE).into()));
    assert_eq!(alert["startsAt"], "2024-01-01T00:00:00Z");
    assert_eq!(alert["labels"]["labels"][1], serde_json::json!({"key": "g", "value": "1"}));
    assert_eq!(alert["annotations"], serde_json::json!({}));
    assert_eq!(came[1].1["alert"]["details"], *alert);
    let group = &came[1].1["groupInfo"];
    assert_eq!(group["groupKey"], r#"{}/{team="x"}:{g="1"}"#);
    assert_eq!(group["groupId"].as_str().map(str::len), Some(64));
    world.fire(WARN);
    world.silence("n=C", 3600);
    world.fire(QUIET);
    world.run_to(9);
    let came = told(&mut world);
    let pair = ["alert_created", "alert_grouped"];
    assert_eq!(kinds(&came), [&pair, &["silence_created"][..], &pair].concat());
    world.run_to(12);
    let mut first = told(&mut world);
    first.sort_by_key(|(kind, _)| *kind);
    let sent = "notification";
    let expected = ["inhibition_muted_alert", sent, sent, "silence_muted_alert"];
    assert_eq!(kinds(&first), expected);
    let inhibited = &first[0].1;
    assert_eq!(inhibited["inhibitingFingerprints"], serde_json::json!([print(PAGE)]));
    let rule = &inhibited["inhibitRules"][0];
    assert_eq!((&rule["name"], &rule["equalLabels"][0]), (&"pages".into(), &"g".into()));
    assert_eq!(rule["targetMatchers"][0]["type"], "TYPE_REGEXP");
    assert_eq!(rule["targetMatchers"][0]["rendered"], r#"sev=~"warn|info""#);
    assert_eq!(first[3].1["mutedAlert"]["fingerprint"], print(QUIET).as_str());
    assert_eq!(first[3].1["silence"]["matcherSets"][0]["matchers"][0]["name"], "n");
    world.resolve(PAGE);
    world.run_to(45);
    let last = told(&mut world);
    let expected = ["silence_muted_alert", "notification", "notification", "alert_resolved"];
    assert_eq!(kinds(&last), expected);
    let gone = &last[3].1["alert"]["details"];
    assert_eq!(
        (&gone["resolved"], &gone["endsAt"]),
        (&true.into(), &"2024-01-01T00:00:12Z".into())
    );
}

#[test]
fn a_notification_tells_the_whole_group_and_each_integration_apart() {
    let mut world = recorded();
    for alert in [PAGE, WARN, QUIET] {
        world.fire(alert);
    }
    world.run_to(12);
    world.resolve(PAGE);
    world.run_to(45);
    let all = told(&mut world);
    let all: Vec<_> = all.iter().filter(|(kind, _)| *kind == "notification").collect();
    assert_eq!(all.len(), 4, "two integrations, twice");
    let first = &all[0].1;
    assert_eq!(first["reason"], "NOTIFY_REASON_FIRST_NOTIFICATION");
    assert_eq!((&first["repeatInterval"], &first["resolvedAlerts"]), (&"5400s".into(), &().into()));
    assert_eq!(first["integration"], serde_json::json!({"name": "webhook"}));
    assert_eq!(first["mutedAlerts"], serde_json::json!([{"hash": print(WARN)}]));
    assert_eq!(first["groupInfo"]["receiverName"], "hook");
    assert_eq!(first["groupInfo"]["matchers"][0]["rendered"], r#"team="x""#);
    let details = &first["alerts"][0]["details"];
    assert_eq!((&details["endsAt"], &details["resolved"]), (&ZERO.into(), &().into()));
    // The second one is not told of ends, but knows of them.
    let (told, quiet) = (&all[2].1, &all[3].1);
    assert_eq!(quiet["integration"], serde_json::json!({"name": "webhook", "index": "1"}));
    assert_eq!(told["alerts"].as_array().map(Vec::len), Some(3));
    assert_eq!(quiet["alerts"].as_array().map(Vec::len), Some(2));
    for one in [told, quiet] {
        assert_eq!(one["reason"], "NOTIFY_REASON_NEW_ALERTS_IN_GROUP");
        assert_eq!(one["resolvedAlerts"], serde_json::json!([{"hash": print(PAGE)}]));
        assert_eq!(one["flushId"], told["flushId"]);
    }
}

const ZERO: &str = "0001-01-01T00:00:00Z";

#[test]
fn silences_are_told_when_somebody_makes_or_changes_them() {
    let mut world = recorded();
    let id = world.silence("n!=C,g=1", 3600);
    let draft = SilenceDraft {
        id: Some(id.clone()),
        matchers: parse_list("n!=C,g=1", Mode::Fallback).expect("valid"),
        starts_at: world.at(0),
        ends_at: world.at(7200),
        created_by: "me".to_owned(),
        comment: "longer".to_owned(),
        annotations: Annotations::from_pairs([("ticket", "7")]),
    };
    let new_id = SilenceId::from_random([7; 16]);
    world.step(Input::SilenceSet { draft, new_id });
    world.answers.clear();
    world.expire(&id);
    let told = told(&mut world);
    assert_eq!(kinds(&told), ["silence_created", "silence_updated"], "an end is not told");
    let silence = &told[1].1["silence"];
    assert_eq!((&silence["id"], &silence["comment"]), (&id.as_str().into(), &"longer".into()));
    assert_eq!(silence["endsAt"], "2024-01-01T02:00:00Z");
    assert_eq!(silence["annotations"]["labels"][0]["key"], "ticket");
    let types = [0, 1].map(|place| &silence["matchers"][place]["type"]);
    assert_eq!(types, ["TYPE_NOT_EQUAL", "TYPE_EQUAL"]);
}

#[test]
fn the_server_tells_when_it_starts_and_stops() {
    let at = Timestamp::from_millis(1_704_067_200_250);
    let started = Event::started(at, "host".into(), "0.34.0", "(b)".to_owned());
    let body = serde_json::json!({"version": "0.34.0", "buildContext": "(b)"});
    assert_eq!(form(&started), ("alertmanager_startup_event", body));
    assert!(started.line().starts_with(r#"{"@timestamp":"2024-01-01T00:00:00.25Z","#));
    let (kind, body) = form(&Event::stopped(at, "host".into()));
    assert_eq!((kind, body), ("alertmanager_shutdown_event", serde_json::json!({})));
}

#[test]
fn what_is_known_is_not_told_again_and_nothing_is_while_nobody_listens() {
    let mut world = recorded();
    world.fire(PAGE);
    world.run_to(12);
    world.occurred.clear();
    world.reload(YAML);
    world.restart(5);
    world.fire(PAGE);
    world.run_to(60);
    assert_eq!(kinds(&told(&mut world)), [""; 0]);
    let mut world = World::new(YAML);
    world.fire(PAGE);
    world.silence("n=B", 60);
    world.run_to(60);
    assert_eq!((world.occurred.len(), world.told.len()), (0, 2));
}
