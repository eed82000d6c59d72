//! What a server writes to stderr, line by line into our log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::task::JoinHandle;

/// A longer line is cut: a server that logs its data must not fill our log.
const MAX_LINE_BYTES: usize = 2000;

/// The lines that are kept to be shown when the server fails to start.
const KEPT_LINES: usize = 5;

/// A shorter value is no secret, and would be masked wherever it stands by chance.
const MIN_MASKED_CHARS: usize = 4;

/// How long the last words of a server that failed are waited for.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_millis(500);

/// Reads a server's stderr until it ends.
pub(super) struct Stderr {
    kept: Arc<Mutex<VecDeque<String>>>,
    reading: JoinHandle<()>,
}

impl Stderr {
    /// Logs the lines. What the server was `given` in its environment may be secret and is masked in them.
    pub(super) fn log(server: &str, stderr: impl AsyncRead + Send + Unpin + 'static, given: Vec<String>) -> Self {
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let reading = tokio::spawn(read(server.to_owned(), BufReader::new(stderr), Arc::clone(&kept), given));
        Self { kept, reading }
    }

    /// What the server said last, for a message about its end.
    pub(super) async fn last_words(self) -> Option<String> {
        // A server that lives on holds its stderr open; then what it said so far must do.
        let _ = tokio::time::timeout(LAST_WORDS_TIMEOUT, self.reading).await;
        let kept = lock(&self.kept);
        if kept.is_empty() { None } else { Some(kept.iter().cloned().collect::<Vec<_>>().join(" | ")) }
    }
}

async fn read(
    server: String,
    mut stderr: impl AsyncBufReadExt + Unpin,
    kept: Arc<Mutex<VecDeque<String>>>,
    mut given: Vec<String>,
) {
    given.retain(|value| value.chars().count() >= MIN_MASKED_CHARS);
    // A value may be a part of another one.
    given.sort_by_key(|value| std::cmp::Reverse(value.len()));
    while let Some(line) = next_line(&mut stderr).await {
        let line = given.iter().fold(line, |line, value| line.replace(value, "***"));
        tracing::info!(target: "flyball::mcp", server, "{line}");
        let mut kept = lock(&kept);
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(line);
    }
}

/// The next line that is not empty, cut to its limit, or nothing at the end. Never holds more than the limit.
async fn next_line(stderr: &mut (impl AsyncBufReadExt + Unpin)) -> Option<String> {
    let mut line = Vec::new();
    let mut cut = 0;
    loop {
        let chunk = stderr.fill_buf().await.unwrap_or_default();
        let ended = chunk.is_empty();
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        let taken = part.len().min(MAX_LINE_BYTES - line.len());
        line.extend_from_slice(&part[..taken]);
        cut += part.len() - taken;
        let consumed = end.map_or(chunk.len(), |end| end + 1);
        stderr.consume(consumed);
        if ended && line.is_empty() {
            return None;
        }
        if (ended || end.is_some()) && !line.iter().all(u8::is_ascii_whitespace) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            return Some(if cut > 0 { format!("{text} [... {cut} bytes cut ...]") } else { text });
        }
        if ended {
            return None;
        }
        if end.is_some() {
            line.clear();
        }
    }
}

fn lock(kept: &Mutex<VecDeque<String>>) -> MutexGuard<'_, VecDeque<String>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_told_apart_and_endless_ones_are_cut() {
        let text = format!("first\n\n  \n{}\nlast, unended", "x".repeat(10_000));
        let mut reader = BufReader::with_capacity(64, text.as_bytes());
        assert_eq!(next_line(&mut reader).await.as_deref(), Some("first"));
        let long = next_line(&mut reader).await.unwrap();
        assert!(long.ends_with("[... 8000 bytes cut ...]") && long.len() < 2100, "{}", long.len());
        assert_eq!(next_line(&mut reader).await.as_deref(), Some("last, unended"));
        assert_eq!(next_line(&mut reader).await, None);
    }
}
