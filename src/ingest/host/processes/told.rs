//! What is told of processes and their groups, and how it adds up.

use std::collections::BTreeMap;
use std::sync::Arc;

/// What a process, or a group, did since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) user_ticks: u64,
    pub(super) system_ticks: u64,
    pub(super) minor_faults: u64,
    pub(super) major_faults: u64,
    pub(super) read_bytes: u64,
    pub(super) write_bytes: u64,
    pub(super) voluntary_switches: u64,
    pub(super) involuntary_switches: u64,
}

impl Counts {
    /// What came since `before`; nothing where it fell, as switches do when a thread ends.
    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            user_ticks: self.user_ticks.saturating_sub(before.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(before.system_ticks),
            minor_faults: self.minor_faults.saturating_sub(before.minor_faults),
            major_faults: self.major_faults.saturating_sub(before.major_faults),
            read_bytes: self.read_bytes.saturating_sub(before.read_bytes),
            write_bytes: self.write_bytes.saturating_sub(before.write_bytes),
            voluntary_switches: self.voluntary_switches.saturating_sub(before.voluntary_switches),
            involuntary_switches: self
                .involuntary_switches
                .saturating_sub(before.involuntary_switches),
        }
    }

    /// Adds what another did.
    pub(super) fn add(&mut self, more: &Self) {
        self.user_ticks = self.user_ticks.saturating_add(more.user_ticks);
        self.system_ticks = self.system_ticks.saturating_add(more.system_ticks);
        self.minor_faults = self.minor_faults.saturating_add(more.minor_faults);
        self.major_faults = self.major_faults.saturating_add(more.major_faults);
        self.read_bytes = self.read_bytes.saturating_add(more.read_bytes);
        self.write_bytes = self.write_bytes.saturating_add(more.write_bytes);
        self.voluntary_switches = self.voluntary_switches.saturating_add(more.voluntary_switches);
        self.involuntary_switches =
            self.involuntary_switches.saturating_add(more.involuntary_switches);
    }
}

/// Processes by state.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct States {
    running: f64,
    sleeping: f64,
    waiting: f64,
    zombie: f64,
    other: f64,
}

impl States {
    /// Counts one in this state, a letter of the kernel's.
    pub(super) fn count(&mut self, state: char) {
        let count = match state {
            'R' => &mut self.running,
            'S' => &mut self.sleeping,
            'D' => &mut self.waiting,
            'Z' => &mut self.zombie,
            _ => &mut self.other,
        };
        *count += 1.0;
    }

    /// The counts under process_exporter's names for them.
    pub(super) const fn named(&self) -> [(&'static str, f64); 5] {
        [
            ("Running", self.running),
            ("Sleeping", self.sleeping),
            ("Waiting", self.waiting),
            ("Zombie", self.zombie),
            ("Other", self.other),
        ]
    }
}

/// What a group is now.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Now {
    pub(super) processes: f64,
    pub(super) threads: f64,
    pub(super) resident_bytes: f64,
    pub(super) virtual_bytes: f64,
    pub(super) swap_bytes: f64,
    pub(super) open_files: f64,
    pub(super) worst_ratio: f64,
    /// Start of the oldest process, since the machine's.
    pub(super) oldest_ticks: Option<u64>,
    pub(super) states: States,
}

impl Now {
    /// Adds another group.
    pub(super) fn merge(&mut self, other: &Self) {
        self.processes += other.processes;
        self.threads += other.threads;
        self.resident_bytes += other.resident_bytes;
        self.virtual_bytes += other.virtual_bytes;
        self.swap_bytes += other.swap_bytes;
        self.open_files += other.open_files;
        self.worst_ratio = self.worst_ratio.max(other.worst_ratio);
        self.oldest_ticks = self.oldest_ticks.into_iter().chain(other.oldest_ticks).min();
        self.states.running += other.states.running;
        self.states.sleeping += other.states.sleeping;
        self.states.waiting += other.states.waiting;
        self.states.zombie += other.states.zombie;
        self.states.other += other.states.other;
    }
}

/// A group as it is told.
#[derive(Clone, Debug)]
pub(super) struct ToldGroup {
    pub(super) name: Arc<str>,
    pub(super) counts: Counts,
    pub(super) now: Now,
    /// Whether all of its processes were looked at closely; else only what `stat` has is told.
    pub(super) is_complete: bool,
}

/// What the latest walk found.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) processes: f64,
    pub(super) threads: f64,
    pub(super) states: BTreeMap<char, f64>,
    /// `None` when not all threads were looked at.
    pub(super) thread_states: Option<BTreeMap<char, f64>>,
    pub(super) groups: Vec<ToldGroup>,
    /// When the machine started (Unix time).
    pub(super) boot_seconds: f64,
    pub(super) walk_errors: f64,
    pub(super) read_errors: f64,
    pub(super) partial_errors: f64,
}
