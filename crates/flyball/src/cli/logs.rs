//! `flyball logs`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use flyball_journal::Record;

use super::output::{self, colour};
use super::past::Past;
use super::{At, Output};
use crate::instance::DataDir;
use crate::story;

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

impl Logs {
    pub async fn execute(&self, data: &DataDir) -> Result<ExitCode> {
        let (records, mut seen) = self.first(data)?;
        self.print(&records)?;
        if !self.follow {
            return Ok(ExitCode::SUCCESS);
        }
        loop {
            tokio::time::sleep(LOOK).await;
            let new = Past::whole(data)?.history.after(seen)?;
            seen = new.last().map_or(seen, |record| record.seq);
            self.print(&new.into_iter().filter(|record| self.is_told(record)).collect::<Vec<_>>())?;
        }
    }

    /// What is told at first, and the last record that is there.
    fn first(&self, data: &DataDir) -> Result<(Arc<[Record]>, u64)> {
        let mut past = if self.lines.is_some() { Past::open(data)? } else { Past::whole(data)? };
        let known = past.history.names()?;
        if let Some(name) = self.name.as_ref().filter(|name| !known.contains(name)) {
            bail!("the journal knows no process '{name}'; it has: {}", known.join(", "));
        }
        let last = past.history.newest(None, 1, |_| true)?;
        let lines = self.lines.unwrap_or(usize::MAX);
        let told = past.history.newest(self.name.as_deref(), lines, |record| self.is_told(record))?;
        Ok((told, last.last().map_or(0, |record| record.seq)))
    }

    fn is_told(&self, record: &Record) -> bool {
        self.name.as_ref().is_none_or(|name| record.process == *name)
            && (self.output == Output::Json || story::tell(record).is_some())
    }

    fn print(&self, records: &[Record]) -> Result<()> {
        for record in records {
            match self.output {
                Output::Json => output::json_line(record)?,
                Output::Human => {
                    if let Some(line) = story::tell(record) {
                        output::line(&story::print(record, &line, output::text_width(), colour()));
                    }
                }
            }
        }
        Ok(())
    }
}
