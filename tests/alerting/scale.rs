//! Many alerts in many groups: each group is told once, and a look at all of them costs little.
//!
//! `WATCHBELL_SCALE=10000` runs with so many alerts and prints what the engine took of processor
//! and memory: to be run alone, by hand.

use super::world::{World, labels};
use std::time::Duration;
use watchbell::alerts::{Event, Table};
use watchbell::model::{Alert, Annotations};

const YAML: &str = "
route: {receiver: hook, group_by: [alertname], group_wait: 10s, group_interval: 60s, repeat_interval: 5m}
inhibit_rules: [{source_matchers: [severity=critical], target_matchers: [severity=warning], equal: [instance]}]
receivers:
- {name: hook, webhook_configs: [{url: 'http://x'}]}
";

/// Alerts of one group.
const MEMBERS: usize = 20;

fn alerts(world: &World, count: usize) -> Vec<Alert> {
    let now = world.now().wall;
    let alert = |number: usize| Alert {
        labels: labels(&format!(
            "alertname=Name{} instance=host{number}:9100 job=node severity=page team=infra \
             cluster=c1 device=sda{number} n={number}",
            number / MEMBERS
        )),
        annotations: Annotations::from_pairs([
            ("summary", "Something of this host is not as it should be".to_owned()),
            ("description", format!("Host {number} has had this for 5 minutes, VALUE = 1")),
        ]),
        starts_at: now,
        ends_at: now.plus(Duration::from_secs(240)),
        generator_url: "http://localhost:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1".to_owned(),
        updated_at: now,
        ends_by_timeout: false,
    };
    (0..count).map(alert).collect()
}

/// Seconds of processor time and kilobytes of memory that this process has taken.
fn taken() -> (f64, u64) {
    let read = |path: &str| std::fs::read_to_string(path).expect("/proc");
    let stat = read("/proc/self/stat");
    let fields: Vec<_> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks: f64 =
        fields.iter().skip(11).take(2).map(|ticks| ticks.parse::<f64>().expect("ticks")).sum();
    let status = read("/proc/self/status");
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    let kilobytes = rss.split_whitespace().next().expect("kB").parse().expect("a number");
    (ticks / 100.0, kilobytes)
}

#[test]
fn every_group_of_many_is_told_once_and_again_only_when_it_is_time() {
    let by_hand = std::env::var("WATCHBELL_SCALE").ok();
    let count: usize = by_hand.as_deref().map_or(400, |text| text.parse().expect("a number"));
    let groups = count / MEMBERS;
    let mut world = World::new(YAML);
    let mut last = taken();
    let idle = last;
    let mut say = |what: &str| {
        let now = taken();
        if by_hand.is_some() {
            println!(
                "{what}: {:.2} s, {} kB above idle",
                now.0 - last.0,
                now.1.saturating_sub(idle.1)
            );
        }
        last = taken();
    };
    let all = alerts(&world, count);
    say("making them");
    world.step(Event::AlertsReceived(all));
    say("taking them in");
    world.run_to(11);
    say("the first look, all told");
    assert_eq!(world.told.len(), groups);
    let outbox = world.rows.keys().filter(|(table, _)| *table == Table::Outbox).count();
    assert_eq!(outbox, 0, "all have arrived");
    for second in [60, 120, 180, 240, 300] {
        world.run_to(second);
        let written = world.rows.clone();
        let again: Vec<_> = alerts(&world, count)
            .into_iter()
            .map(|alert| Alert { starts_at: world.at(0), ..alert })
            .collect();
        world.step(Event::AlertsReceived(again));
        let changed =
            world.rows.iter().filter(|(key, row)| written.get(*key) != Some(*row)).count();
        let rewritten = second % 180 == 0;
        assert_eq!(changed, if rewritten { count } else { 0 }, "rows written at {second}");
    }
    say("five minutes of being sent again");
    assert_eq!(world.told.len(), groups, "nobody is told without a reason");
    world.run_to(375);
    say("the repeat, all told");
    assert_eq!(world.told.len(), 2 * groups);
    let ended = world.now().wall;
    let ends = alerts(&world, count).into_iter().map(|alert| Alert {
        starts_at: world.at(0),
        ends_at: ended,
        ..alert
    });
    let ends = ends.collect();
    world.step(Event::AlertsReceived(ends));
    world.run_to(440);
    say("the end, all told");
    assert_eq!(world.told.len(), 3 * groups);
    world.run_to(2_000);
    assert!(world.engine.all_alerts(world.now()).is_empty());
}
