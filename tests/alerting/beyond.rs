//! What Alertmanager does not do: acknowledgements that stop repeats, ends that are told at last
//! or given up, flapping alerts that are told once.

use super::world::{World, labels};
use std::time::Duration;
use watchbell::alerts::matchers::{Mode, parse_list};
use watchbell::alerts::{
    AckDraft, Answer, Awaited, Damping, Event, Expected, GroupBy, Options, RECURS, SilenceError,
    UNTIL,
};
use watchbell::model::Annotations;

const ONE: &str = "
route: {receiver: hook, group_by: [g], group_wait: 10s, group_interval: 30s, repeat_interval: 100s}
receivers:
- {name: hook, webhook_configs: [{url: 'http://x'}]}
";

fn acknowledge(world: &mut World, alert: &str) {
    world.step(Event::Acknowledged(AckDraft {
        fingerprints: vec![labels(alert).fingerprint()],
        by: "me".to_owned(),
        comment: String::new(),
    }));
}

fn withdraw(world: &mut World, alert: &str) {
    let prints = vec![labels(alert).fingerprint()];
    world.step(Event::AckWithdrawn(prints, "me".to_owned()));
}

#[test]
fn an_acknowledged_alert_is_not_repeated_until_that_is_taken_back() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.run_to(20);
    acknowledge(&mut world, "n=A g=1");
    world.restart(1);
    world.run_to(500);
    world.expect(&["10 hook/webhook[0] first notification: f=A r="]);
    withdraw(&mut world, "n=A g=1");
    world.run_to(535);
    assert_eq!(world.told.len(), 1, "{:?}", world.told);
    assert!(world.told[0].contains("repeat interval elapsed: f=A"), "{:?}", world.told);
}

#[test]
fn a_repeat_names_those_that_nobody_works_on_and_a_new_member_all() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.fire("n=B g=1");
    world.run_to(20);
    acknowledge(&mut world, "n=A g=1");
    world.run_to(140);
    world.fire("n=C g=1");
    world.run_to(170);
    world.expect(&[
        "10 hook/webhook[0] first notification: f=A,B r=",
        "130 hook/webhook[0] repeat interval elapsed: f=B r=",
        "160 hook/webhook[0] new alerts added: f=A,B,C r=",
    ]);
}

#[test]
fn an_acknowledgement_does_not_outlive_its_alert() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    world.run_to(20);
    acknowledge(&mut world, "n=A g=1");
    world.resolve("n=A g=1");
    world.run_to(60);
    world.fire("n=A g=1");
    world.run_to(200);
    world.expect(&[
        "10 hook/webhook[0] first notification: f=A r=",
        "40 hook/webhook[0] all alerts resolved: f= r=A",
        "70 hook/webhook[0] first notification: f=A r=",
        "190 hook/webhook[0] repeat interval elapsed: f=A r=",
    ]);
}

#[test]
fn an_end_that_was_kept_quiet_is_told_when_its_sender_says_it_again() {
    // As rules do for a quarter of an hour. The alert is older than `group_wait`: T33.
    let mut world = World::new(&ONE.replace("100s", "10h"));
    let starts = Some(world.now().wall);
    world.fire("n=A g=1");
    world.run_to(20);
    let id = world.silence("n=A", 3600);
    let ends = Some(world.now().wall);
    world.post("n=A g=1", starts, ends);
    world.run_to(100);
    world.expire(&id);
    world.post("n=A g=1", starts, ends);
    world.run_to(150);
    world.expect(&[
        "10 hook/webhook[0] first notification: f=A r=",
        "100 hook/webhook[0] all alerts resolved: f= r=A",
    ]);
}

#[test]
fn an_end_that_can_not_be_told_is_given_up_after_a_day() {
    let mut world = World::new(&ONE.replace("30s", "30m"));
    world.fire("n=A g=1");
    world.run_to(20);
    world.failing.insert("hook/webhook[0]".to_owned());
    world.resolve("n=A g=1");
    world.run_to(24 * 3600);
    assert!(world.happened.iter().all(|one| one.kind != "given_up"));
    world.run_to(24 * 3600 + 30);
    let last = world.happened.iter().find(|one| one.kind == "given_up").expect("told");
    assert_eq!(last.body["receivers"], serde_json::json!(["hook"]));
    world.run_to(26 * 3600);
    assert!(world.engine.all_alerts(world.now()).is_empty());
    let left: Vec<_> = world.rows.keys().map(|(table, _)| table.as_str()).collect();
    assert_eq!(left, ["counter"]);
}

