//! Tombstones: any bytes are refused, or read and written as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| watchbell::storage::fuzzing::tombstones(bytes));
