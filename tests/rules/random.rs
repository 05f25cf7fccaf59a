//! Generated rules and samples: nothing is expected, so that both tell all that comes out.
//!
//! Samples stand on odd milliseconds, so that none lies on the left end of a range or of the
//! lookback, where 2.x and 3.x differ.

use crate::both::{compare, is_installed};
use std::fmt::Write as _;
use std::path::Path;
use watchbell::sys::entropy::Entropy as _;
use watchbell::sys::sim::SeededEntropy;

/// Files, each with rules of its own.
const FILES: u64 = 20;
/// Tests in each, each with a seed of its own.
const TESTS: u64 = 10;
/// Metrics that are given.
const METRICS: u64 = 3;

/// `WATCHBELL_SEED` begins elsewhere.
#[test]
fn promtool_says_the_same_of_generated_files() {
    if !is_installed() {
        return;
    }
    let first: u64 =
        std::env::var("WATCHBELL_SEED").map_or(1, |seed| seed.parse().expect("a seed"));
    let folder = tempfile::tempdir().expect("a folder");
    let mut failures = 0;
    for seed in first..first + FILES {
        println!("seed {seed}");
        failures += compare(&write(folder.path(), seed));
    }
    println!("{} tests, {failures} failures are the same", FILES * TESTS);
    assert!(failures > 1_000, "{failures}");
}

fn write(folder: &Path, seed: u64) -> std::path::PathBuf {
    let mut dice = Dice(SeededEntropy::new(seed));
    let rules = dice.rules();
    std::fs::write(folder.join(format!("{seed}.rules.yml")), &rules.text).expect("writes");
    let mut text = format!(
        "rule_files: [{seed}.rules.yml]\nevaluation_interval: {}\ngroup_eval_order: [{}]\ntests:\n",
        dice.pick(&["30s", "1m", "45s"]),
        rules.groups.join(", ")
    );
    for number in 0..TESTS {
        let mut dice = Dice(SeededEntropy::new(seed * 1_000 + number));
        dice.test(number, &rules, &mut text);
    }
    let file = folder.join(format!("{seed}.yml"));
    std::fs::write(&file, text).expect("writes");
    file
}

struct Rules {
    text: String,
    groups: Vec<String>,
    recorded: Vec<String>,
    alerts: Vec<String>,
}

