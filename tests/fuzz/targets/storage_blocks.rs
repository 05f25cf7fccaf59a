//! Parts of a block: any bytes are refused or read.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| watchbell::storage::fuzzing::blocks(bytes));
