//! The functions: names and signatures.
//!
//! Source: prometheus, promql/parser/functions.go (what takes what).

use super::ValueType::{self, Matrix, Scalar, String, Vector};

/// How a function is called.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    /// Which function.
    pub function: Function,
    /// Its name.
    pub name: &'static str,
    /// Types of the arguments; of a variadic function the last one may repeat or be absent.
    pub args: &'static [ValueType],
    /// How often the last argument may stand beyond the others; below zero is any number.
    pub variadic: i8,
    /// Type of the result.
    pub returns: ValueType,
    /// Whether it may still change upstream and wants a feature flag.
    pub experimental: bool,
}

/// Every function of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// `abs`
    Abs,
    /// `absent`
    Absent,
    /// `absent_over_time`
    AbsentOverTime,
    /// `acos`
    Acos,
    /// `acosh`
    Acosh,
    /// `asin`
    Asin,
    /// `asinh`
    Asinh,
    /// `atan`
    Atan,
    /// `atanh`
    Atanh,
    /// `avg_over_time`
    AvgOverTime,
    /// `ceil`
    Ceil,
    /// `changes`
    Changes,
    /// `clamp`
    Clamp,
    /// `clamp_max`
    ClampMax,
    /// `clamp_min`
    ClampMin,
    /// `cos`
    Cos,
    /// `cosh`
    Cosh,
    /// `count_over_time`
    CountOverTime,
    /// `day_of_month`
    DayOfMonth,
    /// `day_of_week`
    DayOfWeek,
    /// `day_of_year`
    DayOfYear,
    /// `days_in_month`
    DaysInMonth,
    /// `deg`
    Deg,
    /// `delta`
    Delta,
    /// `deriv`
    Deriv,
    /// `double_exponential_smoothing`
    DoubleExponentialSmoothing,
    /// `end`
    End,
    /// `exp`
    Exp,
    /// `first_over_time`
    FirstOverTime,
    /// `floor`
    Floor,
    /// `histogram_avg`
    HistogramAvg,
    /// `histogram_count`
    HistogramCount,
    /// `histogram_fraction`
    HistogramFraction,
    /// `histogram_quantile`
    HistogramQuantile,
    /// `histogram_quantiles`
    HistogramQuantiles,
    /// `histogram_stddev`
    HistogramStddev,
    /// `histogram_stdvar`
    HistogramStdvar,
    /// `histogram_sum`
    HistogramSum,
    /// `hour`
    Hour,
    /// `idelta`
    Idelta,
    /// `increase`
    Increase,
    /// `info`
    Info,
    /// `irate`
    Irate,
    /// `label_join`
    LabelJoin,
    /// `label_replace`
    LabelReplace,
    /// `last_over_time`
    LastOverTime,
    /// `ln`
    Ln,
    /// `log10`
    Log10,
    /// `log2`
    Log2,
    /// `mad_over_time`
    MadOverTime,
    /// `max_of`
    MaxOf,
    /// `max_over_time`
    MaxOverTime,
    /// `min_of`
    MinOf,
    /// `min_over_time`
    MinOverTime,
    /// `minute`
    Minute,
    /// `month`
    Month,
    /// `pi`
    Pi,
    /// `predict_linear`
    PredictLinear,
    /// `present_over_time`
    PresentOverTime,
    /// `quantile_over_time`
    QuantileOverTime,
    /// `rad`
    Rad,
    /// `range`
    Range,
    /// `rate`
    Rate,
    /// `resets`
    Resets,
    /// `round`
    Round,
    /// `scalar`
    Scalar,
    /// `sgn`
    Sgn,
    /// `sin`
    Sin,
    /// `sinh`
    Sinh,
    /// `sort`
    Sort,
    /// `sort_by_label`
    SortByLabel,
    /// `sort_by_label_desc`
    SortByLabelDesc,
    /// `sort_desc`
    SortDesc,
    /// `sqrt`
    Sqrt,
    /// `start`
    Start,
    /// `start_timestamp`
    StartTimestamp,
    /// `stddev_over_time`
    StddevOverTime,
    /// `stdvar_over_time`
    StdvarOverTime,
    /// `step`
    Step,
    /// `sum_over_time`
    SumOverTime,
    /// `tan`
    Tan,
    /// `tanh`
    Tanh,
    /// `time`
    Time,
    /// `timestamp`
    Timestamp,
    /// `ts_of_first_over_time`
    TsOfFirstOverTime,
    /// `ts_of_last_over_time`
    TsOfLastOverTime,
    /// `ts_of_max_over_time`
    TsOfMaxOverTime,
    /// `ts_of_min_over_time`
    TsOfMinOverTime,
    /// `vector`
    Vector,
    /// `year`
    Year,
}

