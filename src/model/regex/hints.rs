//! What can be known of an expression without running it: the texts it matches when they are few,
//! and what all of them begin with. The index of the storage lives on both.
//!
//! Both look at the tree, so flags and escapes are already resolved: ignoring case makes classes
//! of letters, and those are lists only while they are short.

use regex_syntax::hir::{Class, ClassUnicode, Hir, HirKind, Look};
use std::collections::BTreeSet;

/// The most texts that classes and repeated choices may multiply to. A written list such as
/// `a|b|c` may be as long as it likes: its length is bounded by the expression's.
const PRODUCT_MAX: usize = 64;

/// All bytes that a list may hold, for long alternatives behind a long common start.
const LIST_BYTES_MAX: usize = 1 << 20;

/// All texts that match the whole of `hir`, sorted, if there are few; the anchors of `hir` itself
/// may be part of it.
pub(super) fn set_matches(hir: &Hir) -> Option<Vec<String>> {
    let texts = texts(&unanchored(hir))?;
    let sorted: BTreeSet<String> = texts.into_iter().collect();
    Some(sorted.into_iter().collect())
}

/// What every text that matches the whole of `hir` begins with, if anything.
pub(super) fn literal_prefix(hir: &Hir) -> Option<String> {
    let (prefix, _) = sequence_start(unanchored(hir));
    (!prefix.is_empty()).then_some(prefix)
}

/// `hir` without the ends of the text that it names at its own ends: the whole must match anyway.
fn unanchored(hir: &Hir) -> Vec<&Hir> {
    let mut parts: Vec<&Hir> = match hir.kind() {
        HirKind::Concat(parts) => parts.iter().collect(),
        HirKind::Empty
        | HirKind::Literal(_)
        | HirKind::Class(_)
        | HirKind::Look(_)
        | HirKind::Repetition(_)
        | HirKind::Capture(_)
        | HirKind::Alternation(_) => vec![hir],
    };
    let is_look = |part: &&Hir, look: Look| matches!(part.kind(), HirKind::Look(is) if *is == look);
    while parts.last().is_some_and(|part| is_look(part, Look::End)) {
        parts.pop();
    }
    let starts = parts.iter().take_while(|part| is_look(part, Look::Start)).count();
    parts.split_off(starts)
}

/// The texts of a sequence, in any order and maybe more than once.
fn texts(sequence: &[&Hir]) -> Option<Vec<String>> {
    let mut all = vec![String::new()];
    for part in sequence {
        let choices = texts_of(part)?;
        let count = all.len().checked_mul(choices.len())?;
        if all.len() > 1 && choices.len() > 1 && count > PRODUCT_MAX {
            return None;
        }
        let bytes = |texts: &[String]| texts.iter().map(String::len).sum::<usize>();
        let total = bytes(&all) * choices.len() + bytes(&choices) * all.len();
        if total > LIST_BYTES_MAX {
            return None;
        }
        all = all
            .iter()
            .flat_map(|start| choices.iter().map(move |choice| format!("{start}{choice}")))
            .collect();
    }
    Some(all)
}

fn texts_of(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty => Some(vec![String::new()]),
        HirKind::Literal(literal) => Some(vec![String::from_utf8(literal.0.to_vec()).ok()?]),
        HirKind::Class(Class::Unicode(class)) => characters(class),
        // The tree's way to say that nothing matches.
        HirKind::Class(Class::Bytes(class)) if class.ranges().is_empty() => Some(Vec::new()),
        HirKind::Class(Class::Bytes(_)) | HirKind::Look(_) => None,
        HirKind::Repetition(repetition) => {
            if (repetition.min, repetition.max) != (0, Some(1)) {
                return None;
            }
            let mut texts = texts_of(&repetition.sub)?;
            texts.push(String::new());
            Some(texts)
        }
        HirKind::Capture(capture) => texts_of(&capture.sub),
        HirKind::Concat(parts) => texts(&parts.iter().collect::<Vec<_>>()),
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(texts_of(part)?);
            }
            Some(all)
        }
    }
}

fn characters(class: &ClassUnicode) -> Option<Vec<String>> {
    let count: usize = class.ranges().iter().map(|range| range.len()).sum();
    if count > PRODUCT_MAX {
        return None;
    }
    let all = class.ranges().iter().flat_map(|range| range.start()..=range.end());
    Some(all.map(String::from).collect())
}

/// What a sequence certainly begins with, and whether that is all it matches.
fn sequence_start<'h>(sequence: impl IntoIterator<Item = &'h Hir>) -> (String, bool) {
    let mut prefix = String::new();
    for part in sequence {
        let (more, is_all) = certain_start(part);
        prefix.push_str(&more);
        if !is_all {
            return (prefix, false);
        }
    }
    (prefix, true)
}

/// What `hir` certainly begins with, and whether that is all it matches.
fn certain_start(hir: &Hir) -> (String, bool) {
    match hir.kind() {
        HirKind::Empty => (String::new(), true),
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => (text.to_owned(), true),
            Err(_) => (String::new(), false),
        },
        HirKind::Class(_) | HirKind::Look(_) => (String::new(), false),
        HirKind::Repetition(repetition) if repetition.min > 0 => {
            (certain_start(&repetition.sub).0, false)
        }
        HirKind::Repetition(_) => (String::new(), false),
        HirKind::Capture(capture) => certain_start(&capture.sub),
        HirKind::Concat(parts) => sequence_start(parts),
        HirKind::Alternation(parts) => {
            let mut starts = parts.iter().map(|part| certain_start(part).0);
            let mut common = starts.next().unwrap_or_default();
            for start in starts {
                let same = common.chars().zip(start.chars()).take_while(|(a, b)| a == b);
                common.truncate(same.map(|(c, _)| c.len_utf8()).sum());
            }
            (common, false)
        }
    }
}
