//! One file into one typed value, and problems of that value back into places in the file.

use super::error::{Error, Located};
use super::scalar;
use super::yaml::{self, Document, Position, parent, without_places};
use crate::model::{Problem, nearest_name};
use serde::de::DeserializeOwned;
use serde_yaml::Value;
use std::path::{Path, PathBuf};

/// Scalars that may be taken for another type before a file is given up.
const COERCIONS_MAX: usize = 4_096;
/// Fields that do not fit before a file is given up: nobody reads more.
const FAULTS_MAX: usize = 100;

/// A file's text, name and tree.
#[derive(Clone, Debug)]
pub struct Source {
    file: PathBuf,
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
    document: Document,
    /// Paths that `draft` left out.
    left_out: Vec<String>,
}

/// What becomes of fields that are not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// They are faults.
    #[default]
    Refused,
    /// They are passed over.
    PassedOver,
}

/// What was read of a file although some of it does not fit.
#[derive(Debug)]
struct Reading<T> {
    /// The rest; `None` when nothing can be made of it.
    value: Option<T>,
    faults: Vec<Located>,
    left_out: Vec<String>,
    /// Misspelt fields and what they were taken for.
    meant: Vec<(String, String)>,
}

impl<T> Reading<T> {
    /// A path of the tree as the file has it: with fields as they are spelt there.
    fn written(&self, path: &str) -> String {
        let mut path = path.to_owned();
        for (written, known) in self.meant.iter().rev() {
            if let Some(rest) = path.strip_prefix(known.as_str())
                && (rest.is_empty() || rest.starts_with(['.', '[']))
            {
                path = format!("{written}{rest}");
            }
        }
        path
    }
}

