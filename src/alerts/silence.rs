//! Silences: what people do not want to hear for a while.
//!
//! Source: prometheus/alertmanager, silence/silence.go, api/v2/api.go.

use super::config::{Config, Limits};
use super::error::SilenceError;
use super::matchers::Mode;
use super::record::{self, Record};
use crate::model::{Annotations, Labels, Matcher, SilenceId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The annotation that lets a silence last as long as what it silences: its value is `resolved`.
/// Alertmanager and its clients keep annotations without looking at them.
pub const UNTIL: &str = "watchbell_until";
/// The annotation that lets a silence act only within a time interval of the configuration: its
/// value is the interval's name.
pub const RECURS: &str = "watchbell_recurs";

/// A silence until resolved is made longer when it would end this soon, so that a process that is
/// away for less loses nothing.
const UNTIL_MARGIN: Duration = Duration::from_secs(4 * 60);
/// It lasts this long after that, and at least this long at all.
const UNTIL_SPAN: Duration = Duration::from_secs(5 * 60);
/// It ends after this long, whatever still fires.
const UNTIL_MAX: Duration = Duration::from_secs(24 * 3600);

/// Whether a silence acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SilenceState {
    /// It acts.
    Active,
    /// It will act.
    Pending,
    /// It does not act any more.
    Expired,
}

impl SilenceState {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Expired => "expired",
        }
    }
}

/// A silence that was accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Silence {
    /// Its identity.
    pub id: SilenceId,
    /// All must match.
    pub matchers: Vec<Matcher>,
    /// From when it acts.
    pub starts_at: Timestamp,
    /// Until when it acts; at that instant it no longer does.
    pub ends_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// More about it.
    pub annotations: Annotations,
}

impl Silence {
    /// Whether it acts at `now`.
    pub fn state(&self, now: Timestamp) -> SilenceState {
        if now >= self.ends_at {
            SilenceState::Expired
        } else if now < self.starts_at {
            SilenceState::Pending
        } else {
            SilenceState::Active
        }
    }

    /// Whether it keeps alerts quiet at `now`.
    pub(super) fn acts(&self, now: Timestamp, config: &Config) -> bool {
        self.state(now) == SilenceState::Active
            && self.recurs().is_none_or(|name| config.interval_holds(name, now))
    }

    /// The time interval within which it acts, if there is one.
    pub(super) fn recurs(&self) -> Option<&str> {
        self.annotations.get(RECURS)
    }

    fn is_until_resolved(&self) -> bool {
        self.annotations.get(UNTIL).is_some()
    }

    /// When it has to be looked at, whether it is to last longer.
    fn extended_at(&self, now: Timestamp) -> Option<Timestamp> {
        let can = self.is_until_resolved()
            && self.state(now) == SilenceState::Active
            && self.ends_at < self.starts_at.plus(UNTIL_MAX);
        can.then(|| self.ends_at.minus(UNTIL_MARGIN))
    }

    /// Whether it is about an alert with these labels, at any time.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(labels))
    }
}

/// A silence to make, or to change when it has an identity.
#[derive(Clone, Debug, PartialEq)]
pub struct SilenceDraft {
    /// The silence to change.
    pub id: Option<SilenceId>,
    /// All must match.
    pub matchers: Vec<Matcher>,
    /// From when it acts.
    pub starts_at: Timestamp,
    /// Until when it acts.
    pub ends_at: Timestamp,
    /// Who makes it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// More about it.
    pub annotations: Annotations,
}

impl SilenceDraft {
    /// What Alertmanager refuses whatever else exists; `mode` says what is a label name.
    ///
    /// # Errors
    /// The first fault, in Alertmanager's words.
    pub fn check(&self, now: Timestamp, mode: Mode) -> Result<(), SilenceError> {
        let invalid = |text: &str| Err(SilenceError::Invalid(text.to_owned()));
        if self.starts_at >= self.ends_at {
            return invalid("Failed to create silence: start time must be before end time");
        }
        if self.ends_at < now {
            return invalid("Failed to create silence: end time can't be in the past");
        }
        if self.matchers.is_empty() {
            return invalid("invalid silence: at least one matcher required");
        }
        let bad_name = |(_, matcher): &(usize, &Matcher)| !mode.is_label_name(matcher.name());
        if let Some((place, matcher)) = self.matchers.iter().enumerate().find(bad_name) {
            let name = matcher.name();
            let text = format!(
                "invalid silence: invalid label matcher {place} in set 0: \
                 invalid label name {name:?}"
            );
            return Err(SilenceError::Invalid(text));
        }
        // Upstream counts `!=` and `!~` as not matching it, whatever their value.
        if self.matchers.iter().all(|one| one.op().is_positive() && one.matches_empty()) {
            return invalid(
                "invalid silence: matcher set 0: at least one matcher must not match the \
                 empty string",
            );
        }
        Ok(())
    }

