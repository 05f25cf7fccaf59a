//! Questions about series: the engine and the store behind the wire's forms.

use super::active::{Active, Ticket};
use super::gate::Gate;
use super::hints;
use super::pressure::Pressure;
use super::query_log::{Ended, QueryLog, RuleGroup};
use super::query_metrics::{QueryMetrics, Times};
use super::workers::{NotDone, Workers};
use crate::model::{Labels, Matcher, TimeRange, Timestamp};
use crate::promql::{self, Engine, Light, Output, Query, User, Value, syntax};
use crate::rules::Newest;
use crate::storage::source::{Columns, Source, SourceError};
use crate::sys::clock::SharedClock;
use crate::sys::locks::lock;
use crate::sys::metrics::Registry;
use crate::wire::{
    Answer, Call, Detail, Error, ErrorKind, InstantQuery, MatrixSeries, QueryData, RangeQuery,
    SeriesRequest, VectorSample,
};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Prometheus' words for an answer that `limit` cut.
const TRUNCATED: &str = "results truncated due to limit";
/// Alerts of one rule that are looked up in the store.
const NEWEST_SERIES_MAX: usize = 100_000;
/// The client of rules' queries.
const RULES: &str = "rules";

/// Queries that run at a time before anybody knows what they take. Each is stopped when it takes
/// more than a light one, which is some milliseconds.
const LIGHT_RUNNING: usize = 4;
/// Lists of series, names and values that are made at a time.
const LISTS_RUNNING: usize = 2;
/// What a light query may do: about 20 ms of work.
pub(super) const LIGHT: Light = Light { work_max: 1_000_000, series_max: 5_000 };
/// Bytes that a light query may hold.
const LIGHT_BYTES: usize = 16 << 20;
/// What a query may do that is answered at once: less than half a millisecond of work.
const QUICK: Light = Light { work_max: 20_000, series_max: 200 };
/// A longer expression takes longer to read.
const QUICK_EXPR_BYTES: usize = 512;
/// A query that does not see its own deadline is given up so much later.
const GRACE: Duration = Duration::from_millis(500);

/// What queries take from the world.
#[derive(Debug)]
pub(super) struct World {
    pub(super) clock: SharedClock,
    pub(super) registry: Registry,
    pub(super) active: Active,
    pub(super) log: QueryLog,
    pub(super) workers: Workers,
}

/// Answers questions about series.
///
/// Every query begins as a light one. One that is none goes to the few threads for heavy ones, or
/// waits there, or is refused: a flood of heavy ones leaves the light ones their place.
#[derive(Debug)]
pub(super) struct Queries {
    engine: Arc<Engine>,
    source: Arc<dyn Source>,
    clock: SharedClock,
    light: Gate,
    lists: Gate,
    workers: Workers,
    active: Active,
    log: QueryLog,
    timeout: Duration,
    /// The step of subqueries that have none.
    evaluation_interval: Mutex<Duration>,
    pressure: Mutex<Pressure>,
    metrics: QueryMetrics,
}

/// When an expression is evaluated.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    At(Timestamp),
    Range { start: Timestamp, end: Timestamp, step: Duration },
}

/// A query and how it is to be run.
pub(super) struct Asked<'a> {
    pub(super) expr: &'a str,
    pub(super) when: When,
    pub(super) timeout: Duration,
    pub(super) lookback: Option<Duration>,
    pub(super) detail: Detail,
}

impl Queries {
    /// Answers from `source`, with at most `concurrency` heavy queries at a time, waiting ones
    /// among them.
    pub(super) fn new(
        engine: Engine,
        source: Arc<dyn Source>,
        concurrency: usize,
        world: World,
    ) -> Self {
        let World { clock, registry, active, log, workers } = world;
        Self {
            timeout: engine.config().timeout,
            evaluation_interval: Mutex::new(engine.config().evaluation_interval),
            engine: Arc::new(engine),
            source,
            clock,
            light: Gate::new(LIGHT_RUNNING),
            lists: Gate::new(LISTS_RUNNING),
            workers,
            active,
            log,
            pressure: Mutex::default(),
            metrics: QueryMetrics::new(&registry, concurrency),
        }
    }

    /// How short memory is.
    pub(super) fn pressure(&self) -> Pressure {
        *lock(&self.pressure)
    }

