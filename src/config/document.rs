//! `prometheus.yml` as written, with our one extra key.

use super::alertmanagers::AlertingSettings;
use crate::alerts::config::{DampingSettings, ExpectedSettings};
use crate::ingest::config::{
    Global, HostMetrics, Opaque, OtlpSettings, ProbeSettings, ProbingSettings, PushSettings,
    ScrapeConfig,
};
use crate::model::{Labels, NameValidation};
use crate::notify::config::{File, HeartbeatSettings, OwnReceiverSettings};
use crate::storage::config::StorageSettings;
use crate::sys::settings::text_or_map;
use serde::{Deserialize, Deserializer, Serialize};
use std::path::PathBuf;

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Document {
    pub global: Global,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scrape_configs: Vec<ScrapeConfig>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scrape_config_files: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rule_files: Vec<String>,
    pub alerting: AlertingSettings,
    pub storage: StorageSettings,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remote_write: Vec<Opaque>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remote_read: Vec<Opaque>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<OtlpSettings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Opaque>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Opaque>,
    #[serde(skip_serializing_if = "WatchbellSection::is_default")]
    pub watchbell: WatchbellSection,
}

/// One file of `scrape_config_files`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ScrapeFile {
    pub scrape_configs: Vec<ScrapeConfig>,
}

/// A built-in rule file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Pack {
    /// Rules over the host's own metrics.
    Host,
    /// Rules over watchbell's own metrics.
    Watchbell,
}

impl Pack {
    /// The word in the file.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Watchbell => "watchbell",
        }
    }
}

/// `watchbell.alertmanager`: a file, or its content.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum AlertmanagerChoice {
    /// The file.
    Path(PathBuf),
    /// Its content.
    Inline(Box<File>),
}

impl<'de> Deserialize<'de> for AlertmanagerChoice {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        text_or_map(from, |path| Self::Path(path.into()), |file| Self::Inline(Box::new(file)))
    }
}

/// `watchbell`: what no other program's file has.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WatchbellSection {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<AlertmanagerChoice>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub receivers: Vec<OwnReceiverSettings>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exec_allowed: Vec<PathBuf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub file_allowed: Vec<PathBuf>,
    #[serde(skip_serializing_if = "HostMetrics::is_default")]
    pub host_metrics: HostMetrics,
    pub self_metrics: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub packs: Vec<Pack>,
    #[serde(skip_serializing_if = "PushSettings::is_default")]
    pub push: PushSettings,
    #[serde(skip_serializing_if = "ProbingSettings::is_default")]
    pub probing: ProbingSettings,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<ProbeSettings>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damping: Vec<DampingSettings>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<ExpectedSettings>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub heartbeats: Vec<HeartbeatSettings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sourcegraph: Option<Opaque>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tui: Option<Opaque>,
}

impl WatchbellSection {
    fn is_default(&self) -> bool {
        self.alertmanager.is_none()
            && self.receivers.is_empty()
            && self.exec_allowed.is_empty()
            && self.file_allowed.is_empty()
            && self.host_metrics.is_default()
            && !self.self_metrics
            && self.packs.is_empty()
            && self.push.is_default()
            && self.probing.is_default()
            && self.probes.is_empty()
            && self.damping.is_empty()
            && self.expected.is_empty()
            && self.heartbeats.is_empty()
            && self.sourcegraph.is_none()
            && self.tui.is_none()
    }
}

impl Document {
    /// `global.external_labels` with `$VAR` and `${VAR}` out of the environment.
    pub(super) fn external_labels(&self) -> Labels {
        let labels = self.global.external_labels.iter();
        Labels::from_pairs(labels.map(|(name, value)| (name.clone(), expand(&value.0))))
    }

    /// Which names of metrics and labels are valid where nothing says otherwise.
    pub(super) fn names(&self) -> NameValidation {
        match self.global.metric_name_validation_scheme.as_deref() {
            Some("legacy") => NameValidation::Legacy,
            Some(_) | None => NameValidation::Utf8,
        }
    }

    /// Takes out what names other files.
    pub(super) fn forget_files(&mut self) {
        self.rule_files.clear();
        self.scrape_config_files.clear();
        self.watchbell.probing.config_file = None;
        let alertmanager = &mut self.watchbell.alertmanager;
        alertmanager.take_if(|choice| matches!(choice, AlertmanagerChoice::Path(_)));
    }

