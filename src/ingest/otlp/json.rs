//! OTLP's JSON encoding as its protobuf encoding, field by field while it is read: nothing is built
//! in between, so that a body takes as much memory as it has bytes.
//!
//! Source: opentelemetry.io, docs/specs/otlp (JSON Protobuf encoding) and protobuf's own mapping:
//! numbers of 64 bits may be text, names may be of both kinds, ids are hex, unknown names are
//! skipped.

use crate::ingest::limits::WRITE_BYTES_MAX;
use crate::ingest::receive::ReceiveError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::encoding::{WireType, encode_key, encode_varint};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// What a field holds.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Message(fn() -> &'static [Field]),
    Messages(fn() -> &'static [Field]),
    Text,
    Hex,
    Base64,
    Bool,
    /// A varint: `int64`, `uint32`.
    Int,
    /// A varint that also has names, the first of which is 0.
    Enum(&'static [&'static str]),
    Fixed(Number),
    Packed(Number),
}

/// Numbers of eight bytes.
#[derive(Clone, Copy, Debug)]
enum Number {
    Unsigned,
    Signed,
    Double,
}

#[derive(Clone, Copy, Debug)]
struct Field {
    /// In lower camel case.
    name: &'static str,
    tag: u32,
    kind: Kind,
}

const fn field(name: &'static str, tag: u32, kind: Kind) -> Field {
    Field { name, tag, kind }
}

const TIME: Kind = Kind::Fixed(Number::Unsigned);
const DOUBLE: Kind = Kind::Fixed(Number::Double);
const TEMPORALITY: Kind = Kind::Enum(&[
    "AGGREGATION_TEMPORALITY_UNSPECIFIED",
    "AGGREGATION_TEMPORALITY_DELTA",
    "AGGREGATION_TEMPORALITY_CUMULATIVE",
]);

const REQUEST: &[Field] = &[field("resourceMetrics", 1, Kind::Messages(|| RESOURCE_METRICS))];
const RESOURCE_METRICS: &[Field] = &[
    field("resource", 1, Kind::Message(|| RESOURCE)),
    field("scopeMetrics", 2, Kind::Messages(|| SCOPE_METRICS)),
    field("schemaUrl", 3, Kind::Text),
];
const RESOURCE: &[Field] = &[field("attributes", 1, Kind::Messages(key_value))];
const SCOPE_METRICS: &[Field] = &[
    field("scope", 1, Kind::Message(|| SCOPE)),
    field("metrics", 2, Kind::Messages(|| METRIC)),
    field("schemaUrl", 3, Kind::Text),
];
const SCOPE: &[Field] = &[
    field("name", 1, Kind::Text),
    field("version", 2, Kind::Text),
    field("attributes", 3, Kind::Messages(key_value)),
];
const METRIC: &[Field] = &[
    field("name", 1, Kind::Text),
    field("description", 2, Kind::Text),
    field("unit", 3, Kind::Text),
    field("gauge", 5, Kind::Message(|| NUMBERS)),
    field("sum", 7, Kind::Message(|| NUMBERS)),
    field("histogram", 9, Kind::Message(|| HISTOGRAM)),
    field("exponentialHistogram", 10, Kind::Message(|| EXPONENTIAL)),
    field("summary", 11, Kind::Message(|| SUMMARY)),
];
/// Gauges have the first field only.
const NUMBERS: &[Field] = &[
    field("dataPoints", 1, Kind::Messages(|| NUMBER_POINT)),
    field("aggregationTemporality", 2, TEMPORALITY),
    field("isMonotonic", 3, Kind::Bool),
];
const HISTOGRAM: &[Field] = &[
    field("dataPoints", 1, Kind::Messages(|| HISTOGRAM_POINT)),
    field("aggregationTemporality", 2, TEMPORALITY),
];
const EXPONENTIAL: &[Field] = &[
    field("dataPoints", 1, Kind::Messages(|| COUNTED_POINT)),
    field("aggregationTemporality", 2, TEMPORALITY),
];
const SUMMARY: &[Field] = &[field("dataPoints", 1, Kind::Messages(|| SUMMARY_POINT))];
const NUMBER_POINT: &[Field] = &[
    field("startTimeUnixNano", 2, TIME),
    field("timeUnixNano", 3, TIME),
    field("asDouble", 4, DOUBLE),
    field("exemplars", 5, Kind::Messages(|| EXEMPLAR)),
    field("asInt", 6, Kind::Fixed(Number::Signed)),
    field("attributes", 7, Kind::Messages(key_value)),
    field("flags", 8, Kind::Int),
];
const HISTOGRAM_POINT: &[Field] = &[
    field("startTimeUnixNano", 2, TIME),
    field("timeUnixNano", 3, TIME),
    field("count", 4, Kind::Fixed(Number::Unsigned)),
    field("sum", 5, DOUBLE),
    field("bucketCounts", 6, Kind::Packed(Number::Unsigned)),
    field("explicitBounds", 7, Kind::Packed(Number::Double)),
    field("exemplars", 8, Kind::Messages(|| EXEMPLAR)),
    field("attributes", 9, Kind::Messages(key_value)),
    field("flags", 10, Kind::Int),
];
/// A point that is not kept.
const COUNTED_POINT: &[Field] = &[field("timeUnixNano", 3, TIME)];
const SUMMARY_POINT: &[Field] = &[
    field("startTimeUnixNano", 2, TIME),
    field("timeUnixNano", 3, TIME),
    field("count", 4, Kind::Fixed(Number::Unsigned)),
    field("sum", 5, DOUBLE),
    field("quantileValues", 6, Kind::Messages(|| QUANTILE)),
    field("attributes", 7, Kind::Messages(key_value)),
    field("flags", 8, Kind::Int),
];
const QUANTILE: &[Field] = &[field("quantile", 1, DOUBLE), field("value", 2, DOUBLE)];
const EXEMPLAR: &[Field] = &[
    field("timeUnixNano", 2, TIME),
    field("asDouble", 3, DOUBLE),
    field("spanId", 4, Kind::Hex),
    field("traceId", 5, Kind::Hex),
    field("asInt", 6, Kind::Fixed(Number::Signed)),
    field("filteredAttributes", 7, Kind::Messages(key_value)),
];

