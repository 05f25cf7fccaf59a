//! From text to trees.
use super::ast::Tree;
use super::error::TemplateError;
use super::functions::Functions;

pub(super) fn parse(
    name: &str,
    _text: &str,
    _functions: &Functions<'_>,
) -> Result<Vec<Tree>, TemplateError> {
    Err(TemplateError::Unknown(name.to_owned()))
}
