//! When a target is asked: a stable place inside the interval, and snapped timestamps.

use crate::model::{Labels, Timestamp};
use std::time::Duration;

/// T1: a scrape's start is moved to its tick when it is at most this late.
const SNAP_MS_MAX: i64 = 2;

/// A scrape soon after the start is added when the first tick is further away, so that a long
/// interval shows data within ten seconds too.
const FIRST_WAIT_MS_MAX: i64 = 5_000;

/// An added scrape this close to the tick would only be the same one twice.
const FIRST_GAP_MS_MIN: i64 = 1_000;

/// Ticks lie so far apart, or a quarter of the interval: targets that share one are asked in one
/// go. On a host that has other things to do, to be woken for one target, with all its code and
/// series in no cache, costs more than the scrape itself.
const GRID_MS: i64 = 250;

/// The ticks of one target: all instants that are `offset` past a multiple of the interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    interval_ms: i64,
    offset_ms: i64,
}

impl Schedule {
    /// T1: the offset comes from the target's identity and the server's seed, so that it is the
    /// same after a restart and targets spread over the interval. The seed alone says where between
    /// two ticks of a whole second the server's grid lies.
    pub(super) fn new(labels: &Labels, url: &str, server_seed: u64, interval: Duration) -> Self {
        let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
        let hash = mixed(fnv(labels, url) ^ server_seed);
        let grid = GRID_MS.min(interval_ms / 4).max(1).unsigned_abs();
        let place = hash % interval_ms.unsigned_abs() / grid * grid;
        let offset = (place + mixed(server_seed) % grid) % interval_ms.unsigned_abs();
        Self { interval_ms, offset_ms: i64::try_from(offset).unwrap_or(0) }
    }

    /// The first tick after `now`.
    pub(super) const fn tick_after(&self, now: Timestamp) -> Timestamp {
        let now = now.as_millis();
        let into = now.wrapping_sub(self.offset_ms).rem_euclid(self.interval_ms);
        Timestamp::from_millis(now.saturating_add(self.interval_ms - into))
    }

    /// The tick after `tick`, whole intervals later when scrapes overran or the clock went on;
    /// from `now` when the clock was set back.
    pub(super) const fn next(&self, tick: Timestamp, now: Timestamp) -> Timestamp {
        let late_ms = now.millis_since(tick);
        if late_ms < 0 && late_ms > -self.interval_ms {
            return self.tick_after(tick);
        }
        self.tick_after(now)
    }

    /// The first scrape of a new loop: its tick, or an earlier instant, spread by the offset,
    /// when the tick is far away.
    pub(super) const fn first(&self, now: Timestamp) -> Timestamp {
        let tick = self.tick_after(now);
        if tick.millis_since(now) <= FIRST_WAIT_MS_MAX {
            return tick;
        }
        let early = now.plus_millis(self.offset_ms % FIRST_WAIT_MS_MAX);
        if tick.millis_since(early) < FIRST_GAP_MS_MIN { tick } else { early }
    }

    /// The timestamp of a scrape that began at `now` for `tick`.
    pub(super) const fn snapped(&self, tick: Timestamp, now: Timestamp) -> Timestamp {
        let percent = self.interval_ms / 100;
        let tolerance = if percent < SNAP_MS_MAX { percent } else { SNAP_MS_MAX };
        let late = now.millis_since(tick);
        if late >= -tolerance && late <= tolerance { tick } else { now }
    }

    /// The interval in milliseconds.
    pub(super) const fn interval_ms(&self) -> i64 {
        self.interval_ms
    }
}

/// FNV-1a: it must be the same in every build, which no hasher of the library promises.
fn fnv(labels: &Labels, url: &str) -> u64 {
    let mut hash = labels.fingerprint().bits();
    for byte in url.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash
}

