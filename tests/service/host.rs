//! The same machine measured by Debian's node_exporter and process_exporter, where they are
//! installed: names, labels, types and values agree.
//!
//! A machine does not stand still. So ours are read before and after theirs: a counter of theirs
//! must lie between, what did not move must be equal, and what moves by itself must be near. And a
//! difference counts only if it is there every time: a process that came and went in between, a
//! gauge that jumped, is gone the next time.

use super::live::{Real, ask};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use watchbell::exposition::{Entry, Format, Parser};
use watchbell::ingest::config::{COLLECTORS, HostSettings, ProcessNameSettings};
use watchbell::ingest::host::HostCollector;
use watchbell::model::{Labels, METRIC_NAME, MetricType};
use watchbell::sys::clock::{Clock as _, SharedClock, SystemClock};
use watchbell::sys::dbus::{Call, Connection};

/// Attempts to find a moment without a difference.
const ATTEMPTS_MAX: usize = 60;

/// Series of theirs that ours lack: what the program says of itself, and collectors of hardware
/// and file systems that are not built.
const NOT_OURS: [&str; 18] = [
    "go_",
    "process_",
    "promhttp_",
    "node_exporter_build_info",
    "node_bcache_",
    "node_btrfs_",
    "node_fibrechannel_",
    "node_infiniband_",
    "node_ipvs_",
    "node_nfs_",
    "node_nfsd_",
    // Later versions have a label more.
    "node_nvme_info",
    "node_power_supply_",
    "node_tape_",
    "node_xfs_",
    "node_zfs_",
    // High-cardinality: a series a thread's name, and a series a place in the kernel.
    "namedprocess_namegroup_thread_",
    "namedprocess_namegroup_threads_wchan",
];

/// Series of ours that theirs lack: newer than Debian's 1.5.
const NOT_THEIRS: [&str; 14] = [
    "node_cpu_frequency_avg_hertz",
    "node_cpu_scaling_governor",
    "node_edac_channel_",
    "node_kernel_hung_",
    "node_md_degraded",
    "node_md_raid_disks",
    "node_nvme_",
    "node_os_support_end_timestamp_seconds",
    "node_softnet_backlog_len",
    "node_softnet_cpu_collision_total",
    "node_softnet_flow_limit_count_total",
    "node_softnet_received_rps_total",
    "node_systemd_virtualization_info",
    "node_watchdog_",
];

/// Collectors that only one side has.
const COLLECTORS_OF_ONE: [&str; 14] = [
    "bcache",
    "btrfs",
    "fibrechannel",
    "infiniband",
    "ipvs",
    "kernel_hung",
    "nfs",
    "nfsd",
    "powersupplyclass",
    "tapestats",
    "watchdog",
    "xfs",
    "zfs",
    "process_groups",
];

/// What moves by itself, also because the other side is asked over a socket just now; and by how
/// much beyond a tenth.
const MOVING: [(&str, f64); 17] = [
    ("node_arp_entries", 64.0),
    ("node_cpu_", 1e9),
    ("node_disk_io_now", 64.0),
    ("node_entropy_", 64.0),
    ("node_filefd_allocated", 512.0),
    ("node_filesystem_", 64e6),
    ("node_hwmon_", 8.0),
    ("node_load", 2.0),
    ("node_memory_", 64e6),
    ("node_netstat_Tcp_CurrEstab", 64.0),
    ("node_nf_conntrack_entries", 64.0),
    ("node_processes_", 64.0),
    ("node_procs_", 64.0),
    ("node_sockstat_", 512.0),
    ("node_thermal_zone_temp", 8.0),
    ("node_timex_", 1.0),
    ("node_udp_queues", 1e6),
];

/// What an exporter tells now.
fn gather(real: &Real) -> Told {
    let (status, _, body) = ask(real.address, "GET", "/metrics", &[], b"");
    assert_eq!(status, 200, "{body}");
    parse(body.as_bytes())
}

/// Whether the program is there and of the version that the lists above are about; if not, the
/// test says so and passes.
fn is_version(program: &str, version: &str) -> bool {
    let Ok(output) = Command::new(program).arg("--version").output() else {
        println!("skipped: {program} is not installed");
        return false;
    };
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if !said.contains(version) {
        println!("skipped: {program} is not of {version}x: {said}");
        return false;
    }
    true
}

