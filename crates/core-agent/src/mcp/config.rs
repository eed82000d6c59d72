//! How an MCP server is reached, and within which limits.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How an MCP server is reached.
#[derive(Debug, Clone)]
pub struct McpConfig {
    /// Over what.
    pub transport: McpTransport,
    /// How long one call may take. 60 seconds by default.
    pub call_timeout: Duration,
    /// How long it may take to connect and list the tools, and all attempts to reconnect together.
    /// 30 seconds by default: some servers start slowly.
    pub connect_timeout: Duration,
    /// The longest text of a reply, in bytes; longer ones are cut and say so. 256 KiB by default.
    pub max_output_bytes: usize,
    /// Whether the server's own word about what its tools do (MCP's annotations) is taken. If not, every
    /// tool's effect is undeclared.
    pub trusted: bool,
}

/// Over what an MCP server is reached. Its `Debug` output names variables and headers, and hides their values.
#[derive(Clone)]
pub enum McpTransport {
    /// A child process that speaks on its stdin and stdout. What it writes to stderr is logged.
    Stdio {
        /// The program; looked up in PATH where it is only a name.
        command: PathBuf,
        /// Its arguments.
        args: Vec<String>,
        /// Its environment besides a few harmless variables of ours (PATH, HOME, LANG, TMPDIR and their like).
        env: BTreeMap<String, String>,
        /// Its working directory; ours where nothing is given.
        cwd: Option<PathBuf>,
    },
    /// A server that speaks Streamable HTTP.
    Http {
        /// Its address.
        url: String,
        /// Headers sent with every request.
        headers: BTreeMap<String, String>,
        /// Sent as `Authorization: Bearer ...`; the token alone.
        bearer_token: Option<String>,
    },
}

impl McpConfig {
    /// The defaults over `transport`.
    pub fn new(transport: McpTransport) -> Self {
        Self {
            transport,
            call_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(30),
            max_output_bytes: 256 * 1024,
            trusted: false,
        }
    }

    /// The defaults for a child process.
    pub fn stdio(command: impl Into<PathBuf>, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        Self::new(McpTransport::Stdio { command: command.into(), args, env: BTreeMap::new(), cwd: None })
    }

    /// The defaults for a server at `url`.
    pub fn http(url: impl Into<String>) -> Self {
        Self::new(McpTransport::Http { url: url.into(), headers: BTreeMap::new(), bearer_token: None })
    }
}

impl fmt::Debug for McpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdio { command, args, env, cwd } => f
                .debug_struct("Stdio")
                .field("command", command)
                .field("args", &args.len())
                .field("env", &env.keys())
                .field("cwd", cwd)
                .finish(),
            Self::Http { url, headers, bearer_token } => f
                .debug_struct("Http")
                .field("url", &super::http::shown_url(url))
                .field("headers", &headers.keys())
                .field("bearer_token", &bearer_token.as_ref().map(|_| "***"))
                .finish(),
        }
    }
}
