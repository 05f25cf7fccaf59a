//! From tokens to trees.
//!
//! Source: Go, text/template/parse/parse.go (the language, and the words of the messages).

use super::ast::{Branch, Call, Command, Expr, ExprKind, Node, Pipe, Source, Tree};
use super::builtins;
use super::error::TemplateError;
use super::functions::Functions;
use super::lex::{Kind, LexError, Token, lex};
use super::value::Value;
use crate::model::value_text::quoted;
use std::sync::Arc;

/// Blocks and parentheses inside each other.
const DEPTH_MAX: usize = 48;

const KEYWORDS: [&str; 11] = [
    "block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with",
];

/// Parses `text`: the tree of `name` itself comes last, after all that the text defines.
pub(super) fn parse(
    name: &str,
    text: &str,
    functions: &Functions<'_>,
) -> Result<Vec<Tree>, TemplateError> {
    let source = Arc::new(Source { name: name.into(), text: text.to_owned() });
    let (tokens, unreadable) = lex(text);
    let fail = |(pos, message): Fault| TemplateError::Parse {
        name: name.to_owned(),
        line: source.place(pos).0,
        message,
    };
    let mut parser = Parser {
        tokens: &tokens,
        unreadable: unreadable.as_ref(),
        at: 0,
        functions,
        variables: vec!["$".to_owned()],
        depth: 0,
        loops: 0,
        source: &source,
        defined: Vec::new(),
    };
    let body = parser.whole().map_err(fail)?;
    parser.add(name, body).map_err(fail)?;
    Ok(parser.defined)
}

type Fault = (usize, String);
type Parsed<T> = Result<T, Fault>;

struct Parser<'a, 'f> {
    tokens: &'a [Token<'a>],
    /// Why the last token but one is a fault, when it is.
    unreadable: Option<&'a LexError>,
    at: usize,
    functions: &'f Functions<'f>,
    /// Names in scope.
    variables: Vec<String>,
    depth: usize,
    /// Loops around this place.
    loops: usize,
    source: &'a Arc<Source>,
    defined: Vec<Tree>,
}

/// How a list of nodes ended.
enum Ending<'a> {
    End,
    Else(Token<'a>),
}

