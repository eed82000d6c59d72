//! Bringing everything up, in the order in which nothing is lost if it fails.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use chrono::Utc;
use flyball_cluster::{RuntimeTransport, TransportConfig};
use flyball_core_agent::{Clock, NodeClock};
use flyball_journal::{Log, Record, Recovered, Recovery, make_folder};
use flyball_runtime::{AgentRuntime, Control, JournalHome, RuntimeParts, Unclaimed};
use flyball_triggers::WebhookListeners;
use serde::Serialize;
use tokio::sync::broadcast;

use super::Plan;
use super::banner::Banner;
use super::tell::Teller;
use crate::assemble::{Assembly, Surroundings};
use crate::cli::output;
use crate::housekeeping::Housekeeping;
use crate::instance::{DataDir, Instance};
use crate::manifest::{JournalBackend, Manifest};

/// A runtime whose processes are there, and not started yet.
pub(super) struct Running {
    pub runtime: Arc<AgentRuntime>,
    pub transport: RuntimeTransport,
    pub data: DataDir,
    pub teller: Teller,
    pub homes: Homes,
    pub housekeeping: Housekeeping,
    /// The processes that have a mission.
    pub missions: BTreeSet<String>,
}

/// The API's port where nobody asked for one.
const DEFAULT_PORT: u16 = 9100;

pub(super) async fn start(plan: &Plan) -> Result<Running> {
    let mut homes = Homes::default();
    let main = homes.open_dir(plan.data.journal())?;
    let mut parts = RuntimeParts::new(main);
    parts.clock = Arc::new(NodeClock::start());
    let surroundings = Surroundings {
        clock: Arc::clone(&parts.clock) as Arc<dyn Clock>,
        event_bus: Arc::clone(&parts.event_bus),
        broker: Arc::clone(&parts.broker),
        webhooks: WebhookListeners::default(),
    };
    let runtime = Arc::new(AgentRuntime::new(parts));
    for manifest in &plan.manifests {
        let assembly = Assembly::new(manifest, surroundings.clone());
        assembly.check().map_err(|mistake| anyhow!("{} cannot be started: {mistake}", manifest.name))?;
        let home = homes.of(manifest, &plan.data)?;
        runtime.add_process_at(&home, assembly.spec(), Arc::new(assembly)).map_err(|error| anyhow!("{error}"))?;
    }
    let node_id = node_id();
    let transport = serve(&runtime, plan, &node_id).await?;
    announce(&plan.data, transport.local_addr(), node_id)?;
    let unclaimed = homes.unclaimed();
    Banner::new(plan, transport.local_addr(), &homes.found, &unclaimed).print(plan.output)?;
    let teller = Teller::start(homes.watches(), plan.output);
    let housekeeping = Housekeeping::start(plan.compaction, homes.logs(), plan.retention).await?;
    let missions = plan.manifests.iter().filter(|manifest| manifest.config.mission.enabled);
    let missions = missions.map(|manifest| manifest.name.clone()).collect();
    Ok(Running { runtime, transport, data: plan.data.clone(), teller, homes, housekeeping, missions })
}

impl Running {
    /// Starts every process. The error says why, if none came up and none will by itself.
    pub async fn start_all(&self) -> Result<(), String> {
        let failed = self.runtime.start_all().await;
        let processes = self.runtime.processes();
        if failed.len() == processes.len() && processes.iter().all(|process| process.watch().is_over()) {
            let what: Vec<String> = failed.iter().map(|(_, error)| error.to_string()).collect();
            return Err(what.join("\n       "));
        }
        // The others go on, and so does what is tried again.
        failed.iter().for_each(|(_, error)| output::note(&format!("warning: {error}")));
        Ok(())
    }

    /// Stops everything in order.
    pub async fn close(self) {
        self.housekeeping.end().await;
        self.runtime.shutdown().await;
        self.transport.shutdown().await;
        self.homes.close().await;
        // Last, so that whoever waits for it finds the journals free.
        self.data.withdraw();
        self.teller.end().await;
    }
}

/// Ports are taken by one instance after the other; by this name a client knows that it reached the right one.
fn node_id() -> String {
    let start = format!("{} {:?}", std::process::id(), Utc::now());
    format!("local-{}", flyball_core_agent::short_hash(start.as_bytes()))
}

