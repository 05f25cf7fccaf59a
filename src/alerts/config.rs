//! The parts of `alertmanager.yml` that decide who is told and when: routes, inhibition rules and
//! time intervals, as written and as checked. Receivers' bodies belong to `notify::config`, which
//! also holds the whole file.
//!
//! Source: prometheus/alertmanager, config/config.go, config/common.

pub use super::damping::Damping;
use super::inhibit::InhibitRule;
use super::matchers::{self, Mode};
use super::mute::{IntervalSettings, TimeInterval};
pub use super::notification::ReceiverPlan;
pub use super::own::{DampingSettings, ExpectedSettings, check_damping, check_expected};
use super::route::{GroupBy, Route};
pub use super::watch::Expected;
use crate::model::{MatchOp, Matcher, Problem, Timestamp, is_legacy_label_name, nearest_name};
pub use crate::sys::settings::null_as_default;
use crate::sys::settings::{Scalar, Span};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Routes nested deeper than this are refused.
const ROUTE_DEPTH_MAX: usize = 64;

/// One route, as written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteSettings {
    /// Who is told; inherited when missing.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub receiver: String,
    /// Labels to group by, or `...`; inherited when missing, none when empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<Vec<Scalar>>,
    /// Older matchers: label and value.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        rename = "match",
        deserialize_with = "null_as_default"
    )]
    pub equals: BTreeMap<String, Scalar>,
    /// Older matchers: label and expression.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_as_default")]
    pub match_re: BTreeMap<String, Scalar>,
    /// Matchers; each may be a list in braces.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub matchers: Vec<Scalar>,
    /// Intervals in which nothing is sent.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub mute_time_intervals: Vec<String>,
    /// Intervals outside of which nothing is sent.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub active_time_intervals: Vec<String>,
    /// Whether later siblings are tried too.
    #[serde(rename = "continue", deserialize_with = "null_as_default")]
    pub continues: bool,
    /// How long a new group waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_wait: Option<Span>,
    /// Time between looks at a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_interval: Option<Span>,
    /// When an unchanged notification is repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_interval: Option<Span>,
    /// Labels of the route, as templates; merged with the parent's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_as_default")]
    pub labels: BTreeMap<String, Scalar>,
    /// Tried in order.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub routes: Vec<RouteSettings>,
}

/// One inhibition rule, as written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct InhibitSettings {
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Older source matchers: label and value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_as_default")]
    pub source_match: BTreeMap<String, Scalar>,
    /// Older source matchers: label and expression.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_as_default")]
    pub source_match_re: BTreeMap<String, Scalar>,
    /// Source matchers.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub source_matchers: Vec<Scalar>,
    /// Older target matchers: label and value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_as_default")]
    pub target_match: BTreeMap<String, Scalar>,
    /// Older target matchers: label and expression.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_as_default")]
    pub target_match_re: BTreeMap<String, Scalar>,
    /// Target matchers.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub target_matchers: Vec<Scalar>,
    /// Labels that must be equal.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub equal: Vec<Scalar>,
}

/// One named time interval, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct NamedInterval {
    /// The name that routes use.
    pub name: String,
    /// One of them must hold.
    #[serde(deserialize_with = "null_as_default")]
    pub time_intervals: Vec<IntervalSettings>,
}

/// Everything of the file that this module needs, as written.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// When an alert ends that its sender no longer mentions.
    pub resolve_timeout: Span,
    /// The tree's root.
    pub route: Option<RouteSettings>,
    /// Inhibition rules.
    pub inhibit_rules: Vec<InhibitSettings>,
    /// Time intervals.
    pub time_intervals: Vec<NamedInterval>,
    /// The same under its older name.
    pub mute_time_intervals: Vec<NamedInterval>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            resolve_timeout: Span::seconds(300),
            route: None,
            inhibit_rules: Vec::new(),
            time_intervals: Vec::new(),
            mute_time_intervals: Vec::new(),
        }
    }
}

/// How much may be kept; zero is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Silences, expired ones included.
    pub silences_max: usize,
    /// Bytes of one silence.
    pub silence_bytes_max: usize,
    /// Firing alerts of one `alertname`.
    pub alerts_per_name_max: usize,
}

