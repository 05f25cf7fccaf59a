//! Scraped bodies: any bytes end, with entries or errors.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchbell::exposition::{Entry, Format, Parser};

fuzz_target!(|body: &[u8]| {
    for format in [Format::Text, Format::OpenMetrics] {
        let entries = Parser::new(body, format).count();
        assert!(entries <= body.len() + 1, "more entries than bytes");
        // As a scrape reads the same body again.
        let samples = Parser::new(body, format).filter_map(|entry| match entry {
            Ok(Entry::Sample(line)) => Some(line),
            Ok(_) | Err(_) => None,
        });
        let mut again = Parser::new(body, format);
        for line in samples {
            let known = line.series.raw();
            let found = again.known_sample(known.len(), |raw, _| raw == known);
            let found = found.or_else(|| {
                again.by_ref().find_map(|entry| match entry {
                    Ok(Entry::Sample(line)) => Some(Ok(line)),
                    Ok(_) | Err(_) => None,
                })
            });
            let found = found.map(|line| line.expect("it was read before"));
            assert!(found.is_some_and(|found| found.series.raw() == known), "another line");
        }
    }
});
