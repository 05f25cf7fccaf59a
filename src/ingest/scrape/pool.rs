//! The targets of one job: brought up to date without disturbing those that did not change.

use super::super::config::ScrapeJob;
use super::super::limits::{DROPPED_TARGETS_KEPT, LEAVING_TARGETS_KEPT};
use super::super::target::{Populated, Target, populate};
use super::orders::{Orders, orders};
use super::sections::Section;
use super::view::{DroppedView, PoolView, TargetView};
use super::worker::{Order, Settings, Shared, Source, Worker};
use crate::model::Labels;
use crate::sys::locks::lock;
use crate::sys::tasks;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

/// A target's loop.
#[derive(Debug)]
struct Loop {
    orders: Orders,
    settings: Arc<Settings>,
    view: Arc<Mutex<TargetView>>,
    has_left: Arc<AtomicBool>,
    is_leaving: bool,
    /// Told when the task has ended.
    ended: oneshot::Receiver<()>,
}

/// One job's targets.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) job: Arc<ScrapeJob>,
    pub(super) source: Source,
    /// Sections that name targets elsewhere.
    pub(super) sections: Vec<Section>,
    /// When the targets were last brought up to date, by the clock's elapsed time.
    pub(super) synced_at: Duration,
    /// Somebody waits to bring them up to date.
    pub(super) sync_is_due: bool,
    /// The job is gone and its targets are leaving.
    pub(super) is_leaving: bool,
    loops: HashMap<(Labels, String), Loop>,
    dropped: Vec<DroppedView>,
    dropped_count: usize,
    limit_problem: Option<String>,
}

impl Pool {
    pub(super) fn new(job: Arc<ScrapeJob>, source: Source) -> Self {
        Self {
            job,
            source,
            sections: Vec::new(),
            synced_at: Duration::ZERO,
            sync_is_due: false,
            is_leaving: false,
            loops: HashMap::new(),
            dropped: Vec::new(),
            dropped_count: 0,
            limit_problem: None,
        }
    }

    /// Makes the targets of all groups and brings the loops up to date.
    pub(super) fn sync_groups(&mut self, shared: &Arc<Shared>) {
        self.synced_at = shared.clock.elapsed();
        self.sync_is_due = false;
        let mut targets = Vec::new();
        self.dropped.clear();
        self.dropped_count = 0;
        let kept = match usize::try_from(self.job.limits.keep_dropped_targets) {
            Ok(0) | Err(_) => DROPPED_TARGETS_KEPT,
            Ok(kept) => kept,
        };
        let found = self.sections.iter().flat_map(|section| &section.groups);
        for group in self.job.groups.iter().chain(found) {
            for address in &group.targets {
                match populate(&self.job, address, &group.labels) {
                    Populated::Target(target) => targets.push(target),
                    Populated::Dropped { discovered, reason } => {
                        self.dropped_count += 1;
                        if self.dropped.len() < kept {
                            let pool = self.job.name.clone();
                            self.dropped.push(DroppedView { discovered, pool, reason });
                        }
                    }
                }
            }
        }
        // Groups may name a target twice, which is scraped once.
        let keys = targets.iter().map(|target| (&target.labels, &target.url));
        self.check_target_limit(shared, keys.collect::<HashSet<_>>().len());
        self.sync(shared, targets);
    }

    /// T9: too many targets fail all of them rather than some.
    fn check_target_limit(&mut self, shared: &Shared, found: usize) {
        let limit = self.job.limits.targets;
        let is_over = limit > 0 && u64::try_from(found).unwrap_or(u64::MAX) > limit;
        self.limit_problem = is_over.then(|| {
            shared.meters.over_target_limit.inc();
            format!("target_limit exceeded (number of targets: {found}, limit: {limit})")
        });
    }

    /// T44: a target with the same labels and URL keeps its loop, cache and phase.
    pub(super) fn sync(&mut self, shared: &Arc<Shared>, targets: Vec<Target>) {
        self.loops.retain(|_, one| !(one.is_leaving && one.has_left.load(Ordering::Acquire)));
        let source = match &self.limit_problem {
            Some(text) => Source::Broken(text.clone()),
            None => self.source.clone(),
        };
        let mut missing: HashSet<_> = self.loops.keys().cloned().collect();
        for target in targets {
            let key = (target.labels.clone(), target.url.clone());
            missing.remove(&key);
            let settings =
                Arc::new(Settings { job: Arc::clone(&self.job), target, source: source.clone() });
            match self.loops.get_mut(&key) {
                Some(one) => one.update(settings),
                None => {
                    let one = Loop::start(shared, settings);
                    self.loops.insert(key, one);
                }
            }
        }
        for key in missing {
            if let Some(one) = self.loops.get_mut(&key) {
                one.leave();
            }
        }
        self.bound_leaving();
        shared.meters.synced(&self.job.name, self.active());
    }

