//! Alerts on to Alertmanagers beside the built-in one: found as the configuration says, each with
//! a queue of its own.
//!
//! Source: prometheus/prometheus, notifier/manager.go, notifier/alertmanagerset.go.

use super::forward_queue::{AllMeters, SendLoop, SendOptions, Wire};
use crate::config::OtherAlertmanagers;
use crate::ingest::config::TargetGroup;
use crate::ingest::discover::{Finder, Means};
use crate::model::{Alert, Problem};
use crate::notify::upstream::{AlertmanagerSet, Endpoint, relabelled};
use crate::sys::http::HttpClient;
use crate::sys::locks::lock;
use crate::sys::metrics::{Cell, Registry};
use arc_swap::ArcSwap;
use futures_util::future::join_all;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;

/// So many Alertmanagers of one item are told; nobody has more.
const ALERTMANAGERS_MAX: usize = 100;
/// So many dropped addresses of one item are shown.
const DROPPED_SHOWN_MAX: usize = 100;
/// What is queued has this long when the server stops.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// What this takes from the world.
#[derive(Debug)]
pub(super) struct Deps {
    pub(super) means: Means,
    pub(super) registry: Registry,
    pub(super) runtime: Handle,
    pub(super) options: SendOptions,
    /// The URL of the built-in one, which is told by others; `None` when it is not.
    pub(super) built_in: Option<String>,
}

/// The other Alertmanagers, until the next reload.
#[derive(Debug)]
pub(super) struct Forwarding {
    deps: Deps,
    meters: Arc<AllMeters>,
    sets: ArcSwap<Vec<Arc<Set>>>,
    /// Alerts that the built-in one was told.
    told: Option<Cell>,
}

/// One item of `alertmanagers`, with what it needs to talk.
#[derive(Debug)]
pub(super) struct Prepared {
    item: OtherAlertmanagers,
    /// Relative names of files start here.
    base: PathBuf,
    client: Arc<dyn HttpClient>,
}

/// One item that runs.
#[derive(Debug)]
struct Set {
    prepared: Prepared,
    members: Arc<Members>,
    /// Looks for more of them as long as the set is there.
    _finder: Option<Finder>,
}

/// The Alertmanagers of one item.
#[derive(Debug)]
struct Members {
    set: Arc<AlertmanagerSet>,
    wire: Wire,
    discovered: Discovered,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In the order of the configuration and of what was found.
    loops: Vec<SendLoop>,
    /// URLs of those that relabelling dropped.
    dropped: Vec<String>,
    /// Sections that could not be asked.
    failing: usize,
    /// What comes later starts nothing.
    is_stopped: bool,
}

/// The gauges over all items.
#[derive(Clone, Debug)]
struct Discovered {
    alertmanagers: Cell,
    failing: Cell,
}

impl Forwarding {
    /// Tells nobody yet.
    pub(super) fn new(deps: Deps) -> Self {
        let registry = &deps.registry;
        let help = "The capacity of the alert notifications queue.";
        let capacity = registry.gauge("prometheus_notifications_queue_capacity", help, &[]);
        capacity.set(deps.options.capacity as f64);
        let meters = AllMeters::new(registry);
        let told = deps.built_in.as_ref().map(|url| meters.sent(url));
        let discovered = Discovered::new(registry);
        discovered.alertmanagers.set(if told.is_some() { 1.0 } else { 0.0 });
        Self { sets: ArcSwap::default(), told, meters, deps }
    }

    /// Makes the clients of a configuration whose files are relative to `base`.
    ///
    /// # Errors
    /// Every client that cannot be made.
    pub(super) fn prepare(
        &self,
        items: &[OtherAlertmanagers],
        base: &Path,
    ) -> Result<Vec<Prepared>, Vec<Problem>> {
        let (mut prepared, mut problems) = (Vec::new(), Vec::new());
        for (place, item) in items.iter().enumerate() {
            match self.deps.means.http.client(&item.set.http, base) {
                Ok(client) => {
                    prepared.push(Prepared { item: item.clone(), base: base.to_owned(), client });
                }
                Err(problem) => {
                    problems.push(problem.below(&format!("alerting.alertmanagers[{place}]")));
                }
            }
        }
        if problems.is_empty() { Ok(prepared) } else { Err(problems) }
    }

    /// Tells these from now on. An item that did not change keeps its queues and what it found.
    pub(super) fn apply(&self, items: Vec<Prepared>) {
        let mut before = self.sets.load_full().to_vec();
        let _runtime = self.deps.runtime.enter();
        let kept = |new: Prepared| match before.iter().position(|old| old.prepared.is_like(&new)) {
            Some(place) => before.remove(place),
            None => Arc::new(self.started(new)),
        };
        let sets: Vec<_> = items.into_iter().map(kept).collect();
        self.sets.store(Arc::new(sets));
        for old in before {
            // What is queued goes out meanwhile.
            drop(old.members.stop());
        }
    }

