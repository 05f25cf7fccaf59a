//! Claims about the loops of discovery, with a scripted network and a clock that is set.

use super::super::config::{Global, ScrapeConfig, check};
use super::*;
use crate::model::Timestamp;
use crate::sys::clock::{Clock, Sleep};
use crate::sys::dns::{LookupError, PendingRecords, Record, RecordKind};
use crate::sys::http::HttpError;
use crate::sys::sim::VirtualClock;
use crate::sys::sim_http::ScriptedHttp;
use crate::sys::tasks;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use tokio::sync::mpsc;

/// Answers by name; a name without an answer cannot be asked for.
#[derive(Clone, Debug, Default)]
struct ScriptedDns(Arc<Mutex<BTreeMap<String, Vec<Record>>>>);

impl Dns for ScriptedDns {
    fn records<'a>(&'a self, name: &'a str, _: RecordKind) -> PendingRecords<'a> {
        let found = self.0.lock().expect("whole").get(name).cloned();
        Box::pin(async move { found.ok_or_else(|| LookupError::new(name, "i/o timeout")) })
    }
}

/// A clock that stands still, and tells until when somebody sleeps.
#[derive(Debug)]
struct ToldClock {
    time: VirtualClock,
    deadlines: mpsc::UnboundedSender<Duration>,
}

impl Clock for ToldClock {
    fn now(&self) -> Timestamp {
        self.time.now()
    }

    fn elapsed(&self) -> Duration {
        self.time.elapsed()
    }

    fn sleep_until(&self, deadline: Duration) -> Sleep {
        let _ = self.deadlines.send(deadline);
        self.time.sleep_until(deadline)
    }
}

struct Bench {
    time: VirtualClock,
    http: ScriptedHttp,
    dns: ScriptedDns,
    stop: Shutdown,
    found: mpsc::UnboundedReceiver<Found>,
    deadlines: mpsc::UnboundedReceiver<Duration>,
}

impl Bench {
    /// Runs the section that a job with these keys has.
    fn run(keys: &str, prepare: impl FnOnce(&ScriptedHttp, &ScriptedDns)) -> Self {
        let yaml = format!("{{job_name: j, {keys}}}");
        let config: ScrapeConfig = serde_yaml::from_str(&yaml).expect("reads");
        let checked = check(&Global::default(), &[config], Path::new("/"), &mut BTreeSet::new());
        let section = checked.expect("valid").jobs.remove(0).discovery.remove(0);
        let time = VirtualClock::at(Timestamp::EPOCH);
        let (http, dns) = (ScriptedHttp::new(), ScriptedDns::default());
        prepare(&http, &dns);
        let (sleeps, deadlines) = mpsc::unbounded_channel();
        let means = Means {
            clock: Arc::new(ToldClock { time: time.clone(), deadlines: sleeps }),
            http: Arc::new(http.clone()),
            dns: Arc::new(dns.clone()),
            files: Arc::new(HostFiles),
            parse: Arc::new(|_, _| Ok(Vec::new())),
            user_agent: "Prometheus/3".to_owned(),
        };
        let (sender, found) = mpsc::unbounded_channel();
        let stop = Shutdown::new();
        let tell = move |found| {
            let _ = sender.send(found);
        };
        tasks::spawn("discovery", run(section, means, stop.clone(), tell));
        Self { time, http, dns, stop, found, deadlines }
    }

    /// What is found next, and how long it is until somebody is asked again.
    async fn next(&mut self) -> (Found, Duration) {
        let found = self.found.recv().await.expect("the loop runs");
        let deadline = self.deadlines.recv().await.expect("the loop runs");
        (found, deadline.saturating_sub(self.time.elapsed()))
    }

    /// Lets the time pass, and answers what is found then.
    async fn after(&mut self, pause: Duration) -> Found {
        self.time.advance(pause);
        self.next().await.0
    }
}

fn addresses(found: &Found) -> Vec<&str> {
    found.groups.iter().flat_map(|group| &group.targets).map(String::as_str).collect()
}

fn json(body: &str) -> Response {
    ScriptedHttp::answer(200, "application/json", body)
}

