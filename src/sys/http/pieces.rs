//! Servers that say given bytes in given pieces: for tests and the fuzzer.

use super::answer::{Head, Stream, Terms, Wanted, broken, read};
use super::{HttpError, Response};
use futures_util::FutureExt as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Any answer ends, and its body is never longer than allowed.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    const LIMIT: usize = 4096;
    let whole = answer(bytes, bytes.len(), LIMIT);
    for piece in [1, 7] {
        let pieces = answer(bytes, piece, LIMIT);
        match (&whole, &pieces) {
            (Ok((one, _)), Ok((other, _))) => assert_eq!(one.body, other.body),
            (Err(_), Err(_)) => {}
            _ => panic!("BUG: it matters in which pieces an answer comes"),
        }
    }
    if let Ok((response, _)) = whole {
        assert!(response.body.len() <= LIMIT);
    }
}

/// What is read of an answer of these bytes, and whether the connection can be used again.
fn answer(bytes: &[u8], piece: usize, limit: usize) -> Result<(Response, bool), HttpError> {
    let terms = Terms {
        shown: "tcp target:80".to_owned(),
        limit,
        cuts: false,
        gathering: Duration::ZERO,
        follows_redirects: true,
        wanted: Wanted::All,
    };
    let mut pieces = Pieces { left: bytes, piece: piece.max(1) };
    let work = async {
        let mut head = Head::default();
        head.begin(&mut pieces).await.map_err(|err| broken(&err, &terms.shown))?;
        read(&mut pieces, head, &terms, Vec::new()).await
    };
    let answer = work.now_or_never().expect("nothing is waited for")?;
    Ok((answer.response, answer.is_reusable))
}

/// Says some bytes, a few at a time, and closes.
struct Pieces<'a> {
    left: &'a [u8],
    piece: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = self.piece.min(self.left.len()).min(out.remaining());
        let (now, later) = self.left.split_at(count);
        out.put_slice(now);
        self.left = later;
        Poll::Ready(Ok(()))
    }
}

impl Stream for Pieces<'_> {}

