//! Receivers and keys that are known and not built: read whole, reported, shown without secrets.

use crate::sys::settings::HttpClientSettings;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use std::fmt;
use std::ops::Deref;

/// The body of an integration that is not built.
#[derive(Clone, Default, PartialEq)]
pub struct Opaque(Value);

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", hidden(&self.0))
    }
}

impl<'de> Deserialize<'de> for Opaque {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Value::deserialize(from).map(Self)
    }
}

/// Writes the keys; whatever could be a secret is hidden.
impl Serialize for Opaque {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        hidden(&self.0).serialize(to)
    }
}

fn hidden(value: &Value) -> Value {
    match value {
        Value::String(_) => Value::String("<secret>".to_owned()),
        Value::Array(items) => items.iter().map(hidden).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), hidden(value))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// `http_config`: unlike the same keys inside a scrape job, others beside them are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpConfig(HttpClientSettings);

impl Deref for HttpConfig {
    type Target = HttpClientSettings;

    fn deref(&self) -> &HttpClientSettings {
        &self.0
    }
}

const HTTP_KEYS: [&str; 13] = [
    "basic_auth",
    "authorization",
    "oauth2",
    "bearer_token",
    "bearer_token_file",
    "tls_config",
    "follow_redirects",
    "enable_http2",
    "proxy_url",
    "no_proxy",
    "proxy_from_environment",
    "proxy_connect_header",
    "http_headers",
];

impl<'de> Deserialize<'de> for HttpConfig {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Some(value) = Option::<Value>::deserialize(from)? else { return Ok(Self::default()) };
        for key in value.as_object().into_iter().flat_map(|map| map.keys()) {
            if !HTTP_KEYS.contains(&key.as_str()) {
                return Err(D::Error::unknown_field(key, &HTTP_KEYS));
            }
        }
        serde_json::from_value(value).map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for HttpConfig {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_not_built_shows_its_keys_alone() {
        let yaml = "{api_url: 'https://hooks/T/secret', actions: [{url: x}], send_resolved: true}";
        let body: Opaque = serde_yaml::from_str(yaml).expect("reads");
        let shown = serde_yaml::to_string(&body).expect("writes");
        assert!(shown.contains("api_url") && shown.contains("send_resolved: true"), "{shown}");
        assert!(!shown.contains("hooks"), "{shown}");
    }

    #[test]
    fn unknown_keys_of_http_config_are_refused() {
        for (yaml, message) in [
            ("{follow_redirect: true}", "unknown field `follow_redirect`"),
            ("{oauth2: {client: x}}", "unknown field `client`"),
        ] {
            let err = serde_yaml::from_str::<HttpConfig>(yaml).expect_err(yaml);
            assert!(err.to_string().contains(message), "{err}");
        }
        let read: HttpConfig = serde_yaml::from_str("{follow_redirects: false}").expect("reads");
        assert_eq!(read.follow_redirects, Some(false));
    }
}
