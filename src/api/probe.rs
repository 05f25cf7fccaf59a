//! `/probe`: one probe, as blackbox_exporter answers it.
//!
//! A door through which this host sends requests: pages of other sites may not open it, and other
//! hosts only to what the configuration lists, which `Core` decides.

use super::guard::check_page;
use super::message::Response;
use super::params::Params;
use super::route::Asked;
use crate::wire::{Error, ProbeRequest};
use std::time::Duration;

pub(super) fn probe(asked: &Asked) -> Result<Response, Error> {
    let request = asked.request;
    if let Err(refused) = check_page(&asked.api.settings, request) {
        return Ok(refused);
    }
    let patience = match request.header("x-prometheus-scrape-timeout-seconds") {
        None | Some("") => None,
        Some(text) => match seconds(text) {
            Some(patience) => Some(patience),
            None => {
                let text = format!("Failed to parse timeout from Prometheus header: {text:?}\n");
                return Ok(Response::text(500, &text));
            }
        },
    };
    let params = Params::of_url(request);
    let get = |name: &str| params.get(name).unwrap_or_default().to_owned();
    let probe = ProbeRequest {
        target: get("target"),
        module: get("module"),
        hostname: get("hostname"),
        patience,
        debug: params.get("debug") == Some("true"),
        listed_only: !request.origin.is_local(),
    };
    Ok(match asked.core().probe(&probe) {
        Ok(text) if probe.debug => Response::text(200, &text),
        Ok(text) => Response::new(200, "text/plain; version=0.0.4; charset=utf-8", text),
        Err(err) => Response::text(err.kind.status(), &format!("{}\n", err.message)),
    })
}

fn seconds(text: &str) -> Option<Duration> {
    text.trim().parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}
