//! The one way in which the model changes: a message in, effects out. No I/O, no clock but the
//! model's.

use super::data::Alerts;
use super::keys::{self, Action, Binding, Context, Key};
use super::model::{About, Confirm, Link, Model, Overlay};
use super::options::{Exit, ScreenName};
use super::screens::{
    self, ack, alerts, explore, history, lists, overview, palette, sheet, target, why,
};
use super::source::{Answer, Outcome, Request, Slot};
use crate::wire::ErrorKind;
use std::time::Duration;

/// Between two rounds of questions: a burst of changes is one round a second.
const ROUND_MIN: Duration = Duration::from_secs(1);

/// A server that does not hold the question for changes is asked this often.
const POLL: Duration = Duration::from_secs(5);

/// What happened.
#[derive(Debug)]
pub(crate) enum Msg {
    /// The screens begin.
    Start,
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// The terminal has this many columns and rows now.
    Resize(u16, u16),
    /// An answer came.
    Answer(Slot, u64, Outcome),
    /// The moment of `Model::next_change` has come.
    Tick,
}

/// What the loop must do.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// Ask the core.
    Ask(Slot, u64, Request),
    /// Copy text to the user's clipboard.
    Copy(String),
    /// Paint everything again.
    Repaint,
    /// Ring the bell.
    Bell,
    /// Give the terminal back and stop until continued.
    Suspend,
    /// End.
    Quit(Exit),
}

/// Applies a message.
pub(crate) fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    model.read_clock();
    let mut effects = match msg {
        Msg::Start => refresh(model),
        Msg::Key(key) => on_key(model, key),
        Msg::Paste(text) => paste(model, &text),
        Msg::Resize(width, height) => {
            model.size = (width, height);
            Vec::new()
        }
        Msg::Answer(slot, generation, outcome) => on_answer(model, slot, generation, outcome),
        Msg::Tick => on_tick(model),
    };
    if model.screen == ScreenName::Alerts {
        model.unseen_critical = false;
        effects.extend(alerts::follow_selection(model));
    }
    effects
}

/// Asks for `request`, after the open request of its slot if there is one.
pub(crate) fn ask_calmly(model: &mut Model, slot: Slot, request: Request) -> Vec<Effect> {
    match model.requests.queue(slot, request) {
        Some(request) => ask(model, slot, request),
        None => Vec::new(),
    }
}

/// Asks for `request` now; the answer to an open request of its slot is dropped.
pub(crate) fn ask(model: &mut Model, slot: Slot, request: Request) -> Vec<Effect> {
    let generation = model.requests.start(slot, model.elapsed);
    vec![Effect::Ask(slot, generation, request)]
}

/// Asks for all that the screen shows, and for changes after it.
pub(crate) fn refresh(model: &mut Model) -> Vec<Effect> {
    model.refreshed = Some(model.elapsed);
    model.refresh_at = None;
    let mut effects = ask_calmly(model, Slot::Status, Request::Status);
    effects.extend(ask_calmly(model, Slot::Alerts, Request::Alerts));
    effects.extend(ask_screen(model));
    if model.requests.waiting_since(Slot::Watch).is_none() {
        let revision = model.revision;
        effects.extend(ask(model, Slot::Watch, Request::Changes(revision)));
    }
    effects
}

/// Asks for what only this screen shows.
fn ask_screen(model: &mut Model) -> Vec<Effect> {
    match model.screen {
        ScreenName::Overview => {
            let mut effects = ask_calmly(model, Slot::Targets, Request::Targets);
            effects.extend(ask_calmly(model, Slot::Rules, Request::Rules));
            effects.extend(overview::ask(model));
            effects
        }
        ScreenName::Alerts => alerts::ask_preview(model),
        ScreenName::Explore => explore::ask_live(model),
        ScreenName::Targets => {
            let mut effects = ask_calmly(model, Slot::Targets, Request::Targets);
            effects.extend(target::refresh(model));
            effects
        }
        ScreenName::Rules => ask_calmly(model, Slot::Rules, Request::Rules),
        ScreenName::Silences => ask_calmly(model, Slot::Silences, Request::Silences),
        ScreenName::Status => Vec::new(),
        ScreenName::History => history::refresh(model),
    }
}

