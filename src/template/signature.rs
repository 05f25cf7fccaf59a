//! What functions and methods take: Go's types of parameters, and Go's words for what does not fit.
//!
//! Source: Go, text/template/exec.go (evalCall, evalArg, validateType).

use super::value::Value;

/// Go's type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `interface {}`
    Any,
    /// `string`
    Text,
    /// `int`
    Whole,
    /// `time.Duration`
    Span,
    /// `time.Time`
    Instant,
    /// `*time.Location`
    Location,
    /// `[]string`
    Texts,
    /// `[]interface {}`
    Anys,
    /// `*template.sample`
    Sample,
    /// `template.queryResult`
    Samples,
}

impl Kind {
    const fn go_name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Text => "string",
            Self::Whole => "int",
            Self::Span => "time.Duration",
            Self::Instant => "time.Time",
            Self::Location => "*time.Location",
            Self::Texts => "[]string",
            Self::Anys => "[]interface {}",
            Self::Sample => "*template.sample",
            Self::Samples => "template.queryResult",
        }
    }

    /// Whether Go's `nil` is of this type.
    const fn can_be_nil(self) -> bool {
        match self {
            Self::Any
            | Self::Location
            | Self::Texts
            | Self::Anys
            | Self::Sample
            | Self::Samples => true,
            Self::Text | Self::Whole | Self::Span | Self::Instant => false,
        }
    }

    /// Whether a value may be given, or why not.
    pub(super) fn check(self, value: &Value) -> Result<(), String> {
        if let Value::Nil = value {
            let complaint = || format!("invalid value; expected {}", self.go_name());
            return self.can_be_nil().then_some(()).ok_or_else(complaint);
        }
        let found = value.type_name();
        let fits = match self {
            Self::Any => true,
            Self::Texts => matches!(found, "[]string" | "template.Strings"),
            _other => found == self.go_name(),
        };
        let complaint =
            || format!("wrong type for value; expected {}; got {found}", self.go_name());
        fits.then_some(()).ok_or_else(complaint)
    }

    /// Whether the word `nil` may be given, or why not.
    pub(super) fn check_nil(self) -> Result<(), String> {
        let complaint = || format!("cannot assign nil to {}", self.go_name());
        self.can_be_nil().then_some(()).ok_or_else(complaint)
    }

    /// The value of a constant that is written as `shown`: numbers become what is wanted.
    pub(super) fn constant(self, value: &Value, shown: &str) -> Result<Value, String> {
        match (self, value) {
            (Self::Any, value) | (Self::Text, value @ Value::String(_)) => Ok(value.clone()),
            (Self::Whole, Value::Int(number)) => Ok(Value::Int(*number)),
            (Self::Span, Value::Int(number)) => Ok(Value::Duration(*number)),
            (Self::Whole | Self::Span, Value::Float(number)) if number.fract() == 0.0 => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "the ends of the range will do"
                )]
                let number = *number as i64;
                Ok(if self == Self::Span { Value::Duration(number) } else { Value::Int(number) })
            }
            (Self::Text, _) => Err(format!("expected string; found {shown}")),
            (Self::Whole | Self::Span, _) => Err(format!("expected integer; found {shown}")),
            (_, _) => Err(format!("can't handle {shown} for arg of type {}", self.go_name())),
        }
    }
}

/// The parameters of a function or a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takes {
    fixed: &'static [Kind],
    more: Option<Kind>,
}

impl Takes {
    /// These.
    pub const fn exactly(fixed: &'static [Kind]) -> Self {
        Self { fixed, more: None }
    }

    /// These, and any number of one more kind.
    pub const fn at_least(fixed: &'static [Kind], more: Kind) -> Self {
        Self { fixed, more: Some(more) }
    }

    /// The complaint about a wrong number of arguments.
    pub(super) fn check_count(self, name: &str, found: usize) -> Result<(), String> {
        let wanted = self.fixed.len();
        match self.more {
            None if found != wanted => {
                Err(format!("wrong number of args for {name}: want {wanted} got {found}"))
            }
            Some(_) if found < wanted => {
                Err(format!("wrong number of args for {name}: want at least {wanted} got {found}"))
            }
            None | Some(_) => Ok(()),
        }
    }

    /// The kind of the argument at a place, of a count that was checked.
    pub(super) fn kind(self, place: usize) -> Kind {
        self.fixed.get(place).copied().or(self.more).unwrap_or(Kind::Any)
    }
}
