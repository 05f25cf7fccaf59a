//! Fire drills: a marked alert goes the whole way to the real receivers, and what happened to it
//! is told out of the history, so that a drill outlives its asker and a restart.

use super::start::{Parts, Service};
use super::{forms, history};
use crate::alerts::{AlertView, DRILL_LABEL, Event, ReceiverPlan, drill};
use crate::model::{AlertStatus, Fingerprint, Matcher, duration};
use crate::wire::{
    Drill, DrillReport, DrillStep, DrillWait, Error, HistoryRequest, HistoryRow, RouteFinal,
};
use serde_json::Value;
use std::time::Duration;

/// How long a drill fires.
const SPAN: Duration = Duration::from_secs(300);
const SPAN_MIN: Duration = Duration::from_secs(1);
const SPAN_MAX: Duration = Duration::from_secs(3600);
/// What is asked for of a drill's history at most: one notification a second while it lasts, to a
/// few receivers.
const ROWS_MAX: usize = 1_000;

impl Service {
    /// Begins a drill, unless nobody would be told.
    pub(super) fn drill_begin(&self, asked: &Drill) -> Result<DrillReport, Error> {
        let parts = self.running()?;
        let span = match asked.span.as_str() {
            "" => SPAN,
            text => duration::parse(text).map_err(Error::bad_data)?,
        };
        if !(SPAN_MIN..=SPAN_MAX).contains(&span) {
            let text = "a drill lasts from 1s to 1h";
            return Err(Error::bad_data(format!("{text}, found {}", asked.span)));
        }
        let labels = drill::labels(&asked.labels, &drill::id(self.world.entropy.next_u64()));
        let now = self.world.clock.now();
        let way = parts.alerting.view(|engine, moment| engine.route_test(&labels, now, moment));
        let heard =
            way.finals.iter().any(|one| one.muted_by.is_empty() && !one.integrations.is_empty());
        let quiet = match (way.silenced_by.first(), way.inhibited_by) {
            (Some(id), _) => Some(format!("silence {id} acts on it")),
            (None, Some(print)) => Some(format!("alert {print} inhibits it")),
            (None, None) if !heard => {
                Some("its receivers have no integration, or its routes are muted".to_owned())
            }
            (None, None) => None,
        };
        if let Some(why) = quiet {
            let text = format!("nobody would be told: {why}; try the labels with routes test");
            return Err(Error::bad_data(text));
        }
        let draft = drill::draft(labels, &asked.annotations, now, now.plus(span));
        let print = parts.alerting.drill(draft, asked.waits).map_err(Error::bad_data)?;
        self.report(parts, print)
    }

    /// How far a drill is.
    pub(super) fn drill_look(&self, fingerprint: &str) -> Result<DrillReport, Error> {
        let print = fingerprint.parse().map_err(Error::bad_data)?;
        self.report(self.running()?, print)
    }

    /// Ends a drill.
    pub(super) fn drill_end(&self, fingerprint: &str) -> Result<DrillReport, Error> {
        let print = fingerprint.parse().map_err(Error::bad_data)?;
        let parts = self.running()?;
        let before = self.report(parts, print)?;
        if before.firing {
            parts.alerting.asked(Event::DrillEnded(print));
        }
        self.report(parts, print)
    }

    fn report(&self, parts: &Parts, print: Fingerprint) -> Result<DrillReport, Error> {
        let look = |engine: &crate::alerts::Engine, now| {
            let view = engine.alert(print, now)?;
            let way = engine.route_test(&view.alert.labels, self.world.clock.now(), now);
            Some((view, way, engine.receivers().to_vec()))
        };
        let found = parts.alerting.view(look);
        let found = found.filter(|(view, ..)| view.alert.labels.get(DRILL_LABEL).is_some());
        let Some((view, way, receivers)) = found else {
            let text =
                format!("no drill has the fingerprint {print}; one that is over is in the history");
            return Err(Error::not_found(text));
        };
        let route = forms::route_test(&way);
        let rows = self.drill_rows(parts, &view)?;
        let firing = view.status == AlertStatus::Firing;
        let waits_for = route
            .finals
            .iter()
            .flat_map(|one| waits(one, &receivers, &rows, print, firing))
            .collect();
        Ok(DrillReport {
            fingerprint: print.to_string(),
            labels: view.alert.labels.clone(),
            started: view.alert.starts_at,
            ends: view.alert.ends_at,
            firing,
            route,
            steps: rows.iter().filter_map(step).collect(),
            waits_for,
        })
    }

