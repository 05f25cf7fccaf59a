//! Aggregations over series. Those that need no more than a few numbers a group and step take
//! their input as a stream.
//!
//! Source: prometheus, promql/engine.go (aggregation, aggregationCountValues).

use super::column::{ABSENT, Row, Rows, is_absent};
use super::guard::{group_bytes, row_bytes, rows_bytes};
use super::math::{Mean, Sum, quantile};
use super::plan::{Aggregate, Kind};
use super::{Evaluator, Grid, annotate, empty_column};
use crate::model::{Labels, LabelsText, METRIC_NAME, value_text};
use crate::promql::Error;
use crate::promql::syntax::{AggregateOp, Grouping};
use crate::storage::source::CountBy;
use multiversion::multiversion;
use rustc_hash::FxBuildHasher;
use std::collections::HashMap;
use std::ops::Range;

pub(super) type Map<K, V> = HashMap<K, V, FxBuildHasher>;

impl Evaluator<'_> {
    pub(super) fn aggregate(&self, aggregate: &Aggregate, grid: Grid) -> Result<Rows, Error> {
        match aggregate.op {
            AggregateOp::Topk
            | AggregateOp::Bottomk
            | AggregateOp::Limitk
            | AggregateOp::LimitRatio => self.rank(aggregate, grid),
            AggregateOp::CountValues => self.count_values(aggregate, grid),
            AggregateOp::Quantile => self.quantile(aggregate, grid),
            AggregateOp::Sum => self.fold::<Totals>(aggregate, grid),
            AggregateOp::Avg => self.fold::<Averages>(aggregate, grid),
            AggregateOp::Count => match self.counted(aggregate, grid)? {
                Some(rows) => Ok(rows),
                None => self.fold::<Each<Count>>(aggregate, grid),
            },
            AggregateOp::Min => self.fold::<Each<Smallest>>(aggregate, grid),
            AggregateOp::Max => self.fold::<Each<Largest>>(aggregate, grid),
            AggregateOp::Group => self.fold::<Each<One>>(aggregate, grid),
            AggregateOp::Stddev => self.fold::<Each<Deviation>>(aggregate, grid),
            AggregateOp::Stdvar => self.fold::<Each<Variance>>(aggregate, grid),
        }
    }

    /// The count of a selector's series at one instant, as far as the source can tell it without
    /// reading them all.
    fn counted(&self, aggregate: &Aggregate, grid: Grid) -> Result<Option<Rows>, Error> {
        let Kind::Select(select) = &aggregate.inner.kind else { return Ok(None) };
        if grid.count != 1 || select.extension.is_some() {
            return Ok(None);
        }
        let Grouping { labels, without, .. } = &aggregate.grouping;
        let Some(groups) =
            self.count_selected(select, grid, CountBy { labels, without: *without })?
        else {
            return Ok(None);
        };
        self.guard.hold(groups.len())?;
        let rows = groups.into_iter().map(|(labels, count)| Row {
            labels,
            drop_name: false,
            values: vec![count as f64],
        });
        Ok(Some(rows.collect()))
    }

    /// Folds the input, series by series, into one column a group.
    fn fold<F: Fold>(&self, aggregate: &Aggregate, grid: Grid) -> Result<Rows, Error> {
        struct Folded<F> {
            labels: Labels,
            drop_name: bool,
            column: F,
        }
        let mut numbers = Numbers::default();
        let mut groups: Vec<Folded<F>> = Vec::new();
        // Cells are larger than slots, and are counted as so many of them.
        let slots = grid.count * F::CELL_BYTES.div_ceil(size_of::<f64>());
        self.stream(&aggregate.inner, grid, &mut |labels, drop_name, values| {
            self.guard.work(values.len())?;
            let (number, fresh) = numbers.of(labels, &aggregate.grouping);
            if let Some(labels) = fresh {
                self.guard.hold(slots)?;
                self.guard.hold_bytes(group_bytes(&labels))?;
                groups.push(Folded { labels, drop_name: false, column: F::new(grid.count) });
            }
            let group = groups.get_mut(number).expect("numbers are those of groups");
            group.drop_name |= drop_name;
            group.column.add(values);
            Ok(())
        })?;
        let tables: usize = groups.iter().map(|one| group_bytes(&one.labels)).sum();
        let rows: usize = groups.iter().map(|one| row_bytes(&one.labels)).sum();
        self.guard.exchange((slots * groups.len(), tables), (grid.count * groups.len(), rows))?;
        let rows = groups.into_iter().map(|group| Row {
            labels: group.labels,
            drop_name: group.drop_name,
            values: group.column.values(),
        });
        Ok(rows.collect())
    }

    fn quantile(&self, aggregate: &Aggregate, grid: Grid) -> Result<Rows, Error> {
        let param = aggregate.param.as_ref().expect("the parser gives quantile its parameter");
        let qs = self.scalar(param, grid)?;
        for q in qs.iter() {
            if q.is_nan() || !(0.0..=1.0).contains(&q) {
                self.warn(param.span, annotate::invalid_quantile(q));
            }
        }
        let rows = self.eval(&aggregate.inner, grid)?;
        let mut out = Rows::new();
        let mut scratch = Vec::new();
        for (labels, members) in grouped(&rows, &aggregate.grouping) {
            self.guard.hold(grid.count)?;
            self.guard.hold_bytes(row_bytes(&labels))?;
            let mut values = empty_column(grid.count);
            for (step, slot) in values.iter_mut().enumerate() {
                scratch.clear();
                let cells = members.iter().filter_map(|row| row.values.get(step));
                scratch.extend(cells.copied().filter(|value| !is_absent(*value)));
                self.guard.work(scratch.len())?;
                if !scratch.is_empty() {
                    *slot = quantile(qs.at(step), &mut scratch);
                }
            }
            let drop_name = members.iter().any(|row| row.drop_name);
            out.push(Row { labels, drop_name, values });
        }
        self.let_go(&rows, grid);
        Ok(out)
    }

    fn count_values(&self, aggregate: &Aggregate, grid: Grid) -> Result<Rows, Error> {
        let label = match aggregate.param.as_ref().map(|param| &param.kind) {
            Some(Kind::String(label)) => label,
            _other => return Err(Error::execution("count_values wants a label name")),
        };
        if label.is_empty() {
            return Err(Error::execution("invalid label name \"\""));
        }
        let mut grouping = aggregate.grouping.clone();
        if !grouping.without {
            grouping.labels.push(label.clone());
        }
        let rows = self.eval(&aggregate.inner, grid)?;
        let mut places: Map<Labels, usize> = Map::default();
        let mut out = Rows::new();
        for row in &rows {
            for (step, value) in row.values.iter().enumerate() {
                if is_absent(*value) {
                    continue;
                }
                let mut builder = row.labels.to_builder();
                builder.set(label.clone(), value_text::plain(*value));
                let labels = group_labels(&builder.build(), &grouping);
                let place = match places.get(&labels) {
                    Some(place) => *place,
                    None => {
                        self.guard.hold(grid.count)?;
                        self.guard.hold_bytes(group_bytes(&labels))?;
                        places.insert(labels.clone(), out.len());
                        let values = empty_column(grid.count);
                        out.push(Row { labels, drop_name: false, values });
                        out.len() - 1
                    }
                };
                self.guard.work(1)?;
                let row = out.get_mut(place).expect("places are those of rows");
                if let Some(slot) = row.values.get_mut(step) {
                    *slot = if is_absent(*slot) { 1.0 } else { *slot + 1.0 };
                }
            }
        }
        self.let_go(&rows, grid);
        Ok(out)
    }

    /// Counts the input of an operation as no longer held.
    pub(super) fn let_go(&self, input: &Rows, grid: Grid) {
        self.guard.release(input.len() * grid.count);
        self.guard.release_bytes(rows_bytes(input));
    }
}

