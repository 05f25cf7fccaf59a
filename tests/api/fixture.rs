//! A core with fixed answers, and the servers in front of it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use watchbell::api::socket::{self, SocketLimits, SocketServer};
use watchbell::api::tcp::{self, TcpLimits};
use watchbell::api::{Api, ApiSettings, Request, handle};
use watchbell::client::Remote;
use watchbell::model::{Annotations, Labels, MatchOp, Matcher, TimeRange, Timestamp};
use watchbell::sys::clock::SystemClock;
use watchbell::sys::http::SystemHttp;
use watchbell::sys::metrics::Registry;
use watchbell::sys::settings::HttpClientSettings;
use watchbell::sys::tasks::{self, BlockingRuntime, Shutdown};
use watchbell::wire::*;

pub(crate) const ID: &str = "a1b2c3d4-0000-4000-8000-0123456789ab";

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}

fn up() -> Labels {
    Labels::from_pairs([("__name__", "up"), ("job", "node")])
}

pub(crate) fn alert() -> Labels {
    Labels::from_pairs([("alertname", "X"), ("sev", "a")])
}

/// A core whose answers never change; what it is told is kept in `told`.
#[derive(Debug, Default)]
pub(crate) struct Fixture {
    pub(crate) told: Mutex<Vec<String>>,
    pub(crate) starting: AtomicBool,
    /// Queries for `block` wait until this is set.
    pub(crate) released: Arc<(Mutex<bool>, Condvar)>,
}

impl Fixture {
    fn tell(&self, text: String) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    pub(crate) fn told(&self) -> Vec<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn release(&self) {
        *self.released.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.released.1.notify_all();
    }

    fn evaluate(&self, expr: &str, ts: Timestamp) -> Result<Answer<QueryData>, Error> {
        let vector = |value| QueryData::Vector(vec![VectorSample { metric: up(), ts, value }]);
        Ok(match expr {
            "" => {
                return Err(Error::bad_data(
                    "unknown position: parse error: no expression found in input",
                ));
            }
            "sum(" => return Err(Error::bad_data("1:5: parse error: unclosed left parenthesis")),
            "many" => {
                return Err(Error::new(
                    ErrorKind::Execution,
                    "found duplicate series for the match group",
                ));
            }
            "slow" => {
                return Err(Error::new(
                    ErrorKind::Timeout,
                    "query timed out in expression evaluation",
                ));
            }
            "1" => Answer::plain(QueryData::Scalar(ts, 1.0)),
            "'a'" => Answer::plain(QueryData::String(ts, "a".to_owned())),
            "warned" => Answer {
                data: vector(0.1),
                warnings: vec!["w".to_owned()],
                infos: vec!["i".to_owned()],
                account: None,
            },
            "panic" => panic!("a test asked for it"),
            "block" => {
                let released = self.released.0.lock().unwrap_or_else(PoisonError::into_inner);
                drop(self.released.1.wait_while(released, |released| !*released));
                Answer::plain(QueryData::Scalar(ts, 2.0))
            }
            _ => Answer::plain(vector(f64::INFINITY)),
        })
    }

    fn gettable() -> GettableAlert {
        GettableAlert {
            labels: alert(),
            annotations: Annotations::from_pairs([("summary", "s <b> \u{e9}")]),
            starts_at: at(0),
            ends_at: at(60_000),
            updated_at: at(1),
            generator_url: "/graph?g0.expr=up&g0.tab=1".to_owned(),
            fingerprint: alert().fingerprint().to_string(),
            receivers: vec![ReceiverName { name: "def".to_owned() }],
            status: GettableAlertStatus {
                state: "suppressed".to_owned(),
                silenced_by: vec![ID.to_owned()],
                inhibited_by: Vec::new(),
                muted_by: Vec::new(),
            },
        }
    }

    fn silence_form() -> SilenceForm {
        SilenceForm {
            id: ID.to_owned(),
            status: SilenceStatus { state: "active".to_owned() },
            updated_at: at(0),
            matchers: vec![MatcherForm {
                name: "sev".to_owned(),
                value: "a|b".to_owned(),
                is_regex: true,
                is_equal: true,
            }],
            starts_at: at(0),
            ends_at: at(3_600_000),
            created_by: "me".to_owned(),
            comment: "c".to_owned(),
            annotations: Annotations::empty(),
        }
    }
}

