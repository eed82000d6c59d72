//! Budget, health, mission and secrets.

use super::{Rules, is_http_url};
use crate::manifest::config::{BudgetConfig, Escalation, HealthConfig, MissionConfig, OnAnomaly, OnExceeded, SecretScopeConfig};
use crate::manifest::diagnostic::quote;

const ENABLE: &str = "write `enabled: true`, or remove the section";

impl Rules<'_, '_> {
    pub(super) fn budget(&mut self, budget: &BudgetConfig) {
        self.escalation("budget", budget.escalation.as_ref());
        self.idle_section("budget", budget.enabled, budget == &BudgetConfig::default());
        if budget.on_exceeded == OnExceeded::Escalate && budget.escalation.is_none() {
            self.fault("budget.on_exceeded", "is `escalate`, and there is nobody to tell", "give an `escalation`");
        }
    }

    pub(super) fn health(&mut self, health: &HealthConfig) {
        self.escalation("health", health.escalation.as_ref());
        self.idle_section("health", health.enabled, health == &HealthConfig::default());
        if health.on_anomaly == OnAnomaly::Escalate && health.escalation.is_none() {
            self.fault("health.on_anomaly", "is `escalate`, and there is nobody to tell", "give an `escalation`");
        }
        if u64::from(health.loop_min_repeats) * 2 > u64::from(health.loop_window) {
            let message = format!("{} calls are too few to see a pattern {} times", health.loop_window, health.loop_min_repeats);
            self.doubt("health.loop_window", message, "make it at least twice `loop_min_repeats`");
        }
    }

    pub(super) fn mission(&mut self, mission: &MissionConfig) {
        self.escalation("mission", mission.escalation.as_ref());
        self.idle_section("mission", mission.enabled, mission == &MissionConfig::default());
        if !mission.enabled {
            return;
        }
        if mission.objective.trim().is_empty() {
            self.fault("mission.objective", "is missing; an enabled mission needs it", "say what is to be reached");
        }
        if mission.success_criteria.trim().is_empty() {
            let help = "say by what the judge knows that it is reached";
            self.fault("mission.success_criteria", "is missing; an enabled mission needs it", help);
        }
    }

    pub(super) fn secrets(&mut self, secrets: &SecretScopeConfig) {
        self.idle_section("secrets", secrets.enabled, secrets == &SecretScopeConfig::default());
        for name in secrets.ttls.keys().filter(|name| !secrets.secrets.contains_key(*name)) {
            let known: Vec<&str> = secrets.secrets.keys().map(String::as_str).collect();
            let help = if known.is_empty() { String::new() } else { format!("there are: {}", known.join(", ")) };
            self.fault(&format!("secrets.ttls.{name}"), format!("there is no secret {}", quote(name)), &help);
        }
        let scope = flyball_governance::SecretScopeConfig {
            secrets: secrets.secrets.iter().map(|(name, source)| (name.clone(), source.text().to_owned())).collect(),
            ..flyball_governance::SecretScopeConfig::default()
        };
        for (field, what) in scope.check() {
            self.fault(&format!("secrets.{field}"), what, "");
        }
    }

    /// A section with settings that says nowhere that it is on.
    fn idle_section(&mut self, section: &str, enabled: bool, untouched: bool) {
        let (field, _) = super::locate(self.checker, &format!("{section}.enabled"));
        let said = self.checker.places.contains_key(&field);
        if !enabled && !untouched && !said {
            self.doubt(section, "has no effect, because it is not enabled", ENABLE);
        }
    }

    fn escalation(&mut self, section: &str, escalation: Option<&Escalation>) {
        let Some(escalation) = escalation else { return };
        let path = format!("{section}.escalation");
        if escalation.webhook_url.as_ref().is_some_and(|url| !is_http_url(url.expose())) {
            self.fault(&format!("{path}.webhook_url"), "is not an http:// or https:// address", "");
        }
        if escalation.webhook_url.is_none() && escalation.event_type.is_none() {
            self.fault(&path, "tells nobody", "give `webhook_url` or `event_type`");
        }
    }
}
