//! Rows as JSON objects, one a line, with the names that a CSV file has as columns.
//!
//! It must not know what a member means: a `RowReader` does. Invariant: a number is taken as it is written, never by
//! way of a binary fraction that rounds it.

use std::{fmt, io::BufRead};

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};

use super::{
    LineError,
    alert_row::AlertRows,
    form::Form,
    headings::{Headings, Meaning},
    lines::Lines,
    record::{Record, is_blank},
    rows::{Holds, RowReader},
    said, shown,
};
use crate::{
    domain::{Alert, Eui64},
    near::{did_you_mean, nearest},
};

/// The rows of a file of JSON lines, each read as a `T`.
pub struct Rows<R, T> {
    lines: Lines<R>,
    form: Form,
    headings: Headings,
    members: Members,
    reader: Box<dyn RowReader<T>>,
    /// True after the first line that is not blank.
    begun: bool,
    ended: bool,
}

/// The alerts of a file of JSON lines.
pub type Alerts<R> = Rows<R, Alert>;

impl<R: BufRead> Alerts<R> {
    /// Takes the input; nothing is read yet.
    ///
    /// # Panics
    /// Never: no name is given that could be wrong.
    pub fn new(reader: R) -> Self {
        Self::of(reader, &Form::default()).expect("the names of the format itself are known")
    }

    /// The same, with reading options. Rejects a mapping of an unknown column.
    pub fn of(reader: R, form: &Form) -> Result<Self, LineError> {
        Self::read_by(Box::new(AlertRows::default()), reader, form)
    }
}

impl<R: BufRead, T> Rows<R, T> {
    /// Takes the input of rows of some kind.
    pub(super) fn read_by(rows: Box<dyn RowReader<T>>, reader: R, form: &Form) -> Result<Self, LineError> {
        let layout = rows.layout();
        let columns = layout.names.len();
        Ok(Self {
            lines: Lines::encoded(reader, form.encoding),
            form: form.clone(),
            headings: Headings::new(layout, form)?,
            members: Members { texts: vec![String::new(); columns], seen: vec![false; columns] },
            reader: rows,
            begun: false,
            ended: false,
        })
    }

    /// Number of the line read last.
    pub fn line(&self) -> u64 {
        self.lines.number()
    }

    /// Returns the next remark: something noteworthy that loses no data.
    pub fn remark(&mut self) -> Option<LineError> {
        self.reader.remark()
    }
}

impl<R: BufRead, T> Iterator for Rows<R, T> {
    type Item = Result<T, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.ended {
                return None;
            }
            let Some(next) = self.lines.next() else {
                self.reader.end();
                return None;
            };
            let taken = match next {
                Err(error) => {
                    self.begun = true;
                    return Some(Err(error));
                }
                Ok(text) if is_blank(text) => continue,
                Ok(text) => match over_lines(text).filter(|_| !self.begun) {
                    Some(what) => {
                        self.ended = true;
                        Err(("object".to_owned(), what.to_owned()))
                    }
                    None => self.members.take(text, &self.headings),
                },
            };
            self.begun = true;
            let line = self.lines.number();
            let record = Record::listed(line, self.headings.layout.names, &self.members.texts);
            return Some(match taken {
                Ok(()) => self.reader.read(&record, &self.form),
                Err((field, message)) => Err(LineError::new(line, &field, message)),
            });
        }
    }
}

/// Describes a file whose first value spans lines: one error instead of one a line.
pub(super) fn over_lines(text: &str) -> Option<&'static str> {
    match text.trim_ascii() {
        "{" => Some("an object that goes over lines; one object a line is needed: `jq -c . FILE` writes it so"),
        "[" => Some("an array that goes over lines; one object a line is needed: `jq -c '.[]' FILE` writes it so"),
        text if text.starts_with("[{") => {
            Some("an array of objects; one object a line is needed: `jq -c '.[]' FILE` writes it so")
        }
        _ => None,
    }
}

/// The values of one object, by column.
struct Members {
    /// One for each known name.
    texts: Vec<String>,
    seen: Vec<bool>,
}