impl<'a> Parser<'a, '_> {
    fn peek(&self) -> Token<'a> {
        let last = || self.tokens.last().expect("the lexer ends with a token of kind End");
        *self.tokens.get(self.at).unwrap_or_else(last)
    }

    fn next(&mut self) -> Token<'a> {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn take(&mut self, kind: Kind) -> Option<Token<'a>> {
        (self.peek().kind == kind).then(|| self.next())
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parsed<Token<'a>> {
        let token = self.next();
        if token.kind == kind { Ok(token) } else { Err(self.unexpected(token, context)) }
    }

    fn unexpected(&self, token: Token<'_>, context: &str) -> Fault {
        let what = match token.kind {
            Kind::Fault => return self.unreadable.cloned().unwrap_or_default(),
            Kind::End => "EOF".to_owned(),
            Kind::Dot => "<.>".to_owned(),
            Kind::Word if KEYWORDS.contains(&token.text) => format!("<{}>", token.text),
            _other => {
                let head: String = token.text.chars().take(10).collect();
                let dots = if head.len() < token.text.len() { "..." } else { "" };
                format!("{}{dots}", quoted(&head))
            }
        };
        (token.pos, format!("unexpected {what} in {context}"))
    }

    fn enter(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err((self.peek().pos, format!("nested deeper than {DEPTH_MAX}")));
        }
        Ok(())
    }

    /// The keyword that the action at hand begins with.
    fn keyword(&self) -> Option<&'a str> {
        let word = self.tokens.get(self.at + 1).filter(|token| token.kind == Kind::Word)?;
        KEYWORDS.contains(&word.text).then_some(word.text)
    }

    /// The text outside of definitions.
    fn whole(&mut self) -> Parsed<Vec<Node>> {
        let mut body = Vec::new();
        while self.peek().kind != Kind::End {
            if self.keyword() == Some("define") {
                self.at += 2;
                self.definition()?;
                continue;
            }
            match self.node()? {
                Ok(node) => body.push(node),
                Err(Ending::End) => return Err((self.peek().pos, "unexpected {{end}}".to_owned())),
                Err(Ending::Else(token)) => {
                    return Err((token.pos, "unexpected {{else}}".to_owned()));
                }
            }
        }
        Ok(body)
    }

    fn definition(&mut self) -> Parsed<()> {
        let name = self.name("define clause")?;
        self.expect(Kind::Close, "define clause")?;
        self.define(name)
    }

    /// The body of a definition, up to its `{{end}}`.
    fn define(&mut self, name: String) -> Parsed<()> {
        let outer = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let loops = std::mem::take(&mut self.loops);
        let (body, ending) = self.list()?;
        self.variables = outer;
        self.loops = loops;
        match ending {
            Ending::End => self.add(&name, body),
            Ending::Else(token) => Err((token.pos, "unexpected {{else}} in define clause".into())),
        }
    }

    /// Takes a definition. One text defines a template once, unless it is empty.
    fn add(&mut self, name: &str, body: Vec<Node>) -> Parsed<()> {
        let tree = Tree { name: name.into(), source: Arc::clone(self.source), body };
        let twice = self.defined.iter().any(|one| one.name == tree.name && !one.is_empty());
        if twice && !tree.is_empty() {
            let pos = self.tokens.get(self.at.saturating_sub(1)).map_or(0, |token| token.pos);
            let text = format!("template: multiple definition of template {}", quoted(name));
            return Err((pos, text));
        }
        self.defined.push(tree);
        Ok(())
    }

    /// Nodes up to `{{end}}` or `{{else`.
    fn list(&mut self) -> Parsed<(Vec<Node>, Ending<'a>)> {
        let mut nodes = Vec::new();
        loop {
            if self.peek().kind == Kind::End {
                return Err((self.peek().pos, "unexpected EOF".to_owned()));
            }
            match self.node()? {
                Ok(node) => nodes.push(node),
                Err(ending) => return Ok((nodes, ending)),
            }
        }
    }

    /// A text or an action.
    fn node(&mut self) -> Parsed<Result<Node, Ending<'a>>> {
        if let Some(text) = self.take(Kind::Text) {
            return Ok(Ok(Node::Text(text.text.to_owned())));
        }
        let keyword = self.keyword();
        self.expect(Kind::Open, "input")?;
        let Some(keyword) = keyword.filter(|word| *word != "nil") else {
            // A variable that an action declares lives on to the end of the block.
            return Ok(Ok(Node::Action(self.pipeline("command", Kind::Close)?)));
        };
        let token = self.next();
        let node = match keyword {
            "if" => Node::If(self.branch("if")?),
            "with" => Node::With(self.branch("with")?),
            "range" => Node::Range(self.branch("range")?),
            "template" => Node::Call(self.call()?),
            "block" => Node::Call(self.block()?),
            "end" => {
                self.expect(Kind::Close, "end")?;
                return Ok(Err(Ending::End));
            }
            "else" => return Ok(Err(Ending::Else(token))),
            "break" | "continue" => self.jump(token)?,
            _define => return Err(self.unexpected(token, "command")),
        };
        Ok(Ok(node))
    }

    fn jump(&mut self, token: Token<'a>) -> Parsed<Node> {
        let word = token.text;
        let close = self.next();
        if close.kind != Kind::Close {
            return Err(self.unexpected(close, &format!("{{{{{word}}}}}")));
        }
        if self.loops == 0 {
            return Err((token.pos, format!("{{{{{word}}}}} outside {{{{range}}}}")));
        }
        Ok(if word == "break" { Node::Break } else { Node::Continue })
    }

    /// What follows the word `if`, `with` or `range`, up to the end of the block.
    fn branch(&mut self, context: &'static str) -> Parsed<Branch> {
        self.enter()?;
        let scope = self.variables.len();
        let pipe = self.pipeline(context, Kind::Close)?;
        self.loops += usize::from(context == "range");
        let (body, mut ending) = self.list()?;
        self.loops -= usize::from(context == "range");
        let mut arms = Vec::new();
        let otherwise = loop {
            if let Ending::End = ending {
                break Vec::new();
            }
            let word = self.peek();
            let goes_on = word.kind == Kind::Word && word.text == context && context != "range";
            if !goes_on {
                break self.otherwise()?;
            }
            self.next();
            let pipe = self.pipeline(context, Kind::Close)?;
            let (body, next) = self.list()?;
            arms.push((pipe, body));
            ending = next;
        };
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok(Branch { pipe, body, arms, otherwise })
    }

    /// What follows the word `else` where no other arm does.
    fn otherwise(&mut self) -> Parsed<Vec<Node>> {
        let word = self.peek();
        if word.kind == Kind::Word && word.text == "if" {
            return Err(self.unexpected(word, "input"));
        }
        self.expect(Kind::Close, "else")?;
        let (nodes, ending) = self.list()?;
        match ending {
            Ending::End => Ok(nodes),
            Ending::Else(token) => Err((token.pos, "expected end; found {{else}}".to_owned())),
        }
    }

    fn call(&mut self) -> Parsed<Call> {
        let pos = self.peek().pos;
        let name = self.name("template clause")?;
        let pipe = if self.take(Kind::Close).is_some() {
            None
        } else {
            Some(self.pipeline("template clause", Kind::Close)?)
        };
        Ok(Call { pos, name, pipe })
    }

    fn block(&mut self) -> Parsed<Call> {
        self.enter()?;
        let pos = self.peek().pos;
        let name = self.name("block clause")?;
        let pipe = self.pipeline("block clause", Kind::Close)?;
        self.define(name.clone())?;
        self.depth -= 1;
        Ok(Call { pos, name, pipe: Some(pipe) })
    }

    /// The quoted name of a template.
    fn name(&mut self, context: &str) -> Parsed<String> {
        let token = self.next();
        match token.kind {
            Kind::Quoted | Kind::Raw => text_of(token),
            _other => Err(self.unexpected(token, context)),
        }
    }

    /// Declarations and commands up to `end`, which is taken.
    fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let pos = self.peek().pos;
        let (variables, assigns) = self.declarations(context)?;
        let mut commands: Vec<Command> = Vec::new();
        loop {
            let token = self.peek();
            if token.kind == end {
                self.next();
                break;
            }
            if !starts_operand(token) {
                return Err(self.unexpected(token, context));
            }
            commands.push(self.command()?);
        }
        check_commands(&commands, context, pos)?;
        self.variables.extend(variables.iter().cloned());
        Ok(Pipe { pos, assigns, variables, commands })
    }

    /// `$x :=`, `$x =`, and for `range` also `$i, $x :=`.
    fn declarations(&mut self, context: &str) -> Parsed<(Vec<String>, bool)> {
        let mut names = Vec::new();
        let start = self.at;
        while let Some(variable) = self.take(Kind::Variable) {
            names.push(variable.text.to_owned());
            let sign = self.next();
            match sign.kind {
                Kind::Declare | Kind::Assign => return Ok((names, sign.kind == Kind::Assign)),
                Kind::Comma if context == "range" && names.len() < 2 => {
                    if !matches!(self.peek().kind, Kind::Variable) {
                        let text = "range can only initialize variables".to_owned();
                        return Err((sign.pos, text));
                    }
                }
                Kind::Comma => {
                    return Err((sign.pos, format!("too many declarations in {context}")));
                }
                _operand => break,
            }
        }
        self.at = start;
        Ok((Vec::new(), false))
    }

    /// Operands up to `|` or the end of the pipeline.
    fn command(&mut self) -> Parsed<Command> {
        let pos = self.peek().pos;
        let mut args = vec![self.operand()?];
        loop {
            let token = self.peek();
            match token.kind {
                // As in Go, nothing need follow.
                Kind::Pipe => {
                    self.next();
                    break;
                }
                Kind::Close | Kind::RightParen => break,
                _other if starts_operand(token) && token.spaced => args.push(self.operand()?),
                _other => return Err(self.unexpected(token, "operand")),
            }
        }
        Ok(Command { pos, args })
    }

    /// A term with the fields that follow it at once.
    fn operand(&mut self) -> Parsed<Expr> {
        let term = self.term()?;
        let first = self.peek();
        let mut names = Vec::new();
        while let Some(field) = self.take_attached_field() {
            names.push(field);
        }
        if names.is_empty() {
            return Ok(term);
        }
        let kind = match term.kind {
            ExprKind::Field(mut before) => {
                before.append(&mut names);
                ExprKind::Field(before)
            }
            ExprKind::Variable(mut before) => {
                before.append(&mut names);
                ExprKind::Variable(before)
            }
            ExprKind::Constant(..) | ExprKind::Nil | ExprKind::Dot => {
                return Err((first.pos, format!("unexpected . after term {}", quoted_expr(&term))));
            }
            ExprKind::Function(_) | ExprKind::Pipe(_) | ExprKind::Chain(..) => {
                ExprKind::Chain(Box::new(term), names)
            }
        };
        Ok(Expr { pos: first.pos, kind })
    }

    fn take_attached_field(&mut self) -> Option<String> {
        let token = self.peek();
        if token.kind != Kind::Field || token.spaced {
            return None;
        }
        self.next();
        Some(token.text.trim_start_matches('.').to_owned())
    }

    fn term(&mut self) -> Parsed<Expr> {
        let token = self.next();
        let pos = token.pos;
        let kind = match token.kind {
            Kind::Dot => ExprKind::Dot,
            Kind::Field => ExprKind::Field(vec![token.text.trim_start_matches('.').to_owned()]),
            Kind::Variable => {
                if !self.variables.iter().any(|name| name == token.text) {
                    return Err((pos, format!("undefined variable {}", quoted(token.text))));
                }
                ExprKind::Variable(vec![token.text.to_owned()])
            }
            Kind::Word => self.word(token)?,
            Kind::Number => ExprKind::Constant(number(token)?, token.text.to_owned()),
            Kind::Char => ExprKind::Constant(character(token)?, token.text.to_owned()),
            Kind::Quoted | Kind::Raw => {
                ExprKind::Constant(text_of(token)?.into(), token.text.to_owned())
            }
            Kind::LeftParen => {
                self.enter()?;
                let pipe = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                self.depth -= 1;
                ExprKind::Pipe(Box::new(pipe))
            }
            Kind::Text
            | Kind::Open
            | Kind::Close
            | Kind::Pipe
            | Kind::Declare
            | Kind::Assign
            | Kind::Comma
            | Kind::RightParen
            | Kind::Sign
            | Kind::Fault
            | Kind::End => return Err(self.unexpected(token, "operand")),
        };
        Ok(Expr { pos, kind })
    }

    fn word(&self, token: Token<'_>) -> Parsed<ExprKind> {
        let constant = |value| ExprKind::Constant(value, token.text.to_owned());
        match token.text {
            "true" => Ok(constant(Value::Bool(true))),
            "false" => Ok(constant(Value::Bool(false))),
            "nil" => Ok(ExprKind::Nil),
            word if KEYWORDS.contains(&word) => {
                Err((token.pos, format!("unexpected <{word}> in operand")))
            }
            word if self.functions.contains(word) || builtins::contains(word) => {
                Ok(ExprKind::Function(word.to_owned()))
            }
            word => Err((token.pos, format!("function {} not defined", quoted(word)))),
        }
    }
}

