//! Scraping beside Debian's Prometheus, where it is installed: one scripted target answers the k-th
//! scrape of each server alike, and what each holds after its k-th scrape is compared: series with
//! their labels and the bits of their values, which of them are stale, the series about the scrape,
//! targets, types, and what the last error says.
//!
//! Steps are compared by their number, never by the time of day. A server that misses a step on a
//! busy machine is compared up to there; a difference counts when it comes three times.
//!
//! What 2.42 does otherwise is listed with its reason in `cases::differences`, and run as well.
//! Not run, since 2.42 does not know the keys: `track_timestamps_staleness`,
//! `fallback_scrape_protocol`, `scrape_protocols`, `extra_scrape_metrics`, `keep_dropped_targets`.
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

mod cases;
mod exporter;
mod leaving;
mod oauth2;
mod random;

use super::live::{Live, Real, ask, escaped};
use cases::Case;
use exporter::{Exporter, Who};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use watchbell::sys::clock::{Clock as _, SystemClock};

/// Steps that are compared; a script's last answer is repeated to get there.
const STEPS: usize = 10;

/// Labels before relabelling that 2.42 does not know.
const NEWER: [&str; 3] = [
    "__convert_classic_histograms_to_nhcb__",
    "__always_scrape_classic_histograms__",
    "__scrape_native_histograms__",
];

/// Labels of a series as text, and the bits of a value.
type Vector = BTreeMap<String, u64>;

/// Both servers, with the same file and the same target.
struct Pair {
    exporter: Exporter,
    live: Live,
    real: Real,
}

impl Pair {
    /// `None` where Prometheus is not installed.
    fn start(exporter: Exporter, config: &str) -> Option<Self> {
        let live = Live::start(config, &[]);
        let file = live.folder.path().join("real.yml");
        std::fs::write(&file, config).expect("writes");
        let real = Real::prometheus(&file, "")?;
        Some(Self { exporter, live, real })
    }

    fn at(&self, who: Who) -> SocketAddr {
        match who {
            Who::Real => self.real.address,
            Who::Ours => self.live.address,
        }
    }

    fn get(&self, who: Who, path: &str) -> Value {
        let (status, _, body) = ask(self.at(who), "GET", path, &[], b"");
        assert_eq!(status, 200, "{who:?} {path}: {body}");
        let mut answer: Value = serde_json::from_str(&body).expect("JSON");
        answer["data"].take()
    }

    fn query(&self, who: Who, expr: &str, at_ms: i64) -> Vec<Value> {
        let path = format!("/api/v1/query?query={}&time={}", escaped(expr), seconds(at_ms));
        self.get(who, &path)["result"].as_array().expect("a list").clone()
    }

