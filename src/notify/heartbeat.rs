//! `watchbell.heartbeats`: servers elsewhere that are told again and again that this one works, so
//! that they can raise an alarm when it does not. Whether it works is decided by `service`.

use super::config::Source;
use super::kinds::url_of;
use super::outside::Outside;
use crate::model::{Problem, nearest_name};
use crate::sys::http::{HttpClient, Method, Request};
use crate::sys::settings::{HttpClientSettings, Secret, Span};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Each beat writes to the disk: more often is of no use to anybody.
const INTERVAL_MIN: Span = Span::seconds(5);
/// A watcher that waits for longer is no help.
const INTERVAL_MAX: Span = Span::seconds(24 * 3600);
/// For one request, when nothing else is said and the interval is longer.
const TIMEOUT: Span = Span::seconds(10);
/// Of an answer nothing is needed.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// The verbs by their names in the file.
const METHODS: [(&str, Method); 3] =
    [("GET", Method::Get), ("POST", Method::Post), ("PUT", Method::Put)];

/// One item of `watchbell.heartbeats`, as written.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeartbeatSettings {
    /// Its name, unique among them: for metrics, logs and screens.
    pub name: String,
    /// What is asked for.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub url: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// Time between beats.
    pub interval: Span,
    /// For one request; 10 s when missing, and no longer than the interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// `GET`, `POST` or `PUT`.
    pub method: String,
    /// How to talk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpClientSettings>,
}

impl Default for HeartbeatSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            url: Secret::default(),
            url_file: None,
            interval: Span::seconds(60),
            timeout: None,
            method: "GET".to_owned(),
            http_config: None,
        }
    }
}

/// One heartbeat, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Heartbeat {
    /// Its name.
    pub name: String,
    /// Time between beats.
    pub interval: Duration,
    url: Source,
    timeout: Duration,
    method: Method,
    http: HttpClientSettings,
}

