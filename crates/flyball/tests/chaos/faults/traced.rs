//! F02, and the real halves of F08 and F09: what the kernel answers flyball, counted and changed by strace.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;

use super::kill::{LIMIT, Seen, rest_and_judge, tail};
use crate::real::{Node, Options, Outside, Sender, can_trace, traced};
use crate::tally::{Plan, Tally};

/// They wait for strace more than they compute.
const AT_A_TIME: usize = 3;

/// What changes a journal.
const CALLS: &str = "pwrite64,fdatasync,fsync,rename,unlink,ftruncate";

/// What is done to the n-th call of one kind.
struct Blow {
    call: &'static str,
    what: &'static str,
    when: String,
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:when={}", self.call, self.what, self.when)
    }
}

pub fn killed_at_a_call(plan: &Plan, tally: &Tally) {
    if let Err(why) = can_trace() {
        return tally.skip(why);
    }
    let outside = Outside::start();
    let seen = Seen::default();
    tally.part("every intent is synced before its call's first byte leaves, by the order of the system calls (P5)");
    for _ in 0..plan.count(1, 5) {
        tally.trial("undisturbed", || intents_come_first(&outside));
    }
    tally.part("SIGKILL at the n-th write, sync, rename, unlink or truncation, every n");
    let mut blows = Vec::new();
    for (call, count) in counted(&outside) {
        blows.extend((1..=count).map(|n| Blow { call, what: "signal=SIGKILL", when: n.to_string() }));
    }
    let all = blows.len();
    let blows = plan.sample(blows, 8);
    tally.each(AT_A_TIME, &blows, |blow| struck(&outside, blow, &seen).map(drop));
    tally.note(format!("{} of {all} calls of one scenario", blows.len()));
    seen.note(tally);
}

/// What fails, how, and whether for ever.
type Kind = (&'static str, &'static str, &'static str);

/// Of the journal's files and of their folder.
pub fn failing_syncs(plan: &Plan, tally: &Tally) {
    let kinds = [
        ("fdatasync", "error=EIO", ""),
        ("fdatasync", "error=EIO", "+"),
        ("fsync", "error=EIO", ""),
        ("fsync", "error=EIO", "+"),
        // Not as a write that finds no room: nobody knows what the disk holds.
        ("fdatasync", "error=ENOSPC", ""),
        ("fsync", "error=ENOSPC", ""),
        ("fdatasync", "error=EINTR", ""),
    ];
    failing_calls(plan, tally, &kinds);
}

pub fn failing_writes(plan: &Plan, tally: &Tally) {
    let kinds = [
        ("pwrite64", "error=EIO", ""),
        ("pwrite64", "error=EIO", "+"),
        ("pwrite64", "error=EINTR", ""),
        ("pwrite64", "error=ENOSPC", ""),
    ];
    failing_calls(plan, tally, &kinds);
}

fn failing_calls(plan: &Plan, tally: &Tally, kinds: &[Kind]) {
    if let Err(why) = can_trace() {
        return tally.skip(why);
    }
    let outside = Outside::start();
    let seen = Seen::default();
    let counts: BTreeMap<&str, u64> = counted(&outside).into_iter().collect();
    for &(call, what, ever) in kinds {
        tally.part(format!(
            "{call} of the real program: {what} at the n-th{}",
            if ever.is_empty() { "" } else { " and all after it" }
        ));
        let count = counts.get(call).copied().unwrap_or(0);
        let blows = (1..=count).map(|n| Blow { call, what, when: format!("{n}{ever}") });
        tally.each(AT_A_TIME, &plan.sample(blows.collect(), 3), |blow| {
            let refused = struck(&outside, blow, &seen)?;
            match (what, refused) {
                ("error=EINTR", Some(refused)) => Err(format!("an interrupted call is no failure: {refused}")),
                _ => Ok(()),
            }
        });
    }
    seen.note(tally);
}

/// How many calls of each kind one thread makes in the scenario.
fn counted(outside: &Outside) -> Vec<(&'static str, u64)> {
    let node = Node::new(outside, &Options::default());
    let log = node.dir.join("calls");
    let mut running = node.start_under(&traced(CALLS, &log.display().to_string(), &[]));
    assert!(running.ready(LIMIT), "it does not come up under strace: {}", tail(&node.said()));
    send(&node);
    running.quiet(LIMIT).expect("it comes to rest");
    running.signal("TERM");
    running.wait(LIMIT);
    let text = fs::read_to_string(log).expect("strace wrote down what it saw");
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if let (Some(thread), Some(call)) = (words.next(), words.next().and_then(|word| word.split('(').next())) {
            *counts.entry((call, thread)).or_default() += 1;
        }
    }
    let most = |call: &'static str| {
        let of_call = counts.iter().filter(|((name, _), _)| *name == call).map(|(_, count)| *count);
        (call, of_call.max().unwrap_or(0))
    };
    CALLS.split(',').map(most).filter(|(_, count)| *count > 0).collect()
}

