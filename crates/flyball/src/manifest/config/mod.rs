//! What a process is made of: the types, and beside each the table of its keys.

mod budget;
mod context;
mod delivery;
mod health;
mod journal;
mod mission;
mod process;
mod secrets;
mod server;
mod tool;
mod trigger;

pub use budget::{BudgetConfig, Escalation, OnExceeded, ToolCost};
pub use context::{ContextConfig, MemoryProvider};
pub use delivery::DeliveryConfig;
pub use health::{HealthConfig, OnAnomaly};
pub use journal::{JournalBackend, JournalConfig, JournalLevel};
pub use mission::{MissionConfig, OnComplete};
pub use process::{ProcessConfig, RestartPolicy};
pub use secrets::SecretScopeConfig;
pub use server::{ServerConfig, Transport};
pub use tool::ToolConfig;
pub use trigger::{TriggerConfig, TriggerKind, WatchBackend, WatchEvent};

pub(super) use budget::{BUDGET, ESCALATION, TOOL_COST};
pub(super) use context::{CONTEXT, MEMORY_MAX, NOT_EMBEDDED, PROVIDER};
pub(super) use delivery::DELIVERY;
pub(super) use health::HEALTH;
pub(super) use journal::JOURNAL;
pub(super) use mission::MISSION;
pub(super) use process::{NOT_YET, PROCESS, SHARED};
pub(super) use secrets::SECRETS;
pub(super) use server::SERVER;
pub(super) use tool::TOOL;
pub(super) use trigger::TRIGGER;

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde_json::{Map, Value};

    use super::*;
    use crate::manifest::table::{Kind, Section};

    fn written(value: &impl Serialize) -> Map<String, Value> {
        match serde_json::to_value(value) {
            Ok(Value::Object(map)) => map,
            other => panic!("{other:?}"),
        }
    }

    fn agree(section: &Section, mut default: Map<String, Value>) {
        for key in section.keys.iter().filter(|key| key.refused.is_none() && !matches!(key.kind, Kind::Section(_))) {
            let in_type = default.remove(key.name);
            let in_table = key.default.map(|text| serde_saphyr::from_str::<Value>(text).expect("a default is YAML"));
            let empty =
                |value: &Value| value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty);
            let as_float = |value: &Value| value.as_f64();
            match (&in_type, &in_table) {
                (None, Some(table)) => assert!(empty(table), "{}.{}: {table} is no default of the type", section.name, key.name),
                (Some(of_type), Some(table)) if of_type.is_number() => {
                    assert_eq!(as_float(of_type), as_float(table), "{}.{}", section.name, key.name);
                }
                _ => assert_eq!(in_type, in_table, "{}.{}", section.name, key.name),
            }
        }
        default.retain(|name, _| section.key(name).is_none());
        assert!(default.is_empty(), "{} has fields that its table lacks: {default:?}", section.name);
    }

    #[test]
    fn the_tables_and_the_types_have_the_same_fields_and_defaults() {
        agree(&PROCESS, written(&ProcessConfig::default()));
        agree(&SERVER, written(&ServerConfig::default()));
        agree(&JOURNAL, written(&JournalConfig::default()));
        agree(&CONTEXT, written(&ContextConfig::default()));
        agree(&BUDGET, written(&BudgetConfig::default()));
        agree(&TOOL_COST, written(&ToolCost::default()));
        agree(&ESCALATION, written(&Escalation::default()));
        agree(&HEALTH, written(&HealthConfig::default()));
        agree(&MISSION, written(&MissionConfig::default()));
        agree(&SECRETS, written(&SecretScopeConfig::default()));
        agree(&TOOL, written(&ToolConfig::default()));
        let kinds = [TriggerKind::Cron, TriggerKind::Webhook, TriggerKind::FileWatch, TriggerKind::Event, TriggerKind::Message];
        let mut all = Map::new();
        for kind in kinds {
            all.extend(written(&TriggerConfig { kind, ..TriggerConfig::default() }));
        }
        all.remove("type");
        agree(&TRIGGER, all);
    }
}
