//! `alertmanager.yml` as checked: receivers with their global defaults. The parts that decide are
//! `alerts::config`'s; how the file is written stands in `written.rs`.
//!
//! Source: prometheus/alertmanager, config/config.go (Config.UnmarshalYAML).

pub use super::upstream::{Alerting, AlertingSettings};

use crate::alerts::{self, IntegrationPlan, Options, ReceiverPlan, Settings};
use crate::model::{Labels, Problem};
use crate::sys::settings::{HttpClientSettings, Secret, TlsSettings};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use super::opaque::Opaque;
pub use super::written::{
    EmailSettings, File, Global, ReceiverSettings, ThreadingSettings, WebhookSettings,
};

/// A value that stands in the file, or in another that is read when it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The value.
    Inline(Secret),
    /// The file.
    File(PathBuf),
}

impl Source {
    fn of(inline: &Secret, file: Option<&PathBuf>) -> Option<Self> {
        match file {
            Some(file) => Some(Self::File(file.clone())),
            None if inline.is_empty() => None,
            None => Some(Self::Inline(inline.clone())),
        }
    }
}

/// A web hook, checked, with the global defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// Whether resolved alerts are told.
    pub send_resolved: bool,
    /// How to talk.
    pub http: HttpClientSettings,
    /// Where to post; a template.
    pub url: Source,
    /// Alerts in one message; 0 for all.
    pub alerts_max: usize,
    /// For one attempt, when it has a limit of its own.
    pub timeout: Option<Duration>,
    /// A body of one's own.
    pub payload: Option<serde_json::Value>,
}

/// An e-mail receiver, checked, with the global defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Email {
    /// Whether resolved alerts are told.
    pub send_resolved: bool,
    /// To whom; a template.
    pub to: String,
    /// From whom; a template.
    pub from: String,
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The name in the greeting.
    pub hello: String,
    /// The user; empty for no authentication.
    pub username: String,
    /// The password of PLAIN and LOGIN.
    pub password: Option<Source>,
    /// The secret of CRAM-MD5.
    pub secret: Option<Source>,
    /// The identity of PLAIN.
    pub identity: String,
    /// Headers with canonical names; templates.
    pub headers: BTreeMap<String, String>,
    /// The HTML part; a template.
    pub html: String,
    /// The text part; a template.
    pub text: String,
    /// Whether mail goes out over TLS alone.
    pub require_tls: bool,
    /// Whether TLS begins with the connection.
    pub implicit_tls: bool,
    /// TLS settings.
    pub tls: TlsSettings,
    /// How mails of one group hang together.
    pub threading: Threading,
}

/// How mails of one group hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threading {
    /// Not at all.
    Off,
    /// Those of one day.
    Daily,
    /// All of them.
    Always,
}

/// A receiver, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Web hooks, in order.
    pub webhooks: Vec<Webhook>,
    /// Mail, in order.
    pub emails: Vec<Email>,
}

impl Receiver {
    /// What the engine needs to know of it.
    pub fn plan(&self) -> ReceiverPlan {
        let webhooks = self.webhooks.iter().map(|hook| ("webhook", hook.send_resolved));
        let emails = self.emails.iter().map(|mail| ("email", mail.send_resolved));
        let plan = |(index, (kind, send_resolved)): (u32, (&str, bool))| IntegrationPlan {
            kind: kind.to_owned(),
            index,
            send_resolved,
        };
        let integrations = (0..).zip(webhooks).map(plan).chain((0..).zip(emails).map(plan));
        ReceiverPlan {
            name: self.name.clone(),
            labels: self.labels.clone(),
            integrations: integrations.collect(),
        }
    }
}

/// The checked file.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What the engine needs.
    pub alerts: alerts::Config,
    /// What `Receivers` needs.
    pub receivers: Vec<Receiver>,
    /// What is known and not built, and therefore skipped: to be told loudly.
    pub warnings: Vec<Problem>,
}

