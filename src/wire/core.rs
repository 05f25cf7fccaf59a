//! The only door to what runs.

use super::{
    Account, AckRequest, ActiveQuery, AlertFilter, AlertGroup, AlertRow, AlertmanagerStatus,
    AlertmanagersAnswer, AlertsAnswer, BackfillAnswer, BackfillStep, BuildInfo, Changes,
    ConfigAnswer, Drill, DrillReport, Error, ExemplarQuery, ExemplarSeries, GettableAlert,
    GroupingPreview, GroupingRequest, HistoryAnswer, HistoryRequest, ImportAnswer, ImportPart,
    InstantQuery, IntegrationTest, MetadataEntry, MetadataRequest, PostableAlert, PostableSilence,
    PushGroup, QueryData, RangeQuery, RawPush, ReceiverForm, ReceiverTest, RelabelSteps, RouteTest,
    RouteTestRequest, RulesAnswer, RulesRequest, RuntimeInfo, SeriesRequest, SilenceForm,
    StorageReport, TargetMetadata, TargetMetadataRequest, TargetState, TargetsAnswer, TopQueries,
    TsdbStatus, WalReplay, WatchStatus,
};
use crate::model::{Labels, Matcher, TimeRange};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Who asks, and for how long the answer matters.
#[derive(Clone, Debug)]
pub struct Call {
    /// After this long the caller no longer waits.
    pub timeout: Duration,
    /// Set when the caller has gone away.
    pub canceled: Arc<AtomicBool>,
    /// Who asks, for lists and logs.
    pub client: String,
    /// What the answer needs as long as it is being sent.
    pub kept: Kept,
    /// Whether the answer must come at once.
    pub hurry: Hurry,
}

/// Whether a caller holds up others while it waits, so that it wants an answer within a fraction
/// of a millisecond or none. By default it does not.
#[derive(Clone, Debug, Default)]
pub struct Hurry(Option<Arc<AtomicBool>>);

impl Hurry {
    /// Answers that take longer are not worked out: ask again without hurry.
    pub fn on() -> Self {
        Self(Some(Arc::default()))
    }

    /// Whether the answer must come at once.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Says that the answer would take longer: what is answered now has no meaning.
    pub fn give_up(&self) {
        if let Some(given_up) = &self.0 {
            given_up.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was said that the answer would take longer.
    pub fn was_given_up(&self) -> bool {
        self.0.as_ref().is_some_and(|given_up| given_up.load(Ordering::Relaxed))
    }
}

/// Things that are to live as long as an answer is being sent, such as the memory it was promised.
/// Clones share them.
#[derive(Clone, Default)]
pub struct Kept(Arc<Mutex<Vec<Box<dyn Any + Send>>>>);

impl Kept {
    /// Keeps `one` until the last clone is dropped.
    pub fn keep(&self, one: impl Any + Send) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(one));
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

impl Call {
    /// A call that waits for `timeout`.
    pub fn with_timeout(timeout: Duration) -> Self {
        Self {
            timeout,
            canceled: Arc::default(),
            client: String::new(),
            kept: Kept::default(),
            hurry: Hurry::default(),
        }
    }

    /// Whether the caller has gone away.
    pub fn is_canceled(&self) -> bool {
        self.canceled.load(Ordering::Relaxed)
    }
}

/// A value and what was noticed on the way to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<T> {
    /// The value.
    pub data: T,
    /// What may make the value wrong.
    pub warnings: Vec<String>,
    /// What may be meant otherwise.
    pub infos: Vec<String>,
    /// What a query took, when that was asked.
    pub account: Option<Box<Account>>,
}

impl<T> Answer<T> {
    /// The same said about another form of the value.
    pub fn map<U>(self, form: impl FnOnce(T) -> U) -> Answer<U> {
        let Self { data, warnings, infos, account } = self;
        Answer { data: form(data), warnings, infos, account }
    }

    /// A value with nothing to add.
    pub const fn plain(data: T) -> Self {
        Self { data, warnings: Vec::new(), infos: Vec::new(), account: None }
    }
}

/// Whether requests are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// All is up.
    Ready,
    /// The log is read.
    Starting(WalReplay),
    /// The server stops.
    Stopping,
}

