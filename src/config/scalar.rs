//! Where a byte of a scalar's value stands in the text: quotes, escapes, folded and literal blocks
//! undone.
//!
//! Source: YAML 1.2, sections 6.5 (line folding), 7.3 (flow scalars), 8.1 (block scalars).

use super::yaml::Position;

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Without quotes.
    Plain,
    /// `'text'`
    SingleQuoted,
    /// `"text"`
    DoubleQuoted,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// The place of byte `offset` of the value of the scalar at `start`; the place behind the value when
/// it has fewer bytes. `line` is where the text has the line of `start`, which for a block is the
/// first that is not blank below its header.
pub(super) fn place(
    text: &str,
    line: usize,
    start: Position,
    style: Style,
    offset: usize,
) -> Position {
    let mut walk = Walk { left: offset, found: None, last: start };
    let (above, from) = text.split_at_checked(line).unwrap_or((text, ""));
    let mut lines = Lines { lines: from.split('\n'), number: start.line };
    match style {
        Style::Plain | Style::SingleQuoted | Style::DoubleQuoted => {
            walk.flow(&mut lines, start, style);
        }
        Style::Literal | Style::Folded => {
            let blank = above.lines().rev().take_while(|line| line.trim().is_empty()).count();
            walk.block(&mut lines, start, blank, style == Style::Folded);
        }
    }
    walk.found.unwrap_or(walk.last)
}

/// Lines with their numbers; a line break of Windows is no part of a line.
struct Lines<I> {
    lines: I,
    number: usize,
}

impl<'a, I: Iterator<Item = &'a str>> Lines<I> {
    fn next(&mut self) -> Option<(usize, &'a str)> {
        let line = self.lines.next()?;
        let number = self.number;
        self.number += 1;
        Some((number, line.strip_suffix('\r').unwrap_or(line)))
    }
}

/// Counts bytes of the value while the text is walked.
struct Walk {
    left: usize,
    found: Option<Position>,
    /// Behind what was walked last.
    last: Position,
}

impl Walk {
    /// `bytes` of the value stand at `at`, which is `chars` wide.
    fn give(&mut self, bytes: usize, at: Position, chars: usize) {
        if self.found.is_none() && self.left < bytes {
            self.found = Some(at);
        }
        self.left = self.left.saturating_sub(bytes);
        self.last = Position { line: at.line, column: at.column + chars };
    }

    fn chars(&mut self, line: usize, column: usize, text: &str) {
        for (place, c) in text.chars().enumerate() {
            self.give(c.len_utf8(), Position { line, column: column + place }, 1);
        }
    }

    /// Scalars whose line breaks become blanks.
    fn flow<'a, I>(&mut self, lines: &mut Lines<I>, start: Position, style: Style)
    where
        I: Iterator<Item = &'a str>,
    {
        let Some((_, first)) = lines.next() else { return };
        let quote = usize::from(style != Style::Plain);
        let mut line = start.line;
        let mut column = start.column + quote;
        let mut rest = skipped(first, column - 1);
        loop {
            let Some(joined) = self.flow_line(line, column, rest, style) else { return };
            let mut blank = 0;
            let next = loop {
                let Some((number, text)) = lines.next() else { return };
                if !text.trim().is_empty() {
                    break (number, text);
                }
                blank += 1;
            };
            if !joined {
                let bytes = if blank == 0 { 1 } else { blank };
                let at = self.last;
                self.give(bytes, at, 0);
            }
            line = next.0;
            rest = next.1.trim_start();
            column = 1 + next.1.chars().count() - rest.chars().count();
            if self.found.is_some() {
                return;
            }
        }
    }

    /// One line of such a scalar: whether it is joined to the next without a blank; `None` when
    /// the scalar ends or the place was found.
    fn flow_line(&mut self, line: usize, column: usize, rest: &str, style: Style) -> Option<bool> {
        let mut chars = rest.trim_end().chars().peekable();
        let mut column = column;
        while let Some(c) = chars.next() {
            let at = Position { line, column };
            let (bytes, width) = match (style, c) {
                (Style::SingleQuoted, '\'') => {
                    chars.next_if_eq(&'\'')?;
                    (1, 2)
                }
                (Style::DoubleQuoted, '"') => return None,
                (Style::DoubleQuoted, '\\') => match chars.next() {
                    None => return Some(true),
                    Some(escape) => {
                        let (bytes, digits) = escaped(escape, &chars);
                        for _ in 0..digits {
                            chars.next();
                        }
                        (bytes, 2 + digits)
                    }
                },
                (_, c) => (c.len_utf8(), 1),
            };
            self.give(bytes, at, width);
            column += width;
            if self.found.is_some() {
                return None;
            }
        }
        Some(false)
    }

