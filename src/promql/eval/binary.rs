//! Operations between two expressions.
//!
//! Source: prometheus, promql/engine.go (VectorBinop, VectorscalarBinop, VectorAnd, VectorOr,
//! VectorUnless).

use super::column::{Row, Rows, Scalars, emit_nameless, is_absent, merged};
use super::guard::{group_bytes, row_bytes, rows_bytes};
use super::matching::{
    changes_metric, compared, element_op, match_labels, result_labels, scalar_op,
};
use super::plan::Binary;
use super::{Evaluator, Grid, Sink, annotate, empty_column};
use crate::model::Labels;
use crate::promql::Error;
use crate::promql::syntax::{BinaryOp, Cardinality, Matching, Span, ValueType};
use rustc_hash::FxBuildHasher;
use std::collections::HashMap;

type Map<K, V> = HashMap<K, V, FxBuildHasher>;

impl Evaluator<'_> {
    pub(super) fn binary(
        &self,
        binary: &Binary,
        span: Span,
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let Some(matching) = &binary.matching else {
            return if binary.lhs.value_type == ValueType::Scalar {
                let scalars = self.scalar(&binary.lhs, grid)?;
                self.with_scalar(binary, &scalars, true, span, grid, sink)
            } else {
                let scalars = self.scalar(&binary.rhs, grid)?;
                self.with_scalar(binary, &scalars, false, span, grid, sink)
            };
        };
        let (lhs, rhs) = (self.eval(&binary.lhs, grid)?, self.eval(&binary.rhs, grid)?);
        let rows = if binary.op.is_set() {
            let given = (lhs.len() + rhs.len()) * grid.count;
            let given = (given, rows_bytes(&lhs) + rows_bytes(&rhs));
            let rows = self.set_operation(binary.op, matching, lhs, rhs, grid)?;
            self.guard.exchange(given, (rows.len() * grid.count, rows_bytes(&rows)))?;
            rows
        } else {
            let join = Join { evaluator: self, binary, matching, span, grid };
            let rows = join.run(&lhs, &rhs)?;
            self.let_go(&lhs, grid);
            self.let_go(&rhs, grid);
            rows
        };
        self.emit(rows, sink)
    }

    /// A vector and a scalar; `swapped` when the scalar is on the left.
    fn with_scalar(
        &self,
        binary: &Binary,
        scalars: &Scalars,
        swapped: bool,
        span: Span,
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let op = binary.op;
        let vector = if swapped { &binary.rhs } else { &binary.lhs };
        let delayed = self.settings.delayed_name_removal;
        let trims = matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower);
        self.stream(vector, grid, &mut |labels, drop_name, values| {
            if trims {
                self.info(span, annotate::incompatible_types(op.as_str()));
                return Ok(());
            }
            self.guard.work(values.len())?;
            for (step, value) in values.iter_mut().enumerate() {
                if is_absent(*value) {
                    continue;
                }
                let scalar = scalars.at(step);
                let (lhs, rhs) = if swapped { (scalar, *value) } else { (*value, scalar) };
                *value = match compared(op, lhs, rhs) {
                    _ if binary.return_bool => scalar_op(op, lhs, rhs),
                    Some(true) => *value,
                    Some(false) => super::ABSENT,
                    None => scalar_op(op, lhs, rhs),
                };
            }
            if changes_metric(op) || binary.return_bool {
                return emit_nameless(labels, delayed, values, sink);
            }
            sink(labels, drop_name, values)
        })
    }

    fn set_operation(
        &self,
        op: BinaryOp,
        matching: &Matching,
        mut lhs: Rows,
        mut rhs: Rows,
        grid: Grid,
    ) -> Result<Rows, Error> {
        let (judges, judged) = if op == BinaryOp::Or { (&lhs, &mut rhs) } else { (&rhs, &mut lhs) };
        let mut present: Map<Labels, Vec<bool>> = Map::default();
        let mut tables = 0;
        for row in judges {
            self.guard.work(row.values.len())?;
            let labels = match_labels(&row.labels, matching);
            if !present.contains_key(&labels) {
                let table = group_bytes(&labels) + grid.count;
                self.guard.hold_bytes(table)?;
                tables += table;
            }
            let seen = present.entry(labels).or_insert_with(|| vec![false; grid.count]);
            for (seen, value) in seen.iter_mut().zip(&row.values) {
                *seen |= !is_absent(*value);
            }
        }
        // `and` keeps what has a partner, `unless` and the right side of `or` what has none.
        let keeps_matched = op == BinaryOp::And;
        for row in judged.iter_mut() {
            self.guard.work(row.values.len())?;
            let seen = present.get(&match_labels(&row.labels, matching));
            for (step, value) in row.values.iter_mut().enumerate() {
                let matched = seen.and_then(|seen| seen.get(step)).is_some_and(|seen| *seen);
                if matched != keeps_matched {
                    *value = super::ABSENT;
                }
            }
        }
        self.guard.release_bytes(tables);
        if op != BinaryOp::Or {
            return Ok(lhs);
        }
        lhs.append(&mut rhs);
        lhs.retain(|row| row.values.iter().any(|value| !is_absent(*value)));
        if self.settings.instant && self.settings.delayed_name_removal {
            return Ok(lhs);
        }
        merged(lhs, false)
    }
}

