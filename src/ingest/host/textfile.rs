//! Files of metrics that scripts leave in a directory: `*.prom`, in the text format.
//!
//! A file counts whole or not at all. Files larger than 8 MiB, further ones when 32 MiB are read,
//! and more than 1,000 are refused; so is what is no regular file, which could be waited for.

use super::collector::Host;
use super::error::CollectError;
use super::families::Families;
use crate::exposition::{Entry, Format, Parser};
use crate::model::{Labels, METRIC_NAME, MetricType};
use crate::sys::glob;
use rustix::fs::OFlags;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Bytes of one file.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// Bytes of all files.
const ALL_BYTES_MAX: u64 = 32 << 20;
/// Files of all directories.
const FILES_MAX: usize = 1_000;

/// A sample as a file has it.
#[derive(Clone, Debug, PartialEq)]
struct Sample {
    family: String,
    suffix: &'static str,
    labels: Labels,
    value: f64,
}

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq)]
struct Content {
    kinds: BTreeMap<String, MetricType>,
    helps: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

/// Adds what the files say, `node_textfile_mtime_seconds` for each and
/// `node_textfile_scrape_error`.
pub(super) fn collect(host: &Host, out: &mut Families) -> Result<(), CollectError> {
    let (files, mut failed) = files(host);
    let mut left = ALL_BYTES_MAX;
    let mut helps: BTreeMap<String, String> = BTreeMap::new();
    for (place, path) in files.iter().enumerate() {
        let read = if place < FILES_MAX {
            read(path, &mut left)
        } else {
            Err(format!("there are more than {FILES_MAX} files"))
        };
        let shown = path.display().to_string();
        match read {
            Ok((content, mtime)) => {
                failed |= !add(content, &shown, &mut helps, out);
                let help = "When the file was last written (Unix time).";
                out.gauge("node_textfile_mtime_seconds", help, &[("file", &shown)], mtime);
            }
            Err(why) => {
                tracing::debug!(file = shown, why, "a file of metrics is left out");
                failed = true;
            }
        }
    }
    let help = "1 if a file or a directory could not be read whole.";
    out.gauge("node_textfile_scrape_error", help, &[], if failed { 1.0 } else { 0.0 });
    Ok(())
}

/// The files in all directories, and whether one that was named could not be read.
fn files(host: &Host) -> (Vec<PathBuf>, bool) {
    let mut found = Vec::new();
    let mut failed = false;
    for pattern in &host.options.textfile {
        // A relative one starts where this process was started, as the configuration file does.
        let pattern = if pattern.is_absolute() {
            host.root.path(&pattern.to_string_lossy())
        } else {
            pattern.clone()
        };
        for directory in glob::expand(&pattern) {
            let Ok(entries) = directory.read_dir() else {
                failed |= host.options.textfile_is_named;
                continue;
            };
            let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
            let mut files: Vec<PathBuf> =
                files.filter(|file| file.extension().is_some_and(|end| end == "prom")).collect();
            files.sort();
            found.extend(files);
        }
    }
    (found, failed)
}

/// A file's content and when it was written, in whole seconds; or why not.
fn read(path: &Path, left: &mut u64) -> Result<(Content, f64), String> {
    let said = |err: io::Error| err.to_string();
    // A pipe would be waited for.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(said)?;
    if !file.metadata().map_err(said)?.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let body = bytes(&file, FILE_BYTES_MAX.min(*left)).map_err(said)?;
    *left -= u64::try_from(body.len()).unwrap_or_default();
    let content = parse(&body)?;
    // Only now, so that a file that fails does not look fresh.
    let written = file.metadata().and_then(|meta| meta.modified()).map_err(said)?;
    let since = written.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((content, since.as_secs() as f64))
}

fn bytes(file: &File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let count = file.take(bytes_max + 1).read_to_end(&mut body)?;
    if u64::try_from(count).is_ok_and(|count| count > bytes_max) {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "there is too much of it"));
    }
    Ok(body)
}

/// Reads the text format; times of samples are refused, since they would soon be in the past.
fn parse(body: &[u8]) -> Result<Content, String> {
    let mut content = Content::default();
    let mut pairs = Vec::new();
    for entry in Parser::new(body, Format::Text).with_loose_comments() {
        match entry.map_err(|err| err.to_string())? {
            Entry::Sample(line) => {
                if line.ts.is_some() {
                    return Err("a sample has a time of its own".to_owned());
                }
                line.series.read(&mut pairs).map_err(|err| err.to_string())?;
                let name = pairs.iter().find(|(label, _)| label == METRIC_NAME);
                let name = name.map(|(_, name)| name.to_string()).unwrap_or_default();
                let (family, suffix) = content.family(&name);
                let labels = pairs.iter().filter(|(label, _)| label != METRIC_NAME);
                let labels = labels.map(|(label, value)| (label.to_string(), value.to_string()));
                let labels = Labels::from_pairs(labels);
                content.samples.push(Sample { family, suffix, labels, value: line.value });
            }
            Entry::Type { name, kind } => {
                content.kinds.insert(name.into_owned(), kind);
            }
            Entry::Help { name, text } => {
                content.helps.insert(name.into_owned(), text.into_owned());
            }
            Entry::Unit { .. } => {}
        }
    }
    Ok(content)
}

