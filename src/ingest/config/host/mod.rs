//! `watchbell.host_metrics`: which of this machine's metrics are told. Keys are node_exporter's
//! flags, a section a collector.
//!
//! Source: node_exporter, collector/*.go (flags and their defaults); Debian's defaults where those
//! differ.

mod check;

pub use check::{Filter, HostOptions, NamePart, ProcessGroupOptions, ProcessName};

use serde::de::{Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Every collector, under node_exporter's name for it; all are on unless the file says otherwise.
pub const COLLECTORS: [&str; 39] = [
    "arp",
    "bonding",
    "conntrack",
    "cpu",
    "cpufreq",
    "diskstats",
    "dmi",
    "edac",
    "entropy",
    "filefd",
    "filesystem",
    "hwmon",
    "kernel_hung",
    "loadavg",
    "mdadm",
    "meminfo",
    "netclass",
    "netdev",
    "netstat",
    "nvme",
    "os",
    "pressure",
    "process_groups",
    "processes",
    "rapl",
    "schedstat",
    "selinux",
    "sockstat",
    "softnet",
    "stat",
    "systemd",
    "textfile",
    "thermal_zone",
    "time",
    "timex",
    "udp_queues",
    "uname",
    "vmstat",
    "watchdog",
];

/// `watchbell.host_metrics`: `true`, `false`, or a map of what to choose, which means `true`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostMetrics {
    /// Whether the host is measured.
    pub on: bool,
    /// What is chosen.
    pub settings: HostSettings,
}

impl HostMetrics {
    /// Whether the file says nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl<'de> Deserialize<'de> for HostMetrics {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = HostMetrics;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // `config` takes `yes` for `true` where a boolean is wanted.
                f.write_str("a boolean or a map of settings")
            }
            fn visit_bool<E>(self, on: bool) -> Result<HostMetrics, E> {
                Ok(HostMetrics { on, settings: HostSettings::default() })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HostMetrics, A::Error> {
                let settings = HostSettings::deserialize(MapAccessDeserializer::new(map))?;
                Ok(HostMetrics { on: true, settings })
            }
        }
        from.deserialize_any(Either)
    }
}

impl Serialize for HostMetrics {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.on && self.settings != HostSettings::default() {
            self.settings.serialize(to)
        } else {
            to.serialize_bool(self.on)
        }
    }
}

/// The keys as written. Expressions search anywhere, but for those of systemd's units, which are
/// anchored: both as in node_exporter.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostSettings {
    /// Collectors by name: on or off.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub collectors: BTreeMap<String, bool>,
    /// Devices of the table of neighbours.
    #[serde(skip_serializing_if = "is_default")]
    pub arp: DeviceSettings,
    /// Block devices.
    #[serde(skip_serializing_if = "is_default")]
    pub diskstats: DeviceSettings,
    /// Mounts.
    #[serde(skip_serializing_if = "is_default")]
    pub filesystem: FilesystemSettings,
    /// Sensor chips.
    #[serde(skip_serializing_if = "is_default")]
    pub hwmon: ChipSettings,
    /// Properties of network devices.
    #[serde(skip_serializing_if = "is_default")]
    pub netclass: NetclassSettings,
    /// Traffic of network devices.
    #[serde(skip_serializing_if = "is_default")]
    pub netdev: DeviceSettings,
    /// Protocol counters.
    #[serde(skip_serializing_if = "is_default")]
    pub netstat: FieldSettings,
    /// Groups of processes.
    #[serde(skip_serializing_if = "is_default")]
    pub process_groups: ProcessGroupSettings,
    /// Units.
    #[serde(skip_serializing_if = "is_default")]
    pub systemd: SystemdSettings,
    /// Files of metrics.
    #[serde(skip_serializing_if = "is_default")]
    pub textfile: TextfileSettings,
    /// Counters of the memory management.
    #[serde(skip_serializing_if = "is_default")]
    pub vmstat: FieldSettings,
}

/// Which devices are told, by name; one of the two keys.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceSettings {
    /// Only these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_include: Option<String>,
    /// All but these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_exclude: Option<String>,
}

/// Which mounts are told; one key of each pair.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilesystemSettings {
    /// Only at these mount points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount_points_include: Option<String>,
    /// Not at these mount points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount_points_exclude: Option<String>,
    /// Only of these types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fs_types_include: Option<String>,
    /// Not of these types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fs_types_exclude: Option<String>,
}

/// Which sensor chips are told, by the label `chip`; one of the two keys.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChipSettings {
    /// Only these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chip_include: Option<String>,
    /// All but these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chip_exclude: Option<String>,
}

/// Which network devices' properties are told.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetclassSettings {
    /// All but these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored_devices: Option<String>,
}

/// Which fields of a table are told.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct FieldSettings {
    /// These.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<String>,
}

/// Which units are told, and what of them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SystemdSettings {
    /// Units must match this, whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_include: Option<String>,
    /// And not match this, whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_exclude: Option<String>,
    /// Whether the tasks of services are told.
    #[serde(skip_serializing_if = "is_default")]
    pub enable_task_metrics: bool,
    /// Whether restarts of services are told.
    #[serde(skip_serializing_if = "is_default")]
    pub enable_restarts_metrics: bool,
    /// Whether the times are told at which units became active.
    #[serde(skip_serializing_if = "is_default")]
    pub enable_start_time_metrics: bool,
}

/// Where files of metrics lie.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextfileSettings {
    /// Directories, with wildcards; relative ones start at the file's folder. Debian's directory,
    /// if there is one, when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directories: Option<Vec<String>>,
}

/// Which groups of processes are told.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessGroupSettings {
    /// So many groups that use most processor time. 5 when missing, at most 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_cpu: Option<usize>,
    /// So many groups that hold most memory. 5 when missing, at most 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_memory: Option<usize>,
    /// How much of one processor looking at processes may take, in percent, on a host where it
    /// is much work; the metrics are older then. 1 when missing; 100 looks at every scrape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f64>,
    /// Groups that are always told, as process_exporter's file has them; the first that matches a
    /// process names it. Processes that none matches are grouped by their command's name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub process_names: Vec<ProcessNameSettings>,
}

/// One entry of `process_names`: all of its conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessNameSettings {
    /// The group's name: text with `{{.Comm}}`, `{{.ExeBase}}`, `{{.ExeFull}}` and
    /// `{{.Matches.NAME}}`; `{{.ExeBase}}` when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Names of commands, one of which is the process', as /proc/PID/stat has it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comm: Vec<String>,
    /// First words of command lines: whole paths, or names without a path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exe: Vec<String>,
    /// Expressions, all of which the command line matches; their named groups are `.Matches`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cmdline: Vec<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
