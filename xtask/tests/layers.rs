//! `cargo xtask layers` on a copy of this workspace's manifests.
#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The manifests alone, each with an empty target, so that cargo accepts them.
fn copy_of_the_manifests() -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    fs::copy(root().join("Cargo.toml"), copy.path().join("Cargo.toml")).unwrap();
    let crates = fs::read_dir(root().join("crates")).unwrap().map(|entry| Path::new("crates").join(entry.unwrap().file_name()));
    for member in crates.chain(["xtask".into(), "examples/pipeline-ops/server".into()]) {
        let to = copy.path().join(&member);
        fs::create_dir_all(to.join("src")).unwrap();
        fs::copy(root().join(&member).join("Cargo.toml"), to.join("Cargo.toml")).unwrap();
        for target in ["lib.rs", "main.rs"] {
            fs::write(to.join("src").join(target), "").unwrap();
        }
    }
    copy
}

fn layers(workspace: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask")).arg("layers").current_dir(workspace).output().unwrap()
}

#[test]
fn the_workspace_as_it_is_passes() {
    let output = layers(copy_of_the_manifests().path());
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn an_arrow_against_the_table_makes_the_command_fail() {
    let copy = copy_of_the_manifests();
    let manifest = copy.path().join("crates/journal/Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let worse = text.replace("[dependencies]", "[dependencies]\nflyball-runtime.workspace = true");
    assert_ne!(text, worse);
    fs::write(&manifest, worse).unwrap();

    let output = layers(copy.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("flyball-journal -> flyball-runtime"), "{said}");
    assert!(said.contains("flyball-journal may use flyball-core-agent"), "{said}");
}
