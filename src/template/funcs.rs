//! The function families of Prometheus rules and of Alertmanager.

use super::functions::Functions;
use crate::model::{Labels, Timestamp};

/// Answers a query of a template at the evaluation's time.
pub type QueryCallback<'a> = &'a (dyn Fn(&str) -> Result<Vec<QuerySample>, String> + Send + Sync);

/// One element of a query's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct QuerySample {
    /// Its labels, with the metric's name.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

/// What the functions of rule templates need to know.
#[derive(Clone, Copy)]
pub struct RuleContext<'a> {
    /// Runs queries.
    pub query: QueryCallback<'a>,
    /// The evaluation's time, which `now` yields.
    pub now: Timestamp,
    /// Under which URL people reach the server.
    pub external_url: &'a str,
}

impl std::fmt::Debug for RuleContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RuleContext").field("now", &self.now).finish_non_exhaustive()
    }
}

/// The functions of rule templates.
pub fn rule_functions(ctx: RuleContext<'_>) -> Functions<'_> {
    let _ = ctx;
    Functions::new()
}

/// The functions of notification templates.
pub fn alertmanager_functions(now: Timestamp) -> Functions<'static> {
    let _ = now;
    Functions::new()
}

/// The path of the page that shows `expression` as a table.
pub fn table_link(expression: &str) -> String {
    expression.to_owned()
}
