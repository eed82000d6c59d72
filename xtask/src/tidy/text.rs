//! Rules for every text file that people write.

use std::path::Path;

use super::{Finding, Source};

/// What people write. Data and golden files are kept as they are.
const WRITTEN: [&str; 10] = ["rs", "toml", "md", "yaml", "yml", "agent", "sh", "json", "js", "py"];

/// Folders in which some machine keeps its things; a path into one works on that machine only.
const MACHINE_FOLDERS: [&str; 3] = ["work", "root", "home"];

/// Where packages come from is the reader's own setting. Split, so that this file does not find itself.
const REGISTRIES: [&str; 7] = [
    concat!("crates", ".io"),
    concat!("//docs", ".rs"),
    concat!("registry", ".npmjs.org"),
    concat!("npmjs", ".com"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("proxy.golang", ".org"),
];

pub fn check(source: &Source) -> Vec<Finding> {
    let path = source.path.as_path();
    if !is_written(path) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        let mut add = |what: String, fix: &str| found.push(Finding::new(path, number + 1, what, fix));
        if line.ends_with([' ', '\t', '\r']) && !is_golden(path) {
            add("white space at the end of the line".into(), "remove it");
        }
        if let Some(folder) = machine_path(line) {
            add(format!("a path into /{folder} of some machine"), "use a path relative to the repository, or a temporary folder");
        }
        for host in REGISTRIES.iter().filter(|host| line.contains(**host)) {
            add(format!("the registry host {host}"), "name the package; where it comes from is the reader's setting");
        }
    }
    if !source.text.is_empty() && !source.text.ends_with('\n') && !is_golden(path) {
        found.push(Finding::new(path, source.text.lines().count(), "no newline at the end", "add one"));
    }
    found
}

fn is_written(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let lock = path.file_stem().is_some_and(|stem| stem == "package-lock");
    !lock && extension.is_some_and(|extension| WRITTEN.contains(&extension)) || path == Path::new(".ci/run")
}

/// Files that a test compares byte for byte, or that are wrong on purpose.
fn is_golden(path: &Path) -> bool {
    path.components().any(|part| matches!(part.as_os_str().to_str(), Some("golden" | "fixtures")))
}

/// A machine's folder at the start of a path in this line.
fn machine_path(line: &str) -> Option<&'static str> {
    MACHINE_FOLDERS.into_iter().find(|folder| {
        let needle = format!("/{folder}/");
        line.match_indices(&needle).any(|(at, _)| starts_a_path(&line[..at]))
    })
}

/// Inside a longer path, the character before the slash belongs to it.
fn starts_a_path(before: &str) -> bool {
    before.ends_with("file://") || before.chars().next_back().is_none_or(|c| c.is_whitespace() || "\"'`(=<[,:|".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&Source { path: path.into(), text: text.into() }).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn white_space_at_the_end_and_a_missing_newline_are_found() {
        assert_eq!(
            found("a.md", "b \nc"),
            ["a.md:1: white space at the end of the line: remove it", "a.md:2: no newline at the end: add one"]
        );
        assert!(found("a.md", "b\nc\n").is_empty());
    }

    #[test]
    fn data_and_golden_files_may_end_as_they_like() {
        assert!(found("drops/a.csv", "1, \n2").is_empty());
        assert!(found("crates/a/tests/golden/b.yaml", "c: \nd").is_empty());
    }

    #[test]
    fn a_machine_path_is_found_where_a_path_starts() {
        for folder in MACHINE_FOLDERS {
            for before in ["", "cd ", "\"", "A=", "file://"] {
                assert_eq!(found("a.sh", &format!("{before}/{folder}/me\n")).len(), 1, "{before} {folder}");
            }
            for before in [".", "data", "https://example.org", "${DIR}"] {
                assert!(found("a.sh", &format!("{before}/{folder}/me\n")).is_empty(), "{before} {folder}");
            }
        }
    }

    #[test]
    fn a_registry_host_is_found_except_in_lock_files() {
        let text = format!("\"see https://{}/x\"\n", REGISTRIES[2]);
        assert_eq!(found("a.json", &text).len(), 1);
        assert!(found("package-lock.json", &text).is_empty());
        assert!(found("Cargo.lock", &text).is_empty());
    }
}
