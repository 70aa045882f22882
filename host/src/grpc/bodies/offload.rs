//! Runs each call on one of two runtimes: calls that bring alerts on the server's own, all others on one whose threads
//! have a lower priority.
//!
//! A page of 10,000 alerts takes milliseconds to encode, and a batch behind it on the same thread waits as long for its
//! acknowledgement. Invariant: a call that its caller gives up is dropped, and so is an answer that nobody reads.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use hyper::body::{Body as _, Bytes, Frame};
use tokio::{runtime::Handle, sync::mpsc, task::JoinSet};
use tonic::{Status, body::Body, codegen::http};

use crate::grpc::panics;

/// Calls that bring alerts, by the beginnings of their paths, and the health check, which must answer on a busy host.
const PROMPT: [&str; 3] =
    ["/weir.v1.AlertService/StreamAlerts", "/weir.v1.AlertService/SubmitAlerts", "/grpc.health.v1.Health/"];

type Answer = Result<http::Response<Body>, Infallible>;

/// Offloads calls of the services that it wraps.
#[derive(Clone)]
pub struct Layer {
    runtime: Handle,
}

impl Layer {
    /// Offloads to `runtime` all calls but those that bring alerts.
    pub fn new(runtime: Handle) -> Self {
        Self { runtime }
    }
}

impl<S> tower::Layer<S> for Layer {
    type Service = Offload<S>;

    fn layer(&self, inner: S) -> Offload<S> {
        Offload { inner, runtime: self.runtime.clone() }
    }
}

/// Services of which only calls that bring alerts run where they are called.
#[derive(Clone)]
pub struct Offload<S> {
    inner: S,
    runtime: Handle,
}

impl<S> tower::Service<http::Request<Body>> for Offload<S>
where
    S: tower::Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let is_prompt = PROMPT.iter().any(|prompt| request.uri().path().starts_with(prompt));
        let answer = self.inner.call(request);
        if is_prompt {
            return Box::pin(answer);
        }
        // Dropping the set aborts the call.
        let mut call = JoinSet::new();
        call.spawn_on(async { answer.await.map(|response| response.map(relayed)) }, &self.runtime);
        Box::pin(async move {
            let ended = call.join_next().await.expect("one call was spawned");
            // It ends early only while the runtime shuts down.
            ended.unwrap_or_else(|_| Ok(panics::status().into_http()))
        })
    }
}

/// Returns a body with the frames of `body`, which stays on the current runtime.
fn relayed(mut body: Body) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let (frames, relayed) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            // A frame is made once the one before it was taken: a reader that is slow holds two, not all.
            let Ok(place) = frames.reserve().await else { return };
            let next = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context));
            tokio::select! {
                frame = next => match frame {
                    Some(frame) => place.send(frame),
                    None => return,
                },
                () = frames.closed() => return,
            }
        }
    });
    Body::new(Relayed(relayed))
}

/// The frames of a body that is made on another runtime.
struct Relayed(mpsc::Receiver<Result<Frame<Bytes>, Status>>);

