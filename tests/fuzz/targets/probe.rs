//! What probed servers and proxies send: certificates, answers of DNS, answers to CONNECT.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchbell::ingest::probe::fuzz;

fuzz_target!(|bytes: &[u8]| fuzz(bytes));
