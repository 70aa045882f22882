//! The browser that the page is tested in, and getting it where it is missing.
//!
//! It must not know what is tested. Invariant: nothing is installed unless this is Debian and the user is root.

use std::{env, path::Path};

use anyhow::Result;

use crate::{isolated, say, toolchain};

/// What is run, and the packages that have it.
const PROGRAMS: [&str; 2] = ["chromium", "chromedriver"];
const PACKAGES: [&str; 2] = ["chromium", "chromium-driver"];

/// Sees to it that there is one; false where there is none and none can be installed, which is said.
pub fn ensure_browser() -> Result<bool> {
    if is_there() {
        return Ok(true);
    }
    let is_root = toolchain::output_of(isolated("id").arg("-u")).is_ok_and(|id| id == "0");
    if !Path::new("/etc/debian_version").exists() || !is_root {
        say("there is no chromium with chromedriver, and none is installed: this is not Debian, or not root");
        return Ok(false);
    }
    say("there is no chromium with chromedriver; apt is asked to install them");
    toolchain::apt_install(&PACKAGES)?;
    Ok(is_there())
}

fn is_there() -> bool {
    let folders = env::var_os("PATH").unwrap_or_default();
    PROGRAMS.iter().all(|name| env::split_paths(&folders).any(|folder| folder.join(name).is_file()))
}
