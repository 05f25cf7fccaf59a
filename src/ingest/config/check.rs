//! From settings as written to jobs as they run: defaults and checks, as in Prometheus.
//!
//! Source: prometheus, config/config.go (UnmarshalYAML and Validate of the scrape sections).

use super::discovery::{Discovery, Sections, check_addresses};
use super::job::{Escaping, JobLimits, ScrapeJob, ScrapeProtocol};
use super::settings::{Global, ScrapeConfig, TargetGroup};
use crate::model::{NameValidation, Problem};
use crate::sys::settings::{Span, relabel_rules};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_mins(1);
const TIMEOUT: Duration = Duration::from_secs(10);

/// The formats that are asked for; the first only where native histograms are.
const PROTOCOLS: [ScrapeProtocol; 5] = [
    ScrapeProtocol::PrometheusProto,
    ScrapeProtocol::OpenMetricsText1,
    ScrapeProtocol::OpenMetricsText0,
    ScrapeProtocol::PrometheusText1,
    ScrapeProtocol::PrometheusText0,
];

/// What came of a file's jobs.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Jobs that run.
    pub jobs: Vec<ScrapeJob>,
    /// Jobs that cannot run here.
    pub skipped: Vec<SkippedJob>,
    /// Keys that are known and have no effect yet: named at start.
    pub not_built: Vec<Problem>,
}

/// A job that is left out, loudly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedJob {
    /// Its name.
    pub name: String,
    /// Why, and what to do instead.
    pub reason: String,
}

/// Checks `global` and the jobs of one file, whose folder is `base`. Names in `taken` belong to
/// jobs of other files; those of this file are added.
///
/// # Errors
/// Everything that Prometheus would refuse.
pub fn check(
    global: &Global,
    configs: &[ScrapeConfig],
    base: &Path,
    taken: &mut BTreeSet<String>,
) -> Result<Checked, Vec<Problem>> {
    let mut problems = Vec::new();
    let fallback = Defaults::of(global, &mut problems);
    let mut checked = Checked::default();
    for (place, config) in configs.iter().enumerate() {
        let at = format!("scrape_configs[{place}]");
        let mut one = Job { config, global, fallback: &fallback, base, problems: Vec::new() };
        let job = one.check();
        if config.job_name.is_empty() {
            one.problems.push(Problem::new("job_name", "job_name is empty"));
        } else if !taken.insert(config.job_name.clone()) {
            let name = &config.job_name;
            let text = format!("found multiple scrape configs with job name {name:?}");
            one.problems.push(Problem::new("job_name", text));
        }
        problems.extend(one.problems.into_iter().map(|problem| problem.below(&at)));
        let unbuilt = unusable(config);
        checked.not_built.extend(not_built(config).into_iter().map(|problem| problem.below(&at)));
        if unbuilt.is_empty() {
            checked.jobs.extend(job);
        } else {
            let keys = unbuilt.join(", ");
            let reason = format!(
                "{keys} cannot be used here; write the targets to a file of file_sd_configs, or \
                 serve them to http_sd_configs"
            );
            checked.skipped.push(SkippedJob { name: config.job_name.clone(), reason });
        }
    }
    checked.not_built.extend(global_not_built(global));
    if problems.is_empty() { Ok(checked) } else { Err(problems) }
}

/// What jobs fall back to.
struct Defaults {
    interval: Duration,
    timeout: Duration,
    protocols: Option<Vec<ScrapeProtocol>>,
    validation: NameValidation,
    escaping: Option<Escaping>,
}

