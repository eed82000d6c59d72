//! From the manifest's words to the policies' own configurations.

use std::time::Duration;

use flyball_governance as governance;
use flyball_runtime::{Delivery, RestartPolicy};

use crate::manifest;

pub(super) fn restart(policy: manifest::RestartPolicy) -> RestartPolicy {
    match policy {
        manifest::RestartPolicy::Never => RestartPolicy::Never,
        manifest::RestartPolicy::OnFailure => RestartPolicy::OnFailure,
        manifest::RestartPolicy::Always => RestartPolicy::Always,
    }
}

pub(super) fn delivery(config: &manifest::DeliveryConfig) -> Delivery {
    Delivery {
        max_retries: config.max_retries,
        retry_backoff: Duration::from_secs_f64(config.retry_backoff),
        retry_backoff_max: Duration::from_secs_f64(config.retry_backoff_max),
        max_age: super::unless_zero(config.max_age),
        strict_order: config.strict_order,
        max_pending: config.max_pending,
    }
}

pub(super) fn budget(config: &manifest::BudgetConfig) -> governance::BudgetConfig {
    let costs = config.tool_costs.iter().map(|(tool, cost)| {
        (tool.clone(), governance::ToolCostAnnotation { cost_weight: cost.cost_weight, irreversible: cost.irreversible })
    });
    governance::BudgetConfig {
        enabled: config.enabled,
        max_tool_calls_per_run: config.max_tool_calls_per_run,
        max_llm_turns_per_run: config.max_llm_turns_per_run,
        max_cost_per_run: config.max_cost_per_run,
        max_irreversible_per_run: config.max_irreversible_per_run,
        max_tool_calls_per_day: config.max_tool_calls_per_day,
        max_runs_per_day: config.max_runs_per_day,
        max_cost_per_day: config.max_cost_per_day,
        tool_costs: costs.collect(),
        on_exceeded: match config.on_exceeded {
            manifest::OnExceeded::Pause => governance::OnExceeded::Pause,
            manifest::OnExceeded::Stop => governance::OnExceeded::Stop,
            manifest::OnExceeded::Escalate => governance::OnExceeded::Escalate,
        },
        escalation: config.escalation.as_ref().map(escalation),
        daily_reset_hour_utc: config.daily_reset_hour_utc,
        inject_remaining: config.inject_remaining,
        warning_threshold: config.warning_threshold,
    }
}

pub(super) fn health(config: &manifest::HealthConfig) -> governance::HealthConfig {
    governance::HealthConfig {
        enabled: config.enabled,
        stuck_threshold: config.stuck_threshold as usize,
        loop_window: config.loop_window as usize,
        loop_min_repeats: config.loop_min_repeats as usize,
        empty_threshold: config.empty_threshold as usize,
        empty_max_chars: config.empty_max_chars as usize,
        error_window: config.error_window as usize,
        error_rate_threshold: config.error_rate_threshold,
        on_anomaly: match config.on_anomaly {
            manifest::OnAnomaly::Log => governance::OnAnomaly::Log,
            manifest::OnAnomaly::Pause => governance::OnAnomaly::Pause,
            manifest::OnAnomaly::Escalate => governance::OnAnomaly::Escalate,
            manifest::OnAnomaly::Stop => governance::OnAnomaly::Stop,
        },
        cooldown: config.cooldown,
        escalation: config.escalation.as_ref().map(escalation),
    }
}

pub(super) fn mission(config: &manifest::MissionConfig) -> governance::MissionConfig {
    governance::MissionConfig {
        enabled: config.enabled,
        objective: config.objective.clone(),
        success_criteria: config.success_criteria.clone(),
        eval_model: config.eval_model.clone(),
        eval_every: config.eval_every,
        confidence_threshold: config.confidence_threshold,
        timeout_hours: config.timeout_hours,
        max_invocations: config.max_invocations,
        auto_complete: config.auto_complete,
        on_complete: config.on_complete.map(|on_complete| match on_complete {
            manifest::OnComplete::Stop => governance::OnComplete::Stop,
            manifest::OnComplete::Continue => governance::OnComplete::Continue,
            manifest::OnComplete::Suspend => governance::OnComplete::Suspend,
        }),
        escalation: config.escalation.as_ref().map(escalation),
    }
}

pub(super) fn secrets(config: &manifest::SecretScopeConfig) -> governance::SecretScopeConfig {
    governance::SecretScopeConfig {
        enabled: config.enabled,
        secrets: config.secrets.iter().map(|(name, source)| (name.clone(), source.text().to_owned())).collect(),
        default_ttl: config.default_ttl,
        ttls: config.ttls.clone(),
        revoke_on_stop: config.revoke_on_stop,
    }
}

fn escalation(config: &manifest::Escalation) -> governance::EscalationTarget {
    governance::EscalationTarget {
        webhook_url: config.webhook_url.as_ref().map(|url| url.expose().to_owned()),
        event_type: config.event_type.clone(),
    }
}
