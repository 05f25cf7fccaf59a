//! What one probe found: gauges, and a log with times.

use crate::model::{Labels, MetricType};
use crate::sys::dial::{Stopwatch, TlsFacts};
use crate::sys::metrics::{Family, FamilySample};
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::certificate;

/// A log of that many bytes is cut: what servers send stands in it.
const LOG_BYTES_MAX: usize = 64 << 10;
/// A value in the log.
const VALUE_CHARS_MAX: usize = 512;

/// Gauges by name, and the log of a probe that runs.
#[derive(Debug)]
pub(super) struct Report {
    started: Stopwatch,
    gauges: BTreeMap<&'static str, Gauge>,
    log: String,
}

#[derive(Debug)]
struct Gauge {
    help: &'static str,
    samples: BTreeMap<Labels, f64>,
}

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Debug,
    Info,
    Error,
}

impl Report {
    pub(super) fn start() -> Self {
        Self { started: Stopwatch::start(), gauges: BTreeMap::new(), log: String::new() }
    }

    /// Seconds since the probe began.
    pub(super) fn seconds(&self) -> f64 {
        self.started.seconds()
    }

    /// A gauge that is shown from now on, first as 0.
    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str) {
        self.labelled(name, help).insert(Labels::empty(), 0.0);
    }

    /// A gauge by phase, each first 0.
    pub(super) fn phases(&mut self, name: &'static str, help: &'static str, phases: &[&str]) {
        let samples = self.labelled(name, help);
        for phase in phases {
            samples.insert(Labels::from_pairs([("phase", *phase)]), 0.0);
        }
    }

    /// A gauge that is always 1 and says what it has to say with labels.
    pub(super) fn info<'a>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: impl IntoIterator<Item = (&'a str, String)>,
    ) {
        let labels = Labels::from_pairs(labels);
        self.labelled(name, help).insert(labels, 1.0);
    }

    fn labelled(&mut self, name: &'static str, help: &'static str) -> &mut BTreeMap<Labels, f64> {
        let fresh = || Gauge { help, samples: BTreeMap::new() };
        &mut self.gauges.entry(name).or_insert_with(fresh).samples
    }

    /// Sets a gauge that is shown.
    pub(super) fn set(&mut self, name: &str, value: f64) {
        self.change(name, Labels::empty(), |sample| *sample = value);
    }

    /// Adds to a gauge that is shown.
    pub(super) fn add(&mut self, name: &str, value: f64) {
        self.change(name, Labels::empty(), |sample| *sample += value);
    }

    /// Adds to the phase of a gauge that is shown.
    pub(super) fn add_phase(&mut self, name: &str, phase: &str, seconds: f64) {
        let labels = Labels::from_pairs([("phase", phase)]);
        self.change(name, labels, |sample| *sample += seconds);
    }

    fn change(&mut self, name: &str, labels: Labels, change: impl FnOnce(&mut f64)) {
        if let Some(gauge) = self.gauges.get_mut(name) {
            change(gauge.samples.entry(labels).or_default());
        }
    }

    /// What a handshake showed, under the names that all probers have. `chain_expiry` is when the
    /// verified chain that lasts longest ends, in seconds; `None` where nothing was verified.
    pub(super) fn tls(&mut self, facts: &TlsFacts, chain_expiry: Option<i64>) {
        let certificates: Vec<_> =
            facts.chain.iter().filter_map(|der| certificate::read(der)).collect();
        let earliest = certificates.iter().map(|one| one.not_after).min();
        self.gauge("probe_ssl_earliest_cert_expiry", "Returns last SSL chain expiry in unixtime");
        self.set("probe_ssl_earliest_cert_expiry", seconds(earliest));
        let name = "probe_ssl_last_chain_expiry_timestamp_seconds";
        self.gauge(name, "Returns last SSL chain expiry in timestamp");
        self.set(name, seconds(chain_expiry));
        let help = "Returns the TLS version used or NaN when unknown";
        self.info("probe_tls_version_info", help, [("version", facts.version.to_owned())]);
        let (Some(own), Some(der)) = (certificates.first(), facts.chain.first()) else { return };
        let labels = [
            ("fingerprint_sha256", certificate::fingerprint(der)),
            ("subject", own.subject.clone()),
            ("issuer", own.issuer.clone()),
            ("subjectalternative", own.names.join(",")),
            ("serialnumber", own.serial.clone()),
        ];
        let help = "Contains SSL leaf certificate information";
        self.info("probe_ssl_last_chain_info", help, labels);
    }

    /// Adds a line to the log.
    pub(super) fn log(&mut self, level: Level, message: &str, fields: &[(&str, &str)]) {
        if self.log.len() > LOG_BYTES_MAX {
            return;
        }
        let level = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Error => "error",
        };
        let seconds = self.seconds();
        let _ = write!(self.log, "at={seconds:.6}s level={level} msg={message:?}");
        for (name, value) in fields {
            let short: String = value.chars().take(VALUE_CHARS_MAX).collect();
            let _ = write!(self.log, " {name}={short:?}");
        }
        self.log.push('\n');
    }

    pub(super) fn debug(&mut self, message: &str, fields: &[(&str, &str)]) {
        self.log(Level::Debug, message, fields);
    }

    pub(super) fn error(&mut self, message: &str, fields: &[(&str, &str)]) {
        self.log(Level::Error, message, fields);
    }

    /// Everything that was found, by name, and the log.
    pub(super) fn finish(self) -> (Vec<Family>, String) {
        let family = |(name, gauge): (&'static str, Gauge)| Family {
            name: name.to_owned(),
            help: gauge.help.into(),
            kind: MetricType::Gauge,
            samples: gauge
                .samples
                .into_iter()
                .map(|(labels, value)| FamilySample { suffix: "", labels, value })
                .collect(),
        };
        (self.gauges.into_iter().map(family).collect(), self.log)
    }
}

/// Go's zero time, which upstream shows where there is no time.
const NO_TIME: i64 = -62_135_596_800;

#[expect(clippy::cast_precision_loss, reason = "times of certificates are far below 2^52 seconds")]
fn seconds(time: Option<i64>) -> f64 {
    time.unwrap_or(NO_TIME) as f64
}
