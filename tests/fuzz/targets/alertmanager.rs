//! Matchers in both grammars, and regular expressions: any text, no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchbell::alerts::matchers::{Mode, format_list, parse_list};
use watchbell::model::Regex;

fuzz_target!(|text: &str| {
    for mode in [Mode::Fallback, Mode::Utf8Strict, Mode::Classic] {
        if let Ok(matchers) = parse_list(text, mode) {
            let _ = format_list(&matchers);
        }
    }
    if let Ok(regex) = Regex::anchored(text) {
        let _ = regex.is_match(text);
    }
});
