//! Character classes as Go reads them: `\d`, `[[:alpha:]]`, `\p{Greek}`, `[a-z\d]`.
//!
//! Classes named by Perl and POSIX hold ASCII only; ignoring case adds what folds to it.

use super::escape;
use super::fault::{Fault, RegexError, consumed};
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// The code points between which letters have another case: Go's bounds, checked by a test.
const FOLD_MIN: char = 'A';
const FOLD_MAX: char = '\u{1e943}';

/// What all classes of one expression may cost: a range counts 16, a code point that is folded
/// counts 1. It allows 400 times `\pL` and 30 times folding everything there is, which is some
/// milliseconds; the compiled form has its own bound.
const COST_MAX: usize = 4 << 20;
const RANGE_COST: usize = 16;

/// Ranges of a named class, both ends included.
type Ranges = &'static [(char, char)];

const DIGIT: Ranges = &[('0', '9')];
const WORD: Ranges = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
const PERL_SPACE: Ranges = &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')];

const POSIX: [(&str, Ranges); 14] = [
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("ascii", &[('\0', '\x7f')]),
    ("blank", &[('\t', '\t'), (' ', ' ')]),
    ("cntrl", &[('\0', '\x1f'), ('\x7f', '\x7f')]),
    ("digit", DIGIT),
    ("graph", &[('!', '~')]),
    ("lower", &[('a', 'z')]),
    ("print", &[(' ', '~')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
    ("space", &[('\t', '\r'), (' ', ' ')]),
    ("upper", &[('A', 'Z')]),
    ("word", WORD),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];

/// Scripts whose whole name has four letters. Other names of four letters are codes such as
/// `Grek`, which Go does not know.
const SCRIPTS_OF_FOUR: [&str; 9] =
    ["ahom", "cham", "kawi", "lisu", "miao", "modi", "newa", "thai", "toto"];

/// A class, and what follows it.
type Read<'t> = (ClassUnicode, &'t str);

/// Reads classes; knows how much the expression may still cost.
#[derive(Debug)]
pub(super) struct Classes<'t> {
    whole: &'t str,
    cost_left: usize,
}

impl<'t> Classes<'t> {
    /// For the expression `whole`.
    pub(super) fn new(whole: &'t str) -> Self {
        Self { whole, cost_left: COST_MAX }
    }

    /// The characters equal to `literal` without regard to case.
    pub(super) fn folded(&mut self, literal: char) -> Result<ClassUnicode, RegexError> {
        let range = ClassUnicodeRange::new(literal, literal);
        self.fold(ClassUnicode::new([range]))
    }

    /// Reads `[...]` from the start of `text`.
    pub(super) fn bracket(&mut self, text: &'t str, fold: bool) -> Result<Read<'t>, RegexError> {
        let mut rest = text.strip_prefix('[').unwrap_or(text);
        let negated = rest.starts_with('^');
        rest = rest.strip_prefix('^').unwrap_or(rest);
        let mut class = ClassUnicode::empty();
        let mut first = true;
        // As the first character, a closing bracket stands for itself.
        while first || !rest.starts_with(']') {
            first = false;
            let found = match self.named(rest, fold)? {
                Some(found) => Some(found),
                None => self.escaped(rest, fold)?,
            };
            let (part, after) = match found {
                Some(found) => found,
                None => self.range(rest, text, fold)?,
            };
            class.union(&part);
            rest = after;
        }
        self.pay(&class)?;
        if negated {
            class.negate();
        }
        Ok((class, rest.strip_prefix(']').unwrap_or(rest)))
    }

    /// Reads `\d`, `\pL`, `\p{Greek}` and their kin from the start of `text`.
    pub(super) fn escaped(
        &mut self,
        text: &'t str,
        fold: bool,
    ) -> Result<Option<Read<'t>>, RegexError> {
        let mut chars = text.chars();
        if chars.next() != Some('\\') {
            return Ok(None);
        }
        let (ranges, negated) = match chars.next() {
            Some('d') => (DIGIT, false),
            Some('D') => (DIGIT, true),
            Some('s') => (PERL_SPACE, false),
            Some('S') => (PERL_SPACE, true),
            Some('w') => (WORD, false),
            Some('W') => (WORD, true),
            Some('p') => return self.unicode(text, chars.as_str(), fold, false).map(Some),
            Some('P') => return self.unicode(text, chars.as_str(), fold, true).map(Some),
            Some(_) | None => return Ok(None),
        };
        Ok(Some((self.group(ranges, negated, fold)?, chars.as_str())))
    }

    /// Reads `[:alpha:]` from the start of `text`, which is inside brackets.
    fn named(&mut self, text: &'t str, fold: bool) -> Result<Option<Read<'t>>, RegexError> {
        let Some((name, rest)) = text.strip_prefix("[:").and_then(|text| text.split_once(":]"))
        else {
            return Ok(None);
        };
        let plain = name.strip_prefix('^').unwrap_or(name);
        let Some((_, ranges)) = POSIX.iter().find(|(known, _)| *known == plain) else {
            return Err(Fault::ClassRange.at(consumed(text, rest)));
        };
        let negated = plain.len() != name.len();
        Ok(Some((self.group(ranges, negated, fold)?, rest)))
    }

    /// Reads `a` or `a-z` from the start of `text`; `whole` is the class for messages.
    fn range(&mut self, text: &'t str, whole: &'t str, fold: bool) -> Result<Read<'t>, RegexError> {
        let (low, mut rest) = class_char(text, whole)?;
        let mut high = low;
        // In `[a-]` the dash stands for itself.
        if let Some(after) = rest.strip_prefix('-')
            && !after.is_empty()
            && !after.starts_with(']')
        {
            (high, rest) = class_char(after, whole)?;
            if high < low {
                return Err(Fault::ClassRange.at(consumed(text, rest)));
            }
        }
        let mut class = ClassUnicode::empty();
        // Half of a surrogate pair is a code point that no text has.
        let low = char::from_u32(low).unwrap_or('\u{e000}');
        let high = char::from_u32(high).unwrap_or('\u{d7ff}');
        if low <= high {
            class.push(ClassUnicodeRange::new(low, high));
        }
        let class = if fold { self.fold(class)? } else { class };
        Ok((class, rest))
    }

