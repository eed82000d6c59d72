//! F10, F13, F14: disks that are full, read-only or gone, and no file descriptors left.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::kill::{LIMIT, Seen, one_quiet_life, rest_and_judge, tail};
use crate::binary::eventually;
use crate::real::{Mount, Node, Options, Outside, Running, Sender, can_mount, post, run};
use crate::tally::{Plan, Tally};

/// A payload of this size fills a segment with few events.
const LARGE: usize = 300_000;

pub fn full(plan: &Plan, tally: &Tally) {
    if let Err(why) = can_mount() {
        return tally.skip(format!("no full disk of the real program: {why}"));
    }
    let outside = Outside::start();
    let seen = Seen::default();
    let trials: Vec<u64> = (0..plan.count(1, 10)).collect();
    for (what, inodes) in
        [("the disk runs full while it works, then there is room", false), ("no inodes are left, then there are", true)]
    {
        tally.part(what);
        tally.each(2, &trials, |_| fills_up(&outside, inodes, false, &seen));
    }
    tally.part("it is killed and started on a full disk, then there is room");
    tally.each(2, &trials, |_| fills_up(&outside, false, true, &seen));
    seen.note(tally);
}

/// A file that takes the room that is left.
struct Ballast(PathBuf);

impl Ballast {
    fn bytes(dir: &Path) -> Self {
        let path = dir.join("ballast");
        let mut file = File::create(&path).expect("the ballast can be made");
        let piece = vec![0; 1 << 14];
        while std::io::Write::write_all(&mut file, &piece).is_ok() {}
        Self(path)
    }

    /// Empty files, as many as there can be.
    fn inodes(dir: &Path) -> Self {
        let path = dir.join("ballast");
        fs::create_dir_all(&path).expect("the ballast can be made");
        (0..).take_while(|number| File::create(path.join(number.to_string())).is_ok()).for_each(drop);
        Self(path)
    }

    fn drop_it(self) {
        let _ = if self.0.is_dir() { fs::remove_dir_all(&self.0) } else { fs::remove_file(&self.0) };
    }
}

fn fills_up(outside: &Outside, inodes: bool, killed: bool, seen: &Seen) -> Result<(), String> {
    let node = Node::new(outside, &Options::default());
    let _mount = Mount::memory(&node.data(), if inodes { "size=64m,nr_inodes=40" } else { "size=24m" })?;
    let mut running = node.start();
    up(&mut running, &node)?;
    let mut sender = Sender::new("f");
    if !sender.send(node.hook(), "act", 0) {
        return Err(format!("it takes nothing though there is room: {:?}", sender.promises().refused));
    }
    let ballast = if inodes { Ballast::inodes(&node.data()) } else { Ballast::bytes(&node.data()) };
    let refused = fill(&node)?;
    if refused != 507 {
        return Err(format!("on a full disk it answers {refused} and not 507 (P11)"));
    }
    if running.ended().is_some() {
        return Err(format!("it ended on a full disk: {} (P11)", tail(&node.said())));
    }
    if killed {
        running.kill9();
        running = start_on_full(&node)?;
    }
    // What is refused was not kept: it is sent again and again until there is room.
    sender.send(node.hook(), "act", 0);
    ballast.drop_it();
    // One that was started without room may have given up meanwhile.
    if killed && !running.ready(LIMIT) && running.ended().is_some() {
        running = node.start();
    }
    up(&mut running, &node)?;
    sender.finish(node.hook(), Duration::from_secs(30)).map_err(|error| format!("there is room again, and {error} (P11)"))?;
    running.quiet(LIMIT)?;
    running.end()?;
    rest_and_judge(&node, std::slice::from_mut(&mut sender), seen)
}

/// A start without room may fail, if it says why.
fn start_on_full(node: &Node) -> Result<Running, String> {
    let before = node.said().len();
    let mut running = node.start();
    let began = |running: &Running| running.status().is_some_and(|all| all["worker"]["started_at"].is_string());
    let settled = eventually(Duration::from_secs(20), || (running.ended().is_some() || began(&running)).then_some(()));
    if settled.is_none() || running.ended().is_none() {
        return Ok(running);
    }
    let said = node.said()[before..].to_lowercase();
    let named = ["full", "no space", "no room"].iter().any(|word| said.contains(word));
    if named { Ok(running) } else { Err(format!("started without room it says: {} (P11)", tail(&said))) }
}

