//! One field of a cron expression: checked here, so that a mistake is named for what it is, and
//! written out in plain numbers for the calendar's arithmetic.

/// One of the six fields.
pub(super) struct Field {
    name: &'static str,
    min: u32,
    max: u32,
    /// Names of the values from `min` on.
    names: &'static [&'static str],
}

const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

pub(super) const MINUTE: Field = Field { name: "minute", min: 0, max: 59, names: &[] };
pub(super) const HOUR: Field = Field { name: "hour", min: 0, max: 23, names: &[] };
pub(super) const DAY: Field = Field { name: "day of month", min: 1, max: 31, names: &[] };
pub(super) const MONTH: Field = Field { name: "month", min: 1, max: 12, names: MONTHS };
pub(super) const WEEKDAY: Field = Field { name: "day of week", min: 0, max: 7, names: WEEKDAYS };
pub(super) const SECOND: Field = Field { name: "second", min: 0, max: 59, names: &[] };

/// A field's meaning in plain form.
pub(super) struct Plain {
    /// `*`, or a list of numbers and of what only days have (`L`, `15W`, `5#2`, `5L`).
    pub(super) text: String,
    /// Every value is in it.
    pub(super) all: bool,
}

impl Field {
    /// Reads `text`. The error names the field and the value.
    pub(super) fn read(&self, text: &str) -> Result<Plain, String> {
        let upper = text.to_ascii_uppercase();
        if upper == "*" || (upper == "?" && self.is_day()) {
            return Ok(Plain { text: "*".to_owned(), all: true });
        }
        let mut values = vec![false; self.max as usize + 1];
        let mut special = Vec::new();
        for item in upper.split(',') {
            match self.special(item)? {
                Some(plain) => special.push(plain),
                None => self.fill(item, &mut values)?,
            }
        }
        let set = |value: &u32| values.get(*value as usize).copied().unwrap_or(false);
        let all = (self.min..=self.max).all(|value| set(&value));
        let numbers = (self.min..=self.max).filter(set).map(|value| value.to_string());
        Ok(Plain { text: numbers.chain(special).collect::<Vec<_>>().join(","), all })
    }

    fn is_day(&self) -> bool {
        matches!(self.name, "day of month" | "day of week")
    }

    /// What stands for days that have no fixed number: `L`, `15W` in a month; `5#2`, `5L` or `L5` in a week.
    fn special(&self, item: &str) -> Result<Option<String>, String> {
        match self.name {
            "day of month" if item == "L" => Ok(Some(item.to_owned())),
            "day of month" => match item.strip_suffix('W') {
                Some(day) => Ok(Some(format!("{}W", self.value(day)?))),
                None => Ok(None),
            },
            "day of week" if item == "L" => Err(format!("{}: which last day? 5L is the month's last Friday", self.name)),
            "day of week" => self.special_weekday(item),
            _ => Ok(None),
        }
    }

    fn special_weekday(&self, item: &str) -> Result<Option<String>, String> {
        if let Some((day, nth)) = item.split_once('#') {
            let day = self.value(day)? % 7;
            return match nth.parse::<u32>() {
                Ok(nth @ 1..=5) => Ok(Some(format!("{day}#{nth}"))),
                _ => Err(format!("{}: '#{nth}' must be #1 to #5, such as MON#2 for the second Monday", self.name)),
            };
        }
        match item.strip_suffix('L').or_else(|| item.strip_prefix('L')) {
            Some(day) => Ok(Some(format!("{}L", self.value(day)? % 7))),
            None => Ok(None),
        }
    }

    /// Sets the values of `*`, `a`, `a-b`, each with a step or without.
    fn fill(&self, item: &str, values: &mut [bool]) -> Result<(), String> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (item, None),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (self.value(first)?, self.range_end(last)?),
            None if range == "*" => (self.min, self.max),
            None => {
                let value = self.value(range)?;
                (value, if step.is_some() { self.max } else { value })
            }
        };
        if first > last {
            return Err(format!("{}: the range {range} runs backwards; write it as two ranges, with a comma", self.name));
        }
        for value in (first..=last).step_by(step.unwrap_or(1)) {
            // Sunday is 0 and 7.
            let value = if self.name == "day of week" && value == 7 { 0 } else { value };
            if let Some(place) = values.get_mut(value as usize) {
                *place = true;
            }
        }
        Ok(())
    }

    fn range_end(&self, text: &str) -> Result<u32, String> {
        let end = self.value(text)?;
        Ok(if self.name == "day of week" && text == "SUN" { 7 } else { end })
    }

    fn step(&self, text: &str) -> Result<usize, String> {
        match text.parse::<usize>() {
            Ok(0) => Err(format!("{}: a step of 0 goes nowhere", self.name)),
            Ok(step) if step <= self.max as usize => Ok(step),
            Ok(step) => Err(format!("{}: a step of {step} is wider than the field ({}-{})", self.name, self.min, self.max)),
            Err(_) => Err(format!("{}: '/{text}' is not a step", self.name)),
        }
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        if let Some(index) = self.names.iter().position(|name| *name == text) {
            return Ok(self.min + u32::try_from(index).unwrap_or_default());
        }
        match text.parse::<u32>() {
            Ok(value) if (self.min..=self.max).contains(&value) => Ok(value),
            Ok(value) => Err(format!("{} {value} is not between {} and {}", self.name, self.min, self.max)),
            Err(_) if text.is_empty() => Err(format!("{}: a value is missing", self.name)),
            Err(_) => Err(format!("{}: '{text}' is not a value; it takes {}", self.name, self.takes())),
        }
    }

    fn takes(&self) -> String {
        let numbers = format!("{}-{}", self.min, self.max);
        match (self.names.first(), self.names.last()) {
            (Some(first), Some(last)) => format!("{numbers}, {first}-{last}, *, lists, ranges and steps"),
            _ => format!("{numbers}, *, lists, ranges and steps"),
        }
    }
}
