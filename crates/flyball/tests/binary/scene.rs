//! A copy of the example that a test may spoil.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use flyball_journal::Record;
use serde_json::Value;
use tempfile::TempDir;

use super::{Ended, LONG, eventually, finish};

/// The example in a folder of its own, with a data directory of its own beside it.
pub struct Scene {
    dir: TempDir,
}

impl Scene {
    /// A fresh copy. The damaged file arrives soon after a start.
    pub fn new() -> Self {
        let scene = Self { dir: TempDir::new().expect("a temporary folder") };
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/pipeline-ops"), &scene.example());
        scene.edit("monitor.agent", "--incident-after, 5s", "--incident-after, 300ms");
        server_is_built();
        scene
    }

    /// A folder without any manifest.
    pub fn empty() -> Self {
        let scene = Self { dir: TempDir::new().expect("a temporary folder") };
        fs::create_dir(scene.example()).expect("a folder can be made");
        scene
    }

    /// Where the manifests are.
    pub fn example(&self) -> PathBuf {
        self.dir.path().join("example")
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A path in the pipeline's folder.
    pub fn work(&self, path: &str) -> PathBuf {
        self.example().join("work").join(path)
    }

    /// Replaces `from`, which must be there, in a file of the example.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.example().join(file);
        let text = fs::read_to_string(&path).expect("the file can be read");
        assert!(text.contains(from), "{file} has no '{from}'");
        fs::write(&path, text.replace(from, to)).expect("the file can be written");
    }

    /// The monitor's clock wakes it every two seconds, and not every ten.
    pub fn tick_often(&self) {
        self.edit("monitor.agent", "* * * * * */10", "* * * * * */2");
    }

    /// Writes a file beside the manifests.
    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.example().join(file), text).expect("the file can be written");
    }

    /// The program, and an environment that is the same on every machine.
    pub fn flyball(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flyball"));
        let kept = ["PATH", "HOME", "TMPDIR"];
        command.env_clear().envs(kept.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.current_dir(self.dir.path()).args(args);
        command
    }

    /// `flyball run` on the example.
    pub fn run(&self) -> Command {
        self.flyball(&["run", "example", "--data", "data"])
    }

    /// A command on this data directory, and its end.
    pub fn ask(&self, args: &[&str]) -> Ended {
        finish(self.flyball(&["--data", "data"]).args(args), LONG)
    }

    /// The same, with the answer read as JSON.
    pub fn ask_json(&self, args: &[&str]) -> Value {
        let ended = self.ask(&[args, &["-o", "json"]].concat()).with_code(0);
        serde_json::from_str(&ended.stdout).expect("the answer is JSON")
    }

    /// All that is durable in the journal.
    pub fn records(&self) -> Vec<Record> {
        flyball_journal::read(&self.data().join("journal")).expect("the journal can be read")
    }

    /// The lines of the server's ledger.
    pub fn ledger(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.work("ledger.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a line of the ledger is JSON")).collect()
    }

    /// The files in a folder of the pipeline, sorted.
    pub fn drops(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.work(folder)).expect("the folder is there");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Keeps every tool that changes the pipeline waiting until the file is dropped.
    pub fn hold_pipeline(&self) -> fs::File {
        let file = fs::File::options().write(true).open(self.work(".lock")).expect("the lock's file is there");
        eventually(LONG, || file.try_lock().ok()).expect("the server lets go of its lock");
        file
    }

    /// Waits for the programs that run in the example's folder, its MCP servers, to end. Says which
    /// are still there after `limit`.
    pub fn servers_left(&self, limit: Duration) -> Vec<u32> {
        eventually(limit, || self.servers().is_empty().then(Vec::new)).unwrap_or_else(|| self.servers())
    }

    /// The programs that run in the example's folder.
    pub fn servers(&self) -> Vec<u32> {
        let example = self.example().canonicalize().expect("the folder is there");
        // Only Linux has this folder; elsewhere nothing is found, and nothing is claimed.
        let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == example)).collect()
    }
}

/// The example without what a run left there, and without its server's sources.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("the example is there") {
        let entry = entry.expect("an entry");
        let name = entry.file_name();
        if ["work", "server", ".flyball"].iter().any(|left_out| name == *left_out) {
            continue;
        }
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to.join(name)),
            false => drop(fs::copy(entry.path(), to.join(name)).expect("a file can be copied")),
        }
    }
}

fn server_is_built() {
    let server = super::server::program();
    assert!(server.is_file(), "{} is missing: build it with `cargo build -p pipeline-ops-server`", server.display());
}
