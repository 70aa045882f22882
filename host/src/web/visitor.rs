//! Whoever a browser speaks for: by a cookie that names a session, by the certificate of the connection, or, where nobody is
//! asked, by being there.
//!
//! It must not know who is who: the gate does. Invariant: a token goes from its session into the header of the calls
//! that are made for this request, and nowhere else.

use std::{sync::Arc, time::Instant};

use axum::{
    body::to_bytes,
    extract::{FromRequestParts, Request},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use tonic::Status;
use tower::{ServiceExt, util::BoxCloneSyncService};
use weir_proto::v1::{
    alert_service_client::AlertServiceClient, count_service_client::CountServiceClient,
    device_service_client::DeviceServiceClient, report_service_client::ReportServiceClient,
    rule_service_client::RuleServiceClient, trial_service_client::TrialServiceClient,
    what_if_service_client::WhatIfServiceClient,
};

use super::{
    FORM_BYTES_MAX, Site, Terms, address,
    answer::{Refusal, html, see_other},
    origin,
    session::Sessions,
};
use crate::{
    cli::{
        arguments::Names,
        session::{Link, MESSAGE_BYTES_MAX},
    },
    domain::{OperatorId, Role},
    grpc::Calls,
    page::{
        address::{Address, pairs},
        frame::{self, Shown, Tab, Who},
    },
};

/// A token is not looked at beyond this.
const TOKEN_BYTES_MAX: usize = 200;

/// Somebody who asks for a page.
pub struct Visitor {
    /// Calls made for them.
    pub calls: Calls,
    /// Settings.
    pub terms: Arc<Terms>,
    /// What they ask for.
    pub here: Address,
    session: Option<(Arc<Sessions>, String)>,
}

impl FromRequestParts<Site> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Response> {
        let id = cookie(&parts.headers, &site.terms);
        let token = id.as_ref().and_then(|id| site.sessions.bearer(id, Instant::now()));
        let calls = site.calls.on_behalf(&parts.extensions, token);
        let here = address(&parts.uri);
        let is_known = !site.terms.authenticate || calls.has_proof();
        let session = id.map(|id| (Arc::clone(&site.sessions), id));
        match is_known {
            true => Ok(Self { calls, terms: Arc::clone(&site.terms), here, session }),
            false if parts.method == Method::GET && session.is_some() => Err(over(&here, &site.terms)),
            // Whoever follows a link from elsewhere may be signed in all the same: the browser says so once this host
            // itself sends it here.
            false if parts.method == Method::GET && origin::is_from_elsewhere(&parts.headers) => {
                Err(html(StatusCode::OK, frame::onward(&here)))
            }
            false if parts.method == Method::GET => Err(see_other(&sign_in(&here))),
            false => Err(see_other(&Address::new("/sign-in"))),
        }
    }
}

/// Where to sign in once more, for a browser whose session is over.
fn over(here: &Address, terms: &Terms) -> Response {
    let to = sign_in(here).with("over", "1");
    ([(header::SET_COOKIE, forget(terms))], see_other(&to)).into_response()
}

/// Where to sign in, and go on from there.
fn sign_in(here: &Address) -> Address {
    let next = here.to_string();
    Address::new("/sign-in").with("next", if next == "/" { "" } else { &next })
}

impl Visitor {
    /// Somebody who says who they are, and asks for nothing yet.
    pub fn with(calls: Calls, terms: &Arc<Terms>) -> Self {
        Self { calls, terms: Arc::clone(terms), here: Address::new("/"), session: None }
    }

    /// Returns codes and operators by name, as the host goes by them.
    pub async fn names(&self) -> Result<Names, Refusal> {
        Ok(Names::of_link(self.link()).await?)
    }

    /// Returns their calls, as commands make them.
    pub fn link(&self) -> Link {
        BoxCloneSyncService::new(self.calls.clone().map_err(|never| -> Status { match never {} }))
    }

    /// A page, or why there is none.
    pub fn answer(&self, tab: Tab, shown: Result<Shown, Refusal>) -> Response {
        match shown {
            Ok(shown) => self.page(StatusCode::OK, tab, shown),
            Err(refusal) => self.refuse(tab, &refusal),
        }
    }

    /// A page with a status.
    pub fn page(&self, status: StatusCode, tab: Tab, shown: Shown) -> Response {
        html(status, frame::page(tab, &self.who(), &self.here, shown))
    }

    /// Why there is no page. Whoever is not known any more is asked to sign in.
    pub fn refuse(&self, tab: Tab, refusal: &Refusal) -> Response {
        if refusal.is_unknown() && self.terms.authenticate {
            self.session.iter().for_each(|(sessions, id)| sessions.end(id));
            return over(&self.here, &self.terms);
        }
        self.page(refusal.status, tab, refusal.shown())
    }