fn on_tick(model: &mut Model) -> Vec<Effect> {
    if model.toast.as_ref().is_some_and(|toast| toast.until <= model.elapsed) {
        model.toast = None;
    }
    if model.requests.abandon(model.elapsed) {
        lose_link(model, "no answer for 10 s");
    }
    let retry = matches!(&model.link, Link::Offline { retry_at, .. } if *retry_at <= model.elapsed);
    if retry && let Link::Offline { retry_at, tries, .. } = &mut model.link {
        *tries = tries.saturating_add(1);
        *retry_at = model.elapsed + Duration::from_secs(1 << (*tries).min(4));
    }
    let due = model.refresh_at.take_if(|at| *at <= model.elapsed).is_some();
    // Going on after a pause asks for everything, so nothing is lost here.
    if (due || retry) && !model.paused { refresh(model) } else { Vec::new() }
}

fn lose_link(model: &mut Model, why: &str) {
    if let Link::Offline { why: last, .. } = &mut model.link {
        why.clone_into(last);
        return;
    }
    let retry_at = model.elapsed + Duration::from_secs(1);
    model.link = Link::Offline { since: model.now(), retry_at, tries: 0, why: why.to_owned() };
}

fn on_answer(model: &mut Model, slot: Slot, generation: u64, outcome: Outcome) -> Vec<Effect> {
    let Some(again) = model.requests.finish(slot, generation) else { return Vec::new() };
    let mut effects = match outcome {
        Ok(answer) => {
            if slot == Slot::Status || slot == Slot::Alerts {
                model.link = Link::Online;
            }
            take(model, slot, answer)
        }
        Err(error) => fail(model, slot, &error),
    };
    if let Some(request) = again {
        effects.extend(ask(model, slot, request));
    }
    effects
}

fn take(model: &mut Model, slot: Slot, answer: Answer) -> Vec<Effect> {
    match answer {
        Answer::Changes(changes) => return changed(model, changes.revision),
        Answer::Status(status) => {
            model.skew_ms = status.now.millis_since(model.options.clock.now());
            // A difference within the answer's own way is no difference between the clocks.
            if model.skew_ms.abs() < 500 {
                model.skew_ms = 0;
            }
            model.server.status.take(Ok(*status));
            model.read_clock();
        }
        Answer::Alerts(rows) => return take_alerts(model, Alerts::new(rows)),
        Answer::Targets(targets) => model.server.targets.take(Ok(targets)),
        Answer::Steps(steps) => target::take(model, Ok(steps)),
        Answer::Rules(rules) => model.server.rules.take(Ok(rules)),
        Answer::Silences(silences) => model.server.silences.take(Ok(silences)),
        Answer::History(number, part, answer) => {
            return history::take(model, number, part, answer);
        }
        Answer::Ranges(series) if slot == Slot::Host => model.overview.host = series,
        Answer::Ranges(series) => model.overview.strip = series.into_iter().next(),
        Answer::Range(series) if slot == Slot::Preview => model.alerts.take_preview(Ok(series)),
        Answer::Range(series) => {
            model.explore.take(Ok(series));
            return explore::ask_hints(model);
        }
        Answer::Words(words) if slot == Slot::Metrics => model.explore.metrics = words,
        Answer::Words(words) if slot == Slot::Hints => model.explore.hints = Some(words),
        Answer::Words(words) => model.explore.take_words(words),
        Answer::Posted(id) => {
            let short: String = id.chars().take(8).collect();
            model.say(format!("silence {short} is made; 7 Silences, x ends it"));
            return after_write(model);
        }
        Answer::Expired => {
            model.say("the silence has ended");
            return after_write(model);
        }
        Answer::Acknowledged(count) => {
            let what = if count == 1 { "alert is" } else { "alerts are" };
            model.say(format!("{count} {what} acknowledged: no repeats; u takes it back"));
            return after_write(model);
        }
        Answer::Withdrawn(count) => {
            let what = if count == 1 { "acknowledgement is" } else { "acknowledgements are" };
            model.say(format!("{count} {what} taken back: repeats go out again"));
            return after_write(model);
        }
    }
    Vec::new()
}

fn after_write(model: &mut Model) -> Vec<Effect> {
    let mut effects = ask(model, Slot::Silences, Request::Silences);
    effects.extend(ask(model, Slot::Alerts, Request::Alerts));
    if model.screen == ScreenName::History {
        effects.extend(history::refresh(model));
    }
    effects
}

