//! Alerts as JSON objects, one a line, with the names that a CSV file has as columns.
//!
//! It must not know what a member means: [`csv`] does. Invariant: a number is taken as it is written, never by
//! way of a binary fraction that rounds it.

use std::{collections::BTreeMap, io::BufRead};

use serde_json::{Value, value::RawValue};

use super::{LineError, csv, lines::Lines, record::Record, said, shown};
use crate::domain::Alert;

/// The alerts of a file of JSON lines.
pub struct Alerts<R> {
    lines: Lines<R>,
    /// One for each known name.
    texts: Vec<String>,
}

impl<R: BufRead> Alerts<R> {
    /// Takes the input; nothing is read yet.
    pub fn new(reader: R) -> Self {
        Self { lines: Lines::new(reader), texts: vec![String::new(); csv::COLUMNS.len()] }
    }

    /// Number of the line read last.
    pub fn line(&self) -> u64 {
        self.lines.number()
    }
}

impl<R: BufRead> Iterator for Alerts<R> {
    type Item = Result<Alert, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let taken = match self.lines.next()? {
                Err(error) => return Some(Err(error)),
                Ok(text) if text.trim_ascii().is_empty() => continue,
                Ok(text) => take(text, &mut self.texts),
            };
            let line = self.lines.number();
            let record = Record::listed(line, csv::COLUMNS, &self.texts);
            return Some(match taken {
                Ok(()) => csv::alert(&record),
                Err((field, message)) => Err(LineError::new(line, &field, message)),
            });
        }
    }
}

/// Puts the members of an object where their names belong. An error has the field and what is wrong.
fn take(line: &str, texts: &mut [String]) -> Result<(), (String, String)> {
    texts.iter_mut().for_each(String::clear);
    // Of members with the same name the last one counts, as nearly everywhere.
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(line)
        .map_err(|error| ("object".to_owned(), format!("expected a JSON object: {}", said(&error))))?;
    for (name, value) in members {
        let Some(column) = csv::COLUMNS.iter().position(|known| *known == name) else {
            let known = csv::COLUMNS.join(", ");
            return Err(("object".to_owned(), format!("unknown name {}; known names are: {known}", shown(&name))));
        };
        let raw = value.get();
        match raw.as_bytes().first() {
            Some(b'"') => match serde_json::from_str(raw) {
                Ok(Value::String(text)) => texts[column] = text,
                _ => return Err((name, format!("expected a text, found {}", shown(raw)))),
            },
            Some(b'-' | b'0'..=b'9') => texts[column].push_str(raw),
            Some(b'n') => {}
            _ => return Err((name, format!("expected a text, a number or null, found {}", shown(raw)))),
        }
    }
    Ok(())
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
        let expected: Vec<Alert> = csv::Alerts::new(csv.as_bytes()).unwrap().map(Result::unwrap).collect();
        let found = read(json);
        assert_eq!(found[0].as_ref(), Ok(&expected[0]));
        let message = "line 3: voltage_v: expected a number with at most 1 decimals, found \"258.10\"";
        assert_eq!(found[1..], [Err(message.to_owned())]);
    }

    #[test]
    fn a_bad_line_is_named_and_the_rest_goes_on() {
        for (line, message) in [
            ("[]", "line 1: object: expected a JSON object: "),
            ("{\"device\":", "line 1: object: expected a JSON object: "),
            ("{\"volts\":1}", "line 1: object: unknown name \"volts\"; known names are: device, code, "),
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
}
