//! Files of the kernel below a root: the real one, or a fixture of a test.

use super::error::CollectError;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// No file that a collector reads comes near it; a larger one is cut off.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// The directory that stands for `/`.
#[derive(Debug)]
pub(super) struct Root(PathBuf);

impl Root {
    /// The root at `path`.
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where the absolute or relative `path` of the machine lies.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    /// The text of a file; bytes that are no UTF-8 become U+FFFD.
    pub(super) fn read(&self, path: &str) -> Result<String, CollectError> {
        let path = self.path(path);
        read_text(&path).map_err(|source| CollectError::Read { path, source })
    }

    /// The text of a file without the white space around it, `None` when it cannot be read: many
    /// files of /sys exist and refuse to be read in some states.
    pub(super) fn value(&self, path: &str) -> Option<String> {
        self.read(path).ok().map(|text| text.trim().to_owned())
    }

    /// The names in a directory, sorted.
    pub(super) fn names(&self, path: &str) -> Result<Vec<String>, CollectError> {
        let path = self.path(path);
        let entries = fs::read_dir(&path);
        let entries = entries.map_err(|source| CollectError::Read { path, source })?;
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        Ok(names)
    }

    /// The error for a file that has another form than the kernel's documentation gives it.
    pub(super) fn wrong(&self, path: &str, what: impl Into<String>) -> CollectError {
        CollectError::Form { path: self.path(path), what: what.into() }
    }
}

/// A number as the kernel writes it: digits, a sign, a point; or hexadecimal after `0x`.
pub(super) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok().map(|number| number as f64);
    }
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.'));
    if plain { text.parse().ok() } else { None }
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(err) => String::from_utf8_lossy(err.as_bytes()).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_kernel_writes_is_a_number() {
        for (text, expected) in [
            ("12\n", Some(12.0)),
            ("-1", Some(-1.0)),
            ("0.25", Some(0.25)),
            ("0x1003", Some(4099.0)),
            ("", None),
            ("inf", None),
            ("NaN", None),
            ("1e9", None),
            ("12 kB", None),
        ] {
            assert_eq!(number(text), expected, "{text:?}");
        }
    }
}
