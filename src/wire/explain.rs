//! What a query took, and where.

use super::{RuleLimit, forms, query};
use crate::model::Labels;
use serde::{Deserialize, Serialize};

/// What is to be told besides the answer of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// What it took as a whole, as Prometheus tells it.
    pub stats: bool,
    /// Where the work went, node by node.
    pub explain: bool,
}

impl Detail {
    /// Whether anything is to be told.
    pub const fn is_some(self) -> bool {
        self.stats || self.explain
    }
}

/// What is told besides the answer of a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// What it took.
    pub stats: Option<QueryStats>,
    /// Where the work went.
    pub explain: Option<Explain>,
}

/// What a query took.
/// Source: prometheus, util/stats/query_stats.go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QueryStats {
    /// Where the time went.
    pub timings: QueryTimings,
    /// How many samples it took.
    pub samples: QuerySamples,
}

/// Where the time of a query went, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueryTimings {
    /// Planning and evaluation.
    pub eval_total_time: f64,
    /// Sorting the answer, where that is done apart.
    pub result_sort_time: f64,
    /// Planning.
    pub query_preparation_time: f64,
    /// Evaluation.
    pub inner_eval_time: f64,
    /// Until it ran.
    pub exec_queue_time: f64,
    /// All of it.
    pub exec_total_time: f64,
}

/// How many samples a query took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QuerySamples {
    /// Samples that were looked at, once for each step that looked.
    pub total_queryable_samples: u64,
    /// The same without those that an earlier step had looked at.
    pub samples_read: u64,
    /// The most that were held at a time.
    pub peak_samples: u64,
}

/// Where the work of a query went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explain {
    /// The expression as a tree.
    pub root: ExplainNode,
    /// Its outermost comparison taken apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<ExplainLimit>,
}

/// A node of an expression.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExplainNode {
    /// The expression.
    pub text: String,
    /// Its first byte in the query.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
    /// Series that it handed on.
    pub series: u64,
    /// Series that the index found, of a selector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selected: Option<u64>,
    /// Samples that it read from the store.
    pub samples: u64,
    /// Bytes of samples that the query held when it held the most so far, if this node did that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<u64>,
    /// Time in itself.
    pub self_seconds: f64,
    /// Time with the nodes below.
    pub total_seconds: f64,
    /// Computed before the evaluation.
    pub constant: bool,
    /// The same at every step, and evaluated once.
    pub once: bool,
    /// An equal selector had already asked the index.
    pub shared: bool,
    /// The nodes below.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Self>,
}

/// A comparison, and the series that are nearest to its limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExplainLimit {
    /// The comparison taken apart; the limit's value is that at the last instant.
    #[serde(flatten)]
    pub limit: RuleLimit,
    /// The nearest first; none where the limit is no single number.
    pub closest: Vec<ClosestSeries>,
}

/// A series of a comparison's left side at the last instant of the query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClosestSeries {
    /// The series.
    #[serde(with = "forms::labels")]
    pub metric: Labels,
    /// Its value.
    #[serde(with = "query::value")]
    pub value: f64,
    /// How far it is from the limit, as a share of the limit; of a limit of zero, the value.
    #[serde(with = "query::value")]
    pub distance: f64,
    /// Whether the comparison holds.
    pub holds: bool,
}
