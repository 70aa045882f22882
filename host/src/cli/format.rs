//! The formats of files of alerts, readings and thresholds, and how a file of each begins.
//!
//! Invariant: a format is told by what was given or by a name, never by what is in a file.

use std::{borrow::Cow, io::BufRead, path::Path};

use clap::ValueEnum;

use super::Failure;
use crate::intake::{LineError, compressed::Packing, form::Form};

/// How items are written in a file.
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
    /// Formats of alerts.
    pub(super) const ALL: [Self; 5] = [Self::Csv, Self::Ndjson, Self::GbcsHex, Self::DuisXml, Self::Parquet];
    /// Formats of readings and thresholds.
    pub(super) const OF_READINGS: [Self; 4] = [Self::Csv, Self::Ndjson, Self::DuisXml, Self::Parquet];

    /// Its name on the command line.
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

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
    fn begins_with(self) -> &'static str {
        match self {
            Self::Csv => "header",
            Self::Ndjson => "object",
            Self::GbcsHex => "message",
            Self::DuisXml => "document",
            Self::Parquet => "file",
        }
    }

    /// Rejects a file without a byte, which is more likely a failed export than a file of nothing.
    pub(super) fn check_begun(self, bytes: &mut impl BufRead) -> Result<(), LineError> {
        // A table says that it has no header.
        if self != Self::Csv && bytes.fill_buf().is_ok_and(<[u8]>::is_empty) {
            return Err(LineError::new(1, self.begins_with(), "the input is empty"));
        }
        Ok(())
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

/// Parses a format of readings or thresholds.
pub(super) fn of_readings(text: &str) -> Result<Format, String> {
    let format = Format::OF_READINGS.into_iter().find(|format| format.name() == text);
    format.ok_or_else(|| format!("expected {}", listed(&Format::OF_READINGS)))
}

/// Names formats: `csv, ndjson or parquet`.
fn listed(formats: &[Format]) -> String {
    let names: Vec<String> = formats.iter().map(|format| format.name()).collect();
    let (last, others) = names.split_last().map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
    format!("{} or {last}", others.join(", "))
}

/// Returns the options for a file: the name of a .tsv file states its separator.
pub(super) fn form_of<'f>(path: &Path, form: &'f Form) -> Cow<'f, Form> {
    let (_, plain) = Packing::of(path);
    let is_tsv = plain.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tsv"));
    if !is_tsv || form.delimiter.is_some() {
        return Cow::Borrowed(form);
    }
    Cow::Owned(Form { delimiter: Some(b'\t'), ..form.clone() })
}

/// Rejects a Parquet file that is packed, whose end cannot be read first.
pub(super) fn check_table(path: &Path) -> Result<(), LineError> {
    match Packing::of(path).0 {
        Packing::None => Ok(()),
        _ => Err(of_file("a Parquet file is packed within, not without: unpack it first")),
    }
}

/// An error of a whole file.
pub(super) fn of_file(message: &str) -> LineError {
    LineError { line: 0, field: "file".to_owned(), message: message.to_owned(), fatal: false }
}

/// By what was given, or else by the file's name: never by what is in it. Rejects a format that is not among `formats`.
pub(super) fn settle(file: &Path, format: Option<Format>, formats: &[Format]) -> Result<Format, Failure> {
    let format = by_name(file, format, formats)?;
    if formats.contains(&format) {
        return Ok(format);
    }
    let message = format!("{}: a file of {} holds nothing that this command loads", file.display(), format.name());
    Err(Failure::usage(message).with_hint(format!("--format {} says otherwise", listed(formats))))
}

fn by_name(file: &Path, format: Option<Format>, formats: &[Format]) -> Result<Format, Failure> {
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
            .with_hint(format!("give --format {}", listed(formats)))),
    }
}
