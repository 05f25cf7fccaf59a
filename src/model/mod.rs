//! The values everything talks about, and what is always true of them.
//!
//! Owns time, labels, matchers, samples, relabelling, alerts and identifiers. Start reading at
//! `labels.rs`, then `sample.rs`. A value that could be wrong has a private field and a
//! constructor that refuses it.
//!
//! Never: I/O, serde, the time of day.

mod alert;
mod annotations;
pub mod duration;
mod escaped;
mod exemplar;
mod histogram;
mod id;
mod labels;
mod matcher;
mod metadata;
pub mod percent;
mod printable;
mod problem;
mod regex;
pub mod relabel;
mod sample;
mod time;
pub mod value_text;

pub use alert::{Alert, AlertStatus};
pub use annotations::Annotations;
pub use escaped::unescaped_name;
pub use exemplar::{EXEMPLAR_CHARS_MAX, Exemplar};
pub use histogram::{BucketSpan, CounterResetHint, Histogram};
pub use id::{Fingerprint, GroupKey, SilenceId};
pub use labels::{
    Labels, LabelsBuilder, LabelsText, METRIC_NAME, NameValidation, is_legacy_label_name,
    is_legacy_metric_name, write_braced,
};
pub use matcher::{MatchOp, Matcher, MatcherError};
pub use metadata::{Metadata, MetricType};
pub use printable::{Printable, printable};
pub use problem::{Problem, nearest_name};
pub use regex::{Regex, RegexError};
pub use sample::{ORDINARY_NAN_BITS, STALE_NAN_BITS, Sample, is_stale_nan, stale_nan};
pub use time::{TimeRange, Timestamp};
