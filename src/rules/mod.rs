//! Evaluates recording and alerting rules, group by group.
//!
//! Owns rule files, the life of each alert, what is written back into the store, what is sent on,
//! and what must survive a restart. Start reading at `group.rs` (what stays), then `evaluation.rs`
//! (one evaluation), `alert.rs` (the life of an alert) and `record.rs`.
//!
//! `unittest` runs groups over given samples and compares what comes out; `backfill` runs
//! recording rules over stored history.
//!
//! A `Group` decides and holds no task: `service` calls it when its time has come, carries the
//! alerts on and keeps the records.
//!
//! Never: tasks, HTTP, routing of alerts, the time of day (it is an argument).

mod alert;
mod backfill;
mod check;
pub mod config;
mod depend;
mod error;
mod evaluation;
mod group;
mod metrics;
mod query;
mod recall;
mod record;
mod rule;
mod state;
mod trust;
pub mod unittest;
mod view;

pub use backfill::{Backfill, BackfillError, BackfillFailure, Backfilled, Progress};
pub use check::{RuleLanguage, check, check_with};
pub use depend::Slots;
pub use error::RuleError;
pub use evaluation::{Evaluation, RuleFailure};
pub use group::{Context, Group};
pub use query::{Newest, Querier, QuerySample, answer};
pub use state::respell;
pub use view::{
    ActiveAlert, AlertChange, AlertPhase, GroupView, Health, HealthChange, RuleKindView, RuleRun,
    RuleView, Turn,
};

#[cfg(test)]
mod life;
#[cfg(test)]
mod restarts;
