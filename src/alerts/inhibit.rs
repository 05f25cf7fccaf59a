//! Inhibition: a firing alert keeps others quiet.
//!
//! Source: prometheus/alertmanager, inhibit/inhibit.go. Ours looks at every source with equal
//! labels, where upstream's index remembers one of them.

use crate::model::{Fingerprint, Labels, Matcher};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The label that marks the alerts of fire drills.
pub const DRILL_LABEL: &str = "watchbell_drill";

/// One rule, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct InhibitRule {
    /// Its name, or empty.
    pub name: String,
    /// Alerts that keep others quiet.
    pub source: Vec<Matcher>,
    /// Alerts that are kept quiet.
    pub target: Vec<Matcher>,
    /// Labels that must be equal on both sides; an absent one equals an empty one.
    pub equal: BTreeSet<String>,
}

impl InhibitRule {
    fn is_source(&self, labels: &Labels) -> bool {
        self.source.iter().all(|matcher| matcher.matches(labels))
    }

    fn is_target(&self, labels: &Labels) -> bool {
        self.target.iter().all(|matcher| matcher.matches(labels))
    }

    fn equal_labels(&self, labels: &Labels) -> Labels {
        labels.filtered(|name| self.equal.contains(name))
    }
}

/// Sources of one rule by their equal labels, with whether each is also a target.
type Sources = HashMap<Labels, BTreeMap<Fingerprint, bool>>;

/// The rules with the alerts that may act as sources.
#[derive(Debug, Default)]
pub(super) struct Inhibitor {
    rules: Vec<(InhibitRule, Sources)>,
}

impl Inhibitor {
    /// The rules, without any alert yet.
    pub(super) fn new(rules: &[InhibitRule]) -> Self {
        Self { rules: rules.iter().map(|rule| (rule.clone(), Sources::new())).collect() }
    }

    /// Takes note of an alert; labels never change, so once is enough.
    pub(super) fn insert(&mut self, fingerprint: Fingerprint, labels: &Labels) {
        // A fire drill must not keep a real alert quiet.
        if labels.get(DRILL_LABEL).is_some() {
            return;
        }
        for (rule, sources) in &mut self.rules {
            if rule.is_source(labels) {
                let both = rule.is_target(labels);
                sources.entry(rule.equal_labels(labels)).or_default().insert(fingerprint, both);
            }
        }
    }

    /// Forgets an alert.
    pub(super) fn remove(&mut self, fingerprint: Fingerprint, labels: &Labels) {
        for (rule, sources) in &mut self.rules {
            let key = rule.equal_labels(labels);
            if let Some(found) = sources.get_mut(&key) {
                found.remove(&fingerprint);
                if found.is_empty() {
                    sources.remove(&key);
                }
            }
        }
    }

    /// The alert that keeps one with these labels quiet; `fires` tells whether an alert fires now.
    pub(super) fn inhibited_by(
        &self,
        labels: &Labels,
        fires: impl Fn(Fingerprint) -> bool,
    ) -> Option<Fingerprint> {
        self.inhibiting(labels, fires).map(|(_, source)| source)
    }

    /// The same with the rule by which it does.
    ///
    /// An alert on both sides of a rule is not kept quiet by another on both sides, itself
    /// included. A silenced source still acts.
    pub(super) fn inhibiting(
        &self,
        labels: &Labels,
        fires: impl Fn(Fingerprint) -> bool,
    ) -> Option<(&InhibitRule, Fingerprint)> {
        self.rules.iter().filter(|(rule, _)| rule.is_target(labels)).find_map(|(rule, sources)| {
            let on_both_sides = rule.is_source(labels);
            let found = sources.get(&rule.equal_labels(labels))?;
            found
                .iter()
                .find(|(source, both)| !(on_both_sides && **both) && fires(**source))
                .map(|(source, _)| (rule, *source))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::testing::{config, labels};

    const RULES: &str = "
route: {receiver: r}
inhibit_rules:
- {source_matchers: ['sev=\"page\"'], target_matchers: ['sev=~\"warn|page\"'], equal: [host, dc]}
- {source_match: {kind: src}, target_match_re: {kind: 't.*'}, equal: [absent]}
";

    #[test]
    fn t37_equal_labels_that_are_all_missing_are_equal() {
        let config = config(RULES);
        let mut inhibitor = Inhibitor::new(&config.inhibit_rules);
        let page = labels(&[("sev", "page"), ("host", "a")]);
        inhibitor.insert(page.fingerprint(), &page);
        let source = labels(&[("kind", "src")]);
        inhibitor.insert(source.fingerprint(), &source);
        let always = |_| true;
        for (target, by) in [
            (labels(&[("sev", "warn"), ("host", "a")]), Some(&page)),
            (labels(&[("sev", "warn"), ("host", "b")]), None),
            (labels(&[("sev", "warn"), ("host", "a"), ("dc", "x")]), None),
            // On both sides, as the source: not quiet, itself included.
            (page.clone(), None),
            (labels(&[("sev", "page"), ("host", "a"), ("x", "y")]), None),
            (labels(&[("kind", "tgt")]), Some(&source)),
        ] {
            let found = inhibitor.inhibited_by(&target, always);
            assert_eq!(found, by.map(Labels::fingerprint), "{target}");
        }
    }

    #[test]
    fn an_alert_of_a_fire_drill_keeps_nobody_quiet() {
        let mut inhibitor = Inhibitor::new(&config(RULES).inhibit_rules);
        let drill = labels(&[("sev", "page"), ("host", "a"), (DRILL_LABEL, "1")]);
        inhibitor.insert(drill.fingerprint(), &drill);
        let target = labels(&[("sev", "warn"), ("host", "a")]);
        assert_eq!(inhibitor.inhibited_by(&target, |_| true), None);
    }

    #[test]
    fn t37_only_a_firing_source_acts_and_another_may_take_its_place() {
        let config = config(RULES);
        let mut inhibitor = Inhibitor::new(&config.inhibit_rules);
        let one = labels(&[("sev", "page"), ("host", "a"), ("n", "1")]);
        let two = labels(&[("sev", "page"), ("host", "a"), ("n", "2")]);
        for source in [&one, &two] {
            inhibitor.insert(source.fingerprint(), source);
        }
        let target = labels(&[("sev", "warn"), ("host", "a")]);
        assert_eq!(inhibitor.inhibited_by(&target, |_| false), None);
        let only_two = |print| print == two.fingerprint();
        assert_eq!(inhibitor.inhibited_by(&target, only_two), Some(two.fingerprint()));
        inhibitor.remove(two.fingerprint(), &two);
        assert_eq!(inhibitor.inhibited_by(&target, only_two), None);
    }
}
