//! Why an alert was told, or was not: the steps from its data to the delivery, each with its answer,
//! and the verdict in one sentence. `watchbell why` prints it.

use super::fmt;
use crate::model::{Timestamp, duration, value_text};
use crate::wire::{
    AlertRow, AlertState, DeliveryStatus, ReceiverStatus, SendingStatus, SilenceForm,
};
use jiff::tz::TimeZone;
use serde::Serialize;
use std::time::Duration;

/// What became of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Told {
    /// Somebody was told.
    Notified,
    /// It fires, and nobody was told.
    NotNotified,
    /// It does not fire.
    NotFiring,
}

/// One thing on the way from data to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    /// What is looked at.
    pub(crate) name: String,
    /// `yes`, `no`, `WAIT`, `FAIL`, or `-` where there is nothing to say.
    pub(crate) answer: &'static str,
    /// Why, a line each; at least one.
    pub(crate) lines: Vec<String>,
}

/// All steps, and what they come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Explanation {
    /// In order.
    pub(crate) steps: Vec<Step>,
    /// What became of the alert.
    pub(crate) told: Told,
    /// The same in one sentence.
    pub(crate) verdict: String,
}

/// What else is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around<'a> {
    /// All alerts.
    pub(crate) rows: &'a [AlertRow],
    /// All silences.
    pub(crate) silences: &'a [SilenceForm],
    /// How receivers do.
    pub(crate) receivers: &'a [ReceiverStatus],
    /// The server's time.
    pub(crate) now: Timestamp,
    /// In which times are shown.
    pub(crate) zone: &'a TimeZone,
}

/// Explains an alert.
pub(crate) fn explain(row: &AlertRow, around: &Around<'_>) -> Explanation {
    let story = Story { row, around };
    let mut steps = Vec::new();
    if !row.expr.is_empty() {
        steps.extend([story.condition(), story.held()]);
    } else {
        let text = super::data::without_rule(row).to_owned();
        steps.push(Step { name: "data".to_owned(), answer: "-", lines: vec![text] });
    }
    steps.extend([story.inhibited(), story.silenced(), story.route(), story.muted()]);
    steps.extend(story.acknowledged());
    steps.extend([story.group(), story.delivery()]);
    let told = story.told();
    Explanation { steps, told, verdict: story.verdict(told) }
}

#[derive(Clone, Copy, Debug)]
struct Story<'a> {
    row: &'a AlertRow,
    around: &'a Around<'a>,
}

