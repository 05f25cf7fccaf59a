//! `otlp`: how what OpenTelemetry pushes is named here.
//!
//! Source: prometheus, config/config.go (OTLPConfig).

use crate::model::Problem;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How names become names of Prometheus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum TranslationStrategy {
    /// Other characters become underscores; unit and type are appended.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// Other characters become underscores.
    UnderscoreEscapingWithoutSuffixes,
    /// Names stay; unit and type are appended.
    NoUTF8EscapingWithSuffixes,
    /// Names stay.
    NoTranslation,
}

impl TranslationStrategy {
    /// Whether characters that old names may not have become underscores.
    pub const fn escapes(self) -> bool {
        matches!(
            self,
            Self::UnderscoreEscapingWithSuffixes | Self::UnderscoreEscapingWithoutSuffixes
        )
    }

    /// Whether unit and type are appended.
    pub const fn has_suffixes(self) -> bool {
        matches!(self, Self::UnderscoreEscapingWithSuffixes | Self::NoUTF8EscapingWithSuffixes)
    }
}

/// The section.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "Prometheus' keys; its manual describes each")]
pub struct OtlpSettings {
    #[serde(skip_serializing_if = "is_false")]
    pub promote_all_resource_attributes: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub promote_resource_attributes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore_resource_attributes: Vec<String>,
    pub translation_strategy: TranslationStrategy,
    #[serde(skip_serializing_if = "is_false")]
    pub keep_identifying_resource_attributes: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub convert_histograms_to_nhcb: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub promote_scope_metadata: bool,
    pub label_name_underscore_sanitization: bool,
    pub label_name_preserve_multiple_underscores: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Default for OtlpSettings {
    fn default() -> Self {
        Self {
            promote_all_resource_attributes: false,
            promote_resource_attributes: Vec::new(),
            ignore_resource_attributes: Vec::new(),
            translation_strategy: TranslationStrategy::default(),
            keep_identifying_resource_attributes: false,
            convert_histograms_to_nhcb: false,
            promote_scope_metadata: false,
            label_name_underscore_sanitization: true,
            label_name_preserve_multiple_underscores: true,
        }
    }
}

impl OtlpSettings {
    /// The section as it is used: names trimmed. `legacy_names` says that the file allows names of
    /// the old kind only.
    ///
    /// # Errors
    /// Everything that Prometheus would refuse, with paths below `otlp`.
    pub fn check(&self, legacy_names: bool) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut used = self.clone();
        let all = self.promote_all_resource_attributes;
        if all && !self.promote_resource_attributes.is_empty() {
            let text = "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be configured simultaneously";
            problems.push(Problem::new("promote_resource_attributes", text));
        }
        if !all && !self.ignore_resource_attributes.is_empty() {
            let text = "'ignore_resource_attributes' cannot be configured unless 'promote_all_resource_attributes' is true";
            problems.push(Problem::new("ignore_resource_attributes", text));
        }
        for (key, word, list) in [
            ("promote_resource_attributes", "promoted", &mut used.promote_resource_attributes),
            ("ignore_resource_attributes", "ignored", &mut used.ignore_resource_attributes),
        ] {
            trim(key, word, list, &mut problems);
        }
        if legacy_names && !self.translation_strategy.escapes() {
            let text = format!(
                "OTLP translation strategy \"{:?}\" is not allowed when UTF8 is disabled",
                self.translation_strategy
            );
            problems.push(Problem::new("translation_strategy", text));
        }
        if problems.is_empty() { Ok(used) } else { Err(problems) }
    }

    /// Keys that are known and have no effect.
    pub fn without_effect(&self) -> Option<Problem> {
        let text = "convert_histograms_to_nhcb has no effect: native histograms are not kept, \
                    histograms keep their buckets";
        self.convert_histograms_to_nhcb.then(|| Problem::new("convert_histograms_to_nhcb", text))
    }

    /// Whether a resource's attribute becomes a label of all its series.
    pub fn promotes(&self, attribute: &str) -> bool {
        let is_in = |list: &[String]| list.iter().any(|name| name == attribute);
        if self.promote_all_resource_attributes {
            return !is_in(&self.ignore_resource_attributes);
        }
        is_in(&self.promote_resource_attributes)
    }
}

fn trim(key: &str, word: &str, list: &mut [String], problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    for (place, name) in list.iter_mut().enumerate() {
        *name = name.trim().to_owned();
        let at = format!("{key}[{place}]");
        if name.is_empty() {
            problems.push(Problem::new(at, format!("empty {word} OTel resource attribute")));
        } else if !seen.insert(name.clone()) {
            let text = format!("duplicated {word} OTel resource attribute {name:?}");
            problems.push(Problem::new(at, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_is_checked_as_in_prometheus() {
        let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let all = OtlpSettings { promote_all_resource_attributes: true, ..OtlpSettings::default() };
        let plain = OtlpSettings::default();
        let untranslated = OtlpSettings {
            translation_strategy: TranslationStrategy::NoTranslation,
            ..OtlpSettings::default()
        };
        for (settings, legacy, wrong) in [
            (plain.clone(), true, ""),
            (all.clone(), false, ""),
            (untranslated.clone(), false, ""),
            (untranslated, true, "not allowed when UTF8 is disabled"),
            (
                OtlpSettings { promote_resource_attributes: named(&["a"]), ..all.clone() },
                false,
                "cannot be configured simultaneously",
            ),
            (
                OtlpSettings { ignore_resource_attributes: named(&["a"]), ..plain.clone() },
                false,
                "cannot be configured unless",
            ),
            (
                OtlpSettings { promote_resource_attributes: named(&["a", " a"]), ..plain.clone() },
                false,
                "duplicated promoted OTel resource attribute \"a\"",
            ),
            (
                OtlpSettings { ignore_resource_attributes: named(&[" "]), ..all.clone() },
                false,
                "empty ignored OTel resource attribute",
            ),
        ] {
            match settings.check(legacy) {
                Ok(_) => assert_eq!(wrong, "", "{settings:?}"),
                Err(problems) => {
                    assert!(
                        !wrong.is_empty() && problems[0].message.contains(wrong),
                        "{problems:?}"
                    );
                }
            }
        }
        let some = OtlpSettings { promote_resource_attributes: named(&[" a "]), ..plain };
        let some = some.check(false).expect("fine");
        assert!(some.promotes("a") && !some.promotes("b"));
        let but = OtlpSettings { ignore_resource_attributes: named(&["a"]), ..all };
        assert!(!but.promotes("a") && but.promotes("b"));
    }
}
