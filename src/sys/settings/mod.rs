//! Raw values of configuration files that several parts share: durations, sizes, secrets,
//! expressions, relabelling rules, HTTP clients.
//!
//! Start reading here, then `client.rs` (HTTP clients). Each part's `config.rs` builds its settings
//! out of these with serde; `config` turns serde's errors into file, line and column.

mod client;

pub(crate) use client::with_http_client;
pub use client::*;

use crate::model::relabel::{Action, Rule};
use crate::model::{Labels, Problem, Regex, duration};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A duration in Prometheus' spelling, `1h30m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Whether it is no time at all.
    pub const fn is_zero(&self) -> bool {
        self.0.is_zero()
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Scalar::deserialize(from)?.0;
        duration::parse(&text).map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&duration::format(self.0))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&duration::format(self.0))
    }
}

/// A size in bytes, `512MB`, in powers of 1024.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// Reads `512MB`, `1GiB` or `0`.
    ///
    /// # Errors
    /// A sentence that names the text and the form that is wanted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("cannot read size {text:?}; write a number and B, KB, MB, GB, TB, PB or EB");
        if text == "0" {
            return Ok(Self(0));
        }
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(digits);
        let shift = match unit {
            "B" => 0,
            "KB" | "KiB" | "K" => 10,
            "MB" | "MiB" | "M" => 20,
            "GB" | "GiB" | "G" => 30,
            "TB" | "TiB" | "T" => 40,
            "PB" | "PiB" | "P" => 50,
            "EB" | "EiB" | "E" => 60,
            _ => return Err(wrong()),
        };
        let count: u64 = number.parse().map_err(|_| wrong())?;
        count.checked_mul(1 << shift).map(Self).ok_or_else(wrong)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&Scalar::deserialize(from)?.0).map_err(D::Error::custom)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let units = [(60, "EB"), (50, "PB"), (40, "TB"), (30, "GB"), (20, "MB"), (10, "KB")];
        for (shift, unit) in units {
            if self.0 != 0 && self.0.is_multiple_of(1 << shift) {
                return to.serialize_str(&format!("{}{unit}", self.0 >> shift));
            }
        }
        to.serialize_str(&format!("{}B", self.0))
    }
}

/// A scalar as its text, whatever YAML took it for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scalar(pub String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Any {
            Text(String),
            Whole(i64),
            Big(u64),
            Float(f64),
            Flag(bool),
            Null(()),
        }
        Ok(Self(
            match Any::deserialize(from)
                .map_err(|_| D::Error::custom("a single value is wanted"))?
            {
                Any::Text(text) => text,
                Any::Whole(number) => number.to_string(),
                Any::Big(number) => number.to_string(),
                Any::Float(number) => crate::model::value_text::go_default(number),
                Any::Flag(flag) => flag.to_string(),
                Any::Null(()) => String::new(),
            },
        ))
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

/// Reads what is either a text or a map of settings, so that what is wrong inside the map is told
/// with its place.
///
/// # Errors
/// It is neither, or the map holds what its settings refuse.
pub fn text_or_map<'de, D, T, M>(
    from: D,
    of_text: fn(String) -> T,
    of_map: fn(M) -> T,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    M: Deserialize<'de>,
{
    struct Either<T, M>(fn(String) -> T, fn(M) -> T);
    impl<'de, T, M: Deserialize<'de>> Visitor<'de> for Either<T, M> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string or a map")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            Ok(self.0(text.to_owned()))
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            M::deserialize(MapAccessDeserializer::new(map)).map(self.1)
        }
    }
    from.deserialize_any(Either(of_text, of_map))
}

/// `serde(with)` for label sets: a map of names to scalars.
pub mod labels {
    use super::*;

    /// Writes a map.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(labels: &Labels, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(labels)
    }

    /// Reads a map.
    ///
    /// # Errors
    /// It is no map of scalars.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Labels, D::Error> {
        let map = BTreeMap::<String, Scalar>::deserialize(from)?;
        Ok(Labels::from_pairs(map.into_iter().map(|(name, value)| (name, value.0))))
    }
}

/// A value that is never shown: it has no text form, and serializes as `<secret>`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one use it is meant for.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(Scalar::deserialize(from)?.0))
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str("<secret>")
    }
}

impl Secret {
    /// Serializes a URL that lets its holder in: its scheme and host are shown, and `<secret>`
    /// stands for what follows. Readers that want a URL there, as `amtool` before 0.28 does of a
    /// web hook, find one. What is a template or no URL is `<secret>` whole.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize_url<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.shown_url())
    }

    /// The same as a text.
    pub fn shown_url(&self) -> String {
        url_with_host_alone(&self.0).unwrap_or_else(|| "<secret>".to_owned())
    }
}

