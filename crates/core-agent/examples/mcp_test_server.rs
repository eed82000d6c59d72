//! An MCP server with bad manners on demand, for the tests of the MCP toolbox.
//!
//! `mcp_test_server stdio`, or `mcp_test_server http PORT`; over HTTP it wants the bearer token in the
//! variable TOKEN where that is set.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, ListToolsResult, PaginatedRequestParams,
    ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
};
use rmcp::service::{RequestContext, RoleServer, ServiceExt};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Map, Value, json};

#[derive(Clone, Default)]
struct Server {
    grown: Arc<AtomicBool>,
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let hints =
            |read_only, destructive, idempotent| ToolAnnotations::from_raw(None, read_only, destructive, idempotent, None);
        let mut tools = vec![
            tool("echo", "Says what it was told").with_annotations(hints(Some(true), None, None)),
            tool("key", "Says the call's idempotency key").with_annotations(hints(None, None, Some(true))),
            tool("exit", "Ends the server at once").with_annotations(hints(None, Some(true), None)),
        ];
        for name in ["sleep", "big", "noise", "huge_line", "fail", "variable", "pid", "grow"] {
            tools.push(tool(name, "See the source"));
        }
        if self.grown.load(Ordering::SeqCst) {
            tools.push(tool("grown", "A new tool"));
        }
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let args = request.arguments.unwrap_or_default();
        let text = match request.name.as_ref() {
            "echo" => string(&args, "text"),
            "key" => context.meta.get("flyball/idempotency-key").unwrap_or(&Value::Null).to_string(),
            "exit" => std::process::exit(3),
            "sleep" => {
                tokio::time::sleep(Duration::from_millis(number(&args, "ms"))).await;
                "slept".to_owned()
            }
            "big" => "x".repeat(usize::try_from(number(&args, "bytes")).unwrap_or_default()),
            "noise" => {
                raw(b"this is no JSON\n{\"jsonrpc\": \"2.0\"}\n[]\n\xff\xfe\n");
                "after the noise".to_owned()
            }
            "huge_line" => {
                for _ in 0..number(&args, "mib") {
                    raw(&[b'x'; 1 << 20]);
                }
                raw(b"\n");
                "after the line".to_owned()
            }
            "fail" => return Ok(CallToolResult::error(vec![ContentBlock::text("it went wrong")]).into()),
            "variable" => std::env::var(string(&args, "name")).unwrap_or_else(|_| "unset".to_owned()),
            "pid" => std::process::id().to_string(),
            "grow" => {
                self.grown.store(true, Ordering::SeqCst);
                let told = context.peer.notify_tool_list_changed().await;
                format!("told: {}", told.is_ok())
            }
            other => return Err(ErrorData::invalid_params(format!("no tool '{other}'"), None)),
        };
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    eprintln!("the test server starts");
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["stdio"] => {
            let service = Server::default().serve(rmcp::transport::stdio()).await?;
            service.waiting().await?;
        }
        ["http", port] => {
            let server = Server::default();
            let manager = Arc::new(LocalSessionManager::default());
            let service = StreamableHttpService::new(move || Ok(server.clone()), manager, StreamableHttpServerConfig::default());
            let router = axum::Router::new().nest_service("/mcp", service).layer(axum::middleware::from_fn(guard));
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", port.parse::<u16>()?)).await?;
            axum::serve(listener, router).await?;
        }
        _ => {
            eprintln!("it wants 'stdio' or 'http PORT'");
            std::process::exit(2);
        }
    }
    Ok(())
}

/// Lets in who knows the token.
async fn guard(request: Request, next: Next) -> Response {
    let given = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    match std::env::var("TOKEN") {
        Ok(token) if given != Some(&format!("Bearer {token}")) => {
            (StatusCode::UNAUTHORIZED, [("www-authenticate", "Bearer realm=\"tests\"")]).into_response()
        }
        _ => next.run(request).await,
    }
}

fn tool(name: &'static str, description: &'static str) -> Tool {
    let Value::Object(schema) = json!({"type": "object", "properties": {}}) else { unreachable!("it is an object") };
    Tool::new(name, description, schema)
}

/// Writes past the protocol.
fn raw(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    if let Err(error) = written {
        eprintln!("cannot write: {error}");
    }
}

fn string(args: &Map<String, Value>, key: &str) -> String {
    args.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn number(args: &Map<String, Value>, key: &str) -> u64 {
    args.get(key).and_then(Value::as_u64).unwrap_or_default()
}
