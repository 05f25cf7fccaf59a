//! WeChat Work: a message of an application, with a token that is fetched first.
//!
//! Source: prometheus/alertmanager, notify/wechat/wechat.go, config/notifiers.go (WechatConfig);
//! WeChat Work's documentation of message/send (lengths, error codes).

use super::{Context, Written, check_url, one_of};
use crate::alerts::config::null_as_default;
use crate::model::{Problem, percent};
use crate::notify::config::Source;
use crate::notify::post::{Answered, Call};
use crate::notify::retry::{Attempt, End, FailureClass};
use crate::notify::sender::{Job, Made, Trying};
use crate::notify::truncate;
use crate::notify::vendor::{Dialog, Talking};
use crate::sys::http::HttpClient;
use crate::sys::locks::lock;
use crate::sys::settings::{HttpClientSettings, Secret, ShownUrl};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

/// A token is fetched anew after this long.
const TOKEN_AGE_MAX: Duration = Duration::from_secs(2 * 3600);
/// The server refuses longer Markdown; longer text it cuts itself.
const MARKDOWN_BYTES_MAX: usize = 2_048;
/// The server is busy, says its list of error codes.
const BUSY: i64 = -1;
/// Codes that say that the token is no good, or no more.
const TOKEN_REFUSED: [i64; 3] = [40_001, 40_014, 42_001];

/// One item of `wechat_configs`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether resolved alerts are told.
    #[serde(deserialize_with = "null_as_default")]
    pub send_resolved: bool,
    /// How to talk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpClientSettings>,
    /// The application's secret.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub api_secret: Secret,
    /// A file with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_secret_file: Option<PathBuf>,
    /// The corporation's identity.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub corp_id: String,
    /// The message; a template.
    pub message: String,
    /// The server.
    #[serde(skip_serializing_if = "ShownUrl::is_empty")]
    pub api_url: ShownUrl,
    /// Users that get it, between `|`; a template.
    pub to_user: String,
    /// Departments that get it; a template.
    pub to_party: String,
    /// Tags of users that get it; a template.
    pub to_tag: String,
    /// The application; a template.
    pub agent_id: String,
    /// `text` or `markdown`; text when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message_type: String,
}

impl Default for Settings {
    fn default() -> Self {
        let template = |name: &str| format!("{{{{ template \"wechat.default.{name}\" . }}}}");
        Self {
            send_resolved: false,
            http_config: None,
            api_secret: Secret::default(),
            api_secret_file: None,
            corp_id: String::new(),
            message: template("message"),
            api_url: ShownUrl::default(),
            to_user: template("to_user"),
            to_party: template("to_party"),
            to_tag: template("to_tag"),
            agent_id: template("agent_id"),
            message_type: String::new(),
        }
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        let global = context.global;
        if !["", "text", "markdown"].contains(&self.message_type.as_str()) {
            let text = format!(
                "weChat message type {:?} does not match valid options ^(text|markdown)$",
                self.message_type
            );
            return Err(Problem::new(format!("{at}.message_type"), text));
        }
        let secret = one_of(at, "api_secret", &self.api_secret, self.api_secret_file.as_ref())?;
        let url = if self.api_url.is_empty() { &global.wechat_api_url } else { &self.api_url };
        if url.is_empty() {
            return Err(Problem::new(at, "no global Wechat URL set"));
        }
        check_url(&format!("{at}.api_url"), url.reveal())?;
        let secret = secret.or_else(|| {
            Source::of(&global.wechat_api_secret, global.wechat_api_secret_file.as_ref())
        });
        let secret = secret.ok_or_else(|| {
            Problem::new(at, "no global Wechat Api Secret set either inline or in a file")
        })?;
        let corp_id =
            if self.corp_id.is_empty() { &global.wechat_api_corp_id } else { &self.corp_id };
        if corp_id.is_empty() {
            return Err(Problem::new(at, "no global Wechat CorpID set"));
        }
        let http = context.http(at, self.http_config.as_ref())?;
        let dialog = Wechat {
            settings: self.clone(),
            url: format!("{}/", url.reveal().trim_end_matches('/')),
            secret,
            corp_id: corp_id.clone(),
            token: Mutex::default(),
        };
        Ok(Talking::made("wechat", self.send_resolved, http, dialog))
    }
}

/// One application, checked, with the global defaults.
#[derive(Debug)]
struct Wechat {
    settings: Settings,
    /// With a slash at its end.
    url: String,
    secret: Source,
    corp_id: String,
    /// The token, and when it came by the elapsed time.
    token: Mutex<Option<(Secret, Duration)>>,
}

#[derive(Serialize)]
struct Form<'a> {
    text: Content,
    #[serde(rename = "touser", skip_serializing_if = "String::is_empty")]
    to_user: String,
    #[serde(rename = "toparty", skip_serializing_if = "String::is_empty")]
    to_party: String,
    #[serde(rename = "totag", skip_serializing_if = "String::is_empty")]
    to_tag: String,
    #[serde(rename = "agentid", skip_serializing_if = "String::is_empty")]
    agent_id: String,
    safe: &'static str,
    #[serde(rename = "msgtype")]
    kind: &'a str,
    markdown: Content,
}