/// What one side tells.
#[derive(Default)]
struct Told {
    kinds: BTreeMap<String, MetricType>,
    series: BTreeMap<(String, Labels), f64>,
}

fn parse(body: &[u8]) -> Told {
    let mut told = Told::default();
    let mut pairs = Vec::new();
    for entry in Parser::new(body, Format::Text) {
        match entry.expect("their text is valid") {
            Entry::Type { name, kind } => {
                told.kinds.insert(name.into_owned(), kind);
            }
            Entry::Sample(line) => {
                line.series.read(&mut pairs).expect("their series are valid");
                let name = pairs.iter().find(|(label, _)| label == METRIC_NAME);
                let name = name.expect("a name").1.to_string();
                // An empty label is no label.
                let labels = pairs
                    .iter()
                    .filter(|(label, value)| label != METRIC_NAME && !value.is_empty())
                    .map(|(label, value)| (label.to_string(), value.to_string()));
                told.series.insert((name, Labels::from_pairs(labels)), line.value);
            }
            Entry::Help { .. } | Entry::Unit { .. } => {}
        }
    }
    told
}

fn ours(collector: &HostCollector) -> Told {
    let mut told = Told::default();
    for family in collector.gather() {
        for sample in family.samples {
            let name = format!("{}{}", family.name, sample.suffix);
            told.series.insert((name, sample.labels), sample.value);
        }
        told.kinds.insert(family.name, family.kind);
    }
    told
}

fn begins(name: &str, list: &[&str]) -> bool {
    list.iter().any(|start| name.starts_with(start))
}

/// Whether nobody expects both sides to have it.
fn is_excused(name: &str, labels: &Labels, list: &[&str]) -> bool {
    begins(name, list)
        || name.starts_with("node_scrape_collector_")
            && COLLECTORS_OF_ONE.contains(&labels.value_of("collector"))
}

/// Differences between theirs and ours, each with what is not equal in it.
fn differences(before: &Told, theirs: &Told, after: &Told) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (key, value) in &theirs.series {
        let (name, labels) = key;
        if is_excused(name, labels, &NOT_OURS) {
            continue;
        }
        match (before.series.get(key), after.series.get(key)) {
            (None, None) => {
                found.insert(format!("only theirs: {name}{labels}"));
            }
            (Some(before), Some(after)) if !agree(name, theirs, *before, *value, *after) => {
                found.insert(format!("values of {name}{labels}"));
            }
            // It came or went meanwhile.
            (_, _) => {}
        }
    }
    for (name, labels) in before.series.keys().filter(|key| after.series.contains_key(*key)) {
        let is_theirs = theirs.series.contains_key(&(name.clone(), labels.clone()));
        if !is_theirs && !is_excused(name, labels, &NOT_THEIRS) {
            found.insert(format!("only ours: {name}{labels}"));
        }
    }
    for (name, kind) in &theirs.kinds {
        if let Some(our_kind) = before.kinds.get(name)
            && our_kind != kind
        {
            found.insert(format!("type of {name}: theirs {kind:?}, ours {our_kind:?}"));
        }
    }
    found
}

fn agree(name: &str, theirs: &Told, before: f64, value: f64, after: f64) -> bool {
    let (low, high) = (before.min(after), before.max(after));
    // Both sides compute with fractions, one of them by adding them up.
    let noise = high.abs() * 1e-9 + 1e-9;
    if (low - noise..=high + noise).contains(&value) || name.ends_with("_duration_seconds") {
        return true;
    }
    // A start is told in whole seconds since a start that is told in whole seconds.
    if name.ends_with("oldest_start_time_seconds") {
        return (value - before).abs() <= 1.0;
    }
    let may_fall = theirs.kinds.get(name) != Some(&MetricType::Counter);
    let slack = MOVING.iter().find(|(start, _)| name.starts_with(start)).map(|(_, slack)| slack);
    slack.is_some_and(|slack| {
        let slack = slack + high.abs() / 10.0;
        may_fall && (low - slack..=high + slack).contains(&value)
    })
}

