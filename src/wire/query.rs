//! Queries and their results.

use super::{Detail, forms};
use crate::model::{Labels, TimeRange, Timestamp, value_text};
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::time::Duration;

/// An expression at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct InstantQuery {
    /// PromQL.
    pub expr: String,
    /// When; `None` is now.
    pub time: Option<Timestamp>,
    /// How long it may run, at most the server's own limit.
    pub timeout: Option<Duration>,
    /// How far back an instant selector looks; `None` is the server's setting.
    pub lookback: Option<Duration>,
    /// At most so many series in the answer; 0 is all.
    pub limit: usize,
    /// What is to be told besides.
    pub detail: Detail,
}

impl InstantQuery {
    /// `expr` now, with the server's own settings.
    pub fn now(expr: impl Into<String>) -> Self {
        Self {
            expr: expr.into(),
            time: None,
            timeout: None,
            lookback: None,
            limit: 0,
            detail: Detail::default(),
        }
    }
}

/// An expression at every step of a range; both ends belong to it.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeQuery {
    /// PromQL.
    pub expr: String,
    /// The first step.
    pub start: Timestamp,
    /// No step is later.
    pub end: Timestamp,
    /// Between steps; not zero.
    pub step: Duration,
    /// How long it may run, at most the server's own limit.
    pub timeout: Option<Duration>,
    /// How far back an instant selector looks; `None` is the server's setting.
    pub lookback: Option<Duration>,
    /// At most so many series in the answer; 0 is all.
    pub limit: usize,
    /// What is to be told besides.
    pub detail: Detail,
}

/// One series at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    /// The series.
    pub metric: Labels,
    /// When.
    pub ts: Timestamp,
    /// The value.
    pub value: f64,
}

/// One series over time.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSeries {
    /// The series.
    pub metric: Labels,
    /// Instants and values, in order of time.
    pub values: Vec<(Timestamp, f64)>,
}

/// What an expression yields, in one of PromQL's four types.
#[derive(Clone, Debug, PartialEq)]
pub enum QueryData {
    /// One value for each series.
    Vector(Vec<VectorSample>),
    /// Values over time for each series.
    Matrix(Vec<MatrixSeries>),
    /// One number without labels.
    Scalar(Timestamp, f64),
    /// A string.
    String(Timestamp, String),
}

impl QueryData {
    /// The word in `resultType`.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Vector(_) => "vector",
            Self::Matrix(_) => "matrix",
            Self::Scalar(..) => "scalar",
            Self::String(..) => "string",
        }
    }

    /// About how many bytes its JSON has, rather too many than too few.
    pub fn text_bytes(&self) -> usize {
        /// `[1700000000.25,"0.1234567890123456"],`
        const SAMPLE: usize = 36;
        /// The frame around a series' labels and samples, and the quotes of some labels.
        const FRAME: usize = 96;
        let labels = |labels: &Labels| FRAME + labels.byte_len() * 5 / 4;
        match self {
            Self::Vector(list) => list.iter().map(|one| labels(&one.metric) + SAMPLE).sum(),
            Self::Matrix(list) => {
                list.iter().map(|one| labels(&one.metric) + one.values.len() * SAMPLE).sum()
            }
            Self::Scalar(..) => FRAME,
            Self::String(_, text) => FRAME + text.len(),
        }
    }
}

/// Exemplars of the series that an expression reads.
#[derive(Clone, Debug, PartialEq)]
pub struct ExemplarQuery {
    /// PromQL.
    pub expr: String,
    /// Of this time.
    pub range: TimeRange,
}

/// The exemplars of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExemplarSeries {
    /// The series.
    #[serde(with = "forms::labels")]
    pub series_labels: Labels,
    /// In order of time.
    pub exemplars: Vec<ExemplarForm>,
}

/// One exemplar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExemplarForm {
    /// The id of a trace, mostly.
    #[serde(with = "forms::labels")]
    pub labels: Labels,
    /// What was measured.
    #[serde(with = "value")]
    pub value: f64,
    /// When.
    #[serde(rename = "timestamp", with = "seconds")]
    pub ts: Timestamp,
}

/// `serde(with)` for times: seconds with at most three decimals.
mod seconds {
    use super::*;

    pub(super) fn serialize<S: Serializer>(ts: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        let millis = ts.as_millis();
        if millis % 1000 == 0 {
            return to.serialize_i64(millis / 1000);
        }
        to.serialize_f64(ts.as_seconds())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let seconds = f64::deserialize(from)?;
        Timestamp::from_seconds(seconds)
            .ok_or_else(|| D::Error::custom(format!("time {seconds} is out of range")))
    }
}

/// `serde(with)` for values: text.
pub(super) mod value {
    use super::*;

    pub(in crate::wire) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        value_text::with_api(*value, |text| to.serialize_str(text))
    }

    pub(in crate::wire) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<f64, D::Error> {
        number(&String::deserialize(from)?)
    }
}

/// `[1700000000.123,"1.5"]`: when, then the value as text.
#[derive(Deserialize)]
struct Point(#[serde(with = "seconds")] Timestamp, String);

impl Point {
    fn number<E: serde::de::Error>(&self) -> Result<f64, E> {
        number(&self.1)
    }
}

fn number<E: serde::de::Error>(text: &str) -> Result<f64, E> {
    match text {
        "+Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        "NaN" => Ok(f64::NAN),
        text => text.parse().map_err(|_| E::custom(format!("{text:?} is no sample value"))),
    }
}

/// A string and its time, as they are written.
#[derive(Serialize)]
struct Text<'a>(#[serde(with = "seconds")] Timestamp, &'a str);

