//! `weir plugin new`: a package to write a rule in.
//!
//! It must not know what is in the files. Invariant: nothing that is there already is overwritten.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::template::{self, File};
use crate::cli::{
    Failure, Session,
    table::{Table, Value},
};

/// Bytes of a name: those of a rule's.
const NAME_BYTES_MAX: usize = 64;

/// Packages that the rule depends on, or that rustc takes for its own.
const TAKEN: [&str; 8] = ["weir", "serde", "wit-bindgen", "std", "core", "alloc", "test", "proc-macro"];

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The folder: a new one, or an empty one.
    folder: PathBuf,
    /// Name of the plugin and its package: lower-case letters, digits and single hyphens. The folder's if not given.
    #[arg(long)]
    name: Option<String>,
}

/// What was made.
#[derive(Debug, Serialize)]
struct Made {
    name: String,
    folder: String,
    files: Vec<&'static str>,
}

pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let Args { folder, name } = args;
    let name = match name {
        Some(name) => name,
        None => name_of(&folder)?,
    };
    check(&name)?;
    make_empty(&folder)?;
    let files = template::files(&name);
    for file in &files {
        write(&folder, file).map_err(|error| unusable(&folder.join(file.path), &error))?;
    }
    let made =
        Made { name, folder: folder.display().to_string(), files: files.into_iter().map(|file| file.path).collect() };
    session.show(&made, facts)?;
    if !session.json {
        eprintln!("next: cd {}, then cargo test, then weir plugin build; see its README.md", made.folder);
    }
    Ok(())
}

/// The folder's own name, also of `.`.
fn name_of(folder: &Path) -> Result<String, Failure> {
    let whole = std::path::absolute(folder).map_err(|error| unusable(folder, &error))?;
    let name = whole.components().next_back().map(|last| last.as_os_str().to_string_lossy().into_owned());
    name.ok_or_else(|| {
        Failure::usage(format!("{}: this folder has no name", folder.display())).with_hint("give --name")
    })
}

fn check(name: &str) -> Result<(), Failure> {
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let shaped = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.split('-').all(word);
    let wrong = match name {
        _ if name.len() > NAME_BYTES_MAX => format!("has more than {NAME_BYTES_MAX} characters"),
        _ if !shaped => {
            "is not of lower-case letters, digits and single hyphens between them, a letter first".to_owned()
        }
        _ if TAKEN.contains(&name) => "is the name of a crate that the rule needs".to_owned(),
        _ => return Ok(()),
    };
    let shown: String = name.chars().take(NAME_BYTES_MAX).collect();
    Err(Failure::usage(format!("name: {shown:?} {wrong}")).with_hint("give another by --name, like --name my-rule"))
}

fn make_empty(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure::of_folder(folder, &error))?;
    let mut entries = fs::read_dir(folder).map_err(|error| unusable(folder, &error))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(Failure::usage(format!("{}: this folder is not empty", folder.display()))
            .with_hint("name a new folder; nothing was written")),
    }
}

fn write(folder: &Path, file: &File) -> io::Result<()> {
    let path = folder.join(file.path);
    fs::create_dir_all(path.parent().unwrap_or(folder))?;
    fs::write(path, &file.text)
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}

fn facts(made: &Made) -> Table {
    let (sdk, own): (Vec<&str>, Vec<&str>) = made.files.iter().partition(|path| path.starts_with("sdk/"));
    Table::facts([
        ("plugin", Value::text(&made.name)),
        ("folder", Value::text(&made.folder)),
        ("files", Value::text(own.join(", "))),
        ("sdk", Value::text(format!("{} files under sdk/", sdk.len()))),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_must_fit_a_plugin_and_a_package() {
        for name in ["my-rule", "match", "a1-2b"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for (name, part) in [
            ("My-Rule", "lower-case"),
            ("my_rule", "lower-case"),
            ("2nd", "lower-case"),
            ("", "lower-case"),
            ("a--b", "lower-case"),
            ("serde", "a crate that the rule needs"),
            (&*"a".repeat(65), "more than 64"),
        ] {
            let failure = check(name).unwrap_err();
            assert!(failure.message.starts_with("name: ") && failure.message.contains(part), "{failure}");
        }
    }

    #[test]
    fn a_folder_that_is_in_use_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(make_empty(folder.path()), Ok(()));
        fs::write(folder.path().join("mine"), "").unwrap();
        let failure = make_empty(folder.path()).unwrap_err();
        assert!(failure.message.ends_with("this folder is not empty"), "{failure}");
    }
}
