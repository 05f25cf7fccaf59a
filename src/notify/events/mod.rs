//! `event_recorder`: everything that happens to alerts and silences, told to files, web hooks and
//! standard output, for programs.
//!
//! Start reading at `form.rs` (what an event looks like), then `output.rs`; `settings.rs` has the
//! section of `alertmanager.yml`. Who queues, counts and drops is `service`.

mod form;
mod output;
pub(super) mod settings;

pub use form::Event;
pub use output::EventOutput;
