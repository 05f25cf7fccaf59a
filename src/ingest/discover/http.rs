//! Targets from a server that answers with groups in JSON.
//!
//! Source: prometheus, discovery/http/http.go, discovery/targetgroup/targetgroup.go.

use super::super::config::{HttpDiscovery, TargetGroup};
use super::super::limits::{DISCOVERED_TARGETS_MAX, DISCOVERY_BODY_BYTES_MAX};
use super::json::{Few, FewNames, Object};
use super::{ANSWER_DEADLINE, Answers, Client, Means, client, decoded, fetch, within_bounds};
use crate::model::Labels;
use crate::model::value_text::go_default;
use crate::sys::http::Request;
use crate::sys::settings::url_without_password;
use serde::Deserialize;

/// The label with the URL that a target came from.
const URL_LABEL: &str = "__meta_url";

/// Labels of a group; the safety limits allow far fewer.
const GROUP_LABELS_MAX: usize = 1_000;

/// A server that is asked.
#[derive(Debug)]
pub(super) struct Server {
    client: Client,
    request: Request,
    /// The URL without a password.
    shown: String,
}

impl Server {
    /// The server that the section names.
    pub(super) fn new(section: &HttpDiscovery, means: &Means) -> Self {
        let interval = go_default(section.refresh.as_secs_f64());
        let mut request = Request::get(section.url.as_str());
        request.timeout = ANSWER_DEADLINE.min(section.refresh);
        request.body_bytes_max = DISCOVERY_BODY_BYTES_MAX;
        request.headers = vec![
            ("user-agent".to_owned(), means.user_agent.clone()),
            ("accept".to_owned(), "application/json".to_owned()),
            ("accept-encoding".to_owned(), "gzip".to_owned()),
            ("x-prometheus-refresh-interval-seconds".to_owned(), interval),
        ];
        Self {
            client: client(means.http.as_ref(), &section.client, &section.base),
            request,
            shown: url_without_password(&section.url),
        }
    }

    /// Asks once.
    pub(super) async fn ask(&self) -> Answers {
        let groups = self.groups().await;
        vec![groups.map_err(|problem| format!("cannot read {}: {problem}", self.shown))]
    }

    async fn groups(&self) -> Result<Vec<TargetGroup>, String> {
        let response = fetch(&self.client, self.request.clone()).await?;
        let media = response.header("content-type").unwrap_or_default();
        if !is_json(media) {
            return Err(format!("unsupported content type {media:?}"));
        }
        let (body, url) = (response.body, self.shown.clone());
        decoded(move || decode(&body, &url)).await
    }
}

/// `application/json`, alone or with UTF-8 as its character set.
fn is_json(media: &str) -> bool {
    let media = media.trim().to_ascii_lowercase();
    let Some(rest) = media.strip_prefix("application/json") else { return false };
    let charset = rest.strip_prefix(';').map(str::trim_start);
    rest.is_empty() || matches!(charset, Some("charset=utf-8" | "charset=\"utf-8\""))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Group {
    targets: Few<String, DISCOVERED_TARGETS_MAX>,
    labels: FewNames<String, GROUP_LABELS_MAX>,
}

/// The groups of an answer, each with the URL that it came from.
///
/// # Errors
/// It is no list of groups, names more than `DISCOVERED_TARGETS_MAX` targets, or more than
/// `DISCOVERED_LABEL_BYTES_MAX` bytes of labels.
pub fn decode(body: &[u8], url: &str) -> Result<Vec<TargetGroup>, String> {
    let groups: Few<Object<Group>, DISCOVERED_TARGETS_MAX> =
        serde_json::from_slice(body).map_err(|err| err.to_string())?;
    let mut found = Vec::with_capacity(groups.0.len());
    for group in groups.0 {
        let group = group.0.ok_or("nil target group item found")?;
        if group.labels.0.contains_key("") {
            return Err("\"\" is not a valid label name".to_owned());
        }
        let from = (URL_LABEL.to_owned(), url.to_owned());
        let labels = group.labels.0.into_iter().filter(|(name, _)| name != URL_LABEL);
        let labels = Labels::from_pairs(labels.chain([from]));
        found.push(TargetGroup { targets: group.targets.0, labels });
    }
    within_bounds(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_answer_is_a_list_of_groups() {
        let body = br#"[{"targets": ["a:1", "b:1"], "labels": {"__meta_x": "1", "y": ""}},
                        {"targets": null, "labels": null}, {}]"#;
        let groups = decode(body, "http://s/").expect("valid");
        assert_eq!(groups.len(), 3);
        assert_eq!(groups[0].targets, ["a:1", "b:1"]);
        let labels = [("__meta_url", "http://s/"), ("__meta_x", "1")];
        assert_eq!(groups[0].labels, Labels::from_pairs(labels));
        assert_eq!(decode(b"null", "u"), Ok(Vec::new()));
    }

    #[test]
    fn what_prometheus_refuses_is_refused() {
        let deep = "[".repeat(100_000);
        let many = format!("[{{\"targets\":[{}\"a\"]}}]", "\"a\",".repeat(DISCOVERED_TARGETS_MAX));
        let value = "x".repeat(5_000);
        let targets = "\"a\",".repeat(9_999);
        let wide = format!("[{{\"targets\":[{targets}\"a\"],\"labels\":{{\"l\":\"{value}\"}}}}]");
        for (body, expected) in [
            ("{}", "expected a list"),
            ("[[[\"a:1\"]]]", "expected a map"),
            ("[null]", "nil target group item found"),
            ("[{\"target\": [\"a:1\"]}]", "unknown field `target`"),
            ("[{\"targets\": [1]}]", "expected a string"),
            ("[{\"labels\": {\"a\": 1}}]", "expected a string"),
            ("[{\"labels\": {\"\": \"1\"}}]", "\"\" is not a valid label name"),
            ("[{\"targets\": [\"a:1\"]}] x", "trailing characters"),
            ("[{\"targets\": [", "EOF"),
            (&deep, "expected a map"),
            (&many, "a list of more than 20000 entries"),
            (&wide, "bytes of labels"),
        ] {
            let err = decode(body.as_bytes(), "u").expect_err("refused");
            assert!(err.contains(expected), "{err}");
        }
    }

    #[test]
    fn only_json_in_utf_8_is_taken() {
        for (media, taken) in [
            ("application/json", true),
            (" Application/JSON; charset=UTF-8", true),
            ("application/json;charset=\"utf-8\"", true),
            ("application/json; charset=latin1", false),
            ("application/jsonp", false),
            ("text/plain", false),
            ("", false),
        ] {
            assert_eq!(is_json(media), taken, "{media}");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_decoded_or_refused(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&body, "u");
        }

        #[test]
        fn what_was_written_is_read(
            groups in proptest::collection::vec(
                (proptest::collection::vec(".{0,10}", 0..4),
                 proptest::collection::btree_map("[a-z_]{1,8}", ".{1,10}", 0..4)),
                0..5,
            )
        ) {
            let form = |(targets, labels): &(Vec<String>, _)| {
                serde_json::json!({"targets": targets, "labels": labels})
            };
            let body = serde_json::Value::Array(groups.iter().map(form).collect()).to_string();
            let found = decode(body.as_bytes(), "u").expect("valid");
            prop_assert_eq!(found.len(), groups.len());
            for (found, (targets, labels)) in found.iter().zip(&groups) {
                prop_assert_eq!(&found.targets, targets);
                for (name, value) in labels {
                    prop_assert_eq!(found.labels.get(name), Some(value.as_str()));
                }
            }
        }
    }
}
