//! The whole configuration: `prometheus.yml` with the files that it names, `alertmanager.yml`, and
//! what is built in.
//!
//! Everything is read and checked before anything is used, and every fault is told at once.

use super::alerting::Own;
use super::alertmanager::{self, Alertmanager, Faults};
use super::alertmanagers::Alerting;
use super::document::{AlertmanagerChoice, Document, Pack};
use super::error::{Error, Located};
use super::file::{Source, Unknown};
use super::probing;
use crate::alerts::config::Options as AlertOptions;
use crate::ingest::config::{Checked, HostOptions, OtlpSettings, Probing, check as check_jobs};
use crate::model::{Labels, NameValidation, Problem};
use crate::notify::config::{Heartbeat, check_heartbeats};
use crate::promql::config::Features;
use crate::rules::config::{RuleFile, RuleGroup, RuleLanguage, UnitTestFile, check_with};
use crate::storage::config::StorageSettings;
use crate::sys::glob;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The configuration when no file is named.
const DEFAULT: &str = include_str!("../../assets/default.yml");
/// Prometheus' default between evaluations.
const EVALUATION_INTERVAL: Duration = Duration::from_secs(60);

/// Which files are read, and what flags say about them.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `prometheus.yml`; what is built in when missing.
    pub config_file: Option<PathBuf>,
    /// `alertmanager.yml`.
    pub alertmanager_file: Option<PathBuf>,
    /// What flags say about alerts.
    pub alerts: AlertOptions,
    /// What of PromQL rules may use.
    pub features: Features,
    /// What becomes of fields of rule files that are not known.
    pub unknown_in_rules: Unknown,
    /// Whether other files that `prometheus.yml` names are left unread.
    pub one_file: bool,
    /// Whether a rule file that is named and missing is a fault: `check config` says so, and the
    /// server goes on without it, both as upstream has it.
    pub missing_refused: bool,
}

/// A group of rules and where it comes from.
#[derive(Clone, Debug)]
pub struct LoadedGroup {
    /// The file's name.
    pub file: String,
    /// The group as written and checked.
    pub group: RuleGroup,
}

/// All settings, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// `prometheus.yml` as it is shown: secrets replaced.
    pub shown: String,
    /// Labels of everything that leaves this server.
    pub external_labels: Labels,
    /// Time between evaluations of a group that says nothing else.
    pub evaluation_interval: Duration,
    /// How far back rules look when their group says nothing else.
    pub rule_query_offset: Duration,
    /// Where ended queries are written; relative to the file's folder.
    pub query_log_file: Option<PathBuf>,
    /// Time between scrapes of the built-in collectors.
    pub local_interval: Duration,
    /// Jobs that run, and those that cannot.
    pub jobs: Checked,
    /// How others are probed, and what is probed from here.
    pub probing: Probing,
    /// Groups of rules.
    pub groups: Vec<LoadedGroup>,
    /// `otlp`.
    pub otlp: OtlpSettings,
    /// `storage`.
    pub storage: StorageSettings,
    /// What changes every alert on its way out, and Alertmanagers beside the built-in one.
    pub alerting: Alerting,
    /// Who is told that this server works.
    pub heartbeats: Vec<Heartbeat>,
    /// Relative names of files start here.
    pub base: PathBuf,
    /// Routes and receivers.
    pub alertmanager: Alertmanager,
    /// What of the host is measured; `None` is nothing.
    pub host_metrics: Option<HostOptions>,
    /// Whether this process is measured.
    pub self_metrics: bool,
    /// How long a pushed group lives when its push says nothing else; `None` is until it is deleted.
    pub push_ttl: Option<Duration>,
    /// What is known and has no effect here: named at start and by `check config`.
    pub notes: Vec<String>,
}

impl Config {
    /// The longest time between two samples of a target.
    pub fn longest_scrape_interval(&self) -> Duration {
        let jobs = self.jobs.jobs.iter().map(|job| job.interval);
        jobs.fold(self.local_interval, Duration::max)
    }
}

