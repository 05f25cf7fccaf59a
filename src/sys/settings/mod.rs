//! Raw values of configuration files that several parts share: durations, sizes, secrets,
//! expressions, relabelling rules, HTTP clients.
//!
//! Start reading here, then `client.rs` (HTTP clients). Each part's `config.rs` builds its settings
//! out of these with serde; `config` turns serde's errors into file, line and column.

mod client;

pub(crate) use client::with_http_client;
pub use client::*;

use crate::model::relabel::{Action, Rule};
use crate::model::{Labels, NameValidation, Problem, Regex, duration};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

/// `serde(deserialize_with)`: an empty value, as YAML's `routes:` alone, is the default.
///
/// # Errors
/// Those of the value.
pub fn null_as_default<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

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

/// A duration in Go's spelling, `1.5h`, where upstream reads one so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoSpan(pub Duration);

impl GoSpan {
    /// Whether it is no time at all.
    pub const fn is_zero(&self) -> bool {
        self.0.is_zero()
    }
}

impl<'de> Deserialize<'de> for GoSpan {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Scalar::deserialize(from)?.0;
        duration::parse_go(&text).map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for GoSpan {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&duration::go_text(self.0))
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

impl Scalar {
    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

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

/// `relabel_configs` and its kin, as written. A key that is missing has its default; one without a
/// value is empty.
///
/// Source: prometheus, model/relabel/relabel.go (Config); what it writes, this writes too.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelabelSettings {
    /// Labels whose values are joined.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_labels: Vec<String>,
    /// What stands between them; `;` when missing.
    pub separator: Scalar,
    /// The expression; `(.*)` when missing.
    #[serde(deserialize_with = "written", skip_serializing_if = "Option::is_none")]
    pub regex: Option<Scalar>,
    /// For `hashmod`.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_as_default")]
    pub modulus: u64,
    /// The label that is set.
    #[serde(skip_serializing_if = "Scalar::is_empty")]
    pub target_label: Scalar,
    /// The new value; `$1` when missing.
    pub replacement: Scalar,
    /// The action; `replace` when missing.
    #[serde(deserialize_with = "action")]
    pub action: Scalar,
}

impl Default for RelabelSettings {
    fn default() -> Self {
        Self {
            source_labels: Vec::new(),
            separator: Scalar(SEPARATOR.to_owned()),
            regex: None,
            modulus: 0,
            target_label: Scalar::default(),
            replacement: Scalar(REPLACEMENT.to_owned()),
            action: Scalar("replace".to_owned()),
        }
    }
}

const SEPARATOR: &str = ";";
const REPLACEMENT: &str = "$1";

/// A key that is there: without a value it is empty, where serde would take it for missing.
fn written<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Scalar>, D::Error> {
    Scalar::deserialize(from).map(Some)
}

/// A name of an action in whatever case; what is none stays as it is, for whoever tells of it.
fn action<'de, D: Deserializer<'de>>(from: D) -> Result<Scalar, D::Error> {
    let written = Scalar::deserialize(from)?;
    let lower = written.0.to_ascii_lowercase();
    Ok(if ACTIONS.contains(&lower.as_str()) { Scalar(lower) } else { written })
}

const fn is_zero(number: &u64) -> bool {
    *number == 0
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
    /// The checked rule; `names` says which names of labels are valid.
    ///
    /// # Errors
    /// Prometheus would refuse the combination.
    pub fn to_rule(&self, names: NameValidation) -> Result<Rule, Problem> {
        let action = self.action.0.as_str();
        let regex_text = self.regex.as_ref().map_or("(.*)", |text| text.0.as_str());
        let regex =
            Regex::anchored(regex_text).map_err(|err| Problem::new("regex", err.to_string()))?;
        let (target, replacement) = (self.target_label.0.clone(), self.replacement.0.clone());
        self.check(action, names).map_err(|text| Problem::new("", text))?;
        let action = match action {
            "replace" => Action::Replace { target, replacement },
            "keep" => Action::Keep,
            "drop" => Action::Drop,
            "keepequal" => Action::KeepEqual { target },
            "dropequal" => Action::DropEqual { target },
            "hashmod" => Action::HashMod { target, modulus: self.modulus },
            "labelmap" => Action::LabelMap { replacement },
            "labeldrop" => Action::LabelDrop,
            "labelkeep" => Action::LabelKeep,
            "lowercase" => Action::Lowercase { target },
            "uppercase" => Action::Uppercase { target },
            _ => return Err(unknown_action(&self.action.0)),
        };
        let (source_labels, separator) = (self.source_labels.clone(), self.separator.0.clone());
        Ok(Rule { source_labels, separator, regex, action, names })
    }

    /// What an action needs, and what means nothing for it, so that nobody believes it acts.
    fn check(&self, action: &str, names: NameValidation) -> Result<(), String> {
        let target = self.target_label.0.as_str();
        let must = |holds: bool, text: String| if holds { Ok(()) } else { Err(text) };
        must(!action.is_empty(), "relabel action cannot be empty".to_owned())?;
        must(
            action != "hashmod" || self.modulus != 0,
            "relabel configuration for hashmod requires non-zero modulus".to_owned(),
        )?;
        let only_names = matches!(action, "lowercase" | "uppercase" | "keepequal" | "dropequal");
        if only_names || matches!(action, "replace" | "hashmod") {
            must(
                !target.is_empty(),
                format!("relabel configuration for {action} action requires 'target_label' value"),
            )?;
            let is_template = action == "replace" && target.contains('$');
            must(
                if is_template { is_template_of(names, target) } else { names.is_label(target) },
                format!("{target:?} is invalid 'target_label' for {action} action"),
            )?;
        }
        let replacement = self.replacement.0.as_str();
        must(
            !only_names || replacement == REPLACEMENT,
            format!("'replacement' can not be set for {action} action"),
        )?;
        must(
            action != "labelmap" || is_template_of(names, replacement),
            format!("{replacement:?} is invalid 'replacement' for {action} action"),
        )?;
        must(
            !self.says_too_much(action),
            match action {
                "labeldrop" | "labelkeep" => {
                    format!("{action} action requires only 'regex', and no other fields")
                }
                _ => format!(
                    "{action} action requires only 'source_labels' and `target_label`, and no other \
                 fields"
                ),
            },
        )
    }

    /// Whether fields stand there that the action does not know. What has its default may be
    /// written: Prometheus writes it when it prints a rule.
    fn says_too_much(&self, action: &str) -> bool {
        let changed =
            self.modulus != 0 || self.separator.0 != SEPARATOR || self.replacement.0 != REPLACEMENT;
        match action {
            "labeldrop" | "labelkeep" => {
                changed || !self.source_labels.is_empty() || !self.target_label.is_empty()
            }
            // Upstream tells an expression that is written from the default, whatever its text.
            "keepequal" | "dropequal" => changed || self.regex.is_some(),
            _ => false,
        }
    }
}

/// Whether `text` gives a label's name once its groups are filled in. In UTF-8 names a dollar is a
/// letter like any other.
fn is_template_of(names: NameValidation, text: &str) -> bool {
    /// Letters, digits and groups; no digit first.
    static LEGACY: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let group = r"\$(?:\w+|\{\w+\})";
        Regex::anchored(&format!("(?:[a-zA-Z_]|{group})(?:\\w|{group})*")).ok()
    });
    match names {
        NameValidation::Utf8 => names.is_label(text),
        NameValidation::Legacy => LEGACY.as_ref().is_some_and(|regex| regex.is_match(text)),
    }
}

