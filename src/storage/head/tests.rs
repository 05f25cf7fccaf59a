//! The head on a simulated disk: what a kill or a power cut leaves, and full disks.

use super::{Head, HeadDeps};
use crate::model::{Labels, TimeRange, Timestamp};
use crate::storage::append::{AppendError, Commit};
use crate::storage::ballast::Ballast;
use crate::storage::config::{Config, WalSync};
use crate::storage::damage::Damages;
use crate::storage::error::Error;
use crate::storage::source::Columns;
use crate::storage::store::ReplayProgress;
use crate::storage::wal::frame::put_frame;
use crate::storage::wal::record::kind;
use crate::sys::files::Files as _;
use crate::sys::sim::VirtualClock;
use crate::sys::sim_files::{Fault, SimFiles};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const START: i64 = 1_750_000_000_000;
const DIR: &str = "/data";

/// Job, timestamp, bits.
type Samples = BTreeMap<(String, i64), u64>;

fn config() -> Config {
    let mut config = Config::at(DIR);
    config.wal_sync = WalSync::Off;
    config.wal_segment_bytes = 2048;
    config
}

pub(super) fn disk() -> SimFiles {
    let files = SimFiles::new();
    files.create_dir_all(Path::new(DIR)).unwrap();
    files.sync_dir(Path::new("/")).unwrap();
    files
}

/// Opens the head, and answers what was found damaged; samples before `cut_until` are in blocks.
fn try_open(
    files: &SimFiles,
    config: &Config,
    cut_until: Option<i64>,
) -> Result<(Head, Vec<String>), Error> {
    let deps = HeadDeps {
        files: Arc::new(files.clone()),
        clock: Arc::new(VirtualClock::at(Timestamp::from_millis(START + 3_600_000))),
    };
    let dir = Path::new(DIR);
    let mut damages = Damages::new(Arc::clone(&deps.files), dir.join("quarantine"));
    let progress = ReplayProgress::new();
    let head = Head::open(config, dir, &deps, cut_until, &progress, &mut damages)?;
    Ok((head, damages.into_notes()))
}

#[track_caller]
fn open_with(files: &SimFiles, config: &Config) -> (Head, Vec<String>) {
    try_open(files, config, None).unwrap()
}

#[track_caller]
fn open(files: &SimFiles) -> (Head, Vec<String>) {
    open_with(files, &config())
}

/// A head on an empty disk.
pub(super) fn head_on(files: &SimFiles) -> Head {
    open(files).0
}

/// Commit number `at`: two to four series, one timestamp, now and then a new series.
fn commit(at: i64) -> Commit {
    let jobs = 2 + at % 3 + at / 20;
    let one = |job: i64| {
        let labels = Labels::from_pairs([("__name__", "m".to_owned()), ("job", format!("j{job}"))]);
        let ts = Timestamp::from_millis(START + at * 1000);
        (labels, ts, (at * 100 + job) as f64 / 3.0)
    };
    Commit::of((0..jobs).map(one))
}

fn add(to: &mut Samples, commit: &Commit) {
    for (place, sample) in commit.samples.iter().enumerate() {
        let job = commit.labels_at(place).unwrap().value_of("job").to_owned();
        to.insert((job, sample.ts.as_millis()), sample.value.to_bits());
    }
}

#[track_caller]
fn all(head: &Head) -> Samples {
    let mut found = Samples::new();
    for series in head.select(TimeRange::ALL, &[], usize::MAX).unwrap() {
        let mut columns = Columns::default();
        assert_eq!(series.read(i64::MIN, i64::MAX, &mut columns), [""; 0]);
        let job = series.labels.value_of("job");
        for (ts, value) in columns.ts.iter().zip(&columns.values) {
            found.insert((job.to_owned(), *ts), value.to_bits());
        }
    }
    found
}

/// What the first `count` commits hold.
fn prefix(count: i64) -> Samples {
    let mut samples = Samples::new();
    (0..count).for_each(|at| add(&mut samples, &commit(at)));
    samples
}

