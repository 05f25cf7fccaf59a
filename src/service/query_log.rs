//! `global.query_log_file`: one line of JSON for each query that ended.
//!
//! Source: prometheus, promql/engine.go (exec), docs/guides/query-log.md (the fields).

use super::query_metrics::Times;
use crate::model::Timestamp;
use crate::sys::locks::lock;
use crate::sys::metrics::{Cell, Registry};
use crate::wire::rfc3339;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Mutex;

/// The log, if there is one.
#[derive(Debug)]
pub(super) struct QueryLog {
    file: Mutex<Option<File>>,
    enabled: Cell,
    failures: Cell,
}

/// What is said of a query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended<'a> {
    pub(super) expr: &'a str,
    pub(super) client: &'a str,
    /// Whose rule it was.
    pub(super) rule_group: Option<RuleGroup<'a>>,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    /// 0 for an instant query.
    pub(super) step_seconds: f64,
    pub(super) times: Times,
    pub(super) samples: usize,
    pub(super) error: Option<&'a str>,
}

/// A group of rules.
#[derive(Clone, Copy, Debug)]
pub(super) struct RuleGroup<'a> {
    pub(super) file: &'a str,
    pub(super) name: &'a str,
}

impl QueryLog {
    /// No log yet.
    pub(super) fn new(registry: &Registry) -> Self {
        let help = "State of the query log.";
        let enabled = registry.gauge("prometheus_engine_query_log_enabled", help, &[]);
        let help = "The number of query log failures.";
        let failures = registry.counter("prometheus_engine_query_log_failures_total", help, &[]);
        Self { file: Mutex::default(), enabled, failures }
    }

    /// Writes to `path` from now on; opened again even when it is the same, since it may have
    /// been moved away.
    ///
    /// # Errors
    /// The file cannot be opened; the log stays as it was.
    pub(super) fn reopen(&self, path: Option<&Path>) -> io::Result<()> {
        let open = |path| OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        let opened = path.map(open).transpose()?;
        self.enabled.set(f64::from(u8::from(opened.is_some())));
        *lock(&self.file) = opened;
        Ok(())
    }

    /// Writes the line of a query that ended at `now`.
    pub(super) fn tell(&self, now: Timestamp, ended: &Ended) {
        let mut file = lock(&self.file);
        let Some(file) = file.as_mut() else { return };
        if file.write_all(line(now, ended).as_bytes()).is_err() {
            self.failures.inc();
        }
    }
}

fn line(now: Timestamp, ended: &Ended) -> String {
    let Times { queued, evaluated, prepared, sorted } = ended.times;
    let inner = evaluated.saturating_sub(prepared + sorted);
    let mut line = serde_json::json!({
        "params": {
            "end": rfc3339(ended.end),
            "query": ended.expr,
            "start": rfc3339(ended.start),
            "step": ended.step_seconds,
        },
        "stats": {
            "timings": {
                "evalTotalTime": evaluated.as_secs_f64(),
                "execQueueTime": queued.as_secs_f64(),
                "execTotalTime": (queued + evaluated).as_secs_f64(),
                "innerEvalTime": inner.as_secs_f64(),
                "queryPreparationTime": prepared.as_secs_f64(),
                "resultSortTime": sorted.as_secs_f64(),
            },
            "samples": { "samplesRead": ended.samples },
        },
        "ts": rfc3339(now),
    });
    if let Some(line) = line.as_object_mut() {
        if !ended.client.is_empty() {
            let request = serde_json::json!({ "clientIP": ended.client });
            line.insert("httpRequest".to_owned(), request);
        }
        if let Some(RuleGroup { file, name }) = ended.rule_group {
            let group = serde_json::json!({ "file": file, "name": name });
            line.insert("ruleGroup".to_owned(), group);
        }
        if let Some(error) = ended.error {
            line.insert("error".to_owned(), error.into());
        }
    }
    format!("{line}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_query_is_a_line_and_a_reload_opens_the_file_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("query.log");
        let log = QueryLog::new(&Registry::new());
        let at = Timestamp::from_millis(1_700_000_000_123);
        let ended = Ended {
            expr: "up{a=\"\n\"}",
            client: "127.0.0.1",
            start: at,
            end: at,
            step_seconds: 0.0,
            rule_group: None,
            times: Times {
                queued: Duration::from_millis(250),
                evaluated: Duration::from_millis(500),
                prepared: Duration::from_millis(125),
                sorted: Duration::from_millis(125),
            },
            samples: 7,
            error: None,
        };
        log.tell(at, &ended);
        log.reopen(Some(&path)).expect("opens");
        log.tell(at, &ended);
        std::fs::rename(&path, folder.path().join("old")).expect("moves");
        log.reopen(Some(&path)).expect("opens");
        let rule_group = Some(RuleGroup { file: "r.yml", name: "g" });
        log.tell(at, &Ended { error: Some("no"), client: "", rule_group, ..ended });
        assert!(log.reopen(Some(&folder.path().join("none/x"))).is_err());
        log.tell(at, &ended);
        log.reopen(None).expect("closes");
        log.tell(at, &ended);
        let read = |name: &str| -> Vec<serde_json::Value> {
            let text = std::fs::read_to_string(folder.path().join(name)).expect("there");
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
        };
        let old = read("old");
        assert_eq!(old.len(), 1);
        assert_eq!(old[0]["params"]["query"], "up{a=\"\n\"}");
        assert_eq!(old[0]["params"]["start"], "2023-11-14T22:13:20.123Z");
        assert_eq!(old[0]["stats"]["timings"]["execTotalTime"], 0.75);
        assert_eq!(old[0]["stats"]["timings"]["innerEvalTime"], 0.25);
        assert_eq!(old[0]["httpRequest"]["clientIP"], "127.0.0.1");
        assert_eq!(old[0]["ruleGroup"], serde_json::Value::Null);
        let fresh = read("query.log");
        assert_eq!(fresh.len(), 2);
        assert_eq!(fresh[0]["ruleGroup"], serde_json::json!({"file": "r.yml", "name": "g"}));
        assert_eq!((&fresh[0]["error"], &fresh[0]["httpRequest"]), (&"no".into(), &().into()));
    }
}
