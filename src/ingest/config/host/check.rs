//! The settings of host metrics, checked and compiled, with their defaults.

use super::{
    COLLECTORS, DeviceSettings, FieldSettings, HostSettings, ProcessGroupSettings,
    ProcessNameSettings, SystemdSettings,
};
use crate::model::{Problem, Regex, nearest_name};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Mount points of the system itself.
const MOUNT_POINTS_EXCLUDE: &str =
    "^/(dev|proc|run|sys|mnt|media|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";
/// File systems that hold no data.
const FS_TYPES_EXCLUDE: &str = "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|\
    devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|\
    securityfs|selinuxfs|squashfs|sysfs|tracefs)$";
/// Partitions, and devices of no interest.
const DISKS_EXCLUDE: &str = "^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\\d+n\\d+p)\\d+$";
/// Debian's node_exporter leaves the loopback out.
const NET_DEVICES_EXCLUDE: &str = "^lo$";
const NETSTAT_FIELDS: &str = "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|\
    Icmp6?_(InMsgs|OutMsgs)|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts)|\
    Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|\
    Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$";
const VMSTAT_FIELDS: &str = "^(oom_kill|pgpg|pswp|pg.*fault).*";
/// Debian's default; others tell targets too.
const UNITS_EXCLUDE: &str = ".+\\.(automount|device|mount|scope|slice|target)";
/// Where Debian's node_exporter looks, and so where scripts put their files.
const TEXTFILE_DIRECTORY: &str = "/var/lib/prometheus/node-exporter";
/// Groups of processes told by one measure when the file says nothing: each is some 20 series.
const TOP_GROUPS: usize = 5;
/// More told groups than this are a configuration that was not meant.
const TOP_GROUPS_MAX: usize = 100;
/// How much of one processor looking at processes may take when the file says nothing.
const CPU_PERCENT: f64 = 1.0;

/// What matches and what does not.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    include: Option<Regex>,
    exclude: Option<Regex>,
}

impl Filter {
    /// Whether something of this name is told.
    pub fn is_wanted(&self, name: &str) -> bool {
        let included = self.include.as_ref().is_none_or(|include| include.is_match(name));
        included && !self.exclude.as_ref().is_some_and(|exclude| exclude.is_match(name))
    }
}

/// The settings, checked and compiled.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each field is the section of its name in HostSettings")]
pub struct HostOptions {
    /// Collectors that are off.
    pub off: BTreeSet<String>,
    pub arp: Filter,
    pub diskstats: Filter,
    pub mount_points: Filter,
    pub fs_types: Filter,
    pub hwmon: Filter,
    pub netclass: Filter,
    pub netdev: Filter,
    pub netstat: Filter,
    pub vmstat: Filter,
    pub units: Filter,
    pub systemd: SystemdSettings,
    /// Where files of metrics lie, with wildcards.
    pub textfile: Vec<PathBuf>,
    /// Whether a missing directory is an error: somebody named it.
    pub textfile_is_named: bool,
    pub process_groups: ProcessGroupOptions,
}

impl Default for HostOptions {
    fn default() -> Self {
        HostSettings::default().check(Path::new("")).expect("the defaults are valid")
    }
}

/// Which groups of processes are told, checked.
#[derive(Clone, Debug)]
pub struct ProcessGroupOptions {
    /// So many that use most processor time.
    pub top_cpu: usize,
    /// So many that hold most memory.
    pub top_memory: usize,
    /// The most that looking may take, as a share of one processor.
    pub cpu_share: f64,
    /// Groups that are always told.
    pub names: Vec<ProcessName>,
}

/// A group that the configuration names.
#[derive(Clone, Debug)]
pub struct ProcessName {
    /// The group's name, in parts.
    pub name: Vec<NamePart>,
    /// Names of commands.
    pub comm: Vec<String>,
    /// First words of command lines.
    pub exe: Vec<String>,
    /// What command lines match.
    pub cmdline: Vec<Regex>,
}

/// A part of a group's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamePart {
    /// As it stands.
    Text(String),
    /// The command's name.
    Comm,
    /// The command line's first word, behind its last slash.
    ExeBase,
    /// The command line's first word.
    ExeFull,
    /// What a named group of an expression matched.
    Match(String),
}

