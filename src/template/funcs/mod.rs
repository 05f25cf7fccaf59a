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

use super::builtins::wrong_type;
use super::functions::Arity::{AtLeast, Exactly};
use super::functions::Functions;
use super::json::to_json;
use super::time::Time;
use super::value::{List, Map, Object, Record, Value};
use crate::model::{Labels, Timestamp, duration, percent};

pub use links::table_link;

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
        .add("title", Exactly(1), |args| on_text(args, |text| text::title(text, false)))
        .add("stripPort", Exactly(1), |args| on_text(args, links::strip_port))
        .add("stripDomain", Exactly(1), |args| on_text(args, links::strip_domain))
        .add("urlQueryEscape", Exactly(1), |args| on_text(args, percent::encode_form))
        .add("graphLink", Exactly(1), |args| on_text(args, links::graph_link))
        .add("tableLink", Exactly(1), |args| on_text(args, links::table_link))
        .add("externalURL", Exactly(0), move |_| Ok(ctx.external_url.into()))
        .add("pathPrefix", Exactly(0), move |_| Ok(links::path_of(ctx.external_url).into()))
        .add("now", Exactly(0), move |_| Ok(Value::Float(ctx.now.as_seconds())))
        .add("parseDuration", Exactly(1), |args| parse_duration(text_at(args, 0)?))
        .add("args", AtLeast(0), |args| {
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
        .add("title", Exactly(1), |args| on_text(args, |text| text::title(text, true)))
        .add("trimSpace", Exactly(1), |args| on_text(args, |text| text.trim().to_owned()))
        .add("join", Exactly(2), |args| {
            let items = list_at(args, 1)?;
            let parts: Result<Vec<_>, _> = items
                .items()
                .iter()
                .map(|item| item.as_text().ok_or_else(|| wrong_type("string", item)))
                .collect();
            Ok(parts?.join(text_at(args, 0)?).into())
        })
        .add("safeUrl", Exactly(1), |args| Ok(Value::SafeUrl(text_at(args, 0)?.into())))
        .add("urlUnescape", Exactly(1), |args| links::unescape(text_at(args, 0)?).map(Value::from))
        .add("stringSlice", AtLeast(0), |args| Ok(Value::list(args.iter().cloned())))
        .add("routeLabels", Exactly(1), |_| Ok("".into()))
        .add("humanizeDuration", Exactly(1), |args| humanize::duration(at(args, 0)))
        .add("toJson", Exactly(1), |args| to_json(at(args, 0)).map(Value::from))
        .add("base64encode", Exactly(1), |args| on_text(args, text::base64_encode))
        .add("base64decode", Exactly(1), |args| {
            text::base64_decode(text_at(args, 0)?).map(Value::from)
        });
    table
}

fn add_shared(table: &mut Functions<'_>) {
    table
        .add("toUpper", Exactly(1), |args| on_text(args, str::to_uppercase))
        .add("toLower", Exactly(1), |args| on_text(args, str::to_lowercase))
        .add("safeHtml", Exactly(1), |args| Ok(Value::SafeHtml(text_at(args, 0)?.into())))
        .add("match", Exactly(2), |args| {
            text::matches(text_at(args, 0)?, text_at(args, 1)?).map(Value::Bool)
        })
        .add("reReplaceAll", Exactly(3), |args| {
            text::replace_all(text_at(args, 0)?, text_at(args, 1)?, text_at(args, 2)?)
                .map(Value::from)
        });
}

fn add_humanizing(table: &mut Functions<'_>) {
    table
        .add("humanize", Exactly(1), |args| humanize::decimal(at(args, 0)))
        .add("humanize1024", Exactly(1), |args| humanize::binary(at(args, 0)))
        .add("humanizeDuration", Exactly(1), |args| humanize::duration(at(args, 0)))
        .add("humanizePercentage", Exactly(1), |args| humanize::percentage(at(args, 0)))
        .add("humanizeTimestamp", Exactly(1), |args| humanize::timestamp(at(args, 0)))
        .add("toTime", Exactly(1), |args| humanize::time(at(args, 0)).map(Value::Time))
        .add("toDuration", Exactly(1), |args| humanize::to_duration(at(args, 0)));
}

/// What works on answers of queries.
fn add_vectors<'a>(table: &mut Functions<'a>, query: QueryCallback<'a>) {
    table
        .add("query", Exactly(1), move |args| {
            Ok(Value::list(query(text_at(args, 0)?)?.iter().map(sample_value)))
        })
        .add("first", Exactly(1), |args| {
            let first = list_at(args, 0)?.items().first().cloned();
            first.ok_or_else(|| "first() called on vector with no elements".to_owned())
        })
        .add("label", Exactly(2), |args| label_of(at(args, 1), text_at(args, 0)?))
        .add("strvalue", Exactly(1), |args| label_of(at(args, 0), "__value__"))
        .add("value", Exactly(1), |args| field_of(at(args, 0), "Value"))
        .add("sortByLabel", Exactly(2), |args| {
            let name = text_at(args, 0)?;
            let mut items = list_at(args, 1)?.items().to_vec();
            let key = |item: &Value| match label_of(item, name) {
                Ok(label) => label.as_text().unwrap_or_default().to_owned(),
                Err(_) => String::new(),
            };
            items.sort_by_cached_key(key);
            Ok(Value::list(items))
        });
}

