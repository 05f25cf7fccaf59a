//! Other Alertmanagers: the `alerting` section of `prometheus.yml`, and posting alerts to them.
//!
//! As in Prometheus an attempt that fails is not repeated: alerts that still hold are sent again
//! by the rules within a minute.
//!
//! Source: prometheus/prometheus, config/config.go (AlertingConfig), notifier/.

use super::message::{go_json, rfc3339};
use super::opaque::Opaque;
use super::outside::Outside;
use crate::model::relabel::{self, Rule};
use crate::model::{Alert, Labels, Problem, nearest_name};
use crate::sys::http::{HttpClient, Method, Request};
use crate::sys::metrics::Registry;
use crate::sys::settings::{self, HttpClientSettings, RelabelSettings, Span};
use bytes::Bytes;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Alerts in one request, as in Prometheus.
const BATCH_ALERTS_MAX: usize = 256;
/// Of an answer only its status is of interest.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Keys of an item that the structure does not name: known ones are skipped loudly.
const KNOWN_UNBUILT: [&str; 29] = [
    "sigv4",
    "file_sd_configs",
    "http_sd_configs",
    "dns_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "consul_sd_configs",
    "kubernetes_sd_configs",
    "nomad_sd_configs",
    "azure_sd_configs",
    "ec2_sd_configs",
    "gce_sd_configs",
    "digitalocean_sd_configs",
    "eureka_sd_configs",
    "hetzner_sd_configs",
    "ionos_sd_configs",
    "kuma_sd_configs",
    "lightsail_sd_configs",
    "linode_sd_configs",
    "marathon_sd_configs",
    "nerve_sd_configs",
    "openstack_sd_configs",
    "ovhcloud_sd_configs",
    "puppetdb_sd_configs",
    "scaleway_sd_configs",
    "serverset_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
    "vultr_sd_configs",
];

/// One item of `static_configs`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct StaticSettings {
    /// `host:port`.
    pub targets: Vec<String>,
    /// Labels for relabelling.
    #[serde(with = "settings::labels", skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

/// One item of `alertmanagers`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct AlertmanagerSettings {
    /// `http` or `https`.
    pub scheme: String,
    /// Before `/api/v2/alerts`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path_prefix: String,
    /// For one request.
    pub timeout: Span,
    /// `v2`.
    pub api_version: String,
    /// Where they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub static_configs: Vec<StaticSettings>,
    /// Rewrites and drops targets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relabel_configs: Vec<RelabelSettings>,
    /// Rewrites and drops alerts on their way to these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alert_relabel_configs: Vec<RelabelSettings>,
    /// How to talk.
    #[serde(flatten)]
    pub http: HttpClientSettings,
    /// Everything else; `check` tells what is unknown and what is not built.
    #[serde(flatten)]
    pub others: BTreeMap<String, Opaque>,
}

impl Default for AlertmanagerSettings {
    fn default() -> Self {
        Self {
            scheme: "http".to_owned(),
            path_prefix: String::new(),
            timeout: Span::seconds(10),
            api_version: "v2".to_owned(),
            static_configs: Vec::new(),
            relabel_configs: Vec::new(),
            alert_relabel_configs: Vec::new(),
            http: HttpClientSettings::default(),
            others: BTreeMap::new(),
        }
    }
}

/// `alerting`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertingSettings {
    /// Rewrites and drops alerts on their way to any Alertmanager, ours included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alert_relabel_configs: Vec<RelabelSettings>,
    /// Other Alertmanagers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alertmanagers: Vec<AlertmanagerSettings>,
}

/// One address, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// The whole URL of its `alerts`.
    pub url: String,
    /// Place of its item in `alertmanagers`.
    group: usize,
}

/// `alerting`, checked.
#[derive(Clone, Debug, Default)]
pub struct Alerting {
    /// For alerts on their way to any Alertmanager.
    pub alert_relabel: Vec<Rule>,
    /// Where alerts go.
    pub endpoints: Vec<Endpoint>,
    /// What is known and not built: to be told loudly.
    pub warnings: Vec<Problem>,
    groups: Vec<Group>,
}

#[derive(Clone, Debug)]
struct Group {
    alert_relabel: Vec<Rule>,
    timeout: Span,
    http: HttpClientSettings,
}

impl AlertingSettings {
    /// Checks the section.
    ///
    /// # Errors
    /// Every fault that Prometheus would refuse the file for.
    pub fn check(&self) -> Result<Alerting, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut alerting = Alerting {
            alert_relabel: rules(
                "alert_relabel_configs",
                &self.alert_relabel_configs,
                &mut problems,
            ),
            ..Alerting::default()
        };
        for (place, settings) in self.alertmanagers.iter().enumerate() {
            let mut found = Vec::new();
            let endpoints = settings.check(place, &mut alerting.warnings, &mut found);
            let at = format!("alertmanagers[{place}]");
            let alert_relabel =
                rules("alert_relabel_configs", &settings.alert_relabel_configs, &mut found);
            problems.extend(found.into_iter().map(|problem| problem.below(&at)));
            alerting.endpoints.extend(endpoints);
            let (timeout, http) = (settings.timeout, settings.http.clone());
            alerting.groups.push(Group { alert_relabel, timeout, http });
        }
        if problems.is_empty() { Ok(alerting) } else { Err(problems) }
    }
}