impl Story<'_> {
    fn clock(&self, at: Timestamp) -> String {
        fmt::clock_seconds(at, self.around.zone)
    }

    fn when(&self, at: Timestamp) -> String {
        fmt::moment(at, self.around.now, self.around.zone)
    }

    /// `in 3m`, when it is to come.
    fn until(&self, at: Timestamp) -> String {
        format!("{} from now", fmt::short_age(at.millis_since(self.around.now)))
    }

    fn condition(&self) -> Step {
        let row = self.row;
        // Prometheus tells values as `9.12e+01`.
        let plain = |text: &String| text.parse().map_or_else(|_| text.clone(), value_text::plain);
        let value = row.value.as_ref().map_or_else(|| "no value".to_owned(), plain);
        let compared = match &row.limit {
            Some(limit) => {
                let right = limit.value.map_or_else(|| limit.right.clone(), value_text::plain);
                format!("{value} {} {right}", limit.op)
            }
            None => format!("value {value}"),
        };
        let (answer, first) = match row.state {
            AlertState::Unknown => ("FAIL", "its rule fails, or its data is stale".to_owned()),
            AlertState::Resolved => ("no", "it no longer holds".to_owned()),
            AlertState::KeepFiring => {
                ("no", format!("last {compared}; keep_firing_for holds the alert"))
            }
            AlertState::Firing
            | AlertState::Pending
            | AlertState::Silenced
            | AlertState::Inhibited
            | AlertState::Muted => ("yes", compared),
        };
        let rule = format!("rule {} > {}: {}", row.rule_file, row.rule_group, row.expr);
        Step { name: "condition".to_owned(), answer, lines: vec![first, rule] }
    }

    fn held(&self) -> Step {
        let row = self.row;
        let hold = Duration::try_from_secs_f64(row.for_seconds).unwrap_or_default();
        let name = format!("for {}", duration::format(hold));
        let since = row.active_at.map(|at| format!("true since {}", self.when(at)));
        let since = since.unwrap_or_else(|| "since when it holds is not known".to_owned());
        let (answer, text) = match (row.state, row.active_at, row.fired_at) {
            (AlertState::Pending, Some(at), _) => {
                let fires = at.plus(hold);
                ("WAIT", format!("{since}; fires at {}, {}", self.clock(fires), self.until(fires)))
            }
            (AlertState::Pending, None, _) => ("WAIT", since),
            (AlertState::Resolved, ..) => {
                let ended = row.resolved_at.map(|at| format!("ended {}", self.when(at)));
                ("-", ended.unwrap_or_else(|| "ended".to_owned()))
            }
            (_, _, Some(at)) => ("yes", format!("{since}, fired {}", self.when(at))),
            (_, _, None) => ("yes", since),
        };
        Step { name, answer, lines: vec![text] }
    }

    fn inhibited(&self) -> Step {
        let named = |print: &String| {
            let found = self.around.rows.iter().find(|row| row.fingerprint == *print);
            let labels = found.map_or_else(String::new, |row| format!(" {}", row.labels));
            format!("by {print}{labels}")
        };
        yes_no("inhibited", self.row.inhibited_by.iter().map(named), "no firing alert inhibits it")
    }

    fn silenced(&self) -> Step {
        let named = |id: &String| {
            let found = self.around.silences.iter().find(|silence| silence.id == *id);
            let more = found.map_or_else(String::new, |silence| {
                let (by, comment) = (&silence.created_by, &silence.comment);
                format!(" {comment:?} of {by}, until {}", self.when(silence.ends_at))
            });
            format!("by {id}{more}")
        };
        let acting = |silence: &&SilenceForm| silence.status.state == "active";
        let count = self.around.silences.iter().filter(acting).count();
        let none = match count {
            0 => "no silence is active".to_owned(),
            1 => "the one active silence does not match".to_owned(),
            count => format!("none of {count} active silences matches"),
        };
        yes_no("silenced", self.row.silenced_by.iter().map(named), &none)
    }

    fn route(&self) -> Step {
        let row = self.row;
        let name = "route".to_owned();
        if row.receivers.is_empty() {
            let text = match row.state {
                AlertState::Pending => "it is routed once it fires",
                _ => "no Alertmanager has it",
            };
            let answer = if row.state == AlertState::Pending { "-" } else { "no" };
            return Step { name, answer, lines: vec![text.to_owned()] };
        }
        let mut lines = vec![format!("-> {}", row.receivers.join(", "))];
        if !row.route.is_empty() {
            lines.insert(0, row.route.clone());
        }
        Step { name, answer: "yes", lines }
    }

    fn muted(&self) -> Step {
        let named = |name: &String| format!("by time interval {name:?}");
        yes_no("muted", self.row.muted_by.iter().map(named), "no time interval mutes it now")
    }

    /// Nothing when nobody works on it.
    fn acknowledged(&self) -> Option<Step> {
        let ack = self.row.ack.as_ref()?;
        let said = if ack.comment.is_empty() { "" } else { ": " };
        let first = format!("by {} {}{said}{}", ack.by, self.when(ack.at), ack.comment);
        let effect = "repeats stop until it ends; new alerts of its group still notify".to_owned();
        let name = "acknowledged".to_owned();
        Some(Step { name, answer: "yes", lines: vec![first, effect] })
    }

    fn group(&self) -> Step {
        let name = "group".to_owned();
        let row = self.row;
        if row.group_key.is_empty() {
            return Step { name, answer: "-", lines: vec!["it is in no group".to_owned()] };
        }
        let mut lines = vec![row.group_key.clone()];
        let waits = row.next_flush.filter(|at| *at > self.around.now);
        if let Some(at) = waits {
            lines.push(format!("looked at {}, {}", self.clock(at), self.until(at)));
        }
        let untold = row.deliveries.is_empty() && row.sending.is_empty();
        let first = untold && row.state == AlertState::Firing;
        let answer = if waits.is_some() && first { "WAIT" } else { "yes" };
        Step { name, answer, lines }
    }

    fn delivery(&self) -> Step {
        let row = self.row;
        let mut lines: Vec<_> = row.deliveries.iter().map(|sent| self.ended(sent)).collect();
        lines.extend(row.sending.iter().flat_map(|one| self.under_way(one)));
        let failed = row.deliveries.iter().any(|sent| sent.error.is_some())
            || row.sending.iter().any(|one| one.attempts > 0);
        let answer = match (lines.is_empty(), failed, row.sending.is_empty()) {
            (true, ..) => "-",
            (false, true, _) => "FAIL",
            (false, false, false) => "WAIT",
            (false, false, true) => "yes",
        };
        if lines.is_empty() {
            lines.push("nothing was sent for this alert yet".to_owned());
        }
        Step { name: "delivery".to_owned(), answer, lines }
    }

    /// A notification that arrived, or failed for good.
    fn ended(&self, sent: &DeliveryStatus) -> String {
        let to = format!("{} ({}) {}", sent.receiver, sent.integration, self.when(sent.at));
        let Some(error) = &sent.error else { return format!("{to} ok") };
        let tries = attempts(sent.attempts);
        let same = |one: &SendingStatus| {
            (&one.receiver, &one.integration) == (&sent.receiver, &sent.integration)
        };
        let next = self.row.next_flush.filter(|at| *at > self.around.now);
        let again = match (self.row.sending.iter().any(same), next) {
            (true, _) => "; sent again now, see below".to_owned(),
            (false, Some(at)) => {
                format!("; sent again with its group at {}, {}", self.clock(at), self.until(at))
            }
            (false, None) => String::new(),
        };
        format!("{to} FAILED after {tries}: {error}{again}")
    }

    /// A notification that is on its way: how it goes, what the sink said, when it is tried again.
    fn under_way(&self, one: &SendingStatus) -> Vec<String> {
        let to = format!("{} ({})", one.receiver, one.integration);
        let (since, until) = (self.clock(one.since), self.clock(one.until));
        let Some(error) = &one.error else {
            return vec![format!("{to} being sent since {since}, no answer yet; until {until}")];
        };
        let next = match one.next_attempt.filter(|at| *at > self.around.now) {
            Some(at) => format!("next at {}, {}", self.clock(at), self.until(at)),
            None => "tried again just now".to_owned(),
        };
        let failed = attempts(one.attempts);
        let mut lines = vec![
            format!("{to} RETRYING since {since}: {failed} failed, {next}; given up at {until}"),
            format!("last error: {error}"),
        ];
        let answer = one.answer.trim();
        if !answer.is_empty() && !error.contains(answer) {
            let code = one.code.map(|code| format!("{code} ")).unwrap_or_default();
            lines.push(format!("last answer: {code}{answer}"));
        }
        lines
    }

    fn fires(&self) -> bool {
        match self.row.state {
            AlertState::Firing
            | AlertState::KeepFiring
            | AlertState::Silenced
            | AlertState::Inhibited
            | AlertState::Muted => true,
            AlertState::Pending | AlertState::Resolved | AlertState::Unknown => false,
        }
    }

    fn told(&self) -> Told {
        let sent = self.row.deliveries.iter().any(|sent| sent.error.is_none());
        match (self.fires(), sent) {
            (false, _) => Told::NotFiring,
            (true, true) => Told::Notified,
            (true, false) => Told::NotNotified,
        }
    }

    fn verdict(&self, told: Told) -> String {
        let row = self.row;
        let mut text = match told {
            Told::NotFiring => self.why_not_firing(),
            Told::Notified => self.notified(),
            Told::NotNotified => self.why_not_notified(),
        };
        let trying = row.sending.iter().filter(|one| one.attempts > 0 && self.fires());
        for one in trying.skip(usize::from(told == Told::NotNotified)) {
            text.push_str(&format!("; {}", self.trying(one)));
        }
        let mut failing = self.around.receivers.iter().filter(|one| {
            // What is being tried again is told with more, and is newer.
            let told =
                row.sending.iter().any(|sent| sent.receiver == one.name && sent.attempts > 0);
            row.receivers.contains(&one.name)
                && one.failing_since.is_some()
                && self.fires()
                && !told
        });
        if let Some(one) = failing.next() {
            let since = one.failing_since.map(|at| fmt::since(self.around.now, at));
            let (name, kind, why) = (&one.name, &one.integration, &one.last_error);
            let since = since.unwrap_or_default();
            text.push_str(&format!("; {name} ({kind}) has been failing for {since}: {why}"));
        }
        text
    }

    /// `ops (webhook) is tried again: 4 attempts failed since 03:12:01, next at 03:12:31`.
    fn trying(&self, one: &SendingStatus) -> String {
        let next = match one.next_attempt.filter(|at| *at > self.around.now) {
            Some(at) => format!("next at {}", self.clock(at)),
            None => "one more just now".to_owned(),
        };
        format!(
            "sending to {} ({}) is tried again: {} failed since {}, {next}: {}",
            one.receiver,
            one.integration,
            attempts(one.attempts),
            self.clock(one.since),
            one.error.as_deref().unwrap_or_default()
        )
    }

    fn why_not_firing(&self) -> String {
        match (self.row.state, self.row.active_at) {
            (AlertState::Pending, Some(at)) => {
                let hold = Duration::try_from_secs_f64(self.row.for_seconds).unwrap_or_default();
                let fires = at.plus(hold);
                format!("pending: fires at {}, unless its condition ends before", self.clock(fires))
            }
            (AlertState::Pending, None) => "pending: its `for` is not over".to_owned(),
            (AlertState::Unknown, _) => "cannot tell: its rule fails, or its data is stale".into(),
            (_, _) => {
                let ended = self.row.resolved_at.map(|at| format!(" at {}", self.when(at)));
                format!("not firing: it ended{}", ended.unwrap_or_default())
            }
        }
    }

    fn notified(&self) -> String {
        let sent = self.row.deliveries.iter().filter(|sent| sent.error.is_none());
        let Some(last) = sent.max_by_key(|sent| sent.at) else { return String::new() };
        let held = match self.row.state {
            AlertState::Silenced => ", before it was silenced",
            AlertState::Inhibited => ", before it was inhibited",
            AlertState::Muted => ", before it was muted",
            _ => "",
        };
        format!("{} was told {}{held}", last.receiver, self.when(last.at))
    }

    fn why_not_notified(&self) -> String {
        let row = self.row;
        let failed = row.deliveries.iter().find(|sent| sent.error.is_some());
        let trying = row.sending.iter().find(|one| one.attempts > 0);
        match (row.state, failed, row.next_flush) {
            (AlertState::Silenced, ..) => "nobody is told: a silence holds it back".to_owned(),
            (AlertState::Inhibited, ..) => "nobody is told: another alert holds it back".to_owned(),
            (AlertState::Muted, ..) => "nobody is told: a time interval mutes it".to_owned(),
            (_, _, _) if let Some(one) = trying => {
                format!("nobody was told yet: {}", self.trying(one))
            }
            (_, Some(sent), _) => format!("nobody was told: sending to {} fails", sent.receiver),
            (_, None, _) if row.receivers.is_empty() => {
                "nobody is told: no Alertmanager has it".to_owned()
            }
            (_, None, _) if let Some(one) = row.sending.first() => {
                let since = self.clock(one.since);
                format!("being sent to {} since {since}: no answer yet", one.receiver)
            }
            (_, None, Some(at)) if at > self.around.now => {
                let to = row.receivers.join(" and ");
                format!("will be sent at {} to {to}, unless a silence is made", self.clock(at))
            }
            (_, None, _) => format!(
                "was not sent to {}, or the server does not tell",
                row.receivers.join(" and ")
            ),
        }
    }
}

