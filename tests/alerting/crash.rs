//! Restarts and crashes: nothing that fires and no end of a told alert is ever lost.

use super::world::World;
use std::collections::BTreeSet;
use std::time::Duration;
use watchbell::alerts::{Damping, Effect, Event, Options, Table};
use watchbell::model::AlertStatus;

const ONE: &str = "
route: {receiver: hook, group_by: [g], group_wait: 10s, group_interval: 30s, repeat_interval: 1h}
receivers:
- {name: hook, webhook_configs: [{url: 'http://x'}]}
";

#[test]
fn t67_a_restart_tells_nothing_twice() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.silence("n=B", 3600);
    world.fire("n=B g=2");
    world.run_to(20);
    world.restart(5);
    world.run_to(200);
    world.expect(&["10 hook/webhook[0] first notification: f=A r="]);
    assert_eq!(world.engine.silences(world.now()).len(), 1, "the silence holds");
}

#[test]
fn t67_an_alert_whose_sender_was_not_heard_while_we_were_down_is_not_resolved_at_once() {
    let mut world = World::new(ONE);
    world.fire_until("n=A g=1", 60);
    world.run_to(20);
    world.told.clear();
    world.restart(100);
    // It was promised for 60 s when it was heard: it has as long again to be heard.
    world.run_to(179);
    world.expect(&[]);
    world.run_to(220);
    world.expect(&["180 hook/webhook[0] all alerts resolved: f= r=A"]);
}

#[test]
fn t67_an_end_that_was_told_stays_told_after_a_restart() {
    let mut world = World::new(ONE);
    world.fire_until("n=A g=1", 30);
    world.run_to(50);
    world.told.clear();
    world.restart(1);
    world.run_to(300);
    world.expect(&[]);
}

#[test]
fn t86_a_clock_set_forward_after_a_restart_repeats_nothing() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.run_to(20);
    world.restart(5);
    world.jump_wall(86_400);
    world.run_to(3_650);
    world.expect(&[
        "10 hook/webhook[0] first notification: f=A r=",
        "3625 hook/webhook[0] repeat interval elapsed: f=A r=",
    ]);
}

#[test]
fn t86_a_clock_set_back_keeps_no_ended_alert_after_a_restart() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.run_to(20);
    world.resolve("n=A g=1");
    world.run_to(45);
    world.jump_wall(-3_600);
    world.restart(5);
    world.run_to(940);
    assert_eq!(world.engine.all_alerts(world.now()).len(), 1);
    world.run_to(960);
    assert_eq!(world.engine.all_alerts(world.now()).len(), 0);
}

#[test]
fn t86_a_clock_set_forward_makes_nobody_forget_who_was_told() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.run_to(20);
    // Its end is kept quiet, so that the log alone knows that it was told.
    let silence = world.silence("n=A", 3_600);
    world.resolve("n=A g=1");
    world.run_to(100);
    world.expire(&silence);
    world.jump_wall(3 * 86_400);
    world.run_to(110);
    world.fire("n=A g=1");
    world.run_to(300);
    world.expect(&["10 hook/webhook[0] first notification: f=A r="]);
}

#[test]
fn t86_an_end_that_is_said_again_after_the_clock_was_set_back_is_no_new_alert() {
    let mut world = World::new(ONE);
    // What is known of an alert that came in parts began with the first of them.
    let [first, second, end] = [0, 15, 25].map(|seconds| world.at(seconds));
    world.post("n=A g=1", Some(first), Some(world.at(40)));
    world.run_to(20);
    world.post("n=A g=1", Some(second), Some(world.at(50)));
    world.run_to(25);
    world.post("n=A g=1", Some(second), Some(end));
    world.run_to(50);
    world.jump_wall(-60);
    world.post("n=A g=1", Some(second), Some(end));
    world.run_to(400);
    world.expect(&[
        "10 hook/webhook[0] first notification: f=A r=",
        "40 hook/webhook[0] all alerts resolved: f= r=A",
    ]);
}

#[test]
fn t86_an_alert_whose_end_was_taken_may_go_on_after_the_clock_was_set_back() {
    let mut world = World::new(ONE);
    let starts = Some(world.at(0));
    world.post("n=A g=1", starts, Some(world.at(60)));
    world.run_to(30);
    // It is stored, but its sender got no answer.
    world.post("n=A g=1", starts, Some(world.at(30)));
    world.jump_wall(-20);
    world.restart(5);
    world.post("n=A g=1", starts, Some(world.at(25)));
    let alerts = world.engine.all_alerts(world.now());
    let states: Vec<_> = alerts.iter().map(|alert| alert.status).collect();
    assert_eq!(states, [AlertStatus::Firing]);
}

