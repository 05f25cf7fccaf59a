//! The written scripts: one job each.

use super::exporter::{Step, whole};

/// One job and what its target answers.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: String,
    /// Keys of the job, each on a line of its own.
    pub(super) keys: String,
    /// Labels of its targets, as YAML.
    pub(super) labels: String,
    pub(super) steps: Vec<Step>,
    /// Targets; each is asked by the same script.
    pub(super) targets: usize,
    /// What both say at the end, in part; `None` for a target that is up, or where the texts are
    /// not compared.
    pub(super) error: Option<&'static str>,
    /// Why the answers are not the same: a change after 2.42, or a decision of ours.
    pub(super) differs: Option<&'static str>,
}

impl Case {
    pub(super) fn new(name: impl Into<String>, keys: impl Into<String>, steps: Vec<Step>) -> Self {
        Self {
            name: name.into(),
            keys: keys.into(),
            labels: String::new(),
            steps,
            targets: 1,
            error: None,
            differs: None,
        }
    }

    /// The script, to be read.
    pub(super) fn shown(&self) -> String {
        let step = |step: &Step| match step {
            Step::Text(body) | Step::Open(body) | Step::Zipped(body) => format!("{body:?}\n"),
            Step::Raw(bytes) => format!("{:?}\n", String::from_utf8_lossy(bytes)),
            Step::Hang => "no answer\n".to_owned(),
        };
        let steps: String = self.steps.iter().map(step).collect();
        format!("{}: {}\n{steps}", self.name, self.keys)
    }

    fn labels(mut self, labels: &str) -> Self {
        self.labels = labels.to_owned();
        self
    }

    fn error(mut self, text: &'static str) -> Self {
        self.error = Some(text);
        self
    }

    fn differs(mut self, reason: &'static str) -> Self {
        self.differs = Some(reason);
        self
    }
}

fn texts<const N: usize>(bodies: [&str; N]) -> Vec<Step> {
    bodies.map(|body| Step::Text(body.to_owned())).into()
}

fn opens<const N: usize>(bodies: [&str; N]) -> Vec<Step> {
    bodies.map(|body| Step::Open(body.to_owned())).into()
}

fn good(body: &str) -> Step {
    Step::Text(body.to_owned())
}

fn typed(media: &str, body: &str) -> Step {
    Step::Raw(whole(200, media, "", body.as_bytes()))
}

fn raw(text: &str) -> Step {
    Step::Raw(text.as_bytes().to_vec())
}

fn status(code: u16) -> Step {
    Step::Raw(whole(code, "text/plain", "", b"a 9\n"))
}

/// All of them; `now` is in milliseconds since 1970.
pub(super) fn all(now: i64) -> Vec<Case> {
    let mut cases = staleness();
    cases.extend(timestamps(now));
    cases.extend(failures());
    cases.extend(limits());
    cases.extend(labels());
    cases.extend(metric_relabelling());
    cases.extend(formats());
    cases.extend(differences(now));
    cases
}

fn staleness() -> Vec<Case> {
    vec![
        Case::new(
            "comes_and_goes",
            "",
            texts([
                "a 1\n",
                "a 2\nb 1\n",
                "a 3\n",
                "b 2\n",
                "",
                "c{x=\"1\"} 1\na 1\nb 1\n",
                "a 1\n",
                "b 1\na 2\n",
                "# TYPE a gauge\n",
            ]),
        ),
        Case::new(
            "values",
            "",
            texts([
                "a NaN\nb +Inf\nc -Inf\nd -0\n",
                "a nan\nb inf\nc -inf\nd 0\n",
                "a 5e-324\nb 1.7976931348623157e308\nc 1e21\nd 0.1\n",
                "a NaN\nb NaN\nc 123456789.123456789\nd 1e-7\n",
                "a 1e-400\nb +5\nc .5\nd 5.\n",
            ]),
        ),
        Case::new(
            "order_of_lines",
            "",
            texts([
                "a{x=\"1\"} 1\na{x=\"2\"} 2\nb 1\n",
                "b 2\na{x=\"2\"} 3\na{x=\"1\"} 4\n",
                "a{ x = \"1\" , } 5\nb 3\n",
                "a{x=\"1\",y=\"\"} 6\nb 4\n",
                "a{x=\"1\"} 7\nb 5\n",
            ]),
        ),
        Case::new(
            "duplicates",
            "",
            texts([
                "a 1\na 2\n",
                "a 3\na 3\nb{x=\"1\",y=\"2\"} 1\nb{y=\"2\",x=\"1\"} 2\n",
                "a 4\nc{x=\"\"} 1\nc 2\n",
                "a 5\n",
            ]),
        ),
        Case::new(
            "failures_between",
            "",
            vec![
                good("a 1\nb 1\n"),
                status(500),
                good("a 2\n"),
                status(503),
                status(404),
                good("a 3\nb 3\n"),
                good("b 4\n"),
                status(500),
            ],
        )
        .error("server returned HTTP status 500 Internal Server Error"),
        Case::new("first_fails", "", vec![status(502), good("a 1\n"), good("a 2\n"), status(400)])
            .error("server returned HTTP status 400 Bad Request"),
    ]
}

