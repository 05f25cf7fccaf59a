//! Exemplars: the newest of all series together, in memory, in order within a series.
//!
//! A commit puts them here without waiting for a disk; `Catalog::save_exemplars` writes what is
//! new with each checkpoint, and a crash loses the rest, which is harmless.
//!
//! Source: prometheus, tsdb/exemplar.go.

use super::error::Result;
use crate::model::{Exemplar, Labels, Matcher, TimeRange, Timestamp};
use crate::sys::locks::lock;
use crate::sys::metrics::{Cell, Registry};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

/// Bytes for each exemplar that may be kept, on average: a sender of long labels has room for
/// fewer, not more memory.
const BYTES_EACH: usize = 1 << 10;

/// What an exemplar takes beside its labels, and a series beside its own.
const EXEMPLAR_BYTES: usize = 128;
const SERIES_BYTES: usize = 384;

/// Why one is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// The newest of its series again.
    Duplicate,
    /// Before the newest of its series.
    OutOfOrder,
    /// Too many characters.
    TooLong,
    /// Ahead of the clock: it would keep all later ones of its series away.
    TooFarAhead,
}

/// Every reason, with the label value that stands for it.
const REASONS: [(Refusal, &str); 4] = [
    (Refusal::Duplicate, "duplicate"),
    (Refusal::OutOfOrder, "out_of_order"),
    (Refusal::TooLong, "too_long"),
    (Refusal::TooFarAhead, "too_far_ahead"),
];

/// One that is kept, with its number: they rise in order of arrival.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Numbered {
    pub(super) number: i64,
    pub(super) series: Labels,
    pub(super) exemplar: Exemplar,
}

/// All that are kept.
#[derive(Debug)]
pub(super) struct Exemplars {
    kept: Mutex<Kept>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Kept {
    max: usize,
    /// The series of each, in order of arrival.
    order: VecDeque<Labels>,
    /// Those of each series, with their numbers.
    series: HashMap<Labels, VecDeque<(i64, Exemplar)>>,
    bytes: usize,
    /// The number of the next.
    next: i64,
    /// The database has those from the first of these numbers up to before the second.
    saved: (i64, i64),
}

#[derive(Debug)]
struct Metrics {
    appended: Cell,
    in_storage: Cell,
    series: Cell,
    oldest_seconds: Cell,
    out_of_order: Cell,
    max: Cell,
    refused: [(Refusal, Cell); 4],
}

impl Exemplars {
    /// At most `max`, beginning with those of a database.
    pub(super) fn new(max: usize, saved: Vec<Numbered>, registry: &Registry) -> Self {
        let mut kept = Kept { max, ..Kept::default() };
        let first = saved.first().map_or(0, |one| one.number);
        kept.next = first;
        for one in saved {
            kept.next = one.number;
            kept.push(one.series, one.exemplar);
        }
        kept.saved = (first, kept.next);
        let made = Self { kept: Mutex::new(kept), metrics: Metrics::register(registry) };
        made.metrics.show(&made.kept());
        made
    }

    /// Keeps at most `max` from now on.
    pub(super) fn set_max(&self, max: usize) {
        let mut kept = self.kept();
        kept.max = max;
        kept.shrink();
        self.metrics.show(&kept);
    }

    /// Takes what a commit brought, each with its series; none may be after `newest`. Answers how
    /// many are kept, also from before, and how many were out of order.
    pub(super) fn add(
        &self,
        brought: Vec<(Labels, Exemplar)>,
        newest: Timestamp,
    ) -> (usize, usize) {
        let mut kept = self.kept();
        if kept.max == 0 {
            return (0, 0);
        }
        let (mut taken, mut out_of_order) = (0, 0);
        for (series, exemplar) in brought {
            match kept.refusal(&series, &exemplar, newest) {
                None => {
                    kept.push(series, exemplar);
                    self.metrics.appended.inc();
                    taken += 1;
                }
                Some(why) => {
                    taken += usize::from(why == Refusal::Duplicate);
                    out_of_order += usize::from(why == Refusal::OutOfOrder);
                    self.metrics.refused(why);
                }
            }
        }
        self.metrics.show(&kept);
        (taken, out_of_order)
    }

