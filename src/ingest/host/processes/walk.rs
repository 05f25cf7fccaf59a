//! The walk over all processes, and the counters that only grow from one to the next.
//!
//! Counters of processes end with them, so a group's are summed from what each process added since
//! the walk before. What a group added is counted under the name by which it is told then: under
//! its own, or under `other`. So neither ever falls, and together they are what all processes used.

use super::super::collector::Host;
use super::super::error::CollectError;
use super::naming;
use super::rank::{self, Candidate};
use super::read::{Proc, Stat, Status, io_bytes, open_files_limit};
use super::told::{Counts, Now, Told, ToldGroup};
use crate::ingest::config::ProcessGroupOptions;
use crate::sys::locks::lock;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Processes of one walk; more are not looked at.
const PROCESSES_MAX: usize = 65_536;
/// Processes and threads of which more than one file is read in one walk.
const CLOSE_LOOKS_MAX: usize = 5_000;
/// Threads of one process.
const THREADS_MAX: usize = CLOSE_LOOKS_MAX;
/// Names of groups that are kept apart; further ones belong to `other`.
const GROUPS_MAX: usize = 2_000;
/// A process' limit of open files is read again after so many walks: it hardly ever changes.
const LIMIT_WALKS_MAX: u64 = 60;
/// The group of all that have no name of their own.
const OTHER: &str = "other";

/// What one walk leaves for the next.
#[derive(Debug, Default)]
pub(in super::super) struct Memory(Mutex<Walker>);

impl Memory {
    /// Looks at all processes, unless this pass has done so or the last walk took too long, and
    /// hands on what was found.
    ///
    /// # Errors
    /// /proc cannot be read.
    pub(super) fn with_latest(
        &self,
        host: &Host,
        tell: impl FnOnce(&Told),
    ) -> Result<(), CollectError> {
        let mut walker = lock(&self.0);
        let started = host.clock.elapsed();
        if walker.pass != Some(host.pass) && started >= walker.rest_until {
            let options = &host.options.process_groups;
            if let Err(err) = walker.walk(host, options, started) {
                walker.told.walk_errors += 1.0;
                return Err(err);
            }
            walker.pass = Some(host.pass);
            let took = host.clock.elapsed().saturating_sub(started);
            let rest = took.as_secs_f64() * (1.0 / options.cpu_share - 1.0);
            let rest = Duration::try_from_secs_f64(rest).unwrap_or(Duration::MAX);
            walker.rest_until = host.clock.elapsed().saturating_add(rest);
        }
        tell(&walker.told);
        Ok(())
    }
}

/// A process that is known from an earlier walk.
#[derive(Debug, Default)]
struct Tracked {
    /// `None` is `other`.
    group: Option<Arc<str>>,
    /// Under which settings that is so.
    options_version: u64,
    /// As they were last; those of a closer look are those of the last one.
    counts: Counts,
    /// Whether a closer look was ever taken.
    was_close: bool,
    limit: Option<f64>,
    limit_walk: u64,
    walk: u64,
}

#[derive(Debug, Default)]
struct Group {
    counts: Counts,
    /// Processor time of late.
    cpu: f64,
    is_named: bool,
    is_told: bool,
}

/// One process in one walk.
struct Member {
    key: (i32, u64),
    state: char,
    threads: usize,
    is_kernel: bool,
    /// Whether it started since the walk before, so that all it did is new.
    is_born: bool,
}

impl Member {
    /// Files and directories that a closer look opens, roughly.
    const fn close_looks(&self) -> usize {
        if self.threads > 1 { self.threads.saturating_add(1) } else { 1 }
    }
}

/// What one walk finds of a group.
#[derive(Default)]
struct Part {
    now: Now,
    added: Counts,
    members: Vec<Member>,
    is_incomplete: bool,
}

#[derive(Debug, Default)]
struct Walker {
    pass: Option<u64>,
    rest_until: Duration,
    walk: u64,
    walked_at: Duration,
    options_version: u64,
    /// The latest start of a process that the first walk saw, since the machine's.
    first_ticks: u64,
    tracked: FxHashMap<(i32, u64), Tracked>,
    groups: BTreeMap<Arc<str>, Group>,
    other: Counts,
    told: Told,
}

