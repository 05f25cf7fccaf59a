//! Go's builtin functions, but for `and` and `or`, which `eval.rs` stops early.
//!
//! Source: Go, text/template/funcs.go.

use super::format;
use super::signature::{Kind, Takes};
use super::value::{List, Value};
use crate::model::percent;
use std::cmp::Ordering;
use std::fmt::Write as _;

const ANY: Takes = Takes::exactly(&[Kind::Any]);
const TWO: Takes = Takes::exactly(&[Kind::Any, Kind::Any]);
const SOME: Takes = Takes::at_least(&[Kind::Any], Kind::Any);
const MORE: Takes = Takes::at_least(&[], Kind::Any);

const TABLE: [(&str, Takes); 19] = [
    ("and", SOME),
    ("call", SOME),
    ("eq", SOME),
    ("ge", TWO),
    ("gt", TWO),
    ("html", MORE),
    ("index", SOME),
    ("js", MORE),
    ("le", TWO),
    ("len", ANY),
    ("lt", TWO),
    ("ne", TWO),
    ("not", ANY),
    ("or", SOME),
    ("print", MORE),
    ("printf", Takes::at_least(&[Kind::Text], Kind::Any)),
    ("println", MORE),
    ("slice", SOME),
    ("urlquery", MORE),
];

/// Whether there is a builtin function of this name.
pub(super) fn contains(name: &str) -> bool {
    takes(name).is_some()
}

/// The parameters of a builtin function.
pub(super) fn takes(name: &str) -> Option<Takes> {
    TABLE.iter().find(|(known, _)| *known == name).map(|(_, takes)| *takes)
}

/// Calls a builtin function with arguments that `takes` allows.
pub(super) fn call(name: &str, args: &[Value], bytes_max: usize) -> Result<Value, String> {
    let text = |text: Result<String, format::TooLong>| {
        text.map(Value::from).map_err(|err| err.to_string())
    };
    let joined = || match args {
        [Value::String(text)] => Ok(text.to_string()),
        args => format::print(args, bytes_max).map_err(|err| err.to_string()),
    };
    match (name, args) {
        ("not", [value]) => Ok(Value::Bool(!value.truth())),
        ("len", [value]) => length(value),
        ("index", [value, keys @ ..]) => {
            keys.iter().try_fold(value.clone(), |value, key| index(&value, key))
        }
        ("slice", [value, bounds @ ..]) => slice(value, bounds),
        ("print", args) => text(format::print(args, bytes_max)),
        ("println", args) => text(format::println(args, bytes_max)),
        ("printf", [layout, args @ ..]) => match layout.as_text() {
            Some(layout) => text(format::printf(layout, args, bytes_max)),
            None => Err(wrong_type("string", layout)),
        },
        ("html", _) => joined().map(|text| html_escape(&text).into()),
        ("js", _) => joined().map(|text| js_escape(&text).into()),
        ("urlquery", _) => joined().map(|text| percent::encode_form(&text).into()),
        ("eq", [first, others @ ..]) => equals_any(first, others).map(Value::Bool),
        ("ne", [a, b]) => equal(a, b).map(|equal| Value::Bool(!equal)),
        ("lt", [a, b]) => compare(a, b).map(|order| Value::Bool(order == Some(Ordering::Less))),
        ("le", [a, b]) => {
            compare(a, b).map(|order| Value::Bool(order.is_some_and(Ordering::is_le)))
        }
        // As Go has it, greater is the opposite of less or equal, also for NaN.
        ("gt", [a, b]) => {
            compare(a, b).map(|order| Value::Bool(!order.is_some_and(Ordering::is_le)))
        }
        ("ge", [a, b]) => compare(a, b).map(|order| Value::Bool(order != Some(Ordering::Less))),
        ("call", [Value::Nil, ..]) => Err("call of nil".to_owned()),
        ("call", [value, ..]) => Err(format!("non-function of type {}", value.type_name())),
        (name, _) => Err(format!("no builtin function {name}")),
    }
}

/// The message that an argument has the wrong type.
pub(super) fn wrong_type(wanted: &str, found: &Value) -> String {
    format!("wrong type for value; expected {wanted}; got {}", found.type_name())
}

fn whole(count: usize) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

fn length(value: &Value) -> Result<Value, String> {
    match value.plain() {
        Value::String(text) | Value::SafeHtml(text) | Value::SafeUrl(text) => Ok(whole(text.len())),
        Value::List(list) => Ok(whole(list.items().len())),
        Value::Map(map) => Ok(whole(map.len())),
        Value::Nil => Err("len of nil pointer".to_owned()),
        Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Object(_)
        | Value::Time(_)
        | Value::Duration(_) => Err(format!("len of type {}", value.type_name())),
    }
}

