//! From samples to the table: which figure is held against which, and what should come of it.

use super::row::{Row, Target, number};
use super::samples::Samples;

/// A disk that syncs less often than this decides alone how fast anything durable is. A ratio to a system that
/// syncs nothing then says nothing; and whoever waits for such a disk comes near to it, however slow he is himself.
const QUICK_DISK: f64 = 5_000.0;

const SAME: &str = "ours each batch, the bare loop each group";
const NOT_PEER: &str = "ours each record that is waited for, the Python system none";

pub fn disk(samples: &Samples) -> Vec<Row> {
    let per_s = |at| samples.median("disk", at).unwrap_or_default();
    let range = format!("{} to {}", number(per_s("/lowest")), number(per_s("/highest")));
    vec![
        Row::known("bare disk: 300 bytes written to an allocated file and synced", rate(per_s("/syncs_per_s"), "syncs"))
            .against(range, None),
    ]
}

pub fn append(samples: &Samples) -> Vec<Row> {
    let mut rows = Vec::new();
    for index in 0.. {
        let at = |field: &str| format!("/groups/{index}/{field}");
        let Some(size) = samples.median("append", &at("group")) else { break };
        let figure = |field: &str| samples.median("append", &at(field));
        let who = match figure("in_flight") {
            Some(many) if many > 1.0 => format!("{many} wait at once, each"),
            _ => "one waits".to_owned(),
        };
        let what = format!("append: {who} for groups of {size} of 300 bytes");
        let (groups, records) = (rate_of(figure("groups_per_s"), "groups"), of(figure("records_per_s")));
        let ours = format!("{groups}, {records} records/s, {} groups a sync", of(figure("groups_per_batch")));
        let against = format!("bare loop, a sync for each: {}", rate_of(figure("ceiling_groups_per_s"), "groups"));
        let row = Row::known(what, ours).against(against, figure("ratio")).should(Target::AtLeast(0.8)).syncs(SAME);
        rows.push(row.unless_flattered(slow(figure("ceiling_groups_per_s"))));
    }
    let theirs = || format!("Python: {}", rate_of(samples.median("append.peer", "/entries_per_s"), "records"));
    let ratio = samples.ratio(("append", "/groups/0/records_per_s"), ("append.peer", "/entries_per_s"));
    rows.push(
        Row::known("append: one by one", rate_of(samples.median("append", "/groups/0/records_per_s"), "records"))
            .against_or_skipped(samples.missing("append.peer"), theirs, ratio)
            .syncs(NOT_PEER),
    );
    rows
}

pub fn appenders(samples: &Samples) -> Vec<Row> {
    let figure = |at| samples.median("appenders", at);
    let what = format!("append: {} at once, each of one record", of(figure("/count")));
    let ours = format!("{}, {} in a batch", rate_of(figure("/records_per_s"), "records"), of(figure("/records_per_batch")));
    let against = format!("bare loop, same batches: {}", rate_of(figure("/ceiling_records_per_s"), "records"));
    let row = Row::known(what, ours).against(against, figure("/ratio")).should(Target::AtLeast(0.6));
    vec![row.unless_flattered(slow(figure("/ceiling_syncs_per_s"))).syncs("both sync each batch")]
}

pub fn runs(samples: &Samples) -> Vec<Row> {
    vec![
        against_python(samples, "64 processes, with history", "runs.64", "runs.peer"),
        against_python(samples, "64 processes, without history", "runs.64.brief", "runs.peer.brief"),
        processor(samples, "with history", "runs.64", "runs.peer"),
        processor(samples, "without history", "runs.64.brief", "runs.peer.brief"),
        of_the_disk(samples, "64 processes: batches, of what the disk syncs", "runs.64"),
        syncs_of_a_run(samples),
        alone(samples),
        without_target(samples, "one process, 64 events on their way", "runs.1.window", "runs.peer", NOT_PEER),
        without_target(samples, "64 processes, no disk: the processor alone", "runs.nowhere", "runs.peer", "none"),
    ]
}

/// Ours against theirs, on a disk that is quick enough to say something.
fn against_python(samples: &Samples, what: &str, ours: &str, theirs: &str) -> Row {
    without_target(samples, what, ours, theirs, NOT_PEER).should(Target::AtLeast(50.0)).unless(slow_disk(samples, ours))
}

