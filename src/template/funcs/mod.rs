//! The function families of Prometheus rules and of Alertmanager.
//!
//! Owns what each family holds under which name. Start reading at `rule_functions`.
//!
//! Source: prometheus, template/template.go; alertmanager, template/template.go.
//!
//! Never: what the functions work on: a query's answer comes through a callback.

mod humanize;
mod links;
mod text;

use super::functions::Functions;
use super::json::to_json;
use super::signature::{Kind, Takes};
use super::time::Time;
use super::value::{List, Map, Object, Record, Value};
use crate::model::{Labels, Timestamp, duration, percent};

pub use links::table_link;

const NOTHING: Takes = Takes::exactly(&[]);
const ANY: Takes = Takes::exactly(&[Kind::Any]);
const TEXT: Takes = Takes::exactly(&[Kind::Text]);
const TWO_TEXTS: Takes = Takes::exactly(&[Kind::Text, Kind::Text]);
const TEXT_AND_TIME: Takes = Takes::exactly(&[Kind::Text, Kind::Instant]);
const SAMPLE: Takes = Takes::exactly(&[Kind::Sample]);

/// Answers a query of a template at the evaluation's time.
pub type QueryCallback<'a> = &'a (dyn Fn(&str) -> Result<Vec<QuerySample>, String> + Send + Sync);

/// One element of a query's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct QuerySample {
    /// Its labels, with the metric's name.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

/// What the functions of rule templates need to know.
#[derive(Clone, Copy)]
pub struct RuleContext<'a> {
    /// Runs queries.
    pub query: QueryCallback<'a>,
    /// The evaluation's time, which `now` yields.
    pub now: Timestamp,
    /// Under which URL people reach the server.
    pub external_url: &'a str,
}

impl std::fmt::Debug for RuleContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RuleContext").field("now", &self.now).finish_non_exhaustive()
    }
}

/// The functions of rule templates.
pub fn rule_functions(ctx: RuleContext<'_>) -> Functions<'_> {
    let mut table = Functions::new();
    add_shared(&mut table);
    add_humanizing(&mut table);
    add_vectors(&mut table, ctx.query);
    table
        .add("title", TEXT, |args| on_text(args, |text| text::title(text, false)))
        .add("stripPort", TEXT, |args| on_text(args, links::strip_port))
        .add("stripDomain", TEXT, |args| on_text(args, links::strip_domain))
        .add("urlQueryEscape", TEXT, |args| on_text(args, percent::encode_form))
        .add("graphLink", TEXT, |args| on_text(args, links::graph_link))
        .add("tableLink", TEXT, |args| on_text(args, links::table_link))
        .add("externalURL", NOTHING, move |_| Ok(ctx.external_url.into()))
        .add("pathPrefix", NOTHING, move |_| Ok(links::path_of(ctx.external_url).into()))
        .add("now", NOTHING, move |_| Ok(Value::Float(ctx.now.as_seconds())))
        .add("parseDuration", TEXT, |args| parse_duration(text_at(args, 0)))
        .add("args", Takes::at_least(&[], Kind::Any), |args| {
            let named = args.iter().enumerate().map(|(at, arg)| (format!("arg{at}"), arg.clone()));
            Ok(Value::Map(Map::of_values(named)))
        });
    table
}

/// The functions of notification templates. `routeLabels` is the caller's: it adds it when it
/// has route labels.
pub fn alertmanager_functions(now: Timestamp) -> Functions<'static> {
    let mut table = Functions::new();
    add_shared(&mut table);
    add_times(&mut table, now);
    add_collections(&mut table);
    table
        .add("title", TEXT, |args| on_text(args, |text| text::title(text, true)))
        .add("trimSpace", TEXT, |args| on_text(args, |text| text.trim().to_owned()))
        .add("join", Takes::exactly(&[Kind::Text, Kind::Texts]), |args| {
            let items = list_at(args, 1);
            let parts: Vec<&str> = items.items().iter().filter_map(Value::as_text).collect();
            Ok(parts.join(text_at(args, 0)).into())
        })
        .add("safeUrl", TEXT, |args| Ok(Value::SafeUrl(text_at(args, 0).into())))
        .add("urlUnescape", TEXT, |args| links::unescape(text_at(args, 0)).map(Value::from))
        .add("stringSlice", Takes::at_least(&[], Kind::Text), |args| {
            Ok(Value::texts(args.iter().cloned()))
        })
        .add("routeLabels", TEXT, |_| Ok("".into()))
        .add("humanizeDuration", ANY, |args| humanize::duration(at(args, 0)))
        .add("toJson", ANY, |args| to_json(at(args, 0)).map(Value::from))
        .add("base64encode", TEXT, |args| on_text(args, text::base64_encode))
        .add("base64decode", TEXT, |args| text::base64_decode(text_at(args, 0)).map(Value::from));
    table
}

fn add_shared(table: &mut Functions<'_>) {
    table
        .add("toUpper", TEXT, |args| on_text(args, text::upper))
        .add("toLower", TEXT, |args| on_text(args, text::lower))
        .add("safeHtml", TEXT, |args| Ok(Value::SafeHtml(text_at(args, 0).into())))
        .add("match", TWO_TEXTS, |args| {
            text::matches(text_at(args, 0), text_at(args, 1)).map(Value::Bool)
        })
        .add("reReplaceAll", Takes::exactly(&[Kind::Text; 3]), |args| {
            text::replace_all(text_at(args, 0), text_at(args, 1), text_at(args, 2)).map(Value::from)
        });
}