impl AlertmanagerSettings {
    fn check(
        &self,
        place: usize,
        warnings: &mut Vec<Problem>,
        problems: &mut Vec<Problem>,
    ) -> Vec<Endpoint> {
        for key in self.others.keys() {
            if KNOWN_UNBUILT.contains(&key.as_str()) {
                let text = format!("{key} is known but not built yet and has no effect");
                warnings.push(Problem::new(format!("alertmanagers[{place}].{key}"), text));
            } else {
                let known =
                    ["static_configs", "scheme", "path_prefix", "timeout", "relabel_configs"];
                let hint = nearest_name(key, known)
                    .map(|name| format!("; did you mean {name:?}?"))
                    .unwrap_or_default();
                problems.push(Problem::new(key, format!("unknown field {key:?}{hint}")));
            }
        }
        if self.api_version != "v2" {
            let text = format!(
                "expected Alertmanager api version to be one of [v2]; found {:?}",
                self.api_version
            );
            problems.push(Problem::new("api_version", text));
        }
        problems.extend(self.http.check("").err());
        let relabel = rules("relabel_configs", &self.relabel_configs, problems);
        let groups = self.static_configs.iter();
        let targets =
            groups.flat_map(|group| group.targets.iter().map(|target| (target, &group.labels)));
        targets
            .filter_map(|(target, labels)| self.endpoint(target, labels, &relabel, place))
            .collect()
    }

    fn endpoint(
        &self,
        target: &str,
        labels: &Labels,
        rules: &[Rule],
        group: usize,
    ) -> Option<Endpoint> {
        let prefix = self.path_prefix.trim_matches('/');
        let path = if prefix.is_empty() {
            "/api/v2/alerts".to_owned()
        } else {
            format!("/{prefix}/api/v2/alerts")
        };
        let mut builder = labels.to_builder();
        builder
            .set("__address__", target)
            .set("__scheme__", self.scheme.as_str())
            .set("__alerts_path__", path);
        if relabel::apply(rules, &mut builder) == relabel::Outcome::Drop {
            return None;
        }
        let get = |name: &str| builder.get(name).unwrap_or_default();
        let url =
            format!("{}://{}{}", get("__scheme__"), get("__address__"), get("__alerts_path__"));
        Some(Endpoint { url, group })
    }
}

/// Alerts as they leave this server: external labels where they have none of the name, then the
/// relabelling rules; those that are dropped or left without labels are gone.
pub fn prepare(alerts: &[Alert], external_labels: &Labels, rules: &[Rule]) -> Vec<Alert> {
    let prepared = |alert: &Alert| {
        let mut labels = alert.labels.to_builder();
        for (name, value) in external_labels {
            if labels.get(name).is_none() {
                labels.set(name, value);
            }
        }
        let outcome = relabel::apply(rules, &mut labels);
        let labels = labels.build();
        let kept = outcome == relabel::Outcome::Keep && !labels.is_empty();
        kept.then(|| Alert { labels, ..alert.clone() })
    };
    alerts.iter().filter_map(prepared).collect()
}

/// The other Alertmanagers, ready to be told.
#[derive(Debug)]
pub struct Upstreams {
    targets: Vec<(Endpoint, Group, Arc<dyn HttpClient>)>,
    registry: Registry,
}

impl Upstreams {
    /// Makes the clients; an item whose client cannot be made is a problem, and the others work.
    pub fn new(
        alerting: &Alerting,
        outside: &Outside,
        registry: &Registry,
    ) -> (Self, Vec<Problem>) {
        let mut targets = Vec::new();
        let mut problems = Vec::new();
        for (place, group) in alerting.groups.iter().enumerate() {
            match outside.http.client(&group.http, &outside.base) {
                Ok(client) => {
                    let mine = alerting.endpoints.iter().filter(|one| one.group == place);
                    targets.extend(mine.map(|one| (one.clone(), group.clone(), client.clone())));
                }
                Err(problem) => problems.push(problem.below(&format!("alertmanagers[{place}]"))),
            }
        }
        let help = "Other Alertmanagers that are told.";
        #[expect(clippy::cast_precision_loss, reason = "a handful of addresses")]
        registry
            .gauge("prometheus_notifications_alertmanagers_discovered", help, &[])
            .set(targets.len() as f64);
        (Self { targets, registry: registry.clone() }, problems)
    }

