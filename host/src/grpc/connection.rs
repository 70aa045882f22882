//! Connections: how many there may be at once.
//!
//! It must not know what is said on them. Invariant: no more than the limit are open; further ones wait in the system's
//! backlog until one closes.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_stream::{Stream, StreamExt};
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};

/// How long to wait after a failed accept. Where the process has run out of file descriptors, the next one would fail
/// at once as well.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// Connections as they come, each once there is room for it.
pub fn incoming(listener: TcpListener, connections_max: usize) -> impl Stream<Item = io::Result<Connection>> {
    let room = Arc::new(Semaphore::new(connections_max));
    TcpIncoming::from(listener).with_nodelay(Some(true)).then(move |accepted| admit(accepted, Arc::clone(&room)))
}

async fn admit(accepted: io::Result<TcpStream>, room: Arc<Semaphore>) -> io::Result<Connection> {
    match accepted {
        Ok(stream) => {
            let permit = room.acquire_owned().await.map_err(io::Error::other)?;
            Ok(Connection { stream, _permit: permit })
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(AFTER_FAILURE).await;
            Err(error)
        }
    }
}

/// A connection that makes room for another when it is dropped.
pub struct Connection {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        net::{TcpListener, TcpStream},
        time::timeout,
    };
    use tokio_stream::StreamExt;

    use super::incoming;

    #[tokio::test]
    async fn one_more_than_the_limit_waits_until_one_closes() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut incoming = std::pin::pin!(incoming(listener, 1));
        let _first = TcpStream::connect(address).await.unwrap();
        let _second = TcpStream::connect(address).await.unwrap();

        let first = incoming.next().await.unwrap().unwrap();
        assert!(timeout(Duration::from_millis(50), incoming.next()).await.is_err());
        drop(first);
        timeout(Duration::from_secs(10), incoming.next()).await.unwrap().unwrap().unwrap();
    }
}