#[test]
fn a_flapping_alert_is_told_once_and_its_end_when_it_has_come_to_rest() {
    let damping = Damping {
        receiver: Some("hook".to_owned()),
        matchers: Vec::new(),
        changes: 4,
        within: Duration::from_secs(200),
        stable: Duration::from_secs(100),
    };
    let options = Options { damping: vec![damping], ..Options::default() };
    let mut world = World::with(&ONE.replace("100s", "1h"), options);
    world.fire("n=A g=1");
    world.run_to(41);
    for second in (50..250).step_by(20) {
        world.resolve("n=A g=1");
        world.run_to(second + 10);
        world.fire("n=A g=1");
        world.run_to(second + 20);
    }
    world.resolve("n=A g=1");
    world.run_to(600);
    world.expect(&[
        "10 hook/webhook[0] first notification: f=A r=",
        "370 hook/webhook[0] all alerts resolved: f= r=A",
    ]);
    let turns: Vec<_> = world.happened.iter().map(|one| one.kind).collect();
    assert_eq!(turns.iter().filter(|kind| **kind == "flapping").count(), 1, "{turns:?}");
    assert_eq!(turns.iter().filter(|kind| **kind == "stable").count(), 1, "{turns:?}");
}

#[test]
fn an_end_that_nobody_said_is_one_turn() {
    let damping = Damping {
        receiver: None,
        matchers: Vec::new(),
        changes: 5,
        within: Duration::from_secs(200),
        stable: Duration::from_secs(100),
    };
    let options = Options { damping: vec![damping], ..Options::default() };
    let mut world = World::with(ONE, options);
    world.fire_until("n=A g=1", 20);
    world.run_to(41);
    world.fire_until("n=A g=1", 70);
    world.run_to(85);
    world.expect(&[
        "10 hook/webhook[0] first notification: f=A r=",
        "40 hook/webhook[0] all alerts resolved: f= r=A",
        "51 hook/webhook[0] first notification: f=A r=",
        "81 hook/webhook[0] all alerts resolved: f= r=A",
    ]);
}

#[test]
fn t86_a_wall_clock_that_jumps_ends_nothing_and_brings_nothing_back() {
    let mut world = World::new(&ONE.replace("100s", "10h"));
    world.fire_until("n=A g=1", 240);
    world.run_to(20);
    world.jump_wall(7_200);
    world.run_to(100);
    world.expect(&["10 hook/webhook[0] first notification: f=A r="]);
    world.resolve("n=A g=1");
    world.run_to(105);
    world.jump_wall(-7_200);
    world.run_to(400);
    world.expect(&["130 hook/webhook[0] all alerts resolved: f= r=A"]);
}

fn silence(world: &mut World, seconds: i64, annotation: (&str, &str)) -> Answer {
    world.silence_with("n=A", seconds, watchbell::model::Labels::from_pairs([annotation]));
    world.answers.pop().expect("an answer")
}

#[test]
fn a_silence_until_resolved_lasts_as_long_as_its_alert_and_ends_soon_after() {
    let mut world = World::new(ONE);
    world.fire("n=A g=1");
    assert!(matches!(silence(&mut world, 30, (UNTIL, "resolved")), Answer::Silence(Ok(_))));
    world.run_to(900);
    // The process is away for less than the margin.
    world.restart(200);
    world.run_to(7_000);
    world.expect(&[]);
    let view = world.engine.silences(world.now()).remove(0);
    assert!(view.acts);
    assert_eq!(view.silence.updated_at, world.at(0), "nobody has changed it");
    world.resolve("n=A g=1");
    world.run_to(7_301);
    assert!(!world.engine.silences(world.now())[0].acts, "it ends when its alert has ended");
    world.fire("n=A g=1");
    world.run_to(7_320);
    world.expect(&["7311 hook/webhook[0] first notification: f=A r="]);
}

#[test]
fn a_silence_until_resolved_goes_on_after_the_process_was_away_for_long() {
    for (away, resolved) in [(400, false), (7_200, false), (400, true), (2 * 86_400, false)] {
        let mut world = World::new(&ONE.replace("100s", "48h"));
        world.fire("n=A g=1");
        silence(&mut world, 30, (UNTIL, "resolved"));
        world.run_to(900);
        if resolved {
            world.resolve("n=A g=1");
            world.run_to(910);
        }
        world.restart(away);
        let ended = world.happened.iter().filter(|one| one.body["what"] == "ended").count();
        let acts = !resolved && away < 86_400;
        assert_eq!(world.engine.silences(world.now())[0].acts, acts, "{away} {resolved}");
        assert_eq!(ended, usize::from(!acts), "{away} {resolved}");
        world.run_to(900 + away + 600);
        assert_eq!(world.told.is_empty(), acts || resolved, "{:?}", world.told);
    }
}

