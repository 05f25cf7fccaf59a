//! info: adds labels of info metrics to series of the same target.
//!
//! Source: prometheus, promql/info.go.

use super::call::arg;
use super::column::{Row, Rows, is_absent, merged};
use super::guard::{row_bytes, rows_bytes};
use super::plan::{Kind, Node, Select};
use super::select::source_error;
use super::{Evaluator, Grid, Sink, empty_column};
use crate::model::{Labels, METRIC_NAME, MatchOp, Matcher, TimeRange, Timestamp};
use crate::promql::Error;
use std::collections::{BTreeMap, BTreeSet};

/// The labels that tell a target.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// An info series: labels, and for each step the time of its newest sample.
struct InfoSeries {
    labels: Labels,
    times: Vec<f64>,
}

impl Evaluator<'_> {
    pub(super) fn info_call(
        &self,
        args: &[Node],
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let base = self.eval(arg(args, 0)?, grid)?;
        let matchers = match args.get(1).map(|node| &node.kind) {
            Some(Kind::Select(select)) => select.matchers.clone(),
            _absent => Vec::new(),
        };
        let (names, data): (Vec<Matcher>, Vec<Matcher>) =
            matchers.into_iter().partition(|matcher| matcher.name() == METRIC_NAME);
        let names = name_matchers(names);
        let is_info = |labels: &Labels| names.iter().all(|matcher| matcher.matches(labels));
        let times = first_times(arg(args, 0)?).unwrap_or((0, None));
        let infos = self.info_series(&base, &is_info, &names, &data, times, grid)?;
        let mut out = Rows::new();
        for row in base {
            self.guard.work(row.values.len())?;
            if is_info(&row.labels) {
                out.push(row);
            } else {
                enrich(&row, &infos, &data, &mut out)?;
            }
        }
        let rows = merged(out, false)?;
        self.guard.hold(rows.len() * grid.count)?;
        self.guard.hold_bytes(rows_bytes(&rows))?;
        self.emit(rows, sink)
    }

    /// The info series of the targets that occur in `base`.
    fn info_series(
        &self,
        base: &Rows,
        is_info: &dyn Fn(&Labels) -> bool,
        names: &[Matcher],
        data: &[Matcher],
        (offset, at): (i64, Option<i64>),
        grid: Grid,
    ) -> Result<Vec<InfoSeries>, Error> {
        let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for row in base.iter().filter(|row| !is_info(&row.labels)) {
            for name in IDENTIFYING {
                if let Some(value) = row.labels.get(name) {
                    values.entry(name).or_default().insert(value);
                }
            }
        }
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let lookup = Select { matchers: Vec::new(), offset, at, extension: None, fetch: 0 };
        let lookback = self.settings.lookback;
        let from = lookup.reference(grid.start).saturating_sub(lookback).saturating_add(1);
        let to = lookup.reference(grid.last());
        let bounds = (Timestamp::from_millis(from), Timestamp::from_millis(to));
        let Some(range) = TimeRange::new(bounds.0, bounds.1) else { return Ok(Vec::new()) };
        let matchers: Vec<Matcher> = names.iter().chain(data).cloned().collect();
        let series_max = self.guard.series_room(self.settings.series_max);
        let set = self.source.select(range, &matchers, series_max).map_err(source_error)?;
        self.guard.hold_series(&set.series)?;
        let mut found = Vec::new();
        let known = set.series.iter().filter(|series| {
            values.iter().all(|(name, values)| values.contains(series.labels.value_of(name)))
        });
        self.read_in_turn(known, range, &mut |series, columns| {
            self.guard.hold(grid.count)?;
            self.guard.hold_bytes(row_bytes(&series.labels))?;
            let times = super::select::newest_times(columns, &lookup, grid, lookback);
            found.push(InfoSeries { labels: series.labels.clone(), times });
            Ok(())
        })?;
        Ok(found)
    }
}

/// The matchers of the info metric's name: `target_info` unless something positive is said.
fn name_matchers(mut names: Vec<Matcher>) -> Vec<Matcher> {
    if names.is_empty() {
        return vec![Matcher::equal(METRIC_NAME, "target_info")];
    }
    if !names.iter().any(|name| name.op().is_positive()) {
        let any = Matcher::new(METRIC_NAME, MatchOp::Regex, ".+_info");
        names.insert(0, any.expect("a constant expression compiles"));
    }
    names
}