/// What is decided outside of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Where people reach this server.
    pub external_url: String,
    /// How long expired silences and log entries are kept.
    pub retention: Duration,
    /// How much may be kept.
    pub limits: Limits,
    /// The grammar of matchers.
    pub matcher_mode: Mode,
    /// What counts as flapping; the first that applies decides.
    pub damping: Vec<Damping>,
    /// Alerts that must keep coming.
    pub expected: Vec<Expected>,
    /// Whether `event_recorder` is obeyed, as a flag has it.
    pub event_recorder: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            external_url: String::new(),
            retention: Duration::from_secs(120 * 3600),
            limits: Limits::default(),
            matcher_mode: Mode::Fallback,
            damping: Vec::new(),
            expected: Vec::new(),
            event_recorder: false,
        }
    }
}

/// The checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The tree's root.
    pub route: Route,
    /// Inhibition rules.
    pub inhibit_rules: Vec<InhibitRule>,
    /// Time intervals by name; one of each list must hold.
    pub time_intervals: BTreeMap<String, Vec<TimeInterval>>,
    /// Receivers, in order.
    pub receivers: Vec<ReceiverPlan>,
    /// When an alert ends that its sender no longer mentions.
    pub resolve_timeout: Duration,
    /// Where people reach this server.
    pub external_url: String,
    /// How long expired silences and log entries are kept.
    pub retention: Duration,
    /// How much may be kept.
    pub limits: Limits,
    /// The grammar of matchers.
    pub matcher_mode: Mode,
    /// What counts as flapping; the first that applies decides.
    pub damping: Vec<Damping>,
    /// Alerts that must keep coming.
    pub expected: Vec<Expected>,
    /// Whether recorders of events listen.
    pub recorded: bool,
}

impl Config {
    /// Whether a named interval contains this time; one that there is not contains none.
    pub fn interval_holds(&self, name: &str, at: Timestamp) -> bool {
        let found = self.time_intervals.get(name);
        found.is_some_and(|list| list.iter().any(|interval| interval.contains(at)))
    }

    /// Whether there is a time interval of this name.
    pub(super) fn has_interval(&self, name: &str) -> bool {
        self.time_intervals.contains_key(name)
    }

    /// The receiver of this name.
    pub fn receiver(&self, name: &str) -> Option<&ReceiverPlan> {
        self.receivers.iter().find(|receiver| receiver.name == name)
    }

    /// Names of the intervals that keep a route quiet at this time.
    pub fn quiet_by(&self, route: &Route, at: Timestamp) -> Vec<String> {
        if self.is_inactive(route, at) {
            return route.active_intervals.clone();
        }
        route.mute_intervals.iter().filter(|name| self.interval_holds(name, at)).cloned().collect()
    }

    /// Whether the route has active intervals and none of them holds.
    pub(super) fn is_inactive(&self, route: &Route, at: Timestamp) -> bool {
        let active = &route.active_intervals;
        !active.is_empty() && !active.iter().any(|name| self.interval_holds(name, at))
    }
}

impl Settings {
    /// Checks the settings against each other.
    ///
    /// # Errors
    /// Every fault that Alertmanager would refuse the file for.
    pub fn check(
        &self,
        receivers: &[ReceiverPlan],
        options: &Options,
    ) -> Result<Config, Vec<Problem>> {
        let mut problems = Vec::new();
        let intervals = self.check_intervals(&mut problems);
        let mut checker = Checker {
            receivers: receivers.iter().map(|receiver| receiver.name.as_str()).collect(),
            intervals: intervals.keys().map(String::as_str).collect(),
            mode: options.matcher_mode,
            problems: &mut problems,
        };
        let route = match &self.route {
            Some(route) => checker.root(route),
            None => {
                checker.problem("", "no routes provided");
                None
            }
        };
        let inhibit_rules = self
            .inhibit_rules
            .iter()
            .enumerate()
            .map(|(place, rule)| checker.inhibit_rule(&format!("inhibit_rules[{place}]"), rule))
            .collect();
        match route {
            Some(route) if problems.is_empty() => Ok(Config {
                route,
                inhibit_rules,
                time_intervals: intervals,
                receivers: receivers.to_vec(),
                resolve_timeout: self.resolve_timeout.0,
                external_url: options.external_url.clone(),
                retention: options.retention,
                limits: options.limits.clone(),
                matcher_mode: options.matcher_mode,
                damping: options.damping.clone(),
                expected: options.expected.clone(),
                recorded: false,
            }),
            Some(_) | None => Err(problems),
        }
    }

