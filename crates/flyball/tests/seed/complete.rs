//! The complete example, with the seed's own values: a monitor that looks every five minutes, an analyst, and a
//! responder with a mission, over a real pipeline that breaks three times.

use flyball::journal::LifecycleState;
use flyball::runtime::{AgentProcess, Control};
use serde_json::json;

use crate::support::{ADMIN_KEY_VARIABLE, PipelineServer, Receiver, World, admin_key, in_state, runs};

const MONITOR: &str = r"
name: monitor
instructions: >-
  You monitor data pipelines. Check health every 5 minutes. If a pipeline is unhealthy, emit an 'alert.critical' event.
servers: {pipeline: {url: 'SERVER', transport: streamable-http}}
triggers: [{type: cron, cron_expression: '*/5 * * * *'}]
context:
  initial_state: {total_checks: 0, alerts_raised: 0}
  memory_provider: embedded
  memory_auto_store: true
journal: {level: full, backend: file}
budget: {enabled: true, max_tool_calls_per_day: 500, max_cost_per_day: 50.0, on_exceeded: pause}
health: {enabled: true, stuck_threshold: 5, on_anomaly: escalate, escalation: {webhook_url: 'WEBHOOK'}}
";

const ANALYST: &str = r"
name: analyst
instructions: Analyze pipeline alerts. Determine root cause.
triggers: [{type: event, event_type: alert.critical}]
";

const RESPONDER: &str = r"
name: responder
instructions: Execute pipeline remediation.
servers: {pipeline: {url: 'SERVER', transport: streamable-http}}
triggers: [{type: message, topic: analysis.complete}]
config: {restart_policy: on_failure}
mission:
  enabled: true
  objective: Restore all pipelines to healthy status
  success_criteria: All pipeline stages pass health checks for 3 consecutive runs
  eval_every: 3
  confidence_threshold: 0.6
  timeout_hours: 4
  auto_complete: true
  escalation: {webhook_url: 'WEBHOOK'}
secrets:
  enabled: true
  secrets: {pipeline_admin_key: '${PIPELINE_ADMIN_KEY}'}
  default_ttl: 1800
  revoke_on_stop: true
";

/// What the three answer by. The monitor counts in its state.
fn script() -> String {
    let counts = (0..10).map(|n| {
        let look = format!("- {{tool: set_state, args: {{key: total_checks, value: {}}}}}", n + 1);
        let alert = format!("- {{tool: set_state, args: {{key: alerts_raised, value: {}}}}}", n + 1);
        format!(
            r#"
  - when: {{process: monitor, step: t0, shown: '"total_checks":{n}\}}'}}
    call:
      - {{tool: check_health}}
      {look}
  - when:
      process: monitor
      after: check_health
      result: '"healthy":false,.*?"file":"(?<file>[^"]*)","problem":"(?<problem>[^"\\]*)'
      shown: '"alerts_raised":{n},'
    call:
      - {{tool: emit_event, args: {{event_type: alert.critical, data: {{file: "{{{{file}}}}", problem: "{{{{problem}}}}"}}}}}}
      {alert}
"#
        )
    });
    format!("rules:{}{OTHERS}", counts.collect::<String>())
}

const OTHERS: &str = r#"
  - when: {process: analyst, step: t0, event: '"file": "(?<file>[^"]*)",\s+"problem": "(?<problem>[^"]*)"'}
    call:
      - tool: publish_message
        args: {topic: analysis.complete, content: {action: quarantine, file: "{{file}}", reason: "{{problem}}"}}
  - when: {process: responder, step: t0, event: '"file": "(?<file>[^"]*)",\s+"reason": "(?<reason>[^"]*)"'}
    call:
      - tool: quarantine_file
        args: {file: "{{file}}", reason: "{{reason}}", admin_key: "secret://pipeline_admin_key"}
  - when: {process: responder, after: quarantine_file}
    call: [{tool: rerun_load, args: {admin_key: "secret://pipeline_admin_key"}}]
  - when: {process: responder, after: rerun_load}
    call: [{tool: check_health}]
  - when: {step: judge, event: '(?s)\A.*\n- tool check_health args [^\n]*? -> \{"healthy":(?<healthy>true|false),'}
    say: >-
      {"achieved": {{healthy}}, "confidence": 0.95, "reasoning": "the last check of the run",
      "progress_summary": "healthy: {{healthy}}"}
  - say: that is done
"#;

