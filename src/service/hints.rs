//! Why a query may answer nothing, from the names that the store has.

use super::queries::query_error;
use crate::model::{Matcher, TimeRange};
use crate::promql::hints::{self, Names};
use crate::promql::{self, syntax};
use crate::storage::source::{Source, SourceError};
use crate::wire::Error;

struct Stored<'a>(&'a dyn Source);

impl Names for Stored<'_> {
    type Error = SourceError;

    fn label_names(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
    ) -> Result<Vec<String>, SourceError> {
        self.0.label_names(range, matchers)
    }

    fn label_values(
        &self,
        label: &str,
        range: TimeRange,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, SourceError> {
        let mut values = self.0.label_values(label, range, matchers)?;
        values.truncate(limit);
        Ok(values)
    }
}

/// As `wire::Core::query_hints`.
pub(super) fn hints(
    source: &dyn Source,
    expr: &str,
    range: TimeRange,
) -> Result<Vec<String>, Error> {
    let parsed = syntax::parse(expr, &syntax::Features::ALL)
        .map_err(|err| query_error(&promql::Error::Parse(err)))?;
    hints::hints(&parsed, &Stored(source), range)
        .map_err(|err| query_error(&promql::Error::Source(err)))
}
