//! `cargo xtask docs`: the book, the crates' pages and the API reference in one folder, target/site.
//!
//! A crate's README is its rustdoc and its page in the book; it is written once. The book is therefore built
//! from a copy of docs/ to which those pages are added, with their links turned to where things lie there.

mod pages;
mod site;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{layers, process, tools};
use pages::{Book, Page};

/// Builds the site and errors on a link in it that leads nowhere.
pub fn run(workspace: &Workspace) -> Result<()> {
    let mdbook = tools::ensure(workspace, &tools::MDBOOK)?;
    let site = workspace.target.join("site");
    let copy = workspace.target.join("book");
    for folder in [&site, &copy] {
        remove(folder)?;
    }
    write_book(workspace, &copy)?;
    process::run(Command::new(mdbook).arg("build").arg(&copy).arg("--dest-dir").arg(&site))?;
    add_api(workspace, &site)?;

    let broken = site::broken_links(&site)?;
    for link in &broken {
        eprintln!("{link}");
    }
    if !broken.is_empty() {
        bail!("{} link(s) of the site lead nowhere", broken.len());
    }
    println!("docs: {}", workspace.relative(&site.join("index.html")).display());
    Ok(())
}

fn write_book(workspace: &Workspace, copy: &Path) -> Result<()> {
    let docs = workspace.root.join("docs");
    copy_tree(&docs.join("src"), &copy.join("src"))?;
    copy_file(&docs.join("book.toml"), &copy.join("book.toml"))?;
    let book = Book::new(outline(workspace)?, workspace.packages.iter().find_map(|package| package.repository.clone()));
    for page in book.pages() {
        let text = read(&workspace.root.join(&page.from))?;
        write(&copy.join("src").join(&page.to), &book.text(page, &text))?;
    }
    let summary = read(&docs.join("src/SUMMARY.md"))?;
    write(&copy.join("src/SUMMARY.md"), &(summary + &book.summary()))
}

/// Every page of the book, those that lie in docs/src already included.
fn outline(workspace: &Workspace) -> Result<Vec<Page>> {
    let mut pages = Vec::new();
    let src = workspace.root.join("docs/src");
    for file in files_below(&src)?.iter().filter(|file| is_page(file)) {
        pages.push(Page::of_the_book(workspace.relative(file), file.strip_prefix(&src)?));
    }
    pages.retain(|page| page.to != Path::new("SUMMARY.md") && page.to != Path::new("introduction.md"));
    pages.push(Page::of_the_book(Path::new("README.md"), Path::new("introduction.md")));
    for name in layers::in_order() {
        let Some(package) = workspace.packages.iter().find(|package| package.name == name) else { continue };
        let folder = package.manifest_path.parent().map(|folder| workspace.relative(folder)).unwrap_or(Path::new(""));
        if folder.starts_with("crates") {
            pages.push(Page::of_a_crate(folder, name));
        }
    }
    for example in folders_in(&workspace.root.join("examples"))? {
        let folder = workspace.relative(&example);
        if example.join("README.md").is_file() {
            pages.push(Page::added("Examples", &folder.join("README.md"), folder));
        }
    }
    for file in ["CONTRIBUTING.md", "CHANGELOG.md"] {
        pages.push(Page::added("The project", Path::new(file), Path::new(file)));
    }
    Ok(pages)
}

fn add_api(workspace: &Workspace, site: &Path) -> Result<()> {
    let mut doc = workspace.cargo(&["doc", "--no-deps", "--workspace", "--all-features"]);
    process::run(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    copy_tree(&workspace.target.join("doc"), &site.join("api"))?;
    // rustdoc writes no front page for a workspace.
    let to_flyball = "<!doctype html><meta http-equiv=\"refresh\" content=\"0; url=flyball/index.html\"><a href=\"flyball/index.html\">flyball</a>\n";
    write(&site.join("api/index.html"), to_flyball)
}

fn is_page(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "md")
}

fn folders_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = entries(folder)?;
    found.retain(|path| path.is_dir());
    Ok(found)
}

/// Sorted, so that the site does not depend on the file system.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = fs::read_dir(folder).with_context(|| format!("could not list {}", folder.display()))?;
    let mut paths = read.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    for file in files_below(from)? {
        copy_file(&file, &to.join(file.strip_prefix(from)?))?;
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    }
    fs::copy(from, to).map(drop).with_context(|| format!("could not copy {} to {}", from.display(), to.display()))
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))
}

fn write(file: &Path, text: &str) -> Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    }
    fs::write(file, text).with_context(|| format!("could not write {}", file.display()))
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
