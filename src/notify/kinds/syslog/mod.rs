//! Syslog and the journal: settings here, the messages in `lines.rs`. One message for each alert.
//!
//! Source: RFC 5424, RFC 3164, RFC 5426 (UDP), RFC 6587 (TCP, octet counting); systemd, "Native
//! Journal Protocol".
//!
//! Never: giving a log's reader a line or a field that an alert made up.

mod lines;

use super::{Context, Written};
use crate::alerts::{Notification, NotifiedAlert};
use crate::model::{AlertStatus, Problem, Timestamp};
use crate::notify::outside::Outside;
use crate::notify::retry::{Attempt, FailureClass};
use crate::notify::sender::{Integration, Job, Made, Sender, Trying};
use crate::sys::local::{LogSocket, error_text};
use lines::Line;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// The journal's socket for messages with fields.
const JOURNAL: &str = "/run/systemd/journal/socket";
/// Facilities by their numbers, as in syslog(3).
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "security", "console", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];
/// Severities by their numbers.
const SEVERITIES: [&str; 8] =
    ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
/// The severity of an alert whose own is none.
const NOTICE: u8 = 5;

/// One item of `syslog_configs`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether resolved alerts are told.
    pub send_resolved: bool,
    /// `unix:/dev/log`, `udp:HOST:PORT`, `tcp:HOST:PORT` or `journal`.
    pub address: String,
    /// Which part of a system speaks, `daemon` or `local0` for example.
    pub facility: String,
    /// `crit`, `warning` or another, by name or number; a template over each alert alone.
    pub severity: String,
    /// What we are called.
    pub app_name: String,
    /// The message; a template over each alert alone.
    pub message: String,
    /// `rfc5424` or `rfc3164`; by the address when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub format: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            send_resolved: true,
            address: "unix:/dev/log".to_owned(),
            facility: "daemon".to_owned(),
            severity: concat!(
                r#"{{ if eq .Status "resolved" }}info"#,
                r#"{{ else if eq .CommonLabels.severity "critical" }}crit"#,
                r#"{{ else if eq .CommonLabels.severity "warning" }}warning{{ else }}notice{{ end }}"#
            )
            .to_owned(),
            app_name: "watchbell".to_owned(),
            message: r#"{{ template "watchbell.default.line" . }}"#.to_owned(),
            format: String::new(),
        }
    }
}

impl Written for Settings {
    fn check(&self, at: &str, _: &Context<'_>) -> Result<Made, Problem> {
        let (socket, journal) = address(&self.address)
            .ok_or_else(|| Problem::new(format!("{at}.address"), bad_address(&self.address)))?;
        let format = match (self.format.as_str(), &socket) {
            ("", _) if journal => Format::Journal,
            (_, _) if journal => {
                let text = "the journal has a format of its own";
                return Err(Problem::new(format!("{at}.format"), text));
            }
            // What listens on this host's socket knows the host and not the newer form.
            ("", LogSocket::Unix(_)) | ("rfc3164", LogSocket::Unix(_)) => Format::Local,
            ("rfc3164", _) => Format::Rfc3164,
            ("" | "rfc5424", _) => Format::Rfc5424,
            (other, _) => {
                let text = format!("{other:?} is neither rfc5424 nor rfc3164");
                return Err(Problem::new(format!("{at}.format"), text));
            }
        };
        let facility = numbered(&FACILITIES, &self.facility).ok_or_else(|| {
            let text = format!("{:?} is none of {}", self.facility, FACILITIES.join(", "));
            Problem::new(format!("{at}.facility"), text)
        })?;
        let graphic = |name: &str| name.bytes().all(|byte| byte.is_ascii_graphic());
        if self.app_name.is_empty() || self.app_name.len() > 48 || !graphic(&self.app_name) {
            let text = "1 to 48 printable ASCII characters without spaces are wanted";
            return Err(Problem::new(format!("{at}.app_name"), text));
        }
        Ok(Arc::new(Syslog { settings: self.clone(), socket, format, facility }))
    }
}

