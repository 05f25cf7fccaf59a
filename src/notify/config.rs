//! `alertmanager.yml` as checked: receivers with their global defaults. The parts that decide are
//! `alerts::config`'s; how the file is written stands in `written.rs`, each kind of receiver in
//! `kinds`.
//!
//! Source: prometheus/alertmanager, config/config.go (Config.UnmarshalYAML).

pub use super::events::settings::{Batch, EventOutputPlan, EventRecorderSettings};
pub use super::heartbeat::{Heartbeat, HeartbeatSettings, check as check_heartbeats};
pub use super::opaque::Opaque;
pub use super::trial::{clients as check_clients, templates as check_templates};
pub use super::upstream::AlertmanagerSet;
pub use super::written::{File, Global, OwnReceiverSettings, ReceiverSettings};

use super::kinds::{Context, Written, check_url};
use super::sender::Made;
use crate::alerts::{self, IntegrationPlan, Options, ReceiverPlan, Settings};
use crate::model::{Labels, Problem};
use crate::sys::settings::Secret;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A value that stands in the file, or in another that is read when it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The value.
    Inline(Secret),
    /// The file.
    File(PathBuf),
}

impl Source {
    /// What is written; `None` when neither is.
    pub(super) fn of(inline: &Secret, file: Option<&PathBuf>) -> Option<Self> {
        match file.filter(|_| is_set(file)) {
            Some(file) => Some(Self::File(file.clone())),
            None if inline.is_empty() => None,
            None => Some(Self::Inline(inline.clone())),
        }
    }
}

/// Whether a file is named; an empty name is none, as upstream.
pub(super) fn is_set(file: Option<&PathBuf>) -> bool {
    file.is_some_and(|file| !file.as_os_str().is_empty())
}

/// What the site allows receivers to do on this host: nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Commands that may be run, as absolute names.
    pub commands: Vec<PathBuf>,
    /// Files that may be written to, and folders of such.
    pub files: Vec<PathBuf>,
}

/// A receiver, checked.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// How it is told, in order.
    pub(super) integrations: Vec<Made>,
}

impl Receiver {
    /// Its integrations with the place of each among those of its kind.
    pub(super) fn counted(&self) -> impl Iterator<Item = (u32, &Made)> {
        let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
        self.integrations.iter().map(move |one| {
            let next = seen.entry(one.kind()).or_default();
            let index = *next;
            *next += 1;
            (index, one)
        })
    }

    /// What the engine needs to know of it.
    pub fn plan(&self) -> ReceiverPlan {
        let plan = |(index, one): (u32, &Made)| IntegrationPlan {
            kind: one.kind().to_owned(),
            index,
            send_resolved: one.send_resolved(),
        };
        ReceiverPlan {
            name: self.name.clone(),
            labels: self.labels.clone(),
            integrations: self.counted().map(plan).collect(),
        }
    }
}

/// Receivers of `watchbell.receivers`, checked.
#[derive(Clone, Debug, Default)]
pub struct OwnReceivers {
    /// In their order.
    pub receivers: Vec<Receiver>,
    /// What is known and not built, and therefore skipped: to be told loudly.
    pub warnings: Vec<Problem>,
}

/// The checked file.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What the engine needs.
    pub alerts: alerts::Config,
    /// What `Receivers` needs.
    pub receivers: Vec<Receiver>,
    /// Who is told of events.
    pub events: Vec<EventOutputPlan>,
    /// What is known and not built, and therefore skipped: to be told loudly.
    pub warnings: Vec<Problem>,
}

impl File {
    /// Checks everything against everything.
    ///
    /// # Errors
    /// Every fault that Alertmanager would refuse the file for.
    pub fn check(&self, options: &Options) -> Result<Checked, Vec<Problem>> {
        self.check_with(Vec::new(), options)
    }