impl Source {
    /// Reads the text of `file`.
    ///
    /// # Errors
    /// The text is no YAML, or passes a limit.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Error> {
        Self::of(file, text, yaml::read(text))
    }

    /// Reads the text of a rule file: groups and rules without a value are passed over, as Go's
    /// newer YAML does, which reads these files upstream.
    ///
    /// # Errors
    /// As `parse`.
    pub(super) fn parse_rules(file: &Path, text: &str) -> Result<Self, Error> {
        Self::of(file, text, yaml::read_without_empty(text, &["groups", "groups.rules"]))
    }

    fn of(file: &Path, text: &str, document: Result<Document, yaml::Fault>) -> Result<Self, Error> {
        let document = document.map_err(|fault| {
            let line = text.lines().nth(fault.at.line.saturating_sub(1)).unwrap_or_default();
            Error::one(located(file, line, Some(fault.at), fault.message.clone()))
        })?;
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = [0].into_iter().chain(breaks).collect();
        let (file, text) = (file.to_owned(), text.to_owned());
        Ok(Self { file, text, lines, document, left_out: Vec::new() })
    }

    /// The file's name.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The file's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The typed value of the document, or of the default when the file is empty.
    ///
    /// A scalar of the wrong type is taken as what is wanted where Go's YAML would: `yes` for a
    /// boolean, `5` for a string.
    ///
    /// # Errors
    /// Every field that does not fit, with its place and the nearest known name.
    pub fn typed<T: DeserializeOwned + Default>(&self) -> Result<T, Error> {
        let Reading { value, faults, .. } = self.read(Unknown::Refused);
        match value {
            Some(value) if faults.is_empty() => Ok(value),
            Some(_) | None => Err(Error::of(faults)),
        }
    }

    /// As `typed`, but with a value also of a file in which some fields do not fit, so that the
    /// rest can be checked as well: a misspelt field is taken for the known one, another is left
    /// out. The file must not be used when there are faults.
    ///
    /// # Errors
    /// Every field that does not fit, when nothing can be made of the rest.
    pub fn draft<T: DeserializeOwned + Default>(
        &mut self,
        unknown: Unknown,
    ) -> Result<(T, Vec<Located>), Error> {
        let Reading { value, faults, left_out, meant } = self.read(unknown);
        for (written, known) in meant {
            self.document.rename(&written, &known);
        }
        self.left_out = left_out;
        match value {
            Some(value) => Ok((value, faults)),
            None => Err(Error::of(faults)),
        }
    }

    fn read<T: DeserializeOwned + Default>(&self, unknown: Unknown) -> Reading<T> {
        let mut reading =
            Reading { value: None, faults: Vec::new(), left_out: Vec::new(), meant: Vec::new() };
        if self.document.root == Value::Null {
            reading.value = Some(T::default());
            return reading;
        }
        let mut root = self.document.root.clone();
        for _ in 0..COERCIONS_MAX {
            let err = match serde_path_to_error::deserialize::<_, T>(root.clone()) {
                Ok(value) => {
                    reading.value = Some(value);
                    return reading;
                }
                Err(err) => err,
            };
            let path = plain_path(&err.path().to_string());
            let message = err.inner().to_string();
            if self.coerce(&mut root, &path, &reading.written(&path), &message) {
                continue;
            }
            let goes_on = self.leave_out(&mut root, &path, &message, unknown, &mut reading);
            if reading.faults.len() >= FAULTS_MAX {
                let text =
                    format!("more than {FAULTS_MAX} fields do not fit; the rest is not shown");
                reading.faults.push(self.fault_at(None, text));
                return reading;
            }
            if !goes_on {
                return reading;
            }
        }
        let text = "too many values of the wrong type".to_owned();
        reading.faults.push(self.fault_at(Some(self.document.position("")), text));
        reading
    }

    /// Tells what does not fit and takes it out of the tree; false when that cannot be done.
    fn leave_out<T>(
        &self,
        root: &mut Value,
        path: &str,
        message: &str,
        unknown: Unknown,
        reading: &mut Reading<T>,
    ) -> bool {
        if let Some((field, known)) = unknown_field(message) {
            let full = field_path(path, field);
            if unknown == Unknown::PassedOver {
                return remove(root, &full);
            }
            reading.faults.push(self.serde_fault(&reading.written(path), message));
            let meant = nearest_name(field, known).map(|name| field_path(above(&full), name));
            if let Some(meant) = meant.filter(|meant| find_mut(root, meant).is_none()) {
                reading.meant.push((full.clone(), meant.clone()));
                return rename(root, &full, &meant);
            }
            reading.left_out.push(full.clone());
            return remove(root, &full);
        }
        // What was left out was told then; that it is missing now, or no value, is no news.
        let missing = missing_field(message).map(|field| field_path(path, field));
        let told = |at: &str| reading.left_out.iter().any(|before| before == at);
        if !told(path) && !missing.is_some_and(|missing| told(&missing)) {
            reading.faults.push(self.serde_fault(&reading.written(path), message));
        }
        // An element of a list becomes an empty one, so that the others keep their places; when
        // that does not fit either, the list goes.
        let mut path = path;
        while reading.left_out.iter().any(|before| before == path) {
            let Some(parent) = parent(path) else { return false };
            path = parent;
        }
        reading.left_out.push(path.to_owned());
        remove(root, path)
    }

    /// Problems of the typed value, placed; without those that only follow from what `draft` left
    /// out.
    pub fn place(&self, problems: Vec<Problem>) -> Vec<Located> {
        let told = problems.iter().filter(|problem| !self.follows(&problem.at));
        told.map(|problem| self.place_one(problem)).collect()
    }

    /// Whether a problem at `path` may come from a field that was left out: it stands there or
    /// below, is told of what the field belongs to, or of a field beside it that is missing.
    fn follows(&self, path: &str) -> bool {
        self.left_out.iter().any(|left_out| {
            let below = path.strip_prefix(left_out.as_str());
            let around = above(left_out);
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
                || path == around
                || (above(path) == around && !self.document.holds(path))
        })
    }

    /// One problem of the typed value, placed.
    pub fn place_one(&self, problem: &Problem) -> Located {
        let mut at = self.document.position(&problem.at);
        if let Some(offset) = problem.offset
            && let Some(style) = self.document.style(&problem.at)
        {
            let line = self.lines.get(at.line.saturating_sub(1)).copied().unwrap_or_default();
            at = scalar::place(&self.text, line, at, style, offset);
        }
        self.fault_at(Some(at), problem.message.clone())
    }

    /// A place and a sentence in one line, for what is known and has no effect.
    pub(super) fn note(&self, problem: &Problem) -> String {
        let located = self.place_one(problem);
        let at = located.at.map(|at| format!(":{}:{}", at.line, at.column)).unwrap_or_default();
        format!("{}{at}: {}", located.file.display(), located.message)
    }

    /// Says so when the file has more than one document: only the first is read, as upstream has it.
    pub(super) fn unread(&self) -> Option<String> {
        let Position { line, column } = self.document.more?;
        let text = "only the first document is read, and another one begins here";
        Some(format!("{}:{line}:{column}: {text}", self.file.display()))
    }

    /// Takes the scalar at `path`, which the file has at `written`, as the type that serde wanted;
    /// false when nothing can be done.
    fn coerce(&self, root: &mut Value, path: &str, written: &str, message: &str) -> bool {
        let Some(slot) = find_mut(root, path) else { return false };
        let text = match (self.document.plain_text(written), &*slot) {
            (Some(text), _) => text.to_owned(),
            // It came with an alias, and is no text in quotes as far as anybody knows.
            (None, Value::String(text)) if self.document.style(written).is_none() => text.clone(),
            (None, _) => return false,
        };
        let wanted = if message.contains("expected a boolean") {
            yaml::switch(&text).map(Value::Bool)
        } else if wants_number(message) {
            yaml::number(&text).map(Value::Number)
        } else if message.contains("expected a string") || message.contains("expected path string")
        {
            Some(Value::String(text))
        } else if message.contains("expected a sequence") && *slot == Value::Null {
            Some(Value::Sequence(Vec::new()))
        } else if message.contains("invalid type: unit value") && *slot == Value::Null {
            Some(Value::Mapping(serde_yaml::Mapping::new()))
        } else {
            None
        };
        match wanted {
            Some(value) if *slot != value => {
                let is_number = value.is_number();
                *slot = value;
                if is_number {
                    self.number_alike(root, written);
                }
                true
            }
            Some(_) | None => false,
        }
    }

    /// Makes numbers also of the texts at the same place of other elements: a file of unit tests
    /// has thousands, and each would cost a whole reading.
    fn number_alike(&self, root: &mut Value, path: &str) {
        let like = without_places(path);
        for (path, text) in self.document.plain_texts() {
            if without_places(path) == like
                && let Some(number) = yaml::number(text)
                && let Some(slot @ Value::String(_)) = find_mut(root, path)
            {
                *slot = Value::Number(number);
            }
        }
    }

    fn serde_fault(&self, path: &str, message: &str) -> Located {
        let message = message.split(" at line ").next().unwrap_or(message);
        if let Some((field, known)) = unknown_field(message) {
            let hint = nearest_name(field, known)
                .map(|name| format!("; did you mean {name:?}?"))
                .unwrap_or_default();
            let at = self.document.key_position(&field_path(path, field));
            return self.fault_at(Some(at), format!("unknown field {field:?}{hint}"));
        }
        let name = path.rsplit('.').next().unwrap_or_default();
        let text = if name.is_empty() { message.to_owned() } else { format!("{name}: {message}") };
        self.fault_at(Some(self.document.position(path)), text)
    }

    fn fault_at(&self, at: Option<Position>, message: String) -> Located {
        let from = at.and_then(|at| self.lines.get(at.line.saturating_sub(1)));
        let line = from.and_then(|from| self.text.get(*from..)?.lines().next());
        located(&self.file, line.unwrap_or_default(), at, message)
    }
}

