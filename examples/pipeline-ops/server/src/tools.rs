//! The pipeline as MCP tools.

use std::time::Duration;

use rmcp::handler::server::tool::schema_for_output;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{
    CallToolResult, ContentBlock, Implementation, ProtocolVersion, RequestMetaObject, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, schemars, tool, tool_handler, tool_router};
use serde::{Deserialize, Serialize};

use crate::admin::AdminKey;
use crate::health::Health;
use crate::incident::Planting;
use crate::inspect::{BadRows, Pipelines};
use crate::load::LoadReport;
use crate::quarantine::Quarantined;
use crate::reconcile::CallStatus;
use crate::{Error, Pipeline, calls, pipeline};

/// Where a request carries its idempotency key.
pub const KEY_IN_META: &str = "flyball/idempotency-key";

/// So many bad rows are shown where nobody says how many.
const DEFAULT_SHOWN_ROWS: usize = 5;

/// The server's tools over one pipeline. Clones share it.
#[derive(Debug, Clone)]
pub struct PipelineServer {
    pipeline: Pipeline,
    admin_key: AdminKey,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListPipelines {}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct CheckHealth {
    /// The pipeline; there is only `seattle-weather`.
    pipeline: Option<String>,
    /// Ids of problems that you raised an alert for already, separated by commas. They are marked `"alerted":true`.
    alerted: Option<String>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShowBadRows {
    /// The drop's plain file name.
    file: String,
    /// How many rows to show: 1 to 50, 5 if left out.
    limit: Option<u32>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct QuarantineFile {
    /// The drop's plain file name. It must lie in the inbox.
    file: String,
    /// Why, for whoever looks at the quarantine.
    reason: Option<String>,
    /// The pipeline's admin key, where the server has one.
    admin_key: Option<String>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct RerunLoad {
    /// The pipeline; there is only `seattle-weather`.
    pipeline: Option<String>,
    /// The pipeline's admin key, where the server has one.
    admin_key: Option<String>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct QuarantineStatus {
    /// The idempotency key of the earlier call.
    key: String,
}

#[tool_router]
impl PipelineServer {
    /// Lists the pipelines with their numbers of drops and rows.
    #[tool(output_schema = schema_for_output::<Pipelines>(), annotations(read_only_hint = true, open_world_hint = false))]
    async fn list_pipelines(&self, Parameters(ListPipelines {}): Parameters<ListPipelines>) -> Result<CallToolResult, ErrorData> {
        self.answer(Pipeline::list).await
    }

    /// Checks a pipeline: bad or unloaded drops, rows, schema drift, missing values, freshness. Says
    /// `"healthy":true` or lists the problems, each with an id that stays the same while it lasts.
    #[tool(output_schema = schema_for_output::<Health>(), annotations(read_only_hint = true, open_world_hint = false))]
    async fn check_health(&self, Parameters(args): Parameters<CheckHealth>) -> Result<CallToolResult, ErrorData> {
        let alerted = args.alerted.unwrap_or_default().split(',').map(|id| id.trim().to_owned()).collect::<Vec<_>>();
        self.answer(move |pipeline| {
            known(args.pipeline.as_deref())?;
            pipeline.health(&alerted)
        })
        .await
    }

    /// Shows the first offending rows of a drop, with line numbers and everything that is wrong with
    /// them. Works on drops in the inbox and in quarantine.
    #[tool(output_schema = schema_for_output::<BadRows>(), annotations(read_only_hint = true, open_world_hint = false))]
    async fn show_bad_rows(&self, Parameters(args): Parameters<ShowBadRows>) -> Result<CallToolResult, ErrorData> {
        let limit = args.limit.map_or(DEFAULT_SHOWN_ROWS, |limit| limit as usize);
        self.answer(move |pipeline| pipeline.bad_rows(&args.file, limit)).await
    }

    /// Moves a bad drop out of the inbox into quarantine. There is no tool that brings it back. Its good
    /// rows are not in the warehouse until `rerun_load` is called afterwards.
    #[tool(
        output_schema = schema_for_output::<Quarantined>(),
        annotations(read_only_hint = false, destructive_hint = true, idempotent_hint = false, open_world_hint = false)
    )]
    async fn quarantine_file(
        &self,
        Parameters(args): Parameters<QuarantineFile>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let key = key_of(&context.meta)?;
        let admin = self.admin_key.clone();
        self.answer(move |pipeline| {
            admin.check(args.admin_key.as_deref())?;
            pipeline.quarantine_file(&args.file, args.reason.as_deref(), key.as_deref())
        })
        .await
    }

    /// Loads every valid drop that is not in the warehouse yet, and the good rows of drops in quarantine.
    /// All or nothing; calling it again loads nothing twice.
    #[tool(
        output_schema = schema_for_output::<LoadReport>(),
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = true, open_world_hint = false)
    )]
    async fn rerun_load(
        &self,
        Parameters(args): Parameters<RerunLoad>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let key = key_of(&context.meta)?;
        let admin = self.admin_key.clone();
        self.answer(move |pipeline| {
            known(args.pipeline.as_deref())?;
            admin.check(args.admin_key.as_deref())?;
            pipeline.rerun_load(key.as_deref())
        })
        .await
    }

