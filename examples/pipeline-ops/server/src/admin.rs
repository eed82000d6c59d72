//! The key that the tools that change something ask for.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::Error;

/// The admin key's digest, or that there is none. The key itself is forgotten at once.
#[derive(Clone, Default)]
pub struct AdminKey {
    digest: Option<[u8; 32]>,
}

impl AdminKey {
    /// Asks for `key`; for nothing if it is empty or missing.
    pub fn new(key: Option<&str>) -> Self {
        Self { digest: key.filter(|key| !key.is_empty()).map(digest) }
    }

    /// Whether callers must give a key.
    pub fn is_set(&self) -> bool {
        self.digest.is_some()
    }

    /// Refuses a caller that does not know the key. Digests are compared, so time tells nothing of it.
    pub fn check(&self, given: Option<&str>) -> Result<(), Error> {
        match (self.digest, given) {
            (None, _) => Ok(()),
            (Some(wanted), Some(given)) if digest(given) == wanted => Ok(()),
            (Some(_), Some(_)) => Err(Error::Refused("admin_key is wrong".to_owned())),
            (Some(_), None) => Err(Error::Refused("admin_key is missing: this pipeline changes nothing without it".to_owned())),
        }
    }
}

impl fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_set() { "AdminKey(set)" } else { "AdminKey(none)" })
    }
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}
