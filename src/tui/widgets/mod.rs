//! Pieces of screens: text, rules, tables, charts, sparks, prompts.
//!
//! Everything is written through `Pen`, which makes text from outside printable and keeps within
//! its rectangle. Start reading at `Pen`.
//!
//! Never: data fetching, the time of day, state that outlives a frame.

pub(crate) mod axis;
pub(crate) mod chart;
pub(crate) mod prompt;
pub(crate) mod spark;
pub(crate) mod table;

use super::theme::{Role, Theme};
use crate::model::{Timestamp, printable};
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthChar as _;

/// What charts are drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charset {
    /// Braille dots.
    Braille,
    /// Eighths of blocks.
    Block,
    /// Bytes below 0x80.
    Ascii,
}

/// What drawing needs to know besides the data.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// Colors.
    pub(crate) theme: Theme,
    /// Glyphs.
    pub(crate) charset: Charset,
    /// The zone of all absolute times.
    pub(crate) zone: TimeZone,
    /// The server's time of day.
    pub(crate) now: Timestamp,
}

/// Writes into a buffer in roles.
#[derive(Debug)]
pub(crate) struct Pen<'a> {
    buf: &'a mut Buffer,
    /// What drawing needs to know besides the data.
    pub(crate) look: &'a Look,
}

impl<'a> Pen<'a> {
    /// A pen for `buf`.
    pub(crate) fn new(buf: &'a mut Buffer, look: &'a Look) -> Self {
        Self { buf, look }
    }

    /// Writes `text` at `x`, `y`, at most `width` columns; cut text ends in `…`. Answers with the
    /// column after it.
    pub(crate) fn put(&mut self, x: u16, y: u16, width: u16, text: &str, role: Role) -> u16 {
        let area = self.buf.area;
        if y >= area.bottom() || x >= area.right() || width == 0 {
            return x;
        }
        let width = width.min(area.right() - x);
        let text = cut(printable(text).as_str(), usize::from(width));
        let style = self.look.theme.style(role);
        self.buf.set_stringn(x, y, text, usize::from(width), style).0
    }

    /// Writes `text` so that it ends before `right`.
    pub(crate) fn put_right(&mut self, right: u16, y: u16, width: u16, text: &str, role: Role) {
        let text = cut(printable(text).as_str(), usize::from(width));
        let start = right.saturating_sub(columns(&text));
        self.put(start, y, width, &text, role);
    }

    /// Writes pieces one after the other on one row of `area`.
    pub(crate) fn line(&mut self, area: Rect, row: u16, pieces: &[(&str, Role)]) {
        if row >= area.height {
            return;
        }
        let mut x = area.x;
        for (text, role) in pieces {
            x = self.put(x, area.y + row, area.right().saturating_sub(x), text, *role);
        }
    }

    /// A row of text that wraps at spaces; answers with the number of rows used.
    pub(crate) fn paragraph(&mut self, area: Rect, text: &str, role: Role) -> u16 {
        let mut used = 0;
        for line in wrap(printable(text).as_str(), usize::from(area.width)) {
            if used >= area.height {
                break;
            }
            self.put(area.x, area.y + used, area.width, &line, role);
            used += 1;
        }
        used
    }

    /// One glyph.
    pub(crate) fn glyph(&mut self, x: u16, y: u16, glyph: char, role: Role) {
        let style = self.look.theme.style(role);
        if let Some(cell) = self.buf.cell_mut((x, y)) {
            cell.set_char(glyph).set_style(style);
        }
    }

    /// Lays the style of `role` over what stands in `area`.
    pub(crate) fn shade(&mut self, area: Rect, role: Role) {
        let style = self.look.theme.style(role);
        self.buf.set_style(area, style);
    }

