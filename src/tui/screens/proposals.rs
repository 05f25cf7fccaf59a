//! What may follow at the cursor of an expression: metrics and functions, label names, values.

use crate::tui::theme::Role;
use crate::tui::widgets::{Pen, columns, page};
use ratatui::layout::Rect;

/// Proposals that are shown at once.
const SHOWN: u16 = 6;

/// Words of the language that a metric's place may hold.
const WORDS: [&str; 42] = [
    "abs",
    "absent",
    "avg",
    "avg_over_time",
    "bottomk",
    "by",
    "ceil",
    "changes",
    "clamp_max",
    "clamp_min",
    "count",
    "count_over_time",
    "delta",
    "deriv",
    "floor",
    "group",
    "histogram_quantile",
    "idelta",
    "increase",
    "irate",
    "label_replace",
    "last_over_time",
    "max",
    "max_over_time",
    "min",
    "min_over_time",
    "offset",
    "predict_linear",
    "quantile",
    "quantile_over_time",
    "rate",
    "resets",
    "round",
    "sort_desc",
    "stddev",
    "sum",
    "sum_over_time",
    "time",
    "timestamp",
    "topk",
    "vector",
    "without",
];

/// What the text left of the cursor asks for; each with the part of the word typed already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Nothing that can be proposed.
    #[default]
    Nothing,
    /// A metric or a word of the language.
    Metric(String),
    /// A label's name, of this metric's series when one is named.
    Name {
        /// The metric before the braces.
        metric: Option<String>,
        /// What is typed.
        typed: String,
    },
    /// A label's value.
    Value {
        /// The metric before the braces.
        metric: Option<String>,
        /// The label.
        name: String,
        /// What is typed.
        typed: String,
    },
}

impl Wanted {
    fn typed(&self) -> &str {
        match self {
            Self::Nothing => "",
            Self::Metric(typed) | Self::Name { typed, .. } | Self::Value { typed, .. } => typed,
        }
    }

    /// The question whose answer serves this place, whatever is typed.
    fn topic(&self) -> Option<(Option<&str>, Option<&str>)> {
        match self {
            Self::Nothing => None,
            Self::Metric(_) => Some((None, Some("__name__"))),
            Self::Name { metric, .. } => Some((metric.as_deref(), None)),
            Self::Value { metric, name, .. } => Some((metric.as_deref(), Some(name))),
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':')
}

/// The word at the end of `text`.
fn last_word(text: &str) -> &str {
    let start = text.rfind(|c| !is_word(c)).map_or(0, |at| {
        at + text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
    });
    text.get(start..).unwrap_or_default()
}

/// Reads what may follow `text`. It looks at braces and quotes alone: the text need not be whole.
pub(super) fn wanted(text: &str) -> Wanted {
    let mut open_brace = None;
    let mut quote: Option<(usize, char)> = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some((_, open)), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some((at, c)),
            (None, '{') => open_brace = Some(at),
            (None, '}') => open_brace = None,
            (None, _) => {}
        }
    }
    let before = |at: usize| text.get(..at).unwrap_or_default();
    let after = |at: usize| text.get(at + 1..).unwrap_or_default();
    if let Some(brace) = open_brace {
        let metric = Some(last_word(before(brace)).to_owned()).filter(|word| !word.is_empty());
        return match quote {
            Some((at, _)) => {
                let name = before(at).trim_end_matches(['=', '!', '~', ' ']);
                let name = last_word(name).to_owned();
                if name.is_empty() {
                    return Wanted::Nothing;
                }
                Wanted::Value { metric, name, typed: after(at).to_owned() }
            }
            None => Wanted::Name { metric, typed: last_word(text).to_owned() },
        };
    }
    if quote.is_some() {
        return Wanted::Nothing;
    }
    let typed = last_word(text).to_owned();
    if in_grouping(text) {
        return Wanted::Name { metric: None, typed };
    }
    let starts = typed.chars().next().is_some_and(|c| !c.is_ascii_digit());
    if starts { Wanted::Metric(typed) } else { Wanted::Nothing }
}

/// Whether the cursor is in the parentheses after `by`, `without`, `on` and their like.
fn in_grouping(text: &str) -> bool {
    let Some(open) = text.rfind('(') else { return false };
    let closed = text.get(open..).is_some_and(|rest| rest.contains(')'));
    let word = last_word(text.get(..open).unwrap_or_default().trim_end());
    !closed && matches!(word, "by" | "without" | "on" | "ignoring" | "group_left" | "group_right")
}

/// Metrics and words of the language.
pub(super) fn expression_words(metrics: &[String]) -> Vec<String> {
    metrics.iter().cloned().chain(WORDS.map(str::to_owned)).collect()
}

