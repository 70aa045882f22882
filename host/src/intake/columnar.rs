//! Rows of a Parquet file, with the names that a CSV file has as columns, or those that `weir export` writes.
//!
//! It must not know what a column means: a `RowReader` does. Invariants: a column of a type that cannot be what its name says is
//! refused before any row is read; a number is taken as it is written; a few rows of the columns that mean something are
//! held, however many there are and however long a value is, and of their pages no more than `pages` lets through.
//!
//! It reads with the crate `parquet`, which `cli::export` writes with. Files that are damaged have been known to make that
//! crate panic, and files that somebody made to harm have it count for hours: so it has a thread of its own, and both are
//! errors like any other.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
    vec,
};

use parquet::{
    column::{
        page::PageReader,
        reader::{ColumnReader, ColumnReaderImpl, get_column_reader},
    },
    data_type::DataType,
    errors::ParquetError,
    file::{
        metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader},
        reader::ChunkReader,
        serialized_reader::SerializedPageReader,
    },
};

use super::{
    LineError,
    alert_row::AlertRows,
    form::Form,
    headings::{Headings, Meaning, without_meaning},
    record::Record,
    rows::{Holds, RowReader},
};
use crate::domain::Alert;

mod kind;
mod pages;

use kind::Kind;
use pages::{Measured, Unpacked, in_words};

/// Rows that are held at once.
const ROWS: usize = 1_024;
/// Texts that are read at once. Each may hold a page of its own until it is looked at.
const TEXTS: usize = 16;
/// Bytes of a cell. No column has a value that is longer.
const CELL_BYTES_MAX: usize = 1 << 10;
/// How long so many may take to read, and the file's own description. Nobody waits for longer, nor for the thread that does.
const PATIENCE: Duration = Duration::from_secs(60);
/// A column that means something.
struct Column {
    /// Its place among the names that a CSV file has.
    known: usize,
    /// Its place among the columns of the file.
    leaf: usize,
    kind: Kind,
    /// True if its decimals say how fine it is, and a whole number must keep one.
    keeps_decimal: bool,
    /// What a level says of a cell that is filled in.
    filled: i16,
    reader: Option<ColumnReader>,
    cells: VecDeque<Cell>,
}

/// The text of a cell, or why it has none.
type Cell = Result<String, String>;

/// What a row was read as, or why it was not.
type Item<T> = Result<T, LineError>;

/// What is said by whoever reads.
enum Said<T> {
    /// Whether the file was opened, and what there is to say of its columns then.
    Opened(Result<Option<LineError>, LineError>),
    /// With what there is to say of their values.
    Rows(Vec<Item<T>>, Vec<LineError>),
    /// It cannot be read any further.
    Failed(String),
    Ended,
}

/// The rows of a Parquet file, each read as a `T`.
pub struct Rows<T> {
    said: Receiver<Said<T>>,
    patience: Duration,
    items: vec::IntoIter<Item<T>>,
    row: u64,
    remarks: VecDeque<LineError>,
    ended: bool,
}

/// The alerts of a Parquet file.
pub type Alerts = Rows<Alert>;

impl Alerts {
    /// Reads what columns there are. One that is missing, stands twice, or is of a type that cannot be what its name says is
    /// an error.
    pub fn new(file: impl ChunkReader + 'static) -> Result<Self, LineError> {
        Self::of(file, &Form::default())
    }

    /// The same, with reading options.
    pub fn of(file: impl ChunkReader + 'static, form: &Form) -> Result<Self, LineError> {
        Self::read_by(Box::new(AlertRows::default()), file, form)
    }

    #[cfg(test)]
    fn within(patience: Duration, file: impl ChunkReader + 'static, form: &Form) -> Result<Self, LineError> {
        Self::begin(Box::new(AlertRows::default()), patience, file, form)
    }
}

impl<T: Send + 'static> Rows<T> {
    /// Reads what columns there are in a file of rows of some kind.
    pub(super) fn read_by(
        rows: Box<dyn RowReader<T>>,
        file: impl ChunkReader + 'static,
        form: &Form,
    ) -> Result<Self, LineError> {
        Self::begin(rows, PATIENCE, file, form)
    }

    fn begin(
        rows: Box<dyn RowReader<T>>,
        patience: Duration,
        file: impl ChunkReader + 'static,
        form: &Form,
    ) -> Result<Self, LineError> {
        let (sender, said) = sync_channel(1);
        let mut begun =
            Self { said, patience, items: Vec::new().into_iter(), row: 0, remarks: VecDeque::new(), ended: false };
        let form = form.clone();
        let thread = thread::Builder::new().name("parquet".to_owned()).spawn(move || read(rows, file, form, &sender));
        thread.map_err(|error| LineError::new(1, "file", format!("no thread to read it with: {error}")))?;
        match begun.hear() {
            Said::Opened(opened) => begun.remarks.extend(opened?),
            Said::Failed(message) => return Err(LineError::new(1, "file", message)),
            Said::Rows(..) | Said::Ended => return Err(LineError::new(1, "file", DAMAGED)),
        }
        Ok(begun)
    }

    /// What is said next, within its time.
    fn hear(&self) -> Said<T> {
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

    /// Returns the next remark: something noteworthy that loses no data.
    pub fn remark(&mut self) -> Option<LineError> {
        self.remarks.pop_front()
    }
}