/// What a query took, as far as it was asked.
fn account(detail: Detail) -> Option<Box<Account>> {
    let stats = detail.stats.then(|| QueryStats {
        timings: QueryTimings { exec_total_time: 0.5, ..QueryTimings::default() },
        samples: QuerySamples { total_queryable_samples: 7, samples_read: 6, peak_samples: 5 },
    });
    let closest = ClosestSeries { metric: up(), value: 1.0, distance: f64::INFINITY, holds: true };
    let limit = RuleLimit {
        left: "up".to_owned(),
        op: ">".to_owned(),
        value: Some(0.0),
        right: "0".to_owned(),
    };
    let explain = detail.explain.then(|| Explain {
        root: ExplainNode { text: "up".to_owned(), end: 2, series: 1, ..ExplainNode::default() },
        limit: Some(ExplainLimit { limit, closest: vec![closest] }),
    });
    detail.is_some().then(|| Box::new(Account { stats, explain }))
}

/// `name{a="b",c=~"d"}`: enough of a parser for a fixture.
fn matchers(text: &str) -> Result<Vec<Matcher>, Error> {
    let wrong =
        || Error::bad_data(format!("1:{}: parse error: unexpected end of input", text.len()));
    let (name, inner) = match text.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}').ok_or_else(wrong)?),
        None => (text, ""),
    };
    let mut found = Vec::new();
    if !name.is_empty() {
        found.push(Matcher::equal("__name__", name));
    }
    for part in inner.split(',').filter(|part| !part.is_empty()) {
        found.push(one_matcher(part).ok_or_else(wrong)?);
    }
    Ok(found)
}

fn one_matcher(text: &str) -> Option<Matcher> {
    for (sign, op) in [
        ("=~", MatchOp::Regex),
        ("!~", MatchOp::NotRegex),
        ("!=", MatchOp::NotEqual),
        ("=", MatchOp::Equal),
    ] {
        if let Some((name, value)) = text.split_once(sign) {
            return Matcher::new(name, op, value.trim_matches('"')).ok();
        }
    }
    None
}

/// What waits is not begun on a thread that must not.
fn give_up_if_long(call: &Call, expr: &str) -> Result<(), Error> {
    if call.hurry.is_on() && ["endless", "block"].contains(&expr) {
        call.hurry.give_up();
        return Err(Error::internal("the answer would take longer"));
    }
    Ok(())
}

impl Core for Fixture {
    fn query(&self, call: &Call, query: &InstantQuery) -> Result<Answer<QueryData>, Error> {
        give_up_if_long(call, &query.expr)?;
        self.tell(format!("{query:?}"));
        if query.expr == "endless" {
            while !call.is_canceled() {
                std::thread::yield_now();
            }
            self.tell(format!("canceled, asked by {}", call.client));
            return Err(Error::new(ErrorKind::Canceled, "query was canceled"));
        }
        let answer = self.evaluate(&query.expr, query.time.unwrap_or(at(250)))?;
        Ok(Answer { account: account(query.detail), ..answer })
    }

    fn query_range(&self, call: &Call, query: &RangeQuery) -> Result<Answer<QueryData>, Error> {
        give_up_if_long(call, &query.expr)?;
        self.tell(format!("{query:?}"));
        self.evaluate(&query.expr, query.start)?;
        let values = vec![(query.start, 1.0), (query.start.plus(query.step), f64::NEG_INFINITY)];
        let answer = Answer::plain(QueryData::Matrix(vec![MatrixSeries { metric: up(), values }]));
        Ok(Answer { account: account(query.detail), ..answer })
    }

    fn query_exemplars(
        &self,
        _: &Call,
        query: &ExemplarQuery,
    ) -> Result<Option<Vec<ExemplarSeries>>, Error> {
        self.tell(format!("{query:?}"));
        self.evaluate(&query.expr, at(0))?;
        let exemplar = |labels: &[(&str, &str)], value, ts| ExemplarForm {
            labels: labels.iter().copied().collect(),
            value,
            ts: Timestamp::from_millis(ts),
        };
        let exemplars = vec![
            exemplar(&[], 0.5, 1_600_000_000_000),
            exemplar(&[("trace_id", "q1"), ("a", "\"")], 1e10, 1_795_635_380_018),
        ];
        let found = vec![ExemplarSeries { series_labels: up(), exemplars }];
        Ok((query.expr != "1").then_some(found))
    }

