//! YAML text to a tree with positions: the one parser, with limits, between a file and serde.
//!
//! The events come from `saphyr-parser`, the tree is `serde_yaml`'s `Value`, and what serde says
//! about a path is turned into line and column with the table kept here. Size, depth and the bytes
//! that aliases expand to are bounded, since a rule file may come from elsewhere.

use super::plain_yaml::{float, whole};
use super::scalar::Style;
use crate::model::value_text::go_default;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_yaml::{Mapping, Number, Value};
use std::collections::{BTreeMap, HashMap};

/// The largest document; the largest known rule file is 230 kB.
const DOCUMENT_BYTES_MAX: usize = 16 << 20;
/// Nesting of a real configuration stays below 12.
const DEPTH_MAX: usize = 64;
/// Nodes that aliases may add: ten times what the largest known file has.
const ALIAS_NODES_MAX: usize = 1 << 20;

/// A line and a column, both from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// What is wrong with the text itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Where.
    pub at: Position,
    /// What.
    pub message: String,
}

/// A document as a tree, and where each of its nodes stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Document {
    /// The tree, aliases and merge keys resolved.
    pub root: Value,
    /// Where the value of a path stands.
    values: HashMap<String, Position>,
    /// Where the key of a path stands.
    keys: HashMap<String, Position>,
    /// The text of a plain scalar, as written.
    plain: HashMap<String, String>,
    /// How the scalars are written that are not plain.
    styles: HashMap<String, Style>,
    /// Where another document begins: it is not read.
    pub more: Option<Position>,
}

impl Document {
    /// Where the value at `path` stands, or what is nearest above it.
    pub(super) fn position(&self, path: &str) -> Position {
        nearest(&self.values, path)
    }

    /// Where the key of `path` stands, or what is nearest above it.
    pub(super) fn key_position(&self, path: &str) -> Position {
        self.keys.get(path).copied().unwrap_or_else(|| self.position(path))
    }

    /// The text of the plain scalar at `path`, before YAML took it for a number.
    pub(super) fn plain_text(&self, path: &str) -> Option<&str> {
        self.plain.get(path).map(String::as_str)
    }

    /// All plain scalars: their paths and their texts.
    pub(super) fn plain_texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.plain.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// How the scalar at `path` is written; `None` when there is none.
    pub(super) fn style(&self, path: &str) -> Option<Style> {
        let plain = || self.plain.contains_key(path).then_some(Style::Plain);
        self.styles.get(path).copied().or_else(plain)
    }

    /// Whether something stands at exactly this path.
    pub(super) fn holds(&self, path: &str) -> bool {
        self.values.contains_key(path)
    }

    /// What stands at `from` is spoken of as `to` from now on, with all that stands below it.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        renamed(&mut self.values, from, to);
        renamed(&mut self.keys, from, to);
        renamed(&mut self.plain, from, to);
        renamed(&mut self.styles, from, to);
    }
}

fn renamed<T: Clone>(table: &mut HashMap<String, T>, from: &str, to: &str) {
    let new = |(path, value): (&String, &T)| {
        let rest = path.strip_prefix(from)?;
        let whole = rest.is_empty() || rest.starts_with(['.', '[']);
        whole.then(|| (format!("{to}{rest}"), value.clone()))
    };
    let more: Vec<_> = table.iter().filter_map(new).collect();
    table.extend(more);
}

/// Reads the first document; what comes behind it is not looked at, as with Go's YAML.
///
/// # Errors
/// The text is no YAML, repeats a key, or passes a limit.
pub(super) fn read(text: &str) -> Result<Document, Fault> {
    read_without_empty(text, &[])
}