#[tokio::test]
async fn a_server_is_asked_at_its_interval_and_what_it_said_last_is_kept() {
    let url = "http://u:canary@s:1/t";
    let keys = "http_sd_configs: [{url: 'http://u:canary@s:1/t', refresh_interval: 90s}]";
    let mut bench = Bench::run(keys, |http, _| {
        http.on(url, json(r#"[{"targets": ["a:1"]}]"#));
        http.on(url, ScriptedHttp::answer(503, "application/json", "[]"));
        http.on(url, ScriptedHttp::answer(200, "text/html", "[]"));
        http.on_error(url, HttpError::Timeout);
        http.on(url, json("[{"));
        http.on(url, json(r#"[{"targets": ["b:1"]}]"#));
    });
    let (first, pause) = bench.next().await;
    assert_eq!((addresses(&first), first.problems.len()), (vec!["a:1"], 0));
    assert_eq!(pause, Duration::from_secs(90));
    assert_eq!(first.groups[0].labels.get("__meta_url"), Some("http://u:xxxxx@s:1/t"));
    for problem in [
        "server returned HTTP status 503",
        "unsupported content type \"text/html\"",
        "context deadline exceeded",
        "EOF while parsing",
    ] {
        let found = bench.after(pause).await;
        assert_eq!(addresses(&found), ["a:1"]);
        let expected = format!("cannot read http://u:xxxxx@s:1/t: {problem}");
        assert!(found.problems[0].starts_with(&expected), "{:?}", found.problems);
    }
    let last = bench.after(pause).await;
    assert_eq!((addresses(&last), last.problems.len()), (vec!["b:1"], 0));
    let request = bench.http.requests().remove(0);
    let interval = ("x-prometheus-refresh-interval-seconds".to_owned(), "90".to_owned());
    assert!(request.headers.contains(&interval), "{:?}", request.headers);
    assert_eq!(request.timeout, ANSWER_DEADLINE);
    bench.stop.trigger();
    assert!(bench.found.recv().await.is_none(), "the loop ends");
}

#[tokio::test]
async fn docker_is_asked_over_its_socket_and_a_daemon_that_hangs_is_given_up_on() {
    let containers =
        "http://docker/containers/json?filters=%7B%22name%22%3A%7B%22a%22%3Atrue%7D%7D";
    let keys = "docker_sd_configs: [{host: 'unix:///run/d.sock', refresh_interval: 10s, \
                filters: [{name: name, values: [a]}]}]";
    let mut bench = Bench::run(keys, |http, _| {
        http.on_error(containers, HttpError::Timeout);
        let one = r#"[{"Id": "1", "Names": ["/a"], "Ports": [{"PrivatePort": 1, "Type": "tcp"}],
            "NetworkSettings": {"Networks": {"n": {"IPAddress": "10.0.0.1"}}}}]"#;
        http.on(containers, json(one));
        http.on("http://docker/networks", json("[]"));
    });
    let (hung, pause) = bench.next().await;
    let expected = "error while listing containers of /run/d.sock: context deadline exceeded";
    assert!(addresses(&hung).is_empty());
    assert_eq!(hung.problems, [expected]);
    let found = bench.after(pause).await;
    assert_eq!((addresses(&found), found.problems.len()), (vec!["10.0.0.1:1"], 0));
    let requests = bench.http.requests();
    assert_eq!(requests[0].unix_socket.as_deref(), Some(Path::new("/run/d.sock")));
    assert_eq!(requests[0].timeout, Duration::from_secs(10));
    bench.stop.trigger();
}

#[tokio::test]
async fn a_name_that_cannot_be_asked_for_keeps_its_records() {
    let keys = "dns_sd_configs: [{names: [a, b], type: A, port: 9}]";
    let address = |last: u8| vec![Record::Address([10, 0, 0, last].into())];
    let mut bench = Bench::run(keys, |_, dns| {
        let mut names = dns.0.lock().expect("whole");
        names.insert("a".to_owned(), address(1));
        names.insert("b".to_owned(), address(2));
    });
    let (first, pause) = bench.next().await;
    assert_eq!(addresses(&first), ["10.0.0.1:9", "10.0.0.2:9"]);
    assert_eq!(pause, Duration::from_secs(30));
    {
        let mut names = bench.dns.0.lock().expect("whole");
        names.remove("a");
        names.insert("b".to_owned(), Vec::new());
    }
    let second = bench.after(pause).await;
    assert_eq!(addresses(&second), ["10.0.0.1:9"]);
    assert_eq!(second.problems, ["lookup a: i/o timeout"]);
    bench.stop.trigger();
}
