//! A rule file: any text is read, or refused with a place in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use watchbell::config::Source;
use watchbell::rules::config::RuleFile;

fuzz_target!(|text: &str| {
    let Ok(source) = Source::parse(Path::new("rules.yml"), text) else { return };
    if let Ok(rules) = source.typed::<RuleFile>() {
        let _ = source.place(watchbell::rules::check(&rules));
    }
});
