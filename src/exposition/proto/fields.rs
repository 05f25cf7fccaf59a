//! The fields of a protobuf message, one after another, without building anything of them.

use super::ProtoError;
use prost::encoding::{WireType, decode_key, decode_varint};

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    /// A text, a message, or packed numbers.
    Bytes(&'a [u8]),
}

/// A message and the body that it lies in, which says where a fault is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) body: &'a [u8],
    pub(super) bytes: &'a [u8],
}

impl<'a> Message<'a> {
    /// A message that lies in this one.
    pub(super) const fn inner(self, bytes: &'a [u8]) -> Self {
        Self { body: self.body, bytes }
    }

    pub(super) const fn fields(self) -> Fields<'a> {
        Fields { body: self.body, rest: self.bytes }
    }

    /// The messages or texts of all fields with this tag.
    pub(super) fn all(self, tag: u32) -> impl Iterator<Item = Result<&'a [u8], ProtoError>> {
        self.fields().filter_map(move |field| match field {
            Ok((found, field)) => (found == tag).then(|| self.bytes_of(tag, field)),
            Err(err) => Some(Err(err)),
        })
    }

    /// The error at the start of `part`, which lies in the body.
    pub(super) fn fault(self, part: &[u8], message: impl Into<String>) -> ProtoError {
        let offset = (part.as_ptr() as usize).saturating_sub(self.body.as_ptr() as usize);
        ProtoError { offset: offset.min(self.body.len()), message: message.into() }
    }

    pub(super) fn bytes_of(self, tag: u32, field: Field<'a>) -> Result<&'a [u8], ProtoError> {
        match field {
            Field::Bytes(bytes) => Ok(bytes),
            Field::Varint(_) | Field::Fixed64(_) | Field::Fixed32 => Err(self.wrong_type(tag)),
        }
    }

    pub(super) fn text_of(self, tag: u32, field: Field<'a>) -> Result<&'a str, ProtoError> {
        let bytes = self.bytes_of(tag, field)?;
        std::str::from_utf8(bytes).map_err(|_| self.fault(bytes, "invalid UTF-8"))
    }

    pub(super) fn varint_of(self, tag: u32, field: Field<'_>) -> Result<u64, ProtoError> {
        match field {
            Field::Varint(number) => Ok(number),
            Field::Bytes(_) | Field::Fixed64(_) | Field::Fixed32 => Err(self.wrong_type(tag)),
        }
    }

    pub(super) fn double_of(self, tag: u32, field: Field<'_>) -> Result<f64, ProtoError> {
        match field {
            Field::Fixed64(bits) => Ok(f64::from_bits(bits)),
            Field::Bytes(_) | Field::Varint(_) | Field::Fixed32 => Err(self.wrong_type(tag)),
        }
    }

    fn wrong_type(self, tag: u32) -> ProtoError {
        self.fault(self.bytes, format!("field {tag} of the message here has the wrong wire type"))
    }
}

/// Walks over fields; ends after the first error.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    body: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn step(&mut self) -> Result<(u32, Field<'a>), ProtoError> {
        let start = self.rest;
        let place = Message { body: self.body, bytes: start };
        let wrong = |err: prost::DecodeError| place.fault(start, err.to_string());
        let (tag, wire) = decode_key(&mut self.rest).map_err(wrong)?;
        let field = match wire {
            WireType::Varint => Field::Varint(decode_varint(&mut self.rest).map_err(wrong)?),
            WireType::LengthDelimited => Field::Bytes(delimited(place, &mut self.rest)?),
            WireType::SixtyFourBit => match self.rest.split_first_chunk() {
                Some((bytes, rest)) => {
                    self.rest = rest;
                    Field::Fixed64(u64::from_le_bytes(*bytes))
                }
                None => return Err(place.fault(start, CUT)),
            },
            WireType::ThirtyTwoBit => {
                self.rest = self.rest.get(4..).ok_or_else(|| place.fault(start, CUT))?;
                Field::Fixed32
            }
            WireType::StartGroup | WireType::EndGroup => {
                return Err(place.fault(start, "groups are not accepted"));
            }
        };
        Ok((tag, field))
    }
}

const CUT: &str = "the message is cut short";

/// The next message with its length before it.
pub(super) fn delimited<'a>(
    place: Message<'a>,
    rest: &mut &'a [u8],
) -> Result<&'a [u8], ProtoError> {
    let start = *rest;
    let len = decode_varint(rest).map_err(|err| place.fault(start, err.to_string()))?;
    let found = usize::try_from(len).ok().and_then(|len| rest.split_at_checked(len));
    let (message, after) = found.ok_or_else(|| place.fault(start, CUT))?;
    *rest = after;
    Ok(message)
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Field<'a>), ProtoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.step();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}