/// Sends large events until one is refused, and says how.
fn fill(node: &Node) -> Result<u16, String> {
    let padding = "x".repeat(LARGE);
    let body = serde_json::json!({"do": "say", "n": "fill", "wait": "0", "padding": padding}).to_string();
    for number in 0..200 {
        let key = format!("fill-{number}");
        let answer = post(node.hook(), "/hook", &[("Idempotency-Key", &key)], &body, Duration::from_secs(20));
        match answer.map_err(|error| format!("on a full disk a webhook has no answer: {error}"))? {
            answer if answer.status == 202 => {}
            answer => return Ok(answer.status),
        }
    }
    Err("the disk never ran full".into())
}

pub fn up(running: &mut Running, node: &Node) -> Result<(), String> {
    if running.ready(LIMIT) { Ok(()) } else { Err(format!("it does not come up: {}", tail(&node.said()))) }
}

pub fn no_descriptors(plan: &Plan, tally: &Tally) {
    if let Err(why) = run("prlimit", &["--version"]) {
        return tally.skip(why);
    }
    let outside = Outside::start();
    let seen = Seen::default();
    let trials: Vec<u64> = (0..plan.count(2, 16)).collect();
    tally.part("no file descriptor is left while it works, for its files or for connections, then there are");
    tally.each(2, &trials, |number| out_of_descriptors(&outside, number / 2 % 4, number % 2 == 0, &seen));
    tally.part("it is started with too few file descriptors");
    let limits: Vec<u64> = plan.sample((4..40).collect(), 3);
    tally.each(2, &limits, |limit| {
        let node = Node::new(&outside, &Options::default());
        let wrapper = ["prlimit".to_owned(), format!("--nofile={limit}:{limit}")];
        let mut running = node.start_under(&wrapper);
        let came_up = running.ready(Duration::from_secs(10));
        let ended = running.ended();
        let said = node.said();
        if said.contains("panicked") {
            return Err(format!("it panicked: {}", tail(&said)));
        }
        match (came_up, ended) {
            (true, _) => Ok(()),
            // It ended, or goes on without the one process, and says why.
            (false, ended) if ended != Some(0) && said.contains("os error 24") => Ok(()),
            (false, ended) => Err(format!("it ended with {ended:?} and said: {}", tail(&said))),
        }
    });
    seen.note(tally);
}

/// With `idle`, connections that say nothing take the descriptors that are left.
fn out_of_descriptors(outside: &Outside, spare: u64, idle: bool, seen: &Seen) -> Result<(), String> {
    let node = Node::new(outside, &Options::default());
    let mut running = node.start();
    up(&mut running, &node)?;
    let mut sender = Sender::new("d");
    sender.send(node.hook(), "act", 0);
    running.quiet(LIMIT)?;
    let limit = |soft: u64| run("prlimit", &["--pid", &running.pid().to_string(), &format!("--nofile={soft}:4096")]);
    let open = fs::read_dir(format!("/proc/{}/fd", running.pid())).map_err(|error| error.to_string())?.count() as u64;
    limit(open + spare)?;
    let held: Vec<_> = (0..if idle { 32 } else { 0 }).map(|_| TcpStream::connect(node.hook())).collect();
    let until = Instant::now() + Duration::from_secs(3);
    let padding = "x".repeat(LARGE);
    let mut odd = None;
    for number in 0.. {
        if Instant::now() > until {
            break;
        }
        let body = serde_json::json!({"do": "say", "n": "large", "wait": "0", "padding": padding}).to_string();
        let key = format!("large-{number}");
        // No answer at all is no promise.
        if let Ok(answer) = post(node.hook(), "/hook", &[("Idempotency-Key", &key)], &body, Duration::from_secs(1))
            && ![202, 429, 503].contains(&answer.status)
        {
            odd.get_or_insert(answer);
        }
    }
    limit(1024)?;
    drop(held);
    if let Some(answer) = odd {
        return Err(format!("without descriptors a webhook is answered with {answer:?}"));
    }
    let said = node.said();
    if said.contains("panicked") {
        return Err(format!("it panicked: {}", tail(&said)));
    }
    let goes_on = sender.finish(node.hook(), Duration::from_secs(5)).is_ok() && sender.send(node.hook(), "act", 0);
    if !goes_on {
        failed_and_says_why(&node, &mut running)?;
    }
    running.signal("TERM");
    running.wait(Duration::from_secs(15)).ok_or("it does not end when it is asked to")?;
    rest_and_judge(&node, std::slice::from_mut(&mut sender), seen)
}