impl<T: Send + 'static> Iterator for Rows<T> {
    type Item = Item<T>;

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
                Said::Rows(rows, remarks) => {
                    self.items = rows.into_iter();
                    self.remarks.extend(remarks);
                }
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

/// Reads a file to its end, or until the receiver is dropped.
fn read<T>(reader: Box<dyn RowReader<T>>, file: impl ChunkReader + 'static, form: Form, said: &SyncSender<Said<T>>) {
    let (opened, rows) = match Table::open(reader, file, form) {
        Ok((rows, remark)) => (Ok(remark), Some(rows)),
        Err(error) => (Err(error), None),
    };
    let heard = said.send(Said::Opened(opened)).is_ok();
    let Some(mut rows) = rows.filter(|_| heard) else { return };
    loop {
        let next = match rows.next() {
            Ok(Some(items)) => Said::Rows(items, std::iter::from_fn(|| rows.reader.remark()).collect()),
            Ok(None) => {
                rows.reader.end();
                let remarks = std::iter::from_fn(|| rows.reader.remark()).collect();
                // The receiver may be gone; the remarks are then dropped.
                drop(said.send(Said::Rows(Vec::new(), remarks)));
                Said::Ended
            }
            Err(message) => Said::Failed(message),
        };
        let is_last = !matches!(next, Said::Rows(..));
        if said.send(next).is_err() || is_last {
            return;
        }
    }
}

/// Opens the pages of a column chunk.
type Pages = Box<dyn Fn(&ColumnChunkMetaData, usize) -> Result<Box<dyn PageReader>, ParquetError> + Send>;

/// A file that is open.
struct Table<T> {
    metadata: ParquetMetaData,
    pages: Pages,
    form: Form,
    columns: Vec<Column>,
    /// The group of rows that is read after this one, and the rows of this one that were not read.
    next_group: usize,
    left: usize,
    row: u64,
    names: &'static [&'static str],
    texts: Vec<String>,
    reader: Box<dyn RowReader<T>>,
}

impl<T> Table<T> {
    /// With what there is to say of its columns.
    fn open(
        reader: Box<dyn RowReader<T>>,
        file: impl ChunkReader + 'static,
        form: Form,
    ) -> Result<(Self, Option<LineError>), LineError> {
        let wrong = |message: String| LineError::new(1, "file", message);
        pages::check_ends(&file).map_err(wrong)?;
        let file = Arc::new(Measured(file));
        let metadata =
            ParquetMetaDataReader::new().parse_and_finish(&*file).map_err(|error| wrong(in_words(&error)))?;
        let layout = reader.layout();
        let headings = Headings::new(layout, &form)?;
        let schema = metadata.file_metadata().schema_descr();
        let names: Vec<&str> = schema.columns().iter().map(|column| column.path().parts()[0].as_str()).collect();
        let mut columns: Vec<Column> = Vec::new();
        let mut passed_over = Vec::new();
        for (leaf, descriptor) in schema.columns().iter().enumerate() {
            let known = match headings.meaning(names[leaf]) {
                Meaning::Column(known) => known,
                Meaning::Other => continue,
                Meaning::Unknown if layout.is_of_an_export(names[leaf]) => continue,
                Meaning::Unknown => {
                    passed_over.push(descriptor.name().to_owned());
                    continue;
                }
            };
            let wrong = |message: String| LineError::new(1, layout.names[known], message);
            if columns.iter().any(|column| column.known == known) {
                return Err(wrong("the column occurs twice".to_owned()));
            }
            let holds = (layout.holds)(known);
            let kind = Kind::of((layout.names[known], holds), descriptor, &form).map_err(wrong)?;
            for group in metadata.row_groups() {
                let chunk = group.columns().get(leaf).ok_or_else(|| wrong(DAMAGED.to_owned()))?;
                pages::packing(chunk.compression()).map_err(wrong)?;
            }
            let filled = descriptor.max_def_level();
            let keeps_decimal = holds == Holds::Measured && kind.has_decimals();
            columns.push(Column { known, leaf, kind, keeps_decimal, filled, reader: None, cells: VecDeque::new() });
        }
        let has = |known: usize| columns.iter().any(|column| column.known == known);
        headings.check(has, &names)?;
        reader.check(&has)?;
        let remark = (!passed_over.is_empty()).then(|| LineError::new(1, "columns", without_meaning(&passed_over)));
        // Read pages as stored and decompress them here: the library does not bound the output, and lacks zstd without C.
        let pages: Pages = Box::new(move |chunk, rows| {
            let plain =
                chunk.clone().into_builder().set_compression(parquet::basic::Compression::UNCOMPRESSED).build()?;
            Ok(Box::new(SerializedPageReader::new(Arc::clone(&file), &plain, rows, None)?))
        });
        let (names, texts) = (layout.names, vec![String::new(); layout.names.len()]);
        Ok((Self { metadata, pages, form, columns, next_group: 0, left: 0, row: 0, names, texts, reader }, remark))
    }

