//! All collectors, run one after the other.

use super::error::CollectError;
use super::families::Families;
use super::root::Root;
use super::statfs::Prober;
use super::{
    arp, bonding, conntrack, cpu, cpufreq, diskstats, dmi, edac, entropy, filefd, filesystem,
    hwmon, kernel_hung, loadavg, mdadm, meminfo, netclass, netdev, netstat, nvme, os, pressure,
    processes, rapl, schedstat, selinux, sockstat, softnet, stat, systemd, textfile, thermal_zone,
    time, timex, udp_queues, uname, vmstat, watchdog,
};
use crate::ingest::config::HostOptions;
use crate::sys::clock::SharedClock;
use crate::sys::locks::lock;
use crate::sys::metrics::Family;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;

/// Reads this machine's metrics.
#[derive(Debug)]
pub struct HostCollector {
    host: Mutex<Host>,
    /// What the next pass is to look at.
    options: Mutex<Option<HostOptions>>,
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
    /// What processes did up to the last walk.
    pub(super) processes: processes::Memory,
    /// What systemd said that seldom changes.
    pub(super) systemd: systemd::Memory,
    /// What to look at.
    pub(super) options: HostOptions,
    /// Counts changes of the options.
    pub(super) options_version: u64,
    /// Counts passes, so that two collectors can share what one of them read.
    pub(super) pass: u64,
    /// Collectors whose failure has been told.
    failing: BTreeSet<&'static str>,
}

type Collect = fn(&Host, &mut Families) -> Result<(), CollectError>;

/// The collectors under node_exporter's names for them.
const COLLECTORS: [(&str, Collect); 39] = [
    ("arp", arp::collect),
    ("bonding", bonding::collect),
    ("conntrack", conntrack::collect),
    ("cpu", cpu::collect),
    ("cpufreq", cpufreq::collect),
    ("diskstats", diskstats::collect),
    ("dmi", dmi::collect),
    ("edac", edac::collect),
    ("entropy", entropy::collect),
    ("filefd", filefd::collect),
    ("filesystem", filesystem::collect),
    ("hwmon", hwmon::collect),
    ("kernel_hung", kernel_hung::collect),
    ("loadavg", loadavg::collect),
    ("mdadm", mdadm::collect),
    ("meminfo", meminfo::collect),
    ("netclass", netclass::collect),
    ("netdev", netdev::collect),
    ("netstat", netstat::collect),
    ("nvme", nvme::collect),
    ("os", os::collect),
    ("pressure", pressure::collect),
    ("process_groups", processes::collect_groups),
    ("processes", processes::collect),
    ("rapl", rapl::collect),
    ("schedstat", schedstat::collect),
    ("selinux", selinux::collect),
    ("sockstat", sockstat::collect),
    ("softnet", softnet::collect),
    ("stat", stat::collect),
    ("systemd", systemd::collect),
    ("thermal_zone", thermal_zone::collect),
    ("time", time::collect),
    ("timex", timex::collect),
    ("udp_queues", udp_queues::collect),
    ("uname", uname::collect),
    ("vmstat", vmstat::collect),
    ("watchdog", watchdog::collect),
    // Last: of two samples of one series the first counts, and a file may not replace ours.
    ("textfile", textfile::collect),
];

impl HostCollector {
    /// A collector that reads `proc`, `sys` and `run` below `root`: `/`, or a tree that looks
    /// like it, as far as `options` want.
    pub fn new(root: PathBuf, clock: SharedClock, options: HostOptions) -> Self {
        let host = Host {
            root: Root::new(root),
            clock,
            prober: Prober::new(),
            cpu: cpu::LastTimes::default(),
            processes: processes::Memory::default(),
            systemd: systemd::Memory::default(),
            options,
            options_version: 0,
            pass: 0,
            failing: BTreeSet::new(),
        };
        Self { host: Mutex::new(host), options: Mutex::default() }
    }

