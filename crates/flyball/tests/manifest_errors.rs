//! What manifests may say, and what a person is told who gets one wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use flyball::manifest::{
    Manifest, ManifestError, MemoryProvider, ProcessConfig, RestartPolicy, Transport, Until, load_directory, load_manifest,
    parse_manifest, reference,
};
use proptest::prelude::*;

const PIPELINE_TOKEN: &str = "s3cr3t-from-the-environment";

fn env(name: &str) -> Option<String> {
    let value = match name {
        "PIPELINE_TOKEN" | "STRIPE_API_KEY" | "DB_PASSWORD" | "JIRA_TOKEN" | "DISK_HOOK_SECRET" => PIPELINE_TOKEN,
        "WORKERS" => "4",
        "MANY" => "lots",
        "EMPTY" => "",
        "LEVEL" => "full",
        _ => return None,
    };
    Some(value.to_owned())
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests").join(folder);
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    paths.sort();
    paths
}

/// Reads `text` as a file of this name, so that no message depends on where the repository lies.
fn parse(text: &str) -> Result<Manifest, ManifestError> {
    parse_manifest(Path::new("a.agent"), text, &env)
}

fn error(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn each_mistake_gives_its_message() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mistakes = files("bad", "agent");
    assert!(mistakes.len() >= 20, "{} mistakes", mistakes.len());
    for path in mistakes {
        let name = path.file_name().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let message = parse_manifest(Path::new(name), &text, &env).expect_err(&name.to_string_lossy()).to_string() + "\n";
        let expected = path.with_extension("expected");
        if update {
            fs::write(&expected, &message).unwrap();
        }
        assert_eq!(message, fs::read_to_string(&expected).unwrap(), "{}", name.display());
    }
}

#[test]
fn every_message_names_its_place_and_gives_no_secret_away() {
    for path in files("bad", "agent") {
        let text = fs::read_to_string(&path).unwrap();
        let error = parse_manifest(&path, &text, &env).unwrap_err();
        for diagnostic in &error.diagnostics {
            assert!(diagnostic.line > 0 && diagnostic.column > 0, "{diagnostic}");
            assert!(diagnostic.excerpt.is_some(), "{diagnostic}");
        }
        let shown = format!("{error} {error:?} {}", serde_json::to_string(&error).unwrap());
        // The bad manifests spell every literal secret with this in it.
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(!shown.contains(PIPELINE_TOKEN), "{shown}");
    }
}

#[test]
fn good_manifests_are_read_and_written_ones_are_read_again() {
    let good = files("good", "agent");
    assert!(good.len() >= 3);
    for path in good {
        let manifest = load_manifest(&path, &env).unwrap_or_else(|error| panic!("{error}"));
        let written = manifest.to_yaml().unwrap();
        assert!(!written.contains(PIPELINE_TOKEN) && !written.contains("tok-abc123"), "{written}");
        // Secrets are masked when they are written, so a reader must put them in again.
        let refilled = written.replace("'**********'", "http://refilled.example/");
        let again = parse_manifest(&path, &refilled, &env).unwrap_or_else(|error| panic!("{error}\n{refilled}"));
        assert_eq!(again.to_yaml().unwrap(), written);
    }
}

#[test]
fn the_settings_of_a_manifest_arrive_as_they_are_written() {
    let path = files("good", "agent").into_iter().find(|path| path.ends_with("responder.agent")).unwrap();
    let ProcessConfig { servers, restart_policy, mission, secrets, triggers, .. } = load_manifest(&path, &env).unwrap().config;
    assert_eq!(servers["pipeline"].transport, Some(Transport::StreamableHttp));
    assert_eq!(restart_policy, RestartPolicy::OnFailure);
    assert_eq!((mission.eval_every, mission.confidence_threshold, mission.timeout_hours), (3, 0.6, 4.0));
    assert_eq!(secrets.secrets["pipeline_admin_key"].resolve(&env).unwrap().expose(), PIPELINE_TOKEN);
    assert_eq!(triggers[0].topic.as_deref(), Some("analysis.complete"));
}

#[test]
fn what_is_not_written_has_the_default() {
    let manifest = parse("name: a\n").unwrap();
    assert_eq!(manifest.config, ProcessConfig::default());
    assert_eq!(manifest.config.max_turns, 25);
}

#[test]
fn the_other_names_mean_the_same() {
    let short = parse("name: a\nworld: {n: 1}\nmemory: {provider: in_memory, auto_store: true, max: 7}\n").unwrap();
    let long = parse(
        "name: a\nconfig:\n  context: {initial_state: {n: 1}, memory_provider: embedded, memory_auto_store: true, memory_max: 7}\n",
    );
    assert_eq!(short.config, long.unwrap().config);
    assert_eq!(short.config.context.memory_provider, Some(MemoryProvider::Embedded));
}

