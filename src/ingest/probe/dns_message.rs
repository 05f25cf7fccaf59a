//! Messages of DNS: a question out, an answer in, with each record as text for expressions.
//!
//! The texts are those of miekg/dns, which blackbox_exporter matches against: fields with tabs
//! between them, data of kinds without a form of their own as RFC 3597 has it.
//!
//! Source: RFC 1035, sections 3 and 4; RFC 3597, section 5; miekg/dns, types.go.

use super::super::config::RECORD_TYPES;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Records of one message that are read.
const RECORDS_MAX: usize = 4_096;
/// Pointers that one name may follow.
const POINTERS_MAX: usize = 64;
/// Bytes of a name, with the lengths of its labels.
const NAME_BYTES_MAX: usize = 255;

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: u16,
    /// The code, with the upper bits that an OPT record adds.
    pub(super) rcode: u16,
    pub(super) is_answer: bool,
    pub(super) answer: Vec<Record>,
    pub(super) authority: Vec<Record>,
    pub(super) additional: Vec<Record>,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// As it is matched.
    pub(super) text: String,
    /// The serial number of a zone, where it is such a record.
    pub(super) serial: Option<u32>,
}

/// A question with this number. The name was checked with the settings.
pub(super) fn question(id: u16, name: &str, kind: u16, class: u16, recursion: bool) -> Vec<u8> {
    let mut out = id.to_be_bytes().to_vec();
    out.extend([u8::from(recursion), 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        out.push(u8::try_from(label.len()).unwrap_or_default());
        out.extend(label.as_bytes());
    }
    out.push(0);
    out.extend(kind.to_be_bytes());
    out.extend(class.to_be_bytes());
    out
}

/// The number of a message, which stands first.
pub(super) fn id(bytes: &[u8]) -> Option<u16> {
    Reader { all: bytes, at: 0 }.u16()
}

/// Reads a message.
///
/// # Errors
/// What of it cannot be read.
pub(super) fn read(bytes: &[u8]) -> Result<Message, &'static str> {
    let mut reader = Reader { all: bytes, at: 0 };
    let mut head = [0; 6];
    for field in &mut head {
        *field = reader.u16().ok_or("dns: the head is cut")?;
    }
    let [id, flags, questions, answers, authorities, additionals] = head;
    for _ in 0..questions {
        reader.name().ok_or("dns: bad name in the question")?;
        reader.take(4).ok_or("dns: the question is cut")?;
    }
    let mut message =
        Message { id, rcode: flags & 0x000f, is_answer: flags & 0x8000 != 0, ..Message::default() };
    let total = usize::from(answers) + usize::from(authorities) + usize::from(additionals);
    if total > RECORDS_MAX {
        return Err("dns: too many records");
    }
    // A section that ends with the message is whole, however many records it announced.
    let mut section = |count: u16| {
        let mut records = Vec::new();
        while records.len() < usize::from(count) && reader.at < bytes.len() {
            records.push(reader.record(&mut message.rcode)?);
        }
        Some(records)
    };
    let broken = "dns: bad record";
    let (answer, authority) =
        (section(answers).ok_or(broken)?, section(authorities).ok_or(broken)?);
    let additional = section(additionals).ok_or(broken)?;
    Ok(Message { answer, authority, additional, ..message })
}

struct Reader<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.all.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// A name in full, with a dot at its end. Pointers lead back only, and few are followed.
    fn name(&mut self) -> Option<String> {
        let mut out = String::new();
        let (mut at, mut end) = (self.at, None);
        let (mut pointers, mut bytes) = (0, 0);
        loop {
            let length = *self.all.get(at)?;
            match length {
                0 => {
                    end.get_or_insert(at + 1);
                    break;
                }
                1..=63 => {
                    let label = self.all.get(at + 1..at + 1 + usize::from(length))?;
                    bytes += label.len() + 1;
                    if bytes >= NAME_BYTES_MAX {
                        return None;
                    }
                    escape_label(label, &mut out);
                    out.push('.');
                    at += 1 + usize::from(length);
                }
                0xc0..=0xff => {
                    let low = *self.all.get(at + 1)?;
                    end.get_or_insert(at + 2);
                    let target = usize::from(length & 0x3f) << 8 | usize::from(low);
                    pointers += 1;
                    if target >= at || pointers > POINTERS_MAX {
                        return None;
                    }
                    at = target;
                }
                _ => return None,
            }
        }
        self.at = end?;
        if out.is_empty() {
            out.push('.');
        }
        Some(out)
    }

    fn record(&mut self, rcode: &mut u16) -> Option<Record> {
        let name = self.name()?;
        let (kind, class, ttl) = (self.u16()?, self.u16()?, self.u32()?);
        let length = usize::from(self.u16()?);
        let end = self.at.checked_add(length)?;
        let data = self.all.get(self.at..end)?;
        if kind == 41 {
            *rcode |= u16::try_from(ttl >> 24).unwrap_or_default() << 4;
        }
        // Names in the data may point before it, so it is read in place.
        let mut inside = Reader { all: self.all.get(..end)?, at: self.at };
        let (text, serial) = inside.data(kind).filter(|_| inside.at == end).unwrap_or_else(|| {
            let mut hex = format!("\\# {length} ");
            for byte in data {
                let _ = write!(hex, "{byte:02x}");
            }
            (hex, None)
        });
        self.at = end;
        let head = format!("{name}\t{ttl}\t{}\t{}\t", class_name(class), type_name(kind));
        Some(Record { text: head + &text, serial })
    }

    /// The data of a record of this kind; `None` for kinds without a form of their own.
    fn data(&mut self, kind: u16) -> Option<(String, Option<u32>)> {
        let text = match kind {
            1 => Ipv4Addr::from(<[u8; 4]>::try_from(self.take(4)?).ok()?).to_string(),
            28 => Ipv6Addr::from(<[u8; 16]>::try_from(self.take(16)?).ok()?).to_string(),
            2 | 5 | 12 | 39 => self.name()?,
            6 => {
                let (server, mail) = (self.name()?, self.name()?);
                let serial = self.u32()?;
                let mut text = format!("{server} {mail} {serial}");
                for _ in 0..4 {
                    let _ = write!(text, " {}", self.u32()?);
                }
                return Some((text, Some(serial)));
            }
            15 => format!("{} {}", self.u16()?, self.name()?),
            16 | 99 => self.strings()?,
            33 => {
                let (priority, weight, port) = (self.u16()?, self.u16()?, self.u16()?);
                format!("{priority} {weight} {port} {}", self.name()?)
            }
            257 => {
                let flags = self.u8()?;
                let length = usize::from(self.u8()?);
                let tag = String::from_utf8_lossy(self.take(length)?).into_owned();
                let rest = self.take(self.all.len().checked_sub(self.at)?)?;
                format!("{flags} {tag} {}", quoted(rest))
            }
            _ => return None,
        };
        Some((text, None))
    }

    /// Strings to the end of the data.
    fn strings(&mut self) -> Option<String> {
        let mut out = Vec::new();
        while self.at < self.all.len() {
            let length = usize::from(self.u8()?);
            out.push(quoted(self.take(length)?));
        }
        Some(out.join(" "))
    }
}

