//! Decides who is told about which alerts, when, and what is kept quiet.
//!
//! Owns routes, groups and their timers, inhibition, silences, time intervals, the notification
//! log and the alerts themselves. A pure state machine: `Engine::step` takes a moment and an event
//! and answers with effects, which `service` carries out: rows to store first, then answers and
//! notifications to send. Start reading at `engine.rs`, then follow a flush: `inhibit.rs`,
//! `mute.rs`, `silence.rs`, `log.rs`.
//!
//! Never: sending, files, sleeping, the clock, knowing what a receiver is made of.

mod ack;
pub mod config;
mod damping;
pub mod drill;
mod engine;
mod error;
mod flush;
mod group;
mod happening;
mod held;
mod inhibit;
mod intake;
mod log;
pub mod matchers;
mod metrics;
pub mod mute;
mod notification;
mod occurrence;
mod open;
mod own;
mod preview;
mod receive;
mod record;
mod report;
mod route;
mod silence;
mod step;
#[cfg(test)]
mod testing;
mod view;
mod watch;

pub use ack::{Ack, AckDraft};
pub use config::{Config, Damping, Expected, Limits, Options, Settings};
pub use engine::{Answer, Changes, Effect, Engine, Event, Moment};
pub use error::{AckError, AlertError, RecordError, SilenceError};
pub use happening::Happening;
pub use inhibit::{DRILL_LABEL, InhibitRule};
pub use notification::{
    Delivery, DeliveryId, DeliveryOutcome, IntegrationId, IntegrationPlan, Notification,
    NotifiedAlert, Reason, ReceiverPlan,
};
pub use occurrence::{GroupInfo, Notified, Occurrence, What};
pub use preview::{GroupingPreview, OpenGroup, RouteFinal, RouteMiss, RouteStep, RouteTest};
pub use receive::{AlertDraft, complete_all};
pub use record::{Record, Table};
pub use report::{DeliveryReport, IntegrationReport, OpenReport};
pub use route::{GroupBy, Route};
pub use silence::{RECURS, Silence, SilenceDraft, SilenceState, UNTIL};
pub use view::{AlertQuiet, AlertView, GroupView, Membership, SilenceView};
pub use watch::{Awaited, ExpectedView};
