//! The OpenAI model against a real HTTP server that checks requests strictly.
#![cfg(all(feature = "openai", feature = "scripted", feature = "testing"))]
#![allow(clippy::unwrap_used, reason = "a test that panics fails, as it should")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::DateTime;
use flyball_core_agent::openai::{ApiKey, Error, OpenAiConfig, OpenAiModel};
use flyball_core_agent::scripted::ScriptedModel;
use flyball_core_agent::testing::{OpenAiServer, Place, RawReply};
use flyball_core_agent::{
    Agent, CallError, Failure, Invocation, Message, Model, Run, RunId, Sent, StepId, ToolCall, ToolLoop, ToolReply, ToolSpec,
    Toolbox, TriggerEvent, Turn,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const KEY: &str = "sk-very-secret-0123456789";

fn config(server: &OpenAiServer) -> OpenAiConfig {
    OpenAiConfig { base_url: Some(server.base_url()), api_key: Some(ApiKey::new(KEY)), ..OpenAiConfig::new("test-model") }
}

fn turn() -> Turn {
    let run = Run::new(RunId("r".into()), "monitor", CancellationToken::new());
    Turn { run, step: StepId::turn(0), messages: vec![Arc::new(Message::user("hello"))], tools: Vec::new() }
}

async fn ask(server: &OpenAiServer) -> Result<String, Failure> {
    ask_with(config(server)).await
}

async fn ask_with(config: OpenAiConfig) -> Result<String, Failure> {
    match OpenAiModel::new(config).unwrap().reply(&turn()).await {
        Ok(reply) => Ok(reply.text),
        Err(CallError::Failed(failure)) => Err(failure),
        Err(other) => panic!("{other}"),
    }
}

async fn server(replies: impl IntoIterator<Item = RawReply>) -> OpenAiServer {
    OpenAiServer::with_replies(replies).await.unwrap()
}

/// Answers every call with its own name and arguments.
struct Echo(Vec<ToolSpec>);

#[async_trait]
impl Toolbox for Echo {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        Ok(self.0.iter().cloned().map(Arc::new).collect())
    }

    async fn call(&self, call: &ToolCall) -> Result<ToolReply, CallError> {
        Ok(ToolReply::ok(format!("{} got {}", call.name, Value::Object(call.args.clone()))))
    }
}

fn tool(name: &str) -> ToolSpec {
    let description = "x".repeat(3000);
    ToolSpec { name: name.into(), description, parameters: json!({"type": "object"}), effect: None, reconcile: None }
}

#[tokio::test]
async fn a_whole_run_goes_over_http_with_parallel_calls_and_odd_tool_names() {
    let script = r#"
rules:
  - when: {process: monitor, trigger: cron}
    call: [{tool: files_read, args: {path: a}}, {tool: plain}]
    say: looking
  - when: {step: t1, after: files_read, result: 'files:read got (?<args>.*)'}
    say: "it said {{args}}"
"#;
    let scripted: Arc<dyn Model> = Arc::new(ScriptedModel::from_yaml(script, "script").unwrap());
    let process = |request: &Value| request["messages"][0]["content"].as_str().unwrap_or_default().to_owned();
    let server = OpenAiServer::with_model(scripted, process).await.unwrap();
    let model = Arc::new(OpenAiModel::new(config(&server)).unwrap());
    let agent = ToolLoop::new("monitor", 5, model, Arc::new(Echo(vec![tool("files:read"), tool("plain")])));
    let event = TriggerEvent::new("c", "cron", DateTime::UNIX_EPOCH, json!({}));
    let invocation = Invocation { run: turn().run, event, notes: Vec::new(), history: Vec::new() };
    let outcome = agent.invoke(invocation).await.unwrap();
    assert_eq!(server.violations(), Vec::<String>::new());
    assert_eq!(outcome.reply, r#"it said {"path":"a"}"#);
    assert_eq!(outcome.turns, 2);
    assert!(outcome.usage.input_tokens > 0 && outcome.usage.output_tokens > 0);
    assert_eq!(server.hits(), 2);
}

#[tokio::test]
async fn the_server_tells_a_model_which_step_it_answers() {
    let scripted = ScriptedModel::from_yaml("rules:\n  - when: {step: judge}\n    say: verdict\n", "script").unwrap();
    let place = |_: &Value| Place { process: "p".into(), step: Some(StepId("judge".into())) };
    let server = OpenAiServer::with_model(Arc::new(scripted), place).await.unwrap();
    assert_eq!(ask(&server).await.unwrap(), "verdict");
}

#[tokio::test]
async fn a_rate_limit_is_waited_out_as_long_as_the_server_says() {
    let limited = RawReply::error(429, "rate_limit_exceeded", "slow down").header("retry-after", "1");
    let server = server([limited, RawReply::says("hello")]).await;
    let start = Instant::now();
    assert_eq!(ask(&server).await.unwrap(), "hello");
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.hits(), 2);
}

