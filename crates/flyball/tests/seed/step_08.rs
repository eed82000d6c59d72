//! Step 8: a process's own secrets. A tool gets the value; nothing else ever does.

use flyball::runtime::AgentProcess;
use serde_json::json;

use crate::support::{ADMIN_KEY_VARIABLE, PipelineServer, World, admin_key, run_times};

/// The value that stands in the manifest itself.
const LITERAL: &str = "tok-abc123-in-the-manifest";

/// Loads with the admin key; the server refuses a wrong one.
const LOADS: &str = r#"
rules:
  - when: {step: t0}
    call: [{tool: rerun_load, args: {admin_key: "secret://admin_key"}}]
  - when: {after: rerun_load, result: '(?<answer>.*)'}
    say: "{{answer}}"
"#;

struct Payments {
    world: World,
    process: AgentProcess,
    manifest: String,
    _server: PipelineServer,
}

impl Payments {
    async fn start(script: &str) -> Self {
        let world = World::new();
        let server = PipelineServer::start(world.dir()).await;
        world.script(script);
        let manifest = format!(
            r"
name: payments
servers: {{pipeline: {{url: '{}', transport: streamable-http}}}}
tools: {{rerun_load: {{effect: idempotent}}}}
secrets:
  enabled: true
  secrets: {{admin_key: '${{{ADMIN_KEY_VARIABLE}}}', db_password: '${{FLYBALL_TEST_UNSET:-long enough}}', static_token: {LITERAL}}}
  default_ttl: 3600
  ttls: {{admin_key: 1800}}
  revoke_on_stop: true
",
            server.url()
        );
        let process = world.start(&manifest).await;
        Self { world, process, manifest, _server: server }
    }

    async fn run(&self) -> String {
        run_times(&self.process, 1).await;
        self.world.read("payments").await.last_reply().to_owned()
    }
}

#[tokio::test]
async fn the_value_reaches_the_tool_and_nothing_else() {
    let payments = Payments::start(LOADS).await;
    let said = payments.run().await;
    assert!(said.contains("rows_in_warehouse"), "the server took the key: {said}");
    let reading = payments.world.read("payments").await;
    assert_eq!(reading.calls()[0].1["admin_key"], "secret://admin_key");
    payments.process.stop().await.expect("it stops");
    let journal = payments.world.bytes().await;
    let status = serde_json::to_string(&payments.process.status()).expect("plain data");
    for secret in [admin_key().as_str(), LITERAL, "long enough"] {
        assert!(!journal.contains(secret), "the journal holds {secret}");
        assert!(!status.contains(secret), "the status shows {secret}");
    }
}

#[tokio::test]
async fn the_model_is_told_the_names_and_never_a_value() {
    let payments = Payments::start(crate::support::ECHO).await;
    let shown = payments.run().await;
    assert!(shown.contains("secret://admin_key, secret://db_password, secret://static_token"), "{shown}");
    assert!(!shown.contains(LITERAL) && !shown.contains(&admin_key()), "{shown}");
}

#[tokio::test]
async fn every_use_is_journalled_by_name() {
    let payments = Payments::start(LOADS).await;
    payments.run().await;
    payments.run().await;
    let reading = payments.world.read("payments").await;
    let access = json!({"action": "access", "secret": "admin_key", "tool": "rerun_load"});
    assert_eq!(reading.notes("secrets"), [&access, &access]);
}

#[tokio::test]
async fn a_secret_expires_after_its_own_time_and_the_others_after_the_default() {
    let payments = Payments::start(LOADS).await;
    let expired = |status: flyball::runtime::ProcessStatus| {
        let secrets = status.layers["secrets"]["secrets"].as_array().expect("a list").clone();
        let expired = secrets.into_iter().filter(|secret| secret["expired"] == true);
        expired.map(|secret| secret["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    payments.world.minutes(29);
    assert!(payments.run().await.contains("rows_in_warehouse"));
    payments.world.minutes(2);
    let said = payments.run().await;
    assert!(said.contains("'rerun_load' was not called") && said.contains("expired"), "{said}");
    assert_eq!(expired(payments.process.status()), ["admin_key"]);
    payments.world.minutes(30);
    payments.run().await;
    assert_eq!(expired(payments.process.status()), ["admin_key", "db_password", "static_token"]);
}

#[tokio::test]
async fn all_are_revoked_when_the_process_stops_and_read_again_when_it_starts() {
    let payments = Payments::start(LOADS).await;
    payments.run().await;
    payments.process.stop().await.expect("it stops");
    let reading = payments.world.read("payments").await;
    let revoked = ["admin_key", "db_password", "static_token"].map(|name| json!({"action": "revoke", "secret": name}));
    assert_eq!(reading.notes("secrets")[1..], revoked.iter().collect::<Vec<_>>());
    payments.world.minutes(120);
    payments.process.start().await.expect("it starts");
    assert!(payments.run().await.contains("rows_in_warehouse"), "with a new life");
}

#[tokio::test]
async fn after_a_crash_values_come_from_the_environment_again() {
    let payments = Payments::start(LOADS).await;
    payments.run().await;
    let later = payments.world.after_a_crash();
    let process = later.start(&payments.manifest).await;
    run_times(&process, 1).await;
    assert!(later.read("payments").await.last_reply().contains("rows_in_warehouse"));
}

#[tokio::test]
async fn a_variable_that_is_not_set_is_named_when_the_process_starts() {
    let world = World::new();
    world.script(LOADS);
    // It was set when the manifest was read, and is not now.
    let env = |_: &str| Some("was set then".to_owned());
    let manifest = "name: payments\nsecrets: {enabled: true, secrets: {key: '${FLYBALL_TEST_UNSET}'}}";
    let process = world.add_manifest(&world.parse(manifest, &env));
    let error = process.start().await.expect_err("there is no value").to_string();
    assert!(error.contains("FLYBALL_TEST_UNSET") && error.contains("key"), "{error}");
}