    /// Looks at what `options` say from the next pass on; counters go on.
    pub fn reconfigure(&self, options: HostOptions) {
        *lock(&self.options) = Some(options);
    }

    /// Everything as it is now, by name. Reads files and so blocks, for a few milliseconds; at
    /// most about four seconds when file systems and systemd have just stopped answering.
    pub fn gather(&self) -> Vec<Family> {
        let mut host = lock(&self.host);
        host.begin(lock(&self.options).take());
        let mut out = Families::default();
        for (name, collect) in COLLECTORS {
            if host.options.off.contains(name) {
                continue;
            }
            let started = host.clock.elapsed();
            let result = collect(&host, &mut out);
            let took = host.clock.elapsed().saturating_sub(started);
            host.note(name, &result);
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

impl Host {
    /// Begins a pass, under new options if there are some.
    fn begin(&mut self, options: Option<HostOptions>) {
        self.pass += 1;
        if let Some(options) = options {
            self.options = options;
            self.options_version += 1;
        }
    }

    /// Tells a failure once, and nothing of what this machine does not have.
    fn note(&mut self, collector: &'static str, result: &Result<(), CollectError>) {
        match result {
            Ok(()) => {
                self.failing.remove(collector);
            }
            Err(err) if err.is_absence() || !self.failing.insert(collector) => {
                tracing::debug!(collector, error = %err, "a host collector failed");
            }
            Err(err) => tracing::warn!(collector, error = %err, "a host collector fails"),
        }
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
    use std::sync::{Arc, LazyLock};

    static DEFAULTS: LazyLock<HostOptions> = LazyLock::new(HostOptions::default);

    fn fixture() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/host")
    }

    fn gather(root: PathBuf) -> Vec<Family> {
        let clock = VirtualClock::at(Timestamp::from_millis(1_767_225_660_500));
        HostCollector::new(root, Arc::new(clock), DEFAULTS.clone()).gather()
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
            || ["node_timex_", "namedprocess_"].iter().any(|start| family.name.starts_with(start))
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
        // Paths are told as they are, and the tree may lie anywhere.
        let found = found.replace(&fixture().display().to_string(), "");
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
    fn every_collector_can_be_switched_off() {
        let ours: BTreeSet<&str> = COLLECTORS.iter().map(|(name, _)| *name).collect();
        assert_eq!(ours, crate::ingest::config::COLLECTORS.into());
        let mut options = DEFAULTS.clone();
        options.off = ours.into_iter().map(str::to_owned).collect();
        let clock = VirtualClock::at(Timestamp::from_millis(0));
        assert!(HostCollector::new(fixture(), Arc::new(clock), options).gather().is_empty());
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
        // Those that read no file, and those for which a missing directory is nothing to tell.
        let always = ["edac", "loadavg", "selinux", "textfile", "time", "timex", "uname"];
        assert_eq!(successful, always);
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
    const FILES: [&str; 35] = [
        "proc/1/mounts",
        "proc/7/cmdline",
        "proc/7/io",
        "proc/7/limits",
        "proc/7/stat",
        "proc/7/status",
        "proc/7/task/8/status",
        "proc/diskstats",
        "proc/loadavg",
        "proc/mdstat",
        "proc/meminfo",
        "proc/net/arp",
        "proc/net/dev",
        "proc/net/netstat",
        "proc/net/snmp",
        "proc/net/snmp6",
        "proc/net/softnet_stat",
        "proc/net/udp",
        "proc/net/sockstat",
        "proc/net/sockstat6",
        "proc/net/stat/nf_conntrack",
        "proc/pressure/cpu",
        "proc/pressure/io",
        "proc/schedstat",
        "proc/stat",
        "proc/sys/fs/file-nr",
        "proc/sys/kernel/random/entropy_avail",
        "proc/sys/kernel/threads-max",
        "proc/sys/net/netfilter/nf_conntrack_count",
        "proc/vmstat",
        "etc/os-release",
        "sys/class/net/bonding_masters",
        "sys/class/net/x/address",
        "sys/class/powercap/x/name",
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
