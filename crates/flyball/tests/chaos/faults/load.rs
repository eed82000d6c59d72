//! F44, F46: more webhooks than can be handled, senders that trickle, and agents that wake each other.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flyball::journal::{Entry, ProcessFold};

use super::kill::{LIMIT, Seen, rest_and_judge, tail};
use crate::real::{Node, Options, Outside, Sender, post};
use crate::tally::{Plan, Tally};

/// Senders at once: far more than one process handles.
const SENDERS: usize = 24;

/// What a slow sender says at first; the rest of the head or of the body comes byte by byte.
const SLOW: [&[u8]; 2] = [
    b"POST /hook HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    b"POST /hook HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
];

pub fn floods(plan: &Plan, tally: &Tally) {
    let outside = Outside::start();
    let seen = Seen::default();
    tally.part("a flood of webhooks on a process that handles one at a time: nothing accepted is lost, the rest is shed");
    for number in 0..plan.count(1, 3) {
        tally.trial(number, || flood(&outside, plan, tally, &seen));
    }
    tally.part("slowloris: senders that never end their requests, and an honest one");
    for number in 0..plan.count(1, 2) {
        // Twice as many as there are places, and more.
        let slow = if plan.quick { 600 } else { [600, 900][number as usize % 2] };
        tally.trial(format!("{slow} of them"), || slowloris(&outside, slow, plan.quick, tally));
    }
    seen.note(tally);
}

fn flood(outside: &Outside, plan: &Plan, tally: &Tally, seen: &Seen) -> Result<(), String> {
    // In a short time no more come than may wait where nothing is said.
    let places = if plan.quick { 50 } else { 1_000 };
    let more = format!("config: {{trigger_delivery: {{max_pending: {places}}}}}");
    let node = Node::new(outside, &Options { more, ..Options::default() });
    let mut running = node.start();
    if !running.ready(LIMIT) {
        return Err(format!("it does not come up: {}", tail(&node.said())));
    }
    let time = Duration::from_secs(if plan.quick { 2 } else { 15 });
    let until = Instant::now() + time;
    let took = Mutex::new(Vec::new());
    let mut senders: Vec<Sender> = (0..SENDERS).map(|number| Sender::new(&format!("f{number}"))).collect();
    std::thread::scope(|scope| {
        for sender in &mut senders {
            scope.spawn(|| {
                // A thousand runs come after the flood, each with as many syncs as it has steps: most have few.
                for what in ["act", "say", "say", "say", "say", "say", "say", "say"].into_iter().cycle() {
                    let asked = Instant::now();
                    if asked > until {
                        break;
                    }
                    if sender.send(node.hook(), what, 5) {
                        took.lock().expect("nobody panics with it").push(asked.elapsed());
                    }
                }
            });
        }
    });
    let said: Vec<_> = senders.iter().map(Sender::promises).collect();
    let refused: Vec<&(u16, String)> = said.iter().flat_map(|said| &said.refused).collect();
    let mut took = took.into_inner().expect("nobody panics with it");
    took.sort_unstable();
    let p99 = took.get(took.len() * 99 / 100).copied().unwrap_or_default();
    tally.note(format!(
        "{} events accepted and {} shed in {} s; 99 of 100 yeses came within {} ms",
        took.len(),
        refused.len(),
        time.as_secs(),
        p99.as_millis()
    ));
    if let Some((status, body)) = refused.iter().find(|(status, _)| ![429, 503].contains(status)) {
        return Err(format!("a webhook was answered with {status}: {body} (P20)"));
    }
    if !plan.quick && p99 > Duration::from_millis(250) {
        return Err(format!("99 of 100 yeses came within {p99:?}, and 250 ms are promised (P20)"));
    }
    // What waits is more than a trial has time for: a crash and a look at the journal say whether it is there.
    running.kill9();
    let records = flyball::journal::read(&node.journal()).map_err(|error| error.to_string())?;
    let fold = ProcessFold::of(records.iter().filter(|record| record.process == "worker"));
    if refused.is_empty() || fold.open_events.len() > places {
        let (shed, open) = (refused.len(), fold.open_events.len());
        return Err(format!("{shed} were shed and {open} wait, where {places} may (P20)"));
    }
    let promised: u64 = said.iter().map(|said| said.taken.len() as u64).sum();
    if fold.events.accepted < promised {
        return Err(format!("{promised} were promised and {} are there (P1)", fold.events.accepted));
    }
    if plan.quick { rest_and_judge(&node, &mut senders, seen) } else { long_rest(&node, &mut senders, seen) }
}

/// Up to a thousand events wait; they get the time they take.
fn long_rest(node: &Node, senders: &mut [Sender], seen: &Seen) -> Result<(), String> {
    let mut running = node.start();
    if !running.ready(LIMIT) {
        return Err(format!("it does not come up: {}", tail(&node.said())));
    }
    running.quiet(Duration::from_secs(300))?;
    running.end()?;
    rest_and_judge(node, senders, seen)
}