    /// What happened to a drill, the oldest first.
    fn drill_rows(&self, parts: &Parts, view: &AlertView) -> Result<Vec<HistoryRow>, Error> {
        let id = view.alert.labels.value_of(DRILL_LABEL);
        let request = HistoryRequest {
            matchers: vec![Matcher::equal(DRILL_LABEL, id)],
            start: Some(view.alert.starts_at),
            limit: ROWS_MAX,
            ..HistoryRequest::default()
        };
        let answer = history::answer(&request, |query| {
            parts.state.history_page(query).map_err(|err| Error::internal(err.to_string()))
        })?;
        let mut rows = answer.rows;
        rows.reverse();
        Ok(rows)
    }
}

/// Integrations of a route that were not told what is to be told now.
fn waits(
    route: &RouteFinal,
    receivers: &[ReceiverPlan],
    rows: &[HistoryRow],
    print: Fingerprint,
    firing: bool,
) -> Vec<DrillWait> {
    let plan = receivers.iter().find(|plan| plan.name == route.receiver);
    let told = |kind: &str, index: u32, list: &str| {
        rows.iter().find(|row| {
            text(row, "group") == route.group_key
                && text(row, "receiver") == route.receiver
                && text(row, "integration") == kind
                && number(row, "index") == Some(u64::from(index))
                && names(row, list, print)
        })
    };
    let mut found = Vec::new();
    for one in plan.into_iter().flat_map(|plan| &plan.integrations) {
        let (kind, index) = (one.kind.as_str(), one.index);
        let first = told(kind, index, "firing");
        let is_open = match firing {
            true => first.is_none(),
            // Of what was never told there is no end to tell.
            false => {
                let heard = first.is_some_and(|row| text(row, "status") == "ok");
                heard && one.send_resolved && told(kind, index, "resolved").is_none()
            }
        };
        if is_open && route.muted_by.is_empty() {
            found.push(DrillWait {
                receiver: route.receiver.clone(),
                integration: format!("{kind}[{index}]"),
                next_flush: route.group.as_ref().and_then(|group| group.next_flush),
            });
        }
    }
    found
}

/// A row of the history as a step; `None` for what says nothing about the way.
fn step(row: &HistoryRow) -> Option<DrillStep> {
    let bare = |what: &str, said: &str| DrillStep {
        at: row.at,
        what: what.to_owned(),
        receiver: String::new(),
        integration: String::new(),
        took_ms: None,
        attempts: 0,
        code: None,
        said: said.to_owned(),
    };
    match row.kind.as_str() {
        "firing" => Some(bare("received", "")),
        "resolved" => Some(bare("ended", text(row, "why"))),
        "suppressed" => {
            Some(bare("suppressed", &format!("{} {}", text(row, "by"), text(row, "id"))))
        }
        "unsuppressed" => Some(bare("unsuppressed", "")),
        "notified" => {
            let ok = text(row, "status") == "ok";
            let is_end = row.body.get("firing").and_then(Value::as_array).is_none_or(Vec::is_empty);
            let what = match (is_end, ok) {
                (false, true) => "told",
                (false, false) => "failed",
                (true, true) => "end told",
                (true, false) => "end failed",
            };
            let said = if ok { text(row, "answer") } else { text(row, "error") };
            let integration = text(row, "integration");
            Some(DrillStep {
                receiver: text(row, "receiver").to_owned(),
                integration: format!("{integration}[{}]", number(row, "index").unwrap_or(0)),
                took_ms: number(row, "took_ms"),
                attempts: number(row, "attempts").unwrap_or(0),
                code: number(row, "code"),
                ..bare(what, said)
            })
        }
        _ => None,
    }
}

fn text<'a>(row: &'a HistoryRow, key: &str) -> &'a str {
    row.body.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(row: &HistoryRow, key: &str) -> Option<u64> {
    row.body.get(key).and_then(Value::as_u64)
}

fn names(row: &HistoryRow, list: &str, print: Fingerprint) -> bool {
    let print = print.to_string();
    let list = row.body.get(list).and_then(Value::as_array);
    list.is_some_and(|list| list.iter().any(|one| one.as_str() == Some(print.as_str())))
}
