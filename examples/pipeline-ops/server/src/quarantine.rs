//! `quarantine_file`: takes a drop out of the inbox, once.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::drops::{Place, sync_folder};
use crate::error::Doing;
use crate::ledger::{Earlier, Line};
use crate::lock::Guard;
use crate::{Error, Pipeline};

/// The tool's name.
pub const QUARANTINE_FILE: &str = "quarantine_file";

/// A drop has been moved out of the way this often under one name at most.
const MAX_SAME_NAME: usize = 1000;

/// What became of a drop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, rmcp::schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub struct Quarantined {
    /// The drop.
    pub file: String,
    /// Its name in the quarantine; another one where that name was taken.
    pub quarantined_as: String,
    /// Rows in it.
    pub rows: usize,
    /// Rows that are bad. The others are loaded by `rerun_load`.
    pub bad_rows: usize,
    /// Why, as the caller said.
    pub reason: Option<String>,
}

impl Pipeline {
    /// Moves a drop from the inbox to the quarantine.
    ///
    /// The intent is on disk before the move and names the target, which no other call will ever
    /// use; so after a crash the target's existence says whether the move happened, and the same
    /// `key` finishes what was begun or is answered from the ledger. It never moves twice.
    pub fn quarantine_file(&self, file: &str, reason: Option<&str>, key: Option<&str>) -> Result<Quarantined, Error> {
        let held = self.lock()?;
        let ledger = self.ledger();
        let args = serde_json::json!({"file": file, "reason": reason});
        match ledger.earlier(key)? {
            Earlier::Done(line) => {
                let result = crate::calls::repeated(&line, QUARANTINE_FILE, &args)?;
                ledger.append(&held, &Line { acted: Some(false), ..Line::now(QUARANTINE_FILE, key) })?;
                return Ok(result);
            }
            Earlier::Begun(line) => {
                crate::calls::same_call(&line, QUARANTINE_FILE, &args)?;
                if let Some(plan) = self.moved(&line)? {
                    return self.note_done(&held, key, &args, plan);
                }
            }
            Earlier::Never => {}
        }
        let plan = self.plan(file, reason, key)?;
        let intent = Some(crate::calls::to_value(&plan)?);
        ledger.append(&held, &Line { args: Some(args.clone()), intent, ..Line::now(QUARANTINE_FILE, key) })?;
        self.move_away(&plan)?;
        self.note_done(&held, key, &args, plan)
    }

    /// The plan of an intent, if it was carried out.
    pub(crate) fn moved(&self, line: &Line) -> Result<Option<Quarantined>, Error> {
        let plan: Quarantined = serde_json::from_value(line.intent.clone().unwrap_or_default())
            .map_err(|error| Error::Damaged(format!("an intent in the ledger is damaged: {error}")))?;
        let target = self.folder(Place::Quarantine).join(crate::drop_name::check(&plan.quarantined_as)?);
        Ok(target.exists().then_some(plan))
    }

    fn plan(&self, file: &str, reason: Option<&str>, key: Option<&str>) -> Result<Quarantined, Error> {
        let drop = self.drop_in(Place::Inbox, file)?;
        let drop = drop.ok_or_else(|| Error::Refused(format!("there is no {file} in the inbox")))?;
        Ok(Quarantined {
            file: drop.name,
            quarantined_as: self.free_name(file, key)?,
            rows: drop.report.rows,
            bad_rows: drop.report.bad.len(),
            reason: reason.map(|reason| crate::text::clip(reason, 500)),
        })
    }

    /// A name that neither lies in the quarantine nor stands in another call's intent.
    fn free_name(&self, file: &str, key: Option<&str>) -> Result<String, Error> {
        let lines = self.ledger().read()?;
        let others = lines.iter().filter(|line| line.key.is_none() || line.key.as_deref() != key);
        let claimed: Vec<&str> = others.filter_map(|line| line.intent.as_ref()?.get("quarantined_as")?.as_str()).collect();
        let folder = self.folder(Place::Quarantine);
        let stem = file.strip_suffix(".csv").unwrap_or(file);
        let names = std::iter::once(file.to_owned()).chain((2..MAX_SAME_NAME).map(|n| format!("{stem}.q{n}.csv")));
        let free = names.into_iter().find(|name| !claimed.contains(&name.as_str()) && !folder.join(name).exists());
        free.ok_or_else(|| Error::Refused(format!("{file} was quarantined too often; empty the quarantine")))
    }

    fn move_away(&self, plan: &Quarantined) -> Result<(), Error> {
        let (inbox, quarantine) = (self.folder(Place::Inbox), self.folder(Place::Quarantine));
        let moved = fs::rename(inbox.join(&plan.file), quarantine.join(&plan.quarantined_as));
        moved.doing(|| format!("moving {} to the quarantine", plan.file))?;
        sync_folder(&quarantine)?;
        sync_folder(&inbox)
    }

    fn note_done(
        &self,
        held: &Guard,
        key: Option<&str>,
        args: &serde_json::Value,
        done: Quarantined,
    ) -> Result<Quarantined, Error> {
        let result = Some(crate::calls::to_value(&done)?);
        let line = Line { args: Some(args.clone()), acted: Some(true), result, ..Line::now(QUARANTINE_FILE, key) };
        self.ledger().append(held, &line)?;
        tracing::info!("quarantined {}", done.file);
        Ok(done)
    }
}
