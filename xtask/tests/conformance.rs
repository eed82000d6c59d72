//! `cargo xtask conformance` in a small workspace with tests of its own.
#![cfg(test)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const TESTS: &str = "#[test] fn holds() {}\n#[test] fn breaks() { panic!() }\n";

/// A workspace with the tests above, and a row for every step; the first one claims what is given.
fn workspace(works: bool, test: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("Cargo.toml", "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n");
    write("src/main.rs", "fn main() {}\n");
    write("tests/seed.rs", TESTS);
    write(".config/nextest.toml", include_str!("../../.config/nextest.toml"));
    write("docs/src/conformance.md", "");
    let row = |step: &str, works, tests: &str| {
        let why = if works { "" } else { "why = \"not written\"\n" };
        format!("[[row]]\nstep = \"{step}\"\nname = \"n\"\nclaim = \"c{step}\"\nworks = {works}\n{why}tests = [{tests}]\n")
    };
    let rest: String = (2..=11).map(|step| row(&step.to_string(), false, "")).collect();
    write("docs/conformance.toml", &(row("1", works, &format!("\"{test}\"")) + &rest + &row("complete", false, "")));
    dir
}

fn xtask(workspace: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(args).current_dir(workspace).env("CARGO_TARGET_DIR", workspace.join("target"));
    command.output().unwrap()
}

fn page(workspace: &Path) -> String {
    fs::read_to_string(workspace.join("docs/src/conformance.md")).unwrap()
}

/// Without cargo-nextest the task would install it, which is no matter for a test.
fn nextest_is_missing() -> bool {
    let there = Command::new("cargo").args(["nextest", "--version"]).output().is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("skipped: cargo-nextest is not installed");
    }
    !there
}

#[test]
fn a_claim_with_a_passing_test_is_written_as_working_and_the_page_is_then_up_to_date() {
    if nextest_is_missing() {
        return;
    }
    let dir = workspace(true, "small::seed holds");
    let before = xtask(dir.path(), &["conformance", "--check"]);
    assert_eq!(before.status.code(), Some(1), "{before:?}");

    let output = xtask(dir.path(), &["conformance"]);
    assert!(output.status.success(), "{output:?}");
    assert!(page(dir.path()).contains("| c1 | works | `small::seed holds` |"), "{}", page(dir.path()));

    let after = xtask(dir.path(), &["conformance", "--check"]);
    assert!(after.status.success(), "{after:?}");
}

#[test]
fn a_claim_whose_test_fails_or_is_missing_makes_the_command_fail() {
    if nextest_is_missing() {
        return;
    }
    for (test, why) in [("small::seed breaks", "failed"), ("small::seed gone", "did not run"), ("other holds", "did not run")] {
        let dir = workspace(true, test);
        let output = xtask(dir.path(), &["conformance"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("`{test}` {why}")), "{said}");
        assert!(page(dir.path()).contains("| **broken**: "), "{}", page(dir.path()));
    }
}

#[test]
fn what_is_not_claimed_needs_no_test_to_pass() {
    if nextest_is_missing() {
        return;
    }
    let dir = workspace(false, "small::seed breaks");
    let output = xtask(dir.path(), &["conformance"]);
    assert!(output.status.success(), "{output:?}");
    assert!(page(dir.path()).contains("| c1 | not yet: not written |"), "{}", page(dir.path()));
}
