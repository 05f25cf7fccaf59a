//! Remote write, both messages: any body is decoded within its limits, or refused; and as what a
//! sender packs, so that not every input ends at its first bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchbell::ingest::limits::SafetyLimits;
use watchbell::ingest::receive::decode;

fuzz_target!(|body: &[u8]| {
    let v2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    let packed = snap::raw::Encoder::new().compress_vec(body).unwrap_or_default();
    for message in ["application/x-protobuf", v2] {
        let _ = decode(Some(message), Some("snappy"), body, &SafetyLimits::default());
        let _ = decode(Some(message), Some("snappy"), &packed, &SafetyLimits::default());
    }
});
