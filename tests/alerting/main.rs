//! Alerting as scripts: at this second these alerts arrive, at that one these notifications are
//! expected. Time is virtual; the expectations follow Alertmanager's documented behavior.

mod ack;
mod beside;
mod beyond;
mod crash;
mod drill;
mod grammar;
mod history;
mod kinds;
mod mail;
mod oracle;
mod outside;
mod plan;
#[path = "../service/programs.rs"]
#[expect(dead_code, reason = "only the service's tests run agents and Prometheus")]
mod programs;
mod recorded;
mod rendered;
mod scale;
mod sending;
mod simulation;
mod sinks;
mod web_hook;
mod world;

use world::World;

const ONE: &str = "
route: {receiver: hook, group_by: [g], group_wait: 10s, group_interval: 30s, repeat_interval: 100s}
receivers:
- {name: hook, webhook_configs: [{url: 'http://x'}]}
";

#[test]
fn t32_the_first_flush_waits_and_then_ticks_go_on_whatever_happens() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.run_to(5);
    world.fire("n=B g=1");
    world.run_to(12);
    world.expect(&["10 hook/webhook[0] first notification: f=A,B r="]);
    // A new alert in the group waits for the next tick, which counts from the first flush.
    world.fire("n=C g=1");
    world.run_to(39);
    world.expect(&[]);
    world.run_to(41);
    world.expect(&["40 hook/webhook[0] new alerts added: f=A,B,C r="]);
}

#[test]
fn t32_an_alert_that_began_long_ago_is_told_at_once() {
    let mut world = World::new(ONE);
    let began = world.at(-60);
    let ends = world.at(1_000);
    world.post("n=A g=1", Some(began), Some(ends));
    world.expect(&["0 hook/webhook[0] first notification: f=A r="]);
}

#[test]
fn t32_repeats_round_up_to_a_tick() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.run_to(260);
    // Ticks at 10, 40, 70 and so on: more than 100 s after 10 is first at 130, then at 250.
    world.expect(&[
        "10 hook/webhook[0] first notification: f=A r=",
        "130 hook/webhook[0] repeat interval elapsed: f=A r=",
        "250 hook/webhook[0] repeat interval elapsed: f=A r=",
    ]);
}

#[test]
fn t32_an_empty_group_ends_and_starts_over_with_its_wait() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.run_to(20);
    world.resolve("n=A g=1");
    world.run_to(45);
    world.expect(&[
        "10 hook/webhook[0] first notification: f=A r=",
        "40 hook/webhook[0] all alerts resolved: f= r=A",
    ]);
    world.fire("n=A g=1");
    world.run_to(56);
    world.expect(&["55 hook/webhook[0] first notification: f=A r="]);
}

#[test]
fn t33_an_alert_that_fires_again_during_the_send_stays_in_the_group() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.run_to(20);
    world.resolve("n=A g=1");
    world.hanging.insert("hook/webhook[0]".to_owned());
    world.run_to(41);
    world.fire("n=A g=1");
    let delivery = world.open.pop().expect("the end is on its way");
    world.hanging.clear();
    world.told.clear();
    world.hear(&delivery);
    world.report(&delivery, false);
    world.run_to(75);
    world.expect(&[
        "41 hook/webhook[0] all alerts resolved: f= r=A",
        "70 hook/webhook[0] first notification: f=A r=",
    ]);
}

#[test]
fn t33_a_resolved_alert_stays_until_it_was_told() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.run_to(20);
    world.resolve("n=A g=1");
    world.failing.insert("hook/webhook[0]".to_owned());
    world.run_to(800);
    world.expect(&["10 hook/webhook[0] first notification: f=A r="]);
    world.failing.clear();
    world.run_to(830);
    world.expect(&["820 hook/webhook[0] all alerts resolved: f= r=A"]);
}

#[test]
fn t33_a_send_has_the_group_interval_but_at_least_ten_seconds() {
    for (interval, expected) in [("30s", 30), ("4s", 10)] {
        let mut world =
            World::new(&ONE.replace("group_interval: 30s", &format!("group_interval: {interval}")));
        world.hanging.insert("hook/webhook[0]".to_owned());
        world.fire("n=A g=1");
        world.run_to(10);
        let delivery = world.open.pop().expect("on its way");
        assert_eq!(delivery.deadline.as_secs(), 10 + expected, "{interval}");
    }
}

#[test]
fn t33_a_delivery_without_any_report_does_not_hold_its_group_up_for_ever() {
    let mut world = World::new(ONE);
    world.hanging.insert("hook/webhook[0]".to_owned());
    world.fire("n=A g=1");
    world.run_to(50);
    world.hanging.clear();
    world.run_to(60);
    world.expect(&["55 hook/webhook[0] first notification: f=A r="]);
}