fn add_times(table: &mut Functions<'_>, now: Timestamp) {
    table
        .add("now", Exactly(0), move |_| Ok(Value::Time(Time::utc(now))))
        .add("since", Exactly(1), move |args| {
            Ok(Value::Duration(Time::utc(now).nanos_since(&time_at(args, 0)?)))
        })
        .add("date", Exactly(2), |args| Ok(time_at(args, 1)?.format(text_at(args, 0)?).into()))
        .add("tz", Exactly(2), |args| time_at(args, 1)?.in_zone(text_at(args, 0)?).map(Value::Time))
        .add("toDate", Exactly(2), |args| {
            let time = Time::parse(text_at(args, 0)?, text_at(args, 1)?);
            Ok(Value::Time(time.unwrap_or_else(|_| Time::zero())))
        })
        .add("mustToDate", Exactly(2), |args| {
            Time::parse(text_at(args, 0)?, text_at(args, 1)?).map(Value::Time)
        });
}

fn add_collections(table: &mut Functions<'_>) {
    table
        .add("list", AtLeast(0), |args| Ok(Value::list(args.iter().cloned())))
        .add("append", AtLeast(1), |args| {
            let more = args.iter().skip(1);
            Ok(Value::list(list_at(args, 0)?.items().iter().chain(more).cloned()))
        })
        .add("dict", AtLeast(0), |args| {
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

fn label_of(sample: &Value, name: &str) -> Result<Value, String> {
    match field_of(sample, "Labels")? {
        Value::Map(labels) => Ok(labels.get(name)),
        other => Err(wrong_type("map[string]string", &other)),
    }
}

fn field_of(sample: &Value, name: &str) -> Result<Value, String> {
    let wrong = || wrong_type("*template.sample", sample);
    let Value::Object(object) = sample else { return Err(wrong()) };
    Object::field(&**object, name).ok_or_else(wrong)
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
    Ok(change(text_at(args, 0)?).into())
}

/// An argument; the count was checked before.
fn at(args: &[Value], place: usize) -> &Value {
    args.get(place).unwrap_or(&Value::Nil)
}

fn text_at(args: &[Value], place: usize) -> Result<&str, String> {
    let arg = at(args, place);
    arg.as_text().ok_or_else(|| wrong_type("string", arg))
}

fn time_at(args: &[Value], place: usize) -> Result<Time, String> {
    match at(args, place) {
        Value::Time(time) => Ok(time.clone()),
        other => Err(wrong_type("time.Time", other)),
    }
}

fn list_at(args: &[Value], place: usize) -> Result<List, String> {
    match at(args, place).plain() {
        Value::List(list) => Ok(list),
        other => Err(wrong_type("[]interface {}", &other)),
    }
}
