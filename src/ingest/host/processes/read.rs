//! Files of /proc below a process or a thread.
//!
//! Source: proc(5). Not procfs' reader: it reads and keeps some fifty fields of each process, and
//! there may be tens of thousands.

use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use std::borrow::Cow;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Threads of the kernel carry this flag (PF_KTHREAD).
const KERNEL_THREAD: u64 = 0x0020_0000;
/// No file that is read of a process comes near it, but for command lines, which are cut.
const FILE_BYTES_MAX: usize = 64 << 10;

/// What `/proc/PID/stat` says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stat {
    pub(super) comm: String,
    pub(super) state: char,
    pub(super) is_kernel: bool,
    pub(super) minor_faults: u64,
    pub(super) major_faults: u64,
    pub(super) user_ticks: u64,
    pub(super) system_ticks: u64,
    pub(super) threads: u64,
    /// Since the machine started.
    pub(super) start_ticks: u64,
    pub(super) virtual_bytes: u64,
    pub(super) resident_pages: u64,
}

impl Stat {
    /// Reads the line. The command's name may contain anything, also spaces and parentheses.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (before, rest) = text.rsplit_once(')')?;
        let (_, comm) = before.split_once('(')?;
        let mut words = rest.split_ascii_whitespace();
        let state = words.next()?.chars().next()?;
        let mut number = |skipped: usize| words.nth(skipped)?.parse::<u64>().ok();
        // Behind the state come parent, group, session, terminal and its group.
        let flags = number(5)?;
        let minor_faults = number(0)?;
        let major_faults = number(1)?;
        let (user_ticks, system_ticks) = (number(1)?, number(0)?);
        let threads = number(4)?;
        let start_ticks = number(1)?;
        Some(Self {
            comm: comm.to_owned(),
            state,
            is_kernel: flags & KERNEL_THREAD != 0,
            minor_faults,
            major_faults,
            user_ticks,
            system_ticks,
            threads,
            start_ticks,
            virtual_bytes: number(0)?,
            resident_pages: number(0)?,
        })
    }
}

/// What is used of `/proc/PID/status`, of a process or a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) state: char,
    pub(super) swap_bytes: u64,
    pub(super) voluntary_switches: u64,
    pub(super) involuntary_switches: u64,
}

impl Status {
    /// Reads the lines; what is missing is zero, as the swap of the kernel's threads.
    pub(super) fn parse(text: &str) -> Self {
        let mut found = Self { state: '?', ..Self::default() };
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            let number = || value.split(' ').next().and_then(|word| word.parse::<u64>().ok());
            match name {
                "State" => found.state = value.chars().next().unwrap_or('?'),
                "VmSwap" => found.swap_bytes = number().unwrap_or_default().saturating_mul(1024),
                "voluntary_ctxt_switches" => {
                    found.voluntary_switches = number().unwrap_or_default();
                }
                "nonvoluntary_ctxt_switches" => {
                    found.involuntary_switches = number().unwrap_or_default();
                }
                _ => {}
            }
        }
        found
    }
}

/// Bytes read from and written to disks, of `/proc/PID/io`.
pub(super) fn io_bytes(text: &str) -> Option<(u64, u64)> {
    let value = |wanted: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            if name == wanted { value.trim().parse().ok() } else { None }
        })
    };
    Some((value("read_bytes")?, value("write_bytes")?))
}

/// The most files that may be open, of `/proc/PID/limits`; infinite without a limit.
pub(super) fn open_files_limit(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_ascii_whitespace().next()? {
        "unlimited" => Some(f64::INFINITY),
        number => number.parse::<u64>().ok().map(|number| number as f64),
    }
}

/// An open /proc.
#[derive(Debug)]
pub(super) struct Proc {
    directory: OwnedFd,
    /// Whether it is the kernel's, and no directory of a test.
    is_real: bool,
    buffer: Vec<u8>,
}

