//! OTLP: any body in either encoding is read within its limits, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use watchbell::ingest::config::OtlpSettings;
use watchbell::ingest::limits::SafetyLimits;
use watchbell::ingest::otlp::decode;

fuzz_target!(|body: &[u8]| {
    let (limits, lookback) = (SafetyLimits::default(), Duration::from_mins(5));
    let settings = OtlpSettings {
        promote_all_resource_attributes: true,
        promote_scope_metadata: true,
        ..OtlpSettings::default()
    };
    for (media, encoding) in [
        ("application/x-protobuf", ""),
        ("application/json", ""),
        ("application/x-protobuf", "gzip"),
    ] {
        let _ = decode(media, encoding, body, &limits, &settings, lookback);
    }
});
