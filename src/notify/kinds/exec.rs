//! A command of this host: the web hook's JSON on its standard input.
//!
//! No shell is between, nothing of an alert becomes an argument, and only commands that the site
//! allows are run. Exit status 0 is success and 75 (`EX_TEMPFAIL` of sysexits.h) a reason to try
//! again, as are a signal and the end of its time; any other is final.

use super::{Context, Written};
use crate::model::{Problem, printable};
use crate::notify::config::Source;
use crate::notify::message::webhook_json;
use crate::notify::outside::Outside;
use crate::notify::post::head;
use crate::notify::retry::{Attempt, End, FailureClass};
use crate::notify::sender::{Integration, Job, Made, Sender, Trying};
use crate::sys::local::{Command, Ended, Ran, error_text};
use crate::sys::settings::{Secret, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What it says is for people, who read its beginning.
const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// The status of a command that may succeed later.
const EX_TEMPFAIL: i32 = 75;
/// Where a command finds others. Nothing else of our environment is handed on.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// One item of `exec_configs`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether resolved alerts are told.
    pub send_resolved: bool,
    /// The command by its absolute name and its arguments, as they are.
    pub command: Vec<String>,
    /// More variables of its environment.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Secret>,
    /// Files with values of such variables.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env_files: BTreeMap<String, PathBuf>,
    /// After this long it is killed.
    pub timeout: Span,
    /// Alerts in one message; 0 for all.
    pub max_alerts: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            send_resolved: true,
            command: Vec::new(),
            env: BTreeMap::new(),
            env_files: BTreeMap::new(),
            timeout: Span::seconds(10),
            max_alerts: 0,
        }
    }
}

impl Written for Settings {
    fn check(&self, at: &str, context: &Context<'_>) -> Result<Made, Problem> {
        let Some((program, args)) = self.command.split_first() else {
            return Err(Problem::new(at, "missing command in exec_config"));
        };
        let program = PathBuf::from(program);
        let at_command = format!("{at}.command");
        if self.command.iter().any(|part| part.contains('\0')) {
            return Err(Problem::new(at_command, "a command cannot hold a zero byte"));
        }
        if !context.allowed.commands.contains(&program) {
            let text = format!(
                "{} is not allowed: watchbell.exec_allowed must list it by its absolute name",
                program.display()
            );
            return Err(Problem::new(at_command, text));
        }
        if !program.is_absolute() {
            let text = format!("{} is no absolute name of a command", program.display());
            return Err(Problem::new(at_command, text));
        }
        if self.timeout.0.is_zero() {
            return Err(Problem::new(format!("{at}.timeout"), "a command needs a time limit"));
        }
        Ok(Arc::new(Exec {
            send_resolved: self.send_resolved,
            program,
            args: args.to_vec(),
            env: self.variables(at)?,
            timeout: self.timeout.0,
            alerts_max: usize::try_from(self.max_alerts).unwrap_or(usize::MAX),
        }))
    }
}

impl Settings {
    fn variables(&self, at: &str) -> Result<BTreeMap<String, Source>, Problem> {
        let inline = self.env.iter().map(|(name, value)| (name, Source::Inline(value.clone())));
        let files = self.env_files.iter().map(|(name, file)| (name, Source::File(file.clone())));
        let mut variables = BTreeMap::new();
        for (name, value) in inline.chain(files) {
            if name.is_empty() || name.contains(['=', '\0']) {
                let text = format!("{name:?} is no name of a variable");
                return Err(Problem::new(format!("{at}.env"), text));
            }
            if variables.insert(name.clone(), value).is_some() {
                let text = format!("at most one of env and env_files may hold {name}");
                return Err(Problem::new(format!("{at}.env"), text));
            }
        }
        Ok(variables)
    }
}

/// A command, checked.
#[derive(Clone, Debug)]
struct Exec {
    send_resolved: bool,
    program: PathBuf,
    args: Vec<String>,
    env: BTreeMap<String, Source>,
    timeout: Duration,
    /// Alerts in one message; 0 for all.
    alerts_max: usize,
}

impl Integration for Exec {
    fn kind(&self) -> &'static str {
        "exec"
    }

    fn send_resolved(&self) -> bool {
        self.send_resolved
    }

    fn sender(&self, _: &Outside) -> Result<Box<dyn Sender>, Problem> {
        Ok(Box::new(self.clone()))
    }
}

impl Sender for Exec {
    fn attempt<'a>(&'a self, job: &'a Job<'a>) -> Trying<'a> {
        Box::pin(async move {
            let command = match self.command(job) {
                Ok(command) => command,
                Err(reason) => return Attempt::unsendable(reason),
            };
            match job.outside.local.run(command).await {
                Ok(ran) => self.ended(&ran, job),
                Err(err) => {
                    let text = format!("run {}: {}", self.program.display(), error_text(&err));
                    Attempt::retry(FailureClass::Other, text)
                }
            }
        })
    }
}

impl Exec {
    fn command(&self, job: &Job<'_>) -> Result<Command, String> {
        let (notification, rendering, left_out) = job.cut_to(self.alerts_max);
        // What alerts say is made safe: a variable cannot hold a zero byte, and scripts print them.
        let safe = |text: &str| printable(text).as_str().to_owned();
        let ours = [
            ("PATH", PATH.to_owned()),
            ("WATCHBELL_STATUS", notification.status().as_str().to_owned()),
            ("WATCHBELL_RECEIVER", safe(&notification.receiver)),
            ("WATCHBELL_GROUP_KEY", safe(notification.group_key.as_str())),
            ("WATCHBELL_IDEMPOTENCY_KEY", job.delivery.idempotency_key()),
        ];
        let mut env: BTreeMap<String, String> =
            ours.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        for (name, value) in &self.env {
            let value = job.outside.reveal_trimmed(value)?;
            if value.contains('\0') {
                return Err(format!("the variable {name} cannot hold a zero byte"));
            }
            env.insert(name.clone(), value);
        }
        Ok(Command {
            program: self.program.clone(),
            args: self.args.clone(),
            env: env.into_iter().collect(),
            stdin: webhook_json(&notification, rendering.route_labels(), left_out).into(),
            timeout: self.timeout.min(job.time_left),
            output_bytes_max: OUTPUT_BYTES_MAX,
        })
    }

    fn ended(&self, ran: &Ran, job: &Job<'_>) -> Attempt {
        let said = head(&String::from_utf8_lossy(&ran.output), job.outside);
        let detail = if said.is_empty() { String::new() } else { format!(": {said}") };
        let name = self.program.display();
        let retry = |reason: String, class| End::Retry { reason, class, after: None };
        let end = match ran.ended {
            Ended::Status(0) => End::Done,
            Ended::Status(EX_TEMPFAIL) => {
                let reason = format!("{name} ended with status {EX_TEMPFAIL}{detail}");
                retry(reason, FailureClass::Other)
            }
            Ended::Status(status) => {
                let reason = format!("{name} ended with status {status}{detail}");
                End::Final { reason, class: FailureClass::Other }
            }
            Ended::Signal(signal) => {
                retry(format!("{name} was ended by signal {signal}{detail}"), FailureClass::Other)
            }
            Ended::TimedOut => {
                let timeout = Span(self.timeout.min(job.time_left));
                let reason = format!("{name} still ran after {timeout} and was killed{detail}");
                retry(reason, FailureClass::Deadline)
            }
        };
        Attempt { end, answer: said, ..Attempt::done() }
    }
}
