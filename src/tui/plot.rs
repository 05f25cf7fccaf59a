//! One chart as text, as `watchbell query --plot` prints it.

use super::data::lines_of;
use super::fmt::{self, Unit};
use super::options::{CharsetChoice, ColorChoice};
use super::screens::{self, explore};
use super::theme::{Role, Theme};
use super::widgets::chart::{Chart, LINES_MAX, letter};
use super::widgets::table::Table;
use super::widgets::{Charset, Look, Pen, cells, cut};
use super::{backend, term};
use crate::model::Timestamp;
use crate::wire::MatrixSeries;
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::io::{self, IsTerminal as _};

/// Columns where there is no terminal.
const WIDTH: u16 = 80;
/// Rows of the chart with its axes.
const HEIGHT: u16 = 16;

/// Series over time, to be printed once.
#[derive(Clone, Debug)]
pub struct Plot<'a> {
    /// What was asked; its metric names tell the unit.
    pub expr: &'a str,
    /// The series.
    pub series: &'a [MatrixSeries],
    /// The left edge.
    pub from: Timestamp,
    /// The right edge.
    pub to: Timestamp,
    /// Samples further apart are not joined.
    pub gap_ms: i64,
    /// Columns.
    pub width: u16,
    /// What is drawn with.
    pub charset: CharsetChoice,
    /// Whether color is used; `Auto` is never where standard output is no terminal.
    pub color: ColorChoice,
    /// Times in UTC instead of the host's zone.
    pub utc: bool,
}

/// The columns of the terminal at standard output.
pub fn width() -> u16 {
    let size = || crossterm::terminal::size().ok().map(|(width, _)| width);
    Some(()).filter(|()| io::stdout().is_terminal()).and_then(|()| size()).unwrap_or(WIDTH).max(20)
}

impl Plot<'_> {
    /// The chart, and below it a row for each series that has a mark in it.
    pub fn text(&self) -> String {
        let color = match self.color {
            ColorChoice::Auto if !io::stdout().is_terminal() => false,
            choice => term::color(choice),
        };
        let zone = if self.utc { TimeZone::UTC } else { TimeZone::system() };
        let charset = term::charset(self.charset);
        let look = Look { theme: Theme { color }, charset, zone, now: self.to };
        let mut lines = lines_of(self.series);
        let shown = cells(lines.len().min(LINES_MAX));
        let area = Rect::new(0, 0, self.width, 1 + HEIGHT + 1 + shown);
        let mut buf = Buffer::empty(area);
        let mut pen = Pen::new(&mut buf, &look);
        self.draw_title(&mut pen, &look);
        let unit = Unit::of_expr(self.expr);
        let table = Table {
            columns: &explore::COLUMNS[..6],
            count: usize::from(shown),
            selected: 0,
            focused: false,
        };
        let below = Rect { y: 1 + HEIGHT, height: shown + 1, ..area };
        table.draw(&mut pen, below, |place| {
            let mut fields = explore::fields(&lines, place, unit);
            if let Some((mark, _)) = fields.first_mut() {
                *mark = letter(place).to_string();
            }
            fields
        });
        // The table names them; beside the chart there is room for the values.
        for line in &mut lines {
            line.label.clear();
        }
        let (from, to) = (self.from, self.to.max(self.from.plus_millis(1)));
        let gap_ms = self.gap_ms;
        let chart = Chart { lines: &lines, from, to, gap_ms, unit, limit: None, event: None };
        chart.draw(&mut pen, Rect { y: 1, height: HEIGHT, ..area });
        if charset == Charset::Ascii {
            screens::to_ascii(&mut buf);
        }
        backend::lines(&buf)
    }

    fn draw_title(&self, pen: &mut Pen<'_>, look: &Look) {
        let expr = self.expr.split_whitespace().collect::<Vec<_>>().join(" ");
        let moment = |ts| fmt::moment(ts, self.to, &look.zone);
        let zone = fmt::zone_name(self.to, &look.zone);
        let times = format!("{} to {} {zone}", moment(self.from), moment(self.to));
        let room = usize::from(self.width).saturating_sub(times.len() + 2);
        pen.put(0, 0, self.width, &cut(&expr, room), Role::Text);
        pen.put_right(self.width, 0, self.width, &times, Role::Dim);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Labels;

    const START: i64 = 1_700_000_000_000;

    fn series(name: &str, values: impl Iterator<Item = (i64, f64)>) -> MatrixSeries {
        let at = |ms| Timestamp::from_millis(START + ms);
        let metric = Labels::from_pairs([("__name__", "m_bytes"), ("x", name)]);
        MatrixSeries { metric, values: values.map(|(ms, value)| (at(ms), value)).collect() }
    }

    fn text(series: &[MatrixSeries], charset: CharsetChoice, width: u16) -> String {
        let (from, to) = (Timestamp::from_millis(START), Timestamp::from_millis(START + 3_600_000));
        let color = ColorChoice::Never;
        let expr = "m_bytes";
        Plot { expr, series, from, to, gap_ms: 45_000, width, charset, color, utc: true }.text()
    }

    #[test]
    fn a_chart_has_title_axes_lines_and_a_legend() {
        let up = series("a", (0..120).map(|n| (n * 30_000, n as f64 * 1024.0 * 1024.0)));
        let flat = series("b\u{1b}[31m", (0..120).map(|n| (n * 30_000, 2048.0)));
        let text = text(&[up, flat], CharsetChoice::Ascii, 80);
        assert!(text.is_ascii() && !text.contains('\u{1b}'), "{text}");
        assert!(text.starts_with("m_bytes "), "{text}");
        assert!(text.contains("22:13 to 23:13 UTC\n"), "{text}");
        assert!(text.contains("128 MiB |"), "the axis has prefixes of its unit: {text}");
        assert!(text.contains("22:30"), "{text}");
        assert!(text.contains("  a a ") && text.contains("  b b\\x1b[31m"), "{text}");
        assert!(text.contains("119 MiB"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        assert_eq!(text.lines().count(), 20, "{text}");
    }

    #[test]
    fn a_missing_stretch_is_a_gap() {
        let values = (0..120).filter(|n| !(40..80).contains(n)).map(|n| (n * 30_000, 5.0));
        let text = text(&[series("a", values)], CharsetChoice::Braille, 80);
        let row = text.lines().find(|line| line.contains('\u{2809}') || line.contains('\u{2824}'));
        let row = row.or_else(|| text.lines().find(|line| line.chars().any(|c| c >= '\u{2801}')));
        let row = row.unwrap_or_else(|| panic!("no line: {text}"));
        let drawn: String = row.chars().map(|c| if c >= '\u{2801}' { '#' } else { ' ' }).collect();
        let pieces = drawn.split_whitespace().count();
        assert_eq!(pieces, 2, "{text}");
    }

    #[test]
    fn nothing_and_one_sample_are_drawn_too() {
        for width in [1, 20, 80, 300] {
            let _none = text(&[], CharsetChoice::Braille, width);
            let _one =
                text(&[series("a", [(0, f64::NAN)].into_iter())], CharsetChoice::Block, width);
        }
    }
}