#[test]
fn t86_an_end_from_before_the_start_is_known_when_it_is_said_again() {
    let mut world = World::new(ONE);
    let (starts, ends) = (Some(world.at(0)), Some(world.at(20)));
    world.post("n=A g=1", starts, Some(world.at(60)));
    world.run_to(20);
    world.post("n=A g=1", starts, ends);
    world.run_to(60);
    world.jump_wall(3_600);
    world.restart(5);
    world.step(Event::Tick);
    world.jump_wall(-2 * 3_600);
    world.post("n=A g=1", starts, ends);
    world.run_to(200);
    world.expect(&[
        "10 hook/webhook[0] first notification: f=A r=",
        "40 hook/webhook[0] all alerts resolved: f= r=A",
    ]);
}

#[test]
fn t86_an_end_that_was_not_told_is_told_though_the_clock_says_that_it_is_days_old() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.run_to(20);
    world.failing.insert("hook/webhook[0]".to_owned());
    world.resolve("n=A g=1");
    world.run_to(50);
    world.jump_wall(2 * 86_400);
    world.restart(5);
    world.run_to(60);
    world.failing.clear();
    world.run_to(100);
    let told = world.told.last().map(String::as_str);
    assert_eq!(told, Some("85 hook/webhook[0] all alerts resolved: f= r=A"));
}

#[test]
fn t86_a_clock_set_back_makes_no_flapping_of_turns_that_were_far_apart() {
    let damping = Damping {
        receiver: None,
        matchers: Vec::new(),
        changes: 4,
        within: Duration::from_secs(100),
        stable: Duration::from_secs(1_000),
    };
    let options = Options { damping: vec![damping], ..Options::default() };
    let mut world = World::with(&ONE.replace("1h", "10h"), options);
    for second in [0, 400, 800] {
        world.run_to(second);
        world.fire("n=A g=1");
        world.run_to(second + 200);
        world.resolve("n=A g=1");
    }
    world.run_to(1_200);
    world.fire("n=A g=1");
    world.run_to(1_400);
    world.told.clear();
    world.jump_wall(-3_600);
    world.restart(5);
    world.resolve("n=A g=1");
    world.run_to(1_500);
    world.expect(&["1415 hook/webhook[0] all alerts resolved: f= r=A"]);
}

#[test]
fn an_end_is_told_when_a_restart_brings_its_route_back() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.run_to(20);
    world.reload("{route: {receiver: other}, receivers: [{name: other}]}");
    world.resolve("n=A g=1");
    world.run_to(300);
    // The file is put back while the process is down.
    world.dead = true;
    world.reload(ONE);
    world.restart(5);
    world.run_to(400);
    world.expect(&[
        "10 hook/webhook[0] first notification: f=A r=",
        "305 hook/webhook[0] all alerts resolved: f= r=A",
    ]);
}

#[test]
fn an_end_is_told_when_a_reload_brings_its_route_back() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.run_to(20);
    world.reload("{route: {receiver: other}, receivers: [{name: other}]}");
    world.resolve("n=A g=1");
    world.run_to(300);
    world.reload(ONE);
    world.run_to(400);
    world.expect(&[
        "10 hook/webhook[0] first notification: f=A r=",
        "300 hook/webhook[0] all alerts resolved: f= r=A",
    ]);
}

#[test]
fn restarts_make_no_promise_longer() {
    let mut world = World::new(ONE);
    world.fire_until("n=A g=1", 60);
    world.run_to(20);
    world.restart(101);
    // Now its row is written once more.
    world.silence("n=A", 60);
    world.run_to(155);
    world.restart(100);
    world.run_to(400);
    world.expect(&[
        "10 hook/webhook[0] first notification: f=A r=",
        "315 hook/webhook[0] all alerts resolved: f= r=A",
    ]);
}

#[test]
fn what_was_on_its_way_is_sent_once_more_with_the_same_key() {
    let mut world = World::new(ONE);
    world.hanging.insert("hook/webhook[0]".to_owned());
    world.fire("n=A g=1");
    world.run_to(11);
    let delivery = world.open.pop().expect("on its way");
    world.hear(&delivery);
    world.hanging.clear();
    world.restart(2);
    world.run_to(100);
    world.expect(&[
        "11 hook/webhook[0] first notification: f=A r=",
        "13 hook/webhook[0] first notification: f=A r=",
    ]);
    assert_eq!(world.keys.first(), world.keys.last(), "a sink can drop the second");
    let outbox = world.rows.keys().filter(|(table, _)| *table == Table::Outbox).count();
    assert_eq!(outbox, 0);
}

#[test]
fn what_was_on_its_way_to_a_receiver_that_is_gone_is_dropped() {
    let mut world = World::new(ONE);
    world.hanging.insert("hook/webhook[0]".to_owned());
    world.fire("n=A g=1");
    world.run_to(11);
    world.reload("{route: {receiver: other}, receivers: [{name: other}]}");
    world.restart(1);
    world.run_to(100);
    world.expect(&[]);
    let outbox = world.rows.keys().filter(|(table, _)| *table == Table::Outbox).count();
    assert_eq!(outbox, 0);
}

