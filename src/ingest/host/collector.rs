//! All collectors, run one after the other.

use super::error::CollectError;
use super::families::Families;
use super::root::Root;
use super::statfs::Prober;
use super::{
    conntrack, cpu, diskstats, entropy, filefd, filesystem, hwmon, loadavg, meminfo, netclass,
    netdev, netstat, pressure, sockstat, stat, thermal_zone, time, uname, vmstat,
};
use crate::sys::clock::SharedClock;
use crate::sys::metrics::Family;
use std::path::PathBuf;

/// Reads this machine's metrics.
#[derive(Debug)]
pub struct HostCollector {
    host: Host,
}

/// What a collector may look at.
#[derive(Debug)]
pub(super) struct Host {
    /// The kernel's files.
    pub(super) root: Root,
    /// Time of day, and what collectors took.
    pub(super) clock: SharedClock,
    /// Asks file systems without waiting for a dead one.
    pub(super) prober: Prober,
    /// Processor times as they were told last.
    pub(super) cpu: cpu::LastTimes,
}

type Collect = fn(&Host, &mut Families) -> Result<(), CollectError>;

/// The collectors under node_exporter's names for them.
const COLLECTORS: [(&str, Collect); 19] = [
    ("conntrack", conntrack::collect),
    ("cpu", cpu::collect),
    ("diskstats", diskstats::collect),
    ("entropy", entropy::collect),
    ("filefd", filefd::collect),
    ("filesystem", filesystem::collect),
    ("hwmon", hwmon::collect),
    ("loadavg", loadavg::collect),
    ("meminfo", meminfo::collect),
    ("netclass", netclass::collect),
    ("netdev", netdev::collect),
    ("netstat", netstat::collect),
    ("pressure", pressure::collect),
    ("sockstat", sockstat::collect),
    ("stat", stat::collect),
    ("thermal_zone", thermal_zone::collect),
    ("time", time::collect),
    ("uname", uname::collect),
    ("vmstat", vmstat::collect),
];

impl HostCollector {
    /// A collector that reads `proc`, `sys` and `run` below `root`: `/`, or a tree that looks
    /// like it.
    pub fn new(root: PathBuf, clock: SharedClock) -> Self {
        let (root, prober, cpu) = (Root::new(root), Prober::new(), cpu::LastTimes::default());
        Self { host: Host { root, clock, prober, cpu } }
    }

    /// Everything as it is now, by name. Reads files and so blocks, for a few milliseconds; at
    /// most about two seconds when file systems have just stopped answering.
    pub fn gather(&self) -> Vec<Family> {
        let mut out = Families::default();
        for (name, collect) in COLLECTORS {
            let started = self.host.clock.elapsed();
            let result = collect(&self.host, &mut out);
            let took = self.host.clock.elapsed().saturating_sub(started);
            if let Err(err) = &result {
                tracing::debug!(collector = name, error = %err, "a host collector failed");
            }
            let labels = [("collector", name)];
            let success = if result.is_ok() { 1.0 } else { 0.0 };
            out.gauge(
                "node_scrape_collector_duration_seconds",
                "How long the collector took.",
                &labels,
                took.as_secs_f64(),
            );
            out.gauge(
                "node_scrape_collector_success",
                "1 if the collector could read what it reads.",
                &labels,
                success,
            );
        }
        out.into_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::sys::sim::VirtualClock;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::fmt::Write as _;
    use std::sync::Arc;

    fn fixture() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/host")
    }

    fn gather(root: PathBuf) -> Vec<Family> {
        let clock = VirtualClock::at(Timestamp::from_millis(1_767_225_660_500));
        HostCollector::new(root, Arc::new(clock)).gather()
    }

    /// What depends on the machine that runs the test.
    fn is_local(family: &Family) -> bool {
        [
            "node_uname_info",
            "node_time_seconds",
            "node_time_zone_offset_seconds",
            "node_scrape_collector_duration_seconds",
            "node_filesystem_size_bytes",
            "node_filesystem_free_bytes",
            "node_filesystem_avail_bytes",
            "node_filesystem_files",
            "node_filesystem_files_free",
        ]
        .contains(&family.name.as_str())
    }

    fn value(families: &[Family], name: &str) -> Option<f64> {
        let family = families.iter().find(|family| family.name == name)?;
        Some(family.samples.first()?.value)
    }