fn send(node: &Node) -> Sender {
    let mut sender = Sender::new("t");
    for what in ["all", "check"] {
        // One that is refused is sent again in the next life.
        for _ in 0..3 {
            if sender.send(node.hook(), what, 0) {
                break;
            }
        }
    }
    sender
}

/// The scenario under this blow, and the lives after it. Says what was refused in the first one.
fn struck(outside: &Outside, blow: &Blow, seen: &Seen) -> Result<Option<String>, String> {
    let node = Node::new(outside, &Options::default());
    let inject = format!("inject={blow}");
    let mut running = node.start_under(&traced(CALLS, "/dev/null", &["-e", &inject]));
    let mut sender = Sender::new("t");
    if running.ready(LIMIT) {
        sender = send(&node);
        // It may be dead, have failed, or come to rest; all of that is allowed.
        let _ = running.quiet(std::time::Duration::from_secs(5));
    }
    running.signal("TERM");
    running.wait(LIMIT);
    running.kill9();
    let said = sender.promises();
    let refused = said.refused.first().map(|(status, body)| format!("{status} {body}"));
    if let Some((status, body)) = said.refused.iter().find(|(status, _)| ![429, 503, 507].contains(status)) {
        return Err(format!("a webhook was answered with {status}: {body} (P1, P11)"));
    }
    let of_a_sync = blow.call.ends_with("sync") && blow.what == "error=ENOSPC";
    if (blow.what == "error=EIO" || of_a_sync) && said.taken_after_503() {
        return Err("an event was taken after one that could not be made durable, in one life (P11)".into());
    }
    rest_and_judge(&node, std::slice::from_mut(&mut sender), seen)?;
    Ok(refused)
}

/// Reads a trace: each call that is not a read left after its intent was written, and the sync of that
/// write had returned.
fn intents_come_first(outside: &Outside) -> Result<(), String> {
    let node = Node::new(outside, &Options::default());
    let log = node.dir.join("calls");
    let calls = "pwrite64,fdatasync,write,writev,sendto,sendmsg";
    let mut running = node.start_under(&traced(calls, &log.display().to_string(), &["-s", "100000"]));
    if !running.ready(LIMIT) {
        return Err(format!("it does not come up under strace: {}", tail(&node.said())));
    }
    send(&node);
    running.quiet(LIMIT)?;
    running.signal("TERM");
    running.wait(LIMIT);
    let text = fs::read_to_string(log).map_err(|error| error.to_string())?;
    let lines: Vec<&str> = text.lines().collect();
    let mut looked_at = 0;
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.contains("tools/call")) {
        let text = line.replace('\\', "");
        let word = |label: &str| Some(text.split_once(label)?.1.split('"').next()?.to_owned());
        let (Some(tool), Some(key)) = (word("\"name\":\""), word("idempotency-key\":\"")) else { continue };
        if !["put", "act", "act_checked"].contains(&tool.as_str()) {
            continue;
        }
        looked_at += 1;
        let (run, step) = key.split_once('/').unwrap_or_default();
        let intent = format!("\"kind\":\"tool_call\",\"run\":\"{run}\",\"step\":\"{step}\"");
        let before = &lines[..at];
        let written = before.iter().rposition(|line| line.contains("pwrite64") && line.replace('\\', "").contains(&intent));
        let Some(written) = written else { return Err(format!("{tool} {key} left before its intent was written (P5)")) };
        let thread = lines[written].split_whitespace().next().unwrap_or_default();
        let synced =
            before[written..].iter().any(|line| line.starts_with(thread) && line.contains("fdatasync") && line.ends_with("= 0"));
        if !synced {
            return Err(format!("{tool} {key} left before its intent was synced (P5)"));
        }
    }
    if looked_at < 4 { Err(format!("only {looked_at} calls were seen to leave")) } else { Ok(()) }
}
