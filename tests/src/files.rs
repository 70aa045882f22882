//! Files that a command reads without a host, and what the command says of them.
//!
//! It must not know what is in a file.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

/// What a command printed as JSON, what it said, and how it ended.
pub struct Ran {
    /// A value a line.
    pub out: Vec<Value>,
    /// On stderr.
    pub said: String,
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
}

impl Ran {
    /// Takes what a command printed apart.
    pub fn of(output: std::process::Output) -> Self {
        let text = String::from_utf8(output.stdout).unwrap();
        let out = text.lines().map(|line| serde_json::from_str(line).unwrap_or(Value::Null)).collect();
        Self { out, said: String::from_utf8(output.stderr).unwrap(), code: output.status.code() }
    }

    /// Fails where it did not say all of some words.
    #[track_caller]
    pub fn says(&self, words: &[&str]) {
        for word in words {
            assert!(self.said.contains(word), "{word} is missing in\n{}", self.said);
        }
    }
}

/// Files in a folder, and commands that need no host.
pub struct Files {
    folder: tempfile::TempDir,
    binary: &'static str,
}

impl Files {
    /// An empty folder.
    pub fn new(binary: &'static str) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), binary }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file; gives its path as an argument of a command.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// What a dry run says of a file with these bytes.
    pub fn dry_run(&self, name: &str, bytes: impl AsRef<[u8]>, more: &[&str]) -> Ran {
        let file = self.file(name, bytes);
        let mut command = Command::new(self.binary);
        command.args(["alert", "send", &file, "--dry-run", "--local", "--json"]).args(more).stdin(Stdio::null());
        Ran::of(command.env("WEIR_TIME_ZONE", "Asia/Tokyo").output().unwrap())
    }

    /// The same; gives how many alerts, unreadable lines and alerts that would be rejected there are.
    pub fn counts(&self, name: &str, bytes: impl AsRef<[u8]>, more: &[&str]) -> ([u64; 3], Ran) {
        let ran = self.dry_run(name, bytes, more);
        let count = |name: &str| ran.out.first().and_then(|found| found[name].as_u64()).unwrap_or(u64::MAX);
        (["alert_count", "unreadable_count", "rejected_count"].map(count), ran)
    }

    /// The first time of occurrence that a dry run finds.
    pub fn first_time(&self, name: &str, bytes: impl AsRef<[u8]>, more: &[&str]) -> String {
        let ran = self.dry_run(name, bytes, more);
        assert_eq!(ran.code, Some(0), "{}", ran.said);
        ran.out[0]["by_code"][0]["first_occurred_at"].as_str().unwrap_or_default().to_owned()
    }
}
