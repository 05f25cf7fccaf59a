//! A world that stands still: one server with firing, pending and silenced alerts, targets, rules
//! and silences, at 2026-08-20 03:12 UTC.

use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use watchbell::model::{Annotations, Labels, Matcher, TimeRange, Timestamp};
use watchbell::sys::sim::VirtualClock;
use watchbell::tui::{CharsetChoice, ColorChoice, Options};
use watchbell::wire::*;

/// 2026-08-20T03:12:00Z
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_787_195_520_000);

pub(crate) fn ago(minutes: i64) -> Timestamp {
    NOW.plus_millis(-minutes * 60_000)
}

pub(crate) fn options(clock: &VirtualClock, charset: CharsetChoice) -> Options {
    let mut options = Options::new(Arc::new(clock.clone()));
    options.utc = true;
    options.charset = charset;
    options.color = ColorChoice::Never;
    options.login = "op1".to_owned();
    options
}

/// The core of that world; it remembers what was written.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) alerts: Mutex<Vec<AlertRow>>,
    pub(crate) posted: Mutex<Vec<PostableSilence>>,
    pub(crate) expired: Mutex<Vec<String>>,
    pub(crate) acked: Mutex<Vec<AckRequest>>,
    /// Alerts whose acknowledgement was taken back, and by whom.
    pub(crate) withdrawn: Mutex<Vec<(String, String)>>,
    /// The history, newest first.
    pub(crate) history: Mutex<Vec<HistoryRow>>,
    /// What of the history was asked for.
    pub(crate) asked: Mutex<Vec<HistoryRequest>>,
    /// What the history answers instead of rows.
    pub(crate) history_error: Mutex<Option<Error>>,
    pub(crate) down: Mutex<bool>,
    pub(crate) job_problems: Mutex<BTreeMap<String, Vec<String>>>,
    /// Why zoekt-0 does not answer, where it is not the usual reason.
    pub(crate) last_error: Mutex<Option<String>>,
    pub(crate) revision: Mutex<u64>,
    /// Whether it is somebody else's server.
    pub(crate) foreign: Mutex<bool>,
}

impl World {
    pub(crate) fn busy() -> Arc<Self> {
        let world = Self::default();
        *world.alerts.lock().expect("not poisoned") = alerts();
        *world.history.lock().expect("not poisoned") = history();
        Arc::new(world)
    }

    pub(crate) fn quiet() -> Arc<Self> {
        Arc::new(Self::default())
    }

