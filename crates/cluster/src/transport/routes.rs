//! What can be asked of a node.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use flyball_core_agent::TriggerEvent;
use flyball_runtime::{Control, ControlError, ProcessStatus, Settlement};
use hyper::StatusCode;

use super::body::{Body, MaybeBody, Name, check_name};
use super::config::TransportConfig;
use super::guard::{Guard, guard};
use super::limits::Limits;
use super::refusal::Refusal;
use crate::wire::{
    Accepted, Command, CommandAnswer, DeadLetter, Delivered, Done, EmittedEvent, Health, InjectedEvent, NodeStatus, Nothing,
    Pause, Processes, SentMessage,
};

/// What every route needs.
#[derive(Clone)]
pub(super) struct Node {
    id: Arc<str>,
    control: Arc<dyn Control>,
    pub(super) limits: Limits,
}

type Answer<T> = Result<Json<T>, Refusal>;

pub(super) fn router(control: Arc<dyn Control>, config: &TransportConfig, limits: Limits) -> Router {
    let node = Node { id: config.node_id.as_str().into(), control, limits };
    Router::new()
        .route("/health", get(health))
        .route("/status", get(status))
        .route("/processes", get(processes))
        .route("/processes/{name}", get(process))
        .route("/processes/{name}/start", post(start))
        .route("/processes/{name}/stop", post(stop))
        .route("/processes/{name}/pause", post(pause))
        .route("/processes/{name}/resume", post(resume))
        .route("/processes/{name}/event", post(inject))
        .route("/processes/{name}/resolve", post(resolve))
        .route("/processes/{name}/dead-letter", post(dead_letter))
        .route("/processes/{name}/command", post(command))
        .route("/events", post(emit))
        .route("/messages", post(publish))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        .layer(middleware::from_fn_with_state(Arc::new(Guard::new(config)), guard))
        .with_state(node)
}

async fn health(State(node): State<Node>) -> Answer<Health> {
    let status = node.in_time(node.control.status()).await?;
    let (status, process_count) = ("healthy".to_owned(), status.process_count);
    Ok(Json(Health { status, node_id: node.id.to_string(), process_count }))
}

async fn status(State(node): State<Node>) -> Answer<NodeStatus> {
    Ok(Json(NodeStatus::new(&node.id, node.in_time(node.control.status()).await?)))
}

async fn processes(State(node): State<Node>) -> Answer<Processes> {
    let status = node.in_time(node.control.status()).await?;
    Ok(Json(Processes { processes: status.processes.into_values().map(Into::into).collect() }))
}

async fn process(State(node): State<Node>, Name(name): Name) -> Answer<ProcessStatus> {
    Ok(Json(node.in_time(node.control.process_status(&name)).await??))
}

async fn start(State(node): State<Node>, Name(name): Name, _: MaybeBody<Nothing>) -> Answer<Done> {
    node.lifecycle(node.control.start(&name)).await?;
    done(name, "started")
}

async fn stop(State(node): State<Node>, Name(name): Name, _: MaybeBody<Nothing>) -> Answer<Done> {
    node.lifecycle(node.control.stop(&name)).await?;
    done(name, "stopped")
}

async fn pause(State(node): State<Node>, Name(name): Name, MaybeBody(body): MaybeBody<Pause>) -> Answer<Done> {
    let why = body.why.unwrap_or_else(|| "an operator asked for it".to_owned());
    check_name("why", &why)?;
    node.lifecycle(node.control.pause(&name, &why)).await?;
    done(name, "paused")
}

async fn resume(State(node): State<Node>, Name(name): Name, _: MaybeBody<Nothing>) -> Answer<Done> {
    node.lifecycle(node.control.resume(&name)).await?;
    done(name, "resumed")
}

async fn inject(
    State(node): State<Node>,
    Name(name): Name,
    Body(body): Body<InjectedEvent>,
) -> Result<(StatusCode, Json<Accepted>), Refusal> {
    check_name("trigger_id", &body.trigger_id)?;
    check_name("trigger_type", &body.trigger_type)?;
    if let Some(key) = &body.dedup_key {
        check_name("dedup_key", key)?;
    }
    let mut event = TriggerEvent::new(&body.trigger_id, &body.trigger_type, chrono::Utc::now(), body.payload);
    event.metadata = body.metadata;
    event.dedup_key = body.dedup_key;
    let receipt = node.in_time(node.control.inject(&name, event)).await??;
    Ok((StatusCode::ACCEPTED, Json(Accepted { event_id: receipt.event_id, duplicate: receipt.duplicate })))
}

async fn resolve(State(node): State<Node>, Name(name): Name, Body(settlement): Body<Settlement>) -> Answer<Done> {
    node.in_time(node.control.resolve(&name, settlement)).await??;
    done(name, "resolved")
}

async fn dead_letter(State(node): State<Node>, Name(name): Name, Body(body): Body<DeadLetter>) -> Answer<Done> {
    check_name("event_id", &body.event_id)?;
    node.in_time(node.control.see_to_dead_letter(&name, &body.event_id, body.again, &body.note)).await??;
    done(name, if body.again { "redelivered" } else { "dismissed" })
}

async fn command(State(node): State<Node>, Name(name): Name, Body(body): Body<Command>) -> Answer<CommandAnswer> {
    check_name("layer", &body.layer)?;
    check_name("request", &body.request)?;
    let result = node.in_time(node.control.command(&name, &body.layer, &body.request, body.body)).await??;
    Ok(Json(CommandAnswer { result }))
}

async fn emit(State(node): State<Node>, Body(body): Body<EmittedEvent>) -> Answer<Delivered> {
    check_name("event_type", &body.event_type)?;
    check_name("source", &body.source)?;
    let delivered = node.in_time(node.control.emit(&body.event_type, &body.source, body.data)).await??;
    Ok(Json(Delivered { delivered }))
}

async fn publish(State(node): State<Node>, Body(body): Body<SentMessage>) -> Answer<Delivered> {
    check_name("topic", &body.topic)?;
    check_name("sender", &body.sender)?;
    let delivered = node.in_time(node.control.publish(&body.topic, &body.sender, body.content)).await??;
    Ok(Json(Delivered { delivered }))
}

async fn no_route() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "NO_SUCH_ROUTE", "there is nothing at this path")
}

async fn no_method() -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "this path does not take this method")
}

fn done(name: String, result: &str) -> Answer<Done> {
    Ok(Json(Done { name, result: result.to_owned() }))
}

impl Node {
    async fn in_time<T>(&self, answer: impl Future<Output = T>) -> Result<T, Refusal> {
        within(self.limits.request_timeout, answer).await
    }

    async fn lifecycle(&self, change: impl Future<Output = Result<(), ControlError>>) -> Result<(), Refusal> {
        Ok(within(self.limits.lifecycle_timeout, change).await??)
    }
}

async fn within<T>(limit: Duration, answer: impl Future<Output = T>) -> Result<T, Refusal> {
    tokio::time::timeout(limit, answer).await.map_err(|_| {
        let what = format!("not answered within {} s; whether it was done is not known: ask for the status", limit.as_secs());
        Refusal::new(StatusCode::GATEWAY_TIMEOUT, "TIMEOUT", what)
    })
}
