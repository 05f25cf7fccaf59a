//! The leaves of a request, by hand: only the fields that are used. Whatever may be repeated
//! without a bound stays bytes until it is counted.
//!
//! Source: opentelemetry-proto, metrics/v1/metrics.proto and common/v1/common.proto.

use crate::model::value_text;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use std::fmt::Write as _;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct KeyValue {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AnyValue {
    #[prost(oneof = "Value", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub(super) value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Value {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    List(ArrayValue),
    #[prost(message, tag = "6")]
    Map(KeyValueList),
    #[prost(bytes = "vec", tag = "7")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    pub(super) values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct KeyValueList {
    #[prost(message, repeated, tag = "1")]
    pub(super) values: Vec<KeyValue>,
}

/// A scope without its attributes.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ScopeHead {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) version: String,
}

/// A metric without its points.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct MetricHead {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) description: String,
    #[prost(string, tag = "3")]
    pub(super) unit: String,
}

/// What a sum or a histogram says of all its points.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DataHead {
    /// 1 delta, 2 cumulative.
    #[prost(int32, tag = "2")]
    pub(super) temporality: i32,
    #[prost(bool, tag = "3")]
    pub(super) is_monotonic: bool,
}

/// The time of any point.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PointTime {
    /// Nanoseconds.
    #[prost(fixed64, tag = "3")]
    pub(super) time: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct NumberPoint {
    /// Nanoseconds, as all times here.
    #[prost(fixed64, tag = "2")]
    pub(super) start: u64,
    #[prost(fixed64, tag = "3")]
    pub(super) time: u64,
    #[prost(oneof = "Number", tags = "4, 6")]
    pub(super) value: Option<Number>,
    #[prost(bytes = "vec", repeated, tag = "5")]
    pub(super) exemplars: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "7")]
    pub(super) attributes: Vec<Vec<u8>>,
    #[prost(uint32, tag = "8")]
    pub(super) flags: u32,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Number {
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(sfixed64, tag = "6")]
    Int(i64),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HistogramPoint {
    #[prost(fixed64, tag = "2")]
    pub(super) start: u64,
    #[prost(fixed64, tag = "3")]
    pub(super) time: u64,
    #[prost(fixed64, tag = "4")]
    pub(super) count: u64,
    #[prost(double, optional, tag = "5")]
    pub(super) sum: Option<f64>,
    #[prost(fixed64, repeated, tag = "6")]
    pub(super) bucket_counts: Vec<u64>,
    #[prost(double, repeated, tag = "7")]
    pub(super) bounds: Vec<f64>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub(super) exemplars: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub(super) attributes: Vec<Vec<u8>>,
    #[prost(uint32, tag = "10")]
    pub(super) flags: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SummaryPoint {
    #[prost(fixed64, tag = "2")]
    pub(super) start: u64,
    #[prost(fixed64, tag = "3")]
    pub(super) time: u64,
    #[prost(fixed64, tag = "4")]
    pub(super) count: u64,
    #[prost(double, tag = "5")]
    pub(super) sum: f64,
    #[prost(message, repeated, tag = "6")]
    pub(super) quantiles: Vec<Quantile>,
    #[prost(bytes = "vec", repeated, tag = "7")]
    pub(super) attributes: Vec<Vec<u8>>,
    #[prost(uint32, tag = "8")]
    pub(super) flags: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Quantile {
    #[prost(double, tag = "1")]
    pub(super) quantile: f64,
    #[prost(double, tag = "2")]
    pub(super) value: f64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ExemplarMessage {
    #[prost(fixed64, tag = "2")]
    pub(super) time: u64,
    #[prost(oneof = "ExemplarNumber", tags = "3, 6")]
    pub(super) value: Option<ExemplarNumber>,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub(super) trace_id: Vec<u8>,
    #[prost(message, repeated, tag = "7")]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum ExemplarNumber {
    #[prost(double, tag = "3")]
    Double(f64),
    #[prost(sfixed64, tag = "6")]
    Int(i64),
}

impl AnyValue {
    /// The value as a label's text: text as it is, lists and maps as JSON.
    pub(super) fn text(&self) -> String {
        match &self.value {
            None => String::new(),
            Some(Value::Text(text)) => text.clone(),
            Some(Value::Bytes(bytes)) => STANDARD.encode(bytes),
            Some(Value::Bool(value)) => value.to_string(),
            Some(Value::Int(value)) => value.to_string(),
            Some(Value::Double(value)) => double(*value),
            Some(Value::List(_) | Value::Map(_)) => {
                let mut out = String::new();
                self.write_json(&mut out);
                out
            }
        }
    }

    /// Recursion is bounded: the protobuf decoder takes a hundred levels.
    fn write_json(&self, out: &mut String) {
        match &self.value {
            None => out.push_str("null"),
            Some(Value::Text(text)) => write_text(text, out),
            Some(Value::Bytes(bytes)) => write_text(&STANDARD.encode(bytes), out),
            Some(Value::Bool(value)) => {
                let _ = write!(out, "{value}");
            }
            Some(Value::Int(value)) => {
                let _ = write!(out, "{value}");
            }
            Some(Value::Double(value)) if value.is_finite() => out.push_str(&double(*value)),
            Some(Value::Double(_)) => out.push_str("null"),
            Some(Value::List(list)) => {
                out.push('[');
                for (place, value) in list.values.iter().enumerate() {
                    out.push_str(if place == 0 { "" } else { "," });
                    value.write_json(out);
                }
                out.push(']');
            }
            Some(Value::Map(map)) => {
                let by_key: BTreeMap<_, _> =
                    map.values.iter().map(|pair| (&pair.key, &pair.value)).collect();
                out.push('{');
                for (place, (key, value)) in by_key.into_iter().enumerate() {
                    out.push_str(if place == 0 { "" } else { "," });
                    write_text(key, out);
                    out.push(':');
                    match value {
                        Some(value) => value.write_json(out),
                        None => out.push_str("null"),
                    }
                }
                out.push('}');
            }
        }
    }
}

/// As Go's JSON: an exponent below 1e-6 and from 1e21 on, of one digit where one is enough.
fn double(value: f64) -> String {
    let text = value_text::api(value);
    match text.split_once("e-0") {
        Some((mantissa, exponent)) => format!("{mantissa}e-{exponent}"),
        None => text,
    }
}

/// As Go's JSON, which keeps text fit for HTML.
fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(value: Value) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    #[test]
    fn values_are_text_as_in_opentelemetrys_go_library() {
        let list = Value::List(ArrayValue {
            values: vec![any(Value::Text("a\"<".into())), any(Value::Int(-1)), AnyValue::default()],
        });
        let pair = |key: &str, value| KeyValue { key: key.into(), value: Some(any(value)) };
        let map = Value::Map(KeyValueList {
            values: vec![pair("z", Value::Double(0.5)), pair("b", Value::Bool(true))],
        });
        for (value, expected) in [
            (Value::Text("as it is".into()), "as it is"),
            (Value::Bool(false), "false"),
            (Value::Int(i64::MIN), "-9223372036854775808"),
            (Value::Double(1.0), "1"),
            (Value::Double(1e-7), "1e-7"),
            (Value::Double(1e21), "1e+21"),
            (Value::Bytes(vec![1, 2, 255]), "AQL/"),
            (list, r#"["a\"\u003c",-1,null]"#),
            (map, r#"{"b":true,"z":0.5}"#),
        ] {
            assert_eq!(any(value).text(), expected);
        }
        assert_eq!(AnyValue::default().text(), "");
    }
}
