//! The front door: a query comes in as text, and goes out as a value with annotations.

use super::annotation::Notes;
use super::cores::Cores;
use super::eval::{self, Grid, Guard, Watch};
use super::syntax::{Expr, ValueType};
use super::{Config, Error, Features, Lease, Output, Pool, User};
use crate::model::Timestamp;
use crate::storage::source::Source;
use crate::sys::clock::SharedClock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

/// A text that was read and checked, ready to be evaluated any number of times.
#[derive(Clone, Debug)]
pub struct Query {
    text: String,
    expr: Expr,
}

impl Query {
    /// Reads `text`.
    ///
    /// # Errors
    /// The text is no expression.
    pub fn parse(text: impl Into<String>, features: &Features) -> Result<Self, Error> {
        let text = text.into();
        let expr = super::syntax::parse(&text, features)?;
        Ok(Self { text, expr })
    }

    /// The text it was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The tree.
    pub const fn expr(&self) -> &Expr {
        &self.expr
    }
}

/// What may differ between queries. `None` is the engine's setting.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How far back an instant selector looks for the newest sample.
    pub lookback: Option<Duration>,
    /// How long the query may run; never longer than the engine's own limit.
    pub timeout: Option<Duration>,
    /// Set by whoever waits for the answer and no longer does.
    pub canceled: Arc<AtomicBool>,
    /// Samples that were read so far.
    pub progress: Arc<AtomicUsize>,
    /// For whom the query runs.
    pub user: User,
    /// Set for a query that may only do little: it ends with an error that `wants_more` where
    /// it would do more.
    pub light: Option<Light>,
    /// Samples that the query may hold at a time.
    pub samples_max: Option<usize>,
    /// Bytes that the query may hold at a time.
    pub bytes_max: Option<usize>,
    /// Step of subqueries that have none.
    pub evaluation_interval: Option<Duration>,
    /// Whether the output tells where the work went.
    pub profile: bool,
}

/// What a light query may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Light {
    /// Samples that it may work on, each as often as it is looked at.
    pub work_max: usize,
    /// Series that each of its selectors may find.
    pub series_max: usize,
}

/// Evaluates queries. Blocks; many threads may use one engine.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    clock: SharedClock,
    pool: Arc<Pool>,
    cores: Cores,
}

impl Engine {
    /// An engine with these settings. The clock measures timeouts; evaluation never asks it for
    /// the time of day.
    pub fn new(config: Config, clock: SharedClock) -> Self {
        let pool = Arc::new(Pool::new(config.bytes_max));
        let cores = Cores::new(config.cores);
        Self { config, clock, pool, cores }
    }

    /// The memory that its queries share.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The settings.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Memory of the pool for what a client is answered beside queries.
    ///
    /// # Errors
    /// There is not so much.
    pub fn lease(&self, bytes: usize) -> Result<Lease, Error> {
        let mut lease = Lease::new(self.pool.clone(), User::Client, usize::MAX);
        lease.grow_to(bytes)?;
        Ok(lease)
    }

    /// Reads `text` with the engine's features.
    ///
    /// # Errors
    /// The text is no expression.
    pub fn parse(&self, text: impl Into<String>) -> Result<Query, Error> {
        Query::parse(text, &self.config.features)
    }

    /// The value at one instant.
    ///
    /// # Errors
    /// See `Error`.
    pub fn instant(
        &self,
        source: &dyn Source,
        query: &Query,
        at: Timestamp,
        options: &Options,
    ) -> Result<Output, Error> {
        let grid = Grid { start: at.as_millis(), step: 1, count: 1 };
        self.run(source, query, grid, at, true, options)
    }

    /// The values at `start`, `start + step` and so on, as long as not after `end`.
    ///
    /// # Errors
    /// See `Error`; the range ends before it starts, the step is zero, or the expression is
    /// neither a scalar nor an instant vector.
    pub fn range(
        &self,
        source: &dyn Source,
        query: &Query,
        start: Timestamp,
        end: Timestamp,
        step: Duration,
        options: &Options,
    ) -> Result<Output, Error> {
        let found = query.expr.value_type();
        if !matches!(found, ValueType::Scalar | ValueType::Vector) {
            let found = found.documented();
            return Err(Error::BadData(format!(
                "invalid expression type \"{found}\" for range query, must be Scalar or instant \
                 Vector"
            )));
        }
        let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
        if step == 0 {
            let message = "zero or negative query resolution step widths are not accepted. Try \
             a positive integer";
            return Err(Error::BadData(message.to_owned()));
        }
        if end < start {
            return Err(Error::BadData("end timestamp must not be before start time".to_owned()));
        }
        let steps = (end.millis_since(start) / step).saturating_add(1);
        let count = usize::try_from(steps).map_err(|_| Error::TooManySamples)?;
        let grid = Grid { start: start.as_millis(), step, count };
        self.run(source, query, grid, end, false, options)
    }

    fn run(
        &self,
        source: &dyn Source,
        query: &Query,
        grid: Grid,
        end: Timestamp,
        instant: bool,
        options: &Options,
    ) -> Result<Output, Error> {
        let config = &self.config;
        let timeout = options.timeout.map_or(config.timeout, |asked| asked.min(config.timeout));
        let watch = Watch {
            clock: self.clock.clone(),
            deadline: self.clock.elapsed().saturating_add(timeout),
            canceled: options.canceled.clone(),
            progress: options.progress.clone(),
        };
        let bytes_max = options.bytes_max.unwrap_or(usize::MAX);
        let lease = Lease::new(self.pool.clone(), options.user, bytes_max);
        let samples_max = options.samples_max.unwrap_or(config.samples_max);
        let guard = Guard::new(watch, samples_max, lease, options.light);
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let settings = eval::Settings {
            lookback: millis(options.lookback.unwrap_or(config.lookback)),
            subquery_step: millis(
                options.evaluation_interval.unwrap_or(config.evaluation_interval),
            )
            .max(1),
            series_max: config.series_max,
            large_samples_min: config.large_samples_min,
            delayed_name_removal: config.delayed_name_removal,
            start_timestamps: config.start_timestamps,
            query_start: grid.start,
            query_end: end.as_millis(),
            query_step: if instant { 0 } else { grid.step },
            instant,
            profile: options.profile,
        };
        let mut notes = Notes::default();
        let _own = self.cores.take();
        let world = (source, &self.cores);
        let (value, stats, lease, profile) =
            eval::run(world, &query.expr, grid, settings, guard, &mut notes)?;
        Ok(Output { value, annotations: notes.finish(&query.text), stats, lease, profile })
    }
}
