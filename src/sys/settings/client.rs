//! Raw values of configuration files that say how to talk to an HTTP server.
//!
//! Source: prometheus/common, config/http_config.go.

use super::{Scalar, Secret, ShownUrl};
use crate::model::Problem;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

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

impl TlsSettings {
    /// The protocols that may be spoken, by the number behind `TLS`: of those that are asked for
    /// the ones from 12 to 13, which are built.
    ///
    /// # Errors
    /// A version is unknown, or none is left; the place is below these settings.
    pub fn versions(&self) -> Result<RangeInclusive<u8>, Problem> {
        let read = |field: &str, word: &Option<String>, missing: u8| {
            Ok(match word.as_deref() {
                None => missing,
                Some("TLS10") => 10,
                Some("TLS11") => 11,
                Some("TLS12") => 12,
                Some("TLS13") => 13,
                Some(other) => {
                    let text = format!("unknown TLS version: {other}");
                    return Err(Problem::new(field, text));
                }
            })
        };
        let min = read("min_version", &self.min_version, 12)?;
        let max = read("max_version", &self.max_version, 13)?;
        if max < min && self.min_version.is_some() {
            let text = "tls_config.max_version must be greater than or equal to \
                        tls_config.min_version if both are specified";
            return Err(Problem::new("", text));
        }
        if max < 12 {
            let text = "no protocol is left; TLS12 and TLS13 are the ones that are spoken";
            return Err(Problem::new("", text));
        }
        Ok(min.max(12)..=max)
    }

    /// Checks what Prometheus checks; `at` names the settings.
    ///
    /// # Errors
    /// A value twice, a certificate without its key or the other way round, or no known protocol.
    pub fn check(&self, at: &str) -> Result<(), Problem> {
        let wrong = |text: &str| Err(Problem::new(at, text));
        let text = |value: &Option<String>| value.as_ref().is_some_and(|text| !text.is_empty());
        let file =
            |value: &Option<PathBuf>| value.as_ref().is_some_and(|one| !one.as_os_str().is_empty());
        let (cert, cert_file) = (text(&self.cert), file(&self.cert_file));
        let key = self.key.as_ref().is_some_and(|key| !key.is_empty());
        let key_file = file(&self.key_file);
        if text(&self.ca) && file(&self.ca_file) {
            return wrong("at most one of ca, ca_file & ca_ref must be configured");
        }
        if cert && cert_file {
            return wrong("at most one of cert, cert_file & cert_ref must be configured");
        }
        if key && key_file {
            return wrong("at most one of key and key_file must be configured");
        }
        match (cert || cert_file, key || key_file) {
            (true, false) => wrong(
                "exactly one of key or key_file must be configured when a client certificate is \
                 configured",
            ),
            (false, true) => wrong(
                "exactly one of cert or cert_file must be configured when a client key is \
                 configured",
            ),
            (true, true) | (false, false) => self.versions().map(drop).map_err(|problem| {
                let at = if problem.at.is_empty() { at.to_owned() } else { below(at, &problem.at) };
                Problem::new(at, problem.message)
            }),
        }
    }
}

/// Headers that change the connection or are set otherwise, as Go writes them.
const RESERVED_HEADERS: [&str; 18] = [
    "Authorization",
    "Host",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "User-Agent",
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Www-Authenticate",
    "Accept-Encoding",
    "X-Prometheus-Remote-Write-Version",
    "X-Prometheus-Remote-Read-Version",
    "X-Prometheus-Scrape-Timeout-Seconds",
    "X-Amz-Date",
    "X-Amz-Security-Token",
    "X-Amz-Content-Sha256",
];

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
    pub token_url: ShownUrl,
    /// More parameters of the request for a token.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoint_params: BTreeMap<String, Scalar>,
    /// TLS towards the token server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsSettings>,
    /// A proxy on the way to the token server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<ShownUrl>,
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
        if let Some(tls) = &self.tls_config {
            tls.check(&below(at, "oauth2.tls_config"))?;
        }
        self.client().check_proxy(at)
    }
}

/// A key below a place.
fn below(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}

