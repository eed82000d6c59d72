//! Why a policy cannot be set up.

/// What is wrong with a policy's set-up, told apart by what the caller can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Some secrets cannot be had. Mend the manifest or the environment and start again. No value is quoted.
    #[error("{}", listed(.0))]
    Secrets(Vec<SecretProblem>),
}

/// Why one secret cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("secret '{name}' {why}")]
pub struct SecretProblem {
    /// The secret's name.
    pub name: String,
    /// What is wrong, and the fix.
    pub why: String,
}

fn listed(problems: &[SecretProblem]) -> String {
    problems.iter().map(SecretProblem::to_string).collect::<Vec<_>>().join("; ")
}
