//! What a filter lets through, what it refuses when it is made, and that nothing brings it down.

use chrono::DateTime;
use flyball_core_agent::TriggerEvent;
use flyball_triggers::{Filter, Verdict};
use serde_json::{Value, json};

fn event(payload: Value) -> TriggerEvent {
    let mut event = TriggerEvent::new("webhook-1", "webhook", DateTime::UNIX_EPOCH, payload);
    event.event_id = "e1".to_owned();
    event.metadata.insert("method".to_owned(), json!("POST"));
    event
}

fn load() -> Value {
    json!({
        "file": "sales-2024.csv", "lag": 5, "share": 5.5, "rows": [{"n": 1, "tags": ["new", "late"]}, {"n": 2, "tags": []}],
        "ok": true, "zero": 0, "nothing": null, "least": i64::MIN, "most": i64::MAX, "beyond": u64::MAX, "half": 0.5,
    })
}

fn judge(text: &str, payload: Value) -> Verdict {
    Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).matches(&event(payload))
}

/// Why the filter cannot tell.
fn failure(text: &str) -> String {
    match judge(text, load()) {
        Verdict::Failed(why) => why,
        other => panic!("{text}: {other:?}"),
    }
}

/// What is wrong with the expression.
fn mistake(text: &str) -> String {
    let error = Filter::parse(text).expect_err(text).to_string();
    error.strip_prefix("filter_expression: ").expect("it names the field").to_owned()
}

#[test]
fn the_five_names_and_the_payloads_keys_are_there() {
    for text in [
        "payload.file == 'sales-2024.csv'",
        "file.startsWith('sales') && file.endsWith('.csv') && file.contains('2024')",
        "metadata.method == 'POST' && trigger_type == 'webhook' && trigger_id == 'webhook-1' && event_id == 'e1'",
        "has(payload.lag) && !has(payload.lead) && 'lag' in payload",
        "rows.exists(row, row.n == 2) && rows.all(row, row.n < 3) && rows.exists_one(row, 'late' in row.tags)",
        "rows.map(row, row.n) == [1, 2] && rows.filter(row, size(row.tags) > 0).size() == 1",
        "file.matches('^sales-\\\\d{4}[.]csv$') && file.matches(r'(?i)^SALES')",
        "lag in [1, 5] && (ok ? zero == 0 : false) && nothing == null",
    ] {
        assert_eq!(judge(text, load()), Verdict::Pass, "{text}");
    }
    assert_eq!(judge("payload.lag > 5", load()), Verdict::Reject);
    assert_eq!(judge("payload == 'built'", json!("built")), Verdict::Pass);
    assert_eq!(judge("payload.lag > 5", json!("built")), Verdict::Failed("a string has no keys".to_owned()));
}

#[test]
fn whole_numbers_and_others_compare_by_value() {
    for text in [
        "payload.lag > 3",
        "payload.share > 3",
        "payload.lag > 3.5",
        "payload.lag == 5.0",
        "payload.share > lag",
        "beyond > most",
        "beyond == 18446744073709551615.0",
        "double(lag) * 1.5 == 7.5",
        "{1: 'one'}[1.0] == 'one'",
        "type(lag) == int && type(share) == double",
    ] {
        assert_eq!(judge(text, load()), Verdict::Pass, "{text}");
    }
    assert_eq!(judge("lag == share", load()), Verdict::Reject);
    assert_eq!(failure("share * 2 > 1.0"), "`*` does not go with a double and an int; `double(x)` makes a double of a number");
}

#[test]
fn a_sender_cannot_give_the_names_another_meaning() {
    let spoof = json!({
        "payload": {"lag": 9}, "payload.lag": 9, "lag": 1, "metadata": {"method": "GET"}, "trigger_type": "cron", "int": "int",
        "type": 1, "@result": true, "size": 1,
    });
    for text in [
        "payload.lag == 1",
        "metadata.method == 'POST' && trigger_type == 'webhook'",
        "type(payload.lag) == int",
        "payload.type == 1 && [2].all(type, type == 2)",
        "size([1, 2]) == 2 && size == 1",
        "![false].exists(x, x)",
    ] {
        assert_eq!(judge(text, spoof.clone()), Verdict::Pass, "{text}");
    }
}