/// Series of one match group on the side of which one goes with each of the other.
#[derive(Default)]
struct Group {
    /// Places in the one side.
    ones: Vec<usize>,
    /// Steps at which some series of the many side has found its partner.
    matched: Vec<bool>,
}

/// The match groups by the labels that make them.
#[derive(Default)]
struct Groups {
    numbers: Map<Labels, usize>,
    list: Vec<Group>,
    /// What both take of the budget.
    bytes: usize,
}

/// An operation between two vectors that is no set operator.
struct Join<'a, 'e> {
    evaluator: &'a Evaluator<'e>,
    binary: &'a Binary,
    matching: &'a Matching,
    span: Span,
    grid: Grid,
}

/// Results by their labels.
#[derive(Default)]
struct Results {
    rows: Rows,
    places: Map<Labels, usize>,
    /// Per row: the steps that were computed, filtered out or not.
    computed: Vec<Vec<bool>>,
    /// Per row: the group that made it.
    groups: Vec<usize>,
    /// What is beside the rows takes of the budget.
    bytes: usize,
}

impl Join<'_, '_> {
    fn run(&self, lhs: &Rows, rhs: &Rows) -> Result<Rows, Error> {
        let swapped = self.matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
        let open = self.open_steps(lhs, rhs);
        let mut groups = Groups::default();
        for (place, row) in one.iter().enumerate() {
            let (_, group) = self.group(row, &mut groups)?;
            group.ones.push(place);
        }
        self.refuse_duplicates(&groups.list, one, &open)?;
        let mut results = Results::default();
        for row in many {
            let (number, group) = self.group(row, &mut groups)?;
            self.many_row(row, one, (number, group), &open, &mut results)?;
        }
        self.fill_missing(one, &groups.list, &open, &mut results)?;
        self.evaluator.guard.release_bytes(groups.bytes + results.bytes);
        Ok(results.rows)
    }

