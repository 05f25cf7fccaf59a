//! `watchbell import rules`: recording rules over stored history, of a stopped store or a running
//! server.

use super::flags::StoreChoice;
use super::teller::Teller;
use super::{Status, ask, server, store};
use crate::config::{self, LoadedGroup};
use crate::model::{Timestamp, duration, printable};
use crate::promql::{self, Engine, Features};
use crate::rules::{Backfill, Progress};
use crate::sys::clock::{Clock as _, SharedClock, SystemClock};
use crate::wire::{
    BackfillAnswer, BackfillFailureForm, BackfillRequest, BackfillStep, Core, RuleFileText,
    rfc3339, rfc3339_opt,
};
use anyhow::{Context as _, bail};
use clap::Args;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Time between evaluations of a group that says nothing, of a stopped store.
const INTERVAL: Duration = Duration::from_secs(60);

/// Flags of `watchbell import rules`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  watchbell import rules rules.yml --start 30d\n  \
                  watchbell import rules rules/*.yml --start 2026-01-01T00:00:00Z --end 1h \
                  --url http://localhost:9090\n  \
                  watchbell import rules rules.yml --start 7d --storage.path /var/lib/watchbell\n\n\
                  Writes what the recording rules would have written had they been there, \
                  rule by rule: each sees what those before it wrote. Alerting rules are passed \
                  over. Where there are samples already, old and new ones are joined, and of two \
                  of the same time one stays.\n\
                  Exit status: 0 done, 1 a rule failed or nothing was done, 2 a wrong flag.")]
pub(super) struct BackfillFlags {
    /// The rule files
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// From when: 2026-01-31T12:00:00Z, seconds, or 30d for thirty days ago
    #[arg(long, value_name = "TIME")]
    pub start: String,
    /// Until when [default: now]
    #[arg(long, value_name = "TIME")]
    pub end: Option<String>,
    /// Time between evaluations of groups that do not say [default: the server's; 1m]
    #[arg(long = "eval-interval", value_name = "TIME", value_parser = duration::parse)]
    pub interval: Option<Duration>,
    /// Features of PromQL to switch on, separated by commas, for a stopped store
    #[arg(long = "enable-feature", value_name = "NAMES", value_delimiter = ',')]
    pub features: Vec<String>,
    /// In which store [default: that of the server that runs here]
    #[command(flatten)]
    pub store: StoreChoice,
}

/// Evaluates the rules of the flags' files.
pub(super) fn run(flags: &BackfillFlags) -> anyhow::Result<Status> {
    let now = SystemClock::new().now();
    let start = ask::instant(&flags.start, now).context("--start")?;
    let end = flags.end.as_deref().map(|text| ask::instant(text, now)).transpose();
    let end = end.context("--end")?;
    let mut teller = Teller::on_terminal();
    let mut tell = |rule: &str, share: f64, samples: u64| {
        teller.tell(|elapsed| shown(rule, share, samples, elapsed));
    };
    let core = match (&flags.store.url, &flags.store.storage_path) {
        (Some(url), _) => Some(server::at(url)?),
        (None, Some(_)) => None,
        (None, None) => server::running(),
    };
    let answer = match core {
        Some(core) => in_server(&*core, flags, (start, end), &mut tell),
        None => in_store(flags, (start, end.unwrap_or(now).min(now)), &mut tell),
    };
    teller.clear();
    let answer = answer?;
    report(&answer, &mut io::stdout().lock(), &mut io::stderr().lock())?;
    Ok(if answer.failures.is_empty() { Status::Fine } else { Status::Wrong })
}

type Tell<'a> = &'a mut dyn FnMut(&str, f64, u64);

fn in_server(
    core: &dyn Core,
    flags: &BackfillFlags,
    (start, end): (Timestamp, Option<Timestamp>),
    tell: Tell<'_>,
) -> anyhow::Result<BackfillAnswer> {
    let mut files = Vec::new();
    for file in &flags.files {
        let text = std::fs::read_to_string(file);
        let text = text.with_context(|| format!("cannot read {}", file.display()))?;
        files.push(RuleFileText { name: file.display().to_string(), text });
    }
    let interval_ms = flags.interval.map(|one| u64::try_from(one.as_millis()).unwrap_or(u64::MAX));
    let request = BackfillRequest { files, start: Some(start), end, interval_ms };
    let mut answer = core.backfill(&BackfillStep::Begin(request))?;
    while !answer.is_over {
        tell(&answer.rule, answer.share, answer.samples);
        answer = core.backfill(&BackfillStep::Look(answer.id))?;
    }
    Ok(answer)
}

fn in_store(
    flags: &BackfillFlags,
    (start, end): (Timestamp, Timestamp),
    tell: Tell<'_>,
) -> anyhow::Result<BackfillAnswer> {
    let features = Features::named(&flags.features);
    let mut groups: Vec<LoadedGroup> = Vec::new();
    for file in &flags.files {
        let text = std::fs::read_to_string(file);
        let text = text.with_context(|| format!("cannot read {}", file.display()))?;
        groups.extend(config::parse_rules(file, &text, &features)?);
    }
    let dir = store::path(&flags.store);
    if !Path::new(&dir).is_dir() {
        bail!("cannot find a store in {}; name its folder: --storage.path DIR", dir.display());
    }
    let storage = store::open(&flags.store)?;
    let interval = flags.interval.filter(|interval| !interval.is_zero()).unwrap_or(INTERVAL);
    let settings = promql::Config {
        features,
        evaluation_interval: interval,
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        ..promql::Config::default()
    };
    let clock: SharedClock = Arc::new(SystemClock::new());
    let engine = Engine::new(settings, clock);
    let backfill = Backfill {
        groups: groups.iter().map(|one| (one.file.clone(), &one.group)).collect(),
        start,
        end,
        interval,
        query_offset: Duration::ZERO,
    };
    let done = backfill.run(&storage, &engine, &mut |progress: &Progress| {
        tell(&progress.rule, progress.share, progress.samples);
        true
    })?;
    storage.close()?;
    let failures = done.failures.into_iter().map(|one| BackfillFailureForm {
        group: one.group,
        rule: one.rule,
        slots: one.slots,
        first: one.first,
        error: one.error,
        given_up: one.given_up,
    });
    Ok(BackfillAnswer {
        is_over: true,
        share: 1.0,
        rules: done.rules,
        alerting_rules: done.alerting,
        samples: done.samples,
        series: done.series,
        blocks: done.blocks,
        start: Some(start),
        end: Some(end),
        had_samples: done.had_samples,
        failures: failures.collect(),
        ..BackfillAnswer::default()
    })
}

/// What was done, and on `err` what is to be known of it.
fn report(answer: &BackfillAnswer, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<()> {
    let BackfillAnswer { rules, samples, series, blocks, .. } = answer;
    writeln!(
        out,
        "{rules} recording rules from {} to {}: {samples} samples of {series} series in {blocks} \
         blocks",
        rfc3339_opt(answer.start),
        rfc3339_opt(answer.end)
    )?;
    if answer.alerting_rules > 0 {
        writeln!(err, "{} alerting rules were passed over", answer.alerting_rules)?;
    }
    for name in &answer.had_samples {
        let name = printable(name);
        writeln!(err, "{name} had samples in that time; of two of the same time one stays")?;
    }
    for failure in &answer.failures {
        let BackfillFailureForm { group, rule, slots, first, error, given_up } = failure;
        let rest = if *given_up { "; the rest of it was given up" } else { "" };
        let (group, rule, error) = (printable(group), printable(rule), printable(error));
        let first = rfc3339(*first);
        writeln!(
            err,
            "rule {rule} of group {group} failed in {slots} slots, first at {first}: {error}{rest}"
        )?;
    }
    Ok(())
}

/// One line: how far, how long still.
fn shown(rule: &str, share: f64, samples: u64, elapsed: Duration) -> String {
    let rule = printable(rule);
    let percent = share * 100.0;
    let line = format!("{percent:.0} %  {samples} samples  {rule}");
    if share <= 0.0 {
        return line;
    }
    let left = elapsed.mul_f64((1.0 / share - 1.0).clamp(0.0, 1e6));
    format!("{line}  {} left", duration::format(Duration::from_secs(left.as_secs())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_how_much_and_how_long() {
        let ten = Duration::from_secs(10);
        assert_eq!(shown("a", 0.25, 7, ten), "25 %  7 samples  a  30s left");
        assert_eq!(shown("a", 0.0, 0, ten), "0 %  0 samples  a");
    }
}
