//! What a run of `cargo test` says, read line by line for what failed and how to run it again.
//!
//! It must not know how tests are run. Invariant: a target that failed is named, even if none of its tests is: it may have
//! been killed, or not compiled.

use std::fmt;

/// One thing that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The arguments of `cargo test` that choose its target.
    target: String,
    /// Its test; empty where the target as a whole failed.
    test: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, test } = self;
        write!(f, "cargo test --workspace {target}")?;
        if test.is_empty() { Ok(()) } else { write!(f, " -- --exact '{test}'") }
    }
}

/// What failed so far.
#[derive(Debug, Default)]
pub struct Failures {
    found: Vec<Failure>,
    /// The target that runs.
    target: String,
    /// Failures that were found before that target ran.
    found_before: usize,
}

impl Failures {
    /// Reads one line of what cargo and the tests say.
    pub fn read(&mut self, line: &str) {
        let line = line.trim();
        if let Some(what) = line.strip_prefix("Running ") {
            self.begin(target_of(what));
        } else if line.starts_with("Doc-tests ") {
            self.begin("--doc".to_owned());
        } else if let Some(test) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            let test = test.strip_suffix(" - should panic").unwrap_or(test).to_owned();
            self.found.push(Failure { target: self.target.clone(), test });
        } else if let Some(rest) = line.strip_prefix("error: ").and_then(|rest| rest.split_once("to rerun pass `")) {
            // Without a test to its name, the target ended otherwise.
            if self.found.len() == self.found_before {
                let target = rest.1.trim_end_matches('`');
                // Of one package alone, dependencies would be built with other features.
                let target =
                    target.split_once("-p ").map_or(target, |(_, rest)| rest.split_once(' ').unwrap_or((rest, "")).1);
                self.found.push(Failure { target: target.to_owned(), test: String::new() });
                self.found_before = self.found.len();
            }
        }
    }

    /// All that failed, in the order it ran.
    pub fn into_found(self) -> Vec<Failure> {
        self.found
    }

    fn begin(&mut self, target: String) {
        self.target = target;
        self.found_before = self.found.len();
    }
}

/// The arguments for what cargo says is running, like `unittests src/lib.rs (target/debug/deps/weir_host-0123)`.
fn target_of(running: &str) -> String {
    let (source, program) = running.split_once(" (").unwrap_or((running, ""));
    let program = program.trim_end_matches(')').rsplit('/').next().unwrap_or_default();
    let name = program.rsplit_once('-').map_or(program, |(name, _)| name);
    match source.strip_prefix("unittests ") {
        Some(source) if source.ends_with("lib.rs") => "--lib".to_owned(),
        // A program's file has underscores where its name has hyphens, and cargo's patterns take either.
        Some(_) => format!("--bin '{}'", name.replace('_', "?")),
        None => format!("--test {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(said: &str) -> Vec<String> {
        let mut failures = Failures::default();
        said.lines().for_each(|line| failures.read(line));
        failures.into_found().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_failed_test_is_named_with_its_target() {
        let said = "\
     Running unittests src/lib.rs (target/debug/deps/weir_host-06d3f1)
test store::tests::it_reads ... ok
test whatif::patterns::tests::they_add_up ... FAILED
error: test failed, to rerun pass `-p weir-host --lib`
     Running unittests src/main.rs (target/debug/deps/weir_under_test-97a1)
test it_starts ... FAILED
     Running tests/books.rs (target/debug/deps/books-a81f)
test it_balances - should panic ... FAILED
test it_adds_up ... FAILED
error: test failed, to rerun pass `-p weir-tests --test books`
     Running tests/whatif/main.rs (target/debug/deps/whatif-b2)
test difference::none ... FAILED
   Doc-tests weir
test plugins/sdk/src/lib.rs - (line 7) ... FAILED
";
        assert_eq!(
            found(said),
            [
                "cargo test --workspace --lib -- --exact 'whatif::patterns::tests::they_add_up'",
                "cargo test --workspace --bin 'weir?under?test' -- --exact 'it_starts'",
                "cargo test --workspace --test books -- --exact 'it_balances'",
                "cargo test --workspace --test books -- --exact 'it_adds_up'",
                "cargo test --workspace --test whatif -- --exact 'difference::none'",
                "cargo test --workspace --doc -- --exact 'plugins/sdk/src/lib.rs - (line 7)'",
            ]
        );
    }

    #[test]
    fn a_target_that_was_killed_is_named_without_a_test() {
        let said = "\
     Running tests/books.rs (target/debug/deps/books-a81f)
test it_balances ... ok
error: test failed, to rerun pass `-p weir-tests --test books`
Caused by:
  process didn't exit successfully: `target/debug/deps/books-a81f` (signal: 6, SIGABRT: process abort signal)
     Running tests/crash.rs (target/debug/deps/crash-a81f)
error: 1 target failed:
    `-p weir-tests --test books`
";
        assert_eq!(found(said), ["cargo test --workspace --test books"]);
    }
}