/// Checks the list; places are below it.
///
/// # Errors
/// Every fault.
pub fn check(list: &[HeartbeatSettings]) -> Result<Vec<Heartbeat>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut found: Vec<Heartbeat> = Vec::new();
    for (place, one) in list.iter().enumerate() {
        let at = format!("[{place}]");
        if list.iter().take(place).any(|before| before.name == one.name) {
            let text = format!("heartbeat {:?} is not unique", one.name);
            problems.push(Problem::new(format!("{at}.name"), text));
        }
        found.extend(one.check(&at, &mut problems));
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

impl HeartbeatSettings {
    /// `None` when something is missing that nothing can be put in the place of.
    fn check(&self, at: &str, problems: &mut Vec<Problem>) -> Option<Heartbeat> {
        let url = url_of(at, "url", &self.url, self.url_file.as_ref());
        let url = url.and_then(|url| {
            url.ok_or_else(|| Problem::new(at, "one of url and url_file must be configured"))
        });
        let is_template = self.url.reveal().contains("{{");
        let url = url.map_err(|problem| problems.extend((!is_template).then_some(problem))).ok();
        let mut fault = |key: &str, text: String| {
            let at = if key.is_empty() { at.to_owned() } else { format!("{at}.{key}") };
            problems.push(Problem::new(at, text));
        };
        if is_template {
            fault("url", "the URL of a heartbeat cannot hold templates".to_owned());
        }
        if self.name.is_empty() {
            fault("", "missing name in heartbeat".to_owned());
        }
        if self.interval < INTERVAL_MIN || self.interval > INTERVAL_MAX {
            let text = format!(
                "interval must be from {INTERVAL_MIN} to {INTERVAL_MAX}, found {}",
                self.interval
            );
            fault("interval", text);
        }
        if let Some(timeout) = self.timeout
            && (timeout == Span::default() || timeout > self.interval)
        {
            let text = format!(
                "timeout must be more than 0s and at most the interval, {}; found {timeout}",
                self.interval
            );
            fault("timeout", text);
        }
        let method = METHODS.iter().find(|(name, _)| *name == self.method);
        if method.is_none() {
            let hint = nearest_name(&self.method.to_uppercase(), METHODS.map(|(name, _)| name))
                .map(|name| format!("; did you mean {name:?}?"))
                .unwrap_or_default();
            let text =
                format!("unknown method {:?}; GET, POST or PUT is wanted{hint}", self.method);
            fault("method", text);
        }
        let http = self.http_config.clone().unwrap_or_default();
        problems.extend(http.check(&format!("{at}.http_config")).err());
        Some(Heartbeat {
            name: self.name.clone(),
            interval: self.interval.0,
            url: url?,
            timeout: self.timeout.unwrap_or(TIMEOUT.min(self.interval)).0,
            method: method?.1,
            http,
        })
    }
}

/// A heartbeat that can be sent.
#[derive(Debug)]
pub struct Heart {
    heartbeat: Heartbeat,
    client: Arc<dyn HttpClient>,
    outside: Outside,
}

impl Heart {
    /// Makes its client.
    ///
    /// # Errors
    /// Why there is none; the place is below the item.
    pub fn new(heartbeat: &Heartbeat, outside: Outside) -> Result<Self, Problem> {
        let client = outside.client(&heartbeat.http)?;
        Ok(Self { heartbeat: heartbeat.clone(), client, outside })
    }

    /// What it is made of.
    pub const fn heartbeat(&self) -> &Heartbeat {
        &self.heartbeat
    }

    /// Sends one, with a single attempt: the next one comes soon enough.
    ///
    /// # Errors
    /// Why it was not taken, without secrets.
    pub async fn beat(&self) -> Result<(), String> {
        let outside = self.outside.for_attempt();
        let url = outside
            .reveal_trimmed(&self.heartbeat.url)
            .map_err(|err| format!("read url_file: {err}"))?;
        if url.is_empty() {
            return Err("url_file is empty".to_owned());
        }
        let agent = format!("watchbell/{}", env!("CARGO_PKG_VERSION"));
        let request = Request {
            method: self.heartbeat.method,
            headers: vec![("user-agent".to_owned(), agent)],
            body: Bytes::new(),
            timeout: self.heartbeat.timeout,
            body_bytes_max: ANSWER_BYTES_MAX,
            cuts_body: true,
            ..Request::get(url)
        };
        match self.client.send(request).await {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
            Ok(answer) => Err(format!("unexpected status code {}", answer.status)),
            Err(err) => Err(outside.hide_secrets(&err.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(yaml: &str) -> Vec<String> {
        let list: Vec<HeartbeatSettings> = serde_yaml::from_str(yaml).expect("reads");
        let problems = check(&list).err().unwrap_or_default();
        problems.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        assert_eq!(told("[{name: a, url: 'https://x/y'}]"), [""; 0]);
        for (yaml, expected) in [
            ("[{url: 'http://x'}]", "[0]: missing name in heartbeat"),
            ("[{name: a}]", "[0]: one of url and url_file must be configured"),
            (
                "[{name: a, url: 'http://x', url_file: y}]",
                "[0]: at most one of url & url_file must be configured",
            ),
            ("[{name: a, url: 'ftp://x'}]", "[0].url: unsupported scheme \"ftp\" for URL"),
            ("[{name: a, url: 'http://{{ x }}'}]", "[0].url: the URL of a heartbeat cannot"),
            (
                "[{name: a, url: 'http://x', interval: 1s}]",
                "[0].interval: interval must be from 5s to 1d, found 1s",
            ),
            (
                "[{name: a, url: 'http://x', interval: 20s, timeout: 30s}]",
                "[0].timeout: timeout must be more than 0s and at most the interval, 20s; found 30s",
            ),
            (
                "[{name: a, url: 'http://x', method: pots}]",
                "[0].method: unknown method \"pots\"; GET, POST or PUT is wanted; did you mean \"POST\"?",
            ),
            (
                "[{name: a, url: 'http://x'}, {name: a, url: 'http://y'}]",
                "[1].name: heartbeat \"a\" is not unique",
            ),
            (
                "[{name: a, url: 'http://x', http_config: {basic_auth: {}, bearer_token: a}}]",
                "[0].http_config: at most one of basic_auth",
            ),
        ] {
            let found = told(yaml);
            assert!(found.iter().any(|one| one.starts_with(expected)), "{yaml}: {found:?}");
        }
    }

    #[test]
    fn a_timeout_that_is_not_said_fits_the_interval() {
        for (interval, seconds) in [("5s", 5), ("10m", 10)] {
            let yaml = format!("[{{name: a, url: 'http://x', interval: {interval}}}]");
            let list: Vec<HeartbeatSettings> = serde_yaml::from_str(&yaml).expect("reads");
            let checked = check(&list).expect("valid");
            assert_eq!(checked[0].timeout, Duration::from_secs(seconds));
        }
    }
}
