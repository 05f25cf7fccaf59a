//! Where the work of a query went, node by node.

use super::syntax::Span;
use std::time::Duration;

/// Where the work of a query went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// One for each node of the plan; what was computed before the evaluation has none.
    pub nodes: Vec<NodeProfile>,
    /// How long evaluation took.
    pub evaluated: Duration,
    /// Samples that were looked at, once for each step that looked: `totalQueryableSamples`.
    pub samples_queryable: usize,
    /// The same without those that an earlier step had looked at: `samplesRead`.
    pub samples_read: usize,
}

impl Profile {
    /// What is known of the node at `span`.
    pub fn node(&self, span: Span) -> Option<&NodeProfile> {
        self.nodes.iter().find(|node| node.span == span)
    }
}

/// Where the work of one node went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeProfile {
    /// Its place in the text.
    pub span: Span,
    /// Time in itself, without the nodes below.
    pub time: Duration,
    /// Series that it handed on.
    pub series: usize,
    /// Samples that it read from the source.
    pub samples: usize,
    /// Bytes of samples that the query held when it held more than ever before, if that was
    /// while this node ran.
    pub bytes_peak: Option<usize>,
    /// Whether it is the same at every step and was evaluated once.
    pub once: bool,
    /// Series that the source found, of a selector that was asked for.
    pub selected: Option<usize>,
    /// Whether an equal selector had already asked the source.
    pub shared: bool,
}

impl NodeProfile {
    /// Nothing yet of the node at `span`.
    pub const fn new(span: Span) -> Self {
        Self {
            span,
            time: Duration::ZERO,
            series: 0,
            samples: 0,
            bytes_peak: None,
            once: false,
            selected: None,
            shared: false,
        }
    }
}
