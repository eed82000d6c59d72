//! Writing a decision down where no instance runs.

use anyhow::Result;
use flyball_journal::{Entry, Log};

use crate::instance::DataDir;

/// Writes `entry` of `process` into the journal of an instance that is not running. Where one runs
/// after all, the journal's lock says so.
pub async fn write_down(data: &DataDir, process: &str, entry: Entry) -> Result<()> {
    let (log, _) = Log::open(&data.journal())?;
    log.process(process).append(vec![entry]).await?;
    log.close();
    Ok(())
}