fn take_alerts(model: &mut Model, alerts: Alerts) -> Vec<Effect> {
    let before = model.server.alerts.value.as_ref().map(|old| old.counts.critical);
    let now = alerts.counts.critical;
    let worse = before.is_some_and(|before| now > before);
    if worse && model.screen != ScreenName::Alerts {
        model.unseen_critical = true;
    }
    let firing = alerts.rows.iter().any(|view| view.is_firing());
    model.server.alerts.take(Ok(alerts));
    alerts::rebuild(model);
    if !model.chosen && firing {
        model.screen = ScreenName::Alerts;
    }
    model.chosen = true;
    if worse { vec![Effect::Bell] } else { Vec::new() }
}

fn changed(model: &mut Model, revision: u64) -> Vec<Effect> {
    let last = model.refreshed.unwrap_or_default();
    let due = if revision == model.revision { last + POLL } else { last + ROUND_MIN };
    model.revision = revision;
    if due <= model.elapsed && !model.paused {
        return refresh(model);
    }
    model.refresh_at = Some(due.max(model.elapsed));
    Vec::new()
}

fn fail(model: &mut Model, slot: Slot, error: &crate::wire::Error) -> Vec<Effect> {
    let text = error.message.clone();
    match slot {
        Slot::Watch | Slot::Status => match error.kind {
            ErrorKind::Canceled => {}
            ErrorKind::BadData
            | ErrorKind::Execution
            | ErrorKind::Timeout
            | ErrorKind::Internal
            | ErrorKind::NotFound
            | ErrorKind::NotAcceptable
            | ErrorKind::Unavailable
            | ErrorKind::Forbidden
            | ErrorKind::Busy => lose_link(model, &text),
        },
        Slot::Alerts => model.server.alerts.take(Err(text)),
        Slot::Targets => model.server.targets.take(Err(text)),
        Slot::Steps => target::take(model, Err(text)),
        Slot::Rules => model.server.rules.take(Err(text)),
        Slot::Silences => model.server.silences.take(Err(text)),
        Slot::History | Slot::News => history::fail(model, text),
        Slot::Preview => model.alerts.take_preview(Err(text)),
        Slot::Explore => model.explore.take(Err(text)),
        // Without these the screen is poorer, not wrong.
        Slot::Host | Slot::Strip | Slot::Metrics | Slot::Proposals | Slot::Hints => {}
        Slot::Write if error.kind == ErrorKind::Forbidden => {
            model.complain(format!("server refused: {text}"));
        }
        Slot::Write => model.complain(format!("not done: {text}")),
    }
    Vec::new()
}

fn paste(model: &mut Model, text: &str) -> Vec<Effect> {
    match screens::typing(model) {
        Some(prompt) => {
            prompt.insert(text);
            screens::typed(model)
        }
        None => Vec::new(),
    }
}

fn on_key(model: &mut Model, key: Key) -> Vec<Effect> {
    model.chosen = true;
    if key == Key::Ctrl('c') {
        let both = model.options.in_process;
        return vec![Effect::Quit(if both { Exit::StopServer } else { Exit::Leave })];
    }
    let contexts = screens::contexts(model);
    let bound = keys::lookup(&contexts, key);
    // A prompt takes all keys that its own context does not bind.
    if bound.is_none_or(|binding| binding.context == Context::Global)
        && let Some(prompt) = screens::typing(model)
    {
        return if prompt.key(key) { screens::typed(model) } else { Vec::new() };
    }
    match bound {
        Some(binding) => act(model, binding),
        None if matches!(model.overlays.last(), Some(Overlay::Sheet(_))) => sheet::key(model, key),
        None => Vec::new(),
    }
}

fn act(model: &mut Model, binding: &Binding) -> Vec<Effect> {
    if binding.writes {
        if !model.may_write() {
            model.complain("read-only: started with --read-only");
            return Vec::new();
        }
        if matches!(model.link, Link::Offline { .. }) {
            model.complain("offline: not sent");
            return Vec::new();
        }
    }
    match model.overlays.last() {
        Some(Overlay::Help(_)) => help_action(model, binding.action),
        Some(Overlay::Palette(_)) => palette::act(model, binding.action),
        Some(Overlay::Sheet(_)) => sheet::act(model, binding.action),
        Some(Overlay::Ack(_)) => ack::act(model, binding.action),
        Some(Overlay::Why(_)) => why::act(model, binding.action),
        Some(Overlay::Confirm(_)) => answer_question(model, binding.action),
        None => {
            global(model, binding.action).unwrap_or_else(|| screen_action(model, binding.action))
        }
    }
}

