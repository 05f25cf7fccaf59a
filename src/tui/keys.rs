//! Every key of every screen, in one table: dispatch, the hint row and `?` are made from it.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A key as the screens know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the keys'")]
pub enum Key {
    Char(char),
    Ctrl(char),
    Enter,
    Esc,
    Tab,
    BackTab,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    Backspace,
    Delete,
}

/// Keys by name.
const NAMED: [(Key, &str); 15] = [
    (Key::Enter, "enter"),
    (Key::Esc, "esc"),
    (Key::Tab, "tab"),
    (Key::BackTab, "shift-tab"),
    (Key::Up, "up"),
    (Key::Down, "down"),
    (Key::Left, "left"),
    (Key::Right, "right"),
    (Key::Home, "home"),
    (Key::End, "end"),
    (Key::PageUp, "pgup"),
    (Key::PageDown, "pgdn"),
    (Key::Backspace, "backspace"),
    (Key::Delete, "delete"),
    (Key::Char(' '), "space"),
];

impl Key {
    /// The key of this name: `a`, `enter`, `ctrl-d`, `space`.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some((key, _)) = NAMED.iter().find(|(_, found)| *found == name) {
            return Some(*key);
        }
        let (control, rest) = match name.strip_prefix("ctrl-") {
            Some(rest) => (true, rest),
            None => (false, name),
        };
        let mut chars = rest.chars();
        let c = chars.next().filter(|_| chars.as_str().is_empty())?;
        Some(if control { Self::Ctrl(c) } else { Self::Char(c) })
    }

    /// The name that `parse` reads.
    pub fn name(self) -> String {
        if let Some((_, name)) = NAMED.iter().find(|(key, _)| *key == self) {
            return (*name).to_owned();
        }
        match self {
            Self::Ctrl(c) => format!("ctrl-{c}"),
            Self::Char(c) => c.to_string(),
            named => format!("{named:?}").to_lowercase(),
        }
    }

    /// The key of a terminal event; `None` for those that the screens do not know.
    pub(crate) fn of_event(event: &KeyEvent) -> Option<Self> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        Some(match event.code {
            KeyCode::Char(c) if event.modifiers.contains(KeyModifiers::CONTROL) => {
                Self::Ctrl(c.to_ascii_lowercase())
            }
            KeyCode::Char(c) => Self::Char(c),
            KeyCode::Enter => Self::Enter,
            KeyCode::Esc => Self::Esc,
            KeyCode::Tab => Self::Tab,
            KeyCode::BackTab => Self::BackTab,
            KeyCode::Up => Self::Up,
            KeyCode::Down => Self::Down,
            KeyCode::Left => Self::Left,
            KeyCode::Right => Self::Right,
            KeyCode::Home => Self::Home,
            KeyCode::End => Self::End,
            KeyCode::PageUp => Self::PageUp,
            KeyCode::PageDown => Self::PageDown,
            KeyCode::Backspace => Self::Backspace,
            KeyCode::Delete => Self::Delete,
            _ => return None,
        })
    }
}

/// Where a key means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    /// Everywhere, unless a narrower context has the key.
    Global,
    /// In lists.
    List,
    /// On charts.
    Chart,
    /// On Overview.
    Overview,
    /// On the alert list.
    Alerts,
    /// On one alert.
    Detail,
    /// On Explore, while its prompt is not edited.
    Explore,
    /// On Explore's prompt.
    ExplorePrompt,
    /// On Targets.
    Targets,
    /// On one line of Targets.
    Target,
    /// On Rules.
    Rules,
    /// On Silences.
    Silences,
    /// On the history of alerts.
    History,
    /// On one entry of the history.
    Happening,
    /// In a line that filters.
    FilterPrompt,
    /// On the sheet that makes a silence.
    Sheet,
    /// On the sheet that acknowledges.
    Ack,
    /// On the explanation of an alert.
    Why,
    /// On a question.
    Confirm,
    /// In the command palette.
    Palette,
    /// In the help.
    Help,
}

