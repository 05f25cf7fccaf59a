//! A fire drill through a whole server to real sockets, and what would be of other labels.

use super::live::Live;
use super::trying::take_one;
use std::net::TcpListener;
use watchbell::model::{Annotations, Labels};
use watchbell::wire::{
    AlertFilter, Core as _, Drill, DrillReport, GroupingRequest, MatcherForm, PostableAlert,
    PostableSilence, RouteTestRequest,
};

fn steps(report: &DrillReport) -> Vec<String> {
    let step = |one: &watchbell::wire::DrillStep| {
        format!("{} {} {}", one.what, one.receiver, one.integration).trim().to_owned()
    };
    report.steps.iter().map(step).collect()
}

/// A server whose receiver `page` has two web hooks; the second is told of no ends.
fn served() -> (Live, TcpListener, TcpListener) {
    let live = Live::start("{}", &[]);
    let sink = || TcpListener::bind("127.0.0.1:0").expect("loopback");
    let (first, second) = (sink(), sink());
    let url = |sink: &TcpListener| format!("http://{}/", sink.local_addr().expect("bound"));
    let routes = format!(
        "
route:
  receiver: none
  routes:
  - {{matchers: [severity=page], receiver: page, group_by: [alertname], group_wait: 1h, group_interval: 1h}}
receivers:
- {{name: none}}
- name: page
  webhook_configs: [{{url: '{}'}}, {{url: '{}', send_resolved: false}}]
",
        url(&first),
        url(&second)
    );
    std::fs::write(live.folder.path().join("a.yml"), routes).expect("writes");
    live.service.reload().expect("reloads");
    (live, first, second)
}

#[test]
fn a_drill_reaches_the_sinks_says_test_everywhere_and_ends() {
    let (live, first, second) = served();
    let asked = Drill {
        labels: Labels::from_pairs([("severity", "page"), ("alertname", "DiskFull")]),
        annotations: Labels::from_pairs([("description", "it is full")]),
        ..Drill::default()
    };
    let (bodies, ended) = std::thread::scope(|scope| {
        let of_first = scope.spawn(|| [take_one(&first, "one"), take_one(&first, "two")]);
        let of_second = scope.spawn(|| take_one(&second, "three"));
        let begun = live.service.begin_drill(&asked).expect("begins");
        let print = begun.fingerprint;
        live.until("all are told", |core| {
            core.drill(&print).is_ok_and(|report| report.waits_for.is_empty())
        });
        let told = live.service.drill(&print).expect("is there");
        assert!(told.firing && told.route.finals[0].group.is_some(), "{told:?}");
        let mut found = steps(&told);
        found.sort();
        assert_eq!(found, ["received", "told page webhook[0]", "told page webhook[1]"]);
        let ending = live.service.end_drill(&print).expect("ends");
        assert!(!ending.firing);
        live.until("the end is told", |core| {
            core.drill(&print).is_ok_and(|report| report.waits_for.is_empty())
        });
        let [start, end] = of_first.join().expect("bodies");
        let other = of_second.join().expect("a body");
        ([start, end, other], live.service.drill(&print).expect("is there"))
    });
    assert_eq!(steps(&ended)[3..], ["ended", "end told page webhook[0]"]);
    let last = ended.steps.last().expect("steps");
    assert_eq!((last.code, last.attempts, last.said.as_str()), (Some(200), 1, "two"));
    for body in bodies {
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        for pointer in [
            "/alerts/0/labels/alertname",
            "/groupLabels/alertname",
            "/commonLabels/alertname",
            "/groupLabels/watchbell_drill",
            "/alerts/0/annotations/description",
            "/commonAnnotations/summary",
        ] {
            let text = body.pointer(pointer).and_then(serde_json::Value::as_str);
            assert!(text.is_some_and(|text| text.starts_with("TEST")), "{pointer}: {body}");
        }
    }
    let real = "00000000000000ff";
    let missing = live.service.drill(real).expect_err("there is none");
    assert!(missing.message.contains("no drill has the fingerprint"), "{missing}");
}

#[test]
fn a_drill_that_nobody_would_hear_is_not_begun() {
    let (live, _first, _second) = served();
    let ask = |pairs: &[(&str, &str)], span: &str| {
        let labels = Labels::from_pairs(pairs.iter().copied());
        let drill = Drill { labels, span: span.to_owned(), ..Drill::default() };
        live.service.begin_drill(&drill).expect_err("it is refused").message
    };
    assert!(ask(&[], "").contains("nobody would be told: its receivers have no integration"));
    assert!(ask(&[("severity", "page")], "2h").contains("a drill lasts from 1s to 1h, found 2h"));
    let now = live.service.status().expect("answers").now;
    let silence = PostableSilence {
        id: None,
        matchers: vec![MatcherForm {
            name: "severity".to_owned(),
            value: "page".to_owned(),
            is_regex: false,
            is_equal: true,
        }],
        starts_at: now,
        ends_at: now.plus(std::time::Duration::from_secs(600)),
        created_by: "me".to_owned(),
        comment: "c".to_owned(),
        annotations: Annotations::empty(),
    };
    let id = live.service.post_silence(silence).expect("a silence");
    let why = ask(&[("severity", "page")], "");
    assert!(why.contains(&format!("silence {id} acts on it")), "{why}");
    assert_eq!(live.service.alertmanager_alerts(&AlertFilter::default()), Ok(Vec::new()));
    let request = RouteTestRequest {
        labels: Labels::from_pairs([("severity", "page"), ("alertname", "A")]),
        at: None,
    };
    let way = live.service.route_test(&request).expect("answers");
    assert_eq!(way.silenced_by, [id]);
    assert_eq!(way.finals[0].integrations, ["webhook[0]", "webhook[1]"]);
    assert_eq!(way.nodes.iter().map(|node| node.depth).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn other_groups_are_previewed_and_a_route_that_is_not_there_is_named() {
    let (live, _first, _second) = served();
    let alerts = ["a", "b", "c"].map(|host| PostableAlert {
        labels: Labels::from_pairs([("severity", "page"), ("alertname", "A"), ("host", host)]),
        annotations: Annotations::empty(),
        starts_at: None,
        ends_at: None,
        generator_url: String::new(),
    });
    live.service.post_alerts(alerts.to_vec()).expect("taken");
    let ask = |route: Option<&str>, by: &str| {
        live.service.grouping_preview(&GroupingRequest {
            route: route.map(str::to_owned),
            group_by: vec![by.to_owned()],
        })
    };
    let found = ask(None, "host").expect("answers");
    assert_eq!((found.before.len(), found.after.len()), (1, 3));
    assert_eq!(found.before[0].alerts.len(), 3);
    let err = ask(Some("{}/{severity=\"pge\"}"), "host").expect_err("no such route");
    assert!(err.message.contains("did you mean {}/{severity=\"page\"}?"), "{err}");
}
