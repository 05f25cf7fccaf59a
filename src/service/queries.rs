//! Questions about series: the engine and the store behind the wire's forms.

use super::gate::{Gate, Permit};
use super::pressure::Pressure;
use crate::model::{Labels, Matcher, Timestamp};
use crate::promql::{self, Engine, Output, Value};
use crate::storage::source::{Source, SourceError};
use crate::sys::metrics::{Cell, Registry};
use crate::wire::{
    Answer, Call, Error, ErrorKind, InstantQuery, MatrixSeries, QueryData, RangeQuery,
    SeriesRequest, VectorSample,
};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Prometheus' words for an answer that `limit` cut.
const TRUNCATED: &str = "results truncated due to limit";

/// Answers questions about series.
#[derive(Debug)]
pub(super) struct Queries {
    engine: Engine,
    source: Arc<dyn Source>,
    gate: Gate,
    timeout: Duration,
    pressure: Mutex<Pressure>,
    refused_for_memory: Cell,
    refused_for_number: Cell,
}

impl Queries {
    /// Answers from `source`, at most `concurrency` at a time.
    pub(super) fn new(
        engine: Engine,
        source: Arc<dyn Source>,
        concurrency: usize,
        registry: &Registry,
    ) -> Self {
        let timeout = engine.config().timeout;
        let refused = |reason| {
            let help = "Queries that were refused before they ran, by reason.";
            registry.counter("watchbell_queries_refused_total", help, &[("reason", reason)])
        };
        Self {
            engine,
            source,
            gate: Gate::new(concurrency),
            timeout,
            pressure: Mutex::default(),
            refused_for_memory: refused("memory"),
            refused_for_number: refused("concurrency"),
        }
    }

    /// How short memory is.
    pub(super) fn pressure(&self) -> Pressure {
        *self.pressure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how short memory is.
    pub(super) fn set_pressure(&self, pressure: Pressure) {
        *self.pressure.lock().unwrap_or_else(PoisonError::into_inner) = pressure;
    }

    /// The engine, for rules.
    pub(super) const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The store, for rules.
    pub(super) fn source(&self) -> &dyn Source {
        self.source.as_ref()
    }

    /// As `wire::Core::query`.
    pub(super) fn instant(
        &self,
        call: &Call,
        query: &InstantQuery,
        now: Timestamp,
    ) -> Result<Answer<QueryData>, Error> {
        let parsed = self.engine.parse(query.expr.as_str()).map_err(|err| query_error(&err))?;
        let options = self.options(call, query.timeout, query.lookback);
        let _permit = self.enter(call)?;
        let at = query.time.unwrap_or(now);
        let output = self
            .engine
            .instant(self.source.as_ref(), &parsed, at, &options)
            .map_err(|err| query_error(&err))?;
        Ok(answer(output, query.limit))
    }

    /// As `wire::Core::query_range`.
    pub(super) fn range(
        &self,
        call: &Call,
        query: &RangeQuery,
    ) -> Result<Answer<QueryData>, Error> {
        let parsed = self.engine.parse(query.expr.as_str()).map_err(|err| query_error(&err))?;
        let options = self.options(call, query.timeout, query.lookback);
        let _permit = self.enter(call)?;
        let (start, end) = (query.start, query.end);
        let output = self
            .engine
            .range(self.source.as_ref(), &parsed, start, end, query.step, &options)
            .map_err(|err| query_error(&err))?;
        Ok(answer(output, query.limit))
    }

    /// As `wire::Core::series`.
    pub(super) fn series(&self, request: &SeriesRequest) -> Result<Answer<Vec<Labels>>, Error> {
        let found = self.each(request, |matchers| self.source.series(request.range, matchers))?;
        Ok(limited(found, request.limit))
    }

    /// As `wire::Core::label_names`.
    pub(super) fn label_names(
        &self,
        request: &SeriesRequest,
    ) -> Result<Answer<Vec<String>>, Error> {
        let names = |matchers: &[Matcher]| self.source.label_names(request.range, matchers);
        Ok(limited(self.each(request, names)?, request.limit))
    }

    /// As `wire::Core::label_values`.
    pub(super) fn label_values(
        &self,
        name: &str,
        request: &SeriesRequest,
    ) -> Result<Answer<Vec<String>>, Error> {
        let values = |matchers: &[Matcher]| self.source.label_values(name, request.range, matchers);
        Ok(limited(self.each(request, values)?, request.limit))
    }

    /// The right to run one query.
    fn enter(&self, call: &Call) -> Result<Permit<'_>, Error> {
        self.check_memory()?;
        self.gate.enter(call.timeout.min(self.timeout)).ok_or_else(|| {
            self.refused_for_number.inc();
            let text = "query timed out while waiting for its turn; too many queries run";
            Error::new(ErrorKind::Timeout, text)
        })
    }

    fn check_memory(&self) -> Result<(), Error> {
        if self.pressure() < Pressure::NoQueries {
            return Ok(());
        }
        self.refused_for_memory.inc();
        let text = "queries are refused because watchbell has used nearly all memory that it may; \
                    scrapes, rules and alerts go on: ask again later";
        Err(Error::new(ErrorKind::Busy, text))
    }

    /// The union over the request's lists of matchers, sorted.
    fn each<T: Ord>(
        &self,
        request: &SeriesRequest,
        ask: impl Fn(&[Matcher]) -> Result<Vec<T>, SourceError>,
    ) -> Result<Vec<T>, Error> {
        self.check_memory()?;
        let failed = |err: SourceError| query_error(&promql::Error::Source(err));
        if let [] | [_] = request.matchers.as_slice() {
            let matchers = request.matchers.first().map_or(&[][..], Vec::as_slice);
            return ask(matchers).map_err(failed);
        }
        let mut all = BTreeSet::new();
        for matchers in &request.matchers {
            all.extend(ask(matchers).map_err(failed)?);
        }
        Ok(all.into_iter().collect())
    }

