//! Pushover: a message to a user's devices; all of it stands in the query.
//!
//! Source: prometheus/alertmanager, notify/pushover/pushover.go, notify/pushover/config.go.

use super::{Context, Written, one_of};
use crate::model::{Problem, percent};
use crate::notify::config::Source;
use crate::notify::keys::{FileKey, HttpKey, keys, template};
use crate::notify::post::Call;
use crate::notify::sender::{Job, Made};
use crate::notify::truncate::runes;
use crate::notify::vendor::{Message, Talking, Vendor};
use crate::sys::settings::{GoSpan, Secret};
use std::collections::BTreeMap;
use std::time::Duration;

/// Where messages go.
const URL: &str = "https://api.pushover.net/1/messages.json";
/// Pushover's limits, in characters.
const TITLE_RUNES_MAX: usize = 250;
/// See above.
const MESSAGE_RUNES_MAX: usize = 1_024;
/// See above.
const URL_RUNES_MAX: usize = 512;
/// In place of a message without text, which is refused.
const EMPTY: &str = "(no details)";

keys! {
    /// One item of `pushover_configs`. All texts are templates.
    pub struct Settings {
        /// Whether resolved alerts are told.
        send_resolved: bool = true,
        /// How to talk.
        http_config: HttpKey = None,
        /// The key of the user or the group.
        user_key: Secret = Secret::default(),
        /// A file with it.
        user_key_file: FileKey = None,
        /// The application's token.
        token: Secret = Secret::default(),
        /// A file with it.
        token_file: FileKey = None,
        /// The title.
        title: String = template("pushover.default.title"),
        /// The text.
        message: String = template("pushover.default.message"),
        /// Where it leads.
        url: String = template("pushover.default.url"),
        /// What stands there.
        url_title: String = String::new(),
        /// The device; all when empty.
        device: String = String::new(),
        /// The sound.
        sound: String = String::new(),
        /// -2 to 2.
        priority: String = "{{ if eq .Status \"firing\" }}2{{ else }}0{{ end }}".to_owned(),
        /// How often an emergency is told again.
        retry: GoSpan = GoSpan(Duration::from_secs(60)),
        /// For how long.
        expire: GoSpan = GoSpan(Duration::from_secs(3_600)),
        /// When the message is deleted; 0 for never.
        ttl: GoSpan = GoSpan::default(),
        /// Whether the text is HTML.
        html: bool = false,
        /// Whether its letters are of one width.
        monospace: bool = false,
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        let missing =
            |key: &str| Problem::new(at, format!("one of {key} or {key}_file must be configured"));
        let user = one_of(at, "user_key", &self.user_key, self.user_key_file.as_ref())?
            .ok_or_else(|| missing("user_key"))?;
        let token = one_of(at, "token", &self.token, self.token_file.as_ref())?
            .ok_or_else(|| missing("token"))?;
        if self.html && self.monospace {
            return Err(Problem::new(at, "at most one of monospace & html must be configured"));
        }
        let http = context.http(at, self.http_config.as_ref())?;
        let vendor = Pushover { user, token, settings: self.clone() };
        Ok(Talking::made("pushover", self.send_resolved, http, vendor))
    }
}

/// A Pushover receiver, checked.
#[derive(Debug)]
struct Pushover {
    user: Source,
    token: Source,
    settings: Settings,
}

impl Vendor for Pushover {
    fn message(&self, job: &Job<'_>) -> Result<Message, String> {
        let settings = &self.settings;
        let text = |template: &str| job.text(template);
        let key = |source: &Source, name: &str| {
            let read = job.outside.reveal_trimmed(source);
            text(&read.map_err(|err| format!("read {name}_file: {err}"))?)
        };
        let message = match settings.html {
            true => job.rendering.html(&settings.message).map_err(|err| err.to_string())?,
            false => text(&settings.message)?,
        };
        let message = runes(&message, MESSAGE_RUNES_MAX);
        let message = match message.trim() {
            "" => EMPTY,
            message => message,
        };
        let seconds = |span: &GoSpan| span.0.as_secs().to_string();
        let mut parameters = BTreeMap::from([
            ("token", key(&self.token, "token")?),
            ("user", key(&self.user, "user_key")?),
            ("title", runes(&text(&settings.title)?, TITLE_RUNES_MAX)),
            ("message", message.to_owned()),
            ("url", runes(&text(&settings.url)?, URL_RUNES_MAX)),
            ("url_title", text(&settings.url_title)?),
            ("priority", text(&settings.priority)?),
            ("retry", seconds(&settings.retry)),
            ("expire", seconds(&settings.expire)),
            ("device", text(&settings.device)?),
            ("sound", text(&settings.sound)?),
        ]);
        for (name, on) in [("html", settings.html), ("monospace", settings.monospace)] {
            if on {
                parameters.insert(name, "1".to_owned());
            }
        }
        if settings.ttl.0.as_secs() > 0 {
            parameters.insert("ttl", seconds(&settings.ttl));
        }
        let pair =
            |(name, value): (&str, String)| format!("{name}={}", percent::encode_form(&value));
        let query: Vec<_> = parameters.into_iter().map(pair).collect();
        let call = Call::json_text(format!("{URL}?{}", query.join("&")), String::new());
        Ok(Call { headers: vec![("content-type", "text/plain".to_owned())], ..call }.into())
    }
}
