//! A node: a folder with manifests and data, and `flyball run` on it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Outside, SCRIPT, post};
use crate::binary::{Ended, LONG, eventually, finish};
use crate::world::{self, Arrival};

/// A folder for one scenario.
pub struct Node {
    /// The scene's folder: ledger, data, manifests, what was printed.
    pub dir: PathBuf,
    pub name: String,
    port: u16,
    env: Vec<(String, String)>,
}

/// How a node is made.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Asks the model behind the OpenAI protocol, and not the script itself.
    pub model_over_http: bool,
    /// Put into the worker's manifest.
    pub more: String,
    /// Triggers of the worker besides its webhook.
    pub triggers: String,
}

/// `flyball run`, under way.
pub struct Running {
    child: Child,
    /// The child is a program that runs flyball in its turn.
    wrapped: bool,
    hook: SocketAddr,
    data: PathBuf,
}

impl Node {
    /// A fresh one in the world's folder.
    pub fn new(outside: &Outside, options: &Options) -> Self {
        static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let name = format!("s{}", NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let node = Self {
            dir: outside.dir().join(&name),
            port: free_port(),
            env: vec![
                ("CHAOS_CANARY".into(), world::CANARY.into()),
                ("OPENAI_BASE_URL".into(), outside.model.clone()),
                ("CHAOS_MODEL".into(), if options.model_over_http { "openai:suite" } else { "scripted:script.yaml" }.into()),
            ],
            name,
        };
        fs::create_dir_all(node.manifests()).expect("a folder can be made");
        node.write("script.yaml", SCRIPT);
        node.write("worker.agent", &node.worker(outside, options));
        node.write("listener.agent", &node.listener());
        node
    }

    fn worker(&self, outside: &Outside, options: &Options) -> String {
        let (name, port, tools) = (&self.name, self.port, &outside.tools);
        let Options { more, triggers, .. } = options;
        format!(
            r#"version: "1.0"
name: worker
model: "${{CHAOS_MODEL}}"
instructions: "You are the worker. scene: {name} process: worker"
servers:
  world: {{url: "http://{tools}/mcp/{name}", call_timeout: 10}}
triggers:
  - {{type: webhook, webhook_port: {port}, webhook_path: /hook}}
{triggers}
tools:
  look: {{effect: read}}
  put: {{effect: idempotent}}
  act_checked: {{effect: irreversible, reconcile: reconcile}}
  reconcile: {{effect: read}}
secrets: {{enabled: true, secrets: {{canary: "${{CHAOS_CANARY}}"}}}}
budget: {{enabled: true, max_tool_calls_per_day: 1000000}}
context: {{conversation_history: false}}
{more}
"#
        )
    }

    fn listener(&self) -> String {
        format!(
            r#"version: "1.0"
name: listener
model: "${{CHAOS_MODEL}}"
instructions: "You are the listener. scene: {} process: listener"
triggers:
  - {{type: event, event_type: work.done}}
context: {{conversation_history: false}}
"#,
            self.name
        )
    }

    pub fn manifests(&self) -> PathBuf {
        self.dir.join("agents")
    }

    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub fn journal(&self) -> PathBuf {
        self.data().join("journal")
    }

    /// Where its webhook listens.
    pub fn hook(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Writes a file beside the manifests.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.manifests().join(name), text).expect("a file can be written");
    }

    /// Copies the scene to where somebody can look at it, if somebody wants to (`CHAOS_KEEP`).
    pub fn keep(&self) {
        if let Some(kept) = std::env::var_os("CHAOS_KEEP") {
            let _ = fs::create_dir_all(&kept);
            let _ = Command::new("cp").arg("-a").arg(&self.dir).arg(kept).status();
        }
    }

    /// The calls that arrived in this scene.
    pub fn ledger(&self) -> Vec<Arrival> {
        world::read(&self.dir)
    }

    /// All that it printed so far.
    pub fn said(&self) -> String {
        ["stdout", "stderr"]
            .map(|name| String::from_utf8_lossy(&fs::read(self.dir.join(name)).unwrap_or_default()).into_owned())
            .concat()
    }

    pub fn flyball(&self, args: &[&str]) -> Command {
        self.wrapped(&[], args)
    }