/// Reads and checks everything.
///
/// # Errors
/// Every fault of every file.
pub fn load(sources: &Sources) -> Result<Config, Error> {
    let (name, text) = match &sources.config_file {
        Some(file) => (file.clone(), read(file)?),
        None => (PathBuf::from("(built in)"), DEFAULT.to_owned()),
    };
    let mut source = Source::parse(&name, &text)?;
    let (mut document, faults) = source.draft::<Document>(Unknown::Refused)?;
    if sources.one_file {
        document.forget_files();
    }
    let base = name.parent().unwrap_or(Path::new("")).to_owned();
    let notes = source.unread().into_iter().collect();
    let mut loader = Loader { sources, source: &source, base, faults, notes };
    let mut taken = BTreeSet::new();
    let jobs = loader.jobs(&document, &mut taken);
    let probing = loader.probing(&document, &taken);
    let groups = loader.groups(&document);
    let otlp = loader.otlp(&document);
    let alerting = loader.alerting(&document);
    let alertmanager = loader.alertmanager(&document);
    let host_metrics = loader.host_metrics(&document);
    let heartbeats = loader.heartbeats(&document);
    for problem in document.storage.without_effect() {
        loader.note(&problem.below("storage"));
    }
    loader.notes.extend(document.not_built());
    let Loader { faults, mut notes, base, .. } = loader;
    let (Some(jobs), Some(probing), Some(otlp), Some(alerting), Some(alertmanager), true) =
        (jobs, probing, otlp, alerting, alertmanager, faults.is_empty())
    else {
        return Err(Error::of(faults));
    };
    notes.extend(alertmanager.notes.iter().cloned());
    let global = &document.global;
    let span = |span: Option<crate::sys::settings::Span>| span.map(|span| span.0);
    Ok(Config {
        shown: serde_yaml::to_string(&document).unwrap_or_default(),
        external_labels: document.external_labels(),
        evaluation_interval: span(global.evaluation_interval).unwrap_or(EVALUATION_INTERVAL),
        rule_query_offset: span(global.rule_query_offset).unwrap_or_default(),
        query_log_file: global.query_log_file.as_ref().map(|file| base.join(file)),
        local_interval: span(global.scrape_interval).unwrap_or(Duration::from_secs(60)),
        jobs,
        probing,
        groups,
        otlp,
        storage: document.storage.clone(),
        alerting,
        heartbeats,
        base,
        alertmanager,
        host_metrics,
        self_metrics: document.watchbell.self_metrics,
        push_ttl: span(document.watchbell.push.ttl),
        notes,
    })
}

/// How rule files are read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RuleReading {
    /// Their language.
    pub language: RuleLanguage,
    /// What becomes of fields that are not known.
    pub unknown: Unknown,
}

/// Reads and checks one rule file.
///
/// # Errors
/// Every fault of the file.
pub(super) fn load_rules(file: &Path, reading: &RuleReading) -> Result<(Source, RuleFile), Error> {
    checked_rules(file, &read(file)?, reading)
}

/// A file of unit tests with the rules that it is about.
#[derive(Clone, Debug)]
pub struct UnitTests {
    /// The file as written.
    pub file: UnitTestFile,
    /// The groups of its rule files, in the order of the files.
    pub groups: Vec<LoadedGroup>,
    /// What is hardly meant.
    pub notes: Vec<String>,
    /// Tells where in the file something stands.
    pub source: Source,
}

