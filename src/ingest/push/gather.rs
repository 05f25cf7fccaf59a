//! All groups as one scrape sees them.

use super::groups::Groups;
use super::{PUSH_FAILURE_TIME, PUSH_FAILURE_TIME_HELP, PUSH_TIME, PUSH_TIME_HELP};
use crate::model::{MetricType, Timestamp};
use crate::sys::metrics::{Family, FamilySample};
use std::borrow::Cow;
use std::collections::BTreeMap;

impl Groups {
    /// The samples of all groups, by name, each with the labels of its group.
    pub fn gather(&self) -> Vec<Family> {
        let mut out: BTreeMap<&str, Family> = BTreeMap::new();
        let own: [(&str, &'static str); 2] =
            [(PUSH_TIME, PUSH_TIME_HELP), (PUSH_FAILURE_TIME, PUSH_FAILURE_TIME_HELP)];
        for (key, group) in self.iter() {
            let labels = key.labels();
            for ((name, help), at) in own.into_iter().zip([group.pushed_at, group.failed_at]) {
                let value = at.map_or(0.0, Timestamp::as_seconds);
                let family = out.entry(name).or_insert_with(|| Family {
                    name: name.to_owned(),
                    help: Cow::Borrowed(help),
                    kind: MetricType::Gauge,
                    samples: Vec::new(),
                });
                let labels = labels.clone();
                family.samples.push(FamilySample { suffix: "", labels, value });
            }
            for held in group.families.values() {
                let pushed = held.family.as_ref();
                let family = out.entry(&pushed.name).or_insert_with(|| Family {
                    name: pushed.name.clone(),
                    help: Cow::Owned(pushed.help.clone()),
                    kind: pushed.kind,
                    samples: Vec::new(),
                });
                family.samples.extend(pushed.samples());
            }
        }
        out.into_values().collect()
    }
}
