//! The faults, as data.

mod crash;
mod damage;
mod harm;
mod kill;
mod traced;

use crate::tally::{Plan, Row, Tally};

/// One row of the table.
pub struct Fault {
    pub id: &'static str,
    /// Its name as a test.
    pub test: &'static str,
    pub what: &'static str,
    /// The promises that are judged.
    pub promises: &'static [&'static str],
    run: fn(&Plan, &Tally),
}

impl Fault {
    /// Tries it.
    pub fn judge(&self, plan: &Plan) -> Row {
        let tally = Tally::new(self.id, plan);
        (self.run)(plan, &tally);
        tally.row(self.promises, self.what)
    }
}

pub const FAULTS: &[Fault] = &[
    Fault {
        id: "F01",
        test: "f01_killed_at_any_time",
        what: "`kill -9` at random times under webhook traffic; duplicates over crashes",
        promises: &["P1", "P2", "P3", "P4", "P5", "P6", "P7", "P9", "P15", "P17"],
        run: kill::any_time,
    },
    Fault {
        id: "F02",
        test: "f02_killed_at_a_system_call",
        what: "SIGKILL at the n-th write, sync, rename, unlink or truncation, every n",
        promises: &["P1", "P2", "P3", "P4", "P5", "P6", "P9"],
        run: traced::killed_at_a_call,
    },
    Fault {
        id: "F03",
        test: "f03_the_journal_cut_at_a_byte",
        what: "the journal is cut at every byte of its last two segments",
        promises: &["P6", "P9", "P10"],
        run: damage::cut,
    },
    Fault {
        id: "F04",
        test: "f04_bits_flipped_in_the_journal",
        what: "one bit is flipped at every byte of the journal; eight random bits; lines forged",
        promises: &["P6", "P9", "P10", "P18"],
        run: damage::flips,
    },
    Fault {
        id: "F05",
        test: "f05_a_block_zeroed_stale_or_misplaced",
        what: "a block of 4 KiB of the journal is zeroed, stale, or another one",
        promises: &["P6", "P9", "P10"],
        run: damage::blocks,
    },
    Fault {
        id: "F06",
        test: "f06_power_cuts",
        what: "the power is cut: unsynced writes are lost, in any subset",
        promises: &["P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9"],
        run: crash::power_cuts,
    },
    Fault {
        id: "F08",
        test: "f08_syncs_and_writes_that_fail",
        what: "a write or a sync fails once or for ever, or writes half",
        promises: &["P1", "P2", "P3", "P6", "P9", "P11"],
        run: |plan, tally| {
            crash::failing_operations(plan, tally);
            traced::failing_calls(plan, tally);
        },
    },
    Fault {
        id: "F21",
        test: "f21_killed_between_intent_and_result",
        what: "the process is killed between a call's intent and its result",
        promises: &["P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9"],
        run: crash::between_intent_and_result,
    },
];