    /// Whether there is anybody to tell.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Where alerts go.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.targets.iter().map(|(endpoint, ..)| endpoint.url.as_str())
    }

    /// Tells everybody at once; failures are logged and counted.
    pub async fn send(&self, alerts: &[Alert]) {
        join_all(self.targets.iter().map(|(endpoint, group, client)| async move {
            let alerts = prepare(alerts, &Labels::empty(), &group.alert_relabel);
            for batch in alerts.chunks(BATCH_ALERTS_MAX) {
                self.post(endpoint, group, client.as_ref(), batch).await;
            }
        }))
        .await;
    }

    async fn post(
        &self,
        endpoint: &Endpoint,
        group: &Group,
        client: &dyn HttpClient,
        batch: &[Alert],
    ) {
        let forms: Vec<_> = batch.iter().map(AlertForm::new).collect();
        let request = Request {
            method: Method::Post,
            url: endpoint.url.clone(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: Bytes::from(go_json(&forms)),
            timeout: group.timeout.0,
            body_bytes_max: ANSWER_BYTES_MAX,
            unix_socket: None,
        };
        let error = match client.send(request).await {
            Ok(answer) if (200..300).contains(&answer.status) => None,
            Ok(answer) => Some(format!("bad response status {}", answer.status)),
            Err(err) => Some(err.to_string()),
        };
        #[expect(clippy::cast_precision_loss, reason = "at most BATCH_ALERTS_MAX")]
        let count = batch.len() as f64;
        let labels = [("alertmanager", endpoint.url.as_str())];
        let help = "Alerts that were sent.";
        self.registry.counter("prometheus_notifications_sent_total", help, &labels).add(count);
        let help = "Alerts that were sent and not accepted.";
        let errors = self.registry.counter("prometheus_notifications_errors_total", help, &labels);
        if let Some(reason) = error {
            errors.add(count);
            tracing::warn!(alertmanager = endpoint.url, reason, "alerts were not accepted");
        }
    }
}

fn rules(at: &str, list: &[RelabelSettings], problems: &mut Vec<Problem>) -> Vec<Rule> {
    settings::relabel_rules(at, list).unwrap_or_else(|more| {
        problems.extend(more);
        Vec::new()
    })
}

/// An alert as Prometheus posts it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertForm {
    #[serde(serialize_with = "as_map")]
    annotations: Labels,
    ends_at: String,
    starts_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    #[serde(serialize_with = "as_map")]
    labels: Labels,
}

impl AlertForm {
    fn new(alert: &Alert) -> Self {
        Self {
            annotations: alert.annotations.clone(),
            ends_at: rfc3339(alert.ends_at),
            starts_at: rfc3339(alert.starts_at),
            generator_url: alert.generator_url.clone(),
            labels: alert.labels.clone(),
        }
    }
}

fn as_map<S: Serializer>(labels: &Labels, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn read(yaml: &str) -> AlertingSettings {
        serde_yaml::from_str(yaml).expect("reads")
    }

    #[test]
    fn addresses_are_relabelled_and_paths_prefixed() {
        let yaml = "
alertmanagers:
- static_configs: [{targets: ['a:9093', 'b:9093'], labels: {dc: x}}]
  path_prefix: /am/
  scheme: https
  relabel_configs: [{source_labels: [__address__], regex: 'b:.*', action: drop}]
- static_configs: [{targets: ['c:1']}]
  relabel_configs: [{target_label: __alerts_path__, replacement: /x}]
";
        let alerting = read(yaml).check().expect("valid");
        let urls: Vec<_> = alerting.endpoints.iter().map(|one| one.url.as_str()).collect();
        assert_eq!(urls, ["https://a:9093/am/api/v2/alerts", "http://c:1/x"]);
    }

    #[test]
    fn what_is_unknown_is_refused_and_what_is_not_built_is_told() {
        let problems = read("alertmanagers: [{static_config: []}]").check().expect_err("unknown");
        assert_eq!(
            problems[0].to_string(),
            "alertmanagers[0].static_config: unknown field \"static_config\"; did you mean \"static_configs\"?"
        );
        let alerting =
            read("alertmanagers: [{dns_sd_configs: [{names: [x]}]}]").check().expect("valid");
        assert_eq!(alerting.warnings[0].at, "alertmanagers[0].dns_sd_configs");
        assert!(read("alertmanagers: [{api_version: v1}]").check().is_err());
    }

    #[test]
    fn t29_external_labels_fill_gaps_before_relabelling() {
        let yaml = "
alert_relabel_configs:
- {action: labeldrop, regex: replica}
- {source_labels: [dup], target_label: relabeled, replacement: 'was-$1', regex: '(.+)'}
- {action: drop, source_labels: [alertname], regex: Gone}
";
        let alerting = read(yaml).check().expect("valid");
        let alert = |name: &str| Alert {
            labels: Labels::from_pairs([("alertname", name), ("dup", "d"), ("site", "own")]),
            annotations: Labels::empty(),
            starts_at: Timestamp::EPOCH,
            ends_at: Timestamp::EPOCH,
            generator_url: String::new(),
            updated_at: Timestamp::EPOCH,
            ends_by_timeout: false,
        };
        let external = Labels::from_pairs([("site", "s1"), ("replica", "r"), ("dc", "x")]);
        let found = prepare(&[alert("A"), alert("Gone")], &external, &alerting.alert_relabel);
        let labels: Vec<_> = found.iter().map(|alert| alert.labels.to_string()).collect();
        assert_eq!(labels, [r#"{alertname="A", dc="x", dup="d", relabeled="was-d", site="own"}"#]);
    }
}
