//! `alerting` of `prometheus.yml`: what changes every alert on its way out, and Alertmanagers beside
//! the built-in one.
//!
//! Source: prometheus/prometheus, config/config.go (AlertingConfig).

use crate::ingest::config::{
    Discovery, DnsSdConfig, DockerSdConfig, FileSdConfig, HttpSdConfig, Opaque, Sections,
    TargetGroup, UNBUILT_DISCOVERY, check_addresses,
};
use crate::model::relabel::Rule;
use crate::model::{NameValidation, Problem, nearest_name};
use crate::notify::config::AlertmanagerSet;
use crate::sys::settings::{self, HttpClientSettings, RelabelSettings, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Keys that are offered for a misspelt one.
const KEYS: [&str; 10] = [
    "static_configs",
    "file_sd_configs",
    "http_sd_configs",
    "dns_sd_configs",
    "docker_sd_configs",
    "scheme",
    "path_prefix",
    "timeout",
    "relabel_configs",
    "alert_relabel_configs",
];

/// One item of `alertmanagers`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct AlertmanagerSettings {
    pub scheme: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path_prefix: String,
    pub timeout: Span,
    pub api_version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub static_configs: Vec<TargetGroup>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub file_sd_configs: Vec<FileSdConfig>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http_sd_configs: Vec<HttpSdConfig>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_sd_configs: Vec<DnsSdConfig>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub docker_sd_configs: Vec<DockerSdConfig>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relabel_configs: Vec<RelabelSettings>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alert_relabel_configs: Vec<RelabelSettings>,
    #[serde(flatten)]
    pub http: HttpClientSettings,
    /// Everything else; `check` tells what is unknown and what is not built.
    #[serde(flatten)]
    pub others: BTreeMap<String, Opaque>,
}

impl Default for AlertmanagerSettings {
    fn default() -> Self {
        Self {
            scheme: "http".to_owned(),
            path_prefix: String::new(),
            timeout: Span::seconds(10),
            api_version: "v2".to_owned(),
            static_configs: Vec::new(),
            file_sd_configs: Vec::new(),
            http_sd_configs: Vec::new(),
            dns_sd_configs: Vec::new(),
            docker_sd_configs: Vec::new(),
            relabel_configs: Vec::new(),
            alert_relabel_configs: Vec::new(),
            http: HttpClientSettings::default(),
            others: BTreeMap::new(),
        }
    }
}

/// `alerting`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AlertingSettings {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alert_relabel_configs: Vec<RelabelSettings>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alertmanagers: Vec<AlertmanagerSettings>,
}

/// `alerting`, checked.
#[derive(Clone, Debug, Default)]
pub struct Alerting {
    /// For alerts on their way to any Alertmanager, ours included.
    pub alert_relabel: Vec<Rule>,
    /// The items of `alertmanagers`.
    pub others: Vec<OtherAlertmanagers>,
    /// What is known and not built: to be told loudly.
    pub(super) warnings: Vec<Problem>,
}

/// An item of `alertmanagers`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct OtherAlertmanagers {
    /// How they are found among addresses, and talked to.
    pub set: AlertmanagerSet,
    /// Addresses that the file names.
    pub groups: Vec<TargetGroup>,
    /// Sections that name more.
    pub discovery: Vec<Discovery>,
}

impl AlertingSettings {
    /// Checks the section; relative paths start at `base`, and `names` says which names of labels
    /// are valid.
    ///
    /// # Errors
    /// Every fault that Prometheus would refuse the file for.
    pub(super) fn check(
        &self,
        base: &Path,
        names: NameValidation,
    ) -> Result<Alerting, Vec<Problem>> {
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        let alert_relabel =
            rules("alert_relabel_configs", &self.alert_relabel_configs, names, &mut problems);
        let mut others = Vec::new();
        for (place, settings) in self.alertmanagers.iter().enumerate() {
            let at = format!("alertmanagers[{place}]");
            let (mut faults, mut notes) = (Vec::new(), Vec::new());
            others.push(settings.check(base, names, &mut notes, &mut faults));
            problems.extend(faults.into_iter().map(|problem| problem.below(&at)));
            warnings.extend(notes.into_iter().map(|problem| problem.below(&at)));
        }
        match problems.is_empty() {
            true => Ok(Alerting { alert_relabel, others, warnings }),
            false => Err(problems),
        }
    }
}

