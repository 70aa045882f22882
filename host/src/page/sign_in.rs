//! Saying who one is.
//!
//! It must not know a token. Invariant: what was typed is not shown again.

use maud::{Markup, html};

use super::frame::refused;

/// The form. `next` is where to go then, `why` what came of the last try.
pub(crate) fn body(next: &str, why: Option<&str>, is_protected: bool) -> Markup {
    html! {
        @if let Some(why) = why { (refused(why, "")) }
        form.ask method="post" action="/sign-in" {
            input type="hidden" name="next" value=(next);
            div.field {
                label for="token" { "Token" }
                input #token name="token" type="password" required maxlength="200" autocomplete="current-password" spellcheck="false" autofocus aria-describedby="token-help";
                small #token-help { "weir_ and 64 hex digits, as whoever keeps this host gave it to you" }
            }
            p { button.main type="submit" { "Sign in" } }
        }
        p.note {
            "The token is kept in a cookie of this browser until you sign out or close it. "
            "Whoever keeps the host makes tokens: " code { "weir token create NAME --role reader" } ". "
            "The first one is in the file first-admin-token in its data folder."
        }
        @if !is_protected {
            p.note { "This host is reached without TLS: sign in from the same machine or a network you trust." }
        }
    }
}
