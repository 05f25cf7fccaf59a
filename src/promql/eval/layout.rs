//! Where the windows of all steps lie in a column of times, found once for all series that have
//! these times: the series of one target do, and so do those of a back-fill.

use super::Grid;
use super::column::ABSENT;
use super::window::Shape;
use crate::storage::source::Columns;

/// Layouts kept at a time: series of many targets come interleaved.
const LAYOUTS_MAX: usize = 32;

/// Words of memory that layouts may take together, 2 MiB; one is always kept.
const LAYOUT_WORDS_MAX: usize = 1 << 18;

/// Words that a slide takes for each step.
const SLIDE_WORDS: usize = 3;

/// Steps from which on a slide is worth its memory.
const SLIDE_STEPS_MIN: usize = 16;

/// The layouts of one selector.
#[derive(Debug)]
pub(super) struct Layouts {
    shape: Shape,
    grid: Grid,
    /// The one used last comes first.
    known: Vec<Layout>,
}

/// The windows of all steps in one column of times.
#[derive(Debug)]
struct Layout {
    ts: Vec<i64>,
    /// As `Known::step`.
    step: Option<i64>,
    /// One for each step.
    places: Vec<Place>,
    /// One for each step, once they were asked for.
    stretches: Option<Stretches>,
}

/// A window's samples: the first, and the one behind the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) first: usize,
    pub(super) after: usize,
}

/// What a slope over a window takes from its times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) place: Place,
    /// Seconds between the first and the last sample.
    pub(super) sampled: f64,
    /// Seconds by which the line is drawn on before the first sample, and behind the last.
    pub(super) to_start: f64,
    pub(super) to_end: f64,
    /// What the difference of the samples grows by when the line is drawn to both.
    pub(super) factor: f64,
    /// Seconds of the range for a slope; 1 for a difference.
    pub(super) per: f64,
}

/// The stretches of all steps.
#[derive(Debug)]
pub(super) struct Stretches {
    /// One for each step.
    pub(super) each: Vec<Stretch>,
    /// Set when the windows move on by one sample each step, as they do where the step is the
    /// scrape interval: then a slope is worked out for many steps at once.
    pub(super) slide: Option<Slide>,
}

/// Windows of one length, of at least two samples, that begin one sample after another.
#[derive(Debug)]
pub(super) struct Slide {
    /// The first one.
    pub(super) place: Place,
    /// Of each stretch.
    pub(super) sampled: Vec<f64>,
    /// Of each stretch.
    pub(super) to_start: Vec<f64>,
    /// Of each stretch.
    pub(super) factors: Vec<f64>,
    /// The least of `sampled`.
    pub(super) sampled_min: f64,
    /// The largest of `to_start`.
    pub(super) to_start_max: f64,
}

impl Stretches {
    fn of(each: Vec<Stretch>) -> Self {
        let first = each.first().filter(|first| first.has_two() && each.len() >= SLIDE_STEPS_MIN);
        let slide = first.and_then(|first| {
            let Place { first, after } = first.place;
            let steps = each.iter().map(|stretch| stretch.place).enumerate();
            let mut moved = steps
                .map(|(step, place)| (place, Place { first: first + step, after: after + step }));
            let column = |of: fn(&Stretch) -> f64| each.iter().map(of).collect();
            moved.all(|(place, expected)| place == expected).then(|| Slide {
                place: Place { first, after },
                sampled: column(|stretch| stretch.sampled),
                to_start: column(|stretch| stretch.to_start),
                factors: column(|stretch| stretch.factor),
                sampled_min: each.iter().map(|one| one.sampled).fold(f64::INFINITY, f64::min),
                to_start_max: each.iter().map(|one| one.to_start).fold(0.0, f64::max),
            })
        });
        Self { each, slide }
    }
}

impl Place {
    /// The newest of the window's values.
    pub(super) fn last_of(self, values: &[f64]) -> f64 {
        let window = values.get(self.first..self.after).unwrap_or_default();
        window.last().copied().unwrap_or(ABSENT)
    }
}

impl Layouts {
    pub(super) const fn new(shape: Shape, grid: Grid) -> Self {
        Self { shape, grid, known: Vec::new() }
    }

    /// As `words_of`, of its own grid.
    pub(super) const fn words(&self, times: usize) -> usize {
        Self::words_of(times, self.grid.count)
    }

    /// Words of memory that the layout of a column of so many times takes for so many steps.
    pub(super) const fn words_of(times: usize, steps: usize) -> usize {
        let step_words =
            (size_of::<Place>() + size_of::<Stretch>()) / size_of::<f64>() + SLIDE_WORDS;
        times.saturating_add(steps.saturating_mul(step_words))
    }

    /// The layout for the times of these columns.
    fn of(&mut self, columns: &Columns) -> &mut Layout {
        let ts = &columns.ts;
        match self.known.iter().position(|layout| layout.is_of(columns)) {
            Some(0) => {}
            Some(place) => self.known.swap(0, place),
            None => {
                let kept = (LAYOUT_WORDS_MAX / self.words(ts.len()).max(1)).clamp(1, LAYOUTS_MAX);
                self.known.truncate(kept - 1);
                self.known.push(Layout::new(columns, self.shape, self.grid));
                let last = self.known.len() - 1;
                self.known.swap(0, last);
            }
        }
        self.known.first_mut().expect("a layout was just found or made")
    }

