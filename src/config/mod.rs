//! One configuration out of the files: read, checked, composed, handed out in pieces.
//!
//! Owns the YAML reader with its positions and the composition of every part's settings. Start
//! reading at `load.rs`, then `file.rs`.
//!
//! Never: being imported by the parts whose settings it composes.

mod alerting;
mod alertmanager;
mod alertmanagers;
mod check;
mod document;
mod error;
mod file;
mod groups;
mod load;
mod plain_yaml;
mod probing;
mod routing;
mod scalar;
mod yaml;

pub use alertmanager::{Alertmanager, load_alertmanager};
pub use alertmanagers::{Alerting, OtherAlertmanagers};
pub use check::{
    CheckOptions, Lint, Report, check_alertmanager, check_config, check_rules, check_rules_text,
};
pub use error::{Error, Located};
pub use file::{Source, Unknown};
pub use groups::parse_target_groups;
pub use load::{
    Config, LoadedGroup, Sources, UnitTests, load, load_unit_tests, parse_rules, rule_line,
};
pub use plain_yaml::parse_plain_yaml;
pub use routing::routing;
pub use yaml::Position;
