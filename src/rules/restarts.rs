//! Scripts of restarts and of clocks that are set: what goes on, and what is known of what was
//! before.

// All of this file is test code; from this line on the checks of the house know it too.
#[cfg(test)]
use super::config::RuleFile;
use super::life::{A, B, DOWN, World, active, at, changes, context, group, restart_as, sent, step};
use super::{Group, Newest, respell};
use crate::model::Labels;
use crate::model::METRIC_NAME;
use crate::model::stale_nan;
use crate::sys::sim::VirtualClock;
use std::time::Duration;

#[test]
fn t26_for_goes_on_over_a_restart_to_the_second() {
    let world = World::default();
    world.answer("up == 0", &[A]);
    let mut before = group(DOWN);
    step(&mut before, &world, 0);
    step(&mut before, &world, 60);
    let mut after = restart_as(DOWN, &before.saved(), 90);
    assert_eq!(sent(&step(&mut after, &world, 119), 119), [""; 0]);
    assert_eq!(sent(&step(&mut after, &world, 120), 120), ["a firing 120 360"]);
    // A firing alert stays one: same start, and no resend before its time.
    let mut again = restart_as(DOWN, &after.saved(), 130);
    assert_eq!(sent(&step(&mut again, &world, 150), 150), [""; 0]);
    assert_eq!(sent(&step(&mut again, &world, 200), 200), ["a firing 120 440"]);
    // What ended while the process was down is resolved, once samples can have come.
    let mut late = restart_as(DOWN, &again.saved(), 1000);
    world.answer("up == 0", &[]);
    assert_eq!(sent(&step(&mut late, &world, 1020), 1020), ["a firing 120 1260"]);
    assert_eq!(sent(&step(&mut late, &world, 1094), 1094), ["a firing 120 1334"]);
    assert_eq!(sent(&step(&mut late, &world, 1095), 1095), ["a resolved 120 1095"]);
}

#[test]
fn t26_that_nothing_is_seen_so_soon_after_a_restart_ends_nothing() {
    let yaml = "groups: [{name: g, interval: 15s, rules: [\
                {alert: Down, expr: 'rate(x[1m]) > 0', for: 2m}]}]";
    let (query, world) = ("rate(x[1m]) > 0", World::default());
    world.answer(query, &[A]);
    let mut before = group(yaml);
    step(&mut before, &world, 0);
    world.answer(query, &[A, B]);
    step(&mut before, &world, 120);
    assert_eq!(active(&before), ["a firing 0", "b pending 120"]);
    // 45 s later there is one sample in the window, and of one there is no rate.
    let mut after = restart_as(yaml, &before.saved(), 165);
    world.answer(query, &[]);
    let early = step(&mut after, &world, 180);
    assert_eq!((sent(&early, 180), changes(&early.changes)), (vec![], vec![]));
    assert_eq!(sent(&step(&mut after, &world, 195), 195), ["a firing 120 435"]);
    assert_eq!(active(&after), ["a firing 0", "b pending 120"]);
    // Both are seen again and go on; from then on they end as they always do.
    world.answer(query, &[A, B]);
    step(&mut after, &world, 210);
    world.answer(query, &[B]);
    assert_eq!(sent(&step(&mut after, &world, 215), 215), ["a resolved 120 215"]);
    world.answer(query, &[A, B]);
    step(&mut after, &world, 240);
    assert_eq!(active(&after), ["a pending 240", "b firing 120"]);
    // What stays away is over once a whole window was seen.
    let mut over = restart_as(yaml, &before.saved(), 165);
    world.answer(query, &[]);
    assert_eq!(sent(&step(&mut over, &world, 224), 224), ["a firing 120 464"]);
    let end = step(&mut over, &world, 225);
    assert_eq!(sent(&end, 225), ["a resolved 120 225"]);
    assert_eq!(active(&over), [""; 0]);
    // A group that looks back in time sees it so much later.
    let offset = yaml.replace("interval: 15s", "interval: 15s, query_offset: 1m");
    let mut later = restart_as(&offset, &before.saved(), 165);
    assert_eq!(active(&later), ["a firing 0", "b pending 120"]);
    step(&mut later, &world, 284);
    assert_eq!(active(&later), ["a firing 0", "b pending 120"]);
    assert_eq!(sent(&step(&mut later, &world, 285), 285), ["a resolved 120 285"]);
}

