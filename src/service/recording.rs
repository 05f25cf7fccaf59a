//! Recorders of events: a bounded queue and tasks of its own for each output, so that none holds
//! up the engine, or another one.
//!
//! Source: prometheus/alertmanager, eventrecorder/{recorder,webhook,metrics}.go. Upstream has one
//! queue before those of the outputs, and takes an event for recorded once a web hook's queue has
//! it; ours counts it when it has arrived, or was given up.

use crate::alerts::Occurrence;
use crate::notify::{Event, EventOutput};
use crate::sys::clock::SharedClock;
use crate::sys::locks::lock;
use crate::sys::metrics::{Cell, Registry};
use crate::sys::tasks::{self, Shutdown};
use futures_util::future::{join, join_all};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Events that wait for one output; what comes beyond is dropped.
const WAITING_MAX: usize = 8_192;
/// And so many bytes of their lines: one that tells of a notification of thousands of alerts is
/// megabytes.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// What waits when an output ends has so long to arrive.
const DRAIN_MAX: Duration = Duration::from_secs(10);

const RECORDED: (&str, &str) = (
    "alertmanager_events_recorded_total",
    "The total number of events recorded by the event recorder.",
);
const BYTES: (&str, &str) = (
    "alertmanager_event_recorder_bytes_written_total",
    "The total number of bytes written to the event recorder.",
);
const DROPPED: (&str, &str) = (
    "alertmanager_events_dropped_total",
    "The total number of events dropped due to a full queue.",
);
const OUTPUT_DROPS: (&str, &str) = (
    "alertmanager_event_output_drops_total",
    "The total number of events dropped by an output due to a full local buffer.",
);
const LENGTH: (&str, &str) = (
    "alertmanager_event_recorder_queue_length",
    "Current number of events waiting in the event recorder write queue.",
);

/// All outputs.
#[derive(Debug)]
pub(super) struct Recording {
    world: World,
    /// This host, as events name it.
    instance: Arc<str>,
    outputs: Mutex<Outputs>,
}

#[derive(Debug, Default)]
struct Outputs {
    running: Vec<Running>,
    /// Tasks that end those that a reload left out.
    ending: Vec<JoinHandle<Option<()>>>,
    /// A reload may still be under way then.
    is_stopped: bool,
}

/// What outputs take from the world.
#[derive(Clone, Debug)]
struct World {
    clock: SharedClock,
    runtime: Handle,
    registry: Registry,
    /// Events that wait, of all outputs together.
    length: Cell,
}

/// An output with its tasks.
#[derive(Debug)]
struct Running {
    queue: Arc<Queue>,
    workers: Vec<JoinHandle<Option<()>>>,
}

#[derive(Debug)]
struct Queue {
    output: EventOutput,
    world: World,
    waiting: Mutex<Waiting>,
    work: Notify,
    stop: Shutdown,
    /// One worker at a time waits for events.
    collecting: tokio::sync::Mutex<()>,
    /// It is told in the log that events are dropped, and that the output fails: once, until it
    /// is better.
    is_dropping: AtomicBool,
    is_failing: AtomicBool,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Arc<Event>>,
    /// Of their lines.
    bytes: usize,
}

impl Recording {
    /// No output yet.
    pub(super) fn new(
        clock: SharedClock,
        runtime: Handle,
        registry: Registry,
        instance: String,
    ) -> Self {
        let length = registry.gauge(LENGTH.0, LENGTH.1, &[]);
        let world = World { clock, runtime, registry, length };
        Self { world, instance: instance.into(), outputs: Mutex::default() }
    }

    /// These outputs from now on. Those that are as before go on undisturbed; the others end once
    /// what waits for them was told. Nothing changes once this server stops.
    pub(super) fn apply(&self, outputs: Vec<EventOutput>) {
        let _runtime = self.world.runtime.enter();
        let mut current = lock(&self.outputs);
        if current.is_stopped {
            return;
        }
        let mut before = std::mem::take(&mut current.running);
        for output in outputs {
            let known = before.iter().position(|one| one.queue.output.plan() == output.plan());
            current.running.push(match known {
                Some(place) => before.remove(place),
                None => Running::start(output, self.world.clone()),
            });
        }
        current.ending.retain(|task| !task.is_finished());
        let end =
            |one: Running| tasks::spawn(format!("end of {}", one.queue.output.name()), one.end());
        current.ending.extend(before.into_iter().map(end));
    }

