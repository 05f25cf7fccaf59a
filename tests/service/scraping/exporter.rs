//! A target whose answers are written down beforehand: the k-th scrape of a server gets the k-th
//! answer, whatever the time. Servers are told apart by what they call themselves, so that both
//! run with the same file.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;
use watchbell::sys::tasks;

/// What Debian's calls itself, Go's own name where it asks for tokens; the other one is ours.
const REAL: [&str; 2] = ["user-agent: prometheus/2.", "user-agent: go-http-client/"];

/// One answer.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Text 0.0.4 with the number of the step as a last sample.
    Text(String),
    /// OpenMetrics without its `# EOF`, which follows the number of the step.
    Open(String),
    /// Text, compressed.
    Zipped(String),
    /// All but the connection's end: status line, headers, body.
    Raw(Vec<u8>),
    /// None; the connection stays until the other side ends it.
    Hang,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Who {
    Real,
    Ours,
}

#[derive(Debug, Default)]
struct State {
    scripts: HashMap<String, Vec<Step>>,
    asked: HashMap<(Who, String), usize>,
    /// Requests with credentials: verb, `Authorization`, type of the body, body.
    told: HashMap<(Who, String), Vec<String>>,
}

/// The target of all jobs; each has a path of its own.
#[derive(Clone, Debug)]
pub(super) struct Exporter {
    pub(super) address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Exporter {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("bound");
        let exporter = Self { address, state: Arc::default() };
        let for_thread = exporter.clone();
        let serve = move || {
            for stream in listener.incoming().flatten() {
                let exporter = for_thread.clone();
                let answer = move || exporter.answer(stream);
                tasks::spawn_thread("scripted answer", answer).expect("a thread");
            }
        };
        tasks::spawn_thread("scripted exporter", serve).expect("a thread");
        exporter
    }

    /// Answers `path` so; the last step is repeated.
    pub(super) fn script(&self, path: &str, steps: Vec<Step>) {
        self.lock().scripts.insert(path.to_owned(), steps);
    }

    /// Waits until both servers have asked for these paths so often.
    #[track_caller]
    pub(super) fn wait(&self, paths: &[String], count: usize) {
        let behind = |state: &State| -> Vec<String> {
            let all = paths.iter().flat_map(|path| [(Who::Real, path), (Who::Ours, path)]);
            let asked = |who, path: &String| state.asked.get(&(who, path.clone())).copied();
            let late = all.filter(|(who, path)| asked(*who, path).unwrap_or(0) < count);
            late.map(|(who, path)| format!("{who:?} {path}")).collect()
        };
        let limit = Duration::from_secs(120);
        let is_behind = |state: &mut State| !behind(state).is_empty();
        let waited = self.state.1.wait_timeout_while(self.lock(), limit, is_behind);
        let late = behind(&waited.expect("whole").0);
        assert!(late.is_empty(), "not scraped {count} times: {late:?}");
    }

    /// How often `path` was asked for by this server.
    pub(super) fn asked(&self, who: Who, path: &str) -> usize {
        self.lock().asked.get(&(who, path.to_owned())).copied().unwrap_or(0)
    }

    /// What `path` was told by requests with credentials or a body; the same again is left out.
    pub(super) fn told(&self, who: Who, path: &str) -> Vec<String> {
        let mut told = self.lock().told.get(&(who, path.to_owned())).cloned().unwrap_or_default();
        told.dedup();
        told
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().expect("whole")
    }

    fn answer(&self, mut stream: TcpStream) {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let value = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines
                .filter(|(found, _)| found.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
                .next()
        };
        let mut words = head.split([' ', '?']);
        let (Some(verb), Some(path)) = (words.next(), words.next()) else { return };
        let lower = head.to_ascii_lowercase();
        let who = if REAL.iter().any(|name| lower.contains(name)) { Who::Real } else { Who::Ours };
        let len = value("content-length").and_then(|len| len.parse().ok()).unwrap_or(0);
        let mut body = vec![0; len];
        if stream.read_exact(&mut body).is_err() {
            return;
        }
        if len > 0 || value("authorization").is_some() {
            let (token, kind) = (value("authorization"), value("content-type"));
            let told = format!("{verb} {token:?} {kind:?} {}", String::from_utf8_lossy(&body));
            self.lock().told.entry((who, path.to_owned())).or_default().push(told);
        }
        let Some((step, at)) = self.next(who, path) else { return };
        match answer_bytes(&step, at) {
            // Who has gone needs no answer.
            Some(bytes) => drop(stream.write_all(&bytes)),
            None => drop(stream.read(&mut byte)),
        }
    }

    fn next(&self, who: Who, path: &str) -> Option<(Step, usize)> {
        let mut state = self.lock();
        let asked = state.asked.entry((who, path.to_owned())).or_default();
        let at = *asked;
        *asked += 1;
        self.state.1.notify_all();
        let steps = state.scripts.get(path)?;
        let step = steps.get(at).or(steps.last())?.clone();
        Some((step, at))
    }
}

fn answer_bytes(step: &Step, at: usize) -> Option<Vec<u8>> {
    let numbered = |text: &str| format!("{text}script_step {at}\n");
    let text = "text/plain; version=0.0.4";
    match step {
        Step::Text(body) => Some(whole(200, text, "", numbered(body).as_bytes())),
        Step::Open(body) => {
            let body = numbered(&format!("{body}# TYPE script_step gauge\n")) + "# EOF\n";
            let media = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            Some(whole(200, media, "", body.as_bytes()))
        }
        Step::Zipped(body) => {
            let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            to.write_all(numbered(body).as_bytes()).expect("fits");
            let packed = to.finish().expect("fits");
            Some(whole(200, text, "Content-Encoding: gzip\r\n", &packed))
        }
        Step::Raw(bytes) => Some(bytes.clone()),
        Step::Hang => None,
    }
}

/// An answer with its length.
pub(super) fn whole(status: u16, media: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let media = if media.is_empty() { String::new() } else { format!("Content-Type: {media}\r\n") };
    // The words are shown by the real one as they come.
    let words = match status {
        200 => "OK",
        401 => "Unauthorized",
        201 => "Created",
        204 => "No Content",
        302 => "Found",
        400 => "Bad Request",
        404 => "Not Found",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        _ => "Service Unavailable",
    };
    let head = format!(
        "HTTP/1.1 {status} {words}\r\n{media}{more}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
