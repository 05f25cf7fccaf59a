//! What others write into the store: decoded by `ingest`, stored, and answered for.

use super::start::{Service, has_feature};
use crate::ingest::otlp;
use crate::ingest::receive::{self, Message, ReceiveError, Received};
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
        let protocol = match received.message {
            Message::V1 => "remote_write_1",
            Message::V2 => "remote_write_2",
        };
        let committed = self.take_received(&parts.storage, &received, protocol)?;
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
        let committed = self.take_received(&parts.storage, &received, "otlp")?;
        let otlp::OtlpAnswer { refused, rejected_points, message } =
            otlp::answer(&received, &committed);
        Ok(OtlpOutcome { refused, rejected_points, message })
    }

    /// Stores what was received; with the feature for it, zeros where counters began before them.
    fn take_received(
        &self,
        storage: &Storage,
        received: &Received,
        protocol: &str,
    ) -> Result<Committed, Error> {
        let wants_zeros = has_feature(&self.options, "created-timestamp-zero-ingestion");
        if wants_zeros && !received.starts.is_empty() {
            let zeros = received.starts.iter().map(|(labels, at)| (labels.clone(), *at, 0.0));
            // A start that is known, or was passed long ago, is refused: nobody needs to know.
            let zeros = Commit { in_order_only: true, ..Commit::of(zeros) };
            storage.commit(&zeros).map_err(append_error)?;
        }
        let committed = storage.commit_synced(&received.commit).map_err(append_error)?;
        self.count_received(received, &committed, protocol);
        self.revision.bump();
        Ok(committed)
    }

    fn count_received(&self, received: &Received, committed: &Committed, protocol: &str) {
        let refused = received.invalid_series + committed.refused.len();
        for (name, help, count) in [
            (
                "watchbell_received_samples_total",
                "Samples that others pushed and that are stored.",
                received.commit.samples.len().saturating_sub(committed.refused.len()),
            ),
            (
                "watchbell_received_refused_total",
                "Samples, and series or points as a whole, that others pushed and that were refused.",
                refused,
            ),
            (
                "watchbell_received_histograms_total",
                "Native histograms that others pushed; they are counted and not kept.",
                received.histograms,
            ),
        ] {
            let counter = self.world.registry.counter(name, help, &[("protocol", protocol)]);
            #[expect(
                clippy::cast_precision_loss,
                reason = "a request has fewer than 2^52 samples"
            )]
            counter.add(count as f64);
        }
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
