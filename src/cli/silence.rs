//! `watchbell silence`: make, list, lengthen and end silences, with amtool's words.

use super::flags::{ServerChoice, StatusForm, span};
use super::{Status, Usage, ask, matchers, output, server};
use crate::alerts::{RECURS, UNTIL};
use crate::model::{Annotations, Labels, Matcher, Timestamp, duration, printable};
use crate::sys::clock::{Clock as _, SystemClock};
use crate::sys::process::login;
use crate::wire::{
    AlertState, Core, ErrorKind, MatcherForm, PostableSilence, SilenceForm, rfc3339,
};
use anyhow::{Context as _, bail};
use clap::{ArgAction, Args, Subcommand};
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The largest list that is imported.
const IMPORT_BYTES_MAX: u64 = 64 << 20;

/// How long a silence acts, as amtool has it.
const LASTS: Duration = Duration::from_secs(3600);
/// The same of one that ends with its alert: the server lets it act for longer.
const UNTIL_LEAST: Duration = Duration::from_secs(300);
/// The same of one that recurs.
const RECURS_FOR: Duration = Duration::from_secs(365 * 86_400);

/// What is done with silences.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum SilenceQuestion {
    /// Make a silence; its id is printed
    #[command(
        after_help = "Examples:\n  watchbell silence add DiskFull instance=db-1 -d 2h -c 'disk \
                      swap'\n  watchbell silence add 'alertname=~Node.*' -c maintenance --start \
                      2026-01-31T22:00:00Z --end 2026-02-01T02:00:00Z\n  watchbell silence add \
                      DiskFull -c 'disk ordered' --until-resolved\n  watchbell silence add \
                      BackupSlow -c 'every night' --recurs nights -d 90d\n\nAll matchers must \
                      hold; a first word without one is the alert's name. How many alerts it \
                      silences now goes to standard error. Until resolved it lasts a day at \
                      most.\nExit status: 0 made, 1 refused, 2 a wrong flag."
    )]
    Add(AddFlags),
    /// List silences that act or will act
    #[command(
        alias = "query",
        after_help = "Examples:\n  watchbell silence list\n  watchbell silence list DiskFull --within \
                      8h\n  watchbell silence list --expired --within 2h -o json\n  watchbell \
                      silence expire $(watchbell silence list -q DiskFull)"
    )]
    List(ListFlags),
    /// End silences now
    #[command(
        after_help = "Examples:\n  watchbell silence expire 7f3c5a0e-8d0c-4f65-9d0f-2b8f3a1c6f10\n  \
                      watchbell silence expire $(watchbell silence list -q DiskFull)"
    )]
    Expire(ExpireFlags),
    /// Let a silence act for longer
    #[command(
        after_help = "Example:\n  watchbell silence extend 7f3c5a0e-8d0c-4f65-9d0f-2b8f3a1c6f10 2h"
    )]
    Extend(ExtendFlags),
    /// Make silences out of a list in JSON, as silence list -o json prints it
    #[command(
        after_help = "Examples:\n  watchbell silence list -o json > silences.json\n  watchbell silence \
                      import silences.json\n  amtool silence query -o json | watchbell silence import"
    )]
    Import(ImportFlags),
}

/// Flags of `watchbell silence add`.
#[derive(Clone, Debug, Args)]
pub(super) struct AddFlags {
    /// Matchers on labels
    #[arg(value_name = "MATCHER", required = true)]
    matchers: Vec<String>,
    /// For how long [default: 1h; with --until-resolved 5m at least, with --recurs a year]
    #[arg(short, long, value_name = "TIME", value_parser = span)]
    duration: Option<Duration>,
    /// Why
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    comment: String,
    /// Who makes it [default: who is logged in]
    #[arg(short, long, value_name = "NAME")]
    author: Option<String>,
    /// From when: RFC 3339 or seconds since the epoch [default: now]
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// Until when, instead of a duration
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
    /// As long as an alert fires that it silences, and no longer
    #[arg(long, conflicts_with = "recurs")]
    until_resolved: bool,
    /// Only within this time interval of the configuration, again and again
    #[arg(long, value_name = "INTERVAL")]
    recurs: Option<String>,
    /// More about it, as NAME=VALUE; may stand more than once
    #[arg(long = "annotation", value_name = "NAME=VALUE")]
    annotations: Vec<String>,
    /// Whether a comment must be given
    #[arg(long, hide = true, action = ArgAction::Set, default_value_t = true)]
    require_comment: bool,
    /// Which server
    #[command(flatten)]
    server: ServerChoice,
}

/// Flags of `watchbell silence list`.
#[derive(Clone, Debug, Args)]
pub(super) struct ListFlags {
    /// Matchers that the silence must have
    #[arg(value_name = "MATCHER")]
    matchers: Vec<String>,
    /// Show those that have ended instead
    #[arg(long)]
    expired: bool,
    /// Print ids alone
    #[arg(short, long)]
    quiet: bool,
    /// Only those that end, or have ended, within this time
    #[arg(long, value_name = "TIME", value_parser = span)]
    within: Option<Duration>,
    /// Only those of this author
    #[arg(long, value_name = "NAME")]
    created_by: Option<String>,
    /// Only the one with this id
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Which server
    #[command(flatten)]
    server: ServerChoice,
    /// How the answer looks
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: StatusForm,
}

