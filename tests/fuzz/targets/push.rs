//! Pushes: any path and body become a group or are refused, and a group comes back out of its row.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchbell::ingest::limits::SafetyLimits;
use watchbell::ingest::push::{Body, GroupKey, Groups, Limits, Push, from_row, read, to_row};
use watchbell::model::{NameValidation, Timestamp};

const MEDIA: [&str; 3] = [
    "text/plain",
    "application/openmetrics-text",
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
];

fuzz_target!(|input: (u8, bool, &str, &[u8])| {
    let (choice, replaces, path, bytes) = input;
    let content_type = MEDIA[usize::from(choice) % MEDIA.len()];
    let content_encoding = ["", "gzip", "snappy"][usize::from(choice) / 64 % 3];
    let names = if choice % 2 == 0 { NameValidation::Utf8 } else { NameValidation::Legacy };
    let pushed = read(&Body { content_type, content_encoding, bytes }, names);
    let (Ok(key), Ok(pushed)) = (GroupKey::from_path(path, names), pushed) else { return };
    let mut groups = Groups::new(Limits::within(SafetyLimits::default()));
    let now = Timestamp::from_millis(1_700_000_000_000);
    let Ok(group) = groups.plan(&key, Push { pushed, replaces, ttl: None }, now) else { return };
    let (again, read_back) = from_row(&to_row(&key, &group)).expect("its own row");
    assert_eq!(again, key);
    groups.put(key, group);
    let whole = groups.gather();
    groups.put(again, read_back);
    // NaN is not itself, so what is compared is how much there is.
    let samples = |families: &[watchbell::sys::metrics::Family]| -> usize {
        families.iter().map(|family| family.samples.len()).sum()
    };
    assert_eq!(samples(&groups.gather()), samples(&whole));
    assert_eq!(samples(&whole), groups.sample_count());
});
