//! `list_pipelines` and `show_bad_rows`.

use serde::Serialize;

use crate::drops::{Place, names_in};
use crate::pipeline::NAME;
use crate::{Error, Pipeline};

/// So many rows are shown at most, however many are asked for.
pub const MAX_SHOWN_ROWS: usize = 50;

/// The pipelines of this server.
#[derive(Debug, Clone, PartialEq, Serialize, rmcp::schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub struct Pipelines {
    /// All of them.
    pub pipelines: Vec<About>,
}

/// One pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, rmcp::schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub struct About {
    /// Its name.
    pub name: String,
    /// What flows through it.
    pub description: String,
    /// Drops in the inbox.
    pub files_in_inbox: usize,
    /// Drops in quarantine.
    pub files_in_quarantine: usize,
    /// Rows in the warehouse.
    pub rows: usize,
}

/// The offending rows of one drop.
#[derive(Debug, Clone, PartialEq, Serialize, rmcp::schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub struct BadRows {
    /// The drop.
    pub file: String,
    /// Where it lies: `inbox` or `quarantine`.
    pub place: String,
    /// Its rows.
    pub rows: usize,
    /// How many of them are bad.
    pub bad_rows: usize,
    /// What is wrong with the drop as a whole.
    pub file_problems: Vec<String>,
    /// The first bad rows.
    pub shown: Vec<ShownRow>,
}

/// One bad row.
#[derive(Debug, Clone, PartialEq, Serialize, rmcp::schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub struct ShownRow {
    /// Its line in the file; the header is line 1.
    pub line: u64,
    /// Everything that is wrong with it.
    pub reasons: Vec<String>,
    /// The row as it stands there, cut to 200 characters.
    pub text: String,
}

impl Pipeline {
    /// What pipelines there are.
    pub fn list(&self) -> Result<Pipelines, Error> {
        let about = About {
            name: NAME.to_owned(),
            description: "Daily weather in Seattle: one CSV drop per month, loaded into the table weather".to_owned(),
            files_in_inbox: names_in(&self.folder(Place::Inbox))?.len(),
            files_in_quarantine: names_in(&self.folder(Place::Quarantine))?.len(),
            rows: self.warehouse()?.days()?.len(),
        };
        Ok(Pipelines { pipelines: vec![about] })
    }

    /// The first bad rows of a drop, in the inbox or else in quarantine.
    pub fn bad_rows(&self, file: &str, limit: usize) -> Result<BadRows, Error> {
        let _still = self.lock_shared()?;
        let drop = match self.drop_in(Place::Inbox, file)? {
            None => self.drop_in(Place::Quarantine, file)?,
            some => some,
        };
        let drop = drop.ok_or_else(|| Error::Refused(format!("there is no {file}, neither in the inbox nor in quarantine")))?;
        let shown = drop.report.bad.iter().take(limit.clamp(1, MAX_SHOWN_ROWS)).cloned();
        Ok(BadRows {
            place: drop.place.folder().to_owned(),
            rows: drop.report.rows,
            bad_rows: drop.report.bad.len(),
            shown: shown.map(|row| ShownRow { line: row.line, reasons: row.reasons, text: row.text }).collect(),
            file_problems: drop.report.file_problems,
            file: drop.name,
        })
    }
}
