//! The database that the drops are loaded into.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use chrono::NaiveDate;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::Error;
use crate::observation::Observation;

/// Another program may hold the database this long before a call gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS weather (
        date TEXT PRIMARY KEY, precipitation REAL NOT NULL, temp_max REAL NOT NULL,
        temp_min REAL NOT NULL, wind REAL NOT NULL, weather TEXT NOT NULL, source TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS loads (
        source TEXT NOT NULL, sha256 TEXT NOT NULL, rows INTEGER NOT NULL, bad_rows INTEGER NOT NULL,
        at TEXT NOT NULL, PRIMARY KEY (source, sha256)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS calls (key TEXT PRIMARY KEY, result TEXT NOT NULL) WITHOUT ROWID;
";

/// A connection.
#[derive(Debug)]
pub(crate) struct Warehouse {
    connection: Connection,
}

/// What happens to a day that the warehouse has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// The new row replaces it: a clean drop is the truth about its days.
    Replace,
    /// It stays: what is saved from a damaged drop never replaces anything.
    Keep,
}

impl Warehouse {
    /// Opens the database and makes its tables where they are missing.
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection })
    }

    /// Opens the database so that the database itself refuses every write.
    pub(crate) fn read_only(path: &Path) -> Result<Self, Error> {
        let warehouse = Self::create(path)?;
        warehouse.connection.pragma_update(None, "query_only", true)?;
        Ok(warehouse)
    }

    /// Begins a load: all of it is kept by `commit`, or nothing.
    pub(crate) fn begin(&mut self) -> Result<Transaction<'_>, Error> {
        Ok(self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
    }

    /// The days it has.
    pub(crate) fn days(&self) -> Result<HashSet<NaiveDate>, Error> {
        days(&self.connection)
    }

    /// Which contents were loaded, as (source, sha256).
    pub(crate) fn loads(&self) -> Result<HashSet<(String, String)>, Error> {
        loads(&self.connection)
    }

    /// What the load with this key answered, if it was committed.
    pub(crate) fn call(&self, key: &str) -> Result<Option<String>, Error> {
        let mut query = self.connection.prepare("SELECT result FROM calls WHERE key = ?1")?;
        Ok(query.query_row([key], |row| row.get(0)).optional()?)
    }
}

/// The days that the warehouse has.
pub(crate) fn days(connection: &Connection) -> Result<HashSet<NaiveDate>, Error> {
    let mut query = connection.prepare("SELECT date FROM weather")?;
    let days = query.query_map([], |row| row.get::<_, String>(0))?;
    let mut all = HashSet::new();
    for day in days {
        let day = day?;
        all.insert(day.parse().map_err(|_| Error::Damaged(format!("the warehouse has a day called '{day}'")))?);
    }
    Ok(all)
}

/// Which contents were loaded, as (source, sha256).
pub(crate) fn loads(connection: &Connection) -> Result<HashSet<(String, String)>, Error> {
    let mut query = connection.prepare("SELECT source, sha256 FROM loads")?;
    let all = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(all.collect::<Result<_, _>>()?)
}

/// Writes a drop's rows; says how many are in the warehouse by this.
pub(crate) fn store(connection: &Connection, source: &str, rows: &[Observation], known: Known) -> Result<usize, Error> {
    let on_conflict = match known {
        Known::Keep => "DO NOTHING",
        Known::Replace => {
            connection.execute("DELETE FROM weather WHERE source = ?1", [source])?;
            "DO UPDATE SET precipitation = excluded.precipitation, temp_max = excluded.temp_max,
             temp_min = excluded.temp_min, wind = excluded.wind, weather = excluded.weather, source = excluded.source"
        }
    };
    let mut insert = connection
        .prepare(&format!("INSERT INTO weather VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (date) {on_conflict}"))?;
    let mut stored = 0;
    for row in rows {
        stored += insert.execute(params![
            row.date.to_string(),
            row.precipitation,
            row.temp_max,
            row.temp_min,
            row.wind,
            row.weather,
            source
        ])?;
    }
    Ok(stored)
}

/// Notes that a content was loaded.
pub(crate) fn note_load(connection: &Connection, source: &str, sha256: &str, rows: usize, bad: usize) -> Result<(), Error> {
    let at = chrono::Utc::now().to_rfc3339();
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let (rows, bad) = (count(rows), count(bad));
    connection.execute("INSERT OR REPLACE INTO loads VALUES (?1, ?2, ?3, ?4, ?5)", params![source, sha256, rows, bad, at])?;
    Ok(())
}

/// Notes what a load answered, in the load's own transaction.
pub(crate) fn note_call(connection: &Connection, key: &str, result: &str) -> Result<(), Error> {
    connection.execute("INSERT INTO calls VALUES (?1, ?2)", [key, result])?;
    Ok(())
}
