//! `/sign-in` and `/sign-out`: a token into a cookie, and out of it.
//!
//! It must not know whether a token is good: the gate does. Invariant: nothing but a token that the gate knows gets into
//! a cookie, and where somebody goes then is on this host.

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
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
    let over = "You are not signed in any more: the token has expired or was revoked.";
    let why = (!here.get("over").is_empty()).then_some(over);
    show(&site, StatusCode::OK, here.get("next"), why)
}

fn show(site: &Site, status: StatusCode, next: &str, why: Option<&str>) -> Response {
    let body = sign_in::body(next, why, site.terms.is_secure);
    let shown = Shown::still("Sign in", body);
    html(status, frame::page(Tab::SignIn, &Who::Nobody, &Address::new("/sign-in"), shown))
}

pub async fn sign_in(State(site): State<Site>, request: Request) -> Response {
    let extensions = request.extensions().clone();
    let form = match visitor::form(request).await {
        Ok(form) => form,
        Err(refusal) => return refusal.plain(),
    };
    let (token, next) = (field(&form, "token"), field(&form, "next"));
    let Some(header) = bearer(&token).filter(|_| !token.is_empty()) else {
        let why = "That is no token: one is weir_ and 64 hex digits.";
        return show(&site, StatusCode::BAD_REQUEST, &next, Some(why));
    };
    let calls = site.calls.on_behalf(&extensions, Some(header));
    let visitor = visitor::Visitor::with(calls, &site.terms);
    match visitor.rules().list_rules(v1::ListRulesRequest {}).await {
        Err(status) if status.code() == Code::Unauthenticated => {
            show(&site, StatusCode::UNAUTHORIZED, &next, Some(status.message()))
        }
        Err(status) if status.code() != Code::PermissionDenied => {
            show(&site, StatusCode::SERVICE_UNAVAILABLE, &next, Some(status.message()))
        }
        // In a role that may look at nothing one is somebody all the same.
        _ => ([(header::SET_COOKIE, visitor::keep(&token, &site.terms))], see_other(&onward(&next))).into_response(),
    }
}

pub async fn sign_out(State(site): State<Site>) -> Response {
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
