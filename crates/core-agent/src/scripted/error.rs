//! What can be wrong with a script.

use std::path::PathBuf;

/// Why a script was refused. Someone has to mend the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the model's script {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that a script cannot say.
    #[error("{name}:{line}:{column}: {}{message}", rule.as_ref().map(|rule| format!("rule '{rule}': ")).unwrap_or_default())]
    Invalid {
        /// The file, or what stands for it.
        name: String,
        /// The line, from 1; 0 where it is not known.
        line: u64,
        /// The column, from 1; 0 where it is not known.
        column: u64,
        /// The rule, where the mistake is inside one.
        rule: Option<String>,
        /// The mistake.
        message: String,
    },
}