/// Shows `f` which labels of a series its group keeps.
fn with_kept<T>(grouping: &Grouping, f: impl FnOnce(&mut dyn FnMut(&str) -> bool) -> T) -> T {
    let listed = |name: &str| grouping.labels.iter().any(|label| label == name);
    if grouping.without {
        f(&mut |name| name != METRIC_NAME && !listed(name))
    } else {
        f(&mut |name| listed(name))
    }
}

/// The labels of the group that a series belongs to.
pub(super) fn group_labels(labels: &Labels, grouping: &Grouping) -> Labels {
    if !grouping.without && grouping.labels.is_empty() {
        return Labels::empty();
    }
    with_kept(grouping, |keep| labels.filtered(keep))
}

/// Numbers of groups, by their labels: found without making those anew for each series.
#[derive(Debug, Default)]
struct Numbers {
    known: hashbrown::HashMap<Labels, usize, FxBuildHasher>,
    text: String,
}

impl Numbers {
    /// The number of a series' group; of a new one it is the count of those before, and its labels
    /// come with it.
    fn of(&mut self, labels: &Labels, grouping: &Grouping) -> (usize, Option<Labels>) {
        // Empty texts are slow to compare: memcmp is handed an address where nothing is.
        let are_one = !grouping.without && grouping.labels.is_empty();
        if are_one && !self.known.is_empty() {
            return (0, None);
        }
        let listed = grouping.labels.iter().map(String::as_str);
        let last = if grouping.without { None } else { Some(listed.max().unwrap_or_default()) };
        with_kept(grouping, |keep| labels.write_filtered(last, keep, &mut self.text));
        if let Some(number) = self.known.get(&LabelsText(&self.text)) {
            return (*number, None);
        }
        let (number, labels) = (self.known.len(), group_labels(labels, grouping));
        self.known.insert(labels.clone(), number);
        (number, Some(labels))
    }
}

