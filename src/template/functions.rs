//! The table of functions that a caller gives its templates.

use super::signature::Takes;
use super::value::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

type Body<'a> = Arc<dyn Fn(&[Value]) -> Result<Value, String> + Send + Sync + 'a>;

/// Functions by name. Cheap enough to make for each execution; templates are parsed against the
/// names and executed with the bodies.
#[derive(Clone, Default)]
pub struct Functions<'a> {
    table: BTreeMap<&'static str, Function<'a>>,
}

#[derive(Clone)]
pub(super) struct Function<'a> {
    takes: Takes,
    body: Body<'a>,
}

impl<'a> Functions<'a> {
    /// A table without functions; Go's builtins are always there.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a function, or replaces the one of this name. The body gets what `takes` says.
    pub fn add(
        &mut self,
        name: &'static str,
        takes: Takes,
        body: impl Fn(&[Value]) -> Result<Value, String> + Send + Sync + 'a,
    ) -> &mut Self {
        self.table.insert(name, Function { takes, body: Arc::new(body) });
        self
    }

    /// Whether there is a function of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.table.keys().copied()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Function<'a>> {
        self.table.get(name)
    }
}

impl Function<'_> {
    pub(super) fn takes(&self) -> Takes {
        self.takes
    }

    pub(super) fn call(&self, args: &[Value]) -> Result<Value, String> {
        (self.body)(args)
    }
}

impl fmt::Debug for Functions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.table.keys()).finish()
    }
}
