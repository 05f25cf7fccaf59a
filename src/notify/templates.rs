//! Templates of messages: the built-in ones, users' files over them, and fields of receivers.
//!
//! Source for the names and for `__subject`: prometheus/alertmanager, template/default.tmpl.

use super::mentions;
use super::message::template_data;
use crate::alerts::Notification;
use crate::model::{Labels, Timestamp};
use crate::template::{
    Functions, Kind, Limits, Mode, Takes, TemplateError, TemplateSet, Value, alertmanager_functions,
};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The built-in templates for text, and for HTML in mail.
const BUILT_IN: [(&str, &str); 2] = [
    ("default.tmpl", include_str!("templates/default.tmpl")),
    ("email.tmpl", include_str!("templates/email.tmpl")),
];

/// A message may be longer than an annotation: mail lists every alert of a group, and what a
/// service does not take is cut afterwards. Upstream has no limits.
const BYTES_MAX: usize = 32 << 20;
/// Room in it for each alert, where there are very many.
const ALERT_BYTES_MAX: usize = 8 << 10;
/// Steps of a message as such.
const STEPS_MAX: u64 = 4_000_000;
/// And of each alert in it: the longest default template takes some four hundred for an alert of
/// ten labels and five annotations.
const ALERT_STEPS_MAX: u64 = 8_000;

/// What templates over so many alerts may use.
fn limits(alerts: usize) -> Limits {
    let bytes = alerts.saturating_mul(ALERT_BYTES_MAX).max(BYTES_MAX);
    let alerts = u64::try_from(alerts).unwrap_or(u64::MAX);
    let steps = alerts.saturating_mul(ALERT_STEPS_MAX).saturating_add(STEPS_MAX);
    Limits { steps, output_bytes: bytes, value_bytes: bytes }
}

/// All templates that a field of a receiver may call.
#[derive(Clone, Debug)]
pub struct Templates {
    set: TemplateSet,
    /// Whether a user's file has a call to everybody in a channel.
    calls_everybody: bool,
}

impl Templates {
    /// The built-in templates with users' files, as base name and text, over them.
    ///
    /// # Errors
    /// Name and fault of every file that is no template.
    pub fn new(files: &[(String, String)]) -> Result<Self, Vec<(String, TemplateError)>> {
        let functions = functions(Timestamp::EPOCH, &Labels::empty());
        let mut set = TemplateSet::new();
        let mut errors = Vec::new();
        let built_in = BUILT_IN.map(|(name, text)| (name.to_owned(), text.to_owned()));
        for (name, text) in built_in.iter().chain(files) {
            if let Err(err) = set.add(name, text, &functions) {
                errors.push((name.clone(), err));
            }
        }
        let calls_everybody = files.iter().any(|(_, text)| mentions::are_in(text));
        if errors.is_empty() { Ok(Self { set, calls_everybody }) } else { Err(errors) }
    }

    /// Everything that is needed to expand fields for one notification.
    pub fn for_notification(&self, notification: &Notification, now: Timestamp) -> Rendering<'_> {
        let raw = Labels::from_pairs(notification.route_labels.iter().cloned());
        let mut rendering = Rendering {
            templates: self,
            data: template_data(notification, &raw),
            functions: functions(now, &raw),
            route_labels: raw.clone(),
            limits: limits(notification.alerts.len()),
        };
        if !raw.is_empty() {
            let expanding = RouteLabels {
                set: &self.set,
                data: &rendering.data,
                limits: rendering.limits,
                now,
                raw: &raw,
                done: Mutex::default(),
            };
            // A label that fails to expand is left out, as upstream does.
            let expanded = raw
                .iter()
                .filter_map(|(name, _)| Some((name.to_owned(), expanding.label(name, &[]).ok()?)));
            let labels: Labels = expanded.collect();
            rendering.data = template_data(notification, &labels);
            rendering.functions = functions(now, &labels);
            rendering.route_labels = labels;
        }
        rendering
    }
}

/// Labels of a route while they are expanded: one may call for another by `routeLabels`.
struct RouteLabels<'a> {
    set: &'a TemplateSet,
    data: &'a Value,
    limits: Limits,
    now: Timestamp,
    raw: &'a Labels,
    /// Those that are expanded, so that none is twice.
    done: Mutex<BTreeMap<String, String>>,
}

impl RouteLabels<'_> {
    /// One of them; `open` are those that it is expanded for.
    fn label(&self, name: &str, open: &[&str]) -> Result<String, String> {
        let done = || self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(raw) = self.raw.get(name) else { return Ok(String::new()) };
        if let Some(known) = done().get(name) {
            return Ok(known.clone());
        }
        let path = [open, &[name]].concat();
        if open.contains(&name) {
            return Err(format!("route label cycle detected: {}", path.join(" -> ")));
        }
        let mut functions: Functions<'_> = alertmanager_functions(self.now);
        functions.add("routeLabels", Takes::exactly(&[Kind::Text]), |args| {
            let name = args.first().and_then(Value::as_text).unwrap_or_default();
            self.label(name, &path).map(Value::from)
        });
        let text = self.set.render(raw, self.data, &functions, Mode::Text, self.limits);
        let text = text.map_err(|err| err.to_string())?;
        done().insert(name.to_owned(), text.clone());
        Ok(text)
    }
}

/// The templates with the data of one notification.
#[derive(Clone)]
pub struct Rendering<'a> {
    templates: &'a Templates,
    data: Value,
    functions: Functions<'static>,
    route_labels: Labels,
    limits: Limits,
}

