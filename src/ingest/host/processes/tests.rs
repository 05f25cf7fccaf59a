//! Groups of processes over several walks, in a directory that looks like /proc.

use crate::ingest::config::{COLLECTORS, HostSettings};
use crate::ingest::host::HostCollector;
use crate::model::Timestamp;
use crate::sys::clock::{Clock, Sleep};
use crate::sys::metrics::Family;
use crate::sys::sim::VirtualClock;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A process as its files tell it.
#[derive(Clone)]
struct Process {
    pid: i32,
    comm: &'static str,
    start: u64,
    ticks: u64,
    pages: u64,
    threads: usize,
    read: u64,
    switches: u64,
    files: usize,
}

fn process(pid: i32, comm: &'static str) -> Process {
    Process {
        pid,
        comm,
        start: 100,
        ticks: 0,
        pages: 1,
        threads: 1,
        read: 0,
        switches: 0,
        files: 2,
    }
}

struct Scene {
    root: tempfile::TempDir,
    clock: VirtualClock,
    collector: HostCollector,
}

impl Scene {
    fn new(settings: &str) -> Self {
        let clock = VirtualClock::at(Timestamp::from_millis(0));
        let root = tempfile::tempdir().expect("a directory");
        let collector = collector(root.path(), Arc::new(clock.clone()), settings);
        let sys = root.path().join("proc/sys/kernel");
        fs::create_dir_all(&sys).expect("made");
        fs::write(sys.join("threads-max"), "1000\n").expect("written");
        fs::write(sys.join("pid_max"), "4194304\n").expect("written");
        fs::write(root.path().join("proc/stat"), "cpu 1\nbtime 1700000000\n").expect("written");
        Self { root, clock, collector }
    }

    /// Replaces all processes by these.
    fn run(&self, processes: &[Process]) {
        let proc = self.root.path().join("proc");
        for entry in proc.read_dir().expect("readable").map_while(Result::ok) {
            if entry.file_name().to_string_lossy().parse::<i32>().is_ok() {
                fs::remove_dir_all(entry.path()).expect("removed");
            }
        }
        for one in processes {
            one.write(&proc);
        }
    }

    /// All of `namedprocess_...` and `node_processes_...`, each as `name{labels} value`.
    fn gather(&self) -> Vec<String> {
        self.clock.advance(Duration::from_secs(5));
        lines(&self.collector.gather())
    }
}

fn collector(root: &Path, clock: Arc<dyn Clock>, settings: &str) -> HostCollector {
    HostCollector::new(root.to_owned(), clock, options(settings))
}

fn options(settings: &str) -> crate::ingest::config::HostOptions {
    let mut settings: HostSettings = serde_yaml::from_str(settings).expect("valid YAML");
    let ours = ["processes", "process_groups"];
    let others = COLLECTORS.iter().filter(|name| !ours.contains(name));
    settings.collectors = others.map(|name| ((*name).to_owned(), false)).collect();
    settings.check(Path::new("")).expect("valid")
}

fn lines(families: &[Family]) -> Vec<String> {
    let told = families.iter().filter(|family| !family.name.starts_with("node_scrape_"));
    let shown = |family: &Family| {
        let name = family.name.replace("namedprocess_namegroup_", "");
        let line = |one: &crate::sys::metrics::FamilySample| {
            format!("{name}{} {}", one.labels, one.value).replace("groupname", "g")
        };
        family.samples.iter().map(line).collect::<Vec<_>>()
    };
    told.flat_map(shown).collect()
}

impl Process {
    fn write(&self, proc: &Path) {
        let Self { pid, comm, start, ticks, pages, threads, read, switches, files } = self;
        let directory = proc.join(pid.to_string());
        fs::create_dir_all(directory.join("fd")).expect("made");
        let text = |name: &str, text: String| {
            fs::write(directory.join(name), text).expect("written");
        };
        text(
            "stat",
            format!(
                "{pid} ({comm}) S 1 1 1 0 -1 4194560 10 0 1 0 {ticks} 0 0 0 20 0 {threads} 0 \
                 {start} 8192 {pages} 0\n"
            ),
        );
        text("status", status(*switches));
        text("io", format!("read_bytes: {read}\nwrite_bytes: 7\n"));
        text("limits", "Max open files            10     10    files\n".to_owned());
        text("cmdline", format!("/usr/bin/{comm}\0-x\0"));
        for file in 0..*files {
            fs::write(directory.join(format!("fd/{file}")), "").expect("written");
        }
        for thread in 0..*threads {
            let task = directory.join(format!("task/{}", 100_000 + thread));
            fs::create_dir_all(&task).expect("made");
            fs::write(task.join("status"), status(*switches)).expect("written");
        }
    }
}

