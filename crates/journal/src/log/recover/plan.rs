//! Which segments recovery needs: those from each process's newest checkpoint to its last record.

use super::io_error;
use crate::Error;
use crate::log::line::{self, Header, Line};
use crate::storage::Storage;

/// The needed ones of `names`, in order. All of them, where the last segment does not say.
pub fn needed(storage: &dyn Storage, names: &[String]) -> Result<Vec<String>, Error> {
    let Some(last) = names.last() else { return Ok(Vec::new()) };
    let bytes = storage.read(last).map_err(|error| io_error("reading", storage, last, &error))?;
    let Some(header) = header(&bytes) else { return Ok(names.to_vec()) };
    let wanted = |name: &&String| {
        *name == last
            || header.processes.values().any(|place| (place.from.as_str()..=place.last.as_str()).contains(&name.as_str()))
    };
    Ok(names.iter().filter(wanted).cloned().collect())
}

fn header(bytes: &[u8]) -> Option<Header> {
    let first = bytes.split(|byte| *byte == b'\n').next()?;
    match line::read(first) {
        Ok(Line::Header(header)) => Some(header),
        _ => None,
    }
}
