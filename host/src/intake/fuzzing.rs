//! What holds for every decoder whatever the bytes are, for fuzzing and for the tests here.
//!
//! It must not know how a format is read, only how its lines are told apart. Invariant: a decoder that loses a line,
//! counts one twice, or says something unbounded makes [`decoded`] panic.

use std::io::{BufRead, BufReader};

use super::{
    Alerts, LINE_BYTES_MAX, LineError,
    claims::Claims,
    compressed::{Block, unpack},
    csv,
    duis_xml::{self, ThrottledCount},
    form::Form,
    gbcs_hex,
    inventory::{Row, Rows},
    ndjson::{self, over_lines},
    readings::{self, Stamp},
    record::{is_blank, is_empty},
    sources::Items,
    thresholds,
};
use crate::domain::{Alert, Details, Eui64, Message, is_unsafe};

mod examples;

#[cfg(feature = "fuzzing")]
pub use examples::{document, hex, message};
pub use examples::{example, form};

/// Characters of an error.
const ERROR_CHARS_MAX: usize = 800;
/// Bytes that are handed over at once where a file is read in small pieces.
const PIECE_BYTES: usize = 7;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Rows of a CSV file.
    Csv,
    /// JSON objects, one a line.
    Ndjson,
    /// GBCS messages in hex, one a line.
    GbcsHex,
    /// DUIS documents.
    DuisXml,
}

/// What was read: each item with its line, then what else was said.
type Read = (Vec<(u64, Result<Alert, LineError>)>, Vec<LineError>);

/// Reads bytes as a file. Gives how many alerts were in it.
///
/// # Panics
/// Where the decoder broke its word.
pub fn decoded(format: Format, bytes: &[u8]) -> usize {
    let whole = read(format, bytes);
    let pieces = read(format, BufReader::with_capacity(PIECE_BYTES, bytes));
    assert_eq!(whole, pieces, "the same bytes in small pieces");
    if format == Format::DuisXml {
        assert_eq!(inventory(bytes), inventory(BufReader::with_capacity(PIECE_BYTES, bytes)));
    }
    let (items, remarks) = match whole {
        Ok(read) => read,
        Err(error) => {
            plain(&error);
            return 0;
        }
    };
    items.iter().filter_map(|(_, item)| item.as_ref().err()).chain(&remarks).for_each(plain);
    let lines = bytes.split(|byte| *byte == b'\n').count() as u64;
    let mut last = 0;
    for (line, item) in &items {
        // What stands outside of documents is told at the end, by the line it began on.
        let in_order = *line >= last || format == Format::DuisXml;
        assert!(in_order && (1..=lines).contains(line), "line {line} after {last} of {lines}");
        last = *line;
        if let Ok(alert) = item {
            // A time that looks like seconds is remarked where it stands first in a file.
            let again = read(Format::Csv, row(alert).as_bytes()).map(|(items, _)| items);
            assert_eq!(again, Ok(vec![(2, Ok(*alert))]));
        }
    }
    // After another heading, lines say other things; after one that cannot be read they are counted in its error.
    let is_heading = |error: &LineError| {
        error.field == "header" || error.field == "file" || error.message.starts_with("a second heading")
    };
    let headed = remarks.iter().chain(items.iter().filter_map(|(_, item)| item.as_ref().err())).any(is_heading);
    if let Some(expected) = expected(format, bytes).filter(|_| !headed) {
        assert_eq!(items.len(), expected, "every line that says something is an alert or an error");
    }
    items.iter().filter(|(_, item)| item.is_ok()).count()
}

fn read(format: Format, reader: impl BufRead) -> Result<Read, LineError> {
    let mut alerts = match format {
        Format::Csv => Alerts::Csv(csv::Alerts::new(reader)?),
        Format::Ndjson => Alerts::Ndjson(ndjson::Alerts::new(reader)),
        Format::GbcsHex => Alerts::GbcsHex(gbcs_hex::Alerts::new(reader)),
        Format::DuisXml => Alerts::DuisXml(duis_xml::Alerts::new(reader, ThrottledCount::All)),
    };
    let (mut items, mut remarks) = (Vec::new(), Vec::new());
    loop {
        let item = alerts.next();
        remarks.extend(std::iter::from_fn(|| alerts.remark()));
        let Some(item) = item else { return Ok((items, remarks)) };
        items.push((alerts.line(), item));
    }
}

