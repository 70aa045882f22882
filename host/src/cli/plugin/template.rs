//! The files of a new rule's package: a small rule that works, its tests, a sample, and the SDK it is written with.
//!
//! It must not know where they are written. Invariant: the package needs nothing but crates.io, and no crate in another
//! version than this program was built with, so where this program was built no network is needed either.

/// One file: its path in the package and its text.
pub(super) struct File {
    /// Relative, with `/`.
    pub(super) path: &'static str,
    /// What is in it.
    pub(super) text: String,
}

/// Which crate versions this program was built with. Cargo takes those it needs and drops the rest.
const LOCK: &str = include_str!("../../../../Cargo.lock");

/// How the SDK names the folder of the contract, and where that lies in the package.
const WIT: [&str; 2] = ["\"../../wit\"", "\"wit\""];

/// The package's own files.
const OWN: [(&str, &str); 10] = [
    (".gitignore", include_str!("template/gitignore")),
    ("Cargo.toml", include_str!("template/Cargo.toml")),
    ("README.md", include_str!("template/README.md")),
    ("parameters.json", include_str!("template/parameters.json")),
    ("parameters.schema.json", include_str!("template/parameters.schema.json")),
    ("sample.csv", include_str!("template/sample.csv")),
    ("src/lib.rs", include_str!("template/lib.rs")),
    ("src/tests.rs", include_str!("template/tests.rs")),
    ("sdk/Cargo.toml", include_str!("template/sdk.Cargo.toml")),
    ("sdk/wit/rule.wit", include_str!("../../../../wit/rule.wit")),
];

/// The SDK's sources.
const SDK: [(&str, &str); 9] = [
    ("sdk/src/alert.rs", include_str!("../../../../plugins/sdk/src/alert.rs")),
    ("sdk/src/columns.rs", include_str!("../../../../plugins/sdk/src/columns.rs")),
    ("sdk/src/columns/tests.rs", include_str!("../../../../plugins/sdk/src/columns/tests.rs")),
    ("sdk/src/guest.rs", include_str!("../../../../plugins/sdk/src/guest.rs")),
    ("sdk/src/lib.rs", include_str!("../../../../plugins/sdk/src/lib.rs")),
    ("sdk/src/parameters.rs", include_str!("../../../../plugins/sdk/src/parameters.rs")),
    ("sdk/src/rule.rs", include_str!("../../../../plugins/sdk/src/rule.rs")),
    ("sdk/src/state.rs", include_str!("../../../../plugins/sdk/src/state.rs")),
    ("sdk/src/testing.rs", include_str!("../../../../plugins/sdk/src/testing.rs")),
];

/// All files of a package of this name.
pub(super) fn files(name: &str) -> Vec<File> {
    let own = OWN.iter().map(|(path, text)| {
        let text = text.replace("{{name}}", name).replace("{{version}}", env!("CARGO_PKG_VERSION"));
        File { path, text }
    });
    let sdk = SDK.iter().map(|(path, text)| File { path, text: text.replace(WIT[0], WIT[1]) });
    let lock = File { path: "Cargo.lock", text: LOCK.to_owned() };
    own.chain(sdk).chain([lock]).collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn workspace() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    /// Paths below a folder.
    fn below(folder: &Path) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(inner) = folders.pop() {
            for entry in fs::read_dir(inner).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => drop(found.insert(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned())),
                }
            }
        }
        found
    }

    #[test]
    fn the_sdk_is_whole() {
        let written: BTreeSet<String> =
            SDK.iter().filter_map(|(path, _)| path.strip_prefix("sdk/src/").map(str::to_owned)).collect();
        assert_eq!(written, below(&workspace().join("plugins/sdk/src")));
        let mentions = SDK.iter().filter(|(_, text)| text.contains(WIT[0])).map(|(path, _)| *path);
        assert_eq!(mentions.collect::<Vec<_>>(), ["sdk/src/guest.rs"]);
    }

    /// The lines that begin with the name of a crate, as the workspace and as the templates have them.
    #[test]
    fn crates_are_asked_for_as_the_workspace_does() {
        let lines = |text: &str| -> Vec<String> {
            let crates = ["serde ", "serde_json ", "serde_path_to_error ", "wit-bindgen "];
            let wanted = text.lines().filter(|line| crates.iter().any(|name| line.starts_with(name)));
            wanted.map(str::to_owned).collect()
        };
        let own = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
        let own = lines(&own);
        assert_eq!(own.len(), 4);
        for (path, text) in OWN {
            let asked = lines(text);
            assert!(asked.iter().all(|line| own.contains(line)), "{path}: {asked:?} where the workspace has {own:?}");
        }
        let theirs = OWN.iter().find(|(path, _)| *path == "sdk/Cargo.toml").unwrap().1;
        let dependencies = fs::read_to_string(workspace().join("plugins/sdk/Cargo.toml")).unwrap();
        let inherited = dependencies.lines().filter_map(|line| line.strip_suffix(".workspace = true"));
        for name in inherited.filter(|name| own.iter().any(|line| line.starts_with(&format!("{name} ")))) {
            assert!(theirs.contains(&format!("\n{name} = ")), "{name}");
        }
    }

    #[test]
    fn the_name_stands_where_it_belongs() {
        let files = files("quiet-volts");
        assert!(files.iter().all(|file| !file.text.contains("{{name}}") && !file.text.contains("{{version}}")));
        let manifest = files.iter().find(|file| file.path == "Cargo.toml").unwrap();
        assert!(manifest.text.contains("name = \"quiet-volts\""), "{}", manifest.text);
    }
}