fn slowloris(outside: &Outside, slow: usize, quick: bool, tally: &Tally) -> Result<(), String> {
    let node = Node::new(outside, &Options::default());
    let mut running = node.start();
    if !running.ready(LIMIT) {
        return Err(format!("it does not come up: {}", tail(&node.said())));
    }
    let over = AtomicBool::new(false);
    let reopened = AtomicU64::new(0);
    let wanted = if quick { 3 } else { 20 };
    let mut slowest = Duration::ZERO;
    let mut sender = Sender::new("honest");
    std::thread::scope(|scope| {
        // Each opens a connection, sends a byte of a head or of a body now and then, and begins anew when it is closed.
        scope.spawn(|| {
            let mut open: Vec<Option<TcpStream>> = (0..slow).map(|_| None).collect();
            while !over.load(Ordering::Relaxed) {
                for (number, place) in open.iter_mut().enumerate() {
                    let alive = place.as_mut().is_some_and(|stream| stream.write_all(b"x").is_ok());
                    if !alive {
                        *place = TcpStream::connect_timeout(&node.hook(), Duration::from_millis(200)).ok();
                        if let Some(stream) = place {
                            let _ = stream.write_all(SLOW[number % SLOW.len()]);
                        }
                        reopened.fetch_add(1, Ordering::Relaxed);
                    }
                }
                std::thread::sleep(Duration::from_millis(300));
            }
        });
        std::thread::sleep(Duration::from_millis(500));
        for _ in 0..wanted {
            let asked = Instant::now();
            let deadline = asked + Duration::from_secs(40);
            while !sender.send(node.hook(), "say", 0) && Instant::now() < deadline {}
            slowest = slowest.max(asked.elapsed());
        }
        over.store(true, Ordering::Relaxed);
    });
    tally.note(format!("beside {slow} senders that never end, an honest one waited {} ms at most", slowest.as_millis()));
    if sender.promises().taken.len() < wanted {
        return Err(format!("an honest sender got no yes: {:?} (P20)", sender.promises().refused));
    }
    // A machine that runs other tests besides is slow; a head that is waited for takes 10 s, a body 15 s.
    let most = Duration::from_secs(if quick { 8 } else { 4 });
    if slowest > most {
        return Err(format!("an honest sender waited {slowest:?} beside {slow} slow ones, and {most:?} is the most (P20)"));
    }
    running.quiet(LIMIT)?;
    running.end()
}

pub fn circles(plan: &Plan, tally: &Tally) {
    let outside = Outside::start();
    tally.part("two agents that wake each other with every event: the chain ends at its limit, and says why");
    let trials: Vec<u64> = (0..plan.count(1, 5)).collect();
    tally.each(2, &trials, |_| circle(&outside));
}

fn circle(outside: &Outside) -> Result<(), String> {
    let node = Node::new(outside, &Options::default());
    for (name, hears, says) in [("worker", "ping", "pong"), ("listener", "pong", "ping")] {
        let hook = if name == "worker" {
            format!("  - {{type: webhook, webhook_port: {}, webhook_path: /hook}}\n", node.hook().port())
        } else {
            String::new()
        };
        node.write(
            &format!("{name}.agent"),
            &format!("version: \"1.0\"\nname: {name}\nmodel: scripted:{name}.yaml\ntriggers:\n  - {{type: event, event_type: game.{hears}}}\n{hook}"),
        );
        node.write(
            &format!("{name}.yaml"),
            &format!("rules:\n  - {{when: {{step: t0}}, call: [{{tool: emit_event, args: {{event_type: game.{says}}}}}]}}\n  - {{say: done}}\n"),
        );
    }
    let mut running = node.start();
    if !running.ready(LIMIT) {
        return Err(format!("it does not come up: {}", tail(&node.said())));
    }
    let body = r#"{"begin": "the game"}"#;
    let begun = post(node.hook(), "/hook", &[("Idempotency-Key", "begin")], body, Duration::from_secs(10))
        .map_err(|error| error.to_string())?;
    if begun.status != 202 {
        return Err(format!("the game does not begin: {begun:?}"));
    }
    running.quiet(LIMIT)?;
    running.end()?;
    let records = flyball::journal::read(&node.journal()).map_err(|error| error.to_string())?;
    let runs = records.iter().filter(|record| matches!(record.entry, Entry::InvocationResult { .. })).count();
    let why = records.iter().find_map(|record| match &record.entry {
        Entry::ToolResult { reply, .. } if reply.is_error => Some(reply.text.clone()),
        _ => None,
    });
    let limit = flyball::triggers::DEFAULT_MAX_HOPS as usize;
    if runs != limit + 1 {
        return Err(format!("{runs} runs were made, and the limit is {limit} hops"));
    }
    match why {
        Some(why) if why.contains("in a row") => Ok(()),
        other => Err(format!("the chain ended and nobody says why: {other:?}")),
    }
}
