//! Pushes and what groups are after them.

use super::super::limits::{PUSH_BYTES_MAX, PUSH_SAMPLES_MAX, SafetyLimits};
use super::*;
use crate::exposition::Printer;
use crate::model::{NameValidation, Timestamp};
use proptest::prelude::*;
use std::io::Write as _;
use std::time::Duration;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn key(path: &str) -> GroupKey {
    GroupKey::from_path(path, NameValidation::Legacy).expect("a group")
}

fn groups() -> Groups {
    Groups::new(Limits::within(SafetyLimits::default()))
}

fn read_as(text: &str, content_type: &str) -> Result<Pushed, String> {
    let body = Body { content_type, content_encoding: "", bytes: text.as_bytes() };
    read(&body, NameValidation::Legacy).map_err(|err| err.to_string())
}

fn push(text: &str, replaces: bool) -> Push {
    Push { pushed: read_as(text, "text/plain").expect("reads"), replaces, ttl: None }
}

/// Pushes as the service does: plans, notes a failure, puts in force.
fn apply(groups: &mut Groups, path: &str, push: Push, now: i64) -> Result<(), String> {
    let (key, ttl) = (key(path), push.ttl);
    let planned = groups.plan(&key, push, at(now)).map_err(|err| err.to_string());
    let (group, done) = match planned {
        Ok(group) => (Some(group), Ok(())),
        Err(err) => (groups.plan_failure(&key, ttl, at(now)), Err(err)),
    };
    if let Some(group) = group {
        groups.put(key, group);
    }
    done
}

