//! Alerts as rows of a Parquet file, with the names that a CSV file has as columns, or those that `weir export` writes.
//!
//! It must not know what a column means: [`csv`] does. Invariants: a column of a type that cannot be what its name says is
//! refused before any row is read; a number is taken as it is written; a few rows of the columns that mean something are
//! held, however many there are and however long a value is, and of their pages no more than `pages` lets through.
//!
//! It reads with the crate `parquet`, which `cli::export` writes with. Files that are damaged have been known to make that
//! crate panic, and files that somebody made to harm have it count for hours: so it has a thread of its own, and both are
//! errors like any other.

use std::{
    collections::VecDeque,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
    vec,
};

use jiff::Timestamp;
use parquet::{
    basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical},
    column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader},
    data_type::DataType,
    errors::ParquetError,
    file::reader::{ChunkReader, FileReader, SerializedFileReader},
    schema::types::ColumnDescriptor,
};

use super::{LineError, csv, record::Record, record::is_named, said, shown};
use crate::domain::Alert;

mod pages;

use pages::{Counted, Measured};

/// Rows that are held at once.
const ROWS: usize = 1_024;
/// Texts that are read at once. Each may hold a page of its own until it is looked at.
const TEXTS: usize = 16;
/// Bytes of a cell. No column has a value that is longer.
const CELL_BYTES_MAX: usize = 1 << 10;
/// How long so many may take to read, and the file's own description. Nobody waits for longer, nor for the thread that does.
const PATIENCE: Duration = Duration::from_secs(60);
/// Names of columns that mean nothing here which are spelled out.
const PASSED_OVER_MAX: usize = 8;

/// What an export calls some of the columns.
const EXPORTED: [(&str, &str); 4] = [
    ("device_id", "device"),
    ("recipient_id", "recipient"),
    ("originator_counter", "counter"),
    ("sender_id", "sender"),
];

/// How a cell becomes the text that a CSV file would have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It is text.
    Text,
    /// An integer of 32 or 64 bits, and whether it has a sign.
    Integer(bool),
    /// An integer that is written in so many hex digits.
    Hex(usize),
    /// An integer that was multiplied by ten so many times.
    Decimal(u32),
    /// A binary fraction, in its shortest digits.
    Real,
    /// A time in UTC.
    Time(TimeUnit),
}

/// A column that means something.
struct Column {
    /// Its place among the names that a CSV file has.
    known: usize,
    /// Its place among the columns of the file.
    leaf: usize,
    kind: Kind,
    /// What a level says of a cell that is filled in.
    filled: i16,
    reader: Option<ColumnReader>,
    cells: VecDeque<Cell>,
}

/// The text of a cell; `Err`: the bytes of one that is too long to be held.
type Cell = Result<String, usize>;

/// An alert, or why a row is none.
type Item = Result<Alert, LineError>;

/// What is said by whoever reads.
enum Said {
    /// Whether the file was opened, and what there is to say of its columns then.
    Opened(Result<Option<LineError>, LineError>),
    Rows(Vec<Item>),
    /// It cannot be read any further.
    Failed(String),
    Ended,
}

/// The alerts of a Parquet file.
pub struct Alerts {
    said: Receiver<Said>,
    patience: Duration,
    items: vec::IntoIter<Item>,
    row: u64,
    remark: Option<LineError>,
    ended: bool,
}

impl Alerts {
    /// Reads what columns there are. One that is missing, stands twice, or is of a type that cannot be what its name says is
    /// an error.
    pub fn new(file: impl ChunkReader + 'static) -> Result<Self, LineError> {
        Self::within(PATIENCE, file)
    }

    fn within(patience: Duration, file: impl ChunkReader + 'static) -> Result<Self, LineError> {
        let (sender, said) = sync_channel(1);
        let mut alerts = Self { said, patience, items: Vec::new().into_iter(), row: 0, remark: None, ended: false };
        let begun = thread::Builder::new().name("parquet".to_owned()).spawn(move || read(file, &sender));
        begun.map_err(|error| LineError::new(1, "file", format!("no thread to read it with: {error}")))?;
        match alerts.hear() {
            Said::Opened(opened) => alerts.remark = opened?,
            Said::Failed(message) => return Err(LineError::new(1, "file", message)),
            Said::Rows(_) | Said::Ended => return Err(LineError::new(1, "file", DAMAGED)),
        }
        Ok(alerts)
    }