#[test]
fn a_silence_until_resolved_ends_after_a_day_whatever_fires() {
    let mut world = World::new(&ONE.replace("100s", "48h"));
    world.fire("n=A g=1");
    silence(&mut world, 30, (UNTIL, "resolved"));
    world.run_to(24 * 3600 - 1);
    world.expect(&[]);
    world.run_to(24 * 3600 + 31);
    assert_eq!(world.told.len(), 1, "{:?}", world.told);
}

#[test]
fn a_recurring_silence_acts_in_its_interval_also_over_a_change_of_the_local_clock() {
    // The script starts on 2024-01-01T00:00Z; at that time it is 01:00 in Berlin, and 02:00 in
    // summer.
    let yaml = format!(
        "{ONE}time_intervals:\n- {{name: night, time_intervals: [{{location: Europe/Berlin, times: \
         [{{start_time: '03:00', end_time: '04:00'}}]}}]}}\n"
    );
    let mut world = World::new(&yaml.replace("100s", "48h"));
    assert!(matches!(silence(&mut world, 300 * 86_400, (RECURS, "night")), Answer::Silence(Ok(_))));
    let acts = |world: &World| world.engine.silences(world.now())[0].acts;
    let summer: u64 = 182 * 86_400;
    for (hour, expected) in [
        (1, false),
        (2, true),
        (3, false),
        (summer / 3600, false),
        (summer / 3600 + 1, true),
        (summer / 3600 + 2, false),
    ] {
        world.run_to(hour * 3600 + 60);
        assert_eq!(acts(&world), expected, "{hour}");
        assert_eq!(world.engine.silences(world.now())[0].state.as_str(), "active");
    }
    world.run_to(summer + 86_400 + 3600 + 60);
    world.fire_until("n=A g=1", 400 * 86_400);
    world.run_to(summer + 86_400 + 2 * 3600 - 1);
    world.expect(&[]);
    world.run_to(summer + 86_400 + 2 * 3600 + 31);
    assert_eq!(world.told.len(), 1, "{:?}", world.told);
}

#[test]
fn a_recurring_silence_whose_interval_a_reload_takes_away_is_told() {
    let night = |name: &str| {
        format!("{ONE}time_intervals:\n- {{name: {name}, time_intervals: [{{years: ['2024']}}]}}\n")
    };
    let mut world = World::new(&night("night"));
    silence(&mut world, 900, (RECURS, "night"));
    assert!(world.engine.silences(world.now())[0].acts);
    let told = |world: &World| world.engine.silences_without_interval(world.now());
    assert_eq!(told(&world), [""; 0]);
    let what = |world: &mut World| -> Vec<String> {
        let all = world.happened.drain(..).map(|one| one.body["what"].to_string());
        all.collect()
    };
    what(&mut world);
    world.reload(&night("nights"));
    let id = world.engine.silences(world.now())[0].silence.id.clone();
    let text = format!("silence {} of me does not act: there is no time interval", id.as_str());
    assert_eq!(told(&world), [format!("{text} \"night\"")]);
    world.reload(&night("other"));
    world.restart(1);
    assert_eq!(told(&world).len(), 1);
    world.reload(&night("night"));
    assert_eq!(told(&world), [""; 0]);
    assert_eq!(what(&mut world), ["\"interval_gone\"", "\"interval_back\""]);
    // What is over is no loss.
    world.run_to(1_000);
    world.reload(ONE);
    assert_eq!((told(&world), what(&mut world)), (vec![], vec!["\"ended\"".to_owned()]));
}

#[test]
fn t86_a_silence_goes_on_for_as_long_as_was_said_when_the_wall_clock_is_set() {
    for jump in [-7_200, 7_200] {
        let mut world = World::new(ONE);
        world.silence("n=A", 600);
        world.fire("n=A g=1");
        world.run_to(60);
        world.jump_wall(jump);
        world.run_to(90);
        world.restart(1);
        world.run_to(599);
        world.expect(&[]);
        world.run_to(640);
        assert_eq!(world.told.len(), 1, "{jump}: {:?}", world.told);
    }
}

