//! What a query takes along of a series, so that it decodes without holding up the writer.

use super::chunk_file::bytes_of;
use super::series::{FullChunk, Place, Series};
use super::{Head, State};
use crate::model::{Labels, Matcher, TimeRange};
use crate::storage::TsdbStats;
use crate::storage::cardinality::Cardinality;
use crate::storage::chunk::{self, Chunk};
use crate::storage::postings::matching;
use crate::storage::source::{Columns, SourceError};
use crate::sys::files::SharedFile;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Open files of full chunks, by number.
pub(super) type FileTable = BTreeMap<u64, SharedFile>;

/// A series of the head as it was when it was selected.
#[derive(Clone, Debug)]
pub(crate) struct HeadSeries {
    /// Its labels.
    pub(crate) labels: Labels,
    number: u64,
    full: Vec<FullChunk>,
    open: Option<Chunk>,
    read_from: Option<i64>,
    files: Arc<FileTable>,
}

impl HeadSeries {
    /// Appends samples with `from <= ts <= to` to `out`; says what could not be read.
    pub(crate) fn read(&self, from: i64, to: i64, out: &mut Columns) -> Vec<String> {
        let from = self.read_from.map_or(from, |start| start.max(from));
        let mut warnings = Vec::new();
        for chunk in self.full.iter().filter(|chunk| chunk.min <= to && chunk.max >= from) {
            if let Err(why) = self.read_full(chunk, from, to, out) {
                warnings.push(format!(
                    "a chunk of {} from {} to {} is missing: {why}",
                    self.labels, chunk.min, chunk.max
                ));
            }
        }
        if let Some(open) = &self.open
            && let Err(err) = open.decode(from, to, out)
        {
            warnings.push(format!("the open chunk of {} is missing: {err}", self.labels));
        }
        warnings
    }

    fn read_full(
        &self,
        chunk: &FullChunk,
        from: i64,
        to: i64,
        out: &mut Columns,
    ) -> Result<(), String> {
        let decode = |bytes: &[u8], out: &mut Columns| {
            chunk::decode(chunk.encoding, chunk.count, bytes, from, to, out)
                .map_err(|err| err.to_string())
        };
        match &chunk.place {
            Place::Memory(bytes) => decode(bytes, out),
            Place::File { file, offset, len } => {
                let file = self.files.get(file).ok_or("its file is gone")?;
                let mut record = vec![0; usize::try_from(*len).map_err(|err| err.to_string())?];
                file.read_exact_at(&mut record, *offset).map_err(|err| err.to_string())?;
                let bytes = bytes_of(&record, self.number, chunk).ok_or("its checksum is wrong")?;
                decode(bytes, out)
            }
        }
    }
}

impl Head {
    /// Series that match and may have samples in `range`.
    ///
    /// # Errors
    /// More than `series_max` match.
    pub(crate) fn select(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
        series_max: usize,
    ) -> Result<Vec<HeadSeries>, SourceError> {
        let state = self.state();
        let (from, to) = (range.from().as_millis(), range.to().as_millis());
        let mut found = Vec::new();
        for place in matching(&state.table, matchers)?.iter() {
            let Some(series) = state.table.at_place(*place) else { continue };
            if !state.overlaps(series, from, to) {
                continue;
            }
            if found.len() >= series_max {
                return Err(SourceError::TooManySeries { limit: series_max });
            }
            found.push(state.snapshot(series, from, to));
        }
        Ok(found)
    }

    /// Labels of series that match and may have samples in `range`.
    ///
    /// # Errors
    /// Those of the index: none here.
    pub(crate) fn series(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
    ) -> Result<Vec<Labels>, SourceError> {
        let state = self.state();
        let (from, to) = (range.from().as_millis(), range.to().as_millis());
        let places = matching(&state.table, matchers)?;
        let series = places.iter().filter_map(|place| state.table.at_place(*place));
        let series = series.filter(|series| state.overlaps(series, from, to));
        Ok(series.map(|series| state.table.labels(series)).collect())
    }

    /// Whether any sample of the head may lie in `range`.
    pub(crate) fn overlaps(&self, range: TimeRange) -> bool {
        let state = self.state();
        let after_start = state.max_time.is_some_and(|max| max >= range.from().as_millis());
        after_start && state.read_from.is_none_or(|from| from <= range.to().as_millis())
    }

    /// Adds all label names to `into`.
    pub(crate) fn all_names(&self, into: &mut BTreeSet<String>) {
        let state = self.state();
        into.extend(state.table.names().map(str::to_owned));
    }

    /// Adds all values of a label to `into`.
    pub(crate) fn all_values(&self, name: &str, into: &mut BTreeSet<String>) {
        let state = self.state();
        into.extend(state.table.values(name).map(str::to_owned));
    }

    /// Counts for `status/tsdb`.
    pub(crate) fn stats(&self, limit: usize) -> TsdbStats {
        let facts = self.facts();
        let state = self.state();
        let mut stats = TsdbStats {
            series: facts.series as u64,
            chunks: facts.chunks,
            min_time: facts.min_time.map(crate::model::Timestamp::from_millis),
            max_time: facts.max_time.map(crate::model::Timestamp::from_millis),
            ..TsdbStats::default()
        };
        let mut counts = Cardinality::default();
        for (name, value, places) in state.table.labels_and_places() {
            counts.add(name, value, places.len() as u64);
        }
        counts.rank(&mut stats, limit);
        stats
    }

    /// Tells each pair of label name and value with its count of series.
    pub(crate) fn pairs(&self, tell: &mut dyn FnMut(&str, &str, u64)) {
        let state = self.state();
        for (name, value, places) in state.table.labels_and_places() {
            tell(name, value, places.len() as u64);
        }
    }
}

impl State {
    fn overlaps(&self, series: &Series, from: i64, to: i64) -> bool {
        let from = self.read_from.map_or(from, |start| start.max(from));
        series.last.is_some_and(|(last, _)| last >= from)
            && series.min_time().is_some_and(|min| min <= to)
    }

    pub(super) fn snapshot(&self, series: &Series, from: i64, to: i64) -> HeadSeries {
        let overlapping = |chunk: &&FullChunk| chunk.min <= to && chunk.max >= from;
        let open = &series.open;
        let in_open = open.count() > 0 && open.min() <= to && open.max() >= Some(from);
        HeadSeries {
            labels: self.table.labels(series),
            number: series.number,
            full: series.full.iter().filter(overlapping).cloned().collect(),
            open: in_open.then(|| open.to_chunk()),
            read_from: self.read_from,
            files: Arc::clone(&self.chunk_files),
        }
    }
}