#[test]
fn a_wall_clock_that_is_set_changes_no_alert() {
    let yaml = "groups: [{name: g, rules: [{alert: Down, expr: up == 0, for: 2m}, \
                {alert: Keep, expr: k == 0, keep_firing_for: 10m}]}]";
    let world = World::default();
    let (k, old) = ([("__name__", "k"), ("instance", "k")], [("instance", "old")]);
    for jump in [-7200, 7200] {
        let mut group = group(yaml);
        let mut elapsed = 0;
        // The slot and the wall clock, and how much time has passed.
        let mut run = |group: &mut Group, seconds: i64| {
            elapsed += 60;
            let set = group.follow_clock(at(seconds), Duration::from_secs(elapsed), &context());
            (set, step(group, &world, seconds))
        };
        world.answer("up == 0", &[A, (&old, 0.0)]);
        world.answer("k == 0", &[(&k, 0.0)]);
        run(&mut group, 10_000);
        run(&mut group, 10_060);
        assert_eq!(run(&mut group, 10_120).1.alerts.len(), 3);
        world.answer("up == 0", &[A, B]);
        world.answer("k == 0", &[]);
        run(&mut group, 10_180);
        // a fires, b waits, old is over, and k is kept.
        let (a, b, kept) = (10_000 + jump, 10_180 + jump, 10_000 + jump);
        let all =
            [format!("a firing {a}"), format!("b pending {b}"), format!("k firing {kept} {b}")];
        let now = 10_240 + jump;
        let (set, evaluation) = run(&mut group, now);
        assert_eq!((set, active(&group)), (true, all.to_vec()), "{jump}");
        assert_eq!(changes(&evaluation.changes), [""; 0]);
        let (fired, end) = (a + 120, now + 240);
        let resent = [format!("a firing {fired} {end}"), format!("k firing {kept} {end}")];
        assert_eq!(sent(&evaluation, now), resent, "{jump}");
        let (set, evaluation) = run(&mut group, now + 60);
        let resent =
            [format!("b firing {} {}", now + 60, end + 60), format!("old resolved {fired} {b}")];
        assert_eq!((set, sent(&evaluation, now + 60)), (false, resent.to_vec()), "{jump}");
        assert_eq!(changes(&evaluation.changes), [format!("firing b 0 {b}")]);
    }
}

#[test]
fn that_nothing_is_seen_so_soon_after_a_jump_of_the_wall_clock_ends_nothing() {
    let yaml = "groups: [{name: g, interval: 15s, rules: [\
                {alert: Down, expr: 'rate(x[1m]) > 0', for: 2m}]}]";
    let (query, world) = ("rate(x[1m]) > 0", World::default());
    // After a suspend, after a wall clock that was set back, and after a leap that leaves nearly
    // all of the window: two scrapes and an evaluation are waited for then.
    for (jump, awaited) in [(3600, 60), (-3600, 60), (2, 50)] {
        let mut group = group(yaml);
        let mut elapsed = 0;
        let mut run = |group: &mut Group, passed: u64, seconds: i64| {
            elapsed += passed;
            group.follow_clock(at(seconds), Duration::from_secs(elapsed), &context());
            step(group, &world, seconds)
        };
        world.answer(query, &[A]);
        run(&mut group, 0, 10_000);
        world.answer(query, &[A, B]);
        run(&mut group, 120, 10_120);
        let both = |moved: i64| {
            [format!("a firing {}", 10_000 + moved), format!("b pending {}", 10_120 + moved)]
        };
        assert_eq!(active(&group), both(0));
        // There are no samples of the new time yet.
        world.answer(query, &[]);
        let jumped = 10_135 + jump;
        for later in [0, 15, 30, awaited - 1] {
            let passed: i64 = if later == awaited - 1 { awaited - 31 } else { 15 };
            let early = run(&mut group, passed.unsigned_abs(), jumped + later);
            assert_eq!(changes(&early.changes), [""; 0], "{jump} {later}");
            assert_eq!(active(&group), both(jump), "{jump} {later}");
        }
        // One that is seen again goes on; what stays away is over.
        world.answer(query, &[B]);
        let end = run(&mut group, 1, jumped + awaited);
        let fired = 10_120 + jump;
        let resolved = format!("a resolved {fired} {}", jumped + awaited);
        assert_eq!(sent(&end, jumped + awaited), [resolved], "{jump}");
        assert_eq!(active(&group), [both(jump)[1].clone()], "{jump}");
        // From then on alerts end as they always do.
        world.answer(query, &[]);
        run(&mut group, 15, jumped + awaited + 15);
        assert_eq!(active(&group), [""; 0], "{jump}");
    }
}

#[test]
fn times_of_a_wall_clock_that_was_set_back_over_a_restart_are_not_in_the_future() {
    let world = World::default();
    world.answer("up == 0", &[A]);
    let mut before = group(DOWN);
    step(&mut before, &world, 10_000);
    world.answer("up == 0", &[A, B]);
    step(&mut before, &world, 10_120);
    let mut after = restart_as(DOWN, &before.saved(), 5_000);
    assert_eq!(after.last_evaluation(), Some(at(5_000)));
    assert_eq!(active(&after), ["a firing 4880", "b pending 5000"]);
    assert_eq!(sent(&step(&mut after, &world, 5_061), 5_061), ["a firing 5000 5301"]);
    assert_eq!(step(&mut after, &world, 5_120).alerts.len(), 1);
    assert_eq!(active(&after), ["a firing 4880", "b firing 5000"]);
}

