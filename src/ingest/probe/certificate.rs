//! What probes say of certificates: when they end, for whom and by whom they are.
//!
//! A small reader of DER, since no more than six fields are wanted and crates for all of X.509 are
//! many times larger. It decides nothing: trust is what rustls says.
//!
//! Source: RFC 5280, section 4.1; golang/go, crypto/x509/pkix/pkix.go (names as text).

use crate::sys::dial::Trusted;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// Names of one certificate that are shown.
const NAMES_MAX: usize = 1_000;
/// Certificates of a chain: more than any real one.
const CHAIN_MAX: usize = 16;
/// Certificates that are looked at for one chain's end.
const STEPS_MAX: usize = 4_096;

/// The fields of a certificate that are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Certificate {
    /// In hexadecimal, without leading zero bytes.
    pub(super) serial: String,
    /// For whom, in RFC 2253's form.
    pub(super) subject: String,
    /// By whom.
    pub(super) issuer: String,
    /// When it ends, in seconds since 1970.
    pub(super) not_after: i64,
    /// When it begins.
    not_before: i64,
    /// DNS names.
    pub(super) names: Vec<String>,
    subject_der: Vec<u8>,
    issuer_der: Vec<u8>,
    key_id: Option<Vec<u8>>,
    issuer_key_id: Option<Vec<u8>>,
}

/// A certificate that may end a chain.
#[derive(Clone, Debug)]
pub(super) struct Anchor {
    subject: Vec<u8>,
    key_id: Option<Vec<u8>>,
    not_before: i64,
    not_after: i64,
}

/// The certificates that can be read as ends of chains.
pub(super) fn anchors(certificates: &[Vec<u8>]) -> Vec<Anchor> {
    let read = certificates.iter().filter_map(|der| read(der));
    read.map(|one| Anchor {
        subject: one.subject_der,
        key_id: one.key_id,
        not_before: one.not_before,
        not_after: one.not_after,
    })
    .collect()
}

/// When the verified chain that lasts longest ends; `None` where nothing was verified.
///
/// The chains are found by names and key ids; that one of them is good is known already.
pub(super) fn chain_expiry(
    sent: &[Vec<u8>],
    trusted: &Trusted,
    host: &[Anchor],
    now: i64,
) -> Option<i64> {
    let own;
    let anchors = match trusted {
        Trusted::Nobody => return None,
        Trusted::Host => host,
        Trusted::Own(list) => {
            own = anchors(list);
            &own
        }
    };
    let sent: Vec<_> = sent.iter().take(CHAIN_MAX).filter_map(|der| read(der)).collect();
    let mut search = Search { sent: &sent, anchors, now, steps: 0, best: None };
    search.visit(sent.first()?, &mut Vec::new(), i64::MAX);
    search.best
}

/// All chains from the server's certificate to an anchor.
struct Search<'a> {
    sent: &'a [Certificate],
    anchors: &'a [Anchor],
    now: i64,
    steps: usize,
    best: Option<i64>,
}

impl Search<'_> {
    /// Recursion is bounded: no certificate stands twice in a chain, and of `CHAIN_MAX`.
    fn visit(&mut self, at: &Certificate, before: &mut Vec<usize>, earliest: i64) {
        let earliest = earliest.min(at.not_after);
        let fits = |subject: &[u8], key_id: Option<&Vec<u8>>| {
            let same_key = match (key_id, &at.issuer_key_id) {
                (Some(key), Some(wanted)) => key == wanted,
                _ => true,
            };
            subject == at.issuer_der && same_key
        };
        for anchor in self.anchors {
            let valid = (anchor.not_before..=anchor.not_after).contains(&self.now);
            if valid && fits(&anchor.subject, anchor.key_id.as_ref()) {
                let end = earliest.min(anchor.not_after);
                self.best = Some(self.best.map_or(end, |best| best.max(end)));
            }
        }
        for (place, next) in self.sent.iter().enumerate() {
            self.steps += 1;
            if self.steps > STEPS_MAX || before.contains(&place) || place == 0 {
                continue;
            }
            let valid = (next.not_before..=next.not_after).contains(&self.now);
            if valid && fits(&next.subject_der, next.key_id.as_ref()) {
                before.push(place);
                self.visit(next, before, earliest);
                before.pop();
            }
        }
    }
}

