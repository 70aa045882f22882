//! Options that describe a file, shared by every command that reads one.
//!
//! Invariant: readers never guess; an error names the option it needs.

use std::{fs, path::Path};

use clap::ValueEnum;

use super::{Failure, Session};
use crate::intake::form::{DateOrder, Encoding, Epoch, Form};

/// Size of a mapping file, in bytes.
const HEADINGS_BYTES_MAX: u64 = 64 << 10;

/// Reading options.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "How a file is written")]
pub(super) struct FormArgs {
    /// Column separator of CSV: a character, or tab. Default: comma.
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    delimiter: Option<u8>,
    /// Decimal mark, as in 258.1 or 258,1. Default: point.
    #[arg(long, value_name = "MARK", value_enum)]
    decimal: Option<Decimal>,
    /// Text encoding. Default: UTF-8, or UTF-16 if a byte order mark announces it.
    #[arg(long, value_name = "NAME", value_enum)]
    encoding: Option<TextEncoding>,
    /// Order of dates like 11/03/2026. Without it, ambiguous ones are rejected. Times without a zone need --time-zone on the
    /// command line.
    #[arg(long, value_name = "ORDER", value_enum)]
    date_order: Option<Order>,
    /// Unit of numeric times since 1970-01-01T00:00:00Z; auto picks the one that puts a number between 2000 and 2100.
    #[arg(long, value_name = "UNIT", value_enum)]
    epoch: Option<Unit>,
    /// Headings of your file, like device=MeterID,code=Event, or @FILE with one pair a line. Unknown headings are then
    /// skipped.
    #[arg(long, value_name = "NAME=HEADING", value_delimiter = ',')]
    columns: Vec<String>,
}

/// Decimal mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Decimal {
    /// 258.1
    Point,
    /// 258,1
    Comma,
}

/// Text encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TextEncoding {
    /// UTF-8.
    #[value(name = "utf-8")]
    Utf8,
    /// UTF-16, little endian.
    #[value(name = "utf-16le")]
    Utf16Le,
    /// UTF-16, big endian.
    #[value(name = "utf-16be")]
    Utf16Be,
    /// Windows-1252, which covers Latin-1.
    #[value(name = "windows-1252", aliases = ["latin-1", "latin1", "iso-8859-1", "cp1252"])]
    Windows1252,
}

/// Order of day and month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Order {
    /// Day, month, year.
    Dmy,
    /// Month, day, year.
    Mdy,
}

/// Unit of numeric times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Unit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
    /// By magnitude.
    Auto,
}

impl FormArgs {
    /// Returns the options, with the zone from the command line.
    pub(super) fn read(&self, session: &Session) -> Result<Form, Failure> {
        let columns = self.columns.iter().map(|pair| match pair.strip_prefix('@') {
            Some(path) => pairs_of(Path::new(path)),
            None => pair_of(pair).map(|pair| vec![pair]).map_err(|why| Failure::usage(format!("--columns: {why}"))),
        });
        Ok(Form {
            encoding: self.encoding.map(|encoding| match encoding {
                TextEncoding::Utf8 => Encoding::Utf8,
                TextEncoding::Utf16Le => Encoding::Utf16Le,
                TextEncoding::Utf16Be => Encoding::Utf16Be,
                TextEncoding::Windows1252 => Encoding::Windows1252,
            }),
            delimiter: self.delimiter,
            decimal_comma: self.decimal == Some(Decimal::Comma),
            zone: session.look.stated_zone().cloned(),
            epoch: self.epoch.map(|unit| match unit {
                Unit::S => Epoch::Seconds,
                Unit::Ms => Epoch::Millis,
                Unit::Us => Epoch::Micros,
                Unit::Ns => Epoch::Nanos,
                Unit::Auto => Epoch::ByMagnitude,
            }),
            date_order: self.date_order.map(|order| match order {
                Order::Dmy => DateOrder::DayMonth,
                Order::Mdy => DateOrder::MonthDay,
            }),
            columns: columns.collect::<Result<Vec<_>, _>>()?.concat(),
            ..Form::default()
        })
    }
}

/// Parses a separator: a character that no value contains.
fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii_punctuation() && !matches!(byte, b'"' | b'.' | b'-' | b'\'') || *byte == b'\t' => {
            Ok(*byte)
        }
        _ => Err("expected one character like ; or |, or tab".to_owned()),
    }
}

/// Parses NAME=HEADING.
fn pair_of(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(name, heading)| (name.trim().to_owned(), heading.trim().to_owned()));
    let whole = pair.filter(|(name, heading)| !name.is_empty() && !heading.is_empty());
    whole.ok_or_else(|| format!("expected NAME=HEADING, like device=MeterID, found {text:?}"))
}

/// Reads a mapping file: one pair a line; blank lines and lines that begin with # are skipped.
fn pairs_of(path: &Path) -> Result<Vec<(String, String)>, Failure> {
    let wrong = |why: String| Failure::usage(format!("--columns: {}: {why}", path.display()));
    let bytes = fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if bytes > HEADINGS_BYTES_MAX {
        return Err(wrong(format!("{bytes} bytes, where {HEADINGS_BYTES_MAX} are allowed")));
    }
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let lines = text.trim_start_matches('\u{FEFF}').lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let said = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    said.map(|(at, line)| pair_of(line).map_err(|why| wrong(format!("line {at}: {why}")))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_divides_columns_is_a_character_that_is_in_no_value() {
        for (text, byte) in [(";", b';'), ("|", b'|'), ("tab", b'\t'), ("\\t", b'\t'), ("\t", b'\t'), (",", b',')] {
            assert_eq!(delimiter(text), Ok(byte), "{text}");
        }
        for text in ["", ";;", "\"", ".", "-", "a", "1", "é"] {
            assert!(delimiter(text).is_err(), "{text}");
        }
    }

    #[test]
    fn headings_are_given_in_pairs_or_in_a_file_of_them() {
        assert_eq!(pair_of("device = Meter ID "), Ok(("device".to_owned(), "Meter ID".to_owned())));
        for wrong in ["device", "=x", "device="] {
            assert!(pair_of(wrong).is_err(), "{wrong}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vendor.columns");
        fs::write(&path, "# of our head end\n\ndevice = Meter ID\ncode=Event\n").unwrap();
        let pairs = pairs_of(&path).unwrap();
        assert_eq!(
            pairs.iter().map(|(name, heading)| (&**name, &**heading)).collect::<Vec<_>>(),
            [("device", "Meter ID"), ("code", "Event")]
        );
        fs::write(&path, "device\n").unwrap();
        assert!(pairs_of(&path).unwrap_err().message.contains("line 1: expected NAME=HEADING"));
    }
}