type Parts = BTreeMap<Option<Arc<str>>, Part>;

impl Walker {
    fn walk(
        &mut self,
        host: &Host,
        options: &ProcessGroupOptions,
        started: Duration,
    ) -> Result<(), CollectError> {
        let path = host.root.path("proc");
        let opened = Proc::open(&path).and_then(|proc| {
            let pids = proc.numbers(".", PROCESSES_MAX)?;
            Ok((proc, pids))
        });
        let (mut proc, pids) = opened.map_err(|source| CollectError::Read { path, source })?;
        if self.walk == 0 {
            self.told.boot_seconds = boot_seconds(&host.root.read("proc/stat")?);
        }
        self.walk += 1;
        if self.options_version != host.options_version {
            self.options_version = host.options_version;
            self.groups.values_mut().for_each(|group| group.is_named = false);
        }
        let Told { boot_seconds, walk_errors, read_errors, partial_errors, .. } = self.told;
        let thread_states = Some(BTreeMap::new());
        let errors = Told { walk_errors, read_errors, partial_errors, ..Told::default() };
        self.told = Told { boot_seconds, thread_states, ..errors };
        let mut parts = Parts::new();
        for pid in pids {
            self.look(&mut proc, pid, options, &mut parts);
        }
        let walk = self.walk;
        // One that could not be read this time is not taken for a new one the next time.
        self.tracked.retain(|_, one| walk - one.walk <= 1);
        self.rank(&parts, started.saturating_sub(self.walked_at));
        self.walked_at = started;
        let told = self.choose(&parts, options);
        self.look_closely(&mut proc, &told, &mut parts);
        self.tell(&told, parts);
        Ok(())
    }

    /// Reads `stat` of one process.
    fn look(
        &mut self,
        proc: &mut Proc,
        pid: i32,
        options: &ProcessGroupOptions,
        parts: &mut Parts,
    ) {
        let stat = match proc.read(&format!("{pid}/stat")) {
            Ok(text) => Stat::parse(&text),
            Err(err) if is_gone(&err) => return,
            Err(_) => None,
        };
        let Some(stat) = stat else {
            self.told.read_errors += 1.0;
            return;
        };
        let key = (pid, stat.start_ticks);
        let known = self.tracked.get(&key);
        let is_known = known.is_some();
        if known.is_none_or(|one| one.options_version != self.options_version) {
            let group = self.group_of(proc, pid, &stat, options);
            let tracked = self.tracked.entry(key).or_default();
            (tracked.group, tracked.options_version) = (group, self.options_version);
        }
        let is_born = !is_known && self.walk > 1 && stat.start_ticks >= self.first_ticks;
        if self.walk == 1 {
            self.first_ticks = self.first_ticks.max(stat.start_ticks);
        }
        let Some(tracked) = self.tracked.get_mut(&key) else { return };
        tracked.walk = self.walk;
        let counts = Counts {
            user_ticks: stat.user_ticks,
            system_ticks: stat.system_ticks,
            minor_faults: stat.minor_faults,
            major_faults: stat.major_faults,
            ..tracked.counts
        };
        let before = if is_born { Counts::default() } else { tracked.counts };
        let part = parts.entry(tracked.group.clone()).or_default();
        if is_known || is_born {
            part.added.add(&counts.since(&before));
        }
        tracked.counts = counts;
        let now = &mut part.now;
        now.processes += 1.0;
        now.threads += stat.threads as f64;
        now.resident_bytes += stat.resident_pages as f64 * rustix::param::page_size() as f64;
        now.virtual_bytes += stat.virtual_bytes as f64;
        now.states.count(stat.state);
        let oldest = now.oldest_ticks.map_or(stat.start_ticks, |old| old.min(stat.start_ticks));
        now.oldest_ticks = Some(oldest);
        self.told.processes += 1.0;
        self.told.threads += stat.threads as f64;
        *self.told.states.entry(stat.state).or_default() += 1.0;
        let threads = usize::try_from(stat.threads).unwrap_or(usize::MAX);
        let Stat { state, is_kernel, .. } = stat;
        part.members.push(Member { key, state, threads, is_kernel, is_born });
    }