/// A remote-write or OTLP request as it came: `ingest` decodes it within its limits.
#[derive(Clone, Debug)]
pub struct RawWrite {
    /// The header `Content-Type`.
    pub content_type: String,
    /// The header `Content-Encoding`.
    pub content_encoding: String,
    /// The body, still compressed.
    pub body: Vec<u8>,
}

/// A probe that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeRequest {
    /// What is probed.
    pub target: String,
    /// The module; `http_2xx` when empty.
    pub module: String,
    /// The name that the server is asked for instead of its own; empty for none.
    pub hostname: String,
    /// When the asker gives up.
    pub patience: Option<Duration>,
    /// Whether the log and the module are wanted as well, for people.
    pub debug: bool,
    /// Whether only what the configuration lists may be probed, unless it says otherwise.
    pub listed_only: bool,
}

/// What became of a write request that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOutcome {
    /// Why something was left out; the rest is stored. The sender is not to send it again.
    pub refused: Option<String>,
    /// What is stored, for senders that want to know: remote write 2.0.
    pub written: Option<Written>,
}

/// What became of an OTLP request that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtlpOutcome {
    /// Why something was left out that is in another form than it should be; the rest is stored.
    pub refused: Option<String>,
    /// Points that are in order and cannot be kept here; the rest is stored.
    pub rejected_points: usize,
    /// Why, empty when there are none.
    pub message: String,
}

/// Counts of what a request stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Samples.
    pub samples: usize,
    /// Native histograms.
    pub histograms: usize,
    /// Exemplars.
    pub exemplars: usize,
}

