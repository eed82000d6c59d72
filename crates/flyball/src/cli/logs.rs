//! `flyball logs`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use flyball_journal::Record;

use super::output::{self, colour};
use super::{At, Output, past};
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
        let mut seen = 0;
        let records = self.read(data, seen)?;
        seen = records.last().map_or(seen, |record| record.seq);
        let records = self.of_interest(records);
        let skip = self.lines.map_or(0, |lines| records.len().saturating_sub(lines));
        self.print(&records[skip..])?;
        if !self.follow {
            return Ok(ExitCode::SUCCESS);
        }
        loop {
            tokio::time::sleep(LOOK).await;
            let records = self.read(data, seen)?;
            seen = records.last().map_or(seen, |record| record.seq);
            self.print(&self.of_interest(records))?;
        }
    }

    fn read(&self, data: &DataDir, after: u64) -> Result<Vec<Record>> {
        let records = flyball_journal::read(&past::journal(data)?)?;
        if let Some(name) = &self.name
            && after == 0
            && !records.iter().any(|record| record.process == *name)
        {
            let mut known: Vec<&str> = records.iter().map(|record| record.process.as_str()).collect();
            known.sort_unstable();
            known.dedup();
            bail!("the journal knows no process '{name}'; it has: {}", known.join(", "));
        }
        Ok(records.into_iter().filter(|record| record.seq > after).collect())
    }

    fn of_interest(&self, records: Vec<Record>) -> Vec<Record> {
        let of_process = |record: &Record| self.name.as_ref().is_none_or(|name| record.process == *name);
        let told = |record: &Record| self.output == Output::Json || story::tell(record).is_some();
        records.into_iter().filter(|record| of_process(record) && told(record)).collect()
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
