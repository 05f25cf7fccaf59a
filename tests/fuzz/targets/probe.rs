//! What probed servers send: certificates and answers of DNS, read as bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchbell::ingest::probe::fuzz;

fuzz_target!(|bytes: &[u8]| fuzz(bytes));
