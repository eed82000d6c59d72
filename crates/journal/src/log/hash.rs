//! The links of a process's chain of records.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// SHA-256 over the previous record's hash and a record's own bytes, cut to 128 bits. Written as 32
/// hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 16]);

/// How many digits a hash has.
pub const DIGITS: usize = 32;

impl Hash {
    /// What stands before a process's first record.
    pub const GENESIS: Self = Self([0; 16]);

    /// The hash of a record with these bytes, after one whose hash this is.
    pub fn next(self, body: &[u8]) -> Self {
        let digest = Sha256::new().chain_update(self.digits()).chain_update(body).finalize();
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        Self(hash)
    }

    /// As it is written.
    pub fn digits(self) -> [u8; DIGITS] {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; DIGITS];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        digits
    }

    /// Reads what [`Hash::digits`] wrote.
    pub fn parse(digits: &[u8]) -> Option<Self> {
        if digits.len() != DIGITS {
            return None;
        }
        let mut hash = [0; 16];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = value(pair[0])? << 4 | value(pair[1])?;
        }
        Some(Self(hash))
    }
}

impl From<[u8; 16]> for Hash {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// Small letters only: there is one way to write a hash.
fn value(digit: u8) -> Option<u8> {
    VALUES[usize::from(digit)]
}

/// A log is full of hashes, so what each byte means as a digit is looked up.
static VALUES: [Option<u8>; 256] = {
    let mut values = [None; 256];
    let (mut value, digits) = (0, b"0123456789abcdef");
    while value < digits.len() {
        values[digits[value] as usize] = Some(value as u8);
        value += 1;
    }
    values
};

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;
        impl Visitor<'_> for Digits {
            type Value = Hash;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{DIGITS} hexadecimal digits")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Hash, E> {
                Hash::parse(text.as_bytes()).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_as_it_was_written_and_in_no_other_way() {
        let hash = Hash::GENESIS.next(b"x");
        let text = hash.to_string();
        assert_eq!(Hash::parse(text.as_bytes()), Some(hash));
        assert_eq!(serde_json::from_str::<Hash>(&serde_json::to_string(&hash).expect("written")).ok(), Some(hash));
        assert_eq!(Hash::parse(text.to_uppercase().as_bytes()), None);
        assert_eq!(Hash::parse(&text.as_bytes()[1..]), None);
    }
}
