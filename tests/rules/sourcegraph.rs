//! The rules that Sourcegraph ships, over generated samples: all of them are evaluated, and which
//! alerts fire is what promtool says.

use crate::both::{compare_with, is_installed, ours};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use watchbell::model::{Labels, MatchOp, Matcher};
use watchbell::promql::syntax::{Features, parse, selectors};
use watchbell::rules::config::RuleFile;
use watchbell::sys::entropy::Entropy as _;
use watchbell::sys::sim::SeededEntropy;

/// Samples of each series: twenty minutes, so that `for: 15m` ends.
const POINTS: usize = 42;
/// When alerts are looked at, in minutes.
const TIMES: [u64; 4] = [3, 9, 16, 20];

#[test]
fn alerts_of_the_sourcegraph_rules_fire_as_in_prometheus() {
    let Some(corpus) = crate::shared("corpus/sourcegraph/generated") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let compares = is_installed();
    let (mut rules, mut fired, mut files) = (0, 0, rule_files(&corpus));
    files.sort();
    for (seed, file) in (1..).zip(&files) {
        let (tests, count) = write(folder.path(), file, seed);
        rules += count;
        // Nothing is expected, so that each failure is an alert that fires or a recorded value.
        let outcomes = ours(&tests).unwrap_or_else(|err| panic!("{err}"));
        let broken = outcomes.iter().flat_map(|outcome| &outcome.failures).find(|failure| {
            !failure.to_string().contains("alertname: ") && !failure.to_string().contains("expr: ")
        });
        assert!(broken.is_none(), "{}: {}", file.display(), broken.expect("some"));
        fired += match compares {
            true => compare_with(&outcomes, &tests),
            false => outcomes.iter().map(|outcome| outcome.failures.len()).sum(),
        };
    }
    println!("{rules} rules, {fired} times one of them yields something");
    assert!(rules >= 482 && fired > 300, "{rules} rules, {fired}");
}

fn rule_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

/// A test file for the rules of a file; returns it and the number of rules.
fn write(folder: &Path, file: &Path, seed: u64) -> (PathBuf, usize) {
    let text = std::fs::read_to_string(file).expect("readable");
    let rules: RuleFile = serde_yaml::from_str(&text).expect("a rule file");
    let groups: Vec<_> = rules.groups.iter().map(|group| format!("'{}'", group.name)).collect();
    let rules: Vec<_> = rules.groups.into_iter().flat_map(|group| group.rules).collect();
    let dice = SeededEntropy::new(seed);
    let mut series: BTreeMap<Labels, String> = BTreeMap::new();
    let mut names = BTreeSet::new();
    for rule in &rules {
        let expr = parse(&rule.expr, &Features::default()).expect("an expression");
        for selector in selectors(&expr) {
            add_series(&selector.matchers, &dice, &mut series);
        }
        names.extend(Some(rule.alert.clone()).filter(|name| !name.is_empty()));
    }
    let mut out = format!(
        "rule_files: ['{}']\nevaluation_interval: 1m\ngroup_eval_order: [{}]\ntests:\n- name: all\n  \
         interval: 30s1ms\n  input_series:\n",
        file.canonicalize().expect("exists").display(),
        groups.join(", ")
    );
    for (labels, values) in series {
        let labels = labels.to_string().replace('\'', "''");
        let _ = writeln!(out, "  - {{series: '{labels}', values: '{values}'}}");
    }
    out.push_str("  alert_rule_test:\n");
    for name in &names {
        for time in TIMES {
            let _ = writeln!(out, "  - {{alertname: '{name}', eval_time: {time}m}}");
        }
    }
    out.push_str("  promql_expr_test:\n");
    for time in TIMES {
        let _ = writeln!(out, "  - {{expr: alert_count, eval_time: {time}m}}");
    }
    let path = folder.join(format!("{seed}.yml"));
    std::fs::write(&path, out).expect("writes");
    (path, rules.len())
}

/// Series that a selector finds: two instances, and for a histogram four buckets each.
fn add_series(matchers: &[Matcher], dice: &SeededEntropy, series: &mut BTreeMap<Labels, String>) {
    let wanted: Option<Vec<(String, String)>> = matchers
        .iter()
        .filter(|matcher| matches!(matcher.op(), MatchOp::Equal | MatchOp::Regex))
        .map(|matcher| Some((matcher.name().to_owned(), fitting(matcher)?)))
        .collect();
    let base = Labels::from_pairs(wanted.unwrap_or_default());
    let Some(name) = base.metric_name().filter(|name| !name.starts_with("ALERTS")) else { return };
    let is_bucket = name.ends_with("_bucket");
    let counts = ["_total", "_count", "_sum", "_bucket", "_seconds", "_response", "_errors"];
    let counts = counts.iter().any(|end| name.ends_with(end));
    for instance in ["one", "two"] {
        let scale = [0.25, 1.0, 8.0, 64.0, 4096.0, 1e9][pick(dice, 6)];
        let mut below = 0.0;
        for le in ["0.1", "1", "10", "+Inf"].into_iter().take(if is_bucket { 4 } else { 1 }) {
            let mut labels = base.to_builder();
            for (name, value) in [("instance", instance), ("job", "app"), ("le", le)] {
                if base.get(name).is_none() && (name != "le" || is_bucket) {
                    labels.set(name, value);
                }
            }
            below += pick(dice, 8) as f64;
            let values = if is_bucket {
                // Buckets are cumulative, and stay so as they grow.
                format!("_ {}+{below}x{POINTS}", 1e6 + below)
            } else if counts {
                format!("_ 1000000+{}x{POINTS}", scale * pick(dice, 50) as f64)
            } else {
                let point = |_| format!(" {}", scale * pick(dice, 200) as f64);
                format!("_{}", (0..POINTS).map(point).collect::<String>())
            };
            series.insert(labels.build(), values);
        }
    }
}

/// A value that a matcher takes, when one is easily found.
fn fitting(matcher: &Matcher) -> Option<String> {
    if matcher.op() == MatchOp::Equal {
        return Some(matcher.value().to_owned());
    }
    let first = matcher.value().trim_start_matches(['^', '(']).split(['|', ')']).next()?;
    let plain = matcher.value().replace("(.*)", "x").replace(".*", "x").replace(".+", "x");
    let first = first.replace(".*", "x").replace(".+", "x");
    [plain, first].into_iter().find(|value| !value.is_empty() && matcher.matches_value(value))
}

fn pick(dice: &SeededEntropy, end: u64) -> usize {
    usize::try_from(dice.next_u64() % end).expect("small")
}