/// Reads both sides until no difference was there every time.
#[track_caller]
fn assert_same(collector: &HostCollector, real: &Real) -> usize {
    let mut always: Option<BTreeSet<String>> = None;
    let mut compared = 0;
    for _ in 0..ATTEMPTS_MAX {
        let (before, theirs, after) = (ours(collector), gather(real), ours(collector));
        compared = theirs.series.keys().filter(|key| before.series.contains_key(*key)).count();
        let found = differences(&before, &theirs, &after);
        always = Some(match always {
            Some(earlier) => earlier.intersection(&found).cloned().collect(),
            None => found,
        });
        if always.as_ref().is_some_and(BTreeSet::is_empty) {
            return compared;
        }
    }
    panic!("there every time: {:#?}; {compared} series compared", always.unwrap_or_default());
}

fn collector(settings: &HostSettings) -> HostCollector {
    let options = settings.check(Path::new("/")).expect("valid");
    HostCollector::new(PathBuf::from("/"), Arc::new(SystemClock::new()), options)
}

#[test]
fn node_exporter_tells_the_same_of_this_machine() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().display().to_string();
    let metrics = "# HELP wb_job_seconds A job.\n# TYPE wb_job_seconds gauge\nwb_job_seconds 1.5\n\
                   # TYPE wb_h histogram\nwb_h_bucket{le=\"1\"} 1\nwb_h_bucket{le=\"+Inf\"} 2\n\
                   wb_h_sum 3\nwb_h_count 2\nwb_plain{a=\"b\\\"c\"} 4\n";
    std::fs::write(folder.path().join("job.prom"), metrics).expect("writes");
    std::fs::write(folder.path().join("broken.prom"), "wb_x{ 1\n").expect("writes");
    let textfile = format!("--collector.textfile.directory={directory}");
    if !is_version("prometheus-node-exporter", "version 1.5.") {
        return;
    }
    let args = ["--web.listen-address=127.0.0.1:0", "--collector.processes", &textfile];
    let Some(real) = Real::start("prometheus-node-exporter", &args) else { return };
    let mut settings = HostSettings::default();
    settings.collectors.insert("process_groups".to_owned(), false);
    settings.textfile.directories = Some(vec![directory]);
    // Every time is a new look at the processes.
    settings.process_groups.cpu_percent = Some(100.0);
    let compared = assert_same(&collector(&settings), &real);
    println!("{compared} series of node_exporter are the same");
    assert!(compared > 150, "only {compared} series were compared");
}

/// Waits until a process that starts is one that starts after this moment, as process_exporter
/// sees it: it adds ticks to the start of the machine in whole seconds, so up to a second too few.
fn until_a_start_is_later_than_now() {
    let now = SystemClock::new().now().as_seconds();
    let first = |file: &str, line: &str| -> f64 {
        let text = std::fs::read_to_string(file).expect("readable");
        let rest = text.lines().find_map(|one| one.strip_prefix(line)).expect("the line");
        rest.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
    };
    let boot = first("/proc/stat", "btime ");
    while boot + first("/proc/uptime", "") < now + 0.05 {
        std::thread::yield_now();
    }
}

/// Processes that sleep, ended with the test.
struct Sleepers(Vec<Child>);

impl Sleepers {
    /// One more, asleep.
    fn add(&mut self, program: &Path) {
        let child = Command::new(program).arg("1000").spawn().expect("starts");
        let stat = format!("/proc/{}/stat", child.id());
        self.0.push(child);
        loop {
            let text = std::fs::read_to_string(&stat).expect("it lives");
            if text.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" S ")) {
                return;
            }
            std::thread::yield_now();
        }
    }

    fn end_one(&mut self) {
        let mut child = self.0.pop().expect("one is left");
        child.kill().expect("is ours");
        child.wait().expect("ends");
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        while !self.0.is_empty() {
            self.end_one();
        }
    }
}

