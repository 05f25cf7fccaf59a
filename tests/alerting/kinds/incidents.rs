//! Services that make incidents of alerts: PagerDuty, Opsgenie, VictorOps, incident.io.

use super::{
    HASH, LINK, body, body_of, check_answers, check_refused, check_refused_in, resolved, sent,
    sent_of, summary,
};
use serde_json::{Value, json};
use watchbell::sys::http::Method;

const ACCEPTED: (u16, &str, &str) = (202, "application/json", "{}");

fn read(body: &str) -> Value {
    serde_json::from_str(body).expect("JSON")
}

#[test]
fn an_event_of_pagerduty_is_upstreams() {
    let alert = |sev: &str, fingerprint: &str| {
        json!({
            "annotations": { "summary": "<b>&\r\nBcc: evil@x" },
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": fingerprint,
            "generatorURL": "http://gen/x?a=1&b=2",
            "labels": { "alertname": "X", "sev": sev },
            "startsAt": "2024-01-01T00:00:00Z",
            "status": "firing",
        })
    };
    let found = read(&body("pagerduty", "{routing_key: K}", ACCEPTED));
    let firing = found.pointer("/payload/custom_details/firing").expect("a list");
    let prints: Vec<_> = (0..2)
        .filter_map(|place| firing.pointer(&format!("/{place}/fingerprint"))?.as_str())
        .collect();
    let [first, second] = prints.as_slice() else { panic!("{firing}") };
    let expected = json!({
        "routing_key": "K",
        "dedup_key": HASH,
        "event_action": "trigger",
        "payload": {
            "summary": "[FIRING:2] X ",
            "source": "Alertmanager",
            "severity": "error",
            "custom_details": {
                "firing": [alert("a", first), alert("b", second)],
                "num_firing": 2,
                "num_resolved": 0,
                "resolved": [],
            },
        },
        "client": "Alertmanager",
        "client_url": LINK,
    });
    // As texts, so that the order counts.
    assert_eq!(found.to_string(), expected.to_string());
    let sent = sent_of("pagerduty", "{routing_key: K}", ACCEPTED, resolved);
    let [one] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(one.url, "https://events.pagerduty.com/v2/enqueue");
    let found = read(&one.body);
    assert_eq!(found["event_action"], "resolve");
    assert_eq!(found["payload"]["custom_details"]["num_resolved"], 2);
}

#[test]
fn every_field_of_pagerduty_is_a_template() {
    let item = "{routing_key: 'K{{ len .Alerts }}', url: 'http://pd/x', client: c, client_url: u,
        description: d, source: '{{ .Receiver }}', severity: '{{ .CommonLabels.sev }}critical',
        class: cl, component: co, group: g,
        details: {firing: own, nested: {count: '{{ len .Alerts }}', plain: x}, empty: '', num_firing: 'n'},
        images: [{src: s, alt: a, href: h}, {alt: gone}], links: [{href: h, text: t}, {text: gone}]}";
    let sent = sent("pagerduty", item, ACCEPTED);
    let [one] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(one.url, "http://pd/x");
    assert_eq!(
        one.body,
        format!(
            "{}{HASH}{}\n",
            r#"{"routing_key":"K2","dedup_key":""#,
            concat!(
                r#"","event_action":"trigger","payload":{"summary":"d","source":"team","#,
                r#""severity":"critical","class":"cl","component":"co","group":"g","#,
                r#""custom_details":{"empty":null,"firing":"own","#,
                // YAML 1.1: `n` is no.
                r#""nested":{"count":2,"plain":"x"},"num_firing":false,"num_resolved":0,"#,
                r#""resolved":[]}},"client":"c","client_url":"u","#,
                r#""images":[{"src":"s","alt":"a","href":"h"}],"links":[{"href":"h","text":"t"}]}"#,
            )
        )
    );
}