/// A log's address and whether the journal's protocol is spoken there.
fn address(text: &str) -> Option<(LogSocket, bool)> {
    if text == "journal" {
        return Some((LogSocket::Unix(JOURNAL.into()), true));
    }
    let (scheme, rest) = text.split_once(':')?;
    if matches!(scheme, "unix" | "journal") {
        let path = PathBuf::from(rest);
        return path.is_absolute().then_some((LogSocket::Unix(path), scheme == "journal"));
    }
    let (host, port) = rest.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let (host, port) = (host.to_owned(), port.parse().ok()?);
    match scheme {
        _ if host.is_empty() => None,
        "udp" => Some((LogSocket::Udp(host, port), false)),
        "tcp" => Some((LogSocket::Tcp(host, port), false)),
        _ => None,
    }
}

fn bad_address(text: &str) -> String {
    format!("cannot read {text:?}; write unix:/dev/log, udp:HOST:PORT, tcp:HOST:PORT or journal")
}

/// The number of a name, or one in text.
fn numbered(names: &[&str], text: &str) -> Option<u8> {
    let text = text.trim().to_ascii_lowercase();
    let named = names.iter().position(|name| *name == text);
    let number = named.or_else(|| text.parse().ok().filter(|number| *number < names.len()))?;
    u8::try_from(number).ok()
}

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// With structured data.
    Rfc5424,
    /// The older form.
    Rfc3164,
    /// The same without the host, as for this host's own socket.
    Local,
    /// The journal's fields.
    Journal,
}

/// One log, checked.
#[derive(Clone, Debug)]
struct Syslog {
    settings: Settings,
    socket: LogSocket,
    format: Format,
    facility: u8,
}

impl Integration for Syslog {
    fn kind(&self) -> &'static str {
        "syslog"
    }

    fn send_resolved(&self) -> bool {
        self.settings.send_resolved
    }

    fn sender(&self, _: &Outside) -> Result<Box<dyn Sender>, Problem> {
        Ok(Box::new(self.clone()))
    }
}

impl Sender for Syslog {
    fn attempt<'a>(&'a self, job: &'a Job<'a>) -> Trying<'a> {
        Box::pin(async move {
            let alerts = job.delivery.notification.alerts.iter();
            let messages = match alerts.map(|alert| self.message(alert, job)).collect() {
                Ok(messages) => messages,
                Err(reason) => return Attempt::unsendable(reason),
            };
            match job.outside.local.tell(self.socket.clone(), messages).await {
                Ok(()) => Attempt::done(),
                Err(err) => {
                    let text = format!("tell {}: {}", self.settings.address, error_text(&err));
                    Attempt::retry(FailureClass::Other, text)
                }
            }
        })
    }
}

impl Syslog {
    fn message(&self, alert: &NotifiedAlert, job: &Job<'_>) -> Result<Vec<u8>, String> {
        let whole = &job.delivery.notification;
        let rendering = job.over(alert);
        let text = |field: &str| rendering.text(field).map_err(|err| err.to_string());
        let severity = text(&self.settings.severity)?;
        let line = Line {
            facility: self.facility,
            severity: numbered(&SEVERITIES, &severity).unwrap_or(NOTICE),
            at: at(alert, whole),
            zone: jiff::tz::TimeZone::system(),
            host: &job.outside.hostname,
            app_name: &self.settings.app_name,
            receiver: &whole.receiver,
            alert,
            text: text(&self.settings.message)?,
        };
        let message = match self.format {
            Format::Rfc5424 => line.rfc5424(),
            Format::Rfc3164 => line.rfc3164(true),
            Format::Local => line.rfc3164(false),
            Format::Journal => line.journal(),
        };
        // In a stream each message stands behind its length.
        Ok(match &self.socket {
            LogSocket::Tcp(..) => [format!("{} ", message.len()).into_bytes(), message].concat(),
            LogSocket::Unix(_) | LogSocket::Udp(..) => message,
        })
    }
}

/// When the alert came to the state that is told.
fn at(alert: &NotifiedAlert, whole: &Notification) -> Timestamp {
    match (alert.status(), alert.ends_at) {
        (AlertStatus::Resolved, Some(ended)) => ended,
        _ => whole.at,
    }
}
