//! Go's text/template language, as rules and notifications use it, in an engine of our own.
//!
//! Owns lexing, parsing and execution of templates, Go's builtin functions and `printf`, the
//! function families of Prometheus rules and of Alertmanager, and escaping for HTML. Start reading
//! at `set.rs` (what callers use), then `parse.rs` and `exec.rs`.
//!
//! Every execution is bounded: steps, bytes of output, bytes of one value, depth.
//!
//! Never: alerts, queries, files, the time of day.

mod ast;
mod attributes;
mod builtins;
mod css;
mod error;
mod eval;
mod exec;
mod format;
mod funcs;
mod functions;
mod html;
mod js;
mod json;
mod kv;
mod lex;
mod parse;
mod set;
mod signature;
mod time;
mod value;

pub use error::TemplateError;
pub use funcs::{
    QueryCallback, QuerySample, RuleContext, alertmanager_functions, rule_functions, table_link,
};
pub use functions::Functions;
pub use kv::Kv;
pub use set::{Limits, Mode, Template, TemplateSet};
pub use signature::{Kind, Takes};
pub use time::Time;
pub use value::{Field, List, Map, Object, Record, Value};

#[cfg(test)]
mod conformance;
