//! The tree of a parsed template, and its text as Go prints it in error messages.

use super::value::Value;
use std::fmt;
use std::sync::Arc;

/// One template.
#[derive(Debug)]
pub(super) struct Tree {
    /// Its name.
    pub(super) name: Arc<str>,
    /// The text that it stands in.
    pub(super) source: Arc<Source>,
    /// What it does.
    pub(super) body: Vec<Node>,
}

impl Tree {
    /// Whether it is nothing but space, so that it replaces no other definition.
    pub(super) fn is_empty(&self) -> bool {
        self.body.iter().all(|node| match node {
            Node::Text(text) => text.trim().is_empty(),
            Node::Action(_)
            | Node::If(_)
            | Node::With(_)
            | Node::Range(_)
            | Node::Call(_)
            | Node::Break
            | Node::Continue => false,
        })
    }
}

/// A text with templates.
#[derive(Debug)]
pub(super) struct Source {
    /// The name under which it was parsed.
    pub(super) name: Arc<str>,
    /// The text.
    pub(super) text: String,
}

impl Source {
    /// Line from 1 and byte in the line from 0.
    pub(super) fn place(&self, pos: usize) -> (usize, usize) {
        let before = self.text.get(..pos).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rfind('\n').map_or(before.len(), |at| before.len() - at - 1);
        (line, column)
    }
}

/// A part of a template.
#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Call(Call),
    Break,
    Continue,
}

/// `{{if}}`, `{{with}}` or `{{range}}`.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) pipe: Pipe,
    pub(super) body: Vec<Node>,
    /// `{{else if}}` and `{{else with}}`, side by side: chains of them are long.
    pub(super) arms: Vec<(Pipe, Vec<Node>)>,
    pub(super) otherwise: Vec<Node>,
}

/// `{{template "name" pipe}}`.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) pos: usize,
    pub(super) name: String,
    pub(super) pipe: Option<Pipe>,
}

/// Commands joined by `|`, whose last value may be given to variables.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) pos: usize,
    /// `=` instead of `:=`.
    pub(super) assigns: bool,
    /// Names with their `$`.
    pub(super) variables: Vec<String>,
    pub(super) commands: Vec<Command>,
}

/// Operands; the first decides what happens with the others.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) pos: usize,
    pub(super) args: Vec<Expr>,
}

/// An operand.
#[derive(Debug)]
pub(super) struct Expr {
    pub(super) pos: usize,
    pub(super) kind: ExprKind,
}

#[derive(Debug)]
pub(super) enum ExprKind {
    Dot,
    Nil,
    /// A constant and its text.
    Constant(Value, String),
    /// `.A.B`.
    Field(Vec<String>),
    /// `$x.A`: the name with its `$`, then fields.
    Variable(Vec<String>),
    /// `(pipe).A`.
    Chain(Box<Expr>, Vec<String>),
    Function(String),
    Pipe(Box<Pipe>),
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            let sign = if self.assigns { "=" } else { ":=" };
            write!(f, "{} {sign} ", self.variables.join(", "))?;
        }
        write_joined(f, &self.commands, " | ")
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_joined(f, &self.args, " ")
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {}", crate::model::value_text::quoted(&self.name))?;
        if let Some(pipe) = &self.pipe {
            write!(f, " {pipe}")?;
        }
        f.write_str("}}")
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Dot => f.write_str("."),
            ExprKind::Nil => f.write_str("nil"),
            ExprKind::Constant(_, text) => f.write_str(text),
            ExprKind::Field(names) => write!(f, ".{}", names.join(".")),
            ExprKind::Variable(names) => f.write_str(&names.join(".")),
            ExprKind::Chain(inner, names) => write!(f, "{inner}.{}", names.join(".")),
            ExprKind::Function(name) => f.write_str(name),
            ExprKind::Pipe(pipe) => write!(f, "({pipe})"),
        }
    }
}

fn write_joined<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    parts: &[T],
    joint: &str,
) -> fmt::Result {
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            f.write_str(joint)?;
        }
        write!(f, "{part}")?;
    }
    Ok(())
}
