//! Numbers and the words that go with them.

/// `1 call`, `2 calls`, `1 process`, `0 processes`.
pub(crate) fn counted(count: impl TryInto<u64>, noun: &str) -> String {
    // What does not fit is more than one in any case.
    let count = count.try_into().unwrap_or(u64::MAX);
    match (count, noun) {
        (1, _) => format!("1 {noun}"),
        (count, noun) if noun.ends_with('s') || noun.ends_with("ch") => format!("{count} {noun}es"),
        (count, noun) => format!("{count} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn a_word_has_the_form_of_its_number() {
        assert_eq!([0, 1, 2].map(|count: u64| counted(count, "call")), ["0 calls", "1 call", "2 calls"]);
        assert_eq!([1, 2].map(|count: u64| counted(count, "process")), ["1 process", "2 processes"]);
        assert_eq!(counted(2_usize, "batch"), "2 batches");
    }
}