fn timestamps(now: i64) -> Vec<Case> {
    let at = |text: &str| {
        let mut text = text.to_owned();
        for (name, offset) in
            [("EARLIER", -9_000), ("EARLY", -8_000), ("MINUTE", -60_000), ("SOON", 120_000)]
        {
            text = text.replace(name, &(now + offset).to_string());
        }
        Step::Text(text)
    };
    let steps = || {
        vec![
            at("a 1 EARLIER\nb 1\nc 1 MINUTE\n"),
            at("a 2 EARLY\nb 2\nc 1 MINUTE\n"),
            at("a 2 EARLY\nb 3 EARLIER\n"),
            at("a 3 EARLY\nb 4\nd 1 EARLY\n"),
            at("a 4 EARLIER\nb 5\ne 1 EARLY\ne 2 EARLIER\n"),
            status(500),
            at("a 5 SOON\nb 6\ng 1\n"),
            at("b 7\nf 2\n"),
        ]
    };
    let opened = |text: &str| {
        let second = (now - 8_000) / 1000;
        Step::Open(text.replace("SECOND", &second.to_string()))
    };
    vec![
        Case::new("own_timestamps", "", steps()),
        Case::new("own_timestamps_not_honored", "honor_timestamps: false", steps()),
        Case::new(
            "openmetrics_timestamps",
            "",
            vec![
                opened("# TYPE a gauge\na 1 SECOND\n# TYPE b gauge\nb 1\n"),
                opened("# TYPE a gauge\na 1 SECOND.0\n# TYPE b gauge\nb 2 SECOND.25\n"),
                opened("# TYPE a gauge\na 3 SECOND.5019\n# TYPE b gauge\nb 2\n"),
                opened("# TYPE a gauge\na 4\n"),
            ],
        ),
    ]
}

fn failures() -> Vec<Case> {
    let bad = |name: &str, body: &str| {
        // The fault comes first: 2.42 does not mark the ends of what it has seen before it.
        let step = typed("text/plain", body);
        let steps = vec![good("a 1\nb 1\n"), step.clone(), good("a 2\nb 2\n"), step];
        Case::new(name, "", steps)
    };
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
    let cut = format!("{head}Content-Length: 40\r\n\r\na 5\nb 5\n");
    let chunk = format!("{head}Transfer-Encoding: chunked\r\n\r\n8\r\na 5\nb 5\n\r\n8\r\nc");
    let between = |step: Step| vec![good("a 1\nb 1\n"), step.clone(), good("a 2\n"), step];
    vec![
        bad("broken_value", "b x\na 2\n"),
        bad("broken_name", "0b 1\na 2\n"),
        bad("missing_value", "b\na 2\n"),
        bad("broken_labels", "a{x=\"1\" 1\nb 1\n"),
        bad("broken_label_name", "a{1=\"1\"} 1\n"),
        bad("broken_escape", "a{x=\"1} 1\nb 1\n"),
        bad("broken_timestamp", "a 1 x\n"),
        bad("text_after_the_timestamp", "a 1 1600000000000 1\n"),
        bad("hexadecimal", "a 0x10\n"),
        bad("underscores", "a 1_000\n"),
        bad("broken_type", "# TYPE a curve\na 1\n"),
        bad("fault_after_new_series", "a{x=\"1\"} 1\nc 1\n\u{1}\n"),
        Case::new("body_is_cut", "", between(raw(&cut))).error("unexpected EOF"),
        Case::new("chunked_body_is_cut", "", between(raw(&chunk))).error("unexpected EOF"),
        Case::new("connection_is_cut", "", between(raw(""))).error("EOF"),
        Case::new("no_http", "", between(raw("SSH-2.0-OpenSSH\r\n\r\n"))),
        Case::new("silent", "scrape_timeout: 400ms", between(Step::Hang))
            .error("context deadline exceeded"),
        Case::new(
            "other_statuses",
            "",
            vec![good("a 1\n"), status(201), good("a 1\n"), status(204)],
        )
        .error("server returned HTTP status 204 No Content"),
        Case::new(
            "redirect_not_followed",
            "follow_redirects: false",
            between(Step::Raw(whole(302, "", "Location: /comes_and_goes\r\n", b""))),
        )
        .error("server returned HTTP status 302 Found"),
    ]
}

