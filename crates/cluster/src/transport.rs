//! A node's HTTP face: takes connections in, and ends them in order.

mod body;
mod config;
mod guard;
mod limits;
mod refusal;
mod routes;

use std::net::SocketAddr;
use std::sync::Arc;

use flyball_runtime::Control;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::Error;
use limits::Limits;

pub use config::TransportConfig;
pub(crate) use config::check_token;

/// Serves a [`Control`] over HTTP until it is shut down or dropped.
pub struct RuntimeTransport {
    local_addr: SocketAddr,
    stop: DropGuard,
    tasks: TaskTracker,
}

impl RuntimeTransport {
    /// Listens at `config.addr` and serves `control` there. Requests are answered once this returns.
    ///
    /// # Errors
    /// [`Error::Config`] where the address is reachable from other machines and there is no token,
    /// [`Error::AddressTaken`] where somebody else listens, [`Error::Bind`] where the system refuses.
    pub async fn serve(control: Arc<dyn Control>, config: TransportConfig) -> Result<Self, Error> {
        Self::serve_within(control, config, Limits::default()).await
    }

    async fn serve_within(control: Arc<dyn Control>, config: TransportConfig, limits: Limits) -> Result<Self, Error> {
        config.check()?;
        let (listener, local_addr) = bind(config.addr, config.try_next_ports).await?;
        let router = routes::router(control, &config, limits);
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let server = Server { listener, router, limits, stop: stop.clone(), tasks: tasks.clone() };
        tasks.spawn(server.run());
        tasks.close();
        Ok(Self { local_addr, stop: stop.drop_guard(), tasks })
    }

    /// Where it listens. The port is the real one where another was taken or none was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Takes no more connections, lets requests that are under way come to their end, and returns
    /// when all have: after ten seconds at the latest. Dropping the transport instead begins the same
    /// and waits for nothing.
    pub async fn shutdown(self) {
        drop(self.stop);
        self.tasks.wait().await;
    }
}

/// Ports after the wanted one that are tried: enough for every instance on one machine, few enough
/// to end at once.
const MAX_PORTS_TRIED: u16 = 100;

async fn bind(wanted: SocketAddr, try_next_ports: bool) -> Result<(TcpListener, SocketAddr), Error> {
    let mut addr = wanted;
    for tried in 1..=MAX_PORTS_TRIED {
        match TcpListener::bind(addr).await.and_then(|listener| listener.local_addr().map(|bound| (listener, bound))) {
            Ok(listening) => return Ok(listening),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => match addr.port().checked_add(1) {
                Some(next) if try_next_ports => addr.set_port(next),
                _ => return Err(Error::AddressTaken { addr: wanted, tried }),
            },
            Err(error) => return Err(Error::Bind { addr, cause: error.to_string() }),
        }
    }
    Err(Error::AddressTaken { addr: wanted, tried: MAX_PORTS_TRIED })
}

struct Server {
    listener: TcpListener,
    router: axum::Router,
    limits: Limits,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Accepts until it is stopped. Above the limit a connection waits with the system.
    async fn run(self) {
        let room = Arc::new(Semaphore::new(self.limits.connections));
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = async { (Arc::clone(&room).acquire_owned().await, self.listener.accept().await) } => accepted,
            };
            match accepted {
                (Ok(place), Ok((stream, _))) => {
                    let connection = serve_connection(stream, self.router.clone(), self.limits, self.stop.clone());
                    self.tasks.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                // Nobody closes the semaphore.
                (Err(_), _) => return,
                (_, Err(error)) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    // Out of file descriptors, most likely: asking again at once would only burn time.
                    tokio::time::sleep(self.limits.accept_pause).await;
                }
            }
        }
    }
}

/// Serves one connection until it is done, has lived its time, or the transport stops.
async fn serve_connection(stream: TcpStream, router: axum::Router, limits: Limits, stop: CancellationToken) {
    // Answers are small; waiting for more of them would only delay them.
    let _ = stream.set_nodelay(true);
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).max_buf_size(limits.header_bytes);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => last_request(connection, limits).await,
        () = tokio::time::sleep(limits.connection_age) => last_request(connection, limits).await,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Lets the request that is under way end, and no other begin.
async fn last_request<C>(mut connection: std::pin::Pin<&mut C>, limits: Limits) -> Result<(), hyper::Error>
where
    C: hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + Future<Output = Result<(), hyper::Error>>,
{
    connection.as_mut().graceful_shutdown();
    tokio::time::timeout(limits.grace, connection).await.unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests;
