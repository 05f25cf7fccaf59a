//! `alertmanager.yml` as written, whole: every key that Alertmanager knows.
//!
//! Source: prometheus/alertmanager, config/config.go, config/notifiers.go.

use super::events::settings::EventRecorderSettings;
use super::kinds;
use super::opaque::Opaque;
use crate::alerts::config::{InhibitSettings, NamedInterval, RouteSettings, null_as_default};
use crate::model::Labels;
use crate::sys::settings::{self, HttpClientSettings, Secret, ShownUrl, Span, TlsSettings};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

const SLACK_APP_URL: &str = "https://slack.com/api/chat.postMessage";
const ROCKETCHAT_API_URL: &str = "https://open.rocket.chat/";

/// A default that is newer than the `amtool` of many a distribution, which refuses a configuration
/// with a key that it does not know: it is shown only where it was changed.
fn is_slack_app_url(url: &ShownUrl) -> bool {
    url.reveal() == SLACK_APP_URL
}

/// As `is_slack_app_url`.
fn is_rocketchat_api_url(url: &ShownUrl) -> bool {
    url.reveal() == ROCKETCHAT_API_URL
}

/// `global`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Global {
    /// When an alert ends that its sender no longer mentions.
    #[serde(deserialize_with = "null_as_default")]
    pub resolve_timeout: Span,
    /// How receivers without `http_config` talk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpClientSettings>,
    /// Default sender.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub smtp_from: String,
    /// Default name in the greeting.
    #[serde(deserialize_with = "null_as_default")]
    pub smtp_hello: String,
    /// Default server, `host:port`.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub smtp_smarthost: String,
    /// Default user.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub smtp_auth_username: String,
    /// Default password.
    #[serde(skip_serializing_if = "Secret::is_empty", deserialize_with = "null_as_default")]
    pub smtp_auth_password: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_auth_password_file: Option<PathBuf>,
    /// Default secret of CRAM-MD5.
    #[serde(skip_serializing_if = "Secret::is_empty", deserialize_with = "null_as_default")]
    pub smtp_auth_secret: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_auth_secret_file: Option<PathBuf>,
    /// Default identity of PLAIN.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub smtp_auth_identity: String,
    /// Whether mail goes out over TLS alone.
    #[serde(deserialize_with = "null_as_default")]
    pub smtp_require_tls: bool,
    /// Default TLS settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_tls_config: Option<TlsSettings>,
    /// Whether TLS begins with the connection; by the port when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_force_implicit_tls: Option<bool>,
    /// Where Slack's web hooks are.
    #[serde(skip_serializing_if = "Secret::is_empty", deserialize_with = "null_as_default")]
    pub slack_api_url: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack_api_url_file: Option<PathBuf>,
    /// The token of Slack's bots.
    #[serde(skip_serializing_if = "Secret::is_empty", deserialize_with = "null_as_default")]
    pub slack_app_token: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack_app_token_file: Option<PathBuf>,
    /// Where Slack's bots post.
    #[serde(skip_serializing_if = "is_slack_app_url", deserialize_with = "null_as_default")]
    pub slack_app_url: ShownUrl,
    /// Where PagerDuty takes events.
    #[serde(deserialize_with = "null_as_default")]
    pub pagerduty_url: ShownUrl,
    /// The key of Opsgenie.
    #[serde(skip_serializing_if = "Secret::is_empty", deserialize_with = "null_as_default")]
    pub opsgenie_api_key: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opsgenie_api_key_file: Option<PathBuf>,
    /// Where Opsgenie is.
    #[serde(deserialize_with = "null_as_default")]
    pub opsgenie_api_url: ShownUrl,
    /// Where Telegram is.
    #[serde(deserialize_with = "null_as_default")]
    pub telegram_api_url: ShownUrl,
    /// The token of Telegram's bot.
    #[serde(skip_serializing_if = "Secret::is_empty", deserialize_with = "null_as_default")]
    pub telegram_bot_token: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telegram_bot_token_file: Option<PathBuf>,
    /// Where Mattermost's web hooks are.
    #[serde(skip_serializing_if = "Secret::is_empty", deserialize_with = "null_as_default")]
    pub mattermost_webhook_url: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mattermost_webhook_url_file: Option<PathBuf>,
    /// Where Webex is.
    #[serde(deserialize_with = "null_as_default")]
    pub webex_api_url: ShownUrl,
    /// Where Rocket.Chat is.
    #[serde(skip_serializing_if = "is_rocketchat_api_url", deserialize_with = "null_as_default")]
    pub rocketchat_api_url: ShownUrl,
    /// The token of Rocket.Chat.
    #[serde(skip_serializing_if = "Secret::is_empty", deserialize_with = "null_as_default")]
    pub rocketchat_token: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rocketchat_token_file: Option<PathBuf>,
    /// The user of that token.
    #[serde(skip_serializing_if = "Secret::is_empty", deserialize_with = "null_as_default")]
    pub rocketchat_token_id: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rocketchat_token_id_file: Option<PathBuf>,
    /// Where VictorOps is.
    #[serde(deserialize_with = "null_as_default")]
    pub victorops_api_url: ShownUrl,
    /// The key of VictorOps.
    #[serde(skip_serializing_if = "Secret::is_empty", deserialize_with = "null_as_default")]
    pub victorops_api_key: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub victorops_api_key_file: Option<PathBuf>,
    /// Where WeChat is.
    #[serde(deserialize_with = "null_as_default")]
    pub wechat_api_url: ShownUrl,
    /// The secret of WeChat.
    #[serde(skip_serializing_if = "Secret::is_empty", deserialize_with = "null_as_default")]
    pub wechat_api_secret: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wechat_api_secret_file: Option<PathBuf>,
    /// The corporation's identity at WeChat.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub wechat_api_corp_id: String,
    /// Where Jira is.
    #[serde(skip_serializing_if = "ShownUrl::is_empty", deserialize_with = "null_as_default")]
    pub jira_api_url: ShownUrl,
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
            slack_api_url: Secret::default(),
            slack_api_url_file: None,
            slack_app_token: Secret::default(),
            slack_app_token_file: None,
            slack_app_url: ShownUrl::new(SLACK_APP_URL),
            pagerduty_url: ShownUrl::new("https://events.pagerduty.com/v2/enqueue"),
            opsgenie_api_key: Secret::default(),
            opsgenie_api_key_file: None,
            opsgenie_api_url: ShownUrl::new("https://api.opsgenie.com/"),
            telegram_api_url: ShownUrl::new("https://api.telegram.org"),
            telegram_bot_token: Secret::default(),
            telegram_bot_token_file: None,
            mattermost_webhook_url: Secret::default(),
            mattermost_webhook_url_file: None,
            webex_api_url: ShownUrl::new("https://webexapis.com/v1/messages"),
            rocketchat_api_url: ShownUrl::new(ROCKETCHAT_API_URL),
            rocketchat_token: Secret::default(),
            rocketchat_token_file: None,
            rocketchat_token_id: Secret::default(),
            rocketchat_token_id_file: None,
            victorops_api_url: ShownUrl::new(
                "https://alert.victorops.com/integrations/generic/20131114/alert/",
            ),
            victorops_api_key: Secret::default(),
            victorops_api_key_file: None,
            wechat_api_url: ShownUrl::new("https://qyapi.weixin.qq.com/cgi-bin/"),
            wechat_api_secret: Secret::default(),
            wechat_api_secret_file: None,
            wechat_api_corp_id: String::new(),
            jira_api_url: ShownUrl::default(),
        }
    }
}