    fn check_intervals(&self, problems: &mut Vec<Problem>) -> BTreeMap<String, Vec<TimeInterval>> {
        let mut found = BTreeMap::new();
        let lists = [
            ("mute_time_intervals", "mute time interval", &self.mute_time_intervals),
            ("time_intervals", "time interval", &self.time_intervals),
        ];
        for (at, what, list) in lists {
            for (place, named) in list.iter().enumerate() {
                let at = format!("{at}[{place}]");
                let name = &named.name;
                if name.is_empty() {
                    problems.push(Problem::new(&at, format!("missing name in {what}")));
                }
                let mut checked = Vec::new();
                for (place, interval) in named.time_intervals.iter().enumerate() {
                    match interval.check() {
                        Ok(interval) => checked.push(interval),
                        Err(more) => problems.extend(more.into_iter().map(|problem| {
                            problem.below(&format!("{at}.time_intervals[{place}]"))
                        })),
                    }
                }
                if found.insert(name.clone(), checked).is_some() {
                    let text = format!("{what} {name:?} is not unique");
                    problems.push(Problem::new(format!("{at}.name"), text));
                }
            }
        }
        found
    }
}

/// Checks the parts that name others.
struct Checker<'a> {
    receivers: Vec<&'a str>,
    intervals: Vec<&'a str>,
    mode: Mode,
    problems: &'a mut Vec<Problem>,
}

impl Checker<'_> {
    fn problem(&mut self, at: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem::new(at, message));
    }

    fn root(&mut self, settings: &RouteSettings) -> Option<Route> {
        let has_matchers = !settings.equals.is_empty()
            || !settings.match_re.is_empty()
            || !settings.matchers.is_empty();
        for (found, what) in [
            (settings.receiver.is_empty(), "root route must specify a default receiver"),
            (has_matchers, "root route must not have any matchers"),
            (settings.continues, "cannot have continue in root route"),
            (
                !settings.mute_time_intervals.is_empty(),
                "root route must not have any mute time intervals",
            ),
            (
                !settings.active_time_intervals.is_empty(),
                "root route must not have any active time intervals",
            ),
        ] {
            if found {
                self.problem("route", what);
            }
        }
        self.route("route", settings, None, 0)
    }

    fn route(
        &mut self,
        at: &str,
        settings: &RouteSettings,
        parent: Option<(&Route, usize)>,
        depth: usize,
    ) -> Option<Route> {
        if depth > ROUTE_DEPTH_MAX {
            self.problem(at, format!("routes nested more than {ROUTE_DEPTH_MAX} deep"));
            return None;
        }
        self.check_route(at, settings);
        let mut matchers = self.matchers(
            at,
            [
                ("match", MatchOp::Equal, &settings.equals),
                ("match_re", MatchOp::Regex, &settings.match_re),
            ],
            ("matchers", &settings.matchers),
        );
        matchers::sort(&mut matchers);
        let mut route = inherit(settings, matchers, parent, self.group_by(at, settings));
        for (place, child) in settings.routes.iter().enumerate() {
            let at = format!("{at}.routes[{place}]");
            let child = self.route(&at, child, Some((&route, place)), depth + 1);
            route.routes.extend(child);
        }
        Some(route)
    }

    fn check_route(&mut self, at: &str, settings: &RouteSettings) {
        let name = settings.receiver.as_str();
        if !name.is_empty() && !self.receivers.contains(&name) {
            let hint = did_you_mean(name, &self.receivers);
            let text = format!("undefined receiver {name:?} used in route{hint}");
            self.problem(format!("{at}.receiver"), text);
        }
        let lists = [
            ("mute_time_intervals", &settings.mute_time_intervals),
            ("active_time_intervals", &settings.active_time_intervals),
        ];
        for (what, list) in lists {
            for (place, name) in list.iter().enumerate() {
                if !self.intervals.contains(&name.as_str()) {
                    let hint = did_you_mean(name, &self.intervals);
                    let text = format!("undefined time interval {name:?} used in route{hint}");
                    self.problem(format!("{at}.{what}[{place}]"), text);
                }
            }
        }
        for (what, span) in [
            ("group_interval", settings.group_interval),
            ("repeat_interval", settings.repeat_interval),
        ] {
            if span == Some(Span::default()) {
                self.problem(format!("{at}.{what}"), format!("{what} cannot be zero"));
            }
        }
        for name in settings.labels.keys() {
            if !self.is_label_name(name) {
                let text = format!("invalid label name {name:?} in route labels");
                self.problem(format!("{at}.labels"), text);
            }
        }
    }

    /// What is written, `None` when it is inherited.
    fn group_by(&mut self, at: &str, settings: &RouteSettings) -> Option<GroupBy> {
        let list = settings.group_by.as_ref()?;
        let mut names = BTreeSet::new();
        let mut all = false;
        for (place, name) in list.iter().enumerate() {
            let at = format!("{at}.group_by[{place}]");
            if name.0 == "..." {
                all = true;
            } else if !self.is_label_name(&name.0) {
                self.problem(at, format!("invalid label name {:?} in group_by list", name.0));
            } else if !names.insert(name.0.clone()) {
                self.problem(at, format!("duplicated label {:?} in group_by", name.0));
            }
        }
        if all && !names.is_empty() {
            let text = "cannot have wildcard group_by (`...`) and other labels at the same time";
            self.problem(format!("{at}.group_by"), text);
        }
        Some(if all { GroupBy::All } else { GroupBy::Labels(names) })
    }

    fn is_label_name(&self, name: &str) -> bool {
        match self.mode {
            Mode::Classic => is_legacy_label_name(name),
            Mode::Fallback | Mode::Utf8Strict => !name.is_empty(),
        }
    }

    fn inhibit_rule(&mut self, at: &str, settings: &InhibitSettings) -> InhibitRule {
        let source = self.matchers(
            at,
            [
                ("source_match", MatchOp::Equal, &settings.source_match),
                ("source_match_re", MatchOp::Regex, &settings.source_match_re),
            ],
            ("source_matchers", &settings.source_matchers),
        );
        let target = self.matchers(
            at,
            [
                ("target_match", MatchOp::Equal, &settings.target_match),
                ("target_match_re", MatchOp::Regex, &settings.target_match_re),
            ],
            ("target_matchers", &settings.target_matchers),
        );
        for (place, name) in settings.equal.iter().enumerate() {
            if !self.is_label_name(&name.0) {
                let text = format!("invalid label name {:?} in equal list", name.0);
                self.problem(format!("{at}.equal[{place}]"), text);
            }
        }
        let equal = settings.equal.iter().map(|name| name.0.clone()).collect();
        InhibitRule { name: settings.name.clone(), source, target, equal }
    }

    fn matchers(
        &mut self,
        at: &str,
        older: [(&str, MatchOp, &BTreeMap<String, Scalar>); 2],
        (list_name, list): (&str, &[Scalar]),
    ) -> Vec<Matcher> {
        let mut found = Vec::new();
        for (what, op, map) in older {
            for (name, value) in map {
                let at = format!("{at}.{what}.{name}");
                if !is_legacy_label_name(name) {
                    self.problem(&at, format!("invalid label name {name:?}"));
                }
                if let Err(err) = Matcher::of_alerts(name.as_str(), op, value.0.as_str()) {
                    self.problem(at, err.to_string());
                    continue;
                }
                // Upstream writes the anchors of the older form into group keys.
                let value = match op.is_regex() {
                    true => format!("^(?:{})$", value.0),
                    false => value.0.clone(),
                };
                found.extend(Matcher::of_alerts(name.as_str(), op, value));
            }
        }
        for (place, text) in list.iter().enumerate() {
            match matchers::parse_list(&text.0, self.mode) {
                Ok(more) => found.extend(more),
                Err(err) => self.problem(format!("{at}.{list_name}[{place}]"), err),
            }
        }
        found
    }
}