/// Declares settings with keys of their own and, among them, those of an HTTP client: serde's
/// `flatten` would accept unknown keys in silence. The one list of these keys is here.
///
/// What is written after `then` comes after the client's keys. `client` gathers them.
macro_rules! with_http_client {
    ($(#[$about:meta])* pub struct $name:ident { $($own:tt)* } then { $($after:tt)* }) => {
        $crate::sys::settings::with_http_client! {
            @keys [among] { $(#[$about])* $name { $($own)* } { $($after)* } }
        }
    };
    (@keys $form:tt $given:tt) => {
        $crate::sys::settings::with_http_client! {
            @$form $given
            /// User and password.
            #[serde(skip_serializing_if = "Option::is_none")]
            basic_auth: Option<$crate::sys::settings::BasicAuth>,
            /// A header `Authorization`.
            #[serde(skip_serializing_if = "Option::is_none")]
            authorization: Option<$crate::sys::settings::Authorization>,
            /// Older spelling of `authorization.credentials`.
            #[serde(skip_serializing_if = "Option::is_none")]
            bearer_token: Option<$crate::sys::settings::Secret>,
            /// Older spelling of `authorization.credentials_file`.
            #[serde(skip_serializing_if = "Option::is_none")]
            bearer_token_file: Option<std::path::PathBuf>,
            /// A token that is fetched first.
            #[serde(skip_serializing_if = "Option::is_none")]
            oauth2: Option<Box<$crate::sys::settings::OAuth2>>,
            /// TLS.
            #[serde(skip_serializing_if = "Option::is_none")]
            tls_config: Option<$crate::sys::settings::TlsSettings>,
            /// Whether redirects are followed; yes when missing.
            #[serde(skip_serializing_if = "Option::is_none")]
            follow_redirects: Option<bool>,
            /// Whether HTTP/2 may be used; yes when missing.
            #[serde(skip_serializing_if = "Option::is_none")]
            enable_http2: Option<bool>,
            /// A proxy.
            #[serde(skip_serializing_if = "Option::is_none")]
            proxy_url: Option<$crate::sys::settings::ShownUrl>,
            /// Hosts without proxy.
            #[serde(skip_serializing_if = "Option::is_none")]
            no_proxy: Option<String>,
            /// Take the proxy from the environment.
            #[serde(skip_serializing_if = "Option::is_none")]
            proxy_from_environment: Option<bool>,
            /// Headers for the proxy, when it is asked to connect.
            #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
            proxy_connect_header: $crate::sys::settings::ProxyHeaders,
            /// More headers.
            #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
            http_headers:
                std::collections::BTreeMap<String, $crate::sys::settings::HeaderSettings>,
        }
    };
    (
        @[alone] { $(#[$about:meta])* $name:ident }
        $($(#[$key_about:meta])* $key:ident: $form:ty,)*
    ) => {
        $(#[$about])*
        pub struct $name {
            $($(#[$key_about])* pub $key: $form,)*
        }
    };
    (
        @[among] { $(#[$about:meta])* $name:ident { $($own:tt)* } { $($after:tt)* } }
        $($(#[$key_about:meta])* $key:ident: $form:ty,)*
    ) => {
        $(#[$about])*
        pub struct $name {
            $($own)*
            $($(#[$key_about])* pub $key: $form,)*
            $($after)*
        }

        impl $name {
            /// The keys that say how to talk to the server.
            pub fn client(&self) -> $crate::sys::settings::HttpClientSettings {
                $crate::sys::settings::HttpClientSettings { $($key: self.$key.clone(),)* }
            }
        }
    };
}
pub(crate) use with_http_client;

with_http_client! {
    @keys [alone] {
        /// How to talk to an HTTP server: `http_config`, and the same keys among those of others.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
        #[serde(deny_unknown_fields, default)]
        HttpClientSettings
    }
}

impl HttpClientSettings {
    /// Every value that must not be shown, and the files that hold such values.
    pub fn secrets(&self) -> (Vec<&str>, Vec<&Path>) {
        let basic = self.basic_auth.iter();
        let token = self.authorization.iter();
        let oauth2 = self.oauth2.iter();
        let headers = || self.http_headers.values();
        let inline = (basic.clone().map(|auth| &auth.password))
            .chain(token.clone().map(|auth| &auth.credentials))
            .chain(&self.bearer_token)
            .chain(oauth2.clone().map(|auth| &auth.client_secret))
            .chain(headers().flat_map(|header| &header.secrets))
            .chain(self.proxy_connect_header.values().flatten());
        let files = (basic.filter_map(|auth| auth.password_file.as_ref()))
            .chain(token.filter_map(|auth| auth.credentials_file.as_ref()))
            .chain(&self.bearer_token_file)
            .chain(oauth2.filter_map(|auth| auth.client_secret_file.as_ref()))
            .chain(headers().flat_map(|header| &header.files));
        // Of a proxy's URL the password is secret; who knows the whole knows that.
        let proxy = self.proxy_url.iter().map(ShownUrl::reveal).filter(|url| url.contains('@'));
        (inline.map(Secret::reveal).chain(proxy).collect(), files.map(PathBuf::as_path).collect())
    }

    /// The same with `authorization` in place of its older spelling, as Prometheus's check leaves
    /// it. What has both does not pass `check`.
    #[must_use]
    pub fn normalized(mut self) -> Self {
        let token = self.bearer_token.take().filter(|token| !token.is_empty());
        let file = self.bearer_token_file.take().filter(|file| !file.as_os_str().is_empty());
        if self.authorization.is_none() && (token.is_some() || file.is_some()) {
            self.authorization = Some(Authorization {
                scheme: "Bearer".to_owned(),
                credentials: token.unwrap_or_default(),
                credentials_file: file,
            });
        }
        self
    }

    /// Checks what Prometheus checks; `at` names the settings.
    ///
    /// # Errors
    /// More than one way to authenticate, a value twice, keys of TLS or of proxies that contradict
    /// each other, or a header that is not for settings to set.
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
        if let Some(tls) = &self.tls_config {
            tls.check(&below(at, "tls_config"))?;
        }
        self.check_proxy(at)?;
        for name in self.http_headers.keys() {
            let reserved = RESERVED_HEADERS.iter().find(|one| one.eq_ignore_ascii_case(name));
            if let Some(reserved) = reserved {
                let text = format!("setting header {reserved:?} is not allowed");
                return Err(Problem::new(below(at, "http_headers"), text));
            }
        }
        Ok(())
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
    fn tls_and_headers_that_prometheus_refuses_are_refused() {
        for (yaml, problem) in [
            // Words of prometheus/common, config/http_config.go (TLSConfig.Validate) and
            // config/headers.go.
            (
                "{tls_config: {ca: a, ca_file: b}}",
                "at.tls_config: at most one of ca, ca_file & ca_ref must be configured",
            ),
            (
                "{tls_config: {cert: a, cert_file: b}}",
                "at.tls_config: at most one of cert, cert_file & cert_ref must be configured",
            ),
            (
                "{tls_config: {key: a, key_file: b}}",
                "at.tls_config: at most one of key and key_file must be configured",
            ),
            (
                "{tls_config: {cert_file: a}}",
                "at.tls_config: exactly one of key or key_file must be configured when a client \
                 certificate is configured",
            ),
            (
                "{tls_config: {key_file: a}}",
                "at.tls_config: exactly one of cert or cert_file must be configured when a client \
                 key is configured",
            ),
            (
                "{tls_config: {min_version: TLS9}}",
                "at.tls_config.min_version: unknown TLS version: TLS9",
            ),
            (
                "{tls_config: {max_version: '1.2'}}",
                "at.tls_config.max_version: unknown TLS version: 1.2",
            ),
            (
                "{tls_config: {min_version: TLS13, max_version: TLS12}}",
                "at.tls_config: tls_config.max_version must be greater than or equal to \
                 tls_config.min_version if both are specified",
            ),
            (
                "{oauth2: {client_id: a, token_url: b, tls_config: {key: a}}}",
                "at.oauth2.tls_config: exactly one of cert or cert_file must be configured when a \
                 client key is configured",
            ),
            (
                "{http_headers: {authorization: {values: [a]}}}",
                "at.http_headers: setting header \"Authorization\" is not allowed",
            ),
            (
                "{http_headers: {X-Amz-Date: {values: [a]}}}",
                "at.http_headers: setting header \"X-Amz-Date\" is not allowed",
            ),
        ] {
            let client: HttpClientSettings = serde_yaml::from_str(yaml).expect("reads");
            assert_eq!(client.check("at").expect_err(yaml).to_string(), problem, "{yaml}");
        }
    }

    #[test]
    fn an_older_spelling_of_authorization_becomes_the_newer_one() {
        for (yaml, expected) in [
            ("{bearer_token: a}", "{authorization: {type: Bearer, credentials: a}}"),
            ("{bearer_token_file: a}", "{authorization: {type: Bearer, credentials_file: a}}"),
            ("{bearer_token: '', authorization: {}}", "{authorization: {}}"),
            ("{bearer_token: ''}", "{}"),
        ] {
            let read = |yaml| serde_yaml::from_str::<HttpClientSettings>(yaml).expect("reads");
            assert_eq!(read(yaml).normalized(), read(expected), "{yaml}");
        }
    }

    #[test]
    fn unknown_keys_are_refused_and_passwords_not_shown() {
        for (yaml, message) in [
            ("{follow_redirect: true}", "unknown field `follow_redirect`"),
            ("{oauth2: {client: x}}", "unknown field `client`"),
        ] {
            let err = serde_yaml::from_str::<HttpClientSettings>(yaml).expect_err(yaml);
            assert!(err.to_string().contains(message), "{err}");
        }
        let yaml = "{proxy_url: 'http://u:canary@p', \
                    oauth2: {proxy_url: 'http://v:canary@p', token_url: 'http://w:canary@t'}}";
        let client: HttpClientSettings = serde_yaml::from_str(yaml).expect("reads");
        for shown in [format!("{client:?}"), serde_yaml::to_string(&client).expect("writes")] {
            assert!(!shown.contains("canary"), "{shown}");
            for user in ["u", "v", "w"] {
                assert!(shown.contains(&format!("{user}:xxxxx@")), "{shown}");
            }
        }
    }
}
