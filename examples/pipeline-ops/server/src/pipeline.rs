//! The pipeline's folder, and how it is made.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::drops::{Place, put};
use crate::error::Doing;
use crate::ledger::Ledger;
use crate::lock::{self, Guard};
use crate::warehouse::Warehouse;

/// The one pipeline's name.
pub const NAME: &str = "seattle-weather";

/// Written when the first drops are in the inbox and loaded.
const SEEDED: &str = ".seeded";

/// A pipeline in its folder. Any number of processes may have it open.
#[derive(Debug, Clone)]
pub struct Pipeline {
    dir: PathBuf,
    later: Option<PathBuf>,
    refuse_loads: bool,
}

impl Pipeline {
    /// Opens the pipeline in `dir`. The first time, it is made: the `.csv` files of `seed` are copied
    /// into the inbox and loaded. Being killed while it is made only means that it is made again.
    pub fn open(dir: &Path, seed: Option<&Path>) -> Result<Self, Error> {
        for place in Place::ALL {
            let folder = dir.join(place.folder());
            fs::create_dir_all(&folder).doing(|| format!("making {}", folder.display()))?;
        }
        let later = seed.map(|seed| seed.join("later")).filter(|later| later.is_dir());
        let pipeline = Self { dir: dir.to_owned(), later, refuse_loads: false };
        let held = pipeline.lock()?;
        let seeded = dir.join(SEEDED);
        if let Some(seed) = seed.filter(|_| !seeded.exists()) {
            pipeline.fill_inbox(seed)?;
            let loaded = pipeline.load_drops(None)?;
            fs::write(&seeded, "").doing(|| format!("writing {}", seeded.display()))?;
            tracing::info!("made the pipeline in {}: {} rows in the warehouse", dir.display(), loaded.rows_in_warehouse);
        } else {
            Warehouse::create(&pipeline.warehouse_path())?;
        }
        drop(held);
        Ok(pipeline)
    }

    /// From now on every load meets a database that refuses writes, as a full or locked disk would.
    #[must_use]
    pub fn refusing_loads(self, refuse: bool) -> Self {
        Self { refuse_loads: refuse, ..self }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The ledger of the tools that change something.
    pub fn ledger(&self) -> Ledger {
        Ledger::at(self.dir.join("ledger.jsonl"))
    }

    /// Where the months lie that have not arrived yet.
    pub(crate) fn later(&self) -> Option<&Path> {
        self.later.as_deref()
    }

    pub(crate) fn folder(&self, place: Place) -> PathBuf {
        self.dir.join(place.folder())
    }

    pub(crate) fn warehouse_path(&self) -> PathBuf {
        self.dir.join("warehouse.db")
    }

    /// Opens the warehouse for looking.
    pub(crate) fn warehouse(&self) -> Result<Warehouse, Error> {
        Warehouse::read_only(&self.warehouse_path())
    }

    /// Opens the warehouse for a load.
    pub(crate) fn warehouse_for_load(&self) -> Result<Warehouse, Error> {
        if self.refuse_loads { self.warehouse() } else { Warehouse::create(&self.warehouse_path()) }
    }

    /// Waits for the right to change the pipeline.
    pub(crate) fn lock(&self) -> Result<Guard, Error> {
        lock::exclusive(&self.dir.join(".lock"))
    }

    /// Waits until nobody changes the pipeline, and keeps it so.
    pub(crate) fn lock_shared(&self) -> Result<Guard, Error> {
        lock::shared(&self.dir.join(".lock"))
    }

    fn fill_inbox(&self, seed: &Path) -> Result<(), Error> {
        let drops = crate::drops::names_in(seed)?;
        if drops.is_empty() {
            return Err(Error::Refused(format!("no .csv file in {} to make a pipeline of", seed.display())));
        }
        for name in drops {
            let from = seed.join(&name);
            let bytes = fs::read(&from).doing(|| format!("reading {}", from.display()))?;
            put(&self.folder(Place::Inbox), &name, &bytes)?;
        }
        Ok(())
    }
}
