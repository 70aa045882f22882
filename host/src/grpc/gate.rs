//! The gate that every call passes: who asks, whether they may, and whether they ask for too much.
//!
//! It must not know what a call does. Invariant: a handler is reached only by a call that the policy allows and that is
//! within the limits of whoever makes it, and is told who that is.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use tonic::{Code, Request, Status, body::Body, codegen::http};

use super::{
    bodies::{Arriving, Call, Outcome},
    deadline,
    peer::{Patience, Peer},
    policy,
    quota::{Account, Accounts, Over, Taken},
    status::{CALLER_UNKNOWN, ROLE_NOT_ALLOWED, refused},
    traffic::Traffic,
};
use crate::{
    config::Config,
    domain::{Identity, Role, listed},
    pipeline::{DeniedCaller, Handle, Wanted},
};

/// A header is not looked at beyond this.
const TOKEN_BYTES_MAX: usize = 200;

/// The one call whose streams may be silent: meters are quiet at night.
const MAY_REST: &str = "/weir.v1.AlertService/StreamAlerts";

/// Puts a gate before services.
#[derive(Clone)]
pub struct Layer {
    handle: Handle,
    authenticate: bool,
    accounts: Arc<Accounts>,
    patience: Patience,
    traffic: Arc<Traffic>,
}

impl Layer {
    /// Asks for a token where the settings say so; else everybody is local.
    pub fn new(handle: Handle, config: &Config, traffic: Arc<Traffic>) -> Self {
        let accounts = Arc::new(Accounts::new(config.access.clone()));
        Self { handle, authenticate: config.authenticate, accounts, patience: Patience::new(config), traffic }
    }

    /// By the certificate of the connection, or else by a token.
    fn identify(&self, request: &http::Request<Body>) -> Result<Identity, Status> {
        if !self.authenticate {
            return Ok(Identity::local());
        }
        let header = request.headers().get(http::header::AUTHORIZATION);
        let certified = request.extensions().get::<Peer>().and_then(Peer::certified);
        if let (None, Some(name)) = (header, certified) {
            return self.handle.identify_holder(name).map_err(unknown);
        }
        let Some(header) = header else {
            return Err(unknown("this host asks for a token: send one in the header authorization"));
        };
        let text = header.to_str().ok().filter(|text| text.len() <= TOKEN_BYTES_MAX);
        let token = text
            .and_then(|text| text.strip_prefix("Bearer "))
            .ok_or_else(|| unknown("the header authorization is not of the form: Bearer TOKEN"))?;
        self.handle.identify(token).map_err(unknown)
    }

    /// Lets a call through with the name of who makes it and what it takes up of their limits, or says why not.
    fn admit(&self, request: &mut http::Request<Body>) -> Result<(String, Option<Taken>), Status> {
        // Its text is shared, not copied.
        let uri = request.uri().clone();
        let path = uri.path();
        if policy::is_public(path) {
            return Ok((String::new(), None));
        }
        let identity = self.identify(request).inspect_err(|status| {
            let address = request.extensions().get::<Peer>().map(|peer| peer.address().ip());
            self.deny(DeniedCaller::unknown(address), path, status.message());
        });
        let identity = Arc::new(identity?);
        // Whoever is refused from here on is told so under their name.
        request.extensions_mut().insert(Arc::clone(&identity));
        let account = self.accounts.of(&identity.tenant(), Instant::now());
        let over = |over: Over| {
            self.traffic.refused(over.setting);
            over.status(&account.tenant)
        };
        if let Some(peer) = request.extensions().get::<Peer>() {
            peer.identify(&account, identity.role == Role::Admin).map_err(over)?;
        }
        let taken = account.call(Instant::now()).map_err(over)?;
        policy::check(path, identity.role).map_err(|roles| {
            let may = listed(&roles.names());
            if may.is_empty() {
                // What tools that try one version of a call after the other go by.
                return Status::unimplemented("this host has no such call; reflection lists those that it has");
            }
            let message =
                format!("{:?} in the role {} may not call {path}: {may} may", identity.name, identity.role.name());
            self.deny(DeniedCaller::Identity(identity.name.clone()), path, &message);
            refused(Code::PermissionDenied, ROLE_NOT_ALLOWED, &message)
        })?;
        if policy::is_change(path) {
            account.change(Instant::now()).map_err(over)?;
        }
        let name = identity.name.clone();
        request.extensions_mut().insert(account);
        Ok((name, Some(taken)))
    }

