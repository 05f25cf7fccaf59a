//! systemd's units and their states, asked over D-Bus.
//!
//! The system bus first, then systemd's own socket, which is root's. What is asked is little, but
//! the one who answers is process 1: a service's type is asked again only every few minutes, and
//! one that does not answer is left alone for a while.
//!
//! Source: systemd, org.freedesktop.systemd1(5); names are node_exporter's.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use crate::sys::dbus::{Call, Connection, DbusError, Reader, Reply, Value};
use crate::sys::locks::lock;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// The system bus.
const BUS: &str = "run/dbus/system_bus_socket";
/// systemd's own socket.
const PRIVATE: &str = "run/systemd/private";
/// All questions of one pass together.
const PASS_MAX: Duration = Duration::from_secs(1);
/// After a pass that took longer, nothing is asked for so long.
const REST: Duration = Duration::from_secs(60);
/// How long the types of services are believed: they change when somebody edits a unit.
const TYPES_AGE_MAX: Duration = Duration::from_secs(300);
/// Each told unit is five series, and more if it is asked for. Beyond so many the rest is left
/// out; they still count in `node_systemd_units`.
const UNITS_MAX: usize = 2_000;

const DESTINATION: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// What `ListUnits` answers.
const UNIT_TYPES: &str = "a(ssssssouso)";

/// The states that are told; a unit in another counts in `node_systemd_units` alone.
const STATES: [&str; 5] = ["active", "activating", "deactivating", "inactive", "failed"];

/// What one pass leaves for the next.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Elapsed time before which nothing is asked.
    rest_until: Duration,
    /// Types of services and mounts by unit.
    types: BTreeMap<String, String>,
    /// When they were asked.
    types_at: Duration,
}

/// A unit as the list tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unit {
    name: String,
    load: String,
    active: String,
    path: String,
}

/// A property that is asked, by unit.
struct Wanted<'a> {
    unit: &'a Unit,
    interface: &'static str,
    property: &'static str,
}

/// Adds `node_systemd_...`; fails where there is no systemd, or none that answers.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let mut kept = lock(&host.systemd.0);
    let started = host.clock.elapsed();
    if started < kept.rest_until {
        return Err(CollectError::Resting("systemd"));
    }
    let result = ask(host, started, &mut kept, out).map_err(CollectError::Bus);
    if host.clock.elapsed().saturating_sub(started) >= PASS_MAX {
        kept.rest_until = host.clock.elapsed().saturating_add(REST);
    }
    result
}

fn ask(
    host: &Host,
    started: Duration,
    kept: &mut Kept,
    out: &mut Families,
) -> Result<(), DbusError> {
    let deadline = started.saturating_add(PASS_MAX);
    let mut asking = Asking::open(host, deadline)?;
    asking.manager(out)?;
    let units = asking.units()?;
    add_summary(&units, out);
    let wanted = |unit: &&Unit| unit.load == "loaded" && host.options.units.is_wanted(&unit.name);
    let told: Vec<&Unit> = units.iter().filter(wanted).take(UNITS_MAX).collect();
    if started.saturating_sub(kept.types_at) >= TYPES_AGE_MAX {
        kept.types.clear();
        kept.types_at = started;
    }
    asking.types(&told, &mut kept.types)?;
    kept.types.retain(|name, _| told.iter().any(|unit| unit.name == *name));
    for unit in &told {
        let kind = kept.types.get(&unit.name).map(String::as_str).unwrap_or_default();
        for state in STATES {
            let labels = [("name", &*unit.name), ("state", state), ("type", kind)];
            let value = if unit.active == state { 1.0 } else { 0.0 };
            out.gauge("node_systemd_unit_state", "1 for the unit's state.", &labels, value);
        }
    }
    asking.details(&told, host, out)
}

/// A connection, and whom to address on it.
struct Asking {
    connection: Connection,
    destination: &'static str,
}

impl Asking {
    fn open(host: &Host, deadline: Duration) -> Result<Self, DbusError> {
        let bus = Connection::open(&host.root.path(BUS), host.clock.clone(), deadline);
        let bus = bus.and_then(|mut connection| {
            connection.hello()?;
            Ok(Self { connection, destination: DESTINATION })
        });
        bus.or_else(|_| {
            let path = host.root.path(PRIVATE);
            let connection = Connection::open(&path, host.clock.clone(), deadline)?;
            Ok(Self { connection, destination: "" })
        })
    }

