//! A list in columns with a selected row.

use super::{Pen, columns, page};
use crate::tui::theme::Role;
use ratatui::layout::Rect;

/// A column's heading and width.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// The heading.
    pub(crate) title: &'static str,
    /// Its width; 0 shares what the others leave.
    pub(crate) width: u16,
    /// Whether values end at its right edge.
    pub(crate) right: bool,
    /// Dropped when the table is narrower than this.
    pub(crate) from_width: u16,
}

impl Column {
    /// A column of `width`, always shown.
    pub(crate) const fn new(title: &'static str, width: u16) -> Self {
        Self { title, width, right: false, from_width: 0 }
    }

    /// With values at the right edge.
    pub(crate) const fn right(self) -> Self {
        Self { right: true, ..self }
    }

    /// Shown only in tables that are at least this wide.
    pub(crate) const fn from(self, width: u16) -> Self {
        Self { from_width: width, ..self }
    }
}

/// One value of a row.
pub(crate) type Field = (String, Role);

/// A table; rows are made only when they are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table<'a> {
    /// The columns.
    pub(crate) columns: &'a [Column],
    /// How many rows there are.
    pub(crate) count: usize,
    /// The selected row.
    pub(crate) selected: usize,
    /// Whether the selected row is marked.
    pub(crate) focused: bool,
}

impl Table<'_> {
    /// Draws the heading and the page of rows that holds the selected one. The first two columns
    /// of `area` are the gutter.
    pub(crate) fn draw(
        &self,
        pen: &mut Pen<'_>,
        area: Rect,
        mut row: impl FnMut(usize) -> Vec<Field>,
    ) {
        if area.height == 0 || area.width < 4 {
            return;
        }
        let shown: Vec<_> =
            self.columns.iter().filter(|column| area.width >= column.from_width).collect();
        let fixed: u16 = shown.iter().map(|column| column.width + 1).sum();
        let flexible = shown.iter().filter(|column| column.width == 0).count();
        let free = area.width.saturating_sub(2).saturating_sub(fixed);
        let share = free.checked_div(super::cells(flexible)).unwrap_or(0);
        let widths: Vec<u16> = shown
            .iter()
            .map(|column| if column.width == 0 { share } else { column.width })
            .collect();
        let titles = shown.iter().map(|column| (column.title.to_owned(), Role::Dim)).collect();
        draw_row(pen, area, 0, &shown, &widths, titles);
        for (place, index) in page(self.selected, self.count, area.height - 1).enumerate() {
            let y = 1 + super::cells(place);
            let mut fields = row(index).into_iter();
            let kept = self.columns.iter().filter_map(|column| {
                let field = fields.next()?;
                (area.width >= column.from_width).then_some(field)
            });
            draw_row(pen, area, y, &shown, &widths, kept.collect());
            if index == self.selected && self.focused {
                select(pen, area, y);
            }
        }
    }
}

/// Marks a row as selected: `>` in the gutter and the selection's style.
pub(crate) fn select(pen: &mut Pen<'_>, area: Rect, row: u16) {
    pen.put(area.x, area.y + row, 1, ">", Role::Title);
    pen.shade(Rect { y: area.y + row, height: 1, ..area }, Role::Select);
}

fn draw_row(
    pen: &mut Pen<'_>,
    area: Rect,
    row: u16,
    shown: &[&Column],
    widths: &[u16],
    fields: Vec<Field>,
) {
    let y = area.y + row;
    let mut x = area.x + 2;
    for ((column, width), (text, role)) in shown.iter().zip(widths).zip(fields) {
        let room = (*width).min(area.right().saturating_sub(x));
        if column.right && columns(&text) <= room {
            pen.put_right(x + room, y, room, &text, role);
        } else {
            pen.put(x, y, room, &text, role);
        }
        x = x.saturating_add(width + 1);
    }
}
