//! Escapes that stand for one character: `\n`, `\x41`, `\x{1F600}`, `\101`, `\.`.

use super::fault::{Fault, RegexError, consumed};

/// Reads an escape from the start of `text`, which is a backslash. The code point may be half of
/// a surrogate pair, which no text has.
pub(super) fn character(text: &str) -> Result<(u32, &str), RegexError> {
    let mut rest = text.strip_prefix('\\').unwrap_or(text);
    let Some(c) = next(&mut rest) else {
        return Err(Fault::TrailingBackslash.at(""));
    };
    let value = match c {
        '0' => Some(octal(0, &mut rest)),
        // A lone digit would be a back reference, which is not supported.
        '1'..='7' if rest.starts_with(|c: char| c.is_digit(8)) => {
            Some(octal(c.to_digit(8).unwrap_or(0), &mut rest))
        }
        'x' => hexadecimal(&mut rest),
        'a' => Some(0x07),
        'f' => Some(0x0c),
        'n' => Some(0x0a),
        'r' => Some(0x0d),
        't' => Some(0x09),
        'v' => Some(0x0b),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
        _ => None,
    };
    match value {
        Some(value) => Ok((value, rest)),
        None => Err(Fault::Escape.at(consumed(text, rest))),
    }
}

/// Up to two more octal digits.
fn octal(first: u32, rest: &mut &str) -> u32 {
    let mut value = first;
    for _ in 0..2 {
        let Some(digit) = rest.chars().next().and_then(|c| c.to_digit(8)) else { break };
        value = value * 8 + digit;
        next(rest);
    }
    value
}

/// Two hexadecimal digits, or any number of them in braces. What was looked at is consumed even
/// when it is wrong: the message shows it.
fn hexadecimal(rest: &mut &str) -> Option<u32> {
    let first = next(rest)?;
    if first != '{' {
        let second = next(rest);
        return Some(first.to_digit(16)? * 16 + second?.to_digit(16)?);
    }
    let mut value: Option<u32> = None;
    loop {
        match next(rest)? {
            '}' => return value,
            c => {
                let digit = c.to_digit(16)?;
                let more = value.unwrap_or(0) * 16 + digit;
                // Bounded at every digit, so the product above cannot overflow.
                value = Some(more).filter(|value| *value <= u32::from(char::MAX));
                value?;
            }
        }
    }
}

fn next(rest: &mut &str) -> Option<char> {
    let mut chars = rest.chars();
    let c = chars.next();
    *rest = chars.as_str();
    c
}
