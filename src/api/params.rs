//! Parameters out of the URL and a form body, read as Prometheus reads them.

use super::message::Request;
use crate::model::{Matcher, Timestamp, duration, percent};
use crate::wire::{Core, Error};
use std::time::Duration;

/// More parameters than any client has.
const PARAMS_MAX: usize = 1000;

/// The ends of Go's time that still print and parse, to the millisecond.
const GO_TIME_MIN: Timestamp = Timestamp::from_millis(-9_223_309_901_257_974_000);
const GO_TIME_MAX: Timestamp = Timestamp::from_millis(9_223_309_901_257_974_999);

/// Names and values, those of the body first: Go's `FormValue` prefers them.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// The parameters of a request.
    pub(super) fn of(request: &Request) -> Self {
        let media = request.header("content-type").unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        let mut pairs = Vec::new();
        let is_form = media.eq_ignore_ascii_case("application/x-www-form-urlencoded");
        if is_form && matches!(request.method.as_str(), "POST" | "PUT" | "PATCH") {
            read_pairs(&request.body, &mut pairs);
        }
        read_pairs(request.query.as_bytes(), &mut pairs);
        Self(pairs)
    }

    /// The parameters of the URL alone.
    pub(super) fn of_url(request: &Request) -> Self {
        let mut pairs = Vec::new();
        read_pairs(request.query.as_bytes(), &mut pairs);
        Self(pairs)
    }

    /// The first value of `name`; empty and missing are the same.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The last value of `name`, which is the one that Alertmanager's server takes; empty and
    /// missing are the same.
    /// Source: go-swagger, templates/server/parameter.gotmpl.
    pub(super) fn last(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rfind(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// All values of `name`, in order.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// An instant; `None` when missing.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, Error> {
        self.read_time(name)
            .map_err(|text| invalid(name, &format!("invalid time value for '{name}': {text}")))
    }

    /// When an expression is evaluated; `None` when missing. Prometheus' engine counts nanoseconds
    /// in 64 bits, which wrap in the year 2262, and its answers show it.
    /// Source: prometheus, promql/engine.go (timeMilliseconds).
    pub(super) fn evaluation_time(&self, name: &str) -> Result<Option<Timestamp>, Error> {
        Ok(self.time(name)?.map(|time| {
            let rest = if time == GO_TIME_MAX { 999_999 } else { 0 };
            let nanos = time.as_millis().wrapping_mul(1_000_000).wrapping_add(rest);
            Timestamp::from_millis(nanos / 1_000_000)
        }))
    }

    /// An instant that must be there.
    pub(super) fn required_time(&self, name: &str) -> Result<Timestamp, Error> {
        let missing = || "cannot parse \"\" to a valid timestamp".to_owned();
        let read = self.read_time(name).and_then(|found| found.ok_or_else(missing));
        read.map_err(|text| invalid(name, &text))
    }

    fn read_time(&self, name: &str) -> Result<Option<Timestamp>, String> {
        let read = |text: &str| {
            let wrong = || format!("cannot parse {text:?} to a valid timestamp");
            parse_time(text).ok_or_else(wrong)
        };
        self.get(name).map(read).transpose()
    }

    /// A span that is not negative; `None` when missing.
    pub(super) fn span(&self, name: &str) -> Result<Option<Duration>, Error> {
        self.get(name).map(|text| span(text).map_err(|text| invalid(name, &text))).transpose()
    }

    /// A count; 0, which means all, when missing.
    pub(super) fn limit(&self) -> Result<usize, Error> {
        let Some(text) = self.get("limit") else { return Ok(0) };
        match text.parse::<i64>() {
            Ok(count) => {
                usize::try_from(count).map_err(|_| invalid("limit", "limit must be non-negative"))
            }
            Err(_) => Err(invalid("limit", &format!("parsing {text:?}: invalid syntax"))),
        }
    }

    /// A boolean as Alertmanager's server reads it: any other word means no.
    /// Source: go-openapi/swag, convert.go (ConvertBool).
    pub(super) fn lenient_flag(&self, name: &str) -> Option<bool> {
        const YES: [&str; 10] =
            ["true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"];
        self.last(name).map(|text| YES.iter().any(|yes| yes.eq_ignore_ascii_case(text)))
    }

    /// A boolean in Go's words; `None` when missing.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, String> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Some(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Some(false)),
            other => Err(other.to_owned()),
        }
    }

    /// The selectors of all `match[]`.
    pub(super) fn selectors(&self, core: &dyn Core) -> Result<Vec<Vec<Matcher>>, Error> {
        self.all("match[]")
            .map(|text| core.parse_matchers(text).map_err(|err| invalid("match[]", &err.message)))
            .collect()
    }

    /// The same, where each must ask for something: not every series there is.
    pub(super) fn narrow_selectors(&self, core: &dyn Core) -> Result<Vec<Vec<Matcher>>, Error> {
        let all = self.selectors(core)?;
        if all.iter().any(|one| one.iter().all(Matcher::matches_empty)) {
            let text = "match[] must contain at least one non-empty matcher";
            return Err(invalid("match[]", text));
        }
        Ok(all)
    }
}