fn add_humanizing(table: &mut Functions<'_>) {
    table
        .add("humanize", ANY, |args| humanize::decimal(at(args, 0)))
        .add("humanize1024", ANY, |args| humanize::binary(at(args, 0)))
        .add("humanizeDuration", ANY, |args| humanize::duration(at(args, 0)))
        .add("humanizePercentage", ANY, |args| humanize::percentage(at(args, 0)))
        .add("humanizeTimestamp", ANY, |args| humanize::timestamp(at(args, 0)))
        .add("toTime", ANY, |args| humanize::time(at(args, 0)).map(Value::Time))
        .add("toDuration", ANY, |args| humanize::to_duration(at(args, 0)));
}

/// What works on answers of queries.
fn add_vectors<'a>(table: &mut Functions<'a>, query: QueryCallback<'a>) {
    table
        .add("query", TEXT, move |args| {
            Ok(samples(query(text_at(args, 0))?.iter().map(sample_value)))
        })
        .add("first", Takes::exactly(&[Kind::Samples]), |args| {
            let first = list_at(args, 0).items().first().cloned();
            first.ok_or_else(|| "first() called on vector with no elements".to_owned())
        })
        .add("label", Takes::exactly(&[Kind::Text, Kind::Sample]), |args| {
            Ok(label_of(at(args, 1), text_at(args, 0)))
        })
        .add("strvalue", SAMPLE, |args| Ok(label_of(at(args, 0), "__value__")))
        .add("value", SAMPLE, |args| Ok(field_of(at(args, 0), "Value")))
        .add("sortByLabel", Takes::exactly(&[Kind::Text, Kind::Samples]), |args| {
            let name = text_at(args, 0);
            let mut items = list_at(args, 1).items().to_vec();
            let key = |item: &Value| label_of(item, name).as_text().unwrap_or_default().to_owned();
            items.sort_by_cached_key(key);
            Ok(samples(items))
        });
}

fn add_times(table: &mut Functions<'_>, now: Timestamp) {
    table
        .add("now", NOTHING, move |_| Ok(Value::Time(Time::utc(now))))
        .add("since", Takes::exactly(&[Kind::Instant]), move |args| {
            Ok(Value::Duration(Time::utc(now).nanos_since(&time_at(args, 0))))
        })
        .add("date", TEXT_AND_TIME, |args| Ok(time_at(args, 1).format(text_at(args, 0)).into()))
        .add("tz", TEXT_AND_TIME, |args| {
            time_at(args, 1).in_zone(text_at(args, 0)).map(Value::Time)
        })
        .add("toDate", TWO_TEXTS, |args| {
            let time = Time::parse(text_at(args, 0), text_at(args, 1));
            Ok(Value::Time(time.unwrap_or_else(|_| Time::zero())))
        })
        .add("mustToDate", TWO_TEXTS, |args| {
            Time::parse(text_at(args, 0), text_at(args, 1)).map(Value::Time)
        });
}

fn add_collections(table: &mut Functions<'_>) {
    table
        .add("list", Takes::at_least(&[], Kind::Any), |args| Ok(Value::list(args.iter().cloned())))
        .add("append", Takes::at_least(&[Kind::Anys], Kind::Any), |args| {
            let more = args.iter().skip(1);
            Ok(Value::list(list_at(args, 0).items().iter().chain(more).cloned()))
        })
        .add("dict", Takes::at_least(&[], Kind::Any), |args| {
            if !args.len().is_multiple_of(2) {
                return Err("dict requires an even number of arguments".to_owned());
            }
            let mut pairs = Vec::new();
            for pair in args.chunks_exact(2) {
                let [key, value] = pair else { continue };
                let key = key.as_text().ok_or("dict keys must be strings")?;
                pairs.push((key.to_owned(), value.clone()));
            }
            Ok(Value::Map(Map::of_values(pairs)))
        });
}

fn sample_value(sample: &QuerySample) -> Value {
    let fields = [
        ("Labels", "Labels", Value::labels(&sample.labels)),
        ("Value", "Value", Value::Float(sample.value)),
    ];
    Value::object(Record::new("*template.sample", fields))
}

fn samples(items: impl IntoIterator<Item = Value>) -> Value {
    Value::List(List::typed("template.queryResult", items))
}

fn label_of(sample: &Value, name: &str) -> Value {
    match field_of(sample, "Labels") {
        Value::Map(labels) => labels.get(name),
        _none => "".into(),
    }
}

fn field_of(sample: &Value, name: &str) -> Value {
    let Value::Object(object) = sample else { return Value::Nil };
    Object::field(&**object, name).unwrap_or_default()
}

/// Prometheus' duration, with a minus allowed, in seconds.
fn parse_duration(text: &str) -> Result<Value, String> {
    let (sign, size) = match text.strip_prefix('-') {
        Some(size) => (-1.0, size),
        None => (1.0, text),
    };
    Ok(Value::Float(sign * duration::parse(size)?.as_secs_f64()))
}

fn on_text(args: &[Value], change: impl Fn(&str) -> String) -> Result<Value, String> {
    Ok(change(text_at(args, 0)).into())
}

/// An argument; the count was checked before.
fn at(args: &[Value], place: usize) -> &Value {
    args.get(place).unwrap_or(&Value::Nil)
}

/// The text, the time, the list that `Takes` promised.
fn text_at(args: &[Value], place: usize) -> &str {
    at(args, place).as_text().unwrap_or_default()
}

fn time_at(args: &[Value], place: usize) -> Time {
    match at(args, place) {
        Value::Time(time) => time.clone(),
        _none => Time::zero(),
    }
}

fn list_at(args: &[Value], place: usize) -> List {
    match at(args, place).plain() {
        Value::List(list) => list,
        _nil => List::new([]),
    }
}
