//! Text from outside, made safe for terminals and logs.

use std::fmt;

/// Text without control, direction or zero-width characters: those show as escapes.
///
/// The only text from outside that drawing code and plain printers may write.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Printable(String);

impl Printable {
    /// The safe text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Printable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for Printable {
    fn from(text: &str) -> Self {
        printable(text)
    }
}

/// Makes `text` safe: C0, DEL, C1, bidirectional controls, zero-width characters and line
/// separators become `\x1b` or `\u{202e}`.
pub fn printable(text: &str) -> Printable {
    if text.chars().all(|c| !is_unsafe(c)) {
        return Printable(text.to_owned());
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if !is_unsafe(c) {
            out.push(c);
        } else if u32::from(c) < 0x100 {
            out.push_str(&format!("\\x{:02x}", u32::from(c)));
        } else {
            out.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
        }
    }
    Printable(out)
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x8e2 | 0x180e
            | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xfff9..=0xfffb
            | 0x110bd | 0x110cd | 0x13430..=0x1343f | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a
            | 0xe0001 | 0xe0020..=0xe007f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_never_reach_a_terminal() {
        assert_eq!(printable("a\x1b[31mb\u{202e}c\u{9b}").as_str(), "a\\x1b[31mb\\u{202e}c\\x9b");
        for byte in 0..=0xffu32 {
            let c = char::from_u32(byte).expect("Latin-1 is Unicode");
            let safe = printable(&c.to_string());
            assert!(safe.as_str().chars().all(|c| !c.is_control()), "{byte:#x}");
        }
        assert_eq!(printable("plain \u{e4}").as_str(), "plain \u{e4}");
    }
}