/// Whoever takes no more events once there are descriptors again has a journal that failed, and says so.
fn failed_and_says_why(node: &Node, running: &mut Running) -> Result<(), String> {
    let status = running.status().unwrap_or(Value::Null);
    let failed = running.ended().is_some() || status["worker"]["state"] == "failed";
    let reason = format!("{} {}", status["worker"]["reason"], tail(&node.said()));
    let named = reason.contains("os error 24") || reason.contains("Too many open files");
    if failed && named { Ok(()) } else { Err(format!("it does not go on, failed: {failed}, and says: {reason}")) }
}

pub fn gone(plan: &Plan, tally: &Tally) {
    let outside = Outside::start();
    let seen = Seen::default();
    let trials: Vec<u64> = (0..plan.count(1, 8)).collect();
    tally.part("the journal's folder is deleted while it works");
    tally.each(2, &trials, |_| deleted(&outside));
    if let Err(why) = can_mount() {
        return tally.skip(format!("no read-only file system: {why}"));
    }
    tally.part("the file system becomes read-only while it works, as after an error of the disk");
    tally.each(2, &trials, |_| read_only(&outside, &seen));
    seen.note(tally);
}

/// Nothing that is answered with yes may be in a file that nobody will find.
fn deleted(outside: &Outside) -> Result<(), String> {
    let node = Node::new(outside, &Options::default());
    let mut running = node.start();
    up(&mut running, &node)?;
    let mut sender = Sender::new("g");
    sender.send(node.hook(), "say", 0);
    running.quiet(LIMIT)?;
    fs::remove_dir_all(node.journal()).map_err(|error| error.to_string())?;
    let before = sender.promises().taken.len();
    for _ in 0..20 {
        sender.send(node.hook(), "say", 0);
    }
    let said = sender.promises();
    if said.taken.len() > before {
        return Err(format!("{} events were answered with yes after the journal was deleted (P1)", said.taken.len() - before));
    }
    names_the_cause(&node, &mut running, &said.refused, &["deleted", "No such file", "os error 2", "gone"])
}

/// Refused with 503, said why, no panic, and it ends when asked to.
fn names_the_cause(node: &Node, running: &mut Running, refused: &[(u16, String)], words: &[&str]) -> Result<(), String> {
    if let Some((status, body)) = refused.iter().find(|(status, _)| *status != 503) {
        return Err(format!("a webhook was answered with {status}: {body} (P11)"));
    }
    let status = running.status().unwrap_or(Value::Null);
    running.signal("TERM");
    if running.wait(Duration::from_secs(15)).is_none() {
        return Err("it does not end when it is asked to".into());
    }
    let said = format!("{} {}", status["worker"]["reason"], node.said());
    if said.contains("panicked") {
        return Err(format!("it panicked: {}", tail(&node.said())));
    }
    if words.iter().any(|word| said.contains(word)) { Ok(()) } else { Err(format!("the cause is not named: {}", tail(&said))) }
}

fn read_only(outside: &Outside, seen: &Seen) -> Result<(), String> {
    let node = Node::new(outside, &Options::default());
    let image = node.dir.join("disk");
    Mount::format(&image, 48)?;
    let mount = Mount::image(&image, &node.data(), "errors=remount-ro")?;
    let mut running = node.start();
    up(&mut running, &node)?;
    let mut sender = Sender::new("r");
    sender.send(node.hook(), "act", 0);
    running.quiet(LIMIT)?;
    let device = mount.device().ok_or("the mount is not there")?;
    let trigger = Path::new("/sys/fs/ext4").join(device.trim_start_matches("/dev/")).join("trigger_fs_error");
    fs::write(&trigger, "a test").map_err(|error| format!("{}: {error}", trigger.display()))?;
    let before = sender.promises().taken.len();
    for _ in 0..10 {
        sender.send(node.hook(), "act", 0);
    }
    let said = sender.promises();
    if said.taken.len() > before {
        return Err("an event was answered with yes on a read-only disk (P1)".into());
    }
    names_the_cause(&node, &mut running, &said.refused, &["Read-only", "os error 30"])?;
    drop(running);
    drop(mount);
    // An operator mends the disk.
    let _ = run("fsck.ext4", &["-y", "-f", &image.display().to_string()]);
    let _mount = Mount::image(&image, &node.data(), "")?;
    one_quiet_life(&node, std::slice::from_mut(&mut sender))?;
    rest_and_judge(&node, std::slice::from_mut(&mut sender), seen)
}