impl Defaults {
    fn of(global: &Global, problems: &mut Vec<Problem>) -> Self {
        let mut take = |result: Result<(), Problem>| {
            problems.extend(result.err().map(|problem| problem.below("global")));
        };
        let interval = span_or(global.scrape_interval, INTERVAL);
        let timeout = span_or(global.scrape_timeout, TIMEOUT.min(interval));
        if timeout > interval {
            let text = "global scrape timeout greater than scrape interval";
            take(Err(Problem::new("scrape_timeout", text)));
        }
        let mut found = Self {
            interval,
            timeout,
            protocols: None,
            validation: NameValidation::Utf8,
            escaping: None,
        };
        if let Some(names) = &global.scrape_protocols {
            take(protocols(names).map(|list| found.protocols = Some(list)));
        }
        if let Some(name) = &global.metric_name_validation_scheme {
            take(validation(name).map(|scheme| found.validation = scheme));
        }
        if let Some(name) = &global.metric_name_escaping_scheme {
            take(escaping(name).map(|scheme| found.escaping = Some(scheme)));
        }
        found
    }
}

/// The check of one job.
struct Job<'a> {
    config: &'a ScrapeConfig,
    global: &'a Global,
    fallback: &'a Defaults,
    base: &'a Path,
    problems: Vec<Problem>,
}

