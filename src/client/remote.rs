//! `Core` by asking a server.

use super::transport::{Ask, Params, Server, escaped, seconds, span};
use super::{acking, foreign};
use crate::model::Labels;
use crate::model::{MatchOp, Matcher, TimeRange, Timestamp};
use crate::sys::clock::SharedClock;
use crate::sys::http::{Http, Method};
use crate::sys::locks::lock;
use crate::sys::settings::HttpClientSettings;
use crate::sys::tasks::BlockingRuntime;
use crate::wire::{
    AckRequest, ActiveQuery, AlertFilter, AlertGroup, AlertRow, AlertmanagerStatus,
    AlertmanagersAnswer, AlertsAnswer, Answer, BackfillAnswer, BackfillStep, BuildInfo, Call,
    Changes, ConfigAnswer, Core, Detail, Drill, DrillReport, Error, ErrorKind, ExemplarQuery,
    ExemplarSeries, GettableAlert, GroupingPreview, GroupingRequest, HistoryAnswer, HistoryRequest,
    ImportAnswer, ImportPart, InstantQuery, IntegrationTest, MatcherForm, MetadataEntry,
    MetadataRequest, OtlpOutcome, OtlpResponse, PostableAlert, PostableSilence, ProbeRequest,
    PushGroup, PushVerb, QueryData, QueryStats, RangeQuery, RawPush, RawWrite, Readiness,
    ReceiverForm, ReceiverTest, RelabelSteps, RouteTest, RouteTestRequest, RuleKind, RulesAnswer,
    RulesRequest, RuntimeInfo, SeriesRequest, SilenceForm, StorageReport, TargetMetadata,
    TargetMetadataRequest, TargetState, TargetsAnswer, TopQueries, TsdbStatus, WalReplay,
    WatchStatus, WriteOutcome, Written,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a call may take that writes blocks.
const ADMIN: Duration = Duration::from_secs(600);

/// Small questions are answered at once or not at all.
const QUICK: Duration = Duration::from_secs(10);
/// A probe ends in two minutes, whatever its module says.
const PROBE: Duration = Duration::from_secs(120);
/// The last part of an import waits until its blocks are on the disk.
const IMPORT: Duration = Duration::from_secs(600);
/// A test of a receiver waits 8 s for its answer, and the server for a free thread.
const TEST: Duration = Duration::from_secs(20);
/// Readiness is asked often and must not hold a screen up.
const READY: Duration = Duration::from_secs(1);
/// How often a screen looks at a server that cannot tell of changes.
const FOREIGN_POLL: Duration = Duration::from_secs(5);
/// How long a screen waits when a server has no place for one more that waits.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// What answers at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Watchbell,
    Foreign,
}

/// A server as a `Core`. Its methods block; call them where blocking is allowed.
#[derive(Debug)]
pub struct Remote {
    prometheus: Server,
    alertmanager: Option<Server>,
    clock: SharedClock,
    /// Found out by the first question that depends on it.
    kind: Mutex<Option<Kind>>,
}

impl Remote {
    /// The server at `prometheus`, which is `http://HOST:PORT/PREFIX` or `unix:PATH`.
    /// Alertmanager's API is that of watchbell itself unless `alertmanager` names another.
    ///
    /// # Errors
    /// An address or the settings cannot be used; nothing is asked yet.
    pub fn new(
        http: &dyn Http,
        settings: &HttpClientSettings,
        clock: SharedClock,
        prometheus: &str,
        alertmanager: Option<&str>,
    ) -> Result<Self, Error> {
        let client = http
            .client(settings, Path::new("."))
            .map_err(|problem| Error::bad_data(problem.to_string()))?;
        let runtime = BlockingRuntime::new("remote")
            .map_err(|err| Error::internal(format!("cannot start a thread: {err}")))?;
        let runtime = Arc::new(runtime);
        let server = |address: &str| {
            Server::new(address, Arc::clone(&client), Arc::clone(&runtime), Arc::clone(&clock))
        };
        let alertmanager = alertmanager.map(server).transpose()?;
        let prometheus = server(prometheus)?;
        Ok(Self { prometheus, alertmanager, clock, kind: Mutex::new(None) })
    }

    fn kind(&self) -> Result<Kind, Error> {
        if let Some(kind) = *lock(&self.kind) {
            return Ok(kind);
        }
        let ask = Ask::get("/api/v1/watchbell/status", Params::default());
        let found = match self.prometheus.success(&quick(), ask) {
            Ok(_) => Kind::Watchbell,
            // VictoriaMetrics refuses paths that it does not know with 400.
            Err(err) if matches!(err.kind, ErrorKind::NotFound | ErrorKind::BadData) => {
                Kind::Foreign
            }
            Err(err) => return Err(err),
        };
        *lock(&self.kind) = Some(found);
        Ok(found)
    }