#[test]
fn t26_of_a_long_downtime_one_hour_counts() {
    let yaml = "groups: [{name: g, rules: [{alert: Down, expr: up == 0, for: 2h}]}]";
    let world = World::default();
    world.answer("up == 0", &[A]);
    let mut before = group(yaml);
    step(&mut before, &world, 0);
    step(&mut before, &world, 1800);
    // Ten hours later 30 minutes and one hour of the two hours are over.
    let now = 1800 + 36_000;
    let mut after = restart_as(yaml, &before.saved(), now);
    assert_eq!(sent(&step(&mut after, &world, now + 1799), now + 1799), [""; 0]);
    assert_eq!(step(&mut after, &world, now + 1800).alerts.len(), 1);
}

#[test]
fn t26_an_alert_that_was_due_while_nobody_was_there_fires_at_the_slot_that_was_missed() {
    let world = World::default();
    world.answer("up == 0", &[A, B]);
    let mut before = group(DOWN);
    let first = before.next_after(at(1_000_000));
    let second = |slot: i64| first.as_millis() / 1000 + slot * 60;
    let seconds = |slot| first.plus_millis(slot * 60_000);
    let run = |group: &mut Group, slot: i64| {
        group.evaluate(seconds(slot), &context(), &world, &world, &VirtualClock::at(first))
    };
    run(&mut before, 0);
    run(&mut before, 1);
    // It fires in slot 2; the process is back ten seconds later, and b has recovered.
    let now = seconds(2).plus_millis(10_000);
    let saved = before.saved();
    let records = saved.iter().map(|(key, json)| (key.as_str(), json.as_str()));
    let mut after = group(DOWN);
    assert_eq!(after.missed_slot(now), None, "nothing is known of it");
    after.restore(records, now, &context());
    assert_eq!(
        (after.view().last_evaluation, after.missed_slot(now)),
        (Some(seconds(1)), Some(seconds(2)))
    );
    world.answer("up == 0", &[A, (&[("__name__", "up"), ("instance", "new")], 0.0)]);
    world.written();
    let caught = after.catch_up(seconds(2), &context(), &world, &world, &VirtualClock::at(now));
    let start = second(2);
    assert_eq!(sent(&caught, start), [format!("a firing {start} {}", start + 240)]);
    assert_eq!(changes(&caught.changes), [format!("firing a 0 {}", second(0))]);
    // What it did not see stays, and nothing new begins: samples may be missing.
    let zero = second(0);
    assert_eq!(active(&after), [format!("a firing {zero}"), format!("b pending {zero}")]);
    assert_eq!(world.written().concat().len(), 4);
    assert_eq!(caught.records.len(), 2, "{:?}", caught.records);
    assert_eq!(after.last_evaluation(), Some(seconds(1)), "it was no evaluation");
    // With nothing due nothing is asked.
    world.asked.lock().unwrap().clear();
    let mut early = restart_as(DOWN, &saved, second(1) + 1);
    early.catch_up(seconds(1), &context(), &world, &world, &VirtualClock::at(now));
    assert_eq!(*world.asked.lock().unwrap(), []);
    assert_eq!(early.missed_slot(seconds(1)), None);
}