/// Everything that a scrape sees, as text without comments.
fn lines(groups: &Groups) -> Vec<String> {
    let mut printer = Printer::new();
    for family in groups.gather() {
        printer.family(&family.name, "", family.kind);
        for sample in &family.samples {
            printer.sample(sample.suffix, &sample.labels, sample.value);
        }
    }
    printer.finish().lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn put_replaces_the_group_and_post_the_metrics_of_the_same_names() {
    let mut groups = groups();
    let text = "a{x=\"1\"} 1\na{x=\"2\"} 2\nb{job=\"other\",instance=\"i\"} 3\n";
    apply(&mut groups, "job/j", push(text, true), 10).expect("taken");
    apply(&mut groups, "job/j", push("a 5\n", false), 20).expect("taken");
    let expected = [
        "a{job=\"j\"} 5",
        "b{instance=\"i\",job=\"j\"} 3",
        "push_failure_time_seconds{job=\"j\"} 0",
        "push_time_seconds{job=\"j\"} 20",
    ];
    assert_eq!(lines(&groups), expected);
    apply(&mut groups, "job/j", push("c 6\n", true), 30).expect("taken");
    apply(&mut groups, "job/k", push("", true), 40).expect("an empty push is one");
    let expected = [
        "c{job=\"j\"} 6",
        "push_failure_time_seconds{job=\"j\"} 0",
        "push_failure_time_seconds{job=\"k\"} 0",
        "push_time_seconds{job=\"j\"} 30",
        "push_time_seconds{job=\"k\"} 40",
    ];
    assert_eq!(lines(&groups), expected);
    assert!(groups.remove(&key("job/j/instance/i")).is_none(), "a key is no prefix");
    assert!(groups.remove(&key("job/j")).is_some());
    assert!(groups.remove(&key("job/k")).is_some());
    assert_eq!(lines(&groups), Vec::<String>::new());
    assert_eq!(groups.sample_count(), 0);
}

#[test]
fn t83_an_inconsistent_push_leaves_the_group_and_notes_the_failure() {
    let histogram = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n";
    for (path, text, reason) in [
        ("job/j", "a 1 123\n", "pushed metrics must not have timestamps"),
        ("job/j", "a 1\na 2\n", "was collected before with the same name and label values"),
        ("job/j", "a{x=\"\"} 1\na 2\n", "was collected before"),
        ("job/k", "# TYPE a counter\na 1\n", "\"a\" is a COUNTER, and in another group a UNTYPED"),
        ("job/j/i/1", "# TYPE a gauge\na 1\n", "\"a\" is a GAUGE"),
        ("job/k", "h_count 1\n", "\"h_count\" collides with the histogram named \"h\""),
        ("job/k", "# TYPE a summary\na_sum 1\n", "\"a\" is a SUMMARY"),
        ("job/k", "# TYPE push_time_seconds summary\nup 1\n", "\"up\" is reserved"),
        ("job/k", "scrape_samples_scraped 1\n", "is reserved"),
        ("job/k", "watchbell_x 1\n", "is reserved"),
        ("job/j", "a{i=\"1\"} 1\n", "was collected before"),
        ("job/j/e/", "c 1\n", "empty labels make no difference"),
    ] {
        let mut groups = groups();
        let all = format!("a 1\n{histogram}");
        apply(&mut groups, "job/j", push(&all, true), 10).expect("taken");
        apply(&mut groups, "job/j/i/1", push("a 1\n", true), 10).expect("taken");
        let before = lines(&groups);
        let err = apply(&mut groups, path, push(text, false), 20).expect_err(text);
        assert!(err.starts_with("pushed metrics are invalid or inconsistent"), "{text}: {err}");
        assert!(err.contains(reason), "{text}: {err}");
        let fails = |line: &&String| line.starts_with("push_failure_time_seconds");
        let values = |lines: &[String]| -> Vec<String> {
            lines.iter().filter(|line| !fails(line)).cloned().collect()
        };
        let mut after = values(&lines(&groups));
        after.retain(|line| *line != "push_time_seconds{job=\"k\"} 0");
        assert_eq!(after, values(&before), "{text}");
        let noted = lines(&groups).iter().filter(fails).any(|line| line.ends_with(" 20"));
        assert_eq!(noted, path != "job/j/e/", "{text}");
    }
}

#[test]
fn utf8_names_are_taken_where_they_are_valid_and_come_back_out_of_the_row() {
    let text = "# HELP \"a.b\" Help.\n# TYPE \"a.b\" gauge\n{\"a.b\",\"c.d\"=\"1\"} 2\n";
    let body = Body { content_type: "text/plain", content_encoding: "", bytes: text.as_bytes() };
    let err = read(&body, NameValidation::Legacy).expect_err("refused").to_string();
    assert_eq!(err, "invalid metric name \"a.b\"");
    let pushed = read(&body, NameValidation::Utf8).expect("reads");
    let key = GroupKey::from_path("job/j/U__e_2e_f/g", NameValidation::Utf8).expect("a group");
    let mut groups = groups();
    let group =
        groups.plan(&key, Push { pushed, replaces: true, ttl: None }, at(5)).expect("taken");
    let (again, read_back) = from_row(&to_row(&key, &group)).expect("its own row");
    assert_eq!((&again, &read_back), (&key, &group));
    groups.put(again, read_back);
    let lines = lines(&groups);
    assert_eq!(lines[0], "{\"a.b\",\"c.d\"=\"1\",\"e.f\"=\"g\",job=\"j\"} 2");
    let err = read_as("{\"a\",\"c.d\"=\"1\"} 2\n", "").expect_err("refused");
    assert_eq!(err, "invalid label name \"c.d\" for metric \"a\"");
}

#[test]
fn unchecked_pushes_may_contradict_each_other_and_have_no_timestamps_all_the_same() {
    // prometheus/pushgateway, storage/diskmetricstore.go (checkWriteRequest).
    let mut groups = groups();
    for (path, text) in [
        ("job/j", "a 1\na 2\n"),
        ("job/k", "# TYPE a counter\na 1\n"),
        ("job/k/i/1", "a_count 1\n"),
    ] {
        let (key, push) = (key(path), push(text, true));
        let is_consistent = groups.plan(&key, push.clone(), at(1)).is_ok();
        assert_eq!(is_consistent, path == "job/k/i/1", "{path}");
        let group = groups.plan_unchecked(&key, push, at(1)).expect(path);
        groups.put(key, group);
    }
    let values = |line: &&String| line.starts_with("a");
    let expected =
        ["a{job=\"j\"} 1", "a{job=\"j\"} 2", "a{job=\"k\"} 1", "a_count{i=\"1\",job=\"k\"} 1"];
    assert_eq!(lines(&groups).iter().filter(values).collect::<Vec<_>>(), expected);
    let err = groups.plan_unchecked(&key("job/j"), push("a 1 123\n", true), at(2));
    assert!(err.expect_err("refused").is_noted());
}

#[test]
fn a_type_may_change_where_no_other_group_has_the_name() {
    let mut groups = groups();
    apply(&mut groups, "job/j", push("a 1\n", true), 10).expect("taken");
    apply(&mut groups, "job/j", push("# TYPE a counter\na 1\n", false), 20).expect("its own");
    apply(&mut groups, "job/k", push("# TYPE a counter\na 1\n", false), 20).expect("the same");
    apply(&mut groups, "job/k", push("a 1\n", false), 30).expect_err("the other has it");
    groups.remove(&key("job/j"));
    apply(&mut groups, "job/k", push("a 1\n", false), 30).expect("the other is gone");
    let failed = groups.get(&key("job/k")).and_then(|group| group.failed_at);
    assert_eq!(failed, Some(at(30)), "a failure is remembered");
}

#[test]
fn limits_refuse_a_push_and_keep_what_is_held() {
    let safety = SafetyLimits { samples_max: 12, labels_max: 4, ..SafetyLimits::default() };
    let limits = Limits { groups_max: 3, group_samples_max: 6, ..Limits::within(safety) };
    let mut groups = Groups::new(limits);
    apply(&mut groups, "job/a", push("a 1\nb 1\nc 1\nd 1\n", true), 1).expect("six with its own");
    for (path, text, reason) in [
        ("job/b", "a 1\nb 1\nc 1\nd 1\ne 1\n", "the group would have 7 samples; at most 6"),
        ("job/b/x/1", "a{y=\"2\"} 1\n", "a has 5 labels; at most 4"),
        ("job/b", &format!("a{{y=\"{}\"}} 1\n", "y".repeat(5000)), "is too long"),
    ] {
        let err = groups.plan(&key(path), push(text, true), at(2)).expect_err(text).to_string();
        assert!(err.contains(reason), "{err}");
    }
    apply(&mut groups, "job/b", push("a 1\nb 1\n", true), 3).expect("ten");
    let err = apply(&mut groups, "job/c", push("a 1\n", true), 3).expect_err("thirteen");
    assert!(err.contains("all groups would have 13 samples; at most 12"), "{err}");
    // The note of it is a group, and it fits.
    assert_eq!((groups.len(), groups.sample_count()), (3, 12));
    groups.remove(&key("job/b"));
    apply(&mut groups, "job/d", push("", true), 4).expect("the third");
    let err = apply(&mut groups, "job/e", push("", true), 4).expect_err("the fourth");
    assert!(err.contains("there are 3 groups already"), "{err}");
    assert_eq!(groups.len(), 3, "no room for a note either");
    let limits = Limits { bytes_max: 3000, ..Limits::within(SafetyLimits::default()) };
    let mut groups = Groups::new(limits);
    let text = format!("a{{x=\"{}\"}} 1\n", "y".repeat(1000));
    apply(&mut groups, "job/a", push(&text, true), 1).expect("fits");
    apply(&mut groups, "job/a", push(&text, true), 1).expect("fits in its own place");
    apply(&mut groups, "job/b", push(&text, true), 1).expect("fits beside it");
    let err = apply(&mut groups, "job/c", push(&text, true), 1).expect_err("a third");
    assert!(err.contains("bytes; at most 3000 are kept"), "{err}");
}

#[test]
fn a_group_is_over_its_time_to_live_after_the_last_push_that_was_taken() {
    let mut groups = groups();
    let ttl = |text, seconds| Push { ttl: Some(Duration::from_secs(seconds)), ..push(text, true) };
    apply(&mut groups, "job/j", ttl("a 1\n", 60), 0).expect("taken");
    apply(&mut groups, "job/forever", push("a 1\n", true), 0).expect("taken");
    apply(&mut groups, "job/j", ttl("a 1\n", 60), 30).expect("taken");
    apply(&mut groups, "job/j", ttl("a 1\na 1\n", 600), 80).expect_err("refused");
    apply(&mut groups, "job/k", ttl("a 1\na 1\n", 20), 80).expect_err("refused");
    assert_eq!(groups.expired(at(89)), []);
    assert_eq!(groups.expired(at(90)), [key("job/j")]);
    assert_eq!(groups.expired(at(100)), [key("job/j"), key("job/k")]);
    apply(&mut groups, "job/j", push("a 1\n", false), 90).expect("taken");
    assert_eq!(groups.expired(at(1_000_000)), [key("job/k")]);
}

#[test]
fn bodies_are_read_as_upstream_reads_them() {
    let one = |text: &str, media: &str| -> Result<String, String> {
        let mut all = groups();
        let pushed = read_as(text, media)?;
        let push = Push { pushed, replaces: true, ttl: None };
        let planned = all.plan(&key("job/j"), push, at(0)).map_err(|err| err.to_string())?;
        all.put(key("job/j"), planned);
        let own = |line: &String| !line.starts_with("push_");
        Ok(lines(&all).into_iter().filter(own).collect::<Vec<_>>().join(";"))
    };
    let (text, open) = ("text/plain; version=0.0.4", "application/openmetrics-text");
    for (body, media, expected) in [
        ("", text, ""),
        ("# a comment\n\na 1\n", "application/x-www-form-urlencoded", "a{job=\"j\"} 1"),
        ("# TYPE t counter\n# HELP t no metric\n", text, ""),
        (
            "# TYPE s summary\ns{quantile=\"0.5\"} 2\ns_count 3\ns_sum 4.5\n",
            text,
            "s{job=\"j\",quantile=\"0.5\"} 2;s_sum{job=\"j\"} 4.5;s_count{job=\"j\"} 3",
        ),
        (
            "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_count 3\n",
            text,
            "h_bucket{job=\"j\",le=\"1\"} 2;h_bucket{job=\"j\",le=\"+Inf\"} 3;\
             h_sum{job=\"j\"} 0;h_count{job=\"j\"} 3",
        ),
        ("s_count 3\ns_sum 4\n", text, "s_count{job=\"j\"} 3;s_sum{job=\"j\"} 4"),
        ("# TYPE c counter\nc_total 1\n# EOF\n", text, "c_total{job=\"j\"} 1"),
        (
            "# TYPE c counter\nc_total 1\nc_created 5\n# EOF\n",
            open,
            "c_created{job=\"j\"} 5;c_total{job=\"j\"} 1",
        ),
        ("push_time_seconds 1\npush_failure_time_seconds 2\na 1\n", text, "a{job=\"j\"} 1"),
    ] {
        assert_eq!(one(body, media), Ok(expected.to_owned()), "{body}");
    }
    for (body, media, reason) in [
        ("a 1", text, "error in line 1: unexpected end of input stream"),
        ("a 1\nb{\n", text, "error in line 2: "),
        ("a\n", text, "error in line 1: "),
        ("# TYPE a gauge\n# TYPE a gauge\na 1\n", text, "second TYPE line for metric name \"a\""),
        ("a 1\n# TYPE a gauge\n", text, "or TYPE reported after samples"),
        ("# HELP a x\n# HELP a x\na 1\n", text, "second HELP line for metric name \"a\""),
        ("# TYPE a curve\n", text, "error in line 1: "),
        ("{\"a.b\"} 1\n", text, "invalid metric name \"a.b\""),
        ("a{\"b.c\"=\"1\"} 1\n", text, "invalid label name \"b.c\" for metric \"a\""),
        ("# TYPE h histogram\nh_bucket{le=\"x\"} 1\n", text, "expected float as value for \"le\""),
        (
            "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1.0\"} 1\n",
            text,
            "stands twice in one metric",
        ),
        ("a 1\n", open, "data does not end with # EOF"),
    ] {
        let err = one(body, media).expect_err(body);
        assert!(err.contains(reason), "{body}: {err}");
    }
}

fn packed(encoding: &str, bytes: &[u8]) -> Vec<u8> {
    match encoding {
        "gzip" => {
            let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            to.write_all(bytes).expect("fits");
            to.finish().expect("fits")
        }
        _snappy => {
            let mut to = snap::write::FrameEncoder::new(Vec::new());
            to.write_all(bytes).expect("fits");
            to.into_inner().expect("fits")
        }
    }
}

#[test]
fn packed_bodies_are_unpacked_within_a_limit() {
    for encoding in ["gzip", "snappy"] {
        let read = |bytes: &[u8], content_encoding: &str| {
            let body = Body { content_type: "", content_encoding, bytes };
            super::read(&body, NameValidation::Legacy).map_err(|err| err.to_string())
        };
        let small = packed(encoding, b"a 1\n");
        assert_eq!(read(&small, &encoding.to_uppercase()), read(b"a 1\n", ""));
        assert!(read(b"a 1\n", encoding).is_err(), "not packed at all");
        assert!(read(&small[..small.len() - 3], encoding).is_err(), "cut short");
        let bomb = packed(encoding, &vec![b'\n'; PUSH_BYTES_MAX + 1]);
        assert!(read(&bomb, encoding).expect_err("too long").contains("longer than"));
    }
    let many: String = (0..=PUSH_SAMPLES_MAX).map(|one| format!("a{{x=\"{one}\"}} 1\n")).collect();
    assert!(read_as(&many, "").expect_err("too many").contains("samples in one push"));
    let names: String =
        (0..=PUSH_SAMPLES_MAX).map(|one| format!("# TYPE a{one} gauge\n")).collect();
    assert!(read_as(&names, "").expect_err("too many").contains("metric names in one push"));
}

#[test]
fn rows_of_a_later_version_and_foreign_ones_are_refused() {
    let mut all = groups();
    apply(&mut all, "job/j", push("a 1\n", true), 10).expect("taken");
    let row = to_row(&key("job/j"), all.get(&key("job/j")).expect("is there"));
    assert!(from_row(&row).is_ok());
    let later = row.replace("\"version\":1", "\"version\":2");
    assert!(from_row(&later).expect_err("later").contains("its version is 2"));
    assert!(from_row("{}").is_err());
}

/// Bodies that are mostly right, in the letters of which pushes are made.
fn body() -> impl Strategy<Value = String> {
    let name = || prop::sample::select(vec!["a", "b", "h", "h_count", "h_bucket", "s", "s_sum"]);
    let kind = prop::sample::select(vec!["counter", "gauge", "histogram", "summary", "untyped"]);
    let label = prop::sample::select(vec!["x", "le", "quantile", "job", "instance"]);
    let value = prop_oneof![
        any::<f64>().prop_map(|value| value.to_string()),
        Just("+Inf".to_owned()),
        Just("NaN".to_owned()),
    ];
    let typed = (name(), kind).prop_map(|(name, kind)| format!("# TYPE {name} {kind}\n"));
    let help =
        (name(), "[ -~é\\\\]{0,9}").prop_map(|(name, help)| format!("# HELP {name} {help}\n"));
    let text = prop_oneof![Just("0.5".to_owned()), "[a-z é0-9.]{0,4}"];
    let sample = (name(), label, text, value)
        .prop_map(|(name, label, text, value)| format!("{name}{{{label}=\"{text}\"}} {value}\n"));
    let line = prop_oneof![1 => typed, 1 => help, 4 => sample];
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

fn path() -> impl Strategy<Value = String> {
    let paths = vec!["job/j", "job/k", "job/j/x/1", "job/j/instance/i", "job/j/instance@base64/="];
    prop::sample::select(paths).prop_map(str::to_owned)
}

proptest! {
    /// Whatever is pushed: no series is there twice, counts are right, and every group comes back
    /// out of its row as it was.
    #[test]
    fn groups_stay_consistent(
        steps in prop::collection::vec((path(), body(), any::<bool>(), any::<bool>()), 1..12),
    ) {
        let mut all = groups();
        for (now, (path, body, replaces, deletes)) in (0..).zip(steps) {
            if deletes && now % 3 == 0 {
                all.remove(&key(&path));
            } else if let Ok(pushed) = read_as(&body, "") {
                let before = lines(&all);
                let done = apply(&mut all, &path, Push { pushed, replaces, ttl: None }, now);
                if done.is_err() {
                    let kept = |line: &&String| !line.starts_with("push_");
                    let after = lines(&all);
                    let (before, after) = (before.iter().filter(kept), after.iter().filter(kept));
                    prop_assert!(before.eq(after));
                }
            }
            let text = lines(&all);
            let series: std::collections::BTreeSet<&str> =
                text.iter().filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect();
            prop_assert_eq!(series.len(), text.len(), "{:?}", text);
            let mut again = groups();
            for (key, group) in all.iter() {
                let (read_key, read_group) = from_row(&to_row(key, group)).expect("its own row");
                prop_assert_eq!(&read_key, key);
                again.put(read_key, read_group);
            }
            prop_assert_eq!(lines(&again), text);
            prop_assert_eq!(again.sample_count(), all.sample_count());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        encoding in prop::sample::select(vec!["", "gzip", "snappy", "br"]),
        media in prop::sample::select(vec!["", "text/plain", "application/openmetrics-text"]),
    ) {
        let _ = read(&Body { content_type: media, content_encoding: encoding, bytes: &bytes }, NameValidation::Utf8);
        let unpacked = packed("gzip", &bytes);
        let _ = read(&Body { content_type: media, content_encoding: "gzip", bytes: &unpacked }, NameValidation::Utf8);
    }
}
