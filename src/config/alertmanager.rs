//! `alertmanager.yml`: routes and receivers, with the template files that it names.

use super::alerting::{Own, OwnAlerts};
use super::error::{Error, Located};
use super::file::{Source, Unknown};
use super::load::read;
use crate::alerts::config::{Config as AlertConfig, Options};
use crate::model::Problem;
use crate::notify::config::{self as notify, Checked, EventOutputPlan, File, Receiver};
use crate::sys::glob;
use std::path::{Path, PathBuf};

/// What runs when no file is named: alerts are kept and shown, and nobody is told.
const BUILT_IN: &str = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n";

/// Routes and receivers, checked.
#[derive(Clone, Debug)]
pub struct Alertmanager {
    /// The routing tree and what keeps alerts quiet.
    pub alerts: AlertConfig,
    /// Who is told, and how.
    pub receivers: Vec<Receiver>,
    /// Who is told of events.
    pub events: Vec<EventOutputPlan>,
    /// Template files by base name and text.
    pub templates: Vec<(String, String)>,
    /// The file's folder: relative names of secrets start here.
    pub base: PathBuf,
    /// The file as it is shown: secrets replaced.
    pub shown: String,
    /// What is known and has no effect.
    pub notes: Vec<String>,
}

/// Reads and checks a file.
///
/// # Errors
/// Every fault of the file.
pub fn load_alertmanager(file: &Path, options: &Options) -> Result<Alertmanager, Error> {
    from_text(file, &read(file)?, None, options)
}

/// The same with the receivers of `watchbell.receivers` in it.
pub(super) fn load_with(
    file: &Path,
    own: &Own<'_>,
    options: &Options,
) -> Result<Alertmanager, Error> {
    from_text(file, &read(file)?, Some(own), options)
}

/// What runs without a file.
pub(super) fn built_in(own: &Own<'_>, options: &Options) -> Result<Alertmanager, Error> {
    from_text(Path::new("(built in)"), BUILT_IN, Some(own), options)
}

fn from_text(
    file: &Path,
    text: &str,
    own: Option<&Own<'_>>,
    options: &Options,
) -> Result<Alertmanager, Error> {
    let mut source = Source::parse(file, text)?;
    let (settings, mut faults) = source.draft::<File>(Unknown::Refused)?;
    let base = file.parent().unwrap_or(Path::new(""));
    let place = |problem: &Problem| source.place_one(problem).to_string();
    let composed = composed(&settings, base, own, options, place);
    match composed {
        Ok(mut config) if faults.is_empty() => {
            config.notes.extend(source.unread());
            return Ok(config);
        }
        Ok(_) => {}
        Err(Faults::Settings(problems)) => faults.extend(source.place(problems)),
        Err(Faults::Files(err)) => faults.extend(err.faults),
    }
    Err(Error::of(faults))
}

/// What is wrong with the settings, or with the files that they name.
#[derive(Debug)]
pub(super) enum Faults {
    /// Paths into the settings.
    Settings(Vec<Problem>),
    /// Other files, or other parts of this one.
    Files(Error),
}

/// Checks settings wherever they stand; `place` tells where a note belongs.
pub(super) fn composed(
    settings: &File,
    base: &Path,
    own: Option<&Own<'_>>,
    options: &Options,
    place: impl Fn(&Problem) -> String,
) -> Result<Alertmanager, Faults> {
    let own = match own {
        Some(own) => own.check(settings, options).map_err(Faults::Files)?,
        None => OwnAlerts { options: options.clone(), ..OwnAlerts::default() },
    };
    let Checked { alerts, receivers, events, warnings } =
        settings.check_with(own.receivers, &own.options).map_err(Faults::Settings)?;
    let mut templates = Vec::new();
    let mut files = Vec::new();
    let mut missing = Vec::new();
    for (number, pattern) in settings.templates.iter().enumerate() {
        if !glob::is_pattern(pattern) {
            let problem = Problem::new(format!("templates[{number}]"), "syntax error in pattern");
            return Err(Faults::Settings(vec![problem]));
        }
        for file in glob::expand(&base.join(pattern)) {
            if !file.exists() {
                // As upstream has it: a pattern may match nothing.
                let text = format!("there is no file {}; no template is read", file.display());
                missing.push(place(&Problem::new(format!("templates[{number}]"), text)));
                continue;
            }
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            templates.push((name, read(&file).map_err(Faults::Files)?));
            files.push(file);
        }
    }
    check_templates(&templates, &files).map_err(Faults::Files)?;
    Ok(Alertmanager {
        alerts,
        receivers,
        events,
        templates,
        base: base.to_owned(),
        shown: serde_yaml::to_string(settings).unwrap_or_default(),
        notes: warnings.iter().map(place).chain(missing).chain(own.notes).collect(),
    })
}

/// Refuses files that are no templates; each stands at the place of its text.
fn check_templates(templates: &[(String, String)], files: &[PathBuf]) -> Result<(), Error> {
    let fault = |problem: Problem| {
        let named = templates.iter().position(|(name, _)| *name == problem.at);
        let file = named.and_then(|at| files.get(at)).cloned().unwrap_or_default();
        Located { file, at: None, message: problem.message, line_text: String::new() }
    };
    let faults: Vec<_> = notify::check_templates(templates).into_iter().map(fault).collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::of(faults)) }
}