    /// This server works.
    pub(super) fn started(&self, version: &str) {
        let build = format!("(watchbell={})", env!("CARGO_PKG_VERSION"));
        let (now, instance) = (self.world.clock.now(), self.instance.clone());
        self.tell([Event::started(now, instance, version, build)]);
    }

    /// What the engine tells; never waits.
    pub(super) fn record(&self, occurred: Vec<Occurrence>) {
        let event = |one| Event::occurred(one, self.instance.clone());
        self.tell(occurred.into_iter().map(event));
    }

    /// Tells that this server stops, and ends once all was told, or after `DRAIN_MAX`.
    pub(super) async fn stop(&self) {
        let stopped = Event::stopped(self.world.clock.now(), self.instance.clone());
        let (running, ending) = {
            let mut outputs = lock(&self.outputs);
            outputs.tell([stopped]);
            outputs.is_stopped = true;
            (std::mem::take(&mut outputs.running), std::mem::take(&mut outputs.ending))
        };
        // Those that end already have begun to count their time.
        join(join_all(running.into_iter().map(Running::end)), join_all(ending)).await;
    }

    fn tell(&self, events: impl IntoIterator<Item = Event>) {
        lock(&self.outputs).tell(events);
    }
}

impl Outputs {
    fn tell(&self, events: impl IntoIterator<Item = Event>) {
        if self.running.is_empty() {
            return;
        }
        for event in events.into_iter().map(Arc::new) {
            self.running.iter().for_each(|one| one.queue.add(&event));
        }
    }
}

impl Running {
    /// Must be called on the async runtime.
    fn start(output: EventOutput, world: World) -> Self {
        let (name, count) = (format!("events to {}", output.name()), output.workers());
        let queue = Arc::new(Queue {
            output,
            world,
            waiting: Mutex::default(),
            work: Notify::new(),
            stop: Shutdown::new(),
            collecting: tokio::sync::Mutex::default(),
            is_dropping: AtomicBool::new(false),
            is_failing: AtomicBool::new(false),
        });
        let worker = |_| tasks::spawn(name.clone(), queue.clone().work());
        let workers = (0..count).map(worker).collect();
        Self { queue, workers }
    }

    /// Ends it once what waits was told, or after `DRAIN_MAX`.
    async fn end(mut self) {
        self.queue.stop.trigger();
        tokio::select! {
            _ = join_all(&mut self.workers) => {}
            () = self.queue.world.clock.sleep(DRAIN_MAX) => {
                self.workers.iter().for_each(JoinHandle::abort);
            }
        }
        self.queue.drop_all();
    }
}

impl Queue {
    fn add(&self, event: &Arc<Event>) {
        let mut waiting = lock(&self.waiting);
        let is_full = waiting.events.len() >= WAITING_MAX
            || waiting.bytes.saturating_add(event.line().len()) > WAITING_BYTES_MAX;
        if is_full {
            drop(waiting);
            self.dropped(std::slice::from_ref(event), "its queue is full");
            return;
        }
        waiting.bytes += event.line().len();
        waiting.events.push_back(event.clone());
        drop(waiting);
        self.world.length.inc();
        self.work.notify_one();
    }

    /// Tells what there is to tell until it is asked to stop and nothing waits.
    async fn work(self: Arc<Self>) {
        loop {
            let events = {
                let _one_at_a_time = self.collecting.lock().await;
                self.next().await
            };
            if events.is_empty() {
                return;
            }
            self.deliver(&events).await;
        }
    }

    /// What goes out next; nothing once it is to stop.
    async fn next(&self) -> Vec<Arc<Event>> {
        while self.len() == 0 {
            if self.stop.is_triggered() {
                return Vec::new();
            }
            self.pause(Duration::MAX).await;
        }
        let batch = self.output.batch();
        let deadline = self.world.clock.elapsed().saturating_add(batch.wait);
        while self.len() < batch.events_max
            && self.world.clock.elapsed() < deadline
            && !self.stop.is_triggered()
        {
            self.pause(deadline).await;
        }
        self.take(batch.events_max, batch.bytes_max)
    }

    /// Until there is more to tell, it is to stop, or this time has come.
    async fn pause(&self, deadline: Duration) {
        tokio::select! {
            () = self.work.notified() => {}
            () = self.stop.wait() => {}
            () = self.world.clock.sleep_until(deadline) => {}
        }
    }

