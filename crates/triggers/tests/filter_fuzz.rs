//! No expression and no event brings a filter down.

use chrono::DateTime;
use flyball_core_agent::TriggerEvent;
use flyball_triggers::{Error, Filter, Verdict};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value};

const NUMBERS: [&str; 18] = [
    "payload.a",
    "a",
    "x",
    "0",
    "1",
    "-1",
    "7",
    "0u",
    "2u",
    "1.5",
    "-0.0",
    "0.0",
    "1e308",
    "1e-320",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615u",
    "int",
];
const TEXTS: [&str; 8] = ["payload.b", "b", "y", "trigger_type", "''", "'a'", "'\\u00e9\\U0001F600'", "r'\\d'"];
const LISTS: [&str; 7] = ["payload.c", "c", "x", "[]", "[1, 'a', null]", "[[1], {'a': 2}, 3u]", "[0.5, 1u, -1]"];
const OTHERS: [&str; 10] =
    ["payload", "metadata", "payload.d", "d", "null", "{}", "{'a': 1, 2: [1], true: 1u}", "b'\\xff'", "type", "payload.a.b"];

/// Pieces of text that mean something to the parser, alone or where they do not belong.
const PIECES: [&str; 46] = [
    "payload",
    "a",
    "x",
    ".",
    ",",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "?",
    ":",
    "!",
    "-",
    "+",
    "*",
    "/",
    "%",
    "=",
    "==",
    "!=",
    "<",
    ">=",
    "&&",
    "||",
    "&",
    " in ",
    "'",
    "\"",
    "'''",
    "r'",
    "b\"",
    "`",
    "\\",
    "//",
    "\n",
    "é",
    "\u{0}",
    "0x",
    "1.",
    "1e",
    "9223372036854775808",
    "size(",
    ".all(x,",
    "has(",
];

type Text = BoxedStrategy<String>;

/// Expressions up to some depth, by what they come to where all goes well.
#[derive(Clone)]
struct Level {
    number: Text,
    text: Text,
    list: Text,
    truth: Text,
    any: Text,
}

/// One of `shapes`, with `$` and `#` filled in.
fn fill(shapes: &'static [&'static str], a: &Text, b: &Text) -> Text {
    (select(shapes), a.clone(), b.clone()).prop_map(|(shape, a, b)| shape.replace('$', &a).replace('#', &b)).boxed()
}

impl Level {
    fn first() -> Self {
        let one_of = |words: &'static [&'static str]| select(words).prop_map(str::to_owned).boxed();
        let (number, text, list) = (one_of(&NUMBERS), one_of(&TEXTS), one_of(&LISTS));
        let truth = one_of(&["true", "false", "payload.e", "e"]);
        let any = prop_oneof![number.clone(), text.clone(), list.clone(), truth.clone(), one_of(&OTHERS)].boxed();
        Self { number, text, list, truth, any }
    }

    /// One deeper. Now and then anything takes the place of what fits.
    fn deeper(self) -> Self {
        let Self { number, text, list, truth, any } = &self;
        let next = Self {
            number: prop_oneof![
                4 => fill(&["($ + #)", "($ - #)", "($ * #)", "($ / #)", "($ % #)", "-$"], number, number),
                2 => fill(&["size($)", "size(#)", "($).size()"], list, text),
                2 => fill(&["int($)", "uint($)", "double($)", "int(#)", "double(#)", "dyn($)"], number, text),
                1 => fill(&["($)[#]", "($)[0]", "($ + [1])[-1]"], list, number),
                1 => any.clone(),
            ]
            .boxed(),
            text: prop_oneof![
                3 => fill(&["($ + #)", "string($)", "string(bytes($))"], text, text),
                1 => fill(&["string($)", "string(#)"], number, any),
                1 => any.clone(),
            ]
            .boxed(),
            list: prop_oneof![
                2 => fill(&["[$, #]", "[$] + [#]", "[$, $, #]"], any, number),
                2 => fill(&["($).map(x, #)", "($).filter(x, x == #)", "($).map(y, [y, #])", "($ + [#])"], list, any),
                1 => fill(&["($).filter(x, #)", "($).map(x, #, x)"], list, truth),
                1 => any.clone(),
            ]
            .boxed(),
            truth: prop_oneof![
                2 => fill(&["$ == #", "$ != #", "$ < #", "$ <= #", "$ > #", "$ >= #"], number, number),
                2 => fill(&["$ < #", "($).contains(#)", "($).startsWith(#)", "($).endsWith(#)", "($).matches('a+|^')"], text, text),
                2 => fill(&["($ && #)", "($ || #)", "!($)", "($ ? # : true)", "bool(string($))"], truth, truth),
                2 => fill(&["($).all(x, #)", "($).exists(y, #)", "($).exists_one(x, #)"], list, truth),
                2 => fill(&["$ == #", "# in ($)", "type($) == type(#)", "{#: $} != {}", "has(payload.a)"], list, any),
                1 => fill(&["has(($).a)", "($)[#] == 1", "($).a == #", "$ > #"], any, any),
            ]
            .boxed(),
            any: any.clone(),
        };
        let any = prop_oneof![next.number.clone(), next.text.clone(), next.list.clone(), next.truth.clone(), any.clone()];
        Self { any: any.boxed(), ..next }
    }
}