/// Functions, since values hold lists of values.
fn key_value() -> &'static [Field] {
    const FIELDS: &[Field] =
        &[field("key", 1, Kind::Text), field("value", 2, Kind::Message(any_value))];
    FIELDS
}

fn any_value() -> &'static [Field] {
    const FIELDS: &[Field] = &[
        field("stringValue", 1, Kind::Text),
        field("boolValue", 2, Kind::Bool),
        field("intValue", 3, Kind::Int),
        field("doubleValue", 4, DOUBLE),
        field("arrayValue", 5, Kind::Message(array)),
        field("kvlistValue", 6, Kind::Message(list)),
        field("bytesValue", 7, Kind::Base64),
    ];
    FIELDS
}

fn array() -> &'static [Field] {
    const FIELDS: &[Field] = &[field("values", 1, Kind::Messages(any_value))];
    FIELDS
}

fn list() -> &'static [Field] {
    const FIELDS: &[Field] = &[field("values", 1, Kind::Messages(key_value))];
    FIELDS
}

/// The request in protobuf.
///
/// # Errors
/// It is no JSON, a value is none of its field's, or it is too long.
pub(super) fn to_protobuf(text: &[u8]) -> Result<Vec<u8>, ReceiveError> {
    let malformed = |err: serde_json::Error| ReceiveError::Malformed(format!("JSON: {err}"));
    let mut out = Vec::with_capacity(text.len().min(1 << 20));
    let mut reader = serde_json::Deserializer::from_slice(text);
    Fields { fields: REQUEST, out: &mut out }.deserialize(&mut reader).map_err(malformed)?;
    reader.end().map_err(malformed)?;
    Ok(out)
}

/// Reads an object into the bytes of its message.
struct Fields<'a> {
    fields: &'static [Field],
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match self.fields.iter().find(|field| is_named(field.name, &key)) {
                Some(field) => {
                    map.next_value_seed(Content { field: *field, out: &mut *self.out })?
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            if self.out.len() > WRITE_BYTES_MAX {
                return Err(A::Error::custom(format!("more than {WRITE_BYTES_MAX} bytes")));
            }
        }
        Ok(())
    }
}

/// Whether a key is the field's name, in camel case or with underscores.
fn is_named(name: &str, key: &str) -> bool {
    let mut letters = key.bytes().filter(|byte| *byte != b'_');
    name.bytes().all(|wanted| letters.next().is_some_and(|byte| byte.eq_ignore_ascii_case(&wanted)))
        && letters.next().is_none()
}

/// Reads the content of one field and writes it with its key.
struct Content<'a> {
    field: Field,
    out: &'a mut Vec<u8>,
}

impl Content<'_> {
    fn bytes(self, bytes: &[u8]) {
        encode_key(self.field.tag, WireType::LengthDelimited, self.out);
        encode_varint(bytes.len() as u64, self.out);
        self.out.extend_from_slice(bytes);
    }

    fn varint(self, value: u64) {
        encode_key(self.field.tag, WireType::Varint, self.out);
        encode_varint(value, self.out);
    }

    fn fixed(self, bits: u64) {
        encode_key(self.field.tag, WireType::SixtyFourBit, self.out);
        self.out.extend_from_slice(&bits.to_le_bytes());
    }

    fn wrong<E: Error>(&self, found: &dyn fmt::Display) -> E {
        E::custom(format!("{}: {found} is no value of it", self.field.name))
    }
}

