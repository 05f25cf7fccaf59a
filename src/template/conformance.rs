//! The engine against the real programs.
//!
//! The outputs in `tests/alerting/templates` were rendered by promtool 2.42 (`test rules`, an
//! annotation for each template) and amtool 0.25 (`template render`, as text and as HTML).

use super::*;
use crate::model::{Labels, Timestamp};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    template: String,
    output: Option<String>,
    error: Option<String>,
}

#[track_caller]
fn compare(fixture: &str, at_least: usize, render: impl Fn(&str) -> Result<String, TemplateError>) {
    let cases: Vec<Case> = serde_json::from_str(fixture).expect("a table");
    assert!(cases.len() >= at_least, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let found = render(&case.template).map_err(|err| err.to_string());
        let expected = match (&case.output, &case.error) {
            (Some(output), None) => Ok(output.clone()),
            (_, error) => Err(error.clone().unwrap_or_default()),
        };
        if found != expected {
            wrong.push(format!("{}\n  expected {expected:?}\n  found    {found:?}", case.template));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn answer(query: &str) -> Result<Vec<QuerySample>, String> {
    let one = |n: &str, value| QuerySample {
        labels: Labels::from_pairs([("__name__", "v"), ("n", n)]),
        value,
    };
    match query {
        "v" => Ok(vec![one("b", 2.0), one("a", 0.25)]),
        "v{n='b'}" => Ok(vec![one("b", 2.0)]),
        "sum(v)" => Ok(vec![QuerySample { labels: Labels::empty(), value: 2.25 }]),
        "nothing" => Ok(Vec::new()),
        _broken => Err("1:3: parse error: unclosed left parenthesis".to_owned()),
    }
}

fn rule(text: &str) -> Result<String, TemplateError> {
    let labels = [
        ("__name__", "m"),
        ("instance", "db.example.com:9100"),
        ("job", "node"),
        ("msg", "<a & \"b\">"),
    ];
    let data = Value::object(Record::new(
        "struct",
        [
            ("Labels", "Labels", Value::Map(Map::of_strings(labels))),
            ("ExternalLabels", "", Value::Map(Map::of_strings([("cluster", "c1")]))),
            ("ExternalURL", "", "http://h:9090/p".into()),
            ("Value", "", 1_234_567.5.into()),
        ],
    ));
    let url = "http://h:9090/p";
    let ctx =
        RuleContext { query: &answer, now: Timestamp::from_millis(300_000), external_url: url };
    let functions = rule_functions(ctx);
    let preamble = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
                    {{$externalURL := .ExternalURL}}{{$value := .Value}}";
    let template = Template::parse("__alert_A", &format!("{preamble}{text}"), &functions)?;
    template.execute(&data, &functions, Limits::default())
}

#[test]
fn rule_templates_render_as_promtool_renders_them() {
    compare(include_str!("../../tests/alerting/templates/rules.json"), 100, rule);
}

#[test]
fn newer_functions_of_rules_are_prometheus_3s() {
    // Expectations from prometheus 3.14's template_test.go, at this test's time.
    for (text, expected) in [
        ("{{ now }} {{ (now | toTime).Format \"15:04:05\" }}", "300 00:05:00"),
        ("{{ (1800 | toDuration).String }} {{ toDuration \"1.5\" }}", "30m0s 1.5s"),
        (
            "{{ (\"-30m\" | parseDuration | toDuration | (now | toTime).Add).UnixMilli }}",
            "-1500000",
        ),
        ("{{ printf \"%0.2f\" (parseDuration \"-1h2m10ms\") }}", "-3720.01"),
        ("{{ urlQueryEscape \"a b&c=d/\u{e9}\" }}", "a+b%26c%3Dd%2F%C3%A9"),
        ("{{ \"aa bb CC\" | title }}", "Aa Bb CC"),
        // As promtool 2.42 renders it.
        ("{{ humanize \"1_000\" }}", "1k"),
    ] {
        assert_eq!(rule(text).as_deref(), Ok(expected), "{text}");
    }
}

/// Alertmanager's `Alerts`.
#[derive(Debug)]
struct Alerts(Vec<Value>);

impl Alerts {
    fn with_status(&self, wanted: &str) -> Value {
        let has = |alert: &&Value| match alert {
            Value::Object(alert) => {
                alert.field("Status").is_some_and(|status| status.as_text() == Some(wanted))
            }
            _other => false,
        };
        Value::List(List::typed("[]template.Alert", self.0.iter().filter(has).cloned()))
    }
}

impl Object for Alerts {
    fn type_name(&self) -> &str {
        "template.Alerts"
    }

    fn takes(&self, method: &str) -> Option<Takes> {
        matches!(method, "Firing" | "Resolved").then_some(Takes::exactly(&[]))
    }

    fn call(&self, method: &str, _: &[Value]) -> Result<Value, String> {
        Ok(self.with_status(&method.to_lowercase()))
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::list(self.0.iter().cloned()))
    }
}

fn kv(pairs: &[(&str, &str)]) -> Value {
    Value::object(Kv::new(&Labels::from_pairs(pairs.iter().copied())))
}

fn notification() -> Value {
    let annotations = [("summary", "<it's \"down\" & out>"), ("js", "javascript:alert(1)")];
    let alert = |status: &str, instance, from, to, url: &str, fingerprint: &str| {
        let labels =
            [("alertname", "Down"), ("instance", instance), ("job", "node"), ("severity", "page")];
        Value::object(Record::new(
            "template.Alert",
            [
                ("Status", "status", status.into()),
                ("Labels", "labels", kv(&labels)),
                ("Annotations", "annotations", kv(&annotations)),
                ("StartsAt", "startsAt", Value::Time(from)),
                ("EndsAt", "endsAt", Value::Time(to)),
                ("GeneratorURL", "generatorURL", url.into()),
                ("Fingerprint", "fingerprint", fingerprint.into()),
            ],
        ))
    };
    let at = |millis| Time::utc(Timestamp::from_millis(millis));
    let url = "http://p:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1";
    let alerts = vec![
        alert("firing", "a:1", at(1_709_210_096_789), Time::zero(), url, "abc"),
        alert("resolved", "b:1", at(1_709_208_000_000), at(1_709_213_401_500), "", "def"),
    ];
    let common = [("alertname", "Down"), ("job", "node"), ("severity", "page")];
    Value::object(Record::new(
        "template.Data",
        [
            ("Receiver", "receiver", "team".into()),
            ("Status", "status", "firing".into()),
            ("Alerts", "alerts", Value::object(Alerts(alerts))),
            ("GroupLabels", "groupLabels", kv(&common[..2])),
            ("CommonLabels", "commonLabels", kv(&common)),
            ("CommonAnnotations", "commonAnnotations", kv(&annotations)),
            ("ExternalURL", "externalURL", "http://am:9093".into()),
        ],
    ))
}

fn render(text: &str, mode: Mode) -> Result<String, TemplateError> {
    let functions = alertmanager_functions(Timestamp::EPOCH);
    TemplateSet::new().render(text, &notification(), &functions, mode, Limits::default())
}

#[test]
fn t69_notifications_render_as_amtool_renders_them() {
    let fixture = include_str!("../../tests/alerting/templates/alertmanager_text.json");
    compare(fixture, 25, |text| render(text, Mode::Text));
}

#[test]
fn html_is_escaped_as_amtool_escapes_it() {
    let fixture = include_str!("../../tests/alerting/templates/alertmanager_html.json");
    compare(fixture, 15, |text| render(text, Mode::Html));
}

#[test]
fn values_are_written_in_all_places_of_a_page_as_amtool_writes_them() {
    let fixture = include_str!("../../tests/alerting/templates/html_places.json");
    compare(fixture, 60, |text| render(text, Mode::Html));
}

#[test]
fn places_of_a_page_that_are_not_clear_get_no_value() {
    // Go writes values in all of these, or refuses the template.
    for (text, expected) in [
        ("<script>x = /{{ \"a\" }}/</script>", "<script>x = /ZgotmplZ/</script>"),
        ("<script>x = `{{ \"a\" }}`</script>", "<script>x = `ZgotmplZ`</script>"),
        ("<script type=\"{{ \"x\" }}\">{{ 1 }}</script>", "<script type=\"x\">ZgotmplZ</script>"),
        ("<b onclick=\"f(&quot;{{ 1 }}&quot;)\">", "<b onclick=\"f(&quot;ZgotmplZ&quot;)\">"),
        ("<b {{ \"o\" }}nclick=\"'{{ \"'\" }}'\">", "<b onclick=\"'\\u0027'\">"),
        ("<s{{ \"cript\" }}>{{ \"<\" }}", "<script>\"\\u003c\""),
        (
            "<a href=\"&Tab;{{ \"javascript:1\" }}\"><a href=\"x?a=1&amp;b={{ \"c&d\" }}\">",
            "<a href=\"&Tab;ZgotmplZ\"><a href=\"x?a=1&amp;b=c%26d\">",
        ),
        ("<b onclick=\"f('&{{ \"#39;\" }}')\">", "<b onclick=\"f('&ZgotmplZ')\">"),
        ("<b style=\"x: '&{{ \"#39\" }}'\">", "<b style=\"x: '&ZgotmplZ'\">"),
        ("<a/href=\"{{ \"javascript:1\" }}\">", "<a/href=\"#ZgotmplZ\">"),
    ] {
        assert_eq!(render(text, Mode::Html).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn times_are_read_and_written_as_go_does() {
    // Go's time package, format.go and format_test.go (what layouts take), and amtool 0.25 for what
    // is written.
    for (text, expected) in [
        ("{{ toDate \"Jan _2 2006\" \"feb  3 2024\" }}", "2024-02-03 00:00:00 +0000 UTC"),
        (
            "{{ toDate \"Monday January 2 2006\" \"SATURDAY FEBRUARY 3 2024\" }}",
            "2024-02-03 00:00:00 +0000 UTC",
        ),
        ("{{ toDate \"2006-002\" \"2024-060\" }}", "2024-02-29 00:00:00 +0000 UTC"),
        ("{{ toDate \"2006 __2\" \"2023  60\" }}", "2023-03-01 00:00:00 +0000 UTC"),
        ("{{ (toDate \"2006-002\" \"2023-366\").IsZero }}", "true"),
        ("{{ (toDate \"2006-01-02 002\" \"2024-02-29 061\").IsZero }}", "true"),
        ("{{ toDate \"15:04\" \"7:30\" }}", "0000-01-01 07:30:00 +0000 UTC"),
        ("{{ toDate \"3:04PM\" \"7:30PM\" }}", "0000-01-01 19:30:00 +0000 UTC"),
        ("{{ (toDate \"3:04PM\" \"7:30pm\").IsZero }}", "true"),
        ("{{ (toDate \"3:04pm\" \"7:30xm\").IsZero }}", "true"),
        (
            "{{ toDate \"2006-01-02T15:04:05Z07:00\" \"2024-02-29T01:02:03+02:00\" }}",
            "2024-02-29 01:02:03 +0200 +0200",
        ),
        (
            "{{ toDate \"2006-01-02 -0700 MST\" \"2024-02-29 +0200 CEST\" }}",
            "2024-02-29 00:00:00 +0200 CEST",
        ),
        ("{{ toDate \"2006-01-02 MST\" \"2024-02-29 CET\" }}", "2024-02-29 00:00:00 +0000 CET"),
        ("{{ toDate \"2006-01-02 MST\" \"2024-02-29 GMT+3\" }}", "2024-02-29 00:00:00 +0300 GMT+3"),
        ("{{ toDate \"2006-01-02 MST\" \"2024-02-29 UTC\" }}", "2024-02-29 00:00:00 +0000 UTC"),
        ("{{ (toDate \"2006-01-02 MST\" \"2024-02-29 CETTE\").IsZero }}", "true"),
        ("{{ (toDate \"2006-01-02 Z07:00:00\" \"2024-02-29 -01:02:03\").Unix }}", "1709168523"),
        ("{{ (toDate \"2006-01-02 Z07\" \"2024-02-29 -01\").Unix }}", "1709168400"),
        ("{{ (toDate \"2006-01-02 Z070000\" \"2024-02-29 Z\").Unix }}", "1709164800"),
        ("{{ (toDate \"2006-01-02 -0700\" \"2024-02-29 +02:00\").IsZero }}", "true"),
        (
            "{{ (tz \"Europe/Paris\" now).Format \"Z07|Z070000|Z07:00:00|Z0700|Z07:00|-07:00:00\" }}",
            "+01|+010000|+01:00:00|+0100|+01:00|+01:00:00",
        ),
        ("{{ now.UTC.Format \"Z07|Z070000|Z07:00:00|-07:00:00\" }}", "Z|Z|Z|+00:00:00"),
        (
            "{{ now.UTC.Location }} {{ (tz \"Europe/Paris\" now).Location.String }}",
            "UTC Europe/Paris",
        ),
        ("{{ now.In (tz \"Europe/Paris\" now).Location }}", "1970-01-01 01:00:00 +0100 CET"),
        ("{{ printf \"%T\" now.Location }}", "*time.Location"),
        ("{{ now.UTC.GoString }}", "time.Date(1970, time.January, 1, 0, 0, 0, 0, time.UTC)"),
        (
            "{{ (tz \"Europe/Paris\" now).GoString }}",
            "time.Date(1970, time.January, 1, 1, 0, 0, 0, time.Location(\"Europe/Paris\"))",
        ),
    ] {
        assert_eq!(render(text, Mode::Text).as_deref(), Ok(expected), "{text}");
    }
    let err = render("{{ now.In nil }}", Mode::Text).expect_err("nil").to_string();
    assert!(err.ends_with("error calling In: time: missing Location in call to Time.In"), "{err}");
}

#[test]
fn values_without_order_and_loops_without_elements_are_gos() {
    // As amtool 0.25 renders them, but for functions that it lacks.
    for (text, expected) in [
        (
            "{{ eq .CommonLabels nil }} {{ ne .CommonLabels nil }} {{ eq nil .Alerts }} {{ eq . nil }}",
            "false true false false",
        ),
        ("{{ eq nil nil }} {{ eq 1 nil }} {{ eq nil 1 .Alerts }}", "true false false"),
        ("{{ range $i, $x := list }}a{{ else }}[{{ $i }}|{{ $x }}]{{ end }}", "[[]|[]]"),
        (
            "{{ $x := 1 }}{{ range $x := \"\" | reReplaceAll \"a\" \"b\" | len }}a{{ else }}{{ $x }}{{ end }}{{ $x }}",
            "01",
        ),
        (
            "{{ js \"a\\u00a0b\\u200bc\\u2028d\\u00ade\\ufefff\\U000e0001g\\u0378\u{e9}\u{301}\\u007f\u{1f600}\" }}",
            "a\\u00A0b\\u200Bc\\u2028d\\u00ADe\\uFEFFf\\uE0001g\\u0378\u{e9}\u{301}\u{7f}\u{1f600}",
        ),
    ] {
        assert_eq!(render(text, Mode::Text).as_deref(), Ok(expected), "{text}");
    }
    let err = render("{{ eq .Alerts .Alerts }}", Mode::Text).expect_err("lists").to_string();
    assert!(err.contains("non-comparable type"), "{err}");
}

#[test]
fn newer_functions_are_alertmanager_0_34s() {
    // Expectations from alertmanager 0.34's template_test.go and Go's documentation.
    for (text, expected) in [
        (
            "{{ .GroupLabels }}|{{ .CommonLabels.SortedPairs }}",
            "alertname=Down, job=node|alertname=Down, job=node, severity=page",
        ),
        ("{{ .GroupLabels.Values.Join \":\" }}", "Down:node"),
        ("{{ (.CommonLabels.Remove .GroupLabels.Names).SortedPairs }}", "severity=page"),
        ("{{ trimSpace \"  a b \" }}|{{ title \"hELLO wOrld\" }}", "a b|Hello World"),
        ("{{ dict \"a\" 1 \"b\" (list 1 \"x\") | toJson }}", "{\"a\":1,\"b\":[1,\"x\"]}"),
        ("{{ append (list 1) 2 3 }} {{ len (list) }}", "[1 2 3] 0"),
        ("{{ base64encode \"a?>~\" }} {{ base64decode \"YT8-fg==\" }}", "YT8-fg== a?>~"),
        ("{{ urlUnescape \"a%20b+c\" }} {{ since now }}", "a b c 0s"),
        ("{{ (tz \"Europe/Paris\" now) | date \"15:04 MST -0700\" }}", "01:00 CET +0100"),
        (
            "{{ toDate \"2006-01-02 15:04\" \"2024-02-29 23:05\" | date \"Jan 2 3:04PM\" }}",
            "Feb 29 11:05PM",
        ),
        (
            "{{ (mustToDate \"2006-01-02T15:04:05Z07:00\" \"2024-02-29T01:02:03+02:00\").Unix }}",
            "1709161323",
        ),
        ("{{ (toDate \"2006\" \"x\").IsZero }}", "true"),
        (
            "{{ (index .Alerts 0).Labels | toJson }}",
            "{\"alertname\":\"Down\",\"instance\":\"a:1\",\"job\":\"node\",\"severity\":\"page\"}",
        ),
        (
            "{{ index .Alerts 1 | toJson }}",
            "{\"status\":\"resolved\",\"labels\":{\"alertname\":\"Down\",\"instance\":\"b:1\",\"job\":\"node\",\"severity\":\"page\"},\"annotations\":{\"js\":\"javascript:alert(1)\",\"summary\":\"\\u003cit's \\\"down\\\" \\u0026 out\\u003e\"},\"startsAt\":\"2024-02-29T12:00:00Z\",\"endsAt\":\"2024-02-29T13:30:01.5Z\",\"generatorURL\":\"\",\"fingerprint\":\"def\"}",
        ),
        ("{{ range 3 }}{{ . }}{{ end }}{{ with 0 }}a{{ else with 1 }}b{{ . }}{{ end }}", "012b1"),
        ("{{ humanizeDuration 90 }} {{ humanizeDuration (since now) }}", "1m 30s 0s"),
        (
            "{{ range list 0.0 1.0 60.0 -183845.0 899.99 \"3600\" -1 }}{{ humanizeDuration . }}:{{ end }}",
            "0s:1s:1m 0s:-2d 3h 4m 5s:14m 59s:1h 0m 0s:-1s:",
        ),
        (
            "{{ range list .1 .0001 \".12345\" 60.5 1.2345 12.345 }}{{ humanizeDuration . }}:{{ end }}",
            "100ms:100us:123.5ms:1m 0s:1.234s:12.35s:",
        ),
        ("{{ now | tz \"Europe/Paris\" }}", "1970-01-01 01:00:00 +0100 CET"),
        ("{{ now | date \"2006-01-02\" }} {{ now | since | humanizeDuration }}", "1970-01-01 0s"),
        (
            "{{ \"test\" | toJson }} {{ 42 | toJson }} {{ true | toJson }} {{ 1.0 | toJson }}",
            "\"test\" 42 true 1",
        ),
        (
            "{{ list \"a\" \"b\" | toJson }} {{ .GroupLabels | toJson }}",
            "[\"a\",\"b\"] {\"alertname\":\"Down\",\"job\":\"node\"}",
        ),
        (
            "{{- $l := list -}}{{ range .Alerts }}{{ $m := dict \"status\" .Status }}{{ $l = append $l $m }}{{ end }}{{ toJson $l }}",
            "[{\"status\":\"firing\"},{\"status\":\"resolved\"}]",
        ),
        ("{{ dict }} {{ dict \"a\" 1 \"b\" 2 }} {{ list }}", "map[] map[a:1 b:2] []"),
        ("{{ \"flush>>\" | base64encode }} {{ \"dGVzdA==\" | base64decode }}", "Zmx1c2g-Pg== test"),
        (
            "{{ \"search?q=test%20foo\" | urlUnescape }} [{{ routeLabels \"nope\" }}]",
            "search?q=test foo []",
        ),
    ] {
        assert_eq!(render(text, Mode::Text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_newer_functions_refuse_is_told_in_gos_words() {
    for (text, expected) in [
        (
            "{{ now | tz \"Invalid/Timezone\" }}",
            "template: :1:9: executing \"\" at <tz \"Invalid/Timezone\">: error calling tz: unknown time zone Invalid/Timezone",
        ),
        (
            "{{ humanizeDuration \"one\" }}",
            "template: :1:3: executing \"\" at <humanizeDuration \"one\">: error calling humanizeDuration: strconv.ParseFloat: parsing \"one\": invalid syntax",
        ),
        (
            "{{ dict \"a\" }}",
            "template: :1:3: executing \"\" at <dict \"a\">: error calling dict: dict requires an even number of arguments",
        ),
        (
            "{{ dict 1 \"value\" }}",
            "template: :1:3: executing \"\" at <dict 1 \"value\">: error calling dict: dict keys must be strings",
        ),
        (
            "{{ date now \"2006\" }}",
            "template: :1:8: executing \"\" at <now>: wrong type for value; expected string; got time.Time",
        ),
        (
            "{{ append 1 2 }}",
            "template: :1:10: executing \"\" at <1>: can't handle 1 for arg of type []interface {}",
        ),
    ] {
        let found = render(text, Mode::Text).map_err(|err| err.to_string());
        assert_eq!(found, Err(expected.to_owned()), "{text}");
    }
    for (text, expected) in [
        (
            "<a href=\"/search?{{ \"q=test%20foo\" }}\"></a>",
            "<a href=\"/search?q%3dtest%2520foo\"></a>",
        ),
        (
            "<a href=\"/search?{{ \"q=test%20foo\" | safeUrl }}\"></a>",
            "<a href=\"/search?q=test%20foo\"></a>",
        ),
    ] {
        assert_eq!(render(text, Mode::Html).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn a_set_calls_its_templates_and_an_empty_definition_replaces_none() {
    let functions = alertmanager_functions(Timestamp::EPOCH);
    let mut set = TemplateSet::new();
    set.add("a.tmpl", "{{ define \"t\" }}one {{ . }}{{ end }}", &functions).expect("valid");
    set.add("b.tmpl", "{{ define \"t\" }} {{ end }}{{ define \"u\" }}u{{ end }}", &functions)
        .expect("valid");
    let show = |set: &TemplateSet| {
        let text = "{{ template \"t\" .Status }}";
        set.render(text, &notification(), &functions, Mode::Text, Limits::default())
    };
    assert_eq!(show(&set).as_deref(), Ok("one firing"));
    set.add("c.tmpl", "{{ define \"t\" }}two{{ end }}", &functions).expect("valid");
    assert_eq!(show(&set).as_deref(), Ok("two"));
    assert_eq!(set.names().collect::<Vec<_>>(), ["a.tmpl", "b.tmpl", "c.tmpl", "t", "u"]);
    assert!(set.add("d.tmpl", "{{ define \"x\" }}", &functions).is_err());
}

#[test]
fn a_text_defines_a_template_once() {
    // As Go: text/template/parse/parse.go (Tree.add).
    let functions = alertmanager_functions(Timestamp::EPOCH);
    let mut set = TemplateSet::new();
    let twice = "{{ define \"t\" }}one{{ end }}\n{{ define \"t\" }}two{{ end }}";
    let err = set.add("a.tmpl", twice, &functions).expect_err("twice");
    let text = "template: a.tmpl:2: template: multiple definition of template \"t\"";
    assert_eq!(err.to_string(), text);
    for once in [
        "{{ define \"t\" }}one{{ end }}{{ define \"t\" }} {{ end }}",
        "{{ define \"t\" }} {{ end }}{{ define \"t\" }}one{{ end }}",
    ] {
        set.add("a.tmpl", once, &functions).expect("one of them is empty");
        let text = "{{ template \"t\" }}";
        let shown = set.render(text, &notification(), &functions, Mode::Text, Limits::default());
        assert_eq!(shown.as_deref(), Ok("one"), "{once}");
    }
}

#[test]
fn chains_of_conditions_are_as_long_as_need_be() {
    for arms in [1, 47, 48, 200, 2_000] {
        for word in ["if", "with"] {
            let mut text = format!("{{{{ $n := {arms} }}}}{{{{ {word} eq $n 0 }}}}0");
            for arm in 1..=arms {
                text += &format!("{{{{ else {word} eq $n {arm} }}}}{arm}");
            }
            text += "{{ else }}none{{ end }}";
            let expected = arms.to_string();
            for mode in [Mode::Text, Mode::Html] {
                assert_eq!(render(&text, mode).as_deref(), Ok(expected.as_str()), "{word} {arms}");
            }
        }
    }
    let text = "{{ if false }}a{{ else if false }}b{{ else }}c{{ end }}";
    assert_eq!(render(text, Mode::Text).as_deref(), Ok("c"));
    let text = "{{ with $x := 0 }}a{{ else with 7 }}{{ . }}{{ $x }}{{ else }}c{{ end }}";
    assert_eq!(render(text, Mode::Text).as_deref(), Ok("70"));
}

#[test]
fn numbers_are_written_as_in_go() {
    // Cases of Go, text/template/parse/parse_test.go (numberTests), strconv/atof_test.go.
    for (text, expected) in [
        ("0x1p4", "16"),
        ("0X_1.8p-1", "0.75"),
        ("-0x1.fffp+3", "-15.998046875"),
        ("0x1.921fb54442d18p+1", "3.141592653589793"),
        ("0x.8p0", "0.5"),
        ("0x1p-1074", "5e-324"),
        ("1_000", "1000"),
        ("0x_f_f", "255"),
        ("0b1_01", "5"),
        ("1_23.50_0_0e+1_2", "1.235e+14"),
        ("017", "15"),
    ] {
        let found = render(&format!("{{{{ {text} }}}}"), Mode::Text);
        assert_eq!(found.as_deref(), Ok(expected), "{text}");
    }
    for text in ["1__0", "1_", "0x1.8", "0x1p", "0xp1", "1e999", "0x1p5000", "1_.5"] {
        let err = render(&format!("{{{{ {text} }}}}"), Mode::Text).expect_err(text).to_string();
        assert!(err.contains("illegal number syntax"), "{text}: {err}");
    }
}

#[test]
fn values_in_style_are_written_where_they_are_innocuous() {
    for (text, expected) in [
        (
            "<td style=\"color: {{ \"#a40\" }}; width: {{ 5 }}px\">",
            "<td style=\"color: #a40; width: 5px\">",
        ),
        (
            "<td style={{ \"\" }} title={{ \"\" }} class=\"{{ \"x on=y\" }}\">",
            "<td style=ZgotmplZ title=ZgotmplZ class=\"x on=y\">",
        ),
        ("<td style=\"color: {{ \"red; x: expression(1)\" }}\">", "<td style=\"color: ZgotmplZ\">"),
        ("<td style='font: \"{{ \"a'b\" }}\"'>{{ \"<\" }}", "<td style='font: \"a\\27 b\"'>&lt;"),
        (
            "<style>p { color: {{ \"blue\" }}; /* {{ \"x\" }} */ }</style>{{ \"<\" }}",
            "<style>p { color: blue; /*  */ }</style>&lt;",
        ),
    ] {
        assert_eq!(render(text, Mode::Html).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn templates_call_themselves_some_hundred_levels_deep() {
    // Go stops at 100,000 calls inside each other.
    let text = "{{ define \"t\" }}{{ if . }}({{ template \"t\" (slice . 1) }}){{ end }}{{ end }}\
                {{ template \"t\" (printf \"%300s\" \"\") }}";
    let expected = format!("{}{}", "(".repeat(300), ")".repeat(300));
    for mode in [Mode::Text, Mode::Html] {
        assert_eq!(render(text, mode).as_deref(), Ok(expected.as_str()));
    }
}

#[test]
fn nothing_runs_or_grows_without_end() {
    let deep = format!("{}{}", "{{if 1}}".repeat(200), "{{end}}".repeat(200));
    let parens = format!("{{{{{}1{}}}}}", "(".repeat(5000), ")".repeat(5000));
    // As deep as it goes, in the shapes that use the stack most.
    let (loops, ends) = ("{{ range 1 }}{{ with $ }}".repeat(10), "{{ end }}{{ end }}".repeat(10));
    let call = format!("{{{{ template \"t\" {}1{} }}}}", "(print ".repeat(20), ")".repeat(20));
    let endless = format!("{{{{ define \"t\" }}}}{loops}{call}{ends}{{{{ end }}}}{call}");
    for (text, part) in [
        (
            "{{ define \"t\" }}{{ template \"t\" }}{{ end }}{{ template \"t\" }}",
            "maximum template depth",
        ),
        ("{{ range 1000000000 }}{{ end }}", "limit of"),
        ("{{ range 100000 }}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{{ end }}", "longer than"),
        ("{{ $x := \"ab\" }}{{ range 40 }}{{ $x = print $x $x }}{{ end }}", "longer than"),
        ("{{ $x := list 1 }}{{ range 1000 }}{{ $x = list $x $x }}{{ end }}", "nested too deep"),
        (
            "{{ $x := list 1 }}{{ range 9 }}{{ $x = list $x $x $x $x $x $x $x $x $x }}{{ end }}\
             {{ toJson $x | len }}",
            "too long",
        ),
        ("{{ $x := list }}{{ range 100000 }}{{ $x = append $x 1 }}{{ end }}", "limit of"),
        ("{{ $x := printf \"%9999s\" \"\" }}{{ reReplaceAll \"\" $x $x }}", "longer than"),
        (&endless, "maximum template depth"),
        (&deep, "nested deeper"),
        (&parens, "nested deeper"),
    ] {
        let err = render(text, Mode::Text).expect_err("ended").to_string();
        assert!(err.contains(part), "{part:?} is not in {err:.300}");
    }
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_text_makes_the_engine_panic(
            parts in proptest::collection::vec(proptest::sample::select(vec![
                "{{", "}}", "{{-", "-}}", " ", "if", "else", "end", "range", "with", "define", "template",
                "block", "break", ".", ".Alerts", ".Status", "$x", ":=", "=", "|", "(", ")", "\"a\"", "1", "-1.5",
                "index", "slice", "printf", "len", "and", "eq", "list", "dict", "now", "date", "text", "<a href=\"",
                "\">", "nil", ",", "'x'", "`r`", "{{/* c */}}", "é", "\n", "<script>", "<!--",
            ]), 0..24),
        ) {
            let text = parts.concat();
            let _ = render(&text, Mode::Text);
            let _ = render(&text, Mode::Html);
        }
    }
}
