//! Alertmanager's named maps and lists of text: `SortedPairs`, `Names`, `Values`, `Remove`, `Join`.
//!
//! Source: alertmanager, template/template.go (KV, Pairs, Strings).

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

    fn remove(&self, names: &Value) -> Result<Value, String> {
        let Value::List(names) = names.plain() else {
            return Err(format!("expected []string; found {}", names.type_name()));
        };
        let named = |name: &str| names.items().iter().any(|item| item.as_text() == Some(name));
        let kept = self.0.iter().filter(|(name, _)| !named(name)).cloned().collect();
        Ok(Value::object(Self(kept)))
    }
}

impl Object for Kv {
    fn type_name(&self) -> &str {
        "template.KV"
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| Value::string(value))
    }

    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        Some(match (name, args) {
            ("SortedPairs", []) => Ok(Value::object(self.sorted())),
            ("Names", []) => Ok(self.sorted().names()),
            ("Values", []) => Ok(self.sorted().values()),
            ("Remove", [names]) => self.remove(names),
            ("String", []) => Ok(self.sorted().line().into()),
            ("SortedPairs" | "Names" | "Values" | "String" | "Remove", _) => {
                let wanted = usize::from(name == "Remove");
                Err(format!("wrong number of args for {name}: want {wanted} got {}", args.len()))
            }
            (_, _) => return None,
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

    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        Some(match (name, args) {
            ("Names", []) => Ok(self.names()),
            ("Values", []) => Ok(self.values()),
            ("String", []) => Ok(self.line().into()),
            (_, _) => return None,
        })
    }

    fn underlying(&self) -> Option<Value> {
        let pair = |(name, value): &(String, String)| {
            Value::object(Record::new(
                "template.Pair",
                [("Name", "Name", Value::string(name)), ("Value", "Value", Value::string(value))],
            ))
        };
        Some(Value::List(List::new(self.0.iter().map(pair))))
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

    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        Some(match (name, args) {
            ("Join", [separator]) => match separator.as_text() {
                Some(separator) => Ok(self.0.join(separator).into()),
                None => Err(format!("expected string; found {}", separator.type_name())),
            },
            (_, _) => return None,
        })
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::list(self.0.iter().map(Value::string)))
    }
}
