//! The faults, as data.

mod crash;
mod damage;
mod disk;
mod files;
mod growth;
mod harm;
mod kill;
mod load;
mod model;
mod owner;
mod power;
mod sequences;
mod slow;
mod time;
mod tools;
mod traced;

use crate::tally::{Plan, Row, Tally};
use sequences::Step;

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
        run: |plan, tally| {
            crash::power_cuts(plan, tally);
            sequences::cut_off(plan, tally, &[Step::Append, Step::Push]);
            power::cuts(plan, tally);
        },
    },
    Fault {
        id: "F07",
        test: "f07_names_lost_in_a_power_cut",
        what: "an unsynced create or rename is lost: rotation and checkpoint",
        promises: &["P1", "P9"],
        run: |plan, tally| sequences::cut_off(plan, tally, &[Step::Large, Step::Checkpoint]),
    },
    Fault {
        id: "F08",
        test: "f08_syncs_that_fail",
        what: "a sync fails, once or for ever; any operation on the disk does",
        promises: &["P1", "P2", "P3", "P6", "P9", "P11"],
        run: |plan, tally| {
            crash::failing_operations(plan, tally);
            traced::failing_syncs(plan, tally);
        },
    },
    Fault {
        id: "F09",
        test: "f09_writes_that_fail_or_are_short",
        what: "a write fails once or for ever, is interrupted, has no room, or writes half",
        promises: &["P1", "P2", "P3", "P6", "P9", "P11"],
        run: |plan, tally| {
            crash::torn_operations(plan, tally);
            traced::failing_writes(plan, tally);
        },
    },
    Fault {
        id: "F10",
        test: "f10_a_full_disk",
        what: "the disk is full, then there is room; no inodes are left, then there are",
        promises: &["P1", "P3", "P9", "P11"],
        run: |plan, tally| {
            sequences::out_of_room(plan, tally);
            disk::full(plan, tally);
        },
    },
    Fault {
        id: "F12",
        test: "f12_a_slow_disk",
        what: "a sync takes 200 ms to 5 s",
        promises: &["P1", "P3", "P9", "P16", "P20"],
        run: slow::slow,
    },
    Fault {
        id: "F13",
        test: "f13_no_file_descriptors",
        what: "no file descriptor is left",
        promises: &["P1", "P3", "P9"],
        run: disk::no_descriptors,
    },
    Fault {
        id: "F14",
        test: "f14_read_only_or_deleted",
        what: "the file system becomes read-only; the journal's folder is deleted",
        promises: &["P1", "P3", "P9", "P11"],
        run: disk::gone,
    },
    Fault {
        id: "F15",
        test: "f15_two_runtimes_on_one_log",
        what: "two runtimes are started on one log",
        promises: &["P12"],
        run: owner::two_owners,
    },
    Fault {
        id: "F16",
        test: "f16_a_crash_inside_compaction",
        what: "the process or the machine dies inside a compaction",
        promises: &["P1", "P9"],
        run: |plan, tally| sequences::cut_off(plan, tally, &[Step::Compact]),
    },
    Fault {
        id: "F17",
        test: "f17_the_index_is_damaged_or_missing",
        what: "the journal's index is damaged or missing",
        promises: &["P9"],
        run: owner::index,
    },
    Fault {
        id: "F20",
        test: "f20_standing_still_over_a_cron_instant",
        what: "the runtime is stopped (SIGSTOP) over cron instants, up to 68 s; another one wants its log; it goes on",
        promises: &["P12", "P14"],
        run: owner::standing_still,
    },
    Fault {
        id: "F21",
        test: "f21_killed_between_intent_and_result",
        what: "the process is killed between a call's intent and its result",
        promises: &["P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9"],
        run: crash::between_intent_and_result,
    },
    Fault {
        id: "F22",
        test: "f22_the_clock_is_set",
        what: "the clock is set by +1 h, -1 h, +10 years; daylight saving begins and ends",
        promises: &["P8", "P14"],
        run: time::clock_is_set,
    },
    Fault {
        id: "F40",
        test: "f40_a_model_endpoint_that_misbehaves",
        what: "the model's endpoint answers 429 or 500, cuts its answer, is silent, sends no JSON, or 64 MiB",
        promises: &["P3", "P8", "P16"],
        run: model::endpoint,
    },
    Fault {
        id: "F41",
        test: "f41_a_model_that_wants_nonsense",
        what: "the model sends bad arguments, wants unknown tools, or 10,000 calls at once",
        promises: &["P3", "P8", "P16"],
        run: model::wishes,
    },
    Fault {
        id: "F42",
        test: "f42_a_tool_server_that_misbehaves",
        what: "a tool server hangs, exits mid-call, prints garbage or 1 GiB, answers a wrong id",
        promises: &["P6", "P16"],
        run: tools::misbehave,
    },
    Fault {
        id: "F43",
        test: "f43_a_tool_server_whose_tools_change",
        what: "a tool server changes its tools in the middle of a run",
        promises: &["P6", "P16"],
        run: tools::change,
    },
    Fault {
        id: "F44",
        test: "f44_floods_and_slow_senders",
        what: "more webhooks than can be handled; senders that never end their requests",
        promises: &["P1", "P3", "P4", "P9", "P20"],
        run: load::floods,
    },
    Fault {
        id: "F45",
        test: "f45_many_schedules_on_one_instant",
        what: "5,000 schedules fall on one instant",
        promises: &["P14"],
        run: time::one_instant,
    },
    Fault {
        id: "F46",
        test: "f46_agents_that_wake_each_other",
        what: "A wakes B, which wakes A",
        promises: &["P16"],
        run: load::circles,
    },
    Fault {
        id: "F47",
        test: "f47_files_that_change_unreported",
        what: "the system's queue of file changes overflows; atomic saves; the watched folder is deleted",
        promises: &["P1", "P2"],
        run: files::changes,
    },
    Fault {
        id: "F48",
        test: "f48_a_journal_that_grows",
        what: "the journal grows",
        promises: &["P2", "P3", "P6", "P9"],
        run: growth::grows,
    },
];
