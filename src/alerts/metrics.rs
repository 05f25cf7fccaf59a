//! `alertmanager_*` of the process' own metrics: what the engine knows of them.
//!
//! Source: prometheus/alertmanager, dispatch/metric.go, api/metrics/metrics.go, notify/metrics.go,
//! silence/silence.go, provider/mem/mem.go.

use super::engine::{Engine, Moment};
use super::record;
use super::silence::SilenceState;
use crate::sys::metrics::Registry;
use std::collections::BTreeMap;

impl Engine {
    /// Writes the gauges and counters of this engine into the registry.
    pub fn write_metrics(&self, registry: &Registry, now: Moment) {
        self.write_alerts(registry, now);
        self.write_counts(registry);
        self.write_log_counts(registry);
        let help = "How many silences by state.";
        for state in [SilenceState::Active, SilenceState::Pending, SilenceState::Expired] {
            let all = self.silences.iter();
            let count = all.filter(|one| self.silences.state(one, now.wall) == state).count();
            let labels = [("state", state.as_str())];
            registry.gauge("alertmanager_silences", help, &labels).set(to_f64(count));
        }
        let help = "Number of active aggregation groups";
        registry
            .gauge("alertmanager_dispatcher_aggregation_groups", help, &[])
            .set(to_f64(self.groups.len()));
        let help = "Entries of the notification log.";
        registry.gauge("watchbell_nflog_entries", help, &[]).set(to_f64(self.log.len()));
    }

    fn write_alerts(&self, registry: &Registry, now: Moment) {
        let mut states =
            BTreeMap::from([("active", 0.0), ("suppressed", 0.0), ("unprocessed", 0.0)]);
        for view in self.firing_alerts(now) {
            *states.entry(view.quiet.api_state()).or_insert(0.0) += 1.0;
        }
        let help = "How many alerts by state.";
        for (state, count) in states {
            registry.gauge("alertmanager_alerts", help, &[("state", state)]).set(count);
        }
    }

    fn write_counts(&self, registry: &Registry) {
        let reports = &self.reports;
        let help = "The total number of received alerts.";
        for (status, count) in
            [("firing", reports.received_firing), ("resolved", reports.received_resolved)]
        {
            let labels = [("status", status), ("version", "v2")];
            let counter = registry.counter("alertmanager_alerts_received_total", help, &labels);
            counter.set(to_f64(usize::try_from(count).unwrap_or(usize::MAX)));
        }
        let help = "Total number of alerts that were dropped due to per alert name limit";
        let counter = registry.counter("alertmanager_alerts_limited_total", help, &[]);
        counter.set(to_f64(reports.limited));
        let help = "The total number of notifications suppressed for being silenced, inhibited, \
                    outside of active time intervals or within muted time intervals.";
        let suppressed = reports.suppressed;
        for (reason, count) in [
            ("silence", suppressed.silenced),
            ("inhibition", suppressed.inhibited),
            ("mute_time_interval", suppressed.muted),
            ("active_time_interval", suppressed.inactive),
        ] {
            let name = "alertmanager_notifications_suppressed_total";
            registry.counter(name, help, &[("reason", reason)]).set(to_f64(count));
        }
    }
}

/// Upper bounds of the buckets that Prometheus' client has unless it is told otherwise.
const SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

impl Engine {
    /// The log is in memory, and its rows are stored as they change: looking into it takes no time
    /// that could be measured and does not fail, there are no snapshots that could take any, and
    /// nobody to gossip with. Those are there for dashboards, and stay empty.
    fn write_log_counts(&self, registry: &Registry) {
        let name = |what: &str| format!("alertmanager_nflog_{what}");
        let counter = |what: &str, help, count| {
            registry.counter(&name(what), help, &[]).set(to_f64(count));
        };
        let help = "Number of notification log queries were received.";
        counter("queries_total", help, self.reports.log_queries);
        let help = "Number notification log received queries that failed.";
        counter("query_errors_total", help, 0);
        let help = "How many maintenances were executed for the notification log.";
        counter("maintenance_total", help, self.log.maintained());
        let help = "How many maintenances were executed for the notification log that failed.";
        counter("maintenance_errors_total", help, 0);
        let help = "Number of received gossip messages that have been further gossiped.";
        counter("gossip_messages_propagated_total", help, 0);
        let help = "Duration of notification log query evaluation.";
        registry.histogram(&name("query_duration_seconds"), help, &[], &SECONDS);
        let help = "Duration of the last notification log garbage collection cycle.";
        registry.summary(&name("gc_duration_seconds"), help, &[], &[]);
        let help = "Duration of the last notification log snapshot.";
        registry.summary(&name("snapshot_duration_seconds"), help, &[], &[]);
        let rows = self.log.iter().map(|(key, entry)| record::write_log(key, entry));
        let bytes = rows.map(|row| row.key.len() + row.value.map_or(0, |value| value.len())).sum();
        let help = "Size of the last notification log snapshot in bytes.";
        registry.gauge(&name("snapshot_size_bytes"), help, &[]).set(to_f64(bytes));
    }
}

