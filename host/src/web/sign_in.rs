//! `/sign-in` and `/sign-out`: a token begins a session, and the browser forgets the session's id.
//!
//! Invariant: only a token that the gate knows begins a session, and where somebody goes then is on this host.

use std::time::Instant;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tonic::Code;
use weir_proto::v1;

use super::{
    Site, address,
    answer::{html, see_other},
    visitor::{self, bearer, field},
};
use crate::page::{
    address::Address,
    frame::{self, Shown, Tab, Who},
    sign_in,
};

pub async fn form(State(site): State<Site>, request: Request) -> Response {
    if !site.terms.authenticate {
        return see_other(&Address::new("/"));
    }
    let here = address(request.uri());
    let over = "You are not signed in any more: the session is over, or its token has expired or was revoked.";
    let why = (!here.get("over").is_empty()).then_some(over);
    show(&site, StatusCode::OK, here.get("next"), why)
}

fn show(site: &Site, status: StatusCode, next: &str, why: Option<&str>) -> Response {
    let body = sign_in::body(next, why, site.terms.is_secure);
    let shown = Shown::still("Sign in", body);
    html(status, frame::page(Tab::SignIn, &Who::Nobody, &Address::new("/sign-in"), shown))
}

pub async fn sign_in(State(site): State<Site>, request: Request) -> Response {
    let (extensions, headers) = (request.extensions().clone(), request.headers().clone());
    let form = match visitor::form(request).await {
        Ok(form) => form,
        Err(refusal) => return refusal.plain(),
    };
    let (token, next) = (field(&form, "token"), field(&form, "next"));
    let Some(header) = bearer(&token).filter(|_| !token.is_empty()) else {
        let why = "That is no token: one is weir_ and 64 hex digits.";
        return show(&site, StatusCode::BAD_REQUEST, &next, Some(why));
    };
    let calls = site.calls.on_behalf(&extensions, Some(header.clone()));
    let visitor = visitor::Visitor::with(calls, &site.terms);
    match visitor.rules().list_rules(v1::ListRulesRequest { page_size: 1, ..v1::ListRulesRequest::default() }).await {
        Err(status) if status.code() == Code::Unauthenticated => {
            show(&site, StatusCode::UNAUTHORIZED, &next, Some(status.message()))
        }
        Err(status) if status.code() != Code::PermissionDenied => {
            show(&site, StatusCode::SERVICE_UNAVAILABLE, &next, Some(status.message()))
        }
        // In a role that may look at nothing one is somebody all the same.
        _ => begin(&site, &headers, header, &next),
    }
}

/// Begins a session, in place of the one that the browser has.
fn begin(site: &Site, headers: &HeaderMap, bearer: HeaderValue, next: &str) -> Response {
    visitor::cookie(headers, &site.terms).into_iter().for_each(|before| site.sessions.end(&before));
    match site.sessions.begin(bearer, Instant::now()) {
        Ok(id) => ([(header::SET_COOKIE, visitor::keep(&id, &site.terms))], see_other(&onward(next))).into_response(),
        Err(error) => {
            show(site, StatusCode::INTERNAL_SERVER_ERROR, next, Some(&format!("No session could be begun: {error}")))
        }
    }
}

pub async fn sign_out(State(site): State<Site>, headers: HeaderMap) -> Response {
    visitor::cookie(&headers, &site.terms).into_iter().for_each(|id| site.sessions.end(&id));
    ([(header::SET_COOKIE, visitor::forget(&site.terms))], see_other(&Address::new("/sign-in"))).into_response()
}

/// A path of this host, whatever it was.
fn onward(next: &str) -> Address {
    let (path, query) = next.split_once('?').unwrap_or((next, ""));
    // A second slash, or what a browser takes for one, would begin the name of another host.
    let is_own = path.starts_with('/')
        && !path[1..].starts_with(['/', '\\'])
        && path.bytes().all(|byte| byte.is_ascii_graphic());
    if is_own { Address::read(path, query) } else { Address::new("/") }
}

#[cfg(test)]
mod tests {
    use super::onward;

    #[test]
    fn signing_in_leads_nowhere_else() {
        assert_eq!(onward("/what-ifs/7?variant=a%3D1").to_string(), "/what-ifs/7?variant=a%3D1");
        for other in
            ["//evil.example/", "/\\evil.example", "http://evil.example", "", "javascript:x", "/a\r\nb", "/\u{e9}"]
        {
            assert_eq!(onward(other).to_string(), "/", "{other:?}");
        }
    }
}
