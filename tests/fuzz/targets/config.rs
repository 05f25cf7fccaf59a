//! A rule file: any text is read, or refused with a place in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use watchbell::config::{Source, Unknown};
use watchbell::rules::config::RuleFile;

fuzz_target!(|text: &str| {
    let Ok(mut source) = Source::parse(Path::new("rules.yml"), text) else { return };
    let taken = source.typed::<RuleFile>().is_ok();
    if let Ok((rules, faults)) = source.draft::<RuleFile>(Unknown::Refused) {
        assert_eq!(taken, faults.is_empty());
        let _ = source.place(watchbell::rules::check(&rules));
    }
});
