//! Raw values of configuration files that several parts share: durations, sizes, secrets,
//! expressions, relabelling rules, HTTP clients.
//!
//! Each part's `config.rs` builds its settings out of these with serde; `config` turns serde's
//! errors into file, line and column.

use crate::model::relabel::{Action, Rule};
use crate::model::{Labels, Problem, Regex, duration};
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A duration in Prometheus' spelling, `1h30m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
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

/// `serde(serialize_with)` for URLs that may hold a password.
///
/// # Errors
/// Those of the serializer.
pub fn shown_url<S: Serializer>(url: &str, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&url_without_password(url))
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

/// `basic_auth`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct BasicAuth {
    /// The user.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// A file with the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username_file: Option<PathBuf>,
    /// The password.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub password: Secret,
    /// A file with the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
}

/// `authorization`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Authorization {
    /// The scheme; `Bearer` when missing.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub scheme: String,
    /// The credentials.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub credentials: Secret,
    /// A file with the credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<PathBuf>,
}

/// `tls_config`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// Certificates to trust, PEM.
    pub ca: Option<String>,
    /// A file with them.
    pub ca_file: Option<PathBuf>,
    /// Our certificate, PEM.
    pub cert: Option<String>,
    /// A file with it.
    pub cert_file: Option<PathBuf>,
    /// Our key, PEM.
    pub key: Option<Secret>,
    /// A file with it.
    pub key_file: Option<PathBuf>,
    /// The name that the certificate must have.
    pub server_name: String,
    /// Trust anybody.
    pub insecure_skip_verify: bool,
    /// The oldest protocol: `TLS12` or `TLS13`.
    pub min_version: Option<String>,
    /// The newest protocol.
    pub max_version: Option<String>,
}

/// One header of `http_headers`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderSettings {
    /// Values.
    pub values: Vec<String>,
    /// Values that are never shown.
    pub secrets: Vec<Secret>,
    /// Files with values.
    pub files: Vec<PathBuf>,
}

/// Headers for a proxy that is asked to connect, as written: names, each with its values.
pub type ProxyHeaders = BTreeMap<String, Vec<Secret>>;

/// `oauth2`: a token is fetched with these credentials and sent instead of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct OAuth2 {
    /// Who asks for a token.
    pub client_id: String,
    /// The secret shared with the token server.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub client_secret: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    /// Its name in a store of secrets; there is none here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_ref: Option<String>,
    /// How a token is asked for; `client_credentials` when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant_type: Option<String>,
    /// What the token is to allow.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// The token server.
    #[serde(serialize_with = "shown_url")]
    pub token_url: String,
    /// More parameters of the request for a token.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoint_params: BTreeMap<String, Scalar>,
    /// TLS towards the token server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsSettings>,
    /// A proxy on the way to the token server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<String>,
    /// Hosts without proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_proxy: Option<String>,
    /// Take the proxy from the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_from_environment: Option<bool>,
    /// Headers for that proxy.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub proxy_connect_header: ProxyHeaders,
    /// Of the grant with signed tokens, as are those that follow: known, and refused by `check`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_key_id: Option<String>,
    #[expect(missing_docs, reason = "see client_certificate_key_id")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_key: Option<Secret>,
    #[expect(missing_docs, reason = "see client_certificate_key_id")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_key_file: Option<PathBuf>,
    #[expect(missing_docs, reason = "see client_certificate_key_id")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_key_ref: Option<String>,
    #[expect(missing_docs, reason = "see client_certificate_key_id")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature_algorithm: Option<String>,
    #[expect(missing_docs, reason = "see client_certificate_key_id")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    #[expect(missing_docs, reason = "see client_certificate_key_id")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    #[expect(missing_docs, reason = "see client_certificate_key_id")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, Scalar>,
}

impl OAuth2 {
    /// How to talk to the token server. Only with HTTP/1.1, as upstream does.
    pub fn client(&self) -> HttpClientSettings {
        HttpClientSettings {
            tls_config: self.tls_config.clone(),
            proxy_url: self.proxy_url.clone(),
            no_proxy: self.no_proxy.clone(),
            proxy_from_environment: self.proxy_from_environment,
            proxy_connect_header: self.proxy_connect_header.clone(),
            enable_http2: Some(false),
            ..HttpClientSettings::default()
        }
    }

