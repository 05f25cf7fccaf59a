//! One file into one typed value, and problems of that value back into places in the file.

use super::error::{Error, Located};
use super::yaml::{self, Document, Position};
use crate::model::{Problem, nearest_name};
use serde::de::DeserializeOwned;
use serde_yaml::Value;
use std::path::{Path, PathBuf};

/// Scalars that may be taken for another type before a file is given up.
const COERCIONS_MAX: usize = 4_096;

/// A file's text, name and tree.
#[derive(Clone, Debug)]
pub struct Source {
    file: PathBuf,
    text: String,
    document: Document,
}

impl Source {
    /// Reads the text of `file`.
    ///
    /// # Errors
    /// The text is no YAML, or passes a limit.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Error> {
        let document = yaml::read(text).map_err(|fault| {
            Error::one(located(file, text, Some(fault.at), fault.message.clone()))
        })?;
        Ok(Self { file: file.to_owned(), text: text.to_owned(), document })
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
    /// The first field that does not fit, with its place and the nearest known name.
    pub fn typed<T: DeserializeOwned + Default>(&self) -> Result<T, Error> {
        if self.document.root == Value::Null {
            return Ok(T::default());
        }
        let mut root = self.document.root.clone();
        for _ in 0..COERCIONS_MAX {
            let err = match serde_path_to_error::deserialize::<_, T>(root.clone()) {
                Ok(value) => return Ok(value),
                Err(err) => err,
            };
            let path = plain_path(&err.path().to_string());
            let message = err.inner().to_string();
            if !self.coerce(&mut root, &path, &message) {
                return Err(Error::one(self.serde_fault(&path, &message)));
            }
        }
        Err(Error::one(self.fault_at(
            Some(self.document.position("")),
            "too many values of the wrong type".to_owned(),
        )))
    }

    /// Problems of the typed value, placed.
    pub fn place(&self, problems: Vec<Problem>) -> Vec<Located> {
        problems.into_iter().map(|problem| self.place_one(&problem)).collect()
    }

    /// One problem of the typed value, placed.
    pub fn place_one(&self, problem: &Problem) -> Located {
        let mut at = self.document.position(&problem.at);
        // An offset counts in the scalar's text. In a plain one-line scalar, that is the column.
        if let Some(offset) = problem.offset
            && let Some(text) = self.document.plain_text(&problem.at)
            && !text.contains('\n')
        {
            at.column += text.get(..offset).map_or(0, |before| before.chars().count());
        }
        self.fault_at(Some(at), problem.message.clone())
    }

    /// A place and a sentence in one line, for what is known and has no effect.
    pub(super) fn note(&self, problem: &Problem) -> String {
        let located = self.place_one(problem);
        let at = located.at.map(|at| format!(":{}:{}", at.line, at.column)).unwrap_or_default();
        format!("{}{at}: {}", located.file.display(), located.message)
    }

    /// Takes the scalar at `path` as the type that serde wanted; false when nothing can be done.
    fn coerce(&self, root: &mut Value, path: &str, message: &str) -> bool {
        let Some(text) = self.document.plain_text(path).map(str::to_owned) else { return false };
        let Some(slot) = find_mut(root, path) else { return false };
        let wanted = if message.contains("expected a boolean") {
            match text.as_str() {
                "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(Value::Bool(true)),
                "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(Value::Bool(false)),
                _ => None,
            }
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
                *slot = value;
                true
            }
            Some(_) | None => false,
        }
    }

    fn serde_fault(&self, path: &str, message: &str) -> Located {
        let message = message.split(" at line ").next().unwrap_or(message);
        if let Some((field, known)) = unknown_field(message) {
            let hint = nearest_name(field, known.iter().copied())
                .map(|name| format!("; did you mean {name:?}?"))
                .unwrap_or_default();
            let full = match path.strip_suffix(field) {
                Some(_) => path.to_owned(),
                None if path.is_empty() => field.to_owned(),
                None => format!("{path}.{field}"),
            };
            let at = self.document.key_position(&full);
            return self.fault_at(Some(at), format!("unknown field {field:?}{hint}"));
        }
        let name = path.rsplit('.').next().unwrap_or_default();
        let text = if name.is_empty() { message.to_owned() } else { format!("{name}: {message}") };
        self.fault_at(Some(self.document.position(path)), text)
    }

    fn fault_at(&self, at: Option<Position>, message: String) -> Located {
        located(&self.file, &self.text, at, message)
    }
}

fn located(file: &Path, text: &str, at: Option<Position>, message: String) -> Located {
    let line = at.and_then(|at| text.lines().nth(at.line.saturating_sub(1)));
    Located { file: file.to_owned(), at, message, line_text: line.unwrap_or_default().to_owned() }
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
    fn a_problem_deep_in_a_scalar_points_there() {
        let source = Source::parse(Path::new("r.yml"), "rules:\n- expr: sum(up\n").expect("valid");
        let problem = Problem { offset: Some(4), ..Problem::new("rules[0].expr", "x") };
        assert_eq!(source.place_one(&problem).at, Some(Position { line: 2, column: 13 }));
    }
}
