//! The formats of files of alerts.
//!
//! Invariant: a format is told by what was given or by a name, never by what is in a file.

use std::path::Path;

use clap::ValueEnum;

use crate::{
    cli::Failure,
    intake::{compressed::Packing, form::Form},
};

/// How alerts are written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// Rows of a CSV file.
    Csv,
    /// JSON objects, one a line.
    Ndjson,
    /// GBCS messages in hex, one a line.
    GbcsHex,
    /// DUIS response documents.
    DuisXml,
    /// Rows of a Parquet file.
    Parquet,
}

impl Format {
    /// What a file consists of, in the plural.
    pub(super) fn items(self) -> &'static str {
        match self {
            Self::Csv => "records",
            Self::Ndjson | Self::GbcsHex => "lines",
            Self::DuisXml => "documents",
            Self::Parquet => "rows",
        }
    }

    /// What a file begins with, as an error calls it.
    pub(super) fn begins_with(self) -> &'static str {
        match self {
            Self::Csv => "header",
            Self::Ndjson => "object",
            Self::GbcsHex => "message",
            Self::DuisXml => "document",
            Self::Parquet => "file",
        }
    }

    /// Rejects options that do not apply to a file of this format: without effect, they would mislead.
    pub(super) fn check(self, form: &Form) -> Result<(), Failure> {
        let (what, has): (&str, &[&str]) = match self {
            Self::Csv => return Ok(()),
            Self::Ndjson => ("JSON lines", &["--decimal", "--encoding", "--epoch", "--date-order", "--columns"]),
            Self::GbcsHex => ("GBCS messages", &["--encoding"]),
            Self::DuisXml => ("DUIS documents", &["--encoding"]),
            Self::Parquet => ("Parquet files", &["--decimal", "--epoch", "--date-order", "--columns"]),
        };
        match form.idle(has) {
            Some(option) => {
                Err(Failure::usage(format!("{option}: it says nothing about {what}")).with_hint("leave it out"))
            }
            None => Ok(()),
        }
    }
}

/// By what was given, or else by the file's name: never by what is in it.
pub(super) fn settle(file: &Path, format: Option<Format>) -> Result<Format, Failure> {
    let (_, unpacked) = Packing::of(file);
    let extension = unpacked.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    match (format, extension.as_deref()) {
        (Some(format), _) => Ok(format),
        (None, Some("csv" | "tsv")) => Ok(Format::Csv),
        (None, Some("ndjson" | "jsonl")) => Ok(Format::Ndjson),
        (None, Some("hex")) => Ok(Format::GbcsHex),
        (None, Some("xml")) => Ok(Format::DuisXml),
        (None, Some("parquet")) => Ok(Format::Parquet),
        (None, Some(packed @ ("zip" | "bz2" | "xz" | "lz4" | "7z" | "tar" | "tgz"))) => {
            let message = format!("{}: files packed as .{packed} are not read", file.display());
            Err(Failure::usage(message).with_hint("unpack it first; .gz and .zst are unpacked as they are read"))
        }
        (None, Some("xlsx" | "xls" | "ods")) => {
            Err(Failure::usage(format!("{}: workbooks are not read", file.display()))
                .with_hint("save the sheet as CSV UTF-8"))
        }
        (None, _) => Err(Failure::usage("--format: not given, and the file's name does not tell")
            .with_hint("give --format csv, ndjson, gbcs-hex, duis-xml or parquet")),
    }
}