#[test]
fn relative_paths_mean_the_manifests_directory() {
    let text = r#"
name: a
model: scripted:model.yaml
servers:
  near: {command: bin/server, cwd: work}
  named: {command: server}
triggers:
  - {type: file_watch, watch_path: drops}
  - {type: file_watch, watch_path: /var/drops}
context: {file_mounts: {runbook: docs/runbook.md}}
journal: {path: log}
"#;
    let config = parse_manifest(Path::new("/agents/a.agent"), text, &env).unwrap().config;
    assert_eq!(config.model, "scripted:/agents/model.yaml");
    assert_eq!(config.servers["near"].command.as_deref(), Some("/agents/bin/server"));
    assert_eq!(config.servers["near"].cwd.as_deref(), Some(Path::new("/agents/work")));
    assert_eq!(config.servers["named"].command.as_deref(), Some("server"));
    assert_eq!(config.triggers[0].watch_path.as_deref(), Some(Path::new("/agents/drops")));
    assert_eq!(config.triggers[1].watch_path.as_deref(), Some(Path::new("/var/drops")));
    assert_eq!(config.context.file_mounts["runbook"], Path::new("/agents/docs/runbook.md"));
    assert_eq!(config.journal.path.as_deref(), Some(Path::new("/agents/log")));
}

#[test]
fn variables_are_filled_in_for_every_type_and_kept_in_secrets() {
    let text = r#"
name: a
journal: {level: "${LEVEL}"}
config: {concurrency: "${WORKERS}", max_turns: "${TURNS:-9}", idle_timeout: "${IDLE:-1.5}"}
world: {note: "${WORKERS} of ${NONE:-many}"}
mission: {enabled: "${MISSION:-false}"}
secrets: {enabled: true, secrets: {jira: "${JIRA_TOKEN}"}}
"#;
    let config = parse(text).unwrap().config;
    assert_eq!((config.concurrency, config.max_turns, config.idle_timeout), (4, 9, 1.5));
    assert_eq!(config.context.initial_state["note"], "4 of many");
    assert_eq!(config.secrets.secrets["jira"].shown(), "${JIRA_TOKEN}");
}

#[test]
fn secrets_are_masked_wherever_a_manifest_is_shown() {
    let text = r#"
name: a
servers:
  s: {url: "http://localhost/mcp", bearer_token: "${PIPELINE_TOKEN}", headers: {x-api-key: hunter2-a}}
triggers: [{type: webhook, hmac_secret: hunter2-b}]
budget: {enabled: true, escalation: {webhook_url: "https://hooks.example/hunter2-c"}}
secrets: {enabled: true, secrets: {literal: hunter2-d, mixed: "x${NONE:-hunter2-e}", by_name: "${JIRA_TOKEN}"}}
"#;
    let manifest = parse(text).unwrap();
    let shown =
        format!("{manifest:?} {} {}", serde_yaml::to_string(&manifest).unwrap(), serde_json::to_string(&manifest).unwrap());
    assert!(!shown.contains("hunter2") && !shown.contains(PIPELINE_TOKEN), "{shown}");
    assert!(shown.contains("${JIRA_TOKEN}"));
    let warnings: Vec<&str> = manifest.warnings.iter().map(|warning| warning.field.as_str()).collect();
    assert_eq!(warnings, ["triggers[0].hmac_secret", "secrets.secrets.literal"]);
    assert!(!format!("{:?}", manifest.warnings).contains("hunter2"));
}

