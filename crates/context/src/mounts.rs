//! Files that the agent may read by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flyball_core_agent::{CallError, Effect, Failure, ToolCall, ToolReply, ToolSpec, Toolbox};
use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::args;
use crate::suggest::did_you_mean;

/// Named files, and `read_file_mount`, which reads one as it is at the moment of the call.
///
/// Only the names are the agent's to choose: no path that it writes is ever opened.
#[derive(Debug, Clone, Default)]
pub struct FileMounts {
    files: BTreeMap<String, PathBuf>,
    /// Made once; nothing where there is no file.
    spec: Option<Arc<ToolSpec>>,
}

/// A longer file is cut: a model's window is small. In bytes.
const MAX_FILE_BYTES: usize = 64 * 1024;

/// A disk that does not answer must not hold a run. Network file systems can hang.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

impl FileMounts {
    /// The files by name. They need not exist yet.
    pub fn new(files: BTreeMap<String, PathBuf>) -> Self {
        let mut mounts = Self { files, spec: None };
        mounts.spec = (!mounts.files.is_empty()).then(|| Arc::new(mounts.describe()));
        mounts
    }

    /// The names, sorted.
    pub fn names(&self) -> Vec<&str> {
        self.files.keys().map(String::as_str).collect()
    }

    fn describe(&self) -> ToolSpec {
        let name = json!({"type": "string", "enum": self.names(), "description": "The file's name"});
        ToolSpec {
            name: "read_file_mount".to_owned(),
            description: format!("Reads one of the files that were given to you: {}.", self.names().join(", ")),
            parameters: args::schema(json!({"name": name}), &["name"]),
            effect: Some(Effect::Read),
            reconcile: None,
        }
    }

    async fn read(&self, call: &ToolCall) -> Result<String, String> {
        args::only(&call.args, &["name"])?;
        let name = args::text(&call.args, "name")?;
        let Some(path) = self.files.get(name) else {
            let names = self.names();
            let hint = did_you_mean(name, names.iter().copied());
            return Err(format!("no file is mounted as '{name}'{hint}; there are: {}", names.join(", ")));
        };
        let read = tokio::time::timeout(READ_TIMEOUT, read_start(path)).await;
        let bytes = match read {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => return Err(format!("the file '{name}' cannot be read: {error}")),
            Err(_) => return Err(format!("the file '{name}' cannot be read: no answer within {READ_TIMEOUT:?}")),
        };
        as_text(bytes).ok_or_else(|| format!("the file '{name}' is not text in UTF-8"))
    }
}

#[async_trait]
impl Toolbox for FileMounts {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        Ok(self.spec.iter().cloned().collect())
    }

    async fn call(&self, call: &ToolCall) -> Result<ToolReply, CallError> {
        if call.name != "read_file_mount" {
            return Err(Failure::unsent(args::no_such_tool(call, self.spec.as_slice())).into());
        }
        Ok(self.read(call).await.map_or_else(ToolReply::error, ToolReply::ok))
    }
}

/// The file's first bytes, one more than are shown if there are more.
async fn read_start(path: &Path) -> std::io::Result<Vec<u8>> {
    // Opening a pipe or a device could wait for ever, or never end.
    if !tokio::fs::metadata(path).await?.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    let file = tokio::fs::File::open(path).await?;
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// The bytes as text, cut to size; `None` if they are none.
fn as_text(mut bytes: Vec<u8>) -> Option<String> {
    let cut = bytes.len() > MAX_FILE_BYTES;
    bytes.truncate(MAX_FILE_BYTES);
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // A character that the cut went through is not the file's fault.
        Err(error) if cut && error.utf8_error().error_len().is_none() => {
            let whole = error.utf8_error().valid_up_to();
            String::from_utf8(error.into_bytes().into_iter().take(whole).collect()).ok()?
        }
        Err(_) => return None,
    };
    Some(if cut { format!("{text}\n[... the file goes on; only its first {MAX_FILE_BYTES} bytes are shown ...]") } else { text })
}
