//! `alertmanager.yml` as written, whole: every key that Alertmanager knows.
//!
//! Source: prometheus/alertmanager, config/config.go, config/notifiers.go,
//! notify/webhook/config.go.

use super::opaque::Opaque;
use crate::alerts::config::{InhibitSettings, NamedInterval, RouteSettings, null_as_default};
use crate::model::Labels;
use crate::sys::settings::{self, HttpClientSettings, Scalar, Secret, Span, TlsSettings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `global`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Global {
    /// When an alert ends that its sender no longer mentions.
    pub resolve_timeout: Span,
    /// How receivers without `http_config` talk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpClientSettings>,
    /// Default sender.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub smtp_from: String,
    /// Default name in the greeting.
    pub smtp_hello: String,
    /// Default server, `host:port`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub smtp_smarthost: String,
    /// Default user.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub smtp_auth_username: String,
    /// Default password.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub smtp_auth_password: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_auth_password_file: Option<PathBuf>,
    /// Default secret of CRAM-MD5.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub smtp_auth_secret: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_auth_secret_file: Option<PathBuf>,
    /// Default identity of PLAIN.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub smtp_auth_identity: String,
    /// Whether mail goes out over TLS alone.
    pub smtp_require_tls: bool,
    /// Default TLS settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_tls_config: Option<TlsSettings>,
    /// Whether TLS begins with the connection; by the port when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_force_implicit_tls: Option<bool>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack_api_url: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack_api_url_file: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack_app_token: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack_app_token_file: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack_app_url: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pagerduty_url: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opsgenie_api_key: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opsgenie_api_key_file: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opsgenie_api_url: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telegram_api_url: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telegram_bot_token: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telegram_bot_token_file: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mattermost_webhook_url: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mattermost_webhook_url_file: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webex_api_url: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rocketchat_api_url: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rocketchat_token: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rocketchat_token_file: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rocketchat_token_id: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rocketchat_token_id_file: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub victorops_api_url: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub victorops_api_key: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub victorops_api_key_file: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wechat_api_url: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wechat_api_secret: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wechat_api_secret_file: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wechat_api_corp_id: Option<Secret>,
    /// For receivers that are not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jira_api_url: Option<Secret>,
}

impl Default for Global {
    fn default() -> Self {
        Self {
            resolve_timeout: Span::seconds(300),
            http_config: None,
            smtp_from: String::new(),
            smtp_hello: "localhost".to_owned(),
            smtp_smarthost: String::new(),
            smtp_auth_username: String::new(),
            smtp_auth_password: Secret::default(),
            smtp_auth_password_file: None,
            smtp_auth_secret: Secret::default(),
            smtp_auth_secret_file: None,
            smtp_auth_identity: String::new(),
            smtp_require_tls: true,
            smtp_tls_config: None,
            smtp_force_implicit_tls: None,
            slack_api_url: None,
            slack_api_url_file: None,
            slack_app_token: None,
            slack_app_token_file: None,
            slack_app_url: None,
            pagerduty_url: None,
            opsgenie_api_key: None,
            opsgenie_api_key_file: None,
            opsgenie_api_url: None,
            telegram_api_url: None,
            telegram_bot_token: None,
            telegram_bot_token_file: None,
            mattermost_webhook_url: None,
            mattermost_webhook_url_file: None,
            webex_api_url: None,
            rocketchat_api_url: None,
            rocketchat_token: None,
            rocketchat_token_file: None,
            rocketchat_token_id: None,
            rocketchat_token_id_file: None,
            victorops_api_url: None,
            victorops_api_key: None,
            victorops_api_key_file: None,
            wechat_api_url: None,
            wechat_api_secret: None,
            wechat_api_secret_file: None,
            wechat_api_corp_id: None,
            jira_api_url: None,
        }
    }
}

/// One item of `webhook_configs`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookSettings {
    /// Whether resolved alerts are told.
    pub send_resolved: bool,
    /// How to talk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpClientSettings>,
    /// Where to post; a template.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub url: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// Alerts in one message; 0 for all.
    pub max_alerts: u64,
    /// For one attempt; 0 for no limit of its own.
    pub timeout: Span,
    /// A body of one's own: JSON whose texts are templates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<serde_json::Value>,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            send_resolved: true,
            http_config: None,
            url: Secret::default(),
            url_file: None,
            max_alerts: 0,
            timeout: Span::default(),
            payload: None,
        }
    }
}

