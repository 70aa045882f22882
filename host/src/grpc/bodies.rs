//! The bytes of a call on their way in and out, and how long the host waits for them.
//!
//! It must not know what a message says: it sees where each begins and ends. Invariant: time in which the host does not
//! read a stream is never counted against it.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use hyper::body::{Bytes, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};
use tonic::{Code, Status, body::Body};

use super::{
    peer::{Answer, Patience, Peer},
    quota::{Account, Taken},
    status::{CALLER_TOO_SLOW, refused},
    traffic::Traffic,
};
use crate::pipeline::{Waiting, Wanted};

pub(super) mod offload;

/// What comes before each message: a flag and its length.
const PREFIX_BYTES: usize = 5;

/// A message up to this size needs no room: no more of it than that is received before its end anyway.
const SMALL_BYTES: usize = 64 << 10;

/// Where the next byte of a request belongs.
#[derive(Debug, Default)]
struct Framing {
    prefix: [u8; PREFIX_BYTES],
    prefix_bytes: usize,
    rest_bytes: usize,
    /// A message is whole.
    any: bool,
}

impl Framing {
    /// Goes on over what came; says whether a message was completed.
    fn take(&mut self, mut bytes: &[u8]) -> bool {
        let mut completed = false;
        while !bytes.is_empty() {
            if self.prefix_bytes < PREFIX_BYTES {
                let count = bytes.len().min(PREFIX_BYTES - self.prefix_bytes);
                self.prefix[self.prefix_bytes..][..count].copy_from_slice(&bytes[..count]);
                self.prefix_bytes += count;
                bytes = &bytes[count..];
                if self.prefix_bytes < PREFIX_BYTES {
                    return completed;
                }
                let [_, length @ ..] = self.prefix;
                self.rest_bytes = u32::from_be_bytes(length) as usize;
            }
            let count = bytes.len().min(self.rest_bytes);
            self.rest_bytes -= count;
            bytes = &bytes[count..];
            if self.rest_bytes == 0 {
                self.prefix_bytes = 0;
                (self.any, completed) = (true, true);
            }
        }
        completed
    }

    fn is_within_message(&self) -> bool {
        self.prefix_bytes > 0
    }

    /// The length of the message that has begun; 0 before it is known.
    fn message_bytes(&self) -> usize {
        let [_, length @ ..] = self.prefix;
        if self.prefix_bytes == PREFIX_BYTES { u32::from_be_bytes(length) as usize } else { 0 }
    }
}

