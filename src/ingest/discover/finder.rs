//! Sections that run for somebody who wants addresses and scrapes nothing: other Alertmanagers.

use super::super::config::{Discovery, TargetGroup};
use super::{Found, Means, run};
use crate::sys::locks::lock;
use crate::sys::tasks::{self, Shutdown};
use std::sync::{Arc, Mutex};

/// Sections that are asked until this is dropped.
#[derive(Debug)]
pub struct Finder {
    stop: Shutdown,
}

impl Finder {
    /// Asks the sections again and again, in the name of `who`. `found` is told all groups, in the
    /// order of the sections, and how many sections fail, whenever one of both has changed; what
    /// cannot be asked keeps its last good groups. Must be called on the async runtime.
    pub fn start(
        who: &str,
        sections: &[Discovery],
        means: &Means,
        found: impl Fn(Vec<TargetGroup>, usize) + Send + Sync + 'static,
    ) -> Self {
        let stop = Shutdown::new();
        let known = Arc::new(Mutex::new(vec![Found::default(); sections.len()]));
        let found = Arc::new(found);
        for (place, section) in sections.iter().enumerate() {
            let (known, found) = (known.clone(), found.clone());
            let (name, kind) = (who.to_owned(), section.name());
            let tell = move |news: Found| {
                // Told under the lock, so that what is told last is what is known last.
                let mut known = lock(&known);
                let Some(mine) = known.get_mut(place).filter(|mine| **mine != news) else { return };
                let others = news.problems.iter().filter(|one| !mine.problems.contains(one));
                for problem in others {
                    let text = "discovery keeps what it found before";
                    tracing::warn!(who = name, kind, %problem, "{text}");
                }
                *mine = news;
                let groups = known.iter().flat_map(|one| one.groups.iter().cloned()).collect();
                let failing = known.iter().filter(|one| !one.problems.is_empty()).count();
                found(groups, failing);
            };
            let work = run(section.clone(), means.clone(), stop.clone(), tell);
            tasks::spawn(format!("discover {who}"), work);
        }
        Self { stop }
    }
}

impl Drop for Finder {
    fn drop(&mut self) {
        self.stop.trigger();
    }
}
