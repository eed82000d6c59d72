//! As little HTTP as a client needs to load a server: one request and one answer at a time, on a
//! connection that stays open.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An open connection.
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer's head is not longer than this; a server that says more is not the one we started.
const MAX_HEAD_BYTES: usize = 16 * 1024;

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(MAX_HEAD_BYTES) })
    }

    /// Sends `request` and reads the answer to its end; its status.
    pub async fn ask(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request).await?;
        let head_end = loop {
            if let Some(at) = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let (status, body_len) = head(&self.read[..head_end])?;
        while self.read.len() < head_end + body_len {
            self.more().await?;
        }
        self.read.drain(..head_end + body_len);
        Ok(status)
    }

    async fn more(&mut self) -> Result<()> {
        if self.read.len() > MAX_HEAD_BYTES {
            bail!("the answer's head does not end");
        }
        match self.stream.read_buf(&mut self.read).await? {
            0 => bail!("the server closed the connection"),
            _ => Ok(()),
        }
    }
}

/// A `POST` of `body` to `path`.
pub fn post(address: SocketAddr, path: &str, body: &str) -> Vec<u8> {
    let len = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {len}\r\n\r\n");
    [head.as_bytes(), body.as_bytes()].concat()
}

/// The status, and how long the body is.
fn head(bytes: &[u8]) -> Result<(u16, usize)> {
    let text = std::str::from_utf8(bytes).context("the answer's head is no text")?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("the answer has no status")?;
    let length = lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.map_or(Ok(0), |(_, value)| value.trim().parse())?;
    Ok((status.parse()?, length))
}
