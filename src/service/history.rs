//! The history of alerts, looked through for people and programs.

use crate::model::{Labels, Matcher};
use crate::storage::state::{HistoryEntry, HistoryPlace, HistoryQuery};
use crate::wire::{Error, HistoryAnswer, HistoryRequest, HistoryRow};
use std::collections::BTreeMap;

/// Rows that are read at a time. The database is free in between, and the alerts need it.
const PAGE_ROWS: usize = 1_000;
/// Rows that one answer looks through: about a fifth of a second.
const LOOKED_MAX: usize = 100_000;
/// Rows of one answer when none are asked for, and at most.
const LIMIT: usize = 500;
const LIMIT_MAX: usize = 10_000;

/// The rows that are asked for, the newest first, out of pages of the database. What is looked for
/// is decided row by row, here: a rare kind would hold the database for as long as all of it takes.
pub(super) fn answer(
    request: &HistoryRequest,
    mut read: impl FnMut(&HistoryQuery) -> Result<Vec<(HistoryPlace, HistoryEntry)>, Error>,
) -> Result<HistoryAnswer, Error> {
    let limit = if request.limit == 0 { LIMIT } else { request.limit.min(LIMIT_MAX) };
    let before = request.cursor.as_deref().map(str::parse::<HistoryPlace>).transpose();
    let mut query = HistoryQuery {
        from: request.start,
        to: request.end,
        before: before.map_err(Error::bad_data)?,
        limit: PAGE_ROWS,
        ..HistoryQuery::default()
    };
    let mut rows = Vec::new();
    let mut looked = 0;
    loop {
        let page = read(&query)?;
        let is_last = page.len() < PAGE_ROWS;
        looked += page.len();
        for (place, entry) in page {
            query.before = Some(place);
            rows.extend(row(place, entry, request));
            if rows.len() >= limit {
                return Ok(HistoryAnswer { rows, cursor: Some(place.to_string()) });
            }
        }
        if is_last || looked >= LOOKED_MAX {
            let cursor = query.before.filter(|_| !is_last).map(|place| place.to_string());
            return Ok(HistoryAnswer { rows, cursor });
        }
    }
}

/// The row, if it is asked for. One that cannot be read is left out.
fn row(place: HistoryPlace, entry: HistoryEntry, request: &HistoryRequest) -> Option<HistoryRow> {
    if request.kind.as_ref().is_some_and(|kind| *kind != entry.kind)
        || request.fingerprint.as_ref().is_some_and(|print| !is_about(&entry, print))
    {
        return None;
    }
    let labels: BTreeMap<String, String> = serde_json::from_str(&entry.labels).ok()?;
    let labels = Labels::from_pairs(labels);
    let body: serde_json::Value = serde_json::from_str(&entry.body).ok()?;
    if !is_of(&labels, &body, &request.matchers) {
        return None;
    }
    Some(HistoryRow {
        id: place.id,
        at: place.at,
        kind: entry.kind,
        fingerprint: entry.fingerprint,
        labels,
        body,
    })
}

/// Whether the matchers fit an alert of the row: of several that were told, any of them. Where some
/// are not named, one of them may have any labels beside the shared ones: the row is shown rather
/// than missed.
fn is_of(labels: &Labels, body: &serde_json::Value, matchers: &[Matcher]) -> bool {
    let fits = |labels: &Labels| matchers.iter().all(|matcher| matcher.matches(labels));
    let members = body.get("members").and_then(serde_json::Value::as_array);
    let Some(members) = members.filter(|_| !matchers.is_empty()) else { return fits(labels) };
    if body.get("members_more").is_some() {
        let mut decided = matchers.iter().filter(|one| labels.get(one.name()).is_some());
        return decided.all(|matcher| matcher.matches(labels));
    }
    let whole = |own: &serde_json::Value| {
        let mut whole = labels.to_builder();
        for (name, value) in own.as_object().into_iter().flatten() {
            whole.set(name, value.as_str().unwrap_or_default());
        }
        whole.build()
    };
    members.iter().map(whole).any(|labels| fits(&labels))
}

