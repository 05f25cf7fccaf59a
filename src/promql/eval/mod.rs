//! Stub until next commit.
use super::annotation::Notes;
use super::syntax::Expr;
use super::{Error, Stats, Value};
use crate::storage::source::Source;
use crate::sys::clock::SharedClock;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub(super) start: i64,
    pub(super) step: i64,
    pub(super) count: usize,
}
#[derive(Debug)]
pub(super) struct Guard;
impl Guard {
    pub(super) fn new(_: SharedClock, _: Duration, _: Arc<AtomicBool>, _: usize, _: usize) -> Self {
        Self
    }
}
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) lookback: i64,
    pub(super) subquery_step: i64,
    pub(super) series_max: usize,
    pub(super) delayed_name_removal: bool,
    pub(super) query_start: i64,
    pub(super) query_end: i64,
    pub(super) query_step: i64,
    pub(super) instant: bool,
}
pub(super) fn run(
    _: &dyn Source,
    _: &Expr,
    _: Grid,
    _: Settings,
    _: Guard,
    _: &mut Notes,
) -> Result<(Value, Stats), Error> {
    Err(Error::execution("not evaluated"))
}