    /// The group of a process that is seen for the first time, or under these settings.
    fn group_of(
        &mut self,
        proc: &mut Proc,
        pid: i32,
        stat: &Stat,
        options: &ProcessGroupOptions,
    ) -> Option<Arc<str>> {
        let named = if options.names.is_empty() {
            None
        } else {
            let command_line = proc.read(&format!("{pid}/cmdline")).unwrap_or_default();
            naming::configured(&options.names, &stat.comm, &command_line)
        };
        let is_named = named.is_some();
        let name = named.as_deref().unwrap_or(naming::by_command(&stat.comm, stat.is_kernel));
        if name == OTHER {
            return None;
        }
        if let Some((name, _)) = self.groups.get_key_value(name) {
            let name = name.clone();
            self.groups.entry(name.clone()).or_default().is_named |= is_named;
            return Some(name);
        }
        if self.groups.len() >= GROUPS_MAX {
            return None;
        }
        let name: Arc<str> = name.into();
        self.groups.insert(name.clone(), Group { is_named, ..Group::default() });
        Some(name)
    }

    /// Counts processor time of late, and forgets groups that have none and no process.
    fn rank(&mut self, parts: &Parts, since: Duration) {
        self.groups.retain(|name, group| {
            let part = parts.get(&Some(name.clone()));
            let added = part
                .map_or(0, |part| part.added.user_ticks.saturating_add(part.added.system_ticks));
            group.cpu = rank::decayed(group.cpu, since) + added as f64;
            part.is_some() || group.is_named || group.cpu >= 1.0
        });
    }

    fn choose(&mut self, parts: &Parts, options: &ProcessGroupOptions) -> Vec<Arc<str>> {
        let candidates = self.groups.iter().map(|(name, group)| Candidate {
            name: name.clone(),
            cpu: group.cpu,
            memory: parts.get(&Some(name.clone())).map_or(0.0, |part| part.now.resident_bytes),
            is_named: group.is_named,
            is_told: group.is_told,
        });
        let told = rank::told(&candidates.collect::<Vec<_>>(), options);
        for (name, group) in &mut self.groups {
            group.is_told = told.contains(name);
        }
        told
    }

    /// Takes a closer look at the groups that are told, then at the others, while there is room.
    fn look_closely(&mut self, proc: &mut Proc, told: &[Arc<str>], parts: &mut Parts) {
        let others: Vec<Option<Arc<str>>> = parts
            .keys()
            .filter(|name| name.as_ref().is_none_or(|name| !told.contains(name)))
            .cloned()
            .collect();
        let mut left = CLOSE_LOOKS_MAX;
        for name in told.iter().cloned().map(Some).chain(others) {
            let Some(part) = parts.get_mut(&name) else { continue };
            let looks = part.members.iter().map(Member::close_looks);
            let needed = looks.fold(0, usize::saturating_add);
            match left.checked_sub(needed) {
                Some(rest) => left = rest,
                None => {
                    part.is_incomplete = true;
                    continue;
                }
            }
            for member in std::mem::take(&mut part.members) {
                self.look_closely_at(proc, &member, part);
            }
        }
        if parts.values().any(|part| part.is_incomplete) {
            self.told.thread_states = None;
        }
    }

