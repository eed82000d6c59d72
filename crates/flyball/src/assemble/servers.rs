//! The MCP servers of a process, found and connected.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flyball_core_agent::Toolbox;
use flyball_core_agent::mcp::{McpConfig, McpToolbox, McpTransport};

use crate::manifest::ServerConfig;

/// Connected servers.
pub(super) struct Servers {
    connected: Vec<(String, Option<String>, Arc<McpToolbox>)>,
}

/// How long a server may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

impl Servers {
    /// Connects to all of them; the error names the first that could not be.
    pub async fn connect(servers: &BTreeMap<String, ServerConfig>, dir: &Path) -> Result<Self, String> {
        let connecting = servers.iter().map(|(name, server)| async move {
            let config = config(name, server, dir)?;
            let toolbox = McpToolbox::connect(name, config).await.map_err(|error| format!("server '{name}': {error}"))?;
            Ok::<_, String>((name.clone(), server.alias.clone(), toolbox))
        });
        let connected = futures::future::try_join_all(connecting).await?;
        Ok(Self { connected })
    }

    pub fn toolboxes(&self) -> Vec<(String, Option<String>, Arc<dyn Toolbox>)> {
        let member = |(name, alias, toolbox): &(String, Option<String>, Arc<McpToolbox>)| {
            (name.clone(), alias.clone(), Arc::clone(toolbox) as Arc<dyn Toolbox>)
        };
        self.connected.iter().map(member).collect()
    }

    pub async fn close(self) {
        futures::future::join_all(self.connected.iter().map(|(_, _, toolbox)| toolbox.close())).await;
    }
}

fn config(name: &str, server: &ServerConfig, dir: &Path) -> Result<McpConfig, String> {
    let exposed = |map: &BTreeMap<String, crate::manifest::SecretText>| -> BTreeMap<String, String> {
        map.iter().map(|(key, value)| (key.clone(), value.expose().to_owned())).collect()
    };
    let transport = match (&server.command, &server.url) {
        (Some(command), _) => McpTransport::Stdio {
            command: find(name, command)?,
            args: server.args.clone(),
            env: exposed(&server.env),
            cwd: Some(server.cwd.clone().unwrap_or_else(|| dir.to_owned())),
        },
        (None, Some(url)) => McpTransport::Http {
            url: url.clone(),
            headers: exposed(&server.headers),
            bearer_token: server.bearer_token.as_ref().map(|token| token.expose().to_owned()),
        },
        (None, None) => return Err(format!("server '{name}' has neither `url` nor `command`")),
    };
    let mut config = McpConfig::new(transport);
    config.call_timeout = Duration::from_secs_f64(server.call_timeout);
    config.connect_timeout = CONNECT_TIMEOUT;
    config.max_output_bytes = usize::try_from(server.max_output_bytes).unwrap_or(usize::MAX);
    config.trusted = server.trusted;
    Ok(config)
}

/// The program: a path as it is; a name beside our own executable, then in PATH.
fn find(server: &str, command: &str) -> Result<PathBuf, String> {
    if command.contains('/') {
        let path = PathBuf::from(command);
        let missing = || format!("server '{server}': there is no program at {}", path.display());
        return if path.is_file() { Ok(path.clone()) } else { Err(missing()) };
    }
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(command)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates = beside.into_iter().chain(std::env::split_paths(&path).map(|dir| dir.join(command)));
    candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        format!("server '{server}': the program '{command}' is neither beside flyball nor in PATH; install it, or write its path")
    })
}
