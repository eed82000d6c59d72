use std::sync::Arc;

use flyball_cluster::{Error, RuntimeTransport, TransportConfig};
use tokio::net::{TcpListener, TcpStream};

use super::support::{Fake, get};

fn at(addr: &str) -> TransportConfig {
    TransportConfig { addr: addr.parse().unwrap(), ..TransportConfig::default() }
}

async fn serve(config: TransportConfig) -> Result<RuntimeTransport, Error> {
    RuntimeTransport::serve(Arc::new(Fake::default()), config).await
}

#[tokio::test]
async fn a_public_address_without_a_token_is_refused_with_the_fix() {
    for addr in ["0.0.0.0:0", "[::]:0", "192.0.2.1:9100"] {
        let Err(Error::Config(what)) = serve(at(addr)).await else { panic!("{addr} was served") };
        assert!(what.contains("set a token") && what.contains("127.0.0.1"), "{what}");
    }
    let open = TransportConfig { allow_unauthenticated: true, ..at("0.0.0.0:0") };
    assert!(serve(open).await.is_ok());
    let token = TransportConfig { token: Some("canary".into()), ..at("0.0.0.0:0") };
    assert!(!format!("{token:?}").contains("canary"));
    assert!(serve(token).await.is_ok());
}

#[tokio::test]
async fn a_token_that_no_header_can_hold_is_refused() {
    for token in ["", "two words", "line\nbreak", "ümlaut"] {
        let config = TransportConfig { token: Some(token.into()), ..at("127.0.0.1:0") };
        assert!(matches!(serve(config).await, Err(Error::Config(_))), "{token:?}");
    }
}

#[tokio::test]
async fn a_taken_port_is_named_or_passed_over_as_was_asked() {
    let (taken, _held) = loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        if addr.port() < 60_000 {
            break (addr, listener);
        }
    };
    let refused = serve(at(&taken.to_string())).await.err().unwrap();
    assert_eq!(refused, Error::AddressTaken { addr: taken, tried: 1 });
    assert!(refused.to_string().starts_with(&format!("{taken} is in use: ")), "{refused}");

    let next = TransportConfig { try_next_ports: true, ..at(&taken.to_string()) };
    let transport = serve(next).await.unwrap();
    assert!(transport.local_addr().port() > taken.port());
    assert_eq!(get(transport.local_addr(), "/health").await.status, 200);
}

#[tokio::test]
async fn an_address_that_is_not_ours_is_an_error_of_the_bind() {
    let config = TransportConfig { token: Some("t".into()), ..at("192.0.2.1:9100") };
    assert!(matches!(serve(config).await, Err(Error::Bind { .. })));
}

#[tokio::test]
async fn after_a_shutdown_nobody_listens() {
    let transport = serve(at("127.0.0.1:0")).await.unwrap();
    let addr = transport.local_addr();
    let _idle = TcpStream::connect(addr).await.unwrap();
    assert_eq!(get(addr, "/health").await.status, 200);
    transport.shutdown().await;
    assert!(TcpStream::connect(addr).await.is_err());
}
