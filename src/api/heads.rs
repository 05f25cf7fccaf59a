//! Heads of requests as they come over TCP, looked at before hyper reads them: it takes fewer
//! bytes in a request line than Go's server does, and it hides one of two lengths.

/// A longer head is refused by the listener.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Follows the requests of one connection, whose bytes may be cut anywhere.
#[derive(Debug, Default)]
pub(super) struct Heads {
    part: Part,
    /// Bytes of the present head.
    head_bytes: usize,
    content_length: Option<Length>,
    coded: bool,
    two_lengths: bool,
}

/// What the next byte belongs to.
#[derive(Debug, Default)]
enum Part {
    /// Blank lines, and the first byte of the method.
    #[default]
    Start,
    /// The method up to its space.
    Method,
    /// The rest of the request line.
    Target,
    /// Headers, with what came of the present line.
    Headers(Vec<u8>),
    /// So many bytes of a body are to come.
    Body(u64),
    /// No further request is looked for: hyper ends the connection with this one.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Length {
    Bytes(u64),
    /// No number, or several: hyper refuses the request.
    Unclear,
}

impl Heads {
    /// Whether a head had two lengths, so that two servers could read it as two different
    /// requests. It stays so: the connection is to end.
    pub(super) fn had_two_lengths(&self) -> bool {
        self.two_lengths
    }

    /// Follows what came; the bytes to read in its place when a request line needs another
    /// spelling. All other bytes stay what they are.
    pub(super) fn take(&mut self, piece: &[u8]) -> Option<Vec<u8>> {
        let mut respelt: Option<Vec<u8>> = None;
        let mut rest = piece;
        while !rest.is_empty() {
            let done = piece.len() - rest.len();
            let (segment, after) = rest.split_at_checked(self.segment(rest))?;
            let is_target = matches!(self.part, Part::Target);
            if is_target && respelt.is_none() && segment.iter().any(is_refused) {
                respelt = Some(piece.get(..done)?.to_vec());
            }
            match &mut respelt {
                Some(out) if is_target => escape(segment, out),
                Some(out) => out.extend_from_slice(segment),
                None => {}
            }
            self.pass(segment);
            rest = after;
        }
        respelt
    }

    /// How many bytes of `rest` belong to one part.
    fn segment(&self, rest: &[u8]) -> usize {
        let end = match &self.part {
            Part::Start | Part::Method => memchr::memchr2(b' ', b'\n', rest),
            Part::Target | Part::Headers(_) => memchr::memchr(b'\n', rest),
            Part::Body(left) => {
                return usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
            }
            Part::Lost => None,
        };
        end.map_or(rest.len(), |at| at + 1)
    }

    fn pass(&mut self, segment: &[u8]) {
        if !matches!(self.part, Part::Body(_) | Part::Lost) {
            self.head_bytes = self.head_bytes.saturating_add(segment.len());
            if self.head_bytes > HEAD_BYTES_MAX {
                self.part = Part::Lost;
            }
        }
        let last = segment.last();
        match &mut self.part {
            Part::Start if segment.iter().all(|byte| matches!(byte, b'\r' | b'\n')) => {}
            Part::Start | Part::Method => {
                self.part = match last {
                    Some(b' ') => Part::Target,
                    Some(b'\n') => Part::Lost,
                    Some(_) | None => Part::Method,
                };
            }
            Part::Target if last == Some(&b'\n') => self.part = Part::Headers(Vec::new()),
            Part::Headers(line) => {
                line.extend_from_slice(segment);
                if last == Some(&b'\n') {
                    let line = std::mem::take(line);
                    self.header(&line);
                }
            }
            Part::Body(left) => {
                *left = left.saturating_sub(u64::try_from(segment.len()).unwrap_or(u64::MAX));
                if *left == 0 {
                    self.part = Part::Start;
                }
            }
            Part::Target | Part::Lost => {}
        }
    }

    fn header(&mut self, line: &[u8]) {
        if matches!(line, b"\n" | b"\r\n") {
            return self.end_head();
        }
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (name, value) = line.split_at_checked(colon).unwrap_or((line, b""));
        let name = name.trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            let value = value.strip_prefix(b":").unwrap_or_default().trim_ascii();
            let length = length(value);
            // hyper takes one that only says the same again.
            let is_one = self.content_length.is_none_or(|known| known == length);
            self.content_length = Some(if is_one { length } else { Length::Unclear });
        }
        self.coded |= name.eq_ignore_ascii_case(b"transfer-encoding");
    }

    fn end_head(&mut self) {
        self.two_lengths |= self.coded && self.content_length.is_some();
        // After a body whose end the client marks the connection ends.
        self.part = match self.content_length.take() {
            _ if self.coded => Part::Lost,
            None | Some(Length::Bytes(0)) => Part::Start,
            Some(Length::Bytes(bytes)) => Part::Body(bytes),
            Some(Length::Unclear) => Part::Lost,
        };
        (self.head_bytes, self.coded) = (0, false);
    }
}

fn length(value: &[u8]) -> Length {
    let digits = std::str::from_utf8(value).ok();
    let digits = digits.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|text| text.parse().ok()).map_or(Length::Unclear, Length::Bytes)
}

/// Whether hyper refuses the byte in a target, or reads it as the end of it, and Go does not.
/// Source: go, net/url/url.go (parse).
fn is_refused(byte: &u8) -> bool {
    matches!(byte, b'"' | b'#' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80..)
}

fn escape(target: &[u8], out: &mut Vec<u8>) {
    for byte in target {
        if is_refused(byte) {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            out.push(*byte);
        }
    }
}

