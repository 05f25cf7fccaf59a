//! The time chart: lines through samples, gaps where there are none, a limit, labels at the end.
//!
//! Every sample in the window is drawn and joined to the one before it when the two are no further
//! apart than `gap_ms`, so a spike of one sample is seen at every zoom and a gap is never bridged.
//! The window belongs to the caller and does not slide with the samples: a new one changes only
//! cells to the right of the one before.

use super::axis::{self, ValueAxis};
use super::{Charset, Pen, cells, columns};
use crate::model::Timestamp;
use crate::tui::fmt::{self, Unit};
use crate::tui::theme::Role;
use ratatui::layout::Rect;

/// Lines with a color and a label of their own; the others are one gray mass.
pub(crate) const LINES_MAX: usize = 8;

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// What stands at its end.
    pub(crate) label: String,
    /// Instants and values, in order of time.
    pub(crate) points: Vec<(Timestamp, f64)>,
}

/// A horizontal line that matters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Limit {
    /// Where it is.
    pub(crate) value: f64,
    /// What stands at its end, `> 90%`.
    pub(crate) text: String,
}

/// A chart.
#[derive(Clone, Debug)]
pub(crate) struct Chart<'a> {
    /// The lines; the first `LINES_MAX` have labels.
    pub(crate) lines: &'a [Line],
    /// The left edge.
    pub(crate) from: Timestamp,
    /// The right edge.
    pub(crate) to: Timestamp,
    /// Samples further apart are not joined.
    pub(crate) gap_ms: i64,
    /// Of the values.
    pub(crate) unit: Unit,
    /// A line that matters.
    pub(crate) limit: Option<Limit>,
    /// An instant that matters, and what happened then.
    pub(crate) event: Option<(Timestamp, String)>,
}

/// Where the parts of a chart lie.
struct Layout {
    /// The cells of the lines.
    plot: Rect,
    /// The column of end labels and how wide it is.
    gutter: u16,
    gutter_width: u16,
    axis: ValueAxis,
    charset: Charset,
}

impl Layout {
    fn dots_wide(&self) -> usize {
        let per_cell = if self.charset == Charset::Braille { 2 } else { 1 };
        usize::from(self.plot.width) * per_cell
    }

    fn dots_high(&self) -> usize {
        usize::from(self.plot.height) * 4
    }

    /// The dot row of a value, from the top.
    fn row(&self, value: f64) -> usize {
        let share = (value - self.axis.low) / (self.axis.high - self.axis.low);
        let high = self.dots_high().saturating_sub(1);
        high - fmt::whole((share * high as f64).round()).min(high)
    }

    fn cell_row(&self, value: f64) -> u16 {
        self.plot.y + cells(self.row(value) / 4)
    }
}

/// One cell of the plot: its dots and whose they are.
#[derive(Clone, Copy, Debug, Default)]
struct Dots {
    bits: u8,
    line: Option<usize>,
}