    /// Says whether an earlier `quarantine_file` or `rerun_load` took effect, by its idempotency key,
    /// even if the server died in the middle of it.
    #[tool(output_schema = schema_for_output::<CallStatus>(), annotations(read_only_hint = true, open_world_hint = false))]
    async fn quarantine_status(&self, Parameters(args): Parameters<QuarantineStatus>) -> Result<CallToolResult, ErrorData> {
        self.answer(move |pipeline| {
            calls::check_key(&args.key)?;
            pipeline.call_status(&args.key)
        })
        .await
    }
}

#[tool_handler]
impl ServerHandler for PipelineServer {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
            .with_server_info(Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")))
            .with_instructions(
                "A small pipeline: CSV drops arrive in an inbox and are loaded into a database. check_health says what is wrong; \
                 a bad drop is cured by quarantine_file and then rerun_load.",
            )
    }
}

impl PipelineServer {
    /// A server over `pipeline`, whose tools that change something ask for `admin_key`.
    pub fn new(pipeline: Pipeline, admin_key: AdminKey) -> Self {
        Self { pipeline, admin_key }
    }

    /// Plants the incident after `delay`; says on the log why not, where it cannot. Ends with the server.
    pub async fn plant_incident_after(self, delay: Duration) {
        tokio::time::sleep(delay).await;
        match self.blocking(Pipeline::plant_incident).await {
            Ok(Ok(Planting::Planted(_))) => {}
            Ok(Ok(Planting::StillOpen(open))) => tracing::info!("no new incident: that of {} is still open", open.file),
            Ok(Err(error)) => tracing::error!("no incident: {error}"),
            Err(error) => tracing::error!("no incident: {}", error.message),
        }
    }

    /// The answer of `work` as text (fields in their declared order) and as structured content. What
    /// the pipeline refuses is an answer too; only the server's own failure is an error of the protocol.
    async fn answer<T, W>(&self, work: W) -> Result<CallToolResult, ErrorData>
    where
        T: Serialize + Send + 'static,
        W: FnOnce(&Pipeline) -> Result<T, Error> + Send + 'static,
    {
        let broken = |error: serde_json::Error| ErrorData::internal_error(error.to_string(), None);
        match self.blocking(work).await? {
            Ok(result) => {
                let text = serde_json::to_string(&result).map_err(broken)?;
                let mut answer = CallToolResult::success(vec![ContentBlock::text(text)]);
                answer.structured_content = Some(serde_json::to_value(&result).map_err(broken)?);
                Ok(answer)
            }
            Err(error) => {
                tracing::warn!("{error}");
                Ok(CallToolResult::error(vec![ContentBlock::text(error.to_string())]))
            }
        }
    }

    /// Files, locks and SQLite block, so they get a thread. The work goes on if the caller is gone.
    async fn blocking<T, W>(&self, work: W) -> Result<T, ErrorData>
    where
        T: Send + 'static,
        W: FnOnce(&Pipeline) -> T + Send + 'static,
    {
        let pipeline = self.pipeline.clone();
        let done = tokio::task::spawn_blocking(move || work(&pipeline)).await;
        done.map_err(|error| ErrorData::internal_error(format!("the tool broke down: {error}"), None))
    }
}

fn known(name: Option<&str>) -> Result<(), Error> {
    match name {
        None | Some(pipeline::NAME) => Ok(()),
        Some(other) => {
            let other = crate::text::clip(other, 80);
            Err(Error::Refused(format!("no pipeline is named '{other}'; there is {}", pipeline::NAME)))
        }
    }
}

fn key_of(meta: &RequestMetaObject) -> Result<Option<String>, ErrorData> {
    let Some(key) = meta.get(KEY_IN_META) else { return Ok(None) };
    let refuse = |why: String| ErrorData::invalid_params(format!("_meta[\"{KEY_IN_META}\"]: {why}"), None);
    let key = key.as_str().ok_or_else(|| refuse("must be a string".to_owned()))?;
    calls::check_key(key).map_err(|error| refuse(error.to_string()))?;
    Ok(Some(key.to_owned()))
}
