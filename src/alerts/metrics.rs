//! `alertmanager_*` of the process' own metrics: what the engine knows of them.
//!
//! Source: prometheus/alertmanager, dispatch/metric.go, api/metrics/metrics.go, notify/metrics.go,
//! silence/silence.go, provider/mem/mem.go.

use super::engine::{Engine, Moment};
use super::silence::SilenceState;
use crate::sys::metrics::Registry;
use std::collections::BTreeMap;

impl Engine {
    /// Writes the gauges and counters of this engine into the registry.
    pub fn write_metrics(&self, registry: &Registry, now: Moment) {
        self.write_alerts(registry, now);
        self.write_counts(registry);
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
