//! Messages as bytes: calls that are written, answers that are read.

/// The longest message that is read; the answer of systemd with 20,000 units is shorter.
const MESSAGE_BYTES_MAX: usize = 8 << 20;
/// Bytes of a message before its fields.
pub(super) const HEAD_BYTES: usize = 16;
/// Kinds of messages.
const CALL: u8 = 1;
const RETURN: u8 = 2;
const ERROR: u8 = 3;
/// Fields of a header.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// A method to call; arguments are strings.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Whom to ask; empty on a connection without a bus.
    pub destination: &'a str,
    /// The object.
    pub path: &'a str,
    /// The interface of the method.
    pub interface: &'a str,
    /// The method.
    pub member: &'a str,
    /// Its arguments.
    pub args: &'a [&'a str],
}

impl Call<'_> {
    /// The message, little-endian.
    pub(super) fn encode(&self, serial: u32) -> Vec<u8> {
        let mut body = Writer::default();
        self.args.iter().for_each(|arg| body.string(arg));
        let mut fields = Writer::default();
        fields.field(PATH, "o", self.path);
        fields.field(INTERFACE, "s", self.interface);
        fields.field(MEMBER, "s", self.member);
        if !self.destination.is_empty() {
            fields.field(DESTINATION, "s", self.destination);
        }
        if !self.args.is_empty() {
            fields.field(SIGNATURE, "g", &"s".repeat(self.args.len()));
        }
        let mut out = Writer::default();
        out.bytes.extend([b'l', CALL, 0, 1]);
        out.number(body.bytes.len());
        out.bytes.extend(serial.to_le_bytes());
        out.number(fields.bytes.len());
        // Fields begin at a multiple of eight, so that their own alignment is kept.
        out.bytes.extend(fields.bytes);
        out.align(8);
        out.bytes.extend(body.bytes);
        out.bytes
    }
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    fn number(&mut self, number: usize) {
        self.align(4);
        // What is asked is short: nothing here comes near the limit.
        self.bytes.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
    }

    fn string(&mut self, text: &str) {
        self.number(text.len());
        self.bytes.extend(text.as_bytes());
        self.bytes.push(0);
    }

    fn signature(&mut self, text: &str) {
        self.bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        self.bytes.extend(text.as_bytes());
        self.bytes.push(0);
    }

    fn field(&mut self, code: u8, kind: &str, value: &str) {
        self.align(8);
        self.bytes.push(code);
        self.signature(kind);
        if kind == "g" { self.signature(value) } else { self.string(value) }
    }
}

/// What the first bytes of a message say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    kind: u8,
    big_endian: bool,
    fields_bytes: usize,
    body_bytes: usize,
}

impl Head {
    /// Reads the first bytes; `None` is no D-Bus, or longer than what is read.
    pub(super) fn read(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        let [order, kind, _flags, 1, ..] = *bytes else { return None };
        let big_endian = match order {
            b'l' => false,
            b'B' => true,
            _ => return None,
        };
        let mut reader = Reader { bytes, at: 4, big_endian };
        let body_bytes = usize::try_from(reader.u32()?).ok()?;
        let _serial = reader.u32()?;
        let fields_bytes = usize::try_from(reader.u32()?).ok()?;
        let head = Self { kind, big_endian, fields_bytes, body_bytes };
        (fields_bytes <= MESSAGE_BYTES_MAX && body_bytes <= MESSAGE_BYTES_MAX).then_some(head)
    }

    /// How many bytes follow.
    pub(super) fn rest_bytes(self) -> usize {
        self.fields_bytes.next_multiple_of(8) + self.body_bytes
    }
}

/// An answer to a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The number of the call.
    pub serial: u32,
    /// The name of the error, when it is one.
    pub error: Option<String>,
    /// The types of what it says.
    pub signature: String,
    body: Vec<u8>,
    big_endian: bool,
}

impl Reply {
    /// Reads a whole message from the start of `bytes`: `None` when it is damaged, too long or
    /// cut off, `Some(None)` when it is no answer to anything.
    pub fn decode(bytes: &[u8]) -> Option<Option<Self>> {
        let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let head = Head::read(head)?;
        Self::behind(head, rest.get(..head.rest_bytes())?)
    }

