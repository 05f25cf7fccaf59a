//! `event_recorder` of `alertmanager.yml`, as written and as checked.
//!
//! Source: prometheus/alertmanager, eventrecorder/{config,file,webhook,stdout}.go,
//! docs/configuration.md (Event Recorder).

use crate::model::Problem;
use crate::notify::keys::{HttpKey, keys};
use crate::notify::kinds::check_url;
use crate::notify::opaque::Opaque;
use crate::sys::settings::{HttpClientSettings, Secret, Span};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

keys! {
    /// The section: a list for each kind of output. Every event goes to all of them.
    pub struct EventRecorderSettings {
        /// Files.
        file_outputs: Vec<FileOutput> = Vec::new(),
        /// Web hooks.
        webhook_outputs: Vec<WebhookOutput> = Vec::new(),
        /// Known, not built.
        kafka_outputs: Vec<Opaque> = Vec::new(),
        /// Standard output; an item holds nothing.
        stdout_outputs: Vec<Option<StdoutOutput>> = Vec::new(),
    }
}

keys! {
    /// One item of `file_outputs`.
    pub struct FileOutput {
        /// The file; one line of JSON for each event.
        path: String = String::new(),
    }
}

keys! {
    /// One item of `webhook_outputs`. A number that is missing or 0 is upstream's default.
    pub struct WebhookOutput {
        /// Where to post.
        url: Secret = Secret::default(),
        /// How to talk; `global.http_config` is not asked.
        http_config: HttpKey = None,
        /// For one request.
        timeout: Option<Span> = None,
        /// Requests at a time.
        workers: Option<i64> = None,
        /// Attempts of one request, the first included.
        max_retries: Option<i64> = None,
        /// The pause before the second attempt; each one after doubles it.
        retry_backoff: Option<Span> = None,
        /// Whether events go out as lists.
        batch: bool = false,
        /// Events of a list.
        batch_max_events: Option<i64> = None,
        /// Bytes of a list; one event that is longer goes alone.
        batch_max_bytes: Option<i64> = None,
        /// How long a list waits for more.
        batch_flush_interval: Option<Span> = None,
    }
}

/// One item of `stdout_outputs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StdoutOutput {}

/// An output, checked.
#[derive(Clone, Debug, PartialEq)]
pub enum EventOutputPlan {
    /// A file, relative to the configuration's folder.
    File(PathBuf),
    /// A web hook.
    Webhook(Box<Webhook>),
    /// What this process says on its standard output.
    Stdout,
}

/// A web hook, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    pub(super) url: Secret,
    pub(super) http: HttpClientSettings,
    pub(super) timeout: Duration,
    pub(super) workers: usize,
    pub(super) attempts_max: u32,
    pub(super) backoff: Duration,
    /// `None` when each event is posted alone.
    pub(super) batch: Option<Batch>,
}

/// How many events go out at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Events.
    pub events_max: usize,
    /// Bytes; one event that is longer goes alone.
    pub bytes_max: usize,
    /// How long they wait for more.
    pub wait: Duration,
}

impl Batch {
    /// Upstream's defaults.
    pub(super) const USUAL: Self =
        Self { events_max: 100, bytes_max: 1 << 20, wait: Duration::from_millis(100) };
}

impl EventRecorderSettings {
    /// Checks the section; places are below it.
    ///
    /// # Errors
    /// Every fault.
    pub(in crate::notify) fn check(&self) -> Result<Vec<EventOutputPlan>, Vec<Problem>> {
        let (mut plans, mut problems) = (Vec::new(), Vec::new());
        for (place, file) in self.file_outputs.iter().enumerate() {
            if file.path.is_empty() {
                let at = format!("file_outputs[{place}]");
                problems.push(Problem::new(at, "missing path in file output"));
            }
            plans.push(EventOutputPlan::File(PathBuf::from(&file.path)));
        }
        for (place, webhook) in self.webhook_outputs.iter().enumerate() {
            let at = format!("webhook_outputs[{place}]");
            problems.extend(webhook.problems().into_iter().map(|problem| problem.below(&at)));
            plans.push(EventOutputPlan::Webhook(Box::new(webhook.plan())));
        }
        plans.extend(self.stdout_outputs.iter().map(|_| EventOutputPlan::Stdout));
        if problems.is_empty() { Ok(plans) } else { Err(problems) }
    }

    /// What is known and has no effect; `is_on` as the flag has it.
    pub(in crate::notify) fn warnings(&self, is_on: bool) -> Vec<Problem> {
        let mut warnings = Vec::new();
        let mut warn = |at: &str, text: &str| warnings.push(Problem::new(at, text));
        if !is_on {
            let text = "event_recorder has no effect without --enable-feature=event-recorder";
            warn("event_recorder", text);
        }
        if !self.kafka_outputs.is_empty() {
            let text = "kafka_outputs is known but not built yet: no event goes to Kafka";
            warn("event_recorder.kafka_outputs", text);
        }
        warnings
    }
}