/// Room for a large message that has begun, among what its tenant may have under way.
enum Room {
    /// None is needed now.
    Free,
    /// Until it is there nothing more is read.
    Waiting(Pin<Box<dyn Future<Output = Taken> + Send>>),
    /// Held until the message is whole.
    Held(#[expect(dead_code, reason = "it is held")] Taken),
}

impl Room {
    fn for_message(bytes: usize, account: Option<&Arc<Account>>) -> Self {
        let Some(account) = account.filter(|_| bytes > SMALL_BYTES).cloned() else { return Self::Free };
        Self::Waiting(Box::pin(async move { account.message(bytes as u64).await }))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Self::Waiting(room) = self {
            match room.as_mut().poll(context) {
                Poll::Ready(taken) => *self = Self::Held(taken),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}

/// A request's messages as they come, each within its time.
pub struct Arriving {
    body: Body,
    framing: Framing,
    /// The stream may be silent once it has begun.
    may_rest: bool,
    patience: Patience,
    /// What is left of the time for what is waited for, as of when the host began to wait.
    left: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    call: Arc<Call>,
    account: Option<Arc<Account>>,
    room: Room,
}

impl Arriving {
    /// Of a call; `may_rest` where silence between two messages is as it should be.
    pub fn new(
        body: Body,
        may_rest: bool,
        patience: Patience,
        (call, account): (Arc<Call>, Option<Arc<Account>>),
    ) -> Self {
        let (framing, left, room) = (Framing::default(), patience.message, Room::Free);
        Self { body, framing, may_rest, patience, left, waiting: None, call, account, room }
    }

    /// What came, and the time that is left after it.
    fn account(&mut self, frame: Option<&[u8]>) {
        if let Some((since, _)) = self.waiting.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        // Nothing at all is no sign of life.
        let Some(bytes) = frame.filter(|bytes| !bytes.is_empty()) else { return };
        let within = self.framing.is_within_message();
        let (before, completed) = (self.framing.message_bytes(), self.framing.take(bytes));
        let now = self.framing.message_bytes();
        if completed || before != now {
            self.room = Room::for_message(now, self.account.as_ref());
        }
        if completed || !within {
            self.left = if self.framing.is_within_message() { self.patience.partial } else { self.patience.message };
        }
    }

    /// What is told of something that did not come in its time.
    fn late(&self) -> Status {
        let (why, setting, wait, what) = if self.framing.is_within_message() {
            ("partial", "intake.partial_message_ms_max", self.patience.partial, "the rest of a message did not come")
        } else {
            ("silent", "intake.message_wait_ms_max", self.patience.message, "no message came")
        };
        let message = format!("{what} within {setting} ({} ms)", wait.as_millis());
        self.call.cut(why, &message);
        refused(Code::DeadlineExceeded, CALLER_TOO_SLOW, &message)
    }
}

impl hyper::body::Body for Arriving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.room.poll(context).is_pending() {
            return Poll::Pending;
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map(|data| &data[..]);
            self.account(bytes);
            return Poll::Ready(frame);
        }
        if self.may_rest && self.framing.any && !self.framing.is_within_message() {
            return Poll::Pending;
        }
        let left = self.left;
        let (_, over) = self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        match over.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Some(Err(self.late()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A call that is under way: counted among its identity's until both its ends let go of it.
pub struct Call {
    path: &'static str,
    name: String,
    peer: Option<Peer>,
    traffic: Arc<Traffic>,
    _taken: Option<Taken>,
}

impl Call {
    /// A call that begins.
    pub fn new(
        path: &'static str,
        name: String,
        peer: Option<Peer>,
        traffic: Arc<Traffic>,
        taken: Option<Taken>,
    ) -> Self {
        traffic.calls_open.fetch_add(1, Ordering::Relaxed);
        Self { path, name, peer, traffic, _taken: taken }
    }

    fn cut(&self, why: &'static str, said: &str) {
        let peer = self.peer.as_ref().map(Peer::address);
        tracing::warn!(?peer, identity = self.name, call = self.path, why = said, "a call was given up");
        self.traffic.cut(why);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.traffic.calls_open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A call's end: counted once, as cancelled unless somebody says how it ended.
pub struct Outcome {
    call: Arc<Call>,
    code: Code,
    waiting: Waiting,
}

impl Outcome {
    /// Of a call that has not ended.
    pub fn new(call: Arc<Call>) -> Self {
        Self { call, code: Code::Cancelled, waiting: Waiting::default() }
    }

    /// Whether the caller still waits for its end: for whoever works on it.
    pub fn wanted(&self) -> Wanted {
        self.waiting.wanted()
    }

    /// Notes the status, where these headers have one.
    pub fn note(&mut self, headers: &hyper::HeaderMap) {
        if let Some(code) = headers.get("grpc-status") {
            self.code = Code::from_bytes(code.as_bytes());
        }
    }

    /// Watches an answer of it be read.
    pub fn watch(self, body: Body) -> Answering {
        let answer = self.call.peer.as_ref().map(|peer| peer.answer(self.call.path));
        Answering { body, answer, outcome: Some(self) }
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.call.traffic.ended(self.call.path, self.code);
    }
}

/// An answer on its way out.
pub struct Answering {
    body: Body,
    answer: Option<Answer>,
    /// Of a call; a page has none.
    outcome: Option<Outcome>,
}

impl Answering {
    /// A page, that is to be read like any answer.
    pub fn of_page(body: Body, peer: Option<&Peer>) -> Self {
        Self { body, answer: peer.map(|peer| peer.answer("the page")), outcome: None }
    }
}

impl hyper::body::Body for Answering {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
            && let Some(outcome) = &mut self.outcome
        {
            outcome.note(trailers);
        }
        if let Some(answer) = &self.answer {
            match &polled {
                Poll::Ready(Some(_)) => answer.offered(),
                Poll::Ready(None) | Poll::Pending => answer.taken(),
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        pin::Pin,
        sync::Arc,
        task::{Context, Poll, Waker},
        time::{Duration, Instant},
    };

    use hyper::body::{Body as _, Bytes, Frame};

    use super::{Arriving, Body, Call, Framing, Outcome, Patience, Status, Traffic};
    use crate::{
        config::AccessLimits,
        domain::{OperatorId, Tenant},
        grpc::quota::{Account, Accounts},
    };

    /// Pieces of a request that are all there.
    struct Pieces(VecDeque<Bytes>);

    impl hyper::body::Body for Pieces {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    /// A message of 80,000 bytes: its prefix, a part of it, the rest.
    fn arriving(account: &Arc<Account>) -> Arriving {
        let hour = Duration::from_secs(3_600);
        let patience = Patience { unidentified: hour, message: hour, partial: hour, unread: hour };
        let call = Arc::new(Call::new("a call", String::new(), None, Arc::new(Traffic::default()), None));
        let prefix = [&[0][..], &80_000_u32.to_be_bytes()].concat();
        let pieces = [prefix, vec![0; 10_000], vec![0; 70_000]].map(Bytes::from);
        Arriving::new(Body::new(Pieces(pieces.into())), false, patience, (call, Some(Arc::clone(account))))
    }

    #[test]
    fn large_messages_of_one_operator_arrive_one_after_the_other_where_there_is_no_room_for_both() {
        let limits = AccessLimits { operator_bytes_in_flight_max: 100_000, ..AccessLimits::default() };
        let accounts = Accounts::new(limits);
        let of = |number| accounts.of(&Tenant::Operator(OperatorId::new(number).unwrap()), Instant::now());
        let (mut first, mut second, mut other) = (arriving(&of(12)), arriving(&of(12)), arriving(&of(14)));
        let read = |body: &mut Arriving| Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())).is_ready();
        assert!(read(&mut first) && read(&mut first), "the prefix, and a part within its room");
        assert!(read(&mut second), "the prefix says how much room is needed");
        assert!(!read(&mut second), "which is taken");
        assert!(read(&mut other) && read(&mut other) && read(&mut other), "another has its own");
        assert!(read(&mut first), "the rest");
        assert!(read(&mut second) && read(&mut second), "there is room again");
    }

    #[test]
    fn a_call_is_wanted_until_its_answer_is_let_go_of() {
        let call = Arc::new(Call::new("a call", String::new(), None, Arc::new(Traffic::default()), None));
        let outcome = Outcome::new(call);
        let wanted = outcome.wanted();
        let answer = outcome.watch(Body::empty());
        assert!(wanted.is_so(), "an answer that is streamed is still worked on");
        drop(answer);
        assert!(!wanted.is_so());
    }

    #[test]
    fn messages_are_told_apart_wherever_they_are_cut() {
        let stream: Vec<u8> = [&[0, 0, 0, 0, 3, 1, 2, 3][..], &[0, 0, 0, 0, 0], &[1, 0, 0, 1, 0], &[7; 256]].concat();
        for piece in 1..stream.len() {
            let mut framing = Framing::default();
            let mut ends = Vec::new();
            let mut at = 0;
            for bytes in stream.chunks(piece) {
                at += bytes.len();
                if framing.take(bytes) {
                    ends.push(at);
                }
            }
            assert!(!framing.is_within_message(), "pieces of {piece}");
            assert_eq!(ends.last(), Some(&stream.len()), "pieces of {piece}");
            assert_eq!(piece == 1, ends == [8, 13, stream.len()], "pieces of {piece}: {ends:?}");
        }
        let mut framing = Framing::default();
        assert!(framing.take(&stream[..9]) && framing.is_within_message());
    }
}
