//! Rules for Rust files.

use std::path::Path;

use super::code::{only_code, without_tests};
use super::{Finding, Source};

/// A file is one idea; past this it is two rooms in one.
const MAX_LINES: usize = 400;
/// Tests are lists, and lists may be longer.
const MAX_TEST_LINES: usize = 800;

/// What must not be left in code, split so that this file does not find itself in a plain search.
const LEFTOVERS: [(&str, &str); 4] = [
    (concat!("to", "do!"), "write it, or leave it out"),
    (concat!("unimpl", "emented!"), "write it, or leave it out"),
    (concat!("db", "g!"), "remove it, or use tracing"),
    (concat!("#[ig", "nore"), "make the test run, or say at run time that it was skipped and why"),
];

pub fn check(source: &Source) -> Vec<Finding> {
    let path = source.path.as_path();
    if path.extension().is_none_or(|extension| extension != "rs") {
        return Vec::new();
    }
    let code = only_code(&source.text);
    let mut found = Vec::new();
    found.extend(too_long(path, &source.text));
    found.extend(leftovers(path, &code));
    if !is_test(path) {
        found.extend(unwraps(path, &without_tests(&code)));
    }
    found
}

/// Files that only tests see: `tests/`, `benches/`, `tests.rs`, and a crate's `conformance.rs`.
fn is_test(path: &Path) -> bool {
    let folder = path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "benches")));
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    folder || stem == Some("tests") || path.starts_with("crates") && stem == Some("conformance")
}

fn too_long(path: &Path, text: &str) -> Option<Finding> {
    let max = if is_test(path) { MAX_TEST_LINES } else { MAX_LINES };
    let lines = text.lines().count();
    let what = format!("{lines} lines, {max} are allowed");
    (lines > max).then(|| Finding::new(path, max + 1, what, "split the file by ideas"))
}

fn leftovers(path: &Path, code: &str) -> Vec<Finding> {
    let lines = code.lines().enumerate();
    lines
        .flat_map(|(number, line)| {
            let here = LEFTOVERS.iter().filter(|(needle, _)| line.contains(needle));
            here.map(move |(needle, fix)| Finding::new(path, number + 1, format!("`{needle}` left in the code"), *fix))
        })
        .collect()
}

fn unwraps(path: &Path, code: &str) -> Vec<Finding> {
    const FIX: &str = "return an error, or `expect` with the invariant that makes it impossible";
    let lines = code.lines().enumerate().filter(|(_, line)| line.contains(".unwrap()"));
    lines.map(|(number, _)| Finding::new(path, number + 1, "`unwrap()` outside tests", FIX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Source { path: path.into(), text: text.into() }).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_file_over_its_limit_is_found_and_tests_may_be_longer() {
        let long = "fn a() {}\n".repeat(MAX_LINES + 1);
        assert_eq!(lines("crates/a/src/b.rs", &long), [MAX_LINES + 1]);
        assert!(lines("crates/a/tests/b.rs", &long).is_empty());
        assert_eq!(lines("crates/a/tests/b.rs", &"\n".repeat(MAX_TEST_LINES + 1)), [MAX_TEST_LINES + 1]);
    }

    #[test]
    fn leftovers_are_found_in_code_and_in_tests_but_not_in_words() {
        let text = format!("fn a() {{\n{}()\n}}\n// {}\n", LEFTOVERS[0].0, LEFTOVERS[0].0);
        assert_eq!(lines("crates/a/src/b.rs", &text), [2]);
        assert_eq!(lines("crates/a/tests/b.rs", &format!("{} = \"slow\"]\n", LEFTOVERS[3].0)), [1]);
    }

    #[test]
    fn unwrap_is_for_tests() {
        let text = "fn a() {\n    b().unwrap();\n}\n#[cfg(test)]\nmod tests {\n    fn c() { d().unwrap() }\n}\n/// e.unwrap()\n";
        assert_eq!(lines("crates/a/src/b.rs", text), [2]);
        for test in ["crates/a/tests/b.rs", "crates/a/src/b/tests.rs", "crates/a/src/conformance.rs"] {
            assert!(lines(test, text).is_empty(), "{test}");
        }
    }

    #[test]
    fn other_files_are_left_alone() {
        assert!(lines("notes.md", "a.unwrap()\n").is_empty());
    }
}
