//! Connections: how many there may be at once, and how each begins.
//!
//! It must not know what is said on them. Invariant: no more than the limit are open, those that still shake hands
//! included; further ones wait in the system's backlog until one closes.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_rustls::server::TlsStream;
use tokio_stream::{Stream as Incoming, wrappers::ReceiverStream};
use tonic::transport::server::Connected;

use super::tls::Tls;

/// How long to wait after a failed accept. Where the process has run out of file descriptors, the next one would fail
/// at once as well.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// Connections that were made and not yet taken up.
const WAITING_MAX: usize = 16;

/// Connections as they come, each once there is room for it and its handshake, where there is one, is done.
pub fn incoming(
    listener: TcpListener,
    connections_max: usize,
    tls: Option<Arc<Tls>>,
) -> impl Incoming<Item = io::Result<Connection>> {
    let (ready, incoming) = mpsc::channel(WAITING_MAX);
    tokio::spawn(accept(listener, Arc::new(Semaphore::new(connections_max)), tls, ready));
    ReceiverStream::new(incoming)
}

async fn accept(
    listener: TcpListener,
    room: Arc<Semaphore>,
    tls: Option<Arc<Tls>>,
    ready: mpsc::Sender<io::Result<Connection>>,
) {
    while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = ready.closed() => return,
        };
        match accepted {
            // Hands are shaken aside: whoever is slow at it holds up nobody.
            Ok((stream, peer)) => drop(tokio::spawn(begin(stream, peer, tls.clone(), permit, ready.clone()))),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}

async fn begin(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<Tls>>,
    permit: OwnedSemaphorePermit,
    ready: mpsc::Sender<io::Result<Connection>>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "small answers may be late");
    }
    let (stream, name) = match tls {
        None => (Stream::Plain(stream), None),
        Some(tls) => match tls.accept(stream).await {
            Ok((stream, name)) => (Stream::Tls(Box::new(stream)), name),
            Err(why) => return tracing::warn!(%peer, why, "a connection was given up"),
        },
    };
    // Where nobody takes it up the server has stopped.
    let _ = ready.send(Ok(Connection { stream, peer: Peer { name }, _permit: permit })).await;
}

/// Whom a connection's certificate names, if it has one. A request carries it as an extension.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The name.
    pub name: Option<String>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection that makes room for another when it is dropped.
pub struct Connection {
    stream: Stream,
    peer: Peer,
    _permit: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
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
        let mut incoming = std::pin::pin!(incoming(listener, 1, None));
        let _first = TcpStream::connect(address).await.unwrap();
        let _second = TcpStream::connect(address).await.unwrap();

        let first = incoming.next().await.unwrap().unwrap();
        assert!(timeout(Duration::from_millis(50), incoming.next()).await.is_err());
        drop(first);
        timeout(Duration::from_secs(10), incoming.next()).await.unwrap().unwrap().unwrap();
    }
}