#[test]
fn keys_of_services_make_events_of_v1() {
    let item = "{service_key: S, details: {firing: f, resolved: r}}";
    let sent = sent("pagerduty", item, ACCEPTED);
    let [one] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(one.url, "https://events.pagerduty.com/generic/2010-04-15/create_event.json");
    let expected = |event: &str, subject: &str, client: &str, counts: &str| {
        format!(
            "{{\"service_key\":\"S\",\"incident_key\":\"{HASH}\",\"event_type\":\"{event}\",\
             \"description\":\"{subject} X \",\"event_action\":\"\",\"payload\":null,{client}\
             \"details\":{{\"firing\":\"f\",{counts},\"resolved\":\"r\"}}}}"
        )
    };
    let client = format!("\"client\":\"Alertmanager\",\"client_url\":\"{LINK}\",");
    let counts = "\"num_firing\":2,\"num_resolved\":0";
    assert_eq!(one.body.trim_end(), expected("trigger", "[FIRING:2]", &client, counts));
    let end = body_of("pagerduty", item, ACCEPTED, resolved);
    let counts = "\"num_firing\":0,\"num_resolved\":2";
    assert_eq!(end, expected("resolve", "[RESOLVED]", "", counts));
}

#[test]
fn details_that_are_too_long_are_left_out() {
    let item = |len: usize| {
        let text = "x".repeat(len);
        format!("{{routing_key: K, description: '{text}', details: {{own: '{text}'}}}}")
    };
    let found = body("pagerduty", &item(500_000), ACCEPTED);
    assert!(found.len() < 512_000);
    let found = read(&found);
    assert_eq!(found["payload"]["custom_details"]["own"].as_str().map(str::len), Some(500_000));
    assert_eq!(found["payload"]["summary"].as_str().map(|text| text.chars().count()), Some(1_024));
    let found = read(&body("pagerduty", &item(512_000), ACCEPTED));
    assert_eq!(
        found["payload"]["custom_details"],
        json!({ "error": "Custom details have been removed because the original event exceeds \
                          the maximum size of 512KB" })
    );
}

#[test]
fn severities_that_pagerduty_would_refuse_are_errors() {
    for (written, sent) in [
        ("'{{ .CommonLabels.nope }}'", "error"),
        ("page", "error"),
        ("Critical", "critical"),
        ("' info'", "info"),
        ("warning", "warning"),
    ] {
        let item = format!("{{routing_key: K, severity: {written}}}");
        let event = read(&body("pagerduty", &item, ACCEPTED));
        assert_eq!(event["payload"]["severity"], sent, "{written}");
    }
}

#[test]
fn pagerduty_s_answers_and_refusals() {
    let invalid =
        r#"{"status":"invalid event","message":"Event object is invalid","errors":["a","b"]}"#;
    check_answers(
        "pagerduty",
        "{routing_key: K}",
        &[
            ((400, "", invalid), "unexpected status code 400: Event object is invalid: a,b"),
            ((400, "", "oops"), "unexpected status code 400"),
            ((403, "", "x"), "unexpected status code 403"),
            ((429, "", "x"), "again: unexpected status code 429"),
            ((500, "", "x"), "again: unexpected status code 500"),
        ],
    );
    check_answers(
        "pagerduty",
        "{service_key: K}",
        &[((403, "", "x"), "again: unexpected status code 403")],
    );
    check_answers(
        "pagerduty",
        "{routing_key: '{{ .CommonLabels.nope }}'}",
        &[(ACCEPTED, "routing key cannot be empty")],
    );
    check_answers(
        "pagerduty",
        "{service_key: '{{ .CommonLabels.nope }}'}",
        &[(ACCEPTED, "service key cannot be empty")],
    );
    check_refused(
        "pagerduty",
        &[
            ("{}", "missing service or routing key in PagerDuty config"),
            (
                "{routing_key: a, routing_key_file: b}",
                "at most one of routing_key & routing_key_file must be configured",
            ),
            (
                "{service_key: a, service_key_file: b}",
                "at most one of service_key & service_key_file must be configured",
            ),
            ("{routing_key: a, url: 'x'}", "unsupported scheme \"\" for URL"),
        ],
    );
}