impl Proc {
    /// The directory at `path`.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty())?;
        let is_real = rustix::fs::fstatfs(&directory)?.f_type == rustix::fs::PROC_SUPER_MAGIC;
        Ok(Self { directory, is_real, buffer: vec![0; FILE_BYTES_MAX] })
    }

    /// The numbers among the names of a directory, at most `count_max`: processes or threads.
    pub(super) fn numbers(&self, path: &str, count_max: usize) -> io::Result<Vec<i32>> {
        let names = self.names(path)?;
        let numbers = names.filter_map(|entry| entry.ok()?.file_name().to_str().ok()?.parse().ok());
        Ok(numbers.take(count_max).collect())
    }

    /// The text of a file; bytes that are no UTF-8 become U+FFFD.
    pub(super) fn read(&mut self, path: &str) -> io::Result<Cow<'_, str>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, path, flags, Mode::empty())?;
        let mut filled = 0;
        while let Some(room) = self.buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
            let wanted = room.len();
            match rustix::io::read(&file, room) {
                Ok(count) => {
                    filled += count;
                    // These files are one record each: what is short of the room is all, and to ask
                    // whether more follows would be a third of all calls.
                    if count < wanted {
                        break;
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(err) => return Err(err.into()),
            }
        }
        Ok(String::from_utf8_lossy(self.buffer.get(..filled).unwrap_or_default()))
    }

    /// How many files a process has open.
    pub(super) fn open_files(&self, pid: i32) -> io::Result<f64> {
        let path = format!("{pid}/fd");
        // Kernels since 6.2 tell the number as the directory's size.
        if self.is_real {
            let size = rustix::fs::statat(&self.directory, &*path, AtFlags::empty())?.st_size;
            if size > 0 {
                return Ok(size as f64);
            }
        }
        let entries = self.names(&path)?.filter_map(Result::ok);
        Ok(entries.filter(|entry| !entry.file_name().to_bytes().starts_with(b".")).count() as f64)
    }

    fn names(&self, path: &str) -> io::Result<Dir> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(&self.directory, path, flags, Mode::empty())?;
        Ok(Dir::new(directory)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STAT: &str = "7 (a) (b c) S 1 7 7 0 -1 4194560 100 9000 3 40 5 6 700 800 20 0 9 0 1234 \
                        10485760 512 18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0";

    #[test]
    fn a_stat_line_is_read_whatever_the_name_is() {
        let expected = Stat {
            comm: "a) (b c".to_owned(),
            state: 'S',
            is_kernel: false,
            minor_faults: 100,
            major_faults: 3,
            user_ticks: 5,
            system_ticks: 6,
            threads: 9,
            start_ticks: 1234,
            virtual_bytes: 10_485_760,
            resident_pages: 512,
        };
        assert_eq!(Stat::parse(STAT), Some(expected));
        assert_eq!(Stat::parse("7 (a) S 1 7"), None);
        assert_eq!(Stat::parse(")("), None);
        let kernel = STAT.replace("4194560", "2129984");
        assert!(Stat::parse(&kernel).is_some_and(|stat| stat.is_kernel));
    }

    #[test]
    fn the_other_files_are_read() {
        let text = "Name:\ta\nState:\tD (disk sleep)\nVmSwap:\t      12 kB\n\
                    voluntary_ctxt_switches:\t150545\nnonvoluntary_ctxt_switches:\t471\n";
        let expected = Status {
            state: 'D',
            swap_bytes: 12_288,
            voluntary_switches: 150_545,
            involuntary_switches: 471,
        };
        assert_eq!(Status::parse(text), expected);
        let text = "rchar: 1\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 1\n";
        assert_eq!(io_bytes(text), Some((4096, 8192)));
        assert_eq!(io_bytes("rchar: 1\n"), None);
        let limits = |soft: &str| {
            let heading = "Limit                     Soft Limit           Hard Limit  Units\n";
            open_files_limit(&format!("{heading}Max open files            {soft}  524288  files\n"))
        };
        assert_eq!(limits("1024"), Some(1024.0));
        assert_eq!(limits("unlimited"), Some(f64::INFINITY));
        assert_eq!(open_files_limit(""), None);
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(
            text in prop_oneof![any::<String>(), "([(]|[)]| |[0-9]{1,22}|[SRZ] |VmSwap: |\n){0,60}"],
        ) {
            let _ = Stat::parse(&text);
            let _ = Status::parse(&text);
            let _ = io_bytes(&text);
            let _ = open_files_limit(&text);
        }

        #[test]
        fn a_name_is_kept_as_it_is(comm in "[ -~]{0,15}") {
            let text = STAT.replacen("a) (b c", &comm, 1);
            prop_assert_eq!(Stat::parse(&text).map(|stat| stat.comm), Some(comm));
        }
    }
}