    /// Reads the name after `\p` or `\P`; `text` begins at the backslash.
    fn unicode(
        &mut self,
        text: &'t str,
        name_on: &'t str,
        fold: bool,
        negated: bool,
    ) -> Result<Read<'t>, RegexError> {
        let (name, rest) = match name_on.strip_prefix('{') {
            Some(braced) => braced.split_once('}').ok_or_else(|| Fault::ClassRange.at(text))?,
            None => name_on.split_at(name_on.chars().next().map_or(0, char::len_utf8)),
        };
        let (name, twice) = match name.strip_prefix('^') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let Some(class) = unicode_class(name) else {
            return Err(Fault::ClassRange.at(consumed(text, rest)));
        };
        self.pay(&class)?;
        let mut class = if fold { self.fold(class)? } else { class };
        if negated != twice {
            class.negate();
        }
        Ok((class, rest))
    }

    fn group(
        &mut self,
        ranges: Ranges,
        negated: bool,
        fold: bool,
    ) -> Result<ClassUnicode, RegexError> {
        let ranges = ranges.iter().map(|(low, high)| ClassUnicodeRange::new(*low, *high));
        let class = ClassUnicode::new(ranges);
        let mut class = if fold { self.fold(class)? } else { class };
        if negated {
            class.negate();
        }
        Ok(class)
    }

    /// Adds the other cases of every character.
    fn fold(&mut self, mut class: ClassUnicode) -> Result<ClassUnicode, RegexError> {
        let mut letters = ClassUnicode::empty();
        for range in class.ranges() {
            let (low, high) = (range.start().max(FOLD_MIN), range.end().min(FOLD_MAX));
            if low == FOLD_MIN && high == FOLD_MAX {
                // All that folds is in it.
                return Ok(class);
            }
            if low <= high {
                let range = ClassUnicodeRange::new(low, high);
                self.charge(range.len())?;
                letters.push(range);
            }
        }
        letters.case_fold_simple();
        class.union(&letters);
        Ok(class)
    }

    fn pay(&mut self, class: &ClassUnicode) -> Result<(), RegexError> {
        self.charge(class.ranges().len().saturating_mul(RANGE_COST))
    }

    fn charge(&mut self, cost: usize) -> Result<(), RegexError> {
        let left = self.cost_left.checked_sub(cost);
        self.cost_left = left.ok_or_else(|| Fault::TooLarge.at(self.whole))?;
        Ok(())
    }
}

/// One character of a class, as a code point.
fn class_char<'t>(text: &'t str, whole: &'t str) -> Result<(u32, &'t str), RegexError> {
    let mut chars = text.chars();
    match chars.next() {
        None => Err(Fault::MissingBracket.at(whole)),
        Some('\\') => escape::character(text),
        Some(c) => Ok((u32::from(c), chars.as_str())),
    }
}

/// The category or script with this name; spaces, dashes, underscores and case do not matter.
fn unicode_class(name: &str) -> Option<ClassUnicode> {
    let name: String = name
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '_'))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric());
    // The tables behind take `isgreek` for Greek; Go does not.
    if !is_name || name.starts_with("is") {
        return None;
    }
    let is_code = name.len() == 4 && !SCRIPTS_OF_FOUR.contains(&name.as_str());
    let category = table(&format!(r"\p{{gc={name}}}"));
    category.or_else(|| if is_code { None } else { table(&format!(r"\p{{sc={name}}}")) })
}

fn table(pattern: &str) -> Option<ClassUnicode> {
    let hir = regex_syntax::parse(pattern).ok()?;
    let HirKind::Class(Class::Unicode(class)) = hir.into_kind() else { return None };
    Some(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_folds_outside_the_bounds() {
        for (low, high) in [('\0', '@'), ('\u{1e944}', char::MAX)] {
            let plain = ClassUnicode::new([ClassUnicodeRange::new(low, high)]);
            let mut folded = plain.clone();
            folded.case_fold_simple();
            assert_eq!(folded, plain);
        }
    }

    #[test]
    fn unicode_names_are_gos() {
        for name in [
            "L",
            "Lu",
            "lu",
            "N",
            "Greek",
            "Old_Italic",
            "olditalic",
            "Any",
            "Thai",
            "Letter",
            "Cn",
            "Yi",
            "Assigned",
            "ASCII",
        ] {
            assert!(unicode_class(name).is_some(), "{name} was refused");
        }
        for name in ["", "X", "Grek", "IsGreek", "isL", "gc=L", "Greek}", "Zinh", "Foo"] {
            assert!(unicode_class(name).is_none(), "{name} was taken");
        }
    }
}
