//! The page that a host serves to browsers: what comes by HTTP, which calls of the protocol answer it, and what is shown.
//!
//! It is the only place that names axum, and it must not know the pipeline: it asks by the protocol's calls, through the
//! same gate as everybody, so nobody sees here what they could not see by gRPC. Invariants: what changes anything comes
//! from a form of this page; every answer has a policy that lets a browser load nothing from elsewhere; what one
//! request may take is bounded in bytes and time.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::time::timeout;
use tonic::body::Body;
use tower::{ServiceExt, util::BoxCloneService};

use crate::{
    config::Config,
    grpc::{Calls, MakePage},
    page::{address::Address, assets::ASSETS},
};

mod answer;
mod devices;
mod levels;
mod origin;
mod reports;
mod rules;
mod session;
mod sign_in;
mod visitor;
mod what_ifs;
mod window;

use answer::Refusal;
use session::Sessions;

/// Bytes of what is asked for: path and choices.
const ADDRESS_BYTES_MAX: usize = 4_000;

/// Bytes of a form.
const FORM_BYTES_MAX: usize = 16 << 10;

/// How long one request may take, its form and every call for it included.
const REQUEST_MAX: Duration = Duration::from_secs(60);

/// Nothing but what this host serves is loaded, and nothing that stands in a page is run.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// With TLS a browser is told to use nothing else here for a year, so that no link or mistyped address leads it past TLS.
const TLS_ONLY: &str = "max-age=31536000";

/// What every answer says to a browser.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Not less: a browser that tells nobody where a form is does not tell this host either.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// What the pages are told of the host's settings.
#[derive(Debug, Clone)]
struct Terms {
    authenticate: bool,
    /// Over TLS.
    is_secure: bool,
    list_alerts_max: usize,
}

/// What every request is given.
#[derive(Clone)]
struct Site {
    calls: Calls,
    terms: Arc<Terms>,
    sessions: Arc<Sessions>,
}

/// What the server makes a page of.
pub fn page(config: &Config) -> MakePage {
    let terms = Arc::new(Terms {
        authenticate: config.authenticate,
        is_secure: config.tls_certificate.is_some(),
        list_alerts_max: config.intake.list_alerts_max,
    });
    let sessions = Arc::new(Sessions::new(&config.access));
    Arc::new(move |calls| {
        let (terms, sessions) = (Arc::clone(&terms), Arc::clone(&sessions));
        let router = router(Site { calls, terms, sessions });
        let asked = router.map_request(|request: axum::http::Request<Body>| request.map(axum::body::Body::new));
        BoxCloneService::new(asked.map_response(|answer: Response| answer.map(Body::new)))
    })
}

fn router(site: Site) -> Router {
    Router::new()
        .route("/", get(levels::page))
        .route("/rules", get(rules::list))
        .route("/rules/{name}", get(rules::one))
        .route("/what-ifs", get(what_ifs::list).post(what_ifs::ask))
        .route("/what-ifs/{id}", get(what_ifs::one))
        .route("/what-ifs/{id}/cancel", post(what_ifs::cancel))
        .route("/devices", get(devices::list))
        .route("/devices/{eui}", get(devices::one))
        .route("/reports", get(reports::page))
        .route("/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/assets/{name}", get(asset))
        .fallback(answer::nothing_here)
        .layer(middleware::from_fn_with_state(site.clone(), guard))
        .with_state(site)
}

/// What every request passes, whatever it is for.
async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    let mut answer = match check(&site.terms, &request) {
        Err(refusal) => refusal.plain(),
        Ok(()) => timeout(REQUEST_MAX, next.run(request)).await.unwrap_or_else(|_| {
            let message = format!("This took more than {} s and was given up.", REQUEST_MAX.as_secs());
            Refusal::new(StatusCode::GATEWAY_TIMEOUT, message, "Choose a shorter period.").plain()
        }),
    };
    let headers = answer.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if site.terms.is_secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TLS_ONLY));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

fn check(terms: &Terms, request: &Request) -> Result<(), Refusal> {
    let asked = request.uri().path_and_query().map_or(0, |asked| asked.as_str().len());
    if asked > ADDRESS_BYTES_MAX {
        let message = format!("This address has {asked} bytes; at most {ADDRESS_BYTES_MAX} are read.");
        return Err(Refusal::new(StatusCode::URI_TOO_LONG, message, ""));
    }
    let host = origin::host(request.uri(), request.headers());
    if !terms.authenticate && !host.is_some_and(origin::is_no_borrowed_name) {
        return Err(Refusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            "This host asks nobody who they are, so it answers browsers under its IP address or localhost alone: any other \
             name could be one that somebody else's page was loaded from."
                .to_owned(),
            "Use the address in numbers, like http://127.0.0.1:7700/, or have the host started with --authenticate.",
        ));
    }
    let changes_nothing = matches!(*request.method(), Method::GET | Method::HEAD);
    if !changes_nothing && !origin::is_own_form(request.headers(), host, terms.is_secure) {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "This was not sent by a form of this page.".to_owned(),
            "Open the page, and use the form there.",
        ));
    }
    Ok(())
}

async fn asset(request: Request) -> Response {
    let Some(asset) = ASSETS.at(request.uri().path()) else {
        return answer::nothing_here(request).await;
    };
    let headers = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, asset.content).into_response()
}

/// The address of a request.
fn address(uri: &axum::http::Uri) -> Address {
    Address::read(uri.path(), uri.query().unwrap_or_default())
}
