//! F01, F02: the real program, killed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::binary::Random;
use crate::real::{Node, Options, Outside, Sender, Verdict, judge, settle};
use crate::tally::{Plan, Tally};

/// A node is killed so often before it is let be and judged.
const KILLS: u64 = 10;

/// They start and wait more than they compute.
const AT_A_TIME: usize = 3;

/// Nothing that is waited for takes this long.
pub const LIMIT: Duration = Duration::from_secs(60);

/// What happened in all, so that it is seen that something did.
#[derive(Debug, Default)]
pub struct Seen {
    taken: AtomicU64,
    calls: AtomicU64,
    settled: AtomicU64,
}

impl Seen {
    pub fn note(&self, tally: &Tally) {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (taken, calls, settled) = (get(&self.taken), get(&self.calls), get(&self.settled));
        tally.note(format!(
            "{taken} events were promised, {calls} calls arrived, {settled} calls in doubt were settled by an operator"
        ));
    }
}

pub fn any_time(plan: &Plan, tally: &Tally) {
    let outside = Outside::start();
    let seen = Seen::default();
    tally.part("killed (every tenth time: asked to end) at a random time under webhook traffic, and judged after ten");
    let nodes: Vec<u64> = (0..plan.count(KILLS, 1000).div_ceil(KILLS)).collect();
    tally.batches(AT_A_TIME, &nodes, KILLS, |number| {
        let mut random = plan.random(*number);
        let options = Options { model_over_http: number % 2 == 1, ..Options::default() };
        killed_again_and_again(&Node::new(&outside, &options), &mut random, KILLS, &seen)
    });
    tally.part("a duplicate of what was taken, sent again over crashes");
    duplicates(plan, tally, &outside, &seen);
    seen.note(tally);
}

/// Kills a node `kills` times, lets it be, and judges it before and after an operator's word.
fn killed_again_and_again(node: &Node, random: &mut Random, kills: u64, seen: &Seen) -> Result<(), String> {
    let mut senders = [Sender::new("a"), Sender::new("b")];
    for kill in 0..kills {
        let mut running = node.start();
        // Some of the kills fall into the start and the recovery, most into what comes after.
        let time = Duration::from_micros(random.below(100_000));
        if random.below(4) > 0 && !running.ready(LIMIT) {
            return Err(format!("it does not come up again: {}", tail(&node.said())));
        }
        traffic(node, &mut senders, random, time);
        if kill % 10 == 9 {
            let doubts =
                || node.ask(&["indoubt"]).stdout.lines().filter(|line| line.contains('/') && !line.starts_with(' ')).count();
            // Not before it listens to signals at all.
            if running.ready(LIMIT) {
                let before = doubts();
                running.end()?;
                if doubts() > before {
                    return Err("an order to end put a call in doubt (P15)".into());
                }
            }
        } else {
            running.kill9();
        }
    }
    rest_and_judge(node, &mut senders, seen)
}

/// The next life is let be; then an operator settles what is in doubt, and one more life finishes it.
pub fn rest_and_judge(node: &Node, senders: &mut [Sender], seen: &Seen) -> Result<(), String> {
    judged_before_and_after_a_word(node, senders, seen).inspect_err(|_| node.keep())
}

fn judged_before_and_after_a_word(node: &Node, senders: &mut [Sender], seen: &Seen) -> Result<(), String> {
    for settled in [false, true] {
        if settled {
            // A run that goes on may come upon a second call in doubt.
            loop {
                let doubts = settle(node)? as u64;
                seen.settled.fetch_add(doubts, Ordering::Relaxed);
                if doubts == 0 {
                    break;
                }
                one_quiet_life(node, senders)?;
            }
        } else {
            one_quiet_life(node, senders)?;
        }
        let said: Vec<_> = senders.iter().map(Sender::promises).collect();
        judge(node, &said, Verdict { settled })?;
    }
    seen.taken.fetch_add(senders.iter().map(|sender| sender.promises().taken.len() as u64).sum(), Ordering::Relaxed);
    seen.calls.fetch_add(node.ledger().len() as u64, Ordering::Relaxed);
    // What is right is not kept: there are thousands of them.
    let _ = std::fs::remove_dir_all(node.data());
    Ok(())
}

pub fn one_quiet_life(node: &Node, senders: &mut [Sender]) -> Result<(), String> {
    let mut running = node.start();
    if !running.ready(LIMIT) {
        return Err(format!("it does not come up again: {}", tail(&node.said())));
    }
    senders.iter_mut().try_for_each(|sender| sender.finish(node.hook(), LIMIT))?;
    running.quiet(LIMIT)?;
    running.end().map_err(|error| format!("{error}: {}", tail(&node.said())))
}

/// The end of what a program said.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().rev().take(3).collect();
    lines.into_iter().rev().map(|line| line.chars().take(300).collect::<String>()).collect::<Vec<_>>().join(" | ")
}

/// Two senders send what they like for a while.
pub fn traffic(node: &Node, senders: &mut [Sender], random: &mut Random, time: Duration) {
    let hook = node.hook();
    let act = |sender: &mut Sender, random: &mut Random| {
        let what = ["all", "act", "check", "say", "act"][random.below(5) as usize];
        let known = sender.promises().taken.len() as u64;
        match random.below(4) {
            0 if known > 0 => sender.repeat(hook, random.below(known) as usize),
            _ => sender.send(hook, what, random.below(12)),
        }
    };
    while_sending(senders, random, act, |_, over| {
        std::thread::sleep(time);
        over.store(true, Ordering::Relaxed);
    });
}

/// Does `work` while each of `senders` does `act` again and again, until `work` says that it is over. `act` tells
/// whether it was answered; where it was not, the sender takes a breath.
pub fn while_sending<T>(
    senders: &mut [Sender],
    random: &mut Random,
    act: impl Fn(&mut Sender, &mut Random) -> bool + Sync,
    work: impl FnOnce(&mut Random, &AtomicBool) -> T,
) -> T {
    let (over, act) = (AtomicBool::new(false), &act);
    std::thread::scope(|scope| {
        let over = &over;
        for sender in senders {
            let mut random = Random(random.below(u64::MAX));
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    if !act(sender, &mut random) {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                }
            });
        }
        work(random, over)
    })
}

/// 10,000 duplicates over 50 crashes: one run each.
fn duplicates(plan: &Plan, tally: &Tally, outside: &Outside, seen: &Seen) {
    let crashes = plan.count(2, 50);
    let each = if plan.quick { 20 } else { 200 };
    let node = Node::new(outside, &Options::default());
    let mut sender = Sender::new("d");
    let mut random = plan.random(77);
    let mut result = Ok(());
    for _ in 0..crashes {
        let mut running = node.start();
        if !running.ready(LIMIT) {
            result = Err(format!("it does not come up again: {}", tail(&node.said())));
            break;
        }
        for what in ["act", "say"] {
            sender.send(node.hook(), what, 0);
        }
        let known = sender.promises().taken.len() as u64;
        for _ in 0..each {
            sender.repeat(node.hook(), random.below(known.max(1)) as usize);
        }
        running.kill9();
    }
    let result = result.and_then(|()| rest_and_judge(&node, std::slice::from_mut(&mut sender), seen));
    tally.counted(sender.promises().duplicates, format!("over {crashes} crashes"), result);
}
