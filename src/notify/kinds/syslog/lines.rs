//! One alert as a message of a log, in each of the forms.

use crate::alerts::NotifiedAlert;
use crate::model::{Timestamp, printable};
use crate::notify::message::rfc3339;
use crate::notify::truncate;
use jiff::tz::TimeZone;

/// What common servers take of one message.
const MESSAGE_BYTES_MAX: usize = 8 << 10;
/// What fits into the text of a message beside its head.
const TEXT_BYTES_MAX: usize = 6 << 10;
/// The journal takes more; a datagram of this size passes any socket.
const JOURNAL_BYTES_MAX: usize = 64 << 10;
/// The longest name of a parameter in structured data.
const PARAM_NAME_MAX: usize = 32;
/// The longest name of a field of the journal.
const FIELD_NAME_MAX: usize = 64;

/// What a message says.
pub(super) struct Line<'a> {
    pub(super) facility: u8,
    pub(super) severity: u8,
    pub(super) at: Timestamp,
    /// The zone of times that name none.
    pub(super) zone: TimeZone,
    pub(super) host: &'a str,
    pub(super) app_name: &'a str,
    pub(super) receiver: &'a str,
    pub(super) alert: &'a NotifiedAlert,
    pub(super) text: String,
}

impl Line<'_> {
    /// With the labels as structured data, which is left out where it would be too long.
    pub(super) fn rfc5424(&self) -> Vec<u8> {
        let head = format!(
            "<{}>1 {} {} {} - alert ",
            self.priority(),
            rfc3339(self.at),
            name(self.host, 255),
            self.app_name,
        );
        let text = self.one_line();
        // The number is the one that is kept for examples: we have none of our own.
        let mut data = String::from("[alert@32473");
        param(&mut data, "status", self.alert.status().as_str());
        param(&mut data, "receiver", self.receiver);
        param(&mut data, "fingerprint", &self.alert.fingerprint().to_string());
        data.push_str("][labels@32473");
        for (name, value) in &self.alert.labels {
            param(&mut data, name, value);
        }
        data.push(']');
        if head.len() + data.len() + 1 + text.len() > MESSAGE_BYTES_MAX {
            "-".clone_into(&mut data);
        }
        format!("{head}{data} {text}").into_bytes()
    }

    /// The older form, with the host or, for this host's own socket, without.
    pub(super) fn rfc3164(&self, with_host: bool) -> Vec<u8> {
        let host = if with_host { format!("{} ", name(self.host, 255)) } else { String::new() };
        let (priority, at) = (self.priority(), bsd_time(self.at, self.zone.clone()));
        format!("<{priority}>{at} {host}{}: {}", self.app_name, self.one_line()).into_bytes()
    }

    /// Fields for the journal.
    pub(super) fn journal(&self) -> Vec<u8> {
        let mut out = Vec::new();
        // In the journal a message may have lines; nothing else in it can be broken out of.
        let lines: Vec<_> = self.text.trim().lines().map(printable).collect();
        let lines: Vec<_> = lines.iter().map(|line| line.as_str()).collect();
        field(&mut out, "MESSAGE", truncate::head(&lines.join("\n"), JOURNAL_BYTES_MAX / 2));
        field(&mut out, "PRIORITY", &self.severity.to_string());
        field(&mut out, "SYSLOG_FACILITY", &self.facility.to_string());
        field(&mut out, "SYSLOG_IDENTIFIER", self.app_name);
        field(&mut out, "WATCHBELL_STATUS", self.alert.status().as_str());
        field(&mut out, "WATCHBELL_RECEIVER", printable(self.receiver).as_str());
        field(&mut out, "WATCHBELL_FINGERPRINT", &self.alert.fingerprint().to_string());
        for (name, value) in &self.alert.labels {
            let upper =
                |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
            let name: String = "LABEL_".chars().chain(name.chars().map(upper)).collect();
            let mut one = Vec::new();
            field(&mut one, truncate::head(&name, FIELD_NAME_MAX), printable(value).as_str());
            if out.len() + one.len() <= JOURNAL_BYTES_MAX {
                out.extend(one);
            }
        }
        out
    }

    fn priority(&self) -> u32 {
        u32::from(self.facility) * 8 + u32::from(self.severity)
    }

    /// The text where a line end would begin another message.
    fn one_line(&self) -> String {
        let lines: Vec<_> = self.text.trim().lines().collect();
        truncate::bytes(printable(&lines.join(" ")).as_str(), TEXT_BYTES_MAX)
    }
}

