//! The encoder: what a terminal must be told so that one picture becomes the next.
//!
//! It sends nothing for an unchanged picture, uses the short codes of the 16 colors, steps over
//! small gaps by printing them again or with one move, keeps colors from one frame to the next, and
//! hands each frame to the terminal in one write.

use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::{Position, Rect, Size};
use ratatui::style::{Color, Modifier};
use std::fmt::Write as _;
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr as _;

/// Frames longer than this are marked as one for the terminal (DEC mode 2026), so that it shows
/// them at once.
const SYNC_BYTES: usize = 1_024;

/// A gap of so many unchanged cells is printed again: that is not longer than a move.
const GAP_MAX: u16 = 4;

/// Attributes that are used, with their codes.
const ATTRIBUTES: [(Modifier, u8); 5] = [
    (Modifier::BOLD, 1),
    (Modifier::DIM, 2),
    (Modifier::ITALIC, 3),
    (Modifier::UNDERLINED, 4),
    (Modifier::REVERSED, 7),
];

/// What a terminal shows and how it writes now.
#[derive(Debug)]
pub(crate) struct Encoder {
    shown: Buffer,
    /// Colors and attributes in force; unknown at first.
    style: Option<(Color, Color, Modifier)>,
    /// Where the terminal's cursor is; unknown at first and after the last column.
    cursor: Option<(u16, u16)>,
}

impl Encoder {
    /// An encoder for a terminal that shows nothing.
    pub(crate) fn new(area: Rect) -> Self {
        Self { shown: Buffer::empty(area), style: None, cursor: None }
    }

    /// Forgets what the terminal shows; answers with what empties it.
    pub(crate) fn clear(&mut self, area: Rect) -> String {
        *self = Self::new(area);
        self.style = Some((Color::Reset, Color::Reset, Modifier::empty()));
        "\x1b[0m\x1b[2J".to_owned()
    }

    /// What changes the terminal's picture to `next`, which has the same size; empty when nothing
    /// changes.
    pub(crate) fn frame(&mut self, next: &Buffer) -> String {
        let mut out = String::new();
        let area = self.shown.area.intersection(next.area);
        for y in area.top()..area.bottom() {
            self.row(next, area, y, &mut out);
        }
        if out.len() > SYNC_BYTES {
            out.insert_str(0, "\x1b[?2026h");
            out.push_str("\x1b[?2026l");
        }
        out
    }

    fn row(&mut self, next: &Buffer, area: Rect, y: u16, out: &mut String) {
        // A cell under the right half of a wide glyph is drawn with the glyph.
        let mut covered = 0u16;
        for x in area.left()..area.right() {
            let Some(cell) = next.cell((x, y)) else { continue };
            let wide = u16::try_from(cell.symbol().width()).unwrap_or(1).max(1);
            if covered > 0 {
                covered -= 1;
                continue;
            }
            covered = wide - 1;
            if self.differs(x, y, cell) {
                self.go(next, x, y, out);
                self.print(cell, out);
                self.keep(x, y, cell);
                let after = x + wide;
                // After the last column a terminal holds the cursor back: its place is unknown.
                self.cursor = (after < area.right()).then_some((after, y));
            }
        }
    }

    fn keep(&mut self, x: u16, y: u16, cell: &Cell) {
        let wide = cell.symbol().width() > 1;
        if let Some(shown) = self.shown.cell_mut((x, y)) {
            shown.clone_from(cell);
        }
        // An empty symbol differs from all that may come there once the wide glyph is gone.
        if wide && let Some(second) = self.shown.cell_mut((x + 1, y)) {
            second.set_symbol("");
        }
    }

    fn differs(&self, x: u16, y: u16, cell: &Cell) -> bool {
        let Some(shown) = self.shown.cell((x, y)) else { return false };
        if shown.symbol() != cell.symbol() {
            return true;
        }
        let seen = |cell: &Cell| {
            let modifier = cell.modifier & known();
            // The ink of a blank is not seen unless it is turned round or underlined.
            let inked = cell.symbol() != " " || modifier.intersects(inking());
            if inked {
                (cell.fg, cell.bg, modifier)
            } else {
                (Color::Reset, cell.bg, Modifier::empty())
            }
        };
        seen(shown) != seen(cell)
    }

