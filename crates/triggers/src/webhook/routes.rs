//! The paths of one address, and whose they are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use serde_json::json;

use super::answers::{Answer, RETRY_LATER, answer, not_now, refused};
use super::config::HEALTH;
use super::door::Door;
use super::request;
use super::seats::Guest;

/// Finds the door for a request. It remembers paths whose trigger stopped as long as others listen
/// on the address: their senders are told to come back, since a process may be starting again.
#[derive(Default)]
pub(super) struct Routes {
    known: Mutex<BTreeMap<String, Route>>,
}

struct Route {
    /// Nobody, once its trigger has stopped.
    owner: Option<String>,
    /// None until its trigger runs.
    door: Option<Arc<Door>>,
}

impl Routes {
    /// Makes `path` that of `owner`, or says whose it is.
    pub(super) fn take(&self, path: &str, owner: &str) -> Result<(), String> {
        let mut known = self.known();
        if let Some(Route { owner: Some(other), .. }) = known.get(path) {
            return Err(other.clone());
        }
        known.insert(path.to_owned(), Route { owner: Some(owner.to_owned()), door: None });
        Ok(())
    }

    pub(super) fn serve(&self, path: &str, door: Arc<Door>) {
        if let Some(route) = self.known().get_mut(path) {
            route.door = Some(door);
        }
    }

    pub(super) fn leave(&self, path: &str) {
        if let Some(route) = self.known().get_mut(path) {
            *route = Route { owner: None, door: None };
        }
    }

    pub(super) async fn answer(&self, request: Request<Incoming>, guest: &Guest) -> Answer {
        let path = request.uri().path();
        if path == HEALTH {
            let (parts, _) = request.into_parts();
            return self.health(&parts, guest.remote).unwrap_or_else(|refusal| *refusal);
        }
        let route = self.known().get(path).map(|route| route.door.clone());
        match route {
            Some(Some(door)) => door.answer(request, guest).await,
            Some(None) => not_now(StatusCode::SERVICE_UNAVAILABLE, "the process that listens here is not running", RETRY_LATER),
            None => *refused(StatusCode::NOT_FOUND, "nothing is at this path"),
        }
    }

    /// Says which triggers are there. A sender who may use none of them learns nothing.
    fn health(&self, parts: &Parts, remote: SocketAddr) -> Result<Answer, Box<Answer>> {
        let doors: Vec<Arc<Door>> = self.known().values().filter_map(|route| route.door.clone()).collect();
        if !doors.iter().any(|door| door.admits(remote)) {
            return Err(refused(StatusCode::FORBIDDEN, "this address may not send here"));
        }
        if doors.iter().any(|door| door.guarded) {
            request::guard(parts).map_err(|(status, why)| refused(status, why))?;
        }
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            let mut refusal = refused(StatusCode::METHOD_NOT_ALLOWED, "this method is not answered here");
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Err(refusal);
        }
        let ids: Vec<&str> = doors.iter().filter(|door| door.admits(remote)).map(|door| door.id.as_str()).collect();
        let said = match ids.as_slice() {
            [only] => json!({"status": "ok", "trigger_id": only}),
            several => json!({"status": "ok", "trigger_ids": several}),
        };
        Ok(answer(StatusCode::OK, &said))
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Route>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
