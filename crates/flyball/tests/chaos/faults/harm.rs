//! What can be done to a journal's bytes.

use std::fmt;
use std::ops::Range;

use flyball::journal::{MemoryStorage, Storage};

use crate::memory::Truth;

/// One thing that is done to the bytes of a journal.
#[derive(Debug, Clone)]
pub enum Harm {
    /// The segment ends here; those after it may be gone as well.
    Cut { segment: String, at: usize, without: Vec<String> },
    /// These bits are others.
    Flip(Vec<(String, usize, u8)>),
    /// These bytes are all this one.
    Fill { segment: String, range: Range<usize>, byte: u8 },
    /// These bytes are the ones of another place.
    Misplace { segment: String, at: usize, from: (String, Range<usize>) },
    /// The segment's lines are these.
    Forge { segment: String, what: String, lines: Vec<String> },
}

impl Harm {
    /// The disk after it.
    pub fn done_to(&self, truth: &Truth) -> MemoryStorage {
        let disk = truth.disk.fork();
        match self {
            Self::Cut { segment, at, without } => {
                disk.damage(segment, |bytes| bytes.truncate(*at));
                without.iter().for_each(|name| disk.remove(name).expect("it is there"));
            }
            Self::Flip(bits) => bits.iter().for_each(|(segment, at, bit)| disk.damage(segment, |bytes| bytes[*at] ^= bit)),
            Self::Fill { segment, range, byte } => disk.damage(segment, |bytes| bytes[range.clone()].fill(*byte)),
            Self::Misplace { segment, at, from: (other, range) } => {
                let block = crate::memory::bytes(&disk, other)[range.clone()].to_vec();
                disk.damage(segment, |bytes| bytes[*at..*at + block.len()].copy_from_slice(&block));
            }
            Self::Forge { segment, lines, .. } => disk.damage(segment, |bytes| *bytes = (lines.join("\n") + "\n").into_bytes()),
        }
        disk
    }

    /// It must be found by whoever looks at every line.
    pub fn must_be_found(&self) -> bool {
        matches!(self, Self::Flip(_) | Self::Forge { .. })
    }

    /// The same with less of it, each a little.
    pub fn smaller(&self) -> Vec<Self> {
        match self {
            Self::Flip(bits) if bits.len() > 1 => {
                let without =
                    |index: usize| bits.iter().enumerate().filter(move |(at, _)| *at != index).map(|(_, bit)| bit.clone());
                (0..bits.len()).map(|index| Self::Flip(without(index).collect())).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut { segment, at, without } if without.is_empty() => write!(f, "{segment} cut at byte {at}"),
            Self::Cut { segment, at, without } => write!(f, "{segment} cut at byte {at}, {} gone", without.join(", ")),
            Self::Flip(bits) => {
                let each: Vec<String> = bits.iter().map(|(segment, at, bit)| format!("{segment}[{at}] ^ {bit:#04x}")).collect();
                f.write_str(&each.join(", "))
            }
            Self::Fill { segment, range, byte } => write!(f, "{segment}[{range:?}] is {byte:#04x}"),
            Self::Misplace { segment, at, from: (other, range) } => write!(f, "{segment}[{at}..] is {other}[{range:?}]"),
            Self::Forge { segment, what, .. } => write!(f, "{segment}: {what}"),
        }
    }
}
