//! Targets out of files: read at the start, when the kernel tells of a change, and every now and
//! then. A file that cannot be read keeps its last good targets.
//!
//! Source: prometheus, discovery/file/file.go.

use super::super::config::{FileDiscovery, TargetGroup};
use super::super::limits::{TARGET_FILE_BYTES_MAX, TARGET_FILES_MAX};
use super::{Found, within_bounds};
use crate::sys::clock::SharedClock;
use crate::sys::glob::name_matches;
use crate::sys::tasks::Shutdown;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// The label with the file that a target came from.
const FILE_LABEL: &str = "__meta_filepath";

/// At least so long between two readings: an editor writes a file in several steps, and a
/// generator may write a hundred files.
const DEBOUNCE: Duration = Duration::from_secs(5);

/// From the first word of a change to reading: what is written in one go is read in one go.
const SETTLE: Duration = Duration::from_millis(100);

/// Reads a file's text into groups; the path's end says whether it is JSON or YAML.
pub type ParseGroups = Arc<dyn Fn(&Path, &str) -> Result<Vec<TargetGroup>, String> + Send + Sync>;

/// Files as discovery sees them. Methods block.
pub trait ReadFiles: Send + Sync + fmt::Debug {
    /// The whole text of a file.
    ///
    /// # Errors
    /// It cannot be read, is too long or is no UTF-8.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// What lies in a folder.
    ///
    /// # Errors
    /// It cannot be read.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;

    /// A description of the folders' changes, and of the coming of those that are not there yet;
    /// `None` where changes cannot be told.
    fn watch(&self, folders: &BTreeSet<PathBuf>) -> Option<OwnedFd>;
}

/// The host's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostFiles;