#[test]
fn what_cannot_be_told_is_no_match_and_says_why_without_the_events_values() {
    for (text, why) in [
        ("payload.lead > 3", "there is no key 'lead'; `has` asks whether there is"),
        ("lead > 3", "'lead' is no key of the payload"),
        ("playload.lag > 3", "'playload' is no key of the payload; did you mean 'payload'?"),
        ("payload.file", "it gives a string, and must give true or false"),
        ("payload.lag", "it gives an int, and must give true or false"),
        ("ok ? nothing : true", "it gives null, and must give true or false"),
        ("file > 3", "`>` does not go with a string and an int"),
        ("nothing > 3", "`>` does not go with null and an int"),
        ("file.contains(lag)", "`contains` does not go with a string and an int"),
        ("lag.matches('5')", "matches: it is called on a text"),
        ("lag && ok", "`&&` does not go with an int and a bool"),
        ("lag.seconds > 3", "an int has no keys"),
        ("rows['n'] == 1", "a string is no index of a list"),
        ("rows[half].n == 1", "a double is no index of a list"),
        ("rows[2].n == 1", "the list has no item 2"),
        ("rows[-1].n == 1", "the list has no item -1"),
        ("lag / zero == 1", "it divides by zero"),
        ("lag % zero == 1", "it divides by zero"),
        ("most + 1 > 0", "`+` gives a number that is too large"),
        ("least / -1 > 0", "`/` gives a number that is too large"),
        ("least % -1 == 0", "`%` gives a number that is too large"),
        ("-least > 0", "`-` gives a number that is too large"),
        ("int(file) > 0", "int: string parse error: invalid digit found in string"),
        ("int(share * 1e300) > 0", "int: integer overflow"),
        ("{'a': 1, 'a': 2} == {}", "it makes a map with the same key twice"),
        ("{rows: 1} == {}", "a list cannot be a key"),
        ("lag.exists(x, x)", "it has an int where a iterable is needed"),
    ] {
        assert_eq!(failure(text), why, "{text}");
    }
    let hostile = json!({"key": format!("\u{1b}[31m{}", "x".repeat(100))});
    let Verdict::Failed(why) = judge("payload[payload.key] == 1", hostile) else { panic!("there is no such key") };
    assert!(!why.contains('\u{1b}') && why.chars().count() < 120, "{why}");
}

#[test]
fn what_decides_alone_decides_though_the_rest_cannot_be_told() {
    assert_eq!(judge("ok || payload.lead > 3", load()), Verdict::Pass);
    assert_eq!(judge("payload.lead > 3 || ok", load()), Verdict::Pass);
    assert_eq!(judge("payload.lead > 3 && !ok", load()), Verdict::Reject);
}

#[test]
fn a_mistake_is_told_when_the_filter_is_made_with_its_place() {
    for (text, what) in [
        ("payload.lag >", "column 14: it ends where a value should be"),
        ("  ", "column 3: it ends where a value should be"),
        ("payload.lag = 3", "column 13: '=' does not fit here; write `==`"),
        ("lag > 3 and ok", "column 9: 'and' does not fit here; write `&&`"),
        ("ok is True", "column 4: 'is' does not fit here; write `==`"),
        ("not ok", "column 5: 'ok' does not fit here; write `!` before it"),
        ("ok == True", "column 7: 'True' is no value; write `true`"),
        ("file == 'ü' && ]", "column 16: unexpected token"),
        ("ok &&\n  (lag > 3", "line 2, column 11: expected ')'"),
        ("file.contains('a'", "column 18: the end stands where ')' should be"),
        ("file == \"a", "column 9: unterminated string literal"),
        ("größe > 1", "column 3: unexpected character"),
        ("lag > 99999999999999999999", "column 7: invalid int literal"),
        ("ok && len(rows) > 1", "column 7: there is no function 'len'; write `size(x)`"),
        ("file.startswith('a')", "column 6: there is no function 'startswith'; did you mean 'startsWith'?"),
        (
            "rows.any(r, r.n > 1)",
            "column 6: there is no function 'any'; there are: size, contains, startsWith, endsWith, matches, \
          type, dyn, int, uint, double, string, bytes, bool, has, all, exists, exists_one, existsOne, map, filter",
        ),
        ("contains(file, 'a')", "column 1: contains is written `x.contains('text')`"),
        ("rows.exists(r)", "column 6: exists is written `x.exists(y, condition)`"),
        ("has(lag)", "column 5: invalid argument to has() macro"),
        ("file.matches('(')", "column 6: the pattern is no regular expression: unclosed group"),
        ("file.matches('\\\\w{1000}')", "column 6: the pattern is too large: it repeats too much"),
        ("file.matches(payload.pattern)", "column 6: the pattern of matches must be written out as a text"),
        (
            "payload.type == 1 && type == 'push'",
            "column 22: 'type' is the name of a type; for the payload's key write `payload.type`",
        ),
        ("lag + 1", "it gives a sum, and must give true or false"),
        ("rows.map(r, r.n)", "it gives a list, and must give true or false"),
        ("Lag{n: 1} == 1", "there is no type 'Lag' of messages"),
        (".payload.lag == 1", "'.payload' is no name; leave out the dot before it"),
        ("payload.?lag == 1", "column 8: unsupported syntax '.?'"),
    ] {
        assert_eq!(mistake(text), what, "{text}");
    }
}