/// SHA-256 of the certificate, in hexadecimal.
pub(super) fn fingerprint(der: &[u8]) -> String {
    hex(&Sha256::digest(der))
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// Reads a certificate; `None` when it is none.
pub(super) fn read(der: &[u8]) -> Option<Certificate> {
    let (outer, _) = Der(der).expect(SEQUENCE)?;
    let (tbs, _) = Der(outer).expect(SEQUENCE)?;
    let mut fields = Der(tbs);
    if fields.peek() == Some(0xa0) {
        fields.next()?;
    }
    let (serial, _) = fields.expect(0x02)?;
    fields.expect(SEQUENCE)?;
    let (issuer, issuer_der) = fields.expect(SEQUENCE)?;
    let (validity, _) = fields.expect(SEQUENCE)?;
    let (subject, subject_der) = fields.expect(SEQUENCE)?;
    fields.expect(SEQUENCE)?;
    let mut times = Der(validity);
    let mut found = Certificate {
        serial: hex(serial.get(serial.iter().take_while(|byte| **byte == 0).count()..)?),
        subject: name(subject)?,
        issuer: name(issuer)?,
        not_before: time(&mut times)?,
        not_after: time(&mut times)?,
        subject_der: subject_der.to_vec(),
        issuer_der: issuer_der.to_vec(),
        ..Certificate::default()
    };
    while let Some((tag, body, _)) = fields.next() {
        if tag == 0xa3 {
            extensions(body, &mut found)?;
        }
    }
    Some(found)
}

const SEQUENCE: u8 = 0x30;

/// What is left of a list of values.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Tag, content, and the whole of the next value. Tags of more than a byte do not occur.
    fn next(&mut self) -> Option<(u8, &'a [u8], &'a [u8])> {
        let (tag, first) = (*self.0.first()?, *self.0.get(1)?);
        let (head, length) = if first < 0x80 {
            (2, usize::from(first))
        } else {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 {
                return None;
            }
            let bytes = self.0.get(2..2 + count)?.iter();
            (2 + count, bytes.fold(0, |length, byte| length << 8 | usize::from(*byte)))
        };
        let end = head.checked_add(length)?;
        let (whole, body) = (self.0.get(..end)?, self.0.get(head..end)?);
        self.0 = self.0.get(end..)?;
        Some((tag, body, whole))
    }

    /// Content and whole of the next value, which has this tag.
    fn expect(&mut self, wanted: u8) -> Option<(&'a [u8], &'a [u8])> {
        let (tag, body, whole) = self.next()?;
        (tag == wanted).then_some((body, whole))
    }
}