#[tokio::test]
async fn a_server_that_asks_for_an_hour_gets_no_more_than_the_cap() {
    let limited = RawReply::text(429, "text/html", "<h1>slow down</h1>").header("retry-after", "3600");
    let server = server([limited, RawReply::says("hello")]).await;
    let config = OpenAiConfig { max_retry_after: Duration::from_millis(10), ..config(&server) };
    assert_eq!(tokio::time::timeout(Duration::from_secs(60), ask_with(config)).await.unwrap().unwrap(), "hello");
}

#[tokio::test]
async fn passing_errors_are_tried_again_a_bounded_number_of_times() {
    let replies = || std::iter::repeat_n(RawReply::text(502, "text/html", "<h1>bad gateway</h1>").header("retry-after", "0"), 9);
    let server = server(replies()).await;
    let failure = ask(&server).await.unwrap_err();
    assert_eq!(server.hits(), 4);
    assert_eq!(failure.sent, Sent::Maybe);
    assert!(failure.message.contains("502") && failure.message.contains("(4 attempts)"), "{failure}");
    assert!(!failure.message.contains("<h1>"), "a body that is no error message is not quoted: {failure}");
}

#[tokio::test]
async fn what_no_retry_can_mend_is_asked_once_and_says_what_to_do() {
    let leak = format!("Incorrect API key provided: {KEY}");
    let cases = [
        (
            RawReply::error(400, "invalid", &leak),
            "refused the request to model 'test-model' (400): Incorrect API key provided: ***",
        ),
        (RawReply::error(401, "invalid_api_key", &leak), "(401): set OPENAI_API_KEY"),
        (RawReply::error(403, "no", "not you"), "(403): not you"),
        (
            RawReply::json(404, &json!({"error": "model 'x' not found, try pulling it first"})),
            "knows no model 'test-model' (404)",
        ),
        (RawReply::json(404, &json!({"error": "model 'x' not found, try pulling it first"})), "try pulling it first"),
        (RawReply::error(429, "insufficient_quota", "You exceeded your quota"), "no quota left"),
        (RawReply::json(400, &json!({"error": {"message": "odd", "code": 400}})), "(400): odd"),
        (RawReply::text(200, "text/html; charset=utf-8", "<h1>welcome</h1>"), "text/html, not JSON; is OPENAI_BASE_URL right?"),
        (RawReply::json(200, &json!({"hello": "world"})), "no message (choices[0].message)"),
        (RawReply::json(200, &json!([1, 2])), "does not speak OpenAI's protocol"),
        (RawReply::text(307, "text/plain", "").header("location", "http://127.0.0.1:1/"), "redirects (307)"),
        (RawReply::text(200, "application/json", vec![b' '; 9 << 20]), "longer than"),
    ];
    for (reply, expected) in cases {
        let server = server([reply, RawReply::says("a second question")]).await;
        let message = ask(&server).await.expect_err(expected).message;
        assert!(message.contains(expected), "expected {expected:?} in: {message}");
        assert!(!message.contains(KEY), "{message}");
        assert_eq!(server.hits(), 1, "{expected}");
    }
}

