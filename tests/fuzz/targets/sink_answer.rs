//! What sinks answer: whatever it is, a delivery ends before its deadline, and little is kept.
#![no_main]

#[path = "../../alerting/sinks/hostile.rs"]
mod hostile;
#[allow(dead_code)]
#[path = "../../alerting/outside.rs"]
mod outside;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| hostile::all_end(bytes));