fn condition() -> Text {
    let (first, second) = (Level::first().deeper(), Level::first().deeper().deeper());
    let third = second.clone().deeper();
    prop_oneof![first.truth, second.truth, third.truth, third.any].boxed()
}

/// Text that is hardly ever an expression.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![8 => select(&PIECES[..]).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    prop::collection::vec(piece, 0..600).prop_map(|pieces| pieces.concat())
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-2_i64..3).prop_map(Value::from),
        "[ab\u{e9}0-9]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let fields = prop::collection::vec(("[abxy0]|payload|@result|int|payload\\.a", inner.clone()), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            fields.prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// What the names in an expression stand for, mostly.
fn payload() -> impl Strategy<Value = Value> {
    let number =
        prop_oneof![any::<i64>().prop_map(Value::from), (-2_i64..3).prop_map(Value::from), (-2.0..2.0).prop_map(Value::from)];
    let list = prop::collection::vec(json(), 0..4).prop_map(Value::from);
    let named = (number, "[ab1]{0,3}".prop_map(Value::from), list, json(), any::<bool>().prop_map(Value::from));
    let named = named.prop_map(|(a, b, c, d, e)| serde_json::json!({"a": a, "b": b, "c": c, "d": d, "e": e, "x": a, "y": b}));
    prop_oneof![4 => named, 1 => json()]
}

fn judge(text: &str, payload: Value, metadata: Value) -> Result<Verdict, Error> {
    let mut event = TriggerEvent::new("t", "test", DateTime::UNIX_EPOCH, payload);
    event.metadata = metadata.as_object().cloned().unwrap_or_default();
    Ok(Filter::parse(text)?.matches(&event))
}

// A panic, or a stack that overflows, ends the test.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_expression_and_no_payload_make_it_panic(text in condition(), payload in payload(), metadata in json()) {
        let _ = judge(&text, payload, metadata);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in soup(), payload in json()) {
        let _ = judge(&text, payload, Value::Null);
    }
}

/// Else the tests above would try nothing.
#[test]
fn what_is_tried_is_evaluated_often_enough() {
    let mut runner = TestRunner::deterministic();
    let (conditions, payloads) = (condition(), payload());
    let mut counts = [0; 4];
    for _ in 0..1_000 {
        let text = conditions.new_tree(&mut runner).expect("a text").current();
        let payload = payloads.new_tree(&mut runner).expect("a payload").current();
        counts[match judge(&text, payload, Value::Null) {
            Err(_) => 0,
            Ok(Verdict::Failed(_)) => 1,
            Ok(Verdict::Reject) => 2,
            Ok(Verdict::Pass) => 3,
        }] += 1;
    }
    let [refused, failed, rejected, passed] = counts;
    assert!(refused < 300 && failed > 100 && rejected > 100 && passed > 100, "{counts:?}");
}
