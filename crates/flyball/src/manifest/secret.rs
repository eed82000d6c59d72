//! Text that must not be shown.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use super::Env;
use super::substitute::{BadReference, sole_reference, substitute};

/// What is shown in place of a secret.
pub const MASK: &str = "**********";

/// A secret that is known: a bearer token, a header, an HMAC key. It is masked wherever it is shown
/// or written; only [`expose`](Self::expose) gives it away.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// Keeps `text` from being shown.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

/// Where a secret comes from: a literal, or text with `${NAME}` references, which are resolved on
/// every start of the process and not before.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretSource(String);

impl SecretSource {
    /// A source, not yet resolved.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret as it is now.
    ///
    /// # Errors
    /// A variable without a default is not set.
    pub fn resolve(&self, env: &Env<'_>) -> Result<SecretText, BadReference> {
        substitute(&self.0, env).map(SecretText)
    }

    /// The text as it was given, for whoever resolves it.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// What may be shown: `${NAME}` where that is all there is, else the mask.
    pub fn shown(&self) -> &str {
        if sole_reference(&self.0) { &self.0 } else { MASK }
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl Serialize for SecretSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}
