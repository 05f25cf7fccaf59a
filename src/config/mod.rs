//! One configuration out of the files: read, checked, composed, handed out in pieces.
//!
//! Owns the YAML reader with its positions and the composition of every part's settings. Start
//! reading at `load.rs`, then `file.rs`.
//!
//! Never: being imported by the parts whose settings it composes.

mod error;
mod file;
mod yaml;

pub use error::{Error, Located};
pub use file::Source;
pub use yaml::Position;
