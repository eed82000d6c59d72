//! What a manifest knows of tools that their servers do not say.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use flyball_core_agent::{CallError, Effect, ToolCall, ToolReply, ToolSpec, Toolbox};

use crate::manifest::{ProcessConfig, ToolConfig, did_you_mean};

/// A toolbox whose tools have the effects that a manifest declares.
///
/// `tools:` wins over `tool_costs.*.irreversible`, and both win over what a trusted server says.
pub struct Declared {
    inner: Arc<dyn Toolbox>,
    tools: BTreeMap<String, ToolConfig>,
    irreversible: Vec<String>,
    costs: Vec<String>,
}

/// A manifest speaks of a tool that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ToolMistake {
    /// A key matches no tool.
    #[error("{field}: no tool is named '{tool}'{hint}; there are: {known}")]
    Unknown {
        /// Where in the manifest.
        field: String,
        /// What it says.
        tool: String,
        /// What may have been meant.
        hint: String,
        /// The tools there are.
        known: String,
    },
    /// The tools could not be listed.
    #[error("{0}")]
    Unlisted(String),
}

impl Declared {
    /// `inner`, with what `config` declares.
    pub fn new(inner: Arc<dyn Toolbox>, config: &ProcessConfig) -> Self {
        let costs = &config.budget.tool_costs;
        let irreversible = costs.iter().filter(|(_, cost)| cost.irreversible).map(|(tool, _)| tool.clone());
        Self { inner, tools: config.tools.clone(), irreversible: irreversible.collect(), costs: costs.keys().cloned().collect() }
    }

    /// Whether every tool that the manifest speaks of is there.
    pub async fn check(&self) -> Result<(), ToolMistake> {
        let specs = self.inner.list().await.map_err(|error| ToolMistake::Unlisted(error.to_string()))?;
        let known: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        let declared = self.tools.keys().map(|tool| (format!("tools.{tool}"), tool));
        let reconciles =
            self.tools.iter().filter_map(|(tool, config)| Some((format!("tools.{tool}.reconcile"), config.reconcile.as_ref()?)));
        let costs = self.costs.iter().map(|tool| (format!("budget.tool_costs.{tool}"), tool));
        for (field, tool) in declared.chain(reconciles).chain(costs) {
            if !known.contains(&tool.as_str()) {
                let hint = did_you_mean(tool, known.iter().copied()).map(|hint| format!("; {hint}"));
                let (tool, hint, known) = (tool.clone(), hint.unwrap_or_default(), known.join(", "));
                return Err(ToolMistake::Unknown { field, tool, hint, known });
            }
        }
        Ok(())
    }

    fn declare(&self, mut spec: Arc<ToolSpec>) -> Arc<ToolSpec> {
        if self.irreversible.contains(&spec.name) {
            Arc::make_mut(&mut spec).effect = Some(Effect::Irreversible);
        }
        if let Some(tool) = self.tools.get(&spec.name) {
            let spec = Arc::make_mut(&mut spec);
            spec.effect = tool.effect.or(spec.effect);
            spec.reconcile = tool.reconcile.clone().or(spec.reconcile.take());
        }
        spec
    }
}

#[async_trait]
impl Toolbox for Declared {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        Ok(self.inner.list().await?.into_iter().map(|spec| self.declare(spec)).collect())
    }

    async fn call(&self, call: &ToolCall) -> Result<ToolReply, CallError> {
        self.inner.call(call).await
    }
}
