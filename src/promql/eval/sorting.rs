//! sort and its kin. They matter for instant queries; range results are ordered by labels.
//!
//! Source: prometheus, promql/functions.go (funcSort, funcSortByLabel); facette/natsort (how
//! label values compare).

use super::annotate;
use super::call::{arg, text};
use super::column::Row;
use super::math::nan_first;
use super::plan::Node;
use super::{Evaluator, Grid, Sink};
use crate::promql::Error;
use crate::promql::syntax::Function;
use std::cmp::Ordering;

impl Evaluator<'_> {
    pub(super) fn sort(
        &self,
        node: &Node,
        function: Function,
        args: &[Node],
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        if grid.count > 1 {
            self.warn(node.span, annotate::SORT_IN_RANGE);
        }
        let mut rows = self.eval(arg(args, 0)?, grid)?;
        let value = |row: &Row| row.values.first().copied().unwrap_or(f64::NAN);
        match function {
            // NaN is last in both directions.
            Function::Sort => rows.sort_by(|a, b| {
                let (a, b) = (value(a), value(b));
                a.is_nan().cmp(&b.is_nan()).then(nan_first(&a, &b))
            }),
            Function::SortDesc => rows.sort_by(|a, b| nan_first(&value(b), &value(a))),
            by_label => {
                let names: Vec<&str> =
                    (1..args.len()).map(|place| text(args, place)).collect::<Result<_, _>>()?;
                rows.sort_by(|a, b| by_labels(a, b, &names));
                if by_label == Function::SortByLabelDesc {
                    rows.reverse();
                }
            }
        }
        self.emit(rows, sink)
    }
}

fn by_labels(a: &Row, b: &Row, names: &[&str]) -> Ordering {
    names
        .iter()
        .map(|name| natural(a.labels.value_of(name), b.labels.value_of(name)))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| a.labels.cmp(&b.labels))
}

/// Texts part by part: runs of digits as numbers, all else as text.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    while !a.is_empty() && !b.is_empty() {
        let ((part_a, rest_a), (part_b, rest_b)) = (part(a), part(b));
        let order = match (part_a.parse::<u64>(), part_b.parse::<u64>()) {
            (Ok(number_a), Ok(number_b)) => number_a.cmp(&number_b),
            _text => part_a.cmp(part_b),
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    a.len().cmp(&b.len())
}

/// The first run of digits or of anything else, and the rest.
fn part(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_texts_compare_as_numbers() {
        let mut list = ["cpu10", "cpu9", "cpu", "1.2", "1.10", "b"];
        list.sort_by(|a, b| natural(a, b));
        assert_eq!(list, ["1.2", "1.10", "b", "cpu", "cpu9", "cpu10"]);
    }
}
