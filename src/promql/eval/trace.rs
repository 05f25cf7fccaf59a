//! Where the work of a query goes, for those who ask: which node runs is noted when one is entered
//! and when a series passes from one to the next. Without a trace that is one branch a node.

use super::column::{Scalars, is_absent};
use super::plan::{Kind, Node};
use super::window::RangeSink;
use super::{Evaluator, Grid, Guard, Sink};
use crate::promql::syntax::Span;
use crate::promql::{Error, NodeProfile, Profile};
use std::cell::{Cell, RefCell};
use std::time::Duration;

/// The place of what is outside of all nodes: the answer as it is collected.
const OUTSIDE: usize = 0;

/// Follows one evaluation.
#[derive(Debug)]
pub(super) struct Trace {
    began: Duration,
    /// When the clock was read last; what has passed since belongs to the node that runs.
    since: Cell<Duration>,
    samples_seen: Cell<usize>,
    peak_seen: Cell<usize>,
    now: Cell<Now>,
    /// Steps for which what runs is evaluated once.
    steps: Cell<usize>,
    queryable: Cell<usize>,
    read: Cell<usize>,
    nodes: RefCell<Vec<NodeProfile>>,
}

/// What runs.
#[derive(Clone, Copy, Debug)]
struct Now {
    node: usize,
    /// Subqueries around it.
    depth: usize,
}

/// A node that was entered, and what ran before: that is where its series go.
#[derive(Clone, Copy, Debug)]
struct Entered {
    inside: Now,
    outside: Now,
}

impl Trace {
    pub(super) fn new(guard: &Guard) -> Self {
        let began = guard.elapsed();
        Self {
            began,
            since: Cell::new(began),
            samples_seen: Cell::new(0),
            peak_seen: Cell::new(0),
            now: Cell::new(Now { node: OUTSIDE, depth: 0 }),
            steps: Cell::new(1),
            queryable: Cell::new(0),
            read: Cell::new(0),
            nodes: RefCell::new(vec![NodeProfile::new(Span::default())]),
        }
    }

    /// Gives what has happened since the last call to the node that ran, and lets `next` run.
    fn switch(&self, guard: &Guard, next: Now) {
        let now = guard.elapsed();
        let time = now.saturating_sub(self.since.replace(now));
        let samples = guard.samples_read();
        let read = samples.saturating_sub(self.samples_seen.replace(samples));
        let peak = guard.samples_peak();
        let is_peak = peak > self.peak_seen.replace(peak);
        if let Some(node) = self.nodes.borrow_mut().get_mut(self.now.replace(next).node) {
            node.time += time;
            node.samples += read;
            if is_peak {
                node.bytes_peak = Some(peak * size_of::<f64>());
            }
        }
    }

    fn enter(&self, guard: &Guard, node: &Node) -> Entered {
        let mut nodes = self.nodes.borrow_mut();
        let known = nodes.iter().skip(1).position(|one| one.span == node.span);
        let place = known.map_or(nodes.len(), |place| place + 1);
        if known.is_none() {
            nodes.push(NodeProfile::new(node.span));
        }
        drop(nodes);
        let outside = self.now.get();
        // A subquery that is the whole query has no windows that look at its samples.
        let is_subquery = matches!(node.kind, Kind::Subquery { .. });
        let deeper = usize::from(is_subquery && outside.node != OUTSIDE);
        let inside = Now { node: place, depth: outside.depth + deeper };
        self.switch(guard, inside);
        Entered { inside, outside }
    }

    /// Counts a series that the node hands on.
    fn count(&self, entered: Entered, samples: Looked) {
        if let Some(node) = self.nodes.borrow_mut().get_mut(entered.inside.node) {
            node.series += 1;
        }
        // A subquery's own samples are those that its windows look at.
        if entered.outside.depth == 0 {
            let queryable = samples.queryable.saturating_mul(self.steps.get());
            self.queryable.set(self.queryable.get().saturating_add(queryable));
        }
        self.read.set(self.read.get().saturating_add(samples.read));
    }

    /// Runs what is evaluated once for `steps` steps.
    fn once_for<T>(&self, steps: usize, work: impl FnOnce() -> T) -> T {
        let before = self.steps.get();
        self.steps.set(before.saturating_mul(steps));
        let result = work();
        self.steps.set(before);
        result
    }

    /// The profile of the plan that ran.
    pub(super) fn finish(self, guard: &Guard, root: &Node, selected: &[Option<usize>]) -> Profile {
        self.switch(guard, Now { node: OUTSIDE, depth: 0 });
        let mut nodes = self.nodes.into_inner();
        nodes.remove(OUTSIDE);
        let mut asked = Vec::new();
        describe(root, &mut nodes, selected, &mut asked);
        Profile {
            nodes,
            evaluated: self.since.get().saturating_sub(self.began),
            samples_queryable: self.queryable.get(),
            samples_read: self.read.get(),
        }
    }
}

/// Samples that one series was asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Looked {
    /// Once for each step.
    queryable: usize,
    /// Without those of earlier steps.
    read: usize,
}

