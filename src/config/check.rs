//! `watchbell check`: one file at a time, and what it holds in a line or two.

use super::alertmanager::load_alertmanager;
use super::error::Error;
use super::load::{Sources, load, load_rules};
use crate::alerts::config::Options;
use crate::promql::config::Features;
use std::path::Path;

/// Checks `prometheus.yml` with everything that it names.
///
/// # Errors
/// Every fault.
pub fn check_config(file: &Path) -> Result<Vec<String>, Error> {
    let sources = Sources { config_file: Some(file.to_owned()), ..Sources::default() };
    let config = load(&sources)?;
    let rules: usize = config.groups.iter().map(|one| one.group.rules.len()).sum();
    let (jobs, groups) = (config.jobs.jobs.len(), config.groups.len());
    let mut lines: Vec<_> = config.notes.iter().map(|note| format!("NOTE: {note}")).collect();
    let probes = match config.probing.entries.len() {
        0 => String::new(),
        count => format!("{count} probes, "),
    };
    lines.push(format!("SUCCESS: {jobs} scrape jobs, {probes}{rules} rules in {groups} groups"));
    Ok(lines)
}

/// Checks a rule file.
///
/// # Errors
/// Every fault.
pub fn check_rules(file: &Path) -> Result<Vec<String>, Error> {
    let rules = load_rules(file, &Features::default())?;
    let count: usize = rules.groups.iter().map(|group| group.rules.len()).sum();
    Ok(vec![format!("SUCCESS: {count} rules found")])
}

/// Checks `alertmanager.yml`.
///
/// # Errors
/// Every fault.
pub fn check_alertmanager(file: &Path) -> Result<Vec<String>, Error> {
    let config = load_alertmanager(file, &Options::default())?;
    let mut lines: Vec<_> = config.notes.iter().map(|note| format!("NOTE: {note}")).collect();
    lines.push(format!(
        "SUCCESS: {} receivers, {} inhibit rules, {} templates",
        config.receivers.len(),
        config.alerts.inhibit_rules.len(),
        config.templates.len()
    ));
    Ok(lines)
}
