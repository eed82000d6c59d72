//! The data directory of an instance: where the journal lies, and how `ps`, `logs` and the rest
//! find the runtime that is using it.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use flyball_journal::make_folder;
use serde::{Deserialize, Serialize};

/// A data directory.
#[derive(Debug, Clone)]
pub struct DataDir {
    path: PathBuf,
}

/// Says who is running.
const INSTANCE: &str = "instance.json";

/// Says which journals there are beside the directory's own.
const ELSEWHERE: &str = "journals.json";

/// What a running instance says of itself in its data directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// Its process id.
    pub pid: u32,
    /// The name that its API answers with, another one for each start.
    pub node_id: String,
    /// Where its API listens.
    pub address: SocketAddr,
    /// Since when.
    pub started_at: DateTime<Utc>,
    /// Its version.
    pub version: String,
}

impl DataDir {
    /// The directory at `path`, which need not be there yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the journal lies unless a manifest says otherwise.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    /// The folders of the journals that a manifest of an instance named, wherever they are.
    pub fn journals_elsewhere(&self) -> Result<Vec<PathBuf>> {
        let file = self.path.join(ELSEWHERE);
        match fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| format!("reading {}", file.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error).with_context(|| format!("reading {}", file.display())),
        }
    }

    /// Remembers the folder of a journal, so that who looks back here finds it. To be called before
    /// anything is written to it.
    pub fn remember_journal(&self, journal: &Path) -> Result<()> {
        let mut known = self.journals_elsewhere()?;
        if known.iter().any(|one| one == journal) {
            return Ok(());
        }
        known.push(journal.to_owned());
        self.replace(ELSEWHERE, &serde_json::to_vec_pretty(&known)?)
    }

    /// Says who is running here. Replaced as a whole, so that nobody reads half of it.
    pub fn announce(&self, instance: &Instance) -> Result<()> {
        self.replace(INSTANCE, &serde_json::to_vec_pretty(instance)?)
    }

    /// This process runs here no more. What another one has announced since is left alone.
    pub fn withdraw(&self) {
        if self.instance().is_ok_and(|instance| instance.pid == std::process::id()) {
            // If it stays, whoever reads it finds nobody at the address and says so.
            let _ = fs::remove_file(self.file());
        }
    }

    /// Who is running here.
    pub fn instance(&self) -> Result<Instance> {
        let file = self.file();
        let Ok(text) = fs::read(&file) else {
            let path = self.path.display();
            bail!(
                "no runtime is running on {path}: start one with `flyball run DIR --data {path}`, or name its directory before \
                 the command, as in `flyball --data DIR ps`"
            );
        };
        serde_json::from_slice(&text).with_context(|| format!("reading {}", file.display()))
    }

    /// Whether a program that is alive has the journal open.
    pub fn is_held(&self) -> bool {
        flyball_journal::is_held(&self.journal())
    }

    fn file(&self) -> PathBuf {
        self.path.join(INSTANCE)
    }

    fn replace(&self, file: &str, text: &[u8]) -> Result<()> {
        make_folder(&self.path).with_context(|| format!("making {}", self.path.display()))?;
        let (draft, file) = (self.path.join(format!("{file}.new")), self.path.join(file));
        let written = fs::File::create(&draft).and_then(|mut draft| draft.write_all(text).and_then(|()| draft.sync_all()));
        written.with_context(|| format!("writing {}", draft.display()))?;
        // Without the folder's own sync a power loss could take back the new name, and with it the way to a journal.
        let renamed = fs::rename(&draft, &file).and_then(|()| fs::File::open(&self.path)?.sync_all());
        renamed.with_context(|| format!("writing {}", file.display()))
    }
}