    fn query_hints(&self, _: &Call, expr: &str, range: TimeRange) -> Result<Vec<String>, Error> {
        self.tell(format!("hints {expr} {range:?}"));
        self.evaluate(expr, at(0)).map(|_| vec![format!("no series has the name {expr}")])
    }

    fn format_query(&self, expr: &str) -> Result<String, Error> {
        self.evaluate(expr, at(0)).map(|_| format!("({expr})"))
    }

    fn parse_query(&self, expr: &str) -> Result<serde_json::Value, Error> {
        self.evaluate(expr, at(0))
            .map(|_| serde_json::json!({"type": "stringLiteral", "val": expr}))
    }

    fn parse_matchers(&self, selector: &str) -> Result<Vec<Matcher>, Error> {
        matchers(selector)
    }

    fn parse_alert_matchers(&self, text: &str) -> Result<Vec<Matcher>, Error> {
        let inner = text.trim_start_matches('{').trim_end_matches('}');
        let wrong = || Error::bad_data(format!("bad matcher format: {text}"));
        inner.split(',').map(|part| one_matcher(part).ok_or_else(wrong)).collect()
    }

    fn parse_alert_matcher(&self, text: &str) -> Result<Matcher, Error> {
        let wrong = || Error::bad_data(format!("bad matcher format: {text}"));
        one_matcher(text).filter(|_| !text.starts_with('{')).ok_or_else(wrong)
    }

    fn series(&self, _: &Call, request: &SeriesRequest) -> Result<Answer<Vec<Labels>>, Error> {
        self.tell(format!("{request:?}"));
        Ok(Answer {
            data: vec![up()],
            warnings: vec!["results truncated due to limit".to_owned()],
            infos: Vec::new(),
            account: None,
        })
    }

    fn label_names(&self, _: &Call, req: &SeriesRequest) -> Result<Answer<Vec<String>>, Error> {
        self.tell(format!("{req:?}"));
        Ok(Answer::plain(vec!["__name__".to_owned(), "job".to_owned()]))
    }

    fn label_values(
        &self,
        _: &Call,
        name: &str,
        request: &SeriesRequest,
    ) -> Result<Answer<Vec<String>>, Error> {
        self.tell(format!("{name} {request:?}"));
        Ok(Answer::plain(vec![format!("value of {name}")]))
    }

    fn metadata(
        &self,
        request: &MetadataRequest,
    ) -> Result<BTreeMap<String, Vec<MetadataEntry>>, Error> {
        self.tell(format!("{request:?}"));
        let entry =
            MetadataEntry { kind: "gauge".to_owned(), help: "Up.".to_owned(), unit: String::new() };
        Ok([("up".to_owned(), vec![entry])].into())
    }

    fn targets(&self, state: TargetState, pool: Option<&str>) -> Result<TargetsAnswer, Error> {
        self.tell(format!("{state:?} {pool:?}"));
        let target = TargetForm {
            discovered_labels: Labels::from_pairs([("__address__", "localhost:9100")]),
            labels: Labels::from_pairs([("job", "node")]),
            scrape_pool: "node".to_owned(),
            scrape_url: "http://localhost:9100/metrics".to_owned(),
            global_url: "http://box:9100/metrics".to_owned(),
            last_error: String::new(),
            last_scrape: Some(at(1)),
            last_scrape_duration: 0.005,
            health: TargetHealth::Up,
            scrape_interval: "15s".to_owned(),
            scrape_timeout: "10s".to_owned(),
            samples: 7,
            since: None,
            notes: Vec::new(),
        };
        Ok(TargetsAnswer { active_targets: vec![target], ..TargetsAnswer::default() })
    }

    fn targets_metadata(
        &self,
        request: &TargetMetadataRequest,
    ) -> Result<Vec<TargetMetadata>, Error> {
        self.tell(format!("{request:?}"));
        let said =
            MetadataEntry { kind: "gauge".to_owned(), help: "Up.".to_owned(), unit: String::new() };
        let target = Labels::from_pairs([("job", "node")]);
        let metric = request.metric.is_none().then(|| "up".to_owned());
        Ok(vec![TargetMetadata { target, metric, said }])
    }

