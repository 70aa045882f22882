//! From a rule author's own package, wherever it lies, to a component.
//!
//! It must not know this workspace. Invariant: the component is put in place whole, or the one of an earlier build stays.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    Toolchain,
    guests::{read_core, run, wrap, write_if_changed},
    toolchain::output_of,
};

/// A component made of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The package's name.
    pub name: String,
    /// The component's file, in the package's folder.
    pub path: PathBuf,
    /// The component.
    pub component: Vec<u8>,
}

/// What cargo says of a package.
struct Package {
    name: String,
    /// Its library's name.
    library: String,
    /// Where cargo puts what it makes of it.
    target: PathBuf,
}

/// Builds the package in `folder` and puts the component beside its Cargo.toml. What cargo makes on the way goes under
/// `target`, or where the package has it.
pub fn build_package(toolchain: &Toolchain, folder: &Path, target: Option<&Path>) -> Result<Built> {
    let manifest = folder.join("Cargo.toml");
    let manifest = manifest.canonicalize().with_context(|| format!("cannot read {}", manifest.display()))?;
    let folder = manifest.parent().unwrap_or(folder);
    let Package { name, library, target: own } = Package::of(toolchain, &manifest, folder)?;
    let target = match target {
        Some(target) => std::path::absolute(target).with_context(|| format!("{} is no folder", target.display()))?,
        None => own,
    };
    let target_dir = toolchain.target_dir_in(&target);
    run(toolchain.compile(folder, "release", &target_dir), &name)?;
    let core = read_core(&target_dir, "release", &library)?;
    let component = wrap(&core).with_context(|| format!("{name} cannot be made a component"))?;
    let path = folder.join(format!("{name}.wasm"));
    write_if_changed(&path, &component)?;
    Ok(Built { name, path, component })
}

impl Package {
    fn of(toolchain: &Toolchain, manifest: &Path, folder: &Path) -> Result<Self> {
        let mut cargo = toolchain.cargo(folder);
        cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata: Value = serde_json::from_str(&output_of(&mut cargo)?).context("cargo metadata")?;
        Self::find(&metadata, manifest)
    }

    fn find(metadata: &Value, manifest: &Path) -> Result<Self> {
        let package = list(&metadata["packages"])
            .find(|package| package["manifest_path"].as_str().is_some_and(|path| Path::new(path) == manifest))
            .with_context(|| format!("{} is no package's, but perhaps a workspace's", manifest.display()))?;
        let name = package["name"].as_str().context("cargo metadata names no package")?;
        let kinds = |target: &Value| -> Vec<String> {
            list(&target["kind"]).filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let is_library =
            |target: &&Value| kinds(target).iter().any(|kind| ["cdylib", "lib", "rlib"].contains(&&**kind));
        let library = list(&package["targets"]).find(is_library).and_then(|target| target["name"].as_str());
        let library = library.with_context(|| format!("{name} has no library: a rule stands in src/lib.rs"))?;
        let target = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
        Ok(Self { name: name.to_owned(), library: library.to_owned(), target: target.into() })
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_package_is_found_by_its_manifest() {
        let package = |name: &str, kind: &str| {
            let target = json!({"name": name.replace('-', "_"), "kind": [kind]});
            json!({"name": name, "manifest_path": format!("/w/{name}/Cargo.toml"), "targets": [target]})
        };
        let metadata = json!({
            "packages": [package("sdk", "lib"), package("my-rule", "cdylib"), package("tool", "bin")],
            "target_directory": "/w/target",
        });
        let find = |name: &str| Package::find(&metadata, &Path::new("/w").join(name).join("Cargo.toml"));
        let Package { name, library, target } = find("my-rule").unwrap();
        assert_eq!((&*name, &*library, &*target), ("my-rule", "my_rule", Path::new("/w/target")));
        let error = |name: &str| find(name).err().unwrap().to_string();
        assert_eq!(error("tool"), "tool has no library: a rule stands in src/lib.rs");
        assert_eq!(error("other"), "/w/other/Cargo.toml is no package's, but perhaps a workspace's");
    }
}
