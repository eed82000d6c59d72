//! Where the records of runs, events and processes lie in a log, so that looking back need not read
//! all of it.

mod look;
mod stretch;
mod walk;

use std::cell::Cell;
use std::path::Path;

use super::database::{Database, Found, guarded, trouble};
use super::posting::{Table, split};
use crate::log::follow::{self, Halt, Reached, follow};
use crate::storage::{FileStorage, Storage};

/// An index over the log in a folder. It owns its database alone, and the log not at all.
pub(super) struct HistoryIndex {
    storage: FileStorage,
    database: Database,
    reached: Reached,
    /// The number of the log's oldest segment; what lies before it is not there any more.
    oldest: u64,
    read: Cell<u64>,
}

/// What the database's entries mean. Another number makes every index anew.
const VERSION: u32 = 2;

/// Under this key stands how far the log was read. No table's keys begin so.
const REACHED: &[u8] = b"\0reached";

impl HistoryIndex {
    /// The index over the log in `journal`, as it was left; made if it is not there.
    pub fn open(journal: &Path) -> Result<Self, Halt> {
        let storage = crate::log::open(journal).map_err(Halt::Failed)?;
        let dir = journal.join("index").join("history");
        let (database, found) = Database::open(&dir, VERSION)?;
        let mut index = Self { storage, database, reached: Reached::default(), oldest: 0, read: Cell::new(0) };
        if let Found::Spoiled(why) = found {
            index.tell(&why);
        }
        if let Some(text) = guarded(|| index.get(REACHED))?? {
            index.reached = serde_json::from_slice(&text).map_err(|error| Halt::Wrong(error.to_string()))?;
        }
        Ok(index)
    }

    /// Reads on to the log's end, and forgets what was dropped. Where what it knows is not what the log
    /// has, it begins again.
    pub fn catch_up(&mut self) -> Result<(), Halt> {
        match self.try_to_catch_up() {
            Err(Halt::Wrong(why)) => self.rebuild(&why),
            done => done,
        }
    }

    /// Begins again from an empty database.
    pub fn rebuild(&mut self, why: &str) -> Result<(), Halt> {
        self.tell(why);
        let done = self.begin_again().and_then(|()| self.try_to_catch_up());
        if let Err(Halt::Wrong(_)) = done {
            // Reading anew does not mend it. The next one need not look at it.
            self.database.forsake();
        }
        done
    }

    /// How many bytes of the log were read so far.
    pub fn read(&self) -> u64 {
        self.read.get()
    }

    fn try_to_catch_up(&mut self) -> Result<(), Halt> {
        Halt::try_again(|| guarded(|| self.read_on())?)
    }

    fn begin_again(&mut self) -> Result<(), Halt> {
        self.reached = Reached::default();
        self.database.clear()
    }

    fn read_on(&mut self) -> Result<(), Halt> {
        let names = self.segments()?;
        // All that it knows is gone from the log: nothing is wrong with it, and nothing of it is left.
        if names.first().is_some_and(|first| !self.reached.segment.is_empty() && *first > self.reached.segment) {
            self.begin_again()?;
        }
        self.oldest = names.first().and_then(|name| follow::number(name)).unwrap_or(0);
        self.hold_against(&names)?;
        let reached = self.reached.clone();
        let Self { storage, database, read, .. } = &*self;
        let tree = database.tree()?;
        let mut now = reached.clone();
        let followed = follow(storage, &names, reached, &mut |stretch, reached| {
            read.set(read.get() + stretch.bytes);
            // Where nothing is new, nothing is written.
            if *reached != now {
                stretch::add(tree, storage.path(), &stretch, reached)?;
                now = reached.clone();
            }
            Ok(())
        });
        self.reached = now;
        followed
    }

    /// The log's segments, which must all be its own.
    fn segments(&self) -> Result<Vec<String>, Halt> {
        let listed = self.storage.list();
        let names = listed.map_err(|error| Halt::Failed(crate::log::io_error("listing", &self.storage, "", &error)))?;
        match names.iter().find(|name| follow::number(name).is_none()) {
            Some(other) => Err(Halt::Broken(format!("{other} is no segment's name"))),
            None => Ok(names),
        }
    }

    /// Every segment that was read must still be there, but for the oldest ones, which are forgotten.
    fn hold_against(&self, names: &[String]) -> Result<(), Halt> {
        let tree = self.tree()?;
        let mut known = Vec::new();
        for key in tree.scan_prefix([Table::Segment as u8]).keys() {
            let key = key.map_err(|error| self.trouble(error))?;
            known.push(split(&key).ok_or_else(walk::unreadable)?.1.0);
        }
        let (gone, known): (Vec<u64>, Vec<u64>) = known.into_iter().partition(|segment| *segment < self.oldest);
        let read = names.iter().filter(|name| **name <= self.reached.segment);
        if !read.eq(known.iter().map(|segment| follow::name(*segment)).collect::<Vec<_>>().iter()) {
            return Err(Halt::Wrong("the segments that it has read are not those that are there".into()));
        }
        // What is gone is not looked at any more. To take it out costs a walk over everything.
        if gone.len() > known.len() {
            stretch::forget(tree, self.oldest).map_err(|error| self.trouble(error))?;
        }
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, Halt> {
        self.database.tree()?.get(key).map_err(|error| trouble(self.storage.path(), error))
    }

    fn tell(&self, why: &str) {
        tracing::warn!(journal = %self.storage.path().display(), why, "the journal's index is made anew");
    }
}