impl<'de> DeserializeSeed<'de> for Content<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Content<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of {}", self.field.name)
    }

    /// `null` is a field that is not there.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        match self.field.kind {
            Kind::Bool => self.varint(u64::from(value)),
            _ => return Err(self.wrong(&value)),
        }
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        match self.field.kind {
            Kind::Int | Kind::Enum(_) => self.varint(value),
            Kind::Fixed(number) => match number.of_unsigned(value) {
                Some(bits) => self.fixed(bits),
                None => return Err(self.wrong(&value)),
            },
            _ => return Err(self.wrong(&value)),
        }
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        match self.field.kind {
            Kind::Int | Kind::Enum(_) => self.varint(value.cast_unsigned()),
            Kind::Fixed(number) => match number.of_signed(value) {
                Some(bits) => self.fixed(bits),
                None => return Err(self.wrong(&value)),
            },
            _ => return Err(self.wrong(&value)),
        }
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        match self.field.kind {
            Kind::Fixed(Number::Double) => self.fixed(value.to_bits()),
            _ => return Err(self.wrong(&value)),
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        match self.field.kind {
            Kind::Text => self.bytes(text.as_bytes()),
            Kind::Hex => match unhex(text) {
                Some(bytes) => self.bytes(&bytes),
                None => return Err(self.wrong(&"text that is not hex")),
            },
            Kind::Base64 => match STANDARD.decode(text) {
                Ok(bytes) => self.bytes(&bytes),
                Err(err) => return Err(self.wrong(&err)),
            },
            Kind::Int => match text.parse::<i64>() {
                Ok(value) => self.varint(value.cast_unsigned()),
                Err(err) => return Err(self.wrong(&err)),
            },
            Kind::Enum(names) => match names.iter().position(|name| *name == text) {
                Some(place) => self.varint(place as u64),
                None => return Err(self.wrong(&"an unknown name")),
            },
            Kind::Fixed(number) => match number.of_text(text) {
                Some(bits) => self.fixed(bits),
                None => return Err(self.wrong(&"text that is no number")),
            },
            Kind::Message(_) | Kind::Messages(_) | Kind::Bool | Kind::Packed(_) => {
                return Err(self.wrong(&"text"));
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Message(fields) = self.field.kind else {
            return Err(self.wrong(&"an object"));
        };
        let mut inner = Vec::new();
        Fields { fields: fields(), out: &mut inner }.visit_map(map)?;
        self.bytes(&inner);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        match self.field.kind {
            Kind::Messages(fields) => {
                let mut inner = Vec::new();
                while list
                    .next_element_seed(Fields { fields: fields(), out: &mut inner })?
                    .is_some()
                {
                    Content { field: self.field, out: &mut *self.out }.bytes(&inner);
                    inner.clear();
                    if self.out.len() > WRITE_BYTES_MAX {
                        return Err(A::Error::custom(format!("more than {WRITE_BYTES_MAX} bytes")));
                    }
                }
                Ok(())
            }
            Kind::Packed(number) => {
                let mut inner = Vec::new();
                while let Some(bits) = list.next_element_seed(Element(number))? {
                    inner.extend_from_slice(&bits.to_le_bytes());
                    if inner.len() > WRITE_BYTES_MAX {
                        return Err(A::Error::custom(format!("more than {WRITE_BYTES_MAX} bytes")));
                    }
                }
                self.bytes(&inner);
                Ok(())
            }
            _ => Err(self.wrong(&"a list")),
        }
    }
}

impl Number {
    fn of_unsigned(self, value: u64) -> Option<u64> {
        match self {
            Self::Unsigned => Some(value),
            Self::Signed => i64::try_from(value).ok().map(i64::cast_unsigned),
            #[expect(clippy::cast_precision_loss, reason = "the field is a float")]
            Self::Double => Some((value as f64).to_bits()),
        }
    }

    fn of_signed(self, value: i64) -> Option<u64> {
        match self {
            Self::Unsigned => u64::try_from(value).ok(),
            Self::Signed => Some(value.cast_unsigned()),
            #[expect(clippy::cast_precision_loss, reason = "the field is a float")]
            Self::Double => Some((value as f64).to_bits()),
        }
    }

    fn of_text(self, text: &str) -> Option<u64> {
        match self {
            Self::Unsigned => text.parse().ok(),
            Self::Signed => text.parse::<i64>().ok().map(i64::cast_unsigned),
            // Rust reads `NaN`, `Infinity` and `-Infinity` as protobuf writes them.
            Self::Double => text.parse::<f64>().ok().map(f64::to_bits),
        }
    }
}

/// Reads one number of a list.
struct Element(Number);

impl<'de> DeserializeSeed<'de> for Element {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<u64, D::Error> {
        from.deserialize_any(self)
    }
}

impl Visitor<'_> for Element {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or one as text")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<u64, E> {
        self.0.of_unsigned(value).ok_or_else(|| E::custom(format!("{value} does not fit")))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<u64, E> {
        self.0.of_signed(value).ok_or_else(|| E::custom(format!("{value} does not fit")))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<u64, E> {
        match self.0 {
            Number::Double => Ok(value.to_bits()),
            Number::Unsigned | Number::Signed => Err(E::custom(format!("{value} is not whole"))),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        self.0.of_text(text).ok_or_else(|| E::custom("text that is no number"))
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    let byte = |&[high, low]: &[u8; 2]| Some(digit(high)? << 4 | digit(low)?);
    if odd.is_empty() { pairs.iter().map(byte).collect() } else { None }
}
