//! Probes: one when it is asked for, and those that the configuration lists.

use super::start::Service;
use crate::config::Config;
use crate::ingest::config::{ProbeEntry, Probing};
use crate::ingest::probe::{ProbeCall, ProbeJob, ProbeTarget, Prober, explained};
use crate::ingest::scrape::{LocalJob, LocalMember, printed};
use crate::model::Labels;
use crate::wire::{Error, ErrorKind, ProbeRequest};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::runtime::Handle;

/// The module of questions that name none, as upstream has it.
const MODULE: &str = "http_2xx";

impl Service {
    /// One probe. Blocks as long as it takes.
    pub(super) fn probe_once(&self, request: &ProbeRequest) -> Result<String, Error> {
        let prober = self.running()?.prober.clone();
        let config = Arc::clone(&self.config.load().config);
        let name = if request.module.is_empty() { MODULE } else { &request.module };
        let Some(module) = config.probing.modules.get(name).cloned() else {
            return Err(Error::bad_data(format!("Unknown module {name:?}")));
        };
        if request.listed_only && !may(&config.probing, name, request) {
            let text = "from other hosts only what watchbell.probes lists is probed; \
                        list the target there, or set watchbell.probing.from_anywhere";
            return Err(Error::new(ErrorKind::Forbidden, text));
        }
        let optional = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let call = ProbeCall {
            target: request.target.clone(),
            hostname: optional(&request.hostname),
            patience: request.patience,
        };
        let probed = self.world.runtime.block_on(prober.probe(&module, &call));
        let probed = probed.map_err(|err| Error::bad_data(err.to_string()))?;
        Ok(if request.debug { explained(&probed, &module) } else { printed(&probed.families) })
    }
}

/// Whether another host may ask for this: a target and module that are probed anyway, and nothing
/// of its own in the request. A log tells more than metrics do.
fn may(probing: &Probing, module: &str, request: &ProbeRequest) -> bool {
    let is_listed = |entry: &ProbeEntry| entry.target == request.target && entry.module == module;
    let is_plain = request.hostname.is_empty() && !request.debug;
    probing.from_anywhere || (is_plain && probing.entries.iter().any(is_listed))
}

/// The jobs that the configuration lists, each with all of its targets.
pub(super) fn jobs(config: &Config, prober: &Prober, runtime: &Handle) -> Vec<LocalJob> {
    let mut by_job: BTreeMap<&str, Vec<&ProbeEntry>> = BTreeMap::new();
    for entry in &config.probing.entries {
        by_job.entry(&entry.job).or_default().push(entry);
    }
    let job = |(name, entries): (&str, Vec<&ProbeEntry>)| {
        let mut targets = HashMap::new();
        let mut members = Vec::new();
        for entry in entries {
            let Some(module) = config.probing.modules.get(&entry.module).cloned() else { continue };
            let url = format!("watchbell:probe?module={}&target={}", entry.module, entry.target);
            targets.insert(url.clone(), ProbeTarget { target: entry.target.clone(), module });
            let (interval, timeout) = (entry.interval, entry.timeout);
            members.push(LocalMember { url, interval, timeout, labels: entry.labels.clone() });
        }
        LocalJob {
            name: name.to_owned(),
            interval: config.local_interval,
            target: Arc::new(ProbeJob::new(prober.clone(), runtime.clone(), targets)),
            labels: Labels::empty(),
            honor_labels: false,
            members,
        }
    };
    by_job.into_iter().map(job).collect()
}
