//! The built site, read once more: a link that leads nowhere is an error.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Pages whose links are meant for another place: mdBook's page for unknown addresses has a base of its own.
const NOT_CHECKED: [&str; 1] = ["404.html"];

/// Every local link of the book's pages without a file behind it. rustdoc checks its own.
pub fn broken_links(site: &Path) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for page in super::files_below(site)? {
        let name = page.strip_prefix(site)?;
        let html = name.extension().is_some_and(|extension| extension == "html");
        if !html || name.starts_with("api") || NOT_CHECKED.iter().any(|page| name == Path::new(page)) {
            continue;
        }
        let text = fs::read_to_string(&page).with_context(|| format!("could not read {}", page.display()))?;
        for target in local_targets(&text) {
            let there = name.parent().unwrap_or(Path::new("")).join(target);
            if !site.join(&there).exists() {
                broken.push(format!("{}: link to {target}", name.display()));
            }
        }
    }
    Ok(broken)
}

/// The files that a page links to or loads.
fn local_targets(html: &str) -> Vec<&str> {
    let values = ["href=\"", "src=\""].into_iter().flat_map(|attribute| html.split(attribute).skip(1));
    values
        .filter_map(|rest| rest.split('"').next())
        .filter(|target| !target.contains(':'))
        .filter_map(|target| target.split(['#', '?']).next())
        .filter(|target| !target.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_without_a_file_is_found_and_others_pass() {
        let site = tempfile::tempdir().unwrap();
        fs::create_dir(site.path().join("crates")).unwrap();
        fs::write(site.path().join("index.html"), "<a href=\"crates/a.html#b\"> <img src=\"gone.png\">").unwrap();
        fs::write(
            site.path().join("crates/a.html"),
            "<a href=\"../index.html\"> <a href=\"https://example.org/c\"> <a href=\"#d\">",
        )
        .unwrap();
        assert_eq!(broken_links(site.path()).unwrap(), ["index.html: link to gone.png"]);
    }
}