fn unknown_action(written: &str) -> Problem {
    let hint = crate::model::nearest_name(written, ACTIONS)
        .map(|name| format!("; did you mean {name:?}?"))
        .unwrap_or_default();
    Problem::new("action", format!("unknown relabel action {written:?}{hint}"))
}

/// Checks a list of relabelling rules; `at` names the list, `names` says which names of labels are
/// valid.
///
/// # Errors
/// Every rule that Prometheus would refuse.
pub fn relabel_rules(
    at: &str,
    list: &[RelabelSettings],
    names: NameValidation,
) -> Result<Vec<Rule>, Vec<Problem>> {
    let mut rules = Vec::new();
    let mut problems = Vec::new();
    for (place, settings) in list.iter().enumerate() {
        match settings.to_rule(names) {
            Ok(rule) => rules.push(rule),
            Err(problem) => problems.push(problem.below(&format!("{at}[{place}]"))),
        }
    }
    if problems.is_empty() { Ok(rules) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    fn relabel(text: &str) -> RelabelSettings {
        serde_yaml::from_str(text).expect("reads")
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
            // prometheus, config/testdata: empty_scrape_config_action, lowercase3, uppercase3,
            // keepequal1, labeldrop2 to labeldrop5.
            ("{action: null}", "relabel action cannot be empty"),
            (
                "{action: lowercase, target_label: a, replacement: bar}",
                "'replacement' can not be set for lowercase action",
            ),
            (
                "{action: uppercase, target_label: a, replacement: }",
                "'replacement' can not be set for uppercase action",
            ),
            (
                "{action: keepequal, source_labels: [a], regex: (.*), target_label: b}",
                "keepequal action requires only 'source_labels' and `target_label`, and no other \
                 fields",
            ),
            (
                "{action: labeldrop, modulus: 8}",
                "labeldrop action requires only 'regex', and no other fields",
            ),
            (
                "{action: labelkeep, separator: ','}",
                "labelkeep action requires only 'regex', and no other fields",
            ),
            (
                "{action: labelkeep, replacement: foo}",
                "labelkeep action requires only 'regex', and no other fields",
            ),
            (
                "{action: labelmap, regex: a, replacement: ''}",
                "\"\" is invalid 'replacement' for labelmap action",
            ),
        ] {
            let problem = relabel(text).to_rule(NameValidation::Utf8).expect_err(text);
            assert_eq!(problem.to_string(), message);
        }
        let settings = relabel("{action: Keep, source_labels: [a], regex: 1}");
        let rule = settings.to_rule(NameValidation::Utf8).expect("valid");
        assert_eq!(rule.regex.as_str(), "1");
    }

    #[test]
    fn what_prometheus_prints_of_a_relabel_rule_is_read() {
        // prometheus, model/relabel/relabel.go: separator, replacement and action are always
        // printed, and Validate compares values with the defaults.
        for (text, action) in [
            ("{separator: ;, regex: foo, replacement: $1, action: labeldrop}", Action::LabelDrop),
            ("{separator: ;, regex: foo, replacement: $1, action: labelkeep}", Action::LabelKeep),
            (
                "{source_labels: [a], separator: ;, target_label: b, replacement: $1, \
                 action: keepequal}",
                Action::KeepEqual { target: "b".to_owned() },
            ),
            (
                "{source_labels: [a], separator: ;, target_label: b, replacement: $1, \
                 action: uppercase}",
                Action::Uppercase { target: "b".to_owned() },
            ),
        ] {
            let rule = relabel(text).to_rule(NameValidation::Utf8).expect(text);
            assert_eq!(rule.action, action, "{text}");
        }
    }

    #[test]
    fn a_key_of_a_relabel_rule_without_a_value_is_empty_and_a_missing_one_its_default() {
        // prometheus, config/testdata/conf.good.yml and config/config_test.go: `regex:` is "".
        for (text, regex, separator, replacement) in [
            ("{target_label: a}", "(.*)", ";", "$1"),
            ("{target_label: a, regex: , separator: , replacement: }", "", "", ""),
            ("{target_label: a, regex: ~, separator: null, replacement: ''}", "", "", ""),
            ("{target_label: a, regex: ~, separator: '', replacement: '', modulus: }", "", "", ""),
        ] {
            let rule = relabel(text).to_rule(NameValidation::Utf8).expect("valid");
            assert_eq!((rule.regex.as_str(), rule.separator.as_str()), (regex, separator));
            let replacement = replacement.to_owned();
            assert_eq!(rule.action, Action::Replace { target: "a".to_owned(), replacement });
        }
    }

    #[test]
    fn relabel_rules_are_printed_as_upstream_prints_them() {
        // prometheus, model/relabel/relabel_test.go, TestConfig_UnmarshalThenMarshal.
        for (text, expected) in [
            (
                "{target_label: a}",
                "separator: ;\ntarget_label: a\nreplacement: $1\naction: replace\n",
            ),
            (
                "{source_labels: [a, b], separator: , regex: , target_label: c, replacement: }",
                "source_labels:\n- a\n- b\nseparator: ''\nregex: ''\ntarget_label: c\n\
                 replacement: ''\naction: replace\n",
            ),
            (
                "{target_label: a, regex: (.*), action: HashMod, modulus: 8}",
                "separator: ;\nregex: (.*)\nmodulus: 8\ntarget_label: a\nreplacement: $1\n\
                 action: hashmod\n",
            ),
        ] {
            let printed = serde_yaml::to_string(&relabel(text)).expect("writes");
            assert_eq!(printed, expected);
        }
    }

    proptest! {
        #[test]
        fn a_printed_relabel_rule_means_the_same(
            source_labels in proptest::collection::vec("[a-z]{1,3}", 0..3),
            texts in proptest::array::uniform3("|~|null|;|1|0x1|[a-z.$1{}#: ]{0,5}"),
            regex in proptest::option::of("|~|null|[a-z.*|]{0,5}"),
            modulus in 0_u64..3,
            action in proptest::sample::select(&ACTIONS[..]),
        ) {
            let [separator, target_label, replacement] = texts.map(Scalar);
            let action = Scalar(action.to_owned());
            let regex = regex.map(Scalar);
            let before = RelabelSettings {
                source_labels, separator, regex, modulus, target_label, replacement, action,
            };
            let printed = serde_yaml::to_string(&before).expect("writes");
            prop_assert_eq!(relabel(&printed), before, "{}", printed);
        }
    }

    #[test]
    fn legacy_names_are_held_to_the_classic_grammar() {
        use NameValidation::{Legacy, Utf8};
        // prometheus, model/relabel/relabel_test.go, TestTargetLabelLegacyValidity.
        for (text, valid) in [
            ("-label", false),
            ("label", true),
            ("label${1}", true),
            ("${1}label", true),
            ("${1}", true),
            ("${", false),
            ("$", false),
            ("${}", false),
            ("foo${", false),
            ("$1", true),
            ("asd$2asd", true),
            ("-foo${1}bar-", false),
            ("bar.foo${1}bar", false),
            ("_${1}_", true),
            ("foo${bar}foo", true),
            ("", false),
        ] {
            assert_eq!(is_template_of(Legacy, text), valid, "{text}");
        }
        for (text, in_utf8, in_legacy) in [
            ("{target_label: a.b}", true, false),
            ("{target_label: a.$1}", true, false),
            ("{target_label: a$1}", true, true),
            ("{action: lowercase, target_label: '${3}'}", true, false),
            ("{action: hashmod, modulus: 2, target_label: a.b}", true, false),
            ("{action: dropequal, target_label: a.b}", true, false),
            ("{action: labelmap, replacement: a.$1}", true, false),
            ("{action: keep, source_labels: [a.b]}", true, true),
        ] {
            let is_taken = |names| relabel(text).to_rule(names).is_ok();
            assert_eq!((is_taken(Utf8), is_taken(Legacy)), (in_utf8, in_legacy), "{text}");
        }
    }
}
