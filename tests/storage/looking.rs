//! What a look inside the store tells, against a model that counts by itself.

use crate::support::{HOUR, START, Setting};
use std::collections::BTreeMap;
use std::sync::Arc;
use watchbell::model::Labels;
use watchbell::storage::analysis::{Analysis, look};
use watchbell::storage::append::Appender as _;
use watchbell::sys::files::{SharedFiles, SystemFiles};

/// Samples of a chunk of a block at most; see FORMAT.md.
const CHUNK_SAMPLES: usize = 2048;

/// A series of the model: labels, times in seconds from the start, value of each.
struct Row {
    metric: &'static str,
    pod: String,
    seconds: std::ops::Range<i64>,
    value: fn(i64) -> f64,
}

/// One block of six hours, a sample a second: a metric whose series stay and two that come and go.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for pod in 0..3 {
        let seconds = 0..20_000;
        rows.push(Row { metric: "up", pod: format!("p{pod}"), seconds, value: |_| 1.0 });
    }
    for pod in 0..8 {
        let seconds = pod * 2_500..(pod + 1) * 2_500;
        let pod = format!("q{pod}");
        let value = |at| at as f64 * 3.0;
        rows.push(Row { metric: "jobs_total", pod: pod.clone(), seconds: seconds.clone(), value });
        let value = |at| (at as f64).sin();
        rows.push(Row { metric: "noise", pod, seconds, value });
    }
    rows
}

fn fill(setting: &Setting) {
    let store = setting.open();
    let mut importer = store.import();
    // A block of six hours begins here.
    let start = START - START.rem_euclid(6 * HOUR);
    for row in rows() {
        let labels = [("__name__", row.metric), ("fixed", "x"), ("pod", &row.pod)];
        let series = importer.series(Labels::from_pairs(labels)).unwrap();
        for at in row.seconds {
            importer.push(series, start + at * 1000, (row.value)(at)).unwrap();
        }
    }
    importer.finish().unwrap();
    store.compact_all().unwrap();
    assert_eq!(store.blocks().len(), 1);
    store.close().unwrap();
}

fn chunks(row: &Row) -> u64 {
    row.seconds.clone().count().div_ceil(CHUNK_SAMPLES) as u64
}

#[track_caller]
fn check(found: &Analysis) {
    let rows = rows();
    let samples = |row: &Row| row.seconds.clone().count() as u64;
    assert_eq!((found.blocks, found.series), (1, 19));
    assert_eq!(found.samples, rows.iter().map(samples).sum::<u64>());
    assert_eq!(found.chunks, rows.iter().map(chunks).sum::<u64>());
    // Every byte of the pages belongs to one part, and to one metric but for rounding.
    assert_eq!(found.parts.iter().map(|part| part.bytes).sum::<u64>(), found.page_bytes);
    let by_metric: u64 = found.metrics.iter().map(|metric| metric.bytes).sum();
    assert!(by_metric.abs_diff(found.page_bytes) <= 3, "{by_metric} of {}", found.page_bytes);
    let of = |name: &str| {
        let rows = rows.iter().filter(|row| row.metric == name);
        rows.fold((0, 0, 0), |sum, row| (sum.0 + 1, sum.1 + samples(row), sum.2 + chunks(row)))
    };
    for metric in &found.metrics {
        assert_eq!((metric.series, metric.samples, metric.chunks), of(&metric.name), "{metric:?}");
    }
    assert_eq!(found.metrics.first().map(|metric| &*metric.name), Some("noise"));
    // One value is a constant, a line a constant difference, and a sine fits neither.
    let parts: BTreeMap<_, _> = found.parts.iter().map(|part| (part.name, part)).collect();
    for (encoding, metric) in [("constant", "up"), ("delta-constant", "jobs_total")] {
        let (_, samples, chunks) = of(metric);
        assert_eq!((parts[encoding].count, parts[encoding].samples), (chunks, samples));
    }
    assert!(parts["times"].count <= found.chunks && parts["times"].bytes > 0);
    assert_eq!(parts["page heads"].samples, 0);
    // Each of the sixteen covers an eighth: fourteen whole series are missing. One begins with the
    // block and one ends with it, of each metric.
    assert_eq!((found.begins, found.ends), (14, 14));
    let expected = |metric: &str| {
        let range = 20_000 * 1000 - 999;
        let rows = rows.iter().filter(|row| row.metric == metric || metric == "x");
        rows.map(|row| range - (samples(row) - 1) * 1000).sum::<u64>() / range
    };
    assert_eq!(expected("noise"), 7);
    let pair = |name: &str, metric: &str| (name.to_owned(), expected(metric));
    let pairs = [
        pair("fixed=x", "x"),
        pair("__name__=jobs_total", "jobs_total"),
        pair("__name__=noise", "noise"),
    ];
    assert_eq!(found.churn_by_pair.get(..3), Some(&pairs[..]));
    let names = ["__name__", "fixed", "pod"].map(|name| pair(name, "x"));
    assert_eq!(found.churn_by_label, names);
}

#[test]
fn an_analysis_counts_as_the_model_does() {
    let setting = Setting::new();
    fill(&setting);
    let store = setting.open();
    let found = store.analyze(u64::MAX, 10);
    assert_eq!(found.left_out, [""; 0]);
    check(&found);
    let facts = &store.blocks()[0];
    assert_eq!(found.page_bytes + found.label_bytes, facts.chunk_bytes);
    assert_eq!(found.index_bytes, facts.index_bytes);
}

#[test]
fn what_a_bounded_or_hindered_look_does_not_read_is_told() {
    let setting = Setting::new();
    fill(&setting);
    let store = setting.open();
    let found = store.analyze(1000, 10);
    assert_eq!((found.blocks, found.samples), (0, 0));
    assert_eq!(found.left_out.len(), 1, "{:?}", found.left_out);
    store.commit(&crate::support::commit(&[("a", START, 1.0)])).unwrap();
    assert!(store.analyze(u64::MAX, 10).left_out[0].contains("1 series"));
}

#[test]
fn a_store_that_is_held_can_be_looked_at_and_is_not_touched() {
    let setting = Setting::new();
    fill(&setting);
    let store = setting.open();
    let files: SharedFiles = Arc::new(SystemFiles);
    let found = look(&files, setting.dir.path(), 10).unwrap();
    assert_eq!(found.blocks, store.blocks());
    check(&found.analysis);
    assert_eq!(found.labels.series_by_metric.len(), 3);
    drop(store);
    let index = crate::support::find(setting.dir.path(), "index.db");
    std::fs::remove_file(&index).unwrap();
    let found = look(&files, setting.dir.path(), 10).unwrap();
    assert_eq!((found.analysis.blocks, found.analysis.left_out.len()), (0, 1));
    assert!(!index.exists(), "only looked at");
}
