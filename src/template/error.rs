//! What goes wrong with templates, in the words of Go's text/template.

/// Why a template cannot be used or finished.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The text is no template.
    #[error("template: {name}:{line}: {message}")]
    Parse {
        /// The template's name.
        name: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// The template failed on this data.
    #[error("template: {name}:{line}:{column}: executing {template:?} at <{context}>: {message}")]
    Exec {
        /// The name under which the text was parsed.
        name: String,
        /// The template inside that text.
        template: String,
        /// Line, from 1.
        line: usize,
        /// Byte in the line, from 0, as Go counts.
        column: usize,
        /// The part of the template that failed, as Go prints it.
        context: String,
        /// What is wrong.
        message: String,
    },
    /// The template can make no HTML, whatever the data.
    #[error("html/template:{name}:{line}:{column}: {message}")]
    Html {
        /// The name under which the text was parsed.
        name: String,
        /// Line, from 1.
        line: usize,
        /// Byte in the line, from 0, as Go counts.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// There is no template of this name.
    #[error("template: no template {0:?} associated with the set")]
    Unknown(String),
}
