//! A file of this host, for sites without a network: a line of JSON for each notification, or a
//! line of text for each alert.

use super::{Context, Written};
use crate::model::{Problem, printable};
use crate::notify::message::{go_json, rfc3339, webhook_json};
use crate::notify::outside::Outside;
use crate::notify::retry::{Attempt, FailureClass};
use crate::notify::sender::{Integration, Job, Made, Sender, Trying};
use crate::sys::local::{Append, error_text};
use crate::sys::settings::ByteSize;
use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// More files than this are kept by other means.
const KEEP_MAX: u32 = 1_000;

/// One item of `file_configs`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether resolved alerts are told.
    pub send_resolved: bool,
    /// The file, as an absolute name.
    pub path: PathBuf,
    /// `json` or `text`.
    pub format: String,
    /// The text of a line; a template over each alert alone; for `text`.
    pub message: String,
    /// A file that would be longer is set aside.
    pub max_bytes: ByteSize,
    /// So many of those are kept.
    pub keep: u32,
    /// Alerts in one line of JSON; 0 for all.
    pub max_alerts: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            send_resolved: true,
            path: PathBuf::new(),
            format: "json".to_owned(),
            message: r#"{{ template "watchbell.default.line" . }}"#.to_owned(),
            max_bytes: ByteSize(64 << 20),
            keep: 3,
            max_alerts: 0,
        }
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        if self.path.as_os_str().is_empty() {
            return Err(Problem::new(at, "missing path in file_config"));
        }
        let allowed = &context.allowed.files;
        if !is_plain(&self.path) || !allowed.iter().any(|one| is_below(&self.path, one)) {
            let text = format!(
                "{} is not allowed: watchbell.file_allowed must list it, or a folder above it, by \
                 its absolute name",
                self.path.display()
            );
            return Err(Problem::new(format!("{at}.path"), text));
        }
        let json = match self.format.as_str() {
            "json" => true,
            "text" => false,
            other => {
                let text = format!("{other:?} is neither json nor text");
                return Err(Problem::new(format!("{at}.format"), text));
            }
        };
        if self.max_bytes.0 == 0 {
            return Err(Problem::new(format!("{at}.max_bytes"), "a file needs a limit"));
        }
        if self.keep > KEEP_MAX {
            return Err(Problem::new(format!("{at}.keep"), format!("at most {KEEP_MAX}")));
        }
        Ok(Arc::new(Log { settings: self.clone(), json }))
    }
}

/// Whether a name says where its file is: absolute, without `..`.
fn is_plain(path: &Path) -> bool {
    let plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
    path.is_absolute() && path.components().all(plain)
}

/// Whether the file is this one or in this folder.
fn is_below(path: &Path, allowed: &Path) -> bool {
    is_plain(allowed) && path.starts_with(allowed)
}

/// One file, checked.
#[derive(Clone, Debug)]
struct Log {
    settings: Settings,
    json: bool,
}

impl Integration for Log {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn send_resolved(&self) -> bool {
        self.settings.send_resolved
    }

    fn sender(&self, _: &Outside) -> Result<Box<dyn Sender>, Problem> {
        Ok(Box::new(self.clone()))
    }
}

impl Sender for Log {
    fn attempt<'a>(&'a self, job: &'a Job<'a>) -> Trying<'a> {
        Box::pin(async move {
            let text = match if self.json { self.line(job) } else { self.lines(job) } {
                Ok(text) => text,
                Err(reason) => return Attempt::unsendable(reason),
            };
            let append = Append {
                path: self.settings.path.clone(),
                bytes: text.into_bytes(),
                bytes_max: self.settings.max_bytes.0,
                keep: self.settings.keep,
            };
            match job.outside.local.append(append).await {
                Ok(()) => Attempt::done(),
                Err(err) => {
                    let name = self.settings.path.display();
                    let text = format!("append to {name}: {}", error_text(&err));
                    Attempt::retry(FailureClass::Other, text)
                }
            }
        })
    }
}

impl Log {
    /// The web hook's JSON with when it was decided and by which key a reader drops what was
    /// written twice.
    fn line(&self, job: &Job<'_>) -> Result<String, String> {
        let alerts_max = usize::try_from(self.settings.max_alerts).unwrap_or(usize::MAX);
        let (notification, rendering, left_out) = job.cut_to(alerts_max);
        let body = webhook_json(&notification, rendering.route_labels(), left_out);
        let mut form: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&body).map_err(|err| err.to_string())?;
        form.insert("at".to_owned(), rfc3339(notification.at).into());
        form.insert("idempotencyKey".to_owned(), job.delivery.idempotency_key().into());
        Ok(go_json(&form))
    }

    fn lines(&self, job: &Job<'_>) -> Result<String, String> {
        let whole = &job.delivery.notification;
        let at = rfc3339(whole.at);
        let mut lines = String::new();
        for alert in &whole.alerts {
            let text = job.over(alert).text(&self.settings.message);
            let text = text.map_err(|err| err.to_string())?;
            let text: Vec<_> = text.trim().lines().collect();
            // An alert cannot make up a line.
            lines.push_str(&format!("{at} {}\n", printable(&text.join(" "))));
        }
        Ok(lines)
    }
}
