//! The parts' own views in the wire's forms.

mod alertmanager;
mod ast;
mod dead_man;
mod push;
mod routing;
mod rows;
mod rules;
mod storage;
mod targets;

pub(super) use alertmanager::{
    alert_draft, alert_group, gettable_alert, matcher, receiver, silence_draft, silence_form,
    told_by, wants,
};
pub(super) use ast::ast;
pub(super) use dead_man::{expected_status, heartbeat_status, silent_heartbeats};
pub(super) use push::push_group;
pub use routing::route_test;
pub(super) use rows::{add_sending, alert_rows};
pub(super) use rules::{alerts_answer, rules_answer};
pub(super) use storage::tsdb_status;
pub use storage::{storage_look, storage_report};
pub(super) use targets::{relabel_steps, targets_answer, targets_metadata};

use crate::model::{Exemplar, Labels};
use crate::promql::syntax;
use crate::wire::{ExemplarForm, ExemplarSeries, RuleLimit};

/// The exemplars of one series.
pub(super) fn exemplar_series(
    (series_labels, exemplars): (Labels, Vec<Exemplar>),
) -> ExemplarSeries {
    let form = |one: Exemplar| ExemplarForm { labels: one.labels, value: one.value, ts: one.ts };
    ExemplarSeries { series_labels, exemplars: exemplars.into_iter().map(form).collect() }
}

/// The comparison of a rule's expression taken apart.
fn rule_limit(expr: &str) -> Option<RuleLimit> {
    let tree = syntax::parse(expr, &syntax::Features::ALL).ok()?;
    let limit = syntax::split_limit(&tree)?;
    Some(RuleLimit {
        left: limit.left,
        op: limit.op.to_string(),
        value: limit.value,
        right: limit.right,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_rules_comparison_is_taken_apart() {
        let limit = super::rule_limit("90 < sum(up)").expect("a comparison");
        assert_eq!((limit.left.as_str(), limit.op.as_str()), ("sum(up)", ">"));
        assert_eq!(limit.value, Some(90.0));
        assert_eq!(super::rule_limit("absent(up)"), None);
    }
}