impl Job<'_> {
    fn check(&mut self) -> Option<ScrapeJob> {
        let config = self.config;
        let interval = span_or(config.scrape_interval, self.fallback.interval);
        let timeout = span_or(config.scrape_timeout, self.fallback.timeout.min(interval));
        if timeout > interval {
            let name = &config.job_name;
            let text = format!(
                "scrape timeout greater than scrape interval for scrape config \
                 with job name {name:?}"
            );
            self.problems.push(Problem::new("scrape_timeout", text));
        }
        let (validation, escaping) = self.names();
        let native_histograms = config
            .scrape_native_histograms
            .or(self.global.scrape_native_histograms)
            .unwrap_or(false);
        let job = ScrapeJob {
            name: config.job_name.clone(),
            interval,
            timeout,
            protocols: self.protocols(native_histograms),
            fallback: self.fallback_protocol(),
            escaping,
            validation,
            metrics_path: config.metrics_path.clone().unwrap_or_else(|| "/metrics".to_owned()),
            scheme: self.scheme(),
            params: self.params(),
            honor_labels: config.honor_labels,
            honor_timestamps: config.honor_timestamps.unwrap_or(true),
            track_timestamps_staleness: config.track_timestamps_staleness,
            compression: config.enable_compression.unwrap_or(true),
            extra_scrape_metrics: config
                .extra_scrape_metrics
                .or(self.global.extra_scrape_metrics)
                .unwrap_or(false),
            native_histograms,
            limits: self.limits(),
            relabel: self.rules("relabel_configs", validation),
            metric_relabel: self.rules("metric_relabel_configs", validation),
            client: config.client(),
            base: self.base.to_owned(),
            groups: self.groups(),
            discovery: self.discovery(),
        };
        self.problems.extend(job.client.check("").err());
        self.problems.is_empty().then_some(job)
    }

    fn protocols(&mut self, native_histograms: bool) -> Vec<ScrapeProtocol> {
        let Some(names) = &self.config.scrape_protocols else {
            let text = PROTOCOLS.into_iter();
            let usual = text.skip(usize::from(!native_histograms));
            return self.fallback.protocols.clone().unwrap_or_else(|| usual.collect());
        };
        protocols(names).unwrap_or_else(|problem| {
            self.problems.push(problem);
            Vec::new()
        })
    }

    fn fallback_protocol(&mut self) -> Option<ScrapeProtocol> {
        let name =
            self.config.fallback_scrape_protocol.as_deref().filter(|name| !name.is_empty())?;
        match name.parse::<ScrapeProtocol>() {
            Ok(found) => Some(found),
            Err(text) => {
                self.problems.push(Problem::new("fallback_scrape_protocol", text));
                None
            }
        }
    }

    fn names(&mut self) -> (NameValidation, Escaping) {
        let mut scheme = self.fallback.validation;
        if let Some(name) = self.config.metric_name_validation_scheme.as_deref()
            && !name.is_empty()
        {
            match validation(name) {
                Ok(found) => scheme = found,
                Err(problem) => self.problems.push(problem),
            }
        }
        // A job that says which names are valid does not take the global way of escaping them.
        let says_valid =
            self.config.metric_name_validation_scheme.as_ref().is_some_and(|name| !name.is_empty());
        let mut chosen = self.fallback.escaping.filter(|_| !says_valid);
        if let Some(name) = self.config.metric_name_escaping_scheme.as_deref()
            && !name.is_empty()
        {
            match escaping(name) {
                Ok(found) => chosen = Some(found),
                Err(problem) => self.problems.push(problem),
            }
        }
        let chosen = chosen.unwrap_or(match scheme {
            NameValidation::Utf8 => Escaping::AllowUtf8,
            NameValidation::Legacy => Escaping::Underscores,
        });
        if scheme == NameValidation::Legacy && chosen == Escaping::AllowUtf8 {
            let text = "utf8 metric names requested but validation scheme is not set to UTF8";
            self.problems.push(Problem::new("metric_name_escaping_scheme", text));
        }
        (scheme, chosen)
    }

    fn scheme(&mut self) -> String {
        let scheme = self.config.scheme.clone().unwrap_or_else(|| "http".to_owned());
        if !matches!(scheme.as_str(), "http" | "https") {
            let text = format!("unknown scheme {scheme:?}; http or https is wanted");
            self.problems.push(Problem::new("scheme", text));
        }
        scheme
    }

    fn params(&self) -> std::collections::BTreeMap<String, Vec<String>> {
        let texts = |values: &Vec<_>| {
            values.iter().map(|value: &crate::sys::settings::Scalar| value.0.clone()).collect()
        };
        self.config.params.iter().map(|(name, values)| (name.clone(), texts(values))).collect()
    }

    /// A job's limit of 0 or none is the global one.
    fn limits(&self) -> JobLimits {
        let (own, global) = (self.config, self.global);
        let pick = |own: Option<u64>, global: Option<u64>| {
            own.filter(|limit| *limit > 0).or(global).unwrap_or(0)
        };
        JobLimits {
            body_bytes: pick(
                own.body_size_limit.map(|size| size.0),
                global.body_size_limit.map(|size| size.0),
            ),
            samples: pick(own.sample_limit, global.sample_limit),
            targets: pick(own.target_limit, global.target_limit),
            labels: pick(own.label_limit, global.label_limit),
            label_name_bytes: pick(own.label_name_length_limit, global.label_name_length_limit),
            label_value_bytes: pick(own.label_value_length_limit, global.label_value_length_limit),
            keep_dropped_targets: pick(own.keep_dropped_targets, global.keep_dropped_targets),
        }
    }

    fn rules(&mut self, key: &str, names: NameValidation) -> Vec<crate::model::relabel::Rule> {
        let list = match key {
            "relabel_configs" => &self.config.relabel_configs,
            _ => &self.config.metric_relabel_configs,
        };
        relabel_rules(key, list, names).unwrap_or_else(|problems| {
            self.problems.extend(problems);
            Vec::new()
        })
    }

    /// The groups of `static_configs`. A rule may make a parameter of a URL, as for an exporter
    /// that asks others.
    fn groups(&mut self) -> Vec<TargetGroup> {
        if self.config.relabel_configs.is_empty() {
            self.problems.extend(check_addresses(&self.config.static_configs));
        }
        self.config.static_configs.clone()
    }

    fn discovery(&mut self) -> Vec<Discovery> {
        let config = self.config;
        let sections = Sections {
            files: &config.file_sd_configs,
            http: &config.http_sd_configs,
            dns: &config.dns_sd_configs,
            docker: &config.docker_sd_configs,
        };
        let (found, problems) = sections.check(self.base);
        self.problems.extend(problems);
        found
    }
}