    fn look_closely_at(&mut self, proc: &mut Proc, member: &Member, part: &mut Part) {
        let (pid, _) = member.key;
        let Some(tracked) = self.tracked.get_mut(&member.key) else { return };
        let Ok(text) = proc.read(&format!("{pid}/status")) else { return };
        let status = Status::parse(&text);
        let mut counts = Counts {
            voluntary_switches: status.voluntary_switches,
            involuntary_switches: status.involuntary_switches,
            ..tracked.counts
        };
        let threads = threads(proc, member, status);
        if threads.len() > 1 {
            let sum =
                |count: fn(&Status) -> u64| threads.iter().map(count).fold(0, u64::saturating_add);
            counts.voluntary_switches = sum(|one| one.voluntary_switches);
            counts.involuntary_switches = sum(|one| one.involuntary_switches);
            threads.iter().for_each(|one| part.now.states.count(one.state));
        }
        if let Some(states) = &mut self.told.thread_states {
            threads.iter().for_each(|one| *states.entry(one.state).or_default() += 1.0);
        }
        part.now.swap_bytes += status.swap_bytes as f64;
        if !member.is_kernel && member.state != 'Z' {
            let whole = files(proc, pid, self.walk, tracked, &mut counts, &mut part.now);
            if whole.is_err_and(|err| !is_gone(&err)) {
                self.told.partial_errors += 1.0;
            }
        }
        // Of one that is looked at for the first time only what is new is known to be new.
        if tracked.was_close || member.is_born {
            part.added.add(&counts.since(&tracked.counts));
        }
        tracked.counts = counts;
        tracked.was_close = true;
    }

    fn tell(&mut self, told: &[Arc<str>], mut parts: Parts) {
        for name in told {
            let part = parts.remove(&Some(name.clone())).unwrap_or_default();
            let Some(group) = self.groups.get_mut(name) else { continue };
            group.counts.add(&part.added);
            let (name, counts, now) = (name.clone(), group.counts, part.now);
            let is_complete = !part.is_incomplete;
            self.told.groups.push(ToldGroup { name, counts, now, is_complete });
        }
        let mut rest = Part::default();
        for part in parts.into_values() {
            rest.added.add(&part.added);
            rest.is_incomplete |= part.is_incomplete;
            rest.now.merge(&part.now);
        }
        self.other.add(&rest.added);
        let (counts, now, is_complete) = (self.other, rest.now, !rest.is_incomplete);
        self.told.groups.push(ToldGroup { name: OTHER.into(), counts, now, is_complete });
    }
}

/// The status of each thread; of a process with one that is its own.
fn threads(proc: &mut Proc, member: &Member, own: Status) -> Vec<Status> {
    let (pid, _) = member.key;
    if member.threads < 2 {
        return vec![own];
    }
    let numbers = proc.numbers(&format!("{pid}/task"), THREADS_MAX).unwrap_or_default();
    let mut found = Vec::with_capacity(numbers.len());
    for thread in numbers {
        // A thread may end meanwhile.
        if let Ok(text) = proc.read(&format!("{pid}/task/{thread}/status")) {
            found.push(Status::parse(&text));
        }
    }
    found
}

/// What the files say that only the process' owner and root may read. As much as can be read is
/// counted.
fn files(
    proc: &mut Proc,
    pid: i32,
    walk: u64,
    tracked: &mut Tracked,
    counts: &mut Counts,
    now: &mut Now,
) -> io::Result<()> {
    let bytes = proc.read(&format!("{pid}/io")).map(|text| io_bytes(&text));
    if let Ok(Some((read, written))) = bytes {
        (counts.read_bytes, counts.write_bytes) = (read, written);
    }
    if tracked.limit.is_none() || walk - tracked.limit_walk >= LIMIT_WALKS_MAX {
        tracked.limit = open_files_limit(&proc.read(&format!("{pid}/limits"))?);
        tracked.limit_walk = walk;
    }
    let open = proc.open_files(pid)?;
    now.open_files += open;
    if let Some(limit) = tracked.limit {
        now.worst_ratio = now.worst_ratio.max(open / limit);
    }
    bytes.map(drop)
}

/// Whether a process ended between being listed and being read.
fn is_gone(err: &io::Error) -> bool {
    // No such process: the file was opened, and its process ended before it was read.
    let ended = rustix::io::Errno::SRCH.raw_os_error();
    err.kind() == io::ErrorKind::NotFound || err.raw_os_error() == Some(ended)
}

/// When the machine started, of `/proc/stat`.
fn boot_seconds(stat: &str) -> f64 {
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "));
    line.and_then(super::number).unwrap_or_default()
}
