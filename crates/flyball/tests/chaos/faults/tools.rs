//! F42: a tool server, a child of the real program, that hangs, exits, or says nonsense. F43: one whose tools change.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::kill::{LIMIT, tail};
use crate::binary::eventually;
use crate::real::{Node, Options, Outside, Running, Sender, post};
use crate::tally::{Plan, Tally};
use crate::world::stdio::CALLS;

/// How the server behaves when its tool is called, and what must come of it.
struct Case {
    behaviour: &'static str,
    effect: Option<&'static str>,
    /// The tool that is called after `act`.
    then: &'static str,
    /// So many calls arrive.
    calls: usize,
    held: bool,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = self.effect.unwrap_or("undeclared");
        write!(f, "it {}, the tool is {effect}, then {} is called", self.behaviour, self.then)
    }
}

/// While the server sends a line of a gibibyte, flyball itself stays below this, in KiB.
const MEMORY: u64 = 300 * 1024;

fn cases() -> Vec<Case> {
    let case = |behaviour, effect, calls, held| Case { behaviour, effect, then: "act_no_more", calls, held };
    let irreversible = |behaviour| case(behaviour, None, 1, true);
    let repeated = |behaviour| case(behaviour, Some("idempotent"), 3, false);
    vec![
        irreversible("hang"),
        irreversible("exit"),
        irreversible("garbage"),
        irreversible("huge"),
        irreversible("wrong-id"),
        repeated("hang"),
        repeated("exit"),
        case("exit,once", Some("idempotent"), 2, false),
    ]
}

/// Its answer comes after the news that its tools are others: the tool is no more, and there is another; or it is
/// one that only looked, and now changes what cannot be undone, and hangs.
fn changing() -> Vec<Case> {
    let effects = [None, Some("read"), Some("idempotent"), Some("irreversible")];
    let another = effects.map(|effect| Case { behaviour: "changes", effect, then: "another", calls: 2, held: false });
    let gone = effects.map(|effect| Case { behaviour: "changes", effect, then: "act", calls: 1, held: false });
    let worse = Case { behaviour: "worsens", effect: None, then: "act", calls: 2, held: true };
    another.into_iter().chain(gone).chain([worse]).collect()
}

pub fn misbehave(plan: &Plan, tally: &Tally) {
    tally.part("a tool server hangs, exits mid-call, prints garbage or a line of a gibibyte, or answers a wrong id");
    each(plan, tally, cases);
}

pub fn change(plan: &Plan, tally: &Tally) {
    tally.part("a tool server says in the middle of a run that its tools are others");
    each(plan, tally, changing);
}

fn each(plan: &Plan, tally: &Tally, cases: fn() -> Vec<Case>) {
    let outside = Outside::start();
    let cases: Vec<Case> = (0..plan.count(1, 3)).flat_map(|_| cases()).collect();
    tally.each(3, &cases, |case| judge(&outside, case));
}

fn judge(outside: &Outside, case: &Case) -> Result<(), String> {
    let node = Node::new(outside, &Options::default());
    let calls = node.dir.join("calls");
    node.write("worker.agent", &manifest(&node, case, &calls.display().to_string()));
    node.write("script.yaml", &SCRIPT.replace("THEN", case.then));
    let mut running = node.start();
    if !running.ready(LIMIT) {
        return Err(format!("it does not come up: {}", tail(&node.said())));
    }
    let mut sender = Sender::new("m");
    sender.send(node.hook(), "act", 0);
    let at_rest = |running: &Running| {
        let status = running.status()?;
        let worker = &status["worker"];
        let held = worker["held_runs"].as_object().is_some_and(|held| !held.is_empty());
        // Between its yes and the beginning of its run an event waits, and nothing is on.
        let handled = worker["open_events"] == 0 || held;
        (worker["active_runs"] == 0 && worker["events"]["accepted"] == 1 && handled).then(|| worker.clone())
    };
    // Whoever is not concerned is answered all the while.
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    let status = eventually(Duration::from_secs(60), || {
        let asked = Instant::now();
        let _ = post(node.hook(), "/health", &[], "", Duration::from_secs(5));
        slowest = slowest.max(asked.elapsed());
        at_rest(&running)
    });
    let status = status.ok_or_else(|| format!("the run does not end within {:?}", begun.elapsed()))?;
    let peak = peak_memory(running.pid());
    let arrived = fs::read_to_string(&calls).unwrap_or_default().lines().count();
    let held = status["held_runs"].as_object().is_some_and(|held| held.len() == 1);
    if arrived != case.calls {
        return Err(format!("the call arrived {arrived} times and not {} (P6)", case.calls));
    }
    if held != case.held || (!held && status["events"]["completed"] != 1) {
        return Err(format!("held: {held}, and it ended otherwise than it should: {status} (P6, P16)"));
    }
    if peak > MEMORY {
        return Err(format!("it took {peak} KiB of memory (P16)"));
    }
    if slowest > Duration::from_secs(2) {
        return Err(format!("others waited {slowest:?} meanwhile (P16)"));
    }
    running.signal("TERM");
    running.wait(LIMIT).ok_or("it does not end")?;
    let doubts: Value = serde_json::from_str(&node.ask(&["indoubt", "-o", "json"]).stdout).map_err(|error| error.to_string())?;
    if doubts.as_array().map_or(0, Vec::len) != usize::from(case.held) {
        return Err(format!("these are in doubt: {doubts} (P6)"));
    }
    let said = node.said();
    if said.contains("panicked") { Err(format!("it panicked: {}", tail(&said))) } else { Ok(()) }
}

/// One call, and one more.
const SCRIPT: &str = r#"
rules:
  - {when: {process: listener}, say: heard}
  - {when: {step: t0}, call: [{tool: act}]}
  - {when: {step: t1}, call: [{tool: THEN}]}
  - {say: done}
"#;

fn manifest(node: &Node, case: &Case, calls: &str) -> String {
    let this = std::env::current_exe().expect("this program has a file");
    let tools = case.effect.map(|effect| format!("tools:\n  act: {{effect: {effect}}}\n")).unwrap_or_default();
    format!(
        r#"version: "1.0"
name: worker
model: scripted:script.yaml
servers:
  local:
    command: "{}"
    args: [--server, "{}"]
    env: {{{CALLS}: "{calls}"}}
    call_timeout: 2
    trusted: true
triggers:
  - {{type: webhook, webhook_port: {}, webhook_path: /hook}}
{tools}"#,
        this.display(),
        case.behaviour,
        node.hook().port(),
    )
}

/// The most memory that a process ever had, in KiB.
fn peak_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
