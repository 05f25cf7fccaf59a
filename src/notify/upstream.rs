//! Other Alertmanagers: what is posted to them, and where.
//!
//! As in Prometheus an attempt that fails is not repeated: alerts that still hold are sent again
//! by the rules within a minute.
//!
//! Source: prometheus/prometheus, notifier/.

use super::message::{go_json, rfc3339};
use crate::model::relabel::{self, Rule};
use crate::model::{Alert, Annotations, Labels};
use crate::sys::http::{HttpClient, Method, Request};
use crate::sys::settings::HttpClientSettings;
use bytes::Bytes;
use serde::{Serialize, Serializer};
use std::time::Duration;

/// Of an answer only its status is of interest.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// How the Alertmanagers of one item of `alertmanagers` are found among addresses, and talked to.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertmanagerSet {
    /// `http` or `https`.
    pub scheme: String,
    /// Before `/api/v2/alerts`.
    pub path_prefix: String,
    /// For one request.
    pub timeout: Duration,
    /// How to talk.
    pub http: HttpClientSettings,
    /// Rewrites and drops addresses.
    pub relabel: Vec<Rule>,
    /// Rewrites and drops alerts on their way to these.
    pub alert_relabel: Vec<Rule>,
}

/// What became of an address; the URL of its `alerts`, before relabelling when it was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Alerts go there.
    Active(String),
    /// They do not.
    Dropped(String),
}

impl AlertmanagerSet {
    /// What becomes of an address with the labels of its group.
    ///
    /// # Errors
    /// The rules make an address of it that cannot be one.
    pub fn endpoint(&self, address: &str, labels: &Labels) -> Result<Endpoint, String> {
        let prefix = self.path_prefix.trim_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        let mut builder = Labels::empty().to_builder();
        builder
            .set("__scheme__", self.scheme.as_str())
            .set("__alerts_path__", format!("{slash}{prefix}/api/v2/alerts"));
        for (name, value) in labels {
            builder.set(name, value);
        }
        builder.set("__address__", address);
        let url = |labels: &Labels| {
            let get = |name: &str| labels.value_of(name);
            format!("{}://{}{}", get("__scheme__"), get("__address__"), get("__alerts_path__"))
        };
        let before = url(&builder.clone().build());
        if relabel::apply(&self.relabel, &mut builder) == relabel::Outcome::Drop {
            return Ok(Endpoint::Dropped(before));
        }
        let labels = builder.build();
        match labels.value_of("__address__") {
            "" => Err("no address".to_owned()),
            found if found.contains('/') => Err(format!("{found:?} is not a valid hostname")),
            _ => Ok(Endpoint::Active(url(&labels))),
        }
    }

