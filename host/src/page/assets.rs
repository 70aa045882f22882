//! What pages load beside themselves: a style sheet, a script and a picture, compiled into the program.
//!
//! It must not know who asks. Invariant: a path has the digest of its content, so what a browser kept under it is what it
//! would be given again.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use super::STYLE;

/// Where they are.
pub(crate) const FOLDER: &str = "/assets/";

/// One of them.
pub(crate) struct Asset {
    pub(crate) path: String,
    pub(crate) kind: &'static str,
    pub(crate) content: &'static str,
}

/// All of them.
pub(crate) struct Assets {
    pub(crate) style: Asset,
    pub(crate) script: Asset,
    pub(crate) icon: Asset,
}

/// They are what they are.
pub(crate) static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    static WHOLE_STYLE: LazyLock<String> = LazyLock::new(|| format!("{STYLE}{}", include_str!("web.css")));
    Assets {
        style: asset("style", "css", "text/css; charset=utf-8", &WHOLE_STYLE),
        script: asset("page", "js", "text/javascript; charset=utf-8", include_str!("web.js")),
        icon: asset("icon", "svg", "image/svg+xml", include_str!("icon.svg")),
    }
});

impl Assets {
    /// The one that is at a path.
    pub(crate) fn at(&self, path: &str) -> Option<&Asset> {
        [&self.style, &self.script, &self.icon].into_iter().find(|asset| asset.path == path)
    }
}

fn asset(name: &str, extension: &str, kind: &'static str, content: &'static str) -> Asset {
    let digest = Sha256::digest(content.as_bytes());
    let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Asset { path: format!("{FOLDER}{name}.{digest}.{extension}"), kind, content }
}

#[cfg(test)]
mod tests {
    use super::ASSETS;

    #[test]
    fn each_is_found_at_its_own_path_alone() {
        for asset in [&ASSETS.style, &ASSETS.script, &ASSETS.icon] {
            assert!(ASSETS.at(&asset.path).is_some_and(|found| found.content == asset.content));
        }
        assert!(ASSETS.at("/assets/style.css").is_none() && ASSETS.at("").is_none());
    }

    /// What the policy of the pages would not let a browser do.
    #[test]
    fn nothing_is_asked_of_elsewhere() {
        for asset in [&ASSETS.style, &ASSETS.script, &ASSETS.icon] {
            let content = asset.content.replace("http://www.w3.org/2000/svg", "");
            assert!(!content.contains("http:") && !content.contains("https:") && !content.contains("@import"));
            assert!(!content.contains("eval(") && !content.contains("url("));
        }
    }
}