fn starts_operand(token: Token<'_>) -> bool {
    match token.kind {
        Kind::Dot
        | Kind::Field
        | Kind::Variable
        | Kind::Word
        | Kind::Number
        | Kind::Char
        | Kind::Quoted
        | Kind::Raw
        | Kind::LeftParen => true,
        Kind::Text
        | Kind::Open
        | Kind::Close
        | Kind::Pipe
        | Kind::Declare
        | Kind::Assign
        | Kind::Comma
        | Kind::RightParen
        | Kind::Sign
        | Kind::Fault
        | Kind::End => false,
    }
}

/// Only the first command may be a plain value: the others are given one.
fn check_commands(commands: &[Command], context: &str, pos: usize) -> Parsed<()> {
    if commands.is_empty() {
        return Err((pos, format!("missing value for {context}")));
    }
    for (place, command) in commands.iter().enumerate().skip(1) {
        let first = command.args.first().map(|arg| &arg.kind);
        if let Some(ExprKind::Constant(..) | ExprKind::Dot | ExprKind::Nil) = first {
            let stage = place + 1;
            let text = format!("non executable command in pipeline stage {stage}");
            return Err((command.pos, text));
        }
    }
    Ok(())
}

fn quoted_expr(expr: &Expr) -> String {
    quoted(&expr.to_string())
}

