//! A Python with packages from outside, for tests of what people write in it.
//!
//! It must not know what is run. Invariant: an environment is made once, and used only if it was made whole.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A Python that has these packages, made once under a folder that cargo gives tests; where there is no Python, or it
/// cannot be given them, why.
pub fn with(name: &str, packages: &[&str], folder: &str) -> Result<PathBuf, String> {
    let folder = Path::new(folder).join(name);
    let (python, made) = (folder.join("bin/python"), folder.join("made"));
    if !made.exists() {
        run(Path::new("python3"), &["-m", "venv", "--clear", &folder.to_string_lossy()])?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
        let patience = ["--timeout", "10", "--retries", "1"];
        run(&python, &[&pip[..], &patience, packages].concat())?;
        fs::write(made, "").map_err(|error| error.to_string())?;
    }
    Ok(python)
}

fn run(program: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{} {arguments:?}: {said}", program.display())) }
}
