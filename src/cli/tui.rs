//! The terminal interface: on the server that runs here, in one process with it, or on another.

use super::flags::{CharsetFlag, ColorFlag, ScreenFlags, ServerFlags, TuiFlags};
use super::{Status, serve, server};
use crate::app;
use crate::sys::clock::{SharedClock, SystemClock};
use crate::sys::log::Destination;
use crate::tui::{self, CharsetChoice, ColorChoice, Exit, Options, ScreenName};
use anyhow::Context as _;
use std::io::Write as _;
use std::sync::Arc;

/// Attaches to the server that runs here; without one, starts server and screens in one process.
pub(super) fn here(
    flags: &ServerFlags,
    screen: &ScreenFlags,
    meaningless: &[String],
) -> anyhow::Result<Status> {
    let mut settings = serve::settings(flags, meaningless, Destination::Stderr)?;
    if let Some(core) = server::on_socket(&settings.socket) {
        tui::run(core, options(screen, false)?)?;
        return Ok(Status::Fine);
    }
    let log = settings.service.data.join("watchbell.log");
    std::fs::create_dir_all(&settings.service.data)
        .with_context(|| format!("cannot make folder {}", settings.service.data.display()))?;
    settings.log.destination = Destination::File(log);
    let running = app::start(settings)?;
    let exit = tui::run(running.core(), options(screen, true)?)?;
    match exit {
        Exit::StopServer => running.stop(),
        Exit::Leave => {
            writeln!(std::io::stdout(), "watchbell goes on here; ctrl-c stops it")?;
            running.wait()?;
        }
    }
    Ok(Status::Fine)
}

/// Attaches to the chosen server, or prints one screen.
pub(super) fn attach(flags: &TuiFlags) -> anyhow::Result<Status> {
    let core = server::connect(&flags.server)?;
    let options = options(&flags.screen, false)?;
    match &flags.once {
        None => {
            tui::run(core, options)?;
        }
        Some(name) => {
            let screen: ScreenName = name.parse().map_err(anyhow::Error::msg)?;
            let text = tui::once(core, screen, flags.width, flags.height, options);
            writeln!(std::io::stdout(), "{text}")?;
        }
    }
    Ok(Status::Fine)
}

fn options(flags: &ScreenFlags, in_process: bool) -> anyhow::Result<Options> {
    let clock: SharedClock = Arc::new(SystemClock::new());
    let mut options = Options::new(clock);
    options.in_process = in_process;
    options.read_only = flags.read_only;
    options.utc = flags.utc;
    options.charset = flags.charset.into();
    options.color = flags.color.into();
    options.screen =
        flags.screen.as_deref().map(str::parse).transpose().map_err(anyhow::Error::msg)?;
    Ok(options)
}

impl From<CharsetFlag> for CharsetChoice {
    fn from(flag: CharsetFlag) -> Self {
        match flag {
            CharsetFlag::Auto => Self::Auto,
            CharsetFlag::Braille => Self::Braille,
            CharsetFlag::Block => Self::Block,
            CharsetFlag::Ascii => Self::Ascii,
        }
    }
}

impl From<ColorFlag> for ColorChoice {
    fn from(flag: ColorFlag) -> Self {
        match flag {
            ColorFlag::Auto => Self::Auto,
            ColorFlag::Always => Self::Always,
            ColorFlag::Never => Self::Never,
        }
    }
}
