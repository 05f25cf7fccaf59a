//! Fields of the Gregorian calendar, in UTC.

use super::math::whole;
use crate::promql::syntax::Function;

/// 2^63: seconds from here on, and NaN, are no time that upstream can hold.
const SECONDS_END: f64 = 9_223_372_036_854_775_808.0;
/// Days and seconds of what upstream makes of such a number on amd64, where the conversion yields
/// the smallest integer and the calendar wraps around to 292277026596-12-04 15:30:08.
const BEYOND: (i64, i64) = (106_751_991_167_300, 55_808);

/// The field that `function` asks for, of a time in seconds since the epoch.
pub(super) fn field(function: Function, seconds: f64) -> f64 {
    let (days, second) = match seconds.abs() < SECONDS_END {
        true => (whole(seconds).div_euclid(86_400), whole(seconds).rem_euclid(86_400)),
        false => BEYOND,
    };
    let (year, month, day) = civil(days);
    let value = match function {
        Function::Minute => second / 60 % 60,
        Function::Hour => second / 3_600,
        // The epoch was a Thursday.
        Function::DayOfWeek => (days + 4).rem_euclid(7),
        Function::DayOfMonth => day,
        Function::DayOfYear => days - days_before(year, 1) + 1,
        Function::DaysInMonth => {
            let (next_year, next_month) =
                if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            days_before(next_year, next_month) - days_before(year, month)
        }
        Function::Month => month,
        _year => year,
    };
    value as f64
}

/// Year, month and day of a day since the epoch, by counting in years that begin in March: then
/// the leap day is the last of its year and months follow one formula.
fn civil(days: i64) -> (i64, i64, i64) {
    const ERA_DAYS: i64 = 146_097;
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(ERA_DAYS), shifted.rem_euclid(ERA_DAYS));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days from the epoch to the first of a month.
fn days_before(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_agree_with_known_days() {
        // 2024-02-29T13:37:00Z, a Thursday and the 60th day of its year.
        let leap_day = 1_709_213_820.0;
        for (function, expected) in [
            (Function::Year, 2024.0),
            (Function::Month, 2.0),
            (Function::DayOfMonth, 29.0),
            (Function::DayOfWeek, 4.0),
            (Function::DayOfYear, 60.0),
            (Function::DaysInMonth, 29.0),
            (Function::Hour, 13.0),
            (Function::Minute, 37.0),
        ] {
            assert_eq!(field(function, leap_day), expected, "{function:?}");
        }
        assert_eq!(field(Function::Year, -1.0), 1969.0);
        assert_eq!(field(Function::DaysInMonth, 946_684_799.0), 31.0);
    }
}
