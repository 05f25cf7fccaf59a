//! How the screens are started and how they end.

use crate::sys::clock::SharedClock;
use crate::sys::process::login;
use std::fmt;
use std::str::FromStr;

/// The screens by name; their numbers are the keys that open them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScreenName {
    /// What fires, and the health of the watcher and of the host.
    Overview,
    /// Alerts, with a chart of the selected one.
    Alerts,
    /// An expression and its chart.
    Explore,
    /// What is scraped.
    Targets,
    /// Rules and their health.
    Rules,
    /// Silences.
    Silences,
    /// The process and its store.
    Status,
    /// What happened to alerts.
    History,
}

impl ScreenName {
    /// All screens in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Overview,
        Self::Alerts,
        Self::Explore,
        Self::Targets,
        Self::Rules,
        Self::Silences,
        Self::Status,
        Self::History,
    ];

    /// The key that opens it, a letter where no number is left; 4 and 8 are kept for screens to
    /// come.
    pub const fn number(self) -> char {
        match self {
            Self::Overview => '1',
            Self::Alerts => '2',
            Self::Explore => '3',
            Self::Targets => '5',
            Self::Rules => '6',
            Self::Silences => '7',
            Self::Status => '9',
            Self::History => 'H',
        }
    }

    /// The word in the tabs and on the command line (in lower case).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Alerts => "Alerts",
            Self::Explore => "Explore",
            Self::Targets => "Targets",
            Self::Rules => "Rules",
            Self::Silences => "Silences",
            Self::Status => "Status",
            Self::History => "History",
        }
    }

    /// The word in the tabs of a narrow terminal.
    pub(crate) const fn short(self) -> &'static str {
        match self {
            Self::Overview => "Over",
            Self::Silences => "Sil",
            Self::Alerts
            | Self::Explore
            | Self::Targets
            | Self::Rules
            | Self::Status
            | Self::History => self.as_str(),
        }
    }
}

impl fmt::Display for ScreenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ScreenName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|name| name.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| {
            let all = Self::ALL.map(|name| name.as_str().to_lowercase()).join(", ");
            format!("there is no screen {text:?}; choose one of {all}")
        })
    }
}

/// What charts are drawn with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CharsetChoice {
    /// By locale and terminal.
    #[default]
    Auto,
    /// Braille dots.
    Braille,
    /// Eighths of blocks.
    Block,
    /// Bytes below 0x80 alone.
    Ascii,
}

/// Whether color is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorChoice {
    /// By `NO_COLOR` and terminal.
    #[default]
    Auto,
    /// The terminal's own 16 colors.
    Always,
    /// None; marks, words and attributes say the same.
    Never,
}

impl FromStr for CharsetChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "braille" => Ok(Self::Braille),
            "block" => Ok(Self::Block),
            "ascii" => Ok(Self::Ascii),
            _ => Err(format!("no charset {text:?}; choose one of auto, braille, block, ascii")),
        }
    }
}

impl FromStr for ColorChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            // More colors would only refine the 16.
            "always" | "16" | "256" | "true" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err(format!("no color {text:?}; choose one of auto, never, 16, 256, true")),
        }
    }
}

/// How the screens are started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server runs in this process: leaving asks whether it stops too.
    pub in_process: bool,
    /// Nothing is written; keys that write say so.
    pub read_only: bool,
    /// The first screen; `None` is Alerts when something fires, else Overview.
    pub screen: Option<ScreenName>,
    /// The first filter of the alert list.
    pub filter: String,
    /// The first expression of Explore.
    pub query: Option<String>,
    /// Times in UTC instead of the host's zone.
    pub utc: bool,
    /// What charts are drawn with.
    pub charset: CharsetChoice,
    /// Whether color is used.
    pub color: ColorChoice,
    /// Who makes silences.
    pub login: String,
    /// Time.
    pub clock: SharedClock,
}

impl Options {
    /// The defaults.
    pub fn new(clock: SharedClock) -> Self {
        Self {
            in_process: false,
            read_only: false,
            screen: None,
            filter: String::new(),
            query: None,
            utc: false,
            charset: CharsetChoice::default(),
            color: ColorChoice::default(),
            login: login(),
            clock,
        }
    }
}

/// How the user left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The screens end; a server in this process goes on.
    Leave,
    /// The screens end, and a server in this process stops too.
    StopServer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn screens_are_found_by_name_and_a_wrong_name_lists_them() {
        assert_eq!("alerts".parse(), Ok(ScreenName::Alerts));
        let error = "alrets".parse::<ScreenName>().expect_err("no such screen");
        assert!(error.contains("overview, alerts"), "{error}");
    }
}
