//! File systems of a test's own: memory of a certain size, and a disk image that can be copied as a power
//! cut would leave it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A mounted file system, unmounted when it is dropped.
pub struct Mount {
    pub at: PathBuf,
}

/// Why nothing can be mounted here, if so.
pub fn can_mount() -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    Mount::memory(dir.path(), "size=1m").map(drop)
}

impl Mount {
    /// Memory, with options of tmpfs.
    pub fn memory(at: &Path, options: &str) -> Result<Self, String> {
        fs::create_dir_all(at).map_err(|error| error.to_string())?;
        run("mount", &["-t", "tmpfs", "-o", options, "none", &at.display().to_string()])?;
        Ok(Self { at: at.to_owned() })
    }

    /// An empty image of `megabytes`, with a file system in it.
    pub fn format(image: &Path, megabytes: u64) -> Result<(), String> {
        let file = fs::File::create(image).map_err(|error| error.to_string())?;
        file.set_len(megabytes << 20).map_err(|error| error.to_string())?;
        run("mkfs.ext4", &["-q", "-F", &image.display().to_string()])
    }

    /// The file system in an image.
    pub fn image(image: &Path, at: &Path, options: &str) -> Result<Self, String> {
        fs::create_dir_all(at).map_err(|error| error.to_string())?;
        let options = if options.is_empty() { "loop".to_owned() } else { format!("loop,{options}") };
        run("mount", &["-o", &options, &image.display().to_string(), &at.display().to_string()])?;
        Ok(Self { at: at.to_owned() })
    }

    /// The device that is mounted.
    pub fn device(&self) -> Option<String> {
        let mounts = fs::read_to_string("/proc/mounts").ok()?;
        let at = self.at.display().to_string();
        mounts.lines().find(|line| line.split(' ').nth(1) == Some(&at))?.split(' ').next().map(str::to_owned)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let at = self.at.display().to_string();
        if run("umount", &[&at]).is_err() {
            // Somebody still has a file of it; it goes with him.
            let _ = run("umount", &["-l", &at]);
        }
    }
}

/// Runs a program; the error is what it says.
pub fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
