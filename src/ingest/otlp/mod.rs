//! OTLP: metrics that OpenTelemetry's SDKs and collectors push.
//!
//! Start reading at `decode`, then `translate.rs` (the walk through a request), `context.rs`
//! (labels), `points.rs` (samples), `name.rs` (names). `json.rs` turns the JSON encoding into the
//! other one, so that there is one reader.
//!
//! Source: opentelemetry.io, docs/specs/otlp; prometheus, storage/remote/write_otlp_handler.go.

mod context;
mod json;
mod message;
mod name;
mod points;
mod translate;

use super::config::OtlpSettings;
use super::limits::{SafetyLimits, WRITE_BYTES_MAX};
use super::receive::{ReceiveError, Received, reasons};
use crate::storage::append::Committed;
use flate2::read::MultiGzDecoder;
use std::borrow::Cow;
use std::io::Read as _;
use std::time::Duration;
use translate::Translator;

/// What became of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtlpAnswer {
    /// Why something was refused that a sender should have made otherwise.
    pub refused: Option<String>,
    /// Points that are in order and cannot be kept here: exponential histograms.
    pub rejected_points: usize,
    /// Why, empty when there are none.
    pub message: String,
}

/// Reads a request.
///
/// # Errors
/// Nothing of it can be used. Single bad points are left out and counted in `Received`.
pub fn decode(
    content_type: &str,
    encoding: &str,
    body: &[u8],
    limits: &SafetyLimits,
    settings: &OtlpSettings,
    lookback: Duration,
) -> Result<Received, ReceiveError> {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    let is_json = match media.to_ascii_lowercase().as_str() {
        "application/x-protobuf" => false,
        "application/json" => true,
        _ => {
            return Err(ReceiveError::Malformed(format!(
                "unsupported content type: {content_type}, supported: \
                 [application/json, application/x-protobuf]"
            )));
        }
    };
    let body = uncompressed(encoding, body)?;
    let message = if is_json { Cow::Owned(json::to_protobuf(&body)?) } else { body };
    let mut translator = Translator::new(settings, limits, lookback);
    translator.request(&message)?;
    Ok(translator.received)
}

/// The answer once the store has spoken.
pub fn answer(received: &Received, committed: &Committed) -> OtlpAnswer {
    // Exemplars out of order are counted by the store, as in Prometheus, and nobody is told.
    let refused = reasons(received, &committed.refused, 0);
    let rejected_points = received.histograms;
    let message = match rejected_points {
        0 => String::new(),
        count => format!("native histograms are disabled: {count} exponential histogram points"),
    };
    // A refusal is one text, and tells all.
    let refused = refused.map(|why| {
        let joint = if message.is_empty() { "" } else { "\n" };
        format!("{why}{joint}{message}")
    });
    OtlpAnswer { refused, rejected_points, message }
}

fn uncompressed<'a>(encoding: &str, body: &'a [u8]) -> Result<Cow<'a, [u8]>, ReceiveError> {
    let body = match encoding {
        "" | "identity" => Cow::Borrowed(body),
        "gzip" => {
            let mut out = Vec::new();
            // One byte more than is taken, so that it shows.
            let mut reader = MultiGzDecoder::new(body).take(WRITE_BYTES_MAX as u64 + 1);
            let read = reader.read_to_end(&mut out);
            read.map_err(|err| ReceiveError::Malformed(format!("gzip: {err}")))?;
            Cow::Owned(out)
        }
        other => {
            return Err(ReceiveError::Malformed(format!(
                "unsupported compression: {other}. Only \"gzip\" or no compression supported"
            )));
        }
    };
    if body.len() > WRITE_BYTES_MAX {
        let text = format!("the body has more than {WRITE_BYTES_MAX} bytes");
        return Err(ReceiveError::Malformed(text));
    }
    Ok(body)
}

#[cfg(test)]
mod tests;