#[test]
fn an_alert_of_opsgenie_is_made_and_closed() {
    let item = "{api_key: 'k{{ len .Alerts }}', api_url: 'http://og/base', description: d}";
    let sent = sent("opsgenie", item, ACCEPTED);
    let [one] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!((one.method, one.url.as_str()), (Method::Post, "http://og/base/v2/alerts"));
    assert_eq!(one.header("authorization"), "GenieKey k2");
    assert_eq!(
        one.body,
        format!(
            "{{\"alias\":\"{HASH}\",\"message\":\"[FIRING:2] X \",\"description\":\"d\",\
             \"details\":{{\"alertname\":\"X\"}},\"source\":\"{LINK}\"}}\n"
        )
    );
    let sent = sent_of("opsgenie", item, ACCEPTED, resolved);
    let [one] = sent.as_slice() else { panic!("{sent:?}") };
    let url = format!("http://og/base/v2/alerts/{HASH}/close?identifierType=alias");
    assert_eq!((one.method, one.url.as_str()), (Method::Post, url.as_str()));
    assert_eq!(one.body, format!("{{\"source\":\"{LINK}\"}}\n"));
}

#[test]
fn every_field_of_opsgenie_is_a_template() {
    let item = "{api_key: k, message: m, description: d, source: s, entity: '{{ .Status }}',
        details: {alertname: own, n: '{{ len .Alerts }}'}, actions: 'a,,b', tags: ' x,{{ .Receiver }},', note: n, priority: P1,
        responders: [{name: 'a,b', type: teams}, {id: i, type: user}, {username: u, type: User},
          {name: '{{ .CommonLabels.nope }}', type: '{{ .CommonLabels.nope }}'}]}";
    let expected = format!(
        "{}{HASH}{}",
        r#"{"alias":""#,
        concat!(
            r#"","message":"m","description":"d","details":{"alertname":"own","n":"2"},"#,
            r#""source":"s","responders":[{"name":"a","type":"team"},{"name":"b","type":"team"},"#,
            r#"{"id":"i","type":"user"},{"username":"u","type":"User"}],"tags":["x","team"],"#,
            r#""note":"n","priority":"P1","entity":"firing","actions":["a","b"]}"#,
        )
    );
    assert_eq!(body("opsgenie", item, ACCEPTED), expected);
    let item = format!(
        "{{api_key: k, update_alerts: true, message: '{}', description: d}}",
        "x".repeat(131)
    );
    let sent = sent("opsgenie", &item, ACCEPTED);
    let seen: Vec<_> = sent.iter().map(|one| (one.method, one.url.as_str())).collect();
    let of = |what: &str| {
        format!("https://api.opsgenie.com/v2/alerts/{HASH}/{what}?identifierType=alias")
    };
    let (message, description) = (of("message"), of("description"));
    assert_eq!(
        seen,
        [
            (Method::Post, "https://api.opsgenie.com/v2/alerts"),
            (Method::Put, message.as_str()),
            (Method::Put, description.as_str()),
        ]
    );
    let cut = format!("{{\"message\":\"{}\u{2026}\"}}\n", "x".repeat(129));
    assert_eq!(sent.get(1).map(|one| one.body.as_str()), Some(cut.as_str()));
    assert_eq!(sent.get(2).map(|one| one.body.as_str()), Some("{\"description\":\"d\"}\n"));
}

