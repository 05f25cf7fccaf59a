//! Targets that are discovered, beside those that the real Prometheus finds in the same places,
//! where `promtool` is installed: files, a server, and a Docker daemon on a socket.

use super::options;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use watchbell::model::Labels;
use watchbell::service::{Service, World};
use watchbell::sys::clock::SystemClock;
use watchbell::sys::dns::HostResolver;
use watchbell::sys::http::SystemHttp;
use watchbell::sys::metrics::Registry;
use watchbell::sys::sim::SeededEntropy;
use watchbell::sys::tasks::{Shutdown, spawn_thread};
use watchbell::wire::{Core as _, TargetState};

/// Labels that 2.42 does not know.
const NEWER: [&str; 5] = [
    "__convert_classic_histograms_to_nhcb__",
    "__always_scrape_classic_histograms__",
    "__scrape_native_histograms__",
    "__meta_docker_container_image",
    "__meta_docker_container_image_id",
];

const RULES: &str = "
  relabel_configs:
  - {source_labels: [__meta_dc], target_label: dc}
  - {source_labels: [__meta_docker_container_name, __meta_docker_network_name], regex: '/(.*);(.*)',
     target_label: container, replacement: '${1}_$2'}
  - {regex: '__meta_docker_container_label_(.+)', action: labelmap}
  - {source_labels: [__address__], regex: '.*:666', action: drop}
  - {source_labels: [__address__], modulus: 8, target_label: shard, action: hashmod}
  - {regex: secret, action: labeldrop}
";

const GROUPS: &str = r#"[
    {"targets": ["127.0.0.1:1", "localhost:2", "[::1]:3"], "labels": {"__meta_dc": "eu", "secret": "s"}},
    {"targets": ["127.0.0.1:666"], "labels": {"__metrics_path__": "/x", "__param_a": "b c", "e": ""}},
    {"targets": [], "labels": {"a": "b"}}]"#;

const YAML: &str = "- targets: ['127.0.0.1:4']\n  labels: {__meta_dc: us, number: 5, yes: true}\n";

const CONTAINERS: &str = r#"[
    {"Id": "c1", "Names": ["/web", "/alias"], "Image": "web:1", "ImageID": "sha256:1",
     "Labels": {"com.example.team": "a b", "1x": "y", "é": "z"}, "HostConfig": {"NetworkMode": "front"},
     "Ports": [{"IP": "0.0.0.0", "PrivatePort": 8080, "PublicPort": 80, "Type": "tcp"},
               {"PrivatePort": 666, "Type": "tcp"}, {"PrivatePort": 53, "Type": "udp"}],
     "NetworkSettings": {"Networks": {"front": {"NetworkID": "n1", "IPAddress": "127.0.0.2"},
                                      "back": {"NetworkID": "n2", "IPAddress": "127.0.0.3"}}}},
    {"Id": "c2", "Names": ["/plain"], "Ports": [], "HostConfig": {"NetworkMode": "front"},
     "NetworkSettings": {"Networks": {"front": {"NetworkID": "n1", "IPAddress": "127.0.0.4"}}}},
    {"Id": "c3", "Names": ["/onhost"], "HostConfig": {"NetworkMode": "host"},
     "NetworkSettings": {"Networks": {"host": {"NetworkID": "n3", "IPAddress": ""}}}},
    {"Id": "c4", "Names": [], "HostConfig": {"NetworkMode": "front"},
     "NetworkSettings": {"Networks": {"front": {"NetworkID": "n1", "IPAddress": "127.0.0.5"}}}}]"#;

const NETWORKS: &str = r#"[
    {"Id": "n1", "Name": "front", "Scope": "local", "Internal": false, "Labels": {"a.b": "c"}},
    {"Id": "n2", "Name": "back", "Scope": "local", "Internal": true},
    {"Id": "n3", "Name": "host", "Scope": "local"}]"#;