fn index(value: &Value, key: &Value) -> Result<Value, String> {
    match value.plain() {
        Value::List(list) => {
            let at = place(key, list.items().len())?;
            let item = list.items().get(at).cloned();
            item.ok_or_else(|| "reflect: slice index out of range".to_owned())
        }
        Value::String(text) => {
            let byte = text.as_bytes().get(place(key, text.len())?);
            let byte = byte.ok_or_else(|| "reflect: string index out of range".to_owned())?;
            Ok(Value::Int((*byte).into()))
        }
        Value::Map(map) => match key {
            Value::String(key) => Ok(map.get(key)),
            Value::Nil => Err("value is nil; should be of type string".to_owned()),
            other => Err(format!("value has type {}; should be string", other.type_name())),
        },
        Value::Nil => Err("index of untyped nil".to_owned()),
        Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Object(_)
        | Value::Time(_)
        | Value::Duration(_)
        | Value::SafeHtml(_)
        | Value::SafeUrl(_) => Err(format!("can't index item of type {}", value.type_name())),
    }
}

/// An index up to `len`: Go notices later that the last one has no element.
fn place(key: &Value, len: usize) -> Result<usize, String> {
    let Value::Int(number) = key else {
        return Err(match key {
            Value::Nil => "cannot index slice/array with nil".to_owned(),
            other => format!("cannot index slice/array with type {}", other.type_name()),
        });
    };
    usize::try_from(*number)
        .ok()
        .filter(|at| *at <= len)
        .ok_or_else(|| format!("index out of range: {number}"))
}

fn slice(value: &Value, bounds: &[Value]) -> Result<Value, String> {
    let plain = value.plain();
    let (len, most) = match &plain {
        Value::String(text) => (text.len(), 2),
        Value::List(list) => (list.items().len(), 3),
        Value::Nil => return Err("slice of untyped nil".to_owned()),
        _other => return Err(format!("can't slice item of type {}", value.type_name())),
    };
    if bounds.len() > most {
        return Err(if most == 2 {
            "cannot 3-index slice a string".to_owned()
        } else {
            format!("too many slice indexes: {}", bounds.len())
        });
    }
    let bound = |at: usize, otherwise: usize| match bounds.get(at) {
        Some(key) => place(key, len),
        None => Ok(otherwise),
    };
    let (start, end) = (bound(0, 0)?, bound(1, len)?);
    bound(2, len)?;
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    match plain {
        Value::List(list) => {
            let items = list.items().get(start..end).unwrap_or_default();
            Ok(Value::List(List::typed(list.type_name(), items.iter().cloned())))
        }
        other => {
            let bytes = other.as_text().unwrap_or_default().as_bytes();
            let part = bytes.get(start..end).unwrap_or_default();
            Ok(String::from_utf8_lossy(part).into_owned().into())
        }
    }
}

fn equals_any(first: &Value, others: &[Value]) -> Result<bool, String> {
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        if equal(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    let kinds = (&a.plain(), &b.plain());
    if let (Value::Nil, _) | (_, Value::Nil) = kinds {
        return Ok(matches!(kinds, (Value::Nil, Value::Nil)));
    }
    for (plain, value) in [(kinds.0, a), (kinds.1, b)] {
        if let Value::List(_) | Value::Map(_) | Value::Object(_) = plain {
            let shown = format::sprint(value);
            return Err(format!("non-comparable type {shown}: {}", value.type_name()));
        }
    }
    match kinds {
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Time(a), Value::Time(b)) => Ok(a == b),
        (a, b) => compare(a, b).map(|order| order == Some(Ordering::Equal)),
    }
}

/// The order of two numbers or two texts; `None` with a NaN.
fn compare(a: &Value, b: &Value) -> Result<Option<Ordering>, String> {
    let incompatible = || "incompatible types for comparison".to_owned();
    match (&a.plain(), &b.plain()) {
        (Value::Int(a) | Value::Duration(a), Value::Int(b) | Value::Duration(b)) => {
            Ok(Some(a.cmp(b)))
        }
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
        (a, b) => match (a.as_text(), b.as_text()) {
            (Some(a), Some(b)) => Ok(Some(a.cmp(b))),
            (_, _) if matches!((a, b), (Value::Bool(_), Value::Bool(_))) => {
                Err("invalid type for comparison".to_owned())
            }
            (_, _) if orderable(a) && orderable(b) => Err(incompatible()),
            (_, _) => Err("invalid type for comparison".to_owned()),
        },
    }
}

fn orderable(value: &Value) -> bool {
    let number = matches!(value, Value::Int(_) | Value::Float(_) | Value::Duration(_));
    number || value.as_text().is_some() || matches!(value, Value::Bool(_))
}

/// Go's `HTMLEscapeString`.
pub(super) fn html_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    out
}

/// Go's `unicode.IsPrint`. Behind another character, what combines with it is printable.
fn is_printable(c: char) -> bool {
    String::from_iter(['a', c]).escape_debug().nth(2).is_none()
        || c == '"'
        || c == '\''
        || c == '\\'
}

/// Go's `JSEscapeString`.
pub(super) fn js_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' => out.push_str("\\u003C"),
            '>' => out.push_str("\\u003E"),
            '&' => out.push_str("\\u0026"),
            '=' => out.push_str("\\u003D"),
            c if c != '\u{7f}' && (c.is_control() || !is_printable(c)) => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}