    /// The windows of all steps in these columns.
    pub(super) fn places(&mut self, columns: &Columns) -> &[Place] {
        &self.of(columns).places
    }

    /// The stretches of all steps in these columns; `is_rate` is the same in all calls.
    pub(super) fn stretches(&mut self, columns: &Columns, is_rate: bool) -> &Stretches {
        let (shape, grid) = (self.shape, self.grid);
        let layout = self.of(columns);
        let (ts, places) = (&layout.ts, &layout.places);
        layout.stretches.get_or_insert_with(|| {
            let steps = places.iter().zip(grid.times());
            let each = steps.map(|(place, now)| Stretch::new(ts, *place, shape, now, is_rate));
            Stretches::of(each.collect())
        })
    }
}

impl Layout {
    /// Whether it is that of these columns.
    fn is_of(&self, columns: &Columns) -> bool {
        let ts = &columns.ts;
        match (self.step, columns.known.step) {
            // Then the first one tells all.
            (Some(own), Some(step)) => {
                own == step && self.ts.len() == ts.len() && self.ts.first() == ts.first()
            }
            _unknown => self.ts == *ts,
        }
    }

    fn new(columns: &Columns, shape: Shape, grid: Grid) -> Self {
        let ts = &columns.ts;
        let (mut first, mut after) = (0, 0);
        let places = grid.times().map(|now| {
            // The places only move on, since the steps do.
            let (open, closed) = shape.reach(now);
            let rest = ts.get(after..).unwrap_or_default();
            after += rest.iter().take_while(|ts| **ts <= closed).count();
            let seen = ts.get(first..after).unwrap_or_default();
            first += seen.iter().take_while(|ts| **ts <= open).count();
            Place { first, after }
        });
        let places = places.collect();
        Self { ts: ts.clone(), step: columns.known.step, places, stretches: None }
    }
}

impl Stretch {
    /// Source: prometheus, promql/functions.go (extrapolatedRate).
    fn new(ts: &[i64], place: Place, shape: Shape, now: i64, is_rate: bool) -> Self {
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let per = if is_rate { seconds(shape.range) } else { 1.0 };
        let samples = ts.get(place.first..place.after).unwrap_or_default();
        let ([first, _, ..], [.., last]) = (samples, samples) else {
            return Self { place, sampled: 0.0, to_start: 0.0, to_end: 0.0, factor: 0.0, per };
        };
        let end = shape.end(now);
        let mut to_start = seconds(first.saturating_sub(end.saturating_sub(shape.range)));
        let mut to_end = seconds(end.saturating_sub(*last));
        let sampled = seconds(last.saturating_sub(*first));
        let gap = sampled / (samples.len() - 1) as f64;
        // A gap a little longer than usual is jitter; a longer one means that the series begins
        // or ends here.
        let threshold = gap * 1.1;
        if to_start >= threshold {
            to_start = gap / 2.0;
        }
        if to_end >= threshold {
            to_end = gap / 2.0;
        }
        let stretch = Self { place, sampled, to_start, to_end, factor: 0.0, per };
        Self { factor: stretch.factor_from(to_start), ..stretch }
    }

    /// The factor when the line is drawn `to_start` seconds on before the first sample.
    pub(super) fn factor_from(&self, to_start: f64) -> f64 {
        (self.sampled + to_start + self.to_end) / self.sampled / self.per
    }

    /// Whether the window has the two samples that a slope needs.
    pub(super) const fn has_two(&self) -> bool {
        self.place.after > self.place.first + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::eval::plan::Select;
    use crate::storage::source::Known;

    #[test]
    fn columns_have_one_layout_where_their_times_are_the_same() {
        let grid = Grid { start: 600_000, step: 60_000, count: 3 };
        let select =
            Select { matchers: Vec::new(), offset: 0, at: None, extension: None, fetch: 0 };
        let shape = Shape::of_lookback(&select, 120_000);
        let columns = |first: i64, step: i64, count: i64, is_known: bool| {
            let ts = (0..count).map(|at| first + at * step).collect();
            let step = Some(step).filter(|_| is_known);
            Columns { ts, known: Known { step, ..Known::default() }, ..Columns::default() }
        };
        let mut layouts = Layouts::new(shape, grid);
        for (first, step, count) in [
            (0, 15_000, 60),
            (0, 15_000, 59),
            (5_000, 15_000, 60),
            (0, 15_001, 60),
            (0, 30_000, 60),
        ] {
            let known = columns(first, step, count, true);
            let expected = Layout::new(&known, shape, grid).places;
            for is_known in [true, false, true] {
                let columns = columns(first, step, count, is_known);
                assert_eq!(layouts.places(&columns), expected, "{first} {step} {count}");
            }
        }
        assert_eq!(layouts.known.len(), 5);
    }
}
