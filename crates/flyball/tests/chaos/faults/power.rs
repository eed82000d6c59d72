//! F06 with the real program: its disk is an image, and a power cut is a copy of the image as it is in
//! that moment: what was not synced is not in it.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::kill::{LIMIT, Seen, rest_and_judge, tail, while_sending};
use crate::binary::Random;
use crate::real::{Mount, Node, Options, Outside, Sender, can_mount};
use crate::tally::{Plan, Tally};

/// Cuts of one node before it is let be and judged.
const CUTS: u64 = 10;

/// Room for as many segments as the cuts leave behind.
const MEGABYTES: u64 = 96;

/// Each image is in memory, and they wait for their disks.
const AT_A_TIME: usize = 2;

pub fn cuts(plan: &Plan, tally: &Tally) {
    if let Err(why) = can_mount() {
        return tally.skip(format!("no power cut of the real program: {why}"));
    }
    let outside = Outside::start();
    let seen = Seen::default();
    tally.part(
        "power cuts of the real program's disk under webhook traffic, judged at once for what was promised and after ten for all",
    );
    let nodes: Vec<u64> = (0..plan.count(3, 300).div_ceil(CUTS)).collect();
    let size = if plan.quick { 3 } else { CUTS };
    tally.batches(AT_A_TIME, &nodes, size, |number| {
        let node = Node::new(&outside, &Options::default());
        cut_again_and_again(&node, &mut plan.random(600 + number), size, &seen)
    });
    seen.note(tally);
}

/// Where images lie: in memory, where there is such a folder.
fn images() -> Result<tempfile::TempDir, String> {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("chaos-disk-").tempdir_in(dir).map_err(|error| error.to_string())
}

fn cut_again_and_again(node: &Node, random: &mut Random, cuts: u64, seen: &Seen) -> Result<(), String> {
    let images = images()?;
    let mut image = images.path().join("0");
    Mount::format(&image, MEGABYTES)?;
    let mut senders = [Sender::new("a"), Sender::new("b")];
    for cut in 0..cuts {
        let mount = Mount::image(&image, &node.data(), "")?;
        if cut > 0 {
            promised(node, &senders)?;
        }
        let next = images.path().join(format!("{}", cut + 1));
        let copied = one_cut(node, &mut senders, random, &image, &next);
        drop(mount);
        copied?;
        let _ = std::fs::remove_file(&image);
        image = next;
    }
    let _mount = Mount::image(&image, &node.data(), "")?;
    promised(node, &senders)?;
    rest_and_judge(node, &mut senders, seen)
}

/// Runs under traffic for a while; then everything stands still, the disk is copied, and it is over.
fn one_cut(node: &Node, senders: &mut [Sender], random: &mut Random, image: &Path, next: &PathBuf) -> Result<(), String> {
    let mut running = node.start();
    if !running.ready(LIMIT) {
        return Err(format!("it does not come up: {}", tail(&node.said())));
    }
    let hook = node.hook();
    let act = |sender: &mut Sender, random: &mut Random| {
        let what = ["all", "act", "check", "say"][random.below(4) as usize];
        sender.send(hook, what, random.below(12))
    };
    while_sending(senders, random, act, |random, over| {
        std::thread::sleep(Duration::from_micros(20_000 + random.below(180_000)));
        // Those who wait for an answer get none any more: it stands still, and then it is dead.
        let copied = running
            .freeze()
            .and_then(|()| std::fs::copy(image, next).map_err(|error| format!("the image cannot be copied: {error}")));
        over.store(true, Ordering::Relaxed);
        running.kill9();
        copied.map(drop)
    })
}

/// P1 at once: whatever was answered with yes is in what the power cut left.
fn promised(node: &Node, senders: &[Sender]) -> Result<(), String> {
    let records = flyball::journal::read(&node.journal()).map_err(|error| error.to_string())?;
    let taken: std::collections::BTreeSet<&str> = records
        .iter()
        .filter_map(|record| match &record.entry {
            flyball::journal::Entry::TriggerEvent { event, .. } => Some(event.event_id.as_str()),
            _ => None,
        })
        .collect();
    let all: Vec<_> = senders.iter().flat_map(|sender| sender.promises().taken).collect();
    match all.iter().find(|(_, id, _)| !taken.contains(id.as_str())) {
        Some((key, id, _)) => Err(format!("{key} was answered with yes as {id}, and a power cut took it (P1)")),
        None => Ok(()),
    }
}