    /// What is said next, within its time.
    fn hear(&self) -> Said {
        self.said.recv_timeout(self.patience).unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => {
                Said::Failed(format!("a part of it takes longer than {:?} to read", self.patience))
            }
            // It panicked, or it would have said that it was at the end.
            RecvTimeoutError::Disconnected => Said::Failed(DAMAGED.to_owned()),
        })
    }

    /// Number of the row read last, from 1.
    pub fn line(&self) -> u64 {
        self.row
    }

    /// Which columns were passed over, once.
    pub fn remark(&mut self) -> Option<LineError> {
        self.remark.take()
    }
}

impl Iterator for Alerts {
    type Item = Item;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.items.next() {
                self.row += 1;
                return Some(item);
            }
            if self.ended {
                return None;
            }
            match self.hear() {
                Said::Rows(rows) => self.items = rows.into_iter(),
                Said::Failed(message) => {
                    self.ended = true;
                    let message = format!("the input cannot be read any further: {message}");
                    return Some(Err(LineError { fatal: true, ..LineError::new(self.row + 1, "input", message) }));
                }
                Said::Opened(_) | Said::Ended => self.ended = true,
            }
        }
    }
}

const DAMAGED: &str = "it is damaged";

/// Reads a file to its end, as long as anybody listens.
fn read(file: impl ChunkReader + 'static, said: &SyncSender<Said>) {
    let (opened, rows) = match Rows::open(file) {
        Ok((rows, remark)) => (Ok(remark), Some(rows)),
        Err(error) => (Err(error), None),
    };
    let heard = said.send(Said::Opened(opened)).is_ok();
    let Some(mut rows) = rows.filter(|_| heard) else { return };
    loop {
        let next = match rows.next() {
            Ok(Some(items)) => Said::Rows(items),
            Ok(None) => Said::Ended,
            Err(message) => Said::Failed(message),
        };
        let is_last = !matches!(next, Said::Rows(_));
        if said.send(next).is_err() || is_last {
            return;
        }
    }
}

/// A file that is open.
struct Rows {
    file: Box<dyn FileReader>,
    columns: Vec<Column>,
    /// The group of rows that is read after this one, and the rows of this one that were not read.
    next_group: usize,
    left: usize,
    row: u64,
    texts: Vec<String>,
}

impl Rows {
    /// With what there is to say of its columns.
    fn open(file: impl ChunkReader + 'static) -> Result<(Self, Option<LineError>), LineError> {
        let failed = |error: ParquetError| LineError::new(1, "file", said(&error));
        let opened = SerializedFileReader::new(Measured(file)).map_err(failed)?;
        let schema = opened.metadata().file_metadata().schema_descr_ptr();
        let mut columns: Vec<Column> = Vec::new();
        let mut passed_over = Vec::new();
        for (leaf, descriptor) in schema.columns().iter().enumerate() {
            let path = descriptor.path().parts();
            let name = EXPORTED.iter().find(|(name, _)| path == [*name]).map_or(path[0].as_str(), |(_, known)| known);
            let Some(known) = csv::COLUMNS.iter().position(|known| is_named(name, known)) else {
                passed_over.push(descriptor.name().to_owned());
                continue;
            };
            let wrong = |message: String| LineError::new(1, csv::COLUMNS[known], message);
            if columns.iter().any(|column| column.known == known) {
                return Err(wrong("the column occurs twice".to_owned()));
            }
            let kind = Kind::of(known, descriptor).map_err(wrong)?;
            let filled = descriptor.max_def_level();
            columns.push(Column { known, leaf, kind, filled, reader: None, cells: VecDeque::new() });
        }
        for (known, name) in csv::COLUMNS.iter().enumerate().take(csv::REQUIRED) {
            if !columns.iter().any(|column| column.known == known) {
                let message = format!("the column is missing; known columns are: {}", csv::COLUMNS.join(", "));
                return Err(LineError::new(1, name, message));
            }
        }
        let remark = (!passed_over.is_empty()).then(|| LineError::new(1, "columns", without_meaning(&passed_over)));
        let (file, texts) = (Box::new(opened), vec![String::new(); csv::COLUMNS.len()]);
        Ok((Self { file, columns, next_group: 0, left: 0, row: 0, texts }, remark))
    }

