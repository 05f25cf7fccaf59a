//! A scripted process 1 on a socket in a temporary directory.

use super::super::collector::HostCollector;
use super::version_number;
use crate::ingest::config::{COLLECTORS, HostSettings};
use crate::model::Timestamp;
use crate::sys::metrics::Family;
use crate::sys::sim::VirtualClock;
use crate::sys::tasks;
use proptest::prelude::*;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Little-endian bytes of a message, as the specification lays them out.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn align(&mut self, to: usize) -> &mut Self {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
        self
    }

    fn u32(&mut self, number: usize) -> &mut Self {
        self.align(4).0.extend(u32::try_from(number).expect("short").to_le_bytes());
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.u32(text.len()).0.extend([text.as_bytes(), b"\0"].concat());
        self
    }
}

/// An answer to `serial`.
fn answer(serial: u32, signature: &str, body: &[u8]) -> Vec<u8> {
    let mut fields = Bytes::default();
    fields.0.extend([5, 1, b'u', 0]);
    fields.0.extend(serial.to_le_bytes());
    fields.0.extend([8, 1, b'g', 0, u8::try_from(signature.len()).expect("short")]);
    fields.0.extend([signature.as_bytes(), b"\0"].concat());
    let mut out = Bytes(vec![b'l', 2, 1, 1]);
    out.u32(body.len()).u32(1).u32(fields.0.len());
    out.0.extend(fields.0);
    out.align(8).0.extend(body);
    out.0
}

fn text_value(text: &str) -> Vec<u8> {
    let mut body = Bytes(vec![1, b's', 0]);
    body.text(text);
    body.0
}

fn number_value(kind: u8, number: u64) -> Vec<u8> {
    let mut body = Bytes(vec![1, kind, 0]);
    if kind == b't' {
        body.align(8).0.extend(number.to_le_bytes());
    } else {
        body.u32(usize::try_from(number).expect("short"));
    }
    body.0
}

/// Name, load state, active state.
const UNITS: [(&str, &str, &str); 6] = [
    ("ssh.service", "loaded", "active"),
    ("gone.service", "not-found", "inactive"),
    ("bad.service", "loaded", "failed"),
    ("dbus.socket", "loaded", "active"),
    ("apt.timer", "loaded", "reloading"),
    ("dev-sda.device", "loaded", "active"),
];

fn list() -> Vec<u8> {
    let mut units = Bytes::default();
    for (name, load, active) in UNITS {
        units.align(8).text(name).text("A unit").text(load).text(active).text("x").text("");
        units.text(&format!("/unit/{}", name.replace(['.', '-'], "_"))).u32(0).text("").text("/");
    }
    let mut body = Bytes::default();
    body.u32(units.0.len()).align(8).0.extend(units.0);
    body.0
}

/// What the answer to a call says, told by what its message contains.
fn reply(serial: u32, call: &str) -> Vec<u8> {
    let text = |text: &str| answer(serial, "v", &text_value(text));
    let number = |kind, number| answer(serial, "v", &number_value(kind, number));
    let has = |word: &str| call.contains(word);
    match call {
        _ if has("Hello") => answer(serial, "s", Bytes::default().text(":1.5").0.as_slice()),
        _ if has("ListUnits") => answer(serial, "a(ssssssouso)", &list()),
        _ if has("Version") => text("252.36-1~deb12u1"),
        _ if has("Virtualization") => text(""),
        _ if has("SystemState") => text("degraded"),
        _ if has("ssh_service") && has("Type") => text("notify"),
        _ if has("NAccepted") => number(b'u', 7),
        _ if has("NConnections") => number(b'u', 2),
        _ if has("LastTriggerUSec") => number(b't', 1_700_000_000_500_000),
        _ if has("TasksMax") => number(b't', u64::MAX),
        _ if has("TasksCurrent") => number(b't', 3),
        _ if has("ActiveEnterTimestamp") => number(b't', 1_600_000_000_000_000),
        // An error: type 3 with a name.
        _ => {
            let mut fields = Bytes(vec![5, 1, b'u', 0]);
            fields.0.extend(serial.to_le_bytes());
            fields.0.extend([4, 1, b's', 0]);
            fields.text("org.x.Error");
            let mut out = Bytes(vec![b'l', 3, 1, 1]);
            out.u32(0).u32(1).u32(fields.0.len());
            out.0.extend(fields.0);
            out.align(8);
            out.0
        }
    }
}

