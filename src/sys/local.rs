//! What receivers do on this host: run a command, tell a logging socket, add to a file, print.
//!
//! Owns the seam `Local` and its real form `SystemLocal`; the simulated twin is `sys::sim_local`.
//! A command runs without a shell, in a process group of its own that ends with it, with an
//! environment that is all given here.
//!
//! Never: deciding which command or file is allowed.

use super::dial::Dialer;
use super::event_loop::within;
use super::http::errors::io_text;
use super::tasks;
use crate::sys::locks::lock;
use bytes::Bytes;
use futures_util::future::{Either, join, select};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::net::{UdpSocket, UnixDatagram};
use tokio::sync::oneshot;

/// A command that is to be run once.
#[derive(Clone, Debug)]
pub struct Command {
    /// The program by its absolute name.
    pub program: PathBuf,
    /// Its arguments, each as it is.
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// What it reads.
    pub stdin: Bytes,
    /// After this long it is killed, with all that it has started.
    pub timeout: Duration,
    /// So much of what it says is kept; the rest is read and dropped.
    pub output_bytes_max: usize,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
    /// Killed, since its time was over.
    TimedOut,
}

/// A command that has run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// How it ended.
    pub ended: Ended,
    /// The beginning of what it said, both streams as they came.
    pub output: Vec<u8>,
}

/// Where logs are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSocket {
    /// A socket of this host that takes datagrams.
    Unix(PathBuf),
    /// A host and a port that take datagrams.
    Udp(String, u16),
    /// A host and a port that take a stream.
    Tcp(String, u16),
}

/// Bytes for a file that others are appended to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// The file. It is made when it is missing, readable by its owner alone; its folder is not.
    pub path: PathBuf,
    /// Whole lines.
    pub bytes: Vec<u8>,
    /// A file that would be longer is set aside first.
    pub bytes_max: u64,
    /// So many files that were set aside are kept, as `NAME.1` (the newest), `NAME.2` and so on.
    pub keep: u32,
}

/// What is to come.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// This host, as receivers use it.
pub trait Local: Send + Sync + fmt::Debug {
    /// Runs a command to its end. When nobody waits any more, it is killed.
    ///
    /// # Errors
    /// It cannot be started.
    fn run(&self, command: Command) -> Pending<'_, Ran>;

    /// Sends messages: a datagram each, or one after the other where there is a stream.
    ///
    /// # Errors
    /// Nobody is there, or a message is too long.
    fn tell(&self, to: LogSocket, messages: Vec<Vec<u8>>) -> Pending<'_, ()>;

    /// Adds to the end of a file and returns once it is on the disk. After an error nothing was
    /// added.
    ///
    /// # Errors
    /// Those of the system; the name is one of a link, or of something else than a file.
    fn append(&self, append: Append) -> Pending<'_, ()>;

    /// Says whole lines on this process' standard output.
    ///
    /// # Errors
    /// Nobody listens there any more.
    fn print(&self, lines: Vec<u8>) -> Pending<'_, ()>;

    /// A variable of this process' environment.
    fn variable(&self, name: &str) -> Option<String>;
}

/// The real host.
#[derive(Debug)]
pub struct SystemLocal {
    dialer: Dialer,
    /// One file is changed at a time.
    appending: Arc<Mutex<()>>,
}

impl SystemLocal {
    /// This host.
    pub fn new() -> Self {
        Self { dialer: Dialer::system(), appending: Arc::default() }
    }
}

impl Default for SystemLocal {
    fn default() -> Self {
        Self::new()
    }
}

impl Local for SystemLocal {
    fn run(&self, command: Command) -> Pending<'_, Ran> {
        Box::pin(run(command))
    }

    fn tell(&self, to: LogSocket, messages: Vec<Vec<u8>>) -> Pending<'_, ()> {
        Box::pin(async move {
            match to {
                LogSocket::Unix(path) => {
                    let socket = UnixDatagram::unbound()?;
                    socket.connect(path)?;
                    for message in messages {
                        socket.send(&message).await?;
                    }
                }
                LogSocket::Udp(host, port) => self.tell_udp(&host, port, messages).await?,
                LogSocket::Tcp(host, port) => self.tell_tcp(&host, port, messages).await?,
            }
            Ok(())
        })
    }

    fn append(&self, append: Append) -> Pending<'_, ()> {
        let appending = Arc::clone(&self.appending);
        Box::pin(async move {
            let work = move || {
                let _one_at_a_time = lock(&appending);
                append_now(&append)
            };
            let panicked = || Err(io::Error::other("appending panicked"));
            tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| panicked())
        })
    }

    fn print(&self, lines: Vec<u8>) -> Pending<'_, ()> {
        Box::pin(async move {
            // Whoever reads it may be slow.
            let work = move || {
                let mut output = io::stdout().lock();
                output.write_all(&lines).and_then(|()| output.flush())
            };
            let panicked = || Err(io::Error::other("printing panicked"));
            tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| panicked())
        })
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

