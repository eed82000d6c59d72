//! What sends webhooks: a client that knows what it was promised.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// An answer to a request.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// A `Retry-After` came along.
    pub says_when: bool,
    pub body: Value,
}

/// So long a sender waits for an answer, as long as the door may take: on a slow disk an event waits for the
/// sync that is under way, and for its own.
const PATIENCE: Duration = Duration::from_secs(30);

/// Posts a body and waits for the answer, at most `limit`.
pub fn post(to: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str, limit: Duration) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&to, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let method = if body.is_empty() { "GET" } else { "POST" };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes())?;
    let mut bytes = Vec::new();
    let deadline = Instant::now() + limit;
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk)? {
            0 => break,
            read => bytes.extend_from_slice(&chunk[..read]),
        }
        if Instant::now() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    parse(&String::from_utf8_lossy(&bytes)).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// A whole answer; half of one says nothing.
fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let body = match length {
        Some(length) if body.len() < length => return None,
        _ => serde_json::from_str(body).unwrap_or(Value::Null),
    };
    let says_when = head.lines().any(|line| line.to_ascii_lowercase().starts_with("retry-after:"));
    Some(Answer { status, says_when, body })
}

/// One sender. It sends one event after the other, and sends again what had no answer.
#[derive(Debug, Default)]
pub struct Sender {
    /// Makes the keys its own.
    pub name: String,
    next: u64,
    /// What was sent and not answered with a yes.
    open: Vec<(String, &'static str, u64)>,
    said: Mutex<Promises>,
}

/// What the sender was promised.
#[derive(Debug, Default, Clone)]
pub struct Promises {
    /// Key, event id and what was to be done, in the order of the answers.
    pub taken: Vec<(String, String, &'static str)>,
    /// What the answers contradict.
    pub wrong: Vec<String>,
    /// Duplicates that were sent on purpose.
    pub duplicates: u64,
    /// Answers that were no yes.
    pub refused: Vec<(u16, String)>,
    /// All answers, by their status.
    pub statuses: Vec<u16>,
}

impl Promises {
    /// A yes came after an answer that something could not be made durable.
    pub fn taken_after_503(&self) -> bool {
        let first = self.statuses.iter().position(|status| *status == 503);
        first.is_some_and(|first| self.statuses[first..].contains(&202))
    }
}

impl Sender {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    pub fn promises(&self) -> Promises {
        self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Sends the next event, or the one that had no answer. Says whether it was taken.
    pub fn send(&mut self, to: SocketAddr, what: &'static str, wait: u64) -> bool {
        if self.open.is_empty() {
            self.next += 1;
            self.open.push((format!("{}-{}", self.name, self.next), what, wait));
        }
        let (key, what, wait) = self.open[0].clone();
        let Some(answer) = self.ask(to, &key, what, wait) else { return false };
        self.note(|said| said.statuses.push(answer.status));
        let id = answer.body["event_id"].as_str().unwrap_or_default().to_owned();
        match answer.status {
            // The first answer may have been lost: then this is the second arrival.
            200 | 202 if !id.is_empty() => {
                self.open.remove(0);
                self.note(|said| said.taken.push((key, id, what)));
                true
            }
            status => {
                if [429, 503, 507].contains(&status) && !answer.says_when {
                    self.note(|said| said.wrong.push(format!("a refusal that does not say when to come again (P1): {answer:?}")));
                }
                self.note(|said| said.refused.push((status, answer.body.to_string())));
                false
            }
        }
    }

    /// Sends something once more that was taken: it must be known. Says whether there was an answer.
    pub fn repeat(&mut self, to: SocketAddr, index: usize) -> bool {
        let taken = self.promises().taken;
        let Some((key, id, what)) = taken.get(index % taken.len().max(1)).cloned() else { return false };
        let Some(answer) = self.ask(to, &key, what, 0) else { return false };
        if answer.status != 200 || answer.body["duplicate"] != true || answer.body["event_id"] != id.as_str() {
            // Too much waiting is no contradiction.
            if ![429, 503].contains(&answer.status) {
                self.note(|said| said.wrong.push(format!("{key}, taken as {id}, sent again (P2): {answer:?}")));
            }
            return false;
        }
        self.note(|said| said.duplicates += 1);
        true
    }

    /// Sends until everything that was begun has its yes. The error is that it does not get one.
    pub fn finish(&mut self, to: SocketAddr, limit: Duration) -> Result<(), String> {
        let deadline = Instant::now() + limit;
        while !self.open.is_empty() {
            if !self.send(to, "say", 0) {
                if Instant::now() > deadline {
                    return Err(format!("{} gets no yes for {:?}: {:?}", self.name, self.open, self.promises().refused.last()));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(())
    }

    fn ask(&self, to: SocketAddr, key: &str, what: &str, wait: u64) -> Option<Answer> {
        let body = json!({"do": what, "n": key, "wait": wait.to_string()}).to_string();
        post(to, "/hook", &[("Idempotency-Key", key)], &body, PATIENCE).ok()
    }

    fn note(&self, change: impl FnOnce(&mut Promises)) {
        change(&mut self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}
