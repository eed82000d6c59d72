//! One day's weather, read from one row.

use chrono::NaiveDate;
use csv::StringRecord;

use crate::text::clip;
use crate::validate::Report;

/// The columns of a drop; their order in the file does not matter.
pub const COLUMNS: [&str; 6] = ["date", "precipitation", "temp_max", "temp_min", "wind", "weather"];

/// What `weather` may say.
pub const KINDS: [&str; 5] = ["drizzle", "fog", "rain", "snow", "sun"];

/// One day's weather.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The day.
    pub date: NaiveDate,
    /// Millimetres of rain and melted snow.
    pub precipitation: f64,
    /// Degrees Celsius.
    pub temp_max: f64,
    /// Degrees Celsius.
    pub temp_min: f64,
    /// The day's mean wind speed, in the source's unit.
    pub wind: f64,
    /// One of [`KINDS`].
    pub weather: String,
}

impl Observation {
    /// Reads a row, or says everything that is wrong with it.
    pub(crate) fn read(record: &StringRecord, columns: &Columns) -> Result<Self, Vec<String>> {
        if record.len() != columns.width {
            return Err(vec![format!("{} cells where the header has {}", record.len(), columns.width)]);
        }
        let mut wrong = Vec::new();
        let row = Self {
            date: date(columns.cell(record, 0), &mut wrong),
            // The limits are wider than any record on earth, and far from the sentinels -999 and 9999.
            precipitation: number(columns.cell(record, 1), COLUMNS[1], 0.0, 2000.0, &mut wrong),
            temp_max: number(columns.cell(record, 2), COLUMNS[2], -90.0, 60.0, &mut wrong),
            temp_min: number(columns.cell(record, 3), COLUMNS[3], -90.0, 60.0, &mut wrong),
            wind: number(columns.cell(record, 4), COLUMNS[4], 0.0, 150.0, &mut wrong),
            weather: kind(columns.cell(record, 5), &mut wrong),
        };
        if wrong.is_empty() && row.temp_min > row.temp_max {
            wrong.push(format!("temp_min {} is above temp_max {}", row.temp_min, row.temp_max));
        }
        if wrong.is_empty() { Ok(row) } else { Err(wrong) }
    }
}

/// Where a drop has its columns.
#[derive(Debug)]
pub(crate) struct Columns {
    places: [usize; COLUMNS.len()],
    width: usize,
}

impl Columns {
    /// Finds the columns and notes in the report what is missing or too much; nothing if a column is missing.
    pub(crate) fn of(header: &StringRecord, report: &mut Report) -> Option<Self> {
        let place = |name: &&str| header.iter().position(|cell| cell == *name);
        report.missing_columns = COLUMNS.iter().filter(|name| place(name).is_none()).map(ToString::to_string).collect();
        let known = |place: usize, cell: &str| COLUMNS.contains(&cell) && header.iter().position(|c| c == cell) == Some(place);
        let extra = header.iter().enumerate().filter(|(place, cell)| !known(*place, cell));
        report.extra_columns = extra.take(MAX_NAMED_COLUMNS).map(|(_, cell)| clip(cell, 40)).collect();
        let mut places = [0; COLUMNS.len()];
        for (at, name) in places.iter_mut().zip(&COLUMNS) {
            *at = place(name)?;
        }
        Some(Self { places, width: header.len() })
    }

    fn cell<'a>(&self, record: &'a StringRecord, column: usize) -> &'a str {
        record.get(self.places[column]).unwrap_or_default()
    }
}

/// A header of garbage need not be repeated in full.
const MAX_NAMED_COLUMNS: usize = 20;

/// Whether a cell says that there is no value.
pub(crate) fn is_null(cell: &str) -> bool {
    cell.is_empty() || ["na", "null", "none", "nan"].contains(&cell.to_ascii_lowercase().as_str())
}

fn date(cell: &str, wrong: &mut Vec<String>) -> NaiveDate {
    // chrono would also take 2012-1-5, under which the same day would be two keys for other readers.
    let parsed = (cell.len() == 10).then(|| NaiveDate::parse_from_str(cell, "%Y-%m-%d").ok()).flatten();
    parsed.unwrap_or_else(|| {
        wrong.push(said(COLUMNS[0], cell, "is not a date like 2012-01-31"));
        NaiveDate::default()
    })
}

fn number(cell: &str, column: &str, least: f64, most: f64, wrong: &mut Vec<String>) -> f64 {
    match cell.parse::<f64>() {
        Ok(number) if (least..=most).contains(&number) => return number,
        Ok(number) if number.is_finite() => wrong.push(said(column, cell, &format!("is not between {least} and {most}"))),
        _ => wrong.push(said(column, cell, "is not a number")),
    }
    0.0
}

fn kind(cell: &str, wrong: &mut Vec<String>) -> String {
    if !KINDS.contains(&cell) {
        wrong.push(said(COLUMNS[5], cell, &format!("is none of {}", KINDS.join(", "))));
    }
    cell.to_owned()
}

fn said(column: &str, cell: &str, what: &str) -> String {
    if is_null(cell) { format!("{column} has no value") } else { format!("{column} '{}' {what}", clip(cell, 40)) }
}