    /// The server of Alertmanager's API.
    fn alerting(&self) -> Result<Server, Error> {
        if let Some(server) = &self.alertmanager {
            return Ok(server.clone());
        }
        match self.kind()? {
            Kind::Watchbell => Ok(self.prometheus.below("/alertmanager")),
            Kind::Foreign => {
                let text = "no Alertmanager is known; name it with --alertmanager";
                Err(Error::new(ErrorKind::Unavailable, text))
            }
        }
    }

    fn get<T: DeserializeOwned>(&self, path: &str, params: Params) -> Result<T, Error> {
        Ok(self.prometheus.envelope(&quick(), Ask::get(path, params))?.data)
    }

    fn get_alerting<T: DeserializeOwned>(&self, path: &str, params: Params) -> Result<T, Error> {
        self.alerting()?.bare(&quick(), Ask::get(path, params))
    }

    /// The answer to a query, with what it took when that is wanted.
    fn told(
        &self,
        call: &Call,
        path: &str,
        params: Params,
        detail: Detail,
    ) -> Result<Answer<QueryData>, Error> {
        let params = params
            .maybe("explain", detail.explain.then(|| "1".to_owned()))
            .maybe("stats", detail.stats.then(|| "true".to_owned()));
        let ask = Ask::form(path, &params);
        if !detail.stats {
            return self.prometheus.envelope(call, ask);
        }
        let mut answer: Answer<Counted> = self.prometheus.envelope(call, ask)?;
        let stats = answer.data.stats.take();
        let mut account = answer.account.take().unwrap_or_default();
        account.stats = stats;
        answer.account = Some(account);
        Ok(answer.map(|counted| counted.data))
    }

    /// What no other server has.
    fn own_only(&self, what: &str) -> Result<(), Error> {
        match self.kind()? {
            Kind::Watchbell => Ok(()),
            Kind::Foreign => Err(Error::not_offered(what)),
        }
    }

    fn matchers(&self, params: Params) -> Result<Vec<Matcher>, Error> {
        if self.kind()? == Kind::Foreign {
            let text = "this server cannot take a selector apart; watchbell can";
            return Err(Error::new(ErrorKind::Unavailable, text));
        }
        let forms: Vec<MatcherForm> = self.get("/api/v1/watchbell/matchers", params)?;
        forms.into_iter().map(matcher).collect()
    }
}

/// A matcher out of its JSON form.
fn matcher(form: MatcherForm) -> Result<Matcher, Error> {
    let op = match (form.is_regex, form.is_equal) {
        (false, true) => MatchOp::Equal,
        (false, false) => MatchOp::NotEqual,
        (true, true) => MatchOp::Regex,
        (true, false) => MatchOp::NotRegex,
    };
    Matcher::new(form.name, op, form.value).map_err(|err| Error::bad_data(err.to_string()))
}

fn quick() -> Call {
    Call::with_timeout(QUICK)
}

fn selector(matchers: &[Matcher]) -> String {
    let texts: Vec<_> = matchers.iter().map(ToString::to_string).collect();
    format!("{{{}}}", texts.join(","))
}

fn range_params(range: TimeRange) -> Params {
    // The ends of time are what the server takes for missing.
    let start = (range.from() != Timestamp::MIN).then(|| seconds(range.from()));
    let end = (range.to() != Timestamp::MAX).then(|| seconds(range.to()));
    Params::default().maybe("start", start).maybe("end", end)
}

fn series_params(request: &SeriesRequest) -> Params {
    let params = range_params(request.range).count("limit", request.limit);
    request.matchers.iter().fold(params, |params, list| params.with("match[]", &selector(list)))
}

fn alert_params(filter: &AlertFilter) -> Params {
    let flag =
        |params: Params, name, on: bool| if on { params } else { params.with(name, "false") };
    let mut params = filter_params(&filter.matchers);
    for (name, on) in [
        ("active", filter.active),
        ("silenced", filter.silenced),
        ("inhibited", filter.inhibited),
        ("muted", filter.muted),
        ("unprocessed", filter.unprocessed),
    ] {
        params = flag(params, name, on);
    }
    let params = params.maybe("receiver", filter.receiver.clone());
    matcher_params(params, "receiver_matchers", &filter.receiver_matchers)
}