/// Everything that a screen, a command or an HTTP request may ask of the server.
///
/// Methods block; call them where blocking is allowed. `service::Service` answers in process,
/// `client::Remote` over HTTP.
///
/// # Errors
/// Every method answers with `Error`, whose kind names Prometheus' error type.
pub trait Core: Send + Sync + fmt::Debug {
    /// Evaluates an expression at one instant.
    fn query(&self, call: &Call, query: &InstantQuery) -> Result<Answer<QueryData>, Error>;
    /// Evaluates an expression over a range.
    fn query_range(&self, call: &Call, query: &RangeQuery) -> Result<Answer<QueryData>, Error>;
    /// Exemplars of the series that an expression reads, by series; `None` when it reads none.
    fn query_exemplars(
        &self,
        call: &Call,
        query: &ExemplarQuery,
    ) -> Result<Option<Vec<ExemplarSeries>>, Error>;
    /// Why the expression may answer nothing in `range`: one sentence for each selector that no
    /// series fits, with the nearest names.
    fn query_hints(&self, call: &Call, expr: &str, range: TimeRange) -> Result<Vec<String>, Error>;
    /// The expression in the canonical layout.
    fn format_query(&self, expr: &str) -> Result<String, Error>;
    /// The tree of an expression, in Prometheus' form.
    fn parse_query(&self, expr: &str) -> Result<serde_json::Value, Error>;
    /// The matchers of a PromQL series selector, such as `up{job="node"}`; one `match[]`.
    fn parse_matchers(&self, selector: &str) -> Result<Vec<Matcher>, Error>;
    /// One or more matchers in Alertmanager's grammar, such as `{a="b", c=~"d"}`; one `filter`.
    fn parse_alert_matchers(&self, text: &str) -> Result<Vec<Matcher>, Error>;
    /// One matcher in Alertmanager's grammar, as its API takes it: without braces.
    fn parse_alert_matcher(&self, text: &str) -> Result<Matcher, Error>;
    /// Label sets of series, sorted.
    fn series(&self, call: &Call, request: &SeriesRequest) -> Result<Answer<Vec<Labels>>, Error>;
    /// Label names, sorted.
    fn label_names(&self, call: &Call, req: &SeriesRequest) -> Result<Answer<Vec<String>>, Error>;
    /// Values of one label, sorted.
    fn label_values(
        &self,
        call: &Call,
        name: &str,
        request: &SeriesRequest,
    ) -> Result<Answer<Vec<String>>, Error>;
    /// Type, help and unit by metric.
    fn metadata(
        &self,
        request: &MetadataRequest,
    ) -> Result<BTreeMap<String, Vec<MetadataEntry>>, Error>;
    /// Type, help and unit of metrics, as each target says.
    fn targets_metadata(
        &self,
        request: &TargetMetadataRequest,
    ) -> Result<Vec<TargetMetadata>, Error>;
    /// Targets, optionally of one job.
    fn targets(&self, state: TargetState, pool: Option<&str>) -> Result<TargetsAnswer, Error>;
    /// What the job's rules make of labels before relabelling, rule by rule.
    fn relabel_steps(&self, pool: &str, labels: &Labels) -> Result<RelabelSteps, Error>;
    /// Names of the jobs, sorted.
    fn scrape_pools(&self) -> Result<Vec<String>, Error>;
    /// Rules and their state.
    fn rules(&self, request: &RulesRequest) -> Result<RulesAnswer, Error>;
    /// Pending and firing alerts of the rules.
    fn alerts(&self) -> Result<AlertsAnswer, Error>;
    /// Alertmanagers that alerts go to.
    fn alertmanagers(&self) -> Result<AlertmanagersAnswer, Error>;
    /// The configuration in force, secrets replaced.
    fn config(&self) -> Result<ConfigAnswer, Error>;
    /// Flags and their values.
    fn flags(&self) -> Result<BTreeMap<String, String>, Error>;
    /// What of the query language and of rules is offered: category, feature, whether it is on.
    fn language(&self) -> Result<BTreeMap<String, BTreeMap<String, bool>>, Error>;
    /// Facts about the process.
    fn runtime_info(&self) -> Result<RuntimeInfo, Error>;
    /// Versions.
    fn build_info(&self) -> Result<BuildInfo, Error>;
    /// Counts of the store, each list at most `limit` long.
    fn tsdb_status(&self, limit: usize) -> Result<TsdbStatus, Error>;
    /// How far the log has been read.
    fn wal_replay(&self) -> Result<WalReplay, Error>;
    /// Whether requests are answered; never fails and never waits.
    fn readiness(&self) -> Readiness;
    /// Loads the configuration again: all of it or nothing. Answers with what it makes useless.
    fn reload(&self) -> Result<Vec<String>, Error>;
    /// Asks the server to stop.
    fn quit(&self) -> Result<(), Error>;
    /// The server's own metrics in the text format.
    fn own_metrics(&self) -> Result<String, Error>;
    /// Stores the samples of a remote-write request. The good ones are kept when others are not.
    fn remote_write(&self, request: RawWrite) -> Result<WriteOutcome, Error>;
    /// Stores the metrics of an OTLP request. The good points are kept when others are not.
    fn otlp_write(&self, request: RawWrite) -> Result<OtlpOutcome, Error>;
    /// Carries out a push to a group; durable when this returns.
    fn push(&self, request: RawPush) -> Result<(), Error>;
    /// All pushed groups, by key.
    fn push_groups(&self) -> Result<Vec<PushGroup>, Error>;
    /// The metrics of all pushed groups in the text format.
    fn push_text(&self) -> Result<String, Error>;
    /// Deletes all pushed groups; durable when this returns.
    fn wipe_push(&self) -> Result<(), Error>;
    /// Probes a target once; the metrics in the text format, or the log of it.
    fn probe(&self, request: &ProbeRequest) -> Result<String, Error>;
    /// Cuts and merges all that is in the head into blocks; answers when done.
    fn compact(&self) -> Result<(), Error>;
    /// What the store holds, with rankings of `limit` places.
    fn storage_report(&self, limit: usize) -> Result<StorageReport, Error>;
    /// Stores a history of any age: OpenMetrics text, whole or as one part of several, of which
    /// all or none are stored. The answer to a part that is not the last counts samples so far.
    fn import(&self, text: Vec<u8>, part: Option<ImportPart>) -> Result<ImportAnswer, Error>;
    /// Evaluates recording rules over stored history: begins, or says how far it is.
    fn backfill(&self, _step: &BackfillStep) -> Result<BackfillAnswer, Error> {
        Err(Error::not_offered("back-filling of rules"))
    }
    /// Deletes the samples in `range` of all series that one of `selectors` selects.
    fn delete_series(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Result<(), Error>;
    /// Gives back the room of deleted samples; answers when done.
    fn clean_tombstones(&self) -> Result<(), Error>;
    /// Makes a snapshot of the store, with what is in the head unless `skip_head`; its name.
    fn snapshot(&self, skip_head: bool) -> Result<String, Error>;

    /// Alertmanager's status.
    fn alertmanager_status(&self) -> Result<AlertmanagerStatus, Error>;
    /// Receivers whose labels, `name` among them, all of `matchers` match.
    fn receivers(&self, matchers: &[Matcher]) -> Result<Vec<ReceiverForm>, Error>;
    /// Alerts in Alertmanager's view, by fingerprint.
    fn alertmanager_alerts(&self, filter: &AlertFilter) -> Result<Vec<GettableAlert>, Error>;
    /// Takes alerts from outside; the valid ones are kept when others are not.
    fn post_alerts(&self, alerts: Vec<PostableAlert>) -> Result<(), Error>;
    /// Notification groups.
    fn alert_groups(&self, filter: &AlertFilter) -> Result<Vec<AlertGroup>, Error>;
    /// Silences whose matchers include all of `filter`; active first, by end.
    fn silences(&self, filter: &[Matcher]) -> Result<Vec<SilenceForm>, Error>;
    /// One silence.
    fn silence(&self, id: &str) -> Result<SilenceForm, Error>;
    /// Makes or changes a silence; durable when this returns its id.
    fn post_silence(&self, silence: PostableSilence) -> Result<String, Error>;
    /// Ends a silence now; durable when this returns.
    fn expire_silence(&self, id: &str) -> Result<(), Error>;

    /// What happened to alerts, newest first.
    fn history(&self, _request: &HistoryRequest) -> Result<HistoryAnswer, Error> {
        Err(Error::not_offered("history of alerts"))
    }
    /// Acknowledges alerts, and says how many; durable when this returns.
    fn acknowledge(&self, _request: &AckRequest) -> Result<usize, Error> {
        Err(Error::not_offered("acknowledgements"))
    }
    /// Whether `acknowledge` makes silences of half an hour, since the alerts are another
    /// Alertmanager's, which knows no acknowledgements.
    fn acknowledges_by_silence(&self) -> Result<bool, Error> {
        Ok(false)
    }
    /// Takes the acknowledgement of an alert back, in the name of `by`; durable when this returns.
    fn withdraw_ack(&self, _fingerprint: &str, _by: &str) -> Result<(), Error> {
        Err(Error::not_offered("acknowledgements"))
    }
    /// Sends a message through a receiver, to try it out.
    fn test_receiver(&self, _test: &ReceiverTest) -> Result<Vec<IntegrationTest>, Error> {
        Err(Error::not_offered("test of receivers"))
    }
    /// Lets an alert go the whole way, marked as a test.
    fn begin_drill(&self, _drill: &Drill) -> Result<DrillReport, Error> {
        Err(Error::not_offered("fire drill"))
    }
    /// How far the drill with this fingerprint is.
    fn drill(&self, _fingerprint: &str) -> Result<DrillReport, Error> {
        Err(Error::not_offered("fire drill"))
    }
    /// Ends a drill before its time; one that has ended stays as it is.
    fn end_drill(&self, _fingerprint: &str) -> Result<DrillReport, Error> {
        Err(Error::not_offered("fire drill"))
    }
    /// The way of a label set through the routing tree.
    fn route_test(&self, _request: &RouteTestRequest) -> Result<RouteTest, Error> {
        Err(Error::not_offered("test of routes"))
    }
    /// How the alerts of now would be grouped.
    fn grouping_preview(&self, _request: &GroupingRequest) -> Result<GroupingPreview, Error> {
        Err(Error::not_offered("preview of groups"))
    }

    /// The queries that run, the oldest first.
    fn active_queries(&self) -> Result<Vec<ActiveQuery>, Error>;
    /// What queries cost since the start, `limit` of each kind.
    fn top_queries(&self, limit: usize) -> Result<TopQueries, Error>;
    /// Ends a query that runs.
    fn cancel_query(&self, id: &str) -> Result<(), Error>;
    /// All alerts as the screens show them.
    fn alert_rows(&self) -> Result<Vec<AlertRow>, Error>;
    /// How the server does.
    fn status(&self) -> Result<WatchStatus, Error>;
    /// Waits until the revision is past `revision`, or `deadline` is over; says which it is now.
    fn changes_after(&self, revision: u64, deadline: Duration) -> Result<Changes, Error>;
}