/// Reads a file of unit tests and its rule files.
///
/// # Errors
/// Every fault of the files. What is wrong with one test is told when it runs.
pub fn load_unit_tests(
    file: &Path,
    features: &Features,
    unknown: Unknown,
) -> Result<UnitTests, Error> {
    let language = RuleLanguage { features: *features, ..RuleLanguage::default() };
    let reading = RuleReading { language, unknown };
    let mut source = Source::parse(file, &read(file)?)?;
    let (tests, mut faults) = source.draft::<UnitTestFile>(Unknown::Refused)?;
    faults.extend(source.place(tests.check()));
    let (mut groups, mut seen) = (Vec::new(), BTreeSet::new());
    let mut notes: Vec<_> = source.unread().into_iter().collect();
    let base = file.parent().unwrap_or(Path::new(""));
    for (place, pattern) in tests.rule_files.iter().enumerate() {
        let mut files = glob::expand(&glob::joined(base, pattern));
        files.retain(|file| file.exists());
        if files.is_empty() {
            let text = format!("no file matches the pattern {pattern}");
            notes.push(source.note(&Problem::new(format!("rule_files[{place}]"), text)));
        }
        // A file that two patterns find counts once.
        files.retain(|file| seen.insert(glob::clean(file)));
        for file in files {
            match load_rules(&file, &reading) {
                Ok((source, rules)) => {
                    notes.extend(source.unread());
                    add_groups(&mut groups, &file.display().to_string(), rules);
                }
                Err(err) => faults.extend(err.faults),
            }
        }
    }
    match faults.is_empty() {
        true => Ok(UnitTests { file: tests, groups, notes, source }),
        false => Err(Error::of(faults)),
    }
}

/// Checks the text of a rule file.
///
/// # Errors
/// Every fault of the text.
pub(super) fn checked_rules(
    file: &Path,
    text: &str,
    reading: &RuleReading,
) -> Result<(Source, RuleFile), Error> {
    let mut source = Source::parse_rules(file, text)?;
    let (rules, mut faults) = source.draft::<RuleFile>(reading.unknown)?;
    faults.extend(source.place(check_with(&rules, &reading.language)));
    if faults.is_empty() { Ok((source, rules)) } else { Err(Error::of(faults)) }
}

/// Reads and checks the text of a rule file; its groups, in order.
///
/// # Errors
/// Every fault of the text.
pub fn parse_rules(
    file: &Path,
    text: &str,
    features: &Features,
) -> Result<Vec<LoadedGroup>, Error> {
    let language = RuleLanguage { features: *features, ..RuleLanguage::default() };
    let reading = RuleReading { language, ..RuleReading::default() };
    let (_, rules) = checked_rules(file, text, &reading)?;
    let mut groups = Vec::new();
    add_groups(&mut groups, &file.display().to_string(), rules);
    Ok(groups)
}

/// Where a rule file has a rule: its line and its expression as it is written there. `key` is
/// `alert` or `record`, and `ordinal` counts the rules of that name in the group before it. `None`
/// when the file cannot be read or has no such rule.
pub fn rule_line(
    file: &Path,
    group: &str,
    (key, name): (&str, &str),
    ordinal: usize,
) -> Option<(usize, String)> {
    let mut source = Source::parse_rules(file, &read(file).ok()?).ok()?;
    let (rules, _) = source.draft::<RuleFile>(Unknown::PassedOver).ok()?;
    let group_at = rules.groups.iter().position(|one| one.name == group)?;
    let found = rules.groups.get(group_at)?.rules.iter().enumerate().filter(|(_, rule)| {
        let written = if key == "alert" { &rule.alert } else { &rule.record };
        written == name
    });
    let (place, rule) = found.into_iter().nth(ordinal)?;
    let at = format!("groups[{group_at}].rules[{place}].{key}");
    let located = source.place_one(&Problem::new(at, ""));
    Some((located.at?.line, rule.expr.clone()))
}

/// The text of a file.
pub(super) fn read(file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file).map_err(|err| {
        Error::one(Located {
            file: file.to_owned(),
            at: None,
            message: format!("cannot read the file: {err}"),
            line_text: String::new(),
        })
    })
}

/// Gathers faults while the parts are read.
struct Loader<'a> {
    sources: &'a Sources,
    source: &'a Source,
    base: PathBuf,
    faults: Vec<Located>,
    notes: Vec<String>,
}

