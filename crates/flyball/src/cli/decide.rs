//! Writing a decision down where no instance runs.

use anyhow::{Result, bail};
use flyball_journal::{Entry, Log};

use crate::instance::DataDir;

/// Writes `entry` of `process` into the journal of an instance that is not running. Where one runs
/// after all, the journal's lock says so.
pub async fn write_down(data: &DataDir, process: &str, entry: Entry) -> Result<()> {
    let (log, recovery) = Log::open(&data.journal())?;
    if let Some(what) = recovery.damaged.get(process) {
        bail!("the journal of {process} is damaged ({what}): it takes no decision, and the process will not run");
    }
    log.process(process).append(vec![entry]).await?;
    log.close();
    Ok(())
}