/// The proposals at the cursor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proposals {
    wanted: Wanted,
    words: Vec<String>,
    shown: Vec<String>,
    selected: usize,
}

impl Proposals {
    /// Whether there is something to choose from.
    pub(super) fn is_open(&self) -> bool {
        !self.shown.is_empty()
    }

    /// Whether the words at hand are not those of this place.
    pub(super) fn needs(&self, wanted: &Wanted) -> bool {
        self.wanted.topic() != wanted.topic() || self.words.is_empty()
    }

    /// Changes the place.
    pub(super) fn look_for(&mut self, wanted: Wanted) {
        if self.wanted.topic() != wanted.topic() {
            self.words.clear();
        }
        self.wanted = wanted;
        self.narrow();
    }

    /// Takes the words of the place.
    pub(super) fn take(&mut self, words: Vec<String>) {
        self.words = words;
        self.narrow();
    }

    /// Takes the words of a place that is new.
    pub(super) fn take_for(&mut self, wanted: &Wanted, words: Vec<String>) {
        self.wanted = wanted.clone();
        self.take(words);
    }

    /// Keeps the words that fit what is typed: those that begin with it, then those that hold it.
    fn narrow(&mut self) {
        let typed = self.wanted.typed().to_lowercase();
        let (mut starts, mut holds) = (Vec::new(), Vec::new());
        for word in &self.words {
            let lower = word.to_lowercase();
            if lower.starts_with(&typed) {
                starts.push(word.clone());
            } else if lower.contains(&typed) {
                holds.push(word.clone());
            }
        }
        starts.sort_by_key(String::len);
        starts.append(&mut holds);
        starts.truncate(100);
        if let [only] = starts.as_slice()
            && *only == self.wanted.typed()
        {
            starts.clear();
        }
        self.shown = starts;
        self.selected = 0;
    }

    /// Moves the choice.
    pub(super) fn step(&mut self, down: bool) {
        let last = self.shown.len().saturating_sub(1);
        self.selected =
            if down { (self.selected + 1).min(last) } else { self.selected.saturating_sub(1) };
    }

    /// The chosen word, and how many characters of it are typed.
    pub(super) fn chosen(&self) -> Option<(usize, String)> {
        let word = self.shown.get(self.selected)?;
        Some((self.wanted.typed().chars().count(), word.clone()))
    }

    /// Draws the list below the prompt.
    pub(super) fn draw(&self, pen: &mut Pen<'_>, area: Rect) {
        let height = SHOWN.min(area.height);
        let shown = page(self.selected, self.shown.len(), height);
        let words = self.shown.get(shown.clone()).unwrap_or_default();
        let width = words.iter().map(|word| columns(word)).max().unwrap_or(0).clamp(30, 60);
        let x = area.x + 3;
        for ((place, word), y) in shown.clone().zip(words).zip(area.y..area.bottom()) {
            let line =
                Rect { x, y, width: (width + 2).min(area.right().saturating_sub(x)), height: 1 };
            pen.clear(line);
            pen.put(x, y, 1, "|", Role::Rule);
            pen.put(x + 2, y, width, word, Role::Text);
            if place == self.selected {
                pen.shade(line, Role::Select);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_the_cursor_is_found_in_text_that_is_not_whole() {
        let metric = |name: &str| Some(name.to_owned());
        for (text, expected) in [
            ("", Wanted::Nothing),
            ("sum(rate(node_c", Wanted::Metric("node_c".to_owned())),
            ("up{", Wanted::Name { metric: metric("up"), typed: String::new() }),
            ("up{jo", Wanted::Name { metric: metric("up"), typed: "jo".to_owned() }),
            (
                "up{job=~\"no",
                Wanted::Value {
                    metric: metric("up"),
                    name: "job".to_owned(),
                    typed: "no".to_owned(),
                },
            ),
            (
                "up{job=\"a}\", inst",
                Wanted::Name { metric: metric("up"), typed: "inst".to_owned() },
            ),
            ("sum by (co", Wanted::Name { metric: None, typed: "co".to_owned() }),
            ("up{job=\"a\"} / 5", Wanted::Nothing),
            ("label_replace(up, \"a", Wanted::Nothing),
        ] {
            assert_eq!(wanted(text), expected, "{text}");
        }
    }

    #[test]
    fn words_that_begin_with_the_typed_come_first() {
        let mut proposals = Proposals::default();
        let words = ["xa_node", "node_b", "node"].map(str::to_owned).to_vec();
        proposals.take_for(&Wanted::Metric("node".to_owned()), words);
        assert_eq!(proposals.shown, ["node", "node_b", "xa_node"]);
        assert_eq!(proposals.chosen(), Some((4, "node".to_owned())));
    }
}
