//! Questions about series: the engine and the store behind the wire's forms.

use super::gate::Gate;
use crate::model::{Labels, Matcher, Timestamp};
use crate::promql::{self, Engine, Output, Value};
use crate::storage::source::{Source, SourceError};
use crate::wire::{
    Answer, Call, Error, ErrorKind, InstantQuery, MatrixSeries, QueryData, RangeQuery,
    SeriesRequest, VectorSample,
};
use std::collections::BTreeSet;
use std::sync::Arc;
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
}

impl Queries {
    /// Answers from `source`, at most `concurrency` at a time.
    pub(super) fn new(engine: Engine, source: Arc<dyn Source>, concurrency: usize) -> Self {
        let timeout = engine.config().timeout;
        Self { engine, source, gate: Gate::new(concurrency), timeout }
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
        let _permit = self.gate.enter(call.timeout.min(self.timeout)).ok_or_else(busy)?;
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
        let _permit = self.gate.enter(call.timeout.min(self.timeout)).ok_or_else(busy)?;
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

    /// The union over the request's lists of matchers, sorted.
    fn each<T: Ord>(
        &self,
        request: &SeriesRequest,
        ask: impl Fn(&[Matcher]) -> Result<Vec<T>, SourceError>,
    ) -> Result<Vec<T>, Error> {
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

fn busy() -> Error {
    Error::new(
        ErrorKind::Timeout,
        "query timed out while waiting for its turn; too many queries run",
    )
}

/// The engine's error in the API's words.
pub(super) fn query_error(err: &promql::Error) -> Error {
    let kind = match err.kind() {
        promql::ErrorKind::BadData => ErrorKind::BadData,
        promql::ErrorKind::Execution => ErrorKind::Execution,
        promql::ErrorKind::Timeout => ErrorKind::Timeout,
        promql::ErrorKind::Canceled => ErrorKind::Canceled,
        promql::ErrorKind::Internal => ErrorKind::Internal,
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
