//! Alerts, groups and silences as Alertmanager's API lists them, and what it is sent.

use crate::alerts::{AlertDraft, AlertView, GroupView, ReceiverPlan, SilenceDraft, SilenceView};
use crate::model::{Fingerprint, Labels, MatchOp, Matcher, Regex, SilenceId};
use crate::wire::{
    AlertFilter, AlertGroup, Error, GettableAlert, GettableAlertStatus, MatcherForm, PostableAlert,
    PostableSilence, ReceiverForm, ReceiverName, SilenceForm, SilenceStatus,
};
use std::collections::BTreeMap;

/// Whether the filter lets this alert through; `receiver` is compiled once for a whole list.
pub(in crate::service) fn wants(
    view: &AlertView,
    filter: &AlertFilter,
    receiver: Option<&Regex>,
) -> bool {
    let quiet = &view.quiet;
    let (silenced, inhibited) = (!quiet.silenced_by.is_empty(), !quiet.inhibited_by.is_empty());
    let active = !silenced && !inhibited;
    (filter.active || !active)
        && (filter.silenced || !silenced)
        && (filter.inhibited || !inhibited)
        && (filter.muted || quiet.muted_by.is_empty())
        && filter.matchers.iter().all(|matcher| matcher.matches(&view.alert.labels))
        && receiver.is_none_or(|regex| view.receivers.iter().any(|name| regex.is_match(name)))
}

/// One receiver, if all of `matchers` match its labels, of which its name is one.
pub(in crate::service) fn receiver(
    plan: &ReceiverPlan,
    matchers: &[Matcher],
) -> Option<ReceiverForm> {
    let mut labels = plan.labels.to_builder();
    labels.set("name", plan.name.as_str());
    let labels = labels.build();
    let wanted = matchers.iter().all(|matcher| matcher.matches(&labels));
    let shown = if plan.labels.is_empty() { Labels::empty() } else { labels };
    wanted.then(|| ReceiverForm { name: plan.name.clone(), labels: shown })
}

/// One alert.
pub(in crate::service) fn gettable_alert(view: &AlertView) -> GettableAlert {
    let quiet = &view.quiet;
    let name = |name: &String| ReceiverName { name: name.clone() };
    GettableAlert {
        labels: view.alert.labels.clone(),
        annotations: view.alert.annotations.clone(),
        starts_at: view.alert.starts_at,
        ends_at: view.alert.ends_at,
        updated_at: view.alert.updated_at,
        generator_url: view.alert.generator_url.clone(),
        fingerprint: view.fingerprint.to_string(),
        receivers: view.receivers.iter().map(name).collect(),
        status: GettableAlertStatus {
            state: quiet.api_state().to_owned(),
            silenced_by: quiet.silenced_by.iter().map(ToString::to_string).collect(),
            inhibited_by: quiet.inhibited_by.iter().map(ToString::to_string).collect(),
            muted_by: quiet.muted_by.clone(),
        },
    }
}

/// Who is told of each alert by these groups, sorted; as often as groups of a receiver have it.
/// Source: alertmanager, dispatch/dispatch.go (Groups).
pub(in crate::service) fn told_by(
    groups: &[&GroupView],
    filter: &AlertFilter,
) -> BTreeMap<Fingerprint, Vec<ReceiverName>> {
    let mut told: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for group in groups {
        for alert in group.alerts.iter().filter(|alert| wants(alert, filter, None)) {
            let name = ReceiverName { name: group.receiver.clone() };
            told.entry(alert.fingerprint).or_default().push(name);
        }
    }
    told.values_mut().for_each(|names| names.sort());
    told
}

/// One group with the alerts that the filter lets through; `None` when none is left. Here a time
/// interval that mutes the group suppresses its alerts, as in Alertmanager.
pub(in crate::service) fn alert_group(
    view: &GroupView,
    filter: &AlertFilter,
    told: &BTreeMap<Fingerprint, Vec<ReceiverName>>,
    route_labels: impl FnOnce() -> Labels,
) -> Option<AlertGroup> {
    let is_muted = !view.muted_by.is_empty();
    if is_muted && !filter.muted {
        return None;
    }
    let form = |alert: &AlertView| {
        let mut form = gettable_alert(alert);
        form.receivers = told.get(&alert.fingerprint).cloned().unwrap_or_default();
        form.status.muted_by.clone_from(&view.muted_by);
        if is_muted {
            "suppressed".clone_into(&mut form.status.state);
        }
        form
    };
    let wanted = view.alerts.iter().filter(|alert| wants(alert, filter, None));
    let alerts: Vec<_> = wanted.map(form).collect();
    (!alerts.is_empty()).then(|| AlertGroup {
        labels: view.labels.clone(),
        route_labels: route_labels(),
        receiver: ReceiverName { name: view.receiver.clone() },
        alerts,
    })
}

