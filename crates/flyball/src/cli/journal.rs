//! `flyball journal`: the log itself.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use flyball_journal::{Anchor, Audit, Entry, Exported, History, Record, audit, audit_against, export, is_log, raw_records};
use owo_colors::OwoColorize;
use serde::Serialize;
use serde_json::json;

use super::output::{self, colour};
use super::past::{Past, journals};
use super::{At, Output};
use crate::instance::DataDir;
use crate::manifest::did_you_mean;
use crate::words::counted;

/// Check, print and export the journal.
#[derive(Debug, Args)]
pub struct Journal {
    #[command(subcommand)]
    command: Command,
    /// Only the journal in this folder, wherever it is [default: those of the data directory]
    #[arg(long, value_name = "DIR", global = true)]
    path: Option<PathBuf>,
    #[command(flatten)]
    pub(super) at: At,
    /// How to print; cat prints JSON in any case
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look at every line of every segment: checksums, chains, batches, headers. Damage is exit code 1
    Verify {
        /// A head that was kept elsewhere: tells too whether the end was cut, or the chains computed anew
        #[arg(long, value_name = "SEQ:HASH")]
        anchor: Option<Anchor>,
    },
    /// Print the records as they were written, one JSON document a line
    Cat(Cat),
    /// Write all records to a file, one JSON document a line, and print the file's SHA-256
    Export {
        /// The file, which must not be there
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Cat {
    /// Only those of this process
    #[arg(long, value_name = "NAME")]
    process: Option<String>,
    /// Only those of this kind, such as tool_call
    #[arg(long)]
    kind: Option<String>,
    /// Only those from this number on
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    from: u64,
}

impl Journal {
    pub fn execute(&self, data: &DataDir) -> Result<ExitCode> {
        let journals = match &self.path {
            Some(path) if !path.is_dir() => bail!("{} is no folder", path.display()),
            Some(path) => vec![is_journal(path).map(|()| path.clone())?],
            None => journals(data)?,
        };
        match (&self.command, journals.as_slice()) {
            (Command::Verify { anchor: Some(_) }, several @ [_, _, ..]) => {
                bail!("a head is that of one journal; name it with --path: {}", named(several))
            }
            (Command::Verify { anchor }, journals) => verify(journals, *anchor, self.output),
            (Command::Cat(cat), journals) => cat.execute(journals),
            (Command::Export { file }, [journal]) => write_out(journal, file, self.output),
            (Command::Export { .. }, several) => {
                bail!("there are {} journals; name the one to export with --path: {}", several.len(), named(several))
            }
        }
    }
}

/// Without this a folder that is no journal would be one in which nothing is wrong.
fn is_journal(path: &Path) -> Result<()> {
    if is_log(path).with_context(|| format!("reading {}", path.display()))? {
        return Ok(());
    }
    let inner = path.join("journal");
    let instead = if is_log(&inner).unwrap_or(false) { format!("; did you mean {}?", inner.display()) } else { String::new() };
    bail!("there is no journal in {}{instead}", path.display())
}

fn named(journals: &[PathBuf]) -> String {
    let names: Vec<String> = journals.iter().map(|one| one.display().to_string()).collect();
    names.join(", ")
}

fn verify(journals: &[PathBuf], anchor: Option<Anchor>, how: Output) -> Result<ExitCode> {
    let mut all_sound = true;
    for journal in journals {
        let audit = anchor.map_or_else(|| audit(journal), |anchor| audit_against(journal, anchor))?;
        if how == Output::Human && journals.len() > 1 {
            output::line(&format!("{}:", journal.display()));
        }
        match how {
            Output::Json => output::json(&Verified { journal, audit: &audit })?,
            Output::Human => report(&audit).iter().for_each(|line| output::line(line)),
        }
        all_sound &= audit.damage.is_empty() && audit.refused.is_none() && audit.anchor.is_none();
    }
    Ok(if all_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is found of a journal; one document for each.
#[derive(Serialize)]
struct Verified<'a> {
    journal: &'a Path,
    #[serde(flatten)]
    audit: &'a Audit,
}

fn report(audit: &Audit) -> Vec<String> {
    let bad = |text: String| if colour() { text.red().to_string() } else { text };
    let mut lines = Vec::new();
    for damage in &audit.damage {
        let whose = if damage.processes.is_empty() { String::new() } else { format!(" ({})", damage.processes.join(", ")) };
        lines.push(bad(format!("{} line {} (byte {}){whose}: {}", damage.segment, damage.line, damage.offset, damage.what)));
    }
    for (name, process) in &audit.processes {
        let refuses = process.refuses.as_ref().map(|why| bad(format!("; it would refuse to start: {why}"))).unwrap_or_default();
        let (records, first, last) = (process.records, process.first, process.last);
        lines.push(format!(
            "{name}: {}, {first} to {last}, {}{refuses}",
            counted(records, "record"),
            counted(process.checkpoints, "checkpoint")
        ));
    }
    if let Some(torn) = &audit.torn {
        let (bytes, segment, offset) = (torn.bytes, &torn.segment, torn.offset);
        lines.push(format!(
            "torn end: {} after the last batch, in {segment} from byte {offset}; nobody was told that they are durable",
            counted(bytes, "byte")
        ));
    }
    lines.extend(audit.refused.iter().map(|why| bad(format!("a runtime would not open it: {why}"))));
    lines.extend(audit.anchor.iter().map(|why| bad(format!("held against the head that was kept: {why}"))));
    let counts = format!(
        "{} in {}, {}, {}",
        counted(audit.records, "record"),
        counted(audit.commits, "batch"),
        counted(audit.segments, "segment"),
        counted(audit.bytes, "byte")
    );
    lines.push(match audit.damage.len() {
        0 => format!("no damage: {counts}"),
        count => bad(format!("damage in {}: {counts}", counted(count, "place"))),
    });
    lines.extend(audit.head.iter().map(|head| format!("head: {head}")));
    lines
}

impl Cat {
    /// Prints one journal after the other; each counts its own records.
    fn execute(&self, journals: &[PathBuf]) -> Result<ExitCode> {
        let process = match &self.process {
            Some(name) => Some(Past::of(journals, History::open)?.known_process(name)?),
            None => None,
        };
        if let Some(kind) = self.kind.as_deref().filter(|kind| !Entry::KINDS.contains(kind)) {
            let question =
                did_you_mean(kind, Entry::KINDS.into_iter()).map(|question| format!(", {question}")).unwrap_or_default();
            bail!("there is no kind of record '{kind}'{question}; there are: {}", Entry::KINDS.join(", "));
        }
        let wanted = |record: &Record| {
            record.seq >= self.from
                && process.as_ref().is_none_or(|process| record.process == *process)
                && self.kind.as_ref().is_none_or(|kind| record.entry.kind() == kind)
        };
        for journal in journals {
            let walked: Result<(), std::convert::Infallible> = raw_records(journal, |record, line| {
                if wanted(record) {
                    output::line(line);
                }
                Ok(())
            })?;
            let Ok(()) = walked;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn write_out(journal: &Path, file: &PathBuf, how: Output) -> Result<ExitCode> {
    let made = match File::create_new(file) {
        Ok(made) => made,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("{} is there already: name another file", file.display());
        }
        Err(error) => return Err(error).with_context(|| format!("making {}", file.display())),
    };
    let exported = copy_into(made, journal).with_context(|| format!("writing {}", file.display()));
    let exported = exported.inspect_err(|_| {
        // Half a copy must not be taken for a whole one. If it stays, its name is refused the next time.
        let _ = std::fs::remove_file(file);
    })?;
    match how {
        Output::Json => {
            output::json(&json!({"file": file, "records": exported.records, "bytes": exported.bytes, "sha256": exported.sha256}))?
        }
        Output::Human => {
            let (records, bytes, sha256) = (exported.records, exported.bytes, exported.sha256);
            output::line(&format!(
                "{}: {}, {}, sha256 {sha256}",
                file.display(),
                counted(records, "record"),
                counted(bytes, "byte")
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn copy_into(file: File, journal: &Path) -> Result<Exported> {
    let mut out = BufWriter::new(file);
    let exported = export(journal, &mut out)??;
    out.get_ref().sync_all()?;
    Ok(exported)
}