fn filter_params(matchers: &[Matcher]) -> Params {
    matcher_params(Params::default(), "filter", matchers)
}

fn matcher_params(params: Params, name: &str, matchers: &[Matcher]) -> Params {
    matchers.iter().fold(params, |params, matcher| params.with(name, &matcher.to_string()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScrapePools {
    scrape_pools: Vec<String>,
}

/// A result with what it took.
#[derive(Deserialize)]
struct Counted {
    #[serde(flatten)]
    data: QueryData,
    stats: Option<QueryStats>,
}

#[derive(Deserialize)]
struct Posted {
    #[serde(rename = "silenceID")]
    silence_id: String,
}

impl Core for Remote {
    fn query(&self, call: &Call, query: &InstantQuery) -> Result<Answer<QueryData>, Error> {
        let params = Params::default()
            .with("query", &query.expr)
            .maybe("time", query.time.map(seconds))
            .maybe("timeout", query.timeout.map(span))
            .maybe("lookback_delta", query.lookback.map(span))
            .count("limit", query.limit);
        self.told(call, "/api/v1/query", params, query.detail)
    }

    fn query_range(&self, call: &Call, query: &RangeQuery) -> Result<Answer<QueryData>, Error> {
        let params = Params::default()
            .with("query", &query.expr)
            .with("start", &seconds(query.start))
            .with("end", &seconds(query.end))
            .with("step", &span(query.step))
            .maybe("timeout", query.timeout.map(span))
            .maybe("lookback_delta", query.lookback.map(span))
            .count("limit", query.limit);
        self.told(call, "/api/v1/query_range", params, query.detail)
    }

    fn query_exemplars(
        &self,
        call: &Call,
        query: &ExemplarQuery,
    ) -> Result<Option<Vec<ExemplarSeries>>, Error> {
        let path = "/api/v1/query_exemplars";
        let params = range_params(query.range).with("query", &query.expr);
        let response = self.prometheus.send(call, Ask::form(path, &params))?;
        if response.status == 204 {
            return Ok(None);
        }
        Ok(Some(self.prometheus.opened(path, &response)?.data))
    }

    fn query_hints(&self, call: &Call, expr: &str, range: TimeRange) -> Result<Vec<String>, Error> {
        if self.kind()? == Kind::Foreign {
            return Ok(Vec::new());
        }
        let params = range_params(range).with("query", expr);
        Ok(self.prometheus.envelope(call, Ask::form("/api/v1/watchbell/hints", &params))?.data)
    }

    fn format_query(&self, expr: &str) -> Result<String, Error> {
        let params = Params::default().with("query", expr);
        Ok(self.prometheus.envelope(&quick(), Ask::form("/api/v1/format_query", &params))?.data)
    }

    fn parse_query(&self, expr: &str) -> Result<serde_json::Value, Error> {
        let params = Params::default().with("query", expr);
        Ok(self.prometheus.envelope(&quick(), Ask::form("/api/v1/parse_query", &params))?.data)
    }

    fn parse_matchers(&self, selector: &str) -> Result<Vec<Matcher>, Error> {
        self.matchers(Params::default().with("selector", selector))
    }

    fn parse_alert_matchers(&self, text: &str) -> Result<Vec<Matcher>, Error> {
        self.matchers(Params::default().with("filter", text))
    }

    fn parse_alert_matcher(&self, text: &str) -> Result<Matcher, Error> {
        let found = self.matchers(Params::default().with("matcher", text))?;
        let one = found.into_iter().next();
        one.ok_or_else(|| Error::internal("the server read no matcher out of one"))
    }

    fn series(&self, call: &Call, request: &SeriesRequest) -> Result<Answer<Vec<Labels>>, Error> {
        let ask = Ask::form("/api/v1/series", &series_params(request));
        let answer: Answer<Vec<BTreeMap<String, String>>> = self.prometheus.envelope(call, ask)?;
        Ok(answer.map(|list| list.into_iter().map(Labels::from_pairs).collect()))
    }

    fn label_names(&self, call: &Call, req: &SeriesRequest) -> Result<Answer<Vec<String>>, Error> {
        self.prometheus.envelope(call, Ask::form("/api/v1/labels", &series_params(req)))
    }

    fn label_values(
        &self,
        call: &Call,
        name: &str,
        request: &SeriesRequest,
    ) -> Result<Answer<Vec<String>>, Error> {
        let path = format!("/api/v1/label/{}/values", escaped(name));
        self.prometheus.envelope(call, Ask::get(&path, series_params(request)))
    }

    fn metadata(
        &self,
        request: &MetadataRequest,
    ) -> Result<BTreeMap<String, Vec<MetadataEntry>>, Error> {
        let params = Params::default()
            .maybe("metric", request.metric.clone())
            .count("limit", request.limit)
            .count("limit_per_metric", request.limit_per_metric);
        self.get("/api/v1/metadata", params)
    }

    fn targets_metadata(
        &self,
        request: &TargetMetadataRequest,
    ) -> Result<Vec<TargetMetadata>, Error> {
        let targets = (!request.targets.is_empty()).then(|| selector(&request.targets));
        let params = Params::default()
            .maybe("match_target", targets)
            .maybe("metric", request.metric.clone())
            .maybe("limit", request.limit.map(|limit| limit.to_string()));
        self.get("/api/v1/targets/metadata", params)
    }

    fn targets(&self, state: TargetState, pool: Option<&str>) -> Result<TargetsAnswer, Error> {
        let word = match state {
            TargetState::Active => "active",
            TargetState::Dropped => "dropped",
            TargetState::Any => "any",
        };
        let params = Params::default().with("state", word);
        self.get("/api/v1/targets", params.maybe("scrapePool", pool.map(str::to_owned)))
    }

    fn relabel_steps(&self, pool: &str, labels: &Labels) -> Result<RelabelSteps, Error> {
        let labels: BTreeMap<_, _> = labels.iter().collect();
        let labels = serde_json::to_string(&labels)
            .map_err(|err| Error::internal(format!("cannot write labels: {err}")))?;
        let params = Params::default().with("scrapePool", pool).with("labels", &labels);
        self.get("/api/v1/targets/relabel_steps", params)
    }

    fn scrape_pools(&self) -> Result<Vec<String>, Error> {
        let found: ScrapePools = self.get("/api/v1/scrape_pools", Params::default())?;
        Ok(found.scrape_pools)
    }

    fn rules(&self, request: &RulesRequest) -> Result<RulesAnswer, Error> {
        let kind = request.kind.map(|kind| match kind {
            RuleKind::Alerting => "alert".to_owned(),
            RuleKind::Recording => "record".to_owned(),
        });
        let exclude = request.exclude_alerts.then(|| "true".to_owned());
        let limits = request.limits.then(|| "true".to_owned());
        let evaluations = request.evaluations.then(|| "true".to_owned());
        let mut params = Params::default().maybe("type", kind).maybe("exclude_alerts", exclude);
        params = params.maybe("watchbell_limits", limits);
        params = params.maybe("watchbell_evaluations", evaluations);
        if let Some(page) = &request.page {
            params = params.with("group_limit", &page.limit.to_string());
            params = params.maybe("group_next_token", page.token.clone());
        }
        for (name, list) in [
            ("rule_name[]", &request.rule_names),
            ("rule_group[]", &request.rule_groups),
            ("file[]", &request.files),
        ] {
            params = list.iter().fold(params, |params, value| params.with(name, value));
        }
        let with = |params: Params, list: &Vec<Matcher>| params.with("match[]", &selector(list));
        self.get("/api/v1/rules", request.matchers.iter().fold(params, with))
    }

    fn alerts(&self) -> Result<AlertsAnswer, Error> {
        self.get("/api/v1/alerts", Params::default())
    }

    fn alertmanagers(&self) -> Result<AlertmanagersAnswer, Error> {
        self.get("/api/v1/alertmanagers", Params::default())
    }

    fn config(&self) -> Result<ConfigAnswer, Error> {
        self.get("/api/v1/status/config", Params::default())
    }

    fn flags(&self) -> Result<BTreeMap<String, String>, Error> {
        self.get("/api/v1/status/flags", Params::default())
    }

    fn language(&self) -> Result<BTreeMap<String, BTreeMap<String, bool>>, Error> {
        let mut found: BTreeMap<String, BTreeMap<String, bool>> =
            self.get("/api/v1/features", Params::default())?;
        found.retain(|category, _| category.starts_with("promql"));
        Ok(found)
    }

    fn runtime_info(&self) -> Result<RuntimeInfo, Error> {
        let found: serde_json::Value = self.get("/api/v1/status/runtimeinfo", Params::default())?;
        foreign::runtime_info(found)
    }

    fn build_info(&self) -> Result<BuildInfo, Error> {
        self.get("/api/v1/status/buildinfo", Params::default())
    }

    fn tsdb_status(&self, limit: usize) -> Result<TsdbStatus, Error> {
        self.get("/api/v1/status/tsdb", Params::default().count("limit", limit))
    }

    fn wal_replay(&self) -> Result<WalReplay, Error> {
        self.get("/api/v1/status/walreplay", Params::default())
    }

    fn readiness(&self) -> Readiness {
        let ask = Ask::get("/-/ready", Params::default());
        match self.prometheus.send(&Call::with_timeout(READY), ask) {
            Ok(response) if response.status == 200 => Readiness::Ready,
            Ok(response) if response.header("x-prometheus-stopping") == Some("true") => {
                Readiness::Stopping
            }
            Ok(_) => Readiness::Starting(self.wal_replay().unwrap_or_default()),
            Err(_) => Readiness::Starting(WalReplay::default()),
        }
    }

    fn reload(&self) -> Result<Vec<String>, Error> {
        let ask = Ask::post("/-/reload", "text/plain", Vec::new());
        // A reload may scan large rule files.
        let call = Call::with_timeout(Duration::from_secs(60));
        let response = self.prometheus.success(&call, ask)?;
        let text = String::from_utf8_lossy(&response.body);
        Ok(text.lines().map(str::to_owned).collect())
    }

    fn quit(&self) -> Result<(), Error> {
        self.prometheus.success(&quick(), Ask::post("/-/quit", "text/plain", Vec::new()))?;
        Ok(())
    }

    fn own_metrics(&self) -> Result<String, Error> {
        let response =
            self.prometheus.success(&quick(), Ask::get("/metrics", Params::default()))?;
        Ok(String::from_utf8_lossy(&response.body).into_owned())
    }

    fn remote_write(&self, request: RawWrite) -> Result<WriteOutcome, Error> {
        let is_v2 = request.content_type.contains("io.prometheus.write.v2.Request");
        let mut ask = Ask::post("/api/v1/write", &request.content_type, request.body);
        ask.headers.push(("content-encoding".to_owned(), request.content_encoding));
        let version = if is_v2 { "2.0.0" } else { "0.1.0" };
        ask.headers.push(("x-prometheus-remote-write-version".to_owned(), version.to_owned()));
        let call = Call::with_timeout(Duration::from_secs(30));
        let response = self.prometheus.success(&call, ask)?;
        let count = |what: &str| {
            let name = format!("x-prometheus-remote-write-{what}-written");
            response.header(&name).and_then(|text| text.parse::<usize>().ok())
        };
        let written = count("samples").map(|samples| Written {
            samples,
            histograms: count("histograms").unwrap_or(0),
            exemplars: count("exemplars").unwrap_or(0),
        });
        Ok(WriteOutcome { refused: None, written })
    }

    fn otlp_write(&self, request: RawWrite) -> Result<OtlpOutcome, Error> {
        let mut ask = Ask::post("/api/v1/otlp/v1/metrics", &request.content_type, request.body);
        ask.headers.push(("content-encoding".to_owned(), request.content_encoding));
        let response =
            self.prometheus.success(&Call::with_timeout(Duration::from_secs(30)), ask)?;
        let read = if request.content_type.contains("json") {
            serde_json::from_slice::<OtlpResponse>(&response.body).ok()
        } else {
            prost::Message::decode(response.body.as_ref()).ok()
        };
        // Prometheus answers with nothing.
        let partial = read.and_then(|read: OtlpResponse| read.partial_success).unwrap_or_default();
        Ok(OtlpOutcome {
            refused: None,
            rejected_points: usize::try_from(partial.rejected_data_points).unwrap_or(0),
            message: partial.error_message,
        })
    }

    fn push(&self, request: RawPush) -> Result<(), Error> {
        let method = match request.verb {
            PushVerb::Replace => Method::Put,
            PushVerb::Add => Method::Post,
            PushVerb::Delete => Method::Delete,
        };
        let mut path = "/metrics".to_owned();
        for part in request.path.split('/') {
            path.push('/');
            path.push_str(&escaped(part));
        }
        let mut ask = Ask::post(&path, &request.content_type, request.body);
        ask.method = method;
        ask.headers.push(("content-encoding".to_owned(), request.content_encoding));
        ask.params = Params::default().with("ttl", &request.ttl);
        self.prometheus.success(&Call::with_timeout(Duration::from_secs(30)), ask)?;
        Ok(())
    }

    fn push_groups(&self) -> Result<Vec<PushGroup>, Error> {
        self.get("/api/v1/metrics", Params::default())
    }

    fn push_text(&self) -> Result<String, Error> {
        let ask = Ask::get("/pushgateway/metrics", Params::default());
        let response = self.prometheus.success(&quick(), ask)?;
        Ok(String::from_utf8_lossy(&response.body).into_owned())
    }

    fn probe(&self, request: &ProbeRequest) -> Result<String, Error> {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let params = Params::default()
            .maybe("target", some(&request.target))
            .maybe("module", some(&request.module))
            .maybe("hostname", some(&request.hostname))
            .maybe("debug", request.debug.then(|| "true".to_owned()));
        let mut ask = Ask::get("/probe", params);
        let patience = request.patience.map(|patience| patience.as_secs_f64().to_string());
        let header = "x-prometheus-scrape-timeout-seconds";
        ask.headers.extend(patience.map(|seconds| (header.to_owned(), seconds)));
        let call = Call::with_timeout(request.patience.unwrap_or(PROBE));
        let response = self.prometheus.success(&call, ask)?;
        Ok(String::from_utf8_lossy(&response.body).into_owned())
    }

    fn wipe_push(&self) -> Result<(), Error> {
        let mut ask = Ask::post("/api/v1/admin/wipe", "text/plain", Vec::new());
        ask.method = Method::Put;
        self.prometheus.success(&Call::with_timeout(ADMIN), ask)?;
        Ok(())
    }

    fn compact(&self) -> Result<(), Error> {
        let ask = Ask::post("/api/v1/admin/tsdb/compact", "text/plain", Vec::new());
        self.prometheus.success(&Call::with_timeout(ADMIN), ask)?;
        Ok(())
    }

    fn storage_report(&self, limit: usize) -> Result<StorageReport, Error> {
        self.get("/api/v1/watchbell/storage", Params::default().count("limit", limit))
    }

    fn import(&self, text: Vec<u8>, part: Option<ImportPart>) -> Result<ImportAnswer, Error> {
        let path = "/api/v1/import/openmetrics";
        let mut ask = Ask::post(path, "application/openmetrics-text", text);
        if let Some(ImportPart { id, number, is_last }) = part {
            ask.params = Params::default()
                .with("import", &id.to_string())
                .with("part", &number.to_string())
                .with("last", &is_last.to_string());
        }
        let call = Call::with_timeout(IMPORT);
        Ok(self.prometheus.envelope(&call, ask)?.data)
    }

    fn backfill(&self, step: &BackfillStep) -> Result<BackfillAnswer, Error> {
        let path = "/api/v1/watchbell/backfill";
        let ask = match step {
            BackfillStep::Begin(request) => {
                let body = serde_json::to_vec(request);
                let body = body.map_err(|err| Error::internal(err.to_string()))?;
                Ask::post(path, "application/json", body)
            }
            BackfillStep::Look(id) => Ask::get(path, Params::default().with("id", id)),
        };
        Ok(self.prometheus.envelope(&Call::with_timeout(ADMIN), ask)?.data)
    }

    fn delete_series(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Result<(), Error> {
        let params = selectors
            .iter()
            .fold(range_params(range), |params, list| params.with("match[]", &selector(list)));
        let ask = Ask::form("/api/v1/admin/tsdb/delete_series", &params);
        self.prometheus.success(&Call::with_timeout(ADMIN), ask)?;
        Ok(())
    }

    fn clean_tombstones(&self) -> Result<(), Error> {
        let ask = Ask::post("/api/v1/admin/tsdb/clean_tombstones", "text/plain", Vec::new());
        self.prometheus.success(&Call::with_timeout(ADMIN), ask)?;
        Ok(())
    }

    fn snapshot(&self, skip_head: bool) -> Result<String, Error> {
        let params = Params::default().with("skip_head", &skip_head.to_string());
        let ask = Ask::form("/api/v1/admin/tsdb/snapshot", &params);
        let answer: Answer<BTreeMap<String, String>> =
            self.prometheus.envelope(&Call::with_timeout(ADMIN), ask)?;
        let name = answer.data.get("name").cloned();
        name.ok_or_else(|| Error::internal("the server made a snapshot and did not say its name"))
    }

    fn alertmanager_status(&self) -> Result<AlertmanagerStatus, Error> {
        self.get_alerting("/api/v2/status", Params::default())
    }

    fn receivers(&self, matchers: &[Matcher]) -> Result<Vec<ReceiverForm>, Error> {
        let params = matcher_params(Params::default(), "receiver_matchers", matchers);
        self.get_alerting("/api/v2/receivers", params)
    }

    fn alertmanager_alerts(&self, filter: &AlertFilter) -> Result<Vec<GettableAlert>, Error> {
        self.get_alerting("/api/v2/alerts", alert_params(filter))
    }

    fn post_alerts(&self, alerts: Vec<PostableAlert>) -> Result<(), Error> {
        let body = serde_json::to_vec(&alerts).map_err(|err| Error::internal(err.to_string()))?;
        let ask = Ask::post("/api/v2/alerts", "application/json", body);
        self.alerting()?.success(&quick(), ask)?;
        Ok(())
    }

    fn alert_groups(&self, filter: &AlertFilter) -> Result<Vec<AlertGroup>, Error> {
        self.get_alerting("/api/v2/alerts/groups", alert_params(filter))
    }

    fn silences(&self, filter: &[Matcher]) -> Result<Vec<SilenceForm>, Error> {
        self.get_alerting("/api/v2/silences", filter_params(filter))
    }

    fn silence(&self, id: &str) -> Result<SilenceForm, Error> {
        self.get_alerting(&silence_path(id), Params::default()).map_err(|err| name_id(err, id))
    }

    fn post_silence(&self, silence: PostableSilence) -> Result<String, Error> {
        let body = serde_json::to_vec(&silence).map_err(|err| Error::internal(err.to_string()))?;
        let ask = Ask::post("/api/v2/silences", "application/json", body);
        let posted: Posted = self.alerting()?.bare(&quick(), ask)?;
        Ok(posted.silence_id)
    }

    fn expire_silence(&self, id: &str) -> Result<(), Error> {
        let path = silence_path(id);
        let mut ask = Ask::get(&path, Params::default());
        ask.method = Method::Delete;
        self.alerting()?.success(&quick(), ask).map_err(|err| name_id(err, id))?;
        Ok(())
    }

    fn history(&self, request: &HistoryRequest) -> Result<HistoryAnswer, Error> {
        self.own_only("history of alerts")?;
        let params = matcher_params(Params::default(), "filter", &request.matchers)
            .maybe("start", request.start.map(seconds))
            .maybe("end", request.end.map(seconds))
            .maybe("kind", request.kind.clone())
            .maybe("fingerprint", request.fingerprint.clone())
            .count("limit", request.limit)
            .maybe("cursor", request.cursor.clone());
        self.get("/api/v1/watchbell/history", params)
    }

    fn acknowledges_by_silence(&self) -> Result<bool, Error> {
        Ok(self.alertmanager.is_some() || self.kind()? == Kind::Foreign)
    }

    fn acknowledge(&self, request: &AckRequest) -> Result<usize, Error> {
        if self.acknowledges_by_silence()? {
            let forms = request.matchers.iter().cloned();
            let matchers = forms.map(matcher).collect::<Result<Vec<_>, _>>()?;
            return acking::acknowledge(self, request, &matchers, self.clock.now());
        }
        let ask = json_post("/api/v1/watchbell/ack", request)?;
        let answer: Answer<BTreeMap<String, usize>> = self.prometheus.envelope(&quick(), ask)?;
        Ok(answer.data.get("acknowledged").copied().unwrap_or(0))
    }

    fn withdraw_ack(&self, fingerprint: &str, by: &str) -> Result<(), Error> {
        if self.acknowledges_by_silence()? {
            return acking::withdraw(self, fingerprint);
        }
        let path = format!("/api/v1/watchbell/ack/{}", escaped(fingerprint));
        let mut ask = Ask::get(&path, Params::default().with("by", by));
        ask.method = Method::Delete;
        self.prometheus.success(&quick(), ask)?;
        Ok(())
    }

    fn test_receiver(&self, test: &ReceiverTest) -> Result<Vec<IntegrationTest>, Error> {
        self.own_only("test of receivers")?;
        let path = format!("/api/v1/watchbell/receivers/{}/test", escaped(&test.receiver));
        Ok(self.prometheus.envelope(&Call::with_timeout(TEST), json_post(&path, test)?)?.data)
    }

    fn begin_drill(&self, drill: &Drill) -> Result<DrillReport, Error> {
        self.own_only("fire drill")?;
        let ask = json_post("/api/v1/watchbell/drills", drill)?;
        Ok(self.prometheus.envelope(&quick(), ask)?.data)
    }

    fn drill(&self, fingerprint: &str) -> Result<DrillReport, Error> {
        self.own_only("fire drill")?;
        self.get(&drill_path(fingerprint), Params::default())
    }

    fn end_drill(&self, fingerprint: &str) -> Result<DrillReport, Error> {
        self.own_only("fire drill")?;
        let path = drill_path(fingerprint);
        let mut ask = Ask::get(&path, Params::default());
        ask.method = Method::Delete;
        Ok(self.prometheus.envelope(&quick(), ask)?.data)
    }

    fn route_test(&self, request: &RouteTestRequest) -> Result<RouteTest, Error> {
        self.own_only("test of routes")?;
        let ask = json_post("/api/v1/watchbell/routes/test", request)?;
        Ok(self.prometheus.envelope(&quick(), ask)?.data)
    }

    fn grouping_preview(&self, request: &GroupingRequest) -> Result<GroupingPreview, Error> {
        self.own_only("preview of groups")?;
        let ask = json_post("/api/v1/watchbell/routes/groups", request)?;
        Ok(self.prometheus.envelope(&quick(), ask)?.data)
    }

    fn active_queries(&self) -> Result<Vec<ActiveQuery>, Error> {
        self.get("/api/v1/watchbell/active_queries", Params::default())
    }

    fn top_queries(&self, limit: usize) -> Result<TopQueries, Error> {
        self.get("/api/v1/watchbell/top_queries", Params::default().count("limit", limit))
    }

    fn cancel_query(&self, id: &str) -> Result<(), Error> {
        let path = format!("/api/v1/watchbell/cancel_query/{}", escaped(id));
        let ask = Ask::post(&path, "text/plain", Vec::new());
        self.prometheus.success(&quick(), ask)?;
        Ok(())
    }

    fn alert_rows(&self) -> Result<Vec<AlertRow>, Error> {
        if self.kind()? == Kind::Watchbell {
            return self.get("/api/v1/watchbell/alerts", Params::default());
        }
        // A Prometheus without a known Alertmanager still has its own half, and the reverse.
        let rules = match self.rules(&RulesRequest::default()) {
            Err(err) if self.alertmanager.is_some() && err.kind == ErrorKind::NotFound => {
                RulesAnswer::default()
            }
            answer => answer?,
        };
        let sent = match &self.alertmanager {
            Some(_) => self.alertmanager_alerts(&AlertFilter::default())?,
            None => Vec::new(),
        };
        Ok(foreign::alert_rows(&rules, &sent))
    }

    fn status(&self) -> Result<WatchStatus, Error> {
        if self.kind()? == Kind::Watchbell {
            return self.get("/api/v1/watchbell/status", Params::default());
        }
        let facts = foreign::Facts {
            server: self.prometheus.host(),
            address: self.prometheus.shown(),
            now: self.clock.now(),
            build: self.build_info()?,
            runtime: self.runtime_info()?,
            tsdb: self.tsdb_status(1).unwrap_or_default(),
            rules: self.rules(&RulesRequest::default())?,
            receivers: self.receivers(&[]).unwrap_or_default(),
        };
        Ok(foreign::status(facts))
    }

    fn changes_after(&self, revision: u64, deadline: Duration) -> Result<Changes, Error> {
        if self.kind()? == Kind::Foreign {
            self.prometheus.pause(deadline.min(FOREIGN_POLL));
            return Ok(Changes { revision: revision.saturating_add(1) });
        }
        let params =
            Params::default().with("after", &revision.to_string()).with("timeout", &span(deadline));
        let ask = Ask::get("/api/v1/watchbell/changes", params);
        match self.prometheus.envelope(&Call::with_timeout(deadline), ask) {
            Ok(answer) => Ok(answer.data),
            Err(err) if err.kind == ErrorKind::Busy => {
                self.prometheus.pause(deadline.min(BUSY_PAUSE));
                Ok(Changes { revision })
            }
            Err(err) => Err(err),
        }
    }
}

fn json_post<'a, T: Serialize>(path: &'a str, value: &T) -> Result<Ask<'a>, Error> {
    let body = serde_json::to_vec(value).map_err(|err| Error::internal(err.to_string()))?;
    Ok(Ask::post(path, "application/json", body))
}

fn drill_path(fingerprint: &str) -> String {
    format!("/api/v1/watchbell/drills/{}", escaped(fingerprint))
}

fn silence_path(id: &str) -> String {
    format!("/api/v2/silence/{}", escaped(id))
}

/// The API answers an unknown silence without a word.
fn name_id(err: Error, id: &str) -> Error {
    match err.kind {
        ErrorKind::NotFound => Error::not_found(format!("silence {id} not found")),
        ErrorKind::BadData
        | ErrorKind::Execution
        | ErrorKind::Timeout
        | ErrorKind::Canceled
        | ErrorKind::Internal
        | ErrorKind::NotAcceptable
        | ErrorKind::Unavailable
        | ErrorKind::Forbidden
        | ErrorKind::Busy => err,
    }
}
