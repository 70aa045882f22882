//! Connections: how many there may be at once, how each begins, and how the host closes one.
//!
//! It must not know what is said on them. Invariant: no more than the limit are open, those that still shake hands
//! included. One more is taken up where all are open: it waits until one closes, and has one closed as
//! [`Crowd`] chooses; further ones wait in the system's backlog.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Interval, MissedTickBehavior},
};
use tokio_rustls::server::TlsStream;
use tokio_stream::{Stream as Incoming, wrappers::ReceiverStream};
use tonic::transport::server::Connected;

use super::{
    crowd::Crowd,
    peer::{Patience, Peer},
    tls::Tls,
    traffic::Traffic,
};

/// How long to wait after a failed accept. Where the process has run out of file descriptors, the next one would fail
/// at once as well.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// Connections that were made and not yet taken up.
const WAITING_MAX: usize = 16;

/// What connections are opened with.
#[derive(Clone)]
pub struct Terms {
    /// How many may be open at once.
    pub connections_max: usize,
    /// Those that are.
    pub crowd: Arc<Crowd>,
    /// With TLS, where there is one.
    pub tls: Option<Arc<Tls>>,
    /// How long the host waits for what a client owes it.
    pub patience: Patience,
    /// Where they are counted.
    pub traffic: Arc<Traffic>,
}

/// Connections as they come, each once there is room for it and its handshake, where there is one, is done.
pub fn incoming(listener: TcpListener, terms: Terms) -> impl Incoming<Item = io::Result<Connection>> {
    let (ready, incoming) = mpsc::channel(WAITING_MAX);
    tokio::spawn(accept(listener, terms, ready));
    ReceiverStream::new(incoming)
}

async fn accept(listener: TcpListener, terms: Terms, ready: mpsc::Sender<io::Result<Connection>>) {
    let room = Arc::new(Semaphore::new(terms.connections_max));
    loop {
        let accepted = tokio::select! {
            // First: what comes when nobody takes it up any more is for another listener on the same socket.
            biased;
            () = ready.closed() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(AFTER_FAILURE).await;
                continue;
            }
        };
        if room.available_permits() == 0 {
            terms.crowd.make_room();
        }
        let permit = tokio::select! {
            Ok(permit) = Arc::clone(&room).acquire_owned() => permit,
            () = ready.closed() => return,
        };
        let (peer, cut) = Peer::new(address, terms.patience, Arc::clone(&terms.traffic), &terms.crowd);
        terms.crowd.note(peer.clone());
        // Hands are shaken aside: whoever is slow at it holds up nobody.
        tokio::spawn(begin(stream, (peer, cut), permit, terms.clone(), ready.clone()));
    }
}

async fn begin(
    stream: TcpStream,
    (peer, mut cut): (Peer, oneshot::Receiver<()>),
    permit: OwnedSemaphorePermit,
    terms: Terms,
    ready: mpsc::Sender<io::Result<Connection>>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(peer = %peer.address(), %error, "small answers may be late");
    }
    let stream = match &terms.tls {
        None => Some(Stream::Plain(stream)),
        Some(tls) => tokio::select! {
            stream = shake_hands(stream, tls, &peer) => stream,
            _ = &mut cut => None,
        },
    };
    let Some(stream) = stream else { return peer.close() };
    let mut look = tokio::time::interval(terms.patience.look_every());
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    terms.traffic.connections.fetch_add(1, Ordering::Relaxed);
    let connection = Connection { stream, peer, cut, is_cut: false, look, traffic: terms.traffic, _permit: permit };
    // Where nobody takes it up the server has stopped.
    let _ = ready.send(Ok(connection)).await;
}

