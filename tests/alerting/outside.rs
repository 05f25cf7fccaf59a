//! Simulated outside for senders: scripted HTTP, files, a clock that jumps to the next sleeper.

use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use watchbell::alerts::{
    AlertDraft, Delivery, DeliveryOutcome, Effect, Engine, Event, Moment, Options, complete_all,
};
use watchbell::model::{Annotations, Labels, Problem, Timestamp};
use watchbell::notify::config::File;
use watchbell::notify::{Outside, Receivers, Revealed, Templates};
use watchbell::sys::clock::{Clock as _, SharedClock};
use watchbell::sys::http::{Http, HttpClient, Method, Pending, Request, Response};
use watchbell::sys::metrics::Registry;
use watchbell::sys::settings::HttpClientSettings;
use watchbell::sys::sim::{SeededEntropy, VirtualClock};
use watchbell::sys::sim_local::ScriptedLocal;

/// 2024-01-01T00:00:00Z.
const START: Timestamp = Timestamp::from_millis(1_704_067_200_000);

/// A request that was made.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) body: String,
    pub(crate) at: Duration,
    headers: Vec<(String, String)>,
}

impl Sent {
    pub(crate) fn header(&self, name: &str) -> String {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }
}

/// Gives a list of answers, the last one for ever.
#[derive(Clone, Debug)]
pub(crate) struct FakeHttp {
    answers: Vec<Response>,
    retry_after: Option<u64>,
    sent: Arc<Mutex<Vec<Sent>>>,
    clients: Arc<Mutex<Vec<HttpClientSettings>>>,
    clock: VirtualClock,
}

impl FakeHttp {
    pub(crate) fn answering(statuses: &[u16]) -> Self {
        Self::saying(&statuses.iter().map(|status| (*status, "", "")).collect::<Vec<_>>())
    }

    /// Answers with status, content type and body.
    pub(crate) fn saying(answers: &[(u16, &str, &str)]) -> Self {
        let answer = |(status, content_type, body): &(u16, &str, &str)| Response {
            status: *status,
            headers: vec![("content-type".to_owned(), (*content_type).to_owned())],
            body: (*body).to_owned().into(),
            ..Response::default()
        };
        Self {
            answers: answers.iter().map(answer).collect(),
            retry_after: None,
            sent: Arc::default(),
            clients: Arc::default(),
            clock: VirtualClock::at(START),
        }
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// How clients were to talk that were made.
    pub(crate) fn clients(&self) -> Vec<HttpClientSettings> {
        self.clients.lock().expect("not poisoned").clone()
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().expect("not poisoned").clone()
    }
}

impl Http for FakeHttp {
    fn client(
        &self,
        settings: &HttpClientSettings,
        _: &Path,
    ) -> Result<Arc<dyn HttpClient>, Problem> {
        self.clients.lock().expect("not poisoned").push(settings.clone());
        Ok(Arc::new(self.clone()))
    }
}

impl HttpClient for FakeHttp {
    fn send(&self, request: Request) -> Pending<'_> {
        let mut sent = self.sent.lock().expect("not poisoned");
        let place = sent.len().min(self.answers.len() - 1);
        sent.push(Sent {
            method: request.method,
            url: request.url,
            body: String::from_utf8(request.body.to_vec()).expect("text"),
            at: self.clock.elapsed(),
            headers: request.headers,
        });
        let after = self.retry_after.map(|seconds| ("retry-after".to_owned(), seconds.to_string()));
        let mut answer = self.answers.get(place).cloned().expect("at least one answer");
        answer.headers.extend(after);
        if request.cuts_body {
            answer.body.truncate(request.body_bytes_max);
        }
        Box::pin(std::future::ready(Ok(answer)))
    }
}

/// The outside with this network, and its clock.
pub(crate) fn outside(http: FakeHttp) -> (Outside, VirtualClock) {
    let clock = http.clock.clone();
    let shared: SharedClock = Arc::new(clock.clone());
    (outside_at(http, shared), clock)
}