impl Loader<'_> {
    fn fault(&mut self, problem: Problem) {
        self.faults.extend(self.source.place(vec![problem]));
    }

    /// A place and a sentence, for what is known and has no effect.
    fn note(&mut self, problem: &Problem) {
        self.notes.push(self.source.note(problem));
    }

    fn jobs(&mut self, document: &Document, taken: &mut BTreeSet<String>) -> Option<Checked> {
        let configs = &document.scrape_configs;
        let mut all = match check_jobs(&document.global, configs, &self.base, taken) {
            Ok(checked) => checked,
            Err(problems) => {
                self.faults.extend(self.source.place(problems));
                return None;
            }
        };
        for problem in &all.not_built {
            self.note(problem);
        }
        for (place, pattern) in document.scrape_config_files.iter().enumerate() {
            let (files, missing) = self.found(pattern, format!("scrape_config_files[{place}]"));
            missing.iter().for_each(|problem| self.note(problem));
            for file in files {
                match self.jobs_of(&file, document, taken) {
                    Ok(more) => {
                        all.jobs.extend(more.jobs);
                        all.skipped.extend(more.skipped);
                    }
                    Err(err) => self.faults.extend(err.faults),
                }
            }
        }
        for job in &all.skipped {
            self.notes.push(format!("job {:?} is skipped: {}", job.name, job.reason));
        }
        Some(all)
    }

    fn probing(&mut self, document: &Document, jobs: &BTreeSet<String>) -> Option<Probing> {
        match probing::probing(self.source, document, &self.base, jobs) {
            Ok((probing, notes)) => {
                self.notes.extend(notes);
                Some(probing)
            }
            Err(err) => {
                self.faults.extend(err.faults);
                None
            }
        }
    }

    /// One file of `scrape_config_files`.
    fn jobs_of(
        &mut self,
        file: &Path,
        document: &Document,
        taken: &mut BTreeSet<String>,
    ) -> Result<Checked, Error> {
        let source = Source::parse(file, &read(file)?)?;
        let part: super::document::ScrapeFile = source.typed()?;
        self.notes.extend(source.unread());
        let base = file.parent().unwrap_or(Path::new(""));
        check_jobs(&document.global, &part.scrape_configs, base, taken)
            .map_err(|problems| Error { faults: source.place(problems) })
    }

    /// The files that a pattern at `at` finds; and, when it finds none and has no `*`, which one
    /// is missing.
    fn found(&mut self, pattern: &str, at: String) -> (Vec<PathBuf>, Option<Problem>) {
        if !glob::is_pattern(pattern) {
            self.fault(Problem::new(at, format!("{pattern:?}: syntax error in pattern")));
            return (Vec::new(), None);
        }
        let pattern = glob::joined(&self.base, pattern);
        let mut files = glob::expand(&pattern);
        // One that is there and cannot be read is told by whoever reads it.
        let missing = |err: std::io::Error| {
            use std::io::ErrorKind::{NotADirectory, NotFound};
            matches!(err.kind(), NotFound | NotADirectory)
        };
        files.retain(|file| !file.symlink_metadata().is_err_and(missing));
        let name = pattern.display().to_string();
        let is_missing = files.is_empty() && !name.contains('*');
        let problem = is_missing
            .then(|| Problem::new(at, format!("{name:?} does not point to an existing file")));
        (files, problem)
    }

    fn groups(&mut self, document: &Document) -> Vec<LoadedGroup> {
        let mut found = Vec::new();
        let (features, unknown) = (self.sources.features, self.sources.unknown_in_rules);
        let language =
            RuleLanguage { features, legacy_names: document.names() == NameValidation::Legacy };
        let reading = RuleReading { language, unknown };
        // What is named twice is loaded once: its groups would run twice.
        let mut seen = BTreeSet::new();
        for (place, pattern) in document.rule_files.iter().enumerate() {
            let (mut files, missing) = self.found(pattern, format!("rule_files[{place}]"));
            match (missing, self.sources.missing_refused) {
                (Some(problem), true) => self.fault(problem),
                (Some(problem), false) => self.note(&problem),
                (None, _) => {}
            }
            files.retain(|file| seen.insert(glob::clean(file)));
            for file in files {
                match load_rules(&file, &reading) {
                    Ok((source, rules)) => {
                        self.notes.extend(source.unread());
                        add_groups(&mut found, &file.display().to_string(), rules);
                    }
                    Err(err) => self.faults.extend(err.faults),
                }
            }
        }
        for pack in &document.watchbell.packs {
            let name = format!("(built in) {}", pack.name());
            if !seen.insert(PathBuf::from(&name)) {
                continue;
            }
            match checked_rules(Path::new(&name), pack.text(), &reading) {
                Ok((_, rules)) => add_groups(&mut found, &name, rules),
                Err(err) => self.faults.extend(err.faults),
            }
        }
        found
    }

    fn otlp(&mut self, document: &Document) -> Option<OtlpSettings> {
        let settings = document.otlp.clone().unwrap_or_default();
        if let Some(problem) = settings.without_effect() {
            self.note(&problem.below("otlp"));
        }
        match settings.check(document.names() == NameValidation::Legacy) {
            Ok(settings) => Some(settings),
            Err(problems) => {
                problems.into_iter().for_each(|problem| self.fault(problem.below("otlp")));
                None
            }
        }
    }

    fn host_metrics(&mut self, document: &Document) -> Option<HostOptions> {
        let section = &document.watchbell.host_metrics;
        match section.settings.check(&self.base) {
            Ok(options) => section.on.then_some(options),
            Err(problems) => {
                for problem in problems {
                    self.fault(problem.below("watchbell.host_metrics"));
                }
                None
            }
        }
    }

    fn heartbeats(&mut self, document: &Document) -> Vec<Heartbeat> {
        check_heartbeats(&document.watchbell.heartbeats).unwrap_or_else(|problems| {
            for problem in problems {
                self.fault(problem.below("watchbell.heartbeats"));
            }
            Vec::new()
        })
    }

    fn alerting(&mut self, document: &Document) -> Option<Alerting> {
        match document.alerting.check(&self.base, document.names()) {
            Ok(alerting) => {
                for problem in &alerting.warnings {
                    self.note(&problem.clone().below("alerting"));
                }
                Some(alerting)
            }
            Err(problems) => {
                for problem in problems {
                    self.fault(problem.below("alerting"));
                }
                None
            }
        }
    }

    fn alertmanager(&mut self, document: &Document) -> Option<Alertmanager> {
        let options = &self.sources.alerts;
        let inline = document.watchbell.alertmanager.as_ref();
        let source = self.source;
        let locate = |problem: &Problem| source.place_one(problem);
        let own = Own { section: &document.watchbell, locate: &locate };
        let loaded = match (&self.sources.alertmanager_file, inline) {
            (Some(_), Some(_)) => {
                let text =
                    "--alertmanager.config-file and watchbell.alertmanager are both set; keep one";
                self.fault(Problem::new("watchbell.alertmanager", text));
                return None;
            }
            (Some(file), None) => alertmanager::load_with(file, &own, options),
            (None, Some(AlertmanagerChoice::Path(file))) => {
                alertmanager::load_with(&self.base.join(file), &own, options)
            }
            (None, Some(AlertmanagerChoice::Inline(settings))) => {
                let at = "watchbell.alertmanager";
                let place = |problem: &Problem| {
                    self.source.place_one(&problem.clone().below(at)).to_string()
                };
                let checked =
                    alertmanager::composed(settings, &self.base, Some(&own), options, place);
                checked.map_err(|faults| match faults {
                    Faults::Settings(problems) => {
                        let below = problems.into_iter().map(|problem| problem.below(at));
                        Error { faults: self.source.place(below.collect()) }
                    }
                    Faults::Files(err) => err,
                })
            }
            (None, None) => alertmanager::built_in(&own, options),
        };
        loaded.map_err(|err| self.faults.extend(err.faults)).ok()
    }
}

