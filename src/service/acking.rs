//! Acknowledgements: who may be meant by them, and how they end up in the engine.

use super::forms;
use super::start::Service;
use crate::alerts::{AckDraft, AckError, Answer, Event};
use crate::model::{Fingerprint, Matcher};
use crate::wire::{AckRequest, Error};

/// Bytes of a name and of a comment.
const TEXT_BYTES_MAX: usize = 4_096;

impl Service {
    /// Acknowledges the alerts that are meant: all of them or none.
    pub(super) fn take_ack(&self, request: &AckRequest) -> Result<usize, Error> {
        check(&request.by)?;
        if request.comment.len() > TEXT_BYTES_MAX {
            let text = format!("the comment is longer than {TEXT_BYTES_MAX} bytes");
            return Err(Error::bad_data(text));
        }
        let (by, comment) = (request.by.clone(), request.comment.clone());
        let fingerprints = self.meant(request)?;
        self.ack_answered(Event::Acknowledged(AckDraft { fingerprints, by, comment }))
    }

    /// Takes one acknowledgement back.
    pub(super) fn take_ack_back(&self, fingerprint: &str, by: &str) -> Result<(), Error> {
        check(by)?;
        let print: Fingerprint = fingerprint.parse().map_err(Error::bad_data)?;
        self.ack_answered(Event::AckWithdrawn(vec![print], by.to_owned())).map(|_| ())
    }

    fn meant(&self, request: &AckRequest) -> Result<Vec<Fingerprint>, Error> {
        if !request.fingerprints.is_empty() {
            let prints = request.fingerprints.iter();
            return prints.map(|text| text.parse().map_err(Error::bad_data)).collect();
        }
        let forms = request.matchers.iter().cloned();
        let matchers: Vec<Matcher> = forms.map(forms::matcher).collect::<Result<_, _>>()?;
        if matchers.is_empty() {
            return Err(Error::bad_data("no fingerprints and no matchers say which alerts"));
        }
        let firing = self.running()?.alerting.view(|engine, now| engine.firing_alerts(now));
        let meant = firing
            .iter()
            .filter(|view| matchers.iter().all(|matcher| matcher.matches(&view.alert.labels)));
        let prints: Vec<_> = meant.map(|view| view.fingerprint).collect();
        match prints.is_empty() {
            true => Err(Error::not_found("no firing alert has these labels")),
            false => Ok(prints),
        }
    }

    fn ack_answered(&self, event: Event) -> Result<usize, Error> {
        let (answer, not_stored) = self.running()?.alerting.asked(event);
        let Some(Answer::Ack(answer)) = answer else {
            panic!("BUG: an acknowledgement without an answer");
        };
        let count = answer.map_err(|err: AckError| Error::not_found(err.to_string()))?;
        match not_stored {
            None => Ok(count),
            Some(reason) => Err(Error::internal(format!(
                "cannot store the acknowledgement, so it may not survive a restart: {reason}"
            ))),
        }
    }
}

fn check(by: &str) -> Result<(), Error> {
    if by.trim().is_empty() || by.len() > TEXT_BYTES_MAX {
        return Err(Error::bad_data(format!("by must say who, in 1 to {TEXT_BYTES_MAX} bytes")));
    }
    Ok(())
}
