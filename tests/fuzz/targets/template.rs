//! Templates: any text is refused, or runs to its end within its limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchbell::model::Timestamp;
use watchbell::template::{Limits, Mode, Template, Value, alertmanager_functions};

fuzz_target!(|text: &str| {
    let functions = alertmanager_functions(Timestamp::EPOCH);
    if let Ok(template) = Template::parse("fuzz", text, &functions) {
        for mode in [Mode::Text, Mode::Html] {
            let _ = template.execute(&Value::Nil, &functions, mode, Limits::default());
        }
    }
});
