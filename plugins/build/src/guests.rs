//! From a Rust package to a component: compile, wrap, check, write.
//!
//! It must not know how a toolchain is found. Invariant: whoever builds holds the lock, so two build scripts at once
//! neither fight nor see half a file.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use wit_component::{ComponentEncoder, DecodedWasm};
use wit_parser::WorldItem;

use crate::{Toolchain, Way, bounded, say, toolchain, workspace};

/// What every rule exports: see `wit/rule.wit`.
const EXPORTS: [&str; 3] = ["describe", "check", "evaluate"];

/// How long one guest may take to compile, the standard library included.
const BUILD_LIMIT: std::time::Duration = std::time::Duration::from_secs(1800);

/// A component on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// Its package's name without `weir-rule-` or `weir-guest-`.
    pub name: String,
    /// The component.
    pub path: PathBuf,
}

/// Builds packages of the workspace into `target/plugins`, by the way that `WEIR_GUEST_TOOLCHAIN` leaves open.
pub fn build(packages: &[&str]) -> Result<Vec<Guest>> {
    let plugins = workspace().join("target/plugins");
    let _lock = lock()?;
    let toolchain = Toolchain::find(Way::from_environment()?)?;
    build_locked(&toolchain, packages, &plugins)
}

/// Builds packages of the workspace with a toolchain into a folder.
pub fn build_with(toolchain: &Toolchain, packages: &[&str], folder: &Path) -> Result<Vec<Guest>> {
    let _lock = lock()?;
    build_locked(toolchain, packages, folder)
}

/// Installing and compiling happens once at a time; the lock goes with the file.
fn lock() -> Result<File> {
    let target = workspace().join("target");
    let path = target.join("guests.lock");
    fs::create_dir_all(&target).with_context(|| format!("cannot make {}", target.display()))?;
    let file = File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

fn build_locked(toolchain: &Toolchain, packages: &[&str], folder: &Path) -> Result<Vec<Guest>> {
    if !toolchain.target_dir().exists() {
        let minutes = match toolchain {
            Toolchain::Rustup { .. } => "about a minute",
            Toolchain::Debian { .. } => "some minutes, as the standard library comes along",
        };
        say(&format!("guests are compiled for the first time: {minutes}"));
    }
    let guest = |package: &&str| {
        let core = compile(toolchain, package)?;
        let component = wrap(&core).with_context(|| format!("{package} cannot be made a component"))?;
        let name = guest_name(package).to_owned();
        let path = folder.join(format!("{name}.wasm"));
        write_if_changed(&path, &component)?;
        Ok(Guest { name, path })
    };
    packages.iter().map(guest).collect()
}

fn guest_name(package: &str) -> &str {
    package.strip_prefix("weir-rule-").or_else(|| package.strip_prefix("weir-guest-")).unwrap_or(package)
}

/// Compiles one package to a core module and reads it.
fn compile(toolchain: &Toolchain, package: &str) -> Result<Vec<u8>> {
    let target_dir = toolchain.target_dir();
    let mut cargo = toolchain.compile(&workspace(), "guest", &target_dir);
    cargo.args(["--locked", "--quiet", "--package", package]);
    run(cargo, package)?;
    read_core(&target_dir, "guest", package)
}

/// Lets cargo compile.
pub(crate) fn run(mut cargo: Command, package: &str) -> Result<()> {
    let status = bounded(&mut cargo, BUILD_LIMIT).with_context(|| format!("{cargo:?}"))?;
    ensure!(status.success(), "{package} does not compile: see above");
    Ok(())
}

/// The core module that cargo made of a library.
pub(crate) fn read_core(target_dir: &Path, profile: &str, library: &str) -> Result<Vec<u8>> {
    let file = library.replace('-', "_") + ".wasm";
    let path = target_dir.join(toolchain::TARGET).join(profile).join(file);
    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Makes a component of a core module, and checks that it is a rule.
pub(crate) fn wrap(core: &[u8]) -> Result<Vec<u8>> {
    let component = ComponentEncoder::default().validate(true).module(core)?.encode()?;
    let (resolve, world) = match wit_component::decode(&component)? {
        DecodedWasm::Component(resolve, world) => (resolve, world),
        DecodedWasm::WitPackage(..) => bail!("it holds interfaces, but no code"),
    };
    let exports: Vec<_> = resolve.worlds[world].exports.keys().map(|key| resolve.name_world_key(key)).collect();
    for wanted in EXPORTS {
        ensure!(
            exports.iter().any(|export| export == wanted),
            "it does not export {wanted}: does `weir::export!(...)` stand in its lib.rs?"
        );
    }
    imported_interfaces(&component)?;
    Ok(component)
}

/// The interfaces a component imports. They must hold types only: an imported function is an error that names it.
pub fn imported_interfaces(component: &[u8]) -> Result<Vec<String>> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else {
        bail!("it holds interfaces, but no code")
    };
    let mut interfaces = Vec::new();
    for (key, item) in &resolve.worlds[world].imports {
        let name = resolve.name_world_key(key);
        let function = match item {
            WorldItem::Interface { id, .. } => resolve.interfaces[*id].functions.keys().next(),
            WorldItem::Function(function) => Some(&function.name),
            WorldItem::Type { .. } => continue,
        };
        if let Some(function) = function {
            bail!("it imports the function {function} ({name}); a rule has nothing but its arguments");
        }
        interfaces.push(name);
    }
    Ok(interfaces)
}

/// A new file is put in place in one step, so a reader sees the old one or the new one.
pub(crate) fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let new = path.with_extension(format!("new-{}", std::process::id()));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&new, bytes))
        .and_then(|()| fs::rename(&new, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Copies a component to where a build script keeps its own.
pub(crate) fn copy_to(guest: &Guest, folder: &Path) -> Result<PathBuf> {
    let path = folder.join(format!("{}.wasm", guest.name));
    let bytes = fs::read(&guest.path).with_context(|| format!("cannot read {}", guest.path.display()))?;
    write_if_changed(&path, &bytes)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_named_after_its_package() {
        assert_eq!(guest_name("weir-rule-threshold"), "threshold");
        assert_eq!(guest_name("weir-guest-hostile"), "hostile");
        assert_eq!(guest_name("my-own"), "my-own");
    }

    #[test]
    fn a_file_is_written_only_when_its_bytes_differ() {
        let folder = std::env::temp_dir().join(format!("weir-build-{}", std::process::id()));
        let path = folder.join("deep/guest.wasm");
        write_if_changed(&path, b"one").unwrap();
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        write_if_changed(&path, b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written);
        write_if_changed(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        fs::remove_dir_all(folder).unwrap();
    }

    /// What a crate without `weir::export!` compiles to: a module with nothing in it.
    #[test]
    fn a_module_without_the_exports_is_refused_with_the_way_out() {
        let error = wrap(b"\0asm\x01\0\0\0").unwrap_err().to_string();
        assert!(error.contains("weir::export!"), "{error}");
    }

    /// A module that wants a function `f` of `env`, as one that calls into C would.
    #[test]
    fn a_module_that_imports_a_function_is_refused_by_its_name() {
        let module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x09\x01\x03env\x01f\0\0";
        let error = format!("{:#}", wrap(module).unwrap_err());
        assert!(error.contains("env"), "{error}");
    }
}
