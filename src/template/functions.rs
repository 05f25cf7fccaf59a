//! The table of functions that a caller gives its templates.

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

/// How many arguments a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// That many.
    Exactly(usize),
    /// That many or more.
    AtLeast(usize),
}

#[derive(Clone)]
pub(super) struct Function<'a> {
    arity: Arity,
    body: Body<'a>,
}

impl<'a> Functions<'a> {
    /// A table without functions; Go's builtins are always there.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a function, or replaces the one of this name.
    pub fn add(
        &mut self,
        name: &'static str,
        arity: Arity,
        body: impl Fn(&[Value]) -> Result<Value, String> + Send + Sync + 'a,
    ) -> &mut Self {
        self.table.insert(name, Function { arity, body: Arc::new(body) });
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
    /// The complaint about a wrong number of arguments, in Go's words.
    pub(super) fn check_count(&self, name: &str, found: usize) -> Result<(), String> {
        self.arity.check(name, found)
    }

    pub(super) fn call(&self, args: &[Value]) -> Result<Value, String> {
        (self.body)(args)
    }
}

impl Arity {
    pub(super) fn check(self, name: &str, found: usize) -> Result<(), String> {
        match self {
            Self::Exactly(wanted) if found != wanted => {
                Err(format!("wrong number of args for {name}: want {wanted} got {found}"))
            }
            Self::AtLeast(wanted) if found < wanted => {
                Err(format!("wrong number of args for {name}: want at least {wanted} got {found}"))
            }
            Self::Exactly(_) | Self::AtLeast(_) => Ok(()),
        }
    }
}

impl fmt::Debug for Functions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.table.keys()).finish()
    }
}