    fn started(&self, prepared: Prepared) -> Set {
        let Deps { means, registry, options, .. } = &self.deps;
        let item = &prepared.item;
        let members = Arc::new(Members {
            set: Arc::new(item.set.clone()),
            wire: Wire {
                client: prepared.client.clone(),
                clock: means.clock.clone(),
                meters: self.meters.clone(),
                options: *options,
            },
            discovered: Discovered::new(registry),
            state: Mutex::default(),
        });
        members.update(&item.groups, 0);
        let finder = (!item.discovery.is_empty()).then(|| {
            let (members, fixed) = (members.clone(), item.groups.clone());
            Finder::start("alertmanagers", &item.discovery, means, move |found, failing| {
                members.update(&[fixed.clone(), found].concat(), failing);
            })
        });
        Set { prepared, members, _finder: finder }
    }

    /// Queues the alerts for everybody, and counts those of the built-in one. Never waits.
    pub(super) fn send(&self, alerts: &[Alert]) {
        if alerts.is_empty() {
            return;
        }
        if let Some(told) = &self.told {
            told.add(alerts.len() as f64);
        }
        for set in self.sets.load().iter() {
            let state = lock(&set.members.state);
            if state.loops.is_empty() {
                continue;
            }
            let alerts = relabelled(alerts.to_vec(), &set.members.set.alert_relabel);
            let alerts: Vec<_> = alerts.into_iter().map(Arc::new).collect();
            state.loops.iter().filter(|_| !alerts.is_empty()).for_each(|one| one.add(&alerts));
        }
    }

    /// Where alerts go, the built-in one first, and which URLs relabelling dropped.
    pub(super) fn urls(&self) -> (Vec<String>, Vec<String>) {
        let mut active: Vec<_> = self.deps.built_in.iter().cloned().collect();
        let mut dropped = Vec::new();
        for set in self.sets.load().iter() {
            let state = lock(&set.members.state);
            active.extend(state.loops.iter().map(|one| one.url().to_owned()));
            dropped.extend(state.dropped.iter().cloned());
        }
        (active, dropped)
    }

    /// Whether the built-in Alertmanager is told.
    pub(super) fn tells_built_in(&self) -> bool {
        self.deps.built_in.is_some()
    }

    /// Stops; ends once what is queued has been sent, if that is wanted, or after `DRAIN_MAX`.
    pub(super) async fn stop(&self) {
        let sets = self.sets.swap(Arc::default());
        let tasks: Vec<_> = sets.iter().flat_map(|set| set.members.stop()).collect();
        tokio::select! {
            _ = join_all(tasks) => {}
            () = self.deps.means.clock.sleep(DRAIN_MAX) => {
                tracing::warn!("other Alertmanagers did not take all alerts before the stop");
            }
        }
    }
}

impl Prepared {
    /// Whether it would run the same way as this.
    fn is_like(&self, other: &Self) -> bool {
        self.item == other.item && self.base == other.base
    }
}

impl Members {
    /// Brings the loops up to date with all groups: those that are known go on undisturbed. So
    /// many sections could not be asked.
    fn update(&self, groups: &[TargetGroup], failing: usize) {
        let (mut active, mut dropped): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        let addresses =
            groups.iter().flat_map(|group| group.targets.iter().map(|one| (one, &group.labels)));
        for (address, labels) in addresses {
            match self.set.endpoint(address, labels) {
                Ok(Endpoint::Active(url)) if active.contains(&url) => {}
                Ok(Endpoint::Active(url)) if active.len() < ALERTMANAGERS_MAX => active.push(url),
                Ok(Endpoint::Active(url)) => {
                    tracing::error!(url, "more than {ALERTMANAGERS_MAX} Alertmanagers of one item");
                    break;
                }
                Ok(Endpoint::Dropped(url)) if dropped.len() < DROPPED_SHOWN_MAX => {
                    dropped.push(url);
                }
                Ok(Endpoint::Dropped(_)) => {}
                Err(reason) => tracing::error!(address, reason, "this is no Alertmanager"),
            }
        }
        let mut state = lock(&self.state);
        if state.is_stopped {
            return;
        }
        let mut before = std::mem::take(&mut state.loops);
        let count = before.len();
        for url in active {
            let known = before.iter().position(|one| one.url() == url);
            state.loops.push(match known {
                Some(place) => before.remove(place),
                None => SendLoop::start(&url, self.set.clone(), self.wire.clone()),
            });
        }
        state.dropped = dropped;
        self.discovered.failing.add(failing as f64 - state.failing as f64);
        state.failing = failing;
        self.discovered.alertmanagers.add(state.loops.len() as f64 - count as f64);
        before.into_iter().for_each(|gone| drop(gone.stop()));
    }

    /// Stops all loops; what to wait for when their queues are to be empty first.
    fn stop(&self) -> Vec<tokio::task::JoinHandle<Option<()>>> {
        let mut state = lock(&self.state);
        state.is_stopped = true;
        let loops = std::mem::take(&mut state.loops);
        self.discovered.alertmanagers.add(-(loops.len() as f64));
        self.discovered.failing.add(-(std::mem::take(&mut state.failing) as f64));
        loops.into_iter().filter_map(SendLoop::stop).collect()
    }
}

impl Discovered {
    fn new(registry: &Registry) -> Self {
        let name = "prometheus_notifications_alertmanagers_discovered";
        let help =
            "The number of alertmanagers discovered and active, the built-in one among them.";
        let alertmanagers = registry.gauge(name, help, &[]);
        let help = "Jobs whose discovery cannot be used.";
        let failing = registry.gauge("prometheus_sd_failed_configs", help, &[("name", "notify")]);
        Self { alertmanagers, failing }
    }
}