/// A name in the head of a message: no space, no control character, never empty.
fn name(text: &str, max: usize) -> String {
    let safe = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    let name: String = text.chars().take(max).map(safe).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

/// One parameter of structured data.
fn param(out: &mut String, name: &str, value: &str) {
    let safe = |c: char| if c.is_ascii_graphic() && !"=]\"".contains(c) { c } else { '_' };
    out.push(' ');
    out.extend(name.chars().take(PARAM_NAME_MAX).map(safe));
    out.push_str("=\"");
    for c in printable(value).as_str().chars() {
        if matches!(c, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// One field, by its length where it has lines.
fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend(name.bytes());
    if value.contains('\n') {
        out.push(b'\n');
        out.extend((value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend(value.bytes());
    out.push(b'\n');
}

/// `Jan  2 15:04:05`.
fn bsd_time(at: Timestamp, zone: TimeZone) -> String {
    let instant = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
    instant.to_zoned(zone).strftime("%b %e %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Annotations, Labels};
    use proptest::prelude::*;

    fn alert(labels: Labels) -> NotifiedAlert {
        NotifiedAlert {
            labels,
            annotations: Annotations::empty(),
            starts_at: Timestamp::EPOCH,
            ends_at: None,
            generator_url: String::new(),
        }
    }

    fn line<'a>(alert: &'a NotifiedAlert, text: &str) -> Line<'a> {
        Line {
            facility: 3,
            severity: 2,
            at: Timestamp::from_millis(1_704_164_645_500),
            zone: TimeZone::fixed(jiff::tz::offset(-4)),
            host: "the host",
            app_name: "watchbell",
            receiver: "a\"b",
            alert,
            text: text.to_owned(),
        }
    }

    #[test]
    fn each_form_is_as_its_document_has_it() {
        let labels = [("alertname", "X"), ("path", "C:\\a]b\"\n<0>"), ("a b", "1")];
        let alert = alert(Labels::from_pairs(labels));
        let fingerprint = alert.fingerprint().to_string();
        let line = line(&alert, "first\nsecond\u{1b}[31m\n");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        assert_eq!(
            text(line.rfc5424()),
            format!(
                concat!(
                    "<26>1 2024-01-02T03:04:05.5Z the_host watchbell - alert ",
                    r#"[alert@32473 status="firing" receiver="a\"b" fingerprint="{}"]"#,
                    r#"[labels@32473 a_b="1" alertname="X" path="C:\\a\]b\"\\x0a<0>"] "#,
                    r"first second\x1b[31m"
                ),
                fingerprint
            )
        );
        // RFC 3164, section 4.1.2: the time is the local one.
        let old = r"watchbell: first second\x1b[31m";
        assert_eq!(text(line.rfc3164(true)), format!("<26>Jan  1 23:04:05 the_host {old}"));
        assert_eq!(text(line.rfc3164(false)), format!("<26>Jan  1 23:04:05 {old}"));
        let journal = format!(
            concat!(
                "MESSAGE\n\x14\0\0\0\0\0\0\0first\nsecond\\x1b[31m\n",
                "PRIORITY=2\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=watchbell\n",
                "WATCHBELL_STATUS=firing\nWATCHBELL_RECEIVER=a\"b\nWATCHBELL_FINGERPRINT={}\n",
                "LABEL_A_B=1\nLABEL_ALERTNAME=X\nLABEL_PATH=C:\\a]b\"\\x0a<0>\n"
            ),
            fingerprint
        );
        assert_eq!(text(line.journal()), journal);
    }

    #[test]
    fn structured_data_that_is_too_long_is_left_out() {
        let labels = Labels::from_pairs([("a", "x".repeat(MESSAGE_BYTES_MAX))]);
        let alert = alert(labels);
        let message = String::from_utf8(line(&alert, "text").rfc5424()).expect("text");
        assert!(message.ends_with(" - alert - text"), "{message}");
    }

    proptest! {
        #[test]
        fn no_alert_makes_up_a_line(
            name in "\\PC{1,80}|[\\x00-\\x7f]{1,9}",
            value in any::<String>(),
            text in any::<String>(),
        ) {
            let alert = alert(Labels::from_pairs([(name, value)]));
            let line = line(&alert, &text);
            for message in [line.rfc5424(), line.rfc3164(true), line.rfc3164(false)] {
                prop_assert!(message.len() <= MESSAGE_BYTES_MAX);
                let message = String::from_utf8(message).expect("text");
                prop_assert!(!message.chars().any(char::is_control), "{message:?}");
            }
            prop_assert!(line.journal().len() <= JOURNAL_BYTES_MAX);
        }
    }
}
