//! What the history is told, and that nothing of it is told twice.

use super::world::{World, labels};
use serde_json::{Value, json};
use watchbell::alerts::{Event, Happening};

const ONE: &str = "
route: {receiver: hook, group_by: [g], group_wait: 10s, group_interval: 30s, repeat_interval: 100s}
receivers:
- {name: hook, webhook_configs: [{url: 'http://x'}]}
";

fn kinds(world: &mut World) -> Vec<&'static str> {
    world.happened.drain(..).map(|one| one.kind).collect()
}

#[track_caller]
fn only(world: &mut World, kind: &str) -> Happening {
    let mut found: Vec<_> = world.happened.drain(..).filter(|one| one.kind == kind).collect();
    assert_eq!(found.len(), 1, "{kind}: {found:?}");
    found.remove(0)
}

#[test]
fn an_alert_from_outside_fires_and_resolves_once_however_often_it_is_sent() {
    let mut world = World::new(ONE);
    for second in [0, 20, 40] {
        world.run_to(second);
        world.fire_until("n=A g=1", 300);
    }
    world.resolve("n=A g=1");
    world.resolve("n=A g=1");
    world.run_to(100);
    assert_eq!(kinds(&mut world), ["firing", "notified", "resolved", "notified"]);
    world.restart(5);
    world.resolve("n=A g=1");
    world.run_to(200);
    assert_eq!(kinds(&mut world), [""; 0]);
    world.fire_until("n=A g=1", 230);
    world.run_to(240);
    let ended = only(&mut world, "resolved");
    assert_eq!(ended.fingerprint, Some(labels("n=A g=1").fingerprint()));
    assert_eq!(ended.labels, labels("n=A g=1"));
    assert_eq!(ended.body["why"], "not sent again");
    assert_eq!(ended.body["ends_at_ms"], world.at(230).as_millis());
}

#[test]
fn rules_tell_what_becomes_of_their_alerts_unless_they_are_gone() {
    let mut world = World::new(ONE);
    world.fire_until("n=A g=1", 60);
    let alert = world.engine.firing_alerts(world.now()).remove(0).alert;
    let mut world = World::new(ONE);
    world.step(Event::RulesSent(vec![alert.clone()]));
    let ended = watchbell::model::Alert { ends_at: world.at(0), ..alert.clone() };
    world.step(Event::RulesSent(vec![ended]));
    world.step(Event::RulesSent(vec![alert]));
    world.run_to(5);
    assert_eq!(kinds(&mut world), [""; 0]);
    world.run_to(61);
    let ended = only(&mut world, "resolved");
    assert_eq!(
        (&ended.body["source"], &ended.body["why"]),
        (&json!("rules"), &json!("not sent again"))
    );
}

#[test]
fn a_notification_is_told_with_its_answer_whether_it_arrives_or_not() {
    let mut world = World::new(ONE);
    world.failing.insert("hook/webhook[0]".to_owned());
    world.fire("n=A g=1 x=1");
    world.fire("n=B g=1 x=1");
    world.run_to(11);
    let told = only(&mut world, "notified");
    assert_eq!((told.fingerprint, told.labels), (None, labels("g=1 x=1")));
    let mut prints = ["n=A g=1 x=1", "n=B g=1 x=1"].map(|text| labels(text).fingerprint());
    prints.sort();
    let [one, two] = prints.map(|print| print.to_string());
    let mut body = told.body;
    assert!(body["key"].as_str().is_some_and(|key| key.ends_with("-1")), "{body}");
    body["key"] = Value::Null;
    assert_eq!(
        body,
        json!({
            "key": null, "group": "{}:{g=\"1\"}", "receiver": "hook", "integration": "webhook",
            "index": 0, "reason": "first notification", "status": "failed", "attempts": 1,
            "took_ms": 0, "code": null, "answer": "", "error": "unexpected status code 500",
            "firing": [one, two], "resolved": [], "members": [{"n": "A"}, {"n": "B"}],
        })
    );
    world.failing.clear();
    world.run_to(41);
    assert_eq!(only(&mut world, "notified").body["status"], "ok");
}

#[test]
fn a_silence_begins_and_ends_at_its_time_whatever_else_is_due() {
    use std::time::Duration;
    use watchbell::alerts::{Effect, SilenceDraft};
    let mut world = World::new(ONE);
    let draft = SilenceDraft {
        id: None,
        matchers: watchbell::alerts::matchers::parse_list(
            "n=A",
            watchbell::alerts::matchers::Mode::Fallback,
        )
        .expect("valid"),
        starts_at: world.at(100),
        ends_at: world.at(165),
        created_by: "me".to_owned(),
        comment: "c".to_owned(),
        annotations: watchbell::model::Annotations::empty(),
    };
    let new_id = watchbell::model::SilenceId::from_text("1");
    world.step(Event::SilenceSet { draft, new_id });
    world.happened.clear();
    assert_eq!(world.wakes_at(), Some(Duration::from_secs(100)));
    world.pass(Duration::from_secs(100));
    let effects = world.engine.step(world.now(), Event::Tick);
    assert!(effects.contains(&Effect::Changed), "screens show that it acts");
    world.carry_out(effects, usize::MAX);
    assert_eq!(world.wakes_at(), Some(Duration::from_secs(165)));
    // Nobody is there when it ends.
    world.restart(600);
    assert_eq!(only(&mut world, "silence").at, world.at(165));
}