async fn serve(runtime: &Arc<AgentRuntime>, plan: &Plan, node_id: &str) -> Result<RuntimeTransport> {
    let asked = plan.listen.as_deref();
    let addr = match asked {
        Some(listen) => address(listen)?,
        None => SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
    };
    let config = TransportConfig {
        addr,
        try_next_ports: asked.is_none(),
        node_id: node_id.to_owned(),
        token: plan.token.clone(),
        ..TransportConfig::default()
    };
    let control = Arc::clone(runtime) as Arc<dyn Control>;
    RuntimeTransport::serve(control, config).await.map_err(|error| anyhow!("{error}"))
}

fn address(listen: &str) -> Result<SocketAddr> {
    let mut found =
        listen.to_socket_addrs().with_context(|| format!("'{listen}' is no address; write HOST:PORT, such as 127.0.0.1:9100"))?;
    found.next().with_context(|| format!("'{listen}' stands for no address"))
}

fn announce(data: &DataDir, address: SocketAddr, node_id: String) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    data.announce(&Instance { pid: std::process::id(), node_id, address, started_at: Utc::now(), version })
}

/// The open logs, one per directory, and what they held.
#[derive(Default)]
pub(super) struct Homes {
    by_dir: BTreeMap<PathBuf, JournalHome>,
    memory: Option<JournalHome>,
    /// What was found in each, for the operator.
    pub found: Vec<Found>,
}

/// What a log held when it was opened.
#[derive(Debug, Serialize)]
pub(super) struct Found {
    pub dir: PathBuf,
    pub records: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub torn: Option<flyball_journal::TornTail>,
    /// Processes that will not run, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub damaged: BTreeMap<String, String>,
}

impl Homes {
    fn open_dir(&mut self, dir: PathBuf) -> Result<JournalHome> {
        if let Some(home) = self.by_dir.get(&dir) {
            return Ok(home.clone());
        }
        let opened = Log::resume(&dir)
            .with_context(|| format!("opening the journal in {} (--data names another data directory)", dir.display()))?;
        self.found.push(found(&dir, &opened.1));
        let home = JournalHome::from(opened);
        self.by_dir.insert(dir, home.clone());
        Ok(home)
    }

    fn of(&mut self, manifest: &Manifest, data: &DataDir) -> Result<JournalHome> {
        let journal = &manifest.config.journal;
        match (journal.backend, &journal.path) {
            (JournalBackend::Memory, _) => match &self.memory {
                Some(home) => Ok(home.clone()),
                None => Ok(self.memory.insert(JournalHome::in_memory()?).clone()),
            },
            (JournalBackend::File, Some(path)) => {
                // However it is written, it is one folder and has one owner.
                let made = make_folder(path).and_then(|()| path.canonicalize());
                let path = made.with_context(|| format!("{}: making the journal's folder {}", manifest.name, path.display()))?;
                if path == data.journal().canonicalize()? {
                    return self.open_dir(data.journal());
                }
                data.remember_journal(&path)?;
                self.open_dir(path)
            }
            (JournalBackend::File, None) => self.open_dir(data.journal()),
        }
    }

    /// The processes of which events are open in one of them, and that no manifest puts there.
    fn unclaimed(&self) -> Vec<Unclaimed> {
        self.by_dir.values().flat_map(JournalHome::unclaimed).collect()
    }

    fn watches(&self) -> Vec<broadcast::Receiver<Arc<Record>>> {
        self.by_dir.values().chain(&self.memory).map(|home| home.log().watch()).collect()
    }

    fn logs(&self) -> Vec<Arc<Log>> {
        self.by_dir.values().chain(&self.memory).map(|home| Arc::clone(home.log())).collect()
    }

    /// Returns when one of them takes no records any more: why. Pending while all do.
    pub async fn failed(&self) -> String {
        let waiting = self.by_dir.iter().map(|(dir, home)| {
            Box::pin(async move { format!("the journal in {} failed: {}", dir.display(), home.log().failed().await) })
        });
        futures::future::select_all(waiting).await.0
    }

    async fn close(self) {
        let logs = self.logs();
        let _ = tokio::task::spawn_blocking(move || logs.iter().for_each(|log| log.close())).await;
    }
}

fn found(dir: &std::path::Path, recovery: &Recovery<Recovered>) -> Found {
    Found { dir: dir.to_owned(), records: recovery.last_seq, torn: recovery.torn.clone(), damaged: recovery.damaged.clone() }
}