/// One silence.
pub(in crate::service) fn silence_form(view: &SilenceView) -> SilenceForm {
    let silence = &view.silence;
    SilenceForm {
        id: silence.id.to_string(),
        status: SilenceStatus { state: view.state.as_str().to_owned() },
        updated_at: silence.updated_at,
        matchers: silence.matchers.iter().map(MatcherForm::from).collect(),
        starts_at: silence.starts_at,
        ends_at: silence.ends_at,
        created_by: silence.created_by.clone(),
        comment: silence.comment.clone(),
        annotations: silence.annotations.clone(),
    }
}

/// A silence to make.
pub(in crate::service) fn silence_draft(form: PostableSilence) -> Result<SilenceDraft, Error> {
    let read = |(place, form): (usize, MatcherForm)| {
        let value = form.value.clone();
        matcher(form).map_err(|err| {
            // Upstream's words, silence/silence.go (validateSilence).
            let at = format!("invalid silence: invalid label matcher {place} in set 0");
            let reason = err.message;
            Error::bad_data(format!("{at}: invalid regular expression {value:?}: {reason}"))
        })
    };
    let matchers = form.matchers.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
    Ok(SilenceDraft {
        id: form.id.filter(|id| !id.is_empty()).map(|id| SilenceId::from_text(&id)),
        matchers,
        starts_at: form.starts_at,
        ends_at: form.ends_at,
        created_by: form.created_by,
        comment: form.comment,
        annotations: form.annotations,
    })
}

/// A matcher out of its form.
pub(in crate::service) fn matcher(form: MatcherForm) -> Result<Matcher, Error> {
    let op = match (form.is_equal, form.is_regex) {
        (true, false) => MatchOp::Equal,
        (false, false) => MatchOp::NotEqual,
        (true, true) => MatchOp::Regex,
        (false, true) => MatchOp::NotRegex,
    };
    Matcher::of_alerts(form.name, op, form.value).map_err(|err| Error::bad_data(err.to_string()))
}

/// An alert from outside.
pub(in crate::service) fn alert_draft(form: PostableAlert) -> AlertDraft {
    AlertDraft {
        labels: form.labels,
        annotations: form.annotations,
        starts_at: form.starts_at,
        ends_at: form.ends_at,
        generator_url: form.generator_url,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::AlertQuiet;
    use crate::model::{Alert, AlertStatus, Annotations, GroupKey, Timestamp};
    use crate::{alerts, wire};

    fn group(receiver: &str) -> GroupView {
        let alert = Alert {
            labels: Labels::from_pairs([("alertname", "A")]),
            annotations: Annotations::default(),
            starts_at: Timestamp::EPOCH,
            ends_at: Timestamp::MAX,
            generator_url: String::new(),
            updated_at: Timestamp::EPOCH,
            ends_by_timeout: false,
        };
        let alert = AlertView {
            fingerprint: alert.fingerprint(),
            alert,
            status: AlertStatus::Firing,
            source: "api",
            ack: None,
            quiet: AlertQuiet::default(),
            receivers: vec!["x".to_owned(), "b".to_owned(), "a".to_owned()],
            groups: Vec::new(),
            deliveries: Vec::new(),
        };
        GroupView {
            key: GroupKey::new("{}", &Labels::empty()),
            labels: Labels::empty(),
            route_labels: Vec::new(),
            external_url: String::new(),
            receiver: receiver.to_owned(),
            muted_by: Vec::new(),
            next_flush: Timestamp::EPOCH,
            alerts: vec![alert],
        }
    }

    #[test]
    fn an_expression_that_is_none_is_named_with_its_place() {
        let form = |value: &str| MatcherForm {
            name: "a".to_owned(),
            value: value.to_owned(),
            is_regex: true,
            is_equal: true,
        };
        let err = silence_draft(PostableSilence {
            id: None,
            matchers: vec![form("b"), form("(")],
            starts_at: Timestamp::EPOCH,
            ends_at: Timestamp::EPOCH,
            created_by: String::new(),
            comment: String::new(),
            annotations: Annotations::default(),
        });
        // alertmanager, silence/silence.go; the end of it was asked of 0.25.
        let text = "invalid silence: invalid label matcher 1 in set 0: \
                    invalid regular expression \"(\": error parsing regexp: missing closing ): `(`";
        assert_eq!(err.expect_err("no expression").message, text);
    }

    #[test]
    fn an_alert_of_a_group_names_the_receivers_of_the_groups_that_are_listed() {
        let (groups, filter) = ([group("b"), group("a")], AlertFilter::default());
        let told = told_by(&[&groups[0], &groups[1]], &filter);
        let shown = alert_group(&groups[0], &filter, &told, Labels::empty).expect("has alerts");
        let names: Vec<_> = shown.alerts[0].receivers.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn the_annotations_of_silences_have_one_name_on_both_sides() {
        assert_eq!(wire::UNTIL_RESOLVED.0, alerts::UNTIL);
        assert_eq!(wire::RECURS, alerts::RECURS);
    }
}