#[test]
fn of_a_large_group_as_many_alerts_can_be_found_as_there_is_room_for() {
    let mut world = World::new(ONE);
    for number in 0..40 {
        world.fire(&format!("n={} g=1", format!("{number:02}").repeat(250)));
    }
    world.run_to(11);
    let told = only(&mut world, "notified").body;
    let members = told["members"].as_array().map_or(0, Vec::len);
    assert_eq!((members, &told["members_more"]), (32, &json!(8)));
}

#[test]
fn an_alert_that_has_only_the_shared_labels_is_named_beside_those_that_have_more() {
    for (others, members) in [(&["g=1 i=1"][..], json!([{}, {"i": "1"}])), (&[], Value::Null)] {
        let mut world = World::new(ONE);
        world.fire("g=1");
        others.iter().for_each(|other| world.fire(other));
        world.run_to(11);
        let told = only(&mut world, "notified");
        assert_eq!((told.labels, &told.body["members"]), (labels("g=1"), &members));
    }
}

#[test]
fn what_keeps_an_alert_quiet_is_told_when_it_begins_and_when_it_ends() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    let id = world.silence("n=A", 65);
    world.run_to(70);
    assert_eq!(
        kinds(&mut world),
        ["firing", "silence", "suppressed", "silence", "unsuppressed", "notified"]
    );
    world.silence("n=A", 1_000);
    world.run_to(101);
    let quiet = only(&mut world, "suppressed");
    assert_eq!(quiet.body["by"], "silence");
    assert_ne!(quiet.body["id"], id.as_str());
    world.restart(10);
    world.run_to(200);
    assert_eq!(kinds(&mut world), [""; 0], "also across a restart");
}

#[test]
fn a_muted_group_is_one_entry_that_names_its_alerts() {
    // The script starts on a Monday at midnight, UTC.
    let yaml = "
route:
  receiver: hook
  routes:
  - {matchers: [g=1], receiver: hook, mute_time_intervals: [early], group_wait: 10s, group_interval: 30s}
time_intervals:
- {name: early, time_intervals: [{times: [{start_time: '00:00', end_time: '00:02'}]}]}
receivers:
- {name: hook, webhook_configs: [{url: 'http://x'}]}
";
    let mut world = World::new(yaml);
    world.fire("n=A g=1");
    world.run_to(100);
    let muted = only(&mut world, "suppressed");
    let print = labels("n=A g=1").fingerprint().to_string();
    let expected =
        json!({ "by": "interval", "id": "early", "receiver": "hook", "alerts": [print] });
    assert_eq!(muted.body, expected);
    world.run_to(140);
    assert_eq!(kinds(&mut world), ["unsuppressed", "notified"]);
}

#[test]
fn silences_are_told_from_their_making_to_their_end() {
    let mut world = World::new(ONE);
    world.silence("{n=\"A\",g=~\"1|2\"}", 60);
    let made = only(&mut world, "silence");
    assert_eq!(made.labels, labels("n=A"));
    assert_eq!((&made.body["what"], &made.body["by"]), (&json!("created"), &json!("me")));
    assert_eq!(made.body["matchers"], r#"{n="A",g=~"1|2"}"#);
    world.run_to(61);
    assert_eq!(only(&mut world, "silence").body["what"], "ended");
    let id = world.silence("n=A", 60);
    world.expire(&id);
    world.restart(3);
    world.run_to(200);
    let whats: Vec<_> = world.happened.iter().map(|one| one.body["what"].clone()).collect();
    assert_eq!(whats, ["created", "expired"]);
}

#[test]
fn a_storm_is_counted_and_not_written_out() {
    let mut world = World::new("{route: {receiver: none}, receivers: [{name: none}]}");
    world.fire("n=first");
    let one = world.engine.firing_alerts(world.now()).remove(0).alert;
    world.happened.clear();
    let many = (0..1_500).map(|number| watchbell::model::Alert {
        labels: labels(&format!("n=x{number}")),
        ..one.clone()
    });
    world.step(Event::AlertsReceived(many.collect()));
    let told = world.happened.iter().filter(|one| one.kind == "firing").count();
    assert_eq!(told, 1_000);
    let last = world.happened.last().expect("something");
    assert_eq!((last.kind, &last.body["left_out"]), ("alerts_left_out", &json!(500)));
}