    /// Takes so many at most, and one at least if there is one.
    fn take(&self, events_max: usize, bytes_max: usize) -> Vec<Arc<Event>> {
        let mut taken: Vec<Arc<Event>> = Vec::new();
        let mut bytes = 0;
        let mut waiting = lock(&self.waiting);
        while taken.len() < events_max
            && let Some(event) = waiting.events.front()
        {
            // A comma, or a bracket, beside each.
            let line_bytes = event.line().len();
            bytes += line_bytes + 1;
            if !taken.is_empty() && bytes > bytes_max {
                break;
            }
            taken.extend(waiting.events.pop_front());
            waiting.bytes -= line_bytes;
        }
        if waiting.events.is_empty() {
            self.is_dropping.store(false, Ordering::Relaxed);
        }
        drop(waiting);
        self.world.length.add(-(taken.len() as f64));
        taken
    }

    async fn deliver(&self, events: &[Arc<Event>]) {
        let delivered = self.output.deliver(events, &self.stop).await;
        let name = self.output.name();
        let result = if delivered.is_ok() { "success" } else { "error" };
        for event in events {
            let labels = [("event_type", event.kind()), ("output", name), ("result", result)];
            self.world.registry.counter(RECORDED.0, RECORDED.1, &labels).inc();
            if delivered.is_ok() {
                let labels = [("event_type", event.kind()), ("output", name)];
                let bytes = self.world.registry.counter(BYTES.0, BYTES.1, &labels);
                bytes.add(self.output.bytes_of(event) as f64);
            }
        }
        let was_failing = self.is_failing.swap(delivered.is_err(), Ordering::Relaxed);
        match delivered {
            Ok(()) if was_failing => tracing::info!(output = name, "events arrive again"),
            Ok(()) => {}
            Err(reason) => {
                if !was_failing {
                    tracing::warn!(output = name, reason, "events do not arrive");
                }
                // Who does not take events while this server stops will not take the next ones.
                if self.stop.is_triggered() {
                    self.drop_all();
                }
            }
        }
    }

    fn drop_all(&self) {
        let waiting = Vec::from(std::mem::take(&mut *lock(&self.waiting)).events);
        if !waiting.is_empty() {
            self.world.length.add(-(waiting.len() as f64));
            self.dropped(&waiting, "it ends and does not take them");
        }
    }

    fn dropped(&self, events: &[Arc<Event>], why: &str) {
        let (registry, name) = (&self.world.registry, self.output.name());
        for event in events {
            let labels = [("event_type", event.kind())];
            registry.counter(DROPPED.0, DROPPED.1, &labels).inc();
        }
        let drops = registry.counter(OUTPUT_DROPS.0, OUTPUT_DROPS.1, &[("output", name)]);
        drops.add(events.len() as f64);
        if !self.is_dropping.swap(true, Ordering::Relaxed) {
            tracing::warn!(output = name, why, "events are dropped");
        }
    }

    fn len(&self) -> usize {
        lock(&self.waiting).events.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::What;
    use crate::model::{Alert, Annotations, Labels, Problem, Timestamp};
    use crate::notify::config::File;
    use crate::notify::{Outside, Revealed};
    use crate::sys::clock::Clock as _;
    use crate::sys::http::{Http, HttpClient, Pending, Request, Response};
    use crate::sys::settings::HttpClientSettings;
    use crate::sys::sim::{SeededEntropy, VirtualClock};
    use crate::sys::sim_http::ScriptedHttp;
    use crate::sys::sim_local::{Done, ScriptedLocal};
    use std::path::Path;
    use tokio::sync::Semaphore;

    const AT: Timestamp = Timestamp::from_millis(1_704_067_200_000);

    /// A network whose answers come as permits are given.
    #[derive(Clone, Debug)]
    struct SlowHttp {
        network: ScriptedHttp,
        permits: Arc<Semaphore>,
    }

    impl Http for SlowHttp {
        fn client(&self, _: &HttpClientSettings, _: &Path) -> Result<Arc<dyn HttpClient>, Problem> {
            Ok(Arc::new(self.clone()))
        }
    }

    impl HttpClient for SlowHttp {
        fn send(&self, request: Request) -> Pending<'_> {
            let answer = self.network.send(request);
            Box::pin(async move {
                self.permits.acquire().await.expect("never closed").forget();
                answer.await
            })
        }
    }

    /// A recorder on virtual time, with all that it may tell.
    struct Stage {
        clock: VirtualClock,
        http: SlowHttp,
        local: ScriptedLocal,
        registry: Registry,
        recording: Recording,
    }