struct Center {
    world: World,
    server: PipelineServer,
    webhook: Receiver,
    monitor: AgentProcess,
    analyst: AgentProcess,
    responder: AgentProcess,
}

impl Center {
    async fn start() -> Self {
        let world = World::new();
        world.script(&script());
        let (server, webhook) = (PipelineServer::start(world.dir()).await, Receiver::start().await);
        let add = |manifest: &str| {
            let manifest = manifest.replace("SERVER", &server.url()).replace("WEBHOOK", &webhook.url());
            world.add(&manifest.replace("PIPELINE_ADMIN_KEY", ADMIN_KEY_VARIABLE))
        };
        let (monitor, analyst, responder) = (add(MONITOR), add(ANALYST), add(RESPONDER));
        assert!(world.runtime.start_all().await.is_empty());
        Self { world, server, webhook, monitor, analyst, responder }
    }

    /// The next five minutes pass, with an incident that is mended within them.
    async fn incident(&self, month: &str, number: u64) {
        let drop = self.server.damaged_drop(month);
        self.world.minutes(5);
        runs(&self.monitor, number + 1).await;
        runs(&self.analyst, number).await;
        runs(&self.responder, number).await;
        assert!(self.server.has(&format!("quarantine/{drop}")), "{drop}");
        assert!(!self.server.has(&format!("inbox/{drop}")), "{drop}");
    }

    async fn running(&self) -> usize {
        let status = self.world.runtime.status().await;
        let active = [LifecycleState::Running, LifecycleState::Awaiting];
        status.processes.values().filter(|process| active.contains(&process.state)).count()
    }
}

#[tokio::test]
async fn monitor_analyst_and_responder_repair_the_pipeline_until_the_mission_is_complete() {
    let center = Center::start().await;
    center.world.minutes(2);
    runs(&center.monitor, 1).await;
    assert_eq!(center.running().await, 3);

    center.incident("2013-01", 1).await;
    center.incident("2013-02", 2).await;
    assert!(!center.world.read("responder").await.turns().contains(&"judge"), "every third run is judged");
    center.incident("2013-03", 3).await;

    let status = in_state(&center.responder, LifecycleState::Stopped).await;
    assert_eq!(status.layers["mission"]["state"], "completed");
    assert_eq!(center.webhook.posted("mission.completed").await["process"], "responder");
    center.world.minutes(5);
    runs(&center.monitor, 5).await;
    assert_eq!(center.running().await, 2, "the others go on");

    let state = center.world.context("monitor").state().snapshot();
    assert_eq!(json!(state), json!({"total_checks": 5, "alerts_raised": 3}));
    assert!(center.world.read("monitor").await.results().last().is_some_and(|(reply, _)| !reply.is_error));
    let acts = |tool: &str| center.server.ledger().iter().filter(|line| line["tool"] == tool && line["acted"] == true).count();
    assert_eq!((acts("quarantine_file"), acts("rerun_load")), (3, 3));
}

#[tokio::test]
async fn its_governance_saw_nothing_wrong_and_its_journal_holds_no_secret() {
    let center = Center::start().await;
    center.world.minutes(2);
    runs(&center.monitor, 1).await;
    center.incident("2013-01", 1).await;
    let monitor = center.world.read("monitor").await;
    assert!(monitor.notes("health").is_empty());
    let status = center.monitor.status();
    assert_eq!(status.layers["budget"]["used"]["tool_calls_day"], monitor.calls().len());
    let used: Vec<_> = center.world.read("responder").await.notes("secrets").into_iter().cloned().collect();
    let access = |tool: &str| json!({"action": "access", "secret": "pipeline_admin_key", "tool": tool});
    assert_eq!(used, [access("quarantine_file"), access("rerun_load")]);
    center.world.runtime.stop_all().await;
    let journal = center.world.bytes().await;
    assert!(!journal.contains(&admin_key()) && !journal.contains(&center.webhook.url()));
}

#[tokio::test]
async fn a_mission_that_nobody_can_achieve_fails_after_four_hours() {
    let center = Center::start().await;
    center.world.minutes(4 * 60 - 1);
    runs(&center.monitor, 1).await;
    assert!(center.responder.status().state.is_alive());
    center.world.minutes(1);
    let status = in_state(&center.responder, LifecycleState::Stopped).await;
    assert_eq!((&status.layers["mission"]["state"], status.invocation_count), (&json!("failed"), 0));
    assert_eq!(center.webhook.posted("mission.failed").await["body"]["reason"], "timeout after 4 hours");
}
