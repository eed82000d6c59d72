//! Connections: how many, how long, and how they end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::door::Door;

/// Open connections; further ones wait in the system's queue. Each may hold a body in memory.
const MAX_CONNECTIONS: usize = 256;

/// A head that takes longer, and a connection that is idle for longer, is closed.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// A larger head is answered with 431.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// What requests under way have left when the trigger is dropped.
const GRACE: Duration = Duration::from_secs(5);

/// The pause after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves until dropped. Dropping it closes the port at once and the connections in grace.
pub(super) async fn accept(listener: TcpListener, door: Arc<Door>) -> Infallible {
    let stop = CancellationToken::new();
    let _stops_the_connections = stop.clone().drop_guard();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { continue };
        match listener.accept().await {
            Ok((stream, remote)) => {
                let (door, stop) = (Arc::clone(&door), stop.clone());
                tokio::spawn(async move {
                    serve(stream, remote, door, stop).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(trigger = door.id, %error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, remote: SocketAddr, door: Arc<Door>, stop: CancellationToken) {
    let service = service_fn(|request| {
        let door = Arc::clone(&door);
        async move { Ok::<_, Infallible>(door.answer(request, remote).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_header_size(MAX_HEAD_BYTES);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // How a client ends its connection is its own affair.
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(GRACE, connection).await;
        }
    }
}