impl Function {
    /// Its signature.
    pub fn signature(self) -> &'static Signature {
        SIGNATURES
            .iter()
            .find(|signature| signature.function == self)
            .expect("every function has a row in the table")
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.signature().name
    }
}

/// The signature of the function with this name.
pub fn signature_of(name: &str) -> Option<&'static Signature> {
    let at = SIGNATURES.binary_search_by(|signature| signature.name.cmp(name)).ok()?;
    SIGNATURES.get(at)
}

/// All names, sorted, for completion.
pub fn function_names() -> impl Iterator<Item = &'static str> {
    SIGNATURES.iter().map(|signature| signature.name)
}

const fn row(
    function: Function,
    name: &'static str,
    args: &'static [ValueType],
    variadic: i8,
    returns: ValueType,
) -> Signature {
    Signature { function, name, args, variadic, returns, experimental: false }
}

const fn experimental(signature: Signature) -> Signature {
    Signature { experimental: true, ..signature }
}

/// Sorted by name.
static SIGNATURES: &[Signature] = &[
    row(Function::Abs, "abs", &[Vector], 0, Vector),
    row(Function::Absent, "absent", &[Vector], 0, Vector),
    row(Function::AbsentOverTime, "absent_over_time", &[Matrix], 0, Vector),
    row(Function::Acos, "acos", &[Vector], 0, Vector),
    row(Function::Acosh, "acosh", &[Vector], 0, Vector),
    row(Function::Asin, "asin", &[Vector], 0, Vector),
    row(Function::Asinh, "asinh", &[Vector], 0, Vector),
    row(Function::Atan, "atan", &[Vector], 0, Vector),
    row(Function::Atanh, "atanh", &[Vector], 0, Vector),
    row(Function::AvgOverTime, "avg_over_time", &[Matrix], 0, Vector),
    row(Function::Ceil, "ceil", &[Vector], 0, Vector),
    row(Function::Changes, "changes", &[Matrix], 0, Vector),
    row(Function::Clamp, "clamp", &[Vector, Scalar, Scalar], 0, Vector),
    row(Function::ClampMax, "clamp_max", &[Vector, Scalar], 0, Vector),
    row(Function::ClampMin, "clamp_min", &[Vector, Scalar], 0, Vector),
    row(Function::Cos, "cos", &[Vector], 0, Vector),
    row(Function::Cosh, "cosh", &[Vector], 0, Vector),
    row(Function::CountOverTime, "count_over_time", &[Matrix], 0, Vector),
    row(Function::DayOfMonth, "day_of_month", &[Vector], 1, Vector),
    row(Function::DayOfWeek, "day_of_week", &[Vector], 1, Vector),
    row(Function::DayOfYear, "day_of_year", &[Vector], 1, Vector),
    row(Function::DaysInMonth, "days_in_month", &[Vector], 1, Vector),
    row(Function::Deg, "deg", &[Vector], 0, Vector),
    row(Function::Delta, "delta", &[Matrix], 0, Vector),
    row(Function::Deriv, "deriv", &[Matrix], 0, Vector),
    experimental(row(
        Function::DoubleExponentialSmoothing,
        "double_exponential_smoothing",
        &[Matrix, Scalar, Scalar],
        0,
        Vector,
    )),
    experimental(row(Function::End, "end", &[], 0, Scalar)),
    row(Function::Exp, "exp", &[Vector], 0, Vector),
    row(Function::FirstOverTime, "first_over_time", &[Matrix], 0, Vector),
    row(Function::Floor, "floor", &[Vector], 0, Vector),
    row(Function::HistogramAvg, "histogram_avg", &[Vector], 0, Vector),
    row(Function::HistogramCount, "histogram_count", &[Vector], 0, Vector),
    row(Function::HistogramFraction, "histogram_fraction", &[Scalar, Scalar, Vector], 0, Vector),
    row(Function::HistogramQuantile, "histogram_quantile", &[Scalar, Vector], 0, Vector),
    experimental(row(
        Function::HistogramQuantiles,
        "histogram_quantiles",
        &[Vector, String, Scalar, Scalar],
        9,
        Vector,
    )),
    row(Function::HistogramStddev, "histogram_stddev", &[Vector], 0, Vector),
    row(Function::HistogramStdvar, "histogram_stdvar", &[Vector], 0, Vector),
    row(Function::HistogramSum, "histogram_sum", &[Vector], 0, Vector),
    row(Function::Hour, "hour", &[Vector], 1, Vector),
    row(Function::Idelta, "idelta", &[Matrix], 0, Vector),
    row(Function::Increase, "increase", &[Matrix], 0, Vector),
    experimental(row(Function::Info, "info", &[Vector, Vector], 1, Vector)),
    row(Function::Irate, "irate", &[Matrix], 0, Vector),
    row(Function::LabelJoin, "label_join", &[Vector, String, String, String], -1, Vector),
    row(
        Function::LabelReplace,
        "label_replace",
        &[Vector, String, String, String, String],
        0,
        Vector,
    ),
    row(Function::LastOverTime, "last_over_time", &[Matrix], 0, Vector),
    row(Function::Ln, "ln", &[Vector], 0, Vector),
    row(Function::Log10, "log10", &[Vector], 0, Vector),
    row(Function::Log2, "log2", &[Vector], 0, Vector),
    experimental(row(Function::MadOverTime, "mad_over_time", &[Matrix], 0, Vector)),
    experimental(row(Function::MaxOf, "max_of", &[Scalar, Scalar], 0, Scalar)),
    row(Function::MaxOverTime, "max_over_time", &[Matrix], 0, Vector),
    experimental(row(Function::MinOf, "min_of", &[Scalar, Scalar], 0, Scalar)),
    row(Function::MinOverTime, "min_over_time", &[Matrix], 0, Vector),
    row(Function::Minute, "minute", &[Vector], 1, Vector),
    row(Function::Month, "month", &[Vector], 1, Vector),
    row(Function::Pi, "pi", &[], 0, Scalar),
    row(Function::PredictLinear, "predict_linear", &[Matrix, Scalar], 0, Vector),
    row(Function::PresentOverTime, "present_over_time", &[Matrix], 0, Vector),
    row(Function::QuantileOverTime, "quantile_over_time", &[Scalar, Matrix], 0, Vector),
    row(Function::Rad, "rad", &[Vector], 0, Vector),
    experimental(row(Function::Range, "range", &[], 0, Scalar)),
    row(Function::Rate, "rate", &[Matrix], 0, Vector),
    row(Function::Resets, "resets", &[Matrix], 0, Vector),
    row(Function::Round, "round", &[Vector, Scalar], 1, Vector),
    row(Function::Scalar, "scalar", &[Vector], 0, Scalar),
    row(Function::Sgn, "sgn", &[Vector], 0, Vector),
    row(Function::Sin, "sin", &[Vector], 0, Vector),
    row(Function::Sinh, "sinh", &[Vector], 0, Vector),
    row(Function::Sort, "sort", &[Vector], 0, Vector),
    experimental(row(Function::SortByLabel, "sort_by_label", &[Vector, String], -1, Vector)),
    experimental(row(
        Function::SortByLabelDesc,
        "sort_by_label_desc",
        &[Vector, String],
        -1,
        Vector,
    )),
    row(Function::SortDesc, "sort_desc", &[Vector], 0, Vector),
    row(Function::Sqrt, "sqrt", &[Vector], 0, Vector),
    experimental(row(Function::Start, "start", &[], 0, Scalar)),
    experimental(row(Function::StartTimestamp, "start_timestamp", &[Vector], 0, Vector)),
    row(Function::StddevOverTime, "stddev_over_time", &[Matrix], 0, Vector),
    row(Function::StdvarOverTime, "stdvar_over_time", &[Matrix], 0, Vector),
    experimental(row(Function::Step, "step", &[], 0, Scalar)),
    row(Function::SumOverTime, "sum_over_time", &[Matrix], 0, Vector),
    row(Function::Tan, "tan", &[Vector], 0, Vector),
    row(Function::Tanh, "tanh", &[Vector], 0, Vector),
    row(Function::Time, "time", &[], 0, Scalar),
    row(Function::Timestamp, "timestamp", &[Vector], 0, Vector),
    experimental(row(Function::TsOfFirstOverTime, "ts_of_first_over_time", &[Matrix], 0, Vector)),
    experimental(row(Function::TsOfLastOverTime, "ts_of_last_over_time", &[Matrix], 0, Vector)),
    experimental(row(Function::TsOfMaxOverTime, "ts_of_max_over_time", &[Matrix], 0, Vector)),
    experimental(row(Function::TsOfMinOverTime, "ts_of_min_over_time", &[Matrix], 0, Vector)),
    row(Function::Vector, "vector", &[Scalar], 0, Vector),
    row(Function::Year, "year", &[Vector], 1, Vector),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_names_are_found() {
        for signature in SIGNATURES {
            let found = signature_of(signature.name).expect("found");
            assert_eq!(found.function, signature.function);
            assert_eq!(signature.function.name(), signature.name);
        }
        assert!(signature_of("rat").is_none());
    }
}
