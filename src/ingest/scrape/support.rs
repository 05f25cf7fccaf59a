//! A store for tests: it names series, and shows commits with the labels of their samples.

use crate::model::{Exemplar, Labels, Metadata, Timestamp};
use crate::storage::append::{Commit, SeriesKey, SeriesRef};
use std::sync::Mutex;

/// One sample, with its labels.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// The reference by which the sender knew its series.
    pub(super) known: Option<SeriesRef>,
    pub(super) labels: Labels,
    pub(super) ts: Timestamp,
    pub(super) value: f64,
}

/// A commit, with the labels of all samples; of two equal samples the first.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    pub(super) samples: Vec<Row>,
    pub(super) metadata: Vec<(String, Metadata)>,
    pub(super) exemplars: Vec<Exemplar>,
}

/// The series that there are, by number.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<Vec<Labels>>);

impl Names {
    /// What a commit says, and the places of duplicates; makes no series.
    pub(super) fn written(&self, commit: &Commit) -> (Written, Vec<usize>) {
        let names = self.0.lock().expect("whole");
        let (mut samples, mut duplicates): (Vec<Row>, _) = (Vec::new(), Vec::new());
        for (place, sample) in commit.samples.iter().enumerate() {
            let (known, labels) = match sample.series {
                SeriesKey::Known(known) => {
                    let at = usize::try_from(known.number()).expect("small");
                    (Some(known), names.get(at).expect("a series of this store").clone())
                }
                SeriesKey::New(_) => (None, commit.labels_at(place).expect("named").clone()),
            };
            let (ts, value) = (sample.ts, sample.value);
            match samples.iter().find(|row| row.labels == labels && row.ts == ts) {
                Some(row) if row.value.to_bits() != value.to_bits() => duplicates.push(place),
                Some(_) => {}
                None => samples.push(Row { known, labels, ts, value }),
            }
        }
        let exemplars = commit.exemplars.iter().map(|one| one.exemplar.clone()).collect();
        (Written { samples, metadata: commit.metadata.clone(), exemplars }, duplicates)
    }

    /// The series with these labels.
    pub(super) fn find(&self, labels: &[Labels]) -> Vec<Option<SeriesRef>> {
        let names = self.0.lock().expect("whole");
        let place = |labels: &Labels| names.iter().position(|name| name == labels);
        let number = |place: usize| SeriesRef::from_number(place as u64);
        labels.iter().map(|labels| place(labels).map(number)).collect()
    }

    /// Makes a series, unless it is there.
    pub(super) fn make(&self, labels: &Labels) {
        let mut names = self.0.lock().expect("whole");
        if !names.contains(labels) {
            names.push(labels.clone());
        }
    }
}