/// Flags of `watchbell silence expire`.
#[derive(Clone, Debug, Args)]
pub(super) struct ExpireFlags {
    /// Their ids
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
    /// Which server
    #[command(flatten)]
    server: ServerChoice,
}

/// Flags of `watchbell silence extend`.
#[derive(Clone, Debug, Args)]
pub(super) struct ExtendFlags {
    /// Its id
    #[arg(value_name = "ID")]
    id: String,
    /// How much later it ends
    #[arg(value_name = "TIME", value_parser = span)]
    by: Duration,
    /// Which server
    #[command(flatten)]
    server: ServerChoice,
}

/// Flags of `watchbell silence import`.
#[derive(Clone, Debug, Args)]
pub(super) struct ImportFlags {
    /// The list [default: standard input]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Make new silences also where the server knows the id
    #[arg(short, long)]
    force: bool,
    /// Which server
    #[command(flatten)]
    server: ServerChoice,
}

/// Asks, and prints the answer.
pub(super) fn run(question: &SilenceQuestion) -> anyhow::Result<Status> {
    match question {
        SilenceQuestion::Add(flags) => add(flags),
        SilenceQuestion::List(flags) => list(flags),
        SilenceQuestion::Expire(flags) => expire(flags),
        SilenceQuestion::Extend(flags) => extend(flags),
        SilenceQuestion::Import(flags) => import(flags),
    }
}

fn add(flags: &AddFlags) -> anyhow::Result<Status> {
    let matchers = matchers::of_args(&flags.matchers)?;
    let now = SystemClock::new().now();
    let time =
        |text: &Option<String>| text.as_ref().map(|text| ask::instant(text, now)).transpose();
    let starts_at = time(&flags.start)?.unwrap_or(now);
    let ends_at = time(&flags.end)?.unwrap_or_else(|| starts_at.plus(lasts(flags)));
    if ends_at <= starts_at {
        return Err(Usage("the silence would end before it starts".to_owned()).into());
    }
    if flags.require_comment && flags.comment.is_empty() {
        return Err(Usage("say why, with --comment TEXT".to_owned()).into());
    }
    let core = server::connect_alerting(&flags.server)?;
    if (flags.until_resolved || flags.recurs.is_some()) && core.acknowledges_by_silence()? {
        let text = "an Alertmanager knows no silences that end with their alert or recur; \
                    watchbell does";
        return Err(Usage(text.to_owned()).into());
    }
    let silence = PostableSilence {
        id: None,
        matchers: matchers.iter().map(MatcherForm::from).collect(),
        starts_at,
        ends_at,
        created_by: flags.author.clone().unwrap_or_else(login),
        comment: flags.comment.clone(),
        annotations: annotations(flags)?,
    };
    let id = core.post_silence(silence)?;
    writeln!(io::stdout(), "{}", printable(&id))?;
    tell_reach(&core, &matchers)
}

/// How long a silence lasts of which no end is said.
fn lasts(flags: &AddFlags) -> Duration {
    flags.duration.unwrap_or(match (flags.until_resolved, &flags.recurs) {
        (true, _) => UNTIL_LEAST,
        (false, Some(_)) => RECURS_FOR,
        (false, None) => LASTS,
    })
}

fn annotations(flags: &AddFlags) -> Result<Annotations, Usage> {
    let mut all = Annotations::from_pairs(&matchers::labels(&flags.annotations)?);
    if flags.until_resolved {
        all = all.with(UNTIL, "resolved");
    }
    if let Some(interval) = &flags.recurs {
        all = all.with(RECURS, interval);
    }
    Ok(all)
}

/// Says how many alerts the matchers hold for now.
fn tell_reach(core: &Arc<dyn Core>, matchers: &[Matcher]) -> anyhow::Result<Status> {
    // The silence is made: that the alerts cannot be told is no failure.
    let Ok(rows) = core.alert_rows() else { return Ok(Status::Fine) };
    let holds = |labels: &Labels| matchers.iter().all(|matcher| matcher.matches(labels));
    let live = rows.iter().filter(|row| row.state != AlertState::Resolved);
    let text = match live.filter(|row| holds(&row.labels)).count() {
        0 => "no alert matches it now".to_owned(),
        1 => "1 alert matches it now".to_owned(),
        count => format!("{count} alerts match it now"),
    };
    writeln!(io::stderr(), "{text}")?;
    Ok(Status::Fine)
}