fn limits() -> Vec<Case> {
    let padded = |len: usize| {
        let rest = len.saturating_sub("a 1\n#\nscript_step 0\n".len());
        good(&format!("a 1\n#{}\n", "x".repeat(rest)))
    };
    let long = |len: usize| "v".repeat(len);
    // What a failing scrape has before its limit is new: 2.42 does not mark the ends of series that
    // it has seen in one.
    let many = || {
        let body = "n{x=\"1\"} 1\nn{x=\"3\"} 1\nn 1\nm 1\nm{x=\"1\"} 1\n";
        typed("text/plain", body)
    };
    let three = || good("a 1\nb{x=\"1\"} 1\n");
    let mut targets = Case::new("target_limit", "target_limit: 2", texts(["a 1\n"]))
        .error("target_limit exceeded");
    targets.targets = 3;
    vec![
        Case::new(
            "body_size_limit",
            "body_size_limit: 100B",
            vec![padded(80), padded(99), padded(100), padded(90), padded(101)],
        )
        .error("body size limit exceeded"),
        Case::new("sample_limit", "sample_limit: 3", vec![three(), many(), three(), good(""), many()])
            .error("sample limit exceeded"),
        Case::new(
            "sample_limit_after_relabelling",
            "sample_limit: 3\n  metric_relabel_configs: [{source_labels: [x], regex: '2', action: drop}]",
            vec![
                many(),
                good("a 1\nb{x=\"1\"} 1\nb{x=\"2\"} 1\n"),
                good("b{x=\"2\"} 1\nb{x=\"2\",y=\"1\"} 1\nb{x=\"2\",y=\"2\"} 1\na 1\n"),
                typed("text/plain", "c 1\nc 2\nc 3\nc 4\n"),
                good("a 1\n"),
                many(),
            ],
        )
        .error("sample limit exceeded"),
        Case::new(
            "label_limit",
            "label_limit: 6",
            texts(["a{x=\"1\",y=\"2\"} 1\n", "a{x=\"1\",y=\"2\",z=\"3\"} 1\nb 1\n", "a 1\n",
                "a{x=\"1\",y=\"2\",z=\"3\"} 1\n"]),
        )
        .error("label_limit exceeded (metric: "),
        Case::new(
            "label_name_length_limit",
            "label_name_length_limit: 10",
            texts(["a{abcdefghij=\"1\"} 1\n", "a{abcdefghijk=\"1\"} 1\nb 1\n", "a 1\n",
                "a{abcdefghijk=\"1\"} 1\n"]),
        )
        .error("label_name_length_limit exceeded (metric: "),
        Case::new(
            "label_value_length_limit",
            "label_value_length_limit: 32",
            vec![
                good(&format!("a{{x=\"{}\"}} 1\n", long(32))),
                good(&format!("b 1\na{{x=\"{}\"}} 1\n", long(33))),
                good(&format!("{} 1\n", long(33))),
                good("a 1\n"),
                good(&format!("a{{x=\"{}é\"}} 1\n", long(31))),
            ],
        )
        .error("label_value_length_limit exceeded (metric: "),
        targets,
    ]
}