    /// Properties of systemd itself.
    fn manager(&mut self, out: &mut Families) -> Result<(), DbusError> {
        let names = ["Version", "Virtualization", "SystemState"];
        let args = names.map(|name| [MANAGER, name]);
        let calls: Vec<Call<'_>> = args.iter().map(|args| self.get(PATH, args)).collect();
        let replies = self.connection.call_all(&calls)?;
        let mut texts = replies.iter().map(|reply| match reply.as_ref().and_then(value) {
            Some(Value::Text(text)) => Some(text),
            Some(_) | None => None,
        });
        let mut next = || texts.next().flatten();
        let (version, virtualization, state) = (next(), next(), next());
        let text = version.unwrap_or_default();
        let (number, text) = version_number(&text).map_or((0.0, ""), |number| (number, &*text));
        out.gauge("node_systemd_version", "systemd's version.", &[("version", text)], number);
        let kind = match virtualization.as_deref() {
            Some("") => "none",
            Some(kind) => kind,
            None => "unknown",
        };
        let labels = [("virtualization_type", kind)];
        let help = "What the machine runs in, as systemd sees it.";
        out.gauge("node_systemd_virtualization_info", help, &labels, 1.0);
        if let Some(state) = state {
            let running = if state == "running" { 1.0 } else { 0.0 };
            let help = "1 if the system is running and no unit has failed.";
            out.gauge("node_systemd_system_running", help, &[], running);
        }
        Ok(())
    }

    fn units(&mut self) -> Result<Vec<Unit>, DbusError> {
        let (destination, path) = (self.destination, PATH);
        let call = Call { destination, path, interface: MANAGER, member: "ListUnits", args: &[] };
        let reply = self.connection.call(&call)?;
        units(&reply).ok_or(DbusError::Damaged)
    }

    /// Asks the types that are not known yet.
    fn types(
        &mut self,
        units: &[&Unit],
        known: &mut BTreeMap<String, String>,
    ) -> Result<(), DbusError> {
        let kinds = [
            (".service", "org.freedesktop.systemd1.Service"),
            (".mount", "org.freedesktop.systemd1.Mount"),
        ];
        let wanted = units.iter().filter_map(|unit| {
            let (_, interface) = kinds.iter().find(|(end, _)| unit.name.ends_with(end))?;
            let is_known = known.contains_key(&unit.name);
            (!is_known).then_some(Wanted { unit, interface, property: "Type" })
        });
        let wanted: Vec<Wanted<'_>> = wanted.collect();
        for (one, found) in wanted.iter().zip(self.values(&wanted)?) {
            if let Some(Value::Text(kind)) = found {
                known.insert(one.unit.name.clone(), kind);
            }
        }
        Ok(())
    }

    /// What only some kinds of units have.
    fn details(
        &mut self,
        units: &[&Unit],
        host: &Host,
        out: &mut Families,
    ) -> Result<(), DbusError> {
        for detail in &DETAILS {
            if !(detail.is_on)(host) {
                continue;
            }
            let of_kind = units.iter().filter(|unit| unit.name.ends_with(detail.kind));
            let (stopped, wanted): (Vec<&Unit>, Vec<&Unit>) =
                of_kind.partition(|unit| detail.only_active && unit.active != "active");
            for unit in stopped {
                detail.add(unit, 0, out);
            }
            let wanted: Vec<Wanted<'_>> = wanted
                .into_iter()
                .map(|unit| Wanted { unit, interface: detail.interface, property: detail.property })
                .collect();
            for (one, found) in wanted.iter().zip(self.values(&wanted)?) {
                match found {
                    // systemd's word for a number that there is not.
                    Some(Value::Unsigned(u64::MAX)) => {}
                    Some(Value::Unsigned(number)) => detail.add(one.unit, number, out),
                    // Older versions do not count everything.
                    Some(_) | None => {}
                }
            }
        }
        Ok(())
    }

    fn values(&mut self, wanted: &[Wanted<'_>]) -> Result<Vec<Option<Value>>, DbusError> {
        let args: Vec<[&str; 2]> = wanted.iter().map(|one| [one.interface, one.property]).collect();
        let calls: Vec<Call<'_>> =
            wanted.iter().zip(&args).map(|(one, args)| self.get(&one.unit.path, args)).collect();
        let replies = self.connection.call_all(&calls)?;
        Ok(replies.iter().map(|reply| value(reply.as_ref()?)).collect())
    }

    fn get<'a>(&self, path: &'a str, args: &'a [&'a str; 2]) -> Call<'a> {
        let destination = self.destination;
        Call { destination, path, interface: PROPERTIES, member: "Get", args }
    }
}

/// A number that units of one kind have.
struct Detail {
    kind: &'static str,
    interface: &'static str,
    property: &'static str,
    metric: &'static str,
    help: &'static str,
    is_counter: bool,
    /// What the number is divided by.
    per_unit: f64,
    /// Whether it is zero for units that are not active.
    only_active: bool,
    is_on: fn(&Host) -> bool,
}

impl Detail {
    fn add(&self, unit: &Unit, number: u64, out: &mut Families) {
        let (labels, value) = ([("name", &*unit.name)], number as f64 / self.per_unit);
        if self.is_counter {
            out.counter(self.metric, self.help, &labels, value);
        } else {
            out.gauge(self.metric, self.help, &labels, value);
        }
    }

