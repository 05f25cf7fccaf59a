//! Acknowledgements at an Alertmanager that knows none: a silence of half an hour on exactly the
//! alert's labels, which says what it is.

use crate::model::{Annotations, Labels, Matcher, Timestamp};
use crate::wire::{
    AckRequest, AlertFilter, Core, Error, GettableAlert, MatcherForm, PostableSilence, SilenceForm,
};
use std::time::Duration;

/// How long such a silence acts.
const ACTS: Duration = Duration::from_secs(30 * 60);
/// What its comment begins with.
const MARK: &str = "ACK!";
/// More alerts are better served by one silence.
const ALERTS_MAX: usize = 100;

/// Silences the alerts that are meant, one by one, and says how many; `matchers` are those of the
/// request. One that is acknowledged already is for half an hour more.
pub(super) fn acknowledge(
    core: &dyn Core,
    request: &AckRequest,
    matchers: &[Matcher],
    now: Timestamp,
) -> Result<usize, Error> {
    let all = core.alertmanager_alerts(&AlertFilter::default())?;
    let meant: Vec<_> = all.iter().filter(|alert| is_meant(alert, request, matchers)).collect();
    for print in &request.fingerprints {
        if !meant.iter().any(|alert| alert.fingerprint == *print) {
            return Err(Error::not_found(format!("alert {print} does not fire")));
        }
    }
    match meant.len() {
        0 => return Err(Error::not_found("no firing alert has these labels")),
        count if count > ALERTS_MAX => {
            let text = format!(
                "{count} alerts have these labels, at most {ALERTS_MAX} are acknowledged at an \
                 Alertmanager at once; silence them with one: watchbell silence add"
            );
            return Err(Error::bad_data(text));
        }
        _ => {}
    }
    let silences = core.silences(&[])?;
    for alert in &meant {
        let own = own(&silences, &alert.labels).next();
        core.post_silence(PostableSilence {
            id: own.map(|silence| silence.id.clone()),
            matchers: exactly(&alert.labels),
            starts_at: own.map_or(now, |silence| silence.starts_at),
            ends_at: now.plus(ACTS),
            created_by: request.by.clone(),
            comment: comment(request),
            annotations: Annotations::empty(),
        })?;
    }
    Ok(meant.len())
}

/// Ends the silences that acknowledge an alert.
pub(super) fn withdraw(core: &dyn Core, fingerprint: &str) -> Result<(), Error> {
    let all = core.alertmanager_alerts(&AlertFilter::default())?;
    let alert = all.iter().find(|alert| alert.fingerprint == fingerprint);
    let alert =
        alert.ok_or_else(|| Error::not_found(format!("alert {fingerprint} does not fire")))?;
    let silences = core.silences(&[])?;
    let mut ended = 0;
    for silence in own(&silences, &alert.labels) {
        core.expire_silence(&silence.id)?;
        ended += 1;
    }
    match ended {
        0 => Err(Error::not_found(format!("alert {fingerprint} is not acknowledged"))),
        _ => Ok(()),
    }
}

fn is_meant(alert: &GettableAlert, request: &AckRequest, matchers: &[Matcher]) -> bool {
    if !request.fingerprints.is_empty() {
        return request.fingerprints.contains(&alert.fingerprint);
    }
    !matchers.is_empty() && matchers.iter().all(|matcher| matcher.matches(&alert.labels))
}

/// Silences that acknowledge an alert with these labels and have not ended.
fn own<'a>(silences: &'a [SilenceForm], labels: &Labels) -> impl Iterator<Item = &'a SilenceForm> {
    let wanted = sorted(exactly(labels));
    silences.iter().filter(move |silence| {
        silence.status.state != "expired"
            && silence.comment.starts_with(MARK)
            && sorted(silence.matchers.clone()) == wanted
    })
}

fn exactly(labels: &Labels) -> Vec<MatcherForm> {
    let form = |(name, value): (&str, &str)| MatcherForm::from(&Matcher::equal(name, value));
    labels.iter().map(form).collect()
}

fn sorted(mut matchers: Vec<MatcherForm>) -> Vec<MatcherForm> {
    matchers.sort_by(|a, b| (&a.name, &a.value).cmp(&(&b.name, &b.value)));
    matchers
}

fn comment(request: &AckRequest) -> String {
    let said = match request.comment.as_str() {
        "" => String::new(),
        comment => format!(": {comment}"),
    };
    format!("{MARK} {}{said} (acknowledged for 30 minutes from watchbell)", request.by)
}
