//! What a drop must look like, and which of its rows do not.

use std::collections::HashSet;

use chrono::NaiveDate;
use csv::StringRecord;

use crate::drop_name::Month;
use crate::observation::{Columns, Observation};
use crate::text::clip;

/// A larger drop is not read: a month has 2 kB, and everything here is held in memory.
pub const MAX_DROP_BYTES: u64 = 4 * 1024 * 1024;

/// A bad row is quoted up to this many characters.
const MAX_QUOTED_CHARS: usize = 200;

/// A row that cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Its line in the file, the header being line 1.
    pub line: u64,
    /// Everything that is wrong with it.
    pub reasons: Vec<String>,
    /// The row, cut to a readable length.
    pub text: String,
}

/// What was found in one drop.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Rows below the header.
    pub rows: usize,
    /// The rows that can be loaded.
    pub good: Vec<Observation>,
    /// The rows that cannot.
    pub bad: Vec<BadRow>,
    /// Cells without a value.
    pub nulls: usize,
    /// Columns that should be there.
    pub missing_columns: Vec<String>,
    /// Columns that nobody announced.
    pub extra_columns: Vec<String>,
    /// What is wrong with the drop as a whole.
    pub file_problems: Vec<String>,
}

impl Report {
    /// Whether the drop may be loaded as it is.
    pub fn is_clean(&self) -> bool {
        self.bad.is_empty() && self.file_problems.is_empty()
    }

    /// What is wrong, in one line; nothing for a clean drop.
    pub fn summary(&self) -> Option<String> {
        let mut parts = self.file_problems.clone();
        if let Some(first) = self.bad.first() {
            let (bad, rows) = (self.bad.len(), self.rows);
            parts.push(format!("{bad} of {rows} rows are bad; the first is line {}: {}", first.line, first.reasons.join(", ")));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// The newest day among the good rows.
    pub fn newest(&self) -> Option<NaiveDate> {
        self.good.iter().map(|row| row.date).max()
    }
}

/// Reads a drop. `month` is what its name announced. Never fails: whatever is wrong is in the report.
pub fn validate(bytes: &[u8], month: Option<Month>) -> Report {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut report = Report::default();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(bytes);
    let mut records = reader.byte_records();
    let Some(Ok(header)) = records.next() else {
        report.file_problems.push("the file is empty".to_owned());
        return report;
    };
    let columns = Columns::of(&StringRecord::from_byte_record_lossy(header), &mut report);
    let mut seen = HashSet::new();
    for record in records {
        report.rows += 1;
        match record {
            Ok(bytes) => judge_row(bytes, columns.as_ref(), month, &mut seen, &mut report),
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                report.bad.push(BadRow { line, reasons: vec![clip(&error.to_string(), 120)], text: String::new() });
            }
        }
    }
    judge_whole(month, &seen, &mut report);
    report
}

fn judge_row(
    bytes: csv::ByteRecord,
    columns: Option<&Columns>,
    month: Option<Month>,
    seen: &mut HashSet<NaiveDate>,
    report: &mut Report,
) {
    let line = bytes.position().map_or(0, csv::Position::line);
    let record = StringRecord::from_byte_record_lossy(bytes);
    report.nulls += record.iter().filter(|cell| crate::observation::is_null(cell)).count();
    let Some(columns) = columns else {
        // Without its columns no cell of a row has a meaning; the report already says so.
        return;
    };
    let reasons = match Observation::read(&record, columns) {
        Err(reasons) => reasons,
        Ok(row) if month.is_some_and(|month| !month.contains(row.date)) => {
            vec![format!("date {} is not in the month of the file's name", row.date)]
        }
        Ok(row) if !seen.insert(row.date) => vec![format!("date {} is there twice", row.date)],
        Ok(row) => {
            report.good.push(row);
            return;
        }
    };
    let text = clip(&record.iter().collect::<Vec<_>>().join(","), MAX_QUOTED_CHARS);
    report.bad.push(BadRow { line, reasons, text });
}

fn judge_whole(month: Option<Month>, seen: &HashSet<NaiveDate>, report: &mut Report) {
    if !report.missing_columns.is_empty() {
        report.file_problems.push(format!("columns are missing: {}", report.missing_columns.join(", ")));
    }
    if !report.extra_columns.is_empty() {
        report.file_problems.push(format!("columns that nobody announced: {}", report.extra_columns.join(", ")));
    }
    if report.rows == 0 {
        report.file_problems.push("no row below the header".to_owned());
    }
    // Only a drop whose rows are all good can be said to lack a day: a bad row may be that day.
    if let Some(month) = month.filter(|_| report.bad.is_empty() && report.missing_columns.is_empty())
        && seen.len() < month.days()
        && report.rows > 0
    {
        let missing = month.days() - seen.len();
        report.file_problems.push(format!("{missing} of {} days of {month} are missing", month.days()));
    }
}