struct Dice(SeededEntropy);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.below(of.len() as u64)).expect("small")]
    }

    fn rules(&mut self) -> Rules {
        let mut rules = Rules {
            text: "groups:\n".to_owned(),
            groups: Vec::new(),
            recorded: Vec::new(),
            alerts: Vec::new(),
        };
        for group in 0..1 + self.below(3) {
            rules.groups.push(format!("g{group}"));
            let _ = writeln!(rules.text, "- name: g{group}");
            if self.one_in(8) {
                let _ = writeln!(rules.text, "  limit: {}", 1 + self.below(6));
            }
            rules.text.push_str("  rules:\n");
            for _ in 0..2 + self.below(5) {
                match self.one_in(2) {
                    true => self.recording(&mut rules),
                    false => self.alerting(&mut rules),
                }
            }
        }
        rules
    }

    fn recording(&mut self, rules: &mut Rules) {
        let (expr, name) = (self.vector(rules, 2), format!("r{}", rules.recorded.len()));
        let _ = writeln!(rules.text, "  - record: {name}\n    expr: '{expr}'");
        if self.one_in(3) {
            let labels = self.pick(&["{by: rule}", "{x: y}", "{zone: \"\"}"]);
            let _ = writeln!(rules.text, "    labels: {labels}");
        }
        rules.recorded.push(name);
    }

    fn alerting(&mut self, rules: &mut Rules) {
        // Now and then two rules of one name.
        let number = rules.alerts.len() as u64;
        let number = if self.one_in(6) { number.saturating_sub(1) } else { number };
        let (expr, name) = (self.condition(rules), format!("A{number}"));
        let _ = writeln!(rules.text, "  - alert: {name}\n    expr: '{expr}'");
        if self.one_in(2) {
            let _ = writeln!(rules.text, "    for: {}", self.pick(&["0s", "1m", "2m30s", "5m"]));
        }
        if self.one_in(3) {
            let keep = self.pick(&["30s", "1m30s", "4m"]);
            let _ = writeln!(rules.text, "    keep_firing_for: {keep}");
        }
        let place = rules.text.len();
        let _ = write!(rules.text, "    labels: {{severity: s{place}");
        if self.one_in(3) {
            rules.text.push_str(", of: \"of {{ $labels.job }}\"");
        }
        let text = self.pick(&[
            "{{ $value }} on {{ $labels.instance }}",
            "{{ .Value | humanize }} of {{ .Labels.job }}",
            "{{ printf \"%.3f\" $value }}{{ range $k, $v := .Labels }} {{ $k }}={{ $v }}{{ end }}",
            "{{ with query \"count(m0)\" }}{{ . | first | value }}{{ else }}none{{ end }}",
            "fixed",
        ]);
        let _ = writeln!(rules.text, "}}\n    annotations: {{text: '{text}'}}");
        if !rules.alerts.contains(&name) {
            rules.alerts.push(name);
        }
    }

    fn selector(&mut self, rules: &Rules) -> String {
        let recorded = rules.recorded.len() as u64;
        let name = match self.one_in(4) && recorded > 0 {
            true => format!("r{}", self.below(recorded)),
            false => format!("m{}", self.below(METRICS)),
        };
        let matcher = match self.below(6) {
            0 => "{job=\"a\"}",
            1 => "{job!=\"a\"}",
            2 => "{instance=~\"1|3\"}",
            _ => "",
        };
        format!("{name}{matcher}")
    }

    /// An expression that yields a vector. Sums are of small whole numbers: 2.x and 3.x add up
    /// in different ways.
    fn vector(&mut self, rules: &Rules, depth: u64) -> String {
        let selector = self.selector(rules);
        if depth == 0 {
            return selector;
        }
        match self.below(16) {
            0..3 => selector,
            3 => format!("sum by (job) ({selector})"),
            4 => format!("max without (instance) ({})", self.vector(rules, depth - 1)),
            5 => format!("count({})", self.vector(rules, depth - 1)),
            6 => {
                let range = self.pick(&["[95s]", "[3m7s]", "[6m1s]"]);
                let function = self.pick(&[
                    "max_over_time",
                    "count_over_time",
                    "last_over_time",
                    "changes",
                    "min_over_time",
                    "present_over_time",
                    "sum_over_time",
                ]);
                format!("{function}({selector}{range})")
            }
            7 => format!("{} * 2 + 1", self.vector(rules, depth - 1)),
            8 => format!("{} unless {}", self.vector(rules, depth - 1), self.selector(rules)),
            9 => format!("{} and on (job) {}", self.vector(rules, depth - 1), self.selector(rules)),
            10 => format!("{selector} > bool {}", self.below(40)),
            11 => format!("max_over_time(({selector})[4m7s:{}])", self.pick(&["", "30s", "2m"])),
            12 => format!("{selector} offset {}", self.pick(&["1m", "95s"])),
            13 => format!("absent({selector})"),
            14 => format!("label_replace({selector}, \"zone\", \"z$1\", \"job\", \"(.*)\")"),
            _ => format!("-abs({selector})"),
        }
    }

    fn condition(&mut self, rules: &Rules) -> String {
        let (vector, limit) = (self.vector(rules, 1), self.below(40));
        match self.below(9) {
            0..4 => format!("{vector} > {limit}"),
            4 => format!("{vector} < {limit}"),
            5 => format!("{vector} >= {limit} and {}", self.selector(rules)),
            6 => format!("vector(time() % 300) < {}", 30 + self.below(200)),
            7 => {
                let state = self.pick(&["firing", "pending"]);
                format!("count by (job) (ALERTS{{alertstate=\"{state}\"}}) > 0")
            }
            _ => format!("absent({})", self.selector(rules)),
        }
    }

    fn test(&mut self, number: u64, rules: &Rules, text: &mut String) {
        let interval = self.pick(&["20s1ms", "30s1ms", "59s997ms"]);
        let _ = writeln!(text, "- name: t{number}\n  interval: {interval}\n  input_series:");
        for metric in 0..METRICS {
            for (job, instance) in [("a", 1), ("a", 2), ("b", 1), ("b", 3)] {
                if self.one_in(5) {
                    continue;
                }
                let (values, of) =
                    (self.values(), format!("job=\"{job}\", instance=\"{instance}\""));
                let _ = writeln!(text, "  - series: 'm{metric}{{{of}}}'\n    values: '{values}'");
            }
        }
        text.push_str("  alert_rule_test:\n");
        for alert in rules.alerts.iter().chain([&"Nobody".to_owned()]) {
            for _ in 0..4 {
                let time = self.time();
                let _ = writeln!(text, "  - {{eval_time: {time}, alertname: {alert}}}");
            }
        }
        text.push_str("  promql_expr_test:\n");
        for name in &rules.recorded {
            let time = self.time();
            let _ = writeln!(text, "  - {{expr: '{name}', eval_time: {time}}}");
        }
        for expr in ["ALERTS", "ALERTS_FOR_STATE", "{__name__=~\"m.\"}"] {
            let time = self.time();
            let _ = writeln!(text, "  - {{expr: '{expr}', eval_time: {time}}}");
        }
        let (expr, minutes) = (self.vector(rules, 2), self.below(20));
        let _ = writeln!(text, "  - {{expr: '{expr}', eval_time: {minutes}m}}");
    }

    /// A time within twenty minutes.
    fn time(&mut self) -> String {
        match self.below(20) {
            0 => "0s".to_owned(),
            minutes if self.one_in(2) => format!("{minutes}m"),
            minutes => format!("{minutes}m{}s", self.below(60)),
        }
    }

    /// Nothing stands at the beginning, which is a whole millisecond.
    fn values(&mut self) -> String {
        let mut text = String::from("_");
        for _ in 0..3 + self.below(9) {
            let (start, step) = (self.below(50), self.below(4));
            let count = self.below(9);
            let _ = match self.below(8) {
                0 => write!(text, " stale"),
                1 => write!(text, " _"),
                2 => write!(text, " _x{}", self.below(12)),
                3 => write!(text, " {start}x{count}"),
                4 => write!(text, " {start}-{step}x{count}"),
                5 => write!(text, " {start} {}", self.below(50)),
                _ => write!(text, " {start}+{step}x{count}"),
            };
        }
        text
    }
}
