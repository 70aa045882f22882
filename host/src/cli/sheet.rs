//! Rows for a spreadsheet: CSV that no spreadsheet takes for more than text and numbers.
//!
//! It must not know what is in a row. Invariants: a record is one line, whatever its texts hold; no text begins with
//! what makes a spreadsheet compute.

use csv_core::{WriteResult, Writer};

use super::{table::Value, view::clean};

/// Characters of one field.
const FIELD_CHARS_MAX: usize = 2_000;

/// A CSV file in the making.
#[derive(Debug, Default)]
pub(super) struct Sheet(String);

impl Sheet {
    /// With a header.
    pub(super) fn new(headings: &[&str]) -> Self {
        let mut sheet = Self::default();
        sheet.row(headings.iter().map(|heading| Value::text(*heading)));
        sheet
    }

    /// Adds a row.
    pub(super) fn row(&mut self, values: impl IntoIterator<Item = Value>) {
        let fields = values.into_iter().map(|value| match value {
            Value::Number(number) => number.to_string(),
            // A number below zero begins like a formula, and is none.
            Value::Quantity(text) if text.parse::<i64>().is_ok() => text,
            Value::Quantity(text) | Value::Text(text) => quoted(&inert(&text)),
        });
        self.0.push_str(&fields.collect::<Vec<_>>().join(","));
        self.0.push('\n');
    }

    /// Adds a row for a program, to the character: what it reads must be what was there.
    pub(super) fn row_as_it_is(&mut self, texts: &[String]) {
        let field = |text: &String| if text.is_empty() { String::new() } else { quoted(text) };
        self.0.push_str(&texts.iter().map(field).collect::<Vec<_>>().join(","));
        self.0.push('\n');
    }

    /// The file.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Text that a spreadsheet does not compute: an apostrophe before what begins like a formula, after blanks too, and before one
/// that was there already, so that the text can be told again.
fn inert(text: &str) -> String {
    let begins = text.trim_start_matches([' ', '\u{A0}', '\u{FEFF}']).chars().next();
    let formula = matches!(
        begins,
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '\u{FF1D}' | '\u{FF0B}' | '\u{FF0D}' | '\u{FF20}')
    );
    let formula = formula || text.starts_with("''") || text.starts_with("'=");
    // What a terminal would obey has no place in a sheet either: a line feed would end the record.
    let text = clean(text, FIELD_CHARS_MAX);
    if formula { format!("'{text}") } else { text }
}

fn quoted(text: &str) -> String {
    let mut writer = Writer::new();
    // Each quotation mark twice, and one at either end.
    let mut out = vec![0; text.len() * 2 + 2];
    let (field, _, written) = writer.field(text.as_bytes(), &mut out);
    let (finish, end) = writer.finish(&mut out[written..]);
    debug_assert!(field == WriteResult::InputEmpty && finish == WriteResult::InputEmpty, "the room is enough");
    out.truncate(written + end);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_below_zero_is_a_number() {
        let mut sheet = Sheet::default();
        sheet.row([Value::Quantity("-7".to_owned()), Value::Quantity("-0.7 V".to_owned())]);
        assert_eq!(sheet.finish(), "-7,'-0.7 V\n");
    }

    #[test]
    fn no_text_is_a_formula_and_no_record_is_two() {
        let texts = [
            ("=1+2", "'=1+2"),
            ("+44", "'+44"),
            ("-2", "'-2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\u{FFFD}=1"),
            ("\r=1", "'\u{FFFD}=1"),
            ("  =cmd|' /C calc'!A0", "'  =cmd|' /C calc'!A0"),
            ("\u{FF1D}1", "'\u{FF1D}1"),
            ("=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""),
            ("a,b", "\"a,b\""),
            ("two\nlines", "two\u{FFFD}lines"),
            ("plain - text", "plain - text"),
            ("", "\"\""),
        ];
        for (text, expected) in texts {
            let mut sheet = Sheet::new(&["model", "count"]);
            sheet.row([Value::text(text), Value::Number(7)]);
            let file = sheet.finish();
            let lines: Vec<&str> = file.lines().collect();
            assert_eq!(lines, ["model,count", &format!("{expected},7")], "{text:?}");
        }
    }
}
