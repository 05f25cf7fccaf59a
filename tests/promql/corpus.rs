//! The dashboards and rules of a real product: every expression parses, prints to a fixed point,
//! and evaluates with and without data.

use crate::memory::Memory;
use crate::runner::engine;
use std::path::Path;
use std::time::Duration;
use watchbell::model::{Labels, Regex, Timestamp};
use watchbell::promql::syntax::{Features, metric_names, parse};
use watchbell::promql::{Options, Query};

#[test]
fn every_dashboard_query_evaluates() {
    let Some(path) = crate::shared("corpus/sourcegraph/dashboard_queries.tsv") else { return };
    let text = std::fs::read_to_string(path).expect("readable");
    let queries: Vec<&str> =
        text.lines().skip(1).filter_map(|line| line.splitn(4, '\t').nth(3)).collect();
    assert_eq!(queries.len(), 817, "the corpus has changed");
    for query in queries {
        check(&without_variables(query));
    }
}

#[test]
fn every_rule_evaluates() {
    let Some(folder) = crate::shared("corpus/sourcegraph") else { return };
    let mut files = vec![folder.join("generated_rules.yml")];
    let entries = std::fs::read_dir(folder.join("config")).expect("readable");
    files.extend(
        entries
            .map(|entry| entry.expect("readable").path())
            .filter(|path| path.to_string_lossy().ends_with("_rules.yml")),
    );
    let exprs: Vec<String> = files.iter().flat_map(|file| rule_exprs(file)).collect();
    assert!(exprs.len() > 482, "the corpus has lost rules: {}", exprs.len());
    for expr in exprs {
        check(&expr);
    }
}

/// Grafana's variables as it would fill them in.
fn without_variables(query: &str) -> String {
    let interval = Regex::searching(r"\$__\w*interval").expect("valid");
    let duration = Regex::searching(r"\$\w*duration\b").expect("valid");
    let variable = Regex::searching(r"\$\{\w+(:\w+)?\}|\$\w+|\[\[\w+\]\]").expect("valid");
    let query = interval.replace_all(query, "1m");
    let query = duration.replace_all(&query, "5m");
    variable.replace_all(&query, "x")
}

fn rule_exprs(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("readable");
    let document: serde_yaml::Value = serde_yaml::from_str(&text).expect("YAML");
    let groups = document["groups"].as_sequence().expect("groups");
    let rules = groups.iter().flat_map(|group| group["rules"].as_sequence().expect("rules"));
    rules.map(|rule| rule["expr"].as_str().expect("an expression").to_owned()).collect()
}

#[track_caller]
fn check(text: &str) {
    let features = Features::default();
    let expr = parse(text, &features).unwrap_or_else(|err| panic!("{text}\n{err}"));
    let printed = expr.to_string();
    let again = parse(&printed, &features).unwrap_or_else(|err| panic!("{printed}\n{err}"));
    assert_eq!(again, expr, "{text}");
    assert_eq!(again.to_string(), printed, "{text}");
    let query = Query::parse(text, &features).expect("parses");
    let names = metric_names(&expr);
    for source in [Memory::default(), small_source(names.iter().map(String::as_str))] {
        let at = Timestamp::from_millis(900_000);
        engine()
            .instant(&source, &query, at, &Options::default())
            .unwrap_or_else(|err| panic!("{text}\n{err}"));
        let (start, step) = (Timestamp::from_millis(600_000), Duration::from_secs(60));
        engine()
            .range(&source, &query, start, at, step, &Options::default())
            .unwrap_or_else(|err| panic!("{text}\n{err}"));
    }
}

/// Of each metric two series, or buckets of two, a quarter of an hour of them.
fn small_source<'a>(names: impl Iterator<Item = &'a str>) -> Memory {
    let mut memory = Memory::default();
    for name in names {
        // Joins want one series an instance, quantiles want buckets.
        let buckets = [("a", "0.5"), ("a", "1"), ("a", "+Inf"), ("b", "+Inf")];
        let plain = [("a", ""), ("b", "")];
        let series: &[_] = if name.ends_with("_bucket") { &buckets } else { &plain };
        for (instance, le) in series {
            let pairs = [("__name__", name), ("instance", instance), ("le", le), ("name", "x")];
            let labels = Labels::from_pairs(pairs);
            for minute in 0..=15_i32 {
                memory.push(labels.clone(), i64::from(minute) * 60_000, f64::from(minute));
            }
        }
    }
    memory
}
