//! Why there is no connection.

use std::time::Duration;

/// Why an MCP server could not be connected to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program cannot be started: the command or its directory is wrong.
    #[error("MCP server '{name}': cannot start '{command}': {source}")]
    Start {
        /// The server.
        name: String,
        /// The program.
        command: String,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration cannot work: someone has to mend it.
    #[error("MCP server '{name}': {message}")]
    Config {
        /// The server.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// It did not take the connection, or does not speak MCP. It may later.
    #[error("MCP server '{name}' cannot be connected to: {message}")]
    Connect {
        /// The server.
        name: String,
        /// Why, and what the server itself said last.
        message: String,
    },
    /// It did not get ready in time. It may later.
    #[error("MCP server '{name}' was not ready within {} s", limit.as_secs_f32())]
    Timeout {
        /// The server.
        name: String,
        /// How long it had.
        limit: Duration,
    },
}