#[test]
fn what_opsgenie_would_refuse_as_too_long_is_cut() {
    let tags = (0..30).map(|tag| format!("{tag}{}", "t".repeat(60))).collect::<Vec<_>>().join(",");
    let item =
        format!("{{api_key: k, tags: '{tags}', details: {{a: '{}', b: gone}}}}", "d".repeat(9_000));
    let found = read(&body("opsgenie", &item, ACCEPTED));
    let tags = found["tags"].as_array().expect("tags");
    assert_eq!(tags.len(), 20);
    assert!(tags.iter().all(|tag| tag.as_str().is_some_and(|tag| tag.chars().count() == 50)));
    let details = found["details"].as_object().expect("details");
    let chars = |(name, value): (&String, &Value)| {
        name.chars().count() + value.as_str().map_or(0, |value| value.chars().count())
    };
    let len: usize = details.iter().map(chars).sum();
    assert!((7_990..=8_000).contains(&len), "{len}");
    let long = |of: &str, len: usize| vec![of.repeat(len); 12].join(",");
    let item = format!(
        "{{api_key: k, source: '{}', entity: '{}', actions: '{}', priority: '{{{{ .Status }}}}'}}",
        "s".repeat(200),
        "e".repeat(600),
        long("a", 60)
    );
    let found = read(&body("opsgenie", &item, ACCEPTED));
    let len = |name: &str| found[name].as_str().map(|text| text.chars().count());
    assert_eq!((len("source"), len("entity")), (Some(100), Some(512)));
    let actions = found["actions"].as_array().expect("actions");
    assert!(actions.iter().all(|one| one.as_str().is_some_and(|one| one.chars().count() == 50)));
    assert_eq!((actions.len(), found.get("priority")), (10, None));
}

#[test]
fn opsgenie_s_answers_and_refusals() {
    check_answers(
        "opsgenie",
        "{api_key: k, update_alerts: true}",
        &[
            ((422, "", "bad"), "unexpected status code 422: bad"),
            ((429, "", ""), "again: unexpected status code 429"),
            ((500, "", ""), "again: unexpected status code 500"),
        ],
    );
    let of = "opsGenieConfig responder";
    let nobody =
        format!("{of} {{   team}} has to have at least one of id, username or name specified");
    let nothing = format!(
        "{of} {{ a  boss}} type does not match valid options ^(team|teams|user|escalation|schedule)$"
    );
    check_refused(
        "opsgenie",
        &[
            ("{}", "no global OpsGenie API Key set either inline or in a file"),
            (
                "{api_key: a, api_key_file: b}",
                "at most one of api_key & api_key_file must be configured",
            ),
            ("{api_key: a, responders: [{type: team}]}", &nobody),
            ("{api_key: a, responders: [{name: a, type: boss}]}", &nothing),
            ("{api_key: a, responders: [{name: a, type: '{{ .Status }}'}]}", ""),
        ],
    );
    check_refused_in("opsgenie_api_key_file: k", "opsgenie", &[("{}", "")]);
    let sent = sent("opsgenie", "{api_key_file: k.txt}", ACCEPTED);
    let key = sent.first().map(|one| one.header("authorization"));
    assert_eq!(key.as_deref(), Some("GenieKey http://from-file/etc/watchbell/k.txt"));
}

#[test]
fn an_event_of_victorops_is_upstreams() {
    let item = "{api_key: 'k y', api_url: 'http://vo/alert', routing_key: 'r/{{ .Receiver }}?#', \
                state_message: '{{ .CommonAnnotations.summary }}', message_type: WARNING, \
                custom_fields: {a: '{{ .Status }}', z: 1}}";
    let sent = sent("victorops", item, ACCEPTED);
    let [one] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(one.url, "http://vo/alert/k%20y/r/team%3F%23");
    assert_eq!(
        one.body,
        format!(
            "{{\"a\":\"firing\",\"entity_display_name\":\"[FIRING:2] X \",\"entity_id\":\"{HASH}\",\
             \"message_type\":\"WARNING\",\"monitoring_tool\":\"Alertmanager\",\
             \"state_message\":\"\\u003cb\\u003e\\u0026\\r\\nBcc: evil@x\",\"z\":\"1\"}}\n"
        )
    );
    for (message_type, expected) in
        [("INFO", "INFO"), ("CRITICAL", "CRITICAL"), ("odd", "CRITICAL"), ("RECOVERY", "CRITICAL")]
    {
        let item = format!("{{api_key: k, routing_key: r, message_type: {message_type}}}");
        assert_eq!(read(&body("victorops", &item, ACCEPTED))["message_type"], expected);
        let end = body_of("victorops", &item, ACCEPTED, resolved);
        assert_eq!(read(&end)["message_type"], "RECOVERY");
    }
    let long = |len: usize| {
        let item = format!("{{api_key: k, routing_key: r, state_message: '{}'}}", "x".repeat(len));
        let found = read(&body("victorops", &item, ACCEPTED));
        found["state_message"].as_str().map(str::to_owned).expect("text")
    };
    assert_eq!(long(20_480).len(), 20_480);
    assert_eq!(long(20_481), format!("{}\u{2026}", "x".repeat(20_479)));
    check_refused(
        "victorops",
        &[
            ("{api_key: k}", "missing Routing key in VictorOps config"),
            ("{routing_key: r}", "no global VictorOps API Key set"),
            (
                "{routing_key: r, api_key: a, api_key_file: b}",
                "at most one of api_key & api_key_file must be configured",
            ),
            (
                "{routing_key: r, api_key: a, custom_fields: {entity_id: x}}",
                "victorOps config contains custom field entity_id which cannot be used as it \
                 conflicts with the fixed/static fields",
            ),
        ],
    );
}

