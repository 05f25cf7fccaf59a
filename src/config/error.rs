//! What is wrong with a file: place, text and the line itself with a caret.

use super::yaml::Position;
use std::fmt;
use std::path::PathBuf;

/// One fault in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The file, as it was named.
    pub file: PathBuf,
    /// Where; `None` when the file as a whole cannot be read.
    pub at: Option<Position>,
    /// What is wrong, what was found, what is allowed.
    pub message: String,
    /// The line, for people.
    pub line_text: String,
}

impl fmt::Display for Located {
    /// `rules/db.yml:14:9: unknown field "exprr"; did you mean "expr"?` and the place with a caret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(at) = self.at {
            write!(f, ":{}:{}", at.line, at.column)?;
        }
        write!(f, ": {}", self.message)?;
        let Some(at) = self.at.filter(|_| !self.line_text.trim().is_empty()) else {
            return Ok(());
        };
        // A line may be long: the caret must stay visible on a terminal.
        let skip = at.column.saturating_sub(60);
        let shown: String = self.line_text.chars().skip(skip).take(100).collect();
        let shown = crate::model::printable(&shown);
        write!(f, "\n    {shown}\n    {}^", " ".repeat(at.column.saturating_sub(1 + skip)))
    }
}

/// Why a configuration cannot be used: every fault that was found, in order of files and lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The faults; never empty.
    pub faults: Vec<Located>,
}

impl Error {
    /// The error of one fault.
    pub fn one(fault: Located) -> Self {
        Self { faults: vec![fault] }
    }

    /// The error of these faults, which must not be none: by file in the order in which files come
    /// up, then by place; each once.
    pub fn of(faults: Vec<Located>) -> Self {
        let mut files: Vec<PathBuf> = Vec::new();
        for fault in &faults {
            if !files.contains(&fault.file) {
                files.push(fault.file.clone());
            }
        }
        let mut faults = faults;
        // What has no place is about the whole file, or ends its list.
        faults.sort_by_cached_key(|fault| {
            let file = files.iter().position(|file| *file == fault.file);
            (file, fault.at.is_none(), fault.at)
        });
        faults.dedup();
        Self { faults }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, fault) in self.faults.iter().enumerate() {
            if place > 0 {
                writeln!(f)?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