impl AlertmanagerSettings {
    fn check(
        &self,
        base: &Path,
        names: NameValidation,
        warnings: &mut Vec<Problem>,
        problems: &mut Vec<Problem>,
    ) -> OtherAlertmanagers {
        for key in self.others.keys() {
            if key == "sigv4" || UNBUILT_DISCOVERY.contains(&key.as_str()) {
                let text = format!("{key} is known but not built yet and has no effect");
                warnings.push(Problem::new(key, text));
            } else {
                let hint = nearest_name(key, KEYS)
                    .map(|name| format!("; did you mean {name:?}?"))
                    .unwrap_or_default();
                problems.push(Problem::new(key, format!("unknown field {key:?}{hint}")));
            }
        }
        if self.api_version != "v2" {
            let found = &self.api_version;
            let text =
                format!("expected Alertmanager api version to be one of [v2]; found {found:?}");
            problems.push(Problem::new("api_version", text));
        }
        problems.extend(self.http.check("").err());
        if self.relabel_configs.is_empty() {
            problems.extend(check_addresses(&self.static_configs));
        }
        let sections = Sections {
            files: &self.file_sd_configs,
            http: &self.http_sd_configs,
            dns: &self.dns_sd_configs,
            docker: &self.docker_sd_configs,
        };
        let (discovery, faults) = sections.check(base);
        problems.extend(faults);
        OtherAlertmanagers {
            set: AlertmanagerSet {
                scheme: self.scheme.clone(),
                path_prefix: self.path_prefix.clone(),
                timeout: self.timeout.0,
                http: self.http.clone(),
                relabel: rules("relabel_configs", &self.relabel_configs, names, problems),
                alert_relabel: rules(
                    "alert_relabel_configs",
                    &self.alert_relabel_configs,
                    names,
                    problems,
                ),
            },
            groups: self.static_configs.clone(),
            discovery,
        }
    }
}

fn rules(
    at: &str,
    list: &[RelabelSettings],
    names: NameValidation,
    problems: &mut Vec<Problem>,
) -> Vec<Rule> {
    settings::relabel_rules(at, list, names).unwrap_or_else(|more| {
        problems.extend(more);
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str) -> Result<Alerting, Vec<String>> {
        let settings: AlertingSettings = serde_yaml::from_str(yaml).expect("reads");
        let texts = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect();
        settings.check(Path::new("/etc/w"), NameValidation::Utf8).map_err(texts)
    }

    #[test]
    fn every_way_to_find_them_is_taken() {
        let alerting = check(
            "
alertmanagers:
- static_configs: [{targets: ['a:9093'], labels: {dc: x}}]
  file_sd_configs: [{files: [am/*.yml]}]
  http_sd_configs: [{url: 'http://sd/am'}]
  dns_sd_configs: [{names: [_am._tcp.x]}]
  timeout: 3s
  basic_auth: {username: me, password: p}
",
        );
        let others = alerting.expect("valid").others;
        let [one] = others.as_slice() else { panic!("{others:?}") };
        let kinds: Vec<_> = one.discovery.iter().map(Discovery::name).collect();
        assert_eq!(kinds, ["file_sd_configs", "http_sd_configs", "dns_sd_configs"]);
        let Some(Discovery::Files(files)) = one.discovery.first() else { panic!("{one:?}") };
        assert_eq!(files.patterns, [Path::new("/etc/w/am/*.yml")]);
        assert_eq!(one.groups[0].targets, ["a:9093"]);
        assert_eq!(one.set.timeout, std::time::Duration::from_secs(3));
        assert!(one.set.http.basic_auth.is_some());
    }

    #[test]
    fn rules_are_held_to_the_names_that_are_valid() {
        let yaml = "{alert_relabel_configs: [{target_label: a.b}], alertmanagers: \
            [{relabel_configs: [{target_label: a.b}]}]}";
        let settings: AlertingSettings = serde_yaml::from_str(yaml).expect("reads");
        let check = |names| settings.check(Path::new("/"), names).map_err(|found| found.len());
        assert!(check(NameValidation::Utf8).is_ok());
        assert_eq!(check(NameValidation::Legacy).err(), Some(2));
    }

    #[test]
    fn what_is_wrong_is_told_at_once_and_what_is_not_built_is_told() {
        let problems = check(
            "
alertmanagers:
- static_config: []
- {api_version: v1, static_configs: [{targets: ['http://a:9093']}]}
- file_sd_configs: [{files: []}]
- dns_sd_configs: [{names: [x], type: A}]
",
        );
        let expected = [
            "alertmanagers[0].static_config: unknown field \"static_config\"; did you mean \"static_configs\"?",
            "alertmanagers[1].api_version: expected Alertmanager api version to be one of [v2]; found \"v1\"",
            "alertmanagers[1].static_configs[0].targets[0]: \"http://a:9093\" is not a valid hostname",
            "alertmanagers[2].file_sd_configs[0].files: file service discovery config must contain at least one path name",
            "alertmanagers[3].dns_sd_configs[0].port: a port is required in DNS-SD configs for all record types except SRV",
        ];
        assert_eq!(problems.expect_err("wrong"), expected);
        let alerting = check("alertmanagers: [{consul_sd_configs: [{server: x}]}]").expect("valid");
        assert_eq!(alerting.warnings[0].at, "alertmanagers[0].consul_sd_configs");
    }
}
