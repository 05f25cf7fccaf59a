//! The terminal's state: what it can do, how it is taken, and how it is given back.

use super::error::Error;
use super::options::{CharsetChoice, ColorChoice};
use super::widgets::Charset;
use crate::sys::locks::lock;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once};
use std::thread::{self, ThreadId};

/// Alternate screen, no cursor, pasted text marked.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[2J";

/// All of it undone, and colors and a half-sent frame with it.
const LEAVE: &[u8] = b"\x1b[?2026l\x1b[0m\x1b[?2004l\x1b[?25h\x1b[?1049l";

/// Whether the terminal is ours now; every way out gives it back exactly once.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The thread whose panic ends the screens.
static OWNER: Mutex<Option<ThreadId>> = Mutex::new(None);

/// The variable's value, when it is not empty.
fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The glyphs for a choice: by locale and terminal when the choice is `Auto`.
pub(crate) fn charset(choice: CharsetChoice) -> Charset {
    match choice {
        CharsetChoice::Braille => Charset::Braille,
        CharsetChoice::Block => Charset::Block,
        CharsetChoice::Ascii => Charset::Ascii,
        CharsetChoice::Auto => {
            let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(env);
            charset_of(&locale.unwrap_or_default(), &env("TERM").unwrap_or_default())
        }
    }
}

fn charset_of(locale: &str, terminal: &str) -> Charset {
    let locale = locale.to_uppercase();
    let unicode = locale.contains("UTF-8") || locale.contains("UTF8");
    match terminal {
        "vt100" | "vt102" | "dumb" => Charset::Ascii,
        _ if !unicode => Charset::Ascii,
        "linux" => Charset::Block,
        _ => Charset::Braille,
    }
}

/// Whether color is used: by `NO_COLOR` and terminal when the choice is `Auto`.
pub(crate) fn color(choice: ColorChoice) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let terminal = env("TERM").unwrap_or_default();
            env("NO_COLOR").is_none()
                && !matches!(terminal.as_str(), "" | "dumb" | "vt100" | "vt102")
        }
    }
}

/// The terminal, taken; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Guard(());

impl Guard {
    /// Takes the terminal: raw mode, alternate screen. A panic on this thread gives it back before
    /// its text is printed; the text of a panic elsewhere would only spoil the picture, and is
    /// left to the log.
    ///
    /// # Errors
    /// Standard input or output is no terminal, or refuses.
    pub(crate) fn enter() -> Result<Self, Error> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(Error::NoTerminal);
        }
        static HOOK: Once = Once::new();
        HOOK.call_once(install_hook);
        *lock(&OWNER) = Some(thread::current().id());
        let guard = Self(());
        take()?;
        Ok(guard)
    }

    /// Gives the terminal back for a while: `take_again` follows.
    pub(crate) fn release(&self) {
        restore();
    }

    /// Takes the terminal again.
    ///
    /// # Errors
    /// The terminal refuses.
    pub(crate) fn take_again(&self) -> Result<(), Error> {
        take()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
        *lock(&OWNER) = None;
    }
}

fn take() -> Result<(), Error> {
    let refused = |source| Error::Terminal { action: "take", source };
    TAKEN.store(true, Ordering::SeqCst);
    crossterm::terminal::enable_raw_mode().map_err(refused)?;
    let mut out = io::stdout().lock();
    out.write_all(ENTER).and_then(|()| out.flush()).map_err(refused)
}

fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout().lock();
        // The terminal may be gone: then there is nothing to give back.
        let _ = out.write_all(LEAVE).and_then(|()| out.flush());
        let _ = crossterm::terminal::disable_raw_mode();
    }
}

fn install_hook() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let owner = OWNER.lock().map_or(None, |owner| *owner);
        let ours = owner == Some(thread::current().id());
        if ours {
            restore();
        }
        if ours || !TAKEN.load(Ordering::SeqCst) {
            before(panic);
        }
    }));
}

/// The code that puts `text` on the user's clipboard (OSC 52).
pub(crate) fn copy_code(text: &str) -> String {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(text);
    format!("\x1b]52;c;{encoded}\x07")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_glyphs_follow_locale_and_terminal() {
        for (locale, terminal, charset) in [
            ("en_US.UTF-8", "xterm-256color", Charset::Braille),
            ("C.utf8", "tmux", Charset::Braille),
            ("en_US.UTF-8", "linux", Charset::Block),
            ("C", "xterm", Charset::Ascii),
            ("", "xterm", Charset::Ascii),
            ("en_US.UTF-8", "vt100", Charset::Ascii),
        ] {
            assert_eq!(charset_of(locale, terminal), charset, "{locale} {terminal}");
        }
    }

    #[test]
    fn leaving_undoes_each_mode_that_entering_set() {
        let (enter, leave) = (String::from_utf8_lossy(ENTER), String::from_utf8_lossy(LEAVE));
        for mode in ["1049", "2004"] {
            assert!(enter.contains(&format!("?{mode}h")) && leave.contains(&format!("?{mode}l")));
        }
        assert!(enter.contains("?25l") && leave.contains("?25h"));
    }
}
