//! The forms of answers: Prometheus' envelope, Alertmanager's bare JSON, gzip.

use super::message::{Request, Response};
use crate::wire::{Answer, Error, ErrorKind, Explain};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use std::io::Write as _;

const JSON: &str = "application/json";
/// A smaller body fits one packet anyway.
const GZIP_FROM_BYTES: usize = 256;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a, T: Serialize> {
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    infos: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<&'a Explain>,
}

/// A value in Prometheus' envelope.
pub(super) fn success<T: Serialize>(data: T) -> Response {
    answered(&Answer::plain(data))
}

/// A value with its warnings in Prometheus' envelope.
pub(super) fn answered<T: Serialize>(answer: &Answer<T>) -> Response {
    answered_in(answer, 0)
}

/// As `answered`, of about so many bytes: a long text is not copied while it grows, which would
/// take three times its memory.
pub(super) fn answered_in<T: Serialize>(answer: &Answer<T>, bytes: usize) -> Response {
    let envelope = Envelope {
        status: "success",
        data: Some(&answer.data),
        error_type: None,
        error: None,
        warnings: &answer.warnings,
        infos: &answer.infos,
        explain: answer.account.as_ref().and_then(|account| account.explain.as_ref()),
    };
    let mut body = Vec::with_capacity(bytes);
    written(200, serde_json::to_writer(&mut body, &envelope).map(|()| body))
}

/// An error in Prometheus' envelope.
pub(super) fn failure(err: &Error) -> Response {
    let envelope = Envelope::<()> {
        status: "error",
        data: None,
        error_type: Some(err.kind.as_str()),
        error: Some(&err.message),
        warnings: &[],
        infos: &[],
        explain: None,
    };
    busy(err, json(err.kind.status(), &envelope))
}

/// An error as Alertmanager writes it: a JSON string.
pub(super) fn alert_failure(err: &Error) -> Response {
    busy(err, json(err.kind.status(), &err.message))
}

fn busy(err: &Error, response: Response) -> Response {
    if err.kind == ErrorKind::Busy { response.with("retry-after", "1") } else { response }
}

/// Bare JSON.
pub(super) fn json<T: Serialize + ?Sized>(status: u16, value: &T) -> Response {
    written(status, serde_json::to_vec(value))
}

fn written(status: u16, body: serde_json::Result<Vec<u8>>) -> Response {
    match body {
        Ok(body) => Response::new(status, JSON, body),
        Err(err) => Response::text(500, &format!("cannot write the answer: {err}\n")),
    }
}

/// Compresses the body when the client takes gzip and it pays.
pub(super) fn compress(request: &Request, response: Response) -> Response {
    let accepted = request.header("accept-encoding").is_some_and(accepts_gzip);
    if !accepted || response.body.len() < GZIP_FROM_BYTES {
        return response;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(&response.body).and_then(|()| encoder.finish());
    match written {
        Ok(body) => Response { body, ..response }
            .with("content-encoding", "gzip")
            .with("vary", "Accept-Encoding"),
        Err(_) => response,
    }
}

fn accepts_gzip(header: &str) -> bool {
    header.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        // `gzip;q=0` means never.
        named && !parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_has_only_what_it_needs() {
        let mut answer = Answer::plain(vec!["a"]);
        let text = |response: Response| String::from_utf8(response.body).expect("text");
        assert_eq!(text(answered(&answer)), r#"{"status":"success","data":["a"]}"#);
        answer.warnings.push("w".to_owned());
        assert_eq!(
            text(answered(&answer)),
            r#"{"status":"success","data":["a"],"warnings":["w"]}"#
        );
        let err = failure(&Error::bad_data("no"));
        assert_eq!(err.status, 400);
        assert_eq!(text(err), r#"{"status":"error","errorType":"bad_data","error":"no"}"#);
    }

    #[test]
    fn gzip_only_for_those_who_take_it() {
        for (header, expected) in
            [("gzip", true), ("deflate, GZIP;q=1", true), ("gzip;q=0", false), ("br", false)]
        {
            assert_eq!(accepts_gzip(header), expected, "{header}");
        }
    }
}