#[tokio::test]
async fn an_error_inside_a_good_status_counts_as_its_code() {
    let limited = RawReply::json(200, &json!({"error": {"message": "provider is busy", "code": 429}}));
    let server = server([limited, RawReply::says("hello")]).await;
    assert_eq!(ask(&server).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_after_the_timeout_and_asked_again() {
    let server = server([RawReply::hang(), RawReply::says("hello")]).await;
    let config = OpenAiConfig { timeout: Duration::from_secs(2), ..config(&server) };
    assert_eq!(ask_with(config).await.unwrap(), "hello");
    let hanging = self::server([RawReply::hang()]).await;
    let config = OpenAiConfig { timeout: Duration::from_millis(100), max_retries: 0, ..self::config(&hanging) };
    assert!(ask_with(config).await.unwrap_err().message.contains("no answer within 0.1 s"));
}

#[tokio::test]
async fn cancelling_the_run_ends_the_wait() {
    let server = server([RawReply::hang()]).await;
    let model = OpenAiModel::new(config(&server)).unwrap();
    let turn = turn();
    let cancel = turn.run.cancel().clone();
    let asked = tokio::spawn(async move { model.reply(&turn).await });
    while server.hits() == 0 {
        tokio::task::yield_now().await;
    }
    cancel.cancel();
    let failed = tokio::time::timeout(Duration::from_secs(30), asked).await.unwrap().unwrap().unwrap_err();
    assert!(failed.to_string().contains("cancelled"), "{failed}");
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_named_and_was_not_sent_to() {
    let config = OpenAiConfig { base_url: Some("http://127.0.0.1:1/v1".into()), max_retries: 1, ..OpenAiConfig::new("m") };
    let failure = ask_with(config).await.unwrap_err();
    assert_eq!(failure.sent, Sent::No);
    assert!(failure.message.contains("http://127.0.0.1:1/v1") && failure.message.contains("refused"), "{failure}");
}

#[tokio::test]
async fn odd_answers_of_real_servers_are_understood() {
    let odd = json!({
        "service_tier": "on_demand", "object": 7, "system_fingerprint": {"a": 1},
        "choices": [{"finish_reason": "eos", "logprobs": 3, "message": {
            "role": "model", "reasoning_content": "hm",
            "content": [{"type": "text", "text": "two "}, {"type": "image"}, {"type": "text", "text": "parts"}],
            "tool_calls": [
                {"type": "weird", "function": {"name": "a", "arguments": {"x": 1}}},
                {"id": "same", "function": {"name": "b", "arguments": "{\"y\": 2}"}},
                {"id": "same", "function": {"name": "c", "arguments": ""}},
                {"id": 5, "function": {"name": "d", "arguments": "{broken"}},
            ],
        }}],
        "usage": {"prompt_tokens": 11, "completion_tokens": null},
    });
    let server = server([RawReply::json(200, &odd)]).await;
    let reply = OpenAiModel::new(config(&server)).unwrap().reply(&turn()).await.unwrap();
    assert_eq!(reply.text, "two parts");
    let args: Vec<&Value> = reply.calls.iter().map(|call| &call.args).collect();
    assert_eq!(args, [&json!({"x": 1}), &json!({"y": 2}), &json!({}), &json!("{broken")]);
    let ids: std::collections::BTreeSet<&str> = reply.calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!(ids.len(), 4, "every call has an id of its own: {ids:?}");
    assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens), (11, 0));
}

#[tokio::test]
async fn arguments_that_are_nested_too_deep_stay_a_text_and_are_no_call() {
    let nested = |levels| (1..levels).fold(json!({}), |inner, _| json!({"a": inner}));
    let call = |args: Value| json!({"type": "function", "function": {"name": "a", "arguments": args}});
    let calls = [call(json!(nested(64).to_string())), call(json!(nested(65).to_string())), call(nested(65))];
    let deep = json!({"choices": [{"message": {"role": "assistant", "content": null, "tool_calls": calls}}]});
    let server = server([RawReply::json(200, &deep)]).await;
    let reply = OpenAiModel::new(config(&server)).unwrap().reply(&turn()).await.unwrap();
    let args: Vec<&Value> = reply.calls.iter().map(|call| &call.args).collect();
    assert_eq!(args, [&nested(64), &json!(nested(65).to_string()), &json!(nested(65).to_string())]);
}

#[tokio::test]
async fn of_a_reply_that_wants_10_000_calls_64_are_kept_and_the_others_counted() {
    let call = |index| json!({"id": format!("call_{index}"), "type": "function", "function": {"name": "a", "arguments": "{}"}});
    let calls: Vec<Value> = (0..10_000).map(call).collect();
    let many = json!({"choices": [{"message": {"role": "assistant", "content": null, "tool_calls": calls}}]});
    let server = server([RawReply::json(200, &many)]).await;
    let reply = OpenAiModel::new(config(&server)).unwrap().reply(&turn()).await.unwrap();
    assert_eq!((reply.calls.len(), reply.calls_beyond), (64, 9_936));
    assert_eq!(reply.calls[63].id, "call_63");
}

#[tokio::test]
async fn a_reply_with_neither_text_nor_calls_is_an_empty_reply() {
    let empty = json!({"choices": [{"message": {"role": "assistant", "content": null}}]});
    let server = server([RawReply::json(200, &empty)]).await;
    assert_eq!(ask(&server).await.unwrap(), "");
}

#[tokio::test]
async fn without_a_key_no_authorization_is_sent_and_a_refusal_says_how_to_set_one() {
    let server = server([RawReply::says("hello")]).await;
    let config = || OpenAiConfig { api_key: None, ..config(&server) };
    assert!(ask_with(config()).await.unwrap_err().message.contains("wants an API key (401): set OPENAI_API_KEY"));
    server.allow_anonymous();
    assert_eq!(ask_with(config()).await.unwrap(), "hello");
}

#[test]
fn a_configuration_that_cannot_work_is_refused_before_anything_is_sent() {
    let with_url = |url: &str| OpenAiConfig { base_url: Some(url.into()), ..OpenAiConfig::new("m") };
    for url in ["localhost:8080", "ftp://host/", "", "http://user:pass@host/v1", "http://host/v1?key=1"] {
        assert!(matches!(OpenAiModel::new(with_url(url)), Err(Error::BaseUrl(_))), "{url}");
    }
    let config = OpenAiConfig { api_key: Some(ApiKey::new("two words\n")), ..OpenAiConfig::new("m") };
    let error = OpenAiModel::new(config).unwrap_err();
    assert_eq!(error, Error::ApiKey);
    assert!(!error.to_string().contains("two words"));
}

#[test]
fn a_key_never_shows_itself() {
    let config = OpenAiConfig { api_key: Some(ApiKey::new(KEY)), ..OpenAiConfig::new("m") };
    let shown = format!("{config:?} {:?}", OpenAiModel::new(config.clone()).unwrap());
    assert!(shown.contains("ApiKey(***)") && !shown.contains(KEY), "{shown}");
}

#[tokio::test]
async fn the_server_refuses_and_remembers_what_the_protocol_does_not_allow() {
    let server = server([RawReply::says("a good request comes last")]).await;
    let user = json!({"role": "user", "content": "hi"});
    let call = json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "t", "arguments": "{}"}}]});
    let tool =
        |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}});
    let request = |messages: Value| json!({"model": "m", "messages": messages});
    let mut with_tools = request(json!([user]));
    with_tools["tools"] = json!([tool("a:b")]);
    let mut twice = request(json!([user]));
    twice["tools"] = json!([tool("a"), tool("a")]);
    let mut unknown = request(json!([user]));
    unknown["modle"] = json!("m");
    let cases = [
        (json!({"messages": [user]}), "model is no string"),
        (request(json!([])), "messages is no list"),
        (request(json!([{"role": "robot", "content": "hi"}])), "the role 'robot' is unknown"),
        (request(json!([user, call])), "tool calls are not answered"),
        (request(json!([user, call, user])), "tool calls are not answered"),
        (request(json!([{"role": "tool", "tool_call_id": "1", "content": "x"}])), "answers no open call"),
        (unknown, "unknown field 'modle'"),
        (with_tools, "'a:b' does not match"),
        (twice, "two tools are named 'a'"),
    ];
    OpenAiModel::new(config(&server)).expect("a first model installs the TLS provider");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = async |body: &Value| {
        let url = format!("{}/chat/completions", server.base_url());
        http.post(url).bearer_auth("k").json(body).send().await.unwrap().status().as_u16()
    };
    for (request, expected) in &cases {
        assert_eq!(post(request).await, 400, "{expected}");
        let violation = server.violations().pop().unwrap();
        assert!(violation.contains(expected), "expected {expected:?} in: {violation}");
    }
    assert_eq!(post(&request(json!([user]))).await, 200);
    assert_eq!(server.violations().len(), cases.len());
}
