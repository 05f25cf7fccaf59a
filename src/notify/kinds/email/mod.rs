//! Mail: settings here, the message in `compose.rs`, sending in `smtp.rs`.
//!
//! Source: prometheus/alertmanager, config/notifiers.go (EmailConfig), notify/email/email.go.
//!
//! Never: deciding who gets it.

mod compose;
mod smtp;

use super::{Context, Written};
use crate::alerts::config::null_as_default;
use crate::model::Problem;
use crate::notify::config::Source;
use crate::notify::outside::Outside;
use crate::notify::sender::{Integration, Made, Sender};
use crate::sys::settings::{Scalar, Secret, TlsSettings};
use compose::EmailSender;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// `threading` of an e-mail receiver.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ThreadingSettings {
    /// Whether mails of one group hang together.
    #[serde(deserialize_with = "null_as_default")]
    pub enabled: bool,
    /// `daily` or `none`.
    pub thread_by_date: String,
}

impl Default for ThreadingSettings {
    fn default() -> Self {
        Self { enabled: false, thread_by_date: "daily".to_owned() }
    }
}

/// One item of `email_configs`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether resolved alerts are told.
    #[serde(deserialize_with = "null_as_default")]
    pub send_resolved: bool,
    /// To whom; a template.
    pub to: String,
    /// From whom; a template.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// The server, `host:port`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub smarthost: String,
    /// The name in the greeting.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hello: String,
    /// The user.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub auth_username: String,
    /// The password of PLAIN and LOGIN.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub auth_password: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_password_file: Option<PathBuf>,
    /// The secret of CRAM-MD5.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub auth_secret: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_secret_file: Option<PathBuf>,
    /// The identity of PLAIN.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub auth_identity: String,
    /// Headers; templates.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_as_default")]
    pub headers: BTreeMap<String, Scalar>,
    /// The HTML part; a template; none when empty.
    pub html: String,
    /// The text part; a template; none when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Whether mail goes out over TLS alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_tls: Option<bool>,
    /// TLS settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsSettings>,
    /// Whether TLS begins with the connection; by the port when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force_implicit_tls: Option<bool>,
    /// How mails hang together.
    pub threading: ThreadingSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            send_resolved: false,
            to: String::new(),
            from: String::new(),
            smarthost: String::new(),
            hello: String::new(),
            auth_username: String::new(),
            auth_password: Secret::default(),
            auth_password_file: None,
            auth_secret: Secret::default(),
            auth_secret_file: None,
            auth_identity: String::new(),
            headers: BTreeMap::new(),
            html: "{{ template \"email.default.html\" . }}".to_owned(),
            text: String::new(),
            require_tls: None,
            tls_config: None,
            force_implicit_tls: None,
            threading: ThreadingSettings::default(),
        }
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        Ok(Arc::new(self.checked(at, context)?))
    }
}

impl Settings {
    fn checked(&self, at: &str, context: &Context<'_>) -> Result<Email, Problem> {
        let global = context.global;
        let or = |own: &String, default: &String| {
            if own.is_empty() { default.clone() } else { own.clone() }
        };
        if self.to.is_empty() {
            return Err(Problem::new(at, "missing to address in email config"));
        }
        let smarthost = or(&self.smarthost, &global.smtp_smarthost);
        if smarthost.is_empty() {
            return Err(Problem::new(at, "no global SMTP smarthost set"));
        }
        let (host, port) = host_port(&smarthost)
            .ok_or_else(|| Problem::new(format!("{at}.smarthost"), bad_smarthost(&smarthost)))?;
        let tls = self.tls_config.as_ref().or(global.smtp_tls_config.as_ref());
        let tls = tls.cloned().unwrap_or_default();
        tls.check(&format!("{at}.tls_config"))?;
        let from = or(&self.from, &global.smtp_from);
        if from.is_empty() {
            return Err(Problem::new(at, "no global SMTP from set"));
        }
        let password = Source::of(&self.auth_password, self.auth_password_file.as_ref());
        let secret = Source::of(&self.auth_secret, self.auth_secret_file.as_ref());
        Ok(Email {
            send_resolved: self.send_resolved,
            to: self.to.clone(),
            from,
            host,
            port,
            hello: or(&self.hello, &global.smtp_hello),
            username: or(&self.auth_username, &global.smtp_auth_username),
            password: password.or_else(|| {
                Source::of(&global.smtp_auth_password, global.smtp_auth_password_file.as_ref())
            }),
            secret: secret.or_else(|| {
                Source::of(&global.smtp_auth_secret, global.smtp_auth_secret_file.as_ref())
            }),
            identity: or(&self.auth_identity, &global.smtp_auth_identity),
            headers: headers(at, self)?,
            html: self.html.clone(),
            text: self.text.clone(),
            require_tls: self.require_tls.unwrap_or(global.smtp_require_tls),
            implicit_tls: self
                .force_implicit_tls
                .or(global.smtp_force_implicit_tls)
                .unwrap_or(port == 465),
            tls,
            threading: threading(at, &self.threading)?,
        })
    }
}

/// An e-mail receiver, checked, with the global defaults.
#[derive(Clone, Debug, PartialEq)]
struct Email {
    /// Whether resolved alerts are told.
    send_resolved: bool,
    /// To whom; a template.
    to: String,
    /// From whom; a template.
    from: String,
    /// The server.
    host: String,
    /// Its port.
    port: u16,
    /// The name in the greeting.
    hello: String,
    /// The user; empty for no authentication.
    username: String,
    /// The password of PLAIN and LOGIN.
    password: Option<Source>,
    /// The secret of CRAM-MD5.
    secret: Option<Source>,
    /// The identity of PLAIN.
    identity: String,
    /// Headers with canonical names; templates.
    headers: BTreeMap<String, String>,
    /// The HTML part; a template.
    html: String,
    /// The text part; a template.
    text: String,
    /// Whether mail goes out over TLS alone.
    require_tls: bool,
    /// Whether TLS begins with the connection.
    implicit_tls: bool,
    /// TLS settings.
    tls: TlsSettings,
    /// How mails of one group hang together.
    threading: Threading,
}