/// `threading` of an e-mail receiver.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ThreadingSettings {
    /// Whether mails of one group hang together.
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
pub struct EmailSettings {
    /// Whether resolved alerts are told.
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

impl Default for EmailSettings {
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

/// One item of `receivers`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReceiverSettings {
    /// The name that routes use.
    pub name: String,
    /// Labels, for the API.
    #[serde(with = "settings::labels", skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// Web hooks.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub webhook_configs: Vec<WebhookSettings>,
    /// Mail.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub email_configs: Vec<EmailSettings>,
    /// Known, not built.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub slack_configs: Vec<Opaque>,
    /// Known, not built.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub pagerduty_configs: Vec<Opaque>,
    /// Known, not built.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub opsgenie_configs: Vec<Opaque>,
    /// Known, not built.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub victorops_configs: Vec<Opaque>,
    /// Known, not built.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub pushover_configs: Vec<Opaque>,
    /// Known, not built.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub telegram_configs: Vec<Opaque>,
    /// Known, not built.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub discord_configs: Vec<Opaque>,
    /// Known, not built.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub msteams_configs: Vec<Opaque>,
    /// Known, not built.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub msteamsv2_configs: Vec<Opaque>,
    /// Known, not built.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub mattermost_configs: Vec<Opaque>,
    /// Known, not built.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub webex_configs: Vec<Opaque>,
    /// Known, not built.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub sns_configs: Vec<Opaque>,
    /// Known, not built.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub wechat_configs: Vec<Opaque>,
    /// Known, not built.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub rocketchat_configs: Vec<Opaque>,
    /// Known, not built.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub jira_configs: Vec<Opaque>,
    /// Known, not built.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub incidentio_configs: Vec<Opaque>,
}

impl ReceiverSettings {
    /// Kinds that are known and not built, with what is written for them.
    pub(super) fn unbuilt(&self) -> [(&'static str, &Vec<Opaque>); 16] {
        [
            ("slack", &self.slack_configs),
            ("pagerduty", &self.pagerduty_configs),
            ("opsgenie", &self.opsgenie_configs),
            ("victorops", &self.victorops_configs),
            ("pushover", &self.pushover_configs),
            ("telegram", &self.telegram_configs),
            ("discord", &self.discord_configs),
            ("msteams", &self.msteams_configs),
            ("msteamsv2", &self.msteamsv2_configs),
            ("mattermost", &self.mattermost_configs),
            ("webex", &self.webex_configs),
            ("sns", &self.sns_configs),
            ("wechat", &self.wechat_configs),
            ("rocketchat", &self.rocketchat_configs),
            ("jira", &self.jira_configs),
            ("incidentio", &self.incidentio_configs),
        ]
    }
}

/// The whole of `alertmanager.yml`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// Defaults of everything below.
    #[serde(deserialize_with = "null_as_default")]
    pub global: Global,
    /// Template files; names of the last part may hold wildcards.
    #[serde(deserialize_with = "null_as_default")]
    pub templates: Vec<String>,
    /// The routing tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteSettings>,
    /// Inhibition rules.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub inhibit_rules: Vec<InhibitSettings>,
    /// Receivers.
    #[serde(deserialize_with = "null_as_default")]
    pub receivers: Vec<ReceiverSettings>,
    /// Time intervals.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub time_intervals: Vec<NamedInterval>,
    /// The same under its older name.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub mute_time_intervals: Vec<NamedInterval>,
    /// Known, not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Opaque>,
    /// Known, not built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_recorder: Option<Opaque>,
}
