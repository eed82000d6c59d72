//! A connection whose other end must read what is said to it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A stream on which a write that finds no room for a time is an error. Without that, a client which
/// asks and never reads would keep its place for ever.
pub(super) struct ReadSoon<S> {
    stream: S,
    within: Duration,
    /// Runs while a write waits for room.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S> ReadSoon<S> {
    pub(super) fn new(stream: S, within: Duration) -> Self {
        Self { stream, within, stuck: None }
    }

    /// What a write brought, or that it waited for too long.
    fn bounded<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let within = self.within;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + within)));
        ready!(stuck.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read what it is answered")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadSoon<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadSoon<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bounded(cx, written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.bounded(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.bounded(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.bounded(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const WITHIN: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_makes_room_for_is_an_error() {
        let (near, _far) = tokio::io::duplex(8);
        let mut stream = ReadSoon::new(near, WITHIN);
        let start = Instant::now();
        let error = stream.write_all(b"more than eight").await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed().as_secs()), (io::ErrorKind::TimedOut, WITHIN.as_secs()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_is_slow_and_reads_on_gets_everything() {
        let (near, mut far) = tokio::io::duplex(8);
        let mut stream = ReadSoon::new(near, WITHIN);
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            let mut bytes = [0; 8];
            loop {
                tokio::time::sleep(WITHIN * 9 / 10).await;
                match far.read(&mut bytes).await.unwrap() {
                    0 => return all,
                    count => all.extend_from_slice(&bytes[..count]),
                }
            }
        });
        stream.write_all(&[7; 40]).await.unwrap();
        drop(stream);
        assert_eq!(reading.await.unwrap(), [7; 40]);
    }
}