/// `invalid parameter "name": reason`, as clients know it; never said twice.
pub(super) fn invalid(name: &str, reason: &str) -> Error {
    if reason.starts_with("invalid parameter ") {
        return Error::bad_data(reason);
    }
    Error::bad_data(format!("invalid parameter {name:?}: {reason}"))
}

fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("cannot parse {text:?} to a valid duration");
    match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| wrong()),
        Err(_) => duration::parse(text).map_err(|_| wrong()),
    }
}

fn parse_time(text: &str) -> Option<Timestamp> {
    // What clients print of the ends of Go's time, and send back for "all of it".
    match text {
        "-292273086-05-16T16:47:06Z" => return Some(GO_TIME_MIN),
        "292277025-08-18T07:12:54.999999999Z" => return Some(GO_TIME_MAX),
        _ => {}
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return Timestamp::from_seconds(seconds);
    }
    let instant: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_millis(instant.as_millisecond()))
}

fn read_pairs(text: &[u8], pairs: &mut Vec<(String, String)>) {
    for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        if pairs.len() >= PARAMS_MAX {
            return;
        }
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at(at);
        let value = value.strip_prefix(b"=").unwrap_or_default();
        // A pair with a broken escape is left out, as Go leaves it out.
        if let (Some(name), Some(value)) = (unescape(name, true), unescape(value, true)) {
            pairs.push((name, value));
        }
    }
}

/// Undoes `%41`, and `+` for a space inside forms; `None` for a broken escape or no UTF-8.
pub(super) fn unescape(text: &[u8], form: bool) -> Option<String> {
    let out = if form { percent::decode_form(text) } else { percent::decode(text) };
    String::from_utf8(out.ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn t75_a_form_body_goes_before_the_url_and_both_count() {
        let mut request = Request::get("/x?query=url&match[]=b&bad=%zz");
        request.method = "POST".to_owned();
        request.headers =
            vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
        request.body = b"query=a%20b+c&match%5B%5D=a".to_vec();
        let params = Params::of(&request);
        assert_eq!(params.get("query"), Some("a b c"));
        assert_eq!(params.all("match[]").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(params.get("bad"), None);
        request.headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
        assert_eq!(Params::of(&request).get("query"), Some("url"));
    }

    #[test]
    fn of_two_values_prometheus_takes_the_first_and_alertmanager_the_last() {
        let params = Params::of(&Request::get("/x?active=true&active=false&receiver=a&receiver="));
        assert_eq!(params.get("active"), Some("true"));
        assert_eq!(params.lenient_flag("active"), Some(false));
        assert_eq!((params.get("receiver"), params.last("receiver")), (Some("a"), None));
    }

    #[test]
    fn times_and_spans_read_as_in_prometheus() {
        // Cases of prometheus, web/api/v1/api_test.go (TestParseTime, TestParseDuration).
        for (text, millis) in [
            ("", None),
            ("abc", None),
            ("30s", None),
            ("123", Some(123_000)),
            ("123.123", Some(123_123)),
            ("2015-06-03T13:21:58.555Z", Some(1_433_337_718_555)),
            ("2015-06-03T14:21:58.555+01:00", Some(1_433_337_718_555)),
            ("1543578564.705", Some(1_543_578_564_705)),
        ] {
            assert_eq!(parse_time(text).map(Timestamp::as_millis), millis, "{text:?}");
        }
        // What Prometheus 2.42 answers at these times; those of today stay what they are.
        for (text, millis) in [
            ("-292273086-05-16T16:47:06Z", 6_795_364_580_679),
            ("292277025-08-18T07:12:54.999999999Z", -6_795_364_579_679),
            ("1543578564.705", 1_543_578_564_705),
            ("-1", -1000),
        ] {
            let params = Params(vec![("time".to_owned(), text.to_owned())]);
            let time = params.evaluation_time("time").expect("a time");
            assert_eq!(time.map(Timestamp::as_millis), Some(millis), "{text:?}");
        }
        for (text, millis) in [
            ("", None),
            ("abc", None),
            ("2015-06-03T13:21:58.555Z", None),
            ("-148966367200.372", None),
            ("123", Some(123_000)),
            ("123.333", Some(123_333)),
            ("15s", Some(15_000)),
            ("5m", Some(300_000)),
        ] {
            assert_eq!(span(text).ok().map(|span| span.as_millis()), millis, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_query_string_is_read(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut pairs = Vec::new();
            read_pairs(&text, &mut pairs);
            prop_assert!(pairs.len() <= PARAMS_MAX);
        }
    }
}
