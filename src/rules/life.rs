//! Scripts of whole lives: a querier that answers what the script says, a store that remembers,
//! and times that are arguments.

// All of this file is test code; from this line on the checks of the house know it too.
#[cfg(test)]
use super::config::RuleFile;
use super::*;
use crate::model::{
    Alert, AlertStatus, Annotations, Labels, METRIC_NAME, Matcher, TimeRange, Timestamp,
    is_stale_nan,
};
use crate::storage::append::{
    AppendError, AppendSample, Appender, Commit, Committed, Refusal, SeriesRef,
};
use crate::sys::metrics::Registry;
use crate::sys::sim::VirtualClock;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// What was written, and the answers of the script.
#[derive(Debug, Default)]
pub(super) struct World {
    /// Answers by query; a query without one reads the written series of that name.
    answers: Mutex<BTreeMap<String, Result<Vec<QuerySample>, String>>>,
    /// Times of the queries.
    pub(super) asked: Mutex<Vec<(String, i64)>>,
    commits: Mutex<Vec<Commit>>,
    /// Names of metrics whose samples are refused.
    refused: Mutex<Vec<String>>,
    closed: Mutex<bool>,
    /// What the store remembers of alerts, and what was asked for.
    pub(super) remembered: Mutex<Vec<Newest>>,
    pub(super) looked_up: Mutex<Vec<String>>,
    /// A query that panics.
    broken: Mutex<String>,
    /// After this query nothing is wanted any more.
    last: Mutex<String>,
}

impl World {
    pub(super) fn answer(&self, query: &str, series: &[(&[(&str, &str)], f64)]) {
        let samples = series
            .iter()
            .map(|(labels, value)| QuerySample {
                labels: Labels::from_pairs(labels.iter().copied()),
                value: *value,
            })
            .collect();
        self.answers.lock().unwrap().insert(query.to_owned(), Ok(samples));
    }

    pub(super) fn fail(&self, query: &str, why: &str) {
        self.answers.lock().unwrap().insert(query.to_owned(), Err(why.to_owned()));
    }

    /// The commits since the last call, each as `seconds labels value` lines.
    pub(super) fn written(&self) -> Vec<Vec<String>> {
        let commits = std::mem::take(&mut *self.commits.lock().unwrap());
        let line = |(labels, ts, value): (Labels, Timestamp, f64)| {
            let value = if is_stale_nan(value) { "stale".to_owned() } else { value.to_string() };
            format!("{} {labels} {value}", ts.as_millis() / 1000)
        };
        commits.iter().map(|commit| samples(commit).map(line).collect()).collect()
    }
}

impl Querier for World {
    fn instant(&self, query: &str, at: Timestamp) -> Result<Vec<QuerySample>, String> {
        self.asked.lock().unwrap().push((query.to_owned(), at.as_millis()));
        let broken = self.broken.lock().unwrap().clone();
        assert_ne!(broken, query, "as the test wants it");
        if let Some(answer) = self.answers.lock().unwrap().get(query) {
            return answer.clone();
        }
        let commits = self.commits.lock().unwrap();
        let latest: BTreeMap<_, _> = commits
            .iter()
            .flat_map(samples)
            .filter(|(labels, ts, _)| labels.metric_name() == Some(query) && *ts <= at)
            .map(|(labels, _, value)| (labels, value))
            .collect();
        let present = latest.into_iter().filter(|(_, value)| !is_stale_nan(*value));
        Ok(present.map(|(labels, value)| QuerySample { labels, value }).collect())
    }

    fn newest(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Newest>, String> {
        let matchers: Vec<_> = matchers.iter().map(ToString::to_string).collect();
        let (from, to) = (range.from().as_millis() / 1000, range.to().as_millis() / 1000);
        self.looked_up.lock().unwrap().push(format!("{} {from} {to}", matchers.join(" ")));
        Ok(self.remembered.lock().unwrap().clone())
    }

    fn is_over(&self) -> bool {
        let last = self.last.lock().unwrap();
        self.asked.lock().unwrap().iter().any(|(query, _)| query == &*last)
    }
}

impl Appender for World {
    fn commit(&self, commit: &Commit) -> Result<Committed, AppendError> {
        if *self.closed.lock().unwrap() {
            return Err(AppendError::Closed);
        }
        let refused = self.refused.lock().unwrap();
        let mut done = Committed::default();
        for (place, (labels, ..)) in samples(commit).enumerate() {
            let name = labels.metric_name().unwrap_or_default();
            if refused.iter().any(|known| known == name) {
                done.refused.push((place, Refusal::OutOfOrder));
            }
        }
        self.commits.lock().unwrap().push(commit.clone());
        Ok(done)
    }

    fn commit_synced(&self, commit: &Commit) -> Result<Committed, AppendError> {
        self.commit(commit)
    }

