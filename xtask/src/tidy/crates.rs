//! What every crate has: a description, and for those under `crates/` a README and words at its front door.

use std::path::{Path, PathBuf};

use super::{Finding, Source};

pub fn check(sources: &[Source]) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.path.file_name().is_some_and(|name| name == "Cargo.toml")) {
        found.extend(description(source));
        if source.path.starts_with("crates") {
            found.extend(readme(&source.path, sources));
        }
    }
    let doors = sources.iter().filter(|source| source.path.starts_with("crates") && source.path.ends_with("src/lib.rs"));
    found.extend(doors.filter_map(front_door));
    found
}

fn description(manifest: &Source) -> Option<Finding> {
    let table: toml::Table = match toml::from_str(&manifest.text) {
        Ok(table) => table,
        Err(error) => return Some(Finding::new(&manifest.path, 1, "not TOML", error.message())),
    };
    let package = table.get("package")?.as_table()?;
    let described = package.get("description").and_then(|text| text.as_str()).is_some_and(|text| !text.trim().is_empty());
    (!described).then(|| Finding::new(&manifest.path, 1, "no `description`", "say in one line what the crate is"))
}

fn readme(manifest: &Path, sources: &[Source]) -> Option<Finding> {
    let readme: PathBuf = manifest.with_file_name("README.md");
    let written = sources.iter().any(|source| source.path == readme && !source.text.trim().is_empty());
    (!written).then(|| Finding::new(&readme, 1, "missing or empty", "write what the crate is; it is its page in the book"))
}

fn front_door(lib: &Source) -> Option<Finding> {
    let documented = lib.text.contains("include_str!(\"../README.md\")") || lib.text.trim_start().starts_with("//!");
    let fix = "put `#![doc = include_str!(\"../README.md\")]` at the top";
    (!documented).then(|| Finding::new(&lib.path, 1, "no words at the crate's front door", fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[package]\nname = \"a\"\ndescription = \"An a\"\n";
    const DOOR: &str = "#![doc = include_str!(\"../README.md\")]\n";

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> =
            files.iter().map(|(path, text)| Source { path: path.into(), text: (*text).to_owned() }).collect();
        check(&sources).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_crate_with_everything_passes() {
        let files = [("crates/a/Cargo.toml", MANIFEST), ("crates/a/README.md", "# a\n"), ("crates/a/src/lib.rs", DOOR)];
        assert!(found(&files).is_empty());
    }

    #[test]
    fn a_missing_description_readme_or_front_door_is_found() {
        let nameless = "[package]\nname = \"a\"\n";
        let all = found(&[("crates/a/Cargo.toml", nameless), ("crates/a/src/lib.rs", "mod b;\n")]);
        let starts = ["crates/a/Cargo.toml:1: no `desc", "crates/a/README.md:1: missing", "crates/a/src/lib.rs:1: no words"];
        assert_eq!(all.len(), starts.len(), "{all:?}");
        for (finding, start) in all.iter().zip(starts) {
            assert!(finding.starts_with(start), "{finding}");
        }
    }

    #[test]
    fn the_workspace_manifest_needs_no_description() {
        assert!(found(&[("Cargo.toml", "[workspace]\nmembers = []\n")]).is_empty());
    }
}
