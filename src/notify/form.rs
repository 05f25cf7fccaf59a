//! JSON as sinks are sent it: the order of Go's structs, and what those leave out when empty.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// A JSON object in the order in which its members are given.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Form(Map<String, Value>);

impl Form {
    /// With a member that is always there.
    #[must_use]
    pub(super) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// With a member that is left out when it holds nothing: Go's `omitempty`.
    #[must_use]
    pub(super) fn filled(self, key: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let empty = match &value {
            Value::Null | Value::Bool(false) => true,
            Value::Bool(true) => false,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(map) => map.is_empty(),
        };
        if empty { self } else { self.with(key, value) }
    }
}

impl From<Form> for Value {
    fn from(form: Form) -> Self {
        Self::Object(form.0)
    }
}

impl Serialize for Form {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_holds_nothing_is_left_out_and_the_order_is_kept() {
        let inner = Form::default().filled("a", "");
        let form = Form::default()
            .with("z", "")
            .filled("text", "t")
            .filled("list", Vec::<Value>::new())
            .filled("off", false)
            .filled("zero", 0)
            .filled("on", true)
            .filled("inner", inner)
            .filled("none", Value::Null)
            .with("a", json!([1]));
        let text = serde_json::to_string(&form).expect("JSON");
        assert_eq!(text, r#"{"z":"","text":"t","on":true,"a":[1]}"#);
    }
}
