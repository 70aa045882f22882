//! Rows of a CSV file.
//!
//! It must not know who made the file, nor what a column means: a `RowReader` does. Invariant: a row is taken whole or named
//! whole.

use std::io::BufRead;

use super::{LineError, alert_row::AlertRows, form::Form, record::Records, rows::RowReader};
use crate::domain::Alert;

/// The rows of a CSV file, each read as a `T`.
pub struct Rows<R, T> {
    records: Records<R>,
    form: Form,
    reader: Box<dyn RowReader<T>>,
}

/// The alerts of a CSV file.
pub type Alerts<R> = Rows<R, Alert>;

impl<R: BufRead> Alerts<R> {
    /// Reads the header. An unknown, doubled or missing column is an error that lists the known ones.
    pub fn new(reader: R) -> Result<Self, LineError> {
        Self::of(reader, &Form::default())
    }

    /// The same, with reading options.
    pub fn of(reader: R, form: &Form) -> Result<Self, LineError> {
        Self::read_by(Box::new(AlertRows::default()), reader, form)
    }
}

impl<R: BufRead, T> Rows<R, T> {
    /// Reads the header of rows of some kind.
    pub(super) fn read_by(rows: Box<dyn RowReader<T>>, reader: R, form: &Form) -> Result<Self, LineError> {
        let records = Records::of(reader, rows.layout(), form)?;
        let line = records.line();
        rows.check(&|column| records.has(column)).map_err(|error| LineError { line, ..error })?;
        Ok(Self { records, form: form.clone(), reader: rows })
    }

    /// Returns the next remark: something noteworthy that loses no data.
    pub fn remark(&mut self) -> Option<LineError> {
        self.records.remark().or_else(|| self.reader.remark())
    }

    /// Number of the line read last.
    pub fn line(&self) -> u64 {
        self.records.line()
    }
}