impl Chart<'_> {
    /// Draws the chart into `area`; needs 12 by 3 cells, and draws nothing in less.
    pub(crate) fn draw(&self, pen: &mut Pen<'_>, area: Rect) {
        if area.width < 12 || area.height < 3 || self.to <= self.from {
            return;
        }
        let letters = !pen.look.theme.color && self.lines.len() > 1;
        let layout = self.layout(pen.look.charset, area, letters);
        self.draw_axes(pen, area, &layout);
        self.draw_limit(pen, &layout);
        self.draw_event(pen, &layout);
        if layout.charset == Charset::Block && self.lines.len() == 1 {
            self.draw_bars(pen, &layout);
        } else {
            self.draw_lines(pen, &layout, letters);
        }
        self.draw_end_labels(pen, &layout, letters);
    }

    fn layout(&self, charset: Charset, area: Rect, letters: bool) -> Layout {
        let axis_rows = if area.height >= 7 { 2 } else { 1 };
        let height = area.height - axis_rows;
        let axis = self.value_axis(usize::from(height));
        let labels = axis.ticks.iter().map(|tick| columns(&self.unit.text(*tick))).max();
        let left = labels.unwrap_or(0).min(area.width / 3) + 2;
        let wanted = self.end_labels().iter().map(|(_, _, text)| columns(text) + 1).max();
        let limit = self.limit.as_ref().map_or(0, |limit| columns(&limit.text) + 1);
        let wanted = wanted.unwrap_or(0) + if letters { 2 } else { 0 };
        let gutter_width = if area.width < 40 { 0 } else { wanted.max(limit) };
        let gutter_width = gutter_width.min(area.width / 3);
        let width = area.width - left - gutter_width;
        let plot = Rect { x: area.x + left, y: area.y, width, height };
        Layout { plot, gutter: plot.right(), gutter_width, axis, charset }
    }

    fn value_axis(&self, rows: usize) -> ValueAxis {
        let values = || self.lines.iter().flat_map(|line| self.shown(line)).map(|(_, value)| value);
        let limit = self.limit.iter().map(|limit| limit.value).filter(|value| value.is_finite());
        let low = values().chain(limit.clone()).fold(f64::INFINITY, f64::min);
        let high = values().chain(limit).fold(f64::NEG_INFINITY, f64::max);
        ValueAxis::new(low, high, rows / 2 + 1, self.unit)
    }

    /// The finite samples of the window.
    fn shown<'b>(&self, line: &'b Line) -> impl Iterator<Item = (Timestamp, f64)> + use<'b> {
        let (from, to) = (self.from, self.to);
        let inside =
            move |(ts, value): &&(Timestamp, f64)| *ts >= from && *ts <= to && value.is_finite();
        line.points.iter().filter(inside).copied()
    }

    fn draw_axes(&self, pen: &mut Pen<'_>, area: Rect, layout: &Layout) {
        let plot = layout.plot;
        let line = plot.x - 1;
        for y in plot.top()..plot.bottom() {
            pen.glyph(line, y, '|', Role::Rule);
        }
        let mut taken = None;
        for tick in &layout.axis.ticks {
            let y = layout.cell_row(*tick);
            if taken.replace(y) != Some(y) {
                let room = line.saturating_sub(area.x);
                pen.put_right(line.saturating_sub(1), y, room, &self.unit.text(*tick), Role::Dim);
            }
        }
        let with_line = area.bottom() > plot.bottom() + 1;
        if with_line {
            pen.glyph(line, plot.bottom(), '+', Role::Rule);
            for x in plot.left()..plot.right() {
                pen.glyph(x, plot.bottom(), '-', Role::Rule);
            }
        }
        self.draw_times(pen, area, layout, with_line);
    }

    fn draw_times(&self, pen: &mut Pen<'_>, area: Rect, layout: &Layout, with_line: bool) {
        let plot = layout.plot;
        let room = usize::from(plot.width / 9).max(1);
        let mut free_from = area.x;
        for (ts, text) in axis::time_labels(self.from, self.to, room, &pen.look.zone) {
            let x = plot.x + cells(self.column(ts, usize::from(plot.width)));
            if with_line {
                pen.glyph(x, plot.bottom(), '+', Role::Rule);
            }
            let half = columns(&text) / 2;
            let start = x.saturating_sub(half).max(area.x);
            if start >= free_from && start + columns(&text) <= area.right() {
                free_from = pen.put(start, area.bottom() - 1, 12, &text, Role::Dim) + 1;
            }
        }
    }

    /// The column of an instant when the window is `wide` columns.
    fn column(&self, ts: Timestamp, wide: usize) -> usize {
        let span = self.to.millis_since(self.from) as f64;
        let share = ts.millis_since(self.from) as f64 / span;
        fmt::whole(share * wide as f64).min(wide.saturating_sub(1))
    }

    fn draw_limit(&self, pen: &mut Pen<'_>, layout: &Layout) {
        let Some(limit) = self.limit.as_ref().filter(|limit| limit.value.is_finite()) else {
            return;
        };
        let y = layout.cell_row(limit.value);
        for x in (layout.plot.left()..layout.plot.right()).step_by(2) {
            pen.glyph(x, y, '-', Role::Limit);
        }
        if layout.gutter_width > 0 {
            let width = layout.gutter_width - 1;
            pen.put(layout.gutter + 1, y, width, &limit.text, Role::Limit);
        }
    }

    fn draw_event(&self, pen: &mut Pen<'_>, layout: &Layout) {
        let Some((ts, text)) = &self.event else { return };
        if *ts < self.from || *ts > self.to {
            return;
        }
        let plot = layout.plot;
        let x = plot.x + cells(self.column(*ts, usize::from(plot.width)));
        for y in plot.top()..plot.bottom() {
            pen.glyph(x, y, '!', Role::Dim);
        }
        let width = columns(text);
        let y = plot.bottom() - 1;
        if x + 2 + width < plot.right() {
            pen.put(x + 2, y, width, text, Role::Dim);
        } else if x > plot.x + width + 1 {
            pen.put_right(x - 1, y, width, text, Role::Dim);
        }
    }

    fn draw_lines(&self, pen: &mut Pen<'_>, layout: &Layout, letters: bool) {
        let width = usize::from(layout.plot.width);
        let mut grid = vec![Dots::default(); width * usize::from(layout.plot.height)];
        // The first lines are drawn last, so that they stay visible.
        for (place, line) in self.lines.iter().enumerate().rev() {
            self.trace(line, layout, &mut |column, row| {
                let (cell, bit) = place_of(column, row, layout.charset, width);
                if let Some(dots) = grid.get_mut(cell) {
                    dots.bits |= bit;
                    dots.line = Some(place);
                }
            });
        }
        for (place, dots) in grid.iter().enumerate() {
            let Some(line) = dots.line else { continue };
            let (x, y) = (place % width, place / width);
            let mut glyph = glyph_of(dots.bits, layout.charset);
            let role = if line < LINES_MAX { Role::Series(line) } else { Role::Dim };
            if letters && line < LINES_MAX && x % 8 == line {
                glyph = letter(line);
            }
            pen.glyph(layout.plot.x + cells(x), layout.plot.y + cells(y), glyph, role);
        }
    }

    /// Calls `set` with the dots of a line: each sample, and what joins it to the one before.
    fn trace(&self, line: &Line, layout: &Layout, set: &mut impl FnMut(usize, usize)) {
        let mut before: Option<(Timestamp, usize, usize)> = None;
        for (ts, value) in &line.points {
            if *ts < self.from || *ts > self.to {
                continue;
            }
            if !value.is_finite() {
                before = None;
                continue;
            }
            let (column, row) = (self.column(*ts, layout.dots_wide()), layout.row(*value));
            match before {
                Some((then, from_column, from_row)) if ts.millis_since(then) <= self.gap_ms => {
                    join((from_column, from_row), (column, row), set);
                }
                Some(_) | None => set(column, row),
            }
            before = Some((*ts, column, row));
        }
    }

    /// One line in the block set: a column of eighths from the bottom for each cell.
    fn draw_bars(&self, pen: &mut Pen<'_>, layout: &Layout) {
        const EIGHTHS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let plot = layout.plot;
        let mut tops: Vec<Option<usize>> = vec![None; usize::from(plot.width)];
        for line in self.lines {
            self.trace(line, layout, &mut |column, row| {
                if let Some(top) = tops.get_mut(column) {
                    *top = Some(top.map_or(row, |old| old.min(row)));
                }
            });
        }
        for (x, top) in (plot.left()..plot.right()).zip(tops) {
            let Some(top) = top else { continue };
            let eighths = (layout.dots_high() - top) * 2;
            for (place, y) in (plot.top()..plot.bottom()).rev().enumerate() {
                let level = eighths.saturating_sub(place * 8).min(8);
                if let Some(glyph) = level.checked_sub(1).and_then(|level| EIGHTHS.get(level)) {
                    pen.glyph(x, y, *glyph, Role::Series(0));
                }
            }
        }
    }

    /// The lines with labels: their place, last value and text.
    fn end_labels(&self) -> Vec<(usize, f64, String)> {
        let alone = self.lines.len() == 1;
        let labelled = self.lines.iter().take(LINES_MAX).enumerate();
        let labels = labelled.filter_map(|(place, line)| {
            let (_, value) = self.shown(line).last()?;
            let value_text = self.unit.text(value);
            let text = match (alone, line.label.is_empty()) {
                (true, _) | (_, true) => value_text,
                (false, false) => format!("{} {value_text}", line.label),
            };
            Some((place, value, text))
        });
        labels.collect()
    }

    fn draw_end_labels(&self, pen: &mut Pen<'_>, layout: &Layout, letters: bool) {
        if layout.gutter_width < 2 {
            return;
        }
        let mut labels: Vec<_> = self
            .end_labels()
            .into_iter()
            .map(|(place, value, text)| (layout.cell_row(value), place, text))
            .collect();
        labels.sort();
        let limit = self.limit.as_ref().map(|limit| layout.cell_row(limit.value));
        let rows = spread(labels.iter().map(|(row, _, _)| *row), layout.plot, limit);
        for ((_, place, text), y) in labels.into_iter().zip(rows) {
            let text = if letters { format!("{} {text}", letter(place)) } else { text };
            let width = layout.gutter_width - 1;
            pen.put(layout.gutter + 1, y, width, &text, Role::Series(place));
        }
        if self.lines.len() > LINES_MAX {
            let text = format!("+{} more", self.lines.len() - LINES_MAX);
            pen.put(layout.plot.x + 1, layout.plot.y, layout.plot.width, &text, Role::Dim);
        }
    }
}