    /// The next few rows; `None` at the end.
    fn next(&mut self) -> Result<Option<Vec<Item>>, String> {
        while self.left == 0 {
            if self.next_group == self.file.num_row_groups() {
                return Ok(None);
            }
            let group = self.file.get_row_group(self.next_group).map_err(|error| said(&error))?;
            let rows = group.metadata().num_rows();
            self.left = usize::try_from(rows).map_err(|_| format!("a group of {rows} rows"))?;
            let schema = self.file.metadata().file_metadata().schema_descr_ptr();
            for column in &mut self.columns {
                let pages = group.get_column_page_reader(column.leaf).map_err(|error| said(&error))?;
                let pages = Box::new(Counted { pages, has_levels: column.filled > 0 });
                column.reader = Some(get_column_reader(schema.column(column.leaf), pages));
            }
            self.next_group += 1;
        }
        let rows = self.left.min(ROWS);
        for column in &mut self.columns {
            column.fill(rows).map_err(|error| format!("{}: {error}", csv::COLUMNS[column.known]))?;
        }
        self.left -= rows;
        Ok(Some((0..rows).map(|_| self.item()).collect()))
    }

    fn item(&mut self) -> Item {
        self.row += 1;
        let mut too_long = None;
        for column in &mut self.columns {
            let cell = column.cells.pop_front().unwrap_or_else(|| Ok(String::new()));
            self.texts[column.known] = cell.unwrap_or_else(|bytes| {
                let message = format!("{bytes} bytes long, where {CELL_BYTES_MAX} are allowed");
                too_long.get_or_insert_with(|| LineError::new(self.row, csv::COLUMNS[column.known], message));
                String::new()
            });
        }
        if let Some(error) = too_long {
            return Err(error);
        }
        csv::alert(&Record::listed(self.row, csv::COLUMNS, &self.texts))
    }
}

fn without_meaning(names: &[String]) -> String {
    let listed: Vec<String> = names.iter().take(PASSED_OVER_MAX).map(|name| shown(name)).collect();
    let more = names.len() - listed.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more} mean nothing here; passed over", listed.join(", "))
}

impl Kind {
    /// What cells of a column can be; an error with its type where they cannot be what its name says.
    fn of(known: usize, column: &ColumnDescriptor) -> Result<Self, String> {
        let name = csv::COLUMNS[known];
        let (physical, logical) = (column.physical_type(), column.logical_type_ref());
        let kind = Self::by_type(physical, logical, column.converted_type());
        let (fits, expected) = match name {
            "device" | "recipient" | "sender" => {
                (matches!(kind, Some(Self::Text | Self::Integer(_))), "text, or an integer")
            }
            "code" => (matches!(kind, Some(Self::Text | Self::Integer(_))), "text, or an integer"),
            "occurred_at" | "received_at" | "dcc_at" => {
                (matches!(kind, Some(Self::Text | Self::Time(_))), "a timestamp adjusted to UTC, or text")
            }
            _ => (!matches!(kind, None | Some(Self::Time(_))), "a number, or text"),
        };
        let flat = column.max_rep_level() == 0 && column.path().parts().len() == 1;
        match kind.filter(|_| fits && flat) {
            Some(Self::Integer(_)) if name == "code" => Ok(Self::Hex(4)),
            Some(Self::Integer(_)) if matches!(name, "device" | "recipient" | "sender") => Ok(Self::Hex(16)),
            Some(kind) => Ok(kind),
            None if !flat => Err("the column is nested or repeated; expected one value a row".to_owned()),
            None => {
                let logical = logical.map_or_else(String::new, |logical| format!(" as {logical:?}"));
                Err(format!("the column is of type {}; expected {expected}", said(&format!("{physical}{logical}"))))
            }
        }
    }

    fn by_type(physical: Physical, logical: Option<&LogicalType>, converted: ConvertedType) -> Option<Self> {
        match (physical, logical) {
            (Physical::BYTE_ARRAY, None | Some(LogicalType::String | LogicalType::Enum)) => Some(Self::Text),
            (Physical::DOUBLE | Physical::FLOAT, None) => Some(Self::Real),
            (Physical::INT32 | Physical::INT64, Some(LogicalType::Decimal(decimal))) => {
                u32::try_from(decimal.scale).ok().filter(|scale| *scale < 19).map(Self::Decimal)
            }
            (Physical::INT64, Some(LogicalType::Timestamp(time))) if time.is_adjusted_to_u_t_c => {
                Some(Self::Time(time.unit))
            }
            (Physical::INT32 | Physical::INT64, Some(LogicalType::Integer(integer))) => {
                Some(Self::Integer(integer.is_signed))
            }
            (Physical::INT32 | Physical::INT64, None) => match converted {
                ConvertedType::TIMESTAMP_MILLIS => Some(Self::Time(TimeUnit::MILLIS)),
                ConvertedType::TIMESTAMP_MICROS => Some(Self::Time(TimeUnit::MICROS)),
                ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64 => {
                    Some(Self::Integer(false))
                }
                ConvertedType::NONE
                | ConvertedType::INT_8
                | ConvertedType::INT_16
                | ConvertedType::INT_32
                | ConvertedType::INT_64 => Some(Self::Integer(true)),
                _ => None,
            },
            _ => None,
        }
    }