/// Reads documents as an inventory. Gives the devices and errors, each with its line.
fn inventory(reader: impl BufRead) -> Vec<(u64, Result<Row, LineError>)> {
    let mut devices = duis_xml::Inventory::new(reader, None);
    let mut read = Vec::new();
    while let Some(device) = devices.next() {
        device.as_ref().err().into_iter().for_each(plain);
        read.push((devices.line(), device));
    }
    std::iter::from_fn(|| devices.remark()).for_each(|remark| plain(&remark));
    read
}

/// Items of a file by its lines; `None` where lines do not tell.
fn expected(format: Format, bytes: &[u8]) -> Option<usize> {
    let is_utf_16 = matches!(bytes, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]);
    // A quoted value may go over lines, and what stands before the heading may say how columns are divided.
    if is_utf_16 || format == Format::Csv && (bytes.contains(&b'"') || bytes.windows(4).any(|four| four == b"sep=")) {
        return None;
    }
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let says = |(at, line): &(usize, &[u8])| {
        let Some(text) = std::str::from_utf8(line).ok().filter(|text| text.len() <= LINE_BYTES_MAX) else {
            return true;
        };
        let text = text.trim_start_matches('\u{FEFF}');
        let hex = text.trim();
        match format {
            Format::GbcsHex => {
                let heading = *at == 0 && matches!(hex.rsplit('\t').next(), Some("hex" | "gbcs_hex"));
                !heading && !hex.is_empty() && !hex.starts_with('#')
            }
            Format::Csv => !is_blank(text) && !is_empty(text, b','),
            _ => !is_blank(text),
        }
    };
    // The heading is the first line with anything on it.
    let header = usize::from(format == Format::Csv);
    let blank = |(_, line): &(usize, &[u8])| std::str::from_utf8(line).is_ok_and(is_blank);
    let rows = lines.enumerate().skip_while(|line| header > 0 && blank(line)).skip(header);
    let mut said = rows.filter(says).peekable();
    if format == Format::Ndjson
        && let Some(text) = said.peek().and_then(|(_, line)| std::str::from_utf8(line).ok())
        && over_lines(text.trim_start_matches('\u{FEFF}')).is_some()
    {
        return Some(1);
    }
    (format != Format::DuisXml).then(|| said.count())
}

/// What every error is: bounded, and fit to be shown.
pub(super) fn plain(error: &LineError) {
    let text = error.to_string();
    assert!(text.chars().count() <= ERROR_CHARS_MAX && !text.chars().any(is_unsafe), "{text:?}");
}

/// An alert as a file of its own.
fn row(alert: &Alert) -> String {
    let Alert { device, recipient, counter, code, occurred_ms, received_ms, dcc_ms, measurement, weight, .. } = alert;
    let Alert {
        payload, generation, message: Message { sender, instruction, digest, time, dcc_time }, details, ..
    } = alert;
    let Details { mpxn, throttle_sequence, instruction_count, interrupted_ms, restored_ms, inner_code, note } = details;
    let party = |party: &Eui64| if *party == Eui64::NONE { String::new() } else { party.to_string() };
    let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
    format!(
        "device,recipient,counter,code,occurred_ms,received_ms,dcc_ms,measurement,weight,payload_kind,sender,\
         instruction_number,message_digest,occurred_at_status,dcc_at_status,stated_generation,stated_mpxn,throttle_sequence,\
         instruction_count,interrupted_ms,restored_ms,inner_code,stated_note\n{device},{},{},{code},{},{},{},{},{weight},{},{},\
         {},{},{},{},{generation},{mpxn},{},{},{},{},{},\"{}\"",
        party(recipient),
        counter.map(|counter| counter.to_string()).unwrap_or_default(),
        number(*occurred_ms),
        number(*received_ms),
        number(*dcc_ms),
        number(measurement.map(i64::from)),
        payload.name(),
        party(sender),
        number(Some((*instruction).into()).filter(|number| *number != 0)),
        if *digest == 0 { String::new() } else { format!("{digest:016x}") },
        time.name(),
        dcc_time.name(),
        number(throttle_sequence.map(i64::from)),
        number(Some((*instruction_count).into()).filter(|count| *count != 0)),
        number(*interrupted_ms),
        number(*restored_ms),
        inner_code.map(|code| code.to_string()).unwrap_or_default(),
        // What a sheet would take for a formula, or for one that was made harmless, has an apostrophe in front.
        format!("{}{}", if note.as_str().starts_with(['=', '+', '-', '@', '\'']) { "'" } else { "" }, note.as_str())
            .replace('"', "\"\""),
    )
}

