//! A file of unit tests: any text is read or refused, and what is read ends within its limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use watchbell::config::Source;
use watchbell::promql::Features;
use watchbell::rules::config::{RuleFile, UnitTestFile};
use watchbell::rules::unittest::{Limits, Run};
use watchbell::sys::clock::{SharedClock, SystemClock};

fuzz_target!(|text: &str| {
    // Both files in one: the rules stand behind a line of their own.
    let (tests, rules) = text.split_once("\n---\n").unwrap_or((text, ""));
    let Ok(source) = Source::parse(Path::new("tests.yml"), tests) else { return };
    let Ok(file) = source.typed::<UnitTestFile>() else { return };
    let Ok(rules) = Source::parse(Path::new("rules.yml"), rules) else { return };
    let rules = rules.typed::<RuleFile>().unwrap_or_default();
    if !watchbell::rules::check(&rules).is_empty() {
        return;
    }
    let clock: SharedClock = Arc::new(SystemClock::new());
    let run = Run {
        file: &file,
        groups: rules.groups.iter().map(|group| ("rules.yml".to_owned(), group)).collect(),
        features: Features::default(),
        delayed_name_removal: false,
        only: None,
        limits: Limits { timeout: Duration::from_millis(500), samples_max: 10_000 },
        keeps_data: false,
        clock,
    };
    for (place, name) in run.chosen().take(4) {
        for failure in run.run(place, name).failures {
            let _ = (failure.to_string(), failure.diff());
        }
    }
});
