//! The world outside, in a process of its own that nobody kills: a tool server over Streamable HTTP, a
//! model behind the OpenAI protocol, and a ledger of every call that arrived, synced before it is answered.
//!
//! Each scene has a folder under the world's. The world looks into the scene's journal when it is called:
//! a call that must not leave before its intent is written is held against what is written then.

mod ledger;
mod mcp;
mod model;
mod seen;
pub mod stdio;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tokio::net::TcpListener;

use ledger::Ledger;
pub use ledger::{Arrival, CANARY, read};

/// Everything there is outside.
pub struct World {
    dir: PathBuf,
    scenes: Mutex<BTreeMap<String, Arc<Mutex<Ledger>>>>,
}

impl World {
    fn scene(&self, name: &str) -> Arc<Mutex<Ledger>> {
        let mut scenes = self.scenes.lock().unwrap_or_else(PoisonError::into_inner);
        let open = || Arc::new(Mutex::new(Ledger::open(&self.dir.join(name))));
        Arc::clone(scenes.entry(name.to_owned()).or_insert_with(open))
    }
}

/// Is the world in `dir` until its stdin ends, and with it whoever started it.
pub fn serve(dir: &Path) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be built");
    runtime.block_on(async {
        let world = Arc::new(World { dir: dir.to_owned(), scenes: Mutex::default() });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let tools = listener.local_addr().expect("it has an address");
        let model = model::start(Arc::clone(&world)).await;
        println!("{}", json!({"tools": tools.to_string(), "model": model.base_url()}));
        let serving = tokio::spawn(async move { axum::serve(listener, mcp::router(world)).await });
        let _ = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await;
        serving.abort();
    });
    ExitCode::SUCCESS
}