    impl Stage {
        fn new(outputs: &str) -> Self {
            let clock = VirtualClock::at(AT);
            let shared: SharedClock = Arc::new(clock.clone());
            let registry = Registry::new();
            let (runtime, name) = (Handle::current(), "host".to_owned());
            let stage = Self {
                recording: Recording::new(shared, runtime, registry.clone(), name),
                http: SlowHttp { network: ScriptedHttp::new(), permits: Semaphore::new(0).into() },
                local: ScriptedLocal::new(),
                registry,
                clock,
            };
            stage.apply(outputs);
            stage
        }

        fn apply(&self, outputs: &str) {
            let routes = "route: {receiver: r}, receivers: [{name: r}]";
            let yaml = format!("{{{routes}, event_recorder: {outputs}}}");
            let file: File = serde_yaml::from_str(&yaml).expect("reads");
            let options = crate::alerts::Options { event_recorder: true, ..Default::default() };
            let plans = file.check(&options).expect("valid").events;
            let output = |plan| EventOutput::new(plan, self.outside()).expect("a client");
            self.recording.apply(plans.iter().map(output).collect());
        }

        fn outside(&self) -> Outside {
            Outside {
                http: Arc::new(self.http.clone()),
                local: Arc::new(self.local.clone()),
                clock: Arc::new(self.clock.clone()),
                entropy: Arc::new(SeededEntropy::new(1)),
                read_file: Arc::new(|_: &Path| Err(std::io::ErrorKind::NotFound.into())),
                read_yaml: Arc::new(|_: &str| None),
                hostname: "host".to_owned(),
                base: "/etc/am".into(),
                revealed: Revealed::default(),
            }
        }

        fn answers(&self, status: u16) {
            self.http.network.on(HOOK, Response { status, ..Response::default() });
        }

        /// So many alerts come.
        fn come(&self, count: usize) {
            self.come_with(count, &Annotations::empty());
        }

        fn come_with(&self, count: usize, annotations: &Annotations) {
            let alert = |number: usize| Alert {
                labels: Labels::from_pairs([("n", number.to_string())]),
                annotations: annotations.clone(),
                starts_at: AT,
                ends_at: AT,
                generator_url: String::new(),
                updated_at: AT,
                ends_by_timeout: false,
            };
            let come = |number| Occurrence { at: AT, what: What::AlertCreated(alert(number)) };
            self.recording.record((0..count).map(come).collect());
        }

        /// Lets everybody do what can be done at this time.
        async fn settle(&self) {
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
        }

        async fn pass(&self, span: Duration) {
            self.settle().await;
            self.clock.advance(span);
            self.settle().await;
        }

        /// The sum of a metric's series whose labels hold all these values.
        fn metric(&self, name: &str, values: &[&str]) -> f64 {
            let families = self.registry.gather();
            let found = families.iter().filter(|family| family.name == name);
            let samples = found.flat_map(|family| &family.samples);
            let fits = |labels: &str| values.iter().all(|value| labels.contains(value));
            samples
                .filter(|sample| fits(&format!("{:?}", sample.labels)))
                .map(|sample| sample.value)
                .sum()
        }

        fn bodies(&self) -> Vec<String> {
            let requests = self.http.network.requests();
            requests.iter().map(|one| String::from_utf8_lossy(&one.body).into_owned()).collect()
        }
    }

    const HOOK: &str = "http://sink/secret";

