//! Claims about the settings of scraping, from Prometheus' manual and its own tests.

use super::*;
use crate::model::NameValidation;
use crate::sys::dns::RecordKind;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn global(yaml: &str) -> Global {
    serde_yaml::from_str(yaml).expect("reads")
}

fn configs(yaml: &str) -> Vec<ScrapeConfig> {
    serde_yaml::from_str(yaml).expect("reads")
}

fn checked(global_yaml: &str, yaml: &str) -> Result<Checked, Vec<String>> {
    let taken = &mut BTreeSet::new();
    check(&global(global_yaml), &configs(yaml), Path::new("/etc/p"), taken)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn job(yaml: &str) -> ScrapeJob {
    checked("{}", &format!("[{yaml}]")).expect("valid").jobs.remove(0)
}

#[test]
fn a_switch_without_a_value_is_off() {
    // promtool takes both.
    let job = job("{job_name: j, honor_labels: , track_timestamps_staleness: ~}");
    assert!(!job.honor_labels && !job.track_timestamps_staleness);
}

#[test]
fn a_job_has_prometheus_defaults() {
    let job = job("{job_name: j}");
    assert_eq!((job.interval, job.timeout), (Duration::from_secs(60), Duration::from_secs(10)));
    assert_eq!((job.metrics_path.as_str(), job.scheme.as_str()), ("/metrics", "http"));
    assert!(job.honor_timestamps && job.compression);
    assert!(!job.honor_labels && !job.track_timestamps_staleness && !job.extra_scrape_metrics);
    let protocols: Vec<_> = job.protocols.iter().map(|protocol| protocol.as_str()).collect();
    let expected = [
        "OpenMetricsText1.0.0",
        "OpenMetricsText0.0.1",
        "PrometheusText1.0.0",
        "PrometheusText0.0.4",
    ];
    assert_eq!(protocols, expected);
    assert_eq!((job.validation, job.escaping), (NameValidation::Utf8, Escaping::AllowUtf8));
    assert_eq!(job.limits, JobLimits::default());
}

#[test]
fn a_job_falls_back_to_global_and_a_default_timeout_is_lowered_to_the_interval() {
    let found = checked(
        "{scrape_interval: 30s, sample_limit: 7, extra_scrape_metrics: true}",
        "[{job_name: a}, {job_name: b, scrape_interval: 5s, sample_limit: 9}]",
    )
    .expect("valid");
    let [a, b] = &found.jobs[..] else { panic!("two jobs") };
    assert_eq!((a.interval, a.timeout), (Duration::from_secs(30), Duration::from_secs(10)));
    assert_eq!((b.interval, b.timeout), (Duration::from_secs(5), Duration::from_secs(5)));
    assert_eq!((a.limits.samples, b.limits.samples), (7, 9));
    assert!(a.extra_scrape_metrics);
}

#[test]
fn what_prometheus_refuses_is_refused_with_its_path() {
    for (global, yaml, expected) in [
        (
            "{scrape_interval: 5s, scrape_timeout: 6s}",
            "[]",
            "global.scrape_timeout: global scrape timeout greater than scrape interval",
        ),
        (
            "{}",
            "[{job_name: a}, {job_name: b, scrape_timeout: 2m}]",
            "scrape_configs[1].scrape_timeout: scrape timeout greater than scrape interval for \
             scrape config with job name \"b\"",
        ),
        ("{}", "[{}]", "scrape_configs[0].job_name: job_name is empty"),
        (
            "{}",
            "[{job_name: a}, {job_name: a}]",
            "scrape_configs[1].job_name: found multiple scrape configs with job name \"a\"",
        ),
        (
            "{}",
            "[{job_name: a, scrape_protocols: [PrometheusText0.0.4, OpenMetricText1.0.0]}]",
            "scrape_configs[0].scrape_protocols[1]: unknown scrape protocol OpenMetricText1.0.0, \
             supported: PrometheusProto, PrometheusText0.0.4, PrometheusText1.0.0, \
             OpenMetricsText0.0.1, OpenMetricsText1.0.0; did you mean \"OpenMetricsText1.0.0\"?",
        ),
        (
            "{}",
            "[{job_name: a, scrape_protocols: []}]",
            "scrape_configs[0].scrape_protocols: scrape_protocols cannot be empty",
        ),
        (
            "{}",
            "[{job_name: a, static_configs: [{targets: ['http://a']}]}]",
            "scrape_configs[0].static_configs[0].targets[0]: \"http://a\" is not a valid hostname",
        ),
        (
            "{}",
            "[{job_name: a, file_sd_configs: [{files: ['x/*/a.yml']}]}]",
            "scrape_configs[0].file_sd_configs[0].files[0]: path name \"x/*/a.yml\" is not valid \
             for file discovery",
        ),
        (
            "{}",
            "[{job_name: a, relabel_configs: [{action: hashmod, target_label: x}]}]",
            "scrape_configs[0].relabel_configs[0]: relabel configuration for hashmod requires \
             non-zero modulus",
        ),
        (
            "{}",
            "[{job_name: a, basic_auth: {username: u}, authorization: {credentials: c}}]",
            "scrape_configs[0]: at most one of basic_auth, oauth2, bearer_token & authorization \
             must be configured",
        ),
        (
            "{}",
            "[{job_name: a, metric_name_validation_scheme: legacy, \
             metric_name_escaping_scheme: allow-utf-8}]",
            "scrape_configs[0].metric_name_escaping_scheme: utf8 metric names requested but \
             validation scheme is not set to UTF8",
        ),
    ] {
        assert_eq!(checked(global, yaml).expect_err(yaml), [expected]);
    }
}

#[test]
fn an_exporter_that_asks_others_has_urls_as_its_targets() {
    let job = job("{job_name: b, metrics_path: /probe, \
                   static_configs: [{targets: ['http://a/x']}], \
                   relabel_configs: [{source_labels: [__address__], \
                   target_label: __param_target}, \
                   {target_label: __address__, replacement: 'localhost:9115'}]}");
    assert_eq!(job.groups[0].targets, ["http://a/x"]);
}

#[test]
fn unknown_keys_are_errors() {
    for yaml in ["[{job_name: a, scrape_intervall: 5s}]", "[{job_name: a, new_sd_configs: []}]"] {
        assert!(serde_yaml::from_str::<Vec<ScrapeConfig>>(yaml).is_err(), "{yaml} was taken");
    }
    assert!(serde_yaml::from_str::<Global>("{scrape_interva: 5s}").is_err());
}

#[test]
fn a_job_with_discovery_that_is_not_built_is_skipped_and_the_rest_runs() {
    let yaml =
        "[{job_name: k, kubernetes_sd_configs: [{role: pod, api_server: x}]}, {job_name: a}]";
    let found = checked("{}", yaml).expect("valid");
    assert_eq!(found.jobs.len(), 1);
    assert_eq!(found.skipped[0].name, "k");
    assert!(found.skipped[0].reason.contains("kubernetes_sd_configs"));
    assert_eq!(found.not_built[0].at, "scrape_configs[0].kubernetes_sd_configs");
}

#[test]
fn keys_without_effect_are_named() {
    let yaml = "[{job_name: a, scrape_native_histograms: true, native_histogram_bucket_limit: 5, \
        scrape_failure_log_file: x, \
        scrape_protocols: [PrometheusProto, PrometheusText0.0.4]}]";
    let found = checked("{scrape_native_histograms: true}", yaml).expect("valid");
    let named: BTreeSet<_> = found.not_built.iter().map(|problem| problem.at.as_str()).collect();
    let expected = BTreeSet::from([
        "scrape_configs[0].scrape_native_histograms",
        "scrape_configs[0].native_histogram_bucket_limit",
        "scrape_configs[0].scrape_failure_log_file",
        "global.scrape_native_histograms",
    ]);
    assert_eq!(named, expected);
    assert_eq!(found.jobs.len(), 1);
}

#[test]
fn protobuf_goes_first_where_native_histograms_are_asked_for() {
    use ScrapeProtocol::{OpenMetricsText1, PrometheusProto, PrometheusText0};
    for (global, own, first, count) in [
        ("{}", "", OpenMetricsText1, 4),
        ("{scrape_native_histograms: true}", "", PrometheusProto, 5),
        (
            "{scrape_native_histograms: true}",
            ", scrape_native_histograms: false",
            OpenMetricsText1,
            4,
        ),
        ("{}", ", scrape_native_histograms: true", PrometheusProto, 5),
        (
            "{scrape_protocols: [PrometheusText0.0.4]}",
            ", scrape_native_histograms: true",
            PrometheusText0,
            1,
        ),
        ("{}", ", scrape_protocols: [PrometheusProto]", PrometheusProto, 1),
        ("{}", ", fallback_scrape_protocol: PrometheusProto", OpenMetricsText1, 4),
    ] {
        let found = checked(global, &format!("[{{job_name: a{own}}}]")).expect("valid");
        let protocols = &found.jobs[0].protocols;
        assert_eq!((protocols[0], protocols.len()), (first, count), "{global} {own}");
    }
}

#[test]
fn the_way_to_escape_names_follows_the_jobs_own_word_on_which_are_valid() {
    for (global, own, expected) in [
        ("{}", "", Escaping::AllowUtf8),
        ("{metric_name_validation_scheme: legacy}", "", Escaping::Underscores),
        ("{metric_name_escaping_scheme: dots}", "", Escaping::Dots),
        (
            "{metric_name_escaping_scheme: allow-utf-8}",
            ", metric_name_validation_scheme: legacy",
            Escaping::Underscores,
        ),
        (
            "{metric_name_escaping_scheme: values}",
            ", metric_name_validation_scheme: utf8",
            Escaping::AllowUtf8,
        ),
        ("{}", ", metric_name_escaping_scheme: values", Escaping::Values),
    ] {
        let found = checked(global, &format!("[{{job_name: a{own}}}]")).expect("valid");
        assert_eq!(found.jobs[0].escaping, expected, "{global} {own}");
    }
}

#[test]
fn relabel_rules_may_name_what_the_job_takes_for_a_name() {
    // prometheus, config/config.go: a job's rules are held to its own scheme, else the global one.
    let legacy = "{metric_name_validation_scheme: legacy}";
    let rules = "relabel_configs: [{target_label: a.b}]";
    let own = "metric_name_validation_scheme: utf8";
    for (global, job, valid) in [
        ("{}", format!("[{{job_name: a, {rules}}}]"), true),
        (legacy, format!("[{{job_name: a, {rules}}}]"), false),
        (legacy, format!("[{{job_name: a, {own}, {rules}}}]"), true),
        (legacy, format!("[{{job_name: a, metric_{rules}}}]"), false),
    ] {
        let found = checked(global, &job);
        assert_eq!(found.is_ok(), valid, "{global} {job}: {found:?}");
    }
}

#[test]
fn files_are_looked_up_beside_the_file_that_names_them() {
    let job = job("{job_name: a, file_sd_configs: [{files: ['t/*.json', '/abs/x.yml']}]}");
    let expected = [PathBuf::from("/etc/p/t/*.json"), PathBuf::from("/abs/x.yml")];
    let [Discovery::Files(files)] = &job.discovery[..] else { panic!("one section") };
    assert_eq!(files.patterns, expected);
    assert_eq!(files.refresh, Duration::from_secs(300));
}

#[test]
fn what_is_shown_again_holds_no_secret() {
    let yaml = "[{job_name: a, basic_auth: {username: u, password: canary}, \
        oauth2: {client_id: i, client_secret: canary, token_url: t}, \
        consul_sd_configs: [{server: s, token: canary}]}]";
    let shown = serde_yaml::to_string(&configs(yaml)).expect("writes");
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("client_id: i") && shown.contains("server: s"), "{shown}");
}