impl Members {
    /// Reads the members of an object. An error has the field and the message.
    fn take(&mut self, line: &str, headings: &Headings) -> Result<(), (String, String)> {
        self.texts.iter_mut().for_each(String::clear);
        self.seen.fill(false);
        let mut wrong = None;
        let members = serde_json::Deserializer::from_str(line);
        let object = Object(|name: &str, value: &RawValue| {
            if wrong.is_none() {
                wrong = self.member(name, value.get(), headings).err();
            }
        });
        read_whole(members, object).map_err(|error| {
            ("object".to_owned(), format!("expected a JSON object: {}{}", said(&error), no_json(line)))
        })?;
        wrong.map_or(Ok(()), Err)
    }

    fn member(&mut self, name: &str, raw: &str, headings: &Headings) -> Result<(), (String, String)> {
        let layout = headings.layout;
        let exact = layout.names.iter().position(|known| *known == name).filter(|_| !headings.passes_over());
        let column = match exact.map_or_else(|| headings.meaning(name), Meaning::Column) {
            Meaning::Column(column) => column,
            Meaning::Other => return Ok(()),
            Meaning::Unknown if headings.passes_over() => return Ok(()),
            Meaning::Unknown => {
                let known = layout.names.join(", ");
                let near = did_you_mean(nearest(name, layout.names.iter().copied()));
                let message = format!("unknown name {}{near}; known names are: {known}", shown(name));
                return Err(("object".to_owned(), message));
            }
        };
        let (field, holds) = (layout.names[column], (layout.holds)(column));
        let wrong = |message: String| Err((field.to_owned(), message));
        if std::mem::replace(&mut self.seen[column], true) {
            return wrong("the name occurs twice".to_owned());
        }
        match raw.as_bytes().first() {
            Some(b'"') => match serde_json::from_str(raw) {
                Ok(Value::String(text)) => self.texts[column] = text,
                _ => return wrong(format!("expected a text, found {}", shown(raw))),
            },
            // The digits of a number would mean another value in hex.
            Some(b'-' | b'0'..=b'9') if matches!(holds, Holds::Device | Holds::Code | Holds::Digest) => {
                return wrong(no_number(holds, raw));
            }
            Some(b'-' | b'0'..=b'9') => self.texts[column].push_str(raw),
            Some(b't' | b'f') if holds == Holds::Flag => self.texts[column].push_str(raw),
            Some(b'n') => {}
            _ => return wrong(format!("expected a text, a number or null, found {}", shown(raw))),
        }
        Ok(())
    }
}

/// Explains a line that is no JSON, if it shows why. Begins with "; " unless empty.
fn no_json(line: &str) -> &'static str {
    let has = |word: &str| line.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| part == word);
    if ["NaN", "NaT", "None", "Infinity"].into_iter().any(has) {
        "; NaN, NaT, None and Infinity are no JSON: null stands for a missing value"
    } else {
        ""
    }
}

/// Describes a number in place of hexadecimal text.
fn no_number(holds: Holds, raw: &str) -> String {
    let what = match holds {
        Holds::Code => "a code is text, 4 hex digits like \"8F40\"",
        Holds::Digest => "a digest is text, 16 hex digits",
        _ => "an EUI-64 is text, 16 hex digits like \"00-DB-12-34-56-78-90-A0\"",
    };
    let in_hex = match (holds, raw.parse::<u64>()) {
        (Holds::Device, Ok(number)) if number > 0 => {
            format!("; the number in hex is {}", Eui64(number))
        }
        (Holds::Code, Ok(number)) if number <= u64::from(u16::MAX) => {
            format!("; the number in hex is {number:04X}")
        }
        _ => String::new(),
    };
    format!("{} is a number, and {what}{in_hex}", shown(raw))
}

/// Visits every member of an object, repeated names included.
struct Object<F>(F);