    fn options(
        &self,
        call: &Call,
        timeout: Option<Duration>,
        lookback: Option<Duration>,
    ) -> promql::Options {
        promql::Options {
            lookback,
            timeout: Some(timeout.unwrap_or(self.timeout).min(call.timeout)),
            canceled: call.canceled.clone(),
            ..promql::Options::default()
        }
    }
}

/// The engine's error in the API's words.
pub(super) fn query_error(err: &promql::Error) -> Error {
    let kind = match err.kind() {
        promql::ErrorKind::BadData => ErrorKind::BadData,
        promql::ErrorKind::Execution => ErrorKind::Execution,
        promql::ErrorKind::Timeout => ErrorKind::Timeout,
        promql::ErrorKind::Canceled => ErrorKind::Canceled,
        promql::ErrorKind::Internal => ErrorKind::Internal,
        promql::ErrorKind::Busy => ErrorKind::Busy,
    };
    Error::new(kind, err.to_string())
}

fn limited<T>(mut list: Vec<T>, limit: usize) -> Answer<Vec<T>> {
    let cut = limit > 0 && list.len() > limit;
    if cut {
        list.truncate(limit);
    }
    let mut answer = Answer::plain(list);
    if cut {
        answer.warnings.push(TRUNCATED.to_owned());
    }
    answer
}

fn answer(output: Output, limit: usize) -> Answer<QueryData> {
    let mut warnings = output.warnings().to_vec();
    let infos = output.infos().to_vec();
    let mut data = query_data(output.value);
    let cut = match &mut data {
        QueryData::Vector(samples) if limit > 0 && samples.len() > limit => {
            samples.truncate(limit);
            true
        }
        QueryData::Matrix(series) if limit > 0 && series.len() > limit => {
            series.truncate(limit);
            true
        }
        QueryData::Vector(_)
        | QueryData::Matrix(_)
        | QueryData::Scalar(..)
        | QueryData::String(..) => false,
    };
    if cut {
        warnings.push(TRUNCATED.to_owned());
    }
    Answer { data, warnings, infos }
}

fn query_data(value: Value) -> QueryData {
    match value {
        Value::Scalar(sample) => QueryData::Scalar(sample.ts, sample.value),
        Value::String(ts, text) => QueryData::String(ts, text),
        Value::Vector(samples) => QueryData::Vector(
            samples
                .into_iter()
                .map(|one| VectorSample { metric: one.metric, ts: one.ts, value: one.value })
                .collect(),
        ),
        Value::Matrix(series) => QueryData::Matrix(
            series
                .into_iter()
                .map(|one| {
                    let points = one.samples.ts.iter().zip(&one.samples.values);
                    let values =
                        points.map(|(ts, value)| (Timestamp::from_millis(*ts), *value)).collect();
                    MatrixSeries { metric: one.metric, values }
                })
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TimeRange;
    use crate::storage::source::SeriesSet;
    use crate::sys::sim::VirtualClock;

    /// A store without series.
    #[derive(Debug)]
    struct Nothing;

    impl Source for Nothing {
        fn select(
            &self,
            _range: TimeRange,
            _matchers: &[Matcher],
            _series_max: usize,
        ) -> Result<SeriesSet, SourceError> {
            Ok(SeriesSet { series: Vec::new(), warnings: Vec::new() })
        }

        fn series(
            &self,
            _range: TimeRange,
            _matchers: &[Matcher],
        ) -> Result<Vec<Labels>, SourceError> {
            Ok(Vec::new())
        }

        fn label_names(
            &self,
            _range: TimeRange,
            _matchers: &[Matcher],
        ) -> Result<Vec<String>, SourceError> {
            Ok(Vec::new())
        }

        fn label_values(
            &self,
            _name: &str,
            _range: TimeRange,
            _matchers: &[Matcher],
        ) -> Result<Vec<String>, SourceError> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn without_memory_queries_are_503_and_counted_and_rules_go_on() {
        let clock = VirtualClock::at(Timestamp::from_millis(0));
        let engine = Engine::new(promql::Config::default(), Arc::new(clock));
        let queries = Queries::new(engine, Arc::new(Nothing), 1, &Registry::new());
        let ask = || {
            let all = SeriesRequest { matchers: Vec::new(), range: TimeRange::ALL, limit: 0 };
            let names = queries.label_names(&all).map(|_| ());
            let (call, query) = (Call::with_timeout(Duration::MAX), InstantQuery::now("up"));
            let up = queries.instant(&call, &query, Timestamp::from_millis(0));
            [names, up.map(|_| ())].map(|one| one.map_err(|err| (err.kind.status(), err.message)))
        };
        for (pressure, refused) in
            [(Pressure::NoNewSeries, 0), (Pressure::NoQueries, 2), (Pressure::None, 2)]
        {
            queries.set_pressure(pressure);
            for answer in ask() {
                match answer {
                    Ok(()) => assert_ne!(pressure, Pressure::NoQueries),
                    Err((status, text)) => {
                        assert_eq!((pressure, status), (Pressure::NoQueries, 503), "{text}");
                        assert!(text.contains("memory"), "{text}");
                    }
                }
            }
            assert_eq!(queries.refused_for_memory.get().to_bits(), f64::from(refused).to_bits());
        }
    }
}