impl std::fmt::Debug for Rendering<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rendering").field("data", &self.data).finish_non_exhaustive()
    }
}

impl Rendering<'_> {
    /// A field as plain text.
    ///
    /// # Errors
    /// It is no template, or fails on this notification.
    pub fn text(&self, field: &str) -> Result<String, TemplateError> {
        self.render(field, Mode::Text)
    }

    /// A field as HTML: values are escaped.
    ///
    /// # Errors
    /// As `text`.
    pub fn html(&self, field: &str) -> Result<String, TemplateError> {
        self.render(field, Mode::Html)
    }

    fn render(&self, field: &str, mode: Mode) -> Result<String, TemplateError> {
        self.templates.set.render(field, &self.data, &self.functions, mode, self.limits)
    }

    /// The same templates and labels of the route over another part of the notification.
    #[must_use]
    pub fn over(&self, notification: &Notification) -> Self {
        let data = template_data(notification, &self.route_labels);
        Self { data, limits: limits(notification.alerts.len()), ..self.clone() }
    }

    /// Whether a template of the user calls everybody in a channel on purpose.
    pub(super) fn calls_everybody(&self) -> bool {
        self.templates.calls_everybody
    }

    /// Labels of the route, expanded.
    pub fn route_labels(&self) -> &Labels {
        &self.route_labels
    }
}

fn functions(now: Timestamp, route_labels: &Labels) -> Functions<'static> {
    let mut functions = alertmanager_functions(now);
    let labels = route_labels.clone();
    functions.add("routeLabels", Takes::exactly(&[Kind::Text]), move |args| {
        let name = args.first().and_then(Value::as_text).unwrap_or_default();
        Ok(Value::string(labels.value_of(name)))
    });
    functions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::testing::notification;

    #[track_caller]
    fn check(notification: &Notification, field: &str, expected: &str) {
        let files = [("own.tmpl".to_owned(), r#"{{ define "own" }}mine{{ end }}"#.to_owned())];
        let templates = Templates::new(&files).expect("templates");
        let rendering = templates.for_notification(notification, Timestamp::EPOCH);
        assert_eq!(rendering.text(field).as_deref(), Ok(expected), "{field}");
    }

    #[test]
    fn t69_default_templates_give_what_alertmanagers_give() {
        // Expectations: amtool's `template render` with upstream's templates and this data.
        let two = notification();
        check(&two, r#"{{ template "__subject" . }}"#, "[FIRING:1] X ");
        check(
            &two,
            r#"{{ template "slack.default.fallback" . }}"#,
            "[FIRING:1] X  | http://am/#/alerts?receiver=team%5C.x",
        );
        check(
            &two,
            r#"{{ template "opsgenie.default.description" . }}"#,
            concat!(
                "<b>&\nAlerts Firing:\nLabels:\n - alertname = X\n - sev = a\nAnnotations:\n",
                " - s = <b>&\nSource: http://gen/x?a=1&b=2\n\n",
                "Alerts Resolved:\nLabels:\n - alertname = X\n - sev = b\nAnnotations:\n",
                " - s = <b>&\nSource: http://gen/x?a=1&b=2\n",
            ),
        );
        let (one, _) = two.truncated(1);
        check(&one, r#"{{ template "__subject" . }}"#, "[FIRING:1] X (a)");
        check(&one, r#"{{ template "own" . }} {{ .CommonLabels.nope }}"#, "mine ");
    }

    #[test]
    fn a_priority_is_that_of_firing_alerts_or_else_of_resolved_ones() {
        // prometheus/alertmanager, template/default.tmpl (jira.default.priority).
        for (firing, resolved, expected) in [
            ("warning", "critical", "Medium"),
            ("page", "critical", "High"),
            ("", "info", "Low"),
            ("", "", ""),
        ] {
            let mut two = notification();
            for (alert, severity) in two.alerts.iter_mut().zip([firing, resolved]) {
                alert.labels = Labels::from_pairs([("severity", severity)]);
            }
            check(&two, r#"{{ template "jira.default.priority" . }}"#, expected);
        }
    }

    #[test]
    fn labels_of_the_route_are_templates_themselves() {
        let mut labelled = notification();
        labelled.route_labels = vec![
            ("team".to_owned(), "{{ .GroupLabels.alertname }}-team".to_owned()),
            ("broken".to_owned(), "{{ .Alerts.Nope 1 }}".to_owned()),
            ("mail".to_owned(), r#"{{ routeLabels "team" }}@x"#.to_owned()),
            ("a".to_owned(), r#"{{ routeLabels "b" }}"#.to_owned()),
            ("b".to_owned(), r#"{{ routeLabels "a" }}"#.to_owned()),
        ];
        check(&labelled, r#"{{ .RouteLabels.mail }} [{{ routeLabels "a" }}]"#, "X-team@x []");
        check(&labelled, r#"{{ .RouteLabels.team }} {{ routeLabels "team" }}"#, "X-team X-team");
        check(&labelled, r#"[{{ .RouteLabels.broken }}]"#, "[]");
    }

    #[test]
    fn a_file_that_is_no_template_is_named() {
        let files = [("bad.tmpl".to_owned(), "{{ if }}".to_owned())];
        let errors = Templates::new(&files).expect_err("bad");
        assert_eq!(errors.first().map(|(name, _)| name.as_str()), Some("bad.tmpl"));
    }
}