fn add_groups(found: &mut Vec<LoadedGroup>, file: &str, rules: RuleFile) {
    found
        .extend(rules.groups.into_iter().map(|group| LoadedGroup { file: file.to_owned(), group }));
}

impl Pack {
    fn text(self) -> &'static str {
        match self {
            Self::Host => include_str!("../../assets/rules/host.yml"),
            Self::Watchbell => include_str!("../../assets/rules/watchbell.yml"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{CheckOptions, check_config};
    use super::*;

    const RULES: &str = "groups: [{name: g, rules: [{record: r, expr: up}]}]\n";

    fn write(root: &Path, name: &str, text: &str) -> PathBuf {
        let file = root.join(name);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("makes");
        std::fs::write(&file, text).expect("writes");
        file
    }

    fn sources(file: &Path) -> Sources {
        Sources { config_file: Some(file.to_owned()), ..Sources::default() }
    }

    #[test]
    fn a_rule_file_that_two_patterns_find_is_loaded_once_under_its_shortest_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        write(root, "rules/a.yml", RULES);
        write(root, "rules/b.yml", RULES);
        let text = "rule_files: ['conf/../rules/*.yml', rules/a.yml, ./rules//a.yml]\n\
                    watchbell: {packs: [host, host]}\n";
        let config = load(&sources(&write(root, "p.yml", text))).expect("valid");
        let (packs, files): (Vec<_>, Vec<_>) =
            config.groups.iter().partition(|one| one.file.starts_with('('));
        let files: Vec<_> = files.into_iter().map(|one| one.file.as_str()).collect();
        let named = |name: &str| root.join("rules").join(name).display().to_string();
        assert_eq!(files, [named("a.yml"), named("b.yml")]);
        let names: BTreeSet<_> = packs.iter().map(|one| one.group.name.as_str()).collect();
        assert_eq!((names.len(), names.is_empty()), (packs.len(), false));
    }

    #[test]
    fn a_rule_file_that_is_missing_stops_no_server_and_passes_no_check() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        write(root, "rules.yml", RULES);
        let text = "rule_files: [rules.yml, missing.yml, 'none*.yml']\n\
                    scrape_config_files: [jobs.yml]\n";
        let file = write(root, "p.yml", text);
        let config = load(&sources(&file)).expect("upstream's server starts");
        assert_eq!(config.groups.len(), 1);
        let (at, root) = (file.display(), root.display());
        let told = |place: &str, name: &str| {
            format!("{at}:{place}: \"{root}/{name}\" does not point to an existing file")
        };
        let (jobs, rules) = (told("2:23", "jobs.yml"), told("1:25", "missing.yml"));
        assert_eq!(config.notes, [jobs, rules.clone()]);
        let err = check_config(&file, &CheckOptions::default()).expect_err("as promtool has it");
        assert_eq!(err.faults.len(), 1, "{err}");
        assert!(err.to_string().starts_with(&rules), "{err}");
    }