/// Reads bytes as a file of rows that is written in a way of its own.
///
/// # Panics
/// Where a decoder broke its word: it said something unbounded, or went back in the file.
pub fn decoded_in_form(format: Format, form: &Form, bytes: &[u8]) {
    let alerts = match format {
        Format::Csv => csv::Alerts::of(bytes, form).map(Alerts::Csv),
        _ => ndjson::Alerts::of(bytes, form).map(Alerts::Ndjson),
    };
    let mut alerts = match alerts {
        Ok(alerts) => alerts,
        Err(error) => return plain(&error),
    };
    let mut last = 0;
    while let Some(item) = alerts.next() {
        item.as_ref().err().into_iter().for_each(plain);
        assert!(alerts.line() >= last, "line {} after {last}", alerts.line());
        last = alerts.line();
        std::iter::from_fn(|| alerts.remark()).for_each(|remark| plain(&remark));
    }
    std::iter::from_fn(|| alerts.remark()).for_each(|remark| plain(&remark));
}

/// Reads bytes as an inventory, as another party's counts, as readings and as thresholds.
///
/// # Panics
/// Where a reader said something unbounded.
pub fn decoded_tables(form: &Form, bytes: &[u8]) {
    match Rows::of(bytes, form) {
        Ok(mut rows) => {
            for row in rows.by_ref() {
                row.as_ref().err().into_iter().for_each(plain);
            }
            std::iter::from_fn(|| rows.remark()).for_each(|remark| plain(&remark));
        }
        Err(error) => plain(&error),
    }
    match Claims::of(bytes, form) {
        Ok(mut rows) => {
            for row in rows.by_ref() {
                row.as_ref().err().into_iter().for_each(plain);
            }
            std::iter::from_fn(|| rows.remark()).for_each(|remark| plain(&remark));
        }
        Err(error) => plain(&error),
    }
    let options = readings::Options { stamp: Some(Stamp::End), length_s: Some(1_800), whole_volts: false };
    let of_readings = || readings::reader(options);
    let of_thresholds = || thresholds::reader(Some(1));
    for items in [of_readings().csv(bytes, form), of_readings().ndjson(bytes, form)] {
        items.map_or_else(|error| plain(&error), read_out);
    }
    for items in [of_thresholds().csv(bytes, form), of_thresholds().ndjson(bytes, form)] {
        items.map_or_else(|error| plain(&error), read_out);
    }
    read_out(of_readings().duis_xml(bytes, form));
    read_out(of_thresholds().duis_xml(bytes, form));
}

/// Reads items to their end.
fn read_out<T: Send + 'static>(mut items: Items<&[u8], T>) {
    while let Some(item) = items.next() {
        item.as_ref().err().into_iter().for_each(plain);
        std::iter::from_fn(|| items.remark()).for_each(|remark| plain(&remark));
    }
    std::iter::from_fn(|| items.remark()).for_each(|remark| plain(&remark));
}