#[test]
fn sections_that_name_targets_elsewhere_have_prometheus_defaults() {
    let job = job("{job_name: a, http_sd_configs: [{url: 'https://u:p@h:1/x?y'}], \
        dns_sd_configs: [{names: [_x._tcp.a]}, {names: [a], type: aaaa, port: 1, \
        refresh_interval: 10ms}], docker_sd_configs: [{host: 'unix:///var/run/docker.sock'}, \
        {host: 'tcp://h:2375/', port: 0, basic_auth: {username: u}}]}");
    let [http, dns, aaaa, docker, remote] = &job.discovery[..] else { panic!("five sections") };
    let Discovery::Http(http) = http else { panic!("{http:?}") };
    assert_eq!((http.url.as_str(), http.refresh), ("https://u:p@h:1/x?y", Duration::from_mins(1)));
    let Discovery::Dns(dns) = dns else { panic!("{dns:?}") };
    assert_eq!((dns.kind, dns.refresh), (RecordKind::Service, Duration::from_secs(30)));
    let Discovery::Dns(aaaa) = aaaa else { panic!("{aaaa:?}") };
    assert_eq!((aaaa.kind, aaaa.refresh), (RecordKind::V6, Duration::from_secs(1)));
    let Discovery::Docker(docker) = docker else { panic!("{docker:?}") };
    assert_eq!(docker.host, DockerHost::Unix("/var/run/docker.sock".into()));
    assert_eq!((docker.port, docker.host_networking_host.as_str()), (80, "localhost"));
    assert!(docker.first_network_only && docker.filters.is_empty());
    assert_eq!(docker.refresh, Duration::from_mins(1));
    let Discovery::Docker(remote) = remote else { panic!("{remote:?}") };
    assert_eq!(remote.host, DockerHost::Url("http://h:2375".to_owned()));
    assert!(remote.client.basic_auth.is_some() && remote.port == 0);
}