    /// Posts alerts once.
    ///
    /// # Errors
    /// They were not accepted.
    pub async fn post(
        &self,
        client: &dyn HttpClient,
        url: &str,
        alerts: &[impl AsRef<Alert>],
    ) -> Result<(), String> {
        let forms: Vec<_> = alerts.iter().map(|alert| AlertForm::new(alert.as_ref())).collect();
        let request = Request {
            method: Method::Post,
            url: url.to_owned(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: Bytes::from(go_json(&forms)),
            timeout: self.timeout,
            body_bytes_max: ANSWER_BYTES_MAX,
            cuts_body: true,
            unix_socket: None,
        };
        match client.send(request).await {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
            Ok(answer) => Err(format!("bad response status {}", answer.status)),
            Err(err) => Err(err.to_string()),
        }
    }
}

/// Alerts after the relabelling rules; those that are dropped or left without labels are gone.
pub fn relabelled(alerts: Vec<Alert>, rules: &[Rule]) -> Vec<Alert> {
    if rules.is_empty() {
        return alerts;
    }
    let relabel = |mut alert: Alert| {
        let mut labels = alert.labels.to_builder();
        let outcome = relabel::apply(rules, &mut labels);
        alert.labels = labels.build();
        let kept = outcome == relabel::Outcome::Keep && !alert.labels.is_empty();
        kept.then_some(alert)
    };
    alerts.into_iter().filter_map(relabel).collect()
}

/// An alert as Prometheus posts it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertForm {
    #[serde(serialize_with = "as_map")]
    annotations: Annotations,
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

fn as_map<T, S: Serializer>(pairs: &T, to: S) -> Result<S::Ok, S::Error>
where
    for<'a> &'a T: IntoIterator<Item = (&'a str, &'a str)>,
{
    to.collect_map(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NameValidation, Timestamp};
    use crate::sys::settings::{RelabelSettings, relabel_rules};

    fn rules(yaml: &str) -> Vec<Rule> {
        let list: Vec<RelabelSettings> = serde_yaml::from_str(yaml).expect("reads");
        relabel_rules("rules", &list, NameValidation::Utf8).expect("valid")
    }

    #[test]
    fn addresses_are_relabelled_and_paths_prefixed() {
        let set = |prefix: &str, scheme: &str, relabel: &str| AlertmanagerSet {
            scheme: scheme.to_owned(),
            path_prefix: prefix.to_owned(),
            timeout: Duration::from_secs(10),
            http: HttpClientSettings::default(),
            relabel: rules(relabel),
            alert_relabel: Vec::new(),
        };
        let dc = Labels::from_pairs([("dc", "x")]);
        let active = |url: &str| Ok(Endpoint::Active(url.to_owned()));
        let dropped = |url: &str| Ok(Endpoint::Dropped(url.to_owned()));
        let drops = "[{source_labels: [__address__, dc], regex: 'b:.*;x', action: drop}]";
        let path = "[{target_label: __alerts_path__, replacement: /x}]";
        let empty = "[{target_label: __address__, replacement: ''}]";
        let bad = "[{target_label: __address__, replacement: a/b}]";
        let grouped = Labels::from_pairs([("__scheme__", "https"), ("__alerts_path__", "/y")]);
        for (set, address, labels, expected) in [
            (set("/am/", "https", drops), "a:9093", &dc, active("https://a:9093/am/api/v2/alerts")),
            (
                set("/am/", "https", drops),
                "b:9093",
                &dc,
                dropped("https://b:9093/am/api/v2/alerts"),
            ),
            (set("", "http", path), "c:1", &dc, active("http://c:1/x")),
            (set("/", "http", "[]"), "c:1", &dc, active("http://c:1/api/v2/alerts")),
            (set("", "http", "[]"), "c:1", &grouped, active("https://c:1/y")),
            (set("", "http", empty), "c:1", &dc, Err("no address".to_owned())),
            (set("", "http", bad), "c:1", &dc, Err("\"a/b\" is not a valid hostname".to_owned())),
        ] {
            assert_eq!(set.endpoint(address, labels), expected);
        }
    }

    #[test]
    fn alerts_are_rewritten_and_dropped() {
        let rules = rules(
            "
- {action: labeldrop, regex: replica}
- {source_labels: [dup], target_label: relabeled, replacement: 'was-$1', regex: '(.+)'}
- {action: drop, source_labels: [alertname], regex: Gone}
",
        );
        let alert = |labels: &[(&str, &str)]| Alert {
            labels: Labels::from_pairs(labels.iter().copied()),
            annotations: Annotations::empty(),
            starts_at: Timestamp::EPOCH,
            ends_at: Timestamp::EPOCH,
            generator_url: String::new(),
            updated_at: Timestamp::EPOCH,
            ends_by_timeout: false,
        };
        let kept = alert(&[("alertname", "A"), ("dup", "d"), ("replica", "r")]);
        let gone = [alert(&[("alertname", "Gone")]), alert(&[("replica", "r")])];
        let found = relabelled([vec![kept.clone()], gone.to_vec()].concat(), &rules);
        let labels: Vec<_> = found.iter().map(|alert| alert.labels.to_string()).collect();
        assert_eq!(labels, [r#"{alertname="A", dup="d", relabeled="was-d"}"#]);
        assert_eq!(relabelled(vec![kept.clone()], &[]), [kept]);
    }
}
