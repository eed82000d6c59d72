//! What is taken away, as data.

/// A small change to the sources that breaks a promise.
#[derive(Debug)]
pub struct Mutation {
    /// What flyball does then.
    pub what: &'static str,
    pub file: &'static str,
    /// The text that is replaced. It stands in the file once.
    pub from: &'static str,
    pub to: &'static str,
    /// The faults that are tried: one of them must notice.
    pub faults: &'static [&'static str],
}

/// Neighbours are of the same crate, so that less is built again.
pub const MUTATIONS: &[Mutation] = &[
    Mutation {
        what: "a batch is not synced before it is answered",
        file: "crates/journal/src/log/segment.rs",
        from: "        self.sync()?;\n        self.used = end;\n",
        to: "        self.used = end;\n",
        faults: &["F02", "F06"],
    },
    Mutation {
        what: "the rest of a write that failed is left in the segment",
        file: "crates/journal/src/log/segment.rs",
        from: "        if self.dirty > self.used {\n            fill",
        to: "        if self.dirty == u64::MAX {\n            fill",
        faults: &["F09", "F10"],
    },
    Mutation {
        what: "the log goes on after a sync that failed",
        file: "crates/journal/src/log/writer.rs",
        from: "            self.failed.send_replace(Some(error.clone()));\n",
        to: "",
        faults: &["F08"],
    },
    Mutation {
        what: "a line's checksum is not looked at",
        file: "crates/journal/src/log/line.rs",
        from: "if said != Some(checksum(body).as_slice()) {",
        to: "if said != Some(checksum(body).as_slice()) && body.is_empty() {",
        faults: &["F04"],
    },
    Mutation {
        what: "a record need not continue its process's chain",
        file: "crates/journal/src/log/scan.rs",
        from: "Some((previous, line::expected_hash(text, previous) == Some(hash)))",
        to: "Some((previous, line::expected_hash(text, previous).is_some()))",
        faults: &["F04"],
    },
    Mutation {
        what: "the folder is not synced when a segment gets its name",
        file: "crates/journal/src/log/spare.rs",
        from: "        self.storage.sync_names().map_err(|error| not_synced(&error))?;\n",
        to: "",
        faults: &["F06", "F07"],
    },
    Mutation {
        what: "a torn end is not cut off",
        file: "crates/journal/src/log/mod.rs",
        from: "        storage.cut(&torn.segment, torn.offset).map_err(|error| failed(&torn.segment, error))?;\n",
        to: "",
        faults: &["F03"],
    },
    Mutation {
        what: "batches that were durable are cut off with the last one",
        file: "crates/journal/src/log/recover/reader.rs",
        from: " || !follows {",
        to: " {",
        faults: &["F05"],
    },
    Mutation {
        what: "a damaged checkpoint hides what was lost with it",
        file: "crates/journal/src/log/recover/reader.rs",
        from: "commit.first == self.recovery.last_seq + 1 && !self.broken.contains(process);",
        to: "!self.broken.contains(process);",
        faults: &["F05"],
    },
    Mutation {
        what: "compaction drops what a process still needs",
        file: "crates/journal/src/log/retention.rs",
        from: "is_some_and(|needed| *segment.name >= **needed)",
        to: "is_some_and(|needed| *segment.name >= **needed && needed.is_empty())",
        faults: &["F16", "F48"],
    },
    Mutation {
        what: "a log has as many owners as want it",
        file: "crates/journal/src/log/lock.rs",
        from: "match file.try_lock() {",
        to: "match file.try_lock().or(Ok::<(), TryLockError>(())) {",
        faults: &["F15"],
    },
    Mutation {
        what: "the keys of events are forgotten",
        file: "crates/journal/src/fold/events.rs",
        from: "        self.dedup.remember(&event.trigger_id, event.key(), &event.event_id, event.timestamp, seq);\n",
        to: "",
        faults: &["F01", "F21"],
    },
    Mutation {
        what: "an irreversible call in doubt is made again after a crash",
        file: "crates/journal/src/intent.rs",
        from: "        if tape.in_doubt(&call.step)\n",
        to: "        if tape.in_doubt(&call.step) && before == u32::MAX\n",
        faults: &["F21"],
    },
    Mutation {
        what: "a call that was not answered is made again, whatever its effect",
        file: "crates/journal/src/intent.rs",
        from: "            if call.effect() == Effect::Irreversible\n                && let Some(reply) = self.settle(call, &tape, &failure.message).await?",
        to: "            if before == u32::MAX\n                && let Some(reply) = self.settle(call, &tape, &failure.message).await?",
        faults: &["F42"],
    },
    Mutation {
        what: "a call leaves before its intent is durable",
        file: "crates/journal/src/intent.rs",
        from: "        match call.effect() {\n            Effect::Read => {\n",
        to: "        match Effect::Read {\n            Effect::Read => {\n",
        faults: &["F02", "F21"],
    },
    Mutation {
        what: "a model is asked again for what it said",
        file: "crates/journal/src/replay.rs",
        from: "if let Some(reply) = tape.reply(&turn.step) {",
        to: "if let Some(reply) = tape.reply(&turn.step).filter(|_| false) {",
        faults: &["F21"],
    },
    Mutation {
        what: "an event is answered with yes before it is durable",
        file: "crates/runtime/src/process/reception.rs",
        from: "Some(journal.append(vec![entry]).await)",
        to: "Some(journal.push(entry).map(|at| Appended { seq: u64::MAX / 2 + at.timestamp_micros() as u64, at }))",
        faults: &["F06", "F21"],
    },
    Mutation {
        what: "what a process folds bears another time than its records",
        file: "crates/runtime/src/process/reception.rs",
        from: "        self.fold.take(seq, at, entry);\n",
        to: "        self.fold.take(seq, at + chrono::TimeDelta::milliseconds(1), entry);\n",
        faults: &["F48"],
    },
    Mutation {
        what: "a day's budget begins anew when the clock goes back",
        file: "crates/governance/src/budget/ledger.rs",
        from: "        if date > self.date {\n",
        to: "        if date != self.date {\n",
        faults: &["F22"],
    },
    Mutation {
        what: "a secret that a tool says is not masked",
        file: "crates/governance/src/secrets/vault.rs",
        from: "                    masked.push_str(mask);\n",
        to: "                    masked.push_str(&rest[..shape.len()]);\n",
        faults: &["F01"],
    },
    Mutation {
        what: "agents may wake each other for ever",
        file: "crates/triggers/src/emit.rs",
        from: "if hops > self.max_hops {",
        to: "if hops > self.max_hops.saturating_add(1) {",
        faults: &["F46"],
    },
];
