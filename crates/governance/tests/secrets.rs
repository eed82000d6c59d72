//! A value reaches its tool and nothing else.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Says, Tools, clock, go, journal, notes, run, wants};
use flyball_core_agent::{Change, Layer, ManualClock, Stack, ToolReply};
use flyball_governance::{Error, SecretScopeConfig, Secrets};
use flyball_journal::{Intent, MemoryJournal, Replay};
use serde_json::{Value, json};

const CANARY: &str = "canary/7f3a \"zeta\"";

struct World {
    stack: Stack,
    secrets: Arc<Secrets>,
    journal: Arc<MemoryJournal>,
    clock: Arc<ManualClock>,
}

fn config() -> SecretScopeConfig {
    SecretScopeConfig {
        enabled: true,
        secrets: [("admin.key".to_owned(), "${ADMIN_KEY}".to_owned()), ("token".to_owned(), "tok-abc123".to_owned())].into(),
        ttls: [("token".to_owned(), 60.0)].into(),
        ..SecretScopeConfig::default()
    }
}

fn env(name: &str) -> Option<String> {
    (name == "ADMIN_KEY").then(|| CANARY.to_owned())
}

fn world() -> World {
    let (journal, clock) = (journal(), clock());
    let secrets = Secrets::new(&config(), &env, clock.clone(), journal.clone()).expect("the secrets");
    let mut stack = Stack::new();
    stack.push(Arc::clone(&secrets) as Arc<dyn Layer>);
    stack.push(Intent::new(journal.clone()));
    stack.push(Replay::new(journal.clone()));
    World { stack, secrets, journal, clock }
}

fn echo() -> Arc<Tools> {
    Tools::new(&["send", "update_state"], |call| ToolReply::ok(Value::Object(call.args.clone()).to_string()))
}

async fn send(world: &World, tools: &Arc<Tools>, args: Value) -> String {
    let model = Says::new([wants(&[("send", args)])]);
    go(&world.stack, &run("r"), &model, tools).await;
    model.asked.lock().expect("asked").last().expect("a turn").messages.last().expect("a message").text().to_owned()
}

#[tokio::test]
async fn a_name_is_replaced_wherever_it_stands_in_the_arguments() {
    let (world, tools) = (world(), echo());
    let args = json!({"headers": [{"auth": "Bearer secret://token."}], "both": "secret://admin.key/secret://token", "n": 1});
    send(&world, &tools, args).await;
    let called = tools.called.lock().expect("called");
    let wanted = json!({"headers": [{"auth": "Bearer tok-abc123."}], "both": format!("{CANARY}/tok-abc123"), "n": 1});
    // The values are wiped when the call is over; the copy that the tool kept is its own.
    assert_eq!(Value::Object(called[0].args.clone()), wanted);
}

#[tokio::test]
async fn no_value_reaches_the_journal_the_model_or_the_status() {
    let world = world();
    let shapes = |text: &str| {
        let url = "canary%2F7f3a%20%22zeta%22";
        let base64 = "Y2FuYXJ5LzdmM2EgInpldGEi";
        json!({"it": text, "url": url, "form": "canary%2f7f3a+%22zeta%22", "base64": base64, "basic": "dTpjYW5hcnkvN2YzYSAiemV0YSI="})
    };
    let tools = Tools::new(&["send", "update_state"], move |call| {
        let value = call.args["key"].as_str().unwrap_or_default();
        let change = Change { key: "k".into(), value: json!([value]), source: "agent".into(), at: common::noon() };
        ToolReply { text: shapes(value).to_string(), is_error: false, changes: vec![change] }
    });
    let model = Says::new([wants(&[("send", json!({"key": "secret://admin.key"}))])]);
    let run = run("r");
    let outcome = go(&world.stack, &run, &model, &tools).await;
    assert_eq!(tools.called.lock().expect("called")[0].args["key"], json!(CANARY), "the tool did get it");

    let asked = model.asked.lock().expect("asked");
    let seen = [
        serde_json::to_string(&world.journal.records()).expect("json"),
        format!("{:?} {asked:?} {outcome:?} {:?}", world.journal.records(), run.changes()),
        world.secrets.status().expect("a status").to_string(),
        format!("{:?}", config()),
    ]
    .concat();
    let json_shape = CANARY.replace('"', "\\\"");
    for shape in [CANARY, &json_shape, "canary", "zeta", "Y2FuYXJ5LzdmM2EgInpldGEi", "pjYW5hcnkvN2YzYSAiemV0YS"] {
        assert!(!seen.contains(shape), "{shape} in {seen}");
    }
    assert!(seen.contains("[secret admin.key]"));
}