    fn up<T>(&self, value: T) -> Result<T, Error> {
        if *self.down.lock().expect("not poisoned") {
            return Err(Error::new(ErrorKind::Busy, "connection refused"));
        }
        Ok(value)
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

fn alert(state: AlertState, minutes: i64, value: &str, pairs: &[(&str, &str)]) -> AlertRow {
    let labels = labels(pairs);
    let pending = state == AlertState::Pending;
    AlertRow {
        fingerprint: labels.fingerprint().to_string(),
        annotations: Annotations::empty(),
        state,
        value: Some(value.to_owned()),
        active_at: Some(ago(minutes + 5)),
        fired_at: (!pending).then(|| ago(minutes)),
        resolved_at: None,
        for_seconds: 300.0,
        source: "rules".to_owned(),
        expr: "queue_length > 1000".to_owned(),
        limit: Some(RuleLimit {
            left: "queue_length".to_owned(),
            op: ">".to_owned(),
            value: Some(1000.0),
            right: "1000".to_owned(),
        }),
        rule_file: "rules/app.yml".to_owned(),
        rule_group: "app".to_owned(),
        interval_seconds: 30.0,
        receivers: vec!["team-web".to_owned()],
        route: "root > team=\"web\" -> team-web".to_owned(),
        group_key: "{}:{alertname=\"X\"}".to_owned(),
        silenced_by: Vec::new(),
        inhibited_by: Vec::new(),
        muted_by: Vec::new(),
        deliveries: Vec::new(),
        sending: Vec::new(),
        ack: None,
        next_flush: None,
        labels,
    }
}

fn sent(receiver: &str, minutes: i64, error: Option<&str>) -> DeliveryStatus {
    DeliveryStatus {
        receiver: receiver.to_owned(),
        integration: "webhook".to_owned(),
        at: ago(minutes),
        error: error.map(str::to_owned),
        attempts: if error.is_some() { 3 } else { 1 },
    }
}

pub(crate) fn disk_full(host: &str, minutes: i64, value: &str) -> AlertRow {
    let mut row = alert(
        AlertState::Firing,
        minutes,
        value,
        &[
            ("alertname", "DiskFull"),
            ("instance", host),
            ("mountpoint", "/data"),
            ("device", "nvme1n1"),
            ("fstype", "ext4"),
            ("severity", "critical"),
            ("team", "platform"),
        ],
    );
    row.annotations = Annotations::from_pairs([
        ("summary", format!("/data on {host} is {value} full; at this pace it is full in 2 h")),
        ("runbook_url", "https://runbooks.example/disk-full".to_owned()),
    ]);
    let left = "1 - node_filesystem_avail_bytes / node_filesystem_size_bytes";
    row.expr = format!("{left} > 0.9");
    row.limit = Some(RuleLimit {
        left: left.to_owned(),
        op: ">".to_owned(),
        value: Some(0.9),
        right: "0.9".to_owned(),
    });
    row.rule_file = "rules/disk.yml".to_owned();
    row.rule_group = "node".to_owned();
    row.receivers = vec!["oncall".to_owned(), "slack-oncall".to_owned()];
    row.route =
        "root > team=\"platform\" > severity=\"critical\" -> oncall, slack-oncall".to_owned();
    row
}

fn alerts() -> Vec<AlertRow> {
    let mut first = disk_full("gitserver-0", 41, "0.938");
    first.deliveries = vec![sent("oncall", 38, None)];
    let mut second = disk_full("gitserver-1", 12, "0.912");
    second.next_flush = Some(NOW.plus_millis(60_000));
    let mut zoekt = alert(
        AlertState::Firing,
        6,
        "0",
        &[("alertname", "ZoektDown"), ("instance", "zoekt-0:6070"), ("severity", "critical")],
    );
    zoekt.deliveries = vec![sent("slack-oncall", 3, Some("HTTP 404"))];
    let mut all = vec![first, second, zoekt];
    for (host, minutes, value) in
        [("frontend-0", 120, "2.41"), ("frontend-1", 120, "2.12"), ("frontend-2", 110, "1.98")]
    {
        let mut row = alert(
            AlertState::Firing,
            minutes,
            value,
            &[("alertname", "SearchLatencyHigh"), ("instance", host), ("severity", "warning")],
        );
        row.deliveries = vec![sent("team-web", 14, None)];
        if host == "frontend-2" {
            let (by, comment) = ("op1".to_owned(), "shard is being moved".to_owned());
            row.ack = Some(AckStatus { by, comment, at: ago(60) });
        }
        all.push(row);
    }
    all.push(alert(
        AlertState::Pending,
        -2,
        "1200",
        &[("alertname", "QueueGrowing"), ("instance", "worker-0"), ("severity", "warning")],
    ));
    let mut silenced = alert(
        AlertState::Silenced,
        300,
        "1",
        &[("alertname", "NeedsUpgrade"), ("instance", "db-0"), ("severity", "info")],
    );
    silenced.silenced_by = vec!["7f3c21aa".to_owned()];
    all.push(silenced);
    all
}

/// An entry of the history; the number is that of minutes before now.
pub(crate) fn happened(
    minutes: i64,
    kind: &str,
    alert: Option<&AlertRow>,
    body: serde_json::Value,
) -> HistoryRow {
    HistoryRow {
        id: 100_000 - minutes,
        at: ago(minutes),
        kind: kind.to_owned(),
        fingerprint: alert.map(|row| row.fingerprint.clone()).unwrap_or_default(),
        labels: alert.map_or_else(Labels::empty, |row| row.labels.clone()),
        body,
    }
}

fn history() -> Vec<HistoryRow> {
    let all = alerts();
    let [disk, _, zoekt, _, _, slow, _, silenced] = all.as_slice() else {
        panic!("another number of alerts");
    };
    let rule = |value: &str| {
        let (file, group) = ("rules/disk.yml", "node");
        json!({ "rule_file": file, "rule_group": group, "rule": "DiskFull", "value": value })
    };
    let told = |receiver: &str, status: &str, row: &AlertRow, more: serde_json::Value| {
        let mut body = json!({
            "key": "0011223344556677-9", "group": "{}:{alertname=\"DiskFull\"}",
            "receiver": receiver, "integration": "webhook", "index": 0,
            "reason": "first notification", "status": status, "attempts": 1, "took_ms": 212,
            "code": 200, "answer": "ok", "error": null, "firing": [row.fingerprint],
            "resolved": [],
        });
        let fields = body.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        body
    };
    let gone = json!({
        "attempts": 3, "took_ms": 4100, "code": 404, "answer": "{\"error\":\"no such channel\"}",
        "error": "unexpected status code 404: no such channel",
    });
    vec![
        {
            let mut row =
                happened(3, "notified", None, told("slack-oncall", "failed", zoekt, gone));
            row.labels = zoekt.labels.clone();
            row
        },
        happened(6, "firing", Some(zoekt), rule("0")),
        happened(
            32,
            "silence",
            None,
            json!({
                "id": "7f3c21aa", "what": "created", "by": "op1", "comment": "disk swap, INC-231",
                "matchers": "{instance=\"gitserver-0\",alertname=~\"Disk.*\"}",
                "ends_at_ms": ago(-70).as_millis(),
            }),
        ),
        {
            let mut row = happened(38, "notified", None, told("oncall", "ok", disk, json!({})));
            row.labels = labels(&[("alertname", "DiskFull"), ("severity", "critical")]);
            row
        },
        happened(41, "firing", Some(disk), rule("0.91")),
        happened(46, "pending", Some(disk), rule("0.901")),
        happened(60, "ack", Some(slow), json!({ "by": "op1", "comment": "shard is being moved" })),
        happened(300, "suppressed", Some(silenced), json!({ "by": "silence", "id": "7f3c21aa" })),
        happened(3_000, "resolved", Some(disk), rule("0.88")),
        happened(3_060, "ack_ended", Some(disk), json!({ "why": "withdrawn", "by": "op2" })),
        happened(
            3_100,
            "rule_failed",
            None,
            json!({
                "rule_file": "rules/search.yml", "rule_group": "search",
                "rule": "SearchLatencyHigh",
                "error": "found duplicate series for the match group",
            }),
        ),
    ]
}

fn target(job: &str, instance: &str, error: &str) -> TargetForm {
    let labels = labels(&[("job", job), ("instance", instance)]);
    TargetForm {
        discovered_labels: labels.to_builder().set("__address__", instance).build(),
        labels,
        scrape_pool: job.to_owned(),
        scrape_url: format!("http://{instance}/metrics"),
        global_url: format!("http://{instance}/metrics"),
        last_error: error.to_owned(),
        last_scrape: Some(NOW.plus_millis(-4_000)),
        last_scrape_duration: 0.031,
        health: if error.is_empty() { TargetHealth::Up } else { TargetHealth::Down },
        scrape_interval: "15s".to_owned(),
        scrape_timeout: "10s".to_owned(),
        samples: if error.is_empty() { 4_800 } else { 0 },
        since: Some(ago(6)),
        notes: Vec::new(),
    }
}

fn recording(name: &str, query: &str) -> RuleForm {
    RuleForm::Recording {
        name: name.to_owned(),
        query: query.to_owned(),
        labels: Annotations::empty(),
        health: "ok".to_owned(),
        last_error: String::new(),
        evaluation_time: 0.001,
        last_evaluation: Some(NOW.plus_millis(-3_000)),
        evaluations: Vec::new(),
    }
}

fn alerting(row: &AlertRow, name: &str, error: &str, firing: usize) -> RuleForm {
    let one = AlertForm {
        labels: row.labels.clone(),
        annotations: row.annotations.clone(),
        state: "firing".to_owned(),
        active_at: row.active_at,
        keep_firing_since: None,
        value: "9.38e-01".to_owned(),
    };
    RuleForm::Alerting {
        state: if firing > 0 { "firing" } else { "inactive" }.to_owned(),
        name: name.to_owned(),
        query: row.expr.clone(),
        duration: 300.0,
        keep_firing_for: 0.0,
        labels: Annotations::from_pairs([("severity", "critical")]),
        annotations: Annotations::from_pairs([(
            "summary",
            "{{ $labels.mountpoint }} is nearly full",
        )]),
        alerts: Some(vec![one; firing]),
        health: if error.is_empty() { "ok" } else { "err" }.to_owned(),
        last_error: error.to_owned(),
        evaluation_time: 0.004,
        last_evaluation: Some(NOW.plus_millis(-3_000)),
        limit: row.limit.clone(),
        evaluations: Vec::new(),
    }
}

fn silence(id: &str, state: &str, from: i64, to: i64, pairs: &[(&str, &str, bool)]) -> SilenceForm {
    let matchers = pairs.iter().map(|(name, value, is_regex)| MatcherForm {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
        is_regex: *is_regex,
        is_equal: true,
    });
    SilenceForm {
        id: id.to_owned(),
        status: SilenceStatus { state: state.to_owned() },
        updated_at: ago(32),
        matchers: matchers.collect(),
        starts_at: ago(-from),
        ends_at: ago(-to),
        created_by: "op1".to_owned(),
        comment: "disk swap, INC-231".to_owned(),
        annotations: Annotations::empty(),
    }
}

/// What an expression yields at a time: a shape that is known for each.
fn value_of(expr: &str, place: usize, ts: Timestamp) -> f64 {
    let minutes = NOW.millis_since(ts) as f64 / 60_000.0;
    let wave = (minutes / 3.0 + place as f64).sin();
    if expr.contains("node_filesystem") {
        0.938 - 0.0008 * minutes - 0.02 * place as f64
    } else if expr.contains("node_cpu") {
        0.34 + 0.1 * wave
    } else if expr.contains("MemAvailable") {
        0.71 + 0.001 * wave
    } else if expr.contains("node_network") {
        12.0 * 1024.0 * 1024.0 * (1.0 + 0.4 * wave)
    } else if expr.contains("node_load1") {
        1.9 + 0.3 * wave
    } else if expr.contains("ALERTS") {
        if minutes < 120.0 && place == 0 { 3.0 } else { f64::from(u8::from(minutes < 600.0)) }
    } else if expr == "up" {
        f64::from(u8::from(!(place == 1 && minutes < 6.0)))
    } else {
        (place as f64 + 1.0) * 100.0 + 40.0 * wave
    }
}

fn metrics_of(expr: &str) -> Vec<Labels> {
    if expr.contains("ALERTS") {
        vec![labels(&[("severity", "critical")]), labels(&[("severity", "warning")])]
    } else if expr.contains("node_filesystem") {
        ["gitserver-0", "gitserver-1"]
            .map(|host| {
                labels(&[
                    ("instance", host),
                    ("mountpoint", "/data"),
                    ("device", "nvme1n1"),
                    ("fstype", "ext4"),
                ])
            })
            .to_vec()
    } else if expr.contains("by (code)") {
        ["200", "404", "500"].map(|code| labels(&[("code", code)])).to_vec()
    } else if expr == "up" {
        ["frontend-0:6060", "zoekt-0:6070"]
            .map(|host| labels(&[("__name__", "up"), ("instance", host), ("job", "app")]))
            .to_vec()
    } else if expr.contains("nothing") {
        Vec::new()
    } else {
        vec![Labels::empty()]
    }
}

impl Core for World {
    fn query(&self, _: &Call, _: &InstantQuery) -> Result<Answer<QueryData>, Error> {
        self.up(Answer::plain(QueryData::Vector(Vec::new())))
    }

    fn query_range(&self, _: &Call, query: &RangeQuery) -> Result<Answer<QueryData>, Error> {
        if query.expr.contains("((") {
            return Err(Error::bad_data("1:3: parse error: unexpected end of input"));
        }
        let step = i64::try_from(query.step.as_millis()).expect("short").max(1);
        let count = query.end.millis_since(query.start) / step;
        let series = metrics_of(&query.expr).into_iter().enumerate().map(|(place, metric)| {
            let at = |n: i64| query.start.plus_millis(n * step);
            let values = (0..=count).map(|n| (at(n), value_of(&query.expr, place, at(n))));
            MatrixSeries { metric, values: values.collect() }
        });
        self.up(Answer::plain(QueryData::Matrix(series.collect())))
    }

    fn query_exemplars(
        &self,
        _: &Call,
        _: &ExemplarQuery,
    ) -> Result<Option<Vec<ExemplarSeries>>, Error> {
        self.up(None)
    }

    fn query_hints(&self, _: &Call, expr: &str, _: TimeRange) -> Result<Vec<String>, Error> {
        self.up(vec![format!("no series has the name {expr}; did you mean up?")])
    }

    fn format_query(&self, expr: &str) -> Result<String, Error> {
        self.up(expr.to_owned())
    }

    fn parse_query(&self, _: &str) -> Result<serde_json::Value, Error> {
        self.up(serde_json::Value::Null)
    }

    fn parse_matchers(&self, _selector: &str) -> Result<Vec<Matcher>, watchbell::wire::Error> {
        Ok(Vec::new())
    }

    fn parse_alert_matchers(&self, _text: &str) -> Result<Vec<Matcher>, watchbell::wire::Error> {
        Ok(Vec::new())
    }

    fn parse_alert_matcher(&self, _text: &str) -> Result<Matcher, Error> {
        Err(Error::bad_data("no matcher"))
    }

    fn series(&self, _: &Call, _: &SeriesRequest) -> Result<Answer<Vec<Labels>>, Error> {
        self.up(Answer::plain(Vec::new()))
    }

    fn label_names(&self, _: &Call, _: &SeriesRequest) -> Result<Answer<Vec<String>>, Error> {
        self.up(Answer::plain(["__name__", "code", "instance", "job"].map(str::to_owned).to_vec()))
    }

    fn label_values(
        &self,
        _: &Call,
        name: &str,
        _: &SeriesRequest,
    ) -> Result<Answer<Vec<String>>, Error> {
        let words: &[&str] = match name {
            "__name__" => &["node_cpu_seconds_total", "node_load1", "node_load5", "up"],
            "job" => &["app", "frontend", "frontend-internal", "node"],
            _ => &[],
        };
        self.up(Answer::plain(words.iter().map(|word| (*word).to_owned()).collect()))
    }

    fn metadata(&self, _: &MetadataRequest) -> Result<BTreeMap<String, Vec<MetadataEntry>>, Error> {
        self.up(BTreeMap::new())
    }

    fn targets_metadata(&self, _: &TargetMetadataRequest) -> Result<Vec<TargetMetadata>, Error> {
        self.up(Vec::new())
    }

    fn targets(&self, _: TargetState, _: Option<&str>) -> Result<TargetsAnswer, Error> {
        let refused = "dial tcp 10.0.4.12:6070: connection refused";
        let mut all: Vec<_> =
            (0..9).map(|n| target("frontend", &format!("frontend-{n}:6060"), "")).collect();
        let last_error = self.last_error.lock().expect("not poisoned").clone();
        all.push(target("zoekt", "zoekt-0:6070", last_error.as_deref().unwrap_or(refused)));
        let job_problems = self.job_problems.lock().expect("not poisoned").clone();
        let dropped = |address: &str, reason: Option<&str>| DroppedTarget {
            discovered_labels: labels(&[("__address__", address), ("job", "zoekt")]),
            scrape_pool: "zoekt".to_owned(),
            reason: reason.map(str::to_owned),
        };
        let why = "\"zoekt 2:80\" is not a valid hostname";
        self.up(TargetsAnswer {
            active_targets: all,
            job_problems,
            dropped_targets: vec![dropped("zoekt-1:6070", None), dropped("zoekt 2:80", Some(why))],
            dropped_target_counts: [("zoekt".to_owned(), 3)].into(),
        })
    }

    fn relabel_steps(&self, pool: &str, labels: &Labels) -> Result<RelabelSteps, Error> {
        let rule = |action: &str, source: &str, regex: &str, target: &str| RelabelRule {
            source_labels: vec![source.to_owned()],
            separator: ";".to_owned(),
            regex: regex.to_owned(),
            target_label: target.to_owned(),
            replacement: "$1".to_owned(),
            action: action.to_owned(),
            ..RelabelRule::default()
        };
        let mut output = labels.to_builder();
        output.set("shard", labels.value_of("__address__").get(..7).unwrap_or_default());
        let output = output.build();
        let keep = labels.value_of("__address__") != "zoekt-1:6070";
        let mut steps = vec![
            RelabelStep {
                rule: rule("replace", "__address__", "(.{7}).*", "shard"),
                output: output.clone(),
                keep: true,
            },
            RelabelStep {
                rule: rule("drop", "__address__", "zoekt-1:.+", ""),
                output: if keep { output } else { Labels::empty() },
                keep,
            },
        ];
        steps.retain(|_| pool == "zoekt");
        self.up(RelabelSteps { steps })
    }

    fn scrape_pools(&self) -> Result<Vec<String>, Error> {
        self.up(Vec::new())
    }

    fn rules(&self, _: &RulesRequest) -> Result<RulesAnswer, Error> {
        let row = disk_full("gitserver-0", 41, "0.938");
        let group = |name: &str, file: &str, rules| RuleGroupForm {
            name: name.to_owned(),
            file: file.to_owned(),
            rules,
            interval: 30.0,
            limit: 0,
            evaluation_time: 0.009,
            last_evaluation: Some(NOW.plus_millis(-3_000)),
        };
        let busy = usize::from(!self.alerts.lock().expect("not poisoned").is_empty());
        let node = vec![
            alerting(&row, "DiskFull", "", busy * 2),
            alerting(&row, "InodesLow", "", 0),
            recording("node:disk_used:ratio", "1 - avail / size"),
        ];
        let search = vec![alerting(&row, "SearchLatencyHigh", "many-to-many matching", 0)];
        self.up(RulesAnswer {
            groups: vec![
                group("node", "rules/disk.yml", node),
                group("search", "rules/search.yml", search),
            ],
            group_next_token: None,
        })
    }

    fn alerts(&self) -> Result<AlertsAnswer, Error> {
        self.up(AlertsAnswer::default())
    }

    fn alertmanagers(&self) -> Result<AlertmanagersAnswer, Error> {
        self.up(AlertmanagersAnswer::default())
    }

    fn config(&self) -> Result<ConfigAnswer, Error> {
        self.up(ConfigAnswer::default())
    }

    fn flags(&self) -> Result<BTreeMap<String, String>, Error> {
        self.up(BTreeMap::new())
    }

    fn language(&self) -> Result<BTreeMap<String, BTreeMap<String, bool>>, Error> {
        self.up(BTreeMap::new())
    }

    fn runtime_info(&self) -> Result<RuntimeInfo, Error> {
        Err(Error::not_found("not in this world"))
    }

    fn build_info(&self) -> Result<BuildInfo, Error> {
        Err(Error::not_found("not in this world"))
    }

    fn tsdb_status(&self, _: usize) -> Result<TsdbStatus, Error> {
        self.up(TsdbStatus::default())
    }

    fn wal_replay(&self) -> Result<WalReplay, Error> {
        self.up(WalReplay::default())
    }

    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }

    fn reload(&self) -> Result<Vec<String>, Error> {
        self.up(Vec::new())
    }

    fn quit(&self) -> Result<(), Error> {
        self.up(())
    }

    fn own_metrics(&self) -> Result<String, Error> {
        self.up(String::new())
    }

    fn remote_write(&self, _: RawWrite) -> Result<WriteOutcome, Error> {
        self.up(WriteOutcome::default())
    }

    fn otlp_write(&self, _: RawWrite) -> Result<OtlpOutcome, Error> {
        self.up(OtlpOutcome::default())
    }

    fn push(&self, _: RawPush) -> Result<(), Error> {
        self.up(())
    }

    fn push_groups(&self) -> Result<Vec<PushGroup>, Error> {
        self.up(Vec::new())
    }

    fn push_text(&self) -> Result<String, Error> {
        self.up(String::new())
    }

    fn probe(&self, _: &ProbeRequest) -> Result<String, Error> {
        self.up(String::new())
    }

    fn wipe_push(&self) -> Result<(), Error> {
        self.up(())
    }

    fn compact(&self) -> Result<(), Error> {
        self.up(())
    }

    fn storage_report(&self, _: usize) -> Result<StorageReport, Error> {
        Ok(StorageReport::default())
    }

    fn import(&self, _: Vec<u8>, _: Option<ImportPart>) -> Result<ImportAnswer, Error> {
        Ok(ImportAnswer::default())
    }

    fn delete_series(&self, _: &[Vec<Matcher>], _: TimeRange) -> Result<(), Error> {
        self.up(())
    }

    fn clean_tombstones(&self) -> Result<(), Error> {
        self.up(())
    }

    fn snapshot(&self, _: bool) -> Result<String, Error> {
        Err(Error::not_found("not in this world"))
    }

    fn alertmanager_status(&self) -> Result<AlertmanagerStatus, Error> {
        Err(Error::not_found("not in this world"))
    }

    fn receivers(&self, _: &[Matcher]) -> Result<Vec<ReceiverForm>, Error> {
        self.up(Vec::new())
    }

    fn alertmanager_alerts(&self, _: &AlertFilter) -> Result<Vec<GettableAlert>, Error> {
        self.up(Vec::new())
    }

    fn post_alerts(&self, _: Vec<PostableAlert>) -> Result<(), Error> {
        self.up(())
    }

    fn alert_groups(&self, _: &AlertFilter) -> Result<Vec<AlertGroup>, Error> {
        self.up(Vec::new())
    }

    fn silences(&self, _: &[Matcher]) -> Result<Vec<SilenceForm>, Error> {
        let disk = [("instance", "gitserver-0", false), ("alertname", "Disk.*", true)];
        self.up(vec![
            silence("a01b7742", "active", -50, 9, &[("alertname", "ZoektDown", false)]),
            silence("7f3c21aa", "active", -32, 70, &disk),
            silence("d1d1ff00", "pending", 168, 288, &[("team", "ops", false)]),
            silence("99ab02cd", "expired", -400, -40, &[("alertname", "Old", false)]),
        ])
    }

    fn silence(&self, _: &str) -> Result<SilenceForm, Error> {
        Err(Error::not_found("not in this world"))
    }

    fn post_silence(&self, silence: PostableSilence) -> Result<String, Error> {
        self.posted.lock().expect("not poisoned").push(silence);
        self.up("0123456789".to_owned())
    }

    fn expire_silence(&self, id: &str) -> Result<(), Error> {
        self.expired.lock().expect("not poisoned").push(id.to_owned());
        self.up(())
    }

    fn history(&self, request: &HistoryRequest) -> Result<HistoryAnswer, Error> {
        self.asked.lock().expect("not poisoned").push(request.clone());
        if let Some(error) = self.history_error.lock().expect("not poisoned").clone() {
            return Err(error);
        }
        let meant = |row: &&HistoryRow| {
            request.matchers.iter().all(|one| one.matches(&row.labels))
                && request.kind.as_ref().is_none_or(|kind| *kind == row.kind)
                && request.start.is_none_or(|start| row.at >= start)
                && request.end.is_none_or(|end| row.at <= end)
                && request.fingerprint.as_ref().is_none_or(|print| {
                    row.fingerprint == *print || row.body.to_string().contains(print)
                })
        };
        let after: i64 =
            request.cursor.as_ref().map_or(i64::MAX, |text| text.parse().expect("ours"));
        let history = self.history.lock().expect("not poisoned");
        let rows: Vec<_> = history.iter().filter(|row| row.id < after).filter(meant).collect();
        let more = rows.len() > request.limit;
        let rows: Vec<_> = rows.into_iter().take(request.limit).cloned().collect();
        let cursor = rows.last().filter(|_| more).map(|row| row.id.to_string());
        self.up(HistoryAnswer { rows, cursor })
    }

    fn acknowledge(&self, request: &AckRequest) -> Result<usize, Error> {
        self.acked.lock().expect("not poisoned").push(request.clone());
        self.up(request.fingerprints.len())
    }

    fn withdraw_ack(&self, fingerprint: &str, by: &str) -> Result<(), Error> {
        let one = (fingerprint.to_owned(), by.to_owned());
        self.withdrawn.lock().expect("not poisoned").push(one);
        self.up(())
    }

    fn active_queries(&self) -> Result<Vec<ActiveQuery>, Error> {
        self.up(Vec::new())
    }

    fn top_queries(&self, _: usize) -> Result<TopQueries, Error> {
        self.up(TopQueries::default())
    }

    fn cancel_query(&self, _: &str) -> Result<(), Error> {
        self.up(())
    }

    fn alert_rows(&self) -> Result<Vec<AlertRow>, Error> {
        self.up(self.alerts.lock().expect("not poisoned").clone())
    }

    fn status(&self) -> Result<WatchStatus, Error> {
        let receiver = |name: &str, failing: bool| ReceiverStatus {
            name: name.to_owned(),
            integration: "webhook".to_owned(),
            last_ok: Some(ago(38)),
            failing_since: failing.then(|| ago(6)),
            last_error: if failing { "HTTP 404" } else { "" }.to_owned(),
            sent: 12,
            failed: if failing { 3 } else { 0 },
        };
        let mut resolved = disk_full("gitserver-9", 400, "0.8");
        resolved.resolved_at = Some(ago(360));
        self.up(WatchStatus {
            server: "srcgraph-1".to_owned(),
            version: if *self.foreign.lock().expect("not poisoned") { "" } else { "0.1.0" }
                .to_owned(),
            now: NOW,
            started: ago(15_840),
            pid: 812,
            resident_bytes: 212 << 20,
            newest: Some(NOW.plus_millis(-4_000)),
            evaluation_interval_seconds: 15.0,
            storage: StorageStatus {
                series: 212_000,
                samples_total: 5_100_000,
                refused_total: 12,
                block_bytes: 3 << 30,
                blocks: 5,
                wal_bytes: 12 << 20,
                free_bytes: 20 << 30,
                oldest: Some(ago(15_840)),
                retention: "15d".to_owned(),
                refusing: None,
            },
            heartbeats: Vec::new(),
            expected: Vec::new(),
            receivers: vec![receiver("oncall", false), receiver("slack-oncall", true)],
            config_file: "/etc/watchbell/watchbell.yml".to_owned(),
            config_error: None,
            warnings: vec!["remote_read is known, but not built yet".to_owned()],
            listen: vec!["127.0.0.1:9090".to_owned()],
            last_resolved: Some(Box::new(resolved)),
        })
    }

    fn changes_after(&self, _: u64, _: Duration) -> Result<Changes, Error> {
        self.up(Changes { revision: *self.revision.lock().expect("not poisoned") })
    }
}
