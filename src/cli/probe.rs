//! `watchbell probe`: one probe by the running server: whether it succeeded, then all about it.

use super::flags::ProbeFlags;
use super::{Status, server};
use crate::model::printable;
use crate::wire::ProbeRequest;
use std::io::{self, Write as _};

/// Probes once, and prints the verdict, the log, the metrics and the module.
pub(super) fn run(flags: &ProbeFlags) -> anyhow::Result<Status> {
    let core = server::connect(&flags.server)?;
    let request = ProbeRequest {
        target: flags.target.clone(),
        module: flags.module.clone(),
        hostname: flags.hostname.clone().unwrap_or_default(),
        patience: Some(flags.timeout),
        debug: true,
        listed_only: false,
    };
    let text = core.probe(&request)?;
    let mut out = io::stdout().lock();
    let verdict = Verdict::of(&text);
    // Servers that were probed wrote some of it.
    writeln!(out, "{}\n", printable(&verdict.line(&flags.target, &flags.module)))?;
    for line in text.lines() {
        writeln!(out, "{}", printable(line))?;
    }
    Ok(if verdict.success { Status::Fine } else { Status::Wrong })
}

/// What a probe comes to.
#[derive(Debug, Default, PartialEq)]
struct Verdict {
    success: bool,
    seconds: f64,
    /// Why it failed, in the order in which it was found.
    reasons: Vec<String>,
}

impl Verdict {
    /// Reads it out of the log and the metrics of a probe.
    fn of(text: &str) -> Self {
        let mut verdict = Self::default();
        for line in text.lines() {
            if let Some(value) = line.strip_prefix("probe_success ") {
                verdict.success = value == "1";
            } else if let Some(value) = line.strip_prefix("probe_duration_seconds ") {
                verdict.seconds = value.parse().unwrap_or_default();
            } else if let Some((_, told)) = line.split_once(" level=error msg=")
                && line.starts_with("at=")
                && !told.starts_with("\"probe failed\"")
            {
                verdict.reasons.push(reason(told));
            }
        }
        verdict
    }

    fn line(&self, target: &str, module: &str) -> String {
        let took = format!("{:.3} s", self.seconds);
        if self.success {
            return format!("SUCCESS in {took}: {target} ({module})");
        }
        let why = if self.reasons.is_empty() {
            "the log below has no reason".to_owned()
        } else {
            self.reasons.join("; ")
        };
        format!("FAILED after {took}: {target} ({module}): {why}")
    }
}

/// The message and the fields of a line of the log, `"no" err="x"`, as people write them: `no:
/// x`, and `no (status 500)` for fields other than `err`.
fn reason(told: &str) -> String {
    let (message, mut rest) = quoted(told);
    let (mut text, mut fields) = (message, Vec::new());
    while let Some((name, value)) = rest.split_once('=') {
        let (value, after) = quoted(value);
        rest = after;
        match name.trim_start() {
            "err" => text.push_str(&format!(": {value}")),
            name => fields.push(format!("{} {value}", name.replace('_', " "))),
        }
    }
    if fields.is_empty() { text } else { format!("{text} ({})", fields.join(", ")) }
}

/// The text between the quotation marks that `rest` begins with, and what comes after them.
/// Escapes other than those of the marks stay: they are meant for a terminal too.
fn quoted(rest: &str) -> (String, &str) {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (text, rest.get(at + 1..).unwrap_or_default()),
            '\\' => match chars.next() {
                Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                Some((_, other)) => text.extend(['\\', other]),
                None => text.push('\\'),
            },
            c => text.push(c),
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_verdict_says_why_and_how_long() {
        let text = "Logs for the probe:\n\
            at=0.000001s level=debug msg=\"beginning probe\" target=\"x\"\n\
            at=0.2s level=error msg=\"error for HTTP request\" err=\"dial \\\"x\\\": refused\"\n\
            at=0.3s level=error msg=\"invalid HTTP response status code\" status_code=\"500\"\n\
            at=0.3s level=error msg=\"probe failed\" duration_seconds=\"0.3\"\n\n\n\n\
            Metrics that would have been returned:\n\
            # HELP probe_success x\nprobe_duration_seconds 0.25\nprobe_success 0\n";
        let verdict = Verdict::of(text);
        assert_eq!(
            verdict.line("http://x", "http_2xx"),
            "FAILED after 0.250 s: http://x (http_2xx): error for HTTP request: dial \"x\": \
             refused; invalid HTTP response status code (status code 500)"
        );
        let verdict = Verdict::of("probe_duration_seconds 0.0123\nprobe_success 1\n");
        assert_eq!(verdict.line("x:1", "tcp_connect"), "SUCCESS in 0.012 s: x:1 (tcp_connect)");
    }

    proptest! {
        #[test]
        fn any_line_is_read(told in "(\"[a-z\\\\\"\u{e9}=]{0,9}\"?|[ =a-z\"\\\\]){0,9}") {
            let _ = reason(&told);
        }
    }
}
