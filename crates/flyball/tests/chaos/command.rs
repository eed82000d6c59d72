//! What the program is asked for: by a person, by xtask, or by a test runner, which speaks libtest's words.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;

use crate::faults::{FAULTS, Fault};
use crate::tally::{Plan, Row};

/// The fault suite.
#[derive(Parser)]
#[command(about = "Tries the faults that flyball says it survives, and counts")]
pub struct Arguments {
    /// Try this fault in full: one JSON line says what came of it
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    fault: Vec<String>,
    /// Try each part of it so often, and not as often as it wants to be
    #[arg(long)]
    trials: Option<u64>,
    /// Choose by these numbers where chance chooses
    #[arg(long, default_value_t = 20_261_123)]
    seed: u64,
    /// Only a few trials of each part
    #[arg(long)]
    quick: bool,
    /// Say on stderr how far it is
    #[arg(long)]
    progress: bool,
    /// Be the world outside: tool server, model and ledger, in this folder
    #[arg(long, value_name = "DIR", hide = true)]
    world: Option<PathBuf>,
    /// Be a tool server on the standard streams that behaves so
    #[arg(long, value_name = "BEHAVIOUR", hide = true)]
    server: Option<String>,
    /// Print the faults
    #[arg(long)]
    list: bool,
    #[arg(long, hide = true, default_value = "json")]
    format: String,
    #[arg(long, hide = true)]
    ignored: bool,
    #[arg(long, hide = true)]
    exact: bool,
    #[arg(long, hide = true)]
    nocapture: bool,
    /// Run the tests whose names contain this
    #[arg(hide = true)]
    names: Vec<String>,
}

/// What this process is.
pub enum Role {
    /// The one that tries and judges.
    Judge,
    /// What lies outside of flyball.
    World(PathBuf),
    /// A tool server that is a child of flyball.
    Server(String),
}

impl Arguments {
    pub fn role(&self) -> Role {
        match (&self.world, &self.server) {
            (Some(dir), _) => Role::World(dir.clone()),
            (None, Some(behaviour)) => Role::Server(behaviour.clone()),
            (None, None) => Role::Judge,
        }
    }

    pub fn lists(&self) -> bool {
        self.list
    }

    /// The faults: for a test runner by the names of their tests, else one JSON line each.
    pub fn list(&self) {
        for fault in FAULTS.iter().filter(|_| !self.ignored) {
            if self.format == "terse" {
                println!("{}: test", fault.test);
            } else {
                println!("{}", serde_json::json!({"fault": fault.id, "promises": fault.promises, "what": fault.what}));
            }
        }
    }

    /// Asked by a test runner and not for faults by their ids.
    fn as_test(&self) -> bool {
        self.fault.is_empty()
    }

    pub fn chosen(&self) -> Vec<&'static Fault> {
        if let Some(unknown) = self.fault.iter().find(|id| FAULTS.iter().all(|fault| fault.id != **id)) {
            let known: Vec<&str> = FAULTS.iter().map(|fault| fault.id).collect();
            eprintln!("there is no fault {unknown}; there are {}", known.join(", "));
            std::process::exit(2);
        }
        let named = |fault: &&Fault| {
            let wanted = |name: &String| if self.exact { fault.test == name } else { fault.test.contains(name.as_str()) };
            if self.as_test() {
                !self.ignored && (self.names.is_empty() || self.names.iter().any(wanted))
            } else {
                self.fault.iter().any(|id| id == fault.id)
            }
        };
        FAULTS.iter().filter(named).collect()
    }

    pub fn plan(&self) -> Plan {
        Plan { seed: self.seed, trials: self.trials, quick: self.quick || self.as_test(), progress: self.progress }
    }

    pub fn tell(&self, row: &Row) {
        println!("{}", serde_json::to_string(row).expect("a row is plain data"));
        if self.as_test() {
            leave_word(row);
        }
        if self.as_test() && row.failures > 0 {
            eprintln!("{}: {} of {} trials failed; the first: {}", row.fault, row.failures, row.trials, row.first());
        }
    }
}

/// A test runner hides what a passing test says, so what was not tried is left in a file. `cargo xtask test`
/// reads it and says so at its end.
fn leave_word(row: &Row) {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos-skipped");
    let file = dir.join(row.fault);
    let left = match &row.skipped_because {
        Some(why) => fs::create_dir_all(&dir).and_then(|()| fs::write(&file, why)),
        None if file.exists() => fs::remove_file(&file),
        None => Ok(()),
    };
    left.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}
