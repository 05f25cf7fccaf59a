//! Asks a target: the request, its headers, and what of an answer is a failure.

use super::super::config::ScrapeJob;
use super::super::limits::SafetyLimits;
use super::super::target::Target;
use super::content;
use super::worker::{Settings, Shared, Source};
use crate::sys::http::{HttpError, Prepared, Request, Response};
use crate::sys::metrics::Family;

/// What a scrape brought.
pub(super) enum Answer {
    Body(Response),
    Local,
    /// What a target of this process had to wait for.
    Families(Vec<Family>),
}

/// Why there is nothing to take in.
pub(super) struct Failure {
    pub(super) text: String,
    pub(super) too_large: bool,
}

/// What a target is asked, scrape by scrape.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// `None` where no request is made.
    request: Option<Request>,
    prepared: Prepared,
}

impl Asking {
    /// What these settings ask for.
    pub(super) fn new(shared: &Shared, settings: &Settings) -> Self {
        let Settings { job, target, source } = settings;
        let asks = matches!(source, Source::Http(_));
        let request = asks.then(|| request(job, target, &shared.safety, &shared.user_agent));
        Self { request, prepared: Prepared::default() }
    }
}

/// Asks the target.
pub(super) async fn fetch(
    shared: &Shared,
    settings: &Settings,
    asking: &mut Asking,
) -> Result<Answer, Failure> {
    let failure = |text: String| Failure { text, too_large: false };
    let client = match &settings.source {
        Source::Local(local) => {
            let target = &settings.target;
            return match local.wait(&target.url, target.timeout) {
                None => Ok(Answer::Local),
                Some(pending) => pending.await.map(Answer::Families).map_err(failure),
            };
        }
        Source::Broken(text) => return Err(failure(text.clone())),
        Source::Http(client) => client,
    };
    let Asking { request, prepared } = asking;
    let request = request.as_ref().expect("made for every target that is asked over HTTP");
    let room = shared.rooms.body();
    let url = &settings.target.url;
    let response = client.send_again(request, prepared, room).await.map_err(|err| Failure {
        too_large: matches!(err, HttpError::TooLarge { .. }),
        text: match &err {
            HttpError::TooLarge { .. } => too_large(shared, settings),
            _ => format!("Get {url:?}: {err}"),
        },
    })?;
    if response.status != 200 {
        let words = content::status_words(response.status);
        return Err(failure(format!("server returned HTTP status {words}")));
    }
    Ok(Answer::Body(response))
}

fn too_large(shared: &Shared, settings: &Settings) -> String {
    let safety = shared.safety.body_bytes_max;
    match usize::try_from(settings.job.limits.body_bytes).unwrap_or(usize::MAX) {
        own if own > 0 && own <= safety => format!("body size limit exceeded: limit {own} bytes"),
        _ => format!(
            "body size limit exceeded: safety limit {safety} bytes (--scrape.max-body-bytes)"
        ),
    }
}

/// The request of a scrape.
pub(super) fn request(
    job: &ScrapeJob,
    target: &Target,
    safety: &SafetyLimits,
    user_agent: &str,
) -> Request {
    // A target on this host is not asked to compress: inflating is half of a scrape's cost.
    let encoding = if job.compression && !target.is_local { "gzip" } else { "identity" };
    let headers = [
        ("Accept", content::accept(&job.protocols, job.escaping)),
        ("Accept-Encoding", encoding.to_owned()),
        ("User-Agent", user_agent.to_owned()),
        ("X-Prometheus-Scrape-Timeout-Seconds", target.timeout.as_secs_f64().to_string()),
    ];
    // T9: a body as long as the limit is already too long.
    let own = usize::try_from(job.limits.body_bytes).unwrap_or(usize::MAX);
    let own = if own == 0 { usize::MAX } else { own - 1 };
    let mut request = Request::get(&target.url);
    request.headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    request.timeout = target.timeout;
    request.body_bytes_max = own.min(safety.body_bytes_max);
    request.unix_socket.clone_from(&target.unix_socket);
    request
}