/// Offset and fixed time of the first selector below a node, which the info series follow; a
/// subquery around it adds its own.
fn first_times(node: &Node) -> Option<(i64, Option<i64>)> {
    match &node.kind {
        Kind::Select(select) | Kind::Range { select, .. } => Some((select.offset, select.at)),
        Kind::Subquery { inner, window, .. } => {
            let (offset, at) = first_times(inner)?;
            Some(match at {
                Some(at) => (offset, Some(at)),
                None => (offset.saturating_add(window.offset), window.at),
            })
        }
        Kind::Negate(inner) | Kind::Plus(inner) => first_times(inner),
        Kind::Binary(binary) => first_times(&binary.lhs).or_else(|| first_times(&binary.rhs)),
        Kind::Aggregate(aggregate) => first_times(&aggregate.inner),
        Kind::Call { args, .. } => args.iter().find_map(first_times),
        Kind::Number(_) | Kind::String(_) => None,
    }
}

/// Adds to `out` the series with the labels that hold at each step.
fn enrich(row: &Row, infos: &[InfoSeries], data: &[Matcher], out: &mut Rows) -> Result<(), Error> {
    let same_target = |info: &&InfoSeries| {
        IDENTIFYING.iter().all(|name| info.labels.get(name) == row.labels.get(name))
    };
    let infos: Vec<&InfoSeries> = infos.iter().filter(same_target).collect();
    let must_match = data.iter().any(|matcher| !matcher.matches_empty());
    let mut made: BTreeMap<Labels, Vec<f64>> = BTreeMap::new();
    for (step, value) in row.values.iter().enumerate() {
        if is_absent(*value) {
            continue;
        }
        let newest = newest_by_name(&infos, step)?;
        if newest.is_empty() && must_match {
            continue;
        }
        let labels = with_info(&row.labels, &newest, data)?;
        let column = made.entry(labels).or_insert_with(|| empty_column(row.values.len()));
        if let Some(slot) = column.get_mut(step) {
            *slot = *value;
        }
    }
    for (labels, values) in made {
        out.push(Row { labels, drop_name: row.drop_name, values });
    }
    Ok(())
}

/// Of each info metric the series with the newest sample at a step.
fn newest_by_name<'i>(
    infos: &[&'i InfoSeries],
    step: usize,
) -> Result<BTreeMap<&'i str, (&'i InfoSeries, f64)>, Error> {
    let mut newest: BTreeMap<&str, (&InfoSeries, f64)> = BTreeMap::new();
    for info in infos {
        let Some(time) = info.times.get(step).copied().filter(|time| !is_absent(*time)) else {
            continue;
        };
        let name = info.labels.value_of(METRIC_NAME);
        match newest.get(name) {
            Some((other, other_time)) if *other_time == time => {
                let ms = time * 1000.0;
                return Err(Error::execution(format!(
                    "found duplicate series for info metric: existing {} @ {ms}, new {} @ {ms}",
                    other.labels, info.labels
                )));
            }
            Some((_, other_time)) if *other_time > time => {}
            _older_or_none => {
                newest.insert(name, (info, time));
            }
        }
    }
    Ok(newest)
}

/// The base labels and those of the info series that are wanted and not there yet.
fn with_info(
    base: &Labels,
    newest: &BTreeMap<&str, (&InfoSeries, f64)>,
    data: &[Matcher],
) -> Result<Labels, Error> {
    let mut labels = base.to_builder();
    let mut added: BTreeMap<&str, &str> = BTreeMap::new();
    for (info, _) in newest.values() {
        for (name, value) in info.labels.iter() {
            let wanted = data.is_empty() || data.iter().any(|matcher| matcher.name() == name);
            if name == METRIC_NAME || !wanted {
                continue;
            }
            if added.get(name).is_some_and(|before| *before != value) {
                return Err(Error::execution(format!("conflicting label: {name}")));
            }
            if base.get(name).is_none() {
                added.insert(name, value);
                labels.set(name, value);
            }
        }
    }
    Ok(labels.build())
}
