//! Expressions: any text is refused, or prints to a text that reads as the same tree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchbell::promql::syntax::{Features, parse};

fuzz_target!(|text: &str| {
    let Ok(tree) = parse(text, &Features::ALL) else { return };
    let printed = tree.to_string();
    let again = parse(&printed, &Features::ALL).expect("what is printed can be read");
    // Trees are equal when they mean the same, wherever they stood in the text.
    assert_eq!(again, tree, "{text} printed as {printed}");
    assert_eq!(again.to_string(), printed);
});
