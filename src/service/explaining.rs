//! What a query took and where, in the wire's forms.

use super::queries::{Asked, Queries, When};
use super::query_metrics::Times;
use crate::model::Labels;
use crate::promql::syntax::{BinaryOp, Expr, ExprKind, Features, Limit, parse, split_limit};
use crate::promql::{Output, Profile, Stats, Value};
use crate::wire::{
    Account, Call, ClosestSeries, Detail, Explain, ExplainLimit, ExplainNode, QuerySamples,
    QueryStats, QueryTimings, RuleLimit,
};

/// Series near the limit that are named.
const CLOSEST_MAX: usize = 10;

impl Queries {
    /// What is to be told of a query that has ended.
    pub(super) fn account(
        &self,
        call: &Call,
        asked: &Asked,
        output: &Output,
        times: Times,
    ) -> Option<Box<Account>> {
        let profile = output.profile.as_ref()?;
        let stats = asked.detail.stats.then(|| stats(output, profile, times));
        let parsed =
            if asked.detail.explain { parse(asked.expr, &Features::ALL).ok() } else { None };
        let explain = parsed.map(|expr| Explain {
            root: node(&expr, profile),
            limit: split_limit(&expr).map(|limit| self.limit(call, asked, limit)),
        });
        Some(Box::new(Account { stats, explain }))
    }

    /// The series of a comparison's left side that are nearest to its limit. That they cannot be
    /// told is no error of the query.
    fn limit(&self, call: &Call, asked: &Asked, limit: Limit) -> ExplainLimit {
        let at = match asked.when {
            When::At(at) => at,
            When::Range { start, end, step } => {
                let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
                end.plus_millis(-(end.millis_since(start) % step))
            }
        };
        let evaluate = |expr: &str| {
            let detail = Detail::default();
            let side = Asked { expr, when: When::At(at), detail, ..*asked };
            self.run(call, &side).ok().map(|(output, _)| output.value)
        };
        let value = limit.value.or_else(|| match evaluate(&limit.right)? {
            Value::Scalar(sample) => Some(sample.value),
            _vector => None,
        });
        let left = value.and_then(|_| evaluate(&limit.left));
        let closest = value.map_or_else(Vec::new, |value| closest(left, limit.op, value));
        let Limit { left, op, right, .. } = limit;
        ExplainLimit { limit: RuleLimit { left, op: op.to_string(), value, right }, closest }
    }
}

fn stats(output: &Output, profile: &Profile, times: Times) -> QueryStats {
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let Stats { prepared, sorted, .. } = output.stats;
    let evaluated = profile.evaluated.saturating_sub(sorted);
    QueryStats {
        timings: QueryTimings {
            eval_total_time: (prepared + evaluated + sorted).as_secs_f64(),
            result_sort_time: sorted.as_secs_f64(),
            query_preparation_time: prepared.as_secs_f64(),
            inner_eval_time: evaluated.as_secs_f64(),
            exec_queue_time: times.queued.as_secs_f64(),
            exec_total_time: (times.queued + times.evaluated).as_secs_f64(),
        },
        samples: QuerySamples {
            total_queryable_samples: count(profile.samples_queryable),
            samples_read: count(profile.samples_read),
            peak_samples: count(output.stats.samples_peak),
        },
    }
}

/// The tree of an expression with what is known of each node. Parentheses and a plus are no nodes.
fn node(expr: &Expr, profile: &Profile) -> ExplainNode {
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let inner = match &expr.kind {
        ExprKind::Paren(inner) | ExprKind::Unary { negative: false, expr: inner } => inner,
        _other => {
            let children: Vec<ExplainNode> =
                expr.children().into_iter().map(|child| node(child, profile)).collect();
            let below = children.iter().fold(0.0, |sum, child| sum + child.total_seconds);
            // Numbers are computed while planning, which leaves nothing of what is below.
            let known = |child: &&Expr| profile.node(child.unparenthesized().span).is_some();
            let folded = !children.is_empty() && !expr.children().iter().any(known);
            let mut own = ExplainNode {
                text: expr.to_string(),
                start: expr.span.start,
                end: expr.span.end,
                constant: true,
                total_seconds: below,
                children,
                ..ExplainNode::default()
            };
            if let Some(known) = profile.node(expr.span) {
                own.series = count(known.series);
                own.selected = known.selected.map(count);
                own.samples = count(known.samples);
                own.peak_bytes = known.bytes_peak.map(count);
                own.self_seconds = known.time.as_secs_f64();
                own.total_seconds = own.self_seconds + below;
                own.constant =
                    folded || matches!(expr.kind, ExprKind::Number(_) | ExprKind::String(_));
                own.once = known.once && !own.constant;
                own.shared = known.shared;
            }
            return own;
        }
    };
    node(inner, profile)
}

