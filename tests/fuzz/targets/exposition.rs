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
            let is_bare = line.ts.is_none() && line.exemplar.is_none();
            let value = again.known_value(known.len(), |raw, _| raw == known);
            let value = value.inspect(|_| assert!(is_bare, "more than a value"));
            let value = value.or_else(|| {
                again.by_ref().find_map(|entry| match entry {
                    Ok(Entry::Sample(line)) if line.series.raw() == known => Some(line.value),
                    Ok(Entry::Sample(_)) => panic!("another line"),
                    Ok(_) | Err(_) => None,
                })
            });
            assert_eq!(value.map(f64::to_bits), Some(line.value.to_bits()), "another value");
        }
    }
});
