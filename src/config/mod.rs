//! One configuration out of the files: read, checked, composed, handed out in pieces.
//!
//! Owns the YAML reader with its positions and the composition of every part's settings. Start
//! reading at `load.rs`, then `file.rs`.
//!
//! Never: being imported by the parts whose settings it composes.

mod alertmanager;
mod check;
mod document;
mod error;
mod file;
mod groups;
mod load;
mod probing;
mod yaml;

pub use alertmanager::{Alertmanager, load_alertmanager};
pub use check::{check_alertmanager, check_config, check_rules};
pub use error::{Error, Located};
pub use file::Source;
pub use groups::parse_target_groups;
pub use load::{Config, LoadedGroup, Sources, UnitTests, load, load_unit_tests};
pub use yaml::Position;
