//! The story as it is printed: in columns, under its date.

use chrono::{DateTime, FixedOffset, Local, NaiveDate};
use flyball_core_agent::text::one_line;
use flyball_journal::Record;
use owo_colors::{AnsiColors, OwoColorize};

use super::{Line, Mark, plain, tell};

/// How long a line's text is where there is no terminal to fit it into.
const PLAIN_TEXT: usize = 200;

/// A text is never cut shorter than this, however narrow the terminal.
const LEAST_TEXT: usize = 40;

/// What stands before a line's text beside the name: the time, the sign, and blanks between them.
const PREFIX: usize = 16;

/// The column of names is at least so wide, so that stories look alike.
const LEAST_NAME: usize = 12;

/// Prints a story, and remembers under which date.
pub struct Page {
    names: usize,
    terminal: Option<usize>,
    colour: bool,
    under: Option<(NaiveDate, FixedOffset)>,
}

impl Page {
    /// For processes of these `names`, and any others that it makes room for when it hears of them; as wide as the `terminal` if there is one.
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>, terminal: Option<usize>, colour: bool) -> Self {
        let longest = names.into_iter().map(|name| name.chars().count()).max().unwrap_or_default();
        Self { names: longest.max(LEAST_NAME), terminal, colour, under: None }
    }

    /// The lines for a record, none for one that only the machine needs: time, process, sign, and as much of
    /// the text as there is room for; before them the date, where it is another one.
    pub fn lines(&mut self, record: &Record) -> Vec<String> {
        let Some(line) = tell(record) else { return Vec::new() };
        let at = record.at.with_timezone(&Local).fixed_offset();
        self.names = self.names.max(record.process.chars().count());
        self.heading(at).into_iter().chain([self.line(record, at, &line)]).collect()
    }

    /// The date, and the zone where it was not told yet or is another one.
    fn heading(&mut self, at: DateTime<FixedOffset>) -> Option<String> {
        let (date, zone) = (at.date_naive(), *at.offset());
        let before = self.under.replace((date, zone));
        let heading = match before {
            Some(same) if same == (date, zone) => return None,
            Some((_, same)) if same == zone => format!("-- {date} --"),
            _ => format!("-- {date}, times at {zone} --"),
        };
        Some(if self.colour { heading.dimmed().to_string() } else { heading })
    }

    fn line(&self, record: &Record, at: DateTime<FixedOffset>, line: &Line) -> String {
        // The ellipsis takes a place too.
        let room = self.terminal.map_or(PLAIN_TEXT, |width| width.saturating_sub(PREFIX + self.names).max(LEAST_TEXT));
        let text = one_line(&plain(&line.text), room.saturating_sub(1));
        let time = at.format("%H:%M:%S%.3f").to_string();
        let (sign, sign_colour) = line.mark.sign();
        let name = format!("{:<width$}", record.process, width = self.names);
        if !self.colour {
            return format!("{time} {name} {sign} {text}");
        }
        let name = name.color(process_colour(&record.process));
        format!("{} {name} {} {}", time.dimmed(), sign.color(sign_colour), painted(line.mark, text))
    }
}

fn painted(mark: Mark, text: String) -> String {
    match mark {
        Mark::Life => text.dimmed().to_string(),
        Mark::Bad => text.red().to_string(),
        Mark::Warning => text.yellow().to_string(),
        Mark::Good => text.green().to_string(),
        Mark::Woken | Mark::Call | Mark::Answer => text,
    }
}

/// The same process has the same colour every time.
fn process_colour(name: &str) -> AnsiColors {
    const COLOURS: [AnsiColors; 6] = [
        AnsiColors::BrightCyan,
        AnsiColors::BrightMagenta,
        AnsiColors::BrightYellow,
        AnsiColors::BrightBlue,
        AnsiColors::BrightGreen,
        AnsiColors::BrightRed,
    ];
    let sum: usize = name.bytes().map(usize::from).sum();
    COLOURS[sum % COLOURS.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use flyball_journal::Entry;

    fn record(process: &str, reply: &str, second: i64) -> Record {
        let outcome = flyball_core_agent::Outcome { reply: reply.into(), ..Default::default() };
        let (run, event_id) = (flyball_core_agent::RunId("r".into()), "e".to_owned());
        let entry = Entry::InvocationResult { run, event_id, outcome, changes: Vec::new() };
        let at = DateTime::from_timestamp(second, 0).expect("an instant");
        Record { seq: 1, process: process.into(), n: 1, epoch: 1, at, entry }
    }

    #[test]
    fn what_an_agent_says_cannot_steer_the_terminal() {
        let mut page = Page::new(["p"], Some(80), false);
        let printed = page.lines(&record("p", "\u{1b}[2Jgone\r\u{7}", 0)).pop().expect("a run's end is told");
        assert!(printed.contains("[2Jgone") && !printed.chars().any(char::is_control), "{printed:?}");
    }

    #[test]
    fn a_date_stands_once_over_its_lines() {
        let mut page = Page::new(["a-name-of-more-than-twelve-letters", "b"], None, false);
        let day = 24 * 60 * 60;
        let lines: Vec<String> = [0, 1, 10 * day].iter().flat_map(|at| page.lines(&record("b", "done", *at))).collect();
        assert_eq!(lines.len(), 5, "{lines:?}");
        assert!(lines[0].contains(", times at ") && lines[3].starts_with("-- 1970-01-1"), "{lines:?}");
        let (name, sign) = (13, 13 + "a-name-of-more-than-twelve-letters".len() + 1);
        assert_eq!((&lines[1][name..=name], &lines[1][sign..=sign]), ("b", "+"), "{lines:?}");
    }
}