#[test]
fn a_log_cut_at_any_byte_gives_whole_commits_in_order() {
    let files = disk();
    let mut config = config();
    config.wal_segment_bytes = 1 << 16;
    let (head, _) = open_with(&files, &config);
    (0..12).for_each(|at| drop(head.commit(&commit(at), false).unwrap()));
    drop(head);
    let path = Path::new(DIR).join("wal/0000000001.log");
    let whole = files.read(&path, 1 << 20).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let prefixes: Vec<Samples> = (0..=12).map(prefix).collect();
    let mut reached = 0;
    for cut in 24..=used {
        let files = files.after_kill();
        let mut torn = whole[..cut].to_vec();
        torn.resize(whole.len(), 0);
        files.overwrite(&path, &torn);
        let (head, notes) = open_with(&files, &config);
        let found = all(&head);
        let place = prefixes.iter().position(|prefix| *prefix == found);
        let place = place.unwrap_or_else(|| panic!("no prefix at byte {cut}: {found:?}"));
        assert!(place >= reached, "byte {cut}");
        assert!(notes.len() <= 1, "{notes:?}");
        reached = place;
    }
    assert_eq!(reached, 12);
}

#[test]
fn a_kill_at_any_moment_keeps_every_commit_that_was_answered() {
    let files = disk();
    let (head, _) = open(&files);
    for at in 0..150 {
        head.commit(&commit(at), false).unwrap();
        if at % 40 == 39 {
            head.checkpoint().unwrap();
        }
        if at % 7 == 0 {
            let (again, notes) = open(&files.after_kill());
            assert_eq!((all(&again), notes.len()), (prefix(at + 1), 0), "after commit {at}");
        }
    }
}

#[test]
fn a_power_cut_keeps_what_was_synced_as_whole_commits() {
    let files = disk();
    let (head, _) = open(&files);
    let mut synced = 0;
    for at in 0..150 {
        head.commit(&commit(at), at % 10 == 9).unwrap();
        if at % 10 == 9 {
            synced = at + 1;
        }
        if at % 50 == 24 {
            head.checkpoint().unwrap();
            synced = at + 1;
        }
        let (again, _) = open(&files.after_power_cut());
        let found = all(&again);
        let kept = (synced..=at + 1).any(|count| found == prefix(count));
        assert!(kept, "after commit {at}, {synced} synced: {} samples", found.len());
    }
}

#[test]
fn damage_in_the_middle_is_set_aside_and_the_rest_is_kept() {
    let files = disk();
    let (head, _) = open(&files);
    (0..60).for_each(|at| drop(head.commit(&commit(at), false).unwrap()));
    drop(head);
    let dir = Path::new(DIR).join("wal");
    let segments = files.list(&dir).unwrap();
    assert!(segments.len() > 1, "{segments:?}");
    let whole = prefix(60);
    for segment in &segments[..segments.len() - 1] {
        let path = dir.join(&segment.name);
        let bytes = files.read(&path, 1 << 20).unwrap();
        for at in (24..bytes.len()).step_by(97) {
            let files = files.after_kill();
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            files.overwrite(&path, &damaged);
            let (head, notes) = open(&files);
            let found = all(&head);
            assert!(
                found.iter().all(|(key, bits)| whole.get(key) == Some(bits)),
                "{segment:?} {at}"
            );
            assert!(found.len() < whole.len() && !found.is_empty());
            assert!(!notes.is_empty());
            let kept = files.list(&Path::new(DIR).join("quarantine")).unwrap();
            assert!(!kept.is_empty(), "{segment:?} {at}");
            let last = commit(59).samples[0].ts.as_millis();
            assert!(
                found.contains_key(&("j0".to_owned(), last)) || at < 600,
                "later segments stay"
            );
        }
    }
}

#[test]
fn a_damaged_checkpoint_never_makes_a_wrong_value() {
    let files = disk();
    let (head, _) = open(&files);
    for at in 0..150 {
        head.commit(&commit(at), false).unwrap();
        if at % 30 == 29 {
            head.checkpoint().unwrap();
        }
    }
    drop(head);
    let dir = Path::new(DIR).join("head");
    let name = files.list(&dir).unwrap().into_iter().find(|e| e.name.ends_with(".open")).unwrap();
    let path = dir.join(name.name);
    let bytes = files.read(&path, 1 << 20).unwrap();
    let whole = prefix(150);
    for at in (0..bytes.len()).step_by(31) {
        let files = files.after_kill();
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x11;
        files.overwrite(&path, &damaged);
        let (head, _) = open(&files);
        let found = all(&head);
        assert!(found.iter().all(|(key, bits)| whole.get(key) == Some(bits)), "byte {at}");
    }
}

