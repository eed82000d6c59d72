use std::net::SocketAddr;
use std::sync::Arc;

use flyball_cluster::{RuntimeTransport, TransportConfig};

use super::support::{Fake, get, request};

async fn serve(token: Option<&str>) -> (RuntimeTransport, SocketAddr) {
    let addr = "127.0.0.1:0".parse().unwrap();
    let config = TransportConfig { addr, token: token.map(str::to_owned), ..TransportConfig::default() };
    let transport = RuntimeTransport::serve(Arc::new(Fake::default()), config).await.unwrap();
    let addr = transport.local_addr();
    (transport, addr)
}

#[tokio::test]
async fn on_loopback_only_this_machines_own_names_are_answered() {
    let (_transport, addr) = serve(None).await;
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1:9100", "127.8.8.8", "[::1]:9100"] {
        assert_eq!(request(addr, "GET /status", &[&format!("host: {host}")], "").await.status, 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "a@127.0.0.1.example", ""] {
        let answer = request(addr, "GET /status", &[&format!("host: {host}")], "").await;
        assert_eq!((answer.status, answer.code().as_str()), (421, "MISDIRECTED_REQUEST"), "{host}");
    }
    assert_eq!(request(addr, "GET /status", &[], "").await.status, 421, "no host at all");
    let two = request(addr, "GET /status", &["host: localhost", "host: evil.example"], "").await;
    assert_eq!(two.status, 421, "one good host does not cover a bad one");
    let absolute = request(addr, "GET http://evil.example/status", &["host: localhost"], "").await;
    assert_eq!(absolute.status, 421);
}

#[tokio::test]
async fn on_loopback_pages_of_other_origins_are_refused() {
    let (_transport, addr) = serve(None).await;
    let host = format!("host: {addr}");
    for origin in ["http://evil.example", "null", "https://localhost", "http://127.0.0.1:1"] {
        let answer = request(addr, "POST /processes/monitor/stop", &[&host, &format!("origin: {origin}")], "").await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "FOREIGN_ORIGIN"), "{origin}");
    }
    let own = format!("origin: http://{addr}");
    assert_eq!(request(addr, "POST /processes/monitor/stop", &[&host, &own], "").await.status, 200);
}

#[tokio::test]
async fn with_a_token_everything_but_health_wants_it() {
    let (_transport, addr) = serve(Some("s3cret")).await;
    let host = format!("host: {addr}");
    let with = |line: &'static str, header: &'static str| {
        let host = host.clone();
        async move { request(addr, line, &[&host, header], "").await.status }
    };
    assert_eq!(get(addr, "/health").await.status, 200);
    for line in ["GET /status", "GET /processes", "POST /processes/monitor/stop", "GET /nothing", "GET /health/"] {
        assert_eq!(with(line, "x: y").await, 401, "{line}");
        assert_eq!(with(line, "authorization: Bearer s3cre").await, 401, "{line}");
        assert_eq!(with(line, "authorization: Bearer s3cret2").await, 401, "{line}");
        assert_eq!(with(line, "authorization: Basic s3cret").await, 401, "{line}");
    }
    assert_eq!(with("GET /status", "authorization: Bearer s3cret").await, 200);
    assert_eq!(with("GET /status", "authorization: bearer s3cret").await, 200);
    let refused = get(addr, "/status").await;
    assert!(refused.head.contains("www-authenticate: bearer") && refused.code() == "UNAUTHORIZED", "{refused:?}");
}

#[tokio::test]
async fn for_other_machines_the_token_decides_and_not_the_name() {
    let addr = "0.0.0.0:0".parse().unwrap();
    let config = TransportConfig { addr, token: Some("s3cret".into()), ..TransportConfig::default() };
    let transport = RuntimeTransport::serve(Arc::new(Fake::default()), config).await.unwrap();
    let addr = SocketAddr::from(([127, 0, 0, 1], transport.local_addr().port()));
    assert_eq!(request(addr, "GET /status", &["host: node-1.example"], "").await.status, 401);
    let headers = ["host: node-1.example", "authorization: Bearer s3cret"];
    assert_eq!(request(addr, "GET /status", &headers, "").await.status, 200);
}
