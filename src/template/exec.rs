//! Execution.
use super::ast::Tree;
use super::error::TemplateError;
use super::functions::Functions;
use super::set::{Limits, Mode, TemplateSet};
use super::value::Value;

pub(super) fn execute(
    _set: &TemplateSet,
    tree: &Tree,
    _data: &Value,
    _functions: &Functions<'_>,
    _mode: Mode,
    _limits: Limits,
) -> Result<String, TemplateError> {
    Err(TemplateError::Unknown(tree.name.to_string()))
}
