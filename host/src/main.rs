//! The program `weir`: arguments in, exit code out.
//!
//! It must not know what a command does. Invariant: 0 is success, 64 a mistake of the caller, 69 a server that cannot
//! be reached, 70 a fault of ours.

use std::process::ExitCode;

use weir_host::cli::{self, Cli, Failure};

fn main() -> ExitCode {
    let cli = match Cli::asked() {
        Ok(cli) => cli,
        Err(error) => {
            // There is nobody left to tell when even this cannot be printed.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Failure::USAGE } else { 0 });
        }
    };
    match cli::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprint!("{failure}");
            ExitCode::from(failure.exit)
        }
    }
}