    /// Those in `range` of series that one of `selectors` selects, by series.
    pub(super) fn select(
        &self,
        range: TimeRange,
        selectors: &[Vec<Matcher>],
    ) -> Vec<(Labels, Vec<Exemplar>)> {
        let kept = self.kept();
        let wanted = |series: &Labels| {
            selectors.iter().any(|list| list.iter().all(|matcher| matcher.matches(series)))
        };
        let inside = |list: &VecDeque<(i64, Exemplar)>| {
            let all = list.iter().map(|(_, exemplar)| exemplar);
            all.filter(|one| range.contains(one.ts)).cloned().collect::<Vec<_>>()
        };
        let series = kept.series.iter().filter(|(series, _)| wanted(series));
        let mut found: Vec<_> = series.map(|(one, list)| (one.clone(), inside(list))).collect();
        drop(kept);
        found.retain(|(_, exemplars)| !exemplars.is_empty());
        found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        found
    }

    /// Calls `write` with the number of the oldest and all that came since the last time, if
    /// anything has changed.
    ///
    /// # Errors
    /// `write` failed; the next call tries again.
    pub(super) fn save(&self, write: impl FnOnce(i64, &[Numbered]) -> Result<()>) -> Result<()> {
        let (first, next, new) = {
            let kept = self.kept();
            let bounds = (kept.first(), kept.next);
            if bounds == kept.saved {
                return Ok(());
            }
            (bounds.0, bounds.1, kept.since(kept.saved.1))
        };
        write(first, &new)?;
        self.kept().saved = (first, next);
        Ok(())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

impl Kept {
    fn refusal(&self, series: &Labels, new: &Exemplar, latest: Timestamp) -> Option<Refusal> {
        if new.is_too_long() {
            return Some(Refusal::TooLong);
        }
        if new.ts > latest {
            return Some(Refusal::TooFarAhead);
        }
        let (_, newest) = self.series.get(series)?.back()?;
        if newest.is_same(new) {
            return Some(Refusal::Duplicate);
        }
        // At one time they come in order of value: buckets of one histogram.
        let by_value = || new.value.total_cmp(&newest.value);
        let by_labels = || new.labels.cmp(&newest.labels);
        let order = new.ts.cmp(&newest.ts).then_with(by_value).then_with(by_labels);
        order.is_lt().then_some(Refusal::OutOfOrder)
    }

    fn push(&mut self, series: Labels, exemplar: Exemplar) {
        self.bytes += EXEMPLAR_BYTES + exemplar.labels.byte_len();
        let number = self.next;
        self.next += 1;
        self.order.push_back(series.clone());
        let series_bytes = SERIES_BYTES + series.byte_len();
        let list = self.series.entry(series).or_default();
        self.bytes += if list.is_empty() { series_bytes } else { 0 };
        list.push_back((number, exemplar));
        self.shrink();
    }

    /// The oldest go until the rest fits.
    fn shrink(&mut self) {
        let bytes_max = self.max.saturating_mul(BYTES_EACH);
        while self.order.len() > self.max || self.bytes > bytes_max {
            let Some(series) = self.order.pop_front() else { return };
            let Some(list) = self.series.get_mut(&series) else { continue };
            if let Some((_, gone)) = list.pop_front() {
                self.bytes -= EXEMPLAR_BYTES + gone.labels.byte_len();
            }
            if list.is_empty() {
                self.bytes -= SERIES_BYTES + series.byte_len();
                self.series.remove(&series);
            }
        }
    }

    /// The number of the oldest, or of the next when there is none.
    fn first(&self) -> i64 {
        let len = i64::try_from(self.order.len()).unwrap_or(i64::MAX);
        self.next.saturating_sub(len)
    }

    /// Those from `number` on.
    fn since(&self, number: i64) -> Vec<Numbered> {
        let skipped = usize::try_from(number.saturating_sub(self.first())).unwrap_or(0);
        let numbers = self.first().max(number)..;
        let one = |(number, series): (i64, &Labels)| {
            let list = self.series.get(series)?;
            let place = list.binary_search_by_key(&number, |(number, _)| *number).ok()?;
            let exemplar = list.get(place)?.1.clone();
            Some(Numbered { number, series: series.clone(), exemplar })
        };
        numbers.zip(self.order.iter().skip(skipped)).filter_map(one).collect()
    }

    fn oldest(&self) -> Option<&Exemplar> {
        self.series.get(self.order.front()?)?.front().map(|(_, exemplar)| exemplar)
    }
}

impl Metrics {
    fn register(to: &Registry) -> Self {
        let name = |name: &str| format!("prometheus_tsdb_exemplar_{name}");
        let counter = |text: &str, help| to.counter(&name(text), help, &[]);
        let gauge = |text: &str, help| to.gauge(&name(text), help, &[]);
        let refused = REASONS.map(|(why, reason)| {
            let name = "watchbell_storage_exemplars_refused_total";
            (why, to.counter(name, "Exemplars not kept, by reason.", &[("reason", reason)]))
        });
        Self {
            appended: counter("exemplars_appended_total", "Exemplars taken."),
            in_storage: gauge("exemplars_in_storage", "Exemplars."),
            series: gauge("series_with_exemplars_in_storage", "Series that have exemplars."),
            oldest_seconds: gauge("last_exemplars_timestamp_seconds", "The oldest exemplar."),
            out_of_order: counter(
                "out_of_order_exemplars_total",
                "Exemplars refused as out of order.",
            ),
            max: gauge("max_exemplars", "Exemplars at most."),
            refused,
        }
    }

    fn refused(&self, why: Refusal) {
        if why == Refusal::OutOfOrder {
            self.out_of_order.inc();
        }
        if let Some((_, cell)) = self.refused.iter().find(|(reason, _)| *reason == why) {
            cell.inc();
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts and times are far below 2^52")]
    fn show(&self, kept: &Kept) {
        self.in_storage.set(kept.order.len() as f64);
        self.series.set(kept.series.len() as f64);
        self.max.set(kept.max as f64);
        let oldest = kept.oldest().map_or(0, |oldest| oldest.ts.as_millis());
        self.oldest_seconds.set(oldest as f64 / 1000.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str) -> Labels {
        Labels::from_pairs([("__name__", "m"), ("s", name)])
    }

    fn exemplar(id: &str, ts: i64, value: f64) -> Exemplar {
        let labels = Labels::from_pairs([("id", id)]);
        Exemplar { labels, value, ts: Timestamp::from_millis(ts), has_own_ts: true }
    }

    fn value_of(registry: &Registry, name: &str, reason: &str) -> f64 {
        let labels = [("reason", reason)];
        registry.counter(name, "", if reason.is_empty() { &[] } else { &labels }).get()
    }

    fn add(to: &Exemplars, list: &[(&str, &str, i64, f64)]) {
        let one = |(name, id, ts, value): &(&str, &str, i64, f64)| {
            (series(name), exemplar(id, *ts, *value))
        };
        to.add(list.iter().map(one).collect(), Timestamp::from_millis(1_000));
    }

    fn ids(of: &Exemplars) -> String {
        let all = [Vec::new()];
        let mut text = String::new();
        for (labels, list) in of.select(TimeRange::ALL, &all) {
            let list: Vec<_> = list.iter().map(|one| one.labels.value_of("id")).collect();
            text.push_str(&format!("{}:{} ", labels.value_of("s"), list.join(",")));
        }
        text.trim_end().to_owned()
    }

    /// Source of the expectations: prometheus, tsdb/exemplar_test.go.
    #[test]
    fn a_series_takes_them_in_order_and_each_once() {
        let registry = Registry::new();
        let kept = Exemplars::new(10, Vec::new(), &registry);
        let long = "x".repeat(127);
        for (new, expected, refused) in [
            (("a", "1", 5, 0.1), "a:1", ""),
            (("a", "1", 5, 0.1), "a:1", "duplicate"),
            (("a", "2", 4, 0.1), "a:1", "out_of_order"),
            (("a", "2", 5, 0.05), "a:1", "out_of_order"),
            (("a", "2", 5, 0.2), "a:1,2", ""),
            (("b", "1", 1, 9.0), "a:1,2 b:1", ""),
            (("a", "3", 2_000, 1.0), "a:1,2 b:1", "too_far_ahead"),
            (("a", &long, 9, 1.0), "a:1,2 b:1", "too_long"),
        ] {
            let name = "watchbell_storage_exemplars_refused_total";
            let before = value_of(&registry, name, refused);
            add(&kept, &[new]);
            assert_eq!(ids(&kept), expected, "{new:?}");
            if !refused.is_empty() {
                assert_eq!(value_of(&registry, name, refused), before + 1.0, "{new:?}");
            }
        }
        let total = |name: &str| value_of(&registry, &format!("prometheus_tsdb_{name}"), "");
        assert_eq!(total("exemplar_exemplars_appended_total"), 3.0);
        assert_eq!(total("exemplar_out_of_order_exemplars_total"), 2.0);
    }

    #[test]
    fn the_oldest_of_all_go_first_and_the_maximum_may_change() {
        let registry = Registry::new();
        let kept = Exemplars::new(3, Vec::new(), &registry);
        add(&kept, &[("a", "1", 1, 0.0), ("b", "1", 9, 0.0), ("a", "2", 2, 0.0)]);
        add(&kept, &[("b", "2", 10, 0.0)]);
        assert_eq!(ids(&kept), "a:2 b:1,2");
        kept.set_max(1);
        assert_eq!(ids(&kept), "b:2");
        kept.set_max(0);
        add(&kept, &[("c", "1", 1, 0.0)]);
        assert_eq!(ids(&kept), "", "none are kept");
        kept.set_max(2);
        add(&kept, &[("c", "1", 1, 0.0), ("c", "2", 2, 0.0), ("c", "3", 3, 0.0)]);
        assert_eq!(ids(&kept), "c:2,3");
        let gauge = |name: &str| registry.gauge(&format!("prometheus_tsdb_{name}"), "", &[]).get();
        assert_eq!(gauge("exemplar_exemplars_in_storage"), 2.0);
        assert_eq!(gauge("exemplar_series_with_exemplars_in_storage"), 1.0);
        assert_eq!(gauge("exemplar_max_exemplars"), 2.0);
        assert_eq!(gauge("exemplar_last_exemplars_timestamp_seconds"), 0.002);
    }

    #[test]
    fn long_labels_of_series_do_not_take_more_memory() {
        let kept = Exemplars::new(100, Vec::new(), &Registry::new());
        for n in 0..100 {
            let series = Labels::from_pairs([("s", format!("{n:04000}"))]);
            kept.add(vec![(series, exemplar("1", 1, 0.0))], Timestamp::MAX);
        }
        let inside = kept.kept();
        assert!(inside.bytes <= 100 << 10 && inside.order.len() >= 20, "{}", inside.bytes);
        let labels: usize = inside.series.keys().map(Labels::byte_len).sum();
        assert!(labels <= inside.bytes, "what is counted is what is held");
        drop(inside);
        kept.set_max(0);
        assert_eq!(kept.kept().bytes, 0, "all that was added was taken off");
    }

    #[test]
    fn selectors_and_the_range_choose() {
        let kept = Exemplars::new(10, Vec::new(), &Registry::new());
        add(&kept, &[("a", "1", 1, 0.0), ("a", "2", 5, 0.0), ("b", "3", 9, 0.0)]);
        let at = Timestamp::from_millis;
        let found = |from: i64, to: i64, names: &[&str]| {
            let lists: Vec<_> = names.iter().map(|name| vec![Matcher::equal("s", *name)]).collect();
            let found = kept.select(TimeRange::new(at(from), at(to)).unwrap(), &lists);
            found.into_iter().map(|(_, list)| list.len()).collect::<Vec<_>>()
        };
        assert_eq!(found(0, 10, &["a"]), [2]);
        assert_eq!(found(5, 9, &["b", "a"]), [1, 1], "both ends belong to the range");
        assert_eq!(found(6, 8, &["a", "b"]), [0; 0]);
        assert_eq!(found(0, 10, &[]), [0; 0]);
    }

    #[test]
    fn only_what_is_new_is_written_and_all_of_it_comes_back() {
        let kept = Exemplars::new(3, Vec::new(), &Registry::new());
        let mut rows: Vec<Numbered> = Vec::new();
        let mut save = |kept: &Exemplars| {
            let mut count = None;
            let write = |first: i64, new: &[Numbered]| {
                count = Some(new.len());
                rows.retain(|row| row.number >= first);
                rows.extend(new.iter().cloned());
                Ok(())
            };
            kept.save(write).unwrap();
            (count, rows.clone())
        };
        add(&kept, &[("a", "1", 1, 0.0), ("b", "1", 1, 0.0)]);
        assert_eq!(save(&kept).0, Some(2));
        assert_eq!(save(&kept).0, None, "nothing has changed");
        add(&kept, &[("a", "2", 2, 0.0), ("a", "3", 3, 0.0)]);
        let (count, rows) = save(&kept);
        assert_eq!((count, rows.len()), (Some(2), 3));
        let again = Exemplars::new(3, rows.clone(), &Registry::new());
        assert_eq!(ids(&again), ids(&kept));
        assert_eq!(again.kept().saved, kept.kept().saved);
        let fewer = Exemplars::new(2, rows, &Registry::new());
        assert_eq!(ids(&fewer), "a:2,3");
        let refused = |_: i64, _: &[Numbered]| {
            Err(super::super::Error::Newer { path: "x".into(), found: 2, known: 1 })
        };
        assert!(fewer.save(refused).is_err());
        let mut told = None;
        fewer
            .save(|first, new| {
                told = Some((first, new.len()));
                Ok(())
            })
            .unwrap();
        assert_eq!(told, Some((2, 0)), "what failed is tried again");
    }
}
