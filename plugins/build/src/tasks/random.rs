//! The tests whose cases follow from a seed, run again and again with seeds that nobody chose.
//!
//! It must not know what they test. Invariant: a seed is printed before it is used, and the first that fails ends the run.

use std::{
    collections::{BTreeSet, hash_map::RandomState},
    fs,
    hash::BuildHasher,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use weir_build::{Toolchain, Way, workspace};

use super::{cargo, exit_code, failures::Failures, say, watched::watched};

/// What the tests that were written by hand take their seed from, and what property tests do.
const SEED_VARIABLES: [&str; 2] = ["WEIR_SEED", "PROPTEST_RNG_SEED"];

/// Where such tests are.
const FOLDERS: [&str; 2] = ["host/src", "tests/tests"];

/// Seeds lie below this, so that they are easily typed.
const SEEDS: u64 = 1_000_000_000;

/// How often the tests run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rounds {
    /// With new seeds until the time is up.
    For(Duration),
    /// Once, with this seed.
    Once(u64),
}

impl Rounds {
    /// Reads the arguments after `--random`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn of_arguments(arguments: &[&str]) -> Result<Self, String> {
        match arguments {
            [] => Ok(Self::For(Duration::from_hours(1))),
            ["--hours", hours] => {
                match hours.parse::<f64>().ok().map(|hours| Duration::try_from_secs_f64(hours * 3_600.0)) {
                    Some(Ok(time)) => Ok(Self::For(time)),
                    _ => Err(format!("--hours takes a number like 2 or 0.5, found {hours:?}")),
                }
            }
            ["--seed", seed] => {
                seed.parse().map(Self::Once).map_err(|_| format!("--seed takes a whole number, found {seed:?}"))
            }
            other => Err(format!("test --random takes --hours N or --seed N, found {other:?}")),
        }
    }
}

/// Runs every test that has a seed, with random ones.
pub fn run(rounds: Rounds) -> Result<ExitCode> {
    Toolchain::find(Way::from_environment()?)?;
    let seeded = Seeded::find(&workspace())?;
    say(&format!("{} tests of {} targets take a seed", seeded.tests.len(), seeded.targets.len()));
    let begun = Instant::now();
    let mut round = 0;
    loop {
        round += 1;
        let seed = match rounds {
            Rounds::Once(seed) => seed,
            Rounds::For(_) => RandomState::new().hash_one(round) % SEEDS,
        };
        say(&format!("round {round}, seed {seed}, after {} minutes", begun.elapsed().as_secs() / 60));
        let mut command = cargo();
        command.args(["test", "--workspace", "--no-fail-fast"]).args(&seeded.targets).arg("--").args(&seeded.tests);
        command.envs(SEED_VARIABLES.map(|variable| (variable, seed.to_string())));
        let mut failures = Failures::default();
        let status = watched(command, &mut |line| failures.read(line))?;
        if !status.success() {
            say(&format!(
                "FAILED in round {round}; `cargo xtask test --random --seed {seed}` runs it again, and one test alone"
            ));
            for failure in failures.into_found() {
                say(&format!("  {} {failure}", SEED_VARIABLES.map(|variable| format!("{variable}={seed}")).join(" ")));
            }
            return Ok(exit_code(status));
        }
        match rounds {
            Rounds::For(time) if begun.elapsed() < time => {}
            _ => break,
        }
    }
    say(&format!("{round} rounds passed in {} minutes", begun.elapsed().as_secs() / 60));
    Ok(ExitCode::SUCCESS)
}

/// The tests that have a seed.
#[derive(Debug, Default)]
struct Seeded {
    /// Arguments that name their targets.
    targets: BTreeSet<String>,
    /// Their names.
    tests: BTreeSet<String>,
}

impl Seeded {
    /// Finds them in the sources: the tests of every file that takes a seed.
    fn find(workspace: &Path) -> Result<Self> {
        let mut found = Self::default();
        for folder in FOLDERS {
            found.look_in(&workspace.join(folder), if folder == "tests/tests" { None } else { Some("--lib") })?;
        }
        Ok(found)
    }

    /// Looks through a folder. Without a target, each file or folder in it is one.
    fn look_in(&mut self, folder: &Path, target: Option<&str>) -> Result<()> {
        let failed = || format!("{} cannot be read", folder.display());
        for entry in fs::read_dir(folder).with_context(failed)? {
            let path = entry.with_context(failed)?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let target = target.map_or_else(|| format!("--test={name}"), str::to_owned);
            if path.is_dir() {
                self.look_in(&path, Some(&target))?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                self.look_at(&fs::read_to_string(&path).with_context(failed)?, target);
            }
        }
        Ok(())
    }

    fn look_at(&mut self, source: &str, target: String) {
        let is_call = |at: usize| !source[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
        if !source.contains("proptest! {") && !source.match_indices("seed(").any(|(at, _)| is_call(at)) {
            return;
        }
        let after_mark = source.split("#[test]").skip(1);
        let names = after_mark.filter_map(|after| after.trim_start().strip_prefix("fn ")?.split_once('('));
        for (name, _) in names {
            self.tests.insert(name.to_owned());
            self.targets.insert(target.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_say_how_long_or_with_which_seed() {
        let time = |seconds| Ok(Rounds::For(Duration::from_secs(seconds)));
        assert_eq!(Rounds::of_arguments(&[]), time(3_600));
        assert_eq!(Rounds::of_arguments(&["--hours", "0.5"]), time(1_800));
        assert_eq!(Rounds::of_arguments(&["--seed", "7"]), Ok(Rounds::Once(7)));
        for wrong in [&["--hours"][..], &["--hours", "-1"], &["--hours", "x"], &["--seed", "0.5"], &["--fast"]] {
            assert!(Rounds::of_arguments(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn tests_with_a_seed_are_found() {
        let found = Seeded::find(&workspace()).unwrap();
        for target in ["--lib", "--test=books", "--test=crash", "--test=whatif"] {
            assert!(found.targets.contains(target), "{target}");
        }
        for test in ["it_is_a_map", "no_change_is_no_difference", "group_sizes_do_not_matter"] {
            assert!(found.tests.contains(test), "{test}");
        }
        assert!(!found.targets.contains("--test=tidy"), "{:?}", found.targets);
    }
}