impl File {
    /// Checks everything against everything.
    ///
    /// # Errors
    /// Every fault that Alertmanager would refuse the file for.
    pub fn check(&self, options: &Options) -> Result<Checked, Vec<Problem>> {
        let mut problems = self.global.problems();
        let mut warnings = self.warnings();
        let mut receivers: Vec<Receiver> = Vec::new();
        for (place, settings) in self.receivers.iter().enumerate() {
            let at = format!("receivers[{place}]");
            let name = &settings.name;
            if name.is_empty() {
                problems.push(Problem::new(&at, "missing name in receiver"));
            }
            if receivers.iter().any(|receiver| receiver.name == *name) {
                let text = format!("notification config name {name:?} is not unique");
                problems.push(Problem::new(format!("{at}.name"), text));
            }
            receivers.push(self.receiver(&at, settings, &mut problems, &mut warnings));
        }
        let plans: Vec<_> = receivers.iter().map(Receiver::plan).collect();
        let settings = Settings {
            resolve_timeout: self.global.resolve_timeout,
            route: self.route.clone(),
            inhibit_rules: self.inhibit_rules.clone(),
            time_intervals: self.time_intervals.clone(),
            mute_time_intervals: self.mute_time_intervals.clone(),
        };
        match settings.check(&plans, options) {
            Ok(alerts) if problems.is_empty() => Ok(Checked { alerts, receivers, warnings }),
            Ok(_) => Err(problems),
            Err(more) => {
                problems.extend(more);
                Err(problems)
            }
        }
    }

    fn warnings(&self) -> Vec<Problem> {
        [("tracing", &self.tracing), ("event_recorder", &self.event_recorder)]
            .into_iter()
            .filter(|(_, body)| body.is_some())
            .map(|(key, _)| Problem::new(key, format!("{key} is known but not built yet")))
            .collect()
    }

    fn receiver(
        &self,
        at: &str,
        settings: &ReceiverSettings,
        problems: &mut Vec<Problem>,
        warnings: &mut Vec<Problem>,
    ) -> Receiver {
        for (kind, bodies) in settings.unbuilt() {
            if !bodies.is_empty() {
                let name = &settings.name;
                let text = format!(
                    "{kind}_configs is known but not built yet: \
                     receiver {name:?} sends nothing by {kind}"
                );
                warnings.push(Problem::new(format!("{at}.{kind}_configs"), text));
            }
        }
        let mut webhooks = Vec::new();
        for (place, hook) in settings.webhook_configs.iter().enumerate() {
            let at = format!("{at}.webhook_configs[{place}]");
            match self.webhook(&at, hook) {
                Ok(hook) => webhooks.push(hook),
                Err(problem) => problems.push(problem),
            }
        }
        let mut emails = Vec::new();
        for (place, mail) in settings.email_configs.iter().enumerate() {
            let at = format!("{at}.email_configs[{place}]");
            match self.email(&at, mail) {
                Ok(mail) => emails.push(mail),
                Err(problem) => problems.push(problem),
            }
        }
        let (name, labels) = (settings.name.clone(), settings.labels.clone());
        Receiver { name, labels, webhooks, emails }
    }

    fn webhook(&self, at: &str, settings: &WebhookSettings) -> Result<Webhook, Problem> {
        if !settings.url.is_empty() && settings.url_file.is_some() {
            return Err(Problem::new(at, "at most one of url & url_file must be configured"));
        }
        let url = Source::of(&settings.url, settings.url_file.as_ref())
            .ok_or_else(|| Problem::new(at, "one of url or url_file must be configured"))?;
        if let Source::Inline(url) = &url {
            check_url(&format!("{at}.url"), url.reveal())?;
        }
        let http = settings.http_config.as_ref().or(self.global.http_config.as_ref());
        let http = http.cloned().unwrap_or_default();
        http.check(&format!("{at}.http_config"))?;
        Ok(Webhook {
            send_resolved: settings.send_resolved,
            http,
            url,
            alerts_max: usize::try_from(settings.max_alerts).unwrap_or(usize::MAX),
            timeout: Some(settings.timeout.0).filter(|timeout| !timeout.is_zero()),
            payload: settings.payload.clone(),
        })
    }