/// Rows for labels that want `wanted` (rising): each on its own, within the plot, not on the
/// limit's label.
fn spread(wanted: impl Iterator<Item = u16>, plot: Rect, limit: Option<u16>) -> Vec<u16> {
    let mut rows: Vec<u16> = Vec::new();
    for want in wanted {
        let mut row = rows.last().map_or(want, |last| want.max(last + 1));
        if Some(row) == limit {
            let above = row.checked_sub(1).filter(|above| *above >= plot.y);
            let free = above.filter(|above| rows.last().is_none_or(|last| last < above));
            row = free.unwrap_or(row + 1);
        }
        rows.push(row);
    }
    let mut floor = plot.bottom();
    for row in rows.iter_mut().rev() {
        if *row >= floor {
            *row = floor.saturating_sub(1);
        }
        if Some(*row) == limit && *row > plot.y {
            *row -= 1;
        }
        floor = *row;
    }
    rows
}

/// What marks a line where there is no color.
pub(crate) fn letter(place: usize) -> char {
    u8::try_from(place).map_or('?', |place| char::from(b'a'.saturating_add(place)))
}

/// The dots from one sample to the next, without the first, which is already there.
fn join(from: (usize, usize), to: (usize, usize), set: &mut impl FnMut(usize, usize)) {
    let wide = to.0.saturating_sub(from.0);
    if wide == 0 {
        for row in from.1.min(to.1)..=from.1.max(to.1) {
            set(to.0, row);
        }
        return;
    }
    let at = |step: usize| {
        let share = step as f64 / wide as f64;
        fmt::whole((from.1 as f64 + (to.1 as f64 - from.1 as f64) * share).round())
    };
    for step in 1..=wide {
        let (before, row) = (at(step - 1), at(step));
        let rows = match before.cmp(&row) {
            std::cmp::Ordering::Less => before + 1..=row,
            std::cmp::Ordering::Equal => row..=row,
            std::cmp::Ordering::Greater => row..=before - 1,
        };
        for row in rows {
            set(from.0 + step, row);
        }
    }
}