#[test]
fn what_is_allowed_and_probably_not_meant_gives_a_warning() {
    let text = "name: a\nbudget: {max_runs_per_day: 3}\nhealth: {enabled: true, loop_window: 5, loop_min_repeats: 3}\n";
    let warnings: Vec<String> = parse(text).unwrap().warnings.iter().map(ToString::to_string).collect();
    let told = [
        "a.agent:1:1: triggers: there are none",
        "a.agent:2:9: budget: has no effect, because it is not enabled",
        "a.agent:3:38: health.loop_window: 5 calls are too few to see a pattern 3 times",
    ];
    assert_eq!(warnings.len(), told.len(), "{warnings:?}");
    for (warning, told) in warnings.iter().zip(told) {
        assert!(warning.starts_with(told), "{warning}");
    }
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once_in_the_order_of_lines() {
    let text = "name: a b\nmodl: x\nconfig:\n  concurrency: 0\ntriggers:\n  - {type: cron}\n";
    let lines: Vec<usize> = parse(text).unwrap_err().diagnostics.iter().map(|diagnostic| diagnostic.line).collect();
    assert_eq!(lines, [1, 2, 4, 6]);
}

#[test]
fn anchors_and_merge_keys_are_understood_and_an_alias_bomb_is_refused() {
    let text =
        "name: a\nhealth: {enabled: true, escalation: &who {event_type: help}}\nbudget: {enabled: true, escalation: *who}\n";
    assert_eq!(parse(text).unwrap().config.budget.escalation.unwrap().event_type.as_deref(), Some("help"));
    let mut bomb = "name: a\nworld:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("  a{level}: &a{level} [{aliases}]\n"));
    }
    assert!(error(&bomb).contains("is not YAML"), "{}", error(&bomb));
    let deep = format!("name: a\nworld: {}{}\n", "[".repeat(5000), "]".repeat(5000));
    assert!(error(&deep).contains("is not YAML"));
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let missing = load_manifest(&dir.path().join("none.agent"), &env).unwrap_err().to_string();
    assert!(missing.contains("none.agent: cannot be read: "), "{missing}");
    let folder = load_manifest(dir.path(), &env).unwrap_err().to_string();
    assert!(folder.ends_with("cannot be read: it is not a file"), "{folder}");
    let binary = dir.path().join("binary.agent");
    fs::write(&binary, b"name: a\nmodel: \xff\n").unwrap();
    assert!(load_manifest(&binary, &env).unwrap_err().to_string().ends_with("is not UTF-8: line 2 holds other bytes"));
    fs::write(&binary, " ".repeat(1024 * 1024 + 1)).unwrap();
    assert!(load_manifest(&binary, &env).unwrap_err().to_string().ends_with("is longer than 1048576 bytes"));
    let empty = load_directory(dir.path().join("x").as_path(), &env).unwrap_err().to_string();
    assert!(empty.contains("cannot be read"), "{empty}");
}

fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

#[test]
fn a_directory_is_read_in_the_order_of_names_with_its_flyball_yaml() {
    let dir = directory(&[
        ("b.agent", "name: second\n"),
        ("a.agent", "name: first\n"),
        ("c.txt", "not: one\n"),
        ("flyball.yaml", "until: mission\nlisten: 127.0.0.1:9200\ndata: state\n"),
    ]);
    let read = load_directory(dir.path(), &env).unwrap();
    let names: Vec<&str> = read.manifests.iter().map(|manifest| manifest.name.as_str()).collect();
    assert_eq!(names, ["first", "second"]);
    assert_eq!(read.runtime.until, Until::Mission);
    assert_eq!(read.runtime.listen.as_deref(), Some("127.0.0.1:9200"));
    assert_eq!(read.runtime.data, Some(dir.path().join("state")));
}

#[test]
fn the_mistakes_of_all_files_of_a_directory_are_told_together() {
    let dir = directory(&[
        ("a.agent", "name: same\ntriggers: [{type: webhook, webhook_path: /a}]\n"),
        ("b.agent", "model: openai:x\nname: same\n"),
        ("c.agent", "name: c\ntriggers: [{type: webhook, webhook_path: /a}]\n"),
        ("d.agent", "name: [\n"),
        ("flyball.yaml", "util: mission\nlisten: 9200\n"),
    ]);
    let error = load_directory(dir.path(), &env).unwrap_err();
    let told: Vec<(String, String)> = error
        .diagnostics
        .iter()
        .map(|d| (d.file.file_name().unwrap().to_string_lossy().into_owned(), format!("{} {}", d.field, d.message)))
        .collect();
    let a = dir.path().join("a.agent").display().to_string();
    let files: Vec<&str> = told.iter().map(|(file, _)| file.as_str()).collect();
    assert_eq!(files, ["b.agent", "c.agent", "d.agent", "flyball.yaml", "flyball.yaml"], "{error}");
    assert_eq!(told[0].1, format!("name 'same' is taken already, in {a}"));
    assert_eq!(told[1].1, format!("triggers[0].webhook_path /a on port 9090 is taken already, in {a}"));
    assert!(told[2].1.contains("is not YAML"), "{error}");
    assert_eq!(told[3].1, "util unknown key");
    assert_eq!(told[4].1, "listen must be text, and is a number");
    let none = directory(&[("flyball.yaml", "until: signal\n")]);
    assert!(load_directory(none.path(), &env).unwrap_err().to_string().contains("holds no manifest"));
}

#[test]
fn the_reference_pages_example_is_a_good_manifest() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/manifest.md")).unwrap();
    let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(parse(example).unwrap().warnings.is_empty());
}

