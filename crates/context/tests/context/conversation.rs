use std::sync::Arc;

use flyball_context::{Conversation, Exchange};
use flyball_core_agent::Message;

fn say(conversation: &Conversation, number: usize) {
    conversation.push(Exchange::new(format!("run-{number}"), format!("event {number}"), format!("reply {number}")));
}

#[test]
fn the_newest_exchanges_are_kept_and_none_is_split() {
    let conversation = Conversation::new(5);
    (1..=4).for_each(|number| say(&conversation, number));
    let expected =
        [Message::user("event 3"), Message::assistant("reply 3"), Message::user("event 4"), Message::assistant("reply 4")]
            .map(Arc::new);
    assert_eq!(conversation.history(), expected);
}

#[test]
fn an_exchange_that_comes_again_after_recovery_is_one() {
    let conversation = Conversation::new(10);
    say(&conversation, 1);
    say(&conversation, 1);
    assert_eq!(conversation.history().len(), 2);
    conversation.clear();
    assert!(conversation.history().is_empty());
}

#[test]
fn long_words_are_cut_and_a_long_history_keeps_its_newest_part() {
    let conversation = Conversation::new(100);
    for number in 0..50 {
        conversation.push(Exchange::new(format!("r{number}"), "ä".repeat(9_000), format!("reply {number}")));
    }
    let history = conversation.history();
    assert!(history[0].text().ends_with("[... truncated 1000 characters ...]"), "{}", history[0].text());
    assert_eq!(history.len(), 48);
    assert_eq!(history[47].text(), "reply 49");
}
