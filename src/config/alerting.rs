//! What `watchbell` says about alerts beside `alertmanager.yml`.

use super::document::WatchbellSection;
use super::error::{Error, Located};
use crate::model::Problem;
use crate::notify::config::{Allowed, File, OwnReceivers};

/// `watchbell.receivers`, and where it stands.
pub(super) struct Own<'a> {
    /// The section.
    pub(super) section: &'a WatchbellSection,
    /// The place of a problem in the file of the section.
    pub(super) locate: &'a dyn Fn(&Problem) -> Located,
}

impl Own<'_> {
    /// Checks the receivers against `file`, whose global settings they share. Beside them comes
    /// what is to be told about them.
    pub(super) fn check(&self, file: &File) -> Result<(OwnReceivers, Vec<String>), Error> {
        let section = self.section;
        let allowed =
            Allowed { commands: section.exec_allowed.clone(), files: section.file_allowed.clone() };
        let locate = |problem: &Problem| (self.locate)(&problem.clone().below("watchbell"));
        match file.check_own(&section.receivers, &allowed) {
            Ok(own) => {
                let notes = own.warnings.iter().map(|problem| locate(problem).to_string());
                let notes = notes.collect();
                Ok((own, notes))
            }
            Err(problems) => Err(Error { faults: problems.iter().map(locate).collect() }),
        }
    }
}