/// Answers one request on this connection.
fn answer(mut stream: impl Read + Write) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    let path = head.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default();
    let (status, body) = match path {
        path if path.ends_with("/containers/json") => (200, CONTAINERS),
        path if path.ends_with("/networks") => (200, NETWORKS),
        path if path.ends_with("/_ping") => (200, ""),
        "/targets" => (200, GROUPS),
        _ => (404, ""),
    };
    let text = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nApi-Version: 1.41\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    // Who has gone needs no answer.
    let _ = stream.write_all(text.as_bytes());
}

/// A job for each place. All targets have ports: 2.42 would add one.
fn config(folder: &Path) -> String {
    let web = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let at = web.local_addr().expect("bound");
    let socket = folder.join("docker.sock");
    let daemon = UnixListener::bind(&socket).expect("a socket");
    spawn_thread("web", move || web.incoming().flatten().for_each(answer)).expect("a thread");
    spawn_thread("docker", move || daemon.incoming().flatten().for_each(answer)).expect("a thread");
    let socket = socket.display();
    format!(
        "scrape_configs:\n\
         - job_name: web\n  http_sd_configs: [{{url: 'http://{at}/targets'}}]{RULES}\
         - job_name: files\n  file_sd_configs: [{{files: ['*.json', 't.yml', 'none.yaml']}}]{RULES}\
         - job_name: docker\n  docker_sd_configs: [{{host: 'unix://{socket}', \
         host_networking_host: 'localhost:5'}}]{RULES}\
         - job_name: pods\n  kubernetes_sd_configs: [{{role: pod}}]\n"
    )
}

/// Labels before and after relabelling; none after it when dropped.
type Found = BTreeSet<(String, String)>;

fn shown<'a>(before: impl Iterator<Item = (&'a str, &'a str)>, after: &Labels) -> (String, String) {
    let known = before.filter(|(name, _)| !NEWER.contains(name));
    (Labels::from_pairs(known).to_string(), after.to_string())
}

fn ours(service: &Service, job: &str) -> Found {
    let answer = service.targets(TargetState::Any, Some(job)).expect("answers");
    let active = answer.active_targets.iter();
    let active = active.map(|one| shown(one.discovered_labels.iter(), &one.labels));
    let dropped = answer.dropped_targets.iter();
    let dropped = dropped.map(|one| shown(one.discovered_labels.iter(), &Labels::empty()));
    active.chain(dropped).collect()
}

/// Starts to look for what Prometheus finds for a job within two seconds.
fn ask(file: &Path, job: &str) -> Child {
    let arguments = ["check", "service-discovery", "--timeout=2s"];
    let mut command = Command::new("promtool");
    command.args(arguments).arg(file).arg(job).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("promtool runs")
}

/// What Prometheus has found.
fn theirs(promtool: Child) -> Found {
    let output = promtool.wait_with_output().expect("promtool ends");
    let list: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|err| panic!("{err}: {}", String::from_utf8_lossy(&output.stderr)));
    let pairs = |one: &serde_json::Value, key: &str| -> Vec<(String, String)> {
        let map = one[key].as_object().expect("labels");
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        map.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    };
    let target = |one: &serde_json::Value| {
        let before = pairs(one, "discoveredLabels");
        let after = pairs(one, "labels").into_iter().filter(|(name, _)| !name.starts_with("__"));
        let before = before.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        shown(before, &Labels::from_pairs(after))
    };
    list.as_array().expect("a list").iter().map(target).collect()
}

