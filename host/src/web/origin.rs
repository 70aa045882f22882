//! Whether a request comes from this page, or from one of elsewhere that has a browser send it.
//!
//! It must not know what is asked for. Invariant: where a browser does not say, the answer is no.

use std::net::IpAddr;

use axum::http::{HeaderMap, Uri, header};

/// Under which name the host was asked, with its port.
pub fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    // HTTP/2 has it in the address.
    let authority = uri.authority().map(axum::http::uri::Authority::as_str);
    authority.or_else(|| headers.get(header::HOST)?.to_str().ok())
}

/// Whether nobody could have this name lead here: what is no name, and the one that is this machine's by itself.
/// Otherwise a page of elsewhere could be loaded under its own name, have the name changed to lead here, and read what
/// it likes.
pub fn is_no_borrowed_name(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

/// Whether what changes something was sent by a form of this page, as far as the browser says.
pub fn is_own_form(headers: &HeaderMap, host: Option<&str>, is_secure: bool) -> bool {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let scheme = if is_secure { "https" } else { "http" };
    let own = host.map(|host| format!("{scheme}://{host}"));
    let site = header("sec-fetch-site");
    // A browser that says both must say yes twice.
    let by_site = site.map(|site| site == "same-origin");
    let by_origin = header("origin").map(|origin| own.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(origin)));
    match (by_site, by_origin) {
        (None, None) => false,
        (by_site, by_origin) => by_site.unwrap_or(true) && by_origin.unwrap_or(true),
    }
}

/// Whether somebody followed a link of another site: a browser then keeps to itself what is for this one alone.
pub fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_name_may_be_borrowed_and_a_number_may_not() {
        for own in ["127.0.0.1:7700", "127.0.0.1", "localhost:7700", "LOCALHOST", "[::1]:7700", "10.1.2.3:80"] {
            assert!(is_no_borrowed_name(own), "{own}");
        }
        for other in
            ["evil.example:7700", "localhost.evil.example", "127.0.0.1.evil.example:7700", "", "[::1", "0x7f.1"]
        {
            assert!(!is_no_borrowed_name(other), "{other}");
        }
    }

    #[test]
    fn a_form_of_elsewhere_is_none_of_ours() {
        let asked = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            is_own_form(&headers, Some("127.0.0.1:7700"), false)
        };
        assert!(asked(&[("sec-fetch-site", "same-origin"), ("origin", "http://127.0.0.1:7700")]));
        assert!(asked(&[("origin", "http://127.0.0.1:7700")]) && asked(&[("sec-fetch-site", "same-origin")]));
        for wrong in [
            &[][..],
            &[("origin", "null")],
            &[("origin", "http://127.0.0.1:7701")],
            &[("origin", "https://127.0.0.1:7700")],
            &[("origin", "http://evil.example")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:7700")],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "same-origin"), ("origin", "http://evil.example")],
        ] {
            assert!(!asked(wrong), "{wrong:?}");
        }
        assert!(!is_own_form(&HeaderMap::new(), None, true));
    }
}