    /// Says how short memory is.
    pub(super) fn set_pressure(&self, pressure: Pressure) {
        *lock(&self.pressure) = pressure;
    }

    /// Says what the step of subqueries is that have none.
    pub(super) fn set_evaluation_interval(&self, interval: Duration) {
        *lock(&self.evaluation_interval) = interval;
    }

    /// The engine.
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The queries that run.
    pub(super) const fn active(&self) -> &Active {
        &self.active
    }

    /// The log of queries.
    pub(super) const fn log(&self) -> &QueryLog {
        &self.log
    }

    /// As `wire::Core::query`.
    pub(super) fn instant(
        &self,
        call: &Call,
        query: &InstantQuery,
        now: Timestamp,
    ) -> Result<Answer<QueryData>, Error> {
        let asked = Asked {
            expr: &query.expr,
            when: When::At(query.time.unwrap_or(now)),
            timeout: self.timeout_of(call, query.timeout),
            lookback: query.lookback,
            detail: query.detail,
        };
        self.answered(call, &asked, query.limit)
    }

    /// As `wire::Core::query_range`.
    pub(super) fn range(
        &self,
        call: &Call,
        query: &RangeQuery,
    ) -> Result<Answer<QueryData>, Error> {
        let asked = Asked {
            expr: &query.expr,
            when: When::Range { start: query.start, end: query.end, step: query.step },
            timeout: self.timeout_of(call, query.timeout),
            lookback: query.lookback,
            detail: query.detail,
        };
        self.answered(call, &asked, query.limit)
    }

    /// An expression of a rule: it waits for nobody, and has memory of its own.
    pub(super) fn rule(
        &self,
        expr: &str,
        at: Timestamp,
        timeout: Duration,
        group: RuleGroup<'_>,
    ) -> Result<Output, promql::Error> {
        let call = Call { client: RULES.to_owned(), ..Call::with_timeout(timeout) };
        let asked =
            Asked { expr, when: When::At(at), timeout, lookback: None, detail: Detail::default() };
        let ticket = self.active.begin(expr, &call.client, call.canceled.clone());
        let _running = self.metrics.begin();
        let begun = self.clock.elapsed();
        let options =
            promql::Options { user: User::Rules, ..self.options(&call, &asked, &ticket.progress) };
        let parsed = self.engine.parse(expr);
        let outcome = parsed.and_then(|parsed| {
            evaluate(&self.engine, self.source.as_ref(), &parsed, asked.when, &options)
        });
        let times = Times::of(Duration::ZERO, self.since(begun), &outcome);
        let error = outcome.as_ref().err().map(ToString::to_string);
        self.note_end((&call, Some(group)), &asked, ticket.samples(), times, error.as_deref());
        outcome
    }

