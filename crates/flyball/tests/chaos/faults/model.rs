//! F40: a model endpoint that refuses, fails, breaks off, or says nothing. F41: a model that wants nonsense.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flyball::core_agent::openai::{OpenAiConfig, OpenAiModel};
use flyball::core_agent::{Clock, SystemClock};
use flyball::governance::BudgetConfig;
use flyball::journal::MemoryStorage;
use flyball::runtime::{AgentRuntime, Control, ProcessSpec, ProcessStatus, RuntimeParts};
use serde_json::{Value, json};

use crate::memory::{Outside, Plan as Parts, block_on, event, resume};
use crate::tally::{Plan, Tally};

/// What the endpoint does, request after request; the last one is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Status(u16),
    /// Half an answer, then the end of the connection.
    Cut,
    Silent,
    NoJson,
    /// An answer of this many megabytes.
    Huge(usize),
    /// A call whose arguments are no JSON.
    BadArguments,
    UnknownTool,
    /// So many calls in one answer.
    Calls(usize),
    Say,
}

/// One behaviour, and how a run must end under it.
struct Case {
    acts: Vec<Act>,
    ends_well: bool,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.acts)
    }
}

/// One turn makes so many attempts beyond the first.
const RETRIES: u32 = 2;

/// A run may make so many calls.
const CALLS: u64 = 50;

fn case(acts: &[Act], ends_well: bool) -> Case {
    Case { acts: acts.to_vec(), ends_well }
}

/// What an endpoint does.
fn of_the_endpoint() -> Vec<Case> {
    vec![
        case(&[Act::Status(429)], false),
        case(&[Act::Status(429), Act::Say], true),
        case(&[Act::Status(500)], false),
        case(&[Act::Status(500), Act::Status(503), Act::Say], true),
        case(&[Act::Status(400)], false),
        case(&[Act::Cut], false),
        case(&[Act::Cut, Act::Say], true),
        case(&[Act::Silent], false),
        case(&[Act::Silent, Act::Say], true),
        case(&[Act::NoJson], false),
        case(&[Act::Huge(64)], false),
    ]
}

/// What a model wants.
fn of_the_model() -> Vec<Case> {
    vec![
        case(&[Act::BadArguments, Act::Say], true),
        case(&[Act::UnknownTool, Act::Say], true),
        case(&[Act::Calls(10_000), Act::Say], true),
        case(&[Act::UnknownTool], false),
    ]
}

pub fn endpoint(plan: &Plan, tally: &Tally) {
    tally.part("a model endpoint answers 429 or 500, cuts its answer, is silent, sends no JSON, or 64 MiB");
    misbehaves(plan, tally, of_the_endpoint);
}

pub fn wishes(plan: &Plan, tally: &Tally) {
    tally.part("a model wants a call with bad arguments, an unknown tool once or for ever, or 10,000 calls at once");
    misbehaves(plan, tally, of_the_model);
}