#[test]
fn an_expression_that_is_too_long_or_too_deep_is_refused() {
    let deep = "it is nested more than 24 deep";
    assert_eq!(mistake(&format!("ok{}", " ".repeat(1999))), "it has 2001 characters; 2000 are allowed");
    assert!(Filter::parse(&format!("ok{}", " ".repeat(1998))).is_ok());
    for text in [
        "(".repeat(2000),
        "[".repeat(2000),
        "size(".repeat(400),
        "ok?ok:".repeat(333) + "ok",
        "1+".repeat(900) + "1 > 2",
        "x".to_owned() + &"[0]".repeat(600),
        "!-".repeat(999) + "x",
        format!("{}1{} == 1", "[".repeat(90), "]".repeat(90)),
    ] {
        assert_eq!(mistake(&text), deep, "{text}");
    }
    // Parentheses alone, and a chain of conditions, make nothing deep.
    for text in [format!("{}ok{}", "(".repeat(990), ")".repeat(990)), "ok".to_owned() + &" && ok".repeat(300)] {
        assert_eq!(judge(&text, load()), Verdict::Pass, "{text}");
    }
    let loops = |depth: usize| format!("{}false{}", "rows.exists(r, ".repeat(depth), ")".repeat(depth));
    assert_eq!(judge(&loops(3), load()), Verdict::Reject);
    assert_eq!(mistake(&loops(4)), "loops (all, exists, exists_one, map, filter) are nested 4 deep; 3 are allowed");
}

#[test]
fn what_is_as_deep_as_it_may_be_is_evaluated_on_a_usual_stack() {
    let shapes: [(&str, &str, &str); 8] = [
        ("", "true", " == true"),
        ("!(ok && ", "ok", ")"),
        ("(ok ? ok : ", "ok", ")"),
        ("[", "[payload].map(x, [x, x]) == [1]", "] == []"),
        ("size([", "1", "]) == 1"),
        ("1 in [", "1", "]"),
        ("{1: ", "1", "} == {}"),
        ("string(", "lag", ") == ''"),
    ];
    for (before, inside, after) in shapes {
        let (close, end) = after.split_once(' ').map_or((after, ""), |(close, end)| (close, end));
        let deep = |levels: usize| match before {
            "" => format!("{inside}{}", after.repeat(levels)),
            _ => format!("{}{inside}{} {end}", before.repeat(levels), close.repeat(levels)),
        };
        let allowed: Vec<Filter> = (1..).map_while(|levels| Filter::parse(&deep(levels)).ok()).collect();
        assert!((7..24).contains(&allowed.len()), "{}: {}", deep(2), allowed.len());
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        let mut payload = load();
        payload["deep"] = (0..120).fold(json!(1), |inner, _| json!([inner]));
        let judging = thread.spawn(move || allowed.last().map(|deepest| deepest.matches(&event(payload))));
        let verdict = judging.expect("a thread").join().expect("it does not panic").expect("one is allowed");
        assert!(!matches!(&verdict, Verdict::Failed(why) if why.contains("steps")), "{}: {verdict:?}", deep(2));
    }
}

#[test]
fn work_out_of_proportion_is_refused_before_it_begins() {
    let rows = |count: usize| json!({"rows": vec![json!({"n": 1, "text": "abc"}); count], "text": "a".repeat(1 << 20)});
    let within = "rows.all(a, rows.all(b, a.n == b.n))";
    assert_eq!(judge(within, rows(300)), Verdict::Pass);
    assert_eq!(judge("rows.exists(r, r.text.matches('c$')) && text.matches('a$')", rows(1_000)), Verdict::Pass);
    assert_eq!(judge("rows.exists(r, r.exists(key, key == 'n'))", rows(10_000)), Verdict::Pass);
    for (text, count) in [
        (within, 3_000),
        ("rows.all(a, rows.all(b, rows.all(c, true)))", 300),
        // One loop after the other, each of which makes what it gets four times as large.
        ("[text].map(a, a+a+a+a).map(a, a+a+a+a).map(a, a+a+a+a).map(a, a+a+a+a).size() == 1", 1),
        ("rows.map(r, [rows, rows]).map(r, [r, r]) == []", 500),
        // An error tells of the value that it is about, with a copy of it.
        ("rows.exists(r, rows[r.half] == 1)", 2_000),
        ("rows.exists(r, text.matches('a*b'))", 2_000),
    ] {
        let Verdict::Failed(why) = judge(text, rows(count)) else { panic!("{text} was evaluated") };
        assert!(why.starts_with("it may take ") && why.ends_with(" steps for this event; 5000000 are allowed"), "{why}");
    }
    let doubled = format!("[1]{} == []", ".map(x, [x, x, x, x, x, x, x, x, x])".repeat(8));
    assert_eq!(mistake(&doubled), "it may take more than 5000000 steps, however small the event");
}

#[test]
fn an_event_that_is_nested_without_end_is_not_gone_through() {
    let mut payload = json!(1);
    for _ in 0..300 {
        payload = json!([payload]);
    }
    assert_eq!(judge("size(payload) == 1", payload), Verdict::Failed("the event is nested more than 128 deep".to_owned()));
}