fn status(switches: u64) -> String {
    format!(
        "State:\tS (sleeping)\nVmSwap:\t3 kB\nvoluntary_ctxt_switches:\t{switches}\n\
         nonvoluntary_ctxt_switches:\t1\n"
    )
}

/// The value of a series.
#[track_caller]
fn value(lines: &[String], series: &str) -> f64 {
    let found = lines.iter().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no {series} in {lines:#?}")).parse().expect("a number")
}

#[test]
fn a_group_is_told_as_process_exporter_tells_it() {
    let scene = Scene::new("{}");
    let multi = Process { threads: 3, ..process(7, "web") };
    scene.run(&[multi.clone(), process(8, "web")]);
    let found = scene.gather();
    let page = rustix::param::page_size();
    for (series, expected) in [
        ("num_procs{g=\"web\"}", 2.0),
        ("num_threads{g=\"web\"}", 4.0),
        ("memory_bytes{g=\"web\", memtype=\"resident\"}", 2.0 * page as f64),
        ("memory_bytes{g=\"web\", memtype=\"virtual\"}", 16_384.0),
        ("memory_bytes{g=\"web\", memtype=\"swapped\"}", 6144.0),
        ("oldest_start_time_seconds{g=\"web\"}", 1_700_000_001.0),
        ("open_filedesc{g=\"web\"}", 4.0),
        ("worst_fd_ratio{g=\"web\"}", 0.2),
        // One counts by itself and for each of its three threads, the other once.
        ("states{g=\"web\", state=\"Sleeping\"}", 5.0),
        ("states{g=\"web\", state=\"Zombie\"}", 0.0),
        // What was there at the first look is not new.
        ("cpu_seconds_total{g=\"web\", mode=\"user\"}", 0.0),
        ("read_bytes_total{g=\"web\"}", 0.0),
        ("context_switches_total{ctxswitchtype=\"voluntary\", g=\"web\"}", 0.0),
        ("num_procs{g=\"other\"}", 0.0),
        ("node_processes_pids{}", 2.0),
        ("node_processes_threads{}", 4.0),
        ("node_processes_state{state=\"S\"}", 2.0),
        ("node_processes_threads_state{thread_state=\"S\"}", 4.0),
        ("node_processes_max_threads{}", 1000.0),
    ] {
        assert_eq!(value(&found, series), expected, "{series}");
    }
    let later = Process { ticks: 250, read: 4096, switches: 10, ..multi };
    scene.run(&[later, process(8, "web")]);
    let found = scene.gather();
    assert_eq!(value(&found, "cpu_seconds_total{g=\"web\", mode=\"user\"}"), 2.5);
    assert_eq!(value(&found, "read_bytes_total{g=\"web\"}"), 4096.0);
    let switches = "context_switches_total{ctxswitchtype=\"voluntary\", g=\"web\"}";
    assert_eq!(value(&found, switches), 30.0, "of all threads");
}

#[test]
fn counters_go_on_as_processes_end_and_start() {
    let scene = Scene::new("{}");
    let read = "read_bytes_total{g=\"web\"}";
    let cpu = "cpu_seconds_total{g=\"web\", mode=\"user\"}";
    let first = Process { read: 500, ticks: 100, ..process(7, "web") };
    scene.run(std::slice::from_ref(&first));
    assert_eq!(value(&scene.gather(), read), 0.0);
    let first = Process { read: 800, ticks: 200, ..first };
    scene.run(std::slice::from_ref(&first));
    assert_eq!((value(&scene.gather(), read), value(&scene.gather(), cpu)), (300.0, 1.0));
    // Another starts, with the same number: all that it did is new.
    scene.run(&[Process { read: 50, ticks: 20, start: 900, ..process(7, "web") }]);
    let found = scene.gather();
    assert_eq!((value(&found, read), value(&found, cpu)), (350.0, 1.2));
    // All are gone: the group is told while it is among the busiest.
    scene.run(&[]);
    let found = scene.gather();
    assert_eq!((value(&found, read), value(&found, cpu)), (350.0, 1.2));
    assert_eq!(value(&found, "num_procs{g=\"web\"}"), 0.0);
    assert!(!found.iter().any(|line| line.starts_with("oldest_start_time_seconds{g=\"web\"")));
    scene.run(&[Process { read: 1, start: 2000, ..process(9, "web") }]);
    assert_eq!(value(&scene.gather(), read), 351.0);
}

#[test]
fn the_largest_are_told_and_the_others_together() {
    let scene = Scene::new("{process_groups: {top_cpu: 1, top_memory: 1}}");
    let large = Process { pages: 100, ..process(1, "large") };
    let busy = Process { ticks: 50, ..process(2, "busy") };
    let (small, tiny) = (process(3, "small"), Process { files: 1, ..process(4, "tiny") });
    scene.run(&[large.clone(), busy.clone(), small.clone(), tiny.clone()]);
    scene.gather();
    let busy = Process { ticks: 150, ..busy };
    let small = Process { ticks: 10, ..small };
    scene.run(&[large.clone(), busy.clone(), small.clone(), tiny.clone()]);
    let found = scene.gather();
    let names: Vec<&str> = found
        .iter()
        .filter_map(|line| line.strip_prefix("num_procs{g=\"")?.split('"').next())
        .collect();
    assert_eq!(names, ["busy", "large", "other"]);
    let cpu = |name: &str| format!("cpu_seconds_total{{g=\"{name}\", mode=\"user\"}}");
    assert_eq!(value(&found, &cpu("busy")), 1.0);
    assert_eq!(value(&found, &cpu("other")), 0.1);
    assert_eq!(value(&found, "open_filedesc{g=\"other\"}"), 3.0);

    // Another becomes the busiest: neither counter falls, and nothing counts twice.
    let small = Process { ticks: 1010, ..small };
    scene.run(&[large, busy, small, tiny]);
    let found = scene.gather();
    assert_eq!(value(&found, &cpu("small")), 10.0);
    assert_eq!(value(&found, &cpu("other")), 0.1);
    assert!(!found.iter().any(|line| line.contains("g=\"busy\"")));
}

#[test]
fn named_groups_are_always_told_also_after_a_reload() {
    let scene = Scene::new("{process_groups: {top_cpu: 0, top_memory: 0}}");
    scene.run(&[process(1, "a"), process(2, "b")]);
    assert_eq!(value(&scene.gather(), "num_procs{g=\"other\"}"), 2.0);
    let named = "{process_groups: {top_cpu: 0, top_memory: 0,
                  process_names: [{exe: [/usr/bin/b], name: 'the {{.Comm}}'}]}}";
    scene.collector.reconfigure(options(named));
    let found = scene.gather();
    assert_eq!(value(&found, "num_procs{g=\"the b\"}"), 1.0);
    assert_eq!(value(&found, "num_procs{g=\"other\"}"), 1.0);
    scene.collector.reconfigure(options("{process_groups: {top_cpu: 0, top_memory: 0}}"));
    assert_eq!(value(&scene.gather(), "num_procs{g=\"other\"}"), 2.0);
}

