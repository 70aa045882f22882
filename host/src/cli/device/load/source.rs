//! Where an inventory comes from: a CSV file, or the DCC's documents.
//!
//! It must not know what becomes of a device.

use std::io::BufRead;

use clap::ValueEnum;

use crate::intake::{
    LineError, duis_xml,
    form::Form,
    inventory::{Row, Rows},
};

/// A format of inventories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Rows of a CSV file.
    Csv,
    /// DUIS responses to service request 8.2 (Read Inventory).
    DuisXml,
}

/// Words for what a source consists of, each for one and for several.
pub(super) struct Items {
    pub(super) unreadable: (&'static str, &'static str),
    pub(super) in_doubt: (&'static str, &'static str),
}

/// The rows of an inventory.
pub(super) enum Source<R> {
    /// On the heap: it is far larger than what reads documents.
    Csv(Box<Rows<R>>),
    DuisXml(duis_xml::Inventory<R>),
}

impl<R: BufRead> Source<R> {
    /// Reads the beginning. What the format is shows there, unless it is stated.
    pub(super) fn of(mut reader: R, stated: Option<Format>, form: &Form) -> Result<Self, LineError> {
        let format = match stated {
            Some(format) => format,
            // Whoever reads on meets the same error, and names it.
            None if reader.fill_buf().is_ok_and(duis_xml::begins) => Format::DuisXml,
            None => Format::Csv,
        };
        match format {
            Format::Csv => Rows::of(reader, form).map(|rows| Self::Csv(Box::new(rows))),
            Format::DuisXml => {
                check(form)?;
                Ok(Self::DuisXml(duis_xml::Inventory::new(reader, form.encoding)))
            }
        }
    }

    /// Returns the line on which the last row begins, or its document.
    pub(super) fn line(&self) -> u64 {
        match self {
            Self::Csv(rows) => rows.line(),
            Self::DuisXml(devices) => devices.line(),
        }
    }

    /// Returns the next remark: something noteworthy that loses no data. Call it after each row and at the end.
    pub(super) fn remark(&mut self) -> Option<LineError> {
        match self {
            Self::Csv(rows) => rows.remark(),
            Self::DuisXml(devices) => devices.remark(),
        }
    }

    pub(super) fn items(&self) -> Items {
        match self {
            Self::Csv(_) => Items {
                unreadable: ("line that cannot be read was skipped", "lines that cannot be read were skipped"),
                in_doubt: (
                    "line that contradicts another line of its device was skipped",
                    "lines that contradict other lines of their devices were skipped",
                ),
            },
            Self::DuisXml(_) => Items {
                unreadable: (
                    "document or device that cannot be read was skipped",
                    "documents or devices that cannot be read were skipped",
                ),
                in_doubt: ("device told of in two ways was skipped", "devices told of in two ways were skipped"),
            },
        }
    }
}

/// Rejects options that do not apply to documents: without effect, they would mislead.
fn check(form: &Form) -> Result<(), LineError> {
    match form.idle(&["--encoding"]) {
        Some(option) => Err(LineError::new(1, option, "it says nothing about DUIS documents; leave it out")),
        None => Ok(()),
    }
}

impl<R: BufRead> Iterator for Source<R> {
    type Item = Result<Row, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Csv(rows) => rows.next(),
            Self::DuisXml(devices) => devices.next(),
        }
    }
}
