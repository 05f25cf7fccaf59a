//! What clients of the HTTP API send: heads of requests, and bodies that only Go's decoder takes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchbell::api;

fuzz_target!(|bytes: &[u8]| {
    api::fuzz_heads(bytes);
    api::fuzz_loose_json(bytes);
});