    /// What only watchbell knows of silences.
    fn check_annotations(&self, config: &Config) -> Result<(), SilenceError> {
        let invalid = |text: String| Err(SilenceError::Invalid(format!("invalid silence: {text}")));
        if let Some(until) = self.annotations.get(UNTIL).filter(|until| *until != "resolved") {
            return invalid(format!("unknown {UNTIL} {until:?}; resolved is wanted"));
        }
        match self.annotations.get(RECURS) {
            Some(name) if !config.has_interval(name) => {
                invalid(format!("undefined time interval {name:?} in {RECURS}"))
            }
            _ => Ok(()),
        }
    }

    /// Bytes of its texts: what the size limit counts.
    fn byte_len(&self) -> usize {
        let matchers: usize =
            self.matchers.iter().map(|one| one.name().len() + one.value().len() + 4).sum();
        matchers + self.created_by.len() + self.comment.len() + self.annotations.byte_len()
    }

    fn into_silence(self, id: SilenceId, now: Timestamp) -> Silence {
        let least = match self.annotations.get(UNTIL) {
            Some(_) => self.starts_at.max(now).plus(UNTIL_SPAN),
            None => Timestamp::MIN,
        };
        Silence {
            id,
            matchers: self.matchers,
            starts_at: self.starts_at,
            ends_at: self.ends_at.max(least),
            updated_at: now,
            created_by: self.created_by,
            comment: self.comment,
            annotations: self.annotations,
        }
    }
}

/// All silences, expired ones until their retention ends.
#[derive(Debug, Default)]
pub(super) struct Silences {
    all: BTreeMap<SilenceId, Silence>,
    /// Those that have not ended, as far as has been noticed.
    open: BTreeSet<SilenceId>,
}

