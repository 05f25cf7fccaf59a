//! Acknowledgements: somebody has seen an alert and works on it.

use super::error::AckError;
use crate::model::{Fingerprint, Timestamp};
use std::collections::BTreeMap;

/// An acknowledgement that somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckDraft {
    /// The alerts.
    pub fingerprints: Vec<Fingerprint>,
    /// Who works on them.
    pub by: String,
    /// What is said about it.
    pub comment: String,
}

/// The acknowledgement of one alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Who works on it.
    pub by: String,
    /// What is said about it.
    pub comment: String,
    /// Since when.
    pub at: Timestamp,
}

/// All acknowledgements, by alert.
#[derive(Debug, Default)]
pub(super) struct Acks {
    by_alert: BTreeMap<Fingerprint, Ack>,
}

impl Acks {
    pub(super) fn set(&mut self, print: Fingerprint, ack: Ack) {
        self.by_alert.insert(print, ack);
    }

    pub(super) fn get(&self, print: Fingerprint) -> Option<&Ack> {
        self.by_alert.get(&print)
    }

    pub(super) fn contains(&self, print: Fingerprint) -> bool {
        self.by_alert.contains_key(&print)
    }

    /// Ends those of alerts that no longer fire, and says which they were.
    pub(super) fn end(&mut self, fires: impl Fn(Fingerprint) -> bool) -> Vec<Fingerprint> {
        let over = |print: &Fingerprint| !fires(*print);
        self.by_alert.extract_if(.., |print, _| over(print)).map(|(print, _)| print).collect()
    }

    /// Acknowledges all of the draft's alerts or none, and says which they were.
    pub(super) fn acknowledge(
        &mut self,
        draft: &AckDraft,
        fires: impl Fn(Fingerprint) -> bool,
        now: Timestamp,
    ) -> Result<Vec<Fingerprint>, AckError> {
        if let Some(other) = draft.fingerprints.iter().find(|print| !fires(**print)) {
            return Err(AckError::NotFiring(*other));
        }
        let ack = Ack { by: draft.by.clone(), comment: draft.comment.clone(), at: now };
        draft.fingerprints.iter().for_each(|print| self.set(*print, ack.clone()));
        Ok(draft.fingerprints.clone())
    }

    /// Takes back those of these alerts that are acknowledged, and says which they were.
    pub(super) fn withdraw(
        &mut self,
        prints: &[Fingerprint],
    ) -> Result<Vec<Fingerprint>, AckError> {
        let known: Vec<_> =
            prints.iter().copied().filter(|print| self.by_alert.remove(print).is_some()).collect();
        match (known.is_empty(), prints.first()) {
            (true, Some(first)) => Err(AckError::NotAcknowledged(*first)),
            _ => Ok(known),
        }
    }
}