/// A `Point` that is written.
#[derive(Serialize)]
struct Written(#[serde(with = "seconds")] Timestamp, #[serde(with = "value")] f64);

/// Points that are written one by one, not collected first.
struct AllWritten<'a>(&'a [(Timestamp, f64)]);

impl Serialize for AllWritten<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(|(ts, value)| Written(*ts, *value)))
    }
}

#[derive(Serialize)]
struct WrittenSample<'a> {
    #[serde(serialize_with = "forms::labels::serialize")]
    metric: &'a Labels,
    value: Written,
}

#[derive(Serialize)]
struct WrittenSeries<'a> {
    #[serde(serialize_with = "forms::labels::serialize")]
    metric: &'a Labels,
    values: AllWritten<'a>,
}

/// A list that is written as it is made.
struct Each<I>(I);

impl<I: Iterator<Item: Serialize> + Clone> Serialize for Each<I> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.clone())
    }
}

#[derive(Deserialize)]
struct VectorForm {
    #[serde(with = "forms::labels")]
    metric: Labels,
    value: Point,
}

#[derive(Deserialize)]
struct MatrixForm {
    #[serde(with = "forms::labels")]
    metric: Labels,
    #[serde(default)]
    values: Vec<Point>,
}

impl Serialize for QueryData {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut form = to.serialize_struct("QueryData", 2)?;
        form.serialize_field("resultType", self.type_name())?;
        match self {
            Self::Vector(samples) => {
                let list = samples.iter().map(|sample| WrittenSample {
                    metric: &sample.metric,
                    value: Written(sample.ts, sample.value),
                });
                form.serialize_field("result", &Each(list))?;
            }
            Self::Matrix(series) => {
                let list = series.iter().map(|series| WrittenSeries {
                    metric: &series.metric,
                    values: AllWritten(&series.values),
                });
                form.serialize_field("result", &Each(list))?;
            }
            Self::Scalar(ts, value) => {
                // Alone among values a scalar never has an exponent.
                form.serialize_field("result", &Text(*ts, &value_text::plain(*value)))?;
            }
            Self::String(ts, text) => form.serialize_field("result", &Text(*ts, text))?,
        }
        form.end()
    }
}

impl<'de> Deserialize<'de> for QueryData {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(DataVisitor)
    }
}

/// Reads `resultType` before `result`, as every server writes them.
struct DataVisitor;

impl<'de> Visitor<'de> for DataVisitor {
    type Value = QueryData;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with resultType and result")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<QueryData, A::Error> {
        let (mut kind, mut data) = (None::<String>, None);
        while let Some(key) = map.next_key::<String>()? {
            match (key.as_str(), kind.as_deref()) {
                ("resultType", _) => kind = Some(map.next_value()?),
                ("result", Some(kind)) => data = Some(read_result(kind, &mut map)?),
                ("result", None) => {
                    return Err(A::Error::custom("result stands before resultType"));
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        data.ok_or_else(|| A::Error::missing_field("result"))
    }
}

fn read_result<'de, A: MapAccess<'de>>(kind: &str, map: &mut A) -> Result<QueryData, A::Error> {
    Ok(match kind {
        "vector" => {
            let list: Vec<VectorForm> = map.next_value()?;
            let samples = list.into_iter().map(|form| {
                let value = form.value.number()?;
                Ok(VectorSample { metric: form.metric, ts: form.value.0, value })
            });
            QueryData::Vector(samples.collect::<Result<_, A::Error>>()?)
        }
        "matrix" => {
            let list: Vec<MatrixForm> = map.next_value()?;
            let series = list.into_iter().map(|form| {
                let values = form.values.iter().map(|point| Ok((point.0, point.number()?)));
                let values = values.collect::<Result<_, A::Error>>()?;
                Ok(MatrixSeries { metric: form.metric, values })
            });
            QueryData::Matrix(series.collect::<Result<_, A::Error>>()?)
        }
        "scalar" => {
            let point: Point = map.next_value()?;
            QueryData::Scalar(point.0, point.number()?)
        }
        "string" => {
            let point: Point = map.next_value()?;
            QueryData::String(point.0, point.1)
        }
        other => return Err(A::Error::custom(format!("unknown resultType {other:?}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t73_results_have_prometheus_form() {
        let data = QueryData::Vector(vec![VectorSample {
            metric: Labels::from_pairs([("__name__", "up"), ("job", "node")]),
            ts: Timestamp::from_millis(1_700_000_000_250),
            value: 1.0,
        }]);
        let text = serde_json::to_string(&data).expect("writes");
        assert_eq!(
            text,
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"node"},"value":[1700000000.25,"1"]}]}"#
        );
        assert_eq!(serde_json::from_str::<QueryData>(&text).expect("reads"), data);
    }

    #[test]
    fn a_scalar_is_written_without_an_exponent() {
        let data = QueryData::Scalar(Timestamp::from_millis(1000), 2.5e-7);
        let text = serde_json::to_string(&data).expect("writes");
        assert_eq!(text, r#"{"resultType":"scalar","result":[1,"0.00000025"]}"#);
        assert_eq!(serde_json::from_str::<QueryData>(&text).expect("reads"), data);
    }

    #[test]
    fn infinite_values_survive_the_wire() {
        let data = QueryData::Matrix(vec![MatrixSeries {
            metric: Labels::empty(),
            values: vec![
                (Timestamp::from_millis(1000), f64::INFINITY),
                (Timestamp::from_millis(2000), -1e-9),
            ],
        }]);
        let text = serde_json::to_string(&data).expect("writes");
        assert_eq!(
            text,
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"+Inf"],[2,"-1e-09"]]}]}"#
        );
        assert_eq!(serde_json::from_str::<QueryData>(&text).expect("reads"), data);
    }
}