    fn find(&self, labels: &[Labels]) -> Vec<Option<SeriesRef>> {
        vec![None; labels.len()]
    }
}

/// The samples of a commit with their labels: rules know no references.
fn samples(commit: &Commit) -> impl Iterator<Item = (Labels, Timestamp, f64)> {
    let named = |(place, sample): (usize, &AppendSample)| {
        (commit.labels_at(place).expect("named").clone(), sample.ts, sample.value)
    };
    commit.samples.iter().enumerate().map(named)
}

pub(super) fn context() -> Context {
    Context {
        interval: Duration::from_secs(60),
        scrape_interval: Duration::from_secs(15),
        query_offset: Duration::ZERO,
        resend_delay: Duration::from_secs(60),
        outage_tolerance: Duration::from_secs(3600),
        grace_period: Duration::from_secs(600),
        external_labels: Labels::from_pairs([("cluster", "c1"), ("job", "outer")]),
        external_url: "http://host:9090".to_owned(),
        registry: Registry::new(),
        slots: None,
    }
}

pub(super) fn group(yaml: &str) -> Group {
    let file: RuleFile = serde_yaml::from_str(yaml).expect("a rule file");
    assert_eq!(check(&file), []);
    Group::new("rules.yml", &file.groups[0], &context())
}

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

#[track_caller]
pub(super) fn step(group: &mut Group, world: &World, seconds: i64) -> Evaluation {
    let clock = VirtualClock::at(at(seconds));
    group.evaluate(at(seconds), &context(), world, world, &clock)
}

/// `name phase active_at[ kept since]` of each active alert.
pub(super) fn active(group: &Group) -> Vec<String> {
    let mut out = Vec::new();
    for rule in group.view().rules {
        let RuleKindView::Alerting { alerts, .. } = rule.kind else { continue };
        for alert in alerts {
            let kept =
                alert.keep_firing_since.map(|since| format!(" {}", since.as_millis() / 1000));
            out.push(format!(
                "{} {} {}{}",
                alert.labels.value_of("instance"),
                alert.phase.as_str(),
                alert.active_at.as_millis() / 1000,
                kept.unwrap_or_default()
            ));
        }
    }
    out
}

/// `instance status starts ends` of each alert that is sent.
pub(super) fn sent(evaluation: &Evaluation, now: i64) -> Vec<String> {
    let line = |alert: &Alert| {
        let status = match alert.status(at(now)) {
            AlertStatus::Firing => "firing",
            AlertStatus::Resolved => "resolved",
        };
        let (starts, ends) = (alert.starts_at.as_millis() / 1000, alert.ends_at.as_millis() / 1000);
        format!("{} {status} {starts} {ends}", alert.labels.value_of("instance"))
    };
    evaluation.alerts.iter().map(line).collect()
}

pub(super) const DOWN: &str = "groups: [{name: g, rules: [{alert: Down, expr: up == 0, for: 2m}]}]";
pub(super) const A: (&[(&str, &str)], f64) = (&[("__name__", "up"), ("instance", "a")], 0.0);
pub(super) const B: (&[(&str, &str)], f64) = (&[("__name__", "up"), ("instance", "b")], 0.0);

#[test]
fn t28_an_alert_waits_fires_resolves_and_is_forgotten() {
    let (mut group, world) = (group(DOWN), World::default());
    world.answer("up == 0", &[A, B]);
    assert_eq!(sent(&step(&mut group, &world, 0), 0), [""; 0]);
    assert_eq!(active(&group), ["a pending 0", "b pending 0"]);
    // A pending alert that vanishes is forgotten, and never sent.
    world.answer("up == 0", &[A]);
    step(&mut group, &world, 60);
    assert_eq!(active(&group), ["a pending 0"]);
    // `for` counts from the first evaluation that saw it, compared with >=.
    assert_eq!(sent(&step(&mut group, &world, 120), 120), ["a firing 120 360"]);
    assert_eq!(active(&group), ["a firing 0"]);
    world.answer("up == 0", &[]);
    assert_eq!(sent(&step(&mut group, &world, 180), 180), ["a resolved 120 180"]);
    assert_eq!(active(&group), [""; 0]);
    // Sent again while it is kept: 15 minutes.
    assert_eq!(sent(&step(&mut group, &world, 300), 300), ["a resolved 120 180"]);
    assert_eq!(sent(&step(&mut group, &world, 1080), 1080), ["a resolved 120 180"]);
    assert_eq!(sent(&step(&mut group, &world, 1200), 1200), [""; 0]);
    // When it comes back it is a new one.
    world.answer("up == 0", &[A]);
    step(&mut group, &world, 1260);
    assert_eq!(active(&group), ["a pending 1260"]);
}

#[test]
fn t28_without_for_it_fires_at_once_and_again_at_once() {
    let yaml = "groups: [{name: g, rules: [{alert: Down, expr: up == 0}]}]";
    let (mut group, world) = (group(yaml), World::default());
    world.answer("up == 0", &[A]);
    assert_eq!(sent(&step(&mut group, &world, 0), 0), ["a firing 0 240"]);
    world.answer("up == 0", &[]);
    assert_eq!(sent(&step(&mut group, &world, 60), 60), ["a resolved 0 60"]);
    world.answer("up == 0", &[A]);
    assert_eq!(sent(&step(&mut group, &world, 90), 90), ["a firing 90 330"]);
    assert_eq!(active(&group), ["a firing 90"]);
}

#[test]
fn t29_an_alert_is_sent_on_change_and_after_the_resend_delay() {
    let yaml = "groups: [{name: g, interval: 20s, rules: [{alert: Down, expr: up == 0}]}]";
    let (mut group, world) = (group(yaml), World::default());
    world.answer("up == 0", &[A]);
    let mut times = Vec::new();
    for seconds in (0..=200).step_by(20) {
        if !step(&mut group, &world, seconds).alerts.is_empty() {
            times.push(seconds);
        }
    }
    // Upstream compares sent + delay < now, so with 20 s steps every fourth one sends.
    assert_eq!(times, [0, 80, 160]);
    // An error sends nothing and resolves nothing.
    world.fail("up == 0", "too many samples");
    let evaluation = step(&mut group, &world, 400);
    assert_eq!(sent(&evaluation, 400), [""; 0]);
    let failure = &evaluation.failures[0];
    assert_eq!(
        (failure.rule.as_str(), failure.error.to_string().as_str()),
        ("Down", "too many samples")
    );
    assert_eq!(active(&group), ["a firing 0"]);
}

#[test]
fn t29_sent_labels_have_external_ones_only_where_absent() {
    let yaml = "groups: [{name: g, rules: [{alert: Down, expr: up == 0}]}]";
    let (mut group, world) = (group(yaml), World::default());
    world.answer("up == 0", &[(&[("__name__", "up"), ("job", "node")], 0.0)]);
    let evaluation = step(&mut group, &world, 0);
    let alert = &evaluation.alerts[0];
    assert_eq!(alert.labels.to_string(), r#"{alertname="Down", cluster="c1", job="node"}"#);
    assert_eq!(alert.generator_url, "http://host:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1");
}

#[test]
fn t57_over_the_limit_all_alerts_are_cleared_and_no_series_ended() {
    let yaml = "groups: [{name: g, limit: 1, rules: [{alert: Down, expr: up == 0}]}]";
    let (mut group, world) = (group(yaml), World::default());
    world.answer("up == 0", &[A]);
    step(&mut group, &world, 0);
    world.written();
    world.answer("up == 0", &[A, B]);
    let evaluation = step(&mut group, &world, 60);
    assert_eq!(evaluation.failures[0].error.to_string(), "exceeded limit of 1 with 2 alerts");
    assert_eq!((sent(&evaluation, 60), active(&group)), (vec![], vec![]));
    assert_eq!(world.written(), [[""; 0]; 0]);
    assert_eq!(group.view().rules[0].health, Health::Err);
}

#[test]
fn t57_a_limit_below_nothing_is_none() {
    let yaml = "groups: [{name: g, limit: -1, rules: [{alert: Down, expr: up == 0}]}]";
    let (mut group, world) = (group(yaml), World::default());
    world.answer("up == 0", &[A, B]);
    assert_eq!(step(&mut group, &world, 0).alerts.len(), 2);
}

#[test]
fn t57_equal_labels_after_the_rules_own_change_nothing() {
    let yaml = "groups: [{name: g, rules: [\
                {alert: Down, expr: up == 0, labels: {instance: same}}, {record: r, expr: up, labels: {instance: ''}}]}]";
    let (mut group, world) = (group(yaml), World::default());
    world.answer("up == 0", &[A, B]);
    world.answer("up", &[A, B]);
    let errors: Vec<_> =
        step(&mut group, &world, 0).failures.iter().map(|f| f.error.to_string()).collect();
    assert_eq!(
        errors,
        [
            "vector contains metrics with the same labelset after applying alert labels",
            "vector contains metrics with the same labelset after applying rule labels"
        ]
    );
    assert_eq!((active(&group), world.written()), (vec![], vec![]));
}

const KEEP: &str =
    "groups: [{name: g, rules: [{alert: Down, expr: up == 0, for: 1m, keep_firing_for: 5m}]}]";

#[test]
fn t58_keep_firing_for_counts_from_the_first_evaluation_without_it() {
    let (mut group, world) = (group(KEEP), World::default());
    world.answer("up == 0", &[A]);
    step(&mut group, &world, 0);
    world.answer("up == 0", &[A, B]);
    step(&mut group, &world, 60);
    world.answer("up == 0", &[]);
    step(&mut group, &world, 120);
    // b was only pending, so nothing keeps it.
    assert_eq!(active(&group), ["a firing 0 120"]);
    world.answer("up == 0", &[A]);
    step(&mut group, &world, 180);
    assert_eq!(active(&group), ["a firing 0"]);
    world.answer("up == 0", &[]);
    step(&mut group, &world, 240);
    step(&mut group, &world, 480);
    assert_eq!(active(&group), ["a firing 0 240"]);
    assert_eq!(sent(&step(&mut group, &world, 540), 540), ["a resolved 60 540"]);
}

#[test]
fn t58_keep_firing_for_goes_on_over_a_reload_and_a_restart() {
    let (mut before, world) = (group(KEEP), World::default());
    world.answer("up == 0", &[A]);
    step(&mut before, &world, 0);
    step(&mut before, &world, 60);
    world.answer("up == 0", &[]);
    step(&mut before, &world, 120);
    let mut reloaded = group(KEEP);
    reloaded.adopt(before, &context());
    step(&mut reloaded, &world, 180);
    let mut restarted = restart(&reloaded, 300);
    step(&mut restarted, &world, 360);
    assert_eq!(active(&restarted), ["a firing 0 120"]);
    assert_eq!(sent(&step(&mut restarted, &world, 420), 420), ["a resolved 60 420"]);
}

/// A new group of the same file with the records of the old one.
fn restart(old: &Group, now: i64) -> Group {
    restart_as(KEEP, &old.saved(), now)
}

pub(super) fn restart_as(yaml: &str, saved: &[(String, String)], now: i64) -> Group {
    let mut new = group(yaml);
    let records = saved.iter().map(|(key, json)| (key.as_str(), json.as_str()));
    assert_eq!(new.restore(records, at(now), &context()), [""; 0]);
    new
}

#[test]
fn records_tell_what_changed_and_what_is_gone() {
    let (mut group, world) = (group(DOWN), World::default());
    let changes = |evaluation: &Evaluation| -> Vec<(usize, bool)> {
        let parts = |key: &str| key.split('/').count();
        evaluation.records.iter().map(|(key, json)| (parts(key), json.is_some())).collect()
    };
    world.answer("up == 0", &[A]);
    assert_eq!(changes(&step(&mut group, &world, 0)), [(1, true), (4, true)]);
    assert_eq!(changes(&step(&mut group, &world, 60)), [(1, true)]);
    let firing = step(&mut group, &world, 120);
    assert_eq!(changes(&firing), [(1, true), (4, true)]);
    assert_eq!(firing.records.len(), group.saved().len());
    assert_eq!(firing.records[1].1.as_ref(), Some(&group.saved()[1].1));
    world.answer("up == 0", &[]);
    step(&mut group, &world, 180);
    assert_eq!(changes(&step(&mut group, &world, 1200)), [(1, true), (4, false)]);
}

#[test]
fn records_of_removed_rules_are_named_and_damaged_ones_passed_over() {
    let world = World::default();
    world.answer("up == 0", &[A]);
    let mut before = group(DOWN);
    step(&mut before, &world, 0);
    let saved = before.saved();
    let mut other = group("groups: [{name: g, rules: [{alert: Other, expr: up == 0}]}]");
    let records = || saved.iter().map(|(key, json)| (key.as_str(), json.as_str()));
    assert_eq!(other.restore(records(), at(60), &context()), [saved[1].0.clone()]);
    let damaged = saved.iter().map(|(key, json)| (key.as_str(), &json[..json.len() / 2]));
    let mut same = group(DOWN);
    assert_eq!(same.restore(damaged, at(60), &context()), [saved[1].0.clone()]);
    assert_eq!(active(&same), [""; 0]);
    let mut stranger = group("groups: [{name: h, rules: [{alert: Down, expr: up == 0}]}]");
    assert_eq!(stranger.restore(records(), at(60), &context()), [""; 0]);
}

#[test]
fn t59_recorded_series_are_renamed_labelled_and_ended() {
    let yaml = "groups: [{name: g, query_offset: 30s, rules: [\
                {record: 'job:up', expr: up, labels: {instance: '', team: t}}]}]";
    let (mut group, world) = (group(yaml), World::default());
    let series = |job| -> [(&'static str, &'static str); 3] {
        [("__name__", "up"), ("instance", "a"), ("job", job)]
    };
    world.answer("up", &[(&series("x"), 1.0), (&series("y"), f64::INFINITY)]);
    step(&mut group, &world, 60);
    assert_eq!(world.asked.lock().unwrap()[0], ("up".to_owned(), 30_000));
    assert_eq!(
        world.written(),
        [[
            r#"30 {__name__="job:up", job="x", team="t"} 1"#,
            r#"30 {__name__="job:up", job="y", team="t"} inf"#
        ]]
    );
    world.answer("up", &[(&series("y"), 2.0)]);
    step(&mut group, &world, 120);
    assert_eq!(
        world.written(),
        [[
            r#"90 {__name__="job:up", job="y", team="t"} 2"#,
            r#"90 {__name__="job:up", job="x", team="t"} stale"#
        ]]
    );
    // A failed rule ends nothing; the series that is missing after it is ended then.
    world.fail("up", "no");
    step(&mut group, &world, 180);
    assert_eq!(world.written(), [[""; 0]; 0]);
    world.answer("up", &[]);
    step(&mut group, &world, 240);
    assert_eq!(world.written(), [[r#"210 {__name__="job:up", job="y", team="t"} stale"#]]);
    step(&mut group, &world, 300);
    assert_eq!(world.written(), [[""; 0]; 0]);
}

#[test]
fn t27_each_rule_sees_what_the_one_before_it_wrote() {
    let yaml = "groups: [{name: g, rules: [{record: a, expr: up}, {record: b, expr: a}, \
                {alert: B, expr: b}, {alert: Again, expr: ALERTS}]}]";
    let (mut group, world) = (group(yaml), World::default());
    world.answer("up", &[A]);
    step(&mut group, &world, 60);
    let times: Vec<i64> = world.asked.lock().unwrap().iter().map(|(_, at)| *at).collect();
    assert_eq!(times, [60_000; 4]);
    assert_eq!(active(&group), ["a firing 60", "a firing 60"]);
    assert_eq!(world.written().len(), 4, "each rule's output is a commit of its own");
}

#[test]
fn t27_slots_stay_where_file_and_name_put_them() {
    let mut group = group(DOWN);
    let first = group.next_after(at(1_000_000));
    assert!(first > at(1_000_000) && first <= at(1_000_060), "{first}");
    assert_eq!(group.next_after(first), first.plus_millis(60_000));
    assert_eq!(group.next_after(first.plus_millis(-1)), first);
    let other = super::life::group("groups: [{name: other, rules: [{record: a, expr: up}]}]");
    assert_ne!(other.next_after(at(1_000_000)), first);
    // An evaluation that took 2.5 intervals costs one whole cycle.
    let next = group.next_slot(first, first.plus_millis(150_000));
    assert_eq!(next, first.plus_millis(120_000));
    assert_eq!(group.next_slot(first, first.plus_millis(100)), first.plus_millis(60_000));
}

#[test]
fn t60_labels_come_from_the_series_and_a_broken_text_says_so() {
    let yaml = "groups: [{name: g, rules: [{alert: Down, expr: up == 0, \
        labels: {who: '{{ $labels.__name__ }}/{{ .Labels.instance }}/{{ $labels.alertname }}'}, \
        annotations: {v: '{{ $value }} in {{ $externalLabels.cluster }} at {{ $externalURL }}', \
        bad: '{{ first (query \"nothing\") }}', many: '{{ range 20 }}{{ query \"nothing\" }}{{ end }}', \
        plain: '}} text'}}]}]";
    let (mut group, world) = (group(yaml), World::default());
    world.answer("up == 0", &[A]);
    let evaluation = step(&mut group, &world, 0);
    let alert = &evaluation.alerts[0];
    assert_eq!(alert.labels.value_of("who"), "up/a/");
    assert_eq!(alert.annotations.value_of("v"), "0 in c1 at http://host:9090");
    assert_eq!(alert.annotations.value_of("plain"), "}} text");
    let bad = alert.annotations.value_of("bad");
    assert!(bad.starts_with("<error expanding template: error executing template __alert_Down: template: __alert_Down:1:"), "{bad}");
    assert!(
        bad.ends_with("error calling first: first() called on vector with no elements>"),
        "{bad}"
    );
    assert!(alert.annotations.value_of("many").contains("more than 16 queries in one template"));
}

#[test]
fn a_label_that_changes_each_time_makes_a_new_alert_each_time() {
    let yaml =
        "groups: [{name: g, rules: [{alert: V, expr: v, for: 2m, labels: {v: '{{ $value }}'}}]}]";
    let (mut group, world) = (group(yaml), World::default());
    for minute in 0..5 {
        world.answer("v", &[(&[("instance", "a")], minute as f64)]);
        step(&mut group, &world, minute * 60);
        assert_eq!(active(&group), [format!("a pending {}", minute * 60)]);
    }
}

#[test]
fn t62_a_reload_keeps_alerts_of_the_same_name_and_labels() {
    let (mut before, world) = (group(DOWN), World::default());
    world.answer("up == 0", &[A]);
    step(&mut before, &world, 0);
    step(&mut before, &world, 120);
    world.written();
    // The expression changed, and `for` got longer: firing goes back to pending.
    let yaml = "groups: [{name: g, rules: [{alert: Down, expr: up < 1, for: 10m}, \
                {alert: Down, expr: up < 1}]}]";
    let mut after = group(yaml);
    after.adopt(before, &context());
    assert_eq!(active(&after), ["a firing 0"]);
    world.answer("up < 1", &[A]);
    step(&mut after, &world, 180);
    assert_eq!(active(&after), ["a pending 0", "a firing 180"]);
}

#[test]
fn t62_series_of_a_removed_rule_end_with_the_next_evaluation() {
    let yaml = "groups: [{name: g, rules: [{record: a, expr: up}, {record: b, expr: up}]}]";
    let (mut before, world) = (group(yaml), World::default());
    world.answer("up", &[A]);
    step(&mut before, &world, 0);
    let mut after = group("groups: [{name: g, rules: [{record: b, expr: up}]}]");
    after.adopt(before, &context());
    world.written();
    step(&mut after, &world, 60);
    assert_eq!(
        world.written(),
        [[r#"60 {__name__="b", instance="a"} 0"#], [r#"60 {__name__="a", instance="a"} stale"#]]
    );
    // A removed group ends its series as of the moment it stopped.
    let last = after.last_words(at(90));
    assert_eq!(last.samples.len(), 1);
    assert_eq!(last.labels_at(0).unwrap().get(METRIC_NAME), Some("b"));
    assert!(last.samples[0].ts == at(90) && is_stale_nan(last.samples[0].value));
}

#[test]
fn t63_the_pending_series_ends_in_the_commit_that_begins_the_firing_one() {
    let yaml =
        "groups: [{name: g, rules: [{alert: Down, expr: up == 0, for: 1m, labels: {sev: page}}]}]";
    let (mut group, world) = (group(yaml), World::default());
    world.answer("up == 0", &[A]);
    step(&mut group, &world, 90);
    let labels = r#"alertname="Down""#;
    let series = |ts: i64, state: &str, value: &str| {
        format!(
            r#"{ts} {{__name__="ALERTS", {labels}, alertstate="{state}", instance="a", sev="page"}} {value}"#
        )
    };
    let since = |ts: i64, value: &str| {
        format!(
            r#"{ts} {{__name__="ALERTS_FOR_STATE", {labels}, instance="a", sev="page"}} {value}"#
        )
    };
    assert_eq!(world.written(), [[since(90, "90"), series(90, "pending", "1")]]);
    step(&mut group, &world, 150);
    assert_eq!(
        world.written(),
        [[since(150, "90"), series(150, "firing", "1"), series(150, "pending", "stale")]]
    );
    world.answer("up == 0", &[]);
    step(&mut group, &world, 210);
    assert_eq!(world.written(), [[series(210, "firing", "stale"), since(210, "stale")]]);
}

#[test]
fn what_the_store_refuses_is_the_rules_error() {
    let yaml = "groups: [{name: g, rules: [{record: a, expr: up}]}]";
    let (mut group, world) = (group(yaml), World::default());
    world.answer("up", &[A, B]);
    world.refused.lock().unwrap().push("a".to_owned());
    step(&mut group, &world, 0);
    let view = group.view();
    assert_eq!(
        view.rules[0].last_error,
        "the store refused 2 of the result's samples, the first one as out of order sample"
    );
    // Nothing was written, so nothing ends.
    world.refused.lock().unwrap().clear();
    world.answer("up", &[]);
    world.written();
    step(&mut group, &world, 60);
    assert_eq!(world.written(), [[""; 0]; 0]);
    *world.closed.lock().unwrap() = true;
    world.answer("up", &[A]);
    let evaluation = step(&mut group, &world, 120);
    assert_eq!(
        evaluation.failures[0].error.to_string(),
        "cannot write the result: the store is closed"
    );
}

#[test]
fn an_alert_is_sent_even_when_its_series_cannot_be_written() {
    let yaml = "groups: [{name: g, rules: [{alert: Down, expr: up == 0}]}]";
    let (mut group, world) = (group(yaml), World::default());
    world.answer("up == 0", &[A]);
    *world.closed.lock().unwrap() = true;
    let evaluation = step(&mut group, &world, 0);
    assert_eq!((sent(&evaluation, 0).len(), evaluation.failures.len()), (1, 1));
}

#[test]
fn the_view_shows_rules_as_the_api_wants_them() {
    let yaml = "groups: [{name: g, labels: {team: x}, rules: [{alert: Hot, expr: 'temp>30', for: 1m}, \
                {record: r, expr: sum( up )}]}]";
    let (mut group, world) = (group(yaml), World::default());
    let view = group.view();
    assert_eq!(
        (view.file.as_str(), view.name.as_str(), view.last_evaluation),
        ("rules.yml", "g", None)
    );
    let RuleKindView::Alerting { phase, hold, .. } = &view.rules[0].kind else {
        panic!("an alerting rule")
    };
    assert_eq!((*phase, *hold), (AlertPhase::Unknown, Duration::from_secs(60)));
    assert_eq!(
        (view.rules[0].query.as_str(), view.rules[1].query.as_str()),
        ("temp > 30", "sum(up)")
    );
    assert_eq!(view.rules[1].labels, Annotations::from_pairs([("team", "x")]));
    assert_eq!(view.rules[1].health, Health::Unknown);
    world.answer("temp>30", &[]);
    world.answer("sum( up )", &[]);
    step(&mut group, &world, 60);
    let view = group.view();
    let RuleKindView::Alerting { phase, .. } = &view.rules[0].kind else { panic!("alerting") };
    assert_eq!((*phase, view.rules[0].health), (AlertPhase::Inactive, Health::Ok));
    assert_eq!(view.last_evaluation, Some(at(60)));
}

#[test]
fn the_groups_metrics_have_upstreams_names() {
    let ctx = context();
    let file: RuleFile = serde_yaml::from_str(DOWN).expect("valid");
    let mut group = Group::new("f.yml", &file.groups[0], &ctx);
    let world = World::default();
    world.fail("up == 0", "no");
    group.evaluate(at(60), &ctx, &world, &world, &VirtualClock::at(at(60)));
    let value = |name: &str| {
        let families = ctx.registry.gather();
        let family = families.into_iter().find(|family| family.name == name)?;
        let own = Labels::from_pairs([("rule_group", "f.yml;g")]);
        family.samples.iter().find(|sample| sample.labels == own).map(|sample| sample.value)
    };
    for (name, expected) in [
        ("prometheus_rule_evaluations_total", 1.0),
        ("prometheus_rule_evaluation_failures_total", 1.0),
        ("prometheus_rule_group_iterations_total", 1.0),
        ("prometheus_rule_group_iterations_missed_total", 0.0),
        ("prometheus_rule_group_interval_seconds", 60.0),
        ("prometheus_rule_group_rules", 1.0),
        ("prometheus_rule_group_last_evaluation_timestamp_seconds", 60.0),
        ("prometheus_rule_group_last_evaluation_samples", 0.0),
        ("prometheus_rule_group_last_rule_duration_sum_seconds", 0.0),
        ("prometheus_rule_group_last_restore_duration_seconds", 0.0),
    ] {
        assert_eq!(value(name), Some(expected), "{name}");
    }
    group.forget_metrics(&ctx);
    assert_eq!(value("prometheus_rule_evaluations_total"), None);
}

#[test]
fn the_sourcegraph_rules_load_and_evaluate() {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus/sourcegraph/generated_rules.yml");
    let Ok(text) = std::fs::read_to_string(path) else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{path} is missing");
        eprintln!("skipped: {path} is missing");
        return;
    };
    let file: RuleFile = serde_yaml::from_str(&text).expect("loads");
    assert_eq!(check(&file), []);
    let count: usize = file.groups.iter().map(|group| group.rules.len()).sum();
    assert_eq!(count, 482);
    let world = World::default();
    for config in &file.groups {
        let mut group = Group::new("generated_rules.yml", config, &context());
        assert_eq!(step(&mut group, &world, 0).failures, []);
    }
}

/// `turn instance value active_at` of each change.
pub(super) fn changes(changes: &[AlertChange]) -> Vec<String> {
    let line = |change: &AlertChange| {
        let (turn, since) = (change.turn.as_str(), change.active_at.as_millis() / 1000);
        format!("{turn} {} {} {since}", change.labels.value_of("instance"), change.value)
    };
    changes.iter().map(line).collect()
}

#[test]
fn each_step_of_an_alerts_life_is_told_once() {
    let (mut group, world) = (group(DOWN), World::default());
    world.answer("up == 0", &[A, B]);
    let mut told = |seconds| changes(&step(&mut group, &world, seconds).changes);
    assert_eq!(told(0), ["pending a 0 0", "pending b 0 0"]);
    world.answer("up == 0", &[A]);
    assert_eq!(told(60), ["pending_ended b 0 0"]);
    assert_eq!(told(120), ["firing a 0 0"]);
    assert_eq!(told(180), [""; 0]);
    world.answer("up == 0", &[]);
    assert_eq!(told(240), ["resolved a 0 0"]);
    assert_eq!(told(300), [""; 0]);
    world.answer("up == 0", &[A]);
    assert_eq!(told(360), ["pending a 0 360"]);
    // As they are sent: with the labels of the server.
    let evaluation = step(&mut group, &world, 600);
    assert_eq!(evaluation.changes[0].labels, evaluation.alerts[0].labels);
    // What an earlier process told is not told again.
    let mut after = restart_as(DOWN, &group.saved(), 610);
    assert_eq!(changes(&step(&mut after, &world, 660).changes), [""; 0]);
}

#[test]
fn alerts_that_are_forgotten_are_told_as_such() {
    let yaml = "groups: [{name: g, limit: 1, rules: [{alert: Down, expr: up == 0}]}]";
    let (mut before, world) = (group(yaml), World::default());
    world.answer("up == 0", &[A]);
    step(&mut before, &world, 0);
    world.answer("up == 0", &[A, B]);
    assert_eq!(changes(&step(&mut before, &world, 60).changes), ["forgotten a 0 0"]);
    world.answer("up == 0", &[A]);
    step(&mut before, &world, 120);
    let mut after = group("groups: [{name: g, rules: [{alert: Other, expr: up == 0}]}]");
    after.adopt(before, &context());
    assert_eq!(
        changes(&step(&mut after, &world, 180).changes),
        ["forgotten a 0 120", "firing a 0 180"]
    );
    assert_eq!(changes(&after.forget_alerts(&context())), ["forgotten a 0 180"]);
}

#[test]
fn a_rule_that_fails_is_told_once_and_its_runs_are_remembered() {
    let yaml = "groups: [{name: g, rules: [{record: r, expr: up}]}]";
    let (mut group, world) = (group(yaml), World::default());
    let mut health = |seconds| step(&mut group, &world, seconds).health;
    world.fail("up", "no");
    let failed = HealthChange { rule: "r".to_owned(), error: Some("no".to_owned()) };
    assert_eq!((health(0), health(60)), (vec![failed], vec![]));
    world.answer("up", &[A, B]);
    let recovered = HealthChange { rule: "r".to_owned(), error: None };
    assert_eq!((health(120), health(180)), (vec![recovered], vec![]));
    for minute in 4..30 {
        step(&mut group, &world, minute * 60);
    }
    let runs = group.view().rules[0].runs.clone();
    assert_eq!((runs.len(), runs[0].at, runs[19].at), (20, at(600), at(1740)));
    assert_eq!((runs[0].samples, &runs[0].error), (2, &None));
}

#[test]
fn a_rule_that_panics_holds_up_none_behind_it() {
    let yaml = "groups: [{name: g, rules: [{record: a, expr: up}, {record: b, expr: down}]}]";
    let (mut group, world) = (group(yaml), World::default());
    world.answer("down", &[A]);
    *world.broken.lock().unwrap() = "up".to_owned();
    for minute in 0..2 {
        let evaluation = step(&mut group, &world, minute * 60);
        assert_eq!(evaluation.failures[0].error, RuleError::Panicked);
        assert_eq!(world.written().len(), 1);
    }
    let health: Vec<_> = group.view().rules.iter().map(|rule| rule.health).collect();
    assert_eq!(health, [Health::Err, Health::Ok]);
}

#[test]
fn an_evaluation_that_nobody_wants_ends_before_its_next_rule() {
    let yaml = "groups: [{name: g, rules: [{record: a, expr: up}, {record: b, expr: down}]}]";
    let (mut group, world) = (group(yaml), World::default());
    world.answer("up", &[A]);
    world.answer("down", &[A]);
    step(&mut group, &world, 0);
    world.asked.lock().unwrap().clear();
    *world.last.lock().unwrap() = "up".to_owned();
    step(&mut group, &world, 60);
    assert_eq!(*world.asked.lock().unwrap(), [("up".to_owned(), 60_000)]);
    // The next process evaluates this slot again.
    assert_eq!(group.last_evaluation(), Some(at(0)));
}

#[test]
fn independent_rules_at_the_same_time_come_to_the_same() {
    let yaml = "groups: [{name: g, rules: [{record: a, expr: up}, {record: b, expr: up}, \
                {record: c, expr: a + b}, {alert: Down, expr: up == 0}, {record: d, expr: c}]}]";
    let file: RuleFile = serde_yaml::from_str(yaml).expect("a rule file");
    let run = |slots: Option<usize>| {
        let slots = slots.map(|count| std::sync::Arc::new(Slots::new(count)));
        let context = Context { slots, ..context() };
        let (mut group, world) =
            (Group::new("rules.yml", &file.groups[0], &context), World::default());
        world.answer("up", &[A, B]);
        world.answer("up == 0", &[A]);
        world.answer("a + b", &[A]);
        let clock = VirtualClock::at(at(60));
        let evaluation = group.evaluate(at(60), &context, &world, &world, &clock);
        let mut written = world.written();
        let last: Vec<_> = written.drain(3..).collect();
        written.sort();
        let asked = world.asked.lock().unwrap().iter().map(|(query, _)| query.clone()).collect();
        let asked: Vec<String> = asked;
        assert_eq!(asked[3..], ["a + b", "c"], "readers come after those whom they read");
        (sent(&evaluation, 60), evaluation.samples, evaluation.records, written, last)
    };
    let expected = run(Some(0));
    for slots in [1, 2, 9] {
        assert_eq!(run(Some(slots)), expected, "{slots}");
    }
}

#[test]
fn alerts_of_one_rule_share_the_answers_to_their_templates() {
    let yaml = "groups: [{name: g, rules: [{alert: Down, expr: up == 0, annotations: {\
                a: '{{ query \"all\" | len }}', b: '{{ query \"all\" | len }} {{ query .Labels.instance | len }}'}}]}]";
    let (mut group, world) = (group(yaml), World::default());
    world.answer("up == 0", &[A, B]);
    world.answer("all", &[A, B]);
    let evaluation = step(&mut group, &world, 0);
    assert_eq!(evaluation.alerts[0].annotations.value_of("b"), "2 0");
    let asked =
        |text: &str| world.asked.lock().unwrap().iter().filter(|(query, _)| query == text).count();
    assert_eq!((asked("all"), asked("a"), asked("b")), (1, 1, 1));
    // The next evaluation asks anew.
    step(&mut group, &world, 60);
    assert_eq!(asked("all"), 2);
}

#[test]
fn a_label_without_text_stands_as_written_in_the_alerts_series() {
    let yaml = "groups: [{name: g, rules: [{alert: Down, expr: up == 0, \
                labels: {l: '{{ $labels.nope }}', gone: ''}}]}]";
    let (mut group, world) = (group(yaml), World::default());
    world.answer("up == 0", &[A]);
    let evaluation = step(&mut group, &world, 0);
    assert_eq!(evaluation.alerts[0].labels.get("l"), None);
    let written = world.written().concat();
    for (line, name) in written.iter().zip(["ALERTS_FOR_STATE", "ALERTS"]) {
        assert!(line.contains(&format!("__name__=\"{name}\"")), "{line}");
        assert!(line.contains(r#"l="{{ $labels.nope }}""#) && !line.contains("gone"), "{line}");
    }
}

#[test]
fn what_the_store_refuses_is_told_and_counts_as_no_failed_evaluation() {
    let ctx = context();
    let yaml = "groups: [{name: g, rules: [{record: r, expr: up}]}]";
    let file: RuleFile = serde_yaml::from_str(yaml).expect("valid");
    let (mut group, world) = (Group::new("f.yml", &file.groups[0], &ctx), World::default());
    let failures = || {
        let families = ctx.registry.gather();
        let named = |name: &str| name == "prometheus_rule_evaluation_failures_total";
        let family = families.into_iter().find(|family| named(&family.name)).expect("there");
        family.samples.iter().map(|sample| sample.value).sum::<f64>()
    };
    world.answer("up", &[A]);
    world.refused.lock().unwrap().push("r".to_owned());
    group.evaluate(at(0), &ctx, &world, &world, &VirtualClock::at(at(0)));
    let rule = &group.view().rules[0];
    assert_eq!((rule.health, failures()), (Health::Err, 0.0));
    assert!(rule.last_error.contains("refused 1"), "{}", rule.last_error);
    // A commit that fails counts, and so does a query.
    *world.closed.lock().unwrap() = true;
    group.evaluate(at(60), &ctx, &world, &world, &VirtualClock::at(at(60)));
    assert_eq!(failures(), 1.0);
    world.fail("up", "no");
    group.evaluate(at(120), &ctx, &world, &world, &VirtualClock::at(at(120)));
    assert_eq!(failures(), 2.0);
}

#[test]
fn evaluation_times_are_counted_in_upstreams_buckets() {
    let ctx = context();
    let file: RuleFile = serde_yaml::from_str(DOWN).expect("valid");
    let _group = Group::new("f.yml", &file.groups[0], &ctx);
    for name in [
        "prometheus_rule_group_duration_histogram_seconds",
        "prometheus_rule_evaluation_duration_histogram_seconds",
    ] {
        let families = ctx.registry.gather();
        let family = families.iter().find(|family| family.name == name).expect("there");
        let bounds: Vec<_> =
            family.samples.iter().filter_map(|sample| sample.labels.get("le")).collect();
        assert_eq!(bounds, ["0.01", "0.1", "1", "10", "+Inf"], "{name}");
    }
}