impl Context {
    /// The heading in the help.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Global => "Everywhere",
            Self::List => "Lists",
            Self::Chart => "Charts",
            Self::Overview => "Overview",
            Self::Alerts => "Alerts",
            Self::Detail => "Alert",
            Self::Explore => "Explore",
            Self::ExplorePrompt => "Expression",
            Self::Targets => "Targets",
            Self::Target => "Target",
            Self::Rules => "Rules",
            Self::Silences => "Silences",
            Self::History => "History",
            Self::Happening => "Entry",
            Self::FilterPrompt => "Filter",
            Self::Sheet => "Silence",
            Self::Ack => "Acknowledgement",
            Self::Why => "Why",
            Self::Confirm => "Question",
            Self::Palette => "Command",
            Self::Help => "Help",
        }
    }
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Screen(super::ScreenName),
    NextPane,
    PreviousPane,
    Filter,
    Palette,
    Help,
    Back,
    PreviousScreen,
    Quit,
    QuitNow,
    Suspend,
    Repaint,
    Refresh,
    Pause,
    Open,
    Silence,
    Acknowledge,
    WithdrawAck,
    Why,
    History,
    Deliveries,
    Explore,
    Copy,
    Runbook,
    ToggleHidden,
    GroupBy,
    SortBy,
    NextItem,
    PreviousItem,
    Edit,
    Run,
    Complete,
    HistoryUp,
    HistoryDown,
    ZoomIn,
    ZoomOut,
    PanLeft,
    PanRight,
    Live,
    TableOnly,
    Add,
    Expire,
    Toggle,
    Save,
    Yes,
    No,
}

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding {
    /// Where.
    pub(crate) context: Context,
    /// The key.
    pub(crate) key: Key,
    /// What it does.
    pub(crate) action: Action,
    /// One or two words for the hint row; empty keeps it out of there.
    pub(crate) label: &'static str,
    /// One line for the help.
    pub(crate) help: &'static str,
    /// Whether it changes something on the server.
    pub(crate) writes: bool,
}

const fn bind(
    context: Context,
    key: Key,
    action: Action,
    label: &'static str,
    help: &'static str,
) -> Binding {
    Binding { context, key, action, label, help, writes: false }
}

const fn write(
    context: Context,
    key: Key,
    action: Action,
    label: &'static str,
    help: &'static str,
) -> Binding {
    Binding { context, key, action, label, help, writes: true }
}

use super::ScreenName as S;
use Action as A;
use Context as C;
use Key as K;

