//! What callers use: one template, or many that call each other by name.

use super::ast::Tree;
use super::error::TemplateError;
use super::exec;
use super::functions::Functions;
use super::parse;
use super::value::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an execution may use at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Steps: nodes walked, functions called, elements and blocks of bytes made.
    pub steps: u64,
    /// Bytes of the result.
    pub output_bytes: usize,
    /// Bytes of one text inside the template.
    pub value_bytes: usize,
}

impl Default for Limits {
    /// reliability.md section 3: 64 KiB of output. The steps suffice for the largest default
    /// template over thousands of alerts and end an endless one in well under a second.
    fn default() -> Self {
        Self { steps: 1_000_000, output_bytes: 64 << 10, value_bytes: 256 << 10 }
    }
}

/// What the result is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Plain text: values are written as they are.
    Text,
    /// A part of an HTML page: values are escaped for the place where they stand.
    Html,
}

/// One parsed text with the templates that it defines.
#[derive(Clone, Debug)]
pub struct Template {
    name: Arc<str>,
    set: TemplateSet,
}

impl Template {
    /// Parses `text`; names of functions must be in `functions` or among Go's builtins.
    ///
    /// # Errors
    /// The text is no template; the message is Go's as far as sensible.
    pub fn parse(name: &str, text: &str, functions: &Functions<'_>) -> Result<Self, TemplateError> {
        let mut set = TemplateSet::new();
        set.add(name, text, functions)?;
        Ok(Self { name: name.into(), set })
    }

    /// The text that the template makes of `data`.
    ///
    /// # Errors
    /// The template fails on this data, or goes over a limit.
    pub fn execute(
        &self,
        data: &Value,
        functions: &Functions<'_>,
        limits: Limits,
    ) -> Result<String, TemplateError> {
        self.set.execute(&self.name, data, functions, Mode::Text, limits)
    }
}

/// Templates by name. A later definition replaces an earlier one, unless it is empty.
#[derive(Clone, Debug, Default)]
pub struct TemplateSet {
    trees: BTreeMap<Arc<str>, Arc<Tree>>,
}

impl TemplateSet {
    /// A set without templates.
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses a text under `name` (for a file: its base name) and takes over what it defines.
    ///
    /// # Errors
    /// The text is no template; then nothing of it is taken.
    pub fn add(
        &mut self,
        name: &str,
        text: &str,
        functions: &Functions<'_>,
    ) -> Result<(), TemplateError> {
        for tree in parse::parse(name, text, functions)? {
            let known = self.trees.get(&tree.name);
            if known.is_none() || !tree.is_empty() {
                self.trees.insert(Arc::clone(&tree.name), Arc::new(tree));
            }
        }
        Ok(())
    }

    /// Names of the templates, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.trees.keys().map(|name| &**name)
    }

    /// The text that the template `name` makes of `data`.
    ///
    /// # Errors
    /// There is no such template, it fails on this data, or goes over a limit.
    pub fn execute(
        &self,
        name: &str,
        data: &Value,
        functions: &Functions<'_>,
        mode: Mode,
        limits: Limits,
    ) -> Result<String, TemplateError> {
        let tree = self.get(name).ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
        exec::execute(self, tree, data, functions, mode, limits)
    }

    /// The text that `text`, a template without a name, makes of `data`; it may call all
    /// templates of the set. This is how fields of receivers are expanded.
    ///
    /// # Errors
    /// `text` is no template, fails on this data, or goes over a limit.
    pub fn render(
        &self,
        text: &str,
        data: &Value,
        functions: &Functions<'_>,
        mode: Mode,
        limits: Limits,
    ) -> Result<String, TemplateError> {
        if text.is_empty() {
            return Ok(String::new());
        }
        let mut set = self.clone();
        set.trees.remove("");
        set.add("", text, functions)?;
        set.execute("", data, functions, mode, limits)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Tree> {
        self.trees.get(name).map(|tree| &**tree)
    }
}
