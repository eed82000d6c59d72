//! One listener for each address, however many webhooks are on it.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::door::Door;
use super::routes::Routes;
use super::seats::Seats;
use crate::Error;

/// The addresses on which webhooks listen, shared by the triggers of one program. Webhooks with one
/// address and different paths share the port; the same path twice is an error that names both.
///
/// Clones are the same registry. The port is closed as soon as its last trigger is dropped.
#[derive(Clone, Default)]
pub struct WebhookListeners {
    open: Arc<Mutex<HashMap<SocketAddr, Weak<Listener>>>>,
}

/// An open port.
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    pub(super) routes: Arc<Routes>,
    pub(super) seats: Arc<Seats>,
    /// Told to the connections when the port is closed.
    pub(super) stop: CancellationToken,
    _stops_the_connections: DropGuard,
}

/// A path on an open port. Dropping it gives up the path, and the last one closes the port.
pub(super) struct Place {
    listener: Option<Arc<Listener>>,
    path: String,
    listeners: WebhookListeners,
}

/// Open connections of one port. Each may hold a body in memory.
const MAX_CONNECTIONS: usize = 256;

/// Connections that wait in the system's queue.
const BACKLOG: u32 = 1024;

impl WebhookListeners {
    /// Opens the port unless it is open, and takes `path` on it. Port 0 is always a new one.
    pub(super) fn take(&self, address: SocketAddr, path: &str, owner: &str) -> Result<Place, Error> {
        let mut open = self.open();
        open.retain(|_, listener| listener.strong_count() > 0);
        let listener = match open.get(&address).and_then(Weak::upgrade) {
            Some(listener) => listener,
            None => Arc::new(Listener::bind(address).map_err(|error| unavailable(address, &error))?),
        };
        listener.routes.take(path, owner).map_err(|other| {
            let text = format!("{owner} cannot listen on {address}{path}: {other} does; give one of them another webhook_path");
            Error::Unavailable(text)
        })?;
        if address.port() != 0 {
            open.insert(address, Arc::downgrade(&listener));
        }
        Ok(Place { listener: Some(listener), path: path.to_owned(), listeners: self.clone() })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<SocketAddr, Weak<Listener>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for WebhookListeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.open().keys()).finish()
    }
}

impl Listener {
    fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Else a port could not be taken again for a minute after a stop. On Windows it would let
        // two programs share one.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let stop = CancellationToken::new();
        Ok(Self {
            socket: socket.listen(BACKLOG)?,
            routes: Arc::default(),
            seats: Seats::new(MAX_CONNECTIONS),
            _stops_the_connections: stop.clone().drop_guard(),
            stop,
        })
    }
}

impl Place {
    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        self.listener.as_ref().and_then(|listener| listener.socket.local_addr().ok())
    }

    /// Lets `door` answer what comes to the path.
    pub(super) fn serve(&self, door: Arc<Door>) {
        if let Some(listener) = &self.listener {
            listener.routes.serve(&self.path, door);
        }
    }

    /// None is only while it is dropped.
    pub(super) fn listener(&self) -> Option<&Listener> {
        self.listener.as_deref()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Under the lock, so that nobody finds the port half closed.
        let _open = self.listeners.open();
        if let Some(listener) = self.listener.take() {
            listener.routes.leave(&self.path);
        }
    }
}

fn unavailable(address: SocketAddr, error: &io::Error) -> Error {
    let taken = error.kind() == io::ErrorKind::AddrInUse;
    let fix = if taken { "; stop what listens there, or set another webhook_port" } else { "" };
    Error::Unavailable(format!("webhook cannot listen on {address}: {error}{fix}"))
}
