//! PromQL: parse, plan, evaluate.
//!
//! Owns the language and the engine. Start reading at `engine.rs`; `syntax/` is the language on its
//! own, which needs no data. An expression is planned once and then evaluated for all steps at
//! once, column by column.
//!
//! Never: where samples come from beyond `storage::source`, HTTP, rules.

mod annotation;
pub mod config;
mod cores;
mod engine;
mod error;
mod eval;
pub mod hints;
mod pool;
mod profile;
pub mod syntax;
mod value;

pub use annotation::Annotations;
pub use config::Config;
pub use engine::{Engine, Light, Options, Query};
pub use error::{Error, ErrorKind};
pub use pool::{Lease, Pool, User};
pub use profile::{NodeProfile, Profile};
pub use syntax::Features;
pub use value::{Output, Series, Stats, Value, VectorSample};
