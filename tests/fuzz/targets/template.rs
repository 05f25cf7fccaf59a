//! Templates: any text is refused, or runs to its end within its limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchbell::model::Timestamp;
use watchbell::template::{Limits, Mode, TemplateSet, Value, alertmanager_functions};

fuzz_target!(|text: &str| {
    let functions = alertmanager_functions(Timestamp::EPOCH);
    let set = TemplateSet::new();
    for mode in [Mode::Text, Mode::Html] {
        let _ = set.render(text, &Value::Nil, &functions, mode, Limits::default());
    }
});
