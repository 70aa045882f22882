//! The rows of an export, read from its Parquet files.
//!
//! It must not know how the host writes them. Invariant: a row that is there twice is a failure.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
};

use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};
use serde_json::{Value, json};

/// Files of an export.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("a folder can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                found.push(path);
            }
        }
    }
    found.sort_unstable();
    found
}

/// The rows of an export by log position, each with the day of its folder.
pub fn rows(folder: &Path) -> BTreeMap<u64, Value> {
    let mut rows = BTreeMap::new();
    for path in files(folder) {
        let day =
            path.parent().and_then(Path::file_name).and_then(OsStr::to_str).expect("a day has a folder").to_owned();
        let file = SerializedFileReader::new(File::open(&path).expect("it can be opened")).expect("it is Parquet");
        for row in file.get_row_iter(None).expect("it has rows").map(|row| row.expect("a row can be read")) {
            let cells = row.get_column_iter().map(|(name, field)| (name.clone(), value(field)));
            let mut cells: serde_json::Map<String, Value> = cells.collect();
            let position = cells.remove("position").and_then(|at| at.as_u64()).expect("a row has a position");
            cells.insert("day".to_owned(), json!(day));
            assert_eq!(rows.insert(position, Value::Object(cells)), None, "position {position} comes once");
        }
    }
    rows
}

fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(flag) => json!(flag),
        Field::Int(number) => json!(number),
        Field::UInt(number) => json!(number),
        Field::Long(number) | Field::TimestampMillis(number) => json!(number),
        Field::ULong(number) => json!(number),
        Field::Str(text) => json!(text),
        other => panic!("no column has {other:?}"),
    }
}
