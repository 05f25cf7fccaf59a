//! Pipelines, commands, operands, fields and function calls.
//!
//! Source: Go, text/template/exec.go (evalPipeline and what it calls).

use super::ast::{Command, Expr, ExprKind, Pipe};
use super::builtins;
use super::error::TemplateError;
use super::exec::{Done, Exec, Place};
use super::signature::{Kind, Takes};
use super::time::{duration_call, duration_method, time_method};
use super::value::Value;
use crate::model::value_text::quoted;

impl<'a> Exec<'a> {
    /// The value of the last command, which the pipeline's variables get.
    pub(super) fn pipeline(&mut self, dot: &Value, pipe: &'a Pipe) -> Done<Value> {
        self.enter()?;
        self.place = Place::Pipe(pipe);
        let mut value: Option<Value> = None;
        for command in &pipe.commands {
            value = Some(self.command(dot, command, value)?);
        }
        let value = value.unwrap_or_default();
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(name, value.clone())?;
            } else {
                self.variables.push((name, value.clone()));
            }
        }
        self.leave();
        Ok(value)
    }

    /// `last` is the value of the command before, given as the last argument.
    fn command(&mut self, dot: &Value, command: &'a Command, last: Option<Value>) -> Done<Value> {
        self.pay(1)?;
        let Some((first, args)) = command.args.split_first() else { return Ok(Value::Nil) };
        match &first.kind {
            ExprKind::Field(names) => {
                self.place = Place::Expr(first);
                self.fields(dot, dot, first, names, args, last)
            }
            ExprKind::Chain(inner, names) => {
                self.place = Place::Expr(first);
                let receiver = self.operand(dot, inner)?;
                self.fields(dot, &receiver, first, names, args, last)
            }
            ExprKind::Variable(names) => self.variable(dot, first, names, args, last),
            ExprKind::Function(name) => {
                self.function(dot, first, Place::Command(command), name, args, last)
            }
            ExprKind::Pipe(pipe) => {
                self.refuse_args(first, args, last.as_ref())?;
                self.pipeline(dot, pipe)
            }
            ExprKind::Dot => {
                self.place = Place::Expr(first);
                self.refuse_args(first, args, last.as_ref())?;
                Ok(dot.clone())
            }
            ExprKind::Constant(value, _) => {
                self.place = Place::Expr(first);
                self.refuse_args(first, args, last.as_ref())?;
                Ok(value.clone())
            }
            ExprKind::Nil => {
                self.place = Place::Expr(first);
                Err(self.fail("nil is not a command"))
            }
        }
    }

    /// An argument of a kind.
    fn argument(&mut self, dot: &Value, kind: Kind, expr: &'a Expr) -> Done<Value> {
        let value = self.operand(dot, expr)?;
        let checked = match &expr.kind {
            ExprKind::Constant(value, shown) => kind.constant(value, shown),
            ExprKind::Nil => kind.check_nil().map(|()| Value::Nil),
            ExprKind::Dot
            | ExprKind::Field(_)
            | ExprKind::Variable(_)
            | ExprKind::Chain(..)
            | ExprKind::Function(_)
            | ExprKind::Pipe(_) => kind.check(&value).map(|()| value),
        };
        checked.map_err(|message| self.fail(message))
    }

    /// The value of an operand, whatever it is.
    fn operand(&mut self, dot: &Value, expr: &'a Expr) -> Done<Value> {
        self.place = Place::Expr(expr);
        match &expr.kind {
            ExprKind::Dot => Ok(dot.clone()),
            ExprKind::Nil => Ok(Value::Nil),
            ExprKind::Constant(value, _) => Ok(value.clone()),
            ExprKind::Field(names) => self.fields(dot, dot, expr, names, &[], None),
            ExprKind::Variable(names) => self.variable(dot, expr, names, &[], None),
            ExprKind::Chain(inner, names) => {
                let receiver = self.operand(dot, inner)?;
                self.fields(dot, &receiver, expr, names, &[], None)
            }
            ExprKind::Function(name) => {
                self.function(dot, expr, Place::Expr(expr), name, &[], None)
            }
            ExprKind::Pipe(pipe) => self.pipeline(dot, pipe),
        }
    }

    fn refuse_args(&mut self, first: &'a Expr, args: &'a [Expr], last: Option<&Value>) -> Done<()> {
        if args.is_empty() && last.is_none() {
            return Ok(());
        }
        Err(self.fail(format!("can't give argument to non-function {first}")))
    }

    fn variable(
        &mut self,
        dot: &Value,
        expr: &'a Expr,
        names: &'a [String],
        args: &'a [Expr],
        last: Option<Value>,
    ) -> Done<Value> {
        self.place = Place::Expr(expr);
        let Some((name, fields)) = names.split_first() else { return Ok(Value::Nil) };
        let found = self.variables.iter().rev().find(|(known, _)| known == name);
        let Some((_, value)) = found else {
            return Err(self.fail(format!("undefined variable: {name}")));
        };
        let value = value.clone();
        if fields.is_empty() {
            self.refuse_args(expr, args, last.as_ref())?;
            return Ok(value);
        }
        self.fields(dot, &value, expr, fields, args, last)
    }

    /// `.A.B.C` of `receiver`; arguments go to the last one. The place at work stays what it is,
    /// as in Go: after `(f 1).A` it is the `1`.
    fn fields(
        &mut self,
        dot: &Value,
        receiver: &Value,
        expr: &'a Expr,
        names: &'a [String],
        args: &'a [Expr],
        last: Option<Value>,
    ) -> Done<Value> {
        let Some((final_name, inner)) = names.split_last() else { return Ok(receiver.clone()) };
        let mut value = receiver.clone();
        for name in inner {
            value = self.field(dot, &value, expr, name, &[], None)?;
        }
        self.field(dot, &value, expr, final_name, args, last)
    }

    /// The arguments, of a number and of kinds that `takes` allows.
    fn args(
        &mut self,
        dot: &Value,
        name: &str,
        takes: Takes,
        args: &'a [Expr],
        last: Option<Value>,
    ) -> Done<Vec<Value>> {
        let count = args.len() + usize::from(last.is_some());
        takes.check_count(name, count).map_err(|message| self.fail(message))?;
        let mut values = Vec::with_capacity(count);
        for (place, arg) in args.iter().enumerate() {
            values.push(self.argument(dot, takes.kind(place), arg)?);
        }
        if let Some(last) = last {
            takes.kind(args.len()).check(&last).map_err(|message| self.fail(message))?;
            values.push(last);
        }
        Ok(values)
    }

    /// A method, a field of a struct, or an entry of a map.
    fn field(
        &mut self,
        dot: &Value,
        value: &Value,
        expr: &'a Expr,
        name: &str,
        args: &'a [Expr],
        last: Option<Value>,
    ) -> Done<Value> {
        self.pay(1)?;
        if let Some(takes) = method(value, name) {
            let args = self.args(dot, name, takes, args, last)?;
            let result = call_method(value, name, &args);
            return self.called(Place::Expr(expr), name, result);
        }
        let given = !args.is_empty() || last.is_some();
        let (found, complaint) = match value {
            Value::Nil => return Ok(Value::Nil),
            Value::Map(map) => (map.get(name), "is not a method but has arguments"),
            Value::Object(object) => match (object.field(name), object.underlying()) {
                (None, Some(Value::Map(map))) => {
                    (map.get(name), "is not a method but has arguments")
                }
                (Some(found), Some(Value::Map(_))) => (found, "is not a method but has arguments"),
                (Some(found), _) => (found, "has arguments but cannot be invoked as function"),
                (None, _) => return Err(self.no_field(value, name)),
            },
            Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::String(_)
            | Value::List(_)
            | Value::Time(_)
            | Value::Duration(_)
            | Value::SafeHtml(_)
            | Value::SafeUrl(_) => return Err(self.no_field(value, name)),
        };
        if given { Err(self.fail(format!("{name} {complaint}"))) } else { Ok(found) }
    }

    fn no_field(&self, value: &Value, name: &str) -> Box<TemplateError> {
        self.fail(format!("can't evaluate field {name} in type {}", value.type_name()))
    }

    fn function(
        &mut self,
        dot: &Value,
        node: &'a Expr,
        whole: Place<'a>,
        name: &str,
        args: &'a [Expr],
        last: Option<Value>,
    ) -> Done<Value> {
        self.place = Place::Expr(node);
        if self.functions.get(name).is_none() && matches!(name, "and" | "or") {
            return self.short_circuit(dot, name, args, last);
        }
        let functions = self.functions;
        let function = functions.get(name);
        let takes = match function {
            Some(function) => Some(function.takes()),
            None => builtins::takes(name),
        };
        let Some(takes) = takes else {
            return Err(self.fail(format!("{} is not a defined function", quoted(name))));
        };
        let args = self.args(dot, name, takes, args, last)?;
        self.pay(1)?;
        let result = match function {
            Some(function) => function.call(&args),
            None => builtins::call(name, &args, self.limits.value_bytes),
        };
        self.called(whole, name, result)
    }

    /// What a function or a method at `place` made.
    fn called(
        &mut self,
        place: Place<'a>,
        name: &str,
        result: Result<Value, String>,
    ) -> Done<Value> {
        match result {
            Ok(value) => self.checked(value),
            Err(message) => {
                self.place = place;
                Err(self.fail(format!("error calling {name}: {message}")))
            }
        }
    }

    /// `and` and `or` look at no more arguments than they need.
    fn short_circuit(
        &mut self,
        dot: &Value,
        name: &str,
        args: &'a [Expr],
        last: Option<Value>,
    ) -> Done<Value> {
        if args.is_empty() && last.is_none() {
            let text = format!("wrong number of args for {name}: want at least 1 got 0");
            return Err(self.fail(text));
        }
        let mut value = Value::Nil;
        for arg in args {
            value = self.operand(dot, arg)?;
            if value.truth() == (name == "or") {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    /// Pays for what a function made, and refuses what is too large.
    fn checked(&mut self, value: Value) -> Done<Value> {
        let (bytes, elements) = match &value {
            Value::String(text) | Value::SafeHtml(text) | Value::SafeUrl(text) => (text.len(), 0),
            Value::List(list) => (0, list.items().len()),
            Value::Map(map) => (0, map.len()),
            Value::Nil
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Object(_)
            | Value::Time(_)
            | Value::Duration(_) => (0, 0),
        };
        if bytes > self.limits.value_bytes {
            let text = format!("text longer than {} bytes", self.limits.value_bytes);
            return Err(self.fail(text));
        }
        if value.nesting() > super::value::NESTING_MAX {
            return Err(self.fail("lists and maps nested too deep"));
        }
        self.pay(elements + bytes / 64)?;
        Ok(value)
    }
}

/// The parameters of a method of a value.
fn method(value: &Value, name: &str) -> Option<Takes> {
    match value {
        Value::Object(object) => object.takes(name),
        Value::Time(_) => time_method(name),
        Value::Duration(_) => duration_method(name),
        Value::Nil
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::String(_)
        | Value::List(_)
        | Value::Map(_)
        | Value::SafeHtml(_)
        | Value::SafeUrl(_) => None,
    }
}

/// Calls a method that `method` knows.
fn call_method(value: &Value, name: &str, args: &[Value]) -> Result<Value, String> {
    match value {
        Value::Object(object) => object.call(name, args),
        Value::Time(time) => time.call(name, args),
        Value::Duration(nanos) => Ok(duration_call(*nanos, name, args)),
        other => Err(format!("no method {name} of {}", other.type_name())),
    }
}