#[test]
fn what_a_silence_says_that_cannot_be_is_refused() {
    let mut world = World::new(ONE);
    for (annotation, expected) in [
        ((UNTIL, "acknowledged"), "unknown watchbell_until \"acknowledged\"; resolved is wanted"),
        ((RECURS, "night"), "undefined time interval \"night\" in watchbell_recurs"),
    ] {
        let answer = silence(&mut world, 60, annotation);
        let expected = SilenceError::Invalid(format!("invalid silence: {expected}"));
        assert_eq!(answer, Answer::Silence(Err(expected)));
    }
}

#[test]
fn an_expected_alert_that_stops_coming_is_an_alert_until_it_comes_again() {
    let expected = Expected {
        name: "dog".to_owned(),
        awaited: Awaited::Alert,
        matchers: parse_list("alertname=Watchdog", Mode::Fallback).expect("valid"),
        within: Duration::from_secs(300),
        labels: labels("n=M g=1"),
        annotations: labels(""),
    };
    let options = Options { expected: vec![expected], ..Options::default() };
    let mut world = World::with(&ONE.replace("100s", "10h"), options);
    world.run_to(299);
    world.expect(&[]);
    world.fire_until("alertname=Watchdog g=2 n=W", 600);
    world.run_to(400);
    world.told.clear();
    // After a restart it has as long again to be heard.
    world.restart(50);
    world.run_to(749);
    world.expect(&[]);
    world.run_to(770);
    let views = world.engine.firing_alerts(world.now());
    let missing = views.iter().find(|view| view.alert.name() == "ExpectedAlertMissing");
    let missing = &missing.expect("it is raised").alert;
    assert_eq!(missing.labels, labels("alertname=ExpectedAlertMissing expected=dog n=M g=1"));
    assert!(missing.annotations.value_of("summary").contains("came for 5m"));
    world.run_to(4_000);
    let told: Vec<_> = world.told.drain(..).filter(|line| line.contains('M')).collect();
    assert_eq!(told.len(), 1, "it goes on: {told:?}");
    world.fire_until("alertname=Watchdog g=2 n=W", 5_000);
    world.run_to(4_050);
    assert!(world.told.iter().any(|line| line.contains("r=M")), "{:?}", world.told);
}

fn backup(within: u64) -> Options {
    let expected = Expected {
        name: "backup".to_owned(),
        awaited: Awaited::Push,
        matchers: parse_list("job=backup", Mode::Fallback).expect("valid"),
        within: Duration::from_secs(within),
        labels: labels("n=M g=1"),
        annotations: labels("summary=late"),
    };
    Options { expected: vec![expected], ..Options::default() }
}

#[test]
fn an_expected_push_that_stops_coming_is_an_alert_until_it_comes_again() {
    let mut world = World::with(&ONE.replace("100s", "10h"), backup(300));
    // An alert with such labels is no push.
    world.fire_until("job=backup n=X g=2", 5_000);
    world.step(Event::PushTaken(labels("job=backup instance=a")));
    world.run_to(299);
    world.step(Event::PushTaken(labels("job=other")));
    world.run_to(310);
    let missing = labels("alertname=ExpectedPushMissing expected=backup n=M g=1");
    let is_there = |world: &World| {
        world.engine.alert(missing.fingerprint(), world.now()).is_some_and(|view| {
            assert_eq!(view.alert.annotations, Annotations::from_pairs([("summary", "late")]));
            view.status == watchbell::model::AlertStatus::Firing
        })
    };
    assert!(is_there(&world));
    let view = &world.engine.expected(world.now())[0];
    assert_eq!((view.is_missing, view.last_seen), (true, Some(world.at(0))));
    world.step(Event::PushTaken(labels("job=backup instance=b")));
    assert!(!is_there(&world), "any group that matches will do");
    assert!(!world.engine.expected(world.now())[0].is_missing);
}

#[test]
fn what_never_came_is_missing_however_often_the_process_starts() {
    let mut world = World::with(ONE, backup(3_000));
    world.run_to(0);
    for second in (500..=2_500).step_by(500) {
        world.run_to(second);
        world.restart(0);
        assert_eq!(world.engine.expected(world.now())[0].last_seen, None);
    }
    // The time before the restarts counts, but for ten minutes after the last one.
    world.run_to(3_099);
    assert!(!world.engine.expected(world.now())[0].is_missing);
    world.run_to(3_101);
    assert!(world.engine.expected(world.now())[0].is_missing);
}