impl AsyncWrite for Pieces<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: usize = 1000;

    /// The body and whether the connection can be used again, or the error's text.
    fn read_as(bytes: &str, piece: usize) -> Result<(String, bool), String> {
        let found = answer(bytes.as_bytes(), piece, LIMIT).map_err(|err| err.to_string())?;
        Ok((String::from_utf8(found.0.body.to_vec()).expect("text"), found.1))
    }

    /// The whole answer at once, and its body in pieces: what follows a body is only seen when it
    /// comes with it.
    fn check(bytes: &str, expected: Result<(&str, bool), &str>) {
        let whole = expected.map(|(text, again)| (text.to_owned(), again)).map_err(str::to_owned);
        assert_eq!(read_as(bytes, 1000), whole, "{bytes:?}");
        for piece in [1, 2] {
            let found = read_as(bytes, piece).map(|(text, _)| text);
            assert_eq!(found, whole.clone().map(|(text, _)| text), "{bytes:?} {piece}");
        }
    }

    #[test]
    fn the_end_of_a_body_is_where_the_head_says() {
        // RFC 9112, sections 6.3, 7.1 and 9.3.
        let eof = Err("unexpected EOF");
        let chunks = "Transfer-Encoding: chunked\r\n\r\n";
        for (head, body, expected) in [
            ("1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "abc", Ok(("abc", true))),
            ("1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "abcd", Ok(("abc", false))),
            ("1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "ab", eof),
            ("1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", Ok(("", true))),
            ("1.1 200 OK\r\ncontent-length: 1\r\nCONTENT-LENGTH: 1\r\n\r\n", "a", Ok(("a", true))),
            ("1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n", "a", Ok(("a", false))),
            ("1.0 200 OK\r\nContent-Length: 1\r\n\r\n", "a", Ok(("a", false))),
            (
                "1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n",
                "a",
                Ok(("a", true)),
            ),
            ("1.1 200 OK\r\n\r\n", "abc", Ok(("abc", false))),
            ("1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", "", Ok(("", true))),
            ("1.1 200 OK\r\n", "", eof),
        ] {
            check(&format!("HTTP/{head}{body}"), expected);
        }
        for (body, expected) in [
            ("3\r\nabc\r\n0\r\n\r\n", Ok(("abc", true))),
            ("3;x=\"y\"\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n", Ok(("abc0123456789", true))),
            ("1\r\na\r\n0\r\nDigest: x\r\nMore: y\r\n\r\n", Ok(("a", true))),
            ("1\r\na\r\n0\r\n\r\nHTTP/1.1", Ok(("a", false))),
            ("3\r\nabc\r\n", eof),
            ("3\r\nab", eof),
            ("1\r\nabc\r\n0\r\n\r\n", Err("malformed chunked encoding")),
            ("x\r\nabc\r\n0\r\n\r\n", Err("malformed chunked encoding")),
            ("ffffffffffffffff1\r\nabc", Err("malformed chunked encoding")),
            ("3e9\r\n", eof),
        ] {
            check(&format!("HTTP/1.1 200 OK\r\n{chunks}{body}"), expected);
        }
    }

    #[test]
    fn heads_that_two_readers_may_read_differently_are_refused() {
        for (head, part) in [
            ("Content-Length: 1\r\nContent-Length: 2", "Content-Length"),
            ("Content-Length: +1", "Content-Length"),
            ("Content-Length: -1", "Content-Length"),
            ("Content-Length: 1, 1", "Content-Length"),
            ("Transfer-Encoding: gzip, chunked", "transfer encoding"),
            ("no colon", "malformed HTTP response"),
        ] {
            let err = read_as(&format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\nab"), 1000);
            let err = err.expect_err(head);
            assert!(err.contains(part), "{head}: {err}");
        }
        let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(70_000));
        assert!(read_as(&long, 1000).expect_err("too long").contains("too long"));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(101));
        assert!(read_as(&many, 1000).is_err());
    }

    #[test]
    fn what_is_said_before_the_answer_is_passed_over() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
                    HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";
        for piece in [1, 30, 1000] {
            assert_eq!(read_as(text, piece), Ok(("a".to_owned(), true)));
        }
    }

    #[test]
    fn a_body_past_the_limit_is_refused_however_it_is_sent() {
        let body = "x".repeat(LIMIT + 1);
        for head in [
            format!("Content-Length: {}\r\n\r\n{body}", LIMIT + 1),
            format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", LIMIT + 1),
            format!("\r\n{body}"),
            "Content-Length: 18446744073709551615\r\n\r\n".to_owned(),
        ] {
            let err = answer(format!("HTTP/1.1 200 OK\r\n{head}").as_bytes(), 64, LIMIT);
            assert!(matches!(err, Err(HttpError::TooLarge { limit: LIMIT })), "{err:?}");
        }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_in_which_pieces_an_answer_comes(
            body in "[a-z]{0,40}",
            cuts in proptest::collection::vec(1_usize..9, 1..9),
            piece in 1_usize..50,
        ) {
            let mut chunks = String::new();
            let mut rest = body.as_str();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                chunks += &format!("{:x}\r\n{now}\r\n", now.len());
                rest = later;
            }
            for text in [
                format!("Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"),
                format!("Content-Length: {}\r\n\r\n{body}", body.len()),
            ] {
                let found = read_as(&format!("HTTP/1.1 200 OK\r\n{text}"), piece);
                prop_assert_eq!(found, Ok((body.clone(), true)));
            }
        }

        #[test]
        fn any_bytes_end_in_an_answer_within_the_limit(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            head in prop_oneof!["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
            piece in 1_usize..50,
        ) {
            let whole = [head.as_bytes(), &bytes].concat();
            if let Ok((response, _)) = answer(&whole, piece, 64) {
                prop_assert!(response.body.len() <= 64);
            }
        }
    }
}