    fn deny(&self, caller: DeniedCaller, path: &str, message: &str) {
        self.traffic.denied();
        self.handle.note_denied(caller, path, message);
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

impl<S> tower::Service<http::Request<Body>> for Gate<S>
where
    S: tower::Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let Layer { patience, traffic, .. } = &self.layer;
        let (path, traffic) = (policy::label(request.uri().path()), Arc::clone(traffic));
        let peer = request.extensions().get::<Peer>().cloned();
        let (name, taken) = match self.layer.admit(&mut request) {
            Ok(admitted) => admitted,
            Err(status) => {
                traffic.ended(path, status.code());
                let counts = matches!(status.code(), Code::ResourceExhausted | Code::Unauthenticated);
                peer.iter().filter(|_| counts).for_each(Peer::refused);
                let refused = known_by(status.into_http(), request.extensions().get());
                return Box::pin(std::future::ready(Ok(refused)));
            }
        };
        let identity = request.extensions().get().cloned();
        // What everybody may call says nothing for whoever calls it.
        peer.iter().filter(|_| taken.is_some()).for_each(Peer::passed);
        let call = Arc::new(Call::new(path, name, peer, traffic, taken));
        let mut outcome = Outcome::new(Arc::clone(&call));
        request.extensions_mut().insert(outcome.wanted());
        let (may_rest, patience) = (path == MAY_REST, *patience);
        let account = request.extensions().get::<Arc<Account>>().cloned();
        let request = request.map(|body| Body::new(Arriving::new(body, may_rest, patience, (call, account))));
        let wait = deadline::of(request.headers());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = match deadline::within(wait, answer).await {
                Ok(response) => response?,
                Err(late) => late.into_http(),
            };
            outcome.note(response.headers());
            let response = known_by(response, identity.as_ref());
            Ok(response.map(|body| Body::new(outcome.watch(body))))
        })
    }
}

/// What whoever shows nothing that is known here is told.
fn unknown(why: &str) -> Status {
    refused(Code::Unauthenticated, CALLER_UNKNOWN, why)
}

/// A call that did not come by the gate.
fn nobody() -> Status {
    refused(Code::PermissionDenied, ROLE_NOT_ALLOWED, "nobody knows who makes this call")
}

/// An answer that says who asked, to whoever calls within this process. Nothing of it goes over a wire.
fn known_by(mut answer: http::Response<Body>, identity: Option<&Arc<Identity>>) -> http::Response<Body> {
    if let Some(identity) = identity {
        answer.extensions_mut().insert(Arc::clone(identity));
    }
    answer
}

/// A pipeline behind the gate: what a service has of it before it says who asks.
#[derive(Clone)]
pub struct Door(Handle);

impl Door {
    /// Before a pipeline.
    pub fn new(handle: Handle) -> Self {
        Self(handle)
    }

    /// What whoever makes this call takes up, to count more of it.
    pub fn account<T>(&self, request: &Request<T>) -> Result<Arc<Account>, Status> {
        let account = request.extensions().get::<Arc<Account>>();
        account.map(Arc::clone).ok_or_else(nobody)
    }

    /// The pipeline as whoever makes this call may use it.
    pub fn open<T>(&self, request: &Request<T>) -> Result<Handle, Status> {
        let identity = request.extensions().get::<Arc<Identity>>();
        let identity = identity.ok_or_else(nobody)?;
        let wanted = request.extensions().get::<Wanted>().cloned().unwrap_or_default();
        Ok(self.0.for_caller(Arc::clone(identity)).while_wanted(wanted))
    }
}
