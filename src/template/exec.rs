//! Walks a template's tree: text, blocks, calls of other templates, and the limits on all of it.
//!
//! Operands and pipelines are in `eval.rs`.
//!
//! Source: Go, text/template/exec.go (the semantics, and the words of the messages).

use super::ast::{Branch, Call, Command, Expr, ExprKind, Node, Pipe, Tree};
use super::error::TemplateError;
use super::format::{self, Bounded};
use super::functions::Functions;
use super::html::Escaper;
use super::set::{Limits, Mode, TemplateSet};
use super::value::Value;
use crate::model::value_text::quoted;
use std::collections::BTreeSet;

/// Lists of nodes, pipelines and templates inside each other while executing: each uses the stack,
/// at most 0.8 KiB without optimization, and threads have 2 MiB of it. A template that calls itself
/// takes three or more.
const DEPTH_MAX: usize = 1024;

/// Executes `tree` on `data`.
pub(super) fn execute(
    set: &TemplateSet,
    tree: &Tree,
    data: &Value,
    functions: &Functions<'_>,
    mode: Mode,
    limits: Limits,
) -> Result<String, TemplateError> {
    if mode == Mode::Html {
        check_html(set, tree).map_err(|err| *err)?;
    }
    let mut exec = Exec {
        set,
        functions,
        limits,
        steps: 0,
        depth: 0,
        variables: vec![("$", data.clone())],
        tree,
        place: Place::Start,
        out: Bounded::new(limits.output_bytes),
        escaper: match mode {
            Mode::Text => None,
            Mode::Html => Some(Escaper::default()),
        },
    };
    exec.walk(data, &tree.body).map_err(|err| *err)?;
    Ok(exec.out.into_text())
}

/// Go's html/template looks at all of a template, and of those that it calls, before it begins:
/// each must be there, and escaping by hand may only come last.
fn check_html(set: &TemplateSet, tree: &Tree) -> Done<()> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<(&Tree, &[Node])> = vec![(tree, tree.body.as_slice())];
    while let Some((tree, nodes)) = open.pop() {
        let Some((node, rest)) = nodes.split_first() else { continue };
        open.push((tree, rest));
        let fault = match node {
            Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
                open.push((tree, branch.otherwise.as_slice()));
                open.extend(branch.arms.iter().rev().map(|(_, body)| (tree, body.as_slice())));
                open.push((tree, branch.body.as_slice()));
                None
            }
            Node::Action(pipe) => {
                let before = pipe.commands.split_last().map(|(_, before)| before);
                let escapes = before.unwrap_or_default().iter().find_map(escaper);
                let text =
                    |name| format!("predefined escaper {} disallowed in template", quoted(name));
                escapes.map(|name| (pipe.pos, text(name)))
            }
            Node::Call(call) => match set.get(&call.name) {
                None => Some((call.pos, format!("no such template {}", quoted(&call.name)))),
                Some(called) => {
                    if seen.insert(call.name.as_str()) {
                        open.push((called, called.body.as_slice()));
                    }
                    None
                }
            },
            Node::Text(_) | Node::Break | Node::Continue => None,
        };
        if let Some((pos, message)) = fault {
            let (line, column) = tree.source.place(pos);
            let name = tree.source.name.to_string();
            return Err(Box::new(TemplateError::Html { name, line, column, message }));
        }
    }
    Ok(())
}

/// The function that a command escapes with, if it does.
fn escaper(command: &Command) -> Option<&str> {
    match command.args.first().map(|first| &first.kind) {
        Some(ExprKind::Function(name)) if ["html", "urlquery"].contains(&name.as_str()) => {
            Some(name)
        }
        _other => None,
    }
}

/// One execution.
pub(super) struct Exec<'a> {
    pub(super) set: &'a TemplateSet,
    pub(super) functions: &'a Functions<'a>,
    pub(super) limits: Limits,
    steps: u64,
    depth: usize,
    /// Innermost last.
    pub(super) variables: Vec<(&'a str, Value)>,
    /// The template at work.
    tree: &'a Tree,
    /// The part of it at work.
    pub(super) place: Place<'a>,
    out: Bounded,
    escaper: Option<Escaper>,
}

