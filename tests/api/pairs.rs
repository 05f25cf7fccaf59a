//! Requests and the answers that Prometheus and Alertmanager give to them, as JSON.
//!
//! Sources: prometheus, docs/querying/api.md and web/api/v1/api.go; alertmanager,
//! api/v2/openapi.yaml. Values are those of the fixture.

/// A request and its answer. A body that begins with `~` has only to contain the rest.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) method: &'static str,
    pub(crate) target: &'static str,
    pub(crate) body: &'static str,
    pub(crate) status: u16,
    pub(crate) answer: &'static str,
}

const fn get(target: &'static str, status: u16, answer: &'static str) -> Pair {
    Pair { method: "GET", target, body: "", status, answer }
}

const fn post(target: &'static str, body: &'static str, status: u16, answer: &'static str) -> Pair {
    Pair { method: "POST", target, body, status, answer }
}

const fn on(
    method: &'static str,
    target: &'static str,
    body: &'static str,
    status: u16,
    answer: &'static str,
) -> Pair {
    Pair { method, target, body, status, answer }
}

/// What follows `/api/v1/`, and Alertmanager's API.
pub(crate) const PAIRS: &[Pair] = &[
    // Sources: prometheus/pushgateway, README.md and handler/push.go.
    on("PUT", "/metrics/job/j/instance/a%20b?ttl=1h", "a 1\n", 200, ""),
    on("PUT", "/metrics/job/j?ttl=wrong", "a 1\n", 400, "cannot read the time to live\n"),
    post("/metrics/job/j", "ttl=wrong", 200, ""),
    post("/pushgateway/metrics/job@base64/YQ==", "a 1\n", 200, ""),
    on("DELETE", "/metrics/job%40base64/YQ==/a/b", "", 202, ""),
    on("DELETE", "/pushgateway/metrics/job/j", "", 202, ""),
    get("/metrics/job/j", 405, "Method Not Allowed\n"),
    get("/metrics/job", 404, "404 page not found\n"),
    get("/metrics/jobs/j", 404, "404 page not found\n"),
    get(
        "/api/v1/metrics",
        200,
        r#"{"status":"success","data":[{"labels":{"job":"j"},"last_push_successful":true}]}"#,
    ),
    get("/pushgateway/api/v1/metrics", 200, r#"~[{"labels":{"job":"j"}"#),
    get("/pushgateway/metrics", 200, "# TYPE pushed gauge\npushed{job=\"j\"} 1\n"),
    // Source: prometheus/blackbox_exporter, prober/handler.go.
    get("/probe?target=ab&module=m", 200, "# TYPE probe_success gauge\nprobe_success 2\n"),
    get("/probe?target=abc&debug=true", 200, "~probe_success 3\n"),
    post("/probe?target=ab", "", 405, "Method Not Allowed\n"),
    get("/api/v1/status", 200, r#"~{"status":"success","data":{"build_information":{"version":"#),
    get("/pushgateway/-/healthy", 200, "OK"),
    get("/pushgateway/-/ready", 200, "OK"),
    get("/pushgateway/api/v1/query", 404, "404 page not found\n"),
    get(
        "/api/v1/query?query=up&time=1700000000.25",
        200,
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"node"},"value":[1700000000.25,"+Inf"]}]}}"#,
    ),
    // The form of prometheus, util/stats/query_stats.go (BuiltinStats).
    get(
        "/api/v1/query?query=1&time=5&stats=all",
        200,
        r#"{"status":"success","data":{"resultType":"scalar","result":[5,"1"],"stats":{"timings":{"evalTotalTime":0.0,"resultSortTime":0.0,"queryPreparationTime":0.0,"innerEvalTime":0.0,"execQueueTime":0.0,"execTotalTime":0.5},"samples":{"totalQueryableSamples":7,"samplesRead":6,"peakSamples":5}}}}"#,
    ),
    // The words of prometheus, web/api/v1/api.go (statsParamWarning).
    get(
        "/api/v1/query_range?query=up&start=0&end=30&step=15s&stats=yes",
        200,
        r#"~"peakSamples":5}}},"warnings":["value \"yes\" for parameter \"stats\" is deprecated and will be rejected in the next major release, use \"true\" or \"all\""]}"#,
    ),
    get(
        "/api/v1/query?query=1&time=5&explain=1",
        200,
        r#"{"status":"success","data":{"resultType":"scalar","result":[5,"1"]},"explain":{"root":{"text":"up","start":0,"end":2,"series":1,"samples":0,"selfSeconds":0.0,"totalSeconds":0.0,"constant":false,"once":false,"shared":false},"limit":{"left":"up","op":">","value":0.0,"right":"0","closest":[{"metric":{"__name__":"up","job":"node"},"value":"1","distance":"+Inf","holds":true}]}}}"#,
    ),
    get(
        "/api/v1/query?query=1&time=5&explain=0",
        200,
        r#"{"status":"success","data":{"resultType":"scalar","result":[5,"1"]}}"#,
    ),
    get(
        "/api/v1/query?query=1&time=2023-11-14T22:13:20Z",
        200,
        r#"{"status":"success","data":{"resultType":"scalar","result":[1700000000,"1"]}}"#,
    ),
    get(
        "/api/v1/query?query=%27a%27&time=5",
        200,
        r#"{"status":"success","data":{"resultType":"string","result":[5,"a"]}}"#,
    ),
    get("/api/v1/query?query=warned&time=5", 200, r#"~"warnings":["w"],"infos":["i"]}"#),
    post(
        "/api/v1/query",
        "query=up&time=5&timeout=5s&lookback_delta=60&limit=3",
        200,
        r#"~"value":[5,"+Inf"]"#,
    ),
    post("/api/v1/query?query=1&time=7", "query=up&time=5", 200, r#"~"value":[5,"+Inf"]"#),
    get(
        "/api/v1/query?query=",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": unknown position: parse error: no expression found in input"}"#,
    ),
    get(
        "/api/v1/query?query=sum(",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis"}"#,
    ),
    get(
        "/api/v1/query?query=many",
        422,
        r#"{"status":"error","errorType":"execution","error":"found duplicate series for the match group"}"#,
    ),
    get(
        "/api/v1/query?query=slow",
        503,
        r#"{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}"#,
    ),
    get(
        "/api/v1/query?query=up&time=yesterday",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"time\": invalid time value for 'time': cannot parse \"yesterday\" to a valid timestamp"}"#,
    ),
    get(
        "/api/v1/query?query=up&limit=-1",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"limit\": limit must be non-negative"}"#,
    ),
    get(
        "/api/v1/query_range?query=up&start=0&end=30&step=15s",
        200,
        r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"up","job":"node"},"values":[[0,"1"],[15,"-Inf"]]}]}}"#,
    ),
    get(
        "/api/v1/query_range?query=up&start=30&end=0&step=15",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"end\": end timestamp must not be before start time"}"#,
    ),
    get(
        "/api/v1/query_range?query=up&start=0&end=30&step=0",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer"}"#,
    ),
    get(
        "/api/v1/query_range?query=up&start=0&end=30&step=-1",
        400,
        r#"~zero or negative query resolution"#,
    ),
    get(
        "/api/v1/query_range?query=up&start=0&end=11001&step=1",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"}"#,
    ),
    get("/api/v1/query_range?query=up&start=0&end=11000&step=1", 200, r#"~matrix"#),
    get(
        "/api/v1/query_range?query=up&end=30&step=1",
        400,
        r#"~invalid parameter \"start\": cannot parse \"\" to a valid timestamp"#,
    ),
    get(
        "/api/v1/watchbell/hints?query=upp&start=1&end=2",
        200,
        r#"{"status":"success","data":["no series has the name upp"]}"#,
    ),
    get("/api/v1/watchbell/hints?query=sum(", 400, r#"~invalid parameter \"query\": 1:5"#),
    get("/api/v1/watchbell/hints?query=a&start=2&end=1", 400, r#"~end timestamp must not be"#),
    get("/api/v1/format_query?query=a", 200, r#"{"status":"success","data":"(a)"}"#),
    get(
        "/api/v1/parse_query?query=a",
        200,
        r#"{"status":"success","data":{"type":"stringLiteral","val":"a"}}"#,
    ),
    post("/api/v1/parse_query", "query=sum(", 400, r#"~invalid parameter \"query\": 1:5: parse"#),
    get(
        "/api/v1/format_query?query=sum(",
        400,
        r#"~invalid parameter \"query\": 1:5: parse error"#,
    ),
    // As Prometheus 2.42 answered for exemplars of the same labels, values and times.
    get(
        "/api/v1/query_exemplars?query=up&start=1&end=2",
        200,
        r#"{"status":"success","data":[{"seriesLabels":{"__name__":"up","job":"node"},"exemplars":[{"labels":{},"value":"0.5","timestamp":1600000000},{"labels":{"a":"\"","trace_id":"q1"},"value":"10000000000","timestamp":1795635380.018}]}]}"#,
    ),
    post(
        "/api/v1/query_exemplars",
        "query=up",
        200,
        r#"~{"status":"success","data":[{"seriesLabels":{"__name__":"up","#,
    ),
    get("/api/v1/query_exemplars?query=1", 204, ""),
    get(
        "/api/v1/query_exemplars?query=sum(",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"1:5: parse error: unclosed left parenthesis"}"#,
    ),
    get(
        "/api/v1/query_exemplars?query=up&start=x",
        400,
        r#"~"error":"invalid parameter \"start\": "#,
    ),
    get(
        "/api/v1/query_exemplars?query=up&start=5&end=1",
        400,
        r#"~end timestamp must not be before start timestamp"#,
    ),
    get(
        "/api/v1/series?match[]=up&limit=1",
        200,
        r#"{"status":"success","data":[{"__name__":"up","job":"node"}],"warnings":["results truncated due to limit"]}"#,
    ),
    get(
        "/api/v1/series",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"no match[] parameter provided"}"#,
    ),
    get(
        "/api/v1/series?match[]=%7B",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"match[]\": 1:1: parse error: unexpected end of input"}"#,
    ),
    get(
        "/api/v1/labels?match[]=up&start=1&end=2",
        200,
        r#"{"status":"success","data":["__name__","job"]}"#,
    ),
    get("/api/v1/label/U__a_2e_b/values", 200, r#"{"status":"success","data":["value of a.b"]}"#),
    get("/api/v1/label/a%2Fb/values", 200, r#"{"status":"success","data":["value of a/b"]}"#),
    get(
        "/api/v1/metadata?metric=up",
        200,
        r#"{"status":"success","data":{"up":[{"type":"gauge","help":"Up.","unit":""}]}}"#,
    ),
    get("/api/v1/metadata?limit=0", 200, r#"{"status":"success","data":{}}"#),
    get(
        "/api/v1/metadata?limit=x",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"limit must be a number"}"#,
    ),
    get(
        "/api/v1/targets/metadata?match_target=%7Bjob%3D%22node%22%7D",
        200,
        r#"{"status":"success","data":[{"target":{"job":"node"},"metric":"up","type":"gauge","help":"Up.","unit":""}]}"#,
    ),
    get(
        "/api/v1/targets/metadata?metric=up&limit=1",
        200,
        r#"{"status":"success","data":[{"target":{"job":"node"},"type":"gauge","help":"Up.","unit":""}]}"#,
    ),
    get(
        "/api/v1/targets/metadata?limit=x",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"limit must be a number"}"#,
    ),
    get(
        "/api/v1/targets/metadata?match_target=%7B",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"match_target\": 1:1: parse error: unexpected end of input"}"#,
    ),
    get(
        "/api/v1/targets?state=active",
        200,
        r#"~"lastScrape":"2023-11-14T22:13:20.001Z","lastScrapeDuration":0.005,"health":"up","scrapeInterval":"15s","scrapeTimeout":"10s""#,
    ),
    get(
        "/api/v1/targets?state=bogus",
        200,
        r#"{"status":"success","data":{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}}}"#,
    ),
    get(
        "/api/v1/targets/relabel_steps?scrapePool=node&labels=%7B%22job%22%3A%22node%22%7D",
        200,
        r#"{"status":"success","data":{"steps":[{"rule":{"source_labels":["job"],"separator":";","regex":"n.*","replacement":"$1","action":"keep"},"output":{"job":"node"},"keep":true}]}}"#,
    ),
    get(
        "/api/v1/targets/relabel_steps?labels=%7B%7D",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"no scrapePool parameter provided"}"#,
    ),
    get(
        "/api/v1/targets/relabel_steps?scrapePool=node",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"no labels parameter provided"}"#,
    ),
    get(
        "/api/v1/targets/relabel_steps?scrapePool=node&labels=%5B%5D",
        400,
        r#"~"errorType":"bad_data","error":"error parsing labels: "#,
    ),
    get(
        "/api/v1/targets/relabel_steps?scrapePool=x&labels=%7B%7D",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"error retrieving scrape config: scrape pool \"x\" not found"}"#,
    ),
    get("/api/v1/scrape_pools", 200, r#"{"status":"success","data":{"scrapePools":["node"]}}"#),
    get(
        "/api/v1/rules?type=alert&rule_name[]=X",
        200,
        r#"~{"type":"alerting","state":"firing","name":"X","query":"up == 0","duration":60.0,"keepFiringFor":0.0,"#,
    ),
    get(
        "/api/v1/rules?group_next_token=ab",
        400,
        r#"~"errorType":"bad_data","error":"invalid parameter \"group_next_token\": group_limit needs to be present in order to paginate over the groups"}"#,
    ),
    get(
        "/api/v1/rules?group_limit=0",
        400,
        r#"~"error":"invalid parameter \"group_limit\": group_limit needs to be greater than 0"}"#,
    ),
    get(
        "/api/v1/rules?group_limit=x",
        400,
        r#"~"error":"invalid parameter \"group_limit\": group_limit needs to be a valid number: strconv.ParseInt: parsing \"x\": invalid syntax"}"#,
    ),
    get(
        "/api/v1/rules?exclude_alerts=x",
        400,
        r#"~"error":"invalid parameter \"exclude_alerts\": error converting exclude_alerts: strconv.ParseBool: parsing \"x\": invalid syntax"}"#,
    ),
    get(
        "/api/v1/rules?match[]={a%3D%22%22}",
        400,
        r#"~must contain at least one non-empty matcher"#,
    ),
    get(
        "/api/v1/rules?type=bogus",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"type\": not supported value \"bogus\""}"#,
    ),
    get(
        "/api/v1/alerts",
        200,
        r#"{"status":"success","data":{"alerts":[{"labels":{"alertname":"X","sev":"a"},"annotations":{},"state":"firing","activeAt":"2023-11-14T22:13:20.000Z","value":"1e+00"}]}}"#,
    ),
    get(
        "/api/v1/alertmanagers",
        200,
        r#"{"status":"success","data":{"activeAlertmanagers":[],"droppedAlertmanagers":[]}}"#,
    ),
    get("/api/v1/status/config", 200, r#"{"status":"success","data":{"yaml":"global: {}\n"}}"#),
    get(
        "/api/v1/status/flags",
        200,
        r#"{"status":"success","data":{"web.enable-lifecycle":"false"}}"#,
    ),
    get("/api/v1/status/runtimeinfo", 200, r#"~"startTime":"2023-11-14T22:13:20.000Z","CWD":"/""#),
    get(
        "/api/v1/status/buildinfo",
        200,
        r#"{"status":"success","data":{"version":"3.14.0","revision":"r","branch":"b","buildUser":"u","buildDate":"d","goVersion":"rustc","watchbell":"0.1.0"}}"#,
    ),
    get("/api/v1/status/tsdb", 200, r#"~"seriesCountByMetricName":[{"name":"up","value":10}]"#),
    get("/api/v1/status/tsdb?limit=3", 200, r#"~[{"name":"up","value":3}]"#),
    get("/api/v1/status/tsdb?limit=10001", 400, r#"~limit must be a positive number"#),
    get(
        "/api/v1/status/walreplay",
        200,
        r#"{"status":"success","data":{"min":0,"max":3,"current":2}}"#,
    ),
    get("/api/v1/features", 200, r#"~"api":{"#),
    get(
        "/api/v1/watchbell/active_queries",
        200,
        r#"{"status":"success","data":[{"id":"7","query":"sum(up)","client":"127.0.0.1","start":"2023-11-14T22:13:20.000Z","duration_seconds":1.5,"samples":42}]}"#,
    ),
    get(
        "/api/v1/watchbell/top_queries?limit=1",
        200,
        r#"{"status":"success","data":{"by_count":[{"query":"up","count":2,"average_seconds":0.5,"total_seconds":1.0}],"by_average":[],"by_total":[]}}"#,
    ),
    post("/api/v1/watchbell/cancel_query/7", "", 204, ""),
    post("/api/v1/watchbell/cancel_query/8", "", 404, r#"~no query with the id \"8\""#),
    get("/api/v1/features", 200, r#"~"promql_functions":{"abs":true,"info":false}"#),
    get("/api/v1/watchbell/alerts", 200, r#"~"fingerprint":"476f33eddce37ce9""#),
    get("/api/v1/watchbell/status", 200, r#"~"server":"box","version":"0.1.0""#),
    get(
        "/api/v1/watchbell/changes?after=7&timeout=1",
        200,
        r#"{"status":"success","data":{"revision":8}}"#,
    ),
    get(
        "/api/v1/watchbell/matchers?selector=up%7Ba%21~%22b%22%7D",
        200,
        r#"{"status":"success","data":[{"name":"__name__","value":"up","isRegex":false,"isEqual":true},{"name":"a","value":"b","isRegex":true,"isEqual":false}]}"#,
    ),
    get(
        "/api/v1/watchbell/history?filter=a%3D%22b%22&limit=1",
        200,
        r#"{"status":"success","data":{"rows":[{"id":3,"at":"2023-11-14T22:13:20.007Z","kind":"notified","fingerprint":"","labels":{"alertname":"X","sev":"a"},"body":{"status":"ok","firing":["476f33eddce37ce9"]}}],"cursor":"5:3"}}"#,
    ),
    get("/api/v1/watchbell/history?fingerprint=A%27", 400, r#"~16 hex digits are wanted"#),
    get("/api/v1/watchbell/history?filter={a=b}", 400, r#"~bad matcher format: {a=b}"#),
    get("/api/v1/watchbell/history?start=never", 400, r#"~invalid parameter \"start\""#),
    post(
        "/api/v1/watchbell/ack",
        r#"{"fingerprints":["476f33eddce37ce9"],"by":"me"}"#,
        200,
        r#"{"status":"success","data":{"acknowledged":2}}"#,
    ),
    post("/api/v1/watchbell/ack", "{}", 400, "~cannot read the body: missing field `by`"),
    get("/api/v1/watchbell/ack", 405, "Method Not Allowed\n"),
    on("DELETE", "/api/v1/watchbell/ack/476f33eddce37ce9?by=me", "", 204, ""),
    on("DELETE", "/api/v1/watchbell/ack/7", "", 404, "~alert 7 is not acknowledged"),
    post(
        "/api/v1/watchbell/receivers/a%2Fb/test",
        "",
        200,
        r#"{"status":"success","data":[{"integration":"webhook","index":1,"error":null,"code":200,"answer":"ok","took_ms":12}]}"#,
    ),
    post("/api/v1/watchbell/receivers/x/test", "{}", 404, r#"~no receiver has the name \"x\""#),
    post("/api/v1/watchbell/receivers/x/test", "n", 400, "~cannot read the body"),
    post("/api/v1/watchbell/drills", "{}", 200, r#"~"firing":true,"route":{"nodes":[]"#),
    post("/api/v1/watchbell/drills", "n", 400, "~cannot read the body"),
    get("/api/v1/watchbell/drills/7", 404, "~no drill has the fingerprint 7"),
    on("DELETE", "/api/v1/watchbell/drills/7", "", 404, "~no drill has the fingerprint 7"),
    post(
        "/api/v1/watchbell/routes/test",
        r#"{"labels":{"a":"c"}}"#,
        200,
        r#"~"closest_miss":{"matcher":"a=\"b\"","found":"c"}"#,
    ),
    post("/api/v1/watchbell/routes/test", "{}", 400, "~missing field `labels`"),
    post(
        "/api/v1/watchbell/routes/groups",
        r#"{"group_by":["a"]}"#,
        200,
        r#"{"status":"success","data":{"before":[{"labels":{"alertname":"X","sev":"a"},"alerts":["x"]}],"after":[]}}"#,
    ),
    get("/-/healthy", 200, "~Healthy"),
    get("/-/ready", 200, "~Ready"),
    get("/metrics", 200, "# TYPE up gauge\nup 1\n"),
    get("/version", 200, r#"~{"version":"3.14.0""#),
    get("/nosuch", 404, "404 page not found\n"),
    get("/api/v1/nosuch", 404, "404 page not found\n"),
    get("/-/reload", 405, "Method Not Allowed\n"),
    get("/api/v1/write", 405, "Method Not Allowed\n"),
    post("/api/v1/targets", "", 405, "Method Not Allowed\n"),
    post("/api/v1/label/job/values", "", 405, "Method Not Allowed\n"),
    Pair { method: "HEAD", target: "/api/v1/query?query=1", body: "", status: 405, answer: "~" },
    Pair { method: "OPTIONS", target: "/api/v1/query", body: "", status: 204, answer: "" },
    post("/api/v1/write", "x", 204, ""),
    post("/api/v1/write", "", 400, "snappy: corrupt input\n"),
    get("/api/v1/otlp/v1/metrics", 405, "Method Not Allowed\n"),
    post("/api/v1/otlp/v1/metrics", "x", 200, ""),
    post("/api/v1/otlp/v1/metrics", "", 400, "no body\n"),
    post("/api/v1/otlp/v1/metrics", "late", 400, "out of order sample\n"),
    get("/alertmanager/-/healthy", 200, "OK"),
    get("/alertmanager/-/ready", 200, "OK"),
    get("/alertmanager/api/v1/alerts", 410, "~removed"),
    get(
        "/api/v2/status",
        200,
        r#"{"cluster":{"status":"disabled","peers":[]},"versionInfo":{"version":"0.34.0","revision":"r","branch":"b","buildUser":"u","buildDate":"d","goVersion":"rustc"},"config":{"original":"route: {receiver: def}\n"},"uptime":"2023-11-14T22:13:20.000Z"}"#,
    ),
    get("/alertmanager/api/v2/receivers", 200, r#"[{"name":"def"}]"#),
    get(
        "/api/v2/alerts",
        200,
        r#"[{"labels":{"alertname":"X","sev":"a"},"annotations":{"summary":"s <b> é"},"startsAt":"2023-11-14T22:13:20.000Z","endsAt":"2023-11-14T22:14:20.000Z","updatedAt":"2023-11-14T22:13:20.001Z","generatorURL":"/graph?g0.expr=up&g0.tab=1","fingerprint":"476f33eddce37ce9","receivers":[{"name":"def"}],"status":{"state":"suppressed","silencedBy":["a1b2c3d4-0000-4000-8000-0123456789ab"],"inhibitedBy":[]}}]"#,
    ),
    get("/api/v2/alerts?filter=nosense", 400, r#""bad matcher format: nosense""#),
    get("/api/v2/alerts?filter={a=b}", 400, r#""bad matcher format: {a=b}""#),
    get("/api/v2/silences?filter={a=b}", 400, r#""bad matcher format: {a=b}""#),
    get(
        "/api/v2/receivers?receiver_matchers=nosense",
        400,
        r#""failed to parse receiver_matchers param: bad matcher format: nosense""#,
    ),
    get(
        "/api/v2/alerts?receiver=(",
        400,
        r#""failed to parse receiver param: error parsing regexp: missing closing ): `^(?:()$`""#,
    ),
    get(
        "/alertmanager/api/v2/alerts/groups?active=false&filter=a%3D%22b%22",
        200,
        r#"~[{"labels":{"alertname":"X"},"receiver":{"name":"def"},"alerts":[{"#,
    ),
    post(
        "/api/v2/alerts",
        r#"[{"labels":{"alertname":"X"},"startsAt":"2023-11-14T22:13:20Z"}]"#,
        200,
        "",
    ),
    post(
        "/api/v2/alerts",
        r#"[{"labels":{"a":""}}]"#,
        400,
        r#""at least one label pair required""#,
    ),
    post("/api/v2/alerts", "garbage", 400, r#"~{"code":400,"message":"parsing alerts body"#),
    post("/api/v2/alerts", "[{}]", 422, r#"{"code":602,"message":"0.labels in body is required"}"#),
    post(
        "/api/v2/alerts",
        r#"[{"labels":{"a":"b"},"generatorURL":"not a url"}]"#,
        422,
        r#"~"code":601"#,
    ),
    get(
        "/api/v2/silences",
        200,
        r#"[{"id":"a1b2c3d4-0000-4000-8000-0123456789ab","status":{"state":"active"},"updatedAt":"2023-11-14T22:13:20.000Z","matchers":[{"name":"sev","value":"a|b","isRegex":true,"isEqual":true}],"startsAt":"2023-11-14T22:13:20.000Z","endsAt":"2023-11-14T23:13:20.000Z","createdBy":"me","comment":"c"}]"#,
    ),
    get("/api/v2/silences?active=false", 200, "[]"),
    post(
        "/api/v2/silences",
        r#"{"matchers":[{"name":"a","value":"b","isRegex":false}],"startsAt":"2023-11-14T22:13:20Z","endsAt":"2023-11-14T23:13:20Z","createdBy":"me","comment":"c"}"#,
        200,
        r#"{"silenceID":"a1b2c3d4-0000-4000-8000-0123456789ab"}"#,
    ),
    post(
        "/api/v2/silences",
        r#"{"matchers":[],"startsAt":"2023-11-14T22:13:20Z","endsAt":"2023-11-14T23:13:20Z","createdBy":"me","comment":"c"}"#,
        422,
        r#"{"code":612,"message":"matchers in body should have at least 1 items"}"#,
    ),
    post("/api/v2/silences", "{}", 422, r#"{"code":602,"message":"comment in body is required"}"#),
    post(
        "/api/v2/silences",
        r#"{"id":"00000000-0000-0000-0000-000000000000","matchers":[{"name":"a","value":"b","isRegex":false}],"startsAt":"2023-11-14T22:13:20Z","endsAt":"2023-11-14T23:13:20Z","createdBy":"me","comment":"c"}"#,
        404,
        r#""silence 00000000-0000-0000-0000-000000000000 not found""#,
    ),
    get("/api/v2/silence/a1b2c3d4-0000-4000-8000-0123456789ab", 200, r#"~"createdBy":"me""#),
    get("/api/v2/silence/00000000-0000-0000-0000-000000000000", 404, ""),
    get(
        "/api/v2/silence/nope",
        422,
        r#"{"code":601,"message":"silenceID in path must be of type uuid: \"nope\""}"#,
    ),
    Pair {
        method: "DELETE",
        target: "/alertmanager/api/v2/silence/a1b2c3d4-0000-4000-8000-0123456789ab",
        body: "",
        status: 200,
        answer: "",
    },
    Pair {
        method: "DELETE",
        target: "/api/v2/silence/00000000-0000-0000-0000-000000000000",
        body: "",
        status: 500,
        answer: r#""silence 00000000-0000-0000-0000-000000000000 not found""#,
    },
    post("/api/v2/alerts", "null", 200, ""),
    post(
        "/api/v2/silences",
        r#"{"matchers":[{"name":"a","value":"b"}],"startsAt":"2023-11-14T22:13:20Z","endsAt":"2023-11-14T23:13:20Z","createdBy":"me","comment":"c"}"#,
        422,
        r#"{"code":602,"message":"matchers.0.isRegex in body is required"}"#,
    ),
    get("/api/v1/series?match[]=up&start=5&end=1", 200, r#"{"status":"success","data":[]}"#),
    Pair {
        method: "DELETE",
        target: "/api/v1/series?match[]=up",
        body: "",
        status: 500,
        answer: r#"{"status":"error","errorType":"internal","error":"not implemented"}"#,
    },
    get("/api/v2/nosuch", 404, r#"{"code":404,"message":"path /api/v2/nosuch was not found"}"#),
    post(
        "/api/v2/status",
        "{}",
        405,
        r#"{"code":405,"message":"method POST is not allowed, but [GET] are"}"#,
    ),
];