    /// Moves to a cell: by printing what lies between when that is short, else by a code.
    fn go(&mut self, next: &Buffer, x: u16, y: u16, out: &mut String) {
        match self.cursor {
            Some((at, row)) if (at, row) == (x, y) => {}
            Some((at, row)) if row == y && at < x && x - at <= GAP_MAX => {
                if self.gap_is_plain(next, at, x, y) {
                    for gap in at..x {
                        if let Some(cell) = next.cell((gap, y)) {
                            out.push_str(cell.symbol());
                        }
                    }
                } else {
                    let _ = write!(out, "\x1b[{}C", x - at);
                }
            }
            Some((at, row)) if row == y && at < x => {
                let _ = write!(out, "\x1b[{}C", x - at);
            }
            Some(_) | None => {
                let _ = write!(out, "\x1b[{};{}H", y + 1, x + 1);
            }
        }
        self.cursor = Some((x, y));
    }

    /// Whether the cells of a gap can be printed with the style in force.
    fn gap_is_plain(&self, next: &Buffer, from: u16, to: u16, y: u16) -> bool {
        (from..to).all(|x| {
            next.cell((x, y)).is_some_and(|cell| {
                cell.symbol().is_ascii()
                    && cell.symbol().len() == 1
                    && self.style == Some((cell.fg, cell.bg, cell.modifier & known()))
            })
        })
    }

    fn print(&mut self, cell: &Cell, out: &mut String) {
        let symbol = if cell.symbol().is_empty() { " " } else { cell.symbol() };
        let modifier = cell.modifier & known();
        // A blank takes the ink in force, so that no code is spent on it.
        let blank = symbol == " " && !modifier.intersects(inking());
        let fits = |(_, paper, now): (Color, Color, Modifier)| {
            paper == cell.bg && !now.intersects(inking())
        };
        if !(blank && self.style.is_some_and(fits)) {
            self.set_style((cell.fg, cell.bg, modifier), out);
        }
        out.push_str(symbol);
    }

    fn set_style(&mut self, wanted: (Color, Color, Modifier), out: &mut String) {
        if self.style == Some(wanted) {
            return;
        }
        let (fg, bg, modifier) = wanted;
        let mut codes: Vec<String> = Vec::new();
        let (was_fg, was_bg, was) = match self.style {
            // An attribute can only be taken away together with all others.
            Some((was_fg, was_bg, was)) if modifier.contains(was) => (was_fg, was_bg, was),
            Some(_) | None => {
                codes.push("0".to_owned());
                (Color::Reset, Color::Reset, Modifier::empty())
            }
        };
        for (attribute, code) in ATTRIBUTES {
            if modifier.contains(attribute) && !was.contains(attribute) {
                codes.push(code.to_string());
            }
        }
        if fg != was_fg {
            codes.push(color_code(fg, 30));
        }
        if bg != was_bg {
            codes.push(color_code(bg, 40));
        }
        let _ =
            write!(out, "\x1b[{}m", if codes == ["0"] { String::new() } else { codes.join(";") });
        self.style = Some(wanted);
    }
}

/// A picture as lines of text with the codes of its styles, without blanks at their ends: for a
/// terminal that scrolls, or with a picture without styles for a file.
pub(crate) fn lines(picture: &Buffer) -> String {
    let bare = (Color::Reset, Color::Reset, Modifier::empty());
    let mut encoder = Encoder::new(picture.area);
    encoder.style = Some(bare);
    let mut out = String::new();
    for y in picture.area.top()..picture.area.bottom() {
        let columns = picture.area.left()..picture.area.right();
        let is_blank = |x: &u16| picture.cell((*x, y)).is_none_or(|cell| cell.symbol() == " ");
        let end =
            columns.clone().rev().find(|x| !is_blank(x)).map_or(picture.area.left(), |x| x + 1);
        let mut covered = 0;
        for x in columns.start..end {
            let Some(cell) = picture.cell((x, y)).filter(|_| covered == 0) else {
                covered -= 1;
                continue;
            };
            covered = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
            encoder.print(cell, &mut out);
        }
        encoder.set_style(bare, &mut out);
        out.push('\n');
    }
    out
}