/// Unpacks bytes as each kind of block.
///
/// # Panics
/// Where more came out than was allowed.
pub fn unpacked_blocks(bytes: &[u8], bytes_max: usize) {
    for block in [Block::Snappy, Block::Gzip, Block::Zstd, Block::Lz4, Block::Lz4Hadoop] {
        if let Ok(unpacked) = unpack(block, bytes, bytes_max) {
            assert!(unpacked.len() <= bytes_max, "{block:?}: {} bytes", unpacked.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORMATS: [Format; 4] = [Format::Csv, Format::Ndjson, Format::GbcsHex, Format::DuisXml];

    #[test]
    fn files_to_begin_with_are_whole() {
        for format in FORMATS {
            for seed in 0..60 {
                let bytes = example(format, seed);
                assert!(decoded(format, &bytes) > 0, "{format:?} {seed}: {}", String::from_utf8_lossy(&bytes));
            }
        }
    }

    /// Each of these characters takes eight where it is escaped.
    #[test]
    fn a_heading_that_is_shown_escaped_is_cut_sooner() {
        let file = format!("device,code,{}\n00-DB-12-34-56-78-90-A0,8F40,1\n", "\u{FFFF}".repeat(60));
        assert_eq!(decoded(Format::Csv, file.as_bytes()), 0);
        decoded_in_form(Format::Csv, &Form::default(), file.as_bytes());
        decoded_tables(&Form::default(), file.as_bytes());
    }

    /// A time that lost digits is remarked once a file, and so once again where its alert is a file of its own.
    #[test]
    fn an_alert_whose_time_looks_like_seconds_is_written_and_read_again() {
        let file = b"device,counter,code,received_ms\n00-DB-12-34-56-78-90-A0,1,8F40,1764000009\n\
            00-DB-12-34-56-78-90-A0,2,8F40,1764000010\n";
        assert_eq!(decoded(Format::Csv, file), 2);
    }

    /// What may be done to a file.
    #[derive(Debug, Clone)]
    enum Change {
        Cut(prop::sample::Index),
        Byte(prop::sample::Index, u8),
        Insert(prop::sample::Index, Vec<u8>),
        /// A piece again and again: what was short becomes too long.
        Repeat(prop::sample::Index, usize, usize),
    }

    fn change() -> impl Strategy<Value = Change> {
        let at = any::<prop::sample::Index>;
        prop_oneof![
            at().prop_map(Change::Cut),
            (at(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
            (at(), prop::sample::select(b"\n\r\",:{}[]<>&#\t \0\x1B\xFF\xEF".to_vec()))
                .prop_map(|(at, b)| Change::Byte(at, b)),
            (at(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
            (at(), 1..200_usize, 1..3_000_usize).prop_map(|(at, piece, times)| Change::Repeat(at, piece, times)),
        ]
    }

    fn changed(mut bytes: Vec<u8>, changes: Vec<Change>) -> Vec<u8> {
        for change in changes {
            if bytes.is_empty() {
                break;
            }
            match change {
                Change::Cut(at) => bytes.truncate(at.index(bytes.len())),
                Change::Byte(at, byte) => {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
                Change::Insert(at, more) => {
                    let at = at.index(bytes.len());
                    drop(bytes.splice(at..at, more));
                }
                Change::Repeat(at, piece, times) => {
                    let at = at.index(bytes.len());
                    let piece = bytes[at..bytes.len().min(at + piece)].to_vec();
                    let times = times.min((300 << 10) / piece.len());
                    drop(bytes.splice(at..at, piece.repeat(times)));
                }
            }
        }
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn files_that_were_changed_lose_no_line(
            seed in any::<u32>(),
            changes in prop::collection::vec(change(), 0..5),
        ) {
            for format in FORMATS {
                decoded(format, &changed(example(format, seed), changes.clone()));
            }
        }

        #[test]
        fn bytes_that_are_no_file_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
            for format in FORMATS {
                decoded(format, &bytes);
                // With a header in front, and with nothing but what is read as text.
                decoded(format, &[b"device,code\n", &bytes[..]].concat());
                decoded(format, String::from_utf8_lossy(&bytes).as_bytes());
            }
        }
    }
    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_file_in_another_encoding_is_the_same_file(
            seed in any::<u32>(),
            changes in prop::collection::vec(change(), 0..4),
        ) {
            for format in [Format::Csv, Format::Ndjson] {
                let bytes = changed(example(format, seed), changes.clone());
                let Ok(text) = String::from_utf8(bytes) else { continue };
                let marked = format!("\u{FEFF}{text}");
                let units = || marked.encode_utf16();
                let low: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
                let high: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
                let expected = read(format, marked.as_bytes());
                prop_assert_eq!(&read(format, &low[..]), &expected);
                prop_assert_eq!(&read(format, BufReader::with_capacity(PIECE_BYTES, &high[..])), &expected);
            }
        }

        #[test]
        fn whatever_a_caller_says_of_it_a_file_is_read_to_its_end(
            number in any::<u32>(),
            seed in any::<u32>(),
            changes in prop::collection::vec(change(), 0..4),
            bytes in prop::collection::vec(any::<u8>(), 0..1_000),
        ) {
            let form = form(number);
            for format in [Format::Csv, Format::Ndjson] {
                decoded_in_form(format, &form, &changed(example(format, seed), changes.clone()));
                decoded_in_form(format, &form, &bytes);
            }
            let tables = [
                &b"eui,mpxn,generation,model\n02-00-5E-10-00-00-A0-31,1300000000498,smets2,Alder 3\n"[..],
                b"mpan,date,code,count\n1300000000489,11/03/2026,8014,2\n",
                b"device,time,phase,voltage_v\n02-00-5E-10-00-00-A0-31,2026-11-23T09:30:00Z,1,258.1\n",
                b"device,over_v,under_dv,from\n02-00-5E-10-00-00-A0-31,253,2162,2026-11-01T00:00:00Z\n",
            ];
            for table in tables {
                decoded_tables(&form, &changed(table.to_vec(), changes.clone()));
                decoded_tables(&form, &[table, &bytes].concat());
            }
            unpacked_blocks(&bytes, 1 << 10);
        }
    }
}