    /// The next few rows; `None` at the end.
    fn next(&mut self) -> Result<Option<Vec<Item<T>>>, String> {
        while self.left == 0 {
            if self.next_group == self.metadata.num_row_groups() {
                return Ok(None);
            }
            let group = self.metadata.row_group(self.next_group);
            let rows = group.num_rows();
            self.left = usize::try_from(rows).map_err(|_| format!("a group of {rows} rows"))?;
            let schema = self.metadata.file_metadata().schema_descr_ptr();
            for column in &mut self.columns {
                let chunk = group.columns().get(column.leaf).ok_or(DAMAGED)?;
                let name = self.names[column.known];
                let pages = (self.pages)(chunk, self.left).map_err(|error| format!("{name}: {}", in_words(&error)))?;
                let block = pages::packing(chunk.compression())?;
                let descriptor = schema.column(column.leaf);
                let value_bytes_min = pages::value_bytes_min(&descriptor);
                let pages = Box::new(Unpacked { pages, block, has_levels: column.filled > 0, value_bytes_min });
                column.reader = Some(get_column_reader(descriptor, pages));
            }
            self.next_group += 1;
        }
        let rows = self.left.min(ROWS);
        for column in &mut self.columns {
            column.fill(rows).map_err(|error| format!("{}: {error}", self.names[column.known]))?;
        }
        self.left -= rows;
        Ok(Some((0..rows).map(|_| self.item()).collect()))
    }

    fn item(&mut self) -> Item<T> {
        self.row += 1;
        let mut wrong = None;
        for column in &mut self.columns {
            let cell = column.cells.pop_front().unwrap_or_else(|| Ok(String::new()));
            self.texts[column.known] = cell.unwrap_or_else(|message| {
                wrong.get_or_insert_with(|| LineError::new(self.row, self.names[column.known], message));
                String::new()
            });
            let text = &mut self.texts[column.known];
            if column.keeps_decimal && text.ends_with(|last: char| last.is_ascii_digit()) && !text.contains('.') {
                text.push_str(".0");
            }
        }
        if let Some(error) = wrong {
            return Err(error);
        }
        self.reader.read(&Record::listed(self.row, self.names, &self.texts), &self.form)
    }
}

impl Column {
    /// Holds the next `rows` cells.
    fn fill(&mut self, rows: usize) -> Result<(), String> {
        let (kind, filled, cells) = (self.kind, self.filled, &mut self.cells);
        match &mut self.reader {
            Some(ColumnReader::Int32ColumnReader(reader)) => {
                take(reader, (rows, rows), filled, cells, |value| kind.integer(i64::from(*value), 32))
            }
            Some(ColumnReader::Int64ColumnReader(reader)) => {
                take(reader, (rows, rows), filled, cells, |value| kind.integer(*value, 64))
            }
            Some(ColumnReader::BoolColumnReader(reader)) => {
                take(reader, (rows, rows), filled, cells, |value| Ok(value.to_string()))
            }
            Some(ColumnReader::FloatColumnReader(reader)) => {
                take(reader, (rows, rows), filled, cells, |value| kind::real(f64::from(*value), value, 24))
            }
            Some(ColumnReader::DoubleColumnReader(reader)) => {
                take(reader, (rows, rows), filled, cells, |value| kind::real(*value, value, 53))
            }
            Some(ColumnReader::ByteArrayColumnReader(reader)) => {
                take(reader, (rows, TEXTS), filled, cells, |value| match kind {
                    Kind::Text => text(value.data()),
                    kind => Ok(kind.wide(value.data())),
                })
            }
            Some(ColumnReader::FixedLenByteArrayColumnReader(reader)) => {
                take(reader, (rows, TEXTS), filled, cells, |value| Ok(kind.wide(value.data())))
            }
            Some(ColumnReader::Int96ColumnReader(reader)) => {
                take(reader, (rows, rows), filled, cells, |value| Ok(kind::int96(value.data())))
            }
            _ => Err("its cells are not of the type that it has".to_owned()),
        }
    }
}

fn text(bytes: &[u8]) -> Cell {
    if bytes.len() > CELL_BYTES_MAX {
        return Err(format!("{} bytes long, where {CELL_BYTES_MAX} are allowed", bytes.len()));
    }
    Ok(String::from_utf8_lossy(bytes).into_owned())
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
            reader.read_records(left.min(at_once), wanted, None, &mut values).map_err(|error| in_words(&error))?;
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