    /// An integer of so many bits as text.
    fn integer(self, value: i64, bits: u32) -> String {
        let unsigned = value.cast_unsigned() & (u64::MAX >> (64 - bits));
        match self {
            Self::Hex(digits) => format!("{unsigned:0digits$X}"),
            Self::Integer(false) => unsigned.to_string(),
            Self::Decimal(scale) => {
                let (sign, digits) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
                let unit = 10_u64.pow(scale);
                if scale == 0 {
                    return value.to_string();
                }
                let fraction = format!("{:0width$}", digits % unit, width = scale as usize);
                let fraction = fraction.trim_end_matches('0');
                let dot = if fraction.is_empty() { "" } else { "." };
                format!("{sign}{}{dot}{fraction}", digits / unit)
            }
            Self::Time(unit) => {
                let time = match unit {
                    TimeUnit::MILLIS => Timestamp::from_millisecond(value),
                    TimeUnit::MICROS => Timestamp::from_microsecond(value),
                    TimeUnit::NANOS => Timestamp::from_nanosecond(value.into()),
                };
                time.map_or_else(|_| format!("{value} {unit:?} since 1970"), |time| time.to_string())
            }
            Self::Text | Self::Integer(true) | Self::Real => value.to_string(),
        }
    }
}

impl Column {
    /// Holds the next `rows` cells.
    fn fill(&mut self, rows: usize) -> Result<(), String> {
        let (kind, filled, cells) = (self.kind, self.filled, &mut self.cells);
        match &mut self.reader {
            Some(ColumnReader::Int32ColumnReader(reader)) => {
                take(reader, (rows, rows), filled, cells, |value| Ok(kind.integer(i64::from(*value), 32)))
            }
            Some(ColumnReader::Int64ColumnReader(reader)) => {
                take(reader, (rows, rows), filled, cells, |value| Ok(kind.integer(*value, 64)))
            }
            Some(ColumnReader::FloatColumnReader(reader)) => {
                take(reader, (rows, rows), filled, cells, |value| Ok(value.to_string()))
            }
            Some(ColumnReader::DoubleColumnReader(reader)) => {
                take(reader, (rows, rows), filled, cells, |value| Ok(value.to_string()))
            }
            Some(ColumnReader::ByteArrayColumnReader(reader)) => {
                take(reader, (rows, TEXTS), filled, cells, |value| text(value.data()))
            }
            _ => Err("its cells are not of the type that it has".to_owned()),
        }
    }
}

fn text(bytes: &[u8]) -> Cell {
    if bytes.len() > CELL_BYTES_MAX { Err(bytes.len()) } else { Ok(String::from_utf8_lossy(bytes).into_owned()) }
}

/// Takes `rows` cells of a column as texts, up to `at_once` at a time; an empty one for a cell with nothing in it.
fn take<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    (rows, at_once): (usize, usize),
    filled: i16,
    cells: &mut VecDeque<Cell>,
    text: impl Fn(&T::T) -> Cell,
) -> Result<(), String> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let mut left = rows;
    while left > 0 {
        levels.clear();
        values.clear();
        let wanted = (filled > 0).then_some(&mut levels);
        let (records, _, _) =
            reader.read_records(left.min(at_once), wanted, None, &mut values).map_err(|error| said(&error))?;
        if records == 0 {
            return Err(format!("it has fewer rows than its group: {left} are missing"));
        }
        left -= records;
        let mut values = values.iter();
        if filled == 0 {
            cells.extend(values.map(&text));
        } else {
            let mut next = || values.next().map_or_else(|| Ok(String::new()), &text);
            cells.extend(levels.iter().map(|level| if *level < filled { Ok(String::new()) } else { next() }));
        }
    }
    Ok(())
}

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;