#[test]
fn t26_without_records_alerts_go_on_as_the_store_remembers_them() {
    let yaml = "groups: [{name: g, rules: [\
                {alert: Down, expr: up == 0, for: 20m, labels: {sev: page, x: '{{ $labels.y }}'}}, \
                {alert: Short, expr: down, for: 9m}]}]";
    // What is remembered: since when it was active, and the newest sample; the time is 10 000.
    for (since, newest, value, expected) in [
        // It had fired.
        (8_000, 9_500, 8_000.0, "firing 8000"),
        // 1500 of 1200 seconds are over too, however long nobody looked.
        (7_000, 8_500, 7_000.0, "firing 7000"),
        // 1000 seconds are over: the 200 that are left are less than the grace period.
        (8_000, 9_000, 8_000.0, "pending 9400"),
        // 300 seconds are over; the downtime of 700 does not count.
        (9_000, 9_300, 9_000.0, "pending 9700"),
        // It had ended.
        (8_000, 9_500, stale_nan(), "pending 10000"),
    ] {
        let (mut group, world) = (group(yaml), World::default());
        let labels = Labels::from_pairs([
            (METRIC_NAME, "ALERTS_FOR_STATE"),
            ("alertname", "Down"),
            ("instance", "a"),
            ("sev", "page"),
            ("x", "{{ $labels.y }}"),
        ]);
        world.remembered.lock().unwrap().push(Newest { labels, at: at(newest), value });
        let clock = VirtualClock::at(at(10_000));
        assert_eq!(group.recall(at(10_000), &context(), &world, &clock), []);
        assert_eq!(
            *world.looked_up.lock().unwrap(),
            [r#"__name__="ALERTS_FOR_STATE" alertname="Down" sev="page" 6400 10000"#],
            "of `for` shorter than the grace period nothing is asked"
        );
        world.answer("up == 0", &[A, B]);
        world.answer("down", &[]);
        step(&mut group, &world, 10_000);
        let expected = format!("a {expected}");
        assert_eq!(active(&group), [expected.as_str(), "b pending 10000"], "{since}");
        // From the first sample on the series says so.
        let written = world.written().concat();
        let since = expected.rsplit(' ').next().expect("a time");
        assert!(written[0].contains("FOR_STATE") && written[0].ends_with(since), "{written:?}");
    }
}

#[test]
fn t26_the_store_is_believed_for_two_evaluations() {
    let yaml = "groups: [{name: g, rules: [{alert: Down, expr: up == 0, for: 20m}]}]";
    for (empty, expected) in [(0, "a pending 0"), (1, "a pending 0"), (2, "a pending 240")] {
        let (mut group, world) = (group(yaml), World::default());
        let labels = Labels::from_pairs([("alertname", "Down"), ("instance", "a")]);
        world.remembered.lock().unwrap().push(Newest { labels, at: at(60), value: 0.0 });
        group.recall(at(60), &context(), &world, &VirtualClock::at(at(60)));
        world.answer("up == 0", &[]);
        for _ in 0..empty {
            step(&mut group, &world, 60);
        }
        world.answer("up == 0", &[A]);
        step(&mut group, &world, if empty == 2 { 240 } else { 60 });
        assert_eq!(active(&group), [expected], "{empty}");
    }
}

#[test]
fn t26_of_a_rule_without_a_record_the_store_is_asked_although_its_group_has_one() {
    let down = "{alert: Down, expr: up == 0, for: 20m}";
    let moved = "{alert: Moved, expr: moved, for: 20m}";
    let (mut before, world) =
        (group(&format!("groups: [{{name: g, rules: [{down}]}}]")), World::default());
    world.answer("up == 0", &[A]);
    step(&mut before, &world, 0);
    step(&mut before, &world, 60);
    let yaml = format!("groups: [{{name: g, rules: [{down}, {moved}]}}]");
    let mut after = restart_as(&yaml, &before.saved(), 90);
    let labels = [(METRIC_NAME, "ALERTS_FOR_STATE"), ("alertname", "Moved"), ("instance", "b")];
    let labels = Labels::from_pairs(labels);
    world.remembered.lock().unwrap().push(Newest { labels, at: at(60), value: 0.0 });
    assert_eq!(after.recall(at(90), &context(), &world, &VirtualClock::at(at(90))), []);
    let asked = [r#"__name__="ALERTS_FOR_STATE" alertname="Moved" -3510 90"#];
    assert_eq!(*world.looked_up.lock().unwrap(), asked);
    world.answer("moved", &[B]);
    step(&mut after, &world, 120);
    assert_eq!(active(&after), ["a pending 0", "b pending 60"]);
}

#[test]
fn records_of_a_file_whose_name_was_not_cleaned_are_found_again() {
    let ctx = context();
    let file: RuleFile = serde_yaml::from_str(DOWN).expect("valid");
    let (mut before, world) = (Group::new("./c/../r.yml", &file.groups[0], &ctx), World::default());
    world.answer("up == 0", &[A]);
    step(&mut before, &world, 0);
    let mut records = before.saved();
    let old: Vec<_> = records.iter().map(|(key, _)| key.clone()).collect();
    let moved = respell(&mut records, |_| false);
    let from: Vec<_> = moved.iter().map(|(key, ..)| key.clone()).collect();
    assert_eq!((from, moved.len()), (old, 2));
    let mut after = Group::new("r.yml", &file.groups[0], &ctx);
    let pairs = records.iter().map(|(key, json)| (key.as_str(), json.as_str()));
    assert_eq!(after.restore(pairs, at(30), &ctx), [""; 0]);
    assert_eq!((active(&after), after.last_evaluation()), (active(&before), Some(at(0))));
    // They have their keys now, and where both are there those of now count.
    assert_eq!(respell(&mut records, |_| false), []);
    let mut both = [before.saved(), records.clone()].concat();
    assert_eq!(respell(&mut both, |_| false), []);
}
