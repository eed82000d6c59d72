//! What a scene's journal holds, read on from where it was read before: it is looked into at each call.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// What stands in a journal's lines, of the little that is asked.
#[derive(Debug, Default)]
pub struct Seen {
    /// Of each segment: its bytes up to here are counted.
    places: BTreeMap<PathBuf, Place>,
    committed: Lines,
    /// Written after the last commit line. It may be others the next time.
    open: Lines,
}

#[derive(Debug)]
struct Place {
    end: u64,
    /// The commit line before `end`.
    last: Vec<u8>,
}

#[derive(Debug, Default)]
struct Lines {
    /// Kind, run and step.
    steps: HashSet<(String, String, String)>,
    /// The run of each event.
    runs: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Line {
    kind: String,
    #[serde(default)]
    run: String,
    #[serde(default)]
    step: String,
    #[serde(default)]
    event_id: String,
}

/// A file is read in pieces of so many bytes, for most of it is blank.
const PIECE: usize = 1 << 16;

impl Seen {
    /// Whether the journal in `dir` holds a record of this kind about this step.
    pub fn holds(&mut self, dir: &Path, kind: &str, run: &str, step: &str) -> bool {
        self.look(dir);
        let key = (kind.to_owned(), run.to_owned(), step.to_owned());
        self.committed.steps.contains(&key) || self.open.steps.contains(&key)
    }

    /// The run that was begun for an event.
    pub fn run_of(&mut self, dir: &Path, event: &str) -> Option<String> {
        self.look(dir);
        self.committed.runs.get(event).or_else(|| self.open.runs.get(event)).cloned()
    }

    fn look(&mut self, dir: &Path) {
        let paths = fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        let segments: Vec<PathBuf> =
            paths.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")).collect();
        // What is there no more, or another, was lost with the power: nothing of it counts.
        if self.places.iter().any(|(path, place)| !segments.contains(path) || !place.still_there(path)) {
            *self = Self::default();
        }
        self.open = Lines::default();
        segments.into_iter().for_each(|segment| self.read_on(segment));
    }

    fn read_on(&mut self, segment: PathBuf) {
        let start = self.places.get(&segment).map_or(0, |place| place.end);
        let bytes = written(&segment, start);
        let (mut at, mut batch) = (0, Vec::new());
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            at += line.len();
            if line.starts_with(b"{\"commit\":") && line.ends_with(b"\n") {
                batch.drain(..).for_each(|line| self.committed.add(line));
                self.places.insert(segment.clone(), Place { end: start + at as u64, last: line.to_vec() });
            } else {
                batch.push(line);
            }
        }
        batch.into_iter().for_each(|line| self.open.add(line));
    }
}

impl Place {
    fn still_there(&self, segment: &Path) -> bool {
        let mut now = vec![0; self.last.len()];
        let read = File::open(segment).and_then(|file| file.read_exact_at(&mut now, self.end - self.last.len() as u64));
        read.is_ok() && now == self.last
    }
}

impl Lines {
    fn add(&mut self, line: &[u8]) {
        let Ok(line) = serde_json::from_slice::<Line>(line) else { return };
        match line.kind.as_str() {
            "tool_call" | "model_reply" => drop(self.steps.insert((line.kind, line.run, line.step))),
            "invocation_start" => drop(self.runs.insert(line.event_id, line.run)),
            _ => {}
        }
    }
}

/// The bytes from `start` on, without the blank rest.
fn written(segment: &Path, start: u64) -> Vec<u8> {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; PIECE]);
    let Ok(file) = File::open(segment) else { return bytes };
    while let Ok(read) = file.read_at(&mut piece, start + bytes.len() as u64)
        && read > 0
    {
        bytes.extend_from_slice(&piece[..read]);
        if bytes.ends_with(b"\n\n") {
            break;
        }
    }
    let used = bytes.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| (last + 2).min(bytes.len()));
    bytes.truncate(used);
    bytes
}
