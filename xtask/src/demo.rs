//! `cargo xtask demo`: builds what the example needs and becomes the command that a user would type next.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;

const EXAMPLE: &str = "examples/pipeline-ops";

/// What `cargo xtask demo` accepts.
#[derive(clap::Args)]
pub struct Options {
    /// Handed on to `flyball run`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Builds both programs in release, prints the line and runs it.
///
/// The exit code is the one of `flyball`, and Ctrl-C is its to answer.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    println!("building flyball and the example's tool server (several minutes the first time)");
    process::run(&mut workspace.cargo(&["build", "--release", "-p", "flyball", "-p", "pipeline-ops-server"]))?;

    let program = workspace.target.join("release").join(format!("flyball{}", std::env::consts::EXE_SUFFIX));
    if !program.is_file() {
        bail!("cargo built flyball, but {} is not there", program.display());
    }
    let mut command = Command::new(&program);
    command.current_dir(&workspace.root).arg("run").arg(EXAMPLE).args(&options.args);
    println!("\n$ {}\n", typed(workspace.relative(&program), &options.args));
    become_it(&mut command).with_context(|| format!("could not start {}", program.display()))
}

fn typed(program: &Path, args: &[String]) -> String {
    let mut line = format!("{} run {EXAMPLE}", program.display());
    for arg in args {
        line.push(' ');
        line.push_str(arg);
    }
    line
}

/// Takes our place, so that nothing stands between the user and the program: no signal or exit code to hand on.
#[cfg(unix)]
fn become_it(command: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    Err(command.exec().into())
}

#[cfg(not(unix))]
fn become_it(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    std::process::exit(status.code().unwrap_or(1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_shown_is_the_line_run() {
        let args = ["--data".to_owned(), "elsewhere".to_owned()];
        let line = typed(Path::new("target/release/flyball"), &args);
        assert_eq!(line, "target/release/flyball run examples/pipeline-ops --data elsewhere");
    }
}