impl ReadFiles for HostFiles {
    fn read(&self, path: &Path) -> io::Result<String> {
        let mut text = String::new();
        let file = std::fs::File::open(path)?;
        file.take(TARGET_FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > TARGET_FILE_BYTES_MAX {
            let text = format!("longer than {TARGET_FILE_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        Ok(text)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let named = |entry: io::Result<std::fs::DirEntry>| Ok(folder.join(entry?.file_name()));
        std::fs::read_dir(or_here(folder))?.map(named).collect()
    }

    fn watch(&self, folders: &BTreeSet<PathBuf>) -> Option<OwnedFd> {
        use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
        let inotify = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
        // One folder may be what another will come to be in.
        let comes =
            WatchFlags::MOVED_TO | WatchFlags::CREATE | WatchFlags::ONLYDIR | WatchFlags::MASK_ADD;
        // Folders, not files: a file that is renamed into place is a new one.
        let changes = comes
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF;
        let watch = |folder, flags| add_watch(&inotify, or_here(folder), flags).is_ok();
        let watched = folders.iter().filter(|folder| {
            watch(folder, changes) || folder.ancestors().skip(1).any(|above| watch(above, comes))
        });
        (watched.count() > 0).then_some(inotify)
    }
}

/// The folder of a name without one is the one that the process runs in.
fn or_here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

/// What a section's files said when they were last read well.
#[derive(Debug, Default)]
struct LastGood {
    files: BTreeMap<PathBuf, Vec<TargetGroup>>,
}

impl LastGood {
    /// Reads all files anew; answers what is wrong with some.
    fn refresh(
        &mut self,
        files: &dyn ReadFiles,
        parse: &ParseGroups,
        patterns: &[PathBuf],
    ) -> Vec<String> {
        let mut problems = Vec::new();
        let mut found = BTreeSet::new();
        for pattern in patterns {
            match matching(files, pattern) {
                Ok(paths) => found.extend(paths),
                Err(err) => problems.push(format!("cannot list {}: {err}", pattern.display())),
            }
        }
        if problems.is_empty() {
            self.files.retain(|path, _| found.contains(path));
        }
        for path in found {
            let read = files.read(&path).map_err(|err| err.to_string());
            let parsed = read.and_then(|text| parse(&path, &text));
            let labelled = parsed.and_then(|groups| {
                within_bounds(groups.into_iter().map(|group| with_file(group, &path)).collect())
            });
            match labelled {
                Ok(groups) => {
                    self.files.insert(path, groups);
                }
                Err(err) => problems.push(format!("cannot read {}: {err}", path.display())),
            }
        }
        problems
    }

    fn groups(&self) -> Vec<TargetGroup> {
        self.files.values().flatten().cloned().collect()
    }
}

fn with_file(group: TargetGroup, path: &Path) -> TargetGroup {
    let mut labels = group.labels.to_builder();
    labels.set(FILE_LABEL, path.to_string_lossy());
    TargetGroup { labels: labels.build(), ..group }
}

/// The files that a pattern names. A file without `*` need not exist.
fn matching(files: &dyn ReadFiles, pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let name = pattern.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let folder = pattern.parent().unwrap_or(Path::new(""));
    let mut listed = match files.list(folder) {
        Ok(listed) => listed,
        // A folder that does not exist yet is an empty one.
        Err(err) if err.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(err) => return Err(err),
    };
    listed.retain(|path| {
        path.file_name().is_some_and(|found| name_matches(&name, &found.to_string_lossy()))
    });
    if listed.len() > TARGET_FILES_MAX {
        return Err(io::Error::other(format!("more than {TARGET_FILES_MAX} files")));
    }
    listed.sort();
    Ok(listed)
}

/// The watch over one section's files.
pub(super) struct Watch {
    pub(super) clock: SharedClock,
    pub(super) files: Arc<dyn ReadFiles>,
    pub(super) parse: ParseGroups,
    pub(super) section: FileDiscovery,
    pub(super) stop: Shutdown,
}

impl Watch {
    /// Reads files and tells `found` all groups and problems each time, until stopped.
    pub(super) async fn run(self, found: impl Fn(Found) + Send) {
        let patterns = self.section.patterns.iter();
        let folders: BTreeSet<PathBuf> =
            patterns.filter_map(|pattern| pattern.parent().map(Path::to_owned)).collect();
        let refresh = self.section.refresh;
        let mut changes = Changes::of(self.files.as_ref(), &folders);
        let mut last_good = LastGood::default();
        loop {
            let Some((kept, problems)) = self.read(last_good).await else { return };
            last_good = kept;
            found(Found { groups: last_good.groups(), problems });
            let earliest = self.clock.elapsed() + DEBOUNCE.min(refresh);
            let latest = self.clock.sleep(refresh);
            tokio::select! {
                biased;
                () = self.stop.wait() => return,
                () = changes.next() => {}
                () = latest => {}
            }
            let settled = self.clock.elapsed() + SETTLE;
            tokio::select! {
                biased;
                () = self.stop.wait() => return,
                () = self.clock.sleep_until(earliest.max(settled)) => {}
            }
            // Before the files are read: what was told is told, what comes later is told anew, and
            // a folder may have come, or come again.
            changes = Changes::of(self.files.as_ref(), &folders);
        }
    }

    async fn read(&self, mut last_good: LastGood) -> Option<(LastGood, Vec<String>)> {
        let (files, parse) = (Arc::clone(&self.files), Arc::clone(&self.parse));
        let patterns = self.section.patterns.clone();
        let work = tokio::task::spawn_blocking(move || {
            let problems = last_good.refresh(files.as_ref(), &parse, &patterns);
            (last_good, problems)
        });
        match work.await {
            Ok(read) => Some(read),
            Err(panic) => {
                tracing::error!(%panic, "reading files of targets panicked");
                None
            }
        }
    }
}

/// Word of changes in folders; never, where the kernel cannot tell.
struct Changes {
    told: Option<AsyncFd<OwnedFd>>,
}

impl Changes {
    #[expect(deprecated, reason = "the new name is unsafe; an OwnedFd owns what it names")]
    fn of(files: &dyn ReadFiles, folders: &BTreeSet<PathBuf>) -> Self {
        Self { told: files.watch(folders).and_then(|told| AsyncFd::new(told).ok()) }
    }

    /// Ends when something has changed, and again at once from then on.
    async fn next(&mut self) {
        let Some(told) = &self.told else { return std::future::pending().await };
        if told.readable().await.is_err() {
            self.told = None;
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::sys::clock::Clock as _;
    use crate::sys::sim::VirtualClock;
    use std::sync::Mutex;
    use tokio::sync::mpsc;

    /// Files in memory.
    #[derive(Clone, Debug, Default)]
    struct Shelf(Arc<Mutex<BTreeMap<PathBuf, String>>>);

    impl Shelf {
        fn put(&self, path: &str, text: &str) {
            self.0.lock().expect("whole").insert(path.into(), text.to_owned());
        }

        fn take(&self, path: &str) {
            self.0.lock().expect("whole").remove(Path::new(path));
        }
    }

    impl ReadFiles for Shelf {
        fn read(&self, path: &Path) -> io::Result<String> {
            let files = self.0.lock().expect("whole");
            files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
        }

        fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
            let files = self.0.lock().expect("whole");
            Ok(files.keys().filter(|path| path.parent() == Some(folder)).cloned().collect())
        }

        fn watch(&self, _: &BTreeSet<PathBuf>) -> Option<OwnedFd> {
            None
        }
    }

    fn parse() -> ParseGroups {
        Arc::new(|_, text| serde_yaml::from_str(text).map_err(|err| err.to_string()))
    }

    fn section(pattern: &str) -> FileDiscovery {
        FileDiscovery { patterns: vec![pattern.into()], refresh: Duration::from_secs(60) }
    }

    fn addresses(last_good: &LastGood) -> Vec<String> {
        last_good.groups().into_iter().flat_map(|group| group.targets).collect()
    }

    #[test]
    fn a_file_that_breaks_keeps_its_targets_and_one_that_goes_loses_them() {
        let shelf = Shelf::default();
        let mut last_good = LastGood::default();
        let files = section("/t/*.json").patterns;
        shelf.put("/t/a.json", r#"[{"targets": ["a:1"]}]"#);
        shelf.put("/t/b.json", r#"[{"targets": ["b:1"]}]"#);
        shelf.put("/t/c.yml", r#"[{"targets": ["c:1"]}]"#);
        assert!(last_good.refresh(&shelf, &parse(), &files).is_empty());
        assert_eq!(addresses(&last_good), ["a:1", "b:1"]);
        assert_eq!(last_good.groups()[0].labels.get(FILE_LABEL), Some("/t/a.json"));
        shelf.put("/t/a.json", "[{");
        let problems = last_good.refresh(&shelf, &parse(), &files);
        assert!(problems[0].starts_with("cannot read /t/a.json: "), "{problems:?}");
        assert_eq!(addresses(&last_good), ["a:1", "b:1"]);
        shelf.put("/t/a.json", r#"[{"target": ["a:1"]}]"#);
        let problems = last_good.refresh(&shelf, &parse(), &files);
        assert!(problems[0].contains("unknown field"), "{problems:?}");
        shelf.take("/t/b.json");
        last_good.refresh(&shelf, &parse(), &files);
        assert_eq!(addresses(&last_good), ["a:1"]);
    }

    #[tokio::test]
    async fn files_are_read_again_when_the_refresh_interval_is_over() {
        let shelf = Shelf::default();
        shelf.put("/t/a.yml", "[{targets: ['a:1']}]");
        let time = VirtualClock::at(Timestamp::EPOCH);
        let stop = Shutdown::new();
        let watch = Watch {
            clock: Arc::new(time.clone()),
            files: Arc::new(shelf.clone()),
            parse: parse(),
            section: section("/t/a.yml"),
            stop: stop.clone(),
        };
        let (sender, mut found) = mpsc::unbounded_channel();
        let task = crate::sys::tasks::spawn(
            "watch",
            watch.run(move |found| {
                let _ = sender.send(found.groups);
            }),
        );
        let first = found.recv().await.expect("the watch lives");
        assert_eq!(first[0].targets, ["a:1"]);
        shelf.put("/t/a.yml", "[{targets: ['b:1']}]");
        // Time passes in small steps until the file is read again: each step wakes who waits.
        let second = loop {
            time.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
            if let Ok(groups) = found.try_recv() {
                break groups;
            }
        };
        assert_eq!(second[0].targets, ["b:1"]);
        assert!(time.elapsed() >= Duration::from_secs(60));
        stop.trigger();
        task.await.expect("ends");
    }

    /// The watch over the files of `patterns` on this host, which the clock does not have read again.
    struct Watched {
        time: VirtualClock,
        stop: Shutdown,
        found: mpsc::UnboundedReceiver<Vec<TargetGroup>>,
        task: tokio::task::JoinHandle<Option<()>>,
    }

    impl Watched {
        fn start(patterns: &[PathBuf]) -> Self {
            let (time, stop) = (VirtualClock::at(Timestamp::EPOCH), Shutdown::new());
            let year = Duration::from_secs(365 * 86_400);
            let watch = Watch {
                clock: Arc::new(time.clone()),
                files: Arc::new(HostFiles),
                parse: parse(),
                section: FileDiscovery { patterns: patterns.to_vec(), refresh: 10 * year },
                stop: stop.clone(),
            };
            let (sender, found) = mpsc::unbounded_channel();
            let told = move |found: Found| drop(sender.send(found.groups));
            let task = crate::sys::tasks::spawn("watch", watch.run(told));
            Self { time, stop, found, task }
        }

        async fn pass_a_second(&self) {
            self.time.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }

        /// The addresses of the next reading.
        async fn next(&mut self) -> Vec<String> {
            let found = async {
                loop {
                    self.pass_a_second().await;
                    if let Ok(groups) = self.found.try_recv() {
                        return groups.into_iter().flat_map(|group| group.targets).collect();
                    }
                }
            };
            tokio::time::timeout(Duration::from_secs(120), found).await.expect("something is read")
        }

        async fn end(self) {
            self.stop.trigger();
            self.task.await.expect("ends");
        }
    }

    #[tokio::test]
    async fn a_change_is_read_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.yml");
        std::fs::write(&file, "[{targets: ['a:1']}]").expect("writes");
        let mut watched = Watched::start(std::slice::from_ref(&file));
        assert_eq!(watched.next().await, ["a:1"]);
        for text in ["b:1", "c:1"] {
            let draft = folder.path().join("draft");
            std::fs::write(&draft, format!("[{{targets: ['{text}']}}]")).expect("writes");
            std::fs::rename(&draft, &file).expect("renames");
            // The draft may be a change of its own, before which the file is what it was.
            while watched.next().await != [text] {}
            for _ in 0..500 {
                watched.pass_a_second().await;
            }
            // Whoever reads without end has read the file many times by now.
            let more = std::iter::from_fn(|| watched.found.try_recv().ok()).count();
            assert!(more <= 1, "{more} readings more");
        }
        watched.end().await;
    }

    #[tokio::test]
    async fn a_folder_that_comes_or_comes_again_is_watched() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| {
            std::fs::create_dir_all(path(name).parent().expect("a folder")).expect("makes");
            std::fs::write(path(name), format!("[{{targets: ['{text}']}}]")).expect("writes");
        };
        write("there/a.yml", "a:1");
        let mut watched = Watched::start(&[path("there/*.yml"), path("not/yet/*.yml")]);
        assert_eq!(watched.next().await, ["a:1"]);
        // A change may be read in two goes.
        write("not/yet/b.yml", "b:1");
        while watched.next().await != ["b:1", "a:1"] {}
        write("not/yet/b.yml", "b:2");
        while watched.next().await != ["b:2", "a:1"] {}
        std::fs::remove_dir_all(path("there")).expect("removes");
        while watched.next().await != ["b:2"] {}
        write("there/a.yml", "a:2");
        while watched.next().await != ["b:2", "a:2"] {}
        std::fs::rename(path("there"), path("gone")).expect("renames");
        while watched.next().await != ["b:2"] {}
        watched.end().await;
    }

    #[test]
    fn a_name_without_a_folder_is_looked_for_where_the_process_runs() {
        // Tests run in the folder of the crate.
        let found = matching(&HostFiles, Path::new("Cargo.tom*")).expect("lists");
        assert_eq!(found, [Path::new("Cargo.toml")]);
        assert!(HostFiles.watch(&BTreeSet::from([PathBuf::new()])).is_some());
    }
}