impl Content {
    /// The family that a sample of this name belongs to, and what follows the family's name.
    fn family(&self, name: &str) -> (String, &'static str) {
        for suffix in ["_bucket", "_count", "_sum"] {
            let Some(family) = name.strip_suffix(suffix) else { continue };
            let fits = match self.kinds.get(family) {
                Some(MetricType::Histogram) => true,
                Some(MetricType::Summary) => suffix != "_bucket",
                Some(_) | None => false,
            };
            if fits {
                return (family.to_owned(), suffix);
            }
        }
        (name.to_owned(), "")
    }
}

/// Adds a file's samples; `false` when one of its metrics is explained otherwise by an earlier
/// file, and so left out.
fn add(
    content: Content,
    file: &str,
    helps: &mut BTreeMap<String, String>,
    out: &mut Families,
) -> bool {
    let Content { kinds, helps: own, samples } = content;
    let mut agrees = true;
    let mut refused = Vec::new();
    for (name, help) in own {
        match helps.get(&name) {
            Some(earlier) if *earlier != help => {
                agrees = false;
                refused.push(name);
            }
            Some(_) => {}
            None => {
                helps.insert(name, help);
            }
        }
    }
    for Sample { family, suffix, labels, value } in samples {
        if refused.contains(&family) {
            continue;
        }
        let kind = kinds.get(&family).copied().unwrap_or(MetricType::Unknown);
        let help = || match helps.get(&family) {
            Some(help) => help.clone(),
            None => format!("Metric read from {file}"),
        };
        out.add_read(&family, help, kind, suffix, labels, value);
    }
    agrees
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::config::{COLLECTORS, HostSettings};
    use crate::ingest::host::HostCollector;
    use crate::model::Timestamp;
    use crate::sys::metrics::Family;
    use crate::sys::sim::VirtualClock;
    use proptest::prelude::*;
    use std::sync::Arc;

    /// What is told of the files `name: text`, from a directory with these.
    fn gathered(files: &[(&str, &str)]) -> Vec<String> {
        let root = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            std::fs::write(root.path().join(name), text).expect("written");
        }
        let clock = VirtualClock::at(Timestamp::from_millis(0));
        let mut settings = HostSettings::default();
        let others = COLLECTORS.iter().filter(|name| **name != "textfile");
        settings.collectors = others.map(|name| ((*name).to_owned(), false)).collect();
        settings.textfile.directories = Some(vec![root.path().display().to_string()]);
        let options = settings.check(Path::new("/")).expect("valid");
        let collector = HostCollector::new(PathBuf::from("/"), Arc::new(clock), options);
        let shown = |family: &Family| {
            let line = |one: &crate::sys::metrics::FamilySample| {
                let value = if family.name.contains("mtime") { 1.0 } else { one.value };
                format!("{}{}{} {value}", family.name, one.suffix, one.labels)
            };
            family.samples.iter().map(line).collect::<Vec<_>>()
        };
        let families = collector.gather();
        let told = families.iter().filter(|family| !family.name.starts_with("node_scrape_"));
        let path = format!("{}/", root.path().display());
        told.flat_map(shown).map(|line| line.replace(&path, "")).collect()
    }

    #[test]
    fn files_count_whole_or_not_at_all() {
        let found = gathered(&[
            ("a.prom", "# HELP x A.\n# TYPE x counter\nx{b=\"1\"} 2\ny 3\n"),
            ("bad.prom", "z 1\nz{ 2\n"),
            ("times.prom", "t 1 1700000000000\n"),
            ("other.txt", "o 1\n"),
        ]);
        let expected = [
            "node_textfile_mtime_seconds{file=\"a.prom\"} 1",
            "node_textfile_scrape_error{} 1",
            "x{b=\"1\"} 2",
            "y{} 3",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn files_that_agree_are_told_together() {
        let found = gathered(&[
            ("a.prom", "# HELP x A.\nx{f=\"a\"} 1\n"),
            ("b.prom", "# HELP x A.\nx{f=\"b\"} 2\n"),
            ("c.prom", "# HELP x C.\nx{f=\"c\"} 3\nw 4\n"),
            (
                "h.prom",
                "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\n\
                 h_count 2\n",
            ),
        ]);
        let expected = [
            "h_bucket{le=\"+Inf\"} 2",
            "h_bucket{le=\"1.0\"} 1",
            "h_count{} 2",
            "h_sum{} 3",
            "node_textfile_scrape_error{} 1",
            "w{} 4",
            "x{f=\"a\"} 1",
            "x{f=\"b\"} 2",
        ];
        let mut found: Vec<_> = found.into_iter().filter(|line| !line.contains("mtime")).collect();
        found.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_pipe_is_not_waited_for_and_a_large_file_is_refused() {
        let root = tempfile::tempdir().expect("a directory");
        let pipe = root.path().join("p.prom");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0)
            .expect("made");
        assert!(read(&pipe, &mut ALL_BYTES_MAX.clone()).is_err_and(|why| why.contains("regular")));
        let large = root.path().join("l.prom");
        std::fs::write(&large, "x 1\n").expect("written");
        assert!(read(&large, &mut 3).is_err());
        assert!(read(&large, &mut 4).is_ok());
    }

    proptest! {
        #[test]
        fn no_file_is_a_panic(body: Vec<u8>, text in "(# TYPE a histogram\n|a_bucket|a_sum|\\{le=\"1\"\\}| 1|\n){0,20}") {
            let _ = parse(&body);
            let _ = parse(text.as_bytes());
        }
    }
}
