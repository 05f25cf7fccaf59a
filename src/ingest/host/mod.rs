//! This machine's own metrics, with the names, labels and values of node_exporter.
//!
//! Owns one file a collector; each reads files below a root and adds to the families. Start
//! reading at `collector.rs`, then any collector; `filesystem.rs` with `statfs.rs` is the one that
//! a dead file system could block. `tests/fixtures/host` is a small root for tests.
//!
//! Never: a collector that fails another, an endless wait, a value of its own invention.

mod collector;
mod conntrack;
mod cpu;
mod diskstats;
mod entropy;
mod error;
mod families;
mod filefd;
mod filesystem;
mod hwmon;
mod loadavg;
mod meminfo;
mod netclass;
mod netdev;
mod netstat;
mod pressure;
mod root;
mod sockstat;
mod stat;
mod statfs;
mod thermal_zone;
mod time;
mod udev;
mod uname;
mod vmstat;

pub use collector::HostCollector;
