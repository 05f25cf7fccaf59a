//! All jobs: takes a new configuration, keeps what did not change, shows targets, stops.

use super::super::config::ScrapeJob;
use super::super::discover::{ParseGroups, ReadFiles};
use super::super::limits::{PARSING_MAX, SafetyLimits};
use super::super::target::Target;
use super::lengths::Lengths;
use super::meters::Meters;
use super::pool::Pool;
use super::rooms::Rooms;
use super::source::{LocalJob, LocalMember};
use super::view::{DroppedView, PoolView, TargetView};
use super::worker::{Shared, Source};
use crate::model::relabel::Rule;
use crate::storage::append::SharedAppender;
use crate::sys::clock::SharedClock;
use crate::sys::dns::Dns;
use crate::sys::event_loop::EventLoop;
use crate::sys::http::Http;
use crate::sys::locks::lock;
use crate::sys::metrics::Registry;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Semaphore;

/// What scraping needs of the rest of the process.
#[derive(Clone)]
pub struct Deps {
    /// Time.
    pub clock: SharedClock,
    /// Outbound HTTP.
    pub http: Arc<dyn Http>,
    /// Records of the name service.
    pub dns: Arc<dyn Dns>,
    /// The store.
    pub appender: SharedAppender,
    /// The process' own metrics.
    pub registry: Registry,
    /// Moves all offsets: two servers that scrape the same targets do so at different times.
    pub server_seed: u64,
    /// Reads a file of targets, YAML or JSON.
    pub parse_groups: ParseGroups,
    /// Where files of targets come from.
    pub files: Arc<dyn ReadFiles>,
    /// The header `User-Agent`.
    pub user_agent: String,
    /// Limits above those of the file.
    pub safety: SafetyLimits,
    /// Where the targets' tasks run and short answers are taken in; `None` for the current
    /// runtime.
    pub event_loop: Option<Arc<EventLoop>>,
    /// Called after each commit; must be quick.
    pub on_commit: Arc<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Deps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deps").field("safety", &self.safety).finish_non_exhaustive()
    }
}

/// Scrapes all targets of all jobs. Clones share it.
#[derive(Clone)]
pub struct ScrapeManager {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) deps: Deps,
    pub(super) shared: Arc<Shared>,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) pools: BTreeMap<String, Pool>,
    /// Pools of jobs that are gone, until their targets have left.
    leaving: Vec<Pool>,
    locals: BTreeMap<String, LocalJob>,
    /// Set by `stop`: what comes later starts nothing.
    is_stopped: bool,
}

impl fmt::Debug for ScrapeManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pools = self.lock().pools.len();
        f.debug_struct("ScrapeManager").field("pools", &pools).finish_non_exhaustive()
    }
}

impl ScrapeManager {
    /// A manager without jobs.
    pub fn new(deps: Deps) -> Self {
        let shared = Arc::new(Shared {
            clock: Arc::clone(&deps.clock),
            appender: Arc::clone(&deps.appender),
            safety: deps.safety,
            server_seed: deps.server_seed,
            user_agent: deps.user_agent.clone(),
            on_commit: Arc::clone(&deps.on_commit),
            meters: Meters::new(&deps.registry),
            lengths: Lengths::new(&deps.registry),
            rooms: Rooms::default(),
            parsing: Semaphore::new(PARSING_MAX),
            event_loop: deps.event_loop.clone(),
        });
        Self { inner: Arc::new(Inner { deps, shared, state: Mutex::default() }) }
    }

    /// Makes these the jobs. What did not change goes on undisturbed (T44); targets that are gone
    /// leave with markers (T7). Must be called on the async runtime; does not block.
    pub fn apply(&self, jobs: Vec<ScrapeJob>, locals: Vec<LocalJob>) {
        let mut state = self.lock();
        if state.is_stopped {
            return;
        }
        state.leaving.retain(|pool| !pool.is_empty());
        let mut before = std::mem::take(&mut state.pools);
        // A job that comes back before its targets have left goes on where it was.
        for pool in std::mem::take(&mut state.leaving) {
            before.entry(pool.job.name.clone()).or_insert(pool);
        }
        let locals_before = std::mem::take(&mut state.locals);
        for job in jobs {
            let pool = before.remove(&job.name);
            let pool = self.updated(pool, job);
            state.pools.insert(pool.job.name.clone(), pool);
        }
        for local in locals {
            let pool = before.remove(&local.name);
            let unchanged = locals_before.get(&local.name) == Some(&local);
            let pool = self.updated_local(pool, &local, unchanged);
            state.pools.insert(local.name.clone(), pool);
            state.locals.insert(local.name.clone(), local);
        }
        for (name, mut pool) in before {
            if !pool.is_leaving {
                pool.leave();
                self.inner.shared.meters.forget(&name);
            }
            state.leaving.push(pool);
        }
    }