fn labels() -> Vec<Case> {
    let bodies = || {
        texts([
            "a{job=\"x\",instance=\"y\"} 1\nb{job=\"x\",exported_job=\"y\"} 2\nc 3\n",
            "a{job=\"\",instance=\"y\"} 1\nb{exported_job=\"y\"} 2\nc{instance=\"\"} 3\n",
            "a{job=\"x\",exported_job=\"y\",exported_exported_job=\"z\"} 1\nzone{zone=\"w\"} 1\n",
            "a{zone=\"\",exported_zone=\"q\"} 1\nc{zone=\"n\",job=\"m\",instance=\"o\"} 4\n",
            "a{job=\"x\",instance=\"y\"} 1\nb{job=\"x\",exported_job=\"y\"} 2\nc 3\n",
        ])
    };
    let relabel = |rules: &str| format!("relabel_configs:\n{rules}");
    let targets = "  - {source_labels: [zone], target_label: Zone, action: uppercase}
  - {source_labels: [Zone], target_label: low, action: lowercase}
  - {source_labels: [zone, job], separator: '/', regex: '(e.)/(.*)', target_label: both, replacement: '${2}-$1'}
  - {source_labels: [zone], modulus: 17, target_label: shard, action: hashmod}
  - {regex: 'meta_(.+)', replacement: 'm_$1', action: labelmap}
  - {regex: 'meta_.*', action: labeldrop}
  - {source_labels: [nothing], target_label: low, regex: 'x', replacement: 'y'}
  - {source_labels: [zone], target_label: '${1}_named', regex: '(.*)'}
  - {target_label: constant, replacement: here}
  - {source_labels: [zone], target_label: low, action: keepequal}
  - {source_labels: [zone], target_label: shard, action: dropequal}
  - {source_labels: [zone, job], regex: 'eu;relabel_targets', action: keep}
  - {source_labels: [case], regex: 'other', action: drop}
  - {source_labels: [__scheme__], target_label: kept_scheme}
  - {target_label: emptied, replacement: ''}";
    vec![
        Case::new("labels_not_honored", "", bodies()).labels("zone: eu"),
        Case::new("labels_honored", "honor_labels: true", bodies()).labels("zone: eu"),
        Case::new("relabel_targets", relabel(targets), bodies())
            .labels("zone: eu, meta_a: '1', meta_b: '2', emptied: gone"),
        Case::new(
            "relabel_keeps_labels",
            relabel("  - {regex: '__.*|case|instance|job', action: labelkeep}"),
            bodies(),
        )
        .labels("zone: eu, meta_a: '1'"),
        Case::new(
            "relabel_scrape",
            "params: {p: [one, two]}\n  ".to_owned()
                + &relabel(
                    "  - {target_label: __scrape_timeout__, replacement: 900ms}\n  \
                    - {source_labels: [__param_p], target_label: param}\n  \
                    - {target_label: job, replacement: another}\n  \
                    - {target_label: instance, replacement: 'named:1'}",
                ),
            bodies(),
        ),
    ]
}