#[test]
fn after_a_restart_there_is_time_to_be_heard_again() {
    let mut world = World::with(ONE, backup(300));
    world.step(Event::PushTaken(labels("job=backup")));
    world.run_to(10);
    world.restart(600);
    world.run_to(909);
    assert!(!world.engine.expected(world.now())[0].is_missing);
    world.run_to(911);
    assert!(world.engine.expected(world.now())[0].is_missing);
    // What was missing before stays so.
    world.restart(1);
    assert!(world.engine.expected(world.now())[0].is_missing);
}

#[test]
fn a_route_test_says_what_was_looked_at_and_where_it_goes() {
    let yaml = "
route:
  receiver: hook
  group_by: [g]
  group_wait: 10s
  routes:
  - {matchers: [g=2], receiver: other}
  - matchers: [g=1, n=~\"A|B\"]
    receiver: other
    continue: true
    mute_time_intervals: [late]
  - {matchers: [g=1], receiver: hook}
  - {matchers: [g=1], receiver: never}
time_intervals:
- {name: late, time_intervals: [{times: [{start_time: '01:00', end_time: '02:00'}]}]}
receivers:
- {name: hook, webhook_configs: [{url: 'http://x'}, {url: 'http://y'}]}
- {name: other}
- {name: never}
";
    let mut world = World::new(yaml);
    world.fire("n=A g=1");
    let id = world.silence("n=A", 60);
    let now = world.now();
    let test = world.engine.route_test(&labels("n=A g=1"), now.wall, now);
    let nodes: Vec<_> = test
        .nodes
        .iter()
        .map(|node| (node.matchers.as_str(), node.matched, node.continues))
        .collect();
    let (two, both) = (r#"{g="2"}"#, r#"{g="1",n=~"A|B"}"#);
    assert_eq!(
        nodes,
        [("{}", true, false), (two, false, false), (both, true, true), (r#"{g="1"}"#, true, false)]
    );
    let miss = test.nodes[1].miss.clone().expect("it does not match");
    assert_eq!((miss.matcher.as_str(), miss.found.as_str()), (r#"g="2""#, "1"));
    let receivers: Vec<_> = test.finals.iter().map(|one| one.receiver.as_str()).collect();
    assert_eq!(receivers, ["other", "hook"]);
    let last = &test.finals[1];
    assert_eq!(last.integrations, ["webhook[0]", "webhook[1]"]);
    assert_eq!(last.group_key.as_str(), r#"{}/{g="1"}:{g="1"}"#);
    let group = last.group.clone().expect("the alert is there");
    assert_eq!((group.members, group.next_flush), (1, world.at(10)));
    assert_eq!(test.silenced_by, [id]);
    let later = world.engine.route_test(&labels("n=A g=1"), world.at(4_000), now);
    assert_eq!(
        (later.finals[0].muted_by.as_slice(), later.silenced_by.len()),
        (&["late".to_owned()][..], 0)
    );
    assert_eq!(world.told, [""; 0], "nothing has changed");
}

#[test]
fn a_grouping_preview_groups_what_fires_both_ways() {
    let mut world = World::new(ONE);
    for alert in ["n=A g=1 h=1", "n=B g=1 h=2", "n=C g=2 h=2", "n=D g=2 h=2"] {
        world.fire(alert);
    }
    world.resolve("n=D g=2 h=2");
    let by = GroupBy::Labels(["h".to_owned()].into());
    let preview = world.engine.grouping_preview(None, &by, world.now());
    let shown = |groups: &[(watchbell::model::Labels, Vec<watchbell::model::Fingerprint>)]| {
        groups.iter().map(|(labels, all)| (labels.to_string(), all.len())).collect::<Vec<_>>()
    };
    let expect = |groups: &[(&str, usize)]| {
        groups.iter().map(|(labels, all)| ((*labels).to_owned(), *all)).collect::<Vec<_>>()
    };
    assert_eq!(shown(&preview.before), expect(&[(r#"{g="1"}"#, 2), (r#"{g="2"}"#, 1)]));
    assert_eq!(shown(&preview.after), expect(&[(r#"{h="2"}"#, 2), (r#"{h="1"}"#, 1)]));
    let other = world.engine.grouping_preview(Some("{}/{x=\"y\"}"), &by, world.now());
    assert_eq!(other.after, []);
    let root = world.engine.grouping_preview(Some("{}"), &GroupBy::All, world.now());
    assert_eq!(root.after.len(), 3);
}
