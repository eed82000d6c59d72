//! What an operator can do about a process that runs nothing now.

use chrono::{DateTime, Utc};
use flyball_journal::{IDLE, LifecycleState};
use flyball_runtime::ProcessStatus;
use serde_json::Value;

use crate::cli::suggest::command;
use crate::cli::times::instant;
use crate::instance::DataDir;

/// How a budget's reason for a pause begins and ends; between lie the fields of the limits.
const BUDGET_REASON: (&str, &str) = ("budget: ", " reached");

/// What keeps a live instance's process from running, and the command that lets it.
pub fn lines(live: &ProcessStatus, data: &DataDir) -> Vec<String> {
    let name = &live.name;
    match live.state {
        LifecycleState::Suspended if live.reason == IDLE => Vec::new(),
        LifecycleState::Suspended => {
            let mut lines = spent(live);
            let stays = if lines.is_empty() { "" } else { " sooner; the limit stays as it is" };
            lines.push(format!("  resume    `{}` ends the pause{stays}", command(data, &format!("resume {name}"))));
            lines
        }
        LifecycleState::Stopped | LifecycleState::Failed => {
            vec![format!("  start     `{}` starts it again", command(data, &format!("start {name}")))]
        }
        _ => Vec::new(),
    }
}

/// Each limit that paused the process: how much of it is used, and when there is more.
fn spent(live: &ProcessStatus) -> Vec<String> {
    let fields = live.reason.strip_prefix(BUDGET_REASON.0).and_then(|rest| rest.strip_suffix(BUDGET_REASON.1));
    let Some(budget) = live.layers.get("budget") else { return Vec::new() };
    fields.into_iter().flat_map(|fields| fields.split(", ")).map(|field| limit(field, budget)).collect()
}

fn limit(field: &str, budget: &Value) -> String {
    let key = field.trim_start_matches("max_").replace("_per_", "_");
    let (used, max) = (&budget["used"][&key], &budget["limits"][&key]);
    let resets: Option<DateTime<Utc>> = budget["resets_at"].as_str().and_then(|at| at.parse().ok());
    match (used, resets) {
        (Value::Null, _) | (_, None) => format!("  budget    {field}: a run may have {max}, and one wanted more"),
        (used, Some(at)) => format!("  budget    {field}: {used} of {max} used; a new day begins at {}", instant(at)),
    }
}
