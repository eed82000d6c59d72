//! Where a node is served, and to whom.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::Error;

/// Where a node listens, and who may talk to it.
#[derive(Clone, PartialEq, Eq)]
pub struct TransportConfig {
    /// The address; with port 0 the system chooses one.
    pub addr: SocketAddr,
    /// Take the next free port where that one is taken: of the hundred from it on.
    pub try_next_ports: bool,
    /// The node's name in its answers.
    pub node_id: String,
    /// What a caller must show, as `Authorization: Bearer TOKEN`, for everything but `/health`.
    pub token: Option<String>,
    /// Serve other machines without a token. Whoever reaches the port then owns the agents.
    pub allow_unauthenticated: bool,
}

impl TransportConfig {
    pub(super) fn check(&self) -> Result<(), Error> {
        if let Some(token) = &self.token {
            check_token(token)?;
        } else if !is_loopback(self.addr.ip()) && !self.allow_unauthenticated {
            return Err(Error::Config(format!(
                "{} can be reached from other machines, and no token is set: set a token (`flyball run --token TOKEN`, or \
                 FLYBALL_TOKEN in the environment), or listen on 127.0.0.1",
                self.addr
            )));
        }
        Ok(())
    }
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 9100)),
            try_next_ports: false,
            node_id: "local".to_owned(),
            token: None,
            allow_unauthenticated: false,
        }
    }
}

impl fmt::Debug for TransportConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportConfig")
            .field("addr", &self.addr)
            .field("try_next_ports", &self.try_next_ports)
            .field("node_id", &self.node_id)
            .field("token", &self.token.as_ref().map(|_| "(set)"))
            .field("allow_unauthenticated", &self.allow_unauthenticated)
            .finish()
    }
}

/// A token must fit into a header, and say something.
pub(crate) fn check_token(token: &str) -> Result<(), Error> {
    let fits = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(())
        .ok_or_else(|| Error::Config("token: must be one or more visible ASCII characters, without spaces".to_owned()))
}

/// Only this machine can reach the address.
pub(super) fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}
