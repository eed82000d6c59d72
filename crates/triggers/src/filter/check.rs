//! What is found wrong with an expression before any event comes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};

use super::cost::{self, MAX_STEPS};
use super::functions::{self, MATCHES, Patterns};
use super::parse::{children, parse};
use super::size::Sizes;
use super::words::{CONSTANTS, find, in_cel, place, quote};

/// An expression that was found right.
pub(super) struct Program {
    pub(super) expr: IdedExpr,
    /// The names that it uses, those of its loops among them.
    pub(super) names: BTreeSet<String>,
    /// Those that neither a loop gives nor a type has, and where they stand, as `column 7: `.
    pub(super) free: Vec<(String, String)>,
    /// What it selects from the payload by name.
    pub(super) fields: BTreeSet<String>,
    pub(super) patterns: Patterns,
}

/// What is longer is a program, and belongs into one.
const MAX_CHARS: usize = 2_000;

/// Loops within loops; the bound on their work would stop more at the first real event.
const MAX_LOOPS: usize = 3;

/// Parses and checks `text`; the error says what is wrong and where.
pub(super) fn program(text: &str) -> Result<Program, String> {
    let chars = text.chars().count();
    if chars > MAX_CHARS {
        return Err(format!("it has {chars} characters; {MAX_CHARS} are allowed"));
    }
    let mut found = Found::default();
    let expr = parse(text)?;
    found.look(text, &expr)?;
    found.check_types(text)?;
    let loops = loops(&expr);
    if loops > MAX_LOOPS {
        return Err(format!("loops (all, exists, exists_one, map, filter) are nested {loops} deep; {MAX_LOOPS} are allowed"));
    }
    if let Some(kind) = never_bool(&expr) {
        return Err(format!("it gives {kind}, and must give true or false"));
    }
    let free = found.free(text);
    let Found { names, fields, patterns, .. } = found;
    let program = Program { expr, names, free, fields, patterns: Arc::new(patterns) };
    if cost::steps(&program.expr, &Sizes::default()) > MAX_STEPS {
        return Err(format!("it may take more than {MAX_STEPS} steps, however small the event"));
    }
    Ok(program)
}

/// What was found on the way through an expression.
#[derive(Default)]
struct Found {
    names: BTreeSet<String>,
    fields: BTreeSet<String>,
    patterns: BTreeMap<String, regex::Regex>,
    /// Names that its loops give.
    given: BTreeSet<String>,
    /// It asks for the type of something.
    asks_type: bool,
}

impl Found {
    fn look(&mut self, text: &str, expr: &IdedExpr) -> Result<(), String> {
        let at = |name: &str, called: bool| find(text, name, called).map_or(String::new(), |at| format!("{}: ", place(text, at)));
        match &expr.expr {
            Expr::Ident(name) => {
                if let Some(help) = in_cel(name, CONSTANTS) {
                    return Err(format!("{}{} is no value; {help}", at(name, false), quote(name)));
                }
                if name.starts_with('.') {
                    return Err(format!("{} is no name; leave out the dot before it", quote(name)));
                }
                // What a loop gathers has a name that nobody can write.
                if !name.starts_with('@') {
                    self.names.insert(name.clone());
                }
            }
            Expr::Select(select) => {
                if matches!(&select.operand.expr, Expr::Ident(name) if name == "payload") {
                    self.fields.insert(select.field.clone());
                }
            }
            Expr::Call(call) => {
                functions::check_call(&call.func_name, call.target.is_some(), call.args.len())
                    .and_then(|()| self.pattern(call))
                    .map_err(|what| format!("{}{what}", at(&call.func_name, true)))?;
                self.asks_type |= call.func_name == "type";
            }
            Expr::Comprehension(comprehension) => {
                self.given.insert(comprehension.iter_var.clone());
            }
            Expr::Struct(message) => return Err(format!("there is no type {} of messages", quote(&message.type_name))),
            Expr::Unspecified => return Err("a part of it is missing".to_owned()),
            Expr::Literal(_) | Expr::List(_) | Expr::Map(_) => {}
        }
        children(expr).into_iter().try_for_each(|child| self.look(text, child))
    }

    fn free(&self, text: &str) -> Vec<(String, String)> {
        let names = self.names.iter().filter(|name| !self.given.contains(*name) && !functions::is_type(name));
        let at = |name: &str| find(text, name, false).map_or(String::new(), |at| format!("{}: ", place(text, at)));
        names.map(|name| (name.clone(), at(name))).collect()
    }

    /// The name of a type is that, also where the payload has such a key: `type == 'push'` would be
    /// false for every event, and nobody would know why.
    fn check_types(&self, text: &str) -> Result<(), String> {
        let mistaken = self.names.iter().find(|name| functions::is_type(name) && !self.given.contains(*name));
        match mistaken.filter(|_| !self.asks_type) {
            Some(name) => {
                let at = find(text, name, false).map_or(String::new(), |at| format!("{}: ", place(text, at)));
                Err(format!("{at}{} is the name of a type; for the payload's key write `payload.{name}`", quote(name)))
            }
            None => Ok(()),
        }
    }

    /// A pattern must stand in the expression, so that it is checked once and not made by a sender.
    fn pattern(&mut self, call: &CallExpr) -> Result<(), String> {
        if call.func_name != MATCHES {
            return Ok(());
        }
        let Some(Expr::Literal(LiteralValue::String(pattern))) = call.args.first().map(|pattern| &pattern.expr) else {
            return Err("the pattern of matches must be written out as a text".to_owned());
        };
        self.patterns.insert(pattern.inner().to_owned(), functions::pattern(pattern.inner())?);
        Ok(())
    }
}

/// How many loops go on within each other. What a loop goes through is made before it begins.
fn loops(expr: &IdedExpr) -> usize {
    match &expr.expr {
        Expr::Comprehension(comprehension) => {
            let inside = [&comprehension.loop_cond, &comprehension.loop_step, &comprehension.result];
            let inside = 1 + inside.into_iter().map(loops).max().unwrap_or_default();
            inside.max(loops(&comprehension.iter_range))
        }
        _ => children(expr).into_iter().map(loops).max().unwrap_or_default(),
    }
}

/// What the expression gives, where that is known and no truth value.
fn never_bool(expr: &IdedExpr) -> Option<&'static str> {
    match &expr.expr {
        Expr::Literal(LiteralValue::Boolean(_)) => None,
        Expr::Literal(LiteralValue::String(_)) => Some("a text"),
        Expr::Literal(LiteralValue::Null) => Some("null"),
        Expr::Literal(LiteralValue::Bytes(_)) => Some("bytes"),
        Expr::Literal(_) => Some("a number"),
        Expr::List(_) => Some("a list"),
        Expr::Map(_) => Some("a map"),
        Expr::Comprehension(comprehension) if matches!(comprehension.accu_init.expr, Expr::List(_)) => Some("a list"),
        Expr::Call(call) => match call.func_name.as_str() {
            operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO | operators::NEGATE => {
                Some("a number")
            }
            operators::ADD => Some("a sum"),
            "size" | "int" | "uint" | "double" => Some("a number"),
            "string" => Some("a text"),
            "bytes" => Some("bytes"),
            "type" => Some("a type"),
            _ => None,
        },
        _ => None,
    }
}