    /// The numbers of the alerts that a text tells of, in order.
    fn numbers(text: &str) -> Vec<usize> {
        let values = text.split(r#"{"key":"n","value":""#).skip(1);
        values.map(|rest| rest.split('"').next().expect("text").parse().expect("n")).collect()
    }

    #[tokio::test]
    async fn a_slow_web_hook_drops_and_counts_and_holds_up_nobody() {
        let stage = Stage::new(
            "{webhook_outputs: [{url: 'http://sink/secret', workers: 2}], file_outputs: [{path: e}]}",
        );
        stage.answers(200);
        stage.come(2);
        stage.settle().await;
        assert_eq!(stage.http.network.requests().len(), 2, "both workers wait for their answers");
        stage.come(WAITING_MAX + 3);
        stage.settle().await;
        let (hook, file) = ("webhook:http://sink/<secret>", "file:/etc/am/e");
        assert_eq!(stage.metric(OUTPUT_DROPS.0, &[hook]), 3.0);
        assert_eq!(stage.metric(DROPPED.0, &["alert_created"]), 6.0, "the file had no turn either");
        assert_eq!(stage.metric(LENGTH.0, &[]), WAITING_MAX as f64, "those of the hook");
        assert_eq!(stage.metric(RECORDED.0, &[hook]), 0.0);
        let arrived = [file, "success", "alert_created"];
        assert_eq!(stage.metric(RECORDED.0, &arrived), (WAITING_MAX + 2) as f64);
        stage.http.permits.add_permits(usize::MAX >> 4);
        while stage.metric(LENGTH.0, &[]) > 0.0 {
            stage.settle().await;
        }
        stage.settle().await;
        assert_eq!(stage.metric(RECORDED.0, &[hook, "success"]), (WAITING_MAX + 2) as f64);
        let bytes: usize = stage.bodies().iter().map(String::len).sum();
        assert_eq!(stage.metric(BYTES.0, &[hook]), bytes as f64);
        let request = stage.http.network.requests().remove(0);
        assert_eq!(request.timeout, Duration::from_secs(10));
        assert!(request.headers.contains(&("content-type".into(), "application/json".into())));
    }

    #[tokio::test]
    async fn a_file_and_standard_output_get_whole_lines_of_what_waits() {
        let stage = Stage::new("{file_outputs: [{path: e}, {path: /x}], stdout_outputs: [{}]}");
        stage.recording.started("0.34.0");
        stage.come(2);
        stage.settle().await;
        let mut names = Vec::new();
        for done in stage.local.done() {
            let (name, bytes) = match done {
                Done::Appended(append) => {
                    assert_eq!((append.bytes_max, append.keep), (u64::MAX, 0), "no turns of ours");
                    (append.path.display().to_string(), append.bytes)
                }
                Done::Printed(bytes) => ("stdout".to_owned(), bytes),
                other => panic!("{other:?}"),
            };
            let text = String::from_utf8(bytes).expect("text");
            assert_eq!((text.lines().count(), text.ends_with("}\n")), (3, true), "{text}");
            assert_eq!(numbers(&text), [0, 1]);
            assert_eq!(stage.metric(BYTES.0, &[&name]), text.len() as f64);
            names.push(name);
        }
        names.sort();
        assert_eq!(names, ["/etc/am/e", "/x", "stdout"]);
    }

    #[tokio::test]
    async fn a_failed_request_is_tried_again_with_longer_pauses_and_then_given_up() {
        let yaml = "{webhook_outputs: [{url: 'http://sink/secret', workers: 1, max_retries: 3}]}";
        let stage = Stage::new(yaml);
        stage.http.permits.add_permits(100);
        for status in [503, 404, 500, 503, 204] {
            stage.answers(status);
        }
        stage.come(2);
        stage.settle().await;
        let mut seen = Vec::new();
        for millis in [499, 1, 999, 1, 500] {
            seen.push(stage.http.network.requests().len());
            stage.pass(Duration::from_millis(millis)).await;
        }
        // The first event has three attempts; the next one begins at once, and has two.
        assert_eq!(seen, [1, 1, 2, 2, 4]);
        let order: Vec<_> = stage.bodies().iter().flat_map(|body| numbers(body)).collect();
        assert_eq!(order, [0, 0, 0, 1, 1]);
        let count = |result| stage.metric(RECORDED.0, &["webhook", result]);
        assert_eq!((count("error"), count("success")), (1.0, 1.0));
    }

    #[tokio::test]
    async fn lists_are_as_long_as_is_said_and_wait_for_more_for_a_while() {
        let yaml = "{webhook_outputs: [{url: 'http://sink/secret', batch: true, batch_max_events: 3, \
                    batch_flush_interval: 1s, workers: 1}]}";
        let stage = Stage::new(yaml);
        stage.http.permits.add_permits(100);
        stage.answers(200);
        stage.come(2);
        stage.pass(Duration::from_millis(999)).await;
        assert!(stage.bodies().is_empty());
        stage.pass(Duration::from_millis(1)).await;
        stage.come(4);
        stage.settle().await;
        let told = |body: &String| {
            let list: serde_json::Value = serde_json::from_str(body).expect("JSON");
            list.as_array().map_or(0, Vec::len)
        };
        assert_eq!(stage.bodies().iter().map(told).collect::<Vec<_>>(), [2, 3]);
        // What is left goes out when it stops.
        let stop = tasks::spawn("stop", async move {
            stage.recording.stop().await;
            stage
        });
        let stage = stop.await.expect("ends").expect("no panic");
        assert_eq!(stage.bodies().iter().map(told).collect::<Vec<_>>(), [2, 3, 2]);
        assert!(stage.bodies()[2].contains("alertmanagerShutdownEvent"));
        assert_eq!(stage.clock.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_reload_ends_outputs_that_are_gone_and_leaves_the_others_alone() {
        let hook = "webhook_outputs: [{url: 'http://sink/secret', workers: 1}]";
        let stage = Stage::new(&format!("{{{hook}, stdout_outputs: [{{}}]}}"));
        stage.answers(200);
        stage.come(3);
        stage.settle().await;
        assert_eq!(stage.metric(LENGTH.0, &[]), 2.0);
        stage.apply(&format!("{{{hook}, file_outputs: [{{path: e}}]}}"));
        stage.come(1);
        stage.settle().await;
        assert_eq!(stage.metric(LENGTH.0, &[]), 3.0, "its queue goes on");
        assert_eq!(stage.metric(RECORDED.0, &["stdout"]), 3.0, "no more of them");
        assert_eq!(stage.metric(RECORDED.0, &["file"]), 1.0);
        // What waits for one that is gone is still told.
        stage.apply("{}");
        stage.come(1);
        stage.http.permits.add_permits(100);
        stage.settle().await;
        assert_eq!(stage.metric(RECORDED.0, &["webhook", "success"]), 4.0);
        assert_eq!(stage.metric(RECORDED.0, &[]), 8.0, "nobody was told of the last one");
    }

    #[tokio::test]
    async fn what_waits_is_bounded_in_bytes_too() {
        let stage = Stage::new("{webhook_outputs: [{url: 'http://sink/secret', workers: 1}]}");
        stage.answers(200);
        stage.come(1);
        stage.settle().await;
        // Ten of these and what is around them are too much.
        let text = "x".repeat(WAITING_BYTES_MAX / 10);
        let large = Annotations::from_pairs([("a", text.as_str())]);
        stage.come_with(12, &large);
        stage.settle().await;
        let drops = || stage.metric(OUTPUT_DROPS.0, &["webhook"]);
        assert_eq!((stage.metric(LENGTH.0, &[]), drops()), (9.0, 3.0));
        stage.come(1);
        assert_eq!((stage.metric(LENGTH.0, &[]), drops()), (10.0, 3.0), "a small one has room");
        // There is room again for as much as went out.
        stage.http.permits.add_permits(3);
        stage.settle().await;
        stage.come_with(4, &large);
        assert_eq!(drops(), 4.0, "two have gone out, and one is under way");
    }

    #[tokio::test]
    async fn a_stop_waits_for_outputs_that_a_reload_has_left_out_and_no_reload_adds_any() {
        let hook = "{webhook_outputs: [{url: 'http://sink/secret', workers: 1}]}";
        let stage = Arc::new(Stage::new(hook));
        stage.answers(200);
        stage.come(3);
        stage.settle().await;
        stage.apply("{}");
        let stopped = stage.clone();
        let stop = tasks::spawn("stop", async move { stopped.recording.stop().await });
        stage.settle().await;
        assert!(!stop.is_finished(), "the web hook has not been told");
        stage.apply(hook);
        stage.come(1);
        assert_eq!(stage.metric(LENGTH.0, &[]), 2.0, "nobody is there to be told");
        stage.http.permits.add_permits(100);
        stop.await.expect("ends").expect("no panic");
        assert_eq!(stage.metric(RECORDED.0, &["webhook", "success"]), 3.0);
        assert_eq!(stage.bodies().len(), 3);
    }

    #[tokio::test]
    async fn a_stop_waits_for_so_long_and_not_at_all_for_one_that_fails() {
        let hook = "{webhook_outputs: [{url: 'http://sink/secret', workers: 1}]}";
        for (fails, span) in [(true, Duration::ZERO), (false, DRAIN_MAX)] {
            let stage = Stage::new(hook);
            stage.answers(500);
            stage.come(5);
            if fails {
                stage.http.permits.add_permits(100);
            }
            stage.settle().await;
            let clock = stage.clock.clone();
            let stop = tasks::spawn("stop", async move {
                stage.recording.stop().await;
                stage
            });
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert_eq!(stop.is_finished(), fails);
            clock.advance(span);
            let stage = stop.await.expect("ends").expect("no panic");
            // One was tried, and once more; four and the end of the server were not.
            assert_eq!(stage.metric(OUTPUT_DROPS.0, &[]), 5.0);
            assert_eq!(stage.metric(LENGTH.0, &[]), 0.0);
        }
    }
}
