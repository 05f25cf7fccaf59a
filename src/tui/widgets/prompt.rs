//! A line of text that is edited in place.

use super::{Pen, columns};
use crate::model::printable;
use crate::tui::keys::Key;
use crate::tui::theme::Role;
use ratatui::layout::Rect;

/// Longer input is refused: no expression of a person is longer.
const CHARS_MAX: usize = 8_192;

/// A line under edit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prompt {
    text: Vec<char>,
    cursor: usize,
}

impl Prompt {
    /// The line `text`, with the cursor at its end.
    pub(crate) fn new(text: &str) -> Self {
        let text: Vec<char> = text.chars().take(CHARS_MAX).collect();
        Self { cursor: text.len(), text }
    }

    /// The text.
    pub(crate) fn text(&self) -> String {
        self.text.iter().collect()
    }

    /// The text left of the cursor.
    pub(crate) fn before_cursor(&self) -> String {
        self.text.iter().take(self.cursor).collect()
    }

    /// Replaces the `count` characters left of the cursor.
    pub(crate) fn replace_before(&mut self, count: usize, with: &str) {
        let from = self.cursor.saturating_sub(count);
        self.text.drain(from..self.cursor.min(self.text.len()));
        self.cursor = from;
        self.insert(with);
    }

    /// Inserts text at the cursor; line breaks become spaces.
    pub(crate) fn insert(&mut self, text: &str) {
        for c in text.chars() {
            if self.text.len() >= CHARS_MAX {
                return;
            }
            let c = if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c };
            self.text.insert(self.cursor.min(self.text.len()), c);
            self.cursor += 1;
        }
    }

    /// Takes an editing key; answers whether it was one.
    pub(crate) fn key(&mut self, key: Key) -> bool {
        match key {
            Key::Char(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            Key::Backspace if self.cursor > 0 => self.replace_before(1, ""),
            Key::Backspace => {}
            Key::Delete => {
                if self.cursor < self.text.len() {
                    self.text.remove(self.cursor);
                }
            }
            Key::Left => self.cursor = self.cursor.saturating_sub(1),
            Key::Right => self.cursor = (self.cursor + 1).min(self.text.len()),
            Key::Home | Key::Ctrl('a') => self.cursor = 0,
            Key::End | Key::Ctrl('e') => self.cursor = self.text.len(),
            Key::Ctrl('u') => {
                self.text.drain(..self.cursor.min(self.text.len()));
                self.cursor = 0;
            }
            Key::Ctrl('k') => self.text.truncate(self.cursor),
            Key::Ctrl('w') => {
                let left = self.before_cursor();
                let kept = left.trim_end().rfind(' ').map_or(0, |at| at + 1);
                let count =
                    left.chars().count() - left.get(..kept).map_or(0, |l| l.chars().count());
                self.replace_before(count, "");
            }
            Key::Ctrl(_)
            | Key::Enter
            | Key::Esc
            | Key::Tab
            | Key::BackTab
            | Key::Up
            | Key::Down
            | Key::PageUp
            | Key::PageDown => return false,
        }
        true
    }

    /// Draws the line in the first row of `area`, scrolled so that the cursor shows when
    /// `focused`.
    pub(crate) fn draw(&self, pen: &mut Pen<'_>, area: Rect, focused: bool) {
        let room = usize::from(area.width.saturating_sub(1));
        let skip = if focused { self.cursor.saturating_sub(room) } else { 0 };
        let shown: String = self.text.iter().skip(skip).collect();
        let role = if focused { Role::Text } else { Role::Dim };
        pen.put(area.x, area.y, area.width, &shown, role);
        if focused && area.height > 0 {
            let left: String = self.text.iter().skip(skip).take(self.cursor - skip).collect();
            let x = area.x + columns(printable(&left).as_str());
            if x < area.right() {
                pen.shade(Rect { x, y: area.y, width: 1, height: 1 }, Role::Select);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_edit_the_line() {
        for (start, keys, text) in [
            ("xy", vec![Key::Char('a'), Key::Char('b'), Key::Left, Key::Char('c')], "xyacb"),
            ("xy", vec![Key::Backspace, Key::Backspace, Key::Backspace], ""),
            ("xy", vec![Key::Home, Key::Delete], "y"),
            ("sum by (a)", vec![Key::Ctrl('w')], "sum by "),
            ("xy", vec![Key::Ctrl('u'), Key::Backspace, Key::Delete], ""),
            ("xyz", vec![Key::Left, Key::Ctrl('k'), Key::End, Key::Char('!')], "xy!"),
        ] {
            let mut prompt = Prompt::new(start);
            for key in keys {
                assert!(prompt.key(key), "{key:?} edits");
            }
            assert_eq!(prompt.text(), text);
        }
    }

    #[test]
    fn pasted_line_breaks_become_spaces() {
        let mut prompt = Prompt::default();
        prompt.insert("a\nb\r\n");
        assert_eq!(prompt.text(), "a b  ");
    }
}
