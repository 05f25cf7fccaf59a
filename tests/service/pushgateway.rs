//! The same pushes to the real Pushgateway, where it is installed: statuses and what is held after
//! each step are equal, but for times.
//!
//! Left out on purpose are the cases where we refuse what it takes and cannot serve afterwards:
//! values that are no UTF-8, series that differ in empty labels only, the same bucket twice, and
//! our reserved names. Snappy and `GZIP` in capitals are of releases after Debian's 1.5.1.

use super::Scene;
use super::live::{Real, ask};
use std::io::Write as _;
use std::sync::Arc;
use watchbell::api::{Api, ApiSettings, Request, handle};
use watchbell::sys::entropy::Entropy as _;
use watchbell::sys::metrics::Registry;
use watchbell::sys::sim::SeededEntropy;

/// A Pushgateway of its own. Debian's keeps a file by default.
fn real() -> Option<Real> {
    let args =
        ["--web.listen-address=127.0.0.1:0", "--web.enable-admin-api", "--persistence.file="];
    Real::start("prometheus-pushgateway", &args)
}

/// Status and body of its answer.
fn answer_of(real: &Real, step: &Step) -> (u16, String) {
    let mut headers = vec![("Content-Type", step.media)];
    headers.extend((!step.encoding.is_empty()).then_some(("Content-Encoding", step.encoding)));
    let (status, _, body) = ask(real.address, step.method, &step.path, &headers, &step.body);
    (status, body)
}

#[derive(Clone, Debug)]
struct Step {
    method: &'static str,
    path: String,
    media: &'static str,
    encoding: &'static str,
    body: Vec<u8>,
}

fn step(method: &'static str, path: &str, body: &str) -> Step {
    let (path, body) = (path.to_owned(), body.as_bytes().to_vec());
    Step { method, path, media: "text/plain", encoding: "", body }
}

fn ours(api: &Api, step: &Step) -> (u16, String) {
    let headers = [("content-encoding", step.encoding), ("content-type", step.media)];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let request = Request {
        method: step.method.to_owned(),
        headers: headers.map(owned).into(),
        body: step.body.clone(),
        ..Request::get(&step.path)
    };
    let response = handle(api, &request);
    (response.status, String::from_utf8(response.body).expect("text"))
}

/// What is held, without times and in one order.
fn held((status, text): (u16, String)) -> Vec<String> {
    assert_eq!(status, 200, "{text}");
    let mut answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(answer.get("status"), Some(&"success".into()));
    let list = answer.get_mut("data").and_then(serde_json::Value::as_array_mut);
    let mut groups = Vec::new();
    for group in list.expect("a list") {
        for (name, family) in group.as_object_mut().expect("a map") {
            let Some(fields) = family.as_object_mut().filter(|one| one.contains_key("metrics"))
            else {
                continue;
            };
            assert!(fields.remove("time_stamp").is_some_and(|at| at.is_string()));
            if name.starts_with("push_")
                && let Some(value) = family.pointer_mut("/metrics/0/value")
                && *value != "0"
            {
                *value = "some time".into();
            }
        }
        groups.push(sorted(group));
    }
    groups.sort();
    groups
}