impl SystemLocal {
    async fn tell_udp(&self, host: &str, port: u16, messages: Vec<Vec<u8>>) -> io::Result<()> {
        let found = self.dialer.lookup(host).await.map_err(io::Error::other)?;
        let Some(address) = found.first() else {
            return Err(io::Error::other(format!("{host} has no address")));
        };
        let own = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(own).await?;
        socket.connect((*address, port)).await?;
        for message in messages {
            socket.send(&message).await?;
        }
        Ok(())
    }

    async fn tell_tcp(&self, host: &str, port: u16, messages: Vec<Vec<u8>>) -> io::Result<()> {
        let mut last = io::Error::other(format!("{host} has no address"));
        for address in self.dialer.lookup(host).await.map_err(io::Error::other)? {
            match self.dialer.connect((address, port).into(), None).await {
                Ok(mut stream) => {
                    stream.write_all(&messages.concat()).await?;
                    return stream.shutdown().await;
                }
                Err(text) => last = io::Error::other(text),
            }
        }
        Err(last)
    }
}

/// What an error of the system says, in the words that are used for others.
pub fn error_text(err: &io::Error) -> String {
    io_text(err)
}

async fn run(command: Command) -> io::Result<Ran> {
    let Command { timeout, output_bytes_max, stdin, .. } = &command;
    let (child, output) = start(&command)?;
    let mut started = Started::watch(child)?;
    let mut input =
        started.stdin.take().map(|pipe| pipe::Sender::from_owned_fd(OwnedFd::from(pipe)));
    let mut heard = Heard {
        pipe: pipe::Receiver::from_owned_fd(OwnedFd::from(output))?,
        kept: Vec::new(),
        max: *output_bytes_max,
    };
    let ended = within(*timeout, async {
        let say = async {
            // A command that does not read what it is told is no failure.
            if let Some(Ok(mut pipe)) = input.take() {
                let _ = pipe.write_all(stdin).await;
            }
        };
        let talk = pin!(join(say, heard.listen()));
        match select(talk, &mut started.exit).await {
            Either::Left((_, exit)) => exit.await,
            Either::Right((ended, _)) => ended,
        }
    });
    let ended = match ended.await {
        None => {
            started.group.kill();
            Ended::TimedOut
        }
        Some(Err(_)) => return Err(io::Error::other("nobody waited for the command")),
        Some(Ok(status)) => {
            let status: ExitStatus = status?;
            let signal = status.signal().map(Ended::Signal);
            signal.unwrap_or_else(|| Ended::Status(status.code().unwrap_or_default()))
        }
    };
    heard.what_is_left();
    Ok(Ran { ended, output: heard.kept })
}

/// Starts the command; what it says comes out of the pipe.
fn start(command: &Command) -> io::Result<(Child, io::PipeReader)> {
    let (output, both) = io::pipe()?;
    let child = std::process::Command::new(&command.program)
        .args(&command.args)
        .env_clear()
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(both.try_clone()?)
        .stderr(both)
        .process_group(0)
        .spawn()?;
    Ok((child, output))
}

/// A command that runs. Dropping this kills it.
struct Started {
    group: Group,
    stdin: Option<ChildStdin>,
    exit: oneshot::Receiver<io::Result<ExitStatus>>,
}

impl Started {
    /// Lets a thread wait for its end.
    fn watch(mut child: Child) -> io::Result<Self> {
        let stdin = child.stdin.take();
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let group = Group(Arc::new(Mutex::new(pid)));
        let watched = Group(Arc::clone(&group.0));
        let (tell, exit) = oneshot::channel();
        let child = Arc::new(Mutex::new(child));
        let waiting = Arc::clone(&child);
        let thread = tasks::spawn_thread("command", move || {
            // Nobody is told when nobody waits any more.
            let _ = tell.send(watched.reap(pid, &waiting));
        });
        if let Err(err) = thread {
            group.kill();
            let _ = lock(&child).wait();
            return Err(err);
        }
        Ok(Self { group, stdin, exit })
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.group.kill();
    }
}

/// The process group of a command, as long as its number cannot belong to another.
struct Group(Arc<Mutex<Option<Pid>>>);