    #[test]
    fn an_absolute_pattern_is_looked_for_as_it_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        write(root, "there/r.yml", RULES);
        std::fs::create_dir_all(root.join("there/in")).expect("makes");
        std::os::unix::fs::symlink(root.join("there/in"), root.join("link")).expect("links");
        let name = root.join("link/../r.yml").display().to_string();
        let file = write(root, "p.yml", &format!("rule_files: ['{name}', p.yml/none, 'a*b']\n"));
        let config = load(&sources(&file)).expect("valid");
        let files: Vec<_> = config.groups.iter().map(|one| one.file.as_str()).collect();
        assert_eq!(files, [name]);
        assert_eq!(config.notes.len(), 1, "{:?}", config.notes);
        let file = write(root, "q.yml", "rule_files: ['[a*']\nscrape_config_files: ['[a']\n");
        let err = load(&sources(&file)).expect_err("Prometheus refuses it");
        assert_eq!(err.faults.len(), 2, "{err}");
    }

    #[test]
    fn a_rule_file_that_a_unit_test_names_twice_is_read_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        write(root, "r.yml", RULES);
        write(root, "x/other.yml", RULES);
        let text = "rule_files: [r.yml, ./r.yml, x/../r.yml, 'x/../r.*']\n";
        let file = write(root, "t.yml", text);
        let tests = load_unit_tests(&file, &Features::default(), Unknown::Refused);
        let groups = tests.expect("valid").groups;
        let files: Vec<_> = groups.iter().map(|one| one.file.as_str()).collect();
        assert_eq!(files, [root.join("r.yml").display().to_string()]);
    }

    #[test]
    fn limits_are_read_as_promtool_reads_them() {
        let read = |limit: &str| {
            let text = format!("groups:\n- name: g\n  limit: {limit}\n");
            let groups = parse_rules(Path::new("r.yml"), &text, &Features::default());
            groups.map(|groups| groups.iter().map(|one| one.group.limit).sum::<u64>())
        };
        for (limit, expected) in [
            ("", 0),
            ("~", 0),
            ("5.0", 5),
            ("5.5", 5),
            ("-5.5", 0),
            ("1e1", 10),
            ("1e-3", 0),
            ("1_0", 10),
            ("1_0.5", 10),
            ("0b11", 3),
            ("-0o7", 0),
            ("0o7", 7),
            ("010", 8),
            ("08", 8),
            ("0X1F", 31),
        ] {
            assert_eq!(read(limit).ok(), Some(expected), "{limit:?}");
        }
        for limit in ["'5'", "true", "five", "1e30", ".inf", ".nan", "9223372036854775808", "5s"] {
            let told = read(limit).expect_err("promtool refuses it").to_string();
            assert!(told.starts_with("r.yml:3:10: limit: invalid "), "{told}");
        }
    }

    #[test]
    fn values_that_tests_expect_are_read_as_promtool_reads_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let read = |value: &str| {
            let text =
                format!("tests: [{{promql_expr_test: [{{exp_samples: [{{value: {value}}}]}}]}}]\n");
            let file = write(folder.path(), "t.yml", &text);
            let tests = load_unit_tests(&file, &Features::default(), Unknown::Refused).ok()?.file;
            Some(tests.tests.first()?.promql_expr_test.first()?.exp_samples.first()?.value)
        };
        for (value, expected) in [
            ("", 0.0),
            ("010", 8.0),
            ("-010", -8.0),
            ("08", 8.0),
            ("1_000", 1000.0),
            ("0b11", 3.0),
            ("0o7", 7.0),
            ("0XFF", 255.0),
            ("1.5_0", 1.5),
            ("12345678901234567890", 12_345_678_901_234_567_890.0),
            ("+.inf", f64::INFINITY),
        ] {
            assert_eq!(read(value), Some(expected), "{value:?}");
        }
        for value in ["'5'", "1e400", "Inf", "0x1p4", "_1", "0o8"] {
            assert_eq!(read(value), None, "{value:?}");
        }
    }

    #[test]
    fn groups_and_rules_without_a_value_are_passed_over() {
        let text = "groups:\n-\n- name: g\n  rules:\n  -\n  - {record: a, expr: up}\n  - ~\n";
        let parse = |text: &str| parse_rules(Path::new("r.yml"), text, &Features::default());
        let groups = parse(text).expect("promtool takes it");
        let rules: Vec<_> = groups.iter().map(|one| one.group.rules.len()).collect();
        assert_eq!(rules, [1]);
        // What is wrong is still told where it stands.
        let told = parse(&text.replace("expr: up", "expr: 1 +")).expect_err("wrong").to_string();
        assert!(told.starts_with("r.yml:6:26: "), "{told}");
        assert!(parse("groups: [{}]").is_err());
    }

    #[test]
    fn what_stands_behind_the_first_document_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let rules = write(root, "r.yml", &format!("{RULES}---\ngroups: [\n"));
        let file = write(root, "p.yml", "rule_files: [r.yml]\n---\nglobal: [\n");
        let config = load(&sources(&file)).expect("upstream takes it");
        assert_eq!(config.groups.len(), 1);
        let note = |file: &Path| {
            let text = "only the first document is read, and another one begins here";
            format!("{}:2:1: {text}", file.display())
        };
        assert_eq!(config.notes, [note(&file), note(&rules)]);
        let file = write(root, "t.yml", "rule_files: [r.yml]\n---\n");
        let tests = load_unit_tests(&file, &Features::default(), Unknown::Refused);
        assert_eq!(tests.expect("promtool takes it").notes, [note(&file), note(&rules)]);
    }
}
