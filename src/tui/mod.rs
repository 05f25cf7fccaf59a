//! The screens: what fires, why, and what the host does, in any terminal.
//!
//! Owns drawing, keys, the terminal's state and the plain print of a screen. One direction of
//! data: a `Msg` changes the `Model` and yields `Effect`s (`update.rs`); `screens::draw` paints the
//! model; `event.rs` alone performs effects, and `source.rs` alone asks the `wire::Core`. Start
//! reading at `model.rs`, then `update.rs`, then `keys.rs`.
//!
//! Never: the engine's modules, a query on the drawing thread, a color outside `theme.rs`.

mod backend;
mod data;
mod error;
mod event;
mod explain;
mod filter;
mod fmt;
mod keys;
mod model;
mod options;
mod plain;
mod plot;
mod screens;
mod source;
mod term;
mod theme;
mod update;
mod widgets;

pub(crate) use data::{AlertView, Alerts, Severity, state_word};
pub use error::Error;
pub(crate) use explain::{Around, Explanation, Step, Told, explain};
pub(crate) use fmt::seconds as seconds_text;
pub use keys::Key;
pub use options::{CharsetChoice, ColorChoice, Exit, Options, ScreenName};
pub use plain::{Session, once};
pub use plot::{Plot, width};

use crate::wire::Core;
use std::sync::Arc;

/// Shows the screens on the terminal until the user leaves them; the terminal is given back as it
/// was found, whatever happens. Blocks; call it outside of an async runtime or where blocking is
/// allowed.
///
/// # Errors
/// Standard input or output is no terminal, the terminal fails, or drawing panicked.
pub fn run(core: Arc<dyn Core>, options: Options) -> Result<Exit, Error> {
    event::run(core, options)
}