fn misbehaves(plan: &Plan, tally: &Tally, cases: fn() -> Vec<Case>) {
    let cases: Vec<Case> = (0..plan.count(1, 3)).flat_map(|_| cases()).collect();
    let slowest = AtomicU64::new(0);
    // One at a time: the neighbour's latency is measured.
    for case in &cases {
        tally.trial(case, || {
            let neighbour = block_on(judge(case))?;
            slowest.fetch_max(u64::try_from(neighbour.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
            if !plan.quick && neighbour > Duration::from_millis(250) {
                return Err(format!("a healthy neighbour's event took {neighbour:?} (P16)"));
            }
            Ok(())
        });
    }
    tally.note(format!(
        "a healthy neighbour's slowest event took {} ms from its offer to its end",
        slowest.load(Ordering::Relaxed)
    ));
}

/// Judges one behaviour; gives the neighbour's slowest event.
async fn judge(case: &Case) -> Result<Duration, String> {
    let endpoint = Endpoint::start(case.acts.clone());
    let (disk, outside) = (MemoryStorage::default(), Outside::new());
    let (log, recovery) = resume(&disk, 1 << 20).map_err(|error| error.to_string())?;
    let runtime = AgentRuntime::new(RuntimeParts::new((Arc::clone(&log), recovery).into()));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut sick = Parts::new(&outside, Arc::clone(&clock));
    sick.model = Arc::new(endpoint.model()?);
    sick.budget = BudgetConfig { max_tool_calls_per_run: Some(CALLS), ..sick.budget };
    runtime.add_process(ProcessSpec::new("sick"), Arc::new(sick)).map_err(|error| error.to_string())?;
    runtime
        .add_process(ProcessSpec::new("well"), Arc::new(Parts::new(&Outside::new(), clock)))
        .map_err(|error| error.to_string())?;
    if let Some((name, error)) = runtime.start_all().await.first() {
        return Err(format!("{name} does not start: {error}"));
    }
    let begun = Instant::now();
    runtime.inject("sick", event("one", "put")).await.map_err(|error| error.to_string())?;
    let mut slowest = Duration::ZERO;
    let mut others = 0;
    // The neighbour works all the while.
    loop {
        let asked = Instant::now();
        runtime.inject("well", event(&format!("n{others}"), "say")).await.map_err(|error| format!("the neighbour: {error}"))?;
        others += 1;
        until(&runtime, "well", |status| status.events.completed == others).await?;
        slowest = slowest.max(asked.elapsed());
        let status = runtime.process_status("sick").await.map_err(|error| error.to_string())?;
        if status.events.ended() == 1 && others >= 10 {
            break;
        }
        if begun.elapsed() > Duration::from_secs(40) {
            return Err(format!("the run does not end: {status:?}"));
        }
    }
    let status = runtime.process_status("sick").await.map_err(|error| error.to_string())?;
    if case.ends_well != (status.events.completed == 1) {
        return Err(format!("it ended otherwise than it should: {:?}", status.events));
    }
    bounded(&endpoint, &status, &outside)?;
    runtime.shutdown().await;
    Ok(slowest)
}

/// Retries are bounded, and so are calls; what was called was counted.
fn bounded(endpoint: &Endpoint, status: &ProcessStatus, outside: &Outside) -> Result<(), String> {
    // `max_turns` is ten; the most that can be asked for.
    let (hits, most) = (endpoint.hits.load(Ordering::Relaxed), u64::from(10 * (1 + RETRIES)));
    if hits > most {
        return Err(format!("the endpoint was asked {hits} times, and {most} is the most that may be (P16)"));
    }
    let arrived = outside.calls().len() as u64;
    let counted = status.layers["budget"]["used"]["tool_calls_day"].as_u64().unwrap_or(0);
    if arrived > CALLS || counted < arrived {
        return Err(format!("{arrived} calls arrived, {CALLS} are allowed, and {counted} are counted (P8)"));
    }
    Ok(())
}

async fn until(runtime: &AgentRuntime, process: &str, wanted: impl Fn(&ProcessStatus) -> bool) -> Result<(), String> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let status = runtime.process_status(process).await.map_err(|error| error.to_string())?;
        if wanted(&status) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("{process} does not get on: {status:?}"));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The endpoint, on a thread of its own.
struct Endpoint {
    address: SocketAddr,
    hits: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Endpoint {
    fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let (hits, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, ended) = (Arc::clone(&hits), Arc::clone(&over));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let (acts, counted, ended) = (acts.clone(), Arc::clone(&counted), Arc::clone(&ended));
                std::thread::spawn(move || serve(stream, &acts, &counted, &ended));
            }
        });
        Self { address, hits, over }
    }

    fn model(&self) -> Result<OpenAiModel, String> {
        let mut config = OpenAiConfig::new("suite");
        config.base_url = Some(format!("http://{}/v1", self.address));
        config.timeout = Duration::from_millis(600);
        config.max_retries = RETRIES;
        config.max_retry_after = Duration::from_millis(500);
        OpenAiModel::new(config).map_err(|error| error.to_string())
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the one that waits for connections.
        let _ = TcpStream::connect(self.address);
    }
}

/// Answers one request; the client makes a connection for the next.
fn serve(mut stream: TcpStream, acts: &[Act], hits: &AtomicU64, over: &AtomicBool) {
    if request(&mut stream).is_none() {
        return;
    }
    let number = hits.fetch_add(1, Ordering::Relaxed) as usize;
    let act = acts[number.min(acts.len() - 1)];
    // Whoever hung up meanwhile wants no answer.
    let _ = match act {
        Act::Status(status) => {
            let more = if status == 429 { "Retry-After: 0\r\n" } else { "" };
            say(&mut stream, status, more, &json!({"error": {"message": "no", "type": "no", "code": "no"}}).to_string())
        }
        Act::Cut => stream.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"object\": \"chat.comp",
        ),
        Act::Silent => {
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        }
        Act::NoJson => say(&mut stream, 200, "", "<html>it works</html>"),
        Act::Huge(megabytes) => say(&mut stream, 200, "", &reply("x".repeat(megabytes << 20).as_str(), &[])),
        Act::BadArguments => say(&mut stream, 200, "", &reply("", &[("put".to_owned(), "{not json".to_owned())])),
        Act::UnknownTool => say(&mut stream, 200, "", &reply("", &[("no_such_tool".to_owned(), "{}".to_owned())])),
        Act::Calls(count) => {
            let calls: Vec<_> = (0..count).map(|number| ("put".to_owned(), json!({"n": number}).to_string())).collect();
            say(&mut stream, 200, "", &reply("", &calls))
        }
        Act::Say => say(&mut stream, 200, "", &reply("all is well now", &[])),
    };
}

/// Reads a whole request.
fn request(stream: &mut TcpStream) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let headers: BTreeMap<String, String> = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect();
            let length: usize = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return Some(());
            }
        }
    }
}

fn say(stream: &mut TcpStream, status: u16, more: &str, body: &str) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n{more}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

fn reply(text: &str, calls: &[(String, String)]) -> String {
    let wire = |(number, (name, arguments)): (usize, &(String, String))| json!({"id": format!("c{number}"), "type": "function", "function": {"name": name, "arguments": arguments}});
    let mut message = json!({"role": "assistant", "content": text});
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls.iter().enumerate().map(wire).collect());
    }
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    json!({"object": "chat.completion", "choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}).to_string()
}