    /// Reads what follows `head`, which is as long as it says; see `decode`.
    pub(super) fn behind(head: Head, rest: &[u8]) -> Option<Option<Self>> {
        let (fields, body) = rest.split_at_checked(head.fields_bytes.next_multiple_of(8))?;
        let fields = fields.get(..head.fields_bytes)?;
        // The fields begin at byte 16 of the message, so their alignment is the message's.
        let mut reader = Reader { bytes: fields, at: 0, big_endian: head.big_endian };
        let (mut serial, mut error, mut signature) = (None, None, String::new());
        while reader.at < fields.len() {
            reader.align(8)?;
            let code = reader.byte()?;
            match (code, reader.variant()?) {
                (REPLY_SERIAL, Value::Unsigned(number)) => serial = u32::try_from(number).ok(),
                (ERROR_NAME, Value::Text(name)) => error = Some(name),
                (SIGNATURE, Value::Text(types)) => signature = types,
                // Other fields say nothing that is needed.
                (_, _) => {}
            }
        }
        if !matches!(head.kind, RETURN | ERROR) {
            return Some(None);
        }
        if head.kind == ERROR && error.is_none() {
            return None;
        }
        let (body, big_endian) = (body.to_vec(), head.big_endian);
        Some(Some(Self { serial: serial?, error, signature, body, big_endian }))
    }

    /// What it says, from the start.
    pub fn reader(&self) -> Reader<'_> {
        Reader { bytes: &self.body, at: 0, big_endian: self.big_endian }
    }
}

/// A value of a basic type.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string, a path or a signature.
    Text(String),
    /// A number without a sign, or a boolean.
    Unsigned(u64),
    /// A number with a sign.
    Signed(i64),
    /// A number with a fraction.
    Double(f64),
}

/// Reads values one after the other; `None` is damaged or cut off.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big_endian: bool,
}

impl<'a> Reader<'a> {
    /// Whether nothing is left.
    pub const fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Steps to a multiple of `to`, where structs (8) and numbers (their size) begin.
    pub fn align(&mut self, to: usize) -> Option<()> {
        let at = self.at.checked_next_multiple_of(to)?;
        (at <= self.bytes.len()).then(|| self.at = at)
    }

