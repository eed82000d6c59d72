//! What the tests share.
#![allow(dead_code, reason = "every test binary uses another part of it")]
#![allow(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::path::{Path, PathBuf};

use pipeline_ops_server::Pipeline;
use tempfile::TempDir;

/// The example's own raw drops.
pub fn seed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data")
}

/// A freshly made pipeline over the example's data.
pub fn fresh() -> (TempDir, Pipeline) {
    let dir = TempDir::new().unwrap();
    let pipeline = Pipeline::open(&dir.path().join("work"), Some(&seed())).unwrap();
    (dir, pipeline)
}

/// Drops `text` into the inbox.
pub fn drop_in(pipeline: &Pipeline, name: &str, text: &str) {
    std::fs::write(pipeline.dir().join("inbox").join(name), text).unwrap();
}

/// Whether a drop lies there, such as `inbox/weather-2012-01.csv`.
pub fn there(pipeline: &Pipeline, path: &str) -> bool {
    pipeline.dir().join(path).exists()
}

/// How often a tool acted for `key`, as the ledger has it.
pub fn acts(pipeline: &Pipeline, key: &str) -> usize {
    let lines = pipeline.ledger().read().unwrap();
    lines.iter().filter(|line| line.key.as_deref() == Some(key) && line.acted == Some(true)).count()
}

/// A drop with one good and one bad row.
pub const HALF_BAD: &str = "date,precipitation,temp_max,temp_min,wind,weather\n\
                            2020-01-01,0.0,5.0,1.0,2.0,rain\n\
                            2020-01-02,0.0,,1.0,2.0,rain\n";
