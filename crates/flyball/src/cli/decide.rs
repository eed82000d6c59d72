//! Writing a decision down where no instance runs.

use std::path::Path;

use anyhow::{Result, bail};
use flyball_journal::{Entry, Log};

/// Writes `entry` of `process` into its journal, which no instance is using. Where one runs
/// after all, the journal's lock says so.
pub async fn write_down(journal: &Path, process: &str, entry: Entry) -> Result<()> {
    let (log, recovery) = Log::open(journal)?;
    if let Some(what) = recovery.damaged.get(process) {
        bail!("the journal of {process} is damaged ({what}): it takes no decision, and the process will not run");
    }
    log.process(process).append(vec![entry]).await?;
    log.close();
    Ok(())
}
