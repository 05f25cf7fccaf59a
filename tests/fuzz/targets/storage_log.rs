//! The log: any records, and any bytes between them, are refused or replayed.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| watchbell::storage::fuzzing::log(bytes));
