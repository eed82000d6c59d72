use std::collections::BTreeMap;
use std::ffi::OsString;

use flyball_context::{EnvView, FileMounts};
use serde_json::json;

use super::support::{call, run};

fn mounts(dir: &tempfile::TempDir, names: &[&str]) -> FileMounts {
    let files: BTreeMap<_, _> = names.iter().map(|name| ((*name).to_owned(), dir.path().join(name))).collect();
    FileMounts::new(files)
}

#[tokio::test]
async fn a_mount_is_read_as_it_is_at_the_call() {
    let dir = tempfile::tempdir().unwrap();
    let mounts = mounts(&dir, &["runbook"]);
    for text in ["first", "second"] {
        std::fs::write(dir.path().join("runbook"), text).unwrap();
        assert_eq!(call(&mounts, &run(), "read_file_mount", json!({"name": "runbook"})).await.text, text);
    }
}

#[tokio::test]
async fn a_name_that_is_not_mounted_is_answered_with_those_that_are() {
    let dir = tempfile::tempdir().unwrap();
    let reply = call(&mounts(&dir, &["config", "runbook"]), &run(), "read_file_mount", json!({"name": "runbok"})).await;
    assert!(reply.is_error);
    assert_eq!(reply.text, "no file is mounted as 'runbok', did you mean 'runbook'?; there are: config, runbook");
}

#[tokio::test]
async fn a_long_file_is_cut_between_characters() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("long"), format!("a{}", "ä".repeat(40_000))).unwrap();
    let text = call(&mounts(&dir, &["long"]), &run(), "read_file_mount", json!({"name": "long"})).await.text;
    assert!(text.ends_with("\n[... the file goes on; only its first 65536 bytes are shown ...]"));
    assert_eq!(text.chars().filter(|&c| c == 'ä').count(), 32_767);
}

#[tokio::test]
async fn what_is_no_text_no_file_or_not_there_is_an_error_of_the_tool() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bytes"), [0xff, 0xfe, 0x00]).unwrap();
    std::fs::create_dir(dir.path().join("folder")).unwrap();
    let mounts = mounts(&dir, &["bytes", "folder", "missing"]);
    for (name, expected) in [("bytes", "not text"), ("folder", "not a regular file"), ("missing", "No such file")] {
        let reply = call(&mounts, &run(), "read_file_mount", json!({"name": name})).await;
        assert!(reply.is_error && reply.text.contains(expected), "{}", reply.text);
        assert!(!reply.text.contains(dir.path().to_str().unwrap()), "the agent needs no path");
    }
}

fn environment(variables: &[(&str, &str)]) -> impl Iterator<Item = (OsString, OsString)> {
    let owned: Vec<_> = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
    owned.into_iter()
}

#[test]
fn variables_with_the_prefix_are_shown_and_secrets_only_named() {
    let view = EnvView::new(
        "PIPELINE_",
        environment(&[
            ("PIPELINE_REGION", "eu"),
            ("PIPELINE_API_KEY", "canary-1"),
            ("PIPELINE_admin_password", "canary-2"),
            ("PIPELINE_DATABASE", "postgres://app:canary-3@db/orders"),
            ("PIPELINE_DOCS", "https://docs.example/a@b"),
            ("HOME", "/root"),
        ]),
    );
    let text = view.describe();
    assert!(text.contains("PIPELINE_REGION=eu") && text.contains("PIPELINE_DOCS=https"), "{text}");
    assert!(text.contains("PIPELINE_API_KEY (set; its value is withheld)"), "{text}");
    assert!(!text.contains("canary") && !text.contains("HOME"), "{text}");
    assert!(!format!("{view:?}").contains("canary"));
    assert_eq!(view.get("PIPELINE_API_KEY"), None);
    assert_eq!(view.get("PIPELINE_REGION"), Some("eu"));
}

#[test]
fn a_prefix_that_fits_too_much_shows_a_bounded_part() {
    let many: Vec<(String, String)> = (0..200).map(|n| (format!("A_{n:03}"), "x".repeat(1_000))).collect();
    let view = EnvView::new("A_", many.into_iter().map(|(name, value)| (name.into(), value.into())));
    let text = view.describe();
    assert_eq!(text.lines().count(), 64);
    assert!(text.lines().all(|line| line.chars().count() < 250));
}