#[derive(Default, Serialize)]
struct Content {
    content: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reply {
    access_token: String,
    errcode: i64,
    errmsg: String,
}

impl Dialog for Wechat {
    fn attempt<'a>(&'a self, client: &'a dyn HttpClient, job: &'a Job<'a>) -> Trying<'a> {
        Box::pin(async move {
            let form = match self.form(job) {
                Ok(form) => form,
                Err(reason) => return Attempt::unsendable(format!("templating error: {reason}")),
            };
            let token = match self.token(client, job).await {
                Ok(token) => token,
                Err(failed) => return failed,
            };
            let token = percent::encode_form(&token);
            let url = format!("{}message/send?access_token={token}", self.url);
            match Call::json(url, &form).send(client, job).await {
                Ok(answer) => self.ended(&answer),
                Err(failed) => failed,
            }
        })
    }
}

impl Wechat {
    /// The token that is at hand, or a new one.
    async fn token(&self, client: &dyn HttpClient, job: &Job<'_>) -> Result<String, Attempt> {
        let now = job.outside.clock.elapsed();
        let kept = self.lock().clone().filter(|(_, since)| *since + TOKEN_AGE_MAX >= now);
        if let Some((token, _)) = kept {
            job.outside.revealed.note(token.reveal());
            return Ok(token.reveal().to_owned());
        }
        let url = self.token_url(job).map_err(Attempt::unsendable)?;
        let answer = Call::get(url).send(client, job).await?;
        let Some(reply) = read(&answer)? else { return Err(unreadable(&answer)) };
        if reply.access_token.is_empty() {
            let reason = format!("invalid APISecret for CorpID: {}", self.corp_id);
            let class = FailureClass::Client;
            return Err(answer.ended(match reply.errcode {
                BUSY => End::Retry { reason: reply.errmsg, class, after: None },
                _ => End::Final { reason, class },
            }));
        }
        job.outside.revealed.note(&reply.access_token);
        *self.lock() = Some((Secret::new(reply.access_token.clone()), now));
        Ok(reply.access_token)
    }

    fn ended(&self, answer: &Answered) -> Attempt {
        let reply = match read(answer) {
            Ok(Some(reply)) => reply,
            Ok(None) => return unreadable(answer),
            Err(failed) => return failed,
        };
        let (reason, class) = (reply.errmsg, FailureClass::Client);
        answer.ended(match reply.errcode {
            0 => End::Done,
            code if TOKEN_REFUSED.contains(&code) => {
                *self.lock() = None;
                End::Retry { reason, class, after: None }
            }
            BUSY => End::Retry { reason, class, after: None },
            _ => End::Final { reason, class },
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Secret, Duration)>> {
        lock(&self.token)
    }
}

/// The reply in an answer with status 200, `None` when it is none.
fn read(answer: &Answered) -> Result<Option<Reply>, Attempt> {
    if answer.status != 200 {
        let reason = format!("unexpected status code {}", answer.status);
        let class = FailureClass::of_status(answer.status);
        return Err(answer.ended(End::Retry { reason, class, after: answer.retry_after }));
    }
    Ok(answer.json().ok())
}

fn unreadable(answer: &Answered) -> Attempt {
    let reason = format!("could not read the answer: {}", answer.head());
    answer.ended(End::Retry { reason, class: FailureClass::Other, after: None })
}

impl Wechat {
    fn token_url(&self, job: &Job<'_>) -> Result<String, String> {
        let field = |text: &str| {
            let text = job.text(text).map_err(|err| format!("templating error: {err}"))?;
            Ok::<_, String>(percent::encode_form(&text))
        };
        let secret = field(&job.outside.reveal_trimmed(&self.secret)?)?;
        let corp_id = field(&self.corp_id)?;
        Ok(format!("{}gettoken?corpid={corp_id}&corpsecret={secret}", self.url))
    }

    fn form(&self, job: &Job<'_>) -> Result<Form<'_>, String> {
        let settings = &self.settings;
        let message = job.text(&settings.message)?;
        let (kind, text, markdown) = match settings.message_type.as_str() {
            "markdown" => {
                ("markdown", String::new(), truncate::bytes(&message, MARKDOWN_BYTES_MAX))
            }
            _ => ("text", message, String::new()),
        };
        Ok(Form {
            text: Content { content: text },
            to_user: job.text(&settings.to_user)?,
            to_party: job.text(&settings.to_party)?,
            to_tag: job.text(&settings.to_tag)?,
            agent_id: job.text(&settings.agent_id)?,
            safe: "0",
            kind,
            markdown: Content { content: markdown },
        })
    }
}
