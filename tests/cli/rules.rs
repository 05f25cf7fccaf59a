//! `watchbell test rules`.

use super::{check, file, text, watchbell};
use std::fs;

const RULES: &str = "groups:\n- name: g\n  rules:\n  - {alert: Down, expr: up == 0, annotations: \
                     {text: '{{ $labels.job }} <is> down'}}\n";
const TESTS: &str = "rule_files: [r.yml]
tests:
- name: up
  input_series: [{series: up, values: '1x5'}]
  alert_rule_test: [{eval_time: 1m, alertname: Down}]
- name: down
  input_series: [{series: 'up{job=\"a\"}', values: '0x5'}]
  alert_rule_test:
  - {eval_time: 1m, alertname: Down}
  promql_expr_test:
  - {expr: up +, eval_time: 1m}
";

#[test]
fn failures_are_told_as_promtool_does_and_where_they_stand() {
    let folder = tempfile::tempdir().expect("a folder");
    file(&folder, "r.yml", RULES);
    let tests = file(&folder, "t.yml", TESTS);
    let told =
        format!("  FAILED:\n  {tests}:9:5:\n    name: down,\n    alertname: Down, time: 1m, ");
    check(&["test", "rules", &tests], 1, &format!("Unit Testing:  {tests}\n"), &told);
    let told = "            0:\n              Labels:{alertname=\"Down\", job=\"a\"}\n";
    check(&["test", "rules", &tests], 1, "", told);
    let told = format!("  {tests}:11:16:\n    expr: \"up +\", time: 1m, err: 1:5: parse error");
    check(&["test", "rules", &tests], 1, "", &told);
    check(&["test", "rules", &tests, "--run", "^up$"], 0, "  SUCCESS\n", "");
    check(&["test", "rules", &tests, "--run", "no", "--run", "own"], 1, "", "FAILED");
    check(&["test", "rules", &tests, "--run", "("], 1, "", "cannot read --run \"(\"");
    let told = "        diff:\n            + Labels:{alertname=\"Down\", job=\"a\"}\n";
    check(&["test", "rules", &tests, "--diff"], 1, "", told);
    let told = "DEBUG: Starting test up\n";
    check(&["test", "rules", &tests, "--debug"], 1, "", told);
    let told = "{__name__=\"up\"} =>\n1 @[0]\n1 @[60000]\n";
    check(&["test", "rules", &tests, "--debug", "--run", "^up$"], 0, "", told);
    check(&["test", "rules", "--help"], 0, "watchbell test rules rules_test.yml", "");
    check(&["test", "rules"], 2, "", "FILES");
}

#[test]
fn files_that_cannot_be_used_are_told_and_the_others_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = file(&folder, "r.yml", "groups: [{name: g, rules: [{record: a, expr: 'sum('}]}]\n");
    let tests = file(&folder, "t.yml", TESTS);
    let wrong = file(&folder, "w.yml", "tests:\n- nmae: a\n");
    let lonely = file(&folder, "l.yml", "rule_files: ['none*.yml']\ntests: [{name: a}]\n");
    let output = watchbell(&["test", "rules", &tests, &wrong, "/nowhere/t.yml", &lonely]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
    assert!(err.contains(&format!("{rules}:1:")), "{err}");
    assert!(err.contains(&format!("{wrong}:2:3: unknown field \"nmae\"")), "{err}");
    assert!(err.contains("/nowhere/t.yml: cannot read the file"), "{err}");
    assert!(
        err.contains(&format!("{lonely}:1:14: no file matches the pattern none*.yml")),
        "{err}"
    );
    assert!(out.ends_with(&format!("Unit Testing:  {lonely}\n  SUCCESS\n\n")), "{out}");
}

#[test]
fn results_are_written_for_machines() {
    let folder = tempfile::tempdir().expect("a folder");
    file(&folder, "r.yml", RULES);
    let tests = file(&folder, "t.yml", TESTS);
    let report = folder.path().join("report.xml");
    let shown = report.display().to_string();
    let args = ["test", "rules", &tests, "/nowhere.yml", "--junit", &shown, "-o", "json"];
    let output = watchbell(&args);
    assert_eq!(output.status.code(), Some(1));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let failures = &answer[0]["tests"][1]["failures"];
    assert_eq!(
        (&answer[0]["passed"], &failures[0]["line"]),
        (&false.into(), &9.into()),
        "{answer}"
    );
    assert_eq!(answer[0]["tests"][0]["passed"], true, "{answer}");
    assert!(answer[1]["error"].as_str().is_some_and(|err| err.contains("cannot read")), "{answer}");
    let xml = fs::read_to_string(report).expect("written");
    for part in [
        format!("<testsuites><testsuite name=\"{tests}\" tests=\"2\" failures=\"2\" errors=\"0\""),
        "<testcase name=\"up\" time=\"".to_owned(),
        "<failure>".to_owned(),
        "text=&#34;a &lt;is&gt; down&#34;".to_owned(),
        "<testsuite name=\"/nowhere.yml\" tests=\"1\" failures=\"0\" errors=\"1\"".to_owned(),
        "<testcase name=\"unknown\"><error>".to_owned(),
    ] {
        assert!(xml.contains(&part), "no {part} in {xml}");
    }
}
