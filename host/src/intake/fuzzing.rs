//! What holds for every decoder whatever the bytes are, for fuzzing and for the tests here; and files to begin with.
//!
//! It must not know how a format is read, only how its lines are told apart. Invariant: a decoder that loses a line,
//! counts one twice, or says something unbounded makes [`decoded`] panic.

use std::io::{BufRead, BufReader};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    Alerts, LINE_BYTES_MAX, LineError,
    claims::Claims,
    compressed::{Block, unpack},
    csv,
    duis_xml::{self, ThrottledCount},
    form::{DateOrder, Encoding, Epoch, Form},
    gbcs_hex,
    inventory::Rows,
    ndjson::{self, over_lines},
    record::{is_blank, is_empty},
};
use crate::domain::{Alert, DccTimeStatus, Details, Eui64, Generation, Message, is_unsafe};

/// Characters of an error.
const ERROR_CHARS_MAX: usize = 600;
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
        assert!(*line >= last && (1..=lines).contains(line), "line {line} after {last} of {lines}");
        last = *line;
        if let Ok(alert) = item {
            // A row has no columns for these.
            let message = Message { dcc_time: DccTimeStatus::default(), ..alert.message };
            let (generation, details) = (Generation::default(), Details::default());
            let alert = Alert { generation, details, message, ..*alert };
            assert_eq!(read(Format::Csv, row(&alert).as_bytes()), Ok((vec![(2, Ok(alert))], Vec::new())));
        }
    }
    // After another heading, lines say other things.
    let is_heading = |error: &LineError| error.field == "header" || error.field == "file";
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
    let Alert { payload, message: Message { sender, instruction, digest, time, .. }, .. } = alert;
    let party = |party: &Eui64| if *party == Eui64::NONE { String::new() } else { party.to_string() };
    let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
    format!(
        "device,recipient,counter,code,occurred_ms,received_ms,dcc_ms,measurement,weight,payload_kind,sender,\
         instruction_number,message_digest,occurred_at_status\n{device},{},{},{code},{},{},{},{},{weight},{},{},{instruction},\
         {digest:016x},{}",
        party(recipient),
        counter.map(|counter| counter.to_string()).unwrap_or_default(),
        number(*occurred_ms),
        number(*received_ms),
        number(*dcc_ms),
        number(measurement.map(i64::from)),
        payload.name(),
        party(sender),
        time.name(),
    )
}

/// A file as one might come, another for another seed.
pub fn example(format: Format, seed: u32) -> Vec<u8> {
    let of = |at: u32| (seed.wrapping_add(at)).wrapping_mul(0x9E37_79B1) >> 8;
    let device = |at: u32| format!("00-DB-12-34-56-78-90-{:02X}", of(at) % 255 + 1);
    let code = |at: u32| ["8F40", "8014", "8F36", "N24", "AD1"][of(at) as usize % 5];
    match format {
        Format::Csv => {
            let (value, dot) = [("measurement_dv", ""), ("voltage_v", "."), ("power_factor", "."), ("measurement", "")]
                [of(3) as usize % 4];
            let time = if seed.is_multiple_of(2) { "occurred_at,received_ms" } else { "received_at,occurred_ms" };
            let rows = (0..4).map(|at| {
                let counter = of(at) % 1_000;
                let day = of(at) % 28 + 1;
                format!(
                    "{},{counter},\"{}\",2026-11-{day:02}T09:30:00.5Z,{}{counter},{}{dot}{},{}\n",
                    device(at),
                    code(at),
                    1_764_000_000 + i64::from(day),
                    of(at) % 300,
                    of(at) % 10,
                    of(at) % 4 + 1
                )
            });
            [format!("device,counter,code,{time},{value},weight\n")].into_iter().chain(rows).collect::<String>().into()
        }
        Format::Ndjson => (0..3)
            .map(|at| {
                format!(
                    "{{\"device\":\"{}\",\"code\":\"{}\",\"counter\":{},\"voltage_v\":{}.{},\"received_at\":\
                     \"2026-11-23T09:30:00Z\",\"weight\":null}}\n",
                    device(at),
                    code(at),
                    of(at),
                    of(at) % 300,
                    of(at) % 10
                )
            })
            .collect::<String>()
            .into(),
        Format::GbcsHex => {
            let messages = (0..3).map(|at| format!("message {at}\t{}\n", hex(&message(of(at)))));
            [format!("name\tgbcs_hex\n# {seed}\n")].into_iter().chain(messages).collect::<String>().into()
        }
        Format::DuisXml => documents(of),
    }
}

