//! What is asked for and what an answer says it is: `Accept` and `Content-Type`.

use super::super::config::{Escaping, ScrapeProtocol};
use crate::exposition::{Format, Media};

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
            ScrapeProtocol::PrometheusProto => "application/vnd.google.protobuf;\
                 proto=io.prometheus.client.MetricFamily;encoding=delimited"
                .to_owned(),
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

/// T3: what an answer with this header is. Parameters do not matter, not even those that name a
/// message; the fallback counts only where the header says nothing known.
///
/// Source: prometheus, model/textparse/interface.go (extractMediaType).
pub(super) fn media_of(
    content_type: Option<&str>,
    fallback: Option<ScrapeProtocol>,
) -> Result<Media, String> {
    let header = content_type.unwrap_or_default();
    let media = header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let unknown = match media.as_str() {
        "text/plain" => return Ok(Media::Text(Format::Text)),
        "application/openmetrics-text" => return Ok(Media::Text(Format::OpenMetrics)),
        "application/vnd.google.protobuf" => return Ok(Media::Protobuf),
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
        Some(ScrapeProtocol::PrometheusText0 | ScrapeProtocol::PrometheusText1) => {
            Ok(Media::Text(Format::Text))
        }
        Some(ScrapeProtocol::OpenMetricsText0 | ScrapeProtocol::OpenMetricsText1) => {
            Ok(Media::Text(Format::OpenMetrics))
        }
        Some(ScrapeProtocol::PrometheusProto) => Ok(Media::Protobuf),
        None => Err(unknown),
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
        assert_eq!(
            accept(
                &[ScrapeProtocol::PrometheusProto, ScrapeProtocol::OpenMetricsText1],
                Escaping::Underscores
            ),
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
             encoding=delimited;q=0.6,\
             application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.5,*/*;q=0.4"
        );
    }

    #[test]
    fn t3_an_answer_must_say_what_it_is() {
        let (text, open) = (Media::Text(Format::Text), Media::Text(Format::OpenMetrics));
        let plain = Some(ScrapeProtocol::PrometheusText0);
        let proto = Some(ScrapeProtocol::PrometheusProto);
        let protobuf = "application/vnd.google.protobuf";
        let delimited = "application/vnd.google.protobuf; encoding=delimited; \
                         proto=io.prometheus.client.MetricFamily";
        for (header, fallback, expected) in [
            (Some("text/plain"), None, Ok(text)),
            (Some("text/plain; version=9; charset=x"), None, Ok(text)),
            (Some("Text/Plain"), None, Ok(text)),
            (Some("application/openmetrics-text; version=1.0.0"), plain, Ok(open)),
            (Some("text/html"), plain, Ok(text)),
            (None, plain, Ok(text)),
            (Some("garbage"), plain, Ok(text)),
            (None, None, Err("blank Content-Type")),
            (Some(""), None, Err("blank Content-Type")),
            (Some("text/html"), None, Err("received unsupported Content-Type \"text/html\"")),
            (Some("garbage"), None, Err("cannot parse Content-Type \"garbage\"")),
            (Some(delimited), None, Ok(Media::Protobuf)),
            // Upstream does not look at what the parameters say, and neither at the fallback.
            (Some(protobuf), plain, Ok(Media::Protobuf)),
            (Some("application/vnd.google.protobuf; proto=x"), None, Ok(Media::Protobuf)),
            (Some("text/html"), proto, Ok(Media::Protobuf)),
            (Some("text/plain"), proto, Ok(text)),
            (None, proto, Ok(Media::Protobuf)),
        ] {
            let found = media_of(header, fallback);
            match expected {
                Ok(media) => assert_eq!(found, Ok(media), "{header:?}"),
                Err(part) => {
                    let text = found.expect_err("must be refused");
                    assert!(text.contains(part), "{header:?}: {text}");
                }
            }
        }
    }
}