/// Adds what the plan knows of a node and of those below.
fn describe(
    node: &Node,
    nodes: &mut Vec<NodeProfile>,
    selected: &[Option<usize>],
    asked: &mut Vec<usize>,
) {
    let place = nodes.iter().position(|one| one.span == node.span);
    let place = place.unwrap_or_else(|| {
        nodes.push(NodeProfile::new(node.span));
        nodes.len() - 1
    });
    if let Some(profile) = nodes.get_mut(place) {
        profile.once = node.invariant;
        if let Kind::Select(select) | Kind::Range { select, .. } = &node.kind {
            profile.selected = selected.get(select.fetch).copied().flatten();
            profile.shared = asked.contains(&select.fetch);
            asked.push(select.fetch);
        }
    }
    let mut below = |node: &Node| describe(node, nodes, selected, asked);
    match &node.kind {
        Kind::Number(_) | Kind::String(_) | Kind::Select(_) | Kind::Range { .. } => {}
        Kind::Negate(inner) | Kind::Plus(inner) | Kind::Subquery { inner, .. } => below(inner),
        Kind::Binary(binary) => [&binary.lhs, &binary.rhs].into_iter().for_each(below),
        Kind::Aggregate(aggregate) => {
            aggregate.param.iter().chain([&aggregate.inner]).for_each(below);
        }
        Kind::Call { args, .. } => args.iter().for_each(below),
    }
}

impl Evaluator<'_> {
    pub(super) fn raw_stream(
        &self,
        node: &Node,
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        self.traced(node, sink, |sink| self.series_of(node, grid, sink))
    }

    /// Runs `work` as what hands on the series of `node`.
    pub(super) fn traced(
        &self,
        node: &Node,
        sink: &mut Sink<'_>,
        work: impl FnOnce(&mut Sink<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(trace) = &self.trace else { return work(sink) };
        let entered = trace.enter(&self.guard, node);
        let is_select = matches!(node.kind, Kind::Select(_));
        let result = work(&mut |labels, drop_name, values| {
            let present = if is_select {
                values.iter().filter(|value| !is_absent(**value)).count()
            } else {
                0
            };
            trace.count(entered, Looked { queryable: present, read: present });
            trace.switch(&self.guard, entered.outside);
            let result = sink(labels, drop_name, values);
            trace.switch(&self.guard, entered.inside);
            result
        });
        trace.switch(&self.guard, entered.outside);
        result
    }

    /// The values of a scalar expression, one a step.
    pub(super) fn scalar(&self, node: &Node, grid: Grid) -> Result<Scalars, Error> {
        let Some(trace) = &self.trace else { return self.scalars_of(node, grid) };
        let entered = trace.enter(&self.guard, node);
        let result = self.scalars_of(node, grid);
        trace.switch(&self.guard, entered.outside);
        result
    }

    /// The samples that any step may see, series by series.
    pub(super) fn range_series(
        &self,
        node: &Node,
        grid: Grid,
        sink: &mut RangeSink<'_>,
    ) -> Result<(), Error> {
        let Some(trace) = &self.trace else { return self.ranges_of(node, grid, sink) };
        let entered = trace.enter(&self.guard, node);
        let result = self.ranges_of(node, grid, &mut |labels, drop_name, columns| {
            let whole = entered.outside.node == OUTSIDE && !matches!(node.kind, Kind::Range { .. });
            let looked = if whole { Looked::default() } else { looked(node, grid, &columns.ts) };
            trace.count(entered, looked);
            trace.switch(&self.guard, entered.outside);
            let result = sink(labels, drop_name, columns);
            trace.switch(&self.guard, entered.inside);
            result
        });
        trace.switch(&self.guard, entered.outside);
        result
    }
}

impl Evaluator<'_> {
    /// Runs what is evaluated once for all steps of `grid`.
    pub(super) fn once_for<T>(&self, grid: Grid, work: impl FnOnce() -> T) -> T {
        match &self.trace {
            Some(trace) => trace.once_for(grid.count, work),
            None => work(),
        }
    }
}

/// What the windows of a range see of samples at these times.
fn looked(node: &Node, grid: Grid, ts: &[i64]) -> Looked {
    let (range, of_source) = match &node.kind {
        Kind::Range { range, .. } => (*range, true),
        Kind::Subquery { window, .. } => (window.range, false),
        _other => return Looked::default(),
    };
    let reference = |at: i64| match &node.kind {
        Kind::Range { select, .. } => select.reference(at),
        Kind::Subquery { window, .. } => window.reference(at),
        _other => at,
    };
    let mut looked = Looked::default();
    let mut seen = 0;
    for at in grid.times() {
        let end = reference(at);
        let start = end.saturating_sub(range);
        let (from, to) =
            (ts.partition_point(|ts| *ts <= start), ts.partition_point(|ts| *ts <= end));
        looked.queryable += to.saturating_sub(from);
        if of_source {
            looked.read += to.saturating_sub(from.max(seen));
        }
        seen = to;
    }
    looked
}
