//! The values that templates work on: what of Go's types a template can see.

use super::signature::Takes;
use super::time::Time;
use crate::model::Labels;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Lists and maps inside each other; deeper ones are refused where templates make them.
pub(super) const NESTING_MAX: u8 = 16;

/// A value of a template. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// No value: an absent key of a map of anything, or `nil`.
    #[default]
    Nil,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    String(Arc<str>),
    /// Several values in order.
    List(List),
    /// Values by name, sorted.
    Map(Map),
    /// A value with fields or methods.
    Object(Arc<dyn Object>),
    /// An instant with a zone.
    Time(Time),
    /// Nanoseconds.
    Duration(i64),
    /// Text that is HTML already: not escaped again.
    SafeHtml(Arc<str>),
    /// Text that is a URL already: its scheme is not filtered.
    SafeUrl(Arc<str>),
}

impl Value {
    /// Text.
    pub fn string(text: impl AsRef<str>) -> Self {
        Self::String(Arc::from(text.as_ref()))
    }

    /// A list of these values, whatever they are.
    pub fn list(items: impl IntoIterator<Item = Value>) -> Self {
        Self::List(List::new(items))
    }

    /// A list of texts: Go's `[]string`.
    pub fn texts(items: impl IntoIterator<Item = Value>) -> Self {
        Self::List(List::typed("[]string", items))
    }

    /// A map of text by name, as labels are: an absent key is the empty text.
    pub fn labels(labels: &Labels) -> Self {
        Self::Map(Map::of_strings(labels.iter()))
    }

    /// An object.
    pub fn object(object: impl Object + 'static) -> Self {
        Self::Object(Arc::new(object))
    }