    const fn socket(property: &'static str, metric: &'static str, help: &'static str) -> Self {
        Self {
            kind: ".socket",
            interface: "org.freedesktop.systemd1.Socket",
            property,
            metric,
            help,
            is_counter: false,
            per_unit: 1.0,
            only_active: false,
            is_on: |_| true,
        }
    }

    const fn service(
        property: &'static str,
        metric: &'static str,
        help: &'static str,
        is_on: fn(&Host) -> bool,
    ) -> Self {
        let interface = "org.freedesktop.systemd1.Service";
        Self { kind: ".service", interface, is_on, ..Self::socket(property, metric, help) }
    }
}

/// All of them, with node_exporter's types.
static DETAILS: [Detail; 8] = [
    Detail {
        is_counter: true,
        ..Detail::socket(
            "NAccepted",
            "node_systemd_socket_accepted_connections_total",
            "Connections that the socket accepted.",
        )
    },
    Detail::socket(
        "NConnections",
        "node_systemd_socket_current_connections",
        "Connections that the socket has.",
    ),
    Detail::socket(
        "NRefused",
        "node_systemd_socket_refused_connections_total",
        "Connections that the socket refused.",
    ),
    Detail {
        kind: ".timer",
        interface: "org.freedesktop.systemd1.Timer",
        per_unit: 1e6,
        ..Detail::socket(
            "LastTriggerUSec",
            "node_systemd_timer_last_trigger_seconds",
            "When the timer last ran out (Unix time).",
        )
    },
    Detail {
        is_counter: true,
        ..Detail::service(
            "NRestarts",
            "node_systemd_service_restart_total",
            "Times that the service was started again.",
            |host| host.options.systemd.enable_restarts_metrics,
        )
    },
    Detail::service(
        "TasksCurrent",
        "node_systemd_unit_tasks_current",
        "Tasks of the service.",
        |host| host.options.systemd.enable_task_metrics,
    ),
    Detail::service(
        "TasksMax",
        "node_systemd_unit_tasks_max",
        "The most tasks that the service may have.",
        |host| host.options.systemd.enable_task_metrics,
    ),
    Detail {
        kind: "",
        interface: "org.freedesktop.systemd1.Unit",
        per_unit: 1e6,
        only_active: true,
        ..Detail::service(
            "ActiveEnterTimestamp",
            "node_systemd_unit_start_time_seconds",
            "When the unit became active (Unix time); 0 if it is not.",
            |host| host.options.systemd.enable_start_time_metrics,
        )
    },
];

fn add_summary(units: &[Unit], out: &mut Families) {
    let mut counts: BTreeMap<&str, f64> = STATES.iter().map(|state| (*state, 0.0)).collect();
    for unit in units {
        *counts.entry(&unit.active).or_default() += 1.0;
    }
    for (state, count) in counts {
        out.gauge("node_systemd_units", "Units by state.", &[("state", state)], count);
    }
}

/// The units of an answer to `ListUnits`; `None` if it is none.
fn units(reply: &Reply) -> Option<Vec<Unit>> {
    if reply.signature != UNIT_TYPES {
        return None;
    }
    let mut list = reply.reader().array(8)?;
    let mut found = Vec::new();
    while !list.is_at_end() {
        found.push(unit(&mut list)?);
    }
    Some(found)
}

/// Name, description, load state, active state, state within it, what it follows, object, and
/// three fields of its job.
fn unit(list: &mut Reader<'_>) -> Option<Unit> {
    list.align(8)?;
    let (name, _description) = (list.text()?.to_owned(), list.text()?);
    let (load, active) = (list.text()?.to_owned(), list.text()?.to_owned());
    let (_within, _following) = (list.text()?, list.text()?);
    let path = list.text()?.to_owned();
    let (_job, _job_kind, _job_path) = (list.u32()?, list.text()?, list.text()?);
    Some(Unit { name, load, active, path })
}

fn value(reply: &Reply) -> Option<Value> {
    if reply.signature == "v" { reply.reader().variant() } else { None }
}

/// `252.36-1~deb12u1` is 252.36: the first number of three digits or more.
fn version_number(text: &str) -> Option<f64> {
    let mut rest = text;
    loop {
        let start = rest.find(|c: char| c.is_ascii_digit())?;
        rest = rest.get(start..)?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if digits < 3 {
            rest = rest.get(digits..)?;
            continue;
        }
        let fraction = rest.get(digits..)?.strip_prefix('.').unwrap_or_default();
        let end = fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len());
        let end = if end == 0 { digits } else { digits + 1 + end };
        return rest.get(..end)?.parse().ok();
    }
}

#[cfg(test)]
mod tests;
