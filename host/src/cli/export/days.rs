//! Rows by the day of their receipt, as they come: into files of groups of rows.
//!
//! It must not know what is in a row. Invariants: however the rows come, so many are held and so many files are open;
//! each row is written once.

use std::collections::BTreeMap;

use weir_proto::v1;

use super::{
    columns::{Format, Part, Row, Texts},
    folder::{Day, Folder},
    places::Place,
};
use crate::{cli::Failure, domain::LabelKey};

/// What bounds the memory of an export.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Rows of a group: what a reader decodes at a time.
    pub(super) group_rows: usize,
    /// Rows that wait for their group to be full, of all days.
    pub(super) held_rows: usize,
    /// Bytes of the texts that they share.
    pub(super) text_bytes: usize,
    /// Files that are open.
    pub(super) open_files: usize,
}

impl Bounds {
    /// A hundred megabytes or so.
    pub(super) const USUAL: Self =
        Self { group_rows: 122_880, held_rows: 4 * 122_880, text_bytes: 32 << 20, open_files: 64 };
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Days of which there is a row.
    pub(super) days: usize,
    /// Length of their files.
    pub(super) bytes: u64,
    /// Rows of alerts that passed on.
    pub(super) forwarded: u64,
    /// Rows of alerts that a rule held back.
    pub(super) suppressed: u64,
    /// Rows of alerts that had been seen before.
    pub(super) duplicate: u64,
}

/// All days of an export.
pub(super) struct Days {
    folder: Folder,
    format: Format,
    bounds: Bounds,
    texts: Texts,
    days: BTreeMap<Day, OneDay>,
    held_rows: usize,
    /// Groups that were written: the time of this module.
    groups: u64,
    written: Written,
}

#[derive(Default)]
struct OneDay {
    rows: Vec<Row>,
    open: Option<Part>,
    /// Files that were begun.
    parts: u32,
    /// When a group of it was written last.
    last: u64,
}

impl Days {
    /// None yet, in files with these labels.
    pub(super) fn new(folder: Folder, bounds: Bounds, labels: &[LabelKey]) -> Result<Self, Failure> {
        let format = Format::new(labels).map_err(failed)?;
        let (texts, days, written) = (Texts::default(), BTreeMap::new(), Written::default());
        Ok(Self { folder, format, bounds, texts, days, held_rows: 0, groups: 0, written })
    }

    /// Takes an alert.
    pub(super) fn take(&mut self, alert: v1::LoggedAlert, place: &Place<'_>) -> Result<(), Failure> {
        *match alert.outcome() {
            v1::Outcome::Forwarded => &mut self.written.forwarded,
            v1::Outcome::Suppressed => &mut self.written.suppressed,
            _ => &mut self.written.duplicate,
        } += 1;
        let row = Row::new(alert, place, &mut self.texts);
        let day = Day::of(row.received_at_ms());
        let rows = &mut self.days.entry(day).or_default().rows;
        rows.push(row);
        self.held_rows += 1;
        if rows.len() >= self.bounds.group_rows {
            self.write(day)?;
        }
        while self.held_rows >= self.bounds.held_rows {
            let fullest = self.days.iter().max_by_key(|(_, day)| day.rows.len()).map(|(day, _)| *day);
            fullest.map_or(Ok(()), |day| self.write(day))?;
        }
        if self.texts.bytes() > self.bounds.text_bytes {
            self.write_all()?;
            self.texts = Texts::default();
        }
        Ok(())
    }

    /// Writes what is held and ends all files. They have yet to be given their names.
    pub(super) fn finish(mut self) -> Result<(Folder, Written), Failure> {
        self.write_all()?;
        let open: Vec<Day> = self.days.iter().filter(|(_, day)| day.open.is_some()).map(|(day, _)| *day).collect();
        open.into_iter().try_for_each(|day| self.close(day))?;
        self.written.days = self.days.len();
        Ok((self.folder, self.written))
    }

    fn write_all(&mut self) -> Result<(), Failure> {
        let held: Vec<Day> = self.days.iter().filter(|(_, day)| !day.rows.is_empty()).map(|(day, _)| *day).collect();
        held.into_iter().try_for_each(|day| self.write(day))
    }

    /// Writes the rows of a day as a group.
    fn write(&mut self, day: Day) -> Result<(), Failure> {
        self.make_room(day)?;
        let Some(one) = self.days.get_mut(&day) else { return Ok(()) };
        let part = match &mut one.open {
            Some(part) => part,
            none => {
                let file = self.folder.create(day, one.parts).map_err(failed)?;
                one.parts += 1;
                none.insert(Part::new(file, &self.format).map_err(failed)?)
            }
        };
        part.write(&one.rows, &self.texts).map_err(failed)?;
        self.groups += 1;
        self.held_rows -= one.rows.len();
        one.last = self.groups;
        // Its room is given back: another day may be the one that fills.
        one.rows = Vec::new();
        Ok(())
    }

