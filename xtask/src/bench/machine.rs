//! What the machine is, in words that name none.

use serde::Serialize;

use crate::process;

/// The machine, and when it was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Processors that we may use.
    pub cores: usize,
    /// Memory, in GB.
    pub memory_gb: Option<u64>,
    /// The system and its version.
    pub system: String,
    /// The compiler.
    pub rustc: String,
    /// The day, as ISO 8601 writes it.
    pub date: String,
}

impl Machine {
    pub fn look() -> Self {
        let unknown = || "unknown".to_owned();
        let kernel = process::ask("uname", &["-sr"]).map(|kernel| short_kernel(&kernel));
        Self {
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_gb: std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| memory_gb(&text)),
            system: kernel.unwrap_or_else(|| std::env::consts::OS.to_owned()),
            rustc: process::ask("rustc", &["--version"]).and_then(|text| second_word(&text)).unwrap_or_else(unknown),
            date: process::ask("date", &["-u", "+%Y-%m-%d"]).unwrap_or_else(unknown),
        }
    }

    /// One line.
    pub fn describe(&self) -> String {
        let memory = self.memory_gb.map(|memory| format!(", {memory} GB of memory")).unwrap_or_default();
        format!("{} cores{memory}, {}, Rust {}", self.cores, self.system, self.rustc)
    }
}

/// `Linux 6.18.44-something` as `Linux 6.18`: the rest names a distribution or a host.
fn short_kernel(kernel: &str) -> String {
    let mut words = kernel.split_whitespace();
    let name = words.next().unwrap_or_default();
    let version = words.next().unwrap_or_default().split('.').take(2).collect::<Vec<_>>().join(".");
    format!("{name} {version}")
}

fn second_word(text: &str) -> Option<String> {
    text.split_whitespace().nth(1).map(str::to_owned)
}

fn memory_gb(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some((kilobytes + (1 << 19)) >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_named_without_its_host() {
        assert_eq!(short_kernel("Linux 6.18.44-somebody-v657"), "Linux 6.18");
    }

    #[test]
    fn memory_is_rounded_to_whole_gigabytes() {
        assert_eq!(memory_gb("MemTotal:       24600000 kB\nMemFree: 1 kB\n"), Some(23));
        assert_eq!(memory_gb(""), None);
    }
}
