//! Links of Markdown files that stay inside the repository must lead somewhere.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::{Finding, Source};
use crate::markdown::{self, Target};

/// `known`: every file of the repository and every folder above one.
pub fn check(source: &Source, all: &[Source], known: &BTreeSet<&Path>) -> Vec<Finding> {
    if source.path.extension().is_none_or(|extension| extension != "md") {
        return Vec::new();
    }
    let links = markdown::links(&source.text).into_iter();
    links
        .filter_map(|link| {
            let (what, fix) = broken(source, &link.target, all, known)?;
            Some(Finding::new(&source.path, link.line, what, fix))
        })
        .collect()
}

fn broken(source: &Source, target: &str, all: &[Source], known: &BTreeSet<&Path>) -> Option<(String, &'static str)> {
    let Target::Inside { path, heading } = markdown::target(target) else { return None };
    let file = if path.is_empty() { Some(source.path.clone()) } else { beside(&source.path, path) };
    let Some(file) = file.filter(|file| known.contains(file.as_path())) else {
        return Some((
            format!("link to `{path}`, which is not in the repository"),
            "correct the path; it is relative to this file",
        ));
    };
    let heading = heading?;
    let page = all.iter().find(|source| source.path == file && file.extension().is_some_and(|extension| extension == "md"))?;
    let missing = !markdown::headings(&page.text).iter().any(|id| id == heading);
    missing.then(|| (format!("link to `#{heading}`, which is no heading of {}", file.display()), "name a heading that is there"))
}

/// A path relative to `file`, from the root; `None` if it leaves the repository.
pub fn beside(file: &Path, path: &str) -> Option<PathBuf> {
    let mut joined = file.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => joined.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !joined.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let sources = [("docs/a.md", text), ("README.md", "# The top\n"), ("crates/b/src/lib.rs", "")];
        let sources = sources.map(|(path, text)| Source { path: path.into(), text: text.into() });
        let known = sources.iter().flat_map(|source| source.path.ancestors()).collect();
        sources.iter().flat_map(|source| check(source, &sources, &known)).map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn links_to_files_folders_and_headings_that_are_there_pass() {
        let text =
            "# Here\n[a](../README.md) [b](../crates/b) [c](../README.md#the-top) [d](#here) [e](../crates/b/src/lib.rs)\n";
        assert!(found(text).is_empty(), "{:?}", found(text));
    }

    #[test]
    fn links_elsewhere_are_not_ours_to_check() {
        assert!(found("[a](https://example.org/b.md) [c](crate::D) [e](mailto:f@example.org)\n").is_empty());
    }

    #[test]
    fn a_link_to_nothing_out_of_the_repository_or_to_no_heading_is_found() {
        for target in ["b.md", "../../README.md", "/README.md", "../README.md#the-bottom", "#there"] {
            let found = found(&format!("\n[a]({target})\n"));
            assert_eq!(found.len(), 1, "{target}");
            assert!(found[0].starts_with("docs/a.md:2: link to `"), "{found:?}");
        }
    }
}
