//! The page of the book that shows the last full run.

use std::fmt::Write;

use super::machine::Machine;
use super::peer::{PACKAGE, VERSION};
use super::row::{Row, ratio_text};
use super::table;

/// The page. It is of one run on one machine: only its ratios mean something elsewhere.
pub fn render(machine: &Machine, rows: &[Row], rounds: u32) -> String {
    let mut page = format!(
        "# Performance\n\n\
         Written by `cargo xtask bench` on {}, on a machine with\n\
         {}. Change nothing here; run it again.\n\n\
         Everything was measured in turn, {rounds} times over, and a ratio is the median of those of each round. The figures\n\
         beside it are medians too, and mean nothing on another machine or at another hour: the same disk syncs some hundred\n\
         times a second at one time and some thousand at another. Everything of ours is durable before it counts. *Python* is\n\
         {PACKAGE} {VERSION}, measured on the same machine in the same minutes; it syncs no line of its journal. Where the bare\n\
         disk syncs less than 5,000 times a second, a ratio to it does not count, for then the disk alone decides; and a target\n\
         against the bare disk does not count as met, for then anything comes near to it.\n\n\
         | what | ours | against | ratio | target | | synced |\n|---|---|---|---|---|---|---|\n",
        machine.date,
        machine.describe(),
    );
    for row in rows {
        let ratio = row.ratio.map(ratio_text).unwrap_or_default();
        let target = row.target.map(|target| target.words()).unwrap_or_default();
        let cells = [&row.what, &row.ours, &row.against, &ratio, &target, &row.verdict.words(), row.syncs].map(cell);
        let _ = writeln!(page, "|{}", cells.concat());
    }
    // Writing to a String cannot fail.
    let _ = write!(page, "\n{}.\n\n{METHOD}", table::counts(rows));
    page
}

const METHOD: &str = r"## How it is measured

- **append**: one task, or four at once, appends a group, waits until it is durable, and appends the next. The bare
  loop, in the same process and a moment later, writes a group's number of bytes to an allocated file and syncs after
  each. They take turns twenty times. One who waits pays for the making of each group while the disk is idle.
- **256 at once**: as many tasks, each with a journal of its own and one record on its way. The bare loop writes and
  syncs the batches that the writer made of them.
- **event to finished run**: processes with an agent in its layers, a model that answers at once, and a local tool whose
  effect nobody declared, so that event, intent, result and end are each waited for. Each process has one event on its
  way, and is given the next when the run of the last has ended. The Python system has 64 on their way in one process.
- **webhook**: 64 connections that stay open, from a process of its own, each asking as soon as it was answered. The
  agent runs meanwhile; what does not fit its inbox is refused on both sides, and only what is accepted counts.
  Both sides begin with an empty inbox, and take some thousand events before anything has to wait. Where all may wait
  (`max_pending`), what is measured is how fast events are accepted and made durable beside the runs, and not how
  fast runs end.
- **recovery**: a log of runs of six records each is written, and a new process opens it and folds it to a state. With
  checkpoints, they are written as often as a running process writes them. The keys of the events of three days are
  remembered, up to a limit, so logs of different lengths are compared at a rate that fills those three days alike.
- **journal of one run**: bytes that were written, counted at the storage.

`cargo bench -p flyball-journal` and `-p flyball-runtime` measure what the log and the runtime cost the processor alone.
";

/// A cell and its right border; text stays in it, and an empty one is one space wide.
fn cell(text: impl AsRef<str>) -> String {
    let text = text.as_ref().replace('|', "\\|").replace('\n', " ");
    if text.is_empty() { " |".to_owned() } else { format!(" {text} |") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::row::Target;

    #[test]
    fn the_page_is_a_table_without_space_at_its_lines_ends() {
        let machine =
            Machine { cores: 2, memory_gb: None, system: "Linux 6.1".into(), rustc: "1.95".into(), date: "2026-01-02".into() };
        let rows = [
            Row::known("disk", "7,000/s".into()),
            Row::known("a | b", "80/s".into()).against("100/s".into(), Some(0.75)).should(Target::AtLeast(0.5)).syncs("both"),
        ];
        let page = render(&machine, &rows, 3);
        for line in ["| disk | 7,000/s | | | | | |", "| a \\| b | 80/s | 100/s | 0.75 | >= 0.5 | met | both |"] {
            assert!(page.lines().any(|found| found == line), "{line:?} is not in\n{page}");
        }
        assert!(page.lines().all(|line| line == line.trim_end()), "{page}");
    }
}
