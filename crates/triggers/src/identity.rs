//! A trigger's name, made from its configuration.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Error;

/// `<kind>-<ten hexadecimal digits>`, the same for the same configuration after every restart.
///
/// Keys are sorted here, since serde_json keeps a struct's order when another crate asks it to.
/// What is not set is left out, so that an option added later renames no trigger. Secrets are not
/// serialized in the first place, and what only tunes a trigger is handed in as it usually is.
pub(crate) fn trigger_id(kind: &str, config: &impl Serialize) -> Result<String, Error> {
    let fields: BTreeMap<String, Value> = serde_json::to_value(config)
        .and_then(serde_json::from_value)
        .map_err(|error| Error::Config(format!("the {kind} trigger's configuration cannot be written down: {error}")))?;
    let set: BTreeMap<_, _> = fields.into_iter().filter(|(_, value)| !value.is_null()).collect();
    let text = serde_json::to_string(&set).unwrap_or_default();
    let digest = Sha256::digest(text.as_bytes());
    Ok(format!("{kind}-{}", digest[..5].iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}
