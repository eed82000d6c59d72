//! One toolbox out of many.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::{ToolCall, ToolReply, ToolSpec, Toolbox};
use crate::{CallError, Failure};

/// Joins named toolboxes into one. Each tool keeps its name, so two boxes must not offer the same one.
///
/// A name that clashes is an error of [`Toolbox::list`], which says how to mend it; an `alias` in the
/// list puts `alias:` before every name of its box.
pub fn join(boxes: Vec<(String, Option<String>, Arc<dyn Toolbox>)>) -> Arc<dyn Toolbox> {
    let members = boxes.into_iter().map(|(name, alias, toolbox)| Member { name, alias, toolbox }).collect();
    Arc::new(Joined { members })
}

/// Two toolboxes offer a tool of one name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tool '{tool}' is offered by both '{first}' and '{second}': give one of them an `alias:`")]
pub struct NameClash {
    /// The tool's name.
    pub tool: String,
    /// The toolbox that offered it first.
    pub first: String,
    /// The toolbox that offers it too.
    pub second: String,
}

struct Member {
    name: String,
    alias: Option<String>,
    toolbox: Arc<dyn Toolbox>,
}

impl Member {
    fn outer_name(&self, tool: &str) -> String {
        match &self.alias {
            Some(alias) => format!("{alias}:{tool}"),
            None => tool.to_owned(),
        }
    }

    fn inner_name<'a>(&self, tool: &'a str) -> Option<&'a str> {
        match &self.alias {
            Some(alias) => tool.strip_prefix(alias.as_str())?.strip_prefix(':'),
            None => Some(tool),
        }
    }
}

struct Joined {
    members: Vec<Member>,
}

impl Joined {
    async fn owner(&self, tool: &str) -> Result<Option<(&Member, String)>, CallError> {
        for member in &self.members {
            let Some(inner) = member.inner_name(tool) else { continue };
            if member.toolbox.list().await?.iter().any(|spec| spec.name == inner) {
                return Ok(Some((member, inner.to_owned())));
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl Toolbox for Joined {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        let mut specs = Vec::new();
        for member in &self.members {
            for mut spec in member.toolbox.list().await? {
                if member.alias.is_some() {
                    let name = member.outer_name(&spec.name);
                    Arc::make_mut(&mut spec).name = name;
                }
                specs.push((spec, &member.name));
            }
        }
        let mut owners: HashMap<&str, &str> = HashMap::with_capacity(specs.len());
        for (spec, member) in &specs {
            if let Some(first) = owners.insert(&spec.name, member) {
                let clash = NameClash { tool: spec.name.clone(), first: first.to_owned(), second: (*member).clone() };
                return Err(Failure::unsent(clash.to_string()).into());
            }
        }
        Ok(specs.into_iter().map(|(spec, _)| spec).collect())
    }

    async fn call(&self, call: &ToolCall) -> Result<ToolReply, CallError> {
        match self.owner(&call.name).await? {
            Some((member, inner)) if inner == call.name => member.toolbox.call(call).await,
            Some((member, inner)) => member.toolbox.call(&ToolCall { name: inner, ..call.clone() }).await,
            None => {
                let known: Vec<String> = self.list().await?.into_iter().map(|spec| spec.name.clone()).collect();
                Err(Failure::unsent(format!("no tool is named '{}'; there are: {}", call.name, known.join(", "))).into())
            }
        }
    }
}
