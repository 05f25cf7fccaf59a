//! Values as Go's encoding/json writes them.

use super::value::Value;
use serde_json::{Map as JsonMap, Number, Value as Json};

/// No value that a template may make is longer.
const BYTES_MAX: usize = 4 << 20;

/// The JSON text of a value, with Go's escapes of `<`, `>` and `&`.
///
/// # Errors
/// A number that JSON cannot hold, or far too many values.
pub(super) fn to_json(value: &Value) -> Result<String, String> {
    let mut room = BYTES_MAX;
    let text = convert(value, &mut room)?.to_string();
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    Ok(out)
}

/// `room` is what is left of the bytes: lists that hold one list many times are short only until
/// they are written out.
fn convert(value: &Value, room: &mut usize) -> Result<Json, String> {
    let bytes = value.as_text().map_or(1, |text| text.len() + 1);
    *room = room.checked_sub(bytes).ok_or_else(|| "json: the value is too long".to_owned())?;
    Ok(match value {
        Value::Nil => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(number) | Value::Duration(number) => Json::Number((*number).into()),
        Value::Float(number) => float(*number)?,
        Value::String(text) | Value::SafeHtml(text) | Value::SafeUrl(text) => {
            Json::String(text.to_string())
        }
        Value::List(list) => Json::Array(
            list.items().iter().map(|item| convert(item, room)).collect::<Result<_, _>>()?,
        ),
        Value::Map(map) => {
            let entry = |(key, value): (&str, &Value)| Ok((key.to_owned(), convert(value, room)?));
            Json::Object(map.iter().map(entry).collect::<Result<_, String>>()?)
        }
        Value::Object(object) => match object.underlying() {
            Some(inner) => convert(&inner, room)?,
            None => {
                let mut fields = JsonMap::new();
                for field in object.fields() {
                    fields.insert(field.json.to_owned(), convert(&field.value, room)?);
                }
                Json::Object(fields)
            }
        },
        Value::Time(time) => Json::String(time.rfc3339()),
    })
}

/// Whole numbers without a point, as Go writes them.
fn float(number: f64) -> Result<Json, String> {
    let text = crate::model::value_text::api(number);
    if let Ok(whole) = text.parse::<i64>() {
        return Ok(Json::Number(whole.into()));
    }
    Number::from_f64(number)
        .map(Json::Number)
        .ok_or_else(|| format!("json: unsupported value: {text}"))
}