/// As `read`, but these lists, as in `a.b`, lose their items without a value: the others close up.
///
/// # Errors
/// As `read`.
pub(super) fn read_without_empty(text: &str, lists: &[&str]) -> Result<Document, Fault> {
    if text.len() > DOCUMENT_BYTES_MAX {
        let message = format!(
            "cannot read a document of {} bytes; at most {DOCUMENT_BYTES_MAX} are allowed",
            text.len()
        );
        return Err(Fault { at: START, message });
    }
    let mut builder = Builder { lists, ..Builder::default() };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|err| Fault {
            at: Position { line: err.marker().line(), column: err.marker().col() + 1 },
            message: err.info().to_owned(),
        })?;
        if builder.has_begun && matches!(event, Event::DocumentStart(_)) {
            builder.document.more = Some(start_of(span));
            break;
        }
        builder.take(event, start_of(span))?;
    }
    builder.finish()
}

const START: Position = Position { line: 1, column: 1 };

fn start_of(span: Span) -> Position {
    Position { line: span.start.line(), column: span.start.col() + 1 }
}

const fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::SingleQuoted,
        ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    }
}

/// The path of the element above: `a.b[2]` -> `a.b` -> `a` -> the root.
pub(super) fn parent(path: &str) -> Option<&str> {
    let at = path.rfind(['.', '['])?;
    path.get(..at)
}

/// A path with no numbers of elements: `a[1].b` and `a[2].b` are the same.
pub(super) fn without_places(path: &str) -> String {
    let mut inside = false;
    let outside = |c: &char| {
        let was_inside = inside;
        inside = (inside || *c == '[') && *c != ']';
        !inside && !was_inside
    };
    path.chars().filter(outside).collect()
}

fn nearest(table: &HashMap<String, Position>, path: &str) -> Position {
    let mut path = path;
    loop {
        if let Some(found) = table.get(path) {
            return *found;
        }
        match parent(path) {
            Some(above) => path = above,
            None => return table.get("").copied().unwrap_or(START),
        }
    }
}

/// A collection whose end was not seen.
#[derive(Debug)]
enum Open {
    List { items: Vec<Value>, anchor: usize, path: String },
    Map { map: Mapping, key: Option<String>, anchor: usize, path: String },
}

