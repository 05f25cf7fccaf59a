//! The contract between what runs and what shows it: requests, answers, errors, and `Core`.
//!
//! The JSON forms are Prometheus' and Alertmanager's own, so that `client` reads theirs as it reads
//! ours; what they do not have lives under `/api/v1/watchbell/`. Start reading at `core.rs`.
//!
//! Never: behaviour.

mod alerting;
mod alertmanager;
mod backfill;
mod core;
mod error;
mod explain;
mod forms;
mod otlp;
mod prometheus;
mod push;
mod query;
mod watch;

pub use alerting::{
    AckRequest, Drill, DrillReport, DrillStep, DrillWait, GroupPreview, GroupingPreview,
    GroupingRequest, HistoryAnswer, HistoryRequest, HistoryRow, IntegrationTest, OpenGroup,
    ReceiverTest, RouteFinal, RouteMiss, RouteStep, RouteTest, RouteTestRequest,
};
pub use alertmanager::{
    AlertFilter, AlertGroup, AlertmanagerStatus, ClusterStatus, ConfigText, GettableAlert,
    GettableAlertStatus, MatcherForm, PostableAlert, PostableSilence, RECURS, ReceiverForm,
    ReceiverName, SilenceForm, SilenceStatus, UNTIL_RESOLVED, VersionInfo,
};
pub use backfill::{
    BackfillAnswer, BackfillFailureForm, BackfillRequest, BackfillStep, RuleFileText,
};
pub use core::{
    Answer, Call, Core, Hurry, Kept, OtlpOutcome, ProbeRequest, RawWrite, Readiness, WriteOutcome,
    Written,
};
pub use error::{Error, ErrorKind};
pub use explain::{
    Account, ClosestSeries, Detail, Explain, ExplainLimit, ExplainNode, QuerySamples, QueryStats,
    QueryTimings,
};
pub use forms::{rfc3339, rfc3339_opt};
pub use otlp::{OtlpPartial, OtlpResponse};
pub use prometheus::{
    AlertForm, AlertmanagerTarget, AlertmanagersAnswer, AlertsAnswer, BlockReport, BuildInfo,
    ConfigAnswer, DroppedTarget, HeadStats, ImportAnswer, ImportPart, MetadataEntry,
    MetadataRequest, MetricReport, NameValue, PROMETHEUS_VERSION, PartReport, RelabelRule,
    RelabelStep, RelabelSteps, RuleEvaluationForm, RuleForm, RuleGroupForm, RuleKind, RulesAnswer,
    RulesPage, RulesRequest, RuntimeInfo, SeriesRequest, StorageAnalysis, StorageReport,
    TargetForm, TargetHealth, TargetMetadata, TargetMetadataRequest, TargetState, TargetsAnswer,
    TsdbStatus, WalReplay,
};
pub use push::{PushFamily, PushField, PushGroup, PushMetric, PushVerb, RawPush};
pub use query::{
    ExemplarForm, ExemplarQuery, ExemplarSeries, InstantQuery, MatrixSeries, QueryData, RangeQuery,
    VectorSample,
};
pub use watch::{
    AckStatus, ActiveQuery, AlertRow, AlertState, Changes, DeliveryStatus, ExpectedStatus,
    HeartbeatStatus, ReceiverStatus, RuleLimit, SendingStatus, StorageStatus, TopQueries, TopQuery,
    WatchStatus,
};
