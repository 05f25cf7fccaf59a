//! Pushed groups at work: a push is in `state.db` before it is answered, and all groups are
//! scraped inside this process like any other target, so that their values go on being stored
//! until they are deleted, wiped, or over.

use super::forms;
use super::start::Service;
use crate::exposition::Printer;
use crate::ingest::limits::SafetyLimits;
use crate::ingest::push::{
    self, Body, Group, GroupKey, Groups, Limits, Push, PushError, PushRules, from_row, row_key,
    to_row,
};
use crate::ingest::scrape::LocalTarget;
use crate::model::{Labels, duration, value_text};
use crate::storage::state::{StateDb, StateOp, Table};
use crate::sys::clock::SharedClock;
use crate::sys::locks::lock;
use crate::sys::metrics::{Cell, Family, Registry};
use crate::wire::{Error, ErrorKind, PushGroup, PushVerb, RawPush};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// All groups and where they are kept.
#[derive(Debug)]
pub(super) struct Pushing {
    /// One body at a time is unpacked and read, whatever it becomes in memory. Taken before
    /// `groups`.
    turn: Mutex<()>,
    /// Held while a change is stored: taken behind `turn`, and the database's own lock behind it.
    groups: Mutex<Groups>,
    state: Arc<StateDb>,
    clock: SharedClock,
    rules: PushRules,
    /// Whether there has been a group in this process: then they are scraped.
    is_used: AtomicBool,
    held: Cell,
    taken: Cell,
    refused: Cell,
}

impl Pushing {
    /// The groups that an earlier process stored. A row that cannot be read is told and left
    /// where it is.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(super) fn restore(
        state: Arc<StateDb>,
        clock: SharedClock,
        registry: &Registry,
        (safety, rules): (SafetyLimits, PushRules),
    ) -> Result<Self, crate::storage::Error> {
        let mut groups = Groups::new(Limits::within(safety));
        for (key, row) in state.load(Table::PushGroup)? {
            match from_row(&row) {
                Ok((key, group)) => groups.put(key, group),
                Err(why) => tracing::warn!(%key, %why, "a pushed group cannot be read"),
            }
        }
        let help = "Pushes by what became of them.";
        let pushes =
            |result| registry.counter("watchbell_pushes_total", help, &[("result", result)]);
        let help = "Pushed groups that are held.";
        let held = registry.gauge("watchbell_push_groups", help, &[]);
        let is_used = AtomicBool::new(!groups.is_empty());
        let (taken, refused) = (pushes("taken"), pushes("refused"));
        let groups = Mutex::new(groups);
        let turn = Mutex::default();
        let made = Self { turn, groups, state, clock, rules, is_used, held, taken, refused };
        drop(made.current());
        Ok(made)
    }

    /// Whether groups are to be scraped.
    pub(super) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    /// Carries out a push; the labels of the group whose metrics it brought, `None` when it brought
    /// none.
    ///
    /// # Errors
    /// It is refused, or cannot be stored; then no metric has changed.
    fn push(&self, request: &RawPush, ttl: Option<Duration>) -> Result<Option<Labels>, Error> {
        let refused = |err: PushError| {
            self.refused.inc();
            Error::bad_data(err.to_string())
        };
        let PushRules { names, unchecked } = self.rules;
        let key = GroupKey::from_path(&request.path, names).map_err(refused)?;
        if request.verb == PushVerb::Delete {
            self.delete(&[key])?;
            self.taken.inc();
            return Ok(None);
        }
        let ttl = asked_ttl(&request.ttl)?.or(ttl).filter(|ttl| !ttl.is_zero());
        let _turn = lock(&self.turn);
        let body = Body {
            content_type: &request.content_type,
            content_encoding: &request.content_encoding,
            bytes: &request.body,
        };
        let pushed = push::read(&body, names).map_err(refused)?;
        let replaces = request.verb == PushVerb::Replace;
        let mut groups = self.current();
        let now = self.clock.now();
        let push = Push { pushed, replaces, ttl };
        let planned = match unchecked {
            true => groups.plan_unchecked(&key, push, now),
            false => groups.plan(&key, push, now),
        };
        match planned {
            Ok(group) => {
                let labels = key.labels();
                self.store(&mut groups, key, group)?;
                self.taken.inc();
                Ok(Some(labels))
            }
            Err(err) => {
                let noted = groups.plan_failure(&key, ttl, now).filter(|_| err.is_noted());
                if let Some(group) = noted {
                    self.store(&mut groups, key, group)?;
                }
                if unchecked && err.is_noted() {
                    tracing::warn!(%err, path = request.path, "a push is not kept");
                    self.refused.inc();
                    return Ok(None);
                }
                Err(refused(err))
            }
        }
    }

    /// First on the disk, then in force.
    fn store(&self, groups: &mut Groups, key: GroupKey, group: Group) -> Result<(), Error> {
        let (table, row) = (Table::PushGroup, row_key(&key));
        let op = StateOp::Put { table, key: row, value: to_row(&key, &group) };
        self.state.apply(&[op]).map_err(not_stored)?;
        groups.put(key, group);
        self.is_used.store(true, Ordering::Relaxed);
        self.count(groups);
        Ok(())
    }

    fn delete(&self, keys: &[GroupKey]) -> Result<(), Error> {
        let mut groups = self.lock();
        self.delete_from(&mut groups, keys)
    }

    fn delete_from(&self, groups: &mut Groups, keys: &[GroupKey]) -> Result<(), Error> {
        let there = keys.iter().filter(|key| groups.get(key).is_some());
        let delete = |key| StateOp::Delete { table: Table::PushGroup, key: row_key(key) };
        let ops: Vec<StateOp> = there.map(delete).collect();
        self.state.apply(&ops).map_err(not_stored)?;
        for key in keys {
            groups.remove(key);
        }
        self.count(groups);
        Ok(())
    }

    /// Deletes all groups.
    fn wipe(&self) -> Result<(), Error> {
        let mut groups = self.lock();
        let keys: Vec<GroupKey> = groups.iter().map(|(key, _)| key.clone()).collect();
        self.delete_from(&mut groups, &keys)
    }

    fn list(&self) -> Vec<PushGroup> {
        self.current().iter().map(|(key, group)| forms::push_group(key, group)).collect()
    }

    /// The groups whose time is not over; the others are deleted.
    fn current(&self) -> MutexGuard<'_, Groups> {
        let mut groups = self.lock();
        let over = groups.expired(self.clock.now());
        if !over.is_empty()
            && let Err(err) = self.delete_from(&mut groups, &over)
        {
            // They are over all the same, and deleted by the next one who looks after a restart.
            tracing::warn!(%err, "cannot delete pushed groups whose time is over");
            for key in &over {
                groups.remove(key);
            }
        }
        self.count(&groups);
        groups
    }

    fn count(&self, groups: &Groups) {
        self.held.set(f64::from(u32::try_from(groups.len()).unwrap_or(u32::MAX)));
    }

    fn lock(&self) -> MutexGuard<'_, Groups> {
        lock(&self.groups)
    }
}