/// All attributes that are used.
fn known() -> Modifier {
    ATTRIBUTES.iter().fold(Modifier::empty(), |all, (one, _)| all | *one)
}

/// Attributes that are seen on a blank.
fn inking() -> Modifier {
    Modifier::REVERSED | Modifier::UNDERLINED
}

/// The code of a color; `base` is 30 for ink and 40 for paper.
fn color_code(color: Color, base: u8) -> String {
    let dark = |place: u8| (base + place).to_string();
    let light = |place: u8| (base + 60 + place).to_string();
    match color {
        Color::Reset => dark(9),
        Color::Black => dark(0),
        Color::Red => dark(1),
        Color::Green => dark(2),
        Color::Yellow => dark(3),
        Color::Blue => dark(4),
        Color::Magenta => dark(5),
        Color::Cyan => dark(6),
        Color::Gray => dark(7),
        Color::DarkGray => light(0),
        Color::LightRed => light(1),
        Color::LightGreen => light(2),
        Color::LightYellow => light(3),
        Color::LightBlue => light(4),
        Color::LightMagenta => light(5),
        Color::LightCyan => light(6),
        Color::White => light(7),
        Color::Rgb(r, g, b) => format!("{};2;{r};{g};{b}", base + 8),
        Color::Indexed(place) => format!("{};5;{place}", base + 8),
    }
}

/// A terminal behind a writer.
#[derive(Debug)]
pub(crate) struct LeanBackend<W: Write> {
    out: W,
    encoder: Encoder,
    next: Buffer,
    pending: String,
    size: Size,
    /// Bytes written so far.
    pub(crate) written: u64,
}

impl<W: Write> LeanBackend<W> {
    /// A backend of this size.
    pub(crate) fn new(out: W, size: Size) -> Self {
        let area = Rect::new(0, 0, size.width, size.height);
        let encoder = Encoder::new(area);
        let next = Buffer::empty(area);
        Self { out, encoder, next, pending: String::new(), size, written: 0 }
    }

    /// Takes the size that the terminal has now; the picture is drawn anew.
    pub(crate) fn set_size(&mut self, size: Size) {
        self.size = size;
        self.repaint();
    }

    /// Forgets what the terminal shows.
    pub(crate) fn repaint(&mut self) {
        let area = Rect::new(0, 0, self.size.width, self.size.height);
        self.next = Buffer::empty(area);
        self.pending = self.encoder.clear(area);
    }

    /// Sends what is no picture: a copy to the clipboard, a bell.
    pub(crate) fn send(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write> Backend for LeanBackend<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        for (x, y, cell) in content {
            if let Some(next) = self.next.cell_mut((x, y)) {
                next.clone_from(cell);
            }
        }
        Ok(())
    }

    // The cursor is hidden while the screens are shown: prompts draw their own.
    fn hide_cursor(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, _: P) -> io::Result<()> {
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.repaint();
        Ok(())
    }

    fn clear_region(&mut self, _: ClearType) -> io::Result<()> {
        self.repaint();
        Ok(())
    }

