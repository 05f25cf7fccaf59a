//! Remote write: any body is decoded within its limits, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchbell::ingest::limits::SafetyLimits;
use watchbell::ingest::receive::decode;

fuzz_target!(|body: &[u8]| {
    let _ = decode(Some("application/x-protobuf"), Some("snappy"), body, &SafetyLimits::default());
});
