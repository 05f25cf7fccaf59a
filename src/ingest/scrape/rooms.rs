//! Memory that one scrape hands to the next: to ask the system for it anew each time, and to have
//! it cleared page by page, would cost as much as to read the lines.

use super::worker::SHORT_BYTES_MAX;
use crate::storage::append::AppendSample;
use crate::sys::locks::lock;
use bytes::Bytes;
use std::sync::Mutex;

/// Pieces of each kind that are kept: as many as scrapes are usually under way at once.
const KEPT_MAX: usize = 4;
/// Samples that a kept list has room for at most.
const SAMPLES_MAX: usize = 1 << 15;

/// Memory that waits for the next scrape.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    bodies: Mutex<Vec<Vec<u8>>>,
    samples: Mutex<Vec<Vec<AppendSample>>>,
}

impl Rooms {
    /// Memory for a body; perhaps none.
    pub(super) fn body(&self) -> Vec<u8> {
        take(&self.bodies)
    }

    /// A body that nobody needs any more.
    pub(super) fn body_done(&self, body: Bytes) {
        let body = Vec::from(body);
        let is_short = body.capacity() <= SHORT_BYTES_MAX;
        keep(&self.bodies, body, is_short);
    }

    /// An empty list with room for so many samples.
    pub(super) fn samples(&self, count: usize) -> Vec<AppendSample> {
        let mut samples = take(&self.samples);
        samples.reserve(count);
        samples
    }

    /// Samples that nobody needs any more.
    pub(super) fn samples_done(&self, mut samples: Vec<AppendSample>) {
        samples.clear();
        let is_short = samples.capacity() <= SAMPLES_MAX;
        keep(&self.samples, samples, is_short);
    }
}

fn take<T>(kept: &Mutex<Vec<Vec<T>>>) -> Vec<T> {
    lock(kept).pop().unwrap_or_default()
}

fn keep<T>(kept: &Mutex<Vec<Vec<T>>>, room: Vec<T>, is_short: bool) {
    let mut kept = lock(kept);
    if is_short && room.capacity() > 0 && kept.len() < KEPT_MAX {
        kept.push(room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_unless_there_is_much_of_it() {
        let rooms = Rooms::default();
        for (len, expected) in [(1000, 1000), (SHORT_BYTES_MAX + 1, 0)] {
            let mut body = Vec::with_capacity(len);
            body.push(b'x');
            rooms.body_done(body.into());
            assert_eq!(rooms.body().capacity(), expected);
        }
        rooms.samples_done(Vec::with_capacity(SAMPLES_MAX + 1));
        assert_eq!(rooms.samples(7).capacity(), 7);
        for _ in 0..2 * KEPT_MAX {
            rooms.samples_done(Vec::with_capacity(10));
        }
        assert_eq!(rooms.samples.lock().expect("not poisoned").len(), KEPT_MAX);
    }
}
