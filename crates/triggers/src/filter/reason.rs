//! Why an event could not be judged, in words. They hold no value of the event but keys: a reason is
//! shown to operators and logged, and an event may hold what must not be.

use cel::{ExecutionError, Value};

use super::bind::NAMES;
use super::words::{clip, nearest, quote};

/// The reason of a failure.
pub(super) fn of(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("there is no key {}; `has` asks whether there is", quote(key)),
        ExecutionError::UndeclaredReference(name) => undeclared(name),
        ExecutionError::NoSuchOverload(call) => {
            let types: Vec<String> = call.argument_types().iter().map(|name| kind(name)).collect();
            misfit(call.function(), &types)
        }
        ExecutionError::UnsupportedBinaryOperator(name, left, right) => misfit(name, &[kind_of(left), kind_of(right)]),
        ExecutionError::ValuesNotComparable(left, right) => misfit("compare", &[kind_of(left), kind_of(right)]),
        ExecutionError::UnexpectedType { got, want } => format!("it has {} where {} is needed", kind(got), kind(want)),
        ExecutionError::UnsupportedKeyType(key) => format!("{} cannot be a key", kind_of(key)),
        ExecutionError::UnsupportedIndex(index, of) => misfit("_[_]", &[kind_of(of), kind_of(index)]),
        ExecutionError::IndexOutOfBounds(Value::Int(index)) => format!("the list has no item {index}"),
        ExecutionError::IndexOutOfBounds(_) => "the list has no such item".to_owned(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "it divides by zero".to_owned(),
        ExecutionError::Overflow(name, ..) => format!("`{}` gives a number that is too large", operator(name)),
        ExecutionError::DuplicateKey(_) => "it makes a map with the same key twice".to_owned(),
        ExecutionError::FunctionError { function, message } => format!("{function}: {}", clip(message)),
        // The others show their values, or cannot come of an expression that was checked.
        _ => "it cannot be evaluated".to_owned(),
    }
}

fn undeclared(name: &str) -> String {
    let meant = nearest(name, NAMES.into_iter()).map_or(String::new(), |near| format!("; did you mean '{near}'?"));
    format!("{} is no key of the payload{meant}", quote(name))
}

/// What is called does not take values of these types.
fn misfit(name: &str, types: &[String]) -> String {
    match (name, types) {
        ("_._", [of, ..]) => format!("{of} has no keys"),
        ("_[_]", [of, index]) => format!("{index} is no index of {of}"),
        _ => {
            let numbers = types.iter().all(|name| matches!(name.as_str(), "an int" | "a uint" | "a double"));
            let help = if numbers && types.len() > 1 { "; `double(x)` makes a double of a number" } else { "" };
            format!("`{}` does not go with {}{help}", operator(name), types.join(" and "))
        }
    }
}

/// An operator as it is written.
fn operator(name: &str) -> &str {
    match name {
        "add" => "+",
        "sub" | "negate" => "-",
        "mul" => "*",
        "div" => "/",
        "rem" => "%",
        "_?_:_" => "? :",
        other => other.trim_matches(['_', '@']),
    }
}

/// A value of the type named so, with its article.
pub(super) fn kind(name: &str) -> String {
    match name {
        "null_type" | "null" => "null".to_owned(),
        "float" => "a double".to_owned(),
        "int" => "an int".to_owned(),
        "bytes" => "bytes".to_owned(),
        other => format!("a {}", clip(other)),
    }
}

fn kind_of(value: &Value) -> String {
    kind(&value.type_of().to_string())
}
