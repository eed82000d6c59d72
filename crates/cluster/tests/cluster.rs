//! A node's HTTP face, over real connections.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod cluster {
    mod bind;
    mod guard;
    mod law;
    mod remote;
    mod routes;
    pub mod support;
}
