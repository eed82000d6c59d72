//! Servers that others wrote, installed on first use into the target directory.

use std::fs::{File, create_dir_all, remove_dir_all};
use std::path::{Path, PathBuf};
use std::process::Command;

const NPM_PACKAGE: &str = "@modelcontextprotocol/server-everything@2026.8.31";
const PIP_PACKAGE: &str = "mcp-server-time==2026.10.19";

/// Set to 1 where these tests must run, as in CI; elsewhere they are skipped if they cannot.
const REQUIRED: &str = "FLYBALL_REQUIRE_FOREIGN";

/// What `installed` gives; else the test says why it is skipped, or fails where skipping is not allowed.
pub fn or_skip<T>(installed: Result<T, String>) -> Option<T> {
    match installed {
        Ok(tool) => Some(tool),
        Err(why) if std::env::var(REQUIRED).is_ok_and(|value| value == "1") => panic!("{REQUIRED}=1, but {why}"),
        Err(why) => {
            println!("SKIPPED: {why}");
            None
        }
    }
}

/// The main script of server-everything, for node.
pub fn everything() -> Result<PathBuf, String> {
    available("node")?;
    available("npm")?;
    installed("npm", "node_modules/@modelcontextprotocol/server-everything/dist/index.js", |folder| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]).arg(folder).arg(NPM_PACKAGE);
        vec![npm]
    })
}

/// The program mcp-server-time.
pub fn time() -> Result<PathBuf, String> {
    available("python3")?;
    installed("venv", "bin/mcp-server-time", |folder| {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv"]).arg(folder);
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PIP_PACKAGE]);
        vec![venv, pip]
    })
}

fn available(program: &str) -> Result<(), String> {
    run(Command::new(program).arg("--version")).map_err(|why| format!("{program} is missing: {why}"))
}

/// The path of `product` in the folder `name`, which `steps` install unless they did before.
fn installed(name: &str, product: &str, steps: impl Fn(&Path) -> Vec<Command>) -> Result<PathBuf, String> {
    let tools = tools_folder();
    create_dir_all(&tools).map_err(|error| format!("{} cannot be made: {error}", tools.display()))?;
    let folder = tools.join(name);
    // Tests run side by side, in processes of their own; one installs.
    let lock = File::create(tools.join(format!("{name}.lock"))).map_err(|error| format!("no lock file: {error}"))?;
    lock.lock().map_err(|error| format!("no lock: {error}"))?;
    let (path, complete) = (folder.join(product), folder.join("complete"));
    if complete.exists() && path.exists() {
        return Ok(path);
    }
    // What an installation that was cut off left behind is no good.
    if folder.exists() {
        remove_dir_all(&folder).map_err(|error| format!("{} cannot be removed: {error}", folder.display()))?;
    }
    for mut step in steps(&folder) {
        run(&mut step).map_err(|why| format!("{name}: the installation failed: {why}"))?;
    }
    File::create(complete).map_err(|error| format!("{name}: {error}"))?;
    Ok(path)
}

/// Beside what cargo builds, wherever that is.
fn tools_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a file");
    test.ancestors().nth(3).expect("tests lie in target/PROFILE/deps").join("tools")
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = said.lines().rev().take(3).collect();
    Err(format!("{}: {}", output.status, last.into_iter().rev().collect::<Vec<_>>().join(" | ")))
}
