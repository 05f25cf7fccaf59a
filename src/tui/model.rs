//! Everything that the screens know; changed by `update` alone.

use super::data::{Alerts, Loadable};
use super::fmt;
use super::options::{Options, ScreenName};
use super::screens::ack::AckSheet;
use super::screens::alerts::AlertsScreen;
use super::screens::explore::Explore;
use super::screens::history::History;
use super::screens::lists::ListScreen;
use super::screens::overview::Overview;
use super::screens::palette::Palette;
use super::screens::sheet::Sheet;
use super::screens::target::TargetState;
use super::source::{ANSWER_TIMEOUT, Request, Slot};
use super::term;
use super::theme::Role;
use super::widgets::Look;
use crate::model::Timestamp;
use crate::wire::{RulesAnswer, SilenceForm, TargetsAnswer, WatchStatus};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::time::Duration;

/// Zoom levels of charts: their name and length in milliseconds.
pub(crate) const RANGES: [(&str, i64); 7] = [
    ("5m", 300_000),
    ("15m", 900_000),
    ("1h", 3_600_000),
    ("6h", 21_600_000),
    ("24h", 86_400_000),
    ("7d", 604_800_000),
    ("30d", 2_592_000_000),
];

/// How long a message stands in the hint row.
const TOAST: Duration = Duration::from_secs(6);

/// The length of the zoom level `place`.
pub(crate) fn range_ms(place: usize) -> i64 {
    RANGES.get(place).map_or(3_600_000, |(_, length)| *length)
}

/// The name of the zoom level `place`.
pub(crate) fn range_name(place: usize) -> &'static str {
    RANGES.get(place).map_or("1h", |(name, _)| *name)
}

/// What lies over the screen.
#[derive(Clone, Debug)]
pub(crate) enum Overlay {
    /// The keys, scrolled by so many rows.
    Help(usize),
    /// The command line.
    Palette(Palette),
    /// A silence in the making.
    Sheet(Box<Sheet>),
    /// An acknowledgement in the making.
    Ack(AckSheet),
    /// Why the current alert was told or was not, scrolled by so many rows.
    Why(usize),
    /// A question.
    Confirm(Confirm),
}

/// A question and what `y` does.
#[derive(Clone, Debug)]
pub(crate) struct Confirm {
    /// The question.
    pub(crate) question: String,
    /// What is asked about.
    pub(crate) about: About,
}

/// What a question is about.
#[derive(Clone, Debug)]
pub(crate) enum About {
    /// Ending the silence with this id.
    Expire(String),
    /// Taking back the acknowledgements of the alerts with these fingerprints.
    Unack(Vec<String>),
    /// Making a silence that reaches far.
    Save(crate::wire::PostableSilence),
    /// Stopping the server in this process too.
    StopServer,
}

/// A message in the hint row.
#[derive(Clone, Debug)]
pub(crate) struct Toast {
    /// The message.
    pub(crate) text: String,
    /// How it looks.
    pub(crate) role: Role,
    /// Elapsed time at which it goes.
    pub(crate) until: Duration,
}

/// What the server said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    /// How it does.
    pub(crate) status: Loadable<WatchStatus>,
    /// All alerts.
    pub(crate) alerts: Loadable<Alerts>,
    /// All targets.
    pub(crate) targets: Loadable<TargetsAnswer>,
    /// All rules.
    pub(crate) rules: Loadable<RulesAnswer>,
    /// All silences.
    pub(crate) silences: Loadable<Vec<SilenceForm>>,
}

/// Whether the server answers.
#[derive(Clone, Debug, Default)]
pub(crate) enum Link {
    /// It does, or was not asked yet.
    #[default]
    Online,
    /// It does not.
    Offline {
        /// Since when.
        since: Timestamp,
        /// Elapsed time of the next attempt.
        retry_at: Duration,
        /// Failed attempts.
        tries: u32,
        /// What it said.
        why: String,
    },
}

/// An open request of a slot.
#[derive(Clone, Debug, Default)]
struct Open {
    generation: u64,
    sent: Option<Duration>,
    again: Option<Request>,
}

/// What is under way, by slot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requests {
    open: BTreeMap<Slot, Open>,
}

