//! label_replace and label_join.
//!
//! Source: prometheus, promql/functions.go (evalLabelReplace, evalLabelJoin).

use super::call::{arg, text};
use super::plan::Node;
use super::{Evaluator, Grid, Sink};
use crate::model::{Labels, METRIC_NAME, Regex};
use crate::promql::Error;

impl Evaluator<'_> {
    pub(super) fn label_replace(
        &self,
        args: &[Node],
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let (target, replacement) = (text(args, 1)?, text(args, 2)?);
        let (source, pattern) = (text(args, 3)?, text(args, 4)?);
        let regex = Regex::anchored(pattern).map_err(|_| {
            Error::execution(format!("invalid regular expression in label_replace(): {pattern}"))
        })?;
        check_name(target, "destination", "label_replace")?;
        self.relabeled(arg(args, 0)?, grid, target, sink, |labels| {
            regex.expand(labels.value_of(source), replacement)
        })
    }

    pub(super) fn label_join(
        &self,
        args: &[Node],
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let (target, separator) = (text(args, 1)?, text(args, 2)?);
        let sources: Vec<&str> =
            (3..args.len()).map(|place| text(args, place)).collect::<Result<_, _>>()?;
        for source in &sources {
            check_name(source, "source", "label_join")?;
        }
        check_name(target, "destination", "label_join")?;
        self.relabeled(arg(args, 0)?, grid, target, sink, |labels| {
            let values: Vec<&str> = sources.iter().map(|name| labels.value_of(name)).collect();
            Some(values.join(separator))
        })
    }

    /// Sets the label `target` to what `value` yields, where it yields something.
    fn relabeled(
        &self,
        inner: &Node,
        grid: Grid,
        target: &str,
        sink: &mut Sink<'_>,
        value: impl Fn(&Labels) -> Option<String>,
    ) -> Result<(), Error> {
        self.stream(inner, grid, &mut |labels, drop_name, values| match value(labels) {
            Some(value) => {
                let labels = labels.to_builder().set(target, value).build();
                // A name that was just given is not the one that is to go.
                sink(&labels, drop_name && target != METRIC_NAME, values)
            }
            None => sink(labels, drop_name, values),
        })
    }
}

fn check_name(name: &str, role: &str, function: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::execution(format!("invalid {role} label name in {function}(): {name}")));
    }
    Ok(())
}