impl HostSettings {
    /// The settings as they are used. Relative directories start at `base`.
    ///
    /// # Errors
    /// Every fault: unknown collectors, invalid expressions, pairs of which only one may be set.
    pub fn check(&self, base: &Path) -> Result<HostOptions, Vec<Problem>> {
        let mut check = Checking::default();
        for name in self.collectors.keys() {
            check.collector(name);
        }
        let (fs, disks) = (&self.filesystem, &self.diskstats);
        let options = HostOptions {
            off: self
                .collectors
                .iter()
                .filter(|(_, on)| !**on)
                .map(|(name, _)| name.clone())
                .collect(),
            arp: check.devices("arp", &self.arp, None),
            diskstats: check.devices("diskstats", disks, Some(DISKS_EXCLUDE)),
            mount_points: check.pair(
                ("filesystem.mount_points_include", fs.mount_points_include.as_deref()),
                ("filesystem.mount_points_exclude", fs.mount_points_exclude.as_deref()),
                Some(MOUNT_POINTS_EXCLUDE),
            ),
            fs_types: check.pair(
                ("filesystem.fs_types_include", fs.fs_types_include.as_deref()),
                ("filesystem.fs_types_exclude", fs.fs_types_exclude.as_deref()),
                Some(FS_TYPES_EXCLUDE),
            ),
            hwmon: check.pair(
                ("hwmon.chip_include", self.hwmon.chip_include.as_deref()),
                ("hwmon.chip_exclude", self.hwmon.chip_exclude.as_deref()),
                None,
            ),
            netclass: check.pair(
                ("", None),
                ("netclass.ignored_devices", self.netclass.ignored_devices.as_deref()),
                None,
            ),
            netdev: check.devices("netdev", &self.netdev, Some(NET_DEVICES_EXCLUDE)),
            netstat: check.fields("netstat.fields", &self.netstat, NETSTAT_FIELDS),
            vmstat: check.fields("vmstat.fields", &self.vmstat, VMSTAT_FIELDS),
            units: check.units(&self.systemd),
            systemd: self.systemd.clone(),
            textfile: match &self.textfile.directories {
                Some(directories) => directories.iter().map(|one| base.join(one)).collect(),
                None => vec![PathBuf::from(TEXTFILE_DIRECTORY)],
            },
            textfile_is_named: self.textfile.directories.is_some(),
            process_groups: check.groups(&self.process_groups),
        };
        if check.problems.is_empty() { Ok(options) } else { Err(check.problems) }
    }
}

/// Gathers faults while expressions are compiled.
#[derive(Default)]
struct Checking {
    problems: Vec<Problem>,
}

type Setting<'a> = (&'a str, Option<&'a str>);

