//! The layers around an agent, and why they stand in this order.

use std::path::Path;
use std::sync::Arc;

use flyball_context::Context;
use flyball_core_agent::{Agent, Layer, Stack, Toolbox};
use flyball_governance::{Budget, Health, Mission, Notify, Secrets};
use flyball_journal::{Intent, Record, Replay};
use flyball_runtime::{Past, StartCause};

use super::models::ModelChoice;
use super::notify::{Escalations, StateFacts};
use super::{Surroundings, policies};
use crate::manifest::ProcessConfig;

pub(super) struct Parts<'a> {
    pub process: &'a str,
    pub config: &'a ProcessConfig,
    pub dir: &'a Path,
    pub surroundings: &'a Surroundings,
    pub context: &'a Arc<Context>,
}

/// An agent in its layers, the layers, and the secrets, which must be revoked at the end.
pub(super) type Stacked = (Arc<dyn Agent>, Vec<Arc<dyn Layer>>, Option<Arc<Secrets>>);

impl Parts<'_> {
    pub async fn build(&self, toolbox: Arc<dyn Toolbox>, past: &Past) -> Result<Stacked, String> {
        let model = ModelChoice::parse(&self.config.model)?.make(self.dir)?;
        let notify: Arc<dyn Notify> = Arc::new(Escalations::new(Arc::clone(&self.surroundings.event_bus)));
        let (clock, journal) = (&self.surroundings.clock, &past.journal);
        let counts = self.config.budget.enabled || self.config.mission.enabled;
        let records = if counts { past.records.read().await? } else { Vec::new() };
        let mut stack = Stack::new();

        // Innermost: no other layer, and so no record, ever sees a value.
        let secrets = self.secrets(past)?;
        if let Some(secrets) = &secrets {
            stack.push(Arc::clone(secrets) as Arc<dyn Layer>);
        }
        // Writes the intent with what the layers above noted on the call, and the result.
        stack.push(Intent::new(Arc::clone(journal)));
        // Sees every call that is really made.
        if self.config.health.enabled {
            let config = policies::health(&self.config.health);
            stack.push(Health::new(config, Arc::clone(clock), Arc::clone(journal), Arc::clone(&notify)));
        }
        // A call that it refuses is not behaviour, and leaves no intent.
        if self.config.budget.enabled {
            let config = policies::budget(&self.config.budget);
            stack.push(Budget::new(config, Arc::clone(clock), Arc::clone(journal), Arc::clone(&notify), &records));
        }
        // Answers every recorded step, refusals included, before any policy is asked.
        stack.push(Replay::new(Arc::clone(journal)));
        // Outermost: sees the final outcome, and judges through all of the above.
        if self.config.mission.enabled {
            stack.push(self.mission(&stack, notify, past, &records)?);
        }

        let instructions = self.config.instructions.clone().unwrap_or_else(|| default_instructions(self.process));
        let agent = stack.agent(&instructions, self.config.max_turns, model, toolbox);
        Ok((agent, stack.layers().to_vec(), secrets))
    }

    fn secrets(&self, past: &Past) -> Result<Option<Arc<Secrets>>, String> {
        if !self.config.secrets.enabled {
            return Ok(None);
        }
        let config = policies::secrets(&self.config.secrets);
        let env = |name: &str| std::env::var(name).ok();
        let secrets = Secrets::new(&config, &env, Arc::clone(&self.surroundings.clock), Arc::clone(&past.journal));
        secrets.map(Some).map_err(|error| format!("secrets: {error}"))
    }

    fn mission(&self, inner: &Stack, notify: Arc<dyn Notify>, past: &Past, records: &[Record]) -> Result<Arc<Mission>, String> {
        let config = policies::mission(&self.config.mission);
        let judge = config.eval_model.as_deref().unwrap_or(&self.config.model);
        let judge = inner.model(ModelChoice::parse(judge)?.make(self.dir)?);
        let facts = Arc::new(StateFacts::new(Arc::clone(self.context)));
        let (clock, journal) = (Arc::clone(&self.surroundings.clock), Arc::clone(&past.journal));
        let mission = Mission::new(config, judge, clock, journal, notify, facts, records);
        // What was cut off goes on; what someone starts anew begins anew, if it was over.
        if past.cause == StartCause::Asked {
            mission.begin().map_err(|error| format!("mission: {error}"))?;
        }
        Ok(mission)
    }
}

fn default_instructions(process: &str) -> String {
    format!(
        "You are {process}, an autonomous agent. Handle the event that woke you with the tools you have, then say in a sentence what you did."
    )
}
