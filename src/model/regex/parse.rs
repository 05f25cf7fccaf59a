//! Go's syntax of regular expressions, read into `Hir`.
//!
//! One pass over the text with an explicit stack of open groups; nothing here calls itself. The
//! flags are those of Go's `regexp.Compile`: `^` and `$` are the ends of the text, and Perl's
//! additions are on.
//! Source: golang/go, src/regexp/syntax (doc.go, parse.go).

use super::class::Classes;
use super::escape;
use super::fault::{Fault, RegexError, consumed};
use regex_syntax::hir::{Capture, Class, Dot, Hir, Look, Repetition};

/// The longest expression. Lists of names made by dashboards reach tens of kilobytes.
const TEXT_BYTES_MAX: usize = 256 << 10;

/// The highest tree: it is walked by recursion when it is compiled. Go allows 1000, no expression
/// found in practice needs 30.
const HEIGHT_MAX: usize = 250;

/// The largest count of a repetition, and of nested ones multiplied: Go's limit.
const REPEAT_MAX: u32 = 1000;

/// An expression that was read.
#[derive(Debug)]
pub(super) struct Parsed {
    /// The expression.
    pub(super) hir: Hir,
    /// Names of the groups; the first is the whole expression and has none. Kept here since Go
    /// lets two groups have the same name.
    pub(super) group_names: Vec<Option<String>>,
}

/// Reads `text`; `dot_takes_newlines` sets the flag `s` from the start.
pub(super) fn parse(text: &str, dot_takes_newlines: bool) -> Result<Parsed, RegexError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Fault::TooLarge.at(text));
    }
    let mut parser = Parser {
        whole: text,
        rest: text,
        flags: Flags { dot_newline: dot_takes_newlines, ..Flags::default() },
        outer: Vec::new(),
        group: Group::default(),
        group_names: vec![None],
        classes: Classes::new(text),
    };
    parser.run()?;
    if !parser.outer.is_empty() {
        return Err(Fault::MissingParen.at(text));
    }
    let group = std::mem::take(&mut parser.group);
    Ok(Parsed { hir: parser.finish(group)?.hir, group_names: parser.group_names })
}

#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    /// `i`
    fold_case: bool,
    /// `m`
    multi_line: bool,
    /// `s`
    dot_newline: bool,
    /// `U`
    swap_greed: bool,
}

/// A piece of the tree, with what bounds are kept over.
#[derive(Debug)]
struct Node {
    hir: Hir,
    height: usize,
    /// The largest product of counts along a path into it.
    copies: u32,
}

impl Node {
    fn leaf(hir: Hir) -> Self {
        Self { hir, height: 1, copies: 1 }
    }
}

/// A group that is not closed yet.
#[derive(Debug, Default)]
struct Group {
    /// Its number, when it captures.
    capture: Option<u32>,
    /// The flags that hold again behind it.
    flags_behind: Flags,
    /// Alternatives before the last bar.
    alternatives: Vec<Node>,
    /// What stands behind the last bar.
    sequence: Vec<Node>,
}

/// How often something is repeated.
#[derive(Clone, Copy, Debug)]
struct Count {
    min: u32,
    max: Option<u32>,
    /// Written in braces: only these are multiplied.
    braces: bool,
}

#[derive(Debug)]
struct Parser<'t> {
    whole: &'t str,
    rest: &'t str,
    flags: Flags,
    /// Open groups, the outermost first, without the innermost.
    outer: Vec<Group>,
    group: Group,
    group_names: Vec<Option<String>>,
    classes: Classes<'t>,
}