/// Documents as they come: one after the other, wrapped, parsed, or in UTF-16.
fn documents(of: impl Fn(u32) -> u32) -> Vec<u8> {
    let whole: String = (0..2).map(|at| document(of(at), &message(of(at)))).collect();
    let bare = whole.replace("<?xml version=\"1.0\"?>\n", "");
    match of(7) % 6 {
        0 => format!("<s:Envelope xmlns:s='urn:s'><s:Body>{bare}</s:Body></s:Envelope>").into(),
        1 => format!("<All><!-- > --><a><![CDATA[{whole}]]></a></All>").into(),
        2 => whole.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        3 => parsed(of(8)).into(),
        4 => format!("{whole}{}", parsed(of(8))).into(),
        _ => whole.into(),
    }
}

/// A document that has no GBCS message in it: a SMETS1 alert, one that was parsed, or outages.
fn parsed(seed: u32) -> String {
    let party = |of: &str| format!("02-00-5E-10-00-00-{of}");
    let (meter, user, hub) = (party("A0-14"), party("05-01"), party("C0-01"));
    let code = if seed & 16 == 0 { "<r:GBCSHexAlertCode>8F36</r:GBCSHexAlertCode>" } else { "" };
    let time = ["2026-11-23T09:28:20Z", "2026-11-23T24:00:00.000+01:00", "2026-11-23T09:28:20"][seed as usize % 3];
    let message = format!(
        "<r:Header><r:BusinessOriginatorID>{meter}</r:BusinessOriginatorID><r:BusinessTargetID>{user}</r:BusinessTargetID>\
         <r:OriginatorCounter>{seed}</r:OriginatorCounter><r:Timestamp ClockStatus=\"unreliable\">{time}</r:Timestamp>\
         </r:Header><r:Body><r:DeviceAlertMessage><r:DeviceAlertContent>{code}<r:AlertDescription>a b</r:AlertDescription>\
         <r:Timestamp>{time}</r:Timestamp><r:Payload><r:SupplyOutageRestoreAlert><r:interruptionValue>{time}\
         </r:interruptionValue><r:restorationValue>{time}</r:restorationValue></r:SupplyOutageRestoreAlert></r:Payload>\
         </r:DeviceAlertContent></r:DeviceAlertMessage></r:Body>"
    );
    let outage = format!(
        "<s:PowerOutageEvent><s:CommsHubDeviceID>{hub}</s:CommsHubDeviceID><s:StartDateTime>{time}</s:StartDateTime>\
         <s:MPxN>1200000000777</s:MPxN></s:PowerOutageEvent>"
    );
    let body = match seed % 3 {
        0 => {
            return format!(
                "<r:GBCSResponse schemaVersion='5.4'>{message}</r:GBCSResponse>\n<Response/>\n{}",
                document(1, &[])
            );
        }
        1 => format!(
            "<s:SMETS1ResponseMessage><s:ThrottledAlertSequenceId>{seed}</s:ThrottledAlertSequenceId><s:SMETS1SignedResponse>\
             <s:SMETS1Response>{message}</s:SMETS1Response></s:SMETS1SignedResponse></s:SMETS1ResponseMessage>"
        ),
        _ => format!(
            "<s:DCCAlertMessage><s:DCCAlertCode>AD1</s:DCCAlertCode><s:DCCAlert>{outage}{outage}</s:DCCAlert>\
             </s:DCCAlertMessage>"
        ),
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<s:Response xmlns:s=\"urn:s\"><s:Header><s:ResponseID>{hub}:{user}:{seed}\
         </s:ResponseID><s:ResponseDateTime>{time}</s:ResponseDateTime></s:Header><s:Body>{body}</s:Body></s:Response>\n{}",
        document(1, &[])
    )
}