/// The groups in the order of their first series.
pub(super) fn grouped<'r>(rows: &'r Rows, grouping: &Grouping) -> Vec<(Labels, Vec<&'r Row>)> {
    let mut places: Map<Labels, usize> = Map::default();
    let mut groups: Vec<(Labels, Vec<&Row>)> = Vec::new();
    for row in rows {
        let labels = group_labels(&row.labels, grouping);
        let place = *places.entry(labels.clone()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, members)) => members.push(row),
            None => groups.push((labels, vec![row])),
        }
    }
    groups
}

/// What an aggregation keeps of a group.
trait Fold {
    /// What it takes for each step.
    const CELL_BYTES: usize;

    /// Of no series, for so many steps.
    fn new(count: usize) -> Self;
    /// Takes in a series: as many slots as there are steps.
    fn add(&mut self, values: &[f64]);
    /// The result at each step.
    fn values(&self) -> Vec<f64>;
}

/// What an aggregation keeps of the values at one step.
trait Cell {
    fn first(value: f64) -> Self;
    fn add(&mut self, value: f64);
    fn value(&self) -> f64;
}

/// Steps that have nothing to do with one another.
struct Each<C>(Vec<Option<C>>);

impl<C: Cell> Fold for Each<C> {
    const CELL_BYTES: usize = size_of::<Option<C>>();

    fn new(count: usize) -> Self {
        Self(std::iter::repeat_with(|| None).take(count).collect())
    }

    fn add(&mut self, values: &[f64]) {
        for (cell, value) in self.0.iter_mut().zip(values) {
            if is_absent(*value) {
                continue;
            }
            match cell {
                Some(cell) => cell.add(*value),
                None => *cell = Some(C::first(*value)),
            }
        }
    }

    fn values(&self) -> Vec<f64> {
        self.0.iter().map(|cell| cell.as_ref().map_or(ABSENT, C::value)).collect()
    }
}

/// Sums, all steps at once: where no slot is empty, the loop has no branches, and the compiler
/// makes vectors of it.
struct Totals {
    values: Vec<f64>,
    compensations: Vec<f64>,
}

impl Fold for Totals {
    const CELL_BYTES: usize = size_of::<Sum>();

    fn new(count: usize) -> Self {
        let (values, compensations) = (empty_column(count), vec![0.0; count]);
        Self { values, compensations }
    }

    fn add(&mut self, values: &[f64]) {
        let (range, terms) = without_absent_ends(values);
        let slots = self.values.get_mut(range.clone()).zip(self.compensations.get_mut(range));
        if let Some((sums, compensations)) = slots
            && are_present(sums)
            && are_present(terms)
        {
            add_all(sums, compensations, terms);
            return;
        }
        let sums = self.values.iter_mut().zip(&mut self.compensations);
        for ((value, compensation), term) in sums.zip(values) {
            if is_absent(*term) {
                continue;
            }
            if is_absent(*value) {
                *value = *term;
                continue;
            }
            let mut sum = Sum { value: *value, compensation: *compensation };
            sum.add(*term);
            (*value, *compensation) = (sum.value, sum.compensation);
        }
    }

    fn values(&self) -> Vec<f64> {
        let sums = self.values.iter().zip(&self.compensations);
        let total = |(value, compensation): (&f64, &f64)| {
            if is_absent(*value) { ABSENT } else { value + compensation }
        };
        sums.map(total).collect()
    }
}

