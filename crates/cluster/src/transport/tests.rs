//! What happens at the limits, with limits short enough to wait for.

#[path = "../../tests/cluster/support.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]
mod support;

use std::net::Ipv4Addr;
use std::time::Duration;

use flyball_runtime::Control;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use support::{Fake, get, post, raw};

async fn serve(limits: Limits) -> (RuntimeTransport, SocketAddr, Arc<Fake>) {
    let fake = Arc::new(Fake::default());
    let config = TransportConfig { addr: (Ipv4Addr::LOCALHOST, 0).into(), ..TransportConfig::default() };
    let transport = RuntimeTransport::serve_within(Arc::clone(&fake) as _, config, limits).await.unwrap();
    let addr = transport.local_addr();
    (transport, addr, fake)
}

const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_head_that_never_ends_loses_its_connection() {
    let (_transport, addr, _) = serve(Limits { header_timeout: SHORT, ..Limits::default() }).await;
    let half = raw(addr, b"GET /health HTTP/1.1\r\nhost: local").await;
    assert!([0, 408].contains(&half.status), "{half:?}");
    assert_eq!(raw(addr, b"").await.status, 0, "nor may a connection only lie there");
}

#[tokio::test]
async fn a_body_that_never_ends_is_told_so() {
    let (_transport, addr, _) = serve(Limits { body_timeout: SHORT, ..Limits::default() }).await;
    for path in ["/events", "/processes/monitor/stop"] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json");
        let answer = raw(addr, format!("{head}\r\ncontent-length: 50\r\n\r\n{{").as_bytes()).await;
        assert_eq!((answer.status, answer.code().as_str()), (408, "BODY_TOO_SLOW"), "{path}");
    }
}

#[tokio::test]
async fn a_stop_that_takes_too_long_is_given_up_and_says_that_it_may_still_happen() {
    let (_transport, addr, _) = serve(Limits { lifecycle_timeout: SHORT, ..Limits::default() }).await;
    let answer = post(addr, "/processes/slow/stop", "").await;
    assert_eq!((answer.status, answer.code().as_str()), (504, "TIMEOUT"));
    assert!(answer.message().contains("whether it was done is not known"));
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_their_turn() {
    let (_transport, addr, _) = serve(Limits { connections: 1, ..Limits::default() }).await;
    let mut first = TcpStream::connect(addr).await.unwrap();
    first.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).await.unwrap();

    let mut second = tokio::spawn(async move { get(addr, "/health").await.status });
    assert!(tokio::time::timeout(SHORT, &mut second).await.is_err(), "there is room for one");
    drop(first);
    assert_eq!(second.await.unwrap(), 200);
}

#[tokio::test]
async fn an_old_connection_makes_room() {
    let (_transport, addr, _) = serve(Limits { connection_age: SHORT, ..Limits::default() }).await;
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.unwrap();
    assert!(read.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_shutdown_waits_for_the_request_that_is_under_way() {
    let (transport, addr, fake) = serve(Limits::default()).await;
    let asked = tokio::spawn(async move { post(addr, "/processes/slow/stop", "").await });
    fake.stopping.acquire().await.unwrap().forget();
    let mut shutdown = tokio::spawn(transport.shutdown());
    assert!(tokio::time::timeout(SHORT, &mut shutdown).await.is_err());
    fake.may_stop.add_permits(1);
    assert_eq!(asked.await.unwrap().status, 200);
    shutdown.await.unwrap();
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever() {
    let (transport, addr, fake) = serve(Limits { grace: SHORT, ..Limits::default() }).await;
    let asked = tokio::spawn(async move { post(addr, "/processes/slow/stop", "").await });
    fake.stopping.acquire().await.unwrap().forget();
    transport.shutdown().await;
    assert_eq!(asked.await.unwrap().status, 0);
    assert_eq!(fake.status().await.processes["slow"].state.to_string(), "stopping");
}