#[test]
fn discovered_targets_are_those_of_the_real_prometheus() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.json"), GROUPS).expect("writes");
    std::fs::write(folder.path().join("t.yml"), YAML).expect("writes");
    std::fs::write(folder.path().join("a.yml"), super::ROUTES).expect("writes");
    let text = config(folder.path());
    let file = folder.path().join("p.yml");
    // 2.42 has a target for each network, and knows no key for it.
    std::fs::write(&file, text.replace(".sock',", ".sock', match_first_network: false,"))
        .expect("writes");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let world = World {
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SeededEntropy::new(1)),
        http: Arc::new(SystemHttp::new()),
        dns: Arc::new(HostResolver::forgetful()),
        registry: Registry::new(),
        runtime: runtime.handle().clone(),
        shutdown: Shutdown::new(),
    };
    let service = Service::new(options(folder.path()), world).expect("a valid file");
    service.open().expect("opens");
    let counts = [("web", 4), ("files", 5), ("docker", 6)];
    for _ in 0..500 {
        if counts.iter().all(|(job, count)| ours(&service, job).len() == *count) {
            break;
        }
        service.changes_after(u64::MAX, Duration::from_millis(20)).expect("answers");
    }
    for (job, count) in counts {
        assert_eq!(ours(&service, job).len(), count, "{job}: {:#?}", ours(&service, job));
    }
    let problems = service.targets(TargetState::Any, None).expect("answers").job_problems;
    let problems: Vec<_> = problems.into_iter().collect();
    assert!(problems.len() == 1 && problems[0].0 == "pods", "{problems:?}");
    assert!(problems[0].1[0].starts_with("skipped: kubernetes_sd_configs"), "{problems:?}");
    explain(&service);
    compare(&service, folder.path(), &text, &counts.map(|(job, _)| job));
    service.close();
}

/// The last step of each target is what it is scraped with, or drops it.
fn explain(service: &Service) {
    let answer = service.targets(TargetState::Any, None).expect("answers");
    for target in &answer.active_targets {
        let told = service.relabel_steps(&target.scrape_pool, &target.discovered_labels);
        let steps = told.expect("a job").steps;
        assert!(steps.len() == 6 && steps.iter().all(|step| step.keep), "{steps:?}");
        let last = steps.last().expect("six").output.filtered(|name| !name.starts_with("__"));
        assert_eq!(last, target.labels.filtered(|name| name != "instance"));
    }
    assert_eq!(answer.dropped_targets.len(), 4);
    for target in &answer.dropped_targets {
        let told = service.relabel_steps(&target.scrape_pool, &target.discovered_labels);
        let steps = told.expect("a job").steps;
        let kept: Vec<_> = steps.iter().map(|step| step.keep).collect();
        assert_eq!(kept, [true, true, true, false, false, false]);
        assert_eq!(target.reason, None);
    }
    let unknown = service.relabel_steps("pods", &Labels::empty()).expect_err("skipped");
    assert_eq!(unknown.message, "error retrieving scrape config: scrape pool \"pods\" not found");
}

fn compare(service: &Service, folder: &Path, text: &str, jobs: &[&str]) {
    if Command::new("promtool").arg("--version").output().is_err() {
        println!("skipped: promtool is not installed");
        return;
    }
    let theirs_text = text.split("- job_name: pods").next().expect("a text");
    let (ruled, plain) = (folder.join("ruled.yml"), folder.join("plain.yml"));
    std::fs::write(&ruled, theirs_text).expect("writes");
    // In 2.42 rules write over the labels that it shows as those before them.
    std::fs::write(&plain, theirs_text.replace(RULES, "\n")).expect("writes");
    let asked: Vec<_> = jobs.iter().map(|job| (job, ask(&plain, job), ask(&ruled, job))).collect();
    for (job, plain, ruled) in asked {
        let ours = ours(service, job);
        let before = |found: &Found| found.iter().map(|(before, _)| before.clone()).collect();
        let after = |found: &Found| found.iter().map(|(_, after)| after.clone()).collect();
        same(job, before(&ours), before(&theirs(plain)));
        same(job, after(&ours), after(&theirs(ruled)));
    }
}

#[track_caller]
fn same(job: &str, ours: BTreeSet<String>, theirs: BTreeSet<String>) {
    let alone: Vec<_> = ours.symmetric_difference(&theirs).collect();
    assert!(alone.is_empty() && !ours.is_empty(), "{job}: found by one alone: {alone:#?}");
}