    fn email(&self, at: &str, settings: &EmailSettings) -> Result<Email, Problem> {
        let global = &self.global;
        let or = |own: &String, default: &String| {
            if own.is_empty() { default.clone() } else { own.clone() }
        };
        if settings.to.is_empty() {
            return Err(Problem::new(at, "missing to address in email config"));
        }
        let smarthost = or(&settings.smarthost, &global.smtp_smarthost);
        if smarthost.is_empty() {
            return Err(Problem::new(at, "no global SMTP smarthost set"));
        }
        let (host, port) = host_port(&smarthost)
            .ok_or_else(|| Problem::new(format!("{at}.smarthost"), bad_smarthost(&smarthost)))?;
        let from = or(&settings.from, &global.smtp_from);
        if from.is_empty() {
            return Err(Problem::new(at, "no global SMTP from set"));
        }
        let password = Source::of(&settings.auth_password, settings.auth_password_file.as_ref());
        let secret = Source::of(&settings.auth_secret, settings.auth_secret_file.as_ref());
        Ok(Email {
            send_resolved: settings.send_resolved,
            to: settings.to.clone(),
            from,
            host,
            port,
            hello: or(&settings.hello, &global.smtp_hello),
            username: or(&settings.auth_username, &global.smtp_auth_username),
            password: password.or_else(|| {
                Source::of(&global.smtp_auth_password, global.smtp_auth_password_file.as_ref())
            }),
            secret: secret.or_else(|| {
                Source::of(&global.smtp_auth_secret, global.smtp_auth_secret_file.as_ref())
            }),
            identity: or(&settings.auth_identity, &global.smtp_auth_identity),
            headers: headers(at, settings)?,
            html: settings.html.clone(),
            text: settings.text.clone(),
            require_tls: settings.require_tls.unwrap_or(global.smtp_require_tls),
            implicit_tls: settings
                .force_implicit_tls
                .or(global.smtp_force_implicit_tls)
                .unwrap_or(port == 465),
            tls: settings
                .tls_config
                .clone()
                .or_else(|| global.smtp_tls_config.clone())
                .unwrap_or_default(),
            threading: threading(at, &settings.threading)?,
        })
    }
}

impl Global {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(http) = &self.http_config
            && let Err(problem) = http.check("global.http_config")
        {
            problems.push(problem);
        }
        for (what, value, file) in [
            ("smtp_auth_password", &self.smtp_auth_password, &self.smtp_auth_password_file),
            ("smtp_auth_secret", &self.smtp_auth_secret, &self.smtp_auth_secret_file),
        ] {
            if !value.is_empty() && file.is_some() {
                let text = format!("at most one of {what} & {what}_file must be configured");
                problems.push(Problem::new("global", text));
            }
        }
        problems
    }
}

/// A URL with templates is checked once it is expanded.
fn check_url(at: &str, url: &str) -> Result<(), Problem> {
    let known = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
    if known || url.contains("{{") {
        return Ok(());
    }
    Err(Problem::new(at, "unsupported scheme for URL; write http:// or https://"))
}

fn bad_smarthost(text: &str) -> String {
    format!("cannot read address {text:?}; write host:port")
}

fn host_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().ok()?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

