//! Which files become pages of the book, and how their links change on the way.

use std::path::{Component, Path, PathBuf};

use crate::markdown::{self, Target};
use crate::tidy::beside;

/// One file of the repository and the page that it becomes.
pub struct Page {
    /// From the repository's root.
    pub from: PathBuf,
    /// From the book's source folder.
    pub to: PathBuf,
    place: Place,
}

enum Place {
    /// docs/src/SUMMARY.md names it.
    Book,
    /// A crate's README, with the crate's name in the API reference.
    Crate { api: String },
    /// Added below this heading.
    Added { heading: &'static str },
}

impl Page {
    pub fn of_the_book(from: &Path, to: &Path) -> Self {
        Self { from: from.to_owned(), to: to.to_owned(), place: Place::Book }
    }

    pub fn of_a_crate(folder: &Path, package: &str) -> Self {
        let place = Place::Crate { api: package.replace('-', "_") };
        Self { from: folder.join("README.md"), to: folder.with_extension("md"), place }
    }

    pub fn added(heading: &'static str, from: &Path, to: &Path) -> Self {
        let to = PathBuf::from(to.with_extension("md").to_string_lossy().to_lowercase());
        Self { from: from.to_owned(), to, place: Place::Added { heading } }
    }

    fn heading(&self) -> Option<&'static str> {
        match self.place {
            Place::Book => None,
            Place::Crate { .. } => Some("The crates"),
            Place::Added { heading } => Some(heading),
        }
    }

    /// Its file's name; a crate is written as in code, other pages begin with a capital.
    fn title(&self) -> String {
        let name = self.to.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut letters = name.chars();
        match (&self.place, letters.next()) {
            (Place::Added { .. }, Some(first)) => first.to_uppercase().chain(letters).collect(),
            _ => name,
        }
    }
}

/// All pages, and the address that files without a page are linked to.
pub struct Book {
    pages: Vec<Page>,
    repository: Option<String>,
}

impl Book {
    pub fn new(pages: Vec<Page>, repository: Option<String>) -> Self {
        Self { pages, repository }
    }

    pub fn pages(&self) -> &[Page] {
        &self.pages
    }

    /// What is added to docs/src/SUMMARY.md for pages that it does not name.
    pub fn summary(&self) -> String {
        let mut lines = String::new();
        let mut last = None;
        for page in &self.pages {
            let Some(heading) = page.heading() else { continue };
            if last.replace(heading) != Some(heading) {
                lines.push_str(&format!("\n# {heading}\n\n"));
            }
            lines.push_str(&format!("- [{}]({})\n", page.title(), page.to.display()));
        }
        lines
    }

    /// The page's text with its links turned; a crate's page leads to its API besides.
    pub fn text(&self, page: &Page, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut copied = 0;
        for link in markdown::links(text) {
            out.push_str(&text[copied..link.at.start]);
            out.push_str(&self.turned(page, &link.target));
            copied = link.at.end;
        }
        out.push_str(&text[copied..]);
        if let Place::Crate { api } = &page.place {
            out.push_str(&format!("\n[The API of `{api}`]({})\n", api_page(page, api)));
        }
        out
    }

    fn turned(&self, page: &Page, target: &str) -> String {
        match (markdown::target(target), &page.place) {
            // rustdoc knows the item; the book leads to the crate's front page.
            (Target::Elsewhere, Place::Crate { api }) if target.contains("::") && !target.contains("://") => api_page(page, api),
            (Target::Elsewhere, _) | (Target::Inside { path: "", .. }, _) => target.to_owned(),
            (Target::Inside { path, heading }, _) => {
                let address = beside(&page.from, path).and_then(|file| self.address(page, &file));
                let heading = heading.map(|heading| format!("#{heading}")).unwrap_or_default();
                address.map_or_else(|| target.to_owned(), |address| address + &heading)
            }
        }
    }

    /// Where a file of the repository is found from this page.
    fn address(&self, page: &Page, file: &Path) -> Option<String> {
        let readme = file.join("README.md");
        let linked = self.pages.iter().find(|other| other.from == file || other.from == readme);
        if let Some(linked) = linked {
            return Some(relative(&page.to, &linked.to));
        }
        // Pictures and such lie in the book's own folder.
        if let Ok(asset) = file.strip_prefix("docs/src") {
            return Some(relative(&page.to, asset));
        }
        self.repository.as_ref().map(|repository| format!("{repository}/blob/main/{}", file.display()))
    }
}

fn api_page(page: &Page, api: &str) -> String {
    relative(&page.to, &Path::new("api").join(api).join("index.html"))
}

/// The way from one page to another, both from the same root.
fn relative(from: &Path, to: &Path) -> String {
    let up = from.parent().map_or(0, |folder| folder.components().filter(|part| matches!(part, Component::Normal(_))).count());
    format!("{}{}", "../".repeat(up), to.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> Book {
        let pages = vec![
            Page::of_the_book(Path::new("README.md"), Path::new("introduction.md")),
            Page::of_the_book(Path::new("docs/src/architecture.md"), Path::new("architecture.md")),
            Page::of_a_crate(Path::new("crates/journal"), "flyball-journal"),
            Page::added("The project", Path::new("CONTRIBUTING.md"), Path::new("CONTRIBUTING.md")),
        ];
        Book::new(pages, Some("https://example.org/repo".into()))
    }

    fn turned(page: usize, target: &str) -> String {
        let book = book();
        book.turned(&book.pages[page], target)
    }

    #[test]
    fn links_between_pages_lead_from_page_to_page() {
        assert_eq!(turned(0, "docs/src/architecture.md#the-log"), "architecture.md#the-log");
        assert_eq!(turned(1, "../../crates/journal/README.md"), "crates/journal.md");
        assert_eq!(turned(1, "../../crates/journal"), "crates/journal.md");
        assert_eq!(turned(2, "../../CONTRIBUTING.md"), "../contributing.md");
    }

    #[test]
    fn files_without_a_page_are_linked_in_the_repository() {
        assert_eq!(turned(2, "src/log.rs"), "https://example.org/repo/blob/main/crates/journal/src/log.rs");
        assert_eq!(turned(1, "house.svg"), "house.svg");
    }

    #[test]
    fn rust_paths_lead_to_the_api_and_addresses_stay() {
        assert_eq!(turned(2, "crate::Journal"), "../api/flyball_journal/index.html");
        for stays in ["https://example.org", "#here"] {
            assert_eq!(turned(2, stays), stays);
        }
    }

    #[test]
    fn a_crates_page_is_its_readme_with_a_way_to_its_api() {
        let book = book();
        let text = book.text(&book.pages[2], "# journal\n\nSee [a](../../README.md) and `[b](c)`.\n");
        let api = "\n[The API of `flyball_journal`](../api/flyball_journal/index.html)\n";
        assert_eq!(text, format!("# journal\n\nSee [a](../introduction.md) and `[b](c)`.\n{api}"));
    }

    #[test]
    fn the_summary_gains_what_it_does_not_name() {
        let expected = "\n# The crates\n\n- [journal](crates/journal.md)\n\n# The project\n\n- [Contributing](contributing.md)\n";
        assert_eq!(book().summary(), expected);
    }
}