    /// Checks what Prometheus checks; `at` names the settings.
    ///
    /// # Errors
    /// A key is missing, is there twice, or belongs to a grant that is not built.
    fn check(&self, at: &str) -> Result<(), Problem> {
        let wrong = |text: &str| Err(Problem::new(at, text));
        if let Some(grant) = self.grant_type.as_deref()
            && !matches!(grant, "" | "client_credentials")
        {
            let text = format!("oauth2 grant_type {grant:?} is not built; use client_credentials");
            return Err(Problem::new(at, text));
        }
        let signed = [
            ("client_certificate_key_id", self.client_certificate_key_id.is_some()),
            ("client_certificate_key", self.client_certificate_key.is_some()),
            ("client_certificate_key_file", self.client_certificate_key_file.is_some()),
            ("client_certificate_key_ref", self.client_certificate_key_ref.is_some()),
            ("signature_algorithm", self.signature_algorithm.is_some()),
            ("iss", self.iss.is_some()),
            ("audience", self.audience.is_some()),
            ("claims", !self.claims.is_empty()),
        ];
        if let Some((key, _)) = signed.into_iter().find(|(_, is_set)| *is_set) {
            let text = format!("oauth2 {key} belongs to the jwt-bearer grant, which is not built");
            return Err(Problem::new(at, text));
        }
        if self.client_id.is_empty() {
            return wrong("oauth2 client_id must be configured");
        }
        if self.token_url.is_empty() {
            return wrong("oauth2 token_url must be configured");
        }
        if self.client_secret_ref.is_some() {
            return wrong(
                "oauth2 client_secret_ref needs a store of secrets, which is not built; use \
                 client_secret_file",
            );
        }
        if !self.client_secret.is_empty() && self.client_secret_file.is_some() {
            return wrong(
                "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must \
                 be configured",
            );
        }
        for name in ["scope", "client_id", "client_secret"] {
            let is_ours = name != "scope" || !self.scopes.is_empty();
            if is_ours && self.endpoint_params.contains_key(name) {
                let text = format!("oauth2 endpoint_params cannot overwrite parameter {name:?}");
                return Err(Problem::new(at, text));
            }
        }
        self.client().check_proxy(at)
    }
}

/// How to talk to an HTTP server: `http_config`, and the same keys inside a scrape job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct HttpClientSettings {
    /// User and password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// A header `Authorization`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// Older spelling of `authorization.credentials`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<Secret>,
    /// Older spelling of `authorization.credentials_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token_file: Option<PathBuf>,
    /// A token that is fetched first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<Box<OAuth2>>,
    /// TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsSettings>,
    /// Whether redirects are followed; yes when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_redirects: Option<bool>,
    /// Whether HTTP/2 may be used; yes when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_http2: Option<bool>,
    /// A proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<String>,
    /// Hosts without proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_proxy: Option<String>,
    /// Take the proxy from the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_from_environment: Option<bool>,
    /// Headers for the proxy, when it is asked to connect.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub proxy_connect_header: ProxyHeaders,
    /// More headers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub http_headers: BTreeMap<String, HeaderSettings>,
}

impl HttpClientSettings {
    /// Checks what Prometheus checks; `at` names the settings.
    ///
    /// # Errors
    /// More than one way to authenticate, a value twice, or keys of proxies that contradict each
    /// other.
    pub fn check(&self, at: &str) -> Result<(), Problem> {
        let bearer = self.bearer_token.is_some() || self.bearer_token_file.is_some();
        let ways = [
            self.basic_auth.is_some(),
            self.authorization.is_some(),
            self.oauth2.is_some(),
            bearer,
        ];
        if ways.iter().filter(|way| **way).count() > 1 {
            let text = "at most one of basic_auth, oauth2, bearer_token & authorization must be configured";
            return Err(Problem::new(at, text));
        }
        let twice = |value: bool, file: bool, what: &str| {
            let text = format!("at most one of {what} & {what}_file must be configured");
            if value && file { Err(Problem::new(at, text)) } else { Ok(()) }
        };
        if let Some(basic) = &self.basic_auth {
            twice(!basic.password.is_empty(), basic.password_file.is_some(), "password")?;
            twice(!basic.username.is_empty(), basic.username_file.is_some(), "username")?;
        }
        twice(self.bearer_token.is_some(), self.bearer_token_file.is_some(), "bearer_token")?;
        if let Some(auth) = &self.authorization {
            twice(!auth.credentials.is_empty(), auth.credentials_file.is_some(), "credentials")?;
            if auth.scheme.eq_ignore_ascii_case("basic") {
                let text = "authorization type cannot be \"basic\"; use basic_auth instead";
                return Err(Problem::new(at, text));
            }
        }
        if let Some(oauth2) = &self.oauth2 {
            oauth2.check(at)?;
        }
        self.check_proxy(at)
    }