    #[test]
    fn the_fixture_gives_what_node_exporter_gives() {
        let mut found = String::new();
        for family in gather(fixture()).iter().filter(|family| !is_local(family)) {
            let kind = match family.kind {
                crate::model::MetricType::Unknown => "untyped",
                kind => kind.as_str(),
            };
            let _ = writeln!(found, "# TYPE {} {kind}", family.name);
            for sample in &family.samples {
                let _ = writeln!(found, "{}{} {}", family.name, sample.labels, sample.value);
            }
        }
        let expected = std::fs::read_to_string(fixture().join("expected.txt")).expect("readable");
        let lines = |text: &str| -> BTreeSet<String> { text.lines().map(str::to_owned).collect() };
        let (found, expected) = (lines(&found), lines(&expected));
        let differences: Vec<_> = found.symmetric_difference(&expected).collect();
        assert!(differences.is_empty(), "{differences:#?}");
    }

    #[test]
    fn what_the_clock_and_the_disk_say_is_told() {
        let families = gather(fixture());
        assert_eq!(value(&families, "node_time_seconds"), Some(1_767_225_660.5));
        let sizes = families.iter().find(|family| family.name == "node_filesystem_size_bytes");
        let points: Vec<_> = sizes
            .expect("some mount answers")
            .samples
            .iter()
            .map(|sample| (sample.labels.value_of("mountpoint").to_owned(), sample.value > 0.0))
            .collect();
        assert_eq!(points, [("/srv/data".to_owned(), true), ("/".to_owned(), true)]);
    }

    #[test]
    fn a_collector_that_fails_stops_no_other() {
        let empty = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(empty.path().join("proc")).expect("made");
        std::fs::write(empty.path().join("proc/loadavg"), "1 2 3 4/5 6\n").expect("written");
        std::fs::write(empty.path().join("proc/meminfo"), b"MemTotal: \xff kB\n").expect("written");
        std::fs::write(empty.path().join("proc/diskstats"), "8 0 sda 1 2\n").expect("written");
        let families = gather(empty.path().to_owned());
        assert_eq!(value(&families, "node_load5"), Some(2.0));
        let success = families.iter().find(|family| family.name == "node_scrape_collector_success");
        let successful: Vec<_> = success
            .expect("always told")
            .samples
            .iter()
            .filter(|sample| sample.value == 1.0)
            .map(|sample| sample.labels.value_of("collector").to_owned())
            .collect();
        assert_eq!(successful, ["loadavg", "time", "uname"]);
    }

    #[test]
    fn names_are_sorted_and_series_unique() {
        let families = gather(fixture());
        assert!(families.windows(2).all(|pair| pair[0].name < pair[1].name));
        for family in &families {
            let rising =
                |pair: &[crate::sys::metrics::FamilySample]| pair[0].labels < pair[1].labels;
            assert!(family.samples.windows(2).all(rising), "{}", family.name);
            assert!(!family.help.is_empty(), "{}", family.name);
        }
    }

    /// Every file that a collector reads by a fixed name.
    const FILES: [&str; 20] = [
        "proc/1/mounts",
        "proc/diskstats",
        "proc/loadavg",
        "proc/meminfo",
        "proc/net/dev",
        "proc/net/netstat",
        "proc/net/snmp",
        "proc/net/snmp6",
        "proc/net/sockstat",
        "proc/net/sockstat6",
        "proc/net/stat/nf_conntrack",
        "proc/pressure/cpu",
        "proc/pressure/io",
        "proc/stat",
        "proc/sys/fs/file-nr",
        "proc/sys/kernel/random/entropy_avail",
        "proc/sys/net/netfilter/nf_conntrack_count",
        "proc/vmstat",
        "sys/class/net/x/address",
        "sys/class/thermal/thermal_zone0/temp",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn no_text_of_the_kernel_is_a_panic(
            text in prop_oneof![
                any::<Vec<u8>>(),
                "([a-z6]{1,4}[:=]? ?|cpu[0-9] |[-0-9.]{1,25} |0x|some |full |total=|\n){0,40}"
                    .prop_map(String::into_bytes),
            ],
        ) {
            let root = tempfile::tempdir().expect("a directory");
            for file in FILES {
                let file = root.path().join(file);
                std::fs::create_dir_all(file.parent().expect("in a directory")).expect("made");
                std::fs::write(file, &text).expect("written");
            }
            prop_assert!(!gather(root.path().to_owned()).is_empty());
        }
    }
}