impl<'t> Parser<'t> {
    fn run(&mut self) -> Result<(), RegexError> {
        // Where the repetition operator just read begins, since another may not follow it.
        let mut repeat_before: Option<&'t str> = None;
        while let Some(c) = self.rest.chars().next() {
            let before = self.rest;
            let mut repeat = None;
            match c {
                '(' => self.open()?,
                ')' => self.close()?,
                '|' => {
                    self.skip(1);
                    self.end_alternative()?;
                }
                '^' if self.flags.multi_line => self.look(Look::StartLF, 1),
                '^' => self.look(Look::Start, 1),
                '$' if self.flags.multi_line => self.look(Look::EndLF, 1),
                '$' => self.look(Look::End, 1),
                '.' => self.dot(),
                '[' => {
                    let (class, rest) = self.classes.bracket(self.rest, self.flags.fold_case)?;
                    self.push(Hir::class(Class::Unicode(class)), rest);
                }
                '*' | '+' | '?' | '{' => {
                    if let Some((count, after)) = count(self.rest) {
                        self.repeat(count, after, repeat_before)?;
                        repeat = Some(before);
                    } else {
                        self.literal(u32::from(c), self.rest.get(1..).unwrap_or_default())?;
                    }
                }
                '\\' => self.backslash()?,
                c => {
                    let rest = self.rest.get(c.len_utf8()..).unwrap_or_default();
                    self.literal(u32::from(c), rest)?;
                }
            }
            repeat_before = repeat;
        }
        Ok(())
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn push(&mut self, hir: Hir, rest: &'t str) {
        self.group.sequence.push(Node::leaf(hir));
        self.rest = rest;
    }

    fn look(&mut self, look: Look, bytes: usize) {
        self.group.sequence.push(Node::leaf(Hir::look(look)));
        self.skip(bytes);
    }

    fn dot(&mut self) {
        let dot = if self.flags.dot_newline { Dot::AnyChar } else { Dot::AnyCharExceptLF };
        self.group.sequence.push(Node::leaf(Hir::dot(dot)));
        self.skip(1);
    }

    fn literal(&mut self, code_point: u32, rest: &'t str) -> Result<(), RegexError> {
        let hir = match char::from_u32(code_point) {
            // Half of a surrogate pair: no text has it.
            None => Hir::fail(),
            Some(c) if self.flags.fold_case => Hir::class(Class::Unicode(self.classes.folded(c)?)),
            Some(c) => Hir::literal(c.encode_utf8(&mut [0; 4]).as_bytes()),
        };
        self.push(hir, rest);
        Ok(())
    }

    fn backslash(&mut self) -> Result<(), RegexError> {
        match self.rest.chars().nth(1) {
            Some('A') => self.look(Look::Start, 2),
            Some('z') => self.look(Look::End, 2),
            Some('b') => self.look(Look::WordAscii, 2),
            Some('B') => self.look(Look::WordAsciiNegate, 2),
            // A single byte would be half a character.
            Some('C') => return Err(Fault::Escape.at("\\C")),
            Some('Q') => {
                let quoted = self.rest.get(2..).unwrap_or_default();
                let (quoted, rest) = quoted.split_once("\\E").unwrap_or((quoted, ""));
                for c in quoted.chars() {
                    self.literal(u32::from(c), rest)?;
                }
                self.rest = rest;
            }
            Some(_) | None => match self.classes.escaped(self.rest, self.flags.fold_case)? {
                Some((class, rest)) => self.push(Hir::class(Class::Unicode(class)), rest),
                None => {
                    let (code_point, rest) = escape::character(self.rest)?;
                    self.literal(code_point, rest)?;
                }
            },
        }
        Ok(())
    }

    /// Repeats the last piece.
    fn repeat(
        &mut self,
        count: Count,
        mut after: &'t str,
        repeat_before: Option<&'t str>,
    ) -> Result<(), RegexError> {
        let before = self.rest;
        let too_often = |n: u32| n > REPEAT_MAX;
        let reversed = count.max.is_some_and(|max| count.min > max);
        if too_often(count.min) || count.max.is_some_and(too_often) || reversed {
            return Err(Fault::RepeatCount.at(consumed(before, after)));
        }
        let mut greedy = !self.flags.swap_greed;
        if let Some(rest) = after.strip_prefix('?') {
            after = rest;
            greedy = !greedy;
        }
        if let Some(repeat_before) = repeat_before {
            return Err(Fault::NestedRepeat.at(consumed(repeat_before, after)));
        }
        let Some(sub) = self.group.sequence.pop() else {
            return Err(Fault::MissingRepeatArgument.at(consumed(before, after)));
        };
        let factor = match (count.braces, count.max) {
            (false, _) => 1,
            (true, None) => count.min.max(1),
            (true, Some(max)) => max,
        };
        // Nothing below a count of zero is ever copied.
        let copies = if factor == 0 { 1 } else { factor.saturating_mul(sub.copies) };
        if copies > REPEAT_MAX {
            return Err(Fault::RepeatCount.at(consumed(before, after)));
        }
        let height = sub.height + 1;
        let (min, max, sub) = (count.min, count.max, Box::new(sub.hir));
        let hir = Hir::repetition(Repetition { min, max, greedy, sub });
        let node = self.bounded(Node { hir, height, copies })?;
        self.group.sequence.push(node);
        self.rest = after;
        Ok(())
    }

    /// Reads `(`, `(?:`, `(?flags:`, `(?P<name>` or the flags `(?flags)`.
    fn open(&mut self) -> Result<(), RegexError> {
        let text = self.rest;
        let (capture, rest, flags) = if let Some(perl) = text.strip_prefix("(?") {
            match perl.strip_prefix("P<").or_else(|| perl.strip_prefix('<')) {
                // Go wants a character behind `<` before it thinks of a name.
                Some(name) if !name.is_empty() => {
                    let (name, rest) = group_name(text, name)?;
                    (Some(Some(name.to_owned())), rest, self.flags)
                }
                Some(_) | None => {
                    let (flags, rest, is_group) = perl_flags(text, perl, self.flags)?;
                    if !is_group {
                        self.flags = flags;
                        self.rest = rest;
                        return Ok(());
                    }
                    (None, rest, flags)
                }
            }
        } else {
            (Some(None), text.get(1..).unwrap_or_default(), self.flags)
        };
        if self.outer.len() >= HEIGHT_MAX {
            return Err(Fault::TooDeep.at(self.whole));
        }
        let capture = capture.map(|name| {
            let index = self.group_names.len();
            self.group_names.push(name);
            u32::try_from(index).expect("fewer groups than bytes of the text")
        });
        let group = Group { capture, flags_behind: self.flags, ..Group::default() };
        self.outer.push(std::mem::replace(&mut self.group, group));
        self.flags = flags;
        self.rest = rest;
        Ok(())
    }

    fn close(&mut self) -> Result<(), RegexError> {
        let Some(outer) = self.outer.pop() else {
            return Err(Fault::UnexpectedParen.at(self.whole));
        };
        let group = std::mem::replace(&mut self.group, outer);
        let (capture, flags_behind) = (group.capture, group.flags_behind);
        let mut node = self.finish(group)?;
        if let Some(index) = capture {
            let capture = Capture { index, name: None, sub: Box::new(node.hir) };
            node = Node { hir: Hir::capture(capture), height: node.height + 1, ..node };
        }
        let node = self.bounded(node)?;
        self.group.sequence.push(node);
        self.flags = flags_behind;
        self.skip(1);
        Ok(())
    }

    fn end_alternative(&mut self) -> Result<(), RegexError> {
        let sequence = std::mem::take(&mut self.group.sequence);
        let node = self.join(sequence, Hir::concat)?;
        self.group.alternatives.push(node);
        Ok(())
    }

    fn finish(&self, mut group: Group) -> Result<Node, RegexError> {
        let last = self.join(group.sequence, Hir::concat)?;
        group.alternatives.push(last);
        self.join(group.alternatives, Hir::alternation)
    }

    fn join(&self, nodes: Vec<Node>, with: fn(Vec<Hir>) -> Hir) -> Result<Node, RegexError> {
        let height = nodes.iter().map(|node| node.height).max().unwrap_or(0);
        let copies = nodes.iter().map(|node| node.copies).max().unwrap_or(1);
        let height = if nodes.len() == 1 { height } else { height + 1 };
        let hir = with(nodes.into_iter().map(|node| node.hir).collect());
        self.bounded(Node { hir, height, copies })
    }

    fn bounded(&self, node: Node) -> Result<Node, RegexError> {
        if node.height > HEIGHT_MAX { Err(Fault::TooDeep.at(self.whole)) } else { Ok(node) }
    }
}

/// Reads a repetition operator. `None` for a brace that does not begin a count: it stands for
/// itself. A number that is too large comes out larger than any limit.
fn count(text: &str) -> Option<(Count, &str)> {
    let plain = |min, max| Count { min, max, braces: false };
    let mut chars = text.chars();
    let simple = match chars.next()? {
        '*' => plain(0, None),
        '+' => plain(1, None),
        '?' => plain(0, Some(1)),
        _ => {
            let (min, rest) = decimal(text.strip_prefix('{')?)?;
            let (max, rest) = match rest.strip_prefix(',') {
                None => (Some(min), rest),
                Some(open) if open.starts_with('}') => (None, open),
                Some(more) => decimal(more).map(|(max, rest)| (Some(max), rest))?,
            };
            return Some((Count { min, max, braces: true }, rest.strip_prefix('}')?));
        }
    };
    Some((simple, chars.as_str()))
}

/// Digits without a leading zero.
fn decimal(text: &str) -> Option<(u32, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits)?;
    if number.is_empty() || (number.len() > 1 && number.starts_with('0')) {
        return None;
    }
    Some((number.parse().unwrap_or(u32::MAX), rest))
}

