//! Receivers and keys that are known and not built: read whole, reported, shown without secrets.

use serde::de::Deserializer;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use std::fmt;

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
}