    /// The newest sample in `range` of each series that matches, staleness markers included.
    pub(super) fn newest(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<Newest>, SourceError> {
        let found = self.source.select(range, matchers, NEWEST_SERIES_MAX)?;
        let mut columns = Columns::default();
        let mut newest = Vec::with_capacity(found.series.len());
        for series in found.series {
            columns.clear();
            series.read(range, &mut columns)?;
            if let Some((ts, value)) = columns.ts.last().zip(columns.values.last()) {
                let at = Timestamp::from_millis(*ts);
                newest.push(Newest { labels: series.labels, at, value: *value });
            }
        }
        Ok(newest)
    }

    fn timeout_of(&self, call: &Call, asked: Option<Duration>) -> Duration {
        asked.unwrap_or(self.timeout).min(call.timeout).min(self.timeout)
    }

    fn answered(
        &self,
        call: &Call,
        asked: &Asked,
        limit: usize,
    ) -> Result<Answer<QueryData>, Error> {
        let (output, times) = self.run(call, asked)?;
        let account = self.account(call, asked, &output, times);
        Ok(Answer { account, ..answer(output, limit, call) })
    }

    /// Runs a query of a client, as a light one first.
    pub(super) fn run(&self, call: &Call, asked: &Asked) -> Result<(Output, Times), Error> {
        self.check_memory()?;
        if call.hurry.is_on() {
            return self.at_once(call, asked);
        }
        let ticket = self.active.begin(asked.expr, &call.client, call.canceled.clone());
        let _running = self.metrics.begin();
        let mut times = Times::default();
        let outcome = self.lightly(call, asked, &ticket, &mut times);
        let error = outcome.as_ref().err();
        if let Some(err) = error.filter(|err| err.kind == ErrorKind::Busy) {
            tracing::debug!(query = asked.expr, %err, "a query was refused");
        }
        let error = error.map(|err| err.message.as_str());
        self.note_end((call, None), asked, ticket.samples(), times, error);
        outcome.map(|output| (output, times))
    }

    /// Runs it if it takes no time worth speaking of, and gives up where it would.
    fn at_once(&self, call: &Call, asked: &Asked) -> Result<(Output, Times), Error> {
        let later = || {
            call.hurry.give_up();
            Error::internal("the answer would take longer")
        };
        if asked.expr.len() > QUICK_EXPR_BYTES {
            return Err(later());
        }
        let begun = self.clock.elapsed();
        let progress: Arc<AtomicUsize> = Arc::default();
        let parsed = self.engine.parse(asked.expr);
        // An expression is tried on all values of a label, however few series it finds.
        let has_regex = |query: &Query| {
            let mut matchers =
                syntax::selectors(query.expr()).into_iter().flat_map(|one| &one.matchers);
            matchers.any(|matcher| matcher.regex().is_some())
        };
        if parsed.as_ref().is_ok_and(has_regex) {
            return Err(later());
        }
        let options = self.light_options(call, asked, &progress, QUICK);
        let outcome = parsed.and_then(|parsed| {
            evaluate(&self.engine, self.source.as_ref(), &parsed, asked.when, &options)
        });
        if outcome.as_ref().is_err_and(promql::Error::wants_more) {
            return Err(later());
        }
        let times = Times::of(Duration::ZERO, self.since(begun), &outcome);
        let outcome = outcome.map_err(|err| self.failure(&err));
        let error = outcome.as_ref().err().map(|err| err.message.as_str());
        self.active.count(asked.expr, times.evaluated);
        self.note_end((call, None), asked, progress.load(Ordering::Relaxed), times, error);
        outcome.map(|output| (output, times))
    }

    /// Runs it within the limits of a light query, and without them where they do not suffice.
    fn lightly(
        &self,
        call: &Call,
        asked: &Asked,
        ticket: &Ticket,
        times: &mut Times,
    ) -> Result<Output, Error> {
        let come = self.clock.elapsed();
        let permit = self.light.enter(asked.timeout).ok_or_else(|| self.late_in_queue())?;
        times.queued = self.since(come);
        let begun = self.clock.elapsed();
        // Reading a text may take long as well: its regular expressions are compiled.
        let parsed = self.engine.parse(asked.expr).map_err(|err| query_error(&err))?;
        let options = self.light_options(call, asked, &ticket.progress, LIGHT);
        let outcome = evaluate(&self.engine, self.source.as_ref(), &parsed, asked.when, &options);
        *times = Times::of(times.queued, self.since(begun), &outcome);
        match outcome {
            Err(err) if err.wants_more() => {}
            ended => return ended.map_err(|err| self.failure(&err)),
        }
        drop(permit);
        self.heavily(call, asked, ticket, (parsed, come), times)
    }

    /// Runs it on the threads for heavy queries; `come` is when it came.
    fn heavily(
        &self,
        call: &Call,
        asked: &Asked,
        ticket: &Ticket,
        (parsed, come): (Query, Duration),
        times: &mut Times,
    ) -> Result<Output, Error> {
        let (engine, source, clock) =
            (self.engine.clone(), self.source.clone(), self.clock.clone());
        let (when, timeout) = (asked.when, asked.timeout);
        let mut options = self.options(call, asked, &ticket.progress);
        let patience = timeout.saturating_sub(self.since(come)).saturating_add(GRACE);
        let work = move || {
            let begun = clock.elapsed();
            let waited = begun.saturating_sub(come);
            options.timeout = Some(timeout.saturating_sub(waited));
            let outcome = evaluate(&engine, source.as_ref(), &parsed, when, &options);
            let times = Times::of(waited, clock.elapsed().saturating_sub(begun), &outcome);
            (outcome, times)
        };
        let (outcome, took) = self
            .workers
            .run(patience, &call.canceled, work)
            .map_err(|not_done| self.not_done(not_done))?;
        *times = took;
        outcome.map_err(|err| self.failure(&err))
    }

    fn not_done(&self, why: NotDone) -> Error {
        match why {
            NotDone::Full => {
                self.metrics.refused_for_number.inc();
                let text = "as many heavy queries as --query.max-concurrency allows are running \
                            or waiting; ask again when some have ended";
                Error::new(ErrorKind::Busy, text)
            }
            NotDone::Late => self.late_in_queue(),
            NotDone::Canceled => query_error(&promql::Error::Canceled),
            NotDone::Broken => Error::internal("the query failed; the log says more"),
        }
    }

    fn late_in_queue(&self) -> Error {
        self.metrics.refused_for_time.inc();
        Error::new(ErrorKind::Timeout, "query timed out in query queue")
    }

    fn failure(&self, err: &promql::Error) -> Error {
        if err.kind() == promql::ErrorKind::Busy {
            self.metrics.refused_for_pool.inc();
        }
        query_error(err)
    }

    fn since(&self, begun: Duration) -> Duration {
        self.clock.elapsed().saturating_sub(begun)
    }

    fn options(&self, call: &Call, asked: &Asked, progress: &Arc<AtomicUsize>) -> promql::Options {
        let interval = *lock(&self.evaluation_interval);
        promql::Options {
            lookback: asked.lookback,
            evaluation_interval: Some(interval),
            timeout: Some(asked.timeout),
            canceled: call.canceled.clone(),
            progress: progress.clone(),
            profile: asked.detail.is_some(),
            ..promql::Options::default()
        }
    }

    fn light_options(
        &self,
        call: &Call,
        asked: &Asked,
        progress: &Arc<AtomicUsize>,
        light: Light,
    ) -> promql::Options {
        let (light, bytes_max) = (Some(light), Some(LIGHT_BYTES));
        promql::Options {
            light,
            bytes_max,
            user: User::Light,
            ..self.options(call, asked, progress)
        }
    }

    fn note_end(
        &self,
        (call, rule_group): (&Call, Option<RuleGroup<'_>>),
        asked: &Asked,
        samples: usize,
        times: Times,
        error: Option<&str>,
    ) {
        self.metrics.end(times, samples);
        let (start, end, step) = match asked.when {
            When::At(at) => (at, at, Duration::ZERO),
            When::Range { start, end, step } => (start, end, step),
        };
        self.log.tell(
            self.clock.now(),
            &Ended {
                expr: asked.expr,
                client: if rule_group.is_some() { "" } else { &call.client },
                rule_group,
                start,
                end,
                step_seconds: step.as_secs_f64(),
                times,
                samples,
                error,
            },
        );
    }

    /// As `wire::Core::query_hints`.
    pub(super) fn hints(&self, expr: &str, range: TimeRange) -> Result<Vec<String>, Error> {
        self.check_memory()?;
        hints::hints(self.source.as_ref(), expr, range)
    }

    /// As `wire::Core::series`.
    pub(super) fn series(
        &self,
        call: &Call,
        request: &SeriesRequest,
    ) -> Result<Answer<Vec<Labels>>, Error> {
        let series = |matchers: &[Matcher]| self.source.series(request.range, matchers);
        self.listed(call, request, Labels::byte_len, series)
    }

    /// As `wire::Core::label_names`.
    pub(super) fn label_names(
        &self,
        call: &Call,
        request: &SeriesRequest,
    ) -> Result<Answer<Vec<String>>, Error> {
        let names = |matchers: &[Matcher]| self.source.label_names(request.range, matchers);
        self.listed(call, request, String::len, names)
    }

    /// As `wire::Core::label_values`.
    pub(super) fn label_values(
        &self,
        call: &Call,
        name: &str,
        request: &SeriesRequest,
    ) -> Result<Answer<Vec<String>>, Error> {
        let values = |matchers: &[Matcher]| self.source.label_values(name, request.range, matchers);
        self.listed(call, request, String::len, values)
    }

    /// The union over the request's lists of matchers, sorted, cut at its limit. Few are made at a
    /// time, since the store does not know beforehand how long one will be.
    fn listed<T: Ord>(
        &self,
        call: &Call,
        request: &SeriesRequest,
        length: impl Fn(&T) -> usize,
        ask: impl Fn(&[Matcher]) -> Result<Vec<T>, SourceError>,
    ) -> Result<Answer<Vec<T>>, Error> {
        self.check_memory()?;
        let patience = call.timeout.min(self.timeout);
        let _permit = self.lists.enter(patience).ok_or_else(|| self.late_in_queue())?;
        if call.is_canceled() {
            return Err(query_error(&promql::Error::Canceled));
        }
        let answer = limited(self.each(request, ask)?, request.limit);
        // The list and its text.
        let sizes = answer.data.iter().map(|one| size_of::<T>() + 3 * length(one));
        let lease = self.engine.lease(sizes.sum()).map_err(|err| self.failure(&err))?;
        call.kept.keep(lease);
        Ok(answer)
    }

    fn check_memory(&self) -> Result<(), Error> {
        if self.pressure() < Pressure::NoQueries {
            return Ok(());
        }
        self.metrics.refused_for_memory.inc();
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
}

/// Evaluates an expression.
fn evaluate(
    engine: &Engine,
    source: &dyn Source,
    query: &Query,
    when: When,
    options: &promql::Options,
) -> Result<Output, promql::Error> {
    match when {
        When::At(at) => engine.instant(source, query, at, options),
        When::Range { start, end, step } => engine.range(source, query, start, end, step, options),
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

fn answer(output: Output, limit: usize, call: &Call) -> Answer<QueryData> {
    let mut warnings = output.warnings().to_vec();
    let infos = output.infos().to_vec();
    // Until the answer is sent its memory is not free.
    call.kept.keep(output.lease);
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
    Answer { data, warnings, infos, account: None }
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
    use super::super::slow::Slow;
    use super::*;
    use crate::sys::files::SystemFiles;
    use crate::sys::sim::VirtualClock;
    use crate::sys::tasks;
    use crate::wire::Hurry;

    const AT: Timestamp = Timestamp::from_millis(0);
    const GROUP: RuleGroup<'_> = RuleGroup { file: "rules.yml", name: "g" };

    struct Scene {
        queries: Arc<Queries>,
        source: Arc<Slow>,
        _folder: tempfile::TempDir,
    }

    impl Scene {
        /// One thread for heavy queries, of which so many are admitted.
        fn new(concurrency: usize) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let clock: SharedClock = Arc::new(VirtualClock::at(AT));
            let engine = Engine::new(promql::Config::default(), clock.clone());
            let (source, registry) = (Arc::new(Slow::default()), Registry::new());
            let world = World {
                active: Active::open(&SystemFiles, folder.path(), clock.clone()).0,
                log: QueryLog::new(&registry),
                workers: Workers::start(1, concurrency).expect("threads"),
                clock,
                registry,
            };
            let queries = Arc::new(Queries::new(engine, source.clone(), concurrency, world));
            Self { queries, source, _folder: folder }
        }

        fn ask(&self, expr: &str) -> Result<(), (u16, String)> {
            ask(&self.queries, &Call::with_timeout(Duration::from_secs(60)), expr)
        }

        /// A query of its own thread, and its call.
        fn begin(&self, expr: &'static str) -> (Call, Waiter) {
            let call = Call::with_timeout(Duration::from_secs(60));
            let (queries, own) = (self.queries.clone(), call.clone());
            let asked = tasks::spawn_thread("test", move || ask(&queries, &own, expr));
            (call, asked.expect("starts"))
        }
    }

    type Waiter = std::thread::JoinHandle<Option<Result<(), (u16, String)>>>;

    fn ask(queries: &Queries, call: &Call, expr: &str) -> Result<(), (u16, String)> {
        let answer = queries.instant(call, &InstantQuery::now(expr), AT);
        answer.map(|_| ()).map_err(|err| (err.kind.status(), err.message))
    }

    fn ended(waiter: Waiter) -> Result<(), (u16, String)> {
        waiter.join().expect("joins").expect("does not panic")
    }

    #[test]
    fn heavy_queries_wait_or_are_refused_and_light_ones_and_rules_pass_by() {
        let scene = Scene::new(2);
        let (_, running) = scene.begin("heavy");
        scene.source.wait_for_one();
        let (gone, waiting) = scene.begin("heavy + heavy");
        while scene.queries.workers.admitted() < 2 {
            std::thread::yield_now();
        }
        let refused = scene.ask("heavy");
        let (status, text) = refused.expect_err("refused");
        assert_eq!(status, 503, "{text}");
        assert!(text.contains("--query.max-concurrency"), "{text}");
        assert_eq!(scene.queries.metrics.refused_for_number.get().to_bits(), 1.0_f64.to_bits());
        scene.ask("light").expect("passes");
        scene.ask("sum(").expect_err("is no expression");
        scene.queries.rule("light", AT, Duration::from_secs(9), GROUP).expect("passes");
        gone.canceled.store(true, Ordering::Relaxed);
        assert_eq!(ended(waiting).expect_err("nobody waits").0, 499);
        scene.source.release();
        ended(running).expect("has an answer");
        scene.ask("heavy").expect("there is a place again");
        assert_eq!(scene.queries.active().list(), []);
    }

    #[test]
    fn a_running_query_is_listed_and_may_be_canceled_by_its_id() {
        let scene = Scene::new(2);
        let (_, running) = scene.begin("heavy");
        scene.source.wait_for_one();
        let list = scene.queries.active().list();
        let [one] = list.as_slice() else { panic!("{list:?}") };
        assert_eq!(one.query, "heavy");
        assert!(scene.queries.active().cancel(&one.id));
        assert_eq!(ended(running).expect_err("canceled").0, 499);
        scene.source.release();
    }

    #[test]
    fn in_a_hurry_short_work_is_done_and_the_rest_given_up_without_a_trace() {
        let scene = Scene::new(1);
        let long = format!("vector(1){}", " ".repeat(QUICK_EXPR_BYTES));
        let told = || scene.queries.active().top(9).by_count;
        for (expr, is_answered) in [
            ("vector(1)", true),
            ("light", true),
            ("sum(", true),
            ("light{a=~\"b|c\"}", false),
            ("heavy", false),
            (long.as_str(), false),
        ] {
            let hurry = Hurry::on();
            let timeout = Duration::from_secs(60);
            let call = Call { hurry: hurry.clone(), ..Call::with_timeout(timeout) };
            let (before, answer) = (told().len(), ask(&scene.queries, &call, expr));
            assert_eq!(hurry.was_given_up(), !is_answered, "{expr}: {answer:?}");
            assert_eq!(told().len() - before, usize::from(is_answered), "{expr}");
            assert_eq!(scene.queries.active().list(), [], "{expr}");
            if !is_answered {
                answer.expect_err("no answer");
            }
        }
        assert!(told().iter().all(|one| one.count == 1), "{:?}", told());
    }

    #[test]
    fn an_answer_keeps_its_memory_until_it_is_sent() {
        let scene = Scene::new(1);
        let call = Call::with_timeout(Duration::from_secs(60));
        let used = || scene.queries.engine().pool().used();
        ask(&scene.queries, &call, "vector(1)").expect("an answer");
        assert!(used() > 0);
        drop(call);
        assert_eq!(used(), 0);
    }

    #[test]
    fn without_memory_queries_are_503_and_counted_and_rules_go_on() {
        let scene = Scene::new(1);
        let ask = || {
            let all = SeriesRequest { matchers: Vec::new(), range: TimeRange::ALL, limit: 0 };
            let call = Call::with_timeout(Duration::from_secs(60));
            let names = scene.queries.label_names(&call, &all);
            let names = names.map(|_| ()).map_err(|err| (err.kind.status(), err.message));
            [names, scene.ask("up")]
        };
        for (pressure, refused) in
            [(Pressure::NoNewSeries, 0), (Pressure::NoQueries, 2), (Pressure::None, 2)]
        {
            scene.queries.set_pressure(pressure);
            for answer in ask() {
                match answer {
                    Ok(()) => assert_ne!(pressure, Pressure::NoQueries),
                    Err((status, text)) => {
                        assert_eq!((pressure, status), (Pressure::NoQueries, 503), "{text}");
                        assert!(text.contains("memory"), "{text}");
                    }
                }
            }
            scene.queries.rule("up", AT, Duration::from_secs(9), GROUP).expect("rules go on");
            let counted = scene.queries.metrics.refused_for_memory.get();
            assert_eq!(counted.to_bits(), f64::from(refused).to_bits());
        }
    }
}
