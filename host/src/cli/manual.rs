//! What a shell and `man` are told of the commands: made from the commands themselves.
//!
//! It must not know what a command does. Invariant: every command that is not hidden is in both.

use std::{fs, io, path::PathBuf};

use clap::{Command, CommandFactory, builder::StyledStr};
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
    clap_complete::generate(args.shell, &mut commands(), "weir", &mut script);
    write(&script)
}

/// Prints or writes the manual.
pub(super) fn man(args: &Man) -> Result<(), Failure> {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(commands()).render(&mut page).map_err(|error| Failure::internal(error.to_string()))?;
        return write(&page);
    };
    fs::create_dir_all(dir).map_err(|error| Failure::of_folder(dir, &error).under("--dir"))?;
    clap_mangen::generate_to(commands(), dir)
        .map_err(|error| Failure::usage(format!("--dir: {}: {error}", dir.display())))
}

/// The commands that people type: without those that the program starts by itself, which completion would propose.
fn commands() -> Command {
    let all = Cli::command();
    let shown = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let text = |text: Option<&StyledStr>| text.cloned().unwrap_or_default();
    Command::new("weir")
        .version(env!("CARGO_PKG_VERSION"))
        .about(text(all.get_about()))
        .after_help(text(all.get_after_help()))
        .args(all.get_arguments())
        .subcommands(shown)
        .subcommand_required(true)
}

fn write(text: &[u8]) -> Result<(), Failure> {
    io::Write::write_all(&mut io::stdout().lock(), text).map_err(|error| Failure::of_output(&error))
}
