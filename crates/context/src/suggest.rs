//! What somebody probably meant.

/// Names less alike than this are not worth a guess.
const ALIKE: f64 = 0.6;

/// `, did you mean 'x'?` for the known name most like `name`, or nothing.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut best: Option<(f64, &str)> = None;
    for candidate in known {
        let alike = strsim::normalized_damerau_levenshtein(name, candidate);
        if alike >= ALIKE && best.is_none_or(|(most, _)| alike > most) {
            best = Some((alike, candidate));
        }
    }
    best.map(|(_, name)| format!(", did you mean '{name}'?")).unwrap_or_default()
}
