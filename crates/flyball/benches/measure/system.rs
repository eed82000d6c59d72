//! What the system counts of this process. Linux tells in `/proc`; elsewhere nothing is known.

use std::fs;
use std::time::Duration;

/// Processor time of all threads so far, user's and system's.
pub fn cpu_time() -> Option<Duration> {
    // Linux counts these in hundredths of a second on every machine that it runs on.
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name may hold spaces; it ends at the last parenthesis. User and system time are the 14th and 15th field.
    let after_name = stat.rsplit_once(')')?.1;
    let ticks: Vec<u32> = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    Some(TICK * ticks.iter().sum::<u32>())
}

/// The most memory that was resident at once, in MB.
pub fn max_resident_mb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024)
}
