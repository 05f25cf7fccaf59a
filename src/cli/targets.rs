//! `watchbell targets explain`: what each rule makes of a target's labels, and where it is dropped.

use super::flags::{ExplainFlags, StatusForm, TargetsQuestion};
use super::{Status, output, server};
use crate::model::{Labels, nearest_name, printable, relabel, value_text};
use crate::wire::{Core, DroppedTarget, RelabelStep, TargetForm, TargetState, TargetsAnswer};
use anyhow::bail;
use serde::Serialize;
use std::io::{self, Write};

/// Asks, and prints the answer.
pub(super) fn run(question: &TargetsQuestion) -> anyhow::Result<Status> {
    let TargetsQuestion::Explain(flags) = question;
    let core = server::connect(&flags.server)?;
    let answer = core.targets(TargetState::Any, flags.pool.as_deref())?;
    for (job, problems) in &answer.job_problems {
        for problem in problems {
            writeln!(io::stderr(), "job {}: {}", printable(job), printable(problem))?;
        }
    }
    let mut found = targets(answer, flags);
    if found.is_empty() {
        return nothing(core.as_ref(), flags);
    }
    let more = found.len().saturating_sub(flags.limit);
    found.truncate(flags.limit);
    for target in &mut found {
        target.steps = core.relabel_steps(&target.pool, &target.before)?.steps;
    }
    let mut out = io::stdout().lock();
    match flags.output {
        StatusForm::Json => output::json(&found, &mut out)?,
        StatusForm::Table => {
            found.iter().try_for_each(|target| explain(target, &mut out))?;
        }
    }
    if more > 0 {
        writeln!(io::stderr(), "{more} more; name a job, --address or a higher --limit")?;
    }
    Ok(Status::Fine)
}

/// A target before, in and after relabelling.
#[derive(Debug, Serialize)]
struct Explained {
    pool: String,
    #[serde(serialize_with = "map")]
    before: Labels,
    steps: Vec<RelabelStep>,
    end: End,
}

/// What became of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum End {
    /// It is scraped.
    Scraped {
        #[serde(serialize_with = "map")]
        labels: Labels,
        url: String,
    },
    /// A rule dropped it.
    Dropped,
    /// It is no valid target.
    Invalid(String),
}

fn map<S: serde::Serializer>(labels: &Labels, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(labels)
}

/// The targets that are meant, those that are scraped first.
fn targets(answer: TargetsAnswer, flags: &ExplainFlags) -> Vec<Explained> {
    let scraped = answer.active_targets.into_iter().map(|one: TargetForm| Explained {
        pool: one.scrape_pool,
        before: one.discovered_labels,
        steps: Vec::new(),
        end: End::Scraped { labels: one.labels, url: one.scrape_url },
    });
    let dropped = answer.dropped_targets.into_iter().map(|one: DroppedTarget| Explained {
        pool: one.scrape_pool,
        before: one.discovered_labels,
        steps: Vec::new(),
        end: one.reason.map_or(End::Dropped, End::Invalid),
    });
    let wanted = |one: &Explained| {
        let Some(address) = flags.address.as_deref() else { return true };
        let instance = match &one.end {
            End::Scraped { labels, .. } => labels.value_of("instance"),
            End::Dropped | End::Invalid(_) => "",
        };
        // An address of its own process has none before relabelling.
        one.before.value_of("__address__") == address || instance == address
    };
    scraped.chain(dropped).filter(wanted).collect()
}

/// Says why nothing is explained.
fn nothing(core: &dyn Core, flags: &ExplainFlags) -> anyhow::Result<Status> {
    let pools = core.scrape_pools()?;
    if let Some(pool) = &flags.pool
        && !pools.contains(pool)
    {
        let hint = nearest_name(pool, pools.iter().map(String::as_str)).map_or_else(
            || format!("; there are: {}", pools.join(", ")),
            |name| format!("; did you mean {name:?}?"),
        );
        bail!("no job {pool:?} is scraped{hint}");
    }
    match &flags.address {
        Some(address) => bail!("no target has the address {address:?}, scraped or dropped"),
        None => writeln!(io::stderr(), "no targets")?,
    }
    Ok(Status::Wrong)
}

