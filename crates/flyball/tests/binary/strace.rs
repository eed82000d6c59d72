//! A program under strace, which tells and changes what the kernel answers it.

use std::process::Command;

/// `program` under strace with these options; `None` where it cannot trace. In CI it must be able to.
pub fn traced(program: &Command, options: &[&str]) -> Option<Command> {
    let probe = Command::new("strace").args(["-f", "-e", "trace=none", "true"]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "strace is needed in CI");
        eprintln!("skipped: strace is not there, or may not trace");
        return None;
    }
    let mut traced = Command::new("strace");
    traced.args(["-f", "--seccomp-bpf", "-qq"]).args(options);
    traced.arg(program.get_program()).args(program.get_args());
    traced.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    traced.current_dir(program.get_current_dir()?);
    Some(traced)
}
