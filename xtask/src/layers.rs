//! The arrows between the crates. The table below is the law; docs/src/architecture.md tells why it is so.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::workspace::{Kind, Package, Workspace};

/// One crate: what it may depend on, and the sentence that explains it.
struct Row {
    name: &'static str,
    may_use: &'static [&'static str],
    why: &'static str,
    /// Tests of this crate may use every crate of the workspace.
    tests_use_all: bool,
}

const fn row(name: &'static str, may_use: &'static [&'static str], why: &'static str) -> Row {
    Row { name, may_use, why, tests_use_all: false }
}

const CORE: &str = "flyball-core-agent";
const TRIGGERS: &str = "flyball-triggers";
const CONTEXT: &str = "flyball-context";
const JOURNAL: &str = "flyball-journal";
const RUNTIME: &str = "flyball-runtime";
const CLUSTER: &str = "flyball-cluster";
const GOVERNANCE: &str = "flyball-governance";

const TABLE: &[Row] = &[
    row(CORE, &[], "the seam knows no process, trigger, journal or policy"),
    row(TRIGGERS, &[CORE], "a trigger does not know who listens"),
    row(CONTEXT, &[CORE], "state does not know where it is made durable"),
    row(JOURNAL, &[CORE], "the log does not know what its notes mean"),
    row(RUNTIME, &[CORE, TRIGGERS, CONTEXT, JOURNAL], "a process knows no policy, no HTTP and no YAML"),
    row(CLUSTER, &[CORE, TRIGGERS, JOURNAL, RUNTIME], "a node drives processes through `Control` and knows no policy"),
    row(GOVERNANCE, &[CORE, JOURNAL], "policies are layers over the seam; the runtime and they never meet"),
    Row {
        name: "flyball",
        may_use: &[CORE, TRIGGERS, CONTEXT, JOURNAL, RUNTIME, CLUSTER, GOVERNANCE],
        why: "the product puts everything together",
        tests_use_all: true,
    },
    row("pipeline-ops-server", &[], "an example's tool server is a stranger to the product"),
    Row { name: "xtask", may_use: &[], why: "the tasks must build when the product does not", tests_use_all: true },
];

/// Checks the workspace and prints what is wrong.
pub fn run(workspace: &Workspace) -> Result<()> {
    let found = violations(&workspace.packages, TABLE);
    for violation in &found {
        eprintln!("{violation}");
    }
    if !found.is_empty() {
        bail!("{} arrow(s) against the table in xtask/src/layers.rs", found.len());
    }
    println!("layers: {} crates, every arrow is in the table", workspace.packages.len());
    Ok(())
}

/// The crates' names, lower layers first.
pub fn in_order() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|row| row.name)
}

/// Every arrow that the table does not allow, as sentences.
fn violations(packages: &[Package], table: &[Row]) -> Vec<String> {
    let members: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut found = Vec::new();
    for package in packages {
        let Some(row) = find(table, &package.name) else {
            found.push(format!("{}: not in the table: add a row that says what it may use and why", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            let internal = dependency.path.is_some() || members.contains(dependency.name.as_str());
            if internal && !allowed(table, row, &dependency.name, dependency.kind) {
                found.push(complaint(row, &dependency.name, dependency.kind));
            }
        }
    }
    let gone = table.iter().filter(|row| !members.contains(row.name));
    found.extend(gone.map(|row| format!("{}: in the table, but no such crate: remove its row", row.name)));
    found
}

fn allowed(table: &[Row], from: &Row, to: &str, kind: Kind) -> bool {
    match kind {
        Kind::Normal | Kind::Build => from.may_use.contains(&to),
        // Tests may reach further down, never up or sideways; a crate may be its own test's dependency.
        Kind::Dev => to == from.name || find(table, to).is_some() && (from.tests_use_all || below(table, from).contains(to)),
    }
}

/// Everything that can be reached by the table's arrows.
fn below(table: &[Row], from: &Row) -> BTreeSet<&'static str> {
    let mut reached = BTreeSet::new();
    let mut ahead = from.may_use.to_vec();
    while let Some(name) = ahead.pop() {
        if reached.insert(name) {
            ahead.extend(find(table, name).into_iter().flat_map(|row| row.may_use));
        }
    }
    reached
}

fn find<'a>(table: &'a [Row], name: &str) -> Option<&'a Row> {
    table.iter().find(|row| row.name == name)
}