impl Requests {
    /// Opens a request; answers to older ones of the slot are dropped from now on.
    pub(crate) fn start(&mut self, slot: Slot, now: Duration) -> u64 {
        let open = self.open.entry(slot).or_default();
        open.generation += 1;
        open.sent = Some(now);
        open.again = None;
        open.generation
    }

    /// Keeps `request` for when the open one of its slot is answered; gives it back when none is
    /// open.
    pub(crate) fn queue(&mut self, slot: Slot, request: Request) -> Option<Request> {
        match self.open.get_mut(&slot) {
            Some(open) if open.sent.is_some() => {
                open.again = Some(request);
                None
            }
            Some(_) | None => Some(request),
        }
    }

    /// Whether an answer is the one that is waited for; closes its request.
    pub(crate) fn finish(&mut self, slot: Slot, generation: u64) -> Option<Option<Request>> {
        let open = self.open.get_mut(&slot).filter(|open| open.generation == generation)?;
        open.sent = None;
        Some(open.again.take())
    }

    /// Since when the slot waits for an answer.
    pub(crate) fn waiting_since(&self, slot: Slot) -> Option<Duration> {
        self.open.get(&slot).and_then(|open| open.sent)
    }

    /// When the oldest question, other than the one for changes, is lost.
    pub(crate) fn lost_at(&self) -> Option<Duration> {
        let questions = self.open.iter().filter(|(slot, _)| **slot != Slot::Watch);
        questions.filter_map(|(_, open)| open.sent).min().map(|sent| sent + ANSWER_TIMEOUT)
    }

    /// Gives up what was asked before `limit`; their answers are dropped when they come.
    pub(crate) fn abandon(&mut self, now: Duration) -> bool {
        let mut any = false;
        for (slot, open) in &mut self.open {
            if *slot != Slot::Watch && open.sent.is_some_and(|sent| sent + ANSWER_TIMEOUT <= now) {
                open.generation += 1;
                open.sent = None;
                open.again = None;
                any = true;
            }
        }
        any
    }
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Model {
    /// How it was started.
    pub(crate) options: Options,
    /// How it is drawn, and the server's time.
    pub(crate) look: Look,
    /// Elapsed time of the clock.
    pub(crate) elapsed: Duration,
    /// Server time minus local time.
    pub(crate) skew_ms: i64,
    /// Columns and rows.
    pub(crate) size: (u16, u16),
    /// The screen.
    pub(crate) screen: ScreenName,
    /// The screen before.
    pub(crate) previous: ScreenName,
    /// Whether the user chose the screen.
    pub(crate) chosen: bool,
    /// What lies over the screen, the topmost last.
    pub(crate) overlays: Vec<Overlay>,
    /// A message.
    pub(crate) toast: Option<Toast>,
    /// What the server said.
    pub(crate) server: Server,
    /// Whether the server answers.
    pub(crate) link: Link,
    /// The revision that was seen last.
    pub(crate) revision: u64,
    /// What is under way.
    pub(crate) requests: Requests,
    /// Elapsed time at which everything is asked again.
    pub(crate) refresh_at: Option<Duration>,
    /// When everything was asked last.
    pub(crate) refreshed: Option<Duration>,
    /// Whether the picture stands still.
    pub(crate) paused: bool,
    /// Fingerprints of critical alerts that were seen on the alert list.
    pub(crate) unseen_critical: bool,
    /// Overview's state.
    pub(crate) overview: Overview,
    /// The alert list's state.
    pub(crate) alerts: AlertsScreen,
    /// Explore's state.
    pub(crate) explore: Explore,
    /// Targets' state.
    pub(crate) targets: ListScreen,
    /// What Targets remembers besides its list.
    pub(crate) target: TargetState,
    /// Rules' state.
    pub(crate) rules: ListScreen,
    /// Silences' state.
    pub(crate) silences: ListScreen,
    /// The history's state.
    pub(crate) history: History,
}

impl Model {
    /// What is known before anything was asked.
    pub(crate) fn new(options: Options, size: (u16, u16)) -> Self {
        let zone = if options.utc { TimeZone::UTC } else { TimeZone::system() };
        let look = Look {
            theme: super::theme::Theme { color: term::color(options.color) },
            charset: term::charset(options.charset),
            zone,
            now: options.clock.now(),
        };
        let screen = options.screen.unwrap_or(ScreenName::Overview);
        Self {
            look,
            elapsed: options.clock.elapsed(),
            skew_ms: 0,
            size,
            screen,
            previous: screen,
            chosen: options.screen.is_some(),
            overlays: Vec::new(),
            toast: None,
            server: Server::default(),
            link: Link::default(),
            revision: 0,
            requests: Requests::default(),
            refresh_at: None,
            refreshed: None,
            paused: false,
            unseen_critical: false,
            overview: Overview::default(),
            alerts: AlertsScreen::new(&options.filter),
            explore: Explore::new(options.query.as_deref().unwrap_or("up")),
            targets: ListScreen::default(),
            target: TargetState::default(),
            rules: ListScreen::default(),
            silences: ListScreen::default(),
            history: History::default(),
            options,
        }
    }

