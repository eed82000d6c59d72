//! Where a record stands, told by the beginning of its line, without reading the rest of it.
//!
//! Most of what a log holds are the steps of runs that have long come to their end. Recovery needs no
//! more of them than that they were there.

use super::line::Outline;

/// The kinds whose records are steps of a run, and change nothing else.
const STEPS: [&[u8]; 3] = [b"model_reply", b"tool_call", b"tool_result"];

/// What stands at the beginning of a record's line, if that is as this version writes it. `None` leaves the
/// line to the whole reading.
pub(super) fn outline(line: &[u8]) -> Option<Outline> {
    kind_and_outline(line).map(|(_, outline)| outline)
}

/// The same, unless the record takes an event in.
pub(super) fn outline_unless_event(line: &[u8]) -> Option<Outline> {
    kind_and_outline(line).filter(|(kind, _)| *kind != EVENT).map(|(_, outline)| outline)
}

/// The kind of the records that take an event in.
const EVENT: &str = "trigger_event";

fn kind_and_outline(line: &[u8]) -> Option<(&str, Outline)> {
    let mut rest = Rest(line);
    let seq = rest.after(b"{\"seq\":")?.number()?;
    let process = rest.after(b",\"process\":")?.text()?.to_owned();
    let n = rest.after(b",\"n\":")?.number()?;
    rest.after(b",\"epoch\":")?.number()?;
    rest.after(b",\"at\":")?.text()?;
    let kind = rest.after(b",\"kind\":")?.text()?;
    let step_of = if STEPS.contains(&kind.as_bytes()) { Some(rest.after(b",\"run\":")?.text()?.to_owned()) } else { None };
    Some((kind, Outline { seq, process, n, step_of }))
}

/// What is left of a line.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn after(&mut self, what: &[u8]) -> Option<&mut Self> {
        self.0 = self.0.strip_prefix(what)?;
        Some(self)
    }

    fn number(&mut self) -> Option<u64> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        std::str::from_utf8(number).ok()?.parse().ok()
    }

    /// A text without anything that is written in another way than it is.
    fn text(&mut self) -> Option<&'a str> {
        let text = self.0.strip_prefix(b"\"")?;
        let end = text.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        let (text, rest) = text.split_at(end);
        self.0 = rest.strip_prefix(b"\"")?;
        std::str::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_where_a_record_stands_and_of_which_run_it_is_a_step() {
        let line =
            br#"{"seq":12,"process":"p","n":3,"epoch":1,"at":"2026-01-01T00:00:00Z","kind":"tool_call","run":"r","step":"t0"}"#;
        let step_of = Some("r".to_owned());
        assert_eq!(outline(line), Some(Outline { seq: 12, process: "p".into(), n: 3, step_of }));
        let line = br#"{"seq":12,"process":"p","n":3,"epoch":1,"at":"2026-01-01T00:00:00Z","kind":"note","layer":"l"}"#;
        assert_eq!(outline(line), Some(Outline { seq: 12, process: "p".into(), n: 3, step_of: None }));
    }

    #[test]
    fn an_event_is_read_whole_by_who_wants_events_only() {
        let line = |kind| format!(r#"{{"seq":1,"process":"p","n":1,"epoch":1,"at":"x","kind":"{kind}","run":"r"}}"#);
        for kind in crate::Entry::KINDS {
            let is_outlined = outline_unless_event(line(kind).as_bytes()).is_some();
            assert_eq!(is_outlined, kind != "trigger_event", "{kind}");
        }
    }

    #[test]
    fn what_is_written_in_another_way_is_left_to_the_whole_reading() {
        for line in [
            r#"{"process":"p","seq":12,"n":3,"epoch":1,"at":"x","kind":"note"}"#,
            r#"{"seq":12,"process":"a\"b","n":3,"epoch":1,"at":"x","kind":"note"}"#,
            r#"{"seq":12,"process":"p","n":3,"epoch":1,"at":"x","kind":"tool_call","step":"t0","run":"r"}"#,
            r#"{"seq": 12,"process":"p","n":3,"epoch":1,"at":"x","kind":"note"}"#,
            r#"{"seq":99999999999999999999,"process":"p","n":3,"epoch":1,"at":"x","kind":"note"}"#,
            "",
        ] {
            assert_eq!(outline(line.as_bytes()), None, "{line}");
        }
    }
}