/// The node with everything that it does not set itself taken from its parent.
fn inherit(
    settings: &RouteSettings,
    matchers: Vec<Matcher>,
    parent: Option<(&Route, usize)>,
    group_by: Option<GroupBy>,
) -> Route {
    let text = matchers::format_list(&matchers);
    let above = parent.map(|(route, _)| route);
    let span = |set: Option<Span>, inherited: fn(&Route) -> Duration, default_seconds: u64| {
        let default = Duration::from_secs(default_seconds);
        set.map_or_else(|| above.map_or(default, inherited), |span| span.0)
    };
    let mut labels: BTreeMap<_, _> =
        above.into_iter().flat_map(|route| route.labels.iter().cloned()).collect();
    labels.extend(settings.labels.iter().map(|(name, value)| (name.clone(), value.0.clone())));
    Route {
        key: match above {
            Some(above) => format!("{}/{text}", above.key).into(),
            None => text.as_str().into(),
        },
        id: match parent {
            Some((above, place)) => format!("{}/{text}/{place}", above.id).into(),
            None => text.as_str().into(),
        },
        receiver: match above {
            Some(above) if settings.receiver.is_empty() => above.receiver.clone(),
            Some(_) | None => settings.receiver.clone(),
        },
        group_by: group_by.unwrap_or_else(|| {
            above.map_or_else(|| GroupBy::Labels(BTreeSet::new()), |above| above.group_by.clone())
        }),
        group_wait: span(settings.group_wait, |route| route.group_wait, 30),
        group_interval: span(settings.group_interval, |route| route.group_interval, 300),
        repeat_interval: span(settings.repeat_interval, |route| route.repeat_interval, 4 * 3600),
        continues: settings.continues,
        mute_intervals: settings.mute_time_intervals.clone(),
        active_intervals: settings.active_time_intervals.clone(),
        labels: labels.into_iter().collect(),
        matchers,
        routes: Vec::new(),
    }
}