    /// Lets some go whose ends are not marked yet, when too many wait: their series end by
    /// themselves when nobody looks back so far any more.
    fn bound_leaving(&mut self) {
        let active = self.active();
        let leaving = self.loops.len() - active;
        let mut excess = leaving.saturating_sub(active.max(LEAVING_TARGETS_KEPT));
        if excess == 0 {
            return;
        }
        tracing::warn!(job = self.job.name, targets = excess, "too many targets leave at once");
        self.loops.retain(|_, one| {
            let goes = one.is_leaving && excess > 0;
            if goes {
                excess -= 1;
                one.orders.send(Order::Stop);
            }
            !goes
        });
    }

    /// Loops, of targets that leave as well.
    #[cfg(test)]
    pub(super) fn loop_count(&self) -> usize {
        self.loops.len()
    }

    /// The job is gone: all its targets leave.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
        self.stop_discovery();
        for one in self.loops.values_mut() {
            one.leave();
        }
    }

    /// Whether all targets have left.
    pub(super) fn is_empty(&self) -> bool {
        self.loops.values().all(|one| one.is_leaving && one.has_left.load(Ordering::Acquire))
    }

    /// Tells all loops to stop; answers what their tasks tell at their end.
    pub(super) fn stop(mut self) -> Vec<oneshot::Receiver<()>> {
        self.stop_discovery();
        let loops = self.loops.into_values();
        loops
            .map(|one| {
                one.orders.send(Order::Stop);
                one.ended
            })
            .collect()
    }

    fn stop_discovery(&mut self) {
        for section in &self.sections {
            section.stop.trigger();
        }
    }

    /// Whether something is wrong with a section.
    pub(super) fn has_problems(&self) -> bool {
        self.sections.iter().any(|section| !section.problems.is_empty())
    }

    fn active(&self) -> usize {
        self.loops.values().filter(|one| !one.is_leaving).count()
    }

    /// Targets that are scraped, by URL.
    pub(super) fn targets(&self) -> Vec<TargetView> {
        let scraped = self.loops.values().filter(|one| !one.is_leaving);
        let mut views: Vec<TargetView> = scraped.map(Loop::shown).collect();
        views.sort_by(|a, b| (&a.url, &a.labels).cmp(&(&b.url, &b.labels)));
        views
    }

    /// Targets that are not scraped.
    pub(super) fn dropped(&self) -> &[DroppedView] {
        &self.dropped
    }

    /// The job in numbers.
    pub(super) fn view(&self) -> PoolView {
        let problems = self.sections.iter().flat_map(|section| &section.problems);
        PoolView {
            name: self.job.name.clone(),
            active: self.active(),
            dropped: self.dropped_count,
            problems: problems.chain(&self.limit_problem).cloned().collect(),
        }
    }
}

impl Loop {
    fn start(shared: &Arc<Shared>, settings: Arc<Settings>) -> Self {
        let (orders, hearing) = orders(Order::Run(Arc::clone(&settings)));
        let view = Arc::new(Mutex::new(TargetView::default()));
        let has_left = Arc::new(AtomicBool::new(false));
        let worker = Worker::new(Arc::clone(shared), Arc::clone(&view), Arc::clone(&has_left));
        let name = format!("scrape {}", settings.target.url);
        let (done, ended) = oneshot::channel();
        let work = async move {
            worker.run(hearing).await;
            // Nobody may care any more.
            let _ = done.send(());
        };
        match &shared.event_loop {
            Some(own) => own.spawn(name, work),
            None => drop(tasks::spawn(name, work)),
        }
        Self { orders, settings, view, has_left, is_leaving: false, ended }
    }

    fn update(&mut self, settings: Arc<Settings>) {
        let before = &self.settings;
        let same = Arc::ptr_eq(&before.job, &settings.job)
            && before.target == settings.target
            && same_source(&before.source, &settings.source);
        if same && !self.is_leaving {
            return;
        }
        self.is_leaving = false;
        self.has_left.store(false, Ordering::Release);
        self.settings = Arc::clone(&settings);
        lock(&self.view).notes.clear();
        self.orders.send(Order::Run(settings));
    }

    fn leave(&mut self) {
        if !std::mem::replace(&mut self.is_leaving, true) {
            self.orders.send(Order::Leave);
        }
    }

    fn shown(&self) -> TargetView {
        let mut view = lock(&self.view).clone();
        let target = &self.settings.target;
        view.discovered = target.discovered.clone();
        view.labels = target.labels.clone();
        view.pool.clone_from(&self.settings.job.name);
        view.url.clone_from(&target.url);
        view.interval = target.interval;
        view.timeout = target.timeout;
        view
    }
}

fn same_source(a: &Source, b: &Source) -> bool {
    match (a, b) {
        (Source::Http(a), Source::Http(b)) => Arc::ptr_eq(a, b),
        (Source::Local(a), Source::Local(b)) => Arc::ptr_eq(a, b),
        (Source::Broken(a), Source::Broken(b)) => a == b,
        (Source::Http(_) | Source::Local(_) | Source::Broken(_), _) => false,
    }
}
