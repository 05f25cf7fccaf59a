//! What others write into the store: decoded by `ingest`, stored, and answered for.

use super::start::{Service, has_feature};
use crate::ingest::otlp;
use crate::ingest::receive::{self, ReceiveError, Received};
use crate::storage::Storage;
use crate::storage::append::{AppendError, Appender as _, Commit, Committed};
use crate::wire::{Error, ErrorKind, OtlpOutcome, RawWrite, WriteOutcome, Written};

impl Service {
    /// Stores a remote-write request.
    pub(super) fn take_write(&self, request: &RawWrite) -> Result<WriteOutcome, Error> {
        let parts = self.running()?;
        let received = receive::decode(
            Some(&request.content_type),
            Some(&request.content_encoding),
            &request.body,
            &self.options.limits,
        )
        .map_err(|err| receive_error(&err))?;
        let committed = self.take_received(&parts.storage, &received)?;
        let answer = receive::answer(&received, &committed);
        let written = answer.written.map(|written| Written {
            samples: written.samples,
            histograms: written.histograms,
            exemplars: written.exemplars,
        });
        Ok(WriteOutcome { refused: (answer.status == 400).then_some(answer.body), written })
    }

    /// Stores an OTLP request.
    pub(super) fn take_otlp(&self, request: &RawWrite) -> Result<OtlpOutcome, Error> {
        let parts = self.running()?;
        let received = otlp::decode(
            &request.content_type,
            &request.content_encoding,
            &request.body,
            &self.options.limits,
            &self.config.load().config.otlp,
            self.options.lookback,
        )
        .map_err(|err| receive_error(&err))?;
        let committed = self.take_received(&parts.storage, &received)?;
        let otlp::OtlpAnswer { refused, rejected_points, message } =
            otlp::answer(&received, &committed);
        Ok(OtlpOutcome { refused, rejected_points, message })
    }

    /// Stores what was received; with the feature for it, zeros where counters began before them.
    fn take_received(&self, storage: &Storage, received: &Received) -> Result<Committed, Error> {
        let wants_zeros = has_feature(&self.options, "created-timestamp-zero-ingestion");
        if wants_zeros && !received.starts.is_empty() {
            let zeros = received.starts.iter().map(|(labels, at)| (labels.clone(), *at, 0.0));
            // A start that is known, or was passed long ago, is refused: nobody needs to know.
            let zeros = Commit { in_order_only: true, ..Commit::of(zeros) };
            storage.commit(&zeros).map_err(append_error)?;
        }
        let committed = storage.commit_synced(&received.commit).map_err(append_error)?;
        self.revision.bump();
        Ok(committed)
    }
}

fn receive_error(err: &ReceiveError) -> Error {
    let kind = match err.status() {
        // `api` answers 415 for this kind on the write path.
        415 => ErrorKind::NotAcceptable,
        _ => ErrorKind::BadData,
    };
    Error::new(kind, err.to_string())
}

/// A sender tries again later what could not be stored now.
fn append_error(err: AppendError) -> Error {
    Error::new(ErrorKind::Busy, err.to_string())
}