    fn check_proxy(&self, at: &str) -> Result<(), Problem> {
        let environment = self.proxy_from_environment == Some(true);
        let url = self.proxy_url.as_ref().is_some_and(|url| !url.is_empty());
        let without = self.no_proxy.as_ref().is_some_and(|list| !list.is_empty());
        let text = if !self.proxy_connect_header.is_empty() && !environment && !url {
            "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also \
             be configured"
        } else if environment && url {
            "if proxy_from_environment is configured, proxy_url must not be configured"
        } else if environment && without {
            "if proxy_from_environment is configured, no_proxy must not be configured"
        } else if without && !url {
            "if no_proxy is configured, proxy_url must also be configured"
        } else {
            return Ok(());
        };
        Err(Problem::new(at, text))
    }
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
    fn clients_that_contradict_themselves_are_refused() {
        let oauth2 = |keys: &str| format!("{{oauth2: {{client_id: a, token_url: b{keys}}}}}");
        for (yaml, text) in [
            ("{oauth2: {}}".to_owned(), "oauth2 client_id must be configured"),
            ("{oauth2: {client_id: a}}".to_owned(), "oauth2 token_url must be configured"),
            (
                oauth2(", client_secret: a, client_secret_file: b"),
                "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must \
                 be configured",
            ),
            (
                oauth2(", client_secret_ref: a"),
                "oauth2 client_secret_ref needs a store of secrets, which is not built; use \
                 client_secret_file",
            ),
            (
                oauth2(", grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer'"),
                "oauth2 grant_type \"urn:ietf:params:oauth:grant-type:jwt-bearer\" is not built; \
                 use client_credentials",
            ),
            (oauth2(", iss: me"), "oauth2 iss belongs to the jwt-bearer grant, which is not built"),
            (
                oauth2(", scopes: [a], endpoint_params: {scope: b}"),
                "oauth2 endpoint_params cannot overwrite parameter \"scope\"",
            ),
            (
                oauth2(", no_proxy: a"),
                "if no_proxy is configured, proxy_url must also be configured",
            ),
            (
                oauth2("}, basic_auth: {username: a"),
                "at most one of basic_auth, oauth2, bearer_token & authorization must be configured",
            ),
            (
                oauth2("}, authorization: {credentials: a"),
                "at most one of basic_auth, oauth2, bearer_token & authorization must be configured",
            ),
            (
                "{proxy_connect_header: {a: [b]}}".to_owned(),
                "if proxy_connect_header is configured, proxy_url or proxy_from_environment must \
                 also be configured",
            ),
            (
                "{proxy_from_environment: true, proxy_url: 'http://a'}".to_owned(),
                "if proxy_from_environment is configured, proxy_url must not be configured",
            ),
            (
                "{proxy_from_environment: true, no_proxy: a}".to_owned(),
                "if proxy_from_environment is configured, no_proxy must not be configured",
            ),
        ] {
            let client: HttpClientSettings = serde_yaml::from_str(&yaml).expect("reads");
            assert_eq!(client.check("").expect_err(&yaml).to_string(), text, "{yaml}");
        }
        let params = ", endpoint_params: {scope: b, grant_type: password, n: 1}";
        let client: HttpClientSettings = serde_yaml::from_str(&oauth2(params)).expect("reads");
        assert_eq!(client.check(""), Ok(()));
        assert!(serde_yaml::from_str::<OAuth2>("{client_idd: a}").is_err());
    }

    #[test]
    fn a_secret_never_shows() {
        let auth = BasicAuth { password: Secret::new("hunter2"), ..BasicAuth::default() };
        let shown = format!("{auth:?} {}", serde_yaml::to_string(&auth).expect("writes"));
        assert!(!shown.contains("hunter2"), "{shown}");
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