    /// Ends the file that was written to least recently, where another may not be open.
    fn make_room(&mut self, day: Day) -> Result<(), Failure> {
        let open = || self.days.iter().filter(|(_, one)| one.open.is_some());
        let is_open = self.days.get(&day).is_some_and(|one| one.open.is_some());
        if is_open || open().count() < self.bounds.open_files {
            return Ok(());
        }
        let oldest = open().min_by_key(|(_, one)| one.last).map(|(day, _)| *day);
        oldest.map_or(Ok(()), |day| self.close(day))
    }

    fn close(&mut self, day: Day) -> Result<(), Failure> {
        if let Some(part) = self.days.get_mut(&day).and_then(|one| one.open.take()) {
            self.written.bytes += part.finish().map_err(failed)?;
        }
        Ok(())
    }
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("--parquet: {error}")).with_hint("nothing was put in place")
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;
    use crate::cli::export::columns::tests::groups;

    const DAY_MS: i64 = 86_400_000;

    fn alert(position: u64, day: i64, model: &str) -> v1::LoggedAlert {
        let alert = v1::Alert { device_id: 7, received_at_ms: day * DAY_MS + 5, ..v1::Alert::default() };
        let outcome = v1::Outcome::Forwarded.into();
        v1::LoggedAlert { position, alert: Some(alert), model: model.to_owned(), outcome, ..Default::default() }
    }

    /// The groups of every file of a folder, by its name.
    fn files(path: &Path) -> BTreeMap<String, Vec<Vec<u64>>> {
        let mut found = BTreeMap::new();
        for day in std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()) {
            for file in std::fs::read_dir(&day).unwrap().map(|entry| entry.unwrap().path()) {
                let name = file.strip_prefix(path).unwrap().display().to_string();
                found.insert(name, groups(&file));
            }
        }
        found
    }

    fn export(bounds: Bounds, alerts: impl Iterator<Item = v1::LoggedAlert>) -> BTreeMap<String, Vec<Vec<u64>>> {
        let folder = tempfile::tempdir().unwrap();
        let target = Folder::open(folder.path(), &(0..i64::MAX), false).unwrap();
        let mut days = Days::new(target, bounds, &[]).unwrap();
        let mut count = 0;
        for alert in alerts {
            days.take(alert, &Place::default()).unwrap();
            count += 1;
            assert!(days.held_rows < bounds.held_rows && days.texts.bytes() <= bounds.text_bytes);
            assert!(days.days.values().filter(|day| day.open.is_some()).count() <= bounds.open_files);
        }
        let (target, written) = days.finish().unwrap();
        target.publish().unwrap();
        let files = files(folder.path());
        assert_eq!((written.forwarded, written.suppressed, written.duplicate), (count, 0, 0));
        let all: Vec<u64> = files.values().flatten().flatten().copied().collect();
        assert_eq!((all.len() as u64, all.into_iter().collect::<BTreeSet<_>>().len() as u64), (count, count));
        files
    }

    #[test]
    fn a_day_fills_group_after_group_of_one_file() {
        let bounds = Bounds { group_rows: 10, held_rows: 100, text_bytes: 1 << 20, open_files: 2 };
        let files = export(bounds, (0..25).map(|at| alert(at, 0, "A")));
        let sizes: Vec<usize> = files["day=1970-01-01/part-0.parquet"].iter().map(Vec::len).collect();
        assert_eq!((files.len(), sizes), (1, vec![10, 10, 5]));
    }

    #[test]
    fn however_days_alternate_few_rows_are_held_and_few_files_open() {
        let bounds = Bounds { group_rows: 10, held_rows: 30, text_bytes: 1 << 20, open_files: 2 };
        let files = export(bounds, (0..1_000).map(|at| alert(at, (at * 7 % 20) as i64, "A")));
        let days: BTreeSet<&str> = files.keys().map(|name| name.split('/').next().unwrap()).collect();
        assert!(days.len() == 20 && files.len() > 20, "{} files of {} days", files.len(), days.len());
    }

    #[test]
    fn texts_without_end_are_not_kept() {
        let bounds = Bounds { group_rows: 1_000, held_rows: 10_000, text_bytes: 2_000, open_files: 2 };
        let files = export(bounds, (0..500).map(|at| alert(at, 0, &format!("model {at}"))));
        assert!(files["day=1970-01-01/part-0.parquet"].len() > 5);
    }
}