/// Any bytes pass, and it does not matter how they are cut; see `tests/fuzz`.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    let read = |size: usize| {
        let mut heads = Heads::default();
        let pieces = bytes.chunks(size);
        pieces
            .flat_map(|piece| heads.take(piece).unwrap_or_else(|| piece.to_vec()))
            .collect::<Vec<_>>()
    };
    assert_eq!(read(bytes.len().max(1)), read(7), "BUG: it matters how a request is cut");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All that is read of `pieces`.
    fn read(heads: &mut Heads, pieces: &[&[u8]]) -> Vec<u8> {
        pieces
            .iter()
            .flat_map(|piece| heads.take(piece).unwrap_or_else(|| piece.to_vec()))
            .collect()
    }

    #[test]
    fn two_lengths_are_seen_wherever_the_head_is_cut() {
        let text =
            b"POST /x HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc";
        for cut in 0..text.len() {
            let mut heads = Heads::default();
            assert_eq!(read(&mut heads, &[&text[..cut], &text[cut..]]), text);
            assert!(heads.had_two_lengths(), "cut at {cut}");
        }
        let mut heads = Heads::default();
        let body = b"POST / HTTP/1.1\r\nContent-Length: 24\r\n\r\ntransfer-encoding: x\r\n\r\n";
        heads.take(body);
        assert!(!heads.had_two_lengths());
    }

    #[test]
    fn a_length_may_be_said_twice() {
        let first = "POST /a HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}";
        let second = "GET /b?c=\" HTTP/1.1\r\n\r\n";
        let found = read(&mut Heads::default(), &[first.as_bytes(), second.as_bytes()]);
        assert_eq!(found, [first, &second.replace('"', "%22")].concat().as_bytes());
    }

    #[test]
    fn a_line_that_is_no_request_is_none_however_it_is_cut() {
        for text in [&b"ABCDEFG\nX \"\n"[..], b"\r\r\nX \"\n", b"A\r\nX \"\n"] {
            let whole = read(&mut Heads::default(), &[text]);
            for cut in 0..text.len() {
                let pieces = [&text[..cut], &text[cut..]];
                assert_eq!(read(&mut Heads::default(), &pieces), whole, "cut at {cut}");
            }
        }
    }

    #[test]
    fn the_second_of_two_requests_that_come_together_is_looked_at() {
        let first = "GET /a HTTP/1.1\r\n\r\n".to_owned();
        let second = "POST /b HTTP/1.1\r\nTransfer-Encoding: x\nContent-Length: 1\r\n\n";
        let mut heads = Heads::default();
        heads.take((first + second).as_bytes());
        assert!(heads.had_two_lengths());
    }

    #[test]
    fn every_target_that_go_takes_is_taken() {
        for byte in 0x21..=0xff_u8 {
            if matches!(byte, b'%' | 0x7f) {
                continue;
            }
            let mut line = b"GET /a?b=".to_vec();
            line.extend([byte, b'c']);
            line.extend(b" HTTP/1.1\r\n");
            let read = read(&mut Heads::default(), &[&line]);
            let target = read.strip_prefix(b"GET ").expect("the method stays");
            let target = target.strip_suffix(b" HTTP/1.1\r\n").expect("the version stays");
            let uri = hyper::Uri::try_from(target).expect("a target");
            let query = uri.query().expect("a query").strip_prefix("b=").expect("its name");
            let value = crate::model::percent::decode(query.as_bytes()).expect("escapes");
            assert_eq!(value, [byte, b'c']);
        }
    }

    /// A request, and as hyper is to see it.
    fn request(target: &[u8], header: &[u8], body: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let rest = format!("Content-Length: {}\r\n", body.len());
        let rest = [b" HTTP/1.1\r\nX: ", header, b"\r\n", rest.as_bytes(), b"\r\n", body].concat();
        let mut seen = b"GET /".to_vec();
        for byte in target {
            // The characters of RFC 3986, and what begins an escape; `#` would begin a fragment.
            if byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(byte) {
                seen.push(*byte);
            } else {
                seen.extend(format!("%{byte:02X}").bytes());
            }
        }
        ([b"GET /", target, &rest].concat(), [seen, rest].concat())
    }

    fn visible(most: usize) -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![0x21..0x7f_u8, 0x80..=0xff_u8];
        proptest::collection::vec(byte, 0..most)
    }

    proptest! {
        #[test]
        fn only_request_lines_are_respelt_however_they_are_cut(
            requests in proptest::collection::vec(
                (visible(20), visible(20), proptest::collection::vec(any::<u8>(), 0..60)), 0..5),
            cuts in proptest::collection::vec(1..40_usize, 1..30),
        ) {
            let (mut sent, mut wanted) = (Vec::new(), Vec::new());
            for (target, header, body) in &requests {
                let (one, seen) = request(target, header, body);
                sent.extend(one);
                wanted.extend(seen);
            }
            let mut heads = Heads::default();
            let (mut rest, mut got) = (sent.as_slice(), Vec::new());
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                got.extend(read(&mut heads, &[piece]));
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(got, wanted);
        }

        #[test]
        fn any_bytes_may_come(
            pieces in proptest::collection::vec(
                proptest::collection::vec(any::<u8>(), 0..50), 0..10),
        ) {
            let mut heads = Heads::default();
            for piece in pieces {
                let read = heads.take(&piece).unwrap_or_default();
                prop_assert!(read.len() <= 3 * piece.len());
            }
        }
    }
}
