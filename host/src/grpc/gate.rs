//! The gate that every call passes: who asks, and whether they may.
//!
//! It must not know what a call does. Invariant: a handler is reached only by a call that the policy allows, and is
//! told who made it.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tonic::{Request, Status, body::Body, codegen::http};

use super::{connection::Peer, policy};
use crate::{domain::Identity, pipeline::Handle};

/// A header is not looked at beyond this.
const TOKEN_BYTES_MAX: usize = 200;

/// Puts a gate before services.
#[derive(Clone)]
pub struct Layer {
    handle: Handle,
    authenticate: bool,
}

impl Layer {
    /// Asks for a token where `authenticate` says so; else everybody is local.
    pub fn new(handle: Handle, authenticate: bool) -> Self {
        Self { handle, authenticate }
    }

    /// By the certificate of the connection, or else by a token.
    fn identify<B>(&self, request: &http::Request<B>) -> Result<Identity, Status> {
        if !self.authenticate {
            return Ok(Identity::local());
        }
        let header = request.headers().get(http::header::AUTHORIZATION);
        let certified = request.extensions().get::<Peer>().and_then(|peer| peer.name.as_ref());
        if let (None, Some(name)) = (header, certified) {
            return self.handle.identify_holder(name).map_err(Status::unauthenticated);
        }
        let Some(header) = header else {
            return Err(Status::unauthenticated("this host asks for a token: send one in the header authorization"));
        };
        let text = header.to_str().ok().filter(|text| text.len() <= TOKEN_BYTES_MAX);
        let token = text
            .and_then(|text| text.strip_prefix("Bearer "))
            .ok_or_else(|| Status::unauthenticated("the header authorization is not of the form: Bearer TOKEN"))?;
        self.handle.identify(token).map_err(Status::unauthenticated)
    }

    /// Lets a call through with the name of who makes it, or says why not.
    fn admit<B>(&self, request: &mut http::Request<B>) -> Result<(), Status> {
        let path = request.uri().path();
        if policy::is_public(path) {
            return Ok(());
        }
        let identity = self.identify(request).inspect_err(|status| {
            self.handle.note_denied("", path, status.message());
        })?;
        policy::check(path, identity.role).map_err(|roles| {
            let may = match roles.names() {
                names if names.is_empty() => "nobody may".to_owned(),
                names => format!("{} may", names.join(" and ")),
            };
            let message =
                format!("{:?} in the role {} may not call {path}: {may}", identity.name, identity.role.name());
            self.handle.note_denied(&identity.name, path, &message);
            Status::permission_denied(message)
        })?;
        request.extensions_mut().insert(Arc::new(identity));
        Ok(())
    }
}

impl<S> tower::Layer<S> for Layer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner, layer: self.clone() }
    }
}

/// Services behind a gate.
#[derive(Clone)]
pub struct Gate<S> {
    inner: S,
    layer: Layer,
}

impl<S, B> tower::Service<http::Request<B>> for Gate<S>
where
    S: tower::Service<http::Request<B>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        match self.layer.admit(&mut request) {
            Ok(()) => Box::pin(self.inner.call(request)),
            Err(status) => Box::pin(std::future::ready(Ok(status.into_http()))),
        }
    }
}

/// A pipeline behind the gate: what a service has of it before it says who asks.
#[derive(Clone)]
pub struct Door(Handle);

impl Door {
    /// Before a pipeline.
    pub fn new(handle: Handle) -> Self {
        Self(handle)
    }

    /// The pipeline as whoever makes this call may use it.
    pub fn open<T>(&self, request: &Request<T>) -> Result<Handle, Status> {
        let identity = request.extensions().get::<Arc<Identity>>();
        let identity = identity.ok_or_else(|| Status::permission_denied("nobody knows who makes this call"))?;
        Ok(self.0.for_caller(Arc::clone(identity)))
    }
}
