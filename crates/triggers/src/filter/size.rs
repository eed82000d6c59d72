//! How large the values are that an expression sees.

use std::collections::BTreeMap;

use flyball_core_agent::TriggerEvent;
use serde_json::{Map, Value};

use super::bind::bare;
use super::check::Program;

/// Comparing or copying so many bytes of text is one step.
pub(super) const BYTES_A_STEP: u64 = 32;

/// No JSON that was parsed is nested deeper; what is would not fit the stack.
const MAX_NESTING: usize = 128;

/// How large a value is at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// Items of it, over which a loop goes.
    pub(super) len: u64,
    /// Items of the longest value in it, however deep; not its own.
    pub(super) inner: u64,
    /// Steps that it takes to copy it.
    pub(super) weight: u64,
}

/// What has no items, and no text to speak of.
pub(super) const SCALAR: Size = Size { len: 0, inner: 0, weight: 1 };

impl Size {
    /// Of it and all in it, the items of the longest.
    pub(super) fn longest(self) -> u64 {
        self.len.max(self.inner)
    }
}

/// The sizes of what an expression names.
#[derive(Debug, Default)]
pub(super) struct Sizes<'p> {
    pub(super) names: BTreeMap<&'p str, Size>,
    /// Of what is selected from the payload by name.
    pub(super) fields: BTreeMap<&'p str, Size>,
}

impl<'p> Sizes<'p> {
    /// Those of `event`. Errors where it is nested so deep that it cannot be gone through.
    pub(super) fn of(event: &TriggerEvent, program: &'p Program) -> Result<Self, String> {
        let mut sizes = Self::default();
        for name in &program.names {
            let size = match name.as_str() {
                "payload" => json(&event.payload, 0)?,
                "metadata" => object(&event.metadata, 0)?,
                "trigger_type" => text(&event.trigger_type),
                "trigger_id" => text(&event.trigger_id),
                "event_id" => text(&event.event_id),
                other => bare(event, other).map_or(Ok(SCALAR), |value| json(value, 0))?,
            };
            sizes.names.insert(name, size);
        }
        for field in &program.fields {
            sizes.fields.insert(field, event.payload.get(field).map_or(Ok(SCALAR), |value| json(value, 0))?);
        }
        Ok(sizes)
    }
}

/// The size of a text.
pub(super) fn text(text: &str) -> Size {
    Size { weight: 1 + text.len() as u64 / BYTES_A_STEP, ..SCALAR }
}

fn json(value: &Value, depth: usize) -> Result<Size, String> {
    match value {
        Value::String(string) => Ok(text(string)),
        Value::Array(items) => {
            items.iter().try_fold(Size { len: items.len() as u64, ..SCALAR }, |size, item| hold(size, item, depth))
        }
        Value::Object(fields) => object(fields, depth),
        _ => Ok(SCALAR),
    }
}

fn object(fields: &Map<String, Value>, depth: usize) -> Result<Size, String> {
    let whole = Size { len: fields.len() as u64, ..SCALAR };
    fields.iter().try_fold(whole, |size, (key, value)| {
        let size = hold(size, value, depth)?;
        Ok(Size { weight: size.weight + text(key).weight, ..size })
    })
}

fn hold(size: Size, item: &Value, depth: usize) -> Result<Size, String> {
    if depth >= MAX_NESTING {
        return Err(format!("the event is nested more than {MAX_NESTING} deep"));
    }
    let item = json(item, depth + 1)?;
    Ok(Size { inner: size.inner.max(item.longest()), weight: size.weight + item.weight, ..size })
}

/// Both together: as large as either, and not much larger where they are one after the other.
pub(super) fn sum(left: Size, right: Size) -> Size {
    Size {
        len: left.len.saturating_add(right.len),
        inner: left.inner.max(right.inner),
        weight: left.weight.saturating_add(right.weight),
    }
}

/// A value in a value: it may be as large as all of it.
pub(super) fn part(whole: Size) -> Size {
    Size { len: whole.inner, ..whole }
}
