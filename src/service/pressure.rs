//! What is given up first when memory runs short: new series, then queries.

use std::fmt;

/// At so many hundredths of the allowance new series are refused,
const SERIES_PERCENT: u64 = 80;
/// and at so many queries too.
const QUERIES_PERCENT: u64 = 90;
/// So many hundredths less to come back, so that the state does not flicker.
const BACK_PERCENT: u64 = 5;

/// How short memory is; what is refused at one stage is at the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pressure {
    /// Everything is taken.
    #[default]
    None,
    /// New series are refused; those that are there go on.
    NoNewSeries,
    /// Queries are refused too. Rules go on.
    NoQueries,
}

impl Pressure {
    /// What to do with `resident` bytes in use, of `allowance` at most, after this was done.
    pub(super) fn next(self, resident: u64, allowance: u64) -> Self {
        let reaches = |stage: Self, percent: u64| {
            let percent = if self >= stage { percent - BACK_PERCENT } else { percent };
            u128::from(resident) * 100 >= u128::from(allowance) * u128::from(percent)
        };
        if reaches(Self::NoQueries, QUERIES_PERCENT) {
            Self::NoQueries
        } else if reaches(Self::NoNewSeries, SERIES_PERCENT) {
            Self::NoNewSeries
        } else {
            Self::None
        }
    }

    /// Its number in metrics.
    pub(super) const fn number(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::NoNewSeries => 1.0,
            Self::NoQueries => 2.0,
        }
    }
}

impl fmt::Display for Pressure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::None => "memory suffices again: new series and queries are taken",
            Self::NoNewSeries => "memory runs short: new series are refused, those there go on",
            Self::NoQueries => "memory runs short: queries and new series are refused",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Pressure::{NoNewSeries, NoQueries, None};

    #[test]
    fn series_go_at_80_percent_queries_at_90_and_each_comes_back_5_below() {
        // reliability.md, section 3: at 80 % new series, at 90 % queries.
        let mut now = None;
        for (resident, expected) in [
            (799, None),
            (800, NoNewSeries),
            (799, NoNewSeries),
            (750, NoNewSeries),
            (749, None),
            (799, None),
            (899, NoNewSeries),
            (900, NoQueries),
            (899, NoQueries),
            (850, NoQueries),
            (849, NoNewSeries),
            (899, NoNewSeries),
            (2000, NoQueries),
            (10, None),
            (950, NoQueries),
        ] {
            now = now.next(resident, 1000);
            assert_eq!(now, expected, "{resident}");
        }
        assert_eq!(None.next(u64::MAX / 2, u64::MAX), None);
    }
}
