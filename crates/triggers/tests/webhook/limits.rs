//! Senders that send too much or too slowly.

use std::time::Duration;

use flyball_triggers::{Cursor, Offer, Sink, Trigger, WebhookConfig};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::common::next_offer;
use crate::support::{config, exchange, hook, request, taken, trigger};

// The runtime's clock jumps to the next deadline whenever nothing else is left to do.
#[tokio::test(start_paused = true)]
async fn who_sends_too_slowly_is_sent_away() {
    let mut hook = hook(config()).await;
    let mut stream = TcpStream::connect(hook.address).await.unwrap();
    stream.write_all(b"POST /pipeline-events HTTP/1.1\r\nHost: loc").await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    assert!(all.is_empty() || all.starts_with(b"HTTP/1.1 408"), "a half-sent head ends the connection");

    let half = b"POST /pipeline-events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 10\r\n\r\n12345";
    assert_eq!(exchange(hook.address, half).await.status, 408);
    assert!(hook.events.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_idle_after_an_answer_is_closed() {
    let mut hook = hook(config()).await;
    let mut stream = TcpStream::connect(hook.address).await.unwrap();
    let request = b"POST /pipeline-events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1";
    stream.write_all(request).await.unwrap();
    assert_eq!(hook.events.recv().await.unwrap().payload, json!(1));
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    assert!(all.starts_with(b"HTTP/1.1 202"), "{}", String::from_utf8_lossy(&all));
}

#[tokio::test(start_paused = true)]
async fn who_asks_and_never_reads_is_sent_away() {
    let hook = hook(config()).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(1024).unwrap();
    let mut stream = socket.connect(hook.address).await.unwrap();
    let many = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000);
    let asking = async { while stream.write_all(&many).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(60), asking).await.expect("the connection is closed");
}

/// More than may be connected at a time.
const MANY: usize = 400;

/// So long one waits who sends a whole request, however many do not. A head may take 10 s, a body 15 s.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn senders_that_never_finish_do_not_make_the_others_wait() {
    let idle = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let half_a_body = "POST /pipeline-events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345";
    let both = [idle, half_a_body].concat();
    for begins in ["", "POST /pipeline-events HTTP/1.1\r\nX-Never: ", half_a_body, idle, &both] {
        let hook = hook(config()).await;
        let mut slow = Vec::new();
        for _ in 0..MANY {
            let mut stream = TcpStream::connect(hook.address).await.unwrap();
            let _ = stream.write_all(begins.as_bytes()).await;
            slow.push(stream);
        }
        let answer = tokio::time::timeout(SOON, hook.ask("POST /pipeline-events", b"1")).await;
        assert_eq!(answer.expect("an answer soon").status, 202, "beside {begins:?}");
    }
}

#[tokio::test]
async fn who_asks_again_and_again_does_not_keep_a_place_that_others_want() {
    let hook = hook(config()).await;
    let (address, ask) = (hook.address, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for _ in 0..MANY {
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            while stream.write_all(ask).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let answer = tokio::time::timeout(2 * SOON, hook.ask("POST /pipeline-events", b"1")).await;
    assert_eq!(answer.expect("an answer soon").status, 202);
}

#[tokio::test]
async fn who_has_sent_a_whole_request_is_not_sent_away_for_others() {
    let mut hook = trigger(config()).unwrap();
    hook.open(&Cursor::new()).await.unwrap();
    let address = hook.local_addr().unwrap();
    let (sink, mut offers) = Sink::channel(1);
    tokio::spawn(Box::new(hook).run(sink));
    let ask = || tokio::spawn(async move { exchange(address, &request("POST /pipeline-events", b"1")).await.status });
    // The process takes its time.
    let asked: Vec<_> = (0..MANY).map(|_| ask()).collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!asked.iter().any(tokio::task::JoinHandle::is_finished));
    tokio::spawn(async move {
        while let Some(Offer { event, answer, .. }) = next_offer(&mut offers).await {
            let _ = answer.send(taken(&event));
        }
    });
    for status in futures::future::join_all(asked).await {
        assert_eq!(status.unwrap(), 202);
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let hook = hook(config()).await;
    let head = format!("POST /pipeline-events\nX-Long: {}", "x".repeat(70_000));
    assert_eq!(hook.ask(&head, b"1").await.status, 431);
}

#[tokio::test]
async fn a_body_of_unknown_length_is_cut_off_at_the_limit() {
    let mut hook = hook(WebhookConfig { webhook_max_body_bytes: 10, ..config() }).await;
    let chunked = |chunk: &str| {
        let head = "POST /pipeline-events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked";
        format!("{head}\r\n\r\n{:x}\r\n{chunk}\r\n0\r\n\r\n", chunk.len()).into_bytes()
    };
    assert_eq!(exchange(hook.address, &chunked("123456789012")).await.status, 413);
    assert_eq!(exchange(hook.address, &chunked("1234567890")).await.status, 202);
    assert_eq!(hook.events.recv().await.unwrap().payload, json!(1_234_567_890));
}

#[tokio::test]
async fn a_body_that_is_nested_too_deep_is_refused_with_the_reason() {
    let mut hook = hook(config()).await;
    let nested = |levels| format!(" {}{}", "[".repeat(levels), "]".repeat(levels));
    for levels in [65, 126, 127, 128, 100_000] {
        let answer = hook.ask("POST /pipeline-events", nested(levels).as_bytes()).await;
        assert_eq!(answer.status, 400, "{levels}");
        assert!(answer.body.to_string().contains("nested"), "{}", answer.body);
    }
    assert_eq!(hook.ask("POST /pipeline-events", nested(64).as_bytes()).await.status, 202);
    assert!(hook.events.recv().await.unwrap().payload.is_array());
    let text = format!("no JSON: {}", "[".repeat(200));
    assert_eq!(hook.ask("POST /pipeline-events", text.as_bytes()).await.status, 202);
    assert_eq!(hook.events.recv().await.unwrap().payload, json!(text));
}
