//! Connections: how many, how long, and how they end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::listeners::Listener;
use super::read_soon::ReadSoon;
use super::routes::Routes;
use super::seats::Guest;

/// A head that takes longer, and a connection that is idle for longer, is closed.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// A connection on which an answer finds no room for longer, because nobody reads, is closed.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// A larger head is answered with 431.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// What requests under way have left when the port is closed.
const GRACE: Duration = Duration::from_secs(5);

/// What the last answer has left to leave by, when a connection is closed for the sake of another.
const LEAVE_WITHIN: Duration = Duration::from_millis(100);

/// The pause after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves until dropped. Every trigger on a port does so: each takes connections for all of them,
/// so that the port is served as long as one of them runs.
pub(super) async fn accept(listener: &Listener) -> Infallible {
    loop {
        match listener.socket.accept().await {
            Ok((stream, remote)) => {
                let Some(guest) = listener.seats.take(remote).await else { continue };
                tokio::spawn(serve(stream, guest, Arc::clone(&listener.routes), listener.stop.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a webhook's connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, guest: Guest, routes: Arc<Routes>, stop: CancellationToken) {
    let guest = &guest;
    let service = service_fn(|request| {
        let routes = Arc::clone(&routes);
        async move {
            guest.begins();
            let mut answer = routes.answer(request, guest).await;
            if guest.leaves_with_his_answer() {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            guest.is_answered();
            Ok::<_, Infallible>(answer)
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_header_size(MAX_HEAD_BYTES);
    let stream = TokioIo::new(ReadSoon::new(stream, READ_WITHIN));
    let mut connection = pin!(builder.serve_connection(stream, service));
    tokio::select! {
        // How a client ends its connection is its own affair.
        _ = connection.as_mut() => {}
        () = guest.must_go() => {
            connection.as_mut().graceful_shutdown();
            if guest.was_answered() {
                let _ = tokio::time::timeout(LEAVE_WITHIN, connection).await;
            }
        }
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(GRACE, connection).await;
        }
    }
}
