//! Relabelling: rules that keep, drop and rewrite label sets.
//!
//! Source: prometheus, model/relabel/relabel.go.

use super::value_text::quoted;
use super::{Labels, LabelsBuilder, NameValidation, Regex};
use md5::{Digest, Md5};
use std::collections::BTreeMap;
use std::fmt;

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sets `target` to the expanded replacement when the expression matches.
    Replace {
        /// The label to set; may hold group references.
        target: String,
        /// The new value; may hold group references.
        replacement: String,
    },
    /// Keeps the set only when the expression matches.
    Keep,
    /// Drops the set when the expression matches.
    Drop,
    /// Keeps the set only when the joined value equals the label.
    KeepEqual {
        /// The label to compare with.
        target: String,
    },
    /// Drops the set when the joined value equals the label.
    DropEqual {
        /// The label to compare with.
        target: String,
    },
    /// Sets `target` to a hash of the joined value, modulo `modulus`.
    HashMod {
        /// The label to set.
        target: String,
        /// How many different values there are; not zero.
        modulus: u64,
    },
    /// Copies every label whose name matches to the expanded name.
    LabelMap {
        /// The new name; may hold group references.
        replacement: String,
    },
    /// Removes every label whose name matches.
    LabelDrop,
    /// Removes every label whose name does not match.
    LabelKeep,
    /// Sets `target` to the joined value in lower case.
    Lowercase {
        /// The label to set.
        target: String,
    },
    /// Sets `target` to the joined value in upper case.
    Uppercase {
        /// The label to set.
        target: String,
    },
}

/// One relabelling rule; `ingest` and `alerts` make it from their settings, which check it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Labels whose values are joined, absent ones as empty.
    pub source_labels: Vec<String>,
    /// What stands between the joined values.
    pub separator: String,
    /// Anchored at both ends.
    pub regex: Regex,
    /// What is done.
    pub action: Action,
    /// Which names a replacement may give to its label.
    pub names: NameValidation,
}

/// What relabelling decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The (changed) set stays.
    Keep,
    /// The set is dropped.
    Drop,
}

/// Runs all rules over `labels`; stops at the first that drops the set.
pub fn apply(rules: &[Rule], labels: &mut LabelsBuilder) -> Outcome {
    for rule in rules {
        if apply_one(rule, labels) == Outcome::Drop {
            return Outcome::Drop;
        }
    }
    Outcome::Keep
}

/// Runs one rule: for explanations, step by step.
pub fn apply_one(rule: &Rule, labels: &mut LabelsBuilder) -> Outcome {
    let joined = || {
        let values = rule.source_labels.iter().map(|name| labels.get(name).unwrap_or_default());
        values.collect::<Vec<_>>().join(&rule.separator)
    };
    match &rule.action {
        Action::Keep => return keep_if(rule.regex.is_match(&joined())),
        Action::Drop => return keep_if(!rule.regex.is_match(&joined())),
        Action::KeepEqual { target } => {
            return keep_if(labels.get(target).unwrap_or_default() == joined());
        }
        Action::DropEqual { target } => {
            return keep_if(labels.get(target).unwrap_or_default() != joined());
        }
        Action::Replace { target, replacement } => {
            let value = joined();
            replace(rule, &value, target, replacement, labels);
        }
        Action::HashMod { target, modulus } => {
            let value = hash_mod(&joined(), *modulus);
            labels.set(target.as_str(), value.to_string());
        }
        Action::Lowercase { target } => {
            let value = joined().to_lowercase();
            labels.set(target.as_str(), value);
        }
        Action::Uppercase { target } => {
            let value = joined().to_uppercase();
            labels.set(target.as_str(), value);
        }
        Action::LabelMap { replacement } => label_map(rule, replacement, labels),
        Action::LabelDrop => {
            labels.retain(|name, _| !rule.regex.is_match(name));
        }
        Action::LabelKeep => {
            labels.retain(|name, _| rule.regex.is_match(name));
        }
    }
    Outcome::Keep
}

fn keep_if(holds: bool) -> Outcome {
    if holds { Outcome::Keep } else { Outcome::Drop }
}

fn replace(rule: &Rule, value: &str, target: &str, replacement: &str, labels: &mut LabelsBuilder) {
    let target = rule.regex.expand(value, target);
    let Some(target) = target.filter(|name| rule.names.is_label(name)) else { return };
    let replaced = rule.regex.expand(value, replacement).unwrap_or_default();
    labels.set(target, replaced);
}

fn label_map(rule: &Rule, replacement: &str, labels: &mut LabelsBuilder) {
    let mapped: Vec<_> = labels
        .iter()
        .filter_map(|(name, value)| Some((rule.regex.expand(name, replacement)?, value.to_owned())))
        .collect();
    for (name, value) in mapped {
        labels.set(name, value);
    }
}

/// The low 8 bytes, big-endian, of the MD5 of `value`, modulo `modulus`.
fn hash_mod(value: &str, modulus: u64) -> u64 {
    let digest: [u8; 16] = Md5::digest(value.as_bytes()).into();
    let [.., a, b, c, d, e, f, g, h] = digest;
    u64::from_be_bytes([a, b, c, d, e, f, g, h]).checked_rem(modulus).unwrap_or(0)
}

/// What became of one label, as people are shown it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The label.
    pub name: &'a str,
    /// Its value before; `None` when there was none.
    pub before: Option<&'a str>,
    /// Its value after; `None` when there is none any more.
    pub after: Option<&'a str>,
}