impl Silences {
    pub(super) fn get(&self, id: &SilenceId) -> Option<&Silence> {
        self.all.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Silence> {
        self.all.values()
    }

    /// Puts back what was stored, and whether its end is in the history.
    pub(super) fn restore(&mut self, (silence, ended): (Silence, bool)) {
        if !ended {
            self.open.insert(silence.id.clone());
        }
        self.all.insert(silence.id.clone(), silence);
    }

    /// The open ones that recur within a time interval that the configuration does not have: they
    /// never act.
    pub(super) fn without_interval(&self, config: &Config) -> impl Iterator<Item = &Silence> {
        let open = self.open.iter().filter_map(|id| self.all.get(id));
        open.filter(|one| one.recurs().is_some_and(|name| !config.has_interval(name)))
    }

    /// The row of a silence.
    pub(super) fn record(&self, silence: &Silence) -> Record {
        record::write_silence(silence, !self.open.contains(&silence.id))
    }

    /// The wall clock jumped by `millis` to `now`: those that acted go on for as long as before.
    /// Says which. Those to come, and those that recur, keep to the clock.
    pub(super) fn shift(&mut self, millis: i64, now: Timestamp) -> Vec<SilenceId> {
        let mut shifted = Vec::new();
        for id in &self.open {
            let Some(silence) = self.all.get_mut(id) else { continue };
            let acted = silence.state(now.plus_millis(millis.saturating_neg()));
            if acted == SilenceState::Active && silence.recurs().is_none() {
                silence.starts_at = silence.starts_at.plus_millis(millis);
                silence.ends_at = silence.ends_at.plus_millis(millis);
                shifted.push(id.clone());
            }
        }
        shifted
    }

    /// Makes those last longer that are until resolved, would end soon, and silence something that
    /// `fires`; says which. Their `updated_at` stays: nobody has changed them.
    pub(super) fn extend(
        &mut self,
        now: Timestamp,
        fires: impl Fn(&Silence) -> bool,
    ) -> Vec<SilenceId> {
        let mut extended = Vec::new();
        for id in &self.open {
            let Some(silence) = self.all.get_mut(id) else { continue };
            if silence.extended_at(now).is_some_and(|at| at <= now) && fires(silence) {
                silence.ends_at = now.plus(UNTIL_SPAN).min(silence.starts_at.plus(UNTIL_MAX));
                extended.push(id.clone());
            }
        }
        extended
    }

    /// After a time in which nobody looked: those until resolved of which something still `fires`
    /// go on, also where their time was over meanwhile; says which. One whose end is in the
    /// history, or that has lasted for as long as it may, is over.
    pub(super) fn revive(
        &mut self,
        now: Timestamp,
        fires: impl Fn(&Silence) -> bool,
    ) -> Vec<SilenceId> {
        let mut revived = Vec::new();
        for id in &self.open {
            let Some(silence) = self.all.get_mut(id) else { continue };
            let last = silence.starts_at.plus(UNTIL_MAX);
            let is_over = silence.state(now) == SilenceState::Expired;
            if silence.is_until_resolved() && is_over && now < last && fires(silence) {
                silence.ends_at = now.plus(UNTIL_SPAN).min(last);
                revived.push(id.clone());
            }
        }
        revived
    }

    /// When one may have to last longer.
    pub(super) fn next_extension(&self, now: Timestamp) -> Option<Timestamp> {
        let all = self.open.iter().filter_map(|id| self.all.get(id)?.extended_at(now));
        all.filter(|at| *at > now).min()
    }

    /// When the next one begins or ends.
    pub(super) fn next_turn(&self, now: Timestamp) -> Option<Timestamp> {
        let open = self.open.iter().filter_map(|id| self.all.get(id));
        open.flat_map(|one| [one.starts_at, one.ends_at]).filter(|at| *at > now).min()
    }

    /// Whether one has begun since `before`.
    pub(super) fn has_begun_since(&self, before: Timestamp, now: Timestamp) -> bool {
        let mut open = self.open.iter().filter_map(|id| self.all.get(id));
        open.any(|one| one.starts_at > before && one.starts_at <= now)
    }

    /// Those whose time is over since this was last asked.
    pub(super) fn notice_ends(&mut self, now: Timestamp) -> Vec<SilenceId> {
        let all = &self.all;
        let over = |id: &SilenceId| {
            all.get(id).is_none_or(|silence| silence.state(now) == SilenceState::Expired)
        };
        self.open.extract_if(.., |id| over(id)).collect()
    }

    /// Makes or changes a silence; answers with its identity and those that changed.
    ///
    /// A change that would rewrite history expires the old silence and makes a new one.
    pub(super) fn set(
        &mut self,
        draft: SilenceDraft,
        new_id: SilenceId,
        config: &Config,
        now: Timestamp,
    ) -> Result<(SilenceId, Vec<SilenceId>), SilenceError> {
        let limits = &config.limits;
        draft.check(now, config.matcher_mode)?;
        draft.check_annotations(config)?;
        let found = draft.byte_len();
        if limits.silence_bytes_max != 0 && found > limits.silence_bytes_max {
            return Err(SilenceError::TooLarge { found, limit: limits.silence_bytes_max });
        }
        let mut changed = Vec::new();
        if let Some(id) = draft.id.clone().filter(|id| !id.as_str().is_empty()) {
            let old = self.all.get(&id).ok_or_else(|| SilenceError::NotFound(id.clone()))?;
            if can_update(old, self.state(old, now), &draft, now) {
                self.all.insert(id.clone(), draft.into_silence(id.clone(), now));
                return Ok((id.clone(), vec![id]));
            }
            self.check_room(limits)?;
            changed.extend(self.expire(&id, now)?);
        } else {
            self.check_room(limits)?;
        }
        let mut silence = draft.into_silence(new_id.clone(), now);
        silence.starts_at = silence.starts_at.max(now);
        self.all.insert(new_id.clone(), silence);
        self.open.insert(new_id.clone());
        changed.push(new_id.clone());
        Ok((new_id, changed))
    }

    /// Ends a silence; answers with its identity if that changed anything.
    pub(super) fn expire(
        &mut self,
        id: &SilenceId,
        now: Timestamp,
    ) -> Result<Option<SilenceId>, SilenceError> {
        let silence = self.all.get_mut(id).ok_or_else(|| SilenceError::NotFound(id.clone()))?;
        let open = self.open.contains(id);
        match silence.state(now) {
            _ if !open => return Ok(None),
            SilenceState::Expired => return Ok(None),
            SilenceState::Active => silence.ends_at = now,
            SilenceState::Pending => {
                silence.starts_at = now;
                silence.ends_at = now;
            }
        }
        silence.updated_at = now;
        self.open.remove(id);
        Ok(Some(id.clone()))
    }

    /// Silences that act on an alert with these labels.
    pub(super) fn acting_on(
        &self,
        labels: &Labels,
        now: Timestamp,
        config: &Config,
    ) -> impl Iterator<Item = &SilenceId> {
        self.open
            .iter()
            .filter_map(|id| self.all.get(id))
            .filter(move |silence| silence.acts(now, config) && silence.matches(labels))
            .map(|silence| &silence.id)
    }

    /// The state of a silence at `now`. One that has ended stays so when the clock is set back.
    pub(super) fn state(&self, silence: &Silence, now: Timestamp) -> SilenceState {
        match self.open.contains(&silence.id) {
            true => silence.state(now),
            false => SilenceState::Expired,
        }
    }

    /// Forgets those whose retention is over, and says which.
    pub(super) fn forget(&mut self, retention: Duration, now: Timestamp) -> Vec<SilenceId> {
        let over = |silence: &Silence| silence.ends_at.plus(retention) <= now;
        self.all.extract_if(.., |_, silence| over(silence)).map(|(id, _)| id).collect()
    }

    fn check_room(&self, limits: &Limits) -> Result<(), SilenceError> {
        let (found, limit) = (self.all.len(), limits.silences_max);
        if limit != 0 && found >= limit {
            return Err(SilenceError::TooMany { found, limit });
        }
        Ok(())
    }
}

fn can_update(old: &Silence, state: SilenceState, new: &SilenceDraft, now: Timestamp) -> bool {
    let second = |at: Timestamp| at.as_millis().div_euclid(1000);
    old.matchers == new.matchers
        && match state {
            SilenceState::Active => {
                second(old.starts_at) == second(new.starts_at) && new.ends_at >= now
            }
            SilenceState::Pending => new.starts_at >= now,
            SilenceState::Expired => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::matchers::{Mode, parse_list};
    use crate::alerts::testing::config;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn draft(matchers: &str, from: i64, to: i64) -> SilenceDraft {
        SilenceDraft {
            id: None,
            matchers: parse_list(matchers, Mode::Fallback).expect("valid"),
            starts_at: at(from),
            ends_at: at(to),
            created_by: "me".to_owned(),
            comment: "c".to_owned(),
            annotations: Annotations::empty(),
        }
    }

    fn id(text: &str) -> SilenceId {
        SilenceId::from_text(text)
    }

    fn set(
        silences: &mut Silences,
        draft: SilenceDraft,
        new: &str,
        now: i64,
    ) -> Result<String, SilenceError> {
        let done = silences.set(draft, id(new), &config("route: {receiver: r}"), at(now))?;
        Ok(done.0.as_str().to_owned())
    }

    #[test]
    fn t38_what_cannot_be_is_refused() {
        for (name, draft) in [
            ("no matcher", draft("{}", 0, 10)),
            ("matches empty", draft(r#"{a=~".*",b=""}"#, 0, 10)),
            ("ends before start", draft("a=b", 10, 5)),
            ("ends as it starts", draft("a=b", 10, 10)),
            ("in the past", draft("a=b", -20, -10)),
        ] {
            let refused = draft.check(at(0), Mode::Fallback);
            assert!(matches!(refused, Err(SilenceError::Invalid(_))), "{name}");
        }
        for matchers in [r#"{a=~".*",b="x"}"#, "a!=b", "a!~b"] {
            assert_eq!(draft(matchers, 0, 10).check(at(0), Mode::Classic), Ok(()), "{matchers}");
        }
        let utf8 = draft("1a=b", 0, 10);
        assert_eq!(utf8.check(at(0), Mode::Fallback), Ok(()));
        let told = utf8.check(at(0), Mode::Classic).map_err(|err| err.to_string());
        let text = "invalid silence: invalid label matcher 0 in set 0: invalid label name \"1a\"";
        assert_eq!(told, Err(text.to_owned()));
    }

    #[test]
    fn t38_a_past_start_becomes_now_and_an_unknown_id_is_refused() {
        let mut silences = Silences::default();
        assert_eq!(set(&mut silences, draft("a=b", 0, 100), "1", 50), Ok("1".to_owned()));
        assert_eq!(silences.get(&id("1")).map(|found| found.starts_at), Some(at(50)));
        let unknown = SilenceDraft { id: Some(id("no")), ..draft("a=b", 0, 100) };
        let refused = set(&mut silences, unknown, "2", 50);
        assert_eq!(refused, Err(SilenceError::NotFound(id("no"))));
    }

    #[test]
    fn t38_a_change_keeps_the_id_only_while_history_stays_true() {
        // Old silence a=b from 50 to 100 (pending at 10, active at 60, over at 150).
        for (name, now, change, expected) in [
            ("active: longer", 60, draft("a=b", 50, 200), "old"),
            ("active: other start", 60, draft("a=b", 55, 200), "new"),
            ("active: other matchers", 60, draft("a=c", 50, 200), "new"),
            ("pending: later", 10, draft("a=b", 30, 200), "old"),
            ("pending: start in the past", 10, draft("a=b", 5, 200), "new"),
            ("expired", 150, draft("a=b", 50, 200), "new"),
        ] {
            let mut silences = Silences::default();
            assert_eq!(set(&mut silences, draft("a=b", 50, 100), "old", 0), Ok("old".to_owned()));
            let change = SilenceDraft { id: Some(id("old")), ..change };
            assert_eq!(set(&mut silences, change, "new", now).as_deref(), Ok(expected), "{name}");
            let old = silences.get(&id("old")).map(|old| old.state(at(now)));
            let old_is_over = old == Some(SilenceState::Expired);
            assert_eq!(old_is_over, expected == "new", "{name}: history is kept");
        }
    }

    #[test]
    fn t38_an_expired_silence_stays_visible_until_its_retention_ends() {
        let mut silences = Silences::default();
        set(&mut silences, draft("a=b", 0, 100), "s", 0).expect("valid");
        let labels = Labels::from_pairs([("a", "b")]);
        let config = config("route: {receiver: r}");
        let acting = |silences: &Silences, now| {
            silences.acting_on(&labels, at(now), &config).cloned().collect::<Vec<_>>()
        };
        assert_eq!(acting(&silences, 10), [id("s")]);
        assert_eq!(silences.expire(&id("s"), at(20)), Ok(Some(id("s"))));
        assert!(acting(&silences, 20).is_empty(), "it ends at once");
        assert_eq!(silences.expire(&id("s"), at(30)), Ok(None));
        let retention = Duration::from_secs(60);
        assert!(silences.forget(retention, at(79)).is_empty());
        assert_eq!(silences.forget(retention, at(80)), [id("s")]);
        assert_eq!(silences.expire(&id("s"), at(81)), Err(SilenceError::NotFound(id("s"))));
    }

    #[test]
    fn limits_hold() {
        let limits = Limits { silences_max: 1, silence_bytes_max: 30, ..Limits::default() };
        let limits = Config { limits, ..config("route: {receiver: r}") };
        let mut silences = Silences::default();
        silences.set(draft("a=b", 0, 100), id("1"), &limits, at(0)).expect("room");
        let more = silences.set(draft("a=b", 0, 100), id("2"), &limits, at(0));
        assert_eq!(more, Err(SilenceError::TooMany { found: 1, limit: 1 }));
        let large = SilenceDraft { comment: "c".repeat(100), ..draft("a=b", 0, 100) };
        let large = silences.set(large, id("3"), &limits, at(0));
        assert!(matches!(large, Err(SilenceError::TooLarge { .. })), "{large:?}");
    }
}
