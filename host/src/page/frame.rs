//! What every served page has around what it shows: where one can go, who one is, and what is asked again by itself.
//!
//! It must not know what a page shows. Invariant: nothing here needs a script; what is live can be loaded again by hand.

use maud::{DOCTYPE, Markup, html};

use super::{CELL_CHARS_MAX, address::Address, assets::ASSETS};
use crate::cli::view::clean;

/// The parts of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tab {
    Levels,
    Rules,
    WhatIfs,
    Devices,
    Reports,
    SignIn,
}

impl Tab {
    const LISTED: [(Self, &'static str, &'static str); 5] = [
        (Self::Levels, "/", "Levels"),
        (Self::Rules, "/rules", "Rules"),
        (Self::WhatIfs, "/what-ifs", "What-ifs"),
        (Self::Devices, "/devices", "Devices"),
        (Self::Reports, "/reports", "Reports"),
    ];
}

/// Who looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Who {
    /// Not known, or not yet.
    #[default]
    Nobody,
    /// Somebody of a host that asks nobody.
    Local,
    /// Somebody with a name.
    Known {
        name: String,
        /// In words.
        role: String,
        /// By a cookie, that can be given back.
        by_cookie: bool,
    },
}

/// What is asked again by itself.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) every_s: u32,
    /// What is said to whoever cannot see it change.
    pub(crate) said: String,
    /// When this changes it is said at once.
    pub(crate) stage: &'static str,
}

/// What is in the frame.
pub(crate) struct Shown {
    pub(crate) title: String,
    /// What stays as it is.
    pub(crate) head: Markup,
    /// What may change by itself.
    pub(crate) body: Markup,
    /// What stays as it is, below.
    pub(crate) foot: Markup,
    pub(crate) live: Option<Live>,
}

impl Shown {
    /// Something that stays as it is.
    pub(crate) fn still(title: impl Into<String>, body: Markup) -> Self {
        Self { title: title.into(), head: html! {}, body, foot: html! {}, live: None }
    }
}

/// A whole page.
pub(crate) fn page(tab: Tab, who: &Who, here: &Address, shown: Shown) -> String {
    let Shown { title, head, body, foot, live } = shown;
    let title = clean(&title, CELL_CHARS_MAX);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " - Weir" }
                link rel="icon" href=(ASSETS.icon.path) type="image/svg+xml";
                link rel="stylesheet" href=(ASSETS.style.path);
                @if live.is_some() { script src=(ASSETS.script.path) defer {} }
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                (header(tab, who))
                main #content {
                    h1 { (title) }
                    (head)
                    @if let Some(live) = &live {
                        div.live {
                            span #live-state { "As of when it was loaded. " a href=(here) { "Load it again" } }
                            span #live-said role="status" aria-live="polite" {}
                        }
                        div #live data-every=(live.every_s) data-said=(live.said) data-stage=(live.stage) { (body) }
                    } @else { (body) }
                    (foot)
                }
                footer.site { "Weir " (env!("CARGO_PKG_VERSION")) ". Times are UTC." }
            }
        }
    };
    page.into_string()
}

fn header(tab: Tab, who: &Who) -> Markup {
    html! {
        header.site {
            div {
                a.brand href="/" { img src=(ASSETS.icon.path) alt="" width="24" height="24"; "Weir" }
                nav aria-label="Parts" {
                    @for (listed, path, name) in Tab::LISTED {
                        a href=(path) aria-current=[(listed == tab).then_some("page")] { (name) }
                    }
                }
                div.who { (signed(tab, who)) }
            }
        }
    }
}

fn signed(tab: Tab, who: &Who) -> Markup {
    match who {
        Who::Nobody if tab == Tab::SignIn => html! {},
        Who::Nobody => html! { a href="/sign-in" { "Sign in" } },
        Who::Local => html! { span { "This host asks nobody who they are" } },
        Who::Known { name, role, by_cookie } => html! {
            span { strong { (clean(name, 64)) } ", " (role) }
            @if *by_cookie {
                form.inline method="post" action="/sign-out" { button type="submit" { "Sign out" } }
            }
        },
    }
}

/// A page that goes on to another by itself: to the same one, once a browser sends what it keeps for this host alone.
pub(crate) fn onward(to: &Address) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="refresh" content=(format!("0; url={to}"));
                title { "Weir" }
                link rel="icon" href=(ASSETS.icon.path) type="image/svg+xml";
            }
            body { p { a href=(to) { "Go on" } } }
        }
    };
    page.into_string()
}

/// What could not be done, why, and the way out.
pub(crate) fn refused(message: &str, hint: &str) -> Markup {
    html! {
        div.refused role="alert" {
            p { (clean(message, CELL_CHARS_MAX)) }
            @if !hint.is_empty() { p { (hint) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_escaped_and_says_where_it_is_and_who_looks() {
        let hostile = "</title><script>x</script>";
        let who = Who::Known { name: hostile.into(), role: "reader".into(), by_cookie: true };
        let here = Address::new("/rules").with("x", hostile);
        let live = Some(Live { every_s: 5, said: hostile.into(), stage: "running" });
        let shown = Shown { live, ..Shown::still(hostile, refused(hostile, "")) };
        let page = page(Tab::Rules, &who, &here, shown);
        assert_eq!(page.matches("<script").count(), 1, "its own: {page}");
        assert!(page.contains("<a href=\"/rules\" aria-current=\"page\">Rules</a>"), "{page}");
        assert!(page.contains("action=\"/sign-out\"") && page.contains("data-every=\"5\""));
        assert!(!page.contains("style=") && !page.contains("onclick"), "the policy would not let it");
        assert!(!onward(&here).contains("<script"));
    }
}