impl<R: BufRead, T> Iterator for Rows<R, T> {
    type Item = Result<T, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Self { records, form, reader } = self;
        let Some(record) = records.next() else {
            reader.end();
            return None;
        };
        Some(record.and_then(|record| reader.read(&record, form)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        AlertCode, DccTimeStatus, Details, Eui64, Generation, Message, Mpxn, Note, PayloadKind, TimeStatus,
    };

    fn read(text: &str) -> Vec<Result<Alert, String>> {
        let alerts = Alerts::new(text.as_bytes()).unwrap();
        alerts.map(|alert| alert.map_err(|error| error.to_string())).collect()
    }

    /// One row with a device, a code and one more column.
    fn one(column: &str, value: &str) -> Result<Alert, String> {
        let row = format!("device,code,{column}\n00DB1234567890A0,8F40,{value}\n");
        read(&row).remove(0)
    }

    #[test]
    fn every_column_lands_where_it_belongs() {
        let text = "weight,dcc_at,voltage_v,received_ms,occurred_at,counter,recipient,payload_kind,code,device,sender,\
                    instruction_number,message_digest,occurred_at_status,dcc_at_status,stated_generation,stated_mpxn,\
                    throttle_sequence,instruction_count,interrupted_at,restored_ms,inner_code,stated_note\n\
                    3,2025-11-24T15:00:01Z,258.1,1764000000123,2025-11-24T16:00:00.5+01:00,7,90-B3-D5-1F-30-02-00-00,dlms,\
                    8f40,00:db:12:34:56:78:90:a0,90-B3-D5-1F-30-00-00-02,2,0123456789abcdef,unreliable,as-stated,\
                    SMETS1,1000000000012,8,65535,2025-11-24T15:00:00Z,1763996400500,81a0,'=S1VE\n";
        let expected = Alert {
            device: Eui64(0x00DB_1234_5678_90A0),
            recipient: Eui64(0x90B3_D51F_3002_0000),
            counter: Some(7),
            code: AlertCode(0x8F40),
            occurred_ms: Some(1_763_996_400_500),
            dcc_ms: Some(1_763_996_401_000),
            received_ms: Some(1_764_000_000_123),
            measurement: Some(2581),
            weight: 3,
            payload: PayloadKind::Dlms,
            generation: Generation::Smets1,
            message: Message {
                sender: Eui64(0x90B3_D51F_3000_0002),
                instruction: 2,
                digest: 0x0123_4567_89AB_CDEF,
                time: TimeStatus::Unreliable,
                dcc_time: DccTimeStatus::AsStated,
            },
            details: Details {
                mpxn: "1000000000012".parse::<Mpxn>().unwrap(),
                throttle_sequence: Some(8),
                instruction_count: 65_535,
                interrupted_ms: Some(1_763_996_400_000),
                restored_ms: Some(1_763_996_400_500),
                inner_code: Some(AlertCode(0x81A0)),
                note: Note::new("=S1VE"),
            },
        };
        assert_eq!(read(text), [Ok(expected)]);
    }

    #[test]
    fn a_column_of_another_unit_is_refused() {
        let own = "code,name,unit\nE001,join parameter,s\n";
        let table = crate::intake::tables::CodeTable::builtin().with_file(own.as_bytes()).unwrap();
        let form = Form { units: std::sync::Arc::new(table.units()), ..Form::default() };
        let read = |code: &str, column: &str, value: &str| {
            let row = format!("device,code,{column}\n00DB1234567890A0,{code},{value}\n");
            let alert = Alerts::of(row.as_bytes(), &form).unwrap().next().unwrap();
            alert.map(|alert| alert.measurement).map_err(|error| error.to_string())
        };
        for (code, column, value, counts, instead) in [
            ("8014", "voltage_v", "95.0", "a power factor (thousandths)", "power_factor or measurement"),
            ("8015", "measurement_dv", "950", "a power factor (thousandths)", "power_factor or measurement"),
            ("8F40", "power_factor", "2.4", "volts (dv)", "voltage_v, measurement_dv or measurement"),
            ("E001", "voltage_v", "30", "s", "measurement"),
        ] {
            let words = format!("line 2: {column}: \"{value}\", but {code} measures {counts}; its column is {instead}");
            assert_eq!(read(code, column, value), Err(words));
            assert_eq!(read(code, column, ""), Ok(None));
        }
        for (code, column, value, measurement) in [
            ("8F40", "voltage_v", "258.1", 2_581),
            ("8F40", "measurement", "2581", 2_581),
            ("8014", "power_factor", "0.95", 950),
            ("8014", "measurement", "950", 950),
            ("E001", "measurement", "30", 30),
            // Codes without a unit, and of no table.
            ("8F36", "voltage_v", "258.1", 2_581),
            ("AD1", "measurement_dv", "2581", 2_581),
            ("ABCD", "power_factor", "0.95", 950),
        ] {
            assert_eq!(read(code, column, value), Ok(Some(measurement)), "{code} {column}");
        }
    }

    #[test]
    fn empty_fields_are_not_stated() {
        let alert = one("recipient,counter,occurred_at,received_ms,measurement,weight", ",,,,,").unwrap();
        assert_eq!((alert.recipient, alert.counter, alert.weight), (Eui64::NONE, None, 1));
        assert_eq!((alert.occurred_ms, alert.received_ms, alert.measurement), (None, None, None));
        assert_eq!(alert.dcc_ms, None);
        assert_eq!(one("dcc_ms", "5").unwrap().dcc_ms, Some(5));
        assert_eq!(one("payload_kind", "").unwrap().payload, PayloadKind::Csv);
        assert_eq!(one("sender,instruction_number,message_digest", ",,").unwrap().message, Message::default());
    }

    #[test]
    fn measurements_are_scaled_exactly() {
        for (column, text, value) in [
            ("measurement_dv", "2530", 2530),
            ("voltage_v", "253", 2530),
            ("voltage_v", "216.2", 2162),
            ("voltage_v", "-0.1", -1),
            ("power_factor", "0.95", 950),
            ("power_factor", "1", 1000),
            ("measurement", "-7", -7),
            ("voltage_v", "214748364.7", i32::MAX),
        ] {
            assert_eq!(one(column, text).unwrap().measurement, Some(value), "{column} {text}");
        }
    }

    #[test]
    fn a_bad_value_names_its_line_column_and_reason() {
        for (column, text, message) in [
            ("voltage_v", "258.05", "expected a number with at most 1 decimal, found \"258.05\""),
            ("voltage_v", "258.", "expected a number with at most 1 decimal, found \"258.\""),
            ("voltage_v", "214748364.8", "expected a number that fits 32 bits once scaled, found \"214748364.8\""),
            ("power_factor", ".9", "expected a number with at most 3 decimals, found \".9\""),
            ("measurement_dv", "258.5", "expected an integer of 32 bits, without a decimal point, found \"258.5\""),
            ("weight", "0", "expected an integer from 1 on, found \"0\""),
            ("counter", "-1", "expected an integer 0 to 18446744073709551615, found \"-1\""),
            ("occurred_at", "soon", "expected a time like 2026-11-23T09:30:00Z, found \"soon\""),
            ("occurred_at", "2026-13-01", "\"2026-13-01\" is no day"),
            ("received_ms", "soon", "expected an integer of milliseconds since 1970, found \"soon\""),
            ("payload_kind", "DLMS", "expected one of unspecified, dlms, gbz, asn1, csv, found \"DLMS\""),
            (
                "message_digest",
                "+123456789abcdef",
                "expected the first 16 hex digits of a SHA-256, not all zero, found \"+123456789abcdef\"",
            ),
            (
                "occurred_at_status",
                "wrong",
                "expected one of stated, not-stated, unreliable, left-out, found \"wrong\"",
            ),
            ("instruction_number", "-1", "expected an integer from 1 on, of 32 bits, found \"-1\""),
            ("instruction_count", "65536", "expected an integer from 1 on, up to 65535, found \"65536\""),
            ("dcc_at_status", "late", "expected as-stated (the DCC's time, or none) or left-out, found \"late\""),
            ("stated_generation", "3", "expected a generation: smets1, smets2 or unknown, found \"3\""),
            ("stated_note", &"x".repeat(65), &format!("of at most 64 bytes, found \"{}...\"", "x".repeat(40))),
        ] {
            let error = one(column, text).unwrap_err();
            assert!(error.starts_with("line 2: ") && error.ends_with(message), "{column} {text}: {error}");
        }
        let error = one("measurement_dv,voltage_v", "2580,258.0").unwrap_err();
        assert_eq!(error, "line 2: voltage_v: measurement_dv is filled in too; one of them must be empty");
        let error = one("occurred_at,occurred_ms", "2026-11-23T09:30:00Z,1").unwrap_err();
        assert_eq!(error, "line 2: occurred_ms: occurred_at is filled in too; one of them must be empty");
    }

    /// On the wire and in the log 0 stands for what is not stated: taken, it would become another value.
    #[test]
    fn a_value_that_stands_for_none_is_refused() {
        let begins = "is the beginning of 1970, which stands for no time: leave it empty where there is none";
        for (column, text, message) in [
            ("received_at", "1970-01-01T00:00:00Z", format!("\"1970-01-01T00:00:00Z\" {begins}")),
            ("received_ms", "0", format!("\"0\" {begins}")),
            ("dcc_at", "1970-01-01T01:00:00+01:00", format!("\"1970-01-01T01:00:00+01:00\" {begins}")),
            ("dcc_ms", "0", format!("\"0\" {begins}")),
            ("instruction_number", "0", "found \"0\"; leave it empty where there is none".to_owned()),
            ("instruction_count", "0", "found \"0\"; leave it empty where there is none".to_owned()),
            ("message_digest", "0000000000000000", "not all zero, found \"0000000000000000\"".to_owned()),
        ] {
            let error = one(column, text).unwrap_err();
            assert!(error.starts_with(&format!("line 2: {column}: ")) && error.ends_with(&message), "{error}");
        }
        assert_eq!(one("occurred_ms", "0").unwrap().occurred_ms, Some(0), "the status tells it from none");
        let error = one("occurred_ms,occurred_at_status", "0,unreliable").unwrap_err();
        assert!(
            error.starts_with("line 2: occurred_at_status: unreliable, but \"0\" is the beginning of 1970"),
            "{error}"
        );
        assert_eq!(one("interrupted_ms,throttle_sequence", "0,0").unwrap().details.throttle_sequence, Some(0));
    }

    #[test]
    fn a_status_that_contradicts_a_stated_time_is_refused() {
        let (at, other) = ("2026-11-23T09:30:00Z", "2026-11-23T09:31:00Z");
        let columns = "occurred_at,received_at,occurred_at_status";
        for status in ["not-stated", "left-out"] {
            // As a host writes an alert that stated none.
            assert!(one(columns, &format!("{at},{at},{status}")).is_ok(), "{status}");
            assert!(one(columns, &format!(",{at},{status}")).is_ok(), "{status}");
            for received in [other, ""] {
                let error = one(columns, &format!("{at},{received},{status}")).unwrap_err();
                let words = format!(
                    "line 2: occurred_at_status: {status}, but \"{at}\" is stated, which is not the time of receipt"
                );
                assert!(error.starts_with(&words), "{error}");
            }
        }
        for status in ["stated", "unreliable", ""] {
            assert!(one(columns, &format!("{at},{other},{status}")).is_ok(), "{status}");
        }
        let error = one("occurred_at_status", "unreliable").unwrap_err();
        assert!(error.contains("no time of occurrence is stated"), "{error}");
        assert_eq!(one("dcc_at_status", "left-out").unwrap().message.dcc_time, DccTimeStatus::LeftOut);
        let error = one("dcc_at,dcc_at_status", &format!("{at},left-out")).unwrap_err();
        assert!(error.starts_with(&format!("line 2: dcc_at_status: left-out, but \"{at}\" is stated")), "{error}");
    }

    #[test]
    fn the_rest_goes_on_after_a_bad_line() {
        let rows = read("device,code\nx,8F40\n00DB1234567890A0,\n00DB1234567890A0,8014\n");
        assert!(rows[0].as_ref().unwrap_err().starts_with("line 2: device: expected an EUI-64"));
        assert_eq!(rows[1], Err("line 3: code: must not be empty".into()));
        assert_eq!(rows[2].as_ref().unwrap().code, AlertCode(0x8014));
    }
}
