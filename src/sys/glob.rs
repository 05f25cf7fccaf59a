//! File names with wildcards, as `rule_files` and `file_sd_configs` have them.
//!
//! Source: Go's path/filepath (Clean, Glob, Match).

use std::path::{Component, Path, PathBuf};

/// The files that `pattern` names, sorted. Without a wildcard that is the file itself, whether it
/// exists or not, so that its absence is told by whoever opens it.
pub fn expand(pattern: &Path) -> Vec<PathBuf> {
    if !pattern.to_string_lossy().contains(['*', '?', '[']) {
        return vec![pattern.to_owned()];
    }
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        found = match component {
            Component::Normal(name) if name.to_string_lossy().contains(['*', '?', '[']) => {
                let pattern = name.to_string_lossy();
                found.iter().flat_map(|folder| matching(folder, &pattern)).collect()
            }
            other => found.into_iter().map(|folder| folder.join(other)).collect(),
        };
    }
    found.retain(|path| path.exists());
    found.sort();
    found
}

/// Where a pattern of a file in `base` looks, as upstream joins the two: one that is absolute
/// stays as it is written, so that links in it count.
pub fn joined(base: &Path, pattern: &str) -> PathBuf {
    match Path::new(pattern).is_absolute() {
        true => PathBuf::from(pattern),
        false => clean(&base.join(pattern)),
    }
}

/// The shortest path that names the same where no link stands before a `..`: no `.`, no `..`
/// behind a name, no slash twice or at the end.
pub fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        let last = cleaned.components().next_back();
        match (component, last) {
            (Component::CurDir, _) | (Component::ParentDir, Some(Component::RootDir)) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => {
                cleaned.pop();
            }
            _ => cleaned.push(component),
        }
    }
    if cleaned.as_os_str().is_empty() { PathBuf::from(".") } else { cleaned }
}

/// Whether Go takes the pattern: each class is closed and holds something, and no backslash is
/// the last.
pub fn is_pattern(pattern: &str) -> bool {
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        let whole = match c {
            '\\' => rest.next().is_some(),
            '[' => end_class(&mut rest).is_some(),
            _ => true,
        };
        if !whole {
            return false;
        }
    }
    true
}

/// Reads the rest of a class; `None` when it is none.
fn end_class(rest: &mut std::str::Chars<'_>) -> Option<()> {
    let mut next = rest.next()?;
    if next == '^' {
        next = rest.next()?;
    }
    let mut is_empty = true;
    while is_empty || next != ']' {
        next = end_member(next, rest)?;
        if next == '-' {
            let high = rest.next()?;
            next = end_member(high, rest)?;
        }
        is_empty = false;
    }
    Some(())
}

/// What follows a member of a class that begins with `first`.
fn end_member(first: char, rest: &mut std::str::Chars<'_>) -> Option<char> {
    match first {
        '-' | ']' => None,
        '\\' => rest.next().and_then(|_| rest.next()),
        _ => rest.next(),
    }
}

fn matching(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let shown = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = std::fs::read_dir(shown) else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name_matches(pattern, name))
        .map(|name| folder.join(name))
        .collect()
}

/// Whether one path element matches `*`, `?`, `[a-z]`, `[^x]` and `\*`.
pub fn name_matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    matches_from(&pattern, &name)
}

/// The usual two-pointer walk: the last star may take one more character whenever the rest fails,
/// so the time is at most the product of both lengths.
fn matches_from(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, n));
            p += 1;
            continue;
        }
        let step = name.get(n).and_then(|c| one_matches(pattern.get(p..).unwrap_or_default(), *c));
        match (step, star) {
            (Some(used), _) => {
                p += used;
                n += 1;
            }
            (None, Some((at, taken))) => {
                star = Some((at, taken + 1));
                (p, n) = (at + 1, taken + 1);
            }
            (None, None) => return false,
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|c| *c == '*')
}

/// How much of the pattern's front matches `c`; `None` when it does not.
fn one_matches(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '\\' => (pattern.get(1) == Some(&c)).then_some(2),
        '[' => class_matches(pattern, c),
        literal => (*literal == c).then_some(1),
    }
}

fn class_matches(pattern: &[char], c: char) -> Option<usize> {
    let negated = pattern.get(1) == Some(&'^');
    let start = if negated { 2 } else { 1 };
    let end = start + pattern.get(start..)?.iter().position(|found| *found == ']')?;
    let mut class = pattern.get(start..end)?;
    let mut holds = false;
    while let [low, rest @ ..] = class {
        class = match rest {
            ['-', high, rest @ ..] => {
                holds |= (*low..=*high).contains(&c);
                rest
            }
            rest => {
                holds |= *low == c;
                rest
            }
        };
    }
    (holds != negated).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_match_as_in_go() {
        for (pattern, name, matches) in [
            ("*_rules.yml", "node_rules.yml", true),
            ("*_rules.yml", "rules.yml", false),
            ("a?c", "abc", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("a*b*c", "aXXbYYc", true),
            ("*.yml", ".yml", true),
            ("*.yml", "a.yml.bak", false),
            ("a*b*.json", "a1c2.json", false),
            ("a*a.yml", "a.yml", false),
            ("\\*", "*", true),
            ("\\*", "x", false),
        ] {
            assert_eq!(name_matches(pattern, name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn paths_become_as_short_as_in_go() {
        for (path, cleaned) in [
            ("abc/./def", "abc/def"),
            ("./abc", "abc"),
            ("abc//def/", "abc/def"),
            ("abc/def/../ghi/../jkl", "abc/jkl"),
            ("abc/../../def", "../def"),
            ("../../abc", "../../abc"),
            ("/../abc", "/abc"),
            ("abc/..", "."),
            ("", "."),
            ("/", "/"),
            ("rules/*.yml", "rules/*.yml"),
        ] {
            assert_eq!(clean(Path::new(path)).to_str(), Some(cleaned), "{path}");
        }
    }

    #[test]
    fn patterns_are_those_of_go() {
        // Go, path/filepath/match_test.go (matchTests, whether ErrBadPattern comes).
        for (pattern, ok) in [
            ("abc", true),
            ("a*b?c*x", true),
            ("ab[c]", true),
            ("ab[b-d]", true),
            ("ab[^e-g]", true),
            ("[\\]a]", true),
            ("[\\-x]", true),
            ("[x\\-]", true),
            ("[]a]", false),
            ("[-]", false),
            ("[x-]", false),
            ("[-x]", false),
            ("[a-b-c]", false),
            ("[", false),
            ("[^", false),
            ("[^bc", false),
            ("a[", false),
            ("\\", false),
            ("*x", true),
        ] {
            assert_eq!(is_pattern(pattern), ok, "{pattern}");
        }
    }

    #[test]
    fn a_wildcard_finds_files_and_a_plain_name_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b_rules.yml", "a_rules.yml", "other.yml"] {
            std::fs::write(folder.path().join(name), "").expect("writes");
        }
        let found = expand(&folder.path().join("*_rules.yml"));
        let names: Vec<_> = found.iter().filter_map(|path| path.file_name()).collect();
        assert_eq!(names, ["a_rules.yml", "b_rules.yml"]);
        let plain = folder.path().join("missing.yml");
        assert_eq!(expand(&plain), [plain]);
        assert_eq!(expand(&folder.path().join("*.toml")), Vec::<PathBuf>::new());
    }

    proptest! {
        #[test]
        fn matching_ends_for_any_pattern(pattern in "[a*?\\[\\]\\\\^-]{0,20}", name in "[ab]{0,30}") {
            let _ = name_matches(&pattern, &name);
        }
    }
}