#[test]
fn a_failing_disk_refuses_commits_and_loses_none_that_was_taken() {
    for fault in [Fault::Full, Fault::ShortWrite, Fault::SyncFailed] {
        for nth in 0..40 {
            let files = disk();
            let (head, _) = open(&files);
            let mut taken = Samples::new();
            files.fail_at(nth, fault);
            for at in 0..40 {
                match head.commit(&commit(at), at % 3 == 0) {
                    Ok(_) => add(&mut taken, &commit(at)),
                    // A failed sync of the log comes after the commit is visible, one of a new
                    // segment before; either way what is visible must last.
                    Err(AppendError::Log(_)) => {
                        let found = all(&head);
                        let mut most = taken.clone();
                        add(&mut most, &commit(at));
                        assert!(found == taken || found == most, "{fault:?} at {nth}");
                        taken = found;
                    }
                    Err(err) => panic!("{err}"),
                }
                if at % 15 == 14 {
                    let _ = head.checkpoint();
                }
            }
            assert_eq!(all(&head), taken, "{fault:?} at {nth}");
            drop(head);
            let (again, _) = open(&files.after_kill());
            assert_eq!(all(&again), taken, "{fault:?} at {nth}, reopened");
        }
    }
}

#[test]
fn a_full_disk_heals_when_there_is_room_again() {
    let files = disk();
    let (head, _) = open(&files);
    head.commit(&commit(0), true).unwrap();
    files.set_capacity(Some(1));
    let mut refused = 0;
    for at in 1..200 {
        refused += i32::from(head.commit(&commit(at), false).is_err());
    }
    assert!(refused > 10, "{refused}");
    files.set_capacity(None);
    head.commit(&commit(200), true).unwrap();
    let before = all(&head);
    drop(head);
    assert_eq!(all(&open(&files.after_power_cut()).0), before);
}

#[test]
fn a_checkpoint_frees_the_log_and_appends_only_what_is_new() {
    let files = disk();
    let (head, _) = open(&files);
    let size = |name: &str, end: &str| -> u64 {
        let entries = files.list(&Path::new(DIR).join(name)).unwrap();
        entries.iter().filter(|e| e.name.ends_with(end)).map(|e| e.byte_len).sum()
    };
    (0..100).for_each(|at| drop(head.commit(&commit(at), false).unwrap()));
    head.checkpoint().unwrap();
    assert_eq!(size("wal", ".log"), 0);
    let whole = size("head", ".open") + size("head", ".chunks");
    head.commit(&commit(100), false).unwrap();
    head.checkpoint().unwrap();
    let more = size("head", ".open") + size("head", ".chunks") - whole;
    assert!(more < whole / 4, "{more} bytes after {whole}");
    (101..400).for_each(|at| drop(head.commit(&commit(at), false).unwrap()));
    head.checkpoint().unwrap();
    assert!(size("head", ".chunks") > 0);
    assert_eq!(all(&open(&files.after_power_cut()).0), prefix(400));
}

#[test]
fn a_chunk_file_of_a_later_version_is_refused() {
    let files = disk();
    let (head, _) = open(&files);
    (0..300).for_each(|at| drop(head.commit(&commit(at), false).unwrap()));
    head.checkpoint().unwrap();
    drop(head);
    let path = Path::new(DIR).join("head/0000000001.chunks");
    let mut bytes = files.read(&path, 1 << 20).unwrap();
    bytes[8] = 3;
    let crc = crc32c::crc32c(&bytes[..20]);
    bytes[20..24].copy_from_slice(&crc.to_le_bytes());
    files.overwrite(&path, &bytes);
    let opened = try_open(&files, &config(), None);
    assert!(matches!(opened, Err(Error::Newer { found: 3, known: 2, .. })), "{opened:?}");
}

#[test]
fn a_damaged_chunk_of_the_head_hides_no_other() {
    let files = disk();
    let (head, _) = open(&files);
    for at in 0..300 {
        head.commit(&commit(at), false).unwrap();
        if at % 25 == 24 {
            head.checkpoint().unwrap();
        }
    }
    let whole = prefix(300);
    assert_eq!(all(&head), whole);
    drop(head);
    let path = Path::new(DIR).join("head/0000000001.chunks");
    let bytes = files.read(&path, 1 << 20).unwrap();
    for at in (24..bytes.len()).step_by(23) {
        let files = files.after_kill();
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x20;
        files.overwrite(&path, &damaged);
        let (head, _) = open(&files);
        let (mut found, mut warnings) = (0, 0);
        for series in head.select(TimeRange::ALL, &[], usize::MAX).unwrap() {
            let mut columns = Columns::default();
            warnings += series.read(i64::MIN, i64::MAX, &mut columns).len();
            let job = series.labels.value_of("job").to_owned();
            for (ts, value) in columns.ts.iter().zip(&columns.values) {
                assert_eq!(whole.get(&(job.clone(), *ts)), Some(&value.to_bits()), "byte {at}");
            }
            found += columns.len();
        }
        assert_eq!(warnings, 1, "byte {at}");
        let lost = whole.len() - found;
        assert!((1..=120).contains(&lost), "byte {at}: {lost} samples lost");
    }
}

