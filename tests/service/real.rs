//! Programs of the field that run beside a test, where they are installed.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use watchbell::sys::tasks;

/// A program that runs until it is dropped.
pub(super) struct Agent(pub(super) Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn flag(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

/// A program of the field, on a port that nobody else has.
pub(super) struct Real {
    pub(super) address: SocketAddr,
    _process: Agent,
}

impl Real {
    /// Starts it; the arguments let it choose the port, which it tells in its log as all of
    /// Prometheus' family do. `None` where it is not installed: tests say so and pass.
    pub(super) fn start(program: &str, args: &[impl AsRef<OsStr>]) -> Option<Self> {
        let mut command = Command::new(program);
        command.args(args).stdout(Stdio::null()).stderr(Stdio::piped());
        let Ok(mut child) = command.spawn() else {
            println!("skipped: {program} is not installed");
            return None;
        };
        let log = BufReader::new(child.stderr.take().expect("is piped"));
        let process = Agent(child);
        let mut lines = log.lines().map_while(Result::ok);
        let mut said = String::new();
        let address = lines.find_map(|line| {
            said.push_str(&line);
            said.push('\n');
            line.split_once("\"Listening on\" address=")?.1.trim().parse().ok()
        });
        let Some(address) = address else { panic!("{program} does not start: {said}") };
        // A log that nobody reads would stop it.
        tasks::spawn_thread("log", move || lines.for_each(drop)).expect("a thread");
        Some(Self { address, _process: process })
    }
}