/// The slots from the first to the last that is not empty: series begin and end.
fn without_absent_ends(values: &[f64]) -> (Range<usize>, &[f64]) {
    let first = values.iter().position(|value| !is_absent(*value)).unwrap_or(values.len());
    let last = values.iter().rposition(|value| !is_absent(*value));
    let range = first..last.map_or(first, |last| last + 1);
    (range.clone(), values.get(range).unwrap_or_default())
}

/// Whether no slot is empty. It looks at all of them: then the compiler makes vectors of it.
#[multiversion(targets("x86_64+avx2"))]
fn are_present(values: &[f64]) -> bool {
    let absent: usize = values.iter().map(|value| usize::from(is_absent(*value))).sum();
    absent == 0
}

/// Adds a term to each sum.
#[multiversion(targets("x86_64+avx2"))]
fn add_all(values: &mut [f64], compensations: &mut [f64], terms: &[f64]) {
    for ((value, compensation), term) in values.iter_mut().zip(compensations).zip(terms) {
        let mut sum = Sum { value: *value, compensation: *compensation };
        sum.add(*term);
        (*value, *compensation) = (sum.value, sum.compensation);
    }
}

/// Means, all steps at once: as `Totals`.
struct Averages {
    totals: Totals,
    counts: Vec<f64>,
    /// Which means are incremental.
    incremental: Vec<bool>,
    /// Whether any is.
    has_incremental: bool,
}

impl Averages {
    /// The mean at a step that has one.
    fn mean(&self, step: usize) -> Option<Mean> {
        let value = self.totals.values.get(step).filter(|value| !is_absent(**value))?;
        let compensation = self.totals.compensations.get(step)?;
        let sum = Sum { value: *value, compensation: *compensation };
        let (count, incremental) = (*self.counts.get(step)?, *self.incremental.get(step)?);
        Some(Mean { sum, count, incremental })
    }

    fn add_one(&mut self, step: usize, value: f64) {
        let mean = match self.mean(step) {
            Some(mut mean) => {
                mean.add(value);
                mean
            }
            None => Mean::of(value),
        };
        let slots = self.totals.values.get_mut(step).zip(self.totals.compensations.get_mut(step));
        let others = self.counts.get_mut(step).zip(self.incremental.get_mut(step));
        if let Some(((value, compensation), (count, incremental))) = slots.zip(others) {
            (*value, *compensation) = (mean.sum.value, mean.sum.compensation);
            (*count, *incremental) = (mean.count, mean.incremental);
        }
        self.has_incremental |= mean.incremental;
    }
}

impl Fold for Averages {
    const CELL_BYTES: usize = size_of::<Mean>();

    fn new(count: usize) -> Self {
        let (counts, incremental) = (vec![0.0; count], vec![false; count]);
        Self { totals: Totals::new(count), counts, incremental, has_incremental: false }
    }

    fn add(&mut self, values: &[f64]) {
        let (range, terms) = without_absent_ends(values);
        let Totals { values: sums, compensations } = &mut self.totals;
        let slots = sums.get_mut(range.clone()).zip(compensations.get_mut(range.clone()));
        if let Some(((sums, compensations), counts)) = slots.zip(self.counts.get_mut(range))
            && !self.has_incremental
            && are_present(sums)
            && are_present(terms)
            && stay_finite(sums, terms)
        {
            add_all(sums, compensations, terms);
            counts.iter_mut().for_each(|count| *count += 1.0);
            return;
        }
        for (step, value) in values.iter().enumerate() {
            if !is_absent(*value) {
                self.add_one(step, *value);
            }
        }
    }

    fn values(&self) -> Vec<f64> {
        let steps = 0..self.totals.values.len();
        steps.map(|step| self.mean(step).map_or(ABSENT, Mean::value)).collect()
    }
}

/// Whether no sum becomes infinite with these terms.
#[multiversion(targets("x86_64+avx2"))]
fn stay_finite(values: &[f64], terms: &[f64]) -> bool {
    let pairs = values.iter().zip(terms);
    pairs.map(|(value, term)| usize::from((value + term).is_infinite())).sum::<usize>() == 0
}

struct Count(f64);

impl Cell for Count {
    fn first(_value: f64) -> Self {
        Self(1.0)
    }

    fn add(&mut self, _value: f64) {
        self.0 += 1.0;
    }

    fn value(&self) -> f64 {
        self.0
    }
}

struct One;