/// How mails of one group hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Threading {
    /// Not at all.
    Off,
    /// Those of one day.
    Daily,
    /// All of them.
    Always,
}

impl Integration for Email {
    fn kind(&self) -> &'static str {
        "email"
    }

    fn send_resolved(&self) -> bool {
        self.send_resolved
    }

    fn sender(&self, _: &Outside) -> Result<Box<dyn Sender>, Problem> {
        Ok(Box::new(EmailSender::new(self)))
    }
}

/// Ports of mail by their names, as in `/etc/services`.
const PORTS: [(&str, u16); 5] =
    [("smtp", 25), ("mail", 25), ("smtps", 465), ("submissions", 465), ("submission", 587)];

fn bad_smarthost(text: &str) -> String {
    format!("cannot read address {text:?}; write host:port")
}

/// A host, of which Go takes none at all for this one, and a port by its number or its name.
fn host_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match inner {
        Some(inner) => inner,
        // An address of IPv6 stands in brackets.
        None if host.contains([':', '[', ']']) => return None,
        None => host,
    };
    let named = PORTS.iter().find(|(name, _)| name.eq_ignore_ascii_case(port));
    let port = named.map_or_else(|| port.parse().ok(), |(_, port)| Some(*port))?;
    Some((if host.is_empty() { "localhost" } else { host }.to_owned(), port))
}

fn headers(at: &str, settings: &Settings) -> Result<BTreeMap<String, String>, Problem> {
    let mut headers = BTreeMap::new();
    for (name, value) in &settings.headers {
        let at = format!("{at}.headers.{name}");
        let is_token = |byte: u8| byte.is_ascii_graphic() && byte != b':';
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(Problem::new(at, format!("{name:?} is no name of a header")));
        }
        let canonical = canonical_header(name);
        if headers.insert(canonical.clone(), value.0.clone()).is_some() {
            return Err(Problem::new(
                at,
                format!("duplicate header {canonical:?} in email config"),
            ));
        }
    }
    for name in ["References", "In-Reply-To"] {
        if settings.threading.enabled && headers.contains_key(name) {
            let text = format!(
                "conflicting configuration: threading.enabled conflicts with custom {name} header"
            );
            return Err(Problem::new(at, text));
        }
    }
    Ok(headers)
}

/// `message-id` as `Message-Id`: each word with one capital.
fn canonical_header(name: &str) -> String {
    let word = |word: &str| {
        let mut chars = word.chars();
        let first = chars.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(chars.map(|c| c.to_ascii_lowercase())).collect::<String>()
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

fn threading(at: &str, settings: &ThreadingSettings) -> Result<Threading, Problem> {
    match (settings.enabled, settings.thread_by_date.as_str()) {
        (false, _) => Ok(Threading::Off),
        (true, "daily") => Ok(Threading::Daily),
        (true, "none") => Ok(Threading::Always),
        (true, _) => {
            let text = "threading.thread_by_date must be either 'none' or 'daily'";
            Err(Problem::new(format!("{at}.threading.thread_by_date"), text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::config::File;

    #[test]
    fn a_smarthost_may_have_a_named_port_and_no_host() {
        for (text, expected) in [
            ("mx:25", Some(("mx", 25))),
            ("mx:submission", Some(("mx", 587))),
            (":25", Some(("localhost", 25))),
            ("[::1]:smtp", Some(("::1", 25))),
            ("::1:25", None),
            ("mx", None),
            ("mx:", None),
            ("mx:nowhere", None),
            ("mx:70000", None),
        ] {
            let found = host_port(text);
            let found = found.as_ref().map(|(host, port)| (host.as_str(), *port));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn tls_that_contradicts_itself_is_refused() {
        let allowed = Default::default();
        for (tls, expected) in [
            ("ca: a, ca_file: b", "at most one of ca, ca_file & ca_ref must be configured"),
            ("max_version: TLS9", "unknown TLS version: TLS9"),
        ] {
            let yaml = format!("{{to: a@b, from: c@d, smarthost: 'x:25', tls_config: {{{tls}}}}}");
            let own: Settings = serde_yaml::from_str(&yaml).expect("reads");
            let global = crate::notify::config::Global::default();
            let context = Context { global: &global, allowed: &allowed };
            let problem = own.checked("", &context).expect_err(tls);
            assert_eq!(problem.message, expected, "{tls}");
        }
    }

    #[test]
    fn the_global_settings_fill_what_is_missing() {
        let yaml = "
global: {smtp_smarthost: 'mx:465', smtp_from: a@b, smtp_auth_password: hush}
receivers: [{name: r, email_configs: [{to: c@d}]}]
";
        let file: File = serde_yaml::from_str(yaml).expect("reads");
        let allowed = Default::default();
        let context = Context { global: &file.global, allowed: &allowed };
        let settings = &file.receivers[0].email_configs[0];
        let mail = settings.checked("", &context).expect("valid");
        assert_eq!((mail.host.as_str(), mail.port, mail.implicit_tls), ("mx", 465, true));
        assert!(mail.require_tls);
        assert_eq!(mail.password, Some(Source::Inline(Secret::new("hush"))));
    }
}