/// A message: signed or MAC'd, with a payload of one of the three kinds.
pub fn message(seed: u32) -> Vec<u8> {
    let code = [0x8F, 0x30 + (seed % 16) as u8];
    let payload = match seed % 3 {
        0 => {
            let time = [0x07, 0xEA, 11, 23, 0xFF, 9, 30, 15, 25, 0x80, 0x00, 0xFF];
            [&[0x0F, 0x20, 0, 0, 1, 0, 0x02, 2, 0x12][..], &code, &[0x09, 0x0C], &time].concat()
        }
        1 => [&[0x01, 0x09, 0x01][..], &code, &seed.to_be_bytes(), &[0x0E, 0x00, 0xA3]].concat(),
        _ => [&[0x30, 8, 0x02, 3, 0][..], &code, &[0x02, 0x01, 0x00]].concat(),
    };
    let maced = seed & 8 == 0;
    let mut inner = if maced { vec![0x11, 0, 0, 0, 0] } else { Vec::new() };
    inner.extend([0xDF, 0x09, 0x03]);
    inner.extend(u64::from(seed).to_be_bytes());
    inner.push(8);
    inner.extend(0x00DB_1234_5678_90A0_u64.to_be_bytes());
    inner.push(8);
    inner.extend(0x90B3_D51F_3002_0000_u64.to_be_bytes());
    inner.extend([0, 2, 0x10, u8::from(maced)]);
    inner.push(payload.len() as u8);
    inner.extend(payload);
    inner.push(if maced { 0 } else { 64 });
    inner.extend(vec![0x5A; if maced { 12 } else { 64 }]);
    let wrapper: &[u8] = if maced { &[0xDD, 0, 0, 0, 0, 0, 0, inner.len() as u8] } else { &[] };
    [wrapper, &inner].concat()
}

/// Bytes as hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Bytes as the payload of a document.
pub fn document(seed: u32, payload: &[u8]) -> String {
    let payload = STANDARD.encode(payload);
    let alert = match seed % 3 {
        0 => format!(
            "<ra:DeviceAlertMessage><ra:AlertCode>8F{:02X}</ra:AlertCode><ra:ThrottledAlertCount>{}\
             </ra:ThrottledAlertCount><ra:GBCSPayload>{payload}</ra:GBCSPayload></ra:DeviceAlertMessage>",
            0x30 + seed % 16,
            seed % 100
        ),
        1 => "<ra:DCCAlertMessage><ra:DCCAlertCode>N24</ra:DCCAlertCode><ra:DCCAlert><ra:DeviceID>00-DB-12-34-56-78-90-A1\
              </ra:DeviceID></ra:DCCAlert></ra:DCCAlertMessage>"
            .to_owned(),
        _ => format!(
            "<ra:FutureDatedDeviceAlertMessage><ra:FutureDatedAlertCode>8F66</ra:FutureDatedAlertCode><ra:GBCSPayload>\
             {payload}</ra:GBCSPayload></ra:FutureDatedDeviceAlertMessage>"
        ),
    };
    format!(
        "<?xml version=\"1.0\"?>\n<sr:Response xmlns:sr=\"urn:sr\" xmlns:ra=\"urn:ra\"><sr:Header><sr:ResponseID>\
         00-DB-12-34-56-78-90-A0:90-B3-D5-1F-30-02-00-00:{seed}</sr:ResponseID><sr:ResponseDateTime>2026-11-23T09:30:00Z\
         </sr:ResponseDateTime></sr:Header><sr:Body>{alert}</sr:Body></sr:Response>\n"
    )
}

/// A way of writing a file for each number.
pub fn form(number: u32) -> Form {
    let [encoding, delimiter, zone, epoch, order, columns] = [0, 3, 6, 9, 12, 14].map(|bit| number >> bit & 7);
    Form {
        encoding: [
            None,
            Some(Encoding::Utf8),
            Some(Encoding::Utf16Le),
            Some(Encoding::Utf16Be),
            Some(Encoding::Windows1252),
        ]
        .get(encoding as usize)
        .copied()
        .flatten(),
        delimiter: [None, Some(b';'), Some(b'\t'), Some(b'|')].get(delimiter as usize).copied().flatten(),
        decimal_comma: delimiter & 1 == 1,
        zone: [None, Some(jiff::tz::TimeZone::UTC), Some(jiff::tz::get!("Europe/London"))]
            .get(zone as usize)
            .cloned()
            .flatten(),
        epoch: [None, Some(Epoch::Seconds), Some(Epoch::Millis), Some(Epoch::Micros), Some(Epoch::ByMagnitude)]
            .get(epoch as usize)
            .copied()
            .flatten(),
        date_order: [None, Some(DateOrder::DayMonth), Some(DateOrder::MonthDay)].get(order as usize).copied().flatten(),
        columns: if columns == 1 { vec![("device".to_owned(), "Meter ID".to_owned())] } else { Vec::new() },
        units: Default::default(),
        one_line: number & 1 << 20 != 0,
    }
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

/// Reads bytes as an inventory and as another party's counts.
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
            ];
            for table in tables {
                decoded_tables(&form, &changed(table.to_vec(), changes.clone()));
                decoded_tables(&form, &[table, &bytes].concat());
            }
            unpacked_blocks(&bytes, 1 << 10);
        }
    }
}