/// Answers one client until it goes; what it asked is kept.
fn serve(stream: &mut UnixStream, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        line.extend(byte);
    }
    assert!(line.starts_with(b"\0AUTH EXTERNAL "), "{line:?}");
    stream.write_all(b"OK 0123456789abcdef\r\n")?;
    stream.read_exact(&mut [0; 7])?;
    // A signal comes before everything, as the bus sends one.
    let mut signal = answer(0, "", &[]);
    signal[1] = 4;
    stream.write_all(&signal)?;
    loop {
        let mut head = [0; 16];
        stream.read_exact(&mut head)?;
        let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four"));
        let rest = usize::try_from(number(12).next_multiple_of(8) + number(4)).expect("short");
        let mut bytes = vec![0; rest];
        stream.read_exact(&mut bytes)?;
        let call = String::from_utf8_lossy(&bytes).into_owned();
        stream.write_all(&reply(number(8), &call))?;
        asked.lock().expect("not poisoned").push(call);
    }
}

/// A process 1 that listens at `path` below `root`.
fn start(root: &Path, path: &str) -> Arc<Mutex<Vec<String>>> {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().expect("in a directory")).expect("made");
    let listener = UnixListener::bind(path).expect("listens");
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = asked.clone();
    tasks::spawn_thread("scripted systemd", move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // It ends when the client goes.
            let _ = serve(&mut { stream }, &told);
        }
    })
    .expect("a thread");
    asked
}

fn collector(root: &Path, settings: &str) -> HostCollector {
    // Time stands still: each read may take as long as the whole pass.
    let clock = VirtualClock::at(Timestamp::from_millis(0));
    let mut settings: HostSettings = serde_yaml::from_str(settings).expect("valid");
    let others = COLLECTORS.iter().filter(|name| **name != "systemd");
    settings.collectors = others.map(|name| ((*name).to_owned(), false)).collect();
    let options = settings.check(Path::new("")).expect("valid");
    HostCollector::new(root.to_owned(), Arc::new(clock), options)
}

/// All series but those of the scrape itself.
fn lines(families: &[Family]) -> Vec<String> {
    let told = families.iter().filter(|family| !family.name.starts_with("node_scrape_"));
    told.flat_map(|family| {
        let line = |one: &crate::sys::metrics::FamilySample| {
            format!("{}{} {}", family.name.replace("node_systemd_", ""), one.labels, one.value)
        };
        family.samples.iter().map(line).collect::<Vec<_>>()
    })
    .collect()
}

fn succeeded(families: &[Family]) -> bool {
    let family = families.iter().find(|one| one.name == "node_scrape_collector_success");
    family.is_some_and(|one| one.samples.len() == 1 && one.samples[0].value == 1.0)
}