#[derive(Debug, Default)]
struct Builder<'a> {
    open: Vec<Open>,
    document: Document,
    anchors: BTreeMap<usize, (Value, usize)>,
    alias_nodes: usize,
    has_begun: bool,
    /// Paths without places of lists that lose their empty items.
    lists: &'a [&'a str],
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), Fault> {
        let fault = |message: &str| Fault { at, message: message.to_owned() };
        match event {
            Event::DocumentStart(_) => self.has_begun = true,
            Event::Scalar(text, style, anchor, tag) => {
                let tagged = tag.as_ref().is_some_and(|tag| tag.suffix == "str");
                self.scalar(&text, style_of(style), tagged, anchor, at)?;
            }
            Event::SequenceStart(anchor, _) => {
                let path = self.enter(at)?;
                self.open.push(Open::List { items: Vec::new(), anchor, path });
            }
            Event::MappingStart(anchor, _) => {
                let path = self.enter(at)?;
                self.open.push(Open::Map { map: Mapping::new(), key: None, anchor, path });
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List { items, anchor, .. }) => {
                    self.place(Value::Sequence(items), anchor, at)?;
                }
                Some(Open::Map { map, anchor, .. }) => {
                    self.place(Value::Mapping(map), anchor, at)?;
                }
                None => return Err(fault("a collection ends that did not begin")),
            },
            Event::Alias(anchor) => {
                let (value, nodes) =
                    self.anchors.get(&anchor).cloned().ok_or_else(|| {
                        fault("an alias names an anchor that stands inside itself")
                    })?;
                self.alias_nodes = self.alias_nodes.saturating_add(nodes);
                if self.alias_nodes > ALIAS_NODES_MAX {
                    return Err(fault("aliases expand to more than is allowed"));
                }
                let path = self.next_path();
                self.document.values.insert(path, at);
                self.place(value, 0, at)?;
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    /// The path of a collection that begins.
    fn enter(&mut self, at: Position) -> Result<String, Fault> {
        if self.open.len() >= DEPTH_MAX {
            let message = format!("collections are nested more than {DEPTH_MAX} deep");
            return Err(Fault { at, message });
        }
        if let Some(Open::Map { key: None, .. }) = self.open.last() {
            return Err(Fault { at, message: "a key must be a single value".to_owned() });
        }
        let path = self.next_path();
        self.document.values.insert(path.clone(), at);
        Ok(path)
    }

    /// The path of the node that comes next.
    fn next_path(&self) -> String {
        match self.open.last() {
            None => String::new(),
            Some(Open::List { items, path, .. }) => format!("{path}[{}]", items.len()),
            Some(Open::Map { key, path, .. }) => {
                let key = key.as_deref().unwrap_or_default();
                if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
            }
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: Style,
        tagged: bool,
        anchor: usize,
        at: Position,
    ) -> Result<(), Fault> {
        if let Some(Open::Map { map, key: slot @ None, path, .. }) = self.open.last_mut() {
            if text != "<<" && map.contains_key(text) {
                let message = format!("key {text:?} is set twice");
                return Err(Fault { at, message });
            }
            let full = if path.is_empty() { text.to_owned() } else { format!("{path}.{text}") };
            self.document.keys.insert(full, at);
            *slot = Some(text.to_owned());
            return Ok(());
        }
        let path = self.next_path();
        self.document.values.insert(path.clone(), at);
        let plain = style == Style::Plain && !tagged;
        let value = if plain { resolve(text) } else { Value::String(text.to_owned()) };
        if plain {
            self.document.plain.insert(path, text.to_owned());
        } else {
            self.document.styles.insert(path, style);
        }
        self.place(value, anchor, at)
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, value: Value, anchor: usize, at: Position) -> Result<(), Fault> {
        if anchor > 0 {
            let nodes = count(&value);
            self.anchors.insert(anchor, (value.clone(), nodes));
        }
        match self.open.last_mut() {
            None => self.document.root = value,
            Some(Open::List { items, path, .. }) => {
                let loses = |path: &str| self.lists.contains(&without_places(path).as_str());
                if value == Value::Null && loses(path) {
                    self.document.plain.remove(&format!("{path}[{}]", items.len()));
                } else {
                    items.push(value);
                }
            }
            Some(Open::Map { map, key, .. }) => {
                let Some(key) = key.take() else {
                    return Err(Fault { at, message: "a value stands without a key".to_owned() });
                };
                map.insert(Value::String(key), value);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Document, Fault> {
        self.document.root.apply_merge().map_err(|err| Fault {
            at: START,
            message: format!("cannot resolve merge keys: {err}"),
        })?;
        Ok(self.document)
    }
}

fn count(value: &Value) -> usize {
    match value {
        Value::Sequence(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Mapping(map) => 1 + map.values().map(count).sum::<usize>(),
        Value::Tagged(tagged) => 1 + count(&tagged.value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

/// A plain scalar by YAML's core schema, as far as nothing of its text is lost: a label `1.0` is
/// that text, and not `1`. What is left as text is read anew where a number or a switch is wanted.
fn resolve(text: &str) -> Value {
    match (text, number(text)) {
        ("" | "~" | "null" | "Null" | "NULL", _) => Value::Null,
        ("true", _) => Value::Bool(true),
        ("false", _) => Value::Bool(false),
        (text, Some(number)) if shown(&number) == text => Value::Number(number),
        (text, _) => Value::String(text.to_owned()),
    }
}

/// The text that `sys::settings::Scalar` makes of a number.
fn shown(number: &Number) -> String {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(whole), _, _) => whole.to_string(),
        (_, Some(whole), _) => whole.to_string(),
        (_, _, float) => go_default(float.unwrap_or(f64::NAN)),
    }
}

/// The number that a plain scalar is as Go's YAML reads it: `010` is 8, and `1_000` a thousand.
pub(super) fn number(text: &str) -> Option<Number> {
    match text {
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Some(f64::INFINITY.into());
        }
        "-.inf" | "-.Inf" | "-.INF" => return Some(f64::NEG_INFINITY.into()),
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN.into()),
        _ => {}
    }
    if !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        return None;
    }
    let plain = text.replace('_', "");
    // `08` is no octal number, and the decimal one then.
    let whole = whole(&plain).or_else(|| plain.parse::<i64>().ok().map(i128::from));
    let signed = || i64::try_from(whole?).ok().map(Number::from);
    let large = || u64::try_from(whole?).ok().map(Number::from);
    signed().or_else(large).or_else(|| float(&plain).map(Number::from))
}

/// The switch that a plain scalar is, in all the ways that Go's YAML knows.
pub(super) fn switch(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_node_knows_where_it_stands() {
        let text = "global:\n  scrape_interval: 15s\nlist:\n- a: 1\n  b: [x, y]\n";
        let document = read(text).expect("valid");
        for (path, line, column) in [
            ("global", 2, 3),
            ("global.scrape_interval", 2, 20),
            ("list[0].a", 4, 6),
            ("list[0].b[1]", 5, 10),
            ("list[0].b[1].deeper", 5, 10),
        ] {
            assert_eq!(document.position(path), Position { line, column }, "{path}");
        }
        assert_eq!(document.key_position("list[0].b"), Position { line: 5, column: 3 });
    }

    #[test]
    fn t87_yaml_is_read_as_configurations_use_it() {
        let text = "base: &b {x: 1, y: yes}\nderived:\n  <<: *b\n  x: 010\nport: \"80\"\n";
        let document = read(text).expect("valid");
        let derived = document.root.get("derived").expect("there");
        assert_eq!(derived.get("y"), Some(&Value::String("yes".to_owned())));
        assert_eq!(document.plain_text("derived.x"), Some("010"));
        assert_eq!(document.root.get("port"), Some(&Value::String("80".to_owned())));
    }

    #[test]
    fn numbers_are_those_of_gos_yaml() {
        // What promtool takes as `limit` and as `value`.
        for (text, expected) in [
            ("010", "8"),
            ("-010", "-8"),
            ("08", "8"),
            ("1_000", "1000"),
            ("1__0", "10"),
            ("5_", "5"),
            ("0b11", "3"),
            ("-0b11", "-3"),
            ("0B1", "1"),
            ("0o7", "7"),
            ("0O7", "7"),
            ("0XFF", "255"),
            ("0x_1", "1"),
            ("+0x1F", "31"),
            ("+5", "5"),
            ("1e3", "1000.0"),
            (".5", "0.5"),
            ("5.", "5.0"),
            ("1_0.5", "10.5"),
            ("18446744073709551615", "18446744073709551615"),
            ("18446744073709551616", "1.8446744073709552e19"),
            ("-.inf", "-.inf"),
        ] {
            let found = number(text).map(|number| number.to_string());
            assert_eq!(found.as_deref(), Some(expected), "{text}");
        }
        for text in ["0b", "0o8", "0x", "_1", "1e400", "0x1p4", "1:30", "Inf", "NaN", "-", "1d"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn of_more_documents_the_first_is_read() {
        for (text, more) in [
            ("a: 1\n", None),
            ("# c\n---\na: 1\n...\n", None),
            ("a: 1\n---\nb: [\n", Some(Position { line: 2, column: 1 })),
            ("---\na: 1\n---\n", Some(Position { line: 3, column: 1 })),
        ] {
            let document = read(text).expect(text);
            assert_eq!(document.root.get("a"), Some(&Value::from(1)), "{text}");
            assert_eq!((document.root.get("b"), document.more), (None, more), "{text}");
        }
    }

    #[test]
    fn what_must_not_load_does_not() {
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
        for (text, part) in [
            ("a: 1\na: 2\n", "key \"a\" is set twice"),
            (bomb, "aliases expand"),
            (&"[".repeat(100_000), "nested"),
            (&format!("{}x", "- ".repeat(3_000)), "nested"),
        ] {
            let fault = read(text).expect_err(part);
            assert!(
                fault.message.contains(part) || fault.message.contains("recursion"),
                "{}",
                fault.message
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[ -~\n]{0,200}") {
            let _ = read(&text);
        }
    }
}