impl Checking {
    fn fault(&mut self, at: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(at, message));
    }

    fn collector(&mut self, name: &str) {
        if COLLECTORS.contains(&name) {
            return;
        }
        let meant = nearest_name(name, COLLECTORS).map(|name| format!("; did you mean {name:?}?"));
        let meant = meant.unwrap_or_default();
        self.fault(&format!("collectors.{name}"), format!("unknown collector {name:?}{meant}"));
    }

    fn compiled(
        &mut self,
        (at, text): Setting<'_>,
        compile: impl Fn(&str) -> Result<Regex, crate::model::RegexError>,
    ) -> Option<Regex> {
        match compile(text?) {
            Ok(regex) => Some(regex),
            Err(err) => {
                self.fault(at, format!("invalid expression: {err}"));
                None
            }
        }
    }

    /// Two keys of which one may be set; `exclude` falls back to `default`.
    fn pair(
        &mut self,
        include: Setting<'_>,
        exclude: Setting<'_>,
        default: Option<&'static str>,
    ) -> Filter {
        let set = |setting: Setting<'_>| setting.1.is_some_and(|text| !text.is_empty());
        if set(include) && set(exclude) {
            self.fault(exclude.0, format!("cannot be set beside {}; keep one", include.0));
        }
        let exclude = match exclude {
            // An empty expression excludes nothing, as the flag does.
            (_, Some("")) => ("", None),
            (at, Some(text)) => (at, Some(text)),
            (at, None) if !set(include) => (at, default),
            (at, None) => (at, None),
        };
        Filter {
            include: self.compiled(include, Regex::searching),
            exclude: self.compiled(exclude, Regex::searching),
        }
    }

    fn devices(
        &mut self,
        section: &str,
        settings: &DeviceSettings,
        default: Option<&'static str>,
    ) -> Filter {
        let (include, exclude) =
            (format!("{section}.device_include"), format!("{section}.device_exclude"));
        self.pair(
            (&include, settings.device_include.as_deref()),
            (&exclude, settings.device_exclude.as_deref()),
            default,
        )
    }

    fn fields(&mut self, at: &str, settings: &FieldSettings, default: &str) -> Filter {
        let fields = settings.fields.as_deref().unwrap_or(default);
        Filter { include: self.compiled((at, Some(fields)), Regex::searching), exclude: None }
    }

    fn units(&mut self, settings: &SystemdSettings) -> Filter {
        let exclude = settings.unit_exclude.as_deref().unwrap_or(UNITS_EXCLUDE);
        let include = ("systemd.unit_include", settings.unit_include.as_deref());
        Filter {
            include: self.compiled(include, Regex::anchored),
            exclude: self.compiled(("systemd.unit_exclude", Some(exclude)), Regex::anchored),
        }
    }

    fn groups(&mut self, settings: &ProcessGroupSettings) -> ProcessGroupOptions {
        let mut top = |key: &str, value: Option<usize>| {
            let value = value.unwrap_or(TOP_GROUPS);
            if value > TOP_GROUPS_MAX {
                let at = format!("process_groups.{key}");
                self.fault(&at, format!("cannot be {value}; at most {TOP_GROUPS_MAX}"));
            }
            value
        };
        let top_cpu = top("top_cpu", settings.top_cpu);
        let top_memory = top("top_memory", settings.top_memory);
        let percent = settings.cpu_percent.unwrap_or(CPU_PERCENT);
        if !(percent > 0.0 && percent <= 100.0) {
            let at = "process_groups.cpu_percent";
            self.fault(at, format!("cannot be {percent}; more than 0 and at most 100"));
        }
        if settings.process_names.len() > TOP_GROUPS_MAX {
            let at = "process_groups.process_names";
            self.fault(at, format!("more than {TOP_GROUPS_MAX} entries"));
        }
        let mut names = Vec::new();
        for (place, entry) in settings.process_names.iter().enumerate() {
            names.push(self.process_name(place, entry));
        }
        ProcessGroupOptions { top_cpu, top_memory, cpu_share: percent / 100.0, names }
    }

    fn process_name(&mut self, place: usize, entry: &ProcessNameSettings) -> ProcessName {
        let at = format!("process_groups.process_names[{place}]");
        if entry.comm.is_empty() && entry.exe.is_empty() && entry.cmdline.is_empty() {
            self.fault(&at, "has no condition; give comm, exe or cmdline");
        }
        let mut cmdline = Vec::new();
        for (place, text) in entry.cmdline.iter().enumerate() {
            let at = format!("{at}.cmdline[{place}]");
            cmdline.extend(self.compiled((&at, Some(text)), Regex::searching));
        }
        let name = name_parts(entry.name.as_deref().unwrap_or("{{.ExeBase}}"));
        let name = name.unwrap_or_else(|what| {
            let allowed = "{{.Comm}}, {{.ExeBase}}, {{.ExeFull}} and {{.Matches.NAME}} can be used";
            self.fault(&format!("{at}.name"), format!("cannot use {what:?}; {allowed}"));
            Vec::new()
        });
        ProcessName { name, comm: entry.comm.clone(), exe: entry.exe.clone(), cmdline }
    }
}

