//! Alertmanager's named maps and lists of text: `SortedPairs`, `Names`, `Values`, `Remove`, `Join`.
//!
//! Source: alertmanager, template/template.go (KV, Pairs, Strings).

use super::signature::{Kind, Takes};
use super::value::{Field, List, Map, Object, Record, Value};
use std::fmt::Write as _;

/// A set of names and texts.
#[derive(Clone, Debug, Default)]
pub struct Kv(Vec<(String, String)>);

impl Kv {
    /// The set of these pairs, which are sorted by name.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Pairs sorted by name, `alertname` first.
    fn sorted(&self) -> Pairs {
        let mut pairs = self.0.clone();
        pairs.sort_by_key(|(name, _)| (name != "alertname", name.clone()));
        Pairs(pairs)
    }

    fn remove(&self, names: &[Value]) -> Self {
        let named = |name: &str| names.iter().any(|item| item.as_text() == Some(name));
        Self(self.0.iter().filter(|(name, _)| !named(name)).cloned().collect())
    }
}

impl Object for Kv {
    fn type_name(&self) -> &str {
        "template.KV"
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| Value::string(value))
    }

    fn takes(&self, method: &str) -> Option<Takes> {
        match method {
            "SortedPairs" | "Names" | "Values" | "String" => Some(Takes::exactly(&[])),
            "Remove" => Some(Takes::exactly(&[Kind::Texts])),
            _unknown => None,
        }
    }

    fn call(&self, method: &str, args: &[Value]) -> Result<Value, String> {
        Ok(match method {
            "SortedPairs" => Value::object(self.sorted()),
            "Names" => self.sorted().names(),
            "Values" => self.sorted().values(),
            "Remove" => match args.first().map(Value::plain) {
                Some(Value::List(names)) => Value::object(self.remove(names.items())),
                _nil => Value::object(self.clone()),
            },
            _string => self.sorted().line().into(),
        })
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::Map(Map::of_strings(self.0.iter().map(|(name, value)| (name, value)))))
    }

    fn text(&self) -> Option<String> {
        Some(self.sorted().line())
    }
}

/// Pairs in order.
#[derive(Clone, Debug)]
struct Pairs(Vec<(String, String)>);

impl Pairs {
    fn names(&self) -> Value {
        Value::object(Strings(self.0.iter().map(|(name, _)| name.clone()).collect()))
    }

    fn values(&self) -> Value {
        Value::object(Strings(self.0.iter().map(|(_, value)| value.clone()).collect()))
    }

    fn line(&self) -> String {
        let mut out = String::new();
        for (place, (name, value)) in self.0.iter().enumerate() {
            let _ = write!(out, "{}{name}={value}", if place > 0 { ", " } else { "" });
        }
        out
    }
}

impl Object for Pairs {
    fn type_name(&self) -> &str {
        "template.Pairs"
    }

    fn takes(&self, method: &str) -> Option<Takes> {
        matches!(method, "Names" | "Values" | "String").then_some(Takes::exactly(&[]))
    }

    fn call(&self, method: &str, _: &[Value]) -> Result<Value, String> {
        Ok(match method {
            "Names" => self.names(),
            "Values" => self.values(),
            _string => self.line().into(),
        })
    }

    fn underlying(&self) -> Option<Value> {
        let pair = |(name, value): &(String, String)| {
            Value::object(Record::new(
                "template.Pair",
                [("Name", "Name", Value::string(name)), ("Value", "Value", Value::string(value))],
            ))
        };
        Some(Value::List(List::typed("[]template.Pair", self.0.iter().map(pair))))
    }

    fn text(&self) -> Option<String> {
        Some(self.line())
    }
}

/// Texts in order.
#[derive(Clone, Debug)]
struct Strings(Vec<String>);

impl Object for Strings {
    fn type_name(&self) -> &str {
        "template.Strings"
    }

    fn fields(&self) -> Vec<Field> {
        Vec::new()
    }

    fn takes(&self, method: &str) -> Option<Takes> {
        (method == "Join").then_some(Takes::exactly(&[Kind::Text]))
    }

    fn call(&self, _: &str, args: &[Value]) -> Result<Value, String> {
        let separator = args.first().and_then(Value::as_text).unwrap_or_default();
        Ok(self.0.join(separator).into())
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::texts(self.0.iter().map(Value::string)))
    }
}
