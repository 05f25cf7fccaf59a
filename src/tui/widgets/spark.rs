//! A row of columns for a short history.

use super::{Charset, Pen};
use crate::model::Timestamp;
use crate::tui::fmt;
use crate::tui::theme::Role;

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const LETTERS: [char; 8] = ['_', '.', ':', '-', '=', '+', '*', '#'];

/// The history to draw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spark<'a> {
    /// Instants and values, in order of time.
    pub(crate) points: &'a [(Timestamp, f64)],
    /// The first instant.
    pub(crate) from: Timestamp,
    /// The last instant.
    pub(crate) to: Timestamp,
    /// The value of the lowest and of the highest glyph; taken from the points when missing.
    pub(crate) range: Option<(f64, f64)>,
}

impl Spark<'_> {
    /// Draws it `width` columns wide. A column holds the greatest value of its time; a column
    /// without samples stays empty.
    pub(crate) fn draw(&self, pen: &mut Pen<'_>, x: u16, y: u16, width: u16, role: Role) {
        let columns = self.columns(usize::from(width));
        let (low, high) = self.range.unwrap_or_else(|| {
            let values = columns.iter().flatten();
            let low = values.clone().copied().fold(f64::INFINITY, f64::min);
            let high = values.copied().fold(f64::NEG_INFINITY, f64::max);
            // A change of less than a tenth should not look like a mountain.
            (low - (high.abs() * 0.05), high + (high.abs() * 0.05))
        });
        let glyphs = if pen.look.charset == Charset::Ascii { LETTERS } else { BLOCKS };
        for (x, value) in (x..x.saturating_add(width)).zip(columns) {
            let Some(value) = value else { continue };
            let share = if high > low { (value - low) / (high - low) } else { 0.0 };
            let level = fmt::whole(share * 8.0).min(7);
            pen.glyph(x, y, glyphs.get(level).copied().unwrap_or(' '), role);
        }
    }

    fn columns(&self, width: usize) -> Vec<Option<f64>> {
        let mut out = vec![None; width];
        let span = self.to.millis_since(self.from).max(1) as f64;
        for (ts, value) in self.points {
            if !value.is_finite() || *ts < self.from || *ts > self.to {
                continue;
            }
            let place = fmt::whole(ts.millis_since(self.from) as f64 / span * width as f64);
            if let Some(column) = out.get_mut(place.min(width.saturating_sub(1))) {
                *column = Some(column.map_or(*value, |old: f64| old.max(*value)));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_without_samples_stays_empty() {
        let at = Timestamp::from_millis;
        let points = [(at(0), 1.0), (at(10), f64::NAN), (at(20), 3.0), (at(40), 2.0)];
        let spark = Spark { points: &points, from: at(0), to: at(40), range: None };
        assert_eq!(spark.columns(4), [Some(1.0), None, Some(3.0), Some(2.0)]);
    }
}
