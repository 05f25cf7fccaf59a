//! Flapping: an alert that comes and goes is told once, and its end when it has come to rest.

use super::engine::Moment;
use super::held::{TURNS_MAX, Uptime};
use crate::model::{Labels, Matcher};
use std::collections::VecDeque;
use std::time::Duration;

/// What counts as flapping, and for whom. Nothing of it holds back a first firing.
#[derive(Clone, Debug, PartialEq)]
pub struct Damping {
    /// Only routes to this receiver.
    pub receiver: Option<String>,
    /// Only alerts that all of these match.
    pub matchers: Vec<Matcher>,
    /// So many turns from firing to resolved or back are flapping, at least 2 and at most 32.
    pub changes: usize,
    /// Within this time.
    pub within: Duration,
    /// It ends after this long without a turn.
    pub stable: Duration,
}

impl Damping {
    /// The most turns that it can ask for.
    pub const CHANGES_MAX: usize = TURNS_MAX;

    pub(super) fn applies(&self, receiver: &str, labels: &Labels) -> bool {
        self.receiver.as_deref().is_none_or(|name| name == receiver)
            && self.matchers.iter().all(|matcher| matcher.matches(labels))
    }
}

/// Whether these turns, the latest last, are flapping at `now`. What was before a rest counts no
/// more.
pub(super) fn is_flapping(turns: &VecDeque<Uptime>, damping: &Damping, now: Moment) -> bool {
    let (mut flapping, mut rested) = (false, 0);
    let mut before: Option<Uptime> = None;
    for (place, at) in turns.iter().enumerate() {
        if before.is_some_and(|before| at.since(before) >= damping.stable) {
            (flapping, rested) = (false, place);
        }
        let first = (place + 1).checked_sub(damping.changes).filter(|first| *first >= rested);
        let first = first.and_then(|first| turns.get(first));
        flapping |= first.is_some_and(|first| at.since(*first) <= damping.within);
        before = Some(*at);
    }
    flapping && before.is_some_and(|last| Uptime::of(now).since(last) < damping.stable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn flapping_begins_with_enough_turns_and_ends_with_a_rest() {
        let damping = Damping {
            receiver: None,
            matchers: Vec::new(),
            changes: 4,
            within: Duration::from_secs(100),
            stable: Duration::from_secs(50),
        };
        let moment = |at: u64| Moment { wall: Timestamp::EPOCH, elapsed: Duration::from_secs(at) };
        for (turns, now, expected) in [
            (&[][..], 10, false),
            (&[0, 10, 20], 20, false),
            (&[0, 10, 20, 30], 30, true),
            (&[0, 10, 20, 30], 79, true),
            (&[0, 10, 20, 30], 80, false),
            (&[0, 60, 90, 101], 101, false),
            // Slower, but it has not come to rest since.
            (&[0, 10, 20, 30, 79, 128], 170, true),
            (&[0, 10, 20, 30, 80], 90, false),
        ] {
            let turns = turns.iter().map(|at| Uptime::of(moment(*at))).collect();
            assert_eq!(is_flapping(&turns, &damping, moment(now)), expected, "{turns:?} at {now}");
        }
    }
}