    fn relabel_steps(&self, pool: &str, labels: &Labels) -> Result<RelabelSteps, Error> {
        self.tell(format!("{pool} {labels}"));
        if pool != "node" {
            let text = "error retrieving scrape config: scrape pool \"x\" not found";
            return Err(Error::bad_data(text));
        }
        let rule = RelabelRule {
            source_labels: vec!["job".to_owned()],
            separator: ";".to_owned(),
            regex: "n.*".to_owned(),
            replacement: "$1".to_owned(),
            action: "keep".to_owned(),
            ..RelabelRule::default()
        };
        let step = RelabelStep { rule, output: labels.clone(), keep: true };
        Ok(RelabelSteps { steps: vec![step] })
    }

    fn scrape_pools(&self) -> Result<Vec<String>, Error> {
        Ok(vec!["node".to_owned()])
    }

    fn rules(&self, request: &RulesRequest) -> Result<RulesAnswer, Error> {
        self.tell(format!("{request:?}"));
        let rule = RuleForm::Alerting {
            state: "firing".to_owned(),
            name: "X".to_owned(),
            query: "up == 0".to_owned(),
            duration: 60.0,
            keep_firing_for: 0.0,
            labels: Annotations::from_pairs([("sev", "a")]),
            annotations: Annotations::empty(),
            alerts: Some(self.alerts()?.alerts),
            health: "ok".to_owned(),
            last_error: String::new(),
            evaluation_time: 0.001,
            last_evaluation: Some(at(2)),
            limit: None,
            evaluations: Vec::new(),
        };
        Ok(RulesAnswer {
            groups: vec![RuleGroupForm {
                name: "g".to_owned(),
                file: "rules.yml".to_owned(),
                rules: vec![rule],
                interval: 15.0,
                limit: 0,
                evaluation_time: 0.002,
                last_evaluation: Some(at(2)),
            }],
            group_next_token: None,
        })
    }

    fn alerts(&self) -> Result<AlertsAnswer, Error> {
        Ok(AlertsAnswer {
            alerts: vec![AlertForm {
                labels: alert(),
                annotations: Annotations::empty(),
                state: "firing".to_owned(),
                active_at: Some(at(0)),
                keep_firing_since: None,
                value: "1e+00".to_owned(),
            }],
        })
    }

    fn alertmanagers(&self) -> Result<AlertmanagersAnswer, Error> {
        Ok(AlertmanagersAnswer::default())
    }

    fn config(&self) -> Result<ConfigAnswer, Error> {
        Ok(ConfigAnswer { yaml: "global: {}\n".to_owned() })
    }

    fn flags(&self) -> Result<BTreeMap<String, String>, Error> {
        Ok([("web.enable-lifecycle".to_owned(), "false".to_owned())].into())
    }

    fn language(&self) -> Result<BTreeMap<String, BTreeMap<String, bool>>, Error> {
        let functions = [("abs".to_owned(), true), ("info".to_owned(), false)];
        Ok([("promql_functions".to_owned(), functions.into())].into())
    }

    fn runtime_info(&self) -> Result<RuntimeInfo, Error> {
        Ok(RuntimeInfo {
            start_time: at(0),
            CWD: "/".to_owned(),
            hostname: "box".to_owned(),
            server_time: at(5),
            reload_config_success: true,
            last_config_time: at(0),
            corruption_count: 0,
            goroutine_count: 9,
            GOMAXPROCS: 2,
            GOGC: String::new(),
            GODEBUG: String::new(),
            GOMEMLIMIT: 0,
            storage_retention: "15d".to_owned(),
        })
    }

    fn build_info(&self) -> Result<BuildInfo, Error> {
        let text = |text: &str| text.to_owned();
        Ok(BuildInfo {
            version: text("3.14.0"),
            revision: text("r"),
            branch: text("b"),
            build_user: text("u"),
            build_date: text("d"),
            go_version: text("rustc"),
            watchbell: Some(text("0.1.0")),
        })
    }

    fn tsdb_status(&self, limit: usize) -> Result<TsdbStatus, Error> {
        let named = NameValue { name: "up".to_owned(), value: limit as u64 };
        Ok(TsdbStatus { series_count_by_metric_name: vec![named], ..TsdbStatus::default() })
    }

    fn wal_replay(&self) -> Result<WalReplay, Error> {
        Ok(WalReplay { min: 0, max: 3, current: 2 })
    }

    fn readiness(&self) -> Readiness {
        if self.starting.load(Ordering::Relaxed) {
            return Readiness::Starting(WalReplay { min: 0, max: 3, current: 2 });
        }
        Readiness::Ready
    }