    /// The group that a series belongs to, and its number.
    fn group<'g>(
        &self,
        row: &Row,
        groups: &'g mut Groups,
    ) -> Result<(usize, &'g mut Group), Error> {
        let key = match_labels(&row.labels, self.matching);
        let number = match groups.numbers.get(&key) {
            Some(number) => *number,
            None => {
                // The steps that are matched, one a byte, and places in the one side.
                let table = group_bytes(&key) + size_of::<Group>() + self.grid.count;
                self.evaluator.guard.hold_bytes(table)?;
                groups.bytes += table;
                groups.numbers.insert(key, groups.list.len());
                groups.list.push(Group::default());
                groups.list.len() - 1
            }
        };
        Ok((number, groups.list.get_mut(number).expect("numbers are those of groups")))
    }

    /// The value that stands for a missing partner on the one side, and on the many side.
    const fn fills(&self) -> (Option<f64>, Option<f64>) {
        (self.matching.fill_right, self.matching.fill_left)
    }

    /// Steps at which there is anything to do: an empty side ends a step early, before
    /// duplicates on the other are seen.
    fn open_steps(&self, lhs: &Rows, rhs: &Rows) -> Vec<bool> {
        let filled = self.matching.fill_left.is_some() || self.matching.fill_right.is_some();
        let any = |rows: &Rows| {
            let mut any = vec![filled; self.grid.count];
            for row in rows {
                for (any, value) in any.iter_mut().zip(&row.values) {
                    *any |= !is_absent(*value);
                }
            }
            any
        };
        any(lhs).into_iter().zip(any(rhs)).map(|(lhs, rhs)| lhs && rhs).collect()
    }

    fn refuse_duplicates(&self, groups: &[Group], one: &Rows, open: &[bool]) -> Result<(), Error> {
        for group in groups.iter().filter(|group| group.ones.len() > 1) {
            let mut owners: Vec<Option<&Row>> = vec![None; self.grid.count];
            for row in group.ones.iter().filter_map(|place| one.get(*place)) {
                self.evaluator.guard.work(row.values.len())?;
                for ((owner, value), open) in owners.iter_mut().zip(&row.values).zip(open) {
                    if is_absent(*value) || !open {
                        continue;
                    }
                    if let Some(owner) = owner {
                        return Err(self.duplicate(&owner.labels, &row.labels));
                    }
                    *owner = Some(row);
                }
            }
        }
        Ok(())
    }

    fn duplicate(&self, a: &Labels, b: &Labels) -> Error {
        let side = match self.matching.cardinality {
            Cardinality::OneToMany => "left",
            Cardinality::OneToOne | Cardinality::ManyToOne | Cardinality::ManyToMany => "right",
        };
        let group = match_labels(b, self.matching);
        let mut pair = [a.to_string(), b.to_string()];
        pair.sort();
        let [first, second] = pair;
        Error::execution(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the \
             operation: [{first}, {second}];many-to-many matching not allowed: \
             matching labels must be unique on one side"
        ))
    }

    /// One series of the many side with its partners.
    fn many_row(
        &self,
        row: &Row,
        one: &Rows,
        (number, group): (usize, &mut Group),
        open: &[bool],
        results: &mut Results,
    ) -> Result<(), Error> {
        self.evaluator.guard.work(row.values.len())?;
        let mut alone = vec![true; self.grid.count];
        for partner in group.ones.clone().into_iter().filter_map(|place| one.get(place)) {
            self.evaluator.guard.work(row.values.len())?;
            let pairs = row.values.iter().zip(&partner.values).enumerate();
            let both = pairs.filter(|(_, (a, b))| !is_absent(**a) && !is_absent(**b));
            let cells: Vec<_> = both
                .filter(|(step, _)| open.get(*step).is_some_and(|open| *open))
                .map(|(step, (many, one))| (step, *many, *one))
                .collect();
            for (step, _, _) in &cells {
                if let Some(alone) = alone.get_mut(*step) {
                    *alone = false;
                }
            }
            self.write(&row.labels, &partner.labels, &cells, (number, group), results)?;
        }
        let (Some(fill), _) = self.fills() else { return Ok(()) };
        let missing = row.values.iter().zip(&alone).enumerate();
        let cells: Vec<_> = missing
            .filter(|(_, (value, alone))| !is_absent(**value) && **alone)
            .map(|(step, (value, _))| (step, *value, fill))
            .collect();
        let partner = match_labels(&row.labels, self.matching);
        self.write(&row.labels, &partner, &cells, (number, group), results)
    }

    /// Series of the one side that found no partner, with the fill value.
    fn fill_missing(
        &self,
        one: &Rows,
        groups: &[Group],
        open: &[bool],
        results: &mut Results,
    ) -> Result<(), Error> {
        let (_, Some(fill)) = self.fills() else { return Ok(()) };
        for (number, group) in groups.iter().enumerate() {
            for row in group.ones.iter().filter_map(|place| one.get(*place)) {
                let matched = |step: usize| group.matched.get(step).is_some_and(|seen| *seen);
                let present = row.values.iter().zip(open).enumerate();
                let cells: Vec<_> = present
                    .filter(|(step, (value, open))| {
                        !is_absent(**value) && **open && !matched(*step)
                    })
                    .map(|(step, (value, _))| (step, fill, *value))
                    .collect();
                let partner = match_labels(&row.labels, self.matching);
                let mut group = Group::default();
                self.write(&partner, &row.labels, &cells, (number, &mut group), results)?;
            }
        }
        Ok(())
    }

    /// Computes cells of one pair of series: step, value of the many side, value of the one side.
    fn write(
        &self,
        many: &Labels,
        one: &Labels,
        cells: &[(usize, f64, f64)],
        (number, group): (usize, &mut Group),
        results: &mut Results,
    ) -> Result<(), Error> {
        if cells.is_empty() {
            return Ok(());
        }
        let op = self.binary.op;
        if matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower) {
            self.evaluator.info(self.span, annotate::incompatible_types(op.as_str()));
            return Ok(());
        }
        let return_bool = self.binary.return_bool;
        let delayed = self.evaluator.settings.delayed_name_removal;
        let drops_name = changes_metric(op) || (return_bool && !delayed);
        let labels = result_labels(many, one, self.matching, drops_name);
        let place = self.place(results, &labels, number)?;
        let one_to_one = self.matching.cardinality == Cardinality::OneToOne;
        group.matched.resize(self.grid.count, false);
        for (step, many, one) in cells {
            let lost = "a cell's step lies in the grid";
            let matched = group.matched.get_mut(*step).expect(lost);
            if one_to_one && *matched {
                let message = "multiple matches for labels: many-to-one matching must be \
                 explicit (group_left/group_right)";
                return Err(Error::execution(message));
            }
            *matched = true;
            let computed = results.computed.get_mut(place).and_then(|row| row.get_mut(*step));
            let computed = computed.expect(lost);
            let slot = results.rows.get_mut(place).and_then(|row| row.values.get_mut(*step));
            let slot = slot.expect(lost);
            let same_group = results.groups.get(place) == Some(&number);
            if *computed && same_group && !one_to_one {
                let message =
                    "multiple matches for labels: grouping labels must ensure unique matches";
                return Err(Error::execution(message));
            }
            *computed = true;
            let swapped = self.matching.cardinality == Cardinality::OneToMany;
            let (lhs, rhs) = if swapped { (*one, *many) } else { (*many, *one) };
            let value =
                if return_bool { Some(scalar_op(op, lhs, rhs)) } else { element_op(op, lhs, rhs) };
            if let Some(value) = value {
                if !is_absent(*slot) {
                    return Err(super::column::same_labels());
                }
                *slot = value;
            }
        }
        Ok(())
    }

    fn place(&self, results: &mut Results, labels: &Labels, group: usize) -> Result<usize, Error> {
        if let Some(place) = results.places.get(labels) {
            return Ok(*place);
        }
        let (guard, count) = (&self.evaluator.guard, self.grid.count);
        let table = group_bytes(labels) - row_bytes(labels) + count + size_of::<usize>();
        guard.hold(count)?;
        guard.hold_bytes(row_bytes(labels) + table)?;
        results.bytes += table;
        let place = results.rows.len();
        results.places.insert(labels.clone(), place);
        results.rows.push(Row {
            labels: labels.clone(),
            drop_name: self.binary.return_bool,
            values: empty_column(self.grid.count),
        });
        results.computed.push(vec![false; self.grid.count]);
        results.groups.push(group);
        Ok(place)
    }
}
