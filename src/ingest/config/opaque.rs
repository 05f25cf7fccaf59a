//! A part of the settings that is read past: known by name, not by content.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

/// Settings whose inside nothing here reads; shown again with everything secret left out.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Opaque(Value);

impl Serialize for Opaque {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        redacted(&self.0).serialize(to)
    }
}

/// The value with `<secret>` for each scalar below a name that speaks of secrets.
///
/// Recursion is bounded: the YAML reader bounds the depth of what it builds.
fn redacted(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| {
                let value = if is_secret(name) { hidden(value) } else { redacted(value) };
                (name.clone(), value)
            })
            .collect(),
        Value::Array(list) => list.iter().map(redacted).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn hidden(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            map.iter().map(|(name, value)| (name.clone(), hidden(value))).collect()
        }
        Value::Array(list) => list.iter().map(hidden).collect(),
        Value::Null => Value::Null,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => "<secret>".into(),
    }
}

/// Whether a key of this name may hold a secret. Too many is better than one too few.
fn is_secret(name: &str) -> bool {
    const WORDS: [&str; 7] = ["password", "secret", "token", "credential", "key", "auth", "header"];
    let name = name.to_ascii_lowercase();
    !name.ends_with("_file") && WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_unread_settings_never_show() {
        let text = "{server: a, token: canary, basic_auth: {username: canary, password: canary}, \
                    token_file: shown, tags: [x]}";
        let opaque: Opaque = serde_yaml::from_str(text).expect("reads");
        let shown = serde_yaml::to_string(&opaque).expect("writes");
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("shown") && shown.contains("server: a"), "{shown}");
    }
}
