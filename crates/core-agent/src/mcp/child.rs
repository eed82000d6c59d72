//! A server as our child process.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use rmcp::transport::TokioChildProcess;
use tokio::process::Command;

use super::error::Error;
use super::stderr::Stderr;

/// What a server inherits of our environment: what programs need to run at all, and nothing that may be secret.
const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "TEMP",
    "TMP",
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "WINDIR",
    "COMSPEC",
    "PATHEXT",
    "APPDATA",
    "LOCALAPPDATA",
    "PROGRAMDATA",
    "USERPROFILE",
];

/// Starts the program. Its lines are limited to 16 MiB each by rmcp; a longer one is dropped while it is read.
pub(super) fn start(
    name: &str,
    command: &Path,
    args: &[String],
    env: &BTreeMap<String, String>,
    cwd: Option<&Path>,
) -> Result<(TokioChildProcess, Option<Stderr>), Error> {
    let mut program = Command::new(command);
    program.args(args).env_clear();
    program.envs(INHERITED.iter().filter_map(|key| Some((key, std::env::var_os(key)?))));
    program.envs(env);
    if let Some(cwd) = cwd {
        program.current_dir(cwd);
    }
    // If our runtime goes without a farewell, the child still must.
    program.kill_on_drop(true);
    // Ctrl-C in a terminal is for us: the server must live until its calls are answered.
    #[cfg(unix)]
    program.process_group(0);
    let spawned = TokioChildProcess::builder(program).stderr(Stdio::piped()).spawn();
    let (process, stderr) =
        spawned.map_err(|source| Error::Start { name: name.to_owned(), command: command.display().to_string(), source })?;
    let given = env.values().cloned().collect();
    Ok((process, stderr.map(|stderr| Stderr::log(name, stderr, given))))
}