fn explain(target: &Explained, out: &mut dyn Write) -> io::Result<()> {
    let address = target.before.value_of("__address__");
    writeln!(out, "{}  {}", printable(&target.pool), printable(address))?;
    list("before", &target.before, out)?;
    let mut before = &target.before;
    for (place, step) in target.steps.iter().enumerate() {
        let rule = step.rule.to_string();
        writeln!(out, "  {:>6}  {}", format!("rule {}", place + 1), printable(&rule))?;
        if !step.keep {
            writeln!(out, "          DROPPED by this rule")?;
            return writeln!(out);
        }
        changes(before, &step.output, out)?;
        before = &step.output;
    }
    match &target.end {
        End::Scraped { labels, url } => {
            list("after", labels, out)?;
            writeln!(out, "  {:>6}  {}", "url", printable(url))?;
        }
        End::Dropped => writeln!(out, "          DROPPED")?,
        End::Invalid(reason) => writeln!(out, "          NOT SCRAPED: {}", printable(reason))?,
    }
    writeln!(out)
}

/// One label a line, the heading before the first.
fn list(heading: &str, labels: &Labels, out: &mut dyn Write) -> io::Result<()> {
    if labels.is_empty() {
        return writeln!(out, "  {heading:>6}  (no labels)");
    }
    for (place, (name, value)) in labels.iter().enumerate() {
        let heading = if place == 0 { heading } else { "" };
        writeln!(
            out,
            "  {heading:>6}  {}={}",
            printable(name),
            printable(&value_text::quoted(value))
        )?;
    }
    Ok(())
}

fn changes(before: &Labels, after: &Labels, out: &mut dyn Write) -> io::Result<()> {
    let changes = relabel::changes(before, after);
    if changes.is_empty() {
        return writeln!(out, "          = no change");
    }
    changes
        .iter()
        .try_for_each(|change| writeln!(out, "          {}", printable(&change.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::RelabelRule;

    fn step(rule: RelabelRule, output: &[(&str, &str)], keep: bool) -> RelabelStep {
        RelabelStep { rule, output: Labels::from_pairs(output.iter().copied()), keep }
    }

    fn rule(action: &str) -> RelabelRule {
        RelabelRule {
            source_labels: vec!["__meta_a".to_owned()],
            separator: ";".to_owned(),
            regex: "(.*)".to_owned(),
            replacement: "$1".to_owned(),
            action: action.to_owned(),
            ..RelabelRule::default()
        }
    }

    fn shown(target: &Explained) -> String {
        let mut out = Vec::new();
        explain(target, &mut out).expect("writes");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn each_rule_shows_what_it_changes_and_the_one_that_drops_is_named() {
        let replace = RelabelRule { target_label: "b".to_owned(), ..rule("replace") };
        let keep = RelabelRule { regex: "x|y".to_owned(), ..rule("keep") };
        let first = [("__address__", "h:1"), ("__meta_a", "x")];
        let second = [("__address__", "h:1"), ("__meta_a", "x"), ("b", "x")];
        let labels = Labels::from_pairs([("b", "x"), ("instance", "h:1")]);
        let mut target = Explained {
            pool: "j".to_owned(),
            before: Labels::from_pairs(first),
            steps: vec![step(replace, &second, true), step(keep.clone(), &second, true)],
            end: End::Scraped { labels, url: "http://h:1/metrics".to_owned() },
        };
        let expected = "j  h:1
  before  __address__=\"h:1\"
          __meta_a=\"x\"
  rule 1  replace source_labels=[__meta_a] target_label=b
          + b=\"x\"
  rule 2  keep source_labels=[__meta_a] regex=\"x|y\"
          = no change
   after  b=\"x\"
          instance=\"h:1\"
     url  http://h:1/metrics

";
        assert_eq!(shown(&target), expected);
        target.steps[1] = step(keep, &[], false);
        target.end = End::Dropped;
        assert!(shown(&target).ends_with("regex=\"x|y\"\n          DROPPED by this rule\n\n"));
        target.steps.truncate(1);
        target.end = End::Invalid("no address".to_owned());
        assert!(shown(&target).ends_with("+ b=\"x\"\n          NOT SCRAPED: no address\n\n"));
    }
}