fn metric_relabelling() -> Vec<Case> {
    let rules = |rules: &str| format!("metric_relabel_configs:\n{rules}");
    let bodies = || {
        texts([
            "a{x=\"Up\",y=\"1\"} 1\na{x=\"Up\",y=\"2\"} 2\nb{tmp_c=\"1\"} 3\nc{x=\"c\",y=\"c\"} 4\n",
            "a{x=\"Up\",y=\"2\"} 2\na{x=\"Up\",y=\"1\"} 1\nb{tmp_c=\"2\"} 3\n",
            "a{x=\"Up\",y=\"1\"} 7\nc{x=\"c\",y=\"d\"} 4\nd 1\n",
            "d 2\nb{tmp_c=\"1\"} 3\n",
            "a{x=\"Up\",y=\"1\"} 1\na{x=\"Up\",y=\"2\"} 2\nb{tmp_c=\"1\"} 3\nc{x=\"c\",y=\"c\"} 4\n",
        ])
    };
    let one = |name: &str, rule: &str| Case::new(name, rules(&format!("  - {{{rule}}}")), bodies());
    vec![
        one(
            "metric_replace",
            "source_labels: [x, y], target_label: z, regex: '(.*);(.*)', replacement: '$2:$1'",
        ),
        one("metric_keep", "source_labels: [__name__], regex: 'a|b|script_step', action: keep"),
        one("metric_drop", "source_labels: [__name__, x], regex: 'a;.*', action: drop"),
        one("metric_labelmap", "regex: 'tmp_(.*)', action: labelmap"),
        one("metric_labeldrop_to_duplicates", "regex: y, action: labeldrop"),
        one("metric_labelkeep", "regex: '__name__|x|case|job|instance', action: labelkeep"),
        one(
            "metric_hashmod",
            "source_labels: [y], modulus: 7, target_label: shard, action: hashmod",
        ),
        one("metric_lowercase", "source_labels: [x], target_label: x, action: lowercase"),
        one("metric_uppercase", "source_labels: [x], target_label: x, action: uppercase"),
        one("metric_keepequal", "source_labels: [x], target_label: y, action: keepequal"),
        one("metric_dropequal", "source_labels: [x], target_label: y, action: dropequal"),
        one(
            "metric_renamed",
            "source_labels: [__name__], regex: '([ab])', target_label: __name__, replacement: 'new_$1'",
        ),
        one("metric_target_label", "target_label: job, replacement: 'else'"),
        one("metric_drop_all", "source_labels: [__name__], regex: '.*', action: drop"),
        Case::new(
            "metric_without_name",
            rules(
                "  - {source_labels: [__name__], regex: d, target_label: __name__, replacement: ''}",
            ),
            vec![
                good("a 1\n"),
                typed("text/plain", "d 1\na 2\n"),
                good("a 3\n"),
                typed("text/plain", "d 1\na 2\n"),
            ],
        ),
    ]
}

fn formats() -> Vec<Case> {
    let histogram = |n: u32| {
        format!(
            "# HELP h_metric Some.\n# TYPE h_metric histogram\nh_metric_bucket{{le=\"0.5\"}} {n}\n\
             h_metric_bucket{{le=\"+Inf\"}} {}\nh_metric_sum 1.5\nh_metric_count {}\n\
             # TYPE s_metric summary\ns_metric{{quantile=\"0.5\"}} {n}\ns_metric_sum 1\n\
             s_metric_count {n}\n",
            n + 1,
            n + 1
        )
    };
    let exemplars = |n: u32| {
        Step::Open(format!(
            "# HELP oc_metric With \\\"quotes\\\".\n# TYPE oc_metric counter\n# UNIT oc_metric_seconds seconds\n\
             oc_metric_total {n} # {{trace_id=\"t{n}\"}} 0.5\n# TYPE oh_metric histogram\n\
             oh_metric_bucket{{le=\"1.0\"}} {n} # {{trace_id=\"a\"}} 0.5 1600000000.25\n\
             oh_metric_bucket{{le=\"+Inf\"}} {n}\noh_metric_count {n}\noh_metric_sum 1\n\
             # TYPE oi_metric info\noi_metric_info{{version=\"{n}\"}} 1\n\
             # TYPE os_metric stateset\nos_metric{{os_metric=\"on\"}} 1\n"
        ))
    };
    let open = "application/openmetrics-text; version=1.0.0";
    let between = |step: Step| {
        vec![Step::Open("# TYPE a gauge\na 1\n".to_owned()), step.clone(), good("a 1\n"), step]
    };
    vec![
        Case::new("histograms", "", (1..6).map(|n| good(&histogram(n))).collect()),
        Case::new("exemplars", "", (1..6).map(exemplars).collect()),
        Case::new(
            "types",
            "",
            texts([
                "# TYPE t_metric counter\n# HELP t_metric One.\nt_metric 1\n",
                "# TYPE t_metric gauge\n# HELP t_metric Two.\nt_metric 2\n",
                "t_metric 3\n# TYPE u_metric untyped\nu_metric 1\n",
                "# HELP t_metric Three, \\\\ and \\n.\n# TYPE t_metric gauge\nt_metric 4\n",
            ]),
        ),
        Case::new(
            "gzip",
            "",
            vec![
                Step::Zipped("a 1\nb 1\n".to_owned()),
                Step::Zipped("a 2\n".to_owned()),
                Step::Raw(whole(200, "text/plain", "Content-Encoding: gzip\r\n", b"a 2\nb 1\n")),
                good("a 3\n"),
            ],
        ),
        Case::new(
            "blanks",
            "",
            texts([
                "a   1\nb\t2 \nc{x=\"1\"} 3\n",
                "a{x=\"1\",} 1\nb { x = \"1\" , y = \"2\" } 2\n",
                "a{x=\"1\"}\t1\t\nb 2\n",
            ]),
        ),
        Case::new("no_blank_after_the_labels", "", texts(["a{x=\"1\"}3\nb 1\n", "b 1\n"])),
        Case::new(
            "comments",
            "",
            texts([
                "\n\n\n# a comment\n# TYPED a\na 1\n",
                "#nothing\na 2\n",
                "#\na 3\n",
                "# HELP\na 4\n",
                "# TYPE\na 5\n",
                "# HELP a\na 6\n",
            ]),
        ),
        Case::new(
            "names",
            "",
            texts([
                "a:b 1\n:c 2\n_d 3\na{} 1\n",
                "b{x=\"\\\\ \\\" \\n \\t\"} 2\nc{x=\"é\u{1F600}\"} 3\na{} 2\n",
            ]),
        ),
        Case::new(
            "no_last_line_break",
            "",
            vec![
                typed("text/plain", "a 1\nb 2"),
                typed("text/plain; version=0.0.4; charset=utf-8", "a 2"),
                typed("text/plain;version=1.0.0", "a 3\n"),
            ],
        ),
        Case::new(
            "openmetrics",
            "",
            opens([
                "# TYPE a gauge\na 1\n# TYPE b counter\nb_total 1\n",
                "# TYPE a gauge\na 2\n# TYPE b counter\nb_total 2\nb_created 1600000000\n",
                "# TYPE a unknown\na 3\n",
            ]),
        ),
        Case::new("openmetrics_without_end", "", between(typed(open, "b 1\n"))),
        Case::new("openmetrics_after_its_end", "", between(typed(open, "b 1\n# EOF\na 1\n"))),
        Case::new("openmetrics_blank_line", "", between(typed(open, "b 1\n\n# EOF\n"))),
        Case::new("openmetrics_comment", "", between(typed(open, "b 1\n# more\n# EOF\n"))),
        Case::new("openmetrics_two_blanks", "", between(typed(open, "b  1\n# EOF\n"))),
        Case::new("openmetrics_bad_exemplar", "", between(typed(open, "b 1 # {x=1} 1\n# EOF\n"))),
    ]
}

