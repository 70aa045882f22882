//! The folder of an export: a folder for each day, files in it under their final names only once all are whole.
//!
//! It must not know what is in a file. Invariants: whatever ends an export early, no file of it has a final name before
//! every one is whole; nothing is removed but files that an export has written.

use std::{
    fs::{self, File, TryLockError},
    io,
    ops::Range,
    path::{Path, PathBuf},
};

use jiff::civil::Date;

use crate::{cli::Failure, domain::Millis};

/// Where files are until they are whole. A reader that looks through the folder for Parquet finds none in it.
const UNFINISHED: &str = ".weir-export";

const DAY_MS: Millis = 86_400_000;

/// A day of UTC, as the number of days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day(i64);

impl Day {
    /// The day of a time.
    pub(super) fn of(ms: Millis) -> Self {
        Self(ms.div_euclid(DAY_MS))
    }

    /// The name of its folder, as Hive and all that read like it have it.
    fn name(self) -> String {
        let day = jiff::Timestamp::from_millisecond(self.0.saturating_mul(DAY_MS));
        let date = day.map(|time| jiff::tz::TimeZone::UTC.to_datetime(time).date().to_string());
        format!("day={}", date.unwrap_or_else(|_| self.0.to_string()))
    }

    /// The day of a folder's name.
    fn from_name(name: &str) -> Option<Self> {
        let date: Date = name.strip_prefix("day=")?.parse().ok()?;
        let start = jiff::tz::TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
        Some(Self::of(start.as_millisecond()))
    }
}

/// A folder that is exported to. While it lives, no other export writes there.
pub(super) struct Folder {
    path: PathBuf,
    /// The folder itself, locked.
    _lock: File,
    /// Files that are whole or will be: their day and number.
    parts: Vec<(Day, u32)>,
    /// Files that were there, of days that are exported.
    before: Vec<PathBuf>,
}

impl Folder {
    /// Makes it, where it is not there. Files of days of a period that are there are refused, unless they are to be
    /// replaced.
    pub(super) fn open(path: &Path, period: &Range<Millis>, overwrite: bool) -> Result<Self, Failure> {
        let failed = |error| failed(path, &error);
        fs::create_dir_all(path).map_err(|error| Failure::of_folder(path, &error).under("--parquet"))?;
        let lock = File::open(path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!("--parquet: another export writes to {}", path.display());
                return Err(Failure::usage(message).with_hint("wait for it, or name another folder"));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let before = files_of(path, period).map_err(failed)?;
        let folder = Self { path: path.to_owned(), _lock: lock, parts: Vec::new(), before };
        if let Some(file) = folder.before.first().filter(|_| !overwrite) {
            let message = format!("--parquet: {} is there already, of a day that is exported", file.display());
            return Err(Failure::usage(message)
                .with_hint("give --overwrite to replace all days of the period, or name another folder"));
        }
        fs::create_dir_all(path.join(UNFINISHED)).map_err(failed)?;
        // What an export left that was killed.
        folder.clear().map_err(failed)?;
        Ok(folder)
    }

    /// Begins a file of a day.
    pub(super) fn create(&mut self, day: Day, number: u32) -> io::Result<File> {
        let file = File::create(self.unfinished(day, number))?;
        self.parts.push((day, number));
        Ok(file)
    }

    /// Gives all files their final names, in place of those that were there. Gives how many there are.
    pub(super) fn publish(self) -> Result<usize, Failure> {
        let failed = |error| failed(&self.path, &error);
        for file in &self.before {
            fs::remove_file(file).map_err(failed)?;
        }
        for (day, number) in &self.parts {
            let folder = self.path.join(day.name());
            fs::create_dir_all(&folder).map_err(failed)?;
            fs::rename(self.unfinished(*day, *number), folder.join(part_name(*number))).map_err(failed)?;
        }
        // Of a day of which there is nothing any more no folder stays, unless something else is in it.
        for folder in self.before.iter().filter_map(|file| file.parent()) {
            let _ = fs::remove_dir(folder);
        }
        Ok(self.parts.len())
    }

    fn unfinished(&self, day: Day, number: u32) -> PathBuf {
        self.path.join(UNFINISHED).join(format!("{}-{}.unfinished", day.name(), part_name(number)))
    }

    /// Removes what is not whole.
    fn clear(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.path.join(UNFINISHED))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "unfinished") {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next export.
        if self.clear().is_ok() {
            let _ = fs::remove_dir(self.path.join(UNFINISHED));
        }
    }
}