#[test]
fn a_broken_row_is_left_out_and_the_others_are_there() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.fire("n=B g=1");
    let broken =
        world.rows.keys().find(|(table, _)| *table == Table::Alert).expect("a row").clone();
    let mut records: Vec<_> = world
        .rows
        .iter()
        .map(|((table, key), value)| watchbell::alerts::Record {
            table: *table,
            key: key.clone(),
            value: Some(if (*table, key.clone()) == broken {
                "{".to_owned()
            } else {
                value.clone()
            }),
        })
        .collect();
    records.reverse();
    let mut fresh = World::new(ONE);
    let effects = fresh.engine.step(fresh.now(), Event::Restored(records));
    let left_out = effects.iter().filter(|one| matches!(one, Effect::RecordLeftOut(_))).count();
    assert_eq!(left_out, 1);
    assert_eq!(fresh.engine.firing_alerts(fresh.now()).len(), 1);
}

/// One life of two alerts; the process dies after `cut` effects of the whole run and comes back.
/// The sources go on sending what is true, as rules and other programs do.
fn life(cut: usize, heard_before_the_crash: bool) -> (World, usize) {
    let mut world = World::new(ONE);
    let mut left = cut;
    let mut count = 0;
    let mut crashed = false;
    let mut events: Vec<(u64, &str, bool)> = Vec::new();
    for second in (0..400).step_by(5) {
        events.push((second, "n=A g=1", (5..100).contains(&second)));
        events.push((second, "n=B g=1", (60..200).contains(&second)));
    }
    let mut fired = BTreeSet::new();
    for (second, alert, fires) in events {
        world.run_to(second);
        if !fires && !fired.contains(alert) {
            continue;
        }
        if fires {
            fired.insert(alert);
        }
        let ends = if fires { second + 60 } else { second };
        let ends = world.at(i64::try_from(ends).expect("small"));
        let starts = Some(world.at(if alert.contains('A') { 5 } else { 60 }));
        let draft = watchbell::alerts::AlertDraft {
            labels: super::world::labels(alert),
            starts_at: starts,
            ends_at: Some(ends),
            ..watchbell::alerts::AlertDraft::default()
        };
        let config = world.engine.config().clone();
        let (alerts, _) = watchbell::alerts::complete_all(vec![draft], world.now().wall, &config);
        let effects = world.engine.step(world.now(), Event::AlertsReceived(alerts));
        count += effects.len();
        if crashed || effects.len() <= left {
            left = left.saturating_sub(effects.len());
            world.carry_out(effects, usize::MAX);
            continue;
        }
        crashed = true;
        if heard_before_the_crash {
            // The sink has it, but its answer is lost with the process.
            let sent: Vec<_> = effects.iter().take(left).cloned().collect();
            for effect in &sent {
                if let Effect::Deliver(delivery) = effect {
                    world.hear(delivery);
                }
            }
            let stored = sent.into_iter().filter(|effect| !matches!(effect, Effect::Deliver(_)));
            world.carry_out(stored.collect(), usize::MAX);
        } else {
            let stored = effects.into_iter().take(left);
            let stored = stored.filter(|effect| !matches!(effect, Effect::Deliver(_)));
            world.carry_out(stored.collect(), usize::MAX);
        }
        world.restart(1);
    }
    world.run_to(800);
    (world, count)
}

#[test]
fn a_cut_after_any_effect_loses_no_firing_and_no_end() {
    let (_, total) = life(usize::MAX, false);
    assert!(total > 100, "{total} effects");
    for cut in 0..total {
        for heard in [false, true] {
            let (world, _) = life(cut, heard);
            let told = &world.told;
            let says = |what: &str| {
                told.iter().position(|line| {
                    let (_, alerts) = line.split_once(": ").expect("alerts");
                    let (firing, resolved) = alerts.split_once(" r=").expect("both");
                    match what.split_once('=') {
                        Some(("f", name)) => firing.contains(name),
                        Some((_, name)) => resolved.contains(name),
                        None => false,
                    }
                })
            };
            for name in ["A", "B"] {
                let fired = says(&format!("f={name}"));
                let ended = told.iter().rposition(|line| {
                    line.split_once(" r=").is_some_and(|(_, r)| r.contains(name))
                });
                assert!(fired.is_some(), "cut {cut}: {name} was never told: {told:?}");
                assert!(ended > fired, "cut {cut}: the end of {name} was never told: {told:?}");
            }
            let mut keys = world.keys.clone();
            keys.sort();
            keys.dedup();
            assert!(
                world.keys.len() - keys.len() <= 1,
                "cut {cut}: more than one duplicate: {told:?}"
            );
        }
    }
}
