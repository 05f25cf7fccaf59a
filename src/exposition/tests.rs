//! Claims about both text formats, from their specifications and from what Prometheus does.

use super::*;
use crate::model::{Exemplar, Labels, MetricType, Timestamp};
use proptest::prelude::*;

/// What a body says, in short: samples as `labels value@ts`, metadata as `TYPE name kind`.
fn read(body: &[u8], format: Format) -> Result<Vec<String>, ParseError> {
    let mut out = Vec::new();
    for entry in Parser::new(body, format) {
        out.push(match entry? {
            Entry::Sample(line) => {
                let mut pairs = Pairs::new();
                line.series.read(&mut pairs)?;
                let labels: Labels = pairs.into_iter().collect();
                // Whole from the start: reading it later cannot fail.
                assert!(line.exemplar.is_none_or(|text| text.read(Timestamp::MIN).is_some()));
                let ts = line.ts.map(|ts| format!("@{ts}")).unwrap_or_default();
                format!("{labels} {}{ts}", line.value)
            }
            Entry::Type { name, kind } => format!("TYPE {name} {kind}"),
            Entry::Help { name, text } => format!("HELP {name} {text}"),
            Entry::Unit { name, unit } => format!("UNIT {name} {unit}"),
        });
    }
    Ok(out)
}