fn help_action(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(Overlay::Help(top)) = model.overlays.last_mut() else { return Vec::new() };
    match action {
        Action::Down => *top = (*top + 1).min(screens::help::ROWS_MAX),
        Action::Up => *top = top.saturating_sub(1),
        Action::PageDown => *top = (*top + 10).min(screens::help::ROWS_MAX),
        Action::PageUp => *top = top.saturating_sub(10),
        Action::First => *top = 0,
        Action::Last => *top = screens::help::ROWS_MAX,
        _ => {
            model.overlays.pop();
        }
    }
    Vec::new()
}

fn answer_question(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(Overlay::Confirm(Confirm { about, .. })) = model.overlays.pop() else {
        return Vec::new();
    };
    match (about, action) {
        (About::StopServer, Action::Yes) => vec![Effect::Quit(Exit::StopServer)],
        (About::StopServer, Action::No) => vec![Effect::Quit(Exit::Leave)],
        (About::Expire(id), Action::Yes) => ask(model, Slot::Write, Request::ExpireSilence(id)),
        (About::Save(silence), Action::Yes) => {
            ask(model, Slot::Write, Request::PostSilence(silence))
        }
        (About::Unack(fingerprints), Action::Yes) => {
            let by = model.options.login.clone();
            ask(model, Slot::Write, Request::WithdrawAcks { fingerprints, by })
        }
        (About::StopServer | About::Expire(_) | About::Save(_) | About::Unack(_), _) => Vec::new(),
    }
}

/// What means the same on every screen; `None` when the screen decides.
fn global(model: &mut Model, action: Action) -> Option<Vec<Effect>> {
    Some(match action {
        Action::Screen(ScreenName::History) => history::show(model, None),
        Action::Screen(name) => go(model, name),
        Action::PreviousScreen => {
            let previous = model.previous;
            go(model, previous)
        }
        Action::Palette => {
            model.overlays.push(Overlay::Palette(palette::Palette::default()));
            Vec::new()
        }
        Action::Help => {
            model.overlays.push(Overlay::Help(0));
            Vec::new()
        }
        Action::Quit if screens::leave(model) => Vec::new(),
        Action::Quit if history::is_of_one(model) => go_back(model),
        Action::Quit => quit(model),
        Action::Suspend => vec![Effect::Suspend],
        Action::Repaint => vec![Effect::Repaint],
        Action::Refresh => {
            model.say("asked again");
            refresh(model)
        }
        Action::Pause => {
            model.paused = !model.paused;
            model.read_clock();
            if model.paused { Vec::new() } else { refresh(model) }
        }
        _ => return None,
    })
}

/// Leaves; asks first when the server would stop with the screens.
fn quit(model: &mut Model) -> Vec<Effect> {
    if !model.options.in_process {
        return vec![Effect::Quit(Exit::Leave)];
    }
    let question = "Stop the server too? y: stop it   n: it goes on, without screens".to_owned();
    model.overlays.push(Overlay::Confirm(Confirm { question, about: About::StopServer }));
    Vec::new()
}

/// Goes to a screen.
pub(crate) fn go(model: &mut Model, name: ScreenName) -> Vec<Effect> {
    if name != model.screen {
        model.previous = model.screen;
        model.screen = name;
    }
    if name == ScreenName::Alerts {
        model.alerts.detail = None;
        alerts::rebuild(model);
    }
    if name == ScreenName::Targets {
        model.target.open = None;
    }
    let mut effects = ask_screen(model);
    if name == ScreenName::Explore {
        effects.extend(explore::open(model));
    }
    effects
}

/// Goes to the screen before as it was left.
pub(crate) fn go_back(model: &mut Model) -> Vec<Effect> {
    std::mem::swap(&mut model.screen, &mut model.previous);
    ask_screen(model)
}

fn screen_action(model: &mut Model, action: Action) -> Vec<Effect> {
    match model.screen {
        ScreenName::Overview => overview::act(model, action),
        ScreenName::Alerts => alerts::act(model, action),
        ScreenName::Explore => explore::act(model, action),
        ScreenName::Targets if model.target.open.is_some() => target::act(model, action),
        ScreenName::Targets | ScreenName::Rules | ScreenName::Silences => lists::act(model, action),
        ScreenName::Status => Vec::new(),
        ScreenName::History => history::act(model, action),
    }
}