#[test]
fn units_are_told_as_node_exporter_tells_them() {
    for socket in [super::BUS, super::PRIVATE] {
        let root = tempfile::tempdir().expect("a directory");
        let asked = start(root.path(), socket);
        let collector = collector(root.path(), "{}");
        let families = collector.gather();
        assert!(succeeded(&families), "{families:#?}");
        let states = |name: &str, kind: &str, state: &str| {
            super::STATES.map(|one| {
                let value = u8::from(one == state);
                let labels = format!("name=\"{name}\", state=\"{one}\"");
                let kind =
                    if kind.is_empty() { String::new() } else { format!(", type=\"{kind}\"") };
                format!("unit_state{{{labels}{kind}}} {value}")
            })
        };
        let mut expected: Vec<String> = [
            "socket_accepted_connections_total{name=\"dbus.socket\"} 7",
            "socket_current_connections{name=\"dbus.socket\"} 2",
            "system_running{} 0",
            "timer_last_trigger_seconds{name=\"apt.timer\"} 1700000000.5",
            "units{state=\"activating\"} 0",
            "units{state=\"active\"} 3",
            "units{state=\"deactivating\"} 0",
            "units{state=\"failed\"} 1",
            "units{state=\"inactive\"} 1",
            "units{state=\"reloading\"} 1",
            "version{version=\"252.36-1~deb12u1\"} 252.36",
            "virtualization_info{virtualization_type=\"none\"} 1",
        ]
        .map(str::to_owned)
        .into();
        expected.extend(states("apt.timer", "", ""));
        expected.extend(states("bad.service", "", "failed"));
        expected.extend(states("dbus.socket", "", "active"));
        expected.extend(states("ssh.service", "notify", "active"));
        let mut found = lines(&families);
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{socket}");

        // The type of a service is believed for a while, that of the one without is asked again.
        asked.lock().expect("not poisoned").clear();
        assert!(succeeded(&collector.gather()));
        let asked = asked.lock().expect("not poisoned");
        let types = |unit: &str| asked.iter().filter(|call| call.contains(unit)).count();
        assert_eq!((types("ssh_service"), types("bad_service")), (0, 1));
    }
}

#[test]
fn what_is_asked_for_is_told_too() {
    let root = tempfile::tempdir().expect("a directory");
    let _asked = start(root.path(), super::BUS);
    let settings = "{systemd: {unit_include: '.*\\.service', enable_task_metrics: true,
                     enable_start_time_metrics: true, enable_restarts_metrics: true}}";
    let found = lines(&collector(root.path(), settings).gather());
    let told = |word: &str| -> Vec<&str> {
        found.iter().filter(|line| line.starts_with(word)).map(String::as_str).collect()
    };
    assert_eq!(told("unit_tasks_current").len(), 2, "{found:#?}");
    assert!(told("unit_tasks_max").is_empty(), "no number is no sample");
    assert!(told("service_restart").is_empty(), "an error is no sample");
    assert!(told("timer").is_empty() && told("socket").is_empty(), "they are not included");
    let started = [
        "unit_start_time_seconds{name=\"bad.service\"} 0",
        "unit_start_time_seconds{name=\"ssh.service\"} 1600000000",
    ];
    assert_eq!(told("unit_start_time"), started);
}

#[test]
fn without_systemd_the_collector_fails_and_nothing_else() {
    let root = tempfile::tempdir().expect("a directory");
    let families = collector(root.path(), "{}").gather();
    assert!(!succeeded(&families) && lines(&families).is_empty());
    // Somebody else listens there: it closes, or says nonsense.
    let path = root.path().join(super::BUS);
    std::fs::create_dir_all(path.parent().expect("in a directory")).expect("made");
    let listener = UnixListener::bind(path).expect("listens");
    tasks::spawn_thread("rude", move || {
        for (place, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let mut stream = stream;
            let said: &[u8] =
                [&b"REJECTED EXTERNAL\r\n"[..], b"OK 1\r\nl\x02\0\x02nonsense-nonsense", b""]
                    [place % 3];
            let _ = stream.write_all(said);
        }
    })
    .expect("a thread");
    for _ in 0..3 {
        let families = collector(root.path(), "{}").gather();
        assert!(!succeeded(&families) && lines(&families).is_empty());
    }
}

#[test]
fn a_version_is_its_first_long_number() {
    for (text, expected) in [
        ("252.36-1~deb12u1", Some(252.36)),
        ("v255", Some(255.0)),
        ("2x 248. ", Some(248.0)),
        ("12", None),
        ("", None),
    ] {
        assert_eq!(version_number(text), expected, "{text:?}");
    }
}

proptest! {
    #[test]
    fn no_list_of_units_is_a_panic(body in any::<Vec<u8>>(), place in 0_usize..400, byte: u8) {
        let mut damaged = list();
        if let Some(one) = damaged.get_mut(place) {
            *one = byte;
        }
        for body in [&body, &damaged] {
            let bytes = answer(1, super::UNIT_TYPES, body);
            if let Some(Some(reply)) = crate::sys::dbus::Reply::decode(&bytes) {
                let _ = super::units(&reply);
            }
        }
    }
}
