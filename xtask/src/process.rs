//! Running other programs: said before it is done, and with a limit where something could hang.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Runs a command with our own stdin, stdout and stderr, after printing it.
///
/// Errors when it cannot be started or does not exit with 0. There is no limit of time: builds take what they take.
pub fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    println!("$ {line}");
    let status = command.status().with_context(|| format!("could not start `{line}`"))?;
    if !status.success() {
        bail!("`{}` ended with {status}", short(&line));
    }
    Ok(())
}

/// Runs a command silently for at most `limit`; the error carries the last line that it wrote.
///
/// `log` receives its output, so that a full pipe cannot stop it.
pub fn run_quietly(command: &mut Command, limit: Duration, log: &Path) -> Result<()> {
    let line = line(command);
    let file = File::create(log).with_context(|| format!("could not write {}", log.display()))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .with_context(|| format!("could not start `{line}`"))?;
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            if status.success() {
                return Ok(());
            }
            bail!("{}", last_error_line(log).unwrap_or_else(|| format!("`{}` ended with {status}", short(&line))));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            bail!("`{}` did not end within {} s", short(&line), limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What a command writes to stdout, or `None` if it is not there or fails.
pub fn ask(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The command as one would type it.
pub fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    // A toolchain's full path tells the reader nothing.
    let name = if program.is_absolute() { program.file_name().unwrap_or_default() } else { program.as_os_str() };
    let mut line = name.to_string_lossy().into_owned();
    for arg in command.get_args() {
        let arg = arg.to_string_lossy();
        let quoted = arg.contains(|c: char| c.is_whitespace() || "()|&*".contains(c));
        line.push_str(&if quoted { format!(" '{arg}'") } else { format!(" {arg}") });
    }
    line
}

fn short(line: &str) -> String {
    const MAX: usize = 160;
    if line.chars().count() <= MAX { line.to_owned() } else { line.chars().take(MAX).chain("...".chars()).collect() }
}

fn last_error_line(log: &Path) -> Option<String> {
    // The end is enough, and a log may be long.
    const MAX_BYTES: u64 = 1 << 20;
    let mut bytes = Vec::new();
    File::open(log).ok()?.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let says_why = |line: &&str| ["fatal:", "error:", "ERROR"].iter().any(|mark| line.contains(mark));
    lines().rev().find(says_why).or_else(|| lines().next_back()).map(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("/opt/tools/cargo");
        command.args(["nextest", "run", "-E", "test(=a) | test(=b)"]);
        assert_eq!(line(&command), "cargo nextest run -E 'test(=a) | test(=b)'");
    }

    #[test]
    fn a_failing_command_is_an_error_with_its_exit_code() {
        let error = run(Command::new("sh").args(["-c", "exit 7"])).unwrap_err().to_string();
        assert!(error.contains("exit status: 7"), "{error}");
    }

    #[test]
    fn a_quiet_command_that_hangs_is_ended_at_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let started = Instant::now();
        let mut command = Command::new("sleep");
        let error = run_quietly(command.arg("60"), Duration::from_millis(100), &dir.path().join("log")).unwrap_err();
        assert!(error.to_string().contains("did not end within"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_quiet_command_that_fails_says_its_own_reason() {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo fetching; echo 'error: no route to the database' >&2; echo bye; exit 1"]);
        let error = run_quietly(&mut command, Duration::from_secs(30), &dir.path().join("log")).unwrap_err();
        assert_eq!(error.to_string(), "error: no route to the database");
    }

    #[test]
    fn a_program_that_is_not_there_answers_nothing() {
        assert_eq!(ask("surely-no-such-program", &["--version"]), None);
    }
}
