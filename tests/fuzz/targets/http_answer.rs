//! Answers over plain HTTP: any bytes, in any pieces, end with an answer or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| watchbell::sys::http::fuzz(bytes));