#[test]
fn sections_that_prometheus_refuses_are_refused_with_their_path() {
    for (section, expected) in [
        ("http_sd_configs: [{}]", "http_sd_configs[0].url: URL is missing"),
        (
            "http_sd_configs: [{url: 'ftp://a'}]",
            "http_sd_configs[0].url: URL scheme must be 'http' or 'https'",
        ),
        ("http_sd_configs: [{url: 'http:///x'}]", "http_sd_configs[0].url: host is missing in URL"),
        (
            "http_sd_configs: [{url: 'http://a'}, {url: 'http://a', bearer_token: x, \
             basic_auth: {username: u}}]",
            "http_sd_configs[1]: at most one of basic_auth, oauth2, bearer_token & authorization \
             must be configured",
        ),
        (
            "dns_sd_configs: [{}]",
            "dns_sd_configs[0].names: DNS-SD config must contain at least one SRV record name",
        ),
        (
            "dns_sd_configs: [{names: [a], type: A}]",
            "dns_sd_configs[0].port: a port is required in DNS-SD configs for all record types \
             except SRV",
        ),
        (
            "dns_sd_configs: [{names: [a], type: AAA, port: 1}]",
            "dns_sd_configs[0].type: invalid DNS-SD records type AAA; did you mean \"AAAA\"?",
        ),
        ("docker_sd_configs: [{port: 1}]", "docker_sd_configs[0].host: host missing"),
        (
            "docker_sd_configs: [{host: '/var/run/docker.sock'}]",
            "docker_sd_configs[0].host: unable to parse docker host; write \
             unix:///var/run/docker.sock, tcp://HOST:PORT, http://HOST:PORT or https://HOST:PORT",
        ),
    ] {
        let yaml = format!("[{{job_name: a, {section}}}]");
        let found = checked("{}", &yaml).expect_err(&yaml);
        assert_eq!(found, [format!("scrape_configs[0].{expected}")]);
    }
    for section in ["http_sd_configs: [{uri: x}]", "docker_sd_configs: [{host: a, ports: [1]}]"] {
        let yaml = format!("[{{job_name: a, {section}}}]");
        assert!(serde_yaml::from_str::<Vec<ScrapeConfig>>(&yaml).is_err(), "{yaml} was taken");
    }
}