/// A whole number in Go's ways to write one, or a float.
fn number(token: Token<'_>) -> Parsed<Value> {
    let fault = |what: &str| (token.pos, format!("{what}: {}", quoted(token.text)));
    let illegal = || fault("illegal number syntax");
    let (negative, digits) = match token.text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, token.text.strip_prefix('+').unwrap_or(token.text)),
    };
    let prefixed = |prefix: &[&str]| prefix.iter().find_map(|prefix| digits.strip_prefix(*prefix));
    let base = [(16, &["0x", "0X"][..]), (8, &["0o", "0O"]), (2, &["0b", "0B"]), (8, &["0"])];
    let based = base.iter().find_map(|(base, prefix)| Some((*base, prefixed(prefix)?)));
    if !underscores_part_digits(digits) {
        return Err(illegal());
    }
    let is_hex = based.is_some_and(|(base, _)| base == 16);
    let is_float =
        if is_hex { digits.contains(['.', 'p', 'P']) } else { digits.contains(['.', 'e', 'E']) };
    if is_float {
        let plain = digits.replace('_', "");
        let size = if is_hex { hex_float(&plain) } else { plain.parse().ok() };
        let size = size.filter(|size: &f64| size.is_finite()).ok_or_else(illegal)?;
        return Ok(Value::Float(if negative { -size } else { size }));
    }
    let (base, plain) = match based {
        Some((base, after)) if !after.is_empty() => (base, after),
        Some(_) | None => (10, digits),
    };
    let plain = plain.replace('_', "");
    if !plain.chars().all(|c| c.is_ascii_hexdigit()) || plain.is_empty() {
        return Err(illegal());
    }
    let size = i128::from_str_radix(&plain, base).map_err(|_| fault("integer overflow"))?;
    let size = if negative { -size } else { size };
    i64::try_from(size).map(Value::Int).map_err(|_| fault("integer overflow"))
}