#[test]
fn t34_a_group_that_shrinks_says_so_only_to_those_who_want_resolved_alerts() {
    let yaml = "
route: {receiver: two, group_by: [g], group_wait: 10s, group_interval: 30s, repeat_interval: 1h}
receivers:
- {name: two, webhook_configs: [{url: 'http://x'}, {url: 'http://y', send_resolved: false}]}
";
    let mut world = World::new(yaml);
    world.fire("n=A g=1");
    world.fire("n=B g=1");
    world.run_to(20);
    world.resolve("n=B g=1");
    world.run_to(45);
    world.expect(&[
        "10 two/webhook[0] first notification: f=A,B r=",
        "10 two/webhook[1] first notification: f=A,B r=",
        "40 two/webhook[0] some alerts resolved: f=A r=B",
    ]);
}

#[test]
fn t35_without_send_resolved_the_next_firing_is_not_taken_for_a_repeat() {
    let mut world = World::new(&ONE.replace("'http://x'", "'http://x', send_resolved: false"));
    world.fire("n=A g=1");
    world.run_to(20);
    world.resolve("n=A g=1");
    world.run_to(45);
    world.fire("n=A g=1");
    world.run_to(60);
    world.expect(&[
        "10 hook/webhook[0] first notification: f=A r=",
        "55 hook/webhook[0] first notification: f=A r=",
    ]);
}

#[test]
fn t36_an_alert_that_is_not_refreshed_resolves_by_itself() {
    let mut world = World::new(ONE);
    world.fire_until("n=A g=1", 60);
    world.run_to(50);
    world.fire_until("n=A g=1", 95);
    world.run_to(110);
    world.expect(&[
        "10 hook/webhook[0] first notification: f=A r=",
        "100 hook/webhook[0] all alerts resolved: f= r=A",
    ]);
}

#[test]
fn t37_inhibition_is_judged_at_the_flush_and_a_silenced_source_still_acts() {
    let yaml = "
route: {receiver: hook, group_by: [n], group_wait: 10s, group_interval: 30s}
inhibit_rules: [{source_matchers: [sev=page], target_matchers: [sev=warn], equal: [host]}]
receivers:
- {name: hook, webhook_configs: [{url: 'http://x'}]}
";
    let mut world = World::new(yaml);
    world.silence("n=S", 3600);
    world.fire("n=T sev=warn host=a");
    world.fire("n=U sev=warn host=b");
    world.run_to(5);
    // The source comes within the target's group_wait.
    world.fire("n=S sev=page host=a");
    world.run_to(60);
    world.expect(&["10 hook/webhook[0] first notification: f=U r="]);
    world.resolve("n=S sev=page host=a");
    world.run_to(75);
    world.expect(&["70 hook/webhook[0] first notification: f=T r="]);
}

#[test]
fn t39_an_alert_that_ends_while_it_is_silenced_ends_quietly_as_upstream_does() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.run_to(20);
    let id = world.silence("n=A", 3600);
    world.resolve("n=A g=1");
    world.run_to(100);
    world.expire(&id);
    world.run_to(300);
    world.expect(&["10 hook/webhook[0] first notification: f=A r="]);
}

#[test]
fn t64_one_integration_that_fails_neither_stops_nor_repeats_another() {
    let yaml = "
route: {receiver: two, group_by: [g], group_wait: 10s, group_interval: 30s}
receivers:
- {name: two, webhook_configs: [{url: 'http://x'}, {url: 'http://y'}]}
";
    let mut world = World::new(yaml);
    world.failing.insert("two/webhook[0]".to_owned());
    world.fire("n=A g=1");
    world.run_to(45);
    world.failing.clear();
    world.run_to(200);
    world.expect(&[
        "10 two/webhook[1] first notification: f=A r=",
        "70 two/webhook[0] first notification: f=A r=",
    ]);
}

#[test]
fn t64_a_receiver_without_integrations_is_a_black_hole() {
    let mut world = World::new("{route: {receiver: none}, receivers: [{name: none}]}");
    world.fire("n=A");
    world.run_to(600);
    world.resolve("n=A");
    world.run_to(1_000);
    world.expect(&[]);
    assert!(world.engine.alert_groups(world.now()).is_empty(), "the group ended");
}

#[test]
fn t65_a_silence_that_ends_makes_its_alert_new_at_the_next_tick() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.fire("n=B g=1");
    let id = world.silence("n=B", 3600);
    world.run_to(50);
    world.expire(&id);
    world.run_to(75);
    world.expect(&[
        "10 hook/webhook[0] first notification: f=A r=",
        "70 hook/webhook[0] new alerts added: f=A,B r=",
    ]);
}