impl Cell for One {
    fn first(_value: f64) -> Self {
        Self
    }

    fn add(&mut self, _value: f64) {}

    fn value(&self) -> f64 {
        1.0
    }
}

struct Smallest(f64);

impl Cell for Smallest {
    fn first(value: f64) -> Self {
        Self(value)
    }

    fn add(&mut self, value: f64) {
        if self.0 > value || self.0.is_nan() {
            self.0 = value;
        }
    }

    fn value(&self) -> f64 {
        self.0
    }
}

struct Largest(f64);

impl Cell for Largest {
    fn first(value: f64) -> Self {
        Self(value)
    }

    fn add(&mut self, value: f64) {
        if self.0 < value || self.0.is_nan() {
            self.0 = value;
        }
    }

    fn value(&self) -> f64 {
        self.0
    }
}

/// Welford's update, without compensation as upstream's operators.
struct Variance {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Cell for Variance {
    fn first(value: f64) -> Self {
        Self { count: 1.0, mean: value, squares: if value.is_finite() { 0.0 } else { f64::NAN } }
    }

    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    fn value(&self) -> f64 {
        self.squares / self.count
    }
}

struct Deviation(Variance);

impl Cell for Deviation {
    fn first(value: f64) -> Self {
        Self(Variance::first(value))
    }

    fn add(&mut self, value: f64) {
        self.0.add(value);
    }

    fn value(&self) -> f64 {
        self.0.value().sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slot() -> impl Strategy<Value = f64> {
        let usual = prop_oneof![
            -1e3_f64..1e3,
            any::<f64>(),
            Just(f64::INFINITY),
            Just(f64::NAN),
            Just(-0.0),
            Just(1e300),
            Just(f64::MAX),
        ];
        prop_oneof![6 => usual, 1 => Just(ABSENT)]
    }

    /// Neumaier's sum as upstream has it, with its branch.
    fn add_branching(sum: &mut Sum, term: f64) {
        let total = sum.value + term;
        if total.is_infinite() {
            sum.compensation = 0.0;
        } else if sum.value.abs() >= term.abs() {
            sum.compensation += (sum.value - total) + term;
        } else {
            sum.compensation += (term - total) + sum.value;
        }
        sum.value = total;
    }

    fn bits(values: impl IntoIterator<Item = f64>) -> Vec<u64> {
        let plain = |value: f64| if value.is_nan() && !is_absent(value) { f64::NAN } else { value };
        values.into_iter().map(|value| plain(value).to_bits()).collect()
    }

    #[test]
    fn a_sum_next_to_the_largest_number_stays_one() {
        let mut totals = Totals::new(1);
        for value in [2e300, -1.388_477e307, f64::MAX] {
            totals.add(&[value]);
        }
        let expected = f64::MAX - (1.388_477e307 - 2e300);
        assert!(totals.values().iter().all(|sum| (sum / expected - 1.0).abs() < 1e-15));
    }

    proptest! {
        #[test]
        fn sums_and_means_of_columns_are_those_of_their_steps(
            series in proptest::collection::vec(proptest::collection::vec(slot(), 5), 1..9),
            is_dense: bool,
        ) {
            let (mut totals, mut averages) = (Totals::new(5), Averages::new(5));
            let mut sums: [Option<Sum>; 5] = [None; 5];
            let mut means: [Option<Mean>; 5] = [None; 5];
            for mut values in series {
                if is_dense {
                    values.iter_mut().filter(|value| is_absent(**value)).for_each(|one| *one = 1.5);
                }
                totals.add(&values);
                averages.add(&values);
                let steps = sums.iter_mut().zip(&mut means).zip(values);
                for ((sum, mean), value) in steps.filter(|(_, value)| !is_absent(*value)) {
                    match (sum, mean) {
                        (Some(sum), Some(mean)) => {
                            add_branching(sum, value);
                            mean.add(value);
                        }
                        (sum, mean) => {
                            *sum = Some(Sum { value, compensation: 0.0 });
                            *mean = Some(Mean::of(value));
                        }
                    }
                }
            }
            let sums = sums.map(|sum| sum.map_or(ABSENT, |sum| sum.value + sum.compensation));
            prop_assert_eq!(bits(totals.values()), bits(sums));
            let means = means.map(|mean| mean.map_or(ABSENT, Mean::value));
            prop_assert_eq!(bits(averages.values()), bits(means));
        }
    }
}