#[test]
fn an_older_authorization_is_one_for_incident_io() {
    check_refused(
        "incidentio",
        &[
            ("{url: 'http://x', http_config: {bearer_token: t}}", ""),
            (
                "{url: 'http://x', alert_source_token: y, http_config: {bearer_token: z}}",
                "cannot specify alert_source_token or alert_source_token_file when using \
                 http_config.authorization",
            ),
        ],
    );
}

#[test]
fn incident_io_gets_the_web_hooks_body_with_its_version() {
    let item = "{url: 'http://ii/x', alert_source_token: t, max_alerts: 1}";
    let sent = sent("incidentio", item, ACCEPTED);
    let [one] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(one.url, "http://ii/x");
    let found = read(&one.body);
    let keys: Vec<_> = found.as_object().expect("a map").keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "receiver",
            "status",
            "alerts",
            "notification_reason",
            "groupLabels",
            "commonLabels",
            "commonAnnotations",
            "routeLabels",
            "externalURL",
            "version",
            "groupKey",
            "truncatedAlerts",
        ]
    );
    assert_eq!((&found["version"], &found["truncatedAlerts"]), (&json!("1"), &json!(1)));
    assert_eq!(found["alerts"].as_array().map(Vec::len), Some(1));
    // Too long: one alert is left, and what is said about all of them stays.
    let item = "{url: 'http://ii/x', alert_source_token: t}";
    let half = "x".repeat(200_000);
    let found = read(&body_of("incidentio", item, ACCEPTED, summary(&half)));
    assert_eq!(found["alerts"].as_array().map(Vec::len), Some(1));
    assert_eq!(found["truncatedAlerts"], 0);
    assert_eq!(found["commonLabels"], json!({ "alertname": "X" }));
    check_answers(
        "incidentio",
        item,
        &[
            (
                (400, "", r#"{"message":"m","error":"e","errors":["a","b"]}"#),
                "unexpected status code 400: m: e: a, b",
            ),
            ((404, "", "no JSON"), "unexpected status code 404"),
            ((429, "", ""), "again: unexpected status code 429"),
        ],
    );
    check_refused(
        "incidentio",
        &[
            ("{}", "one of url or url_file must be configured"),
            ("{url: 'http://x', url_file: y}", "at most one of url & url_file must be configured"),
            (
                "{url: 'http://x', alert_source_token: y, alert_source_token_file: z}",
                "at most one of alert_source_token & alert_source_token_file must be configured",
            ),
            (
                "{url: 'http://x', alert_source_token: y, http_config: {authorization: {credentials: z}}}",
                "cannot specify alert_source_token or alert_source_token_file when using \
                 http_config.authorization",
            ),
            (
                "{url: 'http://x', http_config: {}}",
                "at least one of alert_source_token, alert_source_token_file or \
                 http_config.authorization must be configured",
            ),
            ("{url: 'http://x'}", ""),
        ],
    );
}
