//! This machine's own metrics, with the names, labels and values of node_exporter and, for groups of
//! processes, process_exporter.
//!
//! Owns one file a collector; each reads files below a root and adds to the families. Start
//! reading at `collector.rs`, then any collector; `filesystem.rs` with `statfs.rs` is the one that
//! a dead file system could block, `processes/mod.rs` the one that costs most on a busy host,
//! `systemd/mod.rs` the one that asks another process. Not built: collectors of rare hardware, file
//! systems and network file systems (infiniband, tape drives, zfs, nfs and the like). `tests/fixtures/host` is a small root for tests.
//!
//! Never: a collector that fails another, an endless wait, a value of its own invention.

mod arp;
mod bonding;
mod collector;
mod conntrack;
mod cpu;
mod cpufreq;
mod diskstats;
mod dmi;
mod edac;
mod entropy;
mod error;
mod families;
mod filefd;
mod filesystem;
mod hwmon;
mod kernel_hung;
mod loadavg;
mod mdadm;
mod meminfo;
mod netclass;
mod netdev;
mod netstat;
mod nvme;
mod os;
mod pressure;
mod processes;
mod rapl;
mod root;
mod schedstat;
mod selinux;
mod sockstat;
mod softnet;
mod stat;
mod statfs;
mod systemd;
mod textfile;
mod thermal_zone;
mod time;
mod timex;
mod udev;
mod udp_queues;
mod uname;
mod vmstat;
mod watchdog;

pub use collector::HostCollector;
