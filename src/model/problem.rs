//! What is wrong with a configuration, where, and what to write instead.

use std::fmt;

/// One fault in a settings tree. `config` turns `at` into file, line and column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path from the document's root, as `groups[0].rules[2].expr`; empty for the root.
    pub at: String,
    /// Byte offset inside the scalar at that path, where the fault lies deeper than the scalar.
    pub offset: Option<usize>,
    /// What is wrong, what was found, what is allowed.
    pub message: String,
}

impl Problem {
    /// A fault of the whole value at `at`.
    pub fn new(at: impl Into<String>, message: impl Into<String>) -> Self {
        Self { at: at.into(), offset: None, message: message.into() }
    }

    /// The same fault below `parent`.
    #[must_use]
    pub fn below(mut self, parent: &str) -> Self {
        let joint = if self.at.is_empty() || self.at.starts_with('[') || parent.is_empty() {
            ""
        } else {
            "."
        };
        self.at = format!("{parent}{joint}{}", self.at);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.at, self.message)
    }
}

/// The name out of `known` that is nearest to `written`, when it is near enough to be meant.
pub fn nearest_name<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // A third of the letters may differ: `exprr` finds `expr`, `foo` finds nothing.
    let allowed = (written.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| (edit_distance(written, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        // Of equally near names the one that was begun: `rat` is `rate` before it is `rad`.
        .min_by_key(|(distance, name)| (*distance, !name.starts_with(written)))
        .map(|(_, name)| name)
}

/// Levenshtein's distance, with a swap of neighbours counted as one.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut last_a = None;
    for (i, ca) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX - 1);
            let swapped = j > 0 && last_a == Some(*cb) && b.get(j - 1) == Some(&ca);
            let mut cost = (at(&row, j) + usize::from(ca != *cb))
                .min(at(&row, j + 1) + 1)
                .min(at(&next, j) + 1);
            if swapped {
                cost = cost.min(at(&before, j - 1) + 1);
            }
            next.push(cost);
        }
        before = std::mem::replace(&mut row, next);
        last_a = Some(ca);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelling_finds_its_word() {
        let known = ["expr", "alert", "of", "record", "for", "labels"];
        for (written, meant) in [
            ("exprr", Some("expr")),
            ("aelrt", Some("alert")),
            ("label", Some("labels")),
            ("nonsense", None),
            ("fo", Some("for")),
        ] {
            assert_eq!(nearest_name(written, known), meant, "{written}");
        }
    }

    #[test]
    fn paths_join() {
        let problem = Problem::new("expr", "x").below("rules[1]").below("groups[0]");
        assert_eq!(problem.at, "groups[0].rules[1].expr");
        assert_eq!(Problem::new("[1]", "x").below("rules").at, "rules[1]");
    }
}