impl<'de, F: FnMut(&str, &RawValue)> Visitor<'de> for Object<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<std::borrow::Cow<'de, str>>()? {
            let value: &RawValue = members.next_value()?;
            (self.0)(&name, value);
        }
        Ok(())
    }
}

/// Reads an object that ends the input.
fn read_whole<'de, F: FnMut(&str, &RawValue)>(
    mut members: serde_json::Deserializer<serde_json::de::StrRead<'de>>,
    object: Object<F>,
) -> Result<(), serde_json::Error> {
    members.deserialize_map(object)?;
    members.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<Alert, String>> {
        Alerts::new(text.as_bytes()).map(|alert| alert.map_err(|error| error.to_string())).collect()
    }

    #[test]
    fn it_means_what_the_same_columns_mean_in_a_csv_file() {
        let json = "{\"device\":\"00-DB-12-34-56-78-90-A0\",\"code\":\"8F40\",\"counter\":18446744073709551615,\
                    \"voltage_v\":258.1,\"occurred_at\":\"2025-11-24T16:00:00Z\",\"weight\":null}\n\n\
                    {\"code\":\"N24\",\"device\":\"00DB1234567890A0\",\"voltage_v\":\"258.10\"}\n";
        let csv = "device,code,counter,voltage_v,occurred_at\n\
                   00-DB-12-34-56-78-90-A0,8F40,18446744073709551615,258.1,2025-11-24T16:00:00Z\n";
        let expected: Vec<Alert> =
            crate::intake::csv::Alerts::new(csv.as_bytes()).unwrap().map(Result::unwrap).collect();
        let found = read(json);
        assert_eq!(found[0].as_ref(), Ok(&expected[0]));
        let message = "line 3: voltage_v: expected a number with at most 1 decimal, found \"258.10\"";
        assert_eq!(found[1..], [Err(message.to_owned())]);
    }

    #[test]
    fn a_bad_line_is_named_and_the_rest_goes_on() {
        for (line, message) in [
            ("[]", "line 1: object: expected a JSON object: "),
            ("{\"device\":", "line 1: object: expected a JSON object: "),
            (
                "{\"device\":\"00DB1234567890A0\",\"code\":\"8F40\",\"voltage_v\":NaN}",
                "line 1: object: expected a JSON object: expected value at line 1 column 56; NaN, NaT, None and Infinity",
            ),
            (
                "{\"device\":\"00DB1234567890A0\",\"code\":\"8F40\",\"voltage_v\":\"nan\"}",
                "line 1: voltage_v: expected a number with at most 1 decimal, found \"nan\"; it is a placeholder",
            ),
            (
                "{\"device\":\"FFFFFFFFFFFFFFFF\",\"code\":\"8F40\"}",
                "line 1: device: FF-FF-FF-FF-FF-FF-FF-FF is the broadcast address, which no device has",
            ),
            ("{\"volts\":1}", "line 1: object: unknown name \"volts\"; known names are: device, code, "),
            (
                "{\"device\":9007199254740993,\"code\":\"8014\"}",
                "line 1: device: \"9007199254740993\" is a number, and an EUI",
            ),
            (
                "{\"device\":1234123412341234,\"code\":\"8014\"}",
                "line 1: device: \"1234123412341234\" is a number, and an EUI",
            ),
            ("{\"device\":1.2E18,\"code\":\"8014\"}", "line 1: device: \"1.2E18\" is a number, and an EUI-64 is text"),
            (
                "{\"device\":\"00DB1234567890A0\",\"code\":8014}",
                "line 1: code: \"8014\" is a number, and a code is text",
            ),
            (
                "{\"device\":\"00DB1234567890A0\",\"code\":\"8014\",\"recipient\":1}",
                "line 1: recipient: \"1\" is a number",
            ),
            ("{\"device\":\"00DB1234567890A0\",\"code\":\"8014\",\"sender\":1}", "line 1: sender: \"1\" is a number"),
            (
                "{\"device\":\"00DB1234567890A0\",\"code\":\"8014\",\"message_digest\":1234567890123456}",
                "line 1: message_digest: \"1234567890123456\" is a number, and a digest is text",
            ),
            (
                "{\"device\":\"00DB1234567890A0\",\"device\":\"00DB1234567890A1\",\"code\":\"8014\"}",
                "line 1: device: the name occurs twice",
            ),
            (
                "{\"device\":null,\"Device\":\"00DB1234567890A1\",\"code\":\"8014\"}",
                "line 1: device: the name occurs twice",
            ),
            (
                "{\"device\":\"00DB1234567890A0\",\"EUI\":\"00DB1234567890A1\",\"code\":\"8014\"}",
                "line 1: device: the name occurs twice",
            ),
            ("{\"\\u0064evice\":\"1\",\"device\":\"2\"}", "line 1: device: the name occurs twice"),
            ("{\"device\":\"00DB1234567890A0\",\"code\":\"8014\"} {}", "line 1: object: expected a JSON object: "),
            (
                "{\"device\":\"00DB1234567890A0\",\"code\":\"8014\",\"occurred_at\":1795426200}",
                "line 1: occurred_at: \"1795426200\" is a number; with --epoch s it is 2026-11-23T09:30:00Z",
            ),
            ("{\"device\":true}", "line 1: device: expected a text, a number or null, found \"true\""),
            ("{\"device\":[\"x\"]}", "line 1: device: expected a text, a number or null, found "),
            ("{\"code\":\"8F40\"}", "line 1: device: must not be empty"),
            (
                "{\"device\":\"00DB1234567890A0\",\"code\":\"8F40\",\"counter\":1e3}",
                "line 1: counter: expected an integer",
            ),
        ] {
            let found = read(&format!("{line}\n{{\"device\":\"00DB1234567890A0\",\"code\":\"8F40\"}}"));
            let error = found[0].as_ref().unwrap_err();
            assert!(error.starts_with(message), "{line}: {error}");
            assert!(found[1].is_ok(), "{line}");
        }
    }

    /// Only the first line says how a file is written, readable or not.
    #[test]
    fn an_array_after_a_damaged_line_costs_no_line_but_its_own() {
        let lines = b"\xFF\n[{\"device\":1}]\n{\"device\":\"00DB1234567890A0\",\"code\":\"8F40\"}\n";
        let found: Vec<bool> = Alerts::new(&lines[..]).map(|alert| alert.is_ok()).collect();
        assert_eq!(found, [false, false, true]);
    }

    #[test]
    fn what_goes_over_lines_is_one_error_and_not_one_a_line() {
        for (text, words) in [
            ("{\n \"device\": \"00DB1234567890A0\",\n \"code\": \"8F40\"\n}\n", "jq -c . FILE"),
            ("[\n{\"device\":\"00DB1234567890A0\",\"code\":\"8F40\"}\n]\n", "jq -c '.[]' FILE"),
            ("[{\"device\":\"00DB1234567890A0\",\"code\":\"8F40\"}]\n", "jq -c '.[]' FILE"),
        ] {
            let [Err(error)] = &read(text)[..] else { panic!("{text}") };
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn names_are_read_as_headings_are() {
        let columns = vec![("device".to_owned(), "MeterID".to_owned()), ("occurred_at".to_owned(), "ts".to_owned())];
        let form = Form { columns, epoch: Some(crate::intake::form::Epoch::Seconds), ..Form::default() };
        let line =
            "{\"meter_id\":\"00DB1234567890A0\",\"Alert Code\":\"8F40\",\"ts\":1795426200,\"note\":[1],\"device\":7}\n";
        let alert = Alerts::of(line.as_bytes(), &form).unwrap().next().unwrap().unwrap();
        assert_eq!((alert.device, alert.occurred_ms), (Eui64(0x00DB_1234_5678_90A0), Some(1_795_426_200_000)));
        let wrong = Form { columns: vec![("devise".to_owned(), "x".to_owned())], ..Form::default() };
        assert!(Alerts::of("".as_bytes(), &wrong).err().unwrap().to_string().contains("\"devise\" is no column"));
    }
}