    /// Scalars below a header and `blank` empty lines.
    fn block<'a, I: Iterator<Item = &'a str>>(
        &mut self,
        lines: &mut Lines<I>,
        start: Position,
        blank: usize,
        folds: bool,
    ) {
        let indent = start.column - 1;
        let mut blank = blank;
        // Whether the line before stands deeper: then its breaks are kept.
        let mut before: Option<bool> = None;
        while let Some((number, text)) = lines.next() {
            let depth = text.chars().take_while(|c| *c == ' ').count();
            if text.trim_matches(' ').is_empty() && depth <= indent {
                blank += 1;
                continue;
            }
            if depth < indent {
                return;
            }
            let content = skipped(text, indent);
            let deeper = content.starts_with([' ', '\t']);
            let breaks = match before {
                None => blank,
                Some(above) if folds && !above && !deeper && blank > 0 => blank,
                Some(_) => blank + 1,
            };
            self.give(breaks, Position { line: number, column: indent + 1 }, 0);
            self.chars(number, indent + 1, content);
            if self.found.is_some() {
                return;
            }
            (before, blank) = (Some(deeper), 0);
        }
    }
}

/// `text` without its first `count` characters.
fn skipped(text: &str, count: usize) -> &str {
    let at = text.char_indices().nth(count).map_or(text.len(), |(at, _)| at);
    text.get(at..).unwrap_or_default()
}

/// Bytes of the character behind a backslash, and how many digits follow it.
fn escaped(escape: char, rest: &(impl Iterator<Item = char> + Clone)) -> (usize, usize) {
    let digits = match escape {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        'N' | '_' => return (2, 0),
        'L' | 'P' => return (3, 0),
        _ => return (1, 0),
    };
    let text: String = rest.clone().take(digits).collect();
    let code = u32::from_str_radix(&text, 16).ok().and_then(char::from_u32);
    (code.map_or(1, char::len_utf8), digits)
}

#[cfg(test)]
mod tests {
    use super::super::file::Source;
    use super::*;
    use crate::model::Problem;
    use proptest::prelude::*;
    use std::path::Path;

    /// Where the first `@` of the value at `v` is found: there must be one in the text, too.
    #[track_caller]
    fn check(text: &str) {
        let source = Source::parse(Path::new("a.yml"), text).expect(text);
        let value: std::collections::BTreeMap<String, String> = source.typed().expect(text);
        let offset = value["v"].find('@').expect("an @ in the value");
        let problem = Problem { offset: Some(offset), ..Problem::new("v", "x") };
        let line = text.lines().position(|line| line.contains('@')).expect("an @");
        let column = text.lines().nth(line).expect("a line").chars().position(|c| c == '@');
        let expected = Position { line: line + 1, column: column.expect("an @") + 1 };
        assert_eq!(source.place_one(&problem).at, Some(expected), "{text}");
    }

    #[test]
    fn a_byte_of_a_value_is_found_in_every_style() {
        for text in [
            "v: a @\n",
            "v: é @ # comment\n",
            "v: one\n  two\n\n   three @\n",
            "v: 'it''s @'\n",
            "v: 'one\n\n\n  two @'\n",
            "v: \"a\\\"b\\n\\x41\\u00e9\\U0001F600\\_\\L é@\"\n",
            "v: \"one \\\n   two @\"\n",
            "v: \"one\n  two @\"\n",
            "v: |\n  one\n    two\n\n  three @\n",
            "v: |-\n\n   é one\n   two @\n",
            "v: >\n  one\n  two\n\n  three\n    deeper\n\n    more\n  back @\n",
            "v: >-\n\n  one\n   @\n",
            "v: |\r\n  one\r\n  two @\r\n",
            "a: x\nv:\n  y @ x\n",
        ] {
            check(text);
        }
    }

    #[test]
    fn an_offset_behind_the_value_is_its_end() {
        let start = Position { line: 1, column: 4 };
        let end = place("a: 'xy' # z", 0, start, Style::SingleQuoted, 99);
        assert_eq!(end, Position { line: 1, column: 7 });
    }

    proptest! {
        #[test]
        fn a_value_in_quotes_or_a_block_is_found_where_it_is(
            words in proptest::collection::vec("[a-zé\"' \\\\]{0,6}", 1..5),
            style in 0..3,
        ) {
            let value = format!("{}@", words.join("\n"));
            let text = match style {
                0 => format!("v: {}\n", serde_json::to_string(&value).expect("writes")),
                1 => format!("v: '{}'\n", value.replace('\'', "''").replace('\n', "\n\n  ")),
                _ => format!("v: |2\n  {}\n", value.replace('\n', "\n  ")),
            };
            // Blanks at the ends of lines are dropped by folding: that is another value.
            let plain = words.iter().all(|word| word.trim() == word && !word.is_empty());
            prop_assume!(plain);
            check(&text);
        }

        #[test]
        fn no_text_makes_it_panic(
            text in "[ -~é\n]{0,60}",
            line in 1_usize..4,
            column in 1_usize..9,
            offset in 0_usize..80,
        ) {
            let from = text.split('\n').take(line - 1).map(|line| line.len() + 1).sum();
            let start = Position { line, column };
            for style in [
                Style::Plain,
                Style::SingleQuoted,
                Style::DoubleQuoted,
                Style::Literal,
                Style::Folded,
            ] {
                let _ = place(&text, from, start, style, offset);
            }
        }
    }
}