fn quoted(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for byte in bytes {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(*byte));
            }
            b' '..=b'~' => out.push(char::from(*byte)),
            _ => {
                let _ = write!(out, "\\{byte:03}");
            }
        }
    }
    out.push('"');
    out
}

fn escape_label(label: &[u8], out: &mut String) {
    for byte in label {
        match byte {
            b'.' | b' ' | b'\'' | b'@' | b';' | b'(' | b')' | b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(*byte));
            }
            b'!'..=b'~' => out.push(char::from(*byte)),
            _ => {
                let _ = write!(out, "\\{byte:03}");
            }
        }
    }
}

fn class_name(class: u16) -> String {
    match class {
        1 => "IN".to_owned(),
        3 => "CH".to_owned(),
        4 => "HS".to_owned(),
        254 => "NONE".to_owned(),
        255 => "ANY".to_owned(),
        other => format!("CLASS{other}"),
    }
}

fn type_name(kind: u16) -> String {
    let known = RECORD_TYPES.iter().find(|(_, number)| *number == kind);
    known.map_or_else(|| format!("TYPE{kind}"), |(name, _)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An answer to a question for `a.example`, whose records all have that name.
    fn answer(records: &[(u16, &[u8])]) -> Vec<u8> {
        let mut out = question(7, "a.example", 1, 1, true);
        out[2] = 0x81;
        out[7] = u8::try_from(records.len()).expect("few");
        for (kind, data) in records {
            out.extend([0xc0, 12]);
            out.extend(kind.to_be_bytes());
            out.extend([0, 1, 0, 0, 0, 60]);
            out.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
            out.extend(*data);
        }
        out
    }

    #[test]
    fn records_are_written_as_expressions_expect_them() {
        let soa = [&[0xc0, 12, 1, b'm', 0xc0, 12][..], &[0, 0, 0, 9], &[0; 16]].concat();
        let cases: [(u16, &[u8], &str); 10] = [
            (1, &[127, 0, 0, 1], "A\t127.0.0.1"),
            (28, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "AAAA\t::1"),
            (5, &[1, b'b', 0xc0, 14], "CNAME\tb.example."),
            (15, &[0, 10, 1, b'm', 0], "MX\t10 m."),
            (16, b"\x03a\"b\x01\xff", "TXT\t\"a\\\"b\" \"\\255\""),
            (33, &[0, 1, 0, 2, 0, 80, 1, b'w', 0], "SRV\t1 2 80 w."),
            (6, &soa, "SOA\ta.example. m.a.example. 9 0 0 0 0"),
            (257, b"\x00\x05issueca", "CAA\t0 issue \"ca\""),
            (4711, &[1, 0xab], "TYPE4711\t\\# 2 01ab"),
            (1, &[1, 2, 3], "A\t\\# 3 010203"),
        ];
        // The label "a" takes two bytes after the head: "example" is at 14.
        for (kind, data, expected) in cases {
            let read = read(&answer(&[(kind, data)])).expect("an answer");
            let expected = format!("a.example.\t60\tIN\t{expected}");
            assert_eq!(read.answer[0].text, expected);
            assert_eq!((read.id, read.is_answer, read.rcode), (7, true, 0));
            assert_eq!(read.answer[0].serial, (kind == 6).then_some(9));
        }
    }

    #[test]
    fn names_that_lead_nowhere_are_refused() {
        for data in [&[0xc0, 60][..], &[0xff, 0xff], &[0x40, 1], &[63, 1]] {
            let mut message = answer(&[]);
            message[7] = 1;
            message.extend(data);
            message.extend([0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
            assert!(read(&message).is_err(), "{data:?}");
        }
        let mut many = answer(&[]);
        many[6..12].fill(0xff);
        assert_eq!(read(&many), Err("dns: too many records"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn an_answer_with_other_bytes_is_read(at in 0usize..80, byte: u8, cut in 0usize..80) {
            let mut bytes = answer(&[(15, &[0, 10, 1, b'm', 0xc0, 12]), (16, b"\x01a")]);
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            let _ = read(&bytes);
            bytes.truncate(cut);
            let _ = read(&bytes);
        }
    }
}