fn url_with_host_alone(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://").filter(|_| !url.contains("{{"))?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().filter(|host| !host.is_empty())?;
    let is_host = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    let fits = ["http", "https"].contains(&scheme) && host.chars().all(is_host);
    let rest = if rest == host { "" } else { "/<secret>" };
    fits.then(|| format!("{scheme}://{host}{rest}"))
}

/// A URL as it may be shown: a password in it is replaced, as Go's `URL.Redacted` does.
pub fn url_without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@').map(|(user, host)| (user.split_once(':'), host)) {
        Some((Some((user, _)), host)) => format!("{scheme}://{user}:xxxxx@{host}{path}"),
        Some((None, _)) | None => url.to_owned(),
    }
}

/// A URL as it is written. It may hold a password, which is not shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ShownUrl(String);

impl ShownUrl {
    /// A URL with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// All of it, for the one use it is meant for.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether nothing is written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for ShownUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&url_without_password(&self.0))
    }
}

impl fmt::Debug for ShownUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", url_without_password(&self.0))
    }
}

impl<'de> Deserialize<'de> for ShownUrl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self)
    }
}

impl Serialize for ShownUrl {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// `relabel_configs` and its kin, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelabelSettings {
    /// Labels whose values are joined.
    pub source_labels: Vec<String>,
    /// What stands between them; `;` when missing.
    pub separator: Option<String>,
    /// The expression; `(.*)` when missing.
    pub regex: Option<Scalar>,
    /// For `hashmod`.
    pub modulus: u64,
    /// The label that is set.
    pub target_label: String,
    /// The new value; `$1` when missing.
    pub replacement: Option<Scalar>,
    /// The action; `replace` when missing.
    pub action: Option<String>,
}

/// Names of the relabelling actions.
const ACTIONS: [&str; 11] = [
    "replace",
    "keep",
    "drop",
    "keepequal",
    "dropequal",
    "hashmod",
    "labelmap",
    "labeldrop",
    "labelkeep",
    "lowercase",
    "uppercase",
];

impl RelabelSettings {
    /// The checked rule.
    ///
    /// # Errors
    /// Prometheus would refuse the combination.
    pub fn to_rule(&self) -> Result<Rule, Problem> {
        let written = self.action.as_deref().unwrap_or("replace");
        let action = written.to_ascii_lowercase();
        let regex_text = self.regex.as_ref().map_or("(.*)", |text| text.0.as_str());
        let regex =
            Regex::anchored(regex_text).map_err(|err| Problem::new("regex", err.to_string()))?;
        let replacement = self.replacement.as_ref().map_or("$1", |text| &text.0).to_owned();
        let target = self.target_label.clone();
        let needs_target = matches!(
            action.as_str(),
            "replace" | "hashmod" | "lowercase" | "uppercase" | "keepequal" | "dropequal"
        );
        if needs_target && target.is_empty() {
            let text =
                format!("relabel configuration for {action} action requires 'target_label' value");
            return Err(Problem::new("", text));
        }
        self.check_unused(&action)?;
        let action = match action.as_str() {
            "replace" => Action::Replace { target, replacement },
            "keep" => Action::Keep,
            "drop" => Action::Drop,
            "keepequal" => Action::KeepEqual { target },
            "dropequal" => Action::DropEqual { target },
            "hashmod" if self.modulus == 0 => {
                let text = "relabel configuration for hashmod requires non-zero modulus";
                return Err(Problem::new("", text));
            }
            "hashmod" => Action::HashMod { target, modulus: self.modulus },
            "labelmap" => Action::LabelMap { replacement },
            "labeldrop" => Action::LabelDrop,
            "labelkeep" => Action::LabelKeep,
            "lowercase" => Action::Lowercase { target },
            "uppercase" => Action::Uppercase { target },
            _ => return Err(unknown_action(written)),
        };
        let separator = self.separator.clone().unwrap_or_else(|| ";".to_owned());
        Ok(Rule { source_labels: self.source_labels.clone(), separator, regex, action })
    }