async fn shake_hands(stream: TcpStream, tls: &Tls, peer: &Peer) -> Option<Stream> {
    match tls.accept(stream).await {
        Ok((stream, name)) => {
            name.into_iter().for_each(|name| peer.certify(name));
            Some(Stream::Tls(Box::new(stream)))
        }
        Err(why) => {
            tracing::warn!(peer = %peer.address(), why, "a connection was given up");
            None
        }
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection that makes room for another when it is dropped.
pub struct Connection {
    stream: Stream,
    peer: Peer,
    cut: oneshot::Receiver<()>,
    is_cut: bool,
    look: Interval,
    traffic: Arc<Traffic>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    /// Whether it is still wanted. Whoever drives it asks for bytes or gives some, and so comes by here; a deadline
    /// wakes it.
    fn go_on(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.look.poll_tick(cx).is_ready() {
            self.peer.look(Instant::now());
        }
        // Dropped, the other end cannot cut it any more; it is held by `peer`.
        self.is_cut = self.is_cut || Pin::new(&mut self.cut).poll(cx).is_ready();
        if self.is_cut { Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the host closed it")) } else { Ok(()) }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.peer.close();
        self.traffic.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.go_on(cx)?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.go_on(cx)?;
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
        self.go_on(cx)?;
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
        self.go_on(cx)?;
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
    use std::time::{Duration, Instant};

    use tokio::{
        io::AsyncReadExt,
        net::{TcpListener, TcpStream},
        time::timeout,
    };
    use tokio_stream::StreamExt;

    use super::{Arc, Connection, Crowd, Patience, Terms, Traffic, incoming};
    use crate::{config::AccessLimits, domain::Tenant, grpc::quota::Accounts};

    fn terms(connections_max: usize) -> Terms {
        let patience = Patience::new(&crate::config::Config::default());
        let crowd = Arc::new(Crowd::new(connections_max));
        Terms { connections_max, crowd, tls: None, patience, traffic: Arc::new(Traffic::default()) }
    }

    fn identify(connection: &Connection, accounts: &Accounts, name: &str, is_admin: bool) {
        let account = accounts.of(&Tenant::Identity(name.to_owned()), Instant::now());
        connection.peer.identify(&account, is_admin).unwrap();
    }

    #[tokio::test]
    async fn one_more_than_the_limit_waits_until_one_closes() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut incoming = std::pin::pin!(incoming(listener, terms(1)));
        let _first = TcpStream::connect(address).await.unwrap();
        let _second = TcpStream::connect(address).await.unwrap();

        let first = incoming.next().await.unwrap().unwrap();
        identify(&first, &Accounts::new(AccessLimits::default()), "a", false);
        assert!(timeout(Duration::from_millis(50), incoming.next()).await.is_err());
        drop(first);
        timeout(Duration::from_secs(10), incoming.next()).await.unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn whoever_is_known_stays_and_the_oldest_stranger_makes_room() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut incoming = std::pin::pin!(incoming(listener, terms(3)));
        let (mut clients, mut served) = (Vec::new(), Vec::new());
        for at in 0..5 {
            clients.push(TcpStream::connect(address).await.unwrap());
            if at >= 3 {
                // The first was known; of the others the oldest is closed, as whoever drives it would find.
                let mut oldest = served.remove(1);
                let end = timeout(Duration::from_secs(10), super::Connection::read_u8(&mut oldest)).await.unwrap();
                assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionAborted);
            }
            let next = timeout(Duration::from_secs(10), incoming.next()).await.unwrap().unwrap().unwrap();
            if at == 0 {
                identify(&next, &Accounts::new(AccessLimits::default()), "a", false);
            }
            served.push(next);
        }
        assert!(served[0].peer.is_identified() && served[0].peer.is_open());
    }

    #[tokio::test]
    async fn two_tokens_that_take_all_connections_lock_nobody_out() {
        const MAX: usize = 16;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut incoming = std::pin::pin!(incoming(listener, terms(MAX)));
        let accounts = Accounts::new(AccessLimits::default());
        let (mut clients, mut served) = (Vec::new(), Vec::new());
        let mut open = async |served: &mut Vec<Connection>| {
            clients.push(TcpStream::connect(address).await.unwrap());
            // Nobody drives these connections: what was cut is dropped here.
            loop {
                match timeout(Duration::from_millis(10), incoming.next()).await {
                    Ok(next) => return next.unwrap().unwrap(),
                    Err(_) => served.retain(|connection| connection.peer.is_open()),
                }
            }
        };
        for at in 0..MAX {
            let connection = open(&mut served).await;
            identify(&connection, &accounts, if at % 2 == 0 { "a" } else { "b" }, false);
            served.push(connection);
            served.retain(|connection| connection.peer.is_open());
        }
        assert_eq!(served.len(), MAX - MAX / 8, "some are kept free");
        for round in 0..MAX - 2 {
            let admin = open(&mut served).await;
            identify(&admin, &accounts, "admin", true);
            served.retain(|connection| connection.peer.is_open());
            assert!(admin.peer.is_open(), "round {round}");
            served.push(admin);
        }
        let of = |name: &str| {
            let tenant = Some(Tenant::Identity(name.to_owned()));
            served.iter().filter(|connection| connection.peer.tenant() == tenant).count()
        };
        // Each is left the one that it needs to work.
        assert_eq!((of("a"), of("b"), of("admin")), (1, 1, MAX - 2));
    }
}