#[test]
fn commits_go_on_during_a_checkpoint_and_are_never_there_by_half() {
    let files = disk();
    let (head, _) = open(&files);
    let prefixes: Vec<Samples> = (0..=400).map(prefix).collect();
    std::thread::scope(|scope| {
        let committing = scope.spawn(|| {
            (0..400).for_each(|at| drop(head.commit(&commit(at), false).unwrap()));
        });
        while !committing.is_finished() {
            head.checkpoint().unwrap();
            let found = all(&open(&files.after_power_cut()).0);
            assert!(prefixes.contains(&found), "{} samples", found.len());
        }
    });
    assert_eq!(all(&open(&files.after_kill()).0), prefixes[400]);
}

#[test]
fn a_cut_drops_what_is_older_and_series_that_ended() {
    let files = disk();
    let (head, _) = open(&files);
    for at in 0..200 {
        head.commit(&commit(at), false).unwrap();
        if at % 30 == 29 {
            head.checkpoint().unwrap();
        }
    }
    // Jobs 2 and 3 and so on come and go: those that end here end for good.
    let until = START + 150_000;
    let last =
        |job: &str| prefix(200).into_keys().filter(|(j, _)| j == job).map(|(_, ts)| ts).max();
    assert!(last("j0") >= Some(until));
    head.drop_before(until).unwrap();
    let kept: Samples = prefix(200).into_iter().filter(|((_, ts), _)| *ts >= until).collect();
    assert_eq!(all(&head), kept);
    assert_eq!(head.facts().min_time, Some(until));
    assert_eq!(head.oldest_after(Some(until)), Some(until));
    assert_eq!(head.facts().max_time, Some(START + 199_000));
    // As at start-up, when a block has the rest.
    let (again, damages) = try_open(&files.after_kill(), &config(), Some(until)).unwrap();
    assert_eq!((all(&again), damages), (kept, Vec::new()));
    head.drop_before(START + 200_000).unwrap();
    assert_eq!((all(&head).len(), head.facts().series, head.facts().chunks), (0, 0, 0));
    assert_eq!((head.facts().min_time, head.facts().max_time), (None, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_checkpoint_of_any_records_is_refused_or_read(
        records in proptest::collection::vec(
            (0_u8..24, proptest::collection::vec(any::<u8>(), 0..40)), 0..12),
    ) {
        let files = disk();
        let (head, _) = open(&files);
        (0..60).for_each(|at| drop(head.commit(&commit(at), false).unwrap()));
        head.checkpoint().unwrap();
        drop(head);
        let path = Path::new(DIR).join("head/0000000001.open");
        let mut bytes = files.read(&path, 1 << 20).unwrap();
        for (kind, payload) in &records {
            put_frame(&mut bytes, 60, *kind, |out| out.extend_from_slice(payload));
        }
        put_frame(&mut bytes, 60, kind::END, |out| out.push(0x7f));
        files.overwrite(&path, &bytes);
        let (head, _) = open(&files);
        for series in head.select(TimeRange::ALL, &[], usize::MAX).unwrap() {
            series.read(i64::MIN, i64::MAX, &mut Columns::default());
        }
    }
}

#[test]
fn on_a_nearly_full_disk_the_log_takes_little_of_the_last_room() {
    let files = disk();
    let (head, _) = open(&files);
    let free = || files.space(Path::new(DIR)).unwrap().free;
    files.set_capacity(Some((1 << 40) - free() + 2 * 2048 - 1));
    let before = free();
    head.commit(&commit(0), false).unwrap();
    assert!(before - free() < 2048 / 2, "{before} {}", free());
}

#[test]
fn the_last_record_fits_once_the_ballast_is_given_up() {
    let files = disk();
    let free = || files.space(Path::new(DIR)).unwrap().free;
    let ballast = Ballast::new(Arc::new(files.clone()), Path::new(DIR), 16 << 10);
    let (head, _) = open(&files);
    ballast.keep(free(), 0);
    files.set_capacity(Some((1 << 40) - free()));
    let full = (0..99).find(|at| head.commit(&commit(*at), false).is_err()).unwrap();
    assert!(matches!(head.commit(&commit(full), false), Err(AppendError::Log(_))));
    assert!(ballast.release_if_full(free()));
    head.commit(&commit(full), false).unwrap();
    assert!(free() > 8 << 10, "and there is room for the rest");
}