    /// The same with receivers of `watchbell.receivers`: each goes into the one of its name, or is
    /// one more.
    ///
    /// # Errors
    /// As `check`.
    pub fn check_with(
        &self,
        own: Vec<Receiver>,
        options: &Options,
    ) -> Result<Checked, Vec<Problem>> {
        let allowed = Allowed::default();
        let mut items = Items::new(&self.global, &allowed);
        items.problems.extend(self.global.problems());
        items.warnings.extend(self.warnings(options));
        let mut receivers: Vec<Receiver> = Vec::new();
        for (place, settings) in self.receivers.iter().enumerate() {
            let at = format!("receivers[{place}]");
            let ReceiverSettings { name, labels, .. } = settings;
            items.name(&at, name, &receivers);
            let labelled = labels.get("name").unwrap_or(name);
            if labelled != name {
                let text = format!(
                    "receiver label \"name\" must match receiver name {name:?}, got {labelled:?}"
                );
                items.problems.push(Problem::new(format!("{at}.labels"), text));
            }
            let integrations = items.integrations(&at, settings.items());
            let (name, labels) = (name.clone(), labels.clone());
            receivers.push(Receiver { name, labels, integrations });
        }
        let Items { mut problems, warnings, .. } = items;
        let events = self.event_recorder.as_ref().map_or(Ok(Vec::new()), |one| one.check());
        let mut events = events.unwrap_or_else(|faults| {
            problems.extend(faults.into_iter().map(|one| one.below("event_recorder")));
            Vec::new()
        });
        if !options.event_recorder {
            events.clear();
        }
        merge(&mut receivers, own);
        let plans: Vec<_> = receivers.iter().map(Receiver::plan).collect();
        let settings = Settings {
            resolve_timeout: self.global.resolve_timeout,
            route: self.route.clone(),
            inhibit_rules: self.inhibit_rules.clone(),
            time_intervals: self.time_intervals.clone(),
            mute_time_intervals: self.mute_time_intervals.clone(),
        };
        match settings.check(&plans, options) {
            Ok(alerts) if problems.is_empty() => {
                let alerts = alerts::Config { recorded: !events.is_empty(), ..alerts };
                Ok(Checked { alerts, receivers, events, warnings })
            }
            Ok(_) => Err(problems),
            Err(more) => {
                problems.extend(more);
                Err(problems)
            }
        }
    }

    /// Checks `watchbell.receivers` against this file's `global` and what the site allows; places
    /// are below `receivers`.
    ///
    /// # Errors
    /// Every fault.
    pub fn check_own(
        &self,
        own: &[OwnReceiverSettings],
        allowed: &Allowed,
    ) -> Result<OwnReceivers, Vec<Problem>> {
        let mut items = Items::new(&self.global, allowed);
        let mut receivers: Vec<Receiver> = Vec::new();
        for (place, settings) in own.iter().enumerate() {
            let at = format!("receivers[{place}]");
            let name = &settings.name;
            items.name(&at, name, &receivers);
            let integrations = items.integrations(&at, settings.items());
            let (name, labels) = (name.clone(), Labels::empty());
            receivers.push(Receiver { name, labels, integrations });
        }
        let Items { problems, warnings, .. } = items;
        if problems.is_empty() { Ok(OwnReceivers { receivers, warnings }) } else { Err(problems) }
    }

    fn warnings(&self, options: &Options) -> Vec<Problem> {
        let tracing = self.tracing.as_ref();
        let tracing =
            tracing.map(|_| Problem::new("tracing", "tracing is known but not built yet"));
        let recorder = self.event_recorder.as_ref();
        let events = recorder.map(|one| one.warnings(options.event_recorder)).unwrap_or_default();
        tracing.into_iter().chain(events).chain(self.mail_warnings()).collect()
    }

    /// What the library that speaks SMTP does not do.
    fn mail_warnings(&self) -> impl Iterator<Item = Problem> {
        let own = self.receivers.iter().enumerate().flat_map(|(place, receiver)| {
            receiver.email_configs.iter().enumerate().map(move |(index, mail)| {
                let at = format!("receivers[{place}].email_configs[{index}].tls_config");
                (at, &mail.tls_config)
            })
        });
        let global = ("global.smtp_tls_config".to_owned(), &self.global.smtp_tls_config);
        std::iter::once(global).chain(own).filter_map(|(at, tls)| {
            tls.as_ref()?.max_version.as_ref().filter(|version| *version != "TLS13")?;
            let text =
                "max_version has no effect on mail: TLS13 is spoken with servers that know it";
            Some(Problem::new(format!("{at}.max_version"), text))
        })
    }
}