    /// The program under other ones, such as strace.
    fn wrapped(&self, wrapper: &[String], args: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_flyball");
        let mut command = match wrapper.split_first() {
            None => Command::new(program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        let kept = ["PATH", "HOME", "TMPDIR", "RUST_BACKTRACE"];
        command.env_clear().envs(kept.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.envs(self.env.iter().map(|(name, value)| (name, value))).args(args).current_dir(&self.dir);
        command
    }

    /// `flyball run`.
    pub fn start(&self) -> Running {
        self.start_under(&[])
    }

    pub fn start_under(&self, wrapper: &[String]) -> Running {
        let open = |name: &str| File::options().create(true).append(true).open(self.dir.join(name)).expect("output can be kept");
        let mut command = self.wrapped(wrapper, &["run", "agents", "--data", "data", "--listen", "127.0.0.1:0", "-o", "json"]);
        let child = command.stdin(Stdio::null()).stdout(open("stdout")).stderr(open("stderr")).spawn().expect("it starts");
        // Whoever was here before says no more where it listens.
        Running { child, wrapped: !wrapper.is_empty(), hook: self.hook(), data: self.data() }
    }

    /// A command on the node's data, to its end.
    pub fn ask(&self, args: &[&str]) -> Ended {
        finish(self.flyball(&["--data", "data"]).args(args), LONG)
    }
}

impl Running {
    /// The process of flyball itself.
    pub fn pid(&self) -> u32 {
        let child = self.child.id();
        if !self.wrapped {
            return child;
        }
        let children = fs::read_to_string(format!("/proc/{child}/task/{child}/children")).unwrap_or_default();
        children.split_whitespace().next().and_then(|pid| pid.parse().ok()).unwrap_or(child)
    }

    /// Waits until the webhook answers. False if the program ended, or did not get so far in time.
    pub fn ready(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            let answered = post(self.hook, "/health", &[], "", Duration::from_secs(1));
            if answered.is_ok_and(|answer| answer.body["trigger_id"].is_string() || answer.body["trigger_ids"].is_array()) {
                return true;
            }
            if Instant::now() > deadline || self.ended().is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Its exit code, or 128 and the signal, once it has ended.
    pub fn ended(&mut self) -> Option<i32> {
        let status = self.child.try_wait().expect("a child can be asked")?;
        status.code().or_else(|| Some(128 + status.signal()?))
    }

    /// Kills it as the kernel would.
    pub fn kill9(&mut self) {
        if self.wrapped && self.ended().is_none() {
            // Who traces it ends with it; the other way round it would live on.
            signal(self.pid(), "KILL");
            if self.wait(LONG).is_some() {
                return;
            }
        }
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Makes it stand still. A signal is only on its way when it is sent, and on a machine with much to do all sorts
    /// of things happen before it arrives.
    pub fn freeze(&self) -> Result<(), String> {
        self.signal("STOP");
        let still = eventually(LONG, || stands_still(self.pid()).then_some(()));
        still.ok_or_else(|| "told to stand still, it did not".to_owned())
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> Option<i32> {
        eventually(limit, || self.ended())
    }

    /// Asks it to end, which it does in order and soon.
    pub fn end(mut self) -> Result<(), String> {
        self.signal("TERM");
        match self.wait(Duration::from_secs(30)) {
            Some(0) => Ok(()),
            ended => Err(format!("asked to end, it ended with {ended:?}")),
        }
    }

    /// Where its API listens.
    pub fn api(&self) -> Option<SocketAddr> {
        let text = fs::read(self.data.join("instance.json")).ok()?;
        let instance: Value = serde_json::from_slice(&text).ok()?;
        instance["address"].as_str()?.parse().ok()
    }

    /// What its API says of all processes.
    pub fn status(&self) -> Option<Value> {
        Some(post(self.api()?, "/status", &[], "", Duration::from_secs(5)).ok()?.body["processes"].clone())
    }

    /// Waits until nothing is left to do: whatever is open is held. The error says what is.
    pub fn quiet(&mut self, limit: Duration) -> Result<(), String> {
        let at_rest = |process: &Value| {
            let held = process["held_runs"].as_object().map_or(0, serde_json::Map::len) as u64;
            let over = ["stopped", "failed"].iter().any(|state| process["state"] == *state);
            over || (process["active_runs"] == 0 && process["open_events"] == held && process["started_at"].is_string())
        };
        let mut last = None;
        let mut calm = 0;
        let found = eventually(limit, || {
            last = self.status();
            let rests = last.as_ref().and_then(Value::as_object).is_some_and(|all| !all.is_empty() && all.values().all(at_rest));
            // Twice in a row: what one process says to another may be on its way.
            calm = if rests { calm + 1 } else { 0 };
            (calm > 1).then_some(())
        });
        found.ok_or_else(|| format!("it does not come to rest: {last:?}, ended with {:?}", self.ended()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// Sends a signal to a process that is ours.
pub fn signal(pid: u32, name: &str) {
    let _ = Command::new("kill").args([format!("-{name}"), pid.to_string()]).stderr(Stdio::null()).status();
}

/// No thread of it comes to any code of its own: one has stopped, so all must, and the others have too or wait for
/// the disk.
fn stands_still(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    let state = |path: PathBuf| fs::read_to_string(path.join("stat")).ok()?.rsplit_once(") ")?.1.chars().next();
    let states: Vec<_> = threads.filter_map(|thread| state(thread.ok()?.path())).collect();
    states.contains(&'T') && states.iter().all(|state| ['T', 'D'].contains(state))
}

/// A port where nobody listens.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}

/// All bytes under a folder that hold `needle`, by their files.
pub fn holding(dir: &Path, needle: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths
        .flat_map(|path| {
            if path.is_dir() {
                return holding(&path, needle);
            }
            let bytes = fs::read(&path).unwrap_or_default();
            let found = bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
            if found { vec![path] } else { Vec::new() }
        })
        .collect()
}
