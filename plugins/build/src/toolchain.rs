//! Finds a way to compile for `wasm32-unknown-unknown` on this machine, and gets what is missing.
//!
//! Tried in this order, each step said on stderr:
//!
//! 1. The Rust in use has the target, or Debian's of step 3 is there from an earlier time: nothing to do.
//! 2. rustup adds the target. Its server may be out of reach, so it is given a limited time.
//! 3. Debian, as root: apt installs a second Rust under `/usr/bin` with the sources of its standard library, which is
//!    then compiled along with the guests. Many networks let a distribution's mirror through and nothing else.
//! 4. An error that says what to install.
//!
//! It must not know what is compiled. Invariant: the two toolchains never share a target directory.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{bounded, isolated, say, workspace};

/// What guests are compiled for: a target without any system interface.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Where Debian puts its Rust. rustup's may stand before it in PATH.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// How long rustup may take before it counts as out of reach.
const RUSTUP_LIMIT: Duration = Duration::from_secs(90);
/// How long apt may take: some 200 MB over a slow line.
const APT_LIMIT: Duration = Duration::from_secs(1200);

/// Which ways may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// All, in order.
    Any,
    /// What is there, and rustup's help; nothing is installed on the system unasked.
    AsIs,
    /// The Rust in use, with rustup's help.
    Rustup,
    /// Debian's packages.
    Debian,
}

/// A Rust that can compile guests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toolchain {
    /// The Rust in use; it has the target.
    Rustup {
        /// Its cargo.
        cargo: OsString,
        /// Its rustc.
        rustc: OsString,
    },
    /// Debian's Rust under `/usr/bin`, which compiles the standard library itself.
    Debian {
        /// A linker for WebAssembly.
        linker: PathBuf,
    },
}

impl Way {
    /// As `WEIR_GUEST_TOOLCHAIN` has it: `rustup`, `debian`, or unset for any.
    pub fn from_environment() -> Result<Self> {
        match env::var("WEIR_GUEST_TOOLCHAIN").unwrap_or_default().as_str() {
            "" => Ok(Self::Any),
            "rustup" => Ok(Self::Rustup),
            "debian" => Ok(Self::Debian),
            other => bail!("WEIR_GUEST_TOOLCHAIN: expected rustup, debian or nothing, found {other:?}"),
        }
    }

    /// The same, but apt is asked only where `debian` was.
    pub fn from_environment_as_is() -> Result<Self> {
        let way = Self::from_environment()?;
        Ok(if way == Self::Any { Self::AsIs } else { way })
    }
}

impl Toolchain {
    /// Finds a toolchain, installing what is missing.
    pub fn find(way: Way) -> Result<Self> {
        let mut tried = Vec::new();
        if way != Way::Debian
            && let Some(in_use) = Self::in_use()
        {
            return Ok(in_use);
        }
        // What apt installed earlier is there at once; rustup would be asked, and waited for, at every build.
        if matches!(way, Way::Any | Way::AsIs)
            && let Some(debian) = Self::debian_if_installed()
        {
            return Ok(debian);
        }
        if way != Way::Debian {
            match Self::rustup() {
                Ok(toolchain) => return Ok(toolchain),
                Err(error) => tried.push(error),
            }
        }
        if matches!(way, Way::Any | Way::Debian) {
            match Self::debian() {
                Ok(toolchain) => return Ok(toolchain),
                Err(error) => tried.push(error),
            }
        }
        let tried: Vec<_> = tried.iter().map(|error| format!("  - {error:#}")).collect();
        bail!(
            "found no way to compile guests for {TARGET}:\n{}\n\
             Install it by one of:\n  \
             rustup target add {TARGET}\n  \
             apt-get install {} lld   (Debian 12 or later, as root)",
            tried.join("\n"),
            DEBIAN_PACKAGES.join(" ")
        )
    }