/// Puts the integrations of `own` after those of the receiver of the same name.
fn merge(receivers: &mut Vec<Receiver>, own: Vec<Receiver>) {
    for one in own {
        match receivers.iter_mut().find(|receiver| receiver.name == one.name) {
            Some(receiver) => receiver.integrations.extend(one.integrations),
            None => receivers.push(one),
        }
    }
}

/// Checks items of receivers and gathers what is said about them.
struct Items<'a> {
    context: Context<'a>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'a> Items<'a> {
    fn new(global: &'a Global, allowed: &'a Allowed) -> Self {
        let context = Context { global, allowed };
        Self { context, problems: Vec::new(), warnings: Vec::new() }
    }

    fn name(&mut self, at: &str, name: &str, before: &[Receiver]) {
        if name.is_empty() {
            self.problems.push(Problem::new(at, "missing name in receiver"));
        }
        if before.iter().any(|receiver| receiver.name == name) {
            let text = format!("notification config name {name:?} is not unique");
            self.problems.push(Problem::new(format!("{at}.name"), text));
        }
    }

    fn integrations(
        &mut self,
        at: &str,
        lists: Vec<(&'static str, Vec<&dyn Written>)>,
    ) -> Vec<Made> {
        let mut made = Vec::new();
        for (kind, items) in lists {
            for (place, item) in items.into_iter().enumerate() {
                match item.check(&format!("{at}.{kind}_configs[{place}]"), &self.context) {
                    Ok(one) => made.push(one),
                    Err(problem) => self.problems.push(problem),
                }
            }
        }
        made
    }
}

