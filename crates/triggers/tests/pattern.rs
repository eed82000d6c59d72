//! Laws of topic patterns.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use flyball_triggers::{Pattern, check_topic};
use proptest::prelude::*;

fn topic() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[a-z0-9_-]{1,5}", 1..6)
}

fn matches(pattern: &str, topic: &str) -> bool {
    Pattern::parse(pattern).unwrap().matches(topic)
}

proptest! {
    #[test]
    fn a_pattern_without_wildcards_matches_itself_alone(a in topic(), b in topic()) {
        let (a, b) = (a.join("."), b.join("."));
        prop_assert_eq!(matches(&a, &b), a == b);
    }

    #[test]
    fn a_star_stands_for_exactly_one_segment(topic in topic(), at in any::<prop::sample::Index>()) {
        let at = at.index(topic.len());
        let mut pattern = topic.clone();
        pattern[at] = "*".to_owned();
        let pattern = pattern.join(".");
        prop_assert!(matches(&pattern, &topic.join(".")));
        let mut longer = topic.clone();
        longer.insert(at, "x".to_owned());
        prop_assert!(!matches(&pattern, &longer.join(".")));
        let mut shorter = topic.clone();
        shorter.remove(at);
        prop_assert!(!matches(&pattern, &shorter.join(".")));
    }

    #[test]
    fn an_arrow_stands_for_one_or_more_remaining_segments(head in topic(), rest in topic()) {
        let (head, rest) = (head.join("."), rest.join("."));
        let pattern = format!("{head}.>");
        let longer = format!("{head}.{rest}");
        prop_assert!(matches(&pattern, &longer));
        prop_assert!(!matches(&pattern, &head));
        prop_assert!(matches(">", &rest));
    }

    #[test]
    fn a_parsed_pattern_says_what_was_parsed_and_no_text_panics(text in "[a-c.*> ]{0,12}", topic in "[a-c.*> ]{0,12}") {
        if let Ok(pattern) = Pattern::parse(&text) {
            prop_assert_eq!(pattern.to_string(), text);
            // What a pattern matches can be emitted, or holds a letter that no name may hold.
            if pattern.matches(&topic) {
                prop_assert!(check_topic(&topic).is_ok() || topic.contains(['*', '>', ' ']));
            }
        }
    }
}

#[test]
fn a_mistake_is_named_with_its_segment() {
    let cases = [
        ("", "it is empty"),
        ("a..b", "segment 2: it is empty"),
        (".a", "segment 1: it is empty"),
        ("a.>.b", "segment 2: '>' stands for all remaining segments"),
        ("alerts*", "segment 1: 'alerts*' holds a wildcard"),
        ("a b", "segment 1: ' ' cannot stand in a name"),
    ];
    for (text, why) in cases {
        let message = Pattern::parse(text).unwrap_err().to_string();
        assert!(message.contains(why), "{text:?}: {message}");
    }
    assert!(Pattern::parse(&"a".repeat(256)).is_err());
}

#[test]
fn nothing_can_be_emitted_under_a_wildcard() {
    assert!(check_topic("alert.critical").is_ok());
    for topic in ["alert.*", "alert.>", "*", "", "a..b"] {
        assert!(check_topic(topic).is_err(), "{topic}");
    }
}
