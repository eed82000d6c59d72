//! The example's MCP server over the example's data, in a folder of the test's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Child, built, free_port};

/// A variable with a text that is found nowhere else; cargo sets it for every test.
pub const ADMIN_KEY_VARIABLE: &str = "CARGO_PKG_DESCRIPTION";

/// What the server wants before it changes anything.
pub fn admin_key() -> String {
    std::env::var(ADMIN_KEY_VARIABLE).expect("cargo sets it")
}

/// `pipeline-ops-server` over Streamable HTTP.
pub struct PipelineServer {
    dir: PathBuf,
    port: u16,
    _child: Child,
}

impl PipelineServer {
    /// Makes a pipeline in `dir` from the example's data, and serves it.
    pub async fn start(dir: &Path) -> Self {
        let (dir, port) = (dir.join("work"), free_port());
        let mut command = Command::new(built("pipeline-ops-server"));
        command.arg("--pipeline").arg(&dir).arg("--seed").arg(data()).arg("--http").arg(port.to_string());
        command.env("PIPELINE_ADMIN_KEY", admin_key()).env_remove("FLYBALL_DEMO_FAIL_RELOAD");
        Self { dir, port, _child: Child::listening(&mut command, port).await }
    }

    /// What goes into `url`.
    pub fn url(&self) -> String {
        format!("http://localhost:{}/mcp", self.port)
    }

    /// A month of real data arrives with a row that was damaged on the way. Gives its file name.
    pub fn damaged_drop(&self, month: &str) -> String {
        let name = format!("weather-{month}.csv");
        let text = std::fs::read_to_string(data().join("later").join(&name)).expect("the example has it");
        let damaged = text.replacen("-02,", "-02,n/a", 1);
        assert_ne!(text, damaged);
        // Renamed into place, as a watched folder wants it.
        let draft = self.dir.join("draft");
        std::fs::write(&draft, damaged)
            .and_then(|()| std::fs::rename(draft, self.dir.join("inbox").join(&name)))
            .expect("a drop");
        name
    }

    /// Whether the file lies there, such as `quarantine/weather-2013-01.csv`.
    pub fn has(&self, path: &str) -> bool {
        self.dir.join(path).exists()
    }

    /// Every line of what the server did.
    pub fn ledger(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.dir.join("ledger.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}

/// The example's raw drops.
fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/pipeline-ops/data")
}
