//! What a shell and `man` are told of the commands: made from the commands themselves.
//!
//! It must not know what a command does. Invariant: every command that is not hidden is in both.

use std::{fs, io, path::PathBuf};

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Failure};

/// Options of `weir completions`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  weir completions bash > /etc/bash_completion.d/weir\n  weir completions zsh > ~/.zfunc/_weir\n  \
                  weir completions fish > ~/.config/fish/completions/weir.fish"
)]
pub(super) struct Completions {
    /// The shell that is to complete them.
    shell: Shell,
}

/// Options of `weir man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  weir man > weir.1\n  weir man --dir /usr/local/share/man/man1")]
pub(super) struct Man {
    /// Folder to write a page for each command to; without it the page of `weir` itself is printed.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints a shell's script.
pub(super) fn completions(args: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "weir", &mut script);
    write(&script)
}

/// Prints or writes the manual.
pub(super) fn man(args: &Man) -> Result<(), Failure> {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command())
            .render(&mut page)
            .map_err(|error| Failure::internal(error.to_string()))?;
        return write(&page);
    };
    let written = fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir));
    written.map_err(|error| Failure::usage(format!("--dir: {}: {error}", dir.display())))
}

fn write(text: &[u8]) -> Result<(), Failure> {
    io::Write::write_all(&mut io::stdout().lock(), text).map_err(|error| Failure::of_output(&error))
}