fn part_name(number: u32) -> String {
    format!("part-{number}.parquet")
}

/// Whether an export gives a file this name.
fn is_part(name: &str) -> bool {
    let number = name.strip_prefix("part-").and_then(|rest| rest.strip_suffix(".parquet"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Files of exports that are in the folders of a period's days.
fn files_of(path: &Path, period: &Range<Millis>) -> io::Result<Vec<PathBuf>> {
    let (first, last) = (Day::of(period.start), Day::of(period.end.saturating_sub(1)));
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let day = entry.file_name().to_str().and_then(Day::from_name);
        if day.is_none_or(|day| day < first || day > last) || !entry.path().is_dir() {
            continue;
        }
        for file in fs::read_dir(entry.path())? {
            let file = file?;
            if file.file_name().to_str().is_some_and(is_part) {
                files.push(file.path());
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("--parquet: {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const NOON: Millis = 1_795_392_000_000 + DAY_MS / 2;

    fn period() -> Range<Millis> {
        NOON - DAY_MS..NOON
    }

    fn names(path: &Path) -> Vec<String> {
        let mut names = Vec::new();
        for day in fs::read_dir(path).unwrap().map(Result::unwrap) {
            for file in fs::read_dir(day.path()).unwrap().map(Result::unwrap) {
                names.push(format!("{}/{}", day.file_name().display(), file.file_name().display()));
            }
        }
        names.sort_unstable();
        names
    }

    fn export(path: &Path, overwrite: bool, days: &[(Millis, u32)]) -> Folder {
        let mut folder = Folder::open(path, &period(), overwrite).unwrap();
        for (ms, number) in days {
            folder.create(Day::of(*ms), *number).unwrap().write_all(b"x").unwrap();
        }
        folder
    }

    #[test]
    fn files_have_their_names_once_all_are_whole_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        drop(export(path, false, &[(NOON, 0), (NOON, 1)]));
        assert!(names(path).is_empty(), "{:?}", names(path));
        assert_eq!(export(path, false, &[(NOON, 0), (NOON, 1), (NOON - DAY_MS, 0)]).publish().unwrap(), 3);
        let expected =
            ["day=2026-11-22/part-0.parquet", "day=2026-11-23/part-0.parquet", "day=2026-11-23/part-1.parquet"];
        assert_eq!(names(path), expected);
    }

    #[test]
    fn files_of_the_same_days_are_replaced_only_if_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        export(path, false, &[(NOON, 0), (NOON, 1), (NOON - DAY_MS, 0)]).publish().unwrap();
        let kept = ["day=2026-11-20/part-0.parquet", "day=2026-11-22/notes.txt"];
        fs::create_dir(path.join("day=2026-11-20")).unwrap();
        kept.iter().for_each(|name| fs::write(path.join(name), "x").unwrap());
        let refused = Folder::open(path, &period(), false).err().unwrap();
        assert!(refused.message.contains("day=2026-11-22/part-0.parquet is there already"), "{}", refused.message);
        export(path, true, &[(NOON, 0)]).publish().unwrap();
        assert_eq!(names(path), [kept[0], kept[1], "day=2026-11-23/part-0.parquet"]);
        export(path, true, &[]).publish().unwrap();
        assert_eq!(names(path), kept);
        assert!(!path.join("day=2026-11-23").exists());
    }

    #[test]
    fn two_exports_do_not_write_to_one_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = export(folder.path(), false, &[(NOON, 0)]);
        let refused = Folder::open(folder.path(), &period(), false).err().unwrap();
        assert!(refused.message.contains("another export writes to"), "{}", refused.message);
        assert_eq!(first.publish().unwrap(), 1);
        export(folder.path(), true, &[]).publish().unwrap();
    }
}
