//! `rerun_load`: everything that can be loaded and is not, in one transaction.

use serde::{Deserialize, Serialize};

use crate::drops::{Place, RawDrop};
use crate::ledger::{Earlier, Line};
use crate::warehouse::{self, Known};
use crate::{Error, Pipeline};

/// The tool's name.
pub const RERUN_LOAD: &str = "rerun_load";

/// What a load did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, rmcp::schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub struct LoadReport {
    /// Rows that the warehouse has now.
    pub rows_in_warehouse: usize,
    /// Drops that this call loaded.
    pub loaded: Vec<Loaded>,
    /// Drops that stay out, and why.
    pub left_out: Vec<LeftOut>,
}

/// One drop that was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, rmcp::schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub struct Loaded {
    /// The drop.
    pub file: String,
    /// `inbox`, or `quarantine` where only its good rows were loaded.
    pub from: String,
    /// Rows that were written.
    pub rows: usize,
    /// Rows that were bad and left out.
    pub bad_rows: usize,
}

/// One drop that was not loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, rmcp::schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub struct LeftOut {
    /// The drop.
    pub file: String,
    /// Why.
    pub why: String,
}

impl Pipeline {
    /// Loads every valid drop of the inbox and the good rows of every drop in quarantine, where that
    /// was not done with the same content before. All or nothing.
    ///
    /// A `key` that was done before is answered from the ledger.
    pub fn rerun_load(&self, key: Option<&str>) -> Result<LoadReport, Error> {
        let held = self.lock()?;
        let ledger = self.ledger();
        let args = serde_json::json!({});
        let begun = match ledger.earlier(key)? {
            Earlier::Done(line) => {
                let report = crate::calls::repeated(&line, RERUN_LOAD, &args)?;
                ledger.append(&held, &Line { acted: Some(false), ..Line::now(RERUN_LOAD, key) })?;
                return Ok(report);
            }
            Earlier::Begun(line) => {
                crate::calls::same_call(&line, RERUN_LOAD, &args)?;
                key
            }
            Earlier::Never => None,
        };
        if let Some(report) = self.committed(begun)? {
            let result = Some(crate::calls::to_value(&report)?);
            ledger.append(&held, &Line { args: Some(args), acted: Some(true), result, ..Line::now(RERUN_LOAD, key) })?;
            return Ok(report);
        }
        let intent = Some(serde_json::json!({"load": crate::pipeline::NAME}));
        ledger.append(&held, &Line { args: Some(args.clone()), intent, ..Line::now(RERUN_LOAD, key) })?;
        let done = Line { args: Some(args), ..Line::now(RERUN_LOAD, key) };
        match self.load_drops(key) {
            Ok(report) => {
                let result = Some(crate::calls::to_value(&report)?);
                ledger.append(&held, &Line { acted: Some(true), result, ..done })?;
                tracing::info!("loaded {} drops; {} rows in the warehouse", report.loaded.len(), report.rows_in_warehouse);
                Ok(report)
            }
            Err(error) => {
                ledger.append(&held, &Line { acted: Some(false), error: Some(error.to_string()), ..done })?;
                Err(error)
            }
        }
    }

    /// What a load answered that was committed before its line reached the ledger.
    pub(crate) fn committed(&self, key: Option<&str>) -> Result<Option<LoadReport>, Error> {
        let Some(key) = key else { return Ok(None) };
        let Some(result) = self.warehouse()?.call(key)? else { return Ok(None) };
        let report = serde_json::from_str(&result);
        report.map(Some).map_err(|error| Error::Damaged(format!("the warehouse's note of a load is damaged: {error}")))
    }

    /// The load itself. Whoever calls it holds the lock.
    pub(crate) fn load_drops(&self, key: Option<&str>) -> Result<LoadReport, Error> {
        let mut warehouse = self.warehouse_for_load()?;
        let transaction = warehouse.begin()?;
        let (loads, days) = (warehouse::loads(&transaction)?, warehouse::days(&transaction)?);
        let mut report = LoadReport { rows_in_warehouse: 0, loaded: Vec::new(), left_out: Vec::new() };
        for drop in self.all_drops()? {
            if let (Place::Inbox, Some(why)) = (drop.place, drop.report.summary()) {
                report.left_out.push(LeftOut { file: drop.name, why });
                continue;
            }
            if drop.is_loaded(&loads, &days) {
                continue;
            }
            let (source, known) = (drop.source(), drop.known());
            let rows = warehouse::store(&transaction, &source, &drop.report.good, known)?;
            warehouse::note_load(&transaction, &source, &drop.sha256, rows, drop.report.bad.len())?;
            let from = drop.place.folder().to_owned();
            report.loaded.push(Loaded { file: drop.name, from, rows, bad_rows: drop.report.bad.len() });
        }
        report.rows_in_warehouse = warehouse::days(&transaction)?.len();
        if let Some(key) = key {
            warehouse::note_call(&transaction, key, &crate::calls::to_value(&report)?.to_string())?;
        }
        transaction.commit()?;
        Ok(report)
    }

    /// The inbox, then the quarantine, so that what is saved never stands before what arrived whole.
    pub(crate) fn all_drops(&self) -> Result<Vec<RawDrop>, Error> {
        let mut drops = self.drops(Place::Inbox)?;
        drops.extend(self.drops(Place::Quarantine)?);
        Ok(drops)
    }
}

impl RawDrop {
    /// Whether this content was loaded, and all of its good days are still there.
    pub(crate) fn is_loaded(
        &self,
        loads: &std::collections::HashSet<(String, String)>,
        days: &std::collections::HashSet<chrono::NaiveDate>,
    ) -> bool {
        loads.contains(&(self.source(), self.sha256.clone())) && self.report.good.iter().all(|row| days.contains(&row.date))
    }

    fn known(&self) -> Known {
        match self.place {
            Place::Inbox => Known::Replace,
            Place::Quarantine => Known::Keep,
        }
    }
}
