//! Which group a process belongs to.
//!
//! Source: process_exporter, README.md (process_names).

use crate::ingest::config::{NamePart, ProcessName};

/// Of a command line so much is looked at.
const COMMAND_LINE_BYTES_MAX: usize = 4096;
/// The longest name of a group; a longer one is cut.
const NAME_CHARS_MAX: usize = 128;

/// The group that the configuration names for a process, by the first entry that matches.
/// `command_line` is as /proc has it: words that end with a zero.
pub(super) fn configured(names: &[ProcessName], comm: &str, command_line: &str) -> Option<String> {
    let end = command_line.floor_char_boundary(COMMAND_LINE_BYTES_MAX);
    let command_line = command_line.get(..end).unwrap_or_default();
    let exe = command_line.split('\0').next().filter(|exe| !exe.is_empty());
    let joined = command_line.trim_end_matches('\0').replace('\0', " ");
    names.iter().find(|name| matches(name, comm, exe, &joined)).map(|name| {
        let exe = exe.unwrap_or(comm);
        let parts = name.name.iter().map(|part| match part {
            NamePart::Text(text) => text.clone(),
            NamePart::Comm => comm.to_owned(),
            NamePart::ExeBase => base(exe).to_owned(),
            NamePart::ExeFull => exe.to_owned(),
            NamePart::Match(group) => captured(name, group, &joined),
        });
        parts.collect::<String>().chars().take(NAME_CHARS_MAX).collect()
    })
}

/// The group of a process that the configuration does not name: its command's name. What a
/// thread of the kernel works on, behind a slash, is left out.
pub(super) fn by_command(comm: &str, is_kernel: bool) -> &str {
    let kind = comm.split('/').next().filter(|kind| is_kernel && !kind.is_empty());
    kind.unwrap_or(comm)
}

fn matches(name: &ProcessName, comm: &str, exe: Option<&str>, command_line: &str) -> bool {
    let is_comm = name.comm.is_empty() || name.comm.iter().any(|one| one == comm);
    let is_exe = |exe: &str| {
        let is_it = |one: &String| *one == exe || !one.contains('/') && *one == base(exe);
        name.exe.iter().any(is_it)
    };
    is_comm
        && (name.exe.is_empty() || exe.is_some_and(is_exe))
        && name.cmdline.iter().all(|regex| regex.is_match(command_line))
}

/// What the group of this name matched, in the last expression that has it.
fn captured(name: &ProcessName, group: &str, command_line: &str) -> String {
    let template = format!("${{{group}}}");
    let found = name.cmdline.iter().rev().filter_map(|regex| regex.expand(command_line, &template));
    found.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::config::HostSettings;
    use std::path::Path;

    fn names(text: &str) -> Vec<ProcessName> {
        let settings = format!("{{process_groups: {{process_names: {text}}}}}");
        let settings: HostSettings = serde_yaml::from_str(&settings).expect("valid YAML");
        settings.check(Path::new("")).expect("valid").process_groups.names
    }

    #[test]
    fn the_first_entry_that_matches_names_the_group() {
        let names = names(
            "[{comm: [bash, sh], name: shells}, {exe: [/usr/bin/x, python3], name: '{{.ExeBase}}!'},
              {comm: [java], cmdline: ['-jar \\S*?(?P<Jar>[^/ ]+)\\.jar'], name: '{{.Comm}}:{{.Matches.Jar}}'},
              {exe: [y]}]",
        );
        for (comm, command_line, expected) in [
            ("bash", "", Some("shells")),
            ("bash2", "-bash\0", None),
            ("x", "/usr/bin/x\0-a\0", Some("x!")),
            ("x", "/bin/x\0", None),
            ("anything", "/opt/python3\0a.py\0", Some("python3!")),
            ("java", "java\0-jar\0/opt/a/serv.jar\0", Some("java:serv")),
            ("java", "java\0-version\0", None),
            ("y", "y\0", Some("y")),
            ("kthreadd", "", None),
        ] {
            let found = configured(&names, comm, command_line);
            assert_eq!(found.as_deref(), expected, "{comm} {command_line:?}");
        }
    }

    #[test]
    fn threads_of_the_kernel_are_grouped_by_their_kind() {
        for (comm, is_kernel, expected) in [
            ("kworker/0:1-events", true, "kworker"),
            ("kswapd0", true, "kswapd0"),
            ("a/b", false, "a/b"),
            ("/x", true, "/x"),
        ] {
            assert_eq!(by_command(comm, is_kernel), expected, "{comm}");
        }
    }
}