    /// Whether the value is true in Go's sense: not the zero of its kind and not empty.
    pub fn truth(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) | Self::Duration(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::String(text) | Self::SafeHtml(text) | Self::SafeUrl(text) => !text.is_empty(),
            Self::List(list) => !list.items().is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Object(object) => object.underlying().is_none_or(|value| value.truth()),
            Self::Time(_) => true,
        }
    }

    /// The text of a value that is one, whichever kind of text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::String(text) | Self::SafeHtml(text) | Self::SafeUrl(text) => Some(text),
            Self::Nil
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::List(_)
            | Self::Map(_)
            | Self::Object(_)
            | Self::Time(_)
            | Self::Duration(_) => None,
        }
    }

    /// What an object is made on, anything else itself.
    pub fn plain(&self) -> Value {
        match self {
            Self::Object(object) => match object.underlying() {
                Some(value) => value,
                None => self.clone(),
            },
            Self::Nil
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::String(_)
            | Self::List(_)
            | Self::Map(_)
            | Self::Time(_)
            | Self::Duration(_)
            | Self::SafeHtml(_)
            | Self::SafeUrl(_) => self.clone(),
        }
    }

    /// Go's name of the type, for messages and `%T`.
    pub fn type_name(&self) -> &str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::String(_) => "string",
            Self::List(list) => list.type_name,
            Self::Map(map) if map.holds_strings() => "map[string]string",
            Self::Map(_) => "map[string]interface {}",
            Self::Object(object) => object.type_name(),
            Self::Time(_) => "time.Time",
            Self::Duration(_) => "time.Duration",
            Self::SafeHtml(_) => "template.HTML",
            Self::SafeUrl(_) => "template.URL",
        }
    }

    /// How deep lists and maps stand inside each other.
    pub(super) fn nesting(&self) -> u8 {
        match self {
            Self::List(list) => list.nesting,
            Self::Map(map) => map.0.nesting,
            Self::Nil
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::String(_)
            | Self::Object(_)
            | Self::Time(_)
            | Self::Duration(_)
            | Self::SafeHtml(_)
            | Self::SafeUrl(_) => 0,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::string(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(Arc::from(text))
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

/// Several values in order.
#[derive(Clone, Debug)]
pub struct List {
    items: Arc<[Value]>,
    type_name: &'static str,
    nesting: u8,
}

impl List {
    /// The list of these values, whatever they are.
    pub fn new(items: impl IntoIterator<Item = Value>) -> Self {
        Self::typed("[]interface {}", items)
    }

    /// The list of these values, with Go's name of its type.
    pub fn typed(type_name: &'static str, items: impl IntoIterator<Item = Value>) -> Self {
        let items: Arc<[Value]> = items.into_iter().collect();
        let nesting = deepest(items.iter());
        Self { items, type_name, nesting }
    }

    /// Go's name of its type.
    pub(super) fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// The values.
    pub fn items(&self) -> &[Value] {
        &self.items
    }
}

/// Values by name, in order of the names.
#[derive(Clone, Debug)]
pub struct Map(Arc<MapParts>);

#[derive(Debug)]
struct MapParts {
    entries: BTreeMap<Arc<str>, Value>,
    /// What an absent key yields: Go's zero value of the map's element type.
    zero: Value,
    nesting: u8,
}

impl Map {
    /// A map of text: an absent key is the empty text.
    pub fn of_strings<N: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let entries =
            pairs.into_iter().map(|(name, value)| (name.as_ref().into(), Value::string(value)));
        Self::build(entries.collect(), Value::string(""))
    }

    /// A map of anything: an absent key is no value.
    pub fn of_values<N: AsRef<str>>(pairs: impl IntoIterator<Item = (N, Value)>) -> Self {
        let entries = pairs.into_iter().map(|(name, value)| (name.as_ref().into(), value));
        Self::build(entries.collect(), Value::Nil)
    }

    fn build(entries: BTreeMap<Arc<str>, Value>, zero: Value) -> Self {
        let nesting = deepest(entries.values());
        Self(Arc::new(MapParts { entries, zero, nesting }))
    }

    /// The value of `key`, or the zero value of the map's elements.
    pub fn get(&self, key: &str) -> Value {
        self.0.entries.get(key).unwrap_or(&self.0.zero).clone()
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.entries.iter().map(|(name, value)| (&**name, value))
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.0.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.entries.is_empty()
    }

    /// Whether the elements are text by type.
    pub(super) fn holds_strings(&self) -> bool {
        matches!(self.0.zero, Value::String(_))
    }
}

fn deepest<'a>(values: impl Iterator<Item = &'a Value>) -> u8 {
    values.map(Value::nesting).max().unwrap_or(0).saturating_add(1)
}

/// A value with fields or methods, which may also be a list, a map or a number underneath.
pub trait Object: Send + Sync + fmt::Debug {
    /// Go's name of the type, for messages.
    fn type_name(&self) -> &str;

    /// The fields of a struct, in order; empty for anything else.
    fn fields(&self) -> Vec<Field> {
        Vec::new()
    }

    /// One field.
    fn field(&self, name: &str) -> Option<Value> {
        self.fields().into_iter().find(|field| field.name == name).map(|field| field.value)
    }

    /// The parameters of a method; `None` when there is none of this name.
    fn takes(&self, method: &str) -> Option<Takes> {
        let _ = method;
        None
    }

    /// Calls a method of those that `takes` knows, with what it takes.
    ///
    /// # Errors
    /// Whatever the method says.
    fn call(&self, method: &str, args: &[Value]) -> Result<Value, String> {
        let _ = args;
        Err(format!("no method {method}"))
    }

    /// The list, map, text or number that this type is made on, if it is.
    fn underlying(&self) -> Option<Value> {
        None
    }

    /// The text of the type's own `String` method, if it has one.
    fn text(&self) -> Option<String> {
        None
    }
}

/// A field of an object.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name in templates.
    pub name: &'static str,
    /// Its name in JSON.
    pub json: &'static str,
    /// Its value.
    pub value: Value,
}

/// An object that only has fields: Go's struct.
#[derive(Clone, Debug)]
pub struct Record {
    type_name: &'static str,
    fields: Vec<Field>,
}

impl Record {
    /// A struct of this type's name with these fields: name, name in JSON, value.
    pub fn new(
        type_name: &'static str,
        fields: impl IntoIterator<Item = (&'static str, &'static str, Value)>,
    ) -> Self {
        let field = |(name, json, value)| Field { name, json, value };
        Self { type_name, fields: fields.into_iter().map(field).collect() }
    }
}

impl Object for Record {
    fn type_name(&self) -> &str {
        self.type_name
    }

    fn fields(&self) -> Vec<Field> {
        self.fields.clone()
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.fields.iter().find(|field| field.name == name).map(|field| field.value.clone())
    }
}