/// The parts of a name, or the braces that mean nothing here.
fn name_parts(text: &str) -> Result<Vec<NamePart>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        if !before.is_empty() {
            parts.push(NamePart::Text(before.to_owned()));
        }
        let (inside, after) = after.split_once("}}").ok_or_else(|| format!("{{{{{after}"))?;
        parts.push(match inside.trim() {
            ".Comm" => NamePart::Comm,
            ".ExeBase" => NamePart::ExeBase,
            ".ExeFull" => NamePart::ExeFull,
            other => match other.strip_prefix(".Matches.") {
                Some(name) => NamePart::Match(name.to_owned()),
                None => return Err(format!("{{{{{inside}}}}}")),
            },
        });
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(NamePart::Text(rest.to_owned()));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::super::HostMetrics;
    use super::*;

    fn checked(text: &str) -> Result<HostOptions, Vec<String>> {
        let metrics: HostMetrics = serde_yaml::from_str(text).expect("valid YAML");
        assert!(metrics.on, "{text}");
        let options = metrics.settings.check(Path::new("/etc/watchbell"));
        options.map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_switch_and_a_map_both_read_back() {
        for text in ["true\n", "false\n", "netdev:\n  device_exclude: ^eth9$\n"] {
            let metrics: HostMetrics = serde_yaml::from_str(text).expect("valid");
            assert_eq!(serde_yaml::to_string(&metrics).expect("prints"), text);
        }
        let wrong = serde_yaml::from_str::<HostMetrics>("{netdv: {}}").expect_err("unknown key");
        assert!(wrong.to_string().contains("netdv"), "{wrong}");
    }

    #[test]
    fn defaults_are_node_exporters() {
        let options = HostOptions::default();
        for (filter, name, wanted) in [
            (&options.diskstats, "sda", true),
            (&options.diskstats, "sda1", false),
            (&options.diskstats, "nvme0n1", true),
            (&options.diskstats, "nvme0n1p2", false),
            (&options.diskstats, "loop3", false),
            (&options.diskstats, "ram0", false),
            (&options.diskstats, "zram0", true),
            (&options.diskstats, "dm-0", true),
            (&options.diskstats, "xvda1", false),
            (&options.mount_points, "/", true),
            (&options.mount_points, "/run/lock", false),
            (&options.mount_points, "/runner", true),
            (&options.mount_points, "/var/lib/docker", true),
            (&options.mount_points, "/var/lib/docker/x", false),
            (&options.fs_types, "ext4", true),
            (&options.fs_types, "cgroup2", false),
            (&options.netdev, "lo", false),
            (&options.netdev, "lo0", true),
            (&options.netclass, "lo", true),
            (&options.netstat, "Icmp6_InErrors", true),
            (&options.netstat, "Ip_InReceives", false),
            (&options.netstat, "TcpExt_ListenDrops", true),
            (&options.netstat, "TcpExt_TCPTimeoutsX", false),
            (&options.netstat, "UdpLite_InErrors", true),
            (&options.vmstat, "pgmajfault", true),
            (&options.vmstat, "oom_kill", true),
            (&options.vmstat, "thp_fault_alloc", false),
            (&options.vmstat, "pgsteal_kswapd", false),
            (&options.units, "ssh.service", true),
            (&options.units, "multi-user.target", false),
            (&options.units, "dev-sda.device", false),
            (&options.units, "apt-daily.timer", true),
        ] {
            assert_eq!(filter.is_wanted(name), wanted, "{name}");
        }
        assert!(options.off.is_empty());
    }

    #[test]
    fn what_the_file_chooses_replaces_the_default() {
        let options = checked(
            "{collectors: {systemd: false, cpu: true}, netdev: {device_include: '^eth'},
              diskstats: {device_exclude: ''}, systemd: {unit_include: 'ssh.*'},
              textfile: {directories: [metrics, /srv/m*]},
              process_groups: {top_cpu: 0, process_names: [{comm: [a], name: 'x {{ .Comm }}'}]}}",
        )
        .expect("valid");
        assert_eq!(options.off, BTreeSet::from(["systemd".to_owned()]));
        assert!(options.netdev.is_wanted("eth0") && !options.netdev.is_wanted("lo"));
        assert!(options.diskstats.is_wanted("sda1"));
        assert!(
            options.units.is_wanted("ssh.service") && !options.units.is_wanted("a-ssh.service")
        );
        let directories = ["/etc/watchbell/metrics", "/srv/m*"].map(PathBuf::from);
        assert_eq!(options.textfile, directories);
        assert_eq!((options.process_groups.top_cpu, options.process_groups.top_memory), (0, 5));
        let parts = [NamePart::Text("x ".to_owned()), NamePart::Comm];
        assert_eq!(options.process_groups.names[0].name, parts);
    }

    #[test]
    fn faults_are_told_with_their_place() {
        let faults = checked(
            "{collectors: {sytemd: false}, netdev: {device_include: a, device_exclude: b},
              vmstat: {fields: '('}, process_groups: {top_memory: 101, cpu_percent: 0,
              process_names: [{name: a}, {comm: [a], name: '{{.Username}}'}]}}",
        )
        .expect_err("faults");
        let expected = [
            "collectors.sytemd: unknown collector \"sytemd\"; did you mean \"systemd\"?",
            "netdev.device_exclude: cannot be set beside netdev.device_include; keep one",
            "vmstat.fields: invalid expression: ",
            "process_groups.top_memory: cannot be 101; at most 100",
            "process_groups.cpu_percent: cannot be 0; more than 0 and at most 100",
            "process_groups.process_names[0]: has no condition; give comm, exe or cmdline",
            "process_groups.process_names[1].name: cannot use \"{{.Username}}\"; ",
        ];
        assert_eq!(faults.len(), expected.len(), "{faults:#?}");
        for (fault, expected) in faults.iter().zip(expected) {
            assert!(fault.starts_with(expected), "{fault}");
        }
    }
}