/// JSON with names in order; the order of metrics is that of a push, which upstream keeps.
fn sorted(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(map) => {
            let map: std::collections::BTreeMap<_, _> = map.iter().collect();
            let fields = map.iter().map(|(name, value)| format!("{name:?}:{}", sorted(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        serde_json::Value::Array(list) => {
            format!("[{}]", list.iter().map(sorted).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

/// Takes all steps with both, comparing after each.
fn compare(steps: &[Step], may_refuse_all: bool) {
    let Some(real) = real() else { return };
    let scene = Scene::new();
    let service = scene.start();
    let settings = ApiSettings { enable_admin: true, ..ApiSettings::default() };
    let clock = Arc::new(scene.clock.clone());
    let api = Api::new(service.clone(), settings, Registry::new(), clock);
    let look = step("GET", "/api/v1/metrics", "");
    let mut taken = 0;
    for one in steps {
        // Two failures, or a failure and a push, are never at the same millisecond.
        scene.clock.advance(std::time::Duration::from_secs(1));
        let (theirs, found) = (answer_of(&real, one), ours(&api, one));
        let shown = String::from_utf8_lossy(&one.body);
        let about = format!("{} {} {shown:?}: {theirs:?} {found:?}", one.method, one.path);
        assert_eq!(found.0, theirs.0, "{about}");
        taken += usize::from(theirs.0 < 300);
        let (mut left, mut right) = (held(ours(&api, &look)), held(answer_of(&real, &look)));
        let same: Vec<String> = left.iter().filter(|one| right.contains(one)).cloned().collect();
        left.retain(|one| !same.contains(one));
        right.retain(|one| !same.contains(one));
        assert_eq!(left, right, "{about}");
    }
    println!("{} steps, {taken} of them taken", steps.len());
    assert!(may_refuse_all || taken * 3 > steps.len(), "{taken} of {}", steps.len());
    service.close();
}

fn gzip(text: &str) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(text.as_bytes()).expect("fits");
    to.finish().expect("fits")
}

const HISTOGRAM: &str = "# HELP h With \\\\ and \\n.\n# TYPE h histogram\n\
    h_bucket{le=\"0.5\",x=\"1\"} 1\nh_bucket{x=\"1\",le=\"1e3\"} 2\nh_bucket{le=\"+Inf\",x=\"1\"} 3\n\
    h_sum{x=\"1\"} 1.5e6\nh_count{x=\"1\"} 3\nh_count{x=\"2\"} 4e6\n";
const SUMMARY: &str =
    "# TYPE s summary\ns{quantile=\"0.5\"} 2\ns{quantile=\"0.99\"} NaN\ns_sum -Inf\ns_count 7\n";

/// A family of one metric in protobuf, as client_golang pushes it: a name, a type, the field of its
/// value.
fn proto(name: &str, kind: u8, value: &[u8]) -> Vec<u8> {
    let inside = |tag: u8, bytes: &[u8]| {
        let len = u8::try_from(bytes.len()).expect("short");
        [&[tag << 3 | 2, len], bytes].concat()
    };
    let label = [inside(1, b"x"), inside(2, b"1")].concat();
    let metric = [inside(1, &label), value.to_vec()].concat();
    let family = [inside(1, name.as_bytes()), inside(2, b"Helps."), vec![3 << 3, kind]];
    let family = [family.concat(), inside(4, &metric)].concat();
    [vec![u8::try_from(family.len()).expect("short")], family].concat()
}

#[test]
fn the_real_pushgateway_answers_the_same() {
    let (put, post, delete) = ("PUT", "POST", "DELETE");
    let mut steps = vec![
        step("GET", "/metrics/job/j", ""),
        step("PATCH", "/metrics/job/j", ""),
        step(put, "/metrics/job/j", "a 1\nb{x=\"y\"} 2.5\n"),
        step(post, "/metrics/job/j", "b{x=\"z\"} 1e21\nc 123456789\n"),
        step(post, "/metrics/job/j/", "# TYPE d counter\nd 1\n"),
        step(put, "/metrics/job/j/instance/i", "a 3\n"),
        step(put, "/metrics/job/j/instance/i/p@base64/L3Zhci90bXA=", "a 4\n"),
        step(put, "/metrics/job@base64/Zm9vL2Jhcg/e@base64/=", "f{job=\"x\",e=\"y\"} 4\n"),
        step(post, "/metrics/job%40base64/Zm9v/e@base64/=", "f 5\n"),
        step(post, "/metrics/job/a%20b+c%2Fd/e", "f 5\n"),
        step(post, "/metrics/job/m/a/", "f 6\n"),
        step(post, "/metrics/job/k/job/l", "g 6\n"),
        step(post, "/metrics/job/k/a/1/a/2", "f 6\n"),
        step(put, "/metrics/job/h", HISTOGRAM),
        step(post, "/metrics/job/h/i/1", SUMMARY),
        step(post, "/metrics/job/k", "h_count 1\n"),
        step(post, "/metrics/job/k", "s_sum 1\ns_bucket 2\n"),
        step(post, "/metrics/job/k", "h_bucket 1\n"),
        step(post, "/metrics/job/h", "h_min 1\n"),
        step(put, "/metrics/job/h/i/1", HISTOGRAM),
        step(put, "/metrics/job/h/i/2", "# TYPE h histogram\nh{le=\"1\"} 1\nh 3\n"),
        step(put, "/metrics/job/h/i/3", "# TYPE s summary\ns{x=\"1\"} 1\n"),
        // Other groups, other types, twice the same.
        step(put, "/metrics/job/k", "# TYPE a gauge\na 1\n"),
        step(put, "/metrics/job/j", "a{instance=\"i\"} 1\n"),
        step(put, "/metrics/job/new", "a 1\na 1\n"),
        step(put, "/metrics/job/new", "a 1 1600000000000\n"),
        step(put, "/metrics/job/new", "a 1\n"),
        step(put, "/metrics/job/new", ""),
        // What cannot be read.
        step(put, "/metrics/job/bad", "a 1"),
        step(put, "/metrics/job/bad", "a\n"),
        step(put, "/metrics/job/bad", "a{ 1\n"),
        step(put, "/metrics/job/bad", "a{b=\"c\",b=\"d\"} 1\n"),
        step(put, "/metrics/job/bad", "a{__name__=\"c\"} 1\n"),
        step(put, "/metrics/job/bad", "0a 1\n"),
        step(put, "/metrics/job/bad", "a 1 2 3\n"),
        step(put, "/metrics/job/bad", "a x\n"),
        step(put, "/metrics/job/bad", "# TYPE a curve\n"),
        step(put, "/metrics/job/bad", "# TYPE a gauge\n# TYPE a gauge\n"),
        step(put, "/metrics/job/bad", "a 1\n# TYPE a gauge\n"),
        step(put, "/metrics/job/bad", "# HELP a b\n# HELP a b\n"),
        step(put, "/metrics/job/bad", "# TYPE h histogram\nh_bucket{le=\"x\"} 1\n"),
        step(put, "/metrics/job/ok", "# a comment\n#\n\n  \t a  { b = \"c\" , }  +1e-7\n"),
        step(put, "/metrics/job/ok", "push_time_seconds 5\n"),
        step(delete, "/metrics/job/nobody", ""),
        step(delete, "/metrics/job/j/instance", ""),
        step(delete, "/metrics/job/j/instance/i", ""),
        step(delete, "/metrics/job/j", ""),
        step(put, "/metrics/job/k", "# TYPE a gauge\na 1\n"),
    ];
    for path in
        ["job@base64/=", "job@base64/!!", "job/j/a", "job/j/__a/b", "job/j/0/b", "job/j/a-b/c"]
    {
        steps.push(step(put, &format!("/metrics/{path}"), "a 1\n"));
        steps.push(step(delete, &format!("/metrics/{path}"), ""));
    }
    let packed = |encoding, body| Step { encoding, body, ..step(put, "/metrics/job/packed", "") };
    let media = "application/vnd.google.protobuf; encoding=delimited; \
                 proto=io.prometheus.client.MetricFamily";
    let message = |body| Step { media, body, ..step(post, "/metrics/job/proto/instance/i", "") };
    // 1.5 as a double; field 2 is a gauge's, 3 a counter's, 4 a summary's, 7 a histogram's.
    let double = |tag: u8| [&[tag << 3 | 1][..], &1.5_f64.to_le_bytes()].concat();
    let field = |tag: u8, parts: &[Vec<u8>]| {
        let bytes = parts.concat();
        [vec![tag << 3 | 2, u8::try_from(bytes.len()).expect("short")], bytes].concat()
    };
    let bound = field(3, &[vec![1 << 3, 7], double(2)]);
    let rank = field(3, &[double(1), double(2)]);
    let stamp = [field(2, &[double(1)]), vec![6 << 3, 9]].concat();
    let gauge = proto("pg", 1, &field(2, &[double(1)]));
    steps.extend([
        message(gauge.clone()),
        message([proto("pc", 0, &field(3, &[double(1)])), gauge.clone()].concat()),
        message(proto("pu", 3, &field(5, &[double(1)]))),
        message(proto("ps", 2, &field(4, &[vec![1 << 3, 9], double(2), rank]))),
        message(proto("ph", 4, &field(7, &[vec![1 << 3, 9], double(2), bound]))),
        message(proto("pt", 1, &stamp)),
        message(proto("pg", 0, &field(2, &[double(1)]))),
        message(gauge.get(..9).unwrap_or_default().to_vec()),
        message(Vec::new()),
    ]);
    steps.extend([
        packed("gzip", gzip("a{b=\"gz\"} 1\n")),
        packed("gzip", b"a 1\n".to_vec()),
        packed("br", b"a 2\n".to_vec()),
        step("GET", "/api/v1/admin/wipe", ""),
        step("PUT", "/api/v1/admin/wipe", ""),
    ]);
    compare(&steps, false);
}

#[test]
fn the_real_pushgateway_answers_the_same_to_random_pushes() {
    let entropy = SeededEntropy::new(83);
    let pick = |list: &[&'static str]| {
        let place = entropy.next_u64() % u64::try_from(list.len()).expect("small");
        list[usize::try_from(place).expect("small")]
    };
    let mut steps = Vec::new();
    for _ in 0..400 {
        let method = pick(&["PUT", "POST", "POST", "DELETE"]);
        let path = format!(
            "/metrics/{}{}",
            pick(&["job/a", "job/b", "job@base64/Yg=="]),
            pick(&["", "", "/instance/i", "/x/1", "/x/2/instance/i"])
        );
        let mut body = String::new();
        // Types first, so that most pushes are whole.
        let family = pick(&["m", "n", "h", "h", "s"]);
        body.push_str(pick(&["", "# HELP h Buckets.\n", "# HELP m A metric.\n"]));
        match family {
            "h" => body.push_str(pick(&[HISTOGRAM, HISTOGRAM, "h_count 1\n", "h 1\n"])),
            "s" => body.push_str(pick(&[SUMMARY, SUMMARY, "s_bucket 1\n", "s_sum{x=\"1\"} 1\n"])),
            name => {
                let kind =
                    pick(&["", "", "# TYPE m gauge\n", "# TYPE n gauge\n", "# TYPE n counter\n"]);
                body.push_str(kind);
                for _ in 0..=(pick(&["", " ", "  "]).len()) {
                    let labels =
                        pick(&["", "{x=\"1\"}", "{x=\"2\"}", "{instance=\"i\"}", "{y=\"1\"}"]);
                    body.push_str(&format!(
                        "{name}{labels} {}\n",
                        pick(&["1", "2.5", "-Inf", "NaN"])
                    ));
                }
            }
        }
        steps.push(step(method, &path, if method == "DELETE" { "" } else { &body }));
    }
    compare(&steps, true);
}