#[test]
fn a_host_with_very_many_threads_is_looked_at_less_closely() {
    let scene = Scene::new("{}");
    let large = Process { pages: 100, ..process(1, "large") };
    let mut many = process(2, "many");
    many.write(&scene.root.path().join("proc"));
    scene.run(&[large.clone(), many.clone()]);
    // It says so; not one of them is looked at.
    many.threads = 1;
    many.write(&scene.root.path().join("proc"));
    let stat = scene.root.path().join("proc/2/stat");
    let text = fs::read_to_string(&stat).expect("readable").replace("20 0 1 0", "20 0 9000 0");
    fs::write(stat, text).expect("written");
    let found = scene.gather();
    assert_eq!(value(&found, "num_threads{g=\"many\"}"), 9000.0);
    assert_eq!(value(&found, "open_filedesc{g=\"large\"}"), 2.0);
    let told = |prefix: &str| found.iter().any(|line| line.starts_with(prefix));
    assert!(told("cpu_seconds_total{g=\"many\"") && !told("read_bytes_total{g=\"many\""));
    assert!(!told("open_filedesc{g=\"many\"") && !told("node_processes_threads_state"));
}

/// Time that passes a second whenever somebody looks.
#[derive(Debug, Default)]
struct Hurrying(std::sync::atomic::AtomicU64);

impl Clock for Hurrying {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }

    fn sleep_until(&self, _: Duration) -> Sleep {
        Box::pin(std::future::ready(()))
    }
}

#[test]
fn after_a_long_walk_the_next_one_waits() {
    let scene = Scene::new("{}");
    let clock = Arc::new(Hurrying::default());
    let slow = collector(scene.root.path(), clock.clone(), "{process_groups: {cpu_percent: 1}}");
    scene.run(&[process(1, "a")]);
    let pids = || value(&lines(&slow.gather()), "node_processes_pids{}");
    assert_eq!(pids(), 1.0);
    scene.run(&[process(1, "a"), process(2, "b")]);
    assert_eq!(pids(), 1.0, "a walk of a second at a hundredth of a processor waits 99");
    clock.0.fetch_add(200, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(pids(), 2.0);
}
