//! `quarantine_status`: whether an earlier call happened.

use serde::Serialize;
use serde_json::Value;

use crate::ledger::Earlier;
use crate::load::RERUN_LOAD;
use crate::{Error, Pipeline};

/// What became of an earlier call.
#[derive(Debug, Clone, PartialEq, Serialize, rmcp::schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub struct CallStatus {
    /// Whether the call took effect.
    pub happened: bool,
    /// The tool that was called, where the key is known.
    pub tool: Option<String>,
    /// What the call answered, or would have answered had the server lived.
    pub result: Option<Value>,
}

impl Pipeline {
    /// Says whether the call with this key took effect, even if the server died before it could note
    /// so. Waits for a call that is under way. Changes nothing.
    pub fn call_status(&self, key: &str) -> Result<CallStatus, Error> {
        let _still = self.lock_shared()?;
        let unknown = CallStatus { happened: false, tool: None, result: None };
        let (line, result) = match self.ledger().earlier(Some(key))? {
            Earlier::Never => return Ok(unknown),
            Earlier::Done(line) => {
                let result = line.result.clone();
                (line, result)
            }
            Earlier::Begun(line) if line.tool == RERUN_LOAD => {
                let report = self.committed(Some(key))?;
                (line, report.map(|report| crate::calls::to_value(&report)).transpose()?)
            }
            Earlier::Begun(line) => {
                let moved = self.moved(&line)?;
                (line, moved.map(|moved| crate::calls::to_value(&moved)).transpose()?)
            }
        };
        Ok(CallStatus { happened: result.is_some(), tool: Some(line.tool), result })
    }
}
