//! What became of a file that was renamed while nobody followed it.
//!
//! It must not know how a file is gone on with. Invariant: a file is taken for what one was begun with only where it begins
//! with all that was taken of it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{
    bookmark::{Bookmark, Moving},
    files::AlertFile,
};
use crate::grpc::wire_alert;

/// The files that hold what came since a bookmark, the oldest first, without the one that has the path now. There are none
/// where that is the one that was begun, or where the one that was begun is not found.
///
/// Found are files beside it that are named as it is, with a number or a date after that: `alerts.csv.1`,
/// `alerts.csv-20261125`. They are opened by `open`; one that cannot be is not meant.
pub(super) fn since(path: &Path, past: &Bookmark, open: impl Fn(&Path) -> Option<AlertFile>) -> Vec<PathBuf> {
    let begins = |path: &Path| open(path).is_some_and(|alerts| begins_with(alerts, past));
    if begins(path) {
        return Vec::new();
    }
    let mut renamed = renamed(path);
    match renamed.iter().rposition(|path| begins(path)) {
        Some(at) => renamed.split_off(at),
        None => Vec::new(),
    }
}

/// Files beside it that have had its name, the oldest first.
pub(super) fn renamed(path: &Path) -> Vec<PathBuf> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<(SystemTime, PathBuf)> = entries
        .filter(|entry| {
            let other = entry.file_name();
            other.to_str().and_then(|other| other.strip_prefix(name)).is_some_and(is_number_or_date)
        })
        .filter_map(|entry| {
            let metadata = fs::metadata(entry.path()).ok().filter(fs::Metadata::is_file)?;
            Some((metadata.modified().ok()?, entry.path()))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

/// Whether what comes after a name is what is put there when a file makes room for the next one.
fn is_number_or_date(rest: &str) -> bool {
    let digits = rest.strip_prefix(['.', '-', '_']).unwrap_or_default();
    digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '_' | '.' | ':' | 'T' | 'Z'))
}

fn begins_with(alerts: AlertFile, past: &Bookmark) -> bool {
    let mut moving = Moving::default();
    for item in alerts {
        if item.as_ref().is_err_and(|error| error.fatal) {
            return false;
        }
        moving.pass(item.ok().map(wire_alert).as_ref());
        if moving.items() == past.items {
            return moving.here() == *past;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_a_date_is_what_is_put_after_a_name() {
        for rest in [".1", ".10", "-20261125", "-20261125-1764000000", ".2026-11-25", "-2026-11-25T09:30:00Z", "_2"] {
            assert!(is_number_or_date(rest), "{rest}");
        }
        for rest in ["", ".", "1", ".bak", "-copy", ".1.gz", "~", ".-1", ".new"] {
            assert!(!is_number_or_date(rest), "{rest}");
        }
    }
}