    /// The server's time of day.
    pub(crate) fn now(&self) -> Timestamp {
        self.look.now
    }

    /// Reads the clock.
    pub(crate) fn read_clock(&mut self) {
        self.elapsed = self.options.clock.elapsed();
        if !self.paused {
            self.look.now = self.options.clock.now().plus_millis(self.skew_ms);
        }
    }

    /// Says something in the hint row.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.toast(text, Role::Title);
    }

    /// Says in the hint row what went wrong.
    pub(crate) fn complain(&mut self, text: impl Into<String>) {
        self.toast(text, Role::Error);
    }

    fn toast(&mut self, text: impl Into<String>, role: Role) {
        self.toast = Some(Toast { text: text.into(), role, until: self.elapsed + TOAST });
    }

    /// Whether the server is known to be another than ours, which keeps no history and no
    /// acknowledgements.
    pub(crate) fn is_foreign(&self) -> bool {
        self.server.status.value.as_ref().is_some_and(|status| status.version.is_empty())
    }

    /// Whether keys that write do.
    pub(crate) fn may_write(&self) -> bool {
        !self.options.read_only
    }

    /// The newest evaluation or scrape that is known.
    pub(crate) fn newest(&self) -> Option<Timestamp> {
        self.server.status.value.as_ref().and_then(|status| status.newest)
    }

    /// Data older than this does not count as live.
    pub(crate) fn stale_after_ms(&self) -> i64 {
        let interval = self.server.status.value.as_ref().map(|s| s.evaluation_interval_seconds);
        let twice = fmt::whole(interval.unwrap_or(15.0) * 2000.0);
        i64::try_from(twice).unwrap_or(i64::MAX).max(10_000)
    }

    /// The age of the data in words, and how it looks.
    pub(crate) fn freshness(&self) -> (String, Role) {
        if let Link::Offline { since, .. } = &self.link {
            return (format!("OFFLINE {}", fmt::since(self.now(), *since)), Role::Select);
        }
        if self.paused {
            return ("paused".to_owned(), Role::Warn);
        }
        let Some(newest) = self.newest() else {
            return ("no data yet".to_owned(), Role::Dim);
        };
        let ms = self.now().millis_since(newest);
        let (bound, _) = fmt::age_bound(ms);
        if ms > self.stale_after_ms() {
            (format!("STALE {}", bound.replace('<', "")), Role::Select)
        } else {
            (format!("live {bound}"), Role::Ok)
        }
    }

    /// Elapsed time of the next moment at which something changes without an event: the minute,
    /// a bound of freshness, the end of a message, a question that is due or lost.
    pub(crate) fn next_change(&self) -> Duration {
        let now_ms = self.now().as_millis();
        let in_ms = |ms: i64| {
            self.elapsed + Duration::from_millis(u64::try_from(ms.max(1)).unwrap_or(60_000))
        };
        let minute = in_ms(60_000 - now_ms.rem_euclid(60_000));
        let bound = self.newest().filter(|_| !self.paused).map(|newest| {
            let age = self.now().millis_since(newest);
            let stale = self.stale_after_ms().saturating_add(1);
            let next = fmt::age_bound(age).1;
            in_ms(if age < stale { next.min(stale) } else { next } - age)
        });
        let retry = match &self.link {
            Link::Offline { retry_at, .. } => Some(*retry_at),
            Link::Online => None,
        };
        let toast = self.toast.as_ref().map(|toast| toast.until);
        let all = [bound, retry, toast, self.refresh_at, self.requests.lost_at()];
        all.into_iter().flatten().fold(minute, Duration::min)
    }
}