#[tokio::test]
async fn each_use_is_written_down_by_name() {
    let (world, tools) = (world(), echo());
    send(&world, &tools, json!({"a": "secret://token", "b": "secret://token"})).await;
    let wanted = json!({"action": "access", "secret": "token", "tool": "send"});
    assert_eq!(notes(&world.journal.records(), "secrets"), [wanted]);
}

#[tokio::test]
async fn an_unknown_name_is_refused_before_anything_is_sent() {
    let (world, tools) = (world(), echo());
    let answer = send(&world, &tools, json!({"key": "secret://nobody"})).await;
    assert_eq!(answer, "'send' was not called: there is no secret 'nobody'; there are: admin.key, token");
    assert_eq!(tools.count(), 0);
}

#[tokio::test]
async fn an_expired_secret_is_refused_and_still_masked() {
    let world = world();
    let tools = Tools::new(&["send"], |_| ToolReply::ok("you once sent tok-abc123"));
    world.clock.advance(Duration::from_secs(60));
    let answer = send(&world, &tools, json!({"key": "secret://token"})).await;
    assert_eq!(answer, "'send' was not called: secret 'token' has expired; there are: admin.key");
    let model = Says::new([wants(&[("send", json!({}))])]);
    go(&world.stack, &run("s"), &model, &tools).await;
    assert!(model.prompt(1).contains("you once sent [secret token]"), "{}", model.prompt(1));
}

#[tokio::test]
async fn the_model_is_told_the_names_and_how_to_use_them() {
    let world = world();
    let model = Says::new([]);
    go(&world.stack, &run("r"), &model, &echo()).await;
    assert!(model.prompt(0).contains("secret://admin.key, secret://token"), "{}", model.prompt(0));
}

#[tokio::test]
async fn rotating_replaces_the_value_renews_its_time_and_masks_the_old_one() {
    let world = world();
    world.clock.advance(Duration::from_secs(90));
    let answer = world.secrets.command("rotate", &json!({"name": "token", "value": "tok-new456"})).expect("rotated");
    assert!(!answer.to_string().contains("tok-new456"));
    let tools = Tools::new(&["send"], |call| ToolReply::ok(format!("{} was tok-abc123", call.args["key"])));
    let seen = send(&world, &tools, json!({"key": "secret://token"})).await;
    assert_eq!(tools.called.lock().expect("called")[0].args["key"], json!("tok-new456"));
    assert_eq!(seen, "\"[secret token]\" was [secret token]");
    for (body, why) in [
        (json!({"name": "nobody", "value": "long enough"}), "no secret"),
        (json!({"name": "token", "value": "abc"}), "shorter than 4"),
        (json!({"name": "token"}), "needs a `value`"),
        (json!({"name": "token", "value": "long enough", "ttl": -1}), "`ttl`"),
    ] {
        let error = world.secrets.command("rotate", &body).expect_err("refused");
        assert!(error.contains(why) && !error.contains("long enough"), "{error}");
    }
    assert_eq!(notes(&world.journal.records(), "secrets")[0], json!({"action": "rotate", "secret": "token"}));
}

#[tokio::test]
async fn a_revoked_secret_is_gone() {
    let (world, tools) = (world(), echo());
    assert_eq!(world.secrets.command("revoke", &json!({"name": "token"})), Ok(json!({"revoked": 1})));
    assert!(send(&world, &tools, json!({"key": "secret://token"})).await.contains("there is no secret 'token'"));
    world.secrets.stopped();
    assert_eq!(world.secrets.status(), Some(json!({"secrets": []})));
    assert_eq!(notes(&world.journal.records(), "secrets").len(), 2);
}

#[tokio::test]
async fn tools_that_write_journals_are_given_the_name_and_not_the_value() {
    let (world, tools) = (world(), echo());
    world.secrets.keep_from(["update_state".to_owned()]);
    let model = Says::new([wants(&[("update_state", json!({"value": "secret://token"}))])]);
    go(&world.stack, &run("r"), &model, &tools).await;
    assert_eq!(tools.called.lock().expect("called")[0].args["value"], json!("secret://token"));
}

#[test]
fn what_cannot_be_had_is_named_all_at_once_and_not_quoted() {
    let texts = [("a", "${MISSING}"), ("b", "xyz"), ("c", "${ADMIN_KEY}"), ("d.", "long enough")];
    let secrets = texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let config = SecretScopeConfig { secrets, ..SecretScopeConfig::default() };
    let Err(Error::Secrets(problems)) = Secrets::new(&config, &env, clock(), journal()) else { panic!("three are wrong") };
    let names: Vec<&str> = problems.iter().map(|problem| problem.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "d."]);
    let text = Error::Secrets(problems).to_string();
    assert!(text.contains("MISSING") && !text.contains("xyz") && !text.contains("long enough"), "{text}");
}