    fn reload(&self) -> Result<Vec<String>, Error> {
        self.tell("reload".to_owned());
        Ok(vec!["silence 1 does not act".to_owned()])
    }

    fn quit(&self) -> Result<(), Error> {
        self.tell("quit".to_owned());
        Ok(())
    }

    fn own_metrics(&self) -> Result<String, Error> {
        Ok("# TYPE up gauge\nup 1\n".to_owned())
    }

    fn remote_write(&self, request: RawWrite) -> Result<WriteOutcome, Error> {
        self.tell(format!("{request:?}"));
        if request.body.is_empty() {
            return Err(Error::bad_data("snappy: corrupt input"));
        }
        let is_v2 = request.content_type.contains("v2.Request");
        let written = Written { samples: 3, histograms: 0, exemplars: 1 };
        Ok(WriteOutcome { refused: None, written: is_v2.then_some(written) })
    }

    fn otlp_write(&self, request: RawWrite) -> Result<OtlpOutcome, Error> {
        self.tell(format!("{request:?}"));
        match request.body.as_slice() {
            b"" => Err(Error::bad_data("no body")),
            b"late" => Ok(OtlpOutcome {
                refused: Some("out of order sample".to_owned()),
                ..OtlpOutcome::default()
            }),
            _ => Ok(OtlpOutcome {
                refused: None,
                rejected_points: request.body.len() - 1,
                message: "why".to_owned(),
            }),
        }
    }

    fn push(&self, request: RawPush) -> Result<(), Error> {
        self.tell(format!("{request:?}"));
        match request.ttl.as_str() {
            "wrong" => Err(Error::bad_data("cannot read the time to live")),
            _any => Ok(()),
        }
    }

    fn push_groups(&self) -> Result<Vec<PushGroup>, Error> {
        Ok(vec![PushGroup(BTreeMap::from([
            ("last_push_successful".to_owned(), PushField::Flag(true)),
            (
                "labels".to_owned(),
                PushField::Labels(BTreeMap::from([("job".to_owned(), "j".to_owned())])),
            ),
        ]))])
    }

    fn push_text(&self) -> Result<String, Error> {
        Ok("# TYPE pushed gauge\npushed{job=\"j\"} 1\n".to_owned())
    }

    fn probe(&self, request: &ProbeRequest) -> Result<String, Error> {
        self.tell(format!("probe {request:?}"));
        if request.listed_only {
            return Err(Error::new(ErrorKind::Forbidden, "not listed"));
        }
        Ok(format!("# TYPE probe_success gauge\nprobe_success {}\n", request.target.len()))
    }

    fn wipe_push(&self) -> Result<(), Error> {
        self.tell("wipe".to_owned());
        Ok(())
    }

    fn compact(&self) -> Result<(), Error> {
        self.tell("compact".to_owned());
        Ok(())
    }

    fn storage_report(&self, _: usize) -> Result<StorageReport, Error> {
        Ok(StorageReport::default())
    }

    fn import(&self, _: Vec<u8>, _: Option<ImportPart>) -> Result<ImportAnswer, Error> {
        Ok(ImportAnswer::default())
    }

