//! `flyball logs`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use flyball_journal::Record;

use super::output::{self, colour};
use super::past::{Journal, Past};
use super::{At, Output};
use crate::instance::DataDir;
use crate::story::{self, Page};

/// Tell what happened, from the journal.
#[derive(Debug, Args)]
pub struct Logs {
    /// Only this process
    name: Option<String>,
    /// So many of the newest lines; all where nothing is said
    #[arg(short = 'n', long)]
    lines: Option<usize>,
    /// Go on as more happens
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    pub(super) at: At,
    /// How to print: json prints every record whole, one a line
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// How often a followed journal is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What is there at first.
struct First {
    /// What is told of it.
    records: Vec<Record>,
    /// Whose names need room.
    names: Vec<String>,
    /// The last record in each journal.
    seen: BTreeMap<PathBuf, u64>,
}

impl Logs {
    pub async fn execute(&self, data: &DataDir) -> Result<ExitCode> {
        let First { records, names, mut seen } = self.first(data)?;
        let mut page = Page::new(names.iter().map(String::as_str), output::terminal_width(), colour());
        self.print(&records, &mut page)?;
        if !self.follow {
            return Ok(ExitCode::SUCCESS);
        }
        loop {
            tokio::time::sleep(LOOK).await;
            let mut new = Vec::new();
            for Journal { dir, history } in Past::whole(data)?.journals() {
                let seen = seen.entry(dir.clone()).or_default();
                let records = history.after(*seen)?;
                *seen = records.last().map_or(*seen, |record| record.seq);
                new.push(records.into_iter().filter(|record| self.is_told(record)).collect());
            }
            self.print(&by_time(new), &mut page)?;
        }
    }

    fn first(&self, data: &DataDir) -> Result<First> {
        let mut past = if self.lines.is_some() { Past::open(data)? } else { Past::whole(data)? };
        if let Some(name) = &self.name {
            past.known_process(name)?;
        }
        let (mut told, mut seen) = (Vec::new(), BTreeMap::new());
        let lines = self.lines.unwrap_or(usize::MAX);
        for Journal { dir, history } in past.journals() {
            let last = history.newest(None, 1, |_| true)?;
            seen.insert(dir.clone(), last.last().map_or(0, |record| record.seq));
            told.push(history.newest(self.name.as_deref(), lines, |record| self.is_told(record))?.to_vec());
        }
        let mut told = by_time(told);
        let told = told.split_off(told.len().saturating_sub(lines));
        // Whoever follows may hear of all of them.
        let names = match &self.name {
            Some(name) => vec![name.clone()],
            None if self.follow => past.names()?,
            None => told.iter().map(|record| record.process.clone()).collect(),
        };
        Ok(First { records: told, names, seen })
    }

    fn is_told(&self, record: &Record) -> bool {
        self.name.as_ref().is_none_or(|name| record.process == *name)
            && (self.output == Output::Json || story::tell(record).is_some())
    }

    fn print(&self, records: &[Record], page: &mut Page) -> Result<()> {
        for record in records {
            match self.output {
                Output::Json => output::json_line(record)?,
                Output::Human => page.lines(record).iter().for_each(|line| output::line(line)),
            }
        }
        Ok(())
    }
}

/// The records of several journals in one order. Where there is only one, it is the order.
fn by_time(mut journals: Vec<Vec<Record>>) -> Vec<Record> {
    if journals.len() > 1 {
        let mut all = journals.concat();
        all.sort_by_key(|record| record.at);
        return all;
    }
    journals.pop().unwrap_or_default()
}
