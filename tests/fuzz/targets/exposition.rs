//! Scraped bodies: any bytes end, with entries or errors.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchbell::exposition::{Format, Parser};

fuzz_target!(|body: &[u8]| {
    for format in [Format::Text, Format::OpenMetrics] {
        let entries = Parser::new(body, format).count();
        assert!(entries <= body.len() + 1, "more entries than bytes");
    }
});
