//! Tables whose columns are as wide as what stands in them.

use owo_colors::{AnsiColors, OwoColorize};

use super::output;

/// Rows under titles. The last column is cut at the terminal's edge, where there is one.
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Row>,
}

/// A column's title, and whether it holds numbers.
struct Column {
    title: &'static str,
    right: bool,
    least: usize,
}

enum Row {
    Cells(Vec<Cell>),
    /// A remark on the row before it, under its second column.
    Under(String),
}

/// What stands in a row's column.
pub struct Cell {
    text: String,
    colour: Option<AnsiColors>,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, colour: None }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl Cell {
    /// In this colour, where colours are shown.
    pub fn painted(self, colour: Option<AnsiColors>) -> Self {
        Self { colour, ..self }
    }
}

/// The last column is never cut shorter than this.
const LEAST_LAST: usize = 20;

impl Table {
    /// No rows yet. A title that begins with a blank is that of a column of numbers.
    pub fn new(titles: &[&'static str]) -> Self {
        let column = |title: &&'static str| Column { title: title.trim_start(), right: title.starts_with(' '), least: 0 };
        Self { columns: titles.iter().map(column).collect(), rows: Vec::new() }
    }

    /// The first column has room for `least` letters in any case.
    pub fn first_at_least(mut self, least: usize) -> Self {
        self.columns[0].least = least;
        self
    }

    /// Adds a row with a cell for each column.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(Row::Cells(cells));
    }

    /// Adds a remark to the row before.
    pub fn under(&mut self, remark: String) {
        self.rows.push(Row::Under(remark));
    }

    /// Prints it.
    pub fn print(&self) {
        self.lines(output::terminal_width(), output::colour()).iter().for_each(|line| output::line(line));
    }

    fn lines(&self, terminal: Option<usize>, colour: bool) -> Vec<String> {
        let widths = self.widths();
        let titles = self.columns.iter().map(|column| column.title.into()).collect::<Vec<Cell>>();
        let mut lines = vec![self.line(&titles, &widths, terminal, false)];
        lines.extend(self.rows.iter().map(|row| match row {
            Row::Cells(cells) => self.line(cells, &widths, terminal, colour),
            Row::Under(remark) => format!("{:<width$} {remark}", "", width = widths[0]),
        }));
        lines
    }

    fn widths(&self) -> Vec<usize> {
        let width = |index: usize, column: &Column| {
            let cells = self.rows.iter().filter_map(|row| match row {
                Row::Cells(cells) => Some(letters(&cells.get(index)?.text)),
                Row::Under(_) => None,
            });
            cells.max().unwrap_or_default().max(letters(column.title)).max(column.least)
        };
        self.columns.iter().enumerate().map(|(index, column)| width(index, column)).collect()
    }

    fn line(&self, cells: &[Cell], widths: &[usize], terminal: Option<usize>, colour: bool) -> String {
        let (mut line, mut taken) = (String::new(), 0);
        for (index, (cell, column)) in cells.iter().zip(&self.columns).enumerate() {
            let last = index + 1 == self.columns.len();
            let gap = if index == 0 { 0 } else { 1 + usize::from(last) };
            let text = match (last, column.right) {
                (true, _) => cut(&cell.text, terminal.map(|width| width.saturating_sub(taken + gap).max(LEAST_LAST))),
                (false, true) => format!("{:>width$}", cell.text, width = widths[index]),
                (false, false) => format!("{:<width$}", cell.text, width = widths[index]),
            };
            taken += gap + letters(&text);
            line.extend(std::iter::repeat_n(' ', gap));
            line += &match cell.colour.filter(|_| colour) {
                Some(colour) => text.color(colour).to_string(),
                None => text,
            };
        }
        line.truncate(line.trim_end().len());
        line
    }
}

fn letters(text: &str) -> usize {
    text.chars().count()
}

/// `text` in at most `width` letters.
fn cut(text: &str, width: Option<usize>) -> String {
    match width {
        Some(width) if letters(text) > width => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["NAME", " RUNS", "WHY"]);
        table.row(vec!["a".into(), "7".into(), "waiting for a trigger of any kind".into()]);
        table.under("remark".into());
        table.row(vec!["a-long-name".into(), "12345".into(), String::new().into()]);
        table
    }

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let lines = table().lines(None, false);
        assert_eq!(lines[0], "NAME         RUNS  WHY");
        assert_eq!(lines[1], "a               7  waiting for a trigger of any kind");
        assert_eq!(lines[2], "            remark");
        assert_eq!(lines[3], "a-long-name 12345");
    }

    #[test]
    fn the_last_column_ends_at_the_terminals_edge() {
        let lines = table().lines(Some(42), false);
        assert_eq!(lines[1], "a               7  waiting for a trigger …");
        assert_eq!(letters(&lines[1]), 42);
    }
}
