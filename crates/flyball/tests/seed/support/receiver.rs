//! A real HTTP receiver for escalations.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;

type Posts = Arc<Mutex<Vec<Value>>>;

/// Keeps the JSON bodies that are posted to it.
pub struct Receiver {
    address: SocketAddr,
    posts: Posts,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let posts = Posts::default();
        let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&posts));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, posts }
    }

    /// What goes into `webhook_url`.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Waits for the first post of this kind.
    pub async fn posted(&self, kind: &str) -> Value {
        let found = || self.of(kind).into_iter().next();
        super::eventually(&format!("a post of {kind}"), || found().is_some()).await;
        found().expect("it was there a moment ago")
    }

    /// The posts of this kind so far.
    pub fn of(&self, kind: &str) -> Vec<Value> {
        let posts = self.posts.lock().expect("no holder panics");
        posts.iter().filter(|post| post["kind"] == kind).cloned().collect()
    }
}

async fn take(State(posts): State<Posts>, Json(body): Json<Value>) {
    posts.lock().expect("no holder panics").push(body);
}