    /// Debian's toolchain if all of it is there already.
    pub fn debian_if_installed() -> Option<Self> {
        debian_sources().ok()?;
        Some(Self::Debian { linker: wasm_linker()? })
    }

    /// Where it keeps what it compiled, under the workspace's target directory.
    pub fn target_dir(&self) -> PathBuf {
        self.target_dir_in(&workspace().join("target"))
    }

    /// Where it keeps what it compiled, under a target directory.
    pub(crate) fn target_dir_in(&self, target: &Path) -> PathBuf {
        target.join(match self {
            Self::Rustup { .. } => "guests-rustup",
            Self::Debian { .. } => "guests-debian",
        })
    }

    /// Its cargo in a folder, compiling a library with a profile to a core module. More arguments may follow.
    pub(crate) fn compile(&self, folder: &Path, profile: &str, target_dir: &Path) -> Command {
        let mut command = self.cargo(folder);
        // As `cdylib` alone: rustc optimises across crates (lto) only where no rlib is asked for beside it.
        command.args(["rustc", "--lib", "--crate-type", "cdylib", "--profile", profile, "--target", TARGET]);
        command.arg("--target-dir").arg(target_dir);
        if let Self::Debian { .. } = self {
            command.args(["-Z", "build-std=std,panic_abort"]);
        }
        command
    }

    /// Its cargo in a folder.
    pub(crate) fn cargo(&self, folder: &Path) -> Command {
        let mut command = match self {
            Self::Rustup { cargo, .. } => isolated(cargo),
            Self::Debian { .. } => isolated(DEBIAN_CARGO),
        };
        command.current_dir(folder);
        match self {
            Self::Rustup { rustc, .. } => command.env("RUSTC", rustc),
            Self::Debian { linker } => command
                .env("RUSTC", DEBIAN_RUSTC)
                // Compiling the standard library along is not stable; it is the very compiler the library belongs to.
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
                .env("PATH", debian_path())
                // Both name rustup's toolchain, and its libraries would be loaded into Debian's compiler.
                .env_remove("RUSTUP_TOOLCHAIN")
                .env_remove("LD_LIBRARY_PATH"),
        };
        command
    }

    /// The Rust in use, if it has the target. Cargo names itself and its compiler to what it runs; else they are found
    /// in PATH.
    fn in_use() -> Option<Self> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        has_target(&rustc).then_some(Self::Rustup { cargo, rustc })
    }

    fn rustup() -> Result<Self> {
        let limit_s = RUSTUP_LIMIT.as_secs();
        say(&format!("the Rust in use lacks {TARGET}; rustup is asked to add it (at most {limit_s} s)"));
        let status = bounded(isolated("rustup").args(["target", "add", TARGET]), RUSTUP_LIMIT);
        let status = status.with_context(|| format!("rustup target add {TARGET}"))?;
        ensure!(status.success(), "rustup target add {TARGET} failed: {status}");
        Self::in_use().with_context(|| format!("rustup added {TARGET}, but not to the Rust in use"))
    }

    fn debian() -> Result<Self> {
        if let Err(missing) = debian_sources() {
            say(&format!("{missing:#}; apt is asked to install {}", DEBIAN_PACKAGES.join(", ")));
            apt_install(&DEBIAN_PACKAGES)?;
            debian_sources().context("Debian's Rust, after its packages were installed")?;
        }
        if wasm_linker().is_none() {
            say("there is no linker for WebAssembly; apt is asked to install lld");
            apt_install(&["lld"])?;
        }
        let linker = wasm_linker().context("found neither rust-lld nor wasm-ld, although lld was installed")?;
        Ok(Self::Debian { linker })
    }
}

/// What a program prints, or why it does not.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{:?} cannot be run", command.get_program()))?;
    let failure = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{:?} failed: {}", command.get_program(), failure.trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether a compiler is there and has the target's standard library. It names the folder whether that exists or not.