fn without_target(samples: &Samples, what: &str, ours: &str, theirs: &str, syncs: &'static str) -> Row {
    let text = rate_of(samples.median(ours, "/runs_per_s"), "runs");
    let python = || format!("Python: {}", rate_of(samples.median(theirs, "/inv_per_s"), "runs"));
    let ratio = samples.ratio((ours, "/runs_per_s"), (theirs, "/inv_per_s"));
    Row::known(format!("event to finished run: {what}"), text)
        .against_or_skipped(samples.missing(theirs), python, ratio)
        .syncs(syncs)
}

/// What a run costs the processor. The figures follow what else the machine does, their ratio hardly does.
fn processor(samples: &Samples, what: &str, ours: &str, theirs: &str) -> Row {
    let us = |key, at| format!("{} us", of(samples.median(key, at)));
    let ratio = samples.ratio((theirs, "/cpu_us_per_inv"), (ours, "/cpu_us_per_run"));
    Row::known(format!("event to finished run: processor time, {what}"), us(ours, "/cpu_us_per_run"))
        .against_or_skipped(samples.missing(theirs), || format!("Python: {}", us(theirs, "/cpu_us_per_inv")), ratio)
        .syncs(NOT_PEER)
}

fn of_the_disk(samples: &Samples, what: &str, key: &str) -> Row {
    let ratio = samples.median(key, "/batches_of_syncs");
    Row::known(format!("event to finished run: {what}"), rate_of(samples.median(key, "/batches_per_s"), "syncs"))
        .against(bare(samples, key), ratio)
        .syncs("both each batch")
}

fn syncs_of_a_run(samples: &Samples) -> Row {
    let syncs = samples.median("runs.1", "/syncs_per_run");
    let records = of(samples.median("runs.1", "/records_per_run"));
    let bytes = of(samples.median("runs.1", "/bytes_per_run"));
    Row::known("event to finished run: syncs of a run alone", format!("{records} records, {bytes} bytes"))
        .against("event, intent, result, end".to_owned(), syncs)
        // A checkpoint or a heartbeat may want one of its own now and then.
        .should(Target::AtMost(4.1))
}

fn alone(samples: &Samples) -> Row {
    let key = "runs.1";
    let ratio = samples.median(key, "/runs_of_syncs").map(|ratio| ratio * 4.0);
    let median_ms = of(samples.median(key, "/p50_ms"));
    let ours = format!("{}, {median_ms} ms each", rate_of(samples.median(key, "/runs_per_s"), "runs"));
    Row::known("event to finished run: one process, one event at a time", ours)
        .against(format!("a quarter of the bare disk's {}", rate_of(samples.median(key, "/syncs_per_s"), "syncs")), ratio)
        .should(Target::AtLeast(0.6))
        .unless_flattered(slow_disk(samples, key))
        .syncs("four a run")
}

pub fn webhook(samples: &Samples) -> Vec<Row> {
    let ours = "webhook";
    let accepted = ("accepted", "/accepted_per_s", "/accepted_per_s");
    let ended = ("run to their end", "/runs_per_s", "/invocations_per_s");
    vec![
        hooks(samples, accepted, "webhook.room", "webhook.peer")
            .should(Target::AtLeast(20.0))
            .unless(slow_disk(samples, "webhook.room")),
        hooks(samples, accepted, ours, "webhook.peer").should(Target::AtLeast(20.0)).unless(slow_disk(samples, ours)),
        hooks(samples, accepted, ours, "webhook.peer.full"),
        hooks(samples, ended, ours, "webhook.peer.full"),
        hooks(samples, accepted, "webhook.64", "webhook.peer.full"),
        batches(samples, "one process where all may wait", "webhook.room"),
        batches(samples, "one process", ours),
        batches(samples, "64 processes", "webhook.64"),
        plain(samples, "one process where all may wait", "webhook.room"),
        plain(samples, "one process", ours),
        plain(samples, "64 processes", "webhook.64"),
    ]
}