/// The name in `name>`; `text` begins at the parenthesis.
fn group_name<'t>(text: &'t str, name_on: &'t str) -> Result<(&'t str, &'t str), RegexError> {
    let Some((name, rest)) = name_on.split_once('>') else {
        return Err(Fault::NamedCapture.at(text));
    };
    let is_word = |b: u8| b == b'_' || b.is_ascii_alphanumeric();
    if name.is_empty() || !name.bytes().all(is_word) {
        return Err(Fault::NamedCapture.at(consumed(text, rest)));
    }
    Ok((name, rest))
}

/// Reads flags up to `:` or `)`; says whether a group begins. `text` begins at the parenthesis,
/// `rest` behind the question mark.
fn perl_flags<'t>(
    text: &'t str,
    mut rest: &'t str,
    mut flags: Flags,
) -> Result<(Flags, &'t str, bool), RegexError> {
    let (mut on, mut seen) = (true, false);
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        rest = chars.as_str();
        match c {
            'i' => flags.fold_case = on,
            'm' => flags.multi_line = on,
            's' => flags.dot_newline = on,
            'U' => flags.swap_greed = on,
            '-' if on => {
                (on, seen) = (false, false);
                continue;
            }
            ':' | ')' if on || seen => return Ok((flags, rest, c == ':')),
            _ => break,
        }
        seen = true;
    }
    Err(Fault::PerlSyntax.at(consumed(text, rest)))
}
