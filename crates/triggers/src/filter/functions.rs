//! What an expression may call.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use cel::common::ast::operators;
use cel::common::types::CelString;
use cel::{Context, Env, ExecutionError, FunctionContext};
use regex::{Regex, RegexBuilder};

use super::words;

/// One function.
struct Function {
    name: &'static str,
    /// With so many values in parentheses, where it is called by itself.
    alone: Option<usize>,
    /// With so many, where it is called on a value.
    on: Option<usize>,
    usage: &'static str,
}

const fn alone(name: &'static str, usage: &'static str) -> Function {
    Function { name, alone: Some(1), on: None, usage }
}

const fn on(name: &'static str, usage: &'static str) -> Function {
    Function { name, alone: None, on: Some(1), usage }
}

const FUNCTIONS: [Function; 13] = [
    Function { name: "size", alone: Some(1), on: Some(0), usage: "size(x)" },
    on("contains", "x.contains('text')"),
    on("startsWith", "x.startsWith('text')"),
    on("endsWith", "x.endsWith('text')"),
    on(MATCHES, "x.matches('pattern')"),
    alone("type", "type(x)"),
    alone("dyn", "dyn(x)"),
    alone("int", "int(x)"),
    alone("uint", "uint(x)"),
    alone("double", "double(x)"),
    alone("string", "string(x)"),
    alone("bytes", "bytes(x)"),
    alone("bool", "bool(x)"),
];

/// A call of one of these that is still a call after parsing has the wrong form.
const MACROS: [(&str, &str); 7] = [
    ("has", "has(x.y)"),
    ("all", "x.all(y, condition)"),
    ("exists", "x.exists(y, condition)"),
    ("exists_one", "x.exists_one(y, condition)"),
    ("existsOne", "x.existsOne(y, condition)"),
    ("map", "x.map(y, value)"),
    ("filter", "x.filter(y, condition)"),
];

/// Optional values are not switched on, so their operators do not come.
const OPERATORS: [&str; 18] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::INDEX,
    operators::IN,
];

pub(super) const MATCHES: &str = "matches";

/// A pattern's program may have so many bytes: `\w{3}` fits, `\w{100}` does not. It bounds what a
/// character of the text can cost.
const MAX_PATTERN_BYTES: usize = 256 * 1024;

/// The library without macros, which the parser has, and without optional values.
static LIBRARY: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::default().with_optional_support(false).with_stdlib()));

/// The patterns that an expression names, ready for use.
pub(super) type Patterns = Arc<BTreeMap<String, Regex>>;

/// Why `name` cannot be called like this, if so. `args` are those in the parentheses.
pub(super) fn check_call(name: &str, on_value: bool, args: usize) -> Result<(), String> {
    if OPERATORS.contains(&name) || name == operators::NOT_STRICTLY_FALSE {
        return Ok(());
    }
    if let Some((_, usage)) = MACROS.iter().find(|(known, _)| *known == name) {
        return Err(format!("{name} is written `{usage}`"));
    }
    let Some(function) = FUNCTIONS.iter().find(|function| function.name == name) else {
        return Err(unknown(name));
    };
    let wanted = if on_value { function.on } else { function.alone };
    if wanted == Some(args) { Ok(()) } else { Err(format!("{name} is written `{}`", function.usage)) }
}

fn unknown(name: &str) -> String {
    let known = || FUNCTIONS.iter().map(|function| function.name).chain(MACROS.iter().map(|(name, _)| *name));
    let help = match (words::in_cel(name, words::FUNCTIONS), words::nearest(name, known())) {
        (Some(help), _) => help,
        (None, Some(near)) => format!("did you mean '{near}'?"),
        (None, None) => format!("there are: {}", known().collect::<Vec<_>>().join(", ")),
    };
    format!("there is no function {}; {help}", words::quote(name))
}

/// Whether `name` is that of a type, so that no event may give it another meaning.
pub(super) fn is_type(name: &str) -> bool {
    LIBRARY.types().find_type(name).is_some()
}

/// Makes a pattern ready for use, or says what is wrong with it.
pub(super) fn pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(MAX_PATTERN_BYTES).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "the pattern is too large: it repeats too much".to_owned(),
        // The last line is the reason; those before show the place, for which there is no room.
        other => {
            let told = other.to_string();
            let reason = told.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("the pattern is no regular expression: {reason}")
        }
    })
}

/// An empty context with everything that may be called.
pub(super) fn context<'e>(patterns: &Patterns) -> Context<'e, 'e> {
    let mut context = Context::with_env(Arc::clone(&LIBRARY));
    if !patterns.is_empty() {
        let patterns = Arc::clone(patterns);
        // It is not part of the library without cel's own regular expressions, so that name is free.
        let _ = context.add_function(MATCHES, move |call: &FunctionContext<'_, '_>| matches(call, &patterns));
    }
    context
}

fn matches(call: &FunctionContext<'_, '_>, patterns: &Patterns) -> Result<bool, ExecutionError> {
    let text = call.this.as_ref().and_then(|this| this.downcast_ref::<CelString<'_>>());
    let pattern = call.args.first().and_then(|pattern| patterns.get(pattern.downcast_ref::<CelString<'_>>()?.inner()));
    match (text, pattern) {
        (Some(text), Some(pattern)) => Ok(pattern.is_match(text.inner())),
        _ => Err(call.error("it is called on a text")),
    }
}