impl fmt::Display for Change<'_> {
    /// `+ a="b"` set, `- a="b"` removed, `~ a="c" was "b"` changed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name;
        match (self.before.map(quoted), self.after.map(quoted)) {
            (None, Some(after)) => write!(f, "+ {name}={after}"),
            (Some(before), None) => write!(f, "- {name}={before}"),
            (Some(before), Some(after)) => write!(f, "~ {name}={after} was {before}"),
            (None, None) => Ok(()),
        }
    }
}

/// The labels that differ, by name.
pub fn changes<'a>(before: &'a Labels, after: &'a Labels) -> Vec<Change<'a>> {
    let mut all: BTreeMap<&str, Change<'a>> = BTreeMap::new();
    let none = |name| Change { name, before: None, after: None };
    for (name, value) in before {
        all.entry(name).or_insert(none(name)).before = Some(value);
    }
    for (name, value) in after {
        all.entry(name).or_insert(none(name)).after = Some(value);
    }
    all.into_values().filter(|change| change.before != change.after).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Labels;
    use super::*;

    fn rule(sources: &[&str], regex: &str, action: Action) -> Rule {
        Rule {
            source_labels: sources.iter().map(|name| (*name).to_owned()).collect(),
            separator: ";".to_owned(),
            regex: Regex::anchored(regex).expect("valid"),
            action,
            names: NameValidation::Utf8,
        }
    }

    fn replace(target: &str, replacement: &str) -> Action {
        Action::Replace { target: target.to_owned(), replacement: replacement.to_owned() }
    }

    #[track_caller]
    fn check(rule: &Rule, before: &[(&str, &str)], after: Option<&[(&str, &str)]>) {
        let mut labels = LabelsBuilder::default();
        for (name, value) in before {
            labels.set(*name, *value);
        }
        let outcome = apply_one(rule, &mut labels);
        let found = (outcome == Outcome::Keep).then(|| labels.build());
        assert_eq!(found, after.map(|pairs| Labels::from_pairs(pairs.iter().copied())));
    }

    #[test]
    fn t10_relabelling_is_prometheus() {
        check(&rule(&["a"], "(.*)", replace("b", "$1x")), &[("a", "1")], Some(&[("a", "1")]));
        check(
            &rule(&["a"], "(.*)", replace("b", "${1}x")),
            &[("a", "1")],
            Some(&[("a", "1"), ("b", "1x")]),
        );
        // An empty result deletes, and a constant fires on an empty value.
        check(&rule(&["c"], "(.*)", replace("a", "$1")), &[("a", "1")], Some(&[]));
        check(&rule(&["c"], "(.*)", replace("b", "k")), &[], Some(&[("b", "k")]));
        // A missing label compares as empty, sources are joined even when empty.
        check(&rule(&["x"], "", Action::Keep), &[("a", "1")], Some(&[("a", "1")]));
        check(&rule(&["x", "y"], ";", Action::Drop), &[("a", "1")], None);
        // The target may hold a group.
        check(
            &rule(&["a"], "(.+)-(.+)", replace("${1}", "$2")),
            &[("a", "k-v")],
            Some(&[("a", "k-v"), ("k", "v")]),
        );
        check(
            &rule(&[], "__meta_(.+)", Action::LabelMap { replacement: "$1".to_owned() }),
            &[("__meta_x", "1")],
            Some(&[("__meta_x", "1"), ("x", "1")]),
        );
        check(
            &rule(&[], "a.*", Action::LabelDrop),
            &[("ab", "1"), ("b", "2")],
            Some(&[("b", "2")]),
        );
        check(
            &rule(&[], "a.*", Action::LabelKeep),
            &[("ab", "1"), ("b", "2")],
            Some(&[("ab", "1")]),
        );
        check(
            &rule(&["a"], "(.*)", Action::DropEqual { target: "b".to_owned() }),
            &[("a", "1"), ("b", "1")],
            None,
        );
    }

    #[test]
    fn a_label_whose_name_is_not_valid_is_not_set() {
        // prometheus, model/relabel/relabel.go: `relabel` asks the scheme for the expanded name.
        let utf8 = rule(&["a"], "(.*)", replace("$1", "x"));
        let legacy = Rule { names: NameValidation::Legacy, ..utf8.clone() };
        for (value, in_utf8, in_legacy) in [("b", true, true), ("b.c", true, false)] {
            for (rule, is_set) in [(&utf8, in_utf8), (&legacy, in_legacy)] {
                let set: &[_] = &[("a", value), (value, "x")];
                let same: &[_] = &[("a", value)];
                check(rule, same, Some(if is_set { set } else { same }));
            }
        }
    }

    #[test]
    fn t10_hashmod_takes_the_low_bytes_of_md5() {
        // prometheus, model/relabel/relabel_test.go: foo;bar;baz modulo 1000 is 976 for "c".
        let hash = Action::HashMod { target: "d".to_owned(), modulus: 1000 };
        check(&rule(&["c"], "(.*)", hash), &[("c", "baz")], Some(&[("c", "baz"), ("d", "976")]));
    }

    #[test]
    fn changes_name_what_is_set_removed_and_changed() {
        let before = Labels::from_pairs([("a", "1"), ("b", "2"), ("c", "3")]);
        let after = Labels::from_pairs([("a", "1"), ("b", "\"x\""), ("d", "4")]);
        let found: Vec<_> = changes(&before, &after).iter().map(Change::to_string).collect();
        assert_eq!(found, ["~ b=\"\\\"x\\\"\" was \"2\"", "- c=\"3\"", "+ d=\"4\""]);
        assert_eq!(changes(&before, &before), []);
    }
}