/// The cell of a dot, and its bit there.
fn place_of(column: usize, row: usize, charset: Charset, width: usize) -> (usize, u8) {
    // Unicode, braille patterns: the bits of the left and of the right column, from the top.
    const LEFT: [u8; 4] = [0x01, 0x02, 0x04, 0x40];
    const RIGHT: [u8; 4] = [0x08, 0x10, 0x20, 0x80];
    let (x, bits) = match charset {
        Charset::Braille if column % 2 == 1 => (column / 2, RIGHT),
        Charset::Braille => (column / 2, LEFT),
        Charset::Block | Charset::Ascii => (column, LEFT),
    };
    ((row / 4) * width + x, bits.get(row % 4).copied().unwrap_or(0))
}

fn glyph_of(bits: u8, charset: Charset) -> char {
    let (top, bottom) = (bits & 0x03 != 0, bits & 0x44 != 0);
    match charset {
        Charset::Braille => char::from_u32(0x2800 + u32::from(bits)).unwrap_or(' '),
        Charset::Block => match (top, bottom) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        },
        Charset::Ascii => match bits.count_ones() {
            0 => ' ',
            3.. => '|',
            1 | 2 if bits & 0x01 != 0 => '\'',
            1 | 2 if bits & 0x02 != 0 => '-',
            1 | 2 if bits & 0x04 != 0 => '.',
            1 | 2 => '_',
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::Theme;
    use crate::tui::widgets::Look;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;
    use ratatui::buffer::Buffer;

    const START: i64 = 1_700_000_000_000;
    const HOUR: i64 = 3_600_000;

    fn line(points: impl IntoIterator<Item = (i64, f64)>) -> Line {
        let points = points.into_iter().map(|(ms, v)| (Timestamp::from_millis(START + ms), v));
        Line { label: "x".to_owned(), points: points.collect() }
    }

    fn draw(lines: &[Line], charset: Charset, span: i64, width: u16, height: u16) -> Buffer {
        let from = Timestamp::from_millis(START);
        let chart = Chart {
            lines,
            from,
            to: from.plus_millis(span),
            gap_ms: 60_000,
            unit: Unit::Plain,
            limit: None,
            event: None,
        };
        let look = Look {
            theme: Theme { color: false },
            charset,
            zone: TimeZone::UTC,
            now: from.plus_millis(span),
        };
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        chart.draw(&mut Pen::new(&mut buf, &look), area);
        buf
    }

    fn is_dot(symbol: &str) -> bool {
        symbol.chars().any(|c| matches!(c, '\u{2801}'..='\u{28ff}' | '▁'..='█' | '▀'))
            || matches!(symbol, "'" | "-" | "." | "_" | "|")
    }

    /// The columns of the cells in the topmost three rows that have dots.
    fn high_columns(buf: &Buffer) -> Vec<u16> {
        let area = buf.area;
        let hit = |x: &u16| (0..3).any(|y| is_dot(buf[(*x, y)].symbol()));
        (area.x + 9..area.right() - 9).filter(hit).collect()
    }

    #[test]
    fn a_spike_of_one_sample_is_seen_at_every_zoom() {
        for charset in [Charset::Braille, Charset::Block, Charset::Ascii] {
            for span in [HOUR / 4, HOUR, 6 * HOUR, 24 * HOUR] {
                let step = 15_000;
                let spike = span / 2 / step;
                let points =
                    (0..span / step).map(|n| (n * step, if n == spike { 100.0 } else { 1.0 }));
                let buf = draw(&[line(points)], charset, span, 80, 12);
                let found = high_columns(&buf);
                assert!(!found.is_empty(), "{charset:?} {span}: the spike is lost");
                assert!(found.len() <= 8, "{charset:?} {span}: {found:?}");
            }
        }
    }

    fn dot_columns(buf: &Buffer) -> Vec<u16> {
        let rows = || 0..buf.area.height - 2;
        let from = 8;
        (from..buf.area.right() - 9)
            .filter(|x| rows().any(|y| is_dot(buf[(*x, y)].symbol())))
            .collect()
    }

    #[test]
    fn a_gap_is_never_bridged() {
        for charset in [Charset::Braille, Charset::Block, Charset::Ascii] {
            let points =
                (0..240).map(|n| n * 15_000).filter(|ms| !(900_000..1_800_000).contains(ms));
            let points: Vec<_> = points.map(|ms| (ms, 5.0 + (ms % 7) as f64)).collect();
            let with_gap = dot_columns(&draw(&[line(points)], charset, HOUR, 89, 12));
            let holes: Vec<_> = with_gap.windows(2).filter(|pair| pair[1] > pair[0] + 1).collect();
            assert_eq!(holes.len(), 1, "{charset:?}: {with_gap:?}");
            assert!(holes[0][1] - holes[0][0] >= 15, "{charset:?}: {with_gap:?}");
        }
    }

    #[test]
    fn nan_draws_nothing_and_ends_the_line() {
        let all_nan =
            draw(&[line((0..240).map(|n| (n * 15_000, f64::NAN)))], Charset::Braille, HOUR, 80, 12);
        assert!(dot_columns(&all_nan).is_empty());
        let points = (0..240).map(|n| (n * 15_000, if n == 120 { f64::NAN } else { 3.0 }));
        let split = draw(&[line(points)], Charset::Braille, HOUR / 30, 80, 12);
        assert!(!dot_columns(&split).is_empty());
    }

    #[test]
    fn a_new_sample_changes_only_what_is_right_of_the_one_before() {
        let points: Vec<_> =
            (0..200i64).map(|n| (n * 15_000, 50.0 + (n * 7 % 40) as f64)).collect();
        for count in 100..199 {
            let before = draw(&[line(points[..count].to_vec())], Charset::Braille, HOUR, 80, 12);
            let after = draw(&[line(points[..=count].to_vec())], Charset::Braille, HOUR, 80, 12);
            let plot_end = 80 - 9;
            let edge = before
                .area
                .positions()
                .filter(|at| at.x >= 8 && at.x < plot_end && at.y < 10)
                .filter(|at| is_dot(before[*at].symbol()))
                .map(|at| at.x)
                .max()
                .expect("a line");
            for at in before.area.positions().filter(|at| at.x < edge) {
                assert_eq!(before[at], after[at], "{count}: {at:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_samples_at_any_size_are_drawn(
            values in prop::collection::vec((0i64..HOUR, any::<f64>()), 0..60),
            width in 0u16..120, height in 0u16..40, count in 1usize..11,
        ) {
            let mut values = values;
            values.sort_by_key(|(ms, _)| *ms);
            let lines = vec![line(values); count];
            for charset in [Charset::Braille, Charset::Block, Charset::Ascii] {
                draw(&lines, charset, HOUR, width, height);
            }
        }
    }
}