#[track_caller]
fn check(format: Format, body: &str, expected: &[&str]) {
    assert_eq!(read(body.as_bytes(), format).as_deref(), Ok(&owned(expected)[..]), "{body:?}");
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[track_caller]
fn check_fault(format: Format, body: &str, expected: &str) {
    let err = read(body.as_bytes(), format).expect_err(body);
    assert!(err.to_string().contains(expected), "{body:?}: {err}");
}

#[test]
fn t12_text_is_read_as_prometheus_reads_it() {
    let text = Format::Text;
    check(text, "", &[]);
    check(text, "\n\n  \n", &[]);
    check(text, "a 1\n", &[r#"{__name__="a"} 1"#]);
    check(text, "a 1", &[r#"{__name__="a"} 1"#]);
    check(text, "  a\t 1  \n", &[r#"{__name__="a"} 1"#]);
    check(text, "a:b_1 1 1700000000123\n", &[r#"{__name__="a:b_1"} 1@1700000000123"#]);
    check(text, "a { b = \"c\" , } 1\n", &[r#"{__name__="a", b="c"} 1"#]);
    check(text, "a{b=\"1\" c=\"2\"} 1\n", &[r#"{__name__="a", b="1", c="2"} 1"#]);
    check(text, "a{b=\"1\"}2\n", &[r#"{__name__="a", b="1"} 2"#]);
    check(text, r#"a{b="x\"y\\z\nq\t"} 1"#, &[r#"{__name__="a", b="x\"y\\z\nq\\t"} 1"#]);
    check(text, r#"a{b="}{,=#"} 1"#, &[r#"{__name__="a", b="}{,=#"} 1"#]);
    check(text, "a{b=\"\"} 1\n", &[r#"{__name__="a"} 1"#]);
    check(text, r#"{"a.b","l x"="v"} 1"#, &[r#"{__name__="a.b", "l x"="v"} 1"#]);
    check(text, r#"{x="1","a.b"} 1"#, &[r#"{__name__="a.b", x="1"} 1"#]);
    check(
        text,
        "a +Inf\nb -inf\nc NaN\n",
        &[r#"{__name__="a"} inf"#, r#"{__name__="b"} -inf"#, r#"{__name__="c"} NaN"#],
    );
    check(text, "# FOO bar\n#\n#HELP x y\n# HELPa b\na 1\n", &[r#"{__name__="a"} 1"#]);
    check(
        text,
        "# HELP a b\\\\c\\nd \"e\"\n# TYPE a untyped\n",
        &["HELP a b\\c\nd \"e\"", "TYPE a unknown"],
    );
    check(text, "# TYPE \"a.b\" counter\n", &["TYPE a.b counter"]);
    // prometheus, model/textparse/promparse.go (Next, helpReplacer) and promlex.l: one byte behind
    // the name is passed over, and a help knows two escapes.
    check(text, "# HELP a  b\\\"c\\\\n\\n\\t\n", &["HELP a  b\\\"c\\n\n\\t"]);
    check(text, "# HELP a\tb \n# HELP c\n# HELP d  \t\n", &["HELP a b ", "HELP c ", "HELP d "]);
    check(text, "# HELP a.b c\n", &["HELP a b c"]);
    check_fault(text, "# TYPE a  counter\n", "invalid metric type \" counter\"");
    check_fault(text, "# TYPE a counter \n", "invalid metric type \"counter \"");
    check_fault(text, "# TYPE a\n", "invalid metric type");
    check(Format::OpenMetrics, "# HELP a  b\\\"c\n# EOF\n", &["HELP a  b\"c"]);
    // Metadata may follow its samples.
    check(text, "a 1\n# TYPE a gauge\n", &[r#"{__name__="a"} 1"#, "TYPE a gauge"]);
}

#[test]
fn comments_of_pushes_and_files_are_read_as_their_programs_read_them() {
    // prometheus/common, expfmt/text_parse.go (startComment, readTokenUntilNewline).
    let body = b"# HELP a \t b\\\"c\\\\\n# TYPE a  counter\n";
    let entries = Parser::new(body, Format::Text).with_loose_comments();
    let found: Vec<_> = entries.map(|entry| format!("{:?}", entry.expect("reads"))).collect();
    let expected =
        ["Help { name: \"a\", text: \"b\\\"c\\\\\" }", "Type { name: \"a\", kind: Counter }"];
    assert_eq!(found, expected);
}

#[test]
fn an_exemplar_is_read_with_its_own_time_or_that_of_its_sample() {
    let body = "a_total 5 # {trace_id=\"a b\",q=\"\\\"\\n\"} 0.5 1600000000.25\n\
                a_total 5 3.5 # {} 1e3\na_total 5\n# EOF\n";
    let sample_ts = Timestamp::from_millis(7);
    let mut found = Vec::new();
    for entry in Parser::new(body.as_bytes(), Format::OpenMetrics) {
        let Ok(Entry::Sample(line)) = entry else { panic!("{entry:?}") };
        found.push(line.exemplar.map(|text| text.read(line.ts.unwrap_or(sample_ts)).unwrap()));
    }
    let exemplar = |labels: &[(&str, &str)], value, ts, has_own_ts| {
        let (labels, ts) = (labels.iter().copied().collect(), Timestamp::from_millis(ts));
        Some(Exemplar { labels, value, ts, has_own_ts })
    };
    let first = [("trace_id", "a b"), ("q", "\"\n")];
    assert_eq!(
        found,
        [exemplar(&first, 0.5, 1_600_000_000_250, true), exemplar(&[], 1e3, 3_500, false), None]
    );
    // Text has none: there the line is wrong.
    check_fault(Format::Text, "a_total 5 # {} 1\n", "1:11: expected the end of the line");
}

#[test]
fn t12_text_that_prometheus_refuses_is_refused_with_its_place() {
    let text = Format::Text;
    for (body, expected) in [
        ("a 1\nb\n", "2:2: expected a value after the metric"),
        ("a{b=\"c\"}\n", "1:9: expected a value after the metric"),
        ("a 0x1p-2\n", "1:3: expected a value after the metric, got \"0x1p-2\""),
        ("a 1_0\n", "1:3: expected a value"),
        ("a 1 1.5\n", "1:5: invalid timestamp \"1.5\""),
        ("a 1 -1\n", "1:5: invalid timestamp"),
        ("a 1 2 3\n", "1:7: expected the end of the line"),
        ("a{b=c} 1\n", "1:5: expected a label value"),
        ("a{b} 1\n", "1:4: expected an equals sign"),
        ("a{b=\"c\" 1\n", "1:1: unexpected end of the body"),
        ("a{b=\"c} 1\n", "1:5: unexpected end of the body"),
        ("a{1b=\"c\"} 1\n", "1:3: expected a label name"),
        ("a{,} 1\n", "1:3: expected a label name"),
        ("a{b=\"1\",b=\"2\"} 1\n", "label name \"b\" is not unique"),
        ("a{__name__=\"b\"} 1\n", "label name \"__name__\" is not unique"),
        ("{b=\"1\"} 1\n", "metric name not set"),
        ("{\"a\",\"b\"} 1\n", "metric name already set"),
        ("1a 1\n", "expected a metric name"),
        ("-a 1\n", "expected a metric"),
        ("<html>\n", "1:1: expected a metric, got \"<html>\\n\""),
        ("\0a 1\n", "expected a metric"),
        ("# TYPE a info\n", "1:10: invalid metric type \"info\""),
        ("# TYPE a\n", "invalid metric type"),
        ("# TYPE 1a gauge\n", "1:8: expected a metric name"),
        ("a 1 # {x=\"1\"} 2\n", "1:5: expected"),
    ] {
        check_fault(text, body, expected);
    }
    let bad = read(b"a{b=\"\xff\"} 1\n", text).expect_err("no UTF-8");
    assert!(bad.message.contains("invalid UTF-8"), "{bad}");
    assert!(read(b"# HELP a \xff\n", text).is_err());
}

#[test]
fn t12_openmetrics_must_end_in_eof_and_nothing_after() {
    let om = Format::OpenMetrics;
    check(om, "# EOF", &[]);
    check(om, "# EOF\n", &[]);
    check(om, "a 1 1.5\n# EOF\n", &[r#"{__name__="a"} 1@1500"#]);
    check(om, "a 1 -0.5 # {t=\"x\"} 2 3\n# EOF\n", &[r#"{__name__="a"} 1@-500"#]);
    check(om, "a_total 1 # {} 0.5\n# EOF\n", &[r#"{__name__="a_total"} 1"#]);
    check(
        om,
        "# TYPE a_seconds gauge\n# UNIT a_seconds seconds\n# HELP a_seconds x\n# EOF\n",
        &["TYPE a_seconds gauge", "UNIT a_seconds seconds", "HELP a_seconds x"],
    );
    check(om, "# TYPE a stateset\n# UNIT a \n# EOF\n", &["TYPE a stateset", "UNIT a "]);
    for (body, expected) in [
        ("", "1:1: data does not end with # EOF"),
        ("a 1\n", "2:1: data does not end with # EOF"),
        ("a 1", "data does not end with # EOF"),
        ("a 1\n# EOF\n\n", "unexpected data after # EOF"),
        ("a 1\n# EOF\na 2\n", "3:1: unexpected data after # EOF"),
        ("\n# EOF\n", "1:1: expected a metric"),
        ("# FOO\n# EOF\n", "1:1: expected HELP, TYPE, UNIT or EOF"),
        ("# TYPE a untyped\n# EOF\n", "invalid metric type"),
        ("# UNIT a seconds\n# EOF\n", "unit \"seconds\" not a suffix of metric \"a\""),
        ("# TYPE a gauge", "data does not end with # EOF"),
        (" a 1\n# EOF\n", "1:1: expected a metric"),
        ("a  1\n# EOF\n", "1:3: expected a value"),
        ("a{b=\"1\", c=\"2\"} 1\n# EOF\n", "1:9: expected a label name"),
        ("a 1 x\n# EOF\n", "1:5: invalid timestamp"),
        ("a 1 NaN\n# EOF\n", "invalid timestamp"),
        ("a 1 # {x=\"1\"}\n# EOF\n", "invalid exemplar"),
        ("a 1 # {x=1} 2\n# EOF\n", "expected a label value"),
        ("a 1 # {x=\"1\"} 2 3 4\n# EOF\n", "invalid exemplar"),
    ] {
        check_fault(om, body, expected);
    }
}

#[test]
fn t4_bounds_are_normalized_only_where_a_type_says_so() {
    let body = "h_bucket{le=\"1\"} 1\n\
        # TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1e6\"} 1\nh_bucket{le=\"+Inf\"} 1\n\
        h_bucket{quantile=\"1\"} 1\nother{le=\"1\"} 1\n\
        # TYPE s summary\ns{quantile=\"1\"} 1\ns{le=\"1\"} 1\n\
        # TYPE g gauge\ng{le=\"1\"} 1\n";
    let found = read(body.as_bytes(), Format::Text).expect("reads");
    let samples: Vec<_> = found.iter().filter(|line| line.starts_with('{')).collect();
    let expected = [
        r#"{__name__="h_bucket", le="1"} 1"#,
        r#"{__name__="h_bucket", le="1.0"} 1"#,
        r#"{__name__="h_bucket", le="1e+06"} 1"#,
        r#"{__name__="h_bucket", le="+Inf"} 1"#,
        r#"{__name__="h_bucket", quantile="1"} 1"#,
        r#"{__name__="other", le="1"} 1"#,
        r#"{__name__="s", quantile="1.0"} 1"#,
        r#"{__name__="s", le="1"} 1"#,
        r#"{__name__="g", le="1"} 1"#,
    ];
    assert_eq!(samples, expected);
}

#[test]
fn t46_lines_without_end_are_refused() {
    let long = "x".repeat(LINE_BYTES_MAX + 1);
    for body in [
        format!("{long} 1\n"),
        format!("a{{b=\"{long}\"}} 1\n"),
        format!("a{{{long}"),
        format!("# HELP a {long}\n"),
        format!("# {long}\n"),
        format!("a 1{long}\n"),
    ] {
        check_fault(Format::Text, &body, "");
    }
    // As deep as it is long: nothing here recurses.
    let deep = format!("a{}\n", "{".repeat(60_000));
    check_fault(Format::Text, &deep, "");
}

#[test]
fn equal_text_and_normalization_mean_equal_labels() {
    let body = b"# TYPE a histogram\na{le=\"1\"} 1\n# TYPE a gauge\na{le=\"1\"} 1\n";
    let keys: Vec<_> = Parser::new(body, Format::Text)
        .filter_map(|entry| match entry.expect("reads") {
            Entry::Sample(line) => Some((line.series.raw(), line.series.normalize())),
            Entry::Type { .. } | Entry::Help { .. } | Entry::Unit { .. } => None,
        })
        .collect();
    let raw: &[u8] = b"a{le=\"1\"}";
    assert_eq!(keys, [(raw, Normalize::Bounds), (raw, Normalize::Nothing)]);
}

#[test]
fn families_print_as_text_0_0_4() {
    let mut printer = Printer::new();
    printer
        .family("a.b", "One\nline \\ \"two\"", MetricType::Info)
        .sample("", &Labels::from_pairs([("x", "q\"\\\n")]), f64::INFINITY)
        .family("h", "", MetricType::Histogram)
        .sample("_bucket", &Labels::from_pairs([("le", "+Inf")]), 2e6)
        .sample("_count", &Labels::empty(), 2.0);
    let expected = "# HELP \"a.b\" One\\nline \\\\ \"two\"\n# TYPE \"a.b\" untyped\n\
        {\"a.b\",x=\"q\\\"\\\\\\n\"} +Inf\n# TYPE h histogram\n\
        h_bucket{le=\"+Inf\"} 2e+06\nh_count 2\n";
    assert_eq!(printer.finish(), expected);
}

fn labels() -> impl Strategy<Value = Labels> {
    let pair = ("[a-z_][a-z0-9_]{0,5}|.{1,6}", ".{0,12}");
    proptest::collection::vec(pair, 0..5).prop_map(|pairs| {
        let pairs = pairs.into_iter().filter(|(name, _)| name != "__name__");
        Labels::from_pairs(pairs)
    })
}

/// A line of a body, right or nearly so; many begin as others do.
fn line() -> impl Strategy<Value = String> {
    let series = prop_oneof![
        Just("m"),
        Just("m_bucket"),
        Just("m_bucket{le=\"1\"}"),
        Just("m{a=\"}\\\"\"}"),
        Just("m {a=\"x\"}"),
        Just("m{a=\"x\"}"),
        Just("{\"m\",a=\"x\"}"),
        Just("m{a=\"line\nbreak\"}"),
        Just("# TYPE m histogram"),
        Just("# x"),
        Just(""),
    ];
    let value = prop_oneof![
        Just(" 1"),
        Just(" -0.5"),
        Just("  2"),
        Just(" 3 17"),
        Just(" x"),
        Just(""),
        Just(" {} 1")
    ];
    (series, value, prop_oneof![9 => Just("\n"), 1 => Just("")])
        .prop_map(|(series, value, end)| format!("{series}{value}{end}"))
}

proptest! {
    #[test]
    fn no_body_makes_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes, Format::Text);
        let _ = read(&bytes, Format::OpenMetrics);
    }

    #[test]
    fn no_nearly_right_body_makes_the_parser_panic(
        pieces in proptest::collection::vec(
            "[a-b]|[{}\"=,# \n\\\\]|# (TYPE|HELP|UNIT|EOF)|1|\u{e4}|le|counter", 0..60)
    ) {
        let body = pieces.concat();
        let _ = read(body.as_bytes(), Format::Text);
        let _ = read(body.as_bytes(), Format::OpenMetrics);
    }

    #[test]
    fn lines_whose_end_is_known_are_read_as_all_are(
        lines in proptest::collection::vec(line(), 0..12),
        others in proptest::collection::vec(line(), 12),
        is_open_metrics: bool,
    ) {
        let (format, end) =
            if is_open_metrics { (Format::OpenMetrics, "# EOF\n") } else { (Format::Text, "") };
        let shown = |raw: &[u8], value: f64, ts: Option<Timestamp>, how: Normalize| {
            format!("{:?} {value:?} {ts:?} {how:?}", String::from_utf8_lossy(raw))
        };
        let read = |lines: &[String], known: &[(Vec<u8>, Normalize)]| {
            let body = lines.concat() + end;
            let mut parser = Parser::new(body.as_bytes(), format);
            let (mut texts, mut seen) = (Vec::new(), Vec::new());
            loop {
                if let Some((text, normalize)) = known.get(seen.len())
                    && let Some(value) = parser
                        .known_value(text.len(), |raw, how| raw == text && how == *normalize)
                {
                    seen.push((text.clone(), *normalize));
                    texts.push(shown(text, value, None, *normalize));
                    continue;
                }
                let Some(entry) = parser.next() else { break };
                match entry {
                    Ok(Entry::Sample(line)) => {
                        let (raw, how) = (line.series.raw(), line.series.normalize());
                        seen.push((raw.to_vec(), how));
                        texts.push(shown(raw, line.value, line.ts, how));
                    }
                    Ok(other) => texts.push(format!("{other:?}")),
                    Err(err) => texts.push(err.to_string()),
                }
            }
            (texts, seen)
        };
        let (texts, known) = read(&lines, &[]);
        prop_assert_eq!(&read(&lines, &known).0, &texts);
        // What was expected need not come.
        let (_, wrong) = read(&others, &[]);
        prop_assert_eq!(&read(&lines, &wrong).0, &texts);
    }

    #[test]
    fn comments_that_are_passed_over_change_no_sample(
        lines in proptest::collection::vec(line(), 0..12),
        kinds in proptest::collection::vec("gauge|counter|untyped|histogram|summary", 12),
    ) {
        let typed = lines.iter().zip(&kinds).map(|(line, kind)| {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            format!("# TYPE {name} {kind}\n{line}")
        });
        let body: String = typed.collect();
        let read = |passes: bool| {
            let mut parser = Parser::new(body.as_bytes(), Format::Text);
            let mut found = Vec::new();
            loop {
                if let Some(line) = parser.comment_ahead()
                    && passes
                    && parser.pass_comment(line)
                {
                    continue;
                }
                let Some(entry) = parser.next() else { return Ok(found) };
                if let Entry::Sample(line) = entry? {
                    found.push((line.series.raw().to_vec(), line.series.normalize()));
                }
            }
        };
        // Only what was read without a fault is passed over.
        if let Ok(all) = read(false) {
            prop_assert_eq!(read(true), Ok::<_, ParseError>(all));
        }
    }

    #[test]
    fn what_is_printed_is_read_again(
        name in "[a-zA-Z_:][a-z0-9:]{0,8}|.{1,8}",
        labels in labels(),
        value in any::<f64>(),
    ) {
        let mut printer = Printer::new();
        printer.family(&name, "", MetricType::Gauge).sample("", &labels, value);
        let text = printer.finish();
        let mut found = None;
        for entry in Parser::new(text.as_bytes(), Format::Text) {
            if let Entry::Sample(line) = entry.expect("what is printed can be read") {
                let mut pairs = Pairs::new();
                line.series.read(&mut pairs).expect("what is printed can be read");
                found = Some((pairs.into_iter().collect::<Labels>(), line.value, line.ts));
            }
        }
        let (read, read_value, ts) = found.expect("one sample");
        let expected = labels.to_builder().set("__name__", name).build();
        prop_assert_eq!(read, expected);
        prop_assert!(read_value == value || (read_value.is_nan() && value.is_nan()));
        prop_assert_eq!(ts, None::<Timestamp>);
    }
}