fn did_you_mean(written: &str, known: &[&str]) -> String {
    nearest_name(written, known.iter().copied())
        .map(|name| format!("; did you mean {name:?}?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::testing::plan;

    fn problems(yaml: &str) -> Vec<String> {
        let settings: Settings = serde_yaml::from_str(yaml).expect("reads");
        match settings.check(&[plan("r"), plan("other")], &Options::default()) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().map(Problem::to_string).collect(),
        }
    }

    #[test]
    fn what_alertmanager_refuses_is_refused_with_its_place() {
        for (yaml, expected) in [
            ("{}", "no routes provided"),
            ("route: {}", "route: root route must specify a default receiver"),
            (
                "route: {receiver: r, matchers: [a=b]}",
                "route: root route must not have any matchers",
            ),
            (
                "route: {receiver: r, routes: [{receiver: othr}]}",
                "route.routes[0].receiver: undefined receiver \"othr\" used in route; did you mean \"other\"?",
            ),
            (
                "route: {receiver: r, routes: [{mute_time_intervals: [x]}]}",
                "route.routes[0].mute_time_intervals[0]: undefined time interval \"x\" used in route",
            ),
            (
                "route: {receiver: r, group_by: ['...', a]}",
                "route.group_by: cannot have wildcard group_by (`...`) and other labels at the same time",
            ),
            (
                "route: {receiver: r, group_by: [a, a]}",
                "route.group_by[1]: duplicated label \"a\" in group_by",
            ),
            (
                "route: {receiver: r, group_interval: 0s}",
                "route.group_interval: group_interval cannot be zero",
            ),
            (
                "route: {receiver: r, repeat_interval: 0s}",
                "route.repeat_interval: repeat_interval cannot be zero",
            ),
            (
                "{route: {receiver: r}, time_intervals: [{name: x}, {name: x}]}",
                "time_intervals[1].name: time interval \"x\" is not unique",
            ),
            (
                "{route: {receiver: r}, mute_time_intervals: [{name: x}], time_intervals: [{name: x}]}",
                "time_intervals[0].name: time interval \"x\" is not unique",
            ),
            (
                "{route: {receiver: r}, time_intervals: [{name: x, time_intervals: [{months: ['13']}]}]}",
                "time_intervals[0].time_intervals[0].months[0]: 13 is not a valid month",
            ),
            (
                "{route: {receiver: r, routes: [{match_re: {a: '('}}]}}",
                "route.routes[0].match_re.a: error parsing regexp",
            ),
            (
                "{route: {receiver: r}, inhibit_rules: [{source_match: {'a-b': x}}]}",
                "inhibit_rules[0].source_match.a-b: invalid label name \"a-b\"",
            ),
        ] {
            let found = problems(yaml);
            assert!(found.iter().any(|one| one.starts_with(expected)), "{yaml}: {found:?}");
        }
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let yaml = "{route: {receiver: x, group_interval: 0s, routes: [{receiver: y}]}}";
        assert_eq!(problems(yaml).len(), 3, "{:?}", problems(yaml));
    }

    #[test]
    fn unknown_keys_are_refused() {
        for yaml in ["route: {receivr: r}", "inhibit_rules: [{sources: []}]", "nonsense: 1"] {
            assert!(serde_yaml::from_str::<Settings>(yaml).is_err(), "{yaml}");
        }
    }

    #[test]
    fn children_inherit_times_and_labels_but_no_intervals() {
        let yaml = "
route:
  receiver: r
  group_wait: 1s
  labels: {a: '1', b: '1'}
  routes:
  - {mute_time_intervals: [x], labels: {b: '2'}, routes: [{group_interval: 7s}]}
time_intervals: [{name: x}]
";
        let settings: Settings = serde_yaml::from_str(yaml).expect("reads");
        let config = settings.check(&[plan("r")], &Options::default()).expect("valid");
        let deepest = &config.route.routes[0].routes[0];
        assert_eq!(deepest.group_wait, Duration::from_secs(1));
        assert_eq!(deepest.group_interval, Duration::from_secs(7));
        assert_eq!(deepest.repeat_interval, Duration::from_secs(4 * 3600));
        assert_eq!(config.route.routes[0].mute_intervals, ["x"]);
        assert!(deepest.mute_intervals.is_empty());
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(deepest.labels, [pair("a", "1"), pair("b", "2")]);
    }
}
