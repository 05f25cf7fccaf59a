//! The house rules that no compiler holds: imports, module headers, function and file length.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A longer function no longer fits a screen.
const FUNCTION_LINES_MAX: usize = 70;
/// A longer file is split at a name.
const FILE_LINES_MAX: usize = 1_000;
/// The formatter's width; only strings may pass it.
const LINE_CHARS_MAX: usize = 100;

/// Crates that have one place.
const CRATES: [(&str, &[&str]); 9] = [
    ("rusqlite", &["storage"]),
    ("nom", &["promql", "exposition", "template"]),
    ("bitvec", &["storage", "ingest"]),
    ("serde_yaml", &["config"]),
    ("reqwest", &["sys"]),
    ("hyper", &["api", "sys"]),
    ("tiny_http", &["api"]),
    ("ratatui", &["tui"]),
    ("crossterm", &["tui"]),
];

struct SourceFile {
    path: PathBuf,
    /// `storage`, `main`, `lib`.
    module: String,
    text: String,
}

impl SourceFile {
    /// The lines before the in-file tests; none of a file that is tests alone.
    fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test =
            ["tests.rs", "testing.rs", "life.rs"].iter().any(|end| self.path.ends_with(end));
        self.text
            .lines()
            .take_while(move |line| !is_test && !line.starts_with("#[cfg(test)]"))
            .enumerate()
            .map(|(place, line)| (place + 1, line))
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<SourceFile> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("source folder") {
            let path = entry.expect("source entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let inside = path.strip_prefix(root().join("src")).expect("below src");
                let first = inside.components().next().expect("a name");
                let module = Path::new(first.as_os_str()).file_stem().expect("a name");
                found.push(SourceFile {
                    module: module.to_string_lossy().into_owned(),
                    text: fs::read_to_string(&path).expect("UTF-8 source"),
                    path,
                });
            }
        }
    }
    assert!(found.len() > 20, "the sources were not found");
    found
}

/// `module -> what it may import`, as the file has it.
fn layers() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("tests/layers.txt")).expect("layers.txt");
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| {
            let (module, allowed) = line.split_once(':').expect("module: imports");
            (module.to_owned(), allowed.split_whitespace().map(str::to_owned).collect())
        })
        .collect()
}

/// Paths below `crate::` that a line names, also inside braces after `use crate::`.
fn imports(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in line.split("crate::").skip(1) {
        let path: String =
            part.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect();
        found.push(path.trim_end_matches(':').to_owned());
        if let Some(group) = part.strip_prefix('{') {
            found.extend(
                group
                    .split(['{', ',', '}', ';'])
                    .map(str::trim)
                    .filter(|name| name.starts_with(char::is_lowercase))
                    .map(str::to_owned),
            );
        }
    }
    found
}

#[test]
fn imports_follow_the_layers() {
    let layers = layers();
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(allowed) = layers.get(&source.module) else { continue };
        for (number, line) in source.production().filter(|(_, line)| !line.trim().starts_with("//"))
        {
            for path in imports(line) {
                let top = path.split("::").next().unwrap_or_default().to_owned();
                let fits = top == source.module
                    || !layers.contains_key(&top)
                    || allowed
                        .iter()
                        .any(|name| path == *name || path.starts_with(&format!("{name}::")));
                if !fits {
                    wrong.push(format!("{}:{number}: imports {path}", source.path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "against tests/layers.txt:\n{}", wrong.join("\n"));
}

#[test]
fn a_layer_stands_only_on_layers_above_it() {
    let text = fs::read_to_string(root().join("tests/layers.txt")).expect("layers.txt");
    let mut above = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let (module, allowed) = line.split_once(':').expect("module: imports");
        for name in allowed.split_whitespace() {
            let top = name.split("::").next().unwrap_or_default();
            assert!(above.contains(top), "{module} imports {top}, which does not stand above it");
        }
        above.insert(module);
    }
}

#[test]
fn crates_stay_in_their_places() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (number, line) in source.production() {
            for (name, places) in CRATES {
                let used =
                    line.contains(&format!("{name}::")) || line.contains(&format!("use {name};"));
                let word = line.find(&format!("{name}::")).is_none_or(|at| {
                    at == 0
                        || !line[..at]
                            .ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
                });
                if used
                    && word
                    && !line.trim().starts_with("//")
                    && !places.contains(&source.module.as_str())
                {
                    wrong.push(format!("{}:{number}: {name}", source.path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "crates outside their place:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_says_what_it_is() {
    let mut wrong = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//! ") {
            wrong.push(format!("{}: no header", source.path.display()));
        }
        let is_folder = source.path.ends_with("mod.rs");
        let top = source.path.parent().and_then(Path::parent) == Some(root().join("src").as_path());
        if is_folder && top && !source.text.contains("\n//! Never: ") {
            wrong.push(format!("{}: no line `Never:`", source.path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn functions_and_files_stay_readable() {
    let mut wrong = Vec::new();
    for source in sources() {
        let count = source.production().count();
        if count > FILE_LINES_MAX {
            wrong.push(format!("{}: {count} lines", source.path.display()));
        }
        for (number, line) in source.production() {
            let chars = line.chars().count();
            if chars > LINE_CHARS_MAX && !line.contains('"') && !line.contains("//") {
                wrong.push(format!("{}:{number}: {chars} columns", source.path.display()));
            }
        }
        for (number, lines) in functions(&source) {
            if lines > FUNCTION_LINES_MAX {
                wrong.push(format!(
                    "{}:{number}: a function of {lines} lines",
                    source.path.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// First line and length of each function: rustfmt puts the closing brace under the first letter.
fn functions(source: &SourceFile) -> Vec<(usize, usize)> {
    let lines: Vec<(usize, &str)> = source.production().collect();
    let mut found = Vec::new();
    for (at, (number, line)) in lines.iter().enumerate() {
        let below = lines.get(at..).unwrap_or_default();
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let starts = ["fn ", "pub fn ", "async fn ", "pub async fn ", "const fn ", "pub const fn "]
            .iter()
            .any(|start| code.starts_with(start))
            || (code.starts_with("pub(") && code.contains(" fn "));
        if !starts || code.ends_with(';') || code.ends_with('}') {
            continue;
        }
        let indent = " ".repeat(indent);
        let close = format!("{indent}}}");
        // A trait's function without a body ends with its signature.
        let signature = format!("{indent})");
        let ends =
            |line: &str| line == close || line.starts_with(&signature) && line.ends_with(';');
        let length = below.iter().position(|(_, line)| ends(line));
        found.push((*number, length.map_or(0, |length| length + 1)));
    }
    found
}

#[test]
fn nothing_is_left_for_later() {
    let marks =
        [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["#[ign", "ore"], ["unimple", "mented!"]];
    let mut wrong = Vec::new();
    for source in sources() {
        for (place, line) in source.text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(&mark.concat())) {
                wrong.push(format!("{}:{}: {}", source.path.display(), place + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_top_level_holds_what_was_agreed() {
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "src",
        "assets",
        "tests",
        "packaging",
        "README.md",
        "LICENSE",
        "target",
    ];
    for entry in fs::read_dir(root()).expect("crate folder") {
        let name = entry.expect("entry").file_name().to_string_lossy().into_owned();
        assert!(
            name.starts_with('.') || allowed.contains(&name.as_str()),
            "{name} does not belong here"
        );
    }
}