#[test]
fn process_exporter_tells_the_same_of_a_group() {
    let folder = tempfile::tempdir().expect("a folder");
    let comm = format!("wb{}", std::process::id());
    let program = folder.path().join(&comm);
    std::fs::copy("/bin/sleep", &program).expect("a program of a name of its own");
    let mut sleepers = Sleepers(Vec::new());
    sleepers.add(&program);
    sleepers.add(&program);

    let mut settings = HostSettings::default();
    let others = COLLECTORS.iter().filter(|name| **name != "process_groups");
    settings.collectors = others.map(|name| ((*name).to_owned(), false)).collect();
    let groups = &mut settings.process_groups;
    (groups.top_cpu, groups.top_memory, groups.cpu_percent) = (Some(0), Some(0), Some(100.0));
    groups.process_names =
        vec![ProcessNameSettings { comm: vec![comm.clone()], ..ProcessNameSettings::default() }];
    let collector = collector(&settings);
    let group = |mut told: Told| {
        told.series.retain(|(_, labels), _| labels.value_of("groupname") == comm);
        told
    };
    let args = [
        "-web.listen-address=127.0.0.1:0",
        "-procnames",
        &comm,
        "-children=false",
        "-threads=false",
        "-gather-smaps=false",
    ];
    // What was there at the first look counts nothing.
    group(ours(&collector));
    let Some(real) = Real::start("prometheus-process-exporter", &args) else { return };
    let compare = |sleepers: usize| {
        let (before, theirs, after) =
            (group(ours(&collector)), group(gather(&real)), group(ours(&collector)));
        let found = differences(&before, &theirs, &after);
        assert!(found.is_empty(), "{found:#?}");
        let processes = theirs.series.iter().find(|((name, _), _)| name.ends_with("num_procs"));
        assert_eq!(processes.map(|(_, count)| *count), Some(sleepers as f64));
        assert!(theirs.series.len() >= 20, "{:?}", theirs.series);
    };
    compare(2);
    // One that starts later counts whole, and its counts stay when it ends.
    until_a_start_is_later_than_now();
    sleepers.add(&program);
    compare(3);
    sleepers.end_one();
    compare(2);
    sleepers.add(&program);
    compare(3);
}

/// A bus of its own, ended with the test.
struct Bus(Child);

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_real_bus_understands_what_is_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let (socket, config) = (folder.path().join("bus"), folder.path().join("bus.conf"));
    let kinds = ["method_call", "method_return", "error", "signal"];
    let receive = kinds.map(|kind| format!("<allow receive_type=\"{kind}\"/>")).concat();
    let send = "<allow send_destination=\"*\"/><allow own=\"*\"/>";
    let policy = format!("<policy context=\"default\">{send}{receive}</policy>");
    let listen = format!("<listen>unix:path={}</listen>", socket.display());
    let text = format!("<busconfig><type>session</type>{listen}{policy}</busconfig>");
    std::fs::write(&config, text).expect("writes");
    let mut command = Command::new("dbus-daemon");
    command
        .arg(format!("--config-file={}", config.display()))
        .args(["--nofork", "--print-address"]);
    let Ok(process) = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn() else {
        println!("skipped: dbus-daemon is not installed");
        return;
    };
    let mut bus = Bus(process);
    let mut ready = BufReader::new(bus.0.stdout.take().expect("is piped"));
    let mut address = String::new();
    ready.read_line(&mut address).expect("it says where it listens");

    let clock: SharedClock = Arc::new(SystemClock::new());
    let deadline = clock.elapsed() + Duration::from_secs(60);
    let mut connection = Connection::open(&socket, clock, deadline).expect("it knows us");
    connection.hello().expect("it welcomes us");
    let (destination, path) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");
    let call = |member: &'static str, args: &'static [&'static str]| Call {
        destination,
        path,
        interface: destination,
        member,
        args,
    };
    let names = connection.call(&call("ListNames", &[])).expect("it answers");
    assert_eq!(names.signature, "as");
    let mut list = names.reader().array(4).expect("a list");
    let first = list.text().expect("a name");
    assert_eq!(first, destination);
    // More than is sent ahead, some of which fail.
    let calls: Vec<Call<'_>> = (0..100)
        .map(|place| match place % 2 {
            0 => call("NameHasOwner", &["org.freedesktop.DBus"]),
            _ => call("GetNameOwner", &["org.example.Nobody"]),
        })
        .collect();
    let answers = connection.call_all(&calls).expect("all are answered");
    assert_eq!(answers.iter().filter(|one| one.is_some()).count(), 50);
    let nobody = Call { destination: "org.freedesktop.systemd1", ..call("ListUnits", &[]) };
    let err = connection.call(&nobody).expect_err("nobody has that name here");
    assert!(err.to_string().contains("ServiceUnknown"), "{err}");
}
