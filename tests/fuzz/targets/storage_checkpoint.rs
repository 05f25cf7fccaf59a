//! Checkpoints of the head: any records are refused or loaded, and come back.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| watchbell::storage::fuzzing::checkpoint(bytes));