/// Whether a row is about this alert: by its identity, or as one of several that were told.
fn is_about(entry: &HistoryEntry, print: &str) -> bool {
    entry.fingerprint == print
        || (entry.fingerprint.is_empty() && entry.body.contains(&format!("\"{print}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MatchOp, Timestamp};

    const PRINT: &str = "00000000000000aa";

    fn entry(at: i64, kind: &str, fingerprint: &str, labels: &str, body: &str) -> HistoryEntry {
        HistoryEntry {
            at: Timestamp::from_millis(at),
            kind: kind.to_owned(),
            fingerprint: fingerprint.to_owned(),
            labels: labels.to_owned(),
            body: body.to_owned(),
        }
    }

    fn many(count: usize) -> Vec<HistoryEntry> {
        (0..count as i64).map(|at| entry(at, "firing", "", "{}", "{}")).collect()
    }

    /// As the database answers: newest first, numbered from 1.
    fn ask(entries: &[HistoryEntry], request: &HistoryRequest) -> Result<HistoryAnswer, Error> {
        answer(request, |query| {
            let numbered = (1_i64..).zip(entries).collect::<Vec<_>>().into_iter().rev();
            let placed = numbered.map(|(id, one)| (HistoryPlace { at: one.at, id }, one.clone()));
            let wanted = placed.filter(|(place, _)| {
                query.before.is_none_or(|before| *place < before)
                    && query.from.is_none_or(|from| place.at >= from)
                    && query.to.is_none_or(|to| place.at <= to)
            });
            Ok(wanted.take(query.limit).collect())
        })
    }

    fn times(answer: &HistoryAnswer) -> Vec<i64> {
        answer.rows.iter().map(|row| row.at.as_millis()).collect()
    }

    #[test]
    fn rows_are_found_by_time_kind_alert_and_matchers() {
        let told = format!(r#"{{"firing":["{PRINT}"]}}"#);
        let entries = [
            entry(1, "firing", PRINT, r#"{"a":"b"}"#, "{}"),
            entry(2, "notified", "", r#"{"a":"b","c":"d"}"#, &told),
            entry(3, "notified", "", "{}", r#"{"firing":["00000000000000ab"]}"#),
            entry(4, "resolved", "00000000000000ab", r#"{"a":"x"}"#, "{}"),
            // Not ours: no object of labels.
            entry(5, "firing", PRINT, "[]", "{}"),
        ];
        let found = |request| times(&ask(&entries, &request).expect("answers"));
        let all = HistoryRequest::default;
        let kind = |kind: &str| Some(kind.to_owned());
        assert_eq!(found(all()), [4, 3, 2, 1]);
        let fingerprint = Some(PRINT.to_owned());
        assert_eq!(found(HistoryRequest { fingerprint, ..all() }), [2, 1]);
        assert_eq!(found(HistoryRequest { kind: kind("notified"), ..all() }), [3, 2]);
        let matchers = vec![Matcher::equal("a", "b")];
        assert_eq!(found(HistoryRequest { matchers, ..all() }), [2, 1]);
        let at = |millis| Some(Timestamp::from_millis(millis));
        assert_eq!(found(HistoryRequest { start: at(2), end: at(3), ..all() }), [3, 2]);
    }

    #[test]
    fn a_notification_is_found_by_the_labels_of_each_of_its_alerts() {
        let body = r#"{"members":[{"i":"1","n":"x"},{"i":"2"}]}"#;
        let entries = [
            entry(1, "notified", "", r#"{"a":"b"}"#, body),
            entry(2, "notified", "", r#"{"a":"b","i":"3"}"#, "{}"),
        ];
        let matcher = |name, op, value| Matcher::new(name, op, value).expect("valid");
        for (matchers, found) in [
            (vec![Matcher::equal("i", "1")], vec![1]),
            (vec![Matcher::equal("i", "2"), Matcher::equal("a", "b")], vec![1]),
            (vec![Matcher::equal("i", "2"), Matcher::equal("n", "x")], vec![]),
            (vec![matcher("i", MatchOp::NotEqual, "1")], vec![2, 1]),
            (vec![matcher("i", MatchOp::Regex, "[13]")], vec![2, 1]),
            (vec![Matcher::equal("i", "")], vec![]),
            (vec![], vec![2, 1]),
        ] {
            let request = HistoryRequest { matchers: matchers.clone(), ..Default::default() };
            assert_eq!(times(&ask(&entries, &request).expect("answers")), found, "{matchers:?}");
        }
    }

    #[test]
    fn an_alert_with_no_labels_of_its_own_is_found_by_those_that_it_lacks() {
        let entries = [entry(1, "notified", "", r#"{"a":"b"}"#, r#"{"members":[{},{"i":"1"}]}"#)];
        let matcher = |name, op, value| Matcher::new(name, op, value).expect("valid");
        for (matchers, found) in [
            (vec![Matcher::equal("i", "")], vec![1]),
            (vec![matcher("i", MatchOp::NotEqual, "1"), Matcher::equal("a", "b")], vec![1]),
            (vec![Matcher::equal("i", "1")], vec![1]),
            (vec![Matcher::equal("i", "2")], vec![]),
            (vec![matcher("i", MatchOp::NotEqual, "1"), Matcher::equal("a", "c")], vec![]),
        ] {
            let request = HistoryRequest { matchers: matchers.clone(), ..Default::default() };
            assert_eq!(times(&ask(&entries, &request).expect("answers")), found, "{matchers:?}");
        }
    }

    #[test]
    fn where_alerts_are_left_out_the_shared_labels_decide() {
        let body = r#"{"members":[{"i":"1"}],"members_more":1}"#;
        let entries = [entry(1, "notified", "", r#"{"a":"b"}"#, body)];
        let matcher = |name, op, value| Matcher::new(name, op, value).expect("valid");
        for (matchers, found) in [
            (vec![Matcher::equal("i", "1")], vec![1]),
            (vec![Matcher::equal("i", "2"), Matcher::equal("a", "b")], vec![1]),
            (vec![Matcher::equal("i", "")], vec![1]),
            (vec![matcher("a", MatchOp::Regex, "b|c"), Matcher::equal("n", "x")], vec![1]),
            (vec![Matcher::equal("i", "1"), Matcher::equal("a", "c")], vec![]),
            (vec![matcher("a", MatchOp::NotEqual, "b")], vec![]),
            (vec![Matcher::equal("a", "")], vec![]),
        ] {
            let request = HistoryRequest { matchers: matchers.clone(), ..Default::default() };
            assert_eq!(times(&ask(&entries, &request).expect("answers")), found, "{matchers:?}");
        }
    }

    #[test]
    fn a_cursor_goes_on_where_an_answer_ended() {
        let entries = many(PAGE_ROWS + 5);
        let rows = entries.len() as i64;
        let mut request = HistoryRequest { limit: 2, ..HistoryRequest::default() };
        let first = ask(&entries, &request).expect("answers");
        assert_eq!(times(&first), [rows - 1, rows - 2]);
        request.limit = LIMIT_MAX + 1;
        request.cursor = first.cursor;
        let rest = ask(&entries, &request).expect("answers");
        assert_eq!((rest.rows.len() as i64, rest.cursor), (rows - 2, None));
        request.cursor = Some("yesterday".to_owned());
        assert!(ask(&entries, &request).is_err());
    }

    #[test]
    fn an_answer_looks_through_so_much_and_no_more() {
        let mut looked = 0;
        let request = HistoryRequest { kind: Some("other".to_owned()), ..Default::default() };
        let found = answer(&request, |query| {
            let page = (0..query.limit).map(|_| {
                looked += 1;
                let at = Timestamp::from_millis(-looked);
                (HistoryPlace { at, id: looked }, entry(-looked, "firing", "", "{}", "{}"))
            });
            Ok(page.collect())
        });
        let found = found.expect("answers");
        let cursor = format!("-{LOOKED_MAX}:{LOOKED_MAX}");
        assert_eq!((found.rows.len(), found.cursor), (0, Some(cursor)));
        assert_eq!(looked, LOOKED_MAX as i64);
    }
}
