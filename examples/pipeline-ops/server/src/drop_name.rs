//! Names of drops: which ones are let near a path, and which month they announce.

use chrono::{Datelike, NaiveDate};

use crate::Error;

/// A longer name is no drop; file systems refuse more than 255 bytes and a suffix must still fit.
const MAX_NAME_BYTES: usize = 200;

/// Says no to every name that is not a plain file name of a CSV drop, so that a name can be joined
/// to a folder without ever leaving it.
pub fn check(name: &str) -> Result<&str, Error> {
    let plain = !name.starts_with('.')
        && name.ends_with(".csv")
        && name.len() <= MAX_NAME_BYTES
        && !name.chars().any(|c| std::path::is_separator(c) || c.is_control());
    if plain {
        Ok(name)
    } else {
        let why = "must be the plain name of a .csv file in the inbox, without any folder";
        Err(Error::Refused(format!("file '{}' {why}", crate::text::clip(name, 80))))
    }
}

/// A calendar month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Month {
    first: NaiveDate,
}

impl Month {
    /// The month that `weather-YYYY-MM.csv`, or the same with something between month and ending,
    /// announces. Drops of other names announce none and may hold any dates.
    pub fn announced_by(name: &str) -> Option<Self> {
        let rest = name.strip_prefix("weather-")?;
        let (month, rest) = rest.split_at_checked(7)?;
        let first = NaiveDate::parse_from_str(&format!("{month}-01"), "%Y-%m-%d").ok()?;
        rest.starts_with('.').then_some(Self { first })
    }

    /// Whether `date` lies in it.
    pub fn contains(&self, date: NaiveDate) -> bool {
        (date.year(), date.month()) == (self.first.year(), self.first.month())
    }

    /// How many days it has.
    pub fn days(&self) -> usize {
        usize::from(self.first.num_days_in_month())
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.first.format("%Y-%m"))
    }
}