fn attempts(count: u32) -> String {
    if count == 1 { "1 attempt".to_owned() } else { format!("{count} attempts") }
}

fn yes_no(name: &str, found: impl Iterator<Item = String>, none: &str) -> Step {
    let lines: Vec<_> = found.collect();
    let name = name.to_owned();
    match lines.is_empty() {
        true => Step { name, answer: "no", lines: vec![none.to_owned()] },
        false => Step { name, answer: "yes", lines },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Annotations, Labels};
    use crate::wire::{AckStatus, SilenceStatus};

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn row(state: AlertState) -> AlertRow {
        AlertRow {
            state,
            value: Some("9.12e+01".to_owned()),
            active_at: Some(NOW.minus(Duration::from_secs(600))),
            fired_at: Some(NOW.minus(Duration::from_secs(300))),
            for_seconds: 300.0,
            expr: "x > 90".to_owned(),
            rule_file: "r.yml".to_owned(),
            rule_group: "g".to_owned(),
            receivers: vec!["ops".to_owned()],
            route: "{}".to_owned(),
            group_key: "{}:{}".to_owned(),
            ..AlertRow::bare(&Labels::from_pairs([("alertname", "A")]))
        }
    }

    #[track_caller]
    fn check(row: &AlertRow, told: Told, verdict: &str, answers: &[(&str, &str)]) {
        let silence = SilenceForm {
            id: "s1".to_owned(),
            status: SilenceStatus { state: "active".to_owned() },
            updated_at: NOW,
            matchers: Vec::new(),
            starts_at: NOW,
            ends_at: NOW.plus(Duration::from_secs(60)),
            created_by: "me".to_owned(),
            comment: "disk swap".to_owned(),
            annotations: Annotations::empty(),
        };
        let around = Around {
            rows: &[],
            silences: &[silence],
            receivers: &[],
            now: NOW,
            zone: &TimeZone::UTC,
        };
        let found = explain(row, &around);
        assert_eq!((found.told, found.verdict.as_str()), (told, verdict));
        for (name, answer) in answers {
            let step = found.steps.iter().find(|step| step.name == *name).expect(name);
            let text = format!("{} {}", step.answer, step.lines.join(" | "));
            assert!(text.starts_with(answer), "{name}: {text}");
        }
    }

    #[test]
    fn what_keeps_an_alert_from_being_told_is_the_verdict() {
        use AlertState::{Firing, Inhibited, KeepFiring, Pending, Resolved, Silenced};
        let sent = |error: Option<&str>| DeliveryStatus {
            receiver: "ops".to_owned(),
            integration: "webhook".to_owned(),
            at: NOW.minus(Duration::from_secs(60)),
            error: error.map(str::to_owned),
            attempts: 3,
        };
        let flush = Some(NOW.plus(Duration::from_secs(30)));
        let waits = AlertRow { next_flush: flush, ..row(Firing) };
        let text = "will be sent at 22:13:50 to ops, unless a silence is made";
        check(
            &waits,
            Told::NotNotified,
            text,
            &[("group", "WAIT"), ("condition", "yes value 91.2")],
        );
        let told = AlertRow { deliveries: vec![sent(None)], next_flush: flush, ..row(KeepFiring) };
        let answers = [("delivery", "yes ops (webhook) 22:12 ok"), ("condition", "no last value")];
        check(&told, Told::Notified, "ops was told 22:12", &answers);
        let failed = AlertRow { deliveries: vec![sent(Some("HTTP 404"))], ..row(Firing) };
        let answers = [("delivery", "FAIL ops (webhook) 22:12 FAILED after 3 attempts: HTTP 404")];
        check(&failed, Told::NotNotified, "nobody was told: sending to ops fails", &answers);
        let silenced = AlertRow { silenced_by: vec!["s1".to_owned()], ..row(Silenced) };
        let answers = [("silenced", "yes by s1 \"disk swap\" of me, until 22:14")];
        check(&silenced, Told::NotNotified, "nobody is told: a silence holds it back", &answers);
        let before = AlertRow { deliveries: vec![sent(None)], ..silenced };
        check(&before, Told::Notified, "ops was told 22:12, before it was silenced", &[]);
        let inhibited = AlertRow { inhibited_by: vec!["00ff".to_owned()], ..row(Inhibited) };
        let text = "nobody is told: another alert holds it back";
        check(&inhibited, Told::NotNotified, text, &[("inhibited", "yes by 00ff")]);
        let pending = AlertRow {
            active_at: Some(NOW.minus(Duration::from_secs(60))),
            fired_at: None,
            receivers: Vec::new(),
            ..row(Pending)
        };
        let text = "pending: fires at 22:17:20, unless its condition ends before";
        check(&pending, Told::NotFiring, text, &[("for 5m", "WAIT true since 22:12")]);
        let resolved = AlertRow { resolved_at: Some(NOW), ..row(Resolved) };
        check(&resolved, Told::NotFiring, "not firing: it ended at 22:13", &[("condition", "no")]);
        let outside = AlertRow { expr: String::new(), receivers: Vec::new(), ..row(Firing) };
        let text = "nobody is told: no Alertmanager has it";
        check(&outside, Told::NotNotified, text, &[("data", "-"), ("route", "no")]);
    }

    #[test]
    fn a_delivery_that_is_tried_again_is_told_with_its_last_answer_and_its_next_attempt() {
        let seconds = Duration::from_secs;
        let hangs = SendingStatus {
            receiver: "ops".to_owned(),
            integration: "webhook".to_owned(),
            since: NOW.minus(seconds(20)),
            attempts: 0,
            error: None,
            code: None,
            answer: String::new(),
            next_attempt: None,
            until: NOW.plus(seconds(280)),
        };
        let waits = AlertRow { sending: vec![hangs.clone()], ..row(AlertState::Firing) };
        let text = "being sent to ops since 22:13:00: no answer yet";
        let answer = "WAIT ops (webhook) being sent since 22:13:00, no answer yet; until 22:18:00";
        check(&waits, Told::NotNotified, text, &[("delivery", answer)]);
        let again = SendingStatus {
            attempts: 4,
            error: Some("unexpected status code 503".to_owned()),
            code: Some(503),
            answer: "come back later".to_owned(),
            next_attempt: Some(NOW.plus(seconds(12))),
            ..hangs
        };
        let retried = AlertRow { sending: vec![again.clone()], ..row(AlertState::Firing) };
        let text = "nobody was told yet: sending to ops (webhook) is tried again: 4 attempts \
                    failed since 22:13:00, next at 22:13:32: unexpected status code 503";
        let answer = "FAIL ops (webhook) RETRYING since 22:13:00: 4 attempts failed, next at \
                      22:13:32, 12s from now; given up at 22:18:00 | last error: unexpected \
                      status code 503 | last answer: 503 come back later";
        check(&retried, Told::NotNotified, text, &[("delivery", answer)]);
        let pager = DeliveryStatus {
            receiver: "pager".to_owned(),
            integration: "pagerduty".to_owned(),
            at: NOW.minus(seconds(60)),
            error: None,
            attempts: 1,
        };
        let late = SendingStatus { next_attempt: None, ..again };
        let half =
            AlertRow { deliveries: vec![pager], sending: vec![late], ..row(AlertState::Firing) };
        let text = "pager was told 22:12; sending to ops (webhook) is tried again: 4 attempts \
                    failed since 22:13:00, one more just now: unexpected status code 503";
        check(&half, Told::Notified, text, &[("delivery", "FAIL pager (pagerduty) 22:12 ok")]);
    }

    #[test]
    fn a_delivery_that_failed_goes_again_with_its_group_and_an_acknowledgement_is_told() {
        let failed = DeliveryStatus {
            receiver: "ops".to_owned(),
            integration: "webhook".to_owned(),
            at: NOW.minus(Duration::from_secs(60)),
            error: Some("HTTP 404".to_owned()),
            attempts: 1,
        };
        let ack = AckStatus { by: "op1".to_owned(), comment: "on it".to_owned(), at: NOW };
        let row = AlertRow {
            deliveries: vec![failed],
            next_flush: Some(NOW.plus(Duration::from_secs(30))),
            ack: Some(ack),
            ..row(AlertState::Firing)
        };
        let answers = [
            (
                "delivery",
                "FAIL ops (webhook) 22:12 FAILED after 1 attempt: HTTP 404; sent again with its \
                 group at 22:13:50, 30s from now",
            ),
            ("acknowledged", "yes by op1 22:13: on it | repeats stop"),
        ];
        check(&row, Told::NotNotified, "nobody was told: sending to ops fails", &answers);
    }

    #[test]
    fn a_receiver_that_fails_is_named() {
        let failing = ReceiverStatus {
            name: "ops".to_owned(),
            integration: "slack".to_owned(),
            last_ok: None,
            failing_since: Some(NOW.minus(Duration::from_secs(360))),
            last_error: "HTTP 404".to_owned(),
            sent: 0,
            failed: 1,
        };
        let around = Around {
            rows: &[],
            silences: &[],
            receivers: &[failing],
            now: NOW,
            zone: &TimeZone::UTC,
        };
        let verdict = explain(&row(AlertState::Silenced), &around).verdict;
        assert!(verdict.ends_with("; ops (slack) has been failing for 6m: HTTP 404"), "{verdict}");
    }
}
