//! F12: a disk whose syncs take long.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;

use super::disk::up;
use super::kill::{LIMIT, Seen, rest_and_judge};
use crate::binary::eventually;
use crate::real::{Node, Options, Outside, Running, Sender, can_trace, post, traced};
use crate::tally::{Plan, Tally};

pub fn slow(plan: &Plan, tally: &Tally) {
    if let Err(why) = can_trace() {
        return tally.skip(why);
    }
    let outside = Outside::start();
    let seen = Seen::default();
    for (millis, each) in [(200, plan.count(1, 3)), (1000, plan.count(0, 2)), (5000, plan.count(0, 2))] {
        tally.part(format!("each fdatasync takes {millis} ms: who looks does not wait, and a neighbour's event for two of them"));
        for number in 0..each {
            tally.trial(number, || slow_disk(&outside, millis, plan.quick, tally, &seen));
        }
    }
    seen.note(tally);
}

fn slow_disk(outside: &Outside, millis: u64, quick: bool, tally: &Tally, seen: &Seen) -> Result<(), String> {
    let node = Node::new(outside, &Options::default());
    let inject = format!("inject=fdatasync:delay_exit={}", millis * 1000);
    let mut running = node.start_under(&traced("fdatasync", "/dev/null", &["-e", &inject]));
    up(&mut running, &node)?;
    let api = running.api().ok_or("it does not say where its API is")?;
    let mut senders: Vec<Sender> = (0..8).map(|number| Sender::new(&format!("s{number}"))).collect();
    // The start's own syncs come before its first event's: a sender that waits too long for them comes again.
    let up_since = Instant::now();
    let first = eventually(LIMIT, || senders[0].send(node.hook(), "say", 0).then_some(()));
    first.ok_or_else(|| format!("it is up and takes no event: {:?} (P20)", senders[0].promises().statuses))?;
    let (took, asked) = (up_since.elapsed().as_millis(), senders[0].promises().statuses.len());
    tally.note(format!("the first yes came {took} ms after the port was open, to try {asked}"));
    let until = Instant::now() + Duration::from_millis(if quick { 1500 } else { 4000 + 4 * millis });
    let (looks, waits) = std::thread::scope(|scope| {
        for sender in &mut senders {
            scope.spawn(|| {
                while Instant::now() < until {
                    sender.send(node.hook(), "say", 0);
                }
            });
        }
        let neighbour = scope.spawn(|| neighbour(api, until));
        (looks(&running, &node, until), neighbour.join().expect("the neighbour does not panic"))
    });
    let taken = senders.iter().map(|sender| sender.promises().taken.len()).sum::<usize>() - 1;
    let bad: Vec<_> =
        senders.iter().flat_map(|sender| sender.promises().refused).filter(|(status, _)| ![429, 503].contains(status)).collect();
    if let Some((status, body)) = bad.first() {
        return Err(format!("a webhook was answered with {status}: {body} (P20)"));
    }
    if taken == 0 {
        let said: Vec<_> = senders.iter().map(|sender| sender.promises().statuses).collect();
        return Err(format!("nothing more was taken (P20): the answers were {said:?}"));
    }
    tally.note(format!("at {millis} ms a sync: {taken} events taken by 8 senders"));
    lives(millis, quick, looks, &waits?, tally)?;
    running.kill9();
    rest_and_judge(&node, &mut senders, seen)
}

/// What can be looked at without the disk.
const LOOKS: [&str; 3] = ["the status of all processes", "the webhook's health", "a refusal of the webhook"];

/// How long it took to look, by what was looked at.
fn looks(running: &Running, node: &Node, until: Instant) -> [Vec<Duration>; 3] {
    const PATIENCE: Duration = Duration::from_secs(30);
    let mut took: [Vec<Duration>; 3] = Default::default();
    while Instant::now() < until {
        for (look, took) in took.iter_mut().enumerate() {
            let asked = Instant::now();
            let answered = match look {
                0 => running.status().is_some(),
                1 => post(node.hook(), "/health", &[], "", PATIENCE).is_ok(),
                _ => post(node.hook(), "/hook", &[], "", PATIENCE).is_ok_and(|answer| answer.status == 405),
            };
            took.push(if answered { asked.elapsed() } else { PATIENCE });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    took
}

/// Events for another process of the same instance, one after the other: how long each waited for its yes.
fn neighbour(api: SocketAddr, until: Instant) -> Result<Vec<Duration>, String> {
    let mut took = Vec::new();
    while Instant::now() < until || took.len() < 2 {
        let asked = Instant::now();
        let body = json!({"payload": {}, "dedup_key": format!("n{}", took.len())}).to_string();
        let answer = post(api, "/processes/listener/event", &[], &body, Duration::from_secs(30));
        match answer.map_err(|error| format!("a neighbour's event has no answer: {error} (P16)"))? {
            answer if answer.status == 202 => took.push(asked.elapsed()),
            answer => return Err(format!("a neighbour's event is answered with {answer:?} (P16)")),
        }
    }
    // The first one also waits for the start's own syncs.
    Ok(took.split_off(1))
}

/// Whoever only looks does not wait for the disk; a neighbour's event waits for the sync that is under way and for
/// its own, however much the others send.
fn lives(millis: u64, quick: bool, looks: [Vec<Duration>; 3], waits: &[Duration], tally: &Tally) -> Result<(), String> {
    let longest = waits.iter().max().copied().ok_or("no event of the neighbour was taken (P16)")?;
    tally.note(format!("of a neighbour's {} events none waited over {} ms", waits.len(), longest.as_millis()));
    for (what, mut took) in LOOKS.into_iter().zip(looks) {
        took.sort_unstable();
        let (median, slowest) = (took[took.len() / 2], took[took.len() - 1]);
        tally.note(format!("{what}: {} times within {} ms", took.len(), slowest.as_millis()));
        // The machine may have other work too, so one look may be slow; that half of them are is no chance.
        if median > Duration::from_millis(millis / 4) {
            return Err(format!("{what} took {median:?} half of the time, while a sync took {millis} ms (P16)"));
        }
        if !quick && slowest > Duration::from_millis(millis.max(1000)) {
            return Err(format!("{what} took {slowest:?} while the disk was slow (P16)"));
        }
    }
    let most = Duration::from_millis(2 * millis + if quick { 5_000 } else { 500 });
    if longest > most { Err(format!("a neighbour's event waited {longest:?}, and {most:?} is the most (P16)")) } else { Ok(()) }
}