/// splitmix64's finish: FNV alone leaves neighbouring addresses in neighbouring places.
const fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn schedule(instance: &str, seed: u64, seconds: u64) -> Schedule {
        let labels = Labels::from_pairs([("job", "j"), ("instance", instance)]);
        let url = format!("http://{instance}/metrics");
        Schedule::new(&labels, &url, seed, Duration::from_secs(seconds))
    }

    #[test]
    fn t1_the_offset_is_stable_and_spreads() {
        let one = schedule("a:1", 7, 60);
        assert_eq!(one, schedule("a:1", 7, 60));
        assert_ne!(one, schedule("a:1", 8, 60), "the seed moves it");
        // 1000 neighbouring addresses over 60 places: each quarter holds about a quarter.
        let mut quarters = [0; 4];
        for port in 0..1000 {
            let offset = schedule(&format!("10.0.0.1:{port}"), 7, 60).offset_ms;
            quarters[usize::try_from(offset / 15_000).expect("small")] += 1;
        }
        assert!(quarters.iter().all(|count| (180..320).contains(count)), "{quarters:?}");
    }

    #[test]
    fn t1_targets_of_one_server_share_ticks() {
        let ticks = |seed: u64, seconds: u64| -> BTreeSet<i64> {
            let all = (0..500).map(|port| schedule(&format!("h:{port}"), seed, seconds).offset_ms);
            all.collect()
        };
        for seed in [1, 2, 3] {
            assert_eq!(ticks(seed, 1).len(), 4);
            assert_eq!(ticks(seed, 15).len(), 60);
            let within: BTreeSet<i64> =
                ticks(seed, 15).into_iter().map(|offset| offset % GRID_MS).collect();
            assert_eq!(within.len(), 1);
        }
        assert!(ticks(1, 1) != ticks(2, 1), "another server asks at other times");
    }

    #[test]
    fn t1_scrapes_are_snapped_within_two_milliseconds_or_one_percent() {
        let at = Timestamp::from_millis;
        for (interval, late, snaps) in
            [(15, 0, true), (15, 2, true), (15, 3, false), (15, -2, true), (15, 700, false)]
        {
            let schedule = Schedule { interval_ms: interval * 1000, offset_ms: 0 };
            let expected = if snaps { at(30_000) } else { at(30_000 + late) };
            assert_eq!(schedule.snapped(at(30_000), at(30_000 + late)), expected, "{late}");
        }
        let fast = Schedule { interval_ms: 100, offset_ms: 0 };
        assert_eq!(fast.snapped(at(1000), at(1001)), at(1000));
        assert_eq!(fast.snapped(at(1000), at(1002)), at(1002), "one percent of 100 ms");
    }

    #[test]
    fn t1_skipped_ticks_advance_by_whole_intervals() {
        let at = Timestamp::from_millis;
        let schedule = Schedule { interval_ms: 10_000, offset_ms: 3_000 };
        assert_eq!(schedule.tick_after(at(0)), at(3_000));
        assert_eq!(schedule.tick_after(at(3_000)), at(13_000));
        assert_eq!(schedule.next(at(13_000), at(13_001)), at(23_000));
        assert_eq!(schedule.next(at(13_000), at(12_999)), at(23_000), "woken a little early");
        assert_eq!(schedule.next(at(13_000), at(44_000)), at(53_000));
    }

    #[test]
    fn t86_a_clock_that_is_set_causes_no_burst() {
        let at = Timestamp::from_millis;
        let schedule = Schedule { interval_ms: 10_000, offset_ms: 3_000 };
        for now in [1_000_000, -1_000_000] {
            let next = schedule.next(at(13_000), at(now));
            assert!((1..=10_000).contains(&next.millis_since(at(now))), "{now}");
        }
    }

    #[test]
    fn a_long_interval_is_scraped_once_soon_after_the_start() {
        let schedule = Schedule { interval_ms: 60_000, offset_ms: 58_000 };
        let now = Timestamp::from_millis(600_000);
        assert_eq!(schedule.first(now), now.plus_millis(3_000));
        let close = Schedule { interval_ms: 60_000, offset_ms: 54_999 };
        let tick = Timestamp::from_millis(655_000);
        let before = tick.plus_millis(-5_001);
        assert_eq!(close.first(before), tick.plus_millis(-1), "not twice within a second");
        let short = Schedule { interval_ms: 5_000, offset_ms: 4_000 };
        assert_eq!(short.first(now), now.plus_millis(4_000));
    }
}
