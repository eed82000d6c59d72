//! What the tests of the real programs share: a copy of the example to run them on, and a program
//! under watch.
#![allow(dead_code, unused_imports, reason = "every test binary uses another part of it")]

mod live;
mod random;
mod scene;
pub mod server;
mod strace;
pub mod till;

use std::time::{Duration, Instant};

pub use live::{Ended, Live, finish};
pub use random::Random;
pub use scene::Scene;
pub use strace::traced;

/// Nothing in these tests takes this long, whatever else the machine does.
pub const LONG: Duration = Duration::from_secs(60);

/// Looks again and again until `found` finds something; `None` after `limit`.
pub fn eventually<T>(limit: Duration, mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(it) = found() {
            return Some(it);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