#[test]
fn tokens_and_headers_for_proxies_reach_the_clients_of_jobs_and_sections() {
    let keys = "oauth2: {client_id: i, client_secret: canary, token_url: 'http://u:canary@t'}, \
        proxy_url: 'http://p', proxy_connect_header: {a: [canary]}";
    let yaml = format!(
        "[{{job_name: a, {keys}, http_sd_configs: [{{url: 'http://u:canary@a', {keys}}}], \
         docker_sd_configs: [{{host: 'tcp://h:1', {keys}}}]}}]"
    );
    let job = job(yaml.trim_start_matches('[').trim_end_matches(']'));
    let [Discovery::Http(http), Discovery::Docker(docker)] = &job.discovery[..] else {
        panic!("two sections")
    };
    for client in [&job.client, &http.client, &docker.client] {
        assert_eq!(client.oauth2.as_ref().map(|one| one.client_id.as_str()), Some("i"));
        assert_eq!(client.proxy_connect_header.len(), 1);
    }
    let shown = serde_yaml::to_string(&configs(&yaml)).expect("writes");
    assert!(!shown.contains("canary") && shown.contains("u:xxxxx@t"), "{shown}");
    let yaml = "[{job_name: a, http_sd_configs: [{url: 'http://a', oauth2: {client_id: i}}]}]";
    let at = "scrape_configs[0].http_sd_configs[0]: oauth2 token_url must be configured";
    assert_eq!(checked("{}", yaml).expect_err(yaml), [at]);
}