    fn who(&self) -> Who {
        match self.calls.caller() {
            _ if !self.terms.authenticate => Who::Local,
            None => Who::Nobody,
            Some(identity) => {
                let role = match identity.role {
                    Role::Operator(operator) => {
                        format!("operator {}", Names::builtin().operator(operator.get().into()))
                    }
                    role => role.name().to_owned(),
                };
                Who::Known { name: identity.name.clone(), role, by_cookie: self.session.is_some() }
            }
        }
    }

    /// Whether they may ask a question over the past, as far as the gate has said who they are: the gate has the last
    /// word.
    pub fn may_ask(&self) -> bool {
        self.calls.caller().is_some_and(|identity| matches!(identity.role, Role::Operator(_) | Role::Admin))
    }

    /// The operator that they are confined to.
    pub fn operator(&self) -> Option<OperatorId> {
        self.calls.caller().and_then(crate::domain::Identity::operator)
    }

    pub fn alerts(&self) -> AlertServiceClient<Calls> {
        AlertServiceClient::new(self.calls.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    pub fn counts(&self) -> CountServiceClient<Calls> {
        CountServiceClient::new(self.calls.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    pub fn rules(&self) -> RuleServiceClient<Calls> {
        RuleServiceClient::new(self.calls.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    pub fn trials(&self) -> TrialServiceClient<Calls> {
        TrialServiceClient::new(self.calls.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    pub fn devices(&self) -> DeviceServiceClient<Calls> {
        DeviceServiceClient::new(self.calls.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    pub fn reports(&self) -> ReportServiceClient<Calls> {
        ReportServiceClient::new(self.calls.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    pub fn what_ifs(&self) -> WhatIfServiceClient<Calls> {
        WhatIfServiceClient::new(self.calls.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }
}

/// What a form holds.
pub async fn form(request: Request) -> Result<Vec<(String, String)>, Refusal> {
    let bytes = to_bytes(request.into_body(), FORM_BYTES_MAX).await.map_err(|_| {
        let message = format!("The form was not received whole, or has more than {FORM_BYTES_MAX} bytes.");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message, "Write less into it.")
    })?;
    Ok(pairs(&bytes))
}

/// A field of a form, without what stands around it.
pub fn field(form: &[(String, String)], name: &str) -> String {
    form.iter().find(|(key, _)| key == name).map_or_else(String::new, |(_, value)| value.trim().to_owned())
}

/// What the id of a session is kept under. With TLS the name itself keeps others from setting it.
fn cookie_name(terms: &Terms) -> &'static str {
    if terms.is_secure { "__Host-weir" } else { "weir" }
}

/// Returns the id of the session that a browser says it is in.
pub fn cookie(headers: &HeaderMap, terms: &Terms) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, value)| *name == cookie_name(terms) && !value.is_empty()).map(|(_, value)| value.to_owned())
}

/// A token as calls carry it; nothing where no token looks like that.
pub fn bearer(token: &str) -> Option<HeaderValue> {
    let fits = token.len() <= TOKEN_BYTES_MAX && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| fits)?;
    value.set_sensitive(true);
    Some(value)
}

/// Has a browser keep the id of a session, out of reach of scripts and of other sites, until it is closed.
pub fn keep(id: &str, terms: &Terms) -> String {
    let secure = if terms.is_secure { "; Secure" } else { "" };
    format!("{}={id}; Path=/; HttpOnly; SameSite=Strict{secure}", cookie_name(terms))
}

/// Has a browser forget it.
pub fn forget(terms: &Terms) -> String {
    format!("{}; Max-Age=0", keep("", terms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Terms = Terms { authenticate: true, is_secure: false, list_alerts_max: 1 };

    #[test]
    fn a_cookie_is_found_among_others_and_has_the_marks_that_keep_it() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; xweir=2"));
        headers.append(header::COOKIE, HeaderValue::from_static("b=3;weir=weir_00; c"));
        assert_eq!(cookie(&headers, &OPEN).as_deref(), Some("weir_00"));
        let secure = Terms { is_secure: true, ..OPEN };
        assert_eq!(cookie(&headers, &secure), None, "one that was set without TLS counts for nothing with it");
        assert_eq!(keep("t", &secure), "__Host-weir=t; Path=/; HttpOnly; SameSite=Strict; Secure");
        assert_eq!(forget(&OPEN), "weir=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    }

    #[test]
    fn what_is_no_token_is_not_sent_on() {
        assert_eq!(bearer("weir_0a").unwrap(), "Bearer weir_0a");
        for wrong in ["a b", "a\r\nb", "\u{e9}", "a;b", &"x".repeat(201)] {
            assert!(bearer(wrong).is_none(), "{wrong:?}");
        }
    }
}
