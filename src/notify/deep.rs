//! Structured fields whose texts are templates: a payload, details, custom fields.
//!
//! Source: prometheus/alertmanager, template/template.go (DeepCopyWithTemplate).

use super::outside::ReadYaml;
use serde_json::Value;
use std::collections::BTreeMap;

/// Values inside each other, as deep as a configuration may be.
const DEPTH_MAX: usize = 64;

/// The value with every text expanded, keys included, and maps in the order of their keys.
///
/// A text that expands to YAML of another type than text becomes that: `{{ len .Alerts }}` a
/// number, `[a, b]` a list, nothing at all null. What is inside of it is not expanded again.
///
/// # Errors
/// A template fails, or values are nested too deep.
pub(super) fn expanded(
    value: &Value,
    text: &dyn Fn(&str) -> Result<String, String>,
    read_yaml: &ReadYaml,
) -> Result<Value, String> {
    at_depth(value, text, read_yaml, 0)
}

fn at_depth(
    value: &Value,
    text: &dyn Fn(&str) -> Result<String, String>,
    read_yaml: &ReadYaml,
    depth: usize,
) -> Result<Value, String> {
    if depth > DEPTH_MAX {
        return Err(format!("nested more than {DEPTH_MAX} deep"));
    }
    let inside = |value| at_depth(value, text, read_yaml, depth + 1);
    Ok(match value {
        Value::String(field) => {
            let rendered = text(field)?;
            match read_yaml(&rendered) {
                None | Some(Value::String(_)) => Value::String(rendered),
                Some(typed) => sorted(typed),
            }
        }
        Value::Array(items) => Value::Array(items.iter().map(inside).collect::<Result<_, _>>()?),
        Value::Object(map) => {
            let pair = |(key, value): (&String, _)| Ok((text(key)?, inside(value)?));
            let pairs: BTreeMap<String, Value> =
                map.iter().map(pair).collect::<Result<_, String>>()?;
            Value::Object(pairs.into_iter().collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}

/// The value with its maps in the order of their keys, as Go writes them.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(map) => {
            let pairs = map.into_iter().map(|(key, value)| (key, sorted(value)));
            Value::Object(pairs.collect::<BTreeMap<_, _>>().into_iter().collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn texts_are_expanded_once_and_typed() {
        let read: ReadYaml = Arc::new(|text| match text {
            "" => Some(Value::Null),
            "7" => Some(json!(7)),
            "{b: T, a: 1}" => Some(json!({ "b": "T", "a": 1 })),
            _ => None,
        });
        let text = |field: &str| match field {
            "bad" => Err("no template".to_owned()),
            "T" => Ok("expanded".to_owned()),
            "N" => Ok(String::new()),
            other => Ok(other.to_owned()),
        };
        let value = json!({ "z": ["T", 1, true], "T": "7", "n": "N", "m": "{b: T, a: 1}" });
        let found = expanded(&value, &text, &read).expect("expands").to_string();
        let wanted = r#"{"expanded":7,"m":{"a":1,"b":"T"},"n":null,"z":["expanded",1,true]}"#;
        assert_eq!(found, wanted);
        assert_eq!(expanded(&json!(["bad"]), &text, &read), Err("no template".to_owned()));
        let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
        assert!(expanded(&deep, &text, &read).is_err());
    }
}