    /// Empties `area`.
    pub(crate) fn clear(&mut self, area: Rect) {
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                if let Some(cell) = self.buf.cell_mut((x, y)) {
                    cell.reset();
                }
            }
        }
    }

    /// The rule between panes: ` - title ------- right ---`.
    pub(crate) fn rule(&mut self, area: Rect, row: u16, title: &str, right: &str) {
        if row >= area.height {
            return;
        }
        let y = area.y + row;
        for x in area.left()..area.right() {
            self.glyph(x, y, '-', Role::Rule);
        }
        self.glyph(area.x, y, ' ', Role::Rule);
        let room = area.width.saturating_sub(5);
        let title = format!(" {title} ");
        let end = self.put(area.x + 2, y, room, &title, Role::Title);
        if right.is_empty() {
            return;
        }
        let right = format!(" {right} ");
        let right_end = area.right().saturating_sub(3);
        let width = columns(&right);
        if right_end >= end + width {
            self.put_right(right_end, y, width, &right, Role::Dim);
        }
    }
}

/// The columns that printable `text` takes.
pub(crate) fn columns(text: &str) -> u16 {
    u16::try_from(unicode_width::UnicodeWidthStr::width(text)).unwrap_or(u16::MAX)
}

/// Printable `text` in at most `width` columns, `…` at its end when something was cut.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if unicode_width::UnicodeWidthStr::width(text) <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        out.push(c);
    }
    if width > 0 {
        out.push('…');
    }
    out
}

/// `text` in lines of at most `width` columns, broken at spaces; a word that is longer than a line
/// is broken where the line ends.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let wide = |text: &str| unicode_width::UnicodeWidthStr::width(text);
    for word in text.split(' ') {
        if !line.is_empty() && wide(&line) + 1 + wide(word) > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        let mut rest = word;
        while line.is_empty() && wide(rest) > width {
            let (head, tail) = rest.split_at(prefix_bytes(rest, width));
            if tail.is_empty() {
                break;
            }
            lines.push(head.to_owned());
            rest = tail;
        }
        line.push_str(rest);
    }
    lines.push(line);
    lines
}

/// The bytes of the characters that fit `width` columns, at least one character.
fn prefix_bytes(text: &str, width: usize) -> usize {
    let mut used = 0;
    let mut ends = text.char_indices().skip_while(|(_, c)| {
        used += c.width().unwrap_or(0);
        used <= width
    });
    let first = text.chars().next().map_or(0, char::len_utf8);
    ends.next().map_or(text.len(), |(end, _)| end.max(first))
}

/// Rows of a list that are shown: whole pages, so that moving within one redraws two rows.
pub(crate) fn page(selected: usize, count: usize, height: u16) -> std::ops::Range<usize> {
    let height = usize::from(height);
    if height == 0 {
        return 0..0;
    }
    let top = (selected / height * height).min(count.saturating_sub(height));
    top..count.min(top + height)
}

/// A number of rows or columns from a length.
pub(crate) fn cells(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// `area` without its first `rows`.
pub(crate) fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}

/// The first `rows` of `area`.
pub(crate) fn top(area: Rect, rows: u16) -> Rect {
    Rect { height: area.height.min(rows), ..area }
}

/// `area` without its first `columns`.
pub(crate) fn indent(area: Rect, columns: u16) -> Rect {
    let columns = columns.min(area.width);
    Rect { x: area.x + columns, width: area.width - columns, ..area }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_text_says_so_and_wide_glyphs_count_twice() {
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 0), "");
    }

    #[test]
    fn a_page_holds_the_selected_row() {
        for count in 0..40 {
            for height in 0..12 {
                for selected in 0..count {
                    let page = page(selected, count, height);
                    assert!(height == 0 || page.contains(&selected));
                    assert!(page.len() <= usize::from(height) && page.end <= count);
                }
            }
        }
    }

    #[test]
    fn text_breaks_at_spaces() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("", 8), [""]);
        assert_eq!(wrap("a http://host/path b", 6), ["a", "http:/", "/host/", "path b"]);
        assert_eq!(wrap("日本語", 1), ["日", "本", "語"]);
        assert_eq!(wrap("abcdef", 3), ["abc", "def"]);
    }
}
