//! `weir plugin build`: a rule's package compiled to a component.
//!
//! It must not know how: `weir-build` does. Invariant: what is built would pass the checks of an upload as far as they
//! are about its form.

use std::path::PathBuf;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use weir_build::{Toolchain, Way, build_package};

use crate::{
    cli::{
        Failure, Session,
        table::{Table, Value},
    },
    domain::Digest,
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The package's folder.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Where cargo keeps what it compiles. The package's own target folder if not given.
    #[arg(long, value_name = "DIR")]
    target_dir: Option<PathBuf>,
}

/// What was built.
#[derive(Debug, Serialize)]
struct Component {
    name: String,
    file: String,
    digest: String,
    size_bytes: u64,
}

pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let toolchain = Way::from_environment_as_is().and_then(Toolchain::find);
    let toolchain = toolchain.map_err(|error| several_lines(&format!("{error:#}")))?;
    if !args.folder.join("Cargo.toml").is_file() {
        let message = format!("{}: there is no Cargo.toml in this folder", args.folder.display());
        return Err(Failure::usage(message).with_hint("name a rule's package; `weir plugin new` makes one"));
    }
    let built = build_package(&toolchain, &args.folder, args.target_dir.as_deref());
    let built = built.map_err(|error| several_lines(&format!("{}: {error:#}", args.folder.display())))?;
    let component = Component {
        name: built.name,
        file: built.path.display().to_string(),
        digest: Digest(Sha256::digest(&built.component).into()).to_string(),
        size_bytes: built.component.len() as u64,
    };
    session.show(&component, |component| {
        Table::facts([
            ("plugin", Value::text(&component.name)),
            ("file", Value::text(&component.file)),
            ("digest", Value::text(&component.digest)),
            ("bytes", Value::Number(component.size_bytes)),
        ])
    })
}

/// The first line as the message, what follows as the way out.
fn several_lines(text: &str) -> Failure {
    match text.split_once('\n') {
        Some((first, rest)) => Failure::usage(first).with_hint(rest),
        None => Failure::usage(text),
    }
}