fn complaint(from: &Row, to: &str, kind: Kind) -> String {
    let may = if from.may_use.is_empty() { "nothing of the workspace".to_owned() } else { from.may_use.join(", ") };
    let kind = match kind {
        Kind::Normal => "dependency",
        Kind::Build => "build dependency",
        Kind::Dev => "dev-dependency",
    };
    let Row { name, why, .. } = from;
    format!(
        "{name} -> {to}: this {kind} is against the table; {name} may use {may}, because {why}. \
         Move the code to the crate that may, or change the table and docs/src/architecture.md together."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, dependencies: &[(&str, Kind)]) -> Package {
        let dependencies = dependencies
            .iter()
            .map(|(name, kind)| Dependency { name: (*name).into(), kind: *kind, path: Some("somewhere".into()) })
            .collect();
        Package { name: name.into(), manifest_path: "Cargo.toml".into(), repository: None, dependencies }
    }

    const SMALL: &[Row] = &[
        row("floor", &[], "it is the floor"),
        row("wall", &["floor"], "walls stand on it"),
        row("roof", &["wall"], "roofs rest on walls"),
    ];

    fn small(wall: &[(&str, Kind)], roof: &[(&str, Kind)]) -> Vec<String> {
        violations(&[package("floor", &[]), package("wall", wall), package("roof", roof)], SMALL)
    }

    #[test]
    fn arrows_of_the_table_pass() {
        assert!(small(&[("floor", Kind::Normal)], &[("wall", Kind::Build)]).is_empty());
    }

    #[test]
    fn an_arrow_up_is_named_with_what_is_allowed_and_why() {
        let found = small(&[("roof", Kind::Normal)], &[]);
        assert_eq!(found.len(), 1);
        for part in ["wall -> roof", "wall may use floor", "walls stand on it"] {
            assert!(found[0].contains(part), "{part:?} is not in {:?}", found[0]);
        }
    }

    #[test]
    fn a_normal_dependency_may_not_skip_a_floor_but_a_test_may() {
        assert_eq!(small(&[], &[("floor", Kind::Normal)]).len(), 1);
        assert!(small(&[], &[("floor", Kind::Dev)]).is_empty());
    }

    #[test]
    fn tests_may_not_reach_up_except_where_the_table_says_so() {
        assert_eq!(small(&[("roof", Kind::Dev)], &[]).len(), 1);
        let free = &[row("floor", &[], ""), Row { name: "tool", may_use: &[], why: "", tests_use_all: true }];
        assert!(violations(&[package("floor", &[]), package("tool", &[("floor", Kind::Dev)])], free).is_empty());
    }

    #[test]
    fn a_crate_may_turn_on_its_own_features_for_its_tests() {
        assert!(small(&[("wall", Kind::Dev)], &[]).is_empty());
    }

    #[test]
    fn a_path_to_an_unknown_crate_fails() {
        assert_eq!(small(&[("cellar", Kind::Normal)], &[]).len(), 1);
        assert_eq!(small(&[("cellar", Kind::Dev)], &[]).len(), 1);
    }

    #[test]
    fn crates_and_rows_without_each_other_fail() {
        let found = violations(&[package("floor", &[]), package("wall", &[]), package("attic", &[])], SMALL);
        assert!(found.iter().any(|line| line.starts_with("attic: not in the table")), "{found:?}");
        assert!(found.iter().any(|line| line.starts_with("roof: in the table, but no such crate")), "{found:?}");
    }

    #[test]
    fn the_table_has_no_cycle_and_explains_every_row() {
        for row in TABLE {
            assert!(!below(TABLE, row).contains(row.name), "{} reaches itself", row.name);
            assert!(!row.why.is_empty(), "{} has no reason", row.name);
        }
    }
}