    fn delete_series(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Result<(), Error> {
        let (from, to) = (range.from().as_millis(), range.to().as_millis());
        self.tell(format!("delete {selectors:?} {from} {to}"));
        Ok(())
    }

    fn clean_tombstones(&self) -> Result<(), Error> {
        self.tell("clean".to_owned());
        Ok(())
    }

    fn snapshot(&self, skip_head: bool) -> Result<String, Error> {
        self.tell(format!("snapshot {skip_head}"));
        Ok("20261124T020304Z-00000000000000ff".to_owned())
    }

    fn alertmanager_status(&self) -> Result<AlertmanagerStatus, Error> {
        let text = |text: &str| text.to_owned();
        Ok(AlertmanagerStatus {
            cluster: ClusterStatus { status: text("disabled"), peers: Vec::new() },
            version_info: VersionInfo {
                version: text("0.34.0"),
                revision: text("r"),
                branch: text("b"),
                build_user: text("u"),
                build_date: text("d"),
                go_version: text("rustc"),
            },
            config: ConfigText { original: text("route: {receiver: def}\n") },
            uptime: at(0),
        })
    }

    fn receivers(&self, _: &[Matcher]) -> Result<Vec<ReceiverForm>, Error> {
        Ok(vec![ReceiverForm { name: "def".to_owned(), labels: Labels::empty() }])
    }

    fn alertmanager_alerts(&self, filter: &AlertFilter) -> Result<Vec<GettableAlert>, Error> {
        self.tell(format!("{filter:?}"));
        Ok(vec![Self::gettable()])
    }

    fn post_alerts(&self, alerts: Vec<PostableAlert>) -> Result<(), Error> {
        self.tell(format!("{alerts:?}"));
        if alerts.iter().any(|alert| alert.labels.is_empty()) {
            return Err(Error::bad_data("at least one label pair required"));
        }
        Ok(())
    }

    fn alert_groups(&self, filter: &AlertFilter) -> Result<Vec<AlertGroup>, Error> {
        self.tell(format!("{filter:?}"));
        Ok(vec![AlertGroup {
            route_labels: Labels::empty(),
            labels: Labels::from_pairs([("alertname", "X")]),
            receiver: ReceiverName { name: "def".to_owned() },
            alerts: vec![Self::gettable()],
        }])
    }

    fn silences(&self, filter: &[Matcher]) -> Result<Vec<SilenceForm>, Error> {
        self.tell(format!("{filter:?}"));
        Ok(vec![Self::silence_form()])
    }

    fn silence(&self, id: &str) -> Result<SilenceForm, Error> {
        if id == ID {
            return Ok(Self::silence_form());
        }
        Err(Error::not_found(format!("silence {id} not found")))
    }

    fn post_silence(&self, silence: PostableSilence) -> Result<String, Error> {
        self.tell(format!("{silence:?}"));
        match silence.id {
            Some(id) if id != ID => Err(Error::not_found(format!("silence {id} not found"))),
            Some(_) | None => Ok(ID.to_owned()),
        }
    }

    fn expire_silence(&self, id: &str) -> Result<(), Error> {
        self.tell(format!("expire {id}"));
        self.silence(id).map(|_| ())
    }

    fn history(&self, request: &HistoryRequest) -> Result<HistoryAnswer, Error> {
        self.tell(format!("{request:?}"));
        let row = HistoryRow {
            id: 3,
            at: at(7),
            kind: "notified".to_owned(),
            fingerprint: String::new(),
            labels: alert(),
            body: serde_json::json!({"status": "ok", "firing": [alert().fingerprint().to_string()]}),
        };
        Ok(HistoryAnswer { rows: vec![row], cursor: Some("5:3".to_owned()) })
    }

    fn acknowledge(&self, request: &AckRequest) -> Result<usize, Error> {
        self.tell(format!("{request:?}"));
        if request.by.is_empty() {
            return Err(Error::bad_data("by must say who"));
        }
        Ok(2)
    }

    fn withdraw_ack(&self, fingerprint: &str, by: &str) -> Result<(), Error> {
        self.tell(format!("withdraw {fingerprint} {by}"));
        match fingerprint {
            "476f33eddce37ce9" => Ok(()),
            _ => Err(Error::not_found(format!("alert {fingerprint} is not acknowledged"))),
        }
    }

    fn test_receiver(&self, test: &ReceiverTest) -> Result<Vec<IntegrationTest>, Error> {
        self.tell(format!("{test:?}"));
        if test.receiver != "a/b" {
            return Err(Error::not_found(format!("no receiver has the name {:?}", test.receiver)));
        }
        Ok(vec![IntegrationTest {
            integration: "webhook".to_owned(),
            index: 1,
            error: None,
            code: Some(200),
            answer: "ok".to_owned(),
            took_ms: 12,
        }])
    }

    fn begin_drill(&self, drill: &Drill) -> Result<DrillReport, Error> {
        self.tell(format!("{drill:?}"));
        self.drill(&alert().fingerprint().to_string())
    }

    fn drill(&self, fingerprint: &str) -> Result<DrillReport, Error> {
        self.tell(format!("drill {fingerprint}"));
        if fingerprint != alert().fingerprint().to_string() {
            return Err(Error::not_found(format!("no drill has the fingerprint {fingerprint}")));
        }
        Ok(DrillReport {
            fingerprint: fingerprint.to_owned(),
            labels: alert(),
            started: at(0),
            ends: at(300_000),
            firing: true,
            route: RouteTest::default(),
            steps: vec![DrillStep {
                at: at(7),
                what: "told".to_owned(),
                receiver: "r".to_owned(),
                integration: "webhook[0]".to_owned(),
                took_ms: Some(5),
                attempts: 1,
                code: Some(200),
                said: "ok".to_owned(),
            }],
            waits_for: vec![DrillWait {
                receiver: "r".to_owned(),
                integration: "webhook[1]".to_owned(),
                next_flush: Some(at(9)),
            }],
        })
    }

    fn end_drill(&self, fingerprint: &str) -> Result<DrillReport, Error> {
        self.tell(format!("end {fingerprint}"));
        Ok(DrillReport { firing: false, ..self.drill(fingerprint)? })
    }

    fn route_test(&self, request: &RouteTestRequest) -> Result<RouteTest, Error> {
        self.tell(format!("{request:?}"));
        let miss = RouteMiss { matcher: "a=\"b\"".to_owned(), found: "c".to_owned() };
        let node = RouteStep {
            path: "{}/{a=\"b\"}".to_owned(),
            depth: 1,
            matchers: "{a=\"b\"}".to_owned(),
            matched: false,
            closest_miss: Some(miss),
            continues: false,
        };
        let last = RouteFinal {
            route: "{}".to_owned(),
            receiver: "r".to_owned(),
            integrations: vec!["webhook[0]".to_owned()],
            group_labels: alert(),
            group_key: "{}:{}".to_owned(),
            group_wait_seconds: 30.0,
            group_interval_seconds: 300.0,
            repeat_interval_seconds: 14_400.0,
            muted_by: vec!["nights".to_owned()],
            group: Some(OpenGroup { members: 2, next_flush: Some(at(9)) }),
        };
        Ok(RouteTest {
            nodes: vec![node],
            finals: vec![last],
            silenced_by: vec!["s".to_owned()],
            inhibited_by: vec!["i".to_owned()],
        })
    }

    fn grouping_preview(&self, request: &GroupingRequest) -> Result<GroupingPreview, Error> {
        self.tell(format!("{request:?}"));
        let group = GroupPreview { labels: alert(), alerts: vec!["x".to_owned()] };
        Ok(GroupingPreview { before: vec![group], after: Vec::new() })
    }

    fn active_queries(&self) -> Result<Vec<ActiveQuery>, Error> {
        Ok(vec![ActiveQuery {
            id: "7".to_owned(),
            query: "sum(up)".to_owned(),
            client: "127.0.0.1".to_owned(),
            start: at(0),
            duration_seconds: 1.5,
            samples: 42,
        }])
    }

    fn top_queries(&self, limit: usize) -> Result<TopQueries, Error> {
        let one = |count| TopQuery {
            query: "up".to_owned(),
            count,
            average_seconds: 0.5,
            total_seconds: 0.5 * count as f64,
        };
        Ok(TopQueries { by_count: vec![one(2); limit.min(2)], ..TopQueries::default() })
    }

    fn cancel_query(&self, id: &str) -> Result<(), Error> {
        match id {
            "7" => {
                self.tell(format!("cancel {id}"));
                Ok(())
            }
            _ => Err(Error::not_found(format!("no query with the id {id:?} is running"))),
        }
    }

    fn alert_rows(&self) -> Result<Vec<AlertRow>, Error> {
        Ok(vec![AlertRow {
            fingerprint: alert().fingerprint().to_string(),
            labels: alert(),
            annotations: Annotations::empty(),
            state: AlertState::Silenced,
            value: Some("1".to_owned()),
            active_at: Some(at(0)),
            fired_at: None,
            resolved_at: None,
            for_seconds: 60.0,
            source: "rules".to_owned(),
            expr: "up == 0".to_owned(),
            limit: Some(RuleLimit {
                left: "up".to_owned(),
                op: "==".to_owned(),
                value: Some(0.0),
                right: "0".to_owned(),
            }),
            rule_file: "rules.yml".to_owned(),
            rule_group: "g".to_owned(),
            interval_seconds: 15.0,
            receivers: vec!["def".to_owned()],
            route: "def".to_owned(),
            group_key: "{}:{}".to_owned(),
            silenced_by: vec![ID.to_owned()],
            inhibited_by: Vec::new(),
            muted_by: Vec::new(),
            deliveries: Vec::new(),
            sending: Vec::new(),
            ack: None,
            next_flush: None,
        }])
    }

    fn status(&self) -> Result<WatchStatus, Error> {
        Ok(WatchStatus {
            server: "box".to_owned(),
            version: "0.1.0".to_owned(),
            now: at(0),
            started: at(-1000),
            pid: 7,
            resident_bytes: 1,
            newest: Some(at(0)),
            evaluation_interval_seconds: 15.0,
            storage: StorageStatus::default(),
            heartbeats: Vec::new(),
            expected: Vec::new(),
            receivers: Vec::new(),
            config_file: String::new(),
            config_error: None,
            warnings: vec!["open <port>".to_owned()],
            listen: Vec::new(),
            last_resolved: None,
        })
    }

    fn changes_after(&self, revision: u64, deadline: Duration) -> Result<Changes, Error> {
        self.tell(format!("changes {revision} {deadline:?}"));
        Ok(Changes { revision: revision + 1 })
    }
}

/// The API in front of a core.
pub(crate) fn api(core: Arc<dyn Core>, settings: ApiSettings) -> Api {
    Api::new(core, settings, Registry::new(), Arc::new(SystemClock::new()))
}

/// An answer as a test compares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// The API over loopback and over a unix socket.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) core: Arc<Fixture>,
    pub(crate) tcp: SocketAddr,
    pub(crate) socket: PathBuf,
    shutdown: Shutdown,
    _socket_server: SocketServer,
    _dir: tempfile::TempDir,
    _runtime: BlockingRuntime,
}