/// The outside with this network and clock.
pub(crate) fn outside_at(http: FakeHttp, clock: SharedClock) -> Outside {
    Outside {
        http: Arc::new(http),
        local: Arc::new(ScriptedLocal::new()),
        clock,
        entropy: Arc::new(SeededEntropy::new(1)),
        read_file: Arc::new(|path: &Path| {
            let shown = path.display().to_string();
            if shown.contains("missing") {
                return Err(io::ErrorKind::NotFound.into());
            }
            Ok(format!("http://from-file{shown}\n").into_bytes())
        }),
        read_yaml: Arc::new(watchbell::config::parse_plain_yaml),
        hostname: "bell".to_owned(),
        base: "/etc/watchbell".into(),
        revealed: Revealed::default(),
    }
}

/// Polls a future to its end; whenever it waits, a tenth of a second passes.
pub(crate) fn drive<F: Future>(clock: &VirtualClock, future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..100_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        clock.advance(Duration::from_millis(100));
    }
    panic!("it never ends");
}

/// Gives one delivery to the first integration of `kind` of the receiver `team`, against scripted
/// answers; each pause passes at once.
pub(crate) fn run(receiver: &str, kind: &str, http: &FakeHttp) -> (DeliveryOutcome, Registry) {
    run_changed(receiver, kind, http, |_| {})
}

/// The same with another delivery.
pub(crate) fn run_changed(
    receiver: &str,
    kind: &str,
    http: &FakeHttp,
    change: impl FnOnce(&mut Delivery),
) -> (DeliveryOutcome, Registry) {
    let yaml = format!("{{route: {{receiver: team}}, receivers: [{receiver}]}}");
    let file: File = serde_yaml::from_str(&yaml).expect("reads");
    let checked = file.check(&Options::default()).expect("valid");
    let registry = Registry::new();
    let (outside, clock) = outside(http.clone());
    let templates = Templates::new(&[(
        "own.tmpl".to_owned(),
        "{{ define \"own\" }}own {{ .CommonLabels.alertname }}{{ end }}".to_owned(),
    )])
    .expect("templates");
    let (receivers, problems) = Receivers::new(&checked.receivers, templates, outside, &registry);
    assert_eq!(problems, []);
    let mut delivery = delivery("team", kind);
    change(&mut delivery);
    let outcome = drive(&clock, receivers.deliver(&delivery));
    (outcome, registry)
}

/// A delivery about two firing alerts, made by an engine.
pub(crate) fn delivery(receiver: &str, kind: &str) -> Delivery {
    let yaml = format!(
        "{{route: {{receiver: {receiver}, group_by: [alertname], group_wait: 0s, group_interval: 30s}}, \
          receivers: [{{name: {receiver}, webhook_configs: [{{url: 'http://x'}}]}}]}}"
    );
    let file: File = serde_yaml::from_str(&yaml).expect("reads");
    let options = Options { external_url: "http://am".to_owned(), ..Options::default() };
    let config = Arc::new(file.check(&options).expect("valid").alerts);
    let draft = |sev: &str| AlertDraft {
        labels: Labels::from_pairs([("alertname", "X"), ("sev", sev)]),
        annotations: Annotations::from_pairs([("summary", "<b>&\r\nBcc: evil@x")]),
        starts_at: Some(START),
        ends_at: Some(START.plus_millis(600_000)),
        generator_url: "http://gen/x?a=1&b=2".to_owned(),
    };
    let (alerts, _) = complete_all(vec![draft("a"), draft("b")], START, &config);
    let now = Moment { wall: START, elapsed: Duration::ZERO };
    let mut engine = Engine::new(config);
    let effects = engine.step(now, Event::AlertsReceived(alerts));
    let found = effects.into_iter().find_map(|effect| match effect {
        Effect::Deliver(delivery) => Some(*delivery),
        _ => None,
    });
    let mut delivery = found.expect("it is told at once");
    delivery.integration.kind = kind.to_owned();
    delivery
}

/// The sum of all series of a metric.
pub(crate) fn registry_value(registry: &Registry, name: &str) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name == name).expect("the metric");
    family.samples.iter().map(|sample| sample.value).sum()
}