fn to_f64(count: usize) -> f64 {
    // A gauge of more than 2^53 alerts would be off by one: nothing reads that.
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::engine::Event;
    use crate::alerts::testing::{config, labels};
    use crate::alerts::{AlertDraft, SilenceDraft, complete_all};
    use crate::model::{Annotations, Matcher, SilenceId, Timestamp};
    use std::sync::Arc;
    use std::time::Duration;

    const ROUTES: &str = "
route:
  receiver: r
  group_by: [n]
  group_wait: 1s
  group_interval: 5s
  routes:
  - {matchers: ['a=\"muted\"'], mute_time_intervals: [always]}
  - {matchers: ['a=\"off\"'], active_time_intervals: [never]}
inhibit_rules:
- {source_matchers: ['a=\"source\"'], target_matchers: ['b=\"target\"']}
time_intervals:
- {name: always, time_intervals: [{years: ['1970:2100']}]}
- {name: never, time_intervals: [{years: ['1969']}]}
";

    #[test]
    fn the_metrics_of_the_notification_log_have_upstreams_names() {
        let now = Moment { wall: Timestamp::EPOCH, elapsed: Duration::ZERO };
        let config = Arc::new(config(ROUTES));
        let mut engine = Engine::new(config.clone());
        let draft = AlertDraft { labels: labels(&[("n", "1")]), ..AlertDraft::default() };
        let (alerts, _) = complete_all(vec![draft], now.wall, &config);
        engine.step(now, Event::AlertsReceived(alerts));
        let later = Duration::from_secs(2);
        engine.step(Moment { wall: now.wall.plus(later), elapsed: later }, Event::Tick);
        let registry = Registry::new();
        engine.write_metrics(&registry, now);
        let families = registry.gather();
        let names = families.iter().filter_map(|one| one.name.strip_prefix("alertmanager_nflog_"));
        assert_eq!(
            names.collect::<Vec<_>>(),
            [
                "gc_duration_seconds",
                "gossip_messages_propagated_total",
                "maintenance_errors_total",
                "maintenance_total",
                "queries_total",
                "query_duration_seconds",
                "query_errors_total",
                "snapshot_duration_seconds",
                "snapshot_size_bytes",
            ]
        );
        let name = "alertmanager_nflog_queries_total";
        let asked = families.iter().find(|one| one.name == name).expect("is there");
        assert_eq!(asked.samples.iter().map(|one| one.value).sum::<f64>(), 1.0);
    }

    #[test]
    fn what_keeps_an_alert_quiet_first_is_counted_at_each_look() {
        let config = Arc::new(config(ROUTES));
        let mut engine = Engine::new(config.clone());
        let at = |seconds: u64| Moment {
            wall: Timestamp::EPOCH.plus(Duration::from_secs(seconds)),
            elapsed: Duration::from_secs(seconds),
        };
        let silence = SilenceDraft {
            id: None,
            matchers: vec![Matcher::equal("a", "hush")],
            starts_at: at(0).wall,
            ends_at: at(1_000).wall,
            created_by: "me".to_owned(),
            comment: "c".to_owned(),
            annotations: Annotations::empty(),
        };
        let new_id = SilenceId::from_text("1");
        engine.step(at(0), Event::SilenceSet { draft: silence, new_id });
        let sets: [&[(&str, &str)]; 6] = [
            &[("a", "source")],
            &[("a", "muted"), ("b", "target")],
            &[("a", "muted"), ("n", "1")],
            &[("a", "muted"), ("n", "2")],
            &[("a", "off")],
            &[("a", "hush"), ("n", "3")],
        ];
        let draft = |pairs: &[(&str, &str)]| AlertDraft {
            labels: labels(pairs),
            ends_at: Some(at(1_000).wall),
            starts_at: Some(at(0).wall),
            ..AlertDraft::default()
        };
        let drafts = sets.into_iter().map(draft).collect();
        let (alerts, errors) = complete_all(drafts, at(0).wall, &config);
        assert_eq!(errors, []);
        engine.step(at(0), Event::AlertsReceived(alerts));
        let registry = Registry::new();
        let mut seen = Vec::new();
        for seconds in [1, 6] {
            engine.step(at(seconds), Event::Tick);
            engine.write_metrics(&registry, at(seconds));
            let families = registry.gather();
            let name = "alertmanager_notifications_suppressed_total";
            let family = families.iter().find(|family| family.name == name).expect("counted");
            let one = |reason: &str| {
                let mut samples = family.samples.iter();
                let found = samples.find(|one| one.labels.get("reason") == Some(reason));
                found.expect("counted").value
            };
            seen.push([
                one("inhibition"),
                one("mute_time_interval"),
                one("active_time_interval"),
                one("silence"),
            ]);
        }
        assert_eq!(seen, [[1.0, 2.0, 1.0, 1.0], [2.0, 4.0, 2.0, 2.0]]);
    }
}