/// A part of a template, for messages.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Start,
    Expr(&'a Expr),
    Command(&'a Command),
    Pipe(&'a Pipe),
    Call(&'a Call),
}

/// What a loop goes over.
type Elements = Box<dyn Iterator<Item = (Value, Value)>>;

/// How a list of nodes ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// The error is boxed for the size of stack frames: each level of a template has several.
pub(super) type Done<T> = Result<T, Box<TemplateError>>;

impl<'a> Exec<'a> {
    /// The error that the present place failed with `message`.
    pub(super) fn fail(&self, message: impl Into<String>) -> Box<TemplateError> {
        let (pos, context) = match self.place {
            Place::Start => (0, String::new()),
            Place::Expr(expr) => (expr.pos, expr.to_string()),
            Place::Command(command) => (command.pos, command.to_string()),
            Place::Pipe(pipe) => (pipe.pos, pipe.to_string()),
            Place::Call(call) => (call.pos, call.to_string()),
        };
        let (line, column) = self.tree.source.place(pos);
        Box::new(TemplateError::Exec {
            name: self.tree.source.name.to_string(),
            template: self.tree.name.to_string(),
            line,
            column,
            context,
            message: message.into(),
        })
    }

    /// Pays for `count` steps.
    pub(super) fn pay(&mut self, count: usize) -> Done<()> {
        self.steps = self.steps.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        if self.steps > self.limits.steps {
            return Err(self.fail(format!("exceeded the limit of {} steps", self.limits.steps)));
        }
        Ok(())
    }

    /// Goes one level deeper; the caller calls `leave` unless the execution ends in an error.
    pub(super) fn enter(&mut self) -> Done<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let text = format!("exceeded maximum template depth ({DEPTH_MAX})");
            return Err(self.fail(text));
        }
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    fn walk(&mut self, dot: &Value, nodes: &'a [Node]) -> Done<Flow> {
        self.enter()?;
        let mut flow = Flow::Next;
        for node in nodes {
            self.pay(1)?;
            flow = self.node(dot, node)?;
            if flow != Flow::Next {
                break;
            }
        }
        self.leave();
        Ok(flow)
    }

    fn node(&mut self, dot: &Value, node: &'a Node) -> Done<Flow> {
        match node {
            Node::Text(text) => self.literal(text)?,
            Node::Action(pipe) => self.action(dot, pipe)?,
            Node::If(branch) => return self.condition(dot, branch, false),
            Node::With(branch) => return self.condition(dot, branch, true),
            Node::Range(branch) => return self.range(dot, branch),
            Node::Call(call) => self.template(dot, call)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn action(&mut self, dot: &Value, pipe: &'a Pipe) -> Done<()> {
        let mut value = self.pipeline(dot, pipe)?;
        if self.escaper.is_some() && pipe.commands.last().and_then(escaper) == Some("html") {
            // Once is enough.
            value = Value::SafeHtml(value.as_text().unwrap_or_default().into());
        }
        if pipe.variables.is_empty() { self.print(&value) } else { Ok(()) }
    }

    fn condition(&mut self, dot: &Value, branch: &'a Branch, with: bool) -> Done<Flow> {
        let scope = self.variables.len();
        let mut arm = (&branch.pipe, &branch.body);
        let mut others = branch.arms.iter();
        let flow = loop {
            let value = self.pipeline(dot, arm.0)?;
            if value.truth() {
                break self.walk(if with { &value } else { dot }, arm.1);
            }
            let Some((pipe, body)) = others.next() else {
                break self.walk(dot, &branch.otherwise);
            };
            self.pay(1)?;
            arm = (pipe, body);
        };
        self.variables.truncate(scope);
        flow
    }

    fn range(&mut self, dot: &Value, branch: &'a Branch) -> Done<Flow> {
        let scope = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let elements = self.elements(&value)?;
        let inner = self.variables.len();
        let mut empty = true;
        for (index, element) in elements {
            empty = false;
            self.pay(1)?;
            self.bind(&branch.pipe, index, &element)?;
            let flow = self.walk(&element, &branch.body)?;
            self.variables.truncate(inner);
            if flow == Flow::Break {
                break;
            }
        }
        // The variables hold the whole value in the other branch, as Go has it.
        let flow = if empty { self.walk(dot, &branch.otherwise)? } else { Flow::Next };
        self.variables.truncate(scope);
        Ok(flow)
    }

    /// Indexes, or keys, and elements of what a loop goes over.
    fn elements(&self, value: &Value) -> Done<Elements> {
        Ok(match value.plain() {
            Value::Nil => Box::new(std::iter::empty()),
            Value::List(list) => {
                let items: Vec<Value> = list.items().to_vec();
                let number = |at: usize| Value::Int(i64::try_from(at).unwrap_or(i64::MAX));
                Box::new(items.into_iter().enumerate().map(move |(at, item)| (number(at), item)))
            }
            Value::Map(map) => {
                let pairs: Vec<_> =
                    map.iter().map(|(key, value)| (Value::string(key), value.clone())).collect();
                Box::new(pairs.into_iter())
            }
            Value::Int(count) => Box::new((0..count).map(|at| (Value::Int(at), Value::Int(at)))),
            Value::Bool(_)
            | Value::Float(_)
            | Value::String(_)
            | Value::Object(_)
            | Value::Time(_)
            | Value::Duration(_)
            | Value::SafeHtml(_)
            | Value::SafeUrl(_) => {
                let shown = format::sprint(value);
                return Err(self.fail(format!("range can't iterate over {shown}")));
            }
        })
    }

    /// Gives the loop's variables their values: the last one is the element.
    fn bind(&mut self, pipe: &'a Pipe, index: Value, element: &Value) -> Done<()> {
        let values = [element.clone(), index];
        for (name, value) in pipe.variables.iter().rev().zip(values) {
            self.assign(name, value)?;
        }
        Ok(())
    }

    /// Changes the innermost variable of this name.
    pub(super) fn assign(&mut self, name: &str, value: Value) -> Done<()> {
        match self.variables.iter_mut().rev().find(|(known, _)| *known == name) {
            Some((_, slot)) => {
                *slot = value;
                Ok(())
            }
            None => Err(self.fail(format!("undefined variable: {name}"))),
        }
    }

    fn template(&mut self, dot: &Value, call: &'a Call) -> Done<()> {
        self.place = Place::Call(call);
        let set = self.set;
        let Some(tree) = set.get(&call.name) else {
            return Err(self.fail(format!("template {} not defined", quoted(&call.name))));
        };
        let data = match &call.pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Value::Nil,
        };
        self.enter()?;
        let outer_tree = std::mem::replace(&mut self.tree, tree);
        let outer = std::mem::replace(&mut self.variables, vec![("$", data.clone())]);
        self.walk(&data, &tree.body)?;
        self.variables = outer;
        self.tree = outer_tree;
        self.leave();
        Ok(())
    }

    fn literal(&mut self, text: &str) -> Done<()> {
        let written = match &mut self.escaper {
            None => self.out.push(text),
            Some(escaper) => escaper.literal(text, &mut self.out),
        };
        written.map_err(|err| self.fail(err.to_string()))
    }

    fn print(&mut self, value: &Value) -> Done<()> {
        self.pay(1)?;
        let before = self.out.len();
        let written = match &mut self.escaper {
            None => format::write_printed(&mut self.out, value),
            Some(escaper) => escaper.value(value, &mut self.out),
        };
        written.map_err(|err| self.fail(err.to_string()))?;
        self.pay((self.out.len() - before) / 64)
    }
}
