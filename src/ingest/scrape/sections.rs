//! Sections of a job that name targets elsewhere: started, kept over a reload, stopped, and what
//! they find brought to the job's targets.

use super::super::config::{Discovery, TargetGroup};
use super::super::discover::{self, Found, Means};
use super::manager::ScrapeManager;
use super::pool::Pool;
use crate::sys::tasks::{self, Shutdown};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// At least so long between two changes of a job's targets, apart from the first word of each
/// section. Source: prometheus, discovery/manager.go.
const SYNC_PAUSE: Duration = Duration::from_secs(5);

/// A section that runs.
#[derive(Debug)]
pub(super) struct Section {
    id: u64,
    discovery: Discovery,
    pub(super) stop: Shutdown,
    /// What it said last; until then, what the section said whose place it has taken.
    pub(super) groups: Vec<TargetGroup>,
    pub(super) problems: Vec<String>,
    has_answered: bool,
}

impl Section {
    fn new(discovery: Discovery, groups: Vec<TargetGroup>) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(0);
        Self {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            discovery,
            stop: Shutdown::new(),
            groups,
            problems: Vec::new(),
            has_answered: false,
        }
    }
}

impl ScrapeManager {
    /// Makes the job's sections run: those that were there go on undisturbed (T44), others start
    /// or stop.
    pub(super) fn update_sections(&self, pool: &mut Pool) {
        let mut before = std::mem::take(&mut pool.sections);
        let mut take = |fits: &dyn Fn(&Section) -> bool| {
            let place = before.iter().position(fits)?;
            Some(before.remove(place))
        };
        let wanted = &pool.job.discovery;
        let kept: Vec<Option<Section>> =
            wanted.iter().map(|one| take(&|section| section.discovery == *one)).collect();
        let mut sections = Vec::new();
        for (discovery, kept) in wanted.iter().zip(kept) {
            if let Some(section) = kept.as_ref()
                && !section.stop.is_triggered()
            {
                sections.extend(kept);
                continue;
            }
            let alike = |section: &Section| section.discovery.name() == discovery.name();
            let replaced = kept.or_else(|| take(&alike));
            let groups = replaced.map(|section| {
                section.stop.trigger();
                section.groups
            });
            let section = Section::new(discovery.clone(), groups.unwrap_or_default());
            self.start_section(&pool.job.name, &section);
            sections.push(section);
        }
        for section in before {
            section.stop.trigger();
        }
        pool.sections = sections;
    }

    fn start_section(&self, job: &str, section: &Section) {
        let deps = &self.inner.deps;
        let means = Means {
            clock: Arc::clone(&deps.clock),
            http: Arc::clone(&deps.http),
            dns: Arc::clone(&deps.dns),
            files: Arc::clone(&deps.files),
            parse: Arc::clone(&deps.parse_groups),
            user_agent: deps.user_agent.clone(),
        };
        self.inner.shared.meters.discovery_failed(&section.discovery, job, 0);
        // Weak: a manager that nobody holds must not live on in its own tasks.
        let inner = Arc::downgrade(&self.inner);
        let (id, stopped, name) = (section.id, section.stop.clone(), job.to_owned());
        let found = move |found: Found| {
            if let Some(inner) = inner.upgrade()
                && !stopped.is_triggered()
            {
                Self { inner }.found(&name, id, found);
            }
        };
        let work = discover::run(section.discovery.clone(), means, section.stop.clone(), found);
        tasks::spawn(format!("discover {job}"), work);
    }

    fn found(&self, job: &str, section: u64, found: Found) {
        let mut state = self.lock();
        if let Some(pool) = state.pools.get_mut(job)
            && let Some(section) = pool.sections.iter_mut().find(|one| one.id == section)
        {
            let kind = section.discovery.name();
            let news = found.problems.iter().filter(|one| !section.problems.contains(one));
            for problem in news {
                tracing::warn!(job, kind, %problem, "discovery keeps what it found before");
            }
            let meters = &self.inner.shared.meters;
            meters.discovery_failed(&section.discovery, job, found.problems.len());
            section.problems = found.problems;
            let is_first = !std::mem::replace(&mut section.has_answered, true);
            if section.groups != found.groups {
                section.groups = found.groups;
                self.sync_soon(pool, is_first);
            }
        }
        let failed = state.pools.values().filter(|pool| pool.has_problems()).count();
        let failed = f64::from(u32::try_from(failed).unwrap_or(u32::MAX));
        self.inner.shared.meters.failed_configs.set(failed);
    }

    /// Brings the targets up to date: at once, or when the pause is over.
    fn sync_soon(&self, pool: &mut Pool, at_once: bool) {
        let clock = &self.inner.deps.clock;
        let due = pool.synced_at.saturating_add(SYNC_PAUSE);
        if at_once || clock.elapsed() >= due {
            pool.sync_groups(&self.inner.shared);
            return;
        }
        if std::mem::replace(&mut pool.sync_is_due, true) {
            return;
        }
        let (inner, job) = (Arc::downgrade(&self.inner), pool.job.name.clone());
        let pause = clock.sleep_until(due);
        tasks::spawn(format!("sync {job}"), async move {
            pause.await;
            let Some(inner) = inner.upgrade() else { return };
            let manager = Self { inner };
            let mut state = manager.lock();
            if let Some(pool) = state.pools.get_mut(&job)
                && pool.sync_is_due
            {
                pool.sync_groups(&manager.inner.shared);
            }
        });
    }
}