/// An item of a list of receivers: own fields, then a list for each kind in the order in which a
/// receiver's integrations are told.
macro_rules! receiver {
    (
        $(#[$about:meta])* pub struct $name:ident { $($own:tt)* }
        $($(#[$doc:meta])* $field:ident: $kind:ident,)+
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $($own)*
            $(
                $(#[$doc])*
                #[serde(
                    skip_serializing_if = "Vec::is_empty",
                    deserialize_with = "null_as_default"
                )]
                pub $field: Vec<kinds::$kind::Settings>,
            )+
        }

        impl $name {
            /// Kind by kind, what is written.
            pub(super) fn items(&self) -> Vec<(&'static str, Vec<&dyn kinds::Written>)> {
                fn erased<T: kinds::Written>(items: &[T]) -> Vec<&dyn kinds::Written> {
                    items.iter().map(|item| item as &dyn kinds::Written).collect()
                }
                vec![$((stringify!($kind), erased(&self.$field)),)+]
            }
        }
    };
}

receiver! {
    /// One item of `receivers`.
    pub struct ReceiverSettings {
        /// The name that routes use.
        pub name: String,
        /// Labels, for the API's filter.
        #[serde(skip_serializing_if = "Labels::is_empty", with = "settings::labels")]
        pub labels: Labels,
    }
    /// Web hooks.
    webhook_configs: webhook,
    /// Mail.
    email_configs: email,
    /// PagerDuty.
    pagerduty_configs: pagerduty,
    /// Opsgenie.
    opsgenie_configs: opsgenie,
    /// WeChat.
    wechat_configs: wechat,
    /// Slack.
    slack_configs: slack,
    /// VictorOps.
    victorops_configs: victorops,
    /// Pushover.
    pushover_configs: pushover,
    /// Amazon SNS.
    sns_configs: sns,
    /// Telegram.
    telegram_configs: telegram,
    /// Discord.
    discord_configs: discord,
    /// Webex.
    webex_configs: webex,
    /// Microsoft Teams, by the older connectors.
    msteams_configs: msteams,
    /// Microsoft Teams, by workflows.
    msteamsv2_configs: msteamsv2,
    /// Jira.
    jira_configs: jira,
    /// incident.io.
    incidentio_configs: incidentio,
    /// Rocket.Chat.
    rocketchat_configs: rocketchat,
    /// Mattermost.
    mattermost_configs: mattermost,
}

receiver! {
    /// One item of `watchbell.receivers`: ways of telling that Alertmanager does not have, for a
    /// receiver of `alertmanager.yml`, or for a new one.
    pub struct OwnReceiverSettings {
        /// The name that routes use.
        pub name: String,
    }
    /// Commands of this host.
    exec_configs: exec,
    /// ntfy.
    ntfy_configs: ntfy,
    /// Gotify.
    gotify_configs: gotify,
    /// Matrix.
    matrix_configs: matrix,
    /// Syslog and the journal.
    syslog_configs: syslog,
    /// Files of this host.
    file_configs: file,
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
    /// What happens, told to programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_recorder: Option<EventRecorderSettings>,
}