fn list(flags: &ListFlags) -> anyhow::Result<Status> {
    let matchers = matchers::of_args(&flags.matchers)?;
    let core = server::connect_alerting(&flags.server)?;
    let now = SystemClock::new().now();
    let mut found = core.silences(&matchers)?;
    found.retain(|silence| is_wanted(silence, flags, now));
    found.sort_by_key(|silence| silence.ends_at);
    let mut out = io::stdout().lock();
    if flags.quiet {
        found.iter().try_for_each(|silence| writeln!(out, "{}", printable(&silence.id)))?;
        return Ok(Status::Fine);
    }
    if flags.output == StatusForm::Json {
        output::json(&found, &mut out)?;
        return Ok(Status::Fine);
    }
    let row = |silence: &SilenceForm| {
        let matchers: Vec<_> = silence.matchers.iter().map(ToString::to_string).collect();
        vec![
            silence.id.clone(),
            silence.status.state.clone(),
            matchers.join(" "),
            end(silence),
            silence.created_by.clone(),
            silence.comment.clone(),
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    let heading = ["ID", "STATE", "MATCHERS", "ENDS AT", "CREATED BY", "COMMENT"];
    output::columns(&heading, &rows, &mut out)?;
    if rows.is_empty() {
        writeln!(io::stderr(), "no silences")?;
    }
    Ok(Status::Fine)
}

/// When it ends, and how.
fn end(silence: &SilenceForm) -> String {
    let at = rfc3339(silence.ends_at);
    match (silence.annotations.get(UNTIL), silence.annotations.get(RECURS)) {
        (Some(until), _) => format!("{at}, later until {until}"),
        (None, Some(interval)) => format!("{at}, acts in {interval}"),
        (None, None) => at,
    }
}

/// Source: prometheus/alertmanager, cli/silence_query.go.
fn is_wanted(silence: &SilenceForm, flags: &ListFlags, now: Timestamp) -> bool {
    let ended = silence.ends_at < now;
    let near = flags.within.is_none_or(|within| {
        if ended {
            silence.ends_at >= now.minus(within)
        } else {
            silence.ends_at <= now.plus(within)
        }
    });
    ended == flags.expired
        && near
        && flags.created_by.as_ref().is_none_or(|author| *author == silence.created_by)
        && flags.id.as_ref().is_none_or(|id| *id == silence.id)
}

fn expire(flags: &ExpireFlags) -> anyhow::Result<Status> {
    let core = server::connect_alerting(&flags.server)?;
    let mut status = Status::Fine;
    for id in &flags.ids {
        if let Err(err) = core.expire_silence(id) {
            status = Status::Wrong;
            writeln!(io::stderr(), "watchbell: cannot end silence {}: {err}", printable(id))?;
        }
    }
    Ok(status)
}

fn extend(flags: &ExtendFlags) -> anyhow::Result<Status> {
    let core = server::connect_alerting(&flags.server)?;
    let silence = core.silence(&flags.id)?;
    if silence.ends_at < SystemClock::new().now() {
        bail!("silence {} has ended; make another with: watchbell silence add", silence.id);
    }
    let ends_at = silence.ends_at.plus(flags.by);
    let id = core.post_silence(PostableSilence { ends_at, ..postable(silence) })?;
    writeln!(io::stdout(), "{}", printable(&id))?;
    let (by, end) = (duration::format(flags.by), rfc3339(ends_at));
    writeln!(io::stderr(), "it ends {by} later, {end}")?;
    Ok(Status::Fine)
}

fn postable(silence: SilenceForm) -> PostableSilence {
    PostableSilence {
        id: Some(silence.id),
        matchers: silence.matchers,
        starts_at: silence.starts_at,
        ends_at: silence.ends_at,
        created_by: silence.created_by,
        comment: silence.comment,
        annotations: silence.annotations,
    }
}

fn import(flags: &ImportFlags) -> anyhow::Result<Status> {
    let mut text = String::new();
    match &flags.file {
        Some(file) => std::fs::File::open(file)
            .and_then(|opened| opened.take(IMPORT_BYTES_MAX).read_to_string(&mut text))
            .with_context(|| format!("cannot read {}", file.display()))?,
        None => io::stdin().take(IMPORT_BYTES_MAX).read_to_string(&mut text)?,
    };
    let silences: Vec<PostableSilence> = serde_json::from_str(&text)
        .context("cannot read the list; write what silence list -o json prints")?;
    let core = server::connect_alerting(&flags.server)?;
    let mut status = Status::Fine;
    for mut silence in silences {
        let before = silence.id.take();
        if !flags.force {
            silence.id.clone_from(&before);
        }
        match post(core.as_ref(), silence) {
            Ok(id) => writeln!(io::stdout(), "{}", printable(&id))?,
            Err(err) => {
                status = Status::Wrong;
                let id = before.unwrap_or_default();
                writeln!(io::stderr(), "watchbell: cannot add silence {}: {err}", printable(&id))?;
            }
        }
    }
    Ok(status)
}

/// A silence that the server does not know, or not any more, is made anew.
fn post(core: &dyn Core, silence: PostableSilence) -> Result<String, crate::wire::Error> {
    match core.post_silence(silence.clone()) {
        Err(err) if err.kind == ErrorKind::NotFound && silence.id.is_some() => {
            core.post_silence(PostableSilence { id: None, ..silence })
        }
        answer => answer,
    }
}