fn headers(at: &str, settings: &EmailSettings) -> Result<BTreeMap<String, String>, Problem> {
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

    fn check(yaml: &str) -> Result<Checked, Vec<String>> {
        let file: File = serde_yaml::from_str(yaml).expect("reads");
        let told = |all: Vec<Problem>| all.iter().map(Problem::to_string).collect();
        file.check(&Options::default()).map_err(told)
    }

    #[test]
    fn what_alertmanager_refuses_is_refused_with_its_place() {
        for (receivers, expected) in [
            (
                "[{name: r}, {name: r}]",
                "receivers[1].name: notification config name \"r\" is not unique",
            ),
            ("[{}]", "receivers[0]: missing name in receiver"),
            (
                "[{name: r, webhook_configs: [{}]}]",
                "receivers[0].webhook_configs[0]: one of url or url_file must be configured",
            ),
            (
                "[{name: r, webhook_configs: [{url: 'http://x', url_file: y}]}]",
                "receivers[0].webhook_configs[0]: at most one of url & url_file",
            ),
            (
                "[{name: r, webhook_configs: [{url: 'ftp://x'}]}]",
                "receivers[0].webhook_configs[0].url: unsupported scheme",
            ),
            (
                "[{name: r, email_configs: [{to: a@b}]}]",
                "receivers[0].email_configs[0]: no global SMTP smarthost set",
            ),
            (
                "[{name: r, email_configs: [{to: a@b, smarthost: 'x:25'}]}]",
                "receivers[0].email_configs[0]: no global SMTP from set",
            ),
            (
                "[{name: r, email_configs: [{smarthost: 'x:25', from: a@b}]}]",
                "receivers[0].email_configs[0]: missing to address",
            ),
            (
                "[{name: r, email_configs: [{to: a@b, smarthost: 'x:25', from: a@b, headers: {subject: a, Subject: b}}]}]",
                "receivers[0].email_configs[0].headers.subject: duplicate header \"Subject\"",
            ),
            (
                "[{name: r, email_configs: [{to: a@b, smarthost: 'x', from: a@b}]}]",
                "receivers[0].email_configs[0].smarthost: cannot read address \"x\"",
            ),
        ] {
            let found = check(&format!("{{route: {{receiver: r}}, receivers: {receivers}}}"));
            let found = found.expect_err(receivers);
            assert!(found.iter().any(|one| one.starts_with(expected)), "{receivers}: {found:?}");
        }
    }

    #[test]
    fn receivers_that_are_not_built_are_told_and_the_rest_runs() {
        let yaml = "
global: {slack_api_url: 'https://hooks.slack.com/x', smtp_smarthost: 'mx:465', smtp_from: a@b, smtp_auth_password: hush}
route: {receiver: r}
receivers:
- name: r
  slack_configs: [{channel: '#x', actions: [{type: button}]}]
  webhook_configs: [{url: 'http://x', max_alerts: 3}, {url_file: /x, send_resolved: false}]
  email_configs: [{to: c@d}]
";
        let checked = check(yaml).expect("valid");
        assert_eq!(checked.warnings.len(), 1);
        assert_eq!(checked.warnings[0].at, "receivers[0].slack_configs");
        let plan = checked.receivers[0].plan();
        let plan: Vec<_> = plan
            .integrations
            .iter()
            .map(|one| (one.kind.as_str(), one.index, one.send_resolved))
            .collect();
        assert_eq!(plan, [("webhook", 0, true), ("webhook", 1, false), ("email", 0, false)]);
        let mail = &checked.receivers[0].emails[0];
        assert_eq!((mail.host.as_str(), mail.port, mail.implicit_tls), ("mx", 465, true));
        assert!(mail.require_tls);
        assert_eq!(mail.password, Some(Source::Inline(Secret::new("hush"))));
    }

    #[test]
    fn no_secret_is_written_back() {
        let yaml = "
global: {slack_api_url: 'https://canary1', smtp_auth_password: canary2, telegram_bot_token: canary3}
route: {receiver: r}
receivers:
- name: r
  pagerduty_configs: [{routing_key: canary4}]
  webhook_configs: [{url: 'http://canary5', http_config: {basic_auth: {username: u, password: canary6}}}]
  email_configs: [{to: c@d, auth_secret: canary7}]
";
        let file: File = serde_yaml::from_str(yaml).expect("reads");
        let shown = format!("{} {file:?}", serde_yaml::to_string(&file).expect("writes"));
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn unknown_keys_are_refused() {
        for yaml in [
            "global: {smtp_smart_host: x}",
            "receivers: [{name: r, slak_configs: []}]",
            "receivers: [{name: r, webhook_configs: [{uri: x}]}]",
            "nonsense: 1",
        ] {
            assert!(serde_yaml::from_str::<File>(yaml).is_err(), "{yaml}");
        }
        assert!(serde_yaml::from_str::<File>("{global: , route: {receiver: r, routes: }}").is_ok());
    }
}
