//! What has to be looked after every few seconds: the store, the history, and memory.

use super::pressure::Pressure;
use super::queries::Queries;
use super::revision::Revision;
use super::start::World;
use crate::storage::Storage;
use crate::storage::state::StateDb;
use crate::sys::metrics::Cell;
use crate::sys::{memory, process};
use std::sync::Arc;
use std::time::Duration;

/// How often the disk is looked at while it is a reason to take nothing.
const RECOVERY_EVERY: Duration = Duration::from_millis(250);
/// How often a cut that is due is looked for: an import brings hours of samples in seconds, and
/// until they are cut the head is larger than it must be.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often all due work is done.
const KEEPING_EVERY: Duration = Duration::from_secs(5);

/// What is looked after.
#[derive(Debug)]
pub(super) struct Keeping {
    world: World,
    revision: Arc<Revision>,
    storage: Arc<Storage>,
    state: Arc<StateDb>,
    queries: Arc<Queries>,
    /// Bytes that this process may use; without it memory is not watched.
    allowance: Option<u64>,
    pressure: Cell,
    /// Why nothing is taken in, as it was told last.
    refusing: Option<String>,
}

impl Keeping {
    /// The keeper of these.
    pub(super) fn new(
        world: World,
        revision: Arc<Revision>,
        storage: Arc<Storage>,
        state: Arc<StateDb>,
        queries: Arc<Queries>,
    ) -> Self {
        let allowance = memory::limit_bytes();
        let help = "Bytes that this process may use.";
        let shown = world.registry.gauge("watchbell_memory_allowance_bytes", help, &[]);
        shown.set(allowance.unwrap_or(0) as f64);
        let help = "What is refused to save memory: 0 nothing, 1 new series, 2 queries too.";
        let pressure = world.registry.gauge("watchbell_memory_pressure", help, &[]);
        Self { world, revision, storage, state, queries, allowance, pressure, refusing: None }
    }

    /// Looks after them until the server stops.
    pub(super) fn run(mut self) {
        let (mut waited, mut is_well) = (Duration::ZERO, true);
        loop {
            let pause = if self.refusing.is_some() { RECOVERY_EVERY } else { LOOK_EVERY };
            let stop = self.world.runtime.block_on(async {
                tokio::select! {
                    () = self.world.clock.sleep(pause) => false,
                    () = self.world.shutdown.wait() => true,
                }
            });
            if stop {
                return;
            }
            waited += pause;
            let cuts = is_well && self.refusing.is_none() && self.storage.cut_is_due();
            if waited < KEEPING_EVERY && !cuts {
                if self.refusing.is_some() {
                    let looked = self.storage.look_at_disk();
                    self.tell(looked);
                }
                continue;
            }
            waited = Duration::ZERO;
            self.look_at_memory(process::facts().resident_bytes);
            let kept = self.storage.maintain();
            is_well = kept.is_ok();
            self.tell(kept);
            if let Err(err) = self.state.prune_history(self.world.clock.now()) {
                tracing::warn!(%err, "old history stays");
            }
            self.storage.check_state(&self.state);
        }
    }

    /// Refuses what costs memory when `resident` bytes are much of the allowance.
    fn look_at_memory(&self, resident: u64) {
        let Some(allowance) = self.allowance else { return };
        let before = self.queries.pressure();
        let now = before.next(resident, allowance);
        if now == before {
            return;
        }
        self.storage.set_memory_short(now >= Pressure::NoNewSeries);
        self.queries.set_pressure(now);
        self.pressure.set(now.number());
        if now > before {
            tracing::error!(resident, allowance, "{now}");
        } else {
            tracing::info!(resident, allowance, "{now}");
        }
        self.revision.bump();
    }

    /// Whether samples are taken is told when it changes, not at every sample.
    fn tell(&mut self, kept: crate::storage::Result<()>) {
        if let Err(err) = kept {
            tracing::error!(%err, "the store's upkeep failed; it is tried again");
            self.revision.bump();
        }
        let refusing = self.storage.status().refusing;
        if refusing == self.refusing {
            return;
        }
        match &refusing {
            Some(reason) => tracing::error!(reason, "no samples are taken in; queries go on"),
            None => tracing::info!("samples are taken in again"),
        }
        self.revision.bump();
        self.refusing = refusing;
    }
}
