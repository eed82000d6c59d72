//! Step 1: a single autonomous agent. It is built, connected and woken by the clock, and stops when told.

use std::collections::BTreeMap;

use flyball::journal::LifecycleState;
use flyball::manifest::{Manifest, ProcessConfig, ServerConfig, Transport, TriggerConfig, TriggerKind};
use flyball::runtime::AgentProcess;

use crate::support::{PipelineServer, World, at, in_state, runs};

const CHECKS: &str = r#"
rules:
  - when: {after: check_health, result: '"healthy":true,.*"rows":(?<rows>\d+)'}
    say: "all is well, {{rows}} rows"
  - when: {trigger: cron}
    call: [{tool: check_health}]
"#;

/// The seed's first example, in code.
fn pipeline_monitor(world: &World, url: String) -> AgentProcess {
    let server =
        ServerConfig { url: Some(url), transport: Some(Transport::StreamableHttp), trusted: true, ..ServerConfig::default() };
    let config = ProcessConfig {
        model: "scripted:model.yaml".into(),
        instructions: Some("You monitor data pipelines. When triggered, check pipeline health and report any anomalies.".into()),
        servers: BTreeMap::from([("pipeline_api".into(), server)]),
        triggers: vec![TriggerConfig {
            kind: TriggerKind::Cron,
            cron_expression: Some("*/5 * * * *".into()),
            ..TriggerConfig::default()
        }],
        ..ProcessConfig::default()
    };
    let (path, dir) = (world.dir().join("pipeline-monitor.agent"), world.dir().to_owned());
    world.add_manifest(&Manifest { path, dir, name: "pipeline-monitor".into(), config, warnings: Vec::new() })
}

#[tokio::test]
async fn every_cron_instant_wakes_the_agent_which_calls_a_tool_found_over_streamable_http() {
    let world = World::new();
    world.script(CHECKS);
    let server = PipelineServer::start(world.dir()).await;
    let process = pipeline_monitor(&world, server.url());
    process.start().await.expect("it starts");
    world.minutes(1);
    assert_eq!(process.status().invocation_count, 0, "09:00 is not yet");
    for (hour, count) in [("09:00", 1), ("09:05", 2), ("09:10", 3)] {
        world.minutes(if count == 1 { 1 } else { 5 });
        runs(&process, count).await;
        let reading = world.read("pipeline-monitor").await;
        let event = *reading.events().last().expect("it was taken in");
        assert_eq!(event.payload["scheduled_time"], format!("2026-03-02T{hour}:00+00:00"));
    }
    let reading = world.read("pipeline-monitor").await;
    assert_eq!(reading.calls().iter().map(|(tool, _)| *tool).collect::<Vec<_>>(), ["check_health"; 3]);
    assert!(reading.results().iter().all(|(reply, refused)| !reply.is_error && !refused && reply.text.contains("\"rows\":366")));
    assert_eq!(reading.last_reply(), "all is well, 366 rows");
}

#[tokio::test]
async fn a_process_goes_through_its_lifecycle_and_hears_nothing_once_it_is_stopped() {
    let world = World::new();
    world.script(CHECKS);
    let server = PipelineServer::start(world.dir()).await;
    let process = pipeline_monitor(&world, server.url());
    assert!(!process.status().state.is_alive());
    process.start().await.expect("it starts");
    assert_eq!(process.status().state, LifecycleState::Awaiting);
    world.minutes(2);
    runs(&process, 1).await;
    in_state(&process, LifecycleState::Awaiting).await;
    process.stop().await.expect("it stops");
    assert_eq!(process.status().state, LifecycleState::Stopped);
    world.minutes(60);
    let reading = world.read("pipeline-monitor").await;
    use LifecycleState::{Awaiting, Running, Starting, Stopped, Stopping};
    assert_eq!(reading.states(), [Starting, Awaiting, Running, Awaiting, Stopping, Stopped]);
    assert_eq!(reading.events().len(), 1);
    assert_eq!(reading.events()[0].timestamp, at("2026-03-02T09:00:00Z"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_when_the_process_starts() {
    let world = World::new();
    world.script(CHECKS);
    let url = format!("http://127.0.0.1:{}/mcp", crate::support::free_port());
    let process = pipeline_monitor(&world, url);
    let error = process.start().await.expect_err("nobody listens there").to_string();
    assert!(error.contains("server 'pipeline_api'"), "{error}");
    assert_eq!(process.status().state, LifecycleState::Failed);
}
