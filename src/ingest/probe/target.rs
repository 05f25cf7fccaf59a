//! Targets that are probed from here: what `watchbell.probes` lists, on the loops that scrape.

use super::super::config::Module;
use super::super::scrape::{LocalTarget, PendingFamilies};
use super::{ProbeCall, Prober};
use crate::sys::metrics::Family;
use crate::sys::tasks;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// What one entry asks for.
#[derive(Clone, Debug)]
pub struct ProbeTarget {
    /// What is probed.
    pub target: String,
    /// How.
    pub module: Arc<Module>,
}

/// All targets of a job.
#[derive(Debug)]
pub struct ProbeJob {
    prober: Prober,
    runtime: Handle,
    /// By the URL that the loops know them by.
    targets: HashMap<String, ProbeTarget>,
}

impl ProbeJob {
    /// Targets by URL; probes run on `runtime`, since the loops' own has one thread.
    pub const fn new(
        prober: Prober,
        runtime: Handle,
        targets: HashMap<String, ProbeTarget>,
    ) -> Self {
        Self { prober, runtime, targets }
    }
}

impl LocalTarget for ProbeJob {
    /// Nothing: probes are waited for.
    fn gather(&self) -> Vec<Family> {
        Vec::new()
    }

    fn wait(&self, url: &str, timeout: Duration) -> Option<PendingFamilies> {
        let target = self.targets.get(url).cloned()?;
        let (prober, runtime) = (self.prober.clone(), self.runtime.clone());
        Some(Box::pin(async move {
            let call = ProbeCall { target: target.target, hostname: None, patience: Some(timeout) };
            let module = target.module;
            let probe = async move { prober.probe(&module, &call).await };
            match tasks::spawn_on(&runtime, "probe", probe).await {
                Ok(Some(Ok(probed))) => Ok(probed.families),
                Ok(Some(Err(err))) => Err(err.to_string()),
                Ok(None) | Err(_) => Err("the probe did not end; the log says more".to_owned()),
            }
        }))
    }
}
