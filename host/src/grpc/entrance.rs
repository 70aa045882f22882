//! What comes over a connection, told apart: calls of the protocol, and what a browser asks for.
//!
//! It must not know a page. Invariants: a call of the protocol goes to the gate and nowhere else; a browser reaches the
//! services through [`Calls`] alone, which is behind the same gate.
//!
//! A call comes over HTTP/2 and says that it is one. So no page of elsewhere can have a browser make one: a browser asks
//! first before it sends that content type across origins, and nobody here says yes.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Instant,
};

use tonic::{
    body::Body,
    codegen::http::{self, HeaderValue, Version, header},
    service::Routes,
};
use tower::util::BoxCloneService;

use super::{
    bodies::{Answering, offload},
    gate, panics,
    peer::Peer,
};
use crate::domain::Identity;

/// What a call of the protocol says it is; `+proto` and the like may follow.
const GRPC: &[u8] = b"application/grpc";

/// Everything behind the gate.
type Services = gate::Gate<offload::Offload<tower::util::MapFuture<Routes, panics::Guard>>>;

type Answer = Result<http::Response<Body>, Infallible>;

/// What answers a browser: it knows nobody, and asks by the calls that it was made with.
pub type Page = BoxCloneService<http::Request<Body>, http::Response<Body>, Infallible>;

/// Makes a page of the calls that it may ask by.
pub type MakePage = Arc<dyn Fn(Calls) -> Page + Send + Sync>;

/// Puts the gate before services, and a page beside it.
#[derive(Clone)]
pub struct Layer {
    gate: gate::Layer,
    offload: offload::Layer,
    page: Option<MakePage>,
}

impl Layer {
    /// Offloads what passes the gate. Without a page, every request is taken for a call.
    pub fn new(gate: gate::Layer, offload: offload::Layer, page: Option<MakePage>) -> Self {
        Self { gate, offload, page }
    }

    /// True if browsers are served a page.
    pub fn has_page(&self) -> bool {
        self.page.is_some()
    }
}

impl tower::Layer<Routes> for Layer {
    type Service = Entrance;

    fn layer(&self, routes: Routes) -> Entrance {
        let services = self.gate.layer(self.offload.layer(panics::layer().layer(routes)));
        let calls = Calls { services: services.clone(), peer: None, token: None, caller: Arc::default() };
        Entrance { page: self.page.as_ref().map(|make| make(calls)), services }
    }
}

/// The services behind their gate, and the page.
#[derive(Clone)]
pub struct Entrance {
    services: Services,
    page: Option<Page>,
}

impl tower::Service<http::Request<Body>> for Entrance {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The page is always ready: it makes its services anew for each request.
        self.services.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let Some(page) = self.page.as_ref().filter(|_| !is_call(&request)) else {
            return self.services.call(request);
        };
        let peer = request.extensions().get::<Peer>().cloned();
        // Over HTTP/2 a browser gives signs of life by itself.
        peer.iter().filter(|_| request.version() < Version::HTTP_2).for_each(|peer| peer.turn(Instant::now()));
        let answer = answered(tower::ServiceExt::oneshot(page.clone(), request));
        Box::pin(async move { Ok(answer.await?.map(|body| Body::new(Answering::of_page(body, peer.as_ref())))) })
    }
}

/// An answer of the page; where it panics, one that says so.
async fn answered(answer: impl Future<Output = Answer>) -> Answer {
    panics::Caught::new(answer).await.unwrap_or_else(|panics::Panicked| {
        let mut answer = http::Response::new(Body::empty());
        *answer.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        Ok(answer)
    })
}

/// Whether it is a call of the protocol.
pub(super) fn is_call<B>(request: &http::Request<B>) -> bool {
    let content = request.headers().get(header::CONTENT_TYPE);
    request.version() == Version::HTTP_2 && content.is_some_and(|content| content.as_bytes().starts_with(GRPC))
}

/// The protocol's calls, made within this process for whoever a browser speaks for: a service for tonic's clients.
#[derive(Clone)]
pub struct Calls {
    services: Services,
    peer: Option<Peer>,
    token: Option<HeaderValue>,
    caller: Arc<OnceLock<Arc<Identity>>>,
}

impl Calls {
    /// For whoever sent a request with these extensions, on the connection it came by, with this token.
    #[must_use]
    pub fn on_behalf(&self, extensions: &http::Extensions, token: Option<HeaderValue>) -> Self {
        let peer = extensions.get::<Peer>().cloned();
        Self { services: self.services.clone(), peer, token, caller: Arc::default() }
    }

    /// Whether anything says who asks: a token, or the certificate of the connection.
    pub fn has_proof(&self) -> bool {
        self.token.is_some() || self.peer.as_ref().is_some_and(|peer| peer.certified().is_some())
    }

    /// Who asks, once the gate has said so in an answer.
    pub fn caller(&self) -> Option<&Identity> {
        self.caller.get().map(|identity| &**identity)
    }
}

impl tower::Service<http::Request<Body>> for Calls {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.services.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        // Whatever was there would be somebody else's word for who asks.
        request.headers_mut().remove(header::AUTHORIZATION);
        if let Some(token) = &self.token {
            request.headers_mut().insert(header::AUTHORIZATION, token.clone());
        }
        if let Some(peer) = &self.peer {
            request.extensions_mut().insert(peer.clone());
        }
        let (answer, caller) = (self.services.call(request), Arc::clone(&self.caller));
        Box::pin(async move {
            let answer = answer.await?;
            if let Some(identity) = answer.extensions().get::<Arc<Identity>>() {
                // Every answer says the same.
                let _ = caller.set(Arc::clone(identity));
            }
            Ok(answer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_says_that_it_is_one_and_comes_over_http_2() {
        let is_call = |version, content: &str| {
            let request = http::Request::post("/weir.v1.RuleService/SetRule").version(version);
            is_call(&request.header(header::CONTENT_TYPE, content).body(()).unwrap())
        };
        assert!(is_call(Version::HTTP_2, "application/grpc") && is_call(Version::HTTP_2, "application/grpc+proto"));
        // What a form, or a script without asking first, may send across origins.
        for content in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""] {
            assert!(!is_call(Version::HTTP_2, content), "{content}");
        }
        assert!(!is_call(Version::HTTP_11, "application/grpc"));
        assert!(!super::is_call(&http::Request::get("/").version(Version::HTTP_2).body(()).unwrap()));
    }
}
