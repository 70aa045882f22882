//! From what was found, or why nothing was, to an answer for a browser.
//!
//! It must not know what was asked for. Invariant: what is said of a refusal is text of bounded length, and says what to
//! do about it.

use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tonic::{Code, Status};

use crate::page::{
    address::Address,
    frame::{self, Shown, Tab, Who, refused},
};

/// Why something is not shown.
#[derive(Debug)]
pub struct Refusal {
    pub status: StatusCode,
    pub message: String,
    pub hint: &'static str,
}

impl Refusal {
    /// With what to do about it.
    pub fn new(status: StatusCode, message: String, hint: &'static str) -> Self {
        Self { status, message, hint }
    }

    /// Something in the address or a form cannot be.
    pub fn wrong(name: &str, why: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("{name}: {why}"), "Mend it in the address, or choose again.")
    }

    /// There is none.
    pub fn absent(message: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, message, "It may have gone, or not be yours to see. Choose from the list.")
    }

    /// Nobody is known by what was shown.
    pub fn is_unknown(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }

    fn title(&self) -> &'static str {
        match self.status {
            StatusCode::NOT_FOUND => "Nothing here",
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => "Not yours to see",
            StatusCode::BAD_REQUEST | StatusCode::URI_TOO_LONG | StatusCode::PAYLOAD_TOO_LARGE => "That cannot be",
            StatusCode::TOO_MANY_REQUESTS => "Too much at once",
            _ => "It did not work",
        }
    }

    /// As what is in a page.
    pub fn shown(&self) -> Shown {
        Shown::still(self.title(), refused(&self.message, self.hint))
    }

    /// As a page for nobody in particular.
    pub fn plain(&self) -> Response {
        html(self.status, frame::page(Tab::SignIn, &Who::Nobody, &Address::new("/"), self.shown()))
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let (code, hint) = match status.code() {
            Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "Sign in."),
            Code::PermissionDenied => {
                (StatusCode::FORBIDDEN, "Sign in with a token in another role, or ask whoever keeps this host for one.")
            }
            Code::NotFound => {
                (StatusCode::NOT_FOUND, "It may have gone, or not be yours to see. Choose from the list.")
            }
            Code::InvalidArgument | Code::OutOfRange => (StatusCode::BAD_REQUEST, "Mend it, and try again."),
            Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => (StatusCode::CONFLICT, ""),
            Code::ResourceExhausted => (StatusCode::TOO_MANY_REQUESTS, "Ask for less, or a little later."),
            Code::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "The host is not ready, or stops. Try again shortly.")
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "The host's log says more."),
        };
        Self::new(code, status.message().to_owned(), hint)
    }
}

/// A page.
pub fn html(status: StatusCode, page: String) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], page).into_response()
}

/// Somewhere else, to be got from there.
pub fn see_other(address: &Address) -> Response {
    let Ok(location) = HeaderValue::from_str(&address.to_string()) else {
        return Refusal::wrong("address", "has a character that none has").plain();
    };
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// Whatever is not served.
pub async fn nothing_here(_: Request) -> Response {
    Refusal::new(StatusCode::NOT_FOUND, "There is no such page.".to_owned(), "Choose a part above.").plain()
}