#[test]
fn t40_intervals_belong_to_their_route_and_a_muted_group_keeps_its_log() {
    // The script starts on a Monday at midnight, UTC.
    let yaml = "
route:
  receiver: hook
  group_by: [g]
  group_wait: 10s
  group_interval: 30s
  routes:
  - matchers: [team=x]
    mute_time_intervals: [first_minutes]
    routes:
    - {matchers: [sub=y], receiver: child}
  - {matchers: [team=z], active_time_intervals: [first_minutes], receiver: active}
time_intervals:
- {name: first_minutes, time_intervals: [{times: [{start_time: '00:00', end_time: '00:02'}]}]}
receivers:
- {name: hook, webhook_configs: [{url: 'http://x'}]}
- {name: child, webhook_configs: [{url: 'http://x'}]}
- {name: active, webhook_configs: [{url: 'http://x'}]}
";
    let mut world = World::new(yaml);
    world.fire("n=A team=x");
    world.fire("n=B team=x sub=y");
    world.fire("n=C team=z");
    world.run_to(119);
    world.expect(&[
        "10 child/webhook[0] first notification: f=B r=",
        "10 active/webhook[0] first notification: f=C r=",
    ]);
    let views = world.engine.all_alerts(world.now());
    let muted: Vec<_> = views.iter().map(|view| view.quiet.muted_by.len()).collect();
    assert_eq!(muted.iter().sum::<usize>(), 1, "only the route itself is muted");
    world.resolve("n=C team=z");
    world.run_to(140);
    world.expect(&["130 hook/webhook[0] first notification: f=A r="]);
}

#[test]
fn t72_a_reload_keeps_the_log_and_rebuilds_the_groups() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.run_to(20);
    world.fire("n=B g=2");
    world.reload(ONE);
    // The old alert's group is looked at once, and has nothing new to say; the young one waits
    // anew.
    world.run_to(29);
    world.expect(&["10 hook/webhook[0] first notification: f=A r="]);
    world.run_to(35);
    world.expect(&["30 hook/webhook[0] first notification: f=B r="]);
    world.resolve("n=A g=1");
    world.run_to(60);
    world.expect(&["50 hook/webhook[0] all alerts resolved: f= r=A"]);
}

#[test]
fn t86_a_wall_clock_that_jumps_fires_no_timer() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.run_to(15);
    world.told.clear();
    world.jump_wall(86_400);
    world.run_to(100);
    world.expect(&[]);
    world.jump_wall(-2 * 86_400);
    world.run_to(135);
    world.expect(&["130 hook/webhook[0] repeat interval elapsed: f=A r="]);
}

#[test]
fn views_say_what_keeps_an_alert_quiet_and_where_it_goes() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    let id = world.silence("n=A", 60);
    world.run_to(15);
    let view = world.engine.firing_alerts(world.now()).pop().expect("one alert");
    assert_eq!(view.quiet.silenced_by, [id]);
    assert_eq!(view.quiet.api_state(), "suppressed");
    assert_eq!(view.receivers, ["hook"]);
    let group = view.groups.first().expect("a group");
    assert_eq!(group.group.as_str(), r#"{}:{g="1"}"#);
    assert_eq!(group.next_flush, world.at(40));
    world.run_to(75);
    let view = world.engine.firing_alerts(world.now()).pop().expect("one alert");
    assert_eq!(view.quiet.api_state(), "active");
    let delivery = view.deliveries.first().expect("it was told");
    assert_eq!((delivery.at, delivery.error.as_deref()), (world.at(70), None));
    let report = world.engine.integrations().pop().expect("one integration");
    assert_eq!((report.sent, report.failed), (1, 0));
}

#[test]
fn every_step_says_when_to_wake_and_never_in_the_past() {
    use watchbell::alerts::{Effect, Event};
    let mut world = World::new(ONE);
    for second in [0, 5, 10, 30, 2_000] {
        world.run_to(second);
        let effects = world.engine.step(world.now(), Event::Tick);
        let Some(Effect::WakeAt(wake)) = effects.last() else { panic!("{effects:?}") };
        let nothing_open = second == 0 || second == 2_000;
        assert_eq!(*wake == std::time::Duration::MAX, nothing_open, "at {second}: {wake:?}");
        assert!(*wake > world.now().elapsed, "at {second}: {wake:?}");
        if second == 0 {
            world.fire_until("n=A g=1", 20);
        }
    }
}

#[test]
fn resolved_alerts_stay_visible_for_a_while_and_are_then_forgotten() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.run_to(20);
    world.resolve("n=A g=1");
    world.run_to(900);
    assert!(world.engine.firing_alerts(world.now()).is_empty());
    assert_eq!(world.engine.all_alerts(world.now()).len(), 1);
    world.run_to(940);
    assert_eq!(world.engine.all_alerts(world.now()).len(), 0);
    let left: Vec<_> = world.rows.keys().map(|(table, _)| table.as_str()).collect();
    assert_eq!(left, ["counter"], "the log entry is gone too, after twice the repeat interval");
}
