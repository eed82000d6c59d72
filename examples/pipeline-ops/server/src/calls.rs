//! What the tools that change something have in common: a key stands for one call.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;
use crate::ledger::Line;

/// A longer key is not kept: ours have some 50 bytes.
const MAX_KEY_BYTES: usize = 256;

/// Refuses keys that nobody should keep.
pub fn check_key(key: &str) -> Result<(), Error> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(Error::Refused(format!("an idempotency key has 1 to {MAX_KEY_BYTES} bytes")));
    }
    Ok(())
}

/// The result of a call that was done, if this is the same call.
pub(crate) fn repeated<T: DeserializeOwned>(line: &Line, tool: &str, args: &Value) -> Result<T, Error> {
    same_call(line, tool, args)?;
    let result = line.result.clone().unwrap_or_default();
    serde_json::from_value(result).map_err(|error| Error::Damaged(format!("a result in the ledger is damaged: {error}")))
}

/// Refuses a key that stood for another call.
pub(crate) fn same_call(line: &Line, tool: &str, args: &Value) -> Result<(), Error> {
    if line.tool == tool && line.args.as_ref() == Some(args) {
        return Ok(());
    }
    Err(Error::Refused(format!("this idempotency key was used for another call, of {}", line.tool)))
}

pub(crate) fn to_value<T: Serialize>(result: &T) -> Result<Value, Error> {
    serde_json::to_value(result).map_err(|error| Error::Damaged(error.to_string()))
}