    /// Fields that mean nothing for an action are refused, so that nobody believes they act.
    fn check_unused(&self, action: &str) -> Result<(), Problem> {
        let only = |allowed: &str, extra: bool| {
            let text = format!("{action} action requires only {allowed}, and no other fields");
            if extra { Err(Problem::new("", text)) } else { Ok(()) }
        };
        let changed = self.modulus != 0 || self.separator.is_some() || self.replacement.is_some();
        match action {
            "labeldrop" | "labelkeep" => {
                let named = !self.source_labels.is_empty() || !self.target_label.is_empty();
                only("'regex'", named || changed)
            }
            "keepequal" | "dropequal" => {
                only("'source_labels' and 'target_label'", changed || self.regex.is_some())
            }
            _ => Ok(()),
        }
    }
}

fn unknown_action(written: &str) -> Problem {
    let hint = crate::model::nearest_name(written, ACTIONS)
        .map(|name| format!("; did you mean {name:?}?"))
        .unwrap_or_default();
    Problem::new("action", format!("unknown relabel action {written:?}{hint}"))
}

/// Checks a list of relabelling rules; `at` names the list.
///
/// # Errors
/// Every rule that Prometheus would refuse.
pub fn relabel_rules(at: &str, list: &[RelabelSettings]) -> Result<Vec<Rule>, Vec<Problem>> {
    let mut rules = Vec::new();
    let mut problems = Vec::new();
    for (place, settings) in list.iter().enumerate() {
        match settings.to_rule() {
            Ok(rule) => rules.push(rule),
            Err(problem) => problems.push(problem.below(&format!("{at}[{place}]"))),
        }
    }
    if problems.is_empty() { Ok(rules) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024_and_need_a_unit() {
        assert_eq!(ByteSize::parse("512MB"), Ok(ByteSize(512 << 20)));
        assert_eq!(ByteSize::parse("1GiB"), Ok(ByteSize(1 << 30)));
        for wrong in ["512", "MB", "1.5GB", "99999999EB", "1 GB"] {
            assert!(ByteSize::parse(wrong).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn a_secret_never_shows() {
        let auth = BasicAuth { password: Secret::new("hunter2"), ..BasicAuth::default() };
        let shown = format!("{auth:?} {}", serde_yaml::to_string(&auth).expect("writes"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn of_a_secret_url_only_the_host_shows() {
        #[derive(Serialize)]
        struct Hook(#[serde(serialize_with = "Secret::serialize_url")] Secret);
        for (url, shown) in [
            ("http://a:b@c:9/d@e?f#g", "http://c:9/<secret>"),
            ("https://[::1]:9/x", "https://[::1]:9/<secret>"),
            ("https://a/", "https://a/<secret>"),
            ("http://a?b", "http://a/<secret>"),
            ("http://a:9", "http://a:9"),
            ("http://{{ .x }}/y", "<secret>"),
            ("http://a b/y", "<secret>"),
            ("http://a@/y", "<secret>"),
            ("ftp://a/y", "<secret>"),
            ("nothing", "<secret>"),
        ] {
            let written = serde_json::to_value(Hook(Secret::new(url))).expect("writes");
            assert_eq!(written, shown, "{url}");
        }
    }

    #[test]
    fn a_password_in_a_url_never_shows() {
        for (url, shown) in [
            ("http://a:b@c/d@e", "http://a:xxxxx@c/d@e"),
            ("http://a:b@c@d", "http://a:xxxxx@d"),
            ("http://a@b:1/c", "http://a@b:1/c"),
            ("http://b:1/c?d=e:f@g", "http://b:1/c?d=e:f@g"),
            ("unix:///a", "unix:///a"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(url_without_password(url), shown);
        }
    }

    #[test]
    fn t10_relabel_rules_are_checked_per_action() {
        for (text, message) in [
            (
                "{action: hashmod, target_label: a}",
                "relabel configuration for hashmod requires non-zero modulus",
            ),
            (
                "{action: labeldrop, source_labels: [a]}",
                "labeldrop action requires only 'regex', and no other fields",
            ),
            (
                "{action: replce, target_label: a}",
                "action: unknown relabel action \"replce\"; did you mean \"replace\"?",
            ),
            (
                "{regex: a}",
                "relabel configuration for replace action requires 'target_label' value",
            ),
        ] {
            let settings: RelabelSettings = serde_yaml::from_str(text).expect("reads");
            let problem = settings.to_rule().expect_err(text);
            assert_eq!(problem.to_string(), message);
        }
        let settings: RelabelSettings =
            serde_yaml::from_str("{action: Keep, source_labels: [a], regex: 1}").expect("reads");
        assert_eq!(settings.to_rule().expect("valid").regex.as_str(), "1");
    }
}