/// The table. Within a context the order is that of the hint row.
pub(crate) const BINDINGS: &[Binding] = &[
    bind(C::Overview, K::Enter, A::Open, "open", "open what the line shows"),
    bind(C::Overview, K::Tab, A::NextPane, "next pane", "go to the next pane"),
    bind(C::Overview, K::BackTab, A::PreviousPane, "", "go to the pane before"),
    write(C::Overview, K::Char('s'), A::Silence, "silence", "silence the selected alert"),
    write(C::Overview, K::Char('a'), A::Acknowledge, "ack", "acknowledge the selected alert"),
    bind(C::Alerts, K::Enter, A::Open, "detail", "open the alert, or fold the group"),
    write(C::Alerts, K::Char('s'), A::Silence, "silence", "silence the alert"),
    write(C::Alerts, K::Char('a'), A::Acknowledge, "ack", "acknowledge: somebody works on it"),
    bind(C::Alerts, K::Char('w'), A::Why, "why", "why it was told, or was not"),
    bind(C::Alerts, K::Char('H'), A::History, "history", "what happened to the alert"),
    bind(C::Alerts, K::Char('e'), A::Explore, "explore", "explore its expression"),
    bind(C::Alerts, K::Char('r'), A::Runbook, "runbook", "copy the link of its runbook"),
    bind(
        C::Alerts,
        K::Char('/'),
        A::Filter,
        "filter",
        "filter: words, label=value, sev>=warn, age<1h",
    ),
    bind(
        C::Alerts,
        K::Char('z'),
        A::ToggleHidden,
        "hidden",
        "show silenced, inhibited, muted, resolved",
    ),
    bind(C::Alerts, K::Char('S'), A::SortBy, "sort", "sort by severity, age or name"),
    bind(C::Alerts, K::Char('B'), A::GroupBy, "by", "group by alert name, receiver or nothing"),
    bind(C::Alerts, K::Char('y'), A::Copy, "copy", "copy the alert's labels as a selector"),
    write(C::Alerts, K::Char('u'), A::WithdrawAck, "unack", "take the acknowledgement back"),
    bind(C::Alerts, K::Char('D'), A::Deliveries, "sent", "notifications that had it in them"),
    write(C::Detail, K::Char('s'), A::Silence, "silence", "silence the alert"),
    write(C::Detail, K::Char('a'), A::Acknowledge, "ack", "acknowledge: somebody works on it"),
    bind(C::Detail, K::Char('w'), A::Why, "why", "why it was told, or was not"),
    bind(C::Detail, K::Char('H'), A::History, "history", "what happened to the alert"),
    bind(C::Detail, K::Char('D'), A::Deliveries, "sent", "notifications that had it in them"),
    bind(C::Detail, K::Char('e'), A::Explore, "explore", "explore its expression"),
    bind(C::Detail, K::Char('r'), A::Runbook, "runbook", "copy the link of its runbook"),
    bind(C::Detail, K::Char('y'), A::Copy, "copy", "copy the alert's labels as a selector"),
    bind(C::Detail, K::Char(']'), A::NextItem, "next", "the next alert of the list"),
    bind(C::Detail, K::Char('['), A::PreviousItem, "", "the alert before in the list"),
    write(C::Detail, K::Char('u'), A::WithdrawAck, "unack", "take the acknowledgement back"),
    bind(C::Explore, K::Char('i'), A::Edit, "edit", "edit the expression"),
    bind(C::Explore, K::Enter, A::Run, "run", "run the expression again"),
    bind(C::Explore, K::Char('t'), A::TableOnly, "table", "table alone, or chart and table"),
    bind(C::Explore, K::Char('y'), A::Copy, "copy", "copy the expression"),
    bind(C::ExplorePrompt, K::Enter, A::Run, "run", "run the expression"),
    bind(C::ExplorePrompt, K::Tab, A::Complete, "complete", "take the proposal"),
    bind(C::ExplorePrompt, K::Up, A::HistoryUp, "", "proposal above, or older expression"),
    bind(C::ExplorePrompt, K::Down, A::HistoryDown, "", "proposal below, or newer expression"),
    bind(C::ExplorePrompt, K::Esc, A::Back, "leave", "leave the expression"),
    bind(C::Targets, K::Enter, A::Open, "detail", "all about it, and relabelling rule by rule"),
    bind(C::Targets, K::Char('e'), A::Explore, "explore", "explore its up series"),
    bind(C::Targets, K::Char('z'), A::ToggleHidden, "dropped", "show what relabelling dropped"),
    bind(C::Targets, K::Char('y'), A::Copy, "copy url", "copy the URL"),
    bind(C::Targets, K::Char('/'), A::Filter, "filter", "filter by words"),
    bind(C::Target, K::Char('e'), A::Explore, "explore", "explore its up series"),
    bind(C::Target, K::Char('y'), A::Copy, "copy url", "copy the URL"),
    bind(C::Target, K::Char(']'), A::NextItem, "next", "the next line of the list"),
    bind(C::Target, K::Char('['), A::PreviousItem, "", "the line before in the list"),
    bind(C::Rules, K::Char('e'), A::Explore, "explore", "explore its expression"),
    bind(C::Rules, K::Char('y'), A::Copy, "copy", "copy the expression"),
    bind(C::Rules, K::Char('/'), A::Filter, "filter", "filter by words"),
    write(C::Silences, K::Char('A'), A::Add, "new", "make a silence"),
    write(C::Silences, K::Char('x'), A::Expire, "expire", "end the silence now"),
    bind(
        C::Silences,
        K::Char('y'),
        A::Copy,
        "copy amtool",
        "copy the silence as an amtool command",
    ),
    bind(C::Silences, K::Char('/'), A::Filter, "filter", "filter by words"),
    bind(C::History, K::Enter, A::Open, "all of it", "the entry whole: also what its line cuts"),
    bind(
        C::History,
        K::Char('/'),
        A::Filter,
        "filter",
        "filter: alert's name, label=value, =~ != !~, kind:ack",
    ),
    bind(C::History, K::Char('D'), A::Deliveries, "sent", "notifications alone, or everything"),
    bind(C::History, K::Char('H'), A::History, "all alerts", "of all alerts instead of one"),
    bind(C::History, K::Char('y'), A::Copy, "copy", "copy the entry as JSON"),
    bind(C::Happening, K::Char(']'), A::NextItem, "older", "the entry before it in time"),
    bind(C::Happening, K::Char('['), A::PreviousItem, "newer", "the entry after it in time"),
    bind(C::Happening, K::Char('y'), A::Copy, "copy", "copy the entry as JSON"),
    bind(C::FilterPrompt, K::Enter, A::Save, "keep", "keep the filter"),
    bind(C::FilterPrompt, K::Esc, A::Back, "drop", "drop the filter"),
    write(C::Sheet, K::Enter, A::Save, "save", "make the silence"),
    bind(C::Sheet, K::Tab, A::NextPane, "next field", "go to the next field"),
    bind(C::Sheet, K::BackTab, A::PreviousPane, "", "go to the field before"),
    bind(C::Sheet, K::Down, A::Down, "", "the next matcher or field"),
    bind(C::Sheet, K::Up, A::Up, "", "the matcher or field before"),
    bind(C::Sheet, K::Char(' '), A::Toggle, "toggle", "use the matcher or leave it out"),
    bind(C::Sheet, K::Esc, A::Back, "cancel", "make no silence"),
    write(C::Ack, K::Enter, A::Save, "acknowledge", "acknowledge, with this comment"),
    bind(C::Ack, K::Esc, A::Back, "cancel", "acknowledge nothing"),
    bind(C::Why, K::Esc, A::Back, "close", "close the explanation"),
    bind(C::Why, K::Char('q'), A::Back, "", "close the explanation"),
    bind(C::Why, K::Char('w'), A::Back, "", "close the explanation"),
    bind(C::Confirm, K::Char('y'), A::Yes, "yes", "do it"),
    bind(C::Confirm, K::Enter, A::Yes, "", "do it"),
    bind(C::Confirm, K::Char('n'), A::No, "no", "do it not"),
    bind(C::Confirm, K::Esc, A::Back, "back", "go back"),
    bind(C::Palette, K::Enter, A::Run, "go", "go there"),
    bind(C::Palette, K::Up, A::Up, "", "the line above"),
    bind(C::Palette, K::Down, A::Down, "", "the line below"),
    bind(C::Palette, K::Esc, A::Back, "cancel", "go back"),
    bind(C::Help, K::Esc, A::Back, "close", "close the help"),
    bind(C::Help, K::Char('q'), A::Back, "", "close the help"),
    bind(C::Help, K::Char('?'), A::Back, "", "close the help"),
    bind(C::Chart, K::Char('+'), A::ZoomIn, "zoom in", "a shorter time"),
    bind(C::Chart, K::Char('='), A::ZoomIn, "", "a shorter time"),
    bind(C::Chart, K::Char('-'), A::ZoomOut, "zoom out", "a longer time"),
    bind(C::Chart, K::Char('h'), A::PanLeft, "pan", "a quarter to the left"),
    bind(C::Chart, K::Left, A::PanLeft, "", "a quarter to the left"),
    bind(C::Chart, K::Char('l'), A::PanRight, "", "a quarter to the right"),
    bind(C::Chart, K::Right, A::PanRight, "", "a quarter to the right"),
    bind(C::Chart, K::Char('0'), A::Live, "live", "back to now"),
    bind(C::List, K::Char('j'), A::Down, "", "down"),
    bind(C::List, K::Down, A::Down, "", "down"),
    bind(C::List, K::Char('k'), A::Up, "", "up"),
    bind(C::List, K::Up, A::Up, "", "up"),
    bind(C::List, K::PageDown, A::PageDown, "", "a page down"),
    bind(C::List, K::Ctrl('d'), A::PageDown, "", "a page down"),
    bind(C::List, K::PageUp, A::PageUp, "", "a page up"),
    bind(C::List, K::Ctrl('u'), A::PageUp, "", "a page up"),
    bind(C::List, K::Char('g'), A::First, "", "the first line"),
    bind(C::List, K::Home, A::First, "", "the first line"),
    bind(C::List, K::Char('G'), A::Last, "", "the last line"),
    bind(C::List, K::End, A::Last, "", "the last line"),
    bind(C::Global, K::Esc, A::Back, "", "out: filter, then up one level"),
    bind(C::Global, K::Char(':'), A::Palette, "command", "go to a screen by name"),
    bind(C::Global, K::Char('?'), A::Help, "help", "the keys of this screen"),
    bind(C::Global, K::Char('q'), A::Quit, "quit", "back, then quit"),
    bind(C::Global, K::Char('1'), A::Screen(S::Overview), "", "Overview"),
    bind(C::Global, K::Char('2'), A::Screen(S::Alerts), "", "Alerts"),
    bind(C::Global, K::Char('3'), A::Screen(S::Explore), "", "Explore"),
    bind(C::Global, K::Char('5'), A::Screen(S::Targets), "", "Targets"),
    bind(C::Global, K::Char('6'), A::Screen(S::Rules), "", "Rules"),
    bind(C::Global, K::Char('7'), A::Screen(S::Silences), "", "Silences"),
    bind(C::Global, K::Char('9'), A::Screen(S::Status), "", "Status"),
    bind(C::Global, K::Char('H'), A::Screen(S::History), "", "History"),
    bind(C::Global, K::Char('-'), A::PreviousScreen, "", "the screen before"),
    bind(C::Global, K::Char('R'), A::Refresh, "", "ask for everything again"),
    bind(C::Global, K::Char('p'), A::Pause, "", "pause, or go on"),
    bind(C::Global, K::Ctrl('l'), A::Repaint, "", "paint all again"),
    bind(C::Global, K::Ctrl('z'), A::Suspend, "", "suspend"),
    bind(C::Global, K::Ctrl('c'), A::QuitNow, "", "quit at once"),
];