fn hooks(samples: &Samples, (what, ours_at, theirs_at): (&str, &str, &str), ours: &str, theirs: &str) -> Row {
    let figure = |at| samples.median(ours, at);
    let refused = figure("/refused").unwrap_or_default();
    let share = 100.0 * refused / (refused + figure("/accepted").unwrap_or_default()).max(1.0);
    let processes = match ours {
        "webhook" => "one process",
        "webhook.room" => "one process where all of them may wait",
        _ => "64 processes on one port",
    };
    let journal = if theirs == "webhook.peer" { "no journal" } else { "journal full" };
    let python = || format!("Python, one process, {journal}: {}", rate_of(samples.median(theirs, theirs_at), "events"));
    Row::known(
        format!("webhook: {what}, 64 connections to {processes}"),
        format!("{}, {share:.0} % are refused", rate_of(figure(ours_at), "events")),
    )
    .against_or_skipped(samples.missing(theirs), python, samples.ratio((ours, ours_at), (theirs, theirs_at)))
    .syncs("ours each event and each run's end, the Python system none")
}

fn batches(samples: &Samples, what: &str, key: &str) -> Row {
    let ratio = samples.ratio((key, "/batches_per_s"), (key, "/syncs_per_s"));
    let ours = rate_of(samples.median(key, "/batches_per_s"), "syncs");
    Row::known(format!("webhook: {what}: batches, of what the disk syncs"), ours)
        .against(bare(samples, key), ratio)
        .syncs("both each batch")
}

fn plain(samples: &Samples, what: &str, key: &str) -> Row {
    let plain = "webhook.plain";
    let text = |key: &str| {
        let cpu = of(samples.median(key, "/cpu_us_per_accepted"));
        format!("{}, {cpu} us of processor each", rate_of(samples.median(key, "/accepted_per_s"), "accepted"))
    };
    Row::known(format!("webhook: {what}, beside a server that only answers 202; the runs are in ours"), text(key))
        .against(format!("plain hyper: {}", text(plain)), samples.ratio((key, "/accepted_per_s"), (plain, "/accepted_per_s")))
        .syncs("ours each batch, the other none")
}

pub fn recover(samples: &Samples) -> Vec<Row> {
    let (ours, theirs) = ("recover", "recover.peer");
    let records = of(samples.median(ours, "/n"));
    // For these, less is better: what they take, divided by what we take.
    let compare = |what: &str, unit: &str, ours_at: &str, theirs_at: &str| {
        let figure = |key, at| format!("{} {unit}", of(samples.median(key, at)));
        Row::known(format!("recovery of {records} records, no checkpoint: {what}"), figure(ours, ours_at)).against_or_skipped(
            samples.missing(theirs),
            || format!("Python: {}", figure(theirs, theirs_at)),
            samples.ratio((theirs, theirs_at), (ours, ours_at)),
        )
    };
    vec![
        compare("time to a ready state", "s", "/ready_s", "/recover_s").should(Target::AtLeast(10.0)),
        compare("processor time", "s", "/cpu_s", "/recover_cpu_s"),
        compare("most memory at once", "MB", "/max_rss_mb", "/maxrss_mb"),
        starts(samples, "an event every three minutes", ["recover.small", "recover.middle", "recover.large"])
            .should(Target::AtMost(1.5)),
        starts(samples, "an event every second", ["recover.busy.small", "recover.busy.middle", "recover.busy.large"]),
    ]
}

/// Starts of logs of growing length. What a process remembers of its events' keys grows with how many it takes
/// in three days, and has a limit; so that is the same for each of them, or said.
fn starts(samples: &Samples, what: &str, keys: [&str; 3]) -> Row {
    let started = keys.map(|key| of_ms(samples.median(key, "/ready_s")));
    let counts = keys.map(|key| of(samples.median(key, "/n")));
    let remembered = keys.map(|key| of(samples.median(key, "/dedup_keys")));
    let (counts, remembered) = (counts.join(", "), remembered.join(", "));
    Row::known(format!("start with checkpoints, {what}: {counts} records, {remembered} keys"), started.join(", "))
        .against("the last divided by the first".to_owned(), samples.ratio((keys[2], "/ready_s"), (keys[0], "/ready_s")))
}