impl WebhookOutput {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.url.is_empty() {
            problems.push(Problem::new("", "missing url in webhook output"));
        } else {
            problems.extend(check_url("url", self.url.reveal()).err());
        }
        if let Some(http) = &self.http_config {
            problems.extend(http.check("http_config").err());
        }
        let wait = self.batch_flush_interval.map(|wait| i64::from(!wait.is_zero()));
        for (key, number) in [
            ("batch_max_events", self.batch_max_events),
            ("batch_max_bytes", self.batch_max_bytes),
            ("batch_flush_interval", wait),
        ] {
            match number.unwrap_or_default() {
                0 => {}
                ..0 => problems.push(Problem::new(key, format!("{key} cannot be negative"))),
                1.. if self.batch => {}
                1.. => problems.push(Problem::new(key, format!("{key} requires batch: true"))),
            }
        }
        problems
    }

    fn plan(&self) -> Webhook {
        let number = |written: Option<i64>, default: usize| {
            let written = written.and_then(|number| usize::try_from(number).ok());
            written.filter(|number| *number > 0).unwrap_or(default)
        };
        let span = |written: Option<Span>, default: Duration| {
            written.filter(|span| !span.is_zero()).map_or(default, |span| span.0)
        };
        let usual = Batch::USUAL;
        let batch = Batch {
            events_max: number(self.batch_max_events, usual.events_max),
            bytes_max: number(self.batch_max_bytes, usual.bytes_max),
            wait: span(self.batch_flush_interval, usual.wait),
        };
        Webhook {
            url: self.url.clone(),
            http: self.http_config.clone().unwrap_or_default(),
            timeout: span(self.timeout, Duration::from_secs(10)),
            workers: number(self.workers, 4),
            attempts_max: u32::try_from(number(self.max_retries, 3)).unwrap_or(u32::MAX),
            backoff: span(self.retry_backoff, Duration::from_millis(500)),
            batch: self.batch.then_some(batch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> EventRecorderSettings {
        serde_yaml::from_str(yaml).expect(yaml)
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        for (yaml, expected) in [
            ("file_outputs: [{path: a}, {}]", "file_outputs[1]: missing path in file output"),
            ("webhook_outputs: [{}]", "webhook_outputs[0]: missing url in webhook output"),
            (
                "webhook_outputs: [{url: 'ftp://x'}]",
                "webhook_outputs[0].url: unsupported scheme \"ftp\" for URL",
            ),
            (
                "webhook_outputs: [{url: 'http://x', batch: true, batch_max_bytes: -1}]",
                "webhook_outputs[0].batch_max_bytes: batch_max_bytes cannot be negative",
            ),
            (
                "webhook_outputs: [{url: 'http://x', batch_flush_interval: 1s}]",
                "webhook_outputs[0].batch_flush_interval: batch_flush_interval requires batch: true",
            ),
            (
                "webhook_outputs: [{url: 'http://x', http_config: {basic_auth: {}, bearer_token: a}}]",
                "webhook_outputs[0].http_config: at most one of basic_auth",
            ),
        ] {
            let found = read(yaml).check().expect_err(yaml);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].to_string().starts_with(expected), "{found:?}");
        }
        for yaml in
            ["file_output: []", "stdout_outputs: [{path: x}]", "webhook_outputs: [{uri: x}]"]
        {
            assert!(serde_yaml::from_str::<EventRecorderSettings>(yaml).is_err(), "{yaml}");
        }
    }

    #[test]
    fn what_is_missing_or_nothing_is_as_upstream_has_it() {
        let yaml = "
file_outputs:
stdout_outputs: [{}, ~]
kafka_outputs: [{brokers: ['k:9092'], topic: t}]
webhook_outputs:
- {url: 'http://x/y?z', workers: -1, max_retries: 0, timeout: 0s}
- {url: 'http://x', batch: true, batch_max_events: 7, batch_flush_interval: 1s, workers: 1}
";
        let settings = read(yaml);
        let told: Vec<_> = settings.warnings(false).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "event_recorder: event_recorder has no effect without \
                 --enable-feature=event-recorder",
                "event_recorder.kafka_outputs: kafka_outputs is known but not built yet: no event \
                 goes to Kafka",
            ]
        );
        assert_eq!(settings.warnings(true).len(), 1);
        let plans = settings.check().expect("valid");
        let [EventOutputPlan::Webhook(one), EventOutputPlan::Webhook(two), rest @ ..] = &*plans
        else {
            panic!("{plans:?}");
        };
        assert_eq!(rest, [EventOutputPlan::Stdout, EventOutputPlan::Stdout]);
        let numbers = (one.workers, one.attempts_max, one.timeout, one.backoff);
        let seconds = Duration::from_secs;
        assert_eq!(numbers, (4, 3, seconds(10), Duration::from_millis(500)));
        assert_eq!((one.batch, two.workers), (None, 1));
        let batch = Batch { events_max: 7, wait: seconds(1), ..Batch::USUAL };
        assert_eq!(two.batch, Some(batch));
        let shown = serde_yaml::to_string(&settings).expect("writes");
        assert!(shown.contains("url: <secret>") && !shown.contains("k:9092"), "{shown}");
    }
}