/// The binding of `key` in the first of `contexts` that has one.
pub(crate) fn lookup(contexts: &[Context], key: Key) -> Option<&'static Binding> {
    contexts.iter().find_map(|context| {
        BINDINGS.iter().find(|binding| binding.context == *context && binding.key == key)
    })
}

/// The hint row: `enter detail  s silence`, at most `width` columns, help always among them. Keys
/// that write are left out when nothing may be written.
pub(crate) fn hints(contexts: &[Context], width: usize, may_write: bool) -> String {
    let mut pieces: Vec<String> = Vec::new();
    for binding in contexts
        .iter()
        .flat_map(|context| BINDINGS.iter().filter(move |binding| binding.context == *context))
    {
        if binding.label.is_empty() {
            continue;
        }
        let lock = if binding.writes && !may_write { " (RO)" } else { "" };
        pieces.push(format!("{} {}{lock}", binding.key.name(), binding.label));
    }
    let help = "? help";
    let mut line = String::from(" ");
    let shows_help = contexts.contains(&Context::Global);
    let reserved = if shows_help { help.len() + 2 } else { 0 };
    for piece in pieces.iter().filter(|piece| *piece != help) {
        if line.len() + piece.len() + 2 + reserved <= width {
            line.push_str(piece);
            line.push_str("  ");
        }
    }
    if shows_help {
        line.push_str(help);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_context() {
        for (place, one) in BINDINGS.iter().enumerate() {
            let again = BINDINGS
                .iter()
                .skip(place + 1)
                .find(|other| other.context == one.context && other.key == one.key);
            assert!(again.is_none(), "{one:?} and {again:?}");
            assert!(!one.help.is_empty(), "{one:?} has no help");
        }
    }

    #[test]
    fn key_names_read_back() {
        for binding in BINDINGS {
            assert_eq!(Key::parse(&binding.key.name()), Some(binding.key));
        }
        assert_eq!(Key::parse("nonsense"), None);
    }

    #[test]
    fn screens_open_by_their_numbers() {
        for name in S::ALL {
            let binding = lookup(&[C::Global], K::Char(name.number())).expect("bound");
            assert_eq!(binding.action, A::Screen(name));
        }
    }

    #[test]
    fn the_hint_row_fits_and_always_names_the_help() {
        for width in [40, 60, 80, 120] {
            let line = hints(&[C::Alerts, C::List, C::Global], width, true);
            assert!(line.len() <= width, "{line}");
            assert!(line.ends_with("? help"), "{line}");
        }
    }
}
