//! Jira, scripted: searches, issues, transitions.

use super::{body, fault, resolved, send, send_this};
use crate::outside::{FakeHttp, Sent, delivery};
use serde_json::{Value, json};
use watchbell::alerts::DeliveryOutcome;
use watchbell::sys::http::Method;
use watchbell::sys::sim_local::ScriptedLocal;

const PROJECT: &str = "api_url: 'http://jira/rest/api/2', project: OPS, issue_type: Bug";
/// Nothing was found.
const NONE: (u16, &str, &str) = (200, "application/json", r#"{"issues":[]}"#);
const OPEN: (u16, &str, &str) = (
    200,
    "",
    r#"{"issues":[{"key":"OPS-1","fields":{"status":{"name":"Open","statusCategory":{"key":"new"}}}}]}"#,
);
const CLOSED: (u16, &str, &str) = (
    200,
    "",
    r#"{"issues":[{"key":"OPS-1","fields":{"status":{"name":"Done","statusCategory":{"key":"done"}}}}]}"#,
);
const MOVES: (u16, &str, &str) =
    (200, "", r#"{"transitions":[{"id":"11","name":"Close"},{"id":"21","name":"Reopen"}]}"#);
const DONE: (u16, &str, &str) = (204, "", "");

fn label() -> String {
    format!("ALERT{{{}}}", delivery("team", "jira").notification.group_key.hash())
}

fn run(more: &str, fires: bool, answers: &[(u16, &str, &str)]) -> (DeliveryOutcome, Vec<Sent>) {
    let http = FakeHttp::saying(answers);
    let delivery = if fires { delivery("team", "jira") } else { resolved("jira") };
    let outcome =
        send_this(&delivery, &format!("{{{PROJECT}, {more}}}"), &http, &ScriptedLocal::new());
    (outcome, http.sent())
}

fn steps(sent: &[Sent]) -> Vec<(Method, &str)> {
    sent.iter()
        .map(|one| (one.method, one.url.trim_start_matches("http://jira/rest/api/2")))
        .collect()
}

fn json(sent: &Sent) -> Value {
    serde_json::from_str(&sent.body).expect("JSON")
}

#[test]
fn an_issue_is_made_when_none_is_found() {
    let more = "summary: '{{ .Status }}', description: 'd {{ len .Alerts }}', priority: High, \
        labels: [z, '{{ .Status }}', Alert], fields: {n: '{{ len .Alerts }}', c: {value: '{{ .Status }}'}}";
    let (outcome, sent) = run(more, true, &[NONE, (201, "", r#"{"key":"OPS-9"}"#)]);
    assert_eq!((outcome.error, outcome.attempts, outcome.status), (None, 1, Some(201)));
    assert_eq!(steps(&sent), [(Method::Post, "/search"), (Method::Post, "/issue")]);
    for one in &sent {
        let headers = (one.header("content-type"), one.header("accept-language"));
        assert_eq!(headers, ("application/json".to_owned(), "en".to_owned()));
    }
    let query = format!(
        "statusCategory != Done and project=\"OPS\" and labels=\"{}\" \
         order by status ASC,resolutiondate DESC",
        label()
    );
    assert_eq!(
        sent[0].body,
        format!("{}\n", json!({ "fields": ["status"], "jql": query, "maxResults": 2 }))
    );
    let expected = json!({ "fields": {
        "c": {"value": "firing"},
        "description": "d 2",
        "issuetype": {"name": "Bug"},
        "labels": [label(), "Alert", "firing", "z"],
        "n": 2,
        "priority": {"name": "High"},
        "project": {"key": "OPS"},
        "summary": "firing",
    } });
    assert_eq!(sent[1].body, format!("{expected}\n"));
}

#[test]
fn what_alerts_say_does_not_make_jira_refuse_the_issue() {
    let more = "summary: \"{{ .Status }}\\n\\tb \", labels: [\" a  b\\tc \", '{{ .CommonLabels.nope }}', LONG]"
        .replace("LONG", &"x".repeat(300));
    let (outcome, sent) = run(&more, true, &[NONE, (201, "", r#"{"key":"OPS-9"}"#)]);
    assert_eq!(outcome.error, None);
    let fields = &json(&sent[1])["fields"];
    assert_eq!(fields["summary"], "firing  b");
    let cut = format!("{}\u{2026}", "x".repeat(254));
    assert_eq!(fields["labels"], json!([label(), "a_b_c", cut]));
}

#[test]
fn fields_that_say_how_they_are_used_keep_their_templates() {
    // As upstream, which reads a field over its default (notify/jira/config.go).
    let more = "summary: {enable_update: false}, description: {enable_update: true}";
    let (outcome, sent) = run(more, true, &[NONE, (201, "", r#"{"key":"OPS-9"}"#)]);
    assert_eq!(outcome.error, None);
    let fields = json(&sent[1]);
    assert_eq!(fields["fields"]["summary"], "[FIRING:2] X");
    let description = fields["fields"]["description"].as_str().unwrap_or_default();
    assert!(description.contains("Alerts Firing") || description.contains("alertname"), "{fields}");
    let (_, sent) = run(more, true, &[OPEN, DONE, MOVES, DONE]);
    let fields = json(&sent[1]);
    assert_eq!(fields["fields"].get("summary"), None);
    assert!(fields["fields"].get("description").is_some(), "{fields}");
}

#[test]
fn an_issue_that_is_found_is_updated_and_moved() {
    let more = "reopen_transition: Reopen, resolve_transition: Close, reopen_duration: 90m, \
        wont_fix_resolution: 'Won''t \"fix\"', summary: {template: s, enable_update: false}, \
        description: {template: d}";
    let (outcome, sent) = run(more, true, &[CLOSED, DONE, MOVES, DONE]);
    assert_eq!((outcome.error, outcome.attempts), (None, 1));
    assert_eq!(
        steps(&sent),
        [
            (Method::Post, "/search"),
            (Method::Put, "/issue/OPS-1"),
            (Method::Get, "/issue/OPS-1/transitions"),
            (Method::Post, "/issue/OPS-1/transitions"),
        ]
    );
    let query = format!(
        "(resolution is EMPTY or resolution != \"Won't \\\"fix\\\"\") and \
         (resolutiondate is EMPTY OR resolutiondate >= -90m) and project=\"OPS\" and \
         labels=\"{}\" order by status ASC,resolutiondate DESC",
        label()
    );
    assert_eq!(json(&sent[0])["jql"], query);
    let fields = json(&sent[1]);
    assert_eq!(
        (fields["fields"].get("summary"), &fields["fields"]["description"]),
        (None, &json!("d"))
    );
    assert_eq!(sent[3].body, "{\"transition\":{\"id\":\"21\"}}\n");

    let (outcome, sent) = run(more, false, &[OPEN, DONE, MOVES, DONE]);
    assert_eq!((outcome.error, sent.len()), (None, 4));
    assert!(
        json(&sent[0])["jql"]
            .as_str()
            .is_some_and(|query| query.contains("statusCategory != Done and project"))
    );
    assert_eq!(json(&sent[3]), json!({ "transition": { "id": "11" } }));

    // Open and firing, or without a transition to use: nothing moves.
    let (outcome, sent) = run(more, true, &[OPEN, DONE]);
    assert_eq!((outcome.error, sent.len()), (None, 2));
    let (outcome, sent) = run("labels: []", false, &[OPEN, DONE]);
    assert_eq!((outcome.error, sent.len()), (None, 2));
}

#[test]
fn no_issue_is_made_of_what_is_over() {
    let (outcome, sent) = run("labels: []", false, &[NONE]);
    assert_eq!((outcome.error, sent.len()), (None, 1));
}

#[test]
fn the_cloud_is_searched_elsewhere_and_takes_documents() {
    let http = FakeHttp::saying(&[NONE, DONE]);
    let document = r#"{"type": "doc", "version": 1, "content": []}"#;
    let item = |api: &str, more: &str| {
        format!(
            "{{api_url: 'https://x.atlassian.net/rest/api/{api}/', project: P, issue_type: T, {more}}}"
        )
    };
    let made = item("3", &format!("description: '{document}'"));
    send("jira", &made, &http, &ScriptedLocal::new());
    assert_eq!(http.sent()[0].url, "https://x.atlassian.net/rest/api/3/search/jql");
    assert_eq!(
        body(&http)["fields"]["description"],
        json!({"type": "doc", "version": 1, "content": []})
    );
    let http = FakeHttp::saying(&[NONE, DONE]);
    let outcome = send("jira", &item("3", "description: 'no {'"), &http, &ScriptedLocal::new());
    let text = "description template: invalid JSON for API v3";
    assert_eq!((outcome.error.as_deref(), outcome.attempts), (Some(text), 1));
    for (api_type, expected) in
        [("auto", "3/search/jql"), ("cloud", "3/search/jql"), ("datacenter", "2/search")]
    {
        let http = FakeHttp::saying(&[NONE, DONE]);
        send("jira", &item("2", &format!("api_type: {api_type}")), &http, &ScriptedLocal::new());
        let expected = format!("https://x.atlassian.net/rest/api/{expected}");
        assert_eq!(http.sent()[0].url, expected);
    }
}

#[test]
fn texts_are_cut_and_an_alert_cannot_change_the_query() {
    let long = "x".repeat(40_000);
    let more = format!("summary: '{long}', description: '{long}'");
    let (_, sent) = run(&more, true, &[NONE, DONE]);
    let fields = json(&sent[1]);
    let length = |name: &str| fields["fields"][name].as_str().map(|text| text.chars().count());
    assert_eq!((length("summary"), length("description")), (Some(255), Some(32_767)));
    let http = FakeHttp::saying(&[NONE, DONE]);
    let item = "{api_url: 'http://jira', project: '{{ .CommonAnnotations.summary }}\" or x=\"', issue_type: T}";
    send("jira", item, &http, &ScriptedLocal::new());
    let query = json(&http.sent()[0])["jql"].clone();
    let query = query.as_str().expect("a query");
    assert!(
        query.contains(r#"project="<b>&\r\nBcc: evil@x\" or x=\"" and labels="ALERT{"#),
        "{query}"
    );
}

#[test]
fn failures_say_what_was_tried() {
    let busy = [(429, "", "slow"), NONE, (201, "", "")];
    let (outcome, _) = run("labels: []", true, &busy);
    assert_eq!((outcome.error, outcome.attempts), (None, 2));
    for (answers, attempts_one, text) in [
        (
            vec![(401, "", "no")],
            true,
            "failed to look up existing issues: HTTP request to JIRA API: unexpected status code 401: no",
        ),
        (
            vec![NONE, (400, "", "bad")],
            true,
            "failed to POST request to \"issue\": unexpected status code 400: bad",
        ),
        (
            vec![OPEN, (500, "", "")],
            false,
            // The answers go on with the last one, also for the next search.
            "failed to look up existing issues: HTTP request to JIRA API: unexpected status code 500",
        ),
        (vec![CLOSED, DONE, MOVES], true, "can't find transition Gone for issue OPS-1"),
        (
            vec![(200, "", "<html>")],
            false,
            "failed to look up existing issues: could not read the answer: expected value at line 1 column 1",
        ),
        (
            vec![(200, "", r#"{"issues":[{"key":""}]}"#)],
            true,
            "failed to look up existing issues: the issue that was found has no key",
        ),
    ] {
        let (outcome, _) = run("reopen_transition: Gone", true, &answers);
        assert_eq!(outcome.error.as_deref(), Some(text));
        assert_eq!(outcome.attempts == 1, attempts_one, "{text}");
    }
}

#[test]
fn what_is_wrong_is_told() {
    let at = "receivers[0].jira_configs[0]";
    for (item, expected) in [
        ("{}", ": missing project in jira_config"),
        ("{project: P}", ": missing issue_type in jira_config"),
        (
            "{project: P, issue_type: T, api_type: x}",
            ": unknown api_type on jira_config, must be auto, cloud or datacenter",
        ),
        ("{project: P, issue_type: T}", ": no global Jira Cloud URL set"),
    ] {
        assert_eq!(fault("jira", item), format!("{at}{expected}"));
    }
}