fn span_or(span: Option<Span>, otherwise: Duration) -> Duration {
    span.map(|span| span.0).filter(|span| !span.is_zero()).unwrap_or(otherwise)
}

fn protocols(names: &[String]) -> Result<Vec<ScrapeProtocol>, Problem> {
    let at = "scrape_protocols";
    if names.is_empty() {
        return Err(Problem::new(at, "scrape_protocols cannot be empty"));
    }
    let mut list = Vec::new();
    for (place, name) in names.iter().enumerate() {
        let found: ScrapeProtocol =
            name.parse().map_err(|text: String| Problem::new(format!("{at}[{place}]"), text))?;
        if list.contains(&found) {
            let text = format!("duplicated protocol in scrape_protocols, got {name:?} twice");
            return Err(Problem::new(format!("{at}[{place}]"), text));
        }
        list.push(found);
    }
    Ok(list)
}

fn validation(name: &str) -> Result<NameValidation, Problem> {
    match name {
        "utf8" => Ok(NameValidation::Utf8),
        "legacy" => Ok(NameValidation::Legacy),
        _ => {
            let text = format!(
                "unknown name validation method specified, must be either 'legacy' or 'utf8', \
                 got {name}"
            );
            Err(Problem::new("metric_name_validation_scheme", text))
        }
    }
}

fn escaping(name: &str) -> Result<Escaping, Problem> {
    Escaping::ALL.into_iter().find(|known| known.as_str() == name).ok_or_else(|| {
        let names = Escaping::ALL.map(Escaping::as_str).join("', '");
        let text = format!(
            "unknown name escaping method specified, must be one of '{names}', got {name:?}"
        );
        Problem::new("metric_name_escaping_scheme", text)
    })
}

/// Keys of a job without which it would not do what is meant: it is skipped.
fn unusable(config: &ScrapeConfig) -> Vec<&'static str> {
    config.unbuilt_discovery()
}

/// Keys of a job that are set and have no effect.
fn not_built(config: &ScrapeConfig) -> Vec<Problem> {
    let mut found: Vec<Problem> = unusable(config).into_iter().map(unbuilt).collect();
    let mut keys = Vec::new();
    let mut when = |set: bool, key: &'static str| keys.extend(set.then_some(key));
    when(
        config.native_histogram_bucket_limit.is_some_and(|n| n > 0),
        "native_histogram_bucket_limit",
    );
    when(
        config.native_histogram_min_bucket_factor.is_some_and(|n| n > 0.0),
        "native_histogram_min_bucket_factor",
    );
    when(config.scrape_native_histograms == Some(true), "scrape_native_histograms");
    when(
        config.convert_classic_histograms_to_nhcb == Some(true),
        "convert_classic_histograms_to_nhcb",
    );
    when(config.scrape_failure_log_file.is_some(), "scrape_failure_log_file");
    found.extend(keys.into_iter().map(unbuilt));
    found
}

fn global_not_built(global: &Global) -> Vec<Problem> {
    let set = [
        (global.scrape_native_histograms == Some(true), "scrape_native_histograms"),
        (
            global.convert_classic_histograms_to_nhcb == Some(true),
            "convert_classic_histograms_to_nhcb",
        ),
        (global.scrape_failure_log_file.is_some(), "scrape_failure_log_file"),
    ];
    set.into_iter().filter(|(set, _)| *set).map(|(_, key)| unbuilt(key).below("global")).collect()
}

fn unbuilt(key: &str) -> Problem {
    let text = match key {
        // Classic buckets are always kept, so that always_scrape_classic_histograms needs no word.
        "scrape_native_histograms" => "native histograms are counted and not kept; their sum, \
             count and classic buckets are"
            .to_owned(),
        _ => {
            let name = key.rsplit_once('.').map_or(key, |(_, name)| name);
            format!("{name} is not built and has no effect")
        }
    };
    Problem::new(key, text)
}
