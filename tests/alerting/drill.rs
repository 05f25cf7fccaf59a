//! Fire drills in the engine: an alert with a group of its own, which waits for nothing.

use super::world::{World, labels};
use watchbell::alerts::{
    AlertDraft, Awaited, DRILL_LABEL, Event, Expected, Options, complete_all, drill,
};
use watchbell::model::{Fingerprint, Labels};

const ONE: &str = "
route: {receiver: hook, group_by: [g], group_wait: 10s, group_interval: 300s, repeat_interval: 1h}
inhibit_rules: [{source_matchers: [n=A], target_matchers: [n=B], equal: [g]}]
receivers:
- {name: hook, webhook_configs: [{url: 'http://x'}]}
";

/// Begins a drill that fires for `seconds`.
fn begin(world: &mut World, asked: &str, seconds: i64, waits: bool) -> Fingerprint {
    let now = world.now().wall;
    let ends = now.plus_millis(seconds * 1000);
    let draft = drill::draft(drill::labels(&labels(asked), "TEST-1"), &labels("a=b"), now, ends);
    send(world, draft, waits)
}

fn send(world: &mut World, draft: AlertDraft, waits: bool) -> Fingerprint {
    let (mut alerts, errors) = complete_all(vec![draft], world.now().wall, world.engine.config());
    assert_eq!(errors, []);
    let print = alerts.first().expect("it is valid").fingerprint();
    world.step(match waits {
        true => Event::AlertsReceived(alerts),
        false => Event::DrillSent(Box::new(alerts.remove(0))),
    });
    print
}

#[test]
fn a_drill_is_told_at_once_apart_from_real_alerts_and_so_is_its_end() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.run_to(20);
    let print = begin(&mut world, "n=A g=1", 300, false);
    world.run_to(30);
    world.step(Event::DrillEnded(print));
    world.run_to(40);
    world.expect(&[
        "10 hook/webhook[0] first notification: f=A r=",
        "20 hook/webhook[0] first notification: f=A r=",
        "30 hook/webhook[0] all alerts resolved: f= r=A",
    ]);
    let groups: Vec<_> =
        world.decided.iter().map(|one| one.notification.group_labels.to_string()).collect();
    let own = r#"{g="1", watchbell_drill="TEST-1"}"#;
    assert_eq!(groups, [r#"{g="1"}"#, own, own]);
    world.run_to(1_000);
    world.expect(&[]);
}

#[test]
fn a_drill_ends_by_itself_also_when_the_process_died_meanwhile() {
    let mut world = World::new(ONE);
    begin(&mut world, "n=A g=1", 60, false);
    world.run_to(5);
    world.restart(1);
    world.run_to(70);
    world.expect(&[
        "0 hook/webhook[0] first notification: f=A r=",
        "60 hook/webhook[0] all alerts resolved: f= r=A",
    ]);
}

#[test]
fn a_drill_that_waits_is_told_when_a_real_alert_would_be() {
    let mut world = World::new(ONE);
    let print = begin(&mut world, "n=A g=1", 1_000, true);
    world.run_to(100);
    world.step(Event::DrillEnded(print));
    world.run_to(400);
    world.expect(&[
        "10 hook/webhook[0] first notification: f=A r=",
        "310 hook/webhook[0] all alerts resolved: f= r=A",
    ]);
}

#[test]
fn a_sink_that_fails_is_not_hammered_by_a_drill() {
    let mut world = World::new(ONE);
    world.failing.insert("hook/webhook[0]".to_owned());
    begin(&mut world, "n=A g=1", 900, false);
    world.run_to(890);
    // At once, once more, and then once in a group interval.
    assert_eq!(world.decided.len(), 4, "{:?}", world.decided);
}

#[test]
fn a_drill_keeps_nobody_quiet_and_is_nothing_that_is_expected() {
    let expected = Expected {
        name: "dog".to_owned(),
        awaited: Awaited::Alert,
        matchers: vec![watchbell::model::Matcher::equal("n", "A")],
        within: std::time::Duration::from_secs(60),
        labels: Labels::empty(),
        annotations: Labels::empty(),
    };
    let options = Options { expected: vec![expected], ..Options::default() };
    let mut world = World::with(ONE, options);
    begin(&mut world, "n=A g=1", 500, false);
    world.fire("n=B g=1");
    world.run_to(70);
    assert!(world.told.iter().any(|line| line.contains("f=B")), "{:?}", world.told);
    assert!(world.engine.expected(world.now())[0].is_missing);
}

#[test]
fn only_a_drill_is_ended_as_one() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.step(Event::DrillEnded(labels("n=A g=1").fingerprint()));
    let now = world.now();
    assert_eq!(world.engine.firing_alerts(now).len(), 1);
    let unknown = Labels::from_pairs([(DRILL_LABEL, "x")]).fingerprint();
    world.step(Event::DrillEnded(unknown));
    assert_eq!(world.engine.all_alerts(now).len(), 1);
}