    /// What a query at this time finds of a case.
    fn vector(&self, who: Who, case: &str, at_ms: i64) -> Vector {
        let found = self.query(who, &format!("{{case=\"{case}\"}}"), at_ms);
        let sample = |one: &Value| {
            let (key, name) = (key(&one["metric"]), one["metric"]["__name__"].as_str());
            let bits = bits(&one["value"][1]);
            (key, if name == Some("scrape_duration_seconds") { 0 } else { bits })
        };
        found.iter().map(sample).collect()
    }
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

fn key(metric: &Value) -> String {
    // The map of `serde_json` is sorted.
    metric.to_string()
}

fn bits(value: &Value) -> u64 {
    let text = value.as_str().expect("a value");
    text.parse::<f64>().expect("a number").to_bits()
}

fn millis(value: &Value) -> i64 {
    let text = format!("{:.0}", value.as_f64().expect("a time") * 1000.0);
    text.parse().expect("a number")
}

/// All samples that a server holds, by case: of `up`, their times; of others, those whose time is
/// no scrape's.
#[derive(Debug, Default)]
struct Held {
    scrapes: BTreeMap<String, Vec<i64>>,
    steps: BTreeMap<String, BTreeMap<i64, usize>>,
    elsewhere: BTreeMap<String, BTreeSet<(String, i64, u64)>>,
}

fn held(pair: &Pair, who: Who) -> Held {
    let later = SystemClock::new().now().as_millis() + 600_000;
    let found = pair.query(who, "{case!=\"\"}[1h]", later);
    let mut held = Held::default();
    let samples = |one: &Value| -> Vec<(i64, u64)> {
        let list = one["values"].as_array().expect("a list").iter();
        list.map(|pair| (millis(&pair[0]), bits(&pair[1]))).collect()
    };
    let case = |one: &Value| one["metric"]["case"].as_str().expect("a case").to_owned();
    let named = |one: &&Value, name: &str| one["metric"]["__name__"] == name;
    for one in found.iter().filter(|one| named(one, "scrape_samples_scraped")) {
        let times = samples(one).into_iter().map(|(at, _)| at).collect();
        held.scrapes.insert(case(one), times);
    }
    for one in found.iter().filter(|one| named(one, "script_step")) {
        let steps = held.steps.entry(case(one)).or_default();
        let number = |bits: u64| format!("{}", f64::from_bits(bits)).parse().expect("a count");
        steps.extend(samples(one).into_iter().map(|(at, bits)| (at, number(bits))));
    }
    for one in &found {
        let case = case(one);
        let scrapes = held.scrapes.get(&case).cloned().unwrap_or_default();
        let own = samples(one).into_iter().filter(|(at, _)| scrapes.binary_search(at).is_err());
        let own = own.map(|(at, bits)| (key(&one["metric"]), at, bits));
        held.elsewhere.entry(case).or_default().extend(own);
    }
    held
}

impl Held {
    /// The times of a case's scrapes, as many as are known to be those of the steps of this number.
    fn times(&self, case: &str) -> Vec<i64> {
        let times = self.scrapes.get(case).map_or(&[][..], Vec::as_slice);
        let steps = self.steps.get(case);
        let fits = |(place, at): (usize, &i64)| {
            steps.and_then(|steps| steps.get(at)).is_none_or(|step| *step == place)
        };
        let fitting = times.iter().enumerate().take_while(|(place, at)| fits((*place, at)));
        fitting.take(STEPS).map(|(_, at)| *at).collect()
    }
}

/// What is said of a case's target: health, error, labels before and after, URL.
///
/// Labels before relabelling are compared where nothing is relabelled: 2.42 shows them changed.
fn target(pair: &Pair, who: Who, case: &str, is_relabelled: bool) -> (Value, String) {
    let answer = pair.get(who, "/api/v1/targets");
    let list = answer["activeTargets"].as_array().expect("a list");
    let mut one =
        list.iter().find(|one| one["labels"]["case"] == case).cloned().unwrap_or_default();
    if is_relabelled {
        one["discoveredLabels"] = Value::Object(serde_json::Map::new());
    }
    for name in NEWER {
        one["discoveredLabels"].as_object_mut().map(|labels| labels.remove(name));
    }
    let error = one["lastError"].as_str().unwrap_or_default().to_owned();
    let shown =
        ["health", "labels", "discoveredLabels", "scrapeUrl", "scrapePool", "scrapeInterval"];
    let shown = shown.into_iter().map(|name| (name.to_owned(), one[name].take())).collect();
    (Value::Object(shown), error)
}

/// What a case's target says about its metrics, by metric. 2.42 has no answer where nothing was
/// said.
fn said(pair: &Pair, who: Who, case: &str) -> BTreeMap<String, Value> {
    let selector = escaped(&format!("{{case=\"{case}\"}}"));
    let path = format!("/api/v1/targets/metadata?match_target={selector}");
    let (_, _, body) = ask(pair.at(who), "GET", &path, &[], b"");
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    let list = answer["data"].as_array().cloned().unwrap_or_default();
    list.into_iter().map(|one| (one["metric"].to_string(), one)).collect()
}

/// How the servers differ in one job; empty when they do not. Counts the steps that both saw.
fn differences(pair: &Pair, case: &Case, held: (&Held, &Held), seen: &mut usize) -> Vec<String> {
    let mut found = Vec::new();
    for name in names(case) {
        let (ours, real) = (held.0.times(&name), held.1.times(&name));
        for (step, (ours, real)) in ours.iter().zip(&real).enumerate() {
            let ours = pair.vector(Who::Ours, &name, *ours);
            let real = pair.vector(Who::Real, &name, *real);
            found.extend(unlike(&ours, &real).map(|text| format!("{name}, step {step}: {text}")));
            *seen += 1;
        }
        if ours.len() == STEPS && real.len() == STEPS {
            let none = BTreeSet::new();
            let ours = held.0.elsewhere.get(&name).unwrap_or(&none);
            let real = held.1.elsewhere.get(&name).unwrap_or(&none);
            let show = |(key, at, bits): &(String, i64, u64)| {
                format!("{name}: {key} at {at} is {}", f64::from_bits(*bits))
            };
            found.extend(ours.difference(real).map(|one| format!("only ours, {}", show(one))));
            found.extend(real.difference(ours).map(|one| format!("only theirs, {}", show(one))));
        }
        let is_relabelled = case.keys.replace("metric_relabel", "").contains("relabel_configs");
        let (ours, our_error) = target(pair, Who::Ours, &name, is_relabelled);
        let (real, real_error) = target(pair, Who::Real, &name, is_relabelled);
        if ours != real {
            found.push(format!("{name}: {ours} instead of {real}"));
        }
        // What each remembers of metrics that are gone is its own concern.
        let real = said(pair, Who::Real, &name);
        for (metric, ours) in said(pair, Who::Ours, &name) {
            if let Some(real) = real.get(&metric).filter(|real| **real != ours) {
                found.push(format!("{name}: {ours} instead of {real}"));
            }
        }
        let wanted = case.error.unwrap_or_default();
        let alike = our_error.contains(wanted) && real_error.contains(wanted);
        if our_error.is_empty() != real_error.is_empty() || !alike {
            found.push(format!("{name}: {our_error:?} instead of {real_error:?}, {wanted:?}"));
        }
    }
    found
}

fn unlike(ours: &Vector, real: &Vector) -> Option<String> {
    let mut lines = Vec::new();
    for key in ours.keys().chain(real.keys()).collect::<BTreeSet<_>>() {
        let (ours, real) = (ours.get(key), real.get(key));
        if ours != real {
            let shown = |bits: Option<&u64>| {
                bits.map_or("absent".to_owned(), |bits| f64::from_bits(*bits).to_string())
            };
            lines.push(format!("{key} is {} instead of {}", shown(ours), shown(real)));
        }
    }
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// The values of the label `case` of a job's targets.
fn names(case: &Case) -> Vec<String> {
    let name = &case.name;
    if case.targets == 1 {
        return vec![name.clone()];
    }
    (0..case.targets).map(|number| format!("{name}_{number}")).collect()
}

fn config(cases: &[Case], address: SocketAddr) -> String {
    let mut text =
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n".to_owned();
    for case in cases {
        let Case { name, keys, labels, .. } = case;
        text.push_str(&format!("- job_name: {name}\n  {keys}\n  static_configs:\n"));
        for name in names(case) {
            text.push_str(&format!(
                "  - targets: ['{address}']\n    \
                 labels: {{case: {name}, __metrics_path__: /{name}, {labels}}}\n"
            ));
        }
    }
    text
}

/// One run of these jobs: what differs in each. `None` where Prometheus is not installed.
fn run(cases: &[Case]) -> Option<Vec<Vec<String>>> {
    let exporter = Exporter::start();
    let mut paths = Vec::new();
    for case in cases {
        for name in names(case) {
            let path = format!("/{name}");
            exporter.script(&path, case.steps.clone());
            // A job above its limit of targets asks none of them.
            paths.extend((case.targets == 1).then_some(path));
        }
    }
    let pair = Pair::start(exporter.clone(), &config(cases, exporter.address))?;
    pair.exporter.wait(&paths, STEPS + 1);
    let (ours, real) = (held(&pair, Who::Ours), held(&pair, Who::Real));
    let mut seen = 0;
    let found: Vec<_> =
        cases.iter().map(|case| differences(&pair, case, (&ours, &real), &mut seen)).collect();
    let all: usize = cases.iter().map(|case| case.targets * STEPS).sum();
    println!("{seen} of {all} steps of {} jobs were seen by both and compared", cases.len());
    Some(found)
}

/// Runs jobs until they are alike, three times at most.
fn compare(mut cases: Vec<Case>) {
    let mut last = Vec::new();
    for _ in 0..3 {
        let Some(found) = run(&cases) else { return };
        last.clear();
        let mut again = Vec::new();
        for (case, found) in cases.into_iter().zip(found) {
            match (case.differs, found.is_empty()) {
                (None, true) => {}
                (Some(reason), false) => println!("{} differs: {reason}", case.name),
                (Some(_), true) => {
                    last.push(format!("{} does not differ any more", case.name));
                    again.push(case);
                }
                (None, false) => {
                    println!("{}", case.shown());
                    last.extend(found);
                    again.push(case);
                }
            }
        }
        if again.is_empty() {
            return;
        }
        println!("once more: {}", last.join("\n"));
        cases = again;
    }
    panic!("{}", last.join("\n"));
}

#[test]
fn the_real_prometheus_makes_the_same_of_the_same_scrapes() {
    let mut cases = cases::all(SystemClock::new().now().as_millis());
    cases.extend(random::cases());
    compare(cases);
}
