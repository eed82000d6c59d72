//! The incident that the example plants, so that there is something to see: a month's real data
//! arrives, and some of its rows were damaged on the way.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::drops::{Place, names_in, put};
use crate::error::Doing;
use crate::{Error, Pipeline};

/// A month is delivered anew this often at most.
const MAX_DELIVERIES: usize = 1000;

/// What the marker `incident.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// The damaged drop.
    pub file: String,
    /// When it was planted (RFC 3339, UTC).
    pub planted_at: String,
}

/// What came of the wish to plant one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Planting {
    /// A damaged drop lies in the inbox now.
    Planted(Incident),
    /// The last one is not over.
    StillOpen(Incident),
}

impl Pipeline {
    /// Plants a damaged drop, unless the last one is still open. An incident is over when its drop is
    /// in quarantine and its good rows are loaded.
    ///
    /// The marker is written before the drop; a marker without its drop is a planting that was cut
    /// off, and is finished.
    pub fn plant_incident(&self) -> Result<Planting, Error> {
        let _held = self.lock()?;
        if let Some(open) = self.read_marker()? {
            if self.drop_in(Place::Inbox, &open.file)?.is_some() {
                return Ok(Planting::StillOpen(open));
            }
            match self.drop_in(Place::Quarantine, &open.file)? {
                None => return self.deliver(open),
                Some(drop) => {
                    let warehouse = self.warehouse()?;
                    if !drop.is_loaded(&warehouse.loads()?, &warehouse.days()?) {
                        return Ok(Planting::StillOpen(open));
                    }
                }
            }
            fs::remove_file(self.marker()).doing(|| "closing the incident".to_owned())?;
        }
        let incident = Incident { file: self.next_delivery()?.0, planted_at: chrono::Utc::now().to_rfc3339() };
        self.write_marker(&incident)?;
        self.deliver(incident)
    }

    fn deliver(&self, incident: Incident) -> Result<Planting, Error> {
        let from = self.undamaged(&incident.file)?;
        let text = fs::read_to_string(&from).doing(|| format!("reading {}", from.display()))?;
        put(&self.folder(Place::Inbox), &incident.file, damage(&text).as_bytes())?;
        tracing::info!("incident planted: {} arrived, and rows of it are damaged", incident.file);
        Ok(Planting::Planted(incident))
    }

    /// The next month that has not arrived, or the next delivery of the last month: its name and where it lies whole.
    fn next_delivery(&self) -> Result<(String, PathBuf), Error> {
        let sources = self.sources()?;
        let fresh = sources.iter().find(|(name, _)| !self.arrived(name));
        if let Some((name, from)) = fresh {
            return Ok((name.clone(), from.clone()));
        }
        let (name, from) = sources.last().ok_or_else(|| Error::Refused("there is no drop to damage".to_owned()))?;
        let stem = name.strip_suffix(".csv").unwrap_or(name);
        let again = (2..MAX_DELIVERIES).map(|n| format!("{stem}.r{n}.csv")).find(|name| !self.arrived(name));
        let again = again.ok_or_else(|| Error::Refused(format!("{name} was delivered too often")))?;
        Ok((again, from.clone()))
    }

    /// Where the month of a planted drop lies whole.
    fn undamaged(&self, file: &str) -> Result<PathBuf, Error> {
        let whole = self.sources()?.into_iter().rev().find(|(name, _)| {
            let stem = name.strip_suffix(".csv").unwrap_or(name);
            name == file || file.strip_prefix(stem).is_some_and(|rest| rest.starts_with(".r"))
        });
        whole.map(|(_, from)| from).ok_or_else(|| Error::Refused(format!("there is no data to make {file} from")))
    }

    /// The months that arrive later; without any, those that are in the inbox, as new deliveries.
    fn sources(&self) -> Result<Vec<(String, PathBuf)>, Error> {
        let later = self.later().map(PathBuf::from).unwrap_or_else(|| self.folder(Place::Inbox));
        Ok(names_in(&later)?.into_iter().map(|name| (name.clone(), later.join(name))).collect())
    }

    fn arrived(&self, name: &str) -> bool {
        Place::ALL.iter().any(|place| self.folder(*place).join(name).exists())
    }

    fn marker(&self) -> PathBuf {
        self.dir().join("incident.json")
    }

    fn read_marker(&self) -> Result<Option<Incident>, Error> {
        match fs::read(self.marker()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            // A marker cut off in the writing announced nothing yet.
            bytes => Ok(serde_json::from_slice(&bytes.doing(|| "reading the incident's marker".to_owned())?).ok()),
        }
    }

    fn write_marker(&self, incident: &Incident) -> Result<(), Error> {
        let text = serde_json::to_vec(incident).map_err(|error| Error::Damaged(error.to_string()))?;
        let half = self.dir().join(".incident.part");
        let written = File::create(&half).and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()));
        written.and_then(|()| fs::rename(&half, self.marker())).doing(|| "writing the incident's marker".to_owned())
    }
}

/// Damages four rows, a fifth of the file apart, each in another way.
fn damage(text: &str) -> String {
    let rows = text.lines().count().saturating_sub(1);
    let mut out = String::with_capacity(text.len());
    for (at, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.split(',').collect();
        let way = (1..=4).find(|way| at == 1 + way * rows / 5);
        out.push_str(&match (way, cells.as_slice()) {
            (Some(1), [date, rain, _, rest @ ..]) => format!("{date},{rain},,{}", rest.join(",")),
            (Some(2), [date, rain, max, min, _, kind]) => format!("{date},{rain},{max},{min},calm,{kind}"),
            (Some(3), [date, rain, max, ..]) => format!("{date},{rain},{max}"),
            (Some(4), [date, _, rest @ ..]) => format!("{date},-9999,{}", rest.join(",")),
            _ => line.to_owned(),
        });
        out.push('\n');
    }
    out
}
