//! Files of items that rows and documents alike may hold: a kind of item in any format.
//!
//! It must not know what an item is. Invariant: a bad row or document is an item too, and the rest goes on.

use std::{fs::File, io::BufRead};

use super::{
    LineError, columnar, csv,
    duis_xml::{Responses, Take},
    form::Form,
    ndjson,
    rows::RowReader,
};

/// Reads files of one kind of item, whatever their format.
pub struct Reader<T> {
    rows: Box<dyn RowReader<T>>,
    take: Take<T>,
}

/// The items of a file. A bad row or document is an item too, and the rest goes on.
pub enum Items<R, T> {
    /// Rows of a CSV file.
    Csv(Box<csv::Rows<R, T>>),
    /// JSON objects, one a line.
    Ndjson(Box<ndjson::Rows<R, T>>),
    /// DUIS documents.
    DuisXml(Box<Responses<R, T>>),
    /// Rows of a Parquet file.
    Parquet(Box<columnar::Rows<T>>),
}

impl<T: Send + 'static> Reader<T> {
    pub(super) fn new(rows: Box<dyn RowReader<T>>, take: Take<T>) -> Self {
        Self { rows, take }
    }

    /// Begins a CSV file. Rejects a header that leaves something open.
    pub fn csv<R: BufRead>(self, bytes: R, form: &Form) -> Result<Items<R, T>, LineError> {
        csv::Rows::read_by(self.rows, bytes, form).map(|rows| Items::Csv(Box::new(rows)))
    }

    /// Begins a file of JSON lines.
    pub fn ndjson<R: BufRead>(self, bytes: R, form: &Form) -> Result<Items<R, T>, LineError> {
        ndjson::Rows::read_by(self.rows, bytes, form).map(|rows| Items::Ndjson(Box::new(rows)))
    }

    /// Begins a Parquet file. Rejects columns that leave something open.
    pub fn parquet<R: BufRead>(self, file: File, form: &Form) -> Result<Items<R, T>, LineError> {
        columnar::Rows::read_by(self.rows, file, form).map(|rows| Items::Parquet(Box::new(rows)))
    }

    /// Begins a file of DUIS documents.
    pub fn duis_xml<R: BufRead>(self, bytes: R, form: &Form) -> Items<R, T> {
        Items::DuisXml(Box::new(Responses::new(self.take, bytes, form)))
    }
}

impl<R: BufRead, T: Send + 'static> Items<R, T> {
    /// Number of the line or row that the last item came from, or of the line that its document begins on.
    pub fn line(&self) -> u64 {
        match self {
            Self::Csv(rows) => rows.line(),
            Self::Ndjson(rows) => rows.line(),
            Self::DuisXml(responses) => responses.line(),
            Self::Parquet(rows) => rows.line(),
        }
    }

    /// Returns the next remark: something noteworthy that loses no data. Call it after each item and at the end.
    pub fn remark(&mut self) -> Option<LineError> {
        match self {
            Self::Csv(rows) => rows.remark(),
            Self::Ndjson(rows) => rows.remark(),
            Self::DuisXml(responses) => responses.remark(),
            Self::Parquet(rows) => rows.remark(),
        }
    }
}

impl<R: BufRead, T: Send + 'static> Iterator for Items<R, T> {
    type Item = Result<T, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Csv(rows) => rows.next(),
            Self::Ndjson(rows) => rows.next(),
            Self::DuisXml(responses) => responses.next(),
            Self::Parquet(rows) => rows.next(),
        }
    }
}