impl Group {
    fn kill(&self) {
        let held = lock(&self.0);
        if let Some(pid) = *held {
            // It may have ended a moment ago.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }

    /// Waits for the end of the command, then ends what it has left behind.
    fn reap(&self, pid: Option<Pid>, child: &Mutex<Child>) -> io::Result<ExitStatus> {
        if let Some(pid) = pid {
            // Its number stays taken until it is waited for without this option.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(pid), options), Err(rustix::io::Errno::INTR)) {}
        }
        self.kill();
        let mut held = lock(&self.0);
        *held = None;
        lock(child).wait()
    }
}

/// What a command says.
struct Heard {
    pipe: pipe::Receiver,
    kept: Vec<u8>,
    max: usize,
}

impl Heard {
    /// Until nobody can say any more.
    async fn listen(&mut self) {
        let mut piece = [0; 4096];
        while let Ok(count) = self.pipe.read(&mut piece).await
            && count > 0
        {
            self.keep(piece.get(..count).unwrap_or_default());
        }
    }

    /// What was said before the end and not heard yet: a process that was left behind may hold the
    /// pipe open.
    fn what_is_left(&mut self) {
        let mut piece = [0; 4096];
        while let Ok(count) = self.pipe.try_read(&mut piece)
            && count > 0
            && self.kept.len() < self.max
        {
            self.keep(piece.get(..count).unwrap_or_default());
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = self.max.saturating_sub(self.kept.len()).min(piece.len());
        self.kept.extend_from_slice(piece.get(..room).unwrap_or_default());
    }
}

fn append_now(append: &Append) -> io::Result<()> {
    let Append { path, bytes, bytes_max, keep } = append;
    let mut file = open(path)?;
    let mut len = file.metadata()?.len();
    if len > 0 && len.saturating_add(bytes.len() as u64) > *bytes_max {
        set_aside(path, *keep)?;
        file = open(path)?;
        len = 0;
    }
    let added = add(&mut file, len, bytes);
    if added.is_err() {
        // Half a line would spoil the next one.
        let _ = file.set_len(len);
    }
    added?;
    if len == 0 {
        // A new name is kept with its folder.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

fn add(file: &mut File, len: u64, bytes: &[u8]) -> io::Result<()> {
    // A process that was killed may have left half a line.
    let mut last = [b'\n'];
    if len > 0 {
        file.seek(SeekFrom::Start(len - 1))?;
        file.read_exact(&mut last)?;
    }
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    file.write_all(bytes)?;
    file.sync_data()
}

/// Opens a file for adding to it, never through a link and without waiting for a reader.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("is no file")) }
}

/// Makes room for a new file of this name.
fn set_aside(path: &Path, keep: u32) -> io::Result<()> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    if keep == 0 {
        return std::fs::remove_file(path);
    }
    for number in (1..keep).rev() {
        match std::fs::rename(numbered(number), numbered(number + 1)) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            _ => {}
        }
    }
    std::fs::rename(path, numbered(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tokio::task::JoinHandle;

    fn shell(script: &str, timeout: Duration) -> Command {
        Command {
            program: "/bin/sh".into(),
            args: vec!["-c".to_owned(), script.to_owned()],
            env: vec![
                ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
                ("A".to_owned(), "b".to_owned()),
            ],
            stdin: Bytes::from("told\n"),
            timeout,
            output_bytes_max: 16,
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    async fn ran(command: Command) -> (Ended, String) {
        let ran = SystemLocal::new().run(command).await.expect("starts");
        (ran.ended, String::from_utf8(ran.output).expect("text"))
    }

    #[tokio::test]
    async fn a_command_hears_what_it_is_told_and_what_it_says_is_kept() {
        let found = ran(shell("cat; echo $A >&2; pwd; exit 7", LONG)).await;
        assert_eq!(found, (Ended::Status(7), "told\nb\n/\n".to_owned()));
        let found = ran(shell("kill -9 $$", LONG)).await;
        assert_eq!(found, (Ended::Signal(9), String::new()));
        // More than a pipe holds in both directions: neither side waits for the other.
        let mut much = shell("yes | head -c 300000; exit 0", LONG);
        much.stdin = vec![b'x'; 300_000].into();
        assert_eq!(ran(much).await, (Ended::Status(0), "y\n".repeat(8)));
        let none = Command { program: "/missing".into(), ..shell("", LONG) };
        let err = SystemLocal::new().run(none).await.expect_err("not there");
        assert_eq!(error_text(&err), "no such file or directory");
    }

    #[tokio::test]
    async fn a_command_has_its_time_and_no_more() {
        let (ended, _) =
            ran(shell("sleep 1000 & exec sleep 1000", Duration::from_millis(50))).await;
        assert_eq!(ended, Ended::TimedOut);
    }

    /// A pipe in a folder, and what is read from it: its first two bytes, then the rest. That ends
    /// once nobody has it open for writing any more.
    fn witness(folder: &Path) -> (PathBuf, oneshot::Receiver<[u8; 2]>, JoinHandle<Vec<u8>>) {
        let path = folder.join("witness");
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo");
        assert!(made.success());
        let (begun, has_begun) = oneshot::channel();
        let name = path.clone();
        let reader = tokio::task::spawn_blocking(move || {
            let mut pipe = File::open(name).expect("opens");
            let mut first = [0; 2];
            pipe.read_exact(&mut first).expect("reads");
            begun.send(first).expect("waited for");
            let mut rest = Vec::new();
            pipe.read_to_end(&mut rest).expect("reads");
            rest
        });
        (path, has_begun, reader)
    }

    #[tokio::test]
    async fn nothing_of_a_command_is_left_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, has_begun, reader) = witness(folder.path());
        // Its child has the pipe and the output open: that is no reason to wait for it.
        let script = format!("exec 3>{}; echo x >&3; sleep 1000 & echo begun", path.display());
        assert_eq!(ran(shell(&script, LONG)).await, (Ended::Status(0), "begun\n".to_owned()));
        assert_eq!(has_begun.await, Ok(*b"x\n"));
        assert_eq!(reader.await.expect("no panic"), b"");
    }

    #[tokio::test]
    async fn a_command_that_nobody_waits_for_is_killed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, has_begun, reader) = witness(folder.path());
        let local = SystemLocal::new();
        let script = format!("exec 3>{}; echo x >&3; sleep 1000 & exec sleep 1000", path.display());
        match select(local.run(shell(&script, LONG)), has_begun).await {
            Either::Left((ran, _)) => panic!("it ended: {ran:?}"),
            Either::Right((begun, run)) => {
                assert_eq!(begun, Ok(*b"x\n"));
                drop(run);
            }
        }
        assert_eq!(reader.await.expect("no panic"), b"");
    }

    fn append(path: &Path, text: &str) -> io::Result<()> {
        let append = Append { path: path.to_owned(), bytes: text.into(), bytes_max: 10, keep: 2 };
        append_now(&append)
    }

    #[test]
    fn files_are_set_aside_in_time_and_half_a_line_is_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        for text in ["1111\n", "2222\n", "3333\n", "a line that is longer\n", "4\n", "5\n"] {
            append(&path, text).expect("appends");
        }
        assert_eq!(read("log"), "4\n5\n");
        assert_eq!(read("log.1"), "a line that is longer\n");
        assert_eq!(read("log.2"), "3333\n");
        assert_eq!(fs::read_dir(folder.path()).expect("reads").count(), 3);
        fs::write(&path, "hal").expect("writes");
        append(&path, "7\n").expect("appends");
        assert_eq!(read("log"), "hal\n7\n");
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(folder.path().join("log.2")).expect("there").permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn links_and_pipes_are_no_files_to_add_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        std::os::unix::fs::symlink(&target, &link).expect("links");
        assert!(append(&link, "x\n").is_err());
        assert!(!target.exists());
        let err = append(Path::new("/dev/null"), "x\n").expect_err("a device");
        assert_eq!(err.to_string(), "is no file");
        assert!(append(&folder.path().join("no/such"), "x\n").is_err());
    }

    #[tokio::test]
    async fn messages_arrive_one_by_one_or_in_a_stream() {
        let local = SystemLocal::new();
        let messages = vec![b"one".to_vec(), b"two".to_vec()];
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let socket = std::os::unix::net::UnixDatagram::bind(&path).expect("binds");
        local.tell(LogSocket::Unix(path), messages.clone()).await.expect("tells");
        let mut piece = [0; 16];
        let mut heard = Vec::new();
        for _ in 0..2 {
            let count = socket.recv(&mut piece).expect("arrives");
            heard.push(piece[..count].to_vec());
        }
        assert_eq!(heard, messages);
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("binds");
        let port = udp.local_addr().expect("bound").port();
        local
            .tell(LogSocket::Udp("127.0.0.1".to_owned(), port), messages.clone())
            .await
            .expect("tells");
        assert_eq!(
            udp.recv(&mut piece).map(|count| piece[..count].to_vec()).ok(),
            Some(b"one".to_vec())
        );
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        let port = tcp.local_addr().expect("bound").port();
        let reader = tokio::task::spawn_blocking(move || {
            let mut all = String::new();
            tcp.accept().expect("accepts").0.read_to_string(&mut all).expect("reads");
            all
        });
        local.tell(LogSocket::Tcp("127.0.0.1".to_owned(), port), messages).await.expect("tells");
        assert_eq!(reader.await.expect("no panic"), "onetwo");
        let gone = local.tell(LogSocket::Unix(folder.path().join("gone")), Vec::new()).await;
        assert_eq!(error_text(&gone.expect_err("nobody")), "no such file or directory");
    }
}