impl Global {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(http) = &self.http_config {
            problems.extend(http.check("global.http_config").err());
        }
        if let Some(tls) = &self.smtp_tls_config {
            problems.extend(tls.check("global.smtp_tls_config").err());
        }
        for (what, value, file) in [
            ("smtp_auth_password", &self.smtp_auth_password, &self.smtp_auth_password_file),
            ("smtp_auth_secret", &self.smtp_auth_secret, &self.smtp_auth_secret_file),
            ("slack_app_token", &self.slack_app_token, &self.slack_app_token_file),
            ("slack_api_url", &self.slack_api_url, &self.slack_api_url_file),
            ("opsgenie_api_key", &self.opsgenie_api_key, &self.opsgenie_api_key_file),
            ("victorops_api_key", &self.victorops_api_key, &self.victorops_api_key_file),
            ("telegram_bot_token", &self.telegram_bot_token, &self.telegram_bot_token_file),
            ("rocketchat_token", &self.rocketchat_token, &self.rocketchat_token_file),
            ("rocketchat_token_id", &self.rocketchat_token_id, &self.rocketchat_token_id_file),
            ("wechat_api_secret", &self.wechat_api_secret, &self.wechat_api_secret_file),
            (
                "mattermost_webhook_url",
                &self.mattermost_webhook_url,
                &self.mattermost_webhook_url_file,
            ),
        ] {
            if !value.is_empty() && is_set(file.as_ref()) {
                let text = format!("at most one of {what} & {what}_file must be configured");
                problems.push(Problem::new("global", text));
            }
        }
        let token = !self.slack_app_token.is_empty() || is_set(self.slack_app_token_file.as_ref());
        let hook = !self.slack_api_url.is_empty() || is_set(self.slack_api_url_file.as_ref());
        // A bot's token beside the web hooks' URL is one way too many, unless both lead to bots.
        if token && hook && self.slack_api_url.reveal() != self.slack_app_url.reveal() {
            let text = "at most one of slack_app_token/slack_app_token_file & \
                        slack_api_url/slack_api_url_file must be configured";
            problems.push(Problem::new("global", text));
        }
        let host = &self.smtp_smarthost;
        let port = host.rsplit_once(':').map(|(_, port)| port).unwrap_or_default();
        if !host.is_empty() && port.is_empty() {
            let text = format!("cannot read address {host:?}; write host:port");
            problems.push(Problem::new("global.smtp_smarthost", text));
        }
        problems.extend(self.wrong_urls());
        problems
    }

    fn wrong_urls(&self) -> impl Iterator<Item = Problem> {
        [
            ("slack_api_url", self.slack_api_url.reveal()),
            ("slack_app_url", self.slack_app_url.reveal()),
            ("pagerduty_url", self.pagerduty_url.reveal()),
            ("opsgenie_api_url", self.opsgenie_api_url.reveal()),
            ("telegram_api_url", self.telegram_api_url.reveal()),
            ("mattermost_webhook_url", self.mattermost_webhook_url.reveal()),
            ("webex_api_url", self.webex_api_url.reveal()),
            ("rocketchat_api_url", self.rocketchat_api_url.reveal()),
            ("victorops_api_url", self.victorops_api_url.reveal()),
            ("wechat_api_url", self.wechat_api_url.reveal()),
            ("jira_api_url", self.jira_api_url.reveal()),
        ]
        .into_iter()
        .filter(|(_, url)| !url.is_empty())
        .filter_map(|(key, url)| check_url(&format!("global.{key}"), url).err())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str) -> Result<Checked, Vec<String>> {
        let file: File = serde_yaml::from_str(yaml).expect("reads");
        let told = |all: Vec<Problem>| all.iter().map(Problem::to_string).collect();
        file.check(&Options::default()).map_err(told)
    }

    #[test]
    fn a_limit_that_mail_does_not_have_is_told() {
        let tls = "tls_config: {max_version: TLS12}";
        let yaml = format!(
            "{{global: {{smtp_{tls}, smtp_smarthost: 'x:25', smtp_from: a@b}}, route: {{receiver: \
             r}}, receivers: [{{name: r, email_configs: [{{to: a@b, {tls}}}, {{to: a@b}}]}}]}}"
        );
        let places: Vec<_> =
            check(&yaml).expect("valid").warnings.into_iter().map(|one| one.at).collect();
        let own = "receivers[0].email_configs[0].tls_config.max_version";
        assert_eq!(places, ["global.smtp_tls_config.max_version", own]);
    }

    #[test]
    fn what_alertmanager_refuses_is_refused_with_its_place() {
        for (receivers, expected) in [
            (
                "[{name: r}, {name: r}]",
                "receivers[1].name: notification config name \"r\" is not unique",
            ),
            ("[{}]", "receivers[0]: missing name in receiver"),
            (
                "[{name: r, labels: {name: x}}]",
                "receivers[0].labels: receiver label \"name\" must match receiver name \"r\", got \"x\"",
            ),
            (
                "[{name: r, webhook_configs: [{}]}]",
                "receivers[0].webhook_configs[0]: one of url or url_file must be configured",
            ),
            (
                "[{name: r, webhook_configs: [{url: 'http://x', url_file: y}]}]",
                "receivers[0].webhook_configs[0]: at most one of url & url_file",
            ),
            (
                "[{name: r, webhook_configs: [{url: 'ftp://x'}]}]",
                "receivers[0].webhook_configs[0].url: unsupported scheme",
            ),
            (
                "[{name: r, email_configs: [{to: a@b}]}]",
                "receivers[0].email_configs[0]: no global SMTP smarthost set",
            ),
            (
                "[{name: r, email_configs: [{to: a@b, smarthost: 'x:25'}]}]",
                "receivers[0].email_configs[0]: no global SMTP from set",
            ),
            (
                "[{name: r, email_configs: [{smarthost: 'x:25', from: a@b}]}]",
                "receivers[0].email_configs[0]: missing to address",
            ),
            (
                "[{name: r, email_configs: [{to: a@b, smarthost: 'x:25', from: a@b, headers: {subject: a, Subject: b}}]}]",
                "receivers[0].email_configs[0].headers.subject: duplicate header \"Subject\"",
            ),
            (
                "[{name: r, email_configs: [{to: a@b, smarthost: 'x', from: a@b}]}]",
                "receivers[0].email_configs[0].smarthost: cannot read address \"x\"",
            ),
        ] {
            let found = check(&format!("{{route: {{receiver: r}}, receivers: {receivers}}}"));
            let found = found.expect_err(receivers);
            assert!(found.iter().any(|one| one.starts_with(expected)), "{receivers}: {found:?}");
        }
    }

    #[test]
    fn integrations_stand_in_the_order_of_upstream_and_count_within_their_kind() {
        let yaml = "
global: {slack_api_url: 'https://hooks.slack.com/x', smtp_smarthost: 'mx:465', smtp_from: a@b, smtp_auth_password: hush}
route: {receiver: r}
receivers:
- name: r
  wechat_configs: [{api_secret: x, corp_id: y}]
  webhook_configs: [{url: 'http://x', max_alerts: 3}, {url_file: /x, send_resolved: false}]
  email_configs: [{to: c@d}]
";
        let checked = check(yaml).expect("valid");
        assert_eq!(checked.warnings, []);
        let plan = checked.receivers[0].plan();
        let plan: Vec<_> = plan
            .integrations
            .iter()
            .map(|one| (one.kind.as_str(), one.index, one.send_resolved))
            .collect();
        let expected = [
            ("webhook", 0, true),
            ("webhook", 1, false),
            ("email", 0, false),
            ("wechat", 0, false),
        ];
        assert_eq!(plan, expected);
    }

    #[test]
    fn own_receivers_go_into_those_of_their_name() {
        let receivers: Vec<Receiver> = check(
            "{route: {receiver: a}, receivers: [{name: a, webhook_configs: [{url: 'http://a'}]}, \
             {name: b, labels: {name: b, x: y}, webhook_configs: [{url: 'http://b'}]}]}",
        )
        .expect("valid")
        .receivers;
        let one = |name: &str| Receiver { name: name.to_owned(), ..receivers[1].clone() };
        let mut merged = receivers.clone();
        merge(&mut merged, vec![one("a"), one("c")]);
        let plans: Vec<_> = merged.iter().map(Receiver::plan).collect();
        let seen: Vec<_> = plans
            .iter()
            .map(|plan| {
                let places: Vec<_> = plan.integrations.iter().map(|one| one.index).collect();
                (plan.name.as_str(), places)
            })
            .collect();
        assert_eq!(seen, [("a", vec![0, 1]), ("b", vec![0]), ("c", vec![0])]);
    }

    #[test]
    fn own_receivers_are_checked_by_their_own_place() {
        let file: File = serde_yaml::from_str("{}").expect("reads");
        let own = |yaml: &str| {
            let own: Vec<OwnReceiverSettings> = serde_yaml::from_str(yaml).expect("reads");
            file.check_own(&own, &Allowed::default())
        };
        let wrong = own("[{name: a}, {name: a}, {}]").expect_err("wrong");
        let told: Vec<_> = wrong.iter().map(Problem::to_string).collect();
        assert_eq!(
            told,
            [
                "receivers[1].name: notification config name \"a\" is not unique",
                "receivers[2]: missing name in receiver"
            ]
        );
        assert!(own("[{name: a}]").is_ok_and(|own| own.receivers.len() == 1));
    }

    #[test]
    fn empty_values_are_nothing() {
        // Alertmanager 0.25 takes the first and refuses the second.
        let yaml = "{global: {slack_api_url: 'http://x', slack_api_url_file: '', smtp_from: , \
                    resolve_timeout: , smtp_require_tls: ~, opsgenie_api_key: }, \
                    route: {receiver: r, continue: , routes: [{continue: ~}]}, \
                    receivers: [{name: r, slack_configs: [{channel: x}], \
                    pagerduty_configs: [{routing_key: x, routing_key_file: ''}]}]}";
        let file: File = serde_yaml::from_str(yaml).expect("reads");
        // Nothing, and not the default: what its status shows.
        assert_eq!(file.global.resolve_timeout, crate::sys::settings::Span::seconds(0));
        assert!(!file.global.smtp_require_tls);
        assert!(check(yaml).is_ok(), "{:?}", check(yaml));
        let yaml = "{route: {receiver: r}, \
                    receivers: [{name: r, slack_configs: [{channel: x, api_url_file: ''}]}]}";
        assert!(check(yaml).is_err());
    }

    #[test]
    fn global_settings_that_contradict_each_other_are_refused() {
        for (global, expected) in [
            (
                "{opsgenie_api_key: x, opsgenie_api_key_file: y}",
                "global: at most one of opsgenie_api_key & opsgenie_api_key_file must be configured",
            ),
            (
                "{slack_app_token: x, slack_api_url: 'https://hooks'}",
                "global: at most one of slack_app_token/slack_app_token_file & \
                 slack_api_url/slack_api_url_file must be configured",
            ),
            (
                "{smtp_smarthost: mx}",
                "global.smtp_smarthost: cannot read address \"mx\"; write host:port",
            ),
            (
                "{pagerduty_url: 'gopher://x'}",
                "global.pagerduty_url: unsupported scheme \"gopher\" for URL",
            ),
        ] {
            let yaml =
                format!("{{global: {global}, route: {{receiver: r}}, receivers: [{{name: r}}]}}");
            assert_eq!(check(&yaml).expect_err(global), [expected]);
        }
        let both = "{slack_app_token: x, slack_api_url: 'https://slack.com/api/chat.postMessage'}";
        let yaml = format!("{{global: {both}, route: {{receiver: r}}, receivers: [{{name: r}}]}}");
        assert!(check(&yaml).is_ok());
    }

    #[test]
    fn events_are_recorded_when_a_flag_and_the_file_say_so() {
        let file = |outputs: &str| -> File {
            let routes = "route: {receiver: r}, receivers: [{name: r}]";
            let yaml = format!("{{{routes}, event_recorder: {outputs}}}");
            serde_yaml::from_str(&yaml).expect("reads")
        };
        let some = file("{file_outputs: [{path: events.jsonl}], stdout_outputs: [{}]}");
        for (file, event_recorder, outputs, warnings) in [
            (&some, true, 2, 0),
            (&some, false, 0, 1),
            (&file("{kafka_outputs: [{topic: t}]}"), true, 0, 1),
            (&file(""), true, 0, 0),
        ] {
            let options = Options { event_recorder, ..Options::default() };
            let checked = file.check(&options).expect("valid");
            let found = (checked.events.len(), checked.warnings.len(), checked.alerts.recorded);
            assert_eq!(found, (outputs, warnings, outputs > 0), "{:?}", checked.warnings);
        }
        // Wrong settings are wrong whatever the flag says.
        let wrong = file("{webhook_outputs: [{}]}").check(&Options::default()).expect_err("no url");
        let told: Vec<_> = wrong.iter().map(Problem::to_string).collect();
        assert_eq!(told, ["event_recorder.webhook_outputs[0]: missing url in webhook output"]);
    }

    #[test]
    fn no_secret_is_written_back() {
        let yaml = "
global: {slack_api_url: 'https://canary1', smtp_auth_password: canary2, telegram_bot_token: canary3}
route: {receiver: r}
receivers:
- name: r
  pagerduty_configs: [{routing_key: canary4}]
  webhook_configs: [{url: 'http://h/canary5', http_config: {basic_auth: {username: u, password: canary6}}}]
  email_configs: [{to: c@d, auth_secret: canary7}]
event_recorder: {webhook_outputs: [{url: 'http://h/canary8', http_config: {bearer_token: canary9}}]}
";
        let file: File = serde_yaml::from_str(yaml).expect("reads");
        let shown = format!("{} {file:?}", serde_yaml::to_string(&file).expect("writes"));
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn unknown_keys_are_refused() {
        for yaml in [
            "global: {smtp_smart_host: x}",
            "receivers: [{name: r, slak_configs: []}]",
            "receivers: [{name: r, webhook_configs: [{uri: x}]}]",
            "nonsense: 1",
        ] {
            assert!(serde_yaml::from_str::<File>(yaml).is_err(), "{yaml}");
        }
        assert!(serde_yaml::from_str::<File>("{global: , route: {receiver: r, routes: }}").is_ok());
    }
}