    /// A string or a path.
    pub fn text(&mut self) -> Option<&'a str> {
        let len = usize::try_from(self.u32()?).ok()?;
        self.terminated(len)
    }

    /// An array's elements of alignment `align`, as a reader of their own.
    pub fn array(&mut self, align: usize) -> Option<Self> {
        let len = usize::try_from(self.u32()?).ok()?;
        self.align(align)?;
        let end = self.at.checked_add(len)?;
        let elements = Reader { bytes: self.bytes.get(..end)?, ..*self };
        self.at = end;
        Some(elements)
    }

    /// A number of 32 bits.
    pub fn u32(&mut self) -> Option<u32> {
        self.align(4)?;
        let bytes = self.fixed::<4>()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    /// A variant that holds a basic type; `None` also for others.
    pub fn variant(&mut self) -> Option<Value> {
        let len = usize::from(self.byte()?);
        let signature = self.terminated(len)?;
        Some(match signature {
            "s" | "o" => Value::Text(self.text()?.to_owned()),
            "g" => {
                let len = usize::from(self.byte()?);
                Value::Text(self.terminated(len)?.to_owned())
            }
            "y" => Value::Unsigned(u64::from(self.byte()?)),
            "b" | "u" | "h" => Value::Unsigned(u64::from(self.u32()?)),
            "i" => Value::Signed(i64::from(self.u32()?.cast_signed())),
            "q" => Value::Unsigned(u64::from(self.u16()?)),
            "n" => Value::Signed(i64::from(self.u16()?.cast_signed())),
            "t" => Value::Unsigned(self.u64()?),
            "x" => Value::Signed(self.u64()?.cast_signed()),
            "d" => Value::Double(f64::from_bits(self.u64()?)),
            _ => return None,
        })
    }

    fn byte(&mut self) -> Option<u8> {
        self.fixed::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.align(2)?;
        let bytes = self.fixed::<2>()?;
        Some(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u64(&mut self) -> Option<u64> {
        self.align(8)?;
        let bytes = self.fixed::<8>()?;
        Some(if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let found = *self.bytes.get(self.at..)?.first_chunk::<N>()?;
        self.at += N;
        Some(found)
    }

    /// So many bytes of text and the zero behind them.
    fn terminated(&mut self, len: usize) -> Option<&'a str> {
        let end = self.at.checked_add(len)?;
        let text = std::str::from_utf8(self.bytes.get(self.at..end)?).ok()?;
        if self.bytes.get(end) != Some(&0) {
            return None;
        }
        self.at = end + 1;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A return of call 7 whose body is a string, as the specification lays it out by hand.
    fn hello(big_endian: bool) -> Vec<u8> {
        let number = |n: u32| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
        let mut bytes = vec![if big_endian { b'B' } else { b'l' }, RETURN, 0, 1];
        bytes.extend(number(9));
        bytes.extend(number(1));
        bytes.extend(number(15));
        bytes.extend([REPLY_SERIAL, 1, b'u', 0]);
        bytes.extend(number(7));
        bytes.extend([SIGNATURE, 1, b'g', 0, 1, b's', 0, 0]);
        bytes.extend(number(4));
        bytes.extend(b":1.7\0");
        bytes
    }

    #[test]
    fn an_answer_is_read_in_both_byte_orders() {
        for big_endian in [false, true] {
            let reply = Reply::decode(&hello(big_endian)).expect("whole").expect("an answer");
            assert_eq!((reply.serial, reply.error.as_deref(), &*reply.signature), (7, None, "s"));
            let mut reader = reply.reader();
            assert_eq!(reader.text(), Some(":1.7"));
            assert!(reader.is_at_end());
            assert_eq!(reader.text(), None);
        }
    }

    #[test]
    fn a_call_is_laid_out_as_the_specification_says() {
        let (path, interface) = ("/a", "b.c");
        let call = Call { destination: "", path, interface, member: "D", args: &["e", "fg"] };
        let bytes = call.encode(3);
        let head = Head::read(bytes.first_chunk().expect("a head")).expect("is one");
        assert_eq!(bytes.len(), HEAD_BYTES + head.rest_bytes());
        assert_eq!(head.body_bytes, 4 + 2 + 2 + 4 + 3);
        // It is no answer, and all of its fields can be read.
        assert_eq!(Reply::decode(&bytes), Some(None));
        let mut body = Reader { bytes: &bytes[bytes.len() - 15..], at: 0, big_endian: false };
        assert_eq!((body.text(), body.text()), (Some("e"), Some("fg")));
    }

    #[test]
    fn variants_hold_basic_types() {
        for (bytes, expected) in [
            (&b"\x01s\0\0\x02\0\0\0hi\0"[..], Some(Value::Text("hi".to_owned()))),
            (b"\x01t\0\0\0\0\0\0\xff\0\0\0\0\0\0\0", Some(Value::Unsigned(255))),
            (b"\x01i\0\0\xff\xff\xff\xff", Some(Value::Signed(-1))),
            (b"\x01b\0\0\x01\0\0\0", Some(Value::Unsigned(1))),
            (b"\x01d\0\0\0\0\0\0\0\0\0\0\0\0\xf0\x3f", Some(Value::Double(1.0))),
            (b"\x02as\0\0\0\0\0\0\0\0", None),
            (b"\x01s\0\0\x02\0\0\0hi", None),
            (b"\x01s\0\0\xff\xff\xff\xffhi\0", None),
        ] {
            let mut reader = Reader { bytes, at: 0, big_endian: false };
            assert_eq!(reader.variant(), expected, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(
            bytes in prop_oneof![
                any::<Vec<u8>>(),
                (any::<[bool; 40]>(), 0_usize..41, any::<u8>()).prop_map(|(_, place, byte)| {
                    let mut bytes = hello(false);
                    if let Some(one) = bytes.get_mut(place) {
                        *one = byte;
                    }
                    bytes
                }),
            ],
        ) {
            if let Some(Some(reply)) = Reply::decode(&bytes) {
                let mut reader = reply.reader();
                while reader.text().is_some() {}
                let _ = reply.reader().variant();
                let _ = reply.reader().array(8).map(|mut inside| inside.text().is_some());
            }
        }

        #[test]
        fn what_is_asked_reads_back(args in prop::collection::vec("[a-z/.]{0,20}", 0..4)) {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let call = Call { destination: "d", path: "/p", interface: "i", member: "m", args: &args };
            let bytes = call.encode(1);
            let head = Head::read(bytes.first_chunk().expect("a head")).expect("is one");
            let body = &bytes[bytes.len() - head.body_bytes..];
            let mut reader = Reader { bytes: body, at: 0, big_endian: false };
            for arg in args {
                prop_assert_eq!(reader.text(), Some(arg));
            }
            prop_assert!(reader.is_at_end());
        }
    }
}