pub fn turns(samples: &Samples) -> Vec<Row> {
    let bytes = |index: usize| samples.median("turns", &format!("/runs/{index}/bytes_per_turn"));
    let turns = |index: usize| of(samples.median("turns", &format!("/runs/{index}/turns")));
    let each: Vec<String> = (0..3).map(|index| of(bytes(index))).collect();
    let ratio = bytes(2).zip(bytes(0)).map(|(long, short)| long / short);
    vec![
        Row::known(
            format!("journal of one run: bytes a turn at {}, {} and {} turns", turns(0), turns(1), turns(2)),
            each.join(", "),
        )
        .against("the last divided by the first".to_owned(), ratio)
        .should(Target::AtMost(1.1)),
    ]
}

/// Why a ratio says nothing on the disk that this part met.
fn slow_disk(samples: &Samples, key: &str) -> Option<String> {
    slow(samples.median(key, "/syncs_per_s"))
}

fn slow(syncs_per_s: Option<f64>) -> Option<String> {
    let syncs = syncs_per_s?;
    (syncs < QUICK_DISK).then(|| format!("the disk synced only {} times a second", number(syncs)))
}

fn bare(samples: &Samples, key: &str) -> String {
    format!("bare loop: {}", rate_of(samples.median(key, "/syncs_per_s"), "syncs"))
}

fn rate(value: f64, what: &str) -> String {
    format!("{} {what}/s", number(value))
}

fn rate_of(value: Option<f64>, what: &str) -> String {
    value.map_or_else(|| "-".to_owned(), |value| rate(value, what))
}

fn of(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), number)
}

fn of_ms(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{} ms", number(seconds * 1e3)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::row::Verdict;
    use serde_json::json;

    fn run(runs_per_s: f64, syncs_per_s: f64) -> serde_json::Value {
        json!({"runs_per_s": runs_per_s, "syncs_per_s": syncs_per_s, "batches_per_s": 100.0, "cpu_us_per_run": 50.0})
    }

    #[test]
    fn a_ratio_to_python_counts_on_a_quick_disk_only() {
        let verdict = |syncs_per_s| {
            let mut samples = Samples::default();
            samples.add("runs.64", run(12_000.0, syncs_per_s));
            samples.add("runs.peer", json!({"inv_per_s": 200.0}));
            let row = runs(&samples).remove(0);
            assert_eq!(row.ratio, Some(60.0));
            row.verdict
        };
        assert_eq!(verdict(6_000.0), Verdict::Met);
        assert!(matches!(verdict(300.0), Verdict::DoesNotCount(why) if why.contains("300")));
    }

    #[test]
    fn without_the_peer_its_rows_say_why_and_the_others_stand() {
        let mut samples = Samples::default();
        samples.add("runs.1", json!({"runs_of_syncs": 0.1675, "syncs_per_s": 6_000.0, "syncs_per_run": 4.0}));
        samples.skip("runs.peer", "no Python");
        let rows = runs(&samples);
        assert!(rows[0].against.contains("no Python"), "{rows:?}");
        let alone = rows.iter().find(|row| row.what.contains("one event at a time")).unwrap();
        assert_eq!((alone.ratio.map(|ratio| (ratio * 100.0).round()), &alone.verdict), (Some(67.0), &Verdict::Met));
    }

    #[test]
    fn each_group_of_appends_is_a_row_and_a_slow_disk_lets_none_of_them_pass() {
        let group = |size, ceiling, ratio| json!({"group": size, "ceiling_groups_per_s": ceiling, "ratio": ratio});
        let mut samples = Samples::default();
        samples.add("append", json!({"groups": [group(1, 9_000.0, 0.9), group(16, 9_000.0, 0.5), group(100, 300.0, 1.1)]}));
        let verdicts: Vec<Verdict> = append(&samples).into_iter().map(|row| row.verdict).take(3).collect();
        assert_eq!(verdicts[..2], [Verdict::Met, Verdict::Missed]);
        assert!(matches!(verdicts[2], Verdict::DoesNotCount(_)));
    }

    #[test]
    fn of_two_times_the_ratio_is_how_often_ours_goes_into_theirs() {
        let mut samples = Samples::default();
        samples.add("recover", json!({"n": 10.0, "ready_s": 0.5}));
        samples.add("recover.peer", json!({"recover_s": 8.0}));
        assert_eq!(recover(&samples)[0].ratio, Some(16.0));
    }
}