fn closest(left: Option<Value>, op: BinaryOp, limit: f64) -> Vec<ClosestSeries> {
    let samples: Vec<(Labels, f64)> = match left {
        Some(Value::Vector(samples)) => {
            samples.into_iter().map(|sample| (sample.metric, sample.value)).collect()
        }
        Some(Value::Scalar(sample)) => vec![(Labels::empty(), sample.value)],
        _none => Vec::new(),
    };
    let mut all: Vec<ClosestSeries> = samples
        .into_iter()
        .filter(|(_, value)| !value.is_nan())
        .map(|(metric, value)| {
            let away = (value - limit).abs();
            let distance = if limit == 0.0 { away } else { away / limit.abs() };
            ClosestSeries { metric, value, distance, holds: holds(op, value, limit) }
        })
        .collect();
    all.sort_by(|a, b| a.distance.total_cmp(&b.distance).then_with(|| a.metric.cmp(&b.metric)));
    all.truncate(CLOSEST_MAX);
    all
}

#[expect(clippy::float_cmp, reason = "the operators compare so")]
fn holds(op: BinaryOp, value: f64, limit: f64) -> bool {
    match op {
        BinaryOp::Equal => value == limit,
        BinaryOp::NotEqual => value != limit,
        BinaryOp::Greater => value > limit,
        BinaryOp::Less => value < limit,
        BinaryOp::GreaterEqual => value >= limit,
        BinaryOp::LessEqual => value <= limit,
        _other => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Sample, Timestamp};
    use crate::promql::syntax::Span;
    use crate::promql::{NodeProfile, VectorSample};
    use std::time::Duration;

    #[test]
    fn the_tree_is_that_of_the_text_and_numbers_are_constant() {
        let text = "-(a + 2 * 3)";
        let expr = parse(text, &Features::ALL).expect("parses");
        let spans = [(0, 12), (2, 11), (2, 3), (6, 11)];
        let nodes = spans.map(|(start, end)| NodeProfile {
            time: Duration::from_secs(1),
            series: 4,
            ..NodeProfile::new(Span::new(start, end))
        });
        let profile = Profile { nodes: nodes.to_vec(), ..Profile::default() };
        let root = node(&expr, &profile);
        let [sum] = root.children.as_slice() else { panic!("{root:?}") };
        let [left, right] = sum.children.as_slice() else { panic!("{sum:?}") };
        assert_eq!((root.text.as_str(), sum.text.as_str()), (text, "a + 2 * 3"));
        assert_eq!((root.total_seconds, root.self_seconds, sum.series), (4.0, 1.0, 4));
        assert!(!sum.constant && !left.constant && right.constant, "{sum:?}");
        assert!(right.children.iter().all(|one| one.constant && one.total_seconds == 0.0));
    }

    #[test]
    fn the_nearest_to_the_limit_come_first_as_shares_of_it() {
        let sample = |name: &str, value: f64| VectorSample {
            metric: Labels::from_pairs([("x", name)]),
            ts: Timestamp::from_millis(0),
            value,
        };
        let left = vec![
            sample("far", 10.0),
            sample("near", 95.0),
            sample("no", f64::NAN),
            sample("over", 110.0),
        ];
        let found = closest(Some(Value::Vector(left)), BinaryOp::Greater, 100.0);
        let told: Vec<_> = found
            .iter()
            .map(|one| (one.metric.value_of("x"), one.value, one.distance, one.holds))
            .collect();
        let expected =
            [("near", 95.0, 0.05, false), ("over", 110.0, 0.1, true), ("far", 10.0, 0.9, false)];
        assert_eq!(told, expected);
        let zero = Value::Scalar(Sample::new(Timestamp::from_millis(0), -3.0));
        let found = closest(Some(zero), BinaryOp::Less, 0.0);
        assert!(found.iter().all(|one| one.distance == 3.0 && one.holds), "{found:?}");
    }
}
