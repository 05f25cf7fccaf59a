//! A scripted network: answers by URL, and a record of what was asked.

use super::http::{Http, HttpClient, HttpError, Pending, Request, Response};
use super::settings::HttpClientSettings;
use crate::model::Problem;
use crate::sys::locks::lock;
use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// The twin of `SystemHttp`. Clones share the script.
#[derive(Clone, Debug, Default)]
pub struct ScriptedHttp {
    script: Arc<Mutex<Script>>,
}

#[derive(Debug, Default)]
struct Script {
    answers: HashMap<String, VecDeque<Result<Response, HttpError>>>,
    requests: Vec<Request>,
}

impl ScriptedHttp {
    /// A network where nothing answers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next answer of `url`; the last one given repeats.
    pub fn on(&self, url: impl Into<String>, response: Response) {
        self.push(url.into(), Ok(response));
    }

    /// The next failure of `url`; the last one given repeats.
    pub fn on_error(&self, url: impl Into<String>, err: HttpError) {
        self.push(url.into(), Err(err));
    }

    /// An answer with status, content type and body.
    pub fn answer(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Response {
        Response {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: body.into().into(),
            length_known: true,
        }
    }

    /// All requests so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    fn push(&self, url: String, answer: Result<Response, HttpError>) {
        self.lock().answers.entry(url).or_default().push_back(answer);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Script> {
        lock(&self.script)
    }
}

impl HttpClient for ScriptedHttp {
    fn send(&self, request: Request) -> Pending<'_> {
        let mut script = self.lock();
        let answer = match script.answers.get_mut(&request.url) {
            Some(queue) if queue.len() > 1 => queue.pop_front(),
            Some(queue) => queue.front().cloned(),
            None => None,
        };
        let answer = answer.unwrap_or_else(|| {
            Err(HttpError::Connect("dial tcp: connect: connection refused".to_owned()))
        });
        let (limit, cuts) = (request.body_bytes_max, request.cuts_body);
        script.requests.push(request);
        Box::pin(async move {
            let mut response = answer?;
            if response.body.len() > limit && !cuts {
                return Err(HttpError::TooLarge { limit });
            }
            response.body.truncate(limit);
            Ok(response)
        })
    }
}

impl Http for ScriptedHttp {
    fn client(
        &self,
        settings: &HttpClientSettings,
        _: &Path,
    ) -> Result<Arc<dyn HttpClient>, Problem> {
        settings.check("")?;
        Ok(Arc::new(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn answers_come_in_order_and_the_last_one_stays() {
        let http = ScriptedHttp::new();
        http.on("http://a/", ScriptedHttp::answer(503, "text/plain", "wait"));
        http.on("http://a/", ScriptedHttp::answer(200, "text/plain", "up 1\n"));
        let ask = |url: &str| http.send(Request::get(url)).now_or_never().expect("no waiting");
        let found: Vec<_> = (0..3).map(|_| ask("http://a/").expect("scripted").status).collect();
        assert_eq!(found, [503, 200, 200]);
        assert!(matches!(ask("http://b/"), Err(HttpError::Connect(_))));
        assert_eq!(http.requests().len(), 4);
    }
}