fn has_target(rustc: &OsString) -> bool {
    let folder = output_of(isolated(rustc).args(["--print", "target-libdir", "--target", TARGET]));
    let entries = folder.ok().and_then(|folder| fs::read_dir(folder).ok());
    entries.into_iter().flatten().flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libcore-") && name.ends_with(".rlib")
    })
}

/// Fails with what is missing of Debian's Rust: a new enough compiler, cargo, the standard library's sources.
fn debian_sources() -> Result<()> {
    ensure!(Path::new(DEBIAN_CARGO).exists(), "there is no {DEBIAN_CARGO}");
    let rustc = || {
        let mut command = isolated(DEBIAN_RUSTC);
        command.env_remove("LD_LIBRARY_PATH");
        command
    };
    let version = output_of(rustc().arg("--version"))?;
    let wanted = env!("CARGO_PKG_RUST_VERSION");
    ensure!(is_at_least(&version, wanted), "{DEBIAN_RUSTC} is {version}, older than {wanted}");
    let sysroot = output_of(rustc().args(["--print", "sysroot"]))?;
    let sources = Path::new(&sysroot).join("lib/rustlib/src/rust/library/std/Cargo.toml");
    ensure!(sources.exists(), "{DEBIAN_RUSTC} is without the sources of its standard library");
    Ok(())
}

/// Compares `rustc 1.96.0 (...)` with `1.95`.
fn is_at_least(version: &str, wanted: &str) -> bool {
    let numbers = |text: &str| -> Vec<u32> { text.split('.').map_while(|part| part.parse().ok()).collect() };
    let found = version.split(' ').nth(1).map(numbers).unwrap_or_default();
    found >= numbers(wanted)
}

/// `/usr/bin` first, or cargo would run rustup's compiler.
fn debian_path() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(PathBuf::from("/usr/bin")).chain(env::split_paths(&path));
    env::join_paths(folders).unwrap_or_else(|_| "/usr/bin:/bin".into())
}

/// A linker for WebAssembly: the one beside the Rust in use, or one of LLVM's.
fn wasm_linker() -> Option<PathBuf> {
    let sysroots = ["rustc", DEBIAN_RUSTC].iter().filter_map(|rustc| {
        let sysroot = output_of(isolated(rustc).args(["--print", "sysroot"])).ok()?;
        Some(PathBuf::from(sysroot).join("lib/rustlib"))
    });
    let of_rust = sysroots.flat_map(|folder| folders_in(&folder)).map(|host| host.join("bin/rust-lld"));
    let of_llvm = folders_in(Path::new("/usr/lib"))
        .into_iter()
        .filter(|folder| folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("llvm-")));
    let of_llvm = of_llvm.map(|folder| folder.join("bin/wasm-ld"));
    of_rust.chain(std::iter::once("/usr/bin/wasm-ld".into())).chain(of_llvm).find(|linker| linker.exists())
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    folders.sort();
    folders
}

/// Has apt install packages.
pub(crate) fn apt_install(packages: &[&str]) -> Result<()> {
    ensure!(Path::new("/etc/debian_version").exists(), "this is not Debian");
    ensure!(output_of(isolated("id").arg("-u"))? == "0", "apt needs root");
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(packages);
    for arguments in [&["update"][..], &install] {
        let mut apt = isolated("apt-get");
        let status = bounded(apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"), APT_LIMIT);
        let status = status.with_context(|| format!("apt-get {}", arguments.join(" ")))?;
        ensure!(status.success(), "apt-get {} failed: {status}", arguments.join(" "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(is_at_least("rustc 1.96.0 (ac68faa20 2026-05-25)", "1.95"));
        assert!(is_at_least("rustc 1.95.0", "1.95"));
        assert!(is_at_least("rustc 1.100.0-nightly (x)", "1.95"));
        assert!(!is_at_least("rustc 1.63.0 (x)", "1.95"));
        assert!(!is_at_least("rustc 1.9.0", "1.95"));
        assert!(!is_at_least("", "1.95"));
    }
}
