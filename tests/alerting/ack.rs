//! Acknowledgements, and what a sink leaves behind for the next notification.

use super::world::{World, labels};
use std::collections::BTreeMap;
use watchbell::alerts::{AckDraft, AckError, Answer, Event, Table};
use watchbell::model::Fingerprint;

const ONE: &str = "
route: {receiver: hook, group_by: [g], group_wait: 10s, group_interval: 30s, repeat_interval: 1h}
receivers:
- {name: hook, webhook_configs: [{url: 'http://x'}]}
";

fn print(text: &str) -> Fingerprint {
    labels(text).fingerprint()
}

fn acknowledge(world: &mut World, alerts: &[&str]) -> Answer {
    let fingerprints = alerts.iter().map(|text| print(text)).collect();
    let (by, comment) = ("me".to_owned(), "on it".to_owned());
    world.step(Event::Acknowledged(AckDraft { fingerprints, by, comment }));
    world.answers.pop().expect("an answer")
}

fn rows(world: &World) -> usize {
    world.rows.keys().filter(|(table, _)| *table == Table::Ack).count()
}

fn kinds(world: &World) -> Vec<&'static str> {
    let kinds = world.happened.iter().map(|one| one.kind);
    kinds.filter(|kind| kind.starts_with("ack")).collect()
}

#[test]
fn an_acknowledgement_is_stored_and_ends_with_its_alert() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.fire("n=B g=1");
    let refused = acknowledge(&mut world, &["n=A g=1", "n=C g=1"]);
    assert_eq!(refused, Answer::Ack(Err(AckError::NotFiring(print("n=C g=1")))));
    assert_eq!(rows(&world), 0, "all or none");
    assert_eq!(acknowledge(&mut world, &["n=A g=1", "n=B g=1"]), Answer::Ack(Ok(2)));
    assert_eq!(rows(&world), 2);
    world.restart(1);
    world.resolve("n=A g=1");
    assert_eq!(rows(&world), 1);
    assert_eq!(kinds(&world), ["ack", "ack", "ack_ended"]);
    let last = world.happened.last().expect("something happened");
    assert_eq!(last.labels, labels("n=A g=1"));
    assert_eq!(last.body, serde_json::json!({ "why": "resolved" }));
}

#[test]
fn an_acknowledgement_is_taken_back_once() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    acknowledge(&mut world, &["n=A g=1"]);
    let mut withdraw = || {
        world.step(Event::AckWithdrawn(vec![print("n=A g=1")], "you".to_owned()));
        world.answers.pop().expect("an answer")
    };
    assert_eq!(withdraw(), Answer::Ack(Ok(1)));
    assert_eq!(withdraw(), Answer::Ack(Err(AckError::NotAcknowledged(print("n=A g=1")))));
    assert_eq!(rows(&world), 0);
    assert_eq!(kinds(&world), ["ack", "ack_ended"]);
}

#[test]
fn what_a_sink_leaves_behind_comes_back_with_the_next_notification_of_the_incident() {
    let mut world = World::new(ONE);
    world.left_behind = BTreeMap::from([("ts".to_owned(), "1".to_owned())]);
    world.hanging.insert("hook/webhook[0]".to_owned());
    let next = |world: &mut World, seconds: u64| {
        world.run_to(seconds);
        let delivery = world.open.pop().expect("on its way");
        world.report(&delivery, false);
        delivery.data.get("ts").cloned()
    };
    world.fire("n=A g=1");
    assert_eq!(next(&mut world, 11), None);
    world.left_behind.clear();
    world.fire("n=B g=1");
    assert_eq!(next(&mut world, 41).as_deref(), Some("1"));
    world.resolve("n=A g=1");
    world.resolve("n=B g=1");
    world.run_to(60);
    world.restart(1);
    world.hanging.insert("hook/webhook[0]".to_owned());
    assert_eq!(next(&mut world, 200).as_deref(), Some("1"), "also across a restart");
    world.fire("n=A g=1");
    assert_eq!(next(&mut world, 400), None, "a new incident begins anew");
}