    fn size(&self) -> io::Result<Size> {
        Ok(self.size)
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size, pixels: Size::new(0, 0) })
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut bytes = std::mem::take(&mut self.pending);
        bytes.push_str(&self.encoder.frame(&self.next));
        if bytes.is_empty() {
            return Ok(());
        }
        self.written += bytes.len() as u64;
        self.out.write_all(bytes.as_bytes())?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ratatui::style::Style;

    const WIDTH: u16 = 24;
    const HEIGHT: u16 = 6;

    fn picture() -> impl Strategy<Value = Buffer> {
        let symbols = prop::sample::select(vec!["a", "b", " ", " ", "⠿", "█", "日", "é", "-"]);
        let colors = prop::sample::select(vec![
            Color::Reset,
            Color::Red,
            Color::LightBlue,
            Color::DarkGray,
            Color::Indexed(200),
            Color::Rgb(1, 2, 3),
        ]);
        let modifiers = prop::sample::select(vec![
            Modifier::empty(),
            Modifier::BOLD,
            Modifier::REVERSED,
            Modifier::UNDERLINED | Modifier::BOLD,
        ]);
        let run = (0..WIDTH, 0..HEIGHT, 1..9usize, symbols, colors.clone(), colors, modifiers);
        prop::collection::vec(run, 0..40).prop_map(|runs| {
            let mut buf = Buffer::empty(Rect::new(0, 0, WIDTH, HEIGHT));
            for (x, y, count, symbol, fg, bg, modifier) in runs {
                let style = Style::new().fg(fg).bg(bg).add_modifier(modifier);
                let room = usize::from(WIDTH - x);
                buf.set_stringn(x, y, symbol.repeat(count), room, style);
            }
            buf
        })
    }

    fn vt_color(color: Color) -> vt100::Color {
        match color {
            Color::Reset => vt100::Color::Default,
            Color::Red => vt100::Color::Idx(1),
            Color::LightBlue => vt100::Color::Idx(12),
            Color::DarkGray => vt100::Color::Idx(8),
            Color::Indexed(place) => vt100::Color::Idx(place),
            Color::Rgb(r, g, b) => vt100::Color::Rgb(r, g, b),
            other => panic!("{other:?} is not drawn here"),
        }
    }

    #[track_caller]
    fn check(terminal: &vt100::Parser, picture: &Buffer) {
        for y in 0..HEIGHT {
            let mut covered = 0;
            for x in 0..WIDTH {
                let cell = &picture[(x, y)];
                if covered > 0 {
                    covered -= 1;
                    continue;
                }
                covered = cell.symbol().width().saturating_sub(1);
                let shown = terminal.screen().cell(y, x).expect("inside");
                let text = if shown.has_contents() { shown.contents() } else { " " };
                assert_eq!(text, cell.symbol(), "at {x} {y}");
                assert_eq!(shown.bgcolor(), vt_color(cell.bg), "paper at {x} {y}");
                assert_eq!(shown.inverse(), cell.modifier.contains(Modifier::REVERSED));
                assert_eq!(shown.underline(), cell.modifier.contains(Modifier::UNDERLINED));
                if cell.symbol() != " " || shown.inverse() || shown.underline() {
                    assert_eq!(shown.fgcolor(), vt_color(cell.fg), "ink at {x} {y}");
                    assert_eq!(shown.bold(), cell.modifier.contains(Modifier::BOLD));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_terminal_shows_the_picture_after_any_picture(pictures in prop::collection::vec(picture(), 1..5)) {
            let mut terminal = vt100::Parser::new(HEIGHT, WIDTH, 0);
            let mut encoder = Encoder::new(Rect::new(0, 0, WIDTH, HEIGHT));
            terminal.process(encoder.clear(Rect::new(0, 0, WIDTH, HEIGHT)).as_bytes());
            for picture in &pictures {
                terminal.process(encoder.frame(picture).as_bytes());
                check(&terminal, picture);
                prop_assert_eq!(encoder.frame(picture), "", "an unchanged picture costs nothing");
            }
        }
    }

    #[test]
    fn a_changed_minute_costs_few_bytes() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 80, 24));
        buf.set_string(70, 0, "03:12", Style::new());
        let mut encoder = Encoder::new(buf.area);
        encoder.frame(&buf);
        buf.set_string(70, 0, "03:13", Style::new());
        assert_eq!(encoder.frame(&buf), "\x1b[1;75H3");
    }
}