impl Servers {
    pub(crate) fn start(settings: ApiSettings, limits: TcpLimits) -> Self {
        let core = Arc::new(Fixture::default());
        let api = Arc::new(api(Arc::clone(&core) as Arc<dyn Core>, settings));
        let runtime = BlockingRuntime::new("test server").expect("a thread");
        let listener = tcp::bind("127.0.0.1:0").expect("loopback");
        let tcp = listener.local_addr().expect("bound");
        let shutdown = Shutdown::new();
        let serve = tcp::serve(Arc::clone(&api), listener, limits, shutdown.clone());
        runtime.wait(async { drop(tasks::spawn("serve", serve)) });
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("s.sock");
        let limits =
            SocketLimits { body_bytes_max: limits.body_bytes_max, ..SocketLimits::default() };
        let socket_server = socket::serve(api, &path, limits).expect("a socket");
        Self {
            core,
            tcp,
            socket: path,
            shutdown,
            _socket_server: socket_server,
            _dir: dir,
            _runtime: runtime,
        }
    }

    pub(crate) fn usual() -> Self {
        Self::start(ApiSettings::default(), TcpLimits::default())
    }

    pub(crate) fn remote(&self, address: &str) -> Remote {
        let http = SystemHttp::new();
        let clock = Arc::new(SystemClock::new());
        Remote::new(&http, &HttpClientSettings::default(), clock, address, None).expect("a remote")
    }

