//! `watchbell check`: one file at a time, and what it holds in a line or two.

use super::alertmanager::load_alertmanager;
use super::document::Document;
use super::error::{Error, Located};
use super::file::{Source, Unknown};
use super::load::{Config, RuleReading, Sources, checked_rules, load, read};
use crate::alerts::config::Options;
use crate::model::{Problem, duration};
use crate::notify::config::check_clients;
use crate::promql::config::Features;
use crate::rules::config::{RuleFile, RuleLanguage, duplicates, volatile_labels};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// What is looked for that works and is hardly meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lint {
    /// A rule with the name and the labels of one before.
    pub duplicate_rules: bool,
    /// A label of an alert that holds the value.
    pub volatile_labels: bool,
    /// A job whose series are stale before the next scrape: its interval reaches this.
    pub scrape_interval: Option<Duration>,
}

/// How files are checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckOptions {
    /// What of PromQL rules may use.
    pub features: Features,
    /// Whether `event_recorder` is obeyed, as the server's flag has it.
    pub event_recorder: bool,
    /// What becomes of fields of rule files that are not known.
    pub unknown_in_rules: Unknown,
    /// Whether other files that `prometheus.yml` names are left unread.
    pub one_file: bool,
    /// What is looked for beside faults.
    pub lint: Lint,
}

impl CheckOptions {
    fn rules(&self) -> RuleReading {
        let language = RuleLanguage { features: self.features, ..RuleLanguage::default() };
        RuleReading { language, unknown: self.unknown_in_rules }
    }
}

/// What a file holds that can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What it holds, for people.
    pub lines: Vec<String>,
    /// What is hardly meant, by place.
    pub lint: Vec<Located>,
}

/// Checks `prometheus.yml` with everything that it names.
///
/// # Errors
/// Every fault.
pub fn check_config(file: &Path, options: &CheckOptions) -> Result<Report, Error> {
    let sources = Sources {
        config_file: Some(file.to_owned()),
        features: options.features,
        alerts: Options { event_recorder: options.event_recorder, ..Options::default() },
        unknown_in_rules: options.unknown_in_rules,
        one_file: options.one_file,
        missing_refused: true,
        ..Sources::default()
    };
    let config = load(&sources)?;
    let problems = check_clients(&config.alertmanager.receivers, &config.alertmanager.base);
    if !problems.is_empty() && !options.one_file {
        let fault = |problem: Problem| Located {
            file: file.to_owned(),
            at: None,
            message: problem.to_string(),
            line_text: String::new(),
        };
        return Err(Error::of(problems.into_iter().map(fault).collect()));
    }
    let rules: usize = config.groups.iter().map(|one| one.group.rules.len()).sum();
    let (jobs, groups) = (config.jobs.jobs.len(), config.groups.len());
    let mut lines: Vec<_> = config.notes.iter().map(|note| format!("NOTE: {note}")).collect();
    let probes = match config.probing.entries.len() {
        0 => String::new(),
        count => format!("{count} probes, "),
    };
    lines.push(format!("SUCCESS: {jobs} scrape jobs, {probes}{rules} rules in {groups} groups"));
    Ok(Report { lines, lint: lint_config(file, &config, options)? })
}

/// Checks a rule file.
///
/// # Errors
/// Every fault.
pub fn check_rules(file: &Path, options: &CheckOptions) -> Result<Report, Error> {
    check_rules_text(file, &read(file)?, options)
}

/// Checks the text of a rule file; `name` stands in places.
///
/// # Errors
/// Every fault.
pub fn check_rules_text(name: &Path, text: &str, options: &CheckOptions) -> Result<Report, Error> {
    let (source, rules) = checked_rules(name, text, &options.rules())?;
    let count: usize = rules.groups.iter().map(|group| group.rules.len()).sum();
    let lint = lint_rules(&source, &rules, options.lint);
    let notes = source.unread().map(|note| format!("NOTE: {note}"));
    let lines = notes.into_iter().chain([format!("SUCCESS: {count} rules found")]).collect();
    Ok(Report { lines, lint })
}

/// Checks `alertmanager.yml`.
///
/// # Errors
/// Every fault.
pub fn check_alertmanager(file: &Path) -> Result<Report, Error> {
    let config = load_alertmanager(file, &Options::default())?;
    let problems = check_clients(&config.receivers, &config.base);
    if !problems.is_empty() {
        let source = Source::parse(file, &read(file)?)?;
        return Err(Error::of(source.place(problems)));
    }
    let mut lines: Vec<_> = config.notes.iter().map(|note| format!("NOTE: {note}")).collect();
    lines.push(format!(
        "SUCCESS: {} receivers, {} inhibit rules, {} templates",
        config.receivers.len(),
        config.alerts.inhibit_rules.len(),
        config.templates.len()
    ));
    Ok(Report { lines, lint: Vec::new() })
}

fn lint_rules(source: &Source, rules: &RuleFile, lint: Lint) -> Vec<Located> {
    let mut problems = Vec::new();
    if lint.duplicate_rules {
        problems.extend(duplicates(rules));
    }
    if lint.volatile_labels {
        problems.extend(volatile_labels(rules));
    }
    source.place(problems)
}

/// Lints a configuration that is without fault, and the rule files that it names.
fn lint_config(
    file: &Path,
    config: &Config,
    options: &CheckOptions,
) -> Result<Vec<Located>, Error> {
    let mut found = Vec::new();
    if let Some(limit) = options.lint.scrape_interval {
        let source = Source::parse(file, &read(file)?)?;
        let document: Document = source.typed()?;
        for job in config.jobs.jobs.iter().filter(|job| job.interval >= limit) {
            let at = document.scrape_configs.iter().position(|one| one.job_name == job.name);
            let at = match at {
                Some(place) => format!("scrape_configs[{place}].scrape_interval"),
                None => "scrape_config_files".to_owned(),
            };
            let text = format!(
                "too long scrape interval: samples of job {:?} are stale before the next scrape; \
                 {} is not below the lookback of {}",
                job.name,
                duration::format(job.interval),
                duration::format(limit)
            );
            found.push(source.place_one(&Problem::new(at, text)));
        }
    }
    let files: BTreeSet<_> = config.groups.iter().map(|one| one.file.as_str()).collect();
    for file in files.into_iter().map(Path::new).filter(|file| file.exists()) {
        let (source, rules) = checked_rules(file, &read(file)?, &options.rules())?;
        found.extend(lint_rules(&source, &rules, options.lint));
    }
    Ok(found)
}