impl hyper::body::Body for Relayed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.0.poll_recv(context)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        pin::Pin,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Context, Poll},
        thread,
        time::Duration,
    };

    use hyper::body::{Body as _, Bytes, Frame};
    use tokio::runtime::{Builder, Runtime};
    use tonic::{Status, body::Body, codegen::http};
    use tower::{Layer as _, Service as _};

    use super::Layer;

    const THREAD: &str = "offloaded";

    /// Frames that name the thread they are made on. They are counted, and so is the body while it lives.
    #[derive(Clone)]
    struct Frames {
        frames_max: usize,
        made: Arc<AtomicUsize>,
        alive: Arc<()>,
    }

    impl Frames {
        fn new(frames_max: usize) -> Self {
            Self { frames_max, made: Arc::default(), alive: Arc::default() }
        }
    }

    impl hyper::body::Body for Frames {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            if self.made.load(Ordering::SeqCst) == self.frames_max {
                return Poll::Ready(None);
            }
            self.made.fetch_add(1, Ordering::SeqCst);
            let name = thread::current().name().unwrap_or_default().to_owned();
            Poll::Ready(Some(Ok(Frame::data(Bytes::from(name)))))
        }
    }

    fn offloading() -> Runtime {
        Builder::new_multi_thread().worker_threads(1).thread_name(THREAD).build().unwrap()
    }

    fn request(path: &str) -> http::Request<Body> {
        http::Request::post(path).body(Body::empty()).unwrap()
    }

    async fn frame(body: &mut Body) -> Option<Bytes> {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
        frame.unwrap().into_data().ok()
    }

    /// Waits until it is so, at most ten seconds.
    async fn until(what: &str, is_so: impl Fn() -> bool) {
        for _ in 0..1_000 {
            if is_so() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not within ten seconds: {what}");
    }

    #[tokio::test]
    async fn only_calls_that_bring_no_alerts_run_on_the_other_runtime() {
        let runtime = offloading();
        let services =
            tower::service_fn(|_| async { Ok::<_, Infallible>(http::Response::new(Body::new(Frames::new(1)))) });
        let mut offload = Layer::new(runtime.handle().clone()).layer(services);
        for (path, offloaded) in [
            ("/weir.v1.AlertService/StreamAlerts", false),
            ("/weir.v1.AlertService/SubmitAlerts", false),
            ("/grpc.health.v1.Health/Check", false),
            ("/weir.v1.AlertService/ListAlerts", true),
            ("/weir.v1.PluginService/UploadPlugin", true),
        ] {
            let mut answer = offload.call(request(path)).await.unwrap().into_body();
            assert_eq!(frame(&mut answer).await.unwrap() == THREAD, offloaded, "{path}");
            assert_eq!(frame(&mut answer).await, None, "{path}");
        }
        runtime.shutdown_background();
    }

    #[tokio::test]
    async fn an_answer_is_made_as_fast_as_it_is_read_and_dropped_with_its_reader() {
        let (runtime, frames) = (offloading(), Frames::new(usize::MAX));
        let Frames { made, alive, .. } = &frames;
        let services = {
            let frames = frames.clone();
            tower::service_fn(move |_| {
                let body = Body::new(frames.clone());
                async { Ok::<_, Infallible>(http::Response::new(body)) }
            })
        };
        let mut offload = Layer::new(runtime.handle().clone()).layer(services);
        let mut answer = offload.call(request("/weir.v1.AlertService/ListAlerts")).await.unwrap().into_body();
        let kept = Arc::strong_count(alive);
        for read in 1..=5 {
            assert_eq!(frame(&mut answer).await.unwrap(), THREAD);
            tokio::time::sleep(Duration::from_millis(20)).await;
            let made = made.load(Ordering::SeqCst);
            assert!((read..=read + 1).contains(&made), "{made} frames made, {read} read");
        }
        drop(answer);
        until("the answer is dropped", || Arc::strong_count(alive) < kept).await;
        runtime.shutdown_background();
    }

    #[tokio::test]
    async fn a_call_that_its_caller_gives_up_is_dropped() {
        let runtime = offloading();
        let alive = Arc::new(());
        let services = {
            let alive = Arc::clone(&alive);
            tower::service_fn(move |_| {
                let alive = Arc::clone(&alive);
                async move {
                    std::future::pending::<()>().await;
                    drop(alive);
                    Ok::<_, Infallible>(http::Response::new(Body::empty()))
                }
            })
        };
        let mut offload = Layer::new(runtime.handle().clone()).layer(services);
        let idle = Arc::strong_count(&alive);
        let call = offload.call(request("/weir.v1.AlertService/ListAlerts"));
        let given_up = tokio::time::timeout(Duration::from_millis(50), call).await;
        assert!(given_up.is_err());
        until("the call is dropped", || Arc::strong_count(&alive) == idle).await;
        runtime.shutdown_background();
    }
}