#[test]
fn the_reference_pages_filters_are_good_ones() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/manifest.md")).unwrap();
    let block = page.split("```text\npayload").nth(1).unwrap().split("```").next().unwrap();
    let filters: Vec<String> =
        format!("payload{block}").lines().map(|line| line.split("   ").next().unwrap().trim().to_owned()).collect();
    assert_eq!(filters.len(), 6, "{filters:?}");
    for filter in filters {
        let trigger = serde_json::json!([{"type": "webhook", "filter_expression": filter}]);
        let manifest = parse(&format!("name: a\ntriggers: {trigger}\n")).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(manifest.config.triggers[0].filter_expression, Some(filter));
    }
}

#[test]
fn the_reference_page_shows_every_key_as_the_code_has_it() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/manifest.md");
    let mut text = fs::read_to_string(&page).unwrap();
    let tables: BTreeMap<&str, String> = reference().into_iter().collect();
    assert_eq!(text.matches("<!-- keys: ").count(), tables.len(), "a section is missing in the page, or there twice");
    for (section, table) in tables {
        let begin = format!("<!-- keys: {section} -->\n");
        let start = text.find(&begin).unwrap_or_else(|| panic!("the page lacks '{section}'")) + begin.len();
        let end = start + text[start..].find("<!-- end -->").unwrap();
        let wanted = format!("\n{table}\n");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            text.replace_range(start..end, &wanted);
            fs::write(&page, &text).unwrap();
        } else {
            assert_eq!(&text[start..end], wanted, "'{section}': run this test with UPDATE_GOLDEN=1");
        }
    }
}

fn all_texts() -> Vec<String> {
    files("good", "agent").into_iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_mutation_of_a_good_manifest_makes_the_reader_panic(
        file in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, edit()), 1..6),
    ) {
        let texts = all_texts();
        let mut text: Vec<char> = file.get(&texts).chars().collect();
        for (at, remove, insert) in edits {
            let at = at.index(text.len() + 1);
            let end = text.len().min(at + remove);
            text.splice(at..end, insert.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(error) = parse(&text) {
            prop_assert!(!error.diagnostics.is_empty());
            prop_assert!(error.diagnostics.iter().all(|diagnostic| diagnostic.line > 0 && !diagnostic.message.is_empty()));
        }
    }
}

/// What most changes the shape of a YAML document.
const PIECES: &[&str] = &[
    "", "\n", ": ", "- ", "{", "}", "[", "]", "\"", "${", "${X:-", "\t", "-1", "1e400", ".nan", "&a ", "*a", "<<: ", "é", "|\n",
    "\0", "? ",
];

fn edit() -> impl Strategy<Value = String> {
    prop_oneof![prop::sample::select(PIECES).prop_map(str::to_owned), "\\PC{0,6}"]
}

/// A folder with a manifest `a.agent`.
fn folder(manifest: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.agent"), manifest).unwrap();
    dir
}

#[test]
fn a_script_that_is_not_there_or_is_wrong_is_told_when_the_manifest_is_loaded() {
    let manifest = "name: a\nmodel: scripted:s.yaml\nmission: {eval_model: \"scripted:none.yaml\"}\n";
    let dir = folder(manifest);
    fs::write(dir.path().join("s.yaml"), "rules:\n  - sya: hello\n").unwrap();
    let told = load_manifest(&dir.path().join("a.agent"), &env).unwrap_err().to_string();
    assert!(told.contains("a.agent:2:8: model: ") && told.contains("s.yaml:2:5: unknown field 'sya'"), "{told}");
    assert!(told.contains("mission.eval_model: cannot read the model's script ") && told.contains("none.yaml"), "{told}");
    fs::write(dir.path().join("s.yaml"), "rules:\n  - say: hello\n").unwrap();
    fs::write(dir.path().join("none.yaml"), "rules:\n  - say: hello\n").unwrap();
    load_directory(dir.path(), &env).unwrap();
}

#[test]
fn a_webhooks_keys_are_not_known_and_what_is_nearly_a_name_is_a_warning() {
    let text = "name: a\ntriggers:\n  - {type: webhook, filter_expression: paylod.lag > weather.lag}\n";
    let warnings = parse(text).unwrap().warnings;
    let told: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("'paylod' is taken for a key of the payload; did you mean 'payload'?"), "{told:?}");
}

#[test]
fn seconds_that_may_be_meant_to_come_first_are_a_warning() {
    let warnings = |expression: &str| {
        let text = format!("name: a\ntriggers:\n  - {{type: cron, cron_expression: \"{expression}\"}}\n");
        parse(&text).unwrap().warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let told = warnings("0 */5 * * * *");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("every second of each minute that fits") && told[0].contains("`*/5 * * * * 0`"), "{told:?}");
    for meant in ["*/5 * * * *", "*/5 * * * * 0", "* * * * * */10", "* * * * * *"] {
        assert!(warnings(meant).is_empty(), "{meant}");
    }
}
