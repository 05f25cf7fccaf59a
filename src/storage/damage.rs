//! What was found damaged: told, and its bytes kept in `quarantine/`.

use crate::sys::files::SharedFiles;
use std::io;
use std::path::{Path, PathBuf};

/// Sentences are kept up to this many; then only counted.
pub(super) const NOTES_MAX: usize = 100;

/// Collects damages while the store is opened.
#[derive(Debug)]
pub(super) struct Damages {
    files: SharedFiles,
    /// `quarantine/`, made when it is needed; `None` when nothing is to be kept.
    dir: Option<PathBuf>,
    notes: Vec<String>,
    count: u64,
}

impl Damages {
    pub(super) fn new(files: SharedFiles, dir: PathBuf) -> Self {
        Self { files, dir: Some(dir), notes: Vec::new(), count: 0 }
    }

    /// For one who only looks: nothing is copied.
    pub(super) fn looking(files: SharedFiles) -> Self {
        Self { files, dir: None, notes: Vec::new(), count: 0 }
    }

    /// Tells of a damage.
    pub(super) fn note(&mut self, text: String) {
        tracing::warn!(damage = text, "found damage");
        self.count += 1;
        if self.notes.len() < NOTES_MAX {
            self.notes.push(text);
        }
    }

    /// Tells of damaged bytes of a file and keeps a copy of them. The same place is kept once,
    /// however often the store is opened.
    pub(super) fn quarantine(&mut self, path: &Path, offset: u64, bytes: &[u8]) {
        let mut text = format!(
            "{} bytes at {offset} of {} are damaged and were passed over",
            bytes.len(),
            path.display()
        );
        if let Some(dir) = &self.dir {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let copy = dir.join(format!("{name}-{offset}"));
            if let Err(err) = self.keep(dir, &copy, bytes) {
                text.push_str(&format!("; they could not be copied to {}: {err}", copy.display()));
            }
        }
        self.note(text);
    }

    /// Moves a file that cannot be used out of the way, if it is there. An older one of that name
    /// in quarantine makes room.
    pub(super) fn set_aside(&mut self, path: &Path) {
        let Some(dir) = &self.dir else { return };
        let to = dir.join(path.file_name().unwrap_or_default());
        let moved = self.files.create_dir_all(dir);
        match moved.and_then(|()| self.files.rename(path, &to)) {
            Ok(()) => {}
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            Err(err) => self.note(format!("cannot move {} to quarantine: {err}", path.display())),
        }
    }

    /// How many damages there were.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The sentences.
    pub(super) fn into_notes(self) -> Vec<String> {
        self.notes
    }

    fn keep(&self, dir: &Path, copy: &Path, bytes: &[u8]) -> io::Result<()> {
        self.files.create_dir_all(dir)?;
        let file = match self.files.create(copy) {
            Ok(file) => file,
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            Err(err) => return Err(err),
        };
        file.write_all_at(bytes, 0)?;
        file.sync_data()
    }
}
