//! Commands that are suggested, so that they can be copied as they stand.

use super::DEFAULT_DATA;
use crate::instance::DataDir;

/// `flyball REST` on this data directory, which is named where it is not the default.
pub fn command(data: &DataDir, rest: &str) -> String {
    let path = data.path().display().to_string();
    if path == DEFAULT_DATA {
        return format!("flyball {rest}");
    }
    format!("flyball {rest} --data {}", quoted(&path))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_data_directory_is_named_where_it_is_not_the_default() {
        let at = |path: &str| command(&DataDir::new(Path::new(path)), "indoubt");
        assert_eq!(at(".flyball"), "flyball indoubt");
        assert_eq!(at("/var/lib/flyball"), "flyball indoubt --data /var/lib/flyball");
        assert_eq!(at("it's here"), "flyball indoubt --data 'it'\\''s here'");
    }
}
