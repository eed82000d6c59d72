//! A head that is kept elsewhere.
//!
//! Whoever may write to a journal may cut its end, or change a record and compute anew all that follows. What is
//! left then fits together. Only somebody who knows from elsewhere where it stood can tell.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::log::hash::Hash;

/// Where a whole journal stood behind one of its records: the record's number, and a hash over the chain heads of
/// all processes. Written as `SEQ:HASH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// The last record.
    pub seq: u64,
    pub(super) hash: Hash,
}

impl Anchor {
    /// Where these processes' chains stand behind the record `seq`.
    pub(super) fn of(seq: u64, heads: &BTreeMap<String, (Option<u64>, Hash)>) -> Self {
        let mut digest = Sha256::new();
        for (process, (_, hash)) in heads {
            digest.update((process.len() as u64).to_be_bytes());
            digest.update(process.as_bytes());
            digest.update(hash.digits());
        }
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest.finalize()[..16]);
        Self { seq, hash: Hash::from(hash) }
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, String::from_utf8_lossy(&self.hash.digits()))
    }
}

impl FromStr for Anchor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = |(seq, hash): (&str, &str)| Some(Self { seq: seq.parse().ok()?, hash: Hash::parse(hash.as_bytes())? });
        text.split_once(':').and_then(read).ok_or_else(|| {
            "an anchor is a record's number and 32 hexadecimal digits, as `flyball journal verify` prints it: SEQ:HASH".to_owned()
        })
    }
}

impl Serialize for Anchor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
