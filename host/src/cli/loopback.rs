//! Plain http and what it may carry: secrets and alerts go unencrypted to this machine alone.
//!
//! Invariant: every name but `localhost` is another machine, whatever it resolves to.

use std::net::IpAddr;

use tonic::codegen::http::Uri;

/// True if a request to this URI stays on this machine: its host is `localhost` or a loopback address.
pub(super) fn is_loopback(uri: &Uri) -> bool {
    let Some(host) = uri.host() else { return false };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_localhost_and_loopback_addresses_are_this_machine() {
        let is = |uri: &str| is_loopback(&uri.parse().unwrap());
        for uri in
            ["http://localhost:7700", "http://LOCALHOST", "http://127.0.0.1:1/a", "http://127.9.9.9", "http://[::1]:1"]
        {
            assert!(is(uri), "{uri}");
        }
        for uri in [
            "http://10.0.0.1",
            "http://0.0.0.0:7700",
            "http://127.0.0.1.example.net/",
            "http://localhost.example.net",
            "http://localhost@example.net",
            "http://127.0.0.1:80@example.net",
            "http://[::ffff:127.0.0.1]:1",
            "/localhost",
        ] {
            assert!(!is(uri), "{uri}");
        }
    }
}
