//! Programs that run beside a test, ours and those of the field.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use watchbell::sys::tasks;

/// A program that runs until it is dropped.
pub(super) struct Agent(Child);

impl Agent {
    /// `None` when it is not installed.
    pub(super) fn start(program: &str, args: &[String]) -> Option<Self> {
        let started = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        started.ok().map(Self)
    }
}

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
        let says = |line: &str| line.split_once("\"Listening on\" address=")?.1.trim().parse().ok();
        Self::start_saying(program, args, says)
    }

    /// As `start`, of a program whose log tells the port otherwise.
    pub(super) fn start_saying(
        program: &str,
        args: &[impl AsRef<OsStr>],
        mut says: impl FnMut(&str) -> Option<SocketAddr>,
    ) -> Option<Self> {
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
            says(&line)
        });
        let Some(address) = address else { panic!("{program} does not start: {said}") };
        // A log that nobody reads would stop it.
        tasks::spawn_thread("log", move || lines.for_each(drop)).expect("a thread");
        Some(Self { address, _process: process })
    }

    /// Prometheus with this file, beside which its data lie, and these features.
    pub(super) fn prometheus(config: &Path, features: &str) -> Option<Self> {
        let data = config.with_extension("data");
        let args = [
            flag("--config.file", config),
            flag("--storage.tsdb.path", &data),
            format!("--enable-feature={features}"),
            "--web.listen-address=127.0.0.1:0".to_owned(),
        ];
        Self::start("prometheus", &args)
    }
}
