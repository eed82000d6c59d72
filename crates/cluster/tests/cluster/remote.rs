use std::sync::Arc;
use std::time::Duration;

use flyball_cluster::{Error, RemoteControl, RemoteTimeouts, RuntimeTransport, TransportConfig};
use flyball_runtime::{Control, ControlError};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::support::Fake;

fn failed<T: std::fmt::Debug>(answer: Result<T, ControlError>) -> String {
    match answer.unwrap_err() {
        ControlError::Failed(what) => what,
        other => panic!("{other:?}"),
    }
}

/// A server that says `answer` to whoever connects.
async fn answering(answer: &'static [u8]) -> RemoteControl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(answer).await.unwrap();
            held.push(stream);
        }
    });
    let short = Duration::from_millis(200);
    let timeouts = RemoteTimeouts { connect: short, request: short, lifecycle: short };
    RemoteControl::new(&url, None).unwrap().with_timeouts(timeouts)
}

#[tokio::test]
async fn the_nodes_own_words_can_be_had() {
    let config = TransportConfig {
        addr: "127.0.0.1:0".parse().unwrap(),
        node_id: "node-7".into(),
        token: Some("s3cret".into()),
        ..TransportConfig::default()
    };
    let transport = RuntimeTransport::serve(Arc::new(Fake::default()), config).await.unwrap();
    let url = format!("http://{}/", transport.local_addr());
    let node = RemoteControl::new(&url, Some("s3cret".into())).unwrap();
    assert_eq!(node.node_status().await.unwrap().node_id, "node-7");
    assert_eq!(node.processes().await.unwrap().len(), 9);
    assert!(!format!("{node:?}").contains("s3cret"));

    let stranger = RemoteControl::new(&url, None).unwrap();
    assert_eq!(stranger.health().await.unwrap().status, "healthy");
    assert!(failed(stranger.node_status().await).contains("this node wants its token"));
    assert_eq!(stranger.status().await.process_count, 0);
}

#[tokio::test]
async fn a_node_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let node = RemoteControl::new(&format!("http://{addr}"), None).unwrap();
    let what = failed(node.start("monitor").await);
    assert!(what.starts_with(&format!("the node at http://{addr} cannot be reached")), "{what}");
}

#[tokio::test]
async fn a_node_that_is_silent_costs_its_timeout() {
    let node = answering(b"").await;
    assert!(failed(node.node_status().await).ends_with("gave no answer within 200ms"));
    assert!(failed(node.stop("monitor").await).ends_with("gave no answer within 200ms"));
}

#[tokio::test]
async fn what_is_no_node_is_found_out() {
    for (answer, expected) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"[..], "answered what we cannot read"),
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n", "answered 502 Bad Gateway, and not as a flyball node does"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "broke off"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{", "broke off"),
    ] {
        let what = failed(answering(answer).await.health().await);
        assert!(what.contains(expected), "{what}");
    }
}

#[test]
fn an_address_that_cannot_be_spoken_to_is_refused() {
    for url in ["", "node-1:9100", "https://node-1", "http://", "http://a/b", "http://u:p@a", "http://a?x"] {
        assert!(matches!(RemoteControl::new(url, None), Err(Error::Config(_))), "{url}");
    }
    assert!(RemoteControl::new("http://a", Some("two words".into())).is_err());
    assert!(RemoteControl::new("http://[::1]:9100", None).is_ok());
}