/// Whether each underscore stands between two digits, of which the letter of a base is one.
fn underscores_part_digits(digits: &str) -> bool {
    let (_, rest) = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x" | "0o" | "0b") => digits.split_at(2),
        _ => ("", digits),
    };
    let has_base = rest.len() < digits.len();
    let is_digit = |c: char| if has_base { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
    let mut before = has_base;
    let mut chars = rest.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '_' && !(before && chars.peek().copied().is_some_and(is_digit)) {
            return false;
        }
        before = is_digit(c);
    }
    true
}

/// `0x1.8p-2`: hexadecimal digits with a point, times a power of two.
fn hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.get(2..)?.split_once(['p', 'P'])?;
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let mut exponent: i64 = exponent.parse().ok()?;
    let mut bits: u64 = 0;
    for (place, digit) in whole.chars().chain(part.chars()).enumerate() {
        let digit = u64::from(digit.to_digit(16)?);
        let is_whole = place < whole.len();
        if bits >> 60 == 0 {
            bits = (bits << 4) | digit;
            exponent = exponent.saturating_sub(if is_whole { 0 } else { 4 });
        } else {
            // What there is no room for decides no more than which way is rounded.
            bits |= u64::from(digit != 0);
            exponent = exponent.saturating_add(if is_whole { 4 } else { 0 });
        }
    }
    let mut size = bits as f64;
    // Beyond these, all is nothing or too much.
    let exponent = i32::try_from(exponent.clamp(-2_400, 2_400)).ok()?;
    // In steps: the power alone may be out of range where the product is not.
    for _ in 0..exponent.unsigned_abs() / 512 {
        size *= 2_f64.powi(512 * exponent.signum());
    }
    Some(size * 2_f64.powi(exponent % 512))
}

fn character(token: Token<'_>) -> Parsed<Value> {
    let malformed = || (token.pos, format!("malformed character constant: {}", token.text));
    let inner = token.text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    let inner = inner.filter(|inner| !inner.is_empty());
    let invalid = || (token.pos, "invalid syntax".to_owned());
    let text = unescape(inner.ok_or_else(invalid)?).ok_or_else(invalid)?;
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(Value::Int(u32::from(c).into())),
        (_, _) => Err(malformed()),
    }
}

/// The text that a quoted or raw token means.
fn text_of(token: Token<'_>) -> Parsed<String> {
    let inner = token.text.get(1..token.text.len().saturating_sub(1)).unwrap_or_default();
    if token.kind == Kind::Raw {
        return Ok(inner.replace('\r', ""));
    }
    unescape(inner).ok_or_else(|| (token.pos, "invalid syntax".to_owned()))
}

/// Go's escapes; bytes that make no UTF-8 become the replacement character.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    let push = |bytes: &mut Vec<u8>, c: char| {
        let mut buffer = [0; 4];
        bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
    };
    while let Some(c) = chars.next() {
        if c != '\\' {
            push(&mut bytes, c);
            continue;
        }
        let escape = chars.next()?;
        let (digits, radix) = match escape {
            'a' => (0, 0x07),
            'b' => (0, 0x08),
            'f' => (0, 0x0c),
            'n' => (0, 0x0a),
            'r' => (0, 0x0d),
            't' => (0, 0x09),
            'v' => (0, 0x0b),
            '\\' | '\'' | '"' => (0, u32::from(escape)),
            'x' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='7' => (2, 8),
            _unknown => return None,
        };
        if digits == 0 {
            push(&mut bytes, char::from_u32(radix)?);
            continue;
        }
        let mut code = if radix == 8 { escape.to_digit(8)? } else { 0 };
        for _ in 0..digits {
            code = code.checked_mul(radix)?.checked_add(chars.next()?.to_digit(radix)?)?;
        }
        if matches!(escape, 'u' | 'U') {
            push(&mut bytes, char::from_u32(code)?);
        } else {
            bytes.push(u8::try_from(code).ok()?);
        }
    }
    Some(
        String::from_utf8(bytes)
            .unwrap_or_else(|err| String::from_utf8_lossy(err.as_bytes()).into_owned()),
    )
}
