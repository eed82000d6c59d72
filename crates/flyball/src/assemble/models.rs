//! From a model's name to a model.

use std::path::Path;
use std::sync::Arc;

use flyball_core_agent::Model;
use flyball_core_agent::openai::{OpenAiConfig, OpenAiModel};
use flyball_core_agent::scripted::ScriptedModel;

/// What a `model:` line names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelChoice<'a> {
    /// A model behind an endpoint that speaks the OpenAI protocol.
    OpenAi(&'a str),
    /// The deterministic test double that answers from the rules in a file.
    Scripted(&'a Path),
}

impl<'a> ModelChoice<'a> {
    /// Reads a `model:` line.
    pub fn parse(model: &'a str) -> Result<Self, String> {
        match model.split_once(':') {
            Some(("openai", name)) if !name.is_empty() => Ok(Self::OpenAi(name)),
            Some(("scripted", file)) if !file.is_empty() => Ok(Self::Scripted(Path::new(file))),
            _ => Err(format!(
                "model: '{model}' is not known; write openai:NAME (with OPENAI_BASE_URL for any other server) or scripted:FILE"
            )),
        }
    }

    pub(super) fn make(&self, dir: &Path) -> Result<Arc<dyn Model>, String> {
        match self {
            Self::OpenAi(name) => {
                let config = OpenAiConfig::from_env(*name);
                if config.api_key.is_none() && config.base_url.is_none() {
                    return Err(format!("model: openai:{name} needs OPENAI_API_KEY, or OPENAI_BASE_URL for another server"));
                }
                let model = OpenAiModel::new(config).map_err(|error| format!("model: {error}"))?;
                Ok(Arc::new(model))
            }
            Self::Scripted(file) => {
                let model = ScriptedModel::from_file(dir.join(file)).map_err(|error| format!("model: {error}"))?;
                Ok(Arc::new(model))
            }
        }
    }
}

/// The model is no model: its answers come from a script.
pub fn is_test_double(model: &str) -> bool {
    matches!(ModelChoice::parse(model), Ok(ModelChoice::Scripted(_)))
}