fn located(file: &Path, line: &str, at: Option<Position>, message: String) -> Located {
    Located { file: file.to_owned(), at, message, line_text: line.to_owned() }
}

/// Whether serde has a text and wants a number: `invalid type: string "1.0", expected f64`.
fn wants_number(message: &str) -> bool {
    let wanted = message.strip_prefix("invalid type: string").and_then(|rest| {
        let (_, wanted) = rest.rsplit_once(", expected ")?;
        wanted.split(' ').next()
    });
    wanted.is_some_and(|wanted| {
        ["f64", "i64", "u64", "u32", "i32", "u16", "u8", "usize"].contains(&wanted)
    })
}

/// `serde_path_to_error` writes `.` for the root and `?` for what it could not see.
fn plain_path(path: &str) -> String {
    let path = path.trim_end_matches(".?").trim_end_matches('?');
    if path == "." { String::new() } else { path.to_owned() }
}

/// Serde's "unknown field `x`, expected one of `a`, `b`".
fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (field, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2).collect();
    Some((field, known))
}

/// Serde's "missing field `x`".
fn missing_field(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.split('`').next()
}

/// The path of a field of what stands at `path`; some of serde's paths end with the field.
fn field_path(path: &str, field: &str) -> String {
    let before = path.strip_suffix(field);
    if before.is_some_and(|before| before.is_empty() || before.ends_with('.')) {
        return path.to_owned();
    }
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

/// The path of what holds `path`: the root's is empty.
fn above(path: &str) -> &str {
    parent(path).unwrap_or_default()
}

/// Takes the node at `path` out; an element of a list becomes an empty one. False when there is no
/// such node.
fn remove(root: &mut Value, path: &str) -> bool {
    let Some(holder) = find_mut(root, above(path)) else { return false };
    let last = path.strip_prefix(above(path)).unwrap_or_default();
    match holder {
        Value::Mapping(map) => map.remove(last.trim_start_matches('.')).is_some(),
        _ => match find_mut(root, path) {
            Some(node) if !path.is_empty() => {
                *node = Value::Null;
                true
            }
            Some(_) | None => false,
        },
    }
}

/// Gives the field at `path` the name that the path `to` ends with.
fn rename(root: &mut Value, path: &str, to: &str) -> bool {
    let last = |path: &str| {
        let rest = path.strip_prefix(above(path)).unwrap_or_default();
        rest.trim_start_matches('.').to_owned()
    };
    let Some(Value::Mapping(map)) = find_mut(root, above(path)) else { return false };
    let Some(value) = map.remove(last(path)) else { return false };
    map.insert(Value::String(last(to)), value);
    true
}

/// The node at `path`, as `a.b[2].c`. Keys with dots in them are not found, which is only a worse
/// message.
fn find_mut<'a>(root: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let mut node = root;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let (key, places) = part.split_once('[').map_or((part, ""), |(key, rest)| (key, rest));
        if !key.is_empty() {
            node = node.get_mut(key)?;
        }
        for place in places.split('[').filter(|place| !place.is_empty()) {
            let place: usize = place.trim_end_matches(']').parse().ok()?;
            node = node.get_mut(place)?;
        }
    }
    Some(node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Sample {
        name: String,
        flag: bool,
        rules: Vec<Rule>,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Rule {
        expr: String,
        port: u16,
    }

    /// What the settings of labels and of numbers are made of.
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Scalars {
        labels: std::collections::BTreeMap<String, crate::sys::settings::Scalar>,
        flag: bool,
        float: f64,
        whole: u64,
        flags: std::collections::BTreeMap<String, bool>,
    }

    #[test]
    fn t87_a_text_is_what_is_written_and_a_number_what_it_means() {
        let text = "x: &v 1.0\nbase: &b {a: True, b: on}\nlabels: {version: 1.0, e: 1e3, \
                    octal: 010, hex: 0x1F, yes: True, plus: +1, plain: 12, half: 0.5, alias: *v, \
                    inf: .inf, big: 1000000.5, quoted: '2.0'}\nflag: TRUE\nfloat: 1.0\n\
                    whole: 0x10\nflags: {<<: *b, c: False}\n";
        let source = Source::parse(Path::new("a.yml"), text).expect("YAML");
        let read: Scalars = source.typed().expect("fits");
        let labels: Vec<_> =
            read.labels.iter().map(|(name, text)| (name.as_str(), text.0.as_str())).collect();
        assert_eq!(
            labels,
            [
                ("alias", "1.0"),
                ("big", "1000000.5"),
                ("e", "1e3"),
                ("half", "0.5"),
                ("hex", "0x1F"),
                ("inf", ".inf"),
                ("octal", "010"),
                ("plain", "12"),
                ("plus", "+1"),
                ("quoted", "2.0"),
                ("version", "1.0"),
                ("yes", "True"),
            ]
        );
        assert_eq!((read.flag, read.float, read.whole), (true, 1.0, 16));
        assert_eq!(read.flags.into_values().collect::<Vec<_>>(), [true, true, false]);
        let many = format!("rules:\n{}", "- {port: +1}\n".repeat(2 * COERCIONS_MAX));
        assert_eq!(typed(&many).expect("fits").rules.len(), 2 * COERCIONS_MAX);
        let quoted = Source::parse(Path::new("a.yml"), "float: '1.0'\n").expect("YAML");
        assert!(quoted.typed::<Scalars>().is_err(), "what is in quotes is no number");
    }

    fn typed(text: &str) -> Result<Sample, String> {
        let source = Source::parse(Path::new("a.yml"), text).map_err(|err| err.to_string())?;
        source.typed().map_err(|err| err.to_string())
    }

    #[test]
    fn an_unknown_field_names_its_place_and_the_nearest_name() {
        let text = "name: x\nrules:\n- expr: up\n- exprr: up\n";
        let expected =
            "a.yml:4:3: unknown field \"exprr\"; did you mean \"expr\"?\n    - exprr: up\n      ^";
        assert_eq!(typed(text).expect_err("wrong"), expected);
        let top = typed("nmae: x\n").expect_err("wrong");
        assert!(
            top.starts_with("a.yml:1:1: unknown field \"nmae\"; did you mean \"name\"?"),
            "{top}"
        );
    }

    #[test]
    fn a_wrong_type_names_its_place() {
        let found = typed("rules:\n- port: many\n").expect_err("wrong");
        assert!(
            found.starts_with("a.yml:2:9: port: invalid type: string \"many\", expected u16"),
            "{found}"
        );
    }

    #[test]
    fn t87_scalars_are_taken_as_go_would() {
        let found = typed("name: 5\nflag: yes\nrules:\n- expr: 1\n").expect("valid");
        assert_eq!((found.name.as_str(), found.flag), ("5", true));
        assert_eq!(found.rules.first().map(|rule| rule.expr.as_str()), Some("1"));
        assert_eq!(typed("").expect("empty is valid"), Sample::default());
        assert_eq!(typed("rules:\nname: a\n").expect("null is empty").rules, []);
    }

    #[test]
    fn every_field_that_does_not_fit_is_told_at_once() {
        let text = "nmae: x\nflag: {}\nrules:\n- exprr: up\n  nonsense: 1\n- port: many\n- word\n";
        let found = typed(text).expect_err("wrong");
        let places: Vec<_> = found.lines().filter(|line| line.starts_with("a.yml")).collect();
        assert_eq!(
            places,
            [
                "a.yml:1:1: unknown field \"nmae\"; did you mean \"name\"?",
                "a.yml:2:7: flag: invalid type: map, expected a boolean",
                "a.yml:4:3: unknown field \"exprr\"; did you mean \"expr\"?",
                "a.yml:5:3: unknown field \"nonsense\"",
                "a.yml:6:9: port: invalid type: string \"many\", expected u16",
                "a.yml:7:3: rules[2]: invalid type: string \"word\", expected struct Rule",
            ]
        );
        let found = typed("rulez:\n- port: many\n  exprr: x\n").expect_err("wrong");
        for place in ["a.yml:1:1: ", "a.yml:2:9: port: ", "a.yml:3:3: unknown field"] {
            assert!(found.contains(place), "no {place}: {found}");
        }
        let many: String = (0..200).map(|at| format!("k{at}: 1\n")).collect();
        let found = typed(&many).expect_err("wrong");
        assert!(found.contains("more than 100 fields do not fit"), "{found}");
    }

    #[test]
    fn a_draft_goes_on_with_what_was_meant() {
        let text = "nmae: 5\nrules:\n- exprr: 'sum(up'\n- port: many\n- expr: ok\n";
        let mut source = Source::parse(Path::new("a.yml"), text).expect("valid");
        let (found, faults) = source.draft::<Sample>(Unknown::Refused).expect("a value");
        assert_eq!((found.name.as_str(), faults.len()), ("5", 3));
        let exprs: Vec<_> = found.rules.iter().map(|rule| rule.expr.as_str()).collect();
        assert_eq!(exprs, ["sum(up", "", "ok"]);
        let problem = |at: &str| Problem::new(at, "x");
        let deep = Problem { offset: Some(4), ..problem("rules[0].expr") };
        // A port that is left out may make its rule wrong, or a field that is not there.
        let follows = [problem("rules[1].port"), problem("rules[1]"), problem("rules[1].expr")];
        let placed = source.place([&[deep][..], &follows, &[problem("rules[2].expr")]].concat());
        let places: Vec<_> = placed.iter().map(|located| located.at).collect();
        assert_eq!(places, [(3, 15), (5, 9)].map(|(line, column)| Some(Position { line, column })));
    }

    #[test]
    fn unknown_fields_can_be_passed_over() {
        let text = "more: 1\nrules:\n- {expr: a, exprr: b}\n- {port: many, x: 1}\n";
        let mut source = Source::parse(Path::new("a.yml"), text).expect("valid");
        let (found, faults) = source.draft::<Sample>(Unknown::PassedOver).expect("a value");
        assert_eq!(found.rules.first().map(|rule| rule.expr.as_str()), Some("a"));
        let told: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
        assert_eq!(told, ["port: invalid type: string \"many\", expected u16"]);
    }

    #[test]
    fn a_problem_deep_in_a_scalar_points_there() {
        let source = Source::parse(Path::new("r.yml"), "rules:\n- expr: sum(up\n").expect("valid");
        let problem = Problem { offset: Some(4), ..Problem::new("rules[0].expr", "x") };
        assert_eq!(source.place_one(&problem).at, Some(Position { line: 2, column: 13 }));
    }
}
