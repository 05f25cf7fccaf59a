//! The log: any bytes in a segment are replayed, cut off or set aside; the store opens.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::fs;
use std::sync::Arc;
use watchbell::storage::config::Config;
use watchbell::storage::{Deps, ReplayProgress, Storage};
use watchbell::sys::clock::SystemClock;
use watchbell::sys::entropy::SystemEntropy;
use watchbell::sys::files::SystemFiles;
use watchbell::sys::metrics::Registry;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("wal")).expect("a log folder");
    fs::write(folder.path().join("wal/0000000001.log"), bytes).expect("a segment");
    let deps = Deps {
        files: Arc::new(SystemFiles),
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SystemEntropy),
        registry: Registry::new(),
    };
    let _ = Storage::open(Config::at(folder.path()), &deps, &ReplayProgress::new());
});