    /// Asks the listener on loopback to stop.
    pub(crate) fn stop(&self) {
        self.shutdown.trigger();
    }

    pub(crate) fn over_tcp(&self, raw: &[u8]) -> Seen {
        talk(TcpStream::connect(self.tcp).expect("connects"), raw)
    }

    pub(crate) fn over_socket(&self, raw: &[u8]) -> Seen {
        talk(UnixStream::connect(&self.socket).expect("connects"), raw)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

/// Sends bytes and reads one answer.
pub(crate) fn talk(mut stream: impl Read + Write, raw: &[u8]) -> Seen {
    // A server that has seen enough closes while we still send.
    let _ = stream.write_all(raw);
    read_answer(&mut stream)
}

/// Reads one answer with a length.
pub(crate) fn read_answer(stream: &mut impl Read) -> Seen {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.extend_from_slice(&byte),
            Ok(_) | Err(_) => break,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    let _ = stream.read_exact(&mut body);
    Seen { status, headers, body: String::from_utf8_lossy(&body).into_owned() }
}

/// The same request as bytes.
pub(crate) fn raw(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text =
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method == "POST" || method == "PUT" {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    format!("{text}\r\n{body}").into_bytes()
}

/// The same request in process.
pub(crate) fn direct(
    api: &Api,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Seen {
    let mut request = Request::get(target);
    request.method = method.to_owned();
    request.body = body.as_bytes().to_vec();
    request.headers = headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), (*value).to_owned()))
        .collect();
    let response = handle(api, &request);
    Seen {
        status: response.status,
        headers: response
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        body: String::from_utf8_lossy(&response.body).into_owned(),
    }
}