impl LocalTarget for Pushing {
    fn gather(&self) -> Vec<Family> {
        self.current().gather()
    }
}

impl Service {
    /// Carries out a push, and begins to scrape groups when it is the first.
    pub(super) fn take_push(&self, request: &RawPush) -> Result<(), Error> {
        let parts = self.running()?;
        let ttl = self.config.load().config.push_ttl;
        let was_used = parts.pushing.is_used();
        let done = parts.pushing.push(request, ttl);
        if let Ok(Some(labels)) = &done {
            parts.alerting.push_taken(labels.clone());
        }
        if !was_used && parts.pushing.is_used() {
            self.apply_jobs(parts);
        }
        self.revision.bump();
        done.map(drop)
    }

    /// All groups, by key.
    pub(super) fn push_list(&self) -> Result<Vec<PushGroup>, Error> {
        Ok(self.running()?.pushing.list())
    }

    /// All groups as text.
    pub(super) fn push_metrics(&self) -> Result<String, Error> {
        Ok(text(&self.running()?.pushing.gather()))
    }

    /// Deletes all groups.
    pub(super) fn push_wipe(&self) -> Result<(), Error> {
        let done = self.running()?.pushing.wipe();
        self.revision.bump();
        done
    }
}

/// Families as the Pushgateway exposes them: `instance` is there even when it is empty, so that who
/// scrapes them with `honor_labels` puts in none of their own.
fn text(families: &[Family]) -> String {
    let mut printer = Printer::new();
    for family in families {
        printer.family(&family.name, &family.help, family.kind);
        for sample in &family.samples {
            let mut labels: BTreeMap<&str, &str> = BTreeMap::from([("instance", "")]);
            labels.extend(&sample.labels);
            printer.sample_of(sample.suffix, labels, sample.value);
        }
    }
    printer.finish()
}

/// The time to live that a push asks for; `None` when it does not.
fn asked_ttl(text: &str) -> Result<Option<Duration>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let seconds = text.parse().ok().and_then(|text| Duration::try_from_secs_f64(text).ok());
    let asked = seconds.or_else(|| duration::parse(text).ok());
    let wrong = || {
        let text = value_text::quoted(text);
        Error::bad_data(format!("cannot read the time to live {text}; write 30m, or seconds"))
    };
    asked.map(Some).ok_or_else(wrong)
}

/// A sender tries again later what could not be stored now.
fn not_stored(err: crate::storage::Error) -> Error {
    Error::new(ErrorKind::Busy, err.with_causes())
}