    /// Sections that are known and have no effect here.
    pub(super) fn not_built(&self) -> Vec<String> {
        let sections = [
            ("remote_write", !self.remote_write.is_empty(), "samples are not sent on"),
            ("remote_read", !self.remote_read.is_empty(), "other stores are not read"),
            ("tracing", self.tracing.is_some(), "there is nothing to trace to"),
            ("runtime", self.runtime.is_some(), "it steers Go's garbage collector"),
            ("watchbell.sourcegraph", self.watchbell.sourcegraph.is_some(), "no site is followed"),
            ("watchbell.tui", self.watchbell.tui.is_some(), "the screens have no settings yet"),
        ];
        sections
            .into_iter()
            .filter(|(_, present, _)| *present)
            .map(|(name, _, why)| format!("section {name:?} is known and has no effect: {why}"))
            .collect()
    }
}

/// Go's `os.Expand` over the environment; `$$` is a dollar, an unset name is empty.
fn expand(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let (name, after) = match after.strip_prefix('{').and_then(|braced| braced.split_once('}'))
        {
            Some(braced) => braced,
            None => {
                let is_word = |c: char| c == '_' || c.is_ascii_alphanumeric();
                after.split_at(after.find(|c| !is_word(c)).unwrap_or(after.len()))
            }
        };
        out.push_str(&std::env::var(name).unwrap_or_default());
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::super::file::Source;
    use super::*;
    use std::path::Path;

    #[test]
    fn host_metrics_are_a_switch_or_a_map() {
        let typed = |text: &str| -> Result<Document, String> {
            let source = Source::parse(Path::new("a.yml"), text).expect("valid YAML");
            source.typed().map_err(|err| err.to_string())
        };
        for (section, on) in [
            ("{host_metrics: true}", true),
            ("{host_metrics: yes}", true),
            ("{host_metrics: off}", false),
            ("{}", false),
            ("{host_metrics: {netdev: {device_exclude: '^lo$'}}}", true),
        ] {
            let document = typed(&format!("watchbell: {section}")).expect("valid");
            assert_eq!(document.watchbell.host_metrics.on, on, "{section}");
        }
        let text = "watchbell:\n  host_metrics:\n    netdev:\n      device_exclud: a\n";
        let fault = typed(text).expect_err("an unknown key");
        let expected =
            "a.yml:4:7: unknown field \"device_exclud\"; did you mean \"device_exclude\"?";
        assert!(fault.starts_with(expected), "{fault}");
    }

    #[test]
    fn relabel_rules_that_are_shown_load_again_with_the_same_meaning() {
        let typed = |text: &str| -> Document {
            let source = Source::parse(Path::new("a.yml"), text).expect("valid YAML");
            source.typed().expect("fits")
        };
        let before = typed(
            "scrape_configs:
- job_name: a
  relabel_configs:
  - {action: labeldrop, regex: foo}
  - target_label: a
    regex:
    separator: null
    replacement: ~
  metric_relabel_configs:
  - {action: Keep, source_labels: [b], regex: 010, separator: '~'}
alerting:
  alert_relabel_configs:
  - {target_label: c, replacement: 'null'}
",
        );
        let shown = serde_yaml::to_string(&before).expect("writes");
        let after = typed(&shown);
        assert_eq!(after.scrape_configs, before.scrape_configs, "{shown}");
        assert_eq!(after.alerting, before.alerting, "{shown}");
        let rules = &before.scrape_configs[0].relabel_configs;
        let texts =
            rules.iter().map(|rule| (rule.separator.0.as_str(), rule.replacement.0.as_str()));
        assert_eq!(texts.collect::<Vec<_>>(), [(";", "$1"), ("", "")]);
    }

    #[test]
    fn external_labels_take_the_environment() {
        let home = std::env::var("PATH").expect("tests have a PATH");
        for (text, expected) in [
            ("a-$PATH-b", format!("a-{home}-b")),
            ("${PATH}x", format!("{home}x")),
            ("$$PATH", "$PATH".to_owned()),
            ("$SURELY_NOT_SET_HERE.", ".".to_owned()),
        ] {
            assert_eq!(expand(text), expected, "{text}");
        }
    }
}