    /// Targets that are scraped, by job and URL.
    pub fn targets(&self) -> Vec<TargetView> {
        self.lock().pools.values().flat_map(Pool::targets).collect()
    }

    /// Targets that are not scraped, as many as jobs keep.
    pub fn dropped(&self) -> Vec<DroppedView> {
        self.lock().pools.values().flat_map(|pool| pool.dropped().to_vec()).collect()
    }

    /// All jobs in numbers.
    pub fn pools(&self) -> Vec<PoolView> {
        self.lock().pools.values().map(Pool::view).collect()
    }

    /// The rules for a job's targets; `None` when there is no such job.
    pub fn relabel_rules(&self, pool: &str) -> Option<Vec<Rule>> {
        self.lock().pools.get(pool).map(|pool| pool.job.relabel.clone())
    }

    /// Stops all loops and waits for commits under way. No markers are written: after a restart
    /// the series go on.
    pub async fn stop(&self) {
        let pools: Vec<Pool> = {
            let mut state = self.lock();
            state.is_stopped = true;
            let pools = std::mem::take(&mut state.pools).into_values();
            let leaving = std::mem::take(&mut state.leaving);
            pools.chain(leaving).collect()
        };
        // All are told before the first is waited for.
        let tasks: Vec<_> = pools.into_iter().flat_map(Pool::stop).collect();
        for task in tasks {
            // A panic was reported where it happened.
            let _ = task.await;
        }
    }

    fn updated(&self, pool: Option<Pool>, job: ScrapeJob) -> Pool {
        let job = Arc::new(job);
        let Some(mut pool) = pool else {
            self.inner.shared.meters.pools.inc();
            let source = self.source(&job);
            let mut pool = Pool::new(Arc::clone(&job), source);
            self.update_sections(&mut pool);
            pool.sync_groups(&self.inner.shared);
            return pool;
        };
        let is_back = std::mem::take(&mut pool.is_leaving);
        if *pool.job == *job && !is_back {
            return pool;
        }
        if pool.job.client != job.client || pool.job.base != job.base {
            pool.source = self.source(&job);
        }
        if *pool.job != *job {
            pool.job = job;
        }
        self.update_sections(&mut pool);
        pool.sync_groups(&self.inner.shared);
        pool
    }

    fn updated_local(&self, pool: Option<Pool>, local: &LocalJob, unchanged: bool) -> Pool {
        match pool {
            Some(pool) if unchanged && !pool.is_leaving => pool,
            Some(mut pool) => {
                pool.is_leaving = false;
                pool.job = Arc::new(local_job(local));
                pool.source = Source::Local(Arc::clone(&local.target));
                pool.sync(&self.inner.shared, local_targets(local));
                pool
            }
            None => {
                let job = Arc::new(local_job(local));
                let mut pool = Pool::new(job, Source::Local(Arc::clone(&local.target)));
                pool.sync(&self.inner.shared, local_targets(local));
                pool
            }
        }
    }

    fn source(&self, job: &ScrapeJob) -> Source {
        match self.inner.deps.http.client(&job.client, &job.base) {
            Ok(client) => Source::Http(client),
            Err(problem) => Source::Broken(problem.to_string()),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.inner.state)
    }
}

fn local_job(local: &LocalJob) -> ScrapeJob {
    let job = ScrapeJob::local(&local.name, local.interval);
    ScrapeJob { honor_labels: local.honor_labels, ..job }
}

fn local_targets(local: &LocalJob) -> Vec<Target> {
    if local.members.is_empty() {
        let url = format!("watchbell:{}", local.name);
        let (interval, labels) = (local.interval, local.labels.clone());
        let member = LocalMember { url, interval, timeout: interval, labels };
        return vec![local_target(local, &member)];
    }
    local.members.iter().map(|member| local_target(local, member)).collect()
}

fn local_target(local: &LocalJob, member: &LocalMember) -> Target {
    let mut labels = member.labels.to_builder();
    if labels.get("job").is_none() {
        labels.set("job", local.name.as_str());
    }
    let labels = labels.build();
    Target {
        discovered: labels.clone(),
        labels,
        url: member.url.clone(),
        interval: member.interval,
        timeout: member.timeout,
        unix_socket: None,
        is_local: true,
    }
}