/// UTCTime and GeneralizedTime, both in UTC: what RFC 5280 allows.
fn time(from: &mut Der<'_>) -> Option<i64> {
    let (tag, body, _) = from.next()?;
    let text = std::str::from_utf8(body).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        0x17 => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i64 = digits(year)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        0x18 => {
            let (year, rest) = text.split_at_checked(4)?;
            (digits(year)?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| digits(rest.get(at..at + 2)?);
    let (month, day) = (part(0)?, part(2)?);
    let (hour, minute, second) = (part(4)?, part(6)?, part(8)?);
    let fits = rest.len() == 10
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    fits.then(|| days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Days from 1970-01-01 in the Gregorian calendar: years are counted from March, so that the day
/// that is sometimes there is the last.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn extensions(body: &[u8], into: &mut Certificate) -> Option<()> {
    let (list, _) = Der(body).expect(SEQUENCE)?;
    let mut list = Der(list);
    while let Some((extension, _)) = list.expect(SEQUENCE) {
        let mut parts = Der(extension);
        let (oid, _) = parts.expect(0x06)?;
        if parts.peek() == Some(0x01) {
            parts.next()?;
        }
        let (value, _) = parts.expect(0x04)?;
        match oid {
            // 2.5.29.17, subjectAltName
            [0x55, 0x1d, 0x11] => into.names = dns_names(value)?,
            // 2.5.29.14, subjectKeyIdentifier
            [0x55, 0x1d, 0x0e] => into.key_id = Der(value).expect(0x04).map(|(id, _)| id.to_vec()),
            // 2.5.29.35, authorityKeyIdentifier
            [0x55, 0x1d, 0x23] => {
                let (fields, _) = Der(value).expect(SEQUENCE)?;
                into.issuer_key_id = Der(fields).expect(0x80).map(|(id, _)| id.to_vec());
            }
            _ => {}
        }
    }
    Some(())
}

fn dns_names(value: &[u8]) -> Option<Vec<String>> {
    let (list, _) = Der(value).expect(SEQUENCE)?;
    let mut list = Der(list);
    let mut names = Vec::new();
    while let Some((tag, body, _)) = list.next() {
        if tag == 0x82 && names.len() < NAMES_MAX {
            names.push(String::from_utf8_lossy(body).into_owned());
        }
    }
    Some(names)
}

/// Attributes that have a short name, in the order in which Go writes them.
const ATTRIBUTES: [(u8, &str); 9] = [
    (5, "SERIALNUMBER"),
    (3, "CN"),
    (17, "POSTALCODE"),
    (9, "STREET"),
    (8, "ST"),
    (7, "L"),
    (11, "OU"),
    (10, "O"),
    (6, "C"),
];

/// A name as Go writes it: known attributes in a fixed order, several of a kind joined with `+`,
/// then the unknown ones, the last first.
fn name(body: &[u8]) -> Option<String> {
    let mut known: [Vec<String>; ATTRIBUTES.len()] = Default::default();
    let mut unknown = Vec::new();
    let mut sets = Der(body);
    while let Some((set, _)) = sets.expect(0x31) {
        let mut pairs = Der(set);
        while let Some((pair, _)) = pairs.expect(SEQUENCE) {
            let mut parts = Der(pair);
            let (oid, _) = parts.expect(0x06)?;
            let (tag, value, _) = parts.next()?;
            let text = text(tag, value);
            let place = match oid {
                [0x55, 0x04, last] => ATTRIBUTES.iter().position(|(known, _)| known == last),
                _ => None,
            };
            match place.and_then(|place| Some((place, known.get_mut(place)?))) {
                // Of the first two Go keeps only the last.
                Some((0 | 1, list)) => *list = vec![text],
                Some((_, list)) => list.push(text),
                None => unknown.push(format!("{}=#{}", dotted(oid), marshalled(&text))),
            }
        }
    }
    let mut parts = Vec::new();
    for ((_, short), values) in ATTRIBUTES.iter().zip(&known) {
        let pairs: Vec<_> =
            values.iter().map(|value| format!("{short}={}", escaped(value))).collect();
        parts.extend((!pairs.is_empty()).then(|| pairs.join("+")));
    }
    // Go puts each unknown one before all others, and writes the list backwards.
    parts.extend(unknown);
    Some(parts.join(","))
}

fn text(tag: u8, value: &[u8]) -> String {
    match tag {
        // BMPString
        0x1e => {
            let units: Vec<u16> = value
                .chunks_exact(2)
                .map(|pair| pair.iter().fold(0, |unit, byte| unit << 8 | u16::from(*byte)))
                .collect();
            String::from_utf16_lossy(&units)
        }
        // T61String: what is in use is Latin 1.
        0x14 => value.iter().map(|byte| char::from(*byte)).collect(),
        _ => String::from_utf8_lossy(value).into_owned(),
    }
}

fn escaped(value: &str) -> String {
    let mut out = String::new();
    let last = value.chars().count().saturating_sub(1);
    for (place, c) in value.chars().enumerate() {
        let special = match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => true,
            ' ' => place == 0 || place == last,
            '#' => place == 0,
            _ => false,
        };
        if special {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// An object identifier with dots.
fn dotted(oid: &[u8]) -> String {
    let mut numbers: Vec<u64> = Vec::new();
    let mut number: u64 = 0;
    for byte in oid {
        number = number.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if numbers.is_empty() {
                let first = (number / 40).min(2);
                numbers.extend([first, number - first * 40]);
            } else {
                numbers.push(number);
            }
            number = 0;
        }
    }
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

/// The value of an unknown attribute as Go marshals a string again, in hexadecimal.
fn marshalled(text: &str) -> String {
    let is_printable = |byte: u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte);
    let tag = if text.bytes().all(is_printable) { 0x13 } else { 0x0c };
    let mut out = vec![tag];
    match u8::try_from(text.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let length = (text.len() as u64).to_be_bytes();
            let from = length.iter().take_while(|byte| **byte == 0).count();
            let length = length.get(from..).unwrap_or_default();
            out.push(0x80 | u8::try_from(length.len()).unwrap_or_default());
            out.extend(length);
        }
    }
    out.extend(text.as_bytes());
    hex(&out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use proptest::prelude::*;

    /// The certificate in a PEM file.
    fn der(pem: &str) -> Vec<u8> {
        let lines: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
        base64::engine::general_purpose::STANDARD.decode(lines).expect("base64")
    }

    fn server() -> Vec<u8> {
        der(include_str!("../../../tests/fixtures/tls/server.pem"))
    }

    #[test]
    fn the_fields_are_those_that_openssl_shows() {
        let found = read(&server()).expect("a certificate");
        assert_eq!(found.serial, "01");
        assert_eq!(found.subject, "CN=target.example");
        assert_eq!(found.issuer, "CN=watchbell test authority");
        assert_eq!(found.names, ["target.example"]);
        // Oct 28 02:34:05 2126 GMT, Nov 21 02:34:05 2026 GMT.
        assert_eq!((found.not_after, found.not_before), (4_948_828_445, 1_795_228_445));
        let key = found.issuer_key_id.expect("names its issuer's key");
        assert_eq!(hex(&key), "4a26b676009b0fa1a4c6cb07100a11141336fad5");
    }

    #[test]
    fn the_chain_ends_when_its_first_certificate_does() {
        let ca = der(include_str!("../../../tests/fixtures/tls/ca.pem"));
        let ends = |der: &[u8]| read(der).expect("a certificate").not_after;
        let own = Trusted::Own(vec![ca.clone()]);
        let now = 1_800_000_000;
        let expected = ends(&ca).min(ends(&server()));
        assert_eq!(chain_expiry(&[server()], &own, &[], now), Some(expected));
        assert_eq!(chain_expiry(&[server(), ca.clone()], &own, &[], now), Some(expected));
        assert_eq!(chain_expiry(&[server()], &Trusted::Host, &anchors(&[ca]), now), Some(expected));
        assert_eq!(chain_expiry(&[server()], &Trusted::Nobody, &[], now), None);
        assert_eq!(chain_expiry(&[server()], &Trusted::Host, &[], now), None);
    }

    #[test]
    fn names_are_written_as_go_does() {
        let attribute = |oid: &[u8], text: &str| {
            let length = |bytes: &[u8]| u8::try_from(bytes.len()).expect("short");
            let mut pair = [&[0x06, length(oid)], oid].concat();
            pair.extend([&[0x0c, length(text.as_bytes())], text.as_bytes()].concat());
            let pair = [vec![SEQUENCE, length(&pair)], pair].concat();
            [vec![0x31, length(&pair)], pair].concat()
        };
        let at = |last: u8| [0x55, 0x04, last];
        // 1.2.840.113549.1.9.1, an e-mail address.
        let mail = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01];
        let body = [
            attribute(&at(6), "CH"),
            attribute(&at(10), "A, B"),
            attribute(&at(10), " C"),
            attribute(&at(3), "first"),
            attribute(&at(3), "#last"),
            attribute(&mail, "a@b"),
        ]
        .concat();
        let expected = "CN=\\#last,O=A\\, B+O=\\ C,C=CH,1.2.840.113549.1.9.1=#0c03614062";
        assert_eq!(name(&body).as_deref(), Some(expected));
        assert_eq!(name(&[]).as_deref(), Some(""));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn a_certificate_with_other_bytes_is_read(at in 0usize..500, byte: u8, cut in 0usize..500) {
            let mut bytes = server();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            let _ = read(&bytes);
            bytes.truncate(cut);
            let _ = read(&bytes);
        }
    }
}
