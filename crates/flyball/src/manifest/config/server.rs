//! Where tools come from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::manifest::SecretText;
use crate::manifest::table::{Key, Kind, Kinds, Section, Span, Word};

/// An MCP server: reached over HTTP (`url`), or a child process that speaks over its standard
/// streams (`command`). Exactly one of the two is set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How it is spoken to, where the file says so; it follows from `url` or `command`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// HTTP headers of each request.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, SecretText>,
    /// Sent as `Authorization: Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<SecretText>,
    /// The program. With a `/` it is a path; without, a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Its arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Variables that are added to its environment.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, SecretText>,
    /// Its working directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
    /// Put before the name of each of its tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// What it says about its tools' effects is believed.
    pub trusted: bool,
    /// Seconds until a call is given up.
    pub call_timeout: f64,
    /// A longer answer is cut.
    pub max_output_bytes: u64,
}

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    /// Streamable HTTP.
    #[serde(rename = "streamable-http", alias = "http")]
    StreamableHttp,
    /// The standard streams of a child process.
    #[serde(rename = "stdio")]
    Stdio,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            url: None,
            transport: None,
            headers: BTreeMap::new(),
            bearer_token: None,
            command: None,
            args: Vec::new(),
            env: BTreeMap::new(),
            cwd: None,
            alias: None,
            trusted: false,
            call_timeout: 60.0,
            max_output_bytes: 262_144,
        }
    }
}

const TRANSPORT: Kind = Kind::Choice(&[
    Word::new("streamable-http"),
    Word::new("http"),
    Word::new("stdio"),
    Word::refused("sse", "MCP has removed the SSE transport; use `streamable-http`, mostly at the path /mcp instead of /sse"),
]);
/// One call may take an hour at most, because its run waits for it.
const CALL_TIMEOUT: Kind = Kind::Float(Span { min: 0.0, open: true, max: 3600.0 });
/// What a tool says is held in memory and shown to the model.
const OUTPUT: Kind = Kind::Int(1024, 67_108_864);

pub(in crate::manifest) const SERVER: Section = Section {
    name: "server",
    kinds: Kinds::Server,
    keys: &[
        Key::new("url", Kind::Filled, "Its `http://` or `https://` address.").of("url").required(),
        Key::new(
            "transport",
            TRANSPORT,
            "How it is spoken to. `http` means `streamable-http`; a server with a `command` is `stdio`.",
        ),
        Key::new("type", TRANSPORT, "Another name for `transport`."),
        Key::new("headers", Kind::Map(&Kind::Private), "HTTP headers of each request.").of("url").or("{}"),
        Key::new("bearer_token", Kind::Secret, "Sent as `Authorization: Bearer`.").of("url"),
        Key::new("command", Kind::Filled, "The program: a path if it has a `/`, else a name that is looked up.")
            .of("command")
            .required(),
        Key::new("args", Kind::List(&Kind::Text), "Its arguments.").of("command").or("[]"),
        Key::new("env", Kind::Map(&Kind::Private), "Variables that are added to its environment.").of("command").or("{}"),
        Key::new("cwd", Kind::Path, "Its working directory.").of("command"),
        Key::new("alias", Kind::Filled, "Put before the name of each of its tools, where two servers have one of the same name."),
        Key::new("trusted", Kind::Bool, "What it says about the effects of its tools is believed.").or("false"),
        Key::new("call_timeout", CALL_TIMEOUT, "Seconds until a call is given up.").or("60.0"),
        Key::new("max_output_bytes", OUTPUT, "A longer answer is cut.").or("262144"),
        Key::refused("api_key", "write it as a header: `headers: {x-api-key: \"${NAME}\"}`"),
        Key::refused("audience", "use `bearer_token` or `headers`"),
        Key::refused("forward_caller_token", "use `bearer_token` or `headers`"),
        Key::refused("auth", "use `bearer_token` or `headers`"),
        Key::refused("keep_alive", "leave it out: a server is kept running and started again when it ends"),
    ],
};
