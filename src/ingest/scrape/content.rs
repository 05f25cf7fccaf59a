//! What is asked for and what an answer says it is: `Accept` and `Content-Type`.

use super::super::config::{Escaping, ScrapeProtocol};
use crate::exposition::Format;

/// The header `Accept` for these formats, the liked ones first.
///
/// Source: prometheus, scrape/scrape.go (acceptHeader): weights fall from the number of known
/// protocols plus one.
pub(super) fn accept(protocols: &[ScrapeProtocol], escaping: Escaping) -> String {
    let mut weight = ScrapeProtocol::ALL.len() + 1;
    let mut parts: Vec<String> = Vec::new();
    for protocol in protocols {
        let escaping = format!(";escaping={}", escaping.as_str());
        let media = match protocol {
            // Not built: never asked for.
            ScrapeProtocol::PrometheusProto => continue,
            ScrapeProtocol::PrometheusText0 => "text/plain;version=0.0.4".to_owned(),
            ScrapeProtocol::PrometheusText1 => format!("text/plain;version=1.0.0{escaping}"),
            ScrapeProtocol::OpenMetricsText0 => {
                "application/openmetrics-text;version=0.0.1".to_owned()
            }
            ScrapeProtocol::OpenMetricsText1 => {
                format!("application/openmetrics-text;version=1.0.0{escaping}")
            }
        };
        parts.push(format!("{media};q=0.{weight}"));
        weight = weight.saturating_sub(1);
    }
    parts.push(format!("*/*;q=0.{weight}"));
    parts.join(",")
}

/// T3: the format of an answer with this header. Parameters do not matter; the fallback counts
/// only where the header says nothing known.
///
/// Source: prometheus, model/textparse/interface.go (extractMediaType).
pub(super) fn format_of(
    content_type: Option<&str>,
    fallback: Option<ScrapeProtocol>,
) -> Result<Format, String> {
    let header = content_type.unwrap_or_default();
    let media = header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let unknown = match media.as_str() {
        "text/plain" => return Ok(Format::Text),
        "application/openmetrics-text" => return Ok(Format::OpenMetrics),
        "application/vnd.google.protobuf" => {
            let text = "received protobuf, which cannot be read here; the target must offer text";
            return Err(text.to_owned());
        }
        "" if header.trim().is_empty() => "non-compliant scrape target sending blank Content-Type \
             and no fallback_scrape_protocol specified for target"
            .to_owned(),
        media if is_media_type(media) => format!(
            "received unsupported Content-Type {header:?} and no fallback_scrape_protocol \
             specified for target"
        ),
        _ => format!(
            "cannot parse Content-Type {header:?} and no fallback_scrape_protocol for target"
        ),
    };
    match fallback {
        Some(ScrapeProtocol::PrometheusText0 | ScrapeProtocol::PrometheusText1) => Ok(Format::Text),
        Some(ScrapeProtocol::OpenMetricsText0 | ScrapeProtocol::OpenMetricsText1) => {
            Ok(Format::OpenMetrics)
        }
        Some(ScrapeProtocol::PrometheusProto) | None => Err(unknown),
    }
}

fn is_media_type(text: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b))
    };
    text.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

/// The words of a status, as in `HTTP status 404 Not Found`.
pub(super) fn status_words(status: u16) -> String {
    let words = match status {
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => return status.to_string(),
    };
    format!("{status} {words}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_accept_header_is_prometheus() {
        // Spelled out in the compatibility list, section 2.1.
        let protocols = [
            ScrapeProtocol::OpenMetricsText1,
            ScrapeProtocol::OpenMetricsText0,
            ScrapeProtocol::PrometheusText1,
            ScrapeProtocol::PrometheusText0,
        ];
        assert_eq!(
            accept(&protocols, Escaping::AllowUtf8),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,\
             */*;q=0.2"
        );
        assert_eq!(
            accept(&[ScrapeProtocol::PrometheusText0], Escaping::Underscores),
            "text/plain;version=0.0.4;q=0.6,*/*;q=0.5"
        );
    }

    #[test]
    fn t3_an_answer_must_say_what_it_is() {
        let text = Some(ScrapeProtocol::PrometheusText0);
        for (header, fallback, expected) in [
            (Some("text/plain"), None, Ok(Format::Text)),
            (Some("text/plain; version=9; charset=x"), None, Ok(Format::Text)),
            (Some("Text/Plain"), None, Ok(Format::Text)),
            (Some("application/openmetrics-text; version=1.0.0"), text, Ok(Format::OpenMetrics)),
            (Some("text/html"), text, Ok(Format::Text)),
            (None, text, Ok(Format::Text)),
            (Some("garbage"), text, Ok(Format::Text)),
            (None, None, Err("blank Content-Type")),
            (Some(""), None, Err("blank Content-Type")),
            (Some("text/html"), None, Err("received unsupported Content-Type \"text/html\"")),
            (Some("garbage"), None, Err("cannot parse Content-Type \"garbage\"")),
            (Some("application/vnd.google.protobuf"), text, Err("protobuf")),
        ] {
            let found = format_of(header, fallback);
            match expected {
                Ok(format) => assert_eq!(found, Ok(format), "{header:?}"),
                Err(part) => {
                    let text = found.expect_err("must be refused");
                    assert!(text.contains(part), "{header:?}: {text}");
                }
            }
        }
    }
}
