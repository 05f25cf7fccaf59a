//! Pipelines, commands, operands, fields and function calls.
//!
//! Source: Go, text/template/exec.go (evalPipeline and what it calls).

use super::ast::{Command, Expr, ExprKind, Pipe};
use super::builtins;
use super::exec::{Done, Exec, Place};
use super::time::duration_call;
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
            ExprKind::Field(names) => self.fields(dot, dot, first, names, args, last),
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
                self.refuse_args(first, args, last.as_ref())?;
                Ok(dot.clone())
            }
            ExprKind::Constant(value, _) => {
                self.refuse_args(first, args, last.as_ref())?;
                Ok(value.clone())
            }
            ExprKind::Nil => {
                self.place = Place::Expr(first);
                Err(self.fail("nil is not a command"))
            }
        }
    }

    /// An argument.
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
        self.place = Place::Expr(first);
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

    /// `.A.B.C` of `receiver`; arguments go to the last one.
    fn fields(
        &mut self,
        dot: &Value,
        receiver: &Value,
        expr: &'a Expr,
        names: &'a [String],
        args: &'a [Expr],
        last: Option<Value>,
    ) -> Done<Value> {
        self.place = Place::Expr(expr);
        let Some((final_name, inner)) = names.split_last() else { return Ok(receiver.clone()) };
        let mut value = receiver.clone();
        for name in inner {
            value = self.field(&value, name, None)?;
        }
        let given = !args.is_empty() || last.is_some();
        let args = self.args(dot, args, last)?;
        self.place = Place::Expr(expr);
        self.field(&value, final_name, given.then_some(&args))
    }

    fn args(&mut self, dot: &Value, args: &'a [Expr], last: Option<Value>) -> Done<Vec<Value>> {
        let mut values = Vec::with_capacity(args.len() + 1);
        for arg in args {
            values.push(self.operand(dot, arg)?);
        }
        values.extend(last);
        Ok(values)
    }

    /// A method, a field of a struct, or an entry of a map.
    fn field(&mut self, value: &Value, name: &str, args: Option<&Vec<Value>>) -> Done<Value> {
        self.pay(1)?;
        let given = args.map(Vec::as_slice).unwrap_or_default();
        if let Some(result) = call_method(value, name, given) {
            let result = result.map_err(|message| {
                let counted = message.starts_with("wrong number of args");
                let text = format!("error calling {name}: {message}");
                self.fail(if counted { message } else { text })
            })?;
            return self.checked(result);
        }
        let found = match value {
            Value::Object(object) => match (object.field(name), object.underlying()) {
                (Some(found), _) => Some(found),
                (None, Some(Value::Map(map))) => Some(map.get(name)),
                (None, _) => None,
            },
            Value::Map(map) => Some(map.get(name)),
            Value::Nil => {
                let text = format!("nil data; no entry for key {}", quoted(name));
                return Err(self.fail(text));
            }
            Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::String(_)
            | Value::List(_)
            | Value::Time(_)
            | Value::Duration(_)
            | Value::SafeHtml(_)
            | Value::SafeUrl(_) => None,
        };
        let Some(found) = found else {
            let text = format!("can't evaluate field {name} in type {}", value.type_name());
            return Err(self.fail(text));
        };
        if args.is_some() {
            return Err(self.fail(format!("{name} is not a method but has arguments")));
        }
        Ok(found)
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
        let count = args.len() + usize::from(last.is_some());
        let functions = self.functions;
        let function = functions.get(name);
        let counted = match function {
            Some(function) => function.check_count(name, count),
            None => builtins::check_count(name, count),
        };
        counted.map_err(|message| self.fail(message))?;
        let args = self.args(dot, args, last)?;
        self.place = whole;
        self.pay(1)?;
        let result = match function {
            Some(function) => function.call(&args),
            None => builtins::call(name, &args, self.limits.value_bytes),
        };
        let result = result.map_err(|err| self.fail(format!("error calling {name}: {err}")))?;
        self.checked(result)
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

fn call_method(value: &Value, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    match value {
        Value::Object(object) => object.call(name, args),
        Value::Time(time) => time.call(name, args),
        Value::Duration(nanos) => duration_call(*nanos, name, args),
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