/// Where we do on purpose what 2.42 does not. Each is run, so that this list stays true.
fn differences(now: i64) -> Vec<Case> {
    let far = now + 900_000;
    let twice = |step: Step| vec![good("a 1\n"), step.clone(), step];
    vec![
        Case::new("no_content_type", "", twice(typed("", "a 2\n")))
            .differs("an answer without a type fails since 3.0"),
        Case::new("unknown_content_type", "", twice(typed("text/html", "a 2\n")))
            .differs("an answer of an unknown type fails since 3.0"),
        Case::new("whole_bounds", "", twice(good("# TYPE h histogram\nh_bucket{le=\"1\"} 1\n")))
            .differs("bounds and quantiles are made uniform since 3.0"),
        Case::new("quoted_names", "", twice(good("{\"a.b\",\"c.d\"=\"1\"} 1\n")))
            .differs("names may hold any UTF-8 since 3.0"),
        Case::new("label_twice", "", twice(typed("text/plain", "a{x=\"1\",x=\"2\"} 1\n")))
            .differs("a line that names a label twice is not counted as scraped"),
        Case::new("fault_after_samples", "", twice(typed("text/plain", "a 2\n0 1\n"))).differs(
            "a failed scrape marks the ends of all series (T2), also of those before the fault",
        ),
        Case::new("first_sample_is_refused", "", twice(good(&format!("far 1 {far}\n")))).differs(
            "what a scrape says about itself is written with it, before anything is refused",
        ),
        Case::new("blanks_before_a_name", "", twice(good("\t a 2\n")))
            .differs("2.42 takes blanks before a name for a part of it; the format allows them"),
        Case::new("up_of_the_target", "", twice(good("up 5\n")))
            .differs("what a scrape says about itself is not the target's to say (T41)"),
        Case::new(
            "no_length_and_no_last_line_break",
            "",
            twice(raw("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\na 2\nb 1")),
        )
        .differs("a last number that may be cut is not stored (T12)"),
    ]
}
