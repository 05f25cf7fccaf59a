//! Grouping keys: the part of a path that says which group is meant.

use super::error::PushError;
use crate::model::value_text::quoted;
use crate::model::{Labels, NameValidation, unescaped_name};
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Behind a label's name: its value is in base64, so that it may hold slashes or be empty.
const BASE64_SUFFIX: &str = "@base64";

/// The URL-safe alphabet. Padding is taken off before; stray bits at the end do not matter.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// The labels that make a group: `job`, and those of the path. Values may be empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupKey(BTreeMap<String, String>);

impl GroupKey {
    /// The group of a path below `/metrics/`, escapes resolved: `job/some_job/instance/i`. Where
    /// UTF-8 names are valid, `U__` begins one that is written in classic characters.
    ///
    /// # Errors
    /// `PushError::Path`, in the Pushgateway's words.
    /// Source: prometheus/pushgateway, handler/push.go.
    pub fn from_path(path: &str, names: NameValidation) -> Result<Self, PushError> {
        let wrong = |text: String| Err(PushError::Path(text));
        let (head, rest) = path.split_once('/').unwrap_or((path, ""));
        let (job, labels) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let job = match head {
            "job" => job.to_owned(),
            "job@base64" => match decoded(job) {
                Ok(job) => job,
                Err(why) => {
                    let job = quoted(job);
                    return wrong(format!("invalid base64 encoding in job name {job}: {why}"));
                }
            },
            _ => return wrong("a push goes to /metrics/job/<job>".to_owned()),
        };
        let mut found = split_labels(labels, names)?;
        if job.is_empty() {
            return wrong("job name is required".to_owned());
        }
        found.insert("job".to_owned(), job);
        Ok(Self(found))
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many labels it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never: there is always a job.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a label, `None` when the key does not have it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The labels as series have them, without empty ones.
    pub fn labels(&self) -> Labels {
        Labels::from_sorted(self.iter().filter(|(_, value)| !value.is_empty()))
    }

    /// Whether no series can be of both groups: some label differs.
    pub(super) fn is_disjoint(&self, other: &Self) -> bool {
        let differs = |(name, value): (&str, &str)| {
            // An empty label is an absent one, which the other group's own metrics may set.
            let found = other.get(name).filter(|found| !found.is_empty());
            !value.is_empty() && found.is_some_and(|found| found != value)
        };
        self.iter().any(differs)
    }
}

/// The labels of `/name/value/name/value`; empty and `/` have none.
fn split_labels(text: &str, names: NameValidation) -> Result<BTreeMap<String, String>, PushError> {
    let wrong = |text: String| Err(PushError::Path(text));
    let mut found = BTreeMap::new();
    if text.len() <= 1 {
        return Ok(found);
    }
    let mut parts = text.strip_prefix('/').unwrap_or(text).split('/');
    while let Some(name) = parts.next() {
        let Some(value) = parts.next() else {
            return wrong(format!("odd number of components in label string {}", quoted(text)));
        };
        let bare = name.strip_suffix(BASE64_SUFFIX).unwrap_or(name);
        let meant = match names {
            NameValidation::Utf8 => unescaped_name(bare),
            NameValidation::Legacy => bare.into(),
        };
        // Upstream lets a reserved name pass that is escaped: `__name__` would be one.
        let is_reserved = bare.starts_with("__") || meant.starts_with("__");
        if !names.is_label(&meant) || is_reserved {
            return wrong(format!("improper label name {}", quoted(bare)));
        }
        let value = if bare == name {
            value.to_owned()
        } else {
            match decoded(value) {
                Ok(value) => value,
                Err(why) => {
                    let value = quoted(value);
                    let text = format!("invalid base64 encoding for label {bare}={value}: {why}");
                    return wrong(text);
                }
            }
        };
        found.insert(meant.into_owned(), value);
    }
    Ok(found)
}

/// What the base64 text stands for. Upstream takes bytes that are no UTF-8, and fails every push
/// from then on; here they are refused.
fn decoded(text: &str) -> Result<String, String> {
    let bytes = BASE64.decode(text.trim_end_matches('=')).map_err(|err| err.to_string())?;
    String::from_utf8(bytes).map_err(|_| "the value is not valid UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(path: &str) -> Result<String, String> {
        read_with(path, NameValidation::Legacy)
    }

    fn read_with(path: &str, names: NameValidation) -> Result<String, String> {
        let key = GroupKey::from_path(path, names).map_err(|err| err.to_string())?;
        Ok(key.iter().map(|(name, value)| format!("{name}={value};")).collect())
    }

    #[test]
    fn paths_name_groups() {
        for (path, expected) in [
            ("job/j", "job=j;"),
            ("job/j/", "job=j;"),
            ("job/j/instance/i", "instance=i;job=j;"),
            ("job/j/a/", "a=;job=j;"),
            ("job/j/job/k", "job=j;"),
            ("job@base64/Zm9vL2Jhcg==", "job=foo/bar;"),
            ("job@base64/Zm9vL2Jhcg", "job=foo/bar;"),
            ("job/titan/name@base64/zqDPgc6_zrzOt864zrXPjc-C", "job=titan;name=Προμηθεύς;"),
            ("job/j/instance@base64/=", "instance=;job=j;"),
            ("job/j/a/1/a/2", "a=2;job=j;"),
        ] {
            assert_eq!(read(path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn paths_that_name_none_are_refused_in_upstreams_words() {
        for (path, expected) in [
            ("job", "job name is required"),
            ("job/", "job name is required"),
            ("job@base64/=", "job name is required"),
            ("jobs/j", "a push goes to /metrics/job/<job>"),
            ("job/j/a", "odd number of components in label string \"/a\""),
            ("job/j/a/b/c", "odd number of components in label string \"/a/b/c\""),
            ("job/j/__a/b", "improper label name \"__a\""),
            ("job/j/0a/b", "improper label name \"0a\""),
            ("job/j//b", "improper label name \"\""),
            ("job/j/a.b/c", "improper label name \"a.b\""),
        ] {
            assert_eq!(read(path), Err(expected.to_owned()), "{path}");
        }
        for path in ["job@base64/!!", "job/j/a@base64/!!", "job/j/a@base64/a_b-"] {
            let text = read(path).expect_err("no base64, or no UTF-8");
            assert!(text.starts_with("invalid base64 encoding"), "{path}: {text}");
        }
    }

    #[test]
    fn names_are_unescaped_where_utf8_is_valid() {
        // prometheus/pushgateway, README.md (the flag --push.enable-utf8-names).
        for (path, in_utf8, in_legacy) in [
            ("job/j/U__foo_2e_bar/baz", "foo.bar=baz;job=j;", "U__foo_2e_bar=baz;job=j;"),
            ("job/j/U__foo_2e_bar@base64/YmF6", "foo.bar=baz;job=j;", "U__foo_2e_bar=baz;job=j;"),
            ("job/j/U___55_____/b", "U__=b;job=j;", "U___55_____=b;job=j;"),
            ("job/j/U__in_xxx_valid/b", "U__in_xxx_valid=b;job=j;", "U__in_xxx_valid=b;job=j;"),
            ("job/j/U___1F60A_/b", "job=j;\u{1f60a}=b;", "U___1F60A_=b;job=j;"),
        ] {
            assert_eq!(read_with(path, NameValidation::Utf8).as_deref(), Ok(in_utf8), "{path}");
            assert_eq!(read(path).as_deref(), Ok(in_legacy), "{path}");
        }
        assert_eq!(read_with("job/j/a.b/c", NameValidation::Utf8), Ok("a.b=c;job=j;".to_owned()));
        for path in ["job/j/__a/b", "job/j//b", "job/j/U__/b", "job/j/U______name____/b"] {
            let text = read_with(path, NameValidation::Utf8).expect_err("no name");
            assert!(text.starts_with("improper label name"), "{path}: {text}");
        }
    }

    #[test]
    fn groups_are_disjoint_when_a_label_differs() {
        let key = |path: &str| GroupKey::from_path(path, NameValidation::Legacy).expect("a group");
        for (one, other, expected) in [
            ("job/j/instance/a", "job/j/instance/b", true),
            ("job/j", "job/k", true),
            ("job/j", "job/j/instance/b", false),
            ("job/j/a/1", "job/j/b/1", false),
            ("job/j/instance@base64/=", "job/j/instance/b", false),
        ] {
            assert_eq!(key(one).is_disjoint(&key(other)), expected, "{one} {other}");
            assert_eq!(key(other).is_disjoint(&key(one)), expected, "{other} {one}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_read_or_refused(path in "(job(@base64)?/)?[a-z_@/=A-Z0-9%é-]{0,60}") {
            for names in [NameValidation::Legacy, NameValidation::Utf8] {
                if let Ok(key) = GroupKey::from_path(&path, names) {
                    prop_assert!(!key.value_of_job().is_empty());
                }
            }
        }

        #[test]
        fn any_labels_come_back_out_of_base64(job in ".{1,20}", value in ".{0,20}") {
            let text = |text: &str| base64::engine::general_purpose::URL_SAFE.encode(text);
            let value_text = if value.is_empty() { "=".to_owned() } else { text(&value) };
            let path = format!("job@base64/{}/a@base64/{value_text}", text(&job));
            let key = GroupKey::from_path(&path, NameValidation::Legacy).expect("a group");
            prop_assert_eq!(key.get("job"), Some(job.as_str()));
            prop_assert_eq!(key.get("a"), Some(value.as_str()));
        }
    }

    impl GroupKey {
        fn value_of_job(&self) -> &str {
            self.get("job").unwrap_or_default()
        }
    }
}
